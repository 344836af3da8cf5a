#include "sfu/forecast.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "media/rng.h"

enum { DAY = PL_FORECAST_SEASON_STEPS, AHEAD = PL_FORECAST_AHEAD_STEPS };

static const int64_t STEP_US = PL_FORECAST_STEP_US;

/* A server whose use is a function of the minute. */
struct series {
	struct pl_forecast forecast;
	struct pl_rng rng;
	float (*used)(struct series *, int64_t minute);
	float state;
	int64_t minute; /* the next one */
};

static struct series begin(float (*used)(struct series *, int64_t), uint32_t season, uint64_t seed)
{
	struct series s = { .used = used };
	pl_rng_init(&s.rng, seed);
	pl_forecast_init(&s.forecast, 0, season);
	return s;
}

static float noise(struct series *s, float most)
{
	return most * ((float)(pl_rng_next(&s->rng) % 2001) / 1000 - 1);
}

static struct pl_forecast_view go_on(struct series *s, int64_t minutes)
{
	for (const int64_t end = s->minute + minutes; s->minute < end; s->minute++)
		pl_forecast_feed(&s->forecast, s->minute * STEP_US + STEP_US / 2, s->used(s, s->minute));
	pl_forecast_feed(&s->forecast, s->minute * STEP_US, NAN); /* the last minute is over */
	return pl_forecast_view(&s->forecast);
}

static bool is_near(float a, float b, float most)
{
	return fabsf(a - b) <= most;
}

static float steady(struct series *s, int64_t minute)
{
	(void)s;
	(void)minute;
	return 0.4f;
}

static float rising(struct series *s, int64_t minute)
{
	(void)s;
	return 0.2f + 0.01f * (float)minute;
}

static float wandering(struct series *s, int64_t minute)
{
	(void)minute;
	s->state = fminf(fmaxf(s->state + noise(s, 0.02f), 0), 1);
	return s->state;
}

/* Office hours: at nine everybody comes within ten minutes, at noon half go, at six the rest. */
static float of_office(int64_t minute_of_day)
{
	static const struct {
		int64_t from;
		float used;
	} hour[] = { { 0, 0.1f }, { 540, 0.7f }, { 720, 0.4f }, { 780, 0.65f }, { 1080, 0.1f } };
	float used = hour[0].used;
	for (size_t i = 1; i < PL_COUNT(hour); i++) {
		const float part = fminf(fmaxf((float)(minute_of_day - hour[i].from) / 10, 0), 1);
		used += part * (hour[i].used - hour[i - 1].used);
	}
	return used;
}

static float office(struct series *s, int64_t minute)
{
	return of_office(minute % DAY) + noise(s, 0.03f);
}

static float holidays_after_three_days(struct series *s, int64_t minute)
{
	return minute < INT64_C(3) * DAY ? office(s, minute) : 0.1f + noise(s, 0.03f);
}

/* Meetings begin on the hour and last for half of it. */
static float meetings(struct series *s, int64_t minute)
{
	return (minute % 60 < 30 ? 0.6f : 0.2f) + noise(s, 0.02f);
}

/* What another server would relieve is capacity; a neighbour on the same host, or a source that is not there, is not. */
static void test_forecast_counts_what_calls_use(void **state)
{
	(void)state;
	struct pl_pressure now = { .score_permille = 900 };
	for (size_t i = 0; i < PL_PRESSURE_INPUTS; i++)
		now.input_permille[i] = PL_PRESSURE_ABSENT;
	now.input_permille[PL_PRESSURE_PSI_CPU] = now.input_permille[PL_PRESSURE_STEAL] = 900;
	assert_true(is_near(pl_forecast_used(&now, 25, 100), 0.25f, 1e-6f));
	now.input_permille[PL_PRESSURE_CPU] = 200;
	assert_true(is_near(pl_forecast_used(&now, 25, 100), 0.25f, 1e-6f));
	now.input_permille[PL_PRESSURE_SHARD_BUSY] = 650;
	assert_true(is_near(pl_forecast_used(&now, 25, 100), 0.65f, 1e-6f));
	now.input_permille[PL_PRESSURE_POOL] = 1300;
	assert_true(is_near(pl_forecast_used(&now, 100, 100), 1.3f, 1e-6f));
}

/* With less history than it looks ahead it says nothing, and says so. */
static void test_forecast_needs_history(void **state)
{
	(void)state;
	struct series s = begin(steady, DAY, 1);
	pl_forecast_feed(&s.forecast, 0, 0.4f);
	assert_true(is_near(pl_forecast_view(&s.forecast).used, 0.4f, 1e-6f));
	struct pl_forecast_view view = go_on(&s, AHEAD - 1);
	assert_int_equal(view.basis, PL_FORECAST_NONE);
	assert_true(is_near(view.used, 0.4f, 1e-6f));
	assert_true(is_near(view.ahead, view.used, 1e-6f));
	assert_string_equal(pl_forecast_basis_name(view.basis), "none");
	view = go_on(&s, 1);
	assert_int_equal(view.basis, PL_FORECAST_TREND);
	assert_true(is_near(view.ahead, 0.4f, 1e-4f));
}

/* A rise is seen while it rises, and is not drawn on for ever. */
static void test_forecast_follows_a_rise(void **state)
{
	(void)state;
	struct series s = begin(rising, DAY, 1);
	const struct pl_forecast_view view = go_on(&s, 45);
	assert_int_equal(view.basis, PL_FORECAST_TREND);
	assert_true(view.ahead > view.used + 0.075f); /* half of what comes, at least */
	assert_true(view.ahead < rising(&s, 45 + AHEAD));
	s.used = steady;
	const struct pl_forecast_view later = go_on(&s, 120);
	assert_true(is_near(later.ahead, 0.4f, 0.01f));
}

