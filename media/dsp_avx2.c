/* 8 samples at a time with AVX2. */
#include <immintrin.h>

#include "media/dsp_tables.h"

#define LANES 8
#define HAS_PARTS

typedef __m256 vector;
typedef __m256i bits;

static inline vector load(const float *p)
{
	return _mm256_loadu_ps(p);
}

static inline void store(float *p, vector v)
{
	_mm256_storeu_ps(p, v);
}

/* All ones in the first count lanes. */
static inline __m256i mask_of(size_t count)
{
	return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static inline vector load_part(const float *p, size_t count)
{
	return _mm256_maskload_ps(p, mask_of(count));
}

static inline void store_part(float *p, vector v, size_t count)
{
	_mm256_maskstore_ps(p, mask_of(count), v);
}

static inline vector same(float value)
{
	return _mm256_set1_ps(value);
}

static inline vector add(vector a, vector b)
{
	return _mm256_add_ps(a, b);
}

static inline vector sub(vector a, vector b)
{
	return _mm256_sub_ps(a, b);
}

static inline vector mul(vector a, vector b)
{
	return _mm256_mul_ps(a, b);
}

static inline vector min(vector a, vector b)
{
	return _mm256_min_ps(a, b);
}

static inline vector max(vector a, vector b)
{
	return _mm256_max_ps(a, b);
}

static inline bits no_bits(void)
{
	return _mm256_setzero_si256();
}

static inline bits magnitude(vector v)
{
	return _mm256_and_si256(_mm256_castps_si256(v), _mm256_set1_epi32(0x7fffffff));
}

static inline bits most(bits a, bits b)
{
	return _mm256_max_epi32(a, b);
}

static inline float peak_of(bits b)
{
	__m128i m = _mm_max_epi32(_mm256_castsi256_si128(b), _mm256_extracti128_si256(b, 1));
	m = _mm_max_epi32(m, _mm_shuffle_epi32(m, _MM_SHUFFLE(1, 0, 3, 2)));
	m = _mm_max_epi32(m, _mm_shuffle_epi32(m, _MM_SHUFFLE(2, 3, 0, 1)));
	return _mm_cvtss_f32(_mm_castsi128_ps(m));
}

/* What is too small for an int32 becomes INT32_MIN and is saturated with the rest; what is too large would, too. */
static inline void store_s16(int16_t *p, vector v)
{
	const vector number = _mm256_and_ps(v, _mm256_cmp_ps(v, v, _CMP_ORD_Q));
	const __m256i rounded = _mm256_cvtps_epi32(_mm256_min_ps(number, _mm256_set1_ps(INT16_MAX)));
	_mm_storeu_si128(
		(__m128i *)p, _mm_packs_epi32(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1)));
}

static inline vector load_s16(const int16_t *p)
{
	return _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)p)));
}

#include "media/dsp_kernels.h"

const struct pl_dsp pl_dsp_avx2 = KERNELS(PL_SIMD_AVX2);
