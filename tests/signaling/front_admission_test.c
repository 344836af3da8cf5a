/* Who is let in, and what those hear who are not: one refusal, with its reason, its figure and a time to come back; and whoever is
 * in already comes back whatever the others do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "signaling/front_proxy.h"
#include "signaling/front_rates.h"
#include "tests/support/front_harness.h"

static uint64_t try_join_with(struct pl_harness *h, const char *room, const char *token)
{
	const uint64_t c = pl_harness_open(h);
	assert_true(c != 0);
	pl_harness_say(h, c, "{'t':'join','id':9,'v':1,'room':'%s','token':'%s','sdp':'%s'}", room, token,
		pl_harness_offer("s0 r1 r2", 1));
	return c;
}

static uint64_t try_join(struct pl_harness *h, const char *room)
{
	return try_join_with(h, room, "");
}

/* Returns retry_after_ms. */
static json_int_t expect_refused(struct pl_harness *h, uint64_t connection, const char *code, const char *more)
{
	const json_t *frame = pl_harness_expect(
		h, connection, "{'t':'refused','id':9,'code':'%s','reason':'*','retry_after_ms':'*'%s}", code, more);
	pl_harness_expect_close(h, connection, PL_FRONT_CLOSE_TRY_AGAIN);
	pl_harness_expect_silence(h, connection);
	pl_harness_expect_no_command(h);
	return json_integer_value(json_object_get(frame, "retry_after_ms"));
}

static void press(struct pl_harness *h, enum pl_pressure_level level, uint16_t score_permille)
{
	struct pl_event event = { .kind = PL_EVENT_PRESSURE };
	event.pressure.level = (uint8_t)level;
	event.pressure.cause = PL_PRESSURE_CPU;
	event.pressure.score_permille = score_permille;
	event.pressure.input_permille[PL_PRESSURE_CPU] = score_permille;
	pl_harness_event(h, &event);
}

static const struct pl_harness_response *post(struct pl_harness *h, const char *room)
{
	char path[64];
	snprintf(path, sizeof path, "/v1/whip/%s", room);
	return pl_harness_http(h, &(struct pl_harness_http){ .method = PL_FRONT_HTTP_POST,
					  .path = path,
					  .type = "application/sdp",
					  .body = pl_harness_sdp("s0", 1) });
}

/* ---- pressure ---- */

/* First new rooms, then new people; those who are in, and those who come back, never. */
static void test_admission_under_pressure_refuses_rooms_then_joins(void **state)
{
	(void)state;
	static const struct {
		enum pl_pressure_level level;
		uint16_t score_permille;
		bool takes_rooms, takes_joins;
	} c[] = {
		{ PL_PRESSURE_ELEVATED, 750, true, true },
		{ PL_PRESSURE_HIGH, 850, false, true },
		{ PL_PRESSURE_CRITICAL, 950, false, false },
		{ PL_PRESSURE_EMERGENCY, 1200, false, false },
		{ PL_PRESSURE_NOMINAL, 500, true, true },
	};
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .move_to = "https://other.example.org" });
	const struct pl_front_counters *counters = pl_front_counters(h.front);
	struct pl_harness_member ann = pl_harness_join(&h, "kitchen", "Ann");
	uint64_t refused = 0;
	for (size_t i = 0; i < PL_COUNT(c); i++) {
		const bool takes[] = { c[i].takes_joins, c[i].takes_rooms };
		char room[16], more[160];
		pl_harness_pass(&h, 10000); /* who has joined has shown up */
		press(&h, c[i].level, c[i].score_permille);
		snprintf(room, sizeof room, "room%zu", i);
		snprintf(more, sizeof more,
			",'level':%d,'cause':'cpu','score_permille':'*','url':'https://other.example.org'",
			(int)c[i].level);
		for (size_t is_new = 0; is_new < 2; is_new++) {
			const uint64_t who = try_join(&h, is_new == 1 ? room : "kitchen");
			if (takes[is_new]) {
				pl_harness_expect(&h, who, "{'t':'welcome'}");
				pl_harness_skip_all(&h);
				continue;
			}
			assert_in_range(expect_refused(&h, who, "pressure", more), PL_FRONT_PRESSED_RETRY_MS_MIN,
				PL_FRONT_PRESSED_RETRY_MS_MAX);
			refused++;
		}
		assert_int_equal(counters->refused[PL_REFUSAL_PRESSURE], refused);

		pl_harness_lose(&h, ann.connection);
		const uint64_t again = pl_harness_resume(
			&h, &ann, "kitchen", ann.ticket, 0, pl_harness_offer("s0 r1", 2 + (unsigned)i % 2));
		ann.connection = again;
		pl_harness_take_welcome(&h, again, &ann);
		pl_harness_skip_all(&h);
	}
	assert_int_equal(counters->resumes, PL_COUNT(c));
	pl_harness_stop(&h);
}

