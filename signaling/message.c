#include "signaling/message_fields.h"

#include <stdio.h>
#include <string.h>

/* ---- names ---- */

static const char *const request_names[] = {
#define X(name, text) text,
	PL_REQUEST_LIST(X)
#undef X
};

const char *pl_reply_name(enum pl_reply_kind kind)
{
	static const char *const names[] = {
#define X(name, text) text,
		PL_REPLY_LIST(X)
#undef X
	};
	PL_ASSERT((size_t)kind < PL_COUNT(names));
	return names[kind];
}

const char *pl_fault_name(enum pl_fault fault)
{
	static const char *const names[] = {
		"none",
#define X(name, text, status) text,
		PL_FAULT_LIST(X)
#undef X
	};
	PL_ASSERT((size_t)fault < PL_COUNT(names));
	return names[fault];
}

uint16_t pl_fault_status(enum pl_fault fault)
{
	static const uint16_t statuses[] = {
#define X(name, text, status) [PL_FAULT_##name] = (status),
		PL_FAULT_LIST(X)
#undef X
	};
	PL_ASSERT(fault != PL_FAULT_NONE && (size_t)fault < PL_COUNT(statuses));
	return statuses[fault];
}

const char *const pl_audio_words[] = { "forward", "mixed", "auto", NULL };
const char *const pl_quality_words[] = { "full", "robust", "stereo", NULL };

/* ---- the fields of each request ---- */

#define AT(member) ((int)offsetof(struct pl_request, member))

enum {
	SECRET_MAX = PL_ID_TEXT_SIZE - 1,
	TOKEN_MAX = 8192,
};

static const struct pl_field resume_fields[] = {
	{ "session", PL_FIELD_STRING, true, 1, SECRET_MAX, AT(resume.session) },
	{ "ticket", PL_FIELD_STRING, true, 1, SECRET_MAX, AT(resume.ticket) },
	/* As far as a double counts: JavaScript's numbers (RFC 8259 section 6). */
	{ "n", PL_FIELD_INTEGER, true, 0, INT64_C(9007199254740991), AT(resume.n) },
	{ .name = NULL },
};
static const struct pl_field join_fields[] = {
	{ "room", PL_FIELD_LABEL, true, 1, PL_ROOM_NAME_MAX, AT(room) },
	{ "name", PL_FIELD_STRING, false, 0, PL_NAME_MAX, AT(name) },
	{ "attrs", PL_FIELD_OBJECT, false, 0, PL_ATTRS_SIZE_MAX, AT(attrs) },
	{ "audio", PL_FIELD_STRING, false, 1, 16, AT(audio) },
	{ "token", PL_FIELD_STRING, false, 0, TOKEN_MAX, AT(token) },
	{ "resume", PL_FIELD_RESUME, false, 0, 0, PL_FIELD_NOWHERE },
	{ "sdp", PL_FIELD_STRING, false, 1, PL_MESSAGE_SIZE_MAX, AT(sdp) },
	{ .name = NULL },
};
static const struct pl_field offer_fields[] = {
	{ "sdp", PL_FIELD_STRING, true, 1, PL_MESSAGE_SIZE_MAX, AT(sdp) },
	{ .name = NULL },
};
static const struct pl_field mute_fields[] = {
	{ "track", PL_FIELD_STRING, true, 1, PL_ID_TEXT_SIZE - 1, AT(track) },
	{ "on", PL_FIELD_BOOL, true, 0, 0, AT(is_on) },
	{ .name = NULL },
};
static const struct pl_field mode_fields[] = {
	{ "audio", PL_FIELD_STRING, true, 1, 16, AT(audio) },
	{ "quality", PL_FIELD_STRING, false, 1, 16, AT(quality) },
	{ .name = NULL },
};
static const struct pl_field meta_fields[] = {
	{ "name", PL_FIELD_STRING, false, 0, PL_NAME_MAX, AT(name) },
	{ "attrs", PL_FIELD_OBJECT, false, 0, PL_ATTRS_SIZE_MAX, AT(attrs) },
	{ .name = NULL },
};
static const struct pl_field data_fields[] = {
	{ "topic", PL_FIELD_STRING, true, 1, PL_TOPIC_MAX, AT(topic) },
	{ "body", PL_FIELD_ANY, true, 0, PL_DATA_SIZE_MAX, AT(body) },
	{ "to", PL_FIELD_PEERS, false, 0, PL_DATA_TO_MAX, AT(to) },
	{ .name = NULL },
};
static const struct pl_field url_fields[] = {
	{ "room", PL_FIELD_LABEL, true, 1, PL_ROOM_NAME_MAX, AT(room) },
	{ "name", PL_FIELD_STRING, false, 0, PL_NAME_MAX, AT(name) },
	{ "audio", PL_FIELD_STRING, false, 1, 16, AT(audio) },
	{ .name = NULL },
};
static const struct pl_field no_fields[] = { { .name = NULL } };

