/* Big-endian reading and writing that cannot leave its bounds: what every wire format here is built on.
 * A reader or writer that ran over its end stays failed; so a parser reads a whole structure and asks once.
 * Pure: no allocation, no clock, no I/O. */
#ifndef PL_MEDIA_READER_H
#define PL_MEDIA_READER_H

#include <string.h>

#include "media/base.h"

struct pl_reader {
	const uint8_t *at, *end;
	bool is_failed; /* something was read that is not there; what was returned for it is 0 or empty */
};

static inline struct pl_reader pl_reader_init(struct pl_bytes bytes)
{
	return (struct pl_reader){ .at = bytes.data, .end = bytes.size > 0 ? bytes.data + bytes.size : bytes.data };
}

static inline size_t pl_reader_left(const struct pl_reader *r)
{
	return (size_t)(r->end - r->at);
}

/* Takes the next size bytes as a view; empty when they are not there. */
static inline struct pl_bytes pl_reader_bytes(struct pl_reader *r, size_t size)
{
	if (r->is_failed || pl_reader_left(r) < size) {
		r->is_failed = true;
		return (struct pl_bytes){ 0 };
	}
	const struct pl_bytes view = { .data = r->at, .size = size };
	if (size > 0)
		r->at += size;
	return view;
}

/* Takes an unsigned integer of 1-8 bytes. */
static inline uint64_t pl_reader_uint(struct pl_reader *r, size_t size)
{
	const struct pl_bytes view = pl_reader_bytes(r, size);
	uint64_t value = 0;
	for (size_t i = 0; i < view.size; i++)
		value = value << 8 | view.data[i];
	return value;
}

static inline uint8_t pl_reader_u8(struct pl_reader *r)
{
	return (uint8_t)pl_reader_uint(r, 1);
}

static inline uint16_t pl_reader_u16(struct pl_reader *r)
{
	return (uint16_t)pl_reader_uint(r, 2);
}

static inline uint32_t pl_reader_u32(struct pl_reader *r)
{
	return (uint32_t)pl_reader_uint(r, 4);
}

struct pl_writer {
	uint8_t *start, *at, *end;
	bool is_failed; /* something did not fit */
};

static inline struct pl_writer pl_writer_init(struct pl_span span)
{
	return (struct pl_writer){ .start = span.data, .at = span.data, .end = span.data + span.size };
}

static inline size_t pl_writer_size(const struct pl_writer *w)
{
	return (size_t)(w->at - w->start);
}

/* Appends an unsigned integer of 1-8 bytes. */
static inline void pl_writer_uint(struct pl_writer *w, uint64_t value, size_t size)
{
	if (w->is_failed || (size_t)(w->end - w->at) < size) {
		w->is_failed = true;
		return;
	}
	for (size_t i = size; i > 0; i--)
		*w->at++ = (uint8_t)(value >> (8 * (i - 1)));
}

static inline void pl_writer_u8(struct pl_writer *w, uint8_t value)
{
	pl_writer_uint(w, value, 1);
}

static inline void pl_writer_u16(struct pl_writer *w, uint16_t value)
{
	pl_writer_uint(w, value, 2);
}

static inline void pl_writer_u32(struct pl_writer *w, uint32_t value)
{
	pl_writer_uint(w, value, 4);
}

static inline void pl_writer_bytes(struct pl_writer *w, struct pl_bytes bytes)
{
	if (w->is_failed || (size_t)(w->end - w->at) < bytes.size) {
		w->is_failed = true;
		return;
	}
	if (bytes.size > 0)
		memcpy(w->at, bytes.data, bytes.size);
	w->at += bytes.size;
}

#endif
