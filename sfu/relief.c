#include "sfu/relief.h"

#include "sfu/types.h"

static bool is_of_shards(uint8_t cause)
{
	return cause == PL_PRESSURE_SHARD_BUSY || cause == PL_PRESSURE_SHARD_LATE || cause == PL_PRESSURE_POOL ||
	       cause == PL_PRESSURE_RECEIVE_QUEUE;
}

/* A cause that is neither moves nobody: to mix saves a media thread's time and costs a codec worker's. */
static uint8_t moves_of(const struct pl_ladder *ladder, uint8_t cause, uint8_t before)
{
	if (!ladder->moves_auto)
		return PL_RELIEF_AUTO_STAYS;
	if (cause == PL_PRESSURE_CODEC_LATE)
		return PL_RELIEF_AUTO_TO_TALKERS;
	if (is_of_shards(cause) && before == PL_RELIEF_AUTO_STAYS)
		return PL_RELIEF_AUTO_TO_MIX;
	return before;
}

struct pl_relief pl_relief_of(const struct pl_ladder *ladder, uint8_t cause, const struct pl_relief *before)
{
	return (struct pl_relief){
		.coalesce_us = ladder->coalesce_us,
		.audio_slots = ladder->audio_slots < PL_SLOTS_MAX ? ladder->audio_slots : 0,
		.moves = moves_of(ladder, cause, before->moves),
	};
}
