/* Telephones in virtual time: what they say is G.711 in packets, what a listener hears is what libopus makes of the
 * frames that came out, each where its timestamp says. */
#include <complex.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <opus/opus.h>

#include "media/g711.h"
#include "media/g711_silence.h"
#include "media/mix.h"
#include "media/rng.h"
#include "media/transcode.h"

enum {
	HZ = 8000,
	FRAMES_MAX = 4096,
	OUT_SSRC = 0x0ff1ce,
	TS_FIRST = 0xfffff000, /* wraps in the first 100 ms */
	SEQ_FIRST = 65530,
	IN_TS_FIRST = 0xffffff00, /* wraps too */
	IN_SEQ_FIRST = 65533,
	SOURCE = 7,
	TRACK = 9,
};

static const double pi = 3.14159265358979323846;
static struct pl_opus_templates *templates;

static void *take(size_t bytes)
{
	void *memory = aligned_alloc(64, pl_whole_lines(bytes));
	assert_non_null(memory);
	return memory;
}

static int setup(void **state)
{
	(void)state;
	const size_t bytes = pl_opus_templates_bytes();
	return pl_opus_templates_init(&templates, (struct pl_span){ take(bytes), bytes }) == PL_ERR_NONE ? 0 : -1;
}

/* ---- a call ---- */

struct frame {
	int64_t at_us;
	uint32_t ts;
	uint16_t seq;
	bool marker, is_voice;
	uint8_t level;
	size_t size;
	uint8_t payload[PL_OPUS_PACKET_MAX];
};

struct call {
	struct pl_transcode *t;
	int64_t now_us;
	enum pl_coding coding;
	uint32_t ssrc, ts; /* of the next packet */
	uint16_t seq;
	uint64_t said; /* samples */
	double hz, amplitude;
	double hz_too;           /* a second tone, as loud; 0 for none */
	const float *recording;  /* instead of tones */
	bool leaves_out_silence; /* as where its packets come in */
	struct pl_g711_silence silence;
	uint32_t left_out; /* packets */
	uint32_t frame_count;
	struct frame *frame;
	struct pl_packet *out;
};

static struct call begin(void)
{
	struct call c = {
		.t = take(pl_transcode_bytes()),
		.now_us = 1000000,
		.coding = PL_CODING_PCMU,
		.ssrc = 5,
		.ts = IN_TS_FIRST,
		.seq = IN_SEQ_FIRST,
		.hz = 440,
		.amplitude = 0.3,
		.frame = calloc(FRAMES_MAX, sizeof *c.frame),
		.out = take(sizeof *c.out),
	};
	const struct pl_transcode_config config = {
		.templates = templates, .ssrc = OUT_SSRC, .ts_first = TS_FIRST, .seq_first = SEQ_FIRST
	};
	assert_non_null(c.frame);
	memset(c.t, 0xa5, pl_transcode_bytes());
	pl_transcode_start(c.t, &config);
	return c;
}

static void end(struct call *c)
{
	free(c->t);
	free(c->frame);
	free(c->out);
}

static void drain(struct call *c)
{
	memset(c->out, 0x5a, sizeof *c->out);
	while (pl_transcode_next(c->t, c->out)) {
		assert_true(c->frame_count < FRAMES_MAX);
		struct frame *f = &c->frame[c->frame_count++];
		assert_int_equal(c->out->ssrc, OUT_SSRC);
		assert_int_equal(c->out->source, SOURCE);
		assert_int_equal(c->out->track, TRACK);
		assert_int_equal(c->out->mix_group, PL_MIX_PCMU + 1);
		assert_in_range(c->out->bps, 1, 24000); /* as it is tuned */
		assert_int_equal(c->out->coding, PL_CODING_OPUS);
		assert_true(c->out->has_level && c->out->level <= 127);
		assert_ptr_equal(c->out->payload.data, c->out->data);
		assert_in_range(c->out->payload.size, 1, PL_OPUS_PACKET_MAX);
		*f = (struct frame){ .at_us = c->now_us,
			.ts = c->out->ts,
			.seq = c->out->seq,
			.marker = c->out->marker,
			.is_voice = c->out->is_voice,
			.level = c->out->level,
			.size = c->out->payload.size };
		memcpy(f->payload, c->out->payload.data, f->size);
	}
}

/* A packet on its way. */
struct packet {
	enum pl_coding coding;
	uint32_t ssrc, ts;
	uint16_t seq;
	size_t size;
	uint8_t bytes[PL_TRANSCODE_PAYLOAD_MAX];
};

/* The next ms of the telephone's sine. */
static struct packet speak(struct call *c, size_t ms)
{
	struct packet p = { .coding = c->coding, .ssrc = c->ssrc, .ts = c->ts, .seq = c->seq, .size = ms * HZ / 1000 };
	float pcm[PL_TRANSCODE_PAYLOAD_MAX];
	assert_true(p.size <= PL_TRANSCODE_PAYLOAD_MAX);
	for (size_t i = 0; i < p.size; i++) {
		const double seconds = (double)(c->said + i) / HZ;
		pcm[i] = (float)(c->amplitude * (sin(2 * pi * c->hz * seconds) + sin(2 * pi * c->hz_too * seconds)));
		if (c->recording != NULL)
			pcm[i] = c->recording[c->said + i];
	}
	pl_g711_encode(c->coding == PL_CODING_PCMU ? PL_G711_PCMU : PL_G711_PCMA, pcm, p.size, p.bytes);
	c->said += p.size;
	c->ts += (uint32_t)p.size;
	c->seq++;
	return p;
}

