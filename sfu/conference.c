#include "sfu/conference.h"

#include <stdlib.h>
#include <string.h>

#include "sfu/directory.h"
#include "sfu/forward.h"
#include "sfu/report.h"

enum {
	REFUSED_MAX = 64,
	/* A track without level reports counts as always talking, softly; a payload as small as an Opus DTX packet
	 * (RFC 6716 section 3.1: one or two bytes) is silence. */
	LEVEL_UNTOLD = 40,
	LEVEL_SILENCE = 127,
	DTX_PAYLOAD_SIZE_MAX = 3,
};

enum { TIMER_PARTICIPANT, TIMER_ROOM };

struct pl_conference {
	struct pl_conference_config config;
	struct pl_conference_counters counters;
	struct pl_rng rng;
	/* One participant more than may be: one that is replaced says goodbye while its successor is set up. */
	struct pl_participant *participants;
	struct pl_participant *free_participants; /* linked by room_next */
	struct pl_room *rooms, *free_rooms;
	uint32_t occupied; /* participants that are LIVE or GONE */
	struct pl_table_node **buckets;
	struct pl_timer **heap;
	struct pl_directory directory;
	struct pl_table rooms_by_id;
	struct pl_timers timers;
	struct pl_queue draining;  /* participants whose transport may have outputs */
	struct pl_queue reporting; /* participants whose report is due */
	struct pl_notices notices;
	struct pl_forward forward;
	struct {
		uint32_t room, source;
	} refused[REFUSED_MAX];
	uint32_t refused_count;
	uint8_t scratch[PL_DATAGRAM_SIZE_MAX];
};

/* ---- memory: taken once ---- */

enum pl_err pl_conference_create(struct pl_conference **conference, const struct pl_conference_config *config)
{
	PL_ASSERT(config->participants_max > 0 && config->rooms_max > 0);
	const size_t participants = (size_t)config->participants_max + 1;
	const size_t timers = participants + config->rooms_max;
	const size_t directory_buckets = pl_directory_buckets(config->participants_max);
	const size_t room_buckets = pl_table_buckets(config->rooms_max);

	struct pl_conference *c = calloc(1, sizeof *c);
	*conference = c;
	if (c == NULL)
		return PL_ERR_NO_MEMORY;
	c->participants = calloc(participants, sizeof c->participants[0]);
	c->rooms = calloc(config->rooms_max, sizeof c->rooms[0]);
	c->buckets = calloc(directory_buckets + room_buckets, sizeof(struct pl_table_node *));
	c->heap = calloc(timers + 1, sizeof(struct pl_timer *));
	if (c->participants == NULL || c->rooms == NULL || c->buckets == NULL || c->heap == NULL) {
		pl_conference_destroy(conference);
		return PL_ERR_NO_MEMORY;
	}

	c->config = *config;
	pl_rng_init(&c->rng, config->seed);
	pl_directory_init(&c->directory, c->buckets, config->participants_max, config->seed);
	pl_table_init(&c->rooms_by_id, c->buckets + directory_buckets, room_buckets);
	pl_timers_init(&c->timers, c->heap, timers);
	for (size_t i = participants; i > 0; i--) {
		c->participants[i - 1].room_next = c->free_participants;
		c->free_participants = &c->participants[i - 1];
	}
	for (uint32_t i = config->rooms_max; i > 0; i--) {
		c->rooms[i - 1].next_free = c->free_rooms;
		c->free_rooms = &c->rooms[i - 1];
	}
	return PL_ERR_NONE;
}

static bool has_transport(const struct pl_participant *p)
{
	return p->state == PL_PARTICIPANT_LIVE || p->state == PL_PARTICIPANT_CLOSING;
}

void pl_conference_destroy(struct pl_conference **conference)
{
	struct pl_conference *c = *conference;
	*conference = NULL;
	if (c == NULL)
		return;
	for (uint32_t i = 0; c->participants != NULL && i <= c->config.participants_max; i++) {
		if (has_transport(&c->participants[i]))
			pl_transport_fini(&c->participants[i].transport);
	}
	free(c->heap);
	free(c->buckets);
	free(c->rooms);
	free(c->participants);
	free(c);
}

/* ---- who is in ---- */

/* Sets the participant's timer to whatever it has to do next. */
static void arm(struct pl_conference *c, struct pl_participant *p)
{
	const int64_t transport_us = pl_transport_deadline(&p->transport);
	pl_timers_set(&c->timers, &p->timer, p->report_us < transport_us ? p->report_us : transport_us);
}

