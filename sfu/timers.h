/* The deadlines of thousands of participants and rooms: a binary heap of timers that live inside what they wake, so the
 * next one is known at once and setting one costs the logarithm of their number.
 * Pure: no allocation, no clock, no I/O.  Thread: the shard that owns it. */
#ifndef PL_SFU_TIMERS_H
#define PL_SFU_TIMERS_H

#include "media/base.h"

struct pl_timer {
	int64_t at_us;
	size_t place; /* in the heap, 1 is the first; 0: not set */
	void *owner;
	uint8_t kind; /* the owner's: what it wakes */
};

struct pl_timers {
	struct pl_timer **heap; /* heap[1] is the earliest; heap[0] is not used */
	size_t count, count_max;
};

/* heap: room for count_max + 1 pointers; stays the caller's. */
void pl_timers_init(struct pl_timers *timers, struct pl_timer **heap, size_t count_max);

/* Sets, moves or (INT64_MAX) clears a timer.  At most count_max are set at a time. */
void pl_timers_set(struct pl_timers *timers, struct pl_timer *timer, int64_t at_us);

/* INT64_MAX when none is set. */
int64_t pl_timers_deadline(const struct pl_timers *timers);

/* Takes the earliest timer that is due and clears it; NULL when none is. */
struct pl_timer *pl_timers_take(struct pl_timers *timers, int64_t now_us);

#endif
