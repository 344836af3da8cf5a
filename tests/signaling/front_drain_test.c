/* A server that is about to end, and one in an emergency: whom it asks to go and how, and that whoever is in is never cut off without
 * a word, nor anybody who has talked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/front_harness.h"

#define OTHER "https://other.example.org"

enum { DEADLINE_MS = 300000 };

static void drain(struct pl_harness *h, int64_t ms)
{
	pl_harness_before_input(h);
	pl_front_drain(h->front, h->now_us, h->now_us + ms * 1000);
	pl_harness_drain(h);
}

static void press(struct pl_harness *h, enum pl_pressure_level level)
{
	struct pl_event event = { .kind = PL_EVENT_PRESSURE };
	event.pressure.level = (uint8_t)level;
	event.pressure.cause = PL_PRESSURE_INPUTS;
	event.pressure.is_forced = true;
	pl_harness_event(h, &event);
}

static void talk(struct pl_harness *h, const struct pl_harness_member *who)
{
	pl_harness_event(h, &(struct pl_event){ .kind = PL_EVENT_SPEAKERS,
				    .room = h->command[h->command_count - 1].room,
				    .speakers = { .count = 1, .top = { who->source }, .dominant = who->source } });
}

static uint64_t try_join(struct pl_harness *h)
{
	const uint64_t c = pl_harness_open(h);
	pl_harness_say(h, c, "{'t':'join','id':9,'v':1,'room':'kitchen','sdp':'%s'}", pl_harness_offer("s0 r1 r2", 1));
	return c;
}

/* ---- draining ---- */

static void test_drain_tells_all_and_refuses_the_new(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ 0 });
	const struct pl_harness_member ann = pl_harness_join(&h, "kitchen", "Ann");
	const struct pl_harness_member bob = pl_harness_join(&h, "garden", "Bob");
	const uint64_t waits = pl_harness_open(&h);
	assert_null(pl_front_unready(h.front));
	drain(&h, DEADLINE_MS);
	assert_string_equal(pl_front_unready(h.front), "draining");
	pl_harness_expect(&h, ann.connection, "{'t':'draining','n':'*','deadline_ms':%d}", DEADLINE_MS);
	pl_harness_expect(&h, bob.connection, "{'t':'draining','n':'*','deadline_ms':%d}", DEADLINE_MS);
	pl_harness_expect_silence(&h, waits);

	const uint64_t late = try_join(&h);
	pl_harness_expect(&h, late, "{'t':'refused','id':9,'code':'draining','reason':'*','retry_after_ms':'*'}");
	pl_harness_expect_close(&h, late, PL_FRONT_CLOSE_TRY_AGAIN);
	const struct pl_harness_response *r =
		pl_harness_http(&h, &(struct pl_harness_http){ .method = PL_FRONT_HTTP_POST,
					    .path = "/v1/whip/kitchen",
					    .type = "application/sdp",
					    .body = pl_harness_sdp("s0", 1) });
	assert_int_equal(r->status, 503);
	assert_non_null(strstr(r->body, "\"code\":\"draining\""));
	assert_int_equal(pl_front_counters(h.front)->refused[PL_REFUSAL_DRAINING], 2);

	/* Who is in does all that it could. */
	pl_harness_say(&h, ann.connection, "{'t':'mute','id':2,'track':'%s','on':true}", ann.track);
	pl_harness_expect(&h, ann.connection, "{'t':'ok','id':2}");
	pl_harness_stop(&h);
}

/* With another server to go to, each is sent off at a moment of its own. */
static void test_drain_sends_to_another_server_one_after_the_other(void **state)
{
	(void)state;
	enum { CLIENTS = 20 };
	static const struct {
		int deadline_ms, after_ms_max;
	} c[] = { { DEADLINE_MS, PL_FRONT_MOVE_SPREAD_MS }, { 4000, 2000 }, { 0, 0 } };
	for (size_t i = 0; i < PL_COUNT(c); i++) {
		struct pl_harness h;
		json_int_t least = INT64_MAX, most = 0;
		pl_harness_start(&h, (struct pl_harness_limits){ .move_to = OTHER });
		struct pl_harness_member member[CLIENTS];
		for (int k = 0; k < CLIENTS; k++)
			member[k] = pl_harness_join(&h, "kitchen", "X");
		pl_harness_skip_all(&h);
		drain(&h, c[i].deadline_ms);
		for (int k = 0; k < CLIENTS; k++) {
			const json_t *move = pl_harness_expect(&h, member[k].connection,
				"{'t':'move','n':'*','code':'draining','url':'" OTHER
				"','after_ms':'*','deadline_ms':%d}",
				c[i].deadline_ms);
			const json_int_t after_ms = json_integer_value(json_object_get(move, "after_ms"));
			assert_in_range(after_ms, 0, c[i].after_ms_max);
			least = after_ms < least ? after_ms : least;
			most = after_ms > most ? after_ms : most;
		}
		assert_true(most - least >= c[i].after_ms_max / 2);
		pl_harness_expect(&h, try_join(&h), "{'t':'refused','code':'draining','url':'" OTHER "'}");
		pl_harness_stop(&h);
	}
}

