#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "media/jitter.h"
#include "media/rng.h"

static enum pl_drop put(struct pl_jitter *j, uint32_t ts, size_t size)
{
	uint8_t bytes[PL_DATAGRAM_SIZE_MAX];
	memset(bytes, (int)(ts / 960), sizeof bytes);
	return pl_jitter_put(j, (uint16_t)(ts / 960), ts, 960, (struct pl_bytes){ bytes, size });
}

static void assert_front(struct pl_jitter *j, uint32_t ts, size_t size)
{
	const struct pl_jitter_packet *front = pl_jitter_front(j);
	assert_non_null(front);
	assert_int_equal(front->ts, ts);
	const struct pl_bytes payload = pl_jitter_payload(j, front);
	assert_int_equal(payload.size, size);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(payload.data[i], (uint8_t)(ts / 960));
}

/* Whatever order the network makes, also where the timestamp wraps, the talker is heard in order; what comes twice once. */
static void test_jitter_gives_packets_in_the_order_of_speech(void **state)
{
	(void)state;
	static struct pl_jitter j;
	const uint32_t base = UINT32_MAX - 3 * 960 + 1; /* wraps to 0 after three packets */
	static const unsigned arrival[] = { 1, 0, 4, 2, 2, 3, 0, 5 };
	pl_jitter_clear(&j);
	assert_null(pl_jitter_front(&j));
	for (size_t i = 0; i < PL_COUNT(arrival); i++) {
		const bool is_twice = i == 4 || i == 6;
		assert_int_equal(put(&j, base + arrival[i] * 960, 10 + arrival[i]),
			is_twice ? PL_DROP_VOICE_DUPLICATE : PL_DROP_NONE);
	}
	assert_int_equal(pl_jitter_end(&j), base + 6 * 960);
	for (uint32_t n = 0; n < 6; n++) {
		assert_front(&j, base + n * 960, 10 + n);
		pl_jitter_pop(&j);
	}
	assert_null(pl_jitter_front(&j));
}

/* What is full refuses by name and has everything that it took; after one has gone there is room for one. */
static void test_jitter_full_refuses_and_keeps(void **state)
{
	(void)state;
	static struct pl_jitter j;
	pl_jitter_clear(&j);
	for (uint32_t n = 0; n < PL_JITTER_PACKETS; n++)
		assert_int_equal(put(&j, n * 960, 1), PL_DROP_NONE);
	assert_int_equal(put(&j, PL_JITTER_PACKETS * 960, 1), PL_DROP_VOICE_FULL);
	pl_jitter_pop(&j);
	assert_int_equal(put(&j, PL_JITTER_PACKETS * 960, 1), PL_DROP_NONE);
	assert_front(&j, 960, 1);

	pl_jitter_clear(&j);
	uint32_t count = 0;
	while (put(&j, count * 960, PL_DATAGRAM_SIZE_MAX) == PL_DROP_NONE)
		count++;
	assert_int_equal(count, PL_JITTER_BYTES / PL_DATAGRAM_SIZE_MAX);
	for (uint32_t n = 0; n < count; n++) {
		assert_front(&j, n * 960, PL_DATAGRAM_SIZE_MAX);
		pl_jitter_pop(&j);
	}
	assert_int_equal(put(&j, 0, PL_DATAGRAM_SIZE_MAX), PL_DROP_NONE);
}

/* Many packets of any size, late and early: no payload is ever written over while it waits, and the ring of bytes
 * never wears out. */
static void test_jitter_never_overwrites_what_waits(void **state)
{
	(void)state;
	static struct pl_jitter j;
	struct pl_rng rng;
	size_t size_of[1024] = { 0 };
	uint64_t full = 0, taken = 0;
	pl_rng_init(&rng, 3);
	pl_jitter_clear(&j);
	uint32_t next = 100;
	for (int step = 0; step < 300000; step++) {
		if (pl_rng_below(&rng, 100) < (step / 10000 % 2 == 0 ? 51 : 75)) {
			const uint32_t n = next + pl_rng_below(&rng, 12) - 6;
			const uint32_t largest = step / 30000 % 2 == 0 ? 200 : PL_DATAGRAM_SIZE_MAX;
			const size_t size = 1 + pl_rng_below(&rng, largest);
			const enum pl_drop drop = put(&j, n * 960, size);
			full += drop == PL_DROP_VOICE_FULL;
			if (drop == PL_DROP_NONE) {
				size_of[n % PL_COUNT(size_of)] = size;
				taken++;
				next++;
			}
		} else if (pl_jitter_front(&j) != NULL) {
			const uint32_t ts = pl_jitter_front(&j)->ts;
			assert_front(&j, ts, size_of[ts / 960 % PL_COUNT(size_of)]);
			pl_jitter_pop(&j);
		}
		if (pl_rng_below(&rng, 20000) == 0)
			for (; pl_jitter_front(&j) != NULL; pl_jitter_pop(&j))
				assert_front(&j, pl_jitter_front(&j)->ts,
					size_of[pl_jitter_front(&j)->ts / 960 % PL_COUNT(size_of)]);
	}
	if (full < 100 || taken < 50000)
		fail_msg("%u refused, %u taken", (unsigned)full, (unsigned)taken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_jitter_gives_packets_in_the_order_of_speech),
		cmocka_unit_test(test_jitter_full_refuses_and_keeps),
		cmocka_unit_test(test_jitter_never_overwrites_what_waits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
