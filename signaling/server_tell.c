/* What the log is told of the media plane's events and of who was refused. */
#include "signaling/log.h"
#include "signaling/server_internal.h"

enum { REFUSALS_US = 1000000 }; /* a flood of them is a line a second for each reason */

static void tell_pressure(struct pl_server *server, const struct pl_pressure *now)
{
	char score[16];
	if (now->level == server->told.level)
		return;
	/* The first level refuses nobody and takes nothing that anybody hears. */
	const bool is_warned = now->level > server->told.level && now->level >= PL_PRESSURE_HIGH;
	snprintf(score, sizeof(score), "%u.%03u", now->score_permille / 1000u, now->score_permille % 1000u);
	pl_log(is_warned ? PL_LOG_WARNING : PL_LOG_INFO, "the pressure has another level",
		PL_LOG_TEXT("to", pl_pressure_level_name(now->level)),
		PL_LOG_TEXT("from", pl_pressure_level_name(server->told.level)),
		PL_LOG_TEXT("cause", pl_pressure_input_name(now->cause)), PL_LOG_TEXT("score", score),
		PL_LOG_TEXT("by", now->is_forced ? "hand" : "score"));
	server->told.level = now->level;
}

void pl_server_tell_event(struct pl_server *server, const struct pl_event *event)
{
	if (event->kind == PL_EVENT_CONNECTED)
		pl_log(PL_LOG_INFO, "media is connected", PL_LOG_NUMBER("source", event->source));
	else if (event->kind == PL_EVENT_GONE)
		pl_log(PL_LOG_INFO, "media is gone", PL_LOG_NUMBER("source", event->source),
			PL_LOG_TEXT("close", pl_close_text(event->close)));
	else if (event->kind == PL_EVENT_PRESSURE)
		tell_pressure(server, &event->pressure);
}

void pl_server_tell_refusals(struct pl_server *server)
{
	const struct pl_front_counters *now = pl_front_counters(server->front);
	const int64_t now_us = pl_server_now_us();
	if (now->refusals == server->told.refusals || now_us - server->told.refusals_us < REFUSALS_US)
		return;
	for (int why = PL_REFUSAL_NONE + 1; why < PL_REFUSAL_COUNT; why++) {
		const uint64_t count = now->refused[why] - server->told.refused[why];
		server->told.refused[why] = now->refused[why];
		if (count > 0)
			pl_log(PL_LOG_WARNING, "joins are refused",
				PL_LOG_TEXT("reason", pl_refusal_code((enum pl_refusal)why)),
				PL_LOG_NUMBER("count", count), PL_LOG_NUMBER("sessions", now->sessions));
	}
	server->told.refusals = now->refusals;
	server->told.refusals_us = now_us;
}
