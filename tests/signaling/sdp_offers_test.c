/* The offers that clients really write (tests/signaling/offers): what is read in each, and each line of its answer
 * that a client looks at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/sdp_answer.h"

enum { OFFER_SIZE_MAX = 16384 };

/* What stands in the files, read by eye. */
static const struct fixture {
	const char *name;
	/* m-lines: s(endonly), r(ecvonly), b(oth), v(ideo), d(ata), and the mid. */
	const char *media;
	uint8_t opus, level, mid; /* payload type; numbers of header extensions, 0: none */
	uint32_t ssrc;            /* of the first m-line */
	const char *ufrag;
	uint8_t print[2];     /* the fingerprint's first bytes */
	bool has_allow_mixed; /* Firefox says it in each m-line */
} fixtures[] = {
	{ "chromium", "s0 r1 r2 r3", 111, 1, 4, 3742659072, "QByG", { 0xd6, 0xc3 }, true },
	{ "chromium-sendrecv", "b0", 111, 1, 4, 2445476081, "DCjB", { 0x78, 0xa5 }, true },
	{ "chromium-audio-video-data", "b0 v1 d2", 111, 1, 4, 3511816767, "SE/Y", { 0xcd, 0xff }, true },
	{ "chromium-no-microphone", "b0 r1 r2 r3", 111, 1, 4, 1441342599, "O2OQ", { 0x35, 0x62 }, true },
	{ "chromium-max-bundle", "s0 r1 r2 r3", 111, 1, 4, 2185848509, "LOjO", { 0xf9, 0x33 }, true },
	{ "chromium-gathered", "s0 r1 r2 r3", 111, 1, 4, 4019556464, "EYb6", { 0xbc, 0x0f }, true },
	{ "chromium-ice-restart", "s0 r1 r2 r3", 111, 1, 4, 4019556464, "7zsL", { 0xbc, 0x0f }, true },
	{ "firefox", "s0 r1 r2 r3", 109, 1, 3, 4203122545, "bfeb0ca8", { 0xa9, 0xf4 }, true },
	{ "firefox-sendrecv", "b0", 109, 1, 3, 2565908638, "d6d56dbf", { 0x74, 0x0f }, true },
	{ "firefox-audio-video-data", "b0 v1 d2", 109, 1, 3, 3676882165, "71b20389", { 0x8b, 0xf9 }, true },
	{ "firefox-no-microphone", "b0 r1 r2 r3", 109, 1, 3, 2150233324, "9fc8ec54", { 0x23, 0xf9 }, true },
	{ "firefox-max-bundle", "s0 r1 r2 r3", 109, 1, 3, 3448953953, "1aa8be35", { 0x1f, 0xc2 }, true },
	{ "firefox-gathered", "s0 r1 r2 r3", 109, 1, 3, 3623672122, "fd290dcf", { 0xc1, 0xdc }, true },
	{ "firefox-ice-restart", "s0 r1 r2 r3", 109, 1, 3, 3623672122, "74e823c3", { 0xc1, 0xdc }, true },
	{ "aiortc", "s0 r1 r2 r3", 96, 2, 1, 2786005489, "0xYJ", { 0x60, 0xeb }, false },
	{ "aiortc-sendrecv", "b0", 96, 2, 1, 493086863, "m8ts", { 0xef, 0x61 }, false },
	{ "aiortc-audio-video-data", "b0 v1 d2", 96, 2, 1, 2983733426, "5eum", { 0x45, 0x1a }, false },
	{ "gstreamer", "saudio0 raudio1 raudio2 raudio3", 111, 0, 0, 1985335058, "vMCGJpPdmN31E40Edi7v6w/igsVBAGHw",
		{ 0xb8, 0x3f }, false },
	{ "gstreamer-sendrecv", "baudio0", 111, 0, 0, 2855773125, "0NX7v9Mjsn0bQqOrPEtI3fhXkGAQACmY", { 0xb8, 0x3f },
		false },
	{ "gstreamer-audio-video-data", "baudio0 vvideo1 dapplication2", 111, 0, 0, 987201166,
		"EzMzZcxG6AaHt0xBSyewaMlftGI8DjNR", { 0xb8, 0x3f }, false },
	{ "pion", "s0 r1 r2 r3", 111, 0, 0, 1411259631, "CDFczcjCdArzgfVd", { 0x01, 0x53 }, true },
	{ "pion-sendrecv", "b0", 111, 0, 0, 2537433399, "lHnwTaCgWwJzZmMB", { 0x99, 0x89 }, true },
	{ "pion-audio-video-data", "b0 v1 d2", 111, 0, 0, 2307478377, "sQuzCzZTfDvKgGHY", { 0x9e, 0x95 }, true },
	{ "libwebrtc", "s0 r1 r2 r3", 111, 1, 4, 1835323574, "QRyN", { 0xad, 0x85 }, true },
	{ "libwebrtc-sendrecv", "b0", 111, 1, 4, 2277351827, "NA2y", { 0x19, 0x06 }, true },
	{ "libwebrtc-audio-video-data", "b0 v1 d2", 111, 1, 4, 3521185979, "vbfT", { 0x68, 0x4a }, true },
	{ "werift", "s0 r1 r2 r3", 96, 0, 0, 3121937749, "33cd", { 0xf3, 0xbf }, true },
	{ "werift-sendrecv", "b0", 96, 0, 0, 2506177255, "b276", { 0xf3, 0xbf }, true },
	{ "werift-audio-video-data", "b0 v1 d2", 96, 0, 0, 955131397, "a16b", { 0xf3, 0xbf }, true },
};

