/* 4 samples at a time with NEON (Advanced SIMD), which every aarch64 has. */
#include <arm_neon.h>
#include <string.h>

#include "media/dsp_tables.h"

#define LANES 4

typedef float32x4_t vector;
typedef uint32x4_t bits;

static inline vector load(const float *p)
{
	return vld1q_f32(p);
}

static inline void store(float *p, vector v)
{
	vst1q_f32(p, v);
}

static inline vector same(float value)
{
	return vdupq_n_f32(value);
}

static inline vector add(vector a, vector b)
{
	return vaddq_f32(a, b);
}

static inline vector sub(vector a, vector b)
{
	return vsubq_f32(a, b);
}

static inline vector mul(vector a, vector b)
{
	return vmulq_f32(a, b);
}

/* Not vminq and vmaxq, which make a NaN of a NaN: the others take b then. */
static inline vector min(vector a, vector b)
{
	return vbslq_f32(vcltq_f32(a, b), a, b);
}

static inline vector max(vector a, vector b)
{
	return vbslq_f32(vcgtq_f32(a, b), a, b);
}

static inline bits no_bits(void)
{
	return vdupq_n_u32(0);
}

static inline bits magnitude(vector v)
{
	return vandq_u32(vreinterpretq_u32_f32(v), vdupq_n_u32(0x7fffffff));
}

static inline bits most(bits a, bits b)
{
	return vmaxq_u32(a, b);
}

static inline float peak_of(bits b)
{
	const uint32_t found = vmaxvq_u32(b);
	float peak;
	memcpy(&peak, &found, sizeof peak);
	return peak;
}

/* Both steps saturate, and the first makes 0 of a NaN. */
static inline void store_s16(int16_t *p, vector v)
{
	vst1_s16(p, vqmovn_s32(vcvtnq_s32_f32(v)));
}

static inline vector load_s16(const int16_t *p)
{
	return vcvtq_f32_s32(vmovl_s16(vld1_s16(p)));
}

#include "media/dsp_kernels.h"

const struct pl_dsp pl_dsp_neon = KERNELS(PL_SIMD_NEON);
