#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "media/pool.h"
#include "sfu/shard_state.h"

/* The thread goes to its CPUs, and from there takes what is large: memory is on the node of who touches it first.  What
 * OpenSSL takes later comes from an arena that is this thread's own, so it is near, too. */
static enum pl_err settle(void *owner)
{
	struct pl_shard *shard = owner;
	shard->pin_error = pthread_setaffinity_np(pthread_self(), sizeof shard->config.cpus, &shard->config.cpus);
	pl_memory_prefer(shard->config.node);
	enum pl_err err = pl_srtp_engine_create(&shard->srtp, shard->config.srtp);
	if (err != PL_ERR_NONE)
		return err;
	struct pl_conference_config conference = shard->config.conference;
	conference.srtp = shard->srtp;
	conference.port = (struct pl_cross_port){
		.push = pl_shard_push_cross, .choose_worker = pl_shard_choose_worker, .context = shard
	};
	err = pl_conference_create(&shard->conference, &conference);
	if (err != PL_ERR_NONE)
		return err;
	const int node = pl_memory_node_of(shard->conference);
	shard->is_on_node = node == shard->config.node || (node < 0 && errno == ENOSYS);
	return PL_ERR_NONE;
}

static void run(void *owner)
{
	pl_shard_run(owner);
}

static enum pl_err start_thread(struct pl_shard *shard)
{
	char name[16];
	snprintf(name, sizeof name, "shard-%u", (unsigned)shard->config.index);
	const struct pl_thread_duty duty = { .settle = settle, .run = run, .waker = &shard->waker, .owner = shard };
	return pl_thread_start(&shard->thread, name, &duty);
}

static uint32_t packets_of(uint32_t packets)
{
	return packets > 0 ? packets : PL_CONFERENCE_PACKETS;
}

size_t pl_shard_bytes(uint32_t packets)
{
	return pl_whole_lines(sizeof(struct pl_shard)) + pl_pool_bytes(packets_of(packets));
}

/* One region for the shard and its pool of packets, which every packet touches.  NULL: out of memory. */
static struct pl_shard *take_memory(const struct pl_shard_config *config)
{
	const uint32_t packets = packets_of(config->conference.packets);
	const size_t pool_bytes = pl_pool_bytes(packets), bytes = pl_shard_bytes(packets);
	const struct pl_memory_config region = { .size_bytes = bytes, .node = config->node };
	struct pl_memory memory;
	if (pl_memory_init(&memory, &region) != PL_ERR_NONE)
		return NULL;
	struct pl_shard *shard = pl_memory_take(&memory, bytes - pool_bytes, _Alignof(struct pl_shard));
	struct pl_span pool = { pl_memory_take(&memory, pool_bytes, 64), pool_bytes };
	PL_ASSERT(shard != NULL && pool.data != NULL);
	shard->memory = memory;
	shard->config = *config;
	shard->config.conference.packets = packets;
	shard->config.conference.packet_memory = pool;
	pl_pulse_init(&shard->pulse);
	return shard;
}

static void give_memory_back(struct pl_shard *shard)
{
	struct pl_memory memory = shard->memory;
	pl_memory_fini(&memory);
}

enum pl_err pl_shard_create(struct pl_shard **out, const struct pl_shard_config *config)
{
	struct pl_shard *shard = take_memory(config);
	if (shard == NULL)
		return PL_ERR_NO_MEMORY;

	enum pl_err err = pl_udp_open(&shard->udp, config->port);
	if (err != PL_ERR_NONE)
		goto fail_udp;
	err = pl_waker_init(&shard->waker);
	if (err != PL_ERR_NONE)
		goto fail_waker;
	err = pl_ring_init(&shard->commands, &shard->waker, COMMANDS_CAPACITY, sizeof(struct pl_command));
	if (err != PL_ERR_NONE)
		goto fail_commands;
	err = pl_ring_init(&shard->canary_commands, &shard->waker, CANARY_COMMANDS_CAPACITY, sizeof(struct pl_command));
	if (err != PL_ERR_NONE)
		goto fail_canary_commands;
	err = pl_ring_init(&shard->events, config->waker, EVENTS_CAPACITY, sizeof(struct pl_event));
	if (err != PL_ERR_NONE)
		goto fail_events;
	err = start_thread(shard);
	if (err != PL_ERR_NONE)
		goto fail_thread;
	*out = shard;
	return PL_ERR_NONE;

fail_thread:
	pl_ring_fini(&shard->events);
fail_events:
	pl_ring_fini(&shard->canary_commands);
fail_canary_commands:
	pl_ring_fini(&shard->commands);
fail_commands:
	pl_waker_fini(&shard->waker);
fail_waker:
	pl_udp_close(&shard->udp);
fail_udp:;
	const int error = errno;
	give_memory_back(shard);
	errno = error;
	return err;
}

