/* A bounded queue of fixed-size messages between two threads: one writes, one reads, neither ever waits.  The eventfd
 * is written only when the reader may be asleep, so a busy pair makes no system call.
 * Thread: pl_ring_push from the one producer; pl_ring_pop, pl_ring_prepare_sleep and pl_ring_wake_up from the one consumer. */
#ifndef PL_SFU_IO_RING_H
#define PL_SFU_IO_RING_H

#include <stdatomic.h>

#include "media/base.h"
#include "media/err.h"

struct pl_ring {
	/* Written by the producer alone. */
	_Alignas(64) atomic_size_t tail;
	size_t head_seen; /* the producer's last look at head */
	/* Written by the consumer alone. */
	_Alignas(64) atomic_size_t head;
	size_t tail_seen;
	/* 1 while the consumer sleeps or is about to; whoever sets it to 0 knows of the other. */
	_Alignas(64) atomic_uint is_sleeping;
	/* Constant after create. */
	_Alignas(64) size_t mask, message_size;
	unsigned char *messages;
	int event_fd;
};

/* capacity: a power of two.  PL_ERR_NONE: the ring is to be destroyed with pl_ring_fini. */
PL_MUST_USE enum pl_err pl_ring_init(struct pl_ring *ring, size_t capacity, size_t message_size);
void pl_ring_fini(struct pl_ring *ring);

/* False when the ring is full: nothing was taken. */
PL_MUST_USE bool pl_ring_push(struct pl_ring *ring, const void *message);

/* How many messages fit now, at least; only the producer may ask. */
size_t pl_ring_room(struct pl_ring *ring);

/* False when the ring is empty. */
PL_MUST_USE bool pl_ring_pop(struct pl_ring *ring, void *message);

/* The consumer is about to wait for event_fd.  False: there are messages, do not wait. */
PL_MUST_USE bool pl_ring_prepare_sleep(struct pl_ring *ring);

/* Ends the consumer's wait without a message.  Any thread. */
void pl_ring_poke(struct pl_ring *ring);

/* The consumer is awake again: clears event_fd. */
void pl_ring_wake_up(struct pl_ring *ring);

#endif
