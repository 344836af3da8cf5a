/* Both sides of a front in virtual time: browsers that talk JSON to it, and a media plane that takes its commands and
 * tells it events.  Whatever a test is about, the harness watches what must hold always: each message is answered
 * exactly once, n rises by one per event of a session, nothing follows a CLOSE, no command goes out that the media
 * plane has no room for or whose participant it does not know, and at the end nobody is left anywhere.
 * JSON in tests is written with ' for ". */
#ifndef PL_TESTS_SUPPORT_FRONT_HARNESS_H
#define PL_TESTS_SUPPORT_FRONT_HARNESS_H

#include "signaling/front.h"

enum {
	PL_HARNESS_CONNECTIONS_MAX = 400,
	PL_HARNESS_COMMANDS_MAX = 1024,
	PL_HARNESS_TEXT_SIZE = 128 << 10,
	PL_HARNESS_HEAD_SIZE = 1024,
};

struct pl_harness_connection {
	json_t *heard; /* an array of frames; NULL: never opened */
	size_t read;   /* of heard */
	bool is_open;
	uint16_t close_code; /* 0: not closed by the front */
	int64_t n;           /* of the last event; -1 before welcome */
	int64_t n_claimed;   /* by its join's resume */
	unsigned answers;    /* to the message that is being said */
};

/* What an HTTP request was answered with. */
struct pl_harness_response {
	unsigned count; /* to the request that is being made */
	uint16_t status;
	char head[PL_HARNESS_HEAD_SIZE], body[PL_HARNESS_TEXT_SIZE];
};
/* Shard n has port PL_HARNESS_PORT + n; one shard unless the limits say otherwise. */
enum { PL_HARNESS_PORT = 3478 };

struct pl_harness {
	struct pl_front *front;
	int64_t now_us;
	uint64_t seed;
	bool is_shut_down;
	struct pl_harness_connection connection[PL_HARNESS_CONNECTIONS_MAX + 1]; /* by number */
	uint64_t connection_last;

	size_t commands_free; /* in each shard's ring, before the next input; many, unless the test says otherwise */
	size_t ring_room[PL_SFU_SHARDS_MAX];
	uint32_t shard_count;
	bool is_busy[PL_SFU_SHARDS_MAX]; /* whose ring is full */
	struct pl_command command[PL_HARNESS_COMMANDS_MAX];
	size_t command_count, command_read;
	struct {
		uint32_t room, source;
		bool is_http;
		uint8_t shard, home;
	} joined[PL_HARNESS_CONNECTIONS_MAX]; /* the media plane's participants */
	size_t joined_count;
	uint64_t request; /* that is being made; 0: none */
	uint64_t request_last;
	struct pl_harness_response response;
	size_t output_count;    /* of the last input */
	struct pl_addr address; /* of whoever asks from now on; all zero: not known */
};

/* Limits of 0 are generous ones. */
struct pl_harness_limits {
	uint32_t participants, rooms, room_participants, connections, shards, room_spread;
	uint8_t mix_groups; /* that may be wished for; 0: the media plane does not mix */
	const char *admin_token;
	uint32_t worker_count; /* as the admin API knows them */
	bool takes_g711;
	uint32_t joins_per_address, joins_per_token;
	const char *move_to;
};

void pl_harness_start(struct pl_harness *h, struct pl_harness_limits limits);
void pl_harness_shutdown(struct pl_harness *h);
/* Everybody goes, the time to resume passes: asserts that nothing is left, and destroys. */
void pl_harness_stop(struct pl_harness *h);
/* Destroys at once, in the middle of whatever is going on. */
void pl_harness_abandon(struct pl_harness *h);

/* ---- the browsers' side ---- */

/* Returns the number of the new connection, 0 when the front refuses it. */
uint64_t pl_harness_open(struct pl_harness *h);
void pl_harness_lose(struct pl_harness *h, uint64_t connection);
void pl_harness_backlog(struct pl_harness *h, uint64_t connection, size_t bytes);
void pl_harness_bad_frame(struct pl_harness *h, uint64_t connection, enum pl_fault fault);

