#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signaling/metrics.h"
#include "signaling/server_internal.h"
#include "signaling/static.h"
#include "signaling/text.h"

enum { HEADER_SIZE = 2048, HOST_SIZE = 128, ETAGS_SIZE = 256, KEY_SIZE = 24 /* 16 bytes in base64 */ };

#define IN_CLEAR "{\"code\":\"unsupported\",\"msg\":\"This server speaks HTTPS.\"}"

/* A response whose head is sent, and whose body is on its way. */
struct pl_http_response {
	struct pl_static_file file;
	size_t sent;
	bool closes;
};

/* Copies the host that the client asked for, if it cannot break out of a header or a URL: it is all the client's. */
static bool copy_host(struct lws *wsi, char host[static HOST_SIZE])
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]";
	return lws_hdr_copy(wsi, host, HOST_SIZE, WSI_TOKEN_HOST) > 0 && strspn(host, letters) == strlen(host);
}

/* Only server_whip.c takes a body.  One that comes with a GET is not worth reading: it could drip in for ever. */
static bool has_body(struct lws *wsi)
{
	return lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) > 0 ||
	       lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0;
}

/* A script may connect to where it came from, and to where it may be sent on to.  Not all browsers take 'self' for WebSockets, so the
 * host is named. */
static void put_connect_sources(struct pl_text *head, struct lws *wsi, const char *move_to)
{
	char host[HOST_SIZE];
	pl_text_put(head, "connect-src 'self'");
	if (copy_host(wsi, host))
		pl_text_put(head, " ws://%s wss://%s", host, host);
	if (move_to != NULL && move_to[0] != '\0') /* http becomes ws, and https wss */
		pl_text_put(head, " %s ws%s", move_to, move_to + strlen("http"));
	pl_text_put(head, "; ");
}

/* The page's own files only, no frames around it, and of the machine the microphone alone.  Other sites may load
 * plenum.js: the files are public and say nothing about who asks. */
static void put_page_headers(struct pl_text *head, struct lws *wsi, const struct pl_http_answer *answer)
{
	pl_text_put(head, "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src "
			  "'self' data:; "
			  "font-src 'self'; media-src 'self' blob:; ");
	put_connect_sources(head, wsi, answer->move_to);
	pl_text_put(head, "base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
			  "Permissions-Policy: microphone=(self), camera=(), geolocation=(), payment=(), usb=()\r\n"
			  "Referrer-Policy: no-referrer\r\nAccess-Control-Allow-Origin: *\r\n");
	if (answer->etag != NULL)
		pl_text_put(head, "Cache-Control: no-cache\r\nETag: %s\r\n", answer->etag);
}

static bool closes(struct lws *wsi, const struct pl_http_answer *answer)
{
	return answer->closes || (has_body(wsi) && !answer->has_read_body);
}

/* has_length: a 304 has no body, and so no length of one (RFC 9110 section 15.4.5). */
static bool send_head(struct lws *wsi, const struct pl_http_answer *answer, size_t size, bool has_length)
{
	unsigned char room[LWS_PRE + HEADER_SIZE];
	struct pl_text head = pl_text_begin((char *)room + LWS_PRE, HEADER_SIZE);
	pl_text_put(&head, "HTTP/1.1 %s\r\nX-Content-Type-Options: nosniff\r\n", answer->status);
	if (answer->type != NULL)
		pl_text_put(&head, "Content-Type: %s\r\n", answer->type);
	if (has_length)
		pl_text_put(&head, "Content-Length: %zu\r\n", size);
	if (answer->is_page)
		put_page_headers(&head, wsi, answer);
	else
		pl_text_put(&head, "Cache-Control: no-store\r\n");
	if (closes(wsi, answer))
		pl_text_put(&head, "Connection: close\r\n");
	pl_text_put(&head, "%s\r\n", answer->extra == NULL ? "" : answer->extra);
	PL_ASSERT(pl_text_fits(&head));
	return lws_write(wsi, room + LWS_PRE, head.used, LWS_WRITE_HTTP_HEADERS) == (int)head.used;
}

