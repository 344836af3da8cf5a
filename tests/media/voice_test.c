#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <opus/opus.h>

#include "media/rng.h"
#include "media/voice.h"
#include "tests/support/sound.h"

enum { MS = 48 /* samples */, FLYING_MAX = 2048, LOOP_MAX = 400, TONE_HZ = 500, SECOND_US = 1000000 };

static const double tone_amplitude = 0.4;

static struct pl_opus_templates *templates;

/* What a talker sends over and over again: a sound that fits its length of a second, encoded once. */
struct loop {
	uint16_t samples[LOOP_MAX]; /* of each packet */
	uint16_t size[LOOP_MAX];
	uint8_t bytes[LOOP_MAX][PL_OPUS_PACKET_MAX];
	size_t count;
};

enum sound { TONE, MARKED /* a louder tenth of a second once in a second */, SPEECH };

struct loop_config {
	enum sound sound;
	int application, frame; /* frame: samples; 0: of all lengths */
	int fec_loss_percent;   /* 0: no FEC */
};

static double sound_at(enum sound sound, uint64_t at)
{
	if (sound == SPEECH) {
		float x;
		pl_sound_voice(&x, 1, at % 48000, 0.5);
		return x;
	}
	const double loud = sound == MARKED && at % 48000 >= 24000 && at % 48000 < 28800 ? 2 : 1;
	return loud * tone_amplitude * sin(2 * 3.14159265358979323846 * TONE_HZ * (double)(at % 48000) / 48000);
}

/* The second time around is what is kept, so that it goes on from its own end. */
static void make_loop(struct loop *loop, const struct loop_config *c)
{
	static const uint16_t lengths[] = { 120, 240, 480, 960, 1920, 2880, 480, 120, 960, 5760, 240, 2880, 4800, 960 };
	int error;
	OpusEncoder *e = opus_encoder_create(48000, 1, c->application, &error);
	assert_non_null(e);
	opus_encoder_ctl(e, OPUS_SET_BITRATE(c->fec_loss_percent > 0 ? 24000 : c->frame < 480 ? 160000 : 64000));
	opus_encoder_ctl(e, OPUS_SET_COMPLEXITY(1));
	opus_encoder_ctl(e, OPUS_SET_INBAND_FEC(c->fec_loss_percent > 0));
	opus_encoder_ctl(e, OPUS_SET_PACKET_LOSS_PERC(c->fec_loss_percent));
	const uint64_t length = c->frame > 0 && 48000 % c->frame != 0 ? UINT64_C(144000) : 48000;
	uint64_t at = 0;
	for (int round = 0; round < 2; round++) {
		loop->count = 0;
		while (at < (uint64_t)(round + 1) * length) {
			float pcm[5760];
			uint16_t samples = c->frame > 0 ? (uint16_t)c->frame : lengths[loop->count % PL_COUNT(lengths)];
			while (at + samples > (uint64_t)(round + 1) * length)
				samples = 120;
			for (int i = 0; i < samples; i++)
				pcm[i] = (float)sound_at(c->sound, at + (uint64_t)i);
			const int size =
				opus_encode_float(e, pcm, samples, loop->bytes[loop->count], PL_OPUS_PACKET_MAX);
			assert_true(size > 2 && loop->count < LOOP_MAX);
			loop->samples[loop->count] = samples;
			loop->size[loop->count++] = (uint16_t)size;
			at += samples;
		}
	}
	opus_encoder_destroy(e);
}

struct flying {
	int64_t arrives_us;
	uint32_t ts, ssrc;
	uint16_t seq;
	size_t place; /* in the loop */
};

/* A talker, a network and the mixer's tick, in virtual time. */
struct world {
	struct pl_voice *voice;
	struct loop loop;
	struct pl_rng rng;
	int64_t now_us, tick_us;

	/* the talker; its clock is drift_ppm faster than ours */
	double drift_ppm, media_us; /* media_us: when its next packet is complete */
	bool is_talking;
	uint32_t ssrc, ts;
	uint16_t seq;
	size_t place;

	/* the network */
	uint32_t loss_percent, jitter_us, duplicate_percent;
	int64_t blocked_until_us;
	struct flying flying[FLYING_MAX];
	size_t flying_count;
	uint64_t sent, lost;

	/* what is heard */
	float *heard;
	size_t heard_count, heard_max;
	uint64_t pulls, silent_pulls;
	uint64_t dropped[PL_DROP_COUNT];
};

