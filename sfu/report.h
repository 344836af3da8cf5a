/* RTCP of one participant: the compound report it gets (a sender report for each slot that has sent, reception blocks
 * for what it publishes), when it gets it, and what its own reports tell.  RFC 3550 section 6.
 * Pure: no allocation, no clock, no I/O.  Thread: the shard that owns the participant. */
#ifndef PL_SFU_REPORT_H
#define PL_SFU_REPORT_H

#include "sfu/participant.h"

enum { PL_REPORT_SIZE_MAX = 1200 }; /* one compound packet, before SRTCP */

/* Media has begun to flow: the first report comes soon, at a random moment, so that a room which starts together does
 * not report together, but together with others of the same 10 ms, so that the shard wakes up seldom for them. */
void pl_report_start(struct pl_participant *p, int64_t now_us, struct pl_rng *rng);

/* After a report: sets when the next one is due, 0.5 to 1.5 s ahead (RFC 3550 section 6.3.5 has the same spread), or
 * stops when nothing was sent or received since the one before. */
void pl_report_schedule(struct pl_participant *p, int64_t now_us, struct pl_rng *rng);

/* Writes the compound packet for now.  ntp_offset_us: microseconds since 1900 = now_us + this.  Returns its size,
 * 0 when there is nothing to report. */
size_t pl_report_write(
	struct pl_participant *p, int64_t now_us, int64_t ntp_offset_us, uint8_t out[static PL_REPORT_SIZE_MAX]);

/* What a compound packet held besides sender reports, which it notes by itself. */
struct pl_report_read {
	uint32_t nacks;    /* packets asked for again */
	bool has_ended;    /* a track went off air by BYE */
	bool loss_changed; /* p->loss.is_lossy did */
};

/* Reads a decrypted compound packet.  speakers: the room's.  *read is valid in any case: what stands before a
 * malformed packet counts. */
PL_MUST_USE enum pl_drop pl_report_read(struct pl_participant *p, int64_t now_us, struct pl_bytes packet,
	struct pl_speakers *speakers, struct pl_report_read *read);

#endif
