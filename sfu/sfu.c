#include "sfu/sfu.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "sfu/canary_thread.h"
#include "sfu/io/allowance.h"
#include "sfu/io/clock.h"
#include "sfu/io/interfaces.h"
#include "sfu/io/topology.h"
#include "sfu/io/udp.h"
#include "sfu/monitor.h"
#include "sfu/placement.h"
#include "sfu/shard.h"
#include "sfu/workers.h"

enum { WARNINGS_MAX = 4, WARNING_SIZE = 300, PORT_MAX = 65535 };

_Static_assert((int)PL_SFU_SHARDS_MAX == (int)PL_TOPOLOGY_SHARDS_MAX, "a plan's shards are all there are");

struct pl_sfu {
	struct pl_dtls_identity *identity;
	bool has_libsrtp;
	struct pl_waker waker; /* signaling's, for the events of all shards */
	struct pl_topology_plan plan;
	struct pl_shard *shard[PL_SFU_SHARDS_MAX];
	uint8_t shard_node[PL_SFU_SHARDS_MAX];
	size_t shard_count;
	struct pl_workers workers;
	struct pl_monitor *monitor;
	struct pl_canary_thread *canary; /* NULL: there is none */
	size_t receive_next;             /* whose events are looked at first */
	struct pl_addr address[PL_SFU_ADDRESSES_MAX];
	size_t address_count;
	char warning[WARNINGS_MAX][WARNING_SIZE];
	size_t warning_count;
	struct pl_worker_watch watch[PL_WORKERS_MAX];
};

/* Microseconds from the NTP epoch (1900) to the monotonic clock's zero: 70 years with 17 leap days before 1970. */
static int64_t ntp_offset_us(void)
{
	struct timespec real, monotonic;
	clock_gettime(CLOCK_REALTIME, &real);
	clock_gettime(CLOCK_MONOTONIC, &monotonic);
	const int64_t seconds = (int64_t)real.tv_sec - monotonic.tv_sec + INT64_C(2208988800);
	return seconds * 1000000 + (real.tv_nsec - monotonic.tv_nsec) / 1000;
}

PL_PRINTF(2, 3) static void warn(struct pl_sfu *sfu, const char *format, ...)
{
	if (sfu->warning_count == WARNINGS_MAX)
		return;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(sfu->warning[sfu->warning_count++], WARNING_SIZE, format, arguments);
	va_end(arguments);
}

/* ---- start ---- */

/* Writes what kept the socket of shard index from being opened; errno tells why. */
static void tell_port(
	const struct pl_sfu *sfu, size_t index, const struct pl_sfu_config *config, char *error, size_t error_size)
{
	const unsigned port = config->port == 0 ? 0 : (unsigned)(config->port + index);
	char whose[96] = "";
	if (sfu->plan.count > 1)
		snprintf(whose, sizeof whose, ", and media thread %zu of %zu (media.shards) needs it", index + 1,
			sfu->plan.count);
	if (errno == EADDRINUSE)
		snprintf(error, error_size,
			"media.port: UDP port %u is in use by another process%s; stop it, or choose another port with "
			"--set media.port=N",
			port, whose);
	else
		snprintf(error, error_size, "media.port: UDP port %u cannot be opened: %s%s", port, strerror(errno),
			whose);
}

static bool configure_shard(struct pl_sfu *sfu, size_t index, const struct pl_topology *topology,
	const struct pl_sfu_config *config, struct pl_shard_config *shard)
{
	struct pl_placement placement;
	pl_placement_init(&placement, &(struct pl_placement_config){
					      .shard_count = (uint32_t)sfu->plan.count,
					      .participants_max = config->participants_max,
					      .rooms_max = config->rooms_max,
					      .room_participants_max = config->room_participants_max,
				      });
	*shard = (struct pl_shard_config){
		.port = config->port == 0 ? 0 : (uint16_t)(config->port + index),
		.srtp = config->srtp,
		.index = (uint16_t)index,
		.node = sfu->plan.shard[index].node,
		.waker = &sfu->waker,
		.alarm = pl_monitor_waker(sfu->monitor),
		.coalesce_us = config->coalesce_us,
		.conference = {
			.identity = sfu->identity,
			.participants_max = placement.shard_participants_max + PL_CANARY_BIRDS,
			.rooms_max = placement.shard_rooms_max + 1,
			.shard = (uint8_t)index,
			.shard_count = (uint8_t)sfu->plan.count,
			.shard_node = sfu->shard_node,
			.remotes_max = sfu->plan.count > 1 ? config->participants_max : 0,
			.worker_count = (uint8_t)sfu->workers.planned,
			.mix_talkers = config->mix_talkers,
			.packets = config->packets,
			.ntp_offset_us = ntp_offset_us(),
		},
	};
	pl_topology_cpus(topology, &sfu->plan.shard[index], &shard->cpus);
	return getrandom(&shard->conference.seed, sizeof shard->conference.seed, 0) == sizeof shard->conference.seed;
}

