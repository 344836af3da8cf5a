/* The signaling front end as one sans-IO machine: connections, sessions, rooms' rosters.  Frames and the media
 * plane's events go in; frames to send, connections to close and commands for the media plane come out.  The
 * server around it (signaling/server.h) only moves bytes.
 * After each input the outputs are drained with pl_front_next; an input to an undrained front asserts.
 * No socket, no clock, no thread.  It allocates (JSON does), bounded by its configuration; memory that the system
 * refuses after create ends the process.
 * Thread: signaling. */
#ifndef PL_SIGNALING_FRONT_H
#define PL_SIGNALING_FRONT_H

#include "media/addr.h"
#include "media/err.h"
#include "sfu/placement.h"
#include "signaling/front_admission.h"
#include "signaling/front_http.h"
#include "signaling/message.h"

struct pl_front;

enum { PL_FRONT_ADDRESSES_MAX = 16 };

struct pl_front_config {
	uint32_t participants_max, rooms_max, room_participants_max, connections_max;
	uint32_t joins_per_address, joins_per_token; /* at once, and then in a minute; 0: as many as come */
	const char *move_to;                         /* another server's URL, outlives the front; NULL or empty: none */
	const struct pl_fingerprint *fingerprint;    /* outlives the front */
	struct pl_addr address[PL_FRONT_ADDRESSES_MAX]; /* of the media plane, best first; the ports are ignored */
	size_t address_count;
	uint32_t shard_count;             /* of the media plane, at least 1 */
	uint32_t room_spread;             /* members of a room on one shard before it spreads; 0: never for that */
	uint16_t port[PL_SFU_SHARDS_MAX]; /* of each shard */
	bool mixes;                       /* the media plane has codec workers */
	uint32_t worker_count;            /* of them */
	uint8_t mix_groups;               /* bit i: of those that may be wished for, it has enum pl_mix_group i */
	bool takes_g711;                  /* offers of PCMU and PCMA alone: the media plane must transcode */
	const char *admin_token; /* pl_front_admin_is_token, and outlives the front; NULL or empty: no admin API */
	/* Fills data with cryptographically strong random bytes: tests give a seeded one. */
	void (*random)(void *context, void *data, size_t size);
	void *random_context;
};

enum {
	PL_FRONT_EVENTS_KEPT = 256,            /* per session, for resume */
	PL_FRONT_EVENT_BYTES_KEPT = 256 << 10, /* the same, by size */
	PL_FRONT_JOIN_MS = 10000,
	PL_FRONT_RESUME_MS = 60000,
	PL_FRONT_UNHEARD_MS = 2000,   /* after a join without a connectivity check: another one may have the place */
	PL_FRONT_RETRY_MS_MIN = 2000, /* after a refusal; spread, so that those refused do not come back as one */
	PL_FRONT_RETRY_MS_MAX = 6000,
	PL_FRONT_PRESSED_RETRY_MS_MIN = 4000, /* the same under pressure: a level lasts for seconds */
	PL_FRONT_PRESSED_RETRY_MS_MAX = 9000,
	/* Connections that have not joined: a quarter of all, or so many where that is more, but half of all at most.  One more, and the
	 * oldest of them, which had the most time, is closed. */
	PL_FRONT_WAITING_MIN = 64,
	PL_FRONT_CONNECTION_BYTES_MAX = 1 << 20, /* frames waiting for one connection; more is `bye slow` */
	PL_FRONT_MESSAGES_PER_S = 100,           /* of a connection; more is `err rate` */
	PL_FRONT_MESSAGES_BURST = 200,
	PL_FRONT_RATE_ERRORS_BURST = 200, /* more `err rate` than this, and it is `bye rate` */
	PL_FRONT_DATA_PER_S = 50,         /* of a session */
	PL_FRONT_DATA_BURST = 100,
	PL_FRONT_MOVE_SPREAD_MS =
		10000, /* those who are to move are sent off within it, or within half of their time */
	/* In an emergency: so often a part of those who have never talked is asked to go, one of so many of all sessions and one more, and
	 * has so long for it. */
	PL_FRONT_ASK_AFTER_MS = 5000, /* of an emergency that does not end */
	PL_FRONT_ASK_MS = 1000,
	PL_FRONT_ASK_PART = 50,
	PL_FRONT_ASK_LOOKS = 1024, /* at those who may be away, in one go */
	PL_FRONT_MOVE_MS = 10000,
	PL_FRONT_DEGRADED_GAP_MS = 1000, /* between two `degraded`: the newest level is told */
	PL_FRONT_RESTARTS_PER_S = 2,     /* of ICE, of an HTTP session */
	PL_FRONT_RESTARTS_BURST = 10,
};

