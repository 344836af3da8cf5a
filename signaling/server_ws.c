#include <stdlib.h>
#include <string.h>

#include "signaling/log.h"
#include "signaling/server_internal.h"

enum { PARTIAL_SIZE_FIRST = 4096, MESSAGES_PER_TURN = 32, CLOSE_S_MAX = 5 };

bool pl_ws_table_init(struct pl_server *server)
{
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
	ws->last = &ws->first;
	server->ws[ws->index] = ws;
	return ws;
}

static void drop_first(struct pl_ws *ws)
{
	struct pl_ws_message *message = ws->first;
	ws->first = message->next;
	if (ws->first == NULL)
		ws->last = &ws->first;
	ws->queued_bytes -= message->size;
	free(message);
}

static void forget_growth(struct pl_server *server, struct pl_ws *ws)
{
	for (struct pl_ws **at = &server->grown; *at != NULL; at = &(*at)->grown_next) {
		if (*at == ws) {
			*at = ws->grown_next;
			return;
		}
	}
}

static void remove_ws(struct pl_server *server, struct pl_ws *ws)
{
	server->ws[ws->index] = NULL;
	server->ws_free[server->ws_free_count++] = ws->index;
	if (ws->has_grown)
		forget_growth(server, ws);
	while (ws->first != NULL)
		drop_first(ws);
	free(ws->partial);
	free(ws);
}

int pl_ws_opened(struct pl_server *server, struct lws *wsi, struct pl_session *session)
{
	struct pl_ws *ws = add(server, wsi);
	if (ws == NULL)
		return -1;
	if (!pl_front_open(server->front, pl_server_now_us(), ws->connection)) {
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
	lws_validity_confirmed(ws->wsi);
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

void pl_ws_send(struct pl_server *server, uint64_t connection, const char *text, size_t size)
{
	struct pl_ws *ws = find(server, connection);
	if (ws == NULL || ws->close_code != 0)
		return;
	struct pl_ws_message *message = malloc(sizeof(*message) + size);
	if (message == NULL) {
		/* A client that misses one message is wrong about the room until it resumes: let it. */
		pl_ws_close(server, connection, LWS_CLOSE_STATUS_UNEXPECTED_CONDITION);
		return;
	}
	message->next = NULL;
	message->size = size;
	memcpy(message->text, text, size);
	*ws->last = message;
	ws->last = &message->next;
	ws->queued_bytes += size;
	if (!ws->has_grown) {
		ws->has_grown = true;
		ws->grown_next = server->grown;
		server->grown = ws;
	}
	lws_callback_on_writable(ws->wsi);
}

void pl_ws_close(struct pl_server *server, uint64_t connection, uint16_t code)
{
	struct pl_ws *ws = find(server, connection);
	if (ws == NULL || ws->close_code != 0)
		return;
	ws->close_code = code;
	ws->is_deaf = true;
	/* One that does not read gets neither its last messages nor the close frame: it is cut off then. */
	lws_set_timeout(ws->wsi, PENDING_TIMEOUT_CLOSE_SEND, CLOSE_S_MAX);
	lws_callback_on_writable(ws->wsi);
}

int pl_ws_writeable(struct pl_session *session)
{
	struct pl_ws *ws = session->ws;
	if (ws == NULL)
		return -1;
	for (int i = 0; ws->first != NULL; i++) {
		if (i == MESSAGES_PER_TURN || lws_send_pipe_choked(ws->wsi)) {
			lws_callback_on_writable(ws->wsi);
			return 0;
		}
		if (lws_write(ws->wsi, ws->first->text, ws->first->size, LWS_WRITE_TEXT) < 0)
			return -1;
		drop_first(ws);
	}
	/* To close again would close at once.  libwebsockets reads on for 5 seconds at most, until the client's own close frame
	 * is there: with bytes unread the kernel would reset the connection, and the client would not learn why. */
	if (ws->close_code == 0 || ws->is_close_sent)
		return 0;
	ws->is_close_sent = true;
	lws_close_reason(ws->wsi, (enum lws_close_status)ws->close_code, NULL, 0);
	return -1;
}
