/* The memory that a shard takes at its start, on its own NUMA node, so that nothing is allocated later: one region with
 * a guard on both sides, present before it is used, in huge pages and locked where the machine allows that.  What it
 * does not allow is no error: the region says what was granted, and the operator reads it in a line.
 * Thread: init and fini anywhere; take belongs to one thread at a time; prefer is about the thread that calls it. */
#ifndef PL_SFU_IO_MEMORY_H
#define PL_SFU_IO_MEMORY_H

#include "media/base.h"
#include "media/err.h"

enum { PL_MEMORY_ANY_NODE = -1, PL_MEMORY_TEXT_SIZE = 384 };

struct pl_memory_config {
	size_t size_bytes; /* rounded up to whole pages, to whole huge pages where these are used */
	int node;          /* PL_MEMORY_ANY_NODE: wherever the first touch puts it */
	bool is_secret;    /* holds keys: left out of core dumps */
	bool is_small;     /* no huge pages: for a region that is a fraction of one */
};

enum pl_memory_pages { PL_MEMORY_SMALL, PL_MEMORY_TRANSPARENT, PL_MEMORY_HUGE };

struct pl_memory {
	uint8_t *base;
	size_t size_bytes, used_bytes;
	/* What was granted. */
	enum pl_memory_pages pages; /* TRANSPARENT: at least half of the region is in huge pages that the kernel made */
	size_t huge_bytes;
	int node;         /* as asked for */
	bool is_on_node;  /* every page that was looked at (one in 2 MiB at least) is there; true for ANY_NODE */
	bool wants_huge;  /* as asked for: not is_small */
	bool is_locked;   /* stays in memory whatever happens */
	bool is_undumped; /* not in core dumps; false unless is_secret was asked for */
	int lock_error;   /* errno of what was not granted, else 0 */
	int node_error;
	int undumped_error;
	/* The reserved range around it. */
	uint8_t *reserved;
	size_t reserved_bytes;
};

/* PL_ERR_NO_MEMORY: nothing to undo.  The region is zeroed. */
PL_MUST_USE enum pl_err pl_memory_init(struct pl_memory *memory, const struct pl_memory_config *config);
void pl_memory_fini(struct pl_memory *memory);

/* Takes size_bytes for good, aligned to align_bytes (a power of two, at most 2 MiB): zeroed, and as long-lived as the
 * region.  NULL: there is not so much left, and nothing was taken. */
PL_MUST_USE void *pl_memory_take(struct pl_memory *memory, size_t size_bytes, size_t align_bytes);

/* Writes a line for the log: "64 MiB on node 0, huge pages, locked", with what is missing and why, and returns whether
 * all was granted. */
bool pl_memory_describe(const struct pl_memory *memory, char text[static PL_MEMORY_TEXT_SIZE]);

/* What this thread takes from now on by other ways (the heap) is on node where there is room.  A machine without nodes is
 * as it was. */
void pl_memory_prefer(int node);

/* The node that holds the page at address, or -1 with errno (ENOENT: the page is not present). */
int pl_memory_node_of(const void *address);

#endif
