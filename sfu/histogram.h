/* How long things take: counts of times by their size, in steps of a quarter of an octave, so that what is read off it is at
 * most a fifth too large.  Words of 64 bits alone, so that it can be published as counters are (sfu/io/published.h).
 * Pure: no allocation, no clock, no I/O.  Thread: whoever counts. */
#ifndef PL_SFU_HISTOGRAM_H
#define PL_SFU_HISTOGRAM_H

#include "media/base.h"

enum {
	PL_HISTOGRAM_PARTS = 4, /* of an octave */
	PL_HISTOGRAM_BUCKETS = 24 * PL_HISTOGRAM_PARTS,
};

struct pl_histogram {
	uint64_t sum_us;
	uint64_t count[PL_HISTOGRAM_BUCKETS]; /* the last one has all that is longer, too */
};

/* Where a time belongs: below 4 us each has a bucket, then there are four for each doubling. */
static inline size_t pl_histogram_bucket(int64_t us)
{
	if (us < PL_HISTOGRAM_PARTS)
		return us > 0 ? (size_t)us : 0;
	const unsigned octave = 63u - (unsigned)__builtin_clzll((uint64_t)us);
	const size_t bucket =
		(octave - 1) * PL_HISTOGRAM_PARTS + (size_t)((uint64_t)us >> (octave - 2)) % PL_HISTOGRAM_PARTS;
	return bucket < PL_HISTOGRAM_BUCKETS ? bucket : PL_HISTOGRAM_BUCKETS - 1;
}

/* So many took so long.  A time below 0 counts as 0. */
static inline void pl_histogram_note_many(struct pl_histogram *h, int64_t us, uint64_t count)
{
	h->count[pl_histogram_bucket(us)] += count;
	h->sum_us += us > 0 ? (uint64_t)us * count : 0;
}

static inline void pl_histogram_note(struct pl_histogram *h, int64_t us)
{
	pl_histogram_note_many(h, us, 1);
}

/* What is in a bucket, and in those before it, is shorter than this: a power of two at the end of each octave, of which
 * PL_HISTOGRAM_PARTS - 1 is the first.  UINT64_MAX for the last. */
uint64_t pl_histogram_bound_us(size_t bucket);

uint64_t pl_histogram_total(const struct pl_histogram *h);

/* So long at most took this share of all: the end of its bucket.  0 when nothing was counted. */
uint64_t pl_histogram_quantile_us(const struct pl_histogram *h, unsigned permille);

void pl_histogram_add(struct pl_histogram *sum, const struct pl_histogram *more);

#endif
