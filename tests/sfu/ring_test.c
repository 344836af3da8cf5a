#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "sfu/io/ring.h"

enum { STRESS_MESSAGES = 200000, PRODUCERS = 5, MADE = 2000 };

static struct pl_waker waker;
static uint64_t messages_each; /* that a producer of the stress sends */

static int start(void **state)
{
	(void)state;
	return pl_waker_init(&waker) == PL_ERR_NONE ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	pl_waker_fini(&waker);
	return 0;
}

static bool is_readable(void)
{
	struct pollfd fd = { .fd = waker.event_fd, .events = POLLIN };
	return poll(&fd, 1, 0) == 1;
}

/* A command that overtook another would mute the wrong track, or join somebody who has left. */
static void test_ring_keeps_order_over_many_wraps(void **state)
{
	(void)state;
	struct pl_ring ring;
	assert_int_equal(pl_ring_init(&ring, &waker, 8, sizeof(int)), PL_ERR_NONE);
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

/* An operator who reads how full a ring is reads what waits in it, not what its producer remembers of the consumer. */
static void test_ring_used_is_exact(void **state)
{
	(void)state;
	enum { CAPACITY = 16 };
	struct pl_ring ring;
	assert_int_equal(pl_ring_init(&ring, &waker, CAPACITY, sizeof(int)), PL_ERR_NONE);
	for (int i = 0; i < 3 * CAPACITY; i++) {
		int got;
		assert_int_equal(pl_ring_used(&ring), 0);
		assert_true(pl_ring_push(&ring, &i));
		assert_int_equal(pl_ring_used(&ring), 1);
		assert_true(pl_ring_pop(&ring, &got));
	}
	for (int i = 0; i < CAPACITY; i++)
		assert_true(pl_ring_push(&ring, &i));
	assert_int_equal(pl_ring_used(&ring), CAPACITY);
	pl_ring_fini(&ring);
}

/* A full ring is the caller's to handle: nothing is overwritten and nothing taken. */
static void test_ring_full_takes_nothing(void **state)
{
	(void)state;
	struct pl_ring ring;
	assert_int_equal(pl_ring_init(&ring, &waker, 4, sizeof(int)), PL_ERR_NONE);
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
	assert_int_equal(pl_ring_init(&ring, &waker, 8, sizeof(int)), PL_ERR_NONE);

	assert_true(pl_ring_push(&ring, &(int){ 1 }));
	assert_true(is_readable()); /* before the reader's first look */
	pl_waker_wake_up(&waker);
	assert_false(is_readable());

	assert_true(pl_ring_push(&ring, &(int){ 2 }));
	assert_false(is_readable());                  /* awake: it will look by itself */
	assert_false(pl_waker_prepare_sleep(&waker)); /* messages: it must not sleep */
	assert_true(pl_ring_pop(&ring, &got));
	assert_true(pl_ring_pop(&ring, &got));
	assert_int_equal(got, 2);

	assert_true(pl_waker_prepare_sleep(&waker));
	assert_true(pl_ring_push(&ring, &(int){ 3 }));
	assert_true(pl_ring_push(&ring, &(int){ 4 }));
	assert_true(is_readable());
	pl_waker_wake_up(&waker);
	assert_false(is_readable());

	/* After a wait that ended without a message it is awake as well, without having read. */
	while (pl_ring_pop(&ring, &got))
		;
	assert_true(pl_waker_prepare_sleep(&waker));
	pl_waker_stay_awake(&waker);
	assert_true(pl_ring_push(&ring, &(int){ 5 }));
	assert_false(is_readable());
	pl_ring_fini(&ring);
}

/* How many wake-ups were written since the last look; it takes them. */
static uint64_t wake_ups(void)
{
	uint64_t count = 0;
	return read(waker.event_fd, &count, sizeof count) == sizeof count ? count : 0;
}

/* Many producers, one sleeper: the first message wakes it, those after it make no system call, and whichever ring has a
 * message keeps it from sleeping, until all are empty. */
static void test_ring_many_share_one_waker(void **state)
{
	(void)state;
	struct pl_ring ring[PRODUCERS];
	int got;
	for (int i = 0; i < PRODUCERS; i++)
		assert_int_equal(pl_ring_init(&ring[i], &waker, 8, sizeof(int)), PL_ERR_NONE);
	assert_true(pl_waker_prepare_sleep(&waker));
	for (int i = 0; i < PRODUCERS; i++)
		assert_true(pl_ring_push(&ring[i], &i));
	assert_int_equal(wake_ups(), 1);
	pl_waker_wake_up(&waker);

	for (int i = 0; i < PRODUCERS; i++) {
		assert_false(pl_waker_prepare_sleep(&waker));
		assert_true(pl_ring_push(&ring[i], &i)); /* refused to sleep: it is awake */
		assert_int_equal(wake_ups(), 0);
		for (int message = 0; message < 2; message++) {
			assert_true(pl_ring_pop(&ring[i], &got));
			assert_int_equal(got, i);
		}
		assert_false(pl_ring_pop(&ring[i], &got));
	}
	assert_true(pl_waker_prepare_sleep(&waker));

	/* A ring that has gone is not looked at; those that were before and after it in the list are. */
	pl_ring_fini(&ring[2]);
	for (int i = 0; i < PRODUCERS; i += i == 1 ? 2 : 1) {
		assert_true(pl_ring_push(&ring[i], &i));
		assert_int_equal(wake_ups(), 1);
		assert_false(pl_waker_prepare_sleep(&waker));
		assert_true(pl_ring_pop(&ring[i], &got));
		assert_true(pl_waker_prepare_sleep(&waker));
		pl_ring_fini(&ring[i]);
	}
}

/* What the producer may believe is never more than what there is, and exact where it matters. */
static void test_ring_room_is_never_overstated(void **state)
{
	(void)state;
	struct pl_ring ring;
	assert_int_equal(pl_ring_init(&ring, &waker, 8, sizeof(int)), PL_ERR_NONE);
	size_t waiting = 0;
	for (int turn = 0; turn < 5000; turn++) {
		for (int i = 0; i < turn % 9 && waiting < 8; i++, waiting++)
			assert_true(pl_ring_push(&ring, &i));
		const size_t room = pl_ring_room(&ring);
		assert_true(room <= 8 - waiting && room >= (8 - waiting < 4 ? 8 - waiting : 4));
		for (int i = 0, got; i < turn % 7 && pl_ring_pop(&ring, &got); i++)
			waiting--;
	}
	pl_ring_fini(&ring);
}

static void *produce(void *argument)
{
	struct pl_ring *ring = argument;
	for (uint64_t i = 0; i < messages_each;)
		i += pl_ring_push(ring, &i);
	return NULL;
}

/* Two threads, one that sleeps whenever it can: a lost wake-up would hang here until the poll's limit fails the test. */
static void test_ring_no_wake_up_is_lost_between_threads(void **state)
{
	(void)state;
	struct pl_ring ring;
	assert_int_equal(pl_ring_init(&ring, &waker, 64, sizeof(uint64_t)), PL_ERR_NONE);
	pthread_t producer;
	messages_each = STRESS_MESSAGES;
	assert_int_equal(pthread_create(&producer, NULL, produce, &ring), 0);
	for (uint64_t expected = 0, got; expected < STRESS_MESSAGES;) {
		while (pl_ring_pop(&ring, &got))
			assert_int_equal(got, expected++);
		if (expected == STRESS_MESSAGES || !pl_waker_prepare_sleep(&waker))
			continue;
		struct pollfd fd = { .fd = waker.event_fd, .events = POLLIN };
		assert_int_equal(poll(&fd, 1, 20000), 1);
		pl_waker_wake_up(&waker);
	}
	pthread_join(producer, NULL);
	pl_ring_fini(&ring);
}

static bool pop_any(struct pl_ring ring[static PRODUCERS], uint64_t expected[static PRODUCERS])
{
	bool has_popped = false;
	uint64_t got;
	for (int i = 0; i < PRODUCERS; i++) {
		if (!pl_ring_pop(&ring[i], &got))
			continue;
		assert_int_equal(got, expected[i]);
		expected[i]++;
		has_popped = true;
	}
	return has_popped;
}

/* The same with many threads that race for one flag: the one that takes it wakes for all. */
static void test_ring_no_wake_up_is_lost_among_many(void **state)
{
	(void)state;
	struct pl_ring ring[PRODUCERS];
	pthread_t producer[PRODUCERS];
	uint64_t expected[PRODUCERS] = { 0 }, total = 0;
	messages_each = STRESS_MESSAGES / PRODUCERS;
	for (int i = 0; i < PRODUCERS; i++)
		assert_int_equal(pl_ring_init(&ring[i], &waker, 16, sizeof(uint64_t)), PL_ERR_NONE);
	for (int i = 0; i < PRODUCERS; i++)
		assert_int_equal(pthread_create(&producer[i], NULL, produce, &ring[i]), 0);
	while (total < PRODUCERS * messages_each) {
		if (!pop_any(ring, expected) && pl_waker_prepare_sleep(&waker)) {
			struct pollfd fd = { .fd = waker.event_fd, .events = POLLIN };
			assert_int_equal(poll(&fd, 1, 20000), 1);
			pl_waker_wake_up(&waker);
		}
		total = 0;
		for (int i = 0; i < PRODUCERS; i++)
			total += expected[i];
	}
	for (int i = 0; i < PRODUCERS; i++) {
		pthread_join(producer[i], NULL);
		pl_ring_fini(&ring[i]);
	}
}

/* Makes and ends a ring again and again, and leaves the last one. */
static void *make_rings(void *argument)
{
	struct pl_ring *ring = argument;
	for (int round = 0; round < MADE; round++) {
		if (pl_ring_init(ring, &waker, 16, sizeof(uint64_t)) != PL_ERR_NONE)
			return NULL;
		if (round + 1 < MADE)
			pl_ring_fini(ring);
	}
	return ring;
}

/* The media threads of a start are made at the same time, and each tells signaling by a ring of its own: a ring that was lost
 * there would be a thread that nobody hears of again. */
static void test_ring_none_is_lost_when_many_are_made_at_once(void **state)
{
	(void)state;
	struct pl_ring ring[PRODUCERS];
	pthread_t maker[PRODUCERS];
	for (int i = 0; i < PRODUCERS; i++)
		assert_int_equal(pthread_create(&maker[i], NULL, make_rings, &ring[i]), 0);
	for (int i = 0; i < PRODUCERS; i++) {
		void *made;
		pthread_join(maker[i], &made);
		assert_ptr_equal(made, &ring[i]);
	}
	int count = 0;
	for (const struct pl_ring *each = waker.rings; each != NULL; each = each->next)
		count++;
	assert_int_equal(count, PRODUCERS);
	for (int i = 0; i < PRODUCERS; i++) {
		const uint64_t message = 0;
		uint64_t got;
		assert_true(pl_waker_prepare_sleep(&waker));
		assert_true(pl_ring_push(&ring[i], &message));
		assert_false(pl_waker_prepare_sleep(&waker));
		assert_true(pl_ring_pop(&ring[i], &got));
	}
	for (int i = 0; i < PRODUCERS; i++)
		pl_ring_fini(&ring[i]);
}

/* What is looked at stays until it is taken, and what was taken is the producer's again, in order, over many wraps. */
static void test_ring_peeked_messages_stay(void **state)
{
	(void)state;
	struct pl_ring ring;
	assert_int_equal(pl_ring_init(&ring, &waker, 8, sizeof(size_t)), PL_ERR_NONE);
	assert_null(pl_ring_peek(&ring, 0));
	size_t pushed = 0, taken = 0, reaped = 0;
	for (size_t turn = 0; turn < 2000; turn++) {
		for (size_t i = 0; i < turn % 9 && pushed - taken < 8; i++, pushed++)
			assert_true(pl_ring_push(&ring, &pushed));
		const size_t waiting = pushed - taken;
		assert_true(waiting < 8 || !pl_ring_push(&ring, &pushed));
		for (size_t ahead = waiting; ahead-- > 0;) /* in any order, and again */
			assert_int_equal(*(const size_t *)pl_ring_peek(&ring, ahead), taken + ahead);
		assert_null(pl_ring_peek(&ring, waiting));
		assert_null(pl_ring_peek(&ring, 8));
		assert_int_equal(pl_ring_taken(&ring), taken);
		const size_t count = turn % 5 < waiting ? turn % 5 : waiting;
		pl_ring_take(&ring, count);
		taken += count;
		assert_int_equal(pl_ring_taken(&ring), taken);
		for (; reaped < taken; reaped++)
			assert_int_equal(*(const size_t *)pl_ring_at(&ring, reaped), reaped);
	}
	pl_ring_fini(&ring);
}

/* ---- packets that are read where they lie ---- */

enum { LENT = 64, WRITTEN_OVER = 1u << 31 };

struct loan {
	uint64_t number;
	const uint64_t *packet; /* the producer's, until the message is taken */
};

/* Lends its packets and writes over each as soon as it has it back.  Returns how many came back. */
static void *lend(void *argument)
{
	static uint64_t packet[LENT];
	struct pl_ring *ring = argument;
	uint64_t pushed = 0, reaped = 0;
	while (reaped < STRESS_MESSAGES) {
		for (const uint64_t taken = pl_ring_taken(ring); reaped < taken; reaped++) {
			const struct loan *loan = pl_ring_at(ring, reaped);
			if (loan->number != reaped || loan->packet != &packet[reaped % LENT])
				return (void *)(uintptr_t)reaped;
			packet[reaped % LENT] = WRITTEN_OVER;
		}
		if (pushed == STRESS_MESSAGES || pushed - reaped == LENT)
			continue;
		packet[pushed % LENT] = 3 * pushed;
		pushed += pl_ring_push(ring, &(struct loan){ pushed, &packet[pushed % LENT] });
	}
	return (void *)(uintptr_t)reaped;
}

/* Two shards: one reads the other's packets while that one goes on; none is written over before its reader is done with it. */
static void test_ring_lent_packets_come_back_read(void **state)
{
	(void)state;
	struct pl_ring ring;
	assert_int_equal(pl_ring_init(&ring, &waker, LENT, sizeof(struct loan)), PL_ERR_NONE);
	pthread_t producer;
	assert_int_equal(pthread_create(&producer, NULL, lend, &ring), 0);
	for (uint64_t expected = 0; expected < STRESS_MESSAGES;) {
		size_t taking = 0;
		const struct loan *loan;
		for (; taking < 1 + expected % LENT && (loan = pl_ring_peek(&ring, taking)) != NULL; taking++)
			assert_true(loan->number == expected + taking && *loan->packet == 3 * loan->number);
		for (size_t i = 0; i < taking; i++) /* the last look, before they go back */
			assert_true(*((const struct loan *)pl_ring_peek(&ring, i))->packet == 3 * (expected + i));
		pl_ring_take(&ring, taking);
		expected += taking;
		if (taking > 0 || !pl_waker_prepare_sleep(&waker))
			continue;
		struct pollfd fd = { .fd = waker.event_fd, .events = POLLIN };
		assert_int_equal(poll(&fd, 1, 20000), 1);
		pl_waker_wake_up(&waker);
	}
	void *returned;
	pthread_join(producer, &returned);
	assert_int_equal((uintptr_t)returned, STRESS_MESSAGES);
	pl_ring_fini(&ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ring_used_is_exact, start, stop),
		cmocka_unit_test_setup_teardown(test_ring_keeps_order_over_many_wraps, start, stop),
		cmocka_unit_test_setup_teardown(test_ring_full_takes_nothing, start, stop),
		cmocka_unit_test_setup_teardown(test_ring_wakes_a_sleeper_and_nobody_else, start, stop),
		cmocka_unit_test_setup_teardown(test_ring_many_share_one_waker, start, stop),
		cmocka_unit_test_setup_teardown(test_ring_room_is_never_overstated, start, stop),
		cmocka_unit_test_setup_teardown(test_ring_no_wake_up_is_lost_between_threads, start, stop),
		cmocka_unit_test_setup_teardown(test_ring_no_wake_up_is_lost_among_many, start, stop),
		cmocka_unit_test_setup_teardown(test_ring_none_is_lost_when_many_are_made_at_once, start, stop),
		cmocka_unit_test_setup_teardown(test_ring_peeked_messages_stay, start, stop),
		cmocka_unit_test_setup_teardown(test_ring_lent_packets_come_back_read, start, stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
