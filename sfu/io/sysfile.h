/* The small text files of /proc and /sys.  Every path is looked for below a root: "" on the machine, a folder of
 * fixtures in tests.  Thread: any; start and monitoring only. */
#ifndef PL_SFU_IO_SYSFILE_H
#define PL_SFU_IO_SYSFILE_H

#include <sched.h>
#include <stdio.h>

#include "media/base.h"

enum { PL_SYSFILE_PATH_SIZE = 1024, PL_SYSFILE_TEXT_SIZE = 4096 };

/* Reads a file of less than size bytes, without its last newline.  False: text is "", because it is not there, cannot
 * be read, or is longer. */
PL_MUST_USE bool pl_sysfile_read(const char *root, const char *path, char *text, size_t size);

/* For a file that is read by line.  NULL: not there. */
FILE *pl_sysfile_open(const char *root, const char *path);

/* Reads a whole number without sign.  False: text is something else, or the number does not fit. */
PL_MUST_USE bool pl_sysfile_number(const char *text, uint64_t *number);

/* Reads the kernel's list format, "0-3,8"; an empty text is an empty set, CPUs beyond CPU_SETSIZE are left out.  False:
 * *set has no meaning, text is something else.  Serves for node lists as well. */
PL_MUST_USE bool pl_sysfile_list(const char *text, cpu_set_t *set);

#endif
