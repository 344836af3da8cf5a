#include "tests/load/report.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

static double per_packet_us(const struct load_result *r, int64_t cpu_ns)
{
	return r->delivered > 0 ? (double)cpu_ns / 1000 / (double)r->delivered : 0;
}

static double percent_of_core(const struct load_result *r, int64_t cpu_ns)
{
	return r->seconds > 0 ? (double)cpu_ns / 1e9 / r->seconds * 100 : 0;
}

static double kb_per_client(const struct load_result *r, int64_t before, int64_t after)
{
	return r->connected > 0 ? (double)(after - before) / 1024 / r->connected : 0;
}

static bool has_memory(int64_t before, int64_t after)
{
	return before >= 0 && after >= 0;
}

/* ---- the table ---- */

static void print_percentiles(FILE *file, const char *name, const struct load_histogram *h, double per_ms)
{
	if (h->count == 0)
		return;
	fprintf(file, "  %-28s %8.2f %8.2f %8.2f %8.2f\n", name, (double)load_histogram_percentile(h, 50) / per_ms,
		(double)load_histogram_percentile(h, 90) / per_ms, (double)load_histogram_percentile(h, 99) / per_ms,
		(double)h->max / per_ms);
}

static void print_media(FILE *file, const struct load_result *r)
{
	fprintf(file, "media, %.1f s\n", r->seconds);
	fprintf(file, "  %-28s %" PRIu64 " packets, %.0f/s\n", "sent", r->sent, (double)r->sent / r->seconds);
	fprintf(file, "  %-28s %" PRIu64 " packets, %.0f/s%s\n", "delivered", r->delivered,
		(double)r->delivered / r->seconds,
		r->is_estimated ? " (estimated from one receiver in each room)" : "");
	if (r->expected >= 0)
		fprintf(file, "  %-28s %" PRId64 " packets\n", "expected", r->expected);
	fprintf(file, "  %-28s %" PRIu64 " packets in gaps, %" PRIu64 " that never came: %.3f %%\n", "lost", r->lost,
		r->missing, load_result_loss_percent(r));
	if (r->kernel_drops > 0)
		fprintf(file, "  %-28s %" PRIu64 "%s\n", "dropped at our sockets", r->kernel_drops,
			r->is_estimated ? " (by drop_media, trains count once)"
					: ": they are too small, or this program is too slow");
	if (r->refused > 0)
		fprintf(file, "  %-28s %" PRIu64 " packets\n", "not authentic, or repeated", r->refused);
	if (r->restarts > 0)
		fprintf(file, "  %-28s %" PRIu64 " times\n", "numbers began anew", r->restarts);
	if (r->unexpected > 0)
		fprintf(file, "  %-28s %" PRIu64 " packets\n", "of more streams than slots", r->unexpected);
	if (r->mix_late_ns.count > 0)
		fprintf(file, "  %-28s %" PRIu64 " of %" PRIu64 " packets; %" PRIu64 " ticks had none\n",
			"a tick late, or later", r->mix_ticks_late, r->mix_late_ns.count, r->mix_ticks_missing);
	if (r->decoded + r->malformed > 0)
		fprintf(file, "  %-28s %" PRIu64 " packets, %.1f dBFS; %" PRIu64 " were malformed\n", "decoded",
			r->decoded, r->level_dbfs, r->malformed);
	fprintf(file, "  %-28s %u of %u receivers (%u to %u streams each)\n", "with all their streams",
		r->receivers_complete, r->receivers, r->streams_min, r->streams_max);
}

static void print_cost(FILE *file, const struct load_result *r)
{
	fprintf(file, "cost\n");
	if (r->server_cpu_ns >= 0)
		fprintf(file, "  %-28s %.2f us for a delivered packet, %.1f %% of a core\n", "server",
			per_packet_us(r, r->server_cpu_ns), percent_of_core(r, r->server_cpu_ns));
	if (has_memory(r->memory_before.rss_bytes, r->memory_after.rss_bytes))
		fprintf(file, "  %-28s %.1f KB for a client, resident\n", "server's memory",
			kb_per_client(r, r->memory_before.rss_bytes, r->memory_after.rss_bytes));
	if (has_memory(r->memory_before.pss_bytes, r->memory_after.pss_bytes))
		fprintf(file, "  %-28s %.1f KB for a client, proportional\n", "",
			kb_per_client(r, r->memory_before.pss_bytes, r->memory_after.pss_bytes));
	fprintf(file, "  %-28s %.2f us for a delivered packet, %.1f %% of a core\n", "this program",
		per_packet_us(r, r->load_cpu_ns), percent_of_core(r, r->load_cpu_ns));
}

