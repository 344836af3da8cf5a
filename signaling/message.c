#include "signaling/message.h"

#include <stdarg.h>
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
#define X(name, text) text,
		PL_FAULT_LIST(X)
#undef X
	};
	PL_ASSERT((size_t)fault < PL_COUNT(names));
	return names[fault];
}

/* ---- the fields of each request ---- */

enum field_kind {
	FIELD_STRING, /* min-max bytes of UTF-8 */
	FIELD_LABEL,  /* the same, without control characters */
	FIELD_BOOL,
	FIELD_INTEGER, /* min-max */
	FIELD_OBJECT,  /* at most max bytes as JSON */
	FIELD_ANY,     /* at most max bytes as JSON */
	FIELD_PEERS,   /* an array of at most max strings */
	FIELD_RESUME,
};

enum { NOWHERE = -1 }; /* checked, not kept */

struct field {
	const char *name;
	enum field_kind kind;
	bool is_required;
	int64_t min, max;
	int offset; /* into struct pl_request, or NOWHERE */
};

#define AT(member) ((int)offsetof(struct pl_request, member))

enum {
	SECRET_MAX = PL_ID_TEXT_SIZE - 1,
	TOKEN_MAX = 8192,
	FOUND_SIZE = 96,
};

static const struct field resume_fields[] = {
	{ "session", FIELD_STRING, true, 1, SECRET_MAX, AT(resume.session) },
	{ "ticket", FIELD_STRING, true, 1, SECRET_MAX, AT(resume.ticket) },
	/* As far as a double counts: JavaScript's numbers (RFC 8259 section 6). */
	{ "n", FIELD_INTEGER, true, 0, INT64_C(9007199254740991), AT(resume.n) },
	{ .name = NULL },
};
static const struct field join_fields[] = {
	{ "room", FIELD_LABEL, true, 1, PL_ROOM_NAME_MAX, AT(room) },
	{ "name", FIELD_STRING, false, 0, PL_NAME_MAX, AT(name) },
	{ "attrs", FIELD_OBJECT, false, 0, PL_ATTRS_SIZE_MAX, AT(attrs) },
	{ "audio", FIELD_STRING, false, 1, 16, AT(audio) },
	{ "token", FIELD_STRING, false, 0, TOKEN_MAX, NOWHERE },
	{ "resume", FIELD_RESUME, false, 0, 0, NOWHERE },
	{ "sdp", FIELD_STRING, false, 1, PL_MESSAGE_SIZE_MAX, AT(sdp) },
	{ .name = NULL },
};
static const struct field offer_fields[] = {
	{ "sdp", FIELD_STRING, true, 1, PL_MESSAGE_SIZE_MAX, AT(sdp) },
	{ .name = NULL },
};
static const struct field mute_fields[] = {
	{ "track", FIELD_STRING, true, 1, PL_ID_TEXT_SIZE - 1, AT(track) },
	{ "on", FIELD_BOOL, true, 0, 0, AT(is_on) },
	{ .name = NULL },
};
static const struct field meta_fields[] = {
	{ "name", FIELD_STRING, false, 0, PL_NAME_MAX, AT(name) },
	{ "attrs", FIELD_OBJECT, false, 0, PL_ATTRS_SIZE_MAX, AT(attrs) },
	{ .name = NULL },
};
static const struct field data_fields[] = {
	{ "topic", FIELD_STRING, true, 1, PL_TOPIC_MAX, AT(topic) },
	{ "body", FIELD_ANY, true, 0, PL_DATA_SIZE_MAX, AT(body) },
	{ "to", FIELD_PEERS, false, 0, PL_DATA_TO_MAX, AT(to) },
	{ .name = NULL },
};
static const struct field url_fields[] = {
	{ "room", FIELD_LABEL, true, 1, PL_ROOM_NAME_MAX, AT(room) },
	{ "name", FIELD_STRING, false, 0, PL_NAME_MAX, AT(name) },
	{ .name = NULL },
};
static const struct field no_fields[] = { { .name = NULL } };

static const struct field *const fields_of[PL_REQUEST_COUNT] = {
	[PL_REQUEST_JOIN] = join_fields,
	[PL_REQUEST_OFFER] = offer_fields,
	[PL_REQUEST_MUTE] = mute_fields,
	[PL_REQUEST_META] = meta_fields,
	[PL_REQUEST_DATA] = data_fields,
	[PL_REQUEST_PING] = no_fields,
	[PL_REQUEST_LEAVE] = no_fields,
};

/* ---- sentences for the client ---- */