/* On error those that were created are the first of sfu's, and are to be destroyed. */
static enum pl_err create_shards(struct pl_sfu *sfu, const struct pl_topology *topology,
	const struct pl_sfu_config *config, char *error, size_t error_size)
{
	while (sfu->shard_count < sfu->plan.count) {
		struct pl_shard_config shard;
		const size_t index = sfu->shard_count;
		if (!configure_shard(sfu, index, topology, config, &shard)) {
			snprintf(error, error_size, "the kernel gave no random bytes: %s", strerror(errno));
			return PL_ERR_CRYPTO;
		}
		const enum pl_err err = pl_shard_create(&sfu->shard[index], &shard);
		if (err == PL_ERR_SOCKET)
			tell_port(sfu, index, config, error, error_size);
		else if (err != PL_ERR_NONE)
			snprintf(error, error_size, "media thread %zu of %zu (media.shards) did not start: %s",
				index + 1, sfu->plan.count, pl_err_text(err));
		if (err != PL_ERR_NONE)
			return err;
		sfu->shard_count++;
	}
	return PL_ERR_NONE;
}

/* All are asked first: on a busy machine each may wait for a CPU before it ends, and they do that together. */
static void destroy_shards(struct pl_sfu *sfu)
{
	pl_monitor_ask_to_stop(sfu->monitor);
	for (size_t i = 0; i < sfu->shard_count; i++)
		pl_shard_ask_to_stop(sfu->shard[i]);
	pl_workers_ask_to_stop(&sfu->workers);
	pl_monitor_stop(sfu->monitor); /* it looks at all the others */
	pl_canary_thread_destroy(&sfu->canary);
	for (size_t i = 0; i < sfu->shard_count; i++)
		pl_shard_stop(sfu->shard[i]);
	pl_workers_stop(&sfu->workers);
	for (size_t i = 0; i < sfu->shard_count; i++)
		pl_shard_unlink(sfu->shard[i]);
	while (sfu->shard_count > 0)
		pl_shard_destroy(&sfu->shard[--sfu->shard_count]);
	pl_workers_destroy(&sfu->workers);
}

static enum pl_err link_shards(struct pl_sfu *sfu)
{
	enum pl_err err = PL_ERR_NONE;
	for (size_t i = 0; i < sfu->shard_count && err == PL_ERR_NONE; i++) {
		for (size_t k = 0; k < sfu->shard_count && err == PL_ERR_NONE; k++) {
			if (i != k)
				err = pl_shard_link(sfu->shard[i], sfu->shard[k]);
		}
	}
	for (size_t i = 0; i < sfu->shard_count && err == PL_ERR_NONE; i++)
		err = pl_workers_link(&sfu->workers, sfu->shard[i], sfu->plan.shard[i].node);
	return err;
}

/* All of it is touched at once, so the kernel would end the process when it has no more, and say nothing. */
static bool has_memory(const struct pl_sfu *sfu, const struct pl_sfu_config *config, char *error, size_t error_size)
{
	struct pl_allowance allowance;
	pl_allowance_read(&allowance, config->pressure_root == NULL ? "" : config->pressure_root);
	const uint64_t needed = (uint64_t)sfu->plan.count * pl_shard_bytes(config->packets);
	if (pl_allowance_has(&allowance, needed))
		return true;
	snprintf(error, error_size,
		"media.pool_packets, media.shards: %u packets for each of %zu media threads take %llu MB of memory, "
		"and "
		"seven eighths of what there is are %llu MB (%s)",
		(unsigned)config->packets, sfu->plan.count, (unsigned long long)(needed / 1000000),
		(unsigned long long)((allowance.bytes - allowance.bytes / 8) / 1000000), allowance.file);
	return false;
}