static int complete(struct lws *wsi, bool is_last)
{
	return is_last || lws_http_transaction_completed(wsi) ? -1 : 0;
}

int pl_http_respond(
	struct lws *wsi, struct pl_session *session, const struct pl_http_answer *answer, struct pl_static_file *file)
{
	const bool is_head = lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI) > 0;
	struct pl_http_response *response = calloc(1, sizeof(*response));
	if (response == NULL || !send_head(wsi, answer, file->bytes.size, !answer->is_bodiless)) {
		free(response);
		pl_static_fini(file);
		return -1;
	}
	const bool is_last = closes(wsi, answer);
	if (is_head || file->bytes.size == 0) {
		free(response);
		pl_static_fini(file);
		return complete(wsi, is_last);
	}
	response->file = *file;
	response->closes = is_last;
	session->response = response;
	lws_callback_on_writable(wsi);
	return 0;
}

/* text: static, for it is sent later. */
static int respond_text(
	struct lws *wsi, struct pl_session *session, const struct pl_http_answer *answer, const char *text)
{
	struct pl_static_file file = { .bytes = { (const uint8_t *)text, strlen(text) } };
	return pl_http_respond(wsi, session, answer, &file);
}

int pl_http_writeable(struct lws *wsi, struct pl_session *session)
{
	struct pl_http_response *response = session->response;
	if (response == NULL)
		return session->whip != NULL ? pl_whip_writeable(session) : 0;
	unsigned char room[LWS_PRE + PL_SERVER_CHUNK_SIZE];
	while (!lws_send_pipe_choked(wsi)) {
		const size_t left = response->file.bytes.size - response->sent;
		const size_t size = left < PL_SERVER_CHUNK_SIZE ? left : PL_SERVER_CHUNK_SIZE;
		memcpy(room + LWS_PRE, response->file.bytes.data + response->sent, size);
		if (lws_write(wsi, room + LWS_PRE, size, size == left ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) !=
			(int)size)
			return -1;
		response->sent += size;
		if (size == left) {
			const bool is_last = response->closes;
			pl_http_closed(session);
			return complete(wsi, is_last);
		}
	}
	/* A reader that stands still may not hold its connection for ever. */
	lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, 20);
	lws_callback_on_writable(wsi);
	return 0;
}

void pl_http_closed(struct pl_session *session)
{
	if (session->response == NULL)
		return;
	pl_static_fini(&session->response->file);
	free(session->response);
	session->response = NULL;
}

/* The same of a text that ends with its caller. */
static int respond_copy(
	struct lws *wsi, struct pl_session *session, const struct pl_http_answer *answer, const char *text)
{
	struct pl_static_file file = { .owned = (uint8_t *)strdup(text) };
	if (file.owned == NULL)
		return -1;
	file.bytes = (struct pl_bytes){ file.owned, strlen(text) };
	return pl_http_respond(wsi, session, answer, &file);
}

static int respond_live(const struct pl_server *server, struct lws *wsi, struct pl_session *session)
{
	char text[PL_HEALTH_TEXT_SIZE];
	struct pl_http_answer answer = { .type = "text/plain; charset=utf-8" };
	answer.status = pl_health_write(&server->health, text) ? "200 OK" : "503 Service Unavailable";
	return respond_copy(wsi, session, &answer, text);
}

