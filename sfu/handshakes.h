/* DTLS datagrams of handshakes wait here for their turn: the shard forwards what has come before it does the next one,
 * since a step of a handshake takes as long as forwarding hundreds of packets.  So a storm of joins delays media by
 * one step at most.
 * Pure: the buffers are the pool's.  Thread: the shard that owns it. */
#ifndef PL_SFU_HANDSHAKES_H
#define PL_SFU_HANDSHAKES_H

#include "media/addr.h"
#include "media/drop.h"
#include "media/pool.h"

/* Datagrams; a handshake has one or two on their way at a time.  A client sends again what found no place. */
enum {
	PL_HANDSHAKES_MAX = 512,
	PL_HANDSHAKES_EACH_MAX = 16, /* of one client, so that none takes the places of all others */
};

struct pl_handshakes {
	struct pl_pool *pool;
	struct pl_packet *first, *last;
	uint32_t count;
};

/* Those of one client that wait; all zero when none does. */
struct pl_handshakes_of {
	struct pl_packet *last; /* meaningless without count */
	uint8_t count;          /* goes down with each that is popped: the caller's to do */
};

void pl_handshakes_init(struct pl_handshakes *h, struct pl_pool *pool);

/* Copies the datagram; source: the participant it is for, of: what waits of it, now with this.  A copy of one that waits takes no place: a
 * client that hears nothing sends its flight again, in records with new numbers (RFC 6347 section 4.2.4).  PL_DROP_DTLS_AGAIN,
 * PL_DROP_DTLS_BUSY or PL_DROP_POOL_LOW: it was not taken. */
PL_MUST_USE enum pl_drop pl_handshakes_push(struct pl_handshakes *h, struct pl_handshakes_of *of, uint32_t source,
	const struct pl_path *path, struct pl_bytes datagram);

/* The oldest: its bytes are the packet's payload, its source is as it was pushed; the packet is to be released to the pool.  NULL when none waits. */
struct pl_packet *pl_handshakes_pop(struct pl_handshakes *h, struct pl_path *path);

#endif
