#include "sfu/meter.h"

#include <string.h>

enum {
	GAP_US = 1000000,                      /* samples further apart say nothing of the time between them */
	MOMENT_US = PL_PRESSURE_PERIOD_US / 2, /* samples closer together show the same hiccup */
};

/* What of an input is 1 (the sentences of PL_PRESSURE_INPUT_LIST), and over how many samples counters are compared; 0: part of whole is
 * what is there now.  is_confirmed: one sample is not believed in full.
 *
 * The kernel counts time in ticks, and hands it out in slices: it is compared over a second.  What our own threads tell is of each tenth.
 *
 * mends: whether fewer people would; of a thread that stands still the processor may be busy, the neighbours' rings full and the canary deaf. */
enum mends { ALWAYS, WITHOUT_STALL, NEVER };

static const struct {
	uint16_t full_permille;
	uint8_t periods;
	bool is_confirmed;
	enum mends mends;
} scale[PL_PRESSURE_INPUTS] = {
	[PL_PRESSURE_SHARD_BUSY] = { 1000, 0, true, WITHOUT_STALL },
	[PL_PRESSURE_SHARD_LATE] = { 1000, 0, true, WITHOUT_STALL }, /* whole is the 5 ms */
	[PL_PRESSURE_CODEC_LATE] = { 100, 0, true, NEVER },
	[PL_PRESSURE_CPU] = { 1000, 10, false, WITHOUT_STALL },
	[PL_PRESSURE_STEAL] = { 333, 10, false, ALWAYS },
	[PL_PRESSURE_THROTTLED] = { 333, 10, false, WITHOUT_STALL },
	[PL_PRESSURE_PSI_CPU] = { 1000, 10, false, WITHOUT_STALL },
	[PL_PRESSURE_PSI_MEMORY] = { 200, 10, false, ALWAYS },
	[PL_PRESSURE_MEMORY] = { 1000, 0, false, ALWAYS },
	[PL_PRESSURE_UNTRACKED] = { 1000, 0, false, ALWAYS },
	[PL_PRESSURE_POOL] = { 1000, 0, true, WITHOUT_STALL },
	[PL_PRESSURE_RING] = { 1000, 0, true, WITHOUT_STALL },
	[PL_PRESSURE_RECEIVE_QUEUE] = { 10, 0, true, WITHOUT_STALL },
	[PL_PRESSURE_FILES] = { 1000, 0, false, ALWAYS },
	[PL_PRESSURE_CANARY] = { 1000, 0, false, WITHOUT_STALL },
};

/* part in thousandths of whole, cut at what a score can be. */
static uint32_t permille_of(uint64_t part, uint64_t whole)
{
	if (whole == 0)
		return 0;
	/* Both lose as many bits as make the product fit: of numbers so large nobody misses them. */
	while (part > UINT64_MAX / 1000) {
		part >>= 1;
		whole >>= 1;
	}
	if (whole == 0)
		return PL_PRESSURE_PERMILLE_MAX;
	const uint64_t permille = part * 1000 / whole;
	return permille < PL_PRESSURE_PERMILLE_MAX ? (uint32_t)permille : PL_PRESSURE_PERMILLE_MAX;
}

uint32_t pl_rate_feed(struct pl_rate *rate, uint8_t periods, uint64_t part, uint64_t whole)
{
	enum { SIZE = PL_RATE_PERIODS_MAX + 1 };
	PL_ASSERT(periods >= 1 && periods <= PL_RATE_PERIODS_MAX);
	if (rate->count > 0 && (part < rate->part[rate->newest] || whole < rate->whole[rate->newest]))
		rate->count = 0;
	rate->newest = (uint8_t)((rate->newest + 1) % SIZE);
	rate->part[rate->newest] = part;
	rate->whole[rate->newest] = whole;
	if (rate->count < SIZE)
		rate->count++;
	const uint8_t back = rate->count - 1 < periods ? (uint8_t)(rate->count - 1) : periods;
	const uint8_t oldest = (uint8_t)((rate->newest + SIZE - back) % SIZE);
	return permille_of(part - rate->part[oldest], whole - rate->whole[oldest]) * back / periods;
}

void pl_meter_init(struct pl_meter *meter, int64_t now_us)
{
	memset(meter, 0, sizeof *meter);
	meter->forced = PL_PRESSURE_LEVELS;
	meter->fed_us = now_us;
	meter->stalled_until_us = now_us;
	meter->moment_us = now_us - MOMENT_US;
	meter->ended_us = now_us;
	meter->cause = PL_PRESSURE_INPUTS;
	meter->now.cause = PL_PRESSURE_INPUTS;
	for (uint8_t i = 0; i < PL_PRESSURE_LEVELS; i++)
		meter->below_us[i] = INT64_MAX;
	for (uint8_t i = 0; i < PL_PRESSURE_INPUTS; i++)
		meter->now.input_permille[i] = PL_PRESSURE_ABSENT;
}

void pl_meter_force(struct pl_meter *meter, uint8_t level)
{
	PL_ASSERT(level <= PL_PRESSURE_LEVELS);
	meter->forced = level;
}

/* Of three the one in the middle. */
static uint16_t middle(const uint16_t of[static PL_METER_RECENT])
{
	const uint16_t low = of[0] < of[1] ? of[0] : of[1], high = of[0] < of[1] ? of[1] : of[0];
	return of[2] < low ? low : of[2] > high ? high : of[2];
}

static uint16_t at_most(uint32_t permille, uint32_t most)
{
	return (uint16_t)(permille < most ? permille : most);
}

/* What an input says: what it counts for reaching a level, and, where that is less, for staying at one that refuses somebody. */
struct reading {
	uint16_t permille, lasting;
};

