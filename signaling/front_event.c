#include <stdlib.h>
#include <string.h>

#include "signaling/front_state.h"

/* ---- numbering, keeping, sending again ---- */

enum { CAPACITY_FIRST = 8 };
_Static_assert((PL_FRONT_EVENTS_KEPT & (PL_FRONT_EVENTS_KEPT - 1)) == 0, "doubling ends there");

static struct pl_front_text **place_of(const struct pl_front_session *session, uint64_t n)
{
	return &session->kept[n % session->kept_capacity];
}

/* Most sessions sit in small rooms and hear little: a full table would be half of what they cost. */
static void make_room(struct pl_front_session *session)
{
	if (session->kept_count < session->kept_capacity)
		return;
	const uint32_t capacity = session->kept_capacity > 0 ? 2 * session->kept_capacity : CAPACITY_FIRST;
	struct pl_front_text **kept = calloc(capacity, sizeof *kept);
	PL_ASSERT(kept != NULL && capacity <= PL_FRONT_EVENTS_KEPT);
	for (uint32_t i = 0; i < session->kept_count; i++) {
		const uint64_t n = session->n - i;
		kept[n % capacity] = *place_of(session, n);
	}
	free(session->kept);
	session->kept = kept;
	session->kept_capacity = capacity;
}

static void forget_oldest(struct pl_front_session *session)
{
	struct pl_front_text **oldest = place_of(session, session->n - session->kept_count + 1);
	session->kept_bytes -= (*oldest)->size;
	session->kept_count--;
	pl_front_text_release(*oldest);
	*oldest = NULL;
}

void pl_front_tell(struct pl_front *front, struct pl_front_session *session, struct pl_front_text *event)
{
	if (session->api != PL_FRONT_WEBSOCKET)
		return; /* nobody listens, now or later */
	if (session->kept_count == PL_FRONT_EVENTS_KEPT)
		forget_oldest(session);
	make_room(session);
	session->n++;
	*place_of(session, session->n) = pl_front_text_hold(event);
	session->kept_count++;
	session->kept_bytes += event->size;
	while (session->kept_bytes > PL_FRONT_EVENT_BYTES_KEPT)
		forget_oldest(session);
	if (session->connection != NULL)
		pl_front_send(front, session->connection, event, session->n);
}

void pl_front_tell_room(struct pl_front *front, const struct pl_front_room *room, const struct pl_front_session *except,
	struct pl_front_text *event)
{
	for (struct pl_front_session *s = pl_front_room_next(room, NULL); s != NULL; s = pl_front_room_next(room, s)) {
		if (s != except)
			pl_front_tell(front, s, event);
	}
	pl_front_text_release(event);
}

bool pl_front_can_replay(const struct pl_front_session *session, uint64_t n)
{
	return n <= session->n && session->n - n <= session->kept_count;
}

void pl_front_replay(struct pl_front *front, const struct pl_front_session *session, uint64_t n)
{
	while (++n <= session->n)
		pl_front_send(front, session->connection, *place_of(session, n), n);
}

/* ---- parts ---- */

void pl_front_write_track(struct pl_front_writer *w, const char *key, const struct pl_track_spec *track, bool with_mid)
{
	char name[PL_FRONT_TRACK_SIZE];
	pl_front_write_open(w, key, '{');
	pl_front_write_string(w, "track", pl_front_track_name(track->track, name));
	if (with_mid)
		pl_front_write_string(w, "mid", track->mid);
	pl_front_write_string(w, "kind", "audio");
	pl_front_write_bool(w, "muted", track->is_muted);
	pl_front_write_close(w, '}');
}

void pl_front_write_slots(
	struct pl_front *front, struct pl_front_writer *w, const struct pl_front_session *session, bool is_event)
{
	char peer[PL_FRONT_PEER_SIZE], track[PL_FRONT_TRACK_SIZE];
	pl_front_write_open(w, "slots", '[');
	for (uint8_t i = 0; i < session->settled.slot_count; i++) {
		const struct pl_slot_spec *spec = &session->settled.slot[i];
		/* Who has just left may still be in it, as the media plane last told. */
		const uint32_t source = session->slot[i].source;
		const bool is_filled = source != 0 && pl_front_session_by_source(front, source) != NULL;
		pl_front_write_open(w, NULL, '{');
		pl_front_write_int(w, "slot", i);
		if (!is_event) {
			pl_front_write_string(w, "mid", spec->mid);
			pl_front_write_string(w, "kind", "audio");
			pl_front_write_int(w, "ssrc", spec->ssrc);
		}
		pl_front_write_string(w, "peer", is_filled ? pl_front_peer_name(source, peer) : NULL);
		pl_front_write_string(
			w, "track", is_filled ? pl_front_track_name(session->slot[i].track, track) : NULL);
		if (is_filled)
			pl_front_write_int(w, "source", source);
		else
			pl_front_write_string(w, "source", NULL);
		pl_front_write_string(w, "mix", pl_front_mix_of(&session->slot[i]));
		pl_front_write_close(w, '}');
	}
	pl_front_write_close(w, ']');
}

