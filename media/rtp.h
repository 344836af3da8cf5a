/* RTP packets (RFC 3550 section 5.1) and the header extensions of RFC 8285 that Plenum uses.
 * Parsing makes views into the packet; nothing is copied.
 * Pure: no allocation, no clock, no I/O.  Thread: any, no shared state. */
#ifndef PL_MEDIA_RTP_H
#define PL_MEDIA_RTP_H

#include "media/base.h"
#include "media/drop.h"

enum {
	PL_RTP_HEADER_SIZE = 12,
	PL_RTP_CSRC_MAX = 15,
	PL_RTP_MID_MAX = 16,          /* a one-byte header extension holds no more (RFC 8285 section 4.2) */
	PL_RTP_HEADER_SIZE_MAX = 256, /* room that every header pl_rtp_write makes fits into */
};

/*  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |V=2|P|X|  CC   |M|     PT      |       sequence number         |
 * |                           timestamp                           |
 * |                             SSRC                              |
 * |                         CSRC (0 to 15)                        |
 * |    extension profile (if X)   |       length in words         |
 * |                     extension elements ...                    | */
struct pl_rtp {
	uint32_t ssrc, ts;
	uint16_t seq;
	uint8_t payload_type; /* 0-127 */
	bool marker;
	uint8_t csrc_count; /* 0-15 */
	uint32_t csrc[PL_RTP_CSRC_MAX];
	uint16_t ext_profile;    /* 0xBEDE or 0x100x when ext holds elements, else 0 or unknown */
	struct pl_bytes ext;     /* the extension block after its 4-byte header; empty when there is none */
	struct pl_bytes payload; /* padding removed */
};

/* The extensions by their meaning.  Their number on the wire is negotiated per session. */
enum pl_rtp_ext_kind {
	PL_RTP_EXT_MID,           /* urn:ietf:params:rtp-hdrext:sdes:mid, RFC 8843 */
	PL_RTP_EXT_AUDIO_LEVEL,   /* urn:ietf:params:rtp-hdrext:ssrc-audio-level, RFC 6464 */
	PL_RTP_EXT_ABS_SEND_TIME, /* http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time */
	PL_RTP_EXT_TRANSPORT_CC,  /* http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01 */
	PL_RTP_EXT_COUNT
};

/* Returns the URI of an extension.  Static storage. */
const char *pl_rtp_ext_uri(enum pl_rtp_ext_kind kind);

/* Which number each extension has in one session: 1-14 (one-byte form), 15-255 (two-byte form), 0 not negotiated. */
struct pl_rtp_ext_ids {
	uint8_t id[PL_RTP_EXT_COUNT];
};

/* The values of the extensions of one packet. */
struct pl_rtp_ext {
	bool has[PL_RTP_EXT_COUNT];
	struct pl_bytes mid;    /* 1-16 bytes, not terminated */
	uint8_t audio_level;    /* -dBov: 0 loudest, 127 silence */
	bool is_voice;          /* the V bit beside the level */
	uint32_t abs_send_time; /* 24 bits: 6.18 fixed point seconds */
	uint16_t transport_seq;
};

/* Reads *packet into *rtp, views into the same memory.  PL_DROP_NONE, or PL_DROP_RTP_MALFORMED with *rtp undefined. */
PL_MUST_USE enum pl_drop pl_rtp_parse(struct pl_bytes packet, struct pl_rtp *rtp);

/* Reads the known extensions of a parsed packet, in the one-byte and the two-byte form.  Elements that
 * are unknown or of a wrong length are passed over; a broken block ends the reading there. */
void pl_rtp_parse_ext(const struct pl_rtp *rtp, const struct pl_rtp_ext_ids *ids, struct pl_rtp_ext *ext);

/* Writes a header (12 bytes, CSRCs, and the extensions that ext has and ids numbers; rtp->ext is ignored,
 * so is rtp->payload) and returns its size, or 0 when it does not fit into out. */
size_t pl_rtp_write(
	const struct pl_rtp *rtp, const struct pl_rtp_ext *ext, const struct pl_rtp_ext_ids *ids, struct pl_span out);

#endif
