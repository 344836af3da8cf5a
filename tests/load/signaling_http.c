/* WHIP (RFC 9725) for publishers, WHEP (draft-ietf-wish-whep) for receivers. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/load/signaling_internal.h"

enum { READ_SIZE = 4096 };

/* Writes path with each {room} replaced. */
static bool fill_path(char *url, size_t url_size, const char *path, const char *room)
{
	static const char mark[] = "{room}";
	size_t used = strlen(url);
	while (*path != '\0') {
		const bool is_mark = strncmp(path, mark, sizeof mark - 1) == 0;
		const char one[2] = { *path, '\0' };
		const char *piece = is_mark ? room : one;
		const size_t size = strlen(piece);
		if (size >= url_size - used)
			return false;
		memcpy(url + used, piece, size + 1);
		used += size;
		path += is_mark ? sizeof mark - 1 : 1;
	}
	return true;
}

/* ?audio= of WHEP; a server of another kind is not told what it may not know. */
static bool add_audio(char *url, size_t url_size, const struct load_options *o)
{
	const size_t used = strlen(url);
	const int size = snprintf(url + used, url_size - used, "%caudio=%s", strchr(url, '?') != NULL ? '&' : '?',
		load_options_audio_name(o));
	return size > 0 && (size_t)size < url_size - used;
}

void load_http_join(struct load_session *session, const char *sdp)
{
	const struct load_options *o = session->signaling->config.options;
	char room[LOAD_TEXT_SIZE + 16];
	snprintf(room, sizeof room, "%s-%u", o->room, session->client->room);
	const int used = snprintf(session->url, sizeof session->url, "%s://%s%s", o->url.has_tls ? "https" : "http",
		o->url.authority, o->url.path);
	const char *path = session->client->is_publisher ? o->whip_path : o->whep_path;
	if (used < 0 || (size_t)used >= sizeof session->url ||
		!fill_path(session->url, sizeof session->url, path, room) ||
		(o->audio != LOAD_AUDIO_FORWARD && !session->client->is_publisher &&
			!add_audio(session->url, sizeof session->url, o)))
		load_session_fail(session, "the URL is longer than %zu bytes", sizeof session->url - 1);
	else if (!load_session_keep(session, sdp, strlen(sdp)))
		load_session_fail(session, "out of memory");
}

void load_http_leave(struct load_session *session)
{
	if (session->location[0] == '\0')
		load_session_gone(session);
	else
		load_session_connect(session, "DELETE");
}

/* Location may be absolute, or relative to where the request went (RFC 9110 section 10.2.2). */
static bool resolve(struct load_session *session)
{
	char resolved[LOAD_TEXT_SIZE];
	const char *location = session->location;
	size_t base = 0;
	if (strstr(location, "://") == NULL) {
		const char *authority = strstr(session->url, "://") + 3;
		const char *path = authority + strcspn(authority, "/");
		const char *last = strrchr(path, '/');
		base = (size_t)((location[0] == '/' || last == NULL ? path : last + 1) - session->url);
	}
	const int size = snprintf(resolved, sizeof resolved, "%.*s%s", (int)base, session->url, location);
	if (size < 0 || (size_t)size >= sizeof resolved)
		return false;
	memcpy(session->url, resolved, (size_t)size + 1);
	return true;
}

/* A body of JSON as Plenum writes it, or else its first line, says more than the number. */
static void write_status(const struct load_session *session, char reason[static LOAD_REASON_SIZE])
{
	const char *body = session->in_size > 0 ? session->in : "";
	json_t *said = json_loads(body, 0, NULL);
	const char *code = json_string_value(json_object_get(said, "code"));
	const char *msg = json_string_value(json_object_get(said, "msg"));
	if (code != NULL && msg != NULL)
		snprintf(reason, LOAD_REASON_SIZE, "HTTP %u: %.40s: %.80s", session->status, code, msg);
	else
		snprintf(reason, LOAD_REASON_SIZE, "HTTP %u: %.*s", session->status, (int)strcspn(body, "\r\n"), body);
	json_decref(said);
}

static void take_post(struct load_session *session)
{
	char reason[LOAD_REASON_SIZE];
	write_status(session, reason);
	switch (session->status) {
	case 200: /* before RFC 9725 some answered so */
	case 201:
		if (session->location[0] != '\0' && !resolve(session))
			load_session_fail(session, "the Location is too long");
		else
			load_session_answered(
				session, (struct pl_bytes){ (const uint8_t *)session->in, session->in_size });
		return;
	case 307:
	case 308:
		if (session->redirects++ == LOAD_REDIRECTS_MAX || session->location[0] == '\0' || !resolve(session))
			load_session_fail(session, "HTTP %u: redirected too often, or nowhere", session->status);
		else
			load_session_again(session);
		return;
	case 429:
	case 503:
		load_session_retry(session, session->retry_after_s * 1000, reason);
		return;
	default:
		load_session_fail(session, "%s", reason);
	}
}

