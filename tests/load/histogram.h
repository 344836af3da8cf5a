/* Counts values in buckets that grow with them: a percentile is at most 1.6 % above the truth, whatever the range.
 * Pure: no allocation, no clock, no I/O.  Thread: one, or none writes any more. */
#ifndef PL_TESTS_LOAD_HISTOGRAM_H
#define PL_TESTS_LOAD_HISTOGRAM_H

#include "media/base.h"

enum {
	LOAD_HISTOGRAM_STEPS = 64, /* buckets in each doubling */
	LOAD_HISTOGRAM_BUCKETS = (64 - 6 + 1) * LOAD_HISTOGRAM_STEPS,
};

struct load_histogram {
	uint64_t count, max;
	uint64_t bucket[LOAD_HISTOGRAM_BUCKETS];
};

void load_histogram_add(struct load_histogram *h, uint64_t value);
void load_histogram_merge(struct load_histogram *to, const struct load_histogram *from);

/* The value that percent of the values do not exceed, 0 < percent <= 100; 0 when there are none. */
uint64_t load_histogram_percentile(const struct load_histogram *h, double percent);

#endif