/* Over HTTP it is 503 with Retry-After, and the same words. */
static void test_admission_over_http_is_503_with_the_same_words(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ 0 });
	press(&h, PL_PRESSURE_CRITICAL, 912);
	const struct pl_harness_response *r = post(&h, "kitchen");
	assert_int_equal(r->status, 503);
	json_t *body = json_loads(r->body, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(body, "code")), "pressure");
	assert_string_equal(json_string_value(json_object_get(body, "cause")), "cpu");
	assert_int_equal(json_integer_value(json_object_get(body, "score_permille")), 912);
	assert_int_equal(json_integer_value(json_object_get(body, "level")), 3);
	assert_null(json_object_get(body, "url"));
	const json_int_t ms = json_integer_value(json_object_get(body, "retry_after_ms"));
	assert_in_range(ms, PL_FRONT_PRESSED_RETRY_MS_MIN, PL_FRONT_PRESSED_RETRY_MS_MAX);
	char seconds[16];
	snprintf(seconds, sizeof seconds, "%d", (int)(ms + 999) / 1000);
	assert_string_equal(pl_harness_field(r, "Retry-After"), seconds);
	json_decref(body);
	pl_harness_stop(&h);
}

/* A burst of joins must not pass on the figures from before it: the score that was told is far from refusing. */
static void test_admission_counts_those_that_no_measurement_has_seen(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ 0 });
	for (int i = 0; i < 20; i++) /* what one costs is learned from them */
		(void)pl_harness_join(&h, "kitchen", "X");
	pl_harness_skip_all(&h);
	pl_harness_pass(&h, 4000);
	press(&h, PL_PRESSURE_NOMINAL, 650);
	unsigned taken = 0;
	while (taken < 350) {
		const uint64_t who = try_join(&h, "kitchen");
		const json_t *frame = pl_harness_expect(&h, who, "{'t':'*'}");
		pl_harness_skip_all(&h);
		pl_harness_lose(&h, who);
		if (strcmp(json_string_value(json_object_get(frame, "t")), "refused") == 0) {
			assert_string_equal(json_string_value(json_object_get(frame, "code")), "pressure");
			assert_in_range(json_integer_value(json_object_get(frame, "score_permille")), 900, 1000);
			break;
		}
		taken++;
		pl_harness_event(&h, &(struct pl_event){ .kind = PL_EVENT_CONNECTED,
					     .room = h.command[h.command_count - 1].room,
					     .source = h.command[h.command_count - 1].source });
		pl_harness_skip_all(&h);
	}
	assert_in_range(taken, 50, 300); /* the rest of the score up to critical, and each takes a bit of it */
	pl_harness_pass(&h, 4000);       /* they have shown up by now, and the measurements say that it is well */
	press(&h, PL_PRESSURE_NOMINAL, 660);
	pl_harness_expect(&h, try_join(&h, "kitchen"), "{'t':'welcome'}");
	pl_harness_stop(&h);
}

/* ---- rates ---- */

