#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "media/rng.h"
#include "tests/sim/voice_sim.h"
#include "tests/support/sound.h"

static const struct pl_voice_sim_config tone = { PL_VOICE_SIM_TONE, PL_VOICE_SIM_CELT, 960, 0 };
static const struct pl_voice_sim_config marked = { PL_VOICE_SIM_MARKED, PL_VOICE_SIM_CELT, 960, 0 };

/* On a good network a packet waits for the next tick and no longer, whatever its length: mouth to ear is what the frame and
 * the tick cost. */
static void test_voice_zero_jitter_waits_for_the_tick_alone(void **state)
{
	(void)state;
	static const int frame[] = { 120, 240, 480, 960, 1920, 2880, 5760 };
	for (size_t f = 0; f < PL_COUNT(frame); f++) {
		for (int64_t phase_us = 0; phase_us < 20000; phase_us += 9000) {
			struct pl_voice_sim_config config = marked;
			config.frame = frame[f];
			struct pl_voice_sim *w = pl_voice_sim_create(&config, f + 1, 12);
			w->media_us += (double)phase_us;
			pl_voice_sim_run(w, 12000);
			const struct pl_voice_gauges g = pl_voice_sim_gauges(w);
			const double lookahead_ms = 2.5;
			struct pl_voice_sim_marks span = pl_voice_sim_marks(w, 48000, frame[f] / 48.0 + lookahead_ms);
			span.least_ms -= (double)phase_us / 1000;
			span.most_ms -= (double)phase_us / 1000;
			if (span.marks < 10 || span.most_ms > 21.5 || span.most_ms - span.least_ms > 2 ||
				g.lost + g.late + g.concealed > 0 || g.shortened > 960 || g.lengthened > 960)
				fail_msg("%d samples, phase %d: %u marks, %.1f to %.1f ms, lost %u, concealed %u, "
					 "shortened %u, lengthened %u",
					frame[f], (int)phase_us, span.marks, span.least_ms, span.most_ms,
					(unsigned)g.lost, (unsigned)g.concealed, (unsigned)g.shortened,
					(unsigned)g.lengthened);
			pl_voice_sim_destroy(w);
		}
	}
}

/* Packets that come 0 to 60 ms late, in any order, some twice: after the first seconds next to nothing is missing, and what
 * is heard waits no longer than that takes.  When the network is good again, the delay goes. */
static void test_voice_delay_follows_jitter_and_returns(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct pl_voice_sim *w = pl_voice_sim_create(&marked, seed, 60);
		w->jitter_us = 60000;
		w->duplicate_percent = 5;
		pl_voice_sim_run(w, 4000);
		const struct pl_voice_gauges before = pl_voice_sim_gauges(w);
		const size_t from = w->heard_count;
		pl_voice_sim_run(w, 20000);
		const struct pl_voice_gauges g = pl_voice_sim_gauges(w);
		const struct pl_voice_sim_marks span = pl_voice_sim_marks(w, from, 22.5);
		const double concealed_percent =
			(double)(g.concealed - before.concealed) / (20000 * PL_VOICE_SIM_MS) * 100;
		if (concealed_percent > 4 || span.marks < 17 || span.most_ms > 100 || span.least_ms < 40 ||
			g.duplicate == 0 || g.target_us < 40000 || g.target_us > 62000)
			fail_msg("seed %u: %.1f %% concealed, %u marks after %.1f to %.1f ms, target %u us",
				(unsigned)seed, concealed_percent, span.marks, span.least_ms, span.most_ms,
				(unsigned)g.target_us);
		assert_int_equal(w->dropped[PL_DROP_VOICE_LATE], g.late);
		assert_int_equal(w->dropped[PL_DROP_VOICE_DUPLICATE], g.duplicate);

		w->jitter_us = 0;
		pl_voice_sim_run(w, 25000);
		const size_t after = w->heard_count;
		pl_voice_sim_run(w, 8000);
		const struct pl_voice_sim_marks good = pl_voice_sim_marks(w, after, 22.5);
		if (good.marks < 7 || good.most_ms > 32)
			fail_msg("seed %u: back to %.1f ms", (unsigned)seed, good.most_ms);
		pl_voice_sim_destroy(w);
	}
}

