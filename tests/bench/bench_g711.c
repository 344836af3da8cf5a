#include "media/decimate.h"
#include "media/g711.h"
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

void pl_bench_g711(void)
{
	bench_law(PL_G711_PCMU, "PCMU encode, 20 ms", "PCMU decode, 20 ms");
	bench_law(PL_G711_PCMA, "PCMA encode, 20 ms", "PCMA decode, 20 ms");
	bench_decimate();
}
