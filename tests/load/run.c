#include "tests/load/run.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <openssl/rand.h>

enum {
	CLOCK_HZ = 48000, /* of Opus, RFC 7587 section 4.1 */
	TICK_JOIN_US = 2000,
	TICK_US = 20000,
	PROGRESS_US = 500000,
	DRAIN_QUIET_US = 300000, /* nothing has arrived for so long: nothing will */
	DRAIN_US_MAX = 10000000,
	DRAIN_MIX_US = 500000, /* a mix may go on without a voice, and what is later than so much is late */
	FDS_PER_CLIENT = 2,    /* media and signaling */
	FDS_SPARE = 128,
	JOINS_A_TICK_MAX = 64, /* so that answers are taken meanwhile */
};

enum stage { STAGE_JOIN, STAGE_SETTLE, STAGE_MEASURE, STAGE_DRAIN, STAGE_OVER };

struct run {
	const struct load_options *options;
	struct load_result *result;
	struct pl_addr server; /* of the signaling */
	struct pl_dtls_identity *identity;
	struct load_speech *speech; /* NULL: nobody speaks or decodes */
	uint32_t count;
	struct load_client *clients;
	struct load_session *sessions;
	struct load_worker **workers;
	struct load_signaling *signaling;
	struct lws_sorted_usec_list tick;

	enum stage stage;
	int64_t began_us, stage_us, progress_us;
	uint32_t asked;
	uint32_t unanswered; /* sessions that failed before there was an answer */
	uint32_t dropped;    /* sessions that failed after */
	uint64_t received_shown, received_seen;
	int64_t received_us; /* when received_seen was new */
	int64_t cpu_began_ns, own_cpu_began_ns;
	uint64_t server_started; /* see load_process_started; 0: there is no --pid */
	bool has_terminal;
};

static volatile sig_atomic_t is_interrupted;

void load_run_interrupt(void)
{
	is_interrupted = 1;
}

static int64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t own_cpu_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- before the first join ---- */

static bool raise_limits(uint32_t clients, char error[static LOAD_ERROR_SIZE])
{
	struct rlimit limit;
	const rlim_t wanted = (rlim_t)clients * FDS_PER_CLIENT + FDS_SPARE;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
		return true;
	const struct rlimit more = { .rlim_cur = wanted,
		.rlim_max = limit.rlim_max > wanted ? limit.rlim_max : wanted };
	if (setrlimit(RLIMIT_NOFILE, &more) == 0)
		return true;
	snprintf(error, LOAD_ERROR_SIZE,
		"%u clients need %llu open files, and the limit is %llu; raise it (ulimit -n %llu, as root), or use "
		"several processes",
		clients, (unsigned long long)wanted, (unsigned long long)limit.rlim_max, (unsigned long long)wanted);
	return false;
}

static bool find_server(struct run *run, char error[static LOAD_ERROR_SIZE])
{
	const struct load_url *url = &run->options->url;
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM };
	struct addrinfo *found = NULL;
	const int code = getaddrinfo(url->host, NULL, &hints, &found);
	if (code != 0) {
		snprintf(error, LOAD_ERROR_SIZE, "%.100s: %s", url->host, gai_strerror(code));
		return false;
	}
	if (found->ai_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)found->ai_addr;
		run->server = pl_addr_ipv4(ntohl(in->sin_addr.s_addr), url->port);
	} else {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)found->ai_addr;
		memcpy(run->server.ip, &in6->sin6_addr, sizeof run->server.ip);
		run->server.port = url->port;
	}
	freeaddrinfo(found);
	return true;
}

/* RFC 8839 section 5.4 wants at least 24 bits of randomness in the name and 128 in the password. */
static bool draw_credentials(struct pl_ice_credentials *ice)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint8_t random[sizeof ice->ufrag - 1 + sizeof ice->pwd - 1];
	if (RAND_bytes(random, sizeof random) != 1)
		return false;
	size_t at = 0;
	for (size_t i = 0; i + 1 < sizeof ice->ufrag; i++)
		ice->ufrag[i] = letters[random[at++] % 64];
	for (size_t i = 0; i + 1 < sizeof ice->pwd; i++)
		ice->pwd[i] = letters[random[at++] % 64];
	return true;
}

