/* Which codec of an offer is taken, what its receiver wants of it, and how that is answered; for a media plane that
 * transcodes G.711, and for one that does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/sdp_answer.h"

#define HEX16 "00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff"
#define HEAD                                                                                                         \
	"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=ice-ufrag:ufrag\r\na=ice-pwd:pwdpwdpwdpwdpwdpwdpwdp\r\n" \
	"a=fingerprint:sha-256 " HEX16 ":" HEX16 "\r\na=setup:actpass\r\na=group:BUNDLE 0\r\n"
#define NOTHING "the offer ends without an m-line to take; audio with opus/48000/2 is needed"
#define NOTHING_G711 \
	"the offer ends without an m-line to take; audio with opus/48000/2, PCMU/8000 or PCMA/8000 is needed"

static const struct pl_sdp_options opus_alone = { .takes_g711 = false }, with_g711 = { .takes_g711 = true };

static bool parse_with(const struct pl_sdp_options *options, const char *formats, const char *attributes,
	struct pl_sdp_offer *offer, char error[static PL_SDP_ERROR_SIZE])
{
	static char text[8192];
	const int size = snprintf(text, sizeof text,
		HEAD "m=audio 9 UDP/TLS/RTP/SAVPF %s\r\na=mid:0\r\na=rtcp-mux\r\n%s", formats, attributes);
	assert_true(size > 0 && (size_t)size < sizeof text);
	return pl_sdp_parse_copy_with(text, (size_t)size, options, offer, error);
}

/* ---- which codec ---- */

enum { NONE = 99 };

static const struct {
	const char *formats, *attributes;
	unsigned coding; /* with G.711 */
	unsigned payload_type;
	bool has_opus;
} choices[] = {
	/* As telephones and gateways write it: 0 and 8 need no name. */
	{ "0", "", PL_CODING_PCMU, 0, false },
	{ "8", "", PL_CODING_PCMA, 8, false },
	{ "0", "a=rtpmap:0 PCMU/8000\r\n", PL_CODING_PCMU, 0, false },
	{ "8 0", "a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n", PL_CODING_PCMA, 8, false },
	{ "0 8", "a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n", PL_CODING_PCMU, 0, false },
	{ "9 18 8 0 13 101", "a=rtpmap:9 G722/8000\r\na=rtpmap:18 G729/8000\r\na=rtpmap:101 telephone-event/8000\r\n",
		PL_CODING_PCMA, 8, false },
	{ "  13   0  ", "a=rtpmap:13 CN/8000\r\n", PL_CODING_PCMU, 0, false },
	{ "96", "a=rtpmap:96 PCMU/8000\r\n", PL_CODING_PCMU, 96, false },
	{ "96", "a=rtpmap:96 pcma/8000/1\r\n", PL_CODING_PCMA, 96, false },
	{ "96 0", "a=rtpmap:96 PCMA/8000\r\n", PL_CODING_PCMA, 96, false },
	{ "97 96", "a=rtpmap:96 PCMA/8000\r\na=rtpmap:97 PCMU/8000\r\n", PL_CODING_PCMU, 97, false },
	/* Opus, wherever it stands. */
	{ "111 0 8", "a=rtpmap:111 opus/48000/2\r\n", PL_CODING_OPUS, 111, true },
	{ "0 8 111", "a=rtpmap:0 PCMU/8000\r\na=rtpmap:111 opus/48000/2\r\n", PL_CODING_OPUS, 111, true },
	{ "0 109 111", "a=rtpmap:111 opus/48000/2\r\na=rtpmap:109 opus/48000/2\r\n", PL_CODING_OPUS, 109, true },
	{ "0", "a=rtpmap:0 opus/48000/2\r\n", PL_CODING_OPUS, 0, true },
	/* A number that was given another name is not what it was. */
	{ "0", "a=rtpmap:0 G722/8000\r\n", NONE, 0, false },
	{ "0 8", "a=rtpmap:0 L16/8000\r\n", PL_CODING_PCMA, 8, false },
	/* Other clocks and channels are other codecs. */
	{ "96", "a=rtpmap:96 PCMU/16000\r\n", NONE, 0, false },
	{ "96", "a=rtpmap:96 PCMU/8000/2\r\n", NONE, 0, false },
	{ "96", "a=rtpmap:96 PCMU\r\n", NONE, 0, false },
	{ "96", "a=rtpmap:96 opus/48000\r\n", NONE, 0, false },
	{ "13", "a=rtpmap:13 CN/8000\r\n", NONE, 0, false },
	{ "96", "", NONE, 0, false },
	{ "96", "a=rtpmap:0 PCMU/8000\r\n", NONE, 0, false },
	{ "x 128 4294967296", "", NONE, 0, false },
};

