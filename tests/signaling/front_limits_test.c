/* Bounds, overload and the end: each has its answer, and nothing stays behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/front_harness.h"

static uint64_t try_join(struct pl_harness *h, const char *room)
{
	const uint64_t c = pl_harness_open(h);
	assert_true(c != 0);
	pl_harness_say(h, c, "{'t':'join','id':9,'v':1,'room':'%s','sdp':'%s'}", room, pl_harness_offer("s0 r1 r2", 1));
	return c;
}

static void leave(struct pl_harness *h, const struct pl_harness_member *who)
{
	pl_harness_say(h, who->connection, "{'t':'leave'}");
}

/* ---- full ---- */

/* Whoever does not fit is told what is full and when to ask again, and the place that somebody leaves is free again. */
static void test_limits_refuse_with_a_reason(void **state)
{
	(void)state;
	static const struct {
		struct pl_harness_limits limits;
		const char *room, *code;
	} c[] = {
		{ { .participants = 2 }, "kitchen", "server_full" },
		{ { .participants = 2 }, "attic", "server_full" },
		{ { .rooms = 2 }, "attic", "rooms_full" },
		{ { .room_participants = 1 }, "kitchen", "room_full" },
	};
	for (size_t i = 0; i < PL_COUNT(c); i++) {
		struct pl_harness h;
		pl_harness_start(&h, c[i].limits);
		const struct pl_harness_member ann = pl_harness_join(&h, "kitchen", "Ann");
		const struct pl_harness_member bob = pl_harness_join(&h, "cellar", "Bob");
		const uint64_t refused = try_join(&h, c[i].room);
		const json_t *frame = pl_harness_expect(
			&h, refused, "{'t':'refused','id':9,'code':'%s','reason':'*','retry_after_ms':'*'}", c[i].code);
		assert_in_range(json_integer_value(json_object_get(frame, "retry_after_ms")), PL_FRONT_RETRY_MS_MIN,
			PL_FRONT_RETRY_MS_MAX);
		pl_harness_expect_close(&h, refused, PL_FRONT_CLOSE_TRY_AGAIN);
		pl_harness_expect_no_command(&h);
		assert_int_equal(pl_front_counters(h.front)->refusals, 1);
		assert_int_equal(pl_front_counters(h.front)->sessions, 2);
		assert_int_equal(pl_front_counters(h.front)->rooms, 2);

		/* Who is in comes back all the same. */
		const uint64_t again = pl_harness_resume(&h, &bob, "cellar", bob.ticket, 0, pl_harness_offer("s0", 2));
		pl_harness_expect(&h, again, "{'t':'welcome','resumed':true}");
		leave(&h, &ann);
		pl_harness_expect(&h, try_join(&h, c[i].room), "{'t':'welcome'}");
		pl_harness_stop(&h);
	}
}

static void expect_joins_full(struct pl_harness *h, const char *room)
{
	const uint64_t refused = try_join(h, room);
	pl_harness_expect(h, refused, "{'t':'refused','id':9,'code':'joins_full','reason':'*','retry_after_ms':'*'}");
	pl_harness_expect_close(h, refused, PL_FRONT_CLOSE_TRY_AGAIN);
	pl_harness_expect_no_command(h);
}

static void tell(struct pl_harness *h, enum pl_event_kind kind, uint32_t room, uint32_t source)
{
	pl_harness_event(h, &(struct pl_event){ .kind = kind, .room = room, .source = source });
}

/* Joining costs an attacker a WebSocket, a participant who never connects costs the server a place for half a minute: so
 * they get a quarter of the places, and whoever has connected is not touched by it, not even when resuming. */
