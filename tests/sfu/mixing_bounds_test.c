/* sfu/mixing at its bounds: more talkers than places, more packets than anybody says, rooms and listeners that have to wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "sfu/participant.h"
#include "tests/sim/asserts.h"
#include "tests/sim/mixed_room.h"

/* An operator who wants five voices in a mix has five: no more, on any shard, and a talker among them hears the four others. */
static void test_mixing_has_as_many_as_configured(void **state)
{
	enum { TALKERS = 7, PLACES = 5 };
	(void)state;
	struct pl_sim *sim =
		pl_sim_create(&(struct pl_sim_config){ .seed = 26, .shards = 2, .workers = 1, .mix_talkers = PLACES });
	for (uint8_t i = 0; i < TALKERS; i++)
		join_at(sim, i % 2, PL_AUDIO_MIXED, 1, true);
	for (uint8_t i = 0; i < 2; i++)
		join_at(sim, i, PL_AUDIO_MIXED, 1, false);
	pl_sim_run(sim, 4000);
	for (size_t i = 0; i < sim->peer_count; i++) {
		double heard = 0;
		for (size_t k = 0; k < TALKERS; k++)
			heard += pl_sim_share(sim->peer[i], sim->peer[k], 2500, 3900);
		const bool is_in_mix = i < TALKERS && pl_sim_share(sim->peer[TALKERS], sim->peer[i], 2500, 3900) > 0;
		assert_true(heard == PLACES - is_in_mix);
		assert_int_equal(last_packet(sim->peer[i])->csrc_count, PLACES - is_in_mix);
	}
	assert_int_equal(codec(sim).voices, PLACES);
	pl_sim_assert_flawless(sim, 0);
	pl_sim_destroy(&sim);
}

/* Sends count packets of a frame that is loud, all at once. */
static void flood(struct pl_sim_peer *p, unsigned count)
{
	uint8_t payload[120] = { 0xf8 };
	const char *mid = p->description.track[0].mid;
	const struct pl_rtp_ext ext = {
		.has = { [PL_RTP_EXT_MID] = true, [PL_RTP_EXT_AUDIO_LEVEL] = true },
		.mid = { (const uint8_t *)mid, strlen(mid) },
		.audio_level = 10,
		.is_voice = true,
	};
	for (unsigned i = 0; i < count; i++) {
		const struct pl_rtp rtp = { .ssrc = p->ssrc,
			.ts = p->ts += 48 * PL_SIM_FRAME_MS,
			.seq = p->seq++,
			.payload_type = p->description.track[0].payload_type,
			.payload = { payload, sizeof payload } };
		p->packets_sent++;
		pl_sim_send_rtp(p, &rtp, &ext);
	}
}

/* One who floods the shard, with 50,000 packets a second of a track that is mixed and forwarded, or of G.711, takes no other room's mix away: what
 * is more than any talker sends ends before the rings, and has a name. */
static void test_mixing_a_flood_is_not_heard_next_door(void **state)
{
	enum { PER_MS = 50, FLOOD_MS = 1500, ROOMS = 4, OVER = PL_TRACK_PACKETS_BURST };
	static const enum pl_coding coding[] = { PL_CODING_OPUS, PL_CODING_PCMU };
	(void)state;
	for (size_t c = 0; c < PL_COUNT(coding); c++) {
		struct pl_sim *sim = make_sim(27, 1);
		struct pl_sim_peer *talker[ROOMS], *listener[ROOMS];
		struct pl_sim_join in = {
			.room = ROOM, .hz = 500, .slots = 1, .is_talking = true, .coding = coding[c]
		};
		struct pl_sim_peer *bad = pl_sim_join(sim, &in);
		in = (struct pl_sim_join){ .room = ROOM, .hz = 500, .slots = 1, .mode = PL_AUDIO_MIXED };
		pl_sim_join(sim, &in);
		in.mode = PL_AUDIO_FORWARD;
		struct pl_sim_peer *victim = pl_sim_join(sim, &in);
		for (uint32_t i = 0; i < ROOMS; i++) {
			in = (struct pl_sim_join){ .room = 1 + i, .slots = 1, .mode = PL_AUDIO_MIXED };
			in.hz = tone_hz[i];
			listener[i] = pl_sim_join(sim, &in);
			in.is_talking = true;
			pl_sim_run(sim, 3);
			talker[i] = pl_sim_join(sim, &in);
		}
		pl_sim_run(sim, 3000);
		sim->batch_us = PL_CODEC_STEP_US; /* a worker looks that seldom */
		const int64_t from_ms = pl_sim_now_ms(sim);
		const size_t before = victim->slot[0].count;
		for (int ms = 0; ms < FLOOD_MS; ms++) {
			flood(bad, PER_MS);
			pl_sim_run(sim, 1);
		}
		const int64_t to_ms = pl_sim_now_ms(sim);
		pl_sim_run(sim, 200);
		for (size_t i = 0; i < ROOMS; i++) {
			pl_sim_assert_hears(listener[i], talker[i], from_ms, to_ms - 100, true);
			assert_null(pl_sim_flaw(listener[i], 0, 0));
		}
		assert_int_equal(codec(sim).mixer.lost, 0);
		assert_int_equal(counters(sim, 0).drop[PL_DROP_CROSS_FULL], 0);
		assert_in_range(victim->slot[0].count - before, coding[c] == PL_CODING_OPUS ? FLOOD_MS * 2 / 5 : 100,
			OVER + (FLOOD_MS + 200) * 2 / 5);
		assert_true(counters(sim, 0).drop[PL_DROP_RTP_RATE] > FLOOD_MS * (PER_MS - 1));
		pl_sim_destroy(&sim);
	}
}

