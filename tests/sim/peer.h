/* A browser in virtual time, as far as transport goes: full ICE in the controlling role (one candidate, so one pair),
 * DTLS in either role, SRTP.  It talks to an ICE-lite server: a struct pl_transport, or a whole conference behind
 * its addresses.
 *
 * Sans-IO, in the shape of everything here: bytes and a time go in (init, feed, tick, send, move, restart, close),
 * then the outputs are drained with pl_peer_next, then the caller waits for pl_peer_deadline.  Each call that goes
 * in asserts that the outputs of the last one were taken.
 *
 *	struct pl_peer peer;
 *	pl_peer_init(&peer, now_us, &config);              first check is ready to be sent
 *	for (struct pl_peer_output out; pl_peer_next(&peer, &out);)
 *		if (out.kind == PL_PEER_SEND)
 *			pl_network_send(network, now_us, &link, &out.path, out.bytes);
 *	...
 *	when a datagram arrives with path.local equal to peer.path.local: pl_peer_feed, drain
 *	when now_us >= pl_peer_deadline(&peer): pl_peer_tick, drain
 *	to talk, once peer.state is PL_PEER_CONNECTED: pl_peer_send_rtp, drain
 *
 * Thread: one. */
#ifndef PL_TESTS_SIM_PEER_H
#define PL_TESTS_SIM_PEER_H

#include <stun/stunagent.h>

#include "media/transport.h"

enum {
	PL_PEER_CHECK_SIZE_MAX = 640,
	PL_PEER_CHECK_MS_FIRST = 50, /* an unanswered check goes out again, doubling ... */
	PL_PEER_CHECK_MS_MAX = 800,  /* ... up to this */
	PL_PEER_CONSENT_MS = 2500,   /* between answered checks, as Chromium does it */
	PL_PEER_DEAD_MS = 30000,     /* without any answer */
};

struct pl_peer_config {
	const struct pl_dtls_identity *identity; /* the peer's own; outlives it; may be shared by all peers of a test */
	struct pl_srtp_engine *srtp;             /* as the identity */
	enum pl_dtls_role dtls_role;             /* the peer's: PL_DTLS_ACTIVE when the server is passive */
	struct pl_fingerprint server_fingerprint;
	struct pl_ice_credentials server; /* from the server's answer */
	struct pl_ice_credentials local;  /* the peer's; the ufrag is the one of its offer */
	struct pl_path path;              /* local: the peer's address; remote: the server's */
	struct pl_rtp_ext_ids ext_ids;    /* for pl_peer_send_rtp */
};

enum pl_peer_state { PL_PEER_CHECKING, PL_PEER_HANDSHAKE, PL_PEER_CONNECTED, PL_PEER_CLOSED };

enum pl_peer_output_kind {
	PL_PEER_SEND,         /* bytes over path */
	PL_PEER_IS_CONNECTED, /* once */
	PL_PEER_RTP,          /* bytes: decrypted RTP from the server */
	PL_PEER_RTCP,         /* bytes: decrypted compound RTCP */
	PL_PEER_IS_CLOSED,    /* once: the server closed, DTLS failed, or consent was lost */
};

struct pl_peer_output {
	enum pl_peer_output_kind kind;
	struct pl_path path;
	struct pl_bytes bytes; /* valid until the next call on this peer */
};

/* The fields are there to be read; only the functions change them.  It points into itself: it must not be moved. */
struct pl_peer {
	enum pl_peer_state state;
	struct pl_path path;
	struct pl_peer_config config;
	struct pl_dtls *dtls;
	struct pl_srtp *srtp;
	uint32_t checks_sent, checks_answered;
	struct pl_addr mapped; /* from the last XOR-MAPPED-ADDRESS */
	uint32_t drop[PL_DROP_COUNT];

	StunAgent agent;
	struct {
		uint8_t bytes[PL_PEER_CHECK_SIZE_MAX];
		size_t size;
		bool is_open;   /* no answer yet */
		int64_t due_us; /* of the next transmission */
		int64_t interval_us;
	} check;
	int64_t answered_us; /* the last answer, or the start */
	uint8_t room[PL_DATAGRAM_SIZE_MAX + PL_SRTP_OVERHEAD_MAX];
	struct {
		bool has_check, has_dtls, has_packet, has_rtp, has_rtcp, has_connected, has_closed;
		size_t size; /* of the packet in room */
	} out;
};

/* Sends the first check.  Aborts when out of memory.  pl_srtp_init must have been called. */
void pl_peer_init(struct pl_peer *peer, int64_t now_us, const struct pl_peer_config *config);
void pl_peer_fini(struct pl_peer *peer);

/* One datagram that arrived at peer->path.local.  What it cannot use is counted in peer->drop. */
void pl_peer_feed(struct pl_peer *peer, int64_t now_us, struct pl_bytes datagram);
void pl_peer_tick(struct pl_peer *peer, int64_t now_us); /* at or after the deadline */
bool pl_peer_next(struct pl_peer *peer, struct pl_peer_output *output);
int64_t pl_peer_deadline(const struct pl_peer *peer); /* INT64_MAX when closed */

/* Sends one packet: the header from rtp (and ext, by the numbers of config.ext_ids; NULL for none), rtp->payload
 * behind it.  False when not connected or when libsrtp refuses (a sequence number twice). */
PL_MUST_USE bool pl_peer_send_rtp(struct pl_peer *peer, const struct pl_rtp *rtp, const struct pl_rtp_ext *ext);
PL_MUST_USE bool pl_peer_send_rtcp(struct pl_peer *peer, struct pl_bytes packet);

/* From Wi-Fi to mobile: from now on everything comes from another address, a check first. */
void pl_peer_move(struct pl_peer *peer, int64_t now_us, const struct pl_addr *local);

/* ICE restart, with what a new offer and answer brought. */
void pl_peer_restart(struct pl_peer *peer, int64_t now_us, const struct pl_ice_credentials *server,
	const struct pl_ice_credentials *local);

/* Sends close_notify, then IS_CLOSED.  A killed browser is one that is simply not called any more. */
void pl_peer_close(struct pl_peer *peer, int64_t now_us);

#endif