/* Whose pulse the receivers hear must not be drowned by the other publishers of the room. */
static const struct load_loop *loop_of(const struct run *run, uint32_t index, uint32_t place)
{
	switch (run->options->sound) {
	case LOAD_SOUND_VOICE:
		return &run->speech->voice[index % LOAD_SPEECH_VOICES];
	case LOAD_SOUND_PULSE:
		return place == 0 ? &run->speech->pulse : &run->speech->silence;
	default:
		return NULL;
	}
}

/* Publishers first in each room.  The receiver in the middle is the one that drop_media leaves alone, and that always
 * decrypts: a server that serves a room in order serves the first one early and the last one late. */
static void plan_client(struct run *run, uint32_t index, uint32_t *receivers)
{
	const struct load_options *o = run->options;
	struct load_client *client = &run->clients[index];
	const uint32_t per_room = o->publishers + o->receivers, place = index % per_room;
	struct pl_rng rng;
	pl_rng_init(&rng, ((uint64_t)o->seed << 32) + index);
	client->seed = pl_rng_next(&rng);
	client->index = index;
	client->room = index / per_room;
	client->fd = -1;
	client->is_publisher = place < o->publishers;
	client->slots = !client->is_publisher || o->do_publishers_listen ? o->slots : 0;
	const bool is_middle = place == o->publishers + o->receivers / 2;
	client->is_watched = client->is_publisher || is_middle;
	const uint32_t number = client->slots > 0 && !is_middle ? (*receivers)++ : 0;
	client->does_decode = client->slots > 0 && o->decode_every > 0 && (is_middle || number % o->decode_every == 0);
	client->does_decrypt =
		client->slots > 0 && (is_middle || client->does_decode || number % o->decrypt_every == 0);
	client->publication.ssrc = (uint32_t)(client->seed >> 8) | 1;
	client->publication.ts_step = CLOCK_HZ / o->rate_hz;
	load_talk_init(&client->publication.talk, client->seed, o->payload_bytes, o->rate_hz, o->has_spurts);
	client->publication.loop = client->is_publisher ? loop_of(run, index, place) : NULL;
	run->sessions[index].client = client;
}

static bool open_client(struct run *run, struct load_client *client, uint16_t *port, char error[static LOAD_ERROR_SIZE])
{
	const struct load_options *o = run->options;
	/* Watched ones stay out of the range, so that whoever drops that range outside leaves them alone. */
	const bool is_in_range = o->port_first > 0 && !client->is_watched;
	struct load_socket_config config = {
		.toward = run->server,
		.has_gro = o->has_gro && client->slots > 0,
		.has_stamps = client->does_decrypt,
	};
	do {
		config.port = is_in_range ? (*port)++ : 0;
		client->fd = load_socket_open(&config, &client->local);
	} while (client->fd < 0 && errno == EADDRINUSE && is_in_range && *port <= o->port_last && *port != 0);
	if (client->fd >= 0)
		return true;
	snprintf(error, LOAD_ERROR_SIZE, "the UDP socket of client %u cannot be opened: %s", client->index + 1,
		strerror(errno));
	return false;
}

static bool make_clients(struct run *run, char error[static LOAD_ERROR_SIZE])
{
	uint32_t receivers = 0;
	uint16_t port = run->options->port_first;
	run->clients = calloc(run->count, sizeof *run->clients);
	run->sessions = calloc(run->count, sizeof *run->sessions);
	if (run->clients == NULL || run->sessions == NULL) {
		snprintf(error, LOAD_ERROR_SIZE, "out of memory");
		return false;
	}
	for (uint32_t i = 0; i < run->count; i++)
		plan_client(run, i, &receivers);
	for (uint32_t i = 0; i < run->count; i++) {
		if (!open_client(run, &run->clients[i], &port, error) || !draw_credentials(&run->clients[i].ice))
			return false;
	}
	return true;
}

