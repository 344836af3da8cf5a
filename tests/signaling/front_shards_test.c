/* Several shards: which one a room goes to, that whoever is in it finds the right port, and that a shard in trouble is
 * nobody else's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/front_harness.h"

/* Every candidate of the answer has the port of the shard. */
static void assert_port(const json_t *frame, unsigned shard)
{
	const char *sdp = json_string_value(json_object_get(frame, "sdp"));
	char port[40];
	snprintf(port, sizeof port, " 127.0.0.1 %u typ host", PL_HARNESS_PORT + shard);
	assert_non_null(sdp);
	const char *candidate = strstr(sdp, "a=candidate:");
	assert_non_null(candidate);
	for (; candidate != NULL; candidate = strstr(candidate + 1, "a=candidate:")) {
		const size_t length = strcspn(candidate, "\r\n");
		const char *found = strstr(candidate, port);
		assert_true(found != NULL && found < candidate + length);
	}
}

/* Joins, and returns the shard that the media plane was told; the answer says the same. */
static struct pl_harness_member join(struct pl_harness *h, const char *room, unsigned shard)
{
	struct pl_harness_member member = { .connection = pl_harness_open(h) };
	pl_harness_say(h, member.connection, "{'t':'join','id':1,'v':1,'room':'%s','name':'x','sdp':'%s'}", room,
		pl_harness_offer("s0 r1 r2", 1));
	assert_port(pl_harness_take_welcome(h, member.connection, &member), shard);
	const struct pl_command *command = pl_harness_take_command(h, PL_COMMAND_JOIN);
	assert_int_equal(command->source, member.source);
	assert_int_equal(command->shard, shard);
	assert_int_equal(command->home, shard);
	return member;
}

static void leave(struct pl_harness *h, const struct pl_harness_member *member)
{
	pl_harness_say(h, member->connection, "{'t':'leave','id':9}");
}

/* New rooms go where the fewest people are; who comes later goes where the room is, however full its shard; and a room
 * that ended may come back elsewhere. */
static void test_shards_a_room_goes_to_the_least_loaded_and_stays(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .shards = 3 });
	const struct pl_harness_member ann = join(&h, "kitchen", 0);
	join(&h, "cellar", 1);
	const struct pl_harness_member bob = join(&h, "kitchen", 0);
	join(&h, "attic", 2);
	join(&h, "kitchen", 0);
	join(&h, "garden", 1);
	join(&h, "garden", 1);
	join(&h, "roof", 2);
	join(&h, "roof", 2);
	join(&h, "roof", 2); /* 3 3 4 */
	leave(&h, &ann);
	leave(&h, &bob);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pl_harness_take_command(&h, PL_COMMAND_LEAVE)->shard, 0);
	join(&h, "roof", 2); /* 1 3 5 */
	join(&h, "street", 0);
	join(&h, "street", 0);
	join(&h, "street", 0); /* 4 3 5 */
	join(&h, "gate", 1);
	pl_harness_stop(&h);
}

/* A page that comes back with a new peer connection, or offers anew, is where its room is, not where it is emptier. */
static void test_shards_resume_finds_the_same_shard(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .shards = 2 });
	join(&h, "kitchen", 0);
	struct pl_harness_member ann = join(&h, "cellar", 1);
	join(&h, "cellar", 1);
	const int64_t heard = h.connection[ann.connection].n;
	pl_harness_lose(&h, ann.connection);
	pl_harness_skip_all(&h);
	ann.connection = pl_harness_resume(&h, &ann, "cellar", ann.ticket, heard, pl_harness_offer("s0 r1 r2", 2));
	assert_port(pl_harness_take_welcome(&h, ann.connection, &ann), 1);
	assert_int_equal(pl_harness_take_command(&h, PL_COMMAND_JOIN)->shard, 1);
	pl_harness_skip_all(&h);

	pl_harness_say(&h, ann.connection, "{'t':'offer','id':3,'sdp':'%s'}", pl_harness_offer("s0 r1 r2 r3", 2));
	assert_port(pl_harness_expect(&h, ann.connection, "{'t':'answer','id':3}"), 1);
	assert_int_equal(pl_harness_take_command(&h, PL_COMMAND_UPDATE)->shard, 1);
	pl_harness_say(&h, ann.connection, "{'t':'mute','id':4,'track':'%s','on':true}", ann.track);
	assert_int_equal(pl_harness_take_command(&h, PL_COMMAND_MUTE)->shard, 1);
	pl_harness_stop(&h);
}

