/* Offers that no client writes: what is missing, broken, too much or against the rules, and the sentence for each;
 * and which of several things counts.  What clients really write is in sdp_offers_test.c. */
#include "signaling/sdp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/sdp_answer.h"

#define UFRAG   "a=ice-ufrag:ufrag\r\n"
#define PWD     "a=ice-pwd:pwdpwdpwdpwdpwdpwdpwdp\r\n"
#define HEX16   "00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff"
#define HEX32   HEX16 ":" HEX16
#define PRINT   "a=fingerprint:sha-256 " HEX32 "\r\n"
#define SETUP   "a=setup:actpass\r\n"
#define GROUP   "a=group:BUNDLE 0 1\r\n"
#define MIC     "m=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\n"
#define MID0    "a=mid:0\r\n"
#define MUX     "a=rtcp-mux\r\n"
#define OPUS    "a=rtpmap:111 opus/48000/2\r\n"
#define HEAD    "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
#define SLOT_1  "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:1\r\na=recvonly\r\n" MUX OPUS
#define NOTHING "the offer ends without an m-line to take; audio with opus/48000/2 is needed"
#define LEVEL   "urn:ietf:params:rtp-hdrext:ssrc-audio-level"

/* A microphone, described line by line (5 to 9 of the session, 10 to 13 its own), and a slot (14 to 18). */
#define WHOLE HEAD UFRAG PWD PRINT SETUP GROUP MIC MID0 MUX OPUS SLOT_1

static char big[1 << 20];

static bool parse(const char *text, struct pl_sdp_offer *offer, char error[static PL_SDP_ERROR_SIZE])
{
	return pl_sdp_parse_copy(text, strlen(text), offer, error);
}

static void expect_error(const char *text, const char *sentence)
{
	static struct pl_sdp_offer offer;
	char error[PL_SDP_ERROR_SIZE];
	if (parse(text, &offer, error))
		fail_msg("%s\nwas taken; not answered: %s", text, sentence);
	if (strcmp(error, sentence) != 0)
		fail_msg("%s\nanswered:     %s\nnot answered: %s", text, error, sentence);
}

struct change {
	const char *from, *to, *sentence;
};

static void expect_errors(const char *text, const struct change *changes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		expect_error(pl_sdp_changed(text, changes[i].from, changes[i].to), changes[i].sentence);
}

/* ---- what must be there ---- */

static void test_sdp_missing_is_named(void **state)
{
	(void)state;
	static const struct change changes[] = {
		{ UFRAG, "", "line 9: neither this m-line nor the session has a=ice-ufrag" },
		{ PWD, "", "line 9: neither this m-line nor the session has a=ice-pwd" },
		{ PRINT, "", "line 9: neither this m-line nor the session has a=fingerprint" },
		{ SETUP, "", "line 9: neither this m-line nor the session has a=setup" },
		{ GROUP, "", "line 9: there is no a=group:BUNDLE; all m-lines must be in one group" },
		{ MID0, "", "line 9: a=group:BUNDLE names \"0\", which no a=mid has" },
		{ MUX, "", "line 10: this m-line has no a=rtcp-mux" },
		{ "v=0\r\n", "", "line 1: SDP begins with v=0" },
		{ "v=0\r\n", "\r\nv=0\r\n", "line 1: SDP begins with v=0" },
		{ "v=0\r\n", "v=1\r\n", "line 1: SDP begins with v=0" },
		{ "BUNDLE 0 1", "BUNDLE 1", "line 10: this m-line has no a=mid" },
	};
	static struct pl_sdp_offer offer;
	pl_sdp_expect_taken(WHOLE, &offer);
	expect_errors(WHOLE, changes, PL_COUNT(changes) - 1);
	const char *no_mid = pl_sdp_changed(WHOLE, MID0, "");
	char copy[2048];
	snprintf(copy, sizeof copy, "%s", no_mid);
	expect_errors(copy, &changes[PL_COUNT(changes) - 1], 1);
	expect_error("", "line 1: no SDP at all");
	expect_error("\n", "line 1: SDP begins with v=0");
	expect_error(HEAD, "line 4: " NOTHING);
}

/* A server that takes one codec must say so, whatever else is offered. */
static void test_sdp_without_opus(void **state)
{
	(void)state;
	static const char *const unknown[] = { "a=rtpmap:111 opus/48000\r\n", "a=rtpmap:111 opus/8000/2\r\n",
		"a=rtpmap:111 opus/48000/20\r\n", "a=rtpmap:111 xopus/48000/2\r\n", "a=rtpmap:111 speex/16000\r\n",
		"a=rtpmap:111\r\n", "a=rtpmap:112 opus/48000/2\r\n", "a=rtpmap:128 G722/8000\r\n", "" };
	for (size_t i = 0; i < PL_COUNT(unknown); i++) {
		char text[2048];
		snprintf(text, sizeof text, "%s",
			pl_sdp_changed(
				HEAD UFRAG PWD PRINT SETUP "a=group:BUNDLE 0\r\n" MIC MID0 MUX OPUS, OPUS, unknown[i]));
		expect_error(text, "line 10: " NOTHING);
	}
	expect_error(pl_sdp_changed(WHOLE, OPUS, "a=rtpmap:300 opus/48000/2\r\n"),
		"line 13: a=rtpmap: \"300\" is not a payload type from 0 to 127");
}

