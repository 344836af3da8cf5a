#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "media/rtcp.h"

#define BYTES(...) \
	((struct pl_bytes){ .data = (const uint8_t[]){ __VA_ARGS__ }, .size = sizeof((uint8_t[]){ __VA_ARGS__ }) })

static struct pl_rtcp parse(struct pl_bytes *rest)
{
	struct pl_rtcp rtcp;
	assert_int_equal(pl_rtcp_parse(rest, &rtcp), PL_DROP_NONE);
	return rtcp;
}

static void assert_same_block(const struct pl_rtcp_block *found, const struct pl_rtcp_block *expected)
{
	assert_int_equal(found->ssrc, expected->ssrc);
	assert_int_equal(found->fraction_lost, expected->fraction_lost);
	assert_int_equal(found->lost, expected->lost);
	assert_int_equal(found->seq_highest, expected->seq_highest);
	assert_int_equal(found->jitter, expected->jitter);
	assert_int_equal(found->last_sr, expected->last_sr);
	assert_int_equal(found->delay_since_sr, expected->delay_since_sr);
}

static void assert_malformed(struct pl_bytes packet)
{
	struct pl_rtcp rtcp;
	assert_int_equal(pl_rtcp_parse(&packet, &rtcp), PL_DROP_RTCP_MALFORMED);
}

static const struct pl_rtcp_block block = { .ssrc = 0x11111111,
	.fraction_lost = 25,
	.lost = -3,
	.seq_highest = 0x00020003,
	.jitter = 480,
	.last_sr = 0x33445566,
	.delay_since_sr = 32768 };

/* The layout of RFC 3550 section 6.4.1, byte by byte: other implementations must read it. */
static void test_rtcp_sender_report_layout(void **state)
{
	(void)state;
	static const uint8_t expected[] = { 0x81, 200, 0, 12, 0xaa, 0xbb, 0xcc, 0xdd, /* SSRC */
		0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88,                       /* NTP */
		0, 0, 3, 0xc0, 0, 0, 0, 5, 0, 0, 1, 0,                                /* timestamp, packets, octets */
		0x11, 0x11, 0x11, 0x11, 25, 0xff, 0xff, 0xfd, 0, 2, 0, 3, 0, 0, 1, 0xe0, 0x33, 0x44, 0x55, 0x66, 0, 0,
		0x80, 0 };
	const struct pl_rtcp_sender sender = {
		.ssrc = 0xaabbccdd, .ntp = UINT64_C(0x1122334455667788), .ts = 960, .packets = 5, .octets = 256
	};
	uint8_t buffer[64];
	struct pl_span out = { buffer, sizeof buffer };
	assert_true(pl_rtcp_write_sr(&out, &sender, &block, 1));
	assert_int_equal(out.data - buffer, sizeof expected);
	assert_memory_equal(buffer, expected, sizeof expected);
}

