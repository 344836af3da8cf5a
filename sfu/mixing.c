#include "sfu/mixing.h"

#include "sfu/intake.h"
#include "sfu/membership.h"
#include "sfu/spread.h"

static bool push(struct pl_conference *c, const struct pl_room *room, const struct pl_cross *message)
{
	return pl_spread_push(c, PL_CROSS_WORKER(room->worker - 1), message);
}

static void choose_worker(struct pl_conference *c, struct pl_room *room)
{
	const uint8_t worker = c->config.port.choose_worker(c->config.port.context);
	PL_ASSERT(worker < c->config.worker_count);
	room->worker = (uint8_t)(worker + 1);
	room->speakers.notes_silenced = true;
}

static void leave_worker(struct pl_room *room)
{
	room->worker = 0;
	room->mixed_count = 0;
	room->speakers.notes_silenced = false;
	room->speakers.silenced_count = 0;
}

/* ---- what is told ---- */

static bool is_mixed(const struct pl_room *room, uint32_t track)
{
	for (uint8_t i = 0; i < room->mixed_count; i++) {
		if (room->mixed[i] == track)
			return true;
	}
	return false;
}

static bool tell_silent(struct pl_conference *c, struct pl_room *room, uint32_t track)
{
	return push(c, room, &(struct pl_cross){ .kind = PL_CROSS_MIX_SILENT, .room = room->id, .track = track });
}

static void forget_mixed(struct pl_room *room, uint32_t track)
{
	uint8_t kept = 0;
	for (uint8_t i = 0; i < room->mixed_count; i++) {
		if (track != 0 && room->mixed[i] != track)
			room->mixed[kept++] = room->mixed[i];
	}
	room->mixed_count = kept;
}

/* Tracks that are muted, have ended or are gone. */
static bool tell_silenced(struct pl_conference *c, struct pl_room *room)
{
	struct pl_speakers *s = &room->speakers;
	while (s->silenced_count > 0) {
		const uint32_t track = s->silenced[s->silenced_count - 1];
		const bool is_known = track == 0 || is_mixed(room, track);
		if (is_known && !tell_silent(c, room, track))
			return false;
		forget_mixed(room, track);
		s->silenced_count--;
	}
	return true;
}

/* The first in the ranking are mixed; NULL: it is none of them. */
static const struct pl_speaker *find_for_mix(const struct pl_room *room, uint32_t track)
{
	for (uint8_t i = 0; i < room->speakers.count && i < room->mix_talkers; i++) {
		if (room->speakers.on_air[i]->track == track)
			return room->speakers.on_air[i];
	}
	return NULL;
}

/* Tracks that others are heard instead of. */
static bool tell_replaced(struct pl_conference *c, struct pl_room *room)
{
	if (room->mixed_for == room->speakers.generation)
		return true;
	for (uint8_t i = room->mixed_count; i > 0; i--) {
		const uint32_t track = room->mixed[i - 1];
		if (find_for_mix(room, track) != NULL)
			continue;
		if (!tell_silent(c, room, track))
			return false;
		forget_mixed(room, track);
	}
	room->mixed_for = room->speakers.generation;
	return true;
}

static bool tell_groups(struct pl_conference *c, struct pl_room *room)
{
	if (room->groups == room->groups_told && (room->fresh & room->groups) == 0)
		return true;
	const struct pl_cross message = {
		.kind = PL_CROSS_MIX_OPEN,
		.groups = room->groups,
		.fresh = room->fresh & room->groups,
		.room = room->id,
	};
	if (!push(c, room, &message))
		return false;
	room->groups_told = room->groups;
	room->fresh = 0;
	if (room->groups == 0)
		room->mixed_count = 0;
	return true;
}

bool pl_mixing_tell(struct pl_conference *c, struct pl_room *room)
{
	if (!pl_mixing_is_told(c, room))
		return true;
	if (room->worker == 0)
		choose_worker(c, room);
	if (!tell_silenced(c, room) || !tell_replaced(c, room) || !tell_groups(c, room))
		return false;
	/* What is kept for a publisher of G.711 the worker forgets by itself; it is the same one until the room ends. */
	if (room->groups == 0 && !room->is_transcoding)
		leave_worker(room);
	return true;
}

bool pl_mixing_is_needed(const struct pl_room *room)
{
	return room->worker != 0 && room->groups_told != 0;
}

/* ---- packets on their way out ---- */

