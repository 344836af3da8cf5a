#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <opus/opus.h>

#include "media/g711.h"
#include "tests/sim/conference_sim_state.h"
#include "tests/support/sound.h"

enum {
	PLAYED_FRAME_SAMPLES = PL_SIM_RATE_HZ / 1000 * PL_SIM_FRAME_MS,
	G711_FRAME_SAMPLES = 8 * PL_SIM_FRAME_MS,
	FRAMES_MAX = 3,           /* in a packet */
	CONCEALED_FRAMES_MAX = 5, /* a decoder that conceals for longer has faded out */
};

static const double pi = 3.14159265358979323846;

/* ---- what a peer says ---- */

struct OpusEncoder *pl_sim_encoder_create(void)
{
	int error;
	struct OpusEncoder *encoder = opus_encoder_create(PL_SIM_CLOCK_HZ, 1, OPUS_APPLICATION_VOIP, &error);
	if (encoder == NULL)
		abort();
	opus_encoder_ctl(encoder, OPUS_SET_BITRATE(32000));
	opus_encoder_ctl(encoder, OPUS_SET_COMPLEXITY(0));
	return encoder;
}

void pl_sim_encoder_destroy(struct OpusEncoder *encoder)
{
	opus_encoder_destroy(encoder);
}

/* RFC 6464 section 3: the level of one packet in -dBov. */
static uint8_t level_of(const int16_t *pcm, size_t count)
{
	double sum = 0;
	for (size_t i = 0; i < count; i++)
		sum += (double)pcm[i] * pcm[i];
	const double rms = sqrt(sum / (double)count) / 32768;
	const double level = rms > 0 ? -20 * log10(rms) : 127;
	return level < 127 ? (uint8_t)lround(level) : 127;
}

/* A sine far below 4 kHz needs no filter before every sixth sample is taken. */
static size_t encode_g711(enum pl_coding coding, const int16_t pcm[static PL_SIM_FRAME_SAMPLES],
	uint8_t payload[static G711_FRAME_SAMPLES])
{
	float narrow[G711_FRAME_SAMPLES];
	for (size_t i = 0; i < G711_FRAME_SAMPLES; i++)
		narrow[i] = (float)pcm[i * PL_SIM_FRAME_SAMPLES / G711_FRAME_SAMPLES] / 32768;
	pl_g711_encode(coding == PL_CODING_PCMU ? PL_G711_PCMU : PL_G711_PCMA, narrow, G711_FRAME_SAMPLES, payload);
	return G711_FRAME_SAMPLES;
}

size_t pl_sim_encode(struct pl_sim_peer *p, uint8_t payload[static PL_SIM_PAYLOAD_SIZE_MAX], uint8_t *level)
{
	int16_t pcm[FRAMES_MAX * PL_SIM_FRAME_SAMPLES];
	const int count = p->frames * PL_SIM_FRAME_SAMPLES;
	PL_ASSERT(p->frames <= FRAMES_MAX && (p->frames == 1 || p->coding == PL_CODING_OPUS));
	const double amplitude = p->is_talking ? p->amplitude * 32767 : 0;
	for (int i = 0; i < count; i++, p->samples++) {
		const double phase = 2 * pi * p->hz * (double)(p->samples % PL_SIM_CLOCK_HZ) / (double)PL_SIM_CLOCK_HZ;
		pcm[i] = (int16_t)lround(amplitude * sin(phase));
	}
	*level = level_of(pcm, (size_t)count);
	if (p->coding != PL_CODING_OPUS)
		return encode_g711(p->coding, pcm, payload);
	const int size = opus_encode(p->encoder, pcm, count, payload, PL_SIM_PAYLOAD_SIZE_MAX);
	PL_ASSERT(size > 0);
	return (size_t)size;
}

/* ---- what was played ---- */

static int by_seq(const void *a, const void *b)
{
	const struct pl_sim_packet *x = *(const struct pl_sim_packet *const *)a;
	const struct pl_sim_packet *y = *(const struct pl_sim_packet *const *)b;
	const int16_t ahead = (int16_t)(x->seq - y->seq);
	return (ahead > 0) - (ahead < 0);
}

