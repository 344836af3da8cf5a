#include "sfu/io/ring.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum pl_err pl_ring_init(struct pl_ring *ring, size_t capacity, size_t message_size)
{
	PL_ASSERT(capacity > 0 && (capacity & (capacity - 1)) == 0);
	memset(ring, 0, sizeof *ring);
	ring->mask = capacity - 1;
	ring->message_size = message_size;
	ring->messages = calloc(capacity, message_size);
	if (ring->messages == NULL)
		return PL_ERR_NO_MEMORY;
	ring->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (ring->event_fd < 0) {
		free(ring->messages);
		return PL_ERR_SOCKET;
	}
	/* Asleep until the consumer looks for the first time: a message before that is not missed. */
	atomic_init(&ring->is_sleeping, 1);
	return PL_ERR_NONE;
}

void pl_ring_fini(struct pl_ring *ring)
{
	close(ring->event_fd);
	free(ring->messages);
}

size_t pl_ring_room(struct pl_ring *ring)
{
	const size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
	return ring->mask + 1 - (tail - ring->head_seen);
}

void pl_ring_poke(struct pl_ring *ring)
{
	const uint64_t one = 1;
	const ssize_t written = write(ring->event_fd, &one, sizeof one);
	(void)written; /* a full counter is readable already */
}

bool pl_ring_push(struct pl_ring *ring, const void *message)
{
	const size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	if (tail - ring->head_seen > ring->mask && pl_ring_room(ring) == 0)
		return false;
	memcpy(ring->messages + (tail & ring->mask) * ring->message_size, message, ring->message_size);

	/* Sequentially consistent against prepare_sleep: either it sees this message, or the flag is seen here. */
	atomic_store_explicit(&ring->tail, tail + 1, memory_order_seq_cst);
	if (atomic_load_explicit(&ring->is_sleeping, memory_order_seq_cst) != 0 &&
		atomic_exchange_explicit(&ring->is_sleeping, 0, memory_order_acq_rel) != 0)
		pl_ring_poke(ring);
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

bool pl_ring_prepare_sleep(struct pl_ring *ring)
{
	atomic_store_explicit(&ring->is_sleeping, 1, memory_order_seq_cst);
	const size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	if (atomic_load_explicit(&ring->tail, memory_order_seq_cst) == head)
		return true;
	atomic_store_explicit(&ring->is_sleeping, 0, memory_order_relaxed);
	return false;
}

void pl_ring_wake_up(struct pl_ring *ring)
{
	atomic_store_explicit(&ring->is_sleeping, 0, memory_order_relaxed);
	uint64_t count;
	const ssize_t got = read(ring->event_fd, &count, sizeof count);
	(void)got; /* nothing to read: something else ended the wait */
}
