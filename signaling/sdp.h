/* SDP as browsers really write it (RFC 8866, RFC 8829, RFC 9143): reads an offer into plain data within bounds, and
 * writes the answer.  Attributes that Plenum does not use are passed over; what it needs and misses is an error that
 * names the line.
 * Pure: no allocation, no clock, no I/O.  Thread: signaling. */
#ifndef PL_SIGNALING_SDP_H
#define PL_SIGNALING_SDP_H

#include "sfu/types.h"

enum {
	PL_SDP_MEDIA_MAX = 64,
	PL_SDP_SIZE_MAX = 65536,
	PL_SDP_ANSWER_SIZE_MAX = 65536,
	PL_SDP_ERROR_SIZE = 160,
};

enum pl_sdp_direction { PL_SDP_INACTIVE = 0, PL_SDP_SEND = 1, PL_SDP_RECV = 2, PL_SDP_SENDRECV = 3 };
enum pl_sdp_setup { PL_SDP_ACTPASS, PL_SDP_ACTIVE, PL_SDP_PASSIVE };
enum pl_sdp_type { PL_SDP_AUDIO, PL_SDP_VIDEO, PL_SDP_APPLICATION, PL_SDP_OTHER };

struct pl_sdp_media {
	enum pl_sdp_type type;
	uint16_t line;                  /* of the m= line, 1 is the first */
	bool is_rejected;               /* offered with port 0 and not bundle-only */
	bool is_bundled;
	enum pl_sdp_direction direction; /* as the offerer sees it */
	char mid[PL_RTP_MID_MAX + 1];
	char protocol[32];              /* "UDP/TLS/RTP/SAVPF" */
	char formats[64];               /* the first format of the m= line, for a rejected answer ("111", "webrtc-datachannel") */
	uint8_t opus_payload_type;      /* valid when has_opus */
	bool has_opus;
	bool has_rtcp_mux;
	uint32_t ssrc;                  /* first a=ssrc, 0 for none */
	struct pl_rtp_ext_ids ext_ids;  /* this m-line's */
};

struct pl_sdp_offer {
	char ufrag[PL_ICE_UFRAG_MAX + 1], pwd[PL_ICE_PWD_MAX + 1];
	struct pl_fingerprint fingerprint;
	enum pl_sdp_setup setup;
	struct pl_rtp_ext_ids ext_ids;  /* of the bundle */
	uint8_t media_count;
	struct pl_sdp_media media[PL_SDP_MEDIA_MAX];
};

/* Reads an offer.  False: error has a sentence that names the line ("line 12: a=fingerprint: ..."). */
PL_MUST_USE bool pl_sdp_parse_offer(struct pl_bytes text, struct pl_sdp_offer *offer, char error[static PL_SDP_ERROR_SIZE]);

/* How an answer takes each m-line of the offer. */
struct pl_sdp_answer_media {
	bool is_accepted;
	enum pl_sdp_direction direction; /* as the answerer sees it */
	uint32_t ssrc;                   /* what we send with, 0 when we do not send */
	char stream_id[24], track_id[24]; /* for a=msid, when we send */
};

struct pl_sdp_answer {
	const struct pl_sdp_offer *offer;
	uint64_t session_id, session_version; /* of the o= line */
	struct pl_ice_credentials ice;
	const struct pl_fingerprint *fingerprint;
	enum pl_dtls_role role;               /* ours */
	const char *cname;
	const struct pl_addr *candidates;
	size_t candidate_count;
	struct pl_sdp_answer_media media[PL_SDP_MEDIA_MAX]; /* as many as the offer has */
};

/* Writes the answer as a NUL-terminated string and returns its length, or 0 when it does not fit. */
PL_MUST_USE size_t pl_sdp_write_answer(const struct pl_sdp_answer *answer, char *text, size_t text_size);

#endif
