/* What a receiver hears of one stream: whether its packets come in time, and, decoded, whether they are sound at all and when a
 * pulse is in them.
 * A mix is made by a clock, and its timestamps say when each packet was due.  The earliest one tells how they lie to ours; how much
 * later another comes is its lateness.
 * Pure: memory from the caller; no clock, no I/O.  Thread: the worker that owns the client. */
#ifndef PL_TESTS_LOAD_EAR_H
#define PL_TESTS_LOAD_EAR_H

#include "media/opus.h"

struct load_ear {
	struct pl_opus_decoder *decoder; /* NULL: does not decode */
	bool has_first;
	uint32_t ts_last;
	int64_t ts, early_ns; /* ts_last without its wrapping; the least of arrival minus due time so far */
	uint64_t quiet;       /* samples since it was last loud */
};

/* decoder: in pl_opus_decoder_bytes(), the ear's from now on, or NULL. */
void load_ear_init(struct load_ear *ear, struct pl_opus_decoder *decoder, const struct pl_opus_templates *templates);

struct load_arrived {
	int64_t late_ns; /* later after its due time than the earliest one came, 0 or more */
	uint32_t
		missing; /* ticks between it and the one before, in which nothing came though nobody said that it pauses */
};

/* Takes a packet of a mix.  ts, has_marker: of its header. */
struct load_arrived load_ear_arrival(struct load_ear *ear, int64_t arrived_ns, uint32_t ts, bool has_marker);

struct load_heard {
	int samples;   /* less than 0: malformed */
	double energy; /* sum of their squares */
	int onset;     /* the sample where it becomes loud after a silence; less than 0: it does not */
};

/* Decodes a payload.  The ear must have a decoder (asserts). */
struct load_heard load_ear_listen(struct load_ear *ear, struct pl_bytes payload);

#endif
