/* A codec worker with tiny pools, and shards that send it anything: rooms open and end, talkers come, jump in their numbering,
 * send what is no Opus and no G.711, time stands still or leaps, packets are kept for long.  Whatever happens: bounds hold,
 * no listener gets two packets for one tick, and when all have fallen silent nothing is held and nothing is waited for.
 *
 * The input is a list of steps, a byte each: three bits of kind, five of argument; payloads are read from what follows. */
#include <stdlib.h>
#include <string.h>

#include "sfu/codec.h"
#include "tests/fuzz/shared.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOMS = 3, TALKERS = 12, VOICES = 6, ENCODERS = 8, TRANSCODERS = 2, HELD = PL_POOL_PACKETS_MIN };
enum { STEP_OPEN, STEP_HEAR, STEP_HEAR_MORE, STEP_NOISE, STEP_SILENT, STEP_TRANSCODE, STEP_LOAD, STEP_TIME };

struct world {
	struct pl_codec *codec;
	int64_t now_us;
	struct pl_packet *in; /* the shard's */
	struct pl_packet *held[HELD];
	uint32_t held_count;
	bool is_holding;
	uint16_t seq[TALKERS];
	uint32_t ts_last[ROOMS + 1]; /* of each room's mix, at 48 kHz */
	const uint8_t *data;
	size_t size;
};

/* Opus frames that decode; what does not comes from the input. */
static const uint8_t voice[][8] = { { 0xf8, 0xff, 0xfe }, { 0x78, 0x55, 0x31, 0x92, 0x77 },
	{ 0x08, 0xd3, 0x11, 0x29, 0x44, 0x10 }, { 0xfc, 0x7f, 0x2c, 0x3a, 0x99, 0xaa, 0x01, 0x02 } };

static struct pl_opus_templates *templates(void)
{
	static struct pl_opus_templates *made;
	if (made == NULL) {
		void *memory = aligned_alloc(64, pl_opus_templates_bytes());
		if (memory == NULL || pl_opus_templates_init(&made,
					      (struct pl_span){ memory, pl_opus_templates_bytes() }) != PL_ERR_NONE)
			abort();
	}
	return made;
}

static void check_mix(struct world *w, const struct pl_cross *message)
{
	const struct pl_packet *p = message->packet;
	PL_ASSERT(PL_MIX_IS_TRACK(p->track) && p->payload.size > 0 && p->payload.data == p->data);
	PL_ASSERT(p->mix.except_count <= PL_MIX_EXCEPT_MAX && p->mix.csrc_count <= PL_MIX_CSRC_MAX);
	for (uint8_t i = 0; i < p->mix.csrc_count; i++)
		PL_ASSERT(p->mix.csrc[i] != p->mix.only || p->mix.only == 0);
	PL_ASSERT(p->mix.only == 0 || p->mix.except_count == 0);
	const bool is_narrow = p->track == PL_MIX_TRACK(PL_MIX_PCMU) || p->track == PL_MIX_TRACK(PL_MIX_PCMA);
	const uint32_t second = p->track == PL_MIX_TRACK(PL_MIX_SHORT) ? p->ts % PL_OPUS_FRAME : 0;
	const uint32_t ts = is_narrow ? p->ts * 6 : p->ts - second;
	PL_ASSERT(second == 0 || (second == PL_OPUS_FRAME / 2 && !p->mix.is_start && !p->marker));
	PL_ASSERT((int32_t)(ts - w->ts_last[message->room]) >= 0);
	w->ts_last[message->room] = ts;
}

static void drain(struct world *w)
{
	struct pl_cross message;
	uint8_t to;
	while (pl_codec_next(w->codec, w->now_us, &to, &message)) {
		PL_ASSERT(message.room >= 1 && message.room <= ROOMS && to == message.room);
		if (message.kind == PL_CROSS_MIX)
			check_mix(w, &message);
		else
			PL_ASSERT(message.kind == PL_CROSS_TRANSCODED && message.packet->payload.size > 0);
		if (w->is_holding && w->held_count < HELD)
			w->held[w->held_count++] = message.packet;
		else
			pl_codec_release(w->codec, message.packet);
	}
}

static void take(struct world *w, struct pl_cross message)
{
	pl_codec_take(w->codec, w->now_us, (uint8_t)message.room, &message);
	drain(w);
}

static void pass(struct world *w, int64_t us)
{
	w->now_us += us;
	for (int i = 0; i < 8 && pl_codec_deadline(w->codec) <= w->now_us; i++) {
		pl_codec_tick(w->codec, w->now_us);
		drain(w);
	}
	const struct pl_codec_counters counters = pl_codec_counters(w->codec);
	PL_ASSERT(counters.voices <= VOICES && counters.encoders <= ENCODERS && counters.rooms <= ROOMS);
}

static uint8_t next_byte(struct world *w)
{
	if (w->size == 0)
		return 0;
	w->size--;
	return *w->data++;
}