/* So many at once, then one for each part of the minute; whoever asks too soon loses nothing by it. */
static void test_admission_limits_the_joins_of_one_address(void **state)
{
	(void)state;
	enum { PER_MINUTE = 30 };
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .joins_per_address = PER_MINUTE });
	const struct pl_addr office = pl_addr_ipv4(0xc0000201, 0), other = pl_addr_ipv4(0xc0000202, 0);
	h.address = office;
	for (int i = 0; i < PER_MINUTE; i++)
		pl_harness_expect(&h, try_join(&h, "kitchen"), "{'t':'welcome'}");
	pl_harness_skip_all(&h);
	for (int i = 0; i < 3; i++) {
		const json_int_t ms = expect_refused(&h, try_join(&h, "kitchen"), "rate", ",'limit':30");
		assert_in_range(ms, 2000, 2000 + PL_FRONT_RETRY_MS_MIN);
	}
	const struct pl_harness_response *r = post(&h, "kitchen"); /* the same one, over HTTP */
	assert_int_equal(r->status, 429);
	assert_true(strcmp(pl_harness_field(r, "Retry-After"), "2") >= 0);
	assert_non_null(strstr(r->body, "\"code\":\"rate\""));
	assert_int_equal(pl_front_counters(h.front)->refused[PL_REFUSAL_RATE], 4);
	h.address = other;
	pl_harness_expect(&h, try_join(&h, "kitchen"), "{'t':'welcome'}");
	h.address = office;
	pl_harness_skip_all(&h);
	pl_harness_pass(&h, 1999);
	expect_refused(&h, try_join(&h, "kitchen"), "rate", "");
	pl_harness_pass(&h, 1);
	pl_harness_expect(&h, try_join(&h, "kitchen"), "{'t':'welcome'}");
	pl_harness_skip_all(&h);
	expect_refused(&h, try_join(&h, "kitchen"), "rate", "");
	pl_harness_stop(&h);
}

/* Whom it means: a /64 of IPv6 is one, this machine is none, and a resume is no join. */
static void test_admission_knows_who_is_one_address(void **state)
{
	(void)state;
	static const struct {
		const char *first, *second;
		bool is_one;
	} c[] = {
		{ "2001:db8::1", "2001:db8::2", true },
		{ "2001:db8::1", "2001:db8:0:1::1", false },
		{ "192.0.2.1", "192.0.2.2", false },
		{ "127.0.0.1", "127.0.0.1", false },
		{ "::1", "::1", false },
		{ "192.0.2.1", "192.0.2.1", true },
	};
	for (size_t i = 0; i < PL_COUNT(c); i++) {
		struct pl_harness h;
		pl_harness_start(&h, (struct pl_harness_limits){ .joins_per_address = 1 });
		assert_true(pl_addr_parse_ip(c[i].first, &h.address));
		struct pl_harness_member ann = pl_harness_join(&h, "kitchen", "Ann");
		assert_true(pl_addr_parse_ip(c[i].second, &h.address));
		const uint64_t bob = try_join(&h, "kitchen");
		if (c[i].is_one)
			expect_refused(&h, bob, "rate", ",'limit':1");
		else
			pl_harness_expect(&h, bob, "{'t':'welcome'}");
		pl_harness_skip_all(&h);
		assert_true(pl_addr_parse_ip(c[i].first, &h.address));
		pl_harness_lose(&h, ann.connection);
		pl_harness_expect(&h, pl_harness_resume(&h, &ann, "kitchen", ann.ticket, 0, NULL),
			"{'t':'welcome','resumed':true}");
		pl_harness_stop(&h);
	}
}

static void test_admission_limits_the_joins_with_one_token(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .joins_per_token = 2 });
	for (int i = 0; i < 2; i++)
		pl_harness_expect(&h, try_join_with(&h, "kitchen", "secret"), "{'t':'welcome'}");
	pl_harness_skip_all(&h);
	assert_in_range(expect_refused(&h, try_join_with(&h, "kitchen", "secret"), "rate", ",'limit':2"), 30000, 32000);
	pl_harness_expect(&h, try_join_with(&h, "kitchen", "secrets"), "{'t':'welcome'}");
	for (int i = 0; i < 5; i++) /* none is not one */
		pl_harness_expect(&h, try_join(&h, "kitchen"), "{'t':'welcome'}");
	pl_harness_skip_all(&h);
	const struct pl_harness_response *r =
		pl_harness_http(&h, &(struct pl_harness_http){ .method = PL_FRONT_HTTP_POST,
					    .path = "/v1/whip/kitchen",
					    .type = "application/sdp",
					    .authorization = "bEARER  secret",
					    .body = pl_harness_sdp("s0", 1) });
	assert_int_equal(r->status, 429);
	pl_harness_stop(&h);
}

/* ---- the table of rates ---- */