static struct world *world_create(const struct loop_config *config, uint64_t seed, uint32_t seconds)
{
	struct world *w = calloc(1, sizeof *w);
	assert_non_null(w);
	w->voice = aligned_alloc(64, pl_voice_bytes());
	w->heard_max = (size_t)(seconds + 1) * 48000;
	w->heard = calloc(w->heard_max, sizeof *w->heard);
	assert_non_null(w->voice);
	assert_non_null(w->heard);
	memset(w->voice, 0xa5, pl_voice_bytes());
	pl_voice_start(w->voice, templates, 7, 8);
	make_loop(&w->loop, config);
	pl_rng_init(&w->rng, seed);
	w->is_talking = true;
	w->ssrc = 100;
	w->ts = (uint32_t)pl_rng_next(&w->rng);
	w->seq = (uint16_t)(65536 - 200); /* wraps soon */
	w->now_us = 5 * SECOND_US;
	w->tick_us = w->now_us + 7000;
	w->media_us = (double)w->now_us;
	return w;
}

/* The share of its packets that carry FEC. */
static double fec_share(const struct loop *loop)
{
	double count = 0;
	for (size_t i = 0; i < loop->count; i++)
		count += pl_opus_packet_has_fec((struct pl_bytes){ loop->bytes[i], loop->size[i] });
	return count / (double)loop->count;
}

static void world_destroy(struct world *w)
{
	free(w->heard);
	free(w->voice);
	free(w);
}

static void send(struct world *w)
{
	const struct flying packet = { .ts = w->ts,
		.ssrc = w->ssrc,
		.seq = w->seq,
		.place = w->place,
		.arrives_us = (int64_t)w->media_us + (w->jitter_us > 0 ? pl_rng_below(&w->rng, w->jitter_us) : 0) };
	const int copies = pl_rng_below(&w->rng, 100) < w->duplicate_percent ? 2 : 1;
	w->sent++;
	if (pl_rng_below(&w->rng, 100) < w->loss_percent) {
		w->lost++;
		return;
	}
	for (int i = 0; i < copies; i++) {
		assert_true(w->flying_count < FLYING_MAX);
		struct flying *f = &w->flying[w->flying_count++];
		*f = packet;
		if (f->arrives_us < w->blocked_until_us)
			f->arrives_us = w->blocked_until_us;
	}
}

/* Each packet leaves when its last sample has been spoken. */
static void talk_until(struct world *w, int64_t until_us)
{
	for (;;) {
		const uint16_t samples = w->loop.samples[w->place];
		const double length_us = samples / 0.048 / (1 + w->drift_ppm * 1e-6);
		if (w->media_us + length_us > (double)until_us)
			return;
		w->media_us += length_us;
		if (w->is_talking) {
			send(w);
			w->seq++;
		}
		w->ts += samples;
		w->place = (w->place + 1) % w->loop.count;
	}
}

static void feed(struct world *w, const struct flying *f)
{
	static struct pl_packet packet;
	packet.ssrc = f->ssrc;
	packet.ts = f->ts;
	packet.seq = f->seq;
	packet.payload = (struct pl_bytes){ w->loop.bytes[f->place], w->loop.size[f->place] };
	w->dropped[pl_voice_feed(w->voice, f->arrives_us, &packet)]++;
}

static void deliver_until(struct world *w, int64_t until_us)
{
	for (;;) {
		size_t first = w->flying_count;
		for (size_t i = 0; i < w->flying_count; i++)
			if (w->flying[i].arrives_us <= until_us &&
				(first == w->flying_count || w->flying[i].arrives_us < w->flying[first].arrives_us))
				first = i;
		if (first == w->flying_count)
			return;
		const struct flying f = w->flying[first];
		memmove(&w->flying[first], &w->flying[first + 1],
			(--w->flying_count - first) * sizeof *w->flying); /* what was sent together stays in order */
		feed(w, &f);
	}
}

static bool tick(struct world *w)
{
	talk_until(w, w->tick_us);
	deliver_until(w, w->tick_us);
	assert_true(w->heard_count + PL_VOICE_FRAME <= w->heard_max);
	float *pcm = w->heard + w->heard_count;
	const bool is_heard = pl_voice_pull(w->voice, w->tick_us, pl_dsp_get(PL_SIMD_AUTO), pcm);
	if (!is_heard)
		memset(pcm, 0, PL_VOICE_FRAME * sizeof *pcm);
	for (size_t i = 0; i < PL_VOICE_FRAME; i++)
		assert_true(isfinite(pcm[i]));
	w->heard_count += PL_VOICE_FRAME;
	w->pulls++;
	w->silent_pulls += !is_heard;
	w->now_us = w->tick_us;
	w->tick_us += PL_VOICE_TICK_US;
	return is_heard;
}

static void run(struct world *w, int64_t ms)
{
	for (int64_t left = ms; left > 0; left -= 20)
		tick(w);
}

