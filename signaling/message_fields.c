#include "signaling/message_fields.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { FOUND_SIZE = 96 };

/* ---- sentences for the client ---- */

enum pl_fault pl_field_fail(const struct pl_field_parser *p, enum pl_fault fault, const char *format, ...)
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
static const char *accepted(const struct pl_field *field, char text[static 96])
{
	const long long min = field->min, max = field->max;
	switch (field->kind) {
	case PL_FIELD_STRING:
		snprintf(text, 96, "a string of %lld to %lld bytes", min, max);
		break;
	case PL_FIELD_LABEL:
		snprintf(text, 96, "a string of %lld to %lld bytes without control characters", min, max);
		break;
	case PL_FIELD_BOOL:
		snprintf(text, 96, "true or false");
		break;
	case PL_FIELD_INTEGER:
		if (min == max)
			snprintf(text, 96, "%lld", min);
		else
			snprintf(text, 96, "an integer from %lld to %lld", min, max);
		break;
	case PL_FIELD_OBJECT:
		snprintf(text, 96, "an object of at most %lld bytes as JSON", max);
		break;
	case PL_FIELD_ANY:
		snprintf(text, 96, "any JSON of at most %lld bytes", max);
		break;
	case PL_FIELD_PEERS:
		snprintf(text, 96, "an array of at most %lld peer ids", max);
		break;
	case PL_FIELD_RESUME:
		snprintf(text, 96, "an object {session, ticket, n}");
		break;
	}
	return text;
}

static enum pl_fault bad_field(
	const struct pl_field_parser *p, const char *path, const struct pl_field *field, const char *found)
{
	char text[96];
	return pl_field_fail(p, PL_FAULT_BAD_FIELD, "%s: %s; it must be %s", path, found, accepted(field, text));
}

enum pl_fault pl_field_is_bad(
	const struct pl_field_parser *p, const char *path, const struct pl_field *field, const json_t *found)
{
	return bad_field(p, path, field, found == NULL ? "missing" : type_name(found));
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
	const struct pl_field_parser *p, const char *path, const struct pl_field *field, const json_t *value)
{
	char found[FOUND_SIZE];
	const size_t size = json_string_length(value);
	if (size < (size_t)field->min || size > (size_t)field->max) {
		snprintf(found, sizeof found, "%zu bytes", size);
		return bad_field(p, path, field, found);
	}
	if (field->kind == PL_FIELD_LABEL && has_control(json_string_value(value), size))
		return bad_field(p, path, field, "a string with a control character");
	return PL_FAULT_NONE;
}

static enum pl_fault check_json_size(
	const struct pl_field_parser *p, const char *path, const struct pl_field *field, const json_t *value)
{
	const size_t size = json_dumpb(value, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
	if (size <= (size_t)field->max)
		return PL_FAULT_NONE;
	char found[FOUND_SIZE];
	snprintf(found, sizeof found, "%zu bytes as JSON", size);
	return bad_field(p, path, field, found);
}

static enum pl_fault check_peers(
	const struct pl_field_parser *p, const char *path, const struct pl_field *field, const json_t *value)
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

static bool has_type(const struct pl_field *field, const json_t *value)
{
	switch (field->kind) {
	case PL_FIELD_STRING:
	case PL_FIELD_LABEL:
		return json_is_string(value);
	case PL_FIELD_BOOL:
		return json_is_boolean(value);
	case PL_FIELD_INTEGER:
		return json_is_integer(value);
	case PL_FIELD_OBJECT:
	case PL_FIELD_RESUME:
		return json_is_object(value);
	case PL_FIELD_PEERS:
		return json_is_array(value);
	case PL_FIELD_ANY:
		break;
	}
	return true;
}

static enum pl_fault check_range(
	const struct pl_field_parser *p, const char *path, const struct pl_field *field, const json_t *value)
{
	char found[FOUND_SIZE];
	switch (field->kind) {
	case PL_FIELD_STRING:
	case PL_FIELD_LABEL:
		return check_string(p, path, field, value);
	case PL_FIELD_INTEGER:
		if (json_integer_value(value) >= field->min && json_integer_value(value) <= field->max)
			return PL_FAULT_NONE;
		snprintf(found, sizeof found, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		return bad_field(p, path, field, found);
	case PL_FIELD_OBJECT:
	case PL_FIELD_ANY:
		return check_json_size(p, path, field, value);
	case PL_FIELD_PEERS:
		return check_peers(p, path, field, value);
	case PL_FIELD_BOOL:
	case PL_FIELD_RESUME:
		break;
	}
	return PL_FAULT_NONE;
}

static void store(struct pl_request *request, const struct pl_field *field, json_t *value)
{
	if (field->offset == PL_FIELD_NOWHERE)
		return;
	void *place = (char *)request + field->offset;
	switch (field->kind) {
	case PL_FIELD_STRING:
	case PL_FIELD_LABEL:
		*(const char **)place = json_string_value(value);
		break;
	case PL_FIELD_BOOL:
		*(bool *)place = json_is_true(value);
		break;
	case PL_FIELD_INTEGER:
		*(int64_t *)place = json_integer_value(value);
		break;
	case PL_FIELD_OBJECT:
	case PL_FIELD_ANY:
	case PL_FIELD_PEERS:
	case PL_FIELD_RESUME:
		*(json_t **)place = value;
		break;
	}
}

enum pl_fault pl_field_check_integer(
	const struct pl_field_parser *p, const char *path, const struct pl_field *field, const json_t *value)
{
	return json_is_integer(value) ? check_range(p, path, field, value) : pl_field_is_bad(p, path, field, value);
}

enum pl_fault pl_fields_read(
	const struct pl_field_parser *p, const char *path, const struct pl_field *fields, const json_t *object)
{
	for (const struct pl_field *field = fields; field->name != NULL; field++) {
		char name[64];
		snprintf(name, sizeof name, "%s.%s", path, field->name);
		json_t *value = json_object_get(object, field->name);
		/* JSON.stringify writes null for what JavaScript calls nothing: an optional field is absent then. */
		const bool is_absent = value == NULL || (json_is_null(value) && field->kind != PL_FIELD_ANY);
		if (is_absent && !field->is_required)
			continue;
		if (value == NULL || !has_type(field, value))
			return pl_field_is_bad(p, name, field, value);
		enum pl_fault fault = check_range(p, name, field, value);
		if (fault == PL_FAULT_NONE && field->kind == PL_FIELD_RESUME)
			fault = pl_fields_read(p, name, p->resume, value);
		if (fault != PL_FAULT_NONE)
			return fault;
		store(p->request, field, value);
	}
	return PL_FAULT_NONE;
}
