#include "sfu/placement.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "media/rng.h"

enum { ROOMS_MAX = 400 };

static struct pl_placement placement;

static void start(uint32_t shards, uint32_t participants, uint32_t rooms, uint32_t room_participants)
{
	pl_placement_init(&placement, &(struct pl_placement_config){
					      .shard_count = shards,
					      .participants_max = participants,
					      .rooms_max = rooms,
					      .room_participants_max = room_participants,
				      });
}

/* Whether a room that is there has a place there. */
static bool has_place(uint8_t home)
{
	static const uint32_t members[PL_SFU_SHARDS_MAX];
	uint8_t shard = 255;
	return pl_placement_choose_for(&placement, 0, home, members, &shard) && shard == home;
}

/* Returns the shard of a new room with so many participants, and has them come. */
static uint8_t open_room(uint32_t participants)
{
	uint8_t shard = 255;
	assert_true(pl_placement_choose(&placement, 0, &shard));
	pl_placement_room_comes(&placement, shard);
	for (uint32_t i = 0; i < participants; i++)
		pl_placement_participant_comes(&placement, shard);
	return shard;
}

static void close_room(uint8_t shard, uint32_t participants)
{
	for (uint32_t i = 0; i < participants; i++)
		pl_placement_participant_goes(&placement, shard);
	pl_placement_room_goes(&placement, shard);
}

/* Participants are what costs: they decide, then rooms, then the index; and what has gone counts no more. */
static void test_placement_takes_the_least_loaded(void **state)
{
	(void)state;
	start(3, 1000, 1000, 100);
	static const struct {
		uint32_t participants;
		uint8_t shard;
	} step[] = {
		{ 4, 0 }, /* 4 0 0 */
		{ 2, 1 }, /* 4 2 0 */
		{ 1, 2 }, /* 4 2 1 */
		{ 1, 2 }, /* 4 2 2: as many, in one room and in two */
		{ 2, 1 }, /* 4 4 2 */
		{ 2, 2 }, /* 4 4 4, in 1, 2 and 3 rooms */
		{ 0, 0 }, /* 4 4 4, in 2, 2 and 3 rooms */
		{ 0, 0 },
		{ 0, 1 },
	};
	for (size_t i = 0; i < PL_COUNT(step); i++)
		assert_int_equal(open_room(step[i].participants), step[i].shard);
	close_room(2, 2);
	assert_int_equal(open_room(1), 2);
}

/* A shard that has refused gets no new rooms for a while, however empty it is; when all have refused, trying is better
 * than turning everybody away. */
static void test_placement_lets_a_shard_rest_that_refused(void **state)
{
	(void)state;
	const int64_t now_us = INT64_C(5000000), rest_us = PL_PLACEMENT_REST_MS * INT64_C(1000);
	uint8_t shard;
	start(2, 1000, 1000, 100);
	open_room(0);
	for (int i = 0; i < 10; i++)
		pl_placement_participant_comes(&placement, 0);
	pl_placement_refused(&placement, 1, now_us);
	assert_true(pl_placement_choose(&placement, now_us, &shard));
	assert_int_equal(shard, 0);
	assert_true(pl_placement_choose(&placement, now_us + rest_us - 1, &shard));
	assert_int_equal(shard, 0);
	assert_true(pl_placement_choose(&placement, now_us + rest_us, &shard));
	assert_int_equal(shard, 1);

	pl_placement_refused(&placement, 0, now_us);
	assert_true(pl_placement_choose(&placement, now_us, &shard));
	assert_int_equal(shard, 1);
}

/* A full shard means the next one, and refused is only when all are full: by participants or by rooms. */
static void test_placement_refuses_only_when_all_are_full(void **state)
{
	(void)state;
	uint8_t shard = 77;
	start(2, 10, 1000, 1);
	assert_int_equal(placement.shard_participants_max, 10);
	assert_int_equal(open_room(10), 0);
	assert_false(has_place(0));
	assert_int_equal(open_room(9), 1);
	assert_int_equal(open_room(1), 1);
	assert_false(pl_placement_choose(&placement, 0, &shard));
	assert_int_equal(shard, 77);
	pl_placement_participant_goes(&placement, 0);
	assert_int_equal(open_room(1), 0);

	start(4, 1000, 8, 1);
	assert_int_equal(placement.shard_rooms_max, 4);
	for (int i = 0; i < 16; i++)
		assert_int_equal(open_room(1), i % 4);
	assert_false(pl_placement_choose(&placement, 0, &shard));
	close_room(2, 1);
	assert_int_equal(open_room(1), 2);
}

