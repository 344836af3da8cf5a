#include "sfu/io/topology.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <numa.h>

#define FIXTURE(name) PLENUM_SOURCE_DIR "/tests/sfu/topology/" name

static struct pl_topology topology;
static struct pl_topology_plan plan;

static void read_fixture(const char *root, const char *affinity, int home_cpu)
{
	cpu_set_t cpus;
	assert_true(pl_sysfile_list(affinity, &cpus));
	pl_topology_read(&topology, root, *affinity == '\0' ? NULL : &cpus, home_cpu);
}

/* The plan as "cpu@node ..." with "*" for a floating shard. */
static const char *plan_text(size_t shards)
{
	static char text[1024];
	size_t used = 0;
	pl_topology_plan(&topology, shards, &plan);
	text[0] = '\0';
	for (size_t i = 0; i < plan.count; i++) {
		const char *separator = i == 0 ? "" : " ";
		const struct pl_topology_shard *shard = &plan.shard[i];
		used += (size_t)(shard->cpu == PL_TOPOLOGY_FLOATING
					 ? snprintf(text + used, sizeof text - used, "%s*@%u", separator, shard->node)
					 : snprintf(text + used, sizeof text - used, "%s%d@%u", separator, shard->cpu,
						   shard->node));
		assert_true(used < sizeof text);
	}
	return text;
}

/* The first thing an operator sees in `top`: as many media threads as the machine, or what is ours of it, can run. */
static void test_topology_plan_fits_what_is_ours(void **state)
{
	(void)state;
	static const struct {
		const char *name, *affinity;
		int home_cpu;
		size_t cpus, cores, nodes;
		uint64_t quota_mcpu;
		const char *plan;
	} cases[] = {
		{ FIXTURE("plain"), "", -1, 8, 4, 1, 0, "0@0 1@0 2@0 3@0" },
		{ FIXTURE("plain"), "2-3", 2, 2, 2, 1, 0, "2@0 3@0" },
		/* Both threads of one core, and the second thread of another. */
		{ FIXTURE("plain"), "0,4,7", 4, 3, 2, 1, 0, "0@0 7@0" },
		{ FIXTURE("docker-v1-quota"), "", 3, 4, 4, 1, 1500, "*@0 *@0" },
		{ FIXTURE("docker-v1-quota"), "1", 1, 1, 1, 1, 1500, "1@0" },
		{ FIXTURE("k8s-v2-parent-quota"), "", 0, 8, 8, 1, 2500, "*@0 *@0 *@0" },
		{ FIXTURE("namespace-v2"), "", 2, 3, 3, 1, 500, "*@0" },
		/* Moved out of its namespace: the topmost group that is visible is all that can be known. */
		{ FIXTURE("above-namespace"), "", 0, 4, 4, 1, 1000, "*@0" },
		{ FIXTURE("outside-namespace"), "", 0, 4, 4, 1, 2334, "*@0 *@0 *@0" },
		{ FIXTURE("cpuset-v1"), "", -1, 4, 2, 1, 0, "2@0 4@0" },
		{ FIXTURE("two-nodes"), "", 0, 16, 8, 2, 0, "0@0 1@0 2@0 3@0 4@1 5@1 6@1 7@1" },
		{ FIXTURE("two-nodes"), "3,4,11,12", 0, 4, 2, 2, 0, "3@0 4@1" },
		{ FIXTURE("two-nodes-quota"), "", 13, 16, 8, 2, 3000, "*@1 *@1 *@1" },
		{ FIXTURE("two-nodes-quota"), "0-6,13", 13, 8, 7, 2, 3000, "*@1 *@1 *@1" },
		/* This thread's node is too small for three, the other is not. */
		{ FIXTURE("two-nodes-quota"), "0-4", 4, 5, 5, 2, 3000, "*@0 *@0 *@0" },
		{ FIXTURE("four-nodes"), "", 0, 6, 6, 3, 0, "0@0 3@0 1@1 4@1 2@2 5@2" },
		/* Lists that contradict each other: no node is left without a core. */
		{ FIXTURE("odd-siblings"), "", 0, 4, 4, 2, 0, "0@0 2@0 1@1 3@1" },
		{ FIXTURE("offline"), "", 0, 4, 2, 1, 0, "0@0 1@0" },
		{ FIXTURE("offline"), "0-7", 0, 4, 2, 1, 0, "0@0 1@0" },
		{ FIXTURE("no such folder"), "", -1, 1, 1, 1, 0, "0@0" },
		{ FIXTURE("no such folder"), "5-6", 6, 2, 2, 1, 0, "5@0 6@0" },
	};
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		read_fixture(cases[i].name, cases[i].affinity, cases[i].home_cpu);
		assert_int_equal(topology.cpu_count, cases[i].cpus);
		assert_int_equal(topology.core_count, cases[i].cores);
		assert_int_equal(topology.node_count, cases[i].nodes);
		assert_int_equal(topology.quota_mcpu, cases[i].quota_mcpu);
		assert_string_equal(plan_text(0), cases[i].plan);
		assert_string_equal(topology.malformed_file, "");
		assert_false(plan.is_over_cores || plan.is_over_quota);
	}
}

