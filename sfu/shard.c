#include <poll.h>
#include <stdlib.h>

#include "sfu/io/clock.h"
#include "sfu/shard_state.h"

enum {
	/* A turn is bounded, so that neither a flood of datagrams nor one of commands starves the timers. */
	BATCHES_PER_TURN = 8,
	COMMANDS_PER_TURN = 64,
	JOINS_PER_TURN = 4,     /* each takes as long as forwarding hundreds of packets */
	CROSSES_PER_TURN = 128, /* of each link */
	STALL_US = 1000000,     /* no thread that runs is away for so long: at rest it publishes */
	CATCH_UP_US = 1000000,
	HANDSHAKES_US = 1000, /* a step takes a third of it */
	PUBLISH_US = 500000,  /* at rest; at work with each PL_LOAD_PERIOD_US */
	EVENTS_RETRY_US = 10000,
	ACCEPT_RETRY_US = 1000,
	HANDSHAKES_KEPT_US = 45000000, /* what they took goes back 30 s after a wave of joins, and not all at once */
	TRANSIT_EVERY = 16,            /* batches of those that were forwarded: one is timed */
};

static void note_max(uint64_t *max, uint64_t seen)
{
	if (*max < seen)
		*max = seen;
}

/* Takes everything out of the conference: datagrams to the network, events into the ring as long as it has room. */
static void drain(struct pl_shard *shard, int64_t now_us)
{
	size_t room = pl_ring_room(&shard->events);
	struct pl_event event;
	enum pl_conference_drained drained;
	while ((drained = pl_conference_drain(shard->conference, now_us, &shard->udp.egress, room > 0, &event)) !=
		PL_CONFERENCE_DONE) {
		if (drained == PL_CONFERENCE_FULL) {
			pl_udp_flush(&shard->udp);
			continue;
		}
		const bool is_pushed = pl_ring_push(&shard->events, &event);
		PL_ASSERT(is_pushed);
		room--;
	}
	shard->has_events_waiting = room == 0;
	shard->events_delayed += room == 0;
}

bool pl_shard_push_cross(void *context, uint8_t to, const struct pl_cross *message)
{
	struct pl_shard *shard = context;
	return pl_link_push(shard->peer[shard->peer_at[to]].to, message);
}

uint8_t pl_shard_choose_worker(void *context)
{
	struct pl_shard *shard = context;
	return pl_worker_choose(shard->worker, shard->worker_count);
}

static bool take_crosses_of(struct pl_shard *shard, int64_t now_us, struct pl_shard_peer *peer)
{
	const struct pl_cross *message;
	while (peer->from->taking < CROSSES_PER_TURN && (message = pl_link_take(peer->from)) != NULL) {
		pl_conference_cross(shard->conference, now_us, peer->number, message);
		if (pl_conference_must_drain(shard->conference))
			drain(shard, now_us);
	}
	shard->is_behind |= peer->from->taking == CROSSES_PER_TURN;
	if (peer->from->taking > 0)
		pl_pulse_note_ring(&shard->pulse, pl_ring_waiting(&peer->from->ring), PL_LINK_MEDIA_MAX);
	return peer->from->taking > 0;
}

static bool take_crosses(struct pl_shard *shard, int64_t now_us)
{
	bool has_taken = false;
	for (size_t i = 0; i < shard->peer_count; i++) {
		pl_link_reap(shard->peer[i].to);
		has_taken |= take_crosses_of(shard, now_us, &shard->peer[i]);
	}
	if (!has_taken)
		return false;
	drain(shard, now_us);
	for (size_t i = 0; i < shard->peer_count; i++)
		pl_link_done(shard->peer[i].from);
	return true;
}

/* The canary's first, which are few: it shall not be deaf because many join. */
static bool pop_command(struct pl_shard *shard, struct pl_command *command)
{
	return pl_ring_pop(&shard->canary_commands, command) || pl_ring_pop(&shard->commands, command);
}

