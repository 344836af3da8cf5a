/* media/pool: packet buffers that fail early, by name, and recover by themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "media/pool.h"

enum { PACKETS = 200, LOW = 10, HIGH = 20 };

struct world {
	struct pl_pool pool;
	void *memory;
	struct pl_packet *packet[PACKETS];
};

static int begin(void **state)
{
	static struct world w;
	w.memory = aligned_alloc(64, pl_pool_bytes(PACKETS));
	assert_non_null(w.memory);
	pl_pool_init(&w.pool, (struct pl_span){ w.memory, pl_pool_bytes(PACKETS) }, PACKETS);
	*state = &w;
	return 0;
}

static int end(void **state)
{
	struct world *w = *state;
	free(w->memory);
	return 0;
}

/* A pool of some megabytes begins at once, and takes no memory that it does not need. */
static void test_what_was_never_needed_is_not_touched(void **state)
{
	struct world *w = *state;
	memset(w->memory, 0x5a, pl_pool_bytes(PACKETS));
	pl_pool_init(&w->pool, (struct pl_span){ w->memory, pl_pool_bytes(PACKETS) }, PACKETS);
	struct pl_packet *first = pl_pool_take(&w->pool), *second = pl_pool_take(&w->pool);
	assert_ptr_not_equal(first, second);
	pl_pool_release(&w->pool, first);
	assert_ptr_equal(pl_pool_take(&w->pool), first);
	const uint8_t *byte = w->memory;
	for (size_t i = 2 * (size_t)PL_PACKET_SIZE; i < pl_pool_bytes(PACKETS); i++)
		assert_int_equal(byte[i], 0x5a);
}

/* The next packet finds the buffer of the last one, which is still in the cache. */
static void test_last_in_first_out(void **state)
{
	struct world *w = *state;
	struct pl_packet *first = pl_pool_take(&w->pool), *second = pl_pool_take(&w->pool);
	assert_ptr_not_equal(first, second);
	assert_int_equal((uintptr_t)first % 64, 0);
	assert_int_equal((uintptr_t)second % 64, 0);
	pl_pool_release(&w->pool, first);
	pl_pool_release(&w->pool, second);
	assert_ptr_equal(pl_pool_take(&w->pool), second);
	assert_ptr_equal(pl_pool_take(&w->pool), first);
}

/* Buffers do not overlap, in their headroom and data neither. */
static void test_buffers_are_apart(void **state)
{
	struct world *w = *state;
	for (size_t i = 0; i < PACKETS - LOW; i++) {
		struct pl_packet *packet = w->packet[i] = pl_pool_take(&w->pool);
		packet->headroom[0] = packet->data[sizeof packet->data - 1] = (uint8_t)i;
	}
	for (size_t i = 0; i < PACKETS - LOW; i++) {
		assert_int_equal(w->packet[i]->headroom[0], (uint8_t)i);
		assert_int_equal(w->packet[i]->data[sizeof w->packet[i]->data - 1], (uint8_t)i);
	}
}

/* A packet that several hold is free with the last of them. */
static void test_references(void **state)
{
	struct world *w = *state;
	struct pl_packet *packet = pl_pool_take(&w->pool);
	pl_packet_hold(packet);
	pl_pool_release(&w->pool, packet);
	assert_int_equal(pl_pool_used(&w->pool), 1);
	pl_pool_release(&w->pool, packet);
	assert_int_equal(pl_pool_used(&w->pool), 0);
}

/* A buffer that carried the mix for one listener is as good as any other the next time: a packet for everybody. */
static void test_a_fresh_buffer_is_for_everybody(void **state)
{
	struct world *w = *state;
	struct pl_packet *packet = pl_pool_take(&w->pool);
	packet->mix = (struct pl_mix){ .only = 1, .except_count = 2, .csrc_count = 3 };
	packet->mix_group = PL_MIX_PCMU + 1;
	packet->coding = PL_CODING_PCMU;
	packet->bps = 96000;
	pl_pool_release(&w->pool, packet);
	assert_ptr_equal(pl_pool_take(&w->pool), packet);
	assert_int_equal(packet->mix.only, 0);
	assert_int_equal(packet->mix.except_count, 0);
	assert_int_equal(packet->mix.csrc_count, 0);
	assert_int_equal(packet->mix_group, 0);
	assert_int_equal(packet->coding, PL_CODING_OPUS);
	assert_int_equal(packet->bps, 0);
	pl_pool_release(&w->pool, packet);
}

/* Below 5 % free nothing new is taken in, until 10 % are free again; what was accepted finds the reserve. */
static void test_low_and_recovered(void **state)
{
	struct world *w = *state;
	size_t taken = 0;
	while ((w->packet[taken] = pl_pool_take(&w->pool)) != NULL)
		taken++;
	assert_int_equal(taken, PACKETS - LOW);
	assert_true(w->pool.is_low);
	assert_int_equal(w->pool.low_count, 1);
	for (size_t i = 0; i < LOW; i++)
		assert_non_null(w->packet[taken++] = pl_pool_take_reserve(&w->pool));
	assert_null(pl_pool_take_reserve(&w->pool));
	assert_int_equal(pl_pool_used_max(&w->pool), PACKETS);

	for (size_t i = 0; i < HIGH - 1; i++) {
		pl_pool_release(&w->pool, w->packet[--taken]);
		assert_null(pl_pool_take(&w->pool));
	}
	pl_pool_release(&w->pool, w->packet[--taken]);
	assert_non_null(w->packet[taken++] = pl_pool_take(&w->pool));
	assert_int_equal(w->pool.low_count, 1);
	while (taken > 0)
		pl_pool_release(&w->pool, w->packet[--taken]);
	assert_int_equal(pl_pool_used(&w->pool), 0);
}

/* What was in use at most is told for each while by itself, and for ever. */
static void test_used_lately(void **state)
{
	struct world *w = *state;
	assert_int_equal(pl_pool_used_lately(&w->pool), 0);
	for (size_t i = 0; i < 3; i++)
		assert_non_null(w->packet[i] = pl_pool_take(&w->pool));
	pl_pool_release(&w->pool, w->packet[2]);
	assert_int_equal(pl_pool_used_lately(&w->pool), 3);
	assert_int_equal(pl_pool_used_lately(&w->pool), 2);
	pl_pool_release(&w->pool, w->packet[1]);
	pl_pool_release(&w->pool, w->packet[0]);
	assert_int_equal(pl_pool_used_lately(&w->pool), 2);
	assert_int_equal(pl_pool_used_lately(&w->pool), 0);
	assert_int_equal(pl_pool_used_max(&w->pool), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_was_never_needed_is_not_touched, begin, end),
		cmocka_unit_test_setup_teardown(test_last_in_first_out, begin, end),
		cmocka_unit_test_setup_teardown(test_buffers_are_apart, begin, end),
		cmocka_unit_test_setup_teardown(test_references, begin, end),
		cmocka_unit_test_setup_teardown(test_a_fresh_buffer_is_for_everybody, begin, end),
		cmocka_unit_test_setup_teardown(test_low_and_recovered, begin, end),
		cmocka_unit_test_setup_teardown(test_used_lately, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