static struct pl_voice_gauges gauges(const struct world *w)
{
	struct pl_voice_gauges g;
	pl_voice_measure(w->voice, &g);
	return g;
}

/* From the end of the frame that a mark began in, to where it is heard: for all marks heard since `from`, the longest and the
 * shortest time in ms.  MARKED is said from the second's middle on; the talker's time is what it would be without drift
 * because marks are matched with where they were spoken. */
struct span {
	double least_ms, most_ms;
	unsigned marks;
};

static struct span mark_delays(const struct world *w, size_t from, double packet_ms)
{
	struct span span = { .least_ms = 1e9, .most_ms = -1e9 };
	bool was_loud = true;
	size_t last = 0; /* a mark that is interrupted is one */
	for (size_t i = from; i + 48 <= w->heard_count; i += 12) {
		float peak = 0;
		for (size_t k = 0; k < 48; k++)
			peak = fabsf(w->heard[i + k]) > peak ? fabsf(w->heard[i + k]) : peak;
		const bool is_loud = peak > 1.45 * tone_amplitude;
		if (is_loud && !was_loud && (last == 0 || i - last > 24000)) {
			last = i;
			/* when it was heard, on our clock: the first pull was at 5.007 s and heard at that time */
			const double heard_ms = 5007 + (double)i / MS;
			/* when it was said: seconds of media since 5 s, which drift stretches */
			const double rate = 1 + w->drift_ppm * 1e-6;
			const double media_ms = (heard_ms - 5000) * rate - 500;
			const double behind_ms = fmod(media_ms + 500000, 1000);
			const double delay = (behind_ms > 800 ? behind_ms - 1000 : behind_ms) - packet_ms;
			span.least_ms = delay < span.least_ms ? delay : span.least_ms;
			span.most_ms = delay > span.most_ms ? delay : span.most_ms;
			span.marks++;
		}
		if (is_loud || peak < 1.2 * tone_amplitude)
			was_loud = is_loud;
	}
	return span;
}

static const struct loop_config tone = { TONE, OPUS_APPLICATION_RESTRICTED_LOWDELAY, 960, 0 };
static const struct loop_config marked = { MARKED, OPUS_APPLICATION_RESTRICTED_LOWDELAY, 960, 0 };
static const struct loop_config speech = { SPEECH, OPUS_APPLICATION_RESTRICTED_LOWDELAY, 960, 0 };
static const struct loop_config robust = { SPEECH, OPUS_APPLICATION_VOIP, 960, 20 };

/* ---- tests ---- */

/* On a good network a packet waits for the next tick and no longer, whatever its length: mouth to ear is what the frame and
 * the tick cost. */
static void test_voice_zero_jitter_waits_for_the_tick_alone(void **state)
{
	(void)state;
	static const int frame[] = { 120, 240, 480, 960, 1920, 2880, 5760 };
	for (size_t f = 0; f < PL_COUNT(frame); f++) {
		for (int64_t phase_us = 0; phase_us < 20000; phase_us += 6500) {
			struct loop_config config = marked;
			config.frame = frame[f];
			struct world *w = world_create(&config, f + 1, 12);
			w->media_us += (double)phase_us;
			run(w, 12000);
			const struct pl_voice_gauges g = gauges(w);
			const double lookahead_ms = 2.5;
			struct span span = mark_delays(w, 48000, frame[f] / 48.0 + lookahead_ms);
			span.least_ms -= (double)phase_us / 1000;
			span.most_ms -= (double)phase_us / 1000;
			if (span.marks < 10 || span.most_ms > 21.5 || span.most_ms - span.least_ms > 2 ||
				g.lost + g.late + g.concealed > 0 || g.shortened > 960 || g.lengthened > 960)
				fail_msg("%d samples, phase %d: %u marks, %.1f to %.1f ms, lost %u, concealed %u, "
					 "shortened %u, lengthened %u",
					frame[f], (int)phase_us, span.marks, span.least_ms, span.most_ms,
					(unsigned)g.lost, (unsigned)g.concealed, (unsigned)g.shortened,
					(unsigned)g.lengthened);
			world_destroy(w);
		}
	}
}

/* A sine stays one: nothing is added to what the codec does. */
static void test_voice_is_as_clean_as_the_codec(void **state)
{
	(void)state;
	for (int is_mixed = 0; is_mixed < 2; is_mixed++) {
		struct loop_config config = tone;
		config.frame = is_mixed ? 0 : 960;
		struct world *w = world_create(&config, 3, 8);
		run(w, 8000);
		for (size_t at = (is_mixed ? 4 : 1) * 48000; at + 4800 <= w->heard_count; at += 4800) {
			const double snr = pl_sound_sine_snr_db(w->heard + at, 4800, TONE_HZ);
			if (snr < 30)
				fail_msg("mixed %d, at %zu ms: %.1f dB", is_mixed, at / 48, snr);
		}
		world_destroy(w);
	}
}

