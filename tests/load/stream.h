/* One RTP stream that arrives, a slot of a receiver: what came and what is missing since the measurement began, by the
 * gaps in its sequence numbers.  A slot whose speaker changes goes on in its numbers, as Plenum's does, or jumps, as with
 * servers that do not renumber: a far jump is a new beginning and no loss.
 * Pure: no allocation, no clock, no I/O.  Thread: the worker that owns the client. */
#ifndef PL_TESTS_LOAD_STREAM_H
#define PL_TESTS_LOAD_STREAM_H

#include "media/reception.h"

struct load_stream {
	struct pl_reception reception;             /* since its last beginning, as receiver reports need it */
	uint32_t received_before, expected_before; /* of the reception, when the measurement began */
	uint64_t delivered_earlier, lost_earlier;  /* in the measurement, before the last beginning */
	uint32_t restarts;                         /* in the measurement */
};

void load_stream_init(struct load_stream *stream, uint32_t ssrc);

/* Counts one packet. */
void load_stream_packet(struct load_stream *stream, int64_t now_us, uint16_t seq, uint32_t ts);

/* The measurement begins: what came before does not count. */
void load_stream_begin(struct load_stream *stream);

struct load_tally {
	uint64_t delivered, lost;
	uint32_t streams; /* in which something arrived */
	uint32_t restarts;
};

/* Adds what the stream has since the measurement began. */
void load_stream_tally(const struct load_stream *stream, struct load_tally *tally);

#endif
