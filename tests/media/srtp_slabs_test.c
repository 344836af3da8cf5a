/* The memory of SRTP sessions: no two share a byte, and what one gives back is the next one's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "media/srtp_slabs.h"

enum { BLOCKS = 5 * PL_SRTP_SLAB_BLOCKS + 3, SIZE = 192 };

static void test_srtp_slabs_blocks_do_not_touch(void **state)
{
	(void)state;
	struct pl_srtp_slabs slabs = { 0 };
	static uint8_t *block[PL_SRTP_SLAB_KINDS][BLOCKS];
	for (size_t i = 0; i < BLOCKS; i++)
		for (size_t kind = 0; kind < PL_SRTP_SLAB_KINDS; kind++) {
			block[kind][i] = pl_srtp_slabs_take(&slabs, kind, (kind + 1) * SIZE);
			assert_non_null(block[kind][i]);
			assert_int_equal((uintptr_t)block[kind][i] % PL_SRTP_SLAB_ALIGN, 0);
			memset(block[kind][i], (int)(2 * i + kind), (kind + 1) * SIZE);
		}
	for (size_t i = 0; i < BLOCKS; i++)
		for (size_t kind = 0; kind < PL_SRTP_SLAB_KINDS; kind++)
			for (size_t at = 0; at < (kind + 1) * SIZE; at++)
				assert_int_equal(block[kind][i][at], 2 * i + kind);
	pl_srtp_slabs_fini(&slabs);
	assert_null(slabs.all);
}

/* However many come and go, memory is what the busiest moment needed. */
static void test_srtp_slabs_take_what_was_given(void **state)
{
	(void)state;
	struct pl_srtp_slabs slabs = { 0 };
	void *first[PL_SRTP_SLAB_BLOCKS];
	for (size_t i = 0; i < PL_SRTP_SLAB_BLOCKS; i++)
		first[i] = pl_srtp_slabs_take(&slabs, 1, SIZE);
	const struct pl_srtp_slab *slab = slabs.all;
	for (int round = 0; round < 1000; round++) {
		const size_t i = (size_t)round * 7 % PL_SRTP_SLAB_BLOCKS;
		pl_srtp_slabs_give(&slabs, 1, first[i]);
		assert_ptr_equal(pl_srtp_slabs_take(&slabs, 1, SIZE), first[i]);
		assert_ptr_equal(slabs.all, slab);
	}
	void *next = pl_srtp_slabs_take(&slabs, 1, SIZE);
	assert_ptr_not_equal(slabs.all, slab); /* the first was full */
	pl_srtp_slabs_give(&slabs, 1, next);
	assert_ptr_not_equal(pl_srtp_slabs_take(&slabs, 0, SIZE), next); /* each kind has its own */
	pl_srtp_slabs_fini(&slabs);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_srtp_slabs_blocks_do_not_touch),
		cmocka_unit_test(test_srtp_slabs_take_what_was_given),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
