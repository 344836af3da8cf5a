/* sfu/io/probe: what the kernel's files say, from machines that are folders here. */
#include "sfu/io/probe.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/machine_root.h"

enum { PATH_SIZE = 512, PERIOD = PL_PRESSURE_PERIOD_US };

static struct pl_probe probe;
static struct pl_pressure_sample sample;
static struct pl_probe_udp udp;
static int64_t now_us;

static int make_root(void **state)
{
	now_us = 1000000;
	return pl_machine_root_make(state);
}

static void read_turns(int turns)
{
	for (int i = 0; i < turns; i++) {
		sample = (struct pl_pressure_sample){ 0 };
		pl_probe_read(&probe, now_us += PERIOD, 100 << 20, false, &sample, &udp);
	}
}

static void expect(enum pl_pressure_input input, uint64_t part, uint64_t whole)
{
	if (sample.input[input].part != part || sample.input[input].whole != whole)
		fail_msg("%s: %llu of %llu", pl_pressure_input_name((uint8_t)input),
			(unsigned long long)sample.input[input].part, (unsigned long long)sample.input[input].whole);
}

static void expect_part(enum pl_pressure_input input, uint64_t part)
{
	expect(input, part, sample.input[input].whole);
	assert_true(sample.input[input].whole > 0);
}

#define MOUNT_V2 "31 23 0:28 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n"

/* A pod: the container's own group says how it is, its parent has the limits. */
static void put_pod(void)
{
	pl_machine_root_put("/proc/self/cgroup", "0::/pod/own\n");
	pl_machine_root_put("/proc/self/mountinfo", MOUNT_V2);
	pl_machine_root_put("/proc/stat", "cpu  100 0 50 800 0 0 10 40 7 0\ncpu0 1 2 3\n");
	pl_machine_root_put("/proc/self/statm", "90000 60000 10000 1 0 1 0\n");
	pl_machine_root_put("/proc/net/snmp",
		"Ip: Forwarding\nIp: 1\nUdp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors\n"
		"Udp: 1000 1 25 3 20 5\nUdpLite: InDatagrams RcvbufErrors\nUdpLite: 7 7\n");
	pl_machine_root_put("/proc/net/snmp6",
		"Ip6InReceives 5\nUdp6InDatagrams   \t500\nUdp6RcvbufErrors   \t4\nUdpLite6RcvbufErrors 9\n");
	pl_machine_root_put("/proc/pressure/cpu", "some avg10=0.00 avg60=0.00 avg300=0.00 total=77\n");
	pl_machine_root_put("/proc/pressure/memory", "some avg10=0.00 avg60=0.00 avg300=0.00 total=78\n");
	pl_machine_root_put("/sys/fs/cgroup/pod/cpu.max", "150000 100000\n");
	pl_machine_root_put(
		"/sys/fs/cgroup/pod/cpu.stat", "usage_usec 5\nnr_periods 9\nnr_throttled 3\nthrottled_usec 2500\n");
	pl_machine_root_put(
		"/sys/fs/cgroup/memory.max", "900000000\n"); /* as a container sees the topmost of its groups */
	pl_machine_root_put("/sys/fs/cgroup/memory.current", "1\n");
	pl_machine_root_put("/sys/fs/cgroup/pod/memory.max", "200000000\n");
	pl_machine_root_put("/sys/fs/cgroup/pod/memory.current", "150000000\n");
	pl_machine_root_put("/sys/fs/cgroup/pod/memory.stat",
		"anon 1\nfile 2\ninactive_anon 5\ninactive_file 50000000\nactive_file 6\n");
	pl_machine_root_put("/sys/fs/cgroup/pod/own/cgroup.events", "populated 1\n");
	pl_machine_root_put("/sys/fs/cgroup/pod/own/cpu.max", "max 100000\n");
	pl_machine_root_put("/sys/fs/cgroup/pod/own/cpu.stat", "usage_usec 5\nnr_throttled 0\nthrottled_usec 0\n");
	pl_machine_root_put("/sys/fs/cgroup/pod/own/memory.max", "max\n");
	pl_machine_root_put("/sys/fs/cgroup/pod/own/memory.current", "1000\n");
	pl_machine_root_put("/sys/fs/cgroup/pod/own/cpu.pressure",
		"some avg10=1.00 avg60=0.00 avg300=0.00 total=1234567\nfull "
		"avg10=0.00 avg60=0.00 avg300=0.00 total=5\n");
	pl_machine_root_put("/sys/fs/cgroup/pod/own/memory.pressure",
		"some avg10=1.00 avg60=0.00 avg300=0.00 total=7654\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5\n");
}

