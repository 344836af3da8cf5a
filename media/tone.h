/* A signal that tells by itself how late and how clean it came: two steady tones that beat.  At the far end both are fitted by least
 * squares: what is left is noise, and the difference of their phases is the delay, which is told apart up to one beat.
 * Pure: no allocation, no clock, no I/O.  Thread: any. */
#ifndef PL_MEDIA_TONE_H
#define PL_MEDIA_TONE_H

#include "media/base.h"

enum {
	PL_TONE_CLOCK_HZ = 48000,
	PL_TONE_HZ = 1000,    /* of the lower tone */
	PL_TONE_BEAT_HZ = 4,  /* the other one is so much higher */
	PL_TONE_BEAT = 12000, /* samples of a beat: delays that differ by so much look alike */
	PL_TONE_SNR_DB_MAX = 90,
};
#define PL_TONE_AMPLITUDE 0.1f /* of each tone; together up to twice that */

/* Writes count samples of it; at: the number of the first, from its begin. */
void pl_tone_write(float *pcm, size_t at, size_t count);

struct pl_tone_fit {
	float snr_db;    /* at most PL_TONE_SNR_DB_MAX; less than 0: there is more noise than tone */
	float amplitude; /* of the two tones, on average */
	uint32_t
		delay; /* in samples, below PL_TONE_BEAT: of the sample number at there is here the one number at - delay */
};

/* Fits count samples, at least a beat (asserts), of which the first is number at of the listener's clock. */
void pl_tone_fit(const float *pcm, size_t at, size_t count, struct pl_tone_fit *fit);

#endif
