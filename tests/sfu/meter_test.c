/* sfu/meter: from what was read to a score, its cause and a level. */
#include "sfu/meter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { PERIOD = PL_PRESSURE_PERIOD_US, HOLD_PERIODS = PL_PRESSURE_HOLD_US / PERIOD };

/* Only this input is there, and has this much of a thousand. */
static struct pl_pressure_sample only(uint8_t input, uint64_t permille)
{
	struct pl_pressure_sample sample = { 0 };
	sample.input[input] = (struct pl_pressure_reading){ .part = permille, .whole = 1000 };
	return sample;
}

/* What stands in the list of inputs is what is 1: operators compare figures with these sentences. */
static void test_meter_normalises_as_the_list_says(void **state)
{
	(void)state;
	static const struct {
		uint8_t input;
		bool is_counter;
		uint64_t part, whole;
		uint16_t permille;
	} cases[] = {
		{ PL_PRESSURE_SHARD_BUSY, false, 700, 1000, 700 },
		{ PL_PRESSURE_SHARD_LATE, false, 5000, 5000, 1000 }, /* microseconds */
		{ PL_PRESSURE_SHARD_LATE, false, 20000, 5000, 4000 },
		{ PL_PRESSURE_CODEC_LATE, false, 9, 100, 900 },
		{ PL_PRESSURE_CPU, true, 150000, 200000, 750 },
		{ PL_PRESSURE_STEAL, true, 333, 1000, 1000 },
		{ PL_PRESSURE_THROTTLED, true, 333, 1000, 1000 },
		{ PL_PRESSURE_PSI_CPU, true, 100000, 100000, 1000 },
		{ PL_PRESSURE_PSI_MEMORY, true, 20000, 100000, 1000 },
		{ PL_PRESSURE_MEMORY, false, 512, 1024, 500 },
		{ PL_PRESSURE_UNTRACKED, false, 1000, 1000, 1000 },
		{ PL_PRESSURE_POOL, false, 2048, 2048, 1000 },
		{ PL_PRESSURE_RING, false, 512, 1024, 500 },
		{ PL_PRESSURE_RECEIVE_QUEUE, false, 1, 100, 1000 },
		{ PL_PRESSURE_FILES, false, 921, 1024, 899 },
		{ PL_PRESSURE_CANARY, false, 1, 1, 1000 },
	};
	bool is_tested[PL_PRESSURE_INPUTS] = { 0 };
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		struct pl_meter meter;
		pl_meter_init(&meter, 0);
		struct pl_pressure_sample sample = { 0 };
		struct pl_pressure_reading *reading = &sample.input[cases[i].input];
		*reading = (struct pl_pressure_reading){ .part = 7000, .whole = 9000 };
		if (cases[i].is_counter) {
			for (int k = 0; k <= PL_RATE_PERIODS_MAX; k++)
				assert_int_equal(pl_meter_feed(&meter, 0, &sample)->input_permille[cases[i].input], 0);
		} else {
			reading->part = reading->whole = 0;
		}
		reading->part += cases[i].part;
		reading->whole += cases[i].whole;
		pl_meter_feed(&meter, 2 * PERIOD, &sample);
		const struct pl_pressure *now = pl_meter_feed(&meter, 3 * PERIOD, &sample);
		assert_int_equal(now->input_permille[cases[i].input], cases[i].permille);
		assert_int_equal(now->score_permille, cases[i].permille);
		assert_int_equal(now->cause, cases[i].input);
		is_tested[cases[i].input] = true;
	}
	for (uint8_t i = 0; i < PL_PRESSURE_INPUTS; i++)
		assert_true(is_tested[i]);
}

/* A machine without a source is judged by the others. */
static void test_meter_leaves_out_what_is_not_there(void **state)
{
	(void)state;
	struct pl_meter meter;
	pl_meter_init(&meter, 0);
	struct pl_pressure_sample sample = { 0 };
	const struct pl_pressure *now = pl_meter_feed(&meter, PERIOD, &sample);
	assert_int_equal(now->score_permille, 0);
	assert_int_equal(now->cause, PL_PRESSURE_INPUTS);
	assert_int_equal(now->level, PL_PRESSURE_NOMINAL);
	for (uint8_t i = 0; i < PL_PRESSURE_INPUTS; i++)
		assert_int_equal(now->input_permille[i], PL_PRESSURE_ABSENT);
	sample = only(PL_PRESSURE_UNTRACKED, 300);
	now = pl_meter_feed(&meter, 2 * PERIOD, &sample);
	assert_int_equal(now->score_permille, 300);
	assert_int_equal(now->cause, PL_PRESSURE_UNTRACKED);
	assert_int_equal(now->input_permille[PL_PRESSURE_MEMORY], PL_PRESSURE_ABSENT);
}

