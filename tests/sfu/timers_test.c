#include "sfu/timers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "media/rng.h"

enum { COUNT = 100 };

/* Every deadline is met once, in order, whatever was set, moved and cleared before: a missed one is a participant that
 * never expires, or a handshake that never repeats its flight. */
static void test_timers_fire_once_and_in_order(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct pl_timer *heap[COUNT + 1];
		struct pl_timer timer[COUNT] = { 0 };
		int64_t at_us[COUNT];
		struct pl_timers timers;
		struct pl_rng rng;
		pl_timers_init(&timers, heap, COUNT);
		pl_rng_init(&rng, seed);
		for (int i = 0; i < COUNT; i++)
			at_us[i] = INT64_MAX;
		for (int step = 0; step < 2000; step++) {
			const uint32_t i = pl_rng_below(&rng, COUNT);
			at_us[i] = pl_rng_below(&rng, 4) == 0 ? INT64_MAX : pl_rng_below(&rng, 1000);
			pl_timers_set(&timers, &timer[i], at_us[i]);
		}
		int64_t last_us = 0;
		for (struct pl_timer *t; (t = pl_timers_take(&timers, 700)) != NULL;) {
			const ptrdiff_t i = t - timer;
			if (t->at_us < last_us || at_us[i] != t->at_us)
				fail_msg("seed %d: timer %d fired out of order", (int)seed, (int)i);
			last_us = t->at_us;
			at_us[i] = INT64_MAX;
		}
		int64_t next_us = INT64_MAX;
		for (int i = 0; i < COUNT; i++) {
			assert_true(at_us[i] > 700);
			next_us = at_us[i] < next_us ? at_us[i] : next_us;
		}
		assert_true(pl_timers_deadline(&timers) == next_us);
	}
}

static void test_timers_idle_has_no_deadline(void **state)
{
	(void)state;
	struct pl_timer *heap[2];
	struct pl_timer timer = { 0 };
	struct pl_timers timers;
	pl_timers_init(&timers, heap, 1);
	assert_true(pl_timers_deadline(&timers) == INT64_MAX);
	assert_null(pl_timers_take(&timers, INT64_MAX - 1));
	pl_timers_set(&timers, &timer, 5);
	assert_null(pl_timers_take(&timers, 4));
	pl_timers_set(&timers, &timer, INT64_MAX);
	pl_timers_set(&timers, &timer, INT64_MAX);
	assert_true(pl_timers_deadline(&timers) == INT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_timers_fire_once_and_in_order),
		cmocka_unit_test(test_timers_idle_has_no_deadline),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
