#include "sfu/intake.h"

#include "sfu/report.h"

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

	const enum pl_drop drop = pl_transport_feed(&p->transport, now_us, path, datagram);
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

static enum pl_drop feed_by_path(
	struct pl_conference *c, int64_t now_us, const struct pl_path *path, struct pl_bytes datagram, bool is_proven)
{
	struct pl_directory_path *held = pl_directory_by_path(&c->directory, path);
	if (held == NULL)
		return PL_DROP_UNKNOWN_ADDRESS;
	struct pl_participant *p = held->node.owner;
	const enum pl_drop drop = pl_transport_feed(&p->transport, now_us, path, datagram);
	pl_queue_push(&c->draining, &p->draining, p);
	if (drop == PL_DROP_NONE && is_proven)
		held->heard_us = now_us;
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
	case PL_PROTOCOL_DTLS: /* anybody can say hello: no sign of life of the path's holder */
		return feed_by_path(c, now_us, path, datagram, false);
	case PL_PROTOCOL_RTP:
	case PL_PROTOCOL_RTCP:
		return feed_by_path(c, now_us, path, datagram, true);
	case PL_PROTOCOL_UNKNOWN:
		break;
	}
	return PL_DROP_UNKNOWN_PROTOCOL;
}

enum pl_drop pl_intake_rtp(struct pl_conference *c, struct pl_participant *p, int64_t now_us, struct pl_bytes packet)
{
	struct pl_rtp rtp;
	struct pl_rtp_ext ext;
	struct pl_track *track;
	enum pl_drop drop = pl_rtp_parse(packet, &rtp);
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
	if (rtp.payload.size > PL_FORWARD_PAYLOAD_SIZE_MAX)
		return PL_DROP_TOO_LARGE;

	uint8_t level = ext.audio_level;
	bool is_voice = ext.is_voice;
	if (!ext.has[PL_RTP_EXT_AUDIO_LEVEL]) {
		is_voice = rtp.payload.size > DTX_PAYLOAD_SIZE_MAX;
		level = is_voice ? LEVEL_UNTOLD : LEVEL_SILENCE;
	}
	if (pl_room_packet(p->room, track, now_us, level, is_voice))
		pl_forward_start(&c->forward, p->room, track, &rtp, &ext);
	return PL_DROP_NONE;
}

enum pl_drop pl_intake_rtcp(struct pl_conference *c, struct pl_participant *p, int64_t now_us, struct pl_bytes packet)
{
	struct pl_report_read read;
	const enum pl_drop drop = pl_report_read(p, now_us, packet, &p->room->speakers, &read);
	c->counters.nacks_in += read.nacks;
	if (read.has_ended)
		pl_room_refit(p->room, now_us);
	return drop;
}