static void test_sdp_codec_is_chosen(void **state)
{
	(void)state;
	static struct pl_sdp_offer offer;
	char error[PL_SDP_ERROR_SIZE];
	for (size_t i = 0; i < PL_COUNT(choices); i++) {
		print_message("%s\n", choices[i].formats);
		const bool is_taken = parse_with(&with_g711, choices[i].formats, choices[i].attributes, &offer, error);
		assert_int_equal(is_taken, choices[i].coding != NONE);
		if (!is_taken) {
			assert_non_null(strstr(error, NOTHING_G711));
			continue;
		}
		assert_int_equal(offer.media[0].coding, choices[i].coding);
		assert_int_equal(offer.media[0].payload_type, choices[i].payload_type);
	}
}

/* As long as nobody transcodes, G.711 alone is refused, in the words of always. */
static void test_sdp_codec_g711_is_an_option(void **state)
{
	(void)state;
	static struct pl_sdp_offer offer;
	char error[PL_SDP_ERROR_SIZE];
	for (size_t i = 0; i < PL_COUNT(choices); i++) {
		print_message("%s\n", choices[i].formats);
		const bool is_taken = parse_with(&opus_alone, choices[i].formats, choices[i].attributes, &offer, error);
		assert_int_equal(is_taken, choices[i].has_opus);
		if (is_taken)
			assert_int_equal(offer.media[0].payload_type, choices[i].payload_type);
		else
			assert_non_null(strstr(error, NOTHING));
	}
	/* A name that is none of ours may have any number; of those that are, the line is named. */
	const char *const wrong = "a=rtpmap:300 PCMU/8000\r\na=rtpmap:111 opus/48000/2\r\n";
	assert_true(parse_with(&opus_alone, "111", wrong, &offer, error));
	assert_false(parse_with(&with_g711, "111", wrong, &offer, error));
	assert_string_equal(error, "line 13: a=rtpmap: \"300\" is not a payload type from 0 to 127");
}

/* Each m-line has its own codec, and what one says of a number counts for that one alone. */
static void test_sdp_codec_is_each_lines_own(void **state)
{
	(void)state;
	static struct pl_sdp_offer offer;
	static char text[4096];
	char error[PL_SDP_ERROR_SIZE];
	snprintf(text, sizeof text, "%s%s", pl_sdp_changed(HEAD, "BUNDLE 0", "BUNDLE 0 1 2"),
		"m=audio 9 UDP/TLS/RTP/SAVPF 96 0\r\na=mid:0\r\na=rtcp-mux\r\na=rtpmap:96 opus/48000/2\r\n"
		"a=fmtp:96 maxaveragebitrate=20000\r\na=ptime:60\r\n"
		"m=audio 9 UDP/TLS/RTP/SAVPF 96 0\r\na=mid:1\r\na=rtcp-mux\r\n"
		"m=video 9 UDP/TLS/RTP/SAVPF 96 0\r\na=mid:2\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\n");
	assert_true(pl_sdp_parse_copy_with(text, strlen(text), &with_g711, &offer, error));
	assert_int_equal(offer.media[0].coding, PL_CODING_OPUS);
	assert_int_equal(offer.media[0].bitrate_max_bps, 20000);
	assert_int_equal(offer.media[0].ptime_ms, 60);
	assert_int_equal(offer.media[1].coding, PL_CODING_PCMU);
	assert_int_equal(offer.media[1].payload_type, 0);
	assert_int_equal(offer.media[1].bitrate_max_bps, 0);
	assert_int_equal(offer.media[1].ptime_ms, 0);
	assert_false(pl_sdp_is_wanted(&offer.media[2]));
	/* Without G.711 the second one is refused, and the bundle stands on the first as before. */
	assert_true(pl_sdp_parse_copy_with(text, strlen(text), &opus_alone, &offer, error));
	assert_true(pl_sdp_is_wanted(&offer.media[0]));
	assert_false(pl_sdp_is_wanted(&offer.media[1]));
}

