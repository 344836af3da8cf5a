/* sfu/room: what its talkers send is compared with what its members take. */
#include "sfu/room.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { TIMERS = 8, MEMBERS = 4, CLOCK_HZ = 48000, NOW_US = 1000000 };

struct world {
	struct pl_timers timers;
	struct pl_timer *heap[TIMERS + 1];
	struct pl_notices notices;
	struct pl_room room;
	struct pl_participant member[MEMBERS];
	struct pl_rng rng;
};

static void init(struct world *w, bool is_replica)
{
	memset(w, 0, sizeof *w);
	pl_timers_init(&w->timers, w->heap, TIMERS);
	pl_rng_init(&w->rng, 1);
	pl_room_init(&w->room, 7, &w->timers, 0, &w->notices);
	w->room.speakers.is_replica = is_replica;
}

static struct pl_description offer(uint32_t bitrate_max_bps, uint16_t ptime_max_ms)
{
	return (struct pl_description){ .audio_mode = PL_AUDIO_FORWARD,
		.slot_count = 1,
		.slot = { { .mid = "x",
			.ssrc = 50,
			.clock_hz = CLOCK_HZ,
			.bitrate_max_bps = bitrate_max_bps,
			.ptime_max_ms = ptime_max_ms } } };
}

static void join(struct world *w, size_t i, uint32_t bitrate_max_bps, uint16_t ptime_max_ms)
{
	struct pl_participant *p = &w->member[i];
	const struct pl_description description = offer(bitrate_max_bps, ptime_max_ms);
	*p = (struct pl_participant){ .source = 100 + (uint32_t)i, .can_mix = true, .state = PL_PARTICIPANT_LIVE };
	pl_participant_apply(p, &description, &w->room.speakers, &w->rng);
	pl_room_add(&w->room, p, NOW_US);
}

static void leave(struct world *w, size_t i)
{
	pl_room_remove(&w->room, &w->member[i], NOW_US);
	pl_queue_remove(&w->notices.participants, &w->member[i].telling);
}

static bool is_mixed(const struct world *w, size_t i)
{
	return PL_MIX_IS_TRACK(w->member[i].slots.track[0]);
}

/* A packet of 20 ms (RFC 6716 section 3.1), or of two or three times as much, of one who sends so many bits. */
static bool note(struct world *w, uint32_t bps, uint8_t frames)
{
	static const uint8_t opus[][2] = { { 0xf8 }, { 0xf9 }, { 0xfb, 3 } };
	const struct pl_packet packet = { .track = 5, .bps = bps, .payload = { opus[frames - 1], 2 } };
	return pl_room_note_talker(&w->room, NOW_US, &packet);
}

/* An average that rises from zero, as that of each new talker does, moves each member when it passes what that one takes, and no
 * other, and says so; falling, it moves nobody back. */
static void test_room_members_move_one_by_one(void **state)
{
	(void)state;
	static const uint32_t limit[MEMBERS] = { 64000, 0, 32000, 128000 };
	for (int is_replica = 0; is_replica < 2; is_replica++) {
		struct world w;
		init(&w, is_replica != 0);
		for (size_t i = 0; i < MEMBERS; i++)
			join(&w, i, limit[i], 0);
		uint32_t moved = 0;
		for (uint32_t bps = 0; bps < 200000; bps += 50) {
			bool is_due = false;
			for (size_t i = 0; i < MEMBERS; i++) {
				const uint32_t most = pl_participant_talk_max_bps(&w.member[i]);
				is_due = is_due || (bps > most && bps <= most + 50);
			}
			assert_int_equal(note(&w, bps, 1), is_due);
			moved += is_due;
			for (size_t i = 0; i < MEMBERS; i++)
				assert_int_equal(is_mixed(&w, i), limit[i] != 0 && bps > limit[i] + limit[i] / 16);
		}
		assert_int_equal(moved, 3);
		assert_int_equal(w.room.members_by_group[PL_MIX_FULL], 2);
		assert_int_equal(w.room.members_by_group[PL_MIX_ROBUST], 1); /* who takes 32,000 */
		assert_false(note(&w, 0, 1));
		assert_true(is_mixed(&w, 0) && is_mixed(&w, 2) && is_mixed(&w, 3));
		for (size_t i = 0; i < MEMBERS; i++)
			leave(&w, i);
		assert_int_equal(w.room.members_limited, 0);
	}
}

/* Who comes when it has been seen hears the mix from the begin; who offers another limit is judged by that one, and who goes leaves
 * nothing behind that the others are judged by. */
static void test_room_knows_what_was_sent(void **state)
{
	(void)state;
	struct world w;
	init(&w, false);
	join(&w, 0, 64000, 0);
	join(&w, 1, 0, 40);
	assert_false(note(&w, 50000, 1));
	assert_false(note(&w, 40000, 2));
	join(&w, 2, 40000, 0);
	join(&w, 3, 0, 20);
	assert_true(!is_mixed(&w, 0) && !is_mixed(&w, 1) && is_mixed(&w, 2) && is_mixed(&w, 3));

	struct pl_description description = offer(48000, 0);
	pl_room_apply(&w.room, &w.member[2], NOW_US, &description, &w.rng);
	assert_false(is_mixed(&w, 2)); /* 50,000 are within it */
	leave(&w, 2);
	assert_false(note(&w, 60000, 2)); /* more than that one took */
	description = offer(40000, 0);
	pl_room_apply(&w.room, &w.member[0], NOW_US, &description, &w.rng);
	assert_true(is_mixed(&w, 0));
	assert_true(note(&w, 0, 3));
	assert_true(is_mixed(&w, 1));

	/* Nobody has a limit: what is sent is not looked at. */
	leave(&w, 0);
	leave(&w, 1);
	leave(&w, 3);
	assert_int_equal(w.room.members_limited, 0);
	join(&w, 0, 0, 0);
	assert_false(note(&w, 500000, 1));
	join(&w, 1, 64000, 0);
	assert_false(is_mixed(&w, 1));
	assert_true(note(&w, 500000, 1));
	assert_true(is_mixed(&w, 1));
	leave(&w, 0);
	leave(&w, 1);
}

/* What comes back from the mixer is no talker's. */
static void test_room_does_not_judge_the_mix(void **state)
{
	(void)state;
	struct world w;
	init(&w, false);
	join(&w, 0, 64000, 20);
	static const uint8_t opus[] = { 0xfb, 3 };
	const struct pl_packet packet = {
		.track = PL_MIX_TRACK(PL_MIX_STEREO), .bps = 500000, .payload = { opus, sizeof opus }
	};
	assert_false(pl_room_note_talker(&w.room, NOW_US, &packet));
	assert_false(is_mixed(&w, 0));
	leave(&w, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_room_members_move_one_by_one),
		cmocka_unit_test(test_room_knows_what_was_sent),
		cmocka_unit_test(test_room_does_not_judge_the_mix),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
