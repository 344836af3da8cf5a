/* For whom a proxy asks.  Only proxies that the operator trusts are believed: anybody else may write what he likes.
 * Pure.  Thread: signaling. */
#ifndef PL_SIGNALING_FRONT_PROXY_H
#define PL_SIGNALING_FRONT_PROXY_H

#include "media/addr.h"

enum { PL_FRONT_PROXIES_MAX = 32 };

struct pl_front_proxies {
	struct pl_addr_range network[PL_FRONT_PROXIES_MAX];
	size_t count;
};

/* The client's address: peer, or where that is a trusted proxy the last of forwarded (the field X-Forwarded-For; NULL: absent) that is none.
 * An entry that is no address ends the search at the proxy that wrote it.  The port is 0. */
struct pl_addr pl_front_client_of(
	const struct pl_front_proxies *proxies, const struct pl_addr *peer, const char *forwarded);

#endif
