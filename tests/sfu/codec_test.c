/* sfu/codec: the rooms of a worker in virtual time: steps that come in time, late, or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "media/g711.h"
#include "sfu/codec.h"
#include "tests/support/sound.h"

enum { HOME = 3, TICK = PL_MIXER_TICK_US, FRAME = PL_OPUS_FRAME, ROOMS_MAX = 5000, SENT_MAX = 1 << 16 };

/* A message that came out, without its packet's bytes. */
struct sent {
	int64_t at_us;
	uint32_t room, track, ts, ssrc, source;
	uint16_t seq, size;
	uint8_t kind, to, mix_group, level, coding;
	bool has_level;
};

struct world {
	struct pl_codec *codec;
	struct pl_codec_config config;
	void *memory, *template_memory;
	int64_t now_us;
	struct sent *sent;
	uint32_t sent_count;
	struct pl_packet *held[SENT_MAX];
	uint32_t held_count;
	bool is_holding; /* the shard reads nothing */
	uint8_t frame[50][PL_OPUS_PACKET_MAX];
	uint16_t frame_size[50];
	struct pl_packet *packet;
};

static void *take(size_t size)
{
	void *memory = aligned_alloc(64, pl_whole_lines(size));
	assert_non_null(memory);
	memset(memory, 0, size);
	return memory;
}

static struct pl_opus_templates *make_templates(struct world *w)
{
	struct pl_opus_templates *templates;
	w->template_memory = take(pl_opus_templates_bytes());
	assert_int_equal(
		pl_opus_templates_init(&templates, (struct pl_span){ w->template_memory, pl_opus_templates_bytes() }),
		PL_ERR_NONE);
	struct pl_opus_encoder *encoder = take(pl_opus_encoder_bytes());
	pl_opus_encoder_start(encoder, templates, PL_OPUS_CELT);
	for (unsigned i = 0; i < PL_COUNT(w->frame); i++) {
		float pcm[FRAME];
		pl_sound_sine(
			pcm, FRAME, (uint64_t)i * FRAME, 450, 0.3); /* nine periods in a frame: it may be repeated */
		w->frame_size[i] = (uint16_t)pl_opus_encode(
			encoder, pcm, false, (struct pl_span){ w->frame[i], sizeof w->frame[i] });
	}
	free(encoder);
	return templates;
}

static void create(struct world *w, const struct pl_codec_config *config)
{
	w->config = *config;
	w->config.dsp = pl_dsp_get(PL_SIMD_AUTO);
	w->config.seed = 1;
	const size_t bytes = pl_codec_bytes(&w->config);
	w->memory = take(bytes);
	pl_codec_init(&w->codec, &w->config, (struct pl_span){ w->memory, bytes });
}

static int begin(void **state)
{
	static struct world w;
	w = (struct world){ .now_us = 5000000 };
	w.sent = calloc(SENT_MAX, sizeof *w.sent);
	w.packet = take(PL_PACKET_SIZE);
	create(&w, &(struct pl_codec_config){ .templates = make_templates(&w),
			   .rooms_max = ROOMS_MAX,
			   .voices_max = 500,
			   .encoders_max = 500,
			   .transcoders_max = 4,
			   .packets = 256 });
	*state = &w;
	return 0;
}

static int end(void **state)
{
	struct world *w = *state;
	free(w->memory);
	free(w->template_memory);
	free(w->packet);
	free(w->sent);
	return 0;
}

/* The codec again, with other bounds. */
static void create_again(struct world *w, struct pl_codec_config config)
{
	free(w->memory);
	config.templates = w->config.templates;
	create(w, &config);
}

static void drain(struct world *w)
{
	struct pl_cross message;
	uint8_t to;
	while (pl_codec_next(w->codec, w->now_us, &to, &message)) {
		const struct pl_packet *p = message.packet;
		assert_true(w->sent_count < SENT_MAX);
		w->sent[w->sent_count++] = (struct sent){ .at_us = w->now_us,
			.room = message.room,
			.track = p->track,
			.ts = p->ts,
			.ssrc = p->ssrc,
			.source = p->source,
			.seq = p->seq,
			.size = (uint16_t)p->payload.size,
			.kind = message.kind,
			.to = to,
			.mix_group = p->mix_group,
			.level = p->level,
			.coding = p->coding,
			.has_level = p->has_level };
		if (w->is_holding)
			w->held[w->held_count++] = message.packet;
		else
			pl_codec_release(w->codec, message.packet);
	}
}

