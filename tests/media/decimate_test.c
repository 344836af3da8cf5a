#include <complex.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "media/decimate.h"
#include "media/rng.h"

enum { IN_HZ = 48000, OUT_HZ = 8000, IN_SECOND = IN_HZ, OUT_SECOND = OUT_HZ };

static const double pi = 3.14159265358979323846;

static double decibels(double amplitude)
{
	return 20 * log10(amplitude + 1e-12);
}

/* The filter as it acts: what each of six impulses leaves in the output is every sixth of its taps. */
static void impulse_response(double taps[static PL_DECIMATE_TAPS])
{
	enum { OUTS = PL_DECIMATE_TAPS / PL_DECIMATE_FACTOR + 2, INS = OUTS * PL_DECIMATE_FACTOR };
	for (size_t i = 0; i < PL_DECIMATE_TAPS; i++)
		taps[i] = NAN;
	for (size_t phase = 0; phase < PL_DECIMATE_FACTOR; phase++) {
		struct pl_decimate d;
		float in[INS] = { 0 }, out[OUTS];
		in[phase] = 1;
		pl_decimate_init(&d);
		pl_decimate(&d, in, INS, out);
		for (size_t n = 0; n < OUTS; n++) {
			/* The last input of output n is 6 n + 5. */
			const size_t age = n * PL_DECIMATE_FACTOR + PL_DECIMATE_FACTOR - 1 - phase;
			if (age < PL_DECIMATE_TAPS)
				taps[age] = (double)out[n];
			else
				assert_true(out[n] == 0);
		}
	}
}

static double response_at(const double taps[static PL_DECIMATE_TAPS], double hz)
{
	double complex sum = 0;
	for (size_t i = 0; i < PL_DECIMATE_TAPS; i++)
		sum += taps[i] * cexp(-I * 2 * pi * hz * (double)i / IN_HZ);
	return cabs(sum);
}

/* What the header says: consonants arrive as they were, and nothing above the band comes back as a whistle in it. */
static void test_decimate_passes_and_stops(void **state)
{
	(void)state;
	double taps[PL_DECIMATE_TAPS], lowest = 0, highest = -200, stop = -200;
	impulse_response(taps);
	for (int hz = 0; hz <= 3400; hz += 2) {
		const double db = decibels(response_at(taps, hz));
		lowest = db < lowest ? db : lowest;
		highest = db > highest ? db : highest;
	}
	for (int hz = 4600; hz <= IN_HZ / 2; hz += 2) {
		const double db = decibels(response_at(taps, hz));
		stop = db > stop ? db : stop;
	}
	print_message("to 3,400 Hz %.3f to %.3f dB, from 4,600 Hz %.1f dB\n", lowest, highest, stop);
	assert_true(lowest > -0.11 && highest < 0.001);
	assert_true(stop < -60);
	assert_true(fabs(decibels(response_at(taps, 0))) < 0.001);
	/* Symmetric taps are a linear phase: all of a voice is late by the same. */
	for (size_t i = 0; i < PL_DECIMATE_TAPS; i++)
		assert_true(taps[i] == taps[PL_DECIMATE_TAPS - 1 - i]);
}

static double amplitude_at(const float *pcm, size_t count, double hz)
{
	double complex sum = 0;
	for (size_t i = 0; i < count; i++)
		sum += (double)pcm[i] * cexp(-I * 2 * pi * hz * (double)i / OUT_HZ);
	return 2 * cabs(sum) / (double)count;
}

/* Sines from 100 Hz to 23.9 kHz: one of the band comes out at its own frequency and amplitude, one above it nowhere. */
static void test_decimate_sines(void **state)
{
	(void)state;
	static float in[IN_SECOND + IN_SECOND / 10], out[OUT_SECOND + OUT_SECOND / 10];
	const float *steady = out + OUT_SECOND / 10;
	for (int hz = 100; hz < IN_HZ / 2; hz += hz < 5000 ? 100 : 700) {
		struct pl_decimate d;
		for (size_t i = 0; i < PL_COUNT(in); i++)
			in[i] = (float)(0.5 * sin(2 * pi * hz * (double)i / IN_HZ));
		pl_decimate_init(&d);
		pl_decimate(&d, in, PL_COUNT(in), out);
		if (hz <= 3400) {
			const double db = decibels(amplitude_at(steady, OUT_SECOND, hz) / 0.5);
			if (fabs(db) > 0.11)
				fail_msg("%d Hz: %.2f dB", hz, db);
		}
		double power = 0;
		for (size_t i = 0; i < OUT_SECOND; i++)
			power += (double)steady[i] * (double)steady[i];
		const double db = decibels(sqrt(2 * power / OUT_SECOND) / 0.5);
		if (hz >= 4600 && db > -60 + 3)
			fail_msg("%d Hz: %.1f dB are left", hz, db);
	}
}

/* The delay is the header's: 50.5 samples of the input. */
static void test_decimate_delay(void **state)
{
	(void)state;
	static float in[IN_SECOND], out[OUT_SECOND];
	struct pl_decimate d;
	for (size_t i = 0; i < IN_SECOND; i++)
		in[i] = (float)sin(2 * pi * 440 * (double)i / IN_HZ);
	pl_decimate_init(&d);
	pl_decimate(&d, in, IN_SECOND, out);
	for (size_t n = 100; n < OUT_SECOND; n++) {
		const double due = sin(2 * pi * 440 * ((double)n * PL_DECIMATE_FACTOR - 50.5) / IN_HZ);
		if (fabs((double)out[n] - due) > 0.013)
			fail_msg("output %zu: %g, not %g", n, (double)out[n], due);
	}
}

/* A stream that comes in pieces is one stream: no click at their borders. */
static void test_decimate_in_pieces(void **state)
{
	(void)state;
	enum { OUTS = 1600, INS = OUTS * PL_DECIMATE_FACTOR };
	static float in[INS], whole[OUTS], pieces[OUTS];
	struct pl_rng rng;
	struct pl_decimate d;
	pl_rng_init(&rng, 6);
	for (size_t i = 0; i < INS; i++)
		in[i] = (float)pl_rng_below(&rng, 1 << 20) / (1 << 19) - 1;
	pl_decimate_init(&d);
	pl_decimate(&d, in, INS, whole);
	for (int round = 0; round < 50; round++) {
		pl_decimate_init(&d);
		for (size_t at = 0; at < OUTS;) {
			size_t step = pl_rng_below(&rng, round < 25 ? 9 : 400);
			step = step < OUTS - at ? step : OUTS - at;
			pl_decimate(&d, &in[at * PL_DECIMATE_FACTOR], step * PL_DECIMATE_FACTOR, &pieces[at]);
			at += step;
		}
		for (size_t i = 0; i < OUTS; i++)
			assert_true(fabsf(pieces[i] - whole[i]) < 1e-5f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decimate_passes_and_stops),
		cmocka_unit_test(test_decimate_sines),
		cmocka_unit_test(test_decimate_delay),
		cmocka_unit_test(test_decimate_in_pieces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
