/* A shard's packet buffers: all of one size, taken once at start, counted by references, and reused last in, first out,
 * so that the next packet finds its buffer in the cache.
 *
 * Below the low watermark (5 % free) packets from outside are refused until the high one (10 %) is reached again: a pool
 * that runs dry fails early and by name, never in the middle of something.  The rest is a reserve for what was accepted already.
 * Pure: memory comes from the caller.  Thread: the shard that owns it; references are not atomic, and a packet that another
 * shard reads is held by its owner until that one is done with it. */
#ifndef PL_MEDIA_POOL_H
#define PL_MEDIA_POOL_H

#include "media/base.h"
#include "media/mix.h"

enum {
	PL_PACKET_HEADROOM = 64, /* before the data: for headers that are put in front of a payload */
	PL_PACKET_SIZE = 1792,   /* of one buffer with all that describes it: whole cache lines */
	PL_POOL_PACKETS_MIN = 64,
	PL_POOL_PACKETS_MAX = 1 << 20,
	PL_POOL_LOW_PERCENT = 5,
	PL_POOL_HIGH_PERCENT = 10,
};

/* One RTP packet as it came, decrypted, with what forwarding needs to know; or any other datagram that waits. */
struct pl_packet {
	_Alignas(64) struct pl_packet *next; /* in the free list, or in its holder's queue */
	uint32_t references;                 /* 0 in the free list */
	uint32_t source, track;              /* of the talker: who sent it and on which track */
	uint32_t ssrc, ts;
	uint16_t seq;
	bool marker;
	bool has_level, is_voice;
	uint8_t level;         /* -dBov, RFC 6464 */
	uint8_t mix_group;     /* of a talker who hears a mix itself: its enum pl_mix_group + 1; 0: it does not */
	uint8_t coding;        /* enum pl_coding */
	union {                /* by coding */
		uint32_t bps;  /* Opus: what its talker was measured to send, on average (media/bitrate.h) */
		uint8_t spurt; /* G.711: so many packets after the last left out as silence; 0: it goes on */
	};
	struct pl_bytes payload; /* in data */
	/* Its first words are what each packet is asked, and end the cache line. */
	struct pl_mix mix;
	uint8_t headroom[PL_PACKET_HEADROOM];
	uint8_t data[PL_DATAGRAM_SIZE_MAX];
};
_Static_assert(sizeof(struct pl_packet) <= PL_PACKET_SIZE, "a packet fits its buffer");
_Static_assert(offsetof(struct pl_packet, mix.except) <= 64, "what forwarding reads of every packet is one cache line");

struct pl_pool {
	struct pl_packet *free; /* given back, the last one first */
	uint8_t *fresh;         /* the first that was never touched: it costs no memory yet */
	uint32_t capacity, free_count;
	uint32_t low, high; /* watermarks, in packets that are free */
	bool is_low;        /* since the low watermark, until the high one */
	uint64_t low_count; /* times that it became low */
	uint32_t free_min;  /* fewest that were free since pl_pool_used_lately was asked last */
	uint32_t free_ever; /* ... and ever before */
};

/* The bytes that a pool of so many packets needs. */
size_t pl_pool_bytes(uint32_t packets);

/* memory: pl_pool_bytes(packets), aligned to 64, the pool's as long as it lives.  packets: PL_POOL_PACKETS_MIN to
 * PL_POOL_PACKETS_MAX (asserts). */
void pl_pool_init(struct pl_pool *pool, struct pl_span memory, uint32_t packets);

/* A buffer for a packet from outside, with one reference, or NULL while the pool is low.  It is nobody's mix: mix, mix_group,
 * coding and bps are zero, as far as counts say that they are used; the rest is as its last holder left it. */
struct pl_packet *pl_pool_take(struct pl_pool *pool);

/* A buffer for what was accepted before, or NULL when there is none at all. */
struct pl_packet *pl_pool_take_reserve(struct pl_pool *pool);

static inline void pl_packet_hold(struct pl_packet *packet)
{
	packet->references++;
}

/* Gives one reference back; the last one frees the buffer. */
void pl_pool_release(struct pl_pool *pool, struct pl_packet *packet);

static inline uint32_t pl_pool_used(const struct pl_pool *pool)
{
	return pool->capacity - pool->free_count;
}

/* The most that were ever in use at a time. */
static inline uint32_t pl_pool_used_max(const struct pl_pool *pool)
{
	return pool->capacity - (pool->free_min < pool->free_ever ? pool->free_min : pool->free_ever);
}

/* The most that were in use at a time since this was asked last. */
uint32_t pl_pool_used_lately(struct pl_pool *pool);

#endif
