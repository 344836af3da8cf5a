/* Opus (RFC 6716): the one file that names libopus.  An encoder or a decoder is never created on the media path: at start
 * one of each kind is made, and a new one is a copy of it (1 us instead of 65-100).  A copy taken in the middle of a
 * stream goes on exactly as the original does.
 * Pure: memory comes from the caller; no clock, no I/O.  Thread: a state belongs to one thread; the templates are constant. */
#ifndef PL_MEDIA_OPUS_H
#define PL_MEDIA_OPUS_H

#include "media/base.h"
#include "media/err.h"

enum {
	PL_OPUS_CLOCK_HZ = 48000, /* of RTP timestamps and of everything that is decoded */
	PL_OPUS_FRAME = 960,      /* samples of 20 ms, what an encoder takes */
	PL_OPUS_UNIT = 120,       /* samples of 2.5 ms: every length in Opus is a multiple */
	PL_OPUS_PACKET_MAX = 1275,
	PL_OPUS_PACKET_MS_MAX = 120,
	PL_OPUS_SAMPLES_MAX = 5760, /* of one packet: 120 ms */
};

enum pl_opus_profile {
	PL_OPUS_CELT,        /* CELT alone: 2.5 ms of lookahead and a fifth of the work; mono, 40 kb/s */
	PL_OPUS_CELT_STEREO, /* the same in stereo, interleaved, 64 kb/s */
	PL_OPUS_VOIP,        /* for bad networks: SILK with in-band FEC for 10 % loss; mono, 24 kb/s */
	PL_OPUS_VOIP_LOW, /* for narrow networks: SILK without FEC, and no packet has more than its share; mono, 12 kb/s */
	PL_OPUS_CELT_8K,   /* CELT alone, takes 160 samples at 8 kHz; mono, 24 kb/s */
	PL_OPUS_CELT_10MS, /* CELT alone, takes 480 samples: packets of 10 ms; mono, 40 kb/s */
	PL_OPUS_PROFILES
};

struct pl_opus_templates;
struct pl_opus_encoder;
struct pl_opus_decoder;

/* What a caller has to provide, multiples of 64 for memory aligned to 64.  An encoder's is the largest of all profiles. */
size_t pl_opus_templates_bytes(void);
size_t pl_opus_encoder_bytes(void);
size_t pl_opus_decoder_bytes(void);

/* Once at start.  memory: pl_opus_templates_bytes(), aligned to 64, in use as long as *t is.  PL_ERR_NO_MEMORY, with *t
 * untouched, when it is too small or libopus refuses. */
PL_MUST_USE enum pl_err pl_opus_templates_init(struct pl_opus_templates **t, struct pl_span memory);

/* Makes what memory at e held into a new encoder. */
void pl_opus_encoder_start(struct pl_opus_encoder *e, const struct pl_opus_templates *t, enum pl_opus_profile profile);

/* *to becomes what *from is: from the same input on both give the same bytes. */
void pl_opus_encoder_copy(struct pl_opus_encoder *to, const struct pl_opus_encoder *from);

struct pl_opus_tuning {
	uint32_t bitrate_bps; /* 6,000-510,000 */
	uint8_t complexity;   /* 0-10 */
	uint8_t loss_percent; /* 0-100, that the stream must survive; has a meaning in the VOIP profiles */
};

/* From the next frame on; inaudible. */
void pl_opus_encoder_tune(struct pl_opus_encoder *e, const struct pl_opus_tuning *tuning);

/* How it is tuned now. */
struct pl_opus_tuning pl_opus_encoder_tuning(const struct pl_opus_encoder *e);

/* Encodes 20 ms: 960 samples of each channel, 160 with PL_OPUS_CELT_8K; or 10 ms: 480 with PL_OPUS_CELT_10MS.  -1 to 1 (beyond
 * that they may clip).
 * is_independent: this frame is predicted from none before it, so that somebody can begin to listen here (some 10 % more
 * bits).  Returns the packet's size; 0 when libopus refuses, which is our bug or an out of a few bytes. */
size_t pl_opus_encode(struct pl_opus_encoder *e, const float *pcm, bool is_independent, struct pl_span out);

/* Makes what memory at d held into a new decoder: mono, 48 kHz. */
void pl_opus_decoder_start(struct pl_opus_decoder *d, const struct pl_opus_templates *t);

/* Decodes a packet of any length into at most samples_max samples.  Returns how many, or less than 0 when the packet is
 * malformed, empty or longer than that; the decoder is then as it was. */
PL_MUST_USE int pl_opus_decode(struct pl_opus_decoder *d, struct pl_bytes packet, float *pcm, size_t samples_max);

/* Makes the samples (a multiple of 120, at most 5,760) before the packet `next` of its FEC as far as it has any, and conceals the
 * rest.  Returns samples, or less than 0 when next is malformed. */
PL_MUST_USE int pl_opus_recover(struct pl_opus_decoder *d, struct pl_bytes next, float *pcm, size_t samples);

/* Makes samples (a multiple of 120, at most 5,760) that sound as if it went on.  Returns samples, or less than 0. */
PL_MUST_USE int pl_opus_conceal(struct pl_opus_decoder *d, float *pcm, size_t samples);

/* How many samples at 48 kHz a packet holds, 120-5,760; less than 0 when it is malformed.  What this takes, decode takes. */
PL_MUST_USE int pl_opus_packet_samples(struct pl_bytes packet);

/* The same in milliseconds, rounded up, told by its first two bytes alone: 0 when there are none, at most 120 whatever they say. */
uint8_t pl_opus_packet_ms(struct pl_bytes packet);

/* Whether a packet carries what was lost if the one before it was; false when it is malformed. */
bool pl_opus_packet_has_fec(struct pl_bytes packet);

/* Of libopus, for example "libopus 1.3.1".  Static storage. */
const char *pl_opus_version(void);

#endif
