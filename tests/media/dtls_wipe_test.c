/* Settling an association, living on settled and ending it leave no key behind: not in memory that was given back, ours
 * or OpenSSL's, nor on the stack; and memory that is refused on the way is a refusal and nothing else.  The program's
 * free() is looked over the shoulder by the linker's --wrap, OpenSSL's by its own hook. */
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>
#include <openssl/crypto.h>

#include "media/dtls_tail.h"
#include "tests/support/foreign.h"

void __wrap_free(void *memory);
void __real_free(void *memory);
void *__wrap_calloc(size_t count, size_t size);
void *__real_calloc(size_t count, size_t size);

enum { SECRET_SIZE = 16, STACK_SIZE = 1 << 20 };

/* What must not be found: the master secret in its parts, and the beginnings of both keys. */
static uint8_t secret[PL_DTLS_MASTER_SECRET_SIZE / SECRET_SIZE + 2][SECRET_SIZE];
/* Volatile: a compiler believes that free() looks at nobody's variables. */
static volatile bool is_watching;
static volatile size_t freed, leaks;
static volatile size_t fails_in; /* allocations until one fails; 0: none does */

static bool has_secret(const uint8_t *memory, size_t size)
{
	for (size_t i = 0; i < PL_COUNT(secret); i++)
		if (memmem(memory, size, secret[i], SECRET_SIZE) != NULL)
			return true;
	return false;
}

/* Reads what lies beyond the size that was asked for, too: that is no bug of this program. */
__attribute__((no_sanitize("address"))) static void look(const uint8_t *memory)
{
	static uint8_t copy[1 << 16];
	if (!is_watching || memory == NULL)
		return;
	size_t size = malloc_usable_size((void *)(uintptr_t)memory);
	if (size > sizeof copy)
		size = sizeof copy;
	for (size_t i = 0; i < size; i++)
		copy[i] = ((const volatile uint8_t *)memory)[i];
	freed++;
	leaks += has_secret(copy, size);
}

void __wrap_free(void *memory)
{
	look(memory);
	__real_free(memory);
}

static bool is_refused(void)
{
	return fails_in > 0 && --fails_in == 0;
}

void *__wrap_calloc(size_t count, size_t size)
{
	return is_refused() ? NULL : __real_calloc(count, size);
}

static void *openssl_malloc(size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return is_refused() ? NULL : malloc(size);
}

static void *openssl_realloc(void *memory, size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return is_refused() ? NULL : realloc(memory, size);
}

static void openssl_free(void *memory, const char *file, int line)
{
	(void)file, (void)line;
	look(memory);
	__real_free(memory);
}

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
	memcpy(secret, secrets.master, sizeof secrets.master);
	for (int i = 0; i < 2; i++) {
		secrets.is_peer_client = i == 0;
		assert_true(pl_dtls_tail_init(&tail, &secrets));
		memcpy(secret[3 + i], tail.key, SECRET_SIZE);
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

/* Deep in the stack: the end of a thread, which runs on it, too, does not get down to there. */
static void *(*volatile deep_part)(void *);

static void *call_deep(void *unused)
{
	volatile uint8_t above[1 << 16];
	above[0] = 0;
	void *result = deep_part(unused);
	above[sizeof above - 1] = 0;
	return result;
}

/* Runs it on a stack that can be read afterwards. */
static void run(void *(*part)(void *))
{
	uint8_t *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(stack, MAP_FAILED);
	pthread_attr_t attributes;
	pthread_t thread;
	deep_part = part;
	assert_int_equal(pthread_attr_init(&attributes), 0);
	assert_int_equal(pthread_attr_setstack(&attributes, stack, STACK_SIZE), 0);
	assert_int_equal(pthread_create(&thread, &attributes, call_deep, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	pthread_attr_destroy(&attributes);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* they have frames of their own */
	assert_false(has_secret(stack, STACK_SIZE));
#endif
	munmap(stack, STACK_SIZE);
}

static void test_dtls_settled_leaves_no_key_behind(void **state)
{
	(void)state;
	for (int i = 0; i < 6; i++) {
		meet((enum pl_dtls_cipher)(i / 2), i % 2 == 0);
		freed = leaks = 0;
		is_watching = true;
		run(derive);
		run(settle);
		run(hear_forged);
		run(hear_goodbye);
		is_watching = false;
		assert_in_range(freed, 10, 10000); /* the library's object was among them */
		assert_int_equal(leaks, 0);
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
		leaks = 0;
		is_watching = true;
		fails_in = step;
		const bool is_settled = pl_dtls_settle(ours);
		is_through = fails_in > 0;
		fails_in = 0;
		assert_int_equal(pl_dtls_is_settled(ours), is_settled);
		refusals += !is_settled;
		assert_true(is_settled || pl_dtls_settle(ours));
		assert_int_equal(pl_dtls_state(ours), PL_DTLS_CONNECTED);
		assert_int_equal(pl_dtls_feed(ours, 0, peer.sent[0]), PL_DROP_NONE);
		assert_int_equal(pl_dtls_state(ours), PL_DTLS_CLOSED);
		pl_dtls_destroy(&ours);
		is_watching = false;
		assert_int_equal(leaks, 0);
		pl_foreign_fini(&peer);
	}
	assert_in_range(refusals, 2, 500);
}

/* The watchman sees: what is given back with a key in it is counted. */
static void test_watch_finds_a_key(void **state)
{
	(void)state;
	uint8_t *memory = malloc(100);
	memset(secret, 0x5a, sizeof secret);
	memcpy(memory + 13, secret[1], SECRET_SIZE);
	leaks = 0;
	__asm__ volatile("" : : "r"(memory) : "memory"); /* the compiler writes nothing that is freed unread */
	is_watching = true;
	free(memory);
	is_watching = false;
	assert_int_equal(leaks, 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_watch_finds_a_key),
		cmocka_unit_test(test_dtls_settled_leaves_no_key_behind),
		cmocka_unit_test(test_dtls_settle_survives_a_lack_of_memory),
	};
	if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) != 1 ||
		pl_dtls_identity_create(&identity) != PL_ERR_NONE)
		return 1;
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);
	pl_dtls_identity_destroy(&identity);
	return failed;
}
