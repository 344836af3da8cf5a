/* The front's own data, for its parts: front*.c.  Nobody else includes this.
 * Thread: signaling. */
#ifndef PL_SIGNALING_FRONT_STATE_H
#define PL_SIGNALING_FRONT_STATE_H

#include "sfu/reserve.h"
#include "signaling/front.h"
#include "signaling/front_rates.h"
#include "signaling/front_table.h"
#include "signaling/front_text.h"
#include "signaling/sdp.h"

enum {
	PL_FRONT_SECRET_CHARACTERS = 32, /* of 6 bits: 192 bits */
	PL_FRONT_PEER_SIZE = 10,         /* "p" and the source id in 8 hexadecimal digits */
	PL_FRONT_TRACK_SIZE = 10,        /* "t" and the track id, the same */
	PL_FRONT_LEAVE_RETRY_MS = 10,
};

/* What a session's client speaks. */
enum pl_front_api { PL_FRONT_WEBSOCKET, PL_FRONT_WHIP, PL_FRONT_WHEP };

struct pl_front_connection {
	struct pl_front_node by_number;
	struct pl_front_link all;
	struct pl_front_link waiting; /* for its join, the oldest first */
	uint64_t number;
	struct pl_front_session *session; /* NULL before `welcome`, and when closing */
	bool is_closing;                  /* CLOSE was said, lost will follow */
	struct pl_addr address;
	int64_t opened_us;
	int64_t messages_us, errors_us; /* see pl_front_may */
};

struct pl_front_room {
	struct pl_front_node by_name, by_id;
	struct pl_front_link members; /* head: sessions */
	uint32_t member_count;
	uint32_t id;                          /* not 0 */
	uint8_t home;                         /* the shard that decides who speaks */
	uint32_t on_shard[PL_SFU_SHARDS_MAX]; /* members that have their media there */
	char name[PL_ROOM_NAME_MAX + 1];
	uint8_t top_count; /* who talks, as last told by the media plane */
	uint32_t top[PL_TOP_MAX];
	uint32_t dominant;
};

struct pl_front_slot {
	uint32_t source, track; /* both 0: empty; a track of the mix has no source */
};

struct pl_front_session {
	struct pl_front_node by_id, by_source;
	struct pl_front_link member; /* of room->members */
	/* Of front->away, without a connection, the longest first; of front->http, when it never has one. */
	struct pl_front_link away;
	enum pl_front_api api;
	int64_t away_us;
	char id[PL_FRONT_SECRET_CHARACTERS + 1];
	/* The one before is good until the client has spoken after its welcome: should that get lost, it has no other. */
	char ticket[PL_FRONT_SECRET_CHARACTERS + 1], ticket_before[PL_FRONT_SECRET_CHARACTERS + 1];
	struct pl_front_room *room;
	struct pl_front_connection *connection; /* NULL while away, and over HTTP */
	uint32_t source;
	uint8_t shard; /* that has its media, for as long as it lives */
	char *name;
	struct pl_front_text *attrs;  /* an object */
	struct pl_front_text *roster; /* itself as others see it: {"peer":...} */

	struct pl_description settled; /* by the last offer/answer */
	bool is_connecting;            /* has told a JOIN, and not yet heard that it is connected */
	/* Of front->unheard, since it came, the longest first, while the media plane has heard nothing from it. */
	struct pl_front_link unheard;
	int64_t came_us;
	char remote_pwd[PL_ICE_PWD_MAX + 1];
	uint64_t sdp_session, sdp_version; /* of the answer's o= line */
	/* What its slots had on this peer connection, longest unused first.  SRTP keeps each for the life of the keys, so
	 * when all places are taken an old one is given again (sfu/participant.h continues its numbers). */
	uint32_t slot_ssrc[PL_SLOT_SSRCS_MAX];
	uint8_t slot_ssrc_count;
	struct pl_front_slot slot[PL_SLOTS_MAX]; /* who is in it, as last told by the media plane */

