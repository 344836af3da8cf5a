#include "tests/load/client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "media/rtp.h"
#include "media/transport.h"
#include "tests/load/reports.h"

void load_client_fail(struct load_client *client, const char *reason, ...)
{
	if (client->state == LOAD_CLIENT_FAILED)
		return;
	va_list args;
	va_start(args, reason);
	vsnprintf(client->failure, sizeof client->failure, reason, args);
	va_end(args);
	client->state = LOAD_CLIENT_FAILED;
	client->deadline_us = INT64_MAX;
}

static void send_bytes(struct load_client *client, struct pl_bytes bytes)
{
	/* A full send buffer is the network's loss; a remote that is gone shows when the next receive says so. */
	if (bytes.size > 0 && send(client->fd, bytes.data, bytes.size, MSG_NOSIGNAL) < 0 && errno == ECONNREFUSED)
		load_client_fail(client, "the server's UDP port is closed");
}

/* ---- setting up ---- */

static void set_deadline(struct load_client *client)
{
	int64_t deadline_us = client->check.deadline_us;
	if (client->state == LOAD_CLIENT_FAILED)
		deadline_us = INT64_MAX;
	else if (client->state == LOAD_CLIENT_CONNECTED && client->reports_us < deadline_us)
		deadline_us = client->reports_us;
	else if (client->state == LOAD_CLIENT_HANDSHAKE && pl_dtls_deadline(client->dtls) < deadline_us)
		deadline_us = pl_dtls_deadline(client->dtls);
	client->deadline_us = deadline_us;
}

static void send_dtls(struct load_client *client)
{
	for (struct pl_bytes datagram; pl_dtls_next(client->dtls, &datagram);)
		send_bytes(client, datagram);
}

static void follow_dtls(struct load_client *client, const struct load_context *context)
{
	struct pl_srtp_keys keys;
	send_dtls(client);
	const enum pl_dtls_state state = pl_dtls_state(client->dtls);
	if (state == PL_DTLS_CLOSED)
		load_client_fail(client, "the server closed its DTLS association");
	if (state == PL_DTLS_FAILED)
		load_client_fail(client, "DTLS failed");
	if (state != PL_DTLS_CONNECTED || client->state != LOAD_CLIENT_HANDSHAKE)
		return;
	if (!pl_dtls_keys(client->dtls, &keys) || pl_srtp_create(&client->srtp, context->srtp, &keys) != PL_ERR_NONE) {
		load_client_fail(client, "the SRTP keys were not taken");
		return;
	}
	pl_srtp_keys_wipe(&keys);
	client->state = LOAD_CLIENT_CONNECTED;
	client->connected_us = context->now_us;
	client->reports_us = context->now_us + LOAD_REPORTS_MS_FIRST * INT64_C(1000);
}

static void tick_check(struct load_client *client, struct load_context *context)
{
	send_bytes(client, load_check_tick(&client->check, context->now_us, &context->rng));
}

static void init_publication(struct load_client *client)
{
	struct load_publication *p = &client->publication;
	p->seq = (uint16_t)client->seed;
	p->ts = (uint32_t)(client->seed >> 16);
}

static bool make_ears(struct load_client *client, const struct load_context *context)
{
	const size_t size = pl_opus_decoder_bytes();
	if (!client->does_decrypt)
		return true;
	client->ear = calloc(client->slots + 1, sizeof *client->ear);
	if (client->ear == NULL)
		return false;
	if (client->does_decode) {
		client->decoders = aligned_alloc(64, (client->slots + 1) * size);
		if (client->decoders == NULL)
			return false;
	}
	for (uint32_t i = 0; i < client->slots; i++) {
		char *memory = client->does_decode ? (char *)client->decoders + i * size : NULL;
		load_ear_init(&client->ear[i], (struct pl_opus_decoder *)(void *)memory, context->templates);
	}
	return true;
}

