/* WHIP and WHEP as the front sees them: sessions without a connection, in the same rooms as all others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/front_harness.h"

#define SDP      "application/sdp"
#define FRAGMENT "application/trickle-ice-sdpfrag"
#define RESTART  "a=ice-ufrag:ufrag9\r\na=ice-pwd:999999999999999999999999\r\n"
#define NOBODY   "/v1/whip/kitchen/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static const struct pl_harness_response *ask(
	struct pl_harness *h, enum pl_front_http_method method, const char *path, const char *type, const char *body)
{
	const struct pl_harness_http http = {
		.method = method, .path = path, .type = type, .body = body, .if_match = "*"
	};
	return pl_harness_http(h, &http);
}

static const struct pl_harness_response *patch(
	struct pl_harness *h, const char *path, const char *if_match, const char *body)
{
	const struct pl_harness_http http = {
		.method = PL_FRONT_HTTP_PATCH, .path = path, .type = FRAGMENT, .body = body, .if_match = if_match
	};
	return pl_harness_http(h, &http);
}

static void assert_error(const struct pl_harness_response *r, uint16_t status, const char *code)
{
	json_t *body = json_loads(r->body, 0, NULL);
	assert_string_equal(pl_harness_field(r, "Content-Type"), "application/json");
	if (r->status != status || strcmp(json_string_value(json_object_get(body, "code")), code) != 0)
		fail_msg("%u %s, not %u %s", r->status, r->body, status, code);
	assert_true(json_string_length(json_object_get(body, "msg")) > 0);
	json_decref(body);
}

/* The first sound waits for nothing else: one request in, and the answer and the command are out.  WHIP takes one track
 * and no slot, whatever else the offer would do. */
static void test_http_publisher_is_a_participant(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	const struct pl_harness_member ann = pl_harness_join(&h, "a/b", "Ann");
	const struct pl_harness_response *r =
		pl_harness_http(&h, &(struct pl_harness_http){ .method = PL_FRONT_HTTP_POST,
					    .path = "/v1/whip/a/b",
					    .name = "Cam",
					    .type = "Application/SDP ; charset=utf-8",
					    .body = pl_harness_sdp("b0 s1 r2 x3", 1) });
	assert_int_equal(r->status, 201);
	assert_string_equal(pl_harness_field(r, "Content-Type"), SDP);
	assert_string_equal(pl_harness_field(r, "Accept-Patch"), FRAGMENT);
	assert_memory_equal(pl_harness_field(r, "Location"), "/v1/whip/a%2Fb/", 15);
	const struct pl_command *command = pl_harness_take_command(&h, PL_COMMAND_JOIN);
	const struct pl_description *d = command->description;
	assert_int_equal(d->track_count, 1);
	assert_int_equal(d->slot_count, 0);
	assert_string_equal(d->track[0].mid, "0");
	assert_string_equal(d->remote_ufrag, "ufrag1");
	assert_non_null(strstr(r->body, d->local.ufrag));
	assert_non_null(strstr(r->body, "a=mid:0\r\na=recvonly"));
	assert_null(strstr(r->body, "a=sendonly"));
	assert_null(strstr(r->body, "a=sendrecv"));
	assert_non_null(strstr(pl_harness_field(r, "ETag"), d->local.ufrag));

	char path[PL_HARNESS_HEAD_SIZE] = "/v1/whip/a/b";
	strcat(path, strrchr(pl_harness_field(r, "Location"), '/'));
	const uint32_t source = command->source;
	pl_harness_expect(&h, ann.connection,
		"{'t':'peer','n':1,'op':'join','peer':{'peer':'p%08x','name':'Cam','tracks':[{'track':'*','muted':"
		"false}]}}",
		source);
	assert_int_equal(ask(&h, PL_FRONT_HTTP_DELETE, path, NULL, NULL)->status, 200);
	assert_int_equal(pl_harness_take_command(&h, PL_COMMAND_LEAVE)->source, source);
	pl_harness_expect(
		&h, ann.connection, "{'t':'peer','n':2,'op':'leave','peer':{'peer':'p%08x'},'reason':'left'}", source);
	assert_error(ask(&h, PL_FRONT_HTTP_DELETE, path, NULL, NULL), 404, "no_session");
	pl_harness_expect_no_command(&h);
	pl_harness_stop(&h);
}