/* A compound packet as Plenum sends it, read back packet by packet. */
static void test_rtcp_compound_round_trip(void **state)
{
	(void)state;
	uint8_t buffer[512];
	struct pl_span out = { buffer, sizeof buffer };
	const uint32_t ssrcs[] = { 1, 2 };
	const uint16_t lost[] = { 65534, 65535, 0, 14, 15, 100 };
	assert_true(pl_rtcp_write_rr(&out, 9, &block, 1));
	assert_true(pl_rtcp_write_sdes(&out, ssrcs, 2, (struct pl_bytes){ (const uint8_t *)"cname", 5 }));
	assert_true(pl_rtcp_write_nack(&out, 9, 10, lost, PL_COUNT(lost)));
	assert_true(pl_rtcp_write_bye(&out, ssrcs, 2));
	struct pl_bytes rest = { buffer, (size_t)(out.data - buffer) };

	struct pl_rtcp rtcp = parse(&rest);
	assert_int_equal(rtcp.kind, PL_RTCP_RR);
	assert_int_equal(rtcp.ssrc, 9);
	assert_int_equal(rtcp.report.block_count, 1);
	assert_same_block(&rtcp.report.block[0], &block);

	rtcp = parse(&rest);
	assert_int_equal(rtcp.kind, PL_RTCP_SDES);
	assert_int_equal(rtcp.ssrc, 1);
	assert_int_equal(rtcp.sdes.cname.size, 5);
	assert_memory_equal(rtcp.sdes.cname.data, "cname", 5);

	rtcp = parse(&rest);
	assert_int_equal(rtcp.kind, PL_RTCP_NACK);
	assert_int_equal(rtcp.nack.ssrc_media, 10);
	uint16_t pid, blp;
	assert_true(pl_rtcp_nack_next(&rtcp.nack.items, &pid, &blp));
	assert_int_equal(pid, 65534);
	assert_int_equal(blp, 1u << 0 | 1u << 1 | 1u << 15); /* 65535, 0, 14 */
	assert_true(pl_rtcp_nack_next(&rtcp.nack.items, &pid, &blp));
	assert_int_equal(pid, 15);
	assert_int_equal(blp, 0);
	assert_true(pl_rtcp_nack_next(&rtcp.nack.items, &pid, &blp));
	assert_int_equal(pid, 100);
	assert_false(pl_rtcp_nack_next(&rtcp.nack.items, &pid, &blp));

	rtcp = parse(&rest);
	assert_int_equal(rtcp.kind, PL_RTCP_BYE);
	assert_int_equal(rtcp.bye.source_count, 2);
	assert_int_equal(rtcp.bye.source[1], 2);
	assert_int_equal(rest.size, 0);
}

/* The total of lost packets has 24 bits: more is told as the most, not as its low bits. */
static void test_rtcp_lost_is_clamped(void **state)
{
	(void)state;
	static const struct {
		int32_t in, out;
	} cases[] = { { 0x7fffff, 0x7fffff }, { 0x800000, 0x7fffff }, { -0x800000, -0x800000 },
		{ -0x800001, -0x800000 } };
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		uint8_t buffer[64];
		struct pl_span out = { buffer, sizeof buffer };
		const struct pl_rtcp_block lost = { .lost = cases[i].in };
		assert_true(pl_rtcp_write_rr(&out, 1, &lost, 1));
		struct pl_bytes rest = { buffer, (size_t)(out.data - buffer) };
		assert_int_equal(parse(&rest).report.block[0].lost, cases[i].out);
	}
}

static void test_rtcp_passes_over_what_it_does_not_use(void **state)
{
	(void)state;
	/* an application packet, a transport-cc feedback, padding of one word, an RR with a profile extension */
	struct pl_bytes rest = BYTES(0x80, 204, 0, 2, 0, 0, 0, 1, 'P', 'L', 'N', 'M', 0x8f, 205, 0, 2, 0, 0, 0, 1, 0, 0,
		0, 2, 0xa0, 201, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0x80, 201, 0, 2, 0, 0, 0, 5, 9, 9, 9, 9);
	assert_int_equal(parse(&rest).kind, PL_RTCP_OTHER);
	assert_int_equal(parse(&rest).kind, PL_RTCP_OTHER);
	struct pl_rtcp rtcp = parse(&rest);
	assert_int_equal(rtcp.kind, PL_RTCP_RR);
	assert_int_equal(rtcp.ssrc, 3);
	rtcp = parse(&rest);
	assert_int_equal(rtcp.ssrc, 5);
	assert_int_equal(rtcp.report.block_count, 0);
}