/* The quota that counts is the tightest of all levels, and the operator is told where it stands: in a pod the
 * container's own group says "max". */
static void test_topology_names_the_file_of_the_quota(void **state)
{
	(void)state;
	read_fixture(FIXTURE("k8s-v2-parent-quota"), "", 0);
	assert_non_null(strstr(topology.quota_file, "kubepods-burstable-pod6e.slice/cpu.max"));
	read_fixture(FIXTURE("docker-v1-quota"), "", 0);
	assert_string_equal(topology.quota_file, "/sys/fs/cgroup/cpu,cpuacct/worker/cpu.cfs_quota_us");
	read_fixture(FIXTURE("plain"), "", 0);
	assert_string_equal(topology.quota_file, "");
}

/* media.shards is the operator's word: it is done, over free threads first, and what it costs is said once. */
static void test_topology_override_is_obeyed_with_a_warning(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		size_t shards;
		const char *plan, *warning;
	} cases[] = {
		{ FIXTURE("plain"), 1, "*@0", NULL },
		{ FIXTURE("plain"), 4, "0@0 1@0 2@0 3@0", NULL },
		{ FIXTURE("plain"), 6, "0@0 1@0 2@0 3@0 4@0 5@0", "6 threads share 4 cores" },
		{ FIXTURE("plain"), 10, "0@0 1@0 2@0 3@0 4@0 5@0 6@0 7@0 0@0 1@0", "10 threads share 4 cores" },
		{ FIXTURE("docker-v1-quota"), 3, "*@0 *@0 *@0", "3 threads share a quota of 1.50 CPUs" },
		{ FIXTURE("docker-v1-quota"), 2, "*@0 *@0", NULL },
		{ FIXTURE("two-nodes"), 6, "*@0 *@0 *@0 *@0 *@1 *@1", NULL },
		{ FIXTURE("two-nodes"), 9, "0@0 1@0 2@0 3@0 8@0 4@1 5@1 6@1 7@1", "9 threads share 8 cores" },
		{ FIXTURE("four-nodes"), 3, "*@0 *@0 *@1", NULL },
		/* This thread's node, then the largest. */
		{ FIXTURE("uneven-nodes"), 6, "*@0 *@1 *@2 *@2 *@2 *@2", NULL },
		{ FIXTURE("uneven-nodes"), 4, "*@2 *@2 *@2 *@2", NULL },
	};
	char text[PL_TOPOLOGY_WARNING_SIZE];
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		read_fixture(cases[i].name, "", 0);
		assert_string_equal(plan_text(cases[i].shards), cases[i].plan);
		assert_int_equal(pl_topology_warning(&topology, &plan, text), cases[i].warning != NULL);
		if (cases[i].warning != NULL)
			assert_non_null(strstr(text, cases[i].warning));
	}
	pl_topology_plan(&topology, 100000, &plan);
	assert_int_equal(plan.count, PL_TOPOLOGY_SHARDS_MAX);
}

/* A floating shard never leaves its node (its memory is there), a pinned one never its CPU. */
static void test_topology_cpus_of_a_shard_are_on_its_node(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		size_t shards;
		const char *cpus_of_last;
	} cases[] = {
		{ FIXTURE("two-nodes"), 5, "4-7,12-15" },
		{ FIXTURE("two-nodes"), 8, "7" },
		{ FIXTURE("namespace-v2"), 0, "2-3,6" },
	};
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		cpu_set_t cpus, expected;
		read_fixture(cases[i].name, "", 0);
		pl_topology_plan(&topology, cases[i].shards, &plan);
		pl_topology_cpus(&topology, &plan.shard[plan.count - 1], &cpus);
		assert_true(pl_sysfile_list(cases[i].cpus_of_last, &expected));
		assert_true(CPU_EQUAL(&cpus, &expected));
	}
}

/* Files of an unknown kernel, or of a container runtime's imagination, must not keep the server from starting: what is
 * not understood is no limit, and is named. */
