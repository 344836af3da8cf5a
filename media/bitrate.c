#include "media/bitrate.h"

#include "media/opus.h"

enum {
	SPAN = PL_BITRATE_SPAN_S * PL_OPUS_CLOCK_HZ,
	LATE_MAX = PL_OPUS_CLOCK_HZ, /* a network holds no packet back for longer, so that others come before it */
};

/* How much of the stream's time passes with this packet. */
static uint32_t pass(struct pl_bitrate *b, uint32_t ts)
{
	const uint32_t ahead = b->is_started ? ts - b->ts : 0;
	if (b->is_started && (uint32_t)(0 - ahead) <= LATE_MAX)
		return 0;
	b->is_started = true;
	b->ts = ts;
	return ahead < UINT32_C(1) << 31 ? ahead : 0;
}

uint32_t pl_bitrate_packet(struct pl_bitrate *b, uint32_t ts, size_t payload_size)
{
	PL_ASSERT(payload_size <= PL_DATAGRAM_SIZE_MAX);
	const uint32_t passed = pass(b, ts), more = 8 * (uint32_t)payload_size;
	b->bits -= passed < SPAN ? (uint32_t)((uint64_t)b->bits * passed / SPAN) : b->bits;
	b->bits = more < UINT32_MAX - b->bits ? b->bits + more : UINT32_MAX;
	return b->bits / PL_BITRATE_SPAN_S;
}
