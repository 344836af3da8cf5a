#include "media/rng.h"

void pl_rng_init(struct pl_rng *rng, uint64_t seed)
{
	rng->state = seed;
}

/* SplitMix64: one addition and a mixing function, every state is good, and any seed will do. */
uint64_t pl_rng_next(struct pl_rng *rng)
{
	uint64_t z = rng->state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint32_t pl_rng_below(struct pl_rng *rng, uint32_t bound)
{
	PL_ASSERT(bound > 0);
	return (uint32_t)(((pl_rng_next(rng) >> 32) * bound) >> 32);
}
