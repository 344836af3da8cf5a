#include <stdlib.h>
#include <string.h>

#include "sfu/pressure.h"
#include "signaling/doctor_checks.h"

enum { CPUS_TEXT_SIZE = 64 };

/* 2025-01-01; a clock before that is a machine without a battery, or one that was never set. */
#define REALTIME_S_MIN INT64_C(1735689600)

/* "CPUs 0-3, 8", each once, cut where it gets long. */
static void describe_pinned(const struct pl_topology_plan *plan, char text[static CPUS_TEXT_SIZE])
{
	enum { ENTRY_SIZE = 16 };
	cpu_set_t cpus;
	CPU_ZERO(&cpus);
	for (size_t i = 0; i < plan->count; i++)
		CPU_SET((size_t)plan->shard[i].cpu, &cpus);
	size_t used = (size_t)snprintf(text, CPUS_TEXT_SIZE, "on CPU%s ", CPU_COUNT(&cpus) == 1 ? "" : "s");
	const size_t begin = used;
	for (size_t first = 0, last; first < CPU_SETSIZE; first = last + 1) {
		last = first;
		if (!CPU_ISSET(first, &cpus))
			continue;
		while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, &cpus))
			last++;
		const char *comma = used == begin ? "" : ", ";
		if (used >= CPUS_TEXT_SIZE - ENTRY_SIZE) {
			snprintf(text + used, CPUS_TEXT_SIZE - used, ", ...");
			return;
		}
		if (last > first)
			used += (size_t)snprintf(text + used, CPUS_TEXT_SIZE - used, "%s%zu-%zu", comma, first, last);
		else
			used += (size_t)snprintf(text + used, CPUS_TEXT_SIZE - used, "%s%zu", comma, first);
	}
}

static void check_nodes(
	struct pl_doctor *doctor, const struct pl_topology *topology, const struct pl_topology_plan *plan)
{
	char text[PL_DOCTOR_FOUND_SIZE / 2] = "";
	size_t used = 0;
	for (size_t i = 0; i < topology->node_count && used < sizeof text - 64; i++) {
		const struct pl_topology_node *node = &topology->node[i];
		size_t shards = 0;
		for (size_t shard = 0; shard < plan->count; shard++)
			shards += plan->shard[shard].node == node->id;
		used += (size_t)snprintf(text + used, sizeof text - used,
			"%snode %u has %u core%s and %zu media thread%s", i == 0 ? "" : ", ", node->id,
			node->core_count, node->core_count == 1 ? "" : "s", shards, shards == 1 ? "" : "s");
	}
	if (topology->node_count == 1)
		pl_doctor_tell(doctor, "NUMA", PL_DOCTOR_OK, "one node: all memory is equally near");
	else
		pl_doctor_tell(doctor, "NUMA", PL_DOCTOR_OK, "%zu nodes: %s", topology->node_count, text);
}

void pl_doctor_check_cores(
	struct pl_doctor *doctor, const struct pl_topology *topology, const struct pl_topology_plan *plan)
{
	char quota[PL_SYSFILE_PATH_SIZE] = "no quota", where[CPUS_TEXT_SIZE] = "free to move between them";
	char threads[48] = "", warning[PL_TOPOLOGY_WARNING_SIZE];
	if (topology->quota_mcpu > 0)
		snprintf(quota, sizeof quota, "a quota of %.2f CPUs (%.200s)", (double)topology->quota_mcpu / 1000,
			topology->quota_file);
	if (plan->shard[0].cpu != PL_TOPOLOGY_FLOATING)
		describe_pinned(plan, where);
	if (topology->cpu_count > topology->core_count)
		snprintf(threads, sizeof threads, " (%zu hardware threads)", topology->cpu_count);
	pl_doctor_tell(doctor, "cores", PL_DOCTOR_OK, "%zu to use%s, %s: %zu media thread%s, %s", topology->core_count,
		threads, quota, plan->count, plan->count == 1 ? "" : "s", where);
	if (pl_topology_warning(topology, plan, warning)) {
		pl_doctor_tell(doctor, "cores", PL_DOCTOR_WARNING, "%s", warning);
		pl_doctor_mend(doctor, "plenum --set media.shards=0");
	}
	if (topology->malformed_file[0] != '\0')
		pl_doctor_tell(doctor, "cores", PL_DOCTOR_WARNING,
			"%.300s is not understood, so a limit that it sets is not kept; media.shards can",
			topology->malformed_file);
	check_nodes(doctor, topology, plan);
}