void load_client_start(struct load_client *client, struct load_context *context)
{
	const struct load_answer *answer = client->answer;
	const struct load_check_config config = {
		.remote_ufrag = answer->ufrag,
		.remote_pwd = answer->pwd,
		.local = &client->ice,
		.tie_breaker = client->seed,
	};
	load_check_init(&client->check, context->now_us, &config);
	client->setup_deadline_us = context->now_us + context->timeout_s * INT64_C(1000000);
	client->state = LOAD_CLIENT_CHECKING;
	client->slots = answer->slots;
	init_publication(client);
	client->stream = calloc(client->slots + 1, sizeof *client->stream);
	if (client->stream == NULL || !make_ears(client, context) ||
		pl_dtls_create(&client->dtls, context->identity, answer->role, &answer->fingerprint) != PL_ERR_NONE) {
		load_client_fail(client, "out of memory");
		return;
	}
	if (!load_socket_connect(client->fd, &answer->server)) {
		char text[PL_ADDR_TEXT_SIZE];
		load_client_fail(client, "%s, the server's candidate, cannot be reached: %s",
			pl_addr_format(&answer->server, text), strerror(errno));
		return;
	}
	tick_check(client, context);
	set_deadline(client);
}

void load_client_fini(struct load_client *client)
{
	load_check_fini(&client->check);
	pl_dtls_destroy(&client->dtls);
	pl_srtp_destroy(&client->srtp);
	free(client->stream);
	free(client->ear);
	free(client->decoders);
	free(client->answer);
	client->ear = NULL;
	client->decoders = NULL;
	client->stream = NULL;
	client->answer = NULL;
}

void load_client_tick(struct load_client *client, struct load_context *context)
{
	const int64_t now_us = context->now_us;
	if (client->state == LOAD_CLIENT_NEW || client->state == LOAD_CLIENT_FAILED)
		return;
	tick_check(client, context);
	if (client->state == LOAD_CLIENT_HANDSHAKE) {
		pl_dtls_tick(client->dtls, now_us);
		send_dtls(client);
	}
	if (client->state == LOAD_CLIENT_CONNECTED && now_us >= client->reports_us) {
		load_reports_send(client, context);
		client->reports_us = now_us + load_reports_interval_us(&context->rng);
	}
	if (client->state == LOAD_CLIENT_CHECKING && now_us >= client->setup_deadline_us)
		load_client_fail(client, "no answer to connectivity checks within %u s", context->timeout_s);
	if (client->state == LOAD_CLIENT_HANDSHAKE && now_us >= client->setup_deadline_us)
		load_client_fail(client, "no end of the DTLS handshake within %u s", context->timeout_s);
	if (now_us >= client->check.answered_us + PL_ICE_CONSENT_MS * INT64_C(1000))
		load_client_fail(client, "consent is gone: no answer to checks for %d s", PL_ICE_CONSENT_MS / 1000);
	set_deadline(client);
}

/* ---- what arrives ---- */

static void feed_stun(struct load_client *client, struct load_context *context, struct pl_bytes datagram)
{
	uint8_t reply[PL_ICE_REPLY_SIZE_MAX];
	size_t reply_size;
	const bool is_answer = load_check_feed(
		&client->check, context->now_us, &client->answer->server, datagram, &context->rng, reply, &reply_size);
	send_bytes(client, (struct pl_bytes){ reply, reply_size });
	if (!is_answer || client->state != LOAD_CLIENT_CHECKING)
		return;
	client->state = LOAD_CLIENT_HANDSHAKE;
	pl_dtls_start(client->dtls, context->now_us);
	follow_dtls(client, context);
}

/* A server that is active may be quicker with its ClientHello than with its answer to our check: it repeats it. */
static void feed_dtls(struct load_client *client, struct load_context *context, struct pl_bytes datagram)
{
	if (client->state != LOAD_CLIENT_HANDSHAKE && client->state != LOAD_CLIENT_CONNECTED)
		return;
	const enum pl_drop drop = pl_dtls_feed(client->dtls, context->now_us, datagram);
	(void)drop; /* a failure shows in the state */
	follow_dtls(client, context);
}

