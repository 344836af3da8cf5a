#include "sfu/shard.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "media/pool.h"
#include "sfu/io/udp.h"

enum {
	COMMANDS_CAPACITY = 1024,
	EVENTS_CAPACITY = 4096,
	/* A turn is bounded, so that neither a flood of datagrams nor one of commands starves the timers. */
	BATCHES_PER_TURN = 8,
	COMMANDS_PER_TURN = 64,
	JOINS_PER_TURN = 4, /* each takes as long as forwarding hundreds of packets */
	PUBLISH_US = 500000,
	/* Between two shards: some milliseconds of the largest room. */
	LINK_CAPACITY = 1024,
	LINK_MEDIA_MAX = LINK_CAPACITY / 4 * 3,
	CROSSES_PER_TURN = 128, /* of each link */
	EVENTS_RETRY_US = 10000,
	ACCEPT_RETRY_US = 1000,
};

#define COUNTER_WORDS (sizeof(struct pl_sfu_counters) / sizeof(uint64_t))
_Static_assert(sizeof(struct pl_sfu_counters) % sizeof(uint64_t) == 0, "counters are published by words");

/* The way from one shard to another.  The first owns it. */
struct pl_link {
	struct pl_ring ring;
	size_t pushed, reaped; /* messages; the packets of those in between are held for the reader */
};

struct pl_shard {
	struct pl_udp udp;
	struct pl_srtp_engine *srtp;
	struct pl_conference *conference;
	struct pl_waker waker;
	struct pl_ring commands, events;
	struct pl_link *to[PL_SFU_SHARDS_MAX], *from[PL_SFU_SHARDS_MAX];
	size_t taking[PL_SFU_SHARDS_MAX]; /* messages of from whose packets are borrowed now */
	pthread_t thread;
	atomic_bool is_stopping;
	bool has_events_waiting; /* inside the conference, because the ring was full */
	uint64_t events_delayed, waits;
	int64_t published_us, turn_us;
	_Atomic uint64_t published[COUNTER_WORDS];
	/* The start: written by the thread before is_settled is posted, constant after. */
	struct pl_memory memory; /* the shard itself is in it */
	struct pl_shard_config config;
	sem_t is_settled, may_go;
	bool has_stopped;
	enum pl_err settle_err;
	int pin_error;
	bool is_on_node;
};

static int64_t monotonic_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Takes everything out of the conference: datagrams into the egress batch, events into the ring as long as it has room. */
static void drain(struct pl_shard *shard, int64_t now_us)
{
	size_t room = pl_ring_room(&shard->events);
	struct pl_conference_output output;
	while (pl_conference_next(shard->conference, now_us, pl_udp_room(&shard->udp), room > 0, &output)) {
		if (output.kind == PL_CONFERENCE_SEND) {
			pl_udp_push(&shard->udp, &output.path, output.size);
		} else {
			const bool is_pushed = pl_ring_push(&shard->events, &output.event);
			PL_ASSERT(is_pushed);
			room--;
		}
	}
	shard->has_events_waiting = room == 0;
	shard->events_delayed += room == 0;
}

/* Gives back the packets that the other shard is done with. */
static void reap(struct pl_shard *shard, struct pl_link *link)
{
	for (const size_t taken = pl_ring_taken(&link->ring); link->reaped != taken; link->reaped++) {
		const struct pl_cross *message = pl_ring_at(&link->ring, link->reaped);
		if (pl_cross_has_packet(message))
			pl_conference_release(shard->conference, message->packet);
	}
}

static bool push_cross(void *context, uint8_t to, const struct pl_cross *message)
{
	struct pl_shard *shard = context;
	struct pl_link *link = shard->to[to];
	const size_t max = pl_cross_is_media(message) ? LINK_MEDIA_MAX : LINK_CAPACITY;
	if (link->pushed - link->reaped >= max)
		reap(shard, link);
	if (link->pushed - link->reaped >= max || !pl_ring_push(&link->ring, message))
		return false;
	link->pushed++;
	return true;
}

static void take_crosses(struct pl_shard *shard, int64_t now_us)
{
	bool has_taken = false;
	for (uint8_t i = 0; i < shard->config.conference.shard_count; i++) {
		if (shard->to[i] != NULL)
			reap(shard, shard->to[i]);
		const struct pl_cross *message;
		for (size_t *taking = &shard->taking[i];
			shard->from[i] != NULL && *taking < CROSSES_PER_TURN &&
			(message = pl_ring_peek(&shard->from[i]->ring, *taking)) != NULL;
			++*taking) {
			pl_conference_cross(shard->conference, now_us, i, message);
			has_taken = true;
			if (pl_conference_must_drain(shard->conference))
				drain(shard, now_us);
		}
	}
	if (!has_taken)
		return;
	drain(shard, now_us);
	for (uint8_t i = 0; i < shard->config.conference.shard_count; i++) {
		if (shard->taking[i] > 0)
			pl_ring_take(&shard->from[i]->ring, shard->taking[i]);
		shard->taking[i] = 0;
	}
}

