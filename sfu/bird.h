/* The client half of a canary: one that knocks (ICE), shakes hands (DTLS, active) and speaks SRTP, as a browser does, and no more
 * than that: one path, no repair, no bandwidth estimate.
 * Sans-IO: bytes and a time go in; after each call the outputs are drained with pl_bird_next.
 * Thread: the canary's. */
#ifndef PL_SFU_BIRD_H
#define PL_SFU_BIRD_H

#include "media/ice_check.h"
#include "media/transport.h"

struct pl_bird_config {
	const struct pl_dtls_identity *identity; /* its certificate; outlives it, as srtp does */
	struct pl_srtp_engine *srtp;
	const struct pl_fingerprint *server_fingerprint;
	struct pl_ice_credentials server;
	char ufrag[PL_ICE_LOCAL_UFRAG_SIZE]; /* its own */
};

enum pl_bird_state { PL_BIRD_CHECKING, PL_BIRD_HANDSHAKE, PL_BIRD_CONNECTED, PL_BIRD_FAILED };

struct pl_bird {
	enum pl_bird_state state;
	struct pl_bird_config config;
	struct pl_dtls *dtls;
	struct pl_srtp *srtp;
	struct pl_ice_check check;
	int64_t check_us, check_interval_us; /* when it knocks again */
	struct {
		bool has_check, has_dtls;
	} out;
};

/* Knocks at once.  PL_ERR_NONE: it must get pl_bird_fini. */
PL_MUST_USE enum pl_err pl_bird_init(struct pl_bird *bird, int64_t now_us, const struct pl_bird_config *config);
void pl_bird_fini(struct pl_bird *bird);

/* One datagram.  True when it was RTP: *rtp are views into room, which is at least as large. */
PL_MUST_USE bool pl_bird_feed(
	struct pl_bird *bird, int64_t now_us, struct pl_bytes datagram, struct pl_span room, struct pl_rtp *rtp);
void pl_bird_tick(struct pl_bird *bird, int64_t now_us);
int64_t pl_bird_deadline(const struct pl_bird *bird); /* INT64_MAX when idle */

/* The next datagram to send, valid until the next call; false when drained. */
PL_MUST_USE bool pl_bird_next(struct pl_bird *bird, struct pl_bytes *datagram);

/* Connected (asserts): protects a packet into room.  Returns its size; 0: the library refused. */
PL_MUST_USE size_t pl_bird_write(struct pl_bird *bird, const struct pl_rtp *rtp, const struct pl_rtp_ext *ext,
	const struct pl_rtp_ext_ids *ids, struct pl_span room);

#endif
