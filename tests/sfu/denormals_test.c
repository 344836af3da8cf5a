#include "sfu/io/denormals.h"

#include <float.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "media/dsp.h"

/* What this thread makes of denormals: read as an operand, and as the result of two numbers that are none. */
struct found {
	bool is_flushed;
	float read, made;
	float kernels[PL_SIMD_COUNT]; /* the same inside of a mixer's kernel of each level */
};

static void look(struct found *found)
{
	volatile float denormal = FLT_MIN / 4, large = 4, small = FLT_MIN, quarter = 0.25F;
	found->read = denormal * large;
	found->made = small * quarter;
	for (enum pl_simd level = 0; level < PL_SIMD_COUNT; level++) {
		const struct pl_dsp *dsp = pl_dsp_get(level);
		float x[8] = { FLT_MIN / 4, FLT_MIN, FLT_MIN, FLT_MIN, FLT_MIN / 4, 0, 0, 0 };
		if (dsp != NULL)
			dsp->ramp(x, 0.5F, 0.5F, 8);
		found->kernels[level] = dsp != NULL ? x[0] + x[1] + x[4] : 0;
	}
}

static void *codec_thread(void *context)
{
	struct found *found = context;
	found->is_flushed = pl_dsp_flush_denormals();
	look(found);
	return NULL;
}

/* A codec thread is not slowed down by silence, and no other thread computes otherwise because of it. */
static void test_denormals_are_flushed_on_the_thread_that_asks(void **state)
{
	(void)state;
	struct found there = { 0 }, here;
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, codec_thread, &there), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	look(&here);
	assert_true(here.read == FLT_MIN && here.made == FLT_MIN / 4);
	assert_true(here.kernels[PL_SIMD_AUTO] > 0);
#if defined(__x86_64__) || defined(__aarch64__)
	assert_true(there.is_flushed);
#endif
	if (!there.is_flushed)
		return;
	assert_true(there.read == 0 && there.made == 0);
	for (enum pl_simd level = 0; level < PL_SIMD_COUNT; level++)
		assert_true(there.kernels[level] == 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_denormals_are_flushed_on_the_thread_that_asks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