/* ---- what the receiver wants ---- */

static void test_sdp_codec_parameters_of_opus(void **state)
{
	(void)state;
	static const struct {
		const char *fmtp;
		uint32_t bps;
		bool is_stereo, has_fec;
	} cases[] = {
		{ "minptime=10;useinbandfec=1", 0, false, true },
		{ "maxplaybackrate=48000;stereo=1;useinbandfec=1", 0, true, true },
		{ "stereo=1; maxaveragebitrate=20000 ;useinbandfec=0", 20000, true, false },
		{ "MaxAverageBitrate = 32000", 32000, false, false },
		{ "maxaveragebitrate=6000", 6000, false, false },
		/* RFC 7587 section 6.1 has 6,000 to 510,000. */
		{ "maxaveragebitrate=5999", 6000, false, false },
		{ "maxaveragebitrate=1", 6000, false, false },
		{ "maxaveragebitrate=510001", 510000, false, false },
		{ "maxaveragebitrate=4294967295", 510000, false, false },
		/* What is no number has not been said. */
		{ "maxaveragebitrate=4294967296", 0, false, false },
		{ "maxaveragebitrate=0", 0, false, false },
		{ "maxaveragebitrate=-1;stereo=yes;useinbandfec", 0, false, false },
		{ "maxaveragebitrate", 0, false, false },
		{ "xmaxaveragebitrate=20000;sprop-stereo=1;useinbandfec=2", 0, false, false },
		{ ";;=;= ; stereo=1=1;;", 0, false, false },
		{ ";;=;= ; \tstereo=1;;", 0, true, false },
		{ "stereo=1;stereo=0", 0, true, false },
		{ "", 0, false, false },
	};
	static struct pl_sdp_offer offer;
	char error[PL_SDP_ERROR_SIZE], attributes[512];
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		/* Before the name of the format, or after it. */
		for (int order = 0; order < 2; order++) {
			const char *const name = "a=rtpmap:111 opus/48000/2\r\n";
			snprintf(attributes, sizeof attributes, "%sa=fmtp:111 %s\r\na=fmtp:0 stereo=1\r\n%s",
				order == 0 ? name : "", cases[i].fmtp, order == 1 ? name : "");
			assert_true(parse_with(&with_g711, "111 0", attributes, &offer, error));
			if (offer.media[0].bitrate_max_bps != cases[i].bps)
				fail_msg("%s: %u", cases[i].fmtp, offer.media[0].bitrate_max_bps);
			assert_int_equal(offer.media[0].is_stereo, cases[i].is_stereo);
			assert_int_equal(offer.media[0].has_fec, cases[i].has_fec);
		}
	}
	/* Of two lines the first counts; of formats that are none, nothing. */
	assert_true(parse_with(&with_g711, "111",
		"a=rtpmap:111 opus/48000/2\r\na=fmtp:111 stereo=1\r\na=fmtp:111 useinbandfec=1\r\na=fmtp:128 x\r\n"
		"a=fmtp\r\na=fmtp:\r\n",
		&offer, error));
	assert_true(offer.media[0].is_stereo && !offer.media[0].has_fec);
}

