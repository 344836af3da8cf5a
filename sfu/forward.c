#include "sfu/forward.h"

#include <string.h>

void pl_forward_start(struct pl_forward *f, const struct pl_room *room, const struct pl_track *track,
	const struct pl_rtp *rtp, const struct pl_rtp_ext *ext)
{
	PL_ASSERT(f->next == NULL && rtp->payload.size <= PL_FORWARD_PAYLOAD_SIZE_MAX);
	*f = (struct pl_forward){
		.next = room->first,
		.rtp = *rtp,
		.ext = *ext,
		.source = track->speaker.source,
		.track = track->spec.track,
	};
}

static size_t write_header(const struct pl_forward *f, const struct pl_participant *p, const struct pl_slot *slot,
	struct pl_rtp *rtp, struct pl_span out)
{
	rtp->payload_type = slot->spec.payload_type;
	rtp->csrc_count = 1;
	rtp->csrc[0] = f->source;
	const struct pl_rtp_ext ext = {
		.has = { [PL_RTP_EXT_MID] = true, [PL_RTP_EXT_AUDIO_LEVEL] = f->ext.has[PL_RTP_EXT_AUDIO_LEVEL] },
		.mid = { (const uint8_t *)slot->spec.mid, strlen(slot->spec.mid) },
		.audio_level = f->ext.audio_level,
		.is_voice = f->ext.is_voice,
	};
	return pl_rtp_write(rtp, &ext, &p->ext_ids, out);
}

static enum pl_forward_step forward_to(const struct pl_forward *f, struct pl_participant *p, struct pl_slot *slot,
	int64_t now_us, struct pl_span room, size_t *size)
{
	struct pl_rtp rtp = f->rtp;
	if (pl_rewrite_forward(&slot->rewrite, now_us, &rtp) != PL_DROP_NONE)
		return PL_FORWARD_BEFORE_SWITCH;

	uint8_t header[PL_FORWARD_HEADER_SIZE_MAX];
	const size_t header_size = write_header(f, p, slot, &rtp, (struct pl_span){ header, sizeof header });
	PL_ASSERT(header_size > 0);
	*size = pl_transport_protect_rtp(&p->transport, (struct pl_bytes){ header, header_size }, f->rtp.payload, room);
	if (*size == 0)
		return PL_FORWARD_DONE;
	slot->packets++;
	slot->octets += (uint32_t)f->rtp.payload.size;
	p->is_active = true;
	return PL_FORWARD_SENT;
}

enum pl_forward_step pl_forward_next(
	struct pl_forward *f, int64_t now_us, struct pl_span room, struct pl_participant **to, size_t *size)
{
	while (f->next != NULL) {
		struct pl_participant *p = f->next;
		f->next = p->room_next;
		const int slot = pl_slots_find(&p->slots, f->track);
		/* Before a receiver is connected its numbering must not run: it would begin with a gap. */
		if (slot < 0 || p->transport.state != PL_TRANSPORT_CONNECTED ||
			pl_transport_path(&p->transport) == NULL)
			continue;
		const enum pl_forward_step step = forward_to(f, p, &p->slot[slot], now_us, room, size);
		*to = p;
		if (step != PL_FORWARD_DONE)
			return step;
	}
	return PL_FORWARD_DONE;
}
