/* sfu/mixing for telephones: a room in virtual time in which somebody has G.711 alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "media/g711_silence.h"
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

/* Telephones whose microphones are open and hear nothing cost a worker nothing, though their packets go on coming, on home's shard and on
 * another: no message, no step, no transcoder.  Who speaks then is heard at once, by those who hear talkers and those who hear the mix. */
static void test_telephones_that_are_silent_cost_nothing(void **state)
{
	enum { PHONES = 4, SILENT_S = 10 };
	(void)state;
	struct pl_sim *sim = make_sim(43, 2);
	struct pl_sim_peer *phone[PHONES];
	for (uint8_t i = 0; i < PHONES; i++)
		phone[i] = call(sim, i % 2, i < 2 ? PL_CODING_PCMU : PL_CODING_PCMA, 1, false);
	struct pl_sim_peer *forwarded = join(sim, PL_AUDIO_FORWARD, PHONES, false);
	struct pl_sim_peer *mixed = join_at(sim, 1, PL_AUDIO_MIXED, 1, false);
	pl_sim_mute(forwarded, true);
	pl_sim_mute(mixed, true);
	pl_sim_run(
		sim, 13000); /* in the first second there might be something to hear; transcoders end 10 s after that */
	struct pl_codec_counters before = codec(sim);
	assert_int_equal(before.transcoders + before.voices + before.encoders, 0);
	const uint64_t crossed = counters(sim, 0).crossed, left_out = counters(sim, 0).drop[PL_DROP_G711_SILENT] +
								      counters(sim, 1).drop[PL_DROP_G711_SILENT];
	pl_sim_run(sim, SILENT_S * 1000);
	assert_int_equal(codec(sim).heard, before.heard);
	assert_int_equal(codec(sim).steps, before.steps);
	assert_int_equal(counters(sim, 0).crossed, crossed);
	assert_int_equal(
		counters(sim, 0).drop[PL_DROP_G711_SILENT] + counters(sim, 1).drop[PL_DROP_G711_SILENT] - left_out,
		PHONES * SILENT_S * 50);
	assert_true(pl_codec_deadline(sim->worker[0].codec) == INT64_MAX);

	for (uint8_t i = 0; i < PHONES; i++) {
		const int64_t from_ms = pl_sim_now_ms(sim);
		const size_t heard = mixed->slot[0].count;
		pl_sim_talk(phone[i], true);
		pl_sim_run(sim, 1000);
		assert_int_equal(codec(sim).transcoders, 1);
		assert_true(mixed->slot[0].count > heard);
		assert_in_range(mixed->slot[0].packet[heard].at_us / 1000, from_ms, from_ms + 110);
		pl_sim_assert_hears(mixed, phone[i], from_ms + 100, from_ms + 900, true);
		pl_sim_assert_hears(forwarded, phone[i], from_ms + 100, from_ms + 900, true);
		pl_sim_talk(phone[i], false);
		pl_sim_run(sim, 13000);
		assert_int_equal(codec(sim).transcoders + codec(sim).voices + codec(sim).encoders, 0);
	}
	for (uint8_t i = 0; i < 2; i++)
		assert_int_equal(counters(sim, i).drop[PL_DROP_CROSS_FULL], 0);
	pl_sim_assert_flawless(sim, 0);
	pl_sim_destroy(&sim);
}

/* After a silence of any length a word is heard as soon as in the middle of a call: nobody waits for packets that were left out. */
static void test_telephones_that_were_silent_are_heard_at_once(void **state)
{
	enum { PATH_MS = 2 * PL_SIM_LINK_DELAY_MS, QUIET = 60 };
	static const int64_t silent_ms[] = { 600, 1500, 5000, 9000, 70000 };
	(void)state;
	struct pl_sim *sim = make_sim(44, 2);
	for (uint8_t i = 0; i < 2; i++)
		call(sim, i, PL_CODING_PCMU, 0, false);
	struct pl_sim_peer *listener = join(sim, PL_AUDIO_FORWARD, 2, false);
	pl_sim_mute(listener, true);
	pl_sim_run(sim, 1000);
	for (size_t i = 0; i < 2 * PL_COUNT(silent_ms); i++) {
		struct pl_sim_peer *phone = sim->peer[i % 2];
		pl_sim_talk(phone, true);
		pl_sim_run(sim, 500);
		pl_sim_talk(phone, false);
		pl_sim_run(sim, silent_ms[i / 2]);
		const int64_t said_us = phone->frame_us;
		pl_sim_talk(phone, true);
		pl_sim_run(sim, 500);
		pl_sim_talk(phone, false);
		int64_t heard_us = INT64_MAX;
		for (uint8_t slot = 0; slot < 2; slot++) {
			for (size_t k = 0; k < listener->slot[slot].count; k++) {
				const struct pl_sim_packet *packet = &listener->slot[slot].packet[k];
				if (packet->at_us > said_us && packet->level < QUIET && packet->at_us < heard_us)
					heard_us = packet->at_us;
			}
		}
		assert_int_equal(heard_us - said_us, PATH_MS * 1000);
		pl_sim_run(sim, 2000);
	}
	pl_sim_assert_flawless(sim, 0);
	pl_sim_destroy(&sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_telephones_that_mute_are_not_heard_from_the_worker),
		cmocka_unit_test(test_telephones_away_from_an_empty_home_keep_their_worker),
		cmocka_unit_test(test_telephones_that_are_silent_cost_nothing),
		cmocka_unit_test(test_telephones_that_were_silent_are_heard_at_once),
	};
	return cmocka_run_group_tests(tests, pl_sim_setup, pl_sim_teardown);
}
