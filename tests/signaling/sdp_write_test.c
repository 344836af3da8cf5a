/* The answer, where offers of clients do not lead (sdp_offers_test.c): extensions, roles, addresses, and the
 * bounds. */
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
	"a=fingerprint:sha-256 " HEX16 ":" HEX16 "\r\na=setup:actpass\r\na=group:BUNDLE"
#define OPUS "a=rtpmap:111 opus/48000/2\r\n"
#define WHOLE                                                                              \
	HEAD " 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\na=mid:0\r\na=rtcp-mux\r\n" OPUS \
	     "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:1\r\na=recvonly\r\na=rtcp-mux\r\n" OPUS
#define LEVEL "urn:ietf:params:rtp-hdrext:ssrc-audio-level"

static char big[1 << 16];

/* What one side only sends, the other only receives; a number with another meaning in the bundle, or one that is not
 * offered in this m-line, is not agreed to (RFC 8285 section 7). */
static void test_sdp_answer_extensions(void **state)
{
	(void)state;
	static const struct {
		const char *offered, *answered; /* NULL: none */
	} cases[] = {
		{ "a=extmap:1 " LEVEL, "a=extmap:1 " LEVEL },
		{ "a=extmap:14/sendrecv " LEVEL, "a=extmap:14 " LEVEL },
		{ "a=extmap:15/sendonly " LEVEL " vad=on", "a=extmap:15/recvonly " LEVEL },
		{ "a=extmap:255/recvonly " LEVEL, "a=extmap:255/sendonly " LEVEL },
		{ "a=extmap:1/inactive " LEVEL, NULL },
		{ "a=extmap:256 " LEVEL, NULL },
		{ "a=extmap:4096 " LEVEL, NULL },
		{ "a=extmap:1 " LEVEL "s", NULL },
		{ "a=extmap:1 URN:ietf:params:rtp-hdrext:ssrc-audio-level", NULL },
		{ "a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time", NULL },
	};
	static struct pl_sdp_offer offer;
	static struct pl_sdp_answer answer;
	static char out[PL_SDP_ANSWER_SIZE_MAX];
	char section[PL_SDP_SECTION_SIZE], line[256];
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		snprintf(line, sizeof line, OPUS "%s\r\n", cases[i].offered);
		pl_sdp_expect_taken(pl_sdp_changed(WHOLE, OPUS, line), &offer);
		pl_sdp_accept_all(&offer, &answer);
		assert_true(pl_sdp_write_answer(&answer, out, sizeof out) > 0);
		pl_sdp_section(out, 0, section);
		assert_int_equal(pl_sdp_count(section, "a=extmap:"), cases[i].answered != NULL);
		if (cases[i].answered != NULL)
			pl_sdp_expect_line(section, cases[i].answered);
		pl_sdp_section(out, 1, section);
		assert_int_equal(pl_sdp_count(section, "a=extmap:"), 0);
	}
	/* The second m-line numbers otherwise: the first one's number holds. */
	char text[4096];
	snprintf(text, sizeof text, "%sa=extmap:9 " LEVEL "\r\n",
		pl_sdp_changed(WHOLE, OPUS, OPUS "a=extmap:1 " LEVEL "\r\n"));
	pl_sdp_expect_taken(text, &offer);
	assert_int_equal(offer.ext_ids.id[PL_RTP_EXT_AUDIO_LEVEL], 1);
	pl_sdp_accept_all(&offer, &answer);
	assert_true(pl_sdp_write_answer(&answer, out, sizeof out) > 0);
	pl_sdp_section(out, 1, section);
	assert_int_equal(pl_sdp_count(section, "a=extmap:"), 0);
}