static void test_probe_reads_a_pod(void **state)
{
	(void)state;
	put_pod();
	pl_probe_open(&probe, pl_machine_root, now_us);
	assert_string_equal(pl_probe_missing(&probe), "");
	read_turns(1);
	expect(PL_PRESSURE_STEAL, 40, 1000); /* the guests are in user time */
	expect(PL_PRESSURE_MEMORY, 100000000, 200000000);
	expect_part(PL_PRESSURE_THROTTLED, 2500);
	expect(PL_PRESSURE_PSI_CPU, 1234567, PERIOD + 1);
	expect(PL_PRESSURE_PSI_MEMORY, 7654, PERIOD + 1);
	assert_true(sample.input[PL_PRESSURE_PSI_CPU].is_shared);
	assert_false(sample.input[PL_PRESSURE_PSI_MEMORY].is_shared);
	expect(PL_PRESSURE_UNTRACKED, 50000 * 4096u - (100u << 20), (100u << 20) + (128u << 20));
	assert_int_equal(udp.datagrams, 1500);
	assert_int_equal(udp.queue_full, 24);

	/* What changes is seen: at once what is cheap, within ten turns the rest. */
	pl_machine_root_put("/sys/fs/cgroup/pod/memory.current", "190000000\n");
	pl_machine_root_put("/sys/fs/cgroup/pod/cpu.stat", "nr_throttled 3\nthrottled_usec 3500\n");
	read_turns(1);
	expect(PL_PRESSURE_MEMORY, 140000000, 200000000);
	expect_part(PL_PRESSURE_THROTTLED, 3500);
	/* What cannot be understood is as it was. */
	pl_machine_root_put("/sys/fs/cgroup/pod/memory.current", "much\n");
	read_turns(1);
	expect(PL_PRESSURE_MEMORY, 140000000, 200000000);
	pl_machine_root_put("/sys/fs/cgroup/pod/memory.current", "");
	read_turns(1);
	expect(PL_PRESSURE_MEMORY, 140000000, 200000000);
	pl_machine_root_put("/sys/fs/cgroup/pod/memory.current", "190000000\n");
	pl_machine_root_put("/sys/fs/cgroup/pod/memory.max", "400000000\n");
	pl_machine_root_put("/sys/fs/cgroup/pod/memory.stat", "inactive_file 40000000\n");
	pl_machine_root_put(
		"/sys/fs/cgroup/pod/own/memory.pressure", "some avg10=1.00 avg60=0.00 avg300=0.00 total=9999999\n");
	pl_machine_root_put(
		"/sys/fs/cgroup/pod/own/cpu.pressure", "some avg10=1.00 avg60=0.00 avg300=0.00 total=1234569\n");
	pl_machine_root_put("/proc/stat", "cpu  100 0 50 800 0 0 10 140 7 0\n");
	pl_machine_root_put("/proc/net/snmp6", "Udp6InDatagrams 500\nUdp6RcvbufErrors 5\n");
	read_turns(PL_PROBE_TURNS);
	expect(PL_PRESSURE_MEMORY, 150000000, 400000000);
	expect_part(PL_PRESSURE_PSI_MEMORY, 9999999);
	expect_part(PL_PRESSURE_PSI_CPU, 1234569);
	expect(PL_PRESSURE_STEAL, 140, 1100);
	assert_int_equal(udp.queue_full, 25);
	pl_machine_root_put("/sys/fs/cgroup/pod/memory.max", "max\n");
	read_turns(PL_PROBE_TURNS);
	expect(PL_PRESSURE_MEMORY, 0, 0);

	/* A stall of memory that the kernel tells of is not waited for. */
	read_turns(PL_PROBE_TURNS - (int)(probe.turn % PL_PROBE_TURNS) + 1);
	pl_machine_root_put(
		"/sys/fs/cgroup/pod/own/memory.pressure", "some avg10=1.00 avg60=0.00 avg300=0.00 total=10000001\n");
	read_turns(1);
	expect_part(PL_PRESSURE_PSI_MEMORY, 9999999);
	pl_probe_read(&probe, now_us += PERIOD, 0, true, &sample, &udp);
	expect_part(PL_PRESSURE_PSI_MEMORY, 10000001);
	pl_probe_close(&probe);
}

