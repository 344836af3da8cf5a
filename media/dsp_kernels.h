/* The kernels, written once over a vector of LANES floats; each dsp_<level>.c says what that is with its intrinsics and
 * then includes this file, once.  What it has to say:
 *   LANES (4 or 8), vector, and bits: as many 32-bit integers
 *   load, store
 *   HAS_PARTS, when it has instructions for load_part and store_part (the first count < LANES; the rest is read as 0 and
 *   not written)
 *   same (a value in each lane), add, sub, mul, min (a < b ? a : b), max (a > b ? a : b)
 *   magnitude (bits without the sign), most (the larger of each), no_bits, peak_of (the largest of the lanes as a float)
 *   store_s16 (round to nearest even, saturate, NaN is 0), load_s16
 * Frames are multiples of 8 samples nearly always, so the remainder need not be fast, only right. */
#ifndef LANES
#error "included by dsp_<level>.c, behind what it needs"
#endif

#include <string.h>

enum { BLOCK = 4, BLOCK_SAMPLES = BLOCK * LANES }; /* vectors that are in work at a time */

#define INLINE static inline __attribute__((always_inline))

#ifndef HAS_PARTS
static inline vector load_part(const float *p, size_t count)
{
	float part[LANES] = { 0 };
	memcpy(part, p, count * sizeof *p);
	return load(part);
}

static inline void store_part(float *p, vector v, size_t count)
{
	float part[LANES];
	store(part, v);
	memcpy(p, part, count * sizeof *p);
}
#endif

/* Of a loop whose count is a constant where it is inlined, nothing is left: its array becomes registers.  Without this
 * gcc -O2 keeps the array in memory, which costs five times the sum. */
#define UNROLLED _Pragma("GCC unroll 8")

INLINE void sum_block(float *out, const float *const in[], size_t count, size_t i)
{
	vector total[BLOCK];
	UNROLLED
	for (size_t b = 0; b < BLOCK; b++)
		total[b] = count > 0 ? load(in[0] + i + b * LANES) : same(0);
	UNROLLED
	for (size_t k = 1; k < count; k++) {
		UNROLLED
		for (size_t b = 0; b < BLOCK; b++)
			total[b] = add(total[b], load(in[k] + i + b * LANES));
	}
	UNROLLED
	for (size_t b = 0; b < BLOCK; b++)
		store(out + i + b * LANES, total[b]);
}

INLINE vector sum_part(const float *const in[], size_t count, size_t i, size_t left)
{
	vector total = count > 0 ? load_part(in[0] + i, left) : same(0);
	UNROLLED
	for (size_t k = 1; k < count; k++)
		total = add(total, load_part(in[k] + i, left));
	return total;
}

INLINE void sum_of(float *out, const float *const inputs[], size_t count, size_t n)
{
	const float *in[PL_DSP_INPUTS_MAX];
	size_t i = 0;
	UNROLLED
	for (size_t k = 0; k < count; k++)
		in[k] = inputs[k];
	for (; i + BLOCK_SAMPLES <= n; i += BLOCK_SAMPLES)
		sum_block(out, in, count, i);
	for (; i + LANES <= n; i += LANES) {
		vector total = count > 0 ? load(in[0] + i) : same(0);
		UNROLLED
		for (size_t k = 1; k < count; k++)
			total = add(total, load(in[k] + i));
		store(out + i, total);
	}
	if (i < n)
		store_part(out + i, sum_part(in, count, i, n - i), n - i);
}

#define COUNT_LIST(X) \
	X(0)          \
	X(1)          \
	X(2)          \
	X(3)          \
	X(4)          \
	X(5)          \
	X(6)          \
	X(7)          \
	X(8)
_Static_assert(PL_DSP_INPUTS_MAX == 8, "there is one of each");

static void sum(float *out, const float *const in[], size_t count, size_t n)
{
	PL_ASSERT(count <= PL_DSP_INPUTS_MAX);
	switch (count) {
#define X(count_)                           \
	case count_:                        \
		sum_of(out, in, count_, n); \
		break;
		COUNT_LIST(X)
#undef X
	}
}

static void minus(float *out, const float *total, const float *in, size_t n)
{
	size_t i = 0;
	for (; i + LANES <= n; i += LANES)
		store(out + i, sub(load(total + i), load(in + i)));
	if (i < n)
		store_part(out + i, sub(load_part(total + i, n - i), load_part(in + i, n - i)), n - i);
}

INLINE void mix_of(float *total, float *const outputs[], const float *const inputs[], size_t count, size_t n)
{
	const float *in[PL_DSP_INPUTS_MAX];
	float *out[PL_DSP_INPUTS_MAX];
	size_t i = 0;
	UNROLLED
	for (size_t k = 0; k < count; k++) {
		in[k] = inputs[k];
		out[k] = outputs[k];
	}
	for (; i + LANES <= n; i += LANES) {
		vector x[PL_DSP_INPUTS_MAX], all = same(0);
		UNROLLED
		for (size_t k = 0; k < count; k++) {
			x[k] = load(in[k] + i);
			all = k == 0 ? x[0] : add(all, x[k]);
		}
		store(total + i, all);
		UNROLLED
		for (size_t k = 0; k < count; k++)
			store(out[k] + i, sub(all, x[k]));
	}
	if (i == n)
		return;
	const vector all = sum_part(in, count, i, n - i);
	store_part(total + i, all, n - i);
	UNROLLED
	for (size_t k = 0; k < count; k++)
		store_part(out[k] + i, sub(all, load_part(in[k] + i, n - i)), n - i);
}

static void mix(float *total, float *const out[], const float *const in[], size_t count, size_t n)
{
	PL_ASSERT(count <= PL_DSP_INPUTS_MAX);
	switch (count) {
#define X(count_)                                  \
	case count_:                               \
		mix_of(total, out, in, count_, n); \
		break;
		COUNT_LIST(X)
#undef X
	}
}

