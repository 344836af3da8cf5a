#include "sfu/room.h"

#include <string.h>

#include "media/opus.h"

void pl_room_init(
	struct pl_room *room, uint32_t id, struct pl_timers *timers, uint8_t timer_kind, struct pl_notices *notices)
{
	*room = (struct pl_room){
		.id = id,
		.timers = timers,
		.timer = { .owner = room, .kind = timer_kind },
		.looked_us = INT64_MIN,
		.talk_next_bps = UINT32_MAX,
		.notices = notices,
	};
	pl_speakers_init(&room->speakers, 1);
}

void pl_room_fini(struct pl_room *room)
{
	PL_ASSERT(room->member_count == 0);
	pl_timers_set(room->timers, &room->timer, INT64_MAX);
	pl_queue_remove(&room->notices->rooms, &room->telling);
	PL_ASSERT(room->batch == 0 && room->spreading.owner == NULL && room->remotes == NULL);
	room->id = 0;
}

static void look_soon(struct pl_room *room, int64_t now_us)
{
	if (room->timer.place != 0 || room->speakers.is_replica)
		return;
	int64_t at_us = now_us;
	if (room->looked_us > now_us - PL_ROOM_SPEAKERS_GAP_MS * 1000)
		at_us = room->looked_us + PL_ROOM_SPEAKERS_GAP_MS * 1000;
	pl_timers_set(room->timers, &room->timer, at_us);
}

static void refit_member(struct pl_room *room, struct pl_participant *p, int64_t now_us)
{
	if (!pl_participant_refit(p, &room->speakers, now_us))
		return;
	p->tell_slots = true;
	pl_queue_push(&room->notices->participants, &p->telling, p);
}

void pl_room_refit(struct pl_room *room, int64_t now_us)
{
	if (room->fitted == room->speakers.generation)
		return;
	room->fitted = room->speakers.generation;
	for (struct pl_participant *p = room->first; p != NULL; p = p->room_next)
		refit_member(room, p, now_us);
	look_soon(room, now_us);
}

/* Whoever has most slots, and is on air itself, hears that many others.  A mix has its number of talkers. */
void pl_room_resize(struct pl_room *room)
{
	room->groups = 0;
	for (uint8_t i = 0; i < PL_MIX_GROUPS; i++)
		room->groups = (uint8_t)(room->groups | (room->members_by_group[i] > 0) << i);
	if (room->speakers.is_replica)
		return;
	uint8_t slots = pl_room_slots_max(room);
	for (uint64_t left = room->replicas; left != 0; left &= left - 1) {
		const int shard = __builtin_ctzll(left);
		const uint8_t there = room->replica_slots[shard];
		slots = there > slots ? there : slots;
		room->groups |= room->replica_groups[shard];
	}
	uint8_t places = (uint8_t)(slots + 1);
	if (room->groups != 0 && places < room->mix_talkers)
		places = room->mix_talkers;
	pl_speakers_resize(&room->speakers, places);
}

uint8_t pl_room_slots_max(const struct pl_room *room)
{
	uint8_t slots = PL_SLOTS_MAX;
	while (slots > 0 && room->members_by_slots[slots] == 0)
		slots--;
	const uint8_t cap = room->speakers.slots_cap;
	return cap != 0 && cap < slots ? cap : slots;
}

/* So much more may talkers send until the member takes them no more. */
static void note_next(struct pl_room *room, const struct pl_participant *p)
{
	const uint32_t bps = pl_participant_talk_max_bps(p);
	if (pl_participant_is_limited(p) && bps >= room->talk.bps && bps < room->talk_next_bps)
		room->talk_next_bps = bps;
}

/* A member's slots are what they are: until uncount. */
static void count(struct pl_room *room, const struct pl_participant *p)
{
	room->members_by_slots[pl_slots_talkers_max(&p->slots)]++;
	if (p->slots.mix != 0)
		room->members_by_group[p->slots.mix - 1]++;
	room->members_limited += pl_participant_is_limited(p);
	note_next(room, p);
}

static void uncount(struct pl_room *room, const struct pl_participant *p)
{
	room->members_by_slots[pl_slots_talkers_max(&p->slots)]--;
	if (p->slots.mix != 0)
		room->members_by_group[p->slots.mix - 1]--;
	room->members_limited -= pl_participant_is_limited(p);
}

void pl_room_note_fresh(struct pl_room *room, const struct pl_participant *p)
{
	if (p->slots.mix != 0 && p->transport.state == PL_TRANSPORT_CONNECTED)
		room->fresh = (uint8_t)(room->fresh | 1u << (p->slots.mix - 1));
}

/* p has changed, and hears what it hears from now on.  was: its slots.mix before. */
static void settle(struct pl_room *room, struct pl_participant *p, int64_t now_us, uint8_t was)
{
	count(room, p);
	if (p->slots.mix != was)
		pl_room_note_fresh(room, p);
	pl_room_resize(room);
	pl_room_refit(room, now_us);
	refit_member(room, p, now_us);
}

void pl_room_add(struct pl_room *room, struct pl_participant *p, int64_t now_us)
{
	p->room = room;
	p->room_id = room->id;
	p->room_next = NULL;
	p->room_prev = room->last;
	if (room->last != NULL)
		room->last->room_next = p;
	else
		room->first = p;
	room->last = p;
	room->member_count++;
	p->talk = room->talk;
	p->is_moved = room->is_moved;
	pl_participant_choose_mix(p);
	settle(room, p, now_us, 0);
}

