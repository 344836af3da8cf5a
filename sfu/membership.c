#include "sfu/membership.h"

#include <string.h>

#include "media/trace.h"
#include "sfu/spread.h"

static uint64_t room_hash(const struct pl_conference *c, uint32_t id)
{
	return pl_table_hash_id(id, c->config.seed);
}

struct pl_room *pl_membership_find_room(const struct pl_conference *c, uint32_t id)
{
	struct pl_table_node *node = pl_table_first(&c->rooms_by_id, room_hash(c, id));
	while (node != NULL && ((struct pl_room *)node->owner)->id != id)
		node = pl_table_next(node);
	return node != NULL ? node->owner : NULL;
}

struct pl_room *pl_membership_acquire_room(struct pl_conference *c, uint32_t id, uint8_t home)
{
	struct pl_room *room = pl_membership_find_room(c, id);
	PL_ASSERT(room == NULL || room->home == home);
	if (room != NULL)
		return room;
	room = c->free_rooms;
	if (room != NULL)
		c->free_rooms = room->next_free;
	else if (c->rooms_used < c->config.rooms_max)
		room = &c->rooms[c->rooms_used++];
	else
		return NULL;
	pl_room_init(room, id, &c->timers, PL_TIMER_ROOM, &c->notices);
	room->home = home;
	room->speakers.is_replica = room->speakers.notes_silenced = home != c->config.shard;
	room->mix_talkers = c->config.mix_talkers != 0 ? c->config.mix_talkers : PL_MIX_TALKERS;
	room->moves = c->relief.moves;
	room->speakers.slots_cap = c->relief.audio_slots;
	pl_table_insert(&c->rooms_by_id, &room->by_id, room_hash(c, id), room);
	c->counters.rooms += !pl_id_is_canary(id);
	return room;
}

void pl_membership_look(struct pl_conference *c, struct pl_room *room)
{
	if (room->member_count > 0 || pl_spread_is_needed(c, room))
		return;
	pl_queue_remove(&c->spreading, &room->spreading);
	c->counters.rooms -= !pl_id_is_canary(room->id);
	pl_table_remove(&c->rooms_by_id, &room->by_id);
	pl_forward_drop(&c->forward, room);
	c->counters.rooms_moved -= room->is_moved;
	pl_room_fini(room);
	room->next_free = c->free_rooms;
	c->free_rooms = room;
}

/* NULL when the table is full. */
static struct pl_participant *acquire_participant(struct pl_conference *c, uint32_t source)
{
	if (c->occupied == c->config.participants_max)
		return NULL;
	struct pl_participant *p = c->free_participants;
	if (p != NULL) {
		c->free_participants = p->room_next;
	} else {
		PL_ASSERT(c->participants_used <= c->config.participants_max); /* one more than may be */
		p = &c->participants[c->participants_used++];
	}
	*p = (struct pl_participant){
		.source = source,
		.timer = { .owner = p, .kind = PL_TIMER_PARTICIPANT },
		.report_us = INT64_MAX,
		.loss = { .bad_since_us = INT64_MAX, .good_since_us = INT64_MAX },
	};
	return p;
}

static void release_participant(struct pl_conference *c, struct pl_participant *p)
{
	p->state = PL_PARTICIPANT_FREE;
	p->room_next = c->free_participants;
	c->free_participants = p;
}

/* Takes a live participant out of its room and away from its peer's datagrams; the transport stays for its goodbye. */
static void detach(struct pl_conference *c, struct pl_participant *p, int64_t now_us)
{
	struct pl_room *room = p->room;
	pl_room_remove(room, p, now_us);
	pl_spread_tell(c, room, now_us);
	pl_membership_look(c, room);
	pl_directory_close(&c->directory, p);
	pl_timers_set(&c->timers, &p->timer, INT64_MAX);
	pl_queue_remove(&c->reporting, &p->reporting);
	pl_queue_remove(&c->parting, &p->parting);
	pl_queue_remove(&c->notices.participants, &p->telling);
	p->tell_heard = p->tell_connected = p->tell_slots = false;
	c->counters.participants -= !pl_id_is_canary(p->source);
}

void pl_membership_forget(struct pl_conference *c, struct pl_participant *p)
{
	PL_ASSERT(p->state == PL_PARTICIPANT_GONE);
	pl_queue_remove(&c->notices.participants, &p->telling);
	pl_directory_remove(&c->directory, p);
	c->occupied--;
	release_participant(c, p);
}

/* By command: a live one says goodbye; one that is gone is forgotten before anybody is told. */
static void leave(struct pl_conference *c, struct pl_participant *p, int64_t now_us)
{
	if (p->state == PL_PARTICIPANT_GONE) {
		pl_membership_forget(c, p);
		return;
	}
	PL_TRACE(gone, p->room_id, p->source, "has left");
	pl_directory_remove(&c->directory, p);
	c->occupied--;
	detach(c, p, now_us);
	p->state = PL_PARTICIPANT_CLOSING;
	pl_transport_close(&p->transport, now_us);
	pl_queue_push(&c->draining, &p->draining, p);
}

void pl_membership_note_settled(struct pl_conference *c, struct pl_participant *p)
{
	c->associations -= !p->is_settled;
	p->is_settled = true;
}

