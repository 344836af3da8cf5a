/* The files that GET serves: embedded in the binary, or read from http.root while a page is being written.
 * Thread: signaling. */
#ifndef PL_SIGNALING_STATIC_H
#define PL_SIGNALING_STATIC_H

#include "media/base.h"

enum { PL_STATIC_SIZE_MAX = 16 << 20, PL_STATIC_ETAG_SIZE = 24 };

struct pl_static_file {
	struct pl_bytes bytes;
	const char *type;               /* static storage */
	char etag[PL_STATIC_ETAG_SIZE]; /* with its quotes, RFC 9110 section 8.8.3 */
	uint8_t *owned;                 /* what pl_static_fini frees; NULL for embedded bytes */
};

/* Finds the file of a URL's path ("/" is /index.html).  root: a folder, or "" for the embedded files.  No path leads out
 * of the root: only letters, digits, "-", "_", "/" and dots that do not begin a name are looked for at all, and a link
 * counts as what it leads to.  False: there is none; else *file is the caller's, to be given to pl_static_fini. */
PL_MUST_USE bool pl_static_find(const char *root, const char *path, struct pl_static_file *file);
void pl_static_fini(struct pl_static_file *file);

#endif