/* WebSocket close codes (RFC 6455 section 7.4.1 and its registry). */
enum {
	PL_FRONT_CLOSE_NORMAL = 1000,
	PL_FRONT_CLOSE_GOING_AWAY = 1001,
	PL_FRONT_CLOSE_NOT_TEXT = 1003,
	PL_FRONT_CLOSE_POLICY = 1008,
	PL_FRONT_CLOSE_TOO_LARGE = 1009,
	PL_FRONT_CLOSE_TRY_AGAIN = 1013,
};

enum pl_front_output_kind {
	PL_FRONT_SEND,     /* text to connection */
	PL_FRONT_CLOSE,    /* close connection, after what was sent before; close_code is WebSocket's */
	PL_FRONT_COMMAND,  /* to the media plane; description is the receiver's to free */
	PL_FRONT_RESPONSE, /* to an HTTP request: status, head and text */
};

struct pl_front_output {
	enum pl_front_output_kind kind;
	uint64_t connection;
	const char *text; /* not terminated; valid until the next call */
	size_t text_size;
	bool may_wait; /* a moment, for more to the same connection: news of who is in the room */
	uint16_t close_code;
	uint64_t request;
	uint16_t status;
	const char *head; /* of a response: whole header lines; as text is */
	size_t head_size;
	struct pl_command command;
};

PL_MUST_USE enum pl_err pl_front_create(struct pl_front **front, const struct pl_front_config *config);
void pl_front_destroy(struct pl_front **front);

/* A WebSocket was opened.  connection: a number of the server's choice, not 0, never used again.  address: of its client, all
 * zero when it is not known.  False: too many connections, or shut down; the server refuses it, and tells nothing more of it. */
PL_MUST_USE bool pl_front_open(
	struct pl_front *front, int64_t now_us, uint64_t connection, const struct pl_addr *address);

/* The WebSocket is gone: once for each one opened, also after a CLOSE.  Its session lives on for a while. */
void pl_front_lost(struct pl_front *front, int64_t now_us, uint64_t connection);

/* One whole text message.  Hostile: answered, never trusted.  Passed over after a CLOSE. */
void pl_front_message(struct pl_front *front, int64_t now_us, uint64_t connection, struct pl_bytes text);

/* The client sent what is no message: PL_FAULT_TOO_LARGE, or another fault for one that is binary.  Answered with an
 * error and closed. */
void pl_front_bad_frame(struct pl_front *front, int64_t now_us, uint64_t connection, enum pl_fault fault);

/* How many bytes wait in the server for a connection that reads slowly; over the bound it is closed with `bye slow`. */
void pl_front_backlog(struct pl_front *front, int64_t now_us, uint64_t connection, size_t bytes);

/* A request to one of the paths of pl_front_http_is_path, its body read if pl_front_http_wants_body.  Answered with one
 * PL_FRONT_RESPONSE: in what is drained next, or later. */
void pl_front_http(struct pl_front *front, int64_t now_us, const struct pl_front_http_request *request);

void pl_front_event(struct pl_front *front, int64_t now_us, const struct pl_event *event);

/* commands_free: how many commands a shard of the media plane can take now.  A request that needs one more is answered with
 * `err busy`; a LEAVE waits inside, and the deadline looks for room again.  Not an input: may be called at any time. */
void pl_front_set_commands_free(struct pl_front *front, uint8_t shard, size_t commands_free);

/* Why no new participant is taken now, whoever asks: "shutdown", "draining", "pressure"; NULL: they are. */
const char *pl_front_unready(const struct pl_front *front);

/* From now on only those who are in are taken, by resume; all are told until when.  May be called again, with another deadline.  What
 * happens at the deadline, or when no session is left, is the caller's: pl_front_shutdown. */
void pl_front_drain(struct pl_front *front, int64_t now_us, int64_t deadline_us);

/* Tells everyone `bye shutdown` and closes; all sessions end. */
void pl_front_shutdown(struct pl_front *front, int64_t now_us);

void pl_front_tick(struct pl_front *front, int64_t now_us); /* call at or after the deadline */
int64_t pl_front_deadline(const struct pl_front *front);    /* INT64_MAX when idle */

/* Takes the next output.  False when drained. */
bool pl_front_next(struct pl_front *front, struct pl_front_output *output);

struct pl_front_counters {
	uint32_t connections, sessions, rooms; /* now */
	uint32_t connecting;                   /* of the sessions: joined, their media not yet connected */
	uint32_t waiting;                      /* of the connections: those that have not joined */
	uint64_t joins, resumes, refusals, messages_in, messages_out, faults[PL_FAULT_COUNT];
	uint64_t refused[PL_REFUSAL_COUNT]; /* the refusals by reason */
	uint64_t asked_to_go;               /* sessions ended in an emergency */
	uint64_t waiting_displaced;         /* connections closed before they had joined, for others that came */
	uint64_t joins_displaced;           /* who sent nothing and was given up for another join */
	uint64_t rates_displaced;           /* askers whose rate was forgotten for others that came */
};
const struct pl_front_counters *pl_front_counters(const struct pl_front *front);

#endif
