/* Which processors this process may use, and the media threads to make of them.
 *
 * Usable is what the affinity mask, the cpuset and the machine (offline CPUs) leave; a CPU quota bounds how many are
 * busy at once.  Two hardware threads of one core count as one core: they share its units and caches, a second shard
 * there gains little, and signaling, the codecs and the kernel's network work need a place to run beside the shards.
 *
 * A shard is pinned to a CPU only when the plan takes every core.  With a quota (or media.shards) below that, another
 * container of the same host makes the same plan, and both would sit on CPU 0 while others idle: such shards float over
 * the CPUs of their node, and the plan keeps to as few nodes as it can.
 *
 * NUMA nodes are read from /sys, as libnuma does itself, because libnuma's cannot be tested on machines that are not
 * there; tests compare the two.  Thread: the one that starts the media plane. */
#ifndef PL_SFU_IO_TOPOLOGY_H
#define PL_SFU_IO_TOPOLOGY_H

#include "sfu/io/cgroup.h"

enum {
	PL_TOPOLOGY_CPUS_MAX = CPU_SETSIZE,
	PL_TOPOLOGY_NODES_MAX = 64,
	PL_TOPOLOGY_SHARDS_MAX = 64,
	PL_TOPOLOGY_FLOATING = -1,
	PL_TOPOLOGY_WARNING_SIZE = 256,
};

struct pl_topology_cpu {
	uint16_t id;
	uint16_t core;  /* the lowest id of the hardware threads that share it, usable or not */
	uint16_t node;  /* 0 where the machine has no nodes */
	uint16_t place; /* how many usable threads of the same core come before it */
};

struct pl_topology_node {
	uint16_t id;
	uint16_t cpu_count, core_count; /* usable, at least 1 */
};

struct pl_topology {
	size_t cpu_count, core_count, node_count;            /* usable, at least 1 */
	struct pl_topology_cpu cpu[PL_TOPOLOGY_CPUS_MAX];    /* by id */
	struct pl_topology_node node[PL_TOPOLOGY_NODES_MAX]; /* by id, those with usable CPUs */
	uint16_t home_node;  /* where this thread runs: as good a guess as any at a free one */
	uint64_t quota_mcpu; /* thousandths of a CPU; 0: none */
	char quota_file[PL_SYSFILE_PATH_SIZE];
	char malformed_file[PL_SYSFILE_PATH_SIZE]; /* was passed over because it was not understood; "" for none */
};

struct pl_topology_shard {
	int cpu; /* to pin it to; PL_TOPOLOGY_FLOATING: any usable CPU of node */
	uint16_t node;
};

struct pl_topology_plan {
	size_t count;                                           /* at least 1 */
	struct pl_topology_shard shard[PL_TOPOLOGY_SHARDS_MAX]; /* by node */
	bool is_over_cores, is_over_quota;                      /* more were asked for than can run at once */
};

/* The machine that this thread runs on. */
void pl_topology_discover(struct pl_topology *topology);

/* The same for the files below root (sysfile.h).  affinity: NULL for all that are online.  home_cpu: the CPU that this
 * thread runs on, or -1. */
void pl_topology_read(struct pl_topology *topology, const char *root, const cpu_set_t *affinity, int home_cpu);

/* shards: how many (media.shards), or 0 for one per usable core, bounded by the quota rounded up.  More than cores are
 * given to the cores' second threads, then round-robin; never more than PL_TOPOLOGY_SHARDS_MAX. */
void pl_topology_plan(const struct pl_topology *topology, size_t shards, struct pl_topology_plan *plan);

/* The CPUs that a shard of a plan may run on, for pthread_setaffinity_np: never empty. */
void pl_topology_cpus(const struct pl_topology *topology, const struct pl_topology_shard *shard, cpu_set_t *cpus);

/* Writes a sentence for the operator about a plan that asks for too much, and returns whether there is one. */
bool pl_topology_warning(const struct pl_topology *topology, const struct pl_topology_plan *plan,
	char text[static PL_TOPOLOGY_WARNING_SIZE]);

#endif