void pl_membership_finish(struct pl_conference *c, struct pl_participant *p, int64_t now_us, enum pl_close close)
{
	pl_queue_remove(&c->draining, &p->draining);
	if (p->state == PL_PARTICIPANT_CLOSING) {
		pl_transport_fini(&p->transport);
		pl_membership_note_settled(c, p);
		release_participant(c, p);
		return;
	}
	PL_TRACE(gone, p->room_id, p->source, pl_close_text(close));
	detach(c, p, now_us);
	pl_transport_fini(&p->transport);
	pl_membership_note_settled(c, p);
	p->state = PL_PARTICIPANT_GONE;
	p->close = close;
	pl_queue_push(&c->notices.participants, &p->telling, p);
}

static enum pl_err init_transport(
	struct pl_conference *c, struct pl_participant *p, int64_t now_us, const struct pl_description *description)
{
	const struct pl_transport_config config = {
		.identity = c->config.identity,
		.dtls_role = description->dtls_role,
		.peer_fingerprint = description->fingerprint,
		.local = description->local,
		.remote_ufrag = description->remote_ufrag,
		.srtp = c->config.srtp,
	};
	return pl_transport_init(&p->transport, now_us, &config);
}

static bool join(struct pl_conference *c, int64_t now_us, const struct pl_command *command)
{
	struct pl_participant *p = acquire_participant(c, command->source);
	if (p == NULL)
		return false;
	struct pl_room *room = pl_membership_acquire_room(c, command->room, command->home);
	if (room == NULL) {
		release_participant(c, p);
		return false;
	}
	if (init_transport(c, p, now_us, command->description) != PL_ERR_NONE) {
		pl_membership_look(c, room);
		release_participant(c, p);
		return false;
	}
	p->state = PL_PARTICIPANT_LIVE;
	p->can_mix = c->config.worker_count > 0;
	p->joined_us = now_us;
	c->associations++;
	c->occupied++;
	c->counters.participants += !pl_id_is_canary(p->source);
	pl_directory_add(&c->directory, p);
	pl_directory_add_ufrag(&c->directory, p, command->description->local.ufrag);
	pl_participant_apply(p, command->description, &room->speakers, &c->rng);
	pl_room_add(room, p, now_us);
	pl_spread_tell(c, room, now_us);
	pl_conference_arm(c, p);
	PL_TRACE(join, command->room, command->source, c->config.shard);
	return true;
}

static void refuse(struct pl_conference *c, const struct pl_command *command)
{
	PL_TRACE(join_refused, command->room, command->source);
	if (c->refused_count == PL_REFUSED_MAX)
		return;
	c->refused[c->refused_count].room = command->room;
	c->refused[c->refused_count].source = command->source;
	c->refused_count++;
}

static void update(
	struct pl_conference *c, struct pl_participant *p, int64_t now_us, const struct pl_description *description)
{
	if (strcmp(description->local.ufrag, p->transport.ice.local.ufrag) != 0) {
		pl_transport_restart(&p->transport, &description->local, description->remote_ufrag);
		pl_directory_add_ufrag(&c->directory, p, description->local.ufrag);
	}
	pl_room_apply(p->room, p, now_us, description, &c->rng);
	pl_spread_tell(c, p->room, now_us);
	/* Slot numbers have a new meaning, even when no talker moved. */
	p->tell_slots = true;
	pl_queue_push(&c->notices.participants, &p->telling, p);
	pl_conference_arm(c, p);
}

static void mute(struct pl_conference *c, struct pl_participant *p, int64_t now_us, uint32_t id, bool is_on)
{
	struct pl_track *track = pl_participant_track(p, id);
	if (track == NULL)
		return;
	pl_track_mute(track, is_on, &p->room->speakers);
	pl_room_refit(p->room, now_us);
	pl_spread_tell(c, p->room, now_us);
}

static void set_mode(
	struct pl_conference *c, struct pl_participant *p, int64_t now_us, const struct pl_command *command)
{
	p->audio_mode = command->audio_mode;
	p->mix_wish = command->mix_wish;
	pl_room_rechoose(p->room, p, now_us);
	pl_spread_tell(c, p->room, now_us);
	/* It is the answer, even when nothing has changed. */
	p->tell_slots = true;
	pl_queue_push(&c->notices.participants, &p->telling, p);
}

void pl_membership_command(struct pl_conference *c, int64_t now_us, const struct pl_command *command)
{
	PL_ASSERT(command->source != 0);
	struct pl_participant *p = pl_directory_by_source(&c->directory, command->source);
	const bool is_live = p != NULL && p->state == PL_PARTICIPANT_LIVE;
	switch (command->kind) {
	case PL_COMMAND_JOIN:
		PL_ASSERT(command->room != 0 && command->description != NULL);
		if (p != NULL)
			leave(c, p, now_us);
		if (!join(c, now_us, command))
			refuse(c, command);
		break;
	case PL_COMMAND_UPDATE:
		/* Not an error when it is gone: the event is on its way. */
		if (is_live)
			update(c, p, now_us, command->description);
		break;
	case PL_COMMAND_MUTE:
		if (is_live)
			mute(c, p, now_us, command->track, command->is_on);
		break;
	case PL_COMMAND_MODE:
		if (is_live)
			set_mode(c, p, now_us, command);
		break;
	case PL_COMMAND_LEAVE:
		if (p != NULL)
			leave(c, p, now_us);
		break;
	}
}

void pl_membership_close(struct pl_conference *c, int64_t now_us)
{
	for (uint32_t i = 0; i <= c->config.participants_max; i++) {
		struct pl_participant *p = &c->participants[i];
		if (p->state != PL_PARTICIPANT_FREE)
			leave(c, p, now_us);
	}
}
