/* What is left of an association when its handshake is let go of: against OpenSSL, which must not notice, and record by
 * record with keys that the test knows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "media/dtls.h"
#include "media/dtls_tail.h"
#include "tests/support/foreign.h"

static struct pl_dtls_identity *identity;

static int set_up(void **state)
{
	(void)state;
	return pl_dtls_identity_create(&identity) != PL_ERR_NONE;
}

static int tear_down(void **state)
{
	(void)state;
	pl_dtls_identity_destroy(&identity);
	return 0;
}

/* --- Against OpenSSL --- */

/* Every suite that we agree to, in both roles. */
static const struct pl_foreign_config peers[] = {
	{ .ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256", .is_server = false },
	{ .ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384", .is_server = false },
	{ .ciphers = "ECDHE-ECDSA-CHACHA20-POLY1305", .is_server = false },
	{ .ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256", .is_server = true },
	{ .ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384", .is_server = true },
	{ .ciphers = "ECDHE-ECDSA-CHACHA20-POLY1305", .is_server = true },
	{ .ciphers = "ECDHE-RSA-AES128-GCM-SHA256", .is_server = true, .has_rsa = true },
	{ .ciphers = "ECDHE-RSA-AES256-GCM-SHA384", .is_server = true, .has_rsa = true },
	{ .ciphers = "ECDHE-RSA-CHACHA20-POLY1305", .is_server = true, .has_rsa = true },
};

static struct pl_dtls *meet_and_settle(struct pl_foreign *f, const struct pl_foreign_config *peer)
{
	struct pl_foreign_config config = *peer;
	struct pl_dtls *ours;
	config.has_certificate = true;
	config.profiles = "SRTP_AEAD_AES_128_GCM";
	config.mtu = 1200;
	pl_foreign_init(f, &config);
	const struct pl_fingerprint fp = pl_foreign_fingerprint(f, PL_FINGERPRINT_SHA256);
	const enum pl_dtls_role role = config.is_server ? PL_DTLS_ACTIVE : PL_DTLS_PASSIVE;
	assert_int_equal(pl_dtls_create(&ours, identity, role, &fp), PL_ERR_NONE);
	pl_foreign_meet(f, ours, false);
	assert_int_equal(pl_dtls_state(ours), PL_DTLS_CONNECTED);
	assert_string_equal(SSL_get_cipher_name(f->ssl), peer->ciphers);
	assert_false(pl_dtls_is_settled(ours));
	assert_true(pl_dtls_settle(ours));
	assert_true(pl_dtls_is_settled(ours));
	assert_true(pl_dtls_settle(ours)); /* again: nothing happens */
	assert_int_equal(pl_dtls_state(ours), PL_DTLS_CONNECTED);
	assert_int_equal(pl_dtls_deadline(ours), INT64_MAX);
	struct pl_bytes datagram;
	assert_false(pl_dtls_next(ours, &datagram)); /* the goodbye is kept, not said */
	return ours;
}

static void end_both(struct pl_foreign *f, struct pl_dtls *ours)
{
	pl_dtls_destroy(&ours);
	pl_foreign_fini(f);
}

/* Exactly one datagram waits, and the peer's library takes it for our goodbye. */
static void assert_says_goodbye(struct pl_foreign *f, struct pl_dtls *ours)
{
	struct pl_bytes datagram;
	uint8_t byte;
	assert_true(pl_dtls_next(ours, &datagram));
	pl_foreign_receive(f, datagram);
	assert_false(pl_dtls_next(ours, &datagram));
	const int size = SSL_read(f->ssl, &byte, 1);
	assert_int_equal(SSL_get_error(f->ssl, size), SSL_ERROR_ZERO_RETURN);
	assert_true(SSL_get_shutdown(f->ssl) & SSL_RECEIVED_SHUTDOWN);
}

/* Whoever hangs up long after the handshake is heard at once by the other. */
static void test_dtls_settled_closes_both_ways(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * PL_COUNT(peers); i++) {
		struct pl_foreign f;
		struct pl_dtls *ours = meet_and_settle(&f, &peers[i / 2]);
		if (i % 2 == 0) {
			pl_dtls_close(ours, 1000);
			assert_int_equal(pl_dtls_state(ours), PL_DTLS_CLOSED);
			assert_says_goodbye(&f, ours);
			pl_dtls_close(ours, 2000); /* again: no second goodbye */
		} else {
			assert_int_equal(SSL_shutdown(f.ssl), 0);
			assert_int_equal(f.sent_count, 1);
			assert_int_equal(pl_dtls_feed(ours, 1000, f.sent[0]), PL_DROP_NONE);
			assert_int_equal(pl_dtls_state(ours), PL_DTLS_CLOSED);
			assert_says_goodbye(&f, ours);
			assert_int_equal(pl_dtls_feed(ours, 1000, f.sent[0]), PL_DROP_DTLS_CLOSED);
		}
		struct pl_bytes datagram;
		assert_false(pl_dtls_next(ours, &datagram));
		end_both(&f, ours);
	}
}

/* Renegotiation, application data, and a last flight that comes once more: nothing of it is answered, and the call goes
 * on until the goodbye. */
static void test_dtls_settled_drops_all_but_alerts(void **state)
{
	(void)state;
	for (size_t i = 0; i < PL_COUNT(peers); i++) {
		struct pl_foreign f;
		struct pl_bytes datagram;
		struct pl_dtls *ours = meet_and_settle(&f, &peers[i]);
		assert_int_equal(SSL_write(f.ssl, "hello", 5), 5);
		assert_int_equal(SSL_renegotiate(f.ssl), 1);
		(void)SSL_do_handshake(f.ssl);
		assert_int_equal(f.sent_count, 2);
		assert_int_equal(f.sent[0].data[0], 23);
		assert_int_equal(f.sent[1].data[0], 22);
		for (size_t k = 0; k < f.sent_count; k++)
			assert_int_equal(pl_dtls_feed(ours, 0, f.sent[k]), PL_DROP_DTLS_SETTLED);
		assert_int_equal(pl_dtls_state(ours), PL_DTLS_CONNECTED);
		assert_false(pl_dtls_next(ours, &datagram));
		end_both(&f, ours);
	}
}

/* No bit of a goodbye may be changed, and no part of it left out, by whoever would like to end the call of others. */
static void test_dtls_settled_authenticates_every_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < PL_COUNT(peers); i++) {
		struct pl_foreign f;
		struct pl_dtls *ours = meet_and_settle(&f, &peers[i]);
		assert_int_equal(SSL_shutdown(f.ssl), 0);
		const struct pl_bytes goodbye = f.sent[0];
		for (size_t bit = 0; bit < 8 * goodbye.size; bit++) {
			uint8_t flipped[PL_DTLS_MTU];
			memcpy(flipped, goodbye.data, goodbye.size);
			flipped[bit / 8] ^= (uint8_t)(1 << bit % 8);
			const enum pl_drop drop = pl_dtls_feed(ours, 0, (struct pl_bytes){ flipped, goodbye.size });
			assert_true(drop == PL_DROP_DTLS_AUTH || drop == PL_DROP_DTLS_MALFORMED ||
				    drop == PL_DROP_DTLS_SETTLED);
			/* The record's number is authenticated, its frame is read before. */
			if (bit / 8 >= 5 && bit / 8 < 11)
				assert_int_equal(drop, PL_DROP_DTLS_AUTH);
			if (bit / 8 >= 13)
				assert_int_equal(drop, PL_DROP_DTLS_AUTH);
		}
		for (size_t size = 0; size < goodbye.size; size++) {
			uint8_t *cut = malloc(size > 0 ? size : 1); /* exact, for the sanitizer */
			memcpy(cut, goodbye.data, size);
			assert_int_equal(pl_dtls_feed(ours, 0, (struct pl_bytes){ cut, size }), PL_DROP_DTLS_MALFORMED);
			free(cut);
		}
		assert_int_equal(pl_dtls_state(ours), PL_DTLS_CONNECTED);
		assert_int_equal(pl_dtls_feed(ours, 0, goodbye), PL_DROP_NONE);
		assert_int_equal(pl_dtls_state(ours), PL_DTLS_CLOSED);
		end_both(&f, ours);
	}
}

/* A peer that repeats its last flight because ours got lost is answered as long as the association is not settled, and
 * what it says then settles as if nothing had been. */
static void test_dtls_lost_last_flight_is_repaired_before_settling(void **state)
{
	(void)state;
	struct pl_dtls *client, *server;
	struct pl_bytes datagram;
	const struct pl_fingerprint *fp = pl_dtls_identity_fingerprint(identity);
	assert_int_equal(pl_dtls_create(&client, identity, PL_DTLS_ACTIVE, fp), PL_ERR_NONE);
	assert_int_equal(pl_dtls_create(&server, identity, PL_DTLS_PASSIVE, fp), PL_ERR_NONE);
	pl_dtls_start(client, 0);
	for (int64_t now_us = 0; pl_dtls_state(client) == PL_DTLS_HANDSHAKE;) {
		while (pl_dtls_next(client, &datagram))
			assert_int_equal(pl_dtls_feed(server, now_us, datagram), PL_DROP_NONE);
		/* The server's last flight is lost until the client has asked three times. */
		while (pl_dtls_next(server, &datagram))
			if (pl_dtls_state(server) == PL_DTLS_HANDSHAKE || now_us >= 1750000)
				assert_int_equal(pl_dtls_feed(client, now_us, datagram), PL_DROP_NONE);
		if (pl_dtls_state(server) == PL_DTLS_CONNECTED && pl_dtls_state(client) == PL_DTLS_HANDSHAKE) {
			now_us = pl_dtls_deadline(client);
			assert_true(now_us < 2000000);
			pl_dtls_tick(client, now_us);
		}
	}
	assert_false(pl_dtls_next(client, &datagram) || pl_dtls_next(server, &datagram));
	assert_true(pl_dtls_settle(server) && pl_dtls_settle(client));
	pl_dtls_close(client, 0);
	assert_true(pl_dtls_next(client, &datagram));
	assert_int_equal(pl_dtls_feed(server, 0, datagram), PL_DROP_NONE);
	assert_int_equal(pl_dtls_state(server), PL_DTLS_CLOSED);
	pl_dtls_destroy(&client);
	pl_dtls_destroy(&server);
}

/* --- Record by record --- */

enum { EXPLICIT_SIZE = 8, ALERT_RECORD_SIZE = PL_DTLS_GOODBYE_SIZE_MAX };

static const struct pl_dtls_secrets secrets = {
	.cipher = PL_DTLS_AES_128_GCM_SHA256, .is_peer_client = true, .master = { 1, 2, 3 }, .client_random = { 4 }
};

/* An alert as the peer of this tail would write it (AES-128-GCM). */
static struct pl_bytes seal(const struct pl_dtls_tail *tail, uint64_t number, uint8_t level, uint8_t description,
	uint8_t record[static ALERT_RECORD_SIZE])
{
	uint8_t nonce[12], aad[13] = { 0, 1 }, alert[] = { level, description };
	int size;
	memset(record, 0, ALERT_RECORD_SIZE);
	for (int i = 0; i < 6; i++)
		aad[2 + i] = (uint8_t)(number >> (40 - 8 * i));
	aad[8] = 21, aad[9] = 254, aad[10] = 253, aad[12] = sizeof alert;
	memcpy(record, aad + 8, 3);
	memcpy(record + 3, aad, 8);
	record[12] = EXPLICIT_SIZE + sizeof alert + 16;
	memcpy(record + 13, "explicit", EXPLICIT_SIZE);
	memcpy(nonce, tail->iv, 4);
	memcpy(nonce + 4, record + 13, EXPLICIT_SIZE);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, tail->key, nonce), 1);
	assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &size, aad, sizeof aad), 1);
	assert_int_equal(EVP_EncryptUpdate(ctx, record + 21, &size, alert, sizeof alert), 1);
	assert_int_equal(EVP_EncryptFinal_ex(ctx, record + 23, &size), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, record + 23), 1);
	EVP_CIPHER_CTX_free(ctx);
	return (struct pl_bytes){ record, ALERT_RECORD_SIZE };
}

