#include "sfu/spread.h"

#include <string.h>

#include "sfu/intake.h"
#include "sfu/membership.h"
#include "sfu/mixing.h"
#include "sfu/relieving.h"

_Static_assert(PL_SFU_SHARDS_MAX <= 64, "masks have a bit for each shard");
_Static_assert(
	PL_SPEAKERS_CAPACITY * sizeof(struct pl_cross_speaker) <= PL_DATAGRAM_SIZE_MAX, "a ranking fits a packet");

/* ---- what is told ---- */

static uint64_t bit(uint8_t shard)
{
	return UINT64_C(1) << shard;
}

static uint8_t first_of(uint64_t shards)
{
	return (uint8_t)__builtin_ctzll(shards);
}

bool pl_spread_push(struct pl_conference *c, uint8_t to, const struct pl_cross *message)
{
	if (!c->config.port.push(c->config.port.context, to, message))
		return false;
	if (pl_cross_has_packet(message))
		pl_packet_hold(message->packet);
	return true;
}

/* Home: tells the replicas that do not know it who is heard.  Like tell_home it returns how long to wait before the rest
 * is told, 0 when there is none. */
static int64_t tell_ranking(struct pl_conference *c, struct pl_room *room)
{
	const struct pl_speakers *s = &room->speakers;
	if (room->told != s->generation) {
		room->told = s->generation;
		room->untold = room->replicas;
	}
	if (room->untold == 0)
		return 0;
	struct pl_packet *packet = pl_pool_take_reserve(&c->pool);
	if (packet == NULL)
		return PL_SPREAD_RETRY_US;
	struct pl_cross_speaker speaker[PL_SPEAKERS_CAPACITY];
	for (uint8_t i = 0; i < s->count; i++)
		speaker[i] = (struct pl_cross_speaker){ s->on_air[i]->source, s->on_air[i]->track };
	memcpy(packet->data, speaker, s->count * sizeof speaker[0]);
	packet->payload = (struct pl_bytes){ packet->data, s->count * sizeof speaker[0] };
	const struct pl_cross message = { .kind = PL_CROSS_RANKING,
		.is_moved = room->is_moved,
		.count = s->count,
		.room = room->id,
		.packet = packet };
	for (uint64_t left = room->untold; left != 0; left &= left - 1) {
		if (pl_spread_push(c, first_of(left), &message))
			room->untold &= ~bit(first_of(left));
	}
	pl_pool_release(&c->pool, packet);
	return room->untold == 0 ? 0 : PL_SPREAD_RETRY_US;
}

/* Replica: which of its members' tracks are heard no more. */
static bool tell_silenced(struct pl_conference *c, struct pl_room *room)
{
	struct pl_speakers *s = &room->speakers;
	while (s->silenced_count > 0) {
		const struct pl_cross message = {
			.kind = PL_CROSS_SILENT, .room = room->id, .track = s->silenced[s->silenced_count - 1]
		};
		if (room->is_open && !pl_spread_push(c, room->home, &message))
			return false;
		s->silenced_count--;
	}
	return true;
}

static bool tell_open(struct pl_conference *c, struct pl_room *room, int64_t now_us)
{
	const struct pl_cross message = {
		.kind = PL_CROSS_OPEN,
		.slots = pl_room_slots_max(room),
		.groups = room->groups,
		.fresh = room->fresh | room->fresh_told,
		.room = room->id,
		.opening = c->openings + 1,
	};
	if (!pl_spread_push(c, room->home, &message))
		return false;
	room->opening = ++c->openings;
	room->open_us = now_us;
	room->is_open = room->is_refused = true;
	room->slots_told = message.slots;
	room->groups_told = message.groups;
	room->fresh_told = message.fresh;
	room->fresh = 0;
	return true;
}