static bool take_commands(struct pl_shard *shard, int64_t now_us)
{
	struct pl_command command;
	uint64_t joins = 0;
	for (int i = 0; i < COMMANDS_PER_TURN && joins < JOINS_PER_TURN; i++) {
		if (!pl_conference_accepts(shard->conference) || !pop_command(shard, &command))
			return i > 0;
		joins += command.kind == PL_COMMAND_JOIN;
		note_max(&shard->joins_turn_max, joins);
		const int64_t begun_us = command.kind == PL_COMMAND_JOIN ? pl_clock_now_us() : 0;
		pl_conference_command(shard->conference, now_us, &command);
		free(command.description);
		drain(shard, now_us);
		if (command.kind == PL_COMMAND_JOIN)
			pl_pulse_note_deferred(&shard->pulse, pl_clock_now_us() - begun_us);
	}
	shard->is_behind = true;
	pl_pulse_note_ring(&shard->pulse, pl_ring_waiting(&shard->commands), COMMANDS_CAPACITY);
	return true;
}

/* All of a batch is out.  One of its messages says how long that took since it came, another one each time: what all of them waited
 * in the socket, for the window of gathering or for a thread that was late, is in it as it was. */
static void note_transit(struct pl_shard *shard, uint64_t sent)
{
	if (sent == 0 || ++shard->transit_batches % TRANSIT_EVERY != 0)
		return;
	int64_t took_us = pl_udp_age_us(&shard->udp, shard->transit_batches / TRANSIT_EVERY);
	if (took_us < 0) /* so the turn alone */
		took_us = pl_clock_now_us() - shard->gather.turn_us;
	pl_histogram_note_many(&shard->transit, took_us, sent);
}

static void take_datagrams(struct pl_shard *shard)
{
	for (int batch = 0; batch < BATCHES_PER_TURN; batch++) {
		const uint64_t sent = pl_conference_rtp_out(shard->conference);
		const size_t count = pl_udp_receive(&shard->udp);
		const int64_t now_us = pl_clock_now_us();
		for (size_t i = 0; i < count; i++) {
			pl_conference_feed(
				shard->conference, now_us, &shard->udp.datagram[i].path, shard->udp.datagram[i].bytes);
			if (pl_conference_must_drain(shard->conference))
				drain(shard, now_us);
		}
		drain(shard, now_us);
		pl_udp_flush(&shard->udp);
		note_transit(shard, pl_conference_rtp_out(shard->conference) - sent);
		if (!shard->udp.has_more)
			return;
	}
}

static void note_rings(struct pl_shard *shard)
{
	pl_pulse_note_ring(&shard->pulse, pl_ring_used(&shard->events), EVENTS_CAPACITY);
	for (size_t i = 0; i < shard->peer_count; i++)
		pl_pulse_note_ring(&shard->pulse, pl_link_used(shard->peer[i].to), PL_LINK_MEDIA_MAX);
}

static void publish_holding(struct pl_shard *shard, int64_t now_us)
{
	struct pl_holding holding = { 0 };
	pl_conference_add_holding(shard->conference, &holding);
	holding.bytes[PL_HOLDING_SOCKETS] = shard->memory.size_bytes - shard->config.conference.packet_memory.size;
	holding.bytes[PL_HOLDING_RINGS] = pl_ring_bytes(&shard->commands) + pl_ring_bytes(&shard->events);
	for (size_t i = 0; i < shard->peer_count; i++) {
		const struct pl_shard_peer *peer = &shard->peer[i];
		holding.bytes[PL_HOLDING_RINGS] += pl_ring_bytes(&peer->to->ring);
		if (peer->number >= PL_CROSS_WORKER(0))
			holding.bytes[PL_HOLDING_RINGS] += pl_ring_bytes(&peer->from->ring);
	}
	uint64_t *handshakes = &holding.bytes[PL_HOLDING_HANDSHAKES];
	if (*handshakes >= shard->handshake_bytes || now_us - shard->handshake_us >= HANDSHAKES_KEPT_US) {
		shard->handshake_bytes = *handshakes;
		shard->handshake_us = now_us;
	}
	*handshakes = shard->handshake_bytes;
	pl_published_write(shard->holding, &holding, sizeof holding);
}

