/* The clock of the media plane's threads.
 * Thread: any. */
#ifndef PL_SFU_IO_CLOCK_H
#define PL_SFU_IO_CLOCK_H

#include <errno.h>
#include <time.h>

#include "media/base.h"

/* Microseconds of the monotonic clock. */
static inline int64_t pl_clock_now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* time_us: at least 0. */
static inline struct timespec pl_clock_timespec(int64_t time_us)
{
	return (struct timespec){ .tv_sec = time_us / 1000000, .tv_nsec = time_us % 1000000 * 1000 };
}

/* Returns at once when that has passed. */
static inline void pl_clock_sleep_until(int64_t at_us)
{
	const struct timespec at = pl_clock_timespec(at_us);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
		;
}

#endif
