/* sfu/io/allowance: what may be taken of memory, on machines that are folders here. */
#include "sfu/io/allowance.h"

#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char root[64];

static int make_root(void **state)
{
	(void)state;
	snprintf(root, sizeof root, "/tmp/plenum-allowance.XXXXXX");
	return mkdtemp(root) == NULL ? -1 : 0;
}

static int remove_one(const char *path, const struct stat *stat, int kind, struct FTW *walk)
{
	(void)stat, (void)kind, (void)walk;
	return remove(path);
}

static int remove_root(void **state)
{
	(void)state;
	return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void put(const char *path, const char *text)
{
	char full[512];
	snprintf(full, sizeof full, "%s%s", root, path);
	for (char *slash = strchr(full + strlen(root) + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		assert_true(mkdir(full, 0755) == 0 || errno == EEXIST);
		*slash = '/';
	}
	FILE *file = fopen(full, "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void expect(uint64_t bytes, const char *file)
{
	struct pl_allowance allowance;
	pl_allowance_read(&allowance, root);
	assert_int_equal(allowance.bytes, bytes);
	assert_string_equal(allowance.file, file);
}

/* The tightest of all decides: a group above the own, of either version, or the machine. */
static void test_allowance_is_the_tightest(void **state)
{
	(void)state;
	expect(0, "");
	put("/proc/meminfo", "MemTotal:        1000000 kB\nMemFree:          900000 kB\n");
	expect(UINT64_C(1024000000), "/proc/meminfo");
	put("/proc/self/cgroup", "4:memory:/old\n0::/pod/own\n");
	put("/proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
				    "32 23 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
	put("/sys/fs/cgroup/unified/pod/own/memory.max", "max\n");
	put("/sys/fs/cgroup/memory/old/memory.limit_in_bytes", "9223372036854771712\n");
	expect(UINT64_C(1024000000), "/proc/meminfo");
	put("/sys/fs/cgroup/unified/pod/memory.max", "500000000\n");
	expect(500000000, "/sys/fs/cgroup/unified/pod/memory.max");
	put("/sys/fs/cgroup/unified/pod/own/memory.max", "600000000\n");
	expect(500000000, "/sys/fs/cgroup/unified/pod/memory.max");
	put("/sys/fs/cgroup/memory/old/memory.limit_in_bytes", "499999999\n");
	expect(499999999, "/sys/fs/cgroup/memory/old/memory.limit_in_bytes");
	/* What cannot be understood says nothing. */
	put("/sys/fs/cgroup/memory/old/memory.limit_in_bytes", "many\n");
	put("/sys/fs/cgroup/unified/pod/memory.max", "0\n");
	expect(600000000, "/sys/fs/cgroup/unified/pod/own/memory.max");
	put("/proc/meminfo", "MemTotal:        9999999999999999999 kB\n");
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
		cmocka_unit_test_setup_teardown(test_allowance_is_the_tightest, make_root, remove_root),
		cmocka_unit_test(test_allowance_leaves_an_eighth),
		cmocka_unit_test(test_allowance_reads_this_machine),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