static enum pl_drop deliver(struct call *c, const struct packet *p)
{
	struct pl_packet packet = {
		.source = SOURCE,
		.track = TRACK,
		.mix_group = PL_MIX_PCMU + 1,
		.coding = (uint8_t)p->coding,
		.ssrc = p->ssrc,
		.ts = p->ts,
		.seq = p->seq,
		.payload = { p->bytes, p->size },
	};
	if (c->leaves_out_silence && p->coding != PL_CODING_OPUS && pl_g711_silence_leaves_out(&c->silence, &packet)) {
		c->left_out++;
		return PL_DROP_G711_SILENT;
	}
	const enum pl_drop drop = pl_transcode_feed(c->t, c->now_us, &packet);
	drain(c);
	return drop;
}

/* Time passes as at the worker: a step of 20 ms ticks when it is due. */
static void pass(struct call *c, int64_t ms)
{
	for (; ms > 0; ms -= 5) {
		c->now_us += 5000;
		if (pl_transcode_deadline(c->t) <= c->now_us) {
			pl_transcode_tick(c->t, c->now_us);
			drain(c);
		}
	}
}

static void talk(struct call *c, size_t ptime_ms, size_t ms)
{
	for (size_t at = 0; at < ms; at += ptime_ms) {
		const struct packet p = speak(c, ptime_ms);
		pass(c, (int64_t)ptime_ms);
		const enum pl_drop drop = deliver(c, &p);
		assert_true(drop == PL_DROP_NONE || drop == PL_DROP_G711_SILENT);
	}
}

/* ---- what is heard ---- */

/* Whatever happened, what goes out is one stream: no number is missing or twice, and time goes on. */
static void check_numbers(const struct call *c)
{
	for (uint32_t i = 0; i < c->frame_count; i++) {
		const struct frame *f = &c->frame[i];
		assert_int_equal(f->seq, (uint16_t)(SEQ_FIRST + i));
		if (i == 0) {
			assert_int_equal(f->ts, TS_FIRST);
			assert_true(f->marker);
			continue;
		}
		const uint32_t step = f->ts - f[-1].ts;
		assert_in_range(step, PL_OPUS_FRAME, 48000 * 3600);
		assert_int_equal(step % 6, 0);
		assert_int_equal(f->marker, step != PL_OPUS_FRAME);
	}
}

static void check_is_seamless(const struct call *c)
{
	check_numbers(c);
	for (uint32_t i = 1; i < c->frame_count; i++)
		assert_int_equal(c->frame[i].ts - c->frame[i - 1].ts, PL_OPUS_FRAME);
}

static const uint32_t nothing = UINT32_MAX;

/* Decodes frames from..to into 8 kHz, as somebody who begins there and never gets frame `lost`; the caller frees. */
static float *listen(const struct call *c, uint32_t from, uint32_t to, uint32_t lost)
{
	int error;
	OpusDecoder *decoder = opus_decoder_create(HZ, 1, &error);
	float *pcm = calloc((size_t)(to - from) * PL_G711_FRAME, sizeof *pcm);
	assert_true(decoder != NULL && pcm != NULL);
	for (uint32_t i = from; i < to; i++)
		assert_int_equal(opus_decode_float(decoder, i == lost ? NULL : c->frame[i].payload,
					 i == lost ? 0 : (opus_int32)c->frame[i].size,
					 &pcm[(size_t)(i - from) * PL_G711_FRAME], PL_G711_FRAME, 0),
			PL_G711_FRAME);
	opus_decoder_destroy(decoder);
	return pcm;
}

struct heard {
	double amplitude; /* of the tone */
	double rest_db;   /* all else, below the tone */
};

static struct heard measure(const float *pcm, size_t count, double hz)
{
	double complex sum = 0;
	double power = 0;
	for (size_t i = 0; i < count; i++) {
		sum += (double)pcm[i] * cexp(-I * 2 * pi * hz * (double)i / HZ);
		power += (double)pcm[i] * (double)pcm[i];
	}
	const double amplitude = 2 * cabs(sum) / (double)count;
	const double tone = amplitude * amplitude / 2, rest = power / (double)count - tone;
	return (struct heard){ amplitude, 10 * log10((rest > 1e-12 ? rest : 1e-12) / (tone + 1e-12)) };
}

/* Frames from..to hold the telephone's tone as it was. */
static void check_tone(const struct call *c, uint32_t from, uint32_t to, double rest_db)
{
	enum { SETTLING = 5 };
	float *pcm = listen(c, from, to, nothing);
	const size_t skip = SETTLING * PL_G711_FRAME;
	const struct heard h = measure(pcm + skip, (size_t)(to - from) * PL_G711_FRAME - skip, c->hz);
	free(pcm);
	const double off_db = 20 * log10(h.amplitude / c->amplitude);
	if (fabs(off_db) > 1 || h.rest_db > rest_db)
		fail_msg("%g Hz is off by %.2f dB, all else is at %.1f dB", c->hz, off_db, h.rest_db);
}

/* ---- a clean line ---- */

/* Each law and each length of packets: the tone arrives, with its level, and no frame waits longer than for its last
 * sample. */
