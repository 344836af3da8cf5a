/* A mixed room in virtual time: talkers whose packets are encoded here, listeners who take from the mixer's packets what a
 * conference would forward to them, and decode and keep it. */
#ifndef PL_TESTS_SUPPORT_MIXING_H
#define PL_TESTS_SUPPORT_MIXING_H

#include "media/mixer.h"

enum {
	PL_MIXING_PEOPLE = 20, /* more than have streams of their own in one room */
	PL_MIXING_SOURCE = 100, /* of person 0; the others follow */
	PL_MIXING_FRAMES_MAX = 4096,
};

/* Writes count samples from number at on; hz and amplitude are the talker's. */
typedef void pl_mixing_sound(float *pcm, size_t count, uint64_t at, double hz, double amplitude);

/* What a listener has had from one tick; of SHORT the first packet, with the payload of the second behind its own. */
struct pl_mixing_frame {
	bool has_packet, is_own, is_start, marker;
	uint8_t packets, level, csrc_count;
	uint16_t size;
	uint32_t ts;
	uint8_t payload[PL_OPUS_PACKET_MAX];
};

struct pl_mixing_person {
	/* The talker: */
	bool is_talking;
	double hz, amplitude;
	uint8_t level;          /* that its packets tell, -dBov; 0: 20; above 127: none */
	pl_mixing_sound *sound; /* NULL: pl_sound_sine */
	struct pl_opus_encoder *encoder;
	uint16_t seq;
	/* The listener: */
	bool is_listening;
	enum pl_mix_group group;
	struct pl_opus_decoder *decoder;
	struct pl_mixing_frame *frame; /* by tick */
	float *heard;                  /* 960 samples (G.711: 160) for each tick; zero without a packet */
};

struct pl_mixing {
	struct pl_opus_templates *templates;
	struct pl_mixer_pools pools;
	struct pl_mixer mixer;
	struct pl_mixer_load load;
	struct pl_mixing_person person[PL_MIXING_PEOPLE];
	struct pl_packet *packet;
	void *memory, *template_memory;
	uint32_t ticks; /* that have passed */
	int64_t now_us;
	uint64_t at;      /* samples that talkers have spoken */
	uint32_t packets; /* of the last tick */
	uint8_t last_except_count;
	uint32_t drops; /* packets that the mixer did not take */
};

void pl_mixing_init(struct pl_mixing *w, uint32_t voices, uint32_t encoders, uint8_t talkers_max);
void pl_mixing_fini(struct pl_mixing *w);

/* A person who hears the mix from now on. */
void pl_mixing_listen(struct pl_mixing *w, unsigned person, enum pl_mix_group group);
void pl_mixing_talk(struct pl_mixing *w, unsigned person, double hz, double amplitude);
/* Muted: the conference says so. */
void pl_mixing_mute(struct pl_mixing *w, unsigned person);

/* Talkers send a frame, the mixer makes one, listeners take it; count times.  Each listener gets what its group has for each tick, or
 * nothing (asserts). */
void pl_mixing_run(struct pl_mixing *w, unsigned count);

/* What a person has heard from a tick on. */
const float *pl_mixing_heard(const struct pl_mixing *w, unsigned person, uint32_t tick);

#endif
