/* A connectivity check as a full ICE agent sends it (RFC 8445 section 7.2.2), controlling and nominating at once: what the server's
 * own canary knocks with.  Over libnice's STUN library.
 * Pure: no socket, no clock, no allocation.  Thread: any. */
#ifndef PL_MEDIA_ICE_CHECK_H
#define PL_MEDIA_ICE_CHECK_H

#include "media/ice.h"

enum { PL_ICE_CHECK_SIZE_MAX = 640 };

struct pl_ice_check {
	uint8_t bytes[PL_ICE_CHECK_SIZE_MAX];
	size_t size;
};

/* A new transaction. */
void pl_ice_check_write(struct pl_ice_check *check, const struct pl_ice_credentials *server, const char *ufrag);

/* Whether this is the success response to it.  Its integrity is not looked at: who else could know the transaction is on the way
 * between, and the handshake that follows is pinned to a certificate. */
PL_MUST_USE bool pl_ice_check_is_answered(const struct pl_ice_check *check, struct pl_bytes datagram);

#endif
