/* The life of a thread of the media plane: it settles (goes to its place and takes there what it needs), waits until all others
 * have, works, and ends when it is asked to.
 * Thread: the functions belong to whoever starts the media plane, but for pl_thread_is_stopping. */
#ifndef PL_SFU_IO_THREAD_H
#define PL_SFU_IO_THREAD_H

#include <pthread.h>
#include <semaphore.h>

#include "sfu/io/ring.h"

struct pl_thread_duty {
	enum pl_err (*settle)(void *owner);
	void (*run)(void *owner); /* until pl_thread_is_stopping; not called when settling failed */
	struct pl_waker *waker;   /* that run sleeps on; outlives the thread */
	void *owner;
};

struct pl_thread {
	pthread_t thread;
	struct pl_thread_duty duty;
	sem_t is_settled, may_go;
	enum pl_err settle_err; /* written by the thread before is_settled is posted, constant after */
	bool has_stopped;
	atomic_bool is_stopping;
};

/* Begins a thread that takes no signals: those of the process are for the signaling thread.  name: at most 15 characters
 * are kept.  PL_ERR_NONE: it is to be ended with pl_thread_stop.  PL_ERR_THREAD: there is none. */
PL_MUST_USE enum pl_err pl_thread_start(struct pl_thread *thread, const char *name, const struct pl_thread_duty *duty);

/* Until it has settled, and how that went. */
PL_MUST_USE enum pl_err pl_thread_wait(struct pl_thread *thread);

/* It may work from now on. */
void pl_thread_go(struct pl_thread *thread);

/* Stopping begins; pl_thread_stop waits for its end. */
void pl_thread_ask_to_stop(struct pl_thread *thread);

/* Nothing happens the second time. */
void pl_thread_stop(struct pl_thread *thread);

/* A piece of work done beside the caller's own, once, at a start: by a thread where there is one to be had, else by the caller
 * while it waits.  work touches nothing that the caller uses meanwhile. */
struct pl_help {
	pthread_t thread;
	bool has_thread, is_due; /* is_due: still to be waited for */
	void (*work)(void *owner);
	void *owner;
};

void pl_help_begin(struct pl_help *help, void (*work)(void *owner), void *owner);

/* Until it is done.  Nothing happens when that is so already, or when help is all zero. */
void pl_help_wait(struct pl_help *help);

static inline bool pl_thread_is_stopping(const struct pl_thread *thread)
{
	return atomic_load_explicit(&thread->is_stopping, memory_order_acquire);
}

#endif
