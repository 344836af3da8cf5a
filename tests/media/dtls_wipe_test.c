/* Settling an association, living on settled and ending it leave no key behind: not in memory that was given back, ours
 * or OpenSSL's, nor on the stack; and memory that is refused on the way is a refusal and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "media/dtls_tail.h"
#include "tests/support/foreign.h"
#include "tests/support/heap_watch.h"

static struct pl_dtls_identity *identity;
static struct pl_foreign peer;
static struct pl_dtls *ours;
static struct pl_dtls_secrets secrets; /* of the association, as its peer knows them */
static struct pl_dtls_tail tail;

static void remember_secrets(enum pl_dtls_cipher cipher)
{
	secrets = (struct pl_dtls_secrets){ .cipher = cipher };
	SSL_SESSION *session = SSL_get_session(peer.ssl);
	assert_int_equal(SSL_SESSION_get_master_key(session, secrets.master, sizeof secrets.master), 48);
	assert_int_equal(SSL_get_client_random(peer.ssl, secrets.client_random, sizeof secrets.client_random), 32);
	assert_int_equal(SSL_get_server_random(peer.ssl, secrets.server_random, sizeof secrets.server_random), 32);
	/* The master secret in its parts, and the beginnings of both keys. */
	pl_heap_forget_secrets();
	for (size_t at = 0; at < PL_DTLS_MASTER_SECRET_SIZE; at += PL_HEAP_SECRET_SIZE)
		pl_heap_add_secret(secrets.master + at);
	for (int i = 0; i < 2; i++) {
		secrets.is_peer_client = i == 0;
		assert_true(pl_dtls_tail_init(&tail, &secrets));
		pl_heap_add_secret(tail.key);
	}
}

static void meet(enum pl_dtls_cipher cipher, bool is_server)
{
	static const char *const suite[] = {
		[PL_DTLS_AES_128_GCM_SHA256] = "ECDHE-ECDSA-AES128-GCM-SHA256",
		[PL_DTLS_AES_256_GCM_SHA384] = "ECDHE-ECDSA-AES256-GCM-SHA384",
		[PL_DTLS_CHACHA20_POLY1305_SHA256] = "ECDHE-ECDSA-CHACHA20-POLY1305",
	};
	const struct pl_foreign_config config = { .is_server = is_server,
		.has_certificate = true,
		.profiles = "SRTP_AEAD_AES_128_GCM",
		.mtu = 1200,
		.ciphers = suite[cipher] };
	pl_foreign_init(&peer, &config);
	const struct pl_fingerprint fp = pl_foreign_fingerprint(&peer, PL_FINGERPRINT_SHA256);
	assert_int_equal(
		pl_dtls_create(&ours, identity, is_server ? PL_DTLS_ACTIVE : PL_DTLS_PASSIVE, &fp), PL_ERR_NONE);
	pl_foreign_meet(&peer, ours, false);
	assert_int_equal(pl_dtls_state(ours), PL_DTLS_CONNECTED);
	remember_secrets(cipher);
	assert_int_equal(SSL_shutdown(peer.ssl), 0); /* its goodbye is ready */
}

/* A life in parts, each on a stack of its own: what a part leaves there is not written over by the next. */
static void *derive(void *unused)
{
	if (!pl_dtls_tail_init(&tail, &secrets))
		abort();
	return unused;
}

static void *settle(void *unused)
{
	if (!pl_dtls_settle(ours))
		abort();
	return unused;
}

static void *hear_forged(void *unused)
{
	uint8_t forged[64];
	const struct pl_bytes goodbye = peer.sent[0];
	memcpy(forged, goodbye.data, goodbye.size);
	forged[goodbye.size - 1] ^= 1;
	if (pl_dtls_feed(ours, 0, (struct pl_bytes){ forged, goodbye.size }) != PL_DROP_DTLS_AUTH)
		abort();
	return unused;
}

static void *hear_goodbye(void *unused)
{
	struct pl_bytes datagram;
	if (pl_dtls_feed(ours, 0, peer.sent[0]) != PL_DROP_NONE || !pl_dtls_next(ours, &datagram))
		abort();
	pl_dtls_destroy(&ours);
	return unused;
}

static void test_dtls_settled_leaves_no_key_behind(void **state)
{
	(void)state;
	for (int i = 0; i < 6; i++) {
		meet((enum pl_dtls_cipher)(i / 2), i % 2 == 0);
		pl_heap_watch_begin();
		pl_heap_run(derive);
		pl_heap_run(settle);
		pl_heap_run(hear_forged);
		pl_heap_run(hear_goodbye);
		pl_heap_watch_end();
		assert_in_range(pl_heap.freed, 10, 10000); /* the library's object was among them */
		assert_int_equal(pl_heap.leaks, 0);
		pl_foreign_fini(&peer);
	}
}

/* At whatever step memory is refused: the association is settled, or as it was, and it ends as it should. */
static void test_dtls_settle_survives_a_lack_of_memory(void **state)
{
	(void)state;
	size_t refusals = 0;
	bool is_through = false;
	for (size_t step = 1; !is_through; step++) {
		assert_in_range(step, 1, 500);
		meet(PL_DTLS_AES_128_GCM_SHA256, false);
		pl_heap_watch_begin();
		pl_heap.fails_in = step;
		const bool is_settled = pl_dtls_settle(ours);
		is_through = pl_heap.fails_in > 0;
		pl_heap.fails_in = 0;
		assert_int_equal(pl_dtls_is_settled(ours), is_settled);
		refusals += !is_settled;
		assert_true(is_settled || pl_dtls_settle(ours));
		assert_int_equal(pl_dtls_state(ours), PL_DTLS_CONNECTED);
		assert_int_equal(pl_dtls_feed(ours, 0, peer.sent[0]), PL_DROP_NONE);
		assert_int_equal(pl_dtls_state(ours), PL_DTLS_CLOSED);
		pl_dtls_destroy(&ours);
		pl_heap_watch_end();
		assert_int_equal(pl_heap.leaks, 0);
		pl_foreign_fini(&peer);
	}
	assert_in_range(refusals, 2, 500);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(pl_heap_test_finds_a_secret),
		cmocka_unit_test(test_dtls_settled_leaves_no_key_behind),
		cmocka_unit_test(test_dtls_settle_survives_a_lack_of_memory),
	};
	if (!pl_heap_hook_openssl() || pl_dtls_identity_create(&identity) != PL_ERR_NONE)
		return 1;
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);
	pl_dtls_identity_destroy(&identity);
	return failed;
}
