/* sfu/strain: what threads tell of themselves, and whose fault it is. */
#include "sfu/strain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { NOW = 1000000000 };

static struct pl_strain strain[2];
static struct pl_pressure_sample sample;

static int begin(void **state)
{
	(void)state;
	memset(strain, 0, sizeof strain);
	memset(&sample, 0, sizeof sample);
	return 0;
}

/* What a window told just now. */
static struct pl_load window(uint64_t turns, uint64_t busy_permille, uint64_t late_us)
{
	return (struct pl_load){ .window_us = PL_LOAD_PERIOD_US,
		.age_us = 1000,
		.turns = turns,
		.busy_permille = busy_permille,
		.cpu_permille = busy_permille,
		.late_p99_us = late_us };
}

/* As pl_pulse_read makes it of a thread that does not come back, and was at rest before: it told nothing for longer. */
static struct pl_load hanging(uint64_t for_us)
{
	const uint64_t age_us = for_us + 500000;
	return (struct pl_load){ .window_us = age_us,
		.age_us = age_us,
		.busy_permille = 1000,
		.late_p99_us = for_us,
		.late_max_us = for_us };
}

static void add_shard(size_t index, struct pl_load load)
{
	pl_strain_add_shard(&sample, &strain[index], NOW, &load, 0, 0);
}

static void expect(enum pl_pressure_input input, uint64_t part, uint64_t whole, bool is_shared)
{
	const struct pl_pressure_reading *reading = &sample.input[input];
	if (reading->part != part || reading->whole != whole || reading->is_shared != is_shared)
		fail_msg("%s: %u of %u, %s", pl_pressure_input_name((uint8_t)input), (unsigned)reading->part,
			(unsigned)reading->whole, reading->is_shared ? "others'" : "ours");
}

static void test_strain_the_worst_shard_counts(void **state)
{
	(void)state;
	struct pl_load calm = window(100, 300, 100), busy = window(80, 950, 4000);
	calm.pool_permille = 400;
	calm.ring_permille = 10;
	busy.pool_permille = 200;
	busy.ring_permille = 30;
	add_shard(0, calm);
	add_shard(1, busy);
	expect(PL_PRESSURE_SHARD_BUSY, 950, 1000, false);
	expect(PL_PRESSURE_SHARD_LATE, 4000, PL_STRAIN_LATE_US, false);
	expect(PL_PRESSURE_POOL, 400, 1000, false);
	expect(PL_PRESSURE_RING, 30, 1000, false);
}

/* A thousand clients come at once: that is no overload, whoever talks is heard as before. */
static void test_strain_a_storm_of_joins_is_no_load(void **state)
{
	(void)state;
	struct pl_load storm = window(90, 1000, 1100);
	storm.deferred_permille = 900;
	add_shard(0, storm);
	expect(PL_PRESSURE_SHARD_BUSY, 100, 1000, false);
	expect(PL_PRESSURE_SHARD_LATE, 1100, PL_STRAIN_LATE_US, true);
	storm.deferred_permille = 5000; /* never more than it was busy */
	memset(&sample, 0, sizeof sample);
	add_shard(1, storm);
	expect(PL_PRESSURE_SHARD_BUSY, 0, 1000, false);
}

/* A compiler beside an idle server makes its few turns late.  Nobody is refused for that. */
static void test_strain_what_others_make_late_is_theirs(void **state)
{
	(void)state;
	add_shard(0, window(PL_STRAIN_LATE_TURNS_MIN - 1, 900, 33000));
	expect(PL_PRESSURE_SHARD_LATE, 0, PL_STRAIN_LATE_US, false);
	add_shard(1, window(PL_STRAIN_LATE_TURNS_MIN, PL_STRAIN_OWN_PERMILLE - 1, 33000));
	expect(PL_PRESSURE_SHARD_LATE, 33000, PL_STRAIN_LATE_US, true);
	/* A smaller lateness that is its own counts for more. */
	memset(&sample, 0, sizeof sample);
	strain[0].told_us = strain[1].told_us = 0;
	add_shard(0, window(50, 100, 33000));
	add_shard(1, window(50, PL_STRAIN_OWN_PERMILLE, 4500));
	expect(PL_PRESSURE_SHARD_LATE, 4500, PL_STRAIN_LATE_US, false);
}

/* A thread that has to wait for a processor is at work for whole windows, and late; where it comes to rest now and then, that is not its
 * doing.  Where it never does, it is overloaded, whoever else is there. */
