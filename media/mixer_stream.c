#include "media/mixer_stream.h"

#include <string.h>

#include "media/g711.h"

static const enum pl_opus_profile profile_of[PL_MIX_GROUPS] = {
	[PL_MIX_FULL] = PL_OPUS_CELT,
	[PL_MIX_ROBUST] = PL_OPUS_VOIP,
	[PL_MIX_STEREO] = PL_OPUS_CELT_STEREO,
	[PL_MIX_LOW] = PL_OPUS_VOIP_LOW,
	[PL_MIX_LOWEST] = PL_OPUS_VOIP_LOW,
	[PL_MIX_SHORT] = PL_OPUS_CELT_10MS,
};

/* In CELT libopus does not count a packet's first byte: 400 bit/s, and 800 in packets of 10 ms. */
enum {
	FULL = PL_MIX_FULL_BPS - 500,
	ROBUST = PL_MIX_ROBUST_BPS,
	STEREO = PL_MIX_STEREO_BPS - 500,
	LOW = PL_MIX_LOW_BPS,
	LOWEST = PL_MIX_LOWEST_BPS,
	SHORT = PL_MIX_SHORT_BPS - 1000,
};

/* What each step of the load leaves an encoder.  The low ones repeat nothing for who loses packets, for it would be most of them, and have
 * a constant bitrate: where it is so low, SILK misses an average by a tenth. */
static const struct pl_opus_tuning tuning_of[PL_MIX_GROUPS][PL_MIXER_LOAD_STEPS] = {
	[PL_MIX_FULL] = { { FULL, 9, 0 }, { FULL, 5, 0 }, { FULL, 2, 0 }, { FULL, 0, 0 }, { 28000, 0, 0 } },
	[PL_MIX_ROBUST] = { { ROBUST, 9, 10 }, { ROBUST, 5, 10 }, { ROBUST, 5, 10 }, { 20000, 2, 10 },
		{ 16000, 0, 10 } },
	[PL_MIX_STEREO] = { { STEREO, 9, 0 }, { STEREO, 5, 0 }, { STEREO, 2, 0 }, { STEREO, 0, 0 }, { 48000, 0, 0 } },
	[PL_MIX_LOW] = { { LOW, 9, 0 }, { LOW, 5, 0 }, { LOW, 5, 0 }, { LOW, 2, 0 }, { LOW, 0, 0 } },
	[PL_MIX_LOWEST] = { { LOWEST, 9, 0 }, { LOWEST, 5, 0 }, { LOWEST, 5, 0 }, { LOWEST, 2, 0 }, { LOWEST, 0, 0 } },
	[PL_MIX_SHORT] = { { SHORT, 9, 0 }, { SHORT, 5, 0 }, { SHORT, 2, 0 }, { SHORT, 0, 0 }, { 28000, 0, 0 } },
};

static struct pl_opus_encoder *encoder_of(const struct pl_mixer_stream *s)
{
	return (struct pl_opus_encoder *)(void *)((uint8_t *)(uintptr_t)s + sizeof *s);
}

size_t pl_mixer_stream_bytes(void)
{
	return sizeof(struct pl_mixer_stream) + pl_opus_encoder_bytes();
}

void pl_mixer_stream_start(
	struct pl_mixer_stream *s, const struct pl_opus_templates *templates, enum pl_mix_group group, uint8_t step)
{
	PL_ASSERT(group < PL_MIX_GROUPS && step < PL_MIXER_LOAD_STEPS);
	*s = (struct pl_mixer_stream){ .group = (uint8_t)group, .step = step };
	pl_limiter_init(&s->limiter, PL_OPUS_CLOCK_HZ, group == PL_MIX_STEREO ? 2 : 1);
	pl_decimate_init(&s->decimate);
	if (pl_mixer_stream_is_narrow(group))
		return;
	pl_opus_encoder_start(encoder_of(s), templates, profile_of[group]);
	pl_opus_encoder_tune(encoder_of(s), &tuning_of[group][step]);
}

void pl_mixer_stream_copy(struct pl_mixer_stream *to, const struct pl_mixer_stream *from,
	const struct pl_limiter *limiter, const struct pl_decimate *decimate)
{
	*to = *from;
	to->limiter = *limiter;
	to->decimate = *decimate;
	if (!pl_mixer_stream_is_narrow(from->group))
		pl_opus_encoder_copy(encoder_of(to), encoder_of(from));
}

void pl_mixer_stream_run(struct pl_mixer_stream *s, bool has_voice)
{
	s->is_first = has_voice && !s->is_running;
	if (s->is_first)
		s->wants_start = true; /* who came in the pause has heard nothing before */
	if (has_voice) {
		s->is_running = true;
		s->tail = PL_MIXER_TAIL;
	} else if (s->tail > 0) {
		s->tail--;
	} else {
		s->is_running = false;
	}
	s->pause_ticks = s->is_running ? 0 : s->pause_ticks + 1;
}

bool pl_mixer_stream_takes_start(struct pl_mixer_stream *s, uint32_t tick)
{
	if (pl_mixer_stream_is_narrow(s->group))
		return true;
	if (!s->wants_start || (s->has_started && !s->is_first && tick - s->start_tick < PL_MIXER_START_TICKS))
		return false;
	s->wants_start = false;
	s->has_started = true;
	s->start_tick = tick;
	return true;
}

size_t pl_mixer_stream_encode(
	struct pl_mixer_stream *s, uint8_t step, const float *pcm, bool is_start, struct pl_span out)
{
	if (pl_mixer_stream_is_narrow(s->group)) {
		const size_t samples = PL_OPUS_FRAME / PL_DECIMATE_FACTOR;
		PL_ASSERT(out.size >= samples);
		pl_g711_encode(s->group == PL_MIX_PCMU ? PL_G711_PCMU : PL_G711_PCMA, pcm, samples, out.data);
		return samples;
	}
	if (s->step != step) {
		s->step = step;
		pl_opus_encoder_tune(encoder_of(s), &tuning_of[s->group][step]);
	}
	const size_t size = pl_opus_encode(encoder_of(s), pcm, is_start, out);
	PL_ASSERT(size > 0);
	return size;
}
