#include "signaling/front_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Keys that fall into one bucket, and even onto one hash, are all found, and taking one out loses none of the others. */
static void test_table_keeps_what_collides(void **state)
{
	(void)state;
	enum { COUNT = 24, HASHES = 3 };
	struct pl_front_table table;
	struct pl_front_node node[COUNT] = { { .next = NULL } };
	assert_true(pl_front_table_init(&table, 1, 7));
	for (size_t i = 0; i < COUNT; i++)
		pl_front_table_insert(&table, &node[i], i % HASHES * (table.mask + 1), &node[i]);
	for (size_t removed = 0; removed <= COUNT; removed++) {
		unsigned seen = 0;
		for (uint64_t hash = 0; hash < HASHES; hash++) {
			struct pl_front_node *at = pl_front_table_first(&table, hash * (table.mask + 1));
			for (; at != NULL; at = pl_front_table_next(at)) {
				const size_t i = (size_t)(at - node);
				assert_ptr_equal(at->owner, at);
				assert_int_equal(i % HASHES, hash);
				assert_int_equal(seen & 1u << i, 0);
				seen |= 1u << i;
			}
		}
		/* Out of order, so that first, middle and last of a bucket go. */
		unsigned expected = 0;
		for (size_t i = 0; i < COUNT; i++)
			expected |= node[i].owner != NULL ? 1u << i : 0;
		assert_int_equal(seen, expected);
		assert_int_equal(__builtin_popcount(seen), COUNT - removed);
		if (removed < COUNT)
			pl_front_table_remove(&table, &node[removed * 7 % COUNT]);
	}
	pl_front_table_remove(&table, &node[0]); /* twice is nothing */
	pl_front_table_fini(&table);
}

/* Whoever knows the code, but not the seed, cannot choose names that all meet in one bucket. */
static void test_table_hash_depends_on_seed_length_and_every_byte(void **state)
{
	(void)state;
	struct pl_front_table one, other;
	assert_true(pl_front_table_init(&one, 1000, 1));
	assert_true(pl_front_table_init(&other, 1000, 2));
	uint8_t key[24] = { 0 };
	for (size_t size = 0; size <= sizeof key; size++) {
		const struct pl_bytes bytes = { key, size };
		const uint64_t hash = pl_front_table_hash(&one, bytes);
		assert_true(hash == pl_front_table_hash(&one, bytes));
		assert_true(hash != pl_front_table_hash(&other, bytes));
		if (size > 0)
			assert_true(hash != pl_front_table_hash(&one, (struct pl_bytes){ key, size - 1 }));
		for (size_t i = 0; i < size; i++) {
			key[i] ^= 1;
			assert_true(hash != pl_front_table_hash(&one, bytes));
			key[i] ^= 1;
		}
	}
	pl_front_table_fini(&one);
	pl_front_table_fini(&other);
}

/* Deadlines are looked for at the head, so a list keeps the order in which things came. */
static void test_list_keeps_order(void **state)
{
	(void)state;
	struct pl_front_link head, link[3] = { { .next = NULL } };
	int owner[3];
	pl_front_list_init(&head);
	assert_null(pl_front_list_first(&head));
	for (size_t i = 0; i < 3; i++)
		pl_front_list_push(&head, &link[i], &owner[i]);
	pl_front_list_remove(&link[1]);
	pl_front_list_remove(&link[1]);
	assert_ptr_equal(pl_front_list_first(&head), &owner[0]);
	pl_front_list_push(&head, &link[1], &owner[1]);
	pl_front_list_remove(&link[0]);
	assert_ptr_equal(pl_front_list_first(&head), &owner[2]);
	pl_front_list_remove(&link[2]);
	assert_ptr_equal(pl_front_list_first(&head), &owner[1]);
	pl_front_list_remove(&link[1]);
	assert_null(pl_front_list_first(&head));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_keeps_what_collides),
		cmocka_unit_test(test_table_hash_depends_on_seed_length_and_every_byte),
		cmocka_unit_test(test_list_keeps_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
