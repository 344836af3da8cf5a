#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "signaling/log.h"
#include "signaling/random.h"
#include "signaling/server_internal.h"

/* A handshake takes 40 KB for the seconds until it is let go of (media/transport.h), and these lie between what stays:
 * free() gives none of it back to the system.  Once after a wave of joins and leaves, then, and every 30 s while one
 * goes on: that takes 3 to 9 us for each of them, in which the shards' packets go on (they take no memory). */
enum { TRIM_US = 30000000, SLACK_US = 1000000 };

/* Between two looks at the connections, the timers and the signals: some milliseconds. */
enum { EVENTS_PER_TURN = 256 };

/* From the end of the last session until a server that drains ends: for answers that are on their way. */
enum { LAST_WORDS_US = 100000 };

enum { FORECAST_US = 5000000 }; /* a minute's mean is of twelve looks */

_Static_assert(
	TRIM_US > (PL_TRANSPORT_SETTLE_MS_UNPROVED + PL_TRANSPORT_SETTLE_MS) * 1000, "handshakes are over by then");

static void on_trim_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct pl_server *server = timer->data;
	const int64_t now_us = pl_server_now_us();
	malloc_trim(0);
	pl_log(PL_LOG_DEBUG, "free memory is given back", PL_LOG_NUMBER("took_us", pl_server_now_us() - now_us));
	server->is_trim_coming = now_us - server->changed_us < TRIM_US - SLACK_US; /* not all were through */
	if (server->is_trim_coming)
		pl_loop_set_timer(server, &server->trim_timer, now_us + TRIM_US);
}

static void note_change(struct pl_server *server)
{
	server->changed_us = pl_server_now_us();
	if (server->is_trim_coming)
		return;
	server->is_trim_coming = true;
	pl_loop_set_timer(server, &server->trim_timer, server->changed_us + TRIM_US);
}

static void log_command(const struct pl_command *command)
{
	if (command->kind == PL_COMMAND_JOIN)
		pl_log(PL_LOG_INFO, "joins", PL_LOG_NUMBER("room", command->room),
			PL_LOG_NUMBER("source", command->source), PL_LOG_NUMBER("shard", command->shard));
	else if (command->kind == PL_COMMAND_LEAVE)
		pl_log(PL_LOG_INFO, "leaves", PL_LOG_NUMBER("room", command->room),
			PL_LOG_NUMBER("source", command->source));
}

/* There is always room, because the front asked before it said yes, and nobody else sends. */
static void send_command(struct pl_server *server, const struct pl_command *command)
{
	log_command(command);
	if (command->kind == PL_COMMAND_JOIN || command->kind == PL_COMMAND_LEAVE)
		note_change(server);
	const bool is_sent = pl_sfu_send(server->sfu, command);
	PL_ASSERT(is_sent);
}

static void carry_out(struct pl_server *server, const struct pl_front_output *output)
{
	switch (output->kind) {
	case PL_FRONT_SEND:
		pl_ws_send(server, output->connection, output->text, output->text_size, output->may_wait);
		break;
	case PL_FRONT_CLOSE:
		pl_ws_close(server, output->connection, output->close_code);
		break;
	case PL_FRONT_RESPONSE:
		pl_whip_respond(server, output);
		break;
	case PL_FRONT_COMMAND:
		send_command(server, &output->command);
		break;
	}
}

static void on_front_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct pl_server *server = timer->data;
	server->front_timer_us = INT64_MAX;
	pl_server_before_front(server);
	pl_front_tick(server->front, pl_server_now_us());
	pl_server_after_front(server);
}

static void schedule(struct pl_server *server)
{
	const int64_t at_us = pl_front_deadline(server->front);
	if (at_us == server->front_timer_us)
		return;
	server->front_timer_us = at_us;
	if (at_us == INT64_MAX)
		pl_loop_stop_timer(server, &server->front_timer);
	else
		pl_loop_set_timer(server, &server->front_timer, at_us);
}

static void on_forecast_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct pl_server *server = timer->data;
	const int64_t now_us = pl_server_now_us();
	struct pl_sfu_pressure pressure;
	pl_sfu_pressure(server->sfu, &pressure);
	const float used = pl_forecast_used(
		&pressure.now, pl_front_counters(server->front)->sessions, server->config->limits_participants);
	pl_forecast_feed(&server->forecast, now_us, used);
	pl_server_tell_refusals(server); /* the last of a flood */
	pl_loop_set_timer(server, timer, now_us + FORECAST_US);
}