static const struct pl_field *const fields_of[PL_REQUEST_COUNT] = {
	[PL_REQUEST_JOIN] = join_fields,
	[PL_REQUEST_OFFER] = offer_fields,
	[PL_REQUEST_MUTE] = mute_fields,
	[PL_REQUEST_MODE] = mode_fields,
	[PL_REQUEST_META] = meta_fields,
	[PL_REQUEST_DATA] = data_fields,
	[PL_REQUEST_PING] = no_fields,
	[PL_REQUEST_LEAVE] = no_fields,
};

/* Before all other fields: those of another version are not ours to judge. */
static enum pl_fault check_version(const struct pl_field_parser *p, const json_t *object)
{
	static const struct pl_field version = { "v", PL_FIELD_INTEGER, true, 1, 1, PL_FIELD_NOWHERE };
	const json_t *v = json_object_get(object, "v");
	if (!json_is_integer(v))
		return pl_field_is_bad(p, "join.v", &version, v);
	if (json_integer_value(v) != 1)
		return pl_field_fail(p, PL_FAULT_UNSUPPORTED, "join.v: this server speaks version 1");
	return PL_FAULT_NONE;
}

/* Words that only some are of.  path: "join.audio".  text: NULL when absent. */
static enum pl_fault check_word(
	const struct pl_field_parser *p, const char *path, const char *text, const char *const *words)
{
	char list[64] = "";
	if (text == NULL)
		return PL_FAULT_NONE;
	for (const char *const *word = words; *word != NULL; word++) {
		if (strcmp(text, *word) == 0)
			return PL_FAULT_NONE;
		const size_t used = strlen(list);
		const char *before = word == words ? "" : word[1] != NULL ? ", " : " or ";
		snprintf(list + used, sizeof list - used, "%s\"%s\"", before, *word);
	}
	return pl_field_fail(p, PL_FAULT_BAD_FIELD, "%s: \"%s\"; it must be %s", path, text, list);
}

/* What the table of fields cannot say. */
static enum pl_fault check_join(const struct pl_field_parser *p)
{
	static const struct pl_field sdp = { "sdp", PL_FIELD_STRING, true, 1, PL_MESSAGE_SIZE_MAX, PL_FIELD_NOWHERE };
	const struct pl_request *request = p->request;
	if (request->sdp == NULL && request->resume.session == NULL)
		return pl_field_is_bad(p, "join.sdp", &sdp, NULL);
	return check_word(p, "join.audio", request->audio, pl_audio_words);
}

static enum pl_fault check_mode(const struct pl_field_parser *p)
{
	const enum pl_fault fault = check_word(p, "mode.audio", p->request->audio, pl_audio_words);
	if (fault != PL_FAULT_NONE)
		return fault;
	return check_word(p, "mode.quality", p->request->quality, pl_quality_words);
}

/* ---- one frame ---- */

/* Finds what a recursive parser of C strings should not meet: a NUL, and brackets deeper than is allowed.  Returns what it
 * is, or NULL for nothing. */
static const char *find_obstacle(struct pl_bytes text, unsigned *line, unsigned *column)
{
	_Static_assert(PL_MESSAGE_DEPTH_MAX == 16, "the sentence below says so");
	unsigned depth = 0;
	bool is_string = false;
	*line = 1;
	*column = 0;
	for (size_t i = 0; i < text.size; i++) {
		const uint8_t c = text.data[i];
		++*column;
		if (c == '\0') {
			return "a NUL byte";
		} else if (c == '\n') {
			++*line;
			*column = 0;
		} else if (is_string && c == '\\') {
			i++;
			++*column;
		} else if (c == '"') {
			is_string = !is_string;
		} else if (is_string) {
			continue;
		} else if (c == '{' || c == '[') {
			if (++depth > PL_MESSAGE_DEPTH_MAX)
				return "nested deeper than 16";
		} else if ((c == '}' || c == ']') && depth > 0) {
			depth--;
		}
	}
	return NULL;
}

static enum pl_fault load(const struct pl_field_parser *p, struct pl_bytes text, json_t **json)
{
	unsigned line, column;
	*json = NULL;
	if (text.size > PL_MESSAGE_SIZE_MAX)
		return pl_field_fail(p, PL_FAULT_TOO_LARGE, "a message has at most %d bytes", PL_MESSAGE_SIZE_MAX);
	const char *obstacle = find_obstacle(text, &line, &column);
	if (obstacle != NULL)
		return pl_field_fail(p, PL_FAULT_BAD_JSON, "line %u column %u: %s", line, column, obstacle);
	json_error_t error;
	*json = json_loadb(text.size > 0 ? (const char *)text.data : "", text.size, 0, &error);
	if (*json == NULL) {
		const enum json_error_code code = json_error_code(&error);
		const bool is_nul = code == json_error_null_character || code == json_error_null_byte_in_key;
		return pl_field_fail(p, PL_FAULT_BAD_JSON, "line %d column %d: %s", error.line, error.column,
			is_nul ? "\\u0000 in a string" : error.text);
	}
	if (json_is_object(*json))
		return PL_FAULT_NONE;
	json_decref(*json);
	*json = NULL;
	return pl_field_fail(p, PL_FAULT_BAD_JSON, "line 1 column 1: a message is an object, not an array");
}

