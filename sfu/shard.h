/* A shard: one thread that owns a UDP socket, the conference behind it and its timers, and shares nothing.  Commands
 * come through one ring, events leave through another; the shard never waits for either.
 * Thread: create, destroy and the rings' other ends belong to the signaling thread. */
#ifndef PL_SFU_SHARD_H
#define PL_SFU_SHARD_H

#include "sfu/conference.h"
#include "sfu/io/ring.h"
#include "sfu/sfu.h"

struct pl_shard;

struct pl_shard_config {
	struct pl_conference_config conference;
	uint16_t index;            /* for the thread's name */
	uint16_t port;             /* 0: any free one */
	enum pl_srtp_backend srtp; /* which the shard makes its engine of; conference.srtp is left NULL */
};

/* PL_ERR_SOCKET: errno tells why.  PL_ERR_CONFIG: this machine has not the srtp that is wanted. */
PL_MUST_USE enum pl_err pl_shard_create(struct pl_shard **shard, const struct pl_shard_config *config);

/* Says goodbye to everybody, ends the thread, and frees what was not delivered. */
void pl_shard_destroy(struct pl_shard **shard);

struct pl_ring *pl_shard_commands(struct pl_shard *shard); /* of struct pl_command; signaling is the producer */
struct pl_ring *pl_shard_events(struct pl_shard *shard);   /* of struct pl_event; signaling is the consumer */
uint16_t pl_shard_port(const struct pl_shard *shard);
bool pl_shard_has_ipv6(const struct pl_shard *shard);
const char *pl_shard_srtp_text(const struct pl_shard *shard); /* pl_srtp_engine_text */
int pl_shard_receive_bytes(const struct pl_shard *shard);     /* the socket's receive buffer */

/* Adds this shard's counters. */
void pl_shard_add_counters(const struct pl_shard *shard, struct pl_sfu_counters *sum);

#endif
