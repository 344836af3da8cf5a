#include "sfu/io/cgroup.h"

#include <stdlib.h>
#include <string.h>

struct hierarchy {
	char group[PL_SYSFILE_PATH_SIZE]; /* as /proc/self/cgroup names it; "": the process is in none */
	char mount[PL_SYSFILE_PATH_SIZE]; /* where the filesystem is, "" for nowhere */
	char path[PL_SYSFILE_PATH_SIZE];  /* the group's folder, or the nearest above it that can be seen */
	bool is_covering;                 /* mount shows the group itself */
};

static bool has_word(const char *list, const char *word)
{
	const size_t size = strlen(word);
	for (; *list != '\0'; list += strcspn(list, ","), list += *list == ',') {
		if (strcspn(list, ",") == size && memcmp(list, word, size) == 0)
			return true;
	}
	return false;
}

static void copy_path(char to[static PL_SYSFILE_PATH_SIZE], const char *from)
{
	if ((size_t)snprintf(to, PL_SYSFILE_PATH_SIZE, "%s", from) >= PL_SYSFILE_PATH_SIZE)
		to[0] = '\0';
}

/* A line of /proc/self/cgroup: "4:cpu,cpuacct:/docker/1f", or "0::/user.slice" for version 2. */
static void take_group(struct hierarchy hierarchy[static PL_CGROUP_KINDS], char *line)
{
	line[strcspn(line, "\n")] = '\0';
	char *controllers = strchr(line, ':');
	char *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');
	if (path == NULL)
		return;
	*path++ = '\0';
	*controllers++ = '\0';
	if (strcmp(line, "0") == 0)
		copy_path(hierarchy[PL_CGROUP_UNIFIED].group, path);
	if (has_word(controllers, "cpu"))
		copy_path(hierarchy[PL_CGROUP_CPU_V1].group, path);
	if (has_word(controllers, "cpuset"))
		copy_path(hierarchy[PL_CGROUP_CPUSET_V1].group, path);
	if (has_word(controllers, "memory"))
		copy_path(hierarchy[PL_CGROUP_MEMORY_V1].group, path);
}

