/* One peer's way in and out: ICE-lite, DTLS and SRTP on one path (BUNDLE, rtcp-mux), demultiplexed by the
 * first byte (RFC 7983).
 * Sans-IO: bytes and a monotonic time go in; datagrams to send and events come out.  After each feed, tick,
 * or close the outputs are drained with pl_transport_next; feeding an undrained transport asserts.
 * Thread: the shard that owns the session. */
#ifndef PL_MEDIA_TRANSPORT_H
#define PL_MEDIA_TRANSPORT_H

#include "media/dtls.h"
#include "media/ice.h"
#include "media/rtp.h"
#include "media/srtp.h"

enum pl_transport_state {
	PL_TRANSPORT_NEW,       /* waiting for the first nominated check */
	PL_TRANSPORT_HANDSHAKE, /* a path is there, keys are not yet */
	PL_TRANSPORT_CONNECTED,
	PL_TRANSPORT_CLOSED, /* for the reason of the CLOSED event */
};

#define PL_CLOSE_LIST(X)                                                              \
	X(NONE, "none")                                                               \
	X(LOCAL, "closed by the server")                                              \
	X(PEER, "the peer closed its DTLS association")                               \
	X(CONSENT, "no connectivity check for 30 seconds")                            \
	X(SETUP_TIMEOUT, "not connected within 30 seconds")                           \
	X(FINGERPRINT, "the certificate is not the one of the offer, or DTLS failed") \
	X(CRYPTO, "the cryptography library refused")

enum pl_close {
#define X(name, text) PL_CLOSE_##name,
	PL_CLOSE_LIST(X)
#undef X
		PL_CLOSE_COUNT
};
const char *pl_close_text(enum pl_close close);

/* What kind of packet a first byte announces, RFC 7983 section 7 (RTP and RTCP told apart by RFC 5761 section 4). */
enum pl_protocol { PL_PROTOCOL_UNKNOWN, PL_PROTOCOL_STUN, PL_PROTOCOL_DTLS, PL_PROTOCOL_RTP, PL_PROTOCOL_RTCP };
enum pl_protocol pl_protocol_of(struct pl_bytes datagram);

/* The handshake's state, some 50 KB, is let go of when nothing of it can be asked for again.  That is so when the peer has
 * all of our last flight: it proves that by SRTP of its own, or as the DTLS server, which has the last word (RFC 6347
 * section 4.2.4).  One that proves nothing (it has no media, and hears none) must have been quiet for longer than it waits
 * before it repeats its own flight: OpenSSL does that after 1, 2, 4, 8 and 16 s.  And one that never ceases to repeat it
 * keeps the memory for a minute, no longer. */
enum {
	PL_TRANSPORT_SETUP_MS = 30000,
	PL_TRANSPORT_SETTLE_MS = 2000,           /* after it is connected; looked at again every so often */
	PL_TRANSPORT_SETTLE_MS_UNPROVED = 20000, /* of no handshake record */
	PL_TRANSPORT_SETTLE_MS_MAX = 60000,      /* after it is connected */
};

struct pl_transport_config {
	const struct pl_dtls_identity *identity; /* outlives the transport */
	enum pl_dtls_role dtls_role;             /* ours */
	struct pl_fingerprint peer_fingerprint;
	struct pl_ice_credentials local;
	const char *remote_ufrag;    /* copied */
	struct pl_srtp_engine *srtp; /* of the transport's thread; outlives the transport */
};

enum pl_output_kind {
	PL_OUTPUT_SEND,      /* datagram over path */
	PL_OUTPUT_HEARD,     /* once: the peer's first connectivity check that proved to be its own */
	PL_OUTPUT_CONNECTED, /* once: media may flow */
	PL_OUTPUT_RTP,       /* packet: decrypted RTP */
	PL_OUTPUT_RTCP,      /* packet: decrypted compound RTCP */
	PL_OUTPUT_PATH,      /* path: the peer is reached here from now on */
	PL_OUTPUT_CLOSED,    /* once, the last output */
};

struct pl_output {
	enum pl_output_kind kind;
	struct pl_path path;
	struct pl_bytes bytes; /* valid until the next call on this transport */
	enum pl_close close;
};

struct pl_transport {
	enum pl_transport_state state;
	enum pl_close close;
	struct pl_srtp_engine *srtp_engine;
	struct pl_srtp *srtp; /* NULL before CONNECTED */
	struct pl_ice ice;    /* up to its first path, and what stands before it, sending RTP reads no more than this */
	struct pl_dtls *dtls; /* NULL when closed */
	int64_t setup_deadline_us;
	int64_t connected_us, handshake_us; /* when that was, and the last handshake record of the peer */
	int64_t settle_us;                  /* when to look whether DTLS may settle; INT64_MAX: not */
	bool has_peer_finished;             /* it has proved to have our last flight */
	struct pl_path dtls_path;           /* where DTLS last came from: the way back until a path is nominated */
	struct {
		uint8_t ice_reply[PL_ICE_REPLY_SIZE_MAX];
		size_t ice_reply_size;
		struct pl_path ice_reply_path;
		struct pl_bytes packet;
		bool has_heard, has_rtp, has_rtcp, has_path, has_dtls, has_connected, has_closed;
	} out;
};

enum { PL_TRANSPORT_HOT_SIZE = offsetof(struct pl_transport, ice.known[1]) };

/* PL_ERR_NONE: the transport is in NEW and must get pl_transport_fini.  Otherwise there is nothing to undo. */
PL_MUST_USE enum pl_err pl_transport_init(
	struct pl_transport *t, int64_t now_us, const struct pl_transport_config *config);
void pl_transport_fini(struct pl_transport *t);

/* ICE restart. */
void pl_transport_restart(struct pl_transport *t, const struct pl_ice_credentials *local, const char *remote_ufrag);

/* One datagram from the network.  RTP and RTCP are decrypted into out (at least datagram.size bytes, asserts), where
 * the packet of the output then lies; other protocols leave it alone.  The reason, counted by the caller, when it led to
 * nothing. */
PL_MUST_USE enum pl_drop pl_transport_feed(struct pl_transport *t, int64_t now_us, const struct pl_path *path,
	struct pl_bytes datagram, struct pl_span out);
void pl_transport_tick(struct pl_transport *t, int64_t now_us); /* call at or after the deadline */
bool pl_transport_next(struct pl_transport *t, struct pl_output *output);
int64_t pl_transport_deadline(const struct pl_transport *t); /* INT64_MAX when closed */

/* Ends the association: close_notify is sent (drain), then CLOSED with PL_CLOSE_LOCAL. */
void pl_transport_close(struct pl_transport *t, int64_t now_us);

/* What the handshake took of memory is given back. */
bool pl_transport_is_settled(const struct pl_transport *t);

/* The path media goes to; NULL before there is one. */
const struct pl_path *pl_transport_path(const struct pl_transport *t);

/* The session that protects RTP, for pl_srtp_protect_rtp_batch; NULL when not connected. */
struct pl_srtp *pl_transport_srtp(const struct pl_transport *t);

/* A hint that RTP of so many SSRCs is about to be sent through it; the first PL_TRANSPORT_HOT_SIZE bytes are read for that. */
void pl_transport_prefetch_srtp(const struct pl_transport *t, size_t ssrcs);

/* Protects into out (see pl_srtp_protect_rtcp).  0 when not connected. */
PL_MUST_USE size_t pl_transport_protect_rtcp(struct pl_transport *t, struct pl_bytes packet, struct pl_span out);

#endif
