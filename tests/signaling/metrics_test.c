#include "signaling/metrics_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct pl_sfu_counters shard[PL_SFU_SHARDS_MAX];
static struct pl_sfu_worker_counters worker[PL_WORKERS_MAX];
static struct pl_front_counters front;
static struct pl_sfu_pressure pressure;
static struct pl_forecast_view forecast;
static struct pl_metrics_times times;
static struct pl_holding holding;
static struct pl_load shard_load[PL_SFU_SHARDS_MAX], worker_load[PL_WORKERS_MAX];
static struct pl_log_counters log_counters;

static const struct pl_library_opus opus = {
	.version = "libopus 1.5.2-fixed-12-g0123abc", .carried = "AVX2", .used = "SSE4.1"
};

static const struct pl_phases phases = {
	.count = 2,
	.phase = { { "libraries", 12400 }, { "server", INT64_C(1000000000000) } },
};

static struct pl_canary_report canary = {
	.mode = PL_CANARY_MISTRUSTED,
	.runs = UINT64_MAX,
	.void_runs = UINT64_MAX,
	.unable = UINT64_MAX,
	.deaf_since_us = 0,
	.deaf_until_us = INT64_MAX,
};

static void fill_canary(void)
{
	for (int i = 0; i < PL_CANARY_FAULTS; i++)
		canary.deaf[i] = UINT64_MAX;
	for (int i = 0; i < PL_SFU_SHARDS_MAX; i++) {
		canary.last[i].runs = UINT64_MAX;
		canary.last[i].join_us = 2999999;
		for (int way = 0; way < PL_CANARY_WAYS; way++) {
			canary.last[i].heard[way].is_there = true;
			canary.last[i].heard[way].permille = 967;
			canary.last[i].heard[way].snr_millibel = -1234;
			canary.last[i].heard[way].delay_us = -123456;
		}
	}
}

static char *write_metrics(size_t shards, size_t workers)
{
	char *text = malloc(PL_METRICS_SIZE_MAX);
	assert_non_null(text);
	fill_canary();
	const struct pl_metrics metrics = {
		.process = { .cpu_s = 1e12, .started_s = 1e12, .resident_bytes = UINT64_MAX, .fds = UINT64_MAX },
		.front = &front,
		.shard = shard,
		.shard_count = shards,
		.worker = worker,
		.worker_count = workers,
		.simd = PL_SIMD_SSE41,
		.http_requests = UINT64_MAX,
		.http_refused = UINT64_MAX,
		.log = &log_counters,
		.pressure = &pressure,
		.times = &times,
		.forecast = &forecast,
		.holding = &holding,
		.shard_load = shard_load,
		.worker_load = worker_load,
		.opus = &opus,
		.phases = &phases,
		.canary = &canary,
	};
	const size_t size = pl_metrics_write(&metrics, text);
	assert_true(size < PL_METRICS_SIZE_MAX);
	assert_int_equal(strlen(text), size);
	return text;
}

/* As many shards as may be, with the largest numbers, fit. */
static void test_metrics_fit_always(void **state)
{
	(void)state;
	memset(shard, 0xff, sizeof shard);
	memset(worker, 0xff, sizeof worker);
	memset(&front, 0xff, sizeof front);
	memset(&log_counters, 0xff, sizeof log_counters);
	memset(&pressure, 0xff, sizeof pressure);
	memset(&times, 0xff, sizeof times);
	memset(&holding, 0xff, sizeof holding);
	memset(shard_load, 0xff, sizeof shard_load);
	memset(worker_load, 0xff, sizeof worker_load);
	pressure.now.is_forced = true;
	for (size_t i = 0; i < PL_PRESSURE_INPUTS; i++)
		pressure.now.input_permille[i] = PL_PRESSURE_ABSENT - 1;
	char *text = write_metrics(PL_SFU_SHARDS_MAX, PL_WORKERS_MAX);
	assert_non_null(strstr(text, "plenum_rtp_out_total{shard=\"63\"} 18446744073709551615\n"));
	assert_non_null(strstr(text, "plenum_drops_total{reason=\"rtp_muted\",shard=\"63\"} 18446744073709551615\n"));
	assert_non_null(strstr(text, "plenum_log_lines_total{level=\"debug\"} 18446744073709551615\n"));
	assert_non_null(strstr(text, "plenum_shards 64\n"));
	assert_non_null(strstr(text, "plenum_canary_state{state=\"mistrusted\"} 1\n"));
	assert_non_null(strstr(text, "plenum_canary_snr_db{shard=\"63\",way=\"mixed\"} -12.34\n"));
	assert_non_null(strstr(text, "plenum_canary_delay_seconds{shard=\"0\",way=\"forwarded\"} -0.123456\n"));
	assert_non_null(strstr(text, "plenum_canary_join_seconds{shard=\"63\"} 2.999999\n"));
	assert_non_null(strstr(text, "plenum_start_seconds{phase=\"libraries\"} 0.012400\n"));
	assert_non_null(strstr(text, "plenum_build_info{version=\"" PLENUM_VERSION
				     "\",opus=\"libopus 1.5.2-fixed-12-g0123abc\",opus_simd=\"SSE4.1\"} 1\n"));
	assert_non_null(strstr(text, "plenum_codec_workers 64\n"));
	assert_non_null(strstr(text, "plenum_codec_simd_info{simd=\"sse41\"} 1\n"));
	assert_non_null(strstr(text, "plenum_codec_load_step{worker=\"63\"} 18446744073709551615\n"));
	assert_non_null(strstr(text, "plenum_codec_load_permille{worker=\"63\"} 18446744073709551615\n"));
	assert_non_null(strstr(text, "plenum_drops_total{reason=\"mix_full\",worker=\"63\"} 18446744073709551615\n"));
	free(text);
}

