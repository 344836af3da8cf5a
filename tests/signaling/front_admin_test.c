/* The admin API: nobody without the token learns or changes anything, and who has it is told what is wrong in words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "signaling/front_admin.h"
#include "tests/support/front_harness.h"

#define TOKEN  "Zm9vYmFyYmF6cXV4"
#define BEARER "Bearer " TOKEN
#define MEDIA  "/v1/admin/media"

enum { WORKERS = 3 };

struct asked {
	enum pl_front_http_method method;
	const char *path, *authorization, *type, *body;
	int64_t length; /* 0: the body's */
};

/* Each asks a second after the last, which is slow enough. */
static int64_t now_us;

/* 0: granted.  Else the status; head and body are copied. */
static uint16_t ask(struct pl_harness *h, const struct asked *asked, struct pl_front_admin_wish *wish, char *head,
	char *body, size_t size)
{
	const struct pl_front_http_request http = {
		.method = asked->method,
		.path = asked->path,
		.authorization = asked->authorization,
		.content_type = asked->type,
		.content_length = asked->length != 0    ? asked->length
				  : asked->body != NULL ? (int64_t)strlen(asked->body)
							: -1,
		.body = { (const uint8_t *)asked->body, asked->body != NULL ? strlen(asked->body) : 0 },
	};
	struct pl_front_admin_answer answer;
	head[0] = body[0] = '\0';
	now_us += 1000000 / PL_ADMIN_WRONG_PER_S;
	if (pl_front_admin_read(h->front, now_us, &http, wish, &answer))
		return 0;
	snprintf(head, size, "%.*s", (int)answer.head->size, answer.head->data);
	snprintf(body, size, "%.*s", (int)answer.body->size, answer.body->data);
	pl_front_text_release(answer.head);
	pl_front_text_release(answer.body);
	return answer.status;
}

struct refused {
	struct asked asked;
	uint16_t status;
	const char *body, *head;
};

static void expect_refused(struct pl_harness *h, const struct refused *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct pl_front_admin_wish wish;
		char head[512], body[512];
		const uint16_t status = ask(h, &cases[i].asked, &wish, head, body, sizeof head);
		if (status != cases[i].status || strstr(body, cases[i].body) == NULL)
			fail_msg("case %zu: %u %s", i, status, body);
		assert_false(wish.has_simd);
		assert_non_null(strstr(head, "Content-Type: application/json\r\n"));
		assert_non_null(strstr(head, cases[i].head != NULL ? cases[i].head : ""));
	}
}

static void start(struct pl_harness *h, const char *token)
{
	pl_harness_start(h, (struct pl_harness_limits){ .admin_token = token, .worker_count = WORKERS });
}

/* A server that was not told to have an admin API has none, with any token, the empty one too. */
static void test_admin_is_off_without_a_token(void **state)
{
	(void)state;
	static const struct refused cases[] = {
		{ { PL_FRONT_HTTP_GET, MEDIA, NULL, NULL, NULL, 0 }, 404,
			"{\"code\":\"no_admin\",\"msg\":\"the admin API is off", NULL },
		{ { PL_FRONT_HTTP_GET, MEDIA, "Bearer ", NULL, NULL, 0 }, 404, "no_admin", NULL },
		{ { PL_FRONT_HTTP_POST, MEDIA, BEARER, "application/json", "{\"simd\":\"plain\"}", 0 }, 404, "no_admin",
			NULL },
	};
	static const char *const off[] = { NULL, "" };
	for (size_t i = 0; i < PL_COUNT(off); i++) {
		struct pl_harness h;
		start(&h, off[i]);
		expect_refused(&h, cases, PL_COUNT(cases));
		assert_int_equal(pl_front_counters(h.front)->faults[PL_FAULT_NO_ADMIN], PL_COUNT(cases));
		pl_harness_stop(&h);
	}
}

