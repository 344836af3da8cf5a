#include "media/bitrate.h"

#include "media/opus.h"

enum {
	SPAN = PL_BITRATE_SPAN_S * PL_OPUS_CLOCK_HZ,
	AHEAD_MAX = SPAN,
	LATE_MAX = PL_OPUS_CLOCK_HZ, /* a network holds no packet back for longer, so that others come before it */
};

/* Our own time passes, in steps that are whole for both clocks. */
static void pass_ours(struct pl_bitrate *b, int64_t now_us)
{
	enum { STEP_US = 125, STEP = PL_OPUS_CLOCK_HZ / (1000000 / STEP_US) };
	const int64_t steps = (now_us - b->now_us) / STEP_US;
	b->ahead -= steps < b->ahead / STEP ? (uint32_t)steps * STEP : b->ahead;
	b->now_us += steps * STEP_US;
}

/* How much of the stream's time passes with this packet. */
static uint32_t pass(struct pl_bitrate *b, uint32_t ts)
{
	const uint32_t passed = b->is_started ? ts - b->ts : 0;
	if (b->is_started && (uint32_t)(0 - passed) <= LATE_MAX)
		return 0;
	b->is_started = true;
	b->ts = ts;
	if (passed >= UINT32_C(1) << 31)
		return 0;
	const uint32_t believed = passed < AHEAD_MAX - b->ahead ? passed : AHEAD_MAX - b->ahead;
	b->ahead += believed;
	return believed;
}

uint32_t pl_bitrate_packet(struct pl_bitrate *b, int64_t now_us, uint32_t ts, size_t payload_size)
{
	PL_ASSERT(payload_size <= PL_DATAGRAM_SIZE_MAX);
	if (!b->is_started)
		b->now_us = now_us;
	pass_ours(b, now_us);
	const uint32_t passed = pass(b, ts), more = 8 * (uint32_t)payload_size;
	b->bits -= passed < SPAN ? (uint32_t)((uint64_t)b->bits * passed / SPAN) : b->bits;
	b->bits = more < UINT32_MAX - b->bits ? b->bits + more : UINT32_MAX;
	return b->bits / PL_BITRATE_SPAN_S;
}
