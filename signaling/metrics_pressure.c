#include <inttypes.h>
#include <stdio.h>

#include "signaling/metrics_internal.h"

static double ratio(uint64_t permille)
{
	return (double)permille / 1000;
}

static double seconds(uint64_t us)
{
	return (double)us / 1e6;
}

void pl_metrics_histogram(struct pl_text *w, const char *name, const char *label, const struct pl_histogram *h)
{
	uint64_t count = 0;
	for (size_t i = 0; i + 1 < PL_HISTOGRAM_BUCKETS; i++) {
		count += h->count[i];
		if (i % PL_HISTOGRAM_PARTS == PL_HISTOGRAM_PARTS - 1)
			pl_text_put(w, "%s_bucket{%s,le=\"%.6f\"} %" PRIu64 "\n", name, label,
				seconds(pl_histogram_bound_us(i)), count);
	}
	count += h->count[PL_HISTOGRAM_BUCKETS - 1];
	pl_text_put(w, "%s_bucket{%s,le=\"+Inf\"} %" PRIu64 "\n", name, label, count);
	pl_text_put(
		w, "%s_sum{%s} %.6f\n%s_count{%s} %" PRIu64 "\n", name, label, seconds(h->sum_us), name, label, count);
}

static void put_levels(struct pl_text *w, const struct pl_pressure *now)
{
	pl_metrics_whole(w, "plenum_pressure_level", "gauge", "0 nominal, 1 elevated, 2 high, 3 critical, 4 emergency",
		now->level);
	pl_metrics_whole(w, "plenum_pressure_forced", "gauge", "1 while an operator has set the level", now->is_forced);
	pl_metrics_head(w, "plenum_pressure_threshold", "gauge", "the score at which a level begins");
	for (uint8_t level = PL_PRESSURE_NOMINAL + 1; level < PL_PRESSURE_LEVELS; level++)
		pl_text_put(w, "plenum_pressure_threshold{level=\"%s\"} %.3f\n", pl_pressure_level_name(level),
			ratio(pl_pressure_begins_permille(level)));
	pl_metrics_head(w, "plenum_pressure_recovery", "gauge", "the score that ends it, when it stays below for 5 s");
	for (uint8_t level = PL_PRESSURE_NOMINAL + 1; level < PL_PRESSURE_LEVELS; level++)
		pl_text_put(w, "plenum_pressure_recovery{level=\"%s\"} %.3f\n", pl_pressure_level_name(level),
			ratio(pl_pressure_ends_permille(level)));
}

static void put_score(struct pl_text *w, const struct pl_pressure *now)
{
	pl_metrics_head(w, "plenum_pressure_score", "gauge", "how hard the server is pressed: 1 is all that there is");
	pl_text_put(w, "plenum_pressure_score %.3f\n", ratio(now->score_permille));
	pl_metrics_head(
		w, "plenum_pressure_input", "gauge", "each input of the score; one that is not there has no line");
	for (uint8_t i = 0; i < PL_PRESSURE_INPUTS; i++) {
		if (now->input_permille[i] != PL_PRESSURE_ABSENT)
			pl_text_put(w, "plenum_pressure_input{input=\"%s\"} %.3f\n", pl_pressure_input_name(i),
				ratio(now->input_permille[i]));
	}
	pl_metrics_head(w, "plenum_pressure_cause", "gauge", "1 for the input that the level is due to, else 0");
	for (uint8_t i = 0; i <= PL_PRESSURE_INPUTS; i++)
		pl_text_put(w, "plenum_pressure_cause{cause=\"%s\"} %d\n", pl_pressure_input_name(i), now->cause == i);
}

static void put_times(struct pl_text *w, const struct pl_metrics *m)
{
	char label[32];
#define PUT(name, help, label_name, label_count, histogram)                 \
	pl_metrics_head(w, name, "histogram", help);                        \
	for (size_t i = 0; i < (label_count); i++) {                        \
		snprintf(label, sizeof(label), label_name "=\"%zu\"", i);   \
		pl_metrics_histogram(w, name, label, &m->times->histogram); \
	}
	PUT("plenum_transit_seconds",
		"how long packets to listeners were here, from the kernel to the kernel, of a sample", "shard",
		m->shard_count, shard[i].transit)
	PUT("plenum_join_seconds", "from a join until media may flow", "shard", m->shard_count, shard[i].join)
	PUT("plenum_turn_late_seconds", "how late turns of media threads began", "shard", m->shard_count, shard[i].late)
	PUT("plenum_tick_late_seconds", "how late ticks of codec workers began", "worker", m->worker_count,
		worker_late[i])
#undef PUT
}