static enum pl_fault read_id(const struct pl_field_parser *p, const json_t *object)
{
	static const struct pl_field field = { "id", PL_FIELD_INTEGER, false, 0, INT32_MAX, PL_FIELD_NOWHERE };
	const json_t *id = json_object_get(object, "id");
	if (id == NULL || json_is_null(id))
		return PL_FAULT_NONE;
	const enum pl_fault fault = pl_field_check_integer(p, "id", &field, id);
	if (fault != PL_FAULT_NONE)
		return fault;
	p->request->has_id = true;
	p->request->id = json_integer_value(id);
	return PL_FAULT_NONE;
}

static enum pl_fault read_kind(const struct pl_field_parser *p, const json_t *object)
{
	static const struct pl_field field = { "t", PL_FIELD_STRING, true, 1, 16, PL_FIELD_NOWHERE };
	const json_t *t = json_object_get(object, "t");
	if (!json_is_string(t))
		return pl_field_is_bad(p, "t", &field, t);
	for (size_t i = 0; i < PL_REQUEST_COUNT; i++) {
		if (strcmp(json_string_value(t), request_names[i]) == 0) {
			p->request->kind = (enum pl_request_kind)i;
			return PL_FAULT_NONE;
		}
	}
	return pl_field_fail(p, PL_FAULT_UNKNOWN, "t: there is no request \"%.32s\"", json_string_value(t));
}

static enum pl_fault read_request(const struct pl_field_parser *p, const json_t *object)
{
	enum pl_fault fault = read_id(p, object);
	if (fault == PL_FAULT_NONE)
		fault = read_kind(p, object);
	if (fault != PL_FAULT_NONE)
		return fault;
	const enum pl_request_kind kind = p->request->kind;
	if (kind == PL_REQUEST_JOIN)
		fault = check_version(p, object);
	if (fault == PL_FAULT_NONE)
		fault = pl_fields_read(p, request_names[kind], fields_of[kind], object);
	if (fault == PL_FAULT_NONE && kind == PL_REQUEST_JOIN)
		fault = check_join(p);
	if (fault == PL_FAULT_NONE && kind == PL_REQUEST_MODE)
		fault = check_mode(p);
	return fault;
}

enum pl_fault pl_request_parse(struct pl_bytes text, struct pl_request *request, char *message, size_t message_size)
{
	PL_ASSERT(message_size > 0);
	*request = (struct pl_request){ .has_id = false };
	message[0] = '\0';
	const struct pl_field_parser p = { request, message, message_size, resume_fields };
	json_t *json;
	enum pl_fault fault = load(&p, text, &json);
	if (fault != PL_FAULT_NONE)
		return fault;
	fault = read_request(&p, json);
	if (fault == PL_FAULT_NONE) {
		request->json = json;
		return PL_FAULT_NONE;
	}
	json_decref(json);
	/* Views into what is gone now would be traps. */
	*request = (struct pl_request){ .has_id = request->has_id, .id = request->id, .kind = request->kind };
	return fault;
}

/* False: not UTF-8, or a NUL in it, which no JSON would have brought either.  Absent (data NULL) is fine. */
static bool set_text(json_t *object, const char *key, struct pl_bytes text)
{
	if (text.data == NULL)
		return true;
	if (text.size > 0 && memchr(text.data, '\0', text.size) != NULL)
		return false;
	return json_object_set_new(object, key, json_stringn((const char *)text.data, text.size)) == 0;
}

enum pl_fault pl_request_from_url(
	const struct pl_request_url *url, struct pl_request *request, char *message, size_t message_size)
{
	PL_ASSERT(message_size > 0);
	*request = (struct pl_request){ .kind = PL_REQUEST_JOIN };
	message[0] = '\0';
	const struct pl_field_parser p = { request, message, message_size, resume_fields };
	json_t *json = json_object();
	PL_ASSERT(json != NULL);
	enum pl_fault fault;
	if (!set_text(json, "room", url->room) || !set_text(json, "name", url->name) ||
		!set_text(json, "audio", url->audio))
		fault = pl_field_fail(&p, PL_FAULT_BAD_FIELD, "url: the room, the name and audio must be UTF-8");
	else
		fault = pl_fields_read(&p, "url", url_fields, json);
	if (fault == PL_FAULT_NONE)
		fault = check_word(&p, "url.audio", request->audio, pl_audio_words);
	if (fault == PL_FAULT_NONE) {
		request->json = json;
		return PL_FAULT_NONE;
	}
	json_decref(json);
	*request = (struct pl_request){ .kind = PL_REQUEST_JOIN };
	return fault;
}

void pl_request_fini(struct pl_request *request)
{
	json_decref(request->json);
	*request = (struct pl_request){ .has_id = false };
}