void load_report_print(FILE *file, const struct load_result *r, const struct load_options *options)
{
	fprintf(file, "%s: %u rooms x %u publishers and %u receivers with %u slots, %u B at %u/s%s\n",
		options->url_text, options->rooms, options->publishers, options->receivers, options->slots,
		options->payload_bytes, options->rate_hz, options->has_spurts ? " in talk spurts" : "");
	if (options->audio != LOAD_AUDIO_FORWARD || options->sound != LOAD_SOUND_STAMP)
		fprintf(file, "audio %s, sound %s\n", load_options_audio_name(options),
			load_options_sound_name(options));
	fprintf(file, "clients\n  %-28s %u asked, %u answered, %u connected, %u failed", "", r->clients, r->joined,
		r->connected, r->failed);
	if (r->turned_away > 0)
		fprintf(file, ", %u turned away", r->turned_away);
	fprintf(file, r->retries > 0 ? ", %u retries\n" : "\n", r->retries);
	if (r->refusal_us.count > 0)
		fprintf(file, "  %-28s %" PRIu64 ", %" PRIu64 " without a time to retry\n", "refusals",
			r->refusal_us.count, r->refusals_untimed);
	for (uint32_t i = 0; i < r->reason_count; i++)
		fprintf(file, "  %8u %s\n", r->reason[i].count, r->reason[i].text);
	if (r->seconds > 0)
		print_media(file, r);
	if (r->has_server_ended)
		fprintf(file, "the server's process (pid %u) ended during the run: what it cost is not known\n",
			options->pid);
	fprintf(file, "%-30s %8s %8s %8s %8s\n", "milliseconds", "p50", "p90", "p99", "max");
	print_percentiles(file, "request to answer", &r->answer_us, 1e3);
	print_percentiles(file, "request to refusal", &r->refusal_us, 1e3);
	print_percentiles(file, "request to connected", &r->connected_us, 1e3);
	print_percentiles(file, "request to first media", &r->media_us, 1e3);
	print_percentiles(file, "packet's way", &r->latency_ns, 1e6);
	print_percentiles(file, "mix's lateness", &r->mix_late_ns, 1e6);
	print_percentiles(file, "mouth to ear", &r->mouth_to_ear_ns, 1e6);
	print_percentiles(file, "our own lateness in sending", &r->late_ns, 1e6);
	if (r->seconds > 0)
		print_cost(file, r);
}

/* ---- JSON ---- */

static json_t *percentiles(const struct load_histogram *h, double unit)
{
	return json_pack("{s:I,s:f,s:f,s:f,s:f}", "count", (json_int_t)h->count, "p50",
		(double)load_histogram_percentile(h, 50) / unit, "p90", (double)load_histogram_percentile(h, 90) / unit,
		"p99", (double)load_histogram_percentile(h, 99) / unit, "max", (double)h->max / unit);
}

static json_t *scenario(const struct load_options *o)
{
	return json_pack("{s:s,s:s,s:i,s:i,s:i,s:i,s:b,s:s,s:s,s:i,s:i,s:b,s:i,s:i,s:i,s:i,s:b,s:b}", "url",
		o->url_text, "api", o->api == LOAD_API_PLENUM ? "plenum" : "whip", "rooms", (int)o->rooms, "publishers",
		(int)o->publishers, "receivers", (int)o->receivers, "slots", (int)o->slots, "publishers_listen",
		o->do_publishers_listen, "audio", load_options_audio_name(o), "sound", load_options_sound_name(o),
		"payload", (int)o->payload_bytes, "rate", (int)o->rate_hz, "spurts", o->has_spurts, "ramp",
		(int)o->ramp_hz, "threads", (int)o->threads, "decrypt_every", (int)o->decrypt_every, "decode_every",
		(int)o->decode_every, "drop_media", o->drop_media, "gro", o->has_gro);
}

static json_t *failures(const struct load_result *r)
{
	json_t *list = json_array();
	for (uint32_t i = 0; i < r->reason_count; i++)
		json_array_append_new(
			list, json_pack("{s:s,s:i}", "reason", r->reason[i].text, "count", (int)r->reason[i].count));
	return list;
}