static void test_limits_who_never_connects_fills_a_part(void **state)
{
	(void)state;
	enum { PLACES = 300, PART = 75 };
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .participants = PLACES });
	const struct pl_front_counters *counters = pl_front_counters(h.front);
	struct pl_harness_member member[PART];
	for (size_t i = 0; i < PART; i++)
		member[i] = pl_harness_join(&h, "kitchen", "X");
	const uint32_t room = h.command[h.command_count - 1].room;
	assert_int_equal(counters->connecting, PART);
	expect_joins_full(&h, "kitchen");
	expect_joins_full(&h, "attic");
	assert_int_equal(counters->refused[PL_REFUSAL_JOINS_FULL], 2);
	assert_int_equal(counters->refusals, 2);

	/* One connects (and is told once more), one leaves, one is given up: each makes one place. */
	tell(&h, PL_EVENT_CONNECTED, room, member[0].source);
	tell(&h, PL_EVENT_CONNECTED, room, member[0].source);
	assert_int_equal(counters->connecting, PART - 1);
	pl_harness_join(&h, "attic", "X");
	expect_joins_full(&h, "kitchen");
	leave(&h, &member[1]);
	pl_harness_skip_all(&h);
	pl_harness_join(&h, "kitchen", "X");
	expect_joins_full(&h, "kitchen");
	tell(&h, PL_EVENT_GONE, room, member[2].source);
	pl_harness_skip_all(&h);
	pl_harness_join(&h, "kitchen", "X");
	expect_joins_full(&h, "kitchen");

	/* With a new peer connection a member connects again, over the bound; and one more has to wait for it. */
	const uint64_t again =
		pl_harness_resume(&h, &member[0], "kitchen", member[0].ticket, 0, pl_harness_offer("s0", 2));
	pl_harness_expect(&h, again, "{'t':'welcome','resumed':true}");
	pl_harness_skip_all(&h);
	assert_int_equal(counters->connecting, PART + 1);
	tell(&h, PL_EVENT_CONNECTED, room, member[3].source);
	expect_joins_full(&h, "kitchen");
	tell(&h, PL_EVENT_CONNECTED, room, member[0].source);
	pl_harness_join(&h, "kitchen", "X");
	/* Without one, nothing has to connect: the media goes on. */
	pl_harness_resume(&h, &member[3], "kitchen", member[3].ticket, 0, NULL);
	assert_int_equal(counters->connecting, PART);
	pl_harness_stop(&h);
}

/* A flood of joins that never connect shall not keep the others out for the half minute that it is waited for: who has not sent a
 * single check within two seconds goes for the next who comes, the oldest first. */
static void test_limits_the_longest_unheard_makes_room(void **state)
{
	(void)state;
	enum { PLACES = 300, PART = 75 };
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .participants = PLACES });
	const struct pl_front_counters *counters = pl_front_counters(h.front);
	struct pl_harness_member member[PART];
	for (size_t i = 0; i < PART; i++) {
		char room[16];
		snprintf(room, sizeof room, "room%zu", i / 2);
		member[i] = pl_harness_join(&h, room, "X");
		if (i == 1) /* the first two are in one room */
			tell(&h, PL_EVENT_HEARD, h.command[h.command_count - 1].room, member[0].source);
	}
	pl_harness_skip_all(&h);
	h.now_us += PL_FRONT_UNHEARD_MS * INT64_C(1000) - 1;
	expect_joins_full(&h, "kitchen");
	assert_int_equal(counters->joins_displaced, 0);

	/* Not the first, which was heard; the second, whose room mate is told. */
	h.now_us++;
	const uint64_t next = try_join(&h, "kitchen");
	pl_harness_expect(&h, member[1].connection, "{'t':'bye','code':'media_lost','msg':'*','resumable':false}");
	pl_harness_expect_close(&h, member[1].connection, PL_FRONT_CLOSE_NORMAL);
	const struct pl_command *command = &h.command[h.command_count - 2];
	assert_int_equal(command->kind, PL_COMMAND_LEAVE);
	assert_int_equal(command->source, member[1].source);
	pl_harness_expect(&h, member[0].connection, "{'t':'peer','op':'leave','peer':{'peer':'%s'},'reason':'lost'}",
		member[1].peer);
	pl_harness_expect(&h, next, "{'t':'welcome'}");
	assert_int_equal(counters->joins_displaced, 1);
	assert_int_equal(counters->connecting, PART);
	assert_int_equal(counters->sessions, PART);

	/* The last is alone in its room: who takes its place enters one that has just ended. */
	pl_harness_expect(&h, try_join(&h, "room1"), "{'t':'welcome'}");
	pl_harness_skip_all(&h);
	const uint32_t rooms = counters->rooms;
	for (size_t i = 3; i < PART; i++) {
		char room[16];
		snprintf(room, sizeof room, "room%zu", i / 2);
		pl_harness_expect(&h, try_join(&h, room), "{'t':'welcome'}");
		pl_harness_skip_all(&h);
	}
	assert_int_equal(counters->joins_displaced, PART - 1);
	assert_int_equal(counters->rooms, rooms);

	/* All of them are new: nobody goes for the next, and the one who was heard never does. */
	expect_joins_full(&h, "kitchen");
	h.now_us += PL_FRONT_UNHEARD_MS * INT64_C(1000);
	pl_harness_expect(&h, try_join(&h, "kitchen"), "{'t':'welcome'}");
	pl_harness_resume(&h, &member[0], "room0", member[0].ticket, 0, NULL);
	pl_harness_stop(&h);
}

