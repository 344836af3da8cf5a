#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "media/conceal.h"
#include "media/rng.h"

enum { HZ = 8000, BEFORE = 800, LOST_MAX = 640, AFTER = 400, TOTAL = BEFORE + LOST_MAX + AFTER };

static const double pi = 3.14159265358979323846;

/* A voice: a tone and its overtones, each half as strong as the last. */
static float voice_at(double hz, size_t i)
{
	double sum = 0;
	for (int overtone = 1; overtone * hz < 3400 && overtone <= 6; overtone++)
		sum += pow(0.5, overtone) * sin(2 * pi * hz * overtone * (double)i / HZ);
	return (float)(0.5 * sum);
}

/* A tone that rises or falls in pitch and in level, as speech does all the time. */
struct glide {
	double hz, hz_per_s, db_per_s;
};

static float glide_at(const struct glide *g, size_t i)
{
	const double s = (double)i / HZ;
	return (float)(0.2 * pow(10, g->db_per_s * s / 20) * sin(2 * pi * (g->hz * s + g->hz_per_s * s * s / 2)));
}

/* What a listener gets when `lost` samples of the voice do not arrive, in pieces as packets are. */
static void play(double hz, size_t lost, size_t piece, float pcm[static TOTAL])
{
	struct pl_conceal c;
	pl_conceal_init(&c);
	for (size_t at = 0; at < BEFORE + lost + AFTER;) {
		const bool is_lost = at >= BEFORE && at < BEFORE + lost;
		const size_t end = at < BEFORE ? BEFORE : is_lost ? BEFORE + lost : BEFORE + lost + AFTER;
		const size_t count = end - at < piece ? end - at : piece;
		for (size_t i = at; i < at + count; i++)
			pcm[i] = voice_at(hz, i);
		if (is_lost)
			pl_conceal_make(&c, &pcm[at], count);
		else
			pl_conceal_heard(&c, &pcm[at], count);
		at += count;
	}
}

static double step_max(const float *pcm, size_t from, size_t to)
{
	double most = 0;
	for (size_t i = from; i < to; i++)
		most = fmax(most, fabs((double)pcm[i] - (double)pcm[i - 1]));
	return most;
}

static const double voices[] = { 68, 85, 100, 110, 123.4, 150, 200, 220, 313.7, 400 };
static const size_t losses[] = { 80, 160, 240, 320, 480, 640 };

/* 10 ms that are lost of a steady voice are hardly heard: what is played instead is much like it. */
static void test_conceal_goes_on_as_it_was(void **state)
{
	(void)state;
	static float pcm[TOTAL];
	for (size_t v = 0; v < PL_COUNT(voices); v++) {
		double product = 0, made = 0, true_one = 0;
		play(voices[v], 80, 80, pcm);
		for (size_t i = BEFORE; i < BEFORE + 80; i++) {
			const double x = (double)voice_at(voices[v], i), y = (double)pcm[i];
			product += x * y;
			made += y * y;
			true_one += x * x;
		}
		const double likeness = product / sqrt(made * true_one);
		if (likeness < 0.95)
			fail_msg("%g Hz: likeness %.3f", voices[v], likeness);
	}
}

/* No click where it begins, where the period is repeated, or where the voice comes back. */
static void test_conceal_does_not_click(void **state)
{
	(void)state;
	static float pcm[TOTAL];
	for (size_t v = 0; v < PL_COUNT(voices); v++) {
		for (size_t l = 0; l < PL_COUNT(losses); l++) {
			play(voices[v], losses[l], 160, pcm);
			const double natural = step_max(pcm, 1, BEFORE);
			const double seen = step_max(pcm, BEFORE, BEFORE + losses[l] + AFTER);
			if (seen > 1.25 * natural)
				fail_msg("%g Hz, %zu lost: a step of %.3f, the voice's own is %.3f", voices[v],
					losses[l], seen, natural);
		}
	}
}

