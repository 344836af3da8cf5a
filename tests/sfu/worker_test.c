/* sfu/worker: what is said of a codec worker's thread, seen from within it while it mixes. */
#include "sfu/worker.h"

#include <float.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "sfu/io/clock.h"

enum { ROOM = 7, PATIENCE_MS = 20000, PACKETS = 256 };

static struct {
	const struct pl_dsp *dsp; /* that does the work */
	int nice;
	float made;
	atomic_bool is_seen;
} within;

/* The kernel that adds talkers up; it looks around once. */
static void sum(float *out, const float *const in[], size_t count, size_t n)
{
	volatile float small = FLT_MIN, quarter = 0.25F;
	if (!atomic_load_explicit(&within.is_seen, memory_order_relaxed)) {
		within.nice = getpriority(PRIO_PROCESS, 0); /* of this thread, on Linux */
		within.made = small * quarter;
		atomic_store_explicit(&within.is_seen, true, memory_order_release);
	}
	within.dsp->sum(out, in, count, n);
}

static void keep(void *context, struct pl_packet *packet)
{
	(void)context;
	(void)packet;
}

/* It mixes behind the media threads, and silence does not slow it down: nothing it computes is a denormal. */
static void test_worker_is_nice_and_flushes_denormals(void **state)
{
	(void)state;
	static struct pl_packet packet;
	static const uint8_t silence[] = { 0xf8, 0xff, 0xfe }; /* 20 ms of CELT (RFC 6716 section 3.1) */
	within.dsp = pl_dsp_get(PL_SIMD_AUTO);
	struct pl_dsp dsp = *within.dsp;
	dsp.sum = sum;
	void *memory = aligned_alloc(64, pl_whole_lines(pl_opus_templates_bytes()));
	assert_non_null(memory);
	struct pl_opus_templates *templates;
	assert_int_equal(
		pl_opus_templates_init(&templates, (struct pl_span){ memory, pl_opus_templates_bytes() }), PL_ERR_NONE);
	struct pl_worker_config config = { .codec = { .templates = templates,
						   .dsp = &dsp,
						   .rooms_max = 1,
						   .voices_max = 1,
						   .encoders_max = 1,
						   .transcoders_max = 1,
						   .packets = PACKETS } };
	assert_int_equal(sched_getaffinity(0, sizeof config.cpus, &config.cpus), 0);

	struct pl_worker *worker;
	struct pl_waker waker;
	struct pl_link *there, *back;
	assert_int_equal(pl_worker_create(&worker, &config), PL_ERR_NONE);
	assert_int_equal(pl_worker_wait(worker), PL_ERR_NONE);
	assert_int_equal(pl_waker_init(&waker), PL_ERR_NONE);
	assert_int_equal(pl_link_create(&there, pl_worker_waker(worker)), PL_ERR_NONE);
	assert_int_equal(pl_link_create(&back, &waker), PL_ERR_NONE);
	there->owner = (struct pl_link_owner){ .release = keep };
	pl_worker_link(worker, 0, there, back);
	pl_worker_go(worker);

	packet.source = packet.track = 1;
	packet.payload = (struct pl_bytes){ silence, sizeof silence };
	const struct pl_cross open = { .kind = PL_CROSS_MIX_OPEN, .groups = 1 << PL_MIX_FULL, .room = ROOM };
	const struct pl_cross hear = {
		.kind = PL_CROSS_MIX_HEAR, .groups = 1 << PL_MIX_FULL, .room = ROOM, .packet = &packet
	};
	assert_true(pl_link_push(there, &open) && pl_link_push(there, &hear));
	const int64_t begin_us = pl_clock_now_us();
	while (!atomic_load_explicit(&within.is_seen, memory_order_acquire)) {
		assert_true(pl_clock_now_us() < begin_us + PATIENCE_MS * 1000);
		pl_clock_sleep_until(pl_clock_now_us() + 1000);
	}
	const int wanted = getpriority(PRIO_PROCESS, 0) + PL_WORKER_NICE;
	assert_int_equal(within.nice, wanted < 19 ? wanted : 19);
#if defined(__x86_64__) || defined(__aarch64__)
	assert_true(within.made == 0);
#endif
	pl_worker_stop(worker);
	pl_link_destroy(&there);
	pl_link_destroy(&back);
	pl_worker_destroy(&worker);
	pl_waker_fini(&waker);
	free(memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_worker_is_nice_and_flushes_denormals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
