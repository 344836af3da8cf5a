#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/load/check.h"

static const struct pl_ice_credentials server_ice = { .ufrag = "server01", .pwd = "serverpasswordserverpass" };
static const struct pl_ice_credentials client_ice = { .ufrag = "client01", .pwd = "clientpasswordclientpass" };

enum { SECOND_US = 1000000, CLIENT_PORT = 40000, SERVER_PORT = 3478 };

struct fixture {
	struct load_check check;
	struct pl_ice server;
	struct pl_rng rng;
	struct pl_path path; /* as the server sees it */
	struct pl_addr server_addr;
	uint8_t reply[PL_ICE_REPLY_SIZE_MAX];
};

static void init(struct fixture *f)
{
	const struct load_check_config config = {
		.remote_ufrag = server_ice.ufrag,
		.remote_pwd = server_ice.pwd,
		.local = &client_ice,
		.tie_breaker = 77,
	};
	*f = (struct fixture){ .server_addr = pl_addr_ipv4(0x7f000001, SERVER_PORT) };
	f->path.remote = pl_addr_ipv4(0x7f000001, CLIENT_PORT);
	f->path.local = f->server_addr;
	pl_rng_init(&f->rng, 1);
	pl_ice_init(&f->server, 0, &server_ice, client_ice.ufrag);
	load_check_init(&f->check, 0, &config);
}

/* The server's answer to the check that is due now. */
static size_t ask_server(struct fixture *f, int64_t now_us)
{
	struct pl_ice_result result = { 0 };
	const struct pl_bytes request = load_check_tick(&f->check, now_us, &f->rng);
	assert_true(request.size > 0 && request.size <= LOAD_CHECK_SIZE_MAX);
	assert_int_equal(pl_ice_feed(&f->server, now_us, &f->path, request, f->reply, &result), PL_DROP_NONE);
	assert_true(result.reply_size > 0);
	return result.reply_size;
}

static bool answer(struct fixture *f, int64_t now_us, size_t size)
{
	uint8_t ours[PL_ICE_REPLY_SIZE_MAX];
	size_t ours_size;
	const bool is_answer = load_check_feed(
		&f->check, now_us, &f->server_addr, (struct pl_bytes){ f->reply, size }, &f->rng, ours, &ours_size);
	assert_int_equal(ours_size, 0);
	return is_answer;
}

/* One round trip and the pair is the one that media takes: the first check nominates. */
static void test_check_first_answer_nominates(void **state)
{
	(void)state;
	struct fixture f;
	init(&f);
	const size_t size = ask_server(&f, 0);
	assert_non_null(pl_ice_selected(&f.server));
	assert_false(f.check.is_nominated);
	assert_true(answer(&f, 1000, size));
	assert_true(f.check.is_nominated);
	assert_int_equal(f.check.answered_us, 1000);
	assert_false(answer(&f, 2000, size)); /* once is enough */
	assert_int_equal(f.check.answered_us, 1000);
	load_check_fini(&f.check);
}

/* Unanswered checks are repeated after 0.5, 1, 2, 4, 4, ... seconds, with the same bytes: RFC 8489 section 6.2.1. */
static void test_check_is_repeated_until_answered(void **state)
{
	(void)state;
	static const int64_t due_us[] = { 0, 500000, 1500000, 3500000, 7500000, 11500000 };
	struct fixture f;
	uint8_t first[LOAD_CHECK_SIZE_MAX];
	init(&f);
	for (size_t i = 0; i < PL_COUNT(due_us); i++) {
		assert_int_equal(f.check.deadline_us, due_us[i]);
		if (i > 0)
			assert_int_equal(load_check_tick(&f.check, due_us[i] - 1, &f.rng).size, 0);
		const struct pl_bytes bytes = load_check_tick(&f.check, due_us[i], &f.rng);
		assert_in_range(bytes.size, 1, sizeof first);
		if (i == 0)
			memcpy(first, bytes.data, bytes.size);
		else
			assert_memory_equal(bytes.data, first, bytes.size);
	}
	load_check_fini(&f.check);
}

/* Consent is asked for every 4 to 6 s, or the server would hang up on a client that only listens. */
static void test_check_keeps_consent(void **state)
{
	(void)state;
	struct fixture f;
	int64_t now_us = 0;
	init(&f);
	assert_true(answer(&f, now_us, ask_server(&f, now_us)));
	for (int i = 0; i < 100; i++) {
		const int64_t passed_us = f.check.deadline_us - now_us;
		assert_in_range(passed_us, 4 * SECOND_US, 6 * SECOND_US);
		now_us = f.check.deadline_us;
		assert_true(answer(&f, now_us + 100, ask_server(&f, now_us)));
		assert_int_equal(f.check.answered_us, now_us + 100);
		assert_true(pl_ice_consent_deadline(&f.server) > now_us + 29 * SECOND_US);
		now_us += 100;
	}
	load_check_fini(&f.check);
}

/* A stranger who does not know the password connects nobody: no byte of an answer may be another. */
static void test_check_takes_no_forged_answer(void **state)
{
	(void)state;
	struct fixture f;
	init(&f);
	const size_t size = ask_server(&f, 0);
	for (size_t i = 0; i < size; i++) {
		f.reply[i] ^= 1;
		assert_false(answer(&f, 1000, size));
		f.reply[i] ^= 1;
	}
	for (size_t cut = 0; cut < size; cut++)
		assert_false(answer(&f, 1000, cut));
	assert_false(f.check.is_nominated);
	assert_true(answer(&f, 1000, size));
	load_check_fini(&f.check);
}

/* A server that is not lite checks as well, with our password: it is answered, and others are not. */
static void test_check_answers_a_full_server(void **state)
{
	(void)state;
	struct fixture f;
	struct load_check other;
	size_t size;
	init(&f);
	load_check_init(&other, 0,
		&(struct load_check_config){
			.remote_ufrag = client_ice.ufrag,
			.remote_pwd = client_ice.pwd,
			.local = &server_ice,
			.tie_breaker = 1,
		});
	const struct pl_bytes request = load_check_tick(&other, 0, &f.rng);
	uint8_t copy[LOAD_CHECK_SIZE_MAX];
	memcpy(copy, request.data, request.size);
	const struct pl_bytes bytes = { copy, request.size };
	assert_false(load_check_feed(&f.check, 0, &f.server_addr, bytes, &f.rng, f.reply, &size));
	assert_in_range(size, 20, PL_ICE_REPLY_SIZE_MAX);
	copy[request.size - 9] ^= 1; /* in the integrity, which stands before the 8 bytes of the fingerprint */
	assert_false(load_check_feed(&f.check, 0, &f.server_addr, bytes, &f.rng, f.reply, &size));
	assert_int_equal(size, 0);
	load_check_fini(&f.check);
	load_check_fini(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check_first_answer_nominates),
		cmocka_unit_test(test_check_is_repeated_until_answered),
		cmocka_unit_test(test_check_keeps_consent),
		cmocka_unit_test(test_check_takes_no_forged_answer),
		cmocka_unit_test(test_check_answers_a_full_server),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