static size_t read_fixture(const struct fixture *fixture, char text[static OFFER_SIZE_MAX])
{
	char path[512];
	snprintf(path, sizeof path, PLENUM_SOURCE_DIR "/tests/signaling/offers/%s.sdp", fixture->name);
	FILE *file = fopen(path, "rb");
	if (file == NULL)
		fail_msg("%s: not there", path);
	const size_t size = fread(text, 1, OFFER_SIZE_MAX, file);
	fclose(file);
	assert_in_range(size, 500, OFFER_SIZE_MAX - 1);
	return size;
}

static void parse_fixture(const struct fixture *fixture, struct pl_sdp_offer *offer)
{
	static char text[OFFER_SIZE_MAX];
	char error[PL_SDP_ERROR_SIZE];
	const size_t size = read_fixture(fixture, text);
	if (!pl_sdp_parse_copy(text, size, offer, error))
		fail_msg("%s: %s", fixture->name, error);
}

/* The next m-line of the table: its letter, or '\0' at the end. */
static char next_media(const char **media, char mid[static 32])
{
	const char kind = **media;
	if (kind == '\0')
		return kind;
	const size_t size = strcspn(*media, " ");
	snprintf(mid, 32, "%.*s", (int)size - 1, *media + 1);
	*media += size;
	*media += strspn(*media, " ");
	return kind;
}

/* ---- reading ---- */

static void test_sdp_offers_are_read_as_written(void **state)
{
	(void)state;
	static struct pl_sdp_offer offer;
	for (size_t i = 0; i < PL_COUNT(fixtures); i++) {
		const struct fixture *f = &fixtures[i];
		parse_fixture(f, &offer);
		print_message("%s\n", f->name);
		assert_string_equal(offer.ufrag, f->ufrag);
		assert_int_equal(offer.fingerprint.hash, PL_FINGERPRINT_SHA256);
		assert_memory_equal(offer.fingerprint.bytes, f->print, sizeof f->print);
		assert_int_equal(offer.setup, PL_SDP_ACTPASS);
		assert_int_equal(offer.has_allow_mixed, f->has_allow_mixed);
		assert_int_equal(offer.ext_ids.id[PL_RTP_EXT_AUDIO_LEVEL], f->level);
		assert_int_equal(offer.ext_ids.id[PL_RTP_EXT_MID], f->mid);
		assert_int_equal(offer.tagged, 0);

		const char *at = f->media;
		char mid[32], kind;
		uint8_t count = 0;
		while ((kind = next_media(&at, mid)) != '\0') {
			const struct pl_sdp_media *media = &offer.media[count++];
			assert_string_equal(media->mid, mid);
			assert_true(media->is_bundled);
			assert_false(media->is_rejected); /* Firefox and GStreamer have port 0 and a=bundle-only */
			assert_int_equal(media->type, kind == 'v'   ? PL_SDP_VIDEO
						      : kind == 'd' ? PL_SDP_APPLICATION
								    : PL_SDP_AUDIO);
			assert_int_equal(pl_sdp_is_wanted(media), media->type == PL_SDP_AUDIO);
			if (media->type != PL_SDP_AUDIO)
				continue;
			assert_int_equal(media->payload_type, f->opus);
			assert_int_equal(media->direction, kind == 's'   ? PL_SDP_SEND
							   : kind == 'r' ? PL_SDP_RECV
									 : PL_SDP_SENDRECV);
			if (count == 1)
				assert_int_equal(media->ssrc, f->ssrc);
		}
		assert_int_equal(offer.media_count, count);
	}
}

