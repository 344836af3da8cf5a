/* A shard: one thread that owns a UDP port, the conference behind it and its timers, and shares nothing.  Commands
 * come through one ring, events leave through another; the shard never waits for either.  Its thread stays on the CPUs
 * that it is given, and its memory is on their NUMA node: the thread itself takes what is large, after it has settled.
 * Thread: create, wait, destroy and the rings' other ends belong to the signaling thread. */
#ifndef PL_SFU_SHARD_H
#define PL_SFU_SHARD_H

#include <sched.h>

#include "sfu/conference.h"
#include "sfu/io/memory.h"
#include "sfu/io/ring.h"
#include "sfu/load.h"
#include "sfu/relief.h"
#include "sfu/sfu.h"

struct pl_shard;

struct pl_shard_config {
	struct pl_conference_config conference;
	struct pl_waker *waker; /* of who takes the events; outlives the shard */
	struct pl_waker
		*alarm; /* poked with the first window that shows that the shard has too much to do; outlives it */
	cpu_set_t cpus; /* that the thread may run on */
	int node;       /* of cpus, for memory */
	uint16_t index; /* for the thread's name */
	uint32_t coalesce_us;      /* see pl_sfu_config */
	uint16_t port;             /* 0: any free one */
	enum pl_srtp_backend srtp; /* which the shard makes its engine of; conference.srtp is left NULL */
};

/* What one takes of memory at its start, with so many packets; 0: PL_CONFERENCE_PACKETS. */
size_t pl_shard_bytes(uint32_t packets);

/* Opens the socket and begins the thread.  PL_ERR_SOCKET: errno tells why. */
PL_MUST_USE enum pl_err pl_shard_create(struct pl_shard **shard, const struct pl_shard_config *config);

/* Connects two shards, one way: after the wait for both, before either goes. */
PL_MUST_USE enum pl_err pl_shard_link(struct pl_shard *from, struct pl_shard *to);

/* Connects a shard with a codec worker, both ways, at the same time.  index: the worker's, from 0.  may_choose: the shard's rooms
 * may be mixed there. */
struct pl_worker;
PL_MUST_USE enum pl_err pl_shard_link_worker(
	struct pl_shard *shard, struct pl_worker *worker, uint8_t index, bool may_choose);

/* The thread begins its work. */
void pl_shard_go(struct pl_shard *shard);

/* Waits until the thread has settled and has its memory: once after each create, before the rings are used.  On error
 * the shard is to be destroyed; PL_ERR_CONFIG: this machine has not the srtp that is wanted. */
PL_MUST_USE enum pl_err pl_shard_wait(struct pl_shard *shard);

/* Stopping begins; pl_shard_stop waits for its end. */
void pl_shard_ask_to_stop(struct pl_shard *shard);

/* Says goodbye to everybody and ends the thread.  Others may still read its packets and write to it: all are stopped before
 * the first is unlinked, and unlinked before the first is destroyed. */
void pl_shard_stop(struct pl_shard *shard);
void pl_shard_unlink(struct pl_shard *shard);

/* Frees what was not delivered, and the shard; stops it before if need be. */
void pl_shard_destroy(struct pl_shard **shard);

struct pl_ring *pl_shard_commands(struct pl_shard *shard);        /* of struct pl_command; signaling is the producer */
struct pl_ring *pl_shard_canary_commands(struct pl_shard *shard); /* the same; the canary is */
struct pl_ring *pl_shard_events(struct pl_shard *shard);          /* of struct pl_event; signaling is the consumer */
uint16_t pl_shard_port(const struct pl_shard *shard);
bool pl_shard_has_ipv4(const struct pl_shard *shard);
bool pl_shard_has_ipv6(const struct pl_shard *shard);
const char *pl_shard_srtp_text(const struct pl_shard *shard); /* pl_srtp_engine_text */
int pl_shard_receive_bytes(const struct pl_shard *shard);     /* the smallest of its sockets' receive buffers */

/* After wait: errno of what kept the thread from its CPUs, 0 when it is on them. */
int pl_shard_pin_error(const struct pl_shard *shard);
/* After wait: whether the conference's tables are on the shard's node, where the kernel knows nodes at all. */
bool pl_shard_is_on_node(const struct pl_shard *shard);
const struct pl_memory *pl_shard_memory(const struct pl_shard *shard);

/* Adds what it holds.  Any thread. */
void pl_shard_add_holding(const struct pl_shard *shard, struct pl_holding *sum);

/* How long things took, ever.  Any thread. */
void pl_shard_times(const struct pl_shard *shard, struct pl_sfu_times *times);

/* How busy it is.  now_us: of sfu/io/clock.h.  Any thread. */
void pl_shard_load(const struct pl_shard *shard, int64_t now_us, struct pl_load *load);

/* When its thread begins its next turn at the latest, or began the present one; INT64_MAX: before it goes.  Any thread. */
int64_t pl_shard_due_us(const struct pl_shard *shard);

/* From the next turn on, which begins soon.  The operator's own window counts where it is longer.  Thread: the monitor. */
void pl_shard_relieve(struct pl_shard *shard, const struct pl_relief *relief);

/* Adds this shard's counters. */
void pl_shard_add_counters(const struct pl_shard *shard, struct pl_sfu_counters *sum);

#endif
