#include "sfu/forecast.h"

/* Of a minute's news the level takes a fifth and the trend a twentieth; the trend fades with a half-life of half an hour, or a morning's rise would
 * be drawn on into the night.  Of a day's news a habit takes a quarter. */
static const float LEVEL = 0.2f, TREND = 0.05f, FADE = 0.98f, HABIT = 0.25f;
static const float USED_MAX = 10; /* ten times all there is: whatever is above says nothing more */

enum { HOUR_STEPS = 60 };
/* The season is believed when over its length it was so much better than the trend, and until it no longer is; and at no time when it
 * was so much worse in the last hour: a holiday is not like other days. */
static const float BETTER = 0.8f, NO_BETTER = 1.0f, MISLED = 1.5f;

const char *pl_forecast_basis_name(enum pl_forecast_basis basis)
{
	static const char *const names[PL_FORECAST_BASES] = {
#define X(name, text, help) text,
		PL_FORECAST_BASIS_LIST(X)
#undef X
	};
	PL_ASSERT(basis < PL_FORECAST_BASES);
	return names[basis];
}

float pl_forecast_used(const struct pl_pressure *pressure, uint32_t participants, uint32_t participants_max)
{
	static const uint8_t grows[] = { PL_PRESSURE_SHARD_BUSY, PL_PRESSURE_CPU, PL_PRESSURE_MEMORY, PL_PRESSURE_POOL,
		PL_PRESSURE_RING, PL_PRESSURE_FILES };
	float used = (float)participants / (float)participants_max;
	for (size_t i = 0; i < PL_COUNT(grows); i++) {
		const uint16_t permille = pressure->input_permille[grows[i]];
		if (permille != PL_PRESSURE_ABSENT && (float)permille / 1000 > used)
			used = (float)permille / 1000;
	}
	return used;
}

void pl_forecast_init(struct pl_forecast *f, int64_t now_us, uint32_t season_steps)
{
	PL_ASSERT(season_steps >= 2 && season_steps <= PL_FORECAST_SEASON_STEPS);
	*f = (struct pl_forecast){ .season_steps = season_steps, .step_end_us = now_us + PL_FORECAST_STEP_US };
}

static float *habit_of(struct pl_forecast *f, uint64_t step)
{
	return &f->habit[step % f->season_steps];
}

/* A single minute of a single day is noise: its neighbours have a say. */
static float usual(const struct pl_forecast *f, uint64_t step)
{
	float sum = 0;
	for (uint64_t at = step + f->season_steps - 1; at <= step + f->season_steps + 1; at++)
		sum += f->habit[at % f->season_steps];
	return sum / 3;
}

static bool knows_habits(const struct pl_forecast *f)
{
	return f->steps >= f->season_steps;
}

/* What the level becomes in so many steps. */
static float drawn_on(const struct pl_forecast_model *m, uint32_t steps)
{
	float level = m->level, fade = 1;
	for (uint32_t i = 0; i < steps; i++) {
		fade *= FADE;
		level += fade * m->trend;
	}
	return level;
}

static float bounded(float used)
{
	return used < 0 ? 0 : used > USED_MAX ? USED_MAX : used;
}

static float trend_ahead(const struct pl_forecast *f, uint32_t steps)
{
	return bounded(drawn_on(&f->trend, steps));
}

/* The step that is over is f->steps - 1. */
static float season_ahead(const struct pl_forecast *f, uint32_t steps)
{
	return bounded(drawn_on(&f->season, steps) + usual(f, f->steps - 1 + steps));
}

static void follow(struct pl_forecast_model *m, float used)
{
	const float before = m->level;
	m->level = LEVEL * used + (1 - LEVEL) * (m->level + FADE * m->trend);
	m->trend = TREND * (m->level - before) + (1 - TREND) * FADE * m->trend;
}

static void average(float *mean, float value, uint32_t count, uint32_t most)
{
	*mean += (value - *mean) / (float)(count < most ? count : most);
}

/* What was said of this step is compared with what came of it. */
static void judge(const struct pl_forecast *f, struct pl_forecast_model *m, uint64_t step, float used)
{
	const float said = m->said[step % PL_FORECAST_AHEAD_STEPS];
	const float error = said > used ? said - used : used - said;
	m->judged += m->judged < UINT32_MAX;
	average(&m->error_season, error, m->judged, f->season_steps);
	average(&m->error_hour, error, m->judged, HOUR_STEPS);
}