/* Whoever was away when it began, resumes: with all that was said meanwhile, and then with what is left of the time. */
static void test_drain_takes_those_who_resume_and_loses_no_event(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ 0 });
	struct pl_harness_member ann = pl_harness_join(&h, "kitchen", "Ann");
	const struct pl_harness_member bob = pl_harness_join(&h, "kitchen", "Bob");
	pl_harness_skip_all(&h);
	const int64_t n = h.connection[ann.connection].n;
	pl_harness_lose(&h, ann.connection);
	press(&h, PL_PRESSURE_EMERGENCY);
	drain(&h, DEADLINE_MS);
	for (int i = 0; i < 3; i++)
		pl_harness_say(&h, bob.connection, "{'t':'data','id':2,'topic':'a','body':%d}", i);
	pl_harness_pass(&h, 10000);
	const uint64_t again = pl_harness_resume(&h, &ann, "kitchen", ann.ticket, n, pl_harness_offer("s0 r1 r2", 2));
	pl_harness_expect(&h, again, "{'t':'welcome','resumed':true,'replayed':true}");
	for (int i = 0; i < 3; i++)
		pl_harness_expect(&h, again, "{'t':'data','body':%d}", i);
	pl_harness_skip_all(&h);
	pl_harness_pass(&h, 1000);
	pl_harness_stop(&h);

	pl_harness_start(&h, (struct pl_harness_limits){ 0 });
	ann = pl_harness_join(&h, "kitchen", "Ann");
	pl_harness_lose(&h, ann.connection);
	drain(&h, DEADLINE_MS);
	pl_harness_pass(&h, 10000);
	const uint64_t later = pl_harness_resume(&h, &ann, "kitchen", ann.ticket, 0, NULL);
	pl_harness_expect(&h, later, "{'t':'welcome','resumed':true}");
	pl_harness_expect(&h, later, "{'t':'draining','deadline_ms':%d}", DEADLINE_MS - 10000);
	pl_harness_expect_silence(&h, later);
	pl_harness_shutdown(&h);
	const json_t *bye =
		pl_harness_expect(&h, later, "{'t':'bye','code':'shutdown','resumable':false,'retry_after_ms':'*'}");
	assert_in_range(json_integer_value(json_object_get(bye, "retry_after_ms")), PL_FRONT_RETRY_MS_MIN,
		PL_FRONT_RETRY_MS_MAX);
	pl_harness_stop(&h);
}

/* ---- an emergency ---- */

static size_t count_open(const struct pl_harness *h, const struct pl_harness_member *member, size_t count)
{
	size_t open = 0;
	for (size_t i = 0; i < count; i++)
		open += h->connection[member[i].connection].close_code == 0;
	return open;
}

/* Without another server: those who never talked go, the newest first and few at a time, and nobody else. */
static void test_emergency_ends_those_who_never_talked_the_newest_first(void **state)
{
	(void)state;
	enum { CLIENTS = 10, TALKERS = 4 };
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ 0 });
	struct pl_harness_member member[CLIENTS];
	for (int i = 0; i < CLIENTS; i++)
		member[i] = pl_harness_join(&h, "kitchen", "X");
	const uint32_t source = pl_harness_post(&h, "whip", "kitchen", "s0").source;
	const uint32_t player = pl_harness_post(&h, "whep", "kitchen", "r0").source;
	for (int i = 0; i < TALKERS; i++)
		talk(&h, &member[2 * i + 1]); /* the 2nd, 4th, 6th and 8th */
	press(&h, PL_PRESSURE_CRITICAL);
	pl_harness_pass(&h, 10000);
	assert_int_equal(count_open(&h, member, CLIENTS), CLIENTS);

	pl_harness_lose(&h, member[0].connection); /* away: it may resume */
	press(&h, PL_PRESSURE_EMERGENCY);
	pl_harness_skip_all(&h);
	/* The newest of all is a player by WHEP: it is ended without a word. */
	pl_harness_pass(&h, 0);
	assert_int_equal(pl_harness_take_command(&h, PL_COMMAND_LEAVE)->source, player);
	pl_harness_expect(&h, member[1].connection, "{'t':'peer','op':'leave','reason':'moved'}");
	pl_harness_skip_all(&h);
	static const int order[] = { 9, 8, 6, 4, 2 };
	for (size_t i = 0; i < PL_COUNT(order); i++) {
		pl_harness_pass(&h, PL_FRONT_ASK_MS - 1);
		assert_int_equal(count_open(&h, member, CLIENTS), CLIENTS - i);
		const struct pl_harness_member *gone = &member[order[i]];
		pl_harness_pass(&h, 1);
		pl_harness_expect(
			&h, gone->connection, "{'t':'bye','code':'pressure','resumable':false,'retry_after_ms':'*'}");
		pl_harness_expect_close(&h, gone->connection, PL_FRONT_CLOSE_TRY_AGAIN);
		assert_int_equal(pl_harness_take_command(&h, PL_COMMAND_LEAVE)->source, gone->source);
		pl_harness_expect(&h, member[1].connection,
			"{'t':'peer','op':'leave','peer':{'peer':'%s'},'reason':'moved'}", gone->peer);
		pl_harness_skip_all(&h);
	}
	assert_int_equal(pl_front_counters(h.front)->asked_to_go, 1 + PL_COUNT(order));
	pl_harness_pass(&h, 20 * PL_FRONT_ASK_MS);
	assert_int_equal(count_open(&h, member, CLIENTS), CLIENTS - PL_COUNT(order));
	pl_harness_expect_no_command(&h); /* the talkers, WHIP, and who is away are there */
	assert_non_null(pl_harness_expect(&h, pl_harness_resume(&h, &member[0], "kitchen", member[0].ticket, 0, NULL),
		"{'t':'welcome','resumed':true}"));
	assert_true(source != 0);
	pl_harness_stop(&h);
}

