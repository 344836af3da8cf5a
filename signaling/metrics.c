#include "signaling/metrics.h"

#include <inttypes.h>

#include "signaling/metrics_internal.h"

void pl_metrics_head(struct pl_text *w, const char *name, const char *type, const char *help)
{
	pl_text_put(w, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void pl_metrics_whole(struct pl_text *w, const char *name, const char *type, const char *help, uint64_t value)
{
	pl_metrics_head(w, name, type, help);
	pl_text_put(w, "%s %" PRIu64 "\n", name, value);
}

/* Names of the process_ family are Prometheus' own, so that its ready-made dashboards find them. */
static void put_process(struct pl_text *w, const struct pl_metrics_process *process)
{
	pl_metrics_head(w, "process_cpu_seconds_total", "counter", "CPU time of all threads, user and system");
	pl_text_put(w, "process_cpu_seconds_total %.3f\n", process->cpu_s);
	pl_metrics_head(w, "process_start_time_seconds", "gauge", "start of the process, in seconds since 1970");
	pl_text_put(w, "process_start_time_seconds %.2f\n", process->started_s);
	pl_metrics_whole(w, "process_resident_memory_bytes", "gauge", "resident memory", process->resident_bytes);
	pl_metrics_whole(w, "process_open_fds", "gauge", "open file descriptors", process->fds);
}

static void put_build(struct pl_text *w, const struct pl_library_opus *opus)
{
	pl_metrics_head(w, "plenum_build_info", "gauge", "always 1; the labels say what runs");
	pl_text_put(w, "plenum_build_info{version=\"%s\",opus=\"%s\",opus_simd=\"%s\"} 1\n", PLENUM_VERSION,
		opus->version, opus->used);
}

static void put_log(struct pl_text *w, const struct pl_log_counters *log)
{
	pl_metrics_head(w, "plenum_log_lines_total", "counter", "lines written to the log, by level");
	for (int level = 0; level < PL_LOG_LEVELS; level++)
		pl_text_put(w, "plenum_log_lines_total{level=\"%s\"} %" PRIu64 "\n",
			pl_log_level_name((enum pl_log_level)level), log->lines[level]);
	pl_metrics_whole(w, "plenum_log_left_out_total", "counter",
		"lines left out, because there were too many of their kind", log->left_out);
	pl_metrics_whole(w, "plenum_log_lost_total", "counter", "lines lost, because nobody read them", log->lost);
}

static void put_phases(struct pl_text *w, const struct pl_phases *phases)
{
	if (phases == NULL)
		return;
	pl_metrics_head(w, "plenum_start_seconds", "gauge", "what the start of the process took, by its phases");
	for (size_t i = 0; i < phases->count; i++)
		pl_text_put(w, "plenum_start_seconds{phase=\"%s\"} %.6f\n", phases->phase[i].name,
			(double)phases->phase[i].us / 1e6);
}

#define FRONT_LIST(X)                                                                                     \
	X(connections, "plenum_websockets", "gauge", "open WebSocket connections")                        \
	X(sessions, "plenum_sessions", "gauge", "sessions, those waiting to be resumed included")         \
	X(rooms, "plenum_rooms", "gauge", "rooms with at least one session")                              \
	X(joins, "plenum_joins_total", "counter", "sessions begun")                                       \
	X(resumes, "plenum_resumes_total", "counter", "sessions taken over by a new connection")          \
	X(waiting, "plenum_websockets_waiting", "gauge", "of them, those that have not joined")           \
	X(asked_to_go, "plenum_asked_to_go_total", "counter", "sessions ended in an emergency")           \
	X(waiting_displaced, "plenum_websockets_displaced_total", "counter",                              \
		"connections closed before they had joined, for others that came")                        \
	X(joins_displaced, "plenum_joins_displaced_total", "counter",                                     \
		"sessions ended before a connectivity check, for others that joined")                     \
	X(rates_displaced, "plenum_rates_displaced_total", "counter",                                     \
		"addresses and tokens whose rate of joins was forgotten for others that came")            \
	X(connecting, "plenum_sessions_connecting", "gauge", "sessions whose media is not connected yet") \
	X(messages_in, "plenum_messages_in_total", "counter", "signaling messages received")              \
	X(messages_out, "plenum_messages_out_total", "counter", "signaling messages sent")

static void put_front(struct pl_text *w, const struct pl_front_counters *front)
{
#define X(field, name, type, help) pl_metrics_whole(w, name, type, help, front->field);
	FRONT_LIST(X)
#undef X
	pl_metrics_head(w, "plenum_refusals_total", "counter", "joins refused, by reason");
	for (int why = PL_REFUSAL_NONE + 1; why < PL_REFUSAL_COUNT; why++)
		pl_text_put(w, "plenum_refusals_total{reason=\"%s\"} %" PRIu64 "\n",
			pl_refusal_code((enum pl_refusal)why), front->refused[why]);
	pl_metrics_head(w, "plenum_faults_total", "counter", "signaling messages answered with err, by its code");
	for (int fault = PL_FAULT_NONE + 1; fault < PL_FAULT_COUNT; fault++)
		pl_text_put(w, "plenum_faults_total{code=\"%s\"} %" PRIu64 "\n", pl_fault_name((enum pl_fault)fault),
			front->faults[fault]);
}

#define MEDIA_LIST(X)                                                                                         \
	X(conference.participants, "plenum_participants", "gauge", "participants of the media plane")         \
	X(conference.rooms, "plenum_media_rooms", "gauge", "rooms of the media plane")                        \
	X(conference.rooms_moved, "plenum_media_rooms_moved", "gauge",                                        \
		"rooms where listeners of auto hear the mix, by pressure")                                    \
	X(conference.datagrams_in, "plenum_datagrams_in_total", "counter", "UDP datagrams received")          \
	X(conference.datagrams_out, "plenum_datagrams_out_total", "counter", "UDP datagrams sent")            \
	X(conference.bytes_in, "plenum_bytes_in_total", "counter", "UDP payload received, in bytes")          \
	X(conference.bytes_out, "plenum_bytes_out_total", "counter", "UDP payload sent, in bytes")            \
	X(conference.rtp_in, "plenum_rtp_in_total", "counter", "RTP packets accepted from publishers")        \
	X(conference.rtp_out, "plenum_rtp_out_total", "counter", "RTP packets sent to receivers")             \
	X(conference.nacks_in, "plenum_nacks_in_total", "counter", "packets that receivers asked for again")  \
	X(conference.packets, "plenum_pool_packets", "gauge", "buffers of the packet pool")                   \
	X(conference.packets_used, "plenum_pool_packets_used", "gauge", "buffers that hold a packet")         \
	X(conference.packets_used_max, "plenum_pool_packets_used_max", "gauge", "the most that ever did")     \
	X(conference.pool_low, "plenum_pool_low_total", "counter", "times that the packet pool became low")   \
	X(conference.crossed, "plenum_crossed_total", "counter", "packets taken from other shards")           \
	X(conference.copied, "plenum_copied_total", "counter", "of them, copied to this shard's memory")      \
	X(syscalls, "plenum_media_syscalls_total", "counter", "system calls for datagrams")                   \
	X(trains_cut, "plenum_trains_cut_total", "counter",                                                   \
		"trains of datagrams that were sent one by one, where the kernel takes none")                 \
	X(trains_refused, "plenum_trains_refused_total", "counter",                                           \
		"trains that the kernel refused, each a system call in vain")                                 \
	X(kernel_drops, "plenum_kernel_drops_total", "counter", "datagrams that found a full receive queue")  \
	X(send_full, "plenum_send_full_total", "counter", "datagrams that found a full send buffer")          \
	X(send_failed, "plenum_send_failed_total", "counter", "datagrams that the kernel refused to send")    \
	X(events_delayed, "plenum_events_delayed_total", "counter", "times that events waited for signaling") \
	X(handshakes_turn_max, "plenum_handshakes_turn_max", "gauge", "most steps of handshakes in one turn") \
	X(joins_turn_max, "plenum_joins_turn_max", "gauge", "most joins in one turn")

static void put_media(struct pl_text *w, const struct pl_sfu_counters *shard, size_t shards)
{
#define X(field, name, type, help)            \
	pl_metrics_head(w, name, type, help); \
	for (size_t i = 0; i < shards; i++)   \
		pl_text_put(w, "%s{shard=\"%zu\"} %" PRIu64 "\n", name, i, (uint64_t)shard[i].field);
	MEDIA_LIST(X)
#undef X
}

#define WORKER_LIST(X)                                                                                           \
	X(busy_us, "plenum_codec_busy_us_total", "counter", "time at work, in microseconds")                     \
	X(waits, "plenum_codec_waits_total", "counter", "times that it slept")                                   \
	X(load, "plenum_codec_load_permille", "gauge", "of the time at work, lately")                            \
	X(load_step, "plenum_codec_load_step", "gauge", "how hard encoders work: 0 the most, 4 the least")       \
	X(codec.heard, "plenum_codec_heard_total", "counter", "packets of talkers taken")                        \
	X(codec.sent, "plenum_codec_sent_total", "counter", "packets made")                                      \
	X(codec.steps, "plenum_codec_steps_total", "counter", "steps of 5 ms in which a room was mixed")         \
	X(codec.late, "plenum_codec_late_total", "counter", "of them, begun more than a step late")              \
	X(late_us_max, "plenum_codec_late_us_max", "gauge", "the most that one was late, in microseconds")       \
	X(codec.left_out, "plenum_codec_left_out_total", "counter", "ticks too far behind, left out")            \
	X(codec.rooms, "plenum_codec_rooms", "gauge", "rooms with listeners of a mix")                           \
	X(codec.rooms_active, "plenum_codec_rooms_active", "gauge", "of them, those that somebody talks in")     \
	X(codec.rooms_full, "plenum_codec_rooms_full_total", "counter", "rooms that found no place")             \
	X(codec.voices, "plenum_codec_voices", "gauge", "talkers that are decoded")                              \
	X(codec.encoders, "plenum_codec_encoders", "gauge", "streams that are encoded")                          \
	X(codec.transcoders, "plenum_codec_transcoders", "gauge", "publishers whose G.711 becomes Opus")         \
	X(codec.packets_used, "plenum_codec_packets_used", "gauge", "buffers that hold a packet")                \
	X(codec.mixer.encoded_shared, "plenum_codec_encoded_shared_total", "counter", "frames for all")          \
	X(codec.mixer.encoded_own, "plenum_codec_encoded_own_total", "counter", "frames for one talker")         \
	X(codec.mixer.encoders_full, "plenum_codec_encoders_full_total", "counter", "frames without encoder")    \
	X(codec.mixer.late, "plenum_codec_talker_late_total", "counter", "packets too late to be mixed")         \
	X(codec.mixer.lost, "plenum_codec_talker_lost_total", "counter", "packets not there in time")            \
	X(codec.mixer.malformed, "plenum_codec_talker_malformed_total", "counter", "packets that are no Opus")   \
	X(codec.mixer.recovered, "plenum_codec_recovered_samples_total", "counter", "samples made of FEC")       \
	X(codec.mixer.concealed, "plenum_codec_concealed_samples_total", "counter", "samples made up")           \
	X(codec.mixer.stretched, "plenum_codec_stretched_samples_total", "counter", "samples put in or cut out") \
	X(codec.mixer.delay_us, "plenum_codec_talker_delay_us_total", "counter",                                 \
		"delays of the jitter buffers of those who talk, taken each second and added up")                \
	X(codec.mixer.delays, "plenum_codec_talker_delays_total", "counter", "how many were added up")           \
	X(codec.mixer.displaced, "plenum_codec_displaced_total", "counter", "talkers mixed no more: others are louder")

static void put_workers(struct pl_text *w, const struct pl_sfu_worker_counters *worker, size_t workers)
{
#define X(field, name, type, help)            \
	pl_metrics_head(w, name, type, help); \
	for (size_t i = 0; i < workers; i++)  \
		pl_text_put(w, "%s{worker=\"%zu\"} %" PRIu64 "\n", name, i, (uint64_t)worker[i].field);
	WORKER_LIST(X)
#undef X
}

static void put_drops(struct pl_text *w, const struct pl_metrics *metrics)
{
	pl_metrics_head(w, "plenum_drops_total", "counter", "datagrams and packets that went no further, by reason");
	for (int drop = PL_DROP_NONE + 1; drop < PL_DROP_COUNT; drop++) {
		const char *name = pl_drop_name((enum pl_drop)drop);
		for (size_t i = 0; i < metrics->shard_count; i++)
			pl_text_put(w, "plenum_drops_total{reason=\"%s\",shard=\"%zu\"} %" PRIu64 "\n", name, i,
				metrics->shard[i].conference.drop[drop]);
		for (size_t i = 0; i < metrics->worker_count; i++)
			pl_text_put(w, "plenum_drops_total{reason=\"%s\",worker=\"%zu\"} %" PRIu64 "\n", name, i,
				metrics->worker[i].codec.drop[drop]);
	}
}

size_t pl_metrics_write(const struct pl_metrics *metrics, char text[static PL_METRICS_SIZE_MAX])
{
	struct pl_text writer = pl_text_begin(text, PL_METRICS_SIZE_MAX);
	put_process(&writer, &metrics->process);
	put_build(&writer, metrics->opus);
	put_phases(&writer, metrics->phases);
	pl_metrics_whole(&writer, "plenum_ready", "gauge",
		"1 while new sessions are taken, 0 while the server drains, ends, or refuses them under pressure",
		!metrics->is_ending);
	pl_metrics_whole(
		&writer, "plenum_http_requests_total", "counter", "HTTP requests answered", metrics->http_requests);
	pl_metrics_whole(&writer, "plenum_connections_refused_total", "counter", "connections refused over the limits",
		metrics->http_refused);
	pl_metrics_whole(&writer, "plenum_connections_displaced_total", "counter",
		"connections closed for others that came, as they asked for nothing or did not close",
		metrics->http_displaced);
	put_log(&writer, metrics->log);
	put_front(&writer, metrics->front);
	pl_metrics_whole(&writer, "plenum_shards", "gauge", "media threads", metrics->shard_count);
	put_media(&writer, metrics->shard, metrics->shard_count);
	pl_metrics_whole(
		&writer, "plenum_codec_workers", "gauge", "threads for mixing and G.711", metrics->worker_count);
	pl_metrics_head(&writer, "plenum_codec_simd_info", "gauge", "always 1; the label says which instructions mix");
	pl_text_put(&writer, "plenum_codec_simd_info{simd=\"%s\"} 1\n", pl_simd_text(metrics->simd));
	put_workers(&writer, metrics->worker, metrics->worker_count);
	put_drops(&writer, metrics);
	pl_metrics_pressure(&writer, metrics);
	pl_metrics_put_canary(&writer, metrics->canary, metrics->shard_count);
	PL_ASSERT(pl_text_fits(&writer));
	return writer.used;
}