static void begin_forecast(struct pl_server *server)
{
	const int64_t now_us = pl_server_now_us();
	pl_forecast_init(&server->forecast, now_us, PL_FORECAST_SEASON_STEPS);
	pl_loop_init_timer(server, &server->forecast_timer, on_forecast_timer);
	pl_loop_set_timer(server, &server->forecast_timer, now_us + FORECAST_US / 10);
}

enum pl_err pl_server_front_init(struct pl_server *server)
{
	const struct pl_config *config = server->config;
	struct pl_front_config front = {
		.participants_max = config->limits_participants,
		.rooms_max = config->limits_rooms,
		.room_participants_max = config->limits_room_participants,
		.room_spread = config->media_room_spread,
		.connections_max = config->limits_connections,
		.joins_per_address = config->limits_joins_per_address,
		.joins_per_token = config->limits_joins_per_token,
		.move_to = config->drain_move_to,
		.fingerprint = pl_sfu_fingerprint(server->sfu),
		.mixes = pl_sfu_worker_count(server->sfu) > 0,
		.worker_count = (uint32_t)pl_sfu_worker_count(server->sfu),
		.admin_token = config->admin_token,
		.random = pl_random,
	};
	_Static_assert((int)PL_FRONT_ADDRESSES_MAX == (int)PL_SFU_ADDRESSES_MAX, "all addresses fit");
	/* What mixes transcodes, too. */
	front.takes_g711 = front.mixes;
	if (front.mixes)
		front.mix_groups = 1u << PL_MIX_FULL | 1u << PL_MIX_ROBUST | 1u << PL_MIX_STEREO;
	enum pl_simd simd;
	PL_ASSERT(pl_simd_parse(config->media_simd, &simd));
	server->simd = pl_dsp_get(simd)->level;
	pl_library_examine_opus(&server->opus);
	_Static_assert((int)PL_FRONT_PROXIES_MAX == (int)PL_CONFIG_NETWORKS_MAX, "all proxies fit");
	PL_ASSERT(pl_config_parse_networks(
		config->http_trusted_proxies, server->proxies.network, &server->proxies.count));
	front.address_count = pl_sfu_candidates(server->sfu, 0, front.address);
	front.shard_count = (uint32_t)pl_sfu_shard_count(server->sfu);
	for (uint32_t shard = 0; shard < front.shard_count; shard++)
		front.port[shard] = pl_sfu_port(server->sfu, shard);
	pl_loop_init_timer(server, &server->front_timer, on_front_timer);
	pl_loop_init_timer(server, &server->trim_timer, on_trim_timer);
	server->front_timer_us = INT64_MAX;
	begin_forecast(server);
	return pl_front_create(&server->front, &front);
}

void pl_server_front_fini(struct pl_server *server)
{
	pl_front_destroy(&server->front);
}

void pl_server_before_front(struct pl_server *server)
{
	const size_t shards = pl_sfu_shard_count(server->sfu);
	for (uint8_t shard = 0; shard < shards; shard++)
		pl_front_set_commands_free(server->front, shard, pl_sfu_commands_free(server->sfu, shard));
}

static void drain(struct pl_server *server)
{
	struct pl_front_output output;
	while (pl_front_next(server->front, &output))
		carry_out(server, &output);
}

void pl_server_after_front(struct pl_server *server)
{
	drain(server);
	/* The front is told of a backlog only when it is drained; its answer may be more to send. */
	for (struct pl_ws *ws = pl_ws_flush(server); ws != NULL; ws = pl_ws_flush(server)) {
		const size_t backlog = pl_ws_backlog(ws);
		if (backlog == 0 || ws->close_code != 0)
			continue;
		pl_front_backlog(server->front, pl_server_now_us(), ws->connection, backlog);
		drain(server);
	}
	schedule(server);
	pl_server_tell_refusals(server);
	/* Not from here: whoever has just gone is still on its way out. */
	if (server->is_draining && !server->is_ending && !server->is_drained &&
		pl_front_counters(server->front)->sessions == 0) {
		server->is_drained = true;
		pl_loop_set_timer(server, &server->drain_timer, pl_server_now_us() + LAST_WORDS_US);
	}
}

void pl_server_take_events(struct pl_server *server)
{
	struct pl_event event;
	int taken = 0;
	while (taken < EVENTS_PER_TURN && pl_sfu_receive(server->sfu, &event)) {
		taken++;
		pl_server_tell_event(server, &event);
		pl_server_before_front(server);
		pl_front_event(server->front, pl_server_now_us(), &event);
		drain(server);
	}
	if (taken == EVENTS_PER_TURN)
		pl_sfu_receive_later(server->sfu);
	pl_server_after_front(server); /* what one client has to be told of all of them is one write */
}
