#include "signaling/front_http.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "signaling/front_state.h"
#include "signaling/text.h"

#define SDP_TYPE      "application/sdp"
#define FRAGMENT_TYPE "application/trickle-ice-sdpfrag"

enum { HEAD_SIZE = 1024, BUSY_S = 1 };

/* ---- responses ---- */

struct head {
	struct pl_text text;
	char bytes[HEAD_SIZE];
};

/* Any page may be a client, and has to see what it needs of the answer (Fetch standard, section 3.2.3). */
static void begin(struct head *head)
{
	head->text = pl_text_begin(head->bytes, sizeof head->bytes);
	pl_text_put(&head->text, "Access-Control-Allow-Origin: *\r\n"
				 "Access-Control-Expose-Headers: Location, ETag, Link, Retry-After\r\n");
}

static struct pl_front_text *text_of(const char *bytes, size_t size)
{
	struct pl_front_writer w;
	pl_front_write_begin_part(&w);
	pl_front_write_bytes(&w, bytes, size);
	return pl_front_write_end_part(&w);
}

static void respond(struct pl_front *front, const struct pl_front_http_request *http, uint16_t status,
	const struct head *head, struct pl_front_text *body)
{
	PL_ASSERT(pl_text_fits(&head->text));
	pl_front_respond(front, http->request, status, text_of(head->bytes, head->text.used), body);
}

static void begin_error(struct pl_front_writer *w, struct head *head, const char *code, const char *msg)
{
	pl_front_write_begin_part(w);
	pl_front_write_open(w, NULL, '{');
	pl_front_write_string(w, "code", code);
	pl_front_write_string(w, "msg", msg);
	pl_text_put(&head->text, "Content-Type: application/json\r\n");
}

static void put_retry(struct head *head, uint32_t ms)
{
	pl_text_put(&head->text, "Retry-After: %u\r\n", (ms + 999) / 1000);
}

/* The same words as on a WebSocket.  retry_ms: 0 for not at all. */
static void respond_error(struct pl_front *front, const struct pl_front_http_request *http, uint16_t status,
	struct head *head, const char *code, const char *msg, uint32_t retry_ms)
{
	struct pl_front_writer w;
	begin_error(&w, head, code, msg);
	if (retry_ms > 0) {
		pl_front_write_int(&w, "retry_after_ms", retry_ms);
		put_retry(head, retry_ms);
	}
	pl_front_write_close(&w, '}');
	respond(front, http, status, head, pl_front_write_end_part(&w));
}

PL_PRINTF(4, 5)
static void fail(
	struct pl_front *front, const struct pl_front_http_request *http, enum pl_fault fault, const char *format, ...)
{
	char msg[512];
	va_list args;
	va_start(args, format);
	vsnprintf(msg, sizeof msg, format, args);
	va_end(args);
	front->counters.faults[fault]++;
	struct head head;
	begin(&head);
	if (fault == PL_FAULT_BAD_TYPE && http->method == PL_FRONT_HTTP_POST)
		pl_text_put(&head.text, "Accept-Post: " SDP_TYPE "\r\n");
	else if (fault == PL_FAULT_BAD_TYPE)
		pl_text_put(&head.text, "Accept-Patch: " FRAGMENT_TYPE "\r\n");
	const bool may_retry = fault == PL_FAULT_BUSY || fault == PL_FAULT_RATE;
	respond_error(
		front, http, pl_fault_status(fault), &head, pl_fault_name(fault), msg, may_retry ? BUSY_S * 1000 : 0);
}

/* ---- what is asked for ---- */

struct target {
	enum pl_front_api api;
	struct pl_bytes room;
	const char *session; /* NULL: the room's own URL, the endpoint */
};

static const char API_PATHS[][9] = { [PL_FRONT_WHIP] = "/v1/whip", [PL_FRONT_WHEP] = "/v1/whep" };

static enum pl_front_api api_of(const char *path)
{
	for (enum pl_front_api api = PL_FRONT_WHIP; api <= PL_FRONT_WHEP; api++) {
		const size_t size = strlen(API_PATHS[api]);
		if (strncmp(path, API_PATHS[api], size) == 0 && (path[size] == '/' || path[size] == '\0'))
			return api;
	}
	return PL_FRONT_WEBSOCKET;
}