/* Packets that come 0 to 60 ms late, in any order, some twice: after the first seconds next to nothing is missing, and what
 * is heard waits no longer than that takes.  When the network is good again, the delay goes. */
static void test_voice_delay_follows_jitter_and_returns(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct world *w = world_create(&marked, seed, 60);
		w->jitter_us = 60000;
		w->duplicate_percent = 5;
		run(w, 4000);
		const struct pl_voice_gauges before = gauges(w);
		const size_t from = w->heard_count;
		run(w, 20000);
		const struct pl_voice_gauges g = gauges(w);
		const struct span span = mark_delays(w, from, 22.5);
		const double concealed_percent = (double)(g.concealed - before.concealed) / (20000 * MS) * 100;
		if (concealed_percent > 4 || span.marks < 17 || span.most_ms > 100 || span.least_ms < 40 ||
			g.duplicate == 0 || g.target_us < 40000 || g.target_us > 62000)
			fail_msg("seed %u: %.1f %% concealed, %u marks after %.1f to %.1f ms, target %u us",
				(unsigned)seed, concealed_percent, span.marks, span.least_ms, span.most_ms,
				(unsigned)g.target_us);
		assert_int_equal(w->dropped[PL_DROP_VOICE_LATE], g.late);
		assert_int_equal(w->dropped[PL_DROP_VOICE_DUPLICATE], g.duplicate);

		w->jitter_us = 0;
		run(w, 25000);
		const size_t after = w->heard_count;
		run(w, 8000);
		const struct span good = mark_delays(w, after, 22.5);
		if (good.marks < 7 || good.most_ms > 32)
			fail_msg("seed %u: back to %.1f ms", (unsigned)seed, good.most_ms);
		world_destroy(w);
	}
}

/* A packet in ten is lost: the sentence goes on without a hole or a click. */
static void test_voice_loss_is_concealed(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct world *w = world_create(&tone, seed, 31);
		w->loss_percent = 10;
		run(w, 30000);
		const struct pl_voice_gauges g = gauges(w);
		assert_true(g.lost >= w->lost - 3 && g.lost <= w->lost);
		assert_in_range(g.concealed, w->lost * 960 * 8 / 10, w->lost * 960);
		unsigned holes = 0; /* where three and more are lost one after the other it may become quiet */
		for (size_t at = 48000; at + 960 <= w->heard_count; at += 480) {
			const double rms = pl_sound_rms(w->heard + at, 960), right = tone_amplitude / sqrt(2);
			holes += rms < right * 0.4;
			if (rms < right * 0.1 || rms > right * 1.5)
				fail_msg("seed %u, at %zu ms: %.3f", (unsigned)seed, at / 48, rms);
		}
		assert_in_range(holes, 0, 30000 / 10 / 100);
		assert_true(
			pl_sound_amplitude(w->heard + 48000, w->heard_count - 48000, TONE_HZ) > 0.8 * tone_amplitude);
		world_destroy(w);
	}
}

/* With FEC most of what is lost is heard as it was said, since one packet more is waited for then. */
static void test_voice_uses_fec(void **state)
{
	(void)state;
	double recovered = 0, concealed = 0, possible = 0;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct world *w = world_create(&robust, seed, 31);
		w->loss_percent = 10;
		run(w, 5000);
		const struct pl_voice_gauges before = gauges(w);
		run(w, 25000);
		const struct pl_voice_gauges g = gauges(w);
		recovered += (double)(g.recovered - before.recovered);
		concealed += (double)(g.concealed - before.concealed);
		possible = fec_share(&w->loop) * 0.9; /* when the next one is lost, too, there is none */
		assert_in_range(g.delay_us, 0, 35000);
		world_destroy(w);
	}
	if (possible < 0.5 || recovered < 0.9 * possible * (recovered + concealed))
		fail_msg("%.2f recovered, %.2f could be", recovered / (recovered + concealed), possible);
}

/* The worst that is asked for: loss and jitter and reordering at once. */
static void test_voice_survives_loss_and_jitter(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct world *w = world_create(&tone, seed, 31);
		w->loss_percent = 10;
		w->jitter_us = 60000;
		run(w, 5000);
		const struct pl_voice_gauges before = gauges(w);
		run(w, 25000);
		const struct pl_voice_gauges g = gauges(w);
		const double concealed_percent = (double)(g.concealed - before.concealed) / (25000 * MS) * 100;
		double snr = 0;
		unsigned windows = 0;
		for (size_t at = 5 * 48000; at + 960 <= w->heard_count; at += 960, windows++)
			snr += fmin(pl_sound_sine_snr_db(w->heard + at, 960, TONE_HZ), 40);
		if (concealed_percent > 15 || snr / windows < 15 || g.delay_us > 100000)
			fail_msg("seed %u: %.1f %% concealed, %.1f dB, delay %u us", (unsigned)seed, concealed_percent,
				snr / windows, (unsigned)g.delay_us);
		world_destroy(w);
	}
}

