#include "signaling/front_state.h"

/* What the server takes away while it is pressed, told to those it is taken from. */

static void write_actions(struct pl_front_writer *w, const struct pl_ladder *ladder)
{
	const struct {
		const char *name;
		bool is_taken;
	} actions[] = {
		{ "quality", ladder->load_step > 0 },
		{ "delay", ladder->coalesce_us > 0 },
		{ "slots", ladder->audio_slots < PL_SLOTS_MAX },
		{ "auto", ladder->moves_auto },
		{ "rooms", ladder->refuses_rooms },
		{ "joins", ladder->refuses_joins },
		{ "listeners", ladder->asks_idle },
	};
	pl_front_write_open(w, "actions", '[');
	for (size_t i = 0; i < PL_COUNT(actions); i++) {
		if (actions[i].is_taken)
			pl_front_write_string(w, NULL, actions[i].name);
	}
	pl_front_write_close(w, ']');
}

void pl_front_write_pressure(const struct pl_front *front, struct pl_front_writer *w)
{
	const struct pl_pressure *pressure = &front->pressure;
	const struct pl_ladder *ladder = pl_pressure_ladder(pressure->level);
	const bool has_cause = pressure->level > PL_PRESSURE_NOMINAL && pressure->cause < PL_PRESSURE_INPUTS;
	pl_front_write_int(w, "level", pressure->level);
	pl_front_write_string(w, "name", pl_pressure_level_name(pressure->level));
	pl_front_write_string(w, "cause", has_cause ? pl_pressure_input_name(pressure->cause) : NULL);
	if (ladder->audio_slots < PL_SLOTS_MAX)
		pl_front_write_int(w, "audio_slots", ladder->audio_slots);
	else
		pl_front_write_string(w, "audio_slots", NULL);
	write_actions(w, ladder);
}

static struct pl_front_text *write_degraded(const struct pl_front *front)
{
	struct pl_front_writer w;
	pl_front_write_begin(&w, pl_reply_name(PL_REPLY_DEGRADED));
	pl_front_write_gap(&w);
	pl_front_write_pressure(front, &w);
	struct pl_front_text *event = pl_front_write_end(&w);
	event->may_wait = true;
	return event;
}

void pl_front_tell_degraded(struct pl_front *front, struct pl_front_session *session)
{
	struct pl_front_text *event = write_degraded(front);
	pl_front_tell(front, session, event);
	pl_front_text_release(event);
}

/* One text for all: on a full server that is thousands. */
static void tell_all(struct pl_front *front)
{
	struct pl_front_text *event = write_degraded(front);
	for (struct pl_front_link *at = front->all_connections.next; at->owner != NULL; at = at->next) {
		const struct pl_front_connection *connection = at->owner;
		if (connection->session != NULL)
			pl_front_tell(front, connection->session, event);
	}
	for (struct pl_front_link *at = front->away.next; at->owner != NULL; at = at->next)
		((struct pl_front_session *)at->owner)->is_pressure_untold = true;
	pl_front_text_release(event);
	front->pressure_told = front->pressure.level;
	front->pressure_told_us = front->now_us;
}

int64_t pl_front_deadline_of_pressure(const struct pl_front *front)
{
	if (front->pressure.level == front->pressure_told)
		return INT64_MAX;
	return front->pressure_told_us + PL_FRONT_DEGRADED_GAP_MS * INT64_C(1000);
}

void pl_front_tick_pressure(struct pl_front *front)
{
	if (pl_front_deadline_of_pressure(front) <= front->now_us)
		tell_all(front);
}

void pl_front_take_pressure(struct pl_front *front, const struct pl_pressure *pressure)
{
	PL_ASSERT(pressure->level < PL_PRESSURE_LEVELS && pressure->cause <= PL_PRESSURE_INPUTS);
	front->pressure = *pressure;
	pl_front_note_emergency(front);
	pl_reserve_measured(&front->reserve, front->now_us, pressure, front->counters.sessions);
	pl_front_tick_pressure(front);
}