/* All begin before the first is waited for: they take their memory at the same time. */
static enum pl_err start_shards(struct pl_sfu *sfu, const struct pl_topology *topology,
	const struct pl_sfu_config *config, char *error, size_t error_size)
{
	if (config->port != 0 && config->port + sfu->plan.count - 1 > PORT_MAX) {
		snprintf(error, error_size, "media.port: %zu media threads (media.shards) have no ports from %u to %d",
			sfu->plan.count, (unsigned)config->port, PORT_MAX);
		return PL_ERR_CONFIG;
	}
	if (!has_memory(sfu, config, error, error_size))
		return PL_ERR_CONFIG;
	for (size_t i = 0; i < sfu->plan.count; i++)
		sfu->shard_node[i] = (uint8_t)sfu->plan.shard[i].node;
	enum pl_err err = create_shards(sfu, topology, config, error, error_size);
	pl_phases_mark(config->phases, "shards_begin", pl_clock_now_us());
	const struct pl_workers_config workers = {
		.rooms_max = config->rooms_max + (uint32_t)sfu->plan.count,
		.mix_talkers = config->mix_talkers,
		.simd = config->simd,
	};
	const enum pl_err workers_err =
		err == PL_ERR_NONE ? pl_workers_start(&sfu->workers, topology, &workers) : PL_ERR_NONE;
	pl_phases_mark(config->phases, "codec_workers", pl_clock_now_us());
	for (size_t i = 0; i < sfu->shard_count; i++) {
		const enum pl_err settle_err = pl_shard_wait(sfu->shard[i]);
		if (err != PL_ERR_NONE || settle_err == PL_ERR_NONE)
			continue;
		if (settle_err == PL_ERR_CONFIG)
			snprintf(error, error_size, "media.srtp: %s cannot be used: %s",
				pl_srtp_backend_text(config->srtp), pl_srtp_backend_lack(config->srtp));
		else
			snprintf(error, error_size,
				"limits.participants: media thread %zu of %zu (media.shards) has no memory for its "
				"tables: %s",
				i + 1, sfu->plan.count, pl_err_text(settle_err));
		err = settle_err;
	}
	pl_phases_mark(config->phases, "shards_settle", pl_clock_now_us());
	if (err == PL_ERR_NONE) {
		err = workers_err;
		if (err != PL_ERR_NONE)
			snprintf(error, error_size, "codec worker %zu of %zu (media.codec_workers) did not start: %s",
				sfu->workers.failed + 1, sfu->workers.planned, pl_err_text(err));
	}
	if (err == PL_ERR_NONE) {
		err = link_shards(sfu);
		if (err != PL_ERR_NONE)
			snprintf(error, error_size, "out of memory");
	}
	if (err != PL_ERR_NONE)
		destroy_shards(sfu);
	for (size_t i = 0; i < sfu->shard_count; i++)
		pl_shard_go(sfu->shard[i]);
	pl_workers_go(&sfu->workers);
	return err;
}

/* Begun before the shards, which take longer, and waited for behind them. */
static enum pl_err create_monitor(
	struct pl_sfu *sfu, const struct pl_sfu_config *config, char *error, size_t error_size)
{
	const struct pl_monitor_config monitor = {
		.waker = &sfu->waker,
		.root = config->pressure_root == NULL ? "" : config->pressure_root,
		.forced = config->has_pressure_level ? config->pressure_level : PL_PRESSURE_LEVELS,
	};
	const enum pl_err err = pl_monitor_create(&sfu->monitor, &monitor);
	if (err != PL_ERR_NONE)
		snprintf(error, error_size, "the thread that watches the load did not start: %s", pl_err_text(err));
	return err;
}

static enum pl_err start_monitor(struct pl_sfu *sfu, char *error, size_t error_size)
{
	const enum pl_err err = pl_monitor_wait(sfu->monitor);
	if (err == PL_ERR_NONE)
		pl_monitor_go(sfu->monitor, sfu->shard, sfu->shard_count, &sfu->workers, sfu->canary);
	else
		snprintf(error, error_size, "the thread that watches the load did not start: %s", pl_err_text(err));
	return err;
}

