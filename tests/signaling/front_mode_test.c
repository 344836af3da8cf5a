/* Hearing talkers or their mix: what a client asks for reaches the media plane, what that does reaches the client, and who
 * asks for what is not there is told so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/front_harness.h"

enum { FULL_AND_ROBUST = 1u << PL_MIX_FULL | 1u << PL_MIX_ROBUST };

static void start(struct pl_harness *h, uint8_t mix_groups)
{
	pl_harness_start(h, (struct pl_harness_limits){ .mix_groups = mix_groups });
}

/* Joins with audio as it stands in JSON ("'mixed'"), and returns the connection; the welcome is left to be read. */
static uint64_t join_with(struct pl_harness *h, const char *audio)
{
	const uint64_t c = pl_harness_open(h);
	pl_harness_say(h, c, "{'t':'join','id':1,'v':1,'room':'kitchen','audio':%s,'sdp':'%s'}", audio,
		pl_harness_offer("s0 r1 r2", 1));
	return c;
}

/* The first packet is heard as its listener wants it: the mode is in the join's own command. */
static void test_mode_of_a_join_is_the_media_plane_s(void **state)
{
	(void)state;
	static const struct {
		const char *said, *told;
		enum pl_audio_mode mode;
	} cases[] = {
		{ "null", "forward", PL_AUDIO_FORWARD },
		{ "'forward'", "forward", PL_AUDIO_FORWARD },
		{ "'mixed'", "mixed", PL_AUDIO_MIXED },
		{ "'auto'", "auto", PL_AUDIO_AUTO },
	};
	struct pl_harness h;
	start(&h, FULL_AND_ROBUST);
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		const uint64_t c = join_with(&h, cases[i].said);
		pl_harness_expect(&h, c,
			"{'t':'welcome','audio':{'mode':'%s','quality':'full','modes':['forward','mixed','auto'],"
			"'qualities':['full','robust']},'slots':[{'mix':null},{'mix':null}]}",
			cases[i].told);
		const struct pl_description *d = pl_harness_take_command(&h, PL_COMMAND_JOIN)->description;
		assert_int_equal(d->audio_mode, cases[i].mode);
		assert_int_equal(d->mix_wish, PL_MIX_FULL);
	}
	pl_harness_stop(&h);
}

/* A switch in the middle of a word: one command, and no offer. */
static void test_mode_changes_without_an_offer(void **state)
{
	(void)state;
	static const struct {
		const char *fields;
		bool is_change;
		enum pl_audio_mode mode;
		enum pl_mix_group wish;
	} steps[] = {
		{ "'audio':'forward'", false, PL_AUDIO_FORWARD, PL_MIX_FULL },
		{ "'audio':'mixed'", true, PL_AUDIO_MIXED, PL_MIX_FULL },
		{ "'audio':'mixed','quality':'full'", false, PL_AUDIO_MIXED, PL_MIX_FULL },
		{ "'audio':'mixed','quality':'robust'", true, PL_AUDIO_MIXED, PL_MIX_ROBUST },
		{ "'audio':'auto'", true, PL_AUDIO_AUTO, PL_MIX_ROBUST },
		{ "'audio':'forward','quality':null", true, PL_AUDIO_FORWARD, PL_MIX_ROBUST },
		{ "'audio':'mixed'", true, PL_AUDIO_MIXED, PL_MIX_ROBUST },
		{ "'audio':'forward','quality':'full'", true, PL_AUDIO_FORWARD, PL_MIX_FULL },
	};
	struct pl_harness h;
	start(&h, FULL_AND_ROBUST);
	const struct pl_harness_member ann = pl_harness_join(&h, "kitchen", "Ann");
	const uint32_t room = h.command[0].room;
	for (size_t i = 0; i < PL_COUNT(steps); i++) {
		pl_harness_say(&h, ann.connection, "{'t':'mode','id':%zu,%s}", i, steps[i].fields);
		pl_harness_expect(&h, ann.connection, "{'t':'ok','id':%zu}", i);
		if (!steps[i].is_change)
			continue;
		const struct pl_command *command = pl_harness_take_command(&h, PL_COMMAND_MODE);
		assert_int_equal(command->source, ann.source);
		assert_int_equal(command->room, room);
		assert_int_equal(command->audio_mode, steps[i].mode);
		assert_int_equal(command->mix_wish, steps[i].wish);
		assert_null(command->description);
	}
	pl_harness_expect_no_command(&h);
	pl_harness_stop(&h);
}

