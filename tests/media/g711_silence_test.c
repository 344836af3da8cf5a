/* media/g711_silence: which packets of a telephone have nothing in them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "media/g711.h"
#include "media/g711_silence.h"
#include "media/rng.h"

enum { HZ = PL_G711_CLOCK_HZ, PACKET = PL_G711_FRAME, PACKETS_OF_SILENCE = PL_G711_SILENCE_MS / 20 };

static const enum pl_coding laws[] = { PL_CODING_PCMU, PL_CODING_PCMA };

struct line {
	struct pl_g711_silence silence;
	enum pl_coding coding;
	struct pl_rng rng;
	uint16_t seq;
	uint64_t said; /* samples */
	uint8_t spurt; /* of the last packet that was to be heard */
};

static struct line begin(enum pl_coding coding)
{
	struct line line = { .coding = coding, .seq = 65500 };
	pl_rng_init(&line.rng, 5);
	return line;
}

static bool is_left_out(struct line *line, uint16_t seq, enum pl_coding coding, const uint8_t *bytes, size_t size)
{
	struct pl_packet packet = { .coding = (uint8_t)coding, .seq = seq, .spurt = 77, .payload = { bytes, size } };
	const bool result = pl_g711_silence_leaves_out(&line->silence, &packet);
	if (!result)
		line->spurt = packet.spurt;
	return result;
}

/* A packet of a tone whose level is given, louder (or softer) in its last samples. */
static bool say_at_end(struct line *line, size_t count, double dbov, size_t end, double end_dbov)
{
	float pcm[960];
	uint8_t bytes[960];
	assert_true(count <= PL_COUNT(pcm) && end <= count);
	for (size_t i = 0; i < count; i++, line->said++) {
		const double amplitude = sqrt(2) * pow(10, -(i < count - end ? dbov : end_dbov) / 20);
		pcm[i] = (float)(amplitude * sin(2 * 3.14159265358979 * 1234 * (double)line->said / HZ));
	}
	pl_g711_encode(line->coding == PL_CODING_PCMU ? PL_G711_PCMU : PL_G711_PCMA, pcm, count, bytes);
	return is_left_out(line, line->seq++, line->coding, bytes, count);
}

static bool say(struct line *line, double dbov)
{
	return say_at_end(line, PACKET, dbov, 0, 0);
}

static unsigned left_out_of(struct line *line, unsigned packets, double dbov)
{
	unsigned count = 0;
	for (unsigned i = 0; i < packets; i++)
		count += say(line, dbov);
	return count;
}

/* A second of silence is heard, for it may be a pause between two words; what goes on is not.  The first packet with a word in it is heard, and
 * then a second again. */
static void test_silence_is_left_out_after_a_second(void **state)
{
	(void)state;
	for (size_t i = 0; i < PL_COUNT(laws); i++) {
		struct line line = begin(laws[i]);
		assert_int_equal(left_out_of(&line, 100, 200), 100 - PACKETS_OF_SILENCE);
		for (int round = 0; round < 3; round++) {
			assert_false(say(&line, 40));
			assert_int_equal(line.spurt, 1);
			assert_false(say(&line, 40));
			assert_int_equal(line.spurt, 0);
			assert_int_equal(left_out_of(&line, PACKETS_OF_SILENCE, 200), 0);
			assert_int_equal(left_out_of(&line, 10, 200), 10);
		}
	}
}

/* A pause of less than a second is none: neither its end nor its begin is cut, however often there is one. */
static void test_pauses_between_words_are_heard(void **state)
{
	(void)state;
	struct line line = begin(PL_CODING_PCMU);
	for (int word = 0; word < 20; word++) {
		assert_int_equal(left_out_of(&line, 10, 30), 0);
		assert_int_equal(left_out_of(&line, PACKETS_OF_SILENCE, 200), 0);
		assert_int_equal(line.spurt, 0);
	}
}

/* The noise of a room is heard on, like that of any microphone: cut off it would sound as if the line were dead.  That of the
 * line itself, which nobody hears, is silence. */
static void test_what_is_silence(void **state)
{
	(void)state;
	static const struct {
		double dbov;
		bool is_silence;
	} of[] = { { 40, false }, { 55, false }, { 60, false }, { 64, false }, { 65, false }, { 68, true },
		{ 72, true }, { 80, true } };
	for (size_t i = 0; i < PL_COUNT(laws); i++) {
		for (size_t k = 0; k < PL_COUNT(of); k++) {
			struct line line = begin(laws[i]);
			if (left_out_of(&line, 500, of[k].dbov) != (of[k].is_silence ? 500 - PACKETS_OF_SILENCE : 0))
				fail_msg("law %d, %.0f dBov", laws[i], of[k].dbov);
		}
	}
}

