/* media/rtp_template: the stamped header is byte for byte what the general writer makes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "media/rng.h"
#include "media/rtp_template.h"

static const struct pl_rtp_ext_ids numberings[] = {
	{ { [PL_RTP_EXT_MID] = 4, [PL_RTP_EXT_AUDIO_LEVEL] = 1 } },
	{ { [PL_RTP_EXT_MID] = 1, [PL_RTP_EXT_AUDIO_LEVEL] = 14 } },
	{ { [PL_RTP_EXT_MID] = 4 } },
	{ { [PL_RTP_EXT_AUDIO_LEVEL] = 9 } },
	{ { 0 } },
	{ { [PL_RTP_EXT_MID] = 3, [PL_RTP_EXT_AUDIO_LEVEL] = 200 } }, /* the two-byte form */
	{ { [PL_RTP_EXT_MID] = 255, [PL_RTP_EXT_AUDIO_LEVEL] = 15 } },
};
static const char *const mids[] = { "0", "a1", "mid", "0123456789abcdef" };

static struct pl_rtp_stamp random_stamp(struct pl_rng *rng)
{
	return (struct pl_rtp_stamp){
		.seq = (uint16_t)pl_rng_next(rng),
		.ts = (uint32_t)pl_rng_next(rng),
		.csrc = (uint32_t)pl_rng_next(rng),
		.marker = pl_rng_below(rng, 2) == 0,
		.has_level = true,
		.is_voice = pl_rng_below(rng, 2) == 0,
		.level = (uint8_t)pl_rng_below(rng, 128),
	};
}

static size_t write_plainly(const struct pl_rtp_stamp *s, const char *mid, const struct pl_rtp_ext_ids *ids,
	uint8_t out[static PL_RTP_TEMPLATE_SIZE_MAX])
{
	const struct pl_rtp rtp = { .ssrc = 0xfedcba98,
		.payload_type = 111,
		.seq = s->seq,
		.ts = s->ts,
		.marker = s->marker,
		.csrc_count = 1,
		.csrc[0] = s->csrc };
	const struct pl_rtp_ext ext = { .has = { [PL_RTP_EXT_MID] = true, [PL_RTP_EXT_AUDIO_LEVEL] = true },
		.mid = { (const uint8_t *)mid, strlen(mid) },
		.audio_level = s->level,
		.is_voice = s->is_voice };
	return pl_rtp_write(&rtp, &ext, ids, (struct pl_span){ out, PL_RTP_TEMPLATE_SIZE_MAX });
}

static void test_same_as_the_writer(void **state)
{
	(void)state;
	struct pl_rng rng;
	pl_rng_init(&rng, 7);
	for (size_t n = 0; n < PL_COUNT(numberings); n++) {
		for (size_t m = 0; m < PL_COUNT(mids); m++) {
			struct pl_rtp_template t;
			pl_rtp_template_make(&t, 0xfedcba98, 111, mids[m], &numberings[n]);
			for (int i = 0; i < 1000; i++) {
				const struct pl_rtp_stamp stamp = random_stamp(&rng);
				uint8_t stamped[PL_RTP_TEMPLATE_SIZE_MAX], plain[PL_RTP_TEMPLATE_SIZE_MAX];
				pl_rtp_template_write(&t, &stamp, stamped);
				assert_int_equal(write_plainly(&stamp, mids[m], &numberings[n], plain), t.size);
				assert_memory_equal(stamped, plain, t.size);
			}
		}
	}
}

/* A mix names all who are in it, be it nobody, and its level and mid are where a receiver looks for them. */
static void test_any_number_of_talkers(void **state)
{
	(void)state;
	struct pl_rng rng;
	pl_rng_init(&rng, 8);
	for (int i = 0; i < 20000; i++) {
		const struct pl_rtp_ext_ids *ids = &numberings[pl_rng_below(&rng, PL_COUNT(numberings))];
		const char *mid = mids[pl_rng_below(&rng, PL_COUNT(mids))];
		const struct pl_rtp_stamp stamp = random_stamp(&rng);
		struct pl_rtp rtp = { .ssrc = 0xfedcba98,
			.payload_type = 111,
			.seq = stamp.seq,
			.ts = stamp.ts,
			.marker = stamp.marker,
			.csrc_count = (uint8_t)pl_rng_below(&rng, PL_RTP_TEMPLATE_CSRC_MAX + 1) };
		for (uint8_t k = 0; k < rtp.csrc_count; k++)
			rtp.csrc[k] = (uint32_t)pl_rng_next(&rng);
		const struct pl_rtp_ext ext = { .has = { [PL_RTP_EXT_MID] = true, [PL_RTP_EXT_AUDIO_LEVEL] = true },
			.mid = { (const uint8_t *)mid, strlen(mid) },
			.audio_level = stamp.level,
			.is_voice = stamp.is_voice };
		uint8_t stamped[PL_RTP_TEMPLATE_LIST_SIZE_MAX], plain[PL_RTP_HEADER_SIZE_MAX];
		struct pl_rtp_template t;
		pl_rtp_template_make(&t, 0xfedcba98, 111, mid, ids);
		const size_t size = pl_rtp_template_write_list(&t, &stamp, rtp.csrc, rtp.csrc_count, stamped);
		assert_int_equal(pl_rtp_write(&rtp, &ext, ids, (struct pl_span){ plain, sizeof plain }), size);
		assert_memory_equal(stamped, plain, size);
	}
}

/* A packet whose sender told no level has none: the place is padding, and the mid can still be read. */
static void test_without_a_level(void **state)
{
	(void)state;
	for (size_t n = 0; n < PL_COUNT(numberings); n++) {
		const struct pl_rtp_stamp stamp = { .seq = 1, .ts = 2, .csrc = 3, .level = 55, .is_voice = true };
		struct pl_rtp_template t;
		uint8_t out[PL_RTP_TEMPLATE_SIZE_MAX];
		struct pl_rtp rtp;
		struct pl_rtp_ext ext;
		pl_rtp_template_make(&t, 4, 96, "mid", &numberings[n]);
		pl_rtp_template_write(&t, &stamp, out);
		assert_int_equal(pl_rtp_parse((struct pl_bytes){ out, t.size }, &rtp), PL_DROP_NONE);
		pl_rtp_parse_ext(&rtp, &numberings[n], &ext);
		assert_false(ext.has[PL_RTP_EXT_AUDIO_LEVEL]);
		assert_int_equal(ext.has[PL_RTP_EXT_MID], numberings[n].id[PL_RTP_EXT_MID] != 0);
		if (ext.has[PL_RTP_EXT_MID])
			assert_memory_equal(ext.mid.data, "mid", 3);
		assert_int_equal(rtp.csrc[0], 3);
		assert_int_equal(rtp.payload.size, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_as_the_writer),
		cmocka_unit_test(test_any_number_of_talkers),
		cmocka_unit_test(test_without_a_level),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
