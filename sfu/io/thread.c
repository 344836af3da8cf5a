#include "sfu/io/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

enum { NAME_SIZE = 16 }; /* of the kernel */

static void wait_for(sem_t *semaphore)
{
	while (sem_wait(semaphore) != 0)
		PL_ASSERT(errno == EINTR);
}

static void *live(void *argument)
{
	struct pl_thread *thread = argument;
	const enum pl_err settle_err = thread->duty.settle(thread->duty.owner);
	thread->settle_err = settle_err;
	sem_post(&thread->is_settled);
	wait_for(&thread->may_go);
	if (settle_err == PL_ERR_NONE)
		thread->duty.run(thread->duty.owner);
	return NULL;
}

static int create(pthread_t *thread, void *(*function)(void *), void *argument)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	const int error = pthread_create(thread, NULL, function, argument);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

enum pl_err pl_thread_start(struct pl_thread *thread, const char *name, const struct pl_thread_duty *duty)
{
	thread->duty = *duty;
	thread->has_stopped = false;
	atomic_init(&thread->is_stopping, false);
	sem_init(&thread->is_settled, 0, 0);
	sem_init(&thread->may_go, 0, 0);
	if (create(&thread->thread, live, thread) != 0) {
		sem_destroy(&thread->may_go);
		sem_destroy(&thread->is_settled);
		return PL_ERR_THREAD;
	}
	char kept[NAME_SIZE];
	snprintf(kept, sizeof kept, "%s", name);
	pthread_setname_np(thread->thread, kept);
	return PL_ERR_NONE;
}

enum pl_err pl_thread_wait(struct pl_thread *thread)
{
	wait_for(&thread->is_settled);
	return thread->settle_err;
}

void pl_thread_go(struct pl_thread *thread)
{
	sem_post(&thread->may_go);
}

void pl_thread_ask_to_stop(struct pl_thread *thread)
{
	if (atomic_exchange_explicit(&thread->is_stopping, true, memory_order_acq_rel))
		return;
	pl_waker_poke(thread->duty.waker);
	sem_post(&thread->may_go); /* one that was never let go */
}

void pl_thread_stop(struct pl_thread *thread)
{
	if (thread->has_stopped)
		return;
	thread->has_stopped = true;
	pl_thread_ask_to_stop(thread);
	pthread_join(thread->thread, NULL);
	sem_destroy(&thread->may_go);
	sem_destroy(&thread->is_settled);
}

static void *help_out(void *argument)
{
	const struct pl_help *help = argument;
	help->work(help->owner);
	return NULL;
}

void pl_help_begin(struct pl_help *help, void (*work)(void *owner), void *owner)
{
	*help = (struct pl_help){ .is_due = true, .work = work, .owner = owner };
	pthread_t thread;
	if (create(&thread, help_out, help) != 0)
		return;
	help->thread = thread;
	help->has_thread = true;
}

void pl_help_wait(struct pl_help *help)
{
	if (!help->is_due)
		return;
	help->is_due = false;
	if (help->has_thread)
		pthread_join(help->thread, NULL);
	else
		help->work(help->owner);
}
