#include "sfu/reserve.h"

#include <string.h>

enum {
	/* Of one shard.  A listener of three talkers is a ten-thousandth of a core and a talker in a large room a hundredth.  Handshakes
	 * are not in it: they wait for media, and their number bounds itself. */
	FLOOR_MICRO = 300,
	CEILING_MICRO = 5000,
	/* Below that the score is what the server costs by itself, and says nothing of one participant. */
	LEARN_PARTICIPANTS_MIN = 20,
	LEARN_SHARE = 16, /* of what was known is replaced by each measurement */
};

void pl_reserve_init(struct pl_reserve *reserve, int64_t now_us, uint32_t shards)
{
	PL_ASSERT(shards > 0);
	memset(reserve, 0, sizeof *reserve);
	reserve->slot_us = now_us - now_us % PL_PRESSURE_PERIOD_US;
	reserve->floor_micro = FLOOR_MICRO / shards + 1;
	reserve->ceiling_micro = CEILING_MICRO / shards + 1;
	reserve->cost_micro = reserve->floor_micro;
	reserve->measured.cause = PL_PRESSURE_INPUTS;
}

static size_t slot_at(int64_t at_us)
{
	return (size_t)(at_us / PL_PRESSURE_PERIOD_US) % PL_RESERVE_SLOTS;
}

/* Opens the slot of now; what was in it, and in those that nobody joined in, is too old. */
static void advance(struct pl_reserve *reserve, int64_t now_us)
{
	PL_ASSERT(now_us >= 0);
	const int64_t begins_us = now_us - now_us % PL_PRESSURE_PERIOD_US;
	int64_t passed = (begins_us - reserve->slot_us) / PL_PRESSURE_PERIOD_US;
	if (passed <= 0)
		return;
	reserve->slot_us = begins_us;
	for (int64_t at_us = begins_us; passed > 0 && at_us > begins_us - PL_RESERVE_US;
		at_us -= PL_PRESSURE_PERIOD_US, passed--)
		reserve->joined[slot_at(at_us + PL_RESERVE_US)] = 0;
}

/* What participants add up to.  Of the other inputs one more changes little, or nothing that is known beforehand. */
static uint32_t load_of(const struct pl_pressure *pressure)
{
	uint32_t load = 0;
	static const uint8_t inputs[] = { PL_PRESSURE_SHARD_BUSY, PL_PRESSURE_CPU };
	for (size_t i = 0; i < PL_COUNT(inputs); i++) {
		const uint16_t permille = pressure->input_permille[inputs[i]];
		if (permille != PL_PRESSURE_ABSENT && permille > load)
			load = permille;
	}
	return load;
}

void pl_reserve_measured(
	struct pl_reserve *reserve, int64_t now_us, const struct pl_pressure *pressure, uint32_t participants)
{
	advance(reserve, now_us);
	reserve->measured = *pressure;
	if (participants < LEARN_PARTICIPANTS_MIN)
		return;
	const uint32_t seen = load_of(pressure) * 1000 / participants;
	const uint32_t cost = (reserve->cost_micro * (LEARN_SHARE - 1) + seen) / LEARN_SHARE;
	reserve->cost_micro = cost < reserve->floor_micro     ? reserve->floor_micro
			      : cost > reserve->ceiling_micro ? reserve->ceiling_micro
							      : cost;
}

void pl_reserve_join(struct pl_reserve *reserve, int64_t now_us)
{
	advance(reserve, now_us);
	uint32_t *joined = &reserve->joined[slot_at(reserve->slot_us)];
	*joined += *joined < UINT32_MAX;
}

uint16_t pl_reserve_score(struct pl_reserve *reserve, int64_t now_us)
{
	advance(reserve, now_us);
	uint64_t weighed = 0; /* participants x microseconds of the time in which one fades */
	const int64_t fade_us = PL_RESERVE_US - PL_RESERVE_FULL_US;
	for (int64_t i = 0; i < PL_RESERVE_SLOTS; i++) {
		const int64_t age_us = i * PL_PRESSURE_PERIOD_US;
		const int64_t left_us = PL_RESERVE_US - age_us;
		const uint32_t joined = reserve->joined[slot_at(reserve->slot_us + PL_RESERVE_US - age_us)];
		weighed += (uint64_t)joined * (uint64_t)(left_us < fade_us ? left_us : fade_us);
	}
	const uint64_t expected = weighed / (uint64_t)fade_us * reserve->cost_micro / 1000;
	const uint64_t load = load_of(&reserve->measured) + expected;
	if (load <= reserve->measured.score_permille)
		return reserve->measured.score_permille;
	return (uint16_t)(load < PL_PRESSURE_PERMILLE_MAX ? load : PL_PRESSURE_PERMILLE_MAX);
}

uint8_t pl_reserve_level(struct pl_reserve *reserve, int64_t now_us)
{
	const uint8_t told = reserve->measured.level;
	const uint8_t expected = pl_pressure_level_of(pl_reserve_score(reserve, now_us));
	return reserve->measured.is_forced || told > expected ? told : expected;
}
