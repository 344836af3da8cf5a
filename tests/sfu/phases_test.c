/* sfu/phases: what a start spends its time on adds up to all of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sfu/phases.h"

static void test_marks_end_phases_that_add_up(void **state)
{
	(void)state;
	struct pl_phases phases;
	pl_phases_begin(&phases, 1000, "before", 70);
	pl_phases_mark(&phases, "first", 1010);
	pl_phases_mark(&phases, "second", 1010);
	pl_phases_mark(&phases, "first", 1015);
	assert_int_equal(phases.count, 3);
	assert_string_equal(phases.phase[0].name, "before");
	assert_int_equal(phases.phase[0].us, 70);
	assert_int_equal(phases.phase[1].us, 15);
	assert_int_equal(phases.phase[2].us, 0);
	assert_int_equal(pl_phases_sum_us(&phases), 85);
	pl_phases_mark(NULL, "nobody asks", 1);
}

/* A phase too many costs its name, never its time. */
static void test_what_has_no_place_is_the_last_ones(void **state)
{
	(void)state;
	static const char *const name[] = { "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o",
		"p", "q", "r" };
	struct pl_phases phases;
	pl_phases_begin(&phases, 0, "before", 1);
	for (size_t i = 0; i < PL_COUNT(name); i++)
		pl_phases_mark(&phases, name[i], (int64_t)i + 1);
	assert_int_equal(phases.count, PL_PHASES_MAX);
	assert_string_equal(phases.phase[PL_PHASES_MAX - 1].name, "o");
	assert_int_equal(phases.phase[PL_PHASES_MAX - 1].us, 4);
	assert_int_equal(pl_phases_sum_us(&phases), 1 + (int64_t)PL_COUNT(name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_marks_end_phases_that_add_up),
		cmocka_unit_test(test_what_has_no_place_is_the_last_ones),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
