/* Reads an object of JSON by a table of its fields: what each has to be, and where it goes.  What is wrong becomes a
 * sentence for the client that names the field, what stands there and what must.  A part of message.c.
 * No socket, no clock, no thread.  Thread: signaling. */
#ifndef PL_SIGNALING_MESSAGE_FIELDS_H
#define PL_SIGNALING_MESSAGE_FIELDS_H

#include <jansson.h>

#include "signaling/message.h"

enum pl_field_kind {
	PL_FIELD_STRING, /* min-max bytes of UTF-8 */
	PL_FIELD_LABEL,  /* the same, without control characters */
	PL_FIELD_BOOL,
	PL_FIELD_INTEGER, /* min-max */
	PL_FIELD_OBJECT,  /* at most max bytes as JSON */
	PL_FIELD_ANY,     /* at most max bytes as JSON */
	PL_FIELD_PEERS,   /* an array of at most max strings */
	PL_FIELD_RESUME,  /* an object of the parser's resume */
};

enum { PL_FIELD_NOWHERE = -1 }; /* checked, not kept */

struct pl_field {
	const char *name; /* NULL: the end of the table */
	enum pl_field_kind kind;
	bool is_required;
	int64_t min, max;
	int offset; /* into struct pl_request, or PL_FIELD_NOWHERE */
};

struct pl_field_parser {
	struct pl_request *request;
	char *message; /* the sentence */
	size_t message_size;
	const struct pl_field *resume; /* the fields of a PL_FIELD_RESUME */
};

/* Writes the sentence and returns fault.  What was quoted from the client becomes ASCII: a cut inside a character, or
 * a byte that is none, must not make our own answer unreadable. */
PL_PRINTF(3, 4)
enum pl_fault pl_field_fail(const struct pl_field_parser *p, enum pl_fault fault, const char *format, ...);

/* path: "join.room".  found: what stands there instead; NULL is "missing". */
enum pl_fault pl_field_is_bad(
	const struct pl_field_parser *p, const char *path, const struct pl_field *field, const json_t *found);

/* PL_FAULT_NONE: value is an integer of the field's range. */
PL_MUST_USE enum pl_fault pl_field_check_integer(
	const struct pl_field_parser *p, const char *path, const struct pl_field *field, const json_t *value);

/* Reads the fields of object, which is called path in sentences, into p->request: views into object. */
PL_MUST_USE enum pl_fault pl_fields_read(
	const struct pl_field_parser *p, const char *path, const struct pl_field *fields, const json_t *object);

#endif
