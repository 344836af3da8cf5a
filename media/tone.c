#include "media/tone.h"

#include <math.h>

enum { TONES = 2, TERMS = 2 * TONES };

#define TURN 6.28318530717958647692

static const double tone_hz[TONES] = { PL_TONE_HZ, PL_TONE_HZ + PL_TONE_BEAT_HZ };

static double turn_of(int tone)
{
	return TURN * tone_hz[tone] / PL_TONE_CLOCK_HZ;
}

/* The cosines and sines of both tones, sample by sample: each is the last one, turned. */
struct oscillators {
	double value[TERMS]; /* cosine and sine of each tone */
	double turn_cos[TONES], turn_sin[TONES];
};

static void begin(struct oscillators *o, size_t at)
{
	for (int i = 0; i < TONES; i++) {
		const double angle =
			turn_of(i) * (double)(at % PL_TONE_CLOCK_HZ); /* whole hertz: a second is a period */
		o->value[2 * i] = cos(angle);
		o->value[2 * i + 1] = sin(angle);
		o->turn_cos[i] = cos(turn_of(i));
		o->turn_sin[i] = sin(turn_of(i));
	}
}

static void turn(struct oscillators *o)
{
	for (int i = 0; i < TONES; i++) {
		const double c = o->value[2 * i], s = o->value[2 * i + 1];
		o->value[2 * i] = c * o->turn_cos[i] - s * o->turn_sin[i];
		o->value[2 * i + 1] = s * o->turn_cos[i] + c * o->turn_sin[i];
	}
}

void pl_tone_write(float *pcm, size_t at, size_t count)
{
	struct oscillators o;
	begin(&o, at);
	for (size_t i = 0; i < count; i++, turn(&o))
		pcm[i] = PL_TONE_AMPLITUDE * (float)(o.value[0] + o.value[2]);
}

/* Gauss without pivots: the matrix is positive definite, because the tones differ over a beat. */
static void solve(double matrix[TERMS][TERMS], double right[TERMS])
{
	for (int k = 0; k < TERMS; k++) {
		for (int row = k + 1; row < TERMS; row++) {
			const double factor = matrix[row][k] / matrix[k][k];
			for (int column = k; column < TERMS; column++)
				matrix[row][column] -= factor * matrix[k][column];
			right[row] -= factor * right[k];
		}
	}
	for (int k = TERMS - 1; k >= 0; k--) {
		for (int column = k + 1; column < TERMS; column++)
			right[k] -= matrix[k][column] * right[column];
		right[k] /= matrix[k][k];
	}
}

static float decibels(double tone, double noise)
{
	const double least = tone * pow(10, -PL_TONE_SNR_DB_MAX / 10.0);
	if (tone <= 0)
		return -PL_TONE_SNR_DB_MAX;
	return (float)(10 * log10(tone / (noise > least ? noise : least)));
}

void pl_tone_fit(const float *pcm, size_t at, size_t count, struct pl_tone_fit *fit)
{
	struct oscillators o;
	double matrix[TERMS][TERMS] = { { 0 } }, seen[TERMS] = { 0 }, term[TERMS], power = 0;
	PL_ASSERT(count >= PL_TONE_BEAT);
	begin(&o, at);
	for (size_t i = 0; i < count; i++, turn(&o)) {
		power += (double)pcm[i] * (double)pcm[i];
		for (int row = 0; row < TERMS; row++) {
			seen[row] += o.value[row] * (double)pcm[i];
			for (int column = 0; column < TERMS; column++)
				matrix[row][column] += o.value[row] * o.value[column];
		}
	}
	for (int i = 0; i < TERMS; i++)
		term[i] = seen[i];
	solve(matrix, term);

	double tone = 0, phase[TONES], amplitude = 0;
	for (int i = 0; i < TERMS; i++)
		tone += term[i] * seen[i];
	for (int i = 0; i < TONES; i++) {
		phase[i] = atan2(term[2 * i + 1], term[2 * i]);
		amplitude += sqrt(term[2 * i] * term[2 * i] + term[2 * i + 1] * term[2 * i + 1]) / TONES;
	}
	const double beat = phase[1] - phase[0];
	const double part = beat / TURN - floor(beat / TURN);
	fit->snr_db = decibels(tone, power - tone);
	fit->amplitude = (float)amplitude;
	fit->delay = (uint32_t)lrint(part * PL_TONE_BEAT) % PL_TONE_BEAT;
}
