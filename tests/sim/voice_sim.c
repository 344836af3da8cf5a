#include "tests/sim/voice_sim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <opus/opus.h>

#include "tests/support/sound.h"

static void *take(size_t size)
{
	void *memory = aligned_alloc(64, pl_whole_lines(size));
	PL_ASSERT(memory != NULL);
	return memory;
}

const struct pl_opus_templates *pl_voice_sim_templates(void)
{
	static struct pl_opus_templates *made;
	if (made == NULL) {
		const struct pl_span memory = { take(pl_opus_templates_bytes()), pl_opus_templates_bytes() };
		const enum pl_err err = pl_opus_templates_init(&made, memory);
		PL_ASSERT(err == PL_ERR_NONE);
	}
	return made;
}

static double sound_at(enum pl_voice_sim_sound sound, uint64_t at)
{
	if (sound == PL_VOICE_SIM_SPEECH) {
		float x;
		pl_sound_voice(&x, 1, at % 48000, 0.5);
		return x;
	}
	if (sound == PL_VOICE_SIM_NOISE) {
		struct pl_rng rng;
		pl_rng_init(&rng, at % 48000);
		return 0.4 * (pl_rng_below(&rng, 20001) / 10000.0 - 1);
	}
	const double loud = sound == PL_VOICE_SIM_MARKED && at % 48000 >= 24000 && at % 48000 < 28800 ? 2 : 1;
	return loud * PL_VOICE_SIM_AMPLITUDE *
	       sin(2 * 3.14159265358979323846 * PL_VOICE_SIM_HZ * (double)(at % 48000) / 48000);
}

/* The second time around is what is kept, so that it goes on from its own end. */
static void make_loop(struct pl_voice_sim_loop *loop, const struct pl_voice_sim_config *c)
{
	static const uint16_t lengths[] = { 120, 240, 480, 960, 1920, 2880, 480, 120, 960, 5760, 240, 2880, 4800, 960 };
	int error;
	OpusEncoder *e = opus_encoder_create(48000, 1,
		c->codec == PL_VOICE_SIM_VOIP ? OPUS_APPLICATION_VOIP : OPUS_APPLICATION_RESTRICTED_LOWDELAY, &error);
	PL_ASSERT(e != NULL);
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
			PL_ASSERT(size > 2 && loop->count < PL_VOICE_SIM_LOOP_MAX);
			loop->samples[loop->count] = samples;
			loop->size[loop->count++] = (uint16_t)size;
			at += samples;
		}
	}
	opus_encoder_destroy(e);
}

struct pl_voice_sim *pl_voice_sim_create(const struct pl_voice_sim_config *config, uint64_t seed, uint32_t seconds)
{
	struct pl_voice_sim *w = calloc(1, sizeof *w);
	PL_ASSERT(w != NULL);
	w->voice = take(pl_voice_bytes());
	w->heard_max = (size_t)(seconds + 1) * 48000;
	w->heard = calloc(w->heard_max, sizeof *w->heard);
	PL_ASSERT(w->voice != NULL);
	PL_ASSERT(w->heard != NULL);
	memset(w->voice, 0xa5, pl_voice_bytes());
	pl_voice_start(w->voice, pl_voice_sim_templates(), 7, 8);
	static struct pl_voice_sim_loop made; /* most worlds want the loop of the one before */
	static struct pl_voice_sim_config made_for;
	if (made.count == 0 || memcmp(&made_for, config, sizeof made_for) != 0)
		make_loop(&made, config);
	made_for = *config;
	w->loop = made;
	pl_rng_init(&w->rng, seed);
	w->is_talking = true;
	w->ssrc = 100;
	w->ts = (uint32_t)pl_rng_next(&w->rng);
	w->seq = (uint16_t)(65536 - 200); /* wraps soon */
	w->now_us = 5 * 1000000;
	w->tick_us = w->now_us + 7000;
	w->tick = UINT32_MAX - 300; /* wraps soon */
	w->media_us = (double)w->now_us;
	return w;
}

double pl_voice_sim_fec_share(const struct pl_voice_sim_loop *loop)
{
	double count = 0;
	for (size_t i = 0; i < loop->count; i++)
		count += pl_opus_packet_has_fec((struct pl_bytes){ loop->bytes[i], loop->size[i] });
	return count / (double)loop->count;
}

void pl_voice_sim_destroy(struct pl_voice_sim *w)
{
	free(w->heard);
	free(w->voice);
	free(w);
}

