/* The loop is libev's, with epoll: libwebsockets' own waits with poll(), which looks at every connection whenever one of them says
 * something.  libwebsockets joins it by its plugin.  (Its plugin for libuv is none: in Debian's build a connection is closed
 * before its close frame is written.)
 * The plugin has one timer for all of libwebsockets' timeouts, and once set it is not set to an earlier time; but it looks at
 * them whenever something was read.  So our timers are libev's own, and while there are clients a beat wakes libwebsockets up, and
 * its timeouts are late by less than that. */
#include "signaling/server_internal.h"

enum { BEAT_US = 1000000 };

static void on_beat(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct pl_server *server = timer->data;
	lws_cancel_service(server->lws);
	if (server->open_count > server->own_count)
		pl_loop_set_timer(server, timer, pl_server_now_us() + BEAT_US);
}

bool pl_loop_init(struct pl_server *server)
{
	server->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	pl_loop_init_timer(server, &server->beat, on_beat);
	return server->loop != NULL;
}

void pl_loop_client_came(struct pl_server *server)
{
	if (!ev_is_active(&server->beat))
		pl_loop_set_timer(server, &server->beat, pl_server_now_us() + BEAT_US);
}

void pl_loop_run(struct pl_server *server)
{
	(void)ev_run(server->loop, 0);
}

void pl_loop_stop(struct pl_server *server)
{
	ev_break(server->loop, EVBREAK_ALL);
}

void pl_loop_fini(struct pl_server *server)
{
	if (server->loop != NULL)
		ev_loop_destroy(server->loop);
}

void pl_loop_init_timer(struct pl_server *server, ev_timer *timer, void (*ring)(struct ev_loop *, ev_timer *, int))
{
	ev_timer_init(timer, ring, 0, 0);
	timer->data = server;
}

void pl_loop_set_timer(struct pl_server *server, ev_timer *timer, int64_t at_us)
{
	ev_timer_stop(server->loop, timer);
	/* libev counts from when the loop last woke up. */
	ev_now_update(server->loop);
	const int64_t delay_us = at_us - pl_server_now_us();
	ev_timer_set(timer, delay_us < 0 ? 0 : (double)delay_us / 1e6, 0);
	ev_timer_start(server->loop, timer);
}

void pl_loop_stop_timer(struct pl_server *server, ev_timer *timer)
{
	ev_timer_stop(server->loop, timer);
}