	uint64_t n;                  /* of its last event */
	struct pl_front_text **kept; /* event n is at n modulo the capacity */
	uint32_t kept_capacity;      /* 0, or a power of two: grows as it fills */
	uint32_t kept_count;
	size_t kept_bytes;
	/* What changed while nobody was there to be told: only the last state of it matters. */
	bool is_slots_untold, is_speakers_untold, is_pressure_untold, is_drain_untold;
	/* Of front->quiet, the newest last, while it has never talked, by WebSocket or WHEP; or of front->asked, the longest first. */
	struct pl_front_link quiet;
	int64_t asked_until_us;
	int64_t data_us, restarts_us; /* see pl_front_may */
	/* Over HTTP, of the m-line that has the bundle's transport. */
	char tagged_mid[PL_RTP_MID_MAX + 1];
	uint8_t tagged_payload_type;
	uint64_t mark; /* the last walk that met it */
};

/* An output that waits to be taken. */
struct pl_front_queued {
	enum pl_front_output_kind kind;
	uint16_t close_code;
	uint64_t connection;
	uint64_t n; /* for the text's gap */
	struct pl_front_text *text;
	uint64_t request;
	uint16_t status;
	struct pl_front_text *head; /* of a response */
	struct pl_command command;
};

struct pl_front {
	struct pl_front_config config;
	struct pl_front_counters counters;
	struct pl_front_table connections, sessions_by_id, sessions_by_source, rooms_by_name, rooms_by_id;
	struct pl_front_link all_connections, waiting, away, http;
	struct pl_front_link quiet, asked;
	struct pl_front_link unheard[PL_SFU_SHARDS_MAX];
	bool is_shut_down, is_draining;
	int64_t drained_us;             /* while draining: when it ends */
	int64_t ask_next_us;            /* INT64_MAX: there is no emergency */
	int64_t now_us;                 /* of the last input */
	int64_t admin_wrong_us;         /* see pl_front_may */
	uint32_t room_last, track_last; /* ids */
	uint64_t mark_last;
	size_t commands_free[PL_SFU_SHARDS_MAX];
	struct pl_placement placement;
	struct pl_reserve reserve;
	struct pl_front_rates rates_of_addresses, rates_of_tokens;
	struct pl_pressure pressure; /* as told last by the media plane */
	uint8_t pressure_told;       /* the level that clients know */
	int64_t pressure_told_us;    /* the last time that they were told one */

	struct {
		struct pl_front_queued *entry;
		size_t count, taken, capacity;
	} queue;
	struct {
		struct pl_command *entry;
		size_t count, capacity;
	} leaves;                               /* that no command was free for */
	struct pl_front_text *sent, *sent_head; /* what the last output shows */
	char *filled;                           /* the same, with its gap filled */
	size_t filled_capacity;

	/* Of the offer that is being answered; too large for the stack. */
	struct pl_sdp_offer offer;
	struct pl_sdp_answer answer;
	char answer_text[PL_SDP_ANSWER_SIZE_MAX];
};

/* ---- front.c ---- */

/* Each input begins with it. */
void pl_front_begin(struct pl_front *front, int64_t now_us);

/* It has joined, or is closing. */
void pl_front_stop_waiting(struct pl_front *front, struct pl_front_connection *connection);

/* A token bucket told as a time: each take moves it ahead by its price, and too far ahead of now is empty. */
PL_MUST_USE bool pl_front_may(int64_t *bucket_us, int64_t now_us, int64_t per_s, int64_t burst);

/* Characters of the base64url alphabet, or of ICE's, and a NUL. */
void pl_front_random_text(struct pl_front *front, char *text, size_t characters, bool is_for_ice);
uint32_t pl_front_random_id(struct pl_front *front); /* not 0 */

/* ---- front_output.c ---- */

PL_MUST_USE bool pl_front_is_drained(const struct pl_front *front);