/* ---- BUNDLE ---- */

static void test_sdp_one_bundle_only(void **state)
{
	(void)state;
	static const struct change changes[] = {
		{ GROUP, "a=group:BUNDLE 0\r\na=group:BUNDLE 1\r\n",
			"line 10: a second a=group:BUNDLE (the first is in line 9); all m-lines must be in one group" },
		{ GROUP, "a=group:BUNDLE\r\na=group:BUNDLE 0 1\r\n",
			"line 10: a second a=group:BUNDLE (the first is in line 9); all m-lines must be in one group" },
		{ GROUP, "a=group:BUNDLE 0\r\n",
			"line 14: this m-line is not in the a=group:BUNDLE of line 9; all must be in one group" },
		{ GROUP, "a=group:BUNDLE\r\n",
			"line 10: this m-line is not in the a=group:BUNDLE of line 9; all must be in one group" },
		{ GROUP, "a=group:LS 0 1\r\n",
			"line 10: there is no a=group:BUNDLE; all m-lines must be in one group" },
		{ GROUP, "a=group:BUNDLE 0 1 2\r\n", "line 9: a=group:BUNDLE names \"2\", which no a=mid has" },
		{ GROUP, "a=group:BUNDLE 0 1 0123456789012345678901234567890123456789\r\n",
			"line 9: a=group:BUNDLE names \"01234567890123456789012345678901\", which no a=mid has" },
		{ "a=mid:1", "a=mid:0", "line 15: a=mid:0 is the name of the m-line in line 10 already" },
	};
	static struct pl_sdp_offer offer;
	expect_errors(WHOLE, changes, PL_COUNT(changes));
	/* Groups of another meaning, and one in an m-line, are none of ours. */
	pl_sdp_expect_taken(pl_sdp_changed(WHOLE, GROUP, "a=group:LS 0 1\r\n" GROUP), &offer);
	pl_sdp_expect_taken(pl_sdp_changed(WHOLE, MID0, MID0 "a=group:BUNDLE 7\r\n"), &offer);
	pl_sdp_expect_taken(pl_sdp_changed(WHOLE, GROUP, "a=group:BUNDLE  0   1  1 0 \r\n"), &offer);
}

/* A gateway of telephones offers one m-line and knows of no groups: RFC 9143 is about several, and a name is needed by nobody then.
 * Its answer has no group either (RFC 5888 section 9.2), nor a name, nor a header extension for one. */
static void test_sdp_one_m_line_needs_no_group(void **state)
{
	(void)state;
	static const char alone[] =
		HEAD UFRAG PWD PRINT SETUP MIC MID0 "a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
						    "a=extmap:4 " LEVEL "\r\n" MUX OPUS;
	static struct pl_sdp_offer offer;
	static struct pl_sdp_answer answer;
	static char text[PL_SDP_ANSWER_SIZE_MAX];
	char section[PL_SDP_SECTION_SIZE], other[2048];
	for (int has_mid = 0; has_mid < 2; has_mid++) {
		for (int has_video = 0; has_video < 2; has_video++) {
			snprintf(other, sizeof other, "%s", has_mid ? alone : pl_sdp_changed(alone, MID0, ""));
			/* Video is rejected, so it counts for nothing. */
			pl_sdp_expect_taken(
				has_video ? pl_sdp_changed(other, SETUP, SETUP "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n")
					  : other,
				&offer);
			assert_false(offer.has_bundle);
			assert_int_equal(offer.tagged, has_video);
			assert_string_equal(offer.media[offer.tagged].mid, has_mid ? "0" : "");
			assert_int_equal(offer.ext_ids.id[PL_RTP_EXT_MID], has_mid ? 3 : 0);
			pl_sdp_accept_all(&offer, &answer);
			assert_true(pl_sdp_write_answer(&answer, text, sizeof text) > 0);
			pl_sdp_section(text, -1, section);
			assert_int_equal(pl_sdp_count(section, "a=group:"), 0);
			pl_sdp_section(text, has_video, section);
			assert_int_equal(pl_sdp_count(section, "a=mid:"), has_mid);
			assert_int_equal(pl_sdp_count(section, "a=extmap:3 "), has_mid);
			assert_int_equal(pl_sdp_count(section, "a=extmap:4 "), 1);
			assert_int_equal(pl_sdp_count(section, "a=candidate:"), 2);
		}
	}
	/* Where there is a group, it must have the m-line; and two m-lines need one. */
	expect_error(pl_sdp_changed(alone, MIC, "a=group:BUNDLE\r\n" MIC),
		"line 10: this m-line is not in the a=group:BUNDLE of line 9; all must be in one group");
	expect_error(pl_sdp_changed(WHOLE, GROUP, ""),
		"line 9: there is no a=group:BUNDLE; all m-lines must be in one group");
	expect_error(pl_sdp_changed(alone, MUX, ""), "line 9: this m-line has no a=rtcp-mux");
}

