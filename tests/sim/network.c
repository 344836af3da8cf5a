#include "tests/sim/network.h"

#include <stdlib.h>
#include <string.h>

#include "media/rng.h"

struct parcel {
	int64_t due_us;
	uint64_t order; /* of two that arrive at the same moment the first sent comes first */
	struct pl_path path;
	size_t size;
	uint8_t bytes[PL_DATAGRAM_SIZE_MAX];
};

struct pl_network {
	struct pl_rng rng;
	uint64_t order;
	struct pl_network_counters counters;
	size_t capacity, count, free_count;
	struct parcel *parcels;
	uint32_t *heap; /* indices of parcels, the earliest first */
	uint32_t *free;
	struct parcel taken; /* what pl_network_receive handed out last */
};

static void *allocate(size_t count, size_t size)
{
	void *memory = calloc(count, size);
	if (memory == NULL)
		abort();
	return memory;
}

struct pl_network *pl_network_create(uint64_t seed, size_t capacity)
{
	PL_ASSERT(capacity > 0 && capacity <= UINT32_MAX);
	struct pl_network *n = allocate(1, sizeof *n);
	pl_rng_init(&n->rng, seed);
	n->capacity = capacity;
	n->parcels = allocate(capacity, sizeof *n->parcels);
	n->heap = allocate(capacity, sizeof *n->heap);
	n->free = allocate(capacity, sizeof *n->free);
	for (size_t i = 0; i < capacity; i++)
		n->free[n->free_count++] = (uint32_t)(capacity - 1 - i);
	return n;
}

void pl_network_destroy(struct pl_network **network)
{
	if (*network == NULL)
		return;
	free((*network)->parcels);
	free((*network)->heap);
	free((*network)->free);
	free(*network);
	*network = NULL;
}

static bool is_before(const struct pl_network *n, uint32_t a, uint32_t b)
{
	const struct parcel *x = &n->parcels[a], *y = &n->parcels[b];
	return x->due_us != y->due_us ? x->due_us < y->due_us : x->order < y->order;
}

static void heap_push(struct pl_network *n, uint32_t parcel)
{
	size_t at = n->count++;
	while (at > 0 && is_before(n, parcel, n->heap[(at - 1) / 2])) {
		n->heap[at] = n->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	n->heap[at] = parcel;
}

static uint32_t heap_pop(struct pl_network *n)
{
	const uint32_t top = n->heap[0], last = n->heap[--n->count];
	size_t at = 0;
	for (;;) {
		size_t child = 2 * at + 1;
		if (child >= n->count)
			break;
		if (child + 1 < n->count && is_before(n, n->heap[child + 1], n->heap[child]))
			child++;
		if (!is_before(n, n->heap[child], last))
			break;
		n->heap[at] = n->heap[child];
		at = child;
	}
	n->heap[at] = last;
	return top;
}

static bool happens(struct pl_network *n, uint32_t permille)
{
	return pl_rng_below(&n->rng, 1000) < permille;
}

static void post(struct pl_network *n, int64_t now_us, const struct pl_network_link *link, const struct pl_path *path,
	struct pl_bytes datagram)
{
	const int64_t jitter_us = link->jitter_us > 0 ? pl_rng_below(&n->rng, (uint32_t)link->jitter_us + 1) : 0;
	if (n->free_count == 0) {
		n->counters.overflowed++;
		return;
	}
	const uint32_t index = n->free[--n->free_count];
	struct parcel *p = &n->parcels[index];
	p->due_us = now_us + link->delay_us + jitter_us;
	p->order = n->order++;
	p->path = *path;
	p->size = datagram.size;
	memcpy(p->bytes, datagram.data, datagram.size);
	heap_push(n, index);
}

void pl_network_send(struct pl_network *n, int64_t now_us, const struct pl_network_link *link,
	const struct pl_path *path, struct pl_bytes datagram)
{
	PL_ASSERT(datagram.size > 0 && datagram.size <= PL_DATAGRAM_SIZE_MAX);
	/* Both are drawn each time, so that one link's luck does not shift another's. */
	const bool is_lost = happens(n, link->loss_permille), is_twice = happens(n, link->duplicate_permille);
	n->counters.sent++;
	if (is_lost) {
		n->counters.lost++;
		return;
	}
	post(n, now_us, link, path, datagram);
	if (is_twice) {
		n->counters.duplicated++;
		post(n, now_us, link, path, datagram);
	}
}

bool pl_network_receive(struct pl_network *n, int64_t now_us, struct pl_path *path, struct pl_bytes *datagram)
{
	if (pl_network_deadline(n) > now_us)
		return false;
	const uint32_t index = heap_pop(n);
	n->taken = n->parcels[index];
	n->free[n->free_count++] = index;
	n->counters.delivered++;
	*path = (struct pl_path){ .remote = n->taken.path.local, .local = n->taken.path.remote };
	*datagram = (struct pl_bytes){ n->taken.bytes, n->taken.size };
	return true;
}

int64_t pl_network_deadline(const struct pl_network *n)
{
	return n->count > 0 ? n->parcels[n->heap[0]].due_us : INT64_MAX;
}

const struct pl_network_counters *pl_network_counters(const struct pl_network *n)
{
	return &n->counters;
}
