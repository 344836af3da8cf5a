#include "tests/load/speech.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/sound.h"

enum {
	FRAME = PL_OPUS_FRAME,
	PULSE_HZ = 1000,
	PULSE_FRAMES = 5,
	COMPLEXITY = 5,
	VOICE_APART_S = 60, /* two voices that say the same do it at other times */
};

static const double loudness = 0.4;

enum what { VOICE, PULSE, SILENCE };

static void say(enum what what, uint32_t who, uint64_t frame, float pcm[static FRAME])
{
	memset(pcm, 0, FRAME * sizeof *pcm);
	if (what == VOICE)
		pl_sound_voice(pcm, FRAME, frame * FRAME + (uint64_t)who * VOICE_APART_S * PL_OPUS_CLOCK_HZ, loudness);
	if (what == PULSE && frame % LOAD_PULSE_FRAMES < PULSE_FRAMES)
		pl_sound_sine(pcm, FRAME, frame * FRAME, PULSE_HZ, loudness);
}

/* Begins a second before its begin, which is its end: so a loop goes on at its seam nearly as an endless stream would. */
static bool fill(struct load_loop *loop, struct pl_opus_encoder *encoder, const struct load_speech *speech,
	uint32_t bitrate_bps, enum what what, uint32_t who)
{
	float pcm[FRAME];
	pl_opus_encoder_start(encoder, speech->templates, PL_OPUS_VOIP);
	pl_opus_encoder_tune(encoder, &(struct pl_opus_tuning){ bitrate_bps, COMPLEXITY, 0 });
	for (uint32_t i = LOAD_SPEECH_FRAMES - LOAD_SPEECH_RATE_HZ; i < 2 * LOAD_SPEECH_FRAMES; i++) {
		const uint32_t at = i % LOAD_SPEECH_FRAMES;
		say(what, who, at, pcm);
		loop->size[at] = (uint16_t)pl_opus_encode(
			encoder, pcm, false, (struct pl_span){ loop->bytes[at], PL_OPUS_PACKET_MAX });
		if (loop->size[at] == 0)
			return false;
	}
	return true;
}

/* The encoder's rate varies with what is said, and each libopus has its own idea of that: where the packets are not of the size that was
 * asked for, it is asked for as much more or less. */
static bool fill_voice(struct load_loop *loop, struct pl_opus_encoder *encoder, const struct load_speech *speech,
	uint32_t bitrate_bps, uint32_t who)
{
	enum { BPS_MIN = 6000, BPS_MAX = 510000, PERCENT_OFF_MAX = 10 };
	uint64_t bits = 0;
	if (!fill(loop, encoder, speech, bitrate_bps, VOICE, who))
		return false;
	for (uint32_t i = 0; i < LOAD_SPEECH_FRAMES; i++)
		bits += loop->size[i] * 8u;
	const uint64_t made_bps = bits * LOAD_SPEECH_RATE_HZ / LOAD_SPEECH_FRAMES;
	const uint64_t percent = made_bps * 100 / bitrate_bps;
	if (percent >= 100 - PERCENT_OFF_MAX && percent <= 100 + PERCENT_OFF_MAX)
		return true;
	const uint64_t wanted_bps = (uint64_t)bitrate_bps * bitrate_bps / made_bps;
	const uint32_t asked_bps = wanted_bps < BPS_MIN   ? BPS_MIN
				   : wanted_bps > BPS_MAX ? BPS_MAX
							  : (uint32_t)wanted_bps;
	return fill(loop, encoder, speech, asked_bps, VOICE, who);
}

static bool fill_all(struct load_speech *speech, uint32_t bitrate_bps)
{
	struct pl_opus_encoder *encoder = aligned_alloc(64, pl_opus_encoder_bytes());
	bool is_good = encoder != NULL && fill(&speech->pulse, encoder, speech, bitrate_bps, PULSE, 0) &&
		       fill(&speech->silence, encoder, speech, bitrate_bps, SILENCE, 0);
	for (uint32_t i = 0; is_good && i < LOAD_SPEECH_VOICES; i++)
		is_good = fill_voice(&speech->voice[i], encoder, speech, bitrate_bps, i);
	free(encoder);
	return is_good;
}

struct load_speech *load_speech_create(uint32_t payload_bytes)
{
	struct load_speech *speech = calloc(1, sizeof *speech);
	void *memory = aligned_alloc(64, pl_opus_templates_bytes());
	struct pl_opus_templates *templates;
	if (speech == NULL || memory == NULL ||
		pl_opus_templates_init(&templates, (struct pl_span){ memory, pl_opus_templates_bytes() }) !=
			PL_ERR_NONE) {
		free(memory);
		free(speech);
		return NULL;
	}
	speech->memory = memory;
	speech->templates = templates;
	if (!fill_all(speech, payload_bytes * 8 * LOAD_SPEECH_RATE_HZ))
		load_speech_destroy(&speech);
	return speech;
}

void load_speech_destroy(struct load_speech **speech)
{
	if (*speech == NULL)
		return;
	free((*speech)->memory);
	free(*speech);
	*speech = NULL;
}

struct pl_bytes load_loop_frame(const struct load_loop *loop, uint64_t frame)
{
	const size_t at = frame % LOAD_SPEECH_FRAMES;
	return (struct pl_bytes){ loop->bytes[at], loop->size[at] };
}
