/* Being in a room: what each does reaches the others, once, in order, and nobody else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/front_harness.h"

enum { ANN, BOB, CAT };

struct house {
	struct pl_harness h;
	struct pl_harness_member who[3];
	struct pl_harness_member stranger; /* in another room */
	uint32_t room;
};

/* Three in the kitchen and one elsewhere; what was said so far is read. */
static int furnish(void **state)
{
	static const char *const names[] = { "Ann", "Bob", "Cat" };
	struct house *house = malloc(sizeof *house);
	assert_non_null(house);
	pl_harness_start(&house->h, (struct pl_harness_limits){ .rooms = 0 });
	for (size_t i = 0; i < PL_COUNT(names); i++)
		house->who[i] = pl_harness_join(&house->h, "kitchen", names[i]);
	house->room = house->h.command[0].room;
	house->stranger = pl_harness_join(&house->h, "cellar", "Stranger");
	assert_int_not_equal(house->h.command[3].room, house->room);
	pl_harness_skip_all(&house->h);
	*state = house;
	return 0;
}

/* Nobody may be left with something unexpected, the stranger least of all. */
static int leave_house(void **state)
{
	struct house *house = *state;
	for (uint64_t i = 1; i <= house->h.connection_last; i++)
		pl_harness_expect_silence(&house->h, i);
	pl_harness_expect_no_command(&house->h);
	pl_harness_stop(&house->h);
	free(house);
	return 0;
}

/* ---- going ---- */

static void expect_left(struct house *house, const struct pl_harness_member *who, const char *reason)
{
	for (size_t i = 0; i < PL_COUNT(house->who); i++) {
		if (house->who[i].source != who->source)
			pl_harness_expect(&house->h, house->who[i].connection,
				"{'t':'peer','op':'leave','peer':{'peer':'%s'},'reason':'%s'}", who->peer, reason);
	}
}

/* Hanging up empties the tile at once, and the room's name is free when the last has gone. */
static void test_room_leave_is_told_once(void **state)
{
	struct house *house = *state;
	struct pl_harness *h = &house->h;
	for (size_t i = 0; i < 3; i++) {
		const uint64_t connection = house->who[i].connection;
		pl_harness_say(h, connection, "{'t':'leave','id':5}");
		pl_harness_expect(h, connection, "{'t':'ok','id':5}");
		pl_harness_expect_close(h, connection, PL_FRONT_CLOSE_NORMAL);
		const struct pl_command *command = pl_harness_take_command(h, PL_COMMAND_LEAVE);
		assert_int_equal(command->source, house->who[i].source);
		assert_int_equal(command->room, house->room);
		for (size_t k = i + 1; k < 3; k++)
			pl_harness_expect(h, house->who[k].connection,
				"{'t':'peer','op':'leave','peer':{'peer':'%s'},'reason':'left'}", house->who[i].peer);
		pl_harness_lose(
			h, connection); /* the WebSocket follows; there is no session that it could leave waiting */
	}
	assert_int_equal(pl_front_counters(h->front)->rooms, 1); /* the cellar */
	assert_int_equal(pl_front_counters(h->front)->sessions, 1);

	/* The same name is a new room: the media plane must not take its events for the old one's. */
	const struct pl_harness_member again = pl_harness_join(h, "kitchen", "Ann");
	assert_int_not_equal(h->command[h->command_count - 1].room, house->room);
	pl_harness_event(h, &(struct pl_event){ .kind = PL_EVENT_SPEAKERS,
				    .room = house->room,
				    .speakers = { .count = 1, .top = { again.source }, .dominant = again.source } });
	pl_harness_expect_silence(h, again.connection);
}