static int respond_metrics(struct pl_server *server, struct lws *wsi, struct pl_session *session)
{
	struct pl_sfu_counters shard[PL_SFU_SHARDS_MAX];
	struct pl_sfu_worker_counters worker[PL_WORKERS_MAX];
	struct pl_load shard_load[PL_SFU_SHARDS_MAX], worker_load[PL_WORKERS_MAX];
	struct pl_sfu_pressure pressure;
	struct pl_holding holding;
	const struct pl_forecast_view forecast = pl_forecast_view(&server->forecast);
	struct pl_log_counters log;
	struct pl_metrics_times *times = malloc(sizeof(*times)); /* too much for the stack */
	struct pl_static_file file = { .owned = malloc(PL_METRICS_SIZE_MAX) };
	if (times == NULL || file.owned == NULL) {
		free(times);
		free(file.owned);
		return -1;
	}
	struct pl_metrics metrics = {
		.log = &log,
		.times = times,
		.pressure = &pressure,
		.holding = &holding,
		.forecast = &forecast,
		.shard_load = shard_load,
		.worker_load = worker_load,
		.front = pl_front_counters(server->front),
		.shard = shard,
		.shard_count = pl_sfu_shard_count(server->sfu),
		.worker = worker,
		.worker_count = pl_sfu_worker_count(server->sfu),
		.simd = server->simd,
		.http_requests = server->http_requests,
		.http_refused = server->refused,
		.http_displaced = server->displaced,
		.opus = &server->opus,
		.is_ending = pl_front_unready(server->front) != NULL,
		.phases = server->phases,
		.canary = &server->health.canary,
	};
	pl_log_count(&log);
	pl_sfu_pressure(server->sfu, &pressure);
	pl_sfu_holding(server->sfu, &holding);
	for (size_t i = 0; i < metrics.shard_count; i++) {
		pl_sfu_shard_counters(server->sfu, i, &shard[i]);
		pl_sfu_shard_load(server->sfu, i, &shard_load[i]);
		pl_sfu_shard_times(server->sfu, i, &times->shard[i]);
	}
	for (size_t i = 0; i < metrics.worker_count; i++) {
		pl_sfu_worker_counters(server->sfu, i, &worker[i]);
		pl_sfu_worker_load(server->sfu, i, &worker_load[i]);
		pl_sfu_worker_lateness(server->sfu, i, &times->worker_late[i]);
	}
	pl_metrics_read_process(&metrics.process);
	file.bytes = (struct pl_bytes){ file.owned, pl_metrics_write(&metrics, (char *)file.owned) };
	free(times);
	const struct pl_http_answer answer = { .status = "200 OK", .type = "text/plain; version=0.0.4; charset=utf-8" };
	return pl_http_respond(wsi, session, &answer, &file);
}

/* RFC 9110 section 13.1.2: "*", or the client's list of tags, any of which may be ours; proxies mark some as weak (W/). */
static bool is_known(struct lws *wsi, const char *etag)
{
	char tags[ETAGS_SIZE];
	if (lws_hdr_copy(wsi, tags, sizeof(tags), WSI_TOKEN_HTTP_IF_NONE_MATCH) <= 0)
		return false;
	return strcmp(tags, "*") == 0 || strstr(tags, etag) != NULL;
}

static int respond_file(struct pl_server *server, struct lws *wsi, struct pl_session *session, const char *path)
{
	struct pl_static_file file;
	if (!pl_static_find(server->config->http_root, path, &file)) {
		const struct pl_http_answer missing = {
			.status = "404 Not Found", .type = "text/html; charset=utf-8", .is_page = true
		};
		return respond_text(wsi, session, &missing,
			"<!doctype html><meta charset=\"utf-8\"><title>Not found</title>\n"
			"<p>Nothing is here. The call is at <a href=\"/\">the front door</a>.</p>\n");
	}
	struct pl_http_answer answer = { .status = "200 OK",
		.type = file.type,
		.etag = file.etag,
		.is_page = true,
		.move_to = server->config->drain_move_to };
	if (!is_known(wsi, file.etag))
		return pl_http_respond(wsi, session, &answer, &file);
	answer.status = "304 Not Modified";
	answer.type = NULL;
	const bool is_sent = send_head(wsi, &answer, 0, false);
	pl_static_fini(&file);
	return is_sent ? complete(wsi, has_body(wsi)) : -1;
}

