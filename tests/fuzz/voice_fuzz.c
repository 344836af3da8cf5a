/* One talker as a mixer hears it, step by step: the first byte of each says what comes.
 * 0-127: a packet, 8 bytes of how (seq and ts change, ssrc, size) and the payload; 128-223: so many ticks in a row, 1 to 3;
 * 224-255: time passes without ticks.  What is heard is finite, every packet ends by a name, and the buffer has its bounds. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "media/voice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct pl_opus_templates *templates;
static struct pl_voice *voice;

struct world {
	const uint8_t *data;
	size_t size;
	int64_t now_us;
	struct pl_packet packet;
};

static uint32_t take(struct world *w, size_t bytes)
{
	uint32_t value = 0;
	for (; bytes > 0 && w->size > 0; bytes--, w->size--)
		value = value << 8 | *w->data++;
	return value;
}

static void feed(struct world *w, uint8_t how)
{
	const uint16_t seq = (uint16_t)take(w, 2);
	const uint32_t ts = take(w, 4);
	const uint8_t ssrc = (uint8_t)take(w, 1), length = (uint8_t)take(w, 1);
	size_t payload = how % 16 == 15 ? length * 6u : length;
	payload = payload < w->size ? payload : w->size;
	w->packet.seq = (uint16_t)(w->packet.seq + (how & 1 ? seq : 1u));
	w->packet.ts += how & 2 ? ts : 960u;
	w->packet.ssrc = how & 4 ? ssrc : w->packet.ssrc;
	uint8_t *exact = malloc(payload > 0 ? payload : 1);
	if (exact == NULL)
		abort();
	memcpy(exact, w->data, payload);
	w->data += payload;
	w->size -= payload;
	w->packet.payload = (struct pl_bytes){ exact, payload };
	const enum pl_drop drop = pl_voice_feed(voice, w->now_us, &w->packet);
	PL_ASSERT(drop == PL_DROP_NONE || drop == PL_DROP_VOICE_LATE || drop == PL_DROP_VOICE_DUPLICATE ||
		  drop == PL_DROP_VOICE_FULL || drop == PL_DROP_VOICE_MALFORMED);
	free(exact);
}

static void pull(struct world *w)
{
	float pcm[PL_VOICE_FRAME];
	struct pl_voice_gauges gauges;
	if (pl_voice_pull(voice, w->now_us, (uint32_t)(w->now_us / PL_VOICE_TICK_US), pl_dsp_get(PL_SIMD_AUTO), pcm))
		for (size_t i = 0; i < PL_VOICE_FRAME; i++)
			PL_ASSERT(isfinite(pcm[i]));
	pl_voice_measure(voice, &gauges);
	PL_ASSERT(gauges.target_us <= 440000);
	w->now_us += PL_VOICE_TICK_US;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { STEPS_MAX = 2000 };
	if (templates == NULL) {
		void *memory = aligned_alloc(64, pl_opus_templates_bytes());
		voice = aligned_alloc(64, pl_voice_bytes());
		if (memory == NULL || voice == NULL ||
			pl_opus_templates_init(&templates, (struct pl_span){ memory, pl_opus_templates_bytes() }) !=
				PL_ERR_NONE)
			abort();
	}
	static struct world world;
	world = (struct world){ .data = data, .size = size };
	pl_voice_start(voice, templates, 1, 2);
	for (int step = 0; step < STEPS_MAX && world.size > 0; step++) {
		const uint8_t how = (uint8_t)take(&world, 1);
		if (how < 128)
			feed(&world, how);
		else if (how < 224)
			for (int n = how % 3; n >= 0; n--)
				pull(&world);
		else
			world.now_us += (how - 223) * 50000;
	}
	return 0;
}