/* Sends what was written, and lets go of it. */
void pl_front_reply(struct pl_front *front, const struct pl_front_connection *connection, struct pl_front_writer *w);
/* Sends a text with its gap filled by n.  The reference stays the caller's. */
void pl_front_send(
	struct pl_front *front, const struct pl_front_connection *connection, struct pl_front_text *text, uint64_t n);
/* {"t":"err"}.  id: of the request, NULL when it is not known. */
PL_PRINTF(5, 6)
void pl_front_error(struct pl_front *front, const struct pl_front_connection *connection,
	const struct pl_request *request, enum pl_fault fault, const char *format, ...);
void pl_front_write_id(struct pl_front_writer *w, const struct pl_request *request);
void pl_front_close(struct pl_front *front, struct pl_front_connection *connection, uint16_t code);
/* Answers an HTTP request.  Both texts are let go of; body: NULL for none. */
void pl_front_respond(struct pl_front *front, uint64_t request, uint16_t status, struct pl_front_text *head,
	struct pl_front_text *body);

/* A command about the session's participant; what else its kind wants is the caller's to set. */
static inline struct pl_command pl_front_command_of(const struct pl_front_session *session, enum pl_command_kind kind)
{
	return (struct pl_command){
		.kind = kind,
		.shard = session->shard,
		.home = session->room->home,
		.room = session->room->id,
		.source = session->source,
	};
}

/* True when the shard can take one more, those that wait counted. */
PL_MUST_USE bool pl_front_can_command(struct pl_front *front, uint8_t shard);
/* Only after pl_front_can_command for command->shard.  description: NULL, or copied. */
void pl_front_command(
	struct pl_front *front, const struct pl_command *command, const struct pl_description *description);
/* Never refused: waits when no command is free. */
void pl_front_command_leave(struct pl_front *front, const struct pl_front_session *session);
/* When to look again whether those that wait can go; INT64_MAX when none waits. */
int64_t pl_front_deadline_of_leaves(const struct pl_front *front);

/* ---- front_session.c ---- */

const char *pl_front_peer_name(uint32_t source, char text[static PL_FRONT_PEER_SIZE]);
const char *pl_front_track_name(uint32_t track, char text[static PL_FRONT_TRACK_SIZE]);
struct pl_front_session *pl_front_session_by_id(struct pl_front *front, const char *id);
struct pl_front_session *pl_front_session_by_source(struct pl_front *front, uint32_t source);

/* In the room, with ids and a ticket of its own; no description yet. */
struct pl_front_session *pl_front_session_create(
	struct pl_front *front, struct pl_front_room *room, const struct pl_request *join);
void pl_front_session_rename(
	struct pl_front_session *session, const char *name, const json_t *attrs); /* NULL: as before */
/* Writes the roster anew, after name, attributes, tracks or mute have changed. */
void pl_front_session_refresh(struct pl_front_session *session);

void pl_front_session_attach(
	struct pl_front *front, struct pl_front_session *session, struct pl_front_connection *connection);
/* A JOIN is told to the media plane; or its transport is connected. */
void pl_front_session_set_connecting(struct pl_front *front, struct pl_front_session *session, bool is_connecting);

/* The media plane has nothing of it, or shall have nothing of it any more: msg is for the client, reason for the others. */
void pl_front_end_without_media(
	struct pl_front *front, struct pl_front_session *session, const char *msg, const char *reason);
/* From now on it may be resumed for a while. */
void pl_front_session_detach(struct pl_front *front, struct pl_front_session *session, int64_t now_us);

/* Out of its room, which is told (reason: NULL: nobody is told).  The connection must be detached or closing. */
void pl_front_session_destroy(struct pl_front *front, struct pl_front_session *session, const char *reason);

/* The connection's last words: {"t":"bye"} and CLOSE; its session, if any, is let go of and returned. */
struct pl_front_session *pl_front_bye(struct pl_front *front, struct pl_front_connection *connection, const char *code,
	const char *msg, bool is_resumable, uint16_t close_code);

/* ---- front_room.c ---- */

