#include "media/splice.h"

#include <math.h>
#include <string.h>

enum {
	COARSE = 6, /* the first search is at 8 kHz, of averages */
	COARSE_WINDOW = PL_SPLICE_WINDOW / COARSE,
	COARSE_LAG_MAX = PL_SPLICE_LAG_MAX / COARSE,
};

static const float silence = 1e-3f; /* -60 dB of full scale */

static float likeness_at(const float *x, size_t lag, size_t window)
{
	float xy = 0, xx = 0, yy = 0;
	for (size_t i = 0; i < window; i++) {
		xy += x[i] * x[lag + i];
		xx += x[i] * x[i];
		yy += x[lag + i] * x[lag + i];
	}
	return xy / sqrtf(xx * yy + 1e-12f);
}

static bool is_silent(const float *x, size_t count)
{
	float sum = 0;
	for (size_t i = 0; i < count; i++)
		sum += x[i] * x[i];
	return sum < silence * silence * (float)count;
}

size_t pl_splice_find(const float *x, size_t lag_max, float *likeness)
{
	PL_ASSERT(lag_max >= PL_SPLICE_LAG_MIN && lag_max <= PL_SPLICE_LAG_MAX);
	*likeness = 1;
	if (is_silent(x, lag_max + PL_SPLICE_WINDOW))
		return lag_max;

	float average[COARSE_LAG_MAX + COARSE_WINDOW], best = -2;
	for (size_t i = 0; i < lag_max / COARSE + COARSE_WINDOW; i++) {
		average[i] = 0;
		for (size_t k = 0; k < COARSE; k++)
			average[i] += x[COARSE * i + k];
	}
	size_t coarse = PL_SPLICE_LAG_MIN;
	for (size_t lag = PL_SPLICE_LAG_MIN / COARSE; lag <= lag_max / COARSE; lag++) {
		const float here = likeness_at(average, lag, COARSE_WINDOW);
		if (here > best) {
			best = here;
			coarse = lag * COARSE;
		}
	}

	size_t found = coarse;
	best = -2;
	for (size_t lag = coarse - COARSE; lag <= coarse + COARSE; lag++) {
		if (lag < PL_SPLICE_LAG_MIN || lag > lag_max)
			continue;
		const float here = likeness_at(x, lag, PL_SPLICE_WINDOW);
		if (here > best) {
			best = here;
			found = lag;
		}
	}
	*likeness = best;
	return found;
}

/* to becomes `to` from `from`. */
static void fade_over(float *to, const float *from)
{
	for (size_t i = 0; i < PL_SPLICE_FADE; i++)
		to[i] = from[i] + (to[i] - from[i]) * ((float)i + 0.5f) / PL_SPLICE_FADE;
}

void pl_splice_shorten(float *x, size_t count, size_t lag)
{
	PL_ASSERT(count >= lag + PL_SPLICE_FADE);
	float from[PL_SPLICE_FADE];
	memcpy(from, x, sizeof from);
	memmove(x, x + lag, (count - lag) * sizeof *x);
	fade_over(x, from);
}

void pl_splice_lengthen(float *x, size_t count, size_t lag)
{
	PL_ASSERT(count >= lag + PL_SPLICE_FADE);
	float from[PL_SPLICE_FADE];
	memcpy(from, x + lag, sizeof from);
	memmove(x + lag, x, count * sizeof *x);
	fade_over(x + lag, from);
}
