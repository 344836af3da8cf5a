#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "media/ice.h"
#include "tests/support/stun.h"

static const struct pl_ice_credentials server = { .ufrag = "server01", .pwd = "serverpasswordserverpass" };
static const struct pl_ice_credentials server_next = { .ufrag = "server02", .pwd = "anotherpasswordanotherpa" };

struct fixture {
	struct pl_ice ice;
	struct pl_ice_result result;
	uint8_t reply[PL_ICE_REPLY_SIZE_MAX];
	struct pl_stun message;
};

static const struct pl_path somewhere = { .remote = { .ip = { [10] = 0xff, 0xff, 192, 0, 2, 1 }, .port = 32853 },
	.local = { .ip = { [10] = 0xff, 0xff, 198, 51, 100, 1 }, .port = 3478 } };

static struct pl_path path_of(uint16_t port)
{
	struct pl_path path = somewhere;
	path.remote.port = port;
	return path;
}

static enum pl_drop feed(struct fixture *f, int64_t now_us, const struct pl_path *path)
{
	/* Of the exact size, so that the sanitizer sees one byte too far. */
	uint8_t *copy = malloc(f->message.size > 0 ? f->message.size : 1);
	memcpy(copy, f->message.bytes, f->message.size);
	const enum pl_drop drop =
		pl_ice_feed(&f->ice, now_us, path, (struct pl_bytes){ copy, f->message.size }, f->reply, &f->result);
	free(copy);
	return drop;
}

static enum pl_drop check(struct fixture *f, int64_t now_us, uint16_t port, bool is_nominating)
{
	const struct pl_path path = path_of(port);
	pl_stun_check(&f->message, "server01:browser", server.pwd, is_nominating);
	return feed(f, now_us, &path);
}

static int error_of(const struct fixture *f)
{
	size_t size;
	if (f->result.reply_size == 0)
		return 0;
	const uint8_t *value =
		pl_stun_find((struct pl_bytes){ f->reply, f->result.reply_size }, STUN_ERROR_CODE, &size);
	return value == NULL ? 0 : value[2] * 100 + value[3];
}

static bool is_success(const struct fixture *f)
{
	return f->result.reply_size > 0 && f->reply[0] == 0x01 && f->reply[1] == 0x01;
}

/* Writes the reply again without its last two attributes, signs it ourselves, and compares. */
static void assert_signed(const struct fixture *f, const char *pwd)
{
	struct pl_stun again;
	memcpy(again.bytes, f->reply, f->result.reply_size);
	again.size = f->result.reply_size - 24 - 8;
	assert_true(pl_stun_finish(&again, pwd));
	assert_int_equal(again.size, f->result.reply_size);
	assert_memory_equal(again.bytes, f->reply, again.size);
}

/* RFC 5769 section 2.1 */
static const uint8_t rfc5769_request[] = { 0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc,
	0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x10, 0x53, 0x54, 0x55, 0x4e, 0x20, 0x74, 0x65,
	0x73, 0x74, 0x20, 0x63, 0x6c, 0x69, 0x65, 0x6e, 0x74, 0x00, 0x24, 0x00, 0x04, 0x6e, 0x00, 0x01, 0xff, 0x80,
	0x29, 0x00, 0x08, 0x93, 0x2f, 0xf9, 0xb1, 0x51, 0x26, 0x3b, 0x36, 0x00, 0x06, 0x00, 0x09, 0x65, 0x76, 0x74,
	0x6a, 0x3a, 0x68, 0x36, 0x76, 0x59, 0x20, 0x20, 0x20, 0x00, 0x08, 0x00, 0x14, 0x9a, 0xea, 0xa7, 0x0c, 0xbf,
	0xd8, 0xcb, 0x56, 0x78, 0x1e, 0xf2, 0xb5, 0xb2, 0xd3, 0xf2, 0x49, 0xc1, 0xb5, 0x71, 0xa2, 0x80, 0x28, 0x00,
	0x04, 0xe5, 0x7a, 0x3b, 0xcf };