/* The bound is none for who talks: not for the shortest frames that there are, and not when a network gives nearly two seconds of
 * usual ones back at once. */
static void test_mixing_no_talker_meets_the_bound(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(28, 1);
	struct pl_sim_peer *talker = join(sim, PL_AUDIO_FORWARD, 1, false),
			   *listener = join(sim, PL_AUDIO_FORWARD, 1, false);
	pl_sim_run(sim, 1000);
	const size_t before = listener->slot[0].count;
	talker->frame_us = INT64_MAX; /* but for these: */
	for (int ms = 0; ms < 3000; ms += 5) {
		flood(talker, 2);
		pl_sim_run(sim, 5);
	}
	pl_sim_run(sim, 1000);
	flood(talker, 95);
	pl_sim_run(sim, 1000);
	assert_int_equal(counters(sim, 0).drop[PL_DROP_RTP_RATE], 0);
	assert_in_range(listener->slot[0].count - before, 1295, 1345);
	pl_sim_destroy(&sim);
}

/* More talkers take turns than a worker's places for them: who was heard before has ended there, though it talks on unheard. */
static void test_mixing_many_take_turns(void **state)
{
	enum { TALKERS = PL_MIX_CSRC_MAX + 4 };
	(void)state;
	struct pl_sim *sim = make_sim(30, 1);
	struct pl_sim_peer *listener = join(sim, PL_AUDIO_MIXED, 1, false);
	pl_sim_mute(listener, true);
	for (size_t i = 0; i < TALKERS; i++) {
		struct pl_sim_peer *talker = join(sim, PL_AUDIO_FORWARD, 0, true);
		talker->amplitude = 0.02;
	}
	pl_sim_run(sim, 1000);
	for (size_t i = 1; i <= TALKERS; i++) {
		struct pl_sim_peer *talker = sim->peer[i];
		const int64_t from_ms = pl_sim_now_ms(sim);
		talker->amplitude = 0.5;
		pl_sim_run(sim, 1300);
		pl_sim_assert_hears(listener, talker, from_ms + 900, from_ms + 1200, true);
		assert_int_equal(codec(sim).voices, PL_MIX_TALKERS);
		talker->amplitude = 0.02;
	}
	assert_int_equal(counters(sim, 0).drop[PL_DROP_CROSS_FULL], 0);
	pl_sim_destroy(&sim);
}

/* A frame that is made for who joins is made once for each: afterwards all have their past to be predicted from. */
static void test_mixing_starts_once_for_who_joins(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(31, 2);
	join(sim, PL_AUDIO_MIXED, 1, true);
	join_at(sim, 1, PL_AUDIO_MIXED, 1, true);
	for (uint8_t i = 0; i < 2; i++)
		pl_sim_mute(join_at(sim, i, PL_AUDIO_MIXED, 1, false), true);
	pl_sim_run(sim, 2000);
	const uint64_t before = codec(sim).mixer.starts;
	assert_in_range(before, 1, 8);
	pl_sim_run(sim, 5000);
	assert_int_equal(codec(sim).mixer.starts, before);
	for (uint8_t i = 0; i < 2; i++) {
		pl_sim_mute(join_at(sim, i, PL_AUDIO_MIXED, 1, false), true);
		pl_sim_run(sim, 1500);
	}
	const uint64_t after = codec(sim).mixer.starts;
	assert_in_range(after - before, 2, 2 * 3); /* the talkers' own streams may have one, too */
	pl_sim_run(sim, 5000);
	assert_int_equal(codec(sim).mixer.starts, after);
	pl_sim_destroy(&sim);
}

