/* sfu/canary_thread: on real threads and sockets it hears itself on each shard, nobody is told of it, and a start may be taken back in
 * the midst of its song. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sfu/io/clock.h"
#include "sfu/sfu.h"

enum { SHARDS = 2, WAIT_US = 60000000 };

static struct pl_sfu *create(int64_t interval_us, enum pl_srtp_backend srtp, bool is_without_codecs)
{
	char error[300];
	struct pl_sfu *sfu;
	const struct pl_sfu_config config = {
		.shards = SHARDS,
		.participants_max = SHARDS,
		.rooms_max = SHARDS,
		.with_loopback = true,
		.srtp = srtp,
		.is_without_codecs = is_without_codecs,
		.canary_us = interval_us,
	};
	const enum pl_err err = pl_sfu_create(&sfu, &config, error, sizeof error);
	if (err != PL_ERR_NONE)
		print_error("%s\n", error);
	assert_int_equal(err, PL_ERR_NONE);
	return sfu;
}

static bool have_all_heard(const struct pl_canary_report *report)
{
	for (int i = 0; i < SHARDS; i++) {
		if (report->last[i].runs == 0)
			return false;
	}
	return report->deaf[PL_CANARY_FAULT_NONE] >= SHARDS;
}

static void test_it_hears_itself_on_each_shard_and_nobody_is_told(void **state)
{
	(void)state;
	static const struct {
		enum pl_srtp_backend srtp;
		bool is_without_codecs;
	} cases[] = { { PL_SRTP_AUTO, false }, { PL_SRTP_OPENSSL, true }, { PL_SRTP_LIBSRTP2, false } };
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		struct pl_sfu *sfu = create(50000, cases[i].srtp, cases[i].is_without_codecs);
		struct pl_canary_report report;
		const int64_t end_us = pl_clock_now_us() + WAIT_US;
		do {
			struct pl_event event;
			while (pl_sfu_receive(sfu, &event))
				assert_int_equal(event.kind, PL_EVENT_PRESSURE);
			struct pl_sfu_counters counters;
			pl_sfu_counters(sfu, &counters);
			assert_int_equal(counters.conference.participants, 0);
			assert_int_equal(counters.conference.rooms, 0);
			pl_sfu_canary(sfu, &report);
			assert_true(pl_clock_now_us() < end_us);
			pl_clock_sleep_until(pl_clock_now_us() + 5000);
		} while (!have_all_heard(&report));
		for (int shard = 0; shard < SHARDS; shard++) {
			assert_true(report.last[shard].heard[PL_CANARY_FORWARDED].is_there);
			assert_int_equal(
				report.last[shard].heard[PL_CANARY_MIXED].is_there, !cases[i].is_without_codecs);
			assert_true(report.last[shard].join_us > 0);
		}
		pl_sfu_destroy(&sfu);
	}
}

static void test_it_ends_at_any_time(void **state)
{
	(void)state;
	static const int64_t after_us[] = { 0, 1000, 9000, 12000, 15000, 20000, 30000, 60000, 200000, 650000 };
	for (size_t i = 0; i < PL_COUNT(after_us); i++) {
		struct pl_sfu *sfu = create(10000, PL_SRTP_AUTO, false);
		pl_clock_sleep_until(pl_clock_now_us() + after_us[i]);
		const int64_t begun_us = pl_clock_now_us();
		pl_sfu_destroy(&sfu);
		assert_true(pl_clock_now_us() - begun_us < WAIT_US);
	}
}

static void test_without_an_interval_there_is_none(void **state)
{
	(void)state;
	struct pl_sfu *sfu = create(0, PL_SRTP_AUTO, false);
	struct pl_canary_report report;
	pl_sfu_canary(sfu, &report);
	assert_int_equal(report.mode, PL_CANARY_OFF);
	assert_int_equal(pl_canary_deaf_us(&report), 0);
	pl_sfu_destroy(&sfu);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_hears_itself_on_each_shard_and_nobody_is_told),
		cmocka_unit_test(test_it_ends_at_any_time),
		cmocka_unit_test(test_without_an_interval_there_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