void pl_room_remove(struct pl_room *room, struct pl_participant *p, int64_t now_us)
{
	PL_ASSERT(p->room == room);
	if (p->room_prev != NULL)
		p->room_prev->room_next = p->room_next;
	else
		room->first = p->room_next;
	if (p->room_next != NULL)
		p->room_next->room_prev = p->room_prev;
	else
		room->last = p->room_prev;
	p->room = NULL;
	p->room_next = p->room_prev = NULL;
	room->member_count--;
	uncount(room, p);
	pl_participant_fall_silent(p, &room->speakers);
	pl_room_resize(room);
	pl_room_refit(room, now_us);
}

void pl_room_apply(struct pl_room *room, struct pl_participant *p, int64_t now_us,
	const struct pl_description *description, struct pl_rng *rng)
{
	const uint8_t was = p->slots.mix;
	uncount(room, p);
	p->talk = room->talk;
	pl_participant_apply(p, description, &room->speakers, rng);
	settle(room, p, now_us, was);
}

void pl_room_rechoose(struct pl_room *room, struct pl_participant *p, int64_t now_us)
{
	const uint8_t was = p->slots.mix;
	uncount(room, p);
	p->talk = room->talk;
	pl_participant_choose_mix(p);
	settle(room, p, now_us, was);
}

void pl_room_relieve(struct pl_room *room, int64_t now_us, const struct pl_relief *relief, bool is_moved)
{
	room->moves = relief->moves;
	room->is_moved = is_moved;
	for (struct pl_participant *p = room->first; p != NULL; p = p->room_next) {
		const uint8_t was = p->slots.mix;
		uncount(room, p);
		p->talk = room->talk;
		p->is_moved = is_moved;
		p->ended = 0;
		pl_participant_choose_mix(p);
		count(room, p);
		if (p->slots.mix != was)
			pl_room_note_fresh(room, p);
	}
	room->speakers.slots_cap = relief->audio_slots;
	pl_room_resize(room);
	room->speakers.generation++;
	pl_room_refit(room, now_us);
}

bool pl_room_should_move(const struct pl_room *room)
{
	return room->moves == PL_RELIEF_AUTO_TO_MIX && !room->is_moved && !room->speakers.is_replica &&
	       room->top_count >= 2;
}

/* Talkers were seen to send more than before. */
static bool rechoose_limited(struct pl_room *room, int64_t now_us)
{
	bool has_moved = false;
	room->talk_next_bps = UINT32_MAX;
	for (struct pl_participant *p = room->first; p != NULL; p = p->room_next) {
		if (!pl_participant_is_limited(p))
			continue;
		const uint8_t was = p->slots.mix;
		pl_room_rechoose(room, p, now_us);
		has_moved = has_moved || p->slots.mix != was;
	}
	return has_moved;
}

/* An average rises with each packet of a new talker: members are asked only when it passes what one of them takes. */
bool pl_room_note_talker(struct pl_room *room, int64_t now_us, const struct pl_packet *packet)
{
	if (room->members_limited == 0 || PL_MIX_IS_TRACK(packet->track))
		return false;
	struct pl_talk *talk = &room->talk;
	const uint8_t ms = pl_opus_packet_ms(packet->payload);
	const bool is_longer = ms > talk->frame_ms;
	if (is_longer)
		talk->frame_ms = ms;
	if (packet->bps > talk->bps)
		talk->bps = packet->bps;
	return (is_longer || talk->bps > room->talk_next_bps) && rechoose_limited(room, now_us);
}

void pl_room_rank(struct pl_room *room, int64_t now_us, const struct pl_cross_speaker *speaker, uint8_t count)
{
	struct pl_speakers *s = &room->speakers;
	PL_ASSERT(s->is_replica && count <= PL_SPEAKERS_CAPACITY);
	for (uint8_t i = 0; i < count; i++) {
		pl_speaker_init(&room->shadow[i], speaker[i].source, speaker[i].track);
		s->on_air[i] = &room->shadow[i];
	}
	s->count = count;
	s->generation++;
	pl_room_refit(room, now_us);
}

bool pl_room_packet(struct pl_room *room, struct pl_speaker *speaker, int64_t now_us, uint8_t level, bool is_voice)
{
	const bool is_on_air = pl_speakers_packet(&room->speakers, speaker, now_us, level, is_voice);
	pl_room_refit(room, now_us);
	if (is_on_air && pl_speaker_is_talking(speaker, now_us))
		look_soon(room, now_us);
	return is_on_air;
}

void pl_room_look(struct pl_room *room, int64_t now_us)
{
	uint32_t top[PL_TOP_MAX];
	const size_t count = pl_speakers_top(&room->speakers, now_us, top);
	room->looked_us = now_us;
	if (count > 0)
		look_soon(room, now_us);
	if (count == room->top_count && memcmp(top, room->top, count * sizeof top[0]) == 0 &&
		room->speakers.dominant == room->dominant)
		return;
	room->top_count = (uint8_t)count;
	memcpy(room->top, top, count * sizeof top[0]);
	room->dominant = room->speakers.dominant;
	pl_queue_push(&room->notices->rooms, &room->telling, room);
}
