/* What comes in: a datagram finds its participant, and what the participant's transport made of it finds its track.
 * Pure: no allocation, no clock, no I/O.  Thread: the shard that owns the conference. */
#ifndef PL_SFU_INTAKE_H
#define PL_SFU_INTAKE_H

#include "sfu/conference_state.h"

/* Gives one datagram to the transport it belongs to.  An RTP packet that is to be heard is added to c->forward; after STUN
 * and DTLS the transport may have outputs. */
PL_MUST_USE enum pl_drop pl_intake_feed(
	struct pl_conference *c, int64_t now_us, const struct pl_path *path, struct pl_bytes datagram);

/* Notes the level that a packet tells, or seems to have, and says whether it is to be heard. */
bool pl_intake_is_heard(
	struct pl_room *room, struct pl_speaker *speaker, int64_t now_us, const struct pl_packet *packet);

/* What a member publishes goes to everybody who is to hear it, by way of home or a codec worker where need be; the caller
 * keeps its reference.  PL_DROP_NONE: whatever becomes of it now is counted where it ends. */
PL_MUST_USE enum pl_drop pl_intake_publish(struct pl_conference *c, struct pl_room *room, struct pl_speaker *speaker,
	int64_t now_us, struct pl_packet *packet);

/* Does one step of one of the handshakes that wait; its transport then may have outputs. */
PL_MUST_USE enum pl_drop pl_intake_handshake(struct pl_conference *c, int64_t now_us);

#endif
