#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "media/rng.h"
#include "media/splice.h"
#include "tests/support/sound.h"

enum { COUNT = 1920, ROOM = COUNT + PL_SPLICE_LAG_MAX };

static const float before[2];

/* A tone of any pitch stays that tone, a period shorter or longer: no noise, no bend that it has not itself. */
static void test_splice_keeps_a_tone(void **state)
{
	(void)state;
	for (double hz = 85; hz < 3000; hz *= 1.07) {
		for (int is_longer = 0; is_longer < 2; is_longer++) {
			float x[ROOM], likeness;
			pl_sound_sine(x, COUNT, 12345, hz, 0.5);
			const double bend = pl_sound_click(x + 2, COUNT - 2, x);
			const size_t lag = pl_splice_find(x, PL_SPLICE_LAG_MAX, &likeness);
			assert_in_range(lag, PL_SPLICE_LAG_MIN, PL_SPLICE_LAG_MAX);
			size_t count = COUNT - lag;
			if (is_longer) {
				pl_splice_lengthen(x, COUNT, lag);
				count = COUNT + lag;
			} else {
				pl_splice_shorten(x, COUNT, lag);
			}
			const double snr = pl_sound_sine_snr_db(x, count, hz);
			const double bent = pl_sound_click(x + 2, count - 2, x);
			if (likeness < 0.98 || snr < (hz < 1000 ? 25 : 15) || bent > 1.2 * bend + 1e-4)
				fail_msg("%.0f Hz, lag %zu: likeness %.3f, %.1f dB, bend %.5f, was %.5f", hz, lag,
					likeness, snr, bent, bend);
		}
	}
}

/* The lag of something periodic is its period, or some of them. */
static void test_splice_finds_the_period(void **state)
{
	(void)state;
	struct pl_rng rng;
	pl_rng_init(&rng, 4);
	for (size_t period = 130; period <= PL_SPLICE_LAG_MAX; period += 17) {
		float x[COUNT], likeness, last = 0;
		for (size_t i = 0; i < COUNT; i++) {
			last += 0.1f * ((float)pl_rng_below(&rng, 2001) / 1000 - 1 - last);
			x[i] = i < period ? last : x[i - period];
		}
		const size_t lag = pl_splice_find(x, PL_SPLICE_LAG_MAX, &likeness);
		if (lag % period != 0 || likeness < 0.999f)
			fail_msg("period %zu: lag %zu, likeness %.4f", period, lag, likeness);
	}
}

/* Silence may be cut anywhere, as much as is wanted; noise is like itself nowhere, and says so. */
static void test_splice_of_silence_and_noise(void **state)
{
	(void)state;
	struct pl_rng rng;
	float x[COUNT], likeness;
	pl_rng_init(&rng, 1);
	memset(x, 0, sizeof x);
	assert_int_equal(pl_splice_find(x, 333, &likeness), 333);
	assert_true(likeness >= 1);
	for (size_t i = 0; i < COUNT; i++)
		x[i] = 0.5f * ((float)pl_rng_below(&rng, 20001) / 10000 - 1);
	for (size_t lag_max = PL_SPLICE_LAG_MIN; lag_max <= PL_SPLICE_LAG_MAX; lag_max += 5) {
		const size_t lag = pl_splice_find(x, lag_max, &likeness);
		assert_in_range(lag, PL_SPLICE_LAG_MIN, lag_max);
		assert_true(likeness < 0.5f);
	}
	assert_true(pl_sound_click(x, 2, before) > 0);
}

/* What is not in the seam is the same sample for sample, in its order. */
static void test_splice_leaves_the_rest_alone(void **state)
{
	(void)state;
	float x[ROOM];
	for (size_t lag = PL_SPLICE_LAG_MIN; lag <= PL_SPLICE_LAG_MAX; lag += 30) {
		for (size_t i = 0; i < COUNT; i++)
			x[i] = (float)i;
		pl_splice_shorten(x, COUNT, lag);
		for (size_t i = PL_SPLICE_FADE; i < COUNT - lag; i++)
			assert_true(x[i] == (float)(i + lag));
		assert_true(fabsf(x[0]) < 3 && x[0] >= 0);

		for (size_t i = 0; i < COUNT; i++)
			x[i] = (float)i;
		pl_splice_lengthen(x, COUNT, lag);
		for (size_t i = 0; i < COUNT + lag; i++)
			if (i < lag || i >= lag + PL_SPLICE_FADE)
				assert_true(x[i] == (float)(i < lag ? i : i - lag));
		assert_true(fabsf(x[lag] - (float)lag) < 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_splice_keeps_a_tone),
		cmocka_unit_test(test_splice_finds_the_period),
		cmocka_unit_test(test_splice_of_silence_and_noise),
		cmocka_unit_test(test_splice_leaves_the_rest_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
