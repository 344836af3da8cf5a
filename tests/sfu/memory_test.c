#include "sfu/io/memory.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sfu/io/topology.h"

enum { MIB = 1 << 20 };

static struct pl_memory memory;

static void take_region(size_t size_bytes, int node)
{
	const struct pl_memory_config config = { .size_bytes = size_bytes, .node = node };
	assert_int_equal(pl_memory_init(&memory, &config), PL_ERR_NONE);
	assert_true(memory.size_bytes >= size_bytes);
}

/* A media thread that touches a page for the first time while it forwards, or one on the far node, is late: all of the
 * region is present, and on the node of its shard, before the first packet. */
static void test_memory_is_present_and_on_its_node(void **state)
{
	(void)state;
	static struct pl_topology topology;
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	pl_topology_discover(&topology);
	for (size_t i = 0; i < topology.node_count; i++) {
		const int node = topology.node[i].id;
		take_region(3 * MIB + 1, node);
		unsigned char present[2048];
		assert_true(memory.size_bytes / page <= sizeof present);
		assert_int_equal(mincore(memory.base, memory.size_bytes, present), 0);
		for (size_t at = 0; at < memory.size_bytes; at += page) {
			assert_true(present[at / page] & 1);
			const int found = pl_memory_node_of(memory.base + at);
			assert_true(found == node || (found == -1 && errno == ENOSYS));
		}
		assert_true(memory.is_on_node);
		pl_memory_fini(&memory);
	}
}

/* A node that is not there is told, and the server starts all the same. */
static void test_memory_of_an_absent_node_is_granted_elsewhere(void **state)
{
	(void)state;
	static const int absent[] = { 63, 100000, -7 };
	for (size_t i = 0; i < PL_COUNT(absent); i++) {
		char text[PL_MEMORY_TEXT_SIZE], node[16];
		take_region(MIB, absent[i]);
		assert_false(memory.is_on_node);
		assert_int_not_equal(memory.node_error, 0);
		assert_false(pl_memory_describe(&memory, text));
		snprintf(node, sizeof node, "node %d (", absent[i]);
		assert_non_null(strstr(text, node));
		pl_memory_fini(&memory);
	}
}

/* Tables that overlapped, or that lay across cache lines, would be found in production only. */
static void test_memory_takes_are_apart_aligned_and_zero(void **state)
{
	(void)state;
	static const struct {
		size_t size_bytes, align_bytes;
	} takes[] = { { 1, 1 }, { 8, 8 }, { 3, 1 }, { 100, 64 }, { 0, 64 }, { 1, 4096 }, { 70000, 128 },
		{ 1, 2 * MIB } };
	take_region(4 * MIB, PL_MEMORY_ANY_NODE);
	for (size_t i = 0; i < PL_COUNT(takes); i++) {
		uint8_t *block = pl_memory_take(&memory, takes[i].size_bytes, takes[i].align_bytes);
		assert_non_null(block);
		assert_int_equal((uintptr_t)block % takes[i].align_bytes, 0);
		for (size_t at = 0; at < takes[i].size_bytes; at++)
			assert_int_equal(block[at], 0);
		memset(block, 0xff, takes[i].size_bytes); /* the next one would see an overlap */
	}
	pl_memory_fini(&memory);
}

/* Full is an answer, not an overrun; and what still fits is still given. */
static void test_memory_full_takes_nothing(void **state)
{
	(void)state;
	take_region(MIB, PL_MEMORY_ANY_NODE);
	const size_t size = memory.size_bytes;
	assert_null(pl_memory_take(&memory, size + 1, 1));
	assert_null(pl_memory_take(&memory, SIZE_MAX, 64));
	assert_non_null(pl_memory_take(&memory, size - 100, 1));
	assert_null(pl_memory_take(&memory, 101, 1));
	assert_null(pl_memory_take(&memory, 1, 4096));
	assert_non_null(pl_memory_take(&memory, 100, 1));
	assert_null(pl_memory_take(&memory, 1, 1));
	assert_int_equal(memory.used_bytes, size);
	pl_memory_fini(&memory);
}

/* Runs touch in a child and returns the signal that ended it, or 0. */
static int signal_of(void (*touch)(void))
{
	const pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		const struct rlimit no_core = { 0, 0 };
		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGSEGV, SIG_DFL);
		touch();
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void touch_inside(void)
{
	memory.base[0] = 1;
	memory.base[memory.size_bytes - 1] = 1;
}

static void touch_before(void)
{
	((volatile uint8_t *)memory.base)[-1] = 1;
}

static void touch_behind(void)
{
	((volatile uint8_t *)memory.base)[memory.size_bytes] = 1;
}

/* An overrun must end the process at once: one that goes on sends somebody's voice to somebody else. */
static void test_memory_has_guards_on_both_sides(void **state)
{
	(void)state;
	take_region(2 * MIB, PL_MEMORY_ANY_NODE);
	assert_int_equal(signal_of(touch_inside), 0);
	assert_int_equal(signal_of(touch_before), SIGSEGV);
	assert_int_equal(signal_of(touch_behind), SIGSEGV);
	pl_memory_fini(&memory);
}

