#include "sfu/queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* First come, first served, and each waits once: an event that is noted twice is told once. */
static void test_queue_serves_in_order_and_once(void **state)
{
	(void)state;
	struct pl_queue queue = { 0 };
	struct pl_queue_node node[3] = { 0 };
	int owner[3];
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 3; i++)
			pl_queue_push(&queue, &node[i], &owner[i]);
	}
	for (int i = 0; i < 3; i++) {
		assert_ptr_equal(pl_queue_first(&queue), &owner[i]);
		pl_queue_remove(&queue, &node[i]);
	}
	assert_null(pl_queue_first(&queue));
}

/* Whoever leaves while waiting leaves no hole, wherever it stood; and leaving twice is nothing. */
static void test_queue_closes_up_when_one_leaves(void **state)
{
	(void)state;
	for (int leaver = 0; leaver < 3; leaver++) {
		struct pl_queue queue = { 0 };
		struct pl_queue_node node[4] = { 0 };
		int owner[4];
		for (int i = 0; i < 3; i++)
			pl_queue_push(&queue, &node[i], &owner[i]);
		pl_queue_remove(&queue, &node[leaver]);
		pl_queue_remove(&queue, &node[leaver]);
		pl_queue_push(&queue, &node[3], &owner[3]);
		for (int i = 0; i < 4; i++) {
			if (i == leaver)
				continue;
			assert_ptr_equal(pl_queue_first(&queue), &owner[i]);
			pl_queue_remove(&queue, &node[i]);
		}
		assert_null(pl_queue_first(&queue));
		assert_null(queue.tail);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_queue_serves_in_order_and_once),
		cmocka_unit_test(test_queue_closes_up_when_one_leaves),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
