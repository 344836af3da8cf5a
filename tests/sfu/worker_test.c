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

#include "media/g711.h"
#include "sfu/io/clock.h"

enum { ROOM = 7, PATIENCE_MS = 20000, PACKETS = PL_POOL_PACKETS_MIN, ROOMS = 4 };

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

/* A worker with a shard's ways to it and back; the shard is the test. */
struct world {
	struct pl_worker *worker;
	struct pl_waker waker;
	struct pl_link *there, *back;
	void *memory; /* of the templates */
};

static void begin(struct world *w, uint8_t index, const struct pl_dsp *dsp)
{
	w->memory = aligned_alloc(64, (pl_opus_templates_bytes() + 63) / 64 * 64);
	assert_non_null(w->memory);
	struct pl_opus_templates *templates;
	assert_int_equal(pl_opus_templates_init(&templates, (struct pl_span){ w->memory, pl_opus_templates_bytes() }),
		PL_ERR_NONE);
	struct pl_worker_config config = { .index = index,
		.codec = { .templates = templates,
			.dsp = dsp,
			.rooms_max = ROOMS,
			.voices_max = 1,
			.encoders_max = 1,
			.transcoders_max = 2,
			.packets = PACKETS } };
	assert_int_equal(sched_getaffinity(0, sizeof config.cpus, &config.cpus), 0);
	assert_int_equal(pl_worker_create(&w->worker, &config), PL_ERR_NONE);
	assert_int_equal(pl_worker_wait(w->worker), PL_ERR_NONE);
	assert_int_equal(pl_waker_init(&w->waker), PL_ERR_NONE);
	assert_int_equal(pl_link_create(&w->there, pl_worker_waker(w->worker)), PL_ERR_NONE);
	assert_int_equal(pl_link_create(&w->back, &w->waker), PL_ERR_NONE);
	w->there->owner = (struct pl_link_owner){ .release = keep };
	pl_worker_link(w->worker, 0, w->there, w->back);
	pl_worker_go(w->worker);
}

static void end(struct world *w)
{
	pl_worker_stop(w->worker);
	pl_link_destroy(&w->there);
	pl_link_destroy(&w->back);
	pl_worker_destroy(&w->worker);
	pl_waker_fini(&w->waker);
	free(w->memory);
}

/* Waits a millisecond for what is to come, but not for ever. */
static void be_patient(int64_t begin_us)
{
	assert_true(pl_clock_now_us() < begin_us + PATIENCE_MS * 1000);
	pl_clock_sleep_until(pl_clock_now_us() + 1000);
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
	struct world w;
	begin(&w, 0, &dsp);
	packet.source = packet.track = 1;
	packet.payload = (struct pl_bytes){ silence, sizeof silence };
	const struct pl_cross open = { .kind = PL_CROSS_MIX_OPEN, .groups = 1 << PL_MIX_FULL, .room = ROOM };
	const struct pl_cross hear = {
		.kind = PL_CROSS_MIX_HEAR, .groups = 1 << PL_MIX_FULL, .room = ROOM, .packet = &packet
	};
	assert_true(pl_link_push(w.there, &open) && pl_link_push(w.there, &hear));
	const int64_t begin_us = pl_clock_now_us();
	while (!atomic_load_explicit(&within.is_seen, memory_order_acquire))
		be_patient(begin_us);
	const int wanted = getpriority(PRIO_PROCESS, 0) + PL_WORKER_NICE;
	assert_int_equal(within.nice, wanted < 19 ? wanted : 19);
#if defined(__x86_64__) || defined(__aarch64__)
	assert_true(within.made == 0);
#endif
	end(&w);
}

/* Telephones' voices come back, frame by frame and in order, though many of their packets come together; and more of them than the worker
 * has buffers, since it gets them back. */
static void test_worker_gives_back_what_telephones_say(void **state)
{
	enum { ROUNDS = 4, PHONES = 2, TOGETHER = 20 };
	_Static_assert((int)ROUNDS * (int)TOGETHER > (int)PACKETS, "more than it has buffers");
	(void)state;
	static struct pl_packet packet[TOGETHER];
	struct world w;
	begin(&w, 0, pl_dsp_get(PL_SIMD_AUTO));
	uint16_t seq[PHONES] = { 0 };
	for (uint32_t round = 0; round < ROUNDS; round++) {
		const uint32_t phone = round % PHONES;
		for (uint32_t i = 0; i < TOGETHER; i++) {
			const uint32_t n = round / PHONES * TOGETHER + i;
			struct pl_packet *p = &packet[i];
			p->source = p->track = p->ssrc = 5 + phone;
			p->seq = (uint16_t)n;
			p->ts = n * PL_G711_FRAME;
			p->coding = PL_CODING_PCMU;
			for (size_t k = 0; k < PL_G711_FRAME; k++)
				p->data[k] = (uint8_t)(k % 16 < 8 ? 0x90 : 0x10); /* a tone of 500 Hz */
			p->payload = (struct pl_bytes){ p->data, PL_G711_FRAME };
			const struct pl_cross message = { .kind = PL_CROSS_TRANSCODE, .room = ROOM, .packet = p };
			assert_true(pl_link_push(w.there, &message));
		}
		const int64_t begin_us = pl_clock_now_us();
		for (uint32_t i = 0; i < TOGETHER; i++) {
			const struct pl_cross *message;
			while ((message = pl_link_take(w.back)) == NULL)
				be_patient(begin_us);
			assert_int_equal(message->kind, PL_CROSS_TRANSCODED);
			assert_int_equal(message->room, ROOM);
			assert_int_equal(message->packet->track, 5 + phone);
			assert_true(message->packet->has_level && message->packet->level < 40);
			if (round / PHONES + i > 0)
				assert_int_equal(message->packet->seq, (uint16_t)(seq[phone] + 1));
			seq[phone] = message->packet->seq;
		}
		pl_link_done(w.back);
		pl_link_reap(w.there);
	}
	end(&w);
}

/* Rooms in which nobody has talked yet count where they are: the next ones go to whoever has fewer. */
static void test_workers_with_fewer_rooms_are_chosen(void **state)
{
	(void)state;
	struct world w[2];
	for (uint8_t i = 0; i < 2; i++)
		begin(&w[i], i, pl_dsp_get(PL_SIMD_AUTO));
	for (uint32_t i = 0; i < ROOMS; i++) {
		const struct pl_cross open = {
			.kind = PL_CROSS_MIX_OPEN, .groups = 1 << PL_MIX_FULL, .room = ROOM + i
		};
		assert_true(pl_link_push(w[0].there, &open));
	}
	const int64_t begin_us = pl_clock_now_us();
	struct pl_sfu_worker_counters counters;
	while (pl_worker_counters(w[0].worker, &counters), counters.codec.rooms < ROOMS)
		be_patient(begin_us);
	pl_worker_set_load_step(
		w[0].worker, PL_WORKER_LOAD_STEP + 1); /* when it has told this, it has told all of that */
	while (pl_worker_counters(w[0].worker, &counters), counters.load_step != PL_WORKER_LOAD_STEP + 1)
		be_patient(begin_us);
	struct pl_worker *const both[] = { w[0].worker, w[1].worker };
	for (uint32_t i = 0; i < ROOMS; i++)
		assert_int_equal(pl_worker_choose(both, 2), 1);
	for (uint8_t i = 0; i < 2; i++)
		end(&w[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_worker_is_nice_and_flushes_denormals),
		cmocka_unit_test(test_worker_gives_back_what_telephones_say),
		cmocka_unit_test(test_workers_with_fewer_rooms_are_chosen),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
