#include "tests/support/mixing.h"

#include <stdlib.h>
#include <string.h>

#include "media/g711.h"
#include "tests/support/sound.h"

enum { SSRC = 0x1234, START_US = 1000000 };

static void *take(size_t size)
{
	void *memory = aligned_alloc(64, pl_whole_lines(size));
	if (memory == NULL)
		abort();
	return memory;
}

void pl_mixing_init(struct pl_mixing *w, uint32_t voices, uint32_t encoders, uint8_t talkers_max)
{
	*w = (struct pl_mixing){ .now_us = START_US, .load.step = 1 };
	w->template_memory = take(pl_opus_templates_bytes());
	PL_ASSERT(pl_opus_templates_init(&w->templates,
			  (struct pl_span){ w->template_memory, pl_opus_templates_bytes() }) == PL_ERR_NONE);
	const size_t bytes = pl_mixer_pools_bytes(voices, encoders);
	w->memory = take(bytes);
	memset(w->memory, 0xff, bytes); /* floats that are not numbers: what was not written shows */
	pl_mixer_pools_init(&w->pools, w->templates, pl_dsp_get(PL_SIMD_AUTO), (struct pl_span){ w->memory, bytes },
		voices, encoders);
	pl_mixer_init(
		&w->mixer, &(struct pl_mixer_config){ .pools = &w->pools, .ssrc = SSRC, .talkers_max = talkers_max });
	w->packet = take(PL_PACKET_SIZE);
}

void pl_mixing_fini(struct pl_mixing *w)
{
	for (unsigned i = 0; i < PL_MIXING_PEOPLE; i++) {
		free(w->person[i].encoder);
		free(w->person[i].decoder);
		free(w->person[i].frame);
		free(w->person[i].heard);
	}
	free(w->packet);
	free(w->memory);
	free(w->template_memory);
}

static void tell_groups(struct pl_mixing *w, uint8_t fresh)
{
	uint8_t groups = 0;
	for (unsigned i = 0; i < PL_MIXING_PEOPLE; i++) {
		if (w->person[i].is_listening)
			groups = (uint8_t)(groups | 1 << w->person[i].group);
	}
	pl_mixer_groups(&w->mixer, groups, fresh);
}

void pl_mixing_listen(struct pl_mixing *w, unsigned person, enum pl_mix_group group)
{
	struct pl_mixing_person *p = &w->person[person];
	p->is_listening = true;
	p->group = group;
	if (p->decoder == NULL) {
		p->decoder = take(pl_opus_decoder_bytes());
		p->frame = calloc(PL_MIXING_FRAMES_MAX, sizeof *p->frame);
		p->heard = calloc(PL_MIXING_FRAMES_MAX, PL_OPUS_FRAME * sizeof *p->heard);
		PL_ASSERT(p->frame != NULL && p->heard != NULL);
	}
	pl_opus_decoder_start(p->decoder, w->templates);
	tell_groups(w, (uint8_t)(1 << group));
}

void pl_mixing_talk(struct pl_mixing *w, unsigned person, double hz, double amplitude)
{
	struct pl_mixing_person *p = &w->person[person];
	p->is_talking = true;
	p->hz = hz;
	p->amplitude = amplitude;
	if (p->encoder == NULL) {
		p->encoder = take(pl_opus_encoder_bytes());
		pl_opus_encoder_start(p->encoder, w->templates, PL_OPUS_CELT);
		pl_opus_encoder_tune(p->encoder, &(struct pl_opus_tuning){ 96000, 3, 0 });
	}
}

void pl_mixing_mute(struct pl_mixing *w, unsigned person)
{
	w->person[person].is_talking = false;
	pl_mixer_silence(&w->mixer, person + 1);
}