/* Gives the room a packet of the mix, as a worker would. */
static void take_mix(struct pl_sim *sim, uint32_t tick, bool is_start)
{
	static struct pl_packet packet;
	packet = (struct pl_packet){ .references = 1, .track = PL_MIX_TRACK(PL_MIX_FULL), .ssrc = 5, .ts = tick * 960 };
	packet.mix.is_start = is_start;
	packet.data[0] = (uint8_t)tick;
	packet.payload = (struct pl_bytes){ packet.data, 40 };
	const struct pl_cross message = { .kind = PL_CROSS_MIX, .room = ROOM, .packet = &packet };
	pl_conference_cross(sim->conference, sim->now_us, PL_CROSS_WORKER(0), &message);
	pl_sim_run(sim, PL_SIM_FRAME_MS); /* its peers send, and that drains */
}

/* A new listener of the mix hears it from the first frame on that it can decode, and from then on all of it; one that does not come is
 * waited for no longer than PL_SLOT_START_WAIT packets. */
static void test_mixing_new_listener_waits_for_a_start(void **state)
{
	enum { EARLY = 6, MORE = 5 };
	(void)state;
	for (int round = 0; round < 2; round++) {
		const bool has_start = round == 0;
		const uint32_t waited = has_start ? EARLY : PL_SLOT_START_WAIT;
		struct pl_sim *sim = make_sim(32, 1);
		struct pl_sim_peer *listener = join(sim, PL_AUDIO_MIXED, 1, false);
		pl_sim_mute(listener, true);
		pl_sim_run(sim, 1000);
		sim->worker[0].is_stuck = true;
		uint32_t tick = 1000;
		for (uint32_t i = 0; i < waited; i++)
			take_mix(sim, tick++, false);
		pl_sim_run(sim, 100);
		assert_int_equal(listener->slot[0].count, 0);
		assert_int_equal(counters(sim, 0).drop[PL_DROP_MIX_START], waited);
		take_mix(sim, tick, has_start);
		for (uint32_t i = 1; i < MORE; i++)
			take_mix(sim, tick + i, false);
		pl_sim_run(sim, 100);
		assert_int_equal(listener->slot[0].count, MORE);
		assert_int_equal(listener->slot[0].packet[0].payload[0], (uint8_t)tick);
		assert_int_equal(counters(sim, 0).drop[PL_DROP_MIX_START], waited);
		pl_sim_destroy(&sim);
	}
}

/* A room for which its worker has no place is not mixed, and nobody else notices; as soon as a place is free, it is, without anybody
 * asking again. */
static void test_mixing_a_room_without_a_place_gets_the_next(void **state)
{
	(void)state;
	struct pl_sim *sim = pl_sim_create(&(struct pl_sim_config){ .seed = 29, .workers = 1, .worker_rooms = 2 });
	struct pl_sim_peer *talker[3], *listener[3];
	for (uint32_t i = 0; i < 3; i++) {
		struct pl_sim_join in = { .room = 1 + i, .hz = tone_hz[i], .slots = 1, .mode = PL_AUDIO_MIXED };
		listener[i] = pl_sim_join(sim, &in);
		in.is_talking = true;
		talker[i] = pl_sim_join(sim, &in);
		pl_sim_run(sim, 500);
	}
	pl_sim_run(sim, 3000);
	int64_t to_ms = pl_sim_now_ms(sim);
	for (size_t i = 0; i < 3; i++)
		pl_sim_assert_hears(listener[i], talker[i], to_ms - 1500, to_ms - 100, i < 2);
	const uint64_t full = codec(sim).rooms_full;
	assert_in_range(full, 1, 4); /* each time that it is told of somebody, and not with each packet */
	assert_true(codec(sim).drop[PL_DROP_MIX_FULL] > 100);

	pl_sim_leave(talker[0]);
	pl_sim_leave(listener[0]);
	pl_sim_run(sim, 2000);
	to_ms = pl_sim_now_ms(sim);
	for (size_t i = 1; i < 3; i++)
		pl_sim_assert_hears(listener[i], talker[i], to_ms - 1500, to_ms - 100, true);
	assert_int_equal(codec(sim).rooms_full, full);
	pl_sim_assert_flawless(sim, 0);
	pl_sim_destroy(&sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mixing_has_as_many_as_configured),
		cmocka_unit_test(test_mixing_a_flood_is_not_heard_next_door),
		cmocka_unit_test(test_mixing_no_talker_meets_the_bound),
		cmocka_unit_test(test_mixing_many_take_turns),
		cmocka_unit_test(test_mixing_starts_once_for_who_joins),
		cmocka_unit_test(test_mixing_new_listener_waits_for_a_start),
		cmocka_unit_test(test_mixing_a_room_without_a_place_gets_the_next),
	};
	return cmocka_run_group_tests(tests, pl_sim_setup, pl_sim_teardown);
}
