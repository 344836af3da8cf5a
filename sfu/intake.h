/* What comes in: a datagram finds its participant, and what the participant's transport made of it finds its track.
 * Pure: no allocation, no clock, no I/O.  Thread: the shard that owns the conference. */
#ifndef PL_SFU_INTAKE_H
#define PL_SFU_INTAKE_H

#include "sfu/conference_state.h"

/* Gives one datagram to the transport it belongs to, which then may have outputs. */
PL_MUST_USE enum pl_drop pl_intake_feed(
	struct pl_conference *c, int64_t now_us, const struct pl_path *path, struct pl_bytes datagram);

/* Takes one decrypted packet of a live participant; when it is to be heard, c->forward is started with it. */
PL_MUST_USE enum pl_drop pl_intake_rtp(
	struct pl_conference *c, struct pl_participant *p, int64_t now_us, struct pl_bytes packet);
PL_MUST_USE enum pl_drop pl_intake_rtcp(
	struct pl_conference *c, struct pl_participant *p, int64_t now_us, struct pl_bytes packet);

#endif
