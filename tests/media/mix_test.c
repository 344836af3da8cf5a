/* Whom a packet of the mix is for: a talker who heard the shared stream would hear itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "media/mix.h"

static void test_a_packet_says_whom_it_is_for(void **state)
{
	(void)state;
	enum { ALICE = 7, BOB = 8, CAROL = 9 };
	static const struct {
		struct pl_mix mix;
		bool alice, bob, carol;
	} of[] = {
		{ { .only = 0 }, true, true, true },
		{ { .only = BOB }, false, true, false },
		{ { .except_count = 1, .except = { BOB } }, true, false, true },
		{ { .except_count = 2, .except = { BOB, ALICE } }, false, false, true },
		{ { .except_count = 0, .except = { BOB } }, true, true, true }, /* left over from another packet */
		{ { .csrc_count = 2, .csrc = { ALICE, CAROL } }, false, true,
			false }, /* its own voice is no one's to hear */
		{ { .only = BOB, .csrc_count = 1, .csrc = { ALICE } }, false, true, false },
		{ { .only = BOB, .except_count = 1, .except = { BOB } }, false, true, false },
	};
	for (size_t i = 0; i < PL_COUNT(of); i++) {
		assert_int_equal(pl_mix_is_for(&of[i].mix, ALICE), of[i].alice);
		assert_int_equal(pl_mix_is_for(&of[i].mix, BOB), of[i].bob);
		assert_int_equal(pl_mix_is_for(&of[i].mix, CAROL), of[i].carol);
	}
}

static void test_streams_have_ids_that_no_track_has(void **state)
{
	(void)state;
	for (int group = 0; group < PL_MIX_GROUPS; group++) {
		assert_true(PL_MIX_IS_TRACK(PL_MIX_TRACK(group)));
		for (int other = 0; other < group; other++)
			assert_int_not_equal(PL_MIX_TRACK(group), PL_MIX_TRACK(other));
	}
	assert_false(PL_MIX_IS_TRACK(0));
	assert_false(PL_MIX_IS_TRACK(PL_MIX_TRACK(0) - 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_packet_says_whom_it_is_for),
		cmocka_unit_test(test_streams_have_ids_that_no_track_has),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