/* A browser that was killed stops answering checks: its tile goes when the media plane says so, and only then. */
static void test_room_media_gone_ends_the_session(void **state)
{
	struct house *house = *state;
	struct pl_harness *h = &house->h;
	const struct pl_event gone = {
		.kind = PL_EVENT_GONE, .room = house->room, .source = house->who[ANN].source, .close = PL_CLOSE_CONSENT
	};
	pl_harness_lose(h, house->who[ANN].connection);
	pl_harness_pass(h, 30000);
	pl_harness_expect_silence(h, house->who[BOB].connection);
	pl_harness_event(h, &gone);
	expect_left(house, &house->who[ANN], "lost");
	/* Should a new transport have crossed the event on its way, it has to go as well. */
	assert_int_equal(pl_harness_take_command(h, PL_COMMAND_LEAVE)->source, house->who[ANN].source);
	pl_harness_event(h, &gone);

	/* The same with the WebSocket still there: the client hears why. */
	pl_harness_event(h, &(struct pl_event){ .kind = PL_EVENT_GONE,
				    .room = house->room,
				    .source = house->who[BOB].source,
				    .close = PL_CLOSE_CONSENT });
	const json_t *bye =
		pl_harness_expect(h, house->who[BOB].connection, "{'t':'bye','code':'media_lost','resumable':false}");
	assert_string_equal(json_string_value(json_object_get(bye, "msg")), pl_close_text(PL_CLOSE_CONSENT));
	pl_harness_expect_close(h, house->who[BOB].connection, PL_FRONT_CLOSE_NORMAL);
	pl_harness_expect(h, house->who[CAT].connection, "{'t':'peer','op':'leave','reason':'lost'}");
	pl_harness_take_command(h, PL_COMMAND_LEAVE);
}

/* A page that says leave closes its peer connection, too, and the two take different ways: whichever comes first, it has left. */
static void test_room_closed_media_is_a_goodbye(void **state)
{
	struct house *house = *state;
	struct pl_harness *h = &house->h;
	pl_harness_event(h, &(struct pl_event){ .kind = PL_EVENT_GONE,
				    .room = house->room,
				    .source = house->who[ANN].source,
				    .close = PL_CLOSE_PEER });
	expect_left(house, &house->who[ANN], "left");
	pl_harness_take_command(h, PL_COMMAND_LEAVE);
	pl_harness_skip_all(h);
}

/* ---- mute, meta ---- */

/* Everyone sees the microphone crossed out, and the media plane lets nothing through. */
static void test_room_mute_is_enforced_and_shown(void **state)
{
	struct house *house = *state;
	struct pl_harness *h = &house->h;
	const struct pl_harness_member *ann = &house->who[ANN];
	for (unsigned on = 1; on < 2; on--) {
		const char *word = on ? "true" : "false";
		pl_harness_say(h, ann->connection, "{'t':'mute','id':1,'track':'%s','on':%s}", ann->track, word);
		pl_harness_expect(h, ann->connection, "{'t':'ok','id':1}");
		const struct pl_command *command = pl_harness_take_command(h, PL_COMMAND_MUTE);
		assert_int_equal(command->source, ann->source);
		assert_int_equal(command->is_on, on);
		for (size_t i = 0; i < 3; i++)
			pl_harness_expect(h, house->who[i].connection,
				"{'t':'track','op':'update','peer':'%s','track':{'track':'%s','kind':'audio','muted':%"
				"s}}",
				ann->peer, ann->track, word);
		/* Pressing the button twice is no news. */
		pl_harness_say(h, ann->connection, "{'t':'mute','id':2,'track':'%s','on':%s}", ann->track, word);
		pl_harness_expect(h, ann->connection, "{'t':'ok','id':2}");
	}
}

/* Nobody can mute another, and a full ring does not show a mute that is not enforced. */
static void test_room_mute_that_fails_changes_nothing(void **state)
{
	struct house *house = *state;
	struct pl_harness *h = &house->h;
	const struct pl_harness_member *ann = &house->who[ANN];
	const char *const strange[] = { house->who[BOB].track, "t00000000", "", "p", "T00000001" };
	for (size_t i = 0; i < PL_COUNT(strange); i++) {
		const char *code = strange[i][0] == '\0' ? "bad_field" : "no_track";
		pl_harness_say(h, ann->connection, "{'t':'mute','id':1,'track':'%s','on':true}", strange[i]);
		pl_harness_expect(h, ann->connection, "{'t':'err','id':1,'code':'%s'}", code);
	}
	h->commands_free = 0;
	pl_harness_say(h, ann->connection, "{'t':'mute','id':2,'track':'%s','on':true}", ann->track);
	pl_harness_expect(h, ann->connection, "{'t':'err','id':2,'code':'busy'}");
	h->commands_free = SIZE_MAX;
	pl_harness_say(h, ann->connection, "{'t':'mute','id':3,'track':'%s','on':false}", ann->track);
	pl_harness_expect(h, ann->connection, "{'t':'ok','id':3}");
}