/* Who plays hears as many voices as it asked for, and says nothing even if it offers to. */
static void test_http_player_has_a_slot_per_line(void **state)
{
	(void)state;
	static const struct {
		const char *media;
		uint8_t slots;
	} cases[] = {
		{ "r0", 1 },
		{ "b0 r1 s2", 2 },
		{ "r0 r1 r2 r3 r4 r5 r6 r7 r8 r9 r10 r11 r12 r13 r14 r15 r16 r17", PL_SLOTS_MAX },
	};
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		pl_harness_post(&h, "whep", "kitchen", cases[i].media);
		const struct pl_description *d = h.command[h.command_read - 1].description;
		assert_int_equal(d->slot_count, cases[i].slots);
		assert_int_equal(d->track_count, 0);
		size_t sends = 0;
		for (const char *at = h.response.body; (at = strstr(at, "a=sendonly")) != NULL; at++)
			sends++;
		assert_int_equal(sends, cases[i].slots);
	}
	pl_harness_stop(&h);
}

/* Events have nobody to go to, and the id in the URL is no key to anything else. */
static void test_http_session_hears_nothing_and_cannot_be_resumed(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	const struct pl_harness_whip cam = pl_harness_post(&h, "whip", "kitchen", "s0");
	const struct pl_harness_member ann = pl_harness_join(&h, "kitchen", "Ann");
	pl_harness_say(&h, ann.connection, "{'t':'data','id':3,'topic':'x','body':1,'to':['%s']}", cam.peer);
	pl_harness_expect(&h, ann.connection, "{'t':'ok','id':3}");
	const struct pl_event connected = { .kind = PL_EVENT_CONNECTED, .room = cam.room, .source = cam.source };
	pl_harness_event(&h, &connected);
	assert_int_equal(h.output_count, 0);
	const struct pl_event speakers = { .kind = PL_EVENT_SPEAKERS,
		.room = cam.room,
		.speakers = { .count = 1, .top = { cam.source }, .dominant = cam.source } };
	pl_harness_event(&h, &speakers);
	pl_harness_expect(&h, ann.connection, "{'t':'speakers','top':['%s']}", cam.peer);

	struct pl_harness_member stolen = { .source = cam.source };
	snprintf(stolen.session, sizeof stolen.session, "%s", strrchr(cam.location, '/') + 1);
	const uint64_t thief = pl_harness_resume(&h, &stolen, "kitchen", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 0, NULL);
	pl_harness_expect(&h, thief, "{'t':'err','code':'no_session'}");
	char path[PL_HARNESS_HEAD_SIZE];
	snprintf(path, sizeof path, "/v1/whip/kitchen/%s", ann.session);
	assert_error(ask(&h, PL_FRONT_HTTP_DELETE, path, NULL, NULL), 404, "no_session");
	pl_harness_pass(&h, 10 * PL_FRONT_RESUME_MS);
	assert_int_equal(patch(&h, cam.location, "*", "")->status, 204);
	pl_harness_stop(&h);
}

/* A path change is survived: new credentials of both sides, and all else is what it was. */
static void test_http_ice_restart_keeps_the_session(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	const struct pl_harness_whip player = pl_harness_post(&h, "whep", "kitchen", "i5 r0 r1");
	const struct pl_description before = *h.command[h.command_read - 1].description;
	const struct pl_harness_response *r = patch(&h, player.location, "*", RESTART "a=candidate:1 nonsense\r\n");
	assert_int_equal(r->status, 200);
	assert_string_equal(pl_harness_field(r, "Content-Type"), FRAGMENT);
	const struct pl_command *command = pl_harness_take_command(&h, PL_COMMAND_UPDATE);
	const struct pl_description *d = command->description;
	assert_int_equal(command->source, player.source);
	assert_string_equal(d->remote_ufrag, "ufrag9");
	assert_string_not_equal(d->local.ufrag, before.local.ufrag);
	assert_string_not_equal(d->local.pwd, before.local.pwd);
	assert_memory_equal(d->slot, before.slot, sizeof before.slot);
	assert_int_equal(d->slot_count, 2);
	assert_int_equal(d->dtls_role, before.dtls_role);
	assert_non_null(strstr(r->body, d->local.ufrag));
	assert_non_null(strstr(r->body, d->local.pwd));
	assert_non_null(strstr(r->body, "a=ice-lite\r\n"));
	assert_non_null(strstr(r->body, "127.0.0.1 3478 typ host"));
	char etag[64];
	snprintf(etag, sizeof etag, "%s", pl_harness_field(r, "ETag"));
	assert_string_not_equal(etag, player.etag);

	/* The same fragment again is that ICE session's, not a third one. */
	assert_int_equal(patch(&h, player.location, etag, RESTART)->status, 204);
	assert_string_equal(pl_harness_field(&h.response, "ETag"), "");
	pl_harness_expect_no_command(&h);
	pl_harness_stop(&h);
}

