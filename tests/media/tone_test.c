/* media/tone: what is measured is what was done to the signal. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "media/rng.h"
#include "media/tone.h"

enum { COUNT = 19200 };

static float pcm[COUNT];

static void test_delay_is_found_to_the_sample(void **state)
{
	(void)state;
	static const uint32_t delays[] = { 0, 1, 47, 120, 480, 2400, 6001, 11999 };
	static const size_t begins[] = { 0, 7, 48000, 1234567 };
	for (size_t i = 0; i < PL_COUNT(delays); i++) {
		for (size_t k = 0; k < PL_COUNT(begins); k++) {
			struct pl_tone_fit fit;
			pl_tone_write(pcm, begins[k], COUNT);
			pl_tone_fit(pcm, begins[k] + delays[i], COUNT, &fit);
			assert_int_equal(fit.delay, delays[i]);
			assert_true(fit.snr_db > 60);
			assert_true(fabsf(fit.amplitude - PL_TONE_AMPLITUDE) < 0.001f);
		}
	}
}

/* White noise of a known level gives that ratio, and moves the delay by a fraction of a millisecond. */
static void test_noise_is_measured(void **state)
{
	(void)state;
	static const float snr_db[] = { 40, 20, 10, 0 };
	struct pl_rng rng;
	pl_rng_init(&rng, 1);
	for (size_t i = 0; i < PL_COUNT(snr_db); i++) {
		struct pl_tone_fit fit;
		pl_tone_write(pcm, 0, COUNT);
		double tone = 0, noise = 0;
		for (size_t k = 0; k < COUNT; k++)
			tone += (double)pcm[k] * (double)pcm[k];
		/* Uniform between -a and a: the power is a third of its square. */
		const double a = sqrt(3 * tone / COUNT * pow(10, -(double)snr_db[i] / 10));
		for (size_t k = 0; k < COUNT; k++) {
			const double add = a * ((double)pl_rng_below(&rng, 20001) / 10000 - 1);
			noise += add * add;
			pcm[k] += (float)add;
		}
		pl_tone_fit(pcm, 960, COUNT, &fit);
		assert_true(fabs((double)fit.snr_db - 10 * log10(tone / noise)) < 0.3);
		assert_in_range(fit.delay, 960 - 100, 960 + 100);
	}
}

static void test_what_is_no_tone_is_noise(void **state)
{
	(void)state;
	struct pl_tone_fit fit;
	struct pl_rng rng;
	pl_rng_init(&rng, 2);
	for (size_t i = 0; i < COUNT; i++)
		pcm[i] = (float)pl_rng_below(&rng, 2001) / 10000 - 0.1f;
	pl_tone_fit(pcm, 0, COUNT, &fit);
	assert_true(fit.snr_db < -20);
	for (size_t i = 0; i < COUNT; i++)
		pcm[i] = 0;
	pl_tone_fit(pcm, 0, COUNT, &fit);
	assert_true(fit.snr_db < -20 && isfinite(fit.snr_db));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_delay_is_found_to_the_sample),
		cmocka_unit_test(test_noise_is_measured),
		cmocka_unit_test(test_what_is_no_tone_is_noise),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
