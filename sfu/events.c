#include "sfu/events.h"

#include <string.h>

#include "sfu/membership.h"

static struct pl_event slots_event(const struct pl_participant *p)
{
	struct pl_event event = { .kind = PL_EVENT_SLOTS, .room = p->room_id, .source = p->source };
	event.slots.count = p->slots.count;
	event.slots.is_mixed = p->slots.mix != 0;
	event.slots.group = p->slots.mix != 0 ? p->slots.mix - 1 : PL_MIX_FULL;
	event.slots.refusal = pl_participant_refusal(p);
	for (uint8_t i = 0; i < p->slots.count; i++) {
		event.slots.slot[i].source = p->slots.source[i];
		event.slots.slot[i].track = p->slots.track[i];
	}
	return event;
}

static struct pl_event next_event_of_participant(struct pl_conference *c, struct pl_participant *p)
{
	struct pl_event event = { .room = p->room_id, .source = p->source };
	if (p->state == PL_PARTICIPANT_GONE) {
		event.kind = PL_EVENT_GONE;
		event.close = p->close;
		pl_membership_forget(c, p);
		return event;
	}
	if (p->tell_connected) {
		p->tell_heard = p->tell_connected = false;
		event.kind = PL_EVENT_CONNECTED;
	} else if (p->tell_heard) {
		p->tell_heard = false;
		event.kind = PL_EVENT_HEARD;
	} else {
		PL_ASSERT(p->tell_slots);
		p->tell_slots = false;
		event = slots_event(p);
	}
	if (!p->tell_slots)
		pl_queue_remove(&c->notices.participants, &p->telling);
	return event;
}

static struct pl_event next_event_of_room(struct pl_conference *c, struct pl_room *room)
{
	struct pl_event event = { .kind = PL_EVENT_SPEAKERS, .room = room->id };
	event.speakers.count = room->top_count;
	memcpy(event.speakers.top, room->top, room->top_count * sizeof room->top[0]);
	event.speakers.dominant = room->dominant;
	pl_queue_remove(&c->notices.rooms, &room->telling);
	return event;
}

static bool take(struct pl_conference *c, struct pl_event *event)
{
	struct pl_participant *p = pl_queue_first(&c->notices.participants);
	struct pl_room *room = pl_queue_first(&c->notices.rooms);
	if (c->refused_count > 0) {
		*event = (struct pl_event){
			.kind = PL_EVENT_REFUSED, .room = c->refused[0].room, .source = c->refused[0].source
		};
		c->refused_count--;
		memmove(&c->refused[0], &c->refused[1], c->refused_count * sizeof c->refused[0]);
	} else if (p != NULL) {
		*event = next_event_of_participant(c, p);
	} else if (room != NULL) {
		*event = next_event_of_room(c, room);
	} else {
		return false;
	}
	return true;
}

/* Of canaries nobody is told: they hear for themselves. */
bool pl_events_next(struct pl_conference *c, struct pl_event *event)
{
	while (take(c, event)) {
		if (!pl_id_is_canary(event->room))
			return true;
	}
	return false;
}
