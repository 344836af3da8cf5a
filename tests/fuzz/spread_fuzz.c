/* Rooms over three shards whose rings are tiny, full, late, and emptied in any order, while people join, leave, mute and talk
 * on all of them.  Whatever happens: when the rings flow again every shard knows the same speakers, none of whom is gone or
 * muted; and when all have left there is no room, no buffer and no track of another shard held anywhere.  Some hear mixes:
 * then the codec worker, which is a page of bookkeeping here, knows who listens and who is to be mixed.
 *
 * The input is a list of steps, a byte each: three bits of kind, five of argument.  Packets come as if they had been
 * authenticated: what is below is the matter of conference_fuzz.c. */
#include <stdio.h>
#include <stdlib.h>

#include "sfu/intake.h"
#include "sfu/membership.h"
#include "sfu/spread.h"
#include "tests/fuzz/shared.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SHARDS = 3, PEOPLE = 9, ROOMS = 2, RING = 4, RING_MEDIA = 3, SETTLE_ROUNDS = 64, MS = 1000 };
enum { RELIEF_FIRST = 24 }; /* of the arguments of STEP_TIME: the ladder takes something, or gives it back */
enum { STEP_JOIN, STEP_LEAVE, STEP_MUTE, STEP_TALK, STEP_TALK_MORE, STEP_ONE, STEP_ALL, STEP_TIME };

struct link {
	struct pl_cross message[RING];
	uint8_t count;
};

struct shard {
	struct pl_conference *conference;
	struct link to[SHARDS], to_worker;
};

/* What the worker has been told of a room. */
struct mix {
	uint8_t groups, count;
	uint32_t track[PL_MIX_CSRC_MAX];
};

struct world {
	struct shard shard[SHARDS];
	struct mix mix[ROOMS];
	bool is_mixed[PEOPLE]; /* as the next mode command has it */
	int64_t now_us;
	uint16_t seq;
};

/* So a packet may go to a node where it is copied and passed on, and to one of the same node. */
static const uint8_t node_of[SHARDS] = { 0, 1, 1 };

/* ---- who is where ---- */

static uint8_t shard_of(unsigned person)
{
	return (uint8_t)(person % SHARDS);
}

static uint32_t room_of(unsigned person)
{
	return 1 + person % ROOMS;
}

static uint8_t home_of(uint32_t room)
{
	return (uint8_t)(room - 1);
}

static struct pl_conference *conference_of(const struct world *w, unsigned person)
{
	return w->shard[shard_of(person)].conference;
}

/* NULL when it is not there. */
static struct pl_participant *find(const struct world *w, unsigned person)
{
	struct pl_participant *p = pl_directory_by_source(&conference_of(w, person)->directory, 1 + person);
	return p != NULL && p->state == PL_PARTICIPANT_LIVE ? p : NULL;
}

/* ---- rings ---- */

static bool push(void *context, uint8_t to, const struct pl_cross *message)
{
	struct shard *shard = context;
	struct link *link = to >= PL_CROSS_WORKER(0) ? &shard->to_worker : &shard->to[to];
	if (link->count >= (pl_cross_is_media(message) ? RING_MEDIA : RING))
		return false;
	link->message[link->count++] = *message;
	return true;
}

static uint8_t choose_worker(void *context)
{
	(void)context;
	return 0;
}

static void drain(struct world *w, struct pl_conference *conference)
{
	static struct pl_egress egress;
	struct pl_event event;
	do
		pl_egress_init(&egress, true);
	while (pl_conference_drain(conference, w->now_us, &egress, true, &event) != PL_CONFERENCE_DONE);
}

/* The oldest count messages of one ring. */
static void deliver(struct world *w, uint8_t from, uint8_t to, uint8_t count)
{
	struct link *link = &w->shard[from].to[to];
	const uint8_t taken = count < link->count ? count : link->count;
	for (uint8_t i = 0; i < taken; i++) {
		pl_conference_cross(w->shard[to].conference, w->now_us, from, &link->message[i]);
		if (pl_conference_must_drain(w->shard[to].conference))
			drain(w, w->shard[to].conference);
	}
	drain(w, w->shard[to].conference);
	for (uint8_t i = 0; i < taken; i++) {
		if (pl_cross_has_packet(&link->message[i]))
			pl_conference_release(w->shard[from].conference, link->message[i].packet);
	}
	for (uint8_t i = taken; i < link->count; i++)
		link->message[i - taken] = link->message[i];
	link->count = (uint8_t)(link->count - taken);
}

