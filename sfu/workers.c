#include "sfu/workers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
	/* What a core can mix, and half as much again; more is refused by name.  It takes memory when it is used. */
	VOICES = 1024,
	ENCODERS = 2048,
	TRANSCODERS = 512,
	PACKETS = 2048, /* of all rooms' frames of 20 ms: a shard has read them long before the next */
};

static size_t count_for(const struct pl_topology_node *node, uint16_t each)
{
	if (each > 0)
		return each;
	return node->core_count > PL_WORKERS_CORES ? node->core_count / PL_WORKERS_CORES : 1;
}

static bool has_shards(const struct pl_topology_plan *shards, uint16_t node)
{
	for (size_t i = 0; i < shards->count; i++) {
		if (shards->shard[i].node == node)
			return true;
	}
	return false;
}

void pl_workers_plan(struct pl_workers *workers, const struct pl_topology *topology,
	const struct pl_topology_plan *shards, uint16_t each)
{
	*workers = (struct pl_workers){ .planned = 0 };
	for (size_t i = 0; i < topology->node_count; i++) {
		const struct pl_topology_node *node = &topology->node[i];
		const size_t count = has_shards(shards, node->id) ? count_for(node, each) : 0;
		for (size_t k = 0; k < count && workers->planned < PL_WORKERS_MAX; k++)
			workers->node[workers->planned++] = node->id;
	}
}

static void make_templates(void *owner)
{
	struct pl_workers *workers = owner;
	const struct pl_span memory = { workers->templates_memory, pl_opus_templates_bytes() };
	workers->templates_err =
		memory.data == NULL ? PL_ERR_NO_MEMORY : pl_opus_templates_init(&workers->templates, memory);
}

/* The memory is taken here: a thread that takes some of the heap reserves 64 MB of addresses for it, and how many threads there are
 * at a time would say how many a start needs. */
void pl_workers_prepare(struct pl_workers *workers)
{
	if (workers->planned == 0)
		return;
	workers->templates_memory = aligned_alloc(64, pl_opus_templates_bytes());
	pl_help_begin(&workers->help, make_templates, workers);
}

enum pl_err pl_workers_start(
	struct pl_workers *workers, const struct pl_topology *topology, const struct pl_workers_config *config)
{
	if (workers->planned == 0)
		return PL_ERR_NONE;
	pl_help_wait(&workers->help);
	enum pl_err err = workers->templates_err;
	while (err == PL_ERR_NONE && workers->count < workers->planned) {
		const size_t index = workers->count;
		struct pl_worker_config worker = {
			.codec = {
				.templates = workers->templates,
				.dsp = pl_dsp_get(config->simd),
				.rooms_max = config->rooms_max,
				.voices_max = VOICES,
				.encoders_max = ENCODERS,
				.transcoders_max = TRANSCODERS,
				.packets = PACKETS,
				.talkers_max = config->mix_talkers,
			},
			.node = workers->node[index],
			.index = (uint8_t)index,
		};
		PL_ASSERT(worker.codec.dsp != NULL);
		workers->failed = index;
		if (getrandom(&worker.codec.seed, sizeof worker.codec.seed, 0) != sizeof worker.codec.seed)
			return PL_ERR_CRYPTO;
		const struct pl_topology_shard place = { .cpu = PL_TOPOLOGY_FLOATING, .node = workers->node[index] };
		pl_topology_cpus(topology, &place, &worker.cpus);
		err = pl_worker_create(&workers->worker[index], &worker);
		workers->count += err == PL_ERR_NONE;
	}
	for (size_t i = 0; i < workers->count; i++) {
		const enum pl_err settle_err = pl_worker_wait(workers->worker[i]);
		if (err == PL_ERR_NONE && settle_err != PL_ERR_NONE) {
			workers->failed = i;
			err = settle_err;
		}
	}
	return err;
}

enum pl_err pl_workers_link(struct pl_workers *workers, struct pl_shard *shard, uint16_t node)
{
	bool has_near = false;
	for (size_t i = 0; i < workers->count; i++)
		has_near |= workers->node[i] == node;
	enum pl_err err = PL_ERR_NONE;
	for (size_t i = 0; i < workers->count && err == PL_ERR_NONE; i++)
		err = pl_shard_link_worker(
			shard, workers->worker[i], (uint8_t)i, !has_near || workers->node[i] == node);
	return err;
}

void pl_workers_go(struct pl_workers *workers)
{
	for (size_t i = 0; i < workers->count; i++)
		pl_worker_go(workers->worker[i]);
}

void pl_workers_ask_to_stop(struct pl_workers *workers)
{
	for (size_t i = 0; i < workers->count; i++)
		pl_worker_ask_to_stop(workers->worker[i]);
}

void pl_workers_stop(struct pl_workers *workers)
{
	for (size_t i = 0; i < workers->count; i++)
		pl_worker_stop(workers->worker[i]);
}

void pl_workers_destroy(struct pl_workers *workers)
{
	while (workers->count > 0)
		pl_worker_destroy(&workers->worker[--workers->count]);
	pl_help_wait(&workers->help);
	free(workers->templates_memory);
	workers->templates_memory = NULL;
}
