#include "sfu/io/memory.h"

#include <errno.h>
#include <numa.h>
#include <numaif.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* 2 MiB is the huge page of x86-64 and of arm64 with 4 KiB pages; elsewhere it is merely an alignment. */
#define HUGE_BYTES ((size_t)2 << 20)

enum { PAGES_ASKED = 256 };

static size_t round_up(size_t size, size_t unit)
{
	return (size + unit - 1) / unit * unit;
}

static size_t page_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

int pl_memory_node_of(const void *address)
{
	void *page = (void *)((uintptr_t)address & ~(uintptr_t)(page_bytes() - 1));
	int node = -1;
	if (move_pages(0, 1, &page, NULL, &node, 0) != 0)
		return -1;
	if (node < 0) {
		errno = -node;
		return -1;
	}
	return node;
}

void pl_memory_prefer(int node)
{
	struct bitmask *nodes = node < 0 || numa_available() < 0 ? NULL : numa_allocate_nodemask();
	if (nodes == NULL)
		return;
	if ((unsigned long)node < nodes->size) {
		numa_bitmask_setbit(nodes, (unsigned)node);
		/* Refused by a sandbox: then the first touch decides, and who touches runs there. */
		(void)set_mempolicy(MPOL_PREFERRED, nodes->maskp, nodes->size + 1);
	}
	numa_bitmask_free(nodes);
}

/* Preferred and not bound: with a full node the server shall run slower, not be killed. */
static void prefer_node(struct pl_memory *memory)
{
	memory->node_error = 0;
	if (memory->node == PL_MEMORY_ANY_NODE)
		return;
	struct bitmask *nodes = numa_available() < 0 ? NULL : numa_allocate_nodemask();
	if (nodes == NULL) {
		/* A machine without nodes has one. */
		memory->node_error = memory->node == 0 ? 0 : ENOSYS;
		return;
	}
	if (memory->node < 0 || (unsigned long)memory->node >= nodes->size) {
		memory->node_error = EINVAL;
	} else {
		numa_bitmask_setbit(nodes, (unsigned)memory->node);
		if (mbind(memory->base, memory->size_bytes, MPOL_PREFERRED, nodes->maskp, nodes->size + 1, 0) != 0)
			memory->node_error = errno;
	}
	numa_bitmask_free(nodes);
}

/* Makes every page present.  False: they are not there to be had. */
static bool populate(const struct pl_memory *memory)
{
#ifdef MADV_POPULATE_WRITE
	if (madvise(memory->base, memory->size_bytes, MADV_POPULATE_WRITE) == 0)
		return true;
	if (errno != EINVAL)
		return false;
#endif
	/* Linux before 5.14.  Touching a huge page that a control group withholds would be SIGBUS. */
	if (memory->pages == PL_MEMORY_HUGE)
		return false;
	for (size_t at = 0; at < memory->size_bytes; at += page_bytes())
		((volatile uint8_t *)memory->base)[at] = 0;
	return true;
}

/* Asks for count pages, the first at base + at, at once: a question for each would take longer than all else at a start. */
static bool are_on_node(const struct pl_memory *memory, size_t at, size_t step, size_t count)
{
	void *page[PAGES_ASKED];
	int node[PAGES_ASKED];
	for (size_t i = 0; i < count; i++)
		page[i] = memory->base + at + i * step;
	if (move_pages(0, count, page, NULL, node, 0) != 0)
		return errno == ENOSYS && memory->node == 0;
	for (size_t i = 0; i < count; i++) {
		if (node[i] != memory->node)
			return false;
	}
	return true;
}

static bool is_all_on_node(const struct pl_memory *memory)
{
	if (memory->node == PL_MEMORY_ANY_NODE)
		return true;
	/* A sample of what is large. */
	const size_t step = memory->size_bytes / page_bytes() > 4096 ? HUGE_BYTES : page_bytes();
	const size_t pages = (memory->size_bytes + step - 1) / step;
	for (size_t i = 0; i < pages; i += PAGES_ASKED) {
		const size_t count = pages - i < PAGES_ASKED ? pages - i : PAGES_ASKED;
		if (!are_on_node(memory, i * step, step, count))
			return false;
	}
	return true;
}

