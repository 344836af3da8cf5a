/* Half an hour in one mixed room: what is heard comes as late at the end as at the begin, though the talkers' clocks are fast and
 * slow and their packets jitter; and nothing has grown. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "media/rng.h"
#include "sfu/codec.h"
#include "tests/support/sound.h"

enum { FRAME = PL_OPUS_FRAME, PATTERN = 100, BURST = 3, TALKERS = 2, MINUTES = 30, BLOCK = 120, QUIET_BLOCKS = 100 };

/* Says "beep" for 60 ms every two seconds; its microphone's clock is off by ppm. */
struct talker {
	double ppm, hz;
	uint32_t shift_us; /* of its packets against the worker's steps */
	uint32_t offset;   /* of the beep in the pattern, in packets */
	uint8_t payload[PATTERN][PL_OPUS_PACKET_MAX];
	uint16_t size[PATTERN];
	uint64_t sent;
	int64_t next_us; /* of the next packet, with jitter */
};

struct listener {
	struct pl_opus_decoder *decoder;
	uint32_t quiet_blocks;
	double sum_us[MINUTES][TALKERS], worst_us;
	uint32_t count[MINUTES][TALKERS];
};

struct world {
	struct pl_codec *codec;
	void *memory, *template_memory;
	struct pl_packet *packet;
	struct talker talker[TALKERS];
	struct listener listener;
	struct pl_rng rng;
	uint32_t jitter_us;
	int64_t now_us;
};

enum { START_US = 1000000 };

/* When a talker's packet leaves it. */
static int64_t sent_us(const struct talker *t, uint64_t i)
{
	return START_US + t->shift_us + (int64_t)((double)i * PL_MIXER_TICK_US * (1 - t->ppm * 1e-6));
}

static void make_pattern(struct talker *t, const struct pl_opus_templates *templates)
{
	struct pl_opus_encoder *encoder = aligned_alloc(64, pl_opus_encoder_bytes());
	assert_non_null(encoder);
	pl_opus_encoder_start(encoder, templates, PL_OPUS_CELT);
	for (uint32_t i = 0; i < PATTERN; i++) {
		float pcm[FRAME];
		const bool is_beep = i >= t->offset && i < t->offset + BURST;
		pl_sound_sine(pcm, FRAME, (uint64_t)i * FRAME, t->hz, is_beep ? 0.5 : 0);
		t->size[i] = (uint16_t)pl_opus_encode(
			encoder, pcm, false, (struct pl_span){ t->payload[i], sizeof t->payload[i] });
	}
	free(encoder);
}

static void speak(struct world *w, uint32_t k)
{
	struct talker *t = &w->talker[k];
	struct pl_packet *p = w->packet;
	const uint32_t i = (uint32_t)(t->sent % PATTERN);
	memset(p, 0, sizeof *p);
	p->source = p->track = p->ssrc = k + 1;
	p->seq = (uint16_t)t->sent;
	p->ts = (uint32_t)t->sent * FRAME;
	memcpy(p->data, t->payload[i], t->size[i]);
	p->payload = (struct pl_bytes){ p->data, t->size[i] };
	pl_codec_take(w->codec, w->now_us, 0, &(struct pl_cross){ .kind = PL_CROSS_MIX_HEAR, .room = 1, .packet = p });
	t->sent++;
	t->next_us = sent_us(t, t->sent) + (w->jitter_us > 0 ? pl_rng_below(&w->rng, w->jitter_us) : 0);
}

/* A beep was heard: whose it is tells its time, and how long it took since the packet that begins with it was sent. */
static void note_beep(struct world *w, double at_us)
{
	double best_us = 1e12;
	uint32_t best = 0;
	for (uint32_t k = 0; k < TALKERS; k++) {
		const struct talker *t = &w->talker[k];
		for (uint64_t i = t->sent > PATTERN ? t->sent - PATTERN : 0; i < t->sent; i++) {
			const double us = at_us - (double)sent_us(t, i);
			if (i % PATTERN == t->offset && us > -5000 && us < best_us) {
				best_us = us;
				best = k;
			}
		}
	}
	struct listener *l = &w->listener;
	const int64_t minute = (w->now_us - START_US) / 60000000;
	assert_true(best_us < 1e6);
	if (minute < MINUTES) {
		l->sum_us[minute][best] += best_us;
		l->count[minute][best]++;
	}
	l->worst_us = w->now_us > START_US + 10000000 && best_us > l->worst_us ? best_us : l->worst_us;
}

