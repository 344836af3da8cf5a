#include "signaling/metrics_canary.h"

#include <inttypes.h>

static void put_head(struct pl_text *w, const char *name, const char *type, const char *help)
{
	pl_text_put(w, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_state(struct pl_text *w, const struct pl_canary_report *report)
{
	put_head(w, "plenum_canary_state", "gauge",
		"1 for what the canary is: off, new, hears, impaired, deaf, unable, stalled or mistrusted");
	for (uint64_t mode = 0; mode < PL_CANARY_MODES; mode++)
		pl_text_put(
			w, "plenum_canary_state{state=\"%s\"} %d\n", pl_canary_mode_name(mode), mode == report->mode);
	put_head(
		w, "plenum_canary_deaf_seconds", "gauge", "for how long its runs have found it deaf, 0 while it hears");
	pl_text_put(w, "plenum_canary_deaf_seconds %.1f\n", (double)pl_canary_deaf_us(report) / 1e6);
	put_head(w, "plenum_canary_runs_total", "counter", "its runs, by what was wrong with the call");
	for (int fault = 0; fault < PL_CANARY_FAULTS; fault++)
		pl_text_put(w, "plenum_canary_runs_total{fault=\"%s\"} %" PRIu64 "\n",
			pl_canary_fault_name((enum pl_canary_fault)fault), report->deaf[fault]);
	put_head(w, "plenum_canary_void_runs_total", "counter", "runs that say nothing, because it was late itself");
	pl_text_put(w, "plenum_canary_void_runs_total %" PRIu64 "\n", report->void_runs);
	put_head(
		w, "plenum_canary_unable_total", "counter", "runs that could not begin, for want of sockets or memory");
	pl_text_put(w, "plenum_canary_unable_total %" PRIu64 "\n", report->unable);
}

typedef double value_fn(const struct pl_canary_last *last, int way);

static double part_of(const struct pl_canary_last *last, int way)
{
	return (double)last->heard[way].permille / 1000;
}

static double snr_of(const struct pl_canary_last *last, int way)
{
	return (double)last->heard[way].snr_millibel / 100;
}

static double delay_of(const struct pl_canary_last *last, int way)
{
	return (double)last->heard[way].delay_us / 1e6;
}

/* needs_sound: has a meaning only when enough was heard. */
static void put_ways(struct pl_text *w, const struct pl_canary_report *report, size_t shards, const char *name,
	const char *help, bool needs_sound, value_fn *value)
{
	put_head(w, name, "gauge", help);
	for (size_t i = 0; i < shards; i++) {
		for (int way = 0; way < PL_CANARY_WAYS; way++) {
			const struct pl_canary_last *last = &report->last[i];
			if (last->runs == 0 || !last->heard[way].is_there ||
				(needs_sound && last->heard[way].permille < PL_CANARY_HEARD_PERMILLE_MIN))
				continue;
			pl_text_put(w, "%s{shard=\"%zu\",way=\"%s\"} %.6g\n", name, i,
				pl_canary_way_name((enum pl_canary_way)way), value(last, way));
		}
	}
}

void pl_metrics_put_canary(struct pl_text *w, const struct pl_canary_report *report, size_t shard_count)
{
	PL_ASSERT(shard_count <= PL_SFU_SHARDS_MAX);
	put_state(w, report);
	put_head(w, "plenum_canary_join_seconds", "gauge",
		"from the command to both of its ends being connected, lately");
	for (size_t i = 0; i < shard_count; i++) {
		if (report->last[i].runs > 0)
			pl_text_put(w, "plenum_canary_join_seconds{shard=\"%zu\"} %.6f\n", i,
				(double)report->last[i].join_us / 1e6);
	}
	put_ways(w, report, shard_count, "plenum_canary_heard_ratio", "of its packets, those that came, lately", false,
		part_of);
	put_ways(w, report, shard_count, "plenum_canary_snr_db", "how clean its signal came, lately", true, snr_of);
	put_ways(w, report, shard_count, "plenum_canary_delay_seconds",
		"from the sending of its signal to its coming, lately; of the mix with all that mixing adds", true,
		delay_of);
}
