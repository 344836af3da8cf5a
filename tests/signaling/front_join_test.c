/* Coming into a room: what a newcomer is given, and what the others are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/front_harness.h"
#include "tests/support/sdp_answer.h"

/* The first sound waits for nothing else: one message in, and the answer to the offer, the secrets to resume with and
 * the command to the media plane are out. */
static void test_join_is_one_round_trip(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	const uint64_t c = pl_harness_open(&h);
	pl_harness_say(&h, c,
		"{'t':'join','id':7,'v':1,'room':'kitchen','name':'Ann','attrs':{'color':'red'},'audio':'forward',"
		"'token':'any','from the future':true,'sdp':'%s'}",
		pl_harness_offer("s0 r1 b2 x3", 1));

	const json_t *welcome = pl_harness_expect(&h, c,
		"{'t':'welcome','id':7,'v':1,'session':'*','ticket':'*','ttl_ms':60000,'n':0,'resumed':false,"
		"'you':{'peer':'*','source':'*','name':'Ann','attrs':{'color':'red'},'tracks':["
		"{'track':'*','mid':'0','kind':'audio','muted':false},{'track':'*','mid':'2','kind':'audio','muted':"
		"false}]},"
		"'room':{'name':'kitchen'},'peers':[],'slots':["
		"{'slot':0,'mid':'1','kind':'audio','ssrc':'*','peer':null,'track':null,'mix':null},"
		"{'slot':1,'mid':'2','kind':'audio','ssrc':'*','peer':null,'track':null,'mix':null}],"
		"'audio':{'mode':'forward','quality':'full','modes':['forward','auto'],'qualities':[]},"
		"'sdp':'*','ice':{'lite':true},"
		"'limits':{'message_bytes':65536,'data_bytes':16384,'attrs_bytes':4096,'name_bytes':128,'slots':16,"
		"'tracks':8},'pressure':{'level':0,'name':'nominal'}}");
	pl_harness_expect_silence(&h, c);
	assert_null(json_object_get(welcome, "replayed"));

	const struct pl_command *command = pl_harness_take_command(&h, PL_COMMAND_JOIN);
	const struct pl_description *d = command->description;
	const char *sdp = json_string_value(json_object_get(welcome, "sdp"));
	const json_t *you = json_object_get(welcome, "you"),
		     *slot = json_array_get(json_object_get(welcome, "slots"), 1);
	assert_int_equal(command->source, json_integer_value(json_object_get(you, "source")));
	assert_int_equal(d->track_count, 2);
	assert_int_equal(d->slot_count, 2);
	assert_string_equal(d->slot[1].mid, "2");
	assert_int_equal(d->slot[1].ssrc, json_integer_value(json_object_get(slot, "ssrc")));
	/* What the media plane was told is what the browser was told. */
	assert_string_equal(d->remote_ufrag, "ufrag1");
	assert_non_null(strstr(sdp, d->local.ufrag));
	assert_non_null(strstr(sdp, d->local.pwd));
	assert_non_null(strstr(sdp, d->cname));
	assert_non_null(strstr(sdp, "127.0.0.1 3478 typ host"));
	assert_non_null(strstr(sdp, "m=video 0 "));
	pl_harness_expect_no_command(&h);
	pl_harness_stop(&h);
}

/* The offer of a telephone: one m-line of PCMU and PCMA, and what telephones have beside. */
static const char *telephone_offer(void)
{
	static char text[4096];
	const char *offer = pl_harness_offer("b0", 1), *format = strstr(offer, "SAVPF 111"),
		   *map = strstr(offer, "a=rtpmap");
	assert_true(format != NULL && map != NULL);
	const int size = snprintf(text, sizeof text, "%.*sSAVPF 8 0 13 101%.*sa=maxptime:60\\r\\na=sendrecv\\r\\n",
		(int)(format - offer), offer, (int)(map - format) - 9, format + 9);
	assert_true(size > 0 && (size_t)size < sizeof text);
	return text;
}

/* A server that transcodes takes a telephone, and tells the media plane what it speaks; any other refuses it by the
 * codec that it needs. */
