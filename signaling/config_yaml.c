#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>

#include "signaling/config.h"

enum { KEYS_MAX = 64 };

struct reader {
	struct pl_config *config;
	const char *path;
	char *error; /* PL_CONFIG_ERROR_SIZE bytes */
	yaml_parser_t parser;
	yaml_event_t event;               /* the current one; type 0 is none */
	size_t line_of[KEYS_MAX];         /* where a key was set, 0 for not yet */
	size_t line_of_section[KEYS_MAX]; /* the same, by the section's first key */
};

static size_t line_of_event(const struct reader *r)
{
	return r->event.start_mark.line + 1;
}

/* Fills error as "path:line: ..." and returns false, for the caller to return in turn. */
PL_PRINTF(3, 4) static bool fail(struct reader *r, size_t line, const char *format, ...)
{
	int used = snprintf(r->error, PL_CONFIG_ERROR_SIZE, "%.200s:%zu: ", r->path, line);
	if (used < 0)
		used = 0;
	va_list args;
	va_start(args, format);
	vsnprintf(r->error + used, (size_t)(PL_CONFIG_ERROR_SIZE - used), format, args);
	va_end(args);
	return false;
}

static bool next(struct reader *r)
{
	yaml_event_delete(&r->event);
	if (yaml_parser_parse(&r->parser, &r->event) == 1) {
		if (r->event.type == YAML_ALIAS_EVENT)
			return fail(r, line_of_event(r), "aliases (*name) are not understood here; write the value");
		return true;
	}
	r->event.type = YAML_NO_EVENT;
	if (r->parser.error == YAML_MEMORY_ERROR)
		return fail(r, r->parser.mark.line + 1, "out of memory");
	return fail(r, r->parser.problem_mark.line + 1, "not YAML: %s%s%s",
		r->parser.problem == NULL ? "unreadable" : r->parser.problem, r->parser.context == NULL ? "" : ", ",
		r->parser.context == NULL ? "" : r->parser.context);
}

/* The current event as text that holds no NUL, or NULL. */
static const char *scalar(const struct reader *r)
{
	if (r->event.type != YAML_SCALAR_EVENT)
		return NULL;
	const char *text = (const char *)r->event.data.scalar.value;
	return strlen(text) == r->event.data.scalar.length ? text : NULL;
}

