#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "media/rewrite.h"
#include "media/rng.h"

enum { ALICE = 0xa, BOB = 0xb, OUT = 0xf };

struct step {
	int64_t at_ms;
	struct pl_rtp in;
	enum pl_drop drop;
	uint16_t seq;
	uint32_t ts;
	bool marker;
};

static void run(struct pl_rewrite *rw, const struct step *step, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct pl_rtp rtp = step[i].in;
		if (pl_rewrite_forward(rw, step[i].at_ms * 1000, &rtp) != step[i].drop)
			fail_msg("step %zu: not the expected end", i);
		if (step[i].drop != PL_DROP_NONE) {
			assert_int_equal(rtp.seq, step[i].in.seq);
			assert_int_equal(rtp.ssrc, step[i].in.ssrc);
			continue;
		}
		if (rtp.ssrc != OUT || rtp.seq != step[i].seq || rtp.ts != step[i].ts || rtp.marker != step[i].marker)
			fail_msg("step %zu: seq %u ts %u marker %d", i, rtp.seq, rtp.ts, rtp.marker);
	}
}

/* A speaker change must be inaudible: numbering continues by one and the clock moves by the 40 ms
 * that passed, whatever the new speaker's own numbers are (here they wrap). */
static void test_rewrite_speaker_change_is_continuous(void **state)
{
	(void)state;
	static const struct step step[] = {
		{ 0, { .ssrc = ALICE, .ts = 0, .seq = 100 }, PL_DROP_NONE, 1, 0, true },
		{ 20, { .ssrc = ALICE, .ts = 960, .seq = 101 }, PL_DROP_NONE, 2, 960, false },
		{ 60, { .ssrc = BOB, .ts = 5000, .seq = 65535 }, PL_DROP_NONE, 3, 2880, true },
		{ 60, { .ssrc = BOB, .ts = 4040, .seq = 65534 }, PL_DROP_BEFORE_SWITCH, 0, 0, false },
		{ 80, { .ssrc = BOB, .ts = 5960, .seq = 0 }, PL_DROP_NONE, 4, 3840, false },
		{ 120, { .ssrc = BOB, .ts = 7880, .seq = 2 }, PL_DROP_NONE, 6, 5760, false },
		/* late, and welcome: the gap it left is still there */
		{ 121, { .ssrc = BOB, .ts = 6920, .seq = 1 }, PL_DROP_NONE, 5, 4800, false },
		/* Alice again, from where she is now */
		{ 140, { .ssrc = ALICE, .ts = 6720, .seq = 107 }, PL_DROP_NONE, 7, 6720, true },
	};
	struct pl_rewrite rw;
	pl_rewrite_init(&rw, OUT, 48, 1, 0);
	run(&rw, step, PL_COUNT(step));
}

/* A change 3 ms after the last packet must not claim time that this packet's 20 ms already fill: a jitter buffer
 * throws such a frame away, and it is the new speaker's first syllable. */
static void test_rewrite_new_speaker_never_overlaps_the_last_frame(void **state)
{
	(void)state;
	static const struct step step[] = {
		{ 0, { .ssrc = ALICE, .ts = 0, .seq = 1 }, PL_DROP_NONE, 1, 0, true },
		{ 3, { .ssrc = BOB, .ts = 7, .seq = 1 }, PL_DROP_NONE, 2, 960, true },
		{ 63, { .ssrc = BOB, .ts = 2887, .seq = 2 }, PL_DROP_NONE, 3, 3840, false }, /* 60 ms frames */
		{ 64, { .ssrc = ALICE, .ts = 0, .seq = 9 }, PL_DROP_NONE, 4, 6720, true },
	};
	struct pl_rewrite rw;
	pl_rewrite_init(&rw, OUT, 48, 1, 0);
	run(&rw, step, PL_COUNT(step));
}

/* An SSRC of 0 is as good as any other, also as the very first. */
static void test_rewrite_source_ssrc_zero_is_a_source(void **state)
{
	(void)state;
	static const struct step step[] = {
		{ 0, { .ssrc = 0, .ts = 50, .seq = 8 }, PL_DROP_NONE, 65535, 1000, true },
		{ 20, { .ssrc = 0, .ts = 1010, .seq = 9 }, PL_DROP_NONE, 0, 1960, false },
		{ 40, { .ssrc = ALICE, .ts = 0, .seq = 1 }, PL_DROP_NONE, 1, 2920, true },
		{ 60, { .ssrc = 0, .ts = 2930, .seq = 11 }, PL_DROP_NONE, 2, 3880, true },
	};
	struct pl_rewrite rw;
	pl_rewrite_init(&rw, OUT, 48, 65535, 1000);
	run(&rw, step, PL_COUNT(step));
}