/* Packets of any length, also in turn: jitter costs each of them what it is, and what is late for its length. */
static void test_voice_any_frame_length_survives_jitter(void **state)
{
	(void)state;
	static const int frame[] = { 120, 240, 480, 1920, 2880, 5760, 0 };
	for (size_t f = 0; f < PL_COUNT(frame); f++) {
		struct loop_config config = tone;
		config.frame = frame[f];
		struct world *w = world_create(&config, f + 20, 26);
		w->jitter_us = 40000;
		run(w, 6000);
		const struct pl_voice_gauges before = gauges(w);
		run(w, 20000);
		const struct pl_voice_gauges g = gauges(w);
		const double concealed_percent = (double)(g.concealed - before.concealed) / (20000 * MS) * 100;
		const double most_ms = frame[f] == 0 ? 200 : 75;
		if (concealed_percent > 4 || g.delay_us > most_ms * 1000)
			fail_msg("%d samples: %.1f %% concealed, delay %u us", frame[f], concealed_percent,
				(unsigned)g.delay_us);
		world_destroy(w);
	}
}

/* The mixer begins to listen in the middle of a sentence (and to stereo): what libopus makes too loud then, because it does
 * not know what came before, is faded in. */
static void test_voice_begins_in_the_middle_of_a_sentence(void **state)
{
	(void)state;
	struct pl_packet *packet = calloc(1, sizeof *packet);
	struct pl_voice *v = aligned_alloc(64, pl_voice_bytes());
	int error;
	double worst_db = -100;
	for (unsigned begins_at = 20; begins_at < 80; begins_at += 3) {
		OpusEncoder *e = opus_encoder_create(48000, 2, OPUS_APPLICATION_RESTRICTED_LOWDELAY, &error);
		OpusDecoder *d = opus_decoder_create(48000, 1, &error);
		opus_encoder_ctl(e, OPUS_SET_COMPLEXITY(1));
		pl_voice_start(v, templates, 1, 2);
		for (unsigned n = 0; n < begins_at + 3; n++) {
			float mono[960], stereo[1920], right[960], heard[960];
			uint8_t bytes[PL_OPUS_PACKET_MAX];
			pl_sound_voice(mono, 960, n * 960, 0.05);
			for (int i = 0; i < 1920; i++)
				stereo[i] = mono[i / 2];
			const int size = opus_encode_float(e, stereo, 960, bytes, sizeof bytes);
			assert_int_equal(opus_decode_float(d, bytes, size, right, 960, 0), 960);
			if (n < begins_at)
				continue;
			*packet = (struct pl_packet){
				.seq = (uint16_t)n, .ts = n * 960, .payload = { bytes, (size_t)size }
			};
			assert_int_equal(pl_voice_feed(v, n * 20000, packet), PL_DROP_NONE);
			assert_true(pl_voice_pull(v, n * 20000, pl_dsp_get(PL_SIMD_AUTO), heard));
			const double db =
				20 * log10((pl_sound_rms(heard, 960) + 1e-6) / (pl_sound_rms(right, 960) + 1e-6));
			worst_db = db > worst_db ? db : worst_db;
		}
		opus_decoder_destroy(d);
		opus_encoder_destroy(e);
	}
	if (worst_db > 8)
		fail_msg("%.1f dB louder than it was said", worst_db);
	free(v);
	free(packet);
}

/* The network stands still for 0.1-2.5 s and then delivers all at once, every seven seconds: each time the delay is gone again
 * before the next, and it is no longer after the eighth than after the first. */
static void test_voice_bursts_leave_no_delay_behind(void **state)
{
	(void)state;
	static const int64_t stall_ms[] = { 100, 300, 500, 900, 1500, 2500 };
	for (size_t s = 0; s < PL_COUNT(stall_ms); s++) {
		struct world *w = world_create(&marked, s + 1, 60);
		run(w, 3000);
		for (int round = 0; round < 8; round++) {
			w->blocked_until_us = w->now_us + stall_ms[s] * 1000;
			run(w, 5500);
			const size_t from = w->heard_count;
			run(w, 1500);
			const struct span span = mark_delays(w, from, 22.5);
			if (span.marks < 1 || span.most_ms > 60)
				fail_msg("%d ms, round %d: %u marks, %.1f ms", (int)stall_ms[s], round, span.marks,
					span.most_ms);
		}
		world_destroy(w);
	}
}