static void test_strain_a_thread_that_others_keep_from_work(void **state)
{
	(void)state;
	struct pl_load load = window(50, 1000, 9000);
	load.cpu_permille = PL_OWN_WORK_CPU_PERMILLE - 1;
	add_shard(0, load);
	expect(PL_PRESSURE_SHARD_BUSY, 1000, 1000, true);
	expect(PL_PRESSURE_SHARD_LATE, 9000, PL_STRAIN_LATE_US, true);
	for (int64_t i = 1; i < 20; i++)
		pl_strain_add_shard(&sample, &strain[0], NOW + i * PL_PRESSURE_PERIOD_US, &load, 0, 0);
	memset(&sample, 0, sizeof sample);
	pl_strain_add_shard(&sample, &strain[0], NOW + 20 * PL_PRESSURE_PERIOD_US, &load, 0, 0);
	expect(PL_PRESSURE_SHARD_BUSY, 1000, 1000, false);
	expect(PL_PRESSURE_SHARD_LATE, 9000, PL_STRAIN_LATE_US, false);
}

/* A shard at rest tells twice a second: what it was in that moment is not what it is in the four looks after it. */
static void test_strain_a_window_counts_once(void **state)
{
	(void)state;
	struct pl_load load = window(50, 900, 8000);
	load.pool_permille = load.ring_permille = 990;
	add_shard(0, load);
	expect(PL_PRESSURE_SHARD_LATE, 8000, PL_STRAIN_LATE_US, false);
	memset(&sample, 0, sizeof sample);
	load.age_us += PL_PRESSURE_PERIOD_US;
	pl_strain_add_shard(&sample, &strain[0], NOW + PL_PRESSURE_PERIOD_US, &load, 0, 0);
	expect(PL_PRESSURE_SHARD_LATE, 0, PL_STRAIN_LATE_US, false);
	expect(PL_PRESSURE_POOL, 0, 1000, false);
	expect(PL_PRESSURE_RING, 0, 1000, false);
	expect(PL_PRESSURE_SHARD_BUSY, 0, 1000, false); /* as busy as two windows show */
	for (int64_t i = 2; i < 6; i++) {
		load.age_us = i % 2 == 0 ? 1000
					 : 1000 + PL_PRESSURE_PERIOD_US; /* the second of them is there for two looks */
		memset(&sample, 0, sizeof sample);
		pl_strain_add_shard(&sample, &strain[0], NOW + i * PL_PRESSURE_PERIOD_US, &load, 0, 0);
		expect(PL_PRESSURE_SHARD_BUSY, 900, 1000, false);
	}
}

/* A host that stops a machine for a tenth of a second makes one window full, and windows are a little longer than the time between two
 * looks: what is seen twice is still one hiccup, and takes the right to come in from nobody. */
static void test_strain_a_window_that_is_seen_twice_is_a_hiccup(void **state)
{
	(void)state;
	static const struct {
		uint64_t busy_permille;
		int64_t age_us;
	} looks[] = { { 100, 1000 }, { 100, 1000 }, { 1000, 1000 }, { 1000, 1000 + PL_PRESSURE_PERIOD_US },
		{ 100, 1000 }, { 100, 1000 }, { 100, 1000 } };
	struct pl_meter meter;
	int64_t now_us = NOW;
	pl_meter_init(&meter, now_us);
	for (size_t i = 0; i < PL_COUNT(looks); i++) {
		struct pl_load load = window(50, looks[i].busy_permille, 100);
		load.age_us = (uint64_t)looks[i].age_us;
		now_us += PL_PRESSURE_PERIOD_US;
		memset(&sample, 0, sizeof sample);
		pl_strain_add_shard(&sample, &strain[0], now_us, &load, 0, 0);
		assert_int_equal(pl_meter_feed(&meter, now_us, &sample)->level,
			i < 2 ? PL_PRESSURE_NOMINAL : PL_PRESSURE_ELEVATED);
	}
}

/* A thread that does not come back: for a moment it may only not be let run, and then it is taken for what it is. */
static void test_strain_a_thread_that_hangs(void **state)
{
	(void)state;
	add_shard(0, hanging(PL_STRAIN_HANG_US - 1));
	expect(PL_PRESSURE_SHARD_BUSY, 1000, 1000, true);
	expect(PL_PRESSURE_SHARD_LATE, PL_STRAIN_HANG_US - 1, PL_STRAIN_LATE_US, true);
	assert_false(sample.has_stall);
	for (int i = 0; i < 2; i++) {
		memset(&sample, 0, sizeof sample);
		add_shard(0, hanging(PL_STRAIN_HANG_US));
		expect(PL_PRESSURE_SHARD_BUSY, 1000, 1000, false);
		expect(PL_PRESSURE_SHARD_LATE, PL_STRAIN_HANG_US, PL_STRAIN_LATE_US, false);
		assert_true(sample.has_stall);
	}
	sample.has_stall = false;
	struct pl_load load = hanging(PL_STRAIN_HANG_US - 1);
	pl_strain_add_worker(&sample, &strain[1], NOW, &load, 100, 0);
	expect(PL_PRESSURE_CODEC_LATE, 1000, 1000, true);
	assert_false(sample.has_stall);
	load = hanging(PL_STRAIN_HANG_US);
	pl_strain_add_worker(&sample, &strain[1], NOW, &load, 100, 0);
	expect(PL_PRESSURE_CODEC_LATE, 1000, 1000, false);
	assert_true(sample.has_stall);
}