static void test_join_of_a_telephone(void **state)
{
	(void)state;
	for (int takes_g711 = 0; takes_g711 < 2; takes_g711++) {
		struct pl_harness h;
		pl_harness_start(&h, (struct pl_harness_limits){ .takes_g711 = takes_g711 });
		const uint64_t c = pl_harness_open(&h);
		pl_harness_say(&h, c, "{'t':'join','id':1,'v':1,'room':'kitchen','sdp':'%s'}", telephone_offer());
		if (!takes_g711) {
			const json_t *err = pl_harness_expect(&h, c, "{'t':'err','id':1,'code':'bad_sdp','msg':'*'}");
			assert_non_null(strstr(
				json_string_value(json_object_get(err, "msg")), "audio with opus/48000/2 is needed"));
			pl_harness_expect_no_command(&h);
			pl_harness_stop(&h);
			continue;
		}
		const json_t *welcome = pl_harness_expect(&h, c, "{'t':'welcome','id':1,'sdp':'*'}");
		const char *sdp = json_string_value(json_object_get(welcome, "sdp"));
		assert_non_null(strstr(sdp, "UDP/TLS/RTP/SAVPF 8\r\n"));
		assert_non_null(strstr(sdp, "a=rtpmap:8 PCMA/8000\r\n"));
		assert_null(strstr(sdp, "opus"));
		const struct pl_description *d = pl_harness_take_command(&h, PL_COMMAND_JOIN)->description;
		assert_int_equal(d->track_count, 1);
		assert_int_equal(d->track[0].coding, PL_CODING_PCMA);
		assert_int_equal(d->track[0].clock_hz, 8000);
		assert_int_equal(d->track[0].payload_type, 8);
		assert_int_equal(d->slot_count, 1);
		assert_int_equal(d->slot[0].coding, PL_CODING_PCMA);
		assert_int_equal(d->slot[0].clock_hz, 8000);
		assert_int_equal(d->slot[0].payload_type, 8);
		assert_int_equal(d->slot[0].ptime_max_ms, 60);
		pl_harness_stop(&h);
	}
}

/* A gateway of telephones: neither a group nor a name for its one m-line, in the offer that joins and in the next.  Its track and
 * slot stay the same ones. */
static void test_join_of_one_m_line_without_a_group(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .takes_g711 = true });
	char offer[4096];
	snprintf(offer, sizeof offer, "%s", pl_sdp_changed(telephone_offer(), "a=group:BUNDLE 0\\r\\n", ""));
	snprintf(offer, sizeof offer, "%s", pl_sdp_changed(offer, "a=mid:0\\r\\n", ""));
	const uint64_t c = pl_harness_open(&h);
	pl_harness_say(&h, c, "{'t':'join','id':1,'v':1,'room':'kitchen','sdp':'%s'}", offer);
	const json_t *welcome = pl_harness_expect(
		&h, c, "{'t':'welcome','id':1,'sdp':'*','you':{'tracks':['*']},'slots':[{'mid':''}]}");
	const char *sdp = json_string_value(json_object_get(welcome, "sdp"));
	assert_null(strstr(sdp, "a=group"));
	assert_null(strstr(sdp, "a=mid"));
	const struct pl_description *d = pl_harness_take_command(&h, PL_COMMAND_JOIN)->description;
	assert_int_equal(d->track_count, 1);
	assert_int_equal(d->slot_count, 1);
	assert_string_equal(d->slot[0].mid, "");
	const uint32_t track = d->track[0].track, ssrc = d->slot[0].ssrc;
	pl_harness_say(&h, c, "{'t':'offer','id':2,'sdp':'%s'}", offer);
	pl_harness_expect(&h, c, "{'t':'answer','id':2,'sdp':'*'}");
	d = pl_harness_take_command(&h, PL_COMMAND_UPDATE)->description;
	assert_int_equal(d->track[0].track, track);
	assert_int_equal(d->slot[0].ssrc, ssrc);
	pl_harness_stop(&h);
}