static struct load_stream *find_stream(struct load_client *client, uint32_t ssrc)
{
	for (uint32_t i = 0; i < client->stream_count; i++)
		if (client->stream[i].reception.ssrc == ssrc)
			return &client->stream[i];
	if (client->stream_count == client->slots)
		return NULL;
	struct load_stream *stream = &client->stream[client->stream_count++];
	load_stream_init(stream, ssrc);
	return stream;
}

static void note_latency(struct load_context *context, struct pl_bytes payload, int64_t arrived_ns)
{
	int64_t sent_ns;
	if (!context->is_measuring || !load_stamp_read(payload, &sent_ns))
		return;
	load_histogram_add(&context->latency_ns, arrived_ns > sent_ns ? (uint64_t)(arrived_ns - sent_ns) : 0);
}

/* The mouth's time is that of the first sample of a pulse's first frame, which is due when its last one is spoken. */
static void note_onset(const struct load_client *client, struct load_context *context, int64_t arrived_ns,
	const struct load_heard *heard)
{
	const int64_t second_ns = INT64_C(1000000000), frame_ns = second_ns / LOAD_SPEECH_RATE_HZ;
	const int64_t heard_ns = arrived_ns + heard->onset * second_ns / PL_OPUS_CLOCK_HZ;
	const int64_t since_ns = heard_ns - (client->room_epoch_us * 1000 - frame_ns);
	const int64_t period_ns = LOAD_PULSE_FRAMES * frame_ns;
	if (heard->onset >= 0 && since_ns >= 0)
		load_histogram_add(&context->mouth_to_ear_ns, (uint64_t)(since_ns % period_ns));
}

static void listen_to(struct load_client *client, struct load_context *context, struct load_ear *ear,
	const struct pl_rtp *rtp, int64_t arrived_ns)
{
	if (context->is_mixed) {
		const struct load_arrived arrived = load_ear_arrival(ear, arrived_ns, rtp->ts, rtp->marker);
		if (context->is_measuring) {
			load_histogram_add(&context->mix_late_ns, (uint64_t)arrived.late_ns);
			context->mix_ticks_late += arrived.late_ns >= LOAD_TICK_LATE_MS * INT64_C(1000000);
			context->mix_ticks_missing += arrived.missing;
		}
	}
	if (ear->decoder == NULL)
		return;
	const struct load_heard heard = load_ear_listen(ear, rtp->payload);
	if (!context->is_measuring)
		return;
	context->decoded += heard.samples >= 0;
	context->malformed += heard.samples < 0;
	context->samples += heard.samples > 0 ? (uint64_t)heard.samples : 0;
	context->energy += heard.energy;
	if (context->has_pulses)
		note_onset(client, context, arrived_ns, &heard);
}

static void feed_rtp(struct load_client *client, struct load_context *context, const struct load_arrival *arrival)
{
	struct pl_bytes packet = arrival->bytes;
	struct pl_rtp rtp;
	if (client->does_decrypt) {
		const struct pl_span scratch = { context->scratch, sizeof context->scratch };
		size_t size;
		if (pl_srtp_unprotect_rtp(client->srtp, packet, scratch, &size) != PL_DROP_NONE) {
			context->refused++;
			return;
		}
		packet = (struct pl_bytes){ context->scratch, size };
	}
	if (pl_rtp_parse(packet, &rtp) != PL_DROP_NONE) {
		context->refused++;
		return;
	}
	struct load_stream *stream = find_stream(client, rtp.ssrc);
	if (stream == NULL) {
		context->unexpected++;
		return;
	}
	context->received++;
	load_stream_packet(stream, context->now_us, rtp.seq, rtp.ts);
	if (client->media_us == 0)
		client->media_us = context->now_us;
	if (!client->does_decrypt)
		return;
	/* The kernel's note of the arrival is free of how late this worker looks. */
	const int64_t arrived_ns = arrival->stamp_ns != 0 ? arrival->stamp_ns - context->realtime_offset_ns
							  : context->now_us * INT64_C(1000);
	note_latency(context, rtp.payload, arrived_ns);
	listen_to(client, context, &client->ear[stream - client->stream], &rtp, arrived_ns);
}