/* A shard that is behind with its commands has its own people wait, and nobody else. */
static void test_shards_a_busy_one_keeps_only_its_own_waiting(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .shards = 2 });
	const struct pl_harness_member ann = join(&h, "kitchen", 0), bob = join(&h, "cellar", 1);
	join(&h, "kitchen", 0);
	join(&h, "cellar", 1);
	pl_harness_skip_all(&h);
	h.is_busy[0] = true;
	pl_harness_say(&h, ann.connection, "{'t':'mute','id':5,'track':'%s','on':true}", ann.track);
	pl_harness_expect(&h, ann.connection, "{'t':'err','id':5,'code':'busy'}");
	const uint64_t late = pl_harness_open(&h);
	pl_harness_say(&h, late, "{'t':'join','id':6,'v':1,'room':'kitchen','sdp':'%s'}", pl_harness_offer("s0", 1));
	pl_harness_expect(&h, late, "{'t':'err','id':6,'code':'busy'}");
	leave(&h, &ann);
	pl_harness_expect_no_command(&h);

	pl_harness_say(&h, bob.connection, "{'t':'mute','id':7,'track':'%s','on':true}", bob.track);
	pl_harness_expect(&h, bob.connection, "{'t':'ok','id':7}");
	assert_int_equal(pl_harness_take_command(&h, PL_COMMAND_MUTE)->shard, 1);
	join(&h, "cellar", 1);
	leave(&h, &bob);
	assert_int_equal(pl_harness_take_command(&h, PL_COMMAND_LEAVE)->source, bob.source);
	pl_harness_expect_no_command(&h);

	h.is_busy[0] = false;
	pl_harness_pass(&h, 50);
	assert_int_equal(pl_harness_take_command(&h, PL_COMMAND_LEAVE)->source, ann.source);
	pl_harness_expect_no_command(&h);
	pl_harness_stop(&h);
}

/* A shard that had no place where there seemed to be one gets no new rooms for a while. */
static void test_shards_one_that_refused_rests(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .shards = 2 });
	join(&h, "kitchen", 0);
	join(&h, "kitchen", 0);
	const struct pl_harness_member ann = join(&h, "cellar", 1);
	const uint32_t room = h.command[h.command_count - 1].room;
	pl_harness_event(&h, &(struct pl_event){ .kind = PL_EVENT_REFUSED, .room = room, .source = ann.source });
	pl_harness_expect(&h, ann.connection, "{'t':'bye','code':'media_lost'}");
	pl_harness_skip_all(&h);
	join(&h, "attic", 0);
	pl_harness_pass(&h, PL_PLACEMENT_REST_MS - 1);
	join(&h, "roof", 0);
	pl_harness_pass(&h, 1);
	join(&h, "garden", 1);
	pl_harness_stop(&h);
}

/* Two rooms that grew on one shard have filled it: one more there is refused with a reason, and elsewhere is place. */
static void test_shards_a_full_one_refuses_for_itself(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .participants = 12, .room_participants = 4, .shards = 4 });
	const char *const rooms[] = { "a", "b", "c", "d" };
	for (unsigned i = 0; i < 4; i++)
		join(&h, rooms[i], i);
	const struct pl_harness_member first = join(&h, "e", 0);
	for (int i = 0; i < 3; i++)
		join(&h, "a", 0);
	join(&h, "e", 0); /* 6 of 6 */
	const uint64_t late = pl_harness_open(&h);
	pl_harness_say(&h, late, "{'t':'join','id':1,'v':1,'room':'e','sdp':'%s'}", pl_harness_offer("s0", 1));
	pl_harness_expect(&h, late, "{'t':'refused','id':1,'code':'server_full','reason':'*','retry_after_ms':'*'}");
	pl_harness_expect_close(&h, late, PL_FRONT_CLOSE_TRY_AGAIN);
	pl_harness_expect_no_command(&h);
	join(&h, "b", 1);
	join(&h, "f", 2);
	leave(&h, &first);
	pl_harness_skip_all(&h);
	join(&h, "e", 0);
	pl_harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shards_a_room_goes_to_the_least_loaded_and_stays),
		cmocka_unit_test(test_shards_resume_finds_the_same_shard),
		cmocka_unit_test(test_shards_a_busy_one_keeps_only_its_own_waiting),
		cmocka_unit_test(test_shards_one_that_refused_rests),
		cmocka_unit_test(test_shards_a_full_one_refuses_for_itself),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
