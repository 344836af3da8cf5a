#include "tests/load/worker.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum {
	SLICES = LOAD_WORKER_SWEEP_MS / 2, /* of two milliseconds each */
	SLICE_US = LOAD_WORKER_SWEEP_MS * 1000 / SLICES,
	SLICE_EARLY_US =
		SLICE_US / 2, /* who is awake for a publisher's turn need not wake again for the slice behind it */
	WAIT_US_MIN = 200,    /* turns that are closer together are taken together */
	EVENTS = 64,
	TIMER_SLACK_NS = 10000,
	RECEIVES_MAX = 8, /* of one socket in a row, so that one flood does not starve the others */
};

static int64_t clock_ns(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void read_clocks(struct load_worker *w)
{
	const int64_t monotonic_ns = clock_ns(CLOCK_MONOTONIC);
	w->context.now_us = monotonic_ns / 1000;
	w->context.realtime_offset_ns = clock_ns(CLOCK_REALTIME) - monotonic_ns;
}

/* ---- one client ---- */

static void watch(struct load_worker *w, struct load_client *client)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = client->index };
	client->is_in_epoll = epoll_ctl(w->epoll, EPOLL_CTL_ADD, client->fd, &event) == 0;
}

static void unwatch(struct load_worker *w, struct load_client *client)
{
	if (client->is_in_epoll)
		epoll_ctl(w->epoll, EPOLL_CTL_DEL, client->fd, NULL);
	client->is_in_epoll = false;
}

static bool is_set_up(const struct load_client *client)
{
	return client->state == LOAD_CLIENT_CONNECTED && (client->slots == 0 || client->media_us != 0);
}

/* Counts the steps of a client that may just have taken one. */
static void follow(struct load_worker *w, struct load_client *client, enum load_client_state before)
{
	if (client->connected_us != 0 && before < LOAD_CLIENT_CONNECTED)
		atomic_fetch_add_explicit(&w->connected, 1, memory_order_relaxed);
	if (client->state == LOAD_CLIENT_FAILED && before != LOAD_CLIENT_FAILED)
		atomic_fetch_add_explicit(client->connected_us != 0 ? &w->lost : &w->failed, 1, memory_order_relaxed);
	if (client->is_in_epoll && (client->state == LOAD_CLIENT_FAILED || is_set_up(client)))
		unwatch(w, client);
}

static void receive(struct load_worker *w, struct load_client *client)
{
	const enum load_client_state before = client->state;
	struct load_arrival arrival;
	for (int i = 0; i < RECEIVES_MAX; i++) {
		const int count = load_batch_receive(&w->batch, client->fd);
		if (count < 0)
			load_client_fail(client, "the server's UDP port is closed");
		while (load_batch_next(&w->batch, &arrival))
			load_client_feed(client, &w->context, &arrival);
		if (count < LOAD_BATCH_MESSAGES)
			break;
	}
	follow(w, client, before);
}

static void tick(struct load_worker *w, struct load_client *client)
{
	const enum load_client_state before = client->state;
	load_client_tick(client, &w->context);
	follow(w, client, before);
}

/* ---- turns ---- */

/* The publishers of all workers share one frame evenly; each has its turn at the same place in every frame. */
static bool make_turns(struct load_worker *w)
{
	const struct load_worker_config *config = &w->config;
	const struct load_options *options = config->options;
	const uint32_t total = options->rooms * options->publishers;
	const uint32_t per_room = options->publishers + options->receivers;
	uint32_t rank = 0;
	int64_t room_epoch_us = config->epoch_us;
	w->publisher = calloc(total > 0 ? total : 1, sizeof *w->publisher);
	if (w->publisher == NULL)
		return false;
	for (uint32_t i = 0; i < config->client_count; i++) {
		struct load_client *client = &config->clients[i];
		const int64_t place_us = total > 0 ? INT64_C(1000000) * rank / ((int64_t)total * options->rate_hz) : 0;
		if (i % per_room == 0)
			room_epoch_us = config->epoch_us + place_us;
		if (i % options->threads == config->index)
			client->room_epoch_us = room_epoch_us;
		if (!client->is_publisher)
			continue;
		rank++;
		if (i % options->threads != config->index)
			continue;
		client->publication.due_us = config->epoch_us + place_us;
		w->publisher[w->publisher_count++] = i;
	}
	return true;
}

