#include "sfu/io/allowance.h"

#include <stdlib.h>
#include <string.h>

#include "sfu/io/cgroup.h"

/* MemTotal is in the first line of what has sixty: "MemTotal:       24683724 kB". */
static void read_machine(struct pl_allowance *allowance, const char *root)
{
	static const char path[] = "/proc/meminfo";
	FILE *file = pl_sysfile_open(root, path);
	if (file == NULL)
		return;
	char line[128];
	unsigned long long total_kb;
	while (allowance->bytes == 0 && fgets(line, sizeof line, file) != NULL) {
		if (sscanf(line, "MemTotal: %14llu kB", &total_kb) != 1)
			continue;
		allowance->bytes = (uint64_t)total_kb << 10;
		memcpy(allowance->file, path, sizeof path);
	}
	fclose(file);
}

static void read_groups(
	struct pl_allowance *allowance, const char *root, struct pl_cgroup_place *place, const char *name)
{
	bool has_group = place->path[0] != '\0';
	for (; has_group; has_group = pl_cgroup_climb(place)) {
		char file[PL_SYSFILE_PATH_SIZE], text[64];
		uint64_t limit;
		const int size = snprintf(file, sizeof file, "%s%s", place->path, name);
		/* "max" is no number, and version 1 has one near 2^63 instead. */
		if ((size_t)size >= sizeof file || !pl_sysfile_read(root, file, text, sizeof text) ||
			!pl_sysfile_number(text, &limit) || limit >= UINT64_C(1) << 60)
			continue;
		/* 0 would be nobody's word here, and a group that allows nothing has no process. */
		if (limit > 0 && (allowance->bytes == 0 || limit < allowance->bytes)) {
			allowance->bytes = limit;
			memcpy(allowance->file, file, sizeof file);
		}
	}
}

void pl_allowance_read(struct pl_allowance *allowance, const char *root)
{
	memset(allowance, 0, sizeof *allowance);
	read_machine(allowance, root);
	struct pl_cgroup_place place[PL_CGROUP_KINDS];
	pl_cgroup_find(place, root);
	read_groups(allowance, root, &place[PL_CGROUP_UNIFIED], "/memory.max");
	read_groups(allowance, root, &place[PL_CGROUP_MEMORY_V1], "/memory.limit_in_bytes");
}
