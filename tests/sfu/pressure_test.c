/* sfu/pressure: the score, its level, and what a level takes away. */
#include "sfu/pressure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Each rung takes what the one below took, and something more; the lowest takes nothing. */
static void test_pressure_ladder_only_takes_more(void **state)
{
	(void)state;
	const struct pl_ladder *below = pl_pressure_ladder(PL_PRESSURE_NOMINAL);
	assert_int_equal(below->coalesce_us + below->load_step, 0);
	assert_false(below->moves_auto || below->refuses_rooms || below->refuses_joins || below->asks_idle);
	for (uint8_t level = PL_PRESSURE_ELEVATED; level < PL_PRESSURE_LEVELS; level++) {
		const struct pl_ladder *rung = pl_pressure_ladder(level);
		assert_true(rung->audio_slots >= 1 && rung->audio_slots <= below->audio_slots);
		assert_true(rung->coalesce_us >= below->coalesce_us && rung->coalesce_us <= 5000);
		assert_true(rung->load_step >= below->load_step);
		assert_true(rung->moves_auto >= below->moves_auto && rung->asks_idle >= below->asks_idle);
		assert_true(rung->refuses_rooms >= below->refuses_rooms);
		assert_true(rung->refuses_joins >= below->refuses_joins);
		assert_memory_not_equal(rung, below, sizeof *rung);
		below = rung;
	}
}

/* Operators write rules for these words. */
static void test_pressure_names_are_different(void **state)
{
	(void)state;
	for (uint8_t i = 0; i <= PL_PRESSURE_INPUTS; i++) {
		for (uint8_t k = 0; k < i; k++)
			assert_string_not_equal(pl_pressure_input_name(i), pl_pressure_input_name(k));
	}
	assert_string_equal(pl_pressure_level_name(PL_PRESSURE_NOMINAL), "nominal");
	assert_string_equal(pl_pressure_level_name(PL_PRESSURE_EMERGENCY), "emergency");
}

/* A score on a threshold is beyond it, and a level ends a fifth lower than it began. */
static void test_pressure_levels_begin_and_end(void **state)
{
	(void)state;
	static const struct {
		uint16_t score;
		uint8_t level;
	} cases[] = { { 0, 0 }, { 699, 0 }, { 700, 1 }, { 799, 1 }, { 800, 2 }, { 899, 2 }, { 900, 3 }, { 999, 3 },
		{ 1000, 4 }, { PL_PRESSURE_PERMILLE_MAX, 4 } };
	static const uint16_t ends[PL_PRESSURE_LEVELS] = { 0, 560, 640, 720, 800 };
	for (size_t i = 0; i < PL_COUNT(cases); i++)
		assert_int_equal(pl_pressure_level_of(cases[i].score), cases[i].level);
	for (uint8_t level = 0; level < PL_PRESSURE_LEVELS; level++)
		assert_int_equal(pl_pressure_ends_permille(level), ends[level]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pressure_ladder_only_takes_more),
		cmocka_unit_test(test_pressure_names_are_different),
		cmocka_unit_test(test_pressure_levels_begin_and_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
