/* Two of our associations against each other, and one of ours against OpenSSL used as a plain library (what aiortc,
 * GStreamer and many others are). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "media/dtls.h"
#include "tests/support/foreign.h"

static struct pl_dtls_identity *alice_identity, *bob_identity;

static int set_up(void **state)
{
	(void)state;
	return pl_dtls_identity_create(&alice_identity) != PL_ERR_NONE ||
	       pl_dtls_identity_create(&bob_identity) != PL_ERR_NONE;
}

static int tear_down(void **state)
{
	(void)state;
	pl_dtls_identity_destroy(&alice_identity);
	pl_dtls_identity_destroy(&bob_identity);
	return 0;
}

/* Alice is active, Bob is passive; what one sends arrives at once, unless it is the datagram to lose. */
struct pair {
	struct pl_dtls *alice, *bob;
	int64_t now_us;
	int sent, lost_first, lost_last; /* datagrams of both, counted from 0 */
};

static void pair_init(struct pair *p, const struct pl_fingerprint *of_alice, const struct pl_fingerprint *of_bob)
{
	*p = (struct pair){ .lost_first = -1, .lost_last = -1 };
	assert_int_equal(pl_dtls_create(&p->alice, alice_identity, PL_DTLS_ACTIVE, of_bob), PL_ERR_NONE);
	assert_int_equal(pl_dtls_create(&p->bob, bob_identity, PL_DTLS_PASSIVE, of_alice), PL_ERR_NONE);
}

static void pair_fini(struct pair *p)
{
	pl_dtls_destroy(&p->alice);
	pl_dtls_destroy(&p->bob);
}

/* Where a drop is as good as not: the state at the end tells. */
static void feed(struct pl_dtls *dtls, int64_t now_us, struct pl_bytes datagram)
{
	const enum pl_drop drop = pl_dtls_feed(dtls, now_us, datagram);
	(void)drop;
}

static bool deliver(struct pair *p, struct pl_dtls *from, struct pl_dtls *to)
{
	struct pl_bytes datagram;
	uint8_t copy[PL_DTLS_MTU];
	bool any = false;

	while (pl_dtls_next(from, &datagram)) {
		any = true;
		assert_in_range(datagram.size, 1, PL_DTLS_MTU);
		memcpy(copy, datagram.data, datagram.size);
		const int number = p->sent++;
		if (number < p->lost_first || number > p->lost_last)
			feed(to, p->now_us, (struct pl_bytes){ copy, datagram.size });
	}
	return any;
}

/* False when neither had anything to say. */
static bool exchange(struct pair *p)
{
	const bool has_alice_spoken = deliver(p, p->alice, p->bob), has_bob_spoken = deliver(p, p->bob, p->alice);
	return has_alice_spoken || has_bob_spoken;
}

static bool is_over(const struct pl_dtls *dtls)
{
	return pl_dtls_state(dtls) != PL_DTLS_HANDSHAKE;
}

/* Runs until both are through, or 30 s have passed. */
static void run(struct pair *p)
{
	for (;;) {
		while (exchange(p))
			;
		if (is_over(p->alice) && is_over(p->bob))
			return;
		const int64_t a = pl_dtls_deadline(p->alice), b = pl_dtls_deadline(p->bob);
		p->now_us = a < b ? a : b;
		if (p->now_us > 30 * INT64_C(1000000))
			return;
		pl_dtls_tick(p->alice, p->now_us);
		pl_dtls_tick(p->bob, p->now_us);
	}
}

static void assert_connected(const struct pair *p)
{
	struct pl_srtp_keys a, b;

	assert_int_equal(pl_dtls_state(p->alice), PL_DTLS_CONNECTED);
	assert_int_equal(pl_dtls_state(p->bob), PL_DTLS_CONNECTED);
	assert_true(pl_dtls_keys(p->alice, &a));
	assert_true(pl_dtls_keys(p->bob, &b));
	assert_int_equal(a.profile, b.profile);
	assert_memory_equal(&a.local, &b.remote, sizeof a.local);
	assert_memory_equal(&a.remote, &b.local, sizeof a.remote);
	assert_memory_not_equal(&a.local, &a.remote, sizeof a.local);
}

