#include "sfu/conference.h"

#include <stdlib.h>
#include <string.h>

#include "media/trace.h"
#include "sfu/events.h"
#include "sfu/intake.h"
#include "sfu/membership.h"
#include "sfu/mixing.h"
#include "sfu/relieving.h"
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
	PL_ASSERT(config->mix_talkers <= PL_MIX_CSRC_MAX && config->worker_count <= PL_WORKERS_MAX);
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
	pl_forward_init(&c->forward, &c->pool, c->counters.drop);
	pl_handshakes_init(&c->handshakes, &c->pool);
	pl_rng_init(&c->rng, config->seed);
	pl_directory_init(&c->directory, c->buckets, config->participants_max, config->seed);
	pl_table_init(&c->rooms_by_id, c->buckets + directory_buckets, room_buckets);
	if (remote_buckets > 0)
		pl_table_init(&c->remotes_by_track, c->buckets + directory_buckets + room_buckets, remote_buckets);
	pl_timers_init(&c->timers, c->heap, timers);
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
	for (uint32_t i = 0; i < c->participants_used; i++) {
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
	return pl_queue_first(&c->draining) != NULL || pl_queue_first(&c->reporting) != NULL ||
	       pl_queue_first(&c->parting) != NULL;
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
		pl_drop_count(c->counters.drop, drop);
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
	PL_ASSERT(!pl_conference_must_drain(c));
	if (from >= PL_CROSS_WORKER(0)) {
		PL_ASSERT(from < PL_CROSS_WORKER(c->config.worker_count));
		count_drop(c, pl_mixing_take(c, now_us, (uint8_t)(from - PL_CROSS_WORKER(0)), message));
		return;
	}
	PL_ASSERT(from < c->config.shard_count && from != c->config.shard);
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
		if (pl_transport_is_settled(&p->transport))
			pl_membership_note_settled(c, p);
		pl_queue_push(&c->draining, &p->draining, p);
	}
	if (p->report_us <= now_us)
		pl_queue_push(&c->reporting, &p->reporting, p);
}

static void look(struct pl_conference *c, struct pl_room *room, int64_t now_us)
{
	pl_room_look(room, now_us);
	if (pl_room_should_move(room))
		pl_relieving_move(c, room, now_us);
}

void pl_conference_tick(struct pl_conference *c, int64_t now_us)
{
	PL_ASSERT(is_drained(c));
	for (struct pl_timer *timer; (timer = pl_timers_take(&c->timers, now_us)) != NULL;) {
		if (timer->kind == PL_TIMER_ROOM)
			look(c, timer->owner, now_us);
		else
			wake(c, timer->owner, now_us);
	}
	if (pl_queue_first(&c->spreading) != NULL && c->spread_retry_us <= now_us)
		pl_spread_retry(c, now_us);
	pl_relieving_tick(c, now_us);
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
	if (pl_conference_has_handshakes(c) || pl_relieving_is_due(c))
		return INT64_MIN;
	const int64_t timer_us = pl_timers_deadline(&c->timers);
	const bool is_spreading = pl_queue_first(&c->spreading) != NULL;
	return is_spreading && c->spread_retry_us < timer_us ? c->spread_retry_us : timer_us;
}

/* ---- outputs ---- */

static void count_sent(struct pl_conference *c, size_t datagrams, size_t bytes)
{
	c->counters.datagrams_out += datagrams;
	c->counters.bytes_out += bytes;
}

static bool forward(struct pl_conference *c, int64_t now_us, struct pl_egress *egress)
{
	struct pl_forward_step step;
	if (!pl_forward_next(&c->forward, now_us, egress, &step))
		return false;
	for (size_t i = 0; i < step.sent; i++)
		pl_conference_note_media(c, step.to[i], now_us);
	c->counters.rtp_out += step.sent;
	count_sent(c, step.sent, step.bytes);
	return true;
}

/* Takes one output of a transport. */
static void drain_transport(struct pl_conference *c, struct pl_participant *p, int64_t now_us, struct pl_egress *egress)
{
	struct pl_output o;
	if (!pl_transport_next(&p->transport, &o)) {
		pl_queue_remove(&c->draining, &p->draining);
		pl_conference_arm(c, p);
		return;
	}
	if (o.kind == PL_OUTPUT_SEND) {
		memcpy(pl_egress_room(egress).data, o.bytes.data, o.bytes.size);
		pl_egress_push(egress, &o.path, o.bytes.size);
		count_sent(c, 1, o.bytes.size);
	} else if (o.kind == PL_OUTPUT_CLOSED) {
		pl_membership_finish(c, p, now_us, o.close);
	} else if (o.kind == PL_OUTPUT_HEARD && p->state != PL_PARTICIPANT_CLOSING) {
		p->tell_heard = true;
		pl_queue_push(&c->notices.participants, &p->telling, p);
	} else if (o.kind == PL_OUTPUT_CONNECTED && p->state != PL_PARTICIPANT_CLOSING) {
		p->tell_connected = true;
		if (!pl_id_is_canary(p->source))
			pl_histogram_note(&c->joins, now_us - p->joined_us);
		PL_TRACE(connected, p->room_id, p->source);
		pl_queue_push(&c->notices.participants, &p->telling, p);
		pl_room_note_fresh(p->room, p);
		pl_spread_tell(c, p->room, now_us);
	}
	/* PATH: pl_transport_path() knows it already.  RTP and RTCP are taken where they come in. */
}

