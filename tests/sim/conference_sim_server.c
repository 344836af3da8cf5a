/* The server's side of a simulated conference: its shards, and the rings between them. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/conference_sim_state.h"
#include "tests/support/egress_walk.h"

enum {
	LINK_CAPACITY = 256,
	SHARDS_MAX = PL_SIM_SHARDS_MAX,
	WORKER_ROOMS = 64,
	WORKER_VOICES = 64,
	WORKER_ENCODERS = 128,
	WORKER_TRANSCODERS = 16,
	WORKER_PACKETS = 512,
};

struct pl_sim_link {
	struct pl_cross message[LINK_CAPACITY];
	size_t count;
};

static bool push_into(struct pl_sim_link *link, const struct pl_cross *message)
{
	const size_t capacity = pl_cross_is_media(message) ? LINK_CAPACITY / 4 * 3 : LINK_CAPACITY;
	if (link->count >= capacity)
		return false;
	link->message[link->count++] = *message;
	return true;
}

static bool push(void *context, uint8_t to, const struct pl_cross *message)
{
	const struct pl_sim_shard *shard = context;
	const bool is_worker = to >= PL_CROSS_WORKER(0);
	return push_into(is_worker ? shard->to_worker[to - PL_CROSS_WORKER(0)] : shard->to[to], message);
}

/* In turn: where a room is mixed is not to be heard. */
static uint8_t choose_worker(void *context)
{
	struct pl_sim *sim = ((struct pl_sim_shard *)context)->sim;
	uint8_t best = 0;
	for (uint8_t i = 1; i < sim->config.workers; i++) {
		if (sim->worker[i].chosen < sim->worker[best].chosen)
			best = i;
	}
	sim->worker[best].chosen++;
	return best;
}

/* Constant, so all sims of a program have the same. */
static const struct pl_opus_templates *templates(void)
{
	static struct pl_opus_templates *made;
	static _Alignas(64) uint8_t memory[1 << 20];
	if (made == NULL &&
		(pl_opus_templates_bytes() > sizeof memory ||
			pl_opus_templates_init(&made, (struct pl_span){ memory, sizeof memory }) != PL_ERR_NONE))
		abort();
	return made;
}

static void create_worker(struct pl_sim *sim, uint8_t index)
{
	struct pl_sim_worker *worker = &sim->worker[index];
	const struct pl_codec_config config = {
		.templates = templates(),
		.dsp = pl_dsp_get(PL_SIMD_AUTO),
		.rooms_max = sim->config.worker_rooms != 0 ? sim->config.worker_rooms : WORKER_ROOMS,
		.voices_max = WORKER_VOICES,
		.encoders_max = WORKER_ENCODERS,
		.transcoders_max = WORKER_TRANSCODERS,
		.packets = WORKER_PACKETS,
		.talkers_max = sim->config.mix_talkers,
		.seed = sim->config.seed + index,
	};
	const size_t size = pl_whole_lines(pl_codec_bytes(&config));
	worker->memory = aligned_alloc(64, size);
	if (worker->memory == NULL)
		abort();
	memset(worker->memory, 0, size);
	pl_codec_init(&worker->codec, &config, (struct pl_span){ worker->memory, size });
	for (uint8_t i = 0; i < sim->shard_count; i++) {
		worker->to[i] = pl_sim_allocate(sizeof *worker->to[i]);
		sim->shard[i].to_worker[index] = pl_sim_allocate(sizeof *sim->shard[i].to_worker[index]);
	}
}