/* Both ends must come to the same keys, each the other's way round, or nobody hears anything. */
static void test_dtls_both_roles_agree_on_keys(void **state)
{
	(void)state;
	struct pair p;
	pair_init(&p, pl_dtls_identity_fingerprint(alice_identity), pl_dtls_identity_fingerprint(bob_identity));
	pl_dtls_start(p.alice, 0);
	pl_dtls_start(p.bob, 0);
	run(&p);
	assert_connected(&p);
	assert_int_equal(p.now_us, 0);
	struct pl_srtp_keys keys;
	assert_true(pl_dtls_keys(p.alice, &keys));
	assert_int_equal(keys.profile, PL_SRTP_AEAD_AES_128_GCM);
	assert_int_equal(pl_dtls_deadline(p.alice), INT64_MAX);
	assert_int_equal(pl_dtls_deadline(p.bob), INT64_MAX);
	pair_fini(&p);
}

/* A lost datagram may cost a retransmission, never the call: lose each one, then each run of two and three. */
static void test_dtls_survives_loss_of_any_datagram(void **state)
{
	(void)state;
	for (int run_length = 1; run_length <= 3; run_length++)
		for (int first = 0; first < 12; first++) {
			struct pair p;
			pair_init(&p, pl_dtls_identity_fingerprint(alice_identity),
				pl_dtls_identity_fingerprint(bob_identity));
			p.lost_first = first;
			p.lost_last = first + run_length - 1;
			pl_dtls_start(p.alice, 0);
			run(&p);
			if (pl_dtls_state(p.alice) != PL_DTLS_CONNECTED || pl_dtls_state(p.bob) != PL_DTLS_CONNECTED)
				print_error("lost: %d datagrams from number %d on\n", run_length, first);
			assert_connected(&p);
			assert_in_range(p.now_us, 0, 4 * INT64_C(1000000));
			pair_fini(&p);
		}
}

static uint64_t record_number(struct pl_bytes record)
{
	uint64_t number = 0;
	assert_true(record.size >= 13);
	for (int i = 3; i < 11; i++) /* epoch and sequence number, RFC 6347 section 4.1 */
		number = number << 8 | record.data[i];
	return number;
}

/* Silence is asked again after 250 ms, doubling to 4 s, in records that are new each time: a peer takes a record that
 * it has seen for a replay and would never answer. */
static void test_dtls_repeats_in_new_records_with_backoff(void **state)
{
	(void)state;
	static const int64_t at_ms[] = { 0, 250, 750, 1750, 3750, 7750, 11750, 15750 };
	struct pair p;
	uint64_t last_number = 0;
	int64_t now_us = 0;

	pair_init(&p, pl_dtls_identity_fingerprint(alice_identity), pl_dtls_identity_fingerprint(bob_identity));
	pl_dtls_start(p.alice, 0);
	for (size_t i = 0; i < PL_COUNT(at_ms); i++) {
		struct pl_bytes datagram;
		assert_int_equal(now_us, at_ms[i] * 1000);
		assert_true(pl_dtls_next(p.alice, &datagram));
		const uint64_t number = record_number(datagram);
		assert_true(i == 0 || number > last_number);
		last_number = number;
		assert_false(pl_dtls_next(p.alice, &datagram));

		now_us = pl_dtls_deadline(p.alice);
		pl_dtls_tick(p.alice, now_us - 1);
		assert_false(pl_dtls_next(p.alice, &datagram));
		pl_dtls_tick(p.alice, now_us);
	}
	pair_fini(&p);
}

/* The certificate must be the one of the offer: anything else is somebody in the middle. */
static void test_dtls_refuses_another_certificate(void **state)
{
	(void)state;
	const struct pl_fingerprint *of_alice = pl_dtls_identity_fingerprint(alice_identity);
	const struct pl_fingerprint *of_bob = pl_dtls_identity_fingerprint(bob_identity);
	struct pl_fingerprint cut = *of_alice;
	cut.size = 0;
	const struct {
		const struct pl_fingerprint *expected_of_alice, *expected_of_bob;
	} cases[] = { { of_bob, of_bob }, { of_alice, of_alice }, { &cut, of_bob } };

	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		struct pair p;
		pair_init(&p, cases[i].expected_of_alice, cases[i].expected_of_bob);
		pl_dtls_start(p.alice, 0);
		run(&p);
		assert_int_equal(pl_dtls_state(p.alice), PL_DTLS_FAILED);
		assert_int_equal(pl_dtls_state(p.bob), PL_DTLS_FAILED);
		assert_int_equal(p.now_us, 0); /* told by an alert, not found out by waiting */
		pair_fini(&p);
	}
}