/* What a browser says that it can take is told to the media plane for each of its slots. */
static void test_join_tells_what_each_slot_takes(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	const uint64_t c = pl_harness_open(&h);
	pl_harness_say(&h, c,
		"{'t':'join','id':1,'v':1,'room':'kitchen','sdp':'%sa=fmtp:111 "
		"maxaveragebitrate=20000;stereo=1;useinbandfec=1"
		"\\r\\na=ptime:40\\r\\n'}",
		pl_harness_offer("s0 r1 r2", 1));
	pl_harness_expect(&h, c, "{'t':'welcome','id':1,'sdp':'*'}");
	const struct pl_description *d = pl_harness_take_command(&h, PL_COMMAND_JOIN)->description;
	assert_int_equal(d->slot_count, 2);
	for (uint8_t i = 0; i < 2; i++) {
		assert_int_equal(d->slot[i].coding, PL_CODING_OPUS);
		assert_int_equal(d->slot[i].clock_hz, 48000);
	}
	assert_int_equal(d->track[0].coding, PL_CODING_OPUS);
	assert_int_equal(d->track[0].clock_hz, 48000);
	assert_int_equal(d->slot[0].bitrate_max_bps, 0);
	assert_false(d->slot[0].is_stereo || d->slot[0].has_fec);
	assert_int_equal(d->slot[1].bitrate_max_bps, 20000);
	assert_int_equal(d->slot[1].ptime_ms, 40);
	assert_true(d->slot[1].is_stereo && d->slot[1].has_fec);
	pl_harness_stop(&h);
}

/* Who comes late sees everyone, with the state of now; who is there hears of each newcomer once, and of nobody in other
 * rooms. */
static void test_join_roster_is_complete_for_everyone(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	const struct pl_harness_member ann = pl_harness_join(&h, "kitchen", "Ann");
	const struct pl_harness_member bob = pl_harness_join(&h, "kitchen", "Bob");
	const struct pl_harness_member far = pl_harness_join(&h, "cellar", "Far");
	pl_harness_say(&h, bob.connection, "{'t':'mute','id':1,'track':'%s','on':true}", bob.track);
	pl_harness_say(&h, bob.connection, "{'t':'meta','id':2,'name':'Robert','attrs':{'hat':1}}");

	struct pl_harness_member cat = { .connection = pl_harness_open(&h) };
	pl_harness_say(
		&h, cat.connection, "{'t':'join','id':1,'v':1,'room':'kitchen','sdp':'%s'}", pl_harness_offer("r0", 1));
	pl_harness_expect(&h, cat.connection,
		"{'t':'welcome','you':{'name':'','attrs':{},'tracks':[]},'peers':["
		"{'peer':'%s','source':%u,'name':'Ann','attrs':{},'tracks':[{'track':'%s','kind':'audio','muted':false}"
		"]},"
		"{'peer':'%s','name':'Robert','attrs':{'hat':1},'tracks':[{'track':'%s','muted':true}]}]}",
		ann.peer, ann.source, ann.track, bob.peer, bob.track);
	pl_harness_expect_silence(&h, cat.connection);

	pl_harness_expect(&h, ann.connection,
		"{'t':'peer','n':1,'op':'join','peer':{'peer':'%s','source':%u,'name':'Bob','attrs':{},"
		"'tracks':[{'track':'%s','kind':'audio','muted':false}]}}",
		bob.peer, bob.source, bob.track);
	pl_harness_expect(&h, ann.connection, "{'t':'track','n':2,'op':'update'}");
	pl_harness_expect(&h, ann.connection, "{'t':'peer','n':3,'op':'update'}");
	pl_harness_expect(&h, ann.connection, "{'t':'peer','n':4,'op':'join','peer':{'name':'','tracks':[]}}");
	pl_harness_expect_silence(&h, ann.connection);
	pl_harness_expect_silence(&h, far.connection);
	pl_harness_stop(&h);
}

