/* What the kernel and the control groups say of how hard this process is pressed: CPU time against what it may have, steal,
 * throttling, pressure stalls (PSI), memory against the group's limit and against what we account, open files, full receive queues.
 * Descriptors are kept open and read again; what is dear to read (PSI costs more than all others together) is read in turn, one
 * source each time.  A source that is not there is left out, and can be named.
 * Thread: the monitor's. */
#ifndef PL_SFU_IO_PROBE_H
#define PL_SFU_IO_PROBE_H

#include "sfu/io/sysfile.h"
#include "sfu/meter.h"

enum {
	PL_PROBE_TURNS = 10, /* reads after which each dear source was read once */
	PL_PROBE_MISSING_SIZE = 600,
};

enum pl_probe_file {
	PL_PROBE_STAT,         /* /proc/stat: steal */
	PL_PROBE_CPU_STAT,     /* the group's cpu.stat: throttling */
	PL_PROBE_PSI_CPU,      /* the group's cpu.pressure, or the machine's */
	PL_PROBE_PSI_MEMORY,   /* the same of memory */
	PL_PROBE_MEMORY_USED,  /* of the group whose limit is the tightest */
	PL_PROBE_MEMORY_LIMIT, /* its limit */
	PL_PROBE_MEMORY_STAT,  /* its cache, which the kernel can take back */
	PL_PROBE_STATM,        /* /proc/self/statm: what is resident */
	PL_PROBE_SNMP,         /* /proc/net/snmp: UDP */
	PL_PROBE_SNMP6,
	PL_PROBE_FILES,
};

/* Of all UDP sockets of the network namespace. */
struct pl_probe_udp {
	uint64_t datagrams, queue_full; /* that came; that a receive queue had no room for */
};

struct pl_probe {
	int fd[PL_PROBE_FILES]; /* -1: not there */
	struct pl_pressure_reading last[PL_PRESSURE_INPUTS];
	struct pl_probe_udp udp, udp6;
	uint64_t memory_limit, memory_used, memory_cache, page_bytes;
	uint64_t allowed_mcpu; /* thousandths of a CPU that this process may have: its quota, or its CPUs */
	uint64_t turn;
	int64_t opened_us;
	int trigger_fd;      /* readable with POLLPRI when memory has stalled us for 150 ms of 2 s; -1: not allowed */
	int files_fd;        /* of /proc/self/fd, whose size is how many are open; -1: this kernel does not say */
	bool is_memory_ours; /* its pressure is that of our own group */
	char missing[PL_PROBE_MISSING_SIZE];
};

/* root: see sysfile.h; from another root than "" nothing is written, so there are no triggers. */
void pl_probe_open(struct pl_probe *probe, const char *root, int64_t now_us);
void pl_probe_close(struct pl_probe *probe);
void pl_probe_drop_trigger(struct pl_probe *probe);

/* Which inputs are left out, and why, in words: "steal (no /proc/stat), ..."; "" when none is. */
const char *pl_probe_missing(const struct pl_probe *probe);

/* Each PL_PRESSURE_PERIOD_US.  accounted_bytes: what our own parts say that they hold, 0 when nobody knows.  is_triggered: trigger_fd
 * told.  Fills the inputs that are this probe's in sample, and udp. */
void pl_probe_read(struct pl_probe *probe, int64_t now_us, uint64_t accounted_bytes, bool is_triggered,
	struct pl_pressure_sample *sample, struct pl_probe_udp *udp);

#endif
