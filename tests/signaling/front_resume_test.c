/* The WebSocket breaks, the call goes on: what a client finds when it comes back, and who may come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/front_harness.h"

/* Ann and Bob in the kitchen, all said so far read. */
static uint32_t start_two(struct pl_harness *h, struct pl_harness_member *ann, struct pl_harness_member *bob)
{
	pl_harness_start(h, (struct pl_harness_limits){ .rooms = 0 });
	*ann = pl_harness_join(h, "kitchen", "Ann");
	*bob = pl_harness_join(h, "kitchen", "Bob");
	pl_harness_skip_all(h);
	return h->command[0].room;
}

static void send_data(struct pl_harness *h, const struct pl_harness_member *from, unsigned number)
{
	pl_harness_say(h, from->connection, "{'t':'data','topic':'count','body':%u}", number);
	h->now_us += 1000000 / PL_FRONT_DATA_PER_S;
}

/* ---- coming back ---- */

/* A page that walked through a tunnel misses nothing, its peers see no leave and no join, and its sound went on. */
static void test_resume_replays_what_was_missed(void **state)
{
	(void)state;
	struct pl_harness h;
	struct pl_harness_member ann, bob;
	start_two(&h, &ann, &bob);
	const int64_t heard = h.connection[ann.connection].n;
	pl_harness_lose(&h, ann.connection);
	for (unsigned i = 0; i < 3; i++)
		send_data(&h, &bob, i);
	pl_harness_say(&h, bob.connection, "{'t':'mute','track':'%s','on':true}", bob.track);
	pl_harness_skip_all(&h);
	pl_harness_pass(&h, PL_FRONT_RESUME_MS - 1000);

	const uint64_t c = pl_harness_resume(&h, &ann, "kitchen", ann.ticket, heard, NULL);
	struct pl_harness_member again;
	const json_t *welcome = pl_harness_take_welcome(&h, c, &again);
	assert_true(json_is_true(json_object_get(welcome, "resumed")));
	assert_true(json_is_true(json_object_get(welcome, "replayed")));
	assert_null(json_object_get(welcome, "sdp"));
	assert_string_equal(again.peer, ann.peer);
	assert_string_equal(again.session, ann.session);
	assert_string_not_equal(again.ticket, ann.ticket);
	assert_string_equal(again.track, ann.track);
	const json_t *peer = json_array_get(json_object_get(welcome, "peers"), 0);
	const json_t *track = json_array_get(json_object_get(peer, "tracks"), 0);
	assert_true(json_is_true(json_object_get(track, "muted"))); /* the state of now */
	for (int i = 0; i < 3; i++)
		pl_harness_expect(&h, c, "{'t':'data','n':%d,'body':%d}", (int)heard + 1 + i, i);
	pl_harness_expect(&h, c, "{'t':'track','op':'update'}");
	pl_harness_expect_silence(&h, c);

	/* It is heard again, and the time to resume has stopped. */
	pl_harness_pass(&h, PL_FRONT_RESUME_MS);
	pl_harness_say(&h, c, "{'t':'data','id':1,'topic':'x','body':1}");
	pl_harness_expect(&h, c, "{'t':'ok','id':1}");
	pl_harness_expect(&h, bob.connection, "{'t':'data'}");
	pl_harness_expect_silence(&h, bob.connection);
	pl_harness_expect_no_command(&h);
	pl_harness_stop(&h);
}

/* Who talks and who is in which slot changes all the time: only the last of it is told, behind the events that count. */
static void test_resume_tells_the_last_state_only(void **state)
{
	(void)state;
	struct pl_harness h;
	struct pl_harness_member ann, bob;
	const uint32_t room = start_two(&h, &ann, &bob);
	const int64_t heard = h.connection[ann.connection].n;
	struct pl_event speakers = { .kind = PL_EVENT_SPEAKERS, .room = room };
	struct pl_event slots = { .kind = PL_EVENT_SLOTS, .room = room, .source = ann.source, .slots = { .count = 2 } };
	pl_harness_lose(&h, ann.connection);
	for (unsigned i = 0; i < 2 * PL_FRONT_EVENTS_KEPT; i++) {
		speakers.speakers.count = i % 2;
		speakers.speakers.top[0] = bob.source;
		slots.slots.slot[1].source = i % 2 ? bob.source : 0;
		pl_harness_event(&h, &speakers);
		pl_harness_event(&h, &slots);
	}
	const uint64_t c = pl_harness_resume(&h, &ann, "kitchen", ann.ticket, heard, NULL);
	pl_harness_expect(&h, c, "{'t':'welcome','replayed':true,'slots':[{'peer':null},{'peer':'%s'}]}", bob.peer);
	pl_harness_expect(&h, c, "{'t':'slots','slots':[{'peer':null},{'peer':'%s'}]}", bob.peer);
	pl_harness_expect(&h, c, "{'t':'speakers','top':['%s'],'dominant':null}", bob.peer);
	pl_harness_expect_silence(&h, c);
	pl_harness_stop(&h);
}

