#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signaling/front_state.h"

const char *pl_front_peer_name(uint32_t source, char text[static PL_FRONT_PEER_SIZE])
{
	snprintf(text, PL_FRONT_PEER_SIZE, "p%08" PRIx32, source);
	return text;
}

const char *pl_front_track_name(uint32_t track, char text[static PL_FRONT_TRACK_SIZE])
{
	snprintf(text, PL_FRONT_TRACK_SIZE, "t%08" PRIx32, track);
	return text;
}

/* ---- finding ---- */

static uint64_t hash_id(const struct pl_front *front, const char *id)
{
	return pl_front_table_hash(&front->sessions_by_id, (struct pl_bytes){ (const uint8_t *)id, strlen(id) });
}

static uint64_t hash_source(const struct pl_front *front, const uint32_t *source)
{
	return pl_front_table_hash(
		&front->sessions_by_source, (struct pl_bytes){ (const uint8_t *)source, sizeof *source });
}

struct pl_front_session *pl_front_session_by_id(struct pl_front *front, const char *id)
{
	struct pl_front_node *node = pl_front_table_first(&front->sessions_by_id, hash_id(front, id));
	while (node != NULL && strcmp(((struct pl_front_session *)node->owner)->id, id) != 0)
		node = pl_front_table_next(node);
	return node != NULL ? node->owner : NULL;
}

struct pl_front_session *pl_front_session_by_source(struct pl_front *front, uint32_t source)
{
	struct pl_front_node *node = pl_front_table_first(&front->sessions_by_source, hash_source(front, &source));
	while (node != NULL && ((struct pl_front_session *)node->owner)->source != source)
		node = pl_front_table_next(node);
	return node != NULL ? node->owner : NULL;
}

/* ---- coming ---- */

void pl_front_session_rename(struct pl_front_session *session, const char *name, const json_t *attrs)
{
	if (name != NULL || session->name == NULL) {
		free(session->name);
		session->name = strdup(name != NULL ? name : "");
		PL_ASSERT(session->name != NULL);
	}
	if (attrs == NULL && session->attrs != NULL)
		return;
	struct pl_front_writer w;
	pl_front_write_begin_part(&w);
	if (attrs != NULL)
		pl_front_write_json(&w, NULL, attrs);
	else
		pl_front_write_raw(&w, NULL, "{}", 2);
	pl_front_text_release(session->attrs);
	session->attrs = pl_front_write_end_part(&w);
}

void pl_front_session_refresh(struct pl_front_session *session)
{
	char peer[PL_FRONT_PEER_SIZE];
	struct pl_front_writer w;
	pl_front_write_begin_part(&w);
	pl_front_write_open(&w, NULL, '{');
	pl_front_write_string(&w, "peer", pl_front_peer_name(session->source, peer));
	pl_front_write_int(&w, "source", session->source);
	pl_front_write_string(&w, "name", session->name);
	pl_front_write_raw(&w, "attrs", session->attrs->data, session->attrs->size);
	pl_front_write_open(&w, "tracks", '[');
	for (uint8_t i = 0; i < session->settled.track_count; i++)
		pl_front_write_track(&w, NULL, &session->settled.track[i], false);
	pl_front_write_close(&w, ']');
	pl_front_write_close(&w, '}');
	pl_front_text_release(session->roster);
	session->roster = pl_front_write_end_part(&w);
}

struct pl_front_session *pl_front_session_create(
	struct pl_front *front, struct pl_front_room *room, const struct pl_request *join)
{
	struct pl_front_session *session = calloc(1, sizeof *session);
	PL_ASSERT(session != NULL);
	pl_front_random_text(front, session->id, PL_FRONT_SECRET_CHARACTERS, false);
	pl_front_random_text(front, session->ticket, PL_FRONT_SECRET_CHARACTERS, false);
	do {
		session->source = pl_front_random_id(front);
	} while (session->source >= PL_ID_OWN || pl_front_session_by_source(front, session->source) != NULL);
	front->config.random(front->config.random_context, &session->sdp_session, sizeof session->sdp_session);
	session->sdp_session >>= 2; /* RFC 8829 section 5.2.1: below 2^62, so that nobody takes it for negative */
	pl_front_session_rename(session, join->name, join->attrs);
	pl_front_session_refresh(session);

