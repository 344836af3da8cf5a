#include "media/opus.h"

#include <string.h>

#include <opus/opus.h>

enum { ALIGNMENT = 64, CHANNELS_MAX = 2, FRAMES_MAX = 48 /* in a packet (RFC 6716 section 3.2.5) */ };

static const struct {
	int clock_hz, samples, channels, application, signal, is_fec, is_vbr;
	struct pl_opus_tuning tuning;
} profiles[PL_OPUS_PROFILES] = {
	[PL_OPUS_CELT] = { 48000, 960, 1, OPUS_APPLICATION_RESTRICTED_LOWDELAY, OPUS_AUTO, 0, 1, { 40000, 5, 0 } },
	[PL_OPUS_CELT_STEREO] = { 48000, 960, 2, OPUS_APPLICATION_RESTRICTED_LOWDELAY, OPUS_AUTO, 0, 1,
		{ 64000, 5, 0 } },
	[PL_OPUS_VOIP] = { 48000, 960, 1, OPUS_APPLICATION_VOIP, OPUS_SIGNAL_VOICE, 1, 1, { 24000, 5, 10 } },
	[PL_OPUS_VOIP_LOW] = { 48000, 960, 1, OPUS_APPLICATION_VOIP, OPUS_SIGNAL_VOICE, 0, 0, { 12000, 5, 0 } },
	[PL_OPUS_CELT_8K] = { 8000, 160, 1, OPUS_APPLICATION_RESTRICTED_LOWDELAY, OPUS_AUTO, 0, 1, { 24000, 5, 0 } },
	[PL_OPUS_CELT_10MS] = { 48000, 480, 1, OPUS_APPLICATION_RESTRICTED_LOWDELAY, OPUS_AUTO, 0, 1, { 40000, 5, 0 } },
};

/* libopus's state follows in the same memory; it may be copied as bytes (opus.h, opus_encoder_get_size). */
struct pl_opus_encoder {
	_Alignas(ALIGNMENT) enum pl_opus_profile profile;
	struct pl_opus_tuning tuning;
};

struct pl_opus_decoder {
	_Alignas(ALIGNMENT) uint8_t nothing; /* libopus's state begins behind it, aligned */
};

struct pl_opus_templates {
	_Alignas(ALIGNMENT) struct pl_opus_encoder *encoder[PL_OPUS_PROFILES];
	struct pl_opus_decoder *decoder;
};

