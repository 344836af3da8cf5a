#include "tests/sim/asserts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

void pl_sim_assert_hears(const struct pl_sim_peer *listener, const struct pl_sim_peer *talker, int64_t from_ms,
	int64_t to_ms, bool is_heard)
{
	const double share = pl_sim_share(listener, talker, from_ms, to_ms);
	if (share != (is_heard ? 1 : 0))
		fail_msg("seed %d: %d (shard %d) heard %d (shard %d) for %.2f of %d..%d ms",
			(int)listener->sim->config.seed, (int)listener->source, listener->shard, (int)talker->source,
			talker->shard, share, (int)from_ms, (int)to_ms);
}

void pl_sim_assert_flawless(const struct pl_sim *sim, uint32_t lost_max)
{
	for (size_t i = 0; i < sim->peer_count; i++) {
		const struct pl_sim_peer *p = sim->peer[i];
		if (p->foreign_packets > 0)
			fail_msg("seed %d: peer %d got foreign packets", (int)sim->config.seed, (int)i);
		for (uint8_t slot = 0; slot < p->description.slot_count; slot++) {
			const char *flaw = pl_sim_flaw(p, slot, lost_max);
			if (flaw != NULL)
				fail_msg("seed %d: peer %d, slot %d: %s", (int)sim->config.seed, (int)i, slot, flaw);
		}
	}
}
