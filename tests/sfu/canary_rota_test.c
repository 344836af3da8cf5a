/* sfu/canary_rota: every shard has its turn, a deaf one is asked until it hears, and who never heard anything is not believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sfu/canary_rota.h"

enum { SECOND_US = 1000000, INTERVAL_US = 10 * SECOND_US, RUN_US = SECOND_US };

static struct pl_canary_rota rota;
static int64_t now_us;

static struct pl_canary_verdict heard(uint16_t forwarded, uint16_t mixed)
{
	return (struct pl_canary_verdict){ .shard = rota.shard,
		.join_us = 9000,
		.heard = { { true, forwarded, 38.25f, 900 }, { true, mixed, 36, 20000 } } };
}

static struct pl_canary_verdict deaf(enum pl_canary_fault fault)
{
	return (struct pl_canary_verdict){ .shard = rota.shard, .fault = fault };
}

/* The next run, with this end. */
static void run(struct pl_canary_verdict (*verdict)(void))
{
	now_us = rota.due_us;
	pl_canary_rota_begin(&rota, now_us);
	assert_true(rota.due_us == INT64_MAX);
	const struct pl_canary_verdict v = verdict();
	now_us += RUN_US;
	pl_canary_rota_take(&rota, now_us, &v);
}

static struct pl_canary_verdict well(void)
{
	return heard(1000, 1000);
}

static struct pl_canary_verdict no_answer(void)
{
	return deaf(PL_CANARY_FAULT_CHECKS);
}

static struct pl_canary_verdict no_mix(void)
{
	struct pl_canary_verdict v = heard(1000, 0);
	v.fault = PL_CANARY_FAULT_MIXED_SILENT;
	return v;
}

static struct pl_canary_verdict no_handshake(void)
{
	return deaf(PL_CANARY_FAULT_HANDSHAKE);
}

static struct pl_canary_verdict noisy(void)
{
	struct pl_canary_verdict v = heard(1000, 1000);
	v.fault = PL_CANARY_FAULT_FORWARDED_NOISY;
	return v;
}

static struct pl_canary_verdict late(void)
{
	struct pl_canary_verdict v = deaf(PL_CANARY_FAULT_HANDSHAKE);
	v.is_void = true;
	return v;
}

static struct pl_canary_verdict lossy(void)
{
	return heard(950, 800);
}

static void begin(uint8_t shards)
{
	now_us = 5;
	pl_canary_rota_init(&rota, now_us, INTERVAL_US, shards);
}

static void test_each_shard_has_its_turn(void **state)
{
	(void)state;
	begin(3);
	assert_int_equal(rota.report.mode, PL_CANARY_NEW);
	assert_int_equal(pl_canary_pressure(&rota.report), PL_PRESSURE_ABSENT);
	assert_int_equal(rota.due_us, now_us + PL_CANARY_FIRST_US);
	for (uint8_t i = 0; i < 7; i++) {
		assert_int_equal(rota.shard, i % 3);
		run(well);
		assert_int_equal(rota.due_us, now_us - RUN_US + INTERVAL_US);
		assert_int_equal(rota.report.mode, PL_CANARY_HEARS);
		assert_int_equal(pl_canary_pressure(&rota.report), 0);
	}
	assert_int_equal(rota.report.runs, 7);
	assert_int_equal(rota.report.last[0].runs, 3);
	assert_int_equal(rota.report.last[2].heard[PL_CANARY_FORWARDED].snr_millibel, 3825);
}