/* The line of smaps that begins with key, of the mapping that begins at base. */
static void read_smaps(const uint8_t *base, const char *key, char value[static 256])
{
	FILE *smaps = fopen("/proc/self/smaps", "r");
	char line[512], start[32];
	bool is_ours = false;
	assert_non_null(smaps);
	snprintf(start, sizeof start, "%lx-", (unsigned long)(uintptr_t)base);
	value[0] = '\0';
	while (fgets(line, sizeof line, smaps) != NULL && value[0] == '\0') {
		is_ours = is_ours || strncmp(line, start, strlen(start)) == 0;
		if (is_ours && strncmp(line, key, strlen(key)) == 0)
			snprintf(value, 256, "%.255s", line + strlen(key));
	}
	fclose(smaps);
}

/* What the log says is what the kernel did: its own flags are asked ("dd": left out of dumps, "lo": locked, "ht": of
 * the pool of huge pages). */
static void test_memory_reports_what_the_kernel_granted(void **state)
{
	(void)state;
	for (int is_secret = 0; is_secret <= 1; is_secret++) {
		const struct pl_memory_config config = {
			.size_bytes = 4 * MIB, .node = PL_MEMORY_ANY_NODE, .is_secret = is_secret
		};
		char flags[256], huge[256];
		assert_int_equal(pl_memory_init(&memory, &config), PL_ERR_NONE);
		read_smaps(memory.base, "VmFlags:", flags);
		assert_int_equal(strstr(flags, " dd ") != NULL, is_secret);
		assert_int_equal(memory.is_undumped, is_secret);
		const bool is_huge = strstr(flags, " ht ") != NULL; /* such pages never leave, and bear no "lo" */
		assert_int_equal(strstr(flags, " lo ") != NULL || is_huge, memory.is_locked);
		read_smaps(memory.base, "AnonHugePages:", huge);
		const size_t transparent_bytes = strtoul(huge, NULL, 10) * 1024;
		assert_int_equal(memory.pages == PL_MEMORY_HUGE, is_huge);
		assert_int_equal(memory.pages == PL_MEMORY_TRANSPARENT, transparent_bytes >= 2 * MIB);
		pl_memory_fini(&memory);
	}
}

/* A limit on locked memory is the usual case on a fresh machine: the server starts, and says it. */
static void test_memory_without_the_right_to_lock_says_so(void **state)
{
	(void)state;
	const pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		const struct rlimit none = { 0, 0 };
		const struct pl_memory_config config = { .size_bytes = MIB, .node = PL_MEMORY_ANY_NODE };
		char text[PL_MEMORY_TEXT_SIZE];
		/* root has CAP_IPC_LOCK; nobody has not. */
		if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || (getuid() == 0 && setuid(65534) != 0))
			_exit(1);
		if (pl_memory_init(&memory, &config) != PL_ERR_NONE || memory.is_locked || memory.lock_error == 0)
			_exit(2);
		memset(memory.base, 1, memory.size_bytes);
		_exit(pl_memory_describe(&memory, text) || strstr(text, "not locked") == NULL ? 3 : 0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* What cannot be had is an error with nothing left behind. */
static void test_memory_too_large_is_refused(void **state)
{
	(void)state;
	static const size_t sizes[] = { SIZE_MAX, SIZE_MAX / 2 + 1, SIZE_MAX / 4 };
	for (size_t i = 0; i < PL_COUNT(sizes); i++) {
		const struct pl_memory_config config = { .size_bytes = sizes[i], .node = PL_MEMORY_ANY_NODE };
		assert_int_equal(pl_memory_init(&memory, &config), PL_ERR_NO_MEMORY);
		assert_null(memory.reserved);
	}
}

static atomic_bool is_neighbour_stopped;

/* Takes a mapping again and again, and finds in it what it wrote; returns how often it did not. */
static void *live_beside(void *argument)
{
	uintptr_t wrong = 0;
	(void)argument;
	for (uint8_t n = 1; !atomic_load(&is_neighbour_stopped); n = (uint8_t)(n % 200 + 1)) {
		volatile uint8_t *mine =
			mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (mine == MAP_FAILED)
			continue;
		mine[0] = mine[2 * MIB] = n;
		for (int i = 0; i < 20000; i++)
			wrong += mine[0] != n || mine[2 * MIB] != n;
		munmap((void *)(uintptr_t)mine, 4 * MIB);
	}
	return (void *)wrong;
}

/* Shards start at the same time: what one of them maps never lands on what another one has, also where the kernel refuses
 * huge pages only after it has taken away what was mapped there. */
static void test_memory_takes_nothing_of_another_thread(void **state)
{
	(void)state;
	pthread_t thread;
	void *wrong;
	assert_int_equal(pthread_create(&thread, NULL, live_beside, NULL), 0);
	for (int i = 0; i < 300; i++) {
		take_region(3 * MIB, PL_MEMORY_ANY_NODE);
		pl_memory_fini(&memory);
	}
	atomic_store(&is_neighbour_stopped, true);
	assert_int_equal(pthread_join(thread, &wrong), 0);
	assert_null(wrong);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_is_present_and_on_its_node),
		cmocka_unit_test(test_memory_of_an_absent_node_is_granted_elsewhere),
		cmocka_unit_test(test_memory_takes_are_apart_aligned_and_zero),
		cmocka_unit_test(test_memory_full_takes_nothing),
		cmocka_unit_test(test_memory_has_guards_on_both_sides),
		cmocka_unit_test(test_memory_reports_what_the_kernel_granted),
		cmocka_unit_test(test_memory_without_the_right_to_lock_says_so),
		cmocka_unit_test(test_memory_takes_nothing_of_another_thread),
		cmocka_unit_test(test_memory_too_large_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