static bool make_workers(struct run *run)
{
	run->workers = calloc(run->options->threads, sizeof *run->workers);
	if (run->workers == NULL)
		return false;
	for (uint32_t i = 0; i < run->options->threads; i++) {
		run->workers[i] = load_worker_create(&(struct load_worker_config){
			.options = run->options,
			.identity = run->identity,
			.speech = run->speech,
			.clients = run->clients,
			.client_count = run->count,
			.index = i,
			.epoch_us = run->began_us,
		});
		if (run->workers[i] == NULL)
			return false;
	}
	return true;
}

/* ---- joining ---- */

static void on_answer(void *user, struct load_session *session, struct pl_bytes sdp)
{
	struct run *run = user;
	struct load_client *client = session->client;
	char error[PL_SDP_ERROR_SIZE] = "out of memory";
	struct load_answer *answer = malloc(sizeof *answer);
	if (answer == NULL || !load_sdp_read_answer(sdp, &run->server, answer, error)) {
		free(answer);
		session->was_joined = false;
		load_session_fail(session, "the answer: %s", error);
	} else if (client->is_publisher && !answer->is_taken) {
		free(answer);
		session->was_joined = false;
		load_session_fail(session, "the answer does not take the microphone");
	} else {
		client->answer = answer;
		load_worker_hand_over(run->workers[client->index % run->options->threads], client->index);
	}
}

static void on_failed(void *user, struct load_session *session)
{
	struct run *run = user;
	if (session->was_joined)
		run->dropped++;
	else
		run->unanswered++;
}

static void ask(struct run *run, uint32_t index)
{
	static char text[LOAD_OFFER_SIZE_MAX];
	struct load_client *client = &run->clients[index];
	struct load_session *session = &run->sessions[index];
	const struct load_offer offer = {
		.session_id = client->seed >> 2,
		.ice = client->ice,
		.fingerprint = pl_dtls_identity_fingerprint(run->identity),
		.candidate = client->local,
		.is_sending = client->is_publisher,
		.ssrc = client->publication.ssrc,
		.slots = client->slots,
	};
	session->signaling = run->signaling;
	if (load_sdp_write_offer(&offer, text, sizeof text) == 0)
		load_session_fail(session, "the offer is too long");
	else
		load_session_join(session, text);
}

static void ask_due(struct run *run, int64_t at_us)
{
	const uint64_t due = (uint64_t)(at_us - run->began_us) * run->options->ramp_hz / 1000000 + 1;
	for (int i = 0; i < JOINS_A_TICK_MAX && run->asked < run->count && run->asked < due; i++)
		ask(run, run->asked++);
}

/* ---- stages ---- */

struct sums {
	uint32_t connected, failed, lost;
	uint64_t received;
};

static struct sums sum_up(const struct run *run)
{
	struct sums sums = { 0 };
	for (uint32_t i = 0; i < run->options->threads; i++) {
		struct load_worker *worker = run->workers[i];
		sums.connected += atomic_load_explicit(&worker->connected, memory_order_relaxed);
		sums.failed += atomic_load_explicit(&worker->failed, memory_order_relaxed);
		sums.lost += atomic_load_explicit(&worker->lost, memory_order_relaxed);
		sums.received += atomic_load_explicit(&worker->received, memory_order_relaxed);
	}
	return sums;
}

static void set_phase(struct run *run, enum load_phase phase)
{
	for (uint32_t i = 0; i < run->options->threads; i++)
		load_worker_set_phase(run->workers[i], phase);
}

static void enter(struct run *run, enum stage stage, int64_t at_us)
{
	struct load_result *result = run->result;
	const uint32_t pid = run->options->pid;
	if (stage == STAGE_MEASURE) {
		result->memory_after = pid != 0 ? load_process_memory(pid) : result->memory_after;
		set_phase(run, LOAD_PHASE_MEASURE);
		run->cpu_began_ns = pid != 0 ? load_process_cpu_ns(pid) : -1;
		run->own_cpu_began_ns = own_cpu_ns();
	}
	if (run->stage == STAGE_MEASURE) {
		const int64_t cpu_ns = pid != 0 ? load_process_cpu_ns(pid) : -1;
		set_phase(run, LOAD_PHASE_DRAIN);
		result->load_cpu_ns = own_cpu_ns() - run->own_cpu_began_ns;
		result->seconds = (double)(at_us - run->stage_us) / 1e6;
		if (cpu_ns >= 0 && run->cpu_began_ns >= 0)
			result->server_cpu_ns = cpu_ns - run->cpu_began_ns;
	}
	if (stage == STAGE_SETTLE && run->options->port_first > 0)
		fprintf(stderr, "plenum-load: set up; receivers are at UDP ports %u-%u; measuring begins in %u s\n",
			run->options->port_first, run->options->port_last, run->options->settle_s);
	run->stage = stage;
	run->stage_us = at_us;
}