static const struct pl_ice_credentials rfc5769 = { .ufrag = "evtj", .pwd = "VOkJxbRl1RmTxUk/WvJxBt" };

/* The RFC's request says ICE-CONTROLLED, as we always are: it is authentic, so it gets 487 and no 401. */
static void test_ice_takes_the_request_of_rfc_5769(void **state)
{
	(void)state;
	struct fixture f;
	pl_ice_init(&f.ice, 0, &rfc5769, "h6vY");
	f.message.size = sizeof rfc5769_request;
	memcpy(f.message.bytes, rfc5769_request, sizeof rfc5769_request);
	assert_int_equal(feed(&f, 0, &somewhere), PL_DROP_NONE);
	assert_int_equal(error_of(&f), 487);
	assert_signed(&f, rfc5769.pwd);
	assert_null(pl_ice_selected(&f.ice));
	assert_false(pl_ice_knows(&f.ice, &somewhere));

	struct pl_bytes ufrag;
	const struct pl_bytes datagram = { rfc5769_request, sizeof rfc5769_request };
	assert_int_equal(pl_ice_peek_ufrag(datagram, &ufrag), PL_DROP_NONE);
	assert_int_equal(ufrag.size, 4);
	assert_memory_equal(ufrag.data, "evtj", 4);
}

/* A peer learns its own address from the reply: the attribute must be as in RFC 5769 sections 2.2 and 2.3. */
static void test_ice_tells_the_peer_its_address(void **state)
{
	(void)state;
	static const uint8_t v4[] = { 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43 };
	static const uint8_t v6[] = { 0x00, 0x02, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79, 0xbc,
		0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9 };
	const struct {
		struct pl_path path;
		const uint8_t *value;
		size_t size;
	} cases[] = {
		{ somewhere, v4, sizeof v4 },
		{ { .remote = { .ip = { 0x20, 0x01, 0x0d, 0xb8, 0x12, 0x34, 0x56, 0x78, 0, 0x11, 0x22, 0x33, 0x44, 0x55,
					0x66, 0x77 },
			    .port = 32853 } },
			v6, sizeof v6 },
	};

	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		struct fixture f;
		size_t size;
		pl_ice_init(&f.ice, 0, &server, "browser");
		pl_stun_check(&f.message, "server01:browser", server.pwd, false);
		assert_int_equal(feed(&f, 0, &cases[i].path), PL_DROP_NONE);
		assert_true(is_success(&f));
		assert_memory_equal(f.reply + 4, f.message.bytes + 4, 16);
		const uint8_t *value =
			pl_stun_find((struct pl_bytes){ f.reply, f.result.reply_size }, STUN_XOR_ADDRESS, &size);
		assert_non_null(value);
		assert_int_equal(size, cases[i].size);
		assert_memory_equal(value, cases[i].value, size);
		assert_signed(&f, server.pwd);
	}
}

/* Media goes where the browser nominated last; checks alone change nothing. */
static void test_ice_follows_the_latest_nomination(void **state)
{
	(void)state;
	static const struct {
		uint16_t port;
		bool is_nominating, is_new;
		uint16_t selected;
	} steps[] = {
		{ 1000, false, false, 0 },
		{ 1001, false, false, 0 },
		{ 1001, true, true, 1001 },
		{ 1001, true, false, 1001 },
		{ 1000, false, false, 1001 },
		{ 2000, true, true, 2000 }, /* from Wi-Fi to mobile: first seen and nominated at once */
		{ 1001, false, false, 2000 },
		{ 1000, true, true, 1000 },
	};
	struct fixture f;
	pl_ice_init(&f.ice, 0, &server, "browser");
	for (size_t i = 0; i < PL_COUNT(steps); i++) {
		assert_int_equal(check(&f, (int64_t)i, steps[i].port, steps[i].is_nominating), PL_DROP_NONE);
		assert_int_equal(f.result.is_selected_new, steps[i].is_new);
		const struct pl_path *selected = pl_ice_selected(&f.ice);
		assert_int_equal(selected == NULL ? 0 : selected->remote.port, steps[i].selected);
		const struct pl_path path = path_of(steps[i].port);
		assert_true(pl_ice_knows(&f.ice, &path));
	}
}

