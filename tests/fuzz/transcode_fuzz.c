/* Any packets of a G.711 publisher at any times.  The input is a list of packets of eight bytes and a length: what goes out
 * has no missing number, no time that goes back, decodes, and is not more than can be played. */
#include <stdlib.h>
#include <string.h>

#include "media/mix.h"
#include "media/transcode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RECORD = 8, TS_FIRST = 1000, SEQ_FIRST = 65000 };

static void *take(size_t bytes)
{
	void *memory = aligned_alloc(64, pl_whole_lines(bytes));
	if (memory == NULL)
		abort();
	return memory;
}

struct stage {
	struct pl_transcode *t;
	struct pl_opus_decoder *decoder;
	struct pl_packet *out;
	int64_t now_us;
	uint64_t frames;
	uint32_t ts_next;
	uint16_t seq_next;
};

static struct stage *stage_of_all_runs(void)
{
	static struct stage stage;
	static struct pl_opus_templates *templates;
	if (templates == NULL) {
		const size_t bytes = pl_opus_templates_bytes();
		if (pl_opus_templates_init(&templates, (struct pl_span){ take(bytes), bytes }) != PL_ERR_NONE)
			abort();
		stage.t = take(pl_transcode_bytes());
		stage.decoder = take(pl_opus_decoder_bytes());
		stage.out = take(sizeof *stage.out);
	}
	const struct pl_transcode_config config = {
		.templates = templates, .ssrc = 1, .ts_first = TS_FIRST, .seq_first = SEQ_FIRST
	};
	pl_transcode_start(stage.t, &config);
	pl_opus_decoder_start(stage.decoder, templates);
	stage.now_us = 0;
	stage.frames = 0;
	stage.ts_next = TS_FIRST;
	stage.seq_next = SEQ_FIRST;
	return &stage;
}

static void drain(struct stage *stage)
{
	static float pcm[PL_OPUS_FRAME];
	while (pl_transcode_next(stage->t, stage->out)) {
		const struct pl_packet *out = stage->out;
		PL_ASSERT(out->seq == stage->seq_next);
		PL_ASSERT((int32_t)(out->ts - stage->ts_next) >= 0);
		PL_ASSERT(out->level <= 127);
		PL_ASSERT(pl_opus_decode(stage->decoder, out->payload, pcm, PL_OPUS_FRAME) == PL_OPUS_FRAME);
		stage->seq_next++;
		stage->ts_next = out->ts + PL_OPUS_FRAME;
		stage->frames++;
	}
	/* A second's worth, an eighth more than time, and what one packet may make. */
	PL_ASSERT(stage->frames <= (uint64_t)(stage->now_us / 1000 * 9 / 8 + 1000) / 20 + 12);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stage *stage = stage_of_all_runs();
	uint32_t ts = 0;
	uint16_t seq = 0;
	while (size >= RECORD) {
		struct pl_packet packet = { .source = 1, .track = 2, .coding = data[0] % 5, .ssrc = data[0] >> 7 };
		const size_t length = (size_t)data[7] * 4;
		seq = (uint16_t)(seq + (int8_t)data[1] * ((data[0] & 0x40) != 0 ? 100 : 1));
		ts += (uint32_t)((int8_t)data[3] * 256 + data[2]) * ((data[0] & 0x20) != 0 ? 50000u : 1u);
		stage->now_us += (data[4] + data[5] * 256) * 10;
		packet.seq = seq;
		packet.ts = ts;
		packet.marker = (data[6] & 1) != 0;
		const bool is_ticked = (data[6] & 2) != 0;
		data += RECORD;
		size -= RECORD;
		packet.payload = (struct pl_bytes){ data, length < size ? length : size };
		if (is_ticked) {
			pl_transcode_tick(stage->t, stage->now_us);
			drain(stage);
		}
		(void)pl_transcode_feed(stage->t, stage->now_us, &packet);
		drain(stage);
		PL_ASSERT(pl_transcode_deadline(stage->t) > stage->now_us - 1);
		data += packet.payload.size;
		size -= packet.payload.size;
	}
	return 0;
}