static void send_report(struct pl_conference *c, struct pl_participant *p, int64_t now_us, struct pl_egress *egress)
{
	uint8_t packet[PL_REPORT_SIZE_MAX];
	pl_queue_remove(&c->reporting, &p->reporting);
	const struct pl_path *path = pl_transport_path(&p->transport);
	size_t size = pl_report_write(p, now_us, c->config.ntp_offset_us, packet);
	pl_report_schedule(p, now_us, &c->rng);
	pl_conference_arm(c, p);
	if (size == 0 || path == NULL)
		return;
	size = pl_transport_protect_rtcp(&p->transport, (struct pl_bytes){ packet, size }, pl_egress_room(egress));
	if (size == 0) {
		count_drop(c, PL_DROP_SRTP_SPENT);
		return;
	}
	pl_egress_push(egress, path, size);
	count_sent(c, 1, size);
}

static void send_parting(struct pl_conference *c, struct pl_participant *p, int64_t now_us, struct pl_egress *egress)
{
	uint8_t header[PL_RTP_TEMPLATE_SIZE_MAX];
	struct pl_bytes payload;
	const struct pl_path *path = pl_transport_path(&p->transport);
	struct pl_srtp *session = pl_transport_srtp(&p->transport);
	const size_t header_size =
		path != NULL && session != NULL ? pl_participant_part(p, now_us, header, &payload) : 0;
	if (header_size == 0) {
		pl_queue_remove(&c->parting, &p->parting);
		return;
	}
	const size_t size =
		pl_srtp_protect_rtp(session, (struct pl_bytes){ header, header_size }, payload, pl_egress_room(egress));
	if (size == 0) {
		count_drop(c, PL_DROP_SRTP_SPENT);
		return;
	}
	pl_egress_push(egress, path, size);
	pl_conference_note_media(c, p, now_us);
	c->counters.rtp_out++;
	count_sent(c, 1, size);
}

enum pl_conference_drained pl_conference_drain(
	struct pl_conference *c, int64_t now_us, struct pl_egress *egress, bool with_events, struct pl_event *event)
{
	while (!is_drained(c)) {
		if (pl_egress_is_full(egress))
			return PL_CONFERENCE_FULL;
		if (forward(c, now_us, egress))
			continue;
		struct pl_participant *p = pl_queue_first(&c->draining);
		if (p != NULL)
			drain_transport(c, p, now_us, egress);
		else if ((p = pl_queue_first(&c->reporting)) != NULL)
			send_report(c, p, now_us, egress);
		else if ((p = pl_queue_first(&c->parting)) != NULL)
			send_parting(c, p, now_us, egress);
	}
	return with_events && pl_events_next(c, event) ? PL_CONFERENCE_EVENT : PL_CONFERENCE_DONE;
}

uint64_t pl_conference_rtp_in(const struct pl_conference *c)
{
	return c->counters.rtp_in;
}

uint64_t pl_conference_rtp_out(const struct pl_conference *c)
{
	return c->counters.rtp_out;
}

const struct pl_histogram *pl_conference_joins(const struct pl_conference *c)
{
	return &c->joins;
}

struct pl_conference_counters pl_conference_counters(const struct pl_conference *c)
{
	struct pl_conference_counters counters = c->counters;
	counters.pool_low = c->pool.low_count;
	counters.packets = c->pool.capacity;
	counters.packets_used = pl_pool_used(&c->pool);
	counters.packets_used_max = pl_pool_used_max(&c->pool);
	return counters;
}

unsigned pl_conference_pool_permille(struct pl_conference *c)
{
	return (unsigned)((uint64_t)pl_pool_used_lately(&c->pool) * 1000 / c->pool.capacity);
}

void pl_conference_relieve(struct pl_conference *c, const struct pl_relief *relief)
{
	c->relief = *relief;
	c->relief_left = c->rooms_used;
}

void pl_conference_add_holding(const struct pl_conference *c, struct pl_holding *sum)
{
	const struct pl_conference_config *config = &c->config;
	const size_t buckets = pl_directory_buckets(config->participants_max) + pl_table_buckets(config->rooms_max) +
			       (config->remotes_max > 0 ? pl_table_buckets(config->remotes_max) : 0);
	sum->bytes[PL_HOLDING_PACKETS] += pl_pool_bytes(c->pool.capacity);
	sum->bytes[PL_HOLDING_TABLES] += sizeof *c + buckets * sizeof(struct pl_table_node *) +
					 c->participants_used * (sizeof *c->participants + sizeof *c->heap) +
					 c->rooms_used * (sizeof *c->rooms + sizeof *c->heap) +
					 c->remotes_used * sizeof *c->remotes;
	sum->bytes[PL_HOLDING_KEYS] += pl_srtp_engine_bytes(config->srtp);
	sum->bytes[PL_HOLDING_HANDSHAKES] += (uint64_t)c->associations * PL_CONFERENCE_ASSOCIATION_BYTES;
}
