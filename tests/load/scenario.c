#include "tests/load/scenario.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <yaml.h>

struct reader {
	struct load_options *options;
	const char *path;
	char *error; /* of LOAD_ERROR_SIZE */
	yaml_parser_t parser;
	yaml_event_t event;
	size_t line_of[LOAD_KEYS_MAX]; /* by the number of the key; 0: not set yet */
};

PL_PRINTF(2, 3) static bool fail(struct reader *r, const char *format, ...)
{
	const size_t line = r->event.type != YAML_NO_EVENT ? r->event.start_mark.line : r->parser.problem_mark.line;
	const int used = snprintf(r->error, LOAD_ERROR_SIZE, "%.120s:%zu: ", r->path, line + 1);
	va_list args;
	va_start(args, format);
	vsnprintf(r->error + used, (size_t)(LOAD_ERROR_SIZE - used), format, args);
	va_end(args);
	return false;
}

static bool next(struct reader *r)
{
	yaml_event_delete(&r->event);
	if (yaml_parser_parse(&r->parser, &r->event) == 1)
		return true;
	r->event.type = YAML_NO_EVENT;
	return fail(r, "not YAML: %s", r->parser.problem != NULL ? r->parser.problem : "unreadable");
}

/* Takes the next event as text into a string.  False, with a sentence, when it is anything else. */
static bool take_text(struct reader *r, const char *what, char text[static LOAD_TEXT_SIZE])
{
	if (r->event.type != YAML_SCALAR_EVENT || r->event.data.scalar.length >= LOAD_TEXT_SIZE)
		return fail(r, "%s has to be one word of at most %d bytes", what, LOAD_TEXT_SIZE - 1);
	memcpy(text, r->event.data.scalar.value, r->event.data.scalar.length);
	text[r->event.data.scalar.length] = '\0';
	return true;
}

/* False, with a sentence, when the key was set in a line before.  One that is not known is told by who sets it. */
static bool is_first(struct reader *r, const char *key)
{
	const size_t index = load_options_index(key);
	PL_ASSERT(index <= LOAD_KEYS_MAX);
	if (index == LOAD_KEYS_MAX)
		return true;
	if (r->line_of[index] != 0)
		return fail(r, "%.60s: set a second time; the first is in line %zu", key, r->line_of[index]);
	r->line_of[index] = r->event.start_mark.line + 1;
	return true;
}

static bool read_pairs(struct reader *r)
{
	char key[LOAD_TEXT_SIZE], value[LOAD_TEXT_SIZE], why[LOAD_ERROR_SIZE];
	while (next(r)) {
		if (r->event.type == YAML_MAPPING_END_EVENT)
			return true;
		if (!take_text(r, "a key", key))
			return false;
		if (!is_first(r, key))
			return false;
		if (!next(r) || !take_text(r, key, value))
			return false;
		if (!load_options_set(r->options, key, value, why))
			return fail(r, "%.300s", why);
	}
	return false;
}

static bool read_file(struct reader *r)
{
	do {
		if (!next(r))
			return false;
	} while (r->event.type == YAML_STREAM_START_EVENT || r->event.type == YAML_DOCUMENT_START_EVENT);
	if (r->event.type == YAML_STREAM_END_EVENT)
		return true; /* an empty file asks for the defaults */
	if (r->event.type != YAML_MAPPING_START_EVENT)
		return fail(r, "a scenario is lines of the form rooms: 20");
	if (!read_pairs(r) || !next(r))
		return false;
	/* What stands behind the mapping: the document's end, and then the file's. */
	if (r->event.type == YAML_DOCUMENT_END_EVENT && !next(r))
		return false;
	return r->event.type == YAML_STREAM_END_EVENT || fail(r, "one document is one scenario");
}

bool load_scenario_read(struct load_options *options, const char *path, char error[static LOAD_ERROR_SIZE])
{
	struct reader reader = { .options = options, .path = path, .error = error };
	FILE *file = fopen(path, "re");
	if (file == NULL) {
		snprintf(error, LOAD_ERROR_SIZE, "%.200s: cannot be read: %s", path, strerror(errno));
		return false;
	}
	bool is_read = false;
	if (yaml_parser_initialize(&reader.parser) == 1) {
		yaml_parser_set_input_file(&reader.parser, file);
		is_read = read_file(&reader);
		yaml_event_delete(&reader.event);
		yaml_parser_delete(&reader.parser);
	} else {
		snprintf(error, LOAD_ERROR_SIZE, "%.200s: out of memory", path);
	}
	fclose(file);
	return is_read;
}