/* Who asks for a mix that nobody makes hears so in words, and goes on hearing what it heard. */
static void test_mode_that_is_not_there_is_refused(void **state)
{
	(void)state;
	static const struct {
		uint8_t groups;
		const char *fields, *msg;
	} cases[] = {
		{ 0, "'audio':'mixed'",
			"mode.audio: this server does not mix; it has \"forward\", which \"auto\" is here, too" },
		{ 0, "'audio':'auto','quality':'full'",
			"mode.quality: this server does not mix in \"full\"; it has none" },
		{ FULL_AND_ROBUST, "'audio':'mixed','quality':'stereo'",
			"mode.quality: this server does not mix in \"stereo\"; it has \"full\" and \"robust\"" },
	};
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		struct pl_harness h;
		start(&h, cases[i].groups);
		const struct pl_harness_member ann = pl_harness_join(&h, "kitchen", "Ann");
		pl_harness_say(&h, ann.connection, "{'t':'mode','id':3,%s}", cases[i].fields);
		const json_t *err =
			pl_harness_expect(&h, ann.connection, "{'t':'err','id':3,'code':'unsupported','msg':'*'}");
		assert_string_equal(json_string_value(json_object_get(err, "msg")), cases[i].msg);
		pl_harness_expect_no_command(&h);
		/* Nothing of it was kept: what is there already needs no command. */
		pl_harness_say(&h, ann.connection, "{'t':'mode','id':4,'audio':'forward'}");
		pl_harness_expect(&h, ann.connection, "{'t':'ok','id':4}");
		pl_harness_expect_no_command(&h);
		pl_harness_stop(&h);
	}
}

/* A server without codec workers is named for what it has: a page can show the switch without trying. */
static void test_mode_without_workers(void **state)
{
	(void)state;
	struct pl_harness h;
	start(&h, 0);
	uint64_t c = join_with(&h, "'mixed'");
	const json_t *err = pl_harness_expect(&h, c, "{'t':'err','id':1,'code':'unsupported','msg':'*'}");
	assert_string_equal(json_string_value(json_object_get(err, "msg")),
		"join.audio: this server does not mix; it has \"forward\", which \"auto\" is here, too");
	pl_harness_expect_no_command(&h);
	assert_int_equal(pl_front_counters(h.front)->rooms, 0);
	c = join_with(&h, "'auto'");
	pl_harness_expect(&h, c,
		"{'t':'welcome','audio':{'mode':'auto','quality':'full','modes':['forward','auto'],'qualities':[]}}");
	assert_int_equal(pl_harness_take_command(&h, PL_COMMAND_JOIN)->description->audio_mode, PL_AUDIO_AUTO);
	pl_harness_stop(&h);
}

/* A full ring is told, and the old mode is what a later try changes. */
static void test_mode_waits_for_no_ring(void **state)
{
	(void)state;
	struct pl_harness h;
	start(&h, FULL_AND_ROBUST);
	const struct pl_harness_member ann = pl_harness_join(&h, "kitchen", "Ann");
	h.commands_free = 0;
	pl_harness_say(&h, ann.connection, "{'t':'mode','id':3,'audio':'mixed'}");
	pl_harness_expect(&h, ann.connection, "{'t':'err','id':3,'code':'busy'}");
	h.commands_free = 1;
	pl_harness_say(&h, ann.connection, "{'t':'mode','id':4,'audio':'mixed'}");
	pl_harness_expect(&h, ann.connection, "{'t':'ok','id':4}");
	assert_int_equal(pl_harness_take_command(&h, PL_COMMAND_MODE)->audio_mode, PL_AUDIO_MIXED);
	pl_harness_stop(&h);
}

