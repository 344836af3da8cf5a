/* Sounds for tests, and what can be measured in them.  48 kHz, mono, 1 is full scale. */
#ifndef PL_TESTS_SUPPORT_SOUND_H
#define PL_TESTS_SUPPORT_SOUND_H

#include <stddef.h>
#include <stdint.h>

/* Writes the count samples from number `at` on of a sine that has always been there. */
void pl_sound_sine(float *pcm, size_t count, uint64_t at, double hz, double amplitude);

/* The same of something like speech: a gliding pitch of 100-180 Hz with 20 harmonics, four syllables a second. */
void pl_sound_voice(float *pcm, size_t count, uint64_t at, double amplitude);

/* The amplitude of one frequency (one bin of a discrete Fourier transform, Hann window). */
double pl_sound_amplitude(const float *pcm, size_t count, double hz);

/* The power of the sine of this frequency that fits best beside that of all else, in dB. */
double pl_sound_sine_snr_db(const float *pcm, size_t count, double hz);

double pl_sound_rms(const float *pcm, size_t count);

/* The largest second difference |x[i] - 2 x[i-1] + x[i-2]|: a click is one of the size of its jump, a sine of angular
 * frequency w and amplitude a has w * w * a.  before[2] are the two samples before the first. */
double pl_sound_click(const float *pcm, size_t count, const float before[2]);

#endif
