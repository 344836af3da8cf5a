/* How hard the server is pressed, as one number with a name, and what is done about it.
 *
 * Every 100 ms the monitor (sfu/monitor.h) reads the inputs.  Each is normalised: 0 is idle, 1 is all that there is, and more is
 * possible (what is asked of a full thing).  The score is the largest of them, and the cause is which that was.  The score gives a
 * level (sfu/meter.h): up at once, down by one level at a time, each after PL_PRESSURE_HOLD_US below its recovery threshold.  A level is
 * a rung of the ladder: all that is taken away at it, the rungs below it included.
 * Pure: no allocation, no clock, no I/O. */
#ifndef PL_SFU_PRESSURE_H
#define PL_SFU_PRESSURE_H

#include "media/base.h"

/* X(name, text, what is 1) */
#define PL_PRESSURE_INPUT_LIST(X)                                                                  \
	X(SHARD_BUSY, "shard_busy", "the busiest media thread works all the time")                 \
	X(SHARD_LATE, "shard_late", "p99 of a media thread's turns begins 5 ms late")              \
	X(CODEC_LATE, "codec_late", "a codec worker begins one of ten ticks late")                 \
	X(CPU, "cpu", "the process takes all the CPU that it may")                                 \
	X(STEAL, "steal", "the host takes a third of the machine's CPUs away")                     \
	X(THROTTLED, "throttled", "the control group was not let run for a third of the time")     \
	X(PSI_CPU, "psi_cpu", "something waits for a CPU all the time")                            \
	X(PSI_MEMORY, "psi_memory", "something waits for memory for a fifth of the time")          \
	X(MEMORY, "memory", "the control group has all the memory that it may")                    \
	X(UNTRACKED, "untracked", "as much memory again as is accounted for")                      \
	X(POOL, "pool", "a media thread has no packet buffer free")                                \
	X(RING, "ring", "a ring between threads is full")                                          \
	X(RECEIVE_QUEUE, "receive_queue", "one of a hundred datagrams finds a full receive queue") \
	X(FILES, "files", "all file descriptors are open")                                         \
	X(CANARY, "canary", "the canary hears nothing of itself")

enum pl_pressure_input {
#define X(name, text, full) PL_PRESSURE_##name,
	PL_PRESSURE_INPUT_LIST(X)
#undef X
		PL_PRESSURE_INPUTS
};

enum pl_pressure_level {
	PL_PRESSURE_NOMINAL,
	PL_PRESSURE_ELEVATED,
	PL_PRESSURE_HIGH,
	PL_PRESSURE_CRITICAL,
	PL_PRESSURE_EMERGENCY,
	PL_PRESSURE_LEVELS,
};

enum {
	PL_PRESSURE_PERIOD_US = 100000,
	PL_PRESSURE_HOLD_US = 5000000, /* below the recovery threshold before a level ends */
	PL_PRESSURE_STEP_US = 1000000, /* from the end of one level to that of the next, at least */
	PL_PRESSURE_ABSENT = UINT16_MAX,
	PL_PRESSURE_PERMILLE_MAX = 9999, /* of a score or an input: what is more is this */
};

/* What the monitor tells: plain data, small enough to be an event. */
struct pl_pressure {
	uint8_t level;           /* enum pl_pressure_level */
	bool is_forced;          /* an operator has set the level, the score has not */
	uint8_t cause;           /* enum pl_pressure_input: what raised or last held the level, at nominal the largest
				  * now; PL_PRESSURE_INPUTS: there is none */
	uint16_t score_permille; /* of the largest */
	uint16_t input_permille[PL_PRESSURE_INPUTS]; /* PL_PRESSURE_ABSENT: this machine has no such source */
};

/* What a level takes away. */
struct pl_ladder {
	uint8_t audio_slots;               /* of each listener that are filled with talkers at most */
	uint16_t coalesce_us;              /* how long a shard gathers packets, at least */
	uint8_t load_step;                 /* of the mixers' encoders, at least (struct pl_mixer_load) */
	bool moves_auto;                   /* listeners of PL_AUDIO_AUTO hear what is cheaper */
	bool refuses_rooms, refuses_joins; /* a resume is never refused */
	bool asks_idle;                    /* idle and new listeners are asked to move away */
};

const struct pl_ladder *pl_pressure_ladder(uint8_t level);

/* The score at which a level begins, and the one below which it ends; 0 for PL_PRESSURE_NOMINAL. */
uint16_t pl_pressure_begins_permille(uint8_t level);
uint16_t pl_pressure_ends_permille(uint8_t level);
/* The highest level that begins at this score. */
uint8_t pl_pressure_level_of(uint16_t score_permille);

const char *pl_pressure_input_name(uint8_t input); /* "none" for PL_PRESSURE_INPUTS */
const char *pl_pressure_input_full(uint8_t input); /* the sentence of the list */
const char *pl_pressure_level_name(uint8_t level);
/* False: there is no level of this name. */
PL_MUST_USE bool pl_pressure_level_parse(const char *name, uint8_t *level);

#endif
