#include "media/blocks.h"

#include <string.h>

static size_t rounded(size_t size)
{
	return (size + PL_BLOCKS_ALIGN - 1) / PL_BLOCKS_ALIGN * PL_BLOCKS_ALIGN;
}

size_t pl_blocks_bytes(size_t block_size, uint32_t count)
{
	return rounded(block_size) * count;
}

void pl_blocks_init(struct pl_blocks *blocks, struct pl_span memory, size_t block_size, uint32_t count)
{
	PL_ASSERT(block_size > 0 && memory.size >= pl_blocks_bytes(block_size, count));
	PL_ASSERT((uintptr_t)memory.data % PL_BLOCKS_ALIGN == 0);
	*blocks = (struct pl_blocks){ .region = memory.data, .size = rounded(block_size), .count = count };
}

void *pl_blocks_acquire(struct pl_blocks *blocks)
{
	void *block = blocks->free;
	if (block != NULL) {
		memcpy(&blocks->free, block, sizeof blocks->free);
	} else if (blocks->fresh < blocks->count) {
		block = blocks->region + blocks->size * blocks->fresh++;
	} else {
		blocks->denied++;
		return NULL;
	}
	if (++blocks->used > blocks->most)
		blocks->most = blocks->used;
	return block;
}

void pl_blocks_release(struct pl_blocks *blocks, void *block)
{
	PL_ASSERT(blocks->used > 0 && (uint8_t *)block >= blocks->region);
	const size_t offset = (size_t)((uint8_t *)block - blocks->region);
	PL_ASSERT(offset % blocks->size == 0 && offset / blocks->size < blocks->fresh);
	memcpy(block, &blocks->free, sizeof blocks->free);
	blocks->free = block;
	blocks->used--;
}