bool pl_mixing_hear(struct pl_conference *c, struct pl_room *room, struct pl_packet *packet)
{
	if (room->worker == 0 || room->groups_told == 0)
		return false;
	/* Most browsers encode silence as they encode a voice, and it would cost as much to mix. */
	const struct pl_speaker *speaker = find_for_mix(room, packet->track);
	if (speaker == NULL || pl_speaker_is_silent(speaker))
		return false;
	const struct pl_cross message = {
		.kind = PL_CROSS_MIX_HEAR, .groups = room->groups_told, .room = room->id, .packet = packet
	};
	if (!is_mixed(room, packet->track)) {
		/* Full of those whose end the worker has not heard of. */
		if (room->mixed_count == PL_COUNT(room->mixed)) {
			pl_drop_count(c->counters.drop, PL_DROP_CROSS_FULL);
			return true;
		}
		room->mixed[room->mixed_count++] = packet->track;
	}
	if (!push(c, room, &message))
		pl_drop_count(c->counters.drop, PL_DROP_CROSS_FULL);
	return true;
}

enum pl_drop pl_mixing_transcode(struct pl_conference *c, struct pl_room *room, struct pl_packet *packet)
{
	if (c->config.worker_count == 0)
		return PL_DROP_MIX_NO_WORKER;
	if (room->worker == 0)
		choose_worker(c, room);
	room->is_transcoding = true;
	const struct pl_cross message = { .kind = PL_CROSS_TRANSCODE, .room = room->id, .packet = packet };
	return push(c, room, &message) ? PL_DROP_NONE : PL_DROP_CROSS_FULL;
}

/* ---- what comes in ---- */

static bool is_member(const struct pl_conference *c, const struct pl_room *room, uint32_t source)
{
	const struct pl_participant *p = pl_directory_by_source(&c->directory, source);
	return p != NULL && p->room == room;
}

static uint64_t replicas_of_group(const struct pl_room *room, uint32_t group)
{
	uint64_t shards = 0;
	for (uint64_t left = room->replicas; left != 0; left &= left - 1) {
		const int shard = __builtin_ctzll(left);
		shards |= (uint64_t)(room->replica_groups[shard] >> group & 1) << shard;
	}
	return shards;
}

/* Those of the replicas that may have this source.  Who is muted is not known here and still has a stream of its own, until the
 * mixer has it return to the shared one: each replica asks its members whom the packet is for. */
static uint64_t replicas_of_source(const struct pl_room *room, uint64_t replicas, uint32_t source)
{
	const uint64_t shards = pl_spread_shards_of(room, source);
	return shards != 0 ? replicas & shards : replicas;
}

static enum pl_drop take_mix(struct pl_conference *c, struct pl_room *room, const struct pl_packet *packet)
{
	PL_ASSERT(PL_MIX_IS_TRACK(packet->track));
	const uint32_t group = packet->track - PL_MIX_TRACK(0), only = packet->mix.only;
	uint64_t replicas = replicas_of_group(room, group);
	bool is_for_members = room->members_by_group[group] > 0;
	if (only != 0) {
		const bool is_here = is_member(c, room, only);
		is_for_members = is_for_members && is_here;
		replicas = is_here ? 0 : replicas_of_source(room, replicas, only);
	}
	if (replicas != 0) {
		struct pl_packet *own = pl_spread_copy(c, packet);
		if (own == NULL)
			return PL_DROP_POOL_LOW;
		pl_spread_forward(c, room->id, replicas, own);
		pl_pool_release(&c->pool, own);
	}
	if (is_for_members)
		pl_forward_borrow(&c->forward, room, packet);
	return is_for_members || replicas != 0 ? PL_DROP_NONE : PL_DROP_RTP_UNHEARD;
}

/* NULL: it is muted or gone. */
static struct pl_speaker *speaker_of(struct pl_conference *c, struct pl_room *room, const struct pl_packet *packet)
{
	if (!is_member(c, room, packet->source))
		return pl_spread_speaker(c, room, packet->track);
	struct pl_participant *p = pl_directory_by_source(&c->directory, packet->source);
	struct pl_track *track = pl_participant_track(p, packet->track);
	return track != NULL && !track->is_muted ? &track->speaker : NULL;
}

static enum pl_drop take_transcoded(
	struct pl_conference *c, struct pl_room *room, int64_t now_us, const struct pl_packet *packet)
{
	struct pl_speaker *speaker = speaker_of(c, room, packet);
	if (speaker == NULL)
		return PL_DROP_RTP_MUTED;
	struct pl_packet *own = pl_spread_copy(c, packet);
	if (own == NULL)
		return PL_DROP_POOL_LOW;
	const enum pl_drop drop = pl_intake_publish(c, room, speaker, now_us, own);
	pl_pool_release(&c->pool, own);
	return drop;
}

enum pl_drop pl_mixing_take(struct pl_conference *c, int64_t now_us, uint8_t worker, const struct pl_cross *message)
{
	PL_ASSERT(message->kind == PL_CROSS_MIX || message->kind == PL_CROSS_TRANSCODED);
	c->counters.crossed++;
	struct pl_room *room = pl_membership_find_room(c, message->room);
	if (room == NULL || room->worker != worker + 1)
		return PL_DROP_CROSS_LEFT;
	return message->kind == PL_CROSS_MIX ? take_mix(c, room, message->packet)
					     : take_transcoded(c, room, now_us, message->packet);
}
