/* Whether the process lives, for /live: it does unless a thread of the media plane hangs, or its canary has been deaf for a stated time.
 * Looked at once a second; the answer depends on nothing outside the process.
 * Pure: no clock, no I/O.  Thread: signaling. */
#ifndef PL_SIGNALING_HEALTH_H
#define PL_SIGNALING_HEALTH_H

#include "sfu/sfu.h"

enum {
	PL_HEALTH_LOOK_US = 1000000,
	/* A media thread's turn takes milliseconds, a worker's at most twenty.  Who hangs for so long will not come back. */
	PL_HEALTH_HUNG_US = 10000000,
	PL_HEALTH_TEXT_SIZE = 256,
};

/* What is worth a line in the log. */
enum pl_health_news {
	PL_HEALTH_NO_NEWS,
	PL_HEALTH_HANGS,
	PL_HEALTH_TURNS_AGAIN,
	PL_HEALTH_DEAF,
	PL_HEALTH_IMPAIRED,
	PL_HEALTH_HEARS_AGAIN,
	PL_HEALTH_UNABLE,         /* the canary cannot sing, and tries on */
	PL_HEALTH_CANARY_STALLED, /* its thread stands still, so nobody listens */
	PL_HEALTH_MISTRUSTED,     /* it never heard itself, and has given up */
};

struct pl_health {
	int64_t deaf_max_us;
	struct pl_sfu_stall stall;
	uint8_t hangs; /* looks in a row that found one.  After the whole process was stopped the first one does */
	bool has_told_hang;
	struct pl_canary_report canary;
	int64_t deaf_us;
	uint64_t told_mode;
};

void pl_health_init(struct pl_health *health, int64_t deaf_max_us);

/* Once in each PL_HEALTH_LOOK_US.  stall: NULL, none hangs. */
void pl_health_look(struct pl_health *health, const struct pl_sfu_stall *stall, const struct pl_canary_report *canary);

/* What the last look brought, one after the other, until there is none. */
PL_MUST_USE enum pl_health_news pl_health_next(struct pl_health *health);

/* Writes the body of /live, lines for people.  False: the process does not live. */
PL_MUST_USE bool pl_health_write(const struct pl_health *health, char text[static PL_HEALTH_TEXT_SIZE]);

/* "media thread 1" or "codec worker 0". */
void pl_health_name_thread(const struct pl_sfu_stall *stall, char text[static PL_HEALTH_TEXT_SIZE]);

#endif