/* From the second day's morning on the rush is known before it begins, when the trend knows nothing yet. */
static void test_forecast_knows_the_morning(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct series s = begin(office, DAY, seed);
		struct pl_forecast_view view = go_on(&s, 535);
		assert_int_equal(view.basis, PL_FORECAST_TREND);
		assert_true(view.ahead < 0.2f);
		for (int day = 1; day <= 4; day++) {
			view = go_on(&s, DAY);
			assert_true(is_near(view.used, 0.1f, 0.04f)); /* 8:55 */
			if (day == 1)
				continue; /* the season is on trial */
			assert_int_equal(view.basis, PL_FORECAST_SEASON);
			assert_true(is_near(view.ahead, 0.7f, 0.1f));
			assert_true(view.error < 0.04f); /* of which the noise is 0.015 */
		}
		view = go_on(&s, 1075 - 535); /* and the evening */
		assert_true(is_near(view.used, 0.65f, 0.04f) && is_near(view.ahead, 0.1f, 0.1f));
	}
}

static void test_forecast_knows_short_seasons(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct series s = begin(meetings, 60, seed);
		go_on(&s, 5 * 60);
		int right = 0;
		for (int minute = 0; minute < 60; minute++) {
			const struct pl_forecast_view view = go_on(&s, 1);
			assert_int_equal(view.basis, PL_FORECAST_SEASON);
			const float comes = (s.minute - 1 + AHEAD) % 60 < 30 ? 0.6f : 0.2f;
			right += is_near(view.ahead, comes, 0.08f);
		}
		assert_in_range(right, 56, 60); /* but the minutes beside a step, which lend from each other */
	}
}

/* Where days are not like each other nobody is told that they are. */
static void test_forecast_doubts_chance(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct series s = begin(wandering, DAY, seed);
		s.state = 0.5f;
		go_on(&s, INT64_C(2) * DAY);
		int believed = 0;
		for (int i = 0; i < 3 * DAY; i += 10)
			believed += go_on(&s, 10).basis == PL_FORECAST_SEASON;
		assert_in_range(believed, 0, 3 * DAY / 10 / 20);
	}
}

/* When habits end, the forecast is wrong for a morning at most, says how wrong, and is right again. */
static void test_forecast_forgets_habits(void **state)
{
	(void)state;
	struct series s = begin(holidays_after_three_days, DAY, 3);
	struct pl_forecast_view view = go_on(&s, INT64_C(3) * DAY + 535);
	assert_true(view.ahead > 0.5f);
	view = go_on(&s, 120);
	assert_int_equal(view.basis, PL_FORECAST_TREND);
	assert_true(is_near(view.ahead, 0.1f, 0.1f));
	view = go_on(&s, INT64_C(7) * DAY);
	assert_true(is_near(view.ahead, 0.1f, 0.06f) && view.error < 0.04f);
}

/* What is fed between the minutes counts by its mean; minutes without news are thought to have been as expected. */
static void test_forecast_means_and_gaps(void **state)
{
	(void)state;
	struct pl_forecast f;
	pl_forecast_init(&f, 0, DAY);
	for (int64_t tenth = 0; tenth < 6000; tenth++)
		pl_forecast_feed(&f, tenth * 100000, tenth % 2 == 0 ? 0.2f : 0.4f);
	pl_forecast_feed(&f, INT64_C(600) * 1000000, NAN);
	assert_true(is_near(pl_forecast_view(&f).used, 0.3f, 1e-4f));

	struct series s = begin(office, DAY, 7);
	go_on(&s, INT64_C(3) * DAY);
	s.minute += 5 * DAY + 535; /* it slept for days, and wakes up before nine */
	const struct pl_forecast_view view = go_on(&s, 1);
	assert_int_equal(view.basis, PL_FORECAST_SEASON);
	assert_true(is_near(view.ahead, 0.7f, 0.1f));
}

/* Whatever is fed, what comes out is a number that can be. */
static void test_forecast_survives_all_numbers(void **state)
{
	(void)state;
	static const float odd[] = { NAN, INFINITY, -INFINITY, -1, 0, 3e38f, -3e38f, 1e-40f, 1 };
	for (uint64_t seed = 1; seed <= 50; seed++) {
		struct pl_rng rng;
		struct pl_forecast f;
		pl_rng_init(&rng, seed);
		pl_forecast_init(&f, 0, seed % 2 == 0 ? 2 : 60);
		int64_t now_us = 0;
		for (int i = 0; i < 2000; i++) {
			const uint64_t r = pl_rng_next(&rng);
			now_us += r % 100 == 0 ? INT64_C(1) << (r >> 8) % 55 : (int64_t)(r >> 8) % (2 * STEP_US);
			if (now_us > INT64_MAX / 4)
				break;
			pl_forecast_feed(&f, now_us, odd[(r >> 40) % PL_COUNT(odd)]);
			const struct pl_forecast_view view = pl_forecast_view(&f);
			assert_true(view.used >= 0 && view.used <= 10);
			assert_true(view.ahead >= 0 && view.ahead <= 10);
			assert_true(view.error >= 0 && view.error <= 10);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forecast_counts_what_calls_use),
		cmocka_unit_test(test_forecast_needs_history),
		cmocka_unit_test(test_forecast_follows_a_rise),
		cmocka_unit_test(test_forecast_knows_the_morning),
		cmocka_unit_test(test_forecast_knows_short_seasons),
		cmocka_unit_test(test_forecast_doubts_chance),
		cmocka_unit_test(test_forecast_forgets_habits),
		cmocka_unit_test(test_forecast_means_and_gaps),
		cmocka_unit_test(test_forecast_survives_all_numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
