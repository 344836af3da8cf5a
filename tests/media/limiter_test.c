#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "media/limiter.h"
#include "media/rng.h"

enum { RATE_HZ = 48000, FRAME = 960, FRAMES = 100, SAMPLES = FRAME * FRAMES, TALKERS = 8, BLOCK = RATE_HZ / 400 };

static float x[SAMPLES];

static void add_tone(double hz, double amplitude, double phase)
{
	for (size_t i = 0; i < SAMPLES; i++)
		x[i] += (float)(amplitude * sin(phase + 2 * M_PI * hz * (double)i / RATE_HZ));
}

/* The first frames of x in place; each sample afterwards is within full scale. */
static void limit(struct pl_limiter *limiter, size_t frames)
{
	for (size_t i = 0; i < frames; i++)
		pl_limiter_apply(limiter, pl_dsp_get(PL_SIMD_AUTO), x + i * FRAME, FRAME);
	for (size_t i = 0; i < frames * FRAME; i++)
		if (!(x[i] >= -1 && x[i] <= 1))
			fail_msg("sample %zu is %g", i, (double)x[i]);
}

/* What is not the wanted tones in the last second, in dB of all of it.  They have whole numbers of Hz, so they are
 * orthogonal over a second, and each is found by projection. */
static double thd_n_db(const double *hz, size_t count)
{
	const float *second = x + SAMPLES - RATE_HZ;
	double all = 0, wanted = 0;
	for (size_t i = 0; i < RATE_HZ; i++)
		all += (double)second[i] * (double)second[i];
	for (size_t k = 0; k < count; k++) {
		double re = 0, im = 0;
		for (size_t i = 0; i < RATE_HZ; i++) {
			re += (double)second[i] * cos(2 * M_PI * hz[k] * (double)i / RATE_HZ);
			im += (double)second[i] * sin(2 * M_PI * hz[k] * (double)i / RATE_HZ);
		}
		wanted += 2 * (re * re + im * im) / RATE_HZ;
	}
	return 10 * log10(fmax(all - wanted, 1e-12 * all) / all);
}

/* One voice far beyond full scale must be quieter and otherwise itself: a gain that followed its waves would be heard as
 * a rattle, from the deepest on. */
static void test_limiter_steady_tone_stays_pure(void **state)
{
	(void)state;
	static const double hz[] = { 50, 100, 220, 440, 997, 3001, 7919 };
	for (size_t i = 0; i < PL_COUNT(hz); i++) {
		struct pl_limiter limiter;
		memset(x, 0, sizeof x);
		add_tone(hz[i], TALKERS, 0);
		pl_limiter_init(&limiter, RATE_HZ, 1);
		limit(&limiter, FRAMES);
		const double db = thd_n_db(&hz[i], 1);
		if (db > -100)
			fail_msg("%g Hz: THD+N %.1f dB", hz[i], db);
		assert_true(fabs((double)(limiter.gain * TALKERS - PL_LIMITER_THRESHOLD)) < 0.002);
	}
}

/* What is left of x when the gain is taken out, as far as it is a straight line in each block, in dB of all: what was cut
 * or bent, without the slow riding of the level (which THD+N counts too). */
static double distortion_db(const float *original)
{
	double all = 0, rest = 0;
	for (size_t at = SAMPLES - RATE_HZ; at < SAMPLES; at += BLOCK) {
		/* Least squares of x = (a + b t) original. */
		double oo = 0, oot = 0, oott = 0, xo = 0, xot = 0;
		for (size_t i = at; i < at + BLOCK; i++) {
			const double o = (double)original[i], t = (double)(i - at) / BLOCK;
			oo += o * o;
			oot += o * o * t;
			oott += o * o * t * t;
			xo += (double)x[i] * o;
			xot += (double)x[i] * o * t;
		}
		const double det = oo * oott - oot * oot;
		const double a = det > 0 ? (xo * oott - xot * oot) / det : 0,
			     b = det > 0 ? (xot * oo - xo * oot) / det : 0;
		for (size_t i = at; i < at + BLOCK; i++) {
			const double left = (double)x[i] - (a + b * (double)(i - at) / BLOCK) * (double)original[i];
			all += (double)x[i] * (double)x[i];
			rest += left * left;
		}
	}
	return 10 * log10(fmax(rest, 1e-12 * all) / all);
}

