#include "sfu/forward.h"

#include "media/trace.h"

void pl_forward_init(struct pl_forward *f, struct pl_pool *pool, uint64_t *drop)
{
	*f = (struct pl_forward){ .pool = pool, .drop = drop };
}

static void append(struct pl_forward *f, struct pl_room *room, struct pl_packet *packet, bool is_borrowed)
{
	const size_t more =
		PL_MIX_IS_TRACK(packet->track) ? PL_RTP_TEMPLATE_LIST_SIZE_MAX - PL_RTP_TEMPLATE_SIZE_MAX : 0;
	PL_ASSERT(f->room == NULL && !pl_forward_is_full(f));
	PL_ASSERT(packet->payload.size + more <= PL_FORWARD_PAYLOAD_SIZE_MAX);
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

static bool is_on_air(const struct pl_speakers *speakers, uint32_t track)
{
	for (uint8_t i = 0; i < speakers->count; i++) {
		if (speakers->on_air[i]->track == track)
			return true;
	}
	return false;
}

static void give_back(struct pl_forward *f, struct pl_room *room)
{
	for (uint8_t at = room->batch; at != 0; at = f->entry[at - 1].next) {
		const struct pl_forward_entry *entry = &f->entry[at - 1];
		const uint32_t track = entry->packet->track;
		if (!entry->is_met)
			pl_drop_count(f->drop, PL_MIX_IS_TRACK(track) || is_on_air(&room->speakers, track)
						       ? PL_DROP_RTP_UNHEARD
						       : PL_DROP_RTP_REPLACED);
		if (!entry->is_borrowed)
			pl_pool_release(f->pool, entry->packet);
	}
	room->batch = 0;
	if (pl_queue_first(&f->rooms) == NULL && pl_queue_first(&f->ended) == NULL)
		f->count = 0;
}

void pl_forward_drop(struct pl_forward *f, struct pl_room *room)
{
	PL_ASSERT(f->room == NULL && pl_queue_first(&f->ended) == NULL);
	pl_queue_remove(&f->rooms, &room->forwarding);
	give_back(f, room);
}

static void end_room(struct pl_forward *f)
{
	pl_queue_remove(&f->rooms, &f->room->forwarding);
	pl_queue_push(&f->ended, &f->room->forwarding, f->room);
	f->room = NULL;
}

static void give_ended_back(struct pl_forward *f)
{
	for (struct pl_room *room; (room = pl_queue_first(&f->ended)) != NULL;) {
		pl_queue_remove(&f->ended, &room->forwarding);
		give_back(f, room);
	}
}

/* A packet that is to be encrypted for one member: a cache line. */
struct job {
	struct pl_participant *to;
	struct pl_slot *slot;
	uint8_t header[PL_RTP_TEMPLATE_SIZE_MAX];
};

/* The longer header of a mix, in the same place of another array: other packets never touch it. */
struct mix_header {
	uint8_t bytes[PL_RTP_TEMPLATE_LIST_SIZE_MAX];
};

/* A packet of a mix.  0: the listener is new, and waits for one that it can begin with.  Else the header's size. */
static size_t write_mix_header(
	const struct pl_packet *packet, struct pl_slot *slot, int64_t now_us, struct mix_header *header)
{
	if (slot->start_wait > 0 && !packet->mix.is_start) {
		slot->start_wait--;
		return 0;
	}
	slot->start_wait = 0;
	struct pl_rtp rtp = { .ssrc = packet->ssrc, .ts = packet->ts, .marker = packet->marker };
	pl_rewrite_follow(&slot->rewrite, now_us, &rtp);
	const struct pl_rtp_stamp stamp = {
		.seq = rtp.seq,
		.ts = rtp.ts,
		.marker = rtp.marker,
		.has_level = packet->has_level,
		.is_voice = packet->is_voice,
		.level = packet->level,
	};
	return pl_rtp_template_write_list(
		&slot->header, &stamp, packet->mix.csrc, packet->mix.csrc_count, header->bytes);
}

/* 0: the member does not get it, it is older than the talker's first.  Else the header's size. */
static size_t write_header(const struct pl_packet *packet, struct pl_slot *slot, int64_t now_us, struct job *job)
{
	struct pl_rtp rtp;
	rtp.ssrc = packet->ssrc;
	rtp.seq = packet->seq;
	rtp.ts = packet->ts;
	rtp.marker = packet->marker;
	if (pl_rewrite_forward(&slot->rewrite, now_us, &rtp) != PL_DROP_NONE)
		return 0;
	const struct pl_rtp_stamp stamp = {
		.seq = rtp.seq,
		.ts = rtp.ts,
		.csrc = packet->source,
		.marker = rtp.marker,
		.has_level = packet->has_level,
		.is_voice = packet->is_voice,
		.level = packet->level,
	};
	pl_rtp_template_write(&slot->header, &stamp, job->header);
	return slot->header.size;
}

/* Before a receiver is connected its numbering must not run: it would begin with a gap. */
static bool can_receive(const struct pl_participant *p)
{
	return p->slots.count > 0 && p->transport.state == PL_TRANSPORT_CONNECTED &&
	       pl_transport_path(&p->transport) != NULL;
}

/* A member's memory is far when its turn comes: thousands of others, and the kernel's work for them, were in the cache since.
 * So it is asked for while the members before it are served: what is in the participant two ahead, what that
 * points to one ahead. */
static void prefetch_ahead(const struct pl_participant *p)
{
	const struct pl_participant *next = p->room_next;
	if (next == NULL)
		return;
	pl_transport_prefetch_srtp(&next->transport, next->slots.count);
	if (next->room_next != NULL)
		pl_participant_prefetch(next->room_next);
}

/* Most listeners of a room have a talker in the same slot. */
static void prefetch_slot(const struct pl_participant *p, int slot)
{
	if (p->room_next != NULL)
		pl_prefetch(
			&p->room_next->slot[slot].rewrite, sizeof(struct pl_slot) - offsetof(struct pl_slot, rewrite));
}

/* The next member that can receive, from p on. */
static void go_to_member(struct pl_forward *f, struct pl_participant *p)
{
	while (p != NULL && !can_receive(p))
		p = p->room_next;
	if (p != NULL)
		prefetch_ahead(p);
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

static bool is_for(const struct pl_packet *packet, const struct pl_participant *p)
{
	return !PL_MIX_IS_TRACK(packet->track) || pl_mix_is_for(&packet->mix, p->source);
}

/* The next packet of a member, and its slot there; NULL when all batches are empty. */
static const struct pl_packet *next_packet(struct pl_forward *f, struct pl_participant **to, struct pl_slot **slot)
{
	for (;;) {
		if (f->room == NULL && !begin_room(f))
			return NULL;
		while (f->member != NULL) {
			struct pl_participant *p = f->member;
			while (f->at != 0) {
				struct pl_forward_entry *entry = &f->entry[f->at - 1];
				const int found = pl_slots_find(&p->slots, entry->packet->track);
				f->at = entry->next;
				if (found < 0 || !is_for(entry->packet, p))
					continue;
				entry->is_met = true;
				*to = p;
				*slot = &p->slot[found];
				prefetch_slot(p, found);
				return entry->packet;
			}
			go_to_member(f, p->room_next);
		}
		end_room(f);
	}
}

static void send_jobs(struct pl_forward *f, const struct job *job, const struct pl_srtp_job *srtp, size_t count,
	struct pl_egress *egress, struct pl_forward_step *step)
{
	for (size_t i = 0; i < count; i++) {
		struct pl_participant *to = job[i].to;
		if (srtp[i].size == 0) {
			pl_drop_count(f->drop, PL_DROP_SRTP_SPENT);
			continue;
		}
		pl_egress_commit(
			egress, pl_transport_path(&to->transport), (struct pl_span){ srtp[i].out.data, srtp[i].size });
		PL_TRACE(packet_out, to->source, srtp[i].size, srtp[i].out.data);
		job[i].slot->packets++;
		job[i].slot->octets += (uint32_t)srtp[i].payload.size;
		to->is_active = true;
		step->to[step->sent++] = to;
		step->bytes += srtp[i].size;
	}
}

bool pl_forward_next(struct pl_forward *f, int64_t now_us, struct pl_egress *egress, struct pl_forward_step *step)
{
	struct job job[PL_FORWARD_JOBS_MAX];
	struct mix_header mix_header[PL_FORWARD_JOBS_MAX];
	struct pl_srtp_job srtp[PL_FORWARD_JOBS_MAX];
	uint32_t count = 0;
	bool has_skipped = false;
	*step = (struct pl_forward_step){ .sent = 0 };
	while (count < PL_FORWARD_JOBS_MAX && !pl_egress_is_full_with(egress, count)) {
		struct pl_slot *slot;
		const struct pl_packet *packet = next_packet(f, &job[count].to, &slot);
		if (packet == NULL)
			break;
		const bool is_mix = PL_MIX_IS_TRACK(packet->track);
		const size_t header_size = is_mix ? write_mix_header(packet, slot, now_us, &mix_header[count])
						  : write_header(packet, slot, now_us, &job[count]);
		if (header_size == 0) {
			pl_drop_count(f->drop, is_mix ? PL_DROP_MIX_START : PL_DROP_BEFORE_SWITCH);
			has_skipped = true;
			continue;
		}
		struct pl_srtp *session = pl_transport_srtp(&job[count].to->transport);
		const size_t size = header_size + packet->payload.size + pl_srtp_rtp_overhead(session);
		job[count].slot = slot;
		srtp[count] = (struct pl_srtp_job){
			.srtp = session,
			.header = { is_mix ? mix_header[count].bytes : job[count].header, header_size },
			.payload = packet->payload,
			.out = pl_egress_reserve(egress, size, count),
		};
		count++;
	}
	pl_srtp_protect_rtp_batch(srtp, count);
	send_jobs(f, job, srtp, count, egress, step);
	give_ended_back(f);
	return count > 0 || has_skipped;
}
