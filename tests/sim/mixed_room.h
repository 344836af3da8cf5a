/* A simulated room whose listeners hear a mix: what the tests of sfu/mixing begin with.
 * Thread: one. */
#ifndef PL_TESTS_SIM_MIXED_ROOM_H
#define PL_TESTS_SIM_MIXED_ROOM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/sim/conference_sim.h"

enum { SETTLE_MS = 1200, ROOM = 7 };

/* Apart from each other's harmonics, and below what G.711 carries. */
static const uint32_t tone_hz[] = { 330, 440, 570, 690, 830, 1010, 1210, 1430, 1650, 1870, 2090, 2310 };

static inline struct pl_sim *make_sim(uint64_t seed, uint8_t shards)
{
	return pl_sim_create(&(struct pl_sim_config){ .seed = seed, .shards = shards, .workers = 1 });
}

static inline struct pl_sim_peer *join_at(
	struct pl_sim *sim, uint8_t shard, enum pl_audio_mode mode, uint8_t slots, bool is_talking)
{
	return pl_sim_join(sim, &(struct pl_sim_join){ .room = ROOM,
					.hz = tone_hz[sim->peer_count % PL_COUNT(tone_hz)],
					.slots = slots,
					.mode = mode,
					.shard = shard,
					.is_talking = is_talking });
}

static inline struct pl_sim_peer *join(struct pl_sim *sim, enum pl_audio_mode mode, uint8_t slots, bool is_talking)
{
	return join_at(sim, 0, mode, slots, is_talking);
}

static inline struct pl_conference_counters counters(const struct pl_sim *sim, uint8_t shard)
{
	return pl_conference_counters(sim->shard[shard].conference);
}

static inline struct pl_codec_counters codec(const struct pl_sim *sim)
{
	return pl_codec_counters(sim->worker[0].codec);
}

static inline const struct pl_sim_packet *last_packet(const struct pl_sim_peer *p)
{
	assert_true(p->slot[0].count > 0);
	return &p->slot[0].packet[p->slot[0].count - 1];
}

#endif
