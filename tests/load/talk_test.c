#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/load/talk.h"

enum { PAYLOAD_BYTES = 100, RATE_HZ = 50, HOUR_FRAMES = 3600 * RATE_HZ };

/* A constant load is the same packet in every frame. */
static void test_talk_without_spurts_is_constant(void **state)
{
	(void)state;
	struct load_talk talk;
	load_talk_init(&talk, 1, PAYLOAD_BYTES, RATE_HZ, false);
	for (int i = 0; i < 1000; i++) {
		const struct load_frame frame = load_talk_next(&talk);
		assert_int_equal(frame.size, PAYLOAD_BYTES);
		assert_true(frame.is_voice && !frame.is_first);
	}
}

struct shares {
	uint32_t voice, comfort, silent, spurts;
	uint64_t voice_bytes;
	size_t size_min, size_max;
	uint32_t silent_run_max; /* frames without a packet */
};

static struct shares listen_for_an_hour(struct load_talk *talk)
{
	struct shares s = { .size_min = SIZE_MAX };
	uint32_t run = 0;
	for (int i = 0; i < HOUR_FRAMES; i++) {
		const struct load_frame frame = load_talk_next(talk);
		run = frame.size == 0 ? run + 1 : 0;
		s.silent_run_max = run > s.silent_run_max ? run : s.silent_run_max;
		s.silent += frame.size == 0;
		s.spurts += frame.is_first;
		if (!frame.is_voice) {
			s.comfort += frame.size > 0;
			continue;
		}
		s.voice++;
		s.voice_bytes += frame.size;
		s.size_min = frame.size < s.size_min ? frame.size : s.size_min;
		s.size_max = frame.size > s.size_max ? frame.size : s.size_max;
	}
	return s;
}

/* ITU-T P.59: spurts of 1.004 s, pauses of 1.587 s, so 38.8 % talk; in pauses DTX refreshes every 400 ms. */
static void test_talk_spurts_are_as_people_talk(void **state)
{
	(void)state;
	struct load_talk talk;
	load_talk_init(&talk, 3, PAYLOAD_BYTES, RATE_HZ, true);
	const struct shares s = listen_for_an_hour(&talk);
	assert_in_range(s.voice, HOUR_FRAMES * 36 / 100, HOUR_FRAMES * 42 / 100);
	assert_in_range(s.spurts, 3600 * 1000 / 2591 * 9 / 10, 3600 * 1000 / 2591 * 11 / 10);
	assert_in_range(s.voice_bytes / s.voice, 98, 102);
	assert_int_equal(s.size_min, PAYLOAD_BYTES / 2);
	assert_int_equal(s.size_max, PAYLOAD_BYTES * 3 / 2);
	assert_true(s.silent > s.comfort * 4);
	assert_int_equal(s.silent_run_max, 400 / 20 - 1);
}

/* The same seed makes the same load again, another one does not. */
static void test_talk_follows_its_seed(void **state)
{
	(void)state;
	struct load_talk talk[3];
	int differing = 0;
	for (int i = 0; i < 3; i++)
		load_talk_init(&talk[i], i == 2 ? 6 : 5, PAYLOAD_BYTES, RATE_HZ, true);
	for (int i = 0; i < 1000; i++) {
		const struct load_frame a = load_talk_next(&talk[0]), b = load_talk_next(&talk[1]);
		assert_int_equal(a.size, b.size);
		differing += load_talk_next(&talk[2]).size != a.size;
	}
	assert_true(differing > 100);
}

/* What is read is when it was sent, in payloads of every size that hold it; in others there is no stamp. */
static void test_talk_stamp_comes_back(void **state)
{
	(void)state;
	uint8_t payload[200];
	for (size_t size = 1; size <= sizeof payload; size++) {
		const int64_t now_ns = INT64_C(123456789012345) + (int64_t)size;
		int64_t sent_ns = 0;
		memset(payload, 0xa5, sizeof payload);
		load_stamp_write((struct pl_span){ payload, size }, now_ns);
		assert_int_equal(
			load_stamp_read((struct pl_bytes){ payload, size }, &sent_ns), size >= LOAD_STAMP_SIZE);
		if (size >= LOAD_STAMP_SIZE)
			assert_int_equal(sent_ns, now_ns);
		if (size < sizeof payload)
			assert_int_equal(payload[size], 0xa5);
	}
}

/* Somebody else's audio, in the same room, is not taken for a stamp. */
static void test_talk_other_payloads_have_no_stamp(void **state)
{
	(void)state;
	uint8_t payload[PAYLOAD_BYTES];
	int64_t sent_ns;
	assert_false(load_stamp_read((struct pl_bytes){ payload, 0 }, &sent_ns));
	load_stamp_write((struct pl_span){ payload, sizeof payload }, 1);
	for (size_t i = 1; i < 9; i++) {
		payload[i] ^= 1;
		assert_false(load_stamp_read((struct pl_bytes){ payload, sizeof payload }, &sent_ns));
		payload[i] ^= 1;
	}
	assert_true(load_stamp_read((struct pl_bytes){ payload, sizeof payload }, &sent_ns));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_talk_without_spurts_is_constant),
		cmocka_unit_test(test_talk_spurts_are_as_people_talk),
		cmocka_unit_test(test_talk_follows_its_seed),
		cmocka_unit_test(test_talk_stamp_comes_back),
		cmocka_unit_test(test_talk_other_payloads_have_no_stamp),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