bool pl_front_http_is_path(const char *path)
{
	return api_of(path) != PL_FRONT_WEBSOCKET;
}

const char *pl_front_http_bearer(const char *authorization)
{
	static const char scheme[] = "bearer ";
	if (authorization == NULL || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
		return NULL;
	authorization += sizeof scheme - 1;
	return authorization + strspn(authorization, " ");
}

static bool is_secret(const char *text)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	return strlen(text) == PL_FRONT_SECRET_CHARACTERS && strspn(text, letters) == PL_FRONT_SECRET_CHARACTERS;
}

/* "/v1/whip/{room}" or "/v1/whip/{room}/{session}".  A room's name may have slashes, too: so behind the last one is a
 * session when it looks like one, or when only a session could be meant. */
static struct target read_target(const struct pl_front_http_request *http)
{
	struct target target = { .api = api_of(http->path) };
	const char *room = http->path + strlen(API_PATHS[target.api]);
	if (*room == '/')
		room++;
	const char *slash = strrchr(room, '/');
	const bool is_for_session = http->method == PL_FRONT_HTTP_PATCH || http->method == PL_FRONT_HTTP_DELETE;
	if (slash != NULL && (is_for_session || is_secret(slash + 1)))
		target.session = slash + 1;
	const size_t size = target.session != NULL ? (size_t)(slash - room) : strlen(room);
	target.room = (struct pl_bytes){ (const uint8_t *)room, size };
	return target;
}

/* RFC 9110 section 8.3.1: parameters do not matter to us. */
static bool is_type(const char *field, const char *type)
{
	if (field == NULL)
		return false;
	field += strspn(field, " \t");
	const size_t size = strcspn(field, "; \t");
	return size == strlen(type) && strncasecmp(field, type, size) == 0;
}

bool pl_front_http_wants_body(const struct pl_front_http_request *http)
{
	return (http->method == PL_FRONT_HTTP_POST || http->method == PL_FRONT_HTTP_PATCH) &&
	       http->content_length > 0 && http->content_length <= PL_FRONT_HTTP_BODY_MAX;
}

/* False: the client has its error. */
static bool has_body(struct pl_front *front, const struct pl_front_http_request *http, const char *type)
{
	if (!is_type(http->content_type, type))
		fail(front, http, PL_FAULT_BAD_TYPE, "Content-Type: %s is needed", type);
	else if (http->content_length < 0)
		fail(front, http, PL_FAULT_NO_LENGTH, "Content-Length is needed; a chunked body is not taken");
	else if (http->content_length > PL_FRONT_HTTP_BODY_MAX)
		fail(front, http, PL_FAULT_TOO_LARGE, "a body has at most %d bytes", PL_FRONT_HTTP_BODY_MAX);
	else
		return true;
	return false;
}

static bool has_command(struct pl_front *front, const struct pl_front_http_request *http, uint8_t shard)
{
	if (pl_front_can_command(front, shard))
		return true;
	fail(front, http, PL_FAULT_BUSY, "the media plane is busy; try again soon");
	return false;
}

/* ---- POST: a session ---- */

/* The session's own URL: whoever has it may end the session, so its last part cannot be guessed. */
static void put_location(struct head *head, const struct pl_front_session *session)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_~";
	pl_text_put(&head->text, "Location: %s/", API_PATHS[session->api]);
	for (const char *at = session->room->name; *at != '\0'; at++) {
		if (strchr(plain, *at) != NULL)
			pl_text_put(&head->text, "%c", *at);
		else
			pl_text_put(&head->text, "%%%02X", (unsigned char)*at); /* RFC 3986 section 2.1 */
	}
	pl_text_put(&head->text, "/%s\r\n", session->id);
}

/* An ICE session is what its credentials are; the user name is no secret. */
static void put_etag(struct head *head, const struct pl_front_session *session)
{
	pl_text_put(&head->text, "ETag: \"%s\"\r\n", session->settled.local.ufrag);
}

