/* The tables under dsp.c, one in each dsp_<level>.c, and what all of them compute alike.  CMake compiles those that the
 * architecture has, each with the flags of its instruction set, and none with fused multiply-add. */
#ifndef PL_MEDIA_DSP_TABLES_H
#define PL_MEDIA_DSP_TABLES_H

#include "media/dsp.h"

extern const struct pl_dsp pl_dsp_plain;
extern const struct pl_dsp pl_dsp_avx2, pl_dsp_sse41; /* x86-64 */
extern const struct pl_dsp pl_dsp_neon;               /* aarch64 */

enum { PL_DSP_ENERGY_LANES = 32 };

static const float PL_DSP_S16_SCALE = 32768;

/* How much a ramp's gain grows from sample to sample. */
static inline float pl_dsp_ramp_step(float g0, float g1, size_t n)
{
	return n > 0 ? (g1 - g0) / (float)n : 0;
}

#endif
