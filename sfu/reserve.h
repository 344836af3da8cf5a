/* What is admitted before it is measured.  A participant costs nothing in the figures until it has connected and talks, so a burst of
 * joins would pass on figures from before it.  Each join counts here as the load that one is expected to be, in full for a second and
 * then less and less until it has shown up in what is measured; and joins are admitted against the sum.
 * Pure: no allocation, no clock, no I/O.  Thread: the one that admits. */
#ifndef PL_SFU_RESERVE_H
#define PL_SFU_RESERVE_H

#include "sfu/pressure.h"

enum {
	PL_RESERVE_FULL_US = 1000000,
	PL_RESERVE_US = 3000000, /* from a join until nothing of it is reserved */
	PL_RESERVE_SLOTS = PL_RESERVE_US / PL_PRESSURE_PERIOD_US,
};

struct pl_reserve {
	uint32_t joined[PL_RESERVE_SLOTS]; /* a ring by time, newest at slot_us */
	int64_t slot_us;                   /* when the newest slot began */
	uint32_t floor_micro, ceiling_micro,
		cost_micro;          /* what a participant is expected to be, in millionths of the score */
	struct pl_pressure measured; /* as told last */
};

/* shards: of the media plane, at least 1; what joins cost is spread over them. */
void pl_reserve_init(struct pl_reserve *reserve, int64_t now_us, uint32_t shards);

/* What PL_EVENT_PRESSURE told.  participants: who are there, recent ones included; what one costs is learned from it. */
void pl_reserve_measured(
	struct pl_reserve *reserve, int64_t now_us, const struct pl_pressure *pressure, uint32_t participants);

/* One was admitted (a resume does not count: it was there before). */
void pl_reserve_join(struct pl_reserve *reserve, int64_t now_us);

/* The score that is to be expected when all who were admitted are at work. */
uint16_t pl_reserve_score(struct pl_reserve *reserve, int64_t now_us);

/* The level to admit against: the one that was told, or a higher one that the expected score would reach.  One that an operator has
 * forced is it. */
uint8_t pl_reserve_level(struct pl_reserve *reserve, int64_t now_us);

#endif
