#include "sfu/canary_rota.h"

const char *pl_canary_mode_name(uint64_t mode)
{
	static const char *const names[] = {
#define X(name, text) text,
		PL_CANARY_MODE_LIST(X)
#undef X
	};
	PL_ASSERT(mode < PL_CANARY_MODES);
	return names[mode];
}

/* The next run. */
static void plan(struct pl_canary_rota *rota, int64_t due_us)
{
	const int64_t missed_us = PL_CANARY_MISSED * rota->interval_us;
	rota->due_us = due_us;
	rota->report.missed_us = due_us + (missed_us > PL_CANARY_MISSED_US ? missed_us : PL_CANARY_MISSED_US);
}

void pl_canary_rota_init(struct pl_canary_rota *rota, int64_t now_us, int64_t interval_us, uint8_t shards)
{
	PL_ASSERT(interval_us >= 0 && shards > 0 && shards <= PL_SFU_SHARDS_MAX);
	*rota = (struct pl_canary_rota){ .interval_us = interval_us, .shards = shards, .due_us = INT64_MAX };
	rota->report.deaf_since_us = rota->report.missed_us = INT64_MAX;
	rota->report.mode = interval_us > 0 ? PL_CANARY_NEW : PL_CANARY_OFF;
	if (interval_us > 0)
		plan(rota, now_us + (interval_us < PL_CANARY_FIRST_US ? interval_us : PL_CANARY_FIRST_US));
}

void pl_canary_rota_begin(struct pl_canary_rota *rota, int64_t now_us)
{
	rota->begun_us = now_us;
	rota->due_us = INT64_MAX;
}

static void note(struct pl_canary_rota *rota, const struct pl_canary_verdict *verdict)
{
	struct pl_canary_last *last = &rota->report.last[verdict->shard];
	if (verdict->join_us == 0)
		return;
	last->runs++;
	last->join_us = verdict->join_us;
	for (int way = 0; way < PL_CANARY_WAYS; way++) {
		const struct pl_canary_heard *heard = &verdict->heard[way];
		last->heard[way].is_there = heard->is_there;
		last->heard[way].permille = heard->permille;
		last->heard[way].snr_millibel = (int64_t)(heard->snr_db * 100);
		last->heard[way].delay_us = heard->delay_us;
	}
}

static void hears(struct pl_canary_rota *rota)
{
	rota->report.mode = PL_CANARY_HEARS;
	rota->report.failed = 0;
	rota->report.deaf_since_us = INT64_MAX;
	rota->shard = (uint8_t)((rota->shard + 1) % rota->shards);
	plan(rota, rota->begun_us + rota->interval_us);
}

/* It stays on this shard.  A shard that is deaf from the start on is one more reason not to believe it, and the next is tried. */
static void fails(struct pl_canary_rota *rota, int64_t now_us)
{
	struct pl_canary_report *report = &rota->report;
	plan(rota, now_us + PL_CANARY_RETRY_US);
	report->failed++;
	if (report->deaf[PL_CANARY_FAULT_NONE] > 0) {
		const bool deaf = pl_canary_is_deaf((enum pl_canary_fault)report->fault);
		report->mode = deaf ? PL_CANARY_DEAF : PL_CANARY_IMPAIRED;
		if (!deaf)
			report->deaf_since_us = INT64_MAX;
		else if (report->deaf_since_us == INT64_MAX)
			report->deaf_since_us = rota->begun_us;
		report->deaf_until_us = now_us;
		return;
	}
	rota->shard = (uint8_t)((rota->shard + 1) % rota->shards);
	if (report->failed < PL_CANARY_TRIALS)
		return;
	report->mode = PL_CANARY_MISTRUSTED;
	rota->due_us = report->missed_us = INT64_MAX;
}

void pl_canary_rota_take(struct pl_canary_rota *rota, int64_t now_us, const struct pl_canary_verdict *verdict)
{
	struct pl_canary_report *report = &rota->report;
	if (verdict->is_void) {
		report->void_runs++;
		plan(rota, now_us + PL_CANARY_RETRY_US);
		return;
	}
	report->runs++;
	report->deaf[verdict->fault]++;
	report->fault = verdict->fault;
	report->shard = verdict->shard;
	note(rota, verdict);
	if (verdict->fault == PL_CANARY_FAULT_NONE)
		hears(rota);
	else
		fails(rota, now_us);
}

void pl_canary_rota_unable(struct pl_canary_rota *rota, int64_t now_us)
{
	rota->report.unable++;
	rota->report.mode = PL_CANARY_UNABLE;
	rota->report.failed = 0;
	rota->report.deaf_since_us = INT64_MAX;
	plan(rota, now_us + rota->interval_us);
}

static uint64_t worst_of(uint64_t fault)
{
	enum { NO_ROOMS = 800, NO_JOINS = 900, ALL = 1000 };
	if (fault == PL_CANARY_FAULT_HANDSHAKE)
		return NO_JOINS;
	return pl_canary_is_deaf((enum pl_canary_fault)fault) && fault != PL_CANARY_FAULT_MIXED_SILENT ? ALL : NO_ROOMS;
}

uint16_t pl_canary_pressure(const struct pl_canary_report *report)
{
	enum { FIRST = 700, STEP = 100, ALL = 1000 };
	if (report->mode == PL_CANARY_DEAF || report->mode == PL_CANARY_IMPAIRED) {
		const uint64_t worst = worst_of(report->fault);
		const uint64_t permille = report->failed > 4 ? ALL : FIRST + STEP * (report->failed - 1);
		return (uint16_t)(permille < worst ? permille : worst);
	}
	if (report->mode != PL_CANARY_HEARS)
		return PL_PRESSURE_ABSENT;
	uint64_t lost = 0;
	for (int way = 0; way < PL_CANARY_WAYS; way++) {
		const uint64_t permille = report->last[report->shard].heard[way].permille;
		if (report->last[report->shard].heard[way].is_there && permille < ALL && ALL - permille > lost)
			lost = ALL - permille;
	}
	return (uint16_t)lost;
}

int64_t pl_canary_deaf_us(const struct pl_canary_report *report)
{
	return report->deaf_since_us < report->deaf_until_us ? report->deaf_until_us - report->deaf_since_us : 0;
}

void pl_canary_report_at(struct pl_canary_report *report, int64_t now_us)
{
	if (now_us < report->missed_us)
		return;
	report->mode = PL_CANARY_STALLED;
	report->deaf_since_us = INT64_MAX;
}
