#include "media/srtp_slabs.h"

#include <stdlib.h>

struct pl_srtp_slab {
	struct pl_srtp_slab *next;
};

struct pl_srtp_block {
	struct pl_srtp_block *next;
};

static bool grow(struct pl_srtp_slabs *slabs, size_t kind, size_t size)
{
	struct pl_srtp_slab *slab = aligned_alloc(PL_SRTP_SLAB_ALIGN, PL_SRTP_SLAB_ALIGN + PL_SRTP_SLAB_BLOCKS * size);
	if (slab == NULL)
		return false;
	slab->next = slabs->all;
	slabs->all = slab;
	slabs->bytes += PL_SRTP_SLAB_ALIGN + PL_SRTP_SLAB_BLOCKS * size;
	for (size_t i = PL_SRTP_SLAB_BLOCKS; i > 0; i--) /* the first is taken first */
		pl_srtp_slabs_give(slabs, kind, (uint8_t *)slab + PL_SRTP_SLAB_ALIGN + (i - 1) * size);
	return true;
}

void *pl_srtp_slabs_take(struct pl_srtp_slabs *slabs, size_t kind, size_t size)
{
	PL_ASSERT(kind < PL_SRTP_SLAB_KINDS && size >= sizeof(struct pl_srtp_block) && size % PL_SRTP_SLAB_ALIGN == 0);
	if (slabs->free[kind] == NULL && !grow(slabs, kind, size))
		return NULL;
	struct pl_srtp_block *block = slabs->free[kind];
	slabs->free[kind] = block->next;
	return block;
}

void pl_srtp_slabs_give(struct pl_srtp_slabs *slabs, size_t kind, void *memory)
{
	PL_ASSERT(kind < PL_SRTP_SLAB_KINDS);
	struct pl_srtp_block *block = memory;
	block->next = slabs->free[kind];
	slabs->free[kind] = block;
}

void pl_srtp_slabs_fini(struct pl_srtp_slabs *slabs)
{
	for (struct pl_srtp_slab *slab = slabs->all, *next; slab != NULL; slab = next) {
		next = slab->next;
		free(slab);
	}
	*slabs = (struct pl_srtp_slabs){ 0 };
}