static void test_transcode_carries_a_tone(void **state)
{
	(void)state;
	static const size_t ptimes[] = { 5, 10, 20, 30, 40, 60, 120 };
	for (int law = PL_CODING_PCMU; law <= PL_CODING_PCMA; law++) {
		for (size_t p = 0; p < PL_COUNT(ptimes); p++) {
			struct call c = begin();
			c.coding = (enum pl_coding)law;
			c.hz = 300 + 350 * (double)p;
			talk(&c, ptimes[p], 1200);
			assert_int_equal(c.frame_count, 60);
			check_is_seamless(&c);
			check_tone(&c, 0, 60, -15);
			for (uint32_t i = 0; i < 60; i++) {
				/* 0.3 of full scale is 13.5 dB below a sine's overload of 3 dB. */
				assert_in_range(c.frame[i].level, 13, 14);
				assert_true(c.frame[i].is_voice);
				const int64_t last_ms = ((int64_t)i + 1) * 20, ptime = (int64_t)ptimes[p];
				const int64_t came_ms = (last_ms + ptime - 1) / ptime * ptime;
				assert_int_equal(c.frame[i].at_us, 1000000 + came_ms * 1000);
			}
			assert_true(pl_transcode_deadline(c.t) == INT64_MAX);
			end(&c);
		}
	}
}

/* Gateways change the length of their packets in the middle of a call, to odd ones too. */
static void test_transcode_lengths_may_change(void **state)
{
	(void)state;
	static const size_t ptimes[] = { 20, 30, 10, 60, 5, 40, 35, 120, 1, 20 };
	struct call c = begin();
	size_t ms = 0;
	for (size_t i = 0; i < 300; i++) {
		talk(&c, ptimes[i % PL_COUNT(ptimes)], 1);
		ms += ptimes[i % PL_COUNT(ptimes)];
	}
	assert_int_equal(c.frame_count, ms / 20);
	check_is_seamless(&c);
	check_tone(&c, 0, c.frame_count, -15);
	end(&c);
}

/* ---- listeners who have not heard all ---- */

/* Who gets the frames from `from` on, but not `lost`, hears each tone of the telephone a second after what is missing. */
static void check_heals(const struct call *c, uint32_t from, uint32_t lost)
{
	enum { SECOND = 50, HEARD = 10 /* frames: whole periods of each tone here */ };
	const uint32_t at = (lost == nothing ? from : lost) + SECOND;
	float *pcm = listen(c, from, at + HEARD, lost);
	const double hz[] = { c->hz, c->hz_too };
	for (size_t i = 0; i < PL_COUNT(hz) && hz[i] > 0; i++) {
		const struct heard h =
			measure(pcm + (size_t)(at - from) * PL_G711_FRAME, (size_t)HEARD * PL_G711_FRAME, hz[i]);
		const double level = h.amplitude / c->amplitude;
		if (level < 0.8 || level > 1.25)
			fail_msg("%g Hz, law %d: %.2f of the level a second after %s %u", hz[i], c->coding, level,
				lost == nothing ? "beginning at" : "losing", lost == nothing ? from : lost);
	}
	free(pcm);
}

/* Steady tones, a dial tone among them: where the prediction of a frame rests on all before it (SILK), who has missed
 * anything hears another level for ever.  With each tuning that a load brings. */
static void test_transcode_tones_heal_for_who_missed_a_frame(void **state)
{
	(void)state;
	static const double tones[][2] = { { 330, 0 }, { 570, 0 }, { 690, 0 }, { 350, 440 } };
	static const struct pl_opus_tuning tunings[] = { { 24000, 9, 0 }, { 24000, 5, 0 }, { 20000, 2, 0 },
		{ 16000, 0, 0 } };
	for (size_t k = 0; k < PL_COUNT(tones) * PL_COUNT(tunings) * 2; k++) {
		struct call c = begin();
		c.hz = tones[k % PL_COUNT(tones)][0];
		c.hz_too = tones[k % PL_COUNT(tones)][1];
		c.amplitude = 0.25;
		c.coding = k / PL_COUNT(tones) % 2 == 0 ? PL_CODING_PCMU : PL_CODING_PCMA;
		pl_transcode_tune(c.t, &tunings[k / PL_COUNT(tones) / 2]);
		talk(&c, 20, 4000);
		assert_int_equal(c.frame_count, 200);
		for (uint32_t at = 60; at < 140; at += 7) {
			check_heals(&c, at, nothing);
			check_heals(&c, 0, at);
		}
		end(&c);
	}
}

/* ---- a bad line ---- */

/* Neighbours that overtook each other are heard as if they had not. */
static void test_transcode_puts_packets_in_order(void **state)
{
	(void)state;
	static const size_t ptimes[] = { 10, 20, 30 };
	for (size_t p = 0; p < PL_COUNT(ptimes); p++) {
		struct call straight = begin(), swapped = begin();
		talk(&straight, ptimes[p], 1200);
		for (size_t i = 0; i < 1200 / ptimes[p] / 2; i++) {
			const struct packet first = speak(&swapped, ptimes[p]), second = speak(&swapped, ptimes[p]);
			pass(&swapped, (int64_t)ptimes[p]);
			/* The very first packet is where the stream begins. */
			const bool is_swapped = i > 0;
			assert_int_equal(deliver(&swapped, is_swapped ? &second : &first), PL_DROP_NONE);
			pass(&swapped, (int64_t)ptimes[p]);
			assert_int_equal(deliver(&swapped, is_swapped ? &first : &second), PL_DROP_NONE);
			assert_int_equal(deliver(&swapped, &first), PL_DROP_TRANSCODE_LATE);
		}
		assert_int_equal(swapped.frame_count, straight.frame_count);
		for (uint32_t i = 0; i < straight.frame_count; i++) {
			assert_int_equal(swapped.frame[i].size, straight.frame[i].size);
			assert_memory_equal(
				swapped.frame[i].payload, straight.frame[i].payload, straight.frame[i].size);
		}
		assert_int_equal(pl_transcode_counters(swapped.t)->missing, 0);
		end(&straight);
		end(&swapped);
	}
}

