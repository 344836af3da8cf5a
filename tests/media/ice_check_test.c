/* media/ice_check: our own half of ICE is taken as a browser's is, and takes no answer but its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "media/ice_check.h"

static const struct pl_ice_credentials server = { .ufrag = "srvufrag", .pwd = "0123456789abcdefghijklmn" };
static const struct pl_path path = { .remote = { .port = 5000 }, .local = { .port = 7882 } };

static void test_a_check_nominates_and_knows_its_answer(void **state)
{
	(void)state;
	struct pl_ice ice;
	struct pl_ice_check check, other;
	struct pl_ice_result result;
	uint8_t reply[PL_ICE_REPLY_SIZE_MAX];
	pl_ice_init(&ice, 0, &server, "bird");
	pl_ice_check_write(&check, &server, "bird");
	pl_ice_check_write(&other, &server, "bird");
	const struct pl_bytes request = { check.bytes, check.size };
	assert_int_equal(pl_ice_feed(&ice, 1000, &path, request, reply, &result), PL_DROP_NONE);
	assert_true(result.is_selected_new);
	const struct pl_bytes answer = { reply, result.reply_size };
	assert_true(pl_ice_check_is_answered(&check, answer));
	assert_false(pl_ice_check_is_answered(&other, answer));
	assert_false(pl_ice_check_is_answered(&check, request));
	for (size_t size = 0; size < 20; size++)
		assert_false(pl_ice_check_is_answered(&check, (struct pl_bytes){ reply, size }));
}

/* A refusal is no answer. */
static void test_a_wrong_password_is_refused(void **state)
{
	(void)state;
	struct pl_ice ice;
	struct pl_ice_check check;
	struct pl_ice_result result;
	struct pl_ice_credentials wrong = server;
	uint8_t reply[PL_ICE_REPLY_SIZE_MAX];
	wrong.pwd[0] ^= 1;
	pl_ice_init(&ice, 0, &server, "bird");
	pl_ice_check_write(&check, &wrong, "bird");
	assert_int_equal(pl_ice_feed(&ice, 1000, &path, (struct pl_bytes){ check.bytes, check.size }, reply, &result),
		PL_DROP_STUN_UNAUTHORIZED);
	assert_null(pl_ice_selected(&ice));
	assert_true(result.reply_size > 0);
	assert_false(pl_ice_check_is_answered(&check, (struct pl_bytes){ reply, result.reply_size }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_check_nominates_and_knows_its_answer),
		cmocka_unit_test(test_a_wrong_password_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
