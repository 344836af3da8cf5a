#include "sfu/histogram.h"

uint64_t pl_histogram_bound_us(size_t bucket)
{
	PL_ASSERT(bucket < PL_HISTOGRAM_BUCKETS);
	const size_t next = bucket + 1;
	if (next == PL_HISTOGRAM_BUCKETS)
		return UINT64_MAX;
	if (next < PL_HISTOGRAM_PARTS)
		return next;
	return (uint64_t)(PL_HISTOGRAM_PARTS + next % PL_HISTOGRAM_PARTS) << (next / PL_HISTOGRAM_PARTS - 1);
}

uint64_t pl_histogram_total(const struct pl_histogram *h)
{
	uint64_t total = 0;
	for (size_t i = 0; i < PL_HISTOGRAM_BUCKETS; i++)
		total += h->count[i];
	return total;
}

uint64_t pl_histogram_quantile_us(const struct pl_histogram *h, unsigned permille)
{
	PL_ASSERT(permille <= 1000);
	const uint64_t total = pl_histogram_total(h);
	/* Rounded up, and never of nobody: the longest of a few is their p99. */
	uint64_t wanted = total / 1000 * permille + (total % 1000 * permille + 999) / 1000;
	wanted += wanted == 0 && total > 0;
	uint64_t seen = 0;
	for (size_t i = 0; i < PL_HISTOGRAM_BUCKETS && total > 0; i++) {
		seen += h->count[i];
		if (seen >= wanted)
			return pl_histogram_bound_us(i);
	}
	return 0;
}

void pl_histogram_add(struct pl_histogram *sum, const struct pl_histogram *more)
{
	sum->sum_us += more->sum_us;
	for (size_t i = 0; i < PL_HISTOGRAM_BUCKETS; i++)
		sum->count[i] += more->count[i];
}
