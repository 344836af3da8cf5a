/* Whether a thread's load is its own doing.  Lateness says that packets wait, not whose fault that is: where other programs have the
 * processors, a thread that needs a tenth of one is late, too, and to send its callers away would help nobody.  Its load is its own
 * when it has a good part of a processor, or when it has had no rest for most of a second, whoever else is there: then it does not keep up.
 * Pure: no allocation, no clock, no I/O. */
#ifndef PL_SFU_OWN_WORK_H
#define PL_SFU_OWN_WORK_H

#include "sfu/load.h"

enum {
	PL_OWN_WORK_CPU_PERMILLE =
		300, /* of a window, on a processor; of what a quota leaves, where that is less than one */
	PL_OWN_WORK_LONG_PERMILLE = 800 /* of the last second or so, at work or waiting for a processor */
};

struct pl_own_work {
	uint64_t allowed_mcpu;  /* thousandths of a processor that the process may have; 0: one or more */
	uint64_t long_permille; /* a mean in which the last window is one of eight */
	bool is_own;            /* the load of the last window */
};

/* Takes a window, each once. */
void pl_own_work_feed(struct pl_own_work *own, const struct pl_load *load);

#endif
