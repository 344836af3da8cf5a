#include <string.h>

#include "signaling/front_state.h"

/* ---- welcome ---- */

static void write_limits(struct pl_front_writer *w)
{
	pl_front_write_open(w, "limits", '{');
	pl_front_write_int(w, "message_bytes", PL_MESSAGE_SIZE_MAX);
	pl_front_write_int(w, "data_bytes", PL_DATA_SIZE_MAX);
	pl_front_write_int(w, "attrs_bytes", PL_ATTRS_SIZE_MAX);
	pl_front_write_int(w, "name_bytes", PL_NAME_MAX);
	pl_front_write_int(w, "slots", PL_SLOTS_MAX);
	pl_front_write_int(w, "tracks", PL_TRACKS_MAX);
	pl_front_write_close(w, '}');
}

static void write_you(struct pl_front_writer *w, const struct pl_front_session *session)
{
	char peer[PL_FRONT_PEER_SIZE];
	pl_front_write_open(w, "you", '{');
	pl_front_write_string(w, "peer", pl_front_peer_name(session->source, peer));
	pl_front_write_int(w, "source", session->source);
	pl_front_write_string(w, "name", session->name);
	pl_front_write_raw(w, "attrs", session->attrs->data, session->attrs->size);
	pl_front_write_own_tracks(w, session);
	pl_front_write_close(w, '}');
}

static void write_room(struct pl_front_writer *w, const struct pl_front_session *session)
{
	const struct pl_front_room *room = session->room;
	pl_front_write_open(w, "room", '{');
	pl_front_write_string(w, "name", room->name);
	pl_front_write_close(w, '}');
	pl_front_write_open(w, "peers", '[');
	for (struct pl_front_session *s = pl_front_room_next(room, NULL); s != NULL; s = pl_front_room_next(room, s)) {
		if (s != session)
			pl_front_write_raw(w, NULL, s->roster->data, s->roster->size);
	}
	pl_front_write_close(w, ']');
}

static void write_server(const struct pl_front *front, struct pl_front_writer *w)
{
	pl_front_write_open(w, "ice", '{');
	pl_front_write_bool(w, "lite", true);
	pl_front_write_close(w, '}');
	write_limits(w);
	pl_front_write_open(w, "pressure", '{');
	pl_front_write_pressure(front, w);
	pl_front_write_close(w, '}');
}

static void welcome(struct pl_front *front, const struct pl_front_session *session, const struct pl_request *request,
	bool is_resumed, bool is_replayed)
{
	struct pl_front_writer w;
	pl_front_write_begin(&w, pl_reply_name(PL_REPLY_WELCOME));
	pl_front_write_id(&w, request);
	pl_front_write_int(&w, "v", 1);
	pl_front_write_string(&w, "session", session->id);
	pl_front_write_string(&w, "ticket", session->ticket);
	pl_front_write_int(&w, "ttl_ms", PL_FRONT_RESUME_MS);
	pl_front_write_int(&w, "n", (int64_t)session->n);
	pl_front_write_bool(&w, "resumed", is_resumed);
	if (is_resumed)
		pl_front_write_bool(&w, "replayed", is_replayed);
	write_you(&w, session);
	write_room(&w, session);
	pl_front_write_slots(front, &w, session, false);
	pl_front_write_mode(front, &w, session);
	if (request->sdp != NULL)
		pl_front_write_answer(front, &w, session);
	write_server(front, &w);
	pl_front_reply(front, session->connection, &w);
}

/* ---- the first join ---- */

static void refuse(struct pl_front *front, struct pl_front_connection *connection, const struct pl_request *request,
	const struct pl_front_refused *refused)
{
	struct pl_front_writer w;
	pl_front_write_begin(&w, pl_reply_name(PL_REPLY_REFUSED));
	pl_front_write_id(&w, request);
	pl_front_write_string(&w, "code", pl_refusal_code(refused->why));
	pl_front_write_string(&w, "reason", pl_refusal_reason(refused->why));
	pl_front_write_refused(front, &w, refused);
	pl_front_reply(front, connection, &w);
	pl_front_close(front, connection, PL_FRONT_CLOSE_TRY_AGAIN);
}

/* Reads the offer, and makes sure that the media plane can be told.  False: the client has its error. */
static bool settle(struct pl_front *front, const struct pl_front_connection *connection,
	const struct pl_request *request, const struct pl_front_session *session, uint8_t shard,
	struct pl_description *description)
{
	char error[PL_SDP_ERROR_SIZE], mode_error[PL_FRONT_MODE_ERROR_SIZE];
	struct pl_front_offer asked = pl_front_offer_of(request->sdp, true);
	if (session == NULL && !pl_front_read_mode(front, request, &asked.mode, mode_error)) {
		pl_front_error(front, connection, request, PL_FAULT_UNSUPPORTED, "join.%s", mode_error);
		return false;
	}
	if (!pl_front_settle(front, session, &asked, description, error)) {
		pl_front_error(front, connection, request, PL_FAULT_BAD_SDP, "join.sdp: %s", error);
		return false;
	}
	if (!pl_front_can_command(front, shard)) {
		pl_front_error(front, connection, request, PL_FAULT_BUSY, "the media plane is busy; try again soon");
		return false;
	}
	return true;
}

