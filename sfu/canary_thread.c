#include "sfu/canary_thread.h"

#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sfu/io/clock.h"
#include "sfu/io/published.h"
#include "sfu/io/thread.h"

enum { WAKER = PL_CANARY_BIRDS, FDS };

struct pl_canary_thread {
	struct pl_canary_thread_config config;
	struct pl_waker waker; /* its own: to be stopped */
	struct pl_thread thread;
	struct pl_canary_rota rota;
	/* What it takes when it sings for the first time. */
	struct pl_canary *canary;
	struct pl_srtp_engine *srtp;
	void *memory, *templates_memory;
	bool has_verdict;
	struct pl_canary_verdict verdict;
	struct pollfd fds[FDS];
	pl_published_word published[PL_PUBLISHED_WORDS(struct pl_canary_report)];
};

_Static_assert(sizeof(struct pl_canary_report) % sizeof(uint64_t) == 0, "published by words");

static void publish(struct pl_canary_thread *t)
{
	pl_published_write(t->published, &t->rota.report, sizeof t->rota.report);
}

/* ---- what it needs, when it first does ---- */

/* The kernel's, which does not fail after the start of the machine for so few bytes. */
static void draw(void *context, void *bytes, size_t size)
{
	(void)context;
	PL_ASSERT(size <= 256 && getrandom(bytes, size, 0) == (ssize_t)size);
}

static bool make_templates(struct pl_canary_thread *t)
{
	if (t->config.templates != NULL)
		return true;
	const struct pl_span memory = { aligned_alloc(64, pl_opus_templates_bytes()), pl_opus_templates_bytes() };
	struct pl_opus_templates *templates;
	t->templates_memory = memory.data;
	if (memory.data == NULL || pl_opus_templates_init(&templates, memory) != PL_ERR_NONE)
		return false;
	t->config.templates = templates;
	return true;
}

static bool hatch(struct pl_canary_thread *t)
{
	if (t->canary != NULL)
		return true;
	free(t->templates_memory); /* of a time when it did not all come */
	free(t->memory);
	t->templates_memory = t->memory = NULL;
	if (!make_templates(t))
		return false;
	if (t->srtp == NULL && pl_srtp_engine_create(&t->srtp, t->config.srtp) != PL_ERR_NONE)
		return false;
	const size_t size = pl_whole_lines(pl_canary_bytes());
	t->memory = aligned_alloc(PL_LINE_BYTES, size);
	if (t->memory == NULL)
		return false;
	const struct pl_canary_config config = {
		.identity = t->config.identity,
		.fingerprint = pl_dtls_identity_fingerprint(t->config.identity),
		.srtp = t->srtp,
		.templates = t->config.templates,
		.has_mix = t->config.has_mix,
		.random = draw,
	};
	pl_canary_init(&t->canary, &config, (struct pl_span){ t->memory, size });
	return true;
}

static void close_sockets(struct pl_canary_thread *t)
{
	for (int i = 0; i < PL_CANARY_BIRDS; i++) {
		if (t->fds[i].fd >= 0)
			close(t->fds[i].fd);
		t->fds[i].fd = -1;
	}
}

/* Connected, so that nobody but the shard is heard, and the kernel tells when nobody is there. */
static int open_socket(const struct pl_shard *shard)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	v4.sin_port = v6.sin6_port = htons(pl_shard_port(shard));
	const bool is_v4 = pl_shard_has_ipv4(shard);
	const struct sockaddr *to = is_v4 ? (const struct sockaddr *)&v4 : (const struct sockaddr *)&v6;
	const int fd = socket(to->sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, to, is_v4 ? sizeof v4 : sizeof v6) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool open_sockets(struct pl_canary_thread *t)
{
	for (int i = 0; i < PL_CANARY_BIRDS; i++) {
		t->fds[i].fd = open_socket(t->config.shard[t->rota.shard]);
		if (t->fds[i].fd >= 0)
			continue;
		close_sockets(t);
		return false;
	}
	return true;
}

/* ---- a run ---- */

static void command(struct pl_canary_thread *t, const struct pl_command *command)
{
	struct pl_ring *ring = pl_shard_canary_commands(t->config.shard[command->shard]);
	struct pl_command copy = *command;
	if (command->kind == PL_COMMAND_JOIN) {
		/* For all joins and leaves that are still to come, too. */
		copy.description = pl_ring_room(ring) < 2 * PL_CANARY_BIRDS ? NULL : malloc(sizeof *copy.description);
		if (copy.description == NULL) {
			pl_canary_refused(t->canary);
			return;
		}
		*copy.description = *command->description;
	}
	if (!pl_ring_push(ring, &copy))
		free(copy.description);
}

static void drain(struct pl_canary_thread *t)
{
	struct pl_canary_output o;
	while (pl_canary_next(t->canary, pl_clock_now_us(), &o)) {
		switch (o.kind) {
		case PL_CANARY_COMMAND:
			command(t, &o.command);
			break;
		case PL_CANARY_SEND:
			/* What is not taken is lost, and heard as that. */
			(void)!send(t->fds[o.bird].fd, o.datagram.data, o.datagram.size, 0);
			break;
		case PL_CANARY_VERDICT:
			t->verdict = o.verdict;
			t->has_verdict = true;
			break;
		}
	}
}