void pl_sim_server_create(struct pl_sim *sim)
{
	const struct pl_sim_config *config = &sim->config;
	sim->egress = aligned_alloc(_Alignof(struct pl_egress), sizeof *sim->egress);
	if (sim->egress == NULL)
		abort();
	pl_egress_init(sim->egress, true);
	sim->shard_count = config->shards != 0 ? config->shards : 1;
	PL_ASSERT(sim->shard_count <= SHARDS_MAX);
	for (uint8_t i = 0; i < sim->shard_count; i++) {
		struct pl_sim_shard *shard = &sim->shard[i];
		shard->sim = sim;
		for (uint8_t k = 0; k < sim->shard_count; k++)
			shard->to[k] = pl_sim_allocate(sizeof *shard->to[k]);
		const struct pl_conference_config conference = {
			.identity = sim->server_identity,
			.srtp = sim->server_srtp,
			.participants_max = config->participants_max != 0 ? config->participants_max : PL_SIM_PEERS_MAX,
			.rooms_max = config->rooms_max != 0 ? config->rooms_max : PL_SIM_PEERS_MAX,
			.packets = config->packets,
			.shard = i,
			.shard_count = sim->shard_count,
			.shard_node = sim->config.node,
			.remotes_max = PL_SIM_PEERS_MAX,
			.worker_count = config->workers,
			.mix_talkers = config->mix_talkers,
			.port = { .push = push, .choose_worker = choose_worker, .context = shard },
			.seed = config->seed + i,
			.ntp_offset_us = INT64_C(3900000000) * 1000000,
		};
		if (pl_conference_create(&shard->conference, &conference) != PL_ERR_NONE)
			abort();
	}
	sim->conference = sim->shard[0].conference;
	PL_ASSERT(config->workers <= PL_SIM_WORKERS_MAX);
	for (uint8_t i = 0; i < config->workers; i++)
		create_worker(sim, i);
}

struct pl_addr pl_sim_server_addr(uint8_t shard)
{
	return pl_addr_ipv4(0xc0000201, (uint16_t)(3478 + shard));
}

static void send_all(struct pl_sim *sim)
{
	static const struct pl_network_link gone = { 0 };
	struct pl_egress_walk walk = { 0 };
	struct pl_path path;
	for (struct pl_bytes datagram; pl_egress_walk_next(&walk, sim->egress, &path, &datagram);) {
		PL_ASSERT(datagram.size > 0 && datagram.size <= PL_DATAGRAM_SIZE_MAX && path.remote.port != 0);
		const struct pl_sim_peer *p = pl_sim_peer_by_addr(sim, &path.remote);
		pl_network_send(sim->network, sim->now_us, p != NULL ? &p->link : &gone, &path, datagram);
	}
	pl_egress_clear(sim->egress);
}

static void drain(struct pl_sim *sim, struct pl_conference *conference)
{
	struct pl_event event;
	enum pl_conference_drained drained;
	do {
		drained = pl_conference_drain(conference, sim->now_us, sim->egress, sim->with_events, &event);
		send_all(sim);
		if (drained == PL_CONFERENCE_EVENT)
			pl_sim_take_event(sim, &event);
	} while (drained != PL_CONFERENCE_DONE);
}

/* What waits for shard `to`; as in the server the packets are given back when all that was made of them is out. */
static bool take_crosses(struct pl_sim *sim, uint8_t to)
{
	struct pl_conference *conference = sim->shard[to].conference;
	bool has_taken = false;
	for (uint8_t from = 0; from < sim->shard_count; from++) {
		struct pl_sim_link *link = sim->shard[from].to[to];
		const size_t count = link->count;
		for (size_t i = 0; i < count; i++) {
			pl_conference_cross(conference, sim->now_us, from, &link->message[i]);
			if (pl_conference_must_drain(conference))
				drain(sim, conference);
		}
		drain(sim, conference);
		for (size_t i = 0; i < count; i++) {
			if (pl_cross_has_packet(&link->message[i]))
				pl_conference_release(sim->shard[from].conference, link->message[i].packet);
		}
		PL_ASSERT(link->count == count); /* none to itself */
		link->count = 0;
		has_taken |= count > 0;
	}
	return has_taken;
}

