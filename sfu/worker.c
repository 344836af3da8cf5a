#include "sfu/worker.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "sfu/io/clock.h"
#include "sfu/io/denormals.h"
#include "sfu/io/memory.h"
#include "sfu/io/published.h"
#include "sfu/io/pulse.h"
#include "sfu/io/thread.h"
#include "sfu/types.h"

enum {
	MESSAGES_PER_TURN = 256, /* of each shard, so that a flood of them does not keep a step waiting */
	PUBLISH_US = 100000,
	/* What a room will cost when somebody talks in it, as far as nobody does yet: a third of it, since most are silent. */
	ROOM_LOAD = 4,
};

_Static_assert(sizeof(struct pl_sfu_worker_counters) % sizeof(uint64_t) == 0, "counters are published by words");

struct shard_ways {
	uint8_t shard;
	struct pl_link *from, *to;
};

struct pl_worker {
	struct pl_worker_config config;
	struct pl_codec *codec;
	struct pl_waker waker;
	struct shard_ways ways[PL_SFU_SHARDS_MAX];
	size_t way_count;
	uint8_t way_at[PL_SFU_SHARDS_MAX]; /* by shard: the index in ways */
	struct pl_sfu_worker_counters counters;
	int64_t published_us, busy_published_us;
	const struct pl_dsp *dsp; /* as the codec has it; as counters.load_step, too */
	struct pl_pulse pulse;
	struct pl_thread thread;
	void *memory; /* the codec's */
	size_t memory_bytes;
	int pin_error;
	/* What others read and write. */
	_Alignas(64) atomic_uint wanted_step, least_step; /* the operator's, the ladder's */
	_Atomic(const struct pl_dsp *) wanted_dsp;
	atomic_uint placed; /* rooms that shards have chosen it for, ever */
	_Alignas(64) atomic_uint load, rooms,
		placed_seen; /* what choosing looks at; placed_seen: as many are in rooms */
	pl_published_word published[PL_PUBLISHED_WORDS(struct pl_sfu_worker_counters)];
	pl_published_word holding[PL_PUBLISHED_WORDS(struct pl_holding)];
	pl_published_word late[PL_PUBLISHED_WORDS(struct pl_histogram)];
};

/* ---- at work ---- */

static void release_packet(void *context, struct pl_packet *packet)
{
	pl_codec_release(((struct pl_worker *)context)->codec, packet);
}

static void drain(struct pl_worker *worker, int64_t now_us)
{
	uint8_t shard;
	struct pl_cross message;
	while (pl_codec_next(worker->codec, now_us, &shard, &message)) {
		if (pl_link_push(worker->ways[worker->way_at[shard]].to, &message))
			continue;
		pl_codec_count_drop(worker->codec, PL_DROP_CROSS_FULL);
		if (pl_cross_has_packet(&message))
			pl_codec_release(worker->codec, message.packet);
	}
}

/* A message's packet is read before the next is looked at. */
static void take_messages(struct pl_worker *worker, int64_t now_us)
{
	for (size_t i = 0; i < worker->way_count; i++) {
		struct pl_link *from = worker->ways[i].from;
		const struct pl_cross *message;
		pl_link_reap(worker->ways[i].to);
		while (from->taking < MESSAGES_PER_TURN && (message = pl_link_take(from)) != NULL) {
			pl_codec_take(worker->codec, now_us, worker->ways[i].shard, message);
			drain(worker, now_us);
		}
		if (from->taking > 0)
			pl_pulse_note_ring(&worker->pulse, pl_ring_waiting(&from->ring), PL_LINK_MEDIA_MAX);
		pl_link_done(from);
	}
}

/* What others have set, as the codec likes it: between two steps. */
static void take_settings(struct pl_worker *worker)
{
	const unsigned wanted = atomic_load_explicit(&worker->wanted_step, memory_order_relaxed);
	const unsigned least = atomic_load_explicit(&worker->least_step, memory_order_relaxed);
	const uint8_t step = (uint8_t)(wanted > least ? wanted : least);
	const struct pl_dsp *dsp = atomic_load_explicit(&worker->wanted_dsp, memory_order_relaxed);
	if (step != worker->counters.load_step)
		pl_codec_set_load(worker->codec, (struct pl_mixer_load){ .step = step });
	if (dsp != worker->dsp)
		pl_codec_set_dsp(worker->codec, dsp);
	worker->counters.load_step = step;
	worker->dsp = dsp;
}