/* A neighbour on the machine who keeps the CPUs busy makes us careful; it refuses nobody. */
static void test_meter_a_shared_cause_takes_little(void **state)
{
	(void)state;
	struct pl_meter meter;
	pl_meter_init(&meter, 0);
	struct pl_pressure_sample sample = only(PL_PRESSURE_UNTRACKED, 1000000);
	sample.input[PL_PRESSURE_UNTRACKED].is_shared = true;
	const struct pl_pressure *now = pl_meter_feed(&meter, PERIOD, &sample);
	assert_int_equal(now->level, PL_PRESSURE_ELEVATED);
	assert_true(now->score_permille < pl_pressure_begins_permille(PL_PRESSURE_HIGH));
	sample.input[PL_PRESSURE_UNTRACKED].is_shared = false;
	assert_int_equal(pl_meter_feed(&meter, 2 * PERIOD, &sample)->level, PL_PRESSURE_EMERGENCY);
}

/* What refuses people ends with what was the reason, whoever else keeps the machine busy; carefulness stays as long as they do. */
static void test_meter_a_shared_cause_keeps_nobody_out(void **state)
{
	(void)state;
	struct pl_meter meter;
	int64_t now_us = 0;
	pl_meter_init(&meter, now_us);
	struct pl_pressure_sample sample = only(PL_PRESSURE_UNTRACKED, 1000000);
	assert_int_equal(pl_meter_feed(&meter, now_us += PERIOD, &sample)->level, PL_PRESSURE_EMERGENCY);
	sample.input[PL_PRESSURE_UNTRACKED].is_shared = true;
	const struct pl_pressure *now = NULL;
	for (int i = 0; i < 600; i++)
		now = pl_meter_feed(&meter, now_us += PERIOD, &sample);
	assert_int_equal(now->level, PL_PRESSURE_ELEVATED);
	assert_int_equal(now->cause, PL_PRESSURE_UNTRACKED);
}

/* What others lost at their sockets is not ours in the sample after it, when it is our own queue that counts again. */
static void test_meter_a_shared_cause_confirms_nothing(void **state)
{
	(void)state;
	static const uint8_t confirmed[] = { PL_PRESSURE_SHARD_LATE, PL_PRESSURE_RECEIVE_QUEUE,
		PL_PRESSURE_SHARD_BUSY };
	for (size_t i = 0; i < PL_COUNT(confirmed); i++) {
		struct pl_meter meter;
		int64_t now_us = 0;
		pl_meter_init(&meter, now_us);
		struct pl_pressure_sample sample = only(confirmed[i], 1000000);
		sample.input[confirmed[i]].is_shared = true;
		for (int k = 0; k < 5; k++)
			assert_int_equal(pl_meter_feed(&meter, now_us += PERIOD, &sample)->level, PL_PRESSURE_ELEVATED);
		sample = only(confirmed[i], 0);
		for (int k = 0; k < 5; k++)
			assert_int_equal(pl_meter_feed(&meter, now_us += PERIOD, &sample)->level, PL_PRESSURE_ELEVATED);
	}
}

/* A thread that was late once, because the machine hiccuped, makes us careful; one that stays late is overload, within 200 ms. */
static void test_meter_a_hiccup_takes_little(void **state)
{
	(void)state;
	struct pl_meter meter;
	pl_meter_init(&meter, 0);
	const struct pl_pressure_sample late = only(PL_PRESSURE_SHARD_LATE, 20000),
					calm = only(PL_PRESSURE_SHARD_LATE, 0);
	int64_t now_us = 0;
	for (int i = 0; i < 30; i++) {
		const struct pl_pressure *now = pl_meter_feed(&meter, now_us += PERIOD, i % 3 == 1 ? &late : &calm);
		assert_int_equal(now->level, i == 0 ? PL_PRESSURE_NOMINAL : PL_PRESSURE_ELEVATED);
	}
	assert_int_equal(pl_meter_feed(&meter, now_us += PERIOD, &calm)->level, PL_PRESSURE_ELEVATED);
	assert_int_equal(pl_meter_feed(&meter, now_us += PERIOD, &late)->level, PL_PRESSURE_ELEVATED);
	assert_int_equal(pl_meter_feed(&meter, now_us += PERIOD, &calm)->level, PL_PRESSURE_ELEVATED);
	assert_int_equal(pl_meter_feed(&meter, now_us += PERIOD, &late)->level, PL_PRESSURE_EMERGENCY);
}