/* Whoever does not know the password learns nothing, becomes nobody's path and prolongs nobody's consent. */
static void test_ice_refuses_what_is_not_authentic(void **state)
{
	(void)state;
	struct fixture f;
	struct {
		const char *user, *pwd;
		enum pl_drop drop;
		int error;
	} cases[] = {
		{ "server01:browser", "serverpasswordserverpasS", PL_DROP_STUN_UNAUTHORIZED, 401 },
		{ "server01:browser", "", PL_DROP_STUN_UNAUTHORIZED, 401 },
		{ "server09:browser", server.pwd, PL_DROP_STUN_UNKNOWN_USER, 401 },
		{ "server01:somebody", server.pwd, PL_DROP_STUN_UNKNOWN_USER, 401 },
		{ "server01", server.pwd, PL_DROP_STUN_UNKNOWN_USER, 401 },
		{ ":browser", server.pwd, PL_DROP_STUN_UNKNOWN_USER, 401 },
		{ "server01:browser:x", server.pwd, PL_DROP_STUN_UNKNOWN_USER, 401 },
	};
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		pl_ice_init(&f.ice, 0, &server, "browser");
		pl_stun_check(&f.message, cases[i].user, cases[i].pwd, true);
		assert_int_equal(feed(&f, 5000, &somewhere), cases[i].drop);
		assert_int_equal(error_of(&f), cases[i].error);
		assert_null(pl_ice_selected(&f.ice));
		assert_false(pl_ice_knows(&f.ice, &somewhere));
		assert_int_equal(pl_ice_consent_deadline(&f.ice), PL_ICE_CONSENT_MS * 1000);
	}

	/* No MESSAGE-INTEGRITY, then no USERNAME: 400 (RFC 8489 section 9.1.3). */
	pl_stun_begin(&f.message, STUN_REQUEST_TYPE);
	assert_true(pl_stun_append(&f.message, STUN_USERNAME, "server01:browser", 16));
	assert_true(pl_stun_append_fingerprint(&f.message));
	assert_int_equal(feed(&f, 0, &somewhere), PL_DROP_STUN_UNAUTHORIZED);
	assert_int_equal(error_of(&f), 400);
	pl_stun_begin(&f.message, STUN_REQUEST_TYPE);
	assert_true(pl_stun_finish(&f.message, server.pwd));
	assert_int_equal(feed(&f, 0, &somewhere), PL_DROP_STUN_UNAUTHORIZED);
	assert_int_equal(error_of(&f), 400);

	/* No FINGERPRINT: not even taken for STUN. */
	pl_stun_begin(&f.message, STUN_REQUEST_TYPE);
	assert_true(pl_stun_append(&f.message, STUN_USERNAME, "server01:browser", 16));
	assert_true(pl_stun_append_integrity(&f.message, server.pwd));
	assert_int_equal(feed(&f, 0, &somewhere), PL_DROP_STUN_MALFORMED);
	assert_int_equal(f.result.reply_size, 0);
}

/* A browser of the future may say more than we understand: what it marks optional is passed over, for the rest
 * it is told by name what we do not know. */
