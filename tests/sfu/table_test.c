#include "sfu/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { COUNT = 200 };

static uint64_t hash_of(uint32_t key)
{
	return pl_table_hash((struct pl_bytes){ (const uint8_t *)&key, sizeof key }, 7);
}

/* Whoever is in is found, whoever was removed is not: also behind others in the same bucket. */
static void test_table_finds_what_is_in_and_nothing_else(void **state)
{
	(void)state;
	struct pl_table_node *bucket[8] = { NULL }; /* far fewer buckets than nodes */
	struct pl_table_node node[COUNT] = { 0 };
	struct pl_table table;
	pl_table_init(&table, bucket, PL_COUNT(bucket));
	for (uint32_t i = 0; i < COUNT; i++)
		pl_table_insert(&table, &node[i], hash_of(i), &node[i]);
	for (uint32_t i = 0; i < COUNT; i += 2)
		pl_table_remove(&table, &node[i]);
	for (uint32_t i = 0; i < COUNT; i++)
		assert_ptr_equal(pl_table_first(&table, hash_of(i)), i % 2 == 0 ? NULL : &node[i]);
}

/* Two keys of one hash are both found: a collision hides nobody. */
static void test_table_walks_all_nodes_of_one_hash(void **state)
{
	(void)state;
	struct pl_table_node *bucket[8] = { NULL };
	struct pl_table_node a = { 0 }, b = { 0 }, other = { 0 };
	struct pl_table table;
	pl_table_init(&table, bucket, PL_COUNT(bucket));
	pl_table_insert(&table, &a, 3, &a);
	pl_table_insert(&table, &other, 3 + 8, &other);
	pl_table_insert(&table, &b, 3, &b);
	assert_ptr_equal(pl_table_first(&table, 3), &b);
	assert_ptr_equal(pl_table_next(&b), &a);
	assert_null(pl_table_next(&a));
	pl_table_remove(&table, &a);
	pl_table_remove(&table, &a);
	assert_null(pl_table_next(&b));
}

/* Keys that differ in a bit land in different buckets mostly, and the seed decides in which: nobody can aim. */
static void test_table_hash_spreads_and_depends_on_the_seed(void **state)
{
	(void)state;
	uint32_t used[256] = { 0 }, moved = 0, filled = 0;
	for (uint32_t key = 0; key < 256; key++) {
		const struct pl_bytes bytes = { (const uint8_t *)&key, sizeof key };
		used[pl_table_hash(bytes, 1) & 255]++;
		moved += (pl_table_hash(bytes, 1) & 255) != (pl_table_hash(bytes, 2) & 255);
	}
	for (int i = 0; i < 256; i++) {
		filled += used[i] > 0;
		assert_in_range(used[i], 0, 8);
	}
	assert_in_range(filled, 120, 256); /* at random: 162 */
	assert_in_range(moved, 240, 256);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_finds_what_is_in_and_nothing_else),
		cmocka_unit_test(test_table_walks_all_nodes_of_one_hash),
		cmocka_unit_test(test_table_hash_spreads_and_depends_on_the_seed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