/* Shards wake the monitor when they have too much, one after the other: looks that come together show one moment. */
static void test_meter_looks_that_come_together_are_one(void **state)
{
	(void)state;
	struct pl_meter meter;
	const struct pl_pressure_sample calm = only(PL_PRESSURE_SHARD_BUSY, 100),
					busy = only(PL_PRESSURE_SHARD_BUSY, 1000);
	pl_meter_init(&meter, 0);
	for (int64_t i = 1; i <= 3; i++)
		pl_meter_feed(&meter, i * PERIOD, &calm);
	const int64_t woken_us = 3 * PERIOD + PERIOD / 2;
	for (int64_t i = 0; i < 4; i++)
		assert_int_equal(pl_meter_feed(&meter, woken_us + i * 1000, &busy)->level, PL_PRESSURE_ELEVATED);
	for (int64_t i = 1; i <= 3; i++)
		assert_int_equal(pl_meter_feed(&meter, woken_us + i * PERIOD, &calm)->level, PL_PRESSURE_ELEVATED);
	/* However often it is woken, what lasts is seen. */
	for (int64_t i = 0; i < 150; i++)
		pl_meter_feed(&meter, woken_us + 4 * PERIOD + i * 1000, &busy);
	assert_int_equal(meter.now.level, PL_PRESSURE_EMERGENCY);
}

/* A codec worker encodes for a room, however many listen: when it is late nobody new gets in, and nobody has to go.  An emergency that
 * something else has made ends beside it. */
static void test_meter_late_mixes_are_no_emergency(void **state)
{
	(void)state;
	struct pl_meter meter;
	int64_t now_us = 0;
	pl_meter_init(&meter, now_us);
	struct pl_pressure_sample sample = only(PL_PRESSURE_CODEC_LATE, 1000);
	sample.input[PL_PRESSURE_FILES] = (struct pl_pressure_reading){ .part = 1000, .whole = 1000 };
	assert_int_equal(pl_meter_feed(&meter, now_us += PERIOD, &sample)->level, PL_PRESSURE_EMERGENCY);
	sample.input[PL_PRESSURE_FILES].part = 0;
	const struct pl_pressure *now = NULL;
	for (int i = 0; i < 600; i++)
		now = pl_meter_feed(&meter, now_us += PERIOD, &sample);
	assert_int_equal(now->level, PL_PRESSURE_CRITICAL);
	assert_int_equal(now->cause, PL_PRESSURE_CODEC_LATE);
	assert_int_equal(now->score_permille, PL_METER_CLOSED_PERMILLE);
	assert_int_equal(now->input_permille[PL_PRESSURE_CODEC_LATE], PL_METER_CLOSED_PERMILLE);
}

/* A thread that stands still lets rings fill and the canary go deaf: the server closes, and keeps all who are in.  So it does for a moment after,
 * while what has piled up is worked off.  What no thread can cause counts in full meanwhile. */