/* Exactly 256 events are kept.  One more, or 256 KiB of them, and welcome says that it is a snapshot. */
static void test_resume_after_too_much_is_a_snapshot(void **state)
{
	(void)state;
	static char big[15 << 10];
	memset(big, 'x', sizeof big - 1);
	static const struct {
		unsigned small, big;
		bool is_replayed;
	} c[] = {
		{ PL_FRONT_EVENTS_KEPT, 0, true },
		{ PL_FRONT_EVENTS_KEPT + 1, 0, false },
		{ 0, 17, true }, /* 17 of 15 KiB are less than 256 KiB, 18 are more */
		{ 0, 18, false },
	};
	for (size_t i = 0; i < PL_COUNT(c); i++) {
		struct pl_harness h;
		struct pl_harness_member ann, bob;
		start_two(&h, &ann, &bob);
		const int64_t heard = h.connection[ann.connection].n;
		pl_harness_lose(&h, ann.connection);
		for (unsigned k = 0; k < c[i].small; k++)
			send_data(&h, &bob, k);
		for (unsigned k = 0; k < c[i].big; k++)
			pl_harness_say(&h, bob.connection, "{'t':'data','topic':'x','body':'%s'}", big);
		const unsigned sent = c[i].small + c[i].big;
		const uint64_t again = pl_harness_resume(&h, &ann, "kitchen", ann.ticket, heard, NULL);
		pl_harness_expect(&h, again, "{'t':'welcome','resumed':true,'n':%lld,'replayed':%s}",
			(long long)heard + sent, c[i].is_replayed ? "true" : "false");
		assert_int_equal(pl_harness_unread(&h, again), c[i].is_replayed ? sent : 0);
		/* Either way the numbers go on. */
		pl_harness_skip_all(&h);
		send_data(&h, &bob, 0);
		pl_harness_expect(&h, again, "{'t':'data','n':%lld}", (long long)heard + sent + 1);
		pl_harness_stop(&h);
	}
}

/* A client that counts wrongly gets a snapshot, not the events of the future. */
static void test_resume_with_a_wrong_count_is_a_snapshot(void **state)
{
	(void)state;
	static const int64_t n[] = { 2, 1000000, INT64_C(9007199254740991) };
	struct pl_harness h;
	struct pl_harness_member ann, bob;
	start_two(&h, &ann, &bob);
	for (size_t i = 0; i < PL_COUNT(n); i++) {
		const uint64_t c = pl_harness_resume(&h, &ann, "kitchen", ann.ticket, n[i], NULL);
		const json_t *welcome = pl_harness_take_welcome(&h, c, &ann);
		assert_true(json_is_false(json_object_get(welcome, "replayed")));
		assert_int_equal(json_integer_value(json_object_get(welcome, "n")), 1);
		pl_harness_expect_silence(&h, c);
	}
	const uint64_t c = pl_harness_resume(&h, &ann, "kitchen", ann.ticket, -1, NULL);
	pl_harness_expect(&h, c, "{'t':'err','id':2,'code':'bad_field'}");
	pl_harness_stop(&h);
}

/* ---- taking over ---- */

/* The server has not noticed yet that the old connection is dead, or a second tab resumes: the newest one counts. */
static void test_resume_takes_over_an_open_connection(void **state)
{
	(void)state;
	struct pl_harness h;
	struct pl_harness_member ann, bob;
	start_two(&h, &ann, &bob);
	const uint64_t old = ann.connection;
	const uint64_t c = pl_harness_resume(&h, &ann, "kitchen", ann.ticket, 1, NULL);
	pl_harness_expect(&h, c, "{'t':'welcome','resumed':true,'replayed':true}");
	pl_harness_expect(&h, old, "{'t':'bye','n':1,'code':'replaced','resumable':false}");
	pl_harness_expect_close(&h, old, PL_FRONT_CLOSE_NORMAL);
	/* What the old one still says, and that it goes, changes nothing. */
	pl_harness_say(&h, old, "{'t':'leave'}");
	pl_harness_lose(&h, old);
	pl_harness_pass(&h, PL_FRONT_RESUME_MS);
	send_data(&h, &bob, 1);
	pl_harness_expect(&h, c, "{'t':'data'}");
	pl_harness_expect_close(&h, c, 0);
	pl_harness_stop(&h);
}