/* A place that is needed is that of a bucket which is full, or nearest to it: so nobody shakes off a limit by asking as many. */
static void test_rates_forget_those_that_are_full_first(void **state)
{
	(void)state;
	static struct pl_front_rates rates;
	memset(&rates, 0, sizeof rates);
	int64_t now_us = 1000000;
	const uint64_t set = 7;
	for (uint64_t i = 1; i <= PL_FRONT_RATE_WAYS; i++) { /* all of one set, in debt by i takes of a second each */
		struct pl_front_rate *rate = pl_front_rates_find(&rates, now_us, set + i * PL_FRONT_RATE_SETS);
		assert_int_equal(pl_front_rate_wait_us(rate, now_us, 60), 0);
		for (uint64_t k = 0; k < i; k++)
			pl_front_rate_take(rate, now_us, 60);
	}
	assert_int_equal(rates.displaced, 0);
	now_us += 1500000; /* the first is full again */
	(void)pl_front_rates_find(&rates, now_us, set + 100 * PL_FRONT_RATE_SETS);
	assert_int_equal(rates.displaced, 0);
	for (uint64_t i = 2; i <= PL_FRONT_RATE_WAYS; i++)
		assert_int_equal(pl_front_rates_find(&rates, now_us, set + i * PL_FRONT_RATE_SETS)->full_us,
			1000000 + (int64_t)i * 1000000);
	pl_front_rate_take(pl_front_rates_find(&rates, now_us, set + 100 * PL_FRONT_RATE_SETS), now_us, 6); /* 10 s */
	(void)pl_front_rates_find(&rates, now_us, set + 200 * PL_FRONT_RATE_SETS);
	assert_int_equal(rates.displaced, 1); /* the second's, which was 0.5 s from full */
	assert_int_equal(pl_front_rates_find(&rates, now_us, set + 8 * PL_FRONT_RATE_SETS)->full_us, 9000000);
}

static void test_rates_of_one_a_minute_and_of_a_million(void **state)
{
	(void)state;
	struct pl_front_rate rate = { .who = 1 };
	pl_front_rate_take(&rate, 5000000, 1);
	assert_int_equal(pl_front_rate_wait_us(&rate, 5000000, 1), 60000000);
	assert_int_equal(pl_front_rate_wait_us(&rate, 64999999, 1), 1);
	assert_int_equal(pl_front_rate_wait_us(&rate, 65000000, 1), 0);
	rate = (struct pl_front_rate){ .who = 1 };
	for (int i = 0; i < 1000000; i++)
		pl_front_rate_take(&rate, 5000000, 1000000);
	assert_int_equal(pl_front_rate_wait_us(&rate, 5000000, 1000000), 60);
}

/* ---- connections that do not join ---- */

/* A crowd that only holds connections loses its oldest to whoever comes, and whoever comes joins. */
static void test_admission_closes_the_oldest_that_has_not_joined(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .connections = 200 });
	const struct pl_front_counters *counters = pl_front_counters(h.front);
	const struct pl_harness_member ann = pl_harness_join(&h, "kitchen", "Ann");
	uint64_t first = 0;
	for (int i = 0; i < PL_FRONT_WAITING_MIN; i++) {
		const uint64_t c = pl_harness_open(&h);
		first = first == 0 ? c : first;
	}
	assert_int_equal(counters->waiting, PL_FRONT_WAITING_MIN);
	pl_harness_expect_silence(&h, first);
	const uint64_t bob = try_join(&h, "kitchen");
	pl_harness_expect(&h, bob, "{'t':'welcome'}");
	pl_harness_expect(&h, first, "{'t':'err','id':null,'code':'not_joined','msg':'*'}");
	pl_harness_expect_close(&h, first, PL_FRONT_CLOSE_POLICY);
	assert_int_equal(counters->waiting, PL_FRONT_WAITING_MIN - 1);
	assert_int_equal(counters->waiting_displaced, 1);
	for (int i = 0; i < 100; i++) {
		pl_harness_lose(&h, pl_harness_open(&h));
		assert_true(counters->waiting < PL_FRONT_WAITING_MIN);
	}
	assert_int_equal(counters->waiting_displaced, 1);
	pl_harness_say(&h, ann.connection, "{'t':'ping','id':1}");
	pl_harness_expect(&h, ann.connection, "{'t':'peer','op':'join'}");
	pl_harness_expect(&h, ann.connection, "{'t':'pong'}");
	pl_harness_pass(&h, PL_FRONT_JOIN_MS);
	assert_int_equal(counters->waiting, 0);
	pl_harness_stop(&h);
}

