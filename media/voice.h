/* One talker as the mixer hears it: packets come as the network brings them, and 20 ms of sound leave at each tick.
 *
 *	feed -> jitter (waits) -> decoder -> splice (shorter, longer) -> fades -> pull
 *
 * How long packets wait follows how late they come (media/delay): at zero jitter a packet waits for the next tick alone.
 * The delay cannot creep: it is measured anew with each packet against that target, and what is too much or too little is
 * cut out or put in, a pitch period at a time.  What is missing is made of the next packet's FEC, else concealed, fading
 * out after 60 ms; after 120 ms it is silent, and the next spurt fades in within 5 ms (20 ms with a new decoder).
 * Bounded: one decoder, 256 packets in 16 KB (media/jitter), 8,192 samples.
 * Pure: no allocation, no clock, no I/O.  Thread: the one that owns the mixer. */
#ifndef PL_MEDIA_VOICE_H
#define PL_MEDIA_VOICE_H

#include "media/drop.h"
#include "media/dsp.h"
#include "media/opus.h"
#include "media/pool.h"

enum {
	PL_VOICE_TICK_US = 20000,
	PL_VOICE_FRAME = PL_OPUS_FRAME,
	PL_VOICE_PEAK_MAX =
		2, /* of full scale: no encoder overshoots so far, and nobody is heard beside what is far above it */
};

struct pl_voice;

/* Of one voice with its decoder: a multiple of 64, for memory aligned to 64. */
size_t pl_voice_bytes(void);

/* Makes what memory at v held into a voice that is silent. */
void pl_voice_start(struct pl_voice *v, const struct pl_opus_templates *t, uint32_t source, uint32_t track);

/* A packet of this talker: payload, ssrc, seq and ts are looked at, and what it needs is copied.  Returns PL_DROP_NONE, or why
 * it is not going to be heard (PL_DROP_VOICE_*).  Another SSRC, or a timestamp that is a second away from where it should
 * be, is a publisher that began anew. */
PL_MUST_USE enum pl_drop pl_voice_feed(struct pl_voice *v, int64_t now_us, const struct pl_packet *packet);

/* The next 20 ms, to be called at each tick.  now_us: when it is, which may be late.  tick: its number, rising by one where no time is
 * missing: what belongs to ticks that were left out is not heard later.  False: silent, and nothing is written; that costs nothing, so does a packet that is
 * never pulled. */
PL_MUST_USE bool pl_voice_pull(
	struct pl_voice *v, int64_t now_us, uint32_t tick, const struct pl_dsp *dsp, float pcm[static PL_VOICE_FRAME]);

uint32_t pl_voice_source(const struct pl_voice *v);
uint32_t pl_voice_track(const struct pl_voice *v);

/* Neither sounding nor about to: no packet waits. */
bool pl_voice_is_silent(const struct pl_voice *v);

struct pl_voice_gauges {
	/* How much longer than the earliest packets of the last seconds what is heard has waited, and would best wait.  Up to
	 * 20 ms to the next tick come on top. */
	uint32_t delay_us, target_us;
	uint64_t decoded;               /* packets */
	uint64_t late, lost;            /* packets: that came too late to be heard; that were not there in time */
	uint64_t duplicate, full;       /* packets that were not taken */
	uint64_t malformed;             /* packets, concealed as if they were lost */
	uint64_t restarted;             /* publishers that began anew */
	uint64_t recovered, concealed;  /* samples: made of FEC, made up */
	uint64_t shortened, lengthened; /* samples cut out, put in */
};

void pl_voice_measure(const struct pl_voice *v, struct pl_voice_gauges *gauges);

#endif
