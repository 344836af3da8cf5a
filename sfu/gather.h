/* When a shard that has something to do may begin its turn: with media.coalesce_us not before a window has passed since
 * the last turn began.  What comes meanwhile waits in the socket and goes out together; nothing waits longer than the
 * window, and after a silence nothing waits at all.
 * Pure.  Thread: the shard. */
#ifndef PL_SFU_GATHER_H
#define PL_SFU_GATHER_H

#include "media/base.h"

struct pl_gather {
	int64_t window_us; /* 0: turns follow each other at once */
	int64_t turn_us;   /* when the last one began */
};

/* When the next turn may begin, INT64_MIN: at once.  is_pressed: something was left over, or must not wait. */
static inline int64_t pl_gather_until(const struct pl_gather *g, bool is_pressed)
{
	return g->window_us == 0 || is_pressed ? INT64_MIN : g->turn_us + g->window_us;
}

/* A turn begins. */
static inline void pl_gather_begin(struct pl_gather *g, int64_t now_us)
{
	g->turn_us = now_us;
}

#endif