static void turn(struct pl_worker *worker, int64_t now_us)
{
	take_settings(worker);
	take_messages(worker, now_us);
	if (pl_codec_deadline(worker->codec) <= now_us) {
		pl_codec_tick(worker->codec, now_us);
		drain(worker, now_us);
	}
}

static void tell_pulse(struct pl_worker *worker, int64_t now_us)
{
	for (size_t i = 0; i < worker->way_count; i++)
		pl_pulse_note_ring(&worker->pulse, pl_link_used(worker->ways[i].to), PL_LINK_MEDIA_MAX);
	pl_pulse_tell(&worker->pulse, now_us, pl_codec_pool_permille(worker->codec));
}

static void publish(struct pl_worker *worker, int64_t now_us, bool is_idle)
{
	struct pl_sfu_worker_counters *counters = &worker->counters;
	if (pl_pulse_is_due(&worker->pulse, now_us))
		tell_pulse(worker, now_us);
	const unsigned placed = atomic_load_explicit(&worker->placed, memory_order_acquire);
	counters->codec = pl_codec_counters(worker->codec);
	if (counters->codec.late_us_max > counters->late_us_max)
		counters->late_us_max = counters->codec.late_us_max;
	const int64_t passed_us = now_us - worker->published_us;
	const uint64_t busy_us = counters->busy_us - (uint64_t)worker->busy_published_us;
	const uint64_t load = passed_us > 0 ? busy_us * 1000 / (uint64_t)passed_us : counters->load;
	counters->load = is_idle ? 0 : (counters->load * 3 + load) / 4;
	worker->published_us = now_us;
	worker->busy_published_us = (int64_t)counters->busy_us;

	pl_published_write(worker->published, counters, sizeof *counters);
	struct pl_holding holding = { 0 };
	pl_codec_add_holding(worker->codec, &holding);
	pl_published_write(worker->holding, &holding, sizeof holding);
	pl_published_write(worker->late, pl_codec_lateness(worker->codec), sizeof(struct pl_histogram));
	atomic_store_explicit(&worker->load, (unsigned)counters->load, memory_order_relaxed);
	atomic_store_explicit(&worker->rooms, counters->codec.rooms, memory_order_relaxed);
	atomic_store_explicit(&worker->placed_seen, placed, memory_order_release);
}

/* Nothing is due soon: until a message. */
static void sleep_until_message(struct pl_worker *worker, int64_t now_us, int64_t deadline_us)
{
	const bool is_idle = deadline_us == INT64_MAX;
	if (is_idle)
		publish(worker, now_us, true);
	if (!pl_waker_prepare_sleep(&worker->waker))
		return;
	struct pollfd fd = { .fd = worker->waker.event_fd, .events = POLLIN };
	const int64_t wait_us = deadline_us - now_us;
	const struct timespec timeout = pl_clock_timespec(wait_us);
	pl_pulse_sleep(&worker->pulse, now_us, deadline_us);
	ppoll(&fd, 1, deadline_us != INT64_MAX ? &timeout : NULL, NULL);
	worker->counters.waits++;
	if (fd.revents != 0)
		pl_waker_wake_up(&worker->waker);
	else
		pl_waker_stay_awake(&worker->waker);
	/* The time without any work is no part of what is measured next. */
	if (is_idle)
		worker->published_us = pl_clock_now_us();
}

/* Returns when it was to begin a turn; INT64_MAX: when it is woken. */
static int64_t wait_for_work(struct pl_worker *worker, int64_t now_us)
{
	const int64_t deadline_us = pl_codec_deadline(worker->codec);
	if (deadline_us <= now_us)
		return deadline_us;
	if (deadline_us - now_us > PL_MIXER_TICK_US) {
		sleep_until_message(worker, now_us, deadline_us);
		return deadline_us;
	}
	/* Not for longer than a step: there may be G.711 to transcode. */
	const int64_t until_us = deadline_us < now_us + PL_CODEC_STEP_US ? deadline_us : now_us + PL_CODEC_STEP_US;
	pl_pulse_sleep(&worker->pulse, now_us, until_us);
	pl_clock_sleep_until(until_us);
	worker->counters.waits++;
	return until_us;
}