/* A reload, or another network: the session goes on with a new peer connection, and only the media plane notices. */
static void test_resume_with_a_new_peer_connection(void **state)
{
	(void)state;
	struct pl_harness h;
	struct pl_harness_member ann, bob;
	const uint32_t room = start_two(&h, &ann, &bob);
	pl_harness_say(&h, ann.connection, "{'t':'mute','track':'%s','on':true}", ann.track);
	pl_harness_event(&h, &(struct pl_event){ .kind = PL_EVENT_SLOTS,
				     .room = room,
				     .source = ann.source,
				     .slots = { .count = 2, .slot[0].source = bob.source, .slot[0].track = 1 } });
	pl_harness_lose(&h, ann.connection);
	pl_harness_skip_all(&h);

	const uint64_t c = pl_harness_resume(&h, &ann, "kitchen", ann.ticket, 3, pl_harness_offer("s0 r1 r2 s3", 9));
	const json_t *welcome = pl_harness_expect(&h, c,
		"{'t':'welcome','resumed':true,'sdp':'*','you':{'tracks':[{'track':'%s','muted':true},{'mid':'3'}]},"
		"'slots':[{'peer':null},{'peer':null}]}",
		ann.track);
	const struct pl_command *command = pl_harness_take_command(&h, PL_COMMAND_JOIN);
	const struct pl_description *now = command->description, *before = h.command[0].description;
	assert_int_equal(command->source, ann.source);
	assert_int_equal(command->room, room);
	assert_true(now->track[0].is_muted);
	assert_string_equal(now->cname, before->cname);
	assert_string_not_equal(now->local.ufrag, before->local.ufrag);
	assert_non_null(strstr(json_string_value(json_object_get(welcome, "sdp")), now->local.ufrag));
	pl_harness_expect(&h, bob.connection, "{'t':'track','op':'add','peer':'%s'}", ann.peer);
	pl_harness_expect_silence(&h, bob.connection);
	pl_harness_stop(&h);
}

/* An offer that cannot be taken, or a full ring, leaves the session where it was: with its old connection, its old
 * ticket and its time to come back. */
static void test_resume_that_fails_changes_nothing(void **state)
{
	(void)state;
	struct pl_harness h;
	struct pl_harness_member ann, bob;
	start_two(&h, &ann, &bob);
	uint64_t c = pl_harness_resume(&h, &ann, "kitchen", ann.ticket, 1, "v=0\\r\\n");
	pl_harness_expect(&h, c, "{'t':'err','id':2,'code':'bad_sdp'}");
	h.commands_free = 0;
	c = pl_harness_resume(&h, &ann, "kitchen", ann.ticket, 1, pl_harness_offer("s0", 2));
	pl_harness_expect(&h, c, "{'t':'err','id':2,'code':'busy'}");
	/* Without an offer nothing is needed from the media plane. */
	pl_harness_expect_close(&h, ann.connection, 0);
	c = pl_harness_resume(&h, &ann, "kitchen", ann.ticket, 1, NULL);
	pl_harness_expect(&h, c, "{'t':'welcome','resumed':true}");
	pl_harness_expect_no_command(&h);
	pl_harness_stop(&h);
}

/* ---- who may not ---- */

/* The secrets open one session, whole and right; guessing is told apart from being late by nothing. */
static void test_resume_needs_the_secrets(void **state)
{
	(void)state;
	struct pl_harness h;
	struct pl_harness_member ann, bob;
	start_two(&h, &ann, &bob);
	char first[64], last[64], shorter[64];
	memcpy(first, ann.ticket, sizeof first);
	first[0] ^= 1;
	memcpy(last, ann.ticket, sizeof last);
	last[strlen(last) - 1] ^= 1;
	memcpy(shorter, ann.ticket, sizeof shorter);
	shorter[strlen(shorter) - 1] = '\0';
	const char *const wrong[] = { first, last, shorter, bob.ticket, ann.session, "x" };
	for (size_t i = 0; i < PL_COUNT(wrong); i++) {
		const uint64_t c = pl_harness_resume(&h, &ann, "kitchen", wrong[i], 0, NULL);
		pl_harness_expect(&h, c, "{'t':'err','id':2,'code':'no_session'}");
	}
	struct pl_harness_member other = ann;
	memcpy(other.session, bob.session, sizeof other.session);
	uint64_t c = pl_harness_resume(&h, &other, "kitchen", ann.ticket, 0, NULL);
	pl_harness_expect(&h, c, "{'t':'err','code':'no_session'}");
	c = pl_harness_resume(&h, &ann, "cellar", ann.ticket, 0, NULL);
	pl_harness_expect(&h, c, "{'t':'err','code':'bad_field'}");
	pl_harness_expect_close(&h, ann.connection, 0);

	/* Who was told so may join anew on the same connection. */
	pl_harness_say(&h, c, "{'t':'join','id':3,'v':1,'room':'cellar','sdp':'%s'}", pl_harness_offer("s0", 1));
	pl_harness_expect(&h, c, "{'t':'welcome','id':3,'resumed':false}");
	pl_harness_stop(&h);
}

