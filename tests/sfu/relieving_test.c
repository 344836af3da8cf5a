/* sfu/relieving: what the ladder takes from listeners, and gives back, in virtual time with real voices through real codecs. */
#include "sfu/relieving.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/sim/asserts.h"

enum { ROOM = 7, SETTLE_MS = 300 };

static const uint32_t tone_hz[] = { 330, 440, 570, 690, 830, 1010, 1210, 1430 };

static struct pl_sim *make_sim(uint64_t seed, uint8_t shards)
{
	return pl_sim_create(&(struct pl_sim_config){ .seed = seed, .shards = shards, .workers = 1 });
}

static struct pl_sim_peer *join_room(
	struct pl_sim *sim, uint32_t room, uint8_t shard, enum pl_audio_mode mode, uint8_t slots, bool is_talking)
{
	return pl_sim_join(sim, &(struct pl_sim_join){ .room = room,
					.hz = tone_hz[sim->peer_count % PL_COUNT(tone_hz)],
					.slots = slots,
					.mode = mode,
					.shard = shard,
					.is_talking = is_talking });
}

static struct pl_sim_peer *join(struct pl_sim *sim, enum pl_audio_mode mode, uint8_t slots, bool is_talking)
{
	return join_room(sim, ROOM, 0, mode, slots, is_talking);
}

static void cap(struct pl_sim *sim, uint8_t slots)
{
	pl_sim_relieve(sim, &(struct pl_relief){ .audio_slots = slots });
}

static void move(struct pl_sim *sim, enum pl_relief_auto to)
{
	pl_sim_relieve(sim, &(struct pl_relief){ .moves = (uint8_t)to });
}

/* How many of the first so many peers are heard all of the time; the others are not at all. */
static unsigned heard_of(const struct pl_sim_peer *listener, size_t talkers, int64_t from_ms, int64_t to_ms)
{
	unsigned heard = 0;
	for (size_t i = 0; i < talkers; i++) {
		const struct pl_sim_peer *talker = listener->sim->peer[i];
		if (talker == listener)
			continue;
		const double share = pl_sim_share(listener, talker, from_ms, to_ms);
		if (share != 0 && share != 1)
			fail_msg("%d heard %d for %.2f from %d ms to %d ms", (int)listener->source, (int)talker->source,
				share, (int)from_ms, (int)to_ms);
		heard += share == 1;
	}
	return heard;
}

static size_t filled_slots(const struct pl_sim_peer *p)
{
	size_t count = 0;
	for (uint8_t i = 0; i < p->slots_event.slots.count; i++)
		count += p->slots_event.slots.slot[i].track != 0;
	return count;
}

/* Three talk, one of them clearly loudest.  Slots go 3, 2, 1 and back to 3: everybody hears so many, the loudest always, and is told;
 * every packet of a talker arrives, no number is missing, and who comes back meanwhile hears as many as the others. */
static void test_relieving_caps_slots_and_gives_them_back(void **state)
{
	static const uint8_t caps[] = { 2, 1, 0, 1, 2, 0 };
	(void)state;
	struct pl_sim *sim = make_sim(1, 1);
	for (size_t i = 0; i < 3; i++)
		join(sim, PL_AUDIO_FORWARD, 3, true);
	sim->peer[1]->amplitude = 0.4;
	sim->peer[0]->amplitude = sim->peer[2]->amplitude = 0.1;
	struct pl_sim_peer *listener = join(sim, PL_AUDIO_FORWARD, 3, false),
			   *other = join(sim, PL_AUDIO_AUTO, 2, false);
	pl_sim_mute(listener, true);
	pl_sim_mute(other, true);
	pl_sim_run(sim, 3000);
	assert_int_equal(heard_of(listener, 3, 2000, 2900), 3);
	for (size_t i = 0; i < PL_COUNT(caps); i++) {
		const int64_t from_ms = pl_sim_now_ms(sim);
		const unsigned wanted = caps[i] == 0 ? 3 : caps[i];
		cap(sim, caps[i]);
		pl_sim_run(sim, 1500);
		assert_int_equal(heard_of(listener, 3, from_ms + SETTLE_MS, from_ms + 1400), wanted);
		assert_int_equal(heard_of(other, 3, from_ms + SETTLE_MS, from_ms + 1400), wanted < 2 ? wanted : 2);
		assert_int_equal(
			heard_of(sim->peer[0], 3, from_ms + SETTLE_MS, from_ms + 1400), wanted < 2 ? wanted : 2);
		pl_sim_assert_hears(listener, sim->peer[1], from_ms, from_ms + 1400, true);
		assert_int_equal(filled_slots(listener), wanted);
	}
	cap(sim, 1);
	pl_sim_run(sim, 500);
	pl_sim_rejoin(listener);
	pl_sim_run(sim, 2500);
	assert_int_equal(heard_of(listener, 3, pl_sim_now_ms(sim) - 1000, pl_sim_now_ms(sim) - 100), 1);
	cap(sim, 0);
	pl_sim_run(sim, 1500);
	assert_int_equal(heard_of(listener, 3, pl_sim_now_ms(sim) - 1000, pl_sim_now_ms(sim) - 100), 3);

	uint64_t sent = 0;
	for (size_t i = 0; i < sim->peer_count; i++)
		sent += sim->peer[i]->packets_sent;
	const struct pl_conference_counters counters = pl_conference_counters(sim->conference);
	assert_true(counters.rtp_in + 2 * sim->peer_count >= sent); /* but what is on its way */
	pl_sim_assert_flawless(sim, 0);
	pl_sim_destroy(&sim);
}