/* Half an hour with a microphone whose clock is 200 ppm off: 360 ms too much or too little.  The delay is the same at every
 * second of it. */
static void test_voice_delay_does_not_creep(void **state)
{
	(void)state;
	enum { MINUTES = 30 };
	for (int sign = -1; sign <= 1; sign += 2) {
		struct world *w = world_create(&marked, 9, MINUTES * 60);
		w->drift_ppm = 200 * sign;
		w->jitter_us = 3000;
		run(w, MINUTES * 60000);
		const struct pl_voice_gauges g = gauges(w);
		const struct span span = mark_delays(w, 5 * 48000, 22.5);
		if (span.marks < MINUTES * 60 - 20 || span.most_ms > 50 || span.least_ms < -2 ||
			g.concealed > 40 * 960 || g.shortened + g.lengthened > 3 * 360 * MS)
			fail_msg("%d ppm: %u marks, %.1f to %.1f ms, %u concealed, %u cut, %u put in",
				(int)w->drift_ppm, span.marks, span.least_ms, span.most_ms, (unsigned)g.concealed,
				(unsigned)g.shortened, (unsigned)g.lengthened);
		world_destroy(w);
	}
}

/* A sine of angular frequency w has second differences of w * w * amplitude; fades and seams may add a little, a click is
 * 50 times as much. */
static void assert_no_click(const struct world *w, size_t from, double most, const char *what)
{
	const float before[2] = { from > 1 ? w->heard[from - 2] : 0, from > 0 ? w->heard[from - 1] : 0 };
	const double click = pl_sound_click(w->heard + from, w->heard_count - from, before);
	if (click > most)
		fail_msg("%s: a bend of %.4f, allowed %.4f, a sine's %.4f", what, click, most,
			tone_amplitude * pow(2 * 3.14159265 * TONE_HZ / 48000, 2));
}

/* Spurts begin and end anywhere in the wave; nothing clicks. */
static void test_voice_entries_and_exits_do_not_click(void **state)
{
	(void)state;
	struct world *w = world_create(&tone, 5, 60);
	for (int spurt = 0; spurt < 40; spurt++) {
		w->is_talking = true;
		run(w, 400 + 20 * (spurt % 7));
		w->is_talking = false;
		run(w, 60 + 60 * (spurt % 9)); /* shorter and longer than the fade */
	}
	assert_no_click(w, 0, 0.02, "spurts");
	world_destroy(w);
}

static void test_voice_splices_and_losses_do_not_click(void **state)
{
	(void)state;
	struct world *w = world_create(&tone, 6, 80);
	for (int round = 0; round < 3; round++) {
		w->jitter_us = 60000;
		run(w, 5000);
		w->jitter_us = 0;
		run(w, 20000);
	}
	const struct pl_voice_gauges g = gauges(w);
	if (g.lengthened < 1000 || g.shortened < 1000)
		fail_msg("%u put in, %u cut", (unsigned)g.lengthened, (unsigned)g.shortened);
	assert_no_click(w, 0, 0.02, "splices");
	world_destroy(w);

	w = world_create(&tone, 7, 31);
	w->loss_percent = 10;
	run(w, 30000);
	assert_no_click(w, 0, 0.02, "losses");
	world_destroy(w);
}

/* Who says nothing costs nothing: after the comfort tail no sound, no decoding, and the memory of what was said before does not
 * delay the next word. */
static void test_voice_silence_costs_nothing(void **state)
{
	(void)state;
	struct world *w = world_create(&speech, 8, 20);
	run(w, 2000);
	w->is_talking = false;
	run(w, 300);
	assert_true(pl_voice_is_silent(w->voice));
	const struct pl_voice_gauges before = gauges(w);
	const uint64_t silent = w->silent_pulls;
	run(w, 5000);
	const struct pl_voice_gauges g = gauges(w);
	assert_int_equal(w->silent_pulls - silent, 250);
	assert_int_equal(g.decoded, before.decoded);
	assert_int_equal(g.concealed, before.concealed);
	assert_true(g.concealed <= 7 * 960);
	assert_int_equal(g.lost, 0); /* a pause is no loss */

	w->is_talking = true;
	int ticks = 1;
	while (!tick(w))
		ticks++;
	assert_in_range(ticks, 1, 2);
	world_destroy(w);
}