static void test_sdp_codec_packet_times(void **state)
{
	(void)state;
	static const struct {
		const char *attributes;
		unsigned ptime, ptime_max;
	} cases[] = {
		{ "a=ptime:20\r\na=maxptime:150\r\n", 20, 150 },
		{ "a=maxptime:60\r\n", 0, 60 },
		{ "a=ptime:0.125\r\n", 0, 0 },
		{ "a=ptime:2.5\r\na=maxptime:10.0\r\n", 2, 10 },
		{ "a=ptime:1000\r\na=maxptime:1001\r\n", 1000, 0 },
		{ "a=ptime:\r\na=maxptime\r\n", 0, 0 },
		{ "a=ptime:-20\r\na=maxptime:99999999999999999999\r\n", 0, 0 },
		{ "a=ptime:20 ms\r\n", 0, 0 },
		{ "a=ptime:.\r\n", 0, 0 },
	};
	static struct pl_sdp_offer offer;
	char error[PL_SDP_ERROR_SIZE];
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		assert_true(parse_with(&with_g711, "0", cases[i].attributes, &offer, error));
		assert_int_equal(offer.media[0].ptime_ms, cases[i].ptime);
		assert_int_equal(offer.media[0].ptime_max_ms, cases[i].ptime_max);
	}
}

/* ---- answers ---- */

static void answer_with(const struct pl_sdp_offer *offer, int index, char section[static PL_SDP_SECTION_SIZE])
{
	static struct pl_sdp_answer answer;
	static char text[PL_SDP_ANSWER_SIZE_MAX];
	pl_sdp_accept_all(offer, &answer);
	assert_true(pl_sdp_write_answer(&answer, text, sizeof text) > 0);
	pl_sdp_section(text, index, section);
}

/* One codec, by its number and its name; 20 ms of it, and 120 at most: that is what transcoding makes and takes. */
static void test_sdp_codec_is_answered(void **state)
{
	(void)state;
	static const struct {
		const char *formats, *attributes, *media, *rtpmap;
	} cases[] = {
		{ "0 8 13 101", "", "m=audio 7882 UDP/TLS/RTP/SAVPF 0", "a=rtpmap:0 PCMU/8000" },
		{ "8 0 101", "", "m=audio 7882 UDP/TLS/RTP/SAVPF 8", "a=rtpmap:8 PCMA/8000" },
		{ "97", "a=rtpmap:97 PCMA/8000/1\r\na=ptime:30\r\n", "m=audio 7882 UDP/TLS/RTP/SAVPF 97",
			"a=rtpmap:97 PCMA/8000" },
	};
	static struct pl_sdp_offer offer;
	char error[PL_SDP_ERROR_SIZE], section[PL_SDP_SECTION_SIZE];
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		assert_true(parse_with(&with_g711, cases[i].formats, cases[i].attributes, &offer, error));
		answer_with(&offer, 0, section);
		pl_sdp_expect_line(section, cases[i].media);
		pl_sdp_expect_line(section, cases[i].rtpmap);
		pl_sdp_expect_line(section, "a=ptime:20");
		pl_sdp_expect_line(section, "a=maxptime:120");
		pl_sdp_expect_line(section, "a=sendrecv");
		assert_int_equal(pl_sdp_count(section, "a=rtpmap:"), 1);
		assert_int_equal(pl_sdp_count(section, "a=fmtp:"), 0);
		assert_int_equal(pl_sdp_count(section, "a=ssrc:"), 1);
	}
	assert_true(parse_with(&with_g711, "0 111", "a=rtpmap:111 opus/48000/2\r\n", &offer, error));
	answer_with(&offer, 0, section);
	pl_sdp_expect_line(section, "m=audio 7882 UDP/TLS/RTP/SAVPF 111");
	pl_sdp_expect_line(section, "a=fmtp:111 minptime=10;useinbandfec=1");
	assert_int_equal(pl_sdp_count(section, "a=ptime:") + pl_sdp_count(section, "a=maxptime:"), 0);
}