static void test_topology_passes_over_malformed_files(void **state)
{
	(void)state;
	read_fixture(FIXTURE("malformed"), "", 2);
	assert_int_equal(topology.cpu_count, 4);
	assert_int_equal(topology.node_count, 1);
	assert_int_equal(topology.quota_mcpu, 0);
	assert_string_not_equal(topology.malformed_file, "");
	pl_topology_plan(&topology, 0, &plan);
	assert_true(plan.count >= 1 && plan.count <= 4);
}

static void test_sysfile_lists_and_numbers(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool is_list;
		int count, last;
	} lists[] = {
		{ "", true, 0, -1 },
		{ "0", true, 1, 0 },
		{ "0-3,8,10-11", true, 7, 11 },
		{ "1023", true, 1, 1023 },
		{ "1020-5000", true, 4, 1023 },
		{ "0-18446744073709551615", true, CPU_SETSIZE, 1023 },
		{ "0-18446744073709551616", false, 0, 0 },
		{ "3-1", false, 0, 0 },
		{ "0,", false, 0, 0 },
		{ ",0", false, 0, 0 },
		{ "0 1", false, 0, 0 },
		{ "0-", false, 0, 0 },
		{ "-1", false, 0, 0 },
		{ "0-3:1/2", false, 0, 0 },
	};
	for (size_t i = 0; i < PL_COUNT(lists); i++) {
		cpu_set_t set;
		assert_int_equal(pl_sysfile_list(lists[i].text, &set), lists[i].is_list);
		if (!lists[i].is_list)
			continue;
		assert_int_equal(CPU_COUNT(&set), lists[i].count);
		assert_true(lists[i].last < 0 || CPU_ISSET((size_t)lists[i].last, &set));
	}
	uint64_t number;
	assert_true(pl_sysfile_number("18446744073709551615", &number) && number == UINT64_MAX);
	assert_false(pl_sysfile_number("18446744073709551616", &number));
	assert_false(pl_sysfile_number("1 ", &number));
	assert_false(pl_sysfile_number("-1", &number));
	assert_false(pl_sysfile_number("", &number));
}

/* A file that is longer than its reader expects is not half a file. */
static void test_sysfile_reads_all_or_nothing(void **state)
{
	(void)state;
	char text[8];
	assert_true(pl_sysfile_read(FIXTURE("plain"), "/sys/devices/system/cpu/online", text, sizeof text));
	assert_string_equal(text, "0-7");
	assert_false(pl_sysfile_read(FIXTURE("plain"), "/sys/devices/system/cpu/online", text, 4));
	assert_string_equal(text, "");
	assert_false(pl_sysfile_read(FIXTURE("plain"), "/sys/devices/system/cpu", text, sizeof text));
	assert_false(pl_sysfile_read(FIXTURE("plain"), "/sys/none", text, sizeof text));
}

/* This machine: each CPU of the plan can be run on, and libnuma, which has its own eyes, sees it on the same node. */
static void test_topology_of_this_machine_is_libnumas(void **state)
{
	(void)state;
	cpu_set_t allowed;
	assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
	pl_topology_discover(&topology);
	pl_topology_plan(&topology, 0, &plan);
	for (size_t i = 0; i < plan.count; i++) {
		cpu_set_t cpus;
		pl_topology_cpus(&topology, &plan.shard[i], &cpus);
		assert_int_equal(sched_setaffinity(0, sizeof cpus, &cpus), 0);
		assert_int_equal(sched_setaffinity(0, sizeof allowed, &allowed), 0);
	}
	for (size_t i = 0; numa_available() >= 0 && i < topology.cpu_count; i++) {
		const int node = numa_node_of_cpu(topology.cpu[i].id);
		assert_true(node == topology.cpu[i].node || node < 0); /* a container without /sys leaves it blind */
	}
	const char *nodes = getenv("PLENUM_NODES"); /* set by the tests in guests, where it is known */
	if (nodes != NULL)
		assert_int_equal(topology.node_count, strtol(nodes, NULL, 10));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_topology_plan_fits_what_is_ours),
		cmocka_unit_test(test_topology_names_the_file_of_the_quota),
		cmocka_unit_test(test_topology_override_is_obeyed_with_a_warning),
		cmocka_unit_test(test_topology_cpus_of_a_shard_are_on_its_node),
		cmocka_unit_test(test_topology_passes_over_malformed_files),
		cmocka_unit_test(test_sysfile_lists_and_numbers),
		cmocka_unit_test(test_sysfile_reads_all_or_nothing),
		cmocka_unit_test(test_topology_of_this_machine_is_libnumas),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
