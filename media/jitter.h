/* The packets of one Opus stream that wait for their time, in the order of their timestamps.  Payloads lie in a ring of
 * bytes in the order of their arrival, each in one piece, so that they are copied once and decoded where they are.
 * Bounded: 256 packets and 16 KB, which is half a second at 256 kb/s; what does not fit is refused.
 * Pure: no allocation, no clock, no I/O. */
#ifndef PL_MEDIA_JITTER_H
#define PL_MEDIA_JITTER_H

#include "media/base.h"
#include "media/drop.h"

enum { PL_JITTER_PACKETS = 256, PL_JITTER_BYTES = 16384 };

struct pl_jitter_packet {
	uint32_t ts;
	uint16_t seq, samples;
	uint16_t at, size; /* of the payload in bytes[] */
};

struct pl_jitter {
	uint16_t first, count;
	uint16_t head, tail;                               /* of the ring of bytes; equal when it is empty */
	struct pl_jitter_packet packet[PL_JITTER_PACKETS]; /* circular from first on, oldest timestamp first */
	uint8_t bytes[PL_JITTER_BYTES];
};

void pl_jitter_clear(struct pl_jitter *j);

/* Copies a packet in.  PL_DROP_VOICE_DUPLICATE: one with this timestamp waits already; PL_DROP_VOICE_FULL.  Timestamps that
 * wait together are less than 2^31 apart, and a payload has 1 to PL_DATAGRAM_SIZE_MAX bytes (asserts). */
PL_MUST_USE enum pl_drop pl_jitter_put(
	struct pl_jitter *j, uint16_t seq, uint32_t ts, uint16_t samples, struct pl_bytes payload);

/* The one with the oldest timestamp, NULL when none waits; valid until the next put or pop. */
const struct pl_jitter_packet *pl_jitter_front(const struct pl_jitter *j);

struct pl_bytes pl_jitter_payload(const struct pl_jitter *j, const struct pl_jitter_packet *packet);

/* Takes the front away (asserts that there is one). */
void pl_jitter_pop(struct pl_jitter *j);

/* The timestamp after the newest packet (asserts that there is one). */
uint32_t pl_jitter_end(const struct pl_jitter *j);

#endif
