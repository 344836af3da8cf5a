/* The inside of a shard, for the two files that make it up: shard.c (its loop) and shard_start.c (its memory, thread, links,
 * start and end).  Nobody else includes this. */
#ifndef PL_SFU_SHARD_STATE_H
#define PL_SFU_SHARD_STATE_H

#include <pthread.h>
#include <semaphore.h>

#include "sfu/gather.h"
#include "sfu/io/udp.h"
#include "sfu/shard.h"

enum { PL_SHARD_LINK_CAPACITY = 1024 }; /* messages between two shards: some milliseconds of the largest room */

#define PL_SHARD_COUNTER_WORDS (sizeof(struct pl_sfu_counters) / sizeof(uint64_t))
_Static_assert(sizeof(struct pl_sfu_counters) % sizeof(uint64_t) == 0, "counters are published by words");

/* The way from one shard to another.  The first owns it. */
struct pl_link {
	struct pl_ring ring;
	size_t pushed, reaped; /* messages; the packets of those in between are held for the reader */
};

struct pl_shard {
	struct pl_udp udp;
	struct pl_srtp_engine *srtp;
	struct pl_conference *conference;
	struct pl_waker waker;
	struct pl_ring commands, events;
	struct pl_link *to[PL_SFU_SHARDS_MAX], *from[PL_SFU_SHARDS_MAX];
	size_t taking[PL_SFU_SHARDS_MAX]; /* messages of from whose packets are borrowed now */
	pthread_t thread;
	atomic_bool is_stopping;
	bool has_events_waiting; /* inside the conference, because the ring was full */
	uint64_t events_delayed, waits;
	int64_t published_us;
	struct pl_gather gather;
	bool is_behind; /* the last turn left something over that had come */
	_Atomic uint64_t published[PL_SHARD_COUNTER_WORDS];
	/* The start: written by the thread before is_settled is posted, constant after. */
	struct pl_memory memory; /* the shard itself is in it */
	struct pl_shard_config config;
	sem_t is_settled, may_go;
	bool has_stopped;
	enum pl_err settle_err;
	int pin_error;
	bool is_on_node;
};

/* The life of the thread, from go to stop. */
void pl_shard_run(struct pl_shard *shard);

/* The conference's port: context is the shard. */
bool pl_shard_push_cross(void *context, uint8_t to, const struct pl_cross *message);

#endif