/* Packets of any length, also in turn: jitter costs each of them what it is, and what is late for its length. */
static void test_voice_any_frame_length_survives_jitter(void **state)
{
	(void)state;
	static const int frame[] = { 120, 240, 480, 1920, 2880, 5760, 0 };
	for (size_t f = 0; f < PL_COUNT(frame); f++) {
		struct pl_voice_sim_config config = tone;
		config.frame = frame[f];
		struct pl_voice_sim *w = pl_voice_sim_create(&config, f + 20, 26);
		w->jitter_us = 40000;
		pl_voice_sim_run(w, 6000);
		const struct pl_voice_gauges before = pl_voice_sim_gauges(w);
		pl_voice_sim_run(w, 20000);
		const struct pl_voice_gauges g = pl_voice_sim_gauges(w);
		const double concealed_percent =
			(double)(g.concealed - before.concealed) / (20000 * PL_VOICE_SIM_MS) * 100;
		const double most_ms = frame[f] == 0 ? 200 : 75;
		if (concealed_percent > 4 || g.delay_us > most_ms * 1000)
			fail_msg("%d samples: %.1f %% concealed, delay %u us", frame[f], concealed_percent,
				(unsigned)g.delay_us);
		pl_voice_sim_destroy(w);
	}
}

/* The network stands still for 0.1-2.5 s and then delivers all at once, every seven seconds: each time the delay is gone again
 * before the next, and it is no longer after the eighth than after the first. */
static void test_voice_bursts_leave_no_delay_behind(void **state)
{
	(void)state;
	static const int64_t stall_ms[] = { 100, 300, 500, 900, 1500, 2500 };
	for (size_t s = 0; s < PL_COUNT(stall_ms); s++) {
		struct pl_voice_sim *w = pl_voice_sim_create(&marked, s + 1, 60);
		pl_voice_sim_run(w, 3000);
		for (int round = 0; round < 8; round++) {
			w->blocked_until_us = w->now_us + stall_ms[s] * 1000;
			pl_voice_sim_run(w, 5500);
			const size_t from = w->heard_count;
			pl_voice_sim_run(w, 1500);
			const struct pl_voice_sim_marks span = pl_voice_sim_marks(w, from, 22.5);
			if (span.marks < 1 || span.most_ms > 60)
				fail_msg("%d ms, round %d: %u marks, %.1f ms", (int)stall_ms[s], round, span.marks,
					span.most_ms);
		}
		pl_voice_sim_destroy(w);
	}
}

/* Half an hour with a microphone whose clock is 200 ppm off: 360 ms too much or too little.  The delay is the same at every
 * second of it. */
static void test_voice_delay_does_not_creep(void **state)
{
	(void)state;
	enum { MINUTES = 30 };
	for (int sign = -1; sign <= 1; sign += 2) {
		struct pl_voice_sim *w = pl_voice_sim_create(&marked, 9, MINUTES * 60);
		w->drift_ppm = 200 * sign;
		w->jitter_us = 3000;
		pl_voice_sim_run(w, MINUTES * 60000);
		const struct pl_voice_gauges g = pl_voice_sim_gauges(w);
		const struct pl_voice_sim_marks span = pl_voice_sim_marks(w, 5 * 48000, 22.5);
		if (span.marks < MINUTES * 60 - 20 || span.most_ms > 50 || span.least_ms < -2 ||
			g.concealed > 40 * 960 || g.shortened + g.lengthened > 3 * 360 * PL_VOICE_SIM_MS)
			fail_msg("%d ppm: %u marks, %.1f to %.1f ms, %u concealed, %u cut, %u put in",
				(int)w->drift_ppm, span.marks, span.least_ms, span.most_ms, (unsigned)g.concealed,
				(unsigned)g.shortened, (unsigned)g.lengthened);
		pl_voice_sim_destroy(w);
	}
}