/* False: /proc/cpuinfo has no such line.  flags: of size bytes, cut at its end. */
static bool read_flags(const char *root, char *flags, size_t size)
{
	FILE *file = pl_sysfile_open(root, "/proc/cpuinfo");
	bool is_found = false;
	char *line = NULL;
	size_t line_size = 0;
	while (file != NULL && !is_found && getline(&line, &line_size, file) > 0) {
		const char *colon = strchr(line, ':');
		/* x86 says "flags", arm64 "Features". */
		is_found = colon != NULL && (strncmp(line, "flags", 5) == 0 || strncmp(line, "Features", 8) == 0);
		if (is_found)
			snprintf(flags, size, "%s ", colon + 1);
	}
	free(line);
	if (file != NULL)
		fclose(file);
	for (char *at = flags; is_found && *at != '\0'; at++)
		*at = *at == '\n' ? ' ' : *at;
	return is_found;
}

void pl_doctor_check_simd(struct pl_doctor *doctor, const char *root)
{
	static const struct {
		const char *flag, *name;
	} levels[] = {
		{ " avx512bw ", "AVX-512" },
		{ " avx2 ", "AVX2" },
		{ " sse4_1 ", "SSE4.1" },
		{ " asimd ", "NEON" },
		{ " sse2 ", "SSE2" },
	};
	char flags[8192];
	const char *name = "none that is known";
	if (!read_flags(root, flags, sizeof flags)) {
		pl_doctor_tell(doctor, "SIMD", PL_DOCTOR_NOTE, "/proc/cpuinfo does not tell; it is chosen at run time");
		return;
	}
	for (size_t i = PL_COUNT(levels); i-- > 0;)
		name = strstr(flags, levels[i].flag) != NULL ? levels[i].name : name;
	const bool has_aes = strstr(flags, " aes ") != NULL, has_wide_aes = strstr(flags, " vaes ") != NULL;
	if (has_aes)
		pl_doctor_tell(doctor, "SIMD", PL_DOCTOR_OK, "%s, with instructions for %sAES", name,
			has_wide_aes ? "wide " : "");
	else
		pl_doctor_tell(doctor, "SIMD", PL_DOCTOR_WARNING,
			"%s, without instructions for AES: encryption costs several times as much; if this is a "
			"virtual "
			"machine, give it the host's CPU model (qemu: -cpu host)",
			name);
}

void pl_doctor_check_mixer(struct pl_doctor *doctor, enum pl_simd wanted)
{
	const struct pl_dsp *dsp = pl_dsp_get(wanted);
	if (dsp == NULL) {
		pl_doctor_tell(doctor, "mixer", PL_DOCTOR_BROKEN, "media.simd is %s, which cannot be used: %s",
			pl_simd_text(wanted), pl_simd_lack(wanted));
		pl_doctor_mend(doctor, "plenum --set media.simd=auto");
		return;
	}
	const bool is_slow = wanted == PL_SIMD_PLAIN && pl_dsp_get(PL_SIMD_AUTO)->level != PL_SIMD_PLAIN;
	pl_doctor_tell(doctor, "mixer", is_slow ? PL_DOCTOR_NOTE : PL_DOCTOR_OK, "%s mixes audio (media.simd is %s)%s",
		pl_simd_text(dsp->level), pl_simd_text(wanted),
		is_slow ? "; this CPU has instructions that take a tenth of the time" : "");
}

/* Sources that a process reads without a system call: the vDSO of x86, arm64, Hyper-V, POWER and RISC-V. */
static bool is_fast_source(const char *name)
{
	static const char *const fast[] = { "tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter",
		"timebase", "riscv_clocksource", "tod" };
	for (size_t i = 0; i < PL_COUNT(fast); i++) {
		if (strcmp(name, fast[i]) == 0)
			return true;
	}
	return false;
}

void pl_doctor_check_clock_source(struct pl_doctor *doctor, const char *root)
{
	char name[64], available[256];
	if (!pl_sysfile_read(
		    root, "/sys/devices/system/clocksource/clocksource0/current_clocksource", name, sizeof name)) {
		pl_doctor_tell(doctor, "clock", PL_DOCTOR_NOTE, "the kernel does not tell its source");
		return;
	}
	if (is_fast_source(name)) {
		pl_doctor_tell(doctor, "clock", PL_DOCTOR_OK, "%s, which is read without a system call", name);
		return;
	}
	pl_doctor_tell(
		doctor, "clock", PL_DOCTOR_WARNING, "%s is slow to read, and each batch of packets is stamped", name);
	if (pl_sysfile_read(root, "/sys/devices/system/clocksource/clocksource0/available_clocksource", available,
		    sizeof available) &&
		strncmp(available, "tsc", 3) == 0)
		pl_doctor_mend(
			doctor, "echo tsc | sudo tee /sys/devices/system/clocksource/clocksource0/current_clocksource");
}

