#include "sfu/report.h"

#include <string.h>

enum {
	FIRST_MS_MIN = 100,
	FIRST_MS_SPREAD = 400,
	NEXT_MS_MIN = 500,
	NEXT_MS_SPREAD = 1000,
	GRID_US = 10000, /* those of so long wake the shard once, and not each of them */
	SR_SIZE = 28,
	BLOCK_SIZE = 24,
	CHUNK_SIZE_MAX = 4 + 2 + PL_CNAME_SIZE + 4,
};

/* So nothing ever has to be split over two packets. */
_Static_assert(PL_SLOTS_MAX *(SR_SIZE + CHUNK_SIZE_MAX) + PL_TRACKS_MAX * BLOCK_SIZE + 8 + 4 <= PL_REPORT_SIZE_MAX,
	"a report of all slots and tracks fits into one compound packet");

static int64_t spread_us(struct pl_rng *rng, uint32_t ms_min, uint32_t ms_spread)
{
	return (int64_t)ms_min * 1000 + pl_rng_below(rng, ms_spread * 1000);
}

static int64_t on_grid(int64_t at_us)
{
	return (at_us + GRID_US - 1) / GRID_US * GRID_US;
}

void pl_report_start(struct pl_participant *p, int64_t now_us, struct pl_rng *rng)
{
	p->report_us = on_grid(now_us + spread_us(rng, FIRST_MS_MIN, FIRST_MS_SPREAD));
}

void pl_report_schedule(struct pl_participant *p, int64_t now_us, struct pl_rng *rng)
{
	p->report_us = p->is_active ? on_grid(now_us + spread_us(rng, NEXT_MS_MIN, NEXT_MS_SPREAD)) : INT64_MAX;
	p->is_active = false;
}

/* 32.32 fixed point seconds, RFC 3550 section 4. */
static uint64_t ntp_time(int64_t us)
{
	const uint64_t t = (uint64_t)us;
	return (t / 1000000) << 32 | ((t % 1000000) << 32) / 1000000;
}

static size_t make_blocks(struct pl_participant *p, int64_t now_us, struct pl_rtcp_block block[static PL_TRACKS_MAX])
{
	size_t count = 0;
	for (size_t i = 0; i < PL_TRACKS_MAX; i++) {
		struct pl_track *track = &p->track[i];
		if (track->spec.track != 0 && track->is_latched &&
			pl_reception_report(&track->reception, now_us, &block[count]))
			count++;
	}
	return count;
}

static bool write_sr(struct pl_span *out, const struct pl_slot *slot, int64_t now_us, int64_t ntp_offset_us,
	const struct pl_rtcp_block *block, size_t block_count)
{
	const struct pl_rtcp_sender sender = {
		.ssrc = slot->spec.ssrc,
		.ntp = ntp_time(now_us + ntp_offset_us),
		.ts = pl_rewrite_ts_at(&slot->rewrite, now_us),
		.packets = slot->packets,
		.octets = slot->octets,
	};
	return pl_rtcp_write_sr(out, &sender, block, block_count);
}

size_t pl_report_write(
	struct pl_participant *p, int64_t now_us, int64_t ntp_offset_us, uint8_t packet[static PL_REPORT_SIZE_MAX])
{
	struct pl_rtcp_block block[PL_TRACKS_MAX];
	size_t block_count = make_blocks(p, now_us, block);
	const bool has_blocks = block_count > 0;
	struct pl_span out = { packet, PL_REPORT_SIZE_MAX };
	uint32_t ssrc[PL_SLOTS_MAX];
	size_t ssrc_count = 0;
	bool fits = true;

	for (uint8_t i = 0; i < p->slots.count; i++) {
		if (p->slot[i].packets == 0)
			continue;
		fits = fits && write_sr(&out, &p->slot[i], now_us, ntp_offset_us, block, block_count);
		block_count = 0; /* they ride in the first */
		ssrc[ssrc_count++] = p->slot[i].spec.ssrc;
	}
	if (ssrc_count == 0) {
		if (!has_blocks)
			return 0;
		/* A receiver report needs a sender too: without a slot, the publisher's own source id stands for us. */
		ssrc[ssrc_count++] = p->slots.count > 0 ? p->slot[0].spec.ssrc : p->source;
		fits = pl_rtcp_write_rr(&out, ssrc[0], block, block_count);
	}
	const struct pl_bytes cname = { (const uint8_t *)p->cname, strlen(p->cname) };
	fits = fits && pl_rtcp_write_sdes(&out, ssrc, ssrc_count, cname);
	PL_ASSERT(fits);
	return PL_REPORT_SIZE_MAX - out.size;
}

static uint32_t count_nacks(struct pl_bytes items)
{
	uint32_t count = 0;
	uint16_t pid, blp;
	while (pl_rtcp_nack_next(&items, &pid, &blp)) {
		count++;
		for (; blp != 0; blp = (uint16_t)(blp & (blp - 1)))
			count++;
	}
	return count;
}

/* What the listener reports of a mix: forwarded talkers have bitrates of their own. */
static void note_loss(struct pl_participant *p, int64_t now_us, const struct pl_rtcp *rtcp, struct pl_report_read *read)
{
	const int slot = pl_slots_audio_first(&p->slots);
	for (uint8_t i = 0; slot >= 0 && p->slots.mix != 0 && i < rtcp->report.block_count; i++) {
		const struct pl_rtcp_block *block = &rtcp->report.block[i];
		if (block->ssrc == p->slot[slot].spec.ssrc)
			read->loss_changed |= pl_loss_note(&p->loss, now_us, block->fraction_lost);
	}
}

static void take(struct pl_participant *p, int64_t now_us, const struct pl_rtcp *rtcp, struct pl_speakers *speakers,
	struct pl_report_read *read)
{
	struct pl_track *track;
	switch (rtcp->kind) {
	case PL_RTCP_SR:
		track = pl_participant_track_by_ssrc(p, rtcp->ssrc);
		if (track != NULL)
			pl_reception_sr(&track->reception, now_us, rtcp->report.ntp);
		note_loss(p, now_us, rtcp, read);
		break;
	case PL_RTCP_RR:
		note_loss(p, now_us, rtcp, read);
		break;
	case PL_RTCP_BYE:
		for (uint8_t i = 0; i < rtcp->bye.source_count; i++) {
			track = pl_participant_track_by_ssrc(p, rtcp->bye.source[i]);
			if (track == NULL)
				continue;
			pl_track_end(track, speakers);
			read->has_ended = true;
		}
		break;
	case PL_RTCP_NACK:
		read->nacks += count_nacks(rtcp->nack.items);
		break;
	case PL_RTCP_SDES:
	case PL_RTCP_OTHER:
		break;
	}
}

enum pl_drop pl_report_read(struct pl_participant *p, int64_t now_us, struct pl_bytes packet,
	struct pl_speakers *speakers, struct pl_report_read *read)
{
	*read = (struct pl_report_read){ 0 };
	while (packet.size > 0) {
		struct pl_rtcp rtcp;
		const enum pl_drop drop = pl_rtcp_parse(&packet, &rtcp);
		if (drop != PL_DROP_NONE)
			return drop;
		take(p, now_us, &rtcp, speakers, read);
	}
	return PL_DROP_NONE;
}