/* What a codec worker counts of talkers' networks has a line of its own for each worker. */
static void test_metrics_of_talkers(void **state)
{
	(void)state;
	memset(shard, 0, sizeof shard);
	memset(worker, 0, sizeof worker);
	memset(&front, 0, sizeof front);
	for (size_t i = 0; i < 2; i++)
		worker[i].codec.mixer = (struct pl_mixer_counters){ .late = 10 + i,
			.lost = 20 + i,
			.malformed = 30 + i,
			.recovered = 40 + i,
			.concealed = 50 + i,
			.stretched = 60 + i,
			.delay_us = 70 + i,
			.delays = 80 + i };
	static const char *const names[] = { "talker_late", "talker_lost", "talker_malformed", "recovered_samples",
		"concealed_samples", "stretched_samples", "talker_delay_us", "talker_delays" };
	char *text = write_metrics(1, 2), line[256];
	for (size_t i = 0; i < PL_COUNT(names); i++) {
		const int tens = 10 * ((int)i + 1);
		snprintf(line, sizeof line,
			" counter\nplenum_codec_%s_total{worker=\"0\"} %d\nplenum_codec_%s_total{worker=\"1\"} %d\n#",
			names[i], tens, names[i], tens + 1);
		if (strstr(text, line) == NULL)
			fail_msg("not there: %s", line);
	}
	free(text);
}

/* A shard's numbers are its own, and nothing is told of shards that are not there. */
static void test_metrics_are_of_their_shard(void **state)
{
	(void)state;
	memset(shard, 0, sizeof shard);
	memset(&front, 0, sizeof front);
	for (size_t i = 0; i < 3; i++) {
		shard[i].conference.participants = (uint32_t)(10 + i);
		shard[i].kernel_drops = 20 + i;
		shard[i].conference.drop[PL_DROP_RTP_MUTED] = 30 + i;
	}
	char *text = write_metrics(2, 1);
	static const char *const lines[] = {
		" gauge\nplenum_participants{shard=\"0\"} 10\nplenum_participants{shard=\"1\"} 11\n# HELP",
		"plenum_kernel_drops_total{shard=\"0\"} 20\nplenum_kernel_drops_total{shard=\"1\"} 21\n#",
		"plenum_drops_total{reason=\"rtp_muted\",shard=\"0\"} 30\n",
		"plenum_drops_total{reason=\"rtp_muted\",shard=\"1\"} 31\n",
	};
	for (size_t i = 0; i < PL_COUNT(lines); i++)
		assert_non_null(strstr(text, lines[i]));
	assert_null(strstr(text, "shard=\"2\""));
	free(text);
}