/* Who hangs up is told to the other side at once. */
static void test_dtls_close_reaches_the_peer(void **state)
{
	(void)state;
	for (int who = 0; who < 2; who++) {
		struct pair p;
		pair_init(&p, pl_dtls_identity_fingerprint(alice_identity), pl_dtls_identity_fingerprint(bob_identity));
		pl_dtls_start(p.alice, 0);
		run(&p);
		assert_connected(&p);
		pl_dtls_close(who == 0 ? p.alice : p.bob, 1000);
		while (exchange(&p))
			;
		assert_int_equal(pl_dtls_state(p.alice), PL_DTLS_CLOSED);
		assert_int_equal(pl_dtls_state(p.bob), PL_DTLS_CLOSED);
		assert_int_equal(pl_dtls_feed(p.bob, 2000, (struct pl_bytes){ (const uint8_t *)"\x16", 1 }),
			PL_DROP_DTLS_CLOSED);
		pair_fini(&p);
	}
}

/* What somebody cut or wrote at random must not end a handshake that goes on behind it. */
static void test_dtls_cut_datagrams_change_nothing(void **state)
{
	(void)state;
	struct pair p;
	struct pl_bytes hello;

	pair_init(&p, pl_dtls_identity_fingerprint(alice_identity), pl_dtls_identity_fingerprint(bob_identity));
	pl_dtls_start(p.alice, 0);
	assert_true(pl_dtls_next(p.alice, &hello));
	for (size_t size = 0; size < hello.size; size++) {
		uint8_t *cut = malloc(
			size > 0 ? size : 1); /* of the exact size, so that the sanitizer sees one byte too far */
		memcpy(cut, hello.data, size);
		assert_int_equal(pl_dtls_feed(p.bob, 0, (struct pl_bytes){ cut, size }),
			size < 13 ? PL_DROP_DTLS_MALFORMED : PL_DROP_NONE);
		free(cut);
	}
	assert_int_equal(pl_dtls_feed(p.bob, 0, hello), PL_DROP_NONE);
	run(&p);
	assert_connected(&p);
	pair_fini(&p);
}

/* Whoever can forge the peer's address must not be able to end a call, or a handshake, by a record of any kind and length
 * that claims to be encrypted. */
static void test_dtls_forged_records_end_nothing(void **state)
{
	(void)state;
	static const uint8_t sizes[] = { 0, 1, 2, 15, 16, 17, 18, 23, 24, 25, 26, 40, 59 };
	for (int is_connected = 0; is_connected < 2; is_connected++)
		for (uint8_t type = 20; type <= 25; type++)
			for (size_t i = 0; i < PL_COUNT(sizes); i++) {
				struct pair p;
				const uint8_t size = sizes[i];
				uint8_t forged[13 + 60] = { type, 254, 253, 0, 1, 0, 0, 0, 0, 0, 200, 0, size };
				pair_init(&p, pl_dtls_identity_fingerprint(alice_identity),
					pl_dtls_identity_fingerprint(bob_identity));
				pl_dtls_start(p.alice, 0);
				if (is_connected)
					run(&p);
				else
					exchange(&p); /* Bob has said hello, too */
				for (int who = 0; who < 2; who++) {
					const enum pl_drop drop = pl_dtls_feed(who == 0 ? p.alice : p.bob, 0,
						(struct pl_bytes){ forged, 13 + (size_t)size });
					assert_int_equal(drop, size < 24 ? PL_DROP_DTLS_MALFORMED : PL_DROP_NONE);
				}
				run(&p);
				if (pl_dtls_state(p.alice) != PL_DTLS_CONNECTED ||
					pl_dtls_state(p.bob) != PL_DTLS_CONNECTED)
					fail_msg("type %d, %d bytes, connected: %d", type, size, is_connected);
				pair_fini(&p);
			}
}

