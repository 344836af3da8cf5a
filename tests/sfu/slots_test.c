#include "sfu/slots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "media/rng.h"

enum { SOURCES = 12, TRACK = 100 }; /* source i has track TRACK + i */

/* The room's ranking, put together by hand: sources[i] is the id, 0 ends it. */
static struct pl_speakers ranking(struct pl_speaker speaker[static SOURCES], const uint32_t *sources)
{
	struct pl_speakers s;
	pl_speakers_init(&s, PL_SPEAKERS_CAPACITY);
	for (; sources[s.count] != 0; s.count++) {
		const uint32_t source = sources[s.count];
		pl_speaker_init(&speaker[s.count], source, TRACK + source);
		s.on_air[s.count] = &speaker[s.count];
	}
	return s;
}

static uint32_t update(struct pl_slots *slots, uint32_t self, int64_t now_us, const uint32_t *sources)
{
	struct pl_speaker speaker[SOURCES];
	const struct pl_speakers s = ranking(speaker, sources);
	return pl_slots_update(slots, &s, self, now_us);
}

static void assert_slots(const struct pl_slots *slots, const uint32_t *sources)
{
	for (uint8_t i = 0; i < slots->count; i++) {
		assert_int_equal(slots->source[i], sources[i]);
		assert_int_equal(slots->track[i], sources[i] != 0 ? TRACK + sources[i] : 0);
	}
}

#define SOURCES_OF(...) ((const uint32_t[]){ __VA_ARGS__, 0 })

/* An echo of oneself is the worst thing in a call: whoever is on air hears the others only, and one more of them. */
static void test_slots_nobody_hears_itself(void **state)
{
	(void)state;
	struct pl_slots slots;
	pl_slots_init(&slots, 3, 7);
	assert_int_equal(update(&slots, 2, 0, SOURCES_OF(1, 2, 3, 4)), 7);
	assert_slots(&slots, SOURCES_OF(1, 3, 4));
	assert_int_equal(pl_slots_find(&slots, TRACK + 2), -1);
	assert_int_equal(pl_slots_find(&slots, TRACK + 4), 2);
}

/* More on air than this listener has slots: the best in the ranking. */
static void test_slots_best_of_the_ranking_are_kept(void **state)
{
	(void)state;
	struct pl_slots slots;
	pl_slots_init(&slots, 2, 3);
	update(&slots, 9, 0, SOURCES_OF(1, 2, 3));
	assert_slots(&slots, SOURCES_OF(1, 2));
	assert_int_equal(update(&slots, 9, 1, SOURCES_OF(3, 1, 2)), 2);
	assert_slots(&slots, SOURCES_OF(1, 3));
}

/* A voice never moves between slots while it is heard: it would be cut, and its tile would jump. */
static void test_slots_voice_stays_where_it_is_when_others_leave(void **state)
{
	(void)state;
	struct pl_slots slots;
	pl_slots_init(&slots, 3, 7);
	update(&slots, 9, 0, SOURCES_OF(1, 2, 3));
	assert_int_equal(update(&slots, 9, 1, SOURCES_OF(3)), 3);
	assert_slots(&slots, SOURCES_OF(0, 0, 3));
	assert_int_equal(update(&slots, 9, 2, SOURCES_OF(3)), 0);
}

/* Who comes back gets the slot that was theirs, and a stranger the one that nobody is likely to come back to. */
static void test_slots_returning_voice_gets_its_old_slot(void **state)
{
	(void)state;
	struct pl_slots slots;
	pl_slots_init(&slots, 3, 7);
	update(&slots, 9, 0, SOURCES_OF(1, 2, 3));
	update(&slots, 9, 1, SOURCES_OF(1, 3));
	update(&slots, 9, 2, SOURCES_OF(3));
	update(&slots, 9, 3, SOURCES_OF(3, 1));
	assert_slots(&slots, SOURCES_OF(1, 0, 3));
	update(&slots, 9, 4, SOURCES_OF(3));
	update(&slots, 9, 5, SOURCES_OF(3, 4));
	assert_slots(&slots, SOURCES_OF(0, 4, 3)); /* 2 left before 1 did */
	update(&slots, 9, 6, SOURCES_OF(3, 4, 1));
	assert_slots(&slots, SOURCES_OF(1, 4, 3));
}

/* Slots of another kind of media get no audio. */
static void test_slots_audio_flows_into_audio_slots_only(void **state)
{
	(void)state;
	struct pl_slots slots;
	pl_slots_init(&slots, 3, 5);
	update(&slots, 9, 0, SOURCES_OF(1, 2, 3));
	assert_slots(&slots, SOURCES_OF(1, 0, 2));
}

/* A renegotiation that puts a slot to another number interrupts nobody. */
static void test_slots_carried_slot_goes_on(void **state)
{
	(void)state;
	struct pl_slots slots, next;
	pl_slots_init(&slots, 2, 3);
	update(&slots, 9, 0, SOURCES_OF(1, 2));
	pl_slots_init(&next, 3, 7);
	pl_slots_carry(&next, 2, &slots, 1);
	update(&next, 9, 1, SOURCES_OF(1, 2));
	assert_slots(&next, SOURCES_OF(1, 0, 2));
}