/* A new name is on everybody's tile at once; attributes that were not mentioned stay. */
static void test_room_meta_changes_what_it_names(void **state)
{
	struct house *house = *state;
	struct pl_harness *h = &house->h;
	static const struct {
		const char *fields, *name, *attrs;
	} c[] = {
		{ "'name':'Anna'", "Anna", "{}" },
		{ "'attrs':{'a':[1,2]}", "Anna", "{'a':[1,2]}" },
		{ "'name':''", "", "{'a':[1,2]}" },
		{ "'name':'\\u00fc\\r\\n\\u0001\\\\','attrs':{}", "\\u00fc\\r\\n\\u0001\\\\", "{}" },
	};
	const struct pl_harness_member *ann = &house->who[ANN];
	for (size_t i = 0; i < PL_COUNT(c); i++) {
		pl_harness_say(h, ann->connection, "{'t':'meta','id':1,%s}", c[i].fields);
		pl_harness_expect(h, ann->connection, "{'t':'ok','id':1}");
		for (size_t k = 0; k < 3; k++)
			pl_harness_expect(h, house->who[k].connection,
				"{'t':'peer','op':'update','peer':{'peer':'%s','source':%u,'name':'%s','attrs':%s,"
				"'tracks':[{'track':'%s','kind':'audio','muted':false}]}}",
				ann->peer, ann->source, c[i].name, c[i].attrs, ann->track);
	}
	/* Nothing named, nothing told. */
	pl_harness_say(h, ann->connection, "{'t':'meta','id':2}");
	pl_harness_expect(h, ann->connection, "{'t':'ok','id':2}");
	pl_harness_say(h, ann->connection, "{'t':'meta','id':3,'name':7}");
	pl_harness_expect(h, ann->connection, "{'t':'err','id':3,'code':'bad_field'}");
}

/* ---- data, ping ---- */

/* A chat message reaches everyone else, or just those it is for. */
static void test_room_data_reaches_whom_it_names(void **state)
{
	struct house *house = *state;
	struct pl_harness *h = &house->h;
	const struct pl_harness_member *who = house->who;
	pl_harness_say(h, who[ANN].connection, "{'t':'data','id':1,'topic':'chat','body':{'text':'h\\u00e9'}}");
	pl_harness_expect(h, who[ANN].connection, "{'t':'ok','id':1}");
	for (size_t i = BOB; i <= CAT; i++)
		pl_harness_expect(h, who[i].connection,
			"{'t':'data','from':'%s','topic':'chat','body':{'text':'h\\u00e9'}}", who[ANN].peer);

	/* Named twice is told once; naming oneself is a way to hear oneself; naming nobody is heard by nobody. */
	pl_harness_say(h, who[ANN].connection, "{'t':'data','id':2,'topic':'x','body':null,'to':['%s','%s','%s']}",
		who[CAT].peer, who[ANN].peer, who[CAT].peer);
	pl_harness_expect(h, who[ANN].connection, "{'t':'ok','id':2}");
	pl_harness_expect(h, who[ANN].connection, "{'t':'data','topic':'x','body':null}");
	pl_harness_expect(h, who[CAT].connection, "{'t':'data','topic':'x','body':null}");
	pl_harness_say(h, who[ANN].connection, "{'t':'data','id':3,'topic':'x','body':0.5,'to':[]}");
	pl_harness_expect(h, who[ANN].connection, "{'t':'ok','id':3}");
}

/* One wrong receiver and nobody gets it: the sender can mend the list and send again. */
static void test_room_data_to_nobody_known_is_an_error(void **state)
{
	struct house *house = *state;
	struct pl_harness *h = &house->h;
	char upper[16];
	snprintf(upper, sizeof upper, "P%s", house->who[BOB].peer + 1);
	const char *const strange[] = { house->stranger.peer, "p00000000", "", "p", upper, "pppppppppp",
		"p000000000000000000000000000000000000" };
	for (size_t i = 0; i < PL_COUNT(strange); i++) {
		pl_harness_say(h, house->who[ANN].connection,
			"{'t':'data','id':1,'topic':'x','body':1,'to':['%s','%s']}", house->who[BOB].peer, strange[i]);
		pl_harness_expect(h, house->who[ANN].connection,
			"{'t':'err','id':1,'code':'no_peer','msg':'data.to: the peer at place 1 is not in this room'}");
	}
}