/* The bundle stands on the first m-line of the group that is taken: its transport counts, and it is named first. */
static void test_sdp_tagged_is_the_first_taken(void **state)
{
	(void)state;
	static const char *const before[] = {
		"m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:9\r\na=ice-ufrag:video\r\na=rtpmap:96 VP8/90000\r\n",
		"m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:9\r\na=ice-ufrag:data\r\n",
		("m=audio 0 UDP/TLS/RTP/SAVPF 111\r\na=mid:9\r\na=ice-ufrag:gone\r\n" MUX OPUS),
		("m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:9\r\na=ice-ufrag:pcmu\r\n" MUX),
	};
	static struct pl_sdp_offer offer;
	static struct pl_sdp_answer answer;
	static char text[PL_SDP_ANSWER_SIZE_MAX];
	char section[PL_SDP_SECTION_SIZE], grown[4096];
	for (size_t i = 0; i < PL_COUNT(before); i++) {
		snprintf(grown, sizeof grown, "%s%s%s%s", HEAD UFRAG PWD PRINT SETUP "a=group:BUNDLE 9 1 0\r\n",
			before[i], MIC MID0 "a=ice-ufrag:mic0\r\n" MUX OPUS, SLOT_1 "a=ice-ufrag:slot1\r\n");
		pl_sdp_expect_taken(grown, &offer);
		/* The group's order counts, not that of the m-lines. */
		assert_int_equal(offer.tagged, 2);
		assert_string_equal(offer.ufrag, "slot1");
		pl_sdp_accept_all(&offer, &answer);
		assert_true(pl_sdp_write_answer(&answer, text, sizeof text) > 0);
		pl_sdp_section(text, -1, section);
		pl_sdp_expect_line(section, "a=group:BUNDLE 1 0");
		pl_sdp_section(text, 0, section);
		assert_int_equal(pl_sdp_count(section, "a=inactive"), 1);
		pl_sdp_section(text, 1, section);
		assert_int_equal(pl_sdp_count(section, "a=candidate:"), 0);
		pl_sdp_section(text, 2, section);
		assert_int_equal(pl_sdp_count(section, "a=candidate:"), 2);
	}
}

/* ---- the transport ---- */

static void test_sdp_transport_is_checked(void **state)
{
	(void)state;
#define UFRAG_NEEDS "line 5: a=ice-ufrag: 4 to 256 letters, digits, + or / are needed"
#define PWD_NEEDS   "line 6: a=ice-pwd: 22 to 256 letters, digits, + or / are needed"
#define HEX_NEEDS   " pairs of hexadecimal digits with colons between"
	static const struct change changes[] = {
		{ ":ufrag", ":ufr", UFRAG_NEEDS },
		{ ":ufrag", ":", UFRAG_NEEDS },
		{ ":ufrag", "", UFRAG_NEEDS },
		{ ":ufrag", ":ufr g", UFRAG_NEEDS },
		{ ":ufrag", ":ufr\xc3\xbc", UFRAG_NEEDS },
		{ ":ufrag", ":ufr[", UFRAG_NEEDS },
		{ ":ufrag", ":ufr@", UFRAG_NEEDS },
		{ ":pwdpwd", ":pwd", PWD_NEEDS },
		{ ":pwdpwd", ":pwd-pwdpwd", PWD_NEEDS },
		{ PRINT, "a=fingerprint:sha-1 00:11\r\n",
			"line 7: a=fingerprint: sha-1 is not taken; sha-256, sha-384 or sha-512 is needed" },
		{ PRINT, "a=fingerprint:0123456789012345678901234567890123456789 00\r\n",
			"line 7: a=fingerprint: this hash is not taken; sha-256, sha-384 or sha-512 is needed" },
		{ PRINT, "a=fingerprint:\xc3\xbc\x01 00\r\n",
			"line 7: a=fingerprint: ??? is not taken; sha-256, sha-384 or sha-512 is needed" },
		{ PRINT, "a=fingerprint:sha-256\r\n", "line 7: a=fingerprint: sha-256 needs 32" HEX_NEEDS },
		{ HEX32, HEX16, "line 7: a=fingerprint: sha-256 needs 32" HEX_NEEDS },
		{ HEX32, HEX32 ":00", "line 7: a=fingerprint: sha-256 needs 32" HEX_NEEDS },
		{ "00:11", "0g:11", "line 7: a=fingerprint: sha-256 needs 32" HEX_NEEDS },
		{ "00:11", "00-11", "line 7: a=fingerprint: sha-256 needs 32" HEX_NEEDS },
		{ "sha-256", "sha-384", "line 7: a=fingerprint: sha-384 needs 48" HEX_NEEDS },
		{ "sha-256", "SHA-512", "line 7: a=fingerprint: sha-512 needs 64" HEX_NEEDS },
		{ "actpass", "holdconn",
			"line 8: a=setup:holdconn is not taken; actpass, active or passive is needed" },
		{ "actpass", "", "line 8: a=setup: is not taken; actpass, active or passive is needed" },
		{ SETUP, SETUP "a=ice-lite\r\n",
			"line 9: a=ice-lite: this server is lite too, so nobody would check connectivity (RFC 8445)" },
	};
	expect_errors(WHOLE, changes, PL_COUNT(changes));
	static struct pl_sdp_offer offer;
	char longest[257 + 1], with[512];
	for (size_t size = 256; size <= 257; size++) {
		memset(longest, 'z', size);
		longest[size] = '\0';
		snprintf(with, sizeof with, "ufrag:%s\r", longest);
		if (size == 257) {
			expect_error(pl_sdp_changed(WHOLE, "ufrag:ufrag\r", with), UFRAG_NEEDS);
			break;
		}
		pl_sdp_expect_taken(pl_sdp_changed(WHOLE, "ufrag:ufrag\r", with), &offer);
		assert_string_equal(offer.ufrag, longest);
	}
}