static void send(struct pl_voice_sim *w)
{
	const struct pl_voice_sim_packet packet = { .ts = w->ts,
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
		PL_ASSERT(w->flying_count < PL_VOICE_SIM_FLYING_MAX);
		struct pl_voice_sim_packet *f = &w->flying[w->flying_count++];
		*f = packet;
		if (f->arrives_us < w->blocked_until_us)
			f->arrives_us = w->blocked_until_us;
	}
}

/* Each packet leaves when its last sample has been spoken. */
void pl_voice_sim_talk_until(struct pl_voice_sim *w, int64_t until_us)
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

static void feed(struct pl_voice_sim *w, const struct pl_voice_sim_packet *f)
{
	static struct pl_packet packet;
	packet.ssrc = f->ssrc;
	packet.ts = f->ts;
	packet.seq = f->seq;
	packet.payload = (struct pl_bytes){ w->loop.bytes[f->place], w->loop.size[f->place] };
	w->dropped[pl_voice_feed(w->voice, f->arrives_us, &packet)]++;
}

void pl_voice_sim_deliver_until(struct pl_voice_sim *w, int64_t until_us)
{
	for (;;) {
		size_t first = w->flying_count;
		for (size_t i = 0; i < w->flying_count; i++)
			if (w->flying[i].arrives_us <= until_us &&
				(first == w->flying_count || w->flying[i].arrives_us < w->flying[first].arrives_us))
				first = i;
		if (first == w->flying_count)
			return;
		const struct pl_voice_sim_packet f = w->flying[first];
		memmove(&w->flying[first], &w->flying[first + 1],
			(--w->flying_count - first) * sizeof *w->flying); /* what was sent together stays in order */
		feed(w, &f);
	}
}

bool pl_voice_sim_tick(struct pl_voice_sim *w)
{
	pl_voice_sim_talk_until(w, w->tick_us);
	pl_voice_sim_deliver_until(w, w->tick_us);
	PL_ASSERT(w->heard_count + PL_VOICE_FRAME <= w->heard_max);
	float *pcm = w->heard + w->heard_count;
	const bool is_heard = pl_voice_pull(w->voice, w->tick_us, w->tick++, pl_dsp_get(PL_SIMD_AUTO), pcm);
	if (!is_heard)
		memset(pcm, 0, PL_VOICE_FRAME * sizeof *pcm);
	bool is_finite = true;
	for (size_t i = 0; i < PL_VOICE_FRAME; i++)
		is_finite = is_finite && isfinite(pcm[i]);
	PL_ASSERT(is_finite);
	w->heard_count += PL_VOICE_FRAME;
	w->pulls++;
	w->silent_pulls += !is_heard;
	w->now_us = w->tick_us;
	w->tick_us += PL_VOICE_TICK_US;
	return is_heard;
}

void pl_voice_sim_run(struct pl_voice_sim *w, int64_t ms)
{
	for (int64_t left = ms; left > 0; left -= 20)
		pl_voice_sim_tick(w);
}

struct pl_voice_gauges pl_voice_sim_gauges(const struct pl_voice_sim *w)
{
	struct pl_voice_gauges g;
	pl_voice_measure(w->voice, &g);
	return g;
}

struct pl_voice_sim_marks pl_voice_sim_marks(const struct pl_voice_sim *w, size_t from, double packet_ms)
{
	struct pl_voice_sim_marks span = { .least_ms = 1e9, .most_ms = -1e9 };
	bool was_loud = true;
	size_t last = 0; /* a mark that is interrupted is one */
	for (size_t i = from; i + 48 <= w->heard_count; i += 24) {
		float peak = 0;
		for (size_t k = 0; k < 48; k++)
			peak = fabsf(w->heard[i + k]) > peak ? fabsf(w->heard[i + k]) : peak;
		const bool is_loud = peak > 1.45 * PL_VOICE_SIM_AMPLITUDE;
		if (is_loud && !was_loud && (last == 0 || i - last > 24000)) {
			last = i;
			/* when it was heard, on our clock: the first pull was at 5.007 s and heard at that time */
			const double heard_ms = 5007 + (double)i / PL_VOICE_SIM_MS;
			/* when it was said: seconds of media since 5 s, which drift stretches */
			const double rate = 1 + w->drift_ppm * 1e-6;
			const double media_ms = (heard_ms - 5000) * rate - 500;
			const double behind_ms = fmod(media_ms + 500000, 1000);
			const double delay = (behind_ms > 800 ? behind_ms - 1000 : behind_ms) - packet_ms;
			span.least_ms = delay < span.least_ms ? delay : span.least_ms;
			span.most_ms = delay > span.most_ms ? delay : span.most_ms;
			span.marks++;
		}
		if (is_loud || peak < 1.2 * PL_VOICE_SIM_AMPLITUDE)
			was_loud = is_loud;
	}
	return span;
}