/* Who loses a talker in the middle of a word hears it fade, not break off: measured as in tests/sfu/mixing_test.c, against the sharpest
 * bend of the sines themselves.  Measured: 1.05 times, and 12 to 40 times where the stream just ends. */
static void test_relieving_cuts_nobody_off_with_a_click(void **state)
{
	enum { ROUNDS = 8, BOUND = 2 };
	(void)state;
	struct pl_sim *sim = make_sim(2, 1);
	for (size_t i = 0; i < 3; i++)
		join(sim, PL_AUDIO_FORWARD, 3, true);
	struct pl_sim_peer *listener = join(sim, PL_AUDIO_FORWARD, 3, false);
	pl_sim_run(sim, 3000);
	double steady[3];
	for (uint8_t slot = 0; slot < 3; slot++)
		steady[slot] = pl_sim_click(listener, slot, 1500, 2900);
	for (int round = 0; round < ROUNDS; round++) {
		const int64_t from_ms = pl_sim_now_ms(sim);
		cap(sim, 1);
		pl_sim_run(sim, 700 + 7 * round); /* somewhere in a frame */
		for (uint8_t slot = 0; slot < 3; slot++) {
			const double bend = pl_sim_click(listener, slot, from_ms - 200, pl_sim_now_ms(sim) - 100);
			if (bend > BOUND * steady[slot])
				fail_msg("round %d, slot %d: %.4f, steady %.4f", round, slot, bend, steady[slot]);
		}
		cap(sim, 0);
		pl_sim_run(sim, 900);
	}
	pl_sim_assert_flawless(sim, 0);
	pl_sim_destroy(&sim);
}

/* Two talk.  Under pressure of a media thread who has not said how it wants to hear hears the mix, and who has said hears what it
 * said; when the codec worker has no time either, and when all is over, it is as before.  Nobody misses more than a moment. */
static void test_relieving_moves_who_has_not_chosen(void **state)
{
	static const struct {
		enum pl_relief_auto moves;
		bool is_mixed;
	} row[] = {
		{ PL_RELIEF_AUTO_TO_MIX, true },
		{ PL_RELIEF_AUTO_TO_TALKERS, false },
		{ PL_RELIEF_AUTO_STAYS, false },
		{ PL_RELIEF_AUTO_TO_MIX, true },
		{ PL_RELIEF_AUTO_STAYS, false },
	};
	enum { TALKERS = 2, AUTO = 2, FORWARD, MIXED, ONE, PEERS };
	(void)state;
	struct pl_sim *sim = make_sim(3, 1);
	join(sim, PL_AUDIO_AUTO, 3, true);
	join(sim, PL_AUDIO_FORWARD, 3, true);
	join(sim, PL_AUDIO_AUTO, 3, false);
	join(sim, PL_AUDIO_FORWARD, 3, false);
	join(sim, PL_AUDIO_MIXED, 3, false);
	join(sim, PL_AUDIO_AUTO, 1, false);
	for (size_t i = TALKERS; i < PEERS; i++)
		pl_sim_mute(sim->peer[i], true);
	pl_sim_run(sim, 3000);
	for (size_t i = 0; i < PL_COUNT(row); i++) {
		const int64_t from_ms = pl_sim_now_ms(sim);
		move(sim, row[i].moves);
		pl_sim_run(sim, 2500);
		for (size_t k = 0; k < PEERS; k++) {
			const unsigned others = k < TALKERS ? TALKERS - 1 : TALKERS;
			assert_int_equal(heard_of(sim->peer[k], TALKERS, from_ms + 500, from_ms + 2400), others);
			const bool is_mixed = k == MIXED || k == ONE || ((k == 0 || k == AUTO) && row[i].is_mixed);
			assert_int_equal(sim->peer[k]->slots_event.slots.is_mixed, is_mixed);
		}
		assert_int_equal(pl_conference_counters(sim->conference).rooms_moved, row[i].is_mixed);
	}
	/* Numbers go on through all of it. */
	for (size_t k = 0; k < PEERS; k++) {
		sim->peer[k]->hears_mixes = true;
		for (uint8_t slot = 0; slot < sim->peer[k]->description.slot_count; slot++)
			assert_null(pl_sim_flaw(sim->peer[k], slot, 0));
	}
	pl_sim_destroy(&sim);
}