static void take_commands(struct pl_shard *shard, int64_t now_us)
{
	struct pl_command command;
	for (int i = 0, joins = 0; i < COMMANDS_PER_TURN && joins < JOINS_PER_TURN; i++) {
		if (!pl_conference_accepts(shard->conference) || !pl_ring_pop(&shard->commands, &command))
			return;
		joins += command.kind == PL_COMMAND_JOIN;
		pl_conference_command(shard->conference, now_us, &command);
		free(command.description);
		drain(shard, now_us);
	}
}

static void take_datagrams(struct pl_shard *shard)
{
	for (int batch = 0; batch < BATCHES_PER_TURN; batch++) {
		const size_t count = pl_udp_receive(&shard->udp);
		const int64_t now_us = monotonic_us();
		for (size_t i = 0; i < count; i++) {
			pl_conference_feed(
				shard->conference, now_us, &shard->udp.datagram[i].path, shard->udp.datagram[i].bytes);
			if (pl_conference_must_drain(shard->conference))
				drain(shard, now_us);
		}
		drain(shard, now_us);
		pl_udp_flush(&shard->udp);
		if (!shard->udp.has_more)
			return;
	}
}

static void publish_counters(struct pl_shard *shard, int64_t now_us)
{
	if (now_us - shard->published_us < PUBLISH_US)
		return;
	shard->published_us = now_us;
	struct pl_sfu_counters counters = {
		.conference = pl_conference_counters(shard->conference),
		.kernel_drops = shard->udp.counters.kernel_drops,
		.send_full = shard->udp.counters.send_full,
		.send_failed = shard->udp.counters.send_failed,
		.trains_cut = shard->udp.counters.trains_cut,
		.syscalls = shard->udp.counters.syscalls + shard->waits,
		.events_delayed = shard->events_delayed,
	};
	counters.conference.drop[PL_DROP_TOO_LARGE] += shard->udp.counters.too_large;
	counters.conference.drop[PL_DROP_EGRESS_FULL] += shard->udp.counters.send_full;
	uint64_t word[COUNTER_WORDS];
	memcpy(word, &counters, sizeof counters);
	for (size_t i = 0; i < COUNTER_WORDS; i++)
		atomic_store_explicit(&shard->published[i], word[i], memory_order_relaxed);
}

/* Sleeps until a datagram, a command, or the conference's deadline. */
static void wait_for_work(struct pl_shard *shard)
{
	struct pollfd fds[] = {
		{ .fd = shard->udp.fd, .events = POLLIN },
		{ .fd = shard->waker.event_fd, .events = POLLIN },
	};
	const int64_t now_us = monotonic_us();
	int64_t until_us = pl_conference_deadline(shard->conference);
	if (until_us > shard->published_us + PUBLISH_US)
		until_us = shard->published_us + PUBLISH_US;
	if (shard->has_events_waiting && until_us > now_us + EVENTS_RETRY_US)
		until_us = now_us + EVENTS_RETRY_US;

	if (!pl_conference_accepts(shard->conference) && until_us > now_us + ACCEPT_RETRY_US)
		until_us = now_us + ACCEPT_RETRY_US;

	/* Commands that the conference cannot take yet are no reason to stay awake. */
	const bool may_sleep = until_us > now_us &&
			       (pl_waker_prepare_sleep(&shard->waker) || !pl_conference_accepts(shard->conference));
	const int64_t wait_us = may_sleep ? until_us - now_us : 0;
	const struct timespec timeout = { .tv_sec = wait_us / 1000000, .tv_nsec = wait_us % 1000000 * 1000 };
	ppoll(fds, PL_COUNT(fds), &timeout, NULL);
	shard->waits++;
	if (may_sleep)
		pl_waker_wake_up(&shard->waker);
}

/* What came meanwhile waits in the socket for the others.  Not while handshakes wait: they get one step a turn, and a
 * turn would take as long as the gathering. */
