#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "media/limiter.h"
#include "media/rng.h"
#include "tests/bench/bench.h"

/* A frame of 20 ms, 48 kHz, mono. */
enum { FRAME = 960, TALKERS = 3, CALLS = 2000, ROUNDS = 15, KEPT = 1 + TALKERS };

struct mixer {
	const struct pl_dsp *dsp;
	float in[TALKERS][FRAME] __attribute__((aligned(32)));
	float out[KEPT][FRAME] __attribute__((aligned(32)));
	int16_t s16[FRAME] __attribute__((aligned(32)));
	float figure;
	struct pl_limiter limiter;
};

static void do_sum(struct mixer *m)
{
	m->dsp->sum(m->out[0], (const float *const[]){ m->in[0], m->in[1], m->in[2] }, TALKERS, FRAME);
}

static void do_minus(struct mixer *m)
{
	m->dsp->minus(m->out[0], m->in[0], m->in[1], FRAME);
}

static void do_mix(struct mixer *m)
{
	m->dsp->mix(m->out[0], (float *const[]){ m->out[1], m->out[2], m->out[3] },
		(const float *const[]){ m->in[0], m->in[1], m->in[2] }, TALKERS, FRAME);
}

static void do_mix_by_parts(struct mixer *m)
{
	do_sum(m);
	for (size_t k = 0; k < TALKERS; k++)
		m->dsp->minus(m->out[1 + k], m->out[0], m->in[k], FRAME);
}

/* To -1 and back, so that nothing fades into denormals. */
static void do_ramp(struct mixer *m)
{
	m->dsp->ramp(m->out[0], 1, -1, FRAME);
	m->dsp->ramp(m->out[0], 1.5F, 0.5F, FRAME);
	memcpy(m->out[0], m->in[0], sizeof m->out[0]);
}

static void do_add_ramp(struct mixer *m)
{
	m->dsp->add_ramp(m->out[0], m->in[0], 1e-9F, -1e-9F, FRAME);
}

static void do_ramp_clamp(struct mixer *m)
{
	m->dsp->ramp_clamp(m->out[0], 1.001F, 0.999F, FRAME);
}

static void do_peak(struct mixer *m)
{
	m->figure += m->dsp->peak(m->in[0], FRAME);
}

static void do_measure(struct mixer *m)
{
	m->figure += pl_dsp_measure(m->dsp, m->in[0], FRAME).rms;
}

static void do_to_s16(struct mixer *m)
{
	m->dsp->to_s16(m->s16, m->in[0], FRAME);
}

static void do_from_s16(struct mixer *m)
{
	m->dsp->from_s16(m->out[0], m->s16, FRAME);
}

static void do_rest(struct mixer *m)
{
	pl_limiter_apply(&m->limiter, m->dsp, m->in[0], FRAME);
}

static void do_limit(struct mixer *m)
{
	m->dsp->from_s16(m->out[0], m->s16, FRAME);
	m->dsp->ramp(m->out[0], 8, 8, FRAME);
	pl_limiter_apply(&m->limiter, m->dsp, m->out[0], FRAME);
}

static const struct {
	const char *name;
	void (*run)(struct mixer *m);
} kernels[] = {
	{ "sum of 3", do_sum },
	{ "minus self", do_minus },
	{ "mix: 3 into 1 and 3 minus self", do_mix },
	{ "the same by sum and 3 minus", do_mix_by_parts },
	{ "ramp, twice, and a copy", do_ramp },
	{ "add with ramp", do_add_ramp },
	{ "ramp and clamp", do_ramp_clamp },
	{ "peak", do_peak },
	{ "level", do_measure },
	{ "to int16", do_to_s16 },
	{ "from int16", do_from_s16 },
	{ "limiter at rest", do_rest },
	{ "limiter at work, 2 kernels before it", do_limit },
};

static void init(struct mixer *m, const struct pl_dsp *dsp)
{
	struct pl_rng rng;
	*m = (struct mixer){ .dsp = dsp };
	pl_rng_init(&rng, 1);
	for (size_t k = 0; k < TALKERS; k++)
		for (size_t i = 0; i < FRAME; i++)
			m->in[k][i] = (float)pl_rng_below(&rng, 1 << 20) / (1 << 20) - 0.5F;
	memcpy(m->out, m->in, sizeof m->in);
	pl_dsp_get(PL_SIMD_PLAIN)->to_s16(m->s16, m->in[2], FRAME);
	pl_limiter_init(&m->limiter, 48000, 1);
}

static double measure(struct mixer *m, void (*run)(struct mixer *))
{
	const double start = pl_bench_cpu_ns();
	for (int i = 0; i < CALLS; i++) {
		run(m);
		__asm__ volatile("" : : "r"(m) : "memory");
	}
	return (pl_bench_cpu_ns() - start) / CALLS;
}

/* One against the other in turn, and the best round of each: the machine's moods hit both. */
static void compare(const struct pl_dsp *dsp, size_t kernel)
{
	static struct mixer fast, plain;
	double fast_ns = 0, plain_ns = 0;
	char name[64];
	init(&fast, dsp);
	init(&plain, pl_dsp_get(PL_SIMD_PLAIN));
	for (int round = 0; round < ROUNDS; round++) {
		const double f = measure(&fast, kernels[kernel].run), p = measure(&plain, kernels[kernel].run);
		fast_ns = round == 0 || f < fast_ns ? f : fast_ns;
		plain_ns = round == 0 || p < plain_ns ? p : plain_ns;
	}
	/* What is fast and wrong is worth nothing. */
	if (memcmp(fast.out, plain.out, sizeof fast.out) != 0 || memcmp(fast.s16, plain.s16, sizeof fast.s16) != 0 ||
		memcmp(&fast.figure, &plain.figure, sizeof fast.figure) != 0)
		abort();
	snprintf(name, sizeof name, "%s %s", pl_simd_text(dsp->level), kernels[kernel].name);
	pl_bench_add_faster(name, fast_ns, "plain C -O2", plain_ns);
}

void pl_bench_dsp(void)
{
	for (enum pl_simd level = PL_SIMD_AVX2; level < PL_SIMD_PLAIN; level++)
		for (size_t i = 0; pl_dsp_get(level) != NULL && i < PL_COUNT(kernels); i++)
			compare(pl_dsp_get(level), i);
}
