#include "tests/sim/conference_sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/conference_sim_state.h"

enum { MS = 1000 };

static const struct pl_rtp_ext_ids ext_ids = { .id = { [PL_RTP_EXT_MID] = 4, [PL_RTP_EXT_AUDIO_LEVEL] = 1 } };

void *pl_sim_allocate(size_t size)
{
	void *memory = calloc(1, size);
	if (memory == NULL)
		abort();
	return memory;
}

int pl_sim_setup(void **state)
{
	(void)state;
	return pl_srtp_init() == PL_ERR_NONE ? 0 : -1;
}

int pl_sim_teardown(void **state)
{
	(void)state;
	pl_srtp_fini();
	return 0;
}

struct pl_sim *pl_sim_create(const struct pl_sim_config *config)
{
	struct pl_sim *sim = pl_sim_allocate(sizeof *sim);
	sim->config = *config;
	sim->with_events = true;
	sim->now_us = 0;
	sim->next_port = 10000;
	pl_rng_init(&sim->rng, config->seed);
	sim->network = pl_network_create(config->seed, 4096);
	sim->inbox = pl_network_create(config->seed, 4096);
	if (pl_dtls_identity_create(&sim->server_identity) != PL_ERR_NONE ||
		pl_dtls_identity_create(&sim->peer_identity) != PL_ERR_NONE ||
		pl_srtp_engine_create(&sim->server_srtp, PL_SRTP_AUTO) != PL_ERR_NONE ||
		pl_srtp_engine_create(&sim->peer_srtp, PL_SRTP_LIBSRTP2) != PL_ERR_NONE)
		abort();
	pl_sim_server_create(sim);
	return sim;
}

static void end_peer(struct pl_sim_peer *p)
{
	if (p->is_here)
		pl_peer_fini(&p->peer);
	p->is_here = false;
}

static void forget_packets(struct pl_sim_peer *p)
{
	for (size_t i = 0; i < PL_SLOTS_MAX; i++) {
		free(p->slot[i].packet);
		p->slot[i] = (struct pl_sim_slot){ 0 };
	}
}

void pl_sim_destroy(struct pl_sim **sim)
{
	struct pl_sim *s = *sim;
	*sim = NULL;
	if (s == NULL)
		return;
	pl_sim_server_destroy(s);
	for (size_t i = 0; i < s->peer_count; i++) {
		end_peer(s->peer[i]);
		forget_packets(s->peer[i]);
		pl_sim_encoder_destroy(s->peer[i]->encoder);
		free(s->peer[i]);
	}
	pl_network_destroy(&s->network);
	pl_network_destroy(&s->inbox);
	pl_dtls_identity_destroy(&s->server_identity);
	pl_dtls_identity_destroy(&s->peer_identity);
	pl_srtp_engine_destroy(&s->server_srtp);
	pl_srtp_engine_destroy(&s->peer_srtp);
	free(s);
}

int64_t pl_sim_now_ms(const struct pl_sim *sim)
{
	return sim->now_us / MS;
}

/* ---- what the server says ---- */

struct pl_sim_peer *pl_sim_peer_by_source(const struct pl_sim *sim, uint32_t source)
{
	for (size_t i = 0; i < sim->peer_count; i++) {
		if (sim->peer[i]->source == source)
			return sim->peer[i];
	}
	return NULL;
}

struct pl_sim_peer *pl_sim_peer_by_addr(const struct pl_sim *sim, const struct pl_addr *addr)
{
	for (size_t i = 0; i < sim->peer_count; i++) {
		if (sim->peer[i]->is_here && pl_addr_equal(&sim->peer[i]->peer.path.local, addr))
			return sim->peer[i];
	}
	return NULL;
}

void pl_sim_take_event(struct pl_sim *sim, const struct pl_event *event)
{
	PL_ASSERT(sim->event_count < PL_SIM_EVENTS_MAX);
	sim->event[sim->event_count++] = (struct pl_sim_event){ sim->now_us, *event };
	struct pl_sim_peer *p = pl_sim_peer_by_source(sim, event->source);
	if (event->kind == PL_EVENT_SPEAKERS)
		return;
	PL_ASSERT(p != NULL);
	p->connected_events += event->kind == PL_EVENT_CONNECTED;
	p->refused_events += event->kind == PL_EVENT_REFUSED;
	if (event->kind == PL_EVENT_GONE) {
		p->gone_events++;
		p->close = event->close;
	}
	if (event->kind == PL_EVENT_SLOTS)
		p->slots_event = *event;
}