/* A part of the token, more than it, or another scheme opens nothing; not even what paths there are is told. */
static void test_admin_wants_the_whole_token(void **state)
{
	(void)state;
	static char long_one[600];
	static const char *const wrong[] = { NULL, "", "Bearer", "Bearer ", TOKEN, "Basic " TOKEN, "Bearer" TOKEN,
		"Bearer Zm9vYmFyYmF6cXV", "Bearer Zm9vYmFyYmF6cXV4x", "Bearer zm9vYmFyYmF6cXV4",
		"Bearer Zm9vYmFyYmF6cXV4 ", "Bearer x" TOKEN, long_one };
	struct pl_harness h;
	memset(long_one, 'x', sizeof long_one - 1);
	memcpy(long_one, BEARER, strlen(BEARER));
	start(&h, TOKEN);
	for (size_t i = 0; i < PL_COUNT(wrong); i++) {
		const struct refused cases[] = {
			{ { PL_FRONT_HTTP_GET, MEDIA, wrong[i], NULL, NULL, 0 }, 401, "unauthorized",
				"WWW-Authenticate: Bearer" },
			{ { PL_FRONT_HTTP_GET, "/v1/admin/x", wrong[i], NULL, NULL, 0 }, 401, "unauthorized", NULL },
			{ { PL_FRONT_HTTP_POST, MEDIA, wrong[i], "application/json", "{\"simd\":\"plain\"}", 0 }, 401,
				"unauthorized", NULL },
		};
		expect_refused(&h, cases, PL_COUNT(cases));
	}
	assert_int_equal(pl_front_counters(h.front)->faults[PL_FAULT_UNAUTHORIZED], 3 * PL_COUNT(wrong));
	pl_harness_stop(&h);
}

/* Who guesses is told to slow down, and is counted; who has the token is answered at once, however many guess. */
static void test_admin_slows_guesses_and_not_the_owner(void **state)
{
	(void)state;
	static const struct asked wrong = { PL_FRONT_HTTP_GET, MEDIA, "Bearer x" TOKEN, NULL, NULL, 0 };
	static const struct asked right = { PL_FRONT_HTTP_GET, MEDIA, BEARER, NULL, NULL, 0 };
	struct pl_front_admin_wish wish;
	struct pl_harness h;
	char head[512], body[512];
	start(&h, TOKEN);
	const int64_t began_us = now_us;
	for (int i = 0; i < 1000; i++) {
		now_us = began_us;
		assert_int_equal(ask(&h, &wrong, &wish, head, body, sizeof head), i < PL_ADMIN_WRONG_BURST ? 401 : 429);
		now_us = began_us;
		assert_int_equal(ask(&h, &right, &wish, head, body, sizeof head), 0);
	}
	now_us = began_us;
	assert_int_equal(ask(&h, &wrong, &wish, head, body, sizeof head), 429);
	assert_non_null(strstr(head, "Retry-After: 1\r\n"));
	assert_non_null(strstr(body, "{\"code\":\"rate\",\"msg\":\"too many wrong tokens"));
	assert_non_null(strstr(body, "\"retry_after_ms\":1000}"));
	const uint64_t *faults = pl_front_counters(h.front)->faults;
	assert_int_equal(faults[PL_FAULT_UNAUTHORIZED], PL_ADMIN_WRONG_BURST);
	assert_int_equal(faults[PL_FAULT_RATE], 1000 - PL_ADMIN_WRONG_BURST + 1);
	/* One more a second later, and not two. */
	now_us = began_us + 1000000 / PL_ADMIN_WRONG_PER_S;
	assert_int_equal(ask(&h, &wrong, &wish, head, body, sizeof head), 401);
	now_us = began_us + 1000000 / PL_ADMIN_WRONG_PER_S;
	assert_int_equal(ask(&h, &wrong, &wish, head, body, sizeof head), 429);
	pl_harness_stop(&h);
}

