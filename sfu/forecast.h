/* How much of the capacity will be used some minutes ahead, so that who starts more servers can start them in time.
 *
 * What is used (0: nothing, 1: all) is averaged over steps of a minute.  Two models follow it: a damped trend, and the
 * same with a season (Holt-Winters, additive), which is a day: calls have habits.  Both say at each step what they expect a quarter of an
 * hour later, and are judged when that is over.  The one that was less wrong is believed; the season has to be clearly better over its length, and
 * not be wrong now.  Who asks is told which one it is, and how wrong it was.
 * Pure: no allocation, no clock, no I/O. */
#ifndef PL_SFU_FORECAST_H
#define PL_SFU_FORECAST_H

#include "sfu/pressure.h"

enum {
	PL_FORECAST_STEP_US = 60000000,
	PL_FORECAST_SEASON_STEPS = 1440, /* a day */
	PL_FORECAST_AHEAD_STEPS = 15,
};

/* What the number rests on.  X(name, text, help) */
#define PL_FORECAST_BASIS_LIST(X)                                                                 \
	X(NONE, "none", "too little history: less than was to be looked ahead")                   \
	X(TREND, "trend", "the last minutes: a day is not over, or days are not like each other") \
	X(SEASON, "season", "the time of day, as it was on the days before")

enum pl_forecast_basis {
#define X(name, text, help) PL_FORECAST_##name,
	PL_FORECAST_BASIS_LIST(X)
#undef X
		PL_FORECAST_BASES
};

/* One of the two. */
struct pl_forecast_model {
	float level, trend;
	float said[PL_FORECAST_AHEAD_STEPS]; /* what it expected of each step to come, by step */
	float error_season, error_hour;      /* means of the absolute ones, over so long */
	uint32_t judged;                     /* steps, saturating */
};

struct pl_forecast {
	uint32_t season_steps;
	int64_t step_end_us; /* of the step that is being averaged */
	float sum;           /* of it */
	uint32_t samples;
	uint64_t steps; /* that are over */
	float used;     /* in the last one that was measured */
	struct pl_forecast_model trend, season;
	bool is_seasonal; /* the season is believed */
	float habit
		[PL_FORECAST_SEASON_STEPS]; /* by step of the season; in the first one what was used, else what is added to the level */
};

struct pl_forecast_view {
	enum pl_forecast_basis basis;
	float used;  /* in the last step; until it is over, in the first */
	float ahead; /* PL_FORECAST_AHEAD_STEPS later; as used where there is no basis */
	float error; /* the mean distance, lately, between what was said and what came; 0: nothing has come yet */
};

/* What is used of the capacity: the fullest of the places for participants and of those inputs of the pressure that another
 * server would relieve.  What others do to this machine (steal, stalls) and lateness say how calls are now, and not how many more there
 * may be. */
float pl_forecast_used(const struct pl_pressure *pressure, uint32_t participants, uint32_t participants_max);

/* season_steps: 2 to PL_FORECAST_SEASON_STEPS. */
void pl_forecast_init(struct pl_forecast *f, int64_t now_us, uint32_t season_steps);

/* used: now, not below 0; what is no number is left out.  now_us: monotonic, never decreasing, as often as you like; steps in which nothing
 * was said are thought to have been as expected. */
void pl_forecast_feed(struct pl_forecast *f, int64_t now_us, float used);

struct pl_forecast_view pl_forecast_view(const struct pl_forecast *f);

/* "none", "trend" or "season". */
const char *pl_forecast_basis_name(enum pl_forecast_basis basis);

#endif