static void command_join(struct pl_front *front, struct pl_front_session *session)
{
	const struct pl_command command = pl_front_command_of(session, PL_COMMAND_JOIN);
	pl_front_command(front, &command, &session->settled);
	pl_front_session_set_connecting(front, session, true);
}

struct pl_front_session *pl_front_enter(struct pl_front *front, struct pl_front_room *room,
	const struct pl_request *join, const struct pl_description *description)
{
	if (room == NULL)
		room = pl_front_room_create(front, join->room);
	struct pl_front_session *session = pl_front_session_create(front, room, join);
	pl_front_settle_commit(front, session, description, true);
	command_join(front, session);
	session->came_us = front->now_us;
	pl_front_list_push(&front->unheard[session->shard], &session->unheard, session);
	pl_reserve_join(&front->reserve, front->now_us);
	front->counters.joins++;
	return session;
}

static void join_anew(struct pl_front *front, struct pl_front_connection *connection, const struct pl_request *request)
{
	struct pl_description description;
	struct pl_front_room *room = pl_front_room_by_name(front, request->room);
	const struct pl_front_asker asker = {
		.address = connection->address,
		.token = { (const uint8_t *)request->token, request->token != NULL ? strlen(request->token) : 0 },
	};
	struct pl_front_refused refused;
	if (!pl_front_admit(front, room, &asker, &refused)) {
		refuse(front, connection, request, &refused);
		return;
	}
	room = pl_front_room_by_name(front, request->room); /* it may have ended with the one who made room */
	if (!settle(front, connection, request, NULL, pl_front_room_shard(front, room), &description))
		return;
	struct pl_front_session *session = pl_front_enter(front, room, request, &description);
	pl_front_session_attach(front, session, connection);
	pl_front_list_push(&front->quiet, &session->quiet, session);
	welcome(front, session, request, false, false);
	pl_front_tell_peer(front, session, "join", session);
	room = session->room;
	session->is_speakers_untold = room->top_count > 0 || room->dominant != 0;
	pl_front_tell_untold(front, session);
}

/* ---- resume ---- */

/* In constant time: how long it takes tells nothing about how much of a guess was right. */
static bool is_ticket(const struct pl_front_session *session, const char *presented)
{
	if (strlen(presented) != PL_FRONT_SECRET_CHARACTERS)
		return false;
	unsigned from_ticket = 0, from_before = 0;
	for (size_t i = 0; i < PL_FRONT_SECRET_CHARACTERS; i++) {
		from_ticket |= (unsigned)(session->ticket[i] ^ presented[i]);
		from_before |= (unsigned)(session->ticket_before[i] ^ presented[i]);
	}
	return from_ticket == 0 || from_before == 0;
}

/* A ticket is good for one resume.  The one that was shown stays good until the client has spoken again: should this
 * welcome get lost, it has no other. */
static void rotate_ticket(struct pl_front *front, struct pl_front_session *session, const char *presented)
{
	memcpy(session->ticket_before, presented, sizeof session->ticket_before);
	pl_front_random_text(front, session->ticket, PL_FRONT_SECRET_CHARACTERS, false);
}

static void take_over(struct pl_front *front, struct pl_front_session *session, struct pl_front_connection *connection)
{
	if (session->connection != NULL)
		(void)pl_front_bye(front, session->connection, "replaced", "The session goes on in another connection.",
			false, PL_FRONT_CLOSE_NORMAL);
	pl_front_session_attach(front, session, connection);
}

static void resume(struct pl_front *front, struct pl_front_connection *connection, const struct pl_request *request)
{
	struct pl_description description, before;
	const char *ticket = request->resume.ticket;
	struct pl_front_session *session = pl_front_session_by_id(front, request->resume.session);
	if (session == NULL || session->api != PL_FRONT_WEBSOCKET || !is_ticket(session, ticket)) {
		pl_front_error(front, connection, request, PL_FAULT_NO_SESSION,
			"join.resume: there is no such session any more; join without resume");
		return;
	}
	if (strcmp(session->room->name, request->room) != 0) {
		pl_front_error(
			front, connection, request, PL_FAULT_BAD_FIELD, "join.room: the session is in another room");
		return;
	}
	if (request->sdp != NULL && !settle(front, connection, request, session, session->shard, &description))
		return;

	const uint64_t n = (uint64_t)request->resume.n;
	const bool is_replayed = pl_front_can_replay(session, n);
	rotate_ticket(front, session, ticket);
	take_over(front, session, connection);
	if (request->sdp != NULL) {
		before = session->settled;
		pl_front_settle_commit(front, session, &description, true);
		command_join(front, session);
		pl_front_tell_track_changes(front, session, &before);
	}
	welcome(front, session, request, true, is_replayed);
	if (is_replayed)
		pl_front_replay(front, session, n);
	pl_front_tell_untold(front, session);
	front->counters.resumes++;
}

void pl_front_join(struct pl_front *front, int64_t now_us, struct pl_front_connection *connection,
	const struct pl_request *request)
{
	(void)now_us;
	if (connection->session != NULL)
		pl_front_error(
			front, connection, request, PL_FAULT_JOINED, "join: this connection is in a room already");
	else if (request->resume.session != NULL)
		resume(front, connection, request);
	else
		join_anew(front, connection, request);
}