static void test_ice_knows_what_it_does_not_know(void **state)
{
	(void)state;
	struct fixture f;
	size_t size;
	pl_ice_init(&f.ice, 0, &server, "browser");
	pl_stun_begin(&f.message, STUN_REQUEST_TYPE);
	assert_true(pl_stun_append(&f.message, STUN_USERNAME, "server01:browser", 16));
	assert_true(pl_stun_append(&f.message, 0x7abc, "????", 4));
	assert_true(pl_stun_append(&f.message, 0xfabc, "????", 4));
	assert_true(pl_stun_finish(&f.message, server.pwd));
	assert_int_equal(feed(&f, 0, &somewhere), PL_DROP_STUN_MALFORMED);
	assert_int_equal(error_of(&f), 420);
	const uint8_t *value = pl_stun_find((struct pl_bytes){ f.reply, f.result.reply_size }, STUN_UNKNOWN, &size);
	assert_int_equal(size, 2);
	assert_memory_equal(value, "\x7a\xbc", 2);
	assert_false(pl_ice_knows(&f.ice, &somewhere));

	/* As many as fit into a datagram: more than fit into the reply. */
	pl_stun_begin(&f.message, STUN_REQUEST_TYPE);
	assert_true(pl_stun_append(&f.message, STUN_USERNAME, "server01:browser", 16));
	while (f.message.size < 1400)
		assert_true(pl_stun_append(&f.message, 0x7abc, NULL, 0));
	assert_true(pl_stun_finish(&f.message, server.pwd));
	assert_int_equal(feed(&f, 0, &somewhere), PL_DROP_STUN_MALFORMED);

	assert_int_equal(check(&f, 0, 1000, false), PL_DROP_NONE); /* 0xC057 and 0x802A are in every check */
	assert_true(is_success(&f));
}

static void test_ice_takes_requests_only(void **state)
{
	(void)state;
	static const struct {
		uint16_t type;
		enum pl_drop drop;
	} cases[] = {
		{ STUN_INDICATION_TYPE, PL_DROP_NONE },
		{ STUN_SUCCESS_TYPE, PL_DROP_STUN_NOT_BINDING },
		{ STUN_ERROR_TYPE, PL_DROP_STUN_NOT_BINDING },
		{ 0x0003, PL_DROP_STUN_NOT_BINDING }, /* TURN's Allocate */
		{ 0x03ef, PL_DROP_STUN_NOT_BINDING },
	};
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		struct fixture f;
		pl_ice_init(&f.ice, 0, &server, "browser");
		pl_stun_begin(&f.message, cases[i].type);
		assert_true(pl_stun_append(&f.message, STUN_USERNAME, "server01:browser", 16));
		assert_true(pl_stun_append(&f.message, STUN_NOMINATE, NULL, 0));
		assert_true(pl_stun_finish(&f.message, server.pwd));
		assert_int_equal(feed(&f, 5000, &somewhere), cases[i].drop);
		assert_int_equal(f.result.reply_size, 0);
		assert_null(pl_ice_selected(&f.ice));
		assert_int_equal(pl_ice_consent_deadline(&f.ice), PL_ICE_CONSENT_MS * 1000);
	}
}

/* A killed browser is gone 30 s after its last check, a living one never. */
static void test_ice_consent_lives_from_check_to_check(void **state)
{
	(void)state;
	struct fixture f;
	pl_ice_init(&f.ice, 1000, &server, "browser");
	assert_int_equal(pl_ice_consent_deadline(&f.ice), 1000 + 30000000);
	for (int64_t now_us = 2000; now_us < 100000000; now_us += 5000000) {
		assert_int_equal(check(&f, now_us, 1000, now_us == 2000), PL_DROP_NONE);
		assert_int_equal(pl_ice_consent_deadline(&f.ice), now_us + 30000000);
	}
}

