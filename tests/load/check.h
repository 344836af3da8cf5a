/* The client's half of ICE (RFC 8445) on one pair: the controlling role, the first check nominates, as browsers do it
 * with a lite server; then consent checks (RFC 7675).  A server that is not lite sends checks of its own: they are
 * answered.
 * Sans-IO: no socket, no clock, no thread; a check that waits for its answer is on the heap, for libnice's agent is
 * 10 KB and few checks are open at a time.  Thread: the worker that owns the client. */
#ifndef PL_TESTS_LOAD_CHECK_H
#define PL_TESTS_LOAD_CHECK_H

#include <stun/stunagent.h>

#include "media/ice.h"
#include "media/rng.h"

enum {
	LOAD_CHECK_SIZE_MAX = 1024, /* user name and password of 256 bytes each are allowed */
	LOAD_CHECK_RTO_MS = 500,    /* RFC 8445 section 14.3, and RFC 8489 section 6.2.1: doubles */
	LOAD_CHECK_RTO_MS_MAX = 4000,
	LOAD_CHECK_CONSENT_MS = 5000, /* times 0.8 to 1.2: RFC 7675 section 5.1 */
};

struct load_check_config {
	const char *remote_ufrag, *remote_pwd; /* outlive the checks */
	const struct pl_ice_credentials *local;
	uint64_t tie_breaker;
};

struct load_check_open; /* one that waits for its answer */

struct load_check {
	struct load_check_config config;
	struct load_check_open *open; /* NULL: none */
	bool is_nominated;            /* the pair is valid: one check was answered */
	int64_t deadline_us;          /* of the next transmission */
	int64_t answered_us;          /* the last one, or the start */
};

void load_check_init(struct load_check *check, int64_t now_us, const struct load_check_config *config);
void load_check_fini(struct load_check *check);

/* Call at or after the deadline.  Returns what to send, a view valid until the next call; empty when nothing is. */
struct pl_bytes load_check_tick(struct load_check *check, int64_t now_us, struct pl_rng *rng);

/* Takes one STUN message.  True: it answered the open check.  *reply_size: bytes of reply to send, 0 for none;
 * from: where a request came from, for its answer. */
bool load_check_feed(struct load_check *check, int64_t now_us, const struct pl_addr *from, struct pl_bytes datagram,
	struct pl_rng *rng, uint8_t reply[static PL_ICE_REPLY_SIZE_MAX], size_t *reply_size);

#endif
