#include "signaling/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static struct pl_sfu_counters shard[PL_SFU_SHARDS_MAX];
static struct pl_sfu_worker_counters worker[PL_WORKERS_MAX];
static struct pl_front_counters front;
static struct pl_log_counters log_counters;

static const struct pl_library_opus opus = {
	.version = "libopus 1.5.2-fixed-12-g0123abc", .carried = "AVX2", .used = "SSE4.1"
};

static const struct pl_phases phases = {
	.count = 2,
	.phase = { { "libraries", 12400 }, { "server", INT64_C(1000000000000) } },
};

static char *write_metrics(size_t shards, size_t workers)
{
	char *text = malloc(PL_METRICS_SIZE_MAX);
	assert_non_null(text);
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
		.opus = &opus,
		.phases = &phases,
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
	char *text = write_metrics(PL_SFU_SHARDS_MAX, PL_WORKERS_MAX);
	assert_non_null(strstr(text, "plenum_rtp_out_total{shard=\"63\"} 18446744073709551615\n"));
	assert_non_null(strstr(text, "plenum_drops_total{reason=\"rtp_muted\",shard=\"63\"} 18446744073709551615\n"));
	assert_non_null(strstr(text, "plenum_log_lines_total{level=\"debug\"} 18446744073709551615\n"));
	assert_non_null(strstr(text, "plenum_shards 64\n"));
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_metrics_fit_always),
		cmocka_unit_test(test_metrics_of_talkers),
		cmocka_unit_test(test_metrics_are_of_their_shard),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
