/* What the parts of the server share: server.c (listener, signals), server_loop.c (loop and timers), server_http.c (requests), server_whip.c
 * (those of WHIP and WHEP), server_ws.c (WebSockets), server_silence.c (those that say nothing), server_tell.c (the log) and server_front.c (between
 * them, the front and the media plane).
 * Thread: signaling. */
#ifndef PL_SIGNALING_SERVER_INTERNAL_H
#define PL_SIGNALING_SERVER_INTERNAL_H

#include <ev.h>
#include <libwebsockets.h>

#include "sfu/forecast.h"
#include "signaling/front_admin.h"
#include "signaling/front_proxy.h"
#include "signaling/health.h"
#include "signaling/library.h"
#include "signaling/server.h"

#include "signaling/static.h"

struct pl_http_response;
struct pl_whip;

enum {
	/* TCP connections beside the WebSockets: browsers open six for a page. */
	PL_SERVER_SPARE_CONNECTIONS = 256,
	/* Of all connections, so many part each may be ones that are no WebSocket (beside the spare ones), and WebSockets whose client does
	 * not finish closing: one more, and the oldest of them goes. */
	PL_SERVER_GUESTS_PART = 8,
	PL_SERVER_CLOSING_MIN = 64,
	PL_SERVER_CHUNK_SIZE = 4096,
	PL_SERVER_RECEIVE_SIZE = 512, /* of each WebSocket for as long as it lives; longer messages come in parts */
	/* What is written at once.  libwebsockets would else cut what it sends to the size of what it receives. */
	PL_SERVER_SEND_SIZE = 1 << 20,
	PL_WS_GATHER_MS = 50,
};

struct pl_ws {
	struct lws *wsi;
	uint64_t connection; /* what the front calls it */
	uint32_t index;      /* in the server's table */
	uint16_t close_code; /* to close with once the queue is sent; 0 while open */
	bool is_deaf;        /* the rest of what it sends is not read */
	bool is_close_sent;  /* only its own close frame is still awaited */
	bool is_broken;      /* its socket takes nothing any more: to be closed */
	uint8_t *out;        /* whole frames for libwebsockets, behind the room that it wants; NULL for none */
	size_t out_size, out_room;
	size_t given;       /* bytes of which libwebsockets has not sent all; 0 for none */
	lws_dll2_t unsent;  /* of server->unsent or server->patient */
	lws_dll2_t silence; /* of server->quiet, server->pinged or server->closing */
	int64_t heard_us;   /* the last time that anything came from it, or when it began to be closed */
	uint8_t *partial;   /* a message whose last fragment is not here yet */
	size_t partial_size, partial_room;
};

/* What libwebsockets keeps for each connection. */
struct pl_session {
	struct pl_ws *ws;                  /* NULL before the upgrade */
	struct pl_http_response *response; /* being sent; NULL for none */
	struct pl_whip *whip;              /* a request of WHIP or WHEP, until its answer is sent; NULL for none */
};

struct pl_server {
	const struct pl_config *config;
	struct pl_sfu *sfu;
	const struct pl_phases *phases;
	struct pl_front *front;
	struct pl_front_proxies proxies;
	struct lws_context *lws;
	struct lws_vhost *vhost;
	struct ev_loop *loop;
	struct lws *listener; /* each of the three owns its descriptor; NULL once closed */
	struct lws *signals;
	struct lws *events;
	uint32_t open_count; /* of wsi, those three included */
	uint32_t own_count;  /* of them, before anybody came */
	uint64_t http_requests, refused, displaced;
	lws_dll2_owner_t guests; /* connections that are no WebSocket, the oldest first */
	ev_timer front_timer, end_timer, drain_timer, accept_timer, trim_timer, patient_timer, silence_timer, log_timer,
		forecast_timer, health_timer, beat;
	struct pl_health health;
	int64_t front_timer_us;                           /* when it is due; INT64_MAX: never */
	int64_t changed_us;                               /* the last time that somebody came or went */
	bool is_trim_coming;                              /* trim_timer is set */
	bool is_draining, is_drained, is_ending, is_over; /* drained: nobody is left */
	int64_t drained_us;                               /* when draining ends */
	int64_t signal_us;                                /* of the last signal; 0: none has come */
	int64_t ending_us;                                /* when that began */

	struct pl_ws **ws; /* by index */
	uint32_t *ws_free; /* indexes */
	uint32_t ws_free_count, ws_max;
	uint32_t ws_serial;
	lws_dll2_owner_t unsent;  /* have frames that go out at the end of this turn */
	lws_dll2_owner_t patient; /* have only frames that may wait for others; when not empty, patient_timer is set */
	lws_dll2_owner_t quiet;   /* not pinged; whoever was heard last is at the end, here and below */
	lws_dll2_owner_t pinged;
	lws_dll2_owner_t closing; /* whoever was told last is at the end */
	bool is_silence_timed;    /* silence_timer is set */

	struct pl_whip *whips; /* that wait for the front's answer */
	enum pl_simd simd;     /* that mixes now; never AUTO */
	struct pl_library_opus opus;
	uint64_t whip_last;
	struct pl_forecast forecast; /* of the capacity that is used */
	struct {
		uint8_t level; /* of the pressure */
		uint64_t refusals, refused[PL_REFUSAL_COUNT];
		int64_t refusals_us;
	} told; /* to the log */
};

int64_t pl_server_now_us(void);