/* A room full of those who were refused does not come back as one. */
static void test_limits_retries_are_spread(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .participants = 1 });
	pl_harness_join(&h, "kitchen", "Ann");
	bool is_used[8] = { false };
	for (unsigned i = 0; i < 100; i++) {
		const json_t *frame = pl_harness_expect(&h, try_join(&h, "kitchen"), "{'t':'refused'}");
		const json_int_t ms = json_integer_value(json_object_get(frame, "retry_after_ms"));
		is_used[(ms - PL_FRONT_RETRY_MS_MIN) * 8 / (PL_FRONT_RETRY_MS_MAX - PL_FRONT_RETRY_MS_MIN + 1)] = true;
	}
	for (size_t i = 0; i < PL_COUNT(is_used); i++)
		assert_true(is_used[i]);
	pl_harness_stop(&h);
}

/* A connection that was closed counts until the server says that it is gone: its socket is still there. */
static void test_limits_connections(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .connections = 2 });
	const struct pl_harness_member ann = pl_harness_join(&h, "kitchen", "Ann");
	const uint64_t second = pl_harness_open(&h);
	assert_int_equal(pl_harness_open(&h), 0);
	leave(&h, &ann);
	assert_int_equal(pl_harness_open(&h), 0);
	pl_harness_lose(&h, ann.connection);
	assert_int_equal(pl_front_counters(h.front)->connections, 1);
	assert_true(pl_harness_open(&h) > second);
	/* The server tells nothing of those that were refused; should it, nothing happens. */
	pl_front_lost(h.front, h.now_us, 99);
	pl_front_message(h.front, h.now_us, 99, (struct pl_bytes){ (const uint8_t *)"x", 1 });
	assert_int_equal(pl_front_counters(h.front)->connections, 2);
	pl_harness_stop(&h);
}

/* ---- talking too much ---- */

/* A hundred messages a second may go on for ever, two hundred may come at once; more is an error each, and it is over
 * as soon as the client slows down. */
static void test_limits_message_rate(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	const struct pl_harness_member ann = pl_harness_join(&h, "kitchen", "Ann");
	h.now_us += 1000000;
	for (unsigned i = 0; i < PL_FRONT_MESSAGES_BURST; i++) {
		pl_harness_say(&h, ann.connection, "{'t':'ping','id':1}");
		pl_harness_expect(&h, ann.connection, "{'t':'pong','id':1}");
	}
	pl_harness_say(&h, ann.connection, "{'t':'leave','id':2}");
	pl_harness_expect(&h, ann.connection, "{'t':'err','id':2,'code':'rate'}");
	pl_harness_say(&h, ann.connection, "nonsense");
	pl_harness_expect(&h, ann.connection, "{'t':'err','id':null,'code':'rate'}");
	for (unsigned i = 0; i < 10 * PL_FRONT_MESSAGES_PER_S; i++) {
		h.now_us += 1000000 / PL_FRONT_MESSAGES_PER_S;
		pl_harness_say(&h, ann.connection, "{'t':'ping','id':3}");
		pl_harness_expect(&h, ann.connection, "{'t':'pong','id':3}");
	}
	pl_harness_expect_close(&h, ann.connection, 0);
	pl_harness_stop(&h);
}

