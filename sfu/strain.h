/* What media threads and codec workers tell of themselves (struct pl_load), as inputs of the pressure: of each input the worst counts.
 *
 * A score says what should be less.  So a thread counts in full only with what less of our own work would mend: one that sleeps half of
 * its time and is late all the same, or that others keep from a processor (sfu/own_work.h), suffers from what others do (is_shared).  Handshakes and joins
 * fill what media leaves and have a bound of their own: they are no load.  A thread that stands still is a fault: the level says so, and the
 * sample does (has_stall), for nobody is to be sent away for it (sfu/meter.h).
 * Pure: no allocation, no clock, no I/O. */
#ifndef PL_SFU_STRAIN_H
#define PL_SFU_STRAIN_H

#include "sfu/load.h"
#include "sfu/meter.h"
#include "sfu/own_work.h"

enum {
	PL_STRAIN_LATE_US = 5000,     /* what PL_PRESSURE_SHARD_LATE takes for 1 */
	PL_STRAIN_LATE_TURNS_MIN = 5, /* of a window, for its latest to say something */
	PL_STRAIN_OWN_PERMILLE = 500, /* of its time a thread is at work, for what is late to be its own doing */
	PL_STRAIN_HANG_US = 500000,   /* a turn that is late, or lasts, for less may only not be let run */
};

/* What was seen of one thread. */
struct pl_strain {
	int64_t told_us;                         /* the window that was looked at last */
	uint64_t work_permille, before_permille; /* a shard's, of that window and of the one before it */
	struct pl_own_work own;
	struct pl_rate rate;
};

/* came, dropped: datagrams, ever; dropped by the kernel, for want of room in its receive queue. */
void pl_strain_add_shard(struct pl_pressure_sample *sample, struct pl_strain *strain, int64_t now_us,
	const struct pl_load *load, uint64_t came, uint64_t dropped);

/* steps, late: ever. */
void pl_strain_add_worker(struct pl_pressure_sample *sample, struct pl_strain *strain, int64_t now_us,
	const struct pl_load *load, uint64_t steps, uint64_t late);

/* Datagrams of all sockets that share the network with us, over the last periods samples. */
void pl_strain_add_others(
	struct pl_pressure_sample *sample, struct pl_rate *rate, uint8_t periods, uint64_t came, uint64_t dropped);

#endif