static enum pl_err create_canary(struct pl_sfu *sfu, const struct pl_sfu_config *config, char *error, size_t error_size)
{
	if (config->canary_us == 0)
		return PL_ERR_NONE;
	const struct pl_canary_thread_config canary = {
		.interval_us = config->canary_us,
		.identity = sfu->identity,
		.templates = sfu->workers.templates,
		.shard = sfu->shard,
		.shard_count = (uint8_t)sfu->shard_count,
		.srtp = config->srtp,
		.has_mix = sfu->workers.count > 0,
	};
	const enum pl_err err = pl_canary_thread_create(&sfu->canary, &canary);
	if (err != PL_ERR_NONE)
		snprintf(error, error_size, "the canary's thread did not start: %s", pl_err_text(err));
	return err;
}

static enum pl_err list_addresses(
	struct pl_sfu *sfu, const struct pl_sfu_config *config, char *error, size_t error_size)
{
	sfu->address_count = config->address_count;
	memcpy(sfu->address, config->address, sizeof sfu->address);
	if (sfu->address_count == 0)
		sfu->address_count = pl_interfaces_list(pl_shard_has_ipv4(sfu->shard[0]),
			pl_shard_has_ipv6(sfu->shard[0]), config->with_loopback, sfu->address, PL_SFU_ADDRESSES_MAX);
	if (sfu->address_count > 0)
		return PL_ERR_NONE;
	snprintf(error, error_size,
		"no interface has an address that clients could reach; name one with --set media.address=ADDRESS");
	return PL_ERR_SOCKET;
}

/* What is less than it could be.  Of the shards that have the same trouble one is named. */
static void warn_of_shards(struct pl_sfu *sfu, const struct pl_topology *topology)
{
	char text[PL_TOPOLOGY_WARNING_SIZE];
	if (pl_topology_warning(topology, &sfu->plan, text))
		warn(sfu, "%s", text);
	const int granted = pl_shard_receive_bytes(sfu->shard[0]);
	if (granted < PL_UDP_BUFFER_BYTES)
		warn(sfu,
			"the UDP receive buffer is %d bytes instead of %d: bursts may be lost; mend it with: sysctl -w "
			"net.core.rmem_max=%d net.core.wmem_max=%d",
			granted, PL_UDP_BUFFER_BYTES, PL_UDP_BUFFER_BYTES, PL_UDP_BUFFER_BYTES);
	size_t loose = 0, far = 0, last_loose = 0, last_far = 0;
	for (size_t i = 0; i < sfu->shard_count; i++) {
		const bool is_loose = pl_shard_pin_error(sfu->shard[i]) != 0;
		const bool is_far = !pl_shard_memory(sfu->shard[i])->is_on_node || !pl_shard_is_on_node(sfu->shard[i]);
		last_loose = is_loose ? i : last_loose;
		last_far = is_far ? i : last_far;
		loose += is_loose;
		far += is_far;
	}
	if (loose > 0)
		warn(sfu, "%zu of %zu media threads could not be kept on their CPUs (the last is shard %zu: %s)", loose,
			sfu->shard_count, last_loose, strerror(pl_shard_pin_error(sfu->shard[last_loose])));
	if (far > 0)
		warn(sfu,
			"%zu of %zu media threads have memory on another NUMA node (the last is shard %zu, of node %d)",
			far, sfu->shard_count, last_far, sfu->plan.shard[last_far].node);
}

enum pl_err pl_sfu_create(struct pl_sfu **out, const struct pl_sfu_config *config, char *error, size_t error_size)
{
	PL_ASSERT(config->address_count <= PL_SFU_ADDRESSES_MAX && config->shards <= PL_SFU_SHARDS_MAX);
	*out = NULL;
	struct pl_sfu *sfu = aligned_alloc(PL_LINE_BYTES, pl_whole_lines(sizeof *sfu));
	if (sfu == NULL) {
		snprintf(error, error_size, "out of memory");
		return PL_ERR_NO_MEMORY;
	}
	memset(sfu, 0, sizeof *sfu);
	struct pl_topology topology;
	pl_topology_discover(&topology);
	pl_topology_plan(&topology, config->shards, &sfu->plan);
	pl_workers_plan(&sfu->workers, &topology, &sfu->plan, config->codec_workers);
	if (config->is_without_codecs)
		sfu->workers.planned = 0;
	pl_workers_prepare(&sfu->workers);
	pl_phases_mark(config->phases, "topology", pl_clock_now_us());