/* Numbers wrap, but a test's packets span less than half of them. */
static const struct pl_sim_packet **in_order(const struct pl_sim_slot *slot)
{
	PL_ASSERT(slot->count < 0x8000);
	const struct pl_sim_packet **order = pl_sim_allocate((slot->count + 1) * sizeof *order);
	for (size_t i = 0; i < slot->count; i++)
		order[i] = &slot->packet[i];
	qsort(order, slot->count, sizeof *order, by_seq);
	return order;
}

static void place(int16_t *pcm, int64_t count, int64_t at, const int16_t *frame, int size)
{
	for (int64_t i = 0; i < size; i++) {
		if (at + i >= 0 && at + i < count)
			pcm[at + i] = frame[i];
	}
}

/* At twice the rate, each sample is played twice. */
static void decode_g711(enum pl_coding coding, const struct pl_sim_packet *packet, int16_t *frame)
{
	float narrow[G711_FRAME_SAMPLES];
	PL_ASSERT(packet->size == G711_FRAME_SAMPLES && PLAYED_FRAME_SAMPLES == 2 * G711_FRAME_SAMPLES);
	pl_g711_decode(
		coding == PL_CODING_PCMU ? PL_G711_PCMU : PL_G711_PCMA, packet->payload, G711_FRAME_SAMPLES, narrow);
	for (size_t i = 0; i < PLAYED_FRAME_SAMPLES; i++)
		frame[i] = (int16_t)lrintf(narrow[i / 2] * 32767);
}

/* What a slot plays instead of a lost packet of so many samples.  Returns samples; 0: nothing. */
static int conceal(const struct pl_slot_spec *spec, OpusDecoder *decoder, int samples, int16_t *frame)
{
	if (spec->coding != PL_CODING_OPUS)
		return 0;
	const int size = opus_decode(decoder, NULL, 0, frame, samples, 0);
	return size > 0 ? size : 0;
}

/* What a slot plays of a packet. */
static int play(
	const struct pl_slot_spec *spec, OpusDecoder *decoder, const struct pl_sim_packet *packet, int16_t *frame)
{
	if (spec->coding == PL_CODING_OPUS) {
		const int size = opus_decode(
			decoder, packet->payload, packet->size, frame, FRAMES_MAX * PLAYED_FRAME_SAMPLES, 0);
		return size > 0 ? size : 0;
	}
	decode_g711(spec->coding, packet, frame);
	return PLAYED_FRAME_SAMPLES;
}

int16_t *pl_sim_listen(const struct pl_sim_peer *p, uint8_t number, int64_t from_ms, int64_t to_ms)
{
	const struct pl_sim_slot *slot = &p->slot[number];
	const struct pl_slot_spec *spec = &p->description.slot[number];
	const struct pl_sim_packet **order = in_order(slot);
	const int64_t count = (to_ms - from_ms) * (PL_SIM_RATE_HZ / 1000);
	int16_t *pcm = pl_sim_allocate((size_t)count * sizeof *pcm), frame[FRAMES_MAX * PLAYED_FRAME_SAMPLES];
	int error, size = PLAYED_FRAME_SAMPLES;
	OpusDecoder *decoder = opus_decoder_create(PL_SIM_RATE_HZ, 1, &error);
	if (decoder == NULL)
		abort();

	for (size_t i = 0; i < slot->count; i++) {
		const struct pl_sim_packet *packet = order[i];
		const int64_t played = (int64_t)(int32_t)(packet->ts - order[0]->ts) * PL_SIM_RATE_HZ / spec->clock_hz;
		const int64_t at = (order[0]->at_us / 1000 - from_ms) * (PL_SIM_RATE_HZ / 1000) + played;
		int lost = i > 0 ? (uint16_t)(packet->seq - order[i - 1]->seq - 1) : 0;
		if (lost > CONCEALED_FRAMES_MAX)
			lost = CONCEALED_FRAMES_MAX;
		/* They were as long as the one before. */
		for (; size > 0 && lost > 0; lost--)
			place(pcm, count, at - lost * size, frame, conceal(spec, decoder, size, frame));
		size = play(spec, decoder, packet, frame);
		place(pcm, count, at, frame, size);
	}
	opus_decoder_destroy(decoder);
	free(order);
	return pcm;
}

