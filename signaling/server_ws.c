#include <stdlib.h>
#include <string.h>

#include "signaling/log.h"
#include "signaling/server_internal.h"

enum {
	PARTIAL_SIZE_FIRST = 4096,
	OUT_ROOM_FIRST = 1024,
	PATIENT_SIZE_MAX = 16384, /* as much waits for others; more goes */
	CLOSE_S_MAX = 5,
	HEAD_SIZE_MAX = 10,
	OPCODE_TEXT = 0x81, /* whole in one frame, as all are (RFC 6455 section 5.2) */
	OPCODE_PING = 0x89,
};

/* A connection's number is a serial and an index, so that a number of the past finds nobody. */
static struct pl_ws *find(const struct pl_server *server, uint64_t connection)
{
	const uint32_t index = (uint32_t)connection;
	struct pl_ws *ws = index < server->ws_max ? server->ws[index] : NULL;
	return ws != NULL && ws->connection == connection ? ws : NULL;
}

static struct pl_ws *add(struct pl_server *server, struct lws *wsi)
{
	struct pl_ws *ws = server->ws_free_count == 0 ? NULL : calloc(1, sizeof(*ws));
	if (ws == NULL)
		return NULL;
	ws->wsi = wsi;
	ws->index = server->ws_free[--server->ws_free_count];
	ws->connection = (uint64_t)++server->ws_serial << 32 | ws->index;
	server->ws[ws->index] = ws;
	pl_silence_begin(server, ws);
	return ws;
}

static void remove_ws(struct pl_server *server, struct pl_ws *ws)
{
	server->ws[ws->index] = NULL;
	server->ws_free[server->ws_free_count++] = ws->index;
	lws_dll2_remove(&ws->unsent);
	pl_silence_end(ws);
	free(ws->out);
	free(ws->partial);
	free(ws);
}

int pl_ws_opened(struct pl_server *server, struct lws *wsi, struct pl_session *session)
{
	struct pl_ws *ws = add(server, wsi);
	if (ws == NULL)
		return -1;
	const struct pl_addr client = pl_http_client(server, wsi);
	if (!pl_front_open(server->front, pl_server_now_us(), ws->connection, &client)) {
		remove_ws(server, ws);
		return -1;
	}
	session->ws = ws;
	pl_server_after_front(server);
	return 0;
}

void pl_ws_closed(struct pl_server *server, struct pl_session *session)
{
	struct pl_ws *ws = session->ws;
	if (ws == NULL)
		return;
	session->ws = NULL;
	const uint64_t connection = ws->connection;
	remove_ws(server, ws);
	pl_server_before_front(server);
	pl_front_lost(server->front, pl_server_now_us(), connection);
	pl_server_after_front(server);
}

/* The front answers and closes; what still comes in is not worth its memory. */
static void refuse_frame(struct pl_server *server, struct pl_ws *ws, enum pl_fault fault)
{
	ws->is_deaf = true;
	free(ws->partial);
	ws->partial = NULL;
	pl_front_bad_frame(server->front, pl_server_now_us(), ws->connection, fault);
	pl_server_after_front(server);
}

/* Appends to the message that is not whole yet. */
static bool keep_partial(struct pl_ws *ws, struct pl_bytes bytes)
{
	if (ws->partial_size + bytes.size > ws->partial_room) {
		size_t room = ws->partial_room == 0 ? PARTIAL_SIZE_FIRST : ws->partial_room;
		while (room < ws->partial_size + bytes.size)
			room *= 2;
		uint8_t *grown = realloc(ws->partial, room);
		if (grown == NULL)
			return false;
		ws->partial = grown;
		ws->partial_room = room;
	}
	if (bytes.size > 0)
		memcpy(ws->partial + ws->partial_size, bytes.data, bytes.size);
	ws->partial_size += bytes.size;
	return true;
}

static void feed(struct pl_server *server, struct pl_ws *ws, struct pl_bytes text)
{
	pl_server_before_front(server);
	pl_front_message(server->front, pl_server_now_us(), ws->connection, text);
	pl_server_after_front(server);
}

