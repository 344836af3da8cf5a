/* Makes one outgoing RTP stream out of many speakers: when the source changes, the listener
 * sees no gap in sequence numbers and a timestamp that advanced by the time that passed.
 * Pure: no allocation, no clock, no I/O.  Thread: the shard that owns the listener. */
#ifndef PL_MEDIA_REWRITE_H
#define PL_MEDIA_REWRITE_H

#include "media/rtp.h"

struct pl_rewrite {
	uint32_t ssrc_out, ssrc_in; /* ssrc_in has a meaning only while span > 0 */
	uint16_t seq_add, seq_last; /* seq_last is in outgoing numbering */
	uint16_t span;              /* outgoing numbers used since the switch, saturating */
	uint32_t ts_add, ts_last, clock_khz;
	uint32_t frame_ts;    /* length of the speaker's frames, 20 ms until it is known */
	int64_t sent_last_us; /* INT64_MIN before the first packet */
};

/* seq_first and ts_first: where the outgoing numbering starts; random, RFC 3550 section 5.1. */
void pl_rewrite_init(
	struct pl_rewrite *rw, uint32_t ssrc_out, uint32_t clock_khz, uint16_t seq_first, uint32_t ts_first);

/* The next packet is a switch, even when its SSRC is that of the last one: for a talker that comes back
 * into the slot, or a publisher that began anew under the same SSRC. */
void pl_rewrite_reset_source(struct pl_rewrite *rw);

/* Renumbers *rtp (ssrc, seq, ts, marker), a packet of the speaker selected now: another SSRC than last
 * time is a switch, and so is a jump of 3,000 numbers or more under the same one (a publisher that began anew).  now_us: monotonic microseconds, never decreasing.  Returns PL_DROP_NONE with *rtp
 * rewritten, or PL_DROP_BEFORE_SWITCH with *rtp untouched when it is older than the speaker's first
 * forwarded packet (its number is taken).  Nothing a peer can put into *rtp makes this assert. */
PL_MUST_USE enum pl_drop pl_rewrite_forward(struct pl_rewrite *rw, int64_t now_us, struct pl_rtp *rtp);

/* Renumbers *rtp (ssrc, seq, ts, marker), the next packet of a stream that has no numbers of its own: of a mix, of which each
 * listener gets another choice of packets.  rtp->seq is not read: each packet gets the next number.  Timestamps keep
 * their distance, over silence too, as long as the SSRC stays; another SSRC is a switch.  Packets come in order. */
void pl_rewrite_follow(struct pl_rewrite *rw, int64_t now_us, struct pl_rtp *rtp);

/* The outgoing timestamp that stands for now_us, for a sender report.  Valid after the first packet. */
uint32_t pl_rewrite_ts_at(const struct pl_rewrite *rw, int64_t now_us);

#endif