static void cut(void)
{
	for (size_t i = 0; i < SAMPLES; i++)
		x[i] = fmaxf(-1, fminf(1, x[i]));
}

/* Eight at full scale beat with each other, and the gain may ride on the beats only slowly.  Beside it what cutting the
 * tops off makes of the same: noise that nobody can listen to. */
static void test_limiter_eight_full_scale_talkers(void **state)
{
	(void)state;
	static const struct {
		double hz[TALKERS], db_max;
	} set[] = {
		{ { 200, 310, 430, 570, 730, 910, 1130, 1370 }, -100 },
		{ { 100, 150, 200, 250, 300, 350, 400, 450 }, -100 },
		{ { 437, 587, 811, 1103, 1471, 2011, 2719, 3671 }, -36 },
		/* beats of 1 to 27 Hz are swells that one hears as such: the gain follows them, in part */
		{ { 440, 441, 443, 447, 457, 461, 463, 467 }, -19 },
	};
	static float original[SAMPLES];
	for (size_t s = 0; s < PL_COUNT(set); s++) {
		struct pl_limiter limiter;
		memset(x, 0, sizeof x);
		for (size_t k = 0; k < TALKERS; k++)
			add_tone(set[s].hz[k], 1, (double)k);
		memcpy(original, x, sizeof x);
		pl_limiter_init(&limiter, RATE_HZ, 1);
		limit(&limiter, FRAMES);
		const double db = thd_n_db(set[s].hz, TALKERS), distortion = distortion_db(original);
		if (db > set[s].db_max || distortion > -60)
			fail_msg("set %zu: THD+N %.1f dB, distortion %.1f dB", s, db, distortion);
		memcpy(x, original, sizeof x);
		cut();
		assert_true(thd_n_db(set[s].hz, TALKERS) > -8 && distortion_db(original) > -14);
	}
}

/* Eight voices, each a pitch with its harmonics that glides, and starts and stops in syllables; the loudest sample of each
 * is at full scale. */
static void make_voices(float *sum, int seed)
{
	static float voice[SAMPLES];
	memset(sum, 0, SAMPLES * sizeof *sum);
	for (int k = 0; k < TALKERS; k++) {
		const double pitch_hz = 90 + 25 * k, syllables_hz = 3.1 + 0.37 * k, phase = k * (1 + 0.3 * seed);
		double angle = k * (seed + 1), peak = 0;
		for (size_t i = 0; i < SAMPLES; i++) {
			const double t = (double)i / RATE_HZ;
			const double open = fmax(0, sin(2 * M_PI * syllables_hz * t + phase));
			double sample = 0;
			angle += 2 * M_PI * pitch_hz * (1 + 0.15 * sin(2 * M_PI * 1.3 * t + k)) / RATE_HZ;
			for (int h = 1; h <= 8; h++)
				sample += sin(h * angle) / h;
			voice[i] = (float)(sqrt(open) * sample);
			peak = fmax(peak, fabs((double)voice[i]));
		}
		for (size_t i = 0; i < SAMPLES; i++)
			sum[i] += (float)((double)voice[i] / peak);
	}
}

/* A quarrel of eight is loud and clear: the worst two of twelve such rooms, where a frame begins with a syllable that is
 * much louder than what was before; in the others nothing is bent at all. */
static void test_limiter_eight_shouting_voices(void **state)
{
	(void)state;
	static float original[SAMPLES];
	static const int seeds[] = { 0, 5 };
	for (size_t s = 0; s < PL_COUNT(seeds); s++) {
		struct pl_limiter limiter;
		make_voices(original, seeds[s]);
		memcpy(x, original, sizeof x);
		pl_limiter_init(&limiter, RATE_HZ, 1);
		limit(&limiter, FRAMES);
		const double distortion = distortion_db(original);
		if (distortion > -58)
			fail_msg("seed %d: distortion %.1f dB", seeds[s], distortion);
		memcpy(x, original, sizeof x);
		cut();
		assert_true(distortion_db(original) > -20);
	}
}

