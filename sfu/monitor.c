#include "sfu/monitor.h"

#include <poll.h>
#include <stdlib.h>

#include "media/trace.h"
#include "sfu/io/clock.h"
#include "sfu/io/probe.h"
#include "sfu/io/published.h"
#include "sfu/io/thread.h"
#include "sfu/meter.h"
#include "sfu/strain.h"

enum {
	EVENTS = 64,
	/* Signaling admits against what it was told: it may be so far off, or so old above nominal.  An idle server is not woken. */
	TELL_PERMILLE = 50,
	TELL_US = 1000000,
};

_Static_assert(sizeof(struct pl_sfu_pressure) % sizeof(uint64_t) == 0, "it is published by words");

struct pl_monitor {
	struct pl_meter meter;
	struct pl_probe probe;
	bool is_triggered;
	struct pl_rate others_rate; /* of the namespace's full receive queues */
	struct pl_strain shard_strain[PL_SFU_SHARDS_MAX], worker_strain[PL_WORKERS_MAX];
	struct pl_worker_watch worker_watch[PL_WORKERS_MAX];
	uint64_t cpu_us, cpu_seen_us, deferred_seen_us; /* of the process: without what was deferred; as read */
	struct pl_sfu_pressure now;
	struct pl_relief relief; /* as others were told */
	struct pl_pressure told;
	int64_t told_us;       /* INT64_MIN: never */
	struct pl_waker waker; /* its own: to be stopped, and to look at once at what was forced */
	struct pl_ring events;
	struct pl_shard *const *shard;
	size_t shard_count;
	const struct pl_workers *workers;
	const struct pl_canary_thread *canary;
	struct pl_thread thread;
	atomic_uint forced;
	_Atomic uint64_t connection_bytes;
	pl_published_word published[PL_PUBLISHED_WORDS(struct pl_sfu_pressure)];
	struct pl_monitor_config config;
};

/* ---- what it tells ---- */

static bool is_news(const struct pl_monitor *monitor, int64_t now_us, const struct pl_pressure *now)
{
	const struct pl_pressure *told = &monitor->told;
	const int moved = (int)now->score_permille - told->score_permille;
	if (monitor->told_us == INT64_MIN || now->level != told->level || now->is_forced != told->is_forced)
		return true;
	if (now->level != PL_PRESSURE_NOMINAL && (now->cause != told->cause || now_us - monitor->told_us >= TELL_US))
		return true;
	return abs(moved) >= TELL_PERMILLE;
}

/* A full ring gets it with the next sample. */
static void tell(struct pl_monitor *monitor, int64_t now_us, const struct pl_pressure *now)
{
	if (!is_news(monitor, now_us, now))
		return;
	const struct pl_event event = { .kind = PL_EVENT_PRESSURE, .pressure = *now };
	if (!pl_ring_push(&monitor->events, &event)) {
		monitor->now.events_delayed++;
		return;
	}
	monitor->told = *now;
	monitor->told_us = now_us;
}

static void publish(struct pl_monitor *monitor, const struct pl_pressure *pressure)
{
	struct pl_sfu_pressure *now = &monitor->now;
	if (pressure->level > now->now.level)
		now->raised++;
	if (pressure->level != now->now.level)
		PL_TRACE(pressure, pressure->level, pl_pressure_input_name(pressure->cause), pressure->score_permille);
	now->now = *pressure;
	now->samples++;
	pl_published_write(monitor->published, now, sizeof *now);
}

/* ---- what it takes away ---- */

static void relieve(struct pl_monitor *monitor, const struct pl_pressure *now)
{
	const struct pl_ladder *ladder = pl_pressure_ladder(now->level);
	monitor->relief = pl_relief_of(ladder, now->cause, &monitor->relief);
	for (size_t i = 0; i < monitor->shard_count; i++)
		pl_shard_relieve(monitor->shard[i], &monitor->relief);
	for (size_t i = 0; i < monitor->workers->count; i++)
		pl_worker_relieve(monitor->workers->worker[i], ladder->load_step);
}

/* ---- its turns ---- */

/* Returns how long handshakes and joins took, ever. */
static uint64_t add_shards(struct pl_monitor *monitor, int64_t now_us, struct pl_pressure_sample *sample)
{
	uint64_t deferred_us = 0;
	for (size_t i = 0; i < monitor->shard_count; i++) {
		struct pl_load load;
		struct pl_sfu_counters counters = { .kernel_drops = 0 };
		pl_shard_load(monitor->shard[i], now_us, &load);
		pl_shard_add_counters(monitor->shard[i], &counters);
		pl_strain_add_shard(sample, &monitor->shard_strain[i], now_us, &load, counters.conference.datagrams_in,
			counters.kernel_drops);
		deferred_us += load.deferred_us;
	}
	return deferred_us;
}

