#include "sfu/speakers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "media/rng.h"

enum { PACKET_MS = 20, SPEECH = 30, SILENCE = 90 };

struct room {
	struct pl_speakers speakers;
	struct pl_speaker source[16]; /* source[i] has the id i + 1 */
	int64_t now_us;
};

static void room_init(struct room *room, uint8_t capacity)
{
	*room = (struct room){ .now_us = 1000000 };
	pl_speakers_init(&room->speakers, capacity);
	for (uint32_t i = 0; i < PL_COUNT(room->source); i++)
		pl_speaker_init(&room->source[i], i + 1, i + 101);
}

static bool packet(struct room *room, int who, uint8_t level)
{
	return pl_speakers_packet(&room->speakers, &room->source[who], room->now_us, level, level < SILENCE);
}

/* Everybody with a level sends packets for so long; 0 sends nothing.  Returns how often the ranking changed. */
static uint32_t talk(struct room *room, int ms, const uint8_t *level, int count)
{
	const uint32_t before = room->speakers.generation;
	for (int t = 0; t < ms; t += PACKET_MS, room->now_us += PACKET_MS * 1000) {
		for (int i = 0; i < count; i++) {
			if (level[i] != 0)
				packet(room, i, level[i]);
		}
	}
	return room->speakers.generation - before;
}

/* In a small room no syllable is lost, not even one that the sender's detector took for silence. */
static void test_speakers_free_place_takes_first_packet_of_anybody(void **state)
{
	(void)state;
	struct room room;
	room_init(&room, 3);
	assert_true(packet(&room, 0, 127));
	assert_true(packet(&room, 1, SILENCE));
	assert_true(packet(&room, 2, SPEECH));
	assert_false(packet(&room, 3, SILENCE));
	assert_int_equal(room.speakers.count, 3);
}

/* Silence is what has nothing to hear in it for a second; a breath ends it at once. */
static void test_speakers_silence_is_known(void **state)
{
	(void)state;
	struct room room;
	room_init(&room, 3);
	const uint8_t silent = PL_SPEAKER_SILENT_LEVEL, soft = PL_SPEAKER_SILENT_LEVEL - 1;
	talk(&room, (PL_SPEAKER_SILENT_PACKETS - 1) * PACKET_MS, &silent, 1);
	assert_false(pl_speaker_is_silent(&room.source[0]));
	talk(&room, PACKET_MS, &silent, 1);
	assert_true(pl_speaker_is_silent(&room.source[0]));
	talk(&room, 10 * PL_SPEAKER_SILENT_PACKETS * PACKET_MS, &silent, 1);
	assert_true(pl_speaker_is_silent(&room.source[0]) && room.source[0].is_on_air);
	packet(&room, 0, soft);
	assert_false(pl_speaker_is_silent(&room.source[0]));
	talk(&room, PL_SPEAKER_SILENT_PACKETS * PACKET_MS, &silent, 1);
	assert_true(pl_speaker_is_silent(&room.source[0]));
	pl_speakers_remove(&room.speakers, &room.source[0]); /* muted: it begins anew */
	assert_false(pl_speaker_is_silent(&room.source[0]));
}

/* In a full room somebody begins to speak: the first syllable must be heard when there is silence to put away. */
static void test_speakers_first_voiced_packet_takes_silent_place(void **state)
{
	(void)state;
	struct room room;
	room_init(&room, 3);
	talk(&room, 1000, (uint8_t[]){ SPEECH, SILENCE, SPEECH, SILENCE }, 4);
	assert_false(room.source[3].is_on_air);
	assert_true(packet(&room, 3, SPEECH));
	assert_false(room.source[1].is_on_air);
	assert_true(room.source[0].is_on_air && room.source[2].is_on_air);
}

