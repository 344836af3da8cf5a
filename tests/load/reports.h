/* The RTCP of a client: sender reports of what it publishes, receiver reports of what arrives, as real clients send
 * them; for a server's cost without them would be flattered.  RFC 3550 section 6.
 * Thread: the worker that owns the client. */
#ifndef PL_TESTS_LOAD_REPORTS_H
#define PL_TESTS_LOAD_REPORTS_H

#include "tests/load/client.h"

enum {
	LOAD_REPORTS_MS_FIRST = 500,
	LOAD_REPORTS_MS = 5000, /* RFC 3550 section 6.2, times 0.5 to 1.5 */
};

int64_t load_reports_interval_us(struct pl_rng *rng);

/* Sends one compound packet of a connected client. */
void load_reports_send(struct load_client *client, struct load_context *context);

/* Takes one protected compound packet: sender reports, for the next receiver report. */
void load_reports_feed(struct load_client *client, struct load_context *context, struct pl_bytes packet);

#endif
