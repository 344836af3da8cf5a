/* One room's mix: the loudest talkers' voices are added, and everybody hears all of them but itself.  Who does not talk
 * shares one encoded stream per quality (enum pl_mix_group); each talker in the mix that hears the mix has a stream of its own.
 * So a room with K talkers costs K decodes and K + 1 encodes, however many listen.  In stereo each talker sits a little to one side.
 *
 *	hear (Opus packets of talkers) -> voice: jitter buffer, decoder -> choice of the loudest -> sums -> limiter -> encoders
 *	tick (each 20 ms)              -> next: one packet for each stream that is to be heard (SHORT: two)
 *
 * A listener who starts to talk gets a copy of the shared encoder, so its decoder notices nothing: bit for bit the stream that it
 * would have heard.  One who has stopped keeps its own stream until it has been out of the mix for half a second and a
 * quiet frame comes (or PL_MIXER_RETURN_TICKS_MAX), and then hears the shared one again.
 * Silence costs nothing: a stream ends PL_MIXER_TAIL frames after the last voice, and a room that has been silent for
 * PL_MIXER_LINGER_TICKS is idle: it holds no decoder and no encoder and needs no tick.
 * Pure: no allocation, no clock, no I/O.  Thread: the worker that owns its pools. */
#ifndef PL_MEDIA_MIXER_H
#define PL_MEDIA_MIXER_H

#include "media/blocks.h"
#include "media/decimate.h"
#include "media/drop.h"
#include "media/dsp.h"
#include "media/limiter.h"
#include "media/mix.h"
#include "media/opus.h"
#include "media/pool.h"

enum {
	PL_MIXER_TICK_US = 20000,
	PL_MIXER_TALKERS_MAX = PL_MIX_CSRC_MAX, /* in one mix */
	PL_MIXER_SPARE = 2, /* more of them are decoded, so that the choice can go by what is heard */
	PL_MIXER_VOICES_MAX = PL_MIXER_TALKERS_MAX + PL_MIXER_SPARE,
	PL_MIXER_OWN_MAX = PL_MIX_EXCEPT_MAX, /* streams of talkers, and of those who were */

	PL_MIXER_RAMP = 480,             /* samples in which a voice comes in; it goes within one frame */
	PL_MIXER_MARGIN_DB = 6,          /* louder than a voice in the mix by so much, */
	PL_MIXER_LOUDER_TICKS = 10,      /* for so long, */
	PL_MIXER_HOLD_TICKS = 15,        /* when that one has had its place for so long: another one takes it */
	PL_MIXER_TAIL = 10,              /* frames of silence that end a stream */
	PL_MIXER_START_TICKS = 10,       /* at least, between two frames that help those who come late */
	PL_MIXER_RETURN_TICKS = 25,      /* out of the mix, before the shared stream is heard again at a quiet frame, */
	PL_MIXER_RETURN_TICKS_MAX = 150, /* and whatever the frame is */
	PL_MIXER_LINGER_TICKS = 150,     /* of silence, until a decoder or an encoder is given back */
	PL_MIXER_COUNT_TICKS = 50,
	PL_MIXER_LOAD_STEPS = 5,
};

/* How hard encoders may work: step 0 to PL_MIXER_LOAD_STEPS - 1.  Complexity 9, 5, 2, 0, and then less bitrate; ROBUST keeps
 * more complexity, since SILK loses more without.  May change in any tick; no listener hears a click. */
struct pl_mixer_load {
	uint8_t step;
};

struct pl_mixer_counters {
	uint64_t ticks;                       /* of rooms */
	uint64_t voices_mixed;                /* frames of talkers added into a mix */
	uint64_t encoded_shared, encoded_own; /* packets */
	uint64_t entries, exits;              /* of talkers */
	uint64_t displaced;                   /* of the exits: for somebody louder */
	uint64_t copied, returned;            /* listeners that got a stream of their own, and came back from it */
	uint64_t returned_loud;               /* of those: no quiet frame had come in time, or the place was needed */
	uint64_t starts;                      /* frames without prediction, for those who come late */
	/* Of talkers, added once in PL_MIXER_COUNT_TICKS, and when a voice is given back. */
	uint64_t late, lost, malformed;           /* packets: too late to be heard, not there in time, concealed */
	uint64_t recovered, concealed, stretched; /* samples: made of FEC, made up, put in or cut out */
	uint64_t delay_us,
		delays; /* of those who sound then: what their jitter buffers delay them, added up; and how often */
	uint64_t voices_full, encoders_full; /* packets not heard and frames not sent, because a pool was empty */
};