static void refuse(
	struct pl_front *front, const struct pl_front_http_request *http, const struct pl_front_refused *refused)
{
	struct head head;
	struct pl_front_writer w;
	begin(&head);
	begin_error(&w, &head, pl_refusal_code(refused->why), pl_refusal_reason(refused->why));
	put_retry(&head, refused->retry_after_ms);
	pl_front_write_refused(front, &w, refused);
	pl_front_write_close(&w, '}');
	respond(front, http, pl_refusal_status(refused->why), &head, pl_front_write_end_part(&w));
}

/* False: the client has its error. */
static bool settle(struct pl_front *front, const struct pl_front_http_request *http, enum pl_front_api api,
	const struct pl_request *join, uint8_t shard, struct pl_description *description)
{
	const bool is_whip = api == PL_FRONT_WHIP;
	struct pl_front_offer asked = {
		.sdp = http->body,
		.is_new_transport = true,
		.tracks_max = is_whip ? 1 : 0, /* RFC 9725 section 4.4.2: one track of each kind */
		.slots_max = is_whip ? 0 : PL_SLOTS_MAX,
	};
	char error[PL_SDP_ERROR_SIZE], mode_error[PL_FRONT_MODE_ERROR_SIZE];
	if (!pl_front_read_mode(front, join, &asked.mode, mode_error))
		fail(front, http, PL_FAULT_UNSUPPORTED, "url.%s", mode_error);
	else if (!pl_front_settle(front, NULL, &asked, description, error))
		fail(front, http, PL_FAULT_BAD_SDP, "offer: %s", error);
	else if (is_whip && description->track_count == 0)
		fail(front, http, PL_FAULT_UNSUPPORTED, "offer: WHIP is for publishing, but no audio m-line sends");
	else if (!is_whip && description->slot_count == 0)
		fail(front, http, PL_FAULT_UNSUPPORTED, "offer: WHEP is for playing, but no audio m-line receives");
	else
		return has_command(front, http, shard);
	return false;
}

static void enter(struct pl_front *front, const struct pl_front_http_request *http, enum pl_front_api api,
	const struct pl_request *join)
{
	struct pl_description description;
	struct pl_front_room *room = pl_front_room_by_name(front, join->room);
	const char *token = pl_front_http_bearer(http->authorization);
	const struct pl_front_asker asker = {
		.address = http->address,
		.token = { (const uint8_t *)token, token != NULL ? strlen(token) : 0 },
	};
	struct pl_front_refused refused;
	if (!pl_front_admit(front, room, &asker, &refused)) {
		refuse(front, http, &refused);
		return;
	}
	room = pl_front_room_by_name(front, join->room); /* it may have ended with the one who made room */
	if (!settle(front, http, api, join, pl_front_room_shard(front, room), &description))
		return;
	struct pl_front_session *session = pl_front_enter(front, room, join, &description);
	const struct pl_sdp_media *tagged = &front->offer.media[front->offer.tagged];
	session->api = api;
	memcpy(session->tagged_mid, tagged->mid, sizeof session->tagged_mid);
	session->tagged_payload_type = tagged->payload_type;
	pl_front_list_push(&front->http, &session->away, session);
	if (api == PL_FRONT_WHEP)
		pl_front_list_push(&front->quiet, &session->quiet, session);

	struct head head;
	begin(&head);
	pl_text_put(&head.text, "Content-Type: " SDP_TYPE "\r\nAccept-Patch: " FRAGMENT_TYPE "\r\n");
	put_location(&head, session);
	put_etag(&head, session);
	const size_t size = pl_front_make_answer(front, session);
	respond(front, http, 201, &head, text_of(front->answer_text, size));
	pl_front_tell_peer(front, session, "join", session);
}

static void post(struct pl_front *front, const struct pl_front_http_request *http, const struct target *target)
{
	if (!has_body(front, http, SDP_TYPE))
		return;
	struct pl_request join;
	char message[512];
	/* Who only publishes hears nothing, in whatever mode. */
	const struct pl_request_url url = {
		.room = target->room,
		.name = http->name,
		.audio = target->api == PL_FRONT_WHEP ? http->audio : (struct pl_bytes){ NULL, 0 },
	};
	const enum pl_fault fault = pl_request_from_url(&url, &join, message, sizeof message);
	if (fault != PL_FAULT_NONE) {
		fail(front, http, fault, "%s", message);
		return;
	}
	enter(front, http, target->api, &join);
	pl_request_fini(&join);
}

