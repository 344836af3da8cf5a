/* Plenum's API: docs/signaling.md. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/load/signaling_internal.h"

static const char path_ws[] = "/v1/ws";

void load_ws_join(struct load_session *session, const char *sdp)
{
	const struct load_options *o = session->signaling->config.options;
	const struct load_client *client = session->client;
	char room[LOAD_TEXT_SIZE + 16], name[32];
	snprintf(room, sizeof room, "%s-%u", o->room, client->room);
	snprintf(name, sizeof name, "%s %u", client->is_publisher ? "publisher" : "receiver", client->index);
	snprintf(session->url, sizeof session->url, "%s://%.200s%.40s%s", o->url.has_tls ? "https" : "http",
		o->url.authority, o->url.path, path_ws);

	json_t *message = json_pack(
		"{s:s,s:i,s:i,s:s,s:s,s:s}", "t", "join", "id", 1, "v", 1, "room", room, "name", name, "sdp", sdp);
	if (message != NULL && o->token[0] != '\0')
		json_object_set_new(message, "token", json_string(o->token));
	if (message != NULL && o->audio != LOAD_AUDIO_FORWARD && client->slots > 0)
		json_object_set_new(message, "audio", json_string(load_options_audio_name(o)));
	char *text = message != NULL ? json_dumps(message, JSON_COMPACT) : NULL;
	const bool is_kept = text != NULL && load_session_keep(session, text, strlen(text));
	free(text);
	json_decref(message);
	if (!is_kept)
		load_session_fail(session, "out of memory");
}

void load_ws_leave(struct load_session *session)
{
	static const char leave[] = "{\"t\":\"leave\",\"id\":2}";
	if (session->wsi == NULL || !load_session_keep(session, leave, sizeof leave - 1)) {
		load_session_gone(session);
		return;
	}
	lws_callback_on_writable(session->wsi);
}

static const char *text_of(const json_t *message, const char *key)
{
	const char *text = json_string_value(json_object_get(message, key));
	return text != NULL ? text : "";
}

static void take_answer(struct load_session *session, const json_t *message)
{
	const char *type = text_of(message, "t");
	const char *sdp = text_of(message, "sdp");
	char reason[LOAD_REASON_SIZE];
	if (strcmp(type, "welcome") == 0) {
		load_session_answered(session, (struct pl_bytes){ (const uint8_t *)sdp, strlen(sdp) });
	} else if (strcmp(type, "refused") == 0) {
		const json_int_t after_ms = json_integer_value(json_object_get(message, "retry_after_ms"));
		snprintf(reason, sizeof reason, "refused: %.40s: %.80s", text_of(message, "code"),
			text_of(message, "reason"));
		load_session_retry(session, after_ms > 0 && after_ms <= UINT32_MAX ? (uint32_t)after_ms : 0, reason);
	} else if (strcmp(type, "err") == 0) {
		load_session_fail(
			session, "join: err %.40s: %.100s", text_of(message, "code"), text_of(message, "msg"));
	}
}

static void take_event(struct load_session *session, const json_t *message)
{
	if (strcmp(text_of(message, "t"), "bye") == 0)
		load_session_fail(session, "bye: %.40s: %.80s", text_of(message, "code"), text_of(message, "msg"));
}

/* Of thousands of events a second only "bye" matters: the others are not parsed. */
static void take_message(struct load_session *session)
{
	const bool is_asking = session->state == LOAD_SESSION_ASKING;
	if (!is_asking && memmem(session->in, session->in_size, "\"bye\"", 5) == NULL)
		return;
	json_t *message = json_loadb(session->in, session->in_size, 0, NULL);
	if (message == NULL && is_asking)
		load_session_fail(session, "the answer to join is not JSON");
	else if (is_asking)
		take_answer(session, message);
	else if (session->state == LOAD_SESSION_JOINED)
		take_event(session, message);
	json_decref(message);
}

static int receive(struct load_session *session, struct lws *wsi, const void *bytes, size_t size)
{
	if (!load_session_append(session, bytes, size)) {
		load_session_fail(session, "a message of more than %d bytes", LOAD_MESSAGE_SIZE_MAX);
		return -1;
	}
	if (lws_is_final_fragment(wsi) && lws_remaining_packet_payload(wsi) == 0) {
		take_message(session);
		session->in_size = 0;
	}
	return session->wsi == wsi ? 0 : -1;
}

/* libwebsockets masks in place: what may have to be said again is kept apart. */
static int write_kept(struct load_session *session, struct lws *wsi)
{
	if (session->out == NULL || session->is_written)
		return 0;
	unsigned char *copy = malloc(LWS_PRE + session->out_size);
	if (copy == NULL)
		return -1;
	memcpy(copy + LWS_PRE, session->out + LWS_PRE, session->out_size);
	session->is_written = true;
	if (session->state == LOAD_SESSION_ASKING)
		load_session_note_asked(session);
	const int written = lws_write(wsi, copy + LWS_PRE, session->out_size, LWS_WRITE_TEXT);
	free(copy);
	return written < (int)session->out_size ? -1 : 0;
}

int load_signaling_on_ws(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t size)
{
	struct load_session *session = user;
	const bool is_ours = session != NULL && session->wsi == wsi;
	char why[LOAD_REASON_SIZE];
	switch (reason) {
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		if (session == NULL || (session->wsi != NULL && !is_ours))
			return 0;
		session->wsi = NULL;
		snprintf(why, sizeof why, "WebSocket: %.*s", (int)(size < 100 ? size : 100),
			in != NULL ? (const char *)in : "");
		load_session_lost(session, why);
		return 0;
	case LWS_CALLBACK_CLIENT_ESTABLISHED:
		lws_callback_on_writable(wsi);
		return is_ours ? 0 : -1;
	case LWS_CALLBACK_CLIENT_WRITEABLE:
		return is_ours ? write_kept(session, wsi) : -1;
	case LWS_CALLBACK_CLIENT_RECEIVE:
		return is_ours ? receive(session, wsi, in, size) : -1;
	case LWS_CALLBACK_CLIENT_CLOSED:
		if (!is_ours)
			return 0;
		session->wsi = NULL;
		load_session_lost(session, "the server closed the WebSocket");
		return 0;
	default:
		return 0;
	}
}
