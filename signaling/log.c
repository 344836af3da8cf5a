#include "signaling/log.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const LEVEL_NAME[PL_LOG_LEVELS] = { "error", "warning", "info", "debug" };

static struct {
	enum pl_log_level level;
	bool as_json;
} settings = { .level = PL_LOG_INFO };

static struct {
	struct pl_log_counters counters;
	struct pl_log_site *sites; /* that have left lines out */
	void (*on_left_out)(void *context);
	void *context;
	uint64_t lost_told; /* of counters.lost */
} state;

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

/* A pipe whose reader stands still would stop the server at the next line.  What poll() calls writable takes a line at once: a
 * pipe has a page free then, which is four lines. */
static bool is_writable(int fd)
{
	struct pollfd poller = { .fd = fd, .events = POLLOUT };
	return poll(&poller, 1, 0) == 1 && (poller.revents & POLLOUT) != 0;
}

/* One call, so that lines of a parent and ours do not mix.  Where stderr is gone there is nobody to tell. */
static void emit(enum pl_log_level level, const char *message, const struct pl_log_field *field, uint32_t left_out)
{
	char line[PL_LOG_LINE_SIZE];
	const size_t size =
		pl_log_format(line, settings.as_json, clock_us(CLOCK_REALTIME), level, message, field, left_out);
	if (is_writable(STDERR_FILENO) && write(STDERR_FILENO, line, size) == (ssize_t)size)
		state.counters.lines[level]++;
	else
		state.counters.lost++;
}

static void tell_lost(void)
{
	if (state.counters.lost == state.lost_told || !is_writable(STDERR_FILENO))
		return;
	const struct pl_log_field field[] = { { NULL, NULL, 0 },
		PL_LOG_NUMBER("lost", state.counters.lost - state.lost_told), { NULL, NULL, 0 } };
	state.lost_told = state.counters.lost;
	emit(PL_LOG_WARNING, "lines of the log were lost: nobody read them", field, 0);
}

static void note_left_out(struct pl_log_site *site, enum pl_log_level level, const char *message)
{
	state.counters.left_out++;
	if (site->is_listed)
		return;
	const bool is_first = state.sites == NULL;
	site->is_listed = true;
	site->level = level;
	snprintf(site->like, sizeof(site->like), "%.*s", PL_LOG_LIKE_SIZE - 1, message);
	site->next = state.sites;
	state.sites = site;
	if (is_first && state.on_left_out != NULL)
		state.on_left_out(state.context);
}

void pl_log_write(
	enum pl_log_level level, struct pl_log_site *site, const char *message, const struct pl_log_field *field)
{
	uint32_t left_out;
	if (level > settings.level)
		return;
	if (!pl_log_allow(site, clock_us(CLOCK_MONOTONIC), &left_out)) {
		note_left_out(site, level, message);
		return;
	}
	tell_lost();
	emit(level, message, field, left_out);
}

void pl_log_watch(void (*on_left_out)(void *context), void *context)
{
	state.on_left_out = on_left_out;
	state.context = context;
	if (on_left_out != NULL && state.sites != NULL)
		on_left_out(context);
}

static void tell_left_out(struct pl_log_site *site)
{
	const struct pl_log_field field[] = { { NULL, NULL, 0 }, PL_LOG_TEXT("like", site->like), { NULL, NULL, 0 } };
	emit(site->level, "more like this", field, site->left_out);
	site->left_out = 0;
}

int64_t pl_log_flush(int64_t now_us)
{
	int64_t next_us = INT64_MAX;
	struct pl_log_site **at = &state.sites;
	while (*at != NULL) {
		struct pl_log_site *site = *at;
		if (site->full_at_us > now_us) {
			next_us = site->full_at_us < next_us ? site->full_at_us : next_us;
			at = &site->next;
			continue;
		}
		if (site->left_out > 0)
			tell_left_out(site);
		*at = site->next;
		site->is_listed = false;
	}
	tell_lost();
	return next_us;
}

void pl_log_count(struct pl_log_counters *counters)
{
	*counters = state.counters;
}

const char *pl_log_level_name(enum pl_log_level level)
{
	PL_ASSERT(level < PL_LOG_LEVELS);
	return LEVEL_NAME[level];
}