/* A ticket is good once.  The welcome with the next one can get lost, so the one before is good until the client shows
 * by any request that it has its welcome. */
static void test_resume_ticket_is_good_once(void **state)
{
	(void)state;
	struct pl_harness h;
	struct pl_harness_member ann, bob, again;
	start_two(&h, &ann, &bob);
	uint64_t c = 0;
	for (int i = 0; i < 3; i++) { /* the welcome gets lost twice */
		c = pl_harness_resume(&h, &ann, "kitchen", ann.ticket, 1, NULL);
		pl_harness_take_welcome(&h, c, &again);
		assert_string_not_equal(again.ticket, ann.ticket);
	}
	pl_harness_say(&h, c, "{'t':'ping','id':1}");
	c = pl_harness_resume(&h, &ann, "kitchen", ann.ticket, 1, NULL);
	pl_harness_expect(&h, c, "{'t':'err','code':'no_session'}");
	c = pl_harness_resume(&h, &ann, "kitchen", again.ticket, 1, NULL);
	pl_harness_expect(&h, c, "{'t':'welcome','resumed':true}");
	pl_harness_stop(&h);
}

/* After a minute the tile goes, at the others and in the media plane; who comes back then has to join anew. */
static void test_resume_too_late(void **state)
{
	(void)state;
	struct pl_harness h;
	struct pl_harness_member ann, bob;
	start_two(&h, &ann, &bob);
	pl_harness_lose(&h, ann.connection);
	pl_harness_pass(&h, 5000);
	pl_harness_lose(&h, bob.connection);
	pl_harness_pass(&h, PL_FRONT_RESUME_MS - 5001);
	assert_int_equal(pl_front_counters(h.front)->sessions, 2);
	pl_harness_pass(&h, 1);
	assert_int_equal(pl_harness_take_command(&h, PL_COMMAND_LEAVE)->source, ann.source);

	uint64_t c = pl_harness_resume(&h, &ann, "kitchen", ann.ticket, 1, NULL);
	pl_harness_expect(&h, c, "{'t':'err','id':2,'code':'no_session'}");
	c = pl_harness_resume(&h, &bob, "kitchen", bob.ticket, 0, NULL);
	pl_harness_expect(&h, c, "{'t':'welcome','peers':[],'replayed':true}");
	pl_harness_expect(&h, c, "{'t':'peer','n':1,'op':'leave','peer':{'peer':'%s'},'reason':'lost'}", ann.peer);
	pl_harness_stop(&h);
}

/* Who is away is still in the room: newcomers see it, and its place counts. */
static void test_resume_away_is_still_there(void **state)
{
	(void)state;
	struct pl_harness h;
	struct pl_harness_member ann, bob;
	start_two(&h, &ann, &bob);
	pl_harness_lose(&h, ann.connection);
	pl_harness_lose(&h, bob.connection);
	assert_int_equal(pl_front_counters(h.front)->rooms, 1);
	const uint64_t c = pl_harness_open(&h);
	pl_harness_say(&h, c, "{'t':'join','id':1,'v':1,'room':'kitchen','sdp':'%s'}", pl_harness_offer("s0", 1));
	pl_harness_expect(&h, c, "{'t':'welcome','peers':[{'name':'Ann'},{'name':'Bob'}]}");
	pl_harness_pass(&h, PL_FRONT_RESUME_MS);
	pl_harness_expect(&h, c, "{'t':'peer','op':'leave','peer':{'peer':'%s'}}", ann.peer);
	pl_harness_expect(&h, c, "{'t':'peer','op':'leave','peer':{'peer':'%s'}}", bob.peer);
	pl_harness_expect_silence(&h, c);
	pl_harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_resume_replays_what_was_missed),
		cmocka_unit_test(test_resume_tells_the_last_state_only),
		cmocka_unit_test(test_resume_after_too_much_is_a_snapshot),
		cmocka_unit_test(test_resume_with_a_wrong_count_is_a_snapshot),
		cmocka_unit_test(test_resume_takes_over_an_open_connection),
		cmocka_unit_test(test_resume_with_a_new_peer_connection),
		cmocka_unit_test(test_resume_that_fails_changes_nothing),
		cmocka_unit_test(test_resume_needs_the_secrets),
		cmocka_unit_test(test_resume_ticket_is_good_once),
		cmocka_unit_test(test_resume_too_late),
		cmocka_unit_test(test_resume_away_is_still_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
