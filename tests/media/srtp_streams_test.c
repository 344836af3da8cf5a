#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "media/srtp_streams.h"

/* Takes packet seq of an SSRC, as a session does. */
static bool take(struct pl_srtp_streams *streams, uint32_t ssrc, uint16_t seq)
{
	struct pl_srtp_stream *stream = pl_srtp_streams_find(streams, ssrc);
	uint64_t index;
	if (!pl_srtp_streams_index(streams, stream, seq, &index))
		return false;
	if (stream == NULL)
		stream = pl_srtp_streams_add(streams, ssrc);
	assert_non_null(stream);
	pl_srtp_streams_note(streams, stream, index);
	return true;
}

/* Every place can be used, any SSRC (0, too), and no two are mixed up. */
static void test_streams_have_their_own_numbers(void **state)
{
	(void)state;
	static struct pl_srtp_streams streams;
	memset(&streams, 0, sizeof streams);
	assert_null(pl_srtp_streams_find(&streams, 0));
	for (uint32_t i = 0; i < PL_SRTP_SSRCS_MAX; i++)
		assert_true(take(&streams, i, (uint16_t)(100 * i)));
	assert_null(pl_srtp_streams_add(&streams, 1000));
	for (uint32_t i = 0; i < PL_SRTP_SSRCS_MAX; i++) {
		assert_int_equal(pl_srtp_streams_find(&streams, i)->last, 100 * i);
		assert_false(take(&streams, i, (uint16_t)(100 * i)));
		assert_true(take(&streams, i, (uint16_t)(100 * i + 1)));
	}
	assert_null(pl_srtp_streams_find(&streams, PL_SRTP_SSRCS_MAX));
}

/* A stream that was only heard of by RTCP may begin with any number, and 0 is one. */
static void test_streams_begin_anywhere(void **state)
{
	(void)state;
	static struct pl_srtp_streams streams;
	static const uint16_t first[] = { 0, 1, 32767, 32768, 65535 };
	for (size_t i = 0; i < PL_COUNT(first); i++) {
		memset(&streams, 0, sizeof streams);
		assert_non_null(pl_srtp_streams_add(&streams, 7));
		assert_true(take(&streams, 7, first[i]));
		assert_false(take(&streams, 7, first[i]));
		assert_true(take(&streams, 7, (uint16_t)(first[i] + 1)));
	}
}

/* One stream too many takes the window of the quietest: that one loses no packet that comes in order, takes none twice,
 * and has a window again when another one has fallen silent. */
static void test_streams_share_their_windows(void **state)
{
	(void)state;
	static struct pl_srtp_streams streams;
	memset(&streams, 0, sizeof streams);
	for (uint16_t i = 0; i < PL_SRTP_WINDOWS; i++)
		assert_true(take(&streams, i, 1000));
	assert_true(take(&streams, 0, 1002)); /* now 1 is the quietest */
	assert_true(take(&streams, 1000, 50));

	assert_true(take(&streams, 0, 1001)); /* late, and welcome */
	assert_true(take(&streams, 1, 1002));
	assert_false(take(&streams, 1, 1001)); /* late, without a window */
	assert_false(take(&streams, 1, 1002));
	assert_true(take(&streams, 1, 1003));
	assert_true(take(&streams, 1, 1010));

	/* All but 2 and 1 go on talking. */
	for (uint16_t n = 0; n < PL_SRTP_REPLAY_WINDOW; n++) {
		for (uint16_t i = 3; i < PL_SRTP_WINDOWS; i++)
			assert_true(take(&streams, i, (uint16_t)(1001 + n)));
		assert_true(take(&streams, 0, (uint16_t)(1003 + n)));
		assert_true(take(&streams, 1000, (uint16_t)(51 + n)));
	}
	assert_true(take(&streams, 1, 1020));
	assert_true(take(&streams, 1, 1015)); /* it has 2's window now */
	assert_false(take(&streams, 1, 1015));
	assert_false(take(&streams, 1, 1002)); /* nothing of before is taken again */
	assert_false(take(&streams, 1, 1005));
	assert_false(take(&streams, 2, 999));
	assert_true(take(&streams, 2, 1001));
}

/* The last number under a key is the last packet. */
static void test_streams_end_with_their_numbers(void **state)
{
	(void)state;
	static struct pl_srtp_streams streams;
	memset(&streams, 0, sizeof streams);
	assert_true(take(&streams, 1, 1));
	pl_srtp_streams_find(&streams, 1)->last = (UINT64_C(1) << PL_SRTP_INDEX_BITS) - 10;
	assert_true(take(&streams, 1, 0xfff7));
	assert_true(take(&streams, 1, 0xffff));
	assert_false(take(&streams, 1, 0));
	assert_false(take(&streams, 1, 100));
	assert_true(take(&streams, 1, 0xfffe)); /* late ones still are */
	assert_false(take(&streams, 1, 0xffff));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_streams_have_their_own_numbers),
		cmocka_unit_test(test_streams_begin_anywhere),
		cmocka_unit_test(test_streams_share_their_windows),
		cmocka_unit_test(test_streams_end_with_their_numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