static void send(struct world *w, struct pl_cross message)
{
	pl_codec_take(w->codec, w->now_us, HOME, &message);
	drain(w);
}

static void open(struct world *w, uint32_t room, uint8_t groups)
{
	send(w, (struct pl_cross){ .kind = PL_CROSS_MIX_OPEN, .room = room, .groups = groups, .fresh = groups });
}

/* The i-th packet of a talker in a room: track = source = 1000 * room + talker. */
static void hear(struct world *w, uint32_t room, uint32_t talker, uint32_t i)
{
	struct pl_packet *p = w->packet;
	memset(p, 0, sizeof *p);
	p->source = p->track = 1000 * room + talker;
	p->ssrc = p->source;
	p->seq = (uint16_t)i;
	p->ts = i * FRAME;
	p->has_level = p->is_voice = true;
	p->level = 20;
	memcpy(p->data, w->frame[i % PL_COUNT(w->frame)], w->frame_size[i % PL_COUNT(w->frame)]);
	p->payload = (struct pl_bytes){ p->data, w->frame_size[i % PL_COUNT(w->frame)] };
	send(w, (struct pl_cross){ .kind = PL_CROSS_MIX_HEAR, .room = room, .packet = p });
}

/* As a worker's thread does: it sleeps until the deadline. */
static void sleep_until(struct world *w, int64_t until_us)
{
	while (pl_codec_deadline(w->codec) <= until_us) {
		const int64_t deadline_us = pl_codec_deadline(w->codec);
		w->now_us = deadline_us > w->now_us ? deadline_us : w->now_us;
		pl_codec_tick(w->codec, w->now_us);
		drain(w);
		assert_true(pl_codec_deadline(w->codec) > w->now_us || pl_codec_deadline(w->codec) <= until_us);
	}
	w->now_us = until_us;
}

/* Rooms 1 to rooms with a talker each, for so many ticks from packet number first on. */
static void talk(struct world *w, uint32_t rooms, uint32_t first, uint32_t ticks)
{
	for (uint32_t i = first; i < first + ticks; i++) {
		for (uint32_t room = 1; room <= rooms; room++)
			hear(w, room, 1, i);
		sleep_until(w, w->now_us + TICK);
	}
}

/* Everybody falls silent. */
static void rest(struct world *w, int64_t us)
{
	sleep_until(w, w->now_us + us);
}

static uint64_t drops(struct world *w, enum pl_drop drop)
{
	return pl_codec_counters(w->codec).drop[drop];
}

/* ---- in time ---- */

static void test_frames_go_home_and_stop(void **state)
{
	struct world *w = *state;
	assert_int_equal(pl_codec_deadline(w->codec), INT64_MAX);
	open(w, 1, 1 << PL_MIX_FULL);
	assert_int_equal(pl_codec_deadline(w->codec), INT64_MAX);
	talk(w, 1, 0, 100);
	assert_in_range(w->sent_count, 95, 100);
	for (uint32_t i = 0; i < w->sent_count; i++) {
		const struct sent *s = &w->sent[i];
		assert_int_equal(s->kind, PL_CROSS_MIX);
		assert_int_equal(s->to, HOME);
		assert_int_equal(s->room, 1);
		assert_int_equal(s->track, PL_MIX_TRACK(PL_MIX_FULL));
		assert_int_equal(s->ssrc, w->sent[0].ssrc);
		assert_int_equal(s->ts, w->sent[0].ts + i * FRAME);
		assert_int_equal(s->at_us, w->sent[0].at_us + (int64_t)i * TICK);
	}
	assert_int_equal(pl_codec_counters(w->codec).late, 0);
	rest(w, 10 * 1000000);
	assert_int_equal(pl_codec_deadline(w->codec), INT64_MAX);
	const struct pl_codec_counters counters = pl_codec_counters(w->codec);
	assert_int_equal(counters.voices + counters.encoders + counters.rooms_active + counters.packets_used, 0);
	assert_int_equal(counters.rooms, 1);

	/* And again, on the same clock. */
	const struct sent last = w->sent[w->sent_count - 1];
	const uint32_t before = w->sent_count;
	talk(w, 1, 1000, 20);
	const struct sent *next = &w->sent[before];
	assert_int_equal(next->ssrc, last.ssrc);
	assert_int_equal((int64_t)(uint32_t)(next->ts - last.ts) * TICK, (next->at_us - last.at_us) * FRAME);
}

