/* media/bitrate: what a talker sends is measured as its encoder means it, however the network delivers it. */
#include "media/bitrate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "media/rng.h"

enum { SECOND = 48000, FRAME = SECOND / 50, KBPS_96 = 96000 / 50 / 8 };

/* A packet that comes when there has been time for whatever its timestamp says. */
static uint32_t packet(struct pl_bitrate *b, uint32_t ts, size_t size)
{
	return pl_bitrate_packet(b, b->now_us + 10 * INT64_C(1000000), ts, size);
}

/* A stream's packets, one for each frame_ts, for so long.  Returns the average after the last. */
static uint32_t send(struct pl_bitrate *b, uint32_t *ts, uint32_t frame_ts, size_t size, uint32_t seconds)
{
	uint32_t bps = 0;
	for (uint32_t end = *ts + seconds * SECOND; *ts != end; *ts += frame_ts)
		bps = packet(b, *ts, size);
	return bps;
}

/* Whoever sends so many bits a second is said to send so many, whatever the length of the packets: a listener would be taken
 * away its talkers, or flooded by them, if it were another number. */
static void test_bitrate_of_a_constant_stream_is_exact(void **state)
{
	(void)state;
	static const struct {
		uint32_t frame_ts;
		size_t size;
		uint32_t bps;
	} of[] = { { FRAME, 80, 32000 }, { FRAME, 240, 96000 }, { FRAME / 2, 120, 96000 }, { 3 * FRAME, 240, 32000 },
		{ 120, 20, 64000 }, { FRAME, 1275, 510000 }, { FRAME, 1, 400 }, { FRAME, 0, 0 } };
	for (size_t i = 0; i < PL_COUNT(of); i++) {
		struct pl_bitrate b = { 0 };
		uint32_t ts = 4000000000u + (uint32_t)i; /* they wrap on the way */
		for (uint32_t end = ts + 60 * SECOND; ts != end; ts += of[i].frame_ts)
			assert_true(packet(&b, ts, of[i].size) <= of[i].bps);
		assert_int_equal(packet(&b, ts, of[i].size), of[i].bps);
	}
}

/* From zero: a great excess is seen soon, a little one late, so a loud word at the begin is none. */
static void test_bitrate_rises_with_time(void **state)
{
	(void)state;
	struct pl_bitrate b = { 0 };
	uint32_t ts = 1, ms_to_half = 0;
	for (uint32_t ms = 0; ms < 20000; ms += 20, ts += FRAME) {
		const uint32_t bps = packet(&b, ts, KBPS_96);
		if (bps >= 48000 && ms_to_half == 0)
			ms_to_half = ms;
		if (ms < 500)
			assert_true(bps < 15000);
	}
	assert_in_range(ms_to_half, 2600, 2900); /* ln 2 of 4 s */
}

/* It falls as it rises: from more to less, and in silence, whose packets have a byte or do not come at all. */
static void test_bitrate_falls(void **state)
{
	(void)state;
	struct pl_bitrate b = { 0 };
	uint32_t ts = 0;
	assert_int_equal(send(&b, &ts, FRAME, KBPS_96, 40), 96000);
	assert_in_range(send(&b, &ts, FRAME, 80, 4), 54500, 56500); /* 64,000 more is 23,500 more after 4 s */
	assert_in_range(send(&b, &ts, FRAME, 80, 40), 32000, 32050);
	ts += 2 * SECOND;
	assert_in_range(packet(&b, ts, 80), 16000, 16200); /* half of the 4 s */
	ts += 3600 * SECOND;
	assert_int_equal(packet(&b, ts, 80), 80 * 8 / PL_BITRATE_SPAN_S);
	struct pl_bitrate spurts = { 0 };
	uint32_t most = 0;
	for (int i = 0; i < 30; i++) {
		const uint32_t bps = send(&spurts, &ts, FRAME, KBPS_96, 1);
		most = bps > most ? bps : most;
		ts += SECOND; /* DTX */
	}
	assert_in_range(most, 48000, 56000); /* 96,000 in half of the time */
}

/* How far off it is at most, in thousandths, when so many packets always come at once and in any order. */
static uint32_t off_when_mixed_up(uint32_t window)
{
	enum { WINDOW_MAX = 25 };
	PL_ASSERT(window <= WINDOW_MAX);
	struct pl_bitrate b = { 0 };
	struct pl_rng rng;
	pl_rng_init(&rng, 1);
	uint32_t off = 0;
	for (uint32_t first = 0; first < 10000; first += window) {
		uint32_t order[WINDOW_MAX], bps = 0;
		for (uint32_t i = 0; i < window; i++)
			order[i] = i;
		for (uint32_t i = window - 1; i > 0; i--) {
			const uint32_t k = pl_rng_below(&rng, i + 1), swapped = order[i];
			order[i] = order[k];
			order[k] = swapped;
		}
		for (uint32_t i = 0; i < window; i++)
			bps = packet(&b, (first + order[i]) * FRAME, KBPS_96);
		const uint32_t distance = bps > 96000 ? bps - 96000 : 96000 - bps;
		if (first > 5000 && distance / 96 > off)
			off = distance / 96;
	}
	return off;
}

