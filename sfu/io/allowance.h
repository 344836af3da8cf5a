/* How much memory this process may have: what the machine has, and what each control group above it allows.  Whoever takes more than
 * that is ended by the kernel without a word, so it is looked at before.
 * Thread: the one that starts the media plane. */
#ifndef PL_SFU_IO_ALLOWANCE_H
#define PL_SFU_IO_ALLOWANCE_H

#include "sfu/io/sysfile.h"

struct pl_allowance {
	uint64_t bytes;                  /* 0: nobody says */
	char file[PL_SYSFILE_PATH_SIZE]; /* that says so */
};

/* root: see sysfile.h. */
void pl_allowance_read(struct pl_allowance *allowance, const char *root);

/* Whether so much of it may be taken at once, with an eighth left for all else. */
static inline bool pl_allowance_has(const struct pl_allowance *allowance, uint64_t bytes)
{
	return allowance->bytes == 0 || bytes <= allowance->bytes - allowance->bytes / 8;
}

#endif
