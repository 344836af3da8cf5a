#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "media/reception.h"

enum { SSRC = 77, CLOCK = 48000, FRAME_US = 20000, FRAME_TS = 960 };

static struct pl_rtcp_block report(struct pl_reception *r, int64_t now_us)
{
	struct pl_rtcp_block block;
	assert_true(pl_reception_report(r, now_us, &block));
	assert_int_equal(block.ssrc, SSRC);
	return block;
}

/* Packets number first to last arrive in time but for those with number % skip == 0. */
static void arrive(struct pl_reception *r, uint32_t first, uint32_t last, uint32_t skip)
{
	for (uint32_t n = first; n <= last; n++)
		if (skip == 0 || n % skip != 0)
			pl_reception_packet(r, (int64_t)n * FRAME_US, (uint16_t)n, n * FRAME_TS);
}

static void test_reception_nothing_received_is_nothing_to_report(void **state)
{
	(void)state;
	struct pl_reception r;
	struct pl_rtcp_block block;
	pl_reception_init(&r, SSRC, CLOCK);
	assert_false(pl_reception_report(&r, 0, &block));
}

/* The publisher's browser adapts to what is told here: a wrap of the numbers is no loss, every tenth missing is a tenth. */
static void test_reception_loss_is_counted_over_a_wrap(void **state)
{
	(void)state;
	struct pl_reception r;
	pl_reception_init(&r, SSRC, CLOCK);
	arrive(&r, 65001, 66000, 10);
	struct pl_rtcp_block block = report(&r, INT64_C(66000) * FRAME_US);
	assert_int_equal(block.lost, 99); /* 66000 itself is not known to be missing yet */
	assert_int_equal(block.fraction_lost, 99 * 256 / 999);
	assert_int_equal(block.seq_highest, 65999);
	assert_int_equal(block.jitter, 0);

	arrive(&r, 66001, 67000, 0);
	block = report(&r, INT64_C(67000) * FRAME_US);
	assert_int_equal(block.lost, 100);
	assert_int_equal(block.fraction_lost, 1 * 256 / 1001);
	assert_int_equal(block.seq_highest, 67000);
}

/* Duplicates make the total negative and the fraction none, never 255/256. */
static void test_reception_duplicates_are_no_loss(void **state)
{
	(void)state;
	struct pl_reception r;
	pl_reception_init(&r, SSRC, CLOCK);
	arrive(&r, 1, 100, 0);
	arrive(&r, 91, 100, 0);
	const struct pl_rtcp_block block = report(&r, 100 * FRAME_US);
	assert_int_equal(block.lost, -10);
	assert_int_equal(block.fraction_lost, 0);
}

static void test_reception_reordering_is_neither_loss_nor_a_wrap(void **state)
{
	(void)state;
	struct pl_reception r;
	pl_reception_init(&r, SSRC, CLOCK);
	arrive(&r, 65530, 65533, 0);
	arrive(&r, 65538, 65539, 0);
	arrive(&r, 65534, 65537, 0);
	const struct pl_rtcp_block block = report(&r, 0);
	assert_int_equal(block.lost, 0);
	assert_int_equal(block.seq_highest, 65539);
}

/* Packets that come 10 ms early and late in turn differ by 20 ms each time: jitter rises towards it (RFC 3550 A.8). */
static void test_reception_jitter_follows_the_spacing(void **state)
{
	(void)state;
	struct pl_reception r;
	pl_reception_init(&r, SSRC, CLOCK);
	for (uint32_t n = 1; n <= 500; n++) {
		const int64_t shift_us = n % 2 == 0 ? 10000 : -10000;
		pl_reception_packet(&r, (int64_t)n * FRAME_US + shift_us, (uint16_t)n, n * FRAME_TS);
	}
	const struct pl_rtcp_block block = report(&r, 500 * FRAME_US);
	assert_in_range(block.jitter, 940, 970);
}

/* One stray number is dropped from the count; two in a row are a sender that began anew. */
static void test_reception_restart_begins_a_new_count(void **state)
{
	(void)state;
	struct pl_reception r;
	pl_reception_init(&r, SSRC, CLOCK);
	arrive(&r, 1, 100, 0);
	pl_reception_packet(&r, 101 * FRAME_US, 40000, 0);
	arrive(&r, 101, 110, 0);
	assert_int_equal(report(&r, 0).lost, 0);
	assert_int_equal(report(&r, 0).seq_highest, 110);

	pl_reception_packet(&r, 111 * FRAME_US, 40000, 0);
	pl_reception_packet(&r, 112 * FRAME_US, 40001, FRAME_TS);
	pl_reception_packet(&r, 113 * FRAME_US, 40002, 2 * FRAME_TS);
	const struct pl_rtcp_block block = report(&r, 0);
	assert_int_equal(block.seq_highest, 40002);
	assert_int_equal(block.lost, 0);
}

/* LSR and DLSR are what the publisher's round-trip time is made of. */
static void test_reception_sender_report_is_answered_with_its_delay(void **state)
{
	(void)state;
	struct pl_reception r;
	pl_reception_init(&r, SSRC, CLOCK);
	arrive(&r, 1, 2, 0);
	assert_int_equal(report(&r, 50000).last_sr, 0);
	assert_int_equal(report(&r, 50000).delay_since_sr, 0);
	pl_reception_sr(&r, 1000000, UINT64_C(0x1122334455667788));
	const struct pl_rtcp_block block = report(&r, 1500000);
	assert_int_equal(block.last_sr, 0x33445566);
	assert_int_equal(block.delay_since_sr, 32768);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reception_nothing_received_is_nothing_to_report),
		cmocka_unit_test(test_reception_loss_is_counted_over_a_wrap),
		cmocka_unit_test(test_reception_duplicates_are_no_loss),
		cmocka_unit_test(test_reception_reordering_is_neither_loss_nor_a_wrap),
		cmocka_unit_test(test_reception_jitter_follows_the_spacing),
		cmocka_unit_test(test_reception_restart_begins_a_new_count),
		cmocka_unit_test(test_reception_sender_report_is_answered_with_its_delay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