/* A network that holds packets back, mixes them up or loses them changes no bitrate: the timestamps say when they were sent. */
static void test_bitrate_does_not_mind_the_network(void **state)
{
	(void)state;
	assert_in_range(off_when_mixed_up(1), 0, 0);
	assert_in_range(off_when_mixed_up(3), 0, 5); /* 60 ms of jitter */
	assert_in_range(off_when_mixed_up(25), 0, 30);
	uint32_t bps = 0;
	struct pl_bitrate lossy = { 0 };
	for (uint32_t n = 0; n < 5000; n++) {
		if (n % 10 != 0)
			bps = packet(&lossy, n * FRAME, KBPS_96);
	}
	assert_in_range(bps, 86000, 87000); /* what has come */
}

/* A clock that is set, forward or back, in the middle of a stream: what is said is never more than what was sent, and soon right again.
 * (A packet held to be late by half a day would let no time pass until then.) */
static void test_bitrate_survives_wild_timestamps(void **state)
{
	(void)state;
	static const uint32_t jump[] = { 1u << 31, (1u << 31) - 1, (1u << 31) + 1, 0u - SECOND, 0u - SECOND - 1, 0u - 1,
		SECOND, 4 * SECOND, 10 * SECOND, 0u - 10 * SECOND, 0u - 3600 * SECOND, 3600u * SECOND };
	for (size_t i = 0; i < PL_COUNT(jump); i++) {
		struct pl_bitrate b = { 0 };
		uint32_t ts = 77;
		assert_int_equal(send(&b, &ts, FRAME, KBPS_96, 40), 96000);
		ts += jump[i];
		for (uint32_t n = 0; n < 60 * 50; n++, ts += FRAME)
			assert_true(packet(&b, ts, KBPS_96) <= 96000 + 24000); /* the second of 0 - SECOND */
		assert_in_range(packet(&b, ts, KBPS_96), 96000, 96050);
	}
}

/* Whatever comes, from a peer that means no good: nothing overflows; time that stands still adds up to the most there is, and
 * passes again. */
static void test_bitrate_is_bounded(void **state)
{
	(void)state;
	struct pl_bitrate b = { 0 };
	struct pl_rng rng;
	pl_rng_init(&rng, 2);
	for (int i = 0; i < 1000000; i++) {
		const uint32_t before = b.bits;
		const size_t size = (size_t)pl_rng_below(&rng, PL_DATAGRAM_SIZE_MAX + 1);
		const uint32_t ts = i % 3 == 0 ? b.ts : (uint32_t)pl_rng_next(&rng);
		const uint32_t bps = packet(&b, ts, size);
		assert_true(b.bits <= before + 8 * size && bps == b.bits / PL_BITRATE_SPAN_S);
	}
	uint32_t bps = 0;
	for (int i = 0; i < 500000; i++)
		bps = packet(&b, b.ts, PL_DATAGRAM_SIZE_MAX);
	assert_int_equal(bps, UINT32_MAX / PL_BITRATE_SPAN_S);
	uint32_t ts = b.ts + FRAME;
	assert_in_range(send(&b, &ts, FRAME, 80, 120), 32000, 32050);
}

/* Who says that seconds pass between two packets, or begins anew with each, would be measured as next to nothing, and flood whoever takes little. */
static void test_bitrate_believes_no_clock_that_runs_away(void **state)
{
	(void)state;
	static const uint32_t step[] = { 4 * SECOND, FRAME + FRAME / 2, 2 * FRAME, 1u << 30, 3600u * SECOND };
	for (size_t i = 0; i < PL_COUNT(step); i++) {
		struct pl_bitrate b = { 0 };
		uint32_t ts = 5, bps = 0;
		for (int64_t n = 0; n < 60 * 50; n++, ts += step[i])
			bps = pl_bitrate_packet(&b, n * 20000, ts, KBPS_96);
		assert_in_range(bps, 95000, 97000);
	}
	struct pl_bitrate b = { 0 };
	struct pl_rng rng;
	pl_rng_init(&rng, 3);
	uint32_t bps = 0;
	for (int64_t n = 0; n < 60 * 50; n++)
		bps = pl_bitrate_packet(&b, n * 20000, (uint32_t)pl_rng_next(&rng), KBPS_96);
	assert_true(bps > 90000);
}

/* What is honest is believed: clocks that are a little fast, networks that stand still for seconds and deliver it all at once, and
 * pauses of any length. */
static void test_bitrate_believes_honest_clocks(void **state)
{
	(void)state;
	struct pl_bitrate b = { 0 };
	uint32_t ts = 9;
	for (int64_t n = 0; n < 24 * 3600 * 50; n++, ts += FRAME) {
		/* 200 parts in a million fast; each minute a second of packets comes at once. */
		const int64_t at = n - n % 3000 > n - 50 ? n - n % 3000 + 50 : n;
		const uint32_t bps = pl_bitrate_packet(&b, at * 19996, ts, KBPS_96);
		if (n > 3000)
			assert_in_range(bps, 95500, 97000);
	}
	const int64_t now_us = b.now_us + 3600 * INT64_C(1000000);
	assert_int_equal(pl_bitrate_packet(&b, now_us, ts + 3600u * SECOND, 80), 80 * 8 / PL_BITRATE_SPAN_S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bitrate_of_a_constant_stream_is_exact),
		cmocka_unit_test(test_bitrate_rises_with_time),
		cmocka_unit_test(test_bitrate_falls),
		cmocka_unit_test(test_bitrate_does_not_mind_the_network),
		cmocka_unit_test(test_bitrate_survives_wild_timestamps),
		cmocka_unit_test(test_bitrate_is_bounded),
		cmocka_unit_test(test_bitrate_believes_no_clock_that_runs_away),
		cmocka_unit_test(test_bitrate_believes_honest_clocks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
