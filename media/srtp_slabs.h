/* Memory for the sessions of one SRTP engine, side by side: apart they would lie between the 40 KB that each handshake
 * gives back, and every one would keep two half-used pages from the system.  What a session gives back is the next
 * one's; the slabs go when the engine does, so it holds what its busiest hour needed.
 * Pure but for the slabs' heap.  Thread: the engine's. */
#ifndef PL_MEDIA_SRTP_SLABS_H
#define PL_MEDIA_SRTP_SLABS_H

#include "media/base.h"

enum { PL_SRTP_SLAB_KINDS = 2, PL_SRTP_SLAB_BLOCKS = 16, PL_SRTP_SLAB_ALIGN = 64 };

struct pl_srtp_slab;
struct pl_srtp_block;

/* All zero is an empty one. */
struct pl_srtp_slabs {
	struct pl_srtp_slab *all;
	struct pl_srtp_block *free[PL_SRTP_SLAB_KINDS];
	size_t bytes; /* of all slabs */
};

/* A block aligned to PL_SRTP_SLAB_ALIGN, of a multiple of that, which is the same for each call with this kind.  Its
 * content is anything.  NULL: out of memory. */
void *pl_srtp_slabs_take(struct pl_srtp_slabs *slabs, size_t kind, size_t size);

/* The block must be wiped. */
void pl_srtp_slabs_give(struct pl_srtp_slabs *slabs, size_t kind, void *block);

/* All blocks must have been given back. */
void pl_srtp_slabs_fini(struct pl_srtp_slabs *slabs);

#endif