/* No flipped bit of a ClientHello may do more than fail this one handshake. */
static void test_dtls_survives_any_flipped_byte(void **state)
{
	(void)state;
	struct pair p;
	struct pl_bytes hello;

	pair_init(&p, pl_dtls_identity_fingerprint(alice_identity), pl_dtls_identity_fingerprint(bob_identity));
	pl_dtls_start(p.alice, 0);
	assert_true(pl_dtls_next(p.alice, &hello));
	for (size_t at = 0; at < hello.size; at++) {
		struct pl_dtls *bob;
		uint8_t flipped[PL_DTLS_MTU];
		struct pl_bytes reply;
		memcpy(flipped, hello.data, hello.size);
		flipped[at] ^= 0xff;
		assert_int_equal(pl_dtls_create(&bob, bob_identity, PL_DTLS_PASSIVE,
					 pl_dtls_identity_fingerprint(alice_identity)),
			PL_ERR_NONE);
		const enum pl_drop drop = pl_dtls_feed(bob, 0, (struct pl_bytes){ flipped, hello.size });
		/* With another length the rest is read as a record of its own, and may be dropped for that: it depends on how long
		 * OpenSSL's ClientHello is. */
		const bool is_record = flipped[0] >= 20 && flipped[0] <= 25 && flipped[1] == 0xfe,
			   is_cut = at == 11 || at == 12;
		if (drop == PL_DROP_NONE)
			assert_true(is_record && pl_dtls_state(bob) == PL_DTLS_HANDSHAKE);
		else if (!is_cut)
			assert_true(!is_record || pl_dtls_state(bob) != PL_DTLS_HANDSHAKE);
		while (pl_dtls_next(bob, &reply))
			assert_in_range(reply.size, 1, PL_DTLS_MTU);
		pl_dtls_destroy(&bob);
	}
	pair_fini(&p);
}

/* --- Against OpenSSL as a plain library --- */

static void assert_same_keys(struct pl_foreign *f, const struct pl_dtls *ours, bool is_foreign_client)
{
	struct pl_srtp_keys keys;
	uint8_t material[60];
	const size_t salt_size =
		strcmp(SSL_get_selected_srtp_profile(f->ssl)->name, "SRTP_AEAD_AES_128_GCM") == 0 ? 12 : 14;

	assert_int_equal(SSL_is_init_finished(f->ssl), 1);
	assert_int_equal(
		SSL_export_keying_material(f->ssl, material, 32 + 2 * salt_size, "EXTRACTOR-dtls_srtp", 19, NULL, 0, 0),
		1);
	assert_true(pl_dtls_keys(ours, &keys));
	assert_int_equal(keys.profile, salt_size == 12 ? PL_SRTP_AEAD_AES_128_GCM : PL_SRTP_AES128_CM_SHA1_80);
	assert_memory_equal(is_foreign_client ? keys.remote.key : keys.local.key, material, 16);
	assert_memory_equal(is_foreign_client ? keys.local.key : keys.remote.key, material + 16, 16);
	assert_memory_equal(is_foreign_client ? keys.remote.salt : keys.local.salt, material + 32, salt_size);
	assert_memory_equal(
		is_foreign_client ? keys.local.salt : keys.remote.salt, material + 32 + salt_size, salt_size);
}

/* Every kind of client we know of gets in: both certificate types, both profiles, each fingerprint hash, hellos in
 * pieces of 230 bytes (aiortc, GStreamer) and of more than a datagram (Chromium, Firefox), in any order. */
