/* The TCP socket that the front end listens on, opened before anything else so that a busy port is told at once.
 * Thread: main. */
#ifndef PL_SIGNALING_LISTENER_H
#define PL_SIGNALING_LISTENER_H

#include "media/addr.h"
#include "media/err.h"

enum { PL_LISTENER_ERROR_SIZE = 256 };

/* Opens, binds and listens.  Address :: takes IPv4 too, and is 0.0.0.0 on a machine without IPv6.  *addr gets the real
 * port.  PL_ERR_NONE: *fd is the caller's; else error has a sentence that says what to do. */
PL_MUST_USE enum pl_err pl_listener_open(int *fd, struct pl_addr *addr, char error[static PL_LISTENER_ERROR_SIZE]);

bool pl_listener_is_any(const struct pl_addr *addr);
bool pl_listener_is_loopback(const struct pl_addr *addr);

#endif