static struct load_client *next_publisher(struct load_worker *w)
{
	return w->publisher_count > 0 ? &w->config.clients[w->publisher[w->publisher_next]] : NULL;
}

static void publish_due(struct load_worker *w)
{
	const int64_t frame_us = INT64_C(1000000) / w->config.options->rate_hz;
	struct load_client *client = next_publisher(w);
	for (; client != NULL && client->publication.due_us <= w->context.now_us; client = next_publisher(w)) {
		const int64_t late_us = w->context.now_us - client->publication.due_us;
		const enum load_client_state before = client->state;
		if (client->state == LOAD_CLIENT_CONNECTED && w->seen_phase < LOAD_PHASE_DRAIN) {
			load_client_publish(client, &w->context, PL_DATAGRAM_SIZE_MAX - PL_RTP_HEADER_SIZE_MAX);
			if (w->context.is_measuring)
				load_histogram_add(&w->late_ns, (uint64_t)late_us * 1000);
			follow(w, client, before);
		}
		client->publication.due_us += frame_us;
		w->publisher_next = (w->publisher_next + 1) % w->publisher_count;
	}
}

static void sweep_range(struct load_worker *w, uint32_t first, uint32_t end)
{
	const uint32_t threads = w->config.options->threads;
	for (uint32_t i = first; i < end; i++) {
		struct load_client *client = &w->config.clients[i * threads + w->config.index];
		if (client->state == LOAD_CLIENT_CONNECTED && !client->is_in_epoll)
			receive(w, client);
		if (client->deadline_us <= w->context.now_us)
			tick(w, client);
	}
}

static uint32_t own_clients(const struct load_worker *w)
{
	const uint32_t threads = w->config.options->threads;
	return (w->config.client_count + threads - 1 - w->config.index) / threads;
}

static void sweep_due(struct load_worker *w)
{
	const uint64_t count = own_clients(w);
	while (w->slice_us <= w->context.now_us + SLICE_EARLY_US) {
		sweep_range(w, (uint32_t)(count * w->slice / SLICES), (uint32_t)(count * (w->slice + 1) / SLICES));
		w->slice = (w->slice + 1) % SLICES;
		w->slice_us += SLICE_US;
		read_clocks(w);
		publish_due(w);
		/* When the machine is too slow for this load, sweeps are left out and not made up for. */
		if (w->context.now_us - w->slice_us > LOAD_WORKER_SWEEP_MS * 1000)
			w->slice_us = w->context.now_us;
	}
}

/* ---- phases ---- */

static void enter(struct load_worker *w, int phase)
{
	const struct load_options *options = w->config.options;
	w->seen_phase = phase;
	sweep_range(w, 0, own_clients(w));
	read_clocks(w);
	if (phase == LOAD_PHASE_MEASURE) {
		for (uint32_t i = 0; i < own_clients(w); i++) {
			struct load_client *client = &w->config.clients[i * options->threads + w->config.index];
			if (client->state != LOAD_CLIENT_CONNECTED)
				continue;
			if (options->drop_media && !client->is_watched && !load_socket_drop_rtp(client->fd))
				load_client_fail(client, "the kernel does not take the filter of drop_media");
			load_client_begin(client);
		}
	}
	w->context.is_measuring = phase == LOAD_PHASE_MEASURE || phase == LOAD_PHASE_DRAIN;
}