static void test_sdp_answer_role_and_address(void **state)
{
	(void)state;
	static const struct {
		const char *setup, *answered;
	} roles[] = { { "actpass", "a=setup:passive" }, { "active", "a=setup:passive" },
		{ "passive", "a=setup:active" } };
	static struct pl_sdp_offer offer;
	static struct pl_sdp_answer answer;
	static char out[PL_SDP_ANSWER_SIZE_MAX];
	char section[PL_SDP_SECTION_SIZE];
	for (size_t i = 0; i < PL_COUNT(roles); i++) {
		pl_sdp_expect_taken(pl_sdp_changed(WHOLE, "actpass", roles[i].setup), &offer);
		pl_sdp_accept_all(&offer, &answer);
		assert_true(pl_sdp_write_answer(&answer, out, sizeof out) > 0);
		pl_sdp_section(out, 0, section);
		pl_sdp_expect_line(section, roles[i].answered);
	}
	answer.candidates++;
	answer.candidate_count = 1;
	assert_true(pl_sdp_write_answer(&answer, out, sizeof out) > 0);
	pl_sdp_section(out, 0, section);
	pl_sdp_expect_line(section, "m=audio 7882 UDP/TLS/RTP/SAVPF 111");
	pl_sdp_expect_line(section, "c=IN IP6 2001:db8::1");
	answer.candidate_count = 0;
	assert_true(pl_sdp_write_answer(&answer, out, sizeof out) > 0);
	pl_sdp_section(out, 0, section);
	pl_sdp_expect_line(section, "m=audio 9 UDP/TLS/RTP/SAVPF 111");
	pl_sdp_expect_line(section, "c=IN IP4 0.0.0.0");
}

/* With too little room there is no answer, and no byte behind the room is touched. */
static void test_sdp_answer_fits_or_is_none(void **state)
{
	(void)state;
	static struct pl_sdp_offer offer;
	static struct pl_sdp_answer answer;
	static char out[PL_SDP_ANSWER_SIZE_MAX];
	pl_sdp_expect_taken(WHOLE, &offer);
	pl_sdp_accept_all(&offer, &answer);
	const size_t whole = pl_sdp_write_answer(&answer, out, sizeof out);
	assert_int_equal(whole, strlen(out));
	for (size_t room = 1; room <= whole + 1; room++) {
		char *exact = malloc(room);
		assert_non_null(exact);
		assert_int_equal(pl_sdp_write_answer(&answer, exact, room), room > whole ? whole : 0);
		if (room > whole)
			assert_string_equal(exact, out);
		free(exact);
	}
}

/* 64 m-lines are taken, and the answer to the most demanding of them fits; one more is refused by its line. */
static void test_sdp_number_of_media_is_bounded(void **state)
{
	(void)state;
	static struct pl_sdp_offer offer;
	static struct pl_sdp_answer answer;
	static char out[PL_SDP_ANSWER_SIZE_MAX];
	char error[PL_SDP_ERROR_SIZE];
	for (unsigned count = 64; count <= 65; count++) {
		size_t size = (size_t)snprintf(big, sizeof big, "%s", HEAD);
		for (unsigned i = 0; i < count; i++)
			size += (size_t)snprintf(big + size, sizeof big - size, " mid-of-16-byt%02u", i);
		for (unsigned i = 0; i < count; i++)
			size += (size_t)snprintf(big + size, sizeof big - size,
				"\r\nm=audio 9 UDP/TLS/RTP/SAVPF "
				"127\r\na=mid:mid-of-16-byt%02u\r\na=rtcp-mux\r\n"
				"a=rtpmap:127 opus/48000/2\r\na=extmap:254/sendonly " LEVEL
				"\r\na=extmap:255/sendonly urn:ietf:params:rtp-hdrext:sdes:mid",
				i);
		if (count == 65) {
			assert_false(pl_sdp_parse_copy(big, size, &offer, error));
			assert_string_equal(error, "line 394: more than 64 m-lines");
			break;
		}
		assert_true(pl_sdp_parse_copy(big, size, &offer, error));
		assert_int_equal(offer.media_count, 64);
		pl_sdp_accept_all(&offer, &answer);
		static struct pl_addr candidates[16];
		struct pl_fingerprint print = { .hash = PL_FINGERPRINT_SHA512, .size = 64 };
		for (size_t i = 0; i < PL_COUNT(candidates); i++) {
			assert_true(pl_addr_parse_ip("2001:db8:1111:2222:3333:4444:5555:6666", &candidates[i]));
			candidates[i].port = 65535;
		}
		answer.candidates = candidates;
		answer.candidate_count = PL_COUNT(candidates);
		answer.fingerprint = &print;
		const size_t written = pl_sdp_write_answer(&answer, out, sizeof out);
		print_message("the largest answer has %zu bytes\n", written);
		assert_in_range(written, 1, sizeof out - 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sdp_answer_extensions),
		cmocka_unit_test(test_sdp_answer_role_and_address),
		cmocka_unit_test(test_sdp_answer_fits_or_is_none),
		cmocka_unit_test(test_sdp_number_of_media_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
