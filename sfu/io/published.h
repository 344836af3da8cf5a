/* Counters that one thread has and others look at: a copy, written from time to time, word by word.  A reader may find words of
 * two copies side by side, never half of one.
 * Thread: write belongs to the thread that counts; read to any. */
#ifndef PL_SFU_IO_PUBLISHED_H
#define PL_SFU_IO_PUBLISHED_H

#include <stdatomic.h>
#include <string.h>

#include "media/base.h"

typedef _Atomic uint64_t pl_published_word;

/* How many words a struct of 64-bit fields is. */
#define PL_PUBLISHED_WORDS(type) (sizeof(type) / sizeof(uint64_t))

/* size: of the struct, in bytes. */
static inline void pl_published_write(pl_published_word *word, const void *counters, size_t size)
{
	PL_ASSERT(size % sizeof(uint64_t) == 0);
	for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
		uint64_t value;
		memcpy(&value, (const char *)counters + at, sizeof value);
		atomic_store_explicit(word++, value, memory_order_relaxed);
	}
}

static inline void pl_published_read(const pl_published_word *word, void *counters, size_t size)
{
	PL_ASSERT(size % sizeof(uint64_t) == 0);
	for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
		const uint64_t value = atomic_load_explicit(word++, memory_order_relaxed);
		memcpy((char *)counters + at, &value, sizeof value);
	}
}

#endif
