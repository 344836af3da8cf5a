#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "media/rng.h"
#include "tests/load/histogram.h"

enum { VALUES = 20000 };

static int compare(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

/* Without a measurement there is nothing to tell, and nothing to divide by. */
static void test_histogram_empty_is_zero(void **state)
{
	(void)state;
	static struct load_histogram h;
	assert_int_equal(load_histogram_percentile(&h, 50), 0);
	assert_int_equal(load_histogram_percentile(&h, 100), 0);
}

/* One slow packet among a hundred is the p100, not the p99. */
static void test_histogram_small_values_are_exact(void **state)
{
	(void)state;
	static struct load_histogram h;
	for (int i = 0; i < 99; i++)
		load_histogram_add(&h, 7);
	load_histogram_add(&h, 100);
	assert_int_equal(load_histogram_percentile(&h, 50), 7);
	assert_int_equal(load_histogram_percentile(&h, 99), 7);
	assert_int_equal(load_histogram_percentile(&h, 99.5), 100);
	assert_int_equal(load_histogram_percentile(&h, 100), 100);
	assert_int_equal(h.count, 100);
	assert_int_equal(h.max, 100);
}

/* Whatever the range, a percentile is never below the truth and at most 1.6 % above it. */
static void test_histogram_error_is_bounded(void **state)
{
	(void)state;
	static struct load_histogram h;
	static uint64_t value[VALUES];
	static const double percent[] = { 0.01, 1, 10, 50, 90, 99, 99.9, 100 };
	struct pl_rng rng;
	pl_rng_init(&rng, 7);
	for (size_t i = 0; i < VALUES; i++) {
		value[i] = pl_rng_next(&rng) >> pl_rng_below(&rng, 60);
		load_histogram_add(&h, value[i]);
	}
	qsort(value, VALUES, sizeof *value, compare);
	for (size_t i = 0; i < PL_COUNT(percent); i++) {
		size_t rank = (size_t)(VALUES * percent[i] / 100 + 0.999999);
		const uint64_t truth = value[rank > 0 ? rank - 1 : 0];
		const uint64_t told = load_histogram_percentile(&h, percent[i]);
		assert_true(told >= truth);
		assert_true((double)(told - truth) <= (double)truth * 0.016);
	}
}

/* The largest number there is has a bucket, too. */
static void test_histogram_takes_every_value(void **state)
{
	(void)state;
	static struct load_histogram h;
	for (unsigned shift = 0; shift < 64; shift++) {
		load_histogram_add(&h, UINT64_C(1) << shift);
		load_histogram_add(&h, (UINT64_C(1) << shift) - 1);
	}
	load_histogram_add(&h, UINT64_MAX);
	assert_int_equal(h.count, 129);
	assert_true(load_histogram_percentile(&h, 100) == UINT64_MAX);
}

/* What several threads measured is what one would have. */
static void test_histogram_merged_is_as_if_one(void **state)
{
	(void)state;
	static struct load_histogram half[2], one;
	for (uint64_t v = 1; v <= 10000; v++) {
		load_histogram_add(&half[v % 2], v * v);
		load_histogram_add(&one, v * v);
	}
	load_histogram_merge(&half[0], &half[1]);
	assert_int_equal(half[0].count, one.count);
	assert_int_equal(half[0].max, one.max);
	for (int percent = 1; percent <= 100; percent++)
		assert_int_equal(
			load_histogram_percentile(&half[0], percent), load_histogram_percentile(&one, percent));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_histogram_empty_is_zero),
		cmocka_unit_test(test_histogram_small_values_are_exact),
		cmocka_unit_test(test_histogram_error_is_bounded),
		cmocka_unit_test(test_histogram_takes_every_value),
		cmocka_unit_test(test_histogram_merged_is_as_if_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