static void take_response(struct load_session *session)
{
	session->wsi = NULL;
	if (session->state == LOAD_SESSION_LEAVING)
		load_session_gone(session);
	else if (session->state == LOAD_SESSION_ASKING)
		take_post(session);
}

/* ---- libwebsockets ---- */

static bool add_header(struct lws *wsi, const char *name, const char *value, unsigned char **at, unsigned char *end)
{
	return lws_add_http_header_by_name(wsi, (const unsigned char *)name, (const unsigned char *)value,
		       (int)strlen(value), at, end) == 0;
}

static int add_headers(struct load_session *session, struct lws *wsi, unsigned char **at, size_t size)
{
	const struct load_options *o = session->signaling->config.options;
	unsigned char *end = *at + size;
	char text[LOAD_TEXT_SIZE + 8];
	snprintf(text, sizeof text, "Bearer %s", o->token);
	if (o->token[0] != '\0' && !add_header(wsi, "authorization:", text, at, end))
		return -1;
	if (session->state != LOAD_SESSION_ASKING)
		return 0;
	snprintf(text, sizeof text, "%zu", session->out_size);
	if (!add_header(wsi, "content-type:", "application/sdp", at, end) ||
		!add_header(wsi, "content-length:", text, at, end))
		return -1;
	lws_client_http_body_pending(wsi, 1);
	lws_callback_on_writable(wsi);
	return 0;
}

static int write_body(struct load_session *session, struct lws *wsi)
{
	if (session->state != LOAD_SESSION_ASKING || session->out == NULL || session->is_written)
		return 0;
	session->is_written = true;
	load_session_note_asked(session);
	lws_client_http_body_pending(wsi, 0);
	unsigned char *body = (unsigned char *)session->out + LWS_PRE;
	return lws_write(wsi, body, session->out_size, LWS_WRITE_HTTP_FINAL) < (int)session->out_size ? -1 : 0;
}

static void read_head(struct load_session *session, struct lws *wsi)
{
	char text[16];
	session->status = lws_http_client_http_response(wsi);
	session->retry_after_s = 0;
	if (lws_hdr_copy(wsi, text, sizeof text, WSI_TOKEN_HTTP_RETRY_AFTER) > 0)
		session->retry_after_s = (uint32_t)strtoul(text, NULL, 10);
	if (session->state == LOAD_SESSION_ASKING &&
		lws_hdr_copy(wsi, session->location, sizeof session->location, WSI_TOKEN_HTTP_LOCATION) <= 0)
		session->location[0] = '\0';
}

static int read_more(struct lws *wsi)
{
	char buffer[LWS_PRE + READ_SIZE];
	char *at = buffer + LWS_PRE;
	int size = READ_SIZE;
	return lws_http_client_read(wsi, &at, &size) < 0 ? -1 : 0; /* hands it on as RECEIVE_CLIENT_HTTP_READ */
}

/* The end of a connection that said all it had to say without telling how long that is. */
static void take_end(struct load_session *session)
{
	session->wsi = NULL;
	if (session->status != 0)
		take_response(session);
	else
		load_session_lost(session, "the server closed the HTTP connection");
}

int load_signaling_on_http(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t size)
{
	struct load_session *session = user;
	char why[LOAD_REASON_SIZE];
	if (session == NULL)
		return 0;
	if (reason == LWS_CALLBACK_CLIENT_CONNECTION_ERROR && (session->wsi == NULL || session->wsi == wsi)) {
		session->wsi = NULL;
		snprintf(why, sizeof why, "HTTP: %.*s", (int)(size < 100 ? size : 100),
			in != NULL ? (const char *)in : "");
		load_session_lost(session, why);
		return 0;
	}
	if (session->wsi != wsi)
		return 0;
	switch (reason) {
	case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
		return add_headers(session, wsi, in, size);
	case LWS_CALLBACK_CLIENT_HTTP_WRITEABLE:
		return write_body(session, wsi);
	case LWS_CALLBACK_ESTABLISHED_CLIENT_HTTP:
		read_head(session, wsi);
		return 0;
	case LWS_CALLBACK_RECEIVE_CLIENT_HTTP:
		return read_more(wsi);
	case LWS_CALLBACK_RECEIVE_CLIENT_HTTP_READ:
		return load_session_append(session, in, size) ? 0 : -1;
	case LWS_CALLBACK_COMPLETED_CLIENT_HTTP:
		take_response(session);
		return -1; /* one request, one connection */
	case LWS_CALLBACK_CLOSED_CLIENT_HTTP:
		take_end(session);
		return 0;
	default:
		return 0;
	}
}