/* A pause for breath is no silence: whoever speaks keeps the place over pauses shorter than the hangover. */
static void test_speakers_pause_shorter_than_hangover_keeps_place(void **state)
{
	(void)state;
	struct room room;
	room_init(&room, 1);
	talk(&room, 400, (uint8_t[]){ SPEECH }, 1);
	assert_int_equal(
		talk(&room, PL_SPEAKER_VOICE_HANGOVER_MS - 2 * PACKET_MS, (uint8_t[]){ SILENCE, SPEECH }, 2), 0);
	talk(&room, 3 * PACKET_MS, (uint8_t[]){ SILENCE, SPEECH }, 2);
	assert_true(room.source[1].is_on_air);
}

/* Two people talk at once, equally loud on average, each syllable another level: whoever was heard goes on being
 * heard, or their words would be chopped into pieces. */
static void test_speakers_equal_talkers_do_not_flap(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct room room;
		struct pl_rng rng;
		room_init(&room, 1);
		pl_rng_init(&rng, seed);
		packet(&room, 0, SPEECH);
		const uint32_t before = room.speakers.generation;
		for (int i = 0; i < 60 * 1000 / PACKET_MS; i++, room.now_us += PACKET_MS * 1000) {
			packet(&room, 0, (uint8_t)(SPEECH - 8 + pl_rng_below(&rng, 17)));
			packet(&room, 1, (uint8_t)(SPEECH - 8 + pl_rng_below(&rng, 17)));
		}
		if (room.speakers.generation != before)
			fail_msg("seed %d: %u changes", (int)seed, (unsigned)(room.speakers.generation - before));
	}
}

/* A clearly louder voice gets through, but not before it has been louder for the hold time. */
static void test_speakers_louder_voice_takes_over_after_hold(void **state)
{
	(void)state;
	struct room room;
	room_init(&room, 1);
	talk(&room, 1000, (uint8_t[]){ SPEECH + 10 }, 1);
	talk(&room, PL_SPEAKER_HOLD_MS - PACKET_MS, (uint8_t[]){ SPEECH + 10, SPEECH - 10 }, 2);
	assert_true(room.source[0].is_on_air);
	talk(&room, 3 * PACKET_MS, (uint8_t[]){ SPEECH + 10, SPEECH - 10 }, 2);
	assert_true(room.source[1].is_on_air);
	assert_false(room.source[0].is_on_air);
}

/* A voice that is louder by less than the margin waits, however long it talks. */
static void test_speakers_voice_within_margin_waits(void **state)
{
	(void)state;
	struct room room;
	room_init(&room, 1);
	talk(&room, 1000, (uint8_t[]){ SPEECH }, 1);
	assert_int_equal(talk(&room, 10000, (uint8_t[]){ SPEECH, SPEECH - PL_SPEAKER_MARGIN_DB + 1 }, 2), 0);
}

/* A door that slams every half second takes nobody's place. */
static void test_speakers_clicks_do_not_take_a_talking_place(void **state)
{
	(void)state;
	struct room room;
	room_init(&room, 1);
	talk(&room, 1000, (uint8_t[]){ SPEECH + 10 }, 1);
	for (int i = 0; i < 20; i++) {
		packet(&room, 1, 5);
		assert_int_equal(talk(&room, 500, (uint8_t[]){ SPEECH + 10, SILENCE }, 2), 0);
	}
}

/* Browsers set the V bit on every packet: a quiet microphone must not hold a place by it, and a loud one of a sender
 * that never sets it must get one. */
static void test_speakers_v_bit_counts_only_where_the_level_allows(void **state)
{
	(void)state;
	struct room room;
	room_init(&room, 1);
	for (int i = 0; i < 10; i++, room.now_us += PACKET_MS * 1000)
		pl_speakers_packet(&room.speakers, &room.source[0], room.now_us, 75, true);
	assert_true(pl_speakers_packet(&room.speakers, &room.source[1], room.now_us, 35, false));
}

