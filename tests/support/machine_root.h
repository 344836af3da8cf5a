/* A machine's files for a test to write: a folder that stands for its root (sfu/io/sysfile.h), of one test at a time.
 * Thread: one. */
#ifndef PL_TESTS_SUPPORT_MACHINE_ROOT_H
#define PL_TESTS_SUPPORT_MACHINE_ROOT_H

extern char pl_machine_root[64];

/* Setup and teardown of cmocka: an empty folder, and its end. */
int pl_machine_root_make(void **state);
int pl_machine_root_remove(void **state);

/* Writes over the file in place, as the kernel's files change under an open descriptor; makes the folders above it. */
void pl_machine_root_put(const char *path, const char *text);

#endif