/* ---- what a peer hears ---- */

static void take_rtp(struct pl_sim_peer *p, struct pl_bytes bytes)
{
	struct pl_rtp rtp;
	struct pl_rtp_ext ext;
	if (pl_rtp_parse(bytes, &rtp) != PL_DROP_NONE)
		abort();
	pl_rtp_parse_ext(&rtp, &ext_ids, &ext);
	uint8_t i = 0;
	while (i < p->description.slot_count && p->description.slot[i].ssrc != rtp.ssrc)
		i++;
	if (i == p->description.slot_count || rtp.payload.size > sizeof p->slot[i].packet[0].payload ||
		!ext.has[PL_RTP_EXT_MID] || ext.mid.size != strlen(p->description.slot[i].mid) ||
		memcmp(ext.mid.data, p->description.slot[i].mid, ext.mid.size) != 0) {
		p->foreign_packets++;
		return;
	}
	struct pl_sim_slot *slot = &p->slot[i];
	if (slot->count == slot->room) {
		slot->room = slot->room * 2 + 64;
		slot->packet = realloc(slot->packet, slot->room * sizeof slot->packet[0]);
		if (slot->packet == NULL)
			abort();
	}
	struct pl_sim_packet *packet = &slot->packet[slot->count++];
	*packet = (struct pl_sim_packet){
		.at_us = p->sim->now_us,
		.ts = rtp.ts,
		.csrc = rtp.csrc_count > 0 ? rtp.csrc[0] : 0,
		.seq = rtp.seq,
		.size = (uint16_t)rtp.payload.size,
		.csrc_count = rtp.csrc_count,
		.payload_type = rtp.payload_type,
		.has_level = ext.has[PL_RTP_EXT_AUDIO_LEVEL],
		.is_voice = ext.is_voice,
		.level = ext.audio_level,
		.marker = rtp.marker,
	};
	memcpy(packet->csrcs, rtp.csrc, rtp.csrc_count * sizeof rtp.csrc[0]);
	memcpy(packet->payload, rtp.payload.data, rtp.payload.size);
}

static void take_report(struct pl_sim_peer *p, const struct pl_rtcp *rtcp)
{
	for (uint8_t i = 0; i < rtcp->report.block_count; i++) {
		if (rtcp->report.block[i].ssrc != p->ssrc)
			continue;
		p->block = rtcp->report.block[i];
		p->blocks++;
	}
	for (uint8_t i = 0; i < p->description.slot_count && rtcp->kind == PL_RTCP_SR; i++) {
		if (p->description.slot[i].ssrc != rtcp->ssrc)
			continue;
		p->sender_reports++;
		p->sender[i] = (struct pl_rtcp_sender){ rtcp->ssrc, rtcp->report.ntp, rtcp->report.ts,
			rtcp->report.packets, rtcp->report.octets };
		p->sender_us[i] = p->sim->now_us;
	}
}

static void take_rtcp(struct pl_sim_peer *p, struct pl_bytes bytes)
{
	p->reports++;
	p->blocks = 0;
	while (bytes.size > 0) {
		struct pl_rtcp rtcp;
		if (pl_rtcp_parse(&bytes, &rtcp) != PL_DROP_NONE)
			abort();
		if (rtcp.kind == PL_RTCP_SR || rtcp.kind == PL_RTCP_RR)
			take_report(p, &rtcp);
		if (rtcp.kind == PL_RTCP_SDES)
			p->has_cname = rtcp.sdes.cname.size == strlen(p->description.cname) &&
				       memcmp(rtcp.sdes.cname.data, p->description.cname, rtcp.sdes.cname.size) == 0;
	}
	if (p->blocks > p->blocks_max)
		p->blocks_max = p->blocks;
}

static void drain_peer(struct pl_sim_peer *p)
{
	for (struct pl_peer_output out; pl_peer_next(&p->peer, &out);) {
		if (out.kind == PL_PEER_SEND)
			pl_network_send(p->sim->network, p->sim->now_us, &p->link, &out.path, out.bytes);
		else if (out.kind == PL_PEER_RTP)
			take_rtp(p, out.bytes);
		else if (out.kind == PL_PEER_RTCP)
			take_rtcp(p, out.bytes);
	}
}

/* ---- what a peer says ---- */

