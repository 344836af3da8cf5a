/* A bounded queue of fixed-size messages between two threads: one writes, one reads, neither ever waits.  A reader of
 * many rings has one waker for all of them; its eventfd is written only when the reader may be asleep, so a busy pair
 * makes no system call.
 * Thread: pl_ring_push and pl_ring_room from the one producer; all else but pl_waker_poke from the one consumer, or
 * before and after the other thread's life.  Rings of one waker may be made and ended by many threads at the same time, while
 * its consumer neither sleeps nor is about to. */
#ifndef PL_SFU_IO_RING_H
#define PL_SFU_IO_RING_H

#include <pthread.h>
#include <stdatomic.h>

#include "media/base.h"
#include "media/err.h"

struct pl_ring;

/* What a consumer sleeps on. */
struct pl_waker {
	/* 1 while the consumer sleeps or is about to; whoever sets it to 0 knows of the other. */
	_Alignas(64) atomic_uint is_sleeping;
	/* Constant after init. */
	_Alignas(64) int event_fd;
	struct pl_ring *rings;      /* linked by next; the consumer alone looks at the list */
	pthread_mutex_t rings_lock; /* of who makes or ends a ring */
};

struct pl_ring {
	/* Written by the producer alone. */
	_Alignas(64) atomic_size_t tail;
	size_t head_seen; /* the producer's last look at head */
	/* Written by the consumer alone. */
	_Alignas(64) atomic_size_t head;
	size_t tail_seen;
	struct pl_ring *next;
	/* Constant after init. */
	_Alignas(64) size_t mask, message_size;
	unsigned char *messages;
	struct pl_waker *waker;
};

/* PL_ERR_NONE: the waker is to be destroyed with pl_waker_fini, after its rings.  PL_ERR_SOCKET: errno tells why. */
PL_MUST_USE enum pl_err pl_waker_init(struct pl_waker *waker);
void pl_waker_fini(struct pl_waker *waker);

/* The consumer is about to wait for event_fd.  False: a ring has messages, do not wait. */
PL_MUST_USE bool pl_waker_prepare_sleep(struct pl_waker *waker);

/* The consumer is awake again: clears event_fd. */
void pl_waker_wake_up(struct pl_waker *waker);

/* The same after a wait that something else ended, with event_fd not readable: there is nothing to clear. */
void pl_waker_stay_awake(struct pl_waker *waker);

/* Ends the consumer's wait without a message.  Any thread. */
void pl_waker_poke(struct pl_waker *waker);

/* waker: of the ring's consumer.  capacity: a power of two.  PL_ERR_NONE: the ring is to be destroyed with pl_ring_fini. */
PL_MUST_USE enum pl_err pl_ring_init(
	struct pl_ring *ring, struct pl_waker *waker, size_t capacity, size_t message_size);
void pl_ring_fini(struct pl_ring *ring);

static inline size_t pl_ring_bytes(const struct pl_ring *ring)
{
	return (ring->mask + 1) * ring->message_size;
}

/* False when the ring is full: nothing was taken. */
PL_MUST_USE bool pl_ring_push(struct pl_ring *ring, const void *message);

/* How many messages fit now, at least; only the producer may ask.  Exact when less than half of the ring is free, as it sees it. */
size_t pl_ring_room(struct pl_ring *ring);

/* How many messages wait, exactly: it fetches the consumer's cache line.  Only the producer. */
static inline size_t pl_ring_used(const struct pl_ring *ring)
{
	return atomic_load_explicit(&ring->tail, memory_order_relaxed) -
	       atomic_load_explicit(&ring->head, memory_order_relaxed);
}

/* False when the ring is empty. */
PL_MUST_USE bool pl_ring_pop(struct pl_ring *ring, void *message);

/* How many messages the consumer has seen and not taken yet: all there are after a pop or peek that found none, else some of
 * them.  Only the consumer. */
static inline size_t pl_ring_waiting(const struct pl_ring *ring)
{
	return ring->tail_seen - atomic_load_explicit(&ring->head, memory_order_relaxed);
}

/* For messages that are used where they lie.  The consumer looks at the message `ahead` behind the oldest, NULL when there
 * are not so many, and takes the oldest count together when it is done with them. */
const void *pl_ring_peek(struct pl_ring *ring, size_t ahead);
void pl_ring_take(struct pl_ring *ring, size_t count);

/* How many messages the consumer has taken since init; what it read and wrote before is visible.  Only the producer. */
size_t pl_ring_taken(const struct pl_ring *ring);
/* The message number index since init: a taken one that no push has overwritten yet.  Only the producer. */
const void *pl_ring_at(const struct pl_ring *ring, size_t index);

#endif
