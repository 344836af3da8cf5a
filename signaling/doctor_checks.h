/* The single examinations of `plenum doctor`.  Those that read files take them below root (sfu/io/sysfile.h), so that
 * tests can bring machines of their own; what was tried for real comes as an argument.
 * Thread: main. */
#ifndef PL_SIGNALING_DOCTOR_CHECKS_H
#define PL_SIGNALING_DOCTOR_CHECKS_H

#include "media/dsp.h"
#include "media/srtp.h"
#include "sfu/io/memory.h"
#include "sfu/io/topology.h"
#include "signaling/doctor.h"
#include "signaling/library.h"

/* doctor_machine.c */
void pl_doctor_check_cores(
	struct pl_doctor *doctor, const struct pl_topology *topology, const struct pl_topology_plan *plan);
void pl_doctor_check_simd(struct pl_doctor *doctor, const char *root);
/* wanted: of the configuration. */
void pl_doctor_check_mixer(struct pl_doctor *doctor, enum pl_simd wanted);
void pl_doctor_check_clock_source(struct pl_doctor *doctor, const char *root);
/* realtime_s: since 1970.  has_sync: whether the kernel's clock is disciplined, as adjtimex(2) says. */
void pl_doctor_check_time(struct pl_doctor *doctor, int64_t realtime_s, bool has_sync);
/* probe: a region as a shard takes it. */
void pl_doctor_check_memory(struct pl_doctor *doctor, const char *root, const struct pl_memory *probe);
/* The hard limit of open files, how many the server may need, and how many it takes where it may. */
void pl_doctor_check_files(struct pl_doctor *doctor, uint64_t limit, uint64_t needed, uint64_t wanted);

/* doctor_start.c */
struct pl_doctor_start {
	bool is_begun;
	char error[PL_DOCTOR_ERROR_SIZE]; /* a sentence when it has not */
};

/* Has starter start a server in a child, which ends at once.  Thread: main, and no other may be there. */
void pl_doctor_try_start(struct pl_doctor_start *start, pl_doctor_starter starter, void *context);
/* The last check: where something is broken already, a start that failed for it is not told again. */
void pl_doctor_check_start(struct pl_doctor *doctor, const struct pl_doctor_start *start, uint64_t files_wanted);

/* doctor_library.c */
/* wanted: of the configuration.  Makes an engine as a media thread does. */
void pl_doctor_check_srtp(struct pl_doctor *doctor, enum pl_srtp_backend wanted);
/* is_used: it is on the packets' way, not only there. */
void pl_doctor_check_libsrtp(struct pl_doctor *doctor, bool is_used);
void pl_doctor_check_opus(struct pl_doctor *doctor, const struct pl_library_opus *opus);

/* doctor_network.c */
void pl_doctor_check_buffers(struct pl_doctor *doctor, int receive_bytes, int send_bytes);
/* Opens the media ports and closes them; the buffers of the first are examined on the way. */
void pl_doctor_check_media_ports(struct pl_doctor *doctor, const struct pl_config *config, size_t shards);
void pl_doctor_check_http(struct pl_doctor *doctor, const struct pl_config *config);
/* is_configured: the addresses are those of media.address.  is_local: pages are served to this machine alone. */
void pl_doctor_check_addresses(
	struct pl_doctor *doctor, const struct pl_addr *address, size_t count, bool is_configured, bool is_local);

#endif