static int64_t tell_home(struct pl_conference *c, struct pl_room *room, int64_t now_us)
{
	if (!tell_silenced(c, room))
		return PL_SPREAD_RETRY_US;
	if (room->member_count == 0) {
		const struct pl_cross message = { .kind = PL_CROSS_CLOSE, .room = room->id };
		if (room->is_open && !pl_spread_push(c, room->home, &message))
			return PL_SPREAD_RETRY_US;
		room->is_open = room->is_refused = false;
		return 0;
	}
	const bool is_untold = !room->is_open || room->slots_told != pl_room_slots_max(room) ||
			       room->groups_told != room->groups || room->fresh != 0;
	const bool is_overdue = room->is_refused && now_us - room->open_us >= PL_SPREAD_ANSWER_US;
	if ((is_untold || is_overdue) && !tell_open(c, room, now_us))
		return PL_SPREAD_RETRY_US;
	return room->is_refused ? room->open_us + PL_SPREAD_ANSWER_US - now_us : 0;
}

void pl_spread_tell(struct pl_conference *c, struct pl_room *room, int64_t now_us)
{
	const bool is_home = !pl_spread_is_replica(c, room);
	if (is_home && room->replicas == 0 && !pl_mixing_is_told(c, room))
		return;
	int64_t wait_us = is_home ? tell_ranking(c, room) : tell_home(c, room, now_us);
	if (is_home && !pl_mixing_tell(c, room))
		wait_us = PL_SPREAD_RETRY_US;
	if (wait_us == 0) {
		pl_queue_remove(&c->spreading, &room->spreading);
		return;
	}
	if (pl_queue_first(&c->spreading) == NULL || now_us + wait_us < c->spread_retry_us)
		c->spread_retry_us = now_us + wait_us;
	pl_queue_push(&c->spreading, &room->spreading, room);
}

bool pl_spread_is_needed(const struct pl_conference *c, const struct pl_room *room)
{
	return pl_spread_is_replica(c, room) ? room->is_open : room->replicas != 0 || pl_mixing_is_needed(room);
}

void pl_spread_retry(struct pl_conference *c, int64_t now_us)
{
	/* One that fails again goes to the end: each is tried once. */
	struct pl_room *room, *first_failed = NULL;
	c->spread_retry_us = INT64_MAX;
	while ((room = pl_queue_first(&c->spreading)) != NULL && room != first_failed) {
		pl_queue_remove(&c->spreading, &room->spreading);
		pl_spread_tell(c, room, now_us);
		if (room->spreading.owner == NULL)
			pl_membership_look(c, room);
		else if (first_failed == NULL)
			first_failed = room;
	}
}

/* ---- packets on their way out ---- */

enum pl_drop pl_spread_hear(struct pl_conference *c, struct pl_room *room, struct pl_packet *packet)
{
	/* Home would not know what it is. */
	if (!room->is_open)
		return PL_DROP_CROSS_FULL;
	const struct pl_cross message = { .kind = PL_CROSS_HEAR, .room = room->id, .packet = packet };
	return pl_spread_push(c, room->home, &message) ? PL_DROP_NONE : PL_DROP_CROSS_FULL;
}

/* Those of the shards that are on one node with shard. */
static uint64_t on_node_of(const struct pl_conference *c, uint8_t shard, uint64_t shards)
{
	uint64_t same = 0;
	for (uint64_t left = shards; left != 0; left &= left - 1) {
		if (c->config.shard_node[first_of(left)] == c->config.shard_node[shard])
			same |= bit(first_of(left));
	}
	return same;
}

static void forward_to(struct pl_conference *c, uint32_t room, uint8_t shard, uint64_t relay, struct pl_packet *packet)
{
	const struct pl_cross message = { .kind = PL_CROSS_FORWARD, .room = room, .relay = relay, .packet = packet };
	if (!pl_spread_push(c, shard, &message))
		pl_drop_count(c->counters.drop, PL_DROP_CROSS_FULL);
}

void pl_spread_forward(struct pl_conference *c, uint32_t room, uint64_t replicas, struct pl_packet *packet)
{
	const uint64_t near = on_node_of(c, c->config.shard, replicas);
	for (uint64_t left = near; left != 0; left &= left - 1)
		forward_to(c, room, first_of(left), 0, packet);
	for (uint64_t far = replicas & ~near; far != 0;) {
		const uint8_t shard = first_of(far);
		const uint64_t there = on_node_of(c, shard, far);
		forward_to(c, room, shard, there & ~bit(shard), packet);
		far &= ~there;
	}
}