static void test_dtls_meets_other_implementations(void **state)
{
	(void)state;
	static const char both[] = "SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_128_GCM";
	static const struct {
		struct pl_foreign_config config;
		enum pl_fingerprint_hash hash;
		bool is_reversed;
		size_t pieces_min; /* of its first flight */
	} cases[] = {
		{ { .has_certificate = true, .profiles = both, .mtu = 1200 }, PL_FINGERPRINT_SHA256, false, 1 },
		{ { .has_certificate = true, .profiles = "SRTP_AES128_CM_SHA1_80", .mtu = 1200 }, PL_FINGERPRINT_SHA384,
			false, 1 },
		{ { .has_certificate = true, .profiles = "SRTP_AEAD_AES_128_GCM", .mtu = 1200 }, PL_FINGERPRINT_SHA512,
			false, 1 },
		{ { .has_certificate = true, .has_rsa = true, .profiles = both, .mtu = 1200 }, PL_FINGERPRINT_SHA256,
			false, 1 },
		{ { .has_certificate = true, .profiles = both, .extra_size = 1200, .mtu = 1200 }, PL_FINGERPRINT_SHA256,
			false, 2 },
		{ { .has_certificate = true, .profiles = both, .extra_size = 1200, .mtu = 1200 }, PL_FINGERPRINT_SHA256,
			true, 2 },
		{ { .has_certificate = true, .profiles = both, .extra_size = 1200, .mtu = 256 }, PL_FINGERPRINT_SHA256,
			false, 6 },
		{ { .has_certificate = true, .profiles = both, .extra_size = 1200, .mtu = 256 }, PL_FINGERPRINT_SHA256,
			true, 6 },
		{ { .is_server = true, .has_certificate = true, .profiles = both, .mtu = 1200 }, PL_FINGERPRINT_SHA256,
			false, 1 },
		{ { .is_server = true, .has_rsa = true, .has_certificate = true, .profiles = both, .mtu = 256 },
			PL_FINGERPRINT_SHA256, true, 1 },
	};

	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		struct pl_foreign f;
		struct pl_dtls *ours;
		pl_foreign_init(&f, &cases[i].config);
		const struct pl_fingerprint fp = pl_foreign_fingerprint(&f, cases[i].hash);
		assert_int_equal(pl_dtls_create(&ours, alice_identity,
					 cases[i].config.is_server ? PL_DTLS_ACTIVE : PL_DTLS_PASSIVE, &fp),
			PL_ERR_NONE);
		const size_t pieces = pl_foreign_meet(&f, ours, cases[i].is_reversed);
		if (pieces < cases[i].pieces_min || pl_dtls_state(ours) != PL_DTLS_CONNECTED)
			print_error("case %zu, %zu pieces\n", i, pieces);
		assert_true(pieces >= cases[i].pieces_min);
		assert_int_equal(pl_dtls_state(ours), PL_DTLS_CONNECTED);
		assert_same_keys(&f, ours, !cases[i].config.is_server);
		pl_dtls_destroy(&ours);
		pl_foreign_fini(&f);
	}
}

/* No certificate, or nothing to protect media with: refused at once. */
static void test_dtls_refuses_the_incomplete(void **state)
{
	(void)state;
	static const struct pl_foreign_config cases[] = {
		{ .profiles = "SRTP_AEAD_AES_128_GCM", .mtu = 1200 },
		{ .has_certificate = true, .mtu = 1200 },
		{ .has_certificate = true, .profiles = "SRTP_AES128_CM_SHA1_32", .mtu = 1200 },
	};

	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		struct pl_foreign f;
		struct pl_dtls *ours;
		pl_foreign_init(&f, &cases[i]);
		const struct pl_fingerprint fp = pl_foreign_fingerprint(&f, PL_FINGERPRINT_SHA256);
		assert_int_equal(pl_dtls_create(&ours, alice_identity, PL_DTLS_PASSIVE, &fp), PL_ERR_NONE);
		pl_foreign_meet(&f, ours, false);
		assert_int_equal(pl_dtls_state(ours), PL_DTLS_FAILED);
		assert_int_equal(pl_dtls_deadline(ours), INT64_MAX);
		pl_dtls_destroy(&ours);
		pl_foreign_fini(&f);
	}
}

/* Every byte of the fingerprint counts, and its length and its hash do: a certificate that agrees with the offer in
 * half of the digest can be found by trying, and whoever has it sits in the middle of the call. */
