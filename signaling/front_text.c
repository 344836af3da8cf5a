#include "signaling/front_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_FIRST = 256 };

struct pl_front_text *pl_front_text_hold(struct pl_front_text *text)
{
	text->references++;
	return text;
}

void pl_front_text_release(struct pl_front_text *text)
{
	if (text != NULL && --text->references == 0)
		free(text);
}

static void reserve(struct pl_front_writer *w, size_t more)
{
	size_t capacity = w->capacity > 0 ? w->capacity : CAPACITY_FIRST;
	const size_t size = w->text != NULL ? w->text->size : 0;
	while (capacity < size + more)
		capacity *= 2;
	if (capacity == w->capacity)
		return;
	PL_ASSERT(capacity <= UINT32_MAX);
	w->text = realloc(w->text, sizeof *w->text + capacity);
	PL_ASSERT(w->text != NULL);
	w->capacity = capacity;
}

static void put(struct pl_front_writer *w, const char *bytes, size_t size)
{
	reserve(w, size);
	if (size > 0)
		memcpy(w->text->data + w->text->size, bytes, size);
	w->text->size += (uint32_t)size;
}

/* Whatever follows an opened bracket is the first there; everything else needs a comma. */
static void put_key(struct pl_front_writer *w, const char *key)
{
	const char last = w->text->size > 0 ? w->text->data[w->text->size - 1] : '[';
	if (last != '{' && last != '[')
		put(w, ",", 1);
	if (key == NULL)
		return;
	put(w, "\"", 1);
	put(w, key, strlen(key));
	put(w, "\":", 2);
}

void pl_front_write_begin_part(struct pl_front_writer *w)
{
	*w = (struct pl_front_writer){ .text = NULL };
	reserve(w, 0);
	*w->text = (struct pl_front_text){ .references = 1 };
}

void pl_front_write_begin(struct pl_front_writer *w, const char *t)
{
	pl_front_write_begin_part(w);
	put(w, "{", 1);
	pl_front_write_string(w, "t", t);
}

struct pl_front_text *pl_front_write_end_part(struct pl_front_writer *w)
{
	struct pl_front_text *text = w->text;
	/* Events are kept for minutes: give back what they do not need. */
	struct pl_front_text *fitting = realloc(text, sizeof *text + text->size);
	*w = (struct pl_front_writer){ .text = NULL };
	return fitting != NULL ? fitting : text;
}

struct pl_front_text *pl_front_write_end(struct pl_front_writer *w)
{
	put(w, "}", 1);
	return pl_front_write_end_part(w);
}

void pl_front_write_open(struct pl_front_writer *w, const char *key, char bracket)
{
	put_key(w, key);
	put(w, &bracket, 1);
}

void pl_front_write_close(struct pl_front_writer *w, char bracket)
{
	put(w, &bracket, 1);
}

/* RFC 8259 section 7: quotation mark, backslash and the controls must be escaped, nothing else. */
static void put_escaped(struct pl_front_writer *w, const char *value)
{
	const char *from = value;
	for (const char *at = value;; at++) {
		const unsigned char c = (unsigned char)*at;
		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		put(w, from, (size_t)(at - from));
		from = at + 1;
		char escape[8];
		if (c == '\0')
			return;
		if (c == '"' || c == '\\')
			snprintf(escape, sizeof escape, "\\%c", c);
		else if (c == '\n')
			snprintf(escape, sizeof escape, "\\n");
		else if (c == '\r')
			snprintf(escape, sizeof escape, "\\r");
		else
			snprintf(escape, sizeof escape, "\\u%04x", c);
		put(w, escape, strlen(escape));
	}
}

void pl_front_write_string(struct pl_front_writer *w, const char *key, const char *value)
{
	put_key(w, key);
	if (value == NULL) {
		put(w, "null", 4);
		return;
	}
	put(w, "\"", 1);
	put_escaped(w, value);
	put(w, "\"", 1);
}

void pl_front_write_int(struct pl_front_writer *w, const char *key, int64_t value)
{
	char digits[24];
	put_key(w, key);
	put(w, digits, (size_t)snprintf(digits, sizeof digits, "%" PRId64, value));
}

void pl_front_write_bool(struct pl_front_writer *w, const char *key, bool value)
{
	put_key(w, key);
	put(w, value ? "true" : "false", value ? 4 : 5);
}

static int put_dumped(const char *bytes, size_t size, void *writer)
{
	put(writer, bytes, size);
	return 0;
}

void pl_front_write_json(struct pl_front_writer *w, const char *key, const json_t *value)
{
	put_key(w, key);
	const int failed = json_dump_callback(value, put_dumped, w, JSON_COMPACT | JSON_ENCODE_ANY);
	PL_ASSERT(failed == 0);
}

void pl_front_write_raw(struct pl_front_writer *w, const char *key, const char *json, size_t size)
{
	put_key(w, key);
	put(w, json, size);
}

void pl_front_write_bytes(struct pl_front_writer *w, const char *bytes, size_t size)
{
	put(w, bytes, size);
}

void pl_front_write_gap(struct pl_front_writer *w)
{
	put_key(w, "n");
	w->text->gap = w->text->size;
}