struct parser {
	struct pl_request *request;
	char *message;
	size_t message_size;
};

/* Writes the sentence and returns fault.  What was quoted from the client becomes ASCII: a cut inside a character, or
 * a byte that is none, must not make our own answer unreadable. */
PL_PRINTF(3, 4)
static enum pl_fault fail(const struct parser *p, enum pl_fault fault, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(p->message, p->message_size, format, args);
	va_end(args);
	for (char *at = p->message; *at != '\0'; at++) {
		const uint8_t c = (uint8_t)*at;
		if (c < 0x20 || c >= 0x7f)
			*at = '?';
	}
	return fault;
}

static const char *type_name(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
		return "an integer";
	case JSON_REAL:
		return "a number with a fraction or an exponent";
	case JSON_TRUE:
		return "true";
	case JSON_FALSE:
		return "false";
	case JSON_NULL:
		break;
	}
	return "null";
}

/* What a field takes, as the end of a sentence. */
static const char *accepted(const struct field *field, char text[static 96])
{
	const long long min = field->min, max = field->max;
	switch (field->kind) {
	case FIELD_STRING:
		snprintf(text, 96, "a string of %lld to %lld bytes", min, max);
		break;
	case FIELD_LABEL:
		snprintf(text, 96, "a string of %lld to %lld bytes without control characters", min, max);
		break;
	case FIELD_BOOL:
		snprintf(text, 96, "true or false");
		break;
	case FIELD_INTEGER:
		if (min == max)
			snprintf(text, 96, "%lld", min);
		else
			snprintf(text, 96, "an integer from %lld to %lld", min, max);
		break;
	case FIELD_OBJECT:
		snprintf(text, 96, "an object of at most %lld bytes as JSON", max);
		break;
	case FIELD_ANY:
		snprintf(text, 96, "any JSON of at most %lld bytes", max);
		break;
	case FIELD_PEERS:
		snprintf(text, 96, "an array of at most %lld peer ids", max);
		break;
	case FIELD_RESUME:
		snprintf(text, 96, "an object {session, ticket, n}");
		break;
	}
	return text;
}

/* path: "join.room".  found: what stands there instead. */
static enum pl_fault bad_field(const struct parser *p, const char *path, const struct field *field, const char *found)
{
	char text[96];
	return fail(p, PL_FAULT_BAD_FIELD, "%s: %s; it must be %s", path, found, accepted(field, text));
}

/* ---- checks ---- */

/* The controls of ASCII and of Latin-1 (U+0080 to U+009F, in UTF-8 C2 80 to C2 9F). */
static bool has_control(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		const uint8_t c = (uint8_t)text[i];
		if (c < 0x20 || c == 0x7f)
			return true;
		if (c == 0xc2 && i + 1 < size && (uint8_t)text[i + 1] < 0xa0)
			return true;
	}
	return false;
}

static enum pl_fault check_string(
	const struct parser *p, const char *path, const struct field *field, const json_t *value)
{
	char found[FOUND_SIZE];
	const size_t size = json_string_length(value);
	if (size < (size_t)field->min || size > (size_t)field->max) {
		snprintf(found, sizeof found, "%zu bytes", size);
		return bad_field(p, path, field, found);
	}
	if (field->kind == FIELD_LABEL && has_control(json_string_value(value), size))
		return bad_field(p, path, field, "a string with a control character");
	return PL_FAULT_NONE;
}