/* ---- PATCH: trickle ICE, and its restart ---- */

/* NULL: the client has its error. */
static struct pl_front_session *find_session(
	struct pl_front *front, const struct pl_front_http_request *http, const struct target *target)
{
	struct pl_front_session *session = pl_front_session_by_id(front, target->session);
	if (session != NULL && session->api == target->api && strlen(session->room->name) == target->room.size &&
		memcmp(session->room->name, target->room.data, target->room.size) == 0)
		return session;
	fail(front, http, PL_FAULT_NO_SESSION, "there is no such session; it has ended, or this is not its Location");
	return NULL;
}

enum match { MATCH_NOTHING, MATCH_ANY, MATCH_TAG };

/* If-Match, RFC 9110 section 13.1.1: "*", or a list of tags; a weak one (W/) matches nothing.  Some clients put the
 * star into quotes, as an example of RFC 9725 does. */
static enum match match(const char *field, const struct pl_front_session *session)
{
	const size_t tag_size = strlen(session->settled.local.ufrag);
	enum match found = MATCH_NOTHING;
	for (const char *at = field + strspn(field, " \t,"); *at != '\0'; at += strspn(at, " \t,")) {
		if (*at == '*')
			return MATCH_ANY;
		const bool is_weak = strncmp(at, "W/", 2) == 0;
		at += is_weak ? 2 : 0;
		const char *end = *at == '"' ? strchr(at + 1, '"') : NULL;
		if (end == NULL)
			return found;
		const size_t size = (size_t)(end - at - 1);
		if (!is_weak && size == 1 && at[1] == '*')
			return MATCH_ANY;
		if (!is_weak && size == tag_size && memcmp(at + 1, session->settled.local.ufrag, size) == 0)
			found = MATCH_TAG;
		at = end + 1;
	}
	return found;
}

/* The association, the tracks and the slots stay as they are (RFC 9725 section 4.3.3). */
static void restart(struct pl_front *front, struct pl_front_session *session, const struct pl_sdp_fragment *fragment)
{
	struct pl_description *d = &session->settled;
	pl_front_random_text(front, d->local.ufrag, PL_ICE_LOCAL_UFRAG_SIZE - 1, true);
	pl_front_random_text(front, d->local.pwd, PL_ICE_LOCAL_PWD_SIZE - 1, true);
	memcpy(d->remote_ufrag, fragment->ufrag, sizeof d->remote_ufrag);
	memcpy(session->remote_pwd, fragment->pwd, sizeof session->remote_pwd);
	const struct pl_command command = pl_front_command_of(session, PL_COMMAND_UPDATE);
	pl_front_command(front, &command, d);
}

static void respond_restart(
	struct pl_front *front, const struct pl_front_http_request *http, const struct pl_front_session *session)
{
	struct pl_addr candidate[PL_FRONT_ADDRESSES_MAX];
	const struct pl_sdp_fragment_answer answer = {
		.mid = session->tagged_mid,
		.payload_type = session->tagged_payload_type,
		.ice = session->settled.local,
		.candidates = candidate,
		.candidate_count = pl_front_candidates(front, session, candidate),
	};
	char text[PL_SDP_FRAGMENT_SIZE_MAX];
	const size_t size = pl_sdp_write_fragment(&answer, text);
	struct head head;
	begin(&head);
	pl_text_put(&head.text, "Content-Type: " FRAGMENT_TYPE "\r\n");
	put_etag(&head, session);
	respond(front, http, 200, &head, text_of(text, size));
}

/* Candidates need no answer: an ICE-lite agent learns addresses from the checks that come (RFC 8445 section 2.5). */
static void respond_trickle(struct pl_front *front, const struct pl_front_http_request *http)
{
	struct head head;
	begin(&head);
	respond(front, http, 204, &head, NULL);
}