/* Thousands of rooms in which nobody talks are free: no deadline, no memory but their own. */
static void test_idle_rooms_cost_nothing(void **state)
{
	struct world *w = *state;
	for (uint32_t room = 1; room <= ROOMS_MAX; room++)
		open(w, room, 1 << PL_MIX_FULL);
	assert_int_equal(pl_codec_deadline(w->codec), INT64_MAX);
	talk(w, 1, 0, 50);
	struct pl_codec_counters counters = pl_codec_counters(w->codec);
	assert_int_equal(counters.rooms, ROOMS_MAX);
	assert_int_equal(counters.rooms_active, 1);
	assert_in_range(counters.mixer.ticks, 48, 51);
	assert_int_equal(counters.voices_most, 1);
	assert_int_equal(counters.encoders_most, 1);
	open(w, ROOMS_MAX + 1, 1 << PL_MIX_FULL);
	hear(w, ROOMS_MAX + 1, 1, 0);
	counters = pl_codec_counters(w->codec);
	assert_int_equal(counters.rooms_full, 1);
	assert_int_equal(counters.drop[PL_DROP_MIX_CLOSED], 1);
	for (uint32_t room = 1; room <= ROOMS_MAX; room++)
		open(w, room, 0);
	counters = pl_codec_counters(w->codec);
	assert_int_equal(counters.rooms + counters.rooms_active + counters.voices + counters.encoders, 0);
	open(w, ROOMS_MAX + 1, 1 << PL_MIX_FULL);
	hear(w, ROOMS_MAX + 1, 1, 0);
	assert_int_equal(drops(w, PL_DROP_MIX_CLOSED), 1);
}

/* What many rooms send leaves in four portions of 5 ms, not in one; also when others had been there before. */
static void test_rooms_are_spread_over_the_tick(void **state)
{
	struct world *w = *state;
	enum { ROOMS = 80 };
	for (uint32_t room = 1; room <= ROOMS; room++)
		open(w, room, 1 << PL_MIX_FULL);
	for (int round = 0; round < 2; round++) {
		talk(w, ROOMS, 20 * (uint32_t)round, 20);
		uint32_t portions = 0;
		for (uint32_t i = w->sent_count - 4 * ROOMS; i < w->sent_count; portions++) {
			const int64_t at_us = w->sent[i].at_us;
			uint32_t count = 0;
			for (; i < w->sent_count && w->sent[i].at_us == at_us; i++)
				count++;
			assert_int_equal(count, ROOMS / PL_CODEC_PHASES);
			assert_int_equal(at_us % PL_CODEC_STEP_US, 0);
		}
		assert_int_equal(portions, 4 * PL_CODEC_PHASES);
		/* All rooms of one of the four end, and as many begin. */
		for (uint32_t room = 1; room <= ROOMS; room += PL_CODEC_PHASES)
			open(w, room, 0);
		for (uint32_t room = 1; room <= ROOMS; room += PL_CODEC_PHASES)
			open(w, room, 1 << PL_MIX_FULL);
	}
}

/* What the network lost is concealed, and an operator sees how much. */
static void test_losses_are_counted(void **state)
{
	struct world *w = *state;
	open(w, 1, 1 << PL_MIX_FULL);
	for (uint32_t i = 0; i < 100; i++) {
		if (i % 10 != 5)
			hear(w, 1, 1, i);
		sleep_until(w, w->now_us + TICK);
	}
	assert_in_range(w->sent_count, 95, 100);
	rest(w, 10 * 1000000);
	const struct pl_mixer_counters counters = pl_codec_counters(w->codec).mixer;
	assert_in_range(counters.lost, 9, 10);
	assert_in_range(counters.concealed, 9 * FRAME, 20 * FRAME);
	assert_int_equal(counters.malformed, 0);
}

/* ---- late ---- */

