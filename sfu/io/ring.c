#include "sfu/io/ring.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* No wake-up is lost.  The consumer sets is_sleeping and then looks at every tail; a producer moves its tail and then
 * looks at is_sleeping; all four are sequentially consistent, so there is one order of them.  In it either the
 * producer's look comes after the flag was set, and it sees the flag, or it comes before, and then so does its tail,
 * which the consumer's look comes after: it sees the message and does not sleep.
 *
 * Of many producers that see the flag, the one whose exchange takes it writes the eventfd, and the others rely on that
 * one.  It may be slow: then its exchange takes the flag of a later sleep than the one it saw.  That costs an
 * unneeded wake-up and loses none, because whoever takes a flag writes after it, whatever it saw before.  And a
 * producer that sees the flag taken has moved its tail before: the consumer, awake by that write, looks at all tails
 * again before it sleeps. */

enum pl_err pl_waker_init(struct pl_waker *waker)
{
	memset(waker, 0, sizeof *waker);
	waker->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (waker->event_fd < 0)
		return PL_ERR_SOCKET;
	pthread_mutex_init(&waker->rings_lock, NULL); /* cannot fail */
	/* Asleep until the consumer looks for the first time: a message before that is not missed. */
	atomic_init(&waker->is_sleeping, 1);
	return PL_ERR_NONE;
}

void pl_waker_fini(struct pl_waker *waker)
{
	PL_ASSERT(waker->rings == NULL);
	pthread_mutex_destroy(&waker->rings_lock);
	close(waker->event_fd);
}

bool pl_waker_prepare_sleep(struct pl_waker *waker)
{
	atomic_store_explicit(&waker->is_sleeping, 1, memory_order_seq_cst);
	for (struct pl_ring *ring = waker->rings; ring != NULL; ring = ring->next) {
		const size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
		if (atomic_load_explicit(&ring->tail, memory_order_seq_cst) == head)
			continue;
		atomic_store_explicit(&waker->is_sleeping, 0, memory_order_relaxed);
		return false;
	}
	return true;
}

void pl_waker_stay_awake(struct pl_waker *waker)
{
	atomic_store_explicit(&waker->is_sleeping, 0, memory_order_relaxed);
}

void pl_waker_wake_up(struct pl_waker *waker)
{
	pl_waker_stay_awake(waker);
	uint64_t count;
	const ssize_t got = read(waker->event_fd, &count, sizeof count);
	(void)got; /* nothing to read: something else ended the wait */
}

void pl_waker_poke(struct pl_waker *waker)
{
	const uint64_t one = 1;
	const ssize_t written = write(waker->event_fd, &one, sizeof one);
	(void)written; /* a full counter is readable already */
}

enum pl_err pl_ring_init(struct pl_ring *ring, struct pl_waker *waker, size_t capacity, size_t message_size)
{
	PL_ASSERT(capacity > 0 && (capacity & (capacity - 1)) == 0);
	memset(ring, 0, sizeof *ring);
	ring->mask = capacity - 1;
	ring->message_size = message_size;
	ring->messages = calloc(capacity, message_size);
	if (ring->messages == NULL)
		return PL_ERR_NO_MEMORY;
	ring->waker = waker;
	pthread_mutex_lock(&waker->rings_lock);
	ring->next = waker->rings;
	waker->rings = ring;
	pthread_mutex_unlock(&waker->rings_lock);
	return PL_ERR_NONE;
}

void pl_ring_fini(struct pl_ring *ring)
{
	struct pl_waker *waker = ring->waker;
	pthread_mutex_lock(&waker->rings_lock);
	struct pl_ring **link = &waker->rings;
	while (*link != ring)
		link = &(*link)->next;
	*link = ring->next;
	pthread_mutex_unlock(&waker->rings_lock);
	free(ring->messages);
}

size_t pl_ring_room(struct pl_ring *ring)
{
	const size_t capacity = ring->mask + 1, tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	/* The consumer's cache line is fetched only when the answer may matter. */
	if (tail - ring->head_seen > capacity / 2)
		ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
	return capacity - (tail - ring->head_seen);
}

bool pl_ring_push(struct pl_ring *ring, const void *message)
{
	const size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	if (tail - ring->head_seen > ring->mask && pl_ring_room(ring) == 0)
		return false;
	memcpy(ring->messages + (tail & ring->mask) * ring->message_size, message, ring->message_size);

	struct pl_waker *waker = ring->waker;
	atomic_store_explicit(&ring->tail, tail + 1, memory_order_seq_cst);
	if (atomic_load_explicit(&waker->is_sleeping, memory_order_seq_cst) != 0 &&
		atomic_exchange_explicit(&waker->is_sleeping, 0, memory_order_acq_rel) != 0)
		pl_waker_poke(waker);
	return true;
}

bool pl_ring_pop(struct pl_ring *ring, void *message)
{
	const size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	if (head == ring->tail_seen) {
		ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
		if (head == ring->tail_seen)
			return false;
	}
	memcpy(message, ring->messages + (head & ring->mask) * ring->message_size, ring->message_size);
	atomic_store_explicit(&ring->head, head + 1, memory_order_release);
	return true;
}

const void *pl_ring_peek(struct pl_ring *ring, size_t ahead)
{
	const size_t at = atomic_load_explicit(&ring->head, memory_order_relaxed) + ahead;
	/* Numbers wrap: compared by their distance. */
	if (ring->tail_seen - at - 1 > ring->mask) {
		ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
		if (ring->tail_seen - at - 1 > ring->mask)
			return NULL;
	}
	return ring->messages + (at & ring->mask) * ring->message_size;
}

void pl_ring_take(struct pl_ring *ring, size_t count)
{
	const size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	PL_ASSERT(count <= ring->tail_seen - head);
	atomic_store_explicit(&ring->head, head + count, memory_order_release);
}

size_t pl_ring_taken(const struct pl_ring *ring)
{
	return atomic_load_explicit(&ring->head, memory_order_acquire);
}

const void *pl_ring_at(const struct pl_ring *ring, size_t index)
{
	return ring->messages + (index & ring->mask) * ring->message_size;
}
