/* What the microbenchmarks share: bench.c prints what they add.
 * Thread: one. */
#ifndef PL_TESTS_BENCH_BENCH_H
#define PL_TESTS_BENCH_BENCH_H

#include <stddef.h>

double pl_bench_cpu_ns(void); /* of this thread */

/* Adds a line: nanoseconds of CPU time, beside those of the work that cannot be left out.  Both names are copied;
 * floor_name NULL and floor 0 where there is none. */
void pl_bench_add(const char *name, double value, const char *floor_name, double floor);

/* Adds a line: nanoseconds of CPU time, and how many times as long something else takes for the same. */
void pl_bench_add_faster(const char *name, double value, const char *other_name, double other);

/* Zeroed memory; aborts when there is none. */
void *pl_bench_take(size_t count, size_t size);

/* SRTP of each backend that can be had here. */
void pl_bench_srtp(void);

/* G.711, and the way from 48 kHz to it. */
void pl_bench_g711(void);

/* A talker of the mix beside the bare decoder. */
void pl_bench_voice(void);

/* The mixer's kernels of each instruction set that this CPU has, beside plain C that no compiler vectorised. */
void pl_bench_dsp(void);

/* A codec worker's rooms, beside the bare calls of libopus that they must make. */
void pl_bench_codec(void);

#endif