static struct pl_room *find_room(const struct pl_conference *c, uint64_t hash, uint32_t id)
{
	struct pl_table_node *node = pl_table_first(&c->rooms_by_id, hash);
	while (node != NULL && ((struct pl_room *)node->owner)->id != id)
		node = pl_table_next(node);
	return node != NULL ? node->owner : NULL;
}

/* NULL when the table is full. */
static struct pl_room *acquire_room(struct pl_conference *c, uint32_t id)
{
	const uint64_t hash = pl_table_hash((struct pl_bytes){ (const uint8_t *)&id, sizeof id }, c->config.seed);
	struct pl_room *room = find_room(c, hash, id);
	if (room != NULL || c->free_rooms == NULL)
		return room;
	room = c->free_rooms;
	c->free_rooms = room->next_free;
	pl_room_init(room, id, &c->timers, TIMER_ROOM, &c->notices);
	pl_table_insert(&c->rooms_by_id, &room->by_id, hash, room);
	c->counters.rooms++;
	return room;
}

static void release_room_if_empty(struct pl_conference *c, struct pl_room *room)
{
	if (room->member_count > 0)
		return;
	pl_table_remove(&c->rooms_by_id, &room->by_id);
	pl_room_fini(room);
	room->next_free = c->free_rooms;
	c->free_rooms = room;
	c->counters.rooms--;
}

/* NULL when the table is full. */
static struct pl_participant *acquire_participant(struct pl_conference *c, uint32_t source)
{
	if (c->occupied == c->config.participants_max)
		return NULL;
	struct pl_participant *p = c->free_participants;
	PL_ASSERT(p != NULL);
	c->free_participants = p->room_next;
	*p = (struct pl_participant){
		.source = source,
		.timer = { .owner = p, .kind = TIMER_PARTICIPANT },
		.report_us = INT64_MAX,
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
	release_room_if_empty(c, room);
	pl_directory_close(&c->directory, p);
	pl_timers_set(&c->timers, &p->timer, INT64_MAX);
	pl_queue_remove(&c->reporting, &p->reporting);
	pl_queue_remove(&c->notices.participants, &p->telling);
	p->tell_connected = p->tell_slots = false;
	c->counters.participants--;
}

/* Its event is taken, or nobody wants it any more. */
static void forget_gone(struct pl_conference *c, struct pl_participant *p)
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
		forget_gone(c, p);
		return;
	}
	pl_directory_remove(&c->directory, p);
	c->occupied--;
	detach(c, p, now_us);
	p->state = PL_PARTICIPANT_CLOSING;
	pl_transport_close(&p->transport, now_us);
	pl_queue_push(&c->draining, &p->draining, p);
}

/* Its transport has sent its last. */
static void finish(struct pl_conference *c, struct pl_participant *p, int64_t now_us, enum pl_close close)
{
	pl_queue_remove(&c->draining, &p->draining);
	if (p->state == PL_PARTICIPANT_CLOSING) {
		pl_transport_fini(&p->transport);
		release_participant(c, p);
		return;
	}
	detach(c, p, now_us);
	pl_transport_fini(&p->transport);
	p->state = PL_PARTICIPANT_GONE;
	p->close = close;
	pl_queue_push(&c->notices.participants, &p->telling, p);
}

/* ---- commands ---- */

static enum pl_err init_transport(
	struct pl_conference *c, struct pl_participant *p, int64_t now_us, const struct pl_description *description)
{
	const struct pl_transport_config config = {
		.identity = c->config.identity,
		.dtls_role = description->dtls_role,
		.peer_fingerprint = description->fingerprint,
		.local = description->local,
		.remote_ufrag = description->remote_ufrag,
		.scratch = { c->scratch, sizeof c->scratch },
	};
	return pl_transport_init(&p->transport, now_us, &config);
}

static bool join(struct pl_conference *c, int64_t now_us, const struct pl_command *command)
{
	struct pl_participant *p = acquire_participant(c, command->source);
	if (p == NULL)
		return false;
	struct pl_room *room = acquire_room(c, command->room);
	if (room == NULL) {
		release_participant(c, p);
		return false;
	}
	if (init_transport(c, p, now_us, command->description) != PL_ERR_NONE) {
		release_room_if_empty(c, room);
		release_participant(c, p);
		return false;
	}
	p->state = PL_PARTICIPANT_LIVE;
	c->occupied++;
	c->counters.participants++;
	pl_directory_add(&c->directory, p);
	pl_directory_add_ufrag(&c->directory, p, command->description->local.ufrag);
	pl_participant_apply(p, command->description, &room->speakers, &c->rng);
	pl_room_add(room, p, now_us);
	arm(c, p);
	return true;
}

