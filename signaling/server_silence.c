/* WebSockets from which nothing comes.  Two lists hold all that are open: those not pinged since they were last heard, and those
 * that were.  Both are in the order of that time, so what is due is at the head, and to hear a client moves it to an end: no
 * cost grows with their number.  Looks a few times a second, and pings a bounded number at each look: clients that came as one
 * are pinged over a quarter of the time, and have all of the rest to answer. */
#include "signaling/log.h"
#include "signaling/server_internal.h"

enum { LOOK_MS = 250, US = 1000000, SPREAD = 4 };

static int64_t ping_us(const struct pl_server *server)
{
	return server->config->http_ping_s * (int64_t)US;
}

static int64_t hang_up_us(const struct pl_server *server)
{
	return 2 * ping_us(server) + 5 * US;
}

/* Of the one that was heard longest ago. */
static struct pl_ws *first(const lws_dll2_owner_t *list)
{
	return list->head == NULL ? NULL : lws_container_of(list->head, struct pl_ws, silence);
}

static void move(struct pl_ws *ws, lws_dll2_owner_t *list)
{
	lws_dll2_remove(&ws->silence);
	lws_dll2_add_tail(&ws->silence, list);
}

static void ping_due(struct pl_server *server, int64_t now_us)
{
	const uint64_t open = server->quiet.count + server->pinged.count;
	const uint64_t most = 1 + open * SPREAD * LOOK_MS / (server->config->http_ping_s * UINT64_C(1000));
	for (uint64_t i = 0; i < most; i++) {
		struct pl_ws *ws = first(&server->quiet);
		if (ws == NULL || ws->heard_us + ping_us(server) > now_us)
			return;
		pl_ws_ping(server, ws);
		move(ws, &server->pinged);
	}
}

static void drop_due(struct pl_server *server, int64_t now_us)
{
	for (struct pl_ws *ws = first(&server->pinged); ws != NULL && ws->heard_us + hang_up_us(server) <= now_us;
		ws = first(&server->pinged)) {
		pl_log(PL_LOG_DEBUG, "a silent WebSocket is dropped");
		lws_dll2_remove(&ws->silence);
		lws_set_timeout(ws->wsi, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_SYNC);
	}
}

static void set_timer(struct pl_server *server, int64_t now_us)
{
	const struct pl_ws *quiet = first(&server->quiet), *pinged = first(&server->pinged);
	server->is_silence_timed = quiet != NULL || pinged != NULL;
	if (!server->is_silence_timed)
		return;
	int64_t at_us = INT64_MAX;
	if (quiet != NULL)
		at_us = quiet->heard_us + ping_us(server);
	if (pinged != NULL && pinged->heard_us + hang_up_us(server) < at_us)
		at_us = pinged->heard_us + hang_up_us(server);
	if (at_us < now_us + LOOK_MS * 1000)
		at_us = now_us + LOOK_MS * 1000;
	pl_loop_set_timer(server, &server->silence_timer, at_us);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct pl_server *server = timer->data;
	const int64_t now_us = pl_server_now_us();
	drop_due(server, now_us);
	ping_due(server, now_us);
	pl_server_after_front(server);
	set_timer(server, now_us);
}

void pl_silence_init(struct pl_server *server)
{
	pl_loop_init_timer(server, &server->silence_timer, on_timer);
}

void pl_silence_begin(struct pl_server *server, struct pl_ws *ws)
{
	pl_silence_heard(server, ws);
	if (!server->is_silence_timed)
		set_timer(server, ws->heard_us);
}

void pl_silence_heard(struct pl_server *server, struct pl_ws *ws)
{
	if (ws->close_code != 0)
		return;
	ws->heard_us = pl_server_now_us();
	move(ws, &server->quiet);
}

void pl_silence_end(struct pl_ws *ws)
{
	lws_dll2_remove(&ws->silence);
}