/* A newcomer hears who is talking now, not only of the next change. */
static void test_join_tells_who_is_talking(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	const uint64_t first = pl_harness_open(&h);
	pl_harness_say(&h, first, "{'t':'join','id':1,'v':1,'room':'kitchen','sdp':'%s'}", pl_harness_offer("s0", 1));
	struct pl_harness_member ann;
	pl_harness_take_welcome(&h, first, &ann);
	const uint32_t room = pl_harness_take_command(&h, PL_COMMAND_JOIN)->room;
	const struct pl_event speakers = { .kind = PL_EVENT_SPEAKERS,
		.room = room,
		.speakers = { .count = 1, .top = { ann.source }, .dominant = ann.source } };
	pl_harness_event(&h, &speakers);

	const struct pl_harness_member bob = pl_harness_join(&h, "kitchen", "Bob");
	pl_harness_expect(
		&h, bob.connection, "{'t':'speakers','n':1,'top':['%s'],'dominant':'%s'}", ann.peer, ann.peer);
	pl_harness_expect_silence(&h, bob.connection);
	pl_harness_stop(&h);
}

/* Nothing but join opens the door, and knocking wrongly does not lock it. */
static void test_join_must_come_first(void **state)
{
	(void)state;
	static const char *const requests[] = {
		"{'t':'offer','id':3,'sdp':'v=0'}",
		"{'t':'mute','id':3,'track':'t00000001','on':true}",
		"{'t':'meta','id':3,'name':'x'}",
		"{'t':'data','id':3,'topic':'x','body':1}",
		"{'t':'ping','id':3}",
		"{'t':'leave','id':3}",
	};
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	const uint64_t c = pl_harness_open(&h);
	for (size_t i = 0; i < PL_COUNT(requests); i++) {
		pl_harness_say(&h, c, "%s", requests[i]);
		pl_harness_expect(&h, c, "{'t':'err','id':3,'code':'not_joined','msg':'*'}");
	}
	pl_harness_say(&h, c, "{'t':'ping'}");
	pl_harness_expect(&h, c, "{'t':'err','id':null,'code':'not_joined'}");
	pl_harness_say(&h, c, "{'t':'join','id':1,'v':1,'room':'kitchen','sdp':'%s'}", pl_harness_offer("s0", 1));
	pl_harness_expect(&h, c, "{'t':'welcome'}");
	pl_harness_expect_close(&h, c, 0);
	pl_harness_stop(&h);
}

/* A join that cannot be granted says why and leaves nothing behind: no room, no participant, no command. */
static void test_join_that_fails_changes_nothing(void **state)
{
	(void)state;
	static const struct {
		const char *fields, *media, *code;
	} c[] = {
		{ "'v':2,'room':'kitchen'", "s0", "unsupported" },
		{ "'v':1,'room':'kitchen','audio':'mixed'", "s0", "unsupported" },
		{ "'v':1,'room':'kitchen','audio':'loud'", "s0", "bad_field" },
		{ "'v':1,'room':''", "s0", "bad_field" },
		{ "'v':1,'room':7", "s0", "bad_field" },
		{ "'v':1", "s0", "bad_field" },
		{ "'v':1,'room':'kitchen','attrs':[]", "s0", "bad_field" },
		{ "'v':1,'room':'kitchen'", "x0", "bad_sdp" },
		{ "'v':1,'room':'kitchen'", "", "bad_sdp" },
	};
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	const uint64_t connection = pl_harness_open(&h);
	for (size_t i = 0; i < PL_COUNT(c); i++) {
		pl_harness_say(&h, connection, "{'t':'join','id':1,%s,'sdp':'%s'}", c[i].fields,
			pl_harness_offer(c[i].media, 1));
		pl_harness_expect(&h, connection, "{'t':'err','id':1,'code':'%s','msg':'*'}", c[i].code);
	}
	pl_harness_expect_no_command(&h);
	const struct pl_front_counters *counters = pl_front_counters(h.front);
	assert_int_equal(counters->sessions, 0);
	assert_int_equal(counters->rooms, 0);
	assert_int_equal(counters->joins, 0);
	assert_int_equal(counters->faults[PL_FAULT_BAD_SDP], 2);
	pl_harness_stop(&h);
}