/* The first season is over: what was used then, around its mean, are the habits, and the level is the mean. */
static void learn_habits(struct pl_forecast *f)
{
	float mean = 0;
	for (uint32_t i = 0; i < f->season_steps; i++)
		mean += f->habit[i] / (float)f->season_steps;
	for (uint32_t i = 0; i < f->season_steps; i++)
		f->habit[i] -= mean;
	f->season.level = mean;
}

static void follow_season(struct pl_forecast *f, uint64_t step, float used)
{
	float *habit = habit_of(f, step);
	if (step < f->season_steps) {
		*habit = used;
		if (step == f->season_steps - 1)
			learn_habits(f);
		return;
	}
	follow(&f->season, used - *habit);
	*habit += HABIT * (used - f->season.level - *habit);
}

static void choose(struct pl_forecast *f)
{
	const struct pl_forecast_model *season = &f->season, *trend = &f->trend;
	const float least = 1e-4f; /* below which one is as good as the other */
	if (season->judged < HOUR_STEPS)
		return;
	const float part = f->is_seasonal ? NO_BETTER : BETTER;
	f->is_seasonal = season->error_season + least < part * (trend->error_season + least) &&
			 season->error_hour < MISLED * (trend->error_hour + least);
}

static void end_step(struct pl_forecast *f, float used, bool is_measured)
{
	const uint64_t step = f->steps;
	if (is_measured && step >= 2 * PL_FORECAST_AHEAD_STEPS)
		judge(f, &f->trend, step, used);
	if (is_measured && step >= f->season_steps + PL_FORECAST_AHEAD_STEPS)
		judge(f, &f->season, step, used);
	if (step == 0)
		f->trend.level = used;
	follow(&f->trend, used);
	follow_season(f, step, used);
	f->steps++;
	/* Judging needs the place of this step: what is said now is of the step that comes into it. */
	const uint64_t of = step + PL_FORECAST_AHEAD_STEPS;
	f->trend.said[of % PL_FORECAST_AHEAD_STEPS] = trend_ahead(f, PL_FORECAST_AHEAD_STEPS);
	if (knows_habits(f))
		f->season.said[of % PL_FORECAST_AHEAD_STEPS] = season_ahead(f, PL_FORECAST_AHEAD_STEPS);
	choose(f);
}

static float expected(const struct pl_forecast *f)
{
	if (f->steps == 0)
		return 0;
	return f->is_seasonal ? season_ahead(f, 1) : trend_ahead(f, 1);
}

static void end_measured_step(struct pl_forecast *f)
{
	const bool is_measured = f->samples > 0;
	const float used = is_measured ? f->sum / (float)f->samples : expected(f);
	if (is_measured)
		f->used = used;
	f->sum = 0;
	f->samples = 0;
	f->step_end_us += PL_FORECAST_STEP_US;
	end_step(f, used, is_measured);
}

void pl_forecast_feed(struct pl_forecast *f, int64_t now_us, float used)
{
	/* After a day or more of silence the hour is still right, and nothing else is. */
	const int64_t season_us = (int64_t)f->season_steps * PL_FORECAST_STEP_US;
	if (now_us - f->step_end_us > 2 * season_us)
		f->step_end_us += (now_us - f->step_end_us) / season_us * season_us - season_us;
	while (now_us >= f->step_end_us)
		end_measured_step(f);
	if (!(used >= 0)) /* NaN, too */
		return;
	f->sum += bounded(used);
	f->samples++;
}

struct pl_forecast_view pl_forecast_view(const struct pl_forecast *f)
{
	const float used = f->steps == 0 && f->samples > 0 ? f->sum / (float)f->samples : f->used;
	struct pl_forecast_view view = { .basis = PL_FORECAST_NONE, .used = used, .ahead = used };
	if (f->steps < PL_FORECAST_AHEAD_STEPS)
		return view;
	view.basis = f->is_seasonal ? PL_FORECAST_SEASON : PL_FORECAST_TREND;
	view.ahead =
		f->is_seasonal ? season_ahead(f, PL_FORECAST_AHEAD_STEPS) : trend_ahead(f, PL_FORECAST_AHEAD_STEPS);
	view.error = f->is_seasonal ? f->season.error_season : f->trend.error_season;
	return view;
}