static bool reserve(struct pl_memory *memory, size_t size_bytes)
{
	/* Room to align, and at least a page of guard on both sides. */
	memory->reserved_bytes = round_up(size_bytes, HUGE_BYTES) + 2 * HUGE_BYTES;
	void *reserved =
		mmap(NULL, memory->reserved_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (reserved == MAP_FAILED)
		return false;
	memory->reserved = reserved;
	memory->base = (uint8_t *)round_up((uintptr_t)reserved + 1, HUGE_BYTES);
	return true;
}

/* Gives the reserved range back but for what lay between base and its end: a hole that is somebody else's by now. */
static void abandon(struct pl_memory *memory, size_t hole_bytes)
{
	uint8_t *const end = memory->reserved + memory->reserved_bytes, *const behind = memory->base + hole_bytes;
	munmap(memory->reserved, (size_t)(memory->base - memory->reserved));
	munmap(behind, (size_t)(end - behind));
	memory->reserved = NULL;
}

/* Lays a mapping over the reserved range.  A kernel that refuses may have taken away before what was there (huge pages do
 * that), and another thread's mmap may be in the hole at once: it is never touched again. */
static bool map(struct pl_memory *memory, size_t size_bytes, int flags)
{
	void *at = mmap(memory->base, size_bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | flags, -1, 0);
	memory->size_bytes = size_bytes;
	if (at == MAP_FAILED)
		abandon(memory, size_bytes);
	return at != MAP_FAILED;
}

static void unmap(const struct pl_memory *memory)
{
	/* Back to the guard: a hole could be filled by another thread's mmap. */
	void *at = mmap(memory->base, memory->size_bytes, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
	PL_ASSERT(at == memory->base);
}

/* The operator's own pool of huge pages (vm.nr_hugepages).  A huge page on the wrong node is worse than small ones on
 * the right one. */
static bool take_huge(struct pl_memory *memory, size_t size_bytes)
{
	memory->pages = PL_MEMORY_HUGE;
	if (!reserve(memory, size_bytes) ||
		!map(memory, round_up(size_bytes, HUGE_BYTES), MAP_HUGETLB | 21 << MAP_HUGE_SHIFT))
		return false;
	prefer_node(memory);
	if (populate(memory) && is_all_on_node(memory)) {
		memory->huge_bytes = memory->size_bytes;
		return true;
	}
	unmap(memory);
	return false;
}

/* What the kernel made of our advice; it never says so itself.  The guards keep our mapping from being merged with a
 * neighbour, so its line in smaps begins with base. */
static size_t count_transparent(const struct pl_memory *memory)
{
	FILE *smaps = fopen("/proc/self/smaps", "re");
	char line[512], start[32];
	bool is_ours = false;
	size_t kib = 0;
	if (smaps == NULL)
		return 0;
	snprintf(start, sizeof start, "%lx-", (unsigned long)(uintptr_t)memory->base);
	while (fgets(line, sizeof line, smaps) != NULL) {
		if (!is_ours)
			is_ours = strncmp(line, start, strlen(start)) == 0;
		else if (strncmp(line, "AnonHugePages:", 14) == 0) {
			kib = strtoul(line + 14, NULL, 10);
			break;
		}
	}
	fclose(smaps);
	return kib * 1024;
}

static bool take_small(struct pl_memory *memory, size_t size_bytes)
{
	memory->pages = PL_MEMORY_SMALL;
	if (memory->reserved == NULL && !reserve(memory, size_bytes))
		return false;
	if (!map(memory, round_up(size_bytes, page_bytes()), 0))
		return false;
	prefer_node(memory);
	if (memory->wants_huge)
		madvise(memory->base, memory->size_bytes, MADV_HUGEPAGE);
	if (!populate(memory)) {
		unmap(memory);
		return false;
	}
	memory->huge_bytes = memory->wants_huge ? count_transparent(memory) : 0;
	if (memory->huge_bytes >= memory->size_bytes / 2 && memory->huge_bytes > 0)
		memory->pages = PL_MEMORY_TRANSPARENT;
	return true;
}

enum pl_err pl_memory_init(struct pl_memory *memory, const struct pl_memory_config *config)
{
	PL_ASSERT(config->size_bytes > 0);
	memset(memory, 0, sizeof *memory);
	memory->node = config->node;
	memory->wants_huge = !config->is_small;
	if (config->size_bytes > SIZE_MAX / 2)
		return PL_ERR_NO_MEMORY;
	if ((config->is_small || !take_huge(memory, config->size_bytes)) && !take_small(memory, config->size_bytes)) {
		pl_memory_fini(memory);
		return PL_ERR_NO_MEMORY;
	}
	memory->is_on_node = memory->node_error == 0 && is_all_on_node(memory);
	/* Not by mlock(): the sanitizers' one does nothing and says yes, and what we report would be wrong in their tests. */
	memory->is_locked = syscall(SYS_mlock, memory->base, memory->size_bytes) == 0;
	memory->lock_error = memory->is_locked ? 0 : errno;
	if (config->is_secret) {
		memory->is_undumped = madvise(memory->base, memory->size_bytes, MADV_DONTDUMP) == 0;
		memory->undumped_error = memory->is_undumped ? 0 : errno;
	}
	return PL_ERR_NONE;
}

void pl_memory_fini(struct pl_memory *memory)
{
	if (memory->reserved != NULL)
		munmap(memory->reserved, memory->reserved_bytes);
	memset(memory, 0, sizeof *memory);
}

void *pl_memory_take(struct pl_memory *memory, size_t size_bytes, size_t align_bytes)
{
	PL_ASSERT(align_bytes > 0 && align_bytes <= HUGE_BYTES && (align_bytes & (align_bytes - 1)) == 0);
	/* base is aligned to the largest alignment, so offsets are enough; used_bytes never passes size_bytes. */
	const size_t at = round_up(memory->used_bytes, align_bytes);
	if (at > memory->size_bytes || memory->size_bytes - at < size_bytes)
		return NULL;
	memory->used_bytes = at + size_bytes;
	return memory->base + at;
}

static const char *describe_lock(const struct pl_memory *memory)
{
	if (memory->is_locked)
		return "locked";
	/* mlock(2): ENOMEM and EPERM are RLIMIT_MEMLOCK without CAP_IPC_LOCK. */
	const bool is_limit = memory->lock_error == ENOMEM || memory->lock_error == EPERM;
	return is_limit ? "not locked (above the limit on locked memory)" : "not locked (the kernel refused)";
}

bool pl_memory_describe(const struct pl_memory *memory, char text[static PL_MEMORY_TEXT_SIZE])
{
	static const char *const pages_text[] = {
		[PL_MEMORY_SMALL] = "small pages",
		[PL_MEMORY_TRANSPARENT] = "transparent huge pages",
		[PL_MEMORY_HUGE] = "huge pages",
	};
	char node[96] = "";
	if (memory->node != PL_MEMORY_ANY_NODE && memory->is_on_node)
		snprintf(node, sizeof node, " on node %d", memory->node);
	else if (memory->node != PL_MEMORY_ANY_NODE)
		snprintf(node, sizeof node, " not all on node %d (%s)", memory->node,
			memory->node_error != 0 ? strerror(memory->node_error) : "it is full");
	const char *dump = memory->is_undumped           ? ", kept out of core dumps"
			   : memory->undumped_error != 0 ? ", core dumps may hold its keys"
							 : "";
	snprintf(text, PL_MEMORY_TEXT_SIZE, "%.1f MiB%s, %s, %s%s", (double)memory->size_bytes / (1 << 20), node,
		pages_text[memory->pages], describe_lock(memory), dump);
	const bool has_pages = memory->pages != PL_MEMORY_SMALL || !memory->wants_huge;
	return memory->is_on_node && memory->is_locked && memory->undumped_error == 0 && has_pages;
}
