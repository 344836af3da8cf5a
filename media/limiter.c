#include "media/limiter.h"

#include <math.h>

enum { BLOCKS_PER_S = 400, RATE_HZ_MIN = 8000, RATE_HZ_MAX = 48000 };

/* 20 dB a second. */
static const float RISE_PER_BLOCK = 1.0057730F;

void pl_limiter_init(struct pl_limiter *limiter, uint32_t rate_hz, uint32_t channels)
{
	PL_ASSERT(rate_hz >= RATE_HZ_MIN && rate_hz <= RATE_HZ_MAX && (channels == 1 || channels == 2));
	*limiter = (struct pl_limiter){ .gain = 1, .need_min = 1, .block_samples = rate_hz / BLOCKS_PER_S * channels };
	for (size_t i = 0; i < PL_LIMITER_WINDOW; i++)
		limiter->need[i] = 1;
}

static void silence_garbage(float *x, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		/* False for NaN, too. */
		if (!(fabsf(x[i]) <= PL_LIMITER_SANE_MAX))
			x[i] = 0;
	}
}

/* The window's minimum is looked for anew only when it leaves. */
static void note_need(struct pl_limiter *limiter, float need)
{
	const float left = limiter->need[limiter->at];
	limiter->need[limiter->at] = need;
	limiter->at = (limiter->at + 1) % PL_LIMITER_WINDOW;
	if (need <= limiter->need_min) {
		limiter->need_min = need;
		return;
	}
	if (left > limiter->need_min)
		return;
	limiter->need_min = need;
	for (size_t i = 0; i < PL_LIMITER_WINDOW; i++)
		limiter->need_min = limiter->need[i] < limiter->need_min ? limiter->need[i] : limiter->need_min;
}

/* The gain of the block at x when the one before had gain. */
static float gain_of(struct pl_limiter *limiter, const struct pl_dsp *dsp, float gain, const float *x, size_t n)
{
	const float peak = dsp->peak(x, n), risen = gain * RISE_PER_BLOCK;
	note_need(limiter, peak > PL_LIMITER_THRESHOLD ? PL_LIMITER_THRESHOLD / peak : 1);
	return risen < limiter->need_min ? risen : limiter->need_min;
}

/* Turns one block down, on a line from the gain of the last sample to end.  Where a frame begins louder than could be
 * known, that gain is above the block's own: what is left below full scale has room for 1 dB of it, and a larger drop is
 * made in a quarter of the block. */
static void turn_down(struct pl_limiter *limiter, const struct pl_dsp *dsp, float *x, size_t n, float gain, float end)
{
	size_t done = 0;
	if (limiter->gain * PL_LIMITER_THRESHOLD > gain) {
		done = n / 4;
		dsp->ramp_clamp(x, limiter->gain, gain, done);
		limiter->gain = gain;
	}
	dsp->ramp_clamp(x + done, limiter->gain, end, n - done);
	limiter->gain = end;
}

void pl_limiter_apply(struct pl_limiter *limiter, const struct pl_dsp *dsp, float *x, size_t n)
{
	const float peak = dsp->peak(x, n);
	if (peak <= PL_LIMITER_THRESHOLD && limiter->gain == 1)
		return;
	if (!(peak <= PL_LIMITER_SANE_MAX))
		silence_garbage(x, n);

	size_t size = n < limiter->block_samples ? n : limiter->block_samples;
	float gain = gain_of(limiter, dsp, limiter->gain, x, size);
	while (n > 0) {
		/* Where two blocks meet the gain is that of the louder one, and lines between such points stay below what
		 * each block needs. */
		const size_t left = n - size, next_size = left < size ? left : size;
		const float next = left > 0 ? gain_of(limiter, dsp, gain, x + size, next_size) : gain;
		turn_down(limiter, dsp, x, size, gain, next < gain ? next : gain);
		x += size;
		n = left;
		size = next_size;
		gain = next;
	}
}
