/* No key is left in memory that was given back: not in a session's, nor in what OpenSSL took for it, nor on the stack
 * of the thread that made it; and no packet takes memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "media/srtp.h"
#include "tests/support/heap_watch.h"

/* RFC 3711 section 4.3: every session key of one direction, by OpenSSL. */
static void add_secrets_of(const uint8_t *key, const uint8_t *salt)
{
	pl_heap_add_secret(key);
	for (uint8_t label = 0; label < 6; label++) {
		uint8_t iv[16] = { 0 }, derived[PL_HEAP_SECRET_SIZE] = { 0 };
		int n;
		memcpy(iv, salt, PL_SRTP_SALT_SIZE_MAX);
		iv[7] ^= label;
		EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
		assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_128_ctr(), NULL, key, iv), 1);
		assert_int_equal(EVP_EncryptUpdate(ctx, derived, &n, derived, sizeof derived), 1);
		EVP_CIPHER_CTX_free(ctx);
		if (label % 3 != 2) {
			pl_heap_add_secret(derived);
			continue;
		}
		/* A salt as our own code has it, 14 bytes of CM or 12 of GCM with zeros behind them. */
		for (size_t size = 14; size >= 12; size -= 2) {
			memset(derived + size, 0, sizeof derived - size);
			pl_heap_add_secret(derived);
		}
	}
}

static struct pl_srtp_keys keys;
static enum pl_srtp_backend backend;
static struct pl_srtp_engine *engine;

/* A life in packets, in three parts: each kind once, and one that is refused. */
static struct pl_srtp *srtp;

static void *begin(void *unused)
{
	struct pl_srtp_keys handed = keys;
	if (pl_srtp_create(&srtp, engine, &handed) != PL_ERR_NONE)
		abort();
	pl_srtp_keys_wipe(&handed);
	return unused;
}

static void *live(void *unused)
{
	uint8_t header[12] = { 0x80, 111, 0, 1 }, report[16] = { 0x80, 201, 0, 3 }, out[128];
	const struct pl_span room = { out, sizeof out };
	size_t size = pl_srtp_protect_rtp(
		srtp, (struct pl_bytes){ header, sizeof header }, (struct pl_bytes){ report, sizeof report }, room);
	const enum pl_drop rtp = pl_srtp_unprotect_rtp(srtp, (struct pl_bytes){ out, size }, room, &size);
	size = pl_srtp_protect_rtcp(srtp, (struct pl_bytes){ report, sizeof report }, room);
	const enum pl_drop rtcp = pl_srtp_unprotect_rtcp(srtp, (struct pl_bytes){ out, size }, room, &size);
	if (rtp != PL_DROP_SRTP_AUTH || rtcp != PL_DROP_SRTP_AUTH)
		abort();
	return unused;
}

static void *end(void *unused)
{
	pl_srtp_destroy(&srtp);
	return unused;
}

static void watch_a_life(void)
{
	pl_heap_watch_begin();
	assert_int_equal(pl_srtp_engine_create(&engine, backend), PL_ERR_NONE);
	pl_heap_run(begin);
	const size_t taken_before = pl_heap.taken, freed_before = pl_heap.freed;
	pl_heap_run(live); /* the first packets as well as all others: without any memory */
	assert_int_equal(pl_heap.taken, taken_before);
	assert_int_equal(pl_heap.freed, freed_before);
	pl_heap_run(end);
	/* The engine goes on, without the keys of a session that does not. */
	pl_heap_look_at_held();
	pl_srtp_engine_destroy(&engine);
	pl_heap_watch_end();
	assert_true(pl_heap.freed > 0);
	assert_int_equal(pl_heap.leaks, 0);
}

static void test_srtp_leaves_no_key_behind(void **state)
{
	(void)state;
	for (backend = PL_SRTP_IPSEC_MB; backend <= PL_SRTP_OPENSSL; backend++) {
		if (pl_srtp_backend_lack(backend) != NULL) {
			print_message(
				"%s is left out: %s\n", pl_srtp_backend_text(backend), pl_srtp_backend_lack(backend));
			continue;
		}
		for (keys.profile = 0; keys.profile <= PL_SRTP_AES128_CM_SHA1_80; keys.profile++) {
			print_message("%s, profile %d\n", pl_srtp_backend_text(backend), (int)keys.profile);
			watch_a_life();
		}
	}
}

/* Memory that is refused, at any step, is an error and nothing else: nothing is kept, no key is left. */
static void test_srtp_survives_a_lack_of_memory(void **state)
{
	(void)state;
	for (backend = PL_SRTP_IPSEC_MB; backend <= PL_SRTP_OPENSSL; backend++) {
		if (pl_srtp_backend_lack(backend) != NULL)
			continue;
		for (keys.profile = 0; keys.profile <= PL_SRTP_AES128_CM_SHA1_80; keys.profile++) {
			size_t failures = 0;
			bool is_made = false;
			for (size_t step = 1; !is_made; step++) {
				assert_in_range(step, 1, 1000);
				OPENSSL_thread_stop(); /* the queue of errors keeps buffers */
				const long held_before = pl_heap.held_by_openssl;
				pl_heap_watch_begin();
				pl_heap.fails_in = step;
				is_made = pl_srtp_engine_create(&engine, backend) == PL_ERR_NONE &&
					  pl_srtp_create(&srtp, engine, &keys) == PL_ERR_NONE && pl_heap.fails_in > 0;
				pl_heap.fails_in = 0;
				pl_srtp_destroy(&srtp);
				pl_srtp_engine_destroy(&engine);
				OPENSSL_thread_stop();
				pl_heap_watch_end();
				failures += !is_made;
				assert_int_equal(pl_heap.leaks, 0);
				assert_int_equal(pl_heap.held_by_us, 0);
				assert_int_equal(pl_heap.held_by_openssl, held_before);
			}
			assert_in_range(failures, 2, 1000);
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(pl_heap_test_finds_a_secret),
		cmocka_unit_test(test_srtp_leaves_no_key_behind),
		cmocka_unit_test(test_srtp_survives_a_lack_of_memory),
	};
	if (!pl_heap_hook_openssl())
		return 1;
	for (uint8_t i = 0; i < PL_SRTP_KEY_SIZE; i++) {
		keys.local.key[i] = (uint8_t)(0x91 + 7 * i);
		keys.remote.key[i] = (uint8_t)(0x3d + 11 * i);
	}
	memcpy(keys.local.salt, "ours-is-thi\0\0", 12); /* zeros behind the 12 bytes of GCM: one derivation for both */
	memcpy(keys.remote.salt, "theirs-is-t\0\0", 12);
	add_secrets_of(keys.local.key, keys.local.salt);
	add_secrets_of(keys.remote.key, keys.remote.salt);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