/* Ticks that never came (a stalled machine) leave no delay behind, ticks that come late and then together neither. */
static void test_voice_ticks_may_be_missing_or_late(void **state)
{
	(void)state;
	struct pl_voice_sim *w = pl_voice_sim_create(&marked, 4, 60);
	pl_voice_sim_run(w, 3000);
	for (int i = 0; i < 6; i++) {
		w->tick_us += (i + 1) * 100000; /* missing */
		w->tick += (uint32_t)(i + 1) * 5;
		w->heard_count += (size_t)(i + 1) * 100 * PL_VOICE_SIM_MS;
		pl_voice_sim_run(w, 4000);
	}
	const size_t from = w->heard_count;
	pl_voice_sim_run(w, 5000);
	const struct pl_voice_sim_marks span = pl_voice_sim_marks(w, from, 22.5);
	if (span.marks < 4 || span.most_ms > 60)
		fail_msg("missing ticks: %u marks, %.1f ms", span.marks, span.most_ms);

	for (int i = 0; i < 4; i++) { /* late: what came meanwhile is there, and then tick follows tick */
		const int64_t late_us = 80000;
		pl_voice_sim_talk_until(w, w->tick_us + late_us);
		pl_voice_sim_deliver_until(w, w->tick_us + late_us);
		pl_voice_sim_run(w, 5000);
	}
	const size_t last = w->heard_count;
	pl_voice_sim_run(w, 5000);
	const struct pl_voice_sim_marks late = pl_voice_sim_marks(w, last, 22.5);
	if (late.marks < 4 || late.most_ms > 60)
		fail_msg("late ticks: %u marks, %.1f ms", late.marks, late.most_ms);
	pl_voice_sim_destroy(w);
}

/* The mixer stood still for longer than any timestamp may be off by.  That is no new publisher: its voice is back at once. */
static void test_voice_a_mixer_that_stood_still_is_no_new_beginning(void **state)
{
	(void)state;
	static const int64_t stall_ms[] = { 900, 1100, 1600, 3000 };
	struct pl_voice_sim *w = pl_voice_sim_create(&tone, 13, 20);
	for (size_t i = 0; i < PL_COUNT(stall_ms); i++) {
		pl_voice_sim_run(w, 2000);
		w->tick_us += stall_ms[i] * 1000;
		w->tick += (uint32_t)stall_ms[i] / 20;
		pl_voice_sim_talk_until(w, w->tick_us);
		for (size_t k = 0; k < w->flying_count; k++)
			w->flying[k].arrives_us = w->tick_us;
		const uint64_t silent = w->silent_pulls;
		pl_voice_sim_run(w, 1000);
		const struct pl_voice_gauges g = pl_voice_sim_gauges(w);
		if (w->silent_pulls > silent || g.restarted > 0 || g.delay_us > 100000)
			fail_msg("%d ms: %u silent, restarted %u, delay %u us", (int)stall_ms[i],
				(unsigned)(w->silent_pulls - silent), (unsigned)g.restarted, (unsigned)g.delay_us);
	}
	pl_voice_sim_destroy(w);
}

/* On a network that jitters a word after a pause begins as late as the last one ended: not sooner, or its first packets would be missing. */
static void test_voice_words_begin_as_late_as_their_network_needs(void **state)
{
	(void)state;
	static const uint32_t jitter_us[] = { 15000, 30000, 60000 };
	for (size_t i = 0; i < PL_COUNT(jitter_us); i++) {
		struct pl_voice_sim *w = pl_voice_sim_create(&tone, 14, 60);
		w->jitter_us = jitter_us[i];
		pl_voice_sim_run(w, 6000);
		w->jitter_us = 0;
		for (int word = 0; word < 10; word++) {
			w->is_talking = false;
			pl_voice_sim_run(w, 500);
			w->media_us += 1900; /* its packets lie otherwise to the ticks */
			w->ts += 91;
			w->is_talking = true;
			while (!pl_voice_sim_tick(w))
				;
			const struct pl_voice_gauges g = pl_voice_sim_gauges(w);
			if (g.target_us + 10000 < jitter_us[i] || g.delay_us + 5000 < g.target_us ||
				g.delay_us > g.target_us + 25000)
				fail_msg("jitter %u us, word %d: delay %u us, target %u", (unsigned)jitter_us[i], word,
					(unsigned)g.delay_us, (unsigned)g.target_us);
		}
		pl_voice_sim_destroy(w);
	}
}