/* Who never stops is shown out, and the others see it go; so is who has not even joined. */
static void test_limits_flood_is_shown_out(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	const struct pl_harness_member ann = pl_harness_join(&h, "kitchen", "Ann");
	const struct pl_harness_member bob = pl_harness_join(&h, "kitchen", "Bob");
	const uint64_t stranger = pl_harness_open(&h);
	pl_harness_skip_all(&h);
	const uint64_t flooding[] = { ann.connection, stranger };
	for (size_t k = 0; k < PL_COUNT(flooding); k++) {
		unsigned count = 0;
		while (h.connection[flooding[k]].close_code == 0) {
			assert_true(count <= PL_FRONT_MESSAGES_BURST + PL_FRONT_RATE_ERRORS_BURST);
			pl_harness_say(&h, flooding[k], "{'t':'ping','id':1}");
			count++;
		}
		const size_t said = pl_harness_unread(&h, flooding[k]);
		for (size_t i = 1; i < said; i++)
			pl_harness_expect(&h, flooding[k], "{'t':'*','id':1}");
		pl_harness_expect(&h, flooding[k], "{'t':'bye','code':'rate','resumable':false}");
		pl_harness_expect_close(&h, flooding[k], PL_FRONT_CLOSE_POLICY);
	}
	assert_int_equal(pl_harness_take_command(&h, PL_COMMAND_LEAVE)->source, ann.source);
	pl_harness_expect(
		&h, bob.connection, "{'t':'peer','op':'leave','peer':{'peer':'%s'},'reason':'kicked'}", ann.peer);
	pl_harness_expect_silence(&h, bob.connection);
	const uint64_t c = pl_harness_resume(&h, &ann, "kitchen", ann.ticket, 0, NULL);
	pl_harness_expect(&h, c, "{'t':'err','code':'no_session'}");
	pl_harness_stop(&h);
}

/* Each data message goes to a whole room, so it has a lower rate; everything else is not held up by it.  A new
 * connection does not reset it. */
static void test_limits_data_rate(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	struct pl_harness_member ann = pl_harness_join(&h, "kitchen", "Ann");
	const struct pl_harness_member bob = pl_harness_join(&h, "kitchen", "Bob");
	pl_harness_skip_all(&h);
	for (unsigned i = 0; i < PL_FRONT_DATA_BURST; i++) {
		pl_harness_say(&h, ann.connection, "{'t':'data','id':1,'topic':'x','body':1}");
		pl_harness_expect(&h, ann.connection, "{'t':'ok','id':1}");
	}
	ann.connection = pl_harness_resume(&h, &ann, "kitchen", ann.ticket, 1, NULL);
	pl_harness_expect(&h, ann.connection, "{'t':'welcome'}");
	pl_harness_say(&h, ann.connection, "{'t':'data','id':2,'topic':'x','body':2}");
	pl_harness_expect(&h, ann.connection, "{'t':'err','id':2,'code':'rate'}");
	pl_harness_say(&h, ann.connection, "{'t':'ping','id':3}");
	pl_harness_expect(&h, ann.connection, "{'t':'pong','id':3}");
	assert_int_equal(pl_harness_unread(&h, bob.connection), PL_FRONT_DATA_BURST);
	h.now_us += 1000000 / PL_FRONT_DATA_PER_S;
	pl_harness_say(&h, ann.connection, "{'t':'data','id':4,'topic':'x','body':3}");
	pl_harness_expect(&h, ann.connection, "{'t':'ok','id':4}");
	pl_harness_stop(&h);
}

/* ---- frames that are no messages ---- */

/* 65,536 bytes are a message, one more is none; a library that sends binary frames is told.  The call goes on, and the
 * client may come back to it. */
static void test_limits_bad_frames_close_but_do_not_end(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	struct pl_harness_member ann = pl_harness_join(&h, "kitchen", "Ann");
	char *text = malloc(PL_MESSAGE_SIZE_MAX + 1);
	assert_non_null(text);
	memset(text, ' ', PL_MESSAGE_SIZE_MAX + 1);
	static const char ping[] = "{\"t\":\"ping\",\"id\":1}";
	memcpy(text, ping, sizeof ping - 1);
	pl_harness_say_bytes(&h, ann.connection, text, PL_MESSAGE_SIZE_MAX);
	pl_harness_expect(&h, ann.connection, "{'t':'pong','id':1}");
	pl_harness_say_bytes(&h, ann.connection, text, PL_MESSAGE_SIZE_MAX + 1);
	free(text);
	pl_harness_expect(&h, ann.connection,
		"{'t':'err','id':null,'code':'too_large','msg':'a message has at most 65536 bytes'}");
	pl_harness_expect_close(&h, ann.connection, PL_FRONT_CLOSE_TOO_LARGE);

	const uint64_t c = pl_harness_resume(&h, &ann, "kitchen", ann.ticket, 0, NULL);
	pl_harness_take_welcome(&h, c, &ann);
	pl_harness_bad_frame(&h, c, PL_FAULT_UNSUPPORTED);
	pl_harness_expect(&h, c, "{'t':'err','id':null,'code':'unsupported'}");
	pl_harness_expect_close(&h, c, PL_FRONT_CLOSE_NOT_TEXT);
	assert_int_equal(pl_front_counters(h.front)->faults[PL_FAULT_UNSUPPORTED], 1);
	assert_int_equal(pl_front_counters(h.front)->sessions, 1);
	pl_harness_stop(&h);
}