/* What clients hand out that were told to have G.711 alone (tests/signaling/offers). */
static void test_sdp_codec_of_real_clients(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		enum pl_coding coding;
		uint8_t media_count, level; /* number of the level extension, 0: none */
	} fixtures[] = {
		{ "aiortc-pcmu", PL_CODING_PCMU, 4, 2 },
		{ "aiortc-pcma-pcmu", PL_CODING_PCMA, 1, 2 },
		{ "gstreamer-pcmu", PL_CODING_PCMU, 4, 0 },
		{ "gstreamer-pcma-sendrecv", PL_CODING_PCMA, 1, 0 },
		{ "chromium-g711-sendrecv", PL_CODING_PCMU, 1, 1 },
	};
	static struct pl_sdp_offer offer;
	static char text[16384];
	char error[PL_SDP_ERROR_SIZE], section[PL_SDP_SECTION_SIZE], line[128];
	for (size_t i = 0; i < PL_COUNT(fixtures); i++) {
		print_message("%s\n", fixtures[i].name);
		snprintf(text, sizeof text, PLENUM_SOURCE_DIR "/tests/signaling/offers/%s.sdp", fixtures[i].name);
		FILE *file = fopen(text, "rb");
		assert_non_null(file);
		const size_t size = fread(text, 1, sizeof text, file);
		fclose(file);
		assert_in_range(size, 500, sizeof text - 1);

		assert_false(pl_sdp_parse_copy_with(text, size, &opus_alone, &offer, error));
		assert_non_null(strstr(error, NOTHING));
		if (!pl_sdp_parse_copy_with(text, size, &with_g711, &offer, error))
			fail_msg("%s", error);
		assert_int_equal(offer.media_count, fixtures[i].media_count);
		assert_int_equal(offer.ext_ids.id[PL_RTP_EXT_AUDIO_LEVEL], fixtures[i].level);
		for (uint8_t m = 0; m < offer.media_count; m++) {
			const unsigned number = fixtures[i].coding == PL_CODING_PCMU ? 0 : 8;
			assert_true(pl_sdp_is_wanted(&offer.media[m]));
			assert_int_equal(offer.media[m].coding, fixtures[i].coding);
			assert_int_equal(offer.media[m].payload_type, number);
			answer_with(&offer, m, section);
			snprintf(line, sizeof line, "a=rtpmap:%u PCM%c/8000", number, number == 0 ? 'U' : 'A');
			pl_sdp_expect_line(section, line);
		}
		/* Wherever it ends, it is a smaller offer or an error that names a line. */
		for (size_t cut = 0; cut < size; cut++)
			(void)pl_sdp_parse_copy_with(text, cut, &with_g711, &offer, error);
	}
}

/* As many formats as fit a line, each with a name and parameters: read once, in bounds. */
static void test_sdp_codec_of_many_formats(void **state)
{
	(void)state;
	static struct pl_sdp_offer offer;
	static char text[PL_SDP_SIZE_MAX + 1];
	char error[PL_SDP_ERROR_SIZE];
	size_t size = (size_t)snprintf(text, sizeof text, HEAD "m=audio 9 UDP/TLS/RTP/SAVPF");
	for (unsigned i = 0; i < 900; i++)
		size += (size_t)snprintf(text + size, sizeof text - size, " %u", 1 + i % 127);
	size += (size_t)snprintf(text + size, sizeof text - size, "\r\na=mid:0\r\na=rtcp-mux\r\n");
	for (unsigned i = 0; size < PL_SDP_SIZE_MAX - 100; i++)
		size += (size_t)snprintf(
			text + size, sizeof text - size, "a=rtpmap:%u x/1\r\na=fmtp:%u a=1\r\n", i % 128, i % 128);
	assert_false(pl_sdp_parse_copy_with(text, size, &with_g711, &offer, error));
	size += (size_t)snprintf(text + size, sizeof text - size, "a=rtpmap:127 PCMU/8000\r\n");
	assert_true(pl_sdp_parse_copy_with(text, size, &with_g711, &offer, error));
	assert_int_equal(offer.media[0].payload_type, 127);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sdp_codec_is_chosen),
		cmocka_unit_test(test_sdp_codec_g711_is_an_option),
		cmocka_unit_test(test_sdp_codec_is_each_lines_own),
		cmocka_unit_test(test_sdp_codec_parameters_of_opus),
		cmocka_unit_test(test_sdp_codec_packet_times),
		cmocka_unit_test(test_sdp_codec_is_answered),
		cmocka_unit_test(test_sdp_codec_of_real_clients),
		cmocka_unit_test(test_sdp_codec_of_many_formats),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