struct pl_front_room *pl_front_room_by_name(struct pl_front *front, const char *name);
struct pl_front_room *pl_front_room_by_id(struct pl_front *front, uint32_t id);
/* Whether the media plane has a place for one participant more in this room; NULL: in a new one. */
PL_MUST_USE bool pl_front_room_has_place(const struct pl_front *front, const struct pl_front_room *room);
/* The shard of the next participant of this room; NULL: of the room that pl_front_room_create would make now.  Only when
 * there is a place. */
uint8_t pl_front_room_shard(const struct pl_front *front, const struct pl_front_room *room);
/* A member comes to that shard, or goes. */
void pl_front_room_comes(struct pl_front *front, struct pl_front_room *room, uint8_t shard);
void pl_front_room_goes(struct pl_front *front, struct pl_front_room *room, uint8_t shard);
/* Only when there is a place for a new one. */
struct pl_front_room *pl_front_room_create(struct pl_front *front, const char *name);
void pl_front_room_destroy(struct pl_front *front, struct pl_front_room *room);
/* Walks the members: NULL begins, and ends. */
struct pl_front_session *pl_front_room_next(const struct pl_front_room *room, const struct pl_front_session *after);

/* ---- front_event.c ---- */

/* Numbers an event, keeps it, and sends it when somebody is there.  The reference stays the caller's. */
void pl_front_tell(struct pl_front *front, struct pl_front_session *session, struct pl_front_text *event);
/* Tells all members but one (NULL: all), and lets go of the text. */
void pl_front_tell_room(struct pl_front *front, const struct pl_front_room *room, const struct pl_front_session *except,
	struct pl_front_text *event);
/* Can the events after n be sent again? */
PL_MUST_USE bool pl_front_can_replay(const struct pl_front_session *session, uint64_t n);
void pl_front_replay(struct pl_front *front, const struct pl_front_session *session, uint64_t n);
/* What changed while it was away. */
void pl_front_tell_untold(struct pl_front *front, struct pl_front_session *session);

/* op: "join" or "update".  To everyone but except. */
void pl_front_tell_peer(struct pl_front *front, const struct pl_front_session *who, const char *op,
	const struct pl_front_session *except);
void pl_front_tell_peer_left(struct pl_front *front, const struct pl_front_session *who, const char *reason);
void pl_front_tell_track(struct pl_front *front, const struct pl_front_session *who, const char *op,
	const struct pl_track_spec *track, const struct pl_front_session *except);
void pl_front_write_track(struct pl_front_writer *w, const char *key, const struct pl_track_spec *track, bool with_mid);
void pl_front_write_slots(
	struct pl_front *front, struct pl_front_writer *w, const struct pl_front_session *session, bool is_event);

/* ---- front_admission.c ---- */

/* Whether one more may join room, NULL for a new one.  False: *refused says why not, and it is counted.  True: somebody may have
 * been given up for it, and room have ended with them. */
PL_MUST_USE bool pl_front_admit(struct pl_front *front, const struct pl_front_room *room,
	const struct pl_front_asker *asker, struct pl_front_refused *refused);
/* When those may come back who were sent away. */
uint32_t pl_front_draw_retry_ms(struct pl_front *front);
/* When to come back, and the figures. */
void pl_front_write_refused(
	const struct pl_front *front, struct pl_front_writer *w, const struct pl_front_refused *refused);

/* ---- front_pressure.c ---- */

void pl_front_take_pressure(struct pl_front *front, const struct pl_pressure *pressure);
/* The fields of `degraded`, into an object that is open. */
void pl_front_write_pressure(const struct pl_front *front, struct pl_front_writer *w);
void pl_front_tell_degraded(struct pl_front *front, struct pl_front_session *session);
void pl_front_tick_pressure(struct pl_front *front);
int64_t pl_front_deadline_of_pressure(const struct pl_front *front);

/* ---- front_drain.c ---- */