/* During an ICE restart media goes on over the old path until the new one is nominated. */
static void test_ice_restart_keeps_the_old_path_until_the_new_one(void **state)
{
	(void)state;
	struct fixture f;
	pl_ice_init(&f.ice, 0, &server, "browser");
	assert_int_equal(check(&f, 0, 1000, true), PL_DROP_NONE);
	pl_ice_restart(&f.ice, &server_next, "again");
	assert_int_equal(pl_ice_selected(&f.ice)->remote.port, 1000);
	assert_int_equal(check(&f, 1, 1000, false), PL_DROP_NONE);
	assert_signed(&f, server.pwd);

	const struct pl_path next = path_of(2000);
	pl_stun_check(&f.message, "server02:browser", server_next.pwd, true);
	assert_int_equal(feed(&f, 2, &next), PL_DROP_STUN_UNKNOWN_USER); /* new name, old fragment of the peer */
	pl_stun_check(&f.message, "server01:again", server.pwd, true);
	assert_int_equal(feed(&f, 2, &next), PL_DROP_STUN_UNKNOWN_USER); /* old name, new fragment of the peer */
	assert_int_equal(pl_ice_selected(&f.ice)->remote.port, 1000);
	pl_stun_check(&f.message, "server02:again", server_next.pwd, false);
	assert_int_equal(feed(&f, 2, &next), PL_DROP_NONE);
	assert_signed(&f, server_next.pwd);
	assert_int_equal(check(&f, 3, 1000, false), PL_DROP_NONE);
	pl_stun_check(&f.message, "server02:again", server_next.pwd, true);
	assert_int_equal(feed(&f, 4, &next), PL_DROP_NONE);
	assert_true(f.result.is_selected_new);
	assert_int_equal(pl_ice_selected(&f.ice)->remote.port, 2000);

	assert_int_equal(check(&f, 5, 1000, true), PL_DROP_STUN_UNKNOWN_USER);
	assert_int_equal(pl_ice_selected(&f.ice)->remote.port, 2000);
}

/* A peer that hops through many addresses takes no memory, and keeps the path in use, wherever that stands in the
 * table and however long it was silent. */
static void test_ice_remembers_a_bounded_number_of_paths(void **state)
{
	(void)state;
	for (uint16_t selected = 0; selected < PL_ICE_PATHS_MAX; selected++) {
		struct fixture f;
		pl_ice_init(&f.ice, 0, &server, "");
		for (uint16_t i = 0; i < 100; i++)
			assert_int_equal(check(&f, i * 1000000, (uint16_t)(1000 + i), i == selected), PL_DROP_NONE);
		assert_int_equal(pl_ice_selected(&f.ice)->remote.port, 1000 + selected);
		for (uint16_t i = 0; i < 100; i++) {
			const struct pl_path path = path_of((uint16_t)(1000 + i));
			assert_int_equal(pl_ice_knows(&f.ice, &path), i == selected || i > 100 - PL_ICE_PATHS_MAX);
		}
	}
}

/* A flood costs us no more than its bound, and nobody but its sender. */
static void test_ice_answers_at_a_bounded_rate(void **state)
{
	(void)state;
	struct fixture f;
	int answered = 0, refused = 0;
	pl_ice_init(&f.ice, 0, &server, "browser");
	pl_stun_check(&f.message, "server01:browser", "wrong", true);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(feed(&f, 0, &somewhere), PL_DROP_STUN_UNAUTHORIZED);
		refused += error_of(&f) == 401;
	}
	assert_int_equal(refused, 10);

	for (int i = 0; i < 1000; i++) {
		const enum pl_drop drop = check(&f, 0, 1000, false);
		assert_true(drop == PL_DROP_NONE || drop == PL_DROP_STUN_RATE);
		assert_int_equal(drop == PL_DROP_NONE, is_success(&f));
		answered += drop == PL_DROP_NONE;
	}
	assert_int_equal(answered, 200);
	for (int i = 0; i < 1000; i++) /* in the next second */
		answered += check(&f, (i + 1) * 1000, 1000, false) == PL_DROP_NONE;
	assert_int_equal(answered, 300);
}

/* Names may be 256 bytes long each (RFC 8839 section 5.4); the reply must still fit. */
static void test_ice_answers_the_longest_name(void **state)
{
	(void)state;
	struct fixture f;
	char remote[PL_ICE_UFRAG_MAX + 1], user[PL_ICE_UFRAG_MAX + 10];
	memset(remote, 'x', PL_ICE_UFRAG_MAX);
	remote[PL_ICE_UFRAG_MAX] = '\0';
	strcpy(user, "server01:");
	strcat(user, remote);
	pl_ice_init(&f.ice, 0, &server, remote);
	pl_stun_check(&f.message, user, server.pwd, true);
	assert_int_equal(feed(&f, 0, &somewhere), PL_DROP_NONE);
	assert_true(is_success(&f));
}