static void listen(struct world *w, const struct pl_packet *packet)
{
	struct listener *l = &w->listener;
	float pcm[FRAME];
	assert_int_equal(pl_opus_decode(l->decoder, packet->payload, pcm, FRAME), FRAME);
	for (size_t i = 0; i < FRAME; i += BLOCK) {
		const bool is_quiet = pl_sound_rms(pcm + i, BLOCK) < 0.1;
		if (!is_quiet && l->quiet_blocks >= QUIET_BLOCKS)
			note_beep(w, (double)w->now_us + (double)i / 0.048);
		l->quiet_blocks = is_quiet ? l->quiet_blocks + 1 : 0;
	}
}

/* The next thing that happens, until the given time. */
static void run(struct world *w, int64_t until_us)
{
	while (w->now_us < until_us) {
		struct pl_cross message;
		uint8_t to;
		int64_t next_us = pl_codec_deadline(w->codec);
		uint32_t who = TALKERS;
		for (uint32_t k = 0; k < TALKERS; k++) {
			if (w->talker[k].next_us <= next_us) {
				next_us = w->talker[k].next_us;
				who = k;
			}
		}
		w->now_us = next_us > w->now_us ? next_us : w->now_us;
		if (who < TALKERS)
			speak(w, who);
		else
			pl_codec_tick(w->codec, w->now_us);
		while (pl_codec_next(w->codec, w->now_us, &to, &message)) {
			listen(w, message.packet);
			pl_codec_release(w->codec, message.packet);
		}
	}
}

static void *take(size_t size)
{
	void *memory = aligned_alloc(64, pl_whole_lines(size));
	assert_non_null(memory);
	memset(memory, 0, size);
	return memory;
}

static struct world *begin(double ppm, uint32_t jitter_us, uint32_t shift_us)
{
	struct pl_opus_templates *templates;
	void *template_memory = take(pl_opus_templates_bytes());
	assert_int_equal(
		pl_opus_templates_init(&templates, (struct pl_span){ template_memory, pl_opus_templates_bytes() }),
		PL_ERR_NONE);
	const struct pl_codec_config config = { .templates = templates,
		.dsp = pl_dsp_get(PL_SIMD_AUTO),
		.rooms_max = 1,
		.voices_max = 8,
		.encoders_max = 8,
		.packets = PL_POOL_PACKETS_MIN };
	void *memory = take(pl_codec_bytes(&config));
	static struct world w;
	w = (struct world){ .memory = memory,
		.template_memory = template_memory,
		.packet = take(PL_PACKET_SIZE),
		.jitter_us = jitter_us,
		.now_us = START_US,
		.talker = { { .ppm = ppm, .hz = 1000, .offset = 10, .shift_us = shift_us },
			{ .ppm = -ppm, .hz = 2000, .offset = 60, .shift_us = shift_us } } };
	pl_codec_init(&w.codec, &config, (struct pl_span){ memory, pl_codec_bytes(&config) });
	pl_codec_set_load(w.codec, (struct pl_mixer_load){ 3 });
	pl_rng_init(&w.rng, 1);
	w.listener.decoder = take(pl_opus_decoder_bytes());
	pl_opus_decoder_start(w.listener.decoder, templates);
	for (uint32_t k = 0; k < TALKERS; k++) {
		make_pattern(&w.talker[k], templates);
		w.talker[k].next_us = sent_us(&w.talker[k], 0);
	}
	pl_codec_take(w.codec, w.now_us, 0,
		&(struct pl_cross){ .kind = PL_CROSS_MIX_OPEN, .room = 1, .groups = 1 << PL_MIX_FULL });
	return &w;
}

static void end(struct world *w)
{
	free(w->listener.decoder);
	free(w->packet);
	free(w->memory);
	free(w->template_memory);
}

