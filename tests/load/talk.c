#include "tests/load/talk.h"

#include <string.h>

#include "media/reader.h"

enum {
	/* ITU-T P.59 table 1: mean talk spurt and pause of conversational speech, exponentially distributed */
	TALK_MS_MEAN = 1004,
	PAUSE_MS_MEAN = 1587,
	DTX_MS = 400, /* an encoder in DTX refreshes the background noise so often, RFC 6716 section 2.1.9 */
	DTX_BYTES = 2,
	LEVEL_TALK = 25,
	LEVEL_PAUSE = 70,
	OPUS_TOC = 0xf8, /* CELT, fullband, 20 ms, mono, one frame: RFC 6716 section 3.1 */
};

static const uint64_t stamp_magic = UINT64_C(0x706c656e756d6c64); /* "plenumld" */

void load_talk_init(struct load_talk *talk, uint64_t seed, uint32_t payload_bytes, uint32_t rate_hz, bool has_spurts)
{
	*talk = (struct load_talk){
		.payload_bytes = payload_bytes, .frame_ms = 1000 / rate_hz, .has_spurts = has_spurts
	};
	pl_rng_init(&talk->rng, seed);
	talk->is_talking = !has_spurts || pl_rng_below(&talk->rng, TALK_MS_MEAN + PAUSE_MS_MEAN) < TALK_MS_MEAN;
}

/* Each frame may be the last of its state, with one chance: that makes the lengths exponential. */
static bool is_over(struct load_talk *talk)
{
	return pl_rng_below(&talk->rng, talk->is_talking ? TALK_MS_MEAN : PAUSE_MS_MEAN) < talk->frame_ms;
}

struct load_frame load_talk_next(struct load_talk *talk)
{
	if (!talk->has_spurts)
		return (struct load_frame){ .size = talk->payload_bytes, .level = LEVEL_TALK, .is_voice = true };
	const bool is_turn = is_over(talk);
	talk->is_talking ^= is_turn;
	talk->silent_ms += talk->frame_ms;
	if (talk->is_talking) {
		/* Between half and one and a half of the mean, as a variable bit rate does. */
		const uint32_t size = talk->payload_bytes / 2 + pl_rng_below(&talk->rng, talk->payload_bytes + 1);
		talk->silent_ms = 0;
		return (struct load_frame){
			.size = size > 0 ? size : 1, .level = LEVEL_TALK, .is_voice = true, .is_first = is_turn
		};
	}
	if (!is_turn && talk->silent_ms < DTX_MS)
		return (struct load_frame){ .size = 0 };
	talk->silent_ms = 0;
	return (struct load_frame){ .size = DTX_BYTES, .level = LEVEL_PAUSE };
}

void load_stamp_write(struct pl_span payload, int64_t now_ns)
{
	struct pl_writer w = pl_writer_init(payload);
	memset(payload.data, 0, payload.size);
	pl_writer_u8(&w, OPUS_TOC);
	if (payload.size < LOAD_STAMP_SIZE)
		return;
	pl_writer_uint(&w, stamp_magic, 8);
	pl_writer_uint(&w, (uint64_t)now_ns, 8);
}

bool load_stamp_read(struct pl_bytes payload, int64_t *sent_ns)
{
	struct pl_reader r = pl_reader_init(payload);
	pl_reader_u8(&r);
	const bool has_stamp = pl_reader_uint(&r, 8) == stamp_magic;
	*sent_ns = (int64_t)pl_reader_uint(&r, 8);
	return has_stamp && !r.is_failed;
}