/* A conversation at a usual level passes as it is, so nobody pays for the limiter that does not need it. */
static void test_limiter_leaves_quiet_frames_alone(void **state)
{
	(void)state;
	static float before[SAMPLES];
	struct pl_limiter limiter;
	struct pl_rng rng;
	pl_rng_init(&rng, 1);
	pl_limiter_init(&limiter, RATE_HZ, 1);
	for (size_t i = 0; i < SAMPLES; i++)
		x[i] = PL_LIMITER_THRESHOLD * ((float)pl_rng_below(&rng, 2001) / 1000 - 1);
	x[5] = PL_LIMITER_THRESHOLD;
	x[6] = -PL_LIMITER_THRESHOLD;
	x[7] = -0.0F;
	x[8] = FLT_TRUE_MIN;
	memcpy(before, x, sizeof x);
	limit(&limiter, FRAMES);
	assert_memory_equal(before, x, sizeof x);
}

/* After a shout the gain comes back without a jump, and all the way: what follows is untouched again. */
static void test_limiter_recovers_smoothly(void **state)
{
	(void)state;
	struct pl_limiter limiter;
	pl_limiter_init(&limiter, RATE_HZ, 1);
	for (size_t i = 0; i < SAMPLES; i++)
		x[i] = i < FRAME ? (i % 2 == 0 ? 8 : -8) : 0.5F;
	limit(&limiter, FRAMES);
	size_t held = 0, untouched = 0;
	for (size_t i = FRAME + 1; i < SAMPLES; i++) {
		assert_true(x[i] >= x[i - 1] && x[i] <= x[i - 1] * 1.0002F);
		held += x[i] == x[FRAME];
		untouched += x[i] == 0.5F;
	}
	/* 200 ms of rest, then 19 dB at 20 dB/s, and then nothing more. */
	assert_true(held >= RATE_HZ / 5 - BLOCK && held <= RATE_HZ / 5 + 2 * BLOCK);
	assert_true(untouched > SAMPLES - FRAME - (size_t)(1.2 * RATE_HZ) && untouched < SAMPLES / 2);
	assert_true(limiter.gain == 1);
}

/* Inside of a frame the gain has fallen before the shout begins: the quiet samples before it go down on a line, and no
 * sample of the shout is cut. */
static void test_limiter_looks_ahead_within_a_frame(void **state)
{
	(void)state;
	struct pl_limiter limiter;
	pl_limiter_init(&limiter, RATE_HZ, 1);
	for (size_t i = 0; i < FRAME; i++)
		x[i] = i < 4 * BLOCK ? 0.5F : 4;
	limit(&limiter, 1);
	for (size_t i = 0; i < FRAME; i++) {
		if (i <= 3 * BLOCK)
			assert_true(x[i] == 0.5F);
		else if (i < 4 * BLOCK)
			assert_true(x[i] < x[i - 1] && x[i] > x[i - 1] - 0.5F / BLOCK);
		else
			assert_true(fabsf(x[i] - PL_LIMITER_THRESHOLD) < 1e-6F);
	}
}

/* A shout that begins with the frame could not be foreseen: its first half of a millisecond is cut to full scale, not wrapped, and
 * from then on it is turned down. */
static void test_limiter_cuts_only_what_nobody_could_foresee(void **state)
{
	(void)state;
	struct pl_limiter limiter;
	pl_limiter_init(&limiter, RATE_HZ, 1);
	for (size_t i = 0; i < 2 * FRAME; i++)
		x[i] = i < FRAME ? 0.5F : 4;
	limit(&limiter, 2);
	assert_true(x[FRAME] == 1); /* the gain itself does not jump */
	for (size_t i = 0; i < 2 * FRAME; i++) {
		const float wanted = i < FRAME ? 0.5F : PL_LIMITER_THRESHOLD;
		const bool is_attack = i >= FRAME && i < FRAME + BLOCK / 4;
		assert_true(is_attack ? x[i] <= 1 && x[i] >= PL_LIMITER_THRESHOLD : fabsf(x[i] - wanted) < 1e-6F);
	}
}

