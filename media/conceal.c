#include "media/conceal.h"

#include <math.h>
#include <string.h>

enum {
	PERIOD_MIN = 40, /* a voice of 200 Hz; of a higher one several periods */
	COMPARED = 160,  /* samples that two periods are compared over */
	LEVEL_UNTIL = 80,
	BLEND = 40, /* samples */
};
_Static_assert(COMPARED + PL_CONCEAL_PERIOD_MAX <= PL_CONCEAL_PAST, "the longest period can be compared");

void pl_conceal_init(struct pl_conceal *c)
{
	*c = (struct pl_conceal){ .made = 0 };
}

/* How much the last samples look like those one period before: the correlation, by the energy of these. */
static float likeness(const float *end, size_t period)
{
	float product = 0, energy = 1e-9f;
	for (const float *at = end - COMPARED; at < end; at++) {
		product += at[0] * *(at - period);
		energy += *(at - period) * *(at - period);
	}
	return product / sqrtf(energy);
}

static uint16_t find_period(const float *end)
{
	size_t best = PERIOD_MIN;
	float best_likeness = -1;
	for (size_t period = PERIOD_MIN; period <= PL_CONCEAL_PERIOD_MAX; period++) {
		const float l = likeness(end, period);
		if (l > best_likeness) {
			best_likeness = l;
			best = period;
		}
	}
	return (uint16_t)best;
}

/* The last period, its end bent towards the end of the one before, so that it meets its own beginning. */
static void begin_loss(struct pl_conceal *c)
{
	const float *end = c->past + PL_CONCEAL_PAST;
	c->period = find_period(end);
	const size_t bent = c->period / 4;
	memcpy(c->cycle, end - c->period, c->period * sizeof *c->cycle);
	for (size_t i = 0; i < bent; i++) {
		const float share = (float)(i + 1) / (float)bent;
		float *at = &c->cycle[c->period - bent + i];
		*at += share * (*(end - c->period - bent + i) - *at);
	}
	/* What follows the last sample is one period on from what followed the one before it. */
	c->step = end[-1] - *(end - c->period - 1);
}

static float next_made(struct pl_conceal *c)
{
	if (c->made == PL_CONCEAL_MAX)
		return 0;
	const float level =
		c->made < LEVEL_UNTIL ? 1 : (float)(PL_CONCEAL_MAX - c->made) / (float)(PL_CONCEAL_MAX - LEVEL_UNTIL);
	const float step = c->made < BLEND ? c->step * (float)(BLEND - c->made) / BLEND : 0;
	const float sample = level * (c->cycle[c->made % c->period] + step);
	c->made++;
	return sample;
}

static void remember(struct pl_conceal *c, const float *pcm, size_t count)
{
	if (count > PL_CONCEAL_PAST) {
		pcm += count - PL_CONCEAL_PAST;
		count = PL_CONCEAL_PAST;
	}
	memmove(c->past, c->past + count, (PL_CONCEAL_PAST - count) * sizeof *c->past);
	memcpy(c->past + PL_CONCEAL_PAST - count, pcm, count * sizeof *pcm);
}

void pl_conceal_make(struct pl_conceal *c, float *pcm, size_t count)
{
	if (c->made == 0 && count > 0)
		begin_loss(c);
	for (size_t i = 0; i < count; i++)
		pcm[i] = next_made(c);
	remember(c, pcm, count);
}

void pl_conceal_heard(struct pl_conceal *c, float *pcm, size_t count)
{
	if (c->made > 0 && count > 0) {
		const size_t blend = count < BLEND ? count : BLEND;
		for (size_t i = 0; i < blend; i++) {
			const float share = (float)(i + 1) / (float)(blend + 1);
			const float made = next_made(c);
			pcm[i] = made + share * (pcm[i] - made);
		}
		c->made = 0;
	}
	remember(c, pcm, count);
}
