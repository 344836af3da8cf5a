/* The codec workers of a media plane: how many there are and where, their start, their links with every shard, their end.
 * Thread: the signaling thread. */
#ifndef PL_SFU_WORKERS_H
#define PL_SFU_WORKERS_H

#include "sfu/io/thread.h"
#include "sfu/io/topology.h"
#include "sfu/shard.h"
#include "sfu/worker.h"

struct pl_workers {
	size_t planned, count; /* count: of those that are started */
	size_t failed;         /* which one it was that did not start, from 0 */
	uint16_t node[PL_WORKERS_MAX];
	struct pl_worker *worker[PL_WORKERS_MAX];
	struct pl_help help; /* makes the templates */
	enum pl_err templates_err;
	struct pl_opus_templates *templates;
	void *templates_memory;
};

struct pl_workers_config {
	uint32_t rooms_max;
	uint8_t mix_talkers; /* as in struct pl_codec_config */
	enum pl_simd simd;
};

enum { PL_WORKERS_CORES = 4 };

/* Places workers on the nodes that have shards, PL_WORKERS_MAX at most.  each: on each node; 0: one for each PL_WORKERS_CORES of
 * the node's cores, and at least one. */
void pl_workers_plan(struct pl_workers *workers, const struct pl_topology *topology,
	const struct pl_topology_plan *shards, uint16_t each);

/* Begins to make what all have in common, beside what the caller does until it calls pl_workers_start.  After the plan; from
 * here on the workers are to be destroyed. */
void pl_workers_prepare(struct pl_workers *workers);

/* Begins all that are planned, and waits for them.  On error those that have begun are to be destroyed. */
PL_MUST_USE enum pl_err pl_workers_start(
	struct pl_workers *workers, const struct pl_topology *topology, const struct pl_workers_config *config);

/* Connects all with a shard of node, whose rooms may be mixed on those of the same node; on any where there is none. */
PL_MUST_USE enum pl_err pl_workers_link(struct pl_workers *workers, struct pl_shard *shard, uint16_t node);

void pl_workers_go(struct pl_workers *workers);

/* Stopping begins; pl_workers_stop waits for its end. */
void pl_workers_ask_to_stop(struct pl_workers *workers);

/* In the same order as shards: all of both are stopped, then shards are unlinked, then both are destroyed. */
void pl_workers_stop(struct pl_workers *workers);
void pl_workers_destroy(struct pl_workers *workers);

#endif