/* One shard's tables: all of a small machine; on a large one what its rooms may need, and the largest room fits. */
static void test_placement_shares_the_tables(void **state)
{
	(void)state;
	static const struct {
		uint32_t shards, participants, rooms, room_participants, shard_participants, shard_rooms;
	} cases[] = {
		{ 1, 4096, 2048, 1024, 4096, 2048 },
		{ 2, 4096, 2048, 1024, 4096, 2048 },
		{ 4, 4096, 2048, 1024, 2048, 1024 },
		{ 64, 4096, 2048, 1024, 1024, 64 },
		{ 64, 4096, 2048, 0, 4096, 64 },
		{ 64, 4096, 2048, 100000, 4096, 64 },
		{ 64, 1, 1, 1, 1, 1 },
		{ 3, 10, 10, 1, 8, 8 },
		{ 1, UINT32_MAX, UINT32_MAX, 1, UINT32_MAX, UINT32_MAX },
		{ 2, UINT32_MAX, UINT32_MAX, 1, UINT32_MAX, UINT32_MAX },
	};
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		start(cases[i].shards, cases[i].participants, cases[i].rooms, cases[i].room_participants);
		assert_int_equal(placement.shard_participants_max, cases[i].shard_participants);
		assert_int_equal(placement.shard_rooms_max, cases[i].shard_rooms);
	}
}

/* Rooms of all sizes come and go, in an order that makes the shards as uneven as it likes: as long as the process has a
 * place, so has some shard; and the count comes back to nothing. */
static void test_placement_has_a_place_as_long_as_the_process_has(void **state)
{
	(void)state;
	enum { PARTICIPANTS = 300, LARGEST = 60 };
	struct {
		uint8_t shard;
		uint32_t participants;
	} room[ROOMS_MAX];
	struct pl_rng rng;
	pl_rng_init(&rng, 11);
	for (uint32_t shards = 1; shards <= PL_SFU_SHARDS_MAX; shards += 7) {
		uint32_t count = 0, participants = 0, fullest = 0;
		start(shards, PARTICIPANTS, ROOMS_MAX, LARGEST);
		for (int turn = 0; turn < 20000; turn++) {
			const uint32_t which = (uint32_t)(pl_rng_next(&rng) % (count + 1));
			const bool grows = pl_rng_next(&rng) % 16 != 0;
			if (which == count && count < ROOMS_MAX && participants < PARTICIPANTS) {
				room[count].shard = open_room(1);
				room[count++].participants = 1;
				participants++;
			} else if (which < count && grows && participants < PARTICIPANTS &&
				   room[which].participants < LARGEST && has_place(room[which].shard)) {
				pl_placement_participant_comes(&placement, room[which].shard);
				room[which].participants++;
				participants++;
			} else if (which < count && !grows) {
				close_room(room[which].shard, room[which].participants);
				participants -= room[which].participants;
				room[which] = room[--count];
			}
			fullest = participants > fullest ? participants : fullest;
		}
		assert_int_equal(fullest, PARTICIPANTS);
		while (count-- > 0)
			close_room(room[count].shard, room[count].participants);
		for (uint32_t shard = 0; shard < shards; shard++) {
			assert_int_equal(placement.load[shard].participants, 0);
			assert_int_equal(placement.load[shard].rooms, 0);
		}
	}
}