static void gather(const struct pl_shard *shard)
{
	if (shard->config.coalesce_us == 0 || pl_conference_has_handshakes(shard->conference))
		return;
	const int64_t until_us = shard->turn_us + shard->config.coalesce_us;
	const struct timespec until = { .tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000 };
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

static void *run(void *argument)
{
	struct pl_shard *shard = argument;
	while (!atomic_load_explicit(&shard->is_stopping, memory_order_acquire)) {
		wait_for_work(shard);
		gather(shard);
		const int64_t now_us = monotonic_us();
		shard->turn_us = now_us;
		drain(shard, now_us); /* events that waited for room in the ring */
		take_commands(shard, now_us);
		take_crosses(shard, now_us);
		take_datagrams(shard);
		const int64_t tick_us = monotonic_us();
		if (pl_conference_deadline(shard->conference) <= tick_us) {
			pl_conference_tick(shard->conference, tick_us);
			drain(shard, tick_us);
		}
		pl_udp_flush(&shard->udp);
		publish_counters(shard, tick_us);
	}
	const int64_t now_us = monotonic_us();
	drain(shard, now_us);
	pl_conference_close(shard->conference, now_us);
	drain(shard, now_us);
	pl_udp_flush(&shard->udp);
	return NULL;
}

/* ---- start and end ---- */

/* The thread goes to its CPUs, and from there takes what is large: memory is on the node of who touches it first.  What
 * OpenSSL takes later comes from an arena that is this thread's own, so it is near, too. */
static enum pl_err settle(struct pl_shard *shard)
{
	shard->pin_error = pthread_setaffinity_np(pthread_self(), sizeof shard->config.cpus, &shard->config.cpus);
	pl_memory_prefer(shard->config.node);
	enum pl_err err = pl_srtp_engine_create(&shard->srtp, shard->config.srtp);
	if (err != PL_ERR_NONE)
		return err;
	struct pl_conference_config conference = shard->config.conference;
	conference.srtp = shard->srtp;
	conference.port = (struct pl_cross_port){ .push = push_cross, .context = shard };
	err = pl_conference_create(&shard->conference, &conference);
	if (err != PL_ERR_NONE)
		return err;
	const int node = pl_memory_node_of(shard->conference);
	shard->is_on_node = node == shard->config.node || (node < 0 && errno == ENOSYS);
	return PL_ERR_NONE;
}

static void wait_for(sem_t *semaphore)
{
	while (sem_wait(semaphore) != 0)
		PL_ASSERT(errno == EINTR);
}

static void *live(void *argument)
{
	struct pl_shard *shard = argument;
	shard->settle_err = settle(shard);
	const bool is_settled = shard->settle_err == PL_ERR_NONE;
	sem_post(&shard->is_settled);
	wait_for(&shard->may_go);
	return is_settled ? run(shard) : NULL;
}

/* The process's signals are for the signaling thread. */
static enum pl_err start_thread(struct pl_shard *shard)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	const int error = pthread_create(&shard->thread, NULL, live, shard);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error != 0)
		return PL_ERR_THREAD;
	char name[16];
	snprintf(name, sizeof name, "shard-%u", (unsigned)shard->config.index);
	pthread_setname_np(shard->thread, name);
	return PL_ERR_NONE;
}

/* One region for the shard and its pool of packets, which every packet touches.  NULL: out of memory. */
static struct pl_shard *take_memory(const struct pl_shard_config *config)
{
	const uint32_t packets = config->conference.packets > 0 ? config->conference.packets : PL_CONFERENCE_PACKETS;
	const size_t shard_bytes = (sizeof(struct pl_shard) + 63) / 64 * 64, pool_bytes = pl_pool_bytes(packets);
	const struct pl_memory_config region = { .size_bytes = shard_bytes + pool_bytes, .node = config->node };
	struct pl_memory memory;
	if (pl_memory_init(&memory, &region) != PL_ERR_NONE)
		return NULL;
	struct pl_shard *shard = pl_memory_take(&memory, shard_bytes, _Alignof(struct pl_shard));
	struct pl_span pool = { pl_memory_take(&memory, pool_bytes, 64), pool_bytes };
	PL_ASSERT(shard != NULL && pool.data != NULL);
	shard->memory = memory;
	shard->config = *config;
	shard->config.conference.packets = packets;
	shard->config.conference.packet_memory = pool;
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
	shard->published_us = monotonic_us();

