#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "media/dsp.h"
#include "media/rng.h"

enum { LENGTH_MAX = 1920, LENGTHS_RANDOM = 40, AREAS = 2 * PL_DSP_INPUTS_MAX + 1, CANARY = 0xa5, SKEW_MAX = 8 };

/* A place for one buffer between two pages that nobody may touch. */
static struct area {
	uint8_t *start;
	size_t size;
} area[2 * AREAS];

static int make_areas(void **state)
{
	(void)state;
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	const size_t size = (LENGTH_MAX * sizeof(float) + SKEW_MAX * sizeof(float) + page - 1) / page * page;
	for (size_t i = 0; i < PL_COUNT(area); i++) {
		uint8_t *all = mmap(NULL, size + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (all == MAP_FAILED || mprotect(all, page, PROT_NONE) != 0 ||
			mprotect(all + page + size, page, PROT_NONE) != 0)
			return -1;
		area[i] = (struct area){ all + page, size };
	}
	return 0;
}

/* size bytes with the forbidden page right before or right behind, or somewhere between: with any alignment that the
 * element has.  What is around them is painted. */
static void *place(struct pl_rng *rng, size_t index, size_t size, size_t element)
{
	struct area *a = &area[index];
	const size_t skew = element * pl_rng_below(rng, SKEW_MAX);
	memset(a->start, CANARY, a->size);
	switch (pl_rng_below(rng, 3)) {
	case 0:
		return a->start;
	case 1:
		return a->start + a->size - size;
	default:
		return a->start + skew;
	}
}

static void assert_painted(size_t index, const void *buffer, size_t size)
{
	const struct area *a = &area[index];
	const uint8_t *from = buffer, *end = from + size;
	for (const uint8_t *p = a->start; p < a->start + a->size; p++)
		if ((p < from || p >= end) && *p != CANARY)
			fail_msg("wrote %td bytes beyond its buffer", p < from ? p - from : p - end);
}

enum flavour { VOICE, EDGES, EDGES_FINITE, BITS, FLAVOURS };

static float any_float(struct pl_rng *rng, enum flavour flavour)
{
	static const float edge[] = { 0, -0.0F, 1, -1, 0.5F, FLT_TRUE_MIN, -FLT_TRUE_MIN, FLT_MIN, -FLT_MIN, FLT_MAX,
		-FLT_MAX, FLT_MIN / 2, 1.5F / 32768, 2.5F / 32768, -0.5F / 32768, 32767.5F / 32768, -32768.5F / 32768,
		65536, -65536, 3e9F, -3e9F, 1 - FLT_EPSILON / 2, 1 + FLT_EPSILON, INFINITY, -INFINITY, NAN, -NAN };
	const float voice = (float)pl_rng_below(rng, 1 << 24) / (1 << 23) - 1;
	const uint32_t bits = (uint32_t)pl_rng_next(rng);
	float raw;
	switch (flavour) {
	case EDGES:
		return pl_rng_below(rng, 4) == 0 ? voice : edge[pl_rng_below(rng, PL_COUNT(edge))];
	case EDGES_FINITE:
		return pl_rng_below(rng, 4) == 0 ? voice : edge[pl_rng_below(rng, PL_COUNT(edge) - 4)];
	case BITS:
		memcpy(&raw, &bits, sizeof raw);
		return raw;
	default:
		return voice;
	}
}

static float *place_floats(struct pl_rng *rng, size_t index, size_t n, enum flavour flavour)
{
	float *x = place(rng, index, n * sizeof *x, sizeof *x);
	for (size_t i = 0; i < n; i++)
		x[i] = any_float(rng, flavour);
	return x;
}

/* A second buffer with the same contents, elsewhere and aligned otherwise. */
static float *place_copy(struct pl_rng *rng, size_t index, const float *x, size_t n)
{
	float *copy = place(rng, index, n * sizeof *x, sizeof *x);
	memcpy(copy, x, n * sizeof *x);
	return copy;
}

/* Which of several NaNs comes out is the processor's choice. */
static bool is_same(float a, float b)
{
	return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

struct kernel_case {
	const struct pl_dsp *dsp, *plain;
	struct pl_rng *rng;
	enum flavour flavour;
	size_t n, count;
};

static void assert_same_floats(const struct kernel_case *c, const char *kernel, const float *got, const float *wanted)
{
	for (size_t i = 0; i < c->n; i++)
		if (!is_same(got[i], wanted[i]))
			fail_msg("%s %s: sample %zu of %zu, %zu inputs, flavour %d: %a, plain C has %a",
				pl_simd_text(c->dsp->level), kernel, i, c->n, c->count, (int)c->flavour, (double)got[i],
				(double)wanted[i]);
}

/* Inputs are areas 0 to 7, outputs of plain C 8 to 16, and those of the other kernel from 17 on. */
enum { WANTED = PL_DSP_INPUTS_MAX, GOT = WANTED + 1 + PL_DSP_INPUTS_MAX };

static void place_inputs(const struct kernel_case *c, float *in[static PL_DSP_INPUTS_MAX])
{
	for (size_t k = 0; k < c->count; k++)
		in[k] = place_floats(c->rng, k, c->n, c->flavour);
}

static void check_sum(const struct kernel_case *c)
{
	const size_t size = c->n * sizeof(float);
	float *in[PL_DSP_INPUTS_MAX], *wanted = place(c->rng, WANTED, size, 4), *got = place(c->rng, GOT, size, 4);
	place_inputs(c, in);
	c->plain->sum(wanted, (const float *const *)in, c->count, c->n);
	c->dsp->sum(got, (const float *const *)in, c->count, c->n);
	assert_same_floats(c, "sum", got, wanted);
	assert_painted(GOT, got, size);
	if (c->count == 0)
		return;
	const size_t into = pl_rng_below(c->rng, (uint32_t)c->count);
	c->dsp->sum(in[into], (const float *const *)in, c->count, c->n);
	assert_same_floats(c, "sum in place", in[into], wanted);
	assert_painted(into, in[into], size);
}

static void check_minus(const struct kernel_case *c)
{
	const size_t size = c->n * sizeof(float);
	float *wanted = place(c->rng, WANTED, size, 4), *got = place(c->rng, GOT, size, 4);
	float *total = place_floats(c->rng, 0, c->n, c->flavour), *in = place_floats(c->rng, 1, c->n, c->flavour);
	float *total_too = place_copy(c->rng, 2, total, c->n);
	c->plain->minus(wanted, total, in, c->n);
	c->dsp->minus(got, total, in, c->n);
	assert_same_floats(c, "minus", got, wanted);
	assert_painted(GOT, got, size);
	c->dsp->minus(total_too, total_too, in, c->n);
	assert_same_floats(c, "minus in place", total_too, wanted);
	c->dsp->minus(in, total, in, c->n);
	assert_same_floats(c, "minus in place", in, wanted);
	assert_painted(1, in, size);
}

static void check_mix(const struct kernel_case *c)
{
	const size_t size = c->n * sizeof(float);
	float *in[PL_DSP_INPUTS_MAX], *wanted[PL_DSP_INPUTS_MAX], *got[PL_DSP_INPUTS_MAX];
	float *total_wanted = place(c->rng, WANTED, size, 4), *total = place(c->rng, GOT, size, 4);
	const bool is_in_place = pl_rng_below(c->rng, 2) == 0;
	place_inputs(c, in);
	c->plain->sum(total_wanted, (const float *const *)in, c->count, c->n);
	for (size_t k = 0; k < c->count; k++) {
		wanted[k] = place(c->rng, WANTED + 1 + k, size, 4);
		got[k] = is_in_place ? in[k] : place(c->rng, GOT + 1 + k, size, 4);
		c->plain->minus(wanted[k], total_wanted, in[k], c->n);
	}
	c->dsp->mix(total, got, (const float *const *)in, c->count, c->n);
	assert_same_floats(c, "mix", total, total_wanted);
	assert_painted(GOT, total, size);
	for (size_t k = 0; k < c->count; k++) {
		assert_same_floats(c, "mix", got[k], wanted[k]);
		assert_painted(is_in_place ? k : GOT + 1 + k, got[k], size);
	}
}

static void check_ramps(const struct kernel_case *c)
{
	static const float gains[] = { 0, 1, 0.5F, 2, -1, 1e-30F, 0.3333F, FLT_MAX };
	const size_t size = c->n * sizeof(float);
	const float g0 = gains[pl_rng_below(c->rng, PL_COUNT(gains))],
		    g1 = gains[pl_rng_below(c->rng, PL_COUNT(gains))];
	float *wanted = place_floats(c->rng, WANTED, c->n, c->flavour), *got = place_copy(c->rng, GOT, wanted, c->n);
	c->plain->ramp(wanted, g0, g1, c->n);
	c->dsp->ramp(got, g0, g1, c->n);
	assert_same_floats(c, "ramp", got, wanted);
	assert_painted(GOT, got, size);

	wanted = place_floats(c->rng, WANTED, c->n, c->flavour);
	got = place_copy(c->rng, GOT, wanted, c->n);
	c->plain->ramp_clamp(wanted, g0, g1, c->n);
	c->dsp->ramp_clamp(got, g0, g1, c->n);
	assert_same_floats(c, "ramp_clamp", got, wanted);
	assert_painted(GOT, got, size);

	const float *x = place_floats(c->rng, 0, c->n, c->flavour);
	wanted = place_floats(c->rng, WANTED, c->n, c->flavour);
	got = place_copy(c->rng, GOT, wanted, c->n);
	c->plain->add_ramp(wanted, x, g0, g1, c->n);
	c->dsp->add_ramp(got, x, g0, g1, c->n);
	assert_same_floats(c, "add_ramp", got, wanted);
	assert_painted(GOT, got, size);
}

static void check_measures(const struct kernel_case *c)
{
	const float *x = place_floats(c->rng, 0, c->n, c->flavour);
	const struct kernel_case one = { c->dsp, c->plain, c->rng, c->flavour, 1, c->n };
	assert_same_floats(&one, "peak", &(float){ c->dsp->peak(x, c->n) }, &(float){ c->plain->peak(x, c->n) });
	assert_same_floats(&one, "energy", &(float){ c->dsp->energy(x, c->n) }, &(float){ c->plain->energy(x, c->n) });
}

static void check_s16(const struct kernel_case *c)
{
	const size_t size = c->n * sizeof(int16_t);
	const float *x = place_floats(c->rng, 0, c->n, c->flavour);
	int16_t *wanted = place(c->rng, WANTED, size, 2), *got = place(c->rng, GOT, size, 2);
	c->plain->to_s16(wanted, x, c->n);
	c->dsp->to_s16(got, x, c->n);
	for (size_t i = 0; i < c->n; i++)
		if (got[i] != wanted[i])
			fail_msg("%s to_s16: %a is %d, plain C has %d", pl_simd_text(c->dsp->level), (double)x[i],
				got[i], wanted[i]);
	assert_painted(GOT, got, size);

	for (size_t i = 0; i < c->n; i++)
		got[i] = (int16_t)pl_rng_next(c->rng);
	float *floats_wanted = place(c->rng, 1, c->n * sizeof(float), 4);
	float *floats = place(c->rng, 2, c->n * sizeof(float), 4);
	c->plain->from_s16(floats_wanted, got, c->n);
	c->dsp->from_s16(floats, got, c->n);
	assert_same_floats(c, "from_s16", floats, floats_wanted);
	assert_painted(2, floats, c->n * sizeof(float));
}

static void check_length(struct kernel_case *c, size_t n)
{
	static void (*const check[])(const struct kernel_case *) = { check_sum, check_minus, check_mix, check_ramps,
		check_measures, check_s16 };
	c->n = n;
	for (c->flavour = 0; c->flavour < FLAVOURS; c->flavour++) {
		c->count = pl_rng_below(c->rng, PL_DSP_INPUTS_MAX + 1);
		for (size_t i = 0; i < PL_COUNT(check); i++)
			check[i](c);
	}
}

/* Whatever processor mixes, listeners hear the same, and a change while the server runs is inaudible: each kernel of each
 * level gives the bits of plain C, for every flavour of input, any length and address, and touches nothing else. */
static void test_dsp_every_level_gives_the_bits_of_plain_c(void **state)
{
	(void)state;
	static const size_t frame[] = { 120, 160, 320, 480, 960, 1920 };
	size_t levels = 0;
	for (enum pl_simd level = 0; level < PL_SIMD_COUNT; level++) {
		struct pl_rng rng;
		pl_rng_init(&rng, 7 + (uint64_t)level);
		struct kernel_case c = { .dsp = pl_dsp_get(level), .plain = pl_dsp_get(PL_SIMD_PLAIN), .rng = &rng };
		if (c.dsp == NULL) {
			print_message("%s is left out: %s\n", pl_simd_text(level), pl_simd_lack(level));
			continue;
		}
		levels++;
		for (size_t n = 0; n <= 72; n++)
			check_length(&c, n);
		for (size_t i = 0; i < LENGTHS_RANDOM; i++)
			check_length(&c, pl_rng_below(&rng, 1101));
		for (size_t i = 0; i < PL_COUNT(frame); i++)
			check_length(&c, frame[i]);
	}
#if defined(__x86_64__) || defined(__aarch64__)
	assert_true(levels >= 3); /* auto, plain, and what the machine has */
#endif
}

/* A talker must not hear its own voice come back, and a listener must hear everybody: sums are right, and what was taken
 * out of them is gone, but for the last bit of the sum. */
static void test_dsp_sum_and_minus_mean_what_they_say(void **state)
{
	(void)state;
	static float in[PL_DSP_INPUTS_MAX][960], out[960], rest[960];
	const struct pl_dsp *dsp = pl_dsp_get(PL_SIMD_PLAIN);
	const float *inputs[PL_DSP_INPUTS_MAX];
	struct pl_rng rng;
	pl_rng_init(&rng, 3);
	for (size_t k = 0; k < PL_DSP_INPUTS_MAX; k++) {
		inputs[k] = in[k];
		for (size_t i = 0; i < 960; i++)
			in[k][i] = any_float(&rng, VOICE);
	}
	dsp->sum(out, inputs, PL_DSP_INPUTS_MAX, 960);
	dsp->minus(rest, out, in[4], 960);
	for (size_t i = 0; i < 960; i++) {
		double wanted = 0;
		for (size_t k = 0; k < PL_DSP_INPUTS_MAX; k++)
			wanted += (double)in[k][i];
		assert_true(fabs((double)out[i] - wanted) < 4e-6);
		assert_true(fabs((double)rest[i] - (wanted - (double)in[4][i])) < 4e-6);
	}
	memset(in[4], 0, sizeof in[4]);
	dsp->minus(rest, out, in[4], 960);
	assert_memory_equal(rest, out, sizeof out);
	dsp->sum(out, inputs, 0, 960);
	for (size_t i = 0; i < 960; i++)
		assert_true(out[i] == 0);
}

/* A fade over several frames is one line: a step where two frames meet would be a click 50 times a second. */
static void test_dsp_ramps_join_without_a_step(void **state)
{
	(void)state;
	for (enum pl_simd level = 0; level < PL_SIMD_COUNT; level++) {
		const struct pl_dsp *dsp = pl_dsp_get(level);
		float x[3 * 480], sum[3 * 480] = { 0 };
		if (dsp == NULL)
			continue;
		for (size_t i = 0; i < PL_COUNT(x); i++)
			x[i] = 1;
		dsp->add_ramp(sum, x, 0.25F, 0.5F, 480);
		dsp->add_ramp(sum + 480, x + 480, 0.5F, 0.75F, 480);
		dsp->add_ramp(sum + 960, x + 960, 0.75F, 1, 480);
		dsp->ramp(x, 0.25F, 0.5F, 480);
		dsp->ramp(x + 480, 0.5F, 0.75F, 480);
		dsp->ramp(x + 960, 0.75F, 1, 480);
		assert_true(x[0] == 0.25F && x[480] == 0.5F && x[960] == 0.75F);
		for (size_t i = 1; i < PL_COUNT(x); i++)
			assert_true(fabs((double)x[i] - (double)x[i - 1] - 0.25 / 480) < 2e-7);
		assert_true(fabs(1 - (double)x[3 * 480 - 1] - 0.25 / 480) < 2e-7);
		assert_memory_equal(x, sum, sizeof x);
	}
}

/* A ramp from 1 to 1 is no ramp: it leaves every bit, so nothing has to be left out where a gain rests. */
static void test_dsp_unit_ramp_changes_nothing(void **state)
{
	(void)state;
	const struct pl_dsp *dsp = pl_dsp_get(PL_SIMD_AUTO);
	struct pl_rng rng;
	float x[960], before[960];
	pl_rng_init(&rng, 5);
	for (size_t i = 0; i < 960; i++)
		before[i] = x[i] = any_float(&rng, EDGES_FINITE);
	dsp->ramp(x, 1, 1, 960);
	assert_memory_equal(x, before, sizeof x);
}

/* G.711 and every other 16-bit source: there and back is the same number, and loud is loud, not wrapped. */
static void test_dsp_s16_rounds_and_saturates(void **state)
{
	(void)state;
	static const struct {
		float in;
		int16_t out;
	} cases[] = { { 0.5F / 32768, 0 }, { 1.5F / 32768, 2 }, { 2.5F / 32768, 2 }, { -0.5F / 32768, 0 },
		{ -1.5F / 32768, -2 }, { 0.50001F / 32768, 1 }, { 1, 32767 }, { -1, -32768 },
		{ 32767.4F / 32768, 32767 }, { 32767.6F / 32768, 32767 }, { -32768.6F / 32768, -32768 },
		{ 1e6F, 32767 }, { -1e6F, -32768 }, { FLT_MAX, 32767 }, { -FLT_MAX, -32768 }, { INFINITY, 32767 },
		{ -INFINITY, -32768 }, { NAN, 0 } };
	static int16_t all[65536], back[65536];
	static float x[65536];
	for (size_t i = 0; i < PL_COUNT(all); i++)
		all[i] = (int16_t)((int32_t)i - 32768);
	for (enum pl_simd level = 0; level < PL_SIMD_COUNT; level++) {
		const struct pl_dsp *dsp = pl_dsp_get(level);
		if (dsp == NULL)
			continue;
		dsp->from_s16(x, all, PL_COUNT(all));
		assert_true(x[0] == -1 && x[32768] == 0 && x[65535] == 32767.0F / 32768);
		dsp->to_s16(back, x, PL_COUNT(all));
		assert_memory_equal(all, back, sizeof all);
		for (size_t i = 0; i < PL_COUNT(cases); i++) {
			float in[8];
			int16_t out[8];
			for (size_t k = 0; k < 8; k++)
				in[k] = cases[i].in;
			dsp->to_s16(out, in, 8);
			if (out[0] != cases[i].out || out[7] != cases[i].out)
				fail_msg("%s: %g is %d", pl_simd_text(level), (double)cases[i].in, out[0]);
		}
	}
}

/* The level that goes into the packets' header (RFC 6464), where others choose speakers by it. */
static void test_dsp_levels_are_those_of_rfc_6464(void **state)
{
	(void)state;
	static const struct {
		double amplitude;
		uint8_t sine, square;
	} cases[] = { { 1, 3, 0 }, { 0.5, 9, 6 }, { 0.1, 23, 20 }, { 0.01, 43, 40 }, { 1.0 / 32768, 93, 90 },
		{ 1e-6, 123, 120 }, { 1e-7, 127, 127 }, { 0, 127, 127 }, { 8, 0, 0 } };
	const struct pl_dsp *dsp = pl_dsp_get(PL_SIMD_AUTO);
	float sine[960], square[960];
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		for (size_t k = 0; k < 960; k++) {
			sine[k] = (float)(cases[i].amplitude * sin(2 * M_PI * 1000 * (double)k / 48000));
			square[k] = (float)(k / 24 % 2 == 0 ? cases[i].amplitude : -cases[i].amplitude);
		}
		const struct pl_dsp_level s = pl_dsp_measure(dsp, sine, 960), q = pl_dsp_measure(dsp, square, 960);
		if (s.level != cases[i].sine || q.level != cases[i].square)
			fail_msg("%g: sine %u, square %u", cases[i].amplitude, s.level, q.level);
		assert_true(q.peak == (float)cases[i].amplitude);
		assert_true(fabs((double)q.rms - cases[i].amplitude) <= 1e-6 * cases[i].amplitude);
	}
	square[77] = NAN;
	const struct pl_dsp_level broken = pl_dsp_measure(dsp, square, 960), none = pl_dsp_measure(dsp, square, 0);
	assert_true(isnan(broken.peak) && broken.level == PL_DSP_LEVEL_SILENCE);
	assert_true(none.peak == 0 && none.rms == 0 && none.level == PL_DSP_LEVEL_SILENCE);
}

/* A level is either there, with its own table, or there is a reason that an operator understands. */
static void test_dsp_levels_are_there_or_say_why_not(void **state)
{
	(void)state;
	for (enum pl_simd level = 0; level < PL_SIMD_COUNT; level++) {
		const struct pl_dsp *dsp = pl_dsp_get(level);
		enum pl_simd parsed;
		assert_true(pl_simd_parse(pl_simd_text(level), &parsed) && parsed == level);
		assert_true((dsp == NULL) == (pl_simd_lack(level) != NULL));
		if (dsp != NULL)
			assert_true(level == PL_SIMD_AUTO ? dsp->level != PL_SIMD_AUTO : dsp->level == level);
	}
	assert_non_null(pl_dsp_get(PL_SIMD_PLAIN));
	enum pl_simd parsed;
	assert_false(pl_simd_parse("avx512", &parsed));
	assert_false(pl_simd_parse("", &parsed));
#if defined(__x86_64__)
	assert_non_null(pl_simd_lack(PL_SIMD_NEON));
	const enum pl_simd best = __builtin_cpu_supports("avx2")     ? PL_SIMD_AVX2
				  : __builtin_cpu_supports("sse4.1") ? PL_SIMD_SSE41
								     : PL_SIMD_PLAIN;
	assert_int_equal(pl_dsp_get(PL_SIMD_AUTO)->level, best);
#elif defined(__aarch64__)
	assert_non_null(pl_simd_lack(PL_SIMD_AVX2));
	assert_int_equal(pl_dsp_get(PL_SIMD_AUTO)->level, PL_SIMD_NEON);
#endif
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dsp_every_level_gives_the_bits_of_plain_c),
		cmocka_unit_test(test_dsp_sum_and_minus_mean_what_they_say),
		cmocka_unit_test(test_dsp_ramps_join_without_a_step),
		cmocka_unit_test(test_dsp_unit_ramp_changes_nothing),
		cmocka_unit_test(test_dsp_s16_rounds_and_saturates),
		cmocka_unit_test(test_dsp_levels_are_those_of_rfc_6464),
		cmocka_unit_test(test_dsp_levels_are_there_or_say_why_not),
	};
	return cmocka_run_group_tests(tests, make_areas, NULL);
}