static void forget_track(struct mix *mix, uint32_t track)
{
	uint8_t kept = 0;
	for (uint8_t i = 0; i < mix->count; i++) {
		if (track != 0 && mix->track[i] != track)
			mix->track[kept++] = mix->track[i];
	}
	mix->count = kept;
}

static void note_track(struct mix *mix, uint32_t track)
{
	PL_ASSERT(mix->groups != 0);
	forget_track(mix, track);
	PL_ASSERT(mix->count < PL_COUNT(mix->track));
	mix->track[mix->count++] = track;
}

static void deliver_to_worker(struct world *w, uint8_t from)
{
	struct link *link = &w->shard[from].to_worker;
	for (uint8_t i = 0; i < link->count; i++) {
		const struct pl_cross *message = &link->message[i];
		struct mix *mix = &w->mix[message->room - 1];
		PL_ASSERT(home_of(message->room) == from);
		if (message->kind == PL_CROSS_MIX_OPEN) {
			PL_ASSERT((message->fresh & ~message->groups) == 0);
			mix->groups = message->groups;
			mix->count = mix->groups != 0 ? mix->count : 0;
		} else if (message->kind == PL_CROSS_MIX_SILENT) {
			forget_track(mix, message->track);
		} else {
			PL_ASSERT(message->kind == PL_CROSS_MIX_HEAR);
			note_track(mix, message->packet->track);
			pl_conference_release(w->shard[from].conference, message->packet);
		}
	}
	link->count = 0;
}

/* A packet of the room's mix, for one or for all but one. */
static void mix(struct world *w, unsigned person, bool is_only)
{
	static struct pl_packet packet;
	const uint32_t room = room_of(person);
	const uint8_t groups = w->mix[room - 1].groups;
	if (groups == 0)
		return;
	packet.track = PL_MIX_TRACK(__builtin_ctz(groups));
	packet.mix = (struct pl_mix){
		.only = is_only ? 1 + person : 0,
		.is_start = true,
		.except_count = !is_only,
		.except = { 1 + person },
	};
	packet.payload = (struct pl_bytes){ packet.data, 1 };
	const struct pl_cross message = { .kind = PL_CROSS_MIX, .room = room, .packet = &packet };
	pl_conference_cross(w->shard[home_of(room)].conference, w->now_us, PL_CROSS_WORKER(0), &message);
	drain(w, w->shard[home_of(room)].conference);
}

static bool deliver_all(struct world *w)
{
	bool has_delivered = false;
	for (uint8_t from = 0; from < SHARDS; from++) {
		has_delivered |= w->shard[from].to_worker.count > 0;
		deliver_to_worker(w, from);
	}
	for (uint8_t from = 0; from < SHARDS; from++) {
		for (uint8_t to = 0; to < SHARDS; to++) {
			has_delivered |= w->shard[from].to[to].count > 0;
			if (from != to)
				deliver(w, from, to, RING);
		}
	}
	return has_delivered;
}

static void pass(struct world *w, int64_t ms)
{
	w->now_us += ms * MS;
	for (uint8_t i = 0; i < SHARDS; i++) {
		pl_conference_tick(w->shard[i].conference, w->now_us);
		drain(w, w->shard[i].conference);
	}
}

static bool is_telling(const struct world *w)
{
	for (uint8_t i = 0; i < SHARDS; i++) {
		if (pl_queue_first(&w->shard[i].conference->spreading) != NULL)
			return true;
	}
	return false;
}

/* number: below 6: slots for no, one, or two talkers, and who has not chosen moves to the mix or not. */
static void relieve(struct world *w, unsigned number)
{
	const struct pl_relief relief = {
		.audio_slots = (uint8_t)(number % 3),
		.moves = number < 3 ? PL_RELIEF_AUTO_STAYS : PL_RELIEF_AUTO_TO_MIX,
	};
	for (uint8_t i = 0; i < SHARDS; i++)
		pl_conference_relieve(w->shard[i].conference, &relief);
}

/* All that is to be told arrives, in bounded time. */
static void settle(struct world *w)
{
	int round = 0;
	while (deliver_all(w) || is_telling(w)) {
		PL_ASSERT(++round < SETTLE_ROUNDS);
		pass(w, 10); /* an answer of home that found no place is asked for again after 100 ms */
	}
}

