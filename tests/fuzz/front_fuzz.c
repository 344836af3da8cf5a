/* Four browsers, clients of WHIP and WHEP, and a media plane that do anything at any time to a front whose every table is
 * small: requests with fields that are right, nearly right or noise, connections that break, time, rings that are full,
 * events that are late, repeated or about nobody.  The harness watches what must hold always; here more of it: no table
 * over its bound, and no input with more output than everyone's share.
 *
 * The input is a list of steps: one byte of kind and browser, then what the kind takes. */
#include <stdio.h>
#include <string.h>

#include "tests/support/front_harness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	BROWSERS = 4,
	STEPS_MAX = 256,
	PARTICIPANTS_MAX = 3,
	ROOMS_MAX = 2,
	ROOM_PARTICIPANTS_MAX = 2,
	CONNECTIONS_MAX = 4,
	SHARDS = 2,
	ROOM_SPREAD = 3,
	MIX_GROUPS = 1 << PL_MIX_FULL | 1 << PL_MIX_ROBUST,
	/* A replay to one, a few to the others, and the commands. */
	OUTPUTS_MAX = PL_FRONT_EVENTS_KEPT + 16 * BROWSERS,
};

/* An HTTP request is a raw step of no bytes: so the corpus from before there was HTTP means what it meant. */
enum { STEP_SOCKET, STEP_REQUEST, STEP_CHANGED, STEP_RAW, STEP_TIME, STEP_EVENT, STEP_RING, STEP_REPEAT };

struct world {
	struct pl_harness h;
	struct pl_bytes input;
	uint64_t connection[BROWSERS];             /* 0: none */
	struct pl_harness_member member[BROWSERS]; /* by its last welcome */
	char location[BROWSERS][PL_HARNESS_HEAD_SIZE],
		etag[BROWSERS][PL_HARNESS_HEAD_SIZE]; /* of the last 201 or 200 */
};

static uint8_t take(struct world *w)
{
	if (w->input.size == 0)
		return 0;
	w->input.size--;
	return *w->input.data++;
}

/* ---- requests ---- */

static const char *offer(uint8_t choice)
{
	static const char *const media[] = { "s0 r1 r2", "b0 r1", "r1 r2 s3 s0", "i0 x1 r2", "x0",
		"s0 s1 s2 s3 s4 s5 s6 s7 s8", "r0 r1 r2 r3 r4 r5 r6 r7 r8 r9 r10 r11 r12 r13 r14 r15 r16 s17", "" };
	return pl_harness_offer(media[choice & 7], choice >> 3 & 3);
}

static int write_join(struct world *w, char *text, size_t size)
{
	const uint8_t choice = take(w);
	return snprintf(text, size, "{'t':'join','id':1,'v':1,'room':'%s','name':'%c','token':'%s','sdp':'%s'}",
		choice & 0x80   ? "attic"
		: choice & 0x40 ? "cellar"
				: "kitchen",
		'a' + (choice & 7), choice & 0x20 ? "x" : "", offer(choice));
}

static int write_resume(struct world *w, char *text, size_t size)
{
	static const char *const rooms[] = { "kitchen", "cellar", "attic", "kitchen" };
	const uint8_t choice = take(w), back = take(w);
	const struct pl_harness_member *m = &w->member[choice & 3];
	const struct pl_harness_connection *c = &w->h.connection[m->connection];
	const int64_t n = c->n > back ? c->n - back : c->n < 0 ? 0 : c->n + (back >> 4);
	const bool has_offer = (choice & 0x10) != 0;
	return snprintf(text, size,
		"{'t':'join','id':2,'v':1,'room':'%s','resume':{'session':'%s','ticket':'%s','n':%lld}%s%s%s}",
		rooms[choice >> 2 & 3], m->session, m->ticket, (long long)n, has_offer ? ",'sdp':'" : "",
		has_offer ? offer(choice >> 5) : "", has_offer ? "'" : "");
}