/* The amplitude of one frequency, of full scale: one bin of a discrete Fourier transform. */
static double amplitude_at(const int16_t *pcm, size_t count, uint32_t hz)
{
	double re = 0, im = 0;
	for (size_t i = 0; i < count; i++) {
		const double phase = 2 * pi * hz * (double)i / (double)PL_SIM_RATE_HZ;
		re += pcm[i] * cos(phase);
		im += pcm[i] * sin(phase);
	}
	return 2 * sqrt(re * re + im * im) / (double)count / 32768;
}

double pl_sim_click(const struct pl_sim_peer *p, uint8_t slot, int64_t from_ms, int64_t to_ms)
{
	const size_t count = (size_t)(to_ms - from_ms) * (PL_SIM_RATE_HZ / 1000);
	int16_t *pcm = pl_sim_listen(p, slot, from_ms, to_ms);
	float *sound = malloc(count * sizeof *sound);
	PL_ASSERT(sound != NULL);
	for (size_t i = 0; i < count; i++)
		sound[i] = (float)pcm[i] / 32768;
	const double click = pl_sound_click(sound + 2, count - 2, sound);
	free(sound);
	free(pcm);
	return click;
}

double pl_sim_share(
	const struct pl_sim_peer *listener, const struct pl_sim_peer *talker, int64_t from_ms, int64_t to_ms)
{
	enum { WINDOW_MS = 100, WINDOW = PL_SIM_RATE_HZ / 1000 * WINDOW_MS };
	const int64_t windows = (to_ms - from_ms) / WINDOW_MS;
	bool *is_heard = pl_sim_allocate((size_t)windows * sizeof *is_heard);
	for (uint8_t slot = 0; slot < listener->description.slot_count; slot++) {
		int16_t *pcm = pl_sim_listen(listener, slot, from_ms, to_ms);
		for (int64_t w = 0; w < windows; w++)
			is_heard[w] = is_heard[w] ||
				      amplitude_at(&pcm[w * WINDOW], WINDOW, talker->hz) > talker->amplitude / 4;
		free(pcm);
	}
	int64_t heard = 0;
	for (int64_t w = 0; w < windows; w++)
		heard += is_heard[w];
	free(is_heard);
	return (double)heard / (double)windows;
}

const char *pl_sim_flaw(const struct pl_sim_peer *p, uint8_t number, uint32_t lost_max)
{
	const struct pl_sim_slot *slot = &p->slot[number];
	const struct pl_sim_packet **order = in_order(slot);
	const char *flaw = NULL;
	uint32_t lost = 0;
	for (size_t i = 0; i < slot->count && flaw == NULL; i++) {
		if (order[i]->csrc_count != 1 && !p->hears_mixes)
			flaw = "a packet without the CSRC of a talker";
		for (uint8_t k = 0; k < order[i]->csrc_count; k++) {
			if (pl_sim_peer_by_source(p->sim, order[i]->csrcs[k]) == NULL)
				flaw = "a packet with the CSRC of nobody";
			else if (order[i]->csrcs[k] == p->source)
				flaw = "a packet of the listener's own";
		}
		if (order[i]->payload_type != p->description.slot[number].payload_type)
			flaw = "a packet of another payload type";
		if (i == 0)
			continue;
		if (order[i]->seq == order[i - 1]->seq)
			flaw = "a sequence number twice";
		else if ((int32_t)(order[i]->ts - order[i - 1]->ts) <= 0)
			flaw = "a timestamp that does not rise";
		lost += (uint16_t)(order[i]->seq - order[i - 1]->seq - 1);
	}
	free(order);
	return flaw == NULL && lost > lost_max ? "numbers are missing" : flaw;
}
