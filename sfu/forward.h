/* The way of packets to everybody who hears them.  The packets of a turn are gathered by room; then each member gets all of
 * its packets in a row, each renumbered for its slot and encrypted from the shared plaintext straight into the
 * egress arena: what a member's keys and slots take of the cache is fetched once a turn, and its datagrams can leave as one train.
 * Pure: no allocation, no clock, no I/O.  Thread: the shard that owns the rooms. */
#ifndef PL_SFU_FORWARD_H
#define PL_SFU_FORWARD_H

#include "sfu/egress.h"
#include "sfu/room.h"

_Static_assert((int)PL_RTP_TEMPLATE_CSRC_MAX >= (int)PL_MIX_CSRC_MAX, "a header names all who are in a mix");

enum {
	/* A longer payload would not fit a datagram with the headers that a slot needs. */
	PL_FORWARD_PAYLOAD_SIZE_MAX = PL_DATAGRAM_SIZE_MAX - PL_RTP_TEMPLATE_SIZE_MAX,
	PL_FORWARD_BATCH_MAX = 128, /* packets on their way at a time */
	PL_FORWARD_JOBS_MAX = 32,   /* encrypted together: what makes HMAC-SHA1 fast, and a train whole */
};

/* A packet in a room's batch.  Another shard's is borrowed, and only read. */
struct pl_forward_entry {
	struct pl_packet *packet;
	bool is_borrowed;
	bool is_met;  /* a member has a slot for it: how it ended is told for each of them */
	uint8_t next; /* index + 1 of the room's next; 0: none */
};

struct pl_forward {
	struct pl_pool *pool;
	uint64_t *drop;        /* the owner's counters, by reason */
	struct pl_queue rooms; /* those with a batch */
	struct pl_queue ended; /* those whose batch was walked, and is encrypted before it is given back */
	uint32_t count;        /* entries that are used; all are free when the last batch is done */
	/* Where the walk stands: room is the first of rooms, or NULL before it is begun. */
	struct pl_room *room;
	struct pl_participant *member;
	uint8_t at; /* index + 1 of the packet that is next; 0: none */
	struct pl_forward_entry entry[PL_FORWARD_BATCH_MAX];
};
_Static_assert(PL_FORWARD_BATCH_MAX < UINT8_MAX, "an index fits");

/* drop: PL_DROP_COUNT counters. */
void pl_forward_init(struct pl_forward *f, struct pl_pool *pool, uint64_t *drop);

/* Adds a packet, and the caller's reference to it, with a payload of at most PL_FORWARD_PAYLOAD_SIZE_MAX, to the room's batch.
 * There must be room (pl_forward_is_full), and no walk under way (asserts). */
void pl_forward_add(struct pl_forward *f, struct pl_room *room, struct pl_packet *packet);

/* The same with a packet that its owner keeps for us until all batches are empty. */
void pl_forward_borrow(struct pl_forward *f, struct pl_room *room, const struct pl_packet *packet);

static inline bool pl_forward_is_full(const struct pl_forward *f)
{
	return f->count == PL_FORWARD_BATCH_MAX;
}

static inline bool pl_forward_is_empty(const struct pl_forward *f)
{
	return f->count == 0;
}

/* What a step did. */
struct pl_forward_step {
	struct pl_participant *to[PL_FORWARD_JOBS_MAX]; /* who got a packet; the same one for each */
	size_t sent, bytes;
};

/* Goes on to the next members' packets, PL_FORWARD_JOBS_MAX at most, encrypts them together and pushes them.  False when
 * there were none: all batches are empty, or egress is full. */
bool pl_forward_next(struct pl_forward *f, int64_t now_us, struct pl_egress *egress, struct pl_forward_step *step);

/* The room is about to end: its batch is given up. */
void pl_forward_drop(struct pl_forward *f, struct pl_room *room);

#endif