static int write_data(struct world *w, char *text, size_t size)
{
	const uint8_t choice = take(w);
	const char *peer = w->member[choice & 3].peer, *other = w->member[choice >> 2 & 3].peer;
	const int body = choice & 0x20 ? 15 << 10 : 1;
	if (choice & 0x10)
		return snprintf(text, size, "{'t':'data','id':3,'topic':'x','body':'%*s'}", body, "y");
	return snprintf(
		text, size, "{'t':'data','id':3,'topic':'x','body':'%*s','to':['%s','%s']}", body, "y", peer, other);
}

static int write_request(struct world *w, unsigned browser, char *text, size_t size)
{
	const uint8_t choice = take(w);
	switch (choice & 7) {
	case 0:
		return write_join(w, text, size);
	case 1:
		return write_resume(w, text, size);
	case 2:
		return snprintf(text, size, "{'t':'offer','id':4,'sdp':'%s'}", offer(take(w)));
	case 3:
		return snprintf(text, size, "{'t':'mute','id':5,'track':'%s','on':%s}",
			w->member[choice & 0x40 ? browser : choice >> 3 & 3].track, choice & 0x80 ? "true" : "false");
	case 4:
		if (choice & 0x20)
			return snprintf(text, size, "{'t':'mode','id':8,'audio':'%s','quality':'%s'}",
				pl_audio_words[choice >> 6 & 1], pl_quality_words[choice >> 3 & 3 ? 1 : 0]);
		return snprintf(
			text, size, "{'t':'meta','id':6,'name':'%c','attrs':{'x':%u}}", 'a' + (choice >> 3), choice);
	case 5:
		return write_data(w, text, size);
	case 6:
		return snprintf(text, size, "{'t':'ping','id':7}");
	default:
		return snprintf(text, size, "{'t':'leave'}");
	}
}

static void say(struct world *w, unsigned browser, const void *text, size_t size)
{
	const uint64_t c = w->connection[browser];
	if (c == 0)
		return;
	pl_harness_skip_all(&w->h);
	pl_harness_say_bytes(&w->h, c, text, size);
	const struct pl_harness_connection *heard = &w->h.connection[c];
	const json_t *first = json_array_get(heard->heard, heard->read);
	const char *t = json_string_value(json_object_get(first, "t"));
	if (t != NULL && strcmp(t, "welcome") == 0)
		pl_harness_take_welcome(&w->h, c, &w->member[browser]);
}

/* times: to come over the bounds of rates and of what is kept. */
static void request(struct world *w, unsigned browser, bool is_changed, unsigned times)
{
	static char text[PL_HARNESS_TEXT_SIZE];
	const int size = write_request(w, browser, text, sizeof text);
	PL_ASSERT(size > 0 && (size_t)size < sizeof text);
	for (char *at = text; *at != '\0'; at++) {
		if (*at == '\'')
			*at = '"';
	}
	if (is_changed) {
		const size_t at = (size_t)(take(w) << 8 | take(w)) % (size_t)size;
		text[at] = (char)take(w);
	}
	for (unsigned i = 0; i < times; i++)
		say(w, browser, text, (size_t)size);
}

/* ---- requests over HTTP ---- */

static const char *http_path(struct world *w, unsigned browser, uint8_t choice)
{
	static const char *const paths[] = { "/v1/whip/kitchen", "/v1/whep/kitchen", "/v1/whip/cellar",
		"/v1/whep/attic", "/v1/whip", "/v1/whep/a/b/", "/v1/whip/\xff", "" };
	const char *path = paths[choice & 7];
	return path[0] != '\0' && (choice & 0x40) == 0 ? path
	       : w->location[browser][0] != '\0'       ? w->location[browser]
						       : "/v1/whep/kitchen/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
}

/* What the client sends: an offer, a fragment, or noise of the input. */
static const char *http_body(struct world *w, uint8_t choice)
{
	static char text[256];
	switch (choice & 3) {
	case 0:
		return pl_harness_sdp("s0 r1 r2", choice >> 6);
	case 1:
		return pl_harness_sdp(choice & 0x80 ? "r0 r1 i2" : "b0 x1 s2", choice >> 6 & 1);
	case 2:
		snprintf(text, sizeof text, "a=ice-ufrag:ufrag%u\r\na=ice-pwd:%024u\r\na=candidate:x\r\n", choice >> 4,
			choice >> 4);
		return text;
	default:
		snprintf(text, sizeof text, "%.*s", (int)(w->input.size < 255 ? w->input.size : 255),
			w->input.size > 0 ? (const char *)w->input.data : "");
		return text;
	}
}

