/* How long a stream's packets have to wait so that nearly all are there in time: a histogram of how late they came, that
 * forgets.  It rises with the second late packet of a few seconds, and falls some 15 s after the last.
 * Lateness is in samples at 48 kHz against a zero that the caller chooses; only differences have a meaning.
 * Pure: no allocation, no clock, no I/O. */
#ifndef PL_MEDIA_DELAY_H
#define PL_MEDIA_DELAY_H

#include "media/base.h"

enum {
	PL_DELAY_STEP = 120, /* samples of one step, 2.5 ms */
	PL_DELAY_STEPS = 256,
	PL_DELAY_MAX = 19200, /* samples that the target is above the least late packets, at most: 400 ms */
};

struct pl_delay {
	float weight[PL_DELAY_STEPS]; /* circular: step s is at s mod PL_DELAY_STEPS */
	float total, unit; /* unit: the weight of a packet that comes now, rising instead of all others falling */
	int32_t low, top;  /* the window's lowest step, the highest with any weight */
	int32_t target, floor;
};

void pl_delay_clear(struct pl_delay *d);
bool pl_delay_is_clear(const struct pl_delay *d);

/* A packet of so many samples came; importance: 1 for an ordinary one. */
void pl_delay_add(struct pl_delay *d, int32_t lateness, uint16_t samples, float importance);

/* What a packet must be allowed to be late so that 98 in 100 are in time, and how late the earliest ones are; both to one
 * step (rounded down).  Neither has a meaning while it is clear. */
static inline int32_t pl_delay_target(const struct pl_delay *d)
{
	return d->target;
}
static inline int32_t pl_delay_floor(const struct pl_delay *d)
{
	return d->floor;
}

#endif
