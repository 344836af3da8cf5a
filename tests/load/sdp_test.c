#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/load/sdp.h"

enum { SSRC = 4711, SLOTS_MAX = 60 };

static const struct pl_fingerprint fingerprint = { .hash = PL_FINGERPRINT_SHA256, .size = 32, .bytes = { 1, 2, 3 } };
static const struct pl_ice_credentials server_ice = { .ufrag = "server01", .pwd = "serverpasswordserverpass" };

static struct load_offer offer_of(bool is_sending, uint32_t slots)
{
	return (struct load_offer){
		.session_id = 1234567890123,
		.ice = { .ufrag = "client01", .pwd = "clientpasswordclientpass" },
		.fingerprint = &fingerprint,
		.candidate = pl_addr_ipv4(0x7f000001, 40000),
		.is_sending = is_sending,
		.ssrc = SSRC,
		.slots = slots,
	};
}

/* What Plenum's own reader makes of our offer. */
static void read_offer(const struct load_offer *offer, struct pl_sdp_offer *read)
{
	static char text[LOAD_OFFER_SIZE_MAX];
	char error[PL_SDP_ERROR_SIZE];
	const struct pl_sdp_options options = { .takes_g711 = false };
	const size_t size = load_sdp_write_offer(offer, text, sizeof text);
	assert_true(size > 0);
	assert_int_equal(size, strlen(text));
	if (!pl_sdp_parse_offer((struct pl_bytes){ (const uint8_t *)text, size }, &options, read, error))
		fail_msg("%s", error);
}

/* Writes Plenum's answer to it: all accepted, with these candidates. */
static size_t answer_to(const struct pl_sdp_offer *offer, const struct pl_addr *candidates, size_t count, char *text)
{
	struct pl_sdp_answer answer = {
		.offer = offer,
		.session_id = 1,
		.ice = server_ice,
		.fingerprint = &fingerprint,
		.role = PL_DTLS_PASSIVE,
		.cname = "c",
		.candidates = candidates,
		.candidate_count = count,
	};
	for (uint8_t i = 0; i < offer->media_count; i++) {
		const bool is_ours = offer->media[i].direction == PL_SDP_RECV;
		answer.media[i] = (struct pl_sdp_answer_media){
			.is_accepted = true,
			.direction = is_ours ? PL_SDP_SEND : PL_SDP_RECV,
			.ssrc = is_ours ? 100u + i : 0,
			.stream_id = "s",
			.track_id = "t",
		};
	}
	return pl_sdp_write_answer(&answer, text, PL_SDP_ANSWER_SIZE_MAX);
}

/* The offers of a publisher, of receivers and of both say what each is. */
static void test_sdp_offers_are_read_as_meant(void **state)
{
	(void)state;
	static struct pl_sdp_offer read;
	static const struct {
		bool is_sending;
		uint32_t slots;
	} cases[] = { { true, 0 }, { false, 1 }, { true, 3 }, { false, SLOTS_MAX }, { true, SLOTS_MAX } };
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		const struct load_offer offer = offer_of(cases[i].is_sending, cases[i].slots);
		read_offer(&offer, &read);
		assert_int_equal(read.media_count, cases[i].slots + cases[i].is_sending);
		assert_string_equal(read.ufrag, offer.ice.ufrag);
		assert_string_equal(read.pwd, offer.ice.pwd);
		assert_int_equal(read.setup, PL_SDP_ACTPASS);
		assert_int_equal(read.tagged, 0);
		for (uint8_t m = 0; m < read.media_count; m++) {
			const bool is_microphone = m == 0 && cases[i].is_sending;
			assert_int_equal(read.media[m].direction, is_microphone ? PL_SDP_SEND : PL_SDP_RECV);
			assert_int_equal(read.media[m].ssrc, is_microphone ? SSRC : 0);
			assert_true(read.media[m].is_bundled && read.media[m].has_codec);
		}
	}
}

/* Too long is said, not cut: half an offer would be another offer. */
static void test_sdp_offer_that_does_not_fit_is_none(void **state)
{
	(void)state;
	static char text[LOAD_OFFER_SIZE_MAX];
	const struct load_offer offer = offer_of(true, 2);
	const size_t size = load_sdp_write_offer(&offer, text, sizeof text);
	for (size_t room = 1; room <= size; room++)
		assert_int_equal(load_sdp_write_offer(&offer, text, room), 0);
	assert_int_equal(load_sdp_write_offer(&offer, text, size + 1), size);
}