/* ---- a slow reader ---- */

/* Who does not read costs memory up to a bound; then it is let go of, and may come back for what it missed. */
static void test_limits_slow_reader_may_resume(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	const struct pl_harness_member ann = pl_harness_join(&h, "kitchen", "Ann");
	const struct pl_harness_member bob = pl_harness_join(&h, "kitchen", "Bob");
	const uint64_t stranger = pl_harness_open(&h);
	pl_harness_skip_all(&h);
	pl_harness_backlog(&h, ann.connection, PL_FRONT_CONNECTION_BYTES_MAX);
	pl_harness_expect_close(&h, ann.connection, 0);
	const uint64_t slow[] = { ann.connection, stranger };
	for (size_t i = 0; i < PL_COUNT(slow); i++) {
		pl_harness_backlog(&h, slow[i], PL_FRONT_CONNECTION_BYTES_MAX + 1);
		pl_harness_expect(&h, slow[i], "{'t':'bye','code':'slow','msg':'*','resumable':true}");
		pl_harness_expect_close(&h, slow[i], PL_FRONT_CLOSE_POLICY);
	}
	pl_harness_expect_silence(&h, bob.connection);
	pl_harness_say(&h, bob.connection, "{'t':'data','topic':'x','body':1}");
	const uint64_t c = pl_harness_resume(&h, &ann, "kitchen", ann.ticket, 1, NULL);
	pl_harness_expect(&h, c, "{'t':'welcome','replayed':true}");
	pl_harness_expect(&h, c, "{'t':'data','n':2}");
	pl_harness_stop(&h);
}

/* ---- a full ring ---- */

/* The ring to the media plane is full while a room empties: the departures wait, go out by themselves as there is room,
 * in order, and before anything new. */
static void test_limits_leaves_wait_for_the_media_plane(void **state)
{
	(void)state;
	enum { COUNT = 40 };
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	struct pl_harness_member who[COUNT];
	for (size_t i = 0; i < COUNT; i++)
		who[i] = pl_harness_join(&h, "kitchen", "x");
	const struct pl_harness_member stays = pl_harness_join(&h, "cellar", "Stays");
	pl_harness_skip_all(&h);
	h.commands_free = 0;
	for (size_t i = 0; i < COUNT; i++) {
		leave(&h, &who[i]);
		pl_harness_lose(&h, who[i].connection);
	}
	pl_harness_expect_no_command(&h);
	assert_int_equal(pl_front_counters(h.front)->sessions, 1);

	/* The media plane has taken three: only so many go, and a request does not overtake the rest. */
	h.commands_free = 3;
	pl_harness_say(&h, stays.connection, "{'t':'mute','id':1,'track':'%s','on':true}", stays.track);
	pl_harness_expect(&h, stays.connection, "{'t':'err','id':1,'code':'busy'}");
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(pl_harness_take_command(&h, PL_COMMAND_LEAVE)->source, who[i].source);
	pl_harness_expect_no_command(&h);

	/* Nobody says anything more: time alone must do. */
	h.commands_free = COUNT;
	pl_harness_pass(&h, 100);
	for (size_t i = 3; i < COUNT; i++)
		assert_int_equal(pl_harness_take_command(&h, PL_COMMAND_LEAVE)->source, who[i].source);
	pl_harness_expect_no_command(&h);
	assert_true(pl_front_deadline(h.front) == INT64_MAX);
	pl_harness_say(&h, stays.connection, "{'t':'mute','id':2,'track':'%s','on':true}", stays.track);
	pl_harness_expect(&h, stays.connection, "{'t':'ok','id':2}");
	pl_harness_stop(&h);
}

/* While the ring stays full, waiting costs a look now and then, no more. */
static void test_limits_waiting_leaves_do_not_spin(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	const struct pl_harness_member ann = pl_harness_join(&h, "kitchen", "Ann");
	h.commands_free = 0;
	leave(&h, &ann);
	unsigned ticks = 0;
	for (const int64_t until_us = h.now_us + 1000000; h.now_us < until_us; ticks++) {
		h.now_us = pl_front_deadline(h.front);
		pl_harness_pass(&h, 0);
	}
	assert_in_range(ticks, 10, 1000);
	pl_harness_stop(&h);
}

