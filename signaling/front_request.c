#include <string.h>

#include "signaling/front_state.h"

static void reply_ok(
	struct pl_front *front, const struct pl_front_connection *connection, const struct pl_request *request)
{
	struct pl_front_writer w;
	pl_front_write_begin(&w, pl_reply_name(PL_REPLY_OK));
	pl_front_write_id(&w, request);
	pl_front_reply(front, connection, &w);
}

/* True when the media plane can take a command; else the client has its error. */
static bool has_command(
	struct pl_front *front, const struct pl_front_session *session, const struct pl_request *request)
{
	if (pl_front_can_command(front, session->shard))
		return true;
	pl_front_error(front, session->connection, request, PL_FAULT_BUSY, "the media plane is busy; try again soon");
	return false;
}

/* ---- offer ---- */

void pl_front_write_own_tracks(struct pl_front_writer *w, const struct pl_front_session *session)
{
	pl_front_write_open(w, "tracks", '[');
	for (uint8_t i = 0; i < session->settled.track_count; i++)
		pl_front_write_track(w, NULL, &session->settled.track[i], true);
	pl_front_write_close(w, ']');
}

static void offer(struct pl_front *front, struct pl_front_session *session, const struct pl_request *request)
{
	char error[PL_SDP_ERROR_SIZE];
	struct pl_description description;
	const struct pl_front_offer asked = pl_front_offer_of(request->sdp, false);
	if (!pl_front_settle(front, session, &asked, &description, error)) {
		pl_front_error(front, session->connection, request, PL_FAULT_BAD_SDP, "offer.sdp: %s", error);
		return;
	}
	if (!has_command(front, session, request))
		return;
	const struct pl_description before = session->settled;
	pl_front_settle_commit(front, session, &description, false);
	const struct pl_command command = pl_front_command_of(session, PL_COMMAND_UPDATE);
	pl_front_command(front, &command, &session->settled);

	struct pl_front_writer w;
	pl_front_write_begin(&w, pl_reply_name(PL_REPLY_ANSWER));
	pl_front_write_id(&w, request);
	pl_front_write_answer(front, &w, session);
	pl_front_write_own_tracks(&w, session);
	pl_front_write_slots(front, &w, session, false);
	pl_front_reply(front, session->connection, &w);
	pl_front_tell_track_changes(front, session, &before);
}

/* ---- mute, mode, meta ---- */

static struct pl_track_spec *find_track(struct pl_front_session *session, const char *name)
{
	char text[PL_FRONT_TRACK_SIZE];
	for (uint8_t i = 0; i < session->settled.track_count; i++) {
		struct pl_track_spec *track = &session->settled.track[i];
		if (strcmp(pl_front_track_name(track->track, text), name) == 0)
			return track;
	}
	return NULL;
}

static void mute(struct pl_front *front, struct pl_front_session *session, const struct pl_request *request)
{
	struct pl_track_spec *track = find_track(session, request->track);
	if (track == NULL) {
		pl_front_error(
			front, session->connection, request, PL_FAULT_NO_TRACK, "mute.track: you have no such track");
		return;
	}
	if (track->is_muted == request->is_on) {
		reply_ok(front, session->connection, request);
		return;
	}
	if (!has_command(front, session, request))
		return;
	track->is_muted = request->is_on;
	pl_front_session_refresh(session);
	struct pl_command command = pl_front_command_of(session, PL_COMMAND_MUTE);
	command.track = track->track;
	command.is_on = request->is_on;
	pl_front_command(front, &command, NULL);
	reply_ok(front, session->connection, request);
	pl_front_tell_track(front, session, "update", track, NULL);
}

static void mode(struct pl_front *front, struct pl_front_session *session, const struct pl_request *request)
{
	struct pl_description *settled = &session->settled;
	struct pl_front_mode wanted = { settled->audio_mode, settled->mix_wish };
	char error[PL_FRONT_MODE_ERROR_SIZE];
	if (!pl_front_read_mode(front, request, &wanted, error)) {
		pl_front_error(front, session->connection, request, PL_FAULT_UNSUPPORTED, "mode.%s", error);
		return;
	}
	if (wanted.audio == settled->audio_mode && wanted.wish == settled->mix_wish) {
		reply_ok(front, session->connection, request);
		return;
	}
	if (!has_command(front, session, request))
		return;
	settled->audio_mode = wanted.audio;
	settled->mix_wish = wanted.wish;
	struct pl_command command = pl_front_command_of(session, PL_COMMAND_MODE);
	command.audio_mode = wanted.audio;
	command.mix_wish = wanted.wish;
	pl_front_command(front, &command, NULL);
	reply_ok(front, session->connection, request);
}

static void meta(struct pl_front *front, struct pl_front_session *session, const struct pl_request *request)
{
	reply_ok(front, session->connection, request);
	if (request->name == NULL && request->attrs == NULL)
		return;
	pl_front_session_rename(session, request->name, request->attrs);
	pl_front_session_refresh(session);
	pl_front_tell_peer(front, session, "update", NULL);
}

