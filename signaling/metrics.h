/* The counters in Prometheus' text format 0.0.4, for /metrics.  What a shard counts has the label shard, what a codec
 * worker counts the label worker, and there is no line with the sum beside it: sum() in a query must not count twice.
 * Pure, but for pl_metrics_read_process, which reads /proc.  Thread: signaling. */
#ifndef PL_SIGNALING_METRICS_H
#define PL_SIGNALING_METRICS_H

#include "media/base.h"
#include "sfu/forecast.h"
#include "sfu/sfu.h"
#include "signaling/front.h"
#include "signaling/library.h"
#include "signaling/log.h"
#include "signaling/metrics_canary.h"

/* For each shard and each codec worker a line of less than 96 bytes for each reason of drops and each of fewer than 48 other
 * counters, and fewer than 28 for each histogram: three of a shard, one of a worker. */
enum {
	PL_METRICS_SIZE_MAX = 32768 + (PL_SFU_SHARDS_MAX + PL_WORKERS_MAX) * (PL_DROP_COUNT + 48) * 96 +
			      (3 * PL_SFU_SHARDS_MAX + PL_WORKERS_MAX) * 28 * 96 + PL_METRICS_CANARY_SIZE_MAX,
};

/* What the process costs; a value that /proc does not tell is 0. */
struct pl_metrics_process {
	double cpu_s, started_s; /* started_s: since 1970 */
	uint64_t resident_bytes, fds;
};

/* How long things took, of each shard and worker. */
struct pl_metrics_times {
	struct pl_sfu_times shard[PL_SFU_SHARDS_MAX];
	struct pl_histogram worker_late[PL_WORKERS_MAX];
};

struct pl_metrics {
	struct pl_metrics_process process;
	const struct pl_front_counters *front;
	const struct pl_sfu_counters *shard; /* shard_count of them, at most PL_SFU_SHARDS_MAX */
	size_t shard_count;
	const struct pl_sfu_worker_counters *worker; /* worker_count of them, at most PL_WORKERS_MAX */
	size_t worker_count;
	const struct pl_sfu_pressure *pressure;
	const struct pl_forecast_view *forecast;
	const struct pl_holding *holding;
	const struct pl_metrics_times *times;
	const struct pl_load *shard_load, *worker_load; /* as many as shards, and workers */
	enum pl_simd simd;                              /* that mixes now */
	uint64_t http_requests, http_refused;           /* refused: TCP or WebSocket connections over the limits */
	uint64_t http_displaced;                        /* closed for others that came */
	const struct pl_log_counters *log;
	const struct pl_library_opus *opus;
	bool is_ending;
	const struct pl_phases *phases; /* of the start; NULL: not told */
	const struct pl_canary_report *canary;
};

void pl_metrics_read_process(struct pl_metrics_process *process);

/* Writes all of it and returns its size; asserts that it fits into PL_METRICS_SIZE_MAX, which a test shows. */
size_t pl_metrics_write(const struct pl_metrics *metrics, char text[static PL_METRICS_SIZE_MAX]);

#endif
