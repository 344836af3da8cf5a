/* One encoded stream of a room's mix: the shared one of a group, or a talker's own.  It knows when it has something to send, and
 * is copied whole where a listener moves from one to the other.
 * Pure: no allocation, no clock, no I/O.  Thread: that of its mixer. */
#ifndef PL_MEDIA_MIXER_STREAM_H
#define PL_MEDIA_MIXER_STREAM_H

#include "media/decimate.h"
#include "media/mixer.h"

/* The encoder of an Opus group follows in the same block. */
struct pl_mixer_stream {
	_Alignas(64) uint8_t group;
	uint8_t step;     /* of the load that the encoder is tuned to */
	uint8_t tail;     /* frames of silence that are still to be sent */
	bool is_running;  /* sends a packet in this tick */
	bool is_first;    /* this packet is the first after a pause */
	bool wants_start; /* somebody waits for a frame that needs none before it */
	bool has_started; /* there was one, in start_tick */
	uint32_t start_tick;
	uint32_t pause_ticks;        /* since it sent its last packet */
	struct pl_limiter limiter;   /* of a talker's own; the shared ones have the mixer's */
	struct pl_decimate decimate; /* the same */
};

/* Of a block that holds any stream, a multiple of 64. */
size_t pl_mixer_stream_bytes(void);

static inline bool pl_mixer_stream_is_narrow(enum pl_mix_group group)
{
	return group == PL_MIX_PCMU || group == PL_MIX_PCMA;
}

/* Samples of the RTP clock in one tick. */
static inline uint32_t pl_mixer_stream_clock(enum pl_mix_group group)
{
	return pl_mixer_stream_is_narrow(group) ? PL_OPUS_FRAME / PL_DECIMATE_FACTOR : PL_OPUS_FRAME;
}

/* A new one, not running. */
void pl_mixer_stream_start(
	struct pl_mixer_stream *s, const struct pl_opus_templates *templates, enum pl_mix_group group, uint8_t step);

/* *to goes on exactly as *from would.  limiter, decimate: what *from has, where it is a shared one. */
void pl_mixer_stream_copy(struct pl_mixer_stream *to, const struct pl_mixer_stream *from,
	const struct pl_limiter *limiter, const struct pl_decimate *decimate);

/* Says for each tick whether there is a voice in it. */
void pl_mixer_stream_run(struct pl_mixer_stream *s, bool has_voice);

/* Whether the frame of this tick is made without prediction; asked once per tick. */
bool pl_mixer_stream_takes_start(struct pl_mixer_stream *s, uint32_t tick);

/* Samples in each packet, of each channel; pl_mix_packets(group) of them are a tick. */
static inline uint32_t pl_mixer_stream_samples(enum pl_mix_group group)
{
	return pl_mixer_stream_clock(group) / pl_mix_packets(group);
}

/* Encodes one packet: pcm has pl_mixer_stream_samples (STEREO: of each channel, interleaved).  Returns the size. */
size_t pl_mixer_stream_encode(
	struct pl_mixer_stream *s, uint8_t step, const float *pcm, bool is_start, struct pl_span out);

#endif