static void send_frame(struct pl_sim_peer *p)
{
	uint8_t payload[PL_SIM_PAYLOAD_SIZE_MAX], level;
	const size_t size = pl_sim_encode(p, payload, &level);
	const struct pl_rtp rtp = {
		.ssrc = p->ssrc,
		.ts = p->ts,
		.seq = p->seq,
		.payload_type = p->description.track[0].payload_type,
		.payload = { payload, size },
	};
	const char *mid = p->description.track[0].mid;
	const struct pl_rtp_ext ext = {
		.has = { [PL_RTP_EXT_MID] = !p->sim->config.without_mids,
			[PL_RTP_EXT_AUDIO_LEVEL] = !p->sim->config.without_levels },
		.mid = { (const uint8_t *)mid, strlen(mid) },
		.audio_level = level,
		.is_voice = level < 127,
	};
	p->ts += p->description.track[0].clock_hz / 1000 * PL_SIM_FRAME_MS * p->frames;
	if (p->peer.state != PL_PEER_CONNECTED)
		return;
	p->seq++;
	p->packets_sent++;
	if (!pl_peer_send_rtp(&p->peer, &rtp, &ext))
		abort();
	drain_peer(p);
}

void pl_sim_send_rtp(struct pl_sim_peer *p, const struct pl_rtp *rtp, const struct pl_rtp_ext *ext)
{
	if (!pl_peer_send_rtp(&p->peer, rtp, ext))
		abort();
	drain_peer(p);
}

void pl_sim_send_rtcp(struct pl_sim_peer *p, struct pl_bytes packet)
{
	if (!pl_peer_send_rtcp(&p->peer, packet))
		abort();
	drain_peer(p);
}

void pl_sim_inject(struct pl_sim *sim, const struct pl_addr *from, struct pl_bytes datagram)
{
	const struct pl_path path = { .remote = *from, .local = pl_sim_server_addr(0) };
	pl_sim_server_drain(sim);
	pl_sim_server_feed(sim, &path, datagram);
	pl_sim_server_drain(sim);
}

/* ---- joining and leaving ---- */

static void make_credentials(struct pl_sim *sim, struct pl_ice_credentials *credentials)
{
	snprintf(credentials->ufrag, sizeof credentials->ufrag, "%08x", (unsigned)pl_rng_next(&sim->rng) & 0xffffffffu);
	snprintf(credentials->pwd, sizeof credentials->pwd, "%012llx%012llx",
		(unsigned long long)pl_rng_next(&sim->rng) & 0xffffffffffff,
		(unsigned long long)pl_rng_next(&sim->rng) & 0xffffffffffff);
}

static uint32_t make_ssrc(struct pl_sim *sim)
{
	return (uint32_t)pl_rng_next(&sim->rng) | 1;
}

static uint8_t payload_type_of(enum pl_coding coding)
{
	return coding == PL_CODING_PCMU ? PL_SIM_PCMU : coding == PL_CODING_PCMA ? PL_SIM_PCMA : PL_SIM_PAYLOAD_TYPE;
}

static uint32_t clock_hz_of(enum pl_coding coding)
{
	return coding == PL_CODING_OPUS ? PL_SIM_CLOCK_HZ : 8000;
}

static struct pl_slot_spec make_slot(struct pl_sim *sim, uint8_t number, enum pl_coding coding)
{
	struct pl_slot_spec spec = { .ssrc = make_ssrc(sim),
		.clock_hz = clock_hz_of(coding),
		.payload_type = payload_type_of(coding),
		.kind = PL_KIND_AUDIO,
		.coding = coding };
	snprintf(spec.mid, sizeof spec.mid, "s%u", (unsigned)number % 100);
	return spec;
}

static struct pl_path next_path(struct pl_sim *sim, uint8_t shard)
{
	return (struct pl_path){ .remote = pl_sim_server_addr(shard),
		.local = pl_addr_ipv4(0xc6336401, sim->next_port++) };
}

