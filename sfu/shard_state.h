/* The inside of a shard, for the two files that make it up: shard.c (its loop) and shard_start.c (its memory, thread, links,
 * start and end).  Nobody else includes this. */
#ifndef PL_SFU_SHARD_STATE_H
#define PL_SFU_SHARD_STATE_H

#include "sfu/gather.h"
#include "sfu/io/published.h"
#include "sfu/io/pulse.h"
#include "sfu/io/thread.h"
#include "sfu/io/udp.h"
#include "sfu/shard.h"
#include "sfu/worker.h"

_Static_assert(sizeof(struct pl_sfu_counters) % sizeof(uint64_t) == 0, "counters are published by words");

enum { COMMANDS_CAPACITY = 1024, CANARY_COMMANDS_CAPACITY = 16, EVENTS_CAPACITY = 4096 };

/* Another shard, or a codec worker. */
struct pl_shard_peer {
	uint8_t number; /* as pl_cross_port has it */
	struct pl_link *to, *from;
};

struct pl_shard {
	struct pl_udp udp;
	struct pl_srtp_engine *srtp;
	struct pl_conference *conference;
	struct pl_waker waker;
	struct pl_ring commands, canary_commands, events;
	struct pl_shard_peer peer[PL_SFU_SHARDS_MAX + PL_WORKERS_MAX];
	size_t peer_count;
	uint8_t peer_at[UINT8_MAX + 1];           /* by number: the index in peer */
	struct pl_worker *worker[PL_WORKERS_MAX]; /* of the shard's node, or all where it has none */
	size_t worker_count;
	struct pl_thread thread;
	bool has_events_waiting; /* inside the conference, because the ring was full */
	uint64_t events_delayed, waits, handshakes_turn_max, joins_turn_max;
	int64_t published_us;
	int64_t ticked_us, catch_up_us; /* the last tick; until when the socket comes before the next one */
	struct pl_gather gather;
	bool has_too_much; /* as the last window showed */
	bool is_behind;    /* the last turn left something over that had come */
	uint32_t relief_seen;
	struct pl_pulse pulse;
	struct pl_histogram transit;
	uint32_t transit_batches;
	uint64_t handshake_bytes; /* the most since handshake_us, which their end gives back late */
	int64_t handshake_us;
	pl_published_word published[PL_PUBLISHED_WORDS(struct pl_sfu_counters)];
	pl_published_word holding[PL_PUBLISHED_WORDS(struct pl_holding)];
	pl_published_word times[PL_PUBLISHED_WORDS(struct pl_sfu_times)];
	/* What others set: pl_relief_word. */
	_Alignas(64) _Atomic uint32_t relief;
	/* The start: written by the thread while it settles, constant after. */
	struct pl_memory memory; /* the shard itself is in it */
	struct pl_shard_config config;
	int pin_error;
	bool is_on_node;
};

/* The life of the thread, from go to stop. */
void pl_shard_run(struct pl_shard *shard);

/* The conference's port: context is the shard. */
bool pl_shard_push_cross(void *context, uint8_t to, const struct pl_cross *message);
uint8_t pl_shard_choose_worker(void *context);

#endif