static void test_meter_a_thread_that_stands_still_is_no_emergency(void **state)
{
	(void)state;
	static const struct {
		uint8_t input;
		uint8_t level;
	} cases[] = { { PL_PRESSURE_SHARD_BUSY, PL_PRESSURE_CRITICAL },
		{ PL_PRESSURE_SHARD_LATE, PL_PRESSURE_CRITICAL }, { PL_PRESSURE_POOL, PL_PRESSURE_CRITICAL },
		{ PL_PRESSURE_RING, PL_PRESSURE_CRITICAL }, { PL_PRESSURE_CANARY, PL_PRESSURE_CRITICAL },
		{ PL_PRESSURE_FILES, PL_PRESSURE_EMERGENCY }, { PL_PRESSURE_MEMORY, PL_PRESSURE_EMERGENCY },
		{ PL_PRESSURE_UNTRACKED, PL_PRESSURE_EMERGENCY } };
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		struct pl_meter meter;
		int64_t now_us = 0;
		pl_meter_init(&meter, now_us);
		struct pl_pressure_sample sample = only(cases[i].input, 1000);
		const struct pl_pressure *now = NULL;
		sample.has_stall = true;
		for (int k = 0; k < 300; k++) {
			now = pl_meter_feed(&meter, now_us += PERIOD, &sample);
			assert_true(now->level <= cases[i].level);
		}
		assert_int_equal(now->level, cases[i].level);
		assert_int_equal(now->cause, cases[i].input);
		sample.has_stall = false;
		for (int k = 1; k < HOLD_PERIODS; k++)
			assert_int_equal(pl_meter_feed(&meter, now_us += PERIOD, &sample)->level, cases[i].level);
		assert_int_equal(pl_meter_feed(&meter, now_us += PERIOD, &sample)->level, PL_PRESSURE_EMERGENCY);
	}
}

/* The way back: nothing for five seconds, then a level a second, and all is given back eight seconds after the load's end. */
static void test_meter_comes_down_in_steps(void **state)
{
	(void)state;
	struct pl_meter meter;
	pl_meter_init(&meter, 0);
	const struct pl_pressure_sample full = only(PL_PRESSURE_FILES, 1000), calm = only(PL_PRESSURE_FILES, 100);
	int64_t now_us = PERIOD;
	assert_int_equal(pl_meter_feed(&meter, now_us, &full)->level, PL_PRESSURE_EMERGENCY);
	const int64_t end_us = now_us;
	int64_t at_us[PL_PRESSURE_LEVELS] = { 0 };
	uint8_t level = PL_PRESSURE_EMERGENCY;
	while (level != PL_PRESSURE_NOMINAL) {
		now_us += PERIOD;
		const struct pl_pressure *now = pl_meter_feed(&meter, now_us, &calm);
		assert_int_equal(now->cause, PL_PRESSURE_FILES);
		assert_int_equal(now->score_permille, 100);
		if (now->level == level)
			continue;
		assert_int_equal(now->level, level - 1);
		at_us[--level] = now_us - end_us;
	}
	assert_int_equal(at_us[PL_PRESSURE_CRITICAL], PL_PRESSURE_HOLD_US + PERIOD);
	assert_int_equal(at_us[PL_PRESSURE_NOMINAL], PL_PRESSURE_HOLD_US + PERIOD + 3 * PL_PRESSURE_STEP_US);
}

/* A level stays while the score is between its two thresholds, and says which input keeps it. */
static void test_meter_holds_between_the_thresholds(void **state)
{
	(void)state;
	struct pl_meter meter;
	pl_meter_init(&meter, 0);
	struct pl_pressure_sample sample = only(PL_PRESSURE_FILES, 910);
	int64_t now_us = PERIOD;
	assert_int_equal(pl_meter_feed(&meter, now_us, &sample)->level, PL_PRESSURE_CRITICAL);
	for (int i = 0; i < 10 * HOLD_PERIODS; i++) {
		sample = only(i % 2 == 0 ? PL_PRESSURE_UNTRACKED : PL_PRESSURE_FILES, i % HOLD_PERIODS == 0 ? 720 : 20);
		const struct pl_pressure *now = pl_meter_feed(&meter, now_us += PERIOD, &sample);
		assert_int_equal(now->level, PL_PRESSURE_CRITICAL);
		assert_int_equal(now->cause, PL_PRESSURE_UNTRACKED);
	}
	for (int i = 0; i <= HOLD_PERIODS; i++) {
		sample = only(PL_PRESSURE_UNTRACKED, 719);
		pl_meter_feed(&meter, now_us += PERIOD, &sample);
	}
	assert_int_equal(meter.now.level, PL_PRESSURE_HIGH);
	/* The levels below need less. */
	for (int i = 0; i < 10 * HOLD_PERIODS; i++)
		pl_meter_feed(&meter, now_us += PERIOD, &sample);
	assert_int_equal(meter.now.level, PL_PRESSURE_HIGH);
}