/* The page measures the way to the server by it. */
static void test_room_ping_is_answered(void **state)
{
	struct house *house = *state;
	pl_harness_say(&house->h, house->who[ANN].connection, "{'t':'ping','id':2147483647}");
	pl_harness_expect(&house->h, house->who[ANN].connection, "{'t':'pong','id':2147483647}");
	pl_harness_say(&house->h, house->who[ANN].connection, "{'t':'ping'}");
	pl_harness_expect(&house->h, house->who[ANN].connection, "{'t':'pong','id':null}");
}

/* ---- later offers ---- */

static void offer(struct house *house, unsigned id, const char *media, unsigned generation)
{
	pl_harness_say(&house->h, house->who[ANN].connection, "{'t':'offer','id':%u,'sdp':'%s'}", id,
		pl_harness_offer(media, generation));
}

/* A second microphone, one more slot, then the first ones away: what stays keeps its id and SSRC, and the others hear
 * of what came and went. */
static void test_room_offer_adds_and_removes(void **state)
{
	struct house *house = *state;
	struct pl_harness *h = &house->h;
	const struct pl_harness_member *ann = &house->who[ANN];
	const struct pl_description *before = h->command[0].description;
	offer(house, 4, "s0 r1 r2 s3 r4", 1);
	const json_t *answer = pl_harness_expect(h, ann->connection,
		"{'t':'answer','id':4,'sdp':'*','tracks':[{'track':'%s','mid':'0','muted':false},{'track':'*','mid':'3'"
		"}],"
		"'slots':[{'slot':0,'mid':'1','ssrc':%u},{'slot':1,'mid':'2','ssrc':%u},{'slot':2,'mid':'4','ssrc':'*'}"
		"]}",
		ann->track, before->slot[0].ssrc, before->slot[1].ssrc);
	char second[16];
	snprintf(second, sizeof second, "%s",
		json_string_value(json_object_get(json_array_get(json_object_get(answer, "tracks"), 1), "track")));
	const struct pl_description *now = pl_harness_take_command(h, PL_COMMAND_UPDATE)->description;
	assert_int_equal(now->track_count, 2);
	assert_int_equal(now->slot_count, 3);
	assert_string_equal(now->local.ufrag, before->local.ufrag); /* no ICE restart */
	assert_string_equal(now->cname, before->cname);
	for (size_t i = BOB; i <= CAT; i++)
		pl_harness_expect(h, house->who[i].connection,
			"{'t':'track','op':'add','peer':'%s','track':{'track':'%s','kind':'audio','muted':false}}",
			ann->peer, second);

	offer(house, 5, "i0 i1 r2 s3 r4", 1);
	pl_harness_expect(h, ann->connection,
		"{'t':'answer','id':5,'tracks':[{'track':'%s'}],'slots':[{'slot':0,'mid':'2','ssrc':%u},{'mid':'4'}]}",
		second, before->slot[1].ssrc);
	pl_harness_take_command(h, PL_COMMAND_UPDATE);
	for (size_t i = BOB; i <= CAT; i++)
		pl_harness_expect(h, house->who[i].connection,
			"{'t':'track','op':'remove','peer':'%s','track':{'track':'%s'}}", ann->peer, ann->track);
}

/* Two offers sent before the first answer came back: each gets its own answer, in order, and the later one stands. */
static void test_room_offers_in_flight_are_answered_in_order(void **state)
{
	struct house *house = *state;
	struct pl_harness *h = &house->h;
	const uint64_t ann = house->who[ANN].connection;
	offer(house, 10, "s0 r1 r2 r3", 1);
	offer(house, 11, "s0 r1", 1);
	pl_harness_expect(h, ann, "{'t':'answer','id':10,'slots':[{'mid':'1'},{'mid':'2'},{'mid':'3'}]}");
	pl_harness_expect(h, ann, "{'t':'answer','id':11,'slots':[{'mid':'1'}]}");
	assert_int_equal(pl_harness_take_command(h, PL_COMMAND_UPDATE)->description->slot_count, 3);
	assert_int_equal(pl_harness_take_command(h, PL_COMMAND_UPDATE)->description->slot_count, 1);
}