/* DTX: packets of one byte say "silence", and one real packet comes in 400 ms. */
static void test_voice_dtx_is_silence(void **state)
{
	(void)state;
	struct world *w = world_create(&speech, 8, 20);
	run(w, 1000);
	w->is_talking = false;
	run(w, 1000);
	const uint64_t silent = w->silent_pulls;
	struct pl_packet *packet = calloc(1, sizeof *packet);
	const uint8_t dtx = 0x48;
	for (int i = 0; i < 20; i++) {
		*packet = (struct pl_packet){ .ssrc = w->ssrc, .seq = w->seq++, .ts = w->ts, .payload = { &dtx, 1 } };
		run(w, 100);
		assert_int_equal(pl_voice_feed(w->voice, w->now_us, packet), PL_DROP_NONE);
	}
	assert_int_equal(w->silent_pulls - silent, 100);
	free(packet);
	world_destroy(w);
}

/* A publisher that begins anew (another SSRC, or timestamps and numbers from elsewhere) is heard again at once, and
 * without a click. */
static void test_voice_follows_a_publisher_that_began_anew(void **state)
{
	(void)state;
	static const struct {
		uint32_t ssrc_add, ts_add;
		uint16_t seq_add;
		int64_t within_ms;
	} row[] = {
		{ 1, 0, 0, 60 },
		{ 1, 0x70000000, 20000, 60 },
		{ 0, 0x70000000, 20000, 60 },
		{ 0, 0x90000000, 20000, 60 },
		{ 0, 200000, 0, 60 },
		{ 0, (uint32_t)-200000, 0, 700 },
		{ 0, (uint32_t)-200000, 30000, 60 },
	};
	for (size_t r = 0; r < PL_COUNT(row); r++) {
		struct world *w = world_create(&tone, r + 1, 10);
		run(w, 3000);
		w->ssrc += row[r].ssrc_add;
		w->ts += row[r].ts_add;
		w->seq = (uint16_t)(w->seq + row[r].seq_add);
		const uint64_t silent = w->silent_pulls;
		run(w, 3000);
		if ((int64_t)(w->silent_pulls - silent) * 20 > row[r].within_ms || gauges(w).restarted != 1)
			fail_msg("case %zu: %u silent ticks, restarted %u", r, (unsigned)(w->silent_pulls - silent),
				(unsigned)gauges(w).restarted);
		assert_no_click(w, 0, 0.02, "a new beginning");
		assert_true(pl_sound_sine_snr_db(w->heard + w->heard_count - 48000, 48000, TONE_HZ) > 30);
		world_destroy(w);
	}
}

/* Ticks that never came (a stalled machine) leave no delay behind, ticks that come late and then together neither. */
static void test_voice_ticks_may_be_missing_or_late(void **state)
{
	(void)state;
	struct world *w = world_create(&marked, 4, 60);
	run(w, 3000);
	for (int i = 0; i < 6; i++) {
		w->tick_us += (i + 1) * 100000; /* missing */
		w->heard_count += (size_t)(i + 1) * 100 * MS;
		run(w, 4000);
	}
	const size_t from = w->heard_count;
	run(w, 5000);
	const struct span span = mark_delays(w, from, 22.5);
	if (span.marks < 4 || span.most_ms > 60)
		fail_msg("missing ticks: %u marks, %.1f ms", span.marks, span.most_ms);

	for (int i = 0; i < 4; i++) { /* late: what came meanwhile is there, and then tick follows tick */
		const int64_t late_us = 80000;
		talk_until(w, w->tick_us + late_us);
		deliver_until(w, w->tick_us + late_us);
		run(w, 5000);
	}
	const size_t last = w->heard_count;
	run(w, 5000);
	const struct span late = mark_delays(w, last, 22.5);
	if (late.marks < 4 || late.most_ms > 60)
		fail_msg("late ticks: %u marks, %.1f ms", late.marks, late.most_ms);
	world_destroy(w);
}

/* Every length of a packet in the middle of a stream, and noise in its place: malformed ones are refused by name and
 * concealed, and the talker is heard afterwards. */
