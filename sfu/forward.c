#include "sfu/forward.h"

void pl_forward_init(struct pl_forward *f, struct pl_pool *pool)
{
	*f = (struct pl_forward){ .pool = pool };
}

void pl_forward_add(struct pl_forward *f, struct pl_room *room, struct pl_packet *packet)
{
	PL_ASSERT(f->room == NULL && !pl_forward_is_full(f) && packet->payload.size <= PL_FORWARD_PAYLOAD_SIZE_MAX);
	packet->next = NULL;
	if (room->batch == NULL)
		room->batch = packet;
	else
		room->batch_last->next = packet;
	room->batch_last = packet;
	f->count++;
	pl_queue_push(&f->rooms, &room->forwarding, room);
}

void pl_forward_drop(struct pl_forward *f, struct pl_room *room)
{
	while (room->batch != NULL) {
		struct pl_packet *packet = room->batch;
		room->batch = packet->next;
		pl_pool_release(f->pool, packet);
		f->count--;
	}
	pl_queue_remove(&f->rooms, &room->forwarding);
}

static enum pl_forward_step forward_to(const struct pl_packet *packet, struct pl_participant *p, struct pl_slot *slot,
	int64_t now_us, struct pl_span out, size_t *size)
{
	struct pl_rtp rtp;
	rtp.ssrc = packet->ssrc;
	rtp.seq = packet->seq;
	rtp.ts = packet->ts;
	rtp.marker = packet->marker;
	if (pl_rewrite_forward(&slot->rewrite, now_us, &rtp) != PL_DROP_NONE)
		return PL_FORWARD_BEFORE_SWITCH;

	const struct pl_rtp_stamp stamp = {
		.seq = rtp.seq,
		.ts = rtp.ts,
		.csrc = packet->source,
		.marker = rtp.marker,
		.has_level = packet->has_level,
		.is_voice = packet->is_voice,
		.level = packet->level,
	};
	uint8_t header[PL_RTP_TEMPLATE_SIZE_MAX];
	pl_rtp_template_write(&slot->header, &stamp, header);
	*size = pl_transport_protect_rtp(
		&p->transport, (struct pl_bytes){ header, slot->header.size }, packet->payload, out);
	if (*size == 0)
		return PL_FORWARD_DONE;
	slot->packets++;
	slot->octets += (uint32_t)packet->payload.size;
	p->is_active = true;
	return PL_FORWARD_SENT;
}

/* Before a receiver is connected its numbering must not run: it would begin with a gap. */
static bool can_receive(const struct pl_participant *p)
{
	return p->slots.count > 0 && p->transport.state == PL_TRANSPORT_CONNECTED &&
	       pl_transport_path(&p->transport) != NULL;
}

/* The next member that can receive, from p on. */
static void go_to_member(struct pl_forward *f, struct pl_participant *p)
{
	while (p != NULL && !can_receive(p))
		p = p->room_next;
	f->member = p;
	f->packet = p != NULL ? f->room->batch : NULL;
}

static bool begin_room(struct pl_forward *f)
{
	f->room = pl_queue_first(&f->rooms);
	if (f->room == NULL)
		return false;
	go_to_member(f, f->room->first);
	return true;
}

enum pl_forward_step pl_forward_next(
	struct pl_forward *f, int64_t now_us, struct pl_span out, struct pl_participant **to, size_t *size)
{
	for (;;) {
		if (f->room == NULL && !begin_room(f))
			return PL_FORWARD_DONE;
		while (f->member != NULL) {
			struct pl_participant *p = f->member;
			while (f->packet != NULL) {
				const struct pl_packet *packet = f->packet;
				f->packet = packet->next;
				const int slot = pl_slots_find(&p->slots, packet->track);
				if (slot < 0)
					continue;
				*to = p;
				const enum pl_forward_step step =
					forward_to(packet, p, &p->slot[slot], now_us, out, size);
				if (step != PL_FORWARD_DONE)
					return step;
			}
			go_to_member(f, p->room_next);
		}
		pl_forward_drop(f, f->room);
		f->room = NULL;
	}
}