/* The monitor comes by every 100 ms: the first window of an overload is not kept waiting for that. */
static void tell_alarm(struct pl_shard *shard, uint64_t work_permille)
{
	const bool has_too_much = work_permille >= pl_pressure_begins_permille(PL_PRESSURE_ELEVATED);
	if (has_too_much && !shard->has_too_much)
		pl_waker_poke(shard->config.alarm);
	shard->has_too_much = has_too_much;
}

static void publish(struct pl_shard *shard, int64_t now_us)
{
	if (!pl_pulse_is_due(&shard->pulse, now_us))
		return;
	note_rings(shard);
	const uint64_t work_permille =
		pl_pulse_tell(&shard->pulse, now_us, pl_conference_pool_permille(shard->conference));
	shard->published_us = now_us;
	struct pl_sfu_counters counters = {
		.conference = pl_conference_counters(shard->conference),
		.kernel_drops = shard->udp.counters.kernel_drops,
		.send_full = shard->udp.counters.send_full,
		.send_failed = shard->udp.counters.send_failed,
		.trains_cut = shard->udp.counters.trains_cut,
		.trains_refused = shard->udp.counters.trains_refused,
		.syscalls = shard->udp.counters.syscalls + shard->waits,
		.events_delayed = shard->events_delayed,
		.handshakes_turn_max = shard->handshakes_turn_max,
		.joins_turn_max = shard->joins_turn_max,
	};
	counters.conference.drop[PL_DROP_TOO_LARGE] += shard->udp.counters.too_large;
	counters.conference.drop[PL_DROP_EGRESS_FULL] += shard->udp.counters.send_full;
	pl_published_write(shard->published, &counters, sizeof counters);
	const struct pl_sfu_times times = {
		.late = shard->pulse.late_ever,
		.transit = shard->transit,
		.join = *pl_conference_joins(shard->conference),
	};
	pl_published_write(shard->times, &times, sizeof times);
	publish_holding(shard, now_us);
	tell_alarm(shard, work_permille);
}

/* What the turn that begins was due for: what it slept until; or, when something was there already, the last look. */
static int64_t due_of(bool has_slept, bool has_news, int64_t now_us, int64_t until_us, int64_t looked_us)
{
	if (has_slept)
		return has_news ? now_us : until_us;
	return has_news || until_us < looked_us ? looked_us : until_us;
}

/* Sleeps until a datagram, a command, or the conference's deadline, and begins a turn.  True when there are datagrams.
 * looked_us: when it would have been here, had it been free. */
static bool wait_for_work(struct pl_shard *shard, int64_t looked_us, int64_t *turn_us)
{
	struct pollfd fds[PL_UDP_FAMILIES + 1] = { [PL_UDP_FAMILIES] = {
							   .fd = shard->waker.event_fd, .events = POLLIN } };
	const struct pollfd *waker = &fds[PL_UDP_FAMILIES];
	pl_udp_prepare_poll(&shard->udp, fds);
	const int64_t now_us = pl_clock_now_us();
	pl_pulse_wake(&shard->pulse, now_us); /* gathering */
	int64_t until_us = pl_conference_deadline(shard->conference);
	if (until_us > shard->published_us + PUBLISH_US)
		until_us = shard->published_us + PUBLISH_US;
	if (shard->has_events_waiting && until_us > now_us + EVENTS_RETRY_US)
		until_us = now_us + EVENTS_RETRY_US;

	if (!pl_conference_accepts(shard->conference) && until_us > now_us + ACCEPT_RETRY_US)
		until_us = now_us + ACCEPT_RETRY_US;

	/* Commands that the conference cannot take yet are no reason to stay awake. */
	const bool may_sleep = until_us > now_us &&
			       (pl_waker_prepare_sleep(&shard->waker) || !pl_conference_accepts(shard->conference));
	const int64_t wait_us = may_sleep ? until_us - now_us : 0;
	const struct timespec timeout = pl_clock_timespec(wait_us);
	if (may_sleep)
		pl_pulse_sleep(&shard->pulse, now_us, until_us);
	ppoll(fds, PL_COUNT(fds), &timeout, NULL);
	*turn_us = pl_clock_now_us();
	shard->waits++;
	if (waker->revents != 0)
		pl_waker_wake_up(&shard->waker);
	else
		pl_waker_stay_awake(&shard->waker);
	const bool has_datagrams = pl_udp_take_poll(&shard->udp, fds),
		   has_slept = pl_pulse_wake(&shard->pulse, *turn_us);
	pl_pulse_turn(&shard->pulse, *turn_us,
		due_of(has_slept, has_datagrams || waker->revents != 0, *turn_us, until_us, looked_us));
	return has_datagrams;
}

