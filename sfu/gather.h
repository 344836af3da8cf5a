/* When a shard may look for work again: with media.coalesce_us not before a window has passed since its last turn began.
 * What comes meanwhile waits in the socket and goes out together; nothing waits longer than the window, and after a silence
 * nothing waits at all.
 *
 * A shard that rests has a window of its own: it has heard nobody for a second, and what comes are checks of thousands of
 * silent clients (RFC 7675), one by one; most of what each costs is the waking up.  The first word, command or handshake
 * ends that.
 * Pure.  Thread: the shard. */
#ifndef PL_SFU_GATHER_H
#define PL_SFU_GATHER_H

#include "media/base.h"

enum {
	PL_GATHER_REST_US = 5000,          /* the window of a shard that rests */
	PL_GATHER_REST_AFTER_US = 1000000, /* without media or commands */
};

struct pl_gather {
	int64_t window_us; /* 0: turns follow each other at once */
	int64_t turn_us;   /* when the last one began */
	int64_t busy_us;   /* when the last one with media or commands began */
};

static inline bool pl_gather_rests(const struct pl_gather *g)
{
	return g->turn_us - g->busy_us >= PL_GATHER_REST_AFTER_US;
}

/* When to look for work again, INT64_MIN: at once.  is_pressed: something was left over, or must not wait. */
static inline int64_t pl_gather_until(const struct pl_gather *g, bool is_pressed)
{
	const int64_t rest_us = pl_gather_rests(g) ? PL_GATHER_REST_US : 0;
	const int64_t window_us = rest_us > g->window_us ? rest_us : g->window_us;
	return window_us == 0 || is_pressed ? INT64_MIN : g->turn_us + window_us;
}

/* A turn begins. */
static inline void pl_gather_begin(struct pl_gather *g, int64_t now_us)
{
	g->turn_us = now_us;
}

/* That turn had media or commands. */
static inline void pl_gather_busy(struct pl_gather *g)
{
	g->busy_us = g->turn_us;
}

#endif
