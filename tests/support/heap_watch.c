#include "tests/support/heap_watch.h"

#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>
#include <openssl/crypto.h>

void __wrap_free(void *memory);
void __real_free(void *memory);
void *__wrap_calloc(size_t count, size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);

enum { STACK_SIZE = 1 << 20, HELD_MAX = 4096 };

volatile struct pl_heap_watch pl_heap;

static struct {
	uint8_t bytes[PL_HEAP_SECRETS_MAX][PL_HEAP_SECRET_SIZE];
	size_t count;
} secrets;

void pl_heap_add_secret(const uint8_t *bytes)
{
	assert_true(secrets.count < PL_HEAP_SECRETS_MAX);
	memcpy(secrets.bytes[secrets.count++], bytes, PL_HEAP_SECRET_SIZE);
}

void pl_heap_forget_secrets(void)
{
	secrets.count = 0;
}

/* ---- what is given back ---- */

static bool has_secret(const uint8_t *memory, size_t size)
{
	for (size_t i = 0; i < secrets.count; i++) {
		if (memmem(memory, size, secrets.bytes[i], PL_HEAP_SECRET_SIZE) != NULL)
			return true;
	}
	return false;
}

/* Reads what lies beyond the size that was asked for, too: that is no bug of this program. */
__attribute__((no_sanitize("address"))) static void look(const uint8_t *memory)
{
	static uint8_t copy[1 << 16];
	if (!pl_heap.is_on || memory == NULL)
		return;
	size_t size = malloc_usable_size((void *)(uintptr_t)memory);
	if (size > sizeof copy)
		size = sizeof copy;
	for (size_t i = 0; i < size; i++)
		copy[i] = ((const volatile uint8_t *)memory)[i];
	pl_heap.freed++;
	pl_heap.leaks += has_secret(copy, size);
}

static bool is_refused(void)
{
	return pl_heap.fails_in > 0 && --pl_heap.fails_in == 0;
}

void __wrap_free(void *memory)
{
	look(memory);
	pl_heap.held_by_us -= pl_heap.is_on && memory != NULL;
	__real_free(memory);
}

void *__wrap_calloc(size_t count, size_t size)
{
	if (is_refused())
		return NULL;
	pl_heap.held_by_us += pl_heap.is_on;
	return __real_calloc(count, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	if (is_refused())
		return NULL;
	pl_heap.held_by_us += pl_heap.is_on;
	return __real_aligned_alloc(alignment, size);
}

/* ---- OpenSSL's ---- */

/* What it has now, of what it took since the watch began. */
static struct {
	void *memory[HELD_MAX];
	size_t count;
} held;

static void *hold(void *memory)
{
	if (pl_heap.is_on && memory != NULL) {
		pl_heap.taken++;
		if (held.count == HELD_MAX)
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
	pl_heap.held_by_openssl++;
	return hold(malloc(size));
}

static void *openssl_realloc(void *memory, size_t size, const char *file, int line)
{
	(void)file, (void)line;
	if (is_refused())
		return NULL;
	pl_heap.held_by_openssl += memory == NULL;
	let_go(memory);
	return hold(realloc(memory, size));
}

static void openssl_free(void *memory, const char *file, int line)
{
	(void)file, (void)line;
	look(memory);
	pl_heap.held_by_openssl -= memory != NULL;
	let_go(memory);
	__real_free(memory);
}

bool pl_heap_hook_openssl(void)
{
	return CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) == 1;
}

void pl_heap_look_at_held(void)
{
	for (size_t i = 0; i < held.count; i++)
		look(held.memory[i]);
}

/* ---- the watch ---- */

void pl_heap_watch_begin(void)
{
	pl_heap.freed = pl_heap.leaks = pl_heap.taken = held.count = 0;
	pl_heap.held_by_us = 0;
	pl_heap.is_on = true;
}

void pl_heap_watch_end(void)
{
	pl_heap.is_on = false;
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

void pl_heap_run(void *(*part)(void *))
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

void pl_heap_test_finds_a_secret(void **state)
{
	(void)state;
	const size_t count = secrets.count;
	uint8_t bytes[PL_HEAP_SECRET_SIZE], *memory = malloc(100);
	memset(bytes, 0x5a, sizeof bytes);
	pl_heap_add_secret(bytes);
	memcpy(memory + 13, bytes, sizeof bytes);
	__asm__ volatile("" : : "r"(memory) : "memory"); /* the compiler writes nothing that is freed unread */
	pl_heap_watch_begin();
	free(memory);
	pl_heap_watch_end();
	assert_int_equal(pl_heap.leaks, 1);
	secrets.count = count;
}