/* On several shards each has its own port: the answer and the fragment after a restart both name the session's. */
static void test_http_candidates_are_of_the_shard(void **state)
{
	(void)state;
	bool is_met[2] = { false, false };
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .shards = 2 });
	for (unsigned i = 0; i < 4; i++) {
		char room[2] = { (char)('a' + i), '\0' }, candidate[48];
		const struct pl_harness_whip cam = pl_harness_post(&h, "whip", room, "s0");
		const uint8_t shard = h.command[h.command_read - 1].shard;
		snprintf(candidate, sizeof candidate, "127.0.0.1 %u typ host", PL_HARNESS_PORT + shard);
		assert_non_null(strstr(h.response.body, candidate));
		assert_int_equal(patch(&h, cam.location, "*", RESTART)->status, 200);
		assert_int_equal(pl_harness_take_command(&h, PL_COMMAND_UPDATE)->shard, shard);
		assert_non_null(strstr(h.response.body, candidate));
		is_met[shard] = true;
	}
	assert_true(is_met[0] && is_met[1]);
	pl_harness_stop(&h);
}

/* Requests may overtake each other: what was meant for an ICE session of the past changes nothing. */
static void test_http_if_match_is_honoured(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	const struct pl_harness_whip cam = pl_harness_post(&h, "whip", "kitchen", "s0");
	char weak[80], listed[80];
	snprintf(weak, sizeof weak, "W/%s", cam.etag);
	snprintf(listed, sizeof listed, "\"a\" ,W/\"b\",, %s", cam.etag);
	const struct {
		const char *if_match;
		uint16_t status;
	} cases[] = {
		{ NULL, 428 },
		{ "*", 204 },
		{ "\"*\"", 204 },
		{ cam.etag, 204 },
		{ listed, 204 },
		{ weak, 412 },
		{ "", 412 },
		{ "\"", 412 },
		{ "\"\"", 412 },
		{ "W/", 412 },
		{ "abc", 412 },
		{ "\"abc\"", 412 },
		{ "W/\"*\"", 412 },
		{ ", ,", 412 },
	};
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		const uint16_t status = patch(&h, cam.location, cases[i].if_match, "a=end-of-candidates\r\n")->status;
		if (status != cases[i].status)
			fail_msg("%s: %u", cases[i].if_match, status);
	}
	assert_int_equal(patch(&h, cam.location, cam.etag, RESTART)->status, 200);
	pl_harness_take_command(&h, PL_COMMAND_UPDATE);
	assert_error(patch(&h, cam.location, cam.etag, RESTART), 412, "stale");
	pl_harness_expect_no_command(&h);
	pl_harness_stop(&h);
}

/* A DELETE ends the session whatever If-Match says: the tag is of an ICE session, and who sends it with a DELETE is to be
 * ignored (RFC 9725 section 4.3.1). */
static void test_http_delete_ignores_if_match(void **state)
{
	(void)state;
	static const char *const fields[] = { NULL, "*", "\"abc\"", "", "W/\"*\"" };
	static const char *const apis[] = { "whip", "whep" };
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	for (size_t i = 0; i < PL_COUNT(apis) * PL_COUNT(fields); i++) {
		const struct pl_harness_whip cam =
			pl_harness_post(&h, apis[i % 2], "kitchen", i % 2 == 0 ? "s0" : "r0");
		const struct pl_harness_http http = {
			.method = PL_FRONT_HTTP_DELETE, .path = cam.location, .if_match = fields[i / 2]
		};
		assert_int_equal(pl_harness_http(&h, &http)->status, 200);
		pl_harness_take_command(&h, PL_COMMAND_LEAVE);
	}
	pl_harness_stop(&h);
}

