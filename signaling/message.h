/* The JSON messages of protocol version 1 (docs/signaling.md): reading what a client sends into checked
 * fields, and the names of everything.  Jansson is named only here, in front*.c and in message.c.
 * No socket, no clock, no thread.  Thread: signaling. */
#ifndef PL_SIGNALING_MESSAGE_H
#define PL_SIGNALING_MESSAGE_H

#include <jansson.h>

#include "media/base.h"

enum {
	PL_MESSAGE_SIZE_MAX = 65536,
	PL_MESSAGE_DEPTH_MAX = 16,
	PL_ROOM_NAME_MAX = 128,
	PL_NAME_MAX = 128,
	PL_ATTRS_SIZE_MAX = 4096,
	PL_TOPIC_MAX = 64,
	PL_DATA_SIZE_MAX = 16384,
	PL_DATA_TO_MAX = 64,
	PL_ID_TEXT_SIZE = 64,
};

/* Client to server. */
#define PL_REQUEST_LIST(X) \
	X(JOIN, "join")    \
	X(OFFER, "offer")  \
	X(MUTE, "mute")    \
	X(MODE, "mode")    \
	X(META, "meta")    \
	X(DATA, "data")    \
	X(PING, "ping")    \
	X(LEAVE, "leave")

enum pl_request_kind {
#define X(name, text) PL_REQUEST_##name,
	PL_REQUEST_LIST(X)
#undef X
		PL_REQUEST_COUNT
};

/* Server to client. */
#define PL_REPLY_LIST(X)          \
	X(OK, "ok")               \
	X(ERR, "err")             \
	X(WELCOME, "welcome")     \
	X(ANSWER, "answer")       \
	X(PONG, "pong")           \
	X(REFUSED, "refused")     \
	X(PEER, "peer")           \
	X(TRACK, "track")         \
	X(SLOTS, "slots")         \
	X(SPEAKERS, "speakers")   \
	X(DATA, "data")           \
	X(CONNECTED, "connected") \
	X(DEGRADED, "degraded")   \
	X(DRAINING, "draining")   \
	X(MOVE, "move")           \
	X(BYE, "bye")

/* X(name, code, HTTP status). */
#define PL_FAULT_LIST(X)                     \
	X(BAD_JSON, "bad_json", 400)         \
	X(BAD_FIELD, "bad_field", 400)       \
	X(BAD_SDP, "bad_sdp", 400)           \
	X(UNKNOWN, "unknown", 400)           \
	X(UNSUPPORTED, "unsupported", 422)   \
	X(NOT_JOINED, "not_joined", 400)     \
	X(JOINED, "joined", 400)             \
	X(NO_SESSION, "no_session", 404)     \
	X(NO_TRACK, "no_track", 400)         \
	X(NO_PEER, "no_peer", 400)           \
	X(TOO_LARGE, "too_large", 413)       \
	X(RATE, "rate", 429)                 \
	X(BUSY, "busy", 503)                 \
	X(BAD_METHOD, "bad_method", 405)     \
	X(BAD_TYPE, "bad_type", 415)         \
	X(NO_LENGTH, "no_length", 411)       \
	X(NO_CONDITION, "no_condition", 428) \
	X(STALE, "stale", 412)               \
	X(UNAUTHORIZED, "unauthorized", 401) \
	X(NO_ADMIN, "no_admin", 404)         \
	X(NO_PATH, "no_path", 404)

enum pl_fault {
	PL_FAULT_NONE,
#define X(name, text, status) PL_FAULT_##name,
	PL_FAULT_LIST(X)
#undef X
		PL_FAULT_COUNT
};

enum pl_reply_kind {
#define X(name, text) PL_REPLY_##name,
	PL_REPLY_LIST(X)
#undef X
		PL_REPLY_COUNT
};

/* What join.audio and mode.audio, and what mode.quality may say: lists that end with NULL, in the order of enum
 * pl_audio_mode and of enum pl_mix_group. */
extern const char *const pl_audio_words[];
extern const char *const pl_quality_words[];

const char *pl_reply_name(enum pl_reply_kind kind);
const char *pl_fault_name(enum pl_fault fault);
/* Of the HTTP answer that carries it; not for PL_FAULT_NONE. */
uint16_t pl_fault_status(enum pl_fault fault);

/* One request, its fields checked for type and range.  Strings are views into json. */
struct pl_request {
	enum pl_request_kind kind;
	json_t *json; /* owned; pl_request_fini */
	bool has_id;
	int64_t id;                    /* 0 to 2^31-1 */
	const char *room, *name, *token, *sdp; /* NULL when absent */
	const char *audio, *quality;   /* the same; one of pl_audio_words, of pl_quality_words */
	json_t *attrs;                 /* borrowed from json; NULL when absent */
	const char *track;
	bool is_on;
	const char *topic;
	json_t *body, *to; /* borrowed */
	struct {
		const char *session, *ticket; /* NULL session: no resume */
		int64_t n;
	} resume;
};

/* Reads one text frame.  PL_FAULT_NONE: request is filled and the caller's, to be given to pl_request_fini.
 * Otherwise message (of message_size bytes) has the sentence for the client, request->has_id and id are set when
 * they could be read, and there is nothing to free. */
PL_MUST_USE enum pl_fault pl_request_parse(
	struct pl_bytes text, struct pl_request *request, char *message, size_t message_size);

/* The same for a join whose fields came in a URL: room, name and audio (data NULL: absent), without the URL's escapes. */
struct pl_request_url {
	struct pl_bytes room, name, audio;
};
PL_MUST_USE enum pl_fault pl_request_from_url(
	const struct pl_request_url *url, struct pl_request *request, char *message, size_t message_size);
void pl_request_fini(struct pl_request *request);

#endif