	/* libsrtp2 tests itself, for tens of milliseconds: only where it is wanted. */
	sfu->has_libsrtp = config->srtp == PL_SRTP_LIBSRTP2;
	enum pl_err err = sfu->has_libsrtp ? pl_srtp_init() : PL_ERR_NONE;
	if (err != PL_ERR_NONE) {
		snprintf(error, error_size, "libsrtp2 did not start: %s", pl_err_text(err));
		goto fail_srtp;
	}
	err = pl_dtls_identity_create(&sfu->identity);
	if (err != PL_ERR_NONE) {
		snprintf(error, error_size, "no DTLS certificate could be made: %s", pl_err_text(err));
		goto fail_identity;
	}
	pl_help_wait(&sfu->workers.help);
	pl_phases_mark(config->phases, "dtls_identity", pl_clock_now_us());
	err = pl_waker_init(&sfu->waker);
	if (err != PL_ERR_NONE) {
		snprintf(error, error_size, "no eventfd could be made: %s", strerror(errno));
		goto fail_waker;
	}
	err = create_monitor(sfu, config, error, error_size);
	if (err != PL_ERR_NONE)
		goto fail_monitor;
	err = start_shards(sfu, &topology, config, error, error_size);
	if (err != PL_ERR_NONE)
		goto fail_shards;
	err = create_canary(sfu, config, error, error_size);
	if (err == PL_ERR_NONE)
		err = start_monitor(sfu, error, error_size);
	if (err == PL_ERR_NONE)
		err = list_addresses(sfu, config, error, error_size);
	if (err != PL_ERR_NONE)
		goto fail_addresses;
	warn_of_shards(sfu, &topology);
	pl_phases_mark(config->phases, "media", pl_clock_now_us());
	*out = sfu;
	return PL_ERR_NONE;

fail_addresses:
	destroy_shards(sfu);
fail_shards:
	pl_monitor_destroy(&sfu->monitor);
fail_monitor:
	pl_waker_fini(&sfu->waker);
fail_waker:
	pl_dtls_identity_destroy(&sfu->identity);
fail_identity:
	if (sfu->has_libsrtp)
		pl_srtp_fini();
fail_srtp:
	pl_workers_destroy(&sfu->workers);
	free(sfu);
	return err;
}

void pl_sfu_destroy(struct pl_sfu **owned)
{
	struct pl_sfu *sfu = *owned;
	if (sfu == NULL)
		return;
	*owned = NULL;
	destroy_shards(sfu);
	pl_monitor_destroy(&sfu->monitor);
	pl_waker_fini(&sfu->waker);
	pl_dtls_identity_destroy(&sfu->identity);
	if (sfu->has_libsrtp)
		pl_srtp_fini();
	free(sfu);
}

/* ---- at work ---- */

const struct pl_fingerprint *pl_sfu_fingerprint(const struct pl_sfu *sfu)
{
	return pl_dtls_identity_fingerprint(sfu->identity);
}

const char *pl_sfu_srtp_text(const struct pl_sfu *sfu)
{
	return pl_shard_srtp_text(sfu->shard[0]);
}

size_t pl_sfu_shard_count(const struct pl_sfu *sfu)
{
	return sfu->shard_count;
}

size_t pl_sfu_worker_count(const struct pl_sfu *sfu)
{
	return sfu->workers.count;
}

bool pl_sfu_set_simd(struct pl_sfu *sfu, enum pl_simd simd)
{
	const struct pl_dsp *dsp = pl_dsp_get(simd);
	for (size_t i = 0; dsp != NULL && i < sfu->workers.count; i++)
		pl_worker_set_dsp(sfu->workers.worker[i], dsp);
	return dsp != NULL;
}

bool pl_sfu_set_load_step(struct pl_sfu *sfu, size_t worker, uint8_t step)
{
	const bool is_all = worker == PL_SFU_ALL_WORKERS;
	if (step >= PL_MIXER_LOAD_STEPS || (is_all ? sfu->workers.count == 0 : worker >= sfu->workers.count))
		return false;
	for (size_t i = 0; i < sfu->workers.count; i++) {
		if (is_all || i == worker)
			pl_worker_set_load_step(sfu->workers.worker[i], step);
	}
	return true;
}

