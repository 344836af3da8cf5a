/* The log: one line per event on stderr, for people (words, then key=value) or for machines (a JSON object).
 * What a stranger can cause often is limited per place in the source, and the next line says how many were left out.
 *     pl_log(PL_LOG_INFO, "ready", PL_LOG_TEXT("http", address), PL_LOG_NUMBER("udp", port));
 * Thread: signaling (and main before it); the media plane has counters, not lines. */
#ifndef PL_SIGNALING_LOG_H
#define PL_SIGNALING_LOG_H

#include "media/base.h"

enum pl_log_level { PL_LOG_ERROR, PL_LOG_WARNING, PL_LOG_INFO, PL_LOG_DEBUG, PL_LOG_LEVELS };

enum { PL_LOG_LINE_SIZE = 1024, PL_LOG_BURST = 50, PL_LOG_PER_SECOND = 10 };

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
	int64_t full_at_us; /* when all lines are allowed again */
	uint32_t left_out;
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

/* Writes one line with its newline and returns its size.  Fields that do not fit are left away, which text shows by
 * "..." at its end.  realtime_us: since 1970.  message: words of ours, short.  The fields' texts may hold any bytes: what
 * would break the line or the JSON is escaped. */
size_t pl_log_format(char line[static PL_LOG_LINE_SIZE], bool as_json, int64_t realtime_us, enum pl_log_level level,
	const char *message, const struct pl_log_field *field, uint32_t left_out);

#endif