/* The m-line's own counts before the session's; the first fingerprint of a known hash counts. */
static void test_sdp_own_before_all(void **state)
{
	(void)state;
	static struct pl_sdp_offer offer;
	pl_sdp_expect_taken(
		pl_sdp_changed(WHOLE, MID0,
			MID0 "a=ice-ufrag:mine+\r\na=ice-pwd:minemineminemineminemi\r\na=setup:passive\r\n"
			     "a=fingerprint:sha-1 00\r\na=fingerprint:Sha-384 " HEX32 ":" HEX16 "\r\n" PRINT),
		&offer);
	assert_string_equal(offer.ufrag, "mine+");
	assert_string_equal(offer.pwd, "minemineminemineminemi");
	assert_int_equal(offer.setup, PL_SDP_PASSIVE);
	assert_int_equal(offer.fingerprint.hash, PL_FINGERPRINT_SHA384);
	assert_int_equal(offer.fingerprint.size, 48);
	assert_int_equal(offer.fingerprint.bytes[47], 0xff);
	pl_sdp_expect_taken(pl_sdp_changed(WHOLE, "actpass", "active"), &offer);
	assert_int_equal(offer.setup, PL_SDP_ACTIVE);
	assert_string_equal(offer.ufrag, "ufrag");
	/* What another m-line says is its own. */
	pl_sdp_expect_taken(WHOLE "a=ice-ufrag:other\r\na=setup:passive\r\n", &offer);
	assert_string_equal(offer.ufrag, "ufrag");
	assert_int_equal(offer.setup, PL_SDP_ACTPASS);
}

/* ---- m-lines ---- */

#define NO_TOKEN  " is not a token (RFC 8866 section 9)"
#define NO_TOKENS " is not made of tokens (RFC 8866 section 9)"