/* Everybody was there once, and nobody is any more. */
static bool is_deserted(const struct run *run, const struct sums *sums)
{
	const uint32_t answered = run->asked - run->unanswered;
	return run->asked == run->count &&
	       (sums->connected == 0 || sums->lost == sums->connected || run->dropped == answered);
}

/* What a server that is behind still has is late and not lost.  Where the publishers are elsewhere they go on, and
 * there is nothing to wait for. */
static bool is_drained(struct run *run, const struct sums *sums, int64_t at_us)
{
	if (sums->received != run->received_seen) {
		run->received_seen = sums->received;
		run->received_us = at_us;
	}
	if (load_options_is_mixed(run->options))
		return at_us - run->stage_us >= DRAIN_MIX_US;
	const int64_t quiet_since_us = run->received_us > run->stage_us ? run->received_us : run->stage_us;
	return run->options->publishers == 0 || at_us - quiet_since_us >= DRAIN_QUIET_US ||
	       at_us - run->stage_us >= DRAIN_US_MAX;
}

static void advance(struct run *run, const struct sums *sums, int64_t at_us)
{
	const struct load_options *o = run->options;
	const int64_t in_stage_us = at_us - run->stage_us;
	const bool is_settled = sums->connected + sums->failed + run->unanswered >= run->count;
	const bool is_over = run->stage != STAGE_DRAIN && is_settled && is_deserted(run, sums);
	if (is_interrupted || is_over) {
		run->result->is_interrupted |= is_interrupted != 0;
		run->result->is_deserted |= is_over;
		enter(run, run->stage == STAGE_MEASURE ? STAGE_DRAIN : STAGE_OVER, at_us);
		if (is_interrupted)
			is_interrupted = 0; /* the next one ends the draining too */
		return;
	}
	switch (run->stage) {
	case STAGE_JOIN:
		ask_due(run, at_us);
		if (is_settled)
			enter(run, STAGE_SETTLE, at_us);
		break;
	case STAGE_SETTLE:
		if (in_stage_us >= o->settle_s * INT64_C(1000000))
			enter(run, STAGE_MEASURE, at_us);
		break;
	case STAGE_MEASURE:
		if (in_stage_us >= o->duration_s * INT64_C(1000000))
			enter(run, STAGE_DRAIN, at_us);
		break;
	case STAGE_DRAIN:
		if (is_drained(run, sums, at_us))
			enter(run, STAGE_OVER, at_us);
		break;
	case STAGE_OVER:
		break;
	}
}

static void show_progress(struct run *run, const struct sums *sums, int64_t at_us)
{
	static const char *const names[] = { "joining", "settling", "measuring", "draining", "leaving" };
	const int64_t passed_us = at_us - run->progress_us;
	if (!run->has_terminal || passed_us < PROGRESS_US)
		return;
	fprintf(stderr, "\r\033[K%s %lld s: %u of %u connected, %u failed, %.0f packets/s", names[run->stage],
		(long long)(at_us - run->stage_us) / 1000000, sums->connected, run->count,
		sums->failed + sums->lost + run->unanswered,
		(double)(sums->received - run->received_shown) * 1e6 / (double)passed_us);
	fflush(stderr);
	run->progress_us = at_us;
	run->received_shown = sums->received;
}

static void on_tick(struct lws_sorted_usec_list *tick)
{
	struct run *run = lws_container_of(tick, struct run, tick);
	const int64_t at_us = now_us();
	const struct sums sums = sum_up(run);
	show_progress(run, &sums, at_us);
	advance(run, &sums, at_us);
	lws_sul_schedule(
		run->signaling->lws, 0, &run->tick, on_tick, run->stage == STAGE_JOIN ? TICK_JOIN_US : TICK_US);
}

