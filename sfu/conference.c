#include "sfu/conference.h"

#include <stdlib.h>
#include <string.h>

#include "sfu/events.h"
#include "sfu/intake.h"
#include "sfu/membership.h"
#include "sfu/report.h"
#include "sfu/spread.h"

/* ---- memory: taken once ---- */

static bool init_pool(struct pl_conference *c, const struct pl_conference_config *config)
{
	const uint32_t packets = config->packets != 0 ? config->packets : PL_CONFERENCE_PACKETS;
	struct pl_span memory = config->packet_memory;
	if (memory.size == 0) {
		memory = (struct pl_span){ aligned_alloc(64, pl_pool_bytes(packets)), pl_pool_bytes(packets) };
		c->pool_memory = memory.data;
	}
	if (memory.data == NULL)
		return false;
	pl_pool_init(&c->pool, memory, packets);
	return true;
}

enum pl_err pl_conference_create(struct pl_conference **conference, const struct pl_conference_config *config)
{
	PL_ASSERT(config->participants_max > 0 && config->rooms_max > 0);
	const size_t participants = (size_t)config->participants_max + 1;
	const size_t timers = participants + config->rooms_max;
	const size_t directory_buckets = pl_directory_buckets(config->participants_max);
	const size_t room_buckets = pl_table_buckets(config->rooms_max);
	const size_t remote_buckets = config->remotes_max > 0 ? pl_table_buckets(config->remotes_max) : 0;

	struct pl_conference *c = calloc(1, sizeof *c);
	*conference = c;
	if (c == NULL)
		return PL_ERR_NO_MEMORY;
	c->participants = calloc(participants, sizeof c->participants[0]);
	c->rooms = calloc(config->rooms_max, sizeof c->rooms[0]);
	c->buckets = calloc(directory_buckets + room_buckets + remote_buckets, sizeof(struct pl_table_node *));
	c->heap = calloc(timers + 1, sizeof(struct pl_timer *));
	c->remotes = calloc((size_t)config->remotes_max + 1, sizeof c->remotes[0]);
	if (c->participants == NULL || c->rooms == NULL || c->buckets == NULL || c->heap == NULL ||
		c->remotes == NULL) {
		pl_conference_destroy(conference);
		return PL_ERR_NO_MEMORY;
	}

	if (!init_pool(c, config)) {
		pl_conference_destroy(conference);
		return PL_ERR_NO_MEMORY;
	}
	c->config = *config;
	pl_forward_init(&c->forward, &c->pool);
	pl_handshakes_init(&c->handshakes, &c->pool);
	pl_rng_init(&c->rng, config->seed);
	pl_directory_init(&c->directory, c->buckets, config->participants_max, config->seed);
	pl_table_init(&c->rooms_by_id, c->buckets + directory_buckets, room_buckets);
	if (remote_buckets > 0)
		pl_table_init(&c->remotes_by_track, c->buckets + directory_buckets + room_buckets, remote_buckets);
	for (uint32_t i = config->remotes_max; i > 0; i--) {
		c->remotes[i - 1].next = c->free_remotes;
		c->free_remotes = &c->remotes[i - 1];
	}
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
	free(c->remotes);
	free(c->pool_memory);
	free(c->heap);
	free(c->buckets);
	free(c->rooms);
	free(c->participants);
	free(c);
}

/* ---- in ---- */

static bool has_control(const struct pl_conference *c)
{
	return pl_queue_first(&c->draining) != NULL || pl_queue_first(&c->reporting) != NULL;
}

static bool is_drained(const struct pl_conference *c)
{
	return pl_forward_is_empty(&c->forward) && !has_control(c);
}

bool pl_conference_must_drain(const struct pl_conference *c)
{
	return has_control(c) || pl_forward_is_full(&c->forward);
}

bool pl_conference_accepts(const struct pl_conference *c)
{
	return c->refused_count < PL_REFUSED_MAX;
}

void pl_conference_command(struct pl_conference *c, int64_t now_us, const struct pl_command *command)
{
	PL_ASSERT(is_drained(c));
	pl_membership_command(c, now_us, command);
}

void pl_conference_close(struct pl_conference *c, int64_t now_us)
{
	PL_ASSERT(is_drained(c));
	pl_membership_close(c, now_us);
}

static void count_drop(struct pl_conference *c, enum pl_drop drop)
{
	if (drop != PL_DROP_NONE)
		c->counters.drop[drop]++;
}

