/* Brings a signal of 48 kHz down to 8 kHz for telephones: a low-pass filter, of which every sixth value is computed.
 * Linear phase, 112 taps: flat to 0.11 dB up to 3,400 Hz, at least 60 dB down from 4,600 Hz on, so nothing is folded back
 * into the band of telephones.  Delay: output n is the input around 6 n - 50.5, 1.05 ms ago.
 * Pure: no allocation, no clock, no I/O.  Thread: the one that owns the stream. */
#ifndef PL_MEDIA_DECIMATE_H
#define PL_MEDIA_DECIMATE_H

#include "media/base.h"

enum {
	PL_DECIMATE_FACTOR = 6,
	PL_DECIMATE_TAPS = 112,
};

/* One stream; all zero is the start, after silence. */
struct pl_decimate {
	float past[PL_DECIMATE_TAPS - PL_DECIMATE_FACTOR]; /* of the input, oldest first */
};

void pl_decimate_init(struct pl_decimate *d);

/* Filters count samples, a multiple of 6 (asserts), into count / 6.  in and out do not overlap. */
void pl_decimate(struct pl_decimate *d, const float *in, size_t count, float *out);

#endif