static enum pl_fault check_json_size(
	const struct parser *p, const char *path, const struct field *field, const json_t *value)
{
	const size_t size = json_dumpb(value, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
	if (size <= (size_t)field->max)
		return PL_FAULT_NONE;
	char found[FOUND_SIZE];
	snprintf(found, sizeof found, "%zu bytes as JSON", size);
	return bad_field(p, path, field, found);
}

static enum pl_fault check_peers(
	const struct parser *p, const char *path, const struct field *field, const json_t *value)
{
	char found[FOUND_SIZE];
	if (json_array_size(value) > (size_t)field->max) {
		snprintf(found, sizeof found, "an array of %zu", json_array_size(value));
		return bad_field(p, path, field, found);
	}
	for (size_t i = 0; i < json_array_size(value); i++) {
		const json_t *peer = json_array_get(value, i);
		if (json_is_string(peer))
			continue;
		snprintf(found, sizeof found, "%s at place %zu", type_name(peer), i);
		return bad_field(p, path, field, found);
	}
	return PL_FAULT_NONE;
}

static bool has_type(const struct field *field, const json_t *value)
{
	switch (field->kind) {
	case FIELD_STRING:
	case FIELD_LABEL:
		return json_is_string(value);
	case FIELD_BOOL:
		return json_is_boolean(value);
	case FIELD_INTEGER:
		return json_is_integer(value);
	case FIELD_OBJECT:
	case FIELD_RESUME:
		return json_is_object(value);
	case FIELD_PEERS:
		return json_is_array(value);
	case FIELD_ANY:
		break;
	}
	return true;
}

static enum pl_fault check_range(
	const struct parser *p, const char *path, const struct field *field, const json_t *value)
{
	char found[FOUND_SIZE];
	switch (field->kind) {
	case FIELD_STRING:
	case FIELD_LABEL:
		return check_string(p, path, field, value);
	case FIELD_INTEGER:
		if (json_integer_value(value) >= field->min && json_integer_value(value) <= field->max)
			return PL_FAULT_NONE;
		snprintf(found, sizeof found, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		return bad_field(p, path, field, found);
	case FIELD_OBJECT:
	case FIELD_ANY:
		return check_json_size(p, path, field, value);
	case FIELD_PEERS:
		return check_peers(p, path, field, value);
	case FIELD_BOOL:
	case FIELD_RESUME:
		break;
	}
	return PL_FAULT_NONE;
}

static void store(struct pl_request *request, const struct field *field, json_t *value)
{
	if (field->offset == NOWHERE)
		return;
	void *place = (char *)request + field->offset;
	switch (field->kind) {
	case FIELD_STRING:
	case FIELD_LABEL:
		*(const char **)place = json_string_value(value);
		break;
	case FIELD_BOOL:
		*(bool *)place = json_is_true(value);
		break;
	case FIELD_INTEGER:
		*(int64_t *)place = json_integer_value(value);
		break;
	case FIELD_OBJECT:
	case FIELD_ANY:
	case FIELD_PEERS:
	case FIELD_RESUME:
		*(json_t **)place = value;
		break;
	}
}

/* Reads the fields of object, which is called path in sentences. */
static enum pl_fault read_fields(
	const struct parser *p, const char *path, const struct field *fields, const json_t *object)
{
	for (const struct field *field = fields; field->name != NULL; field++) {
		char name[64];
		snprintf(name, sizeof name, "%s.%s", path, field->name);
		json_t *value = json_object_get(object, field->name);
		/* JSON.stringify writes null for what JavaScript calls nothing: an optional field is absent then. */
		const bool is_absent = value == NULL || (json_is_null(value) && field->kind != FIELD_ANY);
		if (is_absent && !field->is_required)
			continue;
		if (value == NULL)
			return bad_field(p, name, field, "missing");
		if (!has_type(field, value))
			return bad_field(p, name, field, type_name(value));
		enum pl_fault fault = check_range(p, name, field, value);
		if (fault == PL_FAULT_NONE && field->kind == FIELD_RESUME)
			fault = read_fields(p, name, resume_fields, value);
		if (fault != PL_FAULT_NONE)
			return fault;
		store(p->request, field, value);
	}
	return PL_FAULT_NONE;
}

/* Before all other fields: those of another version are not ours to judge. */
static enum pl_fault check_version(const struct parser *p, const json_t *object)
{
	static const struct field version = { "v", FIELD_INTEGER, true, 1, 1, NOWHERE };
	const json_t *v = json_object_get(object, "v");
	if (!json_is_integer(v))
		return bad_field(p, "join.v", &version, v == NULL ? "missing" : type_name(v));
	if (json_integer_value(v) != 1)
		return fail(p, PL_FAULT_UNSUPPORTED, "join.v: this server speaks version 1");
	return PL_FAULT_NONE;
}

/* What the table of fields cannot say about a join. */
static enum pl_fault check_join(const struct parser *p)
{
	static const struct field sdp = { "sdp", FIELD_STRING, true, 1, PL_MESSAGE_SIZE_MAX, NOWHERE };
	const struct pl_request *request = p->request;
	if (request->sdp == NULL && request->resume.session == NULL)
		return bad_field(p, "join.sdp", &sdp, "missing");
	if (request->audio == NULL || strcmp(request->audio, "forward") == 0)
		return PL_FAULT_NONE;
	if (strcmp(request->audio, "mixed") == 0 || strcmp(request->audio, "auto") == 0)
		return fail(
			p, PL_FAULT_UNSUPPORTED, "join.audio: this server does not mix, \"forward\" is what it has");
	return fail(p, PL_FAULT_BAD_FIELD, "join.audio: \"%s\"; it must be \"forward\", \"mixed\" or \"auto\"",
		request->audio);
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

static enum pl_fault load(const struct parser *p, struct pl_bytes text, json_t **json)
{
	unsigned line, column;
	*json = NULL;
	if (text.size > PL_MESSAGE_SIZE_MAX)
		return fail(p, PL_FAULT_TOO_LARGE, "a message has at most %d bytes", PL_MESSAGE_SIZE_MAX);
	const char *obstacle = find_obstacle(text, &line, &column);
	if (obstacle != NULL)
		return fail(p, PL_FAULT_BAD_JSON, "line %u column %u: %s", line, column, obstacle);
	json_error_t error;
	*json = json_loadb(text.size > 0 ? (const char *)text.data : "", text.size, 0, &error);
	if (*json == NULL) {
		const enum json_error_code code = json_error_code(&error);
		const bool is_nul = code == json_error_null_character || code == json_error_null_byte_in_key;
		return fail(p, PL_FAULT_BAD_JSON, "line %d column %d: %s", error.line, error.column,
			is_nul ? "\\u0000 in a string" : error.text);
	}
	if (json_is_object(*json))
		return PL_FAULT_NONE;
	json_decref(*json);
	*json = NULL;
	return fail(p, PL_FAULT_BAD_JSON, "line 1 column 1: a message is an object, not an array");
}

static enum pl_fault read_id(const struct parser *p, const json_t *object)
{
	static const struct field field = { "id", FIELD_INTEGER, false, 0, INT32_MAX, NOWHERE };
	const json_t *id = json_object_get(object, "id");
	if (id == NULL || json_is_null(id))
		return PL_FAULT_NONE;
	if (!json_is_integer(id))
		return bad_field(p, "id", &field, type_name(id));
	const enum pl_fault fault = check_range(p, "id", &field, id);
	if (fault != PL_FAULT_NONE)
		return fault;
	p->request->has_id = true;
	p->request->id = json_integer_value(id);
	return PL_FAULT_NONE;
}

static enum pl_fault read_kind(const struct parser *p, const json_t *object)
{
	static const struct field field = { "t", FIELD_STRING, true, 1, 16, NOWHERE };
	const json_t *t = json_object_get(object, "t");
	if (!json_is_string(t))
		return bad_field(p, "t", &field, t == NULL ? "missing" : type_name(t));
	for (size_t i = 0; i < PL_REQUEST_COUNT; i++) {
		if (strcmp(json_string_value(t), request_names[i]) == 0) {
			p->request->kind = (enum pl_request_kind)i;
			return PL_FAULT_NONE;
		}
	}
	return fail(p, PL_FAULT_UNKNOWN, "t: there is no request \"%.32s\"", json_string_value(t));
}

static enum pl_fault read_request(const struct parser *p, const json_t *object)
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
		fault = read_fields(p, request_names[kind], fields_of[kind], object);
	if (fault == PL_FAULT_NONE && kind == PL_REQUEST_JOIN)
		fault = check_join(p);
	return fault;
}

enum pl_fault pl_request_parse(struct pl_bytes text, struct pl_request *request, char *message, size_t message_size)
{
	PL_ASSERT(message_size > 0);
	*request = (struct pl_request){ .has_id = false };
	message[0] = '\0';
	const struct parser p = { request, message, message_size };
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

/* False: not UTF-8, or a NUL in it, which no JSON would have brought either. */
static bool set_text(json_t *object, const char *key, struct pl_bytes text)
{
	const char *bytes = text.size > 0 ? (const char *)text.data : "";
	if (memchr(bytes, '\0', text.size) != NULL)
		return false;
	return json_object_set_new(object, key, json_stringn(bytes, text.size)) == 0;
}

enum pl_fault pl_request_from_url(struct pl_bytes room, struct pl_bytes name, struct pl_request *request, char *message,
	size_t message_size)
{
	PL_ASSERT(message_size > 0);
	*request = (struct pl_request){ .kind = PL_REQUEST_JOIN };
	message[0] = '\0';
	const struct parser p = { request, message, message_size };
	json_t *json = json_object();
	PL_ASSERT(json != NULL);
	enum pl_fault fault;
	if (!set_text(json, "room", room) || (name.data != NULL && !set_text(json, "name", name)))
		fault = fail(&p, PL_FAULT_BAD_FIELD, "url: the room and the name must be UTF-8");
	else
		fault = read_fields(&p, "url", url_fields, json);
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
