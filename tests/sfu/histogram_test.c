/* A percentile that is wrong here is a level of pressure that is wrong: too late, or for no reason. */
#include "sfu/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Each time is in the one bucket whose bounds hold it, and a bucket is at most a quarter of its time wide. */
static void test_histogram_buckets_hold_their_times(void **state)
{
	(void)state;
	uint64_t begin_us = 0;
	for (size_t i = 0; i + 1 < PL_HISTOGRAM_BUCKETS; i++) {
		const uint64_t end_us = pl_histogram_bound_us(i);
		assert_true(end_us > begin_us);
		assert_int_equal(pl_histogram_bucket((int64_t)begin_us), i);
		assert_int_equal(pl_histogram_bucket((int64_t)end_us - 1), i);
		assert_int_equal(pl_histogram_bucket((int64_t)end_us), i + 1);
		assert_true(end_us - begin_us == 1 || (end_us - begin_us) * PL_HISTOGRAM_PARTS <= begin_us);
		if (i % PL_HISTOGRAM_PARTS == PL_HISTOGRAM_PARTS - 1)
			assert_int_equal(end_us & (end_us - 1), 0);
		begin_us = end_us;
	}
	assert_true(pl_histogram_bound_us(PL_HISTOGRAM_BUCKETS - 1) == UINT64_MAX);
	assert_int_equal(pl_histogram_bucket(INT64_MAX), PL_HISTOGRAM_BUCKETS - 1);
	assert_int_equal(pl_histogram_bucket(INT64_MIN), 0);
}

static void test_histogram_quantiles_of_a_known_series(void **state)
{
	struct pl_histogram h = { 0 }, sum = { 0 };
	(void)state;
	assert_int_equal(pl_histogram_quantile_us(&h, 990), 0);
	for (int64_t us = 1; us <= 1000; us++)
		pl_histogram_note(&h, us);
	pl_histogram_note(&h, -5);
	assert_int_equal(pl_histogram_total(&h), 1001);
	assert_int_equal(h.sum_us, 500500);
	static const struct {
		unsigned permille;
		uint64_t exact_us;
	} row[] = { { 1, 1 }, { 10, 10 }, { 500, 500 }, { 900, 900 }, { 990, 990 }, { 1000, 1000 } };
	for (size_t i = 0; i < PL_COUNT(row); i++) {
		const uint64_t found_us = pl_histogram_quantile_us(&h, row[i].permille);
		assert_true(found_us >= row[i].exact_us && found_us <= row[i].exact_us + row[i].exact_us / 4 + 1);
	}
	pl_histogram_add(&sum, &h);
	pl_histogram_add(&sum, &h);
	assert_int_equal(pl_histogram_total(&sum), 2002);
	assert_int_equal(pl_histogram_quantile_us(&sum, 500), pl_histogram_quantile_us(&h, 500));
}

/* Ten turns of which one was long: that one is the p99, or a spell of a tenth of a second would never be seen. */
static void test_histogram_p99_of_few_is_the_longest(void **state)
{
	struct pl_histogram h = { 0 };
	(void)state;
	for (int i = 0; i < 9; i++)
		pl_histogram_note(&h, 10);
	pl_histogram_note(&h, 50000);
	assert_true(pl_histogram_quantile_us(&h, 990) > 50000);
	assert_true(pl_histogram_quantile_us(&h, 900) <= 12);
	assert_true(pl_histogram_quantile_us(&h, 0) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_histogram_buckets_hold_their_times),
		cmocka_unit_test(test_histogram_quantiles_of_a_known_series),
		cmocka_unit_test(test_histogram_p99_of_few_is_the_longest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