static void refuse(struct pl_conference *c, const struct pl_command *command)
{
	if (c->refused_count == REFUSED_MAX)
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
	/* Slot numbers have a new meaning, even when no talker moved. */
	p->tell_slots = true;
	pl_queue_push(&c->notices.participants, &p->telling, p);
	arm(c, p);
}

static void mute(struct pl_participant *p, int64_t now_us, uint32_t id, bool is_on)
{
	struct pl_track *track = pl_participant_track(p, id);
	if (track == NULL)
		return;
	pl_track_mute(track, is_on, &p->room->speakers);
	pl_room_refit(p->room, now_us);
}

static bool is_drained(const struct pl_conference *c)
{
	return c->forward.next == NULL && pl_queue_first(&c->draining) == NULL && pl_queue_first(&c->reporting) == NULL;
}

bool pl_conference_accepts(const struct pl_conference *c)
{
	return c->refused_count < REFUSED_MAX;
}

void pl_conference_command(struct pl_conference *c, int64_t now_us, const struct pl_command *command)
{
	PL_ASSERT(is_drained(c) && command->source != 0);
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
			mute(p, now_us, command->track, command->is_on);
		break;
	case PL_COMMAND_LEAVE:
		if (p != NULL)
			leave(c, p, now_us);
		break;
	}
}

void pl_conference_close(struct pl_conference *c, int64_t now_us)
{
	PL_ASSERT(is_drained(c));
	for (uint32_t i = 0; i <= c->config.participants_max; i++) {
		struct pl_participant *p = &c->participants[i];
		if (p->state != PL_PARTICIPANT_FREE)
			leave(c, p, now_us);
	}
}

/* ---- datagrams ---- */

static void count_drop(struct pl_conference *c, enum pl_drop drop)
{
	if (drop != PL_DROP_NONE)
		c->counters.drop[drop]++;
}

void pl_conference_count_drop(struct pl_conference *c, enum pl_drop drop)
{
	count_drop(c, drop);
}

static enum pl_drop feed_stun(
	struct pl_conference *c, int64_t now_us, const struct pl_path *path, struct pl_bytes datagram)
{
	struct pl_bytes ufrag;
	const enum pl_drop unread = pl_ice_peek_ufrag(datagram, &ufrag);
	if (unread != PL_DROP_NONE)
		return unread;
	struct pl_participant *p = pl_directory_by_ufrag(&c->directory, ufrag);
	if (p == NULL)
		return PL_DROP_STUN_UNKNOWN_USER;

	const enum pl_drop drop = pl_transport_feed(&p->transport, now_us, path, datagram);
	pl_queue_push(&c->draining, &p->draining, p); /* an error has a response, too */
	if (drop != PL_DROP_NONE)
		return drop;
	struct pl_directory_path *held = pl_directory_by_path(&c->directory, path);
	if (held != NULL && held->node.owner == p)
		held->heard_us = now_us;
	else
		pl_directory_learn_paths(&c->directory, p, now_us);
	return PL_DROP_NONE;
}

static enum pl_drop feed_by_path(
	struct pl_conference *c, int64_t now_us, const struct pl_path *path, struct pl_bytes datagram, bool is_proven)
{
	struct pl_directory_path *held = pl_directory_by_path(&c->directory, path);
	if (held == NULL)
		return PL_DROP_UNKNOWN_ADDRESS;
	struct pl_participant *p = held->node.owner;
	const enum pl_drop drop = pl_transport_feed(&p->transport, now_us, path, datagram);
	pl_queue_push(&c->draining, &p->draining, p);
	if (drop == PL_DROP_NONE && is_proven)
		held->heard_us = now_us;
	return drop;
}

static enum pl_drop feed(struct pl_conference *c, int64_t now_us, const struct pl_path *path, struct pl_bytes datagram)
{
	if (datagram.size == 0)
		return PL_DROP_EMPTY;
	if (datagram.size > PL_DATAGRAM_SIZE_MAX)
		return PL_DROP_TOO_LARGE;
	switch (pl_protocol_of(datagram)) {
	case PL_PROTOCOL_STUN:
		return feed_stun(c, now_us, path, datagram);
	case PL_PROTOCOL_DTLS: /* anybody can say hello: no sign of life of the path's holder */
		return feed_by_path(c, now_us, path, datagram, false);
	case PL_PROTOCOL_RTP:
	case PL_PROTOCOL_RTCP:
		return feed_by_path(c, now_us, path, datagram, true);
	case PL_PROTOCOL_UNKNOWN:
		break;
	}
	return PL_DROP_UNKNOWN_PROTOCOL;
}