/* What an idle line of PCMA sends is its two zeros in any order, with a step more now and then: -70 dBov. */
static void test_an_idle_line_is_silence(void **state)
{
	(void)state;
	struct line line = begin(PL_CODING_PCMA);
	unsigned left_out = 0;
	for (int i = 0; i < 1000; i++) {
		uint8_t bytes[PACKET];
		for (size_t k = 0; k < PACKET; k++)
			bytes[k] = (uint8_t)(pl_rng_below(&line.rng, 2) != 0 ? 0xd5 : 0x55);
		for (size_t k = 0; k < PACKET; k += 10)
			bytes[k + pl_rng_below(&line.rng, 10)] ^= 1;
		left_out += is_left_out(&line, line.seq++, PL_CODING_PCMA, bytes, PACKET);
	}
	assert_int_equal(left_out, 1000 - PACKETS_OF_SILENCE);
}

/* A word may begin in the last 5 ms of a packet, and a packet may be long: what is loud for so long is not lost in the rest of it. */
static void test_a_word_may_begin_at_the_end_of_a_packet(void **state)
{
	(void)state;
	static const size_t sizes[] = { 80, 160, 240, 480, 960 };
	for (size_t i = 0; i < PL_COUNT(sizes); i++) {
		struct line line = begin(laws[i % 2]);
		while (!say_at_end(&line, sizes[i], 200, 0, 0))
			;
		assert_true(say_at_end(&line, sizes[i], 200, 40, 75));
		assert_false(say_at_end(&line, sizes[i], 200, 40, 60));
		assert_int_equal(line.spurt, 1);
	}
}

/* A telephone that has comfort noise says itself that it is silent: the first one ends what is said, the others say nothing. */
static void test_comfort_noise_is_silence(void **state)
{
	(void)state;
	static const uint8_t noise[] = { 60 };
	struct line line = begin(PL_CODING_PCMA);
	for (int word = 0; word < 3; word++) {
		assert_int_equal(left_out_of(&line, 10, 30), 0);
		assert_false(is_left_out(&line, line.seq++, PL_CODING_COMFORT_NOISE, noise, sizeof noise));
		for (int i = 0; i < 10; i++)
			assert_true(is_left_out(&line, line.seq++, PL_CODING_COMFORT_NOISE, noise, sizeof noise));
		assert_true(say(&line, 200));
		assert_false(say(&line, 30));
		assert_int_equal(line.spurt, 1);
	}
}

/* Of the first packets after silence the second may come first: the spurt says how many before it are still on their way; but what is
 * far away was lost, and is not waited for. */
static void test_a_spurt_says_what_is_missing_before_it(void **state)
{
	(void)state;
	static const struct {
		uint16_t after; /* the newest that was left out */
		uint8_t spurt;
	} of[] = { { 1, 1 }, { 2, 2 }, { 3, 3 }, { 4, 1 }, { 500, 1 }, { 40000, 1 }, { 65535, 1 } };
	for (size_t i = 0; i < PL_COUNT(of); i++) {
		struct line line = begin(PL_CODING_PCMU);
		left_out_of(&line, 70, 200); /* the numbers wrap */
		uint8_t silent[PACKET];
		memset(silent, 0xff, sizeof silent);
		assert_true(
			is_left_out(&line, (uint16_t)(line.seq - 3), PL_CODING_PCMU, silent, PACKET)); /* came late */
		line.seq = (uint16_t)(line.seq - 1 + of[i].after);
		assert_false(say(&line, 30));
		assert_int_equal(line.spurt, of[i].spurt);
		assert_false(say(&line, 30));
		assert_int_equal(line.spurt, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_silence_is_left_out_after_a_second),
		cmocka_unit_test(test_pauses_between_words_are_heard),
		cmocka_unit_test(test_what_is_silence),
		cmocka_unit_test(test_an_idle_line_is_silence),
		cmocka_unit_test(test_a_word_may_begin_at_the_end_of_a_packet),
		cmocka_unit_test(test_comfort_noise_is_silence),
		cmocka_unit_test(test_a_spurt_says_what_is_missing_before_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