/* The level, its cause alone, and the inputs that are there. */
static void test_metrics_of_pressure(void **state)
{
	(void)state;
	memset(shard_load, 0, sizeof shard_load);
	memset(worker_load, 0, sizeof worker_load);
	pressure = (struct pl_sfu_pressure){ .samples = 7, .samples_late = 2, .raised = 3, .events_delayed = 4 };
	pressure.now = (struct pl_pressure){
		.level = PL_PRESSURE_HIGH, .is_forced = true, .cause = PL_PRESSURE_CPU, .score_permille = 834
	};
	for (size_t i = 0; i < PL_PRESSURE_INPUTS; i++)
		pressure.now.input_permille[i] = PL_PRESSURE_ABSENT;
	pressure.now.input_permille[PL_PRESSURE_CPU] = 834;
	pressure.now.input_permille[PL_PRESSURE_POOL] = 0;
	shard_load[1] = (struct pl_load){ .busy_permille = 512, .late_p99_us = 1234, .busy_us = 98765432 };
	forecast = (struct pl_forecast_view){
		.basis = PL_FORECAST_TREND, .used = 0.25f, .ahead = 0.375f, .error = 0.0625f
	};
	worker_load[0] = (struct pl_load){ .cpu_permille = 77, .ring_permille = 5 };
	holding = (struct pl_holding){ .bytes = { [PL_HOLDING_KEYS] = 4711 } };
	memset(&times, 0, sizeof times);
	pl_histogram_note(&times.shard[1].transit, 5);
	pl_histogram_note(&times.shard[0].join, 700);
	pl_histogram_note(&times.shard[1].late, 70000);
	pl_histogram_note(&times.worker_late[0], 9000);
	char *text = write_metrics(2, 1);
	static const char *const lines[] = {
		"plenum_pressure_level 2\n",
		"plenum_pressure_forced 1\n",
		"plenum_pressure_score 0.834\n",
		"plenum_pressure_threshold{level=\"critical\"} 0.900\n",
		"plenum_pressure_recovery{level=\"critical\"} 0.720\n",
		"gauge\nplenum_pressure_input{input=\"cpu\"} 0.834\nplenum_pressure_input{input=\"pool\"} 0.000\n#",
		"plenum_pressure_cause{cause=\"cpu\"} 1\n",
		"plenum_pressure_cause{cause=\"pool\"} 0\n",
		"plenum_pressure_cause{cause=\"none\"} 0\n#",
		"plenum_pressure_samples_total 7\n",
		"plenum_capacity_used_ratio 0.2500\n",
		"plenum_capacity_forecast_ratio 0.3750\n",
		"plenum_capacity_forecast_error_ratio 0.0625\n",
		"plenum_capacity_forecast_basis{basis=\"none\"} 0\n",
		"plenum_capacity_forecast_basis{basis=\"trend\"} 1\n",
		"plenum_capacity_forecast_basis{basis=\"season\"} 0\n",
		"plenum_pressure_samples_late_total 2\n",
		"plenum_pressure_raised_total 3\n",
		"plenum_pressure_events_delayed_total 4\n",
		"plenum_load_busy_ratio{shard=\"0\"} 0.000000\nplenum_load_busy_ratio{shard=\"1\"} 0.512000\n",
		"plenum_load_busy_ratio{worker=\"0\"} 0.000000\n#",
		"plenum_load_late_p99_seconds{shard=\"1\"} 0.001234\n",
		"plenum_load_busy_seconds_total{shard=\"1\"} 98.765432\n",
		"plenum_load_cpu_ratio{worker=\"0\"} 0.077000\n",
		"plenum_memory_bytes{subsystem=\"keys\"} 4711\nplenum_memory_bytes{subsystem=\"handshakes\"} 0\n",
		"plenum_transit_seconds_count{shard=\"0\"} 0\n",
		"plenum_transit_seconds_sum{shard=\"1\"} 0.000005\n",
		"plenum_join_seconds_sum{shard=\"0\"} 0.000700\n",
		"plenum_turn_late_seconds_sum{shard=\"1\"} 0.070000\n",
		"plenum_tick_late_seconds_bucket{worker=\"0\",le=\"+Inf\"} 1\n",
		"plenum_load_ring_ratio{worker=\"0\"} 0.005000\n",
	};
	for (size_t i = 0; i < PL_COUNT(lines); i++) {
		if (strstr(text, lines[i]) == NULL)
			fail_msg("not there: %s", lines[i]);
	}
	free(text);
}

/* A histogram as Prometheus wants it: each bucket has all that is shorter, the last one everything, and the sum is of seconds. */
static void test_metrics_of_times(void **state)
{
	(void)state;
	struct pl_histogram h = { 0 };
	static char text[8192];
	struct pl_text w = pl_text_begin(text, sizeof text);
	static const int64_t times_us[] = { 0, 3, 4, 20, 900, 15000, INT64_C(3600000000) };
	for (size_t i = 0; i < PL_COUNT(times_us); i++)
		pl_histogram_note(&h, times_us[i]);
	pl_metrics_histogram(&w, "x_seconds", "shard=\"1\"", &h);
	assert_true(pl_text_fits(&w));
	const char *at = text;
	double bound_before = 0;
	int lines = 0;
	for (char le[32]; sscanf(at, "x_seconds_bucket{shard=\"1\",le=\"%31[^\"]\"}", le) == 1; lines++) {
		const double bound = strcmp(le, "+Inf") == 0 ? HUGE_VAL : strtod(le, NULL);
		assert_true(bound > bound_before);
		bound_before = bound;
		uint64_t shorter = 0;
		for (size_t i = 0; i < PL_COUNT(times_us); i++)
			shorter += (double)times_us[i] / 1e6 < bound;
		assert_int_equal(strtoull(strchr(at, ' '), NULL, 10), shorter);
		at = strchr(at, '\n') + 1;
	}
	assert_true(bound_before == HUGE_VAL);
	assert_in_range(lines, 20, 30);
	assert_string_equal(at, "x_seconds_sum{shard=\"1\"} 3600.015927\nx_seconds_count{shard=\"1\"} 7\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_metrics_fit_always),
		cmocka_unit_test(test_metrics_of_talkers),
		cmocka_unit_test(test_metrics_are_of_their_shard),
		cmocka_unit_test(test_metrics_of_pressure),
		cmocka_unit_test(test_metrics_of_times),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
