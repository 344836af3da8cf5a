/* Random bytes for secrets.  Thread: any. */
#ifndef PL_SIGNALING_RANDOM_H
#define PL_SIGNALING_RANDOM_H

#include <stddef.h>

/* Fills data with cryptographically strong random bytes; context is not used.  Asserts that the kernel has some: without,
 * nothing that follows would be secret. */
void pl_random(void *context, void *data, size_t size);

#endif