/* Nor does it keep whoever comes back out of a server with few places: half of them are for those who join. */
static void test_admission_keeps_half_of_few_connections(void **state)
{
	(void)state;
	enum { PLACES = 20 };
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .connections = PLACES });
	for (int i = 0; i < PLACES / 2; i++)
		pl_harness_open(&h);
	assert_int_equal(pl_front_counters(h.front)->waiting_displaced, 0);
	const uint64_t ann = try_join(&h, "kitchen");
	pl_harness_expect(&h, ann, "{'t':'welcome'}");
	assert_int_equal(pl_front_counters(h.front)->waiting_displaced, 1);
	assert_int_equal(pl_front_counters(h.front)->waiting, PLACES / 2 - 1);
	pl_harness_stop(&h);
}

/* ---- proxies ---- */

static void test_proxy_is_believed_when_it_is_trusted(void **state)
{
	(void)state;
	static const struct {
		const char *peer, *forwarded, *client;
	} c[] = {
		{ "10.0.0.1", NULL, "10.0.0.1" }, { "10.0.0.1", "192.0.2.7", "192.0.2.7" },
		{ "10.0.0.1", "203.0.113.9, 192.0.2.7", "192.0.2.7" }, /* what the client wrote itself stands first */
		{ "10.0.0.1", "192.0.2.7,10.0.0.2", "192.0.2.7" }, { "10.7.200.4", "192.0.2.7, 10.7.0.1", "192.0.2.7" },
		{ "10.8.0.1", "192.0.2.7", "10.8.0.1" }, { "10.0.0.1", "10.0.0.2", "10.0.0.2" },
		{ "10.0.0.1", " 2001:db8::7\t, 10.0.0.2 ", "2001:db8::7" },
		{ "10.0.0.1", "[2001:db8::7]:4711", "2001:db8::7" }, { "10.0.0.1", "192.0.2.7:4711", "192.0.2.7" },
		{ "10.0.0.1", "192.0.2.7, unknown", "10.0.0.1" }, { "10.0.0.1", "192.0.2.7, ,10.0.0.2", "10.0.0.2" },
		{ "10.0.0.1", "", "10.0.0.1" }, { "10.0.0.1", ",,,", "10.0.0.1" }, { "10.0.0.1", "[", "10.0.0.1" },
		{ "10.0.0.1", "[]", "10.0.0.1" }, { "192.0.2.1", "127.0.0.1", "192.0.2.1" }, /* not one of ours */
	};
	struct pl_front_proxies proxies = { .count = 3 };
	assert_true(pl_addr_range_parse("10.0.0.1", &proxies.network[0]));
	assert_true(pl_addr_range_parse("10.0.0.2", &proxies.network[1]));
	assert_true(pl_addr_range_parse("10.7.0.0/16", &proxies.network[2]));
	for (size_t i = 0; i < PL_COUNT(c); i++) {
		struct pl_addr peer;
		char text[PL_ADDR_TEXT_SIZE];
		assert_true(pl_addr_parse_ip(c[i].peer, &peer));
		peer.port = 1234;
		const struct pl_addr client = pl_front_client_of(&proxies, &peer, c[i].forwarded);
		assert_string_equal(pl_addr_format_ip(&client, text), c[i].client);
		assert_int_equal(client.port, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_admission_under_pressure_refuses_rooms_then_joins),
		cmocka_unit_test(test_admission_over_http_is_503_with_the_same_words),
		cmocka_unit_test(test_admission_counts_those_that_no_measurement_has_seen),
		cmocka_unit_test(test_admission_limits_the_joins_of_one_address),
		cmocka_unit_test(test_admission_knows_who_is_one_address),
		cmocka_unit_test(test_admission_limits_the_joins_with_one_token),
		cmocka_unit_test(test_rates_forget_those_that_are_full_first),
		cmocka_unit_test(test_rates_of_one_a_minute_and_of_a_million),
		cmocka_unit_test(test_admission_closes_the_oldest_that_has_not_joined),
		cmocka_unit_test(test_admission_keeps_half_of_few_connections),
		cmocka_unit_test(test_proxy_is_believed_when_it_is_trusted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