/* Version 1 has other files and units; without a group of its own on version 2 the machine's pressure is read, and is the machine's. */
static void test_probe_reads_version_1(void **state)
{
	(void)state;
	pl_machine_root_put("/proc/self/cgroup", "4:memory:/docker/1f\n3:cpu,cpuacct:/docker/1f\n0::/\n");
	pl_machine_root_put("/proc/self/mountinfo",
		"33 31 0:30 /docker/1f /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
		"35 31 0:32 /docker/1f /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
		"41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
	pl_machine_root_put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
	pl_machine_root_put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n");
	pl_machine_root_put("/sys/fs/cgroup/cpu/cpu.stat", "nr_periods 10\nnr_throttled 5\nthrottled_time 4000000\n");
	pl_machine_root_put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "1000\n");
	pl_machine_root_put("/sys/fs/cgroup/memory/memory.usage_in_bytes", "950\n");
	pl_machine_root_put("/sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 100\n");
	pl_machine_root_put("/sys/fs/cgroup/unified/cpu.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=1\n");
	pl_machine_root_put(
		"/sys/fs/cgroup/unified/memory.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=2\n");
	pl_machine_root_put("/proc/pressure/cpu", "some avg10=0.00 avg60=0.00 avg300=0.00 total=77\n");
	pl_machine_root_put("/proc/pressure/memory", "some avg10=0.00 avg60=0.00 avg300=0.00 total=78\n");
	pl_probe_open(&probe, pl_machine_root, now_us);
	assert_string_equal(pl_probe_missing(&probe),
		"steal (no /proc/stat), untracked (no /proc/self/statm), receive_queue of others (no /proc/net/snmp)");
	read_turns(1);
	expect(PL_PRESSURE_THROTTLED, 4000, PERIOD + 1); /* half a CPU is less than one, and one thread is what waits */
	expect(PL_PRESSURE_MEMORY, 850, 1000);
	expect_part(PL_PRESSURE_PSI_CPU, 77);
	expect_part(PL_PRESSURE_PSI_MEMORY, 78);
	assert_true(sample.input[PL_PRESSURE_PSI_MEMORY].is_shared);
	expect(PL_PRESSURE_STEAL, 0, 0);
	expect(PL_PRESSURE_UNTRACKED, 0, 0);
	assert_int_equal(udp.datagrams + udp.queue_full, 0);
	pl_probe_close(&probe);
}

