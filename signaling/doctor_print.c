#include <string.h>

#include "signaling/doctor.h"

/* Of a terminal that is 100 wide: found starts behind the state and the subject. */
enum { SUBJECT_COLUMN = 10, FOUND_COLUMN = 25, LINE_COLUMNS = 100 };

static const char *const WORD_OF[] = {
#define X(name, word, status) word,
	PL_DOCTOR_STATE_LIST(X)
#undef X
};

static const char *colour_of(enum pl_doctor_state state)
{
	static const char *const colour[] = { "\033[32m", "\033[36m", "\033[33m", "\033[31m" };
	return colour[state];
}

/* Breaks at blanks.  A word longer than a line stays whole: it is a path. */
static void print_wrapped(const char *text, FILE *file)
{
	int column = FOUND_COLUMN;
	for (bool is_first = true; *text != '\0'; is_first = false) {
		const int size = (int)strcspn(text, " ");
		if (!is_first && column + 1 + size > LINE_COLUMNS) {
			fprintf(file, "\n%*s", FOUND_COLUMN, "");
			column = FOUND_COLUMN;
		} else if (!is_first) {
			fputc(' ', file);
			column++;
		}
		fprintf(file, "%.*s", size, text);
		column += size;
		text += size;
		text += strspn(text, " ");
	}
	fputc('\n', file);
}

static void print_summary(const struct pl_doctor *doctor, FILE *file)
{
	size_t count[PL_COUNT(WORD_OF)] = { 0 };
	for (size_t i = 0; i < doctor->count; i++)
		count[doctor->finding[i].state]++;
	const size_t warnings = count[PL_DOCTOR_WARNING], broken = count[PL_DOCTOR_BROKEN];
	if (broken > 0)
		fprintf(file, "\nPlenum will not start or not work: %zu thing%s to mend.\n", broken,
			broken == 1 ? "" : "s");
	else if (warnings > 0)
		fprintf(file, "\nPlenum will run; %zu thing%s could be better.\n", warnings, warnings == 1 ? "" : "s");
	else
		fputs("\nAll is well.\n", file);
}

void pl_doctor_print(const struct pl_doctor *doctor, bool with_colour, FILE *file)
{
	fprintf(file, "plenum %s, and this machine\n\n", PLENUM_VERSION);
	for (size_t i = 0; i < doctor->count; i++) {
		const struct pl_doctor_finding *finding = &doctor->finding[i];
		const char *on = with_colour ? colour_of(finding->state) : "", *off = with_colour ? "\033[0m" : "";
		fprintf(file, "%s%-*s%s%-*s", on, SUBJECT_COLUMN, WORD_OF[finding->state], off,
			FOUND_COLUMN - SUBJECT_COLUMN, finding->subject);
		print_wrapped(finding->found, file);
		/* Never wrapped, so that it can be copied. */
		if (finding->mend[0] != '\0')
			fprintf(file, "%*smend: %s\n", FOUND_COLUMN, "", finding->mend);
	}
	print_summary(doctor, file);
}

/* Paths and names of a stranger's making are the only bytes beyond ASCII: they are shown as Latin-1, so that the
 * output is JSON whatever they are. */
static void print_string(const char *text, FILE *file)
{
	fputc('"', file);
	for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
		if (*at < 0x20 || *at >= 0x7f)
			fprintf(file, "\\u%04x", *at);
		else if (*at == '"' || *at == '\\')
			fprintf(file, "\\%c", *at);
		else
			fputc(*at, file);
	}
	fputc('"', file);
}

static void print_member(const char *name, const char *text, FILE *file)
{
	fprintf(file, ", \"%s\": ", name);
	if (text[0] == '\0')
		fputs("null", file);
	else
		print_string(text, file);
}

void pl_doctor_print_json(const struct pl_doctor *doctor, FILE *file)
{
	fprintf(file, "{\"version\": \"%s\", \"status\": %d, \"findings\": [", PLENUM_VERSION,
		pl_doctor_status(doctor));
	for (size_t i = 0; i < doctor->count; i++) {
		const struct pl_doctor_finding *finding = &doctor->finding[i];
		fprintf(file, "%s\n\t{\"subject\": ", i == 0 ? "" : ",");
		print_string(finding->subject, file);
		print_member("state", WORD_OF[finding->state], file);
		print_member("found", finding->found, file);
		print_member("mend", finding->mend, file);
		fputc('}', file);
	}
	fputs("\n]}\n", file);
}
