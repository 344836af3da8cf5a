#include "tests/support/sound.h"

#include <math.h>

static const double pi = 3.14159265358979323846, rate = 48000;

void pl_sound_sine(float *pcm, size_t count, uint64_t at, double hz, double amplitude)
{
	for (size_t i = 0; i < count; i++) {
		const double turns = hz * (double)(at + i) / rate;
		pcm[i] = (float)(amplitude * sin(2 * pi * (turns - floor(turns))));
	}
}

void pl_sound_voice(float *pcm, size_t count, uint64_t at, double amplitude)
{
	enum { HARMONICS = 20 };
	for (size_t i = 0; i < count; i++) {
		const double t = (double)(at + i) / rate;
		/* the integral of a pitch of 140 + 40 cos(2 pi 0.7 t) */
		const double turns = 140 * t + 40 / (2 * pi * 0.7) * sin(2 * pi * 0.7 * t);
		const double syllable = 0.55 - 0.45 * cos(2 * pi * 4 * t);
		double sum = 0;
		for (int k = 1; k <= HARMONICS; k++)
			sum += sin(2 * pi * fmod(k * turns, 1) + k * k) / (1 + 0.3 * k);
		pcm[i] = (float)(amplitude * 0.3 * syllable * sum);
	}
}

double pl_sound_amplitude(const float *pcm, size_t count, double hz)
{
	double re = 0, im = 0, weight = 0;
	for (size_t i = 0; i < count; i++) {
		const double window = 0.5 - 0.5 * cos(2 * pi * ((double)i + 0.5) / (double)count);
		re += window * pcm[i] * cos(2 * pi * hz * (double)i / rate);
		im += window * pcm[i] * sin(2 * pi * hz * (double)i / rate);
		weight += window;
	}
	return 2 * sqrt(re * re + im * im) / weight;
}

/* Least squares over sine and cosine, which are not quite orthogonal in a window of any length. */
double pl_sound_sine_snr_db(const float *pcm, size_t count, double hz)
{
	double ss = 0, cc = 0, sc = 0, xs = 0, xc = 0, xx = 0;
	for (size_t i = 0; i < count; i++) {
		const double s = sin(2 * pi * hz * (double)i / rate), c = cos(2 * pi * hz * (double)i / rate);
		ss += s * s;
		cc += c * c;
		sc += s * c;
		xs += pcm[i] * s;
		xc += pcm[i] * c;
		xx += (double)pcm[i] * pcm[i];
	}
	const double determinant = ss * cc - sc * sc;
	const double a = (xs * cc - xc * sc) / determinant, b = (xc * ss - xs * sc) / determinant;
	const double signal = a * xs + b * xc, noise = xx - signal;
	return 10 * log10(signal / (noise > 1e-12 ? noise : 1e-12));
}

double pl_sound_rms(const float *pcm, size_t count)
{
	double sum = 0;
	for (size_t i = 0; i < count; i++)
		sum += (double)pcm[i] * pcm[i];
	return count > 0 ? sqrt(sum / (double)count) : 0;
}

double pl_sound_click(const float *pcm, size_t count, const float before[2])
{
	double last = before[1], last_but_one = before[0], largest = 0;
	for (size_t i = 0; i < count; i++) {
		const double bend = fabs(pcm[i] - 2 * last + last_but_one);
		if (bend > largest)
			largest = bend;
		last_but_one = last;
		last = pcm[i];
	}
	return largest;
}
