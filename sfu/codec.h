/* A codec worker's rooms: their mixers, the transcoders of publishers who have no Opus, and when each is due.  Messages of
 * shards go in, and messages to the rooms' home shards come out (sfu/cross.h).
 *
 * Time goes in steps of PL_CODEC_STEP_US.  Each room belongs to one of four phases and is mixed in every fourth step, so its frames
 * have 20 ms: what a thousand rooms send is spread evenly instead of leaving, and meeting the network, all at once, and a
 * room does not wait for all others.  Only rooms that somebody talks in are in a step at all.
 * A step that comes late is counted, and made up for: the same phase again after half its time at the earliest, so a listener
 * gets at most two frames where one belongs.  What is more than PL_CODEC_BEHIND_TICKS behind is left out; timestamps jump over it.
 * Pure: no allocation, no clock, no I/O.  Thread: the worker that owns it. */
#ifndef PL_SFU_CODEC_H
#define PL_SFU_CODEC_H

#include "media/mixer.h"
#include "sfu/cross.h"
#include "sfu/histogram.h"
#include "sfu/holding.h"

enum {
	PL_CODEC_PHASES = 4,
	PL_CODEC_STEP_US = PL_MIXER_TICK_US / PL_CODEC_PHASES,
	PL_CODEC_CATCH_UP_US = PL_MIXER_TICK_US / 2, /* between two frames of a room, at least */
	PL_CODEC_BEHIND_TICKS = 5,                   /* that are made up for */
	PL_CODEC_TRANSCODER_IDLE_US = 10000000,      /* after its last packet a transcoder is given back */
};

struct pl_codec;

struct pl_codec_config {
	const struct pl_opus_templates *templates; /* outlives the codec */
	const struct pl_dsp *dsp;                  /* the same */
	uint32_t rooms_max;       /* with listeners of a mix; one more waits, unmixed, for a place (rooms_full) */
	uint32_t voices_max;      /* talkers that are decoded; one more is not heard in the mix (PL_DROP_MIX_FULL) */
	uint32_t encoders_max;    /* streams; one more is silent (mixer.encoders_full) */
	uint32_t transcoders_max; /* G.711 publishers; one more is not heard at all (PL_DROP_MIX_FULL) */
	uint32_t
		packets; /* buffers for what is sent, PL_POOL_PACKETS_MIN to _MAX; a frame without one is lost (PL_DROP_POOL_LOW) */
	uint8_t talkers_max; /* in one mix, 1 to PL_MIXER_TALKERS_MAX; 0: PL_MIX_TALKERS */
	uint64_t seed;       /* for SSRCs and the hash tables */
};

struct pl_codec_counters {
	uint64_t heard;      /* packets of talkers taken */
	uint64_t sent;       /* packets */
	uint64_t steps;      /* in which a room was due */
	uint64_t late;       /* of these, by more than PL_CODEC_STEP_US */
	uint64_t left_out;   /* ticks of a phase that were too far behind */
	uint64_t rooms_full; /* rooms that found no place when they were opened */
	uint64_t drop[PL_DROP_COUNT];
	struct pl_mixer_counters mixer;
	uint32_t rooms, rooms_active, voices, encoders, transcoders, packets_used; /* now */
	uint32_t voices_most, encoders_most;                                       /* ever */
	int64_t late_us_max; /* since the counters were last asked for */
};

/* The bytes that such a codec needs.  Most of it is never touched: rooms, voices and encoders take memory as they come. */
size_t pl_codec_bytes(const struct pl_codec_config *config);

/* memory: so many, aligned to 64 and zeroed (asserts the alignment), the codec's as long as it is used.  *config is copied. */
void pl_codec_init(struct pl_codec **codec, const struct pl_codec_config *config, struct pl_span memory);

/* One message of a shard, of the kinds that go to workers (asserts); the packet is read, not kept.  Drained before (asserts).
 * now_us: never decreasing. */
void pl_codec_take(struct pl_codec *c, int64_t now_us, uint8_t from, const struct pl_cross *message);

/* Begins the step that is due, if one is, and what transcoders wait for.  Drained before (asserts); the work is done by
 * pl_codec_next. */
void pl_codec_tick(struct pl_codec *c, int64_t now_us);

/* Does the work, room by room, and hands a message out as soon as there is one.  The reference of its packet is the caller's, who
 * gives it back with pl_codec_release when the receiver is done with it.  False: drained. */
PL_MUST_USE bool pl_codec_next(struct pl_codec *c, int64_t now_us, uint8_t *to_shard, struct pl_cross *message);

void pl_codec_release(struct pl_codec *c, struct pl_packet *packet);

/* When to tick: INT64_MAX when nobody talks. */
int64_t pl_codec_deadline(const struct pl_codec *c);

/* From the next step on: how hard encoders work, and with which instructions samples are added. */
void pl_codec_set_load(struct pl_codec *c, struct pl_mixer_load load);
void pl_codec_set_dsp(struct pl_codec *c, const struct pl_dsp *dsp);

/* The caller counts what only it can see: a ring that was full (PL_DROP_CROSS_FULL). */
void pl_codec_count_drop(struct pl_codec *c, enum pl_drop drop);

/* With the gauges of now; the next late_us_max begins here. */
struct pl_codec_counters pl_codec_counters(struct pl_codec *c);

/* How late the steps were in which a room was due. */
const struct pl_histogram *pl_codec_lateness(const struct pl_codec *c);

/* Adds what it holds. */
void pl_codec_add_holding(const struct pl_codec *c, struct pl_holding *sum);

/* The most packet buffers that were in use at a time, of all, since this was asked last. */
unsigned pl_codec_pool_permille(struct pl_codec *c);

#endif