/* One packet in ten is lost: the tone stays, nothing is missing in what goes out, and nothing waits for long. */
static void test_transcode_conceals_losses(void **state)
{
	(void)state;
	/* Until 40 ms of sound have come after what is lost, or 60 of one packet; and the packet's own length. */
	static const struct {
		size_t ptime;
		int64_t wait_ms_max;
	} lines[] = { { 10, 40 }, { 20, 40 }, { 30, 80 }, { 60, 100 } };
	for (size_t p = 0; p < PL_COUNT(lines); p++) {
		const size_t ptime = lines[p].ptime;
		struct call c = begin();
		struct pl_rng rng;
		size_t lost = 0, chosen = 0, packets = 6000 / ptime;
		pl_rng_init(&rng, 11 + p);
		for (size_t i = 0; i < packets; i++) {
			const struct packet packet = speak(&c, ptime);
			pass(&c, (int64_t)ptime);
			/* One of each ten, and at least six between two. */
			if (i % 10 == 0)
				chosen = i + 3 + pl_rng_below(&rng, 4);
			if (i == chosen)
				lost++;
			else
				assert_int_equal(deliver(&c, &packet), PL_DROP_NONE);
		}
		pass(&c, 60);
		const struct pl_transcode_counters *counters = pl_transcode_counters(c.t);
		assert_int_equal(lost, packets / 10);
		assert_int_equal(counters->missing, lost);
		assert_int_equal(counters->concealed_ms, lost * ptime);
		assert_int_equal(counters->jumps, 0);
		assert_int_equal(c.frame_count, 300);
		check_is_seamless(&c);
		if (ptime <= 30)
			check_tone(&c, 0, 300, -18);
		for (uint32_t i = 0; i < c.frame_count; i++) {
			const int64_t wait_us = c.frame[i].at_us - 1000000 - ((int64_t)i + 1) * 20000;
			assert_in_range(wait_us, 0, 1000 * lines[p].wait_ms_max);
		}
		end(&c);
	}
}

/* Half a second is lost: a pause of exactly that, no sound that nobody said. */
static void test_transcode_long_loss_is_a_pause(void **state)
{
	(void)state;
	struct call c = begin();
	talk(&c, 20, 1000);
	for (size_t i = 0; i < 25; i++) {
		(void)speak(&c, 20);
		pass(&c, 20);
	}
	talk(&c, 20, 1000);
	pass(&c, 60);
	check_numbers(&c);
	assert_int_equal(c.frame_count, 100);
	assert_int_equal(c.frame[50].ts - c.frame[49].ts, 26 * PL_OPUS_FRAME);
	assert_true(c.frame[50].marker);
	assert_int_equal(pl_transcode_counters(c.t)->concealed_ms, 0);
	assert_int_equal(pl_transcode_counters(c.t)->missing, 25);
	check_tone(&c, 50, 100, -15);
	end(&c);
}

/* A packet that nothing comes after is not held for ever: a word's last syllable is heard. */
static void test_transcode_gives_up_in_time(void **state)
{
	(void)state;
	struct call c = begin();
	talk(&c, 20, 200);
	(void)speak(&c, 20);
	const struct packet last = speak(&c, 20);
	pass(&c, 40);
	assert_int_equal(deliver(&c, &last), PL_DROP_NONE);
	assert_int_equal(c.frame_count, 10);
	assert_true(pl_transcode_deadline(c.t) == c.now_us + PL_TRANSCODE_WAIT_MS * 1000);
	pass(&c, PL_TRANSCODE_WAIT_MS - 5);
	assert_int_equal(c.frame_count, 10);
	pass(&c, 5);
	assert_int_equal(c.frame_count, 12);
	check_is_seamless(&c);
	end(&c);
}

/* ---- pauses ---- */

static struct packet comfort_noise(struct call *c)
{
	struct packet p = { .coding = PL_CODING_COMFORT_NOISE, .ssrc = c->ssrc, .ts = c->ts, .seq = c->seq, .size = 1 };
	p.bytes[0] = 60;
	c->seq++;
	return p;
}

/* A telephone that sends comfort noise: it ends the spurt, whole though its last packet ended in the middle of a frame,
 * and the next one begins without a wait, exactly as much later as it did. */
static void test_transcode_comfort_noise_ends_a_spurt(void **state)
{
	(void)state;
	struct call c = begin();
	for (size_t spurt = 0; spurt < 3; spurt++) {
		const uint32_t before = c.frame_count;
		talk(&c, 30, 450); /* 22.5 frames */
		assert_int_equal(c.frame_count, before + 22);
		const struct packet noise = comfort_noise(&c);
		assert_int_equal(deliver(&c, &noise), PL_DROP_COMFORT_NOISE);
		assert_int_equal(c.frame_count, before + 23);
		for (size_t i = 0; i < 4; i++) {
			pass(&c, 200);
			c.ts += 1600;
			c.said += 1600;
			const struct packet again = comfort_noise(&c);
			assert_int_equal(deliver(&c, &again), PL_DROP_COMFORT_NOISE);
		}
		assert_int_equal(c.frame_count, before + 23);
		assert_true(pl_transcode_deadline(c.t) == INT64_MAX);
	}
	check_numbers(&c);
	assert_int_equal(c.frame[23].ts - c.frame[0].ts, (450 + 800) * 48);
	assert_int_equal(c.frame[46].ts - c.frame[0].ts, (450 + 800) * 48 * 2);
	assert_true(c.frame[23].marker && c.frame[46].marker);
	/* 60 ms until two packets of 30 are there, less the 10 that the first frame does not need. */
	assert_true(c.frame[23].at_us - c.frame[22].at_us == (800 + 30) * 1000);
	assert_int_equal(pl_transcode_counters(c.t)->missing, 0);
	end(&c);
}

