/* Makes one score, its cause and a level out of what was read: of each input a part of a whole, as counters or as it is now.
 *
 * Up within the sample that shows it.  What a hiccup of the machine shows, too (a turn that began late, a moment's full ring), makes the
 * server careful at once, and counts in full when two of three samples show it; samples of one moment are one.  A level ends when the score has been below its recovery threshold for PL_PRESSURE_HOLD_US,
 * the highest first, PL_PRESSURE_STEP_US after the one above it at the earliest: so a level that was reached stays for the hold at
 * least, whatever the inputs do.  A source that begins anew (its counter falls) counts from there; one that is not there is left
 * out.  Integers only: nothing that a source says can make it overflow.
 *
 * An emergency sends people away, so it is only for what fewer people would mend.  A codec worker encodes for a room, however many listen: its
 * lateness is critical at most.  And while a thread stands still (and a hold longer: then it works off what has piled up) so is all that such a
 * fault can cause.
 * Pure: no allocation, no clock, no I/O. */
#ifndef PL_SFU_METER_H
#define PL_SFU_METER_H

#include "sfu/pressure.h"

enum { PL_RATE_PERIODS_MAX = 20 }; /* the longest window, in samples */

/* How fast one counter grows beside another, over a window of samples. */
struct pl_rate {
	uint64_t part[PL_RATE_PERIODS_MAX + 1], whole[PL_RATE_PERIODS_MAX + 1]; /* a ring */
	uint8_t count, newest;
};

/* Takes the counters of now, and returns by how many thousandths of what whole has grown, part has: over the last periods samples (1 to
 * PL_RATE_PERIODS_MAX).  Of fewer samples only their share of the window counts: a start is a burst of everything.  0 when whole has not
 * grown, or one of them has fallen. */
uint32_t pl_rate_feed(struct pl_rate *rate, uint8_t periods, uint64_t part, uint64_t whole);

/* An input as it was read; whole 0: it is not there. */
struct pl_pressure_reading {
	uint64_t part, whole;
	bool is_shared; /* others can cause it without hurting us: it makes the server careful, and refuses nobody */
};

/* What a reading counts by itself, in thousandths: for inputs that are what there is now, and not compared over time. */
uint16_t pl_pressure_reading_permille(uint8_t input, const struct pl_pressure_reading *reading);

struct pl_pressure_sample {
	struct pl_pressure_reading input[PL_PRESSURE_INPUTS];
	bool has_stall; /* a thread stands still */
};

enum {
	PL_METER_RECENT = 3,
	/* The most that an input counts which others can cause, or which one sample alone shows: it takes a little, refuses nobody,
	 * and keeps no level that does. */
	PL_METER_CAREFUL_PERMILLE = 790,
	/* The most of what fewer people would not mend: it lets nobody in, sends nobody away, and keeps no emergency. */
	PL_METER_CLOSED_PERMILLE = 990,
};

struct pl_meter {
	struct pl_rate rate[PL_PRESSURE_INPUTS];
	uint16_t recent[PL_PRESSURE_INPUTS][PL_METER_RECENT]; /* newest first, of those that are confirmed */
	struct pl_pressure now;
	uint8_t level, cause; /* as the score has them, whatever was forced */
	uint8_t forced;       /* PL_PRESSURE_LEVELS: none */
	int64_t fed_us, ended_us;
	int64_t stalled_until_us; /* for so long a thread counts as standing still */
	int64_t moment_us;        /* when the newest of recent began: samples that come together share one */
	int64_t below_us
		[PL_PRESSURE_LEVELS]; /* since when the score is below what the level needs; INT64_MAX: it is not */
};

void pl_meter_init(struct pl_meter *meter, int64_t now_us);

/* From the next sample on, the level is this one; PL_PRESSURE_LEVELS: as the score has it. */
void pl_meter_force(struct pl_meter *meter, uint8_t level);

/* Returns what to tell, valid until the next call.  now_us: never decreasing. */
const struct pl_pressure *pl_meter_feed(
	struct pl_meter *meter, int64_t now_us, const struct pl_pressure_sample *sample);

#endif