/* In full when one of the two moments before was as large. */
static struct reading confirm(uint16_t recent[static PL_METER_RECENT], struct reading said, bool is_new_moment)
{
	if (is_new_moment)
		memmove(&recent[1], &recent[0], (PL_METER_RECENT - 1) * sizeof *recent);
	if (is_new_moment || said.lasting > recent[0])
		recent[0] = said.lasting;
	const uint16_t lasting = middle(recent), careful = at_most(said.permille, PL_METER_CAREFUL_PERMILLE);
	return (struct reading){ lasting > careful ? lasting : careful, lasting };
}

/* Closed to who comes, and no more: where fewer people would not mend it. */
static struct reading close_at_most(struct reading said)
{
	return (struct reading){ at_most(said.permille, PL_METER_CLOSED_PERMILLE),
		at_most(said.lasting, pl_pressure_ends_permille(PL_PRESSURE_EMERGENCY) - 1u) };
}

static bool is_mended_by_fewer(const struct pl_meter *meter, int64_t now_us, uint8_t input)
{
	if (scale[input].mends == WITHOUT_STALL)
		return now_us >= meter->stalled_until_us;
	return scale[input].mends == ALWAYS;
}

static uint32_t scaled_of(uint8_t input, uint32_t permille)
{
	return permille * 1000 / scale[input].full_permille;
}

uint16_t pl_pressure_reading_permille(uint8_t input, const struct pl_pressure_reading *reading)
{
	PL_ASSERT(scale[input].periods == 0);
	return at_most(scaled_of(input, permille_of(reading->part, reading->whole)),
		reading->is_shared ? PL_METER_CAREFUL_PERMILLE : PL_PRESSURE_PERMILLE_MAX);
}

static struct reading normalise(
	struct pl_meter *meter, uint8_t input, const struct pl_pressure_reading *reading, bool is_new_moment)
{
	struct pl_rate *rate = &meter->rate[input];
	if (reading->whole == 0) {
		rate->count = 0;
		memset(meter->recent[input], 0, sizeof meter->recent[input]);
		return (struct reading){ PL_PRESSURE_ABSENT, 0 };
	}
	const uint32_t permille = scale[input].periods == 0
					  ? permille_of(reading->part, reading->whole)
					  : pl_rate_feed(rate, scale[input].periods, reading->part, reading->whole);
	const uint32_t scaled = scaled_of(input, permille);
	struct reading said = { at_most(scaled, PL_PRESSURE_PERMILLE_MAX), at_most(scaled, PL_PRESSURE_PERMILLE_MAX) };
	if (reading->is_shared)
		said = (struct reading){ at_most(scaled, PL_METER_CAREFUL_PERMILLE),
			at_most(scaled, pl_pressure_ends_permille(PL_PRESSURE_HIGH) - 1u) };
	return scale[input].is_confirmed ? confirm(meter->recent[input], said, is_new_moment) : said;
}

/* Since when the score has been below what each level needs. */
static void note_below(struct pl_meter *meter, int64_t now_us, struct reading score)
{
	const bool is_gap = now_us - meter->fed_us > GAP_US;
	for (uint8_t level = PL_PRESSURE_ELEVATED; level < PL_PRESSURE_LEVELS; level++) {
		if ((level < PL_PRESSURE_HIGH ? score.permille : score.lasting) >= pl_pressure_ends_permille(level))
			meter->below_us[level] = INT64_MAX;
		else if (meter->below_us[level] == INT64_MAX || is_gap)
			meter->below_us[level] = now_us;
	}
}

static void follow_score(struct pl_meter *meter, int64_t now_us, struct reading score, uint8_t cause)
{
	const uint8_t reached = pl_pressure_level_of(score.permille);
	note_below(meter, now_us, score);
	if (reached >= meter->level) {
		meter->level = reached;
		meter->cause = cause;
		return;
	}
	const int64_t below_us = meter->below_us[meter->level];
	if (below_us == INT64_MAX)
		meter->cause = cause; /* it is what holds the level */
	else if (now_us - below_us >= PL_PRESSURE_HOLD_US && now_us - meter->ended_us >= PL_PRESSURE_STEP_US) {
		meter->level--;
		meter->ended_us = now_us;
	}
	if (meter->level == PL_PRESSURE_NOMINAL)
		meter->cause = cause;
}

const struct pl_pressure *pl_meter_feed(struct pl_meter *meter, int64_t now_us, const struct pl_pressure_sample *sample)
{
	PL_ASSERT(now_us >= meter->fed_us);
	struct pl_pressure *now = &meter->now;
	struct reading score = { 0, 0 };
	uint8_t cause = PL_PRESSURE_INPUTS;
	const bool is_new_moment = now_us - meter->moment_us >= MOMENT_US;
	if (is_new_moment)
		meter->moment_us = now_us;
	if (sample->has_stall)
		meter->stalled_until_us = now_us + PL_PRESSURE_HOLD_US;
	for (uint8_t i = 0; i < PL_PRESSURE_INPUTS; i++) {
		struct reading reading = normalise(meter, i, &sample->input[i], is_new_moment);
		if (reading.permille != PL_PRESSURE_ABSENT && !is_mended_by_fewer(meter, now_us, i))
			reading = close_at_most(reading);
		now->input_permille[i] = reading.permille;
		if (reading.lasting > score.lasting)
			score.lasting = reading.lasting;
		if (reading.permille == PL_PRESSURE_ABSENT || reading.permille <= score.permille)
			continue;
		score.permille = reading.permille;
		cause = i;
	}
	follow_score(meter, now_us, score, cause);
	meter->fed_us = now_us;
	now->score_permille = score.permille;
	now->is_forced = meter->forced != PL_PRESSURE_LEVELS;
	now->level = now->is_forced ? meter->forced : meter->level;
	now->cause = meter->cause;
	return now;
}
