/* What the control groups above this process leave it of the processors: version 1, version 2 and both at once, at
 * every level up to the topmost that is visible from here (cgroups(7); Documentation/admin-guide/cgroup-v2.rst of Linux).
 * Thread: the one that starts the media plane. */
#ifndef PL_SFU_IO_CGROUP_H
#define PL_SFU_IO_CGROUP_H

#include "sfu/io/sysfile.h"

struct pl_cgroup {
	cpu_set_t cpus;                        /* has a meaning only with has_cpus */
	bool has_cpus;                         /* some level names the CPUs it may use */
	uint64_t quota_mcpu;                   /* thousandths of a CPU; 0: no level has a quota */
	char quota_file[PL_SYSFILE_PATH_SIZE]; /* the one that is the tightest, "" without */
	char malformed_file
		[PL_SYSFILE_PATH_SIZE]; /* the last that was not understood and so was passed over, "" for none */
};

/* root: see sysfile.h. */
void pl_cgroup_read(struct pl_cgroup *cgroup, const char *root);

#endif