uint8_t pl_sfu_load_step(const struct pl_sfu *sfu, size_t worker)
{
	PL_ASSERT(worker < sfu->workers.count);
	return pl_worker_load_step(sfu->workers.worker[worker]);
}

void pl_sfu_pressure(const struct pl_sfu *sfu, struct pl_sfu_pressure *now)
{
	pl_monitor_read(sfu->monitor, now);
}

const char *pl_sfu_pressure_missing(const struct pl_sfu *sfu)
{
	return pl_monitor_missing(sfu->monitor);
}

void pl_sfu_force_level(struct pl_sfu *sfu, uint8_t level)
{
	pl_monitor_force(sfu->monitor, level);
}

uint8_t pl_sfu_forced_level(const struct pl_sfu *sfu)
{
	return pl_monitor_forced(sfu->monitor);
}

void pl_sfu_worker_counters(const struct pl_sfu *sfu, size_t worker, struct pl_sfu_worker_counters *counters)
{
	PL_ASSERT(worker < sfu->workers.count);
	pl_worker_counters(sfu->workers.worker[worker], counters);
}

static struct pl_shard *shard_of(const struct pl_sfu *sfu, size_t index)
{
	PL_ASSERT(index < sfu->shard_count);
	return sfu->shard[index];
}

uint16_t pl_sfu_port(const struct pl_sfu *sfu, size_t shard)
{
	return pl_shard_port(shard_of(sfu, shard));
}

size_t pl_sfu_candidates(const struct pl_sfu *sfu, size_t shard, struct pl_addr candidate[static PL_SFU_ADDRESSES_MAX])
{
	memcpy(candidate, sfu->address, sizeof sfu->address);
	for (size_t i = 0; i < sfu->address_count; i++)
		candidate[i].port = pl_sfu_port(sfu, shard);
	return sfu->address_count;
}

bool pl_sfu_send(struct pl_sfu *sfu, const struct pl_command *command)
{
	PL_ASSERT(command->home < sfu->shard_count);
	return pl_ring_push(pl_shard_commands(shard_of(sfu, command->shard)), command);
}

size_t pl_sfu_commands_free(struct pl_sfu *sfu, size_t shard)
{
	return pl_ring_room(pl_shard_commands(shard_of(sfu, shard)));
}

/* How hard the server is pressed comes first; then one event of each shard in turn, so that a busy one keeps nobody's news back. */
static bool pop_event(struct pl_sfu *sfu, struct pl_event *event)
{
	if (pl_ring_pop(pl_monitor_events(sfu->monitor), event))
		return true;
	for (size_t i = 0; i < sfu->shard_count; i++) {
		struct pl_shard *shard = sfu->shard[sfu->receive_next];
		sfu->receive_next = (sfu->receive_next + 1) % sfu->shard_count;
		if (pl_ring_pop(pl_shard_events(shard), event))
			return true;
	}
	return false;
}

bool pl_sfu_receive(struct pl_sfu *sfu, struct pl_event *event)
{
	if (pop_event(sfu, event))
		return true;
	/* Empty: from now on the eventfd tells.  What arrived in between is taken at once. */
	pl_waker_wake_up(&sfu->waker);
	if (pl_waker_prepare_sleep(&sfu->waker))
		return false;
	return pop_event(sfu, event);
}

void pl_sfu_receive_later(struct pl_sfu *sfu)
{
	pl_waker_poke(&sfu->waker);
}

int pl_sfu_event_fd(const struct pl_sfu *sfu)
{
	return sfu->waker.event_fd;
}

const char *pl_sfu_warning(const struct pl_sfu *sfu, size_t index)
{
	return index < sfu->warning_count ? sfu->warning[index] : NULL;
}

