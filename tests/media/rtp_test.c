#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "media/rng.h"
#include "media/rtp.h"

#define BYTES(...) \
	((struct pl_bytes){ .data = (const uint8_t[]){ __VA_ARGS__ }, .size = sizeof((uint8_t[]){ __VA_ARGS__ }) })

static const struct pl_rtp_ext_ids ids = { .id = { [PL_RTP_EXT_MID] = 4,
						   [PL_RTP_EXT_AUDIO_LEVEL] = 1,
						   [PL_RTP_EXT_ABS_SEND_TIME] = 2,
						   [PL_RTP_EXT_TRANSPORT_CC] = 3 } };

static struct pl_rtp parse(struct pl_bytes packet)
{
	struct pl_rtp rtp;
	assert_int_equal(pl_rtp_parse(packet, &rtp), PL_DROP_NONE);
	return rtp;
}

static void assert_malformed(struct pl_bytes packet)
{
	struct pl_rtp rtp;
	assert_int_equal(pl_rtp_parse(packet, &rtp), PL_DROP_RTP_MALFORMED);
}

/* Every field of RFC 3550 section 5.1, in a packet with two CSRCs, an extension and padding. */
static void test_rtp_reads_every_field(void **state)
{
	(void)state;
	const struct pl_rtp rtp = parse(BYTES(0xb2, 0xef, 0x12, 0x34, 0x01, 0x02, 0x03, 0x04, 0xaa, 0xbb, 0xcc, 0xdd, 0,
		0, 0, 7, 0, 0, 0, 9, 0xbe, 0xde, 0, 1, 0x10, 0x9e, 0, 0, 'h', 'i', 0, 2));
	assert_true(rtp.marker);
	assert_int_equal(rtp.payload_type, 0x6f);
	assert_int_equal(rtp.seq, 0x1234);
	assert_int_equal(rtp.ts, 0x01020304);
	assert_int_equal(rtp.ssrc, 0xaabbccdd);
	assert_int_equal(rtp.csrc_count, 2);
	assert_int_equal(rtp.csrc[0], 7);
	assert_int_equal(rtp.csrc[1], 9);
	assert_int_equal(rtp.ext_profile, 0xbede);
	assert_int_equal(rtp.ext.size, 4);
	assert_int_equal(rtp.payload.size, 2);
	assert_memory_equal(rtp.payload.data, "hi", 2);

	struct pl_rtp_ext ext;
	pl_rtp_parse_ext(&rtp, &ids, &ext);
	assert_true(ext.has[PL_RTP_EXT_AUDIO_LEVEL]);
	assert_true(ext.is_voice);
	assert_int_equal(ext.audio_level, 0x1e);
	assert_false(ext.has[PL_RTP_EXT_MID]);
}

static void test_rtp_malformed_is_named(void **state)
{
	(void)state;
	assert_malformed((struct pl_bytes){ 0 });
	assert_malformed(BYTES(0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));                      /* 11 bytes */
	assert_malformed(BYTES(0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));                   /* version 1 */
	assert_malformed(BYTES(0x81, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));                   /* a CSRC that is not there */
	assert_malformed(BYTES(0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));                   /* no extension header */
	assert_malformed(BYTES(0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xbe, 0xde, 0, 1)); /* nor its word */
	assert_malformed(BYTES(0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));                   /* padding of nothing */
	assert_malformed(BYTES(0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));                /* padding 0 */
	assert_malformed(BYTES(0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2));                /* padding over the header */
	assert_int_equal(parse(BYTES(0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)).payload.size, 0);
	assert_int_equal(parse(BYTES(0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)).payload.size, 0);
}

static struct pl_rtp_ext parse_ext(uint16_t profile, struct pl_bytes block, const struct pl_rtp_ext_ids *numbers)
{
	const struct pl_rtp rtp = { .ext_profile = profile, .ext = block };
	struct pl_rtp_ext ext;
	pl_rtp_parse_ext(&rtp, numbers, &ext);
	return ext;
}

/* RFC 8285 section 4.2: padding between elements, unknown ids, the stop id 15. */
static void test_rtp_one_byte_extensions(void **state)
{
	(void)state;
	struct pl_rtp_ext ext =
		parse_ext(0xbede, BYTES(0, 0x41, 'a', 'b', 0x90, 0xff, 0, 0x22, 1, 2, 3, 0x31, 0xab, 0xcd, 0, 0), &ids);
	assert_true(ext.has[PL_RTP_EXT_MID]);
	assert_int_equal(ext.mid.size, 2);
	assert_memory_equal(ext.mid.data, "ab", 2);
	assert_int_equal(ext.abs_send_time, 0x010203);
	assert_int_equal(ext.transport_seq, 0xabcd);
	assert_false(ext.has[PL_RTP_EXT_AUDIO_LEVEL]);

	ext = parse_ext(0xbede, BYTES(0xf0, 0, 0x10, 0x80), &ids);
	assert_false(ext.has[PL_RTP_EXT_AUDIO_LEVEL]); /* behind the stop */
	ext = parse_ext(0xbede, BYTES(0x11, 0x80, 0x80, 0), &ids);
	assert_false(ext.has[PL_RTP_EXT_AUDIO_LEVEL]); /* two bytes are no level */
	ext = parse_ext(0xbede, BYTES(0x10, 0x85, 0, 0x4f), &ids);
	assert_int_equal(ext.audio_level, 5);
	assert_false(ext.has[PL_RTP_EXT_MID]); /* runs over the block's end */
	ext = parse_ext(0x1234, BYTES(0x10, 0x85, 0, 0), &ids);
	assert_false(ext.has[PL_RTP_EXT_AUDIO_LEVEL]); /* somebody else's profile */
}

