/* Equal blocks of memory out of a region that the caller brings: what was given back last is given out first, since it is
 * still in the cache, and a block that was never needed is never touched, so it costs address space but no memory.
 * Pure: no allocation, no clock, no I/O.  Thread: its owner's. */
#ifndef PL_MEDIA_BLOCKS_H
#define PL_MEDIA_BLOCKS_H

#include "media/base.h"

enum { PL_BLOCKS_ALIGN = 64 };

struct pl_blocks {
	uint8_t *region;
	void *free;      /* given back, the last one first */
	size_t size;     /* of one, a multiple of PL_BLOCKS_ALIGN */
	uint32_t count;  /* the bound */
	uint32_t fresh;  /* the first one that was never touched: blocks from here on cost nothing yet */
	uint32_t used;   /* now */
	uint32_t most;   /* ever used at a time */
	uint64_t denied; /* times that there was none */
};

/* The bytes that count blocks of block_size need; block_size is rounded up to PL_BLOCKS_ALIGN. */
size_t pl_blocks_bytes(size_t block_size, uint32_t count);

/* memory: pl_blocks_bytes of it, aligned to PL_BLOCKS_ALIGN (asserts), the pool's as long as it lives; it is not written to.
 * block_size: at least 1.  count 0: always denied. */
void pl_blocks_init(struct pl_blocks *blocks, struct pl_span memory, size_t block_size, uint32_t count);

/* What of it was ever touched. */
static inline size_t pl_blocks_touched_bytes(const struct pl_blocks *blocks)
{
	return blocks->fresh * blocks->size;
}

/* One block, its contents undefined, or NULL when all are in use (counted). */
PL_MUST_USE void *pl_blocks_acquire(struct pl_blocks *blocks);

/* block: acquired from here and not given back yet. */
void pl_blocks_release(struct pl_blocks *blocks, void *block);

#endif