void pl_doctor_check_time(struct pl_doctor *doctor, int64_t realtime_s, bool has_sync)
{
	if (realtime_s < REALTIME_S_MIN)
		pl_doctor_tell(doctor, "time of day", PL_DOCTOR_WARNING,
			"the clock stands before 2025: certificates and tokens will be refused");
	else if (!has_sync)
		pl_doctor_tell(doctor, "time of day", PL_DOCTOR_WARNING,
			"nothing keeps the clock right, and tokens, sender reports and the log carry its time");
	else
		pl_doctor_tell(doctor, "time of day", PL_DOCTOR_OK, "is kept right");
	if (realtime_s < REALTIME_S_MIN || !has_sync)
		pl_doctor_mend(doctor, "sudo timedatectl set-ntp true");
}

static bool has_swap(const char *root)
{
	char text[PL_SYSFILE_TEXT_SIZE];
	/* A head line, then one for each. */
	return !pl_sysfile_read(root, "/proc/swaps", text, sizeof text) || strchr(text, '\n') != NULL;
}

static void check_lock(struct pl_doctor *doctor, const char *root, const struct pl_memory *probe)
{
	if (probe->is_locked) {
		pl_doctor_tell(doctor, "locked memory", PL_DOCTOR_OK, "allowed: a packet never waits for the disk");
		return;
	}
	if (!has_swap(root)) {
		pl_doctor_tell(doctor, "locked memory", PL_DOCTOR_NOTE,
			"is over its limit, which is harmless as long as this machine has no swap");
		return;
	}
	pl_doctor_tell(doctor, "locked memory", PL_DOCTOR_WARNING,
		"is over its limit: under memory pressure packets wait for the disk (under systemd: "
		"LimitMEMLOCK=infinity; docker run: --ulimit memlock=-1)");
	pl_doctor_mend(doctor, "sudo prlimit --pid $$ --memlock=unlimited");
}

void pl_doctor_check_memory(struct pl_doctor *doctor, const char *root, const struct pl_memory *probe)
{
	char text[128];
	if (probe->pages == PL_MEMORY_HUGE) {
		pl_doctor_tell(doctor, "huge pages", PL_DOCTOR_OK, "of the reserved pool are used");
	} else if (probe->pages == PL_MEMORY_TRANSPARENT) {
		pl_doctor_tell(doctor, "huge pages", PL_DOCTOR_OK, "are made by the kernel (transparent)");
	} else if (pl_sysfile_read(root, "/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof text) &&
		   strstr(text, "[never]") == NULL) {
		pl_doctor_tell(doctor, "huge pages", PL_DOCTOR_WARNING,
			"could not be made: free memory is in small pieces, and packets cost more");
		pl_doctor_mend(doctor, "echo 1 | sudo tee /proc/sys/vm/compact_memory");
	} else {
		pl_doctor_tell(
			doctor, "huge pages", PL_DOCTOR_WARNING, "are turned off, and packets cost a little more");
		pl_doctor_mend(doctor, "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled");
	}
	check_lock(doctor, root, probe);
	if (!probe->is_on_node)
		pl_doctor_tell(doctor, "memory", PL_DOCTOR_WARNING,
			"node %d has no room, or this process may not use it: packets cross to another node (see "
			"cpuset.mems of the control group)",
			probe->node);
}

void pl_doctor_check_files(struct pl_doctor *doctor, uint64_t limit, uint64_t needed, uint64_t wanted)
{
	/* A server that is full by its own limits shall not be pressed by the kernel's. */
	const bool is_pressed = needed * 1000 >= limit * pl_pressure_begins_permille(PL_PRESSURE_ELEVATED);
	if (!is_pressed) {
		pl_doctor_tell(doctor, "open files", PL_DOCTOR_OK, "%llu are needed at most, and %llu allowed",
			(unsigned long long)needed, (unsigned long long)limit);
		return;
	}
	pl_doctor_tell(doctor, "open files", PL_DOCTOR_WARNING,
		"%llu are allowed, limits.connections may need %llu: %s (under systemd: LimitNOFILE=%llu; docker run: "
		"--ulimit nofile=%llu)",
		(unsigned long long)limit, (unsigned long long)needed,
		limit < needed ? "the last to connect will be refused"
			       : "with all of them the server would hold itself for loaded",
		(unsigned long long)wanted, (unsigned long long)wanted);
	pl_doctor_mend(doctor, "sudo prlimit --pid $$ --nofile=%llu", (unsigned long long)wanted);
}
