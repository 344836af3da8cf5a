/* sfu/egress: what follows each other to one peer in equal sizes is one train, and nothing else is. */
#include "sfu/egress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct pl_path ann = { .remote = { .port = 1 } }, bob = { .remote = { .port = 2 } };

static struct pl_egress *make(bool has_trains)
{
	struct pl_egress *egress = aligned_alloc(64, sizeof *egress);
	assert_non_null(egress);
	pl_egress_init(egress, has_trains);
	return egress;
}

static void push(struct pl_egress *egress, const struct pl_path *path, size_t size)
{
	memset(pl_egress_room(egress).data, (int)size, size);
	pl_egress_push(egress, path, size);
}

static void test_trains(void **state)
{
	(void)state;
	static const struct {
		const struct pl_path *path;
		size_t size;
	} pushes[] = {
		{ &ann, 100 }, { &ann, 100 }, { &ann, 100 }, /* equal sizes */
		{ &ann, 60 },                                /* a shorter one is the last */
		{ &ann, 60 },                                /* so this begins another */
		{ &ann, 61 },                                /* a longer one never fits behind */
		{ &bob, 61 },                                /* another peer */
		{ &ann, 61 },                                /* order is kept: no train over somebody else's */
	};
	static const struct {
		uint32_t size;
		uint16_t segment, count;
	} trains[] = { { 360, 100, 4 }, { 60, 60, 1 }, { 61, 61, 1 }, { 61, 61, 1 }, { 61, 61, 1 } };
	struct pl_egress *egress = make(true);
	for (size_t i = 0; i < PL_COUNT(pushes); i++)
		push(egress, pushes[i].path, pushes[i].size);
	assert_int_equal(egress->count, PL_COUNT(trains));
	uint32_t offset = 0;
	for (size_t i = 0; i < PL_COUNT(trains); i++) {
		assert_int_equal(egress->train[i].offset, offset);
		assert_int_equal(egress->train[i].size, trains[i].size);
		assert_int_equal(egress->train[i].segment, trains[i].segment);
		assert_int_equal(egress->train[i].count, trains[i].count);
		offset += trains[i].size;
	}
	assert_int_equal(egress->arena[359], 60);
	free(egress);
}

/* The kernel's bounds: 64 datagrams, and less than 64 KiB. */
static void test_trains_are_bounded(void **state)
{
	(void)state;
	struct pl_egress *egress = make(true);
	for (int i = 0; i < PL_EGRESS_SEGMENTS_MAX + 1; i++)
		push(egress, &ann, 10);
	assert_int_equal(egress->count, 2);
	assert_int_equal(egress->train[0].count, PL_EGRESS_SEGMENTS_MAX);
	pl_egress_clear(egress);
	for (int i = 0; i < 60; i++)
		push(egress, &ann, 1200);
	assert_int_equal(egress->train[0].count, PL_EGRESS_TRAIN_BYTES_MAX / 1200);
	free(egress);
}

static void test_without_trains_each_is_a_message(void **state)
{
	(void)state;
	struct pl_egress *egress = make(false);
	for (int i = 0; i < PL_EGRESS_TRAINS_MAX; i++) {
		assert_false(pl_egress_is_full(egress));
		push(egress, &ann, 10);
	}
	assert_int_equal(egress->count, PL_EGRESS_TRAINS_MAX);
	assert_true(pl_egress_is_full(egress));
	free(egress);
}

/* The largest datagrams fill the arena to its end and never over it. */
static void test_arena_is_bounded(void **state)
{
	(void)state;
	struct pl_egress *egress = make(true);
	size_t bytes = 0;
	while (!pl_egress_is_full(egress)) {
		push(egress, &ann, PL_EGRESS_DATAGRAM_MAX);
		bytes += PL_EGRESS_DATAGRAM_MAX;
	}
	assert_int_equal(egress->used, bytes);
	assert_true(bytes <= PL_EGRESS_ARENA_BYTES);
	assert_true(bytes + PL_EGRESS_DATAGRAM_MAX > PL_EGRESS_ARENA_BYTES);
	free(egress);
}

/* Datagrams that are encrypted together: one that came to nothing leaves a hole, and a train never lies over it. */
static void test_reserved_and_committed(void **state)
{
	(void)state;
	struct pl_egress *egress = make(true);
	struct pl_span room[5];
	for (uint32_t i = 0; i < PL_COUNT(room); i++) {
		assert_false(pl_egress_is_full_with(egress, i));
		room[i] = pl_egress_reserve(egress, 100, i);
		assert_ptr_equal(room[i].data, egress->arena + 100 * i);
	}
	for (size_t i = 0; i < PL_COUNT(room); i++) {
		if (i != 2)
			pl_egress_commit(egress, &ann, room[i]);
	}
	assert_int_equal(egress->count, 2);
	assert_int_equal(egress->train[0].count, 2);
	assert_int_equal(egress->train[1].count, 2);
	assert_int_equal(egress->train[1].offset, 300);
	push(egress, &ann, 100); /* goes on behind */
	assert_int_equal(egress->train[1].count, 3);
	assert_true(pl_egress_is_full_with(egress, PL_EGRESS_TRAINS_MAX - 2));
	free(egress);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trains),
		cmocka_unit_test(test_trains_are_bounded),
		cmocka_unit_test(test_without_trains_each_is_a_message),
		cmocka_unit_test(test_arena_is_bounded),
		cmocka_unit_test(test_reserved_and_committed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
