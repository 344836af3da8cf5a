#include "sfu/forward.h"

void pl_forward_init(struct pl_forward *f, struct pl_pool *pool)
{
	*f = (struct pl_forward){ .pool = pool };
}

static void append(struct pl_forward *f, struct pl_room *room, struct pl_packet *packet, bool is_borrowed)
{
	PL_ASSERT(f->room == NULL && !pl_forward_is_full(f) && packet->payload.size <= PL_FORWARD_PAYLOAD_SIZE_MAX);
	f->entry[f->count++] = (struct pl_forward_entry){ .packet = packet, .is_borrowed = is_borrowed };
	const uint8_t index = (uint8_t)f->count;
	if (room->batch == 0)
		room->batch = index;
	else
		f->entry[room->batch_last - 1].next = index;
	room->batch_last = index;
	pl_queue_push(&f->rooms, &room->forwarding, room);
}

void pl_forward_add(struct pl_forward *f, struct pl_room *room, struct pl_packet *packet)
{
	append(f, room, packet, false);
}

void pl_forward_borrow(struct pl_forward *f, struct pl_room *room, const struct pl_packet *packet)
{
	append(f, room, (struct pl_packet *)packet, true);
}

void pl_forward_drop(struct pl_forward *f, struct pl_room *room)
{
	for (uint8_t at = room->batch; at != 0; at = f->entry[at - 1].next) {
		if (!f->entry[at - 1].is_borrowed)
			pl_pool_release(f->pool, f->entry[at - 1].packet);
	}
	room->batch = 0;
	pl_queue_remove(&f->rooms, &room->forwarding);
	if (pl_queue_first(&f->rooms) == NULL)
		f->count = 0;
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
	f->at = p != NULL ? f->room->batch : 0;
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
			while (f->at != 0) {
				const struct pl_packet *packet = f->entry[f->at - 1].packet;
				f->at = f->entry[f->at - 1].next;
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
