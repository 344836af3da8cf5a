/* Makes an Opus stream of a publisher who can only G.711: packets of any length in, frames of 20 ms out, as soon as
 * their last sample is there.  So a room hears a telephone like anybody else.
 *   - Late by less than 40 ms of sound, a packet still finds its place.
 *   - Up to 60 ms that are lost are concealed here, before the encoder: its frames stay in a row, which all decoders
 *     like better than a hole in what they predict from; what goes out has no missing numbers, so a listener's loss
 *     reports tell of the listener's own path.  More than that is silence: a gap in the timestamps, like a pause.
 *   - What was left out as silence (media/g711_silence) is not waited for: a gap in the timestamps, too.
 *   - Levels are measured, because telephones do not tell them (RFC 6464).
 * What a publisher sends faster than it can be played is dropped, so it costs no more than any other.
 * Pure: memory comes from the caller; no clock, no I/O.  Thread: the codec worker that has the room. */
#ifndef PL_MEDIA_TRANSCODE_H
#define PL_MEDIA_TRANSCODE_H

#include "media/drop.h"
#include "media/opus.h"
#include "media/pool.h"

enum {
	PL_TRANSCODE_PAYLOAD_MAX = 960, /* bytes: 120 ms of G.711 */
	PL_TRANSCODE_WAIT_MS = 40,      /* for a packet that is missing, in sound that came after it, and in time */
};

struct pl_transcode_config {
	const struct pl_opus_templates *templates; /* borrowed */
	uint32_t ssrc, ts_first;                   /* of what goes out; its clock has 48,000 Hz */
	uint16_t seq_first;
};

struct pl_transcode_counters {
	uint64_t frames;       /* that went out */
	uint64_t missing;      /* packets that were given up */
	uint64_t concealed_ms; /* that were made instead */
	uint64_t jumps;        /* timestamps that did not go on, or went back */
	uint64_t refused;      /* frames that libopus did not take */
};

struct pl_transcode;

/* What a caller has to provide, a multiple of 64, for memory aligned to 64. */
size_t pl_transcode_bytes(void);

/* Makes what memory at t held into a new stream. */
void pl_transcode_start(struct pl_transcode *t, const struct pl_transcode_config *config);

/* Takes a packet of the publisher, and copies what it needs.  packet->coding says whether it is PCMU or PCMA; comfort noise
 * takes its number and ends the spurt; packet->spurt says whether silence was left out before it.  Call pl_transcode_next until it is false before the next one (asserts).
 * Returns PL_DROP_NONE, or why nothing of it will be heard:
 * COMFORT_NOISE, TRANSCODE_LATE, TRANSCODE_RATE, RTP_MALFORMED (no sample, or more than 120 ms) or RTP_UNKNOWN_PAYLOAD. */
enum pl_drop pl_transcode_feed(struct pl_transcode *t, int64_t now_us, const struct pl_packet *packet);

/* At or after the deadline: what is missing is given up.  Then pl_transcode_next. */
void pl_transcode_tick(struct pl_transcode *t, int64_t now_us);

/* The next frame: writes its payload into out->data, and source, track and mix_group (the publisher's), ssrc, ts, seq,
 * marker, level, is_voice, coding, bps and payload.  False: there is none, *out may be used again. */
bool pl_transcode_next(struct pl_transcode *t, struct pl_packet *out);

/* INT64_MAX while nothing is waited for. */
int64_t pl_transcode_deadline(const struct pl_transcode *t);

/* From the next frame on: pl_opus_encoder_tune. */
void pl_transcode_tune(struct pl_transcode *t, const struct pl_opus_tuning *tuning);

const struct pl_transcode_counters *pl_transcode_counters(const struct pl_transcode *t);

#endif
