/* sfu/mixing for telephones: a room in virtual time in which somebody has G.711 alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/sim/asserts.h"
#include "tests/sim/mixed_room.h"

static struct pl_sim_peer *call(
	struct pl_sim *sim, uint8_t shard, enum pl_coding coding, uint8_t slots, bool is_talking)
{
	return pl_sim_join(sim, &(struct pl_sim_join){ .room = ROOM,
					.hz = tone_hz[sim->peer_count % PL_COUNT(tone_hz)],
					.slots = slots,
					.shard = shard,
					.coding = coding,
					.is_talking = is_talking });
}

/* Who mutes its telephone is not heard from then on: not even with what a worker still has of it, nor does that give it a place among
 * those who are heard. */
static void test_telephones_that_mute_are_not_heard_from_the_worker(void **state)
{
	(void)state;
	for (uint8_t shard = 0; shard < 2; shard++) {
		struct pl_sim *sim = make_sim(40 + shard, 2);
		struct pl_sim_peer *phone = call(sim, shard, PL_CODING_PCMU, 1, true);
		struct pl_sim_peer *forwarded = join(sim, PL_AUDIO_FORWARD, 2, false);
		struct pl_sim_peer *mixed = join(sim, PL_AUDIO_MIXED, 1, false);
		pl_sim_mute(forwarded, true);
		pl_sim_mute(mixed, true);
		pl_sim_run(sim, 3000);
		pl_sim_assert_hears(forwarded, phone, 2000, 2900, true);
		pl_sim_assert_hears(mixed, phone, 2000, 2900, true);

		sim->worker[0].is_stuck = true;
		pl_sim_run(sim, 200);
		pl_sim_mute(phone, true);
		pl_sim_run(sim, 100); /* what was on its way to listeners is there */
		const size_t before = forwarded->slot[0].count + forwarded->slot[1].count;
		const uint64_t muted = counters(sim, 0).drop[PL_DROP_RTP_MUTED];
		sim->worker[0].is_stuck = false;
		const int64_t from_ms = pl_sim_now_ms(sim);
		pl_sim_run(sim, 2000);
		assert_int_equal(forwarded->slot[0].count + forwarded->slot[1].count, before);
		pl_sim_assert_hears(mixed, phone, from_ms + 200, from_ms + 1900, false);
		assert_true(counters(sim, 0).drop[PL_DROP_RTP_MUTED] - muted >= 8);
		assert_int_equal(pl_sim_slot_of(forwarded, phone), -1);
		pl_sim_assert_flawless(sim, 0);
		pl_sim_destroy(&sim);
	}
}

/* A room may have its home where none of its members is left.  A telephone that is in it elsewhere is heard on without a gap, and keeps the worker
 * that knows its voice. */
static void test_telephones_away_from_an_empty_home_keep_their_worker(void **state)
{
	(void)state;
	struct pl_sim *sim = pl_sim_create(&(struct pl_sim_config){ .seed = 42, .shards = 2, .workers = 2 });
	struct pl_sim_peer *first = join(sim, PL_AUDIO_FORWARD, 1, false);
	struct pl_sim_peer *phone = call(sim, 1, PL_CODING_PCMA, 0, true);
	struct pl_sim_peer *listener = join_at(sim, 1, PL_AUDIO_FORWARD, 1, false);
	pl_sim_mute(listener, true);
	pl_sim_run(sim, 3000);
	const int64_t from_ms = pl_sim_now_ms(sim);
	pl_sim_leave(first);
	pl_sim_run(sim, 5000);
	pl_sim_assert_hears(listener, phone, from_ms, from_ms + 4900, true);
	assert_int_equal(sim->worker[0].chosen + sim->worker[1].chosen, 1);
	for (uint8_t i = 0; i < 2; i++)
		assert_int_equal(pl_codec_counters(sim->worker[i].codec).transcoders, sim->worker[i].chosen);
	pl_sim_assert_flawless(sim, 0);

	pl_sim_leave(phone);
	pl_sim_leave(listener);
	pl_sim_run(sim, 11000);
	assert_int_equal(counters(sim, 0).rooms + counters(sim, 1).rooms, 0);
	for (uint8_t i = 0; i < 2; i++)
		assert_int_equal(pl_codec_counters(sim->worker[i].codec).transcoders, 0);
	pl_sim_destroy(&sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_telephones_that_mute_are_not_heard_from_the_worker),
		cmocka_unit_test(test_telephones_away_from_an_empty_home_keep_their_worker),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