/* What a worker has for shard `to`. */
static bool take_mixes(struct pl_sim *sim, uint8_t to)
{
	struct pl_conference *conference = sim->shard[to].conference;
	bool has_taken = false;
	for (uint8_t from = 0; from < sim->config.workers; from++) {
		struct pl_sim_link *link = sim->worker[from].to[to];
		const size_t count = link->count;
		for (size_t i = 0; i < count; i++) {
			pl_conference_cross(conference, sim->now_us, PL_CROSS_WORKER(from), &link->message[i]);
			if (pl_conference_must_drain(conference))
				drain(sim, conference);
		}
		drain(sim, conference);
		for (size_t i = 0; i < count; i++)
			pl_codec_release(sim->worker[from].codec, link->message[i].packet);
		link->count = 0;
		has_taken |= count > 0;
	}
	return has_taken;
}

static void drain_worker(struct pl_sim *sim, struct pl_sim_worker *worker)
{
	uint8_t shard;
	struct pl_cross message;
	while (pl_codec_next(worker->codec, sim->now_us, &shard, &message)) {
		if (push_into(worker->to[shard], &message))
			continue;
		pl_codec_count_drop(worker->codec, PL_DROP_CROSS_FULL);
		pl_codec_release(worker->codec, message.packet);
	}
}

static bool work(struct pl_sim *sim, uint8_t index)
{
	struct pl_sim_worker *worker = &sim->worker[index];
	bool has_taken = false;
	for (uint8_t from = 0; from < sim->shard_count; from++) {
		struct pl_sim_link *link = sim->shard[from].to_worker[index];
		for (size_t i = 0; i < link->count; i++) {
			pl_codec_take(worker->codec, sim->now_us, from, &link->message[i]);
			drain_worker(sim, worker);
			if (pl_cross_has_packet(&link->message[i]))
				pl_conference_release(sim->shard[from].conference, link->message[i].packet);
		}
		has_taken |= link->count > 0;
		link->count = 0;
	}
	if (pl_codec_deadline(worker->codec) <= sim->now_us) {
		pl_codec_tick(worker->codec, sim->now_us);
		drain_worker(sim, worker);
		has_taken = true;
	}
	return has_taken;
}

void pl_sim_server_drain(struct pl_sim *sim)
{
	for (bool is_moving = true; is_moving;) {
		is_moving = false;
		for (uint8_t i = 0; i < sim->shard_count; i++) {
			drain(sim, sim->shard[i].conference);
			if (sim->shard[i].is_stuck)
				continue;
			is_moving |= take_crosses(sim, i);
			is_moving |= take_mixes(sim, i);
		}
		for (uint8_t i = 0; i < sim->config.workers; i++)
			is_moving |= !sim->worker[i].is_stuck && work(sim, i);
	}
}

void pl_sim_server_command(struct pl_sim *sim, const struct pl_command *command)
{
	pl_sim_server_drain(sim);
	pl_conference_command(sim->shard[command->shard].conference, sim->now_us, command);
	pl_sim_server_drain(sim);
}

static void feed(
	struct pl_sim *sim, struct pl_conference *conference, const struct pl_path *path, struct pl_bytes datagram)
{
	pl_conference_feed(conference, sim->now_us, path, datagram);
	if (pl_conference_must_drain(conference))
		drain(sim, conference);
}

static struct pl_sim_shard *shard_at(struct pl_sim *sim, const struct pl_addr *at)
{
	for (uint8_t i = 0; i < sim->shard_count; i++) {
		const struct pl_addr addr = pl_sim_server_addr(i);
		if (pl_addr_equal(at, &addr))
			return &sim->shard[i];
	}
	return NULL;
}

bool pl_sim_server_feed(struct pl_sim *sim, const struct pl_path *path, struct pl_bytes datagram)
{
	static const struct pl_network_link at_once = { 0 };
	const struct pl_sim_shard *shard = shard_at(sim, &path->local);
	if (shard == NULL)
		return false;
	const struct pl_path sent = { .remote = path->local, .local = path->remote };
	if (sim->now_us < sim->busy_us)
		pl_network_send(sim->inbox, sim->now_us, &at_once, &sent, datagram);
	else
		feed(sim, shard->conference, path, datagram);
	return true;
}