/* The replicas where somebody hears talkers in slots of their own. */
static uint64_t replicas_with_slots(const struct pl_room *room)
{
	uint64_t shards = 0;
	for (uint64_t left = room->replicas; left != 0; left &= left - 1) {
		if (room->replica_slots[first_of(left)] > 0)
			shards |= bit(first_of(left));
	}
	return shards;
}

enum pl_drop pl_spread_pass(struct pl_conference *c, struct pl_room *room, struct pl_packet *packet)
{
	const uint64_t replicas = replicas_with_slots(room);
	const bool is_mixed = pl_mixing_hear(c, room, packet);
	pl_spread_forward(c, room->id, replicas, packet);
	if (pl_room_slots_max(room) == 0)
		return replicas != 0 || is_mixed ? PL_DROP_NONE : PL_DROP_RTP_UNHEARD;
	pl_packet_hold(packet);
	pl_forward_add(&c->forward, room, packet);
	return PL_DROP_NONE;
}

/* ---- what comes in ---- */

static uint64_t track_hash(const struct pl_conference *c, uint32_t track)
{
	return pl_table_hash_id(track, c->config.seed);
}

static struct pl_remote *find_remote(const struct pl_conference *c, uint32_t track)
{
	struct pl_table_node *node = pl_table_first(&c->remotes_by_track, track_hash(c, track));
	while (node != NULL && ((struct pl_remote *)node->owner)->speaker.track != track)
		node = pl_table_next(node);
	return node != NULL ? node->owner : NULL;
}

static struct pl_remote *add_remote(
	struct pl_conference *c, struct pl_room *room, uint8_t shard, const struct pl_packet *packet)
{
	struct pl_remote *remote = c->free_remotes;
	if (remote != NULL)
		c->free_remotes = remote->next;
	else if (c->remotes_used < c->config.remotes_max)
		remote = &c->remotes[c->remotes_used++];
	else
		return NULL;
	*remote = (struct pl_remote){ .room = room, .shard = shard, .next = room->remotes };
	if (room->remotes != NULL)
		room->remotes->prev = remote;
	room->remotes = remote;
	pl_speaker_init(&remote->speaker, packet->source, packet->track);
	pl_table_insert(&c->remotes_by_track, &remote->by_track, track_hash(c, packet->track), remote);
	return remote;
}

struct pl_speaker *pl_spread_speaker(const struct pl_conference *c, const struct pl_room *room, uint32_t track)
{
	struct pl_remote *remote = find_remote(c, track);
	return remote != NULL && remote->room == room ? &remote->speaker : NULL;
}

uint64_t pl_spread_shards_of(const struct pl_room *room, uint32_t source)
{
	uint64_t shards = 0;
	for (const struct pl_remote *remote = room->remotes; remote != NULL; remote = remote->next) {
		if (remote->speaker.source == source)
			shards |= bit(remote->shard);
	}
	return shards;
}

static void remove_remote(struct pl_conference *c, struct pl_remote *remote)
{
	struct pl_room *room = remote->room;
	pl_speakers_remove(&room->speakers, &remote->speaker);
	pl_table_remove(&c->remotes_by_track, &remote->by_track);
	if (remote->prev != NULL)
		remote->prev->next = remote->next;
	else
		room->remotes = remote->next;
	if (remote->next != NULL)
		remote->next->prev = remote->prev;
	remote->room = NULL;
	remote->next = c->free_remotes;
	c->free_remotes = remote;
}

/* track 0: all of the shard's. */
static void silence(struct pl_conference *c, struct pl_room *room, int64_t now_us, uint8_t shard, uint32_t track)
{
	for (struct pl_remote *remote = room->remotes, *next; remote != NULL; remote = next) {
		next = remote->next;
		if (remote->shard == shard && (track == 0 || remote->speaker.track == track))
			remove_remote(c, remote);
	}
	pl_room_refit(room, now_us);
}

