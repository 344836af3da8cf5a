#include "signaling/library.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <opus/opus.h>
#include <string.h>

/* What is not there is not told of. */
static void test_library_that_is_not_there(void **state)
{
	(void)state;
	struct pl_library library = { .is_loaded = true, .has_avx = true, .needs_nss = true };
	pl_library_examine("libnothing.so", &library);
	assert_false(library.is_loaded || library.has_avx || library.has_sse41 || library.needs_nss ||
		     library.needs_openssl);
	assert_string_equal(library.file, "");
}

/* glibc has AVX code on x86-64 (its memcpy), and needs no other library. */
static void test_library_says_what_its_image_says(void **state)
{
	(void)state;
	struct pl_library library;
	pl_library_examine("libc.so", &library);
	assert_true(library.is_loaded && !library.needs_nss && !library.needs_openssl);
	assert_non_null(strstr(library.file, "/libc.so"));
#if defined(__x86_64__)
	assert_true(library.has_avx);
#endif
}

/* An operator who has put another libopus under the server has to see that it runs. */
static void test_library_opus_is_the_one_that_runs(void **state)
{
	(void)state;
	struct pl_library_opus opus;
	pl_library_examine_opus(&opus);
	assert_string_equal(opus.version, opus_get_version_string());
	assert_in_range(opus.decoder_bytes, opus_decoder_get_size(1), opus_decoder_get_size(1) + 128);
	struct pl_library image;
	pl_library_examine("libopus.so", &image);
	assert_true(image.is_loaded == (opus.file[0] != '\0'));
#if defined(__x86_64__)
	/* AVX2 came with 1.5. */
	const bool has_avx2 = strcmp(opus.carried, "AVX2") == 0;
	if (strncmp(opus.version, "libopus 1.3", 11) == 0 || strncmp(opus.version, "libopus 1.4", 11) == 0)
		assert_string_equal(opus.carried, "SSE4.1");
	assert_true(opus.can_be_faster ? !has_avx2 : has_avx2 || !__builtin_cpu_supports("avx2"));
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_library_that_is_not_there),
		cmocka_unit_test(test_library_says_what_its_image_says),
		cmocka_unit_test(test_library_opus_is_the_one_that_runs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
