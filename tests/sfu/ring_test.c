#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <poll.h>
#include <pthread.h>

#include "sfu/io/ring.h"

enum { STRESS_MESSAGES = 200000 };

static bool is_readable(const struct pl_ring *ring)
{
	struct pollfd fd = { .fd = ring->event_fd, .events = POLLIN };
	return poll(&fd, 1, 0) == 1;
}

/* A command that overtook another would mute the wrong track, or join somebody who has left. */
static void test_ring_keeps_order_over_many_wraps(void **state)
{
	(void)state;
	struct pl_ring ring;
	assert_int_equal(pl_ring_init(&ring, 8, sizeof(int)), PL_ERR_NONE);
	int next_out = 0, next_in = 0;
	for (int turn = 0; turn < 1000; turn++) {
		for (int i = 0; i < 1 + turn % 8; i++, next_in++)
			assert_true(pl_ring_push(&ring, &next_in));
		for (int got; pl_ring_pop(&ring, &got);)
			assert_int_equal(got, next_out++);
		assert_int_equal(next_out, next_in);
	}
	pl_ring_fini(&ring);
}

/* A full ring is the caller's to handle: nothing is overwritten and nothing taken. */
static void test_ring_full_takes_nothing(void **state)
{
	(void)state;
	struct pl_ring ring;
	assert_int_equal(pl_ring_init(&ring, 4, sizeof(int)), PL_ERR_NONE);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pl_ring_room(&ring), 4 - i);
		assert_true(pl_ring_push(&ring, &i));
	}
	assert_int_equal(pl_ring_room(&ring), 0);
	assert_false(pl_ring_push(&ring, &(int){ 99 }));

	int got;
	assert_true(pl_ring_pop(&ring, &got));
	assert_int_equal(got, 0);
	assert_true(pl_ring_push(&ring, &(int){ 4 }));
	for (int i = 1; i <= 4; i++) {
		assert_true(pl_ring_pop(&ring, &got));
		assert_int_equal(got, i);
	}
	assert_false(pl_ring_pop(&ring, &got));
	pl_ring_fini(&ring);
}

/* The system call is made only for a reader that may sleep: a busy one is not interrupted, a sleeping one not forgotten. */
static void test_ring_wakes_a_sleeper_and_nobody_else(void **state)
{
	(void)state;
	struct pl_ring ring;
	int got;
	assert_int_equal(pl_ring_init(&ring, 8, sizeof(int)), PL_ERR_NONE);

	assert_true(pl_ring_push(&ring, &(int){ 1 }));
	assert_true(is_readable(&ring)); /* before the reader's first look */
	pl_ring_wake_up(&ring);
	assert_false(is_readable(&ring));

	assert_true(pl_ring_push(&ring, &(int){ 2 }));
	assert_false(is_readable(&ring));           /* awake: it will look by itself */
	assert_false(pl_ring_prepare_sleep(&ring)); /* messages: it must not sleep */
	assert_true(pl_ring_pop(&ring, &got));
	assert_true(pl_ring_pop(&ring, &got));
	assert_int_equal(got, 2);

	assert_true(pl_ring_prepare_sleep(&ring));
	assert_true(pl_ring_push(&ring, &(int){ 3 }));
	assert_true(pl_ring_push(&ring, &(int){ 4 }));
	assert_true(is_readable(&ring));
	pl_ring_fini(&ring);
}

static void *produce(void *argument)
{
	struct pl_ring *ring = argument;
	for (uint64_t i = 0; i < STRESS_MESSAGES;)
		i += pl_ring_push(ring, &i);
	return NULL;
}

/* Two threads, one that sleeps whenever it can: a lost wake-up would hang here until the poll's limit fails the test. */
static void test_ring_no_wake_up_is_lost_between_threads(void **state)
{
	(void)state;
	struct pl_ring ring;
	assert_int_equal(pl_ring_init(&ring, 64, sizeof(uint64_t)), PL_ERR_NONE);
	pthread_t producer;
	assert_int_equal(pthread_create(&producer, NULL, produce, &ring), 0);
	for (uint64_t expected = 0, got; expected < STRESS_MESSAGES;) {
		while (pl_ring_pop(&ring, &got))
			assert_int_equal(got, expected++);
		if (expected == STRESS_MESSAGES || !pl_ring_prepare_sleep(&ring))
			continue;
		struct pollfd fd = { .fd = ring.event_fd, .events = POLLIN };
		assert_int_equal(poll(&fd, 1, 20000), 1);
		pl_ring_wake_up(&ring);
	}
	pthread_join(producer, NULL);
	pl_ring_fini(&ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ring_keeps_order_over_many_wraps),
		cmocka_unit_test(test_ring_full_takes_nothing),
		cmocka_unit_test(test_ring_wakes_a_sleeper_and_nobody_else),
		cmocka_unit_test(test_ring_no_wake_up_is_lost_between_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
