/* Threads of the media plane.
 * Thread: whoever starts the media plane. */
#ifndef PL_SFU_IO_THREAD_H
#define PL_SFU_IO_THREAD_H

#include <pthread.h>

#include "media/base.h"
#include "media/err.h"

/* Begins a thread that takes no signals: those of the process are for the signaling thread.  name: at most 15 characters
 * are kept.  PL_ERR_THREAD: there is none. */
PL_MUST_USE enum pl_err pl_thread_start(
	pthread_t *thread, const char *name, void *(*live)(void *argument), void *argument);

#endif