static void test_sdp_answer_gives_all_that_connecting_needs(void **state)
{
	(void)state;
	static struct pl_sdp_offer read;
	static char text[PL_SDP_ANSWER_SIZE_MAX];
	char error[PL_SDP_ERROR_SIZE];
	struct load_answer answer;
	const struct load_offer offer = offer_of(true, 5);
	const struct pl_addr near = pl_addr_ipv4(0x7f000001, 8080), candidate = pl_addr_ipv4(0x7f000001, 3478);
	read_offer(&offer, &read);
	const size_t size = answer_to(&read, &candidate, 1, text);
	if (!load_sdp_read_answer((struct pl_bytes){ (const uint8_t *)text, size }, &near, &answer, error))
		fail_msg("%s", error);
	assert_string_equal(answer.ufrag, server_ice.ufrag);
	assert_string_equal(answer.pwd, server_ice.pwd);
	assert_memory_equal(&answer.fingerprint, &fingerprint, sizeof fingerprint);
	assert_int_equal(answer.role, PL_DTLS_ACTIVE); /* theirs is passive */
	assert_true(pl_addr_is_ipv4(&answer.server));
	assert_int_equal(answer.server.port, 3478);
	assert_true(answer.is_taken);
	assert_string_equal(answer.mid, "0");
	assert_int_equal(answer.payload_type, LOAD_OPUS_PAYLOAD_TYPE);
	assert_int_equal(answer.slots, 5);
	assert_int_not_equal(answer.ext_ids.id[PL_RTP_EXT_AUDIO_LEVEL], 0);
}

/* A server has many addresses: the one that signaling goes to is known to be reachable. */
static void test_sdp_nearest_candidate_is_chosen(void **state)
{
	(void)state;
	static struct pl_sdp_offer read;
	static char text[PL_SDP_ANSWER_SIZE_MAX];
	char error[PL_SDP_ERROR_SIZE];
	struct load_answer answer;
	struct pl_addr candidates[4] = {
		{ .ip = { [15] = 1 }, .port = 1 }, /* ::1 */
		pl_addr_ipv4(0xc0000201, 2),
		pl_addr_ipv4(0x7f000001, 3),
		pl_addr_ipv4(0xc0000202, 4),
	};
	static const struct {
		uint32_t near;
		uint16_t port;
	} cases[] = { { 0x7f000001, 3 }, { 0xc0000202, 4 }, { 0x0a000001, 2 } };
	const struct load_offer offer = offer_of(false, 1);
	read_offer(&offer, &read);
	const size_t size = answer_to(&read, candidates, PL_COUNT(candidates), text);
	const struct pl_bytes bytes = { (const uint8_t *)text, size };
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		const struct pl_addr near = pl_addr_ipv4(cases[i].near, 8080);
		assert_true(load_sdp_read_answer(bytes, &near, &answer, error));
		assert_int_equal(answer.server.port, cases[i].port);
	}
	assert_true(load_sdp_read_answer(bytes, &candidates[0], &answer, error));
	assert_int_equal(answer.server.port, 1);
	answer_to(&read, candidates, 1, text);
	const struct pl_addr near = pl_addr_ipv4(0x7f000001, 8080);
	assert_false(
		load_sdp_read_answer((struct pl_bytes){ (const uint8_t *)text, strlen(text) }, &near, &answer, error));
	assert_non_null(strstr(error, "no UDP candidate"));
}

/* Whatever a server answers, there is a sentence or an answer, and no byte beyond the end is read (the sanitizer looks). */
static void test_sdp_any_answer_ends_in_a_sentence(void **state)
{
	(void)state;
	static struct pl_sdp_offer read;
	static char text[PL_SDP_ANSWER_SIZE_MAX];
	static uint8_t longest[PL_SDP_SIZE_MAX + 1];
	char error[PL_SDP_ERROR_SIZE];
	struct load_answer answer;
	const struct load_offer offer = offer_of(true, 1);
	const struct pl_addr near = pl_addr_ipv4(0x7f000001, 8080), candidate = pl_addr_ipv4(0x7f000001, 3478);
	read_offer(&offer, &read);
	const size_t size = answer_to(&read, &candidate, 1, text);
	for (size_t cut = 0; cut < size; cut++) {
		error[0] = '\0';
		if (!load_sdp_read_answer((struct pl_bytes){ (const uint8_t *)text, cut }, &near, &answer, error))
			assert_true(error[0] != '\0');
	}
	memset(longest, '\n', sizeof longest);
	assert_false(load_sdp_read_answer((struct pl_bytes){ longest, sizeof longest }, &near, &answer, error));
	assert_false(load_sdp_read_answer((struct pl_bytes){ longest, sizeof longest - 1 }, &near, &answer, error));
	memset(longest, 'x', sizeof longest);
	assert_false(load_sdp_read_answer((struct pl_bytes){ longest, sizeof longest - 1 }, &near, &answer, error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sdp_offers_are_read_as_meant),
		cmocka_unit_test(test_sdp_offer_that_does_not_fit_is_none),
		cmocka_unit_test(test_sdp_answer_gives_all_that_connecting_needs),
		cmocka_unit_test(test_sdp_nearest_candidate_is_chosen),
		cmocka_unit_test(test_sdp_any_answer_ends_in_a_sentence),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