bool pl_sfu_describe_shard(const struct pl_sfu *sfu, size_t index, char text[static PL_SFU_SHARD_TEXT_SIZE])
{
	const struct pl_shard *shard = shard_of(sfu, index);
	const struct pl_topology_shard *plan = &sfu->plan.shard[index];
	char memory[PL_MEMORY_TEXT_SIZE], cpu[32] = "on any CPU";
	if (plan->cpu != PL_TOPOLOGY_FLOATING)
		snprintf(cpu, sizeof cpu, "on CPU %d", plan->cpu);
	const bool is_whole = pl_memory_describe(pl_shard_memory(shard), memory);
	snprintf(text, PL_SFU_SHARD_TEXT_SIZE, "shard %zu: UDP port %u, %s of node %u%s; tables%s; %s", index,
		(unsigned)pl_shard_port(shard), cpu, (unsigned)plan->node,
		pl_shard_pin_error(shard) != 0 ? " (not kept there)" : "",
		pl_shard_is_on_node(shard) ? " are there, too" : " are on another node", memory);
	return is_whole && pl_shard_is_on_node(shard) && pl_shard_pin_error(shard) == 0;
}

void pl_sfu_shard_counters(const struct pl_sfu *sfu, size_t shard, struct pl_sfu_counters *counters)
{
	memset(counters, 0, sizeof *counters);
	pl_shard_add_counters(shard_of(sfu, shard), counters);
}

void pl_sfu_counters(const struct pl_sfu *sfu, struct pl_sfu_counters *counters)
{
	memset(counters, 0, sizeof *counters);
	for (size_t i = 0; i < sfu->shard_count; i++)
		pl_shard_add_counters(sfu->shard[i], counters);
}

void pl_sfu_holding(const struct pl_sfu *sfu, struct pl_holding *holding)
{
	pl_monitor_holding(sfu->monitor, holding);
}

void pl_sfu_account(struct pl_sfu *sfu, uint64_t connection_bytes)
{
	pl_monitor_account(sfu->monitor, connection_bytes);
}

void pl_sfu_shard_times(const struct pl_sfu *sfu, size_t shard, struct pl_sfu_times *times)
{
	pl_shard_times(shard_of(sfu, shard), times);
}

void pl_sfu_worker_lateness(const struct pl_sfu *sfu, size_t worker, struct pl_histogram *late)
{
	PL_ASSERT(worker < sfu->workers.count);
	pl_worker_lateness(sfu->workers.worker[worker], late);
}

void pl_sfu_shard_load(const struct pl_sfu *sfu, size_t shard, struct pl_load *load)
{
	pl_shard_load(shard_of(sfu, shard), pl_clock_now_us(), load);
}

void pl_sfu_worker_load(const struct pl_sfu *sfu, size_t worker, struct pl_load *load)
{
	PL_ASSERT(worker < sfu->workers.count);
	pl_worker_load(sfu->workers.worker[worker], pl_clock_now_us(), load);
}

/* ---- the watchdog ---- */

static void note_stall(struct pl_sfu_stall *worst, bool is_worker, size_t index, int64_t for_us)
{
	if (for_us > worst->for_us)
		*worst = (struct pl_sfu_stall){ .is_worker = is_worker, .index = index, .for_us = for_us };
}

bool pl_sfu_stalled(struct pl_sfu *sfu, int64_t after_us, struct pl_sfu_stall *stall)
{
	const int64_t now_us = pl_clock_now_us();
	*stall = (struct pl_sfu_stall){ .for_us = 0 };
	for (size_t i = 0; i < sfu->shard_count; i++) {
		const int64_t since_us = pl_shard_due_us(sfu->shard[i]);
		note_stall(stall, false, i, since_us < now_us ? now_us - since_us : 0);
	}
	for (size_t i = 0; i < sfu->workers.count; i++) {
		const int64_t since_us = pl_worker_due_us(sfu->workers.worker[i], now_us, &sfu->watch[i]);
		note_stall(stall, true, i, since_us < now_us ? now_us - since_us : 0);
	}
	return stall->for_us >= after_us;
}

void pl_sfu_canary(const struct pl_sfu *sfu, struct pl_canary_report *report)
{
	if (sfu->canary != NULL) {
		pl_canary_thread_read(sfu->canary, pl_clock_now_us(), report);
		return;
	}
	memset(report, 0, sizeof *report);
	report->mode = PL_CANARY_OFF;
	report->deaf_since_us = report->missed_us = INT64_MAX;
}

int64_t pl_sfu_now_us(void)
{
	return pl_clock_now_us();
}
