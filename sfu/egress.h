/* What leaves a shard: datagrams are written, encrypted, one behind the other into an arena that stays in the cache, and
 * those of equal size that follow each other to one peer become one train, which the kernel cuts (UDP_SEGMENT): the socket
 * stack's cost is paid once for all of them.
 * Pure: memory is inside, sending is sfu/io/udp.h.  Thread: the shard that owns it. */
#ifndef PL_SFU_EGRESS_H
#define PL_SFU_EGRESS_H

#include "media/addr.h"
#include "media/srtp.h"

enum {
	PL_EGRESS_DATAGRAM_MAX = PL_DATAGRAM_SIZE_MAX + PL_SRTP_OVERHEAD_MAX,
	PL_EGRESS_TRAINS_MAX = 128,        /* a sendmmsg call */
	PL_EGRESS_SEGMENTS_MAX = 64,       /* of a train, UDP_MAX_SEGMENTS of the kernel */
	PL_EGRESS_TRAIN_BYTES_MAX = 60000, /* of a train: an IP packet before it is cut */
	PL_EGRESS_ARENA_BYTES = 128 << 10, /* half of a usual L2 cache */
};

/* One message for the kernel. */
struct pl_egress_train {
	struct pl_path path;
	uint32_t offset, size; /* in the arena */
	uint16_t segment;      /* size of each datagram but the last, which may be shorter */
	uint16_t count;        /* datagrams */
};

struct pl_egress {
	uint32_t used, count;
	bool has_trains; /* false: every datagram is a message of its own */
	struct pl_egress_train train[PL_EGRESS_TRAINS_MAX];
	_Alignas(64) uint8_t arena[PL_EGRESS_ARENA_BYTES];
};

void pl_egress_init(struct pl_egress *egress, bool has_trains);

/* True when it has to be sent before another datagram is written, behind so many that are reserved. */
static inline bool pl_egress_is_full_with(const struct pl_egress *egress, uint32_t reserved)
{
	return egress->count + reserved >= PL_EGRESS_TRAINS_MAX ||
	       egress->used > PL_EGRESS_ARENA_BYTES - PL_EGRESS_DATAGRAM_MAX;
}

static inline bool pl_egress_is_full(const struct pl_egress *egress)
{
	return pl_egress_is_full_with(egress, 0);
}

/* Where the next datagram is to be written, PL_EGRESS_DATAGRAM_MAX bytes.  Not when full (asserts). */
struct pl_span pl_egress_room(struct pl_egress *egress);

/* The first size bytes there, 1 to PL_EGRESS_DATAGRAM_MAX, are a datagram for path. */
void pl_egress_push(struct pl_egress *egress, const struct pl_path *path, size_t size);

/* The same in two steps, for datagrams that are encrypted together: room for one of size bytes, not when full with so many
 * reserved (asserts); and then, in the same order, those of the reserved that are to be sent. */
struct pl_span pl_egress_reserve(struct pl_egress *egress, size_t size, uint32_t reserved);
void pl_egress_commit(struct pl_egress *egress, const struct pl_path *path, struct pl_span datagram);

/* Everything was sent. */
void pl_egress_clear(struct pl_egress *egress);

#endif
