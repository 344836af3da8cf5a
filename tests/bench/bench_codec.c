#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "media/limiter.h"
#include "sfu/codec.h"
#include "sfu/io/denormals.h"
#include "tests/bench/bench.h"
#include "tests/support/sound.h"

/* A room of three who talk like people do and hear the mix, and any number who only listen. */
enum {
	FRAME = PL_OPUS_FRAME,
	TALKERS = 3,
	STREAMS = TALKERS + 1,
	PATTERN = 200,
	TICKS = 1000,
	WARM = 100,
	IDLE = 5000
};

/* The bare calls of libopus for the same packets and samples. */
struct floor {
	struct pl_opus_decoder *decoder[TALKERS];
	struct pl_opus_encoder *encoder[STREAMS];
	float in[TALKERS][FRAME] __attribute__((aligned(64))), out[FRAME] __attribute__((aligned(64)));
	struct pl_limiter limiter[STREAMS];
	double opus_ns, samples_ns;
};

struct bench {
	struct pl_opus_templates *templates;
	struct pl_codec *codec;
	struct pl_packet *packet;
	uint8_t payload[TALKERS][PATTERN][PL_OPUS_PACKET_MAX];
	uint16_t size[TALKERS][PATTERN];
	void *memory, *template_memory;
	int64_t now_us;
	uint64_t sent;
	struct floor floor;
	double codec_ns;
};

static void *take(size_t size)
{
	void *memory = aligned_alloc(64, pl_whole_lines(size));
	if (memory == NULL)
		abort();
	memset(memory, 0, pl_whole_lines(size));
	return memory;
}

/* What browsers send: 32 kb/s of VOIP, or CELT. */
static void make_packets(struct bench *b, enum pl_opus_profile profile)
{
	for (int k = 0; k < TALKERS; k++) {
		struct pl_opus_encoder *encoder = take(pl_opus_encoder_bytes());
		pl_opus_encoder_start(encoder, b->templates, profile);
		pl_opus_encoder_tune(encoder, &(struct pl_opus_tuning){ 32000, 5, 0 });
		for (int i = 0; i < PATTERN; i++) {
			float pcm[FRAME];
			pl_sound_voice(pcm, FRAME, (uint64_t)(i + 1000 * k) * FRAME, 0.4);
			b->size[k][i] = (uint16_t)pl_opus_encode(
				encoder, pcm, false, (struct pl_span){ b->payload[k][i], PL_OPUS_PACKET_MAX });
		}
		free(encoder);
	}
}

static void init(struct bench *b, enum pl_opus_profile profile, uint8_t step)
{
	*b = (struct bench){ .now_us = 1000000, .template_memory = take(pl_opus_templates_bytes()) };
	if (pl_opus_templates_init(&b->templates, (struct pl_span){ b->template_memory, pl_opus_templates_bytes() }) !=
		PL_ERR_NONE)
		abort();
	const struct pl_codec_config config = { .templates = b->templates,
		.dsp = pl_dsp_get(PL_SIMD_AUTO),
		.rooms_max = IDLE + 1,
		.voices_max = 16,
		.encoders_max = 16,
		.packets = PL_POOL_PACKETS_MIN };
	b->memory = take(pl_codec_bytes(&config));
	pl_codec_init(&b->codec, &config, (struct pl_span){ b->memory, pl_codec_bytes(&config) });
	pl_codec_set_load(b->codec, (struct pl_mixer_load){ step });
	b->packet = take(PL_PACKET_SIZE);
	make_packets(b, profile);
	static const uint8_t complexity[] = { 9, 5, 2, 0 };
	for (int i = 0; i < STREAMS; i++) {
		b->floor.encoder[i] = take(pl_opus_encoder_bytes());
		pl_opus_encoder_start(b->floor.encoder[i], b->templates, PL_OPUS_CELT);
		pl_opus_encoder_tune(b->floor.encoder[i], &(struct pl_opus_tuning){ 40000, complexity[step], 0 });
		pl_limiter_init(&b->floor.limiter[i], PL_OPUS_CLOCK_HZ, 1);
	}
	for (int i = 0; i < TALKERS; i++) {
		b->floor.decoder[i] = take(pl_opus_decoder_bytes());
		pl_opus_decoder_start(b->floor.decoder[i], b->templates);
	}
}

static void fini(struct bench *b)
{
	for (int i = 0; i < STREAMS; i++)
		free(b->floor.encoder[i]);
	for (int i = 0; i < TALKERS; i++)
		free(b->floor.decoder[i]);
	free(b->packet);
	free(b->memory);
	free(b->template_memory);
}

static void open(struct bench *b, uint32_t room)
{
	pl_codec_take(b->codec, b->now_us, 0,
		&(struct pl_cross){ .kind = PL_CROSS_MIX_OPEN, .room = room, .groups = 1 << PL_MIX_FULL });
}