void pl_conference_feed(struct pl_conference *c, int64_t now_us, const struct pl_path *path, struct pl_bytes datagram)
{
	PL_ASSERT(is_drained(c));
	c->counters.datagrams_in++;
	c->counters.bytes_in += datagram.size;
	count_drop(c, feed(c, now_us, path, datagram));
}

static void note_media(struct pl_conference *c, struct pl_participant *p, int64_t now_us)
{
	p->is_active = true;
	if (p->report_us != INT64_MAX)
		return;
	pl_report_start(p, now_us, &c->rng);
	arm(c, p);
}

static enum pl_drop take_rtp(struct pl_conference *c, struct pl_participant *p, int64_t now_us, struct pl_bytes packet)
{
	struct pl_rtp rtp;
	struct pl_rtp_ext ext;
	struct pl_track *track;
	enum pl_drop drop = pl_rtp_parse(packet, &rtp);
	if (drop != PL_DROP_NONE)
		return drop;
	pl_rtp_parse_ext(&rtp, &p->ext_ids, &ext);
	drop = pl_participant_match(p, &rtp, &ext, &track);
	if (drop != PL_DROP_NONE)
		return drop;

	pl_reception_packet(&track->reception, now_us, rtp.seq, rtp.ts);
	note_media(c, p, now_us);
	if (track->is_muted)
		return PL_DROP_RTP_MUTED;
	if (rtp.payload.size > PL_FORWARD_PAYLOAD_SIZE_MAX)
		return PL_DROP_TOO_LARGE;

	uint8_t level = ext.audio_level;
	bool is_voice = ext.is_voice;
	if (!ext.has[PL_RTP_EXT_AUDIO_LEVEL]) {
		is_voice = rtp.payload.size > DTX_PAYLOAD_SIZE_MAX;
		level = is_voice ? LEVEL_UNTOLD : LEVEL_SILENCE;
	}
	if (pl_room_packet(p->room, track, now_us, level, is_voice))
		pl_forward_start(&c->forward, p->room, track, &rtp, &ext);
	return PL_DROP_NONE;
}

static enum pl_drop take_rtcp(struct pl_conference *c, struct pl_participant *p, int64_t now_us, struct pl_bytes packet)
{
	struct pl_report_read read;
	const enum pl_drop drop = pl_report_read(p, now_us, packet, &p->room->speakers, &read);
	c->counters.nacks_in += read.nacks;
	if (read.has_ended)
		pl_room_refit(p->room, now_us);
	return drop;
}

/* ---- deadlines ---- */

static void wake(struct pl_conference *c, struct pl_participant *p, int64_t now_us)
{
	if (pl_transport_deadline(&p->transport) <= now_us) {
		pl_transport_tick(&p->transport, now_us);
		pl_queue_push(&c->draining, &p->draining, p);
	}
	if (p->report_us <= now_us)
		pl_queue_push(&c->reporting, &p->reporting, p);
}

void pl_conference_tick(struct pl_conference *c, int64_t now_us)
{
	PL_ASSERT(is_drained(c));
	for (struct pl_timer *timer; (timer = pl_timers_take(&c->timers, now_us)) != NULL;) {
		if (timer->kind == TIMER_ROOM)
			pl_room_look(timer->owner, now_us);
		else
			wake(c, timer->owner, now_us);
	}
}

int64_t pl_conference_deadline(const struct pl_conference *c)
{
	return pl_timers_deadline(&c->timers);
}

/* ---- outputs ---- */

static void send_over(
	struct pl_conference *c, const struct pl_path *path, size_t size, struct pl_conference_output *output)
{
	output->kind = PL_CONFERENCE_SEND;
	output->path = *path;
	output->size = size;
	c->counters.datagrams_out++;
	c->counters.bytes_out += size;
}

/* True when there is a packet to send; false when the one under way has been to everybody. */
static bool next_forward(
	struct pl_conference *c, int64_t now_us, struct pl_span room, struct pl_conference_output *output)
{
	struct pl_participant *to;
	size_t size;
	for (;;) {
		switch (pl_forward_next(&c->forward, now_us, room, &to, &size)) {
		case PL_FORWARD_SENT:
			c->counters.rtp_out++;
			note_media(c, to, now_us);
			send_over(c, pl_transport_path(&to->transport), size, output);
			return true;
		case PL_FORWARD_BEFORE_SWITCH:
			count_drop(c, PL_DROP_BEFORE_SWITCH);
			break;
		case PL_FORWARD_DONE:
			return false;
		}
	}
}

