/* The datagrams of an egress, one by one, for tests that are the network themselves. */
#ifndef PL_TESTS_SUPPORT_EGRESS_WALK_H
#define PL_TESTS_SUPPORT_EGRESS_WALK_H

#include "sfu/egress.h"

struct pl_egress_walk {
	uint32_t train, at; /* 0 at first */
};

/* False at the end. */
static inline bool pl_egress_walk_next(
	struct pl_egress_walk *walk, const struct pl_egress *egress, struct pl_path *path, struct pl_bytes *datagram)
{
	if (walk->train == egress->count)
		return false;
	const struct pl_egress_train *train = &egress->train[walk->train];
	const uint32_t left = train->size - walk->at;
	*path = train->path;
	*datagram = (struct pl_bytes){ egress->arena + train->offset + walk->at,
		left < train->segment ? left : train->segment };
	walk->at += train->segment;
	if (walk->at >= train->size)
		*walk = (struct pl_egress_walk){ .train = walk->train + 1 };
	return true;
}

#endif
