/* The way of packets to everybody who hears them.  The packets of a turn are gathered by room; then each member gets all of
 * its packets in a row, each renumbered for its slot and encrypted from the shared plaintext straight into the caller's
 * room: what a member's keys and slots take of the cache is fetched once a turn, and its datagrams can leave as one train.
 * Pure: no allocation, no clock, no I/O.  Thread: the shard that owns the rooms. */
#ifndef PL_SFU_FORWARD_H
#define PL_SFU_FORWARD_H

#include "sfu/room.h"

enum {
	/* A longer payload would not fit a datagram with the headers that a slot needs. */
	PL_FORWARD_PAYLOAD_SIZE_MAX = PL_DATAGRAM_SIZE_MAX - PL_RTP_TEMPLATE_SIZE_MAX,
	PL_FORWARD_BATCH_MAX = 128, /* packets on their way at a time */
};

struct pl_forward {
	struct pl_pool *pool;
	struct pl_queue rooms; /* those with a batch */
	uint32_t count;        /* packets in all batches */
	/* Where the walk stands: room is the first of rooms, or NULL before it is begun. */
	struct pl_room *room;
	struct pl_participant *member;
	struct pl_packet *packet;
};

void pl_forward_init(struct pl_forward *f, struct pl_pool *pool);

/* Adds a packet, and the caller's reference to it, with a payload of at most PL_FORWARD_PAYLOAD_SIZE_MAX, to the room's batch.
 * There must be room (pl_forward_is_full), and no walk under way (asserts). */
void pl_forward_add(struct pl_forward *f, struct pl_room *room, struct pl_packet *packet);

static inline bool pl_forward_is_full(const struct pl_forward *f)
{
	return f->count == PL_FORWARD_BATCH_MAX;
}

static inline bool pl_forward_is_empty(const struct pl_forward *f)
{
	return f->count == 0;
}

enum pl_forward_step { PL_FORWARD_SENT, PL_FORWARD_BEFORE_SWITCH, PL_FORWARD_DONE };

/* Goes on to the next member's next packet.  SENT: *size bytes are in out (at least PL_DATAGRAM_SIZE_MAX +
 * PL_SRTP_OVERHEAD_MAX), to be sent to *to.  BEFORE_SWITCH: a member did not get one, for that reason.  DONE: all
 * batches are empty. */
enum pl_forward_step pl_forward_next(
	struct pl_forward *f, int64_t now_us, struct pl_span out, struct pl_participant **to, size_t *size);

/* The room is about to end: its batch is given up. */
void pl_forward_drop(struct pl_forward *f, struct pl_room *room);

#endif
