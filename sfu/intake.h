/* What comes in: a datagram finds its participant, and what the participant's transport made of it finds its track.
 * Pure: no allocation, no clock, no I/O.  Thread: the shard that owns the conference. */
#ifndef PL_SFU_INTAKE_H
#define PL_SFU_INTAKE_H

#include "sfu/conference_state.h"

/* Gives one datagram to the transport it belongs to.  An RTP packet that is to be heard is added to c->forward; after STUN
 * and DTLS the transport may have outputs. */
PL_MUST_USE enum pl_drop pl_intake_feed(
	struct pl_conference *c, int64_t now_us, const struct pl_path *path, struct pl_bytes datagram);

/* Does one step of one of the handshakes that wait; its transport then may have outputs. */
PL_MUST_USE enum pl_drop pl_intake_handshake(struct pl_conference *c, int64_t now_us);

#endif