/* The same without any: the timestamps alone say it. */
static void test_transcode_pause_without_a_word(void **state)
{
	(void)state;
	struct call c = begin();
	talk(&c, 20, 400);
	for (size_t i = 0; i < 50; i++) {
		pass(&c, 100);
		c.ts += 800;
		c.said += 800;
	}
	talk(&c, 20, 400);
	check_numbers(&c);
	assert_int_equal(c.frame_count, 40);
	assert_int_equal(c.frame[20].ts - c.frame[0].ts, (400 + 5000) * 48);
	end(&c);
}

/* A telephone whose microphone is open and hears nothing sends zeroes all day: after a second they cost neither a decode nor an encode,
 * no packet and no place; the first word is sent at once. */
static void test_transcode_silence_is_not_sent(void **state)
{
	(void)state;
	for (int law = PL_CODING_PCMU; law <= PL_CODING_PCMA; law++) {
		struct call c = begin();
		c.coding = (enum pl_coding)law;
		c.leaves_out_silence = true;
		talk(&c, 20, 200);
		const double amplitude = c.amplitude;
		c.amplitude = 0;
		talk(&c, 20, 60000);
		assert_int_equal(c.frame_count, 10 + 50);
		assert_int_equal(c.left_out, 3000 - 50);
		assert_in_range(c.frame[59].level, PL_G711_SILENCE_DBOV, 127);
		assert_false(c.frame[59].is_voice);
		c.amplitude = amplitude;
		talk(&c, 20, 400);
		assert_int_equal(c.frame_count, 80);
		check_numbers(&c);
		assert_int_equal(c.frame[60].ts - c.frame[0].ts, 60200 * 48);
		assert_true(c.frame[60].marker);
		assert_true(c.frame[60].is_voice);
		assert_int_equal(c.frame[60].at_us - c.frame[9].at_us, 60020 * 1000);
		assert_int_equal(pl_transcode_counters(c.t)->missing, 0);
		check_tone(&c, 60, 80, -15);
		end(&c);
	}
}

/* Words with seconds of a line's noise before each: their beginnings, wherever in a packet they are. */
enum { WORDS = 9, WORD_EVERY = 2 * HZ + HZ / 3, WORD_BEGINS = 2 * HZ, WORD_LASTS = HZ / 4, ONSET = HZ / 100 };

static float *record_words(void)
{
	float *pcm = calloc((size_t)WORDS * WORD_EVERY, sizeof *pcm);
	struct pl_rng rng;
	assert_non_null(pcm);
	pl_rng_init(&rng, 4);
	for (size_t i = 0; i < (size_t)WORDS * WORD_EVERY; i++) {
		const size_t word = i / WORD_EVERY, into = i % WORD_EVERY, begins = WORD_BEGINS + 37 * word;
		pcm[i] = (float)((pl_rng_below(&rng, 21) - 10.0) / 32768);
		if (into < begins || into >= begins + WORD_LASTS)
			continue;
		const double t = (double)(into - begins) / HZ, onset = into - begins < ONSET ? t * HZ / ONSET : 1;
		for (int k = 1; k <= 12; k++)
			pcm[i] += (float)(0.1 / k * onset *
					  sin(2 * pi * k * (110 + 20.0 * (double)word + 40 * t) * t + k));
	}
	return pcm;
}

/* What is heard of it at 8 kHz, each frame where its timestamp says. */
static float *listen_in_place(const struct call *c, size_t count)
{
	float *placed = calloc(count, sizeof *placed), *pcm = listen(c, 0, c->frame_count, nothing);
	assert_non_null(placed);
	for (uint32_t i = 0; i < c->frame_count; i++) {
		const size_t at = (c->frame[i].ts - TS_FIRST) / 6;
		for (size_t k = 0; k < PL_G711_FRAME && at + k < count; k++)
			placed[at + k] = pcm[(size_t)i * PL_G711_FRAME + k];
	}
	free(pcm);
	return placed;
}

/* Who begins to speak after silence is heard from the first sound on, as loud and as clear as if no silence had been left out. */
static void test_transcode_words_after_silence_are_whole(void **state)
{
	(void)state;
	enum { COUNT = WORDS * WORD_EVERY, HEARD = HZ / 25 /* of each word, 40 ms */ };
	static const size_t ptimes[] = { 10, 20, 30, 60 };
	float *said = record_words();
	for (size_t p = 0; p < PL_COUNT(ptimes); p++) {
		float *heard[2];
		struct call calls[2];
		for (size_t k = 0; k < 2; k++) {
			struct call *c = &calls[k];
			*c = begin();
			c->recording = said;
			c->coding = p % 2 == 0 ? PL_CODING_PCMU : PL_CODING_PCMA;
			c->leaves_out_silence = k == 1;
			talk(c, ptimes[p], (size_t)COUNT * 1000 / HZ / ptimes[p] * ptimes[p]);
			heard[k] = listen_in_place(c, COUNT);
			check_numbers(c);
			assert_int_equal(pl_transcode_counters(c->t)->missing, 0);
			/* A frame that a packet has begun ends before the next word does. */
			assert_in_range(pl_transcode_counters(c->t)->concealed_ms, 0, WORDS * 10);
		}
		assert_int_equal(calls[0].left_out, 0);
		assert_in_range(calls[1].left_out * ptimes[p], WORDS * 900, WORDS * 1150);
		for (size_t word = 0; word < WORDS; word++) {
			const size_t from = word * WORD_EVERY + WORD_BEGINS + 37 * word;
			double a = 0, b = 0, product = 0;
			for (size_t i = from; i < from + HEARD; i++) {
				a += (double)heard[0][i] * (double)heard[0][i];
				b += (double)heard[1][i] * (double)heard[1][i];
				product += (double)heard[0][i] * (double)heard[1][i];
			}
			const double likeness = product / sqrt(a * b + 1e-12), louder_db = 10 * log10(b / a);
			if (likeness < 0.98 || fabs(louder_db) > 0.5)
				fail_msg("word %zu, %zu ms: like itself by %.4f, %.2f dB louder", word, ptimes[p],
					likeness, louder_db);
		}
		for (size_t k = 0; k < 2; k++) {
			free(heard[k]);
			end(&calls[k]);
		}
	}
	free(said);
}