static void test_rtcp_malformed_is_named(void **state)
{
	(void)state;
	assert_malformed(BYTES(0x80, 200, 0));
	assert_malformed(BYTES(0x40, 201, 0, 1, 0, 0, 0, 1));               /* version 1 */
	assert_malformed(BYTES(0x80, 201, 0, 2, 0, 0, 0, 1));               /* shorter than it says */
	assert_malformed(BYTES(0x80, 201, 0, 0));                           /* an RR without its sender */
	assert_malformed(BYTES(0x81, 201, 0, 1, 0, 0, 0, 1));               /* a block that is not there */
	assert_malformed(BYTES(0x80, 200, 0, 1, 0, 0, 0, 1));               /* an SR without its report */
	assert_malformed(BYTES(0x82, 203, 0, 1, 0, 0, 0, 1));               /* two sources announced, one there */
	assert_malformed(BYTES(0x81, 202, 0, 2, 0, 0, 0, 1, 1, 9, 'x', 0)); /* an SDES text over its end */
	assert_malformed(BYTES(0xa0, 201, 0, 1, 0, 0, 0, 0));               /* padding 0 */
	assert_malformed(BYTES(0xa0, 201, 0, 1, 0, 0, 0, 3));               /* padding of no whole words */
	assert_malformed(BYTES(0xa0, 201, 0, 1, 0, 0, 0, 8));               /* padding over the header */
	assert_malformed(BYTES(0x81, 205, 0, 1, 0, 0, 0, 1));               /* a NACK without its stream */
}

/* Each prefix of a good compound packet either parses to whole packets or is malformed: never out of bounds. */
static void test_rtcp_every_length(void **state)
{
	(void)state;
	uint8_t buffer[512];
	struct pl_span out = { buffer, sizeof buffer };
	const uint32_t ssrcs[] = { 1 };
	assert_true(pl_rtcp_write_sr(&out, &(struct pl_rtcp_sender){ .ssrc = 1 }, &block, 1));
	assert_true(pl_rtcp_write_sdes(&out, ssrcs, 1, (struct pl_bytes){ (const uint8_t *)"abc", 3 }));
	assert_true(pl_rtcp_write_bye(&out, ssrcs, 1));
	const size_t full = (size_t)(out.data - buffer);
	size_t whole = 0;
	for (size_t size = 0; size <= full; size++) {
		struct pl_bytes rest = { buffer, size };
		struct pl_rtcp rtcp;
		enum pl_drop drop = PL_DROP_NONE;
		while (rest.size > 0 && drop == PL_DROP_NONE)
			drop = pl_rtcp_parse(&rest, &rtcp);
		whole += drop == PL_DROP_NONE;
	}
	assert_int_equal(whole, 4); /* nothing, and after each of the three */
}

/* A report that does not fit leaves the compound packet as it was. */
static void test_rtcp_write_is_all_or_nothing(void **state)
{
	(void)state;
	uint8_t buffer[64];
	const struct pl_rtcp_block many[PL_RTCP_BLOCKS_MAX + 1] = { 0 };
	const uint32_t ssrc = 1;
	const uint16_t seq = 1;
	for (size_t room = 0; room < 16; room++) {
		struct pl_span out = { buffer, room };
		if (room < 8) {
			assert_false(pl_rtcp_write_rr(&out, 1, NULL, 0));
			assert_false(pl_rtcp_write_bye(&out, &ssrc, 1));
		}
		assert_false(pl_rtcp_write_sdes(&out, &ssrc, 1, (struct pl_bytes){ (const uint8_t *)"abcdef", 6 }));
		assert_false(pl_rtcp_write_nack(&out, 1, 2, &seq, 1));
		assert_false(pl_rtcp_write_sr(&out, &(struct pl_rtcp_sender){ 0 }, NULL, 0));
		assert_ptr_equal(out.data, buffer);
		assert_int_equal(out.size, room);
	}
	static uint8_t large[2048];
	struct pl_span out = { large, sizeof large };
	assert_false(pl_rtcp_write_rr(&out, 1, many, PL_COUNT(many)));
	assert_true(pl_rtcp_write_rr(&out, 1, many, PL_RTCP_BLOCKS_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rtcp_sender_report_layout),
		cmocka_unit_test(test_rtcp_compound_round_trip),
		cmocka_unit_test(test_rtcp_lost_is_clamped),
		cmocka_unit_test(test_rtcp_passes_over_what_it_does_not_use),
		cmocka_unit_test(test_rtcp_malformed_is_named),
		cmocka_unit_test(test_rtcp_every_length),
		cmocka_unit_test(test_rtcp_write_is_all_or_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