static bool is_empty_plain(const struct reader *r)
{
	return r->event.type == YAML_SCALAR_EVENT && r->event.data.scalar.length == 0 &&
	       r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

/* Joins a sequence of scalars with ", ", the form of one text.  On return the sequence's end is the current event. */
static bool join_sequence(struct reader *r, const struct pl_config_key *key, char text[static PL_CONFIG_TEXT_SIZE])
{
	size_t used = 0;
	text[0] = '\0';
	while (next(r)) {
		if (r->event.type == YAML_SEQUENCE_END_EVENT)
			return true;
		const char *item = scalar(r);
		if (item == NULL)
			return fail(r, line_of_event(r), "%s.%s: an item of the list is not a text", key->section,
				key->name);
		const int size = snprintf(text + used, PL_CONFIG_TEXT_SIZE - used, "%s%s", used == 0 ? "" : ", ", item);
		if (size < 0 || (size_t)size >= PL_CONFIG_TEXT_SIZE - used)
			return fail(r, line_of_event(r), "%s.%s: the list is longer than %u bytes", key->section,
				key->name, key->max);
		used += (size_t)size;
	}
	return false;
}

static bool read_value(struct reader *r, const struct pl_config_key *key)
{
	if (!next(r))
		return false;
	const size_t line = line_of_event(r);
	char joined[PL_CONFIG_TEXT_SIZE], why[PL_CONFIG_ERROR_SIZE];
	const char *value = scalar(r);
	const bool is_list = key->kind == PL_CONFIG_ADDRESSES || key->kind == PL_CONFIG_NETWORKS;
	if (r->event.type == YAML_SEQUENCE_START_EVENT && is_list) {
		if (!join_sequence(r, key, joined))
			return false;
		value = joined;
	}
	if (value == NULL) {
		const char *found = r->event.type == YAML_MAPPING_START_EVENT    ? "a mapping"
				    : r->event.type == YAML_SEQUENCE_START_EVENT ? "a list"
										 : "a NUL byte";
		return fail(r, line, "%s.%s: %s stands where one value belongs (%s)", key->section, key->name, found,
			key->unit);
	}
	if (!pl_config_assign(r->config, key, value, why))
		return fail(r, line, "%s.%s: %s", key->section, key->name, why);
	pl_config_set_origin(r->config, key, "%.200s:%zu: ", r->path, line);
	return true;
}

/* The current event is the name of a key in section. */
static bool read_key(struct reader *r, const char *section)
{
	const struct pl_config_key *keys;
	PL_ASSERT(pl_config_keys(&keys) <= KEYS_MAX);
	const size_t line = line_of_event(r);
	const char *name = scalar(r);
	if (name == NULL)
		return fail(r, line, "%s: the name of a key is not a text", section);
	char why[PL_CONFIG_ERROR_SIZE];
	const struct pl_config_key *key = pl_config_find(section, name, why);
	if (key == NULL)
		return fail(r, line, "%s.%.80s: %s", section, name, why);
	const size_t index = (size_t)(key - keys);
	if (r->line_of[index] != 0)
		return fail(r, line, "%s.%s: set a second time; the first is in line %zu", section, name,
			r->line_of[index]);
	r->line_of[index] = line;
	return read_value(r, key);
}

/* The current event is the name of a section. */
static bool read_section(struct reader *r)
{
	const size_t line = line_of_event(r);
	const char *name = scalar(r);
	if (name == NULL)
		return fail(r, line, "the name of a section is not a text");
	char why[PL_CONFIG_ERROR_SIZE];
	const struct pl_config_key *first = pl_config_find(name, NULL, why);
	if (first == NULL)
		return fail(r, line, "%.80s: %s", name, why);
	const struct pl_config_key *keys;
	PL_ASSERT(pl_config_keys(&keys) <= KEYS_MAX);
	size_t *line_first = &r->line_of_section[first - keys];
	if (*line_first != 0)
		return fail(
			r, line, "%s: written a second time; the first is in line %zu", first->section, *line_first);
	*line_first = line;
	if (!next(r))
		return false;
	if (is_empty_plain(r))
		return true;
	if (r->event.type != YAML_MAPPING_START_EVENT)
		return fail(r, line, "%s: is a section, and wants its keys indented below it, such as %s: ...",
			first->section, first->name);
	while (next(r)) {
		if (r->event.type == YAML_MAPPING_END_EVENT)
			return true;
		if (!read_key(r, first->section))
			return false;
	}
	return false;
}

/* The current event is what the document is made of. */
static bool read_root(struct reader *r)
{
	if (is_empty_plain(r))
		return true;
	if (r->event.type != YAML_MAPPING_START_EVENT)
		return fail(r, line_of_event(r),
			"the file has to be a mapping of sections, such as media: and below it port: 7882");
	while (next(r)) {
		if (r->event.type == YAML_MAPPING_END_EVENT)
			return true;
		if (!read_section(r))
			return false;
	}
	return false;
}

static bool read_stream(struct reader *r)
{
	bool has_document = false;
	while (next(r)) {
		switch (r->event.type) {
		case YAML_STREAM_END_EVENT:
			return true;
		case YAML_DOCUMENT_START_EVENT:
			if (has_document)
				return fail(
					r, line_of_event(r), "a second document begins (---); one is all there can be");
			has_document = true;
			if (!next(r) || !read_root(r))
				return false;
			break;
		default:
			break;
		}
	}
	return false;
}

enum pl_err pl_config_load(struct pl_config *config, const char *path, char error[static PL_CONFIG_ERROR_SIZE])
{
	FILE *file = fopen(path, "re");
	struct stat status;
	if (file == NULL || fstat(fileno(file), &status) != 0 || S_ISDIR(status.st_mode)) {
		snprintf(error, PL_CONFIG_ERROR_SIZE, "%.200s: cannot be read: %s", path,
			strerror(file == NULL ? errno : EISDIR));
		if (file != NULL)
			fclose(file);
		return PL_ERR_CONFIG;
	}

	struct reader reader = { .config = config, .path = path, .error = error };
	enum pl_err err = PL_ERR_NO_MEMORY;
	snprintf(error, PL_CONFIG_ERROR_SIZE, "%.200s: out of memory", path);
	if (yaml_parser_initialize(&reader.parser) == 1) {
		yaml_parser_set_input_file(&reader.parser, file);
		err = read_stream(&reader) ? PL_ERR_NONE : PL_ERR_CONFIG;
		yaml_event_delete(&reader.event);
		yaml_parser_delete(&reader.parser);
	}
	fclose(file);
	return err;
}