/* RFC 8285 section 4.3: ids over 14, lengths of 0 and over 16. */
static void test_rtp_two_byte_extensions(void **state)
{
	(void)state;
	const struct pl_rtp_ext_ids large = { .id = { [PL_RTP_EXT_MID] = 200, [PL_RTP_EXT_AUDIO_LEVEL] = 15 } };
	struct pl_rtp_ext ext = parse_ext(0x1000, BYTES(0, 15, 1, 0x7f, 99, 0, 200, 3, 'm', 'i', 'd', 0), &large);
	assert_int_equal(ext.audio_level, 127);
	assert_false(ext.is_voice);
	assert_memory_equal(ext.mid.data, "mid", 3);
	ext = parse_ext(0x100f, BYTES(200, 0, 15, 2, 1, 1, 0, 0), &large);
	assert_false(ext.has[PL_RTP_EXT_MID]);
	assert_false(ext.has[PL_RTP_EXT_AUDIO_LEVEL]);
	ext = parse_ext(0x1000, BYTES(200, 17, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 0), &large);
	assert_false(ext.has[PL_RTP_EXT_MID]);
}

/* What is written is what is read, in the form that the ids ask for, whatever the mid's length. */
static void test_rtp_round_trip(void **state)
{
	(void)state;
	for (size_t mid_size = 1; mid_size <= PL_RTP_MID_MAX; mid_size++) {
		for (uint8_t level_id = 14; level_id <= 15; level_id++) {
			struct pl_rtp_ext_ids numbers = ids;
			numbers.id[PL_RTP_EXT_AUDIO_LEVEL] = level_id;
			const struct pl_rtp in = {
				.ssrc = 1, .ts = 2, .seq = 3, .payload_type = 111, .csrc_count = 1, .csrc = { 42 }
			};
			const struct pl_rtp_ext ext_in = {
				.has = { [PL_RTP_EXT_MID] = true, [PL_RTP_EXT_AUDIO_LEVEL] = true },
				.mid = { .data = (const uint8_t *)"0123456789abcdef", .size = mid_size },
				.audio_level = 33,
				.is_voice = true
			};
			uint8_t buffer[PL_RTP_HEADER_SIZE_MAX];
			const size_t size =
				pl_rtp_write(&in, &ext_in, &numbers, (struct pl_span){ buffer, sizeof buffer });
			assert_true(size > 0 && size % 4 == 0);

			const struct pl_rtp out = parse((struct pl_bytes){ buffer, size });
			assert_int_equal(out.ext_profile, level_id == 14 ? 0xbede : 0x1000);
			assert_int_equal(out.csrc[0], 42);
			assert_int_equal(out.payload.size, 0);
			struct pl_rtp_ext ext_out;
			pl_rtp_parse_ext(&out, &numbers, &ext_out);
			assert_int_equal(ext_out.mid.size, mid_size);
			assert_memory_equal(ext_out.mid.data, ext_in.mid.data, mid_size);
			assert_int_equal(ext_out.audio_level, 33);
			assert_true(ext_out.is_voice);
			assert_false(ext_out.has[PL_RTP_EXT_TRANSPORT_CC]);

			for (size_t room = 0; room < size; room++)
				assert_int_equal(
					pl_rtp_write(&in, &ext_in, &numbers, (struct pl_span){ buffer, room }), 0);
		}
	}
}

/* An extension that was not negotiated does not go out, and without any there is no extension block. */
static void test_rtp_writes_only_what_was_negotiated(void **state)
{
	(void)state;
	const struct pl_rtp in = { .ssrc = 1 };
	const struct pl_rtp_ext ext = { .has[PL_RTP_EXT_AUDIO_LEVEL] = true, .audio_level = 1 };
	const struct pl_rtp_ext_ids none = { 0 };
	uint8_t buffer[PL_RTP_HEADER_SIZE_MAX];
	assert_int_equal(pl_rtp_write(&in, &ext, &none, (struct pl_span){ buffer, sizeof buffer }), PL_RTP_HEADER_SIZE);
	assert_int_equal(buffer[0], 0x80);
}

/* Any bytes at any length: views stay inside the packet. */
static void test_rtp_any_bytes_stay_in_bounds(void **state)
{
	(void)state;
	struct pl_rng rng;
	pl_rng_init(&rng, 7);
	for (int i = 0; i < 200000; i++) {
		uint8_t packet[64];
		for (size_t j = 0; j < sizeof packet; j++)
			packet[j] = (uint8_t)pl_rng_next(&rng);
		packet[0] = (uint8_t)(0x80 | (packet[0] & 0x3f & (i % 2 ? 0xff : 0x31)));
		const size_t size = pl_rng_below(&rng, sizeof packet + 1);
		struct pl_rtp rtp;
		if (pl_rtp_parse((struct pl_bytes){ packet, size }, &rtp) != PL_DROP_NONE)
			continue;
		assert_true(rtp.payload.data >= packet && rtp.payload.data + rtp.payload.size <= packet + size);
		rtp.ext_profile = i % 4 < 2 ? 0xbede : 0x1000;
		struct pl_rtp_ext ext;
		pl_rtp_parse_ext(&rtp, &ids, &ext);
		if (ext.has[PL_RTP_EXT_MID])
			assert_true(ext.mid.data >= packet && ext.mid.data + ext.mid.size <= packet + size);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rtp_reads_every_field),
		cmocka_unit_test(test_rtp_malformed_is_named),
		cmocka_unit_test(test_rtp_one_byte_extensions),
		cmocka_unit_test(test_rtp_two_byte_extensions),
		cmocka_unit_test(test_rtp_round_trip),
		cmocka_unit_test(test_rtp_writes_only_what_was_negotiated),
		cmocka_unit_test(test_rtp_any_bytes_stay_in_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
