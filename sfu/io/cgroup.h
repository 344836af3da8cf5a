/* What the control groups above this process leave it of the processors: version 1, version 2 and both at once, at
 * every level up to the topmost that is visible from here (cgroups(7); Documentation/admin-guide/cgroup-v2.rst of Linux).
 * Thread: the one that starts the media plane. */
#ifndef PL_SFU_IO_CGROUP_H
#define PL_SFU_IO_CGROUP_H

#include "sfu/io/sysfile.h"

/* The hierarchies that matter.  On a hybrid host a process is in all of them at once. */
enum pl_cgroup_kind {
	PL_CGROUP_CPU_V1,
	PL_CGROUP_CPUSET_V1,
	PL_CGROUP_MEMORY_V1,
	PL_CGROUP_UNIFIED, /* version 2 */
	PL_CGROUP_KINDS,
};

/* The folder of this process's group, or the nearest above it that can be seen. */
struct pl_cgroup_place {
	char path[PL_SYSFILE_PATH_SIZE]; /* below root; "": the process is in none, or sees none */
	size_t top_size;                 /* bytes of path that are the topmost folder */
};

/* root: see sysfile.h. */
void pl_cgroup_find(struct pl_cgroup_place place[static PL_CGROUP_KINDS], const char *root);

/* To the group above.  False: there is none, nothing has changed. */
bool pl_cgroup_climb(struct pl_cgroup_place *place);

struct pl_cgroup {
	cpu_set_t cpus;                        /* has a meaning only with has_cpus */
	bool has_cpus;                         /* some level names the CPUs it may use */
	uint64_t quota_mcpu;                   /* thousandths of a CPU; 0: no level has a quota */
	char quota_file[PL_SYSFILE_PATH_SIZE]; /* the one that is the tightest, "" without */
	char malformed_file
		[PL_SYSFILE_PATH_SIZE]; /* the last that was not understood and so was passed over, "" for none */
};

void pl_cgroup_read(struct pl_cgroup *cgroup, const char *root);

#endif