static void run(void *owner)
{
	struct pl_worker *worker = owner;
	int64_t now_us = pl_clock_now_us();
	worker->published_us = now_us;
	pl_pulse_start(&worker->pulse, now_us);
	take_settings(worker); /* so that one without work tells them, too */
	while (!pl_thread_is_stopping(&worker->thread)) {
		const int64_t due_us = wait_for_work(worker, now_us), begin_us = pl_clock_now_us();
		pl_pulse_wake(&worker->pulse, begin_us);
		pl_pulse_turn(&worker->pulse, begin_us, due_us);
		turn(worker, begin_us);
		now_us = pl_clock_now_us();
		worker->counters.busy_us += (uint64_t)(now_us - begin_us);
		if (now_us - worker->published_us >= PUBLISH_US)
			publish(worker, now_us, false);
	}
}

/* ---- start and end ---- */

/* The thread goes to its CPUs, and what memory it touches from there is near. */
static enum pl_err settle(void *owner)
{
	struct pl_worker *worker = owner;
	worker->pin_error = pthread_setaffinity_np(pthread_self(), sizeof worker->config.cpus, &worker->config.cpus);
	pl_memory_prefer(worker->config.node);
	setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + PL_WORKER_NICE); /* of this thread, on Linux */
	pl_dsp_flush_denormals();
	worker->memory_bytes = pl_codec_bytes(&worker->config.codec);
	worker->memory = mmap(
		NULL, worker->memory_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (worker->memory == MAP_FAILED) {
		worker->memory = NULL;
		return PL_ERR_NO_MEMORY;
	}
	pl_codec_init(&worker->codec, &worker->config.codec,
		(struct pl_span){ .data = worker->memory, .size = worker->memory_bytes });
	return PL_ERR_NONE;
}

enum pl_err pl_worker_create(struct pl_worker **out, const struct pl_worker_config *config)
{
	PL_ASSERT(config->index < PL_WORKERS_MAX);
	struct pl_worker *worker = aligned_alloc(PL_LINE_BYTES, pl_whole_lines(sizeof *worker));
	if (worker == NULL)
		return PL_ERR_NO_MEMORY;
	memset(worker, 0, sizeof *worker);
	worker->config = *config;
	worker->dsp = config->codec.dsp;
	pl_pulse_init(&worker->pulse);
	atomic_init(&worker->wanted_step, PL_WORKER_LOAD_STEP);
	atomic_init(&worker->wanted_dsp, config->codec.dsp);
	enum pl_err err = pl_waker_init(&worker->waker);
	if (err != PL_ERR_NONE)
		goto fail_waker;
	char name[16];
	snprintf(name, sizeof name, "codec-%u", (unsigned)config->index);
	const struct pl_thread_duty duty = { .settle = settle, .run = run, .waker = &worker->waker, .owner = worker };
	err = pl_thread_start(&worker->thread, name, &duty);
	if (err != PL_ERR_NONE)
		goto fail_thread;
	*out = worker;
	return PL_ERR_NONE;

fail_thread:
	pl_waker_fini(&worker->waker);
fail_waker:
	free(worker);
	return err;
}

enum pl_err pl_worker_wait(struct pl_worker *worker)
{
	return pl_thread_wait(&worker->thread);
}

struct pl_waker *pl_worker_waker(struct pl_worker *worker)
{
	return &worker->waker;
}

void pl_worker_link(struct pl_worker *worker, uint8_t shard, struct pl_link *from, struct pl_link *to)
{
	PL_ASSERT(shard < PL_SFU_SHARDS_MAX && worker->way_count < PL_COUNT(worker->ways));
	to->owner = (struct pl_link_owner){ .release = release_packet, .context = worker };
	worker->way_at[shard] = (uint8_t)worker->way_count;
	worker->ways[worker->way_count++] = (struct shard_ways){ .shard = shard, .from = from, .to = to };
}

void pl_worker_go(struct pl_worker *worker)
{
	pl_thread_go(&worker->thread);
}

void pl_worker_ask_to_stop(struct pl_worker *worker)
{
	pl_thread_ask_to_stop(&worker->thread);
}

void pl_worker_stop(struct pl_worker *worker)
{
	pl_thread_stop(&worker->thread);
}