/* A monitor that did not run for a while has seen nothing of it: the machine was not calm, it was frozen. */
static void test_meter_a_gap_is_no_recovery(void **state)
{
	(void)state;
	struct pl_meter meter;
	pl_meter_init(&meter, 0);
	struct pl_pressure_sample sample = only(PL_PRESSURE_FILES, 1000);
	pl_meter_feed(&meter, PERIOD, &sample);
	sample = only(PL_PRESSURE_FILES, 0);
	pl_meter_feed(&meter, 2 * PERIOD, &sample);
	assert_int_equal(pl_meter_feed(&meter, 2 * PERIOD + 60000000, &sample)->level, PL_PRESSURE_EMERGENCY);
	assert_int_equal(pl_meter_feed(&meter, 3 * PERIOD + 60000000 + PL_PRESSURE_HOLD_US, &sample)->level,
		PL_PRESSURE_EMERGENCY);
}

/* An operator's level is the level; underneath it goes on, and is there when the operator lets go. */
static void test_meter_a_forced_level_is_the_level(void **state)
{
	(void)state;
	struct pl_meter meter;
	pl_meter_init(&meter, 0);
	pl_meter_force(&meter, PL_PRESSURE_HIGH);
	struct pl_pressure_sample sample = only(PL_PRESSURE_FILES, 100);
	const struct pl_pressure *now = pl_meter_feed(&meter, PERIOD, &sample);
	assert_int_equal(now->level, PL_PRESSURE_HIGH);
	assert_true(now->is_forced);
	assert_int_equal(now->score_permille, 100);
	sample = only(PL_PRESSURE_FILES, 950);
	assert_int_equal(pl_meter_feed(&meter, 2 * PERIOD, &sample)->level, PL_PRESSURE_HIGH);
	pl_meter_force(&meter, PL_PRESSURE_LEVELS);
	now = pl_meter_feed(&meter, 3 * PERIOD, &sample);
	assert_int_equal(now->level, PL_PRESSURE_CRITICAL);
	assert_false(now->is_forced);
}

/* Windows are what they say, a counter that begins anew is no load, and the largest numbers there are do no harm. */
static void test_meter_rates_survive_what_counters_do(void **state)
{
	(void)state;
	struct pl_rate rate = { 0 };
	assert_int_equal(pl_rate_feed(&rate, 2, 1000, 1000), 0);
	assert_int_equal(pl_rate_feed(&rate, 2, 1500, 2000), 250); /* half of the window is there */
	assert_int_equal(pl_rate_feed(&rate, 2, 2500, 3000), 750);
	assert_int_equal(pl_rate_feed(&rate, 2, 2500, 4000), 500); /* the first is out of the window */
	assert_int_equal(pl_rate_feed(&rate, 2, 2500, 4000), 0);
	assert_int_equal(pl_rate_feed(&rate, 2, 10, 5000), 0);
	assert_int_equal(pl_rate_feed(&rate, 2, 510, 6000), 250);
	assert_int_equal(pl_rate_feed(&rate, 2, 511, 7), 0);
	assert_int_equal(pl_rate_feed(&rate, 1, UINT64_MAX, 8), PL_PRESSURE_PERMILLE_MAX);
	assert_int_equal(pl_rate_feed(&rate, 1, UINT64_MAX, UINT64_MAX), 0);
	rate = (struct pl_rate){ 0 };
	assert_int_equal(pl_rate_feed(&rate, 1, 0, 0), 0);
	assert_int_equal(pl_rate_feed(&rate, 1, UINT64_MAX, UINT64_MAX), 1000);
	for (int i = 0; i < 3 * PL_RATE_PERIODS_MAX; i++)
		assert_int_equal(pl_rate_feed(&rate, PL_RATE_PERIODS_MAX, 0, 0), 0);
}

/* ---- a property ---- */

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* A step of a series: calm, storms, edges of thresholds, garbage. */
static struct pl_pressure_reading random_reading(uint64_t *seed, struct pl_pressure_reading before)
{
	const uint64_t kind = next_random(seed) % 32, value = next_random(seed);
	struct pl_pressure_reading reading = { .whole = 1000, .is_shared = value % 5 == 0 };
	if (kind < 8)
		reading.part = value % 1100;
	else if (kind < 12)
		reading.part = (uint64_t[]){ 559, 560, 699, 700, 719, 720, 799, 800, 899, 900, 999, 1000 }[value % 12];
	else if (kind < 24)
		reading = (struct pl_pressure_reading){ before.part + value % 1000, before.whole + 1000,
			before.is_shared };
	else if (kind < 26)
		reading = (struct pl_pressure_reading){ value, next_random(seed), false };
	else if (kind < 27)
		reading.whole = 0;
	return reading;
}