/* A microphone whose clock is off by 0.2 % is further off than any timestamp may be after ten minutes.  Nobody hears when. */
static void test_voice_a_clock_that_drifts_far_is_no_new_beginning(void **state)
{
	(void)state;
	enum { SECONDS = 13 * 60 };
	for (int sign = -1; sign <= 1; sign += 2) {
		struct pl_voice_sim *w = pl_voice_sim_create(&tone, 15, SECONDS);
		w->drift_ppm = 2000 * sign;
		pl_voice_sim_run(w, SECONDS * 1000);
		const struct pl_voice_gauges g = pl_voice_sim_gauges(w);
		if (w->silent_pulls > 3 || g.restarted > 0 || g.late > 0 || g.delay_us > 60000)
			fail_msg("%d ppm: %u silent, restarted %u, late %u, delay %u us", (int)w->drift_ppm,
				(unsigned)w->silent_pulls, (unsigned)g.restarted, (unsigned)g.late,
				(unsigned)g.delay_us);
		pl_voice_sim_destroy(w);
	}
}

/* One packet in ten goes a way that is 1.2 s longer.  Nobody would wait for it: it is as good as lost, and what is heard is not
 * delayed by it. */
static void test_voice_does_not_wait_for_a_detour(void **state)
{
	(void)state;
	enum { TICKS = 1000, DETOUR_US = 1200000 };
	struct pl_voice_sim *w = pl_voice_sim_create(&tone, 12, 31);
	pl_voice_sim_run(w, 2000);
	for (int i = 0; i < TICKS; i++) {
		pl_voice_sim_talk_until(w, w->tick_us);
		struct pl_voice_sim_packet *newest = &w->flying[w->flying_count - 1];
		if (i % 10 == 0)
			newest->arrives_us += DETOUR_US;
		pl_voice_sim_tick(w);
	}
	const struct pl_voice_gauges g = pl_voice_sim_gauges(w);
	assert_in_range(w->dropped[PL_DROP_VOICE_LATE], TICKS / 10 - 7, TICKS / 10);
	assert_in_range(g.concealed, TICKS / 10 * 960 * 9 / 10, TICKS / 10 * 960 * 11 / 10);
	assert_in_range(g.target_us, 0, 10000);
	assert_in_range(g.delay_us, 0, 10000);
	pl_voice_sim_destroy(w);
}

/* While packets are lost whose FEC can be used, one more is waited for; when no more are, that delay goes again. */
static void test_voice_waits_for_fec_only_while_it_is_used(void **state)
{
	(void)state;
	const struct pl_voice_sim_config robust = { PL_VOICE_SIM_SPEECH, PL_VOICE_SIM_VOIP, 960, 20 };
	struct pl_voice_sim *w = pl_voice_sim_create(&robust, 3, 60);
	w->loss_percent = 10;
	pl_voice_sim_run(w, 20000);
	assert_in_range(pl_voice_sim_gauges(w).target_us, 20000, 25000);
	assert_in_range(pl_voice_sim_gauges(w).delay_us, 12000, 35000);
	w->loss_percent = 0;
	pl_voice_sim_run(w, 25000);
	assert_in_range(pl_voice_sim_gauges(w).target_us, 0, 2500);
	assert_in_range(pl_voice_sim_gauges(w).delay_us, 0, 10000);
	pl_voice_sim_destroy(w);
}

/* A mixer that makes up for ticks is fast for a while, and then late again: a voice that began meanwhile is not heard later for
 * it. */
static void test_voice_ticks_may_be_too_fast(void **state)
{
	(void)state;
	enum { FAST = 10, STALL_US = 200000 };
	struct pl_voice_sim *w = pl_voice_sim_create(&marked, 5, 20);
	for (int i = 0; i < FAST; i++) {
		pl_voice_sim_tick(w);
		w->tick_us -= PL_VOICE_TICK_US / 2;
	}
	w->heard_count = FAST / 2 * PL_VOICE_FRAME;
	pl_voice_sim_run(w, 5000);
	w->tick_us += STALL_US;
	w->tick += STALL_US / PL_VOICE_TICK_US;
	w->heard_count += STALL_US / 1000 * PL_VOICE_SIM_MS;
	pl_voice_sim_talk_until(w, w->tick_us);
	for (size_t i = 0; i < w->flying_count; i++)
		w->flying[i].arrives_us = w->tick_us; /* the mixer's thread stood still: nobody took them in */
	pl_voice_sim_run(w, 1500);
	const size_t from = w->heard_count;
	pl_voice_sim_run(w, 3000);
	const struct pl_voice_sim_marks span = pl_voice_sim_marks(w, from, 22.5);
	if (span.marks < 2 || span.most_ms > 40)
		fail_msg("%u marks, %.1f ms", span.marks, span.most_ms);
	pl_voice_sim_destroy(w);
}

