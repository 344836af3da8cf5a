/* signaling/health: a supervisor that asks /live restarts what is broken for good, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "signaling/health.h"

enum { SECOND_US = 1000000, DEAF_MAX_US = 60 * SECOND_US };

static struct pl_health health;
static struct pl_canary_report canary;
static char text[PL_HEALTH_TEXT_SIZE];

static void begin(void)
{
	pl_health_init(&health, DEAF_MAX_US);
	canary = (struct pl_canary_report){ .mode = PL_CANARY_HEARS, .deaf_since_us = INT64_MAX };
}

/* deaf_until_us: of the canary's last deaf run. */
static void assert_news(int64_t deaf_until_us, const struct pl_sfu_stall *stall, enum pl_health_news news)
{
	canary.deaf_until_us = deaf_until_us;
	pl_health_look(&health, stall, &canary);
	assert_int_equal(pl_health_next(&health), news);
	if (news != PL_HEALTH_NO_NEWS)
		assert_int_equal(pl_health_next(&health), PL_HEALTH_NO_NEWS);
}

static void test_a_hung_thread_is_named_when_it_is_sure(void **state)
{
	(void)state;
	const struct pl_sfu_stall stall = { .is_worker = true, .index = 3, .for_us = 12 * SECOND_US };
	begin();
	assert_true(pl_health_write(&health, text));
	assert_string_equal(text, "ok\n");
	/* The process was stopped, and goes on. */
	assert_news(SECOND_US, &stall, PL_HEALTH_NO_NEWS);
	assert_true(pl_health_write(&health, text));
	assert_news(2 * SECOND_US, NULL, PL_HEALTH_NO_NEWS);
	assert_news(3 * SECOND_US, &stall, PL_HEALTH_NO_NEWS);
	assert_news(4 * SECOND_US, &stall, PL_HEALTH_HANGS);
	assert_false(pl_health_write(&health, text));
	assert_string_equal(text, "codec worker 3 hangs, for 12 s now\n");
	assert_news(5 * SECOND_US, NULL, PL_HEALTH_TURNS_AGAIN);
	assert_true(pl_health_write(&health, text));
	assert_string_equal(text, "ok\n");
}

/* A process that goes on after it was stopped has a canary that was not heard, too: that is news, and no second look. */
static void test_other_news_make_nobody_sure(void **state)
{
	(void)state;
	const struct pl_sfu_stall stall = { .index = 1, .for_us = 12 * SECOND_US };
	begin();
	assert_news(0, NULL, PL_HEALTH_NO_NEWS);
	canary.mode = PL_CANARY_IMPAIRED;
	assert_news(SECOND_US, &stall, PL_HEALTH_IMPAIRED);
	assert_true(pl_health_write(&health, text));
	canary.mode = PL_CANARY_HEARS;
	assert_news(2 * SECOND_US, NULL, PL_HEALTH_HEARS_AGAIN);
	assert_true(pl_health_write(&health, text));
}

static void test_deaf_for_long_is_dead(void **state)
{
	(void)state;
	begin();
	assert_news(0, NULL, PL_HEALTH_NO_NEWS);
	canary.mode = PL_CANARY_DEAF;
	canary.deaf_since_us = 5 * SECOND_US;
	canary.shard = 1;
	canary.fault = PL_CANARY_FAULT_CHECKS;
	assert_news(6 * SECOND_US, NULL, PL_HEALTH_DEAF);
	assert_news(5 * SECOND_US + DEAF_MAX_US - 1, NULL, PL_HEALTH_NO_NEWS);
	assert_true(pl_health_write(&health, text));
	assert_string_equal(text, "ok\n");
	assert_news(5 * SECOND_US + DEAF_MAX_US, NULL, PL_HEALTH_NO_NEWS);
	assert_false(pl_health_write(&health, text));
	assert_string_equal(text,
		"the canary is deaf on media thread 1, for 60 s now: the media thread answers no connectivity check\n");
	canary.mode = PL_CANARY_HEARS;
	canary.deaf_since_us = INT64_MAX;
	assert_news(70 * SECOND_US, NULL, PL_HEALTH_HEARS_AGAIN);
	assert_true(pl_health_write(&health, text));
}

/* Whatever went wrong, both lines fit. */
static void test_both_are_said(void **state)
{
	(void)state;
	const struct pl_sfu_stall stall = { .is_worker = true, .index = 63, .for_us = INT64_MAX };
	for (int fault = 1; fault < PL_CANARY_FAULTS; fault++) {
		begin();
		canary.mode = PL_CANARY_DEAF;
		canary.deaf_since_us = 0;
		canary.shard = 63;
		canary.fault = (uint64_t)fault;
		assert_news(INT64_MAX, &stall, PL_HEALTH_DEAF);
		assert_news(INT64_MAX, &stall, PL_HEALTH_HANGS);
		assert_false(pl_health_write(&health, text));
		assert_non_null(strstr(text, "codec worker 63 hangs"));
		assert_non_null(strstr(text, pl_canary_fault_text((enum pl_canary_fault)fault)));
	}
}

/* A canary that cannot sing, or that nobody believes, kills nobody; it is told once. */
static void test_a_canary_that_cannot_say_is_told_once(void **state)
{
	(void)state;
	begin();
	canary.mode = PL_CANARY_NEW;
	assert_news(0, NULL, PL_HEALTH_NO_NEWS);
	canary.mode = PL_CANARY_MISTRUSTED;
	assert_news(SECOND_US, NULL, PL_HEALTH_MISTRUSTED);
	assert_news(100 * INT64_C(1000000), NULL, PL_HEALTH_NO_NEWS);
	assert_true(pl_health_write(&health, text));
	begin();
	assert_news(0, NULL, PL_HEALTH_NO_NEWS);
	canary.mode = PL_CANARY_UNABLE;
	assert_news(SECOND_US, NULL, PL_HEALTH_UNABLE);
	assert_news(2 * SECOND_US, NULL, PL_HEALTH_NO_NEWS);
	canary.mode = PL_CANARY_HEARS;
	assert_news(3 * SECOND_US, NULL, PL_HEALTH_HEARS_AGAIN);
	assert_true(pl_health_write(&health, text));
	canary.mode = PL_CANARY_STALLED;
	assert_news(4 * SECOND_US, NULL, PL_HEALTH_CANARY_STALLED);
	assert_news(5 * SECOND_US, NULL, PL_HEALTH_NO_NEWS);
	assert_true(pl_health_write(&health, text));
	canary.mode = PL_CANARY_HEARS;
	assert_news(6 * SECOND_US, NULL, PL_HEALTH_HEARS_AGAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_hung_thread_is_named_when_it_is_sure),
		cmocka_unit_test(test_other_news_make_nobody_sure),
		cmocka_unit_test(test_deaf_for_long_is_dead),
		cmocka_unit_test(test_both_are_said),
		cmocka_unit_test(test_a_canary_that_cannot_say_is_told_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