static void test_sdp_media_lines_are_checked(void **state)
{
	(void)state;
	static const struct change changes[] = {
		{ MIC, "m=\r\n", "line 10: m=: the kind of media must have 1 to 15 bytes" },
		{ MIC, "m=0123456789abcdef 9 X 1\r\n", "line 10: m=: the kind of media must have 1 to 15 bytes" },
		{ MIC, "m=audio\r\n", "line 10: m=: \"\" is not a port" },
		{ MIC, "m=audio 65536 X 1\r\n", "line 10: m=: \"65536\" is not a port" },
		{ MIC, "m=audio -1 X 1\r\n", "line 10: m=: \"-1\" is not a port" },
		{ MIC, "m=audio 9/2 X 1\r\n", "line 10: m=: \"9/2\" is not a port" },
		{ MIC, "m=audio 00000000009 X 1\r\n", "line 10: m=: \"00000000009\" is not a port" },
		{ MIC, "m=audio 9\r\n", "line 10: m=: the protocol must have 1 to 31 bytes" },
		{ MIC, "m=audio 9 0123456789abcdef0123456789abcdef 1\r\n",
			"line 10: m=: the protocol must have 1 to 31 bytes" },
		{ MIC, "m=audio 9 X\r\n", "line 10: m=: the first format must have 1 to 63 bytes" },
		{ MIC, "m=audio 9 X 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\r\n",
			"line 10: m=: the first format must have 1 to 63 bytes" },
		{ MIC, "m=audio 9 UDP//RTP 111\r\n", "line 10: m=: the protocol \"UDP//RTP\"" NO_TOKENS },
		{ MIC, "m=audio 9 /UDP 111\r\n", "line 10: m=: the protocol \"/UDP\"" NO_TOKENS },
		{ MIC, "m=audio 9 UDP/ 111\r\n", "line 10: m=: the protocol \"UDP/\"" NO_TOKENS },
		{ MIC, "m=audio 9 / 111\r\n", "line 10: m=: the protocol \"/\"" NO_TOKENS },
		{ MIC, "m=audio 9 UDP/T\tLS 111\r\n", "line 10: m=: the protocol \"UDP/T?LS\"" NO_TOKENS },
		{ MIC, "m=audio 9 UDP/TLS/RTP/SAVPF 111 0 (8)\r\n", "line 10: m=: the format \"(8)\"" NO_TOKEN },
		{ MIC, "m=video 0 X \x01\r\n", "line 10: m=: the format \"?\"" NO_TOKEN },
		{ MIC, "m=audio\x0b 9 X 111\r\n", "line 10: m=: the kind of media \"audio?\"" NO_TOKEN },
		{ MID0, "a=mid:\r\n", "line 11: a=mid:" NO_TOKEN },
		{ MID0, "a=mid\r\n", "line 11: a=mid:" NO_TOKEN },
		{ MID0, "a=mid:0 1\r\n", "line 11: a=mid:0 1" NO_TOKEN },
		{ MID0, "a=mid:\x01\x02\"\r\n", "line 11: a=mid:??\"" NO_TOKEN },
		{ MID0, "a=mid:\"0\"\r\n", "line 11: a=mid:\"0\"" NO_TOKEN },
		{ MID0, "a=mid:0123456789abcdefg\r\n",
			"line 11: a=mid: 17 bytes; at most 16 fit into an RTP header extension" },
		{ OPUS, OPUS "a=extmap:0 " LEVEL "\r\n",
			"line 14: a=extmap: a number, perhaps with a direction, and a URI are needed" },
		{ OPUS, OPUS "a=extmap:1/sideways " LEVEL "\r\n",
			"line 14: a=extmap: a number, perhaps with a direction, and a URI are needed" },
		{ OPUS, OPUS "a=extmap\r\n",
			"line 14: a=extmap: a number, perhaps with a direction, and a URI are needed" },
		{ OPUS, OPUS "a=ssrc:4294967296 cname:x\r\n",
			"line 14: a=ssrc: \"4294967296\" is not a number below 2^32" },
		{ OPUS, OPUS "a=ssrc:x\r\n", "line 14: a=ssrc: \"x\" is not a number below 2^32" },
		{ OPUS, OPUS "a=extmap:5 " LEVEL "\r\na=extmap:5 urn:ietf:params:rtp-hdrext:sdes:mid\r\n",
			"line 10: a=extmap:5 has two meanings in the bundle of this m-line" },
		{ MUX, MUX "nonsense\r\n", "line 13: \"nonsense\" is not of the form x=..." },
		{ MUX, MUX "a\r\n", "line 13: \"a\" is not of the form x=..." },
		{ MUX, MUX "\xc3\xbc\r\n", "line 13: \"??\" is not of the form x=..." },
		{ MUX, MUX "a=x\ry\r\n", "line 13: a carriage return inside of the line" },
		{ MUX, MUX "a=mid:0\r\r\n", "line 13: a carriage return inside of the line" },
	};
	expect_errors(WHOLE, changes, PL_COUNT(changes));
}

/* What the answer repeats is made of the bytes that RFC 8866 allows in it, and of all of them: nothing that a client
 * writes into an m-line plays with whoever reads the answer. */
static void test_sdp_repeated_words_are_tokens(void **state)
{
	(void)state;
	static const char others[] = "!#$%&'*+-.^_`{|}~";
	static const struct {
		const char *before, *after;
	} places[] = { { "au", "dio 9 X 1" }, { "video 9 X", " 1" }, { "video 9 X 1", "" }, { "video 9 X 1 9 7", "" },
		{ "video 9 X 1\r\na=mid:", "" } };
	static struct pl_sdp_offer offer;
	char error[PL_SDP_ERROR_SIZE], text[1024];
	for (size_t place = 0; place < PL_COUNT(places); place++) {
		for (int c = 1; c < 256; c++) {
			const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
			const bool is_digit = c >= '0' && c <= '9';
			const bool is_good = is_letter || is_digit || strchr(others, c) != NULL;
			if (c == '\r' || c == '\n' || (c == ' ' && place < PL_COUNT(places) - 1))
				continue; /* the end of the line, or of the word */
			if ((c == '0' || c == '1') && place == PL_COUNT(places) - 1)
				continue; /* other m-lines' names */
			snprintf(text, sizeof text, "%sm=%s%c%s", WHOLE, places[place].before, c, places[place].after);
			if (parse(text, &offer, error) != is_good)
				fail_msg("byte 0x%02x behind \"%s\": %s", c, places[place].before,
					is_good ? error : "taken");
			assert_true(is_good || strstr(error, "token") != NULL);
		}
	}
}