/* server.c: takes no new joins until the last has gone, or seconds have passed, and ends then. */
void pl_server_drain(struct pl_server *server, uint32_t seconds);

/* server_health.c */
void pl_server_health_init(struct pl_server *server); /* the loop is there */

/* server_loop.c */
PL_MUST_USE bool pl_loop_init(struct pl_server *server);
/* libwebsockets has one more connection, and timeouts for it. */
void pl_loop_client_came(struct pl_server *server);
void pl_loop_run(struct pl_server *server); /* until pl_loop_stop */
void pl_loop_stop(struct pl_server *server);
/* After libwebsockets' context is gone. */
void pl_loop_fini(struct pl_server *server);
/* A timer's data is the server; it rings once. */
void pl_loop_init_timer(struct pl_server *server, ev_timer *timer, void (*ring)(struct ev_loop *, ev_timer *, int));
void pl_loop_set_timer(struct pl_server *server, ev_timer *timer, int64_t at_us);
void pl_loop_stop_timer(struct pl_server *server, ev_timer *timer);

/* What a response's head says; NULL for what it does not. */
struct pl_http_answer {
	const char *status;              /* "200 OK" */
	const char *type, *etag, *extra; /* extra: whole lines */
	bool is_page;                    /* gets the headers of a page; else the response is not to be stored */
	const char *move_to;             /* where else the page may connect to: a URL; NULL or "": nowhere */
	bool is_bodiless;                /* has no body by its status, and so no length of one */
	bool has_read_body;              /* of the request: the connection can be used again */
	bool closes;                     /* the connection; also closed if the request has a body that was not read */
};

/* server_http.c: callbacks of libwebsockets; returning not 0 closes the connection. */
int pl_http_request(
	struct pl_server *server, struct lws *wsi, struct pl_session *session, const char *path, size_t path_size);
int pl_http_writeable(struct lws *wsi, struct pl_session *session);
/* Whose request it is, while its head is there; all zero: not known. */
struct pl_addr pl_http_client(const struct pl_server *server, struct lws *wsi);
int pl_http_confirm_upgrade(struct pl_server *server, struct lws *wsi, const char *kind);
void pl_http_closed(struct pl_session *session);
/* Sends the head now and the body when the socket has room.  Takes over file. */
int pl_http_respond(
	struct lws *wsi, struct pl_session *session, const struct pl_http_answer *answer, struct pl_static_file *file);

/* server_whip.c: callbacks, as above. */
int pl_whip_request(struct pl_server *server, struct lws *wsi, struct pl_session *session, const char *path);
int pl_whip_body(struct pl_session *session, struct pl_bytes bytes);
int pl_whip_body_end(struct pl_session *session);
int pl_whip_writeable(struct pl_session *session);
void pl_whip_closed(struct pl_session *session);
void pl_whip_respond(struct pl_server *server, const struct pl_front_output *output);

/* server_admin.c: does what is asked, if it is granted. */
void pl_admin_answer(
	struct pl_server *server, const struct pl_front_http_request *http, struct pl_front_admin_answer *answer);

/* server_tell.c: to the log. */
void pl_server_tell_event(struct pl_server *server, const struct pl_event *event);
/* Who was refused since the last line about it, if that is a while ago. */
void pl_server_tell_refusals(struct pl_server *server);

/* server_ws.c */
PL_MUST_USE bool pl_ws_table_init(struct pl_server *server);
void pl_ws_table_fini(struct pl_server *server);
int pl_ws_opened(struct pl_server *server, struct lws *wsi, struct pl_session *session);
int pl_ws_received(struct pl_server *server, struct pl_session *session, struct pl_bytes bytes);
int pl_ws_writeable(struct pl_session *session);
void pl_ws_pong(struct pl_server *server, struct pl_session *session);
void pl_ws_closed(struct pl_server *server, struct pl_session *session);
/* The text goes out when pl_ws_flush is called; one that may wait does so for PL_WS_GATHER_MS at most. */
void pl_ws_send(struct pl_server *server, uint64_t connection, const char *text, size_t size, bool may_wait);
void pl_ws_close(struct pl_server *server, uint64_t connection, uint16_t code);
void pl_ws_ping(struct pl_server *server, struct pl_ws *ws);
/* Sends what one of them has to send, and returns it; NULL when none has anything. */
struct pl_ws *pl_ws_flush(struct pl_server *server);
/* Bytes that the client has not taken yet. */
size_t pl_ws_backlog(const struct pl_ws *ws);

/* server_silence.c: who says nothing is pinged, and dropped when it does not answer. */
void pl_silence_init(struct pl_server *server);
void pl_silence_begin(struct pl_server *server, struct pl_ws *ws);
void pl_silence_heard(struct pl_server *server, struct pl_ws *ws);
/* It is being closed, and cut off when that takes long. */
void pl_silence_closing(struct pl_server *server, struct pl_ws *ws);
void pl_silence_end(struct pl_ws *ws);
/* Cuts off those that have been closing for longest, while they are too many.  Not from a callback of theirs. */
void pl_silence_bound(struct pl_server *server);

/* server_front.c */
PL_MUST_USE enum pl_err pl_server_front_init(struct pl_server *server);
void pl_server_front_fini(struct pl_server *server);
/* Tells the front how much the media plane takes now: call before what may make commands. */
void pl_server_before_front(struct pl_server *server);
/* Carries out all that the front wants done: call after each call of the front. */
void pl_server_after_front(struct pl_server *server);
void pl_server_take_events(struct pl_server *server);

#endif