/* Mute: the place is free at once, and the loudest of those who are talking over each other gets it, not the luckiest. */
static void test_speakers_freed_place_goes_to_loudest_waiting_voice(void **state)
{
	(void)state;
	struct room room;
	room_init(&room, 1);
	talk(&room, 1000, (uint8_t[]){ SPEECH, SPEECH + 8, SPEECH + 2, SILENCE }, 4);
	assert_true(room.source[0].is_on_air);
	pl_speakers_remove(&room.speakers, &room.source[0]);
	assert_int_equal(room.speakers.count, 0);
	assert_false(packet(&room, 3, SILENCE));
	assert_false(packet(&room, 1, SPEECH + 8));
	assert_true(packet(&room, 2, SPEECH + 2));
}

/* Fewer slots in the room: the worst in the ranking go off air; more: the next packet goes on. */
static void test_speakers_resize_keeps_the_best(void **state)
{
	(void)state;
	struct room room;
	room_init(&room, 4);
	talk(&room, 1000, (uint8_t[]){ SILENCE, SPEECH, SILENCE, SPEECH }, 4);
	pl_speakers_resize(&room.speakers, 2);
	assert_true(room.source[1].is_on_air && room.source[3].is_on_air);
	assert_false(packet(&room, 0, SILENCE));
	pl_speakers_resize(&room.speakers, 3);
	assert_true(packet(&room, 0, SILENCE));
}

/* The list that lights up tiles: voices only, loudest first, empty soon after the last word. */
static void test_speakers_top_lists_voices_loudest_first(void **state)
{
	(void)state;
	struct room room;
	uint32_t top[PL_TOP_MAX];
	room_init(&room, 4);
	talk(&room, 1000, (uint8_t[]){ SPEECH + 20, SILENCE, SPEECH - 10, SILENCE }, 4);
	assert_int_equal(pl_speakers_top(&room.speakers, room.now_us, top), 2);
	assert_int_equal(top[0], 3);
	assert_int_equal(top[1], 1);
	talk(&room, PL_SPEAKER_VOICE_HANGOVER_MS + PACKET_MS, (uint8_t[]){ SILENCE, SILENCE, SILENCE, SILENCE }, 4);
	assert_int_equal(pl_speakers_top(&room.speakers, room.now_us, top), 0);
	assert_int_equal(room.speakers.dominant, 3);
}

static uint32_t dominant(struct room *room)
{
	uint32_t top[PL_TOP_MAX];
	pl_speakers_top(&room->speakers, room->now_us, top);
	return room->speakers.dominant;
}

/* The large picture follows who has the word, and does not jump at a "mhm" or while two talk alike. */
static void test_speakers_dominant_does_not_flicker(void **state)
{
	(void)state;
	struct room room;
	room_init(&room, 4);
	assert_int_equal(dominant(&room), 0);
	talk(&room, 200, (uint8_t[]){ SPEECH }, 1);
	assert_int_equal(dominant(&room), 1);
	talk(&room, 2000, (uint8_t[]){ SPEECH, SPEECH }, 2);
	assert_int_equal(dominant(&room), 1);
	talk(&room, 700, (uint8_t[]){ SILENCE, SILENCE }, 2);
	talk(&room, 200, (uint8_t[]){ SILENCE, SPEECH - 10 }, 2);
	assert_int_equal(dominant(&room), 1); /* "mhm" */
	talk(&room, 200, (uint8_t[]){ SILENCE, SPEECH - 10 }, 2);
	assert_int_equal(dominant(&room), 2);
	talk(&room, 500, (uint8_t[]){ 10, SPEECH + 5 }, 2);
	assert_int_equal(dominant(&room), 2); /* not so soon */
	talk(&room, 800, (uint8_t[]){ 10, SPEECH + 5 }, 2);
	assert_int_equal(dominant(&room), 1);
}

/* What must hold for any room and any behaviour: never more on air than places, at most one change of who is on air
 * a packet, and nobody whose voice is heard loses the place within the hold time. */
struct model {
	bool is_on_air[16];
	int64_t entered_us[16], voiced_us[16];
};

