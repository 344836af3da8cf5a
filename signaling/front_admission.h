/* Who may join.  Decided before an offer is read or anything is made for the one who asks: a refusal costs no more than the message
 * that asked.  A resume is not asked.
 * Pure.  Thread: signaling. */
#ifndef PL_SIGNALING_FRONT_ADMISSION_H
#define PL_SIGNALING_FRONT_ADMISSION_H

#include "media/addr.h"
#include "media/base.h"

/* X(name, code, HTTP status, reason): in the order in which they are looked for. */
#define PL_REFUSAL_LIST(X)                                                                                        \
	X(SHUTDOWN, "shutdown", 503, "The server ends.")                                                          \
	X(DRAINING, "draining", 503, "The server is about to end; calls on it go on, new ones belong elsewhere.") \
	X(SERVER_FULL, "server_full", 503,                                                                        \
		"The server, or its part that has the room, has all the participants "                            \
		"it may have.")                                                                                   \
	X(ROOMS_FULL, "rooms_full", 503, "The server has all the rooms it may have.")                             \
	X(ROOM_FULL, "room_full", 503, "The room has all the participants it may have.")                          \
	X(PRESSURE, "pressure", 503, "The server has as much to do as it can do well.")                           \
	X(JOINS_FULL, "joins_full", 503,                                                                          \
		"Too many who have joined are not connected yet; the server waits for them first.")               \
	X(RATE, "rate", 429, "More joins in a minute than one address, or one token, may have.")

enum pl_refusal {
	PL_REFUSAL_NONE,
#define X(name, code, status, reason) PL_REFUSAL_##name,
	PL_REFUSAL_LIST(X)
#undef X
		PL_REFUSAL_COUNT
};

/* Not for PL_REFUSAL_NONE. */
const char *pl_refusal_code(enum pl_refusal why);
const char *pl_refusal_reason(enum pl_refusal why);
uint16_t pl_refusal_status(enum pl_refusal why);

/* Who wants to join. */
struct pl_front_asker {
	struct pl_addr address; /* all zero: not known */
	struct pl_bytes token;  /* data NULL: none */
};

struct pl_front_refused {
	enum pl_refusal why;
	uint32_t retry_after_ms;
	uint32_t limit; /* that was met; 0: none */
	uint8_t level;  /* the last two are of PL_REFUSAL_PRESSURE: to be admitted against */
	uint16_t score_permille;
};

#endif
