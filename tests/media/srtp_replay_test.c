#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "media/rng.h"
#include "media/srtp_replay.h"

/* The index of a packet is the one that RFC 3711 appendix A finds; written here with its words. */
static uint64_t appendix_a(uint32_t roc, uint16_t s_l, uint16_t seq)
{
	uint32_t v = roc;
	if (s_l < 32768) {
		if ((int)seq - (int)s_l > 32768)
			v = roc - 1;
	} else if ((int)s_l - 32768 > (int)seq) {
		v = roc + 1;
	}
	return (uint64_t)v << 16 | seq;
}

static void test_index_is_that_of_the_rfc(void **state)
{
	(void)state;
	static const uint16_t edge[] = { 0, 1, 2, 32766, 32767, 32768, 32769, 32770, 65534, 65535 };
	for (uint32_t roc = 1; roc < 4; roc++)
		for (size_t i = 0; i < PL_COUNT(edge); i++)
			for (uint32_t seq = 0; seq < 65536; seq++)
				assert_int_equal(pl_srtp_index_of((uint64_t)roc << 16 | edge[i], (uint16_t)seq),
					appendix_a(roc, edge[i], (uint16_t)seq));
}

/* Before the first round is half over there is no round before it: nothing wraps below zero. */
static void test_index_never_leaves_the_first_round_backwards(void **state)
{
	(void)state;
	assert_int_equal(pl_srtp_index_of(0, 65535), 65535);
	assert_int_equal(pl_srtp_index_of(5, 65535), 65535);
	assert_int_equal(pl_srtp_index_of(32768, 65535), 65535);
	assert_int_equal(pl_srtp_index_of(32768, 0), 0);
	assert_int_equal(pl_srtp_index_of(32769, 0), 65536);
	assert_int_equal(pl_srtp_index_of(65535, 0), 65536);
}

/* Behind the last number there is none that could be sent: the caller sees it. */
static void test_index_shows_its_end(void **state)
{
	(void)state;
	const uint64_t end = (UINT64_C(1) << PL_SRTP_INDEX_BITS) - 1;
	assert_int_equal(pl_srtp_index_of(end - 1, 0xffff), end);
	assert_int_equal(pl_srtp_index_of(end, 0) >> PL_SRTP_INDEX_BITS, 1);
}

/* The window beside a list of everything that was ever taken. */
static void test_window_is_a_list_of_all_that_was_seen(void **state)
{
	(void)state;
	enum { RANGE = 20000, WINDOW = 128 };
	static const uint32_t jump[] = { 1, 1, 1, 2, 3, 60, WINDOW - 1, WINDOW, WINDOW + 1, 5 * WINDOW };
	for (uint64_t seed = 1; seed <= 20; seed++) {
		static bool was_taken[RANGE];
		uint64_t seen[WINDOW / 64] = { 0 }, last = 0;
		struct pl_rng rng;
		size_t taken = 0, refused = 0;
		pl_rng_init(&rng, seed);
		memset(was_taken, 0, sizeof was_taken);
		for (;;) {
			uint64_t index = last + jump[pl_rng_below(&rng, PL_COUNT(jump))];
			if (pl_rng_below(&rng, 2) == 0)
				index = last - (last < 3 * WINDOW ? 0 : pl_rng_below(&rng, 2 * WINDOW));
			if (index >= RANGE)
				break;
			const bool is_fresh = index > last || (last - index < WINDOW && !was_taken[index]);
			assert_int_equal(pl_srtp_replay_is_fresh(seen, WINDOW, last, index), is_fresh);
			refused += !is_fresh;
			if (!is_fresh)
				continue;
			taken++;
			was_taken[index] = true;
			const uint64_t newest = pl_srtp_replay_add(seen, WINDOW, last, index);
			assert_int_equal(newest, index > last ? index : last);
			last = newest;
		}
		assert_true(taken > 50 && refused > 50);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_index_is_that_of_the_rfc),
		cmocka_unit_test(test_index_never_leaves_the_first_round_backwards),
		cmocka_unit_test(test_index_shows_its_end),
		cmocka_unit_test(test_window_is_a_list_of_all_that_was_seen),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