static struct pl_event mix_event(uint32_t room, uint32_t source, enum pl_mix_group group)
{
	struct pl_event event = { .kind = PL_EVENT_SLOTS, .room = room, .source = source };
	event.slots.count = 2;
	event.slots.is_mixed = true;
	event.slots.group = group;
	event.slots.slot[0].track = PL_MIX_TRACK(group);
	return event;
}

/* The first slot says that it is the mix and in which quality; nobody is in it, for everybody is. */
static void test_mode_slots_name_the_mix(void **state)
{
	(void)state;
	static const char *const names[PL_MIX_GROUPS] = { "full", "robust", "stereo", "pcmu", "pcma", "low", "lowest",
		"short" };
	struct pl_harness h;
	start(&h, FULL_AND_ROBUST);
	const struct pl_harness_member ann = pl_harness_join(&h, "kitchen", "Ann");
	const uint32_t room = h.command[0].room;
	for (unsigned group = 0; group < PL_MIX_GROUPS; group++) {
		const struct pl_event event = mix_event(room, ann.source, (enum pl_mix_group)group);
		pl_harness_event(&h, &event);
		pl_harness_expect(&h, ann.connection,
			"{'t':'slots','slots':[{'slot':0,'peer':null,'track':null,'source':null,'mix':'%s'},"
			"{'slot':1,'peer':null,'track':null,'source':null,'mix':null}]}",
			names[group]);
	}
	/* An offer that keeps the slot keeps what is in it. */
	pl_harness_say(&h, ann.connection, "{'t':'offer','id':5,'sdp':'%s'}", pl_harness_offer("s0 r1 r2 r3", 1));
	pl_harness_expect(&h, ann.connection, "{'t':'answer','slots':[{'mix':'short'},{'mix':null},{'mix':null}]}");
	pl_harness_take_command(&h, PL_COMMAND_UPDATE);
	pl_harness_stop(&h);
}

/* Another network must not change what is heard: neither on the same peer connection nor on a new one, whatever the join
 * that resumes says. */
static void test_mode_outlives_the_connection(void **state)
{
	(void)state;
	struct pl_harness h;
	start(&h, FULL_AND_ROBUST);
	struct pl_harness_member ann = pl_harness_join(&h, "kitchen", "Ann");
	const uint32_t room = h.command[0].room;
	pl_harness_say(&h, ann.connection, "{'t':'mode','id':3,'audio':'mixed','quality':'robust'}");
	pl_harness_take_command(&h, PL_COMMAND_MODE);
	const struct pl_event event = mix_event(room, ann.source, PL_MIX_ROBUST);
	pl_harness_event(&h, &event);
	pl_harness_skip_all(&h);
	int64_t n = h.connection[ann.connection].n;
	pl_harness_lose(&h, ann.connection);
	uint64_t c = pl_harness_resume(&h, &ann, "kitchen", ann.ticket, n, NULL);
	pl_harness_take_welcome(&h, c, &ann);
	pl_harness_expect_no_command(&h);

	/* A later offer says the same again, and so does that of a new peer connection. */
	pl_harness_say(&h, c, "{'t':'offer','id':5,'sdp':'%s'}", pl_harness_offer("s0 r1", 1));
	const struct pl_description *d = pl_harness_take_command(&h, PL_COMMAND_UPDATE)->description;
	assert_int_equal(d->audio_mode, PL_AUDIO_MIXED);
	assert_int_equal(d->mix_wish, PL_MIX_ROBUST);
	pl_harness_skip_all(&h);
	n = h.connection[c].n;
	pl_harness_lose(&h, c);
	const uint64_t again = pl_harness_open(&h);
	h.connection[again].n_claimed = n;
	pl_harness_say(&h, again,
		"{'t':'join','id':1,'v':1,'room':'kitchen','audio':'forward','sdp':'%s',"
		"'resume':{'session':'%s','ticket':'%s','n':%lld}}",
		pl_harness_offer("s0 r1", 2), ann.session, ann.ticket, (long long)n);
	pl_harness_expect(&h, again,
		"{'t':'welcome','resumed':true,'audio':{'mode':'mixed','quality':'robust'},'slots':[{'mix':null}]}");
	d = pl_harness_take_command(&h, PL_COMMAND_JOIN)->description;
	assert_int_equal(d->audio_mode, PL_AUDIO_MIXED);
	assert_int_equal(d->mix_wish, PL_MIX_ROBUST);
	pl_harness_skip_all(&h);
	pl_harness_stop(&h);
}

