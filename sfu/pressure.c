#include "sfu/pressure.h"

#include <string.h>

#include "media/mixer.h"
#include "sfu/types.h"

const struct pl_ladder *pl_pressure_ladder(uint8_t level)
{
	static const struct pl_ladder ladder[PL_PRESSURE_LEVELS] = {
		[PL_PRESSURE_NOMINAL] = { .audio_slots = PL_SLOTS_MAX },
		[PL_PRESSURE_ELEVATED] = { .audio_slots = PL_SLOTS_MAX, .coalesce_us = 1000, .load_step = 2 },
		[PL_PRESSURE_HIGH] = { .audio_slots = 2,
			.coalesce_us = 2000,
			.load_step = 3,
			.moves_auto = true,
			.refuses_rooms = true },
		[PL_PRESSURE_CRITICAL] = { .audio_slots = 1,
			.coalesce_us = 3000,
			.load_step = 4,
			.moves_auto = true,
			.refuses_rooms = true,
			.refuses_joins = true },
		[PL_PRESSURE_EMERGENCY] = { .audio_slots = 1,
			.coalesce_us = 5000,
			.load_step = 4,
			.moves_auto = true,
			.refuses_rooms = true,
			.refuses_joins = true,
			.asks_idle = true },
	};
	_Static_assert(PL_MIXER_LOAD_STEPS > 4, "the ladder's steps are there");
	PL_ASSERT(level < PL_PRESSURE_LEVELS);
	return &ladder[level];
}

uint16_t pl_pressure_begins_permille(uint8_t level)
{
	static const uint16_t begins[PL_PRESSURE_LEVELS] = { 0, 700, 800, 900, 1000 };
	PL_ASSERT(level < PL_PRESSURE_LEVELS);
	return begins[level];
}

/* A fifth lower: what a level takes away must not be enough to end it. */
uint16_t pl_pressure_ends_permille(uint8_t level)
{
	return (uint16_t)(pl_pressure_begins_permille(level) * 4 / 5);
}

uint8_t pl_pressure_level_of(uint16_t score_permille)
{
	uint8_t level = PL_PRESSURE_LEVELS - 1;
	while (score_permille < pl_pressure_begins_permille(level))
		level--;
	return level;
}

const char *pl_pressure_input_name(uint8_t input)
{
	static const char *const names[] = {
#define X(name, text, full) text,
		PL_PRESSURE_INPUT_LIST(X)
#undef X
			"none",
	};
	PL_ASSERT(input < PL_COUNT(names));
	return names[input];
}

const char *pl_pressure_input_full(uint8_t input)
{
	static const char *const texts[] = {
#define X(name, text, full) full,
		PL_PRESSURE_INPUT_LIST(X)
#undef X
	};
	PL_ASSERT(input < PL_COUNT(texts));
	return texts[input];
}

const char *pl_pressure_level_name(uint8_t level)
{
	static const char *const names[PL_PRESSURE_LEVELS] = { "nominal", "elevated", "high", "critical", "emergency" };
	PL_ASSERT(level < PL_PRESSURE_LEVELS);
	return names[level];
}

bool pl_pressure_level_parse(const char *name, uint8_t *level)
{
	for (uint8_t i = 0; i < PL_PRESSURE_LEVELS; i++) {
		if (strcmp(pl_pressure_level_name(i), name) != 0)
			continue;
		*level = i;
		return true;
	}
	return false;
}
