/* Looks at memory as it is given back: whether a key is still in it.  The program's free() is looked over the shoulder by
 * the linker's --wrap (free, calloc and aligned_alloc: tests/CMakeLists.txt), OpenSSL's by its own hook.  It refuses
 * memory, too, for the ladder of allocations that fail.
 * Thread: one, and those that pl_heap_run makes. */
#ifndef PL_TESTS_SUPPORT_HEAP_WATCH_H
#define PL_TESTS_SUPPORT_HEAP_WATCH_H

#include "media/base.h"

enum { PL_HEAP_SECRETS_MAX = 24, PL_HEAP_SECRET_SIZE = 16 };

/* Volatile: a compiler believes that free() looks at nobody's variables. */
extern volatile struct pl_heap_watch {
	bool is_on;
	size_t freed, leaks;              /* while it is on: all, and those with a secret in them */
	size_t taken;                     /* by OpenSSL, while it is on */
	long held_by_us, held_by_openssl; /* how many; by us: of those taken while it is on */
	size_t fails_in;                  /* allocations until one fails; 0: none does */
} pl_heap;

/* Before anything of OpenSSL's.  False: it was too late. */
bool pl_heap_hook_openssl(void);

/* What must not be found: PL_HEAP_SECRET_SIZE bytes each. */
void pl_heap_add_secret(const uint8_t *bytes);
void pl_heap_forget_secrets(void);

/* Counts from nothing. */
void pl_heap_watch_begin(void);
void pl_heap_watch_end(void);

/* Looks at what OpenSSL has taken since the watch began and still has. */
void pl_heap_look_at_held(void);

/* Runs a part of a life on a stack of its own, which what the part leaves there is looked for on afterwards. */
void pl_heap_run(void *(*part)(void *));

/* A cmocka test for each program that watches: what is given back with a secret in it is counted. */
void pl_heap_test_finds_a_secret(void **state);

#endif
