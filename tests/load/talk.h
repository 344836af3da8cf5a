/* What a microphone has to send in each frame: constant, or a person who talks and pauses.
 * Pure: no allocation, no clock, no I/O.  Thread: the worker that owns the publisher. */
#ifndef PL_TESTS_LOAD_TALK_H
#define PL_TESTS_LOAD_TALK_H

#include "media/rng.h"

struct load_talk {
	struct pl_rng rng;
	uint32_t payload_bytes, frame_ms;
	bool has_spurts, is_talking;
	uint32_t silent_ms; /* since the last packet */
};

struct load_frame {
	size_t size;             /* of the payload; 0: this frame is not sent */
	uint8_t level;           /* -dBov */
	bool is_voice, is_first; /* the first of a talk spurt */
};

/* rate_hz: frames in a second, 1-1000. */
void load_talk_init(struct load_talk *talk, uint64_t seed, uint32_t payload_bytes, uint32_t rate_hz, bool has_spurts);

struct load_frame load_talk_next(struct load_talk *talk);

/* A payload that tells when it was sent: an Opus TOC byte, a magic number, CLOCK_MONOTONIC nanoseconds. */
enum { LOAD_STAMP_SIZE = 1 + 8 + 8 };

/* Fills payload; one that is shorter than LOAD_STAMP_SIZE gets no stamp. */
void load_stamp_write(struct pl_span payload, int64_t now_ns);

/* False: there is none. */
PL_MUST_USE bool load_stamp_read(struct pl_bytes payload, int64_t *sent_ns);

#endif
