/* signaling/text: what is put together is whole, or known not to be. */
#include "signaling/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Pieces come one behind the other, and not one byte behind the room is touched, to the last size that fits. */
static void test_text_is_whole_or_does_not_fit(void **state)
{
	(void)state;
	for (size_t size = 1; size <= 16; size++) {
		char bytes[20];
		memset(bytes, '#', sizeof bytes);
		struct pl_text text = pl_text_begin(bytes, size);
		assert_true(pl_text_fits(&text));
		assert_string_equal(bytes, "");
		pl_text_put(&text, "%s", "abc");
		pl_text_put(&text, "%d", 4567);
		pl_text_put(&text, "%s", "");
		assert_int_equal(pl_text_fits(&text), size > 7);
		if (pl_text_fits(&text)) {
			assert_string_equal(bytes, "abc4567");
			assert_int_equal(text.used, 7);
		}
		for (size_t i = size; i < sizeof bytes; i++)
			assert_int_equal(bytes[i], '#');
	}
}

/* A hole in the middle would be worse than no text: a piece that would fit behind one that did not is left out, too. */
static void test_text_that_did_not_fit_never_does(void **state)
{
	(void)state;
	char bytes[8];
	struct pl_text text = pl_text_begin(bytes, sizeof bytes);
	pl_text_put(&text, "%s", "abcd");
	pl_text_put(&text, "%s", "too long");
	pl_text_put(&text, "%s", "x");
	assert_false(pl_text_fits(&text));
	assert_int_equal(text.used, sizeof bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_is_whole_or_does_not_fit),
		cmocka_unit_test(test_text_that_did_not_fit_never_does),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