static void empty_inbox(struct pl_sim *sim)
{
	struct pl_path path;
	struct pl_bytes datagram;
	while (pl_network_receive(sim->inbox, sim->now_us, &path, &datagram))
		feed(sim, shard_at(sim, &path.local)->conference, &path, datagram);
}

/* Handshakes that wait have a buffer each: as many as it gives back were done.  A ranking that is told takes one. */
static void tick(struct pl_sim *sim, struct pl_conference *conference)
{
	const uint32_t before = pl_conference_counters(conference).packets_used;
	pl_conference_tick(conference, sim->now_us);
	const uint32_t after = pl_conference_counters(conference).packets_used;
	sim->busy_us = sim->now_us + (after < before ? before - after : 0) * sim->handshake_us;
}

int64_t pl_sim_server_deadline(const struct pl_sim *sim)
{
	int64_t at_us = INT64_MAX;
	for (uint8_t i = 0; i < sim->shard_count; i++) {
		const int64_t deadline_us = pl_conference_deadline(sim->shard[i].conference);
		at_us = deadline_us < at_us ? deadline_us : at_us;
	}
	for (uint8_t i = 0; i < sim->config.workers; i++) {
		const int64_t deadline_us =
			sim->worker[i].is_stuck ? INT64_MAX : pl_codec_deadline(sim->worker[i].codec);
		at_us = deadline_us < at_us ? deadline_us : at_us;
	}
	const int64_t batch_us = sim->drained_us + sim->batch_us;
	const int64_t ready_us = batch_us > sim->busy_us ? batch_us : sim->busy_us;
	if (pl_network_deadline(sim->inbox) != INT64_MAX)
		return ready_us;
	return at_us > ready_us ? at_us : ready_us;
}

void pl_sim_server_run(struct pl_sim *sim)
{
	if (sim->now_us < sim->drained_us + sim->batch_us || sim->now_us < sim->busy_us)
		return;
	empty_inbox(sim);
	pl_sim_server_drain(sim);
	sim->drained_us = sim->now_us;
	for (uint8_t i = 0; i < sim->shard_count; i++) {
		if (pl_conference_deadline(sim->shard[i].conference) <= sim->now_us)
			tick(sim, sim->shard[i].conference);
	}
	pl_sim_server_drain(sim);
}

/* Handshakes that wait for their turn have buffers, forwarded packets none any more. */
static void check_pool(struct pl_sim *sim, struct pl_conference *conference)
{
	while (pl_conference_deadline(conference) == INT64_MIN) {
		pl_conference_tick(conference, sim->now_us);
		pl_sim_server_drain(sim);
	}
	PL_ASSERT(pl_conference_counters(conference).packets_used == 0);
}

void pl_sim_server_destroy(struct pl_sim *sim)
{
	for (uint8_t i = 0; i < sim->shard_count; i++)
		sim->shard[i].is_stuck = false;
	for (uint8_t i = 0; i < sim->config.workers; i++)
		sim->worker[i].is_stuck = false;
	pl_sim_server_drain(sim);
	for (uint8_t i = 0; i < sim->config.workers; i++)
		PL_ASSERT(pl_codec_counters(sim->worker[i].codec).packets_used == 0);
	for (uint8_t i = 0; i < sim->shard_count; i++)
		check_pool(sim, sim->shard[i].conference);
	for (uint8_t i = 0; i < sim->shard_count; i++) {
		pl_conference_destroy(&sim->shard[i].conference);
		for (uint8_t k = 0; k < sim->shard_count; k++)
			free(sim->shard[i].to[k]);
		for (uint8_t k = 0; k < sim->config.workers; k++) {
			free(sim->shard[i].to_worker[k]);
			free(sim->worker[k].to[i]);
		}
	}
	for (uint8_t i = 0; i < sim->config.workers; i++)
		free(sim->worker[i].memory);
	free(sim->egress);
}

void pl_sim_relieve(struct pl_sim *sim, const struct pl_relief *relief)
{
	for (uint8_t i = 0; i < sim->shard_count; i++)
		pl_conference_relieve(sim->shard[i].conference, relief);
}
