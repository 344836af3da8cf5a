/* What the libraries are that this process runs with, asked of themselves and of their images in memory: what was there
 * when the server was compiled says nothing about that.
 * Thread: any. */
#ifndef PL_SIGNALING_LIBRARY_H
#define PL_SIGNALING_LIBRARY_H

#include "media/base.h"

/* A shared library of this process; all false when there is none of that name. */
struct pl_library {
	const char *file; /* "" when there is none */
	bool is_loaded, has_avx, has_sse41, needs_nss, needs_openssl;
};

/* prefix: of the file's name, for example "libopus.so". */
void pl_library_examine(const char *prefix, struct pl_library *library);

/* Strings of static storage. */
struct pl_library_opus {
	const char *version; /* "libopus 1.3.1" */
	const char *carried,
		*used;        /* the widest instructions that it has, and the widest that it takes on this processor */
	const char *file;     /* "": it is a part of the program */
	size_t decoder_bytes; /* for one talker */
	bool can_be_faster;   /* this processor has instructions that a newer libopus would use */
};

void pl_library_examine_opus(struct pl_library_opus *opus);

#endif