/* ---- steps ---- */

static void command(struct world *w, enum pl_command_kind kind, unsigned person, bool is_on)
{
	struct pl_description d = {
		.dtls_role = PL_DTLS_PASSIVE,
		.fingerprint = *pl_dtls_identity_fingerprint(pl_fuzz_identity()),
		.local.pwd = "passwordpasswordpassword",
		.remote_ufrag = "peer",
		.cname = "cname",
		.audio_mode = w->is_mixed[person] ? PL_AUDIO_MIXED : PL_AUDIO_AUTO, /* mixed with one slot */
		.track_count = 1,
		.slot_count = (uint8_t)(person % 4),
		.track[0] = { .track = 100 + person, .mid = "t", .clock_hz = 48000, .payload_type = 111 },
	};
	snprintf(d.local.ufrag, sizeof d.local.ufrag, "ufrag%u", person % PEOPLE);
	for (uint8_t i = 0; i < d.slot_count; i++) {
		d.slot[i] =
			(struct pl_slot_spec){ .ssrc = 1000 + 10 * person + i, .clock_hz = 48000, .payload_type = 111 };
		snprintf(d.slot[i].mid, sizeof d.slot[i].mid, "s%u", i % 10u);
	}
	pl_conference_command(conference_of(w, person), w->now_us,
		&(struct pl_command){ .kind = kind,
			.shard = shard_of(person),
			.home = home_of(room_of(person)),
			.room = room_of(person),
			.source = 1 + person,
			.track = 100 + person,
			.is_on = is_on,
			.audio_mode = d.audio_mode,
			.mix_wish = is_on ? PL_MIX_ROBUST : PL_MIX_FULL,
			.description = &d });
	drain(w, conference_of(w, person));
}

/* As intake.c does it with a packet that is authentic. */
static void talk(struct world *w, unsigned person, uint8_t level)
{
	struct pl_conference *c = conference_of(w, person);
	struct pl_participant *p = find(w, person);
	if (p == NULL || p->track[0].is_muted)
		return;
	struct pl_packet *packet = pl_pool_take(&c->pool);
	if (packet == NULL)
		return;
	packet->source = p->source;
	packet->track = p->track[0].spec.track;
	packet->ssrc = 7;
	packet->seq = w->seq++;
	packet->ts = packet->seq * 960u;
	packet->marker = false;
	packet->has_level = packet->is_voice = true;
	packet->level = level;
	packet->data[0] = (uint8_t)person;
	packet->payload = (struct pl_bytes){ packet->data, 1 };
	const enum pl_drop drop = pl_intake_publish(c, p->room, &p->track[0].speaker, w->now_us, packet);
	PL_ASSERT(drop == PL_DROP_NONE || drop == PL_DROP_CROSS_FULL || drop == PL_DROP_RTP_OFF_AIR ||
		  drop == PL_DROP_RTP_UNHEARD);
	pl_pool_release(&c->pool, packet);
	drain(w, c);
}

static void step(struct world *w, uint8_t byte)
{
	const uint8_t argument = byte >> 3;
	const unsigned person = argument % PEOPLE;
	const uint8_t from = argument % SHARDS, to = (uint8_t)((from + 1 + argument / SHARDS % 2) % SHARDS);
	switch (byte & 7) {
	case STEP_JOIN:
		command(w, PL_COMMAND_JOIN, person, false);
		break;
	case STEP_LEAVE:
		command(w, PL_COMMAND_LEAVE, person, false);
		break;
	case STEP_MUTE:
		if (argument / PEOPLE == 3) {
			w->is_mixed[person] = !w->is_mixed[person];
			command(w, PL_COMMAND_MODE, person, argument % 2 == 0);
			break;
		}
		command(w, PL_COMMAND_MUTE, person, argument / PEOPLE % 2 == 0);
		break;
	case STEP_TALK_MORE:
		mix(w, person, argument / PEOPLE % 2 == 0);
		talk(w, person, (uint8_t)(20 + argument));
		break;
	case STEP_TALK:
		talk(w, person, (uint8_t)(20 + argument));
		break;
	case STEP_ONE:
		deliver(w, from, to, 1);
		break;
	case STEP_ALL:
		deliver_all(w);
		break;
	case STEP_TIME:
		if (argument >= RELIEF_FIRST && argument < RELIEF_FIRST + 6)
			relieve(w, argument - RELIEF_FIRST);
		pass(w, argument < 30 ? 10 * argument : 20000);
		break;
	}
}