struct pl_packet *pl_spread_copy(struct pl_conference *c, const struct pl_packet *packet)
{
	struct pl_packet *own = pl_pool_take_reserve(&c->pool);
	if (own == NULL)
		return NULL;
	own->source = packet->source;
	own->track = packet->track;
	own->ssrc = packet->ssrc;
	own->ts = packet->ts;
	own->seq = packet->seq;
	own->marker = packet->marker;
	own->has_level = packet->has_level;
	own->is_voice = packet->is_voice;
	own->level = packet->level;
	own->mix_group = packet->mix_group;
	own->coding = packet->coding;
	own->bps = packet->bps; /* of G.711: and spurt */
	if (PL_MIX_IS_TRACK(packet->track))
		own->mix = packet->mix;
	memcpy(own->data, packet->payload.data, packet->payload.size);
	own->payload = (struct pl_bytes){ own->data, packet->payload.size };
	c->counters.copied++;
	return own;
}

static enum pl_drop take_hear(
	struct pl_conference *c, struct pl_room *room, int64_t now_us, uint8_t from, const struct pl_packet *packet)
{
	struct pl_remote *remote = find_remote(c, packet->track);
	if (remote == NULL)
		remote = add_remote(c, room, from, packet);
	if (remote == NULL)
		return PL_DROP_CROSS_REFUSED;
	if (remote->room != room || remote->shard != from)
		return PL_DROP_RTP_UNKNOWN_TRACK;
	const bool is_opus = packet->coding == PL_CODING_OPUS;
	const bool is_heard = is_opus && pl_intake_is_heard(room, &remote->speaker, now_us, packet);
	if (is_heard)
		(void)pl_room_note_talker(room, now_us, packet);
	pl_spread_tell(c, room, now_us);
	if (is_opus && !is_heard)
		return PL_DROP_RTP_OFF_AIR;
	struct pl_packet *own = pl_spread_copy(c, packet);
	if (own == NULL)
		return PL_DROP_POOL_LOW;
	const enum pl_drop drop = is_opus ? pl_spread_pass(c, room, own) : pl_mixing_transcode(c, room, own);
	pl_pool_release(&c->pool, own);
	return drop;
}

static void note_talker(struct pl_conference *c, struct pl_room *room, int64_t now_us, const struct pl_packet *packet)
{
	if (pl_room_note_talker(room, now_us, packet))
		pl_spread_tell(c, room, now_us);
}

/* The first of a node: the packet is copied once, and goes on to the others. */
static enum pl_drop take_relay(
	struct pl_conference *c, struct pl_room *room, int64_t now_us, const struct pl_cross *message)
{
	struct pl_packet *own = pl_spread_copy(c, message->packet);
	if (own == NULL)
		return PL_DROP_POOL_LOW;
	for (uint64_t left = message->relay; left != 0; left &= left - 1)
		forward_to(c, message->room, first_of(left), 0, own);
	if (room != NULL && room->member_count > 0) {
		note_talker(c, room, now_us, own);
		pl_forward_add(&c->forward, room, own);
	} else {
		pl_pool_release(&c->pool, own);
	}
	return PL_DROP_NONE;
}

static void take_ranking(struct pl_conference *c, struct pl_room *room, int64_t now_us, const struct pl_cross *message)
{
	struct pl_cross_speaker speaker[PL_SPEAKERS_CAPACITY];
	PL_ASSERT(message->count <= PL_SPEAKERS_CAPACITY);
	memcpy(speaker, message->packet->payload.data, message->count * sizeof speaker[0]);
	if (room == NULL)
		return;
	pl_room_rank(room, now_us, speaker, message->count);
	if (message->is_moved != room->is_moved)
		pl_relieving_apply(c, room, now_us, message->is_moved);
}