	enum pl_err err = pl_udp_open(&shard->udp, config->port);
	if (err != PL_ERR_NONE)
		goto fail_udp;
	err = pl_waker_init(&shard->waker);
	if (err != PL_ERR_NONE)
		goto fail_waker;
	err = pl_ring_init(&shard->commands, &shard->waker, COMMANDS_CAPACITY, sizeof(struct pl_command));
	if (err != PL_ERR_NONE)
		goto fail_commands;
	err = pl_ring_init(&shard->events, config->waker, EVENTS_CAPACITY, sizeof(struct pl_event));
	if (err != PL_ERR_NONE)
		goto fail_events;
	sem_init(&shard->is_settled, 0, 0);
	sem_init(&shard->may_go, 0, 0);
	err = start_thread(shard);
	if (err != PL_ERR_NONE)
		goto fail_thread;
	*out = shard;
	return PL_ERR_NONE;

fail_thread:
	sem_destroy(&shard->may_go);
	sem_destroy(&shard->is_settled);
	pl_ring_fini(&shard->events);
fail_events:
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
	wait_for(&shard->is_settled);
	return shard->settle_err;
}

enum pl_err pl_shard_link(struct pl_shard *from, struct pl_shard *to)
{
	struct pl_link *link = aligned_alloc(64, (sizeof *link + 63) / 64 * 64);
	if (link == NULL)
		return PL_ERR_NO_MEMORY;
	memset(link, 0, sizeof *link);
	const enum pl_err err = pl_ring_init(&link->ring, &to->waker, LINK_CAPACITY, sizeof(struct pl_cross));
	if (err != PL_ERR_NONE) {
		free(link);
		return err;
	}
	from->to[to->config.index] = link;
	to->from[from->config.index] = link;
	return PL_ERR_NONE;
}

void pl_shard_go(struct pl_shard *shard)
{
	sem_post(&shard->may_go);
}

void pl_shard_stop(struct pl_shard *shard)
{
	if (shard->has_stopped)
		return;
	shard->has_stopped = true;
	atomic_store_explicit(&shard->is_stopping, true, memory_order_release);
	pl_waker_poke(&shard->waker);
	sem_post(&shard->may_go); /* one that was never let go */
	pthread_join(shard->thread, NULL);
}

void pl_shard_unlink(struct pl_shard *shard)
{
	for (size_t i = 0; i < PL_SFU_SHARDS_MAX; i++) {
		if (shard->to[i] == NULL)
			continue;
		pl_ring_fini(&shard->to[i]->ring);
		free(shard->to[i]);
		shard->to[i] = NULL;
	}
}

void pl_shard_destroy(struct pl_shard **owned)
{
	struct pl_shard *shard = *owned;
	if (shard == NULL)
		return;
	*owned = NULL;
	pl_shard_stop(shard);

	struct pl_command command;
	while (pl_ring_pop(&shard->commands, &command))
		free(command.description);
	sem_destroy(&shard->may_go);
	sem_destroy(&shard->is_settled);
	pl_ring_fini(&shard->events);
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

struct pl_ring *pl_shard_events(struct pl_shard *shard)
{
	return &shard->events;
}

uint16_t pl_shard_port(const struct pl_shard *shard)
{
	return shard->udp.port;
}

bool pl_shard_has_ipv6(const struct pl_shard *shard)
{
	return shard->udp.is_ipv6;
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

static void add_conference(struct pl_conference_counters *sum, const struct pl_conference_counters *add)
{
	sum->datagrams_in += add->datagrams_in;
	sum->datagrams_out += add->datagrams_out;
	sum->bytes_in += add->bytes_in;
	sum->bytes_out += add->bytes_out;
	sum->rtp_in += add->rtp_in;
	sum->rtp_out += add->rtp_out;
	sum->nacks_in += add->nacks_in;
	sum->crossed += add->crossed;
	sum->copied += add->copied;
	sum->pool_low += add->pool_low;
	sum->packets += add->packets;
	sum->packets_used += add->packets_used;
	sum->packets_used_max += add->packets_used_max;
	sum->participants += add->participants;
	sum->rooms += add->rooms;
	for (size_t i = 0; i < PL_DROP_COUNT; i++)
		sum->drop[i] += add->drop[i];
}

void pl_shard_add_counters(const struct pl_shard *shard, struct pl_sfu_counters *sum)
{
	uint64_t word[COUNTER_WORDS];
	for (size_t i = 0; i < COUNTER_WORDS; i++)
		word[i] = atomic_load_explicit(&shard->published[i], memory_order_relaxed);
	struct pl_sfu_counters counters;
	memcpy(&counters, word, sizeof counters);
	add_conference(&sum->conference, &counters.conference);
	sum->kernel_drops += counters.kernel_drops;
	sum->send_full += counters.send_full;
	sum->send_failed += counters.send_failed;
	sum->trains_cut += counters.trains_cut;
	sum->syscalls += counters.syscalls;
	sum->events_delayed += counters.events_delayed;
}
