/* What the ladder (sfu/pressure.h) takes from the media threads' work, as one word that they look at in each turn.
 * Pure: no allocation, no clock, no I/O. */
#ifndef PL_SFU_RELIEF_H
#define PL_SFU_RELIEF_H

#include "sfu/pressure.h"

/* Where listeners of PL_AUDIO_AUTO with two audio slots or more are moved, for they have not said what they want. */
enum pl_relief_auto {
	PL_RELIEF_AUTO_STAYS,  /* talkers in each slot, as ever */
	PL_RELIEF_AUTO_TO_MIX, /* the mix, in rooms where two or more talk: a packet for each listener instead of two */
	PL_RELIEF_AUTO_TO_TALKERS, /* as ever, until the pressure is over: to mix is what there is no time for */
};

struct pl_relief {
	uint16_t coalesce_us; /* media threads gather packets for so long at least */
	uint8_t audio_slots;  /* of each listener that are filled at most; 0: all */
	uint8_t moves;        /* enum pl_relief_auto */
};

/* What a level's rung takes now.  before: what is taken until now.  cause: enum pl_pressure_input.  Where listeners are moved
 * changes from the mix to talkers and not back within one time of pressure, so nobody is moved to and fro. */
struct pl_relief pl_relief_of(const struct pl_ladder *ladder, uint8_t cause, const struct pl_relief *before);

static inline uint32_t pl_relief_word(const struct pl_relief *relief)
{
	return relief->coalesce_us | (uint32_t)relief->audio_slots << 16 | (uint32_t)relief->moves << 24;
}

static inline struct pl_relief pl_relief_from(uint32_t word)
{
	return (struct pl_relief){
		.coalesce_us = (uint16_t)word,
		.audio_slots = (uint8_t)(word >> 16),
		.moves = (uint8_t)(word >> 24),
	};
}

#endif