static json_t *media(const struct load_result *r)
{
	json_t *object = json_pack("{s:f,s:I,s:I,s:I,s:I,s:f,s:b,s:I,s:I,s:I,s:I}", "seconds", r->seconds, "sent",
		(json_int_t)r->sent, "delivered", (json_int_t)r->delivered, "lost", (json_int_t)r->lost, "missing",
		(json_int_t)r->missing, "loss_percent", load_result_loss_percent(r), "is_estimated", r->is_estimated,
		"refused", (json_int_t)r->refused, "restarts", (json_int_t)r->restarts, "unexpected",
		(json_int_t)r->unexpected, "kernel_drops", (json_int_t)r->kernel_drops);
	json_object_set_new(object, "expected", r->expected >= 0 ? json_integer(r->expected) : json_null());
	return object;
}

static json_t *decoded(const struct load_result *r)
{
	json_t *object = json_pack("{s:I,s:I,s:o}", "packets", (json_int_t)r->decoded, "malformed",
		(json_int_t)r->malformed, "mouth_to_ear_us", percentiles(&r->mouth_to_ear_ns, 1e3));
	json_object_set_new(object, "level_dbfs", r->decoded > 0 ? json_real(r->level_dbfs) : json_null());
	return object;
}

static json_t *cost(const struct load_result *r, int64_t cpu_ns)
{
	return json_pack(
		"{s:f,s:f}", "cpu_us_per_packet", per_packet_us(r, cpu_ns), "cpu_percent", percent_of_core(r, cpu_ns));
}

static json_t *server(const struct load_result *r)
{
	if (r->has_server_ended)
		return json_pack("{s:b,s:n,s:n,s:n,s:n}", "has_ended", true, "cpu_us_per_packet", "cpu_percent",
			"rss_kb_per_client", "pss_kb_per_client");
	json_t *object = r->server_cpu_ns >= 0 ? cost(r, r->server_cpu_ns) : json_object();
	if (has_memory(r->memory_before.rss_bytes, r->memory_after.rss_bytes))
		json_object_set_new(object, "rss_kb_per_client",
			json_real(kb_per_client(r, r->memory_before.rss_bytes, r->memory_after.rss_bytes)));
	if (has_memory(r->memory_before.pss_bytes, r->memory_after.pss_bytes))
		json_object_set_new(object, "pss_kb_per_client",
			json_real(kb_per_client(r, r->memory_before.pss_bytes, r->memory_after.pss_bytes)));
	return object;
}

bool load_report_write_json(const char *path, const struct load_result *r, const struct load_options *options)
{
	json_t *root = json_pack("{s:o,s:{s:i,s:i,s:i,s:i,s:i,s:i,s:I},s:o,s:b,s:b,s:o,s:{s:i,s:i,s:i,s:i}}",
		"scenario", scenario(options), "clients", "asked", (int)r->clients, "answered", (int)r->joined,
		"connected", (int)r->connected, "failed", (int)r->failed, "retries", (int)r->retries, "turned_away",
		(int)r->turned_away, "refusals_untimed", (json_int_t)r->refusals_untimed, "failures", failures(r),
		"is_interrupted", r->is_interrupted, "is_deserted", r->is_deserted, "media", media(r), "receivers",
		"counted", (int)r->receivers, "complete", (int)r->receivers_complete, "streams_min",
		(int)r->streams_min, "streams_max", (int)r->streams_max);
	json_object_set_new(root, "join_ms",
		json_pack("{s:o,s:o,s:o,s:o}", "answer", percentiles(&r->answer_us, 1e3), "refusal",
			percentiles(&r->refusal_us, 1e3), "connected", percentiles(&r->connected_us, 1e3), "media",
			percentiles(&r->media_us, 1e3)));
	json_object_set_new(root, "latency_us", percentiles(&r->latency_ns, 1e3));
	json_object_set_new(root, "mix",
		json_pack("{s:o,s:I,s:I}", "late_us", percentiles(&r->mix_late_ns, 1e3), "ticks_late",
			(json_int_t)r->mix_ticks_late, "ticks_missing", (json_int_t)r->mix_ticks_missing));
	json_object_set_new(root, "decoded", decoded(r));
	json_object_set_new(root, "server", server(r));
	json_t *generator = cost(r, r->load_cpu_ns);
	json_object_set_new(generator, "late_us", percentiles(&r->late_ns, 1e3));
	json_object_set_new(root, "generator", generator);
	const size_t flags = JSON_INDENT(2) | JSON_REAL_PRECISION(6);
	const bool is_stdout = strcmp(path, "-") == 0;
	const bool is_written =
		root != NULL && (is_stdout ? json_dumpf(root, stdout, flags) : json_dump_file(root, path, flags)) == 0;
	if (is_stdout)
		putchar('\n');
	json_decref(root);
	return is_written;
}