void pl_conference_count_drop(struct pl_conference *c, enum pl_drop drop)
{
	count_drop(c, drop);
}

void pl_conference_feed(struct pl_conference *c, int64_t now_us, const struct pl_path *path, struct pl_bytes datagram)
{
	PL_ASSERT(!pl_conference_must_drain(c));
	c->counters.datagrams_in++;
	c->counters.bytes_in += datagram.size;
	count_drop(c, pl_intake_feed(c, now_us, path, datagram));
}

void pl_conference_cross(struct pl_conference *c, int64_t now_us, uint8_t from, const struct pl_cross *message)
{
	PL_ASSERT(!pl_conference_must_drain(c) && from < c->config.shard_count && from != c->config.shard);
	count_drop(c, pl_spread_take(c, now_us, from, message));
}

void pl_conference_release(struct pl_conference *c, struct pl_packet *packet)
{
	pl_pool_release(&c->pool, packet);
}

void pl_conference_arm(struct pl_conference *c, struct pl_participant *p)
{
	const int64_t transport_us = pl_transport_deadline(&p->transport);
	pl_timers_set(&c->timers, &p->timer, p->report_us < transport_us ? p->report_us : transport_us);
}

void pl_conference_note_media(struct pl_conference *c, struct pl_participant *p, int64_t now_us)
{
	p->is_active = true;
	if (p->report_us != INT64_MAX)
		return;
	pl_report_start(p, now_us, &c->rng);
	pl_conference_arm(c, p);
}

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
		if (timer->kind == PL_TIMER_ROOM)
			pl_room_look(timer->owner, now_us);
		else
			wake(c, timer->owner, now_us);
	}
	if (pl_queue_first(&c->spreading) != NULL && c->spread_retry_us <= now_us)
		pl_spread_retry(c, now_us);
	/* What the timers woke goes out first. */
	if (!has_control(c))
		count_drop(c, pl_intake_handshake(c, now_us));
}

bool pl_conference_has_handshakes(const struct pl_conference *c)
{
	return c->handshakes.count > 0;
}

int64_t pl_conference_deadline(const struct pl_conference *c)
{
	if (pl_conference_has_handshakes(c))
		return INT64_MIN;
	const int64_t timer_us = pl_timers_deadline(&c->timers);
	const bool is_spreading = pl_queue_first(&c->spreading) != NULL;
	return is_spreading && c->spread_retry_us < timer_us ? c->spread_retry_us : timer_us;
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
			pl_conference_note_media(c, to, now_us);
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
		pl_conference_arm(c, p);
		return false;
	}
	if (o.kind == PL_OUTPUT_SEND) {
		PL_ASSERT(o.bytes.size <= room.size);
		memcpy(room.data, o.bytes.data, o.bytes.size);
		send_over(c, &o.path, o.bytes.size, output);
		return true;
	}
	if (o.kind == PL_OUTPUT_CLOSED) {
		pl_membership_finish(c, p, now_us, o.close);
		return false;
	}
	if (p->state == PL_PARTICIPANT_CLOSING)
		return false;

	switch (o.kind) {
	case PL_OUTPUT_CONNECTED:
		p->tell_connected = true;
		pl_queue_push(&c->notices.participants, &p->telling, p);
		break;
	default: /* PATH: pl_transport_path() knows it already.  RTP and RTCP are taken where they come in */
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
	pl_conference_arm(c, p);
	if (size == 0 || path == NULL)
		return false;
	size = pl_transport_protect_rtcp(&p->transport, (struct pl_bytes){ packet, size }, room);
	if (size == 0)
		return false;
	send_over(c, path, size, output);
	return true;
}

bool pl_conference_next(struct pl_conference *c, int64_t now_us, struct pl_span room, bool with_events,
	struct pl_conference_output *output)
{
	PL_ASSERT(room.size >= PL_DATAGRAM_SIZE_MAX + PL_SRTP_OVERHEAD_MAX);
	for (;;) {
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
			return with_events && pl_events_next(c, output);
		if (next_report(c, p, now_us, room, output))
			return true;
	}
}

struct pl_conference_counters pl_conference_counters(const struct pl_conference *c)
{
	struct pl_conference_counters counters = c->counters;
	counters.pool_low = c->pool.low_count;
	counters.packets = c->pool.capacity;
	counters.packets_used = pl_pool_used(&c->pool);
	counters.packets_used_max = c->pool.capacity - c->pool.free_min;
	return counters;
}