/* The thread did not run for a while: what is due is made up for without a burst, and then all is as it was. */
static void test_late_steps_are_made_up_for(void **state)
{
	struct world *w = *state;
	open(w, 1, 1 << PL_MIX_FULL);
	talk(w, 1, 0, 50);
	const uint32_t before = w->sent_count;
	for (uint32_t i = 50; i < 53; i++) /* three ticks in which nothing is done, but talkers go on */
		hear(w, 1, 1, i);
	w->now_us += 3 * TICK;
	talk(w, 1, 53, 30);
	for (uint32_t i = before; i < w->sent_count; i++) {
		assert_int_equal(w->sent[i].ts, w->sent[i - 1].ts + FRAME);
		assert_true(w->sent[i].at_us >= w->sent[i - 1].at_us + PL_CODEC_CATCH_UP_US);
	}
	assert_in_range(w->sent_count - before, 32, 34);
	const struct pl_codec_counters counters = pl_codec_counters(w->codec);
	assert_in_range(counters.late, 2, 8);
	assert_true(counters.late_us_max >= 2 * TICK);
	assert_int_equal(counters.left_out, 0);
	assert_int_equal(pl_codec_counters(w->codec).late_us_max, 0);
	const uint64_t late = counters.late;
	talk(w, 1, 83, 20);
	assert_int_equal(pl_codec_counters(w->codec).late, late);
}

/* It did not run for a second: that second is gone, and its frames are not sent all at once. */
static void test_what_is_far_behind_is_left_out(void **state)
{
	struct world *w = *state;
	open(w, 1, 1 << PL_MIX_FULL);
	talk(w, 1, 0, 50);
	const uint32_t before = w->sent_count;
	w->now_us += 50 * TICK;
	talk(w, 1, 100, 30);
	assert_in_range(w->sent_count - before, 28, 32);
	for (uint32_t i = before + 1; i < w->sent_count; i++)
		assert_true(w->sent[i].at_us >= w->sent[i - 1].at_us + PL_CODEC_CATCH_UP_US);
	const uint32_t left_out = (uint32_t)pl_codec_counters(w->codec).left_out;
	assert_in_range(left_out, 49, 50);
	assert_int_equal(w->sent[before].ts - w->sent[before - 1].ts, (left_out + 1) * FRAME);
}

/* ---- bounds ---- */

static void test_bounds(void **state)
{
	struct world *w = *state;
	create_again(w, (struct pl_codec_config){ .rooms_max = 2,
				.voices_max = 1,
				.encoders_max = 1,
				.transcoders_max = 0,
				.packets = PL_POOL_PACKETS_MIN });
	open(w, 1, 1 << PL_MIX_FULL);
	open(w, 2, 1 << PL_MIX_FULL);
	talk(w, 2, 0, 20);
	assert_int_equal(drops(w, PL_DROP_MIX_FULL), 20);
	for (uint32_t i = 0; i < w->sent_count; i++)
		assert_int_equal(w->sent[i].room, 1);

	/* A shard that reads nothing keeps the packets: frames are lost, and counted, until it does. */
	w->is_holding = true;
	talk(w, 1, 20, 2 * PL_POOL_PACKETS_MIN);
	assert_int_equal(w->held_count, PL_POOL_PACKETS_MIN);
	assert_in_range(drops(w, PL_DROP_POOL_LOW), PL_POOL_PACKETS_MIN - 3, PL_POOL_PACKETS_MIN + 3);
	while (w->held_count > 0)
		pl_codec_release(w->codec, w->held[--w->held_count]);
	w->is_holding = false;
	const uint32_t before = w->sent_count;
	talk(w, 1, 20 + 2 * PL_POOL_PACKETS_MIN, 10);
	assert_in_range(w->sent_count - before, 9, 11);
	assert_int_equal(pl_codec_counters(w->codec).packets_used, 0);
}

static void test_messages_for_rooms_that_are_not_there(void **state)
{
	struct world *w = *state;
	hear(w, 7, 1, 0);
	assert_int_equal(drops(w, PL_DROP_MIX_CLOSED), 1);
	send(w, (struct pl_cross){ .kind = PL_CROSS_MIX_SILENT, .room = 7 });
	open(w, 7, 0);
	open(w, 7, 1 << PL_MIX_FULL);
	open(w, 7, 0);
	open(w, 7, 0);
	assert_int_equal(pl_codec_counters(w->codec).rooms, 0);
	assert_int_equal(pl_codec_deadline(w->codec), INT64_MAX);
}

/* ---- transcoding ---- */

