/* How often each of many may do something: token buckets in a table of fixed size, found by a hash of who it is.  A bucket that is
 * full again is worth nothing, so a place that is needed is taken from the one that is nearest to it; only when all places of its set
 * are in use is something forgotten, and counted.
 * Pure: no allocation, no clock, no I/O.  Thread: signaling. */
#ifndef PL_SIGNALING_FRONT_RATES_H
#define PL_SIGNALING_FRONT_RATES_H

#include "media/base.h"

enum { PL_FRONT_RATE_SETS = 512, PL_FRONT_RATE_WAYS = 8 };

struct pl_front_rate {
	uint64_t who;
	int64_t full_us; /* when the bucket is full again */
};

struct pl_front_rates {
	struct pl_front_rate rate[PL_FRONT_RATE_SETS][PL_FRONT_RATE_WAYS];
	uint64_t displaced; /* buckets that were forgotten before they were full again */
};

/* The bucket of one; who: a hash that nobody else can aim at, in all its bits.  All zero is an empty table. */
struct pl_front_rate *pl_front_rates_find(struct pl_front_rates *rates, int64_t now_us, uint64_t who);

/* How long until one more may, with so many at once and then so many a minute; 0: now. */
int64_t pl_front_rate_wait_us(const struct pl_front_rate *rate, int64_t now_us, uint32_t per_minute);
/* One more does. */
void pl_front_rate_take(struct pl_front_rate *rate, int64_t now_us, uint32_t per_minute);

#endif
