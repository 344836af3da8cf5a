/* sfu/workers: where codec workers are, and which of them gets the next room. */
#include "sfu/workers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sfu/io/clock.h"

/* A machine of two nodes with this many cores, and shards on the first so many of them. */
static size_t plan(struct pl_workers *workers, uint16_t cores, size_t nodes_with_shards, uint16_t each)
{
	static struct pl_topology topology;
	topology = (struct pl_topology){
		.node_count = 2,
		.node = { { .id = 0, .cpu_count = cores, .core_count = cores },
			{ .id = 3, .cpu_count = cores, .core_count = cores } },
	};
	struct pl_topology_plan shards = { .count = nodes_with_shards * cores };
	for (size_t i = 0; i < shards.count; i++)
		shards.shard[i].node = i < cores ? 0 : 3;
	pl_workers_plan(workers, &topology, &shards, each);
	return workers->planned;
}

/* One for four cores, one at least, where there are shards; and what the operator says. */
static void test_workers_are_where_shards_are(void **state)
{
	(void)state;
	static const struct {
		uint16_t cores;
		size_t nodes;
		uint16_t each;
		size_t planned, on_first;
	} of[] = {
		{ 1, 1, 0, 1, 1 },
		{ 3, 1, 0, 1, 1 },
		{ 8, 1, 0, 2, 2 },
		{ 1, 2, 0, 2, 1 },
		{ 16, 2, 0, 8, 4 },
		{ 16, 1, 1, 1, 1 },
		{ 2, 2, 5, 10, 5 },
		{ 2, 2, 40, PL_WORKERS_MAX, 40 },
	};
	for (size_t i = 0; i < PL_COUNT(of); i++) {
		struct pl_workers workers;
		assert_int_equal(plan(&workers, of[i].cores, of[i].nodes, of[i].each), of[i].planned);
		for (size_t k = 0; k < workers.planned; k++)
			assert_int_equal(workers.node[k], k < of[i].on_first ? 0 : 3);
	}
}

/* Rooms that begin at the same moment, before anything can be measured, are spread evenly. */
static void test_workers_share_new_rooms(void **state)
{
	(void)state;
	struct pl_workers workers;
	static struct pl_topology topology;
	pl_topology_discover(&topology);
	struct pl_topology_plan shards;
	pl_topology_plan(&topology, 1, &shards);
	pl_workers_plan(&workers, &topology, &shards, 3);
	assert_int_equal(workers.planned, 3);
	const struct pl_workers_config config = { .rooms_max = 16, .simd = PL_SIMD_AUTO };
	pl_workers_prepare(&workers);
	assert_int_equal(pl_workers_start(&workers, &topology, &config), PL_ERR_NONE);
	size_t chosen[3] = { 0 };
	for (size_t i = 0; i < 30; i++)
		chosen[pl_worker_choose(workers.worker, workers.count)]++;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(chosen[i], 10);
	pl_workers_go(&workers);
	pl_workers_stop(&workers);
	pl_workers_destroy(&workers);
	assert_int_equal(workers.count, 0);
}

static void wait_for_step(struct pl_worker *worker, uint8_t step)
{
	enum { PATIENCE_MS = 20000 };
	const int64_t begin_us = pl_clock_now_us();
	struct pl_sfu_worker_counters counters;
	while (pl_worker_counters(worker, &counters), counters.load_step != step) {
		assert_true(pl_clock_now_us() < begin_us + PATIENCE_MS * 1000);
		pl_clock_sleep_until(pl_clock_now_us() + 1000);
	}
}

/* Rooms that were there and are no more weigh nothing: who had them all gets as many of the next as the others. */
static void test_workers_forget_rooms_that_have_ended(void **state)
{
	(void)state;
	struct pl_workers workers;
	static struct pl_topology topology;
	pl_topology_discover(&topology);
	struct pl_topology_plan shards;
	pl_topology_plan(&topology, 1, &shards);
	pl_workers_plan(&workers, &topology, &shards, 3);
	const struct pl_workers_config config = { .rooms_max = 16, .simd = PL_SIMD_AUTO };
	pl_workers_prepare(&workers);
	assert_int_equal(pl_workers_start(&workers, &topology, &config), PL_ERR_NONE);
	for (size_t i = 0; i < 30; i++)
		assert_int_equal(pl_worker_choose(workers.worker, 1), 0);
	assert_true(pl_worker_choose(workers.worker, workers.count) != 0);
	pl_workers_go(&workers);
	/* The second time that it tells of itself it has told all of the first. */
	for (uint8_t step = PL_WORKER_LOAD_STEP; step <= PL_WORKER_LOAD_STEP + 1; step++) {
		for (size_t i = 0; i < workers.count; i++) {
			pl_worker_set_load_step(workers.worker[i], step);
			wait_for_step(workers.worker[i], step);
		}
	}
	size_t chosen[3] = { 0 };
	for (size_t i = 0; i < 30; i++)
		chosen[pl_worker_choose(workers.worker, workers.count)]++;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(chosen[i], 10);
	pl_workers_stop(&workers);
	pl_workers_destroy(&workers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_workers_are_where_shards_are),
		cmocka_unit_test(test_workers_share_new_rooms),
		cmocka_unit_test(test_workers_forget_rooms_that_have_ended),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