/* The server may tell of the ring while outputs wait to be taken: what is among them has its places already. */
static void test_limits_commands_on_their_way_are_counted(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	const struct pl_harness_member ann = pl_harness_join(&h, "kitchen", "Ann");
	const struct pl_harness_member bob = pl_harness_join(&h, "kitchen", "Bob");
	pl_harness_skip_all(&h);
	h.commands_free = 0;
	leave(&h, &bob); /* waits */
	char mute[128], unmute[128];
	static const char format[] = "{\"t\":\"mute\",\"track\":\"%s\",\"on\":%s}";
	snprintf(mute, sizeof mute, format, ann.track, "true");
	snprintf(unmute, sizeof unmute, format, ann.track, "false");
	pl_front_set_commands_free(h.front, 0, 2);
	pl_front_message(h.front, h.now_us, ann.connection, (struct pl_bytes){ (const uint8_t *)mute, strlen(mute) });
	pl_front_set_commands_free(h.front, 0, 2); /* the LEAVE and the MUTE are not in the ring yet */
	struct pl_front_output output;
	unsigned commands = 0;
	while (pl_front_next(h.front, &output))
		commands += output.kind == PL_FRONT_COMMAND;
	assert_int_equal(commands, 2);
	pl_front_message(
		h.front, h.now_us, ann.connection, (struct pl_bytes){ (const uint8_t *)unmute, strlen(unmute) });
	while (pl_front_next(h.front, &output))
		assert_int_equal(output.kind, PL_FRONT_SEND);
	assert_int_equal(pl_front_counters(h.front)->faults[PL_FAULT_BUSY], 1);
	pl_harness_abandon(&h);
}

/* ---- the end ---- */

/* The operator restarts the server: every page is told, whatever state it is in, and nobody new comes in. */
static void test_limits_shutdown_tells_everyone(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	const struct pl_harness_member ann = pl_harness_join(&h, "kitchen", "Ann");
	const struct pl_harness_member bob = pl_harness_join(&h, "kitchen", "Bob");
	const struct pl_harness_member away = pl_harness_join(&h, "kitchen", "Away");
	const struct pl_harness_member gone = pl_harness_join(&h, "kitchen", "Gone");
	const uint64_t stranger = pl_harness_open(&h);
	pl_harness_lose(&h, away.connection);
	leave(&h, &gone); /* closed, but not lost yet */
	pl_harness_skip_all(&h);
	pl_harness_shutdown(&h);
	const uint64_t told[] = { ann.connection, bob.connection, stranger };
	for (size_t i = 0; i < PL_COUNT(told); i++) {
		pl_harness_expect(
			&h, told[i], "{'t':'bye','code':'shutdown','msg':'The server ends.','resumable':false}");
		pl_harness_expect_close(&h, told[i], PL_FRONT_CLOSE_GOING_AWAY);
	}
	pl_harness_expect_silence(&h, gone.connection);
	assert_int_equal(pl_front_counters(h.front)->sessions, 0);
	assert_int_equal(pl_front_counters(h.front)->rooms, 0);
	assert_true(pl_front_deadline(h.front) == INT64_MAX);
	pl_harness_say(&h, ann.connection, "{'t':'ping','id':1}");
	pl_harness_event(&h, &(struct pl_event){ .kind = PL_EVENT_GONE, .room = 1, .source = ann.source });
	assert_int_equal(pl_harness_open(&h), 0);
	pl_harness_expect_no_command(&h);
	pl_harness_stop(&h);
}

/* A server that is torn down in the middle of everything gives back all its memory (the sanitizer counts). */
static void test_limits_destroy_in_the_middle(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	const struct pl_harness_member ann = pl_harness_join(&h, "kitchen", "Ann");
	const struct pl_harness_member bob = pl_harness_join(&h, "kitchen", "Bob");
	const struct pl_harness_member away = pl_harness_join(&h, "cellar", "Away");
	pl_harness_open(&h);
	pl_harness_say(&h, bob.connection, "{'t':'data','topic':'x','body':1}");
	pl_harness_lose(&h, away.connection);
	h.commands_free = 0;
	leave(&h, &ann); /* its LEAVE waits */
	pl_front_set_commands_free(h.front, 0, 100);
	static const char offer[] = "{\"t\":\"offer\",\"sdp\":\"%s\"}";
	char text[8192];
	const int size = snprintf(text, sizeof text, offer, pl_harness_offer("s0", 1));
	pl_front_message(h.front, h.now_us, bob.connection, (struct pl_bytes){ (uint8_t *)text, (size_t)size });
	struct pl_front_output output;
	assert_true(pl_front_next(h.front, &output)); /* the rest is not taken, a description among it */
	assert_int_equal(output.command.kind, PL_COMMAND_LEAVE);
	pl_harness_abandon(&h);
	assert_null(h.front);
	pl_front_destroy(&h.front);
}

