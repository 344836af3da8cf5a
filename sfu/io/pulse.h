/* How a thread of the media plane tells that it lives, and how busy it is: it notes when it sleeps and when a turn begins, and
 * every PL_LOAD_PERIOD_US tells what that came to.  It costs no clock reading and no system call per turn; the reader makes
 * out of a silence whether the thread sleeps or hangs.
 * Thread: notes and tell belong to the thread itself, read and due to any. */
#ifndef PL_SFU_IO_PULSE_H
#define PL_SFU_IO_PULSE_H

#include "sfu/histogram.h"
#include "sfu/io/published.h"
#include "sfu/load.h"

enum { PL_PULSE_NAP_US = 5 }; /* a shorter sleep was none: what it waited for was there */

struct pl_pulse {
	int64_t slept_us; /* when the present sleep began; 0: none */
	int64_t turn_us;  /* when the last turn began */
	/* The window. */
	int64_t began_us, asleep_us, late_max_us;
	uint64_t deferred_us;
	uint64_t turns, ring_permille, cpu_began_us;
	struct pl_histogram late;
	/* Ever. */
	struct pl_histogram late_ever;
	uint64_t busy_us, deferred_ever_us;
	/* What others look at.  due_us: the next turn begins then at the latest; while one lasts, when it began.  INT64_MAX: it
	 * sleeps until it is woken. */
	_Alignas(64) _Atomic int64_t due_us, told_us;
	pl_published_word told[PL_PUBLISHED_WORDS(struct pl_load)];
};

/* Before the thread begins: it is not late for anything. */
void pl_pulse_init(struct pl_pulse *pulse);

/* The thread begins its work. */
void pl_pulse_start(struct pl_pulse *pulse, int64_t now_us);

/* The thread is about to sleep until then at most; INT64_MAX: until it is woken. */
static inline void pl_pulse_sleep(struct pl_pulse *pulse, int64_t now_us, int64_t until_us)
{
	pulse->slept_us = now_us;
	atomic_store_explicit(&pulse->due_us, until_us > now_us ? until_us : now_us, memory_order_relaxed);
}

/* It is awake.  Returns whether it has slept at all. */
static inline bool pl_pulse_wake(struct pl_pulse *pulse, int64_t now_us)
{
	const int64_t asleep_us = now_us - pulse->slept_us;
	const bool has_slept = pulse->slept_us != 0 && asleep_us >= PL_PULSE_NAP_US;
	pulse->slept_us = 0;
	pulse->asleep_us += has_slept ? asleep_us : 0;
	return has_slept;
}

/* A turn begins, for which due_us was the time; now_us: it is not late. */
static inline void pl_pulse_turn(struct pl_pulse *pulse, int64_t now_us, int64_t due_us)
{
	const int64_t late_us = now_us > due_us ? now_us - due_us : 0;
	pl_histogram_note(&pulse->late, late_us);
	if (late_us > pulse->late_max_us)
		pulse->late_max_us = late_us;
	pulse->turns++;
	pulse->turn_us = now_us;
	atomic_store_explicit(&pulse->due_us, now_us, memory_order_relaxed);
}

/* So much of the turn was work that waits for media, and keeps media waiting for no longer than it may. */
static inline void pl_pulse_note_deferred(struct pl_pulse *pulse, int64_t spent_us)
{
	pulse->deferred_us += spent_us > 0 ? (uint64_t)spent_us : 0;
}

static inline void pl_pulse_note_ring(struct pl_pulse *pulse, size_t waiting, size_t places)
{
	const uint64_t permille = waiting * 1000 / places;
	if (permille > pulse->ring_permille)
		pulse->ring_permille = permille;
}

static inline bool pl_pulse_is_due(const struct pl_pulse *pulse, int64_t now_us)
{
	return now_us - pulse->began_us >= PL_LOAD_PERIOD_US;
}

/* Tells of the window, and begins the next one.  Returns for how much of it the thread was at work that does not wait for media, in
 * thousandths. */
uint64_t pl_pulse_tell(struct pl_pulse *pulse, int64_t now_us, uint64_t pool_permille);

/* The last that was told.  When that is long ago, the thread sleeps, and there is no load; or it is in a turn that does not end, or
 * was not let run: then it is busy all the time, and late since. */
void pl_pulse_read(const struct pl_pulse *pulse, int64_t now_us, struct pl_load *load);

/* The same by a reader who knows better when its turn was due: it was woken, and has not come. */
void pl_pulse_read_due(const struct pl_pulse *pulse, int64_t now_us, int64_t due_us, struct pl_load *load);

/* When its next turn is due, or its present one began; INT64_MAX: when it is woken, or it has not started. */
static inline int64_t pl_pulse_due_us(const struct pl_pulse *pulse)
{
	return atomic_load_explicit(&pulse->due_us, memory_order_relaxed);
}

#endif