/* No limit, no quota, no PSI: each is named, and what is the process's own is measured still. */
static void test_probe_names_what_is_not_there(void **state)
{
	(void)state;
	pl_probe_open(&probe, pl_machine_root, now_us);
	static const char *const missing[] = { "steal (", "untracked (", "throttled (", "psi_cpu (", "psi_memory (",
		"memory (" };
	for (size_t i = 0; i < PL_COUNT(missing); i++)
		assert_non_null(strstr(pl_probe_missing(&probe), missing[i]));
	read_turns(2 * PL_PROBE_TURNS);
	for (size_t i = 0; i < PL_PRESSURE_INPUTS; i++)
		assert_int_equal(sample.input[i].whole > 0, i == PL_PRESSURE_CPU || i == PL_PRESSURE_FILES);
	pl_probe_close(&probe);

	/* "max", and a number near 2^63, are no limits. */
	pl_machine_root_put("/proc/self/cgroup", "4:memory:/\n0::/\n");
	pl_machine_root_put("/proc/self/mountinfo", "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
						    "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
	pl_machine_root_put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
	pl_machine_root_put("/sys/fs/cgroup/memory/memory.usage_in_bytes", "5\n");
	pl_machine_root_put("/sys/fs/cgroup/unified/memory.max", "max\n");
	pl_machine_root_put("/sys/fs/cgroup/unified/memory.current", "5\n");
	pl_machine_root_put(
		"/sys/fs/cgroup/unified/cpu.stat", "usage_usec 7\nuser_usec 7\n"); /* as the topmost group has it */
	pl_probe_open(&probe, pl_machine_root, now_us);
	assert_non_null(strstr(pl_probe_missing(&probe), "memory (no control group with a limit)"));
	assert_non_null(strstr(pl_probe_missing(&probe), "throttled (no control group with a cpu.stat)"));
	read_turns(2 * PL_PROBE_TURNS);
	expect(PL_PRESSURE_MEMORY, 0, 0);
	pl_probe_close(&probe);
}

/* Files are rewritten while they are read, by hand even: what is not understood changes nothing, and hurts nobody. */
static void test_probe_survives_any_text(void **state)
{
	(void)state;
	static const char *const files[] = { "/proc/stat", "/proc/self/statm", "/proc/net/snmp", "/proc/net/snmp6",
		"/sys/fs/cgroup/pod/cpu.stat", "/sys/fs/cgroup/pod/memory.max", "/sys/fs/cgroup/pod/memory.stat",
		"/sys/fs/cgroup/pod/own/cpu.pressure", "/sys/fs/cgroup/pod/own/memory.pressure" };
	static const char *const texts[] = { "", "\n", "cpu", "cpu ", "cpu  1 2 3 4 5 6 7", "cpu  1 2 3 4 5 6 7 ",
		"some", "some total=", "some avg10=0 total=x", "some avg10=0 total=99999999999999999999999",
		"Udp: ", "Udp: Udp: ", "Udp: InDatagrams\nUdp: ", "Udp: InDatagrams RcvbufErrors\nUdp: 5",
		"Udp: InDatagrams RcvbufErrors\nUdp: 5 -1", "Udp: \nUdp: \n", "Udp6InDatagrams",
		"Udp6InDatagrams \nUdp6RcvbufErrors\n", "throttled_usec", "throttled_usec x", "inactive_file",
		"18446744073709551616 1 2", "9 1 2", "-1 -1 -1", "\xff\xfe\xfd" };
	put_pod();
	pl_probe_open(&probe, pl_machine_root, now_us);
	read_turns(1);
	const struct pl_pressure_sample before = sample;
	const struct pl_probe_udp udp_before = udp;
	for (size_t i = 0; i < PL_COUNT(texts); i++) {
		for (size_t k = 0; k < PL_COUNT(files); k++)
			pl_machine_root_put(files[k], texts[i]);
		read_turns(PL_PROBE_TURNS);
		expect(PL_PRESSURE_STEAL, before.input[PL_PRESSURE_STEAL].part, before.input[PL_PRESSURE_STEAL].whole);
		assert_int_equal(sample.input[PL_PRESSURE_THROTTLED].part, before.input[PL_PRESSURE_THROTTLED].part);
		assert_int_equal(sample.input[PL_PRESSURE_PSI_CPU].part, before.input[PL_PRESSURE_PSI_CPU].part);
		assert_int_equal(sample.input[PL_PRESSURE_PSI_MEMORY].part, before.input[PL_PRESSURE_PSI_MEMORY].part);
		assert_int_equal(udp.datagrams, udp_before.datagrams);
		assert_int_equal(udp.queue_full, udp_before.queue_full);
	}
	/* Longer than it is read: the begin counts. */
	char *large = malloc(100000);
	memset(large, '7', 99999);
	large[99999] = '\0';
	for (size_t k = 0; k < PL_COUNT(files); k++)
		pl_machine_root_put(files[k], large);
	read_turns(PL_PROBE_TURNS);
	free(large);
	pl_probe_close(&probe);
}

/* The machine that this runs on: CPU time is what the clock says, each open file is counted, and all that is there is read. */
static void test_probe_reads_this_machine(void **state)
{
	(void)state;
	struct timespec begun, used;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begun);
	pl_probe_open(&probe, "", now_us);
	read_turns(2 * PL_PROBE_TURNS);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	const uint64_t part_us = sample.input[PL_PRESSURE_CPU].part;
	assert_in_range(part_us, (uint64_t)begun.tv_sec * 1000000 + (uint64_t)begun.tv_nsec / 1000,
		(uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000);
	assert_true(sample.input[PL_PRESSURE_STEAL].whole > 0 && udp.datagrams > 0);
	assert_true(sample.input[PL_PRESSURE_UNTRACKED].whole > 0);

	struct rlimit limit;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	const uint64_t files = sample.input[PL_PRESSURE_FILES].part;
	int fd[10];
	for (size_t i = 0; i < PL_COUNT(fd); i++) {
		fd[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		assert_true(fd[i] >= 0);
	}
	read_turns(1);
	expect(PL_PRESSURE_FILES, files + PL_COUNT(fd), limit.rlim_cur);
	/* Without a kernel that tells: the lowest free number. */
	const int freed = dup2(fd[0], probe.files_fd); /* its number stays taken */
	assert_true(freed >= 0);
	probe.files_fd = -1;
	read_turns(1);
	assert_in_range(sample.input[PL_PRESSURE_FILES].part, PL_COUNT(fd), files + PL_COUNT(fd));
	for (size_t i = 0; i < PL_COUNT(fd); i++)
		close(fd[i]);
	close(freed);
	pl_probe_close(&probe);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_probe_reads_a_pod, make_root, pl_machine_root_remove),
		cmocka_unit_test_setup_teardown(test_probe_reads_version_1, make_root, pl_machine_root_remove),
		cmocka_unit_test_setup_teardown(test_probe_names_what_is_not_there, make_root, pl_machine_root_remove),
		cmocka_unit_test_setup_teardown(test_probe_survives_any_text, make_root, pl_machine_root_remove),
		cmocka_unit_test_setup_teardown(test_probe_reads_this_machine, make_root, pl_machine_root_remove),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
