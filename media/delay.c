#include "media/delay.h"

#include <string.h>

enum {
	MEMORY_FRAMES = 200, /* of 20 ms: what came so long ago weighs 1/e */
	MARGIN_STEPS = 32,   /* free steps below the first packet */
	UNIT_MAX = 10000,    /* then all weights are made small again */
};

static const float late_share = 0.02f, early_share = 0.02f, negligible_share = 0.001f;

static float *weight_of(struct pl_delay *d, int32_t step)
{
	return &d->weight[(uint32_t)step % PL_DELAY_STEPS];
}

static int32_t step_of(int32_t lateness)
{
	return (lateness < 0 ? lateness - (PL_DELAY_STEP - 1) : lateness) / PL_DELAY_STEP;
}

void pl_delay_clear(struct pl_delay *d)
{
	memset(d, 0, sizeof *d);
	d->unit = 1;
}

bool pl_delay_is_clear(const struct pl_delay *d)
{
	return d->total <= 0;
}

static void forget(struct pl_delay *d, int32_t step)
{
	d->total -= *weight_of(d, step);
	*weight_of(d, step) = 0;
}

/* The window goes down to a packet earlier than any before; what is too far above it is forgotten. */
static void lower_window(struct pl_delay *d, int32_t low)
{
	for (int32_t step = d->top; step >= low + PL_DELAY_STEPS && step >= d->low; step--)
		forget(d, step);
	if (d->top >= low + PL_DELAY_STEPS)
		d->top = low + PL_DELAY_STEPS - 1;
	d->low = low;
}

/* The window goes up as far as its lowest steps have no weight any more: a clock that drifts. */
static void raise_window(struct pl_delay *d)
{
	int32_t step = d->low;
	float sum = *weight_of(d, step);
	while (step < d->top && sum < negligible_share * d->total)
		sum += *weight_of(d, ++step);
	for (; d->low < step - MARGIN_STEPS; d->low++)
		forget(d, d->low);
}

static void find_target(struct pl_delay *d)
{
	while (d->top > d->low && *weight_of(d, d->top) < 1e-5f * d->total)
		forget(d, d->top--);
	int32_t step = d->top;
	for (float sum = *weight_of(d, step); sum <= late_share * d->total && step > d->low;)
		sum += *weight_of(d, --step);
	d->target = step * PL_DELAY_STEP;
	for (step = d->low; step < d->top && *weight_of(d, step) <= 0; step++)
		;
	for (float sum = *weight_of(d, step); sum <= early_share * d->total && step < d->top;)
		sum += *weight_of(d, ++step);
	d->floor = step * PL_DELAY_STEP;
	if (d->target > d->floor + PL_DELAY_MAX)
		d->target = d->floor + PL_DELAY_MAX;
}

static void make_small(struct pl_delay *d)
{
	d->total = 0;
	for (size_t i = 0; i < PL_DELAY_STEPS; i++) {
		d->weight[i] /= d->unit;
		d->total += d->weight[i];
	}
	d->unit = 1;
}

void pl_delay_add(struct pl_delay *d, int32_t lateness, uint16_t samples, float importance)
{
	int32_t step = step_of(lateness);
	const float frames = (float)samples / 960;
	if (pl_delay_is_clear(d)) {
		d->low = step - MARGIN_STEPS;
		d->top = step;
	}
	if (step < d->low)
		lower_window(d, step);
	if (step >= d->low + PL_DELAY_STEPS)
		raise_window(d);
	if (step >= d->low + PL_DELAY_STEPS)
		step = d->low + PL_DELAY_STEPS - 1;
	if (step > d->top)
		d->top = step;
	*weight_of(d, step) += d->unit * frames * importance;
	d->total += d->unit * frames * importance;
	d->unit *= 1 + frames / MEMORY_FRAMES;
	if (d->unit > UNIT_MAX)
		make_small(d);
	find_target(d);
}