/* ---- data ---- */

/* NULL when nobody in the room has this id. */
static struct pl_front_session *find_peer(
	struct pl_front *front, const struct pl_front_session *session, const char *peer)
{
	uint32_t source = 0;
	for (const char *at = peer; *at != '\0' && at - peer < PL_FRONT_PEER_SIZE; at++) {
		const char *digits = "0123456789abcdef", *digit = strchr(digits, *at);
		source = source << 4 | (digit != NULL ? (uint32_t)(digit - digits) : 0);
	}
	/* Whatever was read above: only the name that we would write ourselves is one. */
	char name[PL_FRONT_PEER_SIZE];
	struct pl_front_session *found = pl_front_session_by_source(front, source);
	const bool is_here =
		found != NULL && found->room == session->room && strcmp(pl_front_peer_name(source, name), peer) == 0;
	return is_here ? found : NULL;
}

/* False: the client has its error, and nobody was found. */
static bool find_receivers(struct pl_front *front, const struct pl_front_session *session,
	const struct pl_request *request, struct pl_front_session *receiver[static PL_DATA_TO_MAX], size_t *count)
{
	const uint64_t mark = ++front->mark_last;
	*count = 0;
	for (size_t i = 0; i < json_array_size(request->to); i++) {
		const char *peer = json_string_value(json_array_get(request->to, i));
		struct pl_front_session *found = find_peer(front, session, peer);
		if (found == NULL) {
			pl_front_error(front, session->connection, request, PL_FAULT_NO_PEER,
				"data.to: the peer at place %zu is not in this room", i);
			return false;
		}
		if (found->mark != mark)
			receiver[(*count)++] = found;
		found->mark = mark;
	}
	return true;
}

static struct pl_front_text *write_data(const struct pl_front_session *session, const struct pl_request *request)
{
	char peer[PL_FRONT_PEER_SIZE];
	struct pl_front_writer w;
	pl_front_write_begin(&w, pl_reply_name(PL_REPLY_DATA));
	pl_front_write_gap(&w);
	pl_front_write_string(&w, "from", pl_front_peer_name(session->source, peer));
	pl_front_write_string(&w, "topic", request->topic);
	pl_front_write_json(&w, "body", request->body);
	return pl_front_write_end(&w);
}

static void data(
	struct pl_front *front, int64_t now_us, struct pl_front_session *session, const struct pl_request *request)
{
	struct pl_front_session *receiver[PL_DATA_TO_MAX];
	size_t count;
	if (!find_receivers(front, session, request, receiver, &count))
		return;
	if (!pl_front_may(&session->data_us, now_us, PL_FRONT_DATA_PER_S, PL_FRONT_DATA_BURST)) {
		pl_front_error(front, session->connection, request, PL_FAULT_RATE, "data: at most %d a second",
			PL_FRONT_DATA_PER_S);
		return;
	}
	reply_ok(front, session->connection, request);
	struct pl_front_text *event = write_data(session, request);
	if (request->to == NULL) {
		pl_front_tell_room(front, session->room, session, event);
		return;
	}
	for (size_t i = 0; i < count; i++)
		pl_front_tell(front, receiver[i], event);
	pl_front_text_release(event);
}

/* ---- ping, leave ---- */

static void ping(struct pl_front *front, const struct pl_front_session *session, const struct pl_request *request)
{
	struct pl_front_writer w;
	pl_front_write_begin(&w, pl_reply_name(PL_REPLY_PONG));
	pl_front_write_id(&w, request);
	pl_front_reply(front, session->connection, &w);
}

static void leave(struct pl_front *front, struct pl_front_connection *connection, const struct pl_request *request)
{
	struct pl_front_session *session = connection->session;
	reply_ok(front, connection, request);
	pl_front_close(front, connection, PL_FRONT_CLOSE_NORMAL);
	connection->session = NULL;
	session->connection = NULL;
	pl_front_command_leave(front, session);
	pl_front_session_destroy(front, session, "left");
}

void pl_front_request(struct pl_front *front, int64_t now_us, struct pl_front_connection *connection,
	const struct pl_request *request)
{
	struct pl_front_session *session = connection->session;
	switch (request->kind) {
	case PL_REQUEST_OFFER:
		offer(front, session, request);
		break;
	case PL_REQUEST_MUTE:
		mute(front, session, request);
		break;
	case PL_REQUEST_MODE:
		mode(front, session, request);
		break;
	case PL_REQUEST_META:
		meta(front, session, request);
		break;
	case PL_REQUEST_DATA:
		data(front, now_us, session, request);
		break;
	case PL_REQUEST_PING:
		ping(front, session, request);
		break;
	case PL_REQUEST_LEAVE:
		leave(front, connection, request);
		break;
	case PL_REQUEST_JOIN:
	case PL_REQUEST_COUNT:
		PL_ASSERT(false);
	}
}