/* Level and description decide, RFC 5246 section 7.2: a goodbye at any level, the end without an answer, or nothing. */
static void test_dtls_tail_reads_alerts(void **state)
{
	(void)state;
	enum {
		WARNING = 1,
		FATAL = 2,
		CLOSE_NOTIFY = 0,
		INTERNAL_ERROR = 80,
		USER_CANCELED = 90,
		NO_RENEGOTIATION = 100
	};
	static const struct {
		uint8_t level, description;
		enum pl_dtls_alert alert;
	} cases[] = {
		{ WARNING, CLOSE_NOTIFY, PL_DTLS_ALERT_CLOSE },
		{ FATAL, CLOSE_NOTIFY, PL_DTLS_ALERT_CLOSE },
		{ FATAL, INTERNAL_ERROR, PL_DTLS_ALERT_FATAL },
		{ WARNING, USER_CANCELED, PL_DTLS_ALERT_NONE },
		{ WARNING, NO_RENEGOTIATION, PL_DTLS_ALERT_NONE },
		{ 0, 255, PL_DTLS_ALERT_NONE },
	};
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		struct pl_dtls_tail tail;
		uint8_t record[ALERT_RECORD_SIZE];
		enum pl_dtls_alert alert;
		assert_true(pl_dtls_tail_init(&tail, &secrets));
		const struct pl_bytes sealed = seal(&tail, i, cases[i].level, cases[i].description, record);
		assert_int_equal(pl_dtls_tail_feed(&tail, sealed, &alert), PL_DROP_NONE);
		assert_int_equal(alert, cases[i].alert);
	}
}