/* Other credentials are an ICE restart: ours are new as well (RFC 8839 section 4.4.3), all else stays. */
static void test_room_offer_restarts_ice(void **state)
{
	struct house *house = *state;
	struct pl_harness *h = &house->h;
	const struct pl_description *before = h->command[0].description;
	offer(house, 1, "s0 r1 r2", 2);
	pl_harness_expect(h, house->who[ANN].connection, "{'t':'answer','id':1}");
	const struct pl_description *now = pl_harness_take_command(h, PL_COMMAND_UPDATE)->description;
	assert_string_not_equal(now->local.ufrag, before->local.ufrag);
	assert_string_not_equal(now->local.pwd, before->local.pwd);
	assert_string_equal(now->remote_ufrag, "ufrag2");
	assert_int_equal(now->slot[0].ssrc, before->slot[0].ssrc);
	assert_int_equal(now->dtls_role, before->dtls_role);
}

/* An offer that cannot be taken leaves the call as it was. */
static void test_room_offer_that_fails_changes_nothing(void **state)
{
	struct house *house = *state;
	struct pl_harness *h = &house->h;
	const uint64_t ann = house->who[ANN].connection;
	char other[8192];
	pl_harness_say(h, ann, "{'t':'offer','id':1,'sdp':'v=0\\r\\n'}");
	pl_harness_expect(h, ann, "{'t':'err','id':1,'code':'bad_sdp','msg':'*'}");

	/* Another certificate, or the other DTLS role, is another peer connection. */
	snprintf(other, sizeof other, "%s", pl_harness_offer("s0 r1 r2", 1));
	memcpy(strstr(other, "AB:AB"), "CD", 2);
	pl_harness_say(h, ann, "{'t':'offer','id':2,'sdp':'%s'}", other);
	pl_harness_expect(h, ann,
		"{'t':'err','id':2,'code':'bad_sdp','msg':'offer.sdp: another a=fingerprint needs a new peer "
		"connection: join "
		"with resume and sdp'}");
	snprintf(other, sizeof other, "%s", pl_harness_offer("s0 r1 r2", 1));
	memcpy(strstr(other, "actpass"), "passive", 7);
	pl_harness_say(h, ann, "{'t':'offer','id':3,'sdp':'%s'}", other);
	pl_harness_expect(h, ann, "{'t':'err','id':3,'code':'bad_sdp'}");

	h->commands_free = 0;
	offer(house, 4, "r1", 1);
	pl_harness_expect(h, ann, "{'t':'err','id':4,'code':'busy'}");
	h->commands_free = SIZE_MAX;
	offer(house, 5, "s0 r1 r2", 1);
	pl_harness_expect(
		h, ann, "{'t':'answer','id':5,'tracks':[{'track':'%s'}],'slots':['*','*']}", house->who[ANN].track);
	const struct pl_description *now = pl_harness_take_command(h, PL_COMMAND_UPDATE)->description;
	assert_string_equal(now->local.ufrag, h->command[0].description->local.ufrag);
}

/* One SSRC is one stream (RFC 3550 section 8): should a microphone come with the SSRC that a slot has, the slot gets
 * another, and the answer says so. */
static void test_room_offer_never_shares_an_ssrc(void **state)
{
	struct house *house = *state;
	struct pl_harness *h = &house->h;
	const uint32_t taken = h->command[0].description->slot[0].ssrc;
	char line[64], text[8192];
	snprintf(line, sizeof line, "a=ssrc:%u cname:x\\r\\na=sendonly", taken);
	const char *sdp = pl_harness_offer("s0 r1 r2", 1), *at = strstr(sdp, "a=sendonly");
	snprintf(text, sizeof text, "%.*s%s%s", (int)(at - sdp), sdp, line, at + strlen("a=sendonly"));
	pl_harness_say(h, house->who[ANN].connection, "{'t':'offer','id':1,'sdp':'%s'}", text);
	const struct pl_description *now = pl_harness_take_command(h, PL_COMMAND_UPDATE)->description;
	assert_int_equal(now->track[0].ssrc, taken);
	assert_int_not_equal(now->slot[0].ssrc, taken);
	assert_int_equal(now->slot[1].ssrc, h->command[0].description->slot[1].ssrc);
	pl_harness_expect(h, house->who[ANN].connection,
		"{'t':'answer','id':1,'slots':[{'mid':'1','ssrc':%u},{'mid':'2'}]}", now->slot[0].ssrc);
}