/* Before the shard looks what is there, so that it wakes up once for all of it.  What came meanwhile waits in the socket.  What a bounded turn left over, and handshakes, for which a turn
 * has a millisecond, wait no longer.  Returns when that was to be. */
static int64_t gather(struct pl_shard *shard)
{
	const bool is_pressed =
		shard->is_behind || shard->udp.has_more || pl_conference_has_handshakes(shard->conference);
	const int64_t until_us = pl_gather_until(&shard->gather, is_pressed);
	if (until_us == INT64_MIN)
		return shard->gather.turn_us;
	pl_pulse_sleep(&shard->pulse, pl_clock_now_us(), until_us);
	pl_clock_sleep_until(until_us);
	return until_us;
}

/* What is asked of this shard from now on. */
static void take_relief(struct pl_shard *shard)
{
	const uint32_t word = atomic_load_explicit(&shard->relief, memory_order_relaxed);
	if (word == shard->relief_seen)
		return;
	shard->relief_seen = word;
	const struct pl_relief relief = pl_relief_from(word);
	shard->gather.window_us =
		relief.coalesce_us > shard->config.coalesce_us ? relief.coalesce_us : shard->config.coalesce_us;
	pl_conference_relieve(shard->conference, &relief);
}

/* A thread that stood still, or whose machine did, finds connectivity checks in its socket, older than those that were no longer taken
 * for want of room.  They come before the clock, or it would end all calls whose consent ran out meanwhile (RFC 7675). */
static bool is_catching_up(struct pl_shard *shard, int64_t now_us)
{
	if (now_us - shard->ticked_us > STALL_US && shard->catch_up_us < shard->ticked_us)
		shard->catch_up_us = now_us + CATCH_UP_US;
	return shard->udp.has_more && now_us < shard->catch_up_us;
}

/* What is due, and steps of handshakes for as long as they may keep packets waiting.  Returns the time. */
static int64_t tick(struct pl_shard *shard)
{
	int64_t now_us = pl_clock_now_us();
	const int64_t until_us = now_us + HANDSHAKES_US;
	uint64_t steps = 0;
	while (pl_conference_deadline(shard->conference) <= now_us) {
		const bool is_step = pl_conference_has_handshakes(shard->conference); /* a tick does one */
		const int64_t begun_us = now_us;
		steps += is_step;
		pl_conference_tick(shard->conference, now_us);
		drain(shard, now_us);
		now_us = pl_clock_now_us();
		if (is_step)
			pl_pulse_note_deferred(&shard->pulse, now_us - begun_us);
		if (!pl_conference_has_handshakes(shard->conference) || now_us >= until_us)
			break;
	}
	note_max(&shard->handshakes_turn_max, steps);
	return now_us;
}