/* For any series: a level that was reached stays for the hold, every sample that shows a higher one raises it at once, none falls by
 * more than one, and the cause of a rise is the largest input. */
static void test_meter_never_oscillates_faster_than_its_hold(void **state)
{
	(void)state;
	enum { SERIES = 300, SAMPLES = 2000 };
	uint64_t changes = 0, falls = 0;
	for (uint64_t series = 1; series <= SERIES; series++) {
		uint64_t seed = series * 0x9e3779b97f4a7c15u;
		struct pl_meter meter;
		int64_t now_us = 0, reached_us[PL_PRESSURE_LEVELS] = { 0 };
		struct pl_pressure_sample sample = { 0 };
		uint8_t level = PL_PRESSURE_NOMINAL;
		const uint64_t inputs = 1 + next_random(&seed) % PL_PRESSURE_INPUTS,
			       rarely = 1 + next_random(&seed) % 200;
		pl_meter_init(&meter, now_us);
		for (int i = 0; i < SAMPLES; i++) {
			now_us += next_random(&seed) % 50 == 0 ? (int64_t)(next_random(&seed) % 2000000) : PERIOD;
			for (uint64_t k = 0; k < inputs; k++) {
				if (next_random(&seed) % rarely == 0)
					sample.input[k] = random_reading(&seed, sample.input[k]);
			}
			const struct pl_pressure *now = pl_meter_feed(&meter, now_us, &sample);
			uint16_t largest = 0;
			for (uint8_t k = 0; k < PL_PRESSURE_INPUTS; k++) {
				if (now->input_permille[k] != PL_PRESSURE_ABSENT && now->input_permille[k] > largest)
					largest = now->input_permille[k];
			}
			assert_int_equal(now->score_permille, largest);
			assert_true(now->level >= pl_pressure_level_of(largest));
			assert_true(now->level + 1 >= level);
			if (now->level > level) {
				assert_int_equal(now->level, pl_pressure_level_of(largest));
				assert_int_equal(now->input_permille[now->cause], largest);
			}
			for (uint8_t k = PL_PRESSURE_ELEVATED; k < PL_PRESSURE_LEVELS; k++) {
				/* Seen at or above where it ends, or, of one that a shared cause cannot keep, where it begins: from
				 * here on it has to stay. */
				const uint16_t keeps = k < PL_PRESSURE_HIGH ? pl_pressure_ends_permille(k)
									    : pl_pressure_begins_permille(k);
				if (now->level >= k && largest >= keeps)
					reached_us[k] = now_us;
				if (now->level < k && level >= k) {
					assert_true(now_us - reached_us[k] >= PL_PRESSURE_HOLD_US);
					falls++;
				}
			}
			changes += now->level != level;
			level = now->level;
		}
	}
	assert_true(changes > SERIES && falls > SERIES); /* the series are not all of one kind */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_meter_normalises_as_the_list_says),
		cmocka_unit_test(test_meter_leaves_out_what_is_not_there),
		cmocka_unit_test(test_meter_a_shared_cause_takes_little),
		cmocka_unit_test(test_meter_a_shared_cause_keeps_nobody_out),
		cmocka_unit_test(test_meter_a_shared_cause_confirms_nothing),
		cmocka_unit_test(test_meter_a_hiccup_takes_little),
		cmocka_unit_test(test_meter_looks_that_come_together_are_one),
		cmocka_unit_test(test_meter_late_mixes_are_no_emergency),
		cmocka_unit_test(test_meter_a_thread_that_stands_still_is_no_emergency),
		cmocka_unit_test(test_meter_comes_down_in_steps),
		cmocka_unit_test(test_meter_holds_between_the_thresholds),
		cmocka_unit_test(test_meter_a_gap_is_no_recovery),
		cmocka_unit_test(test_meter_a_forced_level_is_the_level),
		cmocka_unit_test(test_meter_rates_survive_what_counters_do),
		cmocka_unit_test(test_meter_never_oscillates_faster_than_its_hold),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
