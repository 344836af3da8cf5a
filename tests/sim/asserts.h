/* What tests of whole calls ask for, failing with who, where and when.
 * Thread: the test's. */
#ifndef PL_TESTS_SIM_ASSERTS_H
#define PL_TESTS_SIM_ASSERTS_H

#include "tests/sim/conference_sim.h"

/* The talker's sine is in what the listener played, all of this time or none of it. */
void pl_sim_assert_hears(const struct pl_sim_peer *listener, const struct pl_sim_peer *talker, int64_t from_ms,
	int64_t to_ms, bool is_heard);

/* pl_sim_flaw finds nothing in any slot of any peer, and nobody got what is of none of its slots. */
void pl_sim_assert_flawless(const struct pl_sim *sim, uint32_t lost_max);

#endif