/* A listener without slots is a fine thing: it only talks. */
static void test_slots_none_is_fine(void **state)
{
	(void)state;
	struct pl_slots slots;
	pl_slots_init(&slots, 0, 0);
	assert_int_equal(update(&slots, 9, 0, SOURCES_OF(1, 2)), 0);
}

/* Whatever the room does: the best others, each once, never oneself, and whoever stays keeps the slot. */
static void test_slots_any_ranking_fits(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 50; seed++) {
		struct pl_rng rng;
		struct pl_slots slots;
		pl_rng_init(&rng, seed);
		const uint8_t count = (uint8_t)(1 + pl_rng_below(&rng, 5));
		pl_slots_init(&slots, count, 0xffff);
		for (int step = 0; step < 500; step++) {
			uint32_t order[SOURCES + 1] = { 0 };
			const uint32_t on_air = pl_rng_below(&rng, SOURCES);
			for (uint32_t i = 0; i < on_air; i++) {
				const uint32_t at = pl_rng_below(&rng, i + 1);
				order[i] = order[at];
				order[at] = i + 1;
			}
			const struct pl_slots before = slots;
			update(&slots, 1, step, order);
			uint32_t wanted = 0;
			for (uint32_t i = 0; i < on_air && wanted < count; i++) {
				if (order[i] == 1)
					continue;
				wanted++;
				const int slot = pl_slots_find(&slots, TRACK + order[i]);
				const int was = pl_slots_find(&before, TRACK + order[i]);
				if (slot < 0 || (was >= 0 && was != slot))
					fail_msg("seed %d: source %d is in slot %d, was in %d", (int)seed,
						(int)order[i], slot, was);
			}
			uint32_t filled = 0;
			for (uint8_t i = 0; i < count; i++)
				filled += slots.source[i] != 0;
			if (filled != wanted || pl_slots_find(&slots, TRACK + 1) >= 0)
				fail_msg(
					"seed %d: %u filled, %u wanted", (int)seed, (unsigned)filled, (unsigned)wanted);
		}
	}
}

/* The mix is in the first audio slot and nothing is anywhere else, whoever talks; and who has heard it can hear talkers
 * again, each in the slot that it had. */
static void test_slots_mix_flows_into_the_first_audio_slot(void **state)
{
	(void)state;
	struct pl_slots slots;
	pl_slots_init(&slots, 4, 0xe); /* slot 0 takes video */
	update(&slots, 9, 0, SOURCES_OF(1, 2));
	assert_slots(&slots, SOURCES_OF(0, 1, 2, 0));

	slots.mix = PL_MIX_ROBUST + 1;
	assert_int_equal(pl_slots_talkers_max(&slots), 0);
	assert_int_equal(update(&slots, 9, 1, SOURCES_OF(1, 2)), 6);
	assert_int_equal(pl_slots_find(&slots, PL_MIX_TRACK(PL_MIX_ROBUST)), 1);
	assert_int_equal(pl_slots_find(&slots, PL_MIX_TRACK(PL_MIX_FULL)), -1);
	assert_int_equal(pl_slots_find(&slots, TRACK + 1), -1);
	assert_int_equal(slots.source[1], 0);
	assert_int_equal(slots.track[0] | slots.track[2] | slots.track[3], 0);
	assert_int_equal(update(&slots, 9, 2, SOURCES_OF(2, 3, 1)), 0);

	slots.mix = PL_MIX_FULL + 1;
	assert_int_equal(update(&slots, 9, 3, SOURCES_OF(2, 3, 1)), 2);
	assert_int_equal(pl_slots_find(&slots, PL_MIX_TRACK(PL_MIX_FULL)), 1);

	slots.mix = 0;
	assert_int_equal(update(&slots, 9, 4, SOURCES_OF(2, 1)), 6);
	assert_slots(&slots, SOURCES_OF(0, 1, 2, 0));
	assert_int_equal(pl_slots_find(&slots, PL_MIX_TRACK(PL_MIX_FULL)), -1);

	pl_slots_init(&slots, 1, 0);
	slots.mix = PL_MIX_FULL + 1;
	assert_int_equal(update(&slots, 9, 5, SOURCES_OF(1)), 0);
	assert_int_equal(pl_slots_find(&slots, PL_MIX_TRACK(PL_MIX_FULL)), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slots_nobody_hears_itself),
		cmocka_unit_test(test_slots_best_of_the_ranking_are_kept),
		cmocka_unit_test(test_slots_voice_stays_where_it_is_when_others_leave),
		cmocka_unit_test(test_slots_returning_voice_gets_its_old_slot),
		cmocka_unit_test(test_slots_audio_flows_into_audio_slots_only),
		cmocka_unit_test(test_slots_carried_slot_goes_on),
		cmocka_unit_test(test_slots_mix_flows_into_the_first_audio_slot),
		cmocka_unit_test(test_slots_none_is_fine),
		cmocka_unit_test(test_slots_any_ranking_fits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
