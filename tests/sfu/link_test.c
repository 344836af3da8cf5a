/* sfu/link: what is lent comes back once, and media leaves room for state. */
#include "sfu/link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PACKETS = 64 };

struct world {
	struct pl_waker waker;
	struct pl_link *link;
	struct pl_packet packet[PACKETS];
	uint32_t released[PACKETS];
};

static void release(void *context, struct pl_packet *packet)
{
	struct world *w = context;
	w->released[packet - w->packet]++;
}

static int begin(void **state)
{
	struct world *w = aligned_alloc(64, sizeof *w);
	assert_non_null(w);
	*w = (struct world){ .link = NULL };
	assert_int_equal(pl_waker_init(&w->waker), PL_ERR_NONE);
	assert_int_equal(pl_link_create(&w->link, &w->waker), PL_ERR_NONE);
	w->link->owner = (struct pl_link_owner){ .release = release, .context = w };
	*state = w;
	return 0;
}

static int end(void **state)
{
	struct world *w = *state;
	pl_link_destroy(&w->link);
	assert_null(w->link);
	pl_waker_fini(&w->waker);
	free(w);
	return 0;
}

static struct pl_cross forward(struct world *w, size_t packet)
{
	return (struct pl_cross){ .kind = PL_CROSS_FORWARD, .room = (uint32_t)packet, .packet = &w->packet[packet] };
}

/* A packet is its sender's again when the reader is done with the message, not when it has looked at it; each comes back once. */
static void test_link_gives_back_what_was_read(void **state)
{
	struct world *w = *state;
	for (size_t i = 0; i < PACKETS; i++) {
		const struct pl_cross media = forward(w, i), close = { .kind = PL_CROSS_CLOSE };
		assert_true(pl_link_push(w->link, &media));
		assert_true(pl_link_push(w->link, &close)); /* names none */
	}
	for (size_t i = 0; i < PACKETS; i++) {
		assert_ptr_equal(pl_link_take(w->link)->packet, &w->packet[i]);
		assert_int_equal(pl_link_take(w->link)->kind, PL_CROSS_CLOSE);
		pl_link_reap(w->link);
		assert_int_equal(w->released[i], 0);
		if (i % 4 == 3)
			pl_link_done(w->link);
	}
	assert_null(pl_link_take(w->link));
	pl_link_reap(w->link);
	pl_link_reap(w->link);
	for (size_t i = 0; i < PACKETS; i++)
		assert_int_equal(w->released[i], 1);
}

/* A reader that is stuck: media finds no place when three quarters are full, state until all is; and both again when it goes on. */
static void test_link_keeps_room_for_state(void **state)
{
	struct world *w = *state;
	const struct pl_cross media = forward(w, 0), silent = { .kind = PL_CROSS_MIX_SILENT, .track = 7 };
	size_t pushed = 0, told = 0;
	while (pl_link_push(w->link, &media))
		pushed++;
	assert_int_equal(pushed, PL_LINK_MEDIA_MAX);
	while (pl_link_push(w->link, &silent))
		told++;
	assert_int_equal(pushed + told, PL_LINK_CAPACITY);
	for (size_t i = 0; i < told + 1; i++)
		assert_non_null(pl_link_take(w->link));
	assert_false(pl_link_push(w->link, &silent)); /* looked at, not done */
	pl_link_done(w->link);
	assert_true(pl_link_push(w->link, &media));
	assert_true(pl_link_push(w->link, &silent));
	assert_false(pl_link_push(w->link, &media));
	assert_int_equal(w->released[0], told + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_link_gives_back_what_was_read, begin, end),
		cmocka_unit_test_setup_teardown(test_link_keeps_room_for_state, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
