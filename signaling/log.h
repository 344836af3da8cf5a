/* The log: one line per event on stderr, for people (words, then key=value) or for machines (a JSON object).
 * What a stranger can cause often is limited per place in the source.  How many were left out is said by the next line of that
 * place, or by one of its own when none comes (pl_log_flush).  Who reads stderr too slowly loses lines; nobody waits for it.
 *     pl_log(PL_LOG_INFO, "ready", PL_LOG_TEXT("http", address), PL_LOG_NUMBER("udp", port));
 * Thread: signaling (and main before it); the media plane has counters, not lines. */
#ifndef PL_SIGNALING_LOG_H
#define PL_SIGNALING_LOG_H

#include "media/base.h"

enum pl_log_level { PL_LOG_ERROR, PL_LOG_WARNING, PL_LOG_INFO, PL_LOG_DEBUG, PL_LOG_LEVELS };

enum {
	PL_LOG_LINE_SIZE = 1024,
	PL_LOG_BURST = 50,
	PL_LOG_PER_SECOND = 10,
	PL_LOG_LIKE_SIZE = 48, /* of a message, for the line that says how many more there were */
};

struct pl_log_field {
	const char *key;  /* NULL: no field */
	const char *text; /* NULL: number */
	int64_t number;
};

#define PL_LOG_TEXT(key, text)   \
	{                        \
		(key), (text), 0 \
	}
#define PL_LOG_NUMBER(key, number)             \
	{                                      \
		(key), NULL, (int64_t)(number) \
	}

/* The allowance of one place in the source; zero is full. */
struct pl_log_site {
	int64_t full_at_us;       /* when all lines are allowed again */
	uint32_t left_out;        /* since its last line */
	struct pl_log_site *next; /* of those that have left lines out; in this list while is_listed */
	bool is_listed;
	enum pl_log_level level;
	char like[PL_LOG_LIKE_SIZE]; /* the message that was left out first, cut */
};

/* Since the start. */
struct pl_log_counters {
	uint64_t lines[PL_LOG_LEVELS]; /* written */
	uint64_t left_out;             /* by the rate limit */
	uint64_t lost;                 /* stderr took none: it is closed, or nobody reads it */
};

/* The rate limit is per place, so each has its own static allowance. */
#define pl_log(level, message, ...)                                                                            \
	do {                                                                                                   \
		static struct pl_log_site pl_log_site_;                                                        \
		pl_log_write((level), &pl_log_site_, (message),                                                \
			(const struct pl_log_field[]){ { NULL, NULL, 0 }, ##__VA_ARGS__, { NULL, NULL, 0 } }); \
	} while (0)

/* level, format: values of the keys log.level and log.format. */
void pl_log_init(const char *level, const char *format);

/* Behind pl_log.  field[0] is a filler, the one with key NULL after it ends the list. */
void pl_log_write(
	enum pl_log_level level, struct pl_log_site *site, const char *message, const struct pl_log_field *field);

/* Whether a line may be written at now_us, and how many were left out since the last one (then reset). */
bool pl_log_allow(struct pl_log_site *site, int64_t now_us, uint32_t *left_out);

/* From now on on_left_out(context) is called when lines are left out and none were before: pl_log_flush is wanted in a while.
 * NULL: nobody is told. */
void pl_log_watch(void (*on_left_out)(void *context), void *context);

/* Writes "more like this" for each place that is quiet again and has left lines out since its last one.  Returns when to call
 * again (CLOCK_MONOTONIC); INT64_MAX: nothing is left to tell.  At the end of the process, with INT64_MAX, all are told. */
int64_t pl_log_flush(int64_t now_us);

void pl_log_count(struct pl_log_counters *counters);

const char *pl_log_level_name(enum pl_log_level level);

/* Writes one line with its newline and returns its size.  Fields that do not fit are left away, which text shows by
 * "..." at its end.  realtime_us: since 1970.  message: words of ours, short.  The fields' texts may hold any bytes: what
 * would break the line or the JSON is escaped. */
size_t pl_log_format(char line[static PL_LOG_LINE_SIZE], bool as_json, int64_t realtime_us, enum pl_log_level level,
	const char *message, const struct pl_log_field *field, uint32_t left_out);

#endif