/* A fragment is hostile until it is read, and a flood of restarts is not the media plane's trouble. */
static void test_http_fragments_are_bounded(void **state)
{
	(void)state;
	static const char *const broken[] = { "nonsense", "a=ice-ufrag:abcd\r\n",
		"a=ice-pwd:999999999999999999999999\r\n", "a=ice-ufrag:abc\r\na=ice-pwd:999999999999999999999999\r\n",
		"a=ice-ufrag:abcd\r\na=ice-pwd:9\r\n", "a=ice-ufrag:ab d\r\na=ice-pwd:999999999999999999999999\r\n" };
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	const struct pl_harness_whip cam = pl_harness_post(&h, "whip", "kitchen", "s0");
	for (size_t i = 0; i < PL_COUNT(broken); i++)
		assert_error(patch(&h, cam.location, "*", broken[i]), 400, "bad_sdp");
	assert_error(ask(&h, PL_FRONT_HTTP_PATCH, cam.location, SDP, RESTART), 415, "bad_type");

	unsigned restarts = 0;
	for (unsigned i = 0; i < 100; i++) {
		char fragment[96];
		snprintf(fragment, sizeof fragment, "a=ice-ufrag:many%u\na=ice-pwd:999999999999999999999999\n", i);
		restarts += patch(&h, cam.location, "*", fragment)->status == 200;
	}
	assert_int_equal(restarts, PL_FRONT_RESTARTS_BURST);
	assert_error(patch(&h, cam.location, "*", RESTART), 429, "rate");
	pl_harness_pass(&h, 1000);
	h.commands_free = 0;
	assert_error(patch(&h, cam.location, "*", RESTART), 503, "busy");
	h.commands_free = 8;
	assert_int_equal(patch(&h, cam.location, "*", RESTART)->status, 200);
	pl_harness_stop(&h);
}

/* Each mistake has its status and its word, and makes neither a room nor a command. */
static void test_http_mistakes_are_answered(void **state)
{
	(void)state;
	static const struct {
		enum pl_front_http_method method;
		const char *path, *type, *media;
		int64_t content_length;
		uint16_t status;
		const char *code, *allow;
	} cases[] = {
		{ PL_FRONT_HTTP_OTHER, "/v1/whip/kitchen", NULL, NULL, 0, 405, "bad_method", "OPTIONS, POST" },
		{ PL_FRONT_HTTP_PATCH, "/v1/whip/kitchen", FRAGMENT, "s0", 0, 405, "bad_method", "OPTIONS, POST" },
		{ PL_FRONT_HTTP_DELETE, "/v1/whep", NULL, NULL, 0, 405, "bad_method", "OPTIONS, POST" },
		{ PL_FRONT_HTTP_POST, NOBODY, SDP, "s0", 0, 405, "bad_method", "OPTIONS, PATCH, DELETE" },
		{ PL_FRONT_HTTP_OTHER, NOBODY, NULL, NULL, 0, 405, "bad_method", "OPTIONS, PATCH, DELETE" },
		{ PL_FRONT_HTTP_DELETE, NOBODY, NULL, NULL, 0, 404, "no_session", "" },
		{ PL_FRONT_HTTP_DELETE, "/v1/whip/kitchen/", NULL, NULL, 0, 404, "no_session", "" },
		{ PL_FRONT_HTTP_PATCH, NOBODY, FRAGMENT, "s0", 0, 404, "no_session", "" },
		{ PL_FRONT_HTTP_POST, "/v1/whip/kitchen", NULL, "s0", 0, 415, "bad_type", "" },
		{ PL_FRONT_HTTP_POST, "/v1/whip/kitchen", "application/sdpx", "s0", 0, 415, "bad_type", "" },
		{ PL_FRONT_HTTP_POST, "/v1/whip/kitchen", SDP, "s0", -1, 411, "no_length", "" },
		{ PL_FRONT_HTTP_POST, "/v1/whip/kitchen", SDP, "s0", 65537, 413, "too_large", "" },
		{ PL_FRONT_HTTP_POST, "/v1/whip/kitchen", SDP, NULL, -1, 411, "no_length", "" },
		{ PL_FRONT_HTTP_POST, "/v1/whip", SDP, "s0", 0, 400, "bad_field", "" },
		{ PL_FRONT_HTTP_POST, "/v1/whip/a\nb", SDP, "s0", 0, 400, "bad_field", "" },
		{ PL_FRONT_HTTP_POST, "/v1/whip/\xff", SDP, "s0", 0, 400, "bad_field", "" },
		{ PL_FRONT_HTTP_POST, "/v1/whip/kitchen", SDP, "x0", 0, 400, "bad_sdp", "" },
		{ PL_FRONT_HTTP_POST, "/v1/whip/kitchen", SDP, "r0 i1", 0, 422, "unsupported", "" },
		{ PL_FRONT_HTTP_POST, "/v1/whep/kitchen", SDP, "s0 i1", 0, 422, "unsupported", "" },
	};
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		const struct pl_harness_http http = {
			.method = cases[i].method,
			.path = cases[i].path,
			.type = cases[i].type,
			.if_match = "*",
			.body = cases[i].media != NULL ? pl_harness_sdp(cases[i].media, 1) : NULL,
			.content_length = cases[i].content_length,
		};
		assert_error(pl_harness_http(&h, &http), cases[i].status, cases[i].code);
		assert_string_equal(pl_harness_field(&h.response, "Allow"), cases[i].allow);
		assert_string_equal(pl_harness_field(&h.response, "Access-Control-Allow-Origin"), "*");
	}
	pl_harness_expect_no_command(&h);
	assert_int_equal(pl_front_counters(h.front)->rooms, 0);
	pl_harness_stop(&h);
}

