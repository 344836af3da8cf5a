/* What one incoming RTP stream's receiver knows of it, as a reception report needs it: the extended
 * highest sequence number, loss and interarrival jitter (RFC 3550 appendices A.1, A.3 and A.8).
 * Pure: no allocation, no clock, no I/O.  Thread: the shard that owns the publisher. */
#ifndef PL_MEDIA_RECEPTION_H
#define PL_MEDIA_RECEPTION_H

#include "media/base.h"
#include "media/rtcp.h"

struct pl_reception {
	uint32_t ssrc, clock_hz;
	uint32_t cycles;   /* sequence wraps, times 65,536 */
	uint32_t seq_base; /* extended number of the first packet */
	uint16_t seq_max;
	bool is_started;
	uint32_t bad_seq; /* the number that would confirm a restart of the sender, 65,537 for none */
	uint32_t received, expected_prior, received_prior;
	uint32_t transit_last;
	uint32_t jitter_q4; /* jitter, times 16 */
	uint32_t last_sr;   /* middle 32 bits of NTP, 0 before the first SR */
	int64_t last_sr_us;
};

void pl_reception_init(struct pl_reception *r, uint32_t ssrc, uint32_t clock_hz);

/* Counts one packet that has been authenticated. */
void pl_reception_packet(struct pl_reception *r, int64_t now_us, uint16_t seq, uint32_t ts);

/* Notes a sender report of this stream. */
void pl_reception_sr(struct pl_reception *r, int64_t now_us, uint64_t ntp);

/* Fills the block for the next report and starts a new interval.  False: nothing was received yet. */
bool pl_reception_report(struct pl_reception *r, int64_t now_us, struct pl_rtcp_block *block);

#endif
