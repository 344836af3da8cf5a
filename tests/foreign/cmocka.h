/* As much of cmocka as the tests need that are compiled for another processor, for which Debian's is not installed: the
 * first failure ends the program. */
#ifndef PL_TESTS_FOREIGN_CMOCKA_H
#define PL_TESTS_FOREIGN_CMOCKA_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
	const char *name;
	void (*run)(void **state);
};

#define cmocka_unit_test(function)  \
	{                           \
#function, function \
	}

#define fail_msg(...)                         \
	do {                                  \
		fprintf(stderr, __VA_ARGS__); \
		fputc('\n', stderr);          \
		exit(1);                      \
	} while (0)
#define assert_true(condition)                                                     \
	do {                                                                       \
		if (!(condition))                                                  \
			fail_msg("%s:%d: not %s", __FILE__, __LINE__, #condition); \
	} while (0)
#define assert_false(condition)      assert_true(!(condition))
#define assert_non_null(pointer)     assert_true((pointer) != NULL)
#define assert_int_equal(a, b)       assert_true((a) == (b))
#define assert_memory_equal(a, b, n) assert_true(memcmp((a), (b), (n)) == 0)
#define print_message(...)           printf(__VA_ARGS__)

static inline int run_group(const struct CMUnitTest *tests, size_t count, int (*setup)(void **state))
{
	void *state = NULL;
	if (setup != NULL && setup(&state) != 0)
		return 1;
	for (size_t i = 0; i < count; i++) {
		tests[i].run(&state);
		printf("%s\n", tests[i].name);
	}
	printf("%zu tests passed\n", count);
	return 0;
}

#define cmocka_run_group_tests(tests, setup, teardown) run_group(tests, sizeof(tests) / sizeof((tests)[0]), setup)

#endif
