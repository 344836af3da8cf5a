/* A small seeded generator for what needs no secrecy (first sequence numbers, report spreading, tests):
 * with the seed as an argument a whole conference replays.  Never for keys, tokens or ICE passwords.
 * Pure: no allocation, no clock, no I/O. */
#ifndef PL_MEDIA_RNG_H
#define PL_MEDIA_RNG_H

#include "media/base.h"

struct pl_rng {
	uint64_t state;
};

void pl_rng_init(struct pl_rng *rng, uint64_t seed);
uint64_t pl_rng_next(struct pl_rng *rng);

/* Returns 0 <= x < bound, bound > 0, without bias that matters below 2^32. */
uint32_t pl_rng_below(struct pl_rng *rng, uint32_t bound);

#endif