/* A warning that somebody recorded is not heard twice, nor is one that is too old to tell; late ones are. */
static void test_dtls_tail_knows_replays(void **state)
{
	(void)state;
	static const uint64_t most = (UINT64_C(1) << 48) - 1;
	static const struct {
		uint64_t number;
		enum pl_drop drop;
	} steps[] = {
		{ 5, PL_DROP_NONE },
		{ 5, PL_DROP_DTLS_REPLAY },
		{ 3, PL_DROP_NONE },
		{ 3, PL_DROP_DTLS_REPLAY },
		{ 0, PL_DROP_NONE },
		{ 0, PL_DROP_DTLS_REPLAY },
		{ 64, PL_DROP_NONE },
		{ 5, PL_DROP_DTLS_REPLAY },
		{ 1, PL_DROP_NONE },
		{ 0, PL_DROP_DTLS_REPLAY },
		{ 65, PL_DROP_NONE },
		{ 1, PL_DROP_DTLS_REPLAY },
		{ 2, PL_DROP_NONE },
		{ 200, PL_DROP_NONE },
		{ 136, PL_DROP_DTLS_REPLAY },
		{ 137, PL_DROP_NONE },
		{ 264, PL_DROP_NONE },
		{ 200, PL_DROP_DTLS_REPLAY },
		{ 201, PL_DROP_NONE },
		{ most, PL_DROP_NONE },
		{ most, PL_DROP_DTLS_REPLAY },
		{ most - 63, PL_DROP_NONE },
		{ most - 64, PL_DROP_DTLS_REPLAY },
	};
	struct pl_dtls_tail tail;
	uint8_t record[ALERT_RECORD_SIZE];
	enum pl_dtls_alert alert;
	assert_true(pl_dtls_tail_init(&tail, &secrets));
	for (size_t i = 0; i < PL_COUNT(steps); i++) {
		/* A forged one does not use up the number. */
		seal(&tail, steps[i].number, 1, 90, record);
		record[30] ^= 1;
		assert_int_equal(pl_dtls_tail_feed(&tail, (struct pl_bytes){ record, sizeof record }, &alert),
			steps[i].drop == PL_DROP_NONE ? PL_DROP_DTLS_AUTH : PL_DROP_DTLS_REPLAY);
		record[30] ^= 1;
		const enum pl_drop drop = pl_dtls_tail_feed(&tail, (struct pl_bytes){ record, sizeof record }, &alert);
		if (drop != steps[i].drop)
			fail_msg("step %zu: %s", i, pl_drop_name(drop));
		assert_int_equal(alert, PL_DTLS_ALERT_NONE);
	}
}

