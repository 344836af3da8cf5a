/* The demo's files inside the binary, generated from web-demo/ by cmake/embed_pages.cmake. */
#ifndef PL_SIGNALING_PAGES_H
#define PL_SIGNALING_PAGES_H

#include <stddef.h>

struct pl_page {
	const char *name; /* "index.html"; NULL ends the table */
	const unsigned char *data;
	size_t size;
};

extern const struct pl_page pl_pages[];

#endif