/* The answer to an m-line that is taken under another name: the name is the offerer's (RFC 8829 section 5.1.2). */
static void expect_name_kept(const char *offer_text, const char *name)
{
	static struct pl_sdp_offer offer;
	static struct pl_sdp_answer answer;
	static char text[PL_SDP_ANSWER_SIZE_MAX];
	char section[PL_SDP_SECTION_SIZE], line[64];
	pl_sdp_expect_taken(offer_text, &offer);
	assert_true(pl_sdp_is_wanted(&offer.media[0]));
	assert_int_equal(offer.tagged, 0);
	pl_sdp_accept_all(&offer, &answer);
	assert_true(pl_sdp_write_answer(&answer, text, sizeof text) > 0);
	pl_sdp_section(text, 0, section);
	snprintf(line, sizeof line, "m=audio 7882 %s 111", name);
	pl_sdp_expect_line(section, line);
	pl_sdp_expect_line(section, "a=setup:passive");
}

/* Encoders write "RTP/AVP" or "RTP/SAVPF" and mean what browsers do: a fingerprint, of the m-line or of the session,
 * tells.  They are heard, and their answer has their own name for it. */
static void test_sdp_other_names_of_dtls_srtp(void **state)
{
	(void)state;
	static const char *const names[] = { "UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "TCP/DTLS/RTP/SAVPF",
		"TCP/DTLS/RTP/SAVP", "RTP/SAVPF", "RTP/SAVP", "RTP/AVPF", "RTP/AVP" };
	char mic[64], text[2048];
	for (size_t i = 0; i < PL_COUNT(names); i++) {
		snprintf(mic, sizeof mic, "m=audio 9 %s 111 0\r\n", names[i]);
		expect_name_kept(pl_sdp_changed(WHOLE, MIC, mic), names[i]);
		snprintf(text, sizeof text, "%s%s%s", HEAD UFRAG PWD "a=group:BUNDLE 0\r\n", mic,
			MID0 MUX OPUS PRINT SETUP);
		expect_name_kept(text, names[i]);
	}
}

/* Without a fingerprint those names are plain RTP: beside an m-line that means DTLS-SRTP they are turned off, alone they
 * are told what is missing. */
static void test_sdp_plain_rtp_is_not_taken(void **state)
{
	(void)state;
	static const char *const names[] = { "RTP/SAVPF", "RTP/SAVP", "RTP/AVPF", "RTP/AVP" };
	static struct pl_sdp_offer offer;
	char text[2048], sentence[PL_SDP_ERROR_SIZE];
	for (size_t i = 0; i < PL_COUNT(names); i++) {
		snprintf(text, sizeof text, "%sm=audio 9 %s 111 0\r\n%s%s", HEAD UFRAG PWD "a=group:BUNDLE 0 1\r\n",
			names[i], MID0 MUX OPUS, SLOT_1 PRINT SETUP);
		pl_sdp_expect_taken(text, &offer);
		assert_false(pl_sdp_is_wanted(&offer.media[0]));
		assert_true(pl_sdp_is_wanted(&offer.media[1]));
		assert_int_equal(offer.tagged, 1);
		snprintf(text, sizeof text, "%sm=audio 9 %s 111\r\n%s", HEAD UFRAG PWD SETUP "a=group:BUNDLE 0\r\n",
			names[i], MID0 MUX OPUS);
		snprintf(sentence, sizeof sentence,
			"line 9: m=: %s without a=fingerprint is not taken; DTLS-SRTP is needed", names[i]);
		expect_error(text, sentence);
	}
}

/* What is not meant for DTLS-SRTP is turned off in the answer, however well its codec would do; and who offers nothing
 * else is told what is needed. */
