#include "signaling/text.h"

#include <stdarg.h>
#include <stdio.h>

void pl_text_put(struct pl_text *text, const char *format, ...)
{
	if (!pl_text_fits(text))
		return;
	va_list args;
	va_start(args, format);
	const int length = vsnprintf(text->bytes + text->used, text->size - text->used, format, args);
	va_end(args);
	const bool fits = length >= 0 && (size_t)length < text->size - text->used;
	text->used = fits ? text->used + (size_t)length : text->size;
}
