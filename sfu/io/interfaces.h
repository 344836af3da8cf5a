/* Which of the host's addresses clients can be told to send media to.  Thread: the one that starts the media plane. */
#ifndef PL_SFU_IO_INTERFACES_H
#define PL_SFU_IO_INTERFACES_H

#include "media/addr.h"

/* Lists the addresses of the interfaces that are up, at most max, best first: IPv4 (with_ipv4), then global and unique local IPv6
 * (with_ipv6), then loopback (with_loopback).  Link-local addresses need a zone that a candidate cannot carry, and are
 * left out.  Ports are 0.  Returns how many. */
size_t pl_interfaces_list(bool with_ipv4, bool with_ipv6, bool with_loopback, struct pl_addr *addr, size_t max);

#endif