static void converse(int minutes, double ppm, uint32_t jitter_us, uint32_t shift_us, struct listener *result)
{
	struct world *w = begin(ppm, jitter_us, shift_us);
	run(w, START_US + minutes * INT64_C(60000000));
	const struct pl_codec_counters counters = pl_codec_counters(w->codec);
	assert_int_equal(counters.voices_most, TALKERS);
	assert_int_equal(counters.encoders_most, 1);
	assert_int_equal(counters.packets_used, 0);
	assert_int_equal(counters.late, 0);
	assert_in_range(counters.sent, minutes * 3000 - 10, minutes * 3000 + 1);
	*result = w->listener;
	end(w);
}

static double mean_ms(const struct listener *l, int minute, int talker)
{
	assert_in_range(l->count[minute][talker], 28, 31);
	return l->sum_us[minute][talker] / l->count[minute][talker] / 1000;
}

/* 100 ppm are 180 ms in half an hour.  Each minute's delay is the first ones', within a packet and a half; no beep of them all is
 * later than 100 ms. */
static void test_half_an_hour_without_creep(void **state)
{
	(void)state;
	static struct listener l;
	converse(MINUTES, 100, 10000, 0, &l);
	for (int k = 0; k < TALKERS; k++) {
		const double first_ms = mean_ms(&l, 1, k), last_ms = mean_ms(&l, MINUTES - 1, k);
		print_message("delay of talker %d: %.1f ms at first, %.1f at last; worst %.1f\n", k, first_ms, last_ms,
			l.worst_us / 1000);
		for (int minute = 1; minute < MINUTES; minute++)
			assert_true(fabs(mean_ms(&l, minute, k) - first_ms) < 30);
		assert_true(fabs(last_ms - first_ms) < 15);
	}
	assert_true(l.worst_us < 100000);
}

/* From a packet's coming to its sound's leaving, at zero jitter: the mixer's part of what a mouth needs to an ear. */
static void test_delay_at_zero_jitter(void **state)
{
	(void)state;
	static struct listener l;
	for (uint32_t shift_us = 0; shift_us < PL_MIXER_TICK_US; shift_us += 3300) {
		converse(2, 0, 0, shift_us, &l);
		print_message("delay %.1f and %.1f ms\n", mean_ms(&l, 1, 0), mean_ms(&l, 1, 1));
		assert_true(mean_ms(&l, 1, 0) <= 40 && mean_ms(&l, 1, 1) <= 40);
	}
}

/* The worker stands still, for as long as it makes up for it or longer: two seconds later it is as if it never had.  (It was 100 ms that
 * listeners were behind for 15 s, when it had stood still for 105 to 120 ms.) */
static void test_a_worker_that_stood_still_leaves_no_delay_behind(void **state)
{
	enum { BEFORE_US = 12000000, SETTLE_US = 2000000, HEARD_US = 4000000 };
	(void)state;
	for (int64_t stall_us = 20000; stall_us < 300000;
		stall_us += stall_us >= 80000 && stall_us < 160000 ? 5000 : 20000) {
		struct world *w = begin(0, 0, 7000);
		run(w, START_US + BEFORE_US);
		w->now_us += stall_us;
		for (uint32_t k = 0; k < TALKERS; k++) { /* messages are read before a step is made */
			while (w->talker[k].next_us <= w->now_us)
				speak(w, k);
		}
		run(w, START_US + BEFORE_US + SETTLE_US);
		const uint64_t left_out = pl_codec_counters(w->codec).left_out;
		if (left_out != 0 ? stall_us <= 100000 : stall_us >= 120000)
			fail_msg("%d ms: %d left out", (int)stall_us / 1000, (int)left_out);
		const double before_us = w->listener.worst_us;
		w->listener.worst_us = 0;
		run(w, START_US + BEFORE_US + SETTLE_US + HEARD_US);
		assert_true(before_us > 0 && w->listener.worst_us > 0);
		if (w->listener.worst_us > 25000)
			fail_msg("%d ms: %.1f ms", (int)stall_us / 1000, w->listener.worst_us / 1000);
		end(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_half_an_hour_without_creep),
		cmocka_unit_test(test_delay_at_zero_jitter),
		cmocka_unit_test(test_a_worker_that_stood_still_leaves_no_delay_behind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