/* What the load asks for comes and goes: nobody goes for a moment of it, nor because the level lasts longer than the need. */
static void test_emergency_of_a_moment_ends_nobody(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ 0 });
	const struct pl_harness_member ann = pl_harness_join(&h, "kitchen", "Ann");
	struct pl_event event = { .kind = PL_EVENT_PRESSURE };
	event.pressure.level = PL_PRESSURE_EMERGENCY;
	event.pressure.cause = PL_PRESSURE_SHARD_BUSY;
	for (int second = 0; second < 60; second++) {
		event.pressure.score_permille = second % 5 == 4 ? 999 : 1000;
		pl_harness_event(&h, &event);
		pl_harness_pass(&h, 1000);
	}
	assert_int_equal(count_open(&h, &ann, 1), 1);
	event.pressure.score_permille = 1000;
	pl_harness_event(&h, &event);
	pl_harness_pass(&h, PL_FRONT_ASK_AFTER_MS - 1);
	assert_int_equal(count_open(&h, &ann, 1), 1);
	pl_harness_pass(&h, 1);
	assert_int_equal(count_open(&h, &ann, 1), 0);
	pl_harness_stop(&h);
}

/* With one they are asked, and have a while; who talks in it stays, and so does everybody when the emergency is over. */
static void test_emergency_asks_to_move_and_spares_who_talks(void **state)
{
	(void)state;
	for (int is_over = 0; is_over < 2; is_over++) {
		struct pl_harness h;
		pl_harness_start(&h, (struct pl_harness_limits){ .move_to = OTHER });
		struct pl_harness_member member[3];
		for (int i = 0; i < 3; i++)
			member[i] = pl_harness_join(&h, "kitchen", "X");
		pl_harness_skip_all(&h);
		press(&h, PL_PRESSURE_EMERGENCY);
		pl_harness_pass(&h, 2 * PL_FRONT_ASK_MS + 1);
		for (int i = 2; i >= 0; i--) {
			pl_harness_expect(&h, member[i].connection, "{'t':'degraded','level':4}");
			pl_harness_expect(&h, member[i].connection,
				"{'t':'move','code':'pressure','url':'" OTHER "','after_ms':'*','deadline_ms':%d}",
				PL_FRONT_MOVE_MS);
			pl_harness_expect_silence(&h, member[i].connection);
		}
		talk(&h, &member[1]);
		if (is_over)
			press(&h, PL_PRESSURE_CRITICAL);
		pl_harness_pass(&h, PL_FRONT_MOVE_MS);
		assert_int_equal(count_open(&h, member, 3), is_over ? 3 : 1);
		assert_int_equal(h.connection[member[1].connection].close_code, 0);
		assert_int_equal(pl_front_counters(h.front)->asked_to_go, is_over ? 0 : 2);
		pl_harness_stop(&h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_drain_tells_all_and_refuses_the_new),
		cmocka_unit_test(test_drain_sends_to_another_server_one_after_the_other),
		cmocka_unit_test(test_drain_takes_those_who_resume_and_loses_no_event),
		cmocka_unit_test(test_emergency_ends_those_who_never_talked_the_newest_first),
		cmocka_unit_test(test_emergency_of_a_moment_ends_nobody),
		cmocka_unit_test(test_emergency_asks_to_move_and_spares_who_talks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
