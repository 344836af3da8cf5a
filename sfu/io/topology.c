#include "sfu/io/topology.h"

#include <string.h>

static bool read_list(struct pl_topology *topology, const char *root, const char *path, cpu_set_t *set)
{
	char text[PL_SYSFILE_TEXT_SIZE];
	if (!pl_sysfile_read(root, path, text, sizeof text))
		return false;
	if (pl_sysfile_list(text, set) && CPU_COUNT(set) > 0)
		return true;
	/* A node without CPUs has an empty list. */
	if (text[0] != '\0')
		snprintf(topology->malformed_file, sizeof topology->malformed_file, "%s", path);
	return false;
}

/* A limit that leaves nothing contradicts that we run: the files speak of another process's view. */
static void narrow(cpu_set_t *usable, const cpu_set_t *limit)
{
	cpu_set_t both;
	CPU_AND(&both, usable, limit);
	if (CPU_COUNT(&both) > 0)
		*usable = both;
}

static void find_usable(
	struct pl_topology *topology, const char *root, const cpu_set_t *affinity, const struct pl_cgroup *cgroup)
{
	cpu_set_t usable, online;
	const bool has_online = read_list(topology, root, "/sys/devices/system/cpu/online", &online);
	CPU_ZERO(&usable);
	CPU_SET(0, &usable);
	if (affinity != NULL && CPU_COUNT(affinity) > 0)
		usable = *affinity;
	else if (has_online)
		usable = online;
	if (has_online)
		narrow(&usable, &online);
	if (cgroup->has_cpus)
		narrow(&usable, &cgroup->cpus);
	for (uint16_t id = 0; id < PL_TOPOLOGY_CPUS_MAX; id++) {
		if (CPU_ISSET(id, &usable))
			topology->cpu[topology->cpu_count++] = (struct pl_topology_cpu){ .id = id, .core = id };
	}
}

static struct pl_topology_cpu *find_cpu(struct pl_topology *topology, uint16_t id)
{
	for (size_t i = 0; i < topology->cpu_count; i++) {
		if (topology->cpu[i].id == id)
			return &topology->cpu[i];
	}
	return NULL;
}

static void find_cores(struct pl_topology *topology, const char *root)
{
	for (size_t i = 0; i < topology->cpu_count; i++) {
		struct pl_topology_cpu *cpu = &topology->cpu[i];
		char path[96];
		cpu_set_t siblings;
		snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list", cpu->id);
		/* A list without the CPU itself is nonsense; then it is a core of its own. */
		if (!read_list(topology, root, path, &siblings) || !CPU_ISSET(cpu->id, &siblings))
			continue;
		for (uint16_t sibling = 0; sibling < cpu->id; sibling++) {
			if (!CPU_ISSET(sibling, &siblings))
				continue;
			if (cpu->core == cpu->id)
				cpu->core = sibling;
			/* No core spans nodes; so each node has a first thread, whatever the files say. */
			const struct pl_topology_cpu *usable = find_cpu(topology, sibling);
			cpu->place = (uint16_t)(cpu->place + (usable != NULL && usable->node == cpu->node));
		}
	}
	for (size_t i = 0; i < topology->cpu_count; i++)
		topology->core_count += topology->cpu[i].place == 0;
}

static void find_nodes(struct pl_topology *topology, const char *root)
{
	cpu_set_t nodes, cpus;
	if (!read_list(topology, root, "/sys/devices/system/node/online", &nodes))
		return;
	for (uint16_t node = 0; node < PL_TOPOLOGY_NODES_MAX; node++) {
		char path[64];
		snprintf(path, sizeof path, "/sys/devices/system/node/node%u/cpulist", node);
		if (!CPU_ISSET(node, &nodes) || !read_list(topology, root, path, &cpus))
			continue;
		for (size_t i = 0; i < topology->cpu_count; i++) {
			if (CPU_ISSET(topology->cpu[i].id, &cpus))
				topology->cpu[i].node = node;
		}
	}
}

static void count_nodes(struct pl_topology *topology)
{
	struct pl_topology_node all[PL_TOPOLOGY_NODES_MAX] = { 0 };
	for (size_t i = 0; i < topology->cpu_count; i++) {
		struct pl_topology_node *node = &all[topology->cpu[i].node];
		node->cpu_count++;
		node->core_count = (uint16_t)(node->core_count + (topology->cpu[i].place == 0));
	}
	for (uint16_t id = 0; id < PL_TOPOLOGY_NODES_MAX; id++) {
		all[id].id = id;
		if (all[id].cpu_count > 0)
			topology->node[topology->node_count++] = all[id];
	}
}

void pl_topology_read(struct pl_topology *topology, const char *root, const cpu_set_t *affinity, int home_cpu)
{
	struct pl_cgroup cgroup;
	pl_cgroup_read(&cgroup, root);
	memset(topology, 0, sizeof *topology);
	memcpy(topology->malformed_file, cgroup.malformed_file, sizeof topology->malformed_file);
	memcpy(topology->quota_file, cgroup.quota_file, sizeof topology->quota_file);
	topology->quota_mcpu = cgroup.quota_mcpu;
	find_usable(topology, root, affinity, &cgroup);
	find_nodes(topology, root);
	find_cores(topology, root);
	count_nodes(topology);
	const struct pl_topology_cpu *home = home_cpu < 0 ? NULL : find_cpu(topology, (uint16_t)home_cpu);
	topology->home_node = home == NULL ? topology->node[0].id : home->node;
}

