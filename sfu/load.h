/* What a media thread or codec worker was busy with lately, as it tells every tenth of a second while it works.
 * Pure: plain data. */
#ifndef PL_SFU_LOAD_H
#define PL_SFU_LOAD_H

#include "media/base.h"

enum { PL_LOAD_PERIOD_US = 100000 };

/* Words of 64 bits alone: see sfu/io/published.h. */
struct pl_load {
	uint64_t window_us; /* the time that this is about; it ends when it was told */
	uint64_t age_us; /* since then.  A thread that sleeps on tells nothing: then there is no load (pl_pulse_read) */
	uint64_t turns;
	uint64_t busy_permille;     /* of the window: not asleep.  Others may have had the processor */
	uint64_t deferred_permille; /* of the window: busy with what waits for media, handshakes and joins */
	uint64_t
		cpu_permille; /* of the window: on a processor.  Much less than busy: the machine has too few of them */
	/* How late turns began, counted from when the thread would have looked had it been free: the time that it had set itself,
	 * or, when something had come while it was at work, the begin of the turn before (and a coalescing window more).  So of a
	 * thread that keeps up it is what scheduling costs, and of one that does not the length of a turn.  0 when it slept until
	 * something came. */
	uint64_t late_p99_us, late_max_us;
	uint64_t ring_permille;                /* the fullest of its rings: what is waiting of what finds a place */
	uint64_t pool_permille;                /* the most packet buffers in use in the window, of all */
	uint64_t busy_us, deferred_us, cpu_us; /* ever */
};
/* Of the window: busy with media, which somebody waits for. */
static inline uint64_t pl_load_work_permille(const struct pl_load *load)
{
	return load->busy_permille > load->deferred_permille ? load->busy_permille - load->deferred_permille : 0;
}

_Static_assert(sizeof(struct pl_load) % sizeof(uint64_t) == 0, "published by words");

#endif
