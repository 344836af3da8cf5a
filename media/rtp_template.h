/* The header of one outgoing RTP stream, made once and stamped per packet: what stays the same (version, payload type,
 * SSRC, the block of header extensions with the mid) is copied, what changes is written into its place.
 * Pure: no allocation, no clock, no I/O.  Thread: any, no shared state. */
#ifndef PL_MEDIA_RTP_TEMPLATE_H
#define PL_MEDIA_RTP_TEMPLATE_H

#include "media/rtp.h"

/* 12 bytes, one CSRC, and an extension block with a mid of 16 bytes and a level, in the longer form of RFC 8285. */
enum {
	PL_RTP_TEMPLATE_SIZE_MAX = 48,
	PL_RTP_TEMPLATE_CSRC_MAX = 8,
	PL_RTP_TEMPLATE_LIST_SIZE_MAX = PL_RTP_TEMPLATE_SIZE_MAX + (PL_RTP_TEMPLATE_CSRC_MAX - 1) * 4,
};

struct pl_rtp_template {
	uint8_t size;       /* whole words */
	uint8_t level_at;   /* where the level element begins; 0: the session has none */
	uint8_t level_size; /* 2 in the one-byte form, 3 in the two-byte form */
	uint8_t bytes[PL_RTP_TEMPLATE_SIZE_MAX];
};

/* mid: 1-PL_RTP_MID_MAX characters. */
void pl_rtp_template_make(struct pl_rtp_template *template, uint32_t ssrc, uint8_t payload_type, const char *mid,
	const struct pl_rtp_ext_ids *ids);

/* What one packet says. */
struct pl_rtp_stamp {
	uint16_t seq;
	uint32_t ts, csrc;
	bool marker;
	bool has_level, is_voice; /* without a level its element is padding (RFC 8285 section 4.1.1) */
	uint8_t level;            /* 0-127 */
};

/* Writes template->size bytes to out. */
void pl_rtp_template_write(const struct pl_rtp_template *template, const struct pl_rtp_stamp *stamp,
	uint8_t out[static PL_RTP_TEMPLATE_SIZE_MAX]);

/* The same with other CSRCs than stamp->csrc: any number up to PL_RTP_TEMPLATE_CSRC_MAX (asserts).  Returns the size. */
size_t pl_rtp_template_write_list(const struct pl_rtp_template *template, const struct pl_rtp_stamp *stamp,
	const uint32_t *csrc, uint8_t count, uint8_t out[static PL_RTP_TEMPLATE_LIST_SIZE_MAX]);

#endif