/* Nothing that a client puts into a URL becomes a header line of ours. */
static void test_http_location_is_escaped(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	const struct pl_harness_whip cam = pl_harness_post(&h, "whip", "K\xc3\xbc %/../\"<", "s0");
	assert_memory_equal(cam.location, "/v1/whip/K%C3%BC%20%25%2F%2E%2E%2F%22%3C/", 41);
	char longest[PL_ROOM_NAME_MAX + 1] = "";
	memset(longest, '%', sizeof longest - 1);
	const struct pl_harness_whip other = pl_harness_post(&h, "whep", longest, "r0");
	assert_int_equal(strlen(other.location), 9 + 3 * PL_ROOM_NAME_MAX + 1 + 32);
	pl_harness_stop(&h);
}

/* Limits are the same for all, and who is refused is told when to come again. */
static void test_http_limits_are_shared(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .participants = 3, .rooms = 2, .room_participants = 2 });
	const char *offer = pl_harness_sdp("s0", 1);
	pl_harness_post(&h, "whip", "one", "s0");
	h.commands_free = 0;
	assert_error(ask(&h, PL_FRONT_HTTP_POST, "/v1/whip/one", SDP, offer), 503, "busy");
	h.commands_free = 100;
	pl_harness_join(&h, "one", "Ann");
	assert_error(ask(&h, PL_FRONT_HTTP_POST, "/v1/whip/one", SDP, offer), 503, "room_full");
	const int after_s = atoi(pl_harness_field(&h.response, "Retry-After"));
	assert_in_range(after_s, PL_FRONT_RETRY_MS_MIN / 1000, PL_FRONT_RETRY_MS_MAX / 1000);
	const struct pl_harness_whip two = pl_harness_post(&h, "whep", "two", "r0");
	assert_error(ask(&h, PL_FRONT_HTTP_POST, "/v1/whip/three", SDP, offer), 503, "server_full");
	assert_int_equal(ask(&h, PL_FRONT_HTTP_DELETE, two.location, NULL, NULL)->status, 200);
	pl_harness_take_command(&h, PL_COMMAND_LEAVE);
	pl_harness_post(&h, "whip", "three", "s0");
	pl_harness_stop(&h);
}