/* From another node even a single shard copies: each member's packet would be read across. */
static enum pl_drop take_at_replica(
	struct pl_conference *c, struct pl_room *room, int64_t now_us, uint8_t from, const struct pl_cross *message)
{
	const bool is_far = c->config.shard_node[from] != c->config.shard_node[c->config.shard];
	if (message->kind == PL_CROSS_FORWARD && is_far && (room != NULL || message->relay != 0))
		return take_relay(c, room, now_us, message);
	if (message->kind == PL_CROSS_RANKING) {
		take_ranking(c, room, now_us, message);
		return PL_DROP_NONE;
	}
	/* Home goes on until it has heard that the last member here has left. */
	if (room == NULL || room->member_count == 0)
		return PL_DROP_CROSS_LEFT;
	note_talker(c, room, now_us, message->packet);
	pl_forward_borrow(&c->forward, room, message->packet);
	return PL_DROP_NONE;
}

static void tell_and_look(struct pl_conference *c, struct pl_room *room, int64_t now_us)
{
	pl_spread_tell(c, room, now_us);
	if (room->spreading.owner == NULL)
		pl_membership_look(c, room);
}

/* Home has a place for the room, and has taken what it was told there. */
static void take_opened(struct pl_conference *c, struct pl_room *room, int64_t now_us, const struct pl_cross *message)
{
	if (room == NULL || room->opening != message->opening)
		return;
	room->is_refused = false;
	room->fresh_told = 0;
	tell_and_look(c, room, now_us);
}

static enum pl_drop take_open(
	struct pl_conference *c, struct pl_room *room, int64_t now_us, uint8_t from, const struct pl_cross *message)
{
	if (room == NULL)
		room = pl_membership_acquire_room(c, message->room, c->config.shard);
	if (room == NULL)
		return PL_DROP_CROSS_REFUSED; /* it asks again */
	const struct pl_cross answer = { .kind = PL_CROSS_OPENED, .room = room->id, .opening = message->opening };
	room->replicas |= bit(from);
	room->untold |= bit(from);
	room->replica_slots[from] = message->slots;
	room->replica_groups[from] = message->groups;
	room->fresh |= message->fresh;
	pl_room_resize(room);
	pl_room_refit(room, now_us);
	(void)pl_spread_push(c, from, &answer); /* where it finds no place it is asked for again */
	pl_spread_tell(c, room, now_us);
	return PL_DROP_NONE;
}

static enum pl_drop take_at_home(
	struct pl_conference *c, struct pl_room *room, int64_t now_us, uint8_t from, const struct pl_cross *message)
{
	if (message->kind == PL_CROSS_OPEN)
		return take_open(c, room, now_us, from, message);
	if (message->kind == PL_CROSS_HEAR && (room == NULL || (room->replicas & bit(from)) == 0))
		return PL_DROP_CROSS_REFUSED;
	if (message->kind == PL_CROSS_HEAR)
		return take_hear(c, room, now_us, from, message->packet);
	if (room == NULL)
		return PL_DROP_NONE; /* it had no place: there is nothing to end */
	if (message->kind == PL_CROSS_CLOSE) {
		room->replicas &= ~bit(from);
		room->untold &= ~bit(from);
		room->replica_groups[from] = 0;
		silence(c, room, now_us, from, 0);
		pl_room_resize(room);
		pl_room_refit(room, now_us);
	} else {
		silence(c, room, now_us, from, message->track);
	}
	tell_and_look(c, room, now_us);
	return PL_DROP_NONE;
}

enum pl_drop pl_spread_take(struct pl_conference *c, int64_t now_us, uint8_t from, const struct pl_cross *message)
{
	c->counters.crossed += pl_cross_is_media(message);
	struct pl_room *room = pl_membership_find_room(c, message->room);
	if (message->kind == PL_CROSS_OPENED) {
		take_opened(c, room, now_us, message);
		return PL_DROP_NONE;
	}
	if (message->kind == PL_CROSS_RANKING || message->kind == PL_CROSS_FORWARD)
		return take_at_replica(c, room, now_us, from, message);
	return take_at_home(c, room, now_us, from, message);
}
