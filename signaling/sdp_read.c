#include "signaling/sdp_read.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool pl_sdp_fail(struct pl_sdp_reader *r, const char *format, ...)
{
	const int prefix = snprintf(r->error, PL_SDP_ERROR_SIZE, "line %u: ", r->line);
	va_list args;
	va_start(args, format);
	vsnprintf(r->error + prefix, (size_t)(PL_SDP_ERROR_SIZE - prefix), format, args);
	va_end(args);
	for (char *at = r->error; *at != '\0'; at++) {
		const uint8_t c = (uint8_t)*at;
		if (c < 0x20 || c >= 0x7f)
			*at = '?';
	}
	return false;
}

bool pl_sdp_next_line(struct pl_sdp_reader *r, struct pl_bytes *line)
{
	if (r->at == r->end)
		return false;
	const size_t left = (size_t)(r->end - r->at);
	const uint8_t *newline = memchr(r->at, '\n', left);
	const uint8_t *stop = newline != NULL ? newline : r->end;
	*line = (struct pl_bytes){ r->at, (size_t)(stop - r->at) };
	if (line->size > 0 && line->data[line->size - 1] == '\r')
		line->size--;
	r->at = newline != NULL ? newline + 1 : r->end;
	r->line++;
	return true;
}

struct pl_bytes pl_sdp_cut(struct pl_bytes *text, char separator)
{
	const uint8_t *found = text->size > 0 ? memchr(text->data, separator, text->size) : NULL;
	const struct pl_bytes before = { text->data, found != NULL ? (size_t)(found - text->data) : text->size };
	const size_t taken = found != NULL ? before.size + 1 : before.size;
	text->data += taken;
	text->size -= taken;
	return before;
}

struct pl_bytes pl_sdp_next_word(struct pl_bytes *text)
{
	while (text->size > 0 && text->data[0] == ' ') {
		text->data++;
		text->size--;
	}
	return pl_sdp_cut(text, ' ');
}

bool pl_sdp_equal(struct pl_bytes bytes, const char *text)
{
	return bytes.size == strlen(text) && (bytes.size == 0 || memcmp(bytes.data, text, bytes.size) == 0);
}

bool pl_sdp_equal_nocase(struct pl_bytes bytes, const char *text)
{
	return bytes.size == strlen(text) &&
	       (bytes.size == 0 || strncasecmp((const char *)bytes.data, text, bytes.size) == 0);
}

bool pl_sdp_is_token(struct pl_bytes bytes)
{
	static const char excluded[] = "\"(),/:;<=>?@[\\]";
	for (size_t i = 0; i < bytes.size; i++) {
		const uint8_t c = bytes.data[i];
		if (c <= ' ' || c > '~' || memchr(excluded, c, sizeof excluded - 1) != NULL)
			return false;
	}
	return bytes.size > 0;
}

bool pl_sdp_number(struct pl_bytes bytes, uint32_t max, uint32_t *number)
{
	uint64_t value = 0;
	if (bytes.size == 0 || bytes.size > 10)
		return false;
	for (size_t i = 0; i < bytes.size; i++) {
		if (bytes.data[i] < '0' || bytes.data[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(bytes.data[i] - '0');
	}
	*number = (uint32_t)value;
	return value <= max;
}

bool pl_sdp_copy(struct pl_bytes bytes, char *text, size_t size)
{
	if (bytes.size >= size)
		return false;
	if (bytes.size > 0)
		memcpy(text, bytes.data, bytes.size);
	text[bytes.size] = '\0';
	return true;
}
