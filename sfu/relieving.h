/* What the ladder takes from a conference's listeners (sfu/relief.h), room by room: audio slots, and for those of PL_AUDIO_AUTO the
 * choice between talkers and the mix.
 * Pure: no allocation, no clock, no I/O.  Thread: the shard that owns the conference. */
#ifndef PL_SFU_RELIEVING_H
#define PL_SFU_RELIEVING_H

#include "sfu/conference_state.h"

enum {
	PL_RELIEVING_MEMBERS =
		256, /* rooms of so many together, or one, are done in a tick: their slots are fitted anew */
	/* Between two rooms that move to the mix, on average, so that workers which are late are noticed before all are there; and so many at
	 * once, because rooms look at the same time who talks. */
	PL_RELIEVING_MOVE_US = 20000,
	PL_RELIEVING_BURST = 10,
};

static inline bool pl_relieving_is_due(const struct pl_conference *c)
{
	return c->relief_left > 0;
}

/* Goes on. */
void pl_relieving_tick(struct pl_conference *c, int64_t now_us);

/* Home: the room's listeners of PL_AUDIO_AUTO are to hear the mix; when many were moved a moment ago it is left for the next look. */
void pl_relieving_move(struct pl_conference *c, struct pl_room *room, int64_t now_us);

/* The room has what c->relief says, and who has not chosen hears the mix or not.  An empty room may end. */
void pl_relieving_apply(struct pl_conference *c, struct pl_room *room, int64_t now_us, bool is_moved);

#endif