static void serve(struct run *run)
{
	run->stage = STAGE_JOIN;
	run->stage_us = run->progress_us = run->began_us;
	lws_sul_schedule(run->signaling->lws, 0, &run->tick, on_tick, 1);
	while (run->stage != STAGE_OVER && lws_service(run->signaling->lws, 0) >= 0)
		;
	for (uint32_t i = 0; i < run->options->threads; i++)
		load_worker_stop(run->workers[i]);
	for (uint32_t i = 0; i < run->count; i++)
		load_session_leave(&run->sessions[i]);
	while (run->signaling->leaving > 0 && lws_service(run->signaling->lws, 0) >= 0)
		;
	if (run->has_terminal)
		fputs("\r\033[K", stderr);
}

static void finish(struct run *run)
{
	if (run->signaling != NULL)
		lws_sul_cancel(&run->tick);
	for (uint32_t i = 0; run->sessions != NULL && i < run->count; i++)
		load_session_fini(&run->sessions[i]);
	load_signaling_destroy(&run->signaling);
	for (uint32_t i = 0; run->clients != NULL && i < run->count; i++) {
		load_client_fini(&run->clients[i]);
		if (run->clients[i].fd >= 0)
			close(run->clients[i].fd);
	}
	for (uint32_t i = 0; run->workers != NULL && i < run->options->threads; i++)
		load_worker_destroy(&run->workers[i]);
	free(run->workers);
	free(run->sessions);
	free(run->clients);
	pl_dtls_identity_destroy(&run->identity);
	load_speech_destroy(&run->speech);
}

static bool start(struct run *run, char error[static LOAD_ERROR_SIZE])
{
	const struct load_signaling_config config = {
		.options = run->options,
		.session_count = run->count,
		.user = run,
		.on_answer = on_answer,
		.on_failed = on_failed,
	};
	const bool has_speech = run->options->sound != LOAD_SOUND_STAMP || run->options->decode_every > 0;
	snprintf(error, LOAD_ERROR_SIZE, "out of memory");
	if (has_speech && (run->speech = load_speech_create(run->options->payload_bytes)) == NULL)
		return false;
	if (!raise_limits(run->count, error) || !find_server(run, error) || !make_clients(run, error))
		return false;
	snprintf(error, LOAD_ERROR_SIZE, "out of memory");
	if (pl_dtls_identity_create(&run->identity) != PL_ERR_NONE)
		return false;
	run->signaling = load_signaling_create(&config);
	run->began_us = now_us();
	return run->signaling != NULL && make_workers(run);
}

/* What was read of a process that is no more, or is another one by now, is no figure. */
static void look_for_server(struct run *run)
{
	struct load_result *result = run->result;
	const uint32_t pid = run->options->pid;
	if (pid == 0 || load_process_started(pid) == run->server_started)
		return;
	result->has_server_ended = true;
	result->server_cpu_ns = -1;
	result->memory_after = (struct load_memory){ -1, -1 };
}

bool load_run(const struct load_options *options, struct load_result *result, char error[static LOAD_ERROR_SIZE])
{
	struct run run = {
		.options = options,
		.result = result,
		.count = load_options_clients(options),
		.has_terminal = isatty(STDERR_FILENO) != 0,
	};
	*result = (struct load_result){ .server_cpu_ns = -1 };
	result->memory_before = result->memory_after = (struct load_memory){ -1, -1 };
	if (options->pid != 0) {
		result->memory_before = load_process_memory(options->pid);
		run.server_started = load_process_started(options->pid);
		if (run.server_started == 0) {
			snprintf(error, LOAD_ERROR_SIZE, "pid: there is no process %u here", options->pid);
			return false;
		}
	}
	const bool is_started = start(&run, error);
	if (is_started) {
		serve(&run);
		look_for_server(&run);
		load_result_gather(result, &(struct load_gathering){ options, run.clients, run.sessions, run.count,
						   run.signaling, run.workers });
	}
	finish(&run);
	return is_started;
}