enum pl_err pl_shard_wait(struct pl_shard *shard)
{
	return pl_thread_wait(&shard->thread);
}

static void release_packet(void *context, struct pl_packet *packet)
{
	pl_conference_release(((struct pl_shard *)context)->conference, packet);
}

static struct pl_shard_peer *peer_of(struct pl_shard *shard, uint8_t number)
{
	if (shard->peer_count == 0 || shard->peer[shard->peer_at[number]].number != number) {
		shard->peer_at[number] = (uint8_t)shard->peer_count;
		shard->peer[shard->peer_count++].number = number;
	}
	return &shard->peer[shard->peer_at[number]];
}

enum pl_err pl_shard_link(struct pl_shard *from, struct pl_shard *to)
{
	struct pl_link *link;
	const enum pl_err err = pl_link_create(&link, &to->waker);
	if (err != PL_ERR_NONE)
		return err;
	link->owner = (struct pl_link_owner){ .release = release_packet, .context = from };
	peer_of(from, (uint8_t)to->config.index)->to = link;
	peer_of(to, (uint8_t)from->config.index)->from = link;
	return PL_ERR_NONE;
}

enum pl_err pl_shard_link_worker(struct pl_shard *shard, struct pl_worker *worker, uint8_t index, bool may_choose)
{
	struct pl_link *to, *from;
	enum pl_err err = pl_link_create(&to, pl_worker_waker(worker));
	if (err != PL_ERR_NONE)
		return err;
	err = pl_link_create(&from, &shard->waker);
	if (err != PL_ERR_NONE) {
		pl_link_destroy(&to);
		return err;
	}
	to->owner = (struct pl_link_owner){ .release = release_packet, .context = shard };
	struct pl_shard_peer *peer = peer_of(shard, PL_CROSS_WORKER(index));
	peer->to = to;
	peer->from = from;
	pl_worker_link(worker, (uint8_t)shard->config.index, to, from);
	if (may_choose)
		shard->worker[shard->worker_count++] = worker;
	return PL_ERR_NONE;
}

void pl_shard_go(struct pl_shard *shard)
{
	pl_thread_go(&shard->thread);
}

void pl_shard_ask_to_stop(struct pl_shard *shard)
{
	pl_thread_ask_to_stop(&shard->thread);
}

void pl_shard_stop(struct pl_shard *shard)
{
	pl_thread_stop(&shard->thread);
}

void pl_shard_unlink(struct pl_shard *shard)
{
	for (size_t i = 0; i < shard->peer_count; i++) {
		pl_link_destroy(&shard->peer[i].to);
		if (shard->peer[i].number >= PL_CROSS_WORKER(0))
			pl_link_destroy(&shard->peer[i].from);
	}
	shard->peer_count = 0;
}

void pl_shard_destroy(struct pl_shard **owned)
{
	struct pl_shard *shard = *owned;
	if (shard == NULL)
		return;
	*owned = NULL;
	pl_shard_stop(shard);

	struct pl_command command;
	while (pl_ring_pop(&shard->commands, &command) || pl_ring_pop(&shard->canary_commands, &command))
		free(command.description);
	pl_ring_fini(&shard->events);
	pl_ring_fini(&shard->canary_commands);
	pl_ring_fini(&shard->commands);
	pl_waker_fini(&shard->waker);
	pl_conference_destroy(&shard->conference);
	pl_srtp_engine_destroy(&shard->srtp);
	pl_udp_close(&shard->udp);
	give_memory_back(shard);
}

struct pl_ring *pl_shard_commands(struct pl_shard *shard)
{
	return &shard->commands;
}

struct pl_ring *pl_shard_canary_commands(struct pl_shard *shard)
{
	return &shard->canary_commands;
}

struct pl_ring *pl_shard_events(struct pl_shard *shard)
{
	return &shard->events;
}

uint16_t pl_shard_port(const struct pl_shard *shard)
{
	return shard->udp.port;
}

bool pl_shard_has_ipv4(const struct pl_shard *shard)
{
	return pl_udp_has(&shard->udp, PL_UDP_IPV4);
}

bool pl_shard_has_ipv6(const struct pl_shard *shard)
{
	return pl_udp_has(&shard->udp, PL_UDP_IPV6);
}

const char *pl_shard_srtp_text(const struct pl_shard *shard)
{
	return pl_srtp_engine_text(shard->srtp);
}

int pl_shard_receive_bytes(const struct pl_shard *shard)
{
	return shard->udp.receive_bytes;
}

int pl_shard_pin_error(const struct pl_shard *shard)
{
	return shard->pin_error;
}

bool pl_shard_is_on_node(const struct pl_shard *shard)
{
	return shard->is_on_node;
}

const struct pl_memory *pl_shard_memory(const struct pl_shard *shard)
{
	return &shard->memory;
}