static void test_dtls_refuses_a_nearly_right_fingerprint(void **state)
{
	(void)state;
	enum { LENGTHEN = 1, SHORTEN = -1 };
	static const uint8_t size[] = {
		[PL_FINGERPRINT_SHA256] = 32, [PL_FINGERPRINT_SHA384] = 48, [PL_FINGERPRINT_SHA512] = 64
	};
	static const struct pl_foreign_config config = {
		.has_certificate = true, .profiles = "SRTP_AEAD_AES_128_GCM", .mtu = 1200
	};
	for (enum pl_fingerprint_hash hash = PL_FINGERPRINT_SHA256; hash <= PL_FINGERPRINT_SHA512; hash++) {
		const struct {
			int flipped; /* which byte, or -1 */
			int longer;
			bool is_of_other_hash; /* the digest of another hash, in the right length */
		} cases[] = {
			{ 0, 0, false }, { size[hash] / 2 - 1, 0, false }, { size[hash] / 2, 0, false },
			{ size[hash] - 1, 0, false }, { -1, SHORTEN, false },
			{ -1, hash == PL_FINGERPRINT_SHA512 ? SHORTEN : LENGTHEN, false }, { -1, 0, true },
			{ -1, 0, false }, /* the right one, at the end: the others failed for what they say */
		};
		for (size_t i = 0; i < PL_COUNT(cases); i++) {
			struct pl_foreign f;
			struct pl_dtls *ours;
			pl_foreign_init(&f, &config);
			const enum pl_fingerprint_hash other =
				hash == PL_FINGERPRINT_SHA512 ? PL_FINGERPRINT_SHA256 : PL_FINGERPRINT_SHA512;
			struct pl_fingerprint fp = pl_foreign_fingerprint(&f, cases[i].is_of_other_hash ? other : hash);
			fp.hash = hash;
			fp.size = (uint8_t)(size[hash] + cases[i].longer);
			if (cases[i].flipped >= 0)
				fp.bytes[cases[i].flipped] ^= 1;
			assert_int_equal(pl_dtls_create(&ours, alice_identity, PL_DTLS_PASSIVE, &fp), PL_ERR_NONE);
			pl_foreign_meet(&f, ours, false);
			const bool is_right = i == PL_COUNT(cases) - 1;
			if (pl_dtls_state(ours) != (is_right ? PL_DTLS_CONNECTED : PL_DTLS_FAILED))
				fail_msg("hash %d, case %zu: state %d", (int)hash, i, (int)pl_dtls_state(ours));
			pl_dtls_destroy(&ours);
			pl_foreign_fini(&f);
		}
	}
}

static void test_fingerprint_is_written_as_sdp_wants_it(void **state)
{
	(void)state;
	char text[PL_FINGERPRINT_TEXT_SIZE];
	const struct pl_fingerprint fp = { .hash = PL_FINGERPRINT_SHA256, .size = 3, .bytes = { 0x0a, 0xff, 0x70 } };
	assert_string_equal(pl_fingerprint_format(&fp, text), "0A:FF:70");
	assert_int_equal(pl_dtls_identity_fingerprint(alice_identity)->size, 32);
	struct pl_fingerprint longest = { .size = PL_FINGERPRINT_SIZE_MAX };
	assert_int_equal(strlen(pl_fingerprint_format(&longest, text)), PL_FINGERPRINT_TEXT_SIZE - 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dtls_both_roles_agree_on_keys),
		cmocka_unit_test(test_dtls_survives_loss_of_any_datagram),
		cmocka_unit_test(test_dtls_repeats_in_new_records_with_backoff),
		cmocka_unit_test(test_dtls_refuses_another_certificate),
		cmocka_unit_test(test_dtls_close_reaches_the_peer),
		cmocka_unit_test(test_dtls_cut_datagrams_change_nothing),
		cmocka_unit_test(test_dtls_forged_records_end_nothing),
		cmocka_unit_test(test_dtls_survives_any_flipped_byte),
		cmocka_unit_test(test_dtls_meets_other_implementations),
		cmocka_unit_test(test_dtls_refuses_the_incomplete),
		cmocka_unit_test(test_dtls_refuses_a_nearly_right_fingerprint),
		cmocka_unit_test(test_fingerprint_is_written_as_sdp_wants_it),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