/* The first two packets of a word overtake each other, or the first is lost: after silence no more of the word is lost for it, and it waits
 * no longer, than in the middle of one. */
static void test_transcode_words_after_silence_on_a_bad_line(void **state)
{
	(void)state;
	for (int is_lost = 0; is_lost < 2; is_lost++) {
		struct call c = begin();
		c.leaves_out_silence = true;
		for (uint32_t word = 0; word < 3; word++) {
			c.amplitude = 0;
			talk(&c, 20, 70000); /* more packets than numbers may be apart */
			const uint32_t before = c.frame_count, left_out = c.left_out;
			c.amplitude = 0.3;
			const struct packet first = speak(&c, 20), second = speak(&c, 20), third = speak(&c, 20);
			pass(&c, 40);
			const int64_t second_us = c.now_us;
			assert_int_equal(deliver(&c, &second), PL_DROP_NONE);
			assert_int_equal(c.frame_count, before);
			pass(&c, 5);
			if (!is_lost)
				assert_int_equal(deliver(&c, &first), PL_DROP_NONE);
			pass(&c, 15);
			assert_int_equal(deliver(&c, &third), PL_DROP_NONE);
			const uint32_t frames = is_lost ? 2 : 3;
			assert_int_equal(c.frame_count, before + frames);
			assert_int_equal(c.frame[before].at_us, second_us + (is_lost ? 20000 : 5000));
			assert_int_equal(
				c.frame[before + frames - 1].ts - c.frame[before - 1].ts, (70000 - 1000 + 60) * 48);
			talk(&c, 20, 400);
			assert_int_equal(c.frame_count, before + frames + 20);
			assert_int_equal(c.left_out, left_out);
			assert_int_equal(pl_transcode_counters(c.t)->missing, is_lost ? word + 1 : 0);
		}
		check_numbers(&c);
		end(&c);
	}
}

/* A packet of silence that waits for one that was lost is not waited for when a word comes: it would be heard after the word began. */
static void test_transcode_forgets_silence_that_waits(void **state)
{
	(void)state;
	struct call c = begin();
	c.leaves_out_silence = true;
	talk(&c, 20, 200);
	const double amplitude = c.amplitude;
	c.amplitude = 0;
	talk(&c, 20, PL_G711_SILENCE_MS - 20);
	(void)speak(&c, 20); /* is lost */
	const struct packet waits = speak(&c, 20), silent = speak(&c, 20);
	c.amplitude = amplitude;
	const struct packet word = speak(&c, 20);
	const uint32_t before = c.frame_count;
	assert_int_equal(deliver(&c, &waits), PL_DROP_NONE);
	assert_int_equal(deliver(&c, &silent), PL_DROP_G711_SILENT);
	assert_int_equal(c.frame_count, before);
	assert_int_equal(deliver(&c, &word), PL_DROP_NONE);
	assert_int_equal(c.frame_count, before + 4);
	assert_true(c.frame[before + 2].level > 60 && c.frame[before + 3].level < 20);
	pass(&c, 100);
	talk(&c, 20, 200);
	check_numbers(&c);
	assert_int_equal(c.frame_count, before + 14);
	check_is_seamless(&c);
	assert_true(pl_transcode_deadline(c.t) == INT64_MAX);
	end(&c);
}

/* The hum of a line is no voice, so it takes nobody's place; a word above it is. */
static void test_transcode_tells_a_voice_from_hum(void **state)
{
	(void)state;
	struct call c = begin();
	c.hz = 150;
	c.amplitude = 0.004; /* -51 dBov */
	talk(&c, 20, 20000);
	assert_false(c.frame[c.frame_count - 1].is_voice);
	assert_in_range(c.frame[c.frame_count - 1].level, 50, 52);
	c.amplitude = 0.05;
	talk(&c, 20, 20);
	assert_true(c.frame[c.frame_count - 1].is_voice);
	c.amplitude = 0.004;
	talk(&c, 20, 180);
	assert_true(c.frame[c.frame_count - 1].is_voice);
	talk(&c, 20, 200);
	assert_false(c.frame[c.frame_count - 1].is_voice);
	end(&c);
}

/* ---- clocks and numbers that do not go on ---- */

