#include "signaling/log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const LEVEL_NAME[PL_LOG_LEVELS] = { "error", "warning", "info", "debug" };

static struct {
	enum pl_log_level level;
	bool as_json;
} settings = { .level = PL_LOG_INFO };

void pl_log_init(const char *level, const char *format)
{
	for (size_t i = 0; i < PL_COUNT(LEVEL_NAME); i++) {
		if (strcmp(level, LEVEL_NAME[i]) == 0)
			settings.level = (enum pl_log_level)i;
	}
	settings.as_json = strcmp(format, "json") == 0;
}

/* A leaky bucket as one number: each line moves the moment of "all allowed again" one share of a second away. */
bool pl_log_allow(struct pl_log_site *site, int64_t now_us, uint32_t *left_out)
{
	const int64_t share_us = 1000000 / PL_LOG_PER_SECOND;
	if (site->full_at_us < now_us)
		site->full_at_us = now_us;
	if (site->full_at_us - now_us > share_us * (PL_LOG_BURST - 1)) {
		site->left_out++;
		return false;
	}
	site->full_at_us += share_us;
	*left_out = site->left_out;
	site->left_out = 0;
	return true;
}

/* A line while it grows. */
struct line {
	char *text;
	size_t used, end;
	bool is_cut;
};

/* Kept free for ,"left_out":4294967295 and then for the closing of the JSON or "...", and the newline. */
enum { LEFT_OUT_SIZE = 24, TAIL_SIZE = 8 };

static void put(struct line *line, const char *bytes, size_t size)
{
	if (line->is_cut || size > line->end - line->used) {
		line->is_cut = true;
		return;
	}
	memcpy(line->text + line->used, bytes, size);
	line->used += size;
}

static void put_text(struct line *line, const char *text)
{
	put(line, text, strlen(text));
}

/* Returns the size of the UTF-8 sequence (RFC 3629 section 4) at text, or 0 when it is none. */
static size_t utf8_size(const unsigned char *text)
{
	const unsigned char lead = text[0];
	const size_t size = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
	for (size_t i = 1; i < size; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	}
	const bool is_overlong = (lead == 0xe0 && text[1] < 0xa0) || (lead == 0xf0 && text[1] < 0x90);
	const bool is_outside = (lead == 0xed && text[1] > 0x9f) || (lead == 0xf4 && text[1] > 0x8f);
	return is_overlong || is_outside ? 0 : size;
}

/* The escapes are JSON's in both formats. */
static void put_escaped(struct line *line, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	while (*at != '\0') {
		const size_t size = utf8_size(at);
		char escape[8];
		if (*at < 0x20 || *at == 0x7f) {
			put(line, escape, (size_t)snprintf(escape, sizeof(escape), "\\u%04x", *at));
		} else if (*at == '"' || *at == '\\') {
			escape[0] = '\\';
			escape[1] = (char)*at;
			put(line, escape, 2);
		} else if (size == 0) {
			put_text(line, "\\ufffd");
		} else {
			put(line, (const char *)at, size);
		}
		at += size == 0 ? 1 : size;
	}
}

static void put_quoted(struct line *line, const char *text)
{
	put_text(line, "\"");
	put_escaped(line, text);
	put_text(line, "\"");
}

static bool is_plain_word(const char *text)
{
	for (const char *at = text; *at != '\0'; at++) {
		if (*at <= ' ' || *at >= 0x7f || *at == '"' || *at == '\\' || *at == '=')
			return false;
	}
	return *text != '\0';
}

static void put_field(struct line *line, bool as_json, const struct pl_log_field *field)
{
	char number[24];
	put_text(line, as_json ? "," : " ");
	if (as_json)
		put_quoted(line, field->key);
	else
		put_text(line, field->key);
	put_text(line, as_json ? ":" : "=");
	if (field->text == NULL)
		put(line, number, (size_t)snprintf(number, sizeof(number), "%lld", (long long)field->number));
	else if (as_json || !is_plain_word(field->text))
		put_quoted(line, field->text);
	else
		put_text(line, field->text);
}

static void put_head(struct line *line, bool as_json, int64_t realtime_us, enum pl_log_level level, const char *message)
{
	const time_t seconds = (time_t)(realtime_us / 1000000);
	struct tm utc;
	char stamp[64], whole[96];
	gmtime_r(&seconds, &utc);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(whole, sizeof(whole), "%s.%03dZ", stamp, (int)(realtime_us / 1000 % 1000));
	if (as_json)
		put_text(line, "{\"time\":\"");
	put_text(line, whole);
	put_text(line, as_json ? "\",\"level\":\"" : " ");
	put_text(line, LEVEL_NAME[level]);
	put_text(line, as_json ? "\",\"msg\":\"" : " ");
	put_escaped(line, message);
	if (as_json)
		put_text(line, "\"");
}

size_t pl_log_format(char text[static PL_LOG_LINE_SIZE], bool as_json, int64_t realtime_us, enum pl_log_level level,
	const char *message, const struct pl_log_field *field, uint32_t left_out)
{
	struct line line = { .text = text, .end = PL_LOG_LINE_SIZE - TAIL_SIZE - LEFT_OUT_SIZE };
	put_head(&line, as_json, realtime_us, level, message);
	for (field++; field->key != NULL; field++) {
		/* A field that does not fit goes as a whole: half of one would not be JSON. */
		const size_t used = line.used;
		put_field(&line, as_json, field);
		if (line.is_cut) {
			line.used = used;
			break;
		}
	}
	const char *tail = as_json ? "}\n" : line.is_cut ? "...\n" : "\n";
	if (left_out > 0) {
		const struct pl_log_field more = PL_LOG_NUMBER("left_out", left_out);
		line.end += LEFT_OUT_SIZE;
		line.is_cut = false;
		put_field(&line, as_json, &more);
	}
	memcpy(text + line.used, tail, strlen(tail));
	return line.used + strlen(tail);
}

static int64_t clock_us(clockid_t id)
{
	struct timespec now;
	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void pl_log_write(
	enum pl_log_level level, struct pl_log_site *site, const char *message, const struct pl_log_field *field)
{
	uint32_t left_out;
	if (level > settings.level || !pl_log_allow(site, clock_us(CLOCK_MONOTONIC), &left_out))
		return;
	char line[PL_LOG_LINE_SIZE];
	const size_t size =
		pl_log_format(line, settings.as_json, clock_us(CLOCK_REALTIME), level, message, field, left_out);
	/* One call, so that lines of a parent and ours do not mix.  Where stderr is gone there is nobody to tell. */
	if (write(STDERR_FILENO, line, size) < 0)
		return;
}