/* Several records of a datagram are read each for itself, up to one that is not whole. */
static void test_dtls_tail_walks_a_datagram(void **state)
{
	(void)state;
	static const uint8_t handshake[] = { 22, 254, 253, 0, 1, 0, 0, 0, 0, 0, 9, 0, 2, 'h', 'i' };
	static const uint8_t empty[] = { 21, 254, 253, 0, 1, 0, 0, 0, 0, 0, 9, 0, 0 };
	static const uint8_t in_clear[] = { 21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 80 };
	static const uint8_t next_epoch[] = { 21, 254, 253, 0, 2, 0, 0, 0, 0, 0, 9, 0, 2, 2, 80 };
	static const uint8_t of_dtls_1_0[] = { 21, 254, 255, 0, 1, 0, 0, 0, 0, 0, 9, 0, 2, 2, 80 };
	static const uint8_t too_long[] = { 22, 254, 253, 0, 1, 0, 0, 0, 0, 0, 9, 0xff, 0xff, 'h', 'i' };
	const struct {
		struct pl_bytes first;
		enum pl_drop alone;
		bool is_passed; /* what follows is read */
	} cases[] = {
		{ { handshake, sizeof handshake }, PL_DROP_DTLS_SETTLED, true },
		{ { empty, sizeof empty }, PL_DROP_DTLS_MALFORMED, true },
		{ { in_clear, sizeof in_clear }, PL_DROP_DTLS_SETTLED, true },
		{ { next_epoch, sizeof next_epoch }, PL_DROP_DTLS_SETTLED, true },
		{ { of_dtls_1_0, sizeof of_dtls_1_0 }, PL_DROP_DTLS_MALFORMED, false },
		{ { too_long, sizeof too_long }, PL_DROP_DTLS_MALFORMED, false },
	};
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		struct pl_dtls_tail tail;
		uint8_t datagram[200], record[ALERT_RECORD_SIZE];
		enum pl_dtls_alert alert;
		assert_true(pl_dtls_tail_init(&tail, &secrets));
		assert_int_equal(pl_dtls_tail_feed(&tail, cases[i].first, &alert), cases[i].alone);
		assert_int_equal(alert, PL_DTLS_ALERT_NONE);
		const struct pl_bytes fatal = seal(&tail, 7, 2, 80, record);
		memcpy(datagram, cases[i].first.data, cases[i].first.size);
		memcpy(datagram + cases[i].first.size, fatal.data, fatal.size);
		const enum pl_drop drop = pl_dtls_tail_feed(
			&tail, (struct pl_bytes){ datagram, cases[i].first.size + fatal.size }, &alert);
		assert_int_equal(drop, cases[i].is_passed ? PL_DROP_NONE : PL_DROP_DTLS_MALFORMED);
		assert_int_equal(alert, cases[i].is_passed ? PL_DTLS_ALERT_FATAL : PL_DTLS_ALERT_NONE);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dtls_settled_closes_both_ways),
		cmocka_unit_test(test_dtls_settled_drops_all_but_alerts),
		cmocka_unit_test(test_dtls_settled_authenticates_every_byte),
		cmocka_unit_test(test_dtls_lost_last_flight_is_repaired_before_settling),
		cmocka_unit_test(test_dtls_tail_reads_alerts),
		cmocka_unit_test(test_dtls_tail_knows_replays),
		cmocka_unit_test(test_dtls_tail_walks_a_datagram),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
