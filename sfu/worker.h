/* A codec worker: one thread that mixes and transcodes for rooms of any shard (sfu/codec.h has what it computes).  It is
 * connected with shards by links alone, stands behind them in line for the processor (nice), and runs, with its memory, on
 * one NUMA node.  While rooms are mixed it wakes by the clock and messages wake nobody; while none is it sleeps until a message
 * comes, and costs nothing.
 * Thread: create, wait, go, stop, destroy belong to the signaling thread, choose to any shard's, counters to any. */
#ifndef PL_SFU_WORKER_H
#define PL_SFU_WORKER_H

#include <sched.h>

#include "sfu/link.h"
#include "sfu/load.h"
#include "sfu/sfu.h"

struct pl_worker;

enum {
	PL_WORKER_NICE = 5,
	PL_WORKER_LOAD_STEP = 1, /* at first: complexity 5, which a listener cannot tell from 9 in CELT at 40 kb/s */
};

struct pl_worker_config {
	struct pl_codec_config codec;
	cpu_set_t cpus; /* that the thread may run on */
	int node;       /* of cpus, for memory */
	uint8_t index;
};

/* Begins the thread; its memory is address space until it is used. */
PL_MUST_USE enum pl_err pl_worker_create(struct pl_worker **worker, const struct pl_worker_config *config);

/* Waits until the thread has settled: once after each create, before it is linked.  On error it is to be destroyed. */
PL_MUST_USE enum pl_err pl_worker_wait(struct pl_worker *worker);

/* Its ways to and from a shard: between wait and go.  They stay the caller's. */
struct pl_waker *pl_worker_waker(struct pl_worker *worker);
void pl_worker_link(struct pl_worker *worker, uint8_t shard, struct pl_link *from, struct pl_link *to);

void pl_worker_go(struct pl_worker *worker);

/* Stopping begins; pl_worker_stop waits for its end. */
void pl_worker_ask_to_stop(struct pl_worker *worker);

/* All that are linked are stopped before the first link is destroyed, and these before the first of both. */
void pl_worker_stop(struct pl_worker *worker);
void pl_worker_destroy(struct pl_worker **worker);

/* The index of the one for a new room: with the least work, now and to be expected of the rooms that it has.  count: 1 to
 * PL_WORKERS_MAX. */
uint8_t pl_worker_choose(struct pl_worker *const worker[], size_t count);

/* At most a tenth of a second old while it works. */
void pl_worker_counters(const struct pl_worker *worker, struct pl_sfu_worker_counters *counters);

/* From the next step on. */
void pl_worker_set_load_step(struct pl_worker *worker, uint8_t step); /* below PL_MIXER_LOAD_STEPS */
uint8_t pl_worker_load_step(const struct pl_worker *worker);          /* that was set last */
/* As if the step that was set were this one, where it is lower.  Thread: the monitor. */
void pl_worker_relieve(struct pl_worker *worker, uint8_t least_step);
void pl_worker_set_dsp(struct pl_worker *worker, const struct pl_dsp *dsp);

/* Adds what it holds.  Any thread. */
void pl_worker_add_holding(const struct pl_worker *worker, struct pl_holding *sum);

/* How late its ticks were, ever.  Any thread. */
void pl_worker_lateness(const struct pl_worker *worker, struct pl_histogram *late);

/* How busy it is.  now_us: of sfu/io/clock.h.  Any thread. */
void pl_worker_load(const struct pl_worker *worker, int64_t now_us, struct pl_load *load);

/* Looks at one worker again and again: since when has it been woken and has not come?  A message has no time of its own, so that counts from
 * when it was seen first.  0 at first. */
struct pl_worker_watch {
	int64_t woken_us;
};

/* When its thread begins its next turn at the latest, began the present one, or was woken; INT64_MAX: it sleeps until a message comes.
 * Any thread, with a watch of its own. */
int64_t pl_worker_due_us(const struct pl_worker *worker, int64_t now_us, struct pl_worker_watch *watch);

/* How busy it is, as who watches it knows. */
void pl_worker_load_watched(
	const struct pl_worker *worker, int64_t now_us, struct pl_worker_watch *watch, struct pl_load *load);

/* After wait: errno of what kept the thread from its CPUs, 0 when it is on them. */
int pl_worker_pin_error(const struct pl_worker *worker);
int pl_worker_node(const struct pl_worker *worker);

#endif