static void test_voice_malformed_packets_are_concealed(void **state)
{
	(void)state;
	struct world *w = world_create(&robust, 2, 120);
	struct pl_packet *packet = calloc(1, sizeof *packet);
	uint64_t malformed = 0, taken = 0;
	for (size_t length = 0; length < 260; length++) {
		run(w, 160);
		talk_until(w, w->tick_us);
		uint8_t *bytes = malloc(length > 0 ? length : 1);
		const size_t real = w->loop.size[w->place];
		memcpy(bytes, w->loop.bytes[w->place], length < real ? length : real);
		if (length > 100)
			for (size_t i = 0; i < length; i++)
				bytes[i] = (uint8_t)pl_rng_next(&w->rng);
		*packet = (struct pl_packet){
			.ssrc = w->ssrc, .seq = w->seq++, .ts = w->ts, .payload = { bytes, length }
		};
		w->ts += w->loop.samples[w->place];
		w->media_us += w->loop.samples[w->place] / 0.048;
		w->place = (w->place + 1) % w->loop.count;
		deliver_until(w, w->tick_us);
		const enum pl_drop drop = pl_voice_feed(w->voice, w->tick_us, packet);
		assert_true(drop == PL_DROP_NONE || drop == PL_DROP_VOICE_MALFORMED);
		malformed += drop == PL_DROP_VOICE_MALFORMED;
		taken += drop == PL_DROP_NONE;
		free(bytes);
	}
	assert_int_equal(gauges(w).malformed, malformed);
	assert_true(malformed > 20 && taken > 20);
	run(w, 3000);
	assert_true(pl_sound_rms(w->heard + w->heard_count - 48000, 48000) > 0.02);
	free(packet);
	world_destroy(w);
}

/* Whatever numbers, timestamps, lengths and times a peer chooses: no assertion, no sound that is none, and each packet ends
 * by a name. */
static void test_voice_takes_anything(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 30; seed++) {
		struct loop_config config = tone;
		config.frame = 0;
		struct world *w = world_create(&config, seed, 1);
		struct pl_packet *packet = calloc(1, sizeof *packet);
		float pcm[PL_VOICE_FRAME];
		int64_t now_us = 0;
		for (int step = 0; step < 4000; step++) {
			const uint32_t kind = pl_rng_below(&w->rng, 100);
			const size_t place = pl_rng_below(&w->rng, (uint32_t)w->loop.count);
			packet->payload = (struct pl_bytes){ w->loop.bytes[place], w->loop.size[place] };
			packet->seq++;
			packet->ts += kind < 50 ? w->loop.samples[place] : pl_rng_below(&w->rng, 3000) - 1000;
			if (kind == 98)
				packet->ts = (uint32_t)pl_rng_next(&w->rng);
			if (kind == 99)
				packet->ssrc = pl_rng_below(&w->rng, 3);
			if (kind == 97)
				packet->seq = (uint16_t)pl_rng_next(&w->rng);
			const enum pl_drop drop = pl_voice_feed(w->voice, now_us, packet);
			assert_true(drop == PL_DROP_NONE || drop == PL_DROP_VOICE_LATE ||
				    drop == PL_DROP_VOICE_DUPLICATE || drop == PL_DROP_VOICE_FULL);
			if (pl_rng_below(&w->rng, 100) < (seed % 3 == 0 ? 5 : 60)) {
				if (pl_voice_pull(w->voice, now_us, pl_dsp_get(PL_SIMD_AUTO), pcm))
					for (size_t i = 0; i < PL_VOICE_FRAME; i++)
						assert_true(isfinite(pcm[i]) && fabsf(pcm[i]) < 8);
				now_us += pl_rng_below(&w->rng, 100) == 0 ? 3000000 : pl_rng_below(&w->rng, 40000);
			}
			(void)gauges(w);
		}
		free(packet);
		world_destroy(w);
	}
}

static int setup(void **state)
{
	*state = aligned_alloc(64, pl_opus_templates_bytes());
	return pl_opus_templates_init(&templates, (struct pl_span){ *state, pl_opus_templates_bytes() }) == PL_ERR_NONE
		       ? 0
		       : -1;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_voice_zero_jitter_waits_for_the_tick_alone),
		cmocka_unit_test(test_voice_is_as_clean_as_the_codec),
		cmocka_unit_test(test_voice_delay_follows_jitter_and_returns),
		cmocka_unit_test(test_voice_loss_is_concealed),
		cmocka_unit_test(test_voice_uses_fec),
		cmocka_unit_test(test_voice_survives_loss_and_jitter),
		cmocka_unit_test(test_voice_any_frame_length_survives_jitter),
		cmocka_unit_test(test_voice_begins_in_the_middle_of_a_sentence),
		cmocka_unit_test(test_voice_bursts_leave_no_delay_behind),
		cmocka_unit_test(test_voice_delay_does_not_creep),
		cmocka_unit_test(test_voice_entries_and_exits_do_not_click),
		cmocka_unit_test(test_voice_splices_and_losses_do_not_click),
		cmocka_unit_test(test_voice_silence_costs_nothing),
		cmocka_unit_test(test_voice_dtx_is_silence),
		cmocka_unit_test(test_voice_follows_a_publisher_that_began_anew),
		cmocka_unit_test(test_voice_ticks_may_be_missing_or_late),
		cmocka_unit_test(test_voice_malformed_packets_are_concealed),
		cmocka_unit_test(test_voice_takes_anything),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
