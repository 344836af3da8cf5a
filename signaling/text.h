/* Text that is put together piece by piece in memory of the caller's: the head of a response, SDP, metrics.
 * Pure: no allocation, no clock, no I/O.  Thread: any. */
#ifndef PL_SIGNALING_TEXT_H
#define PL_SIGNALING_TEXT_H

#include "media/base.h"

struct pl_text {
	char *bytes; /* NUL-terminated while it fits */
	size_t size, used;
};

/* Begins empty.  size: at least 1. */
static inline struct pl_text pl_text_begin(char *bytes, size_t size)
{
	PL_ASSERT(size > 0);
	bytes[0] = '\0';
	return (struct pl_text){ .bytes = bytes, .size = size };
}

/* Appends all of it or, when there is no room for that, nothing, now and ever after. */
PL_PRINTF(2, 3) void pl_text_put(struct pl_text *text, const char *format, ...);

/* True while nothing was left out. */
static inline bool pl_text_fits(const struct pl_text *text)
{
	return text->used < text->size;
}

#endif
