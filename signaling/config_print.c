#include <string.h>

#include "signaling/config.h"

enum { COMMENT_COLUMNS = 110 };

/* Prints "  # " and the words, wrapped. */
static void print_comment(FILE *file, const char *words)
{
	int column = 0;
	while (*words != '\0') {
		const int size = (int)strcspn(words, " ");
		if (column == 0 || column + 1 + size > COMMENT_COLUMNS)
			column = fprintf(file, "%s  #", column == 0 ? "" : "\n") - (column != 0);
		column += fprintf(file, " %.*s", size, words);
		words += size;
		words += strspn(words, " ");
	}
	fputc('\n', file);
}

static void print_accepted(FILE *file, const struct pl_config_key *key)
{
	if (key->kind == PL_CONFIG_NUMBER)
		fprintf(file, "  # Unit: %s.  Range: %u to %u.  Default: %s\n", key->unit, key->min, key->max,
			key->default_text);
	else
		fprintf(file, "  # %s: %s.  Default: \"%s\"\n", key->kind == PL_CONFIG_CHOICE ? "One of" : "Unit",
			key->unit, key->default_text);
}

/* As a double-quoted scalar, YAML 1.1 section 5.7. */
static void print_quoted(FILE *file, const char *text)
{
	fputc('"', file);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', file);
		fputc(*text, file);
	}
	fputs("\"\n", file);
}

void pl_config_print(const struct pl_config *config, bool with_comments, FILE *file)
{
	const struct pl_config_key *keys;
	const size_t count = pl_config_keys(&keys);
	if (with_comments)
		fputs("# Plenum's configuration: every key with its default.  A file is optional, and so is each line "
		      "of it:\n"
		      "#   plenum --config plenum.yaml --set media.port=9000\n"
		      "# This text is what `plenum --print-config` prints, and a test keeps it so.\n\n",
			file);
	for (size_t i = 0; i < count; i++) {
		const struct pl_config_key *key = &keys[i];
		const bool is_first = i == 0 || strcmp(keys[i - 1].section, key->section) != 0;
		if (is_first)
			fprintf(file, "%s%s:\n", i == 0 ? "" : "\n", key->section);
		else if (with_comments)
			fputc('\n', file);
		if (with_comments) {
			print_comment(file, key->what);
			print_comment(file, key->why);
			print_accepted(file, key);
		}
		const char *field = (const char *)config + key->offset;
		if (key->kind == PL_CONFIG_SECRET && *field != '\0') {
			fprintf(file, "  # %s is set, and not printed.\n", key->name);
			continue;
		}
		fprintf(file, "  %s: ", key->name);
		if (key->kind == PL_CONFIG_NUMBER)
			fprintf(file, "%u\n", *(const uint32_t *)(const void *)field);
		else
			print_quoted(file, field);
	}
}
