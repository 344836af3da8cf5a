/* WebSockets from which nothing comes.  Two lists hold all that are open: those not pinged since they were last heard, and those
 * that were.  Both are in the order of that time, so what is due is at the head, and to hear a client moves it to an end: no
 * cost grows with their number.  Looks a few times a second, and pings a bounded number at each look: clients that came as one
 * are pinged over a quarter of the time, and have all of the rest to answer.
 * A third list, in the order of that, has those that are being closed: libwebsockets' own timeouts wait until its loop is idle,
 * and a client that goes on sending keeps it from that for as long as it likes. */
#include "signaling/log.h"
#include "signaling/server_internal.h"

enum { LOOK_MS = 250, US = 1000000, SPREAD = 4 };

/* A second more than libwebsockets waits. */
enum { CUT_US = 6 * US };

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

static void drop_due(const lws_dll2_owner_t *list, int64_t until_us, const char *what)
{
	for (struct pl_ws *ws = first(list); ws != NULL && ws->heard_us <= until_us; ws = first(list)) {
		pl_log(PL_LOG_DEBUG, what);
		lws_dll2_remove(&ws->silence);
		lws_set_timeout(ws->wsi, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_SYNC);
	}
}

static void set_timer(struct pl_server *server, int64_t now_us)
{
	const struct pl_ws *quiet = first(&server->quiet), *pinged = first(&server->pinged);
	const struct pl_ws *closing = first(&server->closing);
	server->is_silence_timed = quiet != NULL || pinged != NULL || closing != NULL;
	if (!server->is_silence_timed)
		return;
	int64_t at_us = INT64_MAX;
	if (quiet != NULL)
		at_us = quiet->heard_us + ping_us(server);
	if (pinged != NULL && pinged->heard_us + hang_up_us(server) < at_us)
		at_us = pinged->heard_us + hang_up_us(server);
	if (closing != NULL && closing->heard_us + CUT_US < at_us)
		at_us = closing->heard_us + CUT_US;
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
	drop_due(&server->pinged, now_us - hang_up_us(server), "a silent WebSocket is dropped");
	drop_due(&server->closing, now_us - CUT_US, "a WebSocket that does not end is cut off");
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

void pl_silence_closing(struct pl_server *server, struct pl_ws *ws)
{
	ws->heard_us = pl_server_now_us();
	move(ws, &server->closing);
	set_timer(server, ws->heard_us);
}

void pl_silence_bound(struct pl_server *server)
{
	const uint32_t part = server->ws_max / PL_SERVER_GUESTS_PART, quarter = (server->ws_max + 3) / 4;
	const uint32_t wanted = part > PL_SERVER_CLOSING_MIN ? part : PL_SERVER_CLOSING_MIN;
	const uint32_t most = wanted < quarter ? wanted : quarter;
	while (server->closing.count > most) {
		server->displaced++;
		drop_due(&server->closing, first(&server->closing)->heard_us, "a WebSocket that closes makes room");
	}
}

void pl_silence_end(struct pl_ws *ws)
{
	lws_dll2_remove(&ws->silence);
}