/* A page that joins twice stays where it is. */
static void test_join_second_time_is_an_error(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	const struct pl_harness_member ann = pl_harness_join(&h, "kitchen", "Ann");
	pl_harness_say(
		&h, ann.connection, "{'t':'join','id':2,'v':1,'room':'cellar','sdp':'%s'}", pl_harness_offer("s0", 1));
	pl_harness_expect(&h, ann.connection, "{'t':'err','id':2,'code':'joined'}");
	pl_harness_say(&h, ann.connection,
		"{'t':'join','id':3,'v':1,'room':'kitchen','resume':{'session':'%s','ticket':'%s','n':0}}", ann.session,
		ann.ticket);
	pl_harness_expect(&h, ann.connection, "{'t':'err','id':3,'code':'joined'}");
	pl_harness_say(&h, ann.connection, "{'t':'ping','id':4}");
	pl_harness_expect(&h, ann.connection, "{'t':'pong','id':4}");
	assert_int_equal(pl_front_counters(h.front)->rooms, 1);
	pl_harness_expect_no_command(&h);
	pl_harness_stop(&h);
}

/* A connection that never joins, or only talks nonsense, is shown out after ten seconds; one that joined at the last
 * moment stays. */
static void test_join_has_ten_seconds(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	const uint64_t mute = pl_harness_open(&h);
	pl_harness_pass(&h, 1000);
	const uint64_t chatty = pl_harness_open(&h);
	pl_harness_pass(&h, 8999);
	pl_harness_say(&h, chatty, "nonsense");
	pl_harness_expect(&h, chatty, "{'t':'err','id':null,'code':'bad_json'}");
	pl_harness_expect_close(&h, mute, 0);
	const struct pl_harness_member late = pl_harness_join(&h, "kitchen", "Late");

	pl_harness_pass(&h, 1);
	pl_harness_expect(&h, mute, "{'t':'err','id':null,'code':'not_joined','msg':'no join within 10 seconds'}");
	pl_harness_expect_close(&h, mute, PL_FRONT_CLOSE_POLICY);
	pl_harness_expect_close(&h, chatty, 0);
	pl_harness_pass(&h, 1000);
	pl_harness_expect(&h, chatty, "{'t':'err','code':'not_joined'}");
	pl_harness_expect_close(&h, chatty, PL_FRONT_CLOSE_POLICY);

	/* What arrives behind the close is passed over. */
	pl_harness_say(&h, chatty, "{'t':'ping','id':1}");
	pl_harness_bad_frame(&h, chatty, PL_FAULT_TOO_LARGE);
	pl_harness_backlog(&h, chatty, SIZE_MAX);
	pl_harness_expect_silence(&h, chatty);
	pl_harness_pass(&h, 60000);
	pl_harness_expect_close(&h, late.connection, 0);
	pl_harness_stop(&h);
}

/* The ring to the media plane is full: the client is told to try again, and trying again works. */
static void test_join_waits_for_a_busy_media_plane(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	const uint64_t c = pl_harness_open(&h);
	h.commands_free = 0;
	pl_harness_say(&h, c, "{'t':'join','id':1,'v':1,'room':'kitchen','sdp':'%s'}", pl_harness_offer("s0", 1));
	pl_harness_expect(&h, c, "{'t':'err','id':1,'code':'busy'}");
	pl_harness_expect_close(&h, c, 0);
	assert_int_equal(pl_front_counters(h.front)->rooms, 0);
	h.commands_free = 1;
	pl_harness_say(&h, c, "{'t':'join','id':2,'v':1,'room':'kitchen','sdp':'%s'}", pl_harness_offer("s0", 1));
	pl_harness_expect(&h, c, "{'t':'welcome','id':2}");
	pl_harness_stop(&h);
}

/* The media plane's own tables are full although the front's are not: the participant is told and is gone. */
static void test_join_refused_by_the_media_plane_ends(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	const struct pl_harness_member ann = pl_harness_join(&h, "kitchen", "Ann");
	const struct pl_harness_member bob = pl_harness_join(&h, "kitchen", "Bob");
	pl_harness_skip_all(&h);
	const uint32_t room = h.command[0].room;
	pl_harness_event(&h, &(struct pl_event){ .kind = PL_EVENT_REFUSED, .room = room, .source = bob.source });
	pl_harness_expect(&h, bob.connection, "{'t':'bye','code':'media_lost','msg':'*','resumable':false}");
	pl_harness_expect_close(&h, bob.connection, PL_FRONT_CLOSE_NORMAL);
	pl_harness_expect(
		&h, ann.connection, "{'t':'peer','op':'leave','peer':{'peer':'%s'},'reason':'lost'}", bob.peer);
	pl_harness_expect_silence(&h, ann.connection);
	assert_int_equal(pl_front_counters(h.front)->sessions, 1);
	pl_harness_stop(&h);
}