int pl_ws_received(struct pl_server *server, struct pl_session *session, struct pl_bytes bytes)
{
	struct pl_ws *ws = session->ws;
	if (ws == NULL || ws->is_deaf)
		return 0;
	pl_silence_heard(server, ws);
	if (lws_frame_is_binary(ws->wsi)) {
		refuse_frame(server, ws, PL_FAULT_BAD_FIELD);
		return 0;
	}
	if (ws->partial_size + bytes.size > PL_MESSAGE_SIZE_MAX) {
		refuse_frame(server, ws, PL_FAULT_TOO_LARGE);
		return 0;
	}
	const bool is_whole = lws_is_final_fragment(ws->wsi) != 0;
	if (is_whole && ws->partial_size == 0) {
		feed(server, ws, bytes);
		return 0;
	}
	if (!keep_partial(ws, bytes))
		return -1;
	if (is_whole) {
		/* Off the connection while the front works: it may close what it answers. */
		uint8_t *text = ws->partial;
		const size_t size = ws->partial_size;
		ws->partial = NULL;
		ws->partial_size = ws->partial_room = 0;
		feed(server, ws, (struct pl_bytes){ text, size });
		free(text);
	}
	return 0;
}

void pl_ws_pong(struct pl_server *server, struct pl_session *session)
{
	if (session->ws != NULL)
		pl_silence_heard(server, session->ws);
}

/* ---- what goes out ----
 * Frames are put together here, so that all that a client has to be told in one turn is one write: a join that is told to a
 * room of a thousand costs the room a thousand of them, which is nearly all of its cost.  libwebsockets takes them as they are
 * (LWS_WRITE_RAW), and adds pongs and the close frame between two of our writes.  What it cannot send it keeps, and gets no more
 * from us until it is through. */

static void on_patient_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct pl_server *server = timer->data;
	while (server->patient.head != NULL) {
		lws_dll2_t *first = server->patient.head;
		lws_dll2_remove(first);
		lws_dll2_add_tail(first, &server->unsent);
	}
	pl_server_after_front(server);
}

/* It has frames.  Who may wait keeps its place when it has one. */
static void list_unsent(struct pl_server *server, struct pl_ws *ws, bool may_wait)
{
	if (ws->unsent.owner == &server->unsent || (may_wait && ws->unsent.owner == &server->patient))
		return;
	lws_dll2_remove(&ws->unsent);
	if (may_wait && server->patient.count == 0)
		pl_loop_set_timer(server, &server->patient_timer, pl_server_now_us() + PL_WS_GATHER_MS * INT64_C(1000));
	lws_dll2_add_tail(&ws->unsent, may_wait ? &server->patient : &server->unsent);
}

static bool make_room(struct pl_ws *ws, size_t more)
{
	if (ws->out_size + more <= ws->out_room)
		return true;
	size_t room = ws->out_room == 0 ? OUT_ROOM_FIRST : ws->out_room;
	while (room < ws->out_size + more)
		room *= 2;
	uint8_t *grown = realloc(ws->out, LWS_PRE + room);
	if (grown == NULL)
		return false;
	ws->out = grown;
	ws->out_room = room;
	return true;
}

/* RFC 6455 section 5.2: opcode; 7 bits of length, or 126 and 16 bits, or 127 and 64; no mask from a server. */
static size_t write_head(uint8_t head[static HEAD_SIZE_MAX], uint8_t opcode, size_t size)
{
	const int length_bytes = size < 126 ? 0 : size <= UINT16_MAX ? 2 : 8;
	head[0] = opcode;
	head[1] = (uint8_t)(length_bytes == 0 ? size : length_bytes == 2 ? 126 : 127);
	for (int i = 0; i < length_bytes; i++)
		head[2 + i] = (uint8_t)((uint64_t)size >> 8 * (length_bytes - 1 - i));
	return 2 + (size_t)length_bytes;
}

static bool put_frame(struct pl_ws *ws, uint8_t opcode, const void *payload, size_t size)
{
	if (!make_room(ws, HEAD_SIZE_MAX + size))
		return false;
	uint8_t *at = ws->out + LWS_PRE + ws->out_size;
	const size_t head_size = write_head(at, opcode, size);
	memcpy(at + head_size, payload, size);
	ws->out_size += head_size + size;
	return true;
}