static bool is_in_clear(const struct pl_server *server, struct lws *wsi)
{
	return server->config->http_tls_cert[0] != '\0' && !lws_is_ssl(wsi);
}

/* Who types http:// for an HTTPS server gets the page and not an error without words.  The path is left behind, a
 * room's name is not: browsers keep what follows "#".  307, because a browser would remember 301 for this port. */
static int respond_redirect(struct lws *wsi, struct pl_session *session)
{
	char host[HOST_SIZE], location[HOST_SIZE + 32];
	struct pl_http_answer answer = {
		.status = "400 Bad Request", .type = "text/plain; charset=utf-8", .closes = true
	};
	if (copy_host(wsi, host)) {
		snprintf(location, sizeof(location), "Location: https://%s/\r\n", host);
		answer.status = "307 Temporary Redirect";
		answer.extra = location;
	}
	return respond_text(wsi, session, &answer, "This server speaks HTTPS.\n");
}

static bool is_api_path(const char *path)
{
	return pl_front_http_is_path(path) || pl_front_admin_is_path(path);
}

/* Also not without a free place in the table, where the front would still take one that it has closed. */
static bool takes_websockets(const struct pl_server *server)
{
	return !server->is_ending && server->ws_free_count > 0;
}

static int respond_ready(struct pl_server *server, struct lws *wsi, struct pl_session *session)
{
	static const char type[] = "text/plain; charset=utf-8";
	static const struct pl_http_answer ready = { .status = "200 OK", .type = type };
	static const struct pl_http_answer unready = {
		.status = "503 Service Unavailable", .type = type, .extra = "Retry-After: 5\r\n"
	};
	const char *why = pl_front_unready(server->front);
	char text[32];
	snprintf(text, sizeof(text), "%s\n", why != NULL ? why : "ok");
	return respond_copy(wsi, session, why != NULL ? &unready : &ready, text);
}

int pl_http_request(
	struct pl_server *server, struct lws *wsi, struct pl_session *session, const char *path, size_t path_size)
{
	static const struct pl_http_answer ending = {
		.status = "503 Service Unavailable", .type = "text/plain; charset=utf-8", .extra = "Retry-After: 5\r\n"
	};
	static const struct pl_http_answer bad_path = {
		.status = "400 Bad Request", .type = "text/plain; charset=utf-8", .closes = true
	};
	static const struct pl_http_answer wrong_method = {
		.status = "405 Method Not Allowed", .extra = "Allow: GET, HEAD\r\n", .closes = true
	};
	/* A token has travelled in clear already; the next one should not. */
	static const struct pl_http_answer in_clear = {
		.status = "403 Forbidden", .type = "application/json", .closes = true
	};
	static const struct pl_http_answer upgrade = {
		.status = "426 Upgrade Required", .type = "text/plain; charset=utf-8", .extra = "Upgrade: websocket\r\n"
	};

	server->http_requests++;
	/* An escaped NUL.  libwebsockets ends the connection at most of them, and lets one through behind a slash. */
	if (strlen(path) != path_size)
		return respond_text(wsi, session, &bad_path, "A path has no NUL byte.\n");
	if (is_in_clear(server, wsi))
		return is_api_path(path) ? respond_text(wsi, session, &in_clear, IN_CLEAR)
					 : respond_redirect(wsi, session);
	if (is_api_path(path))
		return pl_whip_request(server, wsi, session, path);
	if (lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) == 0 && lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI) == 0)
		return respond_text(wsi, session, &wrong_method, "");
	if (strcmp(path, "/live") == 0)
		return respond_live(server, wsi, session);
	if (strcmp(path, "/ready") == 0)
		return respond_ready(server, wsi, session);
	if (strcmp(path, "/metrics") == 0)
		return respond_metrics(server, wsi, session);
	if (strcmp(path, "/v1/ws") == 0 && takes_websockets(server))
		return respond_text(wsi, session, &upgrade, "This is the WebSocket of the signaling API.\n");
	/* Browsers keep from a page with which status an upgrade was refused: this is how it learns why. */
	if (strcmp(path, "/v1/ws") == 0)
		return respond_text(wsi, session, &ending, "There is no place for a WebSocket.\n");
	return respond_file(server, wsi, session, path);
}

