/* Plain C, sample by sample: the reference of all others.  The compiler is told not to vectorise it (CMakeLists.txt), so
 * that it stays what it looks like. */
#include <math.h>
#include <string.h>

#include "media/dsp_tables.h"

static void sum(float *out, const float *const in[], size_t count, size_t n)
{
	PL_ASSERT(count <= PL_DSP_INPUTS_MAX);
	for (size_t i = 0; i < n; i++) {
		float total = count > 0 ? in[0][i] : 0;
		for (size_t k = 1; k < count; k++)
			total += in[k][i];
		out[i] = total;
	}
}

static void minus(float *out, const float *total, const float *in, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = total[i] - in[i];
}

static void mix(float *total, float *const out[], const float *const in[], size_t count, size_t n)
{
	sum(total, in, count, n);
	for (size_t k = 0; k < count; k++)
		minus(out[k], total, in[k], n);
}

static void ramp(float *x, float g0, float g1, size_t n)
{
	const float step = pl_dsp_ramp_step(g0, g1, n);
	for (size_t i = 0; i < n; i++)
		x[i] *= g0 + step * (float)i;
}

static void add_ramp(float *out, const float *x, float g0, float g1, size_t n)
{
	const float step = pl_dsp_ramp_step(g0, g1, n);
	for (size_t i = 0; i < n; i++)
		out[i] += x[i] * (g0 + step * (float)i);
}

static void ramp_clamp(float *x, float g0, float g1, size_t n)
{
	const float step = pl_dsp_ramp_step(g0, g1, n);
	for (size_t i = 0; i < n; i++) {
		const float y = x[i] * (g0 + step * (float)i), below = y < 1 ? y : 1;
		x[i] = below > -1 ? below : -1;
	}
}

/* Without their sign, the bits of floats are in the order of their magnitudes, and those of a NaN are above all. */
static float peak(const float *x, size_t n)
{
	uint32_t most = 0;
	float found;
	for (size_t i = 0; i < n; i++) {
		uint32_t bits;
		memcpy(&bits, &x[i], sizeof bits);
		bits &= 0x7fffffff;
		most = bits > most ? bits : most;
	}
	memcpy(&found, &most, sizeof found);
	return found;
}

static float energy(const float *x, size_t n)
{
	float lane[PL_DSP_ENERGY_LANES] = { 0 };
	for (size_t i = 0; i < n; i++)
		lane[i % PL_DSP_ENERGY_LANES] += x[i] * x[i];
	for (size_t half = PL_DSP_ENERGY_LANES / 2; half > 0; half /= 2)
		for (size_t i = 0; i < half; i++)
			lane[i] += lane[i + half];
	return lane[0];
}

static void to_s16(int16_t *out, const float *in, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const float y = in[i] * PL_DSP_S16_SCALE;
		if (y != y)
			out[i] = 0;
		else
			out[i] = y >= INT16_MAX ? INT16_MAX : y <= INT16_MIN ? INT16_MIN : (int16_t)lrintf(y);
	}
}

static void from_s16(float *out, const int16_t *in, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (float)in[i] * (1 / PL_DSP_S16_SCALE);
}

const struct pl_dsp pl_dsp_plain = {
	.level = PL_SIMD_PLAIN,
	.sum = sum,
	.minus = minus,
	.mix = mix,
	.ramp = ramp,
	.add_ramp = add_ramp,
	.ramp_clamp = ramp_clamp,
	.peak = peak,
	.energy = energy,
	.to_s16 = to_s16,
	.from_s16 = from_s16,
};