/* Cut anywhere, or with any one byte changed, a check is no check. */
static void test_ice_survives_any_cut_and_any_flipped_byte(void **state)
{
	(void)state;
	struct fixture f;
	struct pl_stun whole;
	struct pl_bytes ufrag;
	pl_stun_check(&whole, "server01:browser", server.pwd, true);
	for (size_t size = 0; size < whole.size; size++) {
		pl_ice_init(&f.ice, 0, &server, "browser");
		f.message = whole;
		f.message.size = size;
		assert_int_equal(feed(&f, 0, &somewhere), PL_DROP_STUN_MALFORMED);
		assert_int_equal(
			pl_ice_peek_ufrag((struct pl_bytes){ whole.bytes, size }, &ufrag), PL_DROP_STUN_MALFORMED);
	}
	for (size_t at = 0; at < whole.size; at++)
		for (int bit = 0; bit < 8; bit++) {
			pl_ice_init(&f.ice, 0, &server, "browser");
			f.message = whole;
			f.message.bytes[at] ^= (uint8_t)(1 << bit);
			(void)!feed(&f, 0, &somewhere);
			assert_false(is_success(&f));
			assert_null(pl_ice_selected(&f.ice));
			assert_false(pl_ice_knows(&f.ice, &somewhere));
		}
}

/* What libnice would read too far into, or take in an order that the RFC forbids. */
static void test_ice_refuses_misplaced_attributes(void **state)
{
	(void)state;
	struct fixture f;
	pl_ice_init(&f.ice, 0, &server, "browser");

	pl_stun_begin(&f.message, STUN_REQUEST_TYPE); /* MESSAGE-INTEGRITY of no bytes, last but for the fingerprint */
	assert_true(pl_stun_append(&f.message, STUN_USERNAME, "server01:browser", 16));
	assert_true(pl_stun_append(&f.message, STUN_INTEGRITY, NULL, 0));
	assert_true(pl_stun_append_fingerprint(&f.message));
	assert_int_equal(feed(&f, 0, &somewhere), PL_DROP_STUN_MALFORMED);

	pl_stun_check(&f.message, "server01:browser", server.pwd, false); /* anything behind the fingerprint */
	assert_true(pl_stun_append(&f.message, STUN_NOMINATE, NULL, 0));
	assert_int_equal(feed(&f, 0, &somewhere), PL_DROP_STUN_MALFORMED);

	pl_stun_begin(&f.message, STUN_REQUEST_TYPE); /* a USE-CANDIDATE that the integrity does not cover */
	assert_true(pl_stun_append(&f.message, STUN_USERNAME, "server01:browser", 16));
	assert_true(pl_stun_append_integrity(&f.message, server.pwd));
	assert_true(pl_stun_append(&f.message, STUN_NOMINATE, NULL, 0));
	assert_true(pl_stun_append_fingerprint(&f.message));
	(void)!feed(&f, 0, &somewhere);
	assert_null(pl_ice_selected(&f.ice));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ice_takes_the_request_of_rfc_5769),
		cmocka_unit_test(test_ice_tells_the_peer_its_address),
		cmocka_unit_test(test_ice_follows_the_latest_nomination),
		cmocka_unit_test(test_ice_refuses_what_is_not_authentic),
		cmocka_unit_test(test_ice_knows_what_it_does_not_know),
		cmocka_unit_test(test_ice_takes_requests_only),
		cmocka_unit_test(test_ice_consent_lives_from_check_to_check),
		cmocka_unit_test(test_ice_restart_keeps_the_old_path_until_the_new_one),
		cmocka_unit_test(test_ice_remembers_a_bounded_number_of_paths),
		cmocka_unit_test(test_ice_answers_at_a_bounded_rate),
		cmocka_unit_test(test_ice_answers_the_longest_name),
		cmocka_unit_test(test_ice_survives_any_cut_and_any_flipped_byte),
		cmocka_unit_test(test_ice_refuses_misplaced_attributes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