/* ---- answering ---- */

static void check_session(const struct fixture *f, const char *section)
{
	char line[256], mid[32];
	int used = snprintf(line, sizeof line, "a=group:BUNDLE");
	const char *at = f->media;
	for (char kind; (kind = next_media(&at, mid)) != '\0';) {
		if (strchr("srb", kind) != NULL)
			used += snprintf(line + used, sizeof line - (size_t)used, " %s", mid);
	}
	pl_sdp_expect_line(section, line);
	pl_sdp_expect_line(section, "v=0");
	pl_sdp_expect_line(section, "o=- 4611686018427387903 3 IN IP4 127.0.0.1");
	pl_sdp_expect_line(section, "t=0 0");
	pl_sdp_expect_line(section, "a=ice-lite");
	assert_int_equal(pl_sdp_count(section, "a=extmap-allow-mixed"), f->has_allow_mixed);
	assert_int_equal(pl_sdp_count(section, "a=group:"), 1);
}

/* Video and data: the m-line keeps its place, kind, protocol and format, is off, and promises nothing. */
static void check_rejected(const struct pl_sdp_media *media, const char *section)
{
	char line[256];
	snprintf(line, sizeof line, "m=%s 0 %s %s", media->type_name, media->protocol, media->formats);
	pl_sdp_expect_line(section, line);
	snprintf(line, sizeof line, "a=mid:%s", media->mid);
	pl_sdp_expect_line(section, line);
	pl_sdp_expect_line(section, "a=inactive");
	assert_int_equal(pl_sdp_count(section, "a="), 2);
}

static void check_extension(const char *section, uint8_t id, const char *uri)
{
	char line[256];
	snprintf(line, sizeof line, "a=extmap:%u %s", id, uri);
	if (id != 0)
		pl_sdp_expect_line(section, line);
}

static void check_accepted(const struct fixture *f, char kind, const char *mid, size_t index, const char *section)
{
	char line[256];
	snprintf(line, sizeof line, "m=audio 7882 UDP/TLS/RTP/SAVPF %u", f->opus);
	pl_sdp_expect_line(section, line);
	pl_sdp_expect_line(section, "c=IN IP4 192.0.2.1");
	snprintf(line, sizeof line, "a=mid:%s", mid);
	pl_sdp_expect_line(section, line);
	pl_sdp_expect_line(section, kind == 's' ? "a=recvonly" : kind == 'r' ? "a=sendonly" : "a=sendrecv");
	pl_sdp_expect_line(section, "a=rtcp-mux");
	pl_sdp_expect_line(section, "a=setup:passive");
	pl_sdp_expect_line(section, "a=ice-ufrag:OurU");
	pl_sdp_expect_line(section, "a=ice-pwd:OurPasswordOf24Character");
	pl_sdp_expect_line(section,
		"a=fingerprint:sha-256 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:"
		"1A:1B:1C:1D:1E:1F");
	snprintf(line, sizeof line, "a=rtpmap:%u opus/48000/2", f->opus);
	pl_sdp_expect_line(section, line);
	snprintf(line, sizeof line, "a=fmtp:%u minptime=10;useinbandfec=1", f->opus);
	pl_sdp_expect_line(section, line);
	assert_int_equal(pl_sdp_count(section, "a=rtpmap:"), 1);

	check_extension(section, f->level, "urn:ietf:params:rtp-hdrext:ssrc-audio-level");
	check_extension(section, f->mid, "urn:ietf:params:rtp-hdrext:sdes:mid");
	assert_int_equal(pl_sdp_count(section, "a=extmap:"), (f->level != 0) + (f->mid != 0));

	/* The transport is one: its candidates stand in the tagged m-line only (RFC 9143 section 7.3.1). */
	assert_int_equal(pl_sdp_count(section, "a=candidate:"), index == 0 ? 2 : 0);
	assert_int_equal(pl_sdp_count(section, "a=end-of-candidates"), index == 0);
	if (index == 0) {
		pl_sdp_expect_line(section, "a=candidate:1 1 udp 2130706431 192.0.2.1 7882 typ host");
		pl_sdp_expect_line(section, "a=candidate:2 1 udp 2130706175 2001:db8::1 7882 typ host");
	}
	if (kind == 's') {
		assert_int_equal(pl_sdp_count(section, "a=ssrc:") + pl_sdp_count(section, "a=msid:"), 0);
		return;
	}
	snprintf(line, sizeof line, "a=ssrc:%zu cname:ourCnameIs16Long", PL_SDP_TEST_SSRC + index);
	pl_sdp_expect_line(section, line);
	snprintf(line, sizeof line, "a=msid:slot-%s slot-%s", mid, mid);
	pl_sdp_expect_line(section, line);
}

