/* What the parts of the server share: server.c (loop, listener, signals), server_http.c (requests), server_whip.c
 * (those of WHIP and WHEP), server_ws.c (WebSockets) and server_front.c (between them, the front and the media plane).
 * Thread: signaling. */
#ifndef PL_SIGNALING_SERVER_INTERNAL_H
#define PL_SIGNALING_SERVER_INTERNAL_H

#include <libwebsockets.h>

#include "signaling/server.h"

#include "signaling/static.h"

struct pl_http_response;
struct pl_whip;

enum {
	/* TCP connections beside the WebSockets: browsers open six for a page. */
	PL_SERVER_SPARE_CONNECTIONS = 256,
	PL_SERVER_CHUNK_SIZE = 4096,
	PL_SERVER_RECEIVE_SIZE = 512, /* of each WebSocket for as long as it lives; longer messages come in parts */
};

/* A text to send, with the room before it that libwebsockets wants. */
struct pl_ws_message {
	struct pl_ws_message *next;
	size_t size;
	unsigned char room[LWS_PRE];
	unsigned char text[];
};

struct pl_ws {
	struct lws *wsi;
	uint64_t connection; /* what the front calls it */
	uint32_t index;      /* in the server's table */
	uint16_t close_code; /* to close with once the queue is sent; 0 while open */
	bool is_deaf;        /* the rest of what it sends is not read */
	bool is_close_sent;  /* only its own close frame is still awaited */
	struct pl_ws_message *first, **last;
	size_t queued_bytes;
	struct pl_ws *grown_next; /* in the list of those whose queue grew */
	bool has_grown;
	uint8_t *partial; /* a message whose last fragment is not here yet */
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
	struct pl_front *front;
	struct lws_context *lws;
	struct lws_vhost *vhost;
	lws_retry_bo_t idle;
	struct lws *listener; /* each of the three owns its descriptor; NULL once closed */
	struct lws *signals;
	struct lws *events;
	uint32_t open_count; /* of wsi, those three included */
	uint64_t http_requests, refused;
	lws_sorted_usec_list_t front_timer, end_timer, accept_timer, trim_timer;
	int64_t changed_us;  /* the last time that somebody came or went */
	bool is_trim_coming; /* trim_timer is set */
	bool is_ending, is_over;

	struct pl_ws **ws; /* by index */
	uint32_t *ws_free; /* indexes */
	uint32_t ws_free_count, ws_max;
	uint32_t ws_serial;
	struct pl_ws *grown;

	struct pl_whip *whips; /* that wait for the front's answer */
	uint64_t whip_last;
};

int64_t pl_server_now_us(void);

/* What a response's head says; NULL for what it does not. */
struct pl_http_answer {
	const char *status;              /* "200 OK" */
	const char *type, *etag, *extra; /* extra: whole lines */
	bool is_page;                    /* gets the headers of a page; else the response is not to be stored */
	bool is_bodiless;                /* has no body by its status, and so no length of one */
	bool has_read_body;              /* of the request: the connection can be used again */
	bool closes;                     /* the connection; also closed if the request has a body that was not read */
};

/* server_http.c: callbacks of libwebsockets; returning not 0 closes the connection. */
int pl_http_request(
	struct pl_server *server, struct lws *wsi, struct pl_session *session, const char *path, size_t path_size);
int pl_http_writeable(struct lws *wsi, struct pl_session *session);
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

/* server_ws.c */
PL_MUST_USE bool pl_ws_table_init(struct pl_server *server);
void pl_ws_table_fini(struct pl_server *server);
int pl_ws_opened(struct pl_server *server, struct lws *wsi, struct pl_session *session);
int pl_ws_received(struct pl_server *server, struct pl_session *session, struct pl_bytes bytes);
int pl_ws_writeable(struct pl_session *session);
void pl_ws_closed(struct pl_server *server, struct pl_session *session);
void pl_ws_send(struct pl_server *server, uint64_t connection, const char *text, size_t size);
void pl_ws_close(struct pl_server *server, uint64_t connection, uint16_t code);

/* server_front.c */
PL_MUST_USE enum pl_err pl_server_front_init(struct pl_server *server);
void pl_server_front_fini(struct pl_server *server);
/* Tells the front how much the media plane takes now: call before what may make commands. */
void pl_server_before_front(struct pl_server *server);
/* Carries out all that the front wants done: call after each call of the front. */
void pl_server_after_front(struct pl_server *server);
void pl_server_take_events(struct pl_server *server);

#endif