/* A gateway that began anew, in all ways that they do: what goes out goes on, without a hole and without a wait. */
static void test_transcode_survives_restarts(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		uint32_t ssrc, ts_by;
		uint16_t seq_by;
	} restarts[] = {
		{ "another SSRC", 6, 123456789, 30000 },
		{ "another SSRC, same numbers", 7, 0, 0 },
		{ "numbers and clock", 5, 0x80000000, 20000 },
		{ "clock back by an hour", 5, (uint32_t)-28800000, 0 },
		{ "clock on by an hour", 5, 28800000, 0 },
		{ "clock on by half its range", 5, 0x7fffffff, 0 },
		{ "clock back by 10 ms", 5, (uint32_t)-80, 0 },
	};
	for (size_t i = 0; i < PL_COUNT(restarts); i++) {
		struct call c = begin();
		talk(&c, 20, 500);
		c.ssrc = restarts[i].ssrc;
		c.ts += restarts[i].ts_by;
		c.seq = (uint16_t)(c.seq + restarts[i].seq_by);
		talk(&c, 20, 500);
		print_message("%s\n", restarts[i].what);
		assert_int_equal(c.frame_count, 50);
		check_is_seamless(&c);
		check_tone(&c, 0, 50, -15);
		end(&c);
	}
}

/* A restart after a minute: the minute is in what goes out, whatever the new clock says. */
static void test_transcode_restart_after_a_pause(void **state)
{
	(void)state;
	struct call c = begin();
	talk(&c, 30, 510);
	pass(&c, 60000);
	c.ts -= 99999999;
	c.ssrc = 8;
	talk(&c, 30, 510);
	check_numbers(&c);
	/* The 10 ms that were in no frame are fitted into the pause. */
	assert_int_equal(c.frame[26].ts - c.frame[0].ts, (510 + 60000) * 48);
	end(&c);
}

/* Numbers that go back by a little look like late packets, but when all are late, it is a restart. */
static void test_transcode_restart_a_little_back(void **state)
{
	(void)state;
	struct call c = begin();
	talk(&c, 20, 500);
	c.seq = (uint16_t)(c.seq - 20);
	c.ts -= 3200;
	size_t refused = 0;
	for (size_t i = 0; i < 50; i++) {
		const struct packet p = speak(&c, 20);
		pass(&c, 20);
		refused += deliver(&c, &p) != PL_DROP_NONE;
	}
	assert_int_equal(refused, 9);
	assert_int_equal(c.frame_count, 25 + 41);
	check_numbers(&c);
	end(&c);
}

/* Half an hour with jitter, loss and reordering: the last frame is where it must be, to the sample, and what is held does
 * not grow. */
static void test_transcode_does_not_drift(void **state)
{
	(void)state;
	enum { MINUTES = 30, PACKETS = MINUTES * 60 * 50 };
	struct call c = begin();
	struct pl_rng rng;
	uint32_t ts_last = TS_FIRST;
	uint64_t frames = 0;
	const struct pl_opus_tuning cheap = { .bitrate_bps = 12000, .complexity = 0 };
	pl_transcode_tune(c.t, &cheap);
	pl_rng_init(&rng, 30);
	struct packet held;
	bool is_held = false;
	const int64_t start_us = c.now_us;
	for (int64_t i = 0; i < PACKETS; i++) {
		const struct packet p = speak(&c, 20);
		/* Up to 35 ms late, at a packet's place in time. */
		const int64_t at_us = start_us + i * 20000 + pl_rng_below(&rng, 35000);
		c.now_us = at_us > c.now_us ? at_us : c.now_us;
		if (pl_transcode_deadline(c.t) <= c.now_us) {
			pl_transcode_tick(c.t, c.now_us);
			drain(&c);
		}
		const bool is_lost = i > 0 && i + 5 < PACKETS && pl_rng_below(&rng, 50) == 0;
		const bool is_late = i > 0 && !is_lost && !is_held && pl_rng_below(&rng, 50) == 0;
		if (is_late) {
			held = p;
			is_held = true;
			continue;
		}
		if (!is_lost)
			assert_int_equal(deliver(&c, &p), PL_DROP_NONE);
		if (is_held) {
			(void)deliver(&c, &held);
			is_held = false;
		}
		for (uint32_t k = 0; k < c.frame_count; k++) {
			assert_true(frames == 0 || c.frame[k].ts - ts_last == PL_OPUS_FRAME || c.frame[k].marker);
			ts_last = c.frame[k].ts;
			frames++;
		}
		c.frame_count = 0;
	}
	/* The last few packets were neither lost nor late by more than one. */
	const uint32_t due = TS_FIRST + (uint32_t)(PACKETS - 1) * PL_OPUS_FRAME;
	assert_in_range((due - ts_last) / PL_OPUS_FRAME, 0, 1);
	assert_in_range(frames, PACKETS * 995 / 1000, PACKETS);
	print_message("%llu frames, %llu lost, %llu ms concealed\n", (unsigned long long)frames,
		(unsigned long long)pl_transcode_counters(c.t)->missing,
		(unsigned long long)pl_transcode_counters(c.t)->concealed_ms);
	end(&c);
}

/* ---- hostile ---- */

static void test_transcode_refuses_what_is_none(void **state)
{
	(void)state;
	struct call c = begin();
	struct packet p = speak(&c, 20);
	p.size = 0;
	assert_int_equal(deliver(&c, &p), PL_DROP_RTP_MALFORMED);
	p.coding = PL_CODING_OPUS;
	p.size = 160;
	assert_int_equal(deliver(&c, &p), PL_DROP_RTP_UNKNOWN_PAYLOAD);
	p.coding = (enum pl_coding)200;
	assert_int_equal(deliver(&c, &p), PL_DROP_RTP_UNKNOWN_PAYLOAD);

	struct pl_packet packet = { .coding = PL_CODING_PCMA,
		.payload = { c.out->data, PL_TRANSCODE_PAYLOAD_MAX + 1 } };
	assert_int_equal(pl_transcode_feed(c.t, c.now_us, &packet), PL_DROP_RTP_MALFORMED);
	/* Comfort noise may be empty, or long. */
	packet = (struct pl_packet){ .coding = PL_CODING_COMFORT_NOISE };
	assert_int_equal(pl_transcode_feed(c.t, c.now_us, &packet), PL_DROP_COMFORT_NOISE);
	drain(&c);
	packet.seq++;
	packet.payload = (struct pl_bytes){ c.out->data, sizeof c.out->data };
	assert_int_equal(pl_transcode_feed(c.t, c.now_us, &packet), PL_DROP_COMFORT_NOISE);
	drain(&c);
	assert_int_equal(c.frame_count, 0);
	end(&c);
}

