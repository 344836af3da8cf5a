/* sfu/gather: media.coalesce_us in virtual time: a shard's loop around it, with packets whenever the test wants. */
#include "sfu/gather.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "media/rng.h"

enum { PACKETS_MAX = 4000, WINDOW_US = 2000 };

struct loop {
	struct pl_gather gather;
	int64_t now_us;
	int64_t came_us[PACKETS_MAX], done_us[PACKETS_MAX];
	size_t count, done, turns;
};

/* As a shard does: gathers, sleeps until there is something, and takes all that is there.  work_us: how long a turn takes.
 * is_media: what comes is. */
static void run(struct loop *loop, int64_t work_us, bool is_pressed, bool is_media)
{
	while (loop->done < loop->count) {
		const int64_t until_us = pl_gather_until(&loop->gather, is_pressed);
		if (loop->now_us < until_us)
			loop->now_us = until_us;
		if (loop->now_us < loop->came_us[loop->done])
			loop->now_us = loop->came_us[loop->done];
		pl_gather_begin(&loop->gather, loop->now_us);
		if (is_media)
			pl_gather_busy(&loop->gather);
		loop->turns++;
		while (loop->done < loop->count && loop->came_us[loop->done] <= loop->now_us)
			loop->done_us[loop->done++] = loop->now_us;
		loop->now_us += work_us;
	}
}

static void come(struct loop *loop, int64_t at_us)
{
	loop->came_us[loop->count++] = at_us;
}

static int64_t longest_wait_us(const struct loop *loop)
{
	int64_t longest_us = 0;
	for (size_t i = 0; i < loop->count; i++) {
		const int64_t wait_us = loop->done_us[i] - loop->came_us[i];
		longest_us = wait_us > longest_us ? wait_us : longest_us;
	}
	return longest_us;
}

/* The price is never more than the window, whenever packets come, and what is bought is turns: one for a window. */
static void test_gather_waits_a_window_at_most(void **state)
{
	(void)state;
	static struct loop loop;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct pl_rng rng;
		pl_rng_init(&rng, seed);
		loop = (struct loop){ .gather = { .window_us = WINDOW_US }, .now_us = 1000000 };
		int64_t at_us = loop.now_us;
		for (size_t i = 0; i < PACKETS_MAX; i++) {
			come(&loop, at_us);
			at_us += (int64_t)pl_rng_below(&rng, seed % 2 == 0 ? 40 : 400);
		}
		run(&loop, 100, false, true);
		assert_in_range(longest_wait_us(&loop), WINDOW_US / 2, WINDOW_US);
		const size_t windows = (size_t)((loop.now_us - 1000000) / WINDOW_US);
		assert_in_range(loop.turns, windows / 2, windows + 2);
		assert_true(loop.turns * 4 < PACKETS_MAX);
	}
}

/* Who speaks into a silence is heard at once: there is nobody to wait for. */
static void test_gather_does_not_keep_the_first(void **state)
{
	(void)state;
	static struct loop loop;
	loop = (struct loop){ .gather = { .window_us = WINDOW_US }, .now_us = 1000000 };
	for (int64_t i = 1; i <= 50; i++)
		come(&loop, 1000000 + i * (WINDOW_US + 500));
	run(&loop, 100, false, true);
	assert_int_equal(longest_wait_us(&loop), 0);
	assert_int_equal(loop.turns, 50);
}

/* Turned off, or under pressure (a turn that left something over, a handshake), nothing waits for the window. */
static void test_gather_off_or_pressed_never_waits(void **state)
{
	(void)state;
	static struct loop loop;
	for (int is_pressed = 0; is_pressed < 2; is_pressed++) {
		loop = (struct loop){ .gather = { .window_us = is_pressed ? WINDOW_US : 0 }, .now_us = 1000000 };
		for (int64_t i = 0; i < 500; i++)
			come(&loop, 1000000 + 150 * i);
		run(&loop, 100, is_pressed, true);
		assert_int_equal(longest_wait_us(&loop), 0);
		assert_int_equal(loop.turns, 500);
	}
}

/* Ten thousand silent clients are four thousand checks a second: a shard that has heard nobody for a second takes them 5 ms at a
 * time.  Who speaks then waits for that once, and nobody after. */
static void test_gather_rests_until_the_first_word(void **state)
{
	(void)state;
	enum { GAP_US = 250, CHECKS = 3000 };
	static struct loop loop;
	loop = (struct loop){ .now_us = 1000000, .gather = { .turn_us = 1000000, .busy_us = 1000000 } };
	for (int64_t i = 0; i < CHECKS; i++)
		come(&loop, 1000000 + GAP_US * i);
	run(&loop, 10, false, false);
	assert_true(pl_gather_rests(&loop.gather) == (loop.now_us - 1000000 > PL_GATHER_REST_AFTER_US));
	assert_int_equal(loop.turns, CHECKS); /* not yet a second */
	assert_int_equal(longest_wait_us(&loop), 0);

	const int64_t from_us = 3000000;
	loop = (struct loop){ .now_us = from_us, .gather = { .turn_us = from_us, .busy_us = 1000000 } };
	for (int64_t i = 0; i < CHECKS; i++)
		come(&loop, from_us + GAP_US * i);
	run(&loop, 10, false, false);
	assert_in_range(loop.turns, CHECKS * GAP_US / PL_GATHER_REST_US, CHECKS * GAP_US / PL_GATHER_REST_US + 1);
	assert_in_range(longest_wait_us(&loop), PL_GATHER_REST_US - GAP_US, PL_GATHER_REST_US);
	pl_gather_busy(&loop.gather);
	assert_int_equal(pl_gather_until(&loop.gather, false), INT64_MIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gather_waits_a_window_at_most),
		cmocka_unit_test(test_gather_does_not_keep_the_first),
		cmocka_unit_test(test_gather_off_or_pressed_never_waits),
		cmocka_unit_test(test_gather_rests_until_the_first_word),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