/* What is lost is pressure; from being deaf once to an emergency it takes four runs. */
static void test_deaf_is_asked_again_and_presses_more_each_time(void **state)
{
	(void)state;
	static const uint16_t permille[] = { 700, 800, 900, 1000, 1000 };
	begin(2);
	run(well);
	run(lossy);
	assert_int_equal(pl_canary_pressure(&rota.report), 200);
	run(well);
	assert_int_equal(pl_canary_deaf_us(&rota.report), 0);
	const int64_t since_us = rota.due_us;
	for (size_t i = 0; i < PL_COUNT(permille); i++) {
		run(no_answer);
		assert_int_equal(rota.shard, 1);
		assert_int_equal(rota.due_us, now_us + PL_CANARY_RETRY_US);
		assert_int_equal(rota.report.mode, PL_CANARY_DEAF);
		assert_int_equal(pl_canary_pressure(&rota.report), permille[i]);
		assert_int_equal(pl_canary_deaf_us(&rota.report), now_us - since_us);
	}
	run(well);
	assert_int_equal(rota.shard, 0);
	assert_int_equal(rota.report.mode, PL_CANARY_HEARS);
	assert_int_equal(pl_canary_deaf_us(&rota.report), 0);
	assert_int_equal(rota.report.deaf[PL_CANARY_FAULT_CHECKS], PL_COUNT(permille));
}

/* Calls go on without a mix: nobody who is there shall go for it. */
static void test_a_silent_mix_is_no_emergency(void **state)
{
	(void)state;
	begin(1);
	run(well);
	for (int i = 0; i < 10; i++)
		run(no_mix);
	assert_int_equal(pl_canary_pressure(&rota.report), 800);
	assert_true(pl_canary_deaf_us(&rota.report) > 0);
}

/* What is heard badly is still a call, and in a flood of handshakes calls go on: neither may have the server restarted. */
static void test_impaired_is_not_deaf(void **state)
{
	(void)state;
	begin(1);
	run(well);
	for (int i = 0; i < 100; i++)
		run(noisy);
	assert_int_equal(rota.report.mode, PL_CANARY_IMPAIRED);
	assert_int_equal(pl_canary_pressure(&rota.report), 800);
	assert_int_equal(pl_canary_deaf_us(&rota.report), 0);
	for (int i = 0; i < 100; i++)
		run(no_handshake);
	assert_int_equal(pl_canary_pressure(&rota.report), 900);
	assert_int_equal(pl_canary_deaf_us(&rota.report), 0);
	run(no_answer);
	assert_int_equal(rota.report.mode, PL_CANARY_DEAF);
	assert_int_equal(pl_canary_pressure(&rota.report), 1000);
	assert_int_equal(pl_canary_deaf_us(&rota.report), RUN_US);
}

/* Where its packets never came through, that says nothing of anybody's. */
static void test_who_never_heard_is_not_believed(void **state)
{
	(void)state;
	begin(2);
	for (int i = 0; i < PL_CANARY_TRIALS; i++) {
		assert_int_equal(rota.report.mode, PL_CANARY_NEW);
		assert_int_equal(rota.shard, i % 2);
		run(no_answer);
		assert_int_equal(pl_canary_pressure(&rota.report), PL_PRESSURE_ABSENT);
		assert_int_equal(pl_canary_deaf_us(&rota.report), 0);
	}
	assert_int_equal(rota.report.mode, PL_CANARY_MISTRUSTED);
	assert_true(rota.due_us == INT64_MAX);
}

static void test_what_says_nothing_changes_nothing(void **state)
{
	(void)state;
	begin(2);
	run(well);
	run(late);
	assert_int_equal(rota.shard, 1);
	assert_int_equal(rota.report.mode, PL_CANARY_HEARS);
	assert_int_equal(rota.report.void_runs, 1);
	run(no_answer);
	const int64_t since_us = rota.report.deaf_since_us;
	run(late);
	assert_int_equal(rota.report.deaf_since_us, since_us);
	assert_int_equal(rota.report.mode, PL_CANARY_DEAF);
}

/* One run that was deaf and many that were late themselves do not make a server that is to be restarted; the next that is deaf has found it so
 * all the time. */
static void test_runs_that_say_nothing_make_it_no_deafer(void **state)
{
	(void)state;
	begin(1);
	run(well);
	run(no_answer);
	const int64_t since_us = now_us - RUN_US;
	for (int i = 0; i < 100; i++) {
		run(late);
		assert_int_equal(rota.report.mode, PL_CANARY_DEAF);
		assert_int_equal(pl_canary_deaf_us(&rota.report), RUN_US);
	}
	run(no_answer);
	assert_int_equal(pl_canary_deaf_us(&rota.report), now_us - since_us);
	run(well);
	assert_int_equal(pl_canary_deaf_us(&rota.report), 0);
}

