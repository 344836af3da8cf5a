/* One talker, a network and the tick of a mixer in virtual time, around a voice: what is heard can be measured, and a seed
 * replays it. */
#ifndef PL_TESTS_SIM_VOICE_SIM_H
#define PL_TESTS_SIM_VOICE_SIM_H

#include "media/rng.h"
#include "media/voice.h"

enum {
	PL_VOICE_SIM_MS = 48, /* samples */
	PL_VOICE_SIM_FLYING_MAX = 2048,
	PL_VOICE_SIM_LOOP_MAX = 400,
	PL_VOICE_SIM_HZ = 500, /* of the tone */
};

#define PL_VOICE_SIM_AMPLITUDE 0.4 /* of the tone */

enum pl_voice_sim_sound {
	PL_VOICE_SIM_TONE,
	PL_VOICE_SIM_MARKED, /* the tone, twice as loud for a tenth of each second, from its middle on */
	PL_VOICE_SIM_SPEECH,
	PL_VOICE_SIM_NOISE, /* like itself nowhere */
};

enum pl_voice_sim_codec { PL_VOICE_SIM_CELT, PL_VOICE_SIM_VOIP };

struct pl_voice_sim_config {
	enum pl_voice_sim_sound sound;
	enum pl_voice_sim_codec codec;
	int frame;            /* samples; 0: of all lengths */
	int fec_loss_percent; /* 0: no FEC */
};

/* What a talker sends over and over again: a sound that fits its length of a second, encoded once. */
struct pl_voice_sim_loop {
	uint16_t samples[PL_VOICE_SIM_LOOP_MAX]; /* of each packet */
	uint16_t size[PL_VOICE_SIM_LOOP_MAX];
	uint8_t bytes[PL_VOICE_SIM_LOOP_MAX][PL_OPUS_PACKET_MAX];
	size_t count;
};

struct pl_voice_sim_packet {
	int64_t arrives_us;
	uint32_t ts, ssrc;
	uint16_t seq;
	size_t place; /* in the loop */
};

/* A talker, a network and the mixer's tick, in virtual time. */
struct pl_voice_sim {
	struct pl_voice *voice;
	struct pl_voice_sim_loop loop;
	struct pl_rng rng;
	int64_t now_us, tick_us; /* tick_us: of the next tick */
	uint32_t tick;           /* its number; a test that leaves out ticks moves both */

	/* the talker; its clock is drift_ppm faster than ours */
	double drift_ppm, media_us; /* media_us: when its next packet is complete */
	bool is_talking;
	uint32_t ssrc, ts;
	uint16_t seq;
	size_t place;

	/* the network */
	uint32_t loss_percent, jitter_us, duplicate_percent;
	int64_t blocked_until_us;
	struct pl_voice_sim_packet flying[PL_VOICE_SIM_FLYING_MAX];
	size_t flying_count;
	uint64_t sent, lost;

	/* what is heard */
	float *heard;
	size_t heard_count, heard_max;
	uint64_t pulls, silent_pulls;
	uint64_t dropped[PL_DROP_COUNT];
};

/* Lives until it is destroyed; it can hear for so many seconds. */
struct pl_voice_sim *pl_voice_sim_create(const struct pl_voice_sim_config *config, uint64_t seed, uint32_t seconds);
void pl_voice_sim_destroy(struct pl_voice_sim *w);

/* The next tick, with all that comes before it.  False: nothing was heard. */
bool pl_voice_sim_tick(struct pl_voice_sim *w);
void pl_voice_sim_run(struct pl_voice_sim *w, int64_t ms);

/* The parts of a tick before the pull. */
void pl_voice_sim_talk_until(struct pl_voice_sim *w, int64_t until_us);
void pl_voice_sim_deliver_until(struct pl_voice_sim *w, int64_t until_us);

struct pl_voice_gauges pl_voice_sim_gauges(const struct pl_voice_sim *w);

/* The share of its packets that carry FEC. */
double pl_voice_sim_fec_share(const struct pl_voice_sim_loop *loop);

/* Of PL_VOICE_SIM_MARKED, from when a mark was said to when it is heard, less packet_ms: of all marks heard since sample
 * `from` the shortest and the longest time. */
struct pl_voice_sim_marks {
	double least_ms, most_ms;
	unsigned marks;
};
struct pl_voice_sim_marks pl_voice_sim_marks(const struct pl_voice_sim *w, size_t from, double packet_ms);

/* What any voice can be started with. */
const struct pl_opus_templates *pl_voice_sim_templates(void);

#endif