/* Everything at its largest at once is served: the bounds that are told in welcome are the ones that hold. */
static void test_limits_at_the_bound_all_is_taken(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	char room[PL_ROOM_NAME_MAX + 1], name[PL_NAME_MAX + 1], attrs[PL_ATTRS_SIZE_MAX + 1];
	char topic[PL_TOPIC_MAX + 1], body[PL_DATA_SIZE_MAX + 1], to[PL_DATA_TO_MAX * 12 + 1] = "";
	memset(room, 'r', sizeof room);
	memset(name, 'n', sizeof name);
	memset(attrs, 'a', sizeof attrs);
	memset(topic, 't', sizeof topic);
	memset(body, 'b', sizeof body);
	room[PL_ROOM_NAME_MAX] = name[PL_NAME_MAX] = topic[PL_TOPIC_MAX] = '\0';
	attrs[PL_ATTRS_SIZE_MAX - 8] = body[PL_DATA_SIZE_MAX - 2] = '\0'; /* {"a":""} and "" around them */
	struct pl_harness_member who[PL_DATA_TO_MAX + 1];
	for (size_t i = 0; i < PL_COUNT(who); i++)
		who[i] = pl_harness_join(&h, room, name);
	for (size_t i = 0; i < PL_DATA_TO_MAX; i++)
		snprintf(to + strlen(to), sizeof to - strlen(to), "%s'%s'", i > 0 ? "," : "", who[i + 1].peer);
	pl_harness_say(&h, who[0].connection, "{'t':'meta','id':1,'attrs':{'a':'%s'}}", attrs);
	pl_harness_say(
		&h, who[0].connection, "{'t':'data','id':2,'topic':'%s','body':'%s','to':[%s]}", topic, body, to);
	for (size_t i = 0; i < PL_COUNT(who); i++) {
		while (pl_harness_unread(&h, who[i].connection) > (i == 0 ? 3 : 2))
			pl_harness_expect(&h, who[i].connection, "{'t':'peer','op':'join'}");
		if (i == 0)
			pl_harness_expect(&h, who[i].connection, "{'t':'ok','id':1}");
		pl_harness_expect(
			&h, who[i].connection, "{'t':'peer','op':'update','peer':{'attrs':{'a':'%s'}}}", attrs);
		if (i == 0)
			pl_harness_expect(&h, who[i].connection, "{'t':'ok','id':2}");
		else
			pl_harness_expect(&h, who[i].connection, "{'t':'data','topic':'%s','body':'%s'}", topic, body);
		pl_harness_expect_silence(&h, who[i].connection);
	}
	pl_harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits_refuse_with_a_reason),
		cmocka_unit_test(test_limits_who_never_connects_fills_a_part),
		cmocka_unit_test(test_limits_the_longest_unheard_makes_room),
		cmocka_unit_test(test_limits_retries_are_spread),
		cmocka_unit_test(test_limits_connections),
		cmocka_unit_test(test_limits_message_rate),
		cmocka_unit_test(test_limits_flood_is_shown_out),
		cmocka_unit_test(test_limits_data_rate),
		cmocka_unit_test(test_limits_bad_frames_close_but_do_not_end),
		cmocka_unit_test(test_limits_slow_reader_may_resume),
		cmocka_unit_test(test_limits_leaves_wait_for_the_media_plane),
		cmocka_unit_test(test_limits_waiting_leaves_do_not_spin),
		cmocka_unit_test(test_limits_commands_on_their_way_are_counted),
		cmocka_unit_test(test_limits_shutdown_tells_everyone),
		cmocka_unit_test(test_limits_destroy_in_the_middle),
		cmocka_unit_test(test_limits_at_the_bound_all_is_taken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