/* When its own thread stands still nobody listens: what it heard last is no news, neither good nor bad. */
static void test_who_does_not_come_says_nothing(void **state)
{
	(void)state;
	static struct pl_canary_verdict (*const last[])(void) = { well, no_answer, late };
	for (size_t i = 0; i < PL_COUNT(last); i++) {
		begin(1);
		run(well);
		run(last[i]);
		struct pl_canary_report at = rota.report;
		const int64_t missed_us = rota.due_us + PL_CANARY_MISSED * INTERVAL_US;
		const uint64_t mode = rota.report.mode;
		pl_canary_report_at(&at, missed_us - 1);
		assert_int_equal(at.mode, mode);
		/* It is in its run, or never came to begin it: others see the report of the last. */
		pl_canary_rota_begin(&rota, rota.due_us);
		at = rota.report;
		pl_canary_report_at(&at, missed_us);
		assert_int_equal(at.mode, PL_CANARY_STALLED);
		assert_int_equal(pl_canary_pressure(&at), PL_PRESSURE_ABSENT);
		assert_int_equal(pl_canary_deaf_us(&at), 0);
	}
	/* Who has nothing to do is not missed. */
	begin(1);
	for (int i = 0; i < PL_CANARY_TRIALS; i++)
		run(no_answer);
	struct pl_canary_report at = rota.report;
	pl_canary_report_at(&at, INT64_MAX - 1);
	assert_int_equal(at.mode, PL_CANARY_MISTRUSTED);
	pl_canary_rota_init(&rota, 0, 0, 1);
	at = rota.report;
	pl_canary_report_at(&at, INT64_MAX - 1);
	assert_int_equal(at.mode, PL_CANARY_OFF);
	/* A run takes seconds, however short the time between two. */
	pl_canary_rota_init(&rota, 0, SECOND_US, 1);
	at = rota.report;
	pl_canary_report_at(&at, SECOND_US + PL_CANARY_MISSED_US - 1);
	assert_int_equal(at.mode, PL_CANARY_NEW);
	pl_canary_report_at(&at, SECOND_US + PL_CANARY_MISSED_US);
	assert_int_equal(at.mode, PL_CANARY_STALLED);
}

/* Without sockets it can say nothing, neither good nor bad, until there are some. */
static void test_without_sockets_it_says_nothing(void **state)
{
	(void)state;
	begin(1);
	run(well);
	run(no_answer);
	now_us = rota.due_us;
	pl_canary_rota_begin(&rota, now_us);
	pl_canary_rota_unable(&rota, now_us);
	assert_int_equal(rota.report.mode, PL_CANARY_UNABLE);
	assert_int_equal(pl_canary_pressure(&rota.report), PL_PRESSURE_ABSENT);
	assert_int_equal(pl_canary_deaf_us(&rota.report), 0);
	assert_int_equal(rota.due_us, now_us + INTERVAL_US);
	run(well);
	assert_int_equal(rota.report.mode, PL_CANARY_HEARS);
}

static void test_off_is_off(void **state)
{
	(void)state;
	pl_canary_rota_init(&rota, 0, 0, 1);
	assert_true(rota.due_us == INT64_MAX);
	assert_int_equal(rota.report.mode, PL_CANARY_OFF);
	assert_int_equal(pl_canary_pressure(&rota.report), PL_PRESSURE_ABSENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_shard_has_its_turn),
		cmocka_unit_test(test_deaf_is_asked_again_and_presses_more_each_time),
		cmocka_unit_test(test_a_silent_mix_is_no_emergency),
		cmocka_unit_test(test_impaired_is_not_deaf),
		cmocka_unit_test(test_who_never_heard_is_not_believed),
		cmocka_unit_test(test_what_says_nothing_changes_nothing),
		cmocka_unit_test(test_runs_that_say_nothing_make_it_no_deafer),
		cmocka_unit_test(test_who_does_not_come_says_nothing),
		cmocka_unit_test(test_without_sockets_it_says_nothing),
		cmocka_unit_test(test_off_is_off),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
