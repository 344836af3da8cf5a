#include "sfu/relieving.h"

#include "sfu/membership.h"
#include "sfu/spread.h"

void pl_relieving_apply(struct pl_conference *c, struct pl_room *room, int64_t now_us, bool is_moved)
{
	c->counters.rooms_moved += (uint32_t)is_moved - (uint32_t)room->is_moved;
	pl_room_relieve(room, now_us, &c->relief, is_moved);
	for (struct pl_participant *p = room->first; p != NULL; p = p->room_next) {
		if (p->ended != 0)
			pl_queue_push(&c->parting, &p->parting, p);
	}
	/* An empty one may have waited for a place to say so. */
	pl_spread_tell(c, room, now_us);
	if (room->spreading.owner == NULL)
		pl_membership_look(c, room);
}

static bool has_relief(const struct pl_conference *c, const struct pl_room *room)
{
	const bool is_undone =
		room->is_moved && c->relief.moves != PL_RELIEF_AUTO_TO_MIX && room->home == c->config.shard;
	return room->speakers.slots_cap == c->relief.audio_slots && !is_undone;
}

void pl_relieving_tick(struct pl_conference *c, int64_t now_us)
{
	uint32_t members = 0;
	while (pl_relieving_is_due(c) && members < PL_RELIEVING_MEMBERS) {
		struct pl_room *room = &c->rooms[--c->relief_left];
		if (room->id == 0)
			continue;
		const bool is_done = has_relief(c, room), is_home = room->home == c->config.shard;
		room->moves = c->relief.moves;
		if (is_done)
			continue;
		members += room->member_count + 1;
		/* Elsewhere it is home's to say. */
		pl_relieving_apply(
			c, room, now_us, room->is_moved && (!is_home || c->relief.moves == PL_RELIEF_AUTO_TO_MIX));
	}
}

/* Who would hear the mix instead of talkers.  What is elsewhere home does not know one by one. */
static bool has_listeners(const struct pl_room *room)
{
	if (room->replicas != 0)
		return true;
	for (const struct pl_participant *p = room->first; p != NULL; p = p->room_next) {
		if (p->audio_mode == PL_AUDIO_AUTO && p->slots.mix == 0 && pl_slots_audio_count(&p->slots) > 1)
			return true;
	}
	return false;
}

void pl_relieving_move(struct pl_conference *c, struct pl_room *room, int64_t now_us)
{
	if (c->config.worker_count == 0 || !has_listeners(room) || c->move_us > now_us)
		return;
	const int64_t burst_us = now_us - PL_RELIEVING_BURST * PL_RELIEVING_MOVE_US;
	c->move_us = (c->move_us > burst_us ? c->move_us : burst_us) + PL_RELIEVING_MOVE_US;
	pl_relieving_apply(c, room, now_us, true);
}