void pl_worker_destroy(struct pl_worker **owned)
{
	struct pl_worker *worker = *owned;
	if (worker == NULL)
		return;
	*owned = NULL;
	pl_worker_stop(worker);
	if (worker->memory != NULL)
		munmap(worker->memory, worker->memory_bytes);
	pl_waker_fini(&worker->waker);
	free(worker);
}

/* ---- from other threads ---- */

static unsigned expected_load(struct pl_worker *worker)
{
	const unsigned seen = atomic_load_explicit(&worker->placed_seen, memory_order_acquire);
	const unsigned placed = atomic_load_explicit(&worker->placed, memory_order_relaxed);
	const unsigned rooms = atomic_load_explicit(&worker->rooms, memory_order_relaxed) + (placed - seen);
	return atomic_load_explicit(&worker->load, memory_order_relaxed) + rooms * ROOM_LOAD;
}

uint8_t pl_worker_choose(struct pl_worker *const worker[], size_t count)
{
	PL_ASSERT(count > 0);
	size_t best = 0;
	unsigned least = expected_load(worker[0]);
	for (size_t i = 1; i < count; i++) {
		const unsigned load = expected_load(worker[i]);
		if (load >= least)
			continue;
		least = load;
		best = i;
	}
	atomic_fetch_add_explicit(&worker[best]->placed, 1, memory_order_release);
	return worker[best]->config.index;
}

void pl_worker_counters(const struct pl_worker *worker, struct pl_sfu_worker_counters *counters)
{
	pl_published_read(worker->published, counters, sizeof *counters);
}

void pl_worker_set_load_step(struct pl_worker *worker, uint8_t step)
{
	PL_ASSERT(step < PL_MIXER_LOAD_STEPS);
	atomic_store_explicit(&worker->wanted_step, step, memory_order_relaxed);
	pl_waker_poke(&worker->waker); /* one without work tells the step it has */
}

uint8_t pl_worker_load_step(const struct pl_worker *worker)
{
	return (uint8_t)atomic_load_explicit(&worker->wanted_step, memory_order_relaxed);
}

void pl_worker_relieve(struct pl_worker *worker, uint8_t least_step)
{
	PL_ASSERT(least_step < PL_MIXER_LOAD_STEPS);
	if (atomic_load_explicit(&worker->least_step, memory_order_relaxed) == least_step)
		return;
	atomic_store_explicit(&worker->least_step, least_step, memory_order_relaxed);
	pl_waker_poke(&worker->waker);
}

void pl_worker_add_holding(const struct pl_worker *worker, struct pl_holding *sum)
{
	struct pl_holding holding;
	pl_published_read(worker->holding, &holding, sizeof holding);
	pl_holding_add(sum, &holding);
}

void pl_worker_lateness(const struct pl_worker *worker, struct pl_histogram *late)
{
	pl_published_read(worker->late, late, sizeof *late);
}

void pl_worker_load(const struct pl_worker *worker, int64_t now_us, struct pl_load *load)
{
	pl_pulse_read(&worker->pulse, now_us, load);
}

int64_t pl_worker_due_us(const struct pl_worker *worker, int64_t now_us, struct pl_worker_watch *watch)
{
	const int64_t due_us = pl_pulse_due_us(&worker->pulse);
	if (due_us != INT64_MAX || atomic_load_explicit(&worker->waker.is_sleeping, memory_order_relaxed) != 0) {
		watch->woken_us = 0;
		return due_us;
	}
	if (watch->woken_us == 0)
		watch->woken_us = now_us;
	return watch->woken_us;
}

void pl_worker_load_watched(
	const struct pl_worker *worker, int64_t now_us, struct pl_worker_watch *watch, struct pl_load *load)
{
	pl_pulse_read_due(&worker->pulse, now_us, pl_worker_due_us(worker, now_us, watch), load);
}

void pl_worker_set_dsp(struct pl_worker *worker, const struct pl_dsp *dsp)
{
	atomic_store_explicit(&worker->wanted_dsp, dsp, memory_order_relaxed);
}

int pl_worker_pin_error(const struct pl_worker *worker)
{
	return worker->pin_error;
}

int pl_worker_node(const struct pl_worker *worker)
{
	return worker->config.node;
}
