#include "media/rewrite.h"

enum {
	HALF_RANGE = 0x8000,
	/* A publisher whose numbers jump at least this far, either way, began anew under its old SSRC (RFC 3550 appendix
	 * A.1 draws the line there too): shown to the listener as it is, the jump would be a minute of loss. */
	RESTART_DISTANCE = 3000,
	FRAME_MS_DEFAULT = 20,
	FRAME_MS_MAX = 120, /* RFC 6716 section 2.1.4 */
};

void pl_rewrite_init(
	struct pl_rewrite *rw, uint32_t ssrc_out, uint32_t clock_khz, uint16_t seq_first, uint32_t ts_first)
{
	PL_ASSERT(clock_khz > 0);
	*rw = (struct pl_rewrite){
		.ssrc_out = ssrc_out,
		.seq_last = (uint16_t)(seq_first - 1),
		.ts_last = ts_first,
		.clock_khz = clock_khz,
		.frame_ts = FRAME_MS_DEFAULT * clock_khz,
		.sent_last_us = INT64_MIN,
	};
}

void pl_rewrite_reset_source(struct pl_rewrite *rw)
{
	rw->span = 0;
}

uint32_t pl_rewrite_ts_at(const struct pl_rewrite *rw, int64_t now_us)
{
	PL_ASSERT(rw->sent_last_us != INT64_MIN && now_us >= rw->sent_last_us);
	return rw->ts_last + (uint32_t)((uint64_t)(now_us - rw->sent_last_us) * rw->clock_khz / 1000);
}

/* The next outgoing number belongs to rtp, and its timestamp to now, but to no time that the last speaker's last frame
 * already fills: a jitter buffer discards a frame that overlaps one it has played. */
static void switch_source(struct pl_rewrite *rw, int64_t now_us, const struct pl_rtp *rtp)
{
	uint32_t ts = rw->ts_last;
	if (rw->sent_last_us != INT64_MIN) {
		const uint32_t elapsed = pl_rewrite_ts_at(rw, now_us) - rw->ts_last;
		ts += elapsed > rw->frame_ts ? elapsed : rw->frame_ts;
	}
	rw->ssrc_in = rtp->ssrc;
	rw->seq_add = (uint16_t)(rw->seq_last + 1 - rtp->seq);
	rw->ts_add = ts - rtp->ts;
	rw->frame_ts = FRAME_MS_DEFAULT * rw->clock_khz;
	rw->span = 0;
}

static bool is_restart(const struct pl_rewrite *rw, const struct pl_rtp *rtp)
{
	const uint16_t ahead = (uint16_t)(rtp->seq + rw->seq_add - rw->seq_last);
	const uint16_t behind = (uint16_t)(0 - ahead);
	return ahead >= RESTART_DISTANCE && behind >= RESTART_DISTANCE;
}

/* Two packets in a row show how long the speaker's frames are. */
static void learn_frame(struct pl_rewrite *rw, uint16_t ahead, uint32_t ts)
{
	const uint32_t step = ts - rw->ts_last;
	if (rw->span > 0 && ahead == 1 && step > 0 && step <= FRAME_MS_MAX * rw->clock_khz)
		rw->frame_ts = step;
}

enum pl_drop pl_rewrite_forward(struct pl_rewrite *rw, int64_t now_us, struct pl_rtp *rtp)
{
	PL_ASSERT(now_us >= rw->sent_last_us);
	const bool is_switch = rw->span == 0 || rtp->ssrc != rw->ssrc_in || is_restart(rw, rtp);
	if (is_switch)
		switch_source(rw, now_us, rtp);

	const uint16_t seq = (uint16_t)(rtp->seq + rw->seq_add);
	const uint16_t ahead = (uint16_t)(seq - rw->seq_last);
	const bool is_newest = ahead > 0 && ahead < HALF_RANGE;

	/* Late packets are welcome (the listener's jitter buffer wants them), but only where this
	 * speaker has numbers: further back they would overwrite the previous speaker's. */
	if (!is_newest && (uint16_t)(0 - ahead) >= rw->span)
		return PL_DROP_BEFORE_SWITCH;

	rtp->ssrc = rw->ssrc_out;
	rtp->seq = seq;
	rtp->ts += rw->ts_add;
	rtp->marker |= is_switch;
	if (is_newest) {
		learn_frame(rw, ahead, rtp->ts);
		const uint32_t span = (uint32_t)rw->span + ahead;
		rw->span = span < HALF_RANGE ? (uint16_t)span : HALF_RANGE - 1;
		rw->seq_last = seq;
		rw->ts_last = rtp->ts;
		rw->sent_last_us = now_us;
	}
	return PL_DROP_NONE;
}

void pl_rewrite_follow(struct pl_rewrite *rw, int64_t now_us, struct pl_rtp *rtp)
{
	PL_ASSERT(now_us >= rw->sent_last_us);
	const bool is_switch = rw->span == 0 || rtp->ssrc != rw->ssrc_in;
	if (is_switch)
		switch_source(rw, now_us, rtp);

	rtp->ssrc = rw->ssrc_out;
	rtp->seq = (uint16_t)(rw->seq_last + 1);
	rtp->ts += rw->ts_add;
	rtp->marker |= is_switch;
	learn_frame(rw, 1, rtp->ts);
	rw->span = rw->span < HALF_RANGE - 1 ? (uint16_t)(rw->span + 1) : HALF_RANGE - 1;
	rw->seq_last = rtp->seq;
	rw->ts_last = rtp->ts;
	rw->sent_last_us = now_us;
}
