/* How many bits a second one stream of Opus has, as an average over some seconds of its own clock: what its sender sends, however
 * the network delivers it.  Payloads alone count, as in the bitrates of RFC 7587 section 3.1.1.
 * A talker's clock may run ahead of ours by as much as a network holds back, and no further: who says that hours pass between two
 * packets is not believed.
 * Pure: no allocation, no clock, no I/O.  Thread: the shard that owns the publisher. */
#ifndef PL_MEDIA_BITRATE_H
#define PL_MEDIA_BITRATE_H

#include "media/base.h"

enum { PL_BITRATE_SPAN_S = 4 }; /* in which what was sent before has lost two thirds of its weight */

/* All zero is the start, after silence. */
struct pl_bitrate {
	uint32_t bits;  /* of the packets so far, each weighing less the older it is; saturating */
	uint32_t ts;    /* of the newest; valid when is_started */
	uint32_t ahead; /* samples that have passed by the talker's clock, and not yet by ours */
	bool is_started;
	int64_t now_us; /* when ahead was so much */
};

/* Counts a packet that comes at now_us (never decreasing), in any order of timestamps, and returns the average after it, in bit/s: of a constant stream it rises from zero
 * to just its bitrate (at most a bit more for each packet of a second, when it was higher before).  Silence lets it fall.  A packet
 * that is a second behind, or anywhere, is of a clock that was set: time goes on from there, or has passed. */
uint32_t pl_bitrate_packet(struct pl_bitrate *b, int64_t now_us, uint32_t ts, size_t payload_size);

#endif
