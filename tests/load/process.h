/* What a process of this machine has used, out of /proc.
 * Thread: main. */
#ifndef PL_TESTS_LOAD_PROCESS_H
#define PL_TESTS_LOAD_PROCESS_H

#include <stdint.h>

#include "media/base.h"

struct load_memory {
	int64_t rss_bytes, pss_bytes; /* -1: not known; the proportional size needs the right to look */
};

/* When it was started, in ticks since the machine was, which no later process of the same number shares; 0 when there is none
 * that runs: a dead one that nobody has waited for does not count. */
uint64_t load_process_started(uint32_t pid);

/* CPU time of all threads in nanoseconds, or -1 when there is no such process.  The scheduler's own count where the
 * kernel has it, else ticks. */
int64_t load_process_cpu_ns(uint32_t pid);

struct load_memory load_process_memory(uint32_t pid);

#endif
