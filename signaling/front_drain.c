#include "signaling/front_state.h"

/* Those who are asked to go: all of them when the server is about to end, and in an emergency those who have never talked. */

static bool has_other_server(const struct pl_front *front)
{
	return front->config.move_to != NULL && front->config.move_to[0] != '\0';
}

static int64_t ms_until(const struct pl_front *front, int64_t at_us)
{
	return at_us > front->now_us ? (at_us - front->now_us) / 1000 : 0;
}

/* For one alone: when to go is drawn, or all would arrive there as one. */
static void tell_move(
	struct pl_front *front, struct pl_front_session *session, enum pl_refusal why, int64_t deadline_us)
{
	const int64_t deadline_ms = ms_until(front, deadline_us);
	const int64_t spread_ms = deadline_ms / 2 < PL_FRONT_MOVE_SPREAD_MS ? deadline_ms / 2 : PL_FRONT_MOVE_SPREAD_MS;
	struct pl_front_writer w;
	pl_front_write_begin(&w, pl_reply_name(PL_REPLY_MOVE));
	pl_front_write_gap(&w);
	pl_front_write_string(&w, "code", pl_refusal_code(why));
	pl_front_write_string(&w, "url", front->config.move_to);
	pl_front_write_int(&w, "after_ms", pl_front_random_id(front) % (spread_ms + 1));
	pl_front_write_int(&w, "deadline_ms", deadline_ms);
	struct pl_front_text *event = pl_front_write_end(&w);
	pl_front_tell(front, session, event);
	pl_front_text_release(event);
}

/* ---- draining ---- */

void pl_front_tell_drain(struct pl_front *front, struct pl_front_session *session)
{
	if (has_other_server(front)) {
		tell_move(front, session, PL_REFUSAL_DRAINING, front->drained_us);
		return;
	}
	struct pl_front_writer w;
	pl_front_write_begin(&w, pl_reply_name(PL_REPLY_DRAINING));
	pl_front_write_gap(&w);
	pl_front_write_int(&w, "deadline_ms", ms_until(front, front->drained_us));
	struct pl_front_text *event = pl_front_write_end(&w);
	pl_front_tell(front, session, event);
	pl_front_text_release(event);
}

void pl_front_drain(struct pl_front *front, int64_t now_us, int64_t deadline_us)
{
	pl_front_begin(front, now_us);
	front->is_draining = true;
	front->drained_us = deadline_us;
	for (struct pl_front_link *at = front->all_connections.next; at->owner != NULL; at = at->next) {
		const struct pl_front_connection *connection = at->owner;
		if (connection->session != NULL)
			pl_front_tell_drain(front, connection->session);
	}
	for (struct pl_front_link *at = front->away.next; at->owner != NULL; at = at->next)
		((struct pl_front_session *)at->owner)->is_drain_untold = true;
}

/* ---- an emergency ---- */

void pl_front_session_talks(struct pl_front_session *session)
{
	pl_front_list_remove(&session->quiet);
}

static bool is_emergency(const struct pl_front *front)
{
	return pl_pressure_ladder(front->pressure.level)->asks_idle;
}

/* A level stays for seconds after the need for it.  Nobody is sent away for that, nor before all else has had its time to help. */
void pl_front_note_emergency(struct pl_front *front)
{
	const struct pl_pressure *pressure = &front->pressure;
	const bool is_needed =
		is_emergency(front) &&
		(pressure->is_forced || pressure->score_permille >= pl_pressure_begins_permille(pressure->level));
	if (!is_needed)
		front->ask_next_us = INT64_MAX;
	else if (front->ask_next_us == INT64_MAX)
		front->ask_next_us = front->now_us + (pressure->is_forced ? 0 : PL_FRONT_ASK_AFTER_MS * INT64_C(1000));
}

static void end_session(struct pl_front *front, struct pl_front_session *session)
{
	if (session->connection != NULL)
		(void)pl_front_bye(front, session->connection, "pressure",
			"The server is overloaded, and keeps its strength for those who talk.", false,
			PL_FRONT_CLOSE_TRY_AGAIN);
	front->counters.asked_to_go++;
	pl_front_command_leave(front, session);
	pl_front_session_destroy(front, session, "moved");
}

static void ask(struct pl_front *front, struct pl_front_session *session)
{
	if (!has_other_server(front) || session->api != PL_FRONT_WEBSOCKET) {
		end_session(front, session);
		return;
	}
	session->asked_until_us = front->now_us + PL_FRONT_MOVE_MS * INT64_C(1000);
	pl_front_list_remove(&session->quiet);
	pl_front_list_push(&front->asked, &session->quiet, session);
	tell_move(front, session, PL_REFUSAL_PRESSURE, session->asked_until_us);
}

/* Who came last goes first.  Who is away is not there to be asked, and may resume; a player by WHEP can be told nothing. */
static void ask_some(struct pl_front *front)
{
	uint32_t left = front->counters.sessions / PL_FRONT_ASK_PART + 1;
	uint32_t looked = PL_FRONT_ASK_LOOKS;
	struct pl_front_link *at = front->quiet.previous;
	for (; at->owner != NULL && left > 0 && looked > 0; looked--) {
		struct pl_front_session *session = at->owner;
		at = at->previous;
		if (session->connection == NULL && session->api == PL_FRONT_WEBSOCKET)
			continue;
		ask(front, session);
		left--;
	}
	front->ask_next_us = front->now_us + PL_FRONT_ASK_MS * INT64_C(1000);
}

/* Those whose time is over go; when there is no need any more they stay. */
static void end_asked(struct pl_front *front)
{
	struct pl_front_session *session;
	while ((session = pl_front_list_first(&front->asked)) != NULL && session->asked_until_us <= front->now_us) {
		if (is_emergency(front)) {
			end_session(front, session);
		} else {
			pl_front_list_remove(&session->quiet);
			pl_front_list_push(&front->quiet, &session->quiet, session);
		}
	}
}

int64_t pl_front_deadline_of_asking(const struct pl_front *front)
{
	const struct pl_front_session *asked = pl_front_list_first(&front->asked);
	const int64_t end_us = asked != NULL ? asked->asked_until_us : INT64_MAX;
	const bool has_quiet = pl_front_list_first(&front->quiet) != NULL;
	const int64_t ask_us = is_emergency(front) && has_quiet ? front->ask_next_us : INT64_MAX;
	return end_us < ask_us ? end_us : ask_us;
}

void pl_front_tick_asking(struct pl_front *front)
{
	end_asked(front);
	if (is_emergency(front) && front->ask_next_us <= front->now_us && pl_front_list_first(&front->quiet) != NULL)
		ask_some(front);
}