/* The offer and the answer to it, and a peer that begins its checks. */
static void connect_peer(struct pl_sim_peer *p, uint8_t slots, bool is_muted, bool hides_ssrc)
{
	struct pl_sim *sim = p->sim;
	struct pl_ice_credentials local;
	make_credentials(sim, &local);
	p->ssrc = make_ssrc(sim);
	p->description = (struct pl_description){
		.dtls_role = PL_DTLS_PASSIVE,
		.fingerprint = *pl_dtls_identity_fingerprint(sim->peer_identity),
		.ext_ids = ext_ids,
		.audio_mode = p->mode,
		.mix_wish = p->wish,
		.track_count = 1,
		.slot_count = slots,
	};
	make_credentials(sim, &p->description.local);
	snprintf(p->description.remote_ufrag, sizeof p->description.remote_ufrag, "%s", local.ufrag);
	snprintf(p->description.cname, sizeof p->description.cname, "cname%u", (unsigned)p->source);
	p->description.track[0] = (struct pl_track_spec){ .track = p->track,
		.mid = "m",
		.ssrc = hides_ssrc ? 0 : p->ssrc,
		.clock_hz = clock_hz_of(p->coding),
		.payload_type = payload_type_of(p->coding),
		.kind = PL_KIND_AUDIO,
		.coding = p->coding,
		.is_muted = is_muted };
	for (uint8_t i = 0; i < slots; i++)
		p->description.slot[i] = make_slot(sim, i, p->coding);

	const struct pl_peer_config config = {
		.identity = sim->peer_identity,
		.srtp = sim->peer_srtp,
		.dtls_role = PL_DTLS_ACTIVE,
		.server_fingerprint = *pl_dtls_identity_fingerprint(sim->server_identity),
		.server = p->description.local,
		.local = local,
		.path = next_path(sim, p->shard),
		.ext_ids = ext_ids,
	};
	pl_sim_server_command(sim, &(struct pl_command){ .kind = PL_COMMAND_JOIN,
					   .room = p->room,
					   .source = p->source,
					   .shard = p->shard,
					   .home = p->home,
					   .description = &p->description });
	pl_peer_init(&p->peer, sim->now_us, &config);
	p->is_here = true;
	drain_peer(p);
}

struct pl_sim_peer *pl_sim_join(struct pl_sim *sim, const struct pl_sim_join *join)
{
	PL_ASSERT(sim->peer_count < PL_SIM_PEERS_MAX);
	struct pl_sim_peer *p = pl_sim_allocate(sizeof *p);
	const uint32_t number = (uint32_t)sim->peer_count + 1;
	sim->peer[sim->peer_count++] = p;
	*p = (struct pl_sim_peer){
		.sim = sim,
		.link = { .delay_us = PL_SIM_LINK_DELAY_MS * MS },
		.room = join->room,
		.shard = join->shard,
		.home = join->home,
		.source = join->source != 0 ? join->source : 1000 + number,
		.track = 5000 + number,
		.hz = join->hz,
		.is_talking = join->is_talking,
		.mode = join->mode,
		.wish = join->wish,
		.coding = join->coding,
		.hears_mixes = join->mode != PL_AUDIO_FORWARD || join->coding != PL_CODING_OPUS,
		.amplitude = 0.25,
		.encoder = pl_sim_encoder_create(),
		.frames = 1,
		.frame_us = sim->now_us + pl_rng_below(&sim->rng, PL_SIM_FRAME_MS * MS),
		.seq = (uint16_t)pl_rng_next(&sim->rng),
		.ts = (uint32_t)pl_rng_next(&sim->rng),
	};
	connect_peer(p, join->slots, join->is_muted, join->hides_ssrc);
	return p;
}

void pl_sim_rejoin(struct pl_sim_peer *p)
{
	end_peer(p);
	forget_packets(p);
	connect_peer(p, p->description.slot_count, p->description.track[0].is_muted, p->description.track[0].ssrc == 0);
}

static void send_update(struct pl_sim_peer *p)
{
	pl_sim_server_command(p->sim, &(struct pl_command){ .kind = PL_COMMAND_UPDATE,
					      .source = p->source,
					      .shard = p->shard,
					      .description = &p->description });
}

void pl_sim_take_slots(struct pl_sim_peer *p, const struct pl_slot_spec *slot, uint8_t slots)
{
	memcpy(p->description.slot, slot, slots * sizeof slot[0]);
	p->description.slot_count = slots;
	send_update(p);
}

void pl_sim_set_slots(struct pl_sim_peer *p, uint8_t slots)
{
	for (uint8_t i = p->description.slot_count; i < slots; i++)
		p->description.slot[i] = make_slot(p->sim, i, p->coding);
	p->description.slot_count = slots;
	send_update(p);
}

