/* 4 samples at a time with SSE4.1. */
#include <smmintrin.h>

#include "media/dsp_tables.h"

#define LANES 4

typedef __m128 vector;
typedef __m128i bits;

static inline vector load(const float *p)
{
	return _mm_loadu_ps(p);
}

static inline void store(float *p, vector v)
{
	_mm_storeu_ps(p, v);
}

static inline vector same(float value)
{
	return _mm_set1_ps(value);
}

static inline vector add(vector a, vector b)
{
	return _mm_add_ps(a, b);
}

static inline vector sub(vector a, vector b)
{
	return _mm_sub_ps(a, b);
}

static inline vector mul(vector a, vector b)
{
	return _mm_mul_ps(a, b);
}

static inline vector min(vector a, vector b)
{
	return _mm_min_ps(a, b);
}

static inline vector max(vector a, vector b)
{
	return _mm_max_ps(a, b);
}

static inline bits no_bits(void)
{
	return _mm_setzero_si128();
}

static inline bits magnitude(vector v)
{
	return _mm_and_si128(_mm_castps_si128(v), _mm_set1_epi32(0x7fffffff));
}

static inline bits most(bits a, bits b)
{
	return _mm_max_epi32(a, b);
}

static inline float peak_of(bits b)
{
	b = most(b, _mm_shuffle_epi32(b, _MM_SHUFFLE(1, 0, 3, 2)));
	b = most(b, _mm_shuffle_epi32(b, _MM_SHUFFLE(2, 3, 0, 1)));
	return _mm_cvtss_f32(_mm_castsi128_ps(b));
}

/* What is too small for an int32 becomes INT32_MIN and is saturated with the rest; what is too large would, too. */
static inline void store_s16(int16_t *p, vector v)
{
	const vector number = _mm_and_ps(v, _mm_cmpord_ps(v, v));
	const __m128i rounded = _mm_cvtps_epi32(_mm_min_ps(number, _mm_set1_ps(INT16_MAX)));
	_mm_storel_epi64((__m128i *)p, _mm_packs_epi32(rounded, rounded));
}

static inline vector load_s16(const int16_t *p)
{
	return _mm_cvtepi32_ps(_mm_cvtepi16_epi32(_mm_loadl_epi64((const __m128i *)p)));
}

#include "media/dsp_kernels.h"

const struct pl_dsp pl_dsp_sse41 = KERNELS(PL_SIMD_SSE41);