/* /proc writes blanks, tabs, newlines and backslashes of a path as \040 and the like. */
static void unescape(char *text)
{
	char *to = text;
	for (const char *from = text; *from != '\0'; to++) {
		if (from[0] == '\\' && strspn(from + 1, "01234567") >= 3) {
			*to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

/* The part of a group's path below root ("" or "/..."), or NULL when it is not in there. */
static const char *path_below(const char *group, const char *root)
{
	const size_t size = strcmp(root, "/") == 0 ? 0 : strlen(root);
	if (strncmp(group, root, size) != 0)
		return NULL;
	const char *rest = group + size;
	/* A process can be moved out of its namespace: then its path climbs above what is shown. */
	if ((*rest != '/' && *rest != '\0') || strstr(rest, "/..") != NULL)
		return NULL;
	return strcmp(rest, "/") == 0 ? "" : rest;
}

/* A container often sees only a part of the tree: root is the group that is shown at mount. */
static void offer_mount(struct hierarchy *hierarchy, const char *root, const char *mount)
{
	const char *rest = path_below(hierarchy->group, root);
	const bool is_better = hierarchy->mount[0] == '\0' || (rest != NULL && !hierarchy->is_covering);
	if (hierarchy->group[0] == '\0' || !is_better)
		return;
	char path[2 * PL_SYSFILE_PATH_SIZE];
	snprintf(path, sizeof path, "%s%s", mount, rest == NULL ? "" : rest);
	copy_path(hierarchy->mount, mount);
	copy_path(hierarchy->path, path);
	hierarchy->is_covering = rest != NULL;
}

/* A line of /proc/self/mountinfo (proc(5)):
 *     36 35 98:0 /docker/1f /sys/fs/cgroup/cpu rw,noatime shared:1 - cgroup cgroup rw,cpu,cpuacct
 * with any number of fields before the lone hyphen. */
static void take_mount(struct hierarchy hierarchy[static PL_CGROUP_KINDS], char *line)
{
	char *field[6], *rest = line;
	line[strcspn(line, "\n")] = '\0';
	for (size_t i = 0; i < PL_COUNT(field); i++) {
		field[i] = strsep(&rest, " ");
		if (field[i] == NULL || rest == NULL)
			return;
	}
	char *word = field[5];
	while (word != NULL && strcmp(word, "-") != 0)
		word = strsep(&rest, " ");
	const char *type = strsep(&rest, " "), *source = strsep(&rest, " "), *options = strsep(&rest, " ");
	if (type == NULL || source == NULL || options == NULL)
		return;
	unescape(field[3]);
	unescape(field[4]);
	if (strcmp(type, "cgroup2") == 0)
		offer_mount(&hierarchy[PL_CGROUP_UNIFIED], field[3], field[4]);
	if (strcmp(type, "cgroup") == 0 && has_word(options, "cpu"))
		offer_mount(&hierarchy[PL_CGROUP_CPU_V1], field[3], field[4]);
	if (strcmp(type, "cgroup") == 0 && has_word(options, "cpuset"))
		offer_mount(&hierarchy[PL_CGROUP_CPUSET_V1], field[3], field[4]);
	if (strcmp(type, "cgroup") == 0 && has_word(options, "memory"))
		offer_mount(&hierarchy[PL_CGROUP_MEMORY_V1], field[3], field[4]);
}

/* These two files have no bound on their lines or their size. */
static void each_line(struct hierarchy hierarchy[static PL_CGROUP_KINDS], const char *root, const char *path,
	void (*take)(struct hierarchy *, char *))
{
	FILE *file = pl_sysfile_open(root, path);
	if (file == NULL)
		return;
	char *line = NULL;
	size_t size = 0;
	while (getline(&line, &size, file) > 0)
		take(hierarchy, line);
	free(line);
	fclose(file);
}

/* False: not there.  *file gets its path. */
static bool read_file(const char *root, const char *folder, const char *name, char file[static PL_SYSFILE_PATH_SIZE],
	char text[static PL_SYSFILE_TEXT_SIZE])
{
	const int size = snprintf(file, PL_SYSFILE_PATH_SIZE, "%s/%s", folder, name);
	return size < PL_SYSFILE_PATH_SIZE && pl_sysfile_read(root, file, text, PL_SYSFILE_TEXT_SIZE);
}

static void take_cpus(struct pl_cgroup *cgroup, const char *root, const char *folder, const char *name)
{
	char file[PL_SYSFILE_PATH_SIZE], text[PL_SYSFILE_TEXT_SIZE];
	cpu_set_t cpus;
	/* An empty list is a group that takes its parent's. */
	if (!read_file(root, folder, name, file, text) || text[0] == '\0')
		return;
	if (!pl_sysfile_list(text, &cpus)) {
		copy_path(cgroup->malformed_file, file);
	} else if (cgroup->has_cpus) {
		CPU_AND(&cgroup->cpus, &cgroup->cpus, &cpus);
	} else {
		cgroup->cpus = cpus;
		cgroup->has_cpus = true;
	}
}

/* quota and period in microseconds, as texts; "max" (version 2) and "-1" (version 1) are no quota. */
static void take_quota(struct pl_cgroup *cgroup, const char *file, const char *quota, const char *period)
{
	uint64_t quota_us, period_us;
	if (strcmp(quota, "max") == 0 || strcmp(quota, "-1") == 0)
		return;
	if (!pl_sysfile_number(quota, &quota_us) || !pl_sysfile_number(period, &period_us) || period_us == 0 ||
		quota_us == 0 || quota_us > UINT64_MAX / 1000) {
		copy_path(cgroup->malformed_file, file);
		return;
	}
	/* Upwards: what is left of a thousandth is not nothing. */
	const uint64_t mcpu = quota_us * 1000 / period_us + (quota_us * 1000 % period_us != 0);
	if (cgroup->quota_mcpu == 0 || mcpu < cgroup->quota_mcpu) {
		cgroup->quota_mcpu = mcpu;
		copy_path(cgroup->quota_file, file);
	}
}

static void take_quota_v1(struct pl_cgroup *cgroup, const char *root, const char *folder)
{
	char file[PL_SYSFILE_PATH_SIZE], quota[PL_SYSFILE_TEXT_SIZE], period[PL_SYSFILE_TEXT_SIZE];
	if (read_file(root, folder, "cpu.cfs_period_us", file, period) &&
		read_file(root, folder, "cpu.cfs_quota_us", file, quota))
		take_quota(cgroup, file, quota, period);
}

static void take_quota_v2(struct pl_cgroup *cgroup, const char *root, const char *folder)
{
	char file[PL_SYSFILE_PATH_SIZE], text[PL_SYSFILE_TEXT_SIZE];
	if (!read_file(root, folder, "cpu.max", file, text))
		return;
	char *period = text;
	const char *quota = strsep(&period, " ");
	take_quota(cgroup, file, quota, period == NULL ? "" : period);
}

static void take_level(struct pl_cgroup *cgroup, const char *root, enum pl_cgroup_kind kind, const char *folder)
{
	switch (kind) {
	case PL_CGROUP_CPU_V1:
		take_quota_v1(cgroup, root, folder);
		break;
	case PL_CGROUP_CPUSET_V1:
		take_cpus(cgroup, root, folder, "cpuset.cpus");
		take_cpus(cgroup, root, folder, "cpuset.effective_cpus");
		break;
	case PL_CGROUP_UNIFIED:
		take_quota_v2(cgroup, root, folder);
		take_cpus(cgroup, root, folder, "cpuset.cpus.effective");
		break;
	case PL_CGROUP_MEMORY_V1:
	case PL_CGROUP_KINDS:
		break;
	}
}

void pl_cgroup_find(struct pl_cgroup_place place[static PL_CGROUP_KINDS], const char *root)
{
	struct hierarchy hierarchy[PL_CGROUP_KINDS] = { 0 };
	each_line(hierarchy, root, "/proc/self/cgroup", take_group);
	each_line(hierarchy, root, "/proc/self/mountinfo", take_mount);
	for (int kind = 0; kind < PL_CGROUP_KINDS; kind++) {
		copy_path(place[kind].path, hierarchy[kind].mount[0] == '\0' ? "" : hierarchy[kind].path);
		place[kind].top_size = strlen(hierarchy[kind].mount);
	}
}

bool pl_cgroup_climb(struct pl_cgroup_place *place)
{
	char *slash = strrchr(place->path, '/');
	if (strlen(place->path) <= place->top_size || slash == NULL)
		return false;
	*slash = '\0';
	return true;
}

void pl_cgroup_read(struct pl_cgroup *cgroup, const char *root)
{
	struct pl_cgroup_place place[PL_CGROUP_KINDS];
	memset(cgroup, 0, sizeof *cgroup);
	pl_cgroup_find(place, root);
	for (int kind = 0; kind < PL_CGROUP_KINDS; kind++) {
		if (place[kind].path[0] == '\0')
			continue;
		do
			take_level(cgroup, root, (enum pl_cgroup_kind)kind, place[kind].path);
		while (pl_cgroup_climb(&place[kind]));
	}
}