/* More m-lines than a participant may have are rejected in the answer, not refused: the call goes on with the rest. */
static void test_join_over_the_media_limits_is_cut(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	const uint64_t c = pl_harness_open(&h);
	char media[512] = "";
	for (unsigned i = 0, size = 0; i < 30; i++)
		size += (unsigned)snprintf(media + size, sizeof media - size, "%c%u ", i < 10 ? 's' : 'r', i);
	pl_harness_say(&h, c, "{'t':'join','id':1,'v':1,'room':'kitchen','sdp':'%s'}", pl_harness_offer(media, 1));
	const json_t *welcome = pl_harness_expect(&h, c, "{'t':'welcome'}");
	assert_int_equal(json_array_size(json_object_get(welcome, "slots")), PL_SLOTS_MAX);
	const struct pl_description *d = pl_harness_take_command(&h, PL_COMMAND_JOIN)->description;
	assert_int_equal(d->track_count, PL_TRACKS_MAX);
	assert_int_equal(d->slot_count, PL_SLOTS_MAX);
	unsigned rejected = 0;
	for (const char *at = json_string_value(json_object_get(welcome, "sdp")); (at = strstr(at, "m=audio 0 ")); at++)
		rejected++;
	assert_int_equal(rejected, 30 - PL_TRACKS_MAX - PL_SLOTS_MAX);
	pl_harness_stop(&h);
}

/* The bundle stands on the m-line that its group names first: even one over the limits keeps its transport (RFC 9143
 * section 7.3.1), but takes no packets. */
static void test_join_keeps_the_bundles_own_line(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	char sdp[16384];
	snprintf(sdp, sizeof sdp, "%s", pl_harness_offer("s0 s1 s2 s3 s4 s5 s6 s7 s8", 1));
	memcpy(strstr(sdp, "BUNDLE 0"), "BUNDLE 8", 8);
	memcpy(strstr(sdp, " 8\\r"), " 0", 2);
	const uint64_t c = pl_harness_open(&h);
	pl_harness_say(&h, c, "{'t':'join','id':1,'v':1,'room':'kitchen','sdp':'%s'}", sdp);
	const json_t *welcome = pl_harness_expect(&h, c, "{'t':'welcome'}");
	assert_int_equal(pl_harness_take_command(&h, PL_COMMAND_JOIN)->description->track_count, PL_TRACKS_MAX);
	const char *answer = json_string_value(json_object_get(welcome, "sdp"));
	assert_null(strstr(answer, "m=audio 0 "));
	const char *last = strstr(answer, "a=mid:8");
	assert_non_null(last);
	assert_non_null(strstr(last, "a=inactive"));
	pl_harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_join_is_one_round_trip),
		cmocka_unit_test(test_join_of_a_telephone),
		cmocka_unit_test(test_join_of_one_m_line_without_a_group),
		cmocka_unit_test(test_join_tells_what_each_slot_takes),
		cmocka_unit_test(test_join_roster_is_complete_for_everyone),
		cmocka_unit_test(test_join_tells_who_is_talking),
		cmocka_unit_test(test_join_must_come_first),
		cmocka_unit_test(test_join_that_fails_changes_nothing),
		cmocka_unit_test(test_join_second_time_is_an_error),
		cmocka_unit_test(test_join_has_ten_seconds),
		cmocka_unit_test(test_join_waits_for_a_busy_media_plane),
		cmocka_unit_test(test_join_refused_by_the_media_plane_ends),
		cmocka_unit_test(test_join_over_the_media_limits_is_cut),
		cmocka_unit_test(test_join_keeps_the_bundles_own_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
