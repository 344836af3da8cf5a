/* RTCP: what Plenum reads (SR, RR, SDES, BYE, generic NACK) and writes (SR, RR, SDES, BYE).
 * RFC 3550 section 6, RFC 4585 section 6.2.1.
 * Pure: no allocation, no clock, no I/O.  Thread: any, no shared state. */
#ifndef PL_MEDIA_RTCP_H
#define PL_MEDIA_RTCP_H

#include "media/base.h"
#include "media/drop.h"

enum {
	PL_RTCP_BLOCKS_MAX = 31,
	PL_RTCP_CNAME_MAX = 255,
};

/* One reception report block, RFC 3550 section 6.4.1. */
struct pl_rtcp_block {
	uint32_t ssrc;           /* the stream it speaks of */
	uint8_t fraction_lost;   /* 1/256 */
	int32_t lost;            /* cumulative, 24 bits signed */
	uint32_t seq_highest;    /* extended */
	uint32_t jitter;         /* in RTP clock units */
	uint32_t last_sr;        /* middle 32 bits of the last SR's NTP time, 0 for none */
	uint32_t delay_since_sr; /* 1/65536 s */
};

enum pl_rtcp_kind {
	PL_RTCP_SR,
	PL_RTCP_RR,
	PL_RTCP_SDES,
	PL_RTCP_BYE,
	PL_RTCP_NACK,
	PL_RTCP_OTHER, /* well-formed, passed over */
};

/* One packet of a compound packet. */
struct pl_rtcp {
	enum pl_rtcp_kind kind;
	uint32_t ssrc; /* the sender; for BYE and SDES the first source, 0 when there is none */
	union {
		struct {
			uint64_t ntp;             /* 32.32 fixed point seconds since 1900; SR only */
			uint32_t ts;              /* SR only */
			uint32_t packets, octets; /* SR only */
			uint8_t block_count;
			struct pl_rtcp_block block[PL_RTCP_BLOCKS_MAX];
		} report; /* SR and RR */
		struct {
			struct pl_bytes cname; /* of the first source; empty when there is none */
		} sdes;
		struct {
			uint8_t source_count;
			uint32_t source[PL_RTCP_BLOCKS_MAX];
		} bye;
		struct {
			uint32_t ssrc_media;
			struct pl_bytes items; /* 4 bytes each: PID and BLP; see pl_rtcp_nack_next */
		} nack;
	};
};

/* Walks a compound packet: *rest starts as the whole datagram and shrinks.  PL_DROP_NONE with *rtcp
 * filled, or PL_DROP_RTCP_MALFORMED with *rtcp undefined (stop there).  Call while rest->size > 0. */
PL_MUST_USE enum pl_drop pl_rtcp_parse(struct pl_bytes *rest, struct pl_rtcp *rtcp);

/* Takes the next (PID, BLP) pair out of nack items.  False when there is none. */
bool pl_rtcp_nack_next(struct pl_bytes *items, uint16_t *pid, uint16_t *blp);

struct pl_rtcp_sender {
	uint32_t ssrc;
	uint64_t ntp;
	uint32_t ts, packets, octets;
};

/* Each appends one packet at out->data and moves *out past it.  False: it does not fit (or a count is
 * over its maximum), and *out is untouched. */
PL_MUST_USE bool pl_rtcp_write_sr(struct pl_span *out, const struct pl_rtcp_sender *sender,
	const struct pl_rtcp_block *blocks, size_t block_count);
PL_MUST_USE bool pl_rtcp_write_rr(
	struct pl_span *out, uint32_t ssrc, const struct pl_rtcp_block *blocks, size_t block_count);
PL_MUST_USE bool pl_rtcp_write_sdes(
	struct pl_span *out, const uint32_t *ssrcs, size_t ssrc_count, struct pl_bytes cname);
PL_MUST_USE bool pl_rtcp_write_bye(struct pl_span *out, const uint32_t *ssrcs, size_t ssrc_count);
PL_MUST_USE bool pl_rtcp_write_nack(
	struct pl_span *out, uint32_t ssrc, uint32_t ssrc_media, const uint16_t *seqs, size_t seq_count);

#endif
