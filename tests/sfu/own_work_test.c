/* sfu/own_work: whose doing it is that a thread is late. */
#include "sfu/own_work.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static bool is_own(struct pl_own_work *own, const struct pl_load *load)
{
	pl_own_work_feed(own, load);
	return own->is_own;
}

/* A thread that works on a processor is answerable for its first window. */
static void test_own_work_with_a_processor_counts_at_once(void **state)
{
	(void)state;
	struct pl_own_work own = { 0 };
	assert_false(is_own(&own, &(struct pl_load){ .busy_permille = 299, .cpu_permille = 299 }));
	assert_true(is_own(&own, &(struct pl_load){ .busy_permille = 1000, .cpu_permille = 300 }));
}

/* Where others have the processors a thread is at work for a whole window now and then, and gets little done: not its doing. */
static void test_own_work_is_not_what_others_take(void **state)
{
	(void)state;
	struct pl_own_work own = { 0 };
	for (int i = 0; i < 1000; i++) {
		const struct pl_load load = { .busy_permille = i % 3 == 0 ? 1000 : 500, .cpu_permille = 100 };
		assert_false(is_own(&own, &load));
	}
}

/* But one that never comes to rest does not keep up, whoever else is there: known within two seconds. */
static void test_own_work_without_rest_is_its_own(void **state)
{
	(void)state;
	struct pl_own_work own = { 0 };
	const struct pl_load load = { .busy_permille = 1000, .cpu_permille = 100 };
	int windows = 1;
	while (!is_own(&own, &load))
		windows++;
	assert_in_range(windows, 5, 20);
}

/* Under a quota nobody gets a whole processor: what is good work is a part of what there is. */
static void test_own_work_under_a_quota(void **state)
{
	(void)state;
	struct pl_own_work own = { .allowed_mcpu = 250 };
	assert_false(is_own(&own, &(struct pl_load){ .busy_permille = 900, .cpu_permille = 74 }));
	assert_true(is_own(&own, &(struct pl_load){ .busy_permille = 900, .cpu_permille = 75 }));
	own = (struct pl_own_work){ .allowed_mcpu = 4000 };
	assert_false(is_own(&own, &(struct pl_load){ .busy_permille = 900, .cpu_permille = 299 }));
}

/* Handshakes fill what media leaves: they are no work that anybody waits for. */
static void test_own_work_leaves_out_what_was_deferred(void **state)
{
	(void)state;
	struct pl_own_work own = { 0 };
	for (int i = 0; i < 100; i++) {
		const struct pl_load load = { .busy_permille = 1000, .deferred_permille = 900, .cpu_permille = 200 };
		assert_false(is_own(&own, &load));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_work_with_a_processor_counts_at_once),
		cmocka_unit_test(test_own_work_is_not_what_others_take),
		cmocka_unit_test(test_own_work_without_rest_is_its_own),
		cmocka_unit_test(test_own_work_under_a_quota),
		cmocka_unit_test(test_own_work_leaves_out_what_was_deferred),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