/* The gains of LANES samples from i on; the index is kept as floats, which are exact far beyond any frame. */
struct gains {
	vector first, step, index;
};

INLINE struct gains gains_init(float g0, float g1, size_t n)
{
	static const float lane[] = { 0, 1, 2, 3, 4, 5, 6, 7 };
	return (struct gains){ same(g0), same(pl_dsp_ramp_step(g0, g1, n)), load(lane) };
}

INLINE vector gains_next(struct gains *g)
{
	const vector gain = add(g->first, mul(g->step, g->index));
	g->index = add(g->index, same(LANES));
	return gain;
}

static void ramp(float *x, float g0, float g1, size_t n)
{
	size_t i = 0;
	struct gains g = gains_init(g0, g1, n);
	for (; i + LANES <= n; i += LANES)
		store(x + i, mul(load(x + i), gains_next(&g)));
	if (i < n)
		store_part(x + i, mul(load_part(x + i, n - i), gains_next(&g)), n - i);
}

static void add_ramp(float *out, const float *x, float g0, float g1, size_t n)
{
	size_t i = 0;
	struct gains g = gains_init(g0, g1, n);
	for (; i + LANES <= n; i += LANES)
		store(out + i, add(load(out + i), mul(load(x + i), gains_next(&g))));
	if (i < n)
		store_part(
			out + i, add(load_part(out + i, n - i), mul(load_part(x + i, n - i), gains_next(&g))), n - i);
}

INLINE vector clamp(vector y)
{
	return max(min(y, same(1)), same(-1));
}

static void ramp_clamp(float *x, float g0, float g1, size_t n)
{
	size_t i = 0;
	struct gains g = gains_init(g0, g1, n);
	for (; i + LANES <= n; i += LANES)
		store(x + i, clamp(mul(load(x + i), gains_next(&g))));
	if (i < n)
		store_part(x + i, clamp(mul(load_part(x + i, n - i), gains_next(&g))), n - i);
}

static float peak(const float *x, size_t n)
{
	bits found[BLOCK] = { no_bits(), no_bits(), no_bits(), no_bits() };
	size_t i = 0;
	for (; i + BLOCK_SAMPLES <= n; i += BLOCK_SAMPLES) {
		UNROLLED
		for (size_t b = 0; b < BLOCK; b++)
			found[b] = most(found[b], magnitude(load(x + i + b * LANES)));
	}
	for (; i + LANES <= n; i += LANES)
		found[0] = most(found[0], magnitude(load(x + i)));
	if (i < n)
		found[0] = most(found[0], magnitude(load_part(x + i, n - i)));
	return peak_of(most(most(found[0], found[1]), most(found[2], found[3])));
}

enum { ENERGY_VECTORS = PL_DSP_ENERGY_LANES / LANES };

INLINE void add_squares(vector sums[static ENERGY_VECTORS], const float *x)
{
	UNROLLED
	for (size_t b = 0; b < ENERGY_VECTORS; b++) {
		const vector v = load(x + b * LANES);
		sums[b] = add(sums[b], mul(v, v));
	}
}

static float energy(const float *x, size_t n)
{
	vector sums[ENERGY_VECTORS];
	float lane[LANES];
	size_t i = 0;
	UNROLLED
	for (size_t b = 0; b < ENERGY_VECTORS; b++)
		sums[b] = same(0);
	for (; i + PL_DSP_ENERGY_LANES <= n; i += PL_DSP_ENERGY_LANES)
		add_squares(sums, x + i);
	if (i < n) {
		/* Silence behind the end changes no sum: none is negative. */
		float rest[PL_DSP_ENERGY_LANES] = { 0 };
		memcpy(rest, x + i, (n - i) * sizeof rest[0]);
		add_squares(sums, rest);
	}
	UNROLLED
	for (size_t half = ENERGY_VECTORS / 2; half > 0; half /= 2) {
		UNROLLED
		for (size_t b = 0; b < half; b++)
			sums[b] = add(sums[b], sums[b + half]);
	}
	store(lane, sums[0]);
	for (size_t half = LANES / 2; half > 0; half /= 2)
		UNROLLED
	for (size_t b = 0; b < half; b++)
		lane[b] += lane[b + half];
	return lane[0];
}

static void to_s16(int16_t *out, const float *in, size_t n)
{
	size_t i = 0;
	for (; i + LANES <= n; i += LANES)
		store_s16(out + i, mul(load(in + i), same(PL_DSP_S16_SCALE)));
	if (i < n) {
		int16_t rest[LANES];
		store_s16(rest, mul(load_part(in + i, n - i), same(PL_DSP_S16_SCALE)));
		memcpy(out + i, rest, (n - i) * sizeof rest[0]);
	}
}

static void from_s16(float *out, const int16_t *in, size_t n)
{
	size_t i = 0;
	for (; i + LANES <= n; i += LANES)
		store(out + i, mul(load_s16(in + i), same(1 / PL_DSP_S16_SCALE)));
	if (i < n) {
		int16_t rest[LANES] = { 0 };
		memcpy(rest, in + i, (n - i) * sizeof rest[0]);
		store_part(out + i, mul(load_s16(rest), same(1 / PL_DSP_S16_SCALE)), n - i);
	}
}

/* The table of these kernels. */
#define KERNELS(level_)                                                                                           \
	{                                                                                                         \
		.level = (level_), .sum = sum, .minus = minus, .mix = mix, .ramp = ramp, .add_ramp = add_ramp,    \
		.ramp_clamp = ramp_clamp, .peak = peak, .energy = energy, .to_s16 = to_s16, .from_s16 = from_s16, \
	}