static void check_step(struct room *room, struct model *model, uint64_t seed, bool is_removal)
{
	int on_air = 0, left = 0;
	for (int i = 0; i < 16; i++) {
		const struct pl_speaker *speaker = &room->source[i];
		int listed = 0;
		for (int k = 0; k < room->speakers.count; k++)
			listed += room->speakers.on_air[k] == speaker;
		if (listed != speaker->is_on_air)
			fail_msg("seed %d: source %d is listed %d times", (int)seed, i, listed);
		on_air += speaker->is_on_air;
		if (speaker->is_on_air && !model->is_on_air[i])
			model->entered_us[i] = room->now_us;
		if (!speaker->is_on_air && model->is_on_air[i] && !is_removal) {
			left++;
			const bool was_talking =
				model->voiced_us[i] > room->now_us - PL_SPEAKER_VOICE_HANGOVER_MS * 1000;
			if (was_talking && room->now_us - model->entered_us[i] < PL_SPEAKER_HOLD_MS * 1000)
				fail_msg("seed %d: voice %d lost its place too early", (int)seed, i);
		}
		model->is_on_air[i] = speaker->is_on_air;
	}
	if (on_air > room->speakers.capacity || left > 1)
		fail_msg("seed %d: %d on air, %d left at once", (int)seed, on_air, left);
}

static void test_speakers_any_room_keeps_bounds_and_hysteresis(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 30; seed++) {
		struct room room;
		struct model model = { 0 };
		struct pl_rng rng;
		bool is_talking[16] = { false };
		uint8_t loudness[16] = { 0 };
		pl_rng_init(&rng, seed);
		room_init(&room, (uint8_t)(1 + pl_rng_below(&rng, 6)));
		for (int i = 0; i < 16; i++)
			model.voiced_us[i] = INT64_MIN;
		for (int step = 0; step < 40000; step++, room.now_us += pl_rng_below(&rng, 2500)) {
			const uint32_t i = pl_rng_below(&rng, 16);
			if (pl_rng_below(&rng, 60) == 0) {
				is_talking[i] = !is_talking[i];
				loudness[i] = (uint8_t)(5 + pl_rng_below(&rng, 45));
			}
			if (pl_rng_below(&rng, 500) == 0) {
				pl_speakers_remove(&room.speakers, &room.source[i]);
				model.voiced_us[i] = INT64_MIN;
				check_step(&room, &model, seed, true);
			}
			const uint8_t level = is_talking[i] ? (uint8_t)(loudness[i] + pl_rng_below(&rng, 9)) : SILENCE;
			pl_speakers_packet(&room.speakers, &room.source[i], room.now_us, level, level < SILENCE);
			check_step(&room, &model, seed, false);
			if (level < SILENCE)
				model.voiced_us[i] = room.now_us;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_speakers_free_place_takes_first_packet_of_anybody),
		cmocka_unit_test(test_speakers_silence_is_known),
		cmocka_unit_test(test_speakers_first_voiced_packet_takes_silent_place),
		cmocka_unit_test(test_speakers_pause_shorter_than_hangover_keeps_place),
		cmocka_unit_test(test_speakers_equal_talkers_do_not_flap),
		cmocka_unit_test(test_speakers_louder_voice_takes_over_after_hold),
		cmocka_unit_test(test_speakers_voice_within_margin_waits),
		cmocka_unit_test(test_speakers_clicks_do_not_take_a_talking_place),
		cmocka_unit_test(test_speakers_v_bit_counts_only_where_the_level_allows),
		cmocka_unit_test(test_speakers_freed_place_goes_to_loudest_waiting_voice),
		cmocka_unit_test(test_speakers_resize_keeps_the_best),
		cmocka_unit_test(test_speakers_top_lists_voices_loudest_first),
		cmocka_unit_test(test_speakers_dominant_does_not_flicker),
		cmocka_unit_test(test_speakers_any_room_keeps_bounds_and_hysteresis),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