static size_t aligned(size_t size)
{
	return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static size_t encoder_size(enum pl_opus_profile profile)
{
	return sizeof(struct pl_opus_encoder) + (size_t)opus_encoder_get_size(profiles[profile].channels);
}

static size_t decoder_size(void)
{
	return sizeof(struct pl_opus_decoder) + (size_t)opus_decoder_get_size(1);
}

static OpusEncoder *state_of_encoder(struct pl_opus_encoder *e)
{
	return (OpusEncoder *)(e + 1);
}

static OpusDecoder *state_of_decoder(struct pl_opus_decoder *d)
{
	return (OpusDecoder *)(d + 1);
}

size_t pl_opus_encoder_bytes(void)
{
	size_t bytes = 0;
	for (enum pl_opus_profile i = 0; i < PL_OPUS_PROFILES; i++)
		if (aligned(encoder_size(i)) > bytes)
			bytes = aligned(encoder_size(i));
	return bytes;
}

size_t pl_opus_decoder_bytes(void)
{
	return aligned(decoder_size());
}

size_t pl_opus_templates_bytes(void)
{
	size_t bytes = aligned(sizeof(struct pl_opus_templates)) + pl_opus_decoder_bytes();
	for (enum pl_opus_profile i = 0; i < PL_OPUS_PROFILES; i++)
		bytes += aligned(encoder_size(i));
	return bytes;
}

static bool make_encoder(struct pl_opus_encoder *e, enum pl_opus_profile profile)
{
	OpusEncoder *state = state_of_encoder(e);
	e->profile = profile;
	if (opus_encoder_init(state, profiles[profile].clock_hz, profiles[profile].channels,
		    profiles[profile].application) != OPUS_OK ||
		opus_encoder_ctl(state, OPUS_SET_SIGNAL(profiles[profile].signal)) != OPUS_OK ||
		opus_encoder_ctl(state, OPUS_SET_INBAND_FEC(profiles[profile].is_fec)) != OPUS_OK ||
		opus_encoder_ctl(state, OPUS_SET_VBR(profiles[profile].is_vbr)) != OPUS_OK)
		return false;
	pl_opus_encoder_tune(e, &profiles[profile].tuning);
	return true;
}

enum pl_err pl_opus_templates_init(struct pl_opus_templates **t, struct pl_span memory)
{
	PL_ASSERT((uintptr_t)memory.data % ALIGNMENT == 0);
	if (memory.size < pl_opus_templates_bytes())
		return PL_ERR_NO_MEMORY;
	memset(memory.data, 0, pl_opus_templates_bytes());
	struct pl_opus_templates *made = (void *)memory.data;
	uint8_t *at = memory.data + aligned(sizeof *made);
	for (enum pl_opus_profile i = 0; i < PL_OPUS_PROFILES; i++) {
		made->encoder[i] = (void *)at;
		at += aligned(encoder_size(i));
		if (!make_encoder(made->encoder[i], i))
			return PL_ERR_NO_MEMORY;
	}
	made->decoder = (void *)at;
	if (opus_decoder_init(state_of_decoder(made->decoder), PL_OPUS_CLOCK_HZ, 1) != OPUS_OK)
		return PL_ERR_NO_MEMORY;
	*t = made;
	return PL_ERR_NONE;
}

void pl_opus_encoder_start(struct pl_opus_encoder *e, const struct pl_opus_templates *t, enum pl_opus_profile profile)
{
	PL_ASSERT((size_t)profile < PL_OPUS_PROFILES);
	pl_opus_encoder_copy(e, t->encoder[profile]);
}

void pl_opus_encoder_copy(struct pl_opus_encoder *to, const struct pl_opus_encoder *from)
{
	memcpy(to, from, encoder_size(from->profile));
}

void pl_opus_encoder_tune(struct pl_opus_encoder *e, const struct pl_opus_tuning *tuning)
{
	OpusEncoder *state = state_of_encoder(e);
	const bool is_taken = opus_encoder_ctl(state, OPUS_SET_BITRATE((opus_int32)tuning->bitrate_bps)) == OPUS_OK &&
			      opus_encoder_ctl(state, OPUS_SET_COMPLEXITY(tuning->complexity)) == OPUS_OK &&
			      opus_encoder_ctl(state, OPUS_SET_PACKET_LOSS_PERC(tuning->loss_percent)) == OPUS_OK;
	PL_ASSERT(is_taken);
	e->tuning = *tuning;
}

struct pl_opus_tuning pl_opus_encoder_tuning(const struct pl_opus_encoder *e)
{
	return e->tuning;
}

size_t pl_opus_encode(struct pl_opus_encoder *e, const float *pcm, bool is_independent, struct pl_span out)
{
	OpusEncoder *state = state_of_encoder(e);
	const int samples = profiles[e->profile].samples;
	if (is_independent)
		opus_encoder_ctl(state, OPUS_SET_PREDICTION_DISABLED(1));
	const opus_int32 size = opus_encode_float(state, pcm, samples, out.data,
		out.size < PL_OPUS_PACKET_MAX ? (opus_int32)out.size : PL_OPUS_PACKET_MAX);
	if (is_independent)
		opus_encoder_ctl(state, OPUS_SET_PREDICTION_DISABLED(0));
	return size > 0 ? (size_t)size : 0;
}

void pl_opus_decoder_start(struct pl_opus_decoder *d, const struct pl_opus_templates *t)
{
	memcpy(d, t->decoder, decoder_size());
}

/* Sizes and pointers of what libopus takes as int; a datagram is far below. */
static bool is_readable(struct pl_bytes packet)
{
	return packet.size > 0 && packet.size <= PL_DATAGRAM_SIZE_MAX;
}

static bool is_whole_units(size_t samples)
{
	return samples > 0 && samples <= PL_OPUS_SAMPLES_MAX && samples % PL_OPUS_UNIT == 0;
}

int pl_opus_decode(struct pl_opus_decoder *d, struct pl_bytes packet, float *pcm, size_t samples_max)
{
	/* libopus takes a packet of no bytes for a loss. */
	if (!is_readable(packet))
		return OPUS_INVALID_PACKET;
	const int room = samples_max < PL_OPUS_SAMPLES_MAX ? (int)samples_max : PL_OPUS_SAMPLES_MAX;
	return opus_decode_float(state_of_decoder(d), packet.data, (opus_int32)packet.size, pcm, room, 0);
}

int pl_opus_recover(struct pl_opus_decoder *d, struct pl_bytes next, float *pcm, size_t samples)
{
	PL_ASSERT(is_whole_units(samples));
	if (!is_readable(next))
		return OPUS_INVALID_PACKET;
	return opus_decode_float(state_of_decoder(d), next.data, (opus_int32)next.size, pcm, (int)samples, 1);
}

int pl_opus_conceal(struct pl_opus_decoder *d, float *pcm, size_t samples)
{
	PL_ASSERT(is_whole_units(samples));
	return opus_decode_float(state_of_decoder(d), NULL, 0, pcm, (int)samples, 0);
}

int pl_opus_packet_samples(struct pl_bytes packet)
{
	opus_int16 size[FRAMES_MAX];
	if (!is_readable(packet))
		return OPUS_INVALID_PACKET;
	const int frames = opus_packet_parse(packet.data, (opus_int32)packet.size, NULL, NULL, size, NULL);
	if (frames <= 0)
		return OPUS_INVALID_PACKET;
	const int samples = frames * opus_packet_get_samples_per_frame(packet.data, PL_OPUS_CLOCK_HZ);
	return samples <= PL_OPUS_SAMPLES_MAX ? samples : OPUS_INVALID_PACKET;
}

/* RFC 6716 section 3.1 and 3.2. */
uint8_t pl_opus_packet_ms(struct pl_bytes packet)
{
	if (!is_readable(packet))
		return 0;
	const int frames = opus_packet_get_nb_frames(packet.data, packet.size > 1 ? 2 : 1);
	if (frames <= 0)
		return 0;
	const int units = PL_OPUS_CLOCK_HZ / 1000;
	const int ms = (frames * opus_packet_get_samples_per_frame(packet.data, PL_OPUS_CLOCK_HZ) + units - 1) / units;
	return (uint8_t)(ms < PL_OPUS_PACKET_MS_MAX ? ms : PL_OPUS_PACKET_MS_MAX);
}

/* SILK's part of a frame begins with the flags of each channel, a bit each as they are: voice activity of each of its
 * 20 ms, then whether low bit-rate redundancy of the packet before follows (RFC 6716 section 4.2.3). */
bool pl_opus_packet_has_fec(struct pl_bytes packet)
{
	enum { CELT_ONLY = 0x80 };
	const unsigned char *frame[FRAMES_MAX];
	opus_int16 size[FRAMES_MAX];
	if (!is_readable(packet) || (packet.data[0] & CELT_ONLY) != 0 ||
		opus_packet_parse(packet.data, (opus_int32)packet.size, NULL, frame, size, NULL) <= 0 || size[0] == 0)
		return false;
	const int samples = opus_packet_get_samples_per_frame(packet.data, PL_OPUS_CLOCK_HZ);
	const int activities = samples > PL_OPUS_FRAME ? samples / PL_OPUS_FRAME : 1;
	const int flags = frame[0][0];
	const bool is_stereo = opus_packet_get_nb_channels(packet.data) == 2;
	return (flags >> (7 - activities) & 1) != 0 || (is_stereo && (flags >> (6 - 2 * activities) & 1) != 0);
}

const char *pl_opus_version(void)
{
	return opus_get_version_string();
}