static void take_handed(struct load_worker *w)
{
	pthread_mutex_lock(&w->lock);
	while (w->handed_count > 0) {
		struct load_client *client = &w->config.clients[w->handed[--w->handed_count]];
		pthread_mutex_unlock(&w->lock);
		watch(w, client);
		load_client_start(client, &w->context);
		follow(w, client, LOAD_CLIENT_NEW);
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
}

static void wait_and_take(struct load_worker *w)
{
	struct epoll_event event[EVENTS];
	const struct load_client *publisher = next_publisher(w);
	int64_t due_us = w->slice_us;
	if (publisher != NULL && publisher->publication.due_us < due_us)
		due_us = publisher->publication.due_us;
	int64_t wait_us = due_us - w->context.now_us;
	if (wait_us > 0 && wait_us < WAIT_US_MIN)
		wait_us = WAIT_US_MIN;
	const struct timespec timeout = { .tv_nsec = wait_us > 0 ? wait_us * 1000 : 0 };
	const int count = epoll_pwait2(w->epoll, event, EVENTS, &timeout, NULL);
	read_clocks(w);
	for (int i = 0; i < count; i++) {
		uint64_t unused;
		if (event[i].data.u32 != UINT32_MAX)
			receive(w, &w->config.clients[event[i].data.u32]);
		else if (read(w->wake, &unused, sizeof unused) > 0)
			take_handed(w);
	}
}

static void *run(void *argument)
{
	struct load_worker *w = argument;
	prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
	prctl(PR_SET_NAME, "load-worker");
	read_clocks(w);
	w->slice_us = w->context.now_us;
	while (w->seen_phase != LOAD_PHASE_STOP) {
		const int phase = atomic_load_explicit(&w->phase, memory_order_acquire);
		if (phase != w->seen_phase)
			enter(w, phase);
		publish_due(w);
		sweep_due(w);
		atomic_store_explicit(&w->received, w->context.received, memory_order_relaxed);
		wait_and_take(w);
	}
	return NULL;
}

/* ---- main's side ---- */

static bool open_descriptors(struct load_worker *w)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = UINT32_MAX };
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return w->epoll >= 0 && w->wake >= 0 && epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->wake, &event) == 0;
}

static void free_all(struct load_worker *w)
{
	pl_srtp_engine_destroy(&w->context.srtp);
	if (w->epoll >= 0)
		close(w->epoll);
	if (w->wake >= 0)
		close(w->wake);
	pthread_mutex_destroy(&w->lock);
	free(w->publisher);
	free(w->handed);
	free(w);
}

struct load_worker *load_worker_create(const struct load_worker_config *config)
{
	struct load_worker *w = calloc(1, sizeof *w);
	if (w == NULL)
		return NULL;
	w->config = *config;
	w->epoll = w->wake = -1;
	w->context.identity = config->identity;
	w->context.timeout_s = config->options->timeout_s;
	w->context.epoch_us = config->epoch_us;
	w->context.is_mixed = load_options_is_mixed(config->options);
	w->context.has_pulses = config->options->sound == LOAD_SOUND_PULSE;
	w->context.templates = config->speech != NULL ? config->speech->templates : NULL;
	pl_rng_init(&w->context.rng, config->options->seed + config->index);
	pthread_mutex_init(&w->lock, NULL);
	load_batch_init(&w->batch);
	w->handed = calloc(config->client_count, sizeof *w->handed);
	if (w->handed == NULL || pl_srtp_engine_create(&w->context.srtp, PL_SRTP_AUTO) != PL_ERR_NONE ||
		!make_turns(w) || !open_descriptors(w) || pthread_create(&w->thread, NULL, run, w) != 0) {
		free_all(w);
		return NULL;
	}
	return w;
}

static void wake_up(struct load_worker *w)
{
	const uint64_t one = 1;
	if (write(w->wake, &one, sizeof one) < 0)
		return; /* the counter is full: it is awake */
}

void load_worker_hand_over(struct load_worker *w, uint32_t client_index)
{
	pthread_mutex_lock(&w->lock);
	PL_ASSERT(w->handed_count < w->config.client_count);
	w->handed[w->handed_count++] = client_index;
	pthread_mutex_unlock(&w->lock);
	wake_up(w);
}

void load_worker_set_phase(struct load_worker *w, enum load_phase phase)
{
	atomic_store_explicit(&w->phase, (int)phase, memory_order_release);
	wake_up(w);
}

void load_worker_stop(struct load_worker *w)
{
	load_worker_set_phase(w, LOAD_PHASE_STOP);
	pthread_join(w->thread, NULL);
}

void load_worker_destroy(struct load_worker **worker)
{
	if (*worker == NULL)
		return;
	free_all(*worker);
	*worker = NULL;
}
