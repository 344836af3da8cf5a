/* sfu/reserve: joins that no measurement has seen yet. */
#include "sfu/reserve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { START_US = 1000000050 };

static struct pl_pressure busy(uint16_t permille)
{
	struct pl_pressure pressure = { .level = pl_pressure_level_of(permille), .score_permille = permille };
	for (uint8_t i = 0; i < PL_PRESSURE_INPUTS; i++)
		pressure.input_permille[i] = PL_PRESSURE_ABSENT;
	pressure.input_permille[PL_PRESSURE_SHARD_BUSY] = permille;
	return pressure;
}

static void join(struct pl_reserve *reserve, int64_t now_us, int count)
{
	for (int i = 0; i < count; i++)
		pl_reserve_join(reserve, now_us);
}

/* Ten thousand clients who come at once find the figures of an idle server: the first are let in, and then it is full, before
 * anything was measured.  A little later it is known what they cost. */
static void test_reserve_a_burst_does_not_pass_on_old_figures(void **state)
{
	(void)state;
	struct pl_reserve reserve;
	pl_reserve_init(&reserve, START_US, 1);
	int admitted = 0;
	while (admitted < 100000 && pl_reserve_level(&reserve, START_US) < PL_PRESSURE_CRITICAL) {
		pl_reserve_join(&reserve, START_US);
		admitted++;
	}
	assert_in_range(admitted, 2000, 3000);
	assert_int_equal(pl_reserve_level(&reserve, START_US + 900000), PL_PRESSURE_CRITICAL);
	assert_int_equal(pl_reserve_level(&reserve, START_US + PL_RESERVE_US), PL_PRESSURE_NOMINAL);
	assert_int_equal(pl_reserve_score(&reserve, START_US + PL_RESERVE_US), 0);
}

/* In full for a second, then less and less: what is measured takes its place. */
static void test_reserve_fades(void **state)
{
	(void)state;
	struct pl_reserve reserve;
	pl_reserve_init(&reserve, START_US, 1);
	join(&reserve, START_US, 1000);
	uint16_t before = pl_reserve_score(&reserve, START_US);
	assert_in_range(before, 300, 302);
	assert_int_equal(pl_reserve_score(&reserve, START_US + PL_RESERVE_FULL_US), before);
	for (int64_t age_us = PL_RESERVE_FULL_US + PL_PRESSURE_PERIOD_US; age_us <= PL_RESERVE_US;
		age_us += PL_PRESSURE_PERIOD_US) {
		const uint16_t now = pl_reserve_score(&reserve, START_US + age_us);
		assert_true(now < before);
		before = now;
	}
	assert_int_equal(before, 0);
	/* An hour later the ring is as empty. */
	join(&reserve, START_US + 3600000000LL, 100);
	assert_in_range(pl_reserve_score(&reserve, START_US + 3600000000LL), 30, 31);
}

/* What one costs is learned from what many do, between a floor and a ceiling. */
static void test_reserve_learns_what_one_costs(void **state)
{
	(void)state;
	struct pl_reserve reserve;
	pl_reserve_init(&reserve, START_US, 1);
	int64_t now_us = START_US;
	struct pl_pressure pressure = busy(300);
	for (int i = 0; i < 100; i++)
		pl_reserve_measured(&reserve, now_us += PL_PRESSURE_PERIOD_US, &pressure, 100);
	assert_in_range(reserve.cost_micro, 2900, 3001);
	join(&reserve, now_us, 100);
	assert_in_range(pl_reserve_score(&reserve, now_us), 590, 601);
	for (int i = 0; i < 100; i++)
		pl_reserve_measured(&reserve, now_us, &pressure, 10000);
	assert_int_equal(reserve.cost_micro, reserve.floor_micro);
	for (int i = 0; i < 100; i++)
		pl_reserve_measured(&reserve, now_us, &pressure, 20);
	assert_int_equal(reserve.cost_micro, reserve.ceiling_micro);
	/* Of so few it says nothing. */
	pl_reserve_init(&reserve, START_US, 4);
	pl_reserve_measured(&reserve, START_US, &pressure, 3);
	assert_int_equal(reserve.cost_micro, reserve.floor_micro);
	assert_true(reserve.floor_micro < 100); /* of one of four shards */
}

/* Pressure that participants do not make is not theirs to add to, but it is not forgotten. */
static void test_reserve_adds_to_what_participants_make(void **state)
{
	(void)state;
	struct pl_reserve reserve;
	pl_reserve_init(&reserve, START_US, 1);
	struct pl_pressure pressure = busy(100);
	pressure.input_permille[PL_PRESSURE_PSI_CPU] = 790;
	pressure.score_permille = 790;
	pressure.level = PL_PRESSURE_ELEVATED;
	pl_reserve_measured(&reserve, START_US, &pressure, 5);
	join(&reserve, START_US, 1500);
	assert_int_equal(pl_reserve_score(&reserve, START_US), 790);
	assert_int_equal(pl_reserve_level(&reserve, START_US), PL_PRESSURE_ELEVATED);
	join(&reserve, START_US, 1300);
	assert_int_equal(pl_reserve_level(&reserve, START_US), PL_PRESSURE_CRITICAL);
	/* A level is held for a while after its score has fallen; an operator's is what it is. */
	pressure = busy(10);
	pressure.level = PL_PRESSURE_EMERGENCY;
	pl_reserve_measured(&reserve, START_US, &pressure, 5);
	assert_int_equal(pl_reserve_level(&reserve, START_US), PL_PRESSURE_EMERGENCY);
	pressure = busy(2000);
	pressure.level = PL_PRESSURE_NOMINAL;
	pressure.is_forced = true;
	pl_reserve_measured(&reserve, START_US, &pressure, 5);
	assert_int_equal(pl_reserve_level(&reserve, START_US), PL_PRESSURE_NOMINAL);
}

/* Any order of time and any number of joins stay within what a score can be. */
static void test_reserve_is_bounded(void **state)
{
	(void)state;
	struct pl_reserve reserve;
	pl_reserve_init(&reserve, 0, 1);
	for (size_t i = 0; i < PL_RESERVE_SLOTS; i++)
		reserve.joined[i] = UINT32_MAX;
	pl_reserve_join(&reserve, 0);
	assert_int_equal(pl_reserve_score(&reserve, 0), PL_PRESSURE_PERMILLE_MAX);
	assert_int_equal(pl_reserve_score(&reserve, INT64_MAX / 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reserve_a_burst_does_not_pass_on_old_figures),
		cmocka_unit_test(test_reserve_fades),
		cmocka_unit_test(test_reserve_learns_what_one_costs),
		cmocka_unit_test(test_reserve_adds_to_what_participants_make),
		cmocka_unit_test(test_reserve_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