static void add_workers(struct pl_monitor *monitor, int64_t now_us, struct pl_pressure_sample *sample)
{
	for (size_t i = 0; i < monitor->workers->count; i++) {
		struct pl_load load;
		struct pl_sfu_worker_counters counters;
		pl_worker_load_watched(monitor->workers->worker[i], now_us, &monitor->worker_watch[i], &load);
		pl_worker_counters(monitor->workers->worker[i], &counters);
		pl_strain_add_worker(
			sample, &monitor->worker_strain[i], now_us, &load, counters.codec.steps, counters.codec.late);
	}
}

/* A thread that waited for a CPU while it was deferred was longer at it than it had one: nothing is taken off twice. */
static void take_off_deferred(struct pl_monitor *monitor, uint64_t deferred_us, struct pl_pressure_reading *cpu)
{
	const uint64_t used_us = cpu->part - monitor->cpu_seen_us, spent_us = deferred_us - monitor->deferred_seen_us;
	monitor->cpu_us += used_us > spent_us ? used_us - spent_us : 0;
	monitor->cpu_seen_us = cpu->part;
	monitor->deferred_seen_us = deferred_us;
	cpu->part = monitor->cpu_us;
}

static void add_canary(const struct pl_monitor *monitor, int64_t now_us, struct pl_pressure_sample *sample)
{
	struct pl_canary_report report;
	if (monitor->canary == NULL)
		return;
	pl_canary_thread_read(monitor->canary, now_us, &report);
	const uint16_t permille = pl_canary_pressure(&report);
	if (permille != PL_PRESSURE_ABSENT)
		sample->input[PL_PRESSURE_CANARY] = (struct pl_pressure_reading){ .part = permille, .whole = 1000 };
}

static void look(struct pl_monitor *monitor, int64_t now_us)
{
	struct pl_pressure_sample sample = { 0 };
	struct pl_probe_udp udp;
	struct pl_holding holding;
	pl_monitor_holding(monitor, &holding);
	pl_probe_read(&monitor->probe, now_us, pl_holding_total(&holding), monitor->is_triggered, &sample, &udp);
	take_off_deferred(monitor, add_shards(monitor, now_us, &sample), &sample.input[PL_PRESSURE_CPU]);
	add_workers(monitor, now_us, &sample);
	pl_strain_add_others(&sample, &monitor->others_rate, PL_PROBE_TURNS, udp.datagrams, udp.queue_full);
	add_canary(monitor, now_us, &sample);
	pl_meter_force(&monitor->meter, pl_monitor_forced(monitor));
	const struct pl_pressure *now = pl_meter_feed(&monitor->meter, now_us, &sample);
	relieve(monitor, now);
	publish(monitor, now);
	tell(monitor, now_us, now);
}

/* True: somebody wants it to look now. */
static bool wait_until(struct pl_monitor *monitor, int64_t until_us)
{
	struct pollfd fds[] = { { .fd = monitor->waker.event_fd, .events = POLLIN },
		{ .fd = monitor->probe.trigger_fd, .events = POLLPRI } };
	const int64_t wait_us = until_us - pl_clock_now_us();
	const struct timespec timeout = pl_clock_timespec(wait_us > 0 ? wait_us : 0);
	ppoll(fds, PL_COUNT(fds), &timeout, NULL);
	if (fds[0].revents != 0)
		pl_waker_wake_up(&monitor->waker);
	monitor->is_triggered = (fds[1].revents & POLLPRI) != 0;
	if ((fds[1].revents & POLLERR) != 0)
		pl_probe_drop_trigger(&monitor->probe); /* its group has ended */
	return fds[0].revents != 0;
}

static void run(void *owner)
{
	struct pl_monitor *monitor = owner;
	int64_t next_us = pl_clock_now_us();
	pl_meter_init(&monitor->meter, next_us);
	while (!pl_thread_is_stopping(&monitor->thread)) {
		const int64_t now_us = pl_clock_now_us();
		look(monitor, now_us);
		next_us += PL_PRESSURE_PERIOD_US;
		if (next_us <= now_us) {
			monitor->now.samples_late++;
			next_us = now_us + PL_PRESSURE_PERIOD_US;
		}
		/* Looks are a period apart from then on, so that no window of a thread counts for two. */
		if (wait_until(monitor, next_us))
			next_us = pl_clock_now_us();
	}
}

/* ---- start and end ---- */

