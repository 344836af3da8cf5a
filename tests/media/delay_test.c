#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "media/delay.h"
#include "media/rng.h"

enum { MS = 48 };

static void add(struct pl_delay *d, int32_t lateness)
{
	pl_delay_add(d, lateness, 960, 1);
}

/* The same lateness always: the target is just that, whatever zero the caller has chosen. */
static void test_delay_without_jitter_is_nothing(void **state)
{
	(void)state;
	static const int32_t zero[] = { 0, -1, 119, -120, 1000000, -1000000 };
	for (size_t i = 0; i < PL_COUNT(zero); i++) {
		struct pl_delay d;
		pl_delay_clear(&d);
		assert_true(pl_delay_is_clear(&d));
		for (int n = 0; n < 10000; n++) {
			add(&d, zero[i]);
			assert_true(pl_delay_target(&d) <= zero[i] && pl_delay_target(&d) > zero[i] - PL_DELAY_STEP);
			assert_int_equal(pl_delay_floor(&d), pl_delay_target(&d));
		}
		assert_false(pl_delay_is_clear(&d));
	}
}

/* Lateness is spread evenly over 60 ms: nearly all of them fit, and not more than that is waited for. */
static void test_delay_holds_98_of_100(void **state)
{
	(void)state;
	struct pl_delay d;
	struct pl_rng rng;
	pl_rng_init(&rng, 1);
	pl_delay_clear(&d);
	for (int n = 0; n < 20000; n++) {
		add(&d, (int32_t)pl_rng_below(&rng, 60 * MS));
		if (n > 300)
			assert_in_range(pl_delay_target(&d) - pl_delay_floor(&d), 48 * MS, 60 * MS);
	}
}

/* Rises with a few late packets; falls when they have been gone for a while, not at once. */
static void test_delay_rises_at_once_and_falls_slowly(void **state)
{
	(void)state;
	struct pl_delay d;
	pl_delay_clear(&d);
	for (int n = 0; n < 2000; n++)
		add(&d, 0);
	pl_delay_add(&d, 40 * MS, 960, 3);
	assert_int_equal(pl_delay_target(&d), 0); /* one in 4 s */
	add(&d, 0);
	pl_delay_add(&d, 40 * MS, 960, 3);
	assert_int_equal(pl_delay_target(&d), 40 * MS); /* another one */

	for (int n = 0; n < 500; n++)
		pl_delay_add(&d, 40 * MS, 960, 1);
	int frames = 0;
	for (; pl_delay_target(&d) > 0; frames++)
		add(&d, 0);
	assert_in_range(frames, 5 * 50, 20 * 50);
}

/* Half an hour of drift by 200 ppm, up or down, leaves the window and never the measure. */
static void test_delay_follows_drift(void **state)
{
	(void)state;
	for (int sign = -1; sign <= 1; sign += 2) {
		struct pl_delay d;
		struct pl_rng rng;
		pl_rng_init(&rng, 2);
		pl_delay_clear(&d);
		for (int n = 0; n < 90000 * 4; n++) {
			const int32_t here = sign * n / 5; /* 0.2 samples for 960 */
			add(&d, here + (int32_t)pl_rng_below(&rng, 5 * MS));
			assert_in_range(pl_delay_target(&d) - here + 1000, 1000 - 2 * PL_DELAY_STEP, 1000 + 7 * MS);
			assert_in_range(pl_delay_floor(&d) - here + 1000, 1000 - 2 * PL_DELAY_STEP, 1000 + 7 * MS);
		}
	}
}

/* Lateness of seconds, all over the place: the target stays within 400 ms of the earliest. */
static void test_delay_is_bounded(void **state)
{
	(void)state;
	struct pl_delay d;
	struct pl_rng rng;
	pl_rng_init(&rng, 3);
	pl_delay_clear(&d);
	for (int n = 0; n < 100000; n++) {
		const int32_t far = (int32_t)pl_rng_below(&rng, 200000) - 100000;
		const uint16_t samples = (uint16_t)(120 * (1 + pl_rng_below(&rng, 48)));
		pl_delay_add(&d, n % 1000 < 500 ? far : 0, samples, (float)pl_rng_below(&rng, 4) + 0.01f);
		const int32_t range = pl_delay_target(&d) - pl_delay_floor(&d);
		assert_true(range >= 0 && range <= PL_DELAY_MAX);
		assert_true(d.total > 0 && d.top >= d.low && d.top < d.low + PL_DELAY_STEPS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_delay_without_jitter_is_nothing),
		cmocka_unit_test(test_delay_holds_98_of_100),
		cmocka_unit_test(test_delay_rises_at_once_and_falls_slowly),
		cmocka_unit_test(test_delay_follows_drift),
		cmocka_unit_test(test_delay_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
