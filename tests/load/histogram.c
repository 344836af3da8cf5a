#include "tests/load/histogram.h"

/* Values below 2 x STEPS have a bucket each; above, the top 7 bits choose it. */
static size_t bucket_of(uint64_t value)
{
	if (value < LOAD_HISTOGRAM_STEPS)
		return (size_t)value;
	const unsigned shift = 63u - (unsigned)__builtin_clzll(value) - 6u;
	return (shift + 1u) * LOAD_HISTOGRAM_STEPS + (size_t)(value >> shift) - LOAD_HISTOGRAM_STEPS;
}

static uint64_t largest_in(size_t bucket)
{
	if (bucket < 2 * LOAD_HISTOGRAM_STEPS)
		return bucket;
	const unsigned shift = (unsigned)(bucket / LOAD_HISTOGRAM_STEPS) - 1;
	const uint64_t top = bucket % LOAD_HISTOGRAM_STEPS + LOAD_HISTOGRAM_STEPS;
	return (top << shift) + ((UINT64_C(1) << shift) - 1);
}

void load_histogram_add(struct load_histogram *h, uint64_t value)
{
	h->count++;
	if (value > h->max)
		h->max = value;
	h->bucket[bucket_of(value)]++;
}

void load_histogram_merge(struct load_histogram *to, const struct load_histogram *from)
{
	to->count += from->count;
	if (from->max > to->max)
		to->max = from->max;
	for (size_t i = 0; i < LOAD_HISTOGRAM_BUCKETS; i++)
		to->bucket[i] += from->bucket[i];
}

uint64_t load_histogram_percentile(const struct load_histogram *h, double percent)
{
	PL_ASSERT(percent > 0 && percent <= 100);
	const double wanted = (double)h->count * percent / 100;
	uint64_t seen = 0;
	for (size_t i = 0; i < LOAD_HISTOGRAM_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen > 0 && (double)seen >= wanted)
			return largest_in(i) < h->max ? largest_in(i) : h->max;
	}
	return h->max;
}