void pl_topology_discover(struct pl_topology *topology)
{
	cpu_set_t affinity;
	const bool has_affinity = sched_getaffinity(0, sizeof affinity, &affinity) == 0;
	pl_topology_read(topology, "", has_affinity ? &affinity : NULL, sched_getcpu());
}

static size_t quota_cpus(const struct pl_topology *topology)
{
	const uint64_t whole = topology->quota_mcpu / 1000 + (topology->quota_mcpu % 1000 != 0);
	return topology->quota_mcpu == 0 || whole > topology->cpu_count ? topology->cpu_count : (size_t)whole;
}

/* Every core has a shard: each gets a CPU of its own as long as there are some, all first threads before any second. */
static void pin(const struct pl_topology *topology, struct pl_topology_plan *plan)
{
	uint16_t order[PL_TOPOLOGY_CPUS_MAX];
	size_t ordered = 0, filled = 0;
	for (uint16_t place = 0; ordered < topology->cpu_count; place++) {
		for (uint16_t i = 0; i < topology->cpu_count; i++) {
			if (topology->cpu[i].place == place)
				order[ordered++] = i;
		}
	}
	for (size_t node = 0; node < topology->node_count; node++) {
		for (size_t i = 0; i < plan->count; i++) {
			const struct pl_topology_cpu *cpu = &topology->cpu[order[i % ordered]];
			if (cpu->node == topology->node[node].id)
				plan->shard[filled++] = (struct pl_topology_shard){ .cpu = cpu->id, .node = cpu->node };
		}
	}
	PL_ASSERT(filled == plan->count);
}

/* Whether a is the better node for so many shards: one that has cores for all, then this thread's, then the largest. */
static bool is_better_node(const struct pl_topology *topology, const struct pl_topology_node *a,
	const struct pl_topology_node *b, size_t shards)
{
	const bool a_fits = a->core_count >= shards, b_fits = b->core_count >= shards;
	if (a_fits != b_fits)
		return a_fits;
	if (a->id == topology->home_node || b->id == topology->home_node)
		return a->id == topology->home_node;
	return a->core_count > b->core_count;
}

/* As few nodes as can be: what crosses between nodes is dear. */
static void spread(const struct pl_topology *topology, struct pl_topology_plan *plan)
{
	uint16_t shards_of[PL_TOPOLOGY_NODES_MAX] = { 0 };
	for (size_t left = plan->count; left > 0;) {
		size_t best = topology->node_count;
		for (size_t i = 0; i < topology->node_count; i++) {
			if (shards_of[i] == 0 &&
				(best == topology->node_count ||
					is_better_node(topology, &topology->node[i], &topology->node[best], left)))
				best = i;
		}
		PL_ASSERT(best < topology->node_count);
		const size_t cores = topology->node[best].core_count;
		shards_of[best] = (uint16_t)(left < cores ? left : cores);
		left -= shards_of[best];
	}
	size_t filled = 0;
	for (size_t i = 0; i < topology->node_count; i++) {
		for (size_t shard = 0; shard < shards_of[i]; shard++)
			plan->shard[filled++] = (struct pl_topology_shard){
				.cpu = PL_TOPOLOGY_FLOATING,
				.node = topology->node[i].id,
			};
	}
}

void pl_topology_plan(const struct pl_topology *topology, size_t shards, struct pl_topology_plan *plan)
{
	const size_t quota = quota_cpus(topology);
	memset(plan, 0, sizeof *plan);
	plan->count = shards > 0 ? shards : topology->core_count < quota ? topology->core_count : quota;
	if (plan->count > PL_TOPOLOGY_SHARDS_MAX)
		plan->count = PL_TOPOLOGY_SHARDS_MAX;
	plan->is_over_cores = plan->count > topology->core_count;
	plan->is_over_quota = topology->quota_mcpu > 0 && plan->count > quota;
	if (plan->count >= topology->core_count)
		pin(topology, plan);
	else
		spread(topology, plan);
}

void pl_topology_cpus(const struct pl_topology *topology, const struct pl_topology_shard *shard, cpu_set_t *cpus)
{
	CPU_ZERO(cpus);
	for (size_t i = 0; i < topology->cpu_count; i++) {
		const struct pl_topology_cpu *cpu = &topology->cpu[i];
		if (shard->cpu == PL_TOPOLOGY_FLOATING ? cpu->node == shard->node : cpu->id == shard->cpu)
			CPU_SET(cpu->id, cpus);
	}
	PL_ASSERT(CPU_COUNT(cpus) > 0);
}

bool pl_topology_warning(const struct pl_topology *topology, const struct pl_topology_plan *plan,
	char text[static PL_TOPOLOGY_WARNING_SIZE])
{
	if (plan->is_over_quota)
		snprintf(text, PL_TOPOLOGY_WARNING_SIZE,
			"media.shards: %zu threads share a quota of %.2f CPUs, and are stopped together when it is "
			"used up",
			plan->count, (double)topology->quota_mcpu / 1000);
	else if (plan->is_over_cores)
		snprintf(text, PL_TOPOLOGY_WARNING_SIZE,
			"media.shards: %zu threads share %zu cores, and wait for each other", plan->count,
			topology->core_count);
	else
		text[0] = '\0';
	return text[0] != '\0';
}
