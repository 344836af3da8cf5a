#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/load/stream.h"

enum { SSRC = 0, FRAME_US = 20000, FRAME_TS = 960 };

static void arrive(struct load_stream *stream, uint32_t first, uint32_t last)
{
	for (uint32_t n = first; n <= last; n++)
		load_stream_packet(stream, (int64_t)n * FRAME_US, (uint16_t)n, n * FRAME_TS);
}

static void expect(const struct load_stream *stream, uint64_t delivered, uint64_t lost, uint32_t restarts)
{
	struct load_tally tally = { 0 };
	load_stream_tally(stream, &tally);
	assert_int_equal(tally.delivered, delivered);
	assert_int_equal(tally.lost, lost);
	assert_int_equal(tally.restarts, restarts);
	assert_int_equal(tally.streams, delivered > 0);
}

/* Loss while the clients joined is not the measurement's, and a wrap of the numbers is none at all. */
static void test_stream_counts_gaps_of_the_measurement_alone(void **state)
{
	(void)state;
	struct load_stream stream;
	load_stream_init(&stream, SSRC);
	expect(&stream, 0, 0, 0);
	arrive(&stream, 65000, 65100);
	arrive(&stream, 65200, 65300);
	load_stream_begin(&stream);
	expect(&stream, 0, 0, 0);
	arrive(&stream, 65301, 65500);
	arrive(&stream, 65504, 65600); /* three are missing; 65536 wraps */
	expect(&stream, 200 + 97, 3, 0);
}

/* The gap that straddles the beginning counts: its packets were due in the measurement. */
static void test_stream_begins_in_a_gap(void **state)
{
	(void)state;
	struct load_stream stream;
	load_stream_init(&stream, SSRC);
	arrive(&stream, 1, 10);
	load_stream_begin(&stream);
	arrive(&stream, 14, 20);
	expect(&stream, 7, 3, 0);
}

/* A slot that had nobody before the measurement begins with the first packet. */
static void test_stream_may_begin_in_the_measurement(void **state)
{
	(void)state;
	struct load_stream stream;
	load_stream_init(&stream, SSRC);
	load_stream_begin(&stream);
	arrive(&stream, 40000, 40009);
	expect(&stream, 10, 0, 0);
}

/* Late is not lost, and what comes twice does not make up for what is lost by more than itself. */
static void test_stream_late_packets_fill_their_gap(void **state)
{
	(void)state;
	struct load_stream stream;
	load_stream_init(&stream, SSRC);
	load_stream_begin(&stream);
	arrive(&stream, 1, 5);
	arrive(&stream, 7, 8);
	expect(&stream, 7, 1, 0);
	arrive(&stream, 6, 6);
	expect(&stream, 8, 0, 0);
	arrive(&stream, 8, 8);
	expect(&stream, 9, 0, 0);
}

/* A server that does not renumber jumps when the speaker of a slot changes: four billion lost packets would be a lie,
 * and so would be forgetting those lost before. */
static void test_stream_survives_a_new_beginning(void **state)
{
	(void)state;
	struct load_stream stream;
	load_stream_init(&stream, SSRC);
	arrive(&stream, 1, 100);
	load_stream_begin(&stream);
	arrive(&stream, 101, 150);
	arrive(&stream, 153, 160); /* two missing */
	arrive(&stream, 30000,
		30010); /* the first of a jump is not counted: RFC 3550 appendix A.1 wants two in a row */
	expect(&stream, 58 + 10, 2, 1);
	arrive(&stream, 30012, 30012);
	expect(&stream, 58 + 11, 3, 1);
	arrive(&stream, 7000, 7001);
	expect(&stream, 58 + 11 + 1, 3, 2);
	load_stream_begin(&stream);
	expect(&stream, 0, 0, 0);
}

/* One stray number does not make a beginning, not even when it is the second packet ever. */
static void test_stream_one_far_number_is_no_beginning(void **state)
{
	(void)state;
	struct load_stream stream;
	load_stream_init(&stream, SSRC);
	load_stream_begin(&stream);
	arrive(&stream, 1, 1);
	arrive(&stream, 20000, 20000);
	arrive(&stream, 2, 3);
	expect(&stream, 3, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stream_counts_gaps_of_the_measurement_alone),
		cmocka_unit_test(test_stream_begins_in_a_gap),
		cmocka_unit_test(test_stream_may_begin_in_the_measurement),
		cmocka_unit_test(test_stream_late_packets_fill_their_gap),
		cmocka_unit_test(test_stream_survives_a_new_beginning),
		cmocka_unit_test(test_stream_one_far_number_is_no_beginning),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