void pl_ws_send(struct pl_server *server, uint64_t connection, const char *text, size_t size, bool may_wait)
{
	struct pl_ws *ws = find(server, connection);
	if (ws == NULL || ws->close_code != 0)
		return;
	if (put_frame(ws, OPCODE_TEXT, text, size))
		list_unsent(server, ws, may_wait && ws->out_size < PATIENT_SIZE_MAX);
	else /* A client that misses one message is wrong about the room until it resumes: let it. */
		pl_ws_close(server, connection, LWS_CLOSE_STATUS_UNEXPECTED_CONDITION);
}

/* libwebsockets does not tell of a pong that is empty. */
void pl_ws_ping(struct pl_server *server, struct pl_ws *ws)
{
	static const char payload[] = { 'p', 'l' };
	if (put_frame(ws, OPCODE_PING, payload, sizeof(payload)))
		list_unsent(server, ws, false);
}

void pl_ws_close(struct pl_server *server, uint64_t connection, uint16_t code)
{
	struct pl_ws *ws = find(server, connection);
	if (ws == NULL || ws->close_code != 0)
		return;
	ws->close_code = code;
	ws->is_deaf = true;
	pl_silence_closing(server, ws);
	/* One that does not read gets neither its last messages nor the close frame: it is cut off then. */
	lws_set_timeout(ws->wsi, PENDING_TIMEOUT_CLOSE_SEND, CLOSE_S_MAX);
	lws_callback_on_writable(ws->wsi);
}

size_t pl_ws_backlog(const struct pl_ws *ws)
{
	return ws->given + ws->out_size;
}

/* Called from anywhere, so one that is to be closed is closed by its own callback. */
static void flush(struct pl_ws *ws)
{
	if (ws->given > 0 && !lws_partial_buffered(ws->wsi))
		ws->given = 0;
	if (ws->out_size == 0 || ws->given > 0 || ws->is_broken)
		return;
	if (lws_write(ws->wsi, ws->out + LWS_PRE, ws->out_size, LWS_WRITE_RAW) < 0) {
		ws->is_broken = true;
		lws_callback_on_writable(ws->wsi);
	} else if (lws_partial_buffered(ws->wsi)) {
		ws->given = ws->out_size; /* and calls back when it is through */
	}
	free(ws->out);
	ws->out = NULL;
	ws->out_size = ws->out_room = 0;
}

struct pl_ws *pl_ws_flush(struct pl_server *server)
{
	if (server->unsent.head == NULL)
		return NULL;
	struct pl_ws *ws = lws_container_of(server->unsent.head, struct pl_ws, unsent);
	lws_dll2_remove(&ws->unsent);
	flush(ws);
	return ws;
}

int pl_ws_writeable(struct pl_session *session)
{
	struct pl_ws *ws = session->ws;
	if (ws == NULL || ws->is_broken)
		return -1;
	/* What waits for others waits on, unless the close frame comes behind it. */
	if (ws->close_code != 0 || ws->given > 0) {
		lws_dll2_remove(&ws->unsent);
		flush(ws);
	}
	if (ws->is_broken)
		return -1;
	if (ws->given > 0) {
		lws_callback_on_writable(ws->wsi);
		return 0;
	}
	/* To close again would close at once.  libwebsockets reads on for 5 seconds at most, until the client's own close frame
	 * is there: with bytes unread the kernel would reset the connection, and the client would not learn why. */
	if (ws->close_code == 0 || ws->is_close_sent)
		return 0;
	ws->is_close_sent = true;
	lws_close_reason(ws->wsi, (enum lws_close_status)ws->close_code, NULL, 0);
	return -1;
}

/* ---- the table ---- */

bool pl_ws_table_init(struct pl_server *server)
{
	pl_loop_init_timer(server, &server->patient_timer, on_patient_timer);
	server->ws_max = server->config->limits_connections;
	server->ws = calloc(server->ws_max, sizeof(*server->ws));
	server->ws_free = calloc(server->ws_max, sizeof(*server->ws_free));
	if (server->ws == NULL || server->ws_free == NULL)
		return false;
	/* The lowest index is taken first, so that a small server touches little of the table. */
	for (server->ws_free_count = 0; server->ws_free_count < server->ws_max; server->ws_free_count++)
		server->ws_free[server->ws_free_count] = server->ws_max - 1 - server->ws_free_count;
	return true;
}

void pl_ws_table_fini(struct pl_server *server)
{
	free(server->ws);
	free(server->ws_free);
}
