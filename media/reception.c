#include "media/reception.h"

#include <string.h>

enum {
	DROPOUT_MAX = 3000, /* a jump forward of fewer is loss, RFC 3550 appendix A.1 */
	MISORDER_MAX = 100, /* a jump back of fewer is reordering */
	SEQ_CYCLE = 1 << 16,
	BAD_SEQ_NONE = SEQ_CYCLE + 1,
};

void pl_reception_init(struct pl_reception *r, uint32_t ssrc, uint32_t clock_hz)
{
	PL_ASSERT(clock_hz > 0);
	*r = (struct pl_reception){ .ssrc = ssrc, .clock_hz = clock_hz, .bad_seq = BAD_SEQ_NONE };
}

/* The first packet, or the first of a sender that began anew.  There is no probation as in appendix A.1: these
 * packets are authenticated. */
static void start(struct pl_reception *r, uint16_t seq)
{
	r->is_started = true;
	r->seq_base = r->seq_max = seq;
	r->cycles = 0;
	r->bad_seq = BAD_SEQ_NONE;
	r->received = r->received_prior = r->expected_prior = 0;
}

/* Appendix A.1.  False: the packet is too far off and not counted, it may be the first of a restart. */
static bool count_seq(struct pl_reception *r, uint16_t seq)
{
	const uint16_t ahead = (uint16_t)(seq - r->seq_max);
	if (ahead < DROPOUT_MAX) {
		if (seq < r->seq_max)
			r->cycles += SEQ_CYCLE;
		r->seq_max = seq;
	} else if (ahead <= SEQ_CYCLE - MISORDER_MAX) {
		if (seq != r->bad_seq) {
			r->bad_seq = (uint16_t)(seq + 1);
			return false;
		}
		start(r, seq); /* two in a row: the sender began anew */
	}
	r->received++;
	return true;
}

/* Appendix A.8: the difference of two packets' spacing at the sender and here, averaged. */
static void count_jitter(struct pl_reception *r, int64_t now_us, uint32_t ts)
{
	const uint64_t seconds = (uint64_t)now_us / 1000000;
	const uint64_t rest_us = (uint64_t)now_us % 1000000;
	const uint32_t arrival = (uint32_t)(seconds * r->clock_hz + rest_us * r->clock_hz / 1000000);
	const uint32_t transit = arrival - ts;
	if (r->received > 1) {
		const uint32_t difference = transit - r->transit_last;
		const uint32_t distance = difference < UINT32_C(1) << 31 ? difference : 0 - difference;
		r->jitter_q4 += distance - ((r->jitter_q4 + 8) >> 4);
	}
	r->transit_last = transit;
}

void pl_reception_packet(struct pl_reception *r, int64_t now_us, uint16_t seq, uint32_t ts)
{
	if (!r->is_started)
		start(r, seq);
	if (count_seq(r, seq))
		count_jitter(r, now_us, ts);
}

void pl_reception_sr(struct pl_reception *r, int64_t now_us, uint64_t ntp)
{
	r->last_sr = (uint32_t)(ntp >> 16);
	r->last_sr_us = now_us;
}

/* Appendix A.3.  More packets than expected are duplicates: negative as a total, no loss as a fraction. */
static void report_loss(struct pl_reception *r, struct pl_rtcp_block *block)
{
	const uint32_t expected = r->cycles + r->seq_max - r->seq_base + 1;
	block->lost = (int32_t)(expected - r->received);

	const uint32_t expected_now = expected - r->expected_prior;
	const uint32_t received_now = r->received - r->received_prior;
	r->expected_prior = expected;
	r->received_prior = r->received;
	const uint64_t lost_now = expected_now > received_now ? expected_now - received_now : 0;
	const uint64_t fraction = expected_now > 0 ? lost_now * 256 / expected_now : 0;
	block->fraction_lost = fraction > 255 ? 255 : (uint8_t)fraction;
}

bool pl_reception_report(struct pl_reception *r, int64_t now_us, struct pl_rtcp_block *block)
{
	if (!r->is_started)
		return false;
	*block = (struct pl_rtcp_block){
		.ssrc = r->ssrc,
		.seq_highest = r->cycles + r->seq_max,
		.jitter = r->jitter_q4 >> 4,
		.last_sr = r->last_sr,
	};
	report_loss(r, block);
	if (r->last_sr != 0)
		block->delay_since_sr = (uint32_t)((now_us - r->last_sr_us) * 65536 / 1000000);
	return true;
}