static enum pl_err settle(void *owner)
{
	struct pl_monitor *monitor = owner;
	pl_probe_open(&monitor->probe, monitor->config.root, pl_clock_now_us());
	for (size_t i = 0; i < PL_SFU_SHARDS_MAX; i++)
		monitor->shard_strain[i].own.allowed_mcpu = monitor->probe.allowed_mcpu;
	for (size_t i = 0; i < PL_WORKERS_MAX; i++)
		monitor->worker_strain[i].own.allowed_mcpu = monitor->probe.allowed_mcpu;
	return PL_ERR_NONE;
}

enum pl_err pl_monitor_create(struct pl_monitor **out, const struct pl_monitor_config *config)
{
	struct pl_monitor *monitor = aligned_alloc(PL_LINE_BYTES, pl_whole_lines(sizeof *monitor));
	if (monitor == NULL)
		return PL_ERR_NO_MEMORY;
	memset(monitor, 0, sizeof *monitor);
	monitor->config = *config;
	atomic_init(&monitor->forced, config->forced);
	monitor->now.now.cause = PL_PRESSURE_INPUTS;
	monitor->told_us = INT64_MIN;
	enum pl_err err = pl_waker_init(&monitor->waker);
	if (err != PL_ERR_NONE)
		goto fail_waker;
	err = pl_ring_init(&monitor->events, config->waker, EVENTS, sizeof(struct pl_event));
	if (err != PL_ERR_NONE)
		goto fail_events;
	const struct pl_thread_duty duty = { .settle = settle, .run = run, .waker = &monitor->waker, .owner = monitor };
	err = pl_thread_start(&monitor->thread, "monitor", &duty);
	if (err != PL_ERR_NONE)
		goto fail_thread;
	*out = monitor;
	return PL_ERR_NONE;

fail_thread:
	pl_ring_fini(&monitor->events);
fail_events:
	pl_waker_fini(&monitor->waker);
fail_waker:
	free(monitor);
	return err;
}

enum pl_err pl_monitor_wait(struct pl_monitor *monitor)
{
	return pl_thread_wait(&monitor->thread);
}

const char *pl_monitor_missing(const struct pl_monitor *monitor)
{
	return pl_probe_missing(&monitor->probe);
}

void pl_monitor_go(struct pl_monitor *monitor, struct pl_shard *const shard[], size_t shard_count,
	const struct pl_workers *workers, const struct pl_canary_thread *canary)
{
	monitor->shard = shard;
	monitor->shard_count = shard_count;
	monitor->workers = workers;
	monitor->canary = canary;
	pl_thread_go(&monitor->thread);
}

void pl_monitor_ask_to_stop(struct pl_monitor *monitor)
{
	pl_thread_ask_to_stop(&monitor->thread);
}

void pl_monitor_stop(struct pl_monitor *monitor)
{
	pl_thread_stop(&monitor->thread);
}

void pl_monitor_destroy(struct pl_monitor **owned)
{
	struct pl_monitor *monitor = *owned;
	if (monitor == NULL)
		return;
	*owned = NULL;
	pl_monitor_stop(monitor);
	pl_probe_close(&monitor->probe);
	pl_ring_fini(&monitor->events);
	pl_waker_fini(&monitor->waker);
	free(monitor);
}

/* ---- from other threads ---- */

struct pl_waker *pl_monitor_waker(struct pl_monitor *monitor)
{
	return &monitor->waker;
}

struct pl_ring *pl_monitor_events(struct pl_monitor *monitor)
{
	return &monitor->events;
}

void pl_monitor_force(struct pl_monitor *monitor, uint8_t level)
{
	PL_ASSERT(level <= PL_PRESSURE_LEVELS);
	atomic_store_explicit(&monitor->forced, level, memory_order_relaxed);
	pl_waker_poke(&monitor->waker);
}

uint8_t pl_monitor_forced(const struct pl_monitor *monitor)
{
	return (uint8_t)atomic_load_explicit(&monitor->forced, memory_order_relaxed);
}

void pl_monitor_account(struct pl_monitor *monitor, uint64_t bytes)
{
	atomic_store_explicit(&monitor->connection_bytes, bytes, memory_order_relaxed);
}

void pl_monitor_holding(const struct pl_monitor *monitor, struct pl_holding *sum)
{
	*sum = (struct pl_holding){ 0 };
	for (size_t i = 0; i < monitor->shard_count; i++)
		pl_shard_add_holding(monitor->shard[i], sum);
	for (size_t i = 0; i < monitor->workers->count; i++)
		pl_worker_add_holding(monitor->workers->worker[i], sum);
	sum->bytes[PL_HOLDING_CONNECTIONS] = atomic_load_explicit(&monitor->connection_bytes, memory_order_relaxed);
}

void pl_monitor_read(const struct pl_monitor *monitor, struct pl_sfu_pressure *now)
{
	pl_published_read(monitor->published, now, sizeof *now);
}