static void speak(struct pl_mixing *w, unsigned person)
{
	struct pl_mixing_person *p = &w->person[person];
	float pcm[PL_OPUS_FRAME];
	p->seq++;
	if (!p->is_talking)
		return;
	(p->sound != NULL ? p->sound : pl_sound_sine)(pcm, PL_OPUS_FRAME, w->at, p->hz, p->amplitude);
	struct pl_packet *packet = w->packet;
	memset(packet, 0, sizeof *packet);
	packet->source = PL_MIXING_SOURCE + person;
	packet->track = person + 1;
	packet->ssrc = person + 1;
	packet->seq = p->seq;
	packet->ts = p->seq * (uint32_t)PL_OPUS_FRAME;
	packet->is_voice = true;
	packet->has_level = p->level <= 127;
	packet->level = !packet->has_level ? 0 : p->level != 0 ? p->level : 20;
	packet->mix_group = (uint8_t)(p->is_listening ? p->group + 1 : 0);
	packet->payload = (struct pl_bytes){ packet->data,
		pl_opus_encode(p->encoder, pcm, false, (struct pl_span){ packet->data, sizeof packet->data }) };
	PL_ASSERT(packet->payload.size > 0);
	w->drops += pl_mixer_hear(&w->mixer, w->now_us, packet) != PL_DROP_NONE;
}

static void begin_frame(const struct pl_packet *packet, struct pl_mixing_frame *frame)
{
	*frame = (struct pl_mixing_frame){ .has_packet = true,
		.is_own = packet->mix.only != 0,
		.is_start = packet->mix.is_start,
		.marker = packet->marker,
		.level = packet->level,
		.csrc_count = packet->mix.csrc_count,
		.ts = packet->ts };
}

static void listen(struct pl_mixing *w, struct pl_mixing_person *p)
{
	const struct pl_packet *packet = w->packet;
	struct pl_mixing_frame *frame = &p->frame[w->ticks];
	const int samples = PL_OPUS_FRAME / pl_mix_packets(p->group);
	float *heard = p->heard + (size_t)w->ticks * PL_OPUS_FRAME + frame->packets * samples;
	PL_ASSERT(frame->packets < pl_mix_packets(p->group));
	if (frame->packets == 0)
		begin_frame(packet, frame);
	else
		PL_ASSERT(packet->ts == frame->ts + (uint32_t)(frame->packets * samples) && !packet->marker &&
			  !packet->mix.is_start && frame->is_own == (packet->mix.only != 0));
	PL_ASSERT(frame->size + packet->payload.size <= sizeof frame->payload);
	memcpy(frame->payload + frame->size, packet->payload.data, packet->payload.size);
	frame->size = (uint16_t)(frame->size + packet->payload.size);
	frame->packets++;
	if (p->group == PL_MIX_PCMU || p->group == PL_MIX_PCMA)
		pl_g711_decode(p->group == PL_MIX_PCMU ? PL_G711_PCMU : PL_G711_PCMA, packet->payload.data,
			packet->payload.size, heard);
	else
		PL_ASSERT(pl_opus_decode(p->decoder, packet->payload, heard, (size_t)samples) == samples);
}

static void step(struct pl_mixing *w)
{
	PL_ASSERT(w->ticks < PL_MIXING_FRAMES_MAX);
	for (unsigned i = 0; i < PL_MIXING_PEOPLE; i++)
		speak(w, i);
	w->at += PL_OPUS_FRAME;
	w->now_us += 1000; /* packets come a little before the tick */
	pl_mixer_tick(&w->mixer, w->now_us, 1000 + w->ticks, &w->load);
	w->packets = 0;
	while (pl_mixer_next(&w->mixer, w->packet)) {
		w->packets++;
		PL_ASSERT(w->packet->ssrc == SSRC && w->packet->payload.size > 0);
		if (w->packet->mix.only == 0)
			w->last_except_count = w->packet->mix.except_count;
		for (unsigned i = 0; i < PL_MIXING_PEOPLE; i++) {
			if (w->person[i].is_listening && w->packet->track == PL_MIX_TRACK(w->person[i].group) &&
				pl_mix_is_for(&w->packet->mix, PL_MIXING_SOURCE + i))
				listen(w, &w->person[i]);
		}
	}
	for (unsigned i = 0; i < PL_MIXING_PEOPLE; i++) {
		const struct pl_mixing_person *p = &w->person[i];
		PL_ASSERT(p->frame == NULL || p->frame[w->ticks].packets == 0 ||
			  p->frame[w->ticks].packets == pl_mix_packets(p->group));
	}
	w->now_us += PL_MIXER_TICK_US - 1000;
	w->ticks++;
}

void pl_mixing_run(struct pl_mixing *w, unsigned count)
{
	while (count-- > 0)
		step(w);
}

const float *pl_mixing_heard(const struct pl_mixing *w, unsigned person, uint32_t tick)
{
	return w->person[person].heard + (size_t)tick * PL_OPUS_FRAME;
}
