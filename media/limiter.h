/* Keeps a mix within full scale by turning it down smoothly, never by cutting its tops off: eight talkers who shout at
 * once are quieter, not distorted.  A frame is looked at as a whole before any of it is turned down, in blocks of 2.5 ms:
 * the gain has fallen when a loud block begins, stays as long as such a block was heard in the last 200 ms (so neither a
 * wave nor the beating of several voices pumps it), and then rises by 20 dB a second.  No sample is delayed.
 * Pure: no allocation, no clock, no I/O; without pointers, so it may be copied.  Thread: the one that owns the mix. */
#ifndef PL_MEDIA_LIMITER_H
#define PL_MEDIA_LIMITER_H

#include "media/dsp.h"

enum { PL_LIMITER_WINDOW = 80 /* blocks, 200 ms */ };

#define PL_LIMITER_THRESHOLD 0.89125094F /* -1 dB of full scale: what encoders overshoot still fits */
#define PL_LIMITER_SANE_MAX  64.0F       /* +36 dB; no sum of voices comes near, so a sample beyond is garbage */

struct pl_limiter {
	float gain;                    /* of the last sample; 1 at rest */
	float need[PL_LIMITER_WINDOW]; /* the gain that each of the last blocks needed, 1 for none */
	float need_min;                /* the least of them */
	uint32_t at, block_samples;    /* the oldest block; how long one is, all channels together */
};

/* rate_hz: 8,000 to 48,000.  channels: 1 or 2, interleaved. */
void pl_limiter_init(struct pl_limiter *limiter, uint32_t rate_hz, uint32_t channels);

/* Limits the next frame of n samples in place.  Afterwards each is within -1 and 1.  A frame whose peak is not above
 * PL_LIMITER_THRESHOLD is left as it is, bit by bit, unless the gain is still recovering from an earlier one.  NaN,
 * infinities and what is beyond PL_LIMITER_SANE_MAX become 0, and leave no trace in the state.  Only where the first
 * block of a frame needs more than 1 dB less than all that was known before may single tops be cut, for a quarter of a block.
 * dsp may be another one in each call: the result has the same bits. */
void pl_limiter_apply(struct pl_limiter *limiter, const struct pl_dsp *dsp, float *x, size_t n);

#endif