/* Nor where a period does not fit the one before it.  A click is a corner: in a tone there are none. */
static void test_conceal_does_not_click_when_the_voice_changes(void **state)
{
	(void)state;
	static const struct glide glides[] = { { 90, 400, 0 }, { 120, 0, 80 }, { 120, 0, -80 }, { 150, 700, 60 },
		{ 300, -900, -40 }, { 330, 1500, 0 } };
	for (size_t g = 0; g < PL_COUNT(glides); g++) {
		for (size_t first = BEFORE - 100; first < BEFORE; first += 9) {
			enum { LOST = 320 };
			static float pcm[TOTAL];
			struct pl_conceal c;
			double natural = 0, seen = 0;
			pl_conceal_init(&c);
			for (size_t i = 0; i < TOTAL; i++)
				pcm[i] = glide_at(&glides[g], i);
			for (size_t i = first - 160; i < first; i++)
				natural = fmax(natural, fabs((double)(pcm[i] - pcm[i - 1])));
			pl_conceal_heard(&c, pcm, first);
			pl_conceal_make(&c, &pcm[first], LOST);
			pl_conceal_heard(&c, &pcm[first + LOST], AFTER);
			for (size_t i = first; i < first + LOST; i++)
				seen = fmax(seen, fabs((double)(pcm[i] - pcm[i - 1])));
			if (seen > 1.6 * natural)
				fail_msg("glide %zu from %zu: a step of %.4f, the tone's own is %.4f", g, first, seen,
					natural);
		}
	}
}

/* A robot's endless vowel is worse than silence: after 60 ms there is nothing; and the voice is itself again 5 ms after
 * it came back. */
static void test_conceal_fades_and_gives_back(void **state)
{
	(void)state;
	static float pcm[TOTAL];
	for (size_t v = 0; v < PL_COUNT(voices); v++) {
		play(voices[v], 640, 160, pcm);
		for (size_t i = BEFORE + PL_CONCEAL_MAX; i < BEFORE + 640; i++)
			assert_true(pcm[i] == 0);
		for (size_t i = BEFORE + 640 + 40; i < TOTAL; i++)
			assert_true(pcm[i] == voice_at(voices[v], i));
		double early = 0, late = 0;
		for (size_t i = 0; i < 120; i++) {
			early = fmax(early, fabs((double)pcm[BEFORE + i]));
			late = fmax(late, fabs((double)pcm[BEFORE + 360 + i]));
		}
		assert_true(late < 0.35 * early);
	}
}

/* The same, whatever pieces it comes in. */
static void test_conceal_in_pieces(void **state)
{
	(void)state;
	static float whole[TOTAL], pieces[TOTAL];
	play(123.4, 320, 1000, whole);
	for (size_t piece = 40; piece <= 160; piece += 7) {
		play(123.4, 320, piece, pieces);
		for (size_t i = 0; i < BEFORE + 320 + AFTER; i++)
			assert_true(pieces[i] == whole[i]);
	}
}

/* Nothing, noise and full scale: never louder than what was there. */
static void test_conceal_of_anything_is_bounded(void **state)
{
	(void)state;
	struct pl_rng rng;
	struct pl_conceal c;
	float pcm[200];
	pl_rng_init(&rng, 3);
	pl_conceal_init(&c);
	pl_conceal_make(&c, pcm, 200);
	for (size_t i = 0; i < 200; i++)
		assert_true(pcm[i] == 0);
	for (int round = 0; round < 20000; round++) {
		const size_t count = pl_rng_below(&rng, 201);
		const uint32_t kind = pl_rng_below(&rng, 4);
		for (size_t i = 0; i < count; i++)
			pcm[i] = kind == 0 ? 1.0f : kind == 1 ? 0.0f : (float)pl_rng_below(&rng, 65536) / 32768 - 1;
		if (pl_rng_below(&rng, 3) == 0)
			pl_conceal_make(&c, pcm, count);
		else
			pl_conceal_heard(&c, pcm, count);
		for (size_t i = 0; i < count; i++)
			assert_true(fabsf(pcm[i]) <= 3.0f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conceal_goes_on_as_it_was),
		cmocka_unit_test(test_conceal_does_not_click),
		cmocka_unit_test(test_conceal_does_not_click_when_the_voice_changes),
		cmocka_unit_test(test_conceal_fades_and_gives_back),
		cmocka_unit_test(test_conceal_in_pieces),
		cmocka_unit_test(test_conceal_of_anything_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