static void test_admin_grants_the_token(void **state)
{
	(void)state;
	static const char *const right[] = { BEARER, "bearer " TOKEN, "BEARER   " TOKEN };
	struct pl_harness h;
	start(&h, TOKEN);
	for (size_t i = 0; i < PL_COUNT(right); i++) {
		struct pl_front_admin_wish wish;
		char head[512], body[512];
		const struct asked asked = { PL_FRONT_HTTP_GET, MEDIA, right[i], NULL, NULL, 0 };
		assert_int_equal(ask(&h, &asked, &wish, head, body, sizeof head), 0);
		assert_false(wish.has_simd);
	}
	pl_harness_stop(&h);
}

/* The kill switch is thrown in a hurry: what it says must be right or must be refused whole. */
static void test_admin_changes_need_to_be_right(void **state)
{
	(void)state;
	static char deep[1000];
	memset(deep, '[', sizeof deep - 1);
#define POST(type, body, length)                                            \
	{                                                                   \
		PL_FRONT_HTTP_POST, MEDIA, BEARER, (type), (body), (length) \
	}
	const char *json = "application/json";
	const struct refused cases[] = {
		{ POST(NULL, "{\"simd\":\"plain\"}", 0), 415, "bad_type", NULL },
		{ POST("text/plain", "{\"simd\":\"plain\"}", 0), 415, "bad_type", NULL },
		{ POST(json, NULL, 0), 411, "no_length", NULL },
		{ POST(json, "{}", 1025), 413, "too_large", NULL },
		{ POST(json, "", -1), 411, "no_length", NULL },
		{ POST(json, "{", 0), 400, "\"bad_json\",\"msg\":\"line 1 column 1: ", NULL },
		{ POST(json, deep, 0), 400, "bad_json", NULL },
		{ POST(json, "[]", 0), 400, "bad_json", NULL },
		{ POST(json, "{}", 0), 400, "\"bad_field\",\"msg\":\"simd, load_step or pressure_level: missing",
			NULL },
		{ POST(json, "{\"pressure_level\":\"calm\"}", 0), 400,
			"\"bad_field\",\"msg\":\"pressure_level: it must be one of ", NULL },
		{ POST(json, "{\"pressure_level\":3}", 0), 400, "pressure_level: it must be", NULL },
		{ POST(json, "{\"pressure_level\":\"\"}", 0), 400, "pressure_level: it must be", NULL },
		{ POST(json, "{\"pressure_level\":\"high\",\"load_step\":5}", 0), 400, "load_step: it must be", NULL },
		{ POST(json, "{\"load_step\":5}", 0), 400,
			"\"bad_field\",\"msg\":\"load_step: it must be an integer from 0, the best, to 4,", NULL },
		{ POST(json, "{\"load_step\":-1}", 0), 400, "load_step: it must be", NULL },
		{ POST(json, "{\"load_step\":256}", 0), 400, "load_step: it must be", NULL },
		{ POST(json, "{\"load_step\":4294967296}", 0), 400, "load_step: it must be", NULL },
		{ POST(json, "{\"load_step\":\"1\"}", 0), 400, "load_step: it must be", NULL },
		{ POST(json, "{\"load_step\":1.0}", 0), 400, "load_step: it must be", NULL },
		{ POST(json, "{\"load_step\":true}", 0), 400, "load_step: it must be", NULL },
		{ POST(json, "{\"load_step\":null}", 0), 400, "load_step: it must be", NULL },
		{ POST(json, "{\"load_step\":1,\"worker\":3}", 0), 400,
			"\"bad_field\",\"msg\":\"worker: there is no such one; it must be an integer from 0 to 2\"",
			NULL },
		{ POST(json, "{\"load_step\":1,\"worker\":64}", 0), 400, "worker: there is no such one", NULL },
		{ POST(json, "{\"worker\":-1,\"load_step\":1}", 0), 400, "worker: there is no such one", NULL },
		{ POST(json, "{\"worker\":4294967296,\"load_step\":1}", 0), 400, "worker: there is no such one", NULL },
		{ POST(json, "{\"worker\":\"all\",\"load_step\":1}", 0), 400, "worker: there is no such one", NULL },
		{ POST(json, "{\"worker\":1}", 0), 400, "\"bad_field\",\"msg\":\"load_step: missing", NULL },
		{ POST(json, "{\"worker\":1,\"simd\":\"plain\"}", 0), 400, "load_step: missing", NULL },
		{ POST(json, "{\"simd\":\"plain\",\"load_step\":5}", 0), 400, "load_step: it must be", NULL },
		{ POST(json, "{\"load_step\":1,\"load_steps\":1}", 0), 400, "load_steps: there is no such key", NULL },
		{ POST(json, "{\"simd\":null}", 0), 400,
			"\"bad_field\",\"msg\":\"simd: it must be one of \\\"auto\\\", ", NULL },
		{ POST(json, "{\"simd\":\"Plain\"}", 0), 400, "simd: it must be one of", NULL },
		{ POST(json, "{\"simd\":\"plain\",\"sims\":1}", 0), 400, "sims: there is no such key", NULL },
		{ POST(json, "{\"simd\":\"plain\",\"simd\":\"avx2\"}", 0), 400, "bad_json", NULL },
		{ POST(json, "{\"\\u0007\xc3\xa9\":1}", 0), 400, "???: there is no such key", NULL },
		{ { PL_FRONT_HTTP_DELETE, MEDIA, BEARER, NULL, NULL, 0 }, 405, "bad_method",
			"Allow: GET, HEAD, POST\r\n" },
		{ { PL_FRONT_HTTP_OTHER, MEDIA, BEARER, NULL, NULL, 0 }, 405, "bad_method", NULL },
		{ { PL_FRONT_HTTP_GET, "/v1/admin", BEARER, NULL, NULL, 0 }, 404, "no_path", NULL },
		{ { PL_FRONT_HTTP_GET, "/v1/admin/media/x", BEARER, NULL, NULL, 0 }, 404, "no_path", NULL },
#if defined(__x86_64__)
		{ POST(json, "{\"simd\":\"neon\"}", 0), 422,
			"\"unsupported\",\"msg\":\"simd: neon cannot be used: ", NULL },
#endif
	};
	struct pl_harness h;
	start(&h, TOKEN);
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		struct pl_front_admin_wish wish;
		char head[512], body[512];
		const uint16_t status = ask(&h, &cases[i].asked, &wish, head, body, sizeof head);
		if (status != cases[i].status || strstr(body, cases[i].body) == NULL)
			fail_msg("case %zu: %u %s", i, status, body);
		assert_false(wish.has_simd || wish.has_load_step || wish.has_pressure_level);
		assert_non_null(strstr(head, cases[i].head != NULL ? cases[i].head : ""));
	}
	for (int level = 0; level < PL_SIMD_COUNT; level++) {
		struct pl_front_admin_wish wish;
		char head[512], body[512], text[64];
		snprintf(text, sizeof text, " {\"simd\" : \"%s\"}\n", pl_simd_text((enum pl_simd)level));
		const struct asked asked = POST("application/json; charset=utf-8", text, 0);
		if (pl_simd_lack((enum pl_simd)level) != NULL)
			continue;
		assert_int_equal(ask(&h, &asked, &wish, head, body, sizeof head), 0);
		assert_true(wish.has_simd);
		assert_int_equal(wish.simd, level);
	}
	pl_harness_stop(&h);
}