/* That, and until when, the server drains. */
void pl_front_tell_drain(struct pl_front *front, struct pl_front_session *session);
/* Its voice was heard: it is never asked to go. */
void pl_front_session_talks(struct pl_front_session *session);
/* The pressure has changed. */
void pl_front_note_emergency(struct pl_front *front);
void pl_front_tick_asking(struct pl_front *front);
int64_t pl_front_deadline_of_asking(const struct pl_front *front);

/* ---- front_mode.c ---- */

enum { PL_FRONT_MODE_ERROR_SIZE = 160 };

struct pl_front_mode {
	enum pl_audio_mode audio;
	enum pl_mix_group wish;
};

/* Reads what a join, a URL or a mode wants; *mode holds what is not said.  False: this server does not have it, and error
 * has the sentence, which begins with the field's name. */
PL_MUST_USE bool pl_front_read_mode(const struct pl_front *front, const struct pl_request *request,
	struct pl_front_mode *mode, char error[static PL_FRONT_MODE_ERROR_SIZE]);
/* As "audio". */
void pl_front_write_mode(
	const struct pl_front *front, struct pl_front_writer *w, const struct pl_front_session *session);
/* The quality of the mix that is in a slot; NULL for none. */
const char *pl_front_mix_of(const struct pl_front_slot *slot);

/* ---- front_settle.c ---- */

struct pl_front_offer {
	struct pl_bytes sdp;
	bool is_new_transport;         /* of another peer connection than the session's last offer */
	uint8_t tracks_max, slots_max; /* m-lines beyond them are rejected; 0: that direction is not taken */
	struct pl_front_mode mode;     /* of a new session; another one keeps its own */
};

/* A WebSocket client's: as many tracks and slots as there may be. */
struct pl_front_offer pl_front_offer_of(const char *sdp, bool is_new_transport);

/* Reads an offer and decides on each m-line.  session: whose tracks and slots are kept by their mid; NULL: a new one.
 * True: description is filled, and front->offer and front->answer hold the rest; the session is as it was.  False:
 * error has the sentence. */
PL_MUST_USE bool pl_front_settle(struct pl_front *front, const struct pl_front_session *session,
	const struct pl_front_offer *asked, struct pl_description *description, char error[static PL_SDP_ERROR_SIZE]);
/* Makes what was settled the session's. */
void pl_front_settle_commit(struct pl_front *front, struct pl_front_session *session,
	const struct pl_description *description, bool is_new_transport);
/* Tells the room which tracks came and went. */
void pl_front_tell_track_changes(
	struct pl_front *front, const struct pl_front_session *session, const struct pl_description *before);
/* Where this session's media is to be sent to, best first.  Returns how many. */
size_t pl_front_candidates(const struct pl_front *front, const struct pl_front_session *session,
	struct pl_addr candidate[static PL_FRONT_ADDRESSES_MAX]);
/* The answer to the offer that was settled last, this session's.  Returns its length; it is in front->answer_text. */
size_t pl_front_make_answer(struct pl_front *front, const struct pl_front_session *session);
/* The same as "sdp". */
void pl_front_write_answer(struct pl_front *front, struct pl_front_writer *w, const struct pl_front_session *session);

/* ---- front_join.c, front_request.c ---- */

/* Makes the session, and the room when it is not there, with what was settled, and tells the media plane: only after
 * pl_front_can_command.  Nobody else is told yet. */
struct pl_front_session *pl_front_enter(struct pl_front *front, struct pl_front_room *room,
	const struct pl_request *join, const struct pl_description *description);

void pl_front_join(struct pl_front *front, int64_t now_us, struct pl_front_connection *connection,
	const struct pl_request *request);
/* All but join, of a connection that has a session. */
void pl_front_request(struct pl_front *front, int64_t now_us, struct pl_front_connection *connection,
	const struct pl_request *request);
/* "tracks" as their own participant sees them. */
void pl_front_write_own_tracks(struct pl_front_writer *w, const struct pl_front_session *session);

#endif
