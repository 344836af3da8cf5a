/* The thread that looks every 100 ms how hard the server is pressed: it reads the inputs, makes a score and a level of them
 * (sfu/meter.h), does what the level says (the ladder), and tells signaling.  It owns no packet and holds no lock: what it reads others
 * publish, and what it sets others take when they come by.
 * Thread: create to destroy belong to whoever starts the media plane; pl_monitor_force and pl_monitor_read to any. */
#ifndef PL_SFU_MONITOR_H
#define PL_SFU_MONITOR_H

#include "sfu/canary_thread.h"
#include "sfu/shard.h"
#include "sfu/workers.h"

struct pl_monitor;

struct pl_monitor_config {
	struct pl_waker *waker; /* of who takes the events; outlives the monitor */
	const char *root;       /* of the kernel's files (sfu/io/sysfile.h); outlives the monitor */
	uint8_t forced;         /* the level from the start; PL_PRESSURE_LEVELS: as the score has it */
};

/* Begins the thread, which opens its sources. */
PL_MUST_USE enum pl_err pl_monitor_create(struct pl_monitor **monitor, const struct pl_monitor_config *config);

/* Until it has opened its sources. */
PL_MUST_USE enum pl_err pl_monitor_wait(struct pl_monitor *monitor);

/* After wait: which inputs this machine does not have, in words; "" for none. */
const char *pl_monitor_missing(const struct pl_monitor *monitor);

/* From now on it watches these, which outlive its thread.  canary: NULL when there is none. */
void pl_monitor_go(struct pl_monitor *monitor, struct pl_shard *const shard[], size_t shard_count,
	const struct pl_workers *workers, const struct pl_canary_thread *canary);

void pl_monitor_ask_to_stop(struct pl_monitor *monitor);
void pl_monitor_stop(struct pl_monitor *monitor);
void pl_monitor_destroy(struct pl_monitor **monitor);

/* To poke when it should look at once.  Any thread. */
struct pl_waker *pl_monitor_waker(struct pl_monitor *monitor);

struct pl_ring *pl_monitor_events(struct pl_monitor *monitor); /* of struct pl_event; signaling is the consumer */

/* The level from now on; PL_PRESSURE_LEVELS: as the score has it. */
void pl_monitor_force(struct pl_monitor *monitor, uint8_t level);
uint8_t pl_monitor_forced(const struct pl_monitor *monitor);

/* What signaling holds.  Any thread. */
void pl_monitor_account(struct pl_monitor *monitor, uint64_t bytes);

/* What all parts hold; after go.  Any thread. */
void pl_monitor_holding(const struct pl_monitor *monitor, struct pl_holding *sum);

void pl_monitor_read(const struct pl_monitor *monitor, struct pl_sfu_pressure *now);

#endif
