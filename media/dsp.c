#include "media/dsp.h"

#include <math.h>
#include <string.h>

#include "media/dsp_tables.h"

static const char *const level_text[] = {
#define X(name, text) [PL_SIMD_##name] = text,
	PL_SIMD_LIST(X)
#undef X
};

const char *pl_simd_text(enum pl_simd level)
{
	PL_ASSERT(level < PL_SIMD_COUNT);
	return level_text[level];
}

bool pl_simd_parse(const char *text, enum pl_simd *level)
{
	for (size_t i = 0; i < PL_COUNT(level_text); i++) {
		if (strcmp(text, level_text[i]) != 0)
			continue;
		*level = (enum pl_simd)i;
		return true;
	}
	return false;
}

const char *pl_simd_lack(enum pl_simd level)
{
	switch (level) {
	case PL_SIMD_AUTO:
	case PL_SIMD_PLAIN:
		return NULL;
#if defined(__x86_64__)
	/* Of AVX2 this asks the operating system too, which has to keep the upper halves of the registers. */
	case PL_SIMD_AVX2:
		return __builtin_cpu_supports("avx2") ? NULL : "this CPU has no AVX2, or its system does not allow it";
	case PL_SIMD_SSE41:
		return __builtin_cpu_supports("sse4.1") ? NULL : "this CPU has no SSE4.1";
	case PL_SIMD_NEON:
		return "NEON is for aarch64, and this program is for x86-64";
#elif defined(__aarch64__)
	case PL_SIMD_NEON:
		return NULL;
	case PL_SIMD_AVX2:
	case PL_SIMD_SSE41:
		return "it is for x86-64, and this program is for aarch64";
#else
	case PL_SIMD_AVX2:
	case PL_SIMD_SSE41:
	case PL_SIMD_NEON:
		return "this program is for a processor for which there is plain C alone";
#endif
	case PL_SIMD_COUNT:
		break;
	}
	PL_ASSERT(level < PL_SIMD_COUNT);
	return NULL;
}

static const struct pl_dsp *table_of(enum pl_simd level)
{
#if defined(__x86_64__)
	if (level == PL_SIMD_AVX2)
		return &pl_dsp_avx2;
	if (level == PL_SIMD_SSE41)
		return &pl_dsp_sse41;
#elif defined(__aarch64__)
	if (level == PL_SIMD_NEON)
		return &pl_dsp_neon;
#endif
	PL_ASSERT(level == PL_SIMD_PLAIN);
	return &pl_dsp_plain;
}

const struct pl_dsp *pl_dsp_get(enum pl_simd level)
{
	/* The list goes from the fastest to PLAIN, which is always there. */
	for (enum pl_simd i = PL_SIMD_AVX2; level == PL_SIMD_AUTO; i++)
		level = pl_simd_lack(i) == NULL ? i : PL_SIMD_AUTO;
	return pl_simd_lack(level) == NULL ? table_of(level) : NULL;
}

struct pl_dsp_level pl_dsp_measure(const struct pl_dsp *dsp, const float *x, size_t n)
{
	struct pl_dsp_level found = { .peak = dsp->peak(x, n), .level = PL_DSP_LEVEL_SILENCE };
	if (n > 0)
		found.rms = sqrtf(dsp->energy(x, n) / (float)n);
	/* False for NaN. */
	if (found.rms > 0) {
		const float dbov = -20 * log10f(found.rms);
		found.level = dbov <= 0                      ? 0
			      : dbov >= PL_DSP_LEVEL_SILENCE ? PL_DSP_LEVEL_SILENCE
							     : (uint8_t)lrintf(dbov);
	}
	return found;
}
