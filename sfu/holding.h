/* What of the process's memory its parts hold, by what it is for: what /metrics tells, and what the memory that nobody accounts for is told
 * by (PL_PRESSURE_UNTRACKED).  Regions that are there from the start count whole; tables and pools that take memory as they are used
 * count what was ever used; OpenSSL's and libwebsockets' objects count by their number, with what one was measured to take.
 * Pure: plain data. */
#ifndef PL_SFU_HOLDING_H
#define PL_SFU_HOLDING_H

#include "media/base.h"

/* X(name, text, help) */
#define PL_HOLDING_LIST(X)                                                                                       \
	X(PACKETS, "packets", "packet buffers of media threads and codec workers")                               \
	X(SOCKETS, "sockets", "what media threads receive into and send from")                                   \
	X(TABLES, "tables", "rooms and participants of media threads, and how they are found")                   \
	X(KEYS, "keys", "SRTP: ciphers and sessions")                                                            \
	X(HANDSHAKES, "handshakes", "DTLS associations that are not over, and what they left for half a minute") \
	X(RINGS, "rings", "messages between threads")                                                            \
	X(CODECS, "codecs", "decoders, encoders and mixes")                                                      \
	X(CONNECTIONS, "connections", "signaling: connections and their sessions")

enum pl_holding_part {
#define X(name, text, help) PL_HOLDING_##name,
	PL_HOLDING_LIST(X)
#undef X
		PL_HOLDINGS
};

/* Words of 64 bits alone: see sfu/io/published.h. */
struct pl_holding {
	uint64_t bytes[PL_HOLDINGS];
};

static inline void pl_holding_add(struct pl_holding *sum, const struct pl_holding *more)
{
	for (int i = 0; i < PL_HOLDINGS; i++)
		sum->bytes[i] += more->bytes[i];
}

static inline uint64_t pl_holding_total(const struct pl_holding *holding)
{
	uint64_t total = 0;
	for (int i = 0; i < PL_HOLDINGS; i++)
		total += holding->bytes[i];
	return total;
}

#endif