static void patch(struct pl_front *front, const struct pl_front_http_request *http, const struct target *target)
{
	struct pl_front_session *session = find_session(front, http, target);
	if (session == NULL || !has_body(front, http, FRAGMENT_TYPE))
		return;
	if (http->if_match == NULL) {
		fail(front, http, PL_FAULT_NO_CONDITION, "If-Match is needed: the last ETag, or * to restart ICE");
		return;
	}
	struct pl_sdp_fragment fragment;
	char error[PL_SDP_ERROR_SIZE];
	if (match(http->if_match, session) == MATCH_NOTHING) {
		fail(front, http, PL_FAULT_STALE, "If-Match: ICE has another ETag by now");
	} else if (!pl_sdp_parse_fragment(http->body, &fragment, error)) {
		fail(front, http, PL_FAULT_BAD_SDP, "fragment: %s", error);
	} else if (fragment.ufrag[0] == '\0' || (strcmp(fragment.ufrag, session->settled.remote_ufrag) == 0 &&
							strcmp(fragment.pwd, session->remote_pwd) == 0)) {
		respond_trickle(front, http);
	} else if (!pl_front_may(
			   &session->restarts_us, front->now_us, PL_FRONT_RESTARTS_PER_S, PL_FRONT_RESTARTS_BURST)) {
		fail(front, http, PL_FAULT_RATE, "at most %d ICE restarts a second", PL_FRONT_RESTARTS_PER_S);
	} else if (has_command(front, http, session->shard)) {
		restart(front, session, &fragment);
		respond_restart(front, http, session);
	}
}

/* ---- DELETE, OPTIONS, the rest ---- */

/* If-Match is not looked at, as RFC 9725 section 4.3.1 and the WHEP draft demand of a DELETE, narrower than RFC 9110: the tag is
 * that of an ICE session, and all of them end. */
static void delete (struct pl_front *front, const struct pl_front_http_request *http, const struct target *target)
{
	struct pl_front_session *session = find_session(front, http, target);
	if (session == NULL)
		return;
	pl_front_command_leave(front, session);
	pl_front_session_destroy(front, session, "left");
	struct head head;
	begin(&head);
	respond(front, http, 200, &head, NULL);
}

static void put_allow(struct head *head, const struct target *target)
{
	pl_text_put(&head->text, "Allow: %s\r\n", target->session != NULL ? "OPTIONS, PATCH, DELETE" : "OPTIONS, POST");
}

/* Also what browsers ask before they let a page of elsewhere do anything (Fetch standard, section 4.8). */
static void options(struct pl_front *front, const struct pl_front_http_request *http, const struct target *target)
{
	struct head head;
	begin(&head);
	put_allow(&head, target);
	pl_text_put(&head.text, "Access-Control-Allow-Methods: OPTIONS, POST, PATCH, DELETE\r\n"
				"Access-Control-Allow-Headers: Authorization, Content-Type, If-Match\r\n"
				"Access-Control-Max-Age: 7200\r\n"
				"Accept-Post: " SDP_TYPE "\r\nAccept-Patch: " FRAGMENT_TYPE "\r\n");
	respond(front, http, 200, &head, NULL);
}

static void answer_wrong_method(
	struct pl_front *front, const struct pl_front_http_request *http, const struct target *target)
{
	struct head head;
	begin(&head);
	put_allow(&head, target);
	front->counters.faults[PL_FAULT_BAD_METHOD]++;
	respond_error(front, http, pl_fault_status(PL_FAULT_BAD_METHOD), &head, pl_fault_name(PL_FAULT_BAD_METHOD),
		target->session != NULL ? "PATCH or DELETE a session" : "POST an offer here", 0);
}

void pl_front_http(struct pl_front *front, int64_t now_us, const struct pl_front_http_request *http)
{
	PL_ASSERT(pl_front_http_is_path(http->path));
	pl_front_begin(front, now_us);
	const struct target target = read_target(http);
	const bool is_session = target.session != NULL;
	if (http->method == PL_FRONT_HTTP_OPTIONS)
		options(front, http, &target);
	else if (http->method == PL_FRONT_HTTP_POST && !is_session)
		post(front, http, &target);
	else if (http->method == PL_FRONT_HTTP_PATCH && is_session)
		patch(front, http, &target);
	else if (http->method == PL_FRONT_HTTP_DELETE && is_session)
		delete (front, http, &target);
	else
		answer_wrong_method(front, http, &target);
}