void pl_shard_run(struct pl_shard *shard)
{
	shard->published_us = shard->ticked_us = pl_clock_now_us();
	shard->catch_up_us = INT64_MIN;
	shard->gather.window_us = shard->config.coalesce_us;
	pl_gather_begin(&shard->gather, shard->published_us);
	pl_gather_busy(&shard->gather);
	pl_pulse_start(&shard->pulse, shard->published_us);
	while (!pl_thread_is_stopping(&shard->thread)) {
		int64_t now_us;
		const int64_t looked_us = gather(shard);
		const bool has_datagrams = wait_for_work(shard, looked_us, &now_us);
		const uint64_t rtp_in = pl_conference_rtp_in(shard->conference);
		pl_gather_begin(&shard->gather, now_us);
		shard->is_behind = false;
		take_relief(shard);
		drain(shard, now_us); /* events that waited for room in the ring */
		bool is_busy = take_commands(shard, now_us);
		is_busy |= take_crosses(shard, now_us);
		if (has_datagrams)
			take_datagrams(shard);
		if (is_busy || pl_conference_rtp_in(shard->conference) != rtp_in)
			pl_gather_busy(&shard->gather);
		if (!is_catching_up(shard, now_us))
			now_us = shard->ticked_us = tick(shard);
		pl_udp_flush(&shard->udp);
		publish(shard, now_us);
	}
	const int64_t now_us = pl_clock_now_us();
	drain(shard, now_us);
	pl_conference_close(shard->conference, now_us);
	drain(shard, now_us);
	pl_udp_flush(&shard->udp);
}

static void add_conference(struct pl_conference_counters *sum, const struct pl_conference_counters *add)
{
	sum->datagrams_in += add->datagrams_in;
	sum->datagrams_out += add->datagrams_out;
	sum->bytes_in += add->bytes_in;
	sum->bytes_out += add->bytes_out;
	sum->rtp_in += add->rtp_in;
	sum->rtp_out += add->rtp_out;
	sum->nacks_in += add->nacks_in;
	sum->crossed += add->crossed;
	sum->copied += add->copied;
	sum->pool_low += add->pool_low;
	sum->packets += add->packets;
	sum->packets_used += add->packets_used;
	sum->packets_used_max += add->packets_used_max;
	sum->participants += add->participants;
	sum->rooms += add->rooms;
	sum->rooms_moved += add->rooms_moved;
	for (size_t i = 0; i < PL_DROP_COUNT; i++)
		sum->drop[i] += add->drop[i];
}

void pl_shard_add_counters(const struct pl_shard *shard, struct pl_sfu_counters *sum)
{
	struct pl_sfu_counters counters;
	pl_published_read(shard->published, &counters, sizeof counters);
	add_conference(&sum->conference, &counters.conference);
	sum->kernel_drops += counters.kernel_drops;
	sum->send_full += counters.send_full;
	sum->send_failed += counters.send_failed;
	sum->trains_cut += counters.trains_cut;
	sum->trains_refused += counters.trains_refused;
	sum->syscalls += counters.syscalls;
	sum->events_delayed += counters.events_delayed;
	note_max(&sum->handshakes_turn_max, counters.handshakes_turn_max);
	note_max(&sum->joins_turn_max, counters.joins_turn_max);
}

void pl_shard_add_holding(const struct pl_shard *shard, struct pl_holding *sum)
{
	struct pl_holding holding;
	pl_published_read(shard->holding, &holding, sizeof holding);
	pl_holding_add(sum, &holding);
}

void pl_shard_times(const struct pl_shard *shard, struct pl_sfu_times *times)
{
	pl_published_read(shard->times, times, sizeof *times);
}

void pl_shard_load(const struct pl_shard *shard, int64_t now_us, struct pl_load *load)
{
	pl_pulse_read(&shard->pulse, now_us, load);
}

int64_t pl_shard_due_us(const struct pl_shard *shard)
{
	return pl_pulse_due_us(&shard->pulse);
}

void pl_shard_relieve(struct pl_shard *shard, const struct pl_relief *relief)
{
	const uint32_t word = pl_relief_word(relief);
	if (atomic_load_explicit(&shard->relief, memory_order_relaxed) == word)
		return;
	atomic_store_explicit(&shard->relief, word, memory_order_relaxed);
	pl_waker_poke(&shard->waker);
}
