#include "sfu/intake.h"

#include "media/trace.h"
#include "sfu/mixing.h"
#include "sfu/report.h"
#include "sfu/spread.h"

enum {
	/* A track without level reports counts as always talking, softly; a payload as small as an Opus DTX packet
	 * (RFC 6716 section 3.1: one or two bytes) is silence. */
	LEVEL_UNTOLD = 40,
	LEVEL_SILENCE = 127,
	DTX_PAYLOAD_SIZE_MAX = 3,
};

static enum pl_drop feed_stun(
	struct pl_conference *c, int64_t now_us, const struct pl_path *path, struct pl_bytes datagram)
{
	struct pl_bytes ufrag;
	const enum pl_drop unread = pl_ice_peek_ufrag(datagram, &ufrag);
	if (unread != PL_DROP_NONE)
		return unread;
	struct pl_participant *p = pl_directory_by_ufrag(&c->directory, ufrag);
	if (p == NULL)
		return PL_DROP_STUN_UNKNOWN_USER;

	const enum pl_drop drop = pl_transport_feed(&p->transport, now_us, path, datagram, (struct pl_span){ 0 });
	pl_queue_push(&c->draining, &p->draining, p); /* an error has a response, too */
	if (drop != PL_DROP_NONE)
		return drop;
	struct pl_directory_path *held = pl_directory_by_path(&c->directory, path);
	if (held != NULL && held->node.owner == p)
		held->heard_us = now_us;
	else
		pl_directory_learn_paths(&c->directory, p, now_us);
	return PL_DROP_NONE;
}

/* Anybody can say hello: DTLS is no sign of life of the path's holder. */
static enum pl_drop feed_dtls(
	struct pl_conference *c, int64_t now_us, const struct pl_path *path, struct pl_bytes datagram)
{
	const struct pl_directory_path *held = pl_directory_by_path(&c->directory, path);
	if (held == NULL)
		return PL_DROP_UNKNOWN_ADDRESS;
	struct pl_participant *p = held->node.owner;
	pl_queue_push(&c->draining, &p->draining, p);
	return pl_transport_feed(&p->transport, now_us, path, datagram, (struct pl_span){ 0 });
}

/* A step of a handshake waits for its turn; what comes behind it (an alert) takes no time. */
static enum pl_drop take_dtls(
	struct pl_conference *c, int64_t now_us, const struct pl_path *path, struct pl_bytes datagram)
{
	const struct pl_directory_path *held = pl_directory_by_path(&c->directory, path);
	if (held == NULL)
		return PL_DROP_UNKNOWN_ADDRESS;
	struct pl_participant *p = held->node.owner;
	if (p->transport.state == PL_TRANSPORT_CONNECTED)
		return feed_dtls(c, now_us, path, datagram);
	return pl_handshakes_push(&c->handshakes, &p->handshakes, p->source, path, datagram);
}

enum pl_drop pl_intake_handshake(struct pl_conference *c, int64_t now_us)
{
	struct pl_path path;
	struct pl_packet *packet = pl_handshakes_pop(&c->handshakes, &path);
	if (packet == NULL)
		return PL_DROP_NONE;
	/* Who joined anew meanwhile counts from nothing: what its predecessor left is no part of it. */
	struct pl_participant *p = pl_directory_by_source(&c->directory, packet->source);
	if (p != NULL && p->handshakes.count > 0)
		p->handshakes.count--;
	const enum pl_drop drop = feed_dtls(c, now_us, &path, packet->payload);
	pl_pool_release(&c->pool, packet);
	return drop;
}

/* Decrypts into out; *plain is a view of it. */
static enum pl_drop decrypt(struct pl_conference *c, int64_t now_us, const struct pl_path *path,
	struct pl_bytes datagram, struct pl_span out, struct pl_participant **from, struct pl_bytes *plain)
{
	struct pl_directory_path *held = pl_directory_by_path(&c->directory, path);
	if (held == NULL)
		return PL_DROP_UNKNOWN_ADDRESS;
	struct pl_participant *p = held->node.owner;
	const enum pl_drop drop = pl_transport_feed(&p->transport, now_us, path, datagram, out);
	if (drop != PL_DROP_NONE)
		return drop;
	held->heard_us = now_us;
	struct pl_output output;
	const bool is_there = pl_transport_next(&p->transport, &output);
	PL_ASSERT(is_there && (output.kind == PL_OUTPUT_RTP || output.kind == PL_OUTPUT_RTCP));
	*from = p;
	*plain = output.bytes;
	return PL_DROP_NONE;
}

bool pl_intake_is_heard(
	struct pl_room *room, struct pl_speaker *speaker, int64_t now_us, const struct pl_packet *packet)
{
	uint8_t level = packet->level;
	bool is_voice = packet->is_voice;
	if (!packet->has_level) {
		is_voice = packet->payload.size > DTX_PAYLOAD_SIZE_MAX;
		level = is_voice ? LEVEL_UNTOLD : LEVEL_SILENCE;
	}
	return pl_room_packet(room, speaker, now_us, level, is_voice);
}