/* A network that stood still must not be heard as a delay for long: right after it, what is more than 100 ms old is given
 * up, counted, and not played. */
static void test_voice_gives_up_what_is_old_after_a_stall(void **state)
{
	(void)state;
	struct pl_voice_sim *w = pl_voice_sim_create(&marked, 3, 20);
	pl_voice_sim_run(w, 3000);
	w->blocked_until_us = w->now_us + 500000;
	pl_voice_sim_run(w, 600);
	const struct pl_voice_gauges g = pl_voice_sim_gauges(w);
	if (g.delay_us > 140000 || g.late < 15)
		fail_msg("delay %u us, %u late", (unsigned)g.delay_us, (unsigned)g.late);
	pl_voice_sim_destroy(w);
}

/* A publisher that sends what is to come 0.9 s ahead fills the buffer to 600 ms and no further: of more the oldest is given
 * up. */
static void test_voice_never_waits_longer_than_its_bound(void **state)
{
	(void)state;
	enum { AHEAD = 45 };
	struct pl_voice_sim *w = pl_voice_sim_create(&tone, 3, 20);
	pl_voice_sim_run(w, 2000);
	const uint64_t late = pl_voice_sim_gauges(w).late;
	for (int n = 1; n <= AHEAD; n++) {
		pl_voice_sim_talk_until(w, w->tick_us + n * 20000);
		for (size_t i = 0; i < w->flying_count; i++)
			w->flying[i].arrives_us = w->tick_us;
		pl_voice_sim_deliver_until(w, w->tick_us);
	}
	assert_in_range(pl_voice_sim_gauges(w).late - late, 20, AHEAD);
	pl_voice_sim_destroy(w);
}

/* Noise has no pitch to cut a period of; its delay returns all the same, a little later. */
static void test_voice_delay_of_noise_returns_too(void **state)
{
	(void)state;
	const struct pl_voice_sim_config noise = { PL_VOICE_SIM_NOISE, PL_VOICE_SIM_CELT, 960, 0 };
	struct pl_voice_sim *w = pl_voice_sim_create(&noise, 3, 60);
	w->jitter_us = 60000;
	pl_voice_sim_run(w, 5000);
	assert_in_range(pl_voice_sim_gauges(w).delay_us, 40000, 100000);
	w->jitter_us = 0;
	pl_voice_sim_run(w, 30000);
	assert_in_range(pl_voice_sim_gauges(w).delay_us, 0, 10000);
	pl_voice_sim_destroy(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_voice_zero_jitter_waits_for_the_tick_alone),
		cmocka_unit_test(test_voice_delay_follows_jitter_and_returns),
		cmocka_unit_test(test_voice_any_frame_length_survives_jitter),
		cmocka_unit_test(test_voice_bursts_leave_no_delay_behind),
		cmocka_unit_test(test_voice_delay_does_not_creep),
		cmocka_unit_test(test_voice_ticks_may_be_missing_or_late),
		cmocka_unit_test(test_voice_ticks_may_be_too_fast),
		cmocka_unit_test(test_voice_a_mixer_that_stood_still_is_no_new_beginning),
		cmocka_unit_test(test_voice_words_begin_as_late_as_their_network_needs),
		cmocka_unit_test(test_voice_a_clock_that_drifts_far_is_no_new_beginning),
		cmocka_unit_test(test_voice_does_not_wait_for_a_detour),
		cmocka_unit_test(test_voice_waits_for_fec_only_while_it_is_used),
		cmocka_unit_test(test_voice_gives_up_what_is_old_after_a_stall),
		cmocka_unit_test(test_voice_never_waits_longer_than_its_bound),
		cmocka_unit_test(test_voice_delay_of_noise_returns_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