/* Whoever goes without a DELETE goes with their media; others hear why, and the URL is nobody's from then on. */
static void test_http_session_ends_with_its_media(void **state)
{
	(void)state;
	static const struct {
		enum pl_event_kind kind;
		enum pl_close close;
		const char *reason;
	} cases[] = {
		{ PL_EVENT_GONE, PL_CLOSE_PEER, "left" },
		{ PL_EVENT_GONE, PL_CLOSE_CONSENT, "lost" },
		{ PL_EVENT_REFUSED, PL_CLOSE_NONE, "lost" },
	};
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	const struct pl_harness_member ann = pl_harness_join(&h, "kitchen", "Ann");
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		const struct pl_harness_whip cam = pl_harness_post(&h, "whip", "kitchen", "s0");
		pl_harness_expect(&h, ann.connection, "{'t':'peer','op':'join'}");
		const struct pl_event end = {
			.kind = cases[i].kind, .room = cam.room, .source = cam.source, .close = cases[i].close
		};
		pl_harness_event(&h, &end);
		pl_harness_take_command(&h, PL_COMMAND_LEAVE); /* should another JOIN have crossed the event */
		pl_harness_expect(&h, ann.connection, "{'t':'peer','op':'leave','peer':{'peer':'%s'},'reason':'%s'}",
			cam.peer, cases[i].reason);
		assert_error(ask(&h, PL_FRONT_HTTP_DELETE, cam.location, NULL, NULL), 404, "no_session");
	}
	pl_harness_stop(&h);
}

/* The server's end is theirs, too, and nobody comes in behind it. */
static void test_http_ends_at_shutdown(void **state)
{
	(void)state;
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	const struct pl_harness_whip cam = pl_harness_post(&h, "whip", "kitchen", "s0");
	pl_harness_shutdown(&h);
	assert_int_equal(pl_front_counters(h.front)->sessions, 0);
	assert_error(ask(&h, PL_FRONT_HTTP_DELETE, cam.location, NULL, NULL), 404, "no_session");
	assert_error(ask(&h, PL_FRONT_HTTP_POST, "/v1/whip/kitchen", SDP, pl_harness_sdp("s0", 1)), 503, "shutdown");
	pl_harness_stop(&h);

	/* Destroyed in the middle of things, nothing is leaked: sanitizers see to that. */
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	pl_harness_post(&h, "whip", "kitchen", "s0");
	pl_harness_post(&h, "whep", "kitchen", "r0");
	pl_harness_abandon(&h);
}

/* A page of another site asks first, whatever it is about to do. */
static void test_http_preflight_is_allowed(void **state)
{
	(void)state;
	static const char *const paths[] = { "/v1/whip/kitchen", NOBODY };
	struct pl_harness h;
	pl_harness_start(&h, (struct pl_harness_limits){ .rooms = 0 });
	for (size_t i = 0; i < PL_COUNT(paths); i++) {
		const struct pl_harness_response *r = ask(&h, PL_FRONT_HTTP_OPTIONS, paths[i], NULL, NULL);
		assert_int_equal(r->status, 200);
		assert_string_equal(r->body, "");
		assert_string_equal(pl_harness_field(r, "Accept-Post"), SDP);
		assert_non_null(strstr(pl_harness_field(r, "Access-Control-Allow-Methods"), "PATCH"));
		assert_non_null(strstr(pl_harness_field(r, "Access-Control-Allow-Headers"), "If-Match"));
		assert_non_null(strstr(pl_harness_field(r, "Access-Control-Expose-Headers"), "Location, ETag, Link"));
	}
	assert_false(pl_front_http_is_path("/v1/whips/a") || pl_front_http_is_path("/v1/ws") ||
		     pl_front_http_is_path("/v1/whi"));
	pl_harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_http_publisher_is_a_participant),
		cmocka_unit_test(test_http_player_has_a_slot_per_line),
		cmocka_unit_test(test_http_session_hears_nothing_and_cannot_be_resumed),
		cmocka_unit_test(test_http_ice_restart_keeps_the_session),
		cmocka_unit_test(test_http_candidates_are_of_the_shard),
		cmocka_unit_test(test_http_if_match_is_honoured),
		cmocka_unit_test(test_http_delete_ignores_if_match),
		cmocka_unit_test(test_http_fragments_are_bounded),
		cmocka_unit_test(test_http_mistakes_are_answered),
		cmocka_unit_test(test_http_location_is_escaped),
		cmocka_unit_test(test_http_limits_are_shared),
		cmocka_unit_test(test_http_session_ends_with_its_media),
		cmocka_unit_test(test_http_ends_at_shutdown),
		cmocka_unit_test(test_http_preflight_is_allowed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