/* In a monologue longer than half of all numbers a late packet is still late, and not the future. */
static void test_rewrite_long_talk_takes_late_packets(void **state)
{
	(void)state;
	struct pl_rewrite rw;
	pl_rewrite_init(&rw, OUT, 48, 500, 0);
	for (uint32_t i = 0; i < 200000; i++) {
		const int64_t now_us = (int64_t)i * 20000;
		struct pl_rtp rtp = { .ssrc = ALICE, .seq = (uint16_t)i, .ts = i * 960 };
		if (i % 100 == 7)
			continue; /* comes late, below */
		assert_int_equal(pl_rewrite_forward(&rw, now_us, &rtp), PL_DROP_NONE);
		assert_int_equal(rtp.seq, (uint16_t)(500 + i));
		if (i % 100 == 9) {
			struct pl_rtp late = { .ssrc = ALICE, .seq = (uint16_t)(i - 2), .ts = (i - 2) * 960 };
			assert_int_equal(pl_rewrite_forward(&rw, now_us, &late), PL_DROP_NONE);
			assert_int_equal(late.seq, (uint16_t)(500 + i - 2));
			assert_int_equal(late.ts, (i - 2) * 960);
		}
	}
}

/* Loss upstream stays visible, so that the listener conceals it; but a publisher that began anew under its old SSRC is
 * no loss of a minute: its numbers are taken up like a new speaker's. */
static void test_rewrite_gaps_stay_and_restarts_do_not(void **state)
{
	(void)state;
	static const struct step step[] = {
		{ 0, { .ssrc = ALICE, .ts = 0, .seq = 1 }, PL_DROP_NONE, 1, 0, true },
		{ 1000, { .ssrc = ALICE, .ts = 48000, .seq = 51 }, PL_DROP_NONE, 51, 48000, false },
		{ 1020, { .ssrc = ALICE, .ts = 3, .seq = 30000 }, PL_DROP_NONE, 52, 48960, true },
		{ 1040, { .ssrc = ALICE, .ts = 963, .seq = 30001 }, PL_DROP_NONE, 53, 49920, false },
		/* exactly half of the range away */
		{ 1060, { .ssrc = ALICE, .ts = 9, .seq = (uint16_t)(30001 + 0x8000) }, PL_DROP_NONE, 54, 50880, true },
	};
	struct pl_rewrite rw;
	pl_rewrite_init(&rw, OUT, 48, 1, 0);
	run(&rw, step, PL_COUNT(step));
}

/* Back in the slot under the same SSRC after a pause: a switch, when the owner says so. */
static void test_rewrite_reset_makes_the_same_source_a_switch(void **state)
{
	(void)state;
	struct pl_rewrite rw;
	pl_rewrite_init(&rw, OUT, 48, 1, 0);
	struct pl_rtp rtp = { .ssrc = ALICE, .seq = 1, .ts = 0 };
	assert_int_equal(pl_rewrite_forward(&rw, 0, &rtp), PL_DROP_NONE);
	pl_rewrite_reset_source(&rw);
	rtp = (struct pl_rtp){ .ssrc = ALICE, .seq = 900, .ts = 77 };
	assert_int_equal(pl_rewrite_forward(&rw, 100000, &rtp), PL_DROP_NONE);
	assert_int_equal(rtp.seq, 2);
	assert_int_equal(rtp.ts, 4800);
	assert_true(rtp.marker);
}

/* A sender report must name the timestamp of its own moment, or lip sync is off by the pause since the last packet. */
static void test_rewrite_clock_goes_on_between_packets(void **state)
{
	(void)state;
	struct pl_rewrite rw;
	pl_rewrite_init(&rw, OUT, 48, 1, UINT32_MAX - 100);
	struct pl_rtp rtp = { .ssrc = ALICE, .seq = 1, .ts = 12345 };
	assert_int_equal(pl_rewrite_forward(&rw, 5000000, &rtp), PL_DROP_NONE);
	assert_int_equal(rtp.ts, UINT32_MAX - 100);
	assert_int_equal(pl_rewrite_ts_at(&rw, 5000000), UINT32_MAX - 100);
	assert_int_equal(pl_rewrite_ts_at(&rw, 6000000), UINT32_MAX - 100 + 48000u);
}

/* Whatever hostile publishers number, the newest outgoing number never runs ahead by more than what was lost, nothing
 * is forwarded twice as new, and nothing asserts. */
static void test_rewrite_any_numbers_keep_the_stream_sane(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 50; seed++) {
		struct pl_rng rng;
		struct pl_rewrite rw;
		pl_rng_init(&rng, seed);
		pl_rewrite_init(&rw, OUT, 48, (uint16_t)pl_rng_next(&rng), (uint32_t)pl_rng_next(&rng));
		int64_t now_us = 0;
		for (int i = 0; i < 5000; i++) {
			now_us += pl_rng_below(&rng, 40000);
			struct pl_rtp rtp = { .ssrc = pl_rng_below(&rng, 3),
				.seq = (uint16_t)pl_rng_next(&rng),
				.ts = (uint32_t)pl_rng_next(&rng) };
			const uint16_t before = rw.seq_last;
			if (pl_rewrite_forward(&rw, now_us, &rtp) == PL_DROP_NONE && rtp.seq == rw.seq_last &&
				rw.sent_last_us == now_us && (uint16_t)(rtp.seq - before) >= 3000)
				fail_msg("seed %llu: jumped from %u to %u", (unsigned long long)seed, before, rtp.seq);
		}
	}
}