/* Takes one output of a transport.  True when there is a datagram to send. */
static bool next_of_transport(struct pl_conference *c, struct pl_participant *p, int64_t now_us, struct pl_span room,
	struct pl_conference_output *output)
{
	struct pl_output o;
	if (!pl_transport_next(&p->transport, &o)) {
		pl_queue_remove(&c->draining, &p->draining);
		arm(c, p);
		return false;
	}
	if (o.kind == PL_OUTPUT_SEND) {
		PL_ASSERT(o.bytes.size <= room.size);
		memcpy(room.data, o.bytes.data, o.bytes.size);
		send_over(c, &o.path, o.bytes.size, output);
		return true;
	}
	if (o.kind == PL_OUTPUT_CLOSED) {
		finish(c, p, now_us, o.close);
		return false;
	}
	if (p->state == PL_PARTICIPANT_CLOSING)
		return false;

	switch (o.kind) {
	case PL_OUTPUT_CONNECTED:
		p->tell_connected = true;
		pl_queue_push(&c->notices.participants, &p->telling, p);
		break;
	case PL_OUTPUT_RTP:
		c->counters.rtp_in++;
		count_drop(c, take_rtp(c, p, now_us, o.bytes));
		break;
	case PL_OUTPUT_RTCP:
		count_drop(c, take_rtcp(c, p, now_us, o.bytes));
		break;
	default: /* PATH: pl_transport_path() knows it already */
		break;
	}
	return false;
}

/* Writes the report of one participant.  True when there is a datagram to send. */
static bool next_report(struct pl_conference *c, struct pl_participant *p, int64_t now_us, struct pl_span room,
	struct pl_conference_output *output)
{
	uint8_t packet[PL_REPORT_SIZE_MAX];
	pl_queue_remove(&c->reporting, &p->reporting);
	const struct pl_path *path = pl_transport_path(&p->transport);
	size_t size = pl_report_write(p, now_us, c->config.ntp_offset_us, packet);
	pl_report_schedule(p, now_us, &c->rng);
	arm(c, p);
	if (size == 0 || path == NULL)
		return false;
	size = pl_transport_protect_rtcp(&p->transport, (struct pl_bytes){ packet, size }, room);
	if (size == 0)
		return false;
	send_over(c, path, size, output);
	return true;
}

static struct pl_event slots_event(const struct pl_participant *p)
{
	struct pl_event event = { .kind = PL_EVENT_SLOTS, .room = p->room_id, .source = p->source };
	event.slots.count = p->slots.count;
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
		forget_gone(c, p);
		return event;
	}
	if (p->tell_connected) {
		p->tell_connected = false;
		event.kind = PL_EVENT_CONNECTED;
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

static bool next_event(struct pl_conference *c, struct pl_conference_output *output)
{
	struct pl_participant *p = pl_queue_first(&c->notices.participants);
	struct pl_room *room = pl_queue_first(&c->notices.rooms);
	output->kind = PL_CONFERENCE_EVENT;
	if (c->refused_count > 0) {
		output->event = (struct pl_event){
			.kind = PL_EVENT_REFUSED, .room = c->refused[0].room, .source = c->refused[0].source
		};
		c->refused_count--;
		memmove(&c->refused[0], &c->refused[1], c->refused_count * sizeof c->refused[0]);
	} else if (p != NULL) {
		output->event = next_event_of_participant(c, p);
	} else if (room != NULL) {
		output->event = next_event_of_room(c, room);
	} else {
		return false;
	}
	return true;
}

bool pl_conference_next(struct pl_conference *c, int64_t now_us, struct pl_span room, bool with_events,
	struct pl_conference_output *output)
{
	PL_ASSERT(room.size >= PL_DATAGRAM_SIZE_MAX + PL_SRTP_OVERHEAD_MAX);
	for (;;) {
		/* A packet's payload lives in its publisher's transport: to everybody, before that goes on. */
		if (next_forward(c, now_us, room, output))
			return true;
		struct pl_participant *p = pl_queue_first(&c->draining);
		if (p != NULL) {
			if (next_of_transport(c, p, now_us, room, output))
				return true;
			continue;
		}
		p = pl_queue_first(&c->reporting);
		if (p == NULL)
			return with_events && next_event(c, output);
		if (next_report(c, p, now_us, room, output))
			return true;
	}
}

const struct pl_conference_counters *pl_conference_counters(const struct pl_conference *c)
{
	return &c->counters;
}