static void test_sdp_offers_are_answered_line_by_line(void **state)
{
	(void)state;
	static struct pl_sdp_offer offer;
	static struct pl_sdp_answer answer;
	static char text[PL_SDP_ANSWER_SIZE_MAX];
	char section[PL_SDP_SECTION_SIZE], mid[32], kind;
	for (size_t i = 0; i < PL_COUNT(fixtures); i++) {
		const struct fixture *f = &fixtures[i];
		parse_fixture(f, &offer);
		print_message("%s\n", f->name);
		pl_sdp_accept_all(&offer, &answer);
		const size_t size = pl_sdp_write_answer(&answer, text, sizeof text);
		assert_int_equal(size, strlen(text));
		pl_sdp_section(text, -1, section);
		check_session(f, section);
		const char *at = f->media;
		int index = 0;
		for (; (kind = next_media(&at, mid)) != '\0'; index++) {
			pl_sdp_section(text, index, section);
			if (kind == 'v' || kind == 'd')
				check_rejected(&offer.media[index], section);
			else
				check_accepted(f, kind, mid, (size_t)index, section);
		}
		pl_sdp_section(text, index, section);
		assert_string_equal(section, "");
	}
}

/* The rejected ones, once as they must stand. */
static void test_sdp_offers_rejected_as_they_stood(void **state)
{
	(void)state;
	static const struct {
		size_t fixture;
		const char *video, *data;
	} cases[] = {
		{ 2, "m=video 0 UDP/TLS/RTP/SAVPF 96", "m=application 0 UDP/DTLS/SCTP webrtc-datachannel" },
		{ 16, "m=video 0 UDP/TLS/RTP/SAVPF 97", "m=application 0 DTLS/SCTP 5000" },
	};
	static struct pl_sdp_offer offer;
	static struct pl_sdp_answer answer;
	static char text[PL_SDP_ANSWER_SIZE_MAX];
	char section[PL_SDP_SECTION_SIZE];
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		parse_fixture(&fixtures[cases[i].fixture], &offer);
		pl_sdp_accept_all(&offer, &answer);
		assert_true(pl_sdp_write_answer(&answer, text, sizeof text) > 0);
		pl_sdp_section(text, 1, section);
		pl_sdp_expect_line(section, cases[i].video);
		pl_sdp_section(text, 2, section);
		pl_sdp_expect_line(section, cases[i].data);
	}
}

/* ---- cut off ---- */

/* Wherever an offer ends, it is taken as a smaller one or refused by a sentence that names a line; and whatever is
 * taken can be answered. */
static void test_sdp_offers_every_truncation(void **state)
{
	(void)state;
	static struct pl_sdp_offer offer;
	static struct pl_sdp_answer answer;
	static char text[OFFER_SIZE_MAX], out[PL_SDP_ANSWER_SIZE_MAX];
	char error[PL_SDP_ERROR_SIZE];
	for (size_t i = 0; i < PL_COUNT(fixtures); i++) {
		const size_t whole = read_fixture(&fixtures[i], text);
		size_t taken = 0;
		for (size_t size = 0; size <= whole; size++) {
			if (!pl_sdp_parse_copy(text, size, &offer, error))
				continue;
			taken++;
			pl_sdp_accept_all(&offer, &answer);
			assert_true(pl_sdp_write_answer(&answer, out, sizeof out) > 0);
		}
		/* Without the last line's end it is whole; without the first half it is nothing. */
		assert_in_range(taken, 3, whole - 300);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sdp_offers_are_read_as_written),
		cmocka_unit_test(test_sdp_offers_are_answered_line_by_line),
		cmocka_unit_test(test_sdp_offers_rejected_as_they_stood),
		cmocka_unit_test(test_sdp_offers_every_truncation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