/* Nor is there a click, or silence that one would notice: the voices are there in each tenth of a second. */
static void test_relieving_moves_without_a_click(void **state)
{
	enum { BOUND = 2 };
	(void)state;
	struct pl_sim *sim = make_sim(4, 1);
	join(sim, PL_AUDIO_FORWARD, 3, true);
	join(sim, PL_AUDIO_FORWARD, 3, true);
	struct pl_sim_peer *listener = join(sim, PL_AUDIO_AUTO, 3, false);
	pl_sim_mute(listener, true);
	pl_sim_run(sim, 3000);
	/* In the first slot there are both, or one of them. */
	const double steady = pl_sim_click(listener, 0, 1500, 2900) + pl_sim_click(listener, 1, 1500, 2900);
	for (int round = 0; round < 6; round++) {
		const int64_t from_ms = pl_sim_now_ms(sim);
		move(sim, round % 2 == 0 ? PL_RELIEF_AUTO_TO_MIX : PL_RELIEF_AUTO_STAYS);
		pl_sim_run(sim, 2007);
		for (uint8_t slot = 0; slot < 3; slot++) {
			const double bend = pl_sim_click(listener, slot, from_ms - 100, from_ms + 1500);
			if (bend > BOUND * steady)
				fail_msg("round %d, slot %d: %.4f, steady %.4f", round, slot, bend, steady);
		}
		for (size_t i = 0; i < 2; i++)
			pl_sim_assert_hears(listener, sim->peer[i], from_ms - 100, from_ms + 1500, true);
	}
	pl_sim_destroy(&sim);
}

/* Where one talks at a time the mix saves nothing: the room stays, until a second voice comes; and stays moved when that falls silent,
 * so that nobody is moved with every word. */
static void test_relieving_moves_rooms_of_two_voices(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(5, 1);
	struct pl_sim_peer *ann = join(sim, PL_AUDIO_FORWARD, 3, true), *bob = join(sim, PL_AUDIO_FORWARD, 3, false);
	struct pl_sim_peer *listener = join(sim, PL_AUDIO_AUTO, 3, false);
	pl_sim_mute(listener, true);
	pl_sim_run(sim, 2000);
	move(sim, PL_RELIEF_AUTO_TO_MIX);
	pl_sim_run(sim, 2000);
	assert_false(listener->slots_event.slots.is_mixed);
	pl_sim_talk(bob, true);
	pl_sim_run(sim, 500);
	assert_true(listener->slots_event.slots.is_mixed);
	pl_sim_talk(bob, false);
	pl_sim_run(sim, 3000);
	assert_true(listener->slots_event.slots.is_mixed);
	/* Who comes now hears as the others do, and who has moved may choose. */
	struct pl_sim_peer *late = join(sim, PL_AUDIO_AUTO, 2, false);
	pl_sim_run(sim, 1500);
	assert_true(late->slots_event.slots.is_mixed);
	pl_sim_set_mode(listener, PL_AUDIO_FORWARD, PL_MIX_FULL);
	pl_sim_run(sim, 500);
	assert_false(listener->slots_event.slots.is_mixed);
	pl_sim_leave(ann);
	pl_sim_leave(bob);
	pl_sim_leave(listener);
	pl_sim_leave(late);
	pl_sim_run(sim, 5000);
	assert_int_equal(pl_conference_counters(sim->conference).rooms_moved, 0);
	assert_int_equal(pl_conference_counters(sim->conference).rooms, 0);
	pl_sim_destroy(&sim);
}