static void http(struct world *w, unsigned browser)
{
	static const char *const matches[] = { "*", NULL, "\"x\", W/\"y\"", "\"" };
	const uint8_t method = take(w), target = take(w), body = take(w), fields = take(w);
	char name[64], path[PL_HARNESS_HEAD_SIZE];
	snprintf(path, sizeof path, "%s", http_path(w, browser, target));
	snprintf(name, sizeof name, "%c%c", 'a' + (fields & 7), fields);
	const char *match = matches[fields >> 3 & 3];
	const struct pl_harness_http request = {
		.method = (enum pl_front_http_method)(method % 5),
		.path = path,
		.name = name,
		.audio = fields & 0x20 ? pl_audio_words[fields & 1] : NULL,
		.type = fields & 0x80                      ? NULL
			: method % 5 == PL_FRONT_HTTP_POST ? "application/sdp"
							   : "application/trickle-ice-sdpfrag",
		.if_match = fields & 0x40 ? w->etag[browser] : match,
		.body = http_body(w, body),
		.content_length = method >> 4 == 15   ? -1
				  : method >> 4 == 14 ? 70000
						      : 0,
	};
	const struct pl_harness_response *r = pl_harness_http(&w->h, &request);
	PL_ASSERT(r->status >= 200 && r->status <= 503);
	PL_ASSERT((r->status >= 400) == (strstr(r->body, "\"code\":") != NULL));
	if (r->status == 201) /* from now on the media plane's events of this browser are about its session */
		w->member[browser].source = w->h.joined[w->h.joined_count - 1].source;
	if (r->status == 201)
		snprintf(w->location[browser], sizeof w->location[browser], "%s", pl_harness_field(r, "Location"));
	if (r->status == 200 || r->status == 201)
		snprintf(w->etag[browser], sizeof w->etag[browser], "%s", pl_harness_field(r, "ETag"));
}

static void raw(struct world *w, unsigned browser)
{
	size_t size = take(w);
	if (size == 0) {
		http(w, browser);
		return;
	}
	if (size > w->input.size)
		size = w->input.size;
	say(w, browser, w->input.data, size);
	w->input.data += size;
	w->input.size -= size;
}

/* ---- all else ---- */

static void socket_step(struct world *w, unsigned browser)
{
	const uint8_t choice = take(w);
	uint64_t *c = &w->connection[browser];
	if (*c == 0 && w->h.connection_last < PL_HARNESS_CONNECTIONS_MAX) {
		*c = pl_harness_open(&w->h);
	} else if (*c != 0 && choice < 0xc0) {
		pl_harness_lose(&w->h, *c);
		*c = 0;
	} else if (*c != 0 && choice < 0xe0) {
		pl_harness_backlog(&w->h, *c, (size_t)(choice & 0x1f) << 16);
	} else if (*c != 0 && choice < 0xff) {
		pl_harness_bad_frame(&w->h, *c, choice & 1 ? PL_FAULT_TOO_LARGE : PL_FAULT_UNSUPPORTED);
	} else if (*c != 0) {
		pl_harness_shutdown(&w->h);
	}
}

/* How hard the server is pressed; what was told says little of whom it lets in, so the score is the input's, too.  The last browser's is
 * the operator's hand: the server is drained, and who asks has another address. */
static void pressure(struct world *w, unsigned browser, uint8_t choice, uint8_t other)
{
	if (browser == BROWSERS - 1) {
		w->h.address = pl_addr_ipv4(0xc0000200u + (choice >> 3), 0);
		if (other == 0xff) {
			pl_harness_before_input(&w->h);
			pl_front_drain(w->h.front, w->h.now_us, w->h.now_us + (choice >> 3) * INT64_C(1000000));
			pl_harness_drain(&w->h);
		}
		return;
	}
	struct pl_event e = { .kind = PL_EVENT_PRESSURE };
	e.pressure.level = (uint8_t)((choice >> 3) % PL_PRESSURE_LEVELS);
	e.pressure.cause = (uint8_t)(other % (PL_PRESSURE_INPUTS + 1));
	e.pressure.score_permille = (uint16_t)(other * 8);
	e.pressure.input_permille[PL_PRESSURE_CPU] = e.pressure.score_permille;
	pl_harness_event(&w->h, &e);
}