struct pl_mixer_scratch;

/* What the mixers of one worker share.  The blocks and counters may be read at any time; dsp may be exchanged between calls. */
struct pl_mixer_pools {
	const struct pl_opus_templates *templates;
	const struct pl_dsp *dsp;
	struct pl_blocks voices, encoders;
	struct pl_mixer_scratch *scratch; /* samples of the tick that is drained now */
	struct pl_mixer_counters counters;
};

/* The bytes that pools of so many voices and encoders need; most of it is never touched (media/blocks.h). */
size_t pl_mixer_pools_bytes(uint32_t voices, uint32_t encoders);

/* memory: so many, aligned to 64 (asserts), the pools' as long as they live.  templates and dsp outlive them, too. */
void pl_mixer_pools_init(struct pl_mixer_pools *pools, const struct pl_opus_templates *templates,
	const struct pl_dsp *dsp, struct pl_span memory, uint32_t voices, uint32_t encoders);

struct pl_mixer_config {
	struct pl_mixer_pools *pools;
	uint32_t ssrc;       /* of all its streams, the same as long as the room lives */
	uint8_t talkers_max; /* 1 to PL_MIXER_TALKERS_MAX; 0: PL_MIX_TALKERS */
};

struct pl_mixer_talker;
struct pl_mixer_stream;

/* A talker's own stream. */
struct pl_mixer_own {
	uint32_t source;
	uint8_t group;
	uint16_t out_ticks;             /* since the talker left the mix; 0: is in it */
	struct pl_mixer_stream *stream; /* NULL: it has had nothing to send, or there was no encoder */
};

struct pl_mixer {
	struct pl_mixer_pools *pools;
	uint32_t ssrc;
	uint8_t talkers_max, groups; /* groups: bit i is enum pl_mix_group i */
	uint8_t talker_count, own_count;
	struct pl_mixer_talker *talker[PL_MIXER_VOICES_MAX];
	struct pl_mixer_stream *shared[PL_MIX_GROUPS]; /* NULL: nothing was to be sent yet */
	struct pl_mixer_own own[PL_MIXER_OWN_MAX];
	struct pl_limiter limiter;      /* of all shared streams */
	struct pl_limiter wide_limiter; /* but the stereo one */
	struct pl_decimate decimate;    /* of the G.711 ones */
	uint32_t tick;                  /* the last one */
	uint32_t narrow_tick;           /* the last one that was decimated */
	float loudness_db;              /* of the mix, falling slowly: what a frame must be far below to be quiet */
	uint8_t step;                   /* of the load */
	uint8_t next;                   /* the stream that pl_mixer_next comes to */
	uint8_t packet;                 /* of those that it has in this tick */
};

void pl_mixer_init(struct pl_mixer *m, const struct pl_mixer_config *config);

/* groups: bit mask of enum pl_mix_group that have listeners now.  fresh: those of them whose shared stream somebody has just
 * joined: it gets a frame that can be decoded without those before it.  groups 0: nobody listens; all blocks are given
 * back, and the mixer may be forgotten. */
void pl_mixer_groups(struct pl_mixer *m, uint8_t groups, uint8_t fresh);

/* An Opus packet of a talker; its bytes are copied.  Returns PL_DROP_NONE, or why it is not going to be heard: among others
 * PL_DROP_MIX_FULL (no voice is free) and PL_DROP_MIX_SURPLUS (as many others talk, and louder).  Nothing a peer can put into
 * the packet makes this assert. */
PL_MUST_USE enum pl_drop pl_mixer_hear(struct pl_mixer *m, int64_t now_us, const struct pl_packet *packet);

/* The track is off air: its voice fades within the next frame.  0: all of them. */
void pl_mixer_silence(struct pl_mixer *m, uint32_t track);

/* Mixes the next 20 ms; drained before (asserts).  tick: their number, rising by one where time is not to be missing;
 * timestamps are tick * 960 (G.711: * 160), and 480 more for the second packet of SHORT.  now_us: not before that of the packets heard. */
void pl_mixer_tick(struct pl_mixer *m, int64_t now_us, uint32_t tick, const struct pl_mixer_load *load);

/* Encodes the next packet of this tick into *out: payload (in its data), ts, ssrc, track, marker, level and mix; seq and source
 * are 0.  False when there is none left; until then no other mixer of the same pools is to be ticked. */
PL_MUST_USE bool pl_mixer_next(struct pl_mixer *m, struct pl_packet *out);

/* No voice, no stream, no block held: needs no tick until it hears a packet. */
bool pl_mixer_is_idle(const struct pl_mixer *m);

#endif