/* One broken frame of a decoder may cost itself, and not a sample of anything that follows. */
static void test_limiter_forgets_garbage(void **state)
{
	(void)state;
	static const float garbage[] = { NAN, -NAN, INFINITY, -INFINITY, FLT_MAX, -FLT_MAX, 65 };
	for (size_t g = 0; g < PL_COUNT(garbage); g++) {
		struct pl_limiter limiter;
		pl_limiter_init(&limiter, RATE_HZ, 1);
		for (size_t i = 0; i < 2 * FRAME; i++)
			x[i] = 0.25F;
		for (size_t i = g; i < FRAME; i += 7)
			x[i] = garbage[g];
		limit(&limiter, 2);
		for (size_t i = 0; i < 2 * FRAME; i++)
			assert_true(x[i] == (i < FRAME && i >= g && (i - g) % 7 == 0 ? 0 : 0.25F));
	}
}

/* Any length, any channels, any loudness, any garbage, and the kernels exchanged while it runs: within full scale, and the
 * same bits as with plain C throughout.  A copy of the state goes on as the original does. */
static void test_limiter_any_frames_with_any_kernels(void **state)
{
	(void)state;
	static float plain[2 * FRAME], other[2 * FRAME];
	struct pl_limiter a, b;
	struct pl_rng rng;
	for (uint64_t seed = 0; seed < 40; seed++) {
		pl_rng_init(&rng, seed);
		pl_limiter_init(&a, seed % 2 == 0 ? RATE_HZ : 8000, 1 + (uint32_t)seed / 2 % 2);
		for (size_t frame = 0; frame < 100; frame++) {
			const size_t n = pl_rng_below(&rng, 3) == 0 ? pl_rng_below(&rng, 2 * FRAME + 1) : FRAME;
			const float loud = ldexpf(1, (int)pl_rng_below(&rng, 9) - 4);
			for (size_t i = 0; i < n; i++)
				plain[i] = loud * ((float)pl_rng_below(&rng, 2001) / 1000 - 1);
			if (n > 0 && pl_rng_below(&rng, 20) == 0)
				plain[pl_rng_below(&rng, (uint32_t)n)] = pl_rng_below(&rng, 2) ? NAN : FLT_MAX;
			memcpy(other, plain, sizeof plain);
			b = a;
			pl_limiter_apply(&a, pl_dsp_get(PL_SIMD_PLAIN), plain, n);
			const struct pl_dsp *dsp = pl_dsp_get((enum pl_simd)pl_rng_below(&rng, PL_SIMD_COUNT));
			pl_limiter_apply(&b, dsp != NULL ? dsp : pl_dsp_get(PL_SIMD_AUTO), other, n);
			assert_memory_equal(plain, other, n * sizeof plain[0]);
			assert_memory_equal(&a, &b, sizeof a);
			for (size_t i = 0; i < n; i++)
				if (!(plain[i] >= -1 && plain[i] <= 1))
					fail_msg("seed %llu frame %zu sample %zu: %g", (unsigned long long)seed, frame,
						i, (double)plain[i]);
			assert_true(a.gain > 0 && a.gain <= 1);
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limiter_steady_tone_stays_pure),
		cmocka_unit_test(test_limiter_eight_full_scale_talkers),
		cmocka_unit_test(test_limiter_eight_shouting_voices),
		cmocka_unit_test(test_limiter_leaves_quiet_frames_alone),
		cmocka_unit_test(test_limiter_recovers_smoothly),
		cmocka_unit_test(test_limiter_looks_ahead_within_a_frame),
		cmocka_unit_test(test_limiter_cuts_only_what_nobody_could_foresee),
		cmocka_unit_test(test_limiter_forgets_garbage),
		cmocka_unit_test(test_limiter_any_frames_with_any_kernels),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