static bool read_peer(struct lws *wsi, struct pl_addr *peer)
{
	struct sockaddr_storage from;
	socklen_t size = sizeof(from);
	char text[PL_ADDR_TEXT_SIZE];
	if (getpeername(lws_get_socket_fd(wsi), (struct sockaddr *)&from, &size) != 0)
		return false;
	const void *ip = from.ss_family == AF_INET ? (const void *)&((const struct sockaddr_in *)&from)->sin_addr
						   : (const void *)&((const struct sockaddr_in6 *)&from)->sin6_addr;
	return inet_ntop(from.ss_family, ip, text, sizeof(text)) != NULL && pl_addr_parse_ip(text, peer);
}

struct pl_addr pl_http_client(const struct pl_server *server, struct lws *wsi)
{
	struct pl_addr peer = { .port = 0 };
	if (!read_peer(wsi, &peer) || server->proxies.count == 0)
		return peer;
	/* All of it, however long: what counts is at its end. */
	const int size = lws_hdr_total_length(wsi, WSI_TOKEN_X_FORWARDED_FOR);
	char *forwarded = size > 0 ? malloc((size_t)size + 1) : NULL;
	if (forwarded != NULL && lws_hdr_copy(wsi, forwarded, size + 1, WSI_TOKEN_X_FORWARDED_FOR) < 0)
		forwarded[0] = '\0';
	const struct pl_addr client = pl_front_client_of(&server->proxies, &peer, forwarded);
	free(forwarded);
	return client;
}

/* Refuses by closing after the head: what a broken client sends behind it is not worth reading. */
static int refuse_upgrade(struct lws *wsi, const char *status, const char *extra)
{
	const struct pl_http_answer answer = { .status = status, .extra = extra, .closes = true };
	(void)!send_head(wsi, &answer, 0, true);
	return -1;
}

/* libwebsockets takes any version and a key of any length, and logs an error for each client that forgets Connection
 * (RFC 6455 sections 4.2.1 and 4.4). */
static bool is_version_13(struct lws *wsi)
{
	char version[4] = "";
	return lws_hdr_copy(wsi, version, sizeof(version), WSI_TOKEN_VERSION) > 0 && strcmp(version, "13") == 0;
}

static bool has_key_and_connection(struct lws *wsi)
{
	char connection[64] = "";
	return lws_hdr_total_length(wsi, WSI_TOKEN_KEY) == KEY_SIZE &&
	       lws_hdr_copy(wsi, connection, sizeof(connection), WSI_TOKEN_CONNECTION) > 0 &&
	       strcasestr(connection, "upgrade") != NULL;
}

int pl_http_confirm_upgrade(struct pl_server *server, struct lws *wsi, const char *kind)
{
	char path[16] = "";
	/* A token would have travelled in clear, had this been taken. */
	if (is_in_clear(server, wsi))
		return refuse_upgrade(wsi, "403 Forbidden", NULL);
	if (strcasecmp(kind, "websocket") != 0)
		return refuse_upgrade(wsi, "400 Bad Request", NULL);
	if (lws_hdr_copy(wsi, path, sizeof(path), WSI_TOKEN_GET_URI) < 0 || strcmp(path, "/v1/ws") != 0)
		return refuse_upgrade(wsi, "404 Not Found", NULL);
	if (!is_version_13(wsi))
		return refuse_upgrade(
			wsi, "426 Upgrade Required", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
	if (!has_key_and_connection(wsi))
		return refuse_upgrade(wsi, "400 Bad Request", NULL);
	if (!takes_websockets(server)) {
		server->refused++;
		return refuse_upgrade(wsi, "503 Service Unavailable", "Retry-After: 5\r\n");
	}
	return 0;
}