/* ---- what must be so ---- */

static void check_speakers(const struct world *w, uint32_t id)
{
	const struct pl_room *home = pl_membership_find_room(w->shard[home_of(id)].conference, id);
	for (uint8_t i = 0; home != NULL && i < home->speakers.count; i++) {
		const struct pl_participant *p = find(w, home->speakers.on_air[i]->source - 1);
		PL_ASSERT(p != NULL && !p->track[0].is_muted);
	}
	for (uint8_t i = 0; i < SHARDS; i++) {
		const struct pl_room *room = pl_membership_find_room(w->shard[i].conference, id);
		if (i == home_of(id))
			continue;
		PL_ASSERT((room != NULL) == (home != NULL && (home->replicas >> i & 1) != 0));
		if (room == NULL)
			continue;
		PL_ASSERT(room->member_count > 0 && room->is_open && room->speakers.count == home->speakers.count);
		for (uint8_t k = 0; k < room->speakers.count; k++)
			PL_ASSERT(room->speakers.on_air[k]->track == home->speakers.on_air[k]->track);
	}
}

/* The worker knows who listens, and whom it has heard of those who are mixed and of nobody else. */
static void check_mix(const struct world *w, uint32_t id)
{
	const struct pl_room *home = pl_membership_find_room(w->shard[home_of(id)].conference, id);
	const struct mix *told = &w->mix[id - 1];
	uint8_t groups = 0;
	for (unsigned person = 0; person < PEOPLE; person++) {
		const struct pl_participant *p = find(w, person);
		if (p != NULL && room_of(person) == id && p->slots.mix != 0)
			groups = (uint8_t)(groups | 1u << (p->slots.mix - 1));
	}
	PL_ASSERT(told->groups == groups && (home != NULL || groups == 0));
	for (uint8_t i = 0; i < told->count; i++) {
		uint8_t rank = 0;
		while (rank < home->speakers.count && home->speakers.on_air[rank]->track != told->track[i])
			rank++;
		PL_ASSERT(rank < home->speakers.count && rank < PL_MIX_TALKERS);
	}
}

static void check_nothing_left(const struct pl_conference *c)
{
	const struct pl_conference_counters counters = pl_conference_counters(c);
	PL_ASSERT(counters.participants == 0 && counters.rooms == 0 && counters.packets_used == 0);
	PL_ASSERT(counters.rooms_moved == 0 && c->associations == 0);
	uint32_t remotes = 0;
	for (const struct pl_remote *remote = c->free_remotes; remote != NULL; remote = remote->next)
		remotes++;
	PL_ASSERT(remotes == c->remotes_used);
	PL_ASSERT(pl_conference_deadline(c) == INT64_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = { .now_us = 1000000 };
	for (uint8_t i = 0; i < SHARDS; i++) {
		const struct pl_conference_config config = { .identity = pl_fuzz_identity(),
			.srtp = pl_fuzz_srtp(),
			.participants_max = PEOPLE,
			.rooms_max = ROOMS,
			.packets = PL_POOL_PACKETS_MIN,
			.shard = i,
			.shard_count = SHARDS,
			.shard_node = node_of,
			.remotes_max = PEOPLE,
			.worker_count = 1,
			.port = { .push = push, .choose_worker = choose_worker, .context = &w.shard[i] },
			.seed = 1 };
		if (pl_conference_create(&w.shard[i].conference, &config) != PL_ERR_NONE)
			abort();
	}
	for (size_t i = 0; i < size; i++)
		step(&w, data[i]);
	settle(&w);
	for (uint32_t id = 1; id <= ROOMS; id++) {
		check_speakers(&w, id);
		check_mix(&w, id);
	}

	for (uint8_t i = 0; i < SHARDS; i++) {
		pl_conference_close(w.shard[i].conference, w.now_us);
		drain(&w, w.shard[i].conference);
	}
	settle(&w);
	for (uint32_t id = 1; id <= ROOMS; id++)
		check_mix(&w, id);
	for (uint8_t i = 0; i < SHARDS; i++)
		check_nothing_left(w.shard[i].conference);
	for (uint8_t i = 0; i < SHARDS; i++)
		pl_conference_destroy(&w.shard[i].conference);
	return 0;
}