static void test_sdp_protocol_is_dtls_srtp(void **state)
{
	(void)state;
	static const char *const others[] = { "TCP/RTP/AVP", "TCP/TLS/RTP/SAVPF", "UDP/DTLS/RTP/SAVPF",
		"UDP/TLS/RTP/AVP", "UUUU", "UDP/TLS/RTP/SAVPFX", "UDP/TLS/RTP/SAV", "udp/tls/rtp/savpf", "rtp/avp",
		"RTP/AVPX", "RTP/AV" };
	static struct pl_sdp_offer offer;
	static struct pl_sdp_answer answer;
	static char text[PL_SDP_ANSWER_SIZE_MAX];
	char section[PL_SDP_SECTION_SIZE], grown[2048], sentence[PL_SDP_ERROR_SIZE];
	for (size_t i = 0; i < PL_COUNT(others); i++) {
		snprintf(grown, sizeof grown, "m=audio 9 %s 111 0\r\n", others[i]);
		pl_sdp_expect_taken(pl_sdp_changed(WHOLE, MIC, grown), &offer);
		assert_false(pl_sdp_is_wanted(&offer.media[0]));
		assert_int_equal(offer.tagged, 1);
		pl_sdp_accept_all(&offer, &answer);
		assert_true(pl_sdp_write_answer(&answer, text, sizeof text) > 0);
		pl_sdp_section(text, -1, section);
		pl_sdp_expect_line(section, "a=group:BUNDLE 1");
		pl_sdp_section(text, 0, section);
		snprintf(grown, sizeof grown, "m=audio 0 %s 111", others[i]);
		pl_sdp_expect_line(section, grown);
		pl_sdp_expect_line(section, "a=inactive");
		pl_sdp_expect_line(section, "a=mid:0");
		snprintf(grown, sizeof grown, "%sm=audio 9 %s 111\r\n%s",
			HEAD UFRAG PWD PRINT SETUP "a=group:BUNDLE 0\r\nm=audio 0 RTP/SAVP 111\r\n" OPUS, others[i],
			MID0 MUX OPUS);
		snprintf(sentence, sizeof sentence, "line 12: m=: %s is not taken; UDP/TLS/RTP/SAVPF is needed",
			others[i]);
		expect_error(grown, sentence);
	}
}

/* Lines may end with LF alone, and the last one with nothing; empty ones are passed over, unknown ones too. */
static void test_sdp_lines_end_as_they_like(void **state)
{
	(void)state;
	static struct pl_sdp_offer offer;
	char text[4096];
	size_t size = 0;
	for (const char *at = WHOLE; *at != '\0'; at++) {
		if (*at != '\r')
			text[size++] = *at;
	}
	text[size - 1] = '\0';
	pl_sdp_expect_taken(text, &offer);
	assert_int_equal(offer.media[1].line, 14);
	pl_sdp_expect_taken(
		pl_sdp_changed(WHOLE, MID0, "\r\n\nz=\r\na=\r\na=unknown:x\r\n" MID0 "k=clear:x\r\n"), &offer);
	assert_int_equal(offer.media[1].line, 20);
}

/* Which of the payload types is Opus: the offerer's first, whatever the order of a=rtpmap; names in any case. */
static void test_sdp_opus_by_preference(void **state)
{
	(void)state;
	static struct pl_sdp_offer offer;
	pl_sdp_expect_taken(
		pl_sdp_changed(WHOLE, MIC, "m=audio 9 UDP/TLS/RTP/SAVPF 0 109 8 111\r\na=rtpmap:99 opus/48000/2\r\n"),
		&offer);
	assert_int_equal(offer.media[0].payload_type, 111);
	pl_sdp_expect_taken(
		pl_sdp_changed(WHOLE, MIC, "m=audio 9 UDP/TLS/RTP/SAVPF 0 109 8 111\r\na=rtpmap:109 OpUs/48000/2\r\n"),
		&offer);
	assert_int_equal(offer.media[0].payload_type, 109);
	pl_sdp_expect_taken(pl_sdp_changed(WHOLE, OPUS, OPUS "a=rtpmap:0 OPUS/48000/2 \r\n"), &offer);
	assert_int_equal(offer.media[0].payload_type, 111);
}

/* Port 0 is off, but not for a=bundle-only (RFC 9143 section 6); direction comes from the session when the m-line has
 * none (RFC 8866 section 6.7); a=ssrc is the first. */
static void test_sdp_port_direction_ssrc(void **state)
{
	(void)state;
	static struct pl_sdp_offer offer;
	static const char slot[] = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:1";
	pl_sdp_expect_taken(pl_sdp_changed(WHOLE, slot, "m=audio 0 UDP/TLS/RTP/SAVPF 111\r\na=mid:1"), &offer);
	assert_true(offer.media[1].is_rejected);
	assert_false(pl_sdp_is_wanted(&offer.media[1]));
	pl_sdp_expect_taken(
		pl_sdp_changed(WHOLE, slot, "m=audio 0 UDP/TLS/RTP/SAVPF 111\r\na=bundle-only\r\na=mid:1"), &offer);
	assert_false(offer.media[1].is_rejected);
	pl_sdp_expect_taken(pl_sdp_changed(WHOLE, MIC, "a=sendonly\r\n" MIC), &offer);
	assert_int_equal(offer.media[0].direction, PL_SDP_SEND);
	assert_int_equal(offer.media[1].direction, PL_SDP_RECV);
	pl_sdp_expect_taken(
		pl_sdp_changed(WHOLE, OPUS, OPUS "a=inactive\r\na=ssrc:4294967295 cname:x\r\na=ssrc:7 cname:y\r\n"),
		&offer);
	assert_int_equal(offer.media[0].direction, PL_SDP_INACTIVE);
	assert_int_equal(offer.media[0].ssrc, UINT32_MAX);
	assert_int_equal(offer.media[1].ssrc, 0);
	/* All are off: nothing is left to talk with. */
	expect_error(HEAD UFRAG PWD PRINT SETUP "a=group:BUNDLE 0\r\nm=audio 0 UDP/TLS/RTP/SAVPF 111\r\n" MID0 MUX OPUS,
		"line 10: " NOTHING);
}