static void begin(struct pl_front_writer *w, enum pl_reply_kind kind)
{
	pl_front_write_begin(w, pl_reply_name(kind));
	pl_front_write_gap(w);
}

/* ---- the room's events ----
 * Who comes and goes is told to everybody, and in a storm of joins that is most of the work: it may wait for more of its kind. */

static void tell_news(struct pl_front *front, const struct pl_front_room *room, const struct pl_front_session *except,
	struct pl_front_writer *w)
{
	struct pl_front_text *event = pl_front_write_end(w);
	event->may_wait = true;
	pl_front_tell_room(front, room, except, event);
}

void pl_front_tell_peer(struct pl_front *front, const struct pl_front_session *who, const char *op,
	const struct pl_front_session *except)
{
	struct pl_front_writer w;
	begin(&w, PL_REPLY_PEER);
	pl_front_write_string(&w, "op", op);
	pl_front_write_raw(&w, "peer", who->roster->data, who->roster->size);
	tell_news(front, who->room, except, &w);
}

void pl_front_tell_peer_left(struct pl_front *front, const struct pl_front_session *who, const char *reason)
{
	char peer[PL_FRONT_PEER_SIZE];
	struct pl_front_writer w;
	begin(&w, PL_REPLY_PEER);
	pl_front_write_string(&w, "op", "leave");
	pl_front_write_open(&w, "peer", '{');
	pl_front_write_string(&w, "peer", pl_front_peer_name(who->source, peer));
	pl_front_write_close(&w, '}');
	pl_front_write_string(&w, "reason", reason);
	tell_news(front, who->room, who, &w);
}

void pl_front_tell_track(struct pl_front *front, const struct pl_front_session *who, const char *op,
	const struct pl_track_spec *track, const struct pl_front_session *except)
{
	char peer[PL_FRONT_PEER_SIZE];
	struct pl_front_writer w;
	begin(&w, PL_REPLY_TRACK);
	pl_front_write_string(&w, "op", op);
	pl_front_write_string(&w, "peer", pl_front_peer_name(who->source, peer));
	pl_front_write_track(&w, "track", track, false);
	tell_news(front, who->room, except, &w);
}

/* ---- events of the media plane ---- */

static void tell_slots(struct pl_front *front, struct pl_front_session *session)
{
	struct pl_front_writer w;
	begin(&w, PL_REPLY_SLOTS);
	pl_front_write_slots(front, &w, session, true);
	struct pl_front_text *event = pl_front_write_end(&w);
	pl_front_tell(front, session, event);
	pl_front_text_release(event);
}

static struct pl_front_text *write_speakers(struct pl_front *front, const struct pl_front_room *room)
{
	char peer[PL_FRONT_PEER_SIZE];
	struct pl_front_writer w;
	begin(&w, PL_REPLY_SPEAKERS);
	pl_front_write_open(&w, "top", '[');
	for (uint8_t i = 0; i < room->top_count; i++) {
		if (pl_front_session_by_source(front, room->top[i]) != NULL)
			pl_front_write_string(&w, NULL, pl_front_peer_name(room->top[i], peer));
	}
	pl_front_write_close(&w, ']');
	const bool is_there = room->dominant != 0 && pl_front_session_by_source(front, room->dominant) != NULL;
	pl_front_write_string(&w, "dominant", is_there ? pl_front_peer_name(room->dominant, peer) : NULL);
	return pl_front_write_end(&w);
}

void pl_front_tell_untold(struct pl_front *front, struct pl_front_session *session)
{
	if (session->is_slots_untold)
		tell_slots(front, session);
	if (session->is_speakers_untold) {
		struct pl_front_text *event = write_speakers(front, session->room);
		pl_front_tell(front, session, event);
		pl_front_text_release(event);
	}
	if (session->is_pressure_untold)
		pl_front_tell_degraded(front, session);
	if (session->is_drain_untold)
		pl_front_tell_drain(front, session);
	session->is_slots_untold = session->is_speakers_untold = session->is_pressure_untold = false;
	session->is_drain_untold = false;
}