static void put_forecast(struct pl_text *w, const struct pl_forecast_view *forecast)
{
	pl_metrics_head(w, "plenum_capacity_used_ratio", "gauge",
		"of the capacity, the mean of a minute: of the participants that may be, and of what they use up");
	pl_text_put(w, "plenum_capacity_used_ratio %.4f\n", (double)forecast->used);
	pl_metrics_head(w, "plenum_capacity_forecast_ratio", "gauge", "the same in 15 minutes");
	pl_text_put(w, "plenum_capacity_forecast_ratio %.4f\n", (double)forecast->ahead);
	pl_metrics_head(w, "plenum_capacity_forecast_error_ratio", "gauge",
		"how far the forecast was off, the mean of a day at most");
	pl_text_put(w, "plenum_capacity_forecast_error_ratio %.4f\n", (double)forecast->error);
	pl_metrics_head(w, "plenum_capacity_forecast_basis", "gauge",
		"1 for what the forecast rests on: none (too little history, it is what is used now), trend or season");
	for (int basis = 0; basis < PL_FORECAST_BASES; basis++)
		pl_text_put(w, "plenum_capacity_forecast_basis{basis=\"%s\"} %d\n",
			pl_forecast_basis_name((enum pl_forecast_basis)basis), (int)forecast->basis == basis);
}

#define LOAD_LIST(X)                                                                                               \
	X("plenum_load_busy_ratio", "gauge", "of the last tenth of a second: not asleep", ratio(l->busy_permille)) \
	X("plenum_load_cpu_ratio", "gauge", "of it, on a processor", ratio(l->cpu_permille))                       \
	X("plenum_load_busy_seconds_total", "counter", "time not asleep", seconds(l->busy_us))                     \
	X("plenum_load_cpu_seconds_total", "counter", "time on a processor", seconds(l->cpu_us))                   \
	X("plenum_load_late_p99_seconds", "gauge", "how late turns began, p99 of a tenth of a second",             \
		seconds(l->late_p99_us))                                                                           \
	X("plenum_load_late_max_seconds", "gauge", "how late the latest of them began", seconds(l->late_max_us))   \
	X("plenum_load_ring_ratio", "gauge", "the fullest of its rings: what waits of what has room",              \
		ratio(l->ring_permille))                                                                           \
	X("plenum_load_pool_ratio", "gauge", "the most packet buffers in use, of all", ratio(l->pool_permille))

static void put_loads(struct pl_text *w, const struct pl_metrics *m)
{
#define X(name, type, help, value)                                          \
	pl_metrics_head(w, name, type, help);                               \
	for (size_t i = 0; i < m->shard_count; i++) {                       \
		const struct pl_load *l = &m->shard_load[i];                \
		pl_text_put(w, name "{shard=\"%zu\"} %.6f\n", i, (value));  \
	}                                                                   \
	for (size_t i = 0; i < m->worker_count; i++) {                      \
		const struct pl_load *l = &m->worker_load[i];               \
		pl_text_put(w, name "{worker=\"%zu\"} %.6f\n", i, (value)); \
	}
	LOAD_LIST(X)
#undef X
}

static void put_holding(struct pl_text *w, const struct pl_holding *holding)
{
	static const char *const part[] = {
#define X(name, text, help) text,
		PL_HOLDING_LIST(X)
#undef X
	};
	pl_metrics_head(w, "plenum_memory_bytes", "gauge", "what a part of the server holds of its memory");
	for (int i = 0; i < PL_HOLDINGS; i++)
		pl_text_put(w, "plenum_memory_bytes{subsystem=\"%s\"} %" PRIu64 "\n", part[i], holding->bytes[i]);
}

void pl_metrics_pressure(struct pl_text *w, const struct pl_metrics *metrics)
{
	const struct pl_sfu_pressure *pressure = metrics->pressure;
	put_levels(w, &pressure->now);
	put_score(w, &pressure->now);
	pl_metrics_whole(w, "plenum_pressure_samples_total", "counter", "looks at the inputs", pressure->samples);
	pl_metrics_whole(w, "plenum_pressure_samples_late_total", "counter", "of them more than 100 ms late",
		pressure->samples_late);
	pl_metrics_whole(w, "plenum_pressure_raised_total", "counter", "times that the level rose", pressure->raised);
	pl_metrics_whole(w, "plenum_pressure_events_delayed_total", "counter", "samples that signaling had no room for",
		pressure->events_delayed);
	put_loads(w, metrics);
	put_times(w, metrics);
	put_holding(w, metrics->holding);
	put_forecast(w, metrics->forecast);
}
