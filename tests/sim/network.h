/* A network in virtual time: datagrams go in with the addresses of both ends, and come out later, in another order,
 * twice, or never, as the link says.  The same seed and the same calls give the same network.
 *
 * One network serves any number of endpoints; a link is a property of each send, so every endpoint may have its
 * own, and change it during a call.  Thread: one. */
#ifndef PL_TESTS_SIM_NETWORK_H
#define PL_TESTS_SIM_NETWORK_H

#include "media/addr.h"

struct pl_network_link {
	uint32_t loss_permille, duplicate_permille;
	int64_t delay_us;  /* every datagram takes at least this long */
	int64_t jitter_us; /* and up to this much more, at random: what reorders */
};

struct pl_network;

/* capacity: datagrams under way at a time; one more is lost, as in a full router queue.  Aborts when out of memory. */
struct pl_network *pl_network_create(uint64_t seed, size_t capacity);
void pl_network_destroy(struct pl_network **network);

/* path is the sender's view: remote is where the datagram goes to.  It is copied. */
void pl_network_send(struct pl_network *network, int64_t now_us, const struct pl_network_link *link,
	const struct pl_path *path, struct pl_bytes datagram);

/* Takes the next datagram that has arrived by now_us.  *path is the receiver's view: remote is where it came from.
 * *datagram is valid until the next call.  False when nothing has arrived. */
bool pl_network_receive(struct pl_network *network, int64_t now_us, struct pl_path *path, struct pl_bytes *datagram);

/* When the next datagram arrives, INT64_MAX when none is under way. */
int64_t pl_network_deadline(const struct pl_network *network);

struct pl_network_counters {
	uint64_t sent, lost, duplicated, delivered, overflowed;
};
const struct pl_network_counters *pl_network_counters(const struct pl_network *network);

#endif