/* Who sends ten times as much as can be played costs an encode for each eighth more than that, after a second's worth. */
static void test_transcode_has_a_budget(void **state)
{
	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		struct call c = begin();
		uint64_t refused = 0;
		for (int i = 0; i < 5000; i++) {
			/* 120 ms each 10; or a sample each ms, of another pause, or of another stream, each time */
			struct packet p = speak(&c, kind == 0 ? 120 : 1);
			p.size = kind == 0 ? p.size : 1;
			if (kind == 1)
				c.ts += 15000;
			if (kind == 2)
				c.ssrc++;
			c.now_us += kind == 0 ? 10000 : 1000;
			refused += deliver(&c, &p) == PL_DROP_TRANSCODE_RATE;
			if (c.frame_count > FRAMES_MAX - 20) {
				assert_true(kind == 0);
				break;
			}
		}
		const int64_t passed_ms = (c.now_us - 1000000) / 1000;
		assert_true(c.frame_count <= (uint64_t)(passed_ms * 9 / 8 + 1000) / 20 + 10);
		assert_true(kind == 2 || refused > 0);
		/* And who stops is taken again. */
		c.frame_count = 0;
		pass(&c, 2000);
		c.ssrc += 100;
		talk(&c, 20, 200);
		assert_true(c.frame_count >= 10);
		end(&c);
	}
}

/* Packets of all kinds, numbers, times and lengths: it stays within its bounds and never asserts. */
static void test_transcode_of_anything(void **state)
{
	(void)state;
	struct pl_rng rng;
	pl_rng_init(&rng, 99);
	for (int round = 0; round < 30; round++) {
		struct call c = begin();
		c.leaves_out_silence = round >= 20; /* and there is some then */
		uint32_t silent = 0;
		for (int i = 0; i < 3000; i++) {
			struct packet p = { .coding = (enum pl_coding)pl_rng_below(&rng, 5) };
			p.ssrc = pl_rng_below(&rng, 40) == 0 ? 1 : 2;
			const uint32_t spread = 1u << pl_rng_below(&rng, 17);
			c.seq = (uint16_t)(c.seq + pl_rng_below(&rng, spread) - spread / 3);
			c.ts += pl_rng_below(&rng, 8) == 0 ? (uint32_t)pl_rng_next(&rng) : pl_rng_below(&rng, 961);
			p.seq = c.seq;
			p.ts = c.ts;
			p.size = pl_rng_below(&rng, PL_TRANSCODE_PAYLOAD_MAX + 1);
			for (size_t k = 0; k < p.size; k++)
				p.bytes[k] = (uint8_t)pl_rng_next(&rng);
			if (c.leaves_out_silence && silent == 0 && pl_rng_below(&rng, 20) == 0)
				silent = 1 + pl_rng_below(&rng, 60);
			if (silent > 0) {
				silent--;
				memset(p.bytes, p.coding == PL_CODING_PCMU ? 0xff : 0xd5, p.size);
			}
			(void)deliver(&c, &p);
			if (pl_rng_below(&rng, 3) == 0)
				pass(&c, pl_rng_below(&rng, 200));
		}
		for (uint32_t i = 1; i < c.frame_count; i++) {
			assert_int_equal(c.frame[i].seq, (uint16_t)(c.frame[i - 1].seq + 1));
			assert_true(c.frame[i].ts - c.frame[i - 1].ts >= PL_OPUS_FRAME);
		}
		assert_int_equal(c.left_out > 0, c.leaves_out_silence);
		end(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_transcode_carries_a_tone),
		cmocka_unit_test(test_transcode_lengths_may_change),
		cmocka_unit_test(test_transcode_tones_heal_for_who_missed_a_frame),
		cmocka_unit_test(test_transcode_puts_packets_in_order),
		cmocka_unit_test(test_transcode_conceals_losses),
		cmocka_unit_test(test_transcode_long_loss_is_a_pause),
		cmocka_unit_test(test_transcode_gives_up_in_time),
		cmocka_unit_test(test_transcode_comfort_noise_ends_a_spurt),
		cmocka_unit_test(test_transcode_pause_without_a_word),
		cmocka_unit_test(test_transcode_silence_is_not_sent),
		cmocka_unit_test(test_transcode_words_after_silence_are_whole),
		cmocka_unit_test(test_transcode_words_after_silence_on_a_bad_line),
		cmocka_unit_test(test_transcode_forgets_silence_that_waits),
		cmocka_unit_test(test_transcode_tells_a_voice_from_hum),
		cmocka_unit_test(test_transcode_survives_restarts),
		cmocka_unit_test(test_transcode_restart_after_a_pause),
		cmocka_unit_test(test_transcode_restart_a_little_back),
		cmocka_unit_test(test_transcode_does_not_drift),
		cmocka_unit_test(test_transcode_refuses_what_is_none),
		cmocka_unit_test(test_transcode_has_a_budget),
		cmocka_unit_test(test_transcode_of_anything),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