void load_client_feed(struct load_client *client, struct load_context *context, const struct load_arrival *arrival)
{
	if (client->state == LOAD_CLIENT_NEW || client->state == LOAD_CLIENT_FAILED)
		return;
	switch (pl_protocol_of(arrival->bytes)) {
	case PL_PROTOCOL_RTP:
		if (client->state == LOAD_CLIENT_CONNECTED)
			feed_rtp(client, context, arrival);
		return; /* the common case, which moves no deadline */
	case PL_PROTOCOL_RTCP:
		if (client->state == LOAD_CLIENT_CONNECTED)
			load_reports_feed(client, context, arrival->bytes);
		break;
	case PL_PROTOCOL_STUN:
		feed_stun(client, context, arrival->bytes);
		break;
	case PL_PROTOCOL_DTLS:
		feed_dtls(client, context, arrival->bytes);
		break;
	case PL_PROTOCOL_UNKNOWN:
		break;
	}
	set_deadline(client);
}

/* ---- what is sent ---- */

static int64_t monotonic_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* What this frame says; without a loop it is filler, in buffer. */
static struct pl_bytes payload_of(const struct load_publication *p, const struct load_context *context,
	const struct load_frame *frame, uint8_t *buffer, size_t size_max)
{
	const size_t size = frame->size < size_max ? frame->size : size_max;
	if (p->loop == NULL) {
		load_stamp_write((struct pl_span){ buffer, size }, monotonic_ns());
		return (struct pl_bytes){ buffer, size };
	}
	const int64_t frame_us = INT64_C(1000000) / LOAD_SPEECH_RATE_HZ;
	struct pl_bytes said = load_loop_frame(p->loop, (uint64_t)((p->due_us - context->epoch_us) / frame_us));
	if (!frame->is_voice)
		said.size = 1; /* DTX: the TOC alone, RFC 6716 section 3.1 */
	return said;
}

void load_client_publish(struct load_client *client, struct load_context *context, uint32_t payload_bytes_max)
{
	struct load_publication *p = &client->publication;
	uint8_t payload[PL_DATAGRAM_SIZE_MAX], header[PL_RTP_HEADER_SIZE_MAX];
	const struct load_frame frame = load_talk_next(&p->talk);
	p->ts += p->ts_step;
	if (frame.size == 0)
		return;
	const struct pl_bytes said = payload_of(p, context, &frame, payload, payload_bytes_max);
	const struct load_answer *answer = client->answer;
	const struct pl_rtp rtp = { .ssrc = p->ssrc,
		.ts = p->ts,
		.seq = p->seq++,
		.payload_type = answer->payload_type,
		.marker = frame.is_first };
	const struct pl_rtp_ext ext = {
		.has = { [PL_RTP_EXT_MID] = true, [PL_RTP_EXT_AUDIO_LEVEL] = true },
		.mid = { (const uint8_t *)answer->mid, strlen(answer->mid) },
		.audio_level = frame.level,
		.is_voice = frame.is_voice,
	};
	const size_t header_size =
		pl_rtp_write(&rtp, &ext, &answer->ext_ids, (struct pl_span){ header, sizeof header });
	const size_t protected_size = pl_srtp_protect_rtp(client->srtp, (struct pl_bytes){ header, header_size }, said,
		(struct pl_span){ context->scratch, sizeof context->scratch });
	send_bytes(client, (struct pl_bytes){ context->scratch, protected_size });
	p->packets++;
	p->octets += (uint32_t)said.size;
	p->sent += context->is_measuring;
}

/* ---- the measurement ---- */

void load_client_begin(struct load_client *client)
{
	for (uint32_t i = 0; i < client->stream_count; i++)
		load_stream_begin(&client->stream[i]);
	client->kernel_drops_before = load_socket_drops(client->fd);
}

struct load_tally load_client_tally(const struct load_client *client)
{
	struct load_tally tally = { 0 };
	for (uint32_t i = 0; i < client->stream_count; i++)
		load_stream_tally(&client->stream[i], &tally);
	return tally;
}
