/* What the monitor knows of a thread's work, and the watchdog of its life.  The clock is moved by hand. */
#include "sfu/io/pulse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { BEGIN_US = 5000000 };

/* Turns of 3 ms with 7 ms of sleep between them, 200 us late each: that is what is told, and no clock is read for it. */
static void test_pulse_tells_of_work_and_lateness(void **state)
{
	struct pl_pulse pulse;
	struct pl_load load;
	(void)state;
	pl_pulse_init(&pulse);
	pl_pulse_start(&pulse, BEGIN_US);
	int64_t now_us = BEGIN_US;
	for (int i = 0; i < 10; i++) {
		pl_pulse_sleep(&pulse, now_us, now_us + 6800);
		const int64_t due_us = now_us + 6800;
		now_us += 7000;
		assert_true(pl_pulse_wake(&pulse, now_us));
		pl_pulse_turn(&pulse, now_us, due_us);
		now_us += 3000;
		assert_int_equal(pl_pulse_is_due(&pulse, now_us), i == 9);
	}
	pl_pulse_note_deferred(&pulse, 4000);
	pl_pulse_note_deferred(&pulse, 6000);
	pl_pulse_note_ring(&pulse, 3, 1000);
	pl_pulse_note_ring(&pulse, 500, 1000);
	pl_pulse_note_ring(&pulse, 2, 1000);
	pl_pulse_tell(&pulse, now_us, 250);
	pl_pulse_read(&pulse, now_us + 1000, &load);
	assert_int_equal(load.window_us, 100000);
	assert_int_equal(load.age_us, 1000);
	assert_int_equal(load.turns, 10);
	assert_int_equal(load.busy_permille, 300);
	assert_int_equal(load.busy_us, 30000);
	assert_int_equal(load.deferred_permille, 100);
	assert_int_equal(load.deferred_us, 10000);
	assert_in_range(load.late_p99_us, 200, 250);
	assert_int_equal(load.late_max_us, 200);
	assert_int_equal(load.ring_permille, 500);
	assert_int_equal(load.pool_permille, 250);
	/* The next window begins with nothing. */
	pl_pulse_tell(&pulse, now_us + PL_LOAD_PERIOD_US, 0);
	pl_pulse_read(&pulse, now_us + PL_LOAD_PERIOD_US, &load);
	assert_int_equal(load.turns + load.late_max_us + load.late_p99_us + load.ring_permille, 0);
	assert_int_equal(load.deferred_permille, 0);
}

/* A wait that returns at once was no sleep: a thread that never stops working is busy all the time. */
static void test_pulse_nap_is_work(void **state)
{
	struct pl_pulse pulse;
	struct pl_load load;
	(void)state;
	pl_pulse_init(&pulse);
	pl_pulse_start(&pulse, BEGIN_US);
	int64_t now_us = BEGIN_US;
	while (!pl_pulse_is_due(&pulse, now_us)) {
		pl_pulse_sleep(&pulse, now_us, now_us + 1000);
		now_us += PL_PULSE_NAP_US - 1;
		assert_false(pl_pulse_wake(&pulse, now_us));
		pl_pulse_turn(&pulse, now_us, now_us);
		now_us += 100;
		assert_false(pl_pulse_wake(&pulse, now_us)); /* it did not even try to sleep */
	}
	pl_pulse_tell(&pulse, now_us, 0);
	pl_pulse_read(&pulse, now_us, &load);
	assert_int_equal(load.busy_permille, 1000);
}

/* A thread that has told nothing for a while sleeps, or hangs: which of both is what counts. */
static void test_pulse_tells_sleep_from_a_thread_that_hangs(void **state)
{
	struct pl_pulse pulse;
	struct pl_load load;
	(void)state;
	pl_pulse_init(&pulse);
	assert_true(pl_pulse_due_us(&pulse) == INT64_MAX);
	pl_pulse_start(&pulse, BEGIN_US);
	pl_pulse_turn(&pulse, BEGIN_US, BEGIN_US);
	const int64_t told_us = BEGIN_US + PL_LOAD_PERIOD_US;
	pl_pulse_tell(&pulse, told_us, 100);
	pl_pulse_read(&pulse, told_us, &load);
	assert_int_equal(load.busy_permille, 1000);

	/* It sleeps until it is woken. */
	pl_pulse_sleep(&pulse, told_us, INT64_MAX);
	pl_pulse_read(&pulse, told_us + 10000000, &load);
	assert_int_equal(load.busy_permille, 0);
	assert_int_equal(load.late_p99_us, 0);
	assert_int_equal(load.age_us, 10000000);

	/* It was woken, as the reader knows, and does not come. */
	pl_pulse_read_due(&pulse, told_us + 10000000, told_us + 9000000, &load);
	assert_int_equal(load.busy_permille, 1000);
	assert_int_equal(load.late_p99_us, 1000000);

	/* It sleeps, and is not late yet; and then nobody lets it run. */
	pl_pulse_sleep(&pulse, told_us, told_us + 500000);
	pl_pulse_read(&pulse, told_us + 500000, &load);
	assert_int_equal(load.busy_permille, 0);
	assert_int_equal(pl_pulse_due_us(&pulse), told_us + 500000);
	pl_pulse_read(&pulse, told_us + 700000, &load);
	assert_int_equal(load.busy_permille, 1000);
	assert_int_equal(load.late_p99_us, 200000);

	/* A turn that does not end. */
	pl_pulse_wake(&pulse, told_us + 800000);
	pl_pulse_turn(&pulse, told_us + 800000, told_us + 500000);
	pl_pulse_read(&pulse, told_us + 1800000, &load);
	assert_int_equal(load.busy_permille, 1000);
	assert_int_equal(load.late_max_us, 1000000);
	assert_int_equal(pl_pulse_due_us(&pulse), told_us + 800000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pulse_tells_of_work_and_lateness),
		cmocka_unit_test(test_pulse_nap_is_work),
		cmocka_unit_test(test_pulse_tells_sleep_from_a_thread_that_hangs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
