/* The server under pressure, as its clients see it: what was taken from them and that it is back, told to all and no more
 * often than they can use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/front_harness.h"

enum { GAP_MS = PL_FRONT_DEGRADED_GAP_MS };

/* Level and actions are the ladder's own; what nobody takes is not named. */
static void test_degraded_says_what_each_level_takes(void **state)
{
	(void)state;
	static const struct {
		const char *name, *slots, *actions;
	} level[PL_PRESSURE_LEVELS] = {
		{ "nominal", "null", "" },
		{ "elevated", "null", "'quality','delay'" },
		{ "high", "2", "'quality','delay','slots','auto','rooms'" },
		{ "critical", "1", "'quality','delay','slots','auto','rooms','joins'" },
		{ "emergency", "1", "'quality','delay','slots','auto','rooms','joins','listeners'" },
	};
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ 0 });
	const struct pl_harness_member ann = pl_harness_join(&h, "kitchen", "Ann");
	pl_harness_event(&h, &(struct pl_event){ .kind = PL_EVENT_SPEAKERS,
				     .room = h.command[0].room,
				     .speakers = { .count = 1, .top = { ann.source } } });
	pl_harness_skip_all(&h); /* she has talked, and so she stays even in an emergency */
	for (int i = PL_PRESSURE_LEVELS - 1; i >= 0; i--) {
		pl_harness_press(&h, (enum pl_pressure_level)i, PL_PRESSURE_MEMORY);
		pl_harness_expect(&h, ann.connection,
			"{'t':'degraded','n':'*','level':%d,'name':'%s','cause':%s,'audio_slots':%s,'actions':[%s]}", i,
			level[i].name, i > 0 ? "'memory'" : "null", level[i].slots, level[i].actions);
		pl_harness_expect_silence(&h, ann.connection);
		pl_harness_pass(&h, GAP_MS);
	}
	pl_harness_stop(&h);
}

/* Everybody in every room, and who comes later reads it in the welcome. */
static void test_degraded_is_told_to_all_and_stands_in_the_welcome(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ 0 });
	const struct pl_harness_member ann = pl_harness_join(&h, "kitchen", "Ann");
	const struct pl_harness_member bob = pl_harness_join(&h, "garden", "Bob");
	const uint64_t nobody = pl_harness_open(&h);
	pl_harness_press(&h, PL_PRESSURE_ELEVATED, PL_PRESSURE_CPU);
	pl_harness_expect(&h, ann.connection, "{'t':'degraded','level':1,'cause':'cpu'}");
	pl_harness_expect(&h, bob.connection, "{'t':'degraded','level':1,'cause':'cpu'}");
	pl_harness_expect_silence(&h, nobody);
	pl_harness_say(
		&h, nobody, "{'t':'join','id':1,'v':1,'room':'kitchen','sdp':'%s'}", pl_harness_offer("s0 r1", 1));
	pl_harness_expect(&h, nobody,
		"{'t':'welcome','pressure':{'level':1,'name':'elevated','cause':'cpu','audio_slots':null,"
		"'actions':['quality','delay']}}");
	pl_harness_stop(&h);
}

/* The score is told ten times a second; a client hears of a level once, and of a level that jumps about once a second. */
static void test_degraded_comes_with_changes_only_and_at_most_once_a_second(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ 0 });
	const struct pl_harness_member ann = pl_harness_join(&h, "kitchen", "Ann");
	pl_harness_press(&h, PL_PRESSURE_NOMINAL, PL_PRESSURE_CPU);
	pl_harness_expect_silence(&h, ann.connection);
	pl_harness_press(&h, PL_PRESSURE_ELEVATED, PL_PRESSURE_CPU);
	pl_harness_expect(&h, ann.connection, "{'t':'degraded','level':1}"); /* at once */
	for (int i = 0; i < 9; i++) {
		pl_harness_pass(&h, 100);
		pl_harness_press(&h,
			i < 3   ? PL_PRESSURE_ELEVATED
			: i < 6 ? PL_PRESSURE_HIGH
				: PL_PRESSURE_CRITICAL,
			PL_PRESSURE_CPU);
	}
	pl_harness_expect_silence(&h, ann.connection);
	pl_harness_pass(&h, 99);
	pl_harness_expect_silence(&h, ann.connection);
	pl_harness_pass(&h, 1);
	pl_harness_expect(&h, ann.connection, "{'t':'degraded','level':3}"); /* the newest */
	pl_harness_press(&h, PL_PRESSURE_EMERGENCY, PL_PRESSURE_CPU);
	pl_harness_press(&h, PL_PRESSURE_CRITICAL, PL_PRESSURE_CPU); /* back before it was told: nothing to tell */
	pl_harness_pass(&h, 10 * GAP_MS);
	pl_harness_expect_silence(&h, ann.connection);
	pl_harness_stop(&h);
}

/* Who was away hears the last state alone, behind the events that are sent again. */
static void test_degraded_of_the_time_away_is_told_once_at_the_resume(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ 0 });
	struct pl_harness_member ann = pl_harness_join(&h, "kitchen", "Ann");
	const struct pl_harness_member bob = pl_harness_join(&h, "kitchen", "Bob");
	pl_harness_skip_all(&h);
	const int64_t n = h.connection[ann.connection].n;
	pl_harness_lose(&h, ann.connection);
	pl_harness_press(&h, PL_PRESSURE_CRITICAL, PL_PRESSURE_POOL);
	pl_harness_say(&h, bob.connection, "{'t':'data','id':2,'topic':'a','body':1}");
	pl_harness_pass(&h, GAP_MS);
	pl_harness_press(&h, PL_PRESSURE_HIGH, PL_PRESSURE_POOL);
	const uint64_t again = pl_harness_resume(&h, &ann, "kitchen", ann.ticket, n, NULL);
	pl_harness_expect(&h, again, "{'t':'welcome','resumed':true,'replayed':true,'pressure':{'level':2}}");
	pl_harness_expect(&h, again, "{'t':'data','body':1}");
	pl_harness_expect(&h, again, "{'t':'degraded','level':2,'cause':'pool'}");
	pl_harness_expect_silence(&h, again);
	pl_harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_degraded_says_what_each_level_takes),
		cmocka_unit_test(test_degraded_is_told_to_all_and_stands_in_the_welcome),
		cmocka_unit_test(test_degraded_comes_with_changes_only_and_at_most_once_a_second),
		cmocka_unit_test(test_degraded_of_the_time_away_is_told_once_at_the_resume),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
