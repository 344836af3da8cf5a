/* sfu/io/allowance: what may be taken of memory, on machines that are folders here. */
#include "sfu/io/allowance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/machine_root.h"

static void expect(uint64_t bytes, const char *file)
{
	struct pl_allowance allowance;
	pl_allowance_read(&allowance, pl_machine_root);
	assert_int_equal(allowance.bytes, bytes);
	assert_string_equal(allowance.file, file);
}

/* The tightest of all decides: a group above the own, of either version, or the machine. */
static void test_allowance_is_the_tightest(void **state)
{
	(void)state;
	expect(0, "");
	pl_machine_root_put("/proc/meminfo", "MemTotal:        1000000 kB\nMemFree:          900000 kB\n");
	expect(UINT64_C(1024000000), "/proc/meminfo");
	pl_machine_root_put("/proc/self/cgroup", "4:memory:/old\n0::/pod/own\n");
	pl_machine_root_put("/proc/self/mountinfo",
		"31 23 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
		"32 23 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
	pl_machine_root_put("/sys/fs/cgroup/unified/pod/own/memory.max", "max\n");
	pl_machine_root_put("/sys/fs/cgroup/memory/old/memory.limit_in_bytes", "9223372036854771712\n");
	expect(UINT64_C(1024000000), "/proc/meminfo");
	pl_machine_root_put("/sys/fs/cgroup/unified/pod/memory.max", "500000000\n");
	expect(500000000, "/sys/fs/cgroup/unified/pod/memory.max");
	pl_machine_root_put("/sys/fs/cgroup/unified/pod/own/memory.max", "600000000\n");
	expect(500000000, "/sys/fs/cgroup/unified/pod/memory.max");
	pl_machine_root_put("/sys/fs/cgroup/memory/old/memory.limit_in_bytes", "499999999\n");
	expect(499999999, "/sys/fs/cgroup/memory/old/memory.limit_in_bytes");
	/* What cannot be understood says nothing. */
	pl_machine_root_put("/sys/fs/cgroup/memory/old/memory.limit_in_bytes", "many\n");
	pl_machine_root_put("/sys/fs/cgroup/unified/pod/memory.max", "0\n");
	expect(600000000, "/sys/fs/cgroup/unified/pod/own/memory.max");
	pl_machine_root_put("/proc/meminfo", "MemTotal:        9999999999999999999 kB\n");
	expect(600000000, "/sys/fs/cgroup/unified/pod/own/memory.max");
}

/* An eighth is left for all else; without a word from anybody the kernel has to decide. */
static void test_allowance_leaves_an_eighth(void **state)
{
	(void)state;
	const struct pl_allowance some = { .bytes = 8000 }, unknown = { .bytes = 0 };
	assert_true(pl_allowance_has(&some, 7000));
	assert_false(pl_allowance_has(&some, 7001));
	assert_true(pl_allowance_has(&unknown, UINT64_MAX));
}

/* The machine that this runs on says something. */
static void test_allowance_reads_this_machine(void **state)
{
	(void)state;
	struct pl_allowance allowance;
	pl_allowance_read(&allowance, "");
	assert_true(allowance.bytes > 64 << 20 && allowance.file[0] == '/');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_allowance_is_the_tightest, pl_machine_root_make, pl_machine_root_remove),
		cmocka_unit_test(test_allowance_leaves_an_eighth),
		cmocka_unit_test(test_allowance_reads_this_machine),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