/* The ladder: of all workers or one, with the instructions or without; in any order of the keys. */
static void test_admin_reads_a_step_of_the_load(void **state)
{
	(void)state;
	static const struct {
		const char *body;
		size_t worker;
		uint8_t step;
		bool has_simd;
	} of[] = {
		{ "{\"load_step\":0}", PL_SFU_ALL_WORKERS, 0, false },
		{ "{\"load_step\":4}", PL_SFU_ALL_WORKERS, 4, false },
		{ "{\"load_step\":3,\"worker\":0}", 0, 3, false },
		{ "{\"worker\":2,\"load_step\":1}", WORKERS - 1, 1, false },
		{ "{\"worker\":1,\"load_step\":2,\"simd\":\"plain\"}", 1, 2, true },
		{ "{\"simd\":\"plain\",\"load_step\":2}", PL_SFU_ALL_WORKERS, 2, true },
	};
	struct pl_harness h;
	struct pl_front_admin_wish wish;
	char head[512], body[512];
	start(&h, TOKEN);
	for (size_t i = 0; i < PL_COUNT(of); i++) {
		const struct asked asked = POST("application/json", of[i].body, 0);
		assert_int_equal(ask(&h, &asked, &wish, head, body, sizeof head), 0);
		assert_true(wish.has_load_step);
		assert_int_equal(wish.load_step, of[i].step);
		assert_int_equal(wish.worker, of[i].worker);
		assert_int_equal(wish.has_simd, of[i].has_simd);
	}
	pl_harness_stop(&h);

	/* Without workers there is nothing that could follow it, and the instructions can be set still. */
	static const struct refused cases[] = {
		{ POST("application/json", "{\"load_step\":1}", 0), 422,
			"\"unsupported\",\"msg\":\"load_step: this server does not mix\"", NULL },
		{ POST("application/json", "{\"worker\":0,\"load_step\":1}", 0), 422, "unsupported", NULL },
		{ POST("application/json", "{\"load_step\":9}", 0), 400, "bad_field", NULL },
	};
	pl_harness_start(&h, (struct pl_harness_limits){ .admin_token = TOKEN });
	expect_refused(&h, cases, PL_COUNT(cases));
	const struct asked simd = POST("application/json", "{\"simd\":\"plain\"}", 0);
	assert_int_equal(ask(&h, &simd, &wish, head, body, sizeof head), 0);
	pl_harness_stop(&h);
}

