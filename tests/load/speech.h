/* What publishers say where it has to be Opus that can be decoded: loops of four seconds, encoded once at the start.
 * Thread: main creates; then they are constant, and all workers read them. */
#ifndef PL_TESTS_LOAD_SPEECH_H
#define PL_TESTS_LOAD_SPEECH_H

#include "media/opus.h"

enum {
	LOAD_SPEECH_FRAMES = 200, /* of 20 ms */
	LOAD_SPEECH_VOICES = 4,
	LOAD_SPEECH_RATE_HZ = 50,
	LOAD_SPEECH_BYTES_MIN = 15, /* of a payload on average: 6 kb/s, the least that Opus has */
	LOAD_PULSE_FRAMES = 50,     /* a pulse begins with each 50th frame, and lasts five */
};

struct load_loop {
	uint16_t size[LOAD_SPEECH_FRAMES];
	uint8_t bytes[LOAD_SPEECH_FRAMES][PL_OPUS_PACKET_MAX];
};

struct load_speech {
	struct load_loop voice[LOAD_SPEECH_VOICES], pulse, silence;
	const struct pl_opus_templates *templates; /* for decoders, too */
	void *memory;                              /* of the templates */
};

/* payload_bytes: of a frame on average.  NULL: out of memory. */
struct load_speech *load_speech_create(uint32_t payload_bytes);
void load_speech_destroy(struct load_speech **speech);

/* The payload of a frame; any number. */
struct pl_bytes load_loop_frame(const struct load_loop *loop, uint64_t frame);

#endif