/* Who rests tells twice a second: it is no hanging thread when a busy machine lets it wait for a tenth of a second then. */
static void test_strain_a_thread_that_rests_and_is_woken_late(void **state)
{
	enum { TOLD_US = 500000, LATE_US = 150000 };
	struct pl_load load = hanging(LATE_US);
	(void)state;
	load.window_us = load.age_us = TOLD_US + LATE_US;
	add_shard(0, load);
	expect(PL_PRESSURE_SHARD_BUSY, 1000, 1000, true);
	expect(PL_PRESSURE_SHARD_LATE, LATE_US, PL_STRAIN_LATE_US, true);
	load.late_p99_us = load.late_max_us = PL_STRAIN_HANG_US;
	add_shard(0, load);
	expect(PL_PRESSURE_SHARD_BUSY, 1000, 1000, false);
}

/* Ticks that began late of those that there were since the last look; counters that begin anew are no load. */
static void test_strain_workers_count_late_ticks(void **state)
{
	(void)state;
	struct pl_load load = window(20, 800, 0);
	pl_strain_add_worker(&sample, &strain[0], NOW, &load, 1000, 500);
	expect(PL_PRESSURE_CODEC_LATE, 0, 1000, false);
	memset(&sample, 0, sizeof sample);
	pl_strain_add_worker(&sample, &strain[0], NOW, &load, 1020, 503);
	expect(PL_PRESSURE_CODEC_LATE, 150, 1000, false);
	memset(&sample, 0, sizeof sample);
	pl_strain_add_worker(&sample, &strain[0], NOW, &load, 5, 5);
	expect(PL_PRESSURE_CODEC_LATE, 0, 1000, false);
	memset(&sample, 0, sizeof sample);
	load.busy_permille = 100;
	pl_strain_add_worker(&sample, &strain[0], NOW, &load, 25, 15);
	expect(PL_PRESSURE_CODEC_LATE, 500, 1000, true);
	expect(PL_PRESSURE_SHARD_BUSY, 0, 0, false); /* there is no shard */
}

/* Our own full queue is ours; somebody else's, on the same host, makes us careful. */
static void test_strain_full_receive_queues(void **state)
{
	(void)state;
	struct pl_rate rate = { 0 };
	const struct pl_load load = window(50, 100, 0);
	pl_strain_add_others(&sample, &rate, 1, 0, 0);
	expect(PL_PRESSURE_RECEIVE_QUEUE, 0, 0, false);
	pl_strain_add_shard(&sample, &strain[0], NOW, &load, 1000, 10);
	pl_strain_add_others(&sample, &rate, 1, 100000, 5000);
	expect(PL_PRESSURE_RECEIVE_QUEUE, 0, 1000, false);
	memset(&sample, 0, sizeof sample);
	pl_strain_add_shard(&sample, &strain[0], NOW, &load, 1980, 30);
	expect(PL_PRESSURE_RECEIVE_QUEUE, 20, 1000, false);
	pl_strain_add_others(&sample, &rate, 1, 100900, 5100);
	expect(PL_PRESSURE_RECEIVE_QUEUE, 20, 1000, false); /* a tenth of others' says less than a fiftieth of ours */
	memset(&sample, 0, sizeof sample);
	pl_strain_add_shard(&sample, &strain[0], NOW, &load, 2980, 30);
	pl_strain_add_others(&sample, &rate, 1, 101800, 5200);
	expect(PL_PRESSURE_RECEIVE_QUEUE, 100, 1000, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_strain_the_worst_shard_counts, begin),
		cmocka_unit_test_setup(test_strain_a_storm_of_joins_is_no_load, begin),
		cmocka_unit_test_setup(test_strain_what_others_make_late_is_theirs, begin),
		cmocka_unit_test_setup(test_strain_a_thread_that_others_keep_from_work, begin),
		cmocka_unit_test_setup(test_strain_a_window_counts_once, begin),
		cmocka_unit_test_setup(test_strain_a_window_that_is_seen_twice_is_a_hiccup, begin),
		cmocka_unit_test_setup(test_strain_a_thread_that_hangs, begin),
		cmocka_unit_test_setup(test_strain_a_thread_that_rests_and_is_woken_late, begin),
		cmocka_unit_test_setup(test_strain_workers_count_late_ticks, begin),
		cmocka_unit_test_setup(test_strain_full_receive_queues, begin),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