/* An operator holds a level, or lets the load decide again; with other wishes or alone, on a server that does not mix, too. */
static void test_admin_reads_a_level_of_pressure(void **state)
{
	(void)state;
	static const struct {
		const char *body;
		uint8_t level;
		bool has_simd;
	} of[] = {
		{ "{\"pressure_level\":\"auto\"}", PL_PRESSURE_LEVELS, false },
		{ "{\"pressure_level\":\"nominal\"}", PL_PRESSURE_NOMINAL, false },
		{ "{\"pressure_level\":\"elevated\"}", PL_PRESSURE_ELEVATED, false },
		{ "{\"pressure_level\":\"high\"}", PL_PRESSURE_HIGH, false },
		{ "{\"pressure_level\":\"critical\",\"simd\":\"plain\"}", PL_PRESSURE_CRITICAL, true },
		{ "{\"simd\":\"plain\",\"pressure_level\":\"emergency\"}", PL_PRESSURE_EMERGENCY, true },
	};
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .admin_token = TOKEN });
	for (size_t i = 0; i < PL_COUNT(of); i++) {
		struct pl_front_admin_wish wish;
		char head[512], body[512];
		const struct asked asked = POST("application/json", of[i].body, 0);
		assert_int_equal(ask(&h, &asked, &wish, head, body, sizeof head), 0);
		assert_true(wish.has_pressure_level);
		assert_int_equal(wish.pressure_level, of[i].level);
		assert_int_equal(wish.has_simd, of[i].has_simd);
	}
	pl_harness_stop(&h);
}

