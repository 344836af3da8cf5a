/* No key is left in memory that was given back: not in a session's, nor in what OpenSSL took for it, nor on the stack
 * of the thread that made it; and no packet takes memory.  The program's free() is looked over the shoulder by the
 * linker's --wrap, OpenSSL's by its own hook. */
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "media/srtp.h"

void __wrap_free(void *memory);
void __real_free(void *memory);
void *__wrap_calloc(size_t count, size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);

enum { SECRETS_MAX = 24, SECRET_SIZE = 16, STACK_SIZE = 1 << 20 };

/* What must not be found: master keys and what comes of them. */
static struct {
	uint8_t bytes[SECRETS_MAX][SECRET_SIZE];
	size_t count;
} secrets;
/* Volatile: a compiler believes that free() looks at nobody's variables. */
static volatile bool is_watching;
static volatile size_t taken, freed, leaks; /* taken: by OpenSSL */

/* Allocations until one fails; 0: none does. */
static volatile size_t fails_in;
static volatile long held_by_us, held_by_openssl; /* how many */

static bool has_secret(const uint8_t *memory, size_t size)
{
	for (size_t i = 0; i < secrets.count; i++)
		if (memmem(memory, size, secrets.bytes[i], SECRET_SIZE) != NULL)
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
	held_by_us -= is_watching && memory != NULL;
	__real_free(memory);
}

static bool is_refused(void)
{
	return fails_in > 0 && --fails_in == 0;
}

void *__wrap_calloc(size_t count, size_t size)
{
	if (is_refused())
		return NULL;
	held_by_us += is_watching;
	return __real_calloc(count, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	if (is_refused())
		return NULL;
	held_by_us += is_watching;
	return __real_aligned_alloc(alignment, size);
}

/* What OpenSSL has now, of what it took since the watch began. */
static struct {
	void *memory[4096];
	size_t count;
} held;

static void *hold(void *memory)
{
	if (is_watching && memory != NULL) {
		taken++;
		if (held.count == PL_COUNT(held.memory))
			abort();
		held.memory[held.count++] = memory;
	}
	return memory;
}

static void let_go(const void *memory)
{
	for (size_t i = 0; i < held.count; i++) {
		if (held.memory[i] != memory)
			continue;
		held.memory[i] = held.memory[--held.count];
		return;
	}
}

static void *openssl_malloc(size_t size, const char *file, int line)
{
	(void)file, (void)line;
	if (is_refused())
		return NULL;
	held_by_openssl++;
	return hold(malloc(size));
}

static void *openssl_realloc(void *memory, size_t size, const char *file, int line)
{
	(void)file, (void)line;
	if (is_refused())
		return NULL;
	held_by_openssl += memory == NULL;
	let_go(memory);
	return hold(realloc(memory, size));
}

static void openssl_free(void *memory, const char *file, int line)
{
	(void)file, (void)line;
	look(memory);
	held_by_openssl -= memory != NULL;
	let_go(memory);
	__real_free(memory);
}

static void add_secret(const uint8_t *bytes)
{
	assert_true(secrets.count < SECRETS_MAX);
	memcpy(secrets.bytes[secrets.count++], bytes, SECRET_SIZE);
}

/* RFC 3711 section 4.3: every session key of one direction, by OpenSSL. */
static void add_secrets_of(const uint8_t *key, const uint8_t *salt)
{
	add_secret(key);
	for (uint8_t label = 0; label < 6; label++) {
		uint8_t iv[16] = { 0 }, derived[SECRET_SIZE] = { 0 };
		int n;
		memcpy(iv, salt, PL_SRTP_SALT_SIZE_MAX);
		iv[7] ^= label;
		EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
		assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_128_ctr(), NULL, key, iv), 1);
		assert_int_equal(EVP_EncryptUpdate(ctx, derived, &n, derived, sizeof derived), 1);
		EVP_CIPHER_CTX_free(ctx);
		if (label % 3 != 2) /* salts are no secrets of that kind, and GCM's is shorter than this */
			add_secret(derived);
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

/* Runs a part on a stack that can be read afterwards. */
static void run(void *(*part)(void *))
{
	uint8_t *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(stack, MAP_FAILED);
	pthread_attr_t attributes;
	pthread_t thread;
	assert_int_equal(pthread_attr_init(&attributes), 0);
	assert_int_equal(pthread_attr_setstack(&attributes, stack, STACK_SIZE), 0);
	assert_int_equal(pthread_create(&thread, &attributes, part, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	pthread_attr_destroy(&attributes);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* they have frames of their own */
	assert_false(has_secret(stack, STACK_SIZE));
#endif
	munmap(stack, STACK_SIZE);
}

static void watch_a_life(void)
{
	taken = freed = leaks = held.count = 0;
	is_watching = true;
	assert_int_equal(pl_srtp_engine_create(&engine, backend), PL_ERR_NONE);
	run(begin);
	const size_t taken_before = taken, freed_before = freed;
	run(live); /* the first packets as well as all others: without any memory */
	assert_int_equal(taken, taken_before);
	assert_int_equal(freed, freed_before);
	run(end);
	/* The engine goes on, without the keys of a session that does not. */
	for (size_t i = 0; i < held.count; i++)
		look(held.memory[i]);
	pl_srtp_engine_destroy(&engine);
	is_watching = false;
	assert_true(freed > 0);
	assert_int_equal(leaks, 0);
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
				freed = leaks = held.count = 0;
				held_by_us = 0;
				OPENSSL_thread_stop(); /* the queue of errors keeps buffers */
				const long held_before = held_by_openssl;
				is_watching = true;
				fails_in = step;
				is_made = pl_srtp_engine_create(&engine, backend) == PL_ERR_NONE &&
					  pl_srtp_create(&srtp, engine, &keys) == PL_ERR_NONE && fails_in > 0;
				fails_in = 0;
				pl_srtp_destroy(&srtp);
				pl_srtp_engine_destroy(&engine);
				OPENSSL_thread_stop();
				is_watching = false;
				failures += !is_made;
				assert_int_equal(leaks, 0);
				assert_int_equal(held_by_us, 0);
				assert_int_equal(held_by_openssl, held_before);
			}
			assert_in_range(failures, 2, 1000);
		}
	}
}

/* The watchman sees: what is given back with a key in it is counted. */
static void test_watch_finds_a_key(void **state)
{
	(void)state;
	uint8_t *memory = malloc(100);
	memcpy(memory + 13, keys.local.key, SECRET_SIZE);
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
		cmocka_unit_test(test_srtp_leaves_no_key_behind),
		cmocka_unit_test(test_srtp_survives_a_lack_of_memory),
	};
	if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) != 1)
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