/* Rooms move one after the other, so that a codec worker that cannot keep up is seen before all are there; without workers none does. */
static void test_relieving_moves_rooms_one_by_one(void **state)
{
	enum { ROOMS = 40 };
	(void)state;
	struct pl_sim *sim = make_sim(6, 1);
	for (uint32_t room = 1; room <= ROOMS; room++) {
		join_room(sim, room, 0, PL_AUDIO_FORWARD, 3, true);
		join_room(sim, room, 0, PL_AUDIO_AUTO, 3, true);
	}
	pl_sim_run(sim, 2000);
	move(sim, PL_RELIEF_AUTO_TO_MIX);
	pl_sim_run(sim, 300);
	const uint32_t soon = pl_conference_counters(sim->conference).rooms_moved;
	assert_in_range(soon, 1, PL_RELIEVING_BURST + 300000 / PL_RELIEVING_MOVE_US);
	pl_sim_run(sim, 5000);
	assert_int_equal(pl_conference_counters(sim->conference).rooms_moved, ROOMS);
	move(sim, PL_RELIEF_AUTO_STAYS);
	pl_sim_run(sim, 100);
	assert_int_equal(pl_conference_counters(sim->conference).rooms_moved, 0);
	pl_sim_destroy(&sim);

	sim = pl_sim_create(&(struct pl_sim_config){ .seed = 7 });
	join(sim, PL_AUDIO_FORWARD, 3, true);
	join(sim, PL_AUDIO_FORWARD, 3, true);
	join(sim, PL_AUDIO_AUTO, 3, false);
	pl_sim_run(sim, 2000);
	move(sim, PL_RELIEF_AUTO_TO_MIX);
	pl_sim_run(sim, 1500);
	assert_int_equal(pl_conference_counters(sim->conference).rooms_moved, 0);
	assert_int_equal(heard_of(sim->peer[2], 2, 2200, 3400), 2);
	pl_sim_destroy(&sim);
}

/* A room over two shards, in which home decides: what is taken is taken on both, and given back. */
static void test_relieving_reaches_a_room_over_shards(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(8, 2);
	for (uint8_t i = 0; i < 3; i++)
		join_room(sim, ROOM, i % 2, PL_AUDIO_FORWARD, 3, true);
	for (uint8_t i = 0; i < 2; i++)
		pl_sim_mute(join_room(sim, ROOM, i, PL_AUDIO_AUTO, 3, false), true);
	sim->peer[1]->amplitude = 0.4;
	sim->peer[0]->amplitude = sim->peer[2]->amplitude = 0.1;
	pl_sim_run(sim, 3000);
	static const struct pl_relief relief[] = {
		{ .audio_slots = 2 },
		{ .audio_slots = 1 },
		{ .audio_slots = 2, .moves = PL_RELIEF_AUTO_TO_MIX },
		{ .audio_slots = 0 },
	};
	for (size_t i = 0; i < PL_COUNT(relief); i++) {
		const int64_t from_ms = pl_sim_now_ms(sim);
		pl_sim_relieve(sim, &relief[i]);
		pl_sim_run(sim, 2500);
		const bool is_moved = relief[i].moves == PL_RELIEF_AUTO_TO_MIX;
		const unsigned wanted = is_moved || relief[i].audio_slots == 0 ? 3 : relief[i].audio_slots;
		for (size_t k = 3; k < 5; k++) {
			assert_int_equal(sim->peer[k]->slots_event.slots.is_mixed, is_moved);
			assert_int_equal(heard_of(sim->peer[k], 3, from_ms + 700, from_ms + 2400), wanted);
		}
		pl_sim_assert_hears(sim->peer[0], sim->peer[1], from_ms, from_ms + 2400, true);
	}
	for (uint8_t i = 0; i < 2; i++)
		assert_int_equal(pl_conference_counters(sim->shard[i].conference).rooms_moved, 0);
	pl_sim_destroy(&sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_relieving_caps_slots_and_gives_them_back),
		cmocka_unit_test(test_relieving_cuts_nobody_off_with_a_click),
		cmocka_unit_test(test_relieving_moves_who_has_not_chosen),
		cmocka_unit_test(test_relieving_moves_without_a_click),
		cmocka_unit_test(test_relieving_moves_rooms_of_two_voices),
		cmocka_unit_test(test_relieving_moves_rooms_one_by_one),
		cmocka_unit_test(test_relieving_reaches_a_room_over_shards),
	};
	return cmocka_run_group_tests(tests, pl_sim_setup, pl_sim_teardown);
}