static void test_admin_shows_what_mixes(void **state)
{
	(void)state;
	static const struct pl_front_admin_worker workers_now[] = { { 1, 2, 3, 4, 7, 5, 6 }, { .rooms = 7 } };
	const struct pl_front_admin_media media = {
		.simd = PL_SIMD_PLAIN,
		.opus = "libopus 1.3.1",
		.pressure_level = PL_PRESSURE_HIGH,
		.worker_count = 2,
		.worker = workers_now,
	};
	struct pl_front_admin_answer answer;
	pl_front_admin_show(&media, &answer);
	assert_int_equal(answer.status, 200);
	json_t *shown = json_loadb(answer.body->data, answer.body->size, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(shown, "simd")), "plain");
	assert_string_equal(json_string_value(json_object_get(shown, "opus")), "libopus 1.3.1");
	assert_string_equal(json_string_value(json_object_get(shown, "pressure_level")), "high");
	const json_t *available = json_object_get(shown, "simd_available");
	assert_string_equal(json_string_value(json_array_get(available, json_array_size(available) - 1)), "plain");
	const json_t *workers = json_object_get(shown, "workers");
	assert_int_equal(json_array_size(workers), 2);
	json_t *first = json_pack("{s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i}", "worker", 0, "rooms", 1, "voices", 2, "encoders",
		3, "load_permille", 4, "load_step", 7, "steps", 5, "steps_late", 6);
	assert_true(json_equal(json_array_get(workers, 0), first));
	json_decref(first);
	json_decref(shown);
	pl_front_text_release(answer.head);
	pl_front_text_release(answer.body);
}

static void test_admin_tokens_that_can_be_sent(void **state)
{
	(void)state;
	char longest[PL_ADMIN_TOKEN_MAX + 2];
	memset(longest, 'x', sizeof longest);
	longest[PL_ADMIN_TOKEN_MAX + 1] = '\0';
	assert_false(pl_front_admin_is_token(longest));
	longest[PL_ADMIN_TOKEN_MAX] = '\0';
	assert_true(pl_front_admin_is_token(longest));
	assert_true(pl_front_admin_is_token("0123456789abcdef"));
	assert_false(pl_front_admin_is_token("0123456789abcde"));
	assert_false(pl_front_admin_is_token("0123456789 abcdef"));
	assert_false(pl_front_admin_is_token("0123456789\xc3\xa9"
					     "abcdef"));
	assert_false(pl_front_admin_is_token(""));
	/* The longest has to be compared whole. */
	struct pl_harness h;
	struct pl_front_admin_wish wish;
	char head[512], body[512], field[PL_ADMIN_TOKEN_MAX + 16];
	start(&h, longest);
	snprintf(field, sizeof field, "Bearer %s", longest);
	const struct asked asked = { PL_FRONT_HTTP_GET, MEDIA, field, NULL, NULL, 0 };
	assert_int_equal(ask(&h, &asked, &wish, head, body, sizeof head), 0);
	field[strlen(field) - 1] = 'y';
	assert_int_equal(ask(&h, &asked, &wish, head, body, sizeof head), 401);
	pl_harness_stop(&h);
}

static void test_admin_paths(void **state)
{
	(void)state;
	assert_true(pl_front_admin_is_path("/v1/admin"));
	assert_true(pl_front_admin_is_path("/v1/admin/"));
	assert_true(pl_front_admin_is_path(MEDIA));
	assert_false(pl_front_admin_is_path("/v1/administration"));
	assert_false(pl_front_admin_is_path("/v1/whip/admin"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_admin_is_off_without_a_token),
		cmocka_unit_test(test_admin_wants_the_whole_token),
		cmocka_unit_test(test_admin_grants_the_token),
		cmocka_unit_test(test_admin_slows_guesses_and_not_the_owner),
		cmocka_unit_test(test_admin_changes_need_to_be_right),
		cmocka_unit_test(test_admin_reads_a_step_of_the_load),
		cmocka_unit_test(test_admin_reads_a_level_of_pressure),
		cmocka_unit_test(test_admin_shows_what_mixes),
		cmocka_unit_test(test_admin_tokens_that_can_be_sent),
		cmocka_unit_test(test_admin_paths),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