void pl_sim_restart_ice(struct pl_sim_peer *p)
{
	struct pl_ice_credentials local;
	make_credentials(p->sim, &local);
	make_credentials(p->sim, &p->description.local);
	snprintf(p->description.remote_ufrag, sizeof p->description.remote_ufrag, "%s", local.ufrag);
	send_update(p);
	pl_peer_restart(&p->peer, p->sim->now_us, &p->description.local, &local);
	drain_peer(p);
}

void pl_sim_mute(struct pl_sim_peer *p, bool is_on)
{
	p->description.track[0].is_muted = is_on;
	pl_sim_server_command(p->sim, &(struct pl_command){ .kind = PL_COMMAND_MUTE,
					      .source = p->source,
					      .shard = p->shard,
					      .track = p->track,
					      .is_on = is_on });
}

void pl_sim_set_mode(struct pl_sim_peer *p, enum pl_audio_mode mode, enum pl_mix_group wish)
{
	p->mode = p->description.audio_mode = mode;
	p->wish = p->description.mix_wish = wish;
	p->hears_mixes |= mode != PL_AUDIO_FORWARD;
	pl_sim_server_command(p->sim, &(struct pl_command){ .kind = PL_COMMAND_MODE,
					      .source = p->source,
					      .shard = p->shard,
					      .audio_mode = mode,
					      .mix_wish = wish });
}

void pl_sim_leave(struct pl_sim_peer *p)
{
	pl_sim_server_command(
		p->sim, &(struct pl_command){ .kind = PL_COMMAND_LEAVE, .source = p->source, .shard = p->shard });
	end_peer(p);
}

void pl_sim_kill(struct pl_sim_peer *p)
{
	end_peer(p);
}

void pl_sim_close(struct pl_sim_peer *p)
{
	pl_peer_close(&p->peer, p->sim->now_us);
	drain_peer(p);
}

void pl_sim_move(struct pl_sim_peer *p)
{
	const struct pl_path path = next_path(p->sim, p->shard);
	pl_peer_move(&p->peer, p->sim->now_us, &path.local);
	drain_peer(p);
}

void pl_sim_talk(struct pl_sim_peer *p, bool is_on)
{
	p->is_talking = is_on;
}

/* ---- time ---- */

static int64_t min_i64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t next_us(const struct pl_sim *sim)
{
	int64_t at_us = min_i64(pl_network_deadline(sim->network), pl_sim_server_deadline(sim));
	for (size_t i = 0; i < sim->peer_count; i++) {
		const struct pl_sim_peer *p = sim->peer[i];
		if (p->is_here)
			at_us = min_i64(at_us, min_i64(p->frame_us, pl_peer_deadline(&p->peer)));
	}
	return at_us > sim->now_us ? at_us : sim->now_us;
}

static void deliver(struct pl_sim *sim)
{
	struct pl_path path;
	struct pl_bytes datagram;
	while (pl_network_receive(sim->network, sim->now_us, &path, &datagram)) {
		if (pl_sim_server_feed(sim, &path, datagram))
			continue;
		struct pl_sim_peer *p = pl_sim_peer_by_addr(sim, &path.local);
		if (p == NULL)
			continue;
		pl_peer_feed(&p->peer, sim->now_us, datagram);
		drain_peer(p);
	}
}

static void step(struct pl_sim *sim)
{
	deliver(sim);
	pl_sim_server_run(sim);
	for (size_t i = 0; i < sim->peer_count; i++) {
		struct pl_sim_peer *p = sim->peer[i];
		if (!p->is_here)
			continue;
		if (pl_peer_deadline(&p->peer) <= sim->now_us) {
			pl_peer_tick(&p->peer, sim->now_us);
			drain_peer(p);
		}
		if (p->frame_us <= sim->now_us) {
			p->frame_us += p->frames * PL_SIM_FRAME_MS * MS;
			send_frame(p);
		}
	}
}

void pl_sim_run(struct pl_sim *sim, int64_t ms)
{
	const int64_t end_us = sim->now_us + ms * MS;
	for (int64_t at_us; (at_us = next_us(sim)) <= end_us;) {
		sim->now_us = at_us;
		step(sim);
	}
	sim->now_us = end_us;
}

int pl_sim_slot_of(const struct pl_sim_peer *listener, const struct pl_sim_peer *talker)
{
	for (uint8_t i = 0; i < listener->slots_event.slots.count; i++) {
		if (listener->slots_event.slots.slot[i].source == talker->source)
			return i;
	}
	return -1;
}