static void take_slots(struct pl_front *front, struct pl_front_session *session, const struct pl_event *event)
{
	/* Another number of slots is another offer's: the map for the present one is on its way. */
	if (event->slots.count != session->settled.slot_count)
		return;
	for (uint8_t i = 0; i < event->slots.count; i++) {
		session->slot[i].source = event->slots.slot[i].source;
		session->slot[i].track = event->slots.slot[i].track;
	}
	if (session->connection != NULL)
		tell_slots(front, session);
	else
		session->is_slots_untold = true;
}

static void take_speakers(struct pl_front *front, struct pl_front_room *room, const struct pl_event *event)
{
	PL_ASSERT(event->speakers.count <= PL_TOP_MAX);
	room->top_count = event->speakers.count;
	memcpy(room->top, event->speakers.top, room->top_count * sizeof room->top[0]);
	room->dominant = event->speakers.dominant;
	for (uint8_t i = 0; i < room->top_count; i++) {
		struct pl_front_session *talker = pl_front_session_by_source(front, room->top[i]);
		if (talker != NULL)
			pl_front_session_talks(talker);
	}
	struct pl_front_text *text = write_speakers(front, room);
	for (struct pl_front_session *s = pl_front_room_next(room, NULL); s != NULL; s = pl_front_room_next(room, s)) {
		if (s->connection != NULL)
			pl_front_tell(front, s, text);
		else
			s->is_speakers_untold = true;
	}
	pl_front_text_release(text);
}

/* It may be news of the transport that a resume has just replaced: then one that connects is not counted as such. */
static void tell_connected(struct pl_front *front, struct pl_front_session *session)
{
	struct pl_front_writer w;
	pl_front_session_set_connecting(front, session, false);
	begin(&w, PL_REPLY_CONNECTED);
	struct pl_front_text *event = pl_front_write_end(&w);
	pl_front_tell(front, session, event);
	pl_front_text_release(event);
}

void pl_front_end_without_media(
	struct pl_front *front, struct pl_front_session *session, const char *msg, const char *reason)
{
	if (session->connection != NULL)
		(void)pl_front_bye(front, session->connection, "media_lost", msg, false, PL_FRONT_CLOSE_NORMAL);
	/* A JOIN that replaced the lost transport may have crossed the event on its way: then somebody is there to leave. */
	pl_front_command_leave(front, session);
	pl_front_session_destroy(front, session, reason);
}

/* The end of DTLS is a goodbye: over HTTP like DELETE (RFC 9725 section 4.2), and of a page that says leave and closes its
 * connection it may come before the word. */
static const char *reason_of(enum pl_close close)
{
	return close == PL_CLOSE_PEER ? "left" : "lost";
}

void pl_front_event(struct pl_front *front, int64_t now_us, const struct pl_event *event)
{
	pl_front_begin(front, now_us);
	if (event->kind == PL_EVENT_PRESSURE) {
		pl_front_take_pressure(front, &event->pressure);
		return;
	}
	struct pl_front_room *room = pl_front_room_by_id(front, event->room);
	if (event->kind == PL_EVENT_SPEAKERS) {
		if (room != NULL)
			take_speakers(front, room, event);
		return;
	}
	struct pl_front_session *session = pl_front_session_by_source(front, event->source);
	if (session == NULL || session->room != room)
		return; /* it has left, and the event did not know */
	switch (event->kind) {
	case PL_EVENT_HEARD:
		pl_front_list_remove(&session->unheard);
		break;
	case PL_EVENT_CONNECTED:
		tell_connected(front, session);
		break;
	case PL_EVENT_SLOTS:
		take_slots(front, session, event);
		break;
	case PL_EVENT_GONE:
		pl_front_end_without_media(front, session, pl_close_text(event->close), reason_of(event->close));
		break;
	case PL_EVENT_REFUSED:
		pl_placement_refused(&front->placement, session->shard, now_us);
		pl_front_end_without_media(
			front, session, "the media plane has no place for another participant", "lost");
		break;
	case PL_EVENT_SPEAKERS:
	case PL_EVENT_PRESSURE:
		break;
	}
}
