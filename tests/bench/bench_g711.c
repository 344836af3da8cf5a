#include <math.h>
#include <stdlib.h>

#include "media/decimate.h"
#include "media/g711.h"
#include "media/mix.h"
#include "media/transcode.h"
#include "tests/bench/bench.h"

static void use(const void *memory)
{
	__asm__ volatile("" : : "r"(memory) : "memory");
}

static void bench_law(enum pl_g711_law law, const char *encoded, const char *decoded)
{
	const int rounds = 500000;
	float pcm[PL_G711_FRAME];
	uint8_t bytes[PL_G711_FRAME];
	for (int i = 0; i < PL_G711_FRAME; i++)
		pcm[i] = (float)(i * 7919 % 65536 - 32768) / 32768;
	double start = pl_bench_cpu_ns();
	for (int i = 0; i < rounds; i++) {
		pl_g711_encode(law, pcm, PL_G711_FRAME, bytes);
		use(bytes);
	}
	pl_bench_add(encoded, (pl_bench_cpu_ns() - start) / rounds, NULL, 0);
	start = pl_bench_cpu_ns();
	for (int i = 0; i < rounds; i++) {
		pl_g711_decode(law, bytes, PL_G711_FRAME, pcm);
		use(pcm);
	}
	pl_bench_add(decoded, (pl_bench_cpu_ns() - start) / rounds, NULL, 0);
}

static void bench_decimate(void)
{
	enum { FRAME = PL_G711_FRAME * PL_DECIMATE_FACTOR };
	const int rounds = 30000;
	struct pl_decimate d;
	float in[FRAME], out[PL_G711_FRAME];
	for (int i = 0; i < FRAME; i++)
		in[i] = (float)(i * 7919 % 65536 - 32768) / 32768;
	pl_decimate_init(&d);
	const double start = pl_bench_cpu_ns();
	for (int i = 0; i < rounds; i++) {
		pl_decimate(&d, in, FRAME, out);
		use(out);
	}
	pl_bench_add("decimate 48 to 8 kHz, 20 ms", (pl_bench_cpu_ns() - start) / rounds, NULL, 0);
}

static void *take(size_t bytes)
{
	void *memory = aligned_alloc(64, pl_whole_lines(bytes));
	if (memory == NULL)
		abort();
	return memory;
}

/* A voice of two tones and their beat, as G.711. */
static void make_voice(float *pcm, size_t count)
{
	for (size_t i = 0; i < count; i++)
		pcm[i] = 0.2f * sinf(0.12f * (float)i) + 0.1f * sinf(0.53f * (float)i) * sinf(0.002f * (float)i);
}

static void bench_transcode(void)
{
	enum { PACKETS = 3000 };
	static float pcm[PACKETS * PL_G711_FRAME];
	static uint8_t bytes[PACKETS * PL_G711_FRAME];
	struct pl_opus_templates *templates;
	struct pl_transcode *transcode = take(pl_transcode_bytes());
	struct pl_opus_encoder *encoder = take(pl_opus_encoder_bytes());
	struct pl_packet *out = take(sizeof *out);
	const size_t size = pl_opus_templates_bytes();
	void *memory = take(size);
	if (pl_opus_templates_init(&templates, (struct pl_span){ memory, size }) != PL_ERR_NONE)
		abort();
	make_voice(pcm, PL_COUNT(pcm));
	pl_g711_encode(PL_G711_PCMU, pcm, PL_COUNT(pcm), bytes);
	pl_g711_decode(PL_G711_PCMU, bytes, PL_COUNT(pcm), pcm);

	pl_opus_encoder_start(encoder, templates, PL_OPUS_CELT_8K);
	double start = pl_bench_cpu_ns();
	for (size_t i = 0; i < PACKETS; i++) {
		if (pl_opus_encode(encoder, &pcm[i * PL_G711_FRAME], false,
			    (struct pl_span){ out->data, sizeof out->data }) == 0)
			abort();
	}
	const double floor = (pl_bench_cpu_ns() - start) / PACKETS;

	const struct pl_transcode_config config = { .templates = templates, .ssrc = 1 };
	pl_transcode_start(transcode, &config);
	start = pl_bench_cpu_ns();
	for (size_t i = 0; i < PACKETS; i++) {
		const struct pl_packet packet = { .coding = PL_CODING_PCMU,
			.seq = (uint16_t)i,
			.ts = (uint32_t)(i * PL_G711_FRAME),
			.payload = { &bytes[i * PL_G711_FRAME], PL_G711_FRAME } };
		if (pl_transcode_feed(transcode, (int64_t)i * 20000, &packet) != PL_DROP_NONE ||
			!pl_transcode_next(transcode, out) || pl_transcode_next(transcode, out))
			abort();
	}
	pl_bench_add("PCMU to Opus, 20 ms", (pl_bench_cpu_ns() - start) / PACKETS, "the Opus encode alone", floor);
	free(memory);
	free(out);
	free(encoder);
	free(transcode);
}

void pl_bench_g711(void)
{
	bench_law(PL_G711_PCMU, "PCMU encode, 20 ms", "PCMU decode, 20 ms");
	bench_law(PL_G711_PCMA, "PCMA encode, 20 ms", "PCMA decode, 20 ms");
	bench_decimate();
	bench_transcode();
}
