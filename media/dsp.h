/* What a mixer does with samples: adding talkers up, taking one out again, fading, measuring, converting.  One table of
 * kernels for each instruction set, chosen at run time.  All tables give the same bits, so a change while the server
 * runs is inaudible, and a conference replays the same on every machine: no kernel fuses a multiplication with an
 * addition, and the one that reduces (energy) adds in an order that is part of its contract.
 * Pure: no allocation, no clock, no I/O.  Thread: any; the tables are constant. */
#ifndef PL_MEDIA_DSP_H
#define PL_MEDIA_DSP_H

#include "media/base.h"

/* X(name, text): text is the word of the configuration. */
#define PL_SIMD_LIST(X)                                         \
	X(AUTO, "auto")   /* the fastest that works here */     \
	X(AVX2, "avx2")   /* x86-64, 8 samples at a time */     \
	X(SSE41, "sse41") /* x86-64, 4 samples */               \
	X(NEON, "neon")   /* aarch64, 4 samples; each has it */ \
	X(PLAIN, "plain") /* C alone: the reference */

enum pl_simd {
#define X(name, text) PL_SIMD_##name,
	PL_SIMD_LIST(X)
#undef X
		PL_SIMD_COUNT
};

enum {
	PL_DSP_INPUTS_MAX = 8,
	PL_DSP_LEVEL_SILENCE = 127, /* RFC 6464 section 3: digital silence, and all that is no louder */
};

/* x, in, out: n samples, full scale is 1; any n, 0 too, and any address (32 bytes aligned is the fastest).  Stereo is
 * interleaved.  Buffers do not overlap but where a kernel says that two may be the same. */
struct pl_dsp {
	enum pl_simd level; /* never AUTO */

	/* out = in[0] + in[1] + ..., added in this order; count 0 to PL_DSP_INPUTS_MAX, 0 is silence.  out may be one of
	 * the inputs. */
	void (*sum)(float *out, const float *const in[], size_t count, size_t n);

	/* out = total - in: the mix that one of its talkers hears.  Exactly total where in is 0.  out may be either. */
	void (*minus)(float *out, const float *total, const float *in, size_t n);

	/* sum into total, and minus[k] = total - in[k] for each of count inputs, in one pass: the same bits, less memory
	 * traffic.  minus[k] may be in[k]; total is apart from all. */
	void (*mix)(float *total, float *const minus[], const float *const in[], size_t count, size_t n);

	/* x[i] *= g0 + (g1 - g0) / n * i, and out[i] += x[i] times that.  What would be sample n has g1, so a frame that
	 * begins with g1 continues without a step.  The gains are finite. */
	void (*ramp)(float *x, float g0, float g1, size_t n);
	void (*add_ramp)(float *out, const float *x, float g0, float g1, size_t n);

	/* ramp, and then everything beyond full scale is cut to -1 or 1 (NaN to 1): the limiter's last step. */
	void (*ramp_clamp)(float *x, float g0, float g1, size_t n);

	/* The largest magnitude; a NaN when there is one (so peak <= limit is false), 0 for n 0. */
	float (*peak)(const float *x, size_t n);

	/* The sum of squares.  Sample i is added to partial sum i % 32; these are added in halves, 16, 8, 4, 2, 1 apart. */
	float (*energy)(const float *x, size_t n);

	/* 1 is 32768, rounded to nearest, ties to even; beyond -32768 and 32767 saturated, NaN is 0. */
	void (*to_s16)(int16_t *out, const float *in, size_t n);

	/* Exact: to_s16 gives the same number back. */
	void (*from_s16)(float *out, const int16_t *in, size_t n);
};

const char *pl_simd_text(enum pl_simd level);
/* False for a word that is not on the list. */
PL_MUST_USE bool pl_simd_parse(const char *text, enum pl_simd *level);
/* Why this level cannot be had here, as the end of a sentence; NULL when it can (AUTO and PLAIN always). */
const char *pl_simd_lack(enum pl_simd level);

/* The kernels of a level, static; NULL when this CPU or this build lacks it (never for AUTO and PLAIN).  The holder of
 * the pointer may exchange it between any two calls. */
const struct pl_dsp *pl_dsp_get(enum pl_simd level);

struct pl_dsp_level {
	float peak, rms; /* of full scale */
	uint8_t level;   /* RFC 6464: 0 (as loud as it gets) to 127 (silence), -dBov: a full-scale sine has 3 */
};

/* How loud a frame is.  One with a NaN has the level of silence, n 0 too. */
struct pl_dsp_level pl_dsp_measure(const struct pl_dsp *dsp, const float *x, size_t n);

#endif