static void hear(struct bench *b, uint32_t talker)
{
	struct pl_packet *p = b->packet;
	const uint64_t i = b->sent % PATTERN;
	p->source = p->track = p->ssrc = 1 + talker;
	p->seq = (uint16_t)b->sent;
	p->ts = (uint32_t)b->sent * FRAME;
	p->mix_group = PL_MIX_FULL + 1;
	p->payload = (struct pl_bytes){ b->payload[talker][i], b->size[talker][i] };
	pl_codec_take(b->codec, b->now_us, 0, &(struct pl_cross){ .kind = PL_CROSS_MIX_HEAR, .room = 1, .packet = p });
}

/* One tick of the room; returns how many packets came out. */
static uint32_t tick(struct bench *b)
{
	struct pl_cross message;
	uint8_t to;
	uint32_t count = 0;
	const double start = pl_bench_cpu_ns();
	for (uint32_t k = 0; k < TALKERS; k++)
		hear(b, k);
	b->now_us += PL_MIXER_TICK_US;
	while (pl_codec_deadline(b->codec) <= b->now_us) {
		pl_codec_tick(b->codec, b->now_us);
		while (pl_codec_next(b->codec, b->now_us, &to, &message)) {
			count++;
			pl_codec_release(b->codec, message.packet);
		}
	}
	b->codec_ns += pl_bench_cpu_ns() - start;
	return count;
}

static void decode_bare(struct bench *b)
{
	struct floor *f = &b->floor;
	for (int k = 0; k < TALKERS; k++) {
		const struct pl_bytes payload = { b->payload[k][b->sent % PATTERN], b->size[k][b->sent % PATTERN] };
		const double start = pl_bench_cpu_ns();
		if (pl_opus_decode(f->decoder[k], payload, f->in[k], FRAME) != FRAME)
			abort();
		f->opus_ns += pl_bench_cpu_ns() - start;
	}
}

/* The shared stream (without 0 = nobody), or that of a talker. */
static void encode_bare(struct bench *b, int stream)
{
	struct floor *f = &b->floor;
	const struct pl_dsp *dsp = pl_dsp_get(PL_SIMD_AUTO);
	const float *in[TALKERS];
	uint8_t out[PL_OPUS_PACKET_MAX];
	size_t count = 0;
	for (int k = 0; k < TALKERS; k++) {
		if (k != stream - 1)
			in[count++] = f->in[k];
	}
	const double start = pl_bench_cpu_ns();
	dsp->sum(f->out, in, count, FRAME);
	pl_limiter_apply(&f->limiter[stream], dsp, f->out, FRAME);
	volatile uint8_t level = pl_dsp_measure(dsp, f->out, FRAME).level;
	(void)level;
	const double middle = pl_bench_cpu_ns();
	if (pl_opus_encode(f->encoder[stream], f->out, false, (struct pl_span){ out, sizeof out }) == 0)
		abort();
	f->samples_ns += middle - start;
	f->opus_ns += pl_bench_cpu_ns() - middle;
}

/* What asking for the time costs itself. */
static double clock_ns(void)
{
	const double start = pl_bench_cpu_ns();
	double now = start;
	for (int i = 0; i < 1000; i++)
		now = pl_bench_cpu_ns();
	return (now - start) / 1000;
}

static void bench_room(const char *who, enum pl_opus_profile profile, uint8_t step, bool has_parts)
{
	struct bench b;
	char name[64];
	init(&b, profile, step);
	open(&b, 1);
	for (int i = 0; i < WARM + TICKS; i++) {
		if (i == WARM)
			b.codec_ns = b.floor.opus_ns = b.floor.samples_ns = 0;
		if (tick(&b) != STREAMS && i >= WARM)
			abort();
		decode_bare(&b);
		for (int stream = 0; stream < STREAMS; stream++)
			encode_bare(&b, stream);
		b.sent++;
	}
	const double clock = clock_ns();
	snprintf(name, sizeof name, "mixed room, 3 %s, load %u: a tick", who, step);
	pl_bench_add(name, b.codec_ns / TICKS - clock, "3 decodes, 4 encodes",
		b.floor.opus_ns / TICKS - (TALKERS + STREAMS) * clock);
	if (has_parts)
		pl_bench_add("its samples: 4 sums, limiters and levels", b.floor.samples_ns / TICKS - STREAMS * clock,
			NULL, 0);
	fini(&b);
}

/* Rooms in which nobody talks are in no step: the one that talks costs what it costs alone. */
static void bench_idle(void)
{
	double ns[2];
	struct bench b;
	for (int k = 0; k < 2; k++) {
		init(&b, PL_OPUS_CELT, 3);
		open(&b, 1);
		for (uint32_t room = 2; k == 1 && room < IDLE + 2; room++)
			open(&b, room);
		for (int i = 0; i < WARM + TICKS; i++, b.sent++) {
			if (i == WARM)
				b.codec_ns = 0;
			tick(&b);
		}
		ns[k] = b.codec_ns / TICKS;
		fini(&b);
	}
	pl_bench_add("a room's tick beside 5,000 silent rooms", ns[1], "alone", ns[0]);
}

void pl_bench_codec(void)
{
	(void)pl_dsp_flush_denormals(); /* as a worker's thread does */
	bench_room("CELT", PL_OPUS_CELT, 1, true);
	bench_room("CELT", PL_OPUS_CELT, 3, false);
	bench_room("VOIP", PL_OPUS_VOIP, 1, false);
	bench_idle();
}