/* SRTP has places for 48 SSRCs for as long as the keys live.  Who renegotiates all of its slots a hundred times still hears
 * everybody: it is given 32 of them in turn, and never one that another m-line had until now. */
static void test_room_offers_without_end_use_few_ssrcs(void **state)
{
	struct house *house = *state;
	struct pl_harness *h = &house->h;
	uint32_t seen[PL_SLOT_SSRCS_MAX], before[PL_SLOTS_MAX] = { 0 };
	size_t count = 0;
	for (unsigned round = 0; round < 100; round++) {
		char media[256] = "s0";
		const unsigned slots = round % 3 == 2 ? 5 : PL_SLOTS_MAX;
		for (unsigned i = 0; i < slots; i++)
			snprintf(media + strlen(media), sizeof media - strlen(media), " r%u", 1 + i + 20 * (round % 7));
		offer(house, 10 + round, media, 1);
		pl_harness_expect(h, house->who[ANN].connection, "{'t':'answer','id':%u}", 10 + round);
		const struct pl_description *now = pl_harness_take_command(h, PL_COMMAND_UPDATE)->description;
		assert_int_equal(now->slot_count, slots);
		for (uint8_t i = 0; i < slots; i++) {
			const uint32_t ssrc = now->slot[i].ssrc;
			for (uint8_t k = 0; k < PL_SLOTS_MAX; k++) {
				assert_int_not_equal(ssrc, before[k]);
				assert_true(k >= slots || k == i || now->slot[k].ssrc != ssrc);
			}
			size_t known = 0;
			while (known < count && seen[known] != ssrc)
				known++;
			if (known < count)
				continue;
			assert_true(count < PL_COUNT(seen));
			seen[count++] = ssrc;
		}
		memset(before, 0, sizeof before);
		for (uint8_t i = 0; i < slots; i++)
			before[i] = now->slot[i].ssrc;
	}
}

/* ---- events of the media plane ---- */

static void tell_slots(struct house *house, uint8_t count, const struct pl_harness_member *in_first)
{
	struct pl_event event = { .kind = PL_EVENT_SLOTS, .room = house->room, .source = house->who[ANN].source };
	event.slots.count = count;
	if (in_first != NULL) {
		event.slots.slot[0].source = in_first->source;
		event.slots.slot[0].track = (uint32_t)strtoul(in_first->track + 1, NULL, 16);
	}
	pl_harness_event(&house->h, &event);
}

/* The tile that lights up is the one whose voice is heard. */
static void test_room_slots_are_told_to_their_owner(void **state)
{
	struct house *house = *state;
	struct pl_harness *h = &house->h;
	const struct pl_harness_member *who = house->who;
	tell_slots(house, 2, &who[BOB]);
	pl_harness_expect(h, who[ANN].connection,
		"{'t':'slots','slots':[{'slot':0,'peer':'%s','track':'%s','source':%u},"
		"{'slot':1,'peer':null,'track':null,'source':null}]}",
		who[BOB].peer, who[BOB].track, who[BOB].source);
	/* A map for another number of slots is about an older or newer offer. */
	tell_slots(house, 3, &who[CAT]);
	tell_slots(house, 1, &who[CAT]);
	/* A slot that an offer keeps keeps who is in it. */
	offer(house, 1, "s0 r7 r1", 1);
	pl_harness_expect(h, who[ANN].connection,
		"{'t':'answer','slots':[{'mid':'7','peer':null},{'mid':'1','peer':'%s','track':'%s','source':%u}]}",
		who[BOB].peer, who[BOB].track, who[BOB].source);
	pl_harness_take_command(h, PL_COMMAND_UPDATE);
	tell_slots(house, 2, NULL);
	pl_harness_expect(h, who[ANN].connection, "{'t':'slots','slots':[{'peer':null},{'peer':null}]}");
}