enum pl_drop pl_intake_publish(struct pl_conference *c, struct pl_room *room, struct pl_speaker *speaker,
	int64_t now_us, struct pl_packet *packet)
{
	if (pl_spread_is_replica(c, room))
		return pl_spread_hear(c, room, packet);
	if (packet->coding != PL_CODING_OPUS)
		return pl_mixing_transcode(c, room, packet);
	const bool is_heard = pl_intake_is_heard(room, speaker, now_us, packet);
	if (is_heard)
		(void)pl_room_note_talker(room, now_us, packet);
	pl_spread_tell(c, room, now_us);
	return is_heard ? pl_spread_pass(c, room, packet) : PL_DROP_RTP_OFF_AIR;
}

static void describe(
	struct pl_packet *packet, const struct pl_track *track, const struct pl_rtp *rtp, const struct pl_rtp_ext *ext)
{
	packet->source = track->speaker.source;
	packet->track = track->spec.track;
	packet->ssrc = rtp->ssrc;
	packet->ts = rtp->ts;
	packet->seq = rtp->seq;
	packet->marker = rtp->marker;
	packet->has_level = ext->has[PL_RTP_EXT_AUDIO_LEVEL];
	packet->level = ext->audio_level;
	packet->is_voice = ext->is_voice;
	packet->payload = rtp->payload;
}

static enum pl_drop take_rtp(struct pl_conference *c, struct pl_participant *p, int64_t now_us, struct pl_bytes plain,
	struct pl_packet *packet)
{
	struct pl_rtp rtp;
	struct pl_rtp_ext ext;
	struct pl_track *track;
	c->counters.rtp_in++;
	enum pl_drop drop = pl_rtp_parse(plain, &rtp);
	if (drop != PL_DROP_NONE)
		return drop;
	pl_rtp_parse_ext(&rtp, &p->ext_ids, &ext);
	drop = pl_participant_match(p, &rtp, &ext, &track);
	if (drop != PL_DROP_NONE)
		return drop;

	pl_reception_packet(&track->reception, now_us, rtp.seq, rtp.ts);
	pl_conference_note_media(c, p, now_us);
	if (track->is_muted)
		return PL_DROP_RTP_MUTED;
	if (!pl_track_may(track, now_us))
		return PL_DROP_RTP_RATE;
	if (rtp.payload.size > PL_FORWARD_PAYLOAD_SIZE_MAX)
		return PL_DROP_TOO_LARGE;
	describe(packet, track, &rtp, &ext);
	packet->mix_group = p->slots.mix;
	packet->coding = (uint8_t)pl_track_coding(track, rtp.payload_type);
	if (packet->coding == PL_CODING_OPUS)
		packet->bps = pl_bitrate_packet(&track->bitrate, now_us, rtp.ts, rtp.payload.size);
	PL_TRACE(packet_in, p->room_id, packet->source, packet->track, packet->seq, packet->payload.size);
	if (packet->coding != PL_CODING_OPUS && pl_g711_silence_leaves_out(&track->silence, packet))
		return PL_DROP_G711_SILENT;
	return pl_intake_publish(c, p->room, &track->speaker, now_us, packet);
}

static enum pl_drop feed_rtp(
	struct pl_conference *c, int64_t now_us, const struct pl_path *path, struct pl_bytes datagram)
{
	struct pl_participant *p;
	struct pl_bytes plain;
	struct pl_packet *packet = pl_pool_take(&c->pool);
	if (packet == NULL)
		return PL_DROP_POOL_LOW;
	enum pl_drop drop =
		decrypt(c, now_us, path, datagram, (struct pl_span){ packet->data, sizeof packet->data }, &p, &plain);
	if (drop == PL_DROP_NONE)
		drop = take_rtp(c, p, now_us, plain, packet);
	pl_pool_release(&c->pool, packet);
	return drop;
}

static enum pl_drop feed_rtcp(
	struct pl_conference *c, int64_t now_us, const struct pl_path *path, struct pl_bytes datagram)
{
	struct pl_participant *p;
	struct pl_bytes plain;
	enum pl_drop drop =
		decrypt(c, now_us, path, datagram, (struct pl_span){ c->scratch, sizeof c->scratch }, &p, &plain);
	if (drop != PL_DROP_NONE)
		return drop;
	struct pl_report_read read;
	drop = pl_report_read(p, now_us, plain, &p->room->speakers, &read);
	c->counters.nacks_in += read.nacks;
	if (read.has_ended)
		pl_room_refit(p->room, now_us);
	if (read.loss_changed)
		pl_room_rechoose(p->room, p, now_us);
	if (read.has_ended || read.loss_changed)
		pl_spread_tell(c, p->room, now_us);
	return drop;
}

enum pl_drop pl_intake_feed(
	struct pl_conference *c, int64_t now_us, const struct pl_path *path, struct pl_bytes datagram)
{
	if (datagram.size == 0)
		return PL_DROP_EMPTY;
	if (datagram.size > PL_DATAGRAM_SIZE_MAX)
		return PL_DROP_TOO_LARGE;
	switch (pl_protocol_of(datagram)) {
	case PL_PROTOCOL_STUN:
		return feed_stun(c, now_us, path, datagram);
	case PL_PROTOCOL_DTLS:
		return take_dtls(c, now_us, path, datagram);
	case PL_PROTOCOL_RTP:
		return feed_rtp(c, now_us, path, datagram);
	case PL_PROTOCOL_RTCP:
		return feed_rtcp(c, now_us, path, datagram);
	case PL_PROTOCOL_UNKNOWN:
		break;
	}
	return PL_DROP_UNKNOWN_PROTOCOL;
}