/* A mix has a clock and no numbers.  A listener whose packets come from the shared stream, then from its own, then after a
 * silence from the shared one again, hears one stream without loss, in which the silence is as long as it was; and voices of
 * others before and behind it are switches as ever. */
static void test_rewrite_follows_a_mix(void **state)
{
	(void)state;
	enum { MIX = 77, OTHER_MIX = 78 };
	static const struct {
		struct step step;
		bool is_mix;
	} of[] = {
		{ { 0, { .ssrc = ALICE, .ts = 500, .seq = 40 }, PL_DROP_NONE, 1, 0, true }, false },
		{ { 30, { .ssrc = MIX, .ts = 96000, .seq = 9 }, PL_DROP_NONE, 2, 1440, true }, true },
		{ { 52, { .ssrc = MIX, .ts = 96960, .seq = 9 }, PL_DROP_NONE, 3, 2400, false }, true },
		{ { 69, { .ssrc = MIX, .ts = 97920, .seq = 0 }, PL_DROP_NONE, 4, 3360, false }, true },
		/* silence of 1 s; the mixer marks the first packet behind it */
		{ { 1071, { .ssrc = MIX, .ts = 145920, .seq = 0, .marker = true }, PL_DROP_NONE, 5, 51360, true },
			true },
		/* the mixer began anew */
		{ { 1090, { .ssrc = OTHER_MIX, .ts = 3 }, PL_DROP_NONE, 6, 52320, true }, true },
		{ { 1111, { .ssrc = OTHER_MIX, .ts = 963 }, PL_DROP_NONE, 7, 53280, false }, true },
		{ { 1131, { .ssrc = BOB, .ts = 1, .seq = 7 }, PL_DROP_NONE, 8, 54240, true }, false },
		{ { 1151, { .ssrc = BOB, .ts = 961, .seq = 8 }, PL_DROP_NONE, 9, 55200, false }, false },
	};
	struct pl_rewrite rw;
	pl_rewrite_init(&rw, OUT, 48, 1, 0);
	for (size_t i = 0; i < PL_COUNT(of); i++) {
		struct pl_rtp rtp = of[i].step.in;
		if (!of[i].is_mix) {
			run(&rw, &of[i].step, 1);
			continue;
		}
		pl_rewrite_follow(&rw, of[i].step.at_ms * 1000, &rtp);
		if (rtp.ssrc != OUT || rtp.seq != of[i].step.seq || rtp.ts != of[i].step.ts ||
			rtp.marker != of[i].step.marker)
			fail_msg("step %zu: seq %u ts %u marker %d", i, rtp.seq, rtp.ts, rtp.marker);
	}
}

/* An hour of a mix: its numbers wrap, and the talker behind it is a switch as any other. */
static void test_rewrite_follows_for_an_hour(void **state)
{
	(void)state;
	struct pl_rewrite rw;
	pl_rewrite_init(&rw, OUT, 48, 65000, 7);
	const uint32_t packets = 3600 * 50;
	for (uint32_t i = 0; i < packets; i++) {
		struct pl_rtp rtp = { .ssrc = ALICE, .ts = 5 + i * 960 };
		pl_rewrite_follow(&rw, (int64_t)i * 20000, &rtp);
		assert_int_equal(rtp.seq, (uint16_t)(65000 + i));
		assert_int_equal(rtp.ts, 7 + i * 960);
	}
	const struct step step = { packets * INT64_C(20), { .ssrc = BOB, .ts = 1, .seq = 9 }, PL_DROP_NONE,
		(uint16_t)(65000 + packets), 7 + packets * 960, true };
	run(&rw, &step, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rewrite_speaker_change_is_continuous),
		cmocka_unit_test(test_rewrite_new_speaker_never_overlaps_the_last_frame),
		cmocka_unit_test(test_rewrite_source_ssrc_zero_is_a_source),
		cmocka_unit_test(test_rewrite_long_talk_takes_late_packets),
		cmocka_unit_test(test_rewrite_gaps_stay_and_restarts_do_not),
		cmocka_unit_test(test_rewrite_reset_makes_the_same_source_a_switch),
		cmocka_unit_test(test_rewrite_clock_goes_on_between_packets),
		cmocka_unit_test(test_rewrite_follows_a_mix),
		cmocka_unit_test(test_rewrite_follows_for_an_hour),
		cmocka_unit_test(test_rewrite_any_numbers_keep_the_stream_sane),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
