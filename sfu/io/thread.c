#include "sfu/io/thread.h"

#include <signal.h>
#include <stdio.h>

enum { NAME_SIZE = 16 }; /* of the kernel */

enum pl_err pl_thread_start(pthread_t *thread, const char *name, void *(*live)(void *argument), void *argument)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	const int error = pthread_create(thread, NULL, live, argument);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error != 0)
		return PL_ERR_THREAD;
	char kept[NAME_SIZE];
	snprintf(kept, sizeof kept, "%s", name);
	pthread_setname_np(*thread, kept);
	return PL_ERR_NONE;
}