static void transcode(struct world *w, uint32_t track, uint32_t i)
{
	struct pl_packet *p = w->packet;
	float pcm[PL_G711_FRAME];
	memset(p, 0, sizeof *p);
	p->source = track + 1;
	p->track = track;
	p->ssrc = 9;
	p->seq = (uint16_t)i;
	p->ts = i * PL_G711_FRAME;
	p->coding = PL_CODING_PCMU;
	p->mix_group = PL_MIX_PCMU + 1;
	pl_sound_sine(pcm, PL_G711_FRAME, (uint64_t)i * PL_G711_FRAME, 3000, 0.3); /* 500 Hz at 8 kHz */
	pl_g711_encode(PL_G711_PCMU, pcm, PL_G711_FRAME, p->data);
	p->payload = (struct pl_bytes){ p->data, PL_G711_FRAME };
	send(w, (struct pl_cross){ .kind = PL_CROSS_TRANSCODE, .room = 1, .packet = p });
}

/* A telephone's voice comes back as Opus, with all that its track is known by; rooms without a mix have it, too. */
static void test_telephones_are_transcoded(void **state)
{
	struct world *w = *state;
	for (uint32_t i = 0; i < 100; i++) {
		transcode(w, 77, i);
		if (i == 30)
			send(w, (struct pl_cross){ .kind = PL_CROSS_MIX_SILENT, .room = 1, .track = 77 });
		if (i == 60)
			open(w, 1, 0);
		if (i == 80)
			pl_codec_set_load(w->codec, (struct pl_mixer_load){ PL_MIXER_LOAD_STEPS - 1 });
		sleep_until(w, w->now_us + TICK);
	}
	assert_in_range(w->sent_count, 98, 101);
	for (uint32_t i = 0; i < w->sent_count; i++) {
		const struct sent *s = &w->sent[i];
		assert_int_equal(s->kind, PL_CROSS_TRANSCODED);
		assert_int_equal(s->to, HOME);
		assert_int_equal(s->room, 1);
		assert_int_equal(s->track, 77);
		assert_int_equal(s->source, 78);
		assert_int_equal(s->mix_group, PL_MIX_PCMU + 1);
		assert_int_equal(s->coding, PL_CODING_OPUS);
		assert_true(s->has_level && s->level < 30);
		assert_int_equal(s->ssrc, w->sent[0].ssrc);
		assert_int_equal(s->seq, (uint16_t)(w->sent[0].seq + i));
	}
	uint32_t before = 0, after = 0; /* bytes, without and with the load */
	for (uint32_t i = 0; i < 15; i++) {
		before += w->sent[60 + i].size;
		after += w->sent[83 + i].size;
	}
	assert_true(after * 10 < before * 8);
	assert_int_equal(pl_codec_counters(w->codec).transcoders, 1);
	rest(w, PL_CODEC_TRANSCODER_IDLE_US + 1000000);
	assert_int_equal(pl_codec_counters(w->codec).transcoders, 0);
	assert_int_equal(pl_codec_deadline(w->codec), INT64_MAX);
}

static void test_transcoders_are_bounded(void **state)
{
	struct world *w = *state;
	for (uint32_t i = 0; i < 20; i++) {
		for (uint32_t track = 1; track <= 6; track++)
			transcode(w, track, i);
		sleep_until(w, w->now_us + TICK);
	}
	assert_int_equal(pl_codec_counters(w->codec).transcoders, 4);
	assert_int_equal(drops(w, PL_DROP_MIX_FULL), 40);
	rest(w, PL_CODEC_TRANSCODER_IDLE_US + 1000000);
	transcode(w, 6, 100);
	assert_int_equal(drops(w, PL_DROP_MIX_FULL), 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_frames_go_home_and_stop, begin, end),
		cmocka_unit_test_setup_teardown(test_idle_rooms_cost_nothing, begin, end),
		cmocka_unit_test_setup_teardown(test_rooms_are_spread_over_the_tick, begin, end),
		cmocka_unit_test_setup_teardown(test_losses_are_counted, begin, end),
		cmocka_unit_test_setup_teardown(test_late_steps_are_made_up_for, begin, end),
		cmocka_unit_test_setup_teardown(test_what_is_far_behind_is_left_out, begin, end),
		cmocka_unit_test_setup_teardown(test_bounds, begin, end),
		cmocka_unit_test_setup_teardown(test_messages_for_rooms_that_are_not_there, begin, end),
		cmocka_unit_test_setup_teardown(test_telephones_are_transcoded, begin, end),
		cmocka_unit_test_setup_teardown(test_transcoders_are_bounded, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