/* A room fills its home, then one shard after the other, and comes back to home when there is a place again. */
static void test_placement_spreads_a_large_room(void **state)
{
	(void)state;
	static uint32_t members[PL_SFU_SHARDS_MAX];
	static const uint8_t expected[] = { 1, 1, 1, 0, 0, 0, 2, 2, 2, 0, 1, 0 }; /* then: the least loaded */
	start(3, 1000, 1000, 1000);
	placement.room_spread = 3;
	pl_placement_participant_comes(&placement, 2); /* somebody else's */
	for (size_t i = 0; i < PL_COUNT(expected); i++) {
		uint8_t shard = 255;
		assert_true(pl_placement_choose_for(&placement, 0, 1, members, &shard));
		if (shard != expected[i])
			fail_msg("member %zu went to shard %u", i, shard);
		members[shard]++;
		pl_placement_participant_comes(&placement, shard);
	}
	while (members[1] > 2) {
		members[1]--;
		pl_placement_participant_goes(&placement, 1);
	}
	uint8_t shard = 255;
	assert_true(pl_placement_choose_for(&placement, 0, 1, members, &shard));
	assert_int_equal(shard, 1);
}

/* A full shard is no end for a room while another has a place. */
static void test_placement_goes_around_a_full_shard(void **state)
{
	(void)state;
	uint32_t members[PL_SFU_SHARDS_MAX] = { 0 };
	start(2, 40, 10, 20);
	const uint8_t home = open_room(0);
	uint32_t count = 0;
	uint8_t shard;
	while (pl_placement_choose_for(&placement, 0, home, members, &shard)) {
		if (members[shard]++ == 0 && shard != home)
			pl_placement_room_comes(&placement, shard);
		pl_placement_participant_comes(&placement, shard);
		count++;
	}
	assert_int_equal(count, 2 * placement.shard_participants_max);
	assert_int_equal(members[0], placement.shard_participants_max);
	assert_int_equal(members[1], placement.shard_participants_max);
}

/* A quarter of a shard's places may wait for their media, 64 in any case.  Where they all do, new rooms go elsewhere,
 * however many are connected there; where it is so everywhere, somebody has to say no, and choose still says where. */
static void test_placement_bounds_who_is_connecting(void **state)
{
	(void)state;
	static const struct {
		uint32_t shards, participants, room_participants, connecting;
	} cases[] = {
		{ 1, 4096, 1024, 1024 },
		{ 1, 256, 0, 64 },
		{ 1, 260, 0, 65 },
		{ 1, 10, 0, 64 },
		{ 8, 4096, 100, 256 },
	};
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		start(cases[i].shards, cases[i].participants, 100, cases[i].room_participants);
		assert_int_equal(placement.shard_connecting_max, cases[i].connecting);
	}
	uint8_t shard;
	start(2, 1000, 100, 1000);
	const uint32_t connecting_max = placement.shard_connecting_max;
	open_room(connecting_max);
	open_room(connecting_max + 100);
	for (uint32_t i = 0; i < connecting_max; i++) {
		assert_true(pl_placement_may_connect(&placement, 0));
		pl_placement_connecting_begins(&placement, 0);
	}
	assert_false(pl_placement_may_connect(&placement, 0));
	assert_true(pl_placement_may_connect(&placement, 1));
	assert_true(pl_placement_choose(&placement, 0, &shard));
	assert_int_equal(shard, 1);
	pl_placement_refused(&placement, 1, 0);
	assert_true(pl_placement_choose(&placement, 0, &shard));
	assert_int_equal(shard, 1); /* better one that rests */
	for (uint32_t i = 0; i < connecting_max; i++)
		pl_placement_connecting_begins(&placement, 1);
	assert_true(pl_placement_choose(&placement, PL_PLACEMENT_REST_MS * INT64_C(1000), &shard));
	assert_int_equal(shard, 0);
	assert_false(pl_placement_may_connect(&placement, shard));
	pl_placement_connecting_ends(&placement, 1);
	assert_true(pl_placement_choose(&placement, PL_PLACEMENT_REST_MS * INT64_C(1000), &shard));
	assert_int_equal(shard, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_placement_spreads_a_large_room),
		cmocka_unit_test(test_placement_goes_around_a_full_shard),
		cmocka_unit_test(test_placement_takes_the_least_loaded),
		cmocka_unit_test(test_placement_lets_a_shard_rest_that_refused),
		cmocka_unit_test(test_placement_refuses_only_when_all_are_full),
		cmocka_unit_test(test_placement_bounds_who_is_connecting),
		cmocka_unit_test(test_placement_shares_the_tables),
		cmocka_unit_test(test_placement_has_a_place_as_long_as_the_process_has),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