static void receive(struct pl_canary_thread *t, uint8_t bird)
{
	enum { AT_ONCE = 16 };
	uint8_t bytes[PL_DATAGRAM_SIZE_MAX];
	for (int i = 0; i < AT_ONCE; i++) {
		const ssize_t size = recv(t->fds[bird].fd, bytes, sizeof bytes, 0);
		if (size < 0)
			return;
		pl_canary_feed(t->canary, pl_clock_now_us(), bird, (struct pl_bytes){ bytes, (size_t)size });
		drain(t);
	}
}

/* Until something comes, or at_us.  False: it is to stop. */
static bool wait_until(struct pl_canary_thread *t, int64_t at_us)
{
	const int64_t wait_us = at_us - pl_clock_now_us();
	const struct timespec timeout = pl_clock_timespec(wait_us > 0 ? wait_us : 0);
	for (int i = 0; i < FDS; i++)
		t->fds[i].revents = 0;
	ppoll(t->fds, FDS, at_us == INT64_MAX ? NULL : &timeout, NULL);
	if (t->fds[WAKER].revents != 0)
		pl_waker_wake_up(&t->waker);
	return !pl_thread_is_stopping(&t->thread);
}

static void sing(struct pl_canary_thread *t)
{
	pl_canary_rota_begin(&t->rota, pl_clock_now_us());
	if (!hatch(t) || !open_sockets(t)) {
		pl_canary_rota_unable(&t->rota, pl_clock_now_us());
		return;
	}
	if (pl_canary_begin(t->canary, pl_clock_now_us(), t->rota.shard) != PL_ERR_NONE) {
		close_sockets(t);
		pl_canary_rota_unable(&t->rota, pl_clock_now_us());
		return;
	}
	t->has_verdict = false;
	drain(t);
	while (!t->has_verdict && wait_until(t, pl_canary_deadline(t->canary))) {
		for (uint8_t i = 0; i < PL_CANARY_BIRDS && !t->has_verdict; i++) {
			if (t->fds[i].revents != 0)
				receive(t, i);
		}
		if (pl_canary_deadline(t->canary) <= pl_clock_now_us())
			pl_canary_tick(t->canary, pl_clock_now_us());
		drain(t);
	}
	if (t->has_verdict)
		pl_canary_rota_take(&t->rota, pl_clock_now_us(), &t->verdict);
	else
		pl_canary_abandon(t->canary);
	close_sockets(t);
}

static void run(void *owner)
{
	struct pl_canary_thread *t = owner;
	pl_canary_rota_init(&t->rota, pl_clock_now_us(), t->config.interval_us, t->config.shard_count);
	publish(t);
	/* What wakes it to stop may be taken in the midst of a run. */
	while (!pl_thread_is_stopping(&t->thread) && wait_until(t, t->rota.due_us)) {
		if (t->rota.due_us > pl_clock_now_us())
			continue;
		sing(t);
		publish(t);
	}
}

/* ---- start and end ---- */

static enum pl_err settle(void *owner)
{
	(void)owner;
	return PL_ERR_NONE;
}

enum pl_err pl_canary_thread_create(struct pl_canary_thread **out, const struct pl_canary_thread_config *config)
{
	PL_ASSERT(config->interval_us > 0);
	struct pl_canary_thread *t = aligned_alloc(PL_LINE_BYTES, pl_whole_lines(sizeof *t));
	if (t == NULL)
		return PL_ERR_NO_MEMORY;
	memset(t, 0, sizeof *t);
	t->config = *config;
	enum pl_err err = pl_waker_init(&t->waker);
	if (err != PL_ERR_NONE)
		goto fail_waker;
	for (int i = 0; i < FDS; i++)
		t->fds[i] = (struct pollfd){ .fd = i == WAKER ? t->waker.event_fd : -1, .events = POLLIN };
	pl_canary_rota_init(&t->rota, pl_clock_now_us(), config->interval_us, config->shard_count);
	publish(t);
	const struct pl_thread_duty duty = { .settle = settle, .run = run, .waker = &t->waker, .owner = t };
	err = pl_thread_start(&t->thread, "canary", &duty);
	if (err != PL_ERR_NONE)
		goto fail_thread;
	pl_thread_go(&t->thread);
	*out = t;
	return PL_ERR_NONE;

fail_thread:
	pl_waker_fini(&t->waker);
fail_waker:
	free(t);
	return err;
}

void pl_canary_thread_destroy(struct pl_canary_thread **owned)
{
	struct pl_canary_thread *t = *owned;
	if (t == NULL)
		return;
	*owned = NULL;
	pl_thread_stop(&t->thread);
	pl_srtp_engine_destroy(&t->srtp);
	pl_waker_fini(&t->waker);
	free(t->memory);
	free(t->templates_memory);
	free(t);
}

void pl_canary_thread_read(const struct pl_canary_thread *t, int64_t now_us, struct pl_canary_report *report)
{
	pl_published_read(t->published, report, sizeof *report);
	pl_canary_report_at(report, now_us);
}
