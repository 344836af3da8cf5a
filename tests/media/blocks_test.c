/* media/blocks: a bounded pool that touches no more memory than was ever in use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "media/blocks.h"

enum { SIZE = 100, ROUNDED = 128, COUNT = 8 };

struct world {
	struct pl_blocks blocks;
	uint8_t *memory;
};

static int begin(void **state)
{
	static struct world w;
	assert_int_equal(pl_blocks_bytes(SIZE, COUNT), ROUNDED * COUNT);
	w.memory = aligned_alloc(PL_BLOCKS_ALIGN, ROUNDED * COUNT);
	assert_non_null(w.memory);
	memset(w.memory, 0x5a, ROUNDED * COUNT);
	pl_blocks_init(&w.blocks, (struct pl_span){ w.memory, ROUNDED * COUNT }, SIZE, COUNT);
	*state = &w;
	return 0;
}

static int end(void **state)
{
	free(((struct world *)*state)->memory);
	return 0;
}

static void test_blocks_are_apart_and_bounded(void **state)
{
	struct world *w = *state;
	uint8_t *block[COUNT];
	for (int i = 0; i < COUNT; i++) {
		block[i] = pl_blocks_acquire(&w->blocks);
		assert_non_null(block[i]);
		assert_int_equal((uintptr_t)block[i] % PL_BLOCKS_ALIGN, 0);
		memset(block[i], i, ROUNDED);
	}
	for (int i = 0; i < COUNT; i++)
		for (int k = 0; k < ROUNDED; k++)
			assert_int_equal(block[i][k], i);
	assert_null(pl_blocks_acquire(&w->blocks));
	assert_int_equal(w->blocks.denied, 1);
	assert_int_equal(w->blocks.used, COUNT);
	pl_blocks_release(&w->blocks, block[3]);
	assert_ptr_equal(pl_blocks_acquire(&w->blocks), block[3]);
	assert_int_equal(w->blocks.most, COUNT);
}

/* The block that comes next is the one that is in the cache. */
static void test_last_in_first_out(void **state)
{
	struct world *w = *state;
	void *first = pl_blocks_acquire(&w->blocks), *second = pl_blocks_acquire(&w->blocks);
	pl_blocks_release(&w->blocks, first);
	pl_blocks_release(&w->blocks, second);
	assert_ptr_equal(pl_blocks_acquire(&w->blocks), second);
	assert_ptr_equal(pl_blocks_acquire(&w->blocks), first);
}

/* A worker's pools are sized for the worst; what was never needed must not become resident memory. */
static void test_unused_blocks_are_never_touched(void **state)
{
	struct world *w = *state;
	for (int i = 0; i < 1000; i++) {
		void *a = pl_blocks_acquire(&w->blocks), *b = pl_blocks_acquire(&w->blocks);
		memset(a, 0, ROUNDED);
		pl_blocks_release(&w->blocks, i % 2 == 0 ? a : b);
		pl_blocks_release(&w->blocks, i % 2 == 0 ? b : a);
	}
	for (int i = 2 * ROUNDED; i < COUNT * ROUNDED; i++)
		assert_int_equal(w->memory[i], 0x5a);
	assert_int_equal(w->blocks.used, 0);
	assert_int_equal(w->blocks.most, 2);
}

static void test_a_pool_of_none_denies(void **state)
{
	(void)state;
	struct pl_blocks blocks;
	_Alignas(PL_BLOCKS_ALIGN) uint8_t nothing[1];
	pl_blocks_init(&blocks, (struct pl_span){ nothing, 0 }, SIZE, 0);
	assert_null(pl_blocks_acquire(&blocks));
	assert_int_equal(blocks.denied, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_blocks_are_apart_and_bounded, begin, end),
		cmocka_unit_test_setup_teardown(test_last_in_first_out, begin, end),
		cmocka_unit_test_setup_teardown(test_unused_blocks_are_never_touched, begin, end),
		cmocka_unit_test(test_a_pool_of_none_denies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
