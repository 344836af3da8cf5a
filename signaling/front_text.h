/* The JSON that the front sends: written field by field, and shared by all who get it.  An event differs between its
 * receivers in one number only, n: the text has a gap there, which is filled when it is sent, so that telling a room
 * of a thousand writes the JSON once.
 * Allocates; memory that the system refuses ends the process: sizes are bounded, and half a roster helps nobody.
 * Pure.  Thread: signaling. */
#ifndef PL_SIGNALING_FRONT_TEXT_H
#define PL_SIGNALING_FRONT_TEXT_H

#include <jansson.h>

#include "media/base.h"

/* A finished text.  Counted: everybody who keeps it holds a reference. */
struct pl_front_text {
	uint32_t references;
	uint32_t size; /* of data, without the gap */
	uint32_t gap;  /* where n's digits go; 0: no gap */
	bool may_wait; /* see struct pl_front_output */
	char data[];
};

struct pl_front_text *pl_front_text_hold(struct pl_front_text *text);
void pl_front_text_release(struct pl_front_text *text);

/* A text being written.  Commas come by themselves; keys are NULL inside an array. */
struct pl_front_writer {
	struct pl_front_text *text;
	size_t capacity;
};

/* Begins {"t":t. */
void pl_front_write_begin(struct pl_front_writer *w, const char *t);
/* Begins empty, for a part that others copy in with pl_front_write_raw. */
void pl_front_write_begin_part(struct pl_front_writer *w);
/* Closes the object that pl_front_write_begin opened.  The caller's reference is the only one. */
struct pl_front_text *pl_front_write_end(struct pl_front_writer *w);
/* The same for a part: nothing is closed. */
struct pl_front_text *pl_front_write_end_part(struct pl_front_writer *w);

void pl_front_write_open(struct pl_front_writer *w, const char *key, char bracket);        /* '{' or '[' */
void pl_front_write_close(struct pl_front_writer *w, char bracket);                        /* '}' or ']' */
void pl_front_write_string(struct pl_front_writer *w, const char *key, const char *value); /* UTF-8; NULL: null */
void pl_front_write_int(struct pl_front_writer *w, const char *key, int64_t value);
void pl_front_write_bool(struct pl_front_writer *w, const char *key, bool value);
void pl_front_write_json(struct pl_front_writer *w, const char *key, const json_t *value);
/* size bytes that are JSON already. */
void pl_front_write_raw(struct pl_front_writer *w, const char *key, const char *json, size_t size);
/* size bytes as they are, without a key or a comma. */
void pl_front_write_bytes(struct pl_front_writer *w, const char *bytes, size_t size);
/* "n": and the gap. */
void pl_front_write_gap(struct pl_front_writer *w);

#endif