/* ---- WHEP ---- */

static const struct pl_harness_response *post_audio(struct pl_harness *h, const char *path, const char *audio)
{
	return pl_harness_http(h, &(struct pl_harness_http){ .method = PL_FRONT_HTTP_POST,
					  .path = path,
					  .audio = audio,
					  .type = "application/sdp",
					  .body = pl_harness_sdp(strstr(path, "whip") != NULL ? "s0" : "r0", 1) });
}

/* A player says in its URL what it wants to hear, and cannot say it wrongly without being told. */
static void test_mode_of_a_player(void **state)
{
	(void)state;
	static const struct {
		const char *audio;
		uint16_t status;
		enum pl_audio_mode mode;
		const char *msg;
	} cases[] = {
		{ NULL, 201, PL_AUDIO_FORWARD, NULL },
		{ "forward", 201, PL_AUDIO_FORWARD, NULL },
		{ "mixed", 201, PL_AUDIO_MIXED, NULL },
		{ "auto", 201, PL_AUDIO_AUTO, NULL },
		{ "", 400, 0, "url.audio: 0 bytes; it must be a string of 1 to 16 bytes" },
		{ "loud", 400, 0,
			"url.audio: \\\"loud\\\"; it must be \\\"forward\\\", \\\"mixed\\\" or \\\"auto\\\"" },
		{ "\xff", 400, 0, "url: the room, the name and audio must be UTF-8" },
	};
	struct pl_harness h;
	start(&h, FULL_AND_ROBUST);
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		const struct pl_harness_response *r = post_audio(&h, "/v1/whep/kitchen", cases[i].audio);
		assert_int_equal(r->status, cases[i].status);
		if (cases[i].msg == NULL) {
			const struct pl_command *command = pl_harness_take_command(&h, PL_COMMAND_JOIN);
			assert_int_equal(command->description->audio_mode, cases[i].mode);
		} else if (strstr(r->body, cases[i].msg) == NULL) {
			fail_msg("%s", r->body);
		}
	}
	pl_harness_expect_no_command(&h);
	/* Who publishes hears nothing: the argument is one of the many that are passed over. */
	assert_int_equal(post_audio(&h, "/v1/whip/kitchen", "loud")->status, 201);
	assert_int_equal(pl_harness_take_command(&h, PL_COMMAND_JOIN)->description->audio_mode, PL_AUDIO_FORWARD);
	pl_harness_stop(&h);
}

static void test_mode_of_a_player_without_workers(void **state)
{
	(void)state;
	struct pl_harness h;
	start(&h, 0);
	const struct pl_harness_response *r = post_audio(&h, "/v1/whep/kitchen", "mixed");
	assert_int_equal(r->status, 422);
	assert_non_null(strstr(r->body, "\"code\":\"unsupported\",\"msg\":\"url.audio: this server does not mix;"));
	pl_harness_expect_no_command(&h);
	assert_int_equal(post_audio(&h, "/v1/whep/kitchen", "auto")->status, 201);
	pl_harness_take_command(&h, PL_COMMAND_JOIN);
	pl_harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mode_of_a_join_is_the_media_plane_s),
		cmocka_unit_test(test_mode_changes_without_an_offer),
		cmocka_unit_test(test_mode_that_is_not_there_is_refused),
		cmocka_unit_test(test_mode_without_workers),
		cmocka_unit_test(test_mode_waits_for_no_ring),
		cmocka_unit_test(test_mode_slots_name_the_mix),
		cmocka_unit_test(test_mode_outlives_the_connection),
		cmocka_unit_test(test_mode_of_a_player),
		cmocka_unit_test(test_mode_of_a_player_without_workers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
