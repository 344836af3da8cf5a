#include "media/pool.h"

size_t pl_pool_bytes(uint32_t packets)
{
	return (size_t)packets * PL_PACKET_SIZE;
}

void pl_pool_init(struct pl_pool *pool, struct pl_span memory, uint32_t packets)
{
	PL_ASSERT(packets >= PL_POOL_PACKETS_MIN && packets <= PL_POOL_PACKETS_MAX);
	PL_ASSERT(memory.size >= pl_pool_bytes(packets) && (uintptr_t)memory.data % 64 == 0);
	*pool = (struct pl_pool){
		.fresh = memory.data,
		.capacity = packets,
		.free_count = packets,
		.free_min = packets,
		.free_ever = packets,
		.low = packets * PL_POOL_LOW_PERCENT / 100,
		.high = packets * PL_POOL_HIGH_PERCENT / 100,
	};
}

struct pl_packet *pl_pool_take_reserve(struct pl_pool *pool)
{
	if (pool->free_count == 0)
		return NULL;
	/* Without one that was given back, all that are free are fresh. */
	struct pl_packet *packet = pool->free;
	if (packet != NULL) {
		PL_ASSERT(packet->references == 0);
		pool->free = packet->next;
	} else {
		packet = (struct pl_packet *)(void *)pool->fresh;
		pool->fresh += PL_PACKET_SIZE;
	}
	pool->free_count--;
	if (pool->free_count < pool->free_min)
		pool->free_min = pool->free_count;
	packet->references = 1;
	packet->next = NULL;
	packet->mix_group = 0;
	packet->coding = PL_CODING_OPUS;
	packet->bps = 0;
	packet->mix.only = 0;
	packet->mix.except_count = packet->mix.csrc_count = 0;
	return packet;
}

struct pl_packet *pl_pool_take(struct pl_pool *pool)
{
	if (pool->is_low)
		return NULL;
	if (pool->free_count <= pool->low) {
		pool->is_low = true;
		pool->low_count++;
		return NULL;
	}
	return pl_pool_take_reserve(pool);
}

void pl_pool_release(struct pl_pool *pool, struct pl_packet *packet)
{
	PL_ASSERT(packet->references > 0);
	if (--packet->references > 0)
		return;
	packet->next = pool->free;
	pool->free = packet;
	pool->free_count++;
	if (pool->free_count >= pool->high)
		pool->is_low = false;
}

uint32_t pl_pool_used_lately(struct pl_pool *pool)
{
	const uint32_t used = pool->capacity - pool->free_min;
	pool->free_ever = pool->capacity - pl_pool_used_max(pool);
	pool->free_min = pool->free_count;
	return used;
}
