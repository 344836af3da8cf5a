#include "sfu/relief.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sfu/types.h"

/* What a level takes reaches the media threads as one word: nothing of it may be lost on the way. */
static void test_relief_word_carries_all(void **state)
{
	(void)state;
	for (uint8_t level = 0; level < PL_PRESSURE_LEVELS; level++) {
		const struct pl_ladder *ladder = pl_pressure_ladder(level);
		const struct pl_relief before = { 0 };
		const struct pl_relief relief = pl_relief_of(ladder, PL_PRESSURE_SHARD_BUSY, &before);
		const struct pl_relief back = pl_relief_from(pl_relief_word(&relief));
		assert_int_equal(back.coalesce_us, ladder->coalesce_us);
		assert_int_equal(back.audio_slots, ladder->audio_slots == PL_SLOTS_MAX ? 0 : ladder->audio_slots);
		assert_int_equal(back.moves, ladder->moves_auto ? PL_RELIEF_AUTO_TO_MIX : PL_RELIEF_AUTO_STAYS);
	}
	const struct pl_relief none = { 0 };
	const struct pl_relief nominal =
		pl_relief_of(pl_pressure_ladder(PL_PRESSURE_NOMINAL), PL_PRESSURE_INPUTS, &none);
	assert_int_equal(pl_relief_word(&nominal), 0);
}

/* Listeners are moved to the mix once and back once, whatever the causes do meanwhile: being moved is heard. */
static void test_relief_moves_nobody_to_and_fro(void **state)
{
	static const struct {
		uint8_t level, cause, moves;
	} row[] = {
		{ PL_PRESSURE_ELEVATED, PL_PRESSURE_SHARD_BUSY, PL_RELIEF_AUTO_STAYS },
		{ PL_PRESSURE_HIGH, PL_PRESSURE_MEMORY, PL_RELIEF_AUTO_STAYS },
		{ PL_PRESSURE_HIGH, PL_PRESSURE_INPUTS, PL_RELIEF_AUTO_STAYS },
		{ PL_PRESSURE_HIGH, PL_PRESSURE_SHARD_LATE, PL_RELIEF_AUTO_TO_MIX },
		{ PL_PRESSURE_CRITICAL, PL_PRESSURE_CPU, PL_RELIEF_AUTO_TO_MIX },
		{ PL_PRESSURE_CRITICAL, PL_PRESSURE_CODEC_LATE, PL_RELIEF_AUTO_TO_TALKERS },
		{ PL_PRESSURE_HIGH, PL_PRESSURE_SHARD_BUSY, PL_RELIEF_AUTO_TO_TALKERS },
		{ PL_PRESSURE_HIGH, PL_PRESSURE_CODEC_LATE, PL_RELIEF_AUTO_TO_TALKERS },
		{ PL_PRESSURE_NOMINAL, PL_PRESSURE_INPUTS, PL_RELIEF_AUTO_STAYS },
		{ PL_PRESSURE_EMERGENCY, PL_PRESSURE_POOL, PL_RELIEF_AUTO_TO_MIX },
		{ PL_PRESSURE_ELEVATED, PL_PRESSURE_POOL, PL_RELIEF_AUTO_STAYS },
	};
	struct pl_relief relief = { 0 };
	(void)state;
	for (size_t i = 0; i < PL_COUNT(row); i++) {
		relief = pl_relief_of(pl_pressure_ladder(row[i].level), row[i].cause, &relief);
		assert_int_equal(relief.moves, row[i].moves);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_relief_word_carries_all),
		cmocka_unit_test(test_relief_moves_nobody_to_and_fro),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