	pl_front_table_insert(&front->sessions_by_id, &session->by_id, hash_id(front, session->id), session);
	pl_front_table_insert(
		&front->sessions_by_source, &session->by_source, hash_source(front, &session->source), session);
	session->room = room;
	session->shard = pl_front_room_shard(front, room);
	pl_front_room_comes(front, room, session->shard);
	pl_front_list_push(&room->members, &session->member, session);
	front->counters.sessions++;
	return session;
}

void pl_front_session_attach(
	struct pl_front *front, struct pl_front_session *session, struct pl_front_connection *connection)
{
	PL_ASSERT(session->connection == NULL && connection->session == NULL);
	pl_front_list_remove(&session->away);
	pl_front_stop_waiting(front, connection);
	session->connection = connection;
	connection->session = session;
}

void pl_front_session_set_connecting(struct pl_front *front, struct pl_front_session *session, bool is_connecting)
{
	if (session->is_connecting == is_connecting)
		return;
	session->is_connecting = is_connecting;
	if (is_connecting) {
		pl_placement_connecting_begins(&front->placement, session->shard);
		front->counters.connecting++;
	} else {
		pl_front_list_remove(&session->unheard);
		pl_placement_connecting_ends(&front->placement, session->shard);
		front->counters.connecting--;
	}
}

/* ---- going ---- */

void pl_front_session_detach(struct pl_front *front, struct pl_front_session *session, int64_t now_us)
{
	PL_ASSERT(session->connection == NULL);
	session->away_us = now_us;
	pl_front_list_push(&front->away, &session->away, session);
}

void pl_front_session_destroy(struct pl_front *front, struct pl_front_session *session, const char *reason)
{
	struct pl_front_room *room = session->room;
	PL_ASSERT(session->connection == NULL);
	pl_front_table_remove(&front->sessions_by_id, &session->by_id);
	pl_front_table_remove(&front->sessions_by_source, &session->by_source);
	pl_front_list_remove(&session->member);
	pl_front_list_remove(&session->away);
	pl_front_list_remove(&session->quiet);
	pl_front_session_set_connecting(front, session, false);
	pl_front_room_goes(front, room, session->shard);
	if (reason != NULL)
		pl_front_tell_peer_left(front, session, reason);
	if (room->member_count == 0)
		pl_front_room_destroy(front, room);
	for (uint32_t i = 0; i < session->kept_capacity; i++)
		pl_front_text_release(session->kept[i]);
	free(session->kept);
	pl_front_text_release(session->attrs);
	pl_front_text_release(session->roster);
	free(session->name);
	explicit_bzero(session, sizeof *session);
	free(session);
	front->counters.sessions--;
}

struct pl_front_session *pl_front_bye(struct pl_front *front, struct pl_front_connection *connection, const char *code,
	const char *msg, bool is_resumable, uint16_t close_code)
{
	struct pl_front_session *session = connection->session;
	struct pl_front_writer w;
	pl_front_write_begin(&w, pl_reply_name(PL_REPLY_BYE));
	pl_front_write_int(&w, "n", session != NULL ? (int64_t)session->n : 0);
	pl_front_write_string(&w, "code", code);
	pl_front_write_string(&w, "msg", msg);
	pl_front_write_bool(&w, "resumable", is_resumable);
	if (close_code == PL_FRONT_CLOSE_TRY_AGAIN || close_code == PL_FRONT_CLOSE_GOING_AWAY)
		pl_front_write_int(&w, "retry_after_ms", pl_front_draw_retry_ms(front));
	pl_front_reply(front, connection, &w);
	pl_front_close(front, connection, close_code);
	connection->session = NULL;
	if (session != NULL)
		session->connection = NULL;
	return session;
}
