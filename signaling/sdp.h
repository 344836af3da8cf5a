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
	PL_SDP_LINE_MAX = 4096, /* bytes, without its end */
	PL_SDP_ANSWER_SIZE_MAX = 65536,
	PL_SDP_ERROR_SIZE = 160,
	PL_SDP_STREAM_ID_SIZE = 24,
	PL_SDP_FRAGMENT_SIZE_MAX = 4096, /* of one that we write: 16 candidates of less than 128 bytes fit */
};

enum pl_sdp_direction { PL_SDP_INACTIVE = 0, PL_SDP_SEND = 1, PL_SDP_RECV = 2, PL_SDP_SENDRECV = 3 };
enum pl_sdp_setup { PL_SDP_ACTPASS, PL_SDP_ACTIVE, PL_SDP_PASSIVE };
enum pl_sdp_type { PL_SDP_AUDIO, PL_SDP_VIDEO, PL_SDP_APPLICATION, PL_SDP_OTHER };

struct pl_sdp_media {
	enum pl_sdp_type type;
	char type_name[16]; /* as the m= line has it, for the answer */
	uint16_t line;      /* of the m= line, 1 is the first */
	bool is_rejected;   /* offered with port 0 and not bundle-only (RFC 9143 section 6) */
	bool is_bundled;
	enum pl_sdp_direction direction; /* as the offerer sees it */
	char mid[PL_RTP_MID_MAX + 1];    /* empty when there is none */
	char protocol[32];               /* "UDP/TLS/RTP/SAVPF" */
	bool has_dtls_srtp; /* protocol says so, or is another of RFC 8829 section 5.1.2 and there is a fingerprint */
	char formats[64];   /* the first format of the m= line, for a rejected answer ("111", "webrtc-datachannel") */
	/* The first of the m= line's formats that is Opus; or where none is, and the reader takes G.711, that is PCMU or PCMA. */
	bool has_codec;
	enum pl_coding coding; /* valid when has_codec, as payload_type */
	uint8_t payload_type;
	uint16_t ptime_ms, ptime_max_ms; /* a=ptime and a=maxptime, at most 1,000; 0: not said */
	/* What the offerer wants of Opus (RFC 7587 section 6.1). */
	uint32_t bitrate_max_bps; /* 6,000-510,000; 0: not said */
	bool is_stereo, has_fec;
	bool has_rtcp_mux;
	uint32_t ssrc;                 /* first a=ssrc, 0 for none */
	struct pl_rtp_ext_ids ext_ids; /* this m-line's */
	/* As the offerer sees it; SENDRECV when the a=extmap line says nothing (RFC 8285 section 7). */
	enum pl_sdp_direction ext_direction[PL_RTP_EXT_COUNT];
};

struct pl_sdp_offer {
	char ufrag[PL_ICE_UFRAG_MAX + 1], pwd[PL_ICE_PWD_MAX + 1];
	struct pl_fingerprint fingerprint;
	enum pl_sdp_setup setup;
	struct pl_rtp_ext_ids ext_ids; /* of the bundle: one numbering (RFC 9143 section 9.2) */
	bool has_allow_mixed;          /* a=extmap-allow-mixed (RFC 8285 section 6) */
	/* The m-lines that are wanted are in a group, each with a mid.  False: there is one, which needs neither (RFC 9143 is
	 * about several, and RFC 5888 about groups). */
	bool has_bundle;
	/* The m-line whose transport the bundle has: the first one of the group that pl_sdp_is_wanted, or the only one. */
	uint8_t tagged;
	uint8_t media_count;
	struct pl_sdp_media media[PL_SDP_MEDIA_MAX];
};

struct pl_sdp_options {
	bool takes_g711; /* PCMU and PCMA, where an m-line has no Opus: only for a media plane that transcodes */
};

/* Reads an offer.  True: at least one m-line is wanted.  False: error has a sentence that names the line ("line 12:
 * a=fingerprint: ..."), and *offer is undefined. */
PL_MUST_USE bool pl_sdp_parse_offer(struct pl_bytes text, const struct pl_sdp_options *options,
	struct pl_sdp_offer *offer, char error[static PL_SDP_ERROR_SIZE]);

/* What counts in a fragment of trickle ICE (application/trickle-ice-sdpfrag, RFC 8840 section 9): an ICE-lite agent
 * learns addresses from checks, not from candidates. */
struct pl_sdp_fragment {
	char ufrag[PL_ICE_UFRAG_MAX + 1], pwd[PL_ICE_PWD_MAX + 1]; /* both empty when there are none */
};

/* Reads a fragment.  False: error has a sentence that names the line, and *fragment is undefined. */
PL_MUST_USE bool pl_sdp_parse_fragment(
	struct pl_bytes text, struct pl_sdp_fragment *fragment, char error[static PL_SDP_ERROR_SIZE]);

/* True for what this server can take: audio with a codec of ours over DTLS-SRTP that the offerer has not turned off. */
bool pl_sdp_is_wanted(const struct pl_sdp_media *media);

/* How an answer takes each m-line of the offer. */
struct pl_sdp_answer_media {
	bool is_accepted;                /* only what pl_sdp_is_wanted; the tagged m-line always */
	enum pl_sdp_direction direction; /* as the answerer sees it */
	uint32_t ssrc;                   /* what we send with, 0 when we do not send */
	char stream_id[PL_SDP_STREAM_ID_SIZE], track_id[PL_SDP_STREAM_ID_SIZE]; /* for a=msid, when we send */
};

struct pl_sdp_answer {
	const struct pl_sdp_offer *offer;
	uint64_t session_id, session_version; /* of the o= line */
	struct pl_ice_credentials ice;
	const struct pl_fingerprint *fingerprint;
	enum pl_dtls_role role; /* ours */
	const char *cname;
	const struct pl_addr *candidates; /* best first */
	size_t candidate_count;
	struct pl_sdp_answer_media media[PL_SDP_MEDIA_MAX]; /* as many as the offer has */
};

/* Writes the answer as a NUL-terminated string and returns its length, or 0 when it does not fit. */
PL_MUST_USE size_t pl_sdp_write_answer(const struct pl_sdp_answer *answer, char *text, size_t text_size);

/* The answer to a fragment that restarted ICE: our new credentials and, again, all our candidates. */
struct pl_sdp_fragment_answer {
	const char *mid; /* of the m-line that has the bundle's transport; empty when it has none */
	uint8_t payload_type;
	struct pl_ice_credentials ice;
	const struct pl_addr *candidates; /* best first */
	size_t candidate_count;           /* at most 16 */
};

/* Writes it as a NUL-terminated string and returns its length. */
size_t pl_sdp_write_fragment(const struct pl_sdp_fragment_answer *answer, char text[static PL_SDP_FRAGMENT_SIZE_MAX]);

#endif
