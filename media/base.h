/* The few words every file here shares: byte views, assertions, and attributes.
 * Pure: no allocation, no clock, no I/O. */
#ifndef PL_MEDIA_BASE_H
#define PL_MEDIA_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PL_MUST_USE          __attribute__((warn_unused_result))
#define PL_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define PL_COUNT(array)      (sizeof(array) / sizeof((array)[0]))

/* Our own bug, never a peer's bytes: stays on in release builds, because a media server that goes
 * on with a broken invariant hurts every call instead of one process. */
#define PL_ASSERT(condition) ((condition) ? (void)0 : pl_assert_failed(#condition, __FILE__, __LINE__))
__attribute__((noreturn, cold)) void pl_assert_failed(const char *condition, const char *file, int line);

/* Somebody else's bytes, to read.  data may be NULL only when size is 0. */
struct pl_bytes {
	const uint8_t *data;
	size_t size;
};

/* Room to write into. */
struct pl_span {
	uint8_t *data;
	size_t size;
};

enum { PL_LINE_BYTES = 64 }; /* a line of the cache, on all machines that we know */

/* As many bytes as the lines have that size bytes need: what follows begins a line of its own, and aligned_alloc() takes it. */
static inline size_t pl_whole_lines(size_t size)
{
	return (size + PL_LINE_BYTES - 1) / PL_LINE_BYTES * PL_LINE_BYTES;
}

/* A hint that these bytes are about to be read; they may lie anywhere. */
static inline void pl_prefetch(const void *data, size_t size)
{
	const uintptr_t begin = (uintptr_t)data / PL_LINE_BYTES * PL_LINE_BYTES;
	for (uintptr_t at = begin; at < (uintptr_t)data + size; at += PL_LINE_BYTES)
		__builtin_prefetch((const void *)at);
}

/* A datagram is never larger than this on our sockets; longer ones are cut by the kernel and dropped. */
enum { PL_DATAGRAM_SIZE_MAX = 1500 };

#endif