/* Rooms are numbered from 1, so a small number is one that is, was or will be. */
static void event(struct world *w, unsigned browser)
{
	const uint8_t choice = take(w), other = take(w);
	if ((choice & 7) ==
		5) { /* once another name of the first kind; so no input of before means another thing than it did */
		pressure(w, browser, choice, other);
		return;
	}
	struct pl_event e = {
		.kind = (enum pl_event_kind)((choice & 7) % 5),
		.room = choice >> 3 & 7,
		.source = w->member[browser].source,
	};
	for (size_t i = 0; e.room == 7 && i < w->h.joined_count; i++) {
		if (w->h.joined[i].source == e.source)
			e.room = w->h.joined[i].room;
	}
	if (e.kind == PL_EVENT_SLOTS) {
		e.slots.count = other >> 4;
		e.slots.is_mixed = (other & 8) != 0;
		e.slots.slot[0].source = e.slots.is_mixed ? 0 : w->member[other & 3].source;
		e.slots.slot[0].track = e.slots.is_mixed ? PL_MIX_TRACK(other & 3) : 1;
	} else if (e.kind == PL_EVENT_SPEAKERS) {
		e.speakers.count = other % (PL_TOP_MAX + 1);
		e.speakers.top[0] = w->member[other >> 4 & 3].source;
		e.speakers.dominant = w->member[other >> 6].source;
	} else if (e.kind == PL_EVENT_GONE) {
		e.close = (enum pl_close)(other % PL_CLOSE_COUNT);
	}
	pl_harness_event(&w->h, &e);
}

static void step(struct world *w)
{
	const uint8_t first = take(w);
	const unsigned browser = first >> 3 & 3;
	switch (first & 7) {
	case STEP_SOCKET:
		socket_step(w, browser);
		break;
	case STEP_REQUEST:
		request(w, browser, false, 1);
		break;
	case STEP_CHANGED:
		request(w, browser, true, 1);
		break;
	case STEP_RAW:
		raw(w, browser);
		break;
	case STEP_TIME:
		pl_harness_pass(&w->h, take(w) * INT64_C(64));
		break;
	case STEP_EVENT:
		event(w, browser);
		break;
	case STEP_RING:
		w->h.commands_free = first >> 5;
		break;
	case STEP_REPEAT:
		/* Twice the loop's cost of anything else: but for a few of them, an input would take seconds. */
		if (w->h.connection[w->connection[browser]].close_code == 0)
			request(w, browser, false, 20 + (first >> 5) * 10u);
		break;
	}
}

static void check_bounds(const struct world *w)
{
	const struct pl_front_counters *counters = pl_front_counters(w->h.front);
	PL_ASSERT(counters->sessions <= PARTICIPANTS_MAX && counters->rooms <= ROOMS_MAX);
	PL_ASSERT(counters->connections <= CONNECTIONS_MAX && counters->rooms <= counters->sessions);
	PL_ASSERT(w->h.output_count <= OUTPUTS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	w = (struct world){ .input = { data, size } };
	pl_harness_start(&w.h, (struct pl_harness_limits){
				       .participants = PARTICIPANTS_MAX,
				       .rooms = ROOMS_MAX,
				       .room_participants = ROOM_PARTICIPANTS_MAX,
				       .connections = CONNECTIONS_MAX,
				       .shards = SHARDS,
				       .room_spread = ROOM_SPREAD,
				       .mix_groups = MIX_GROUPS,
				       .takes_g711 = size % 2 == 0,
				       .joins_per_address = 20,
				       .joins_per_token = 5,
				       .move_to = size % 3 == 0 ? "https://other.example.org" : NULL,
			       });
	w.h.commands_free = 4;
	for (unsigned i = 0; i < STEPS_MAX && w.input.size > 0; i++) {
		step(&w);
		check_bounds(&w);
	}
	pl_harness_stop(&w.h);
	return 0;
}