/* ---- bounds ---- */

/* A megabyte is refused by its size, before anything is read; what just fits is read. */
static void test_sdp_size_is_bounded(void **state)
{
	(void)state;
	static struct pl_sdp_offer offer;
	char error[PL_SDP_ERROR_SIZE];
	const size_t whole = strlen(WHOLE);
	memcpy(big, WHOLE, whole);
	for (size_t i = whole; i < sizeof big; i++)
		big[i] = i % 100 == 0 ? '\n' : i % 100 == 1 ? 'a' : i % 100 == 2 ? '=' : 'x';
	memset(big + whole, '\n', 101 - whole % 100);
	assert_true(pl_sdp_parse_copy(big, PL_SDP_SIZE_MAX, &offer, error));
	assert_false(pl_sdp_parse_copy(big, PL_SDP_SIZE_MAX + 1, &offer, error));
	assert_string_equal(error, "line 1: 65537 bytes of SDP; at most 65536 are read");
	assert_false(pl_sdp_parse_copy(big, sizeof big, &offer, error));
	assert_string_equal(error, "line 1: 1048576 bytes of SDP; at most 65536 are read");
	/* As many lines as fit: line numbers do not wrap. */
	memset(big + whole, '\n', PL_SDP_SIZE_MAX - whole);
	memcpy(big + PL_SDP_SIZE_MAX - 2, "ab", 2);
	assert_false(pl_sdp_parse_copy(big, PL_SDP_SIZE_MAX, &offer, error));
	char sentence[PL_SDP_ERROR_SIZE];
	snprintf(sentence, sizeof sentence, "line %zu: \"ab\" is not of the form x=...",
		19 + PL_SDP_SIZE_MAX - whole - 2);
	assert_string_equal(error, sentence);
}

static void test_sdp_line_is_bounded(void **state)
{
	(void)state;
	static struct pl_sdp_offer offer;
	char text[8192], line[4200];
	for (int size = 4096; size <= 4097; size++) {
		snprintf(line, sizeof line, MUX "a=%0*d\r\n", size - 2, 7);
		snprintf(text, sizeof text, "%s", pl_sdp_changed(WHOLE, MUX, line));
		if (size == 4096)
			pl_sdp_expect_taken(text, &offer);
		else
			expect_error(text, "line 13: 4097 bytes; a line has at most 4096");
	}
	/* NUL is no byte of a line. */
	char nul[sizeof WHOLE];
	memcpy(nul, WHOLE, sizeof WHOLE);
	char *at = strstr(nul, "opus");
	at[0] = '\0';
	char error[PL_SDP_ERROR_SIZE];
	assert_false(pl_sdp_parse_copy(nul, sizeof nul - 1, &offer, error));
	assert_string_equal(error, "line 13: a NUL byte");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sdp_missing_is_named),
		cmocka_unit_test(test_sdp_without_opus),
		cmocka_unit_test(test_sdp_one_bundle_only),
		cmocka_unit_test(test_sdp_one_m_line_needs_no_group),
		cmocka_unit_test(test_sdp_tagged_is_the_first_taken),
		cmocka_unit_test(test_sdp_transport_is_checked),
		cmocka_unit_test(test_sdp_own_before_all),
		cmocka_unit_test(test_sdp_media_lines_are_checked),
		cmocka_unit_test(test_sdp_repeated_words_are_tokens),
		cmocka_unit_test(test_sdp_protocol_is_dtls_srtp),
		cmocka_unit_test(test_sdp_other_names_of_dtls_srtp),
		cmocka_unit_test(test_sdp_plain_rtp_is_not_taken),
		cmocka_unit_test(test_sdp_lines_end_as_they_like),
		cmocka_unit_test(test_sdp_opus_by_preference),
		cmocka_unit_test(test_sdp_port_direction_ssrc),
		cmocka_unit_test(test_sdp_size_is_bounded),
		cmocka_unit_test(test_sdp_line_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