PL_PRINTF(3, 4)
void pl_harness_say(struct pl_harness *h, uint64_t connection, const char *format, ...);
void pl_harness_say_bytes(struct pl_harness *h, uint64_t connection, const void *bytes, size_t size);

/* The next frame, which must have what the pattern has: objects may have more, arrays have as many elements; '*' stands
 * for any value but null.  Borrowed, until stop. */
PL_PRINTF(3, 4)
json_t *pl_harness_expect(struct pl_harness *h, uint64_t connection, const char *format, ...);
/* Asserts that all was read. */
void pl_harness_expect_silence(struct pl_harness *h, uint64_t connection);
void pl_harness_expect_close(struct pl_harness *h, uint64_t connection, uint16_t code);
/* How many frames wait to be read. */
size_t pl_harness_unread(const struct pl_harness *h, uint64_t connection);
/* Everybody has read everything, the media plane too. */
void pl_harness_skip_all(struct pl_harness *h);

/* An offer as it stands in JSON, without the quotes.  media: "s0 r1 b2": the m-line with mid 0 sends, 1 receives, 2 does
 * both, "i3" neither, "x4" is video.  generation: other ICE credentials.  Valid until the next call. */
const char *pl_harness_offer(const char *media, unsigned generation);

/* Who has joined, as their welcome says. */
struct pl_harness_member {
	uint64_t connection;
	uint32_t source;
	char peer[16], track[16], session[64], ticket[64];
};

/* Opens a connection and joins with a microphone and two slots; reads the welcome and takes the command. */
struct pl_harness_member pl_harness_join(struct pl_harness *h, const char *room, const char *name);
/* Opens a connection and resumes there; nothing is read.  sdp: NULL or an offer. */
uint64_t pl_harness_resume(struct pl_harness *h, const struct pl_harness_member *member, const char *room,
	const char *ticket, int64_t n, const char *sdp);
/* Reads the welcome of the connection: its member's from now on. */
json_t *pl_harness_take_welcome(struct pl_harness *h, uint64_t connection, struct pl_harness_member *member);

/* ---- clients of WHIP and WHEP ---- */

/* The same offer with the ends of lines that SDP has. */
const char *pl_harness_sdp(const char *media, unsigned generation);

/* What is not set is absent; body's length is the content's, unless content_length says otherwise. */
struct pl_harness_http {
	enum pl_front_http_method method;
	const char *path, *name, *audio, *type, *if_match, *authorization, *body;
	int64_t content_length; /* 0: of body; -1: absent */
};

/* Makes a request and returns its one answer.  Borrowed, until the next one. */
const struct pl_harness_response *pl_harness_http(struct pl_harness *h, const struct pl_harness_http *http);

/* The value of a field of the answer's head, "" when it is not there.  Valid until the next call. */
const char *pl_harness_field(const struct pl_harness_response *response, const char *name);

/* Who publishes or plays over HTTP. */
struct pl_harness_whip {
	uint32_t source, room;
	char peer[16], location[PL_HARNESS_HEAD_SIZE], etag[64];
};

/* POSTs an offer and takes the command.  api: "whip" or "whep". */
struct pl_harness_whip pl_harness_post(struct pl_harness *h, const char *api, const char *room, const char *media);

/* ---- the media plane's side ---- */

/* Takes the next command, which must be of this kind.  Borrowed, until stop. */
const struct pl_command *pl_harness_take_command(struct pl_harness *h, enum pl_command_kind kind);
void pl_harness_expect_no_command(const struct pl_harness *h);
void pl_harness_event(struct pl_harness *h, const struct pl_event *event);

/* The media plane says how hard it is pressed, with a score that gives the level. */
void pl_harness_press(struct pl_harness *h, enum pl_pressure_level level, enum pl_pressure_input cause);

/* ---- time ---- */

/* Ticks at each deadline on the way. */
void pl_harness_pass(struct pl_harness *h, int64_t ms);

/* ---- for the harness's own parts, around each input of the front ---- */

void pl_harness_before_input(struct pl_harness *h);
void pl_harness_drain(struct pl_harness *h);

#endif