/* Who has just left is named no more, whatever the media plane still says. */
static void test_room_events_about_who_left_name_nobody(void **state)
{
	struct house *house = *state;
	struct pl_harness *h = &house->h;
	const struct pl_harness_member *who = house->who;
	const struct pl_event speakers = { .kind = PL_EVENT_SPEAKERS,
		.room = house->room,
		.speakers = { .count = 2, .top = { who[CAT].source, who[BOB].source }, .dominant = who[CAT].source } };
	pl_harness_say(h, who[CAT].connection, "{'t':'leave'}");
	pl_harness_expect(h, who[CAT].connection, "{'t':'ok','id':null}");
	expect_left(house, &who[CAT], "left");
	pl_harness_take_command(h, PL_COMMAND_LEAVE);
	tell_slots(house, 2, &who[CAT]);
	pl_harness_expect(h, who[ANN].connection, "{'t':'slots','slots':[{'peer':null,'source':null},{'peer':null}]}");
	pl_harness_event(h, &speakers);
	for (size_t i = ANN; i <= BOB; i++)
		pl_harness_expect(h, who[i].connection, "{'t':'speakers','top':['%s'],'dominant':null}", who[BOB].peer);
}

/* The page's "connecting" ends. */
static void test_room_connected_is_told(void **state)
{
	struct house *house = *state;
	pl_harness_event(
		&house->h, &(struct pl_event){
				   .kind = PL_EVENT_CONNECTED, .room = house->room, .source = house->who[ANN].source });
	pl_harness_expect(&house->h, house->who[ANN].connection, "{'t':'connected'}");
}

/* Events that come too late, twice, or for nobody are nobody's. */
static void test_room_stale_events_reach_nobody(void **state)
{
	struct house *house = *state;
	for (enum pl_event_kind kind = PL_EVENT_HEARD; kind <= PL_EVENT_REFUSED; kind++) {
		const struct pl_event unknown[] = {
			{ .kind = kind, .room = house->room, .source = 12345 },
			{ .kind = kind, .room = house->room + 100, .source = house->who[ANN].source },
			{ .kind = kind, .room = 0, .source = 0 },
		};
		for (size_t i = 0; i < PL_COUNT(unknown); i++) {
			if (kind != PL_EVENT_SPEAKERS || unknown[i].room != house->room) /* these have no source */
				pl_front_event(house->h.front, house->h.now_us, &unknown[i]);
			struct pl_front_output output;
			assert_false(pl_front_next(house->h.front, &output));
		}
	}
}

int main(void)
{
#define IN_HOUSE(test) cmocka_unit_test_setup_teardown(test, furnish, leave_house)
	const struct CMUnitTest tests[] = {
		IN_HOUSE(test_room_leave_is_told_once),
		IN_HOUSE(test_room_media_gone_ends_the_session),
		IN_HOUSE(test_room_closed_media_is_a_goodbye),
		IN_HOUSE(test_room_mute_is_enforced_and_shown),
		IN_HOUSE(test_room_mute_that_fails_changes_nothing),
		IN_HOUSE(test_room_meta_changes_what_it_names),
		IN_HOUSE(test_room_data_reaches_whom_it_names),
		IN_HOUSE(test_room_data_to_nobody_known_is_an_error),
		IN_HOUSE(test_room_ping_is_answered),
		IN_HOUSE(test_room_offer_adds_and_removes),
		IN_HOUSE(test_room_offers_in_flight_are_answered_in_order),
		IN_HOUSE(test_room_offer_restarts_ice),
		IN_HOUSE(test_room_offer_that_fails_changes_nothing),
		IN_HOUSE(test_room_offer_never_shares_an_ssrc),
		IN_HOUSE(test_room_offers_without_end_use_few_ssrcs),
		IN_HOUSE(test_room_slots_are_told_to_their_owner),
		IN_HOUSE(test_room_events_about_who_left_name_nobody),
		IN_HOUSE(test_room_connected_is_told),
		IN_HOUSE(test_room_stale_events_reach_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
