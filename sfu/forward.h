/* The way of one packet to everybody who hears it: one receiver a call, renumbered for its slot and encrypted
 * from the shared plaintext straight into the caller's room.
 * Pure: no allocation, no clock, no I/O.  Thread: the shard that owns the room. */
#ifndef PL_SFU_FORWARD_H
#define PL_SFU_FORWARD_H

#include "sfu/room.h"

enum {
	/* What pl_forward_next writes before a payload at most: 12 bytes, one CSRC, and an extension block with a
	 * mid of 16 bytes and a level, in either form of RFC 8285. */
	PL_FORWARD_HEADER_SIZE_MAX = 64,
	PL_FORWARD_PAYLOAD_SIZE_MAX = PL_DATAGRAM_SIZE_MAX - PL_FORWARD_HEADER_SIZE_MAX,
};

struct pl_forward {
	struct pl_participant *next; /* who is looked at next; NULL: no packet is under way */
	struct pl_rtp rtp;           /* as it came; its payload lives in the publisher's transport */
	struct pl_rtp_ext ext;       /* as it came */
	uint32_t source, track;
};

/* Starts a packet of a track that is on air, with a payload of at most PL_FORWARD_PAYLOAD_SIZE_MAX.  The payload must stay
 * where it is until pl_forward_next has returned PL_FORWARD_DONE. */
void pl_forward_start(struct pl_forward *f, const struct pl_room *room, const struct pl_track *track,
	const struct pl_rtp *rtp, const struct pl_rtp_ext *ext);

enum pl_forward_step { PL_FORWARD_SENT, PL_FORWARD_BEFORE_SWITCH, PL_FORWARD_DONE };

/* Goes on to the next receiver.  SENT: *size bytes are in room (at least PL_DATAGRAM_SIZE_MAX + PL_SRTP_OVERHEAD_MAX),
 * to be sent to *to.  BEFORE_SWITCH: a receiver did not get it, for that reason. */
enum pl_forward_step pl_forward_next(
	struct pl_forward *f, int64_t now_us, struct pl_span room, struct pl_participant **to, size_t *size);

#endif