/* What the shard's packet says of its talker; the payload is the caller's. */
static struct pl_packet *packet_of(struct world *w, uint8_t talker)
{
	struct pl_packet *p = w->in;
	memset(p, 0, offsetof(struct pl_packet, headroom));
	p->source = 1 + talker / 2u; /* some have two tracks */
	p->track = 1 + talker;
	p->ssrc = talker;
	p->seq = ++w->seq[talker];
	p->ts = p->seq * 960u;
	p->has_level = talker % 3 != 0;
	p->is_voice = p->has_level;
	p->level = (uint8_t)(10 * talker);
	p->mix_group = (uint8_t)(talker % (PL_MIX_GROUPS + 1));
	p->payload.data = p->data;
	return p;
}

static void hear(struct world *w, uint8_t argument, bool is_noise)
{
	const uint8_t talker = argument % TALKERS;
	struct pl_packet *p = packet_of(w, talker);
	if (is_noise) {
		const uint8_t kind = next_byte(w);
		p->ts += kind % 4 == 0 ? UINT32_C(0x7fffff00) * kind : 0;
		p->seq = (uint16_t)(kind % 4 == 1 ? kind << 8 : p->seq);
		p->ssrc += kind % 4 == 2;
		p->payload.size = next_byte(w) % 32;
		for (size_t i = 0; i < p->payload.size; i++)
			p->data[i] = next_byte(w);
	} else {
		memcpy(p->data, voice[argument % PL_COUNT(voice)], sizeof voice[0]);
		p->payload.size = argument % PL_COUNT(voice) == 0 ? 3 : sizeof voice[0];
	}
	take(w, (struct pl_cross){ .kind = PL_CROSS_MIX_HEAR, .room = 1 + talker % ROOMS, .packet = p });
}

static void transcode(struct world *w, uint8_t argument)
{
	const uint8_t talker = argument % 4;
	struct pl_packet *p = packet_of(w, talker);
	p->coding = (uint8_t)(PL_CODING_PCMU + argument / 4 % 3);
	p->ts = p->seq * 160u * (argument / 16 + 1u);
	p->payload.size = next_byte(w) * 5u;
	memset(p->data, argument, p->payload.size);
	take(w, (struct pl_cross){ .kind = PL_CROSS_TRANSCODE, .room = 1 + talker % ROOMS, .packet = p });
}

static void step(struct world *w)
{
	const uint8_t byte = next_byte(w), argument = byte >> 3;
	switch (byte & 7) {
	case STEP_OPEN: {
		const uint8_t more = next_byte(w);
		take(w, (struct pl_cross){ .kind = PL_CROSS_MIX_OPEN,
				.room = 1 + argument % ROOMS,
				.groups = argument | (more & 0xe0), /* all eight */
				.fresh = more });
		break;
	}
	case STEP_HEAR:
	case STEP_HEAR_MORE:
	case STEP_NOISE:
		hear(w, argument, (byte & 7) == STEP_NOISE);
		break;
	case STEP_SILENT:
		take(w, (struct pl_cross){ .kind = PL_CROSS_MIX_SILENT,
				.room = 1 + argument % ROOMS,
				.track = argument % (TALKERS + 1u) });
		break;
	case STEP_TRANSCODE:
		transcode(w, argument);
		break;
	case STEP_LOAD:
		pl_codec_set_load(w->codec, (struct pl_mixer_load){ argument % PL_MIXER_LOAD_STEPS });
		w->is_holding = argument >= 16;
		while (!w->is_holding && w->held_count > 0)
			pl_codec_release(w->codec, w->held[--w->held_count]);
		break;
	case STEP_TIME:
		pass(w, argument < 28 ? 2500 * argument : 1 << (argument - 12));
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = { .now_us = 1000000, .data = data, .size = size };
	const struct pl_codec_config config = { .templates = templates(),
		.dsp = pl_dsp_get(PL_SIMD_AUTO),
		.rooms_max = ROOMS - 1,
		.voices_max = VOICES,
		.encoders_max = ENCODERS,
		.transcoders_max = TRANSCODERS,
		.packets = PL_POOL_PACKETS_MIN,
		.talkers_max = 3,
		.seed = 1 };
	const size_t bytes = pl_codec_bytes(&config);
	void *memory = aligned_alloc(64, bytes);
	w.in = aligned_alloc(64, PL_PACKET_SIZE);
	if (memory == NULL || w.in == NULL)
		abort();
	memset(memory, 0, bytes);
	pl_codec_init(&w.codec, &config, (struct pl_span){ memory, bytes });
	pl_codec_set_load(w.codec, (struct pl_mixer_load){ PL_MIXER_LOAD_STEPS - 1 });
	while (w.size > 0)
		step(&w);

	/* Nobody says anything any more. */
	while (w.held_count > 0)
		pl_codec_release(w.codec, w.held[--w.held_count]);
	w.is_holding = false;
	for (int i = 0; i < 1200; i++)
		pass(&w, PL_MIXER_TICK_US);
	PL_ASSERT(pl_codec_deadline(w.codec) == INT64_MAX);
	const struct pl_codec_counters counters = pl_codec_counters(w.codec);
	PL_ASSERT(counters.rooms_active == 0 && counters.voices == 0 && counters.encoders == 0 &&
		  counters.transcoders == 0 && counters.packets_used == 0);
	free(memory);
	free(w.in);
	return 0;
}
