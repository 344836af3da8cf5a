#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "media/dsp.h"
#include "media/opus.h"
#include "media/voice.h"
#include "tests/bench/bench.h"
#include "tests/support/sound.h"

enum { PACKETS = 500, ROUNDS = 8 };

struct talk {
	struct pl_opus_templates *templates;
	size_t size[PACKETS];
	uint8_t bytes[PACKETS][PL_OPUS_PACKET_MAX];
};

static void *take_aligned(size_t size)
{
	void *memory = aligned_alloc(64, size);
	if (memory == NULL)
		abort();
	memset(memory, 0, size); /* the kernel's part is not measured */
	return memory;
}

static void encode(struct talk *talk, enum pl_opus_profile profile)
{
	struct pl_opus_encoder *e = take_aligned(pl_opus_encoder_bytes());
	pl_opus_encoder_start(e, talk->templates, profile);
	for (unsigned n = 0; n < PACKETS; n++) {
		float pcm[PL_OPUS_FRAME];
		pl_sound_voice(pcm, PL_OPUS_FRAME, (uint64_t)n * PL_OPUS_FRAME, 0.5);
		talk->size[n] = pl_opus_encode(e, pcm, false, (struct pl_span){ talk->bytes[n], PL_OPUS_PACKET_MAX });
	}
	free(e);
}

/* A frame decoded by libopus alone. */
static double bare(const struct talk *talk)
{
	struct pl_opus_decoder *d = take_aligned(pl_opus_decoder_bytes());
	pl_opus_decoder_start(d, talk->templates);
	const double start = pl_bench_cpu_ns();
	for (unsigned n = 0; n < PACKETS; n++) {
		float pcm[PL_OPUS_FRAME];
		if (pl_opus_decode(d, (struct pl_bytes){ talk->bytes[n], talk->size[n] }, pcm, PL_OPUS_FRAME) !=
			PL_OPUS_FRAME)
			abort();
	}
	free(d);
	return (pl_bench_cpu_ns() - start) / PACKETS;
}

/* A packet fed and a frame pulled.  jitter_ticks: how many packets come together, so that the buffer is in use. */
static double voiced(const struct talk *talk, unsigned together)
{
	struct pl_voice *v = take_aligned(pl_voice_bytes());
	static struct pl_packet packet;
	unsigned fed = 0;
	pl_voice_start(v, talk->templates, 1, 2);
	const double start = pl_bench_cpu_ns();
	for (unsigned n = 0; n < PACKETS; n++) {
		float pcm[PL_OPUS_FRAME];
		const int64_t now_us = (int64_t)n * PL_VOICE_TICK_US;
		for (; n % together == 0 && fed < n + together && fed < PACKETS; fed++) {
			packet.seq = (uint16_t)fed;
			packet.ts = fed * PL_OPUS_FRAME;
			packet.payload = (struct pl_bytes){ talk->bytes[fed], talk->size[fed] };
			if (pl_voice_feed(v, now_us, &packet) != PL_DROP_NONE)
				abort();
		}
		if (!pl_voice_pull(v, now_us, n, pl_dsp_get(PL_SIMD_AUTO), pcm))
			abort();
	}
	const double ns = (pl_bench_cpu_ns() - start) / PACKETS;
	struct pl_voice_gauges gauges;
	pl_voice_measure(v, &gauges);
	if (gauges.decoded != PACKETS)
		abort();
	free(v);
	return ns;
}

static double silent(const struct talk *talk)
{
	struct pl_voice *v = take_aligned(pl_voice_bytes());
	const int pulls = 1000000;
	pl_voice_start(v, talk->templates, 1, 2);
	const double start = pl_bench_cpu_ns();
	for (int n = 0; n < pulls; n++) {
		float pcm[PL_OPUS_FRAME];
		if (pl_voice_pull(v, (int64_t)n * PL_VOICE_TICK_US, (uint32_t)n, pl_dsp_get(PL_SIMD_AUTO), pcm))
			abort();
	}
	free(v);
	return (pl_bench_cpu_ns() - start) / pulls;
}

/* The least of several rounds in turn, so that all see the same machine. */
static void compare(struct talk *talk, enum pl_opus_profile profile, const char *name)
{
	double floor = 1e18, at_once = 1e18, in_bursts = 1e18;
	char text[64];
	encode(talk, profile);
	for (int round = 0; round < ROUNDS; round++) {
		const double ns[] = { bare(talk), voiced(talk, 1), voiced(talk, 5) };
		floor = ns[0] < floor ? ns[0] : floor;
		at_once = ns[1] < at_once ? ns[1] : at_once;
		in_bursts = ns[2] < in_bursts ? ns[2] : in_bursts;
	}
	snprintf(text, sizeof text, "voice, 20 ms of a talker, %s", name);
	pl_bench_add(text, at_once, "bare decode", floor);
	snprintf(text, sizeof text, "voice, the same in bursts of 5, %s", name);
	pl_bench_add(text, in_bursts, "bare decode", floor);
}

void pl_bench_voice(void)
{
	struct talk *talk = pl_bench_take(1, sizeof *talk);
	const struct pl_span memory = { take_aligned(pl_opus_templates_bytes()), pl_opus_templates_bytes() };
	if (pl_opus_templates_init(&talk->templates, memory) != PL_ERR_NONE)
		abort();
	compare(talk, PL_OPUS_CELT, "CELT");
	compare(talk, PL_OPUS_VOIP, "SILK");
	pl_bench_add("voice, a silent tick", silent(talk), NULL, 0);
	free(memory.data);
	free(talk);
}
