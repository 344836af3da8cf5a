#include "sfu/sfu.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "sfu/io/interfaces.h"
#include "sfu/io/udp.h"
#include "sfu/shard.h"

enum { WARNINGS_MAX = 4, WARNING_SIZE = 300 };

struct pl_sfu {
	struct pl_dtls_identity *identity;
	bool has_libsrtp;
	struct pl_shard *shard;
	struct pl_addr candidate[PL_SFU_ADDRESSES_MAX];
	size_t candidate_count;
	char warning[WARNINGS_MAX][WARNING_SIZE];
	size_t warning_count;
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

static enum pl_err start_shard(struct pl_sfu *sfu, const struct pl_sfu_config *config, char *error, size_t error_size)
{
	struct pl_shard_config shard = {
		.port = config->port,
		.srtp = config->srtp,
		.conference = {
			.identity = sfu->identity,
			.participants_max = config->participants_max,
			.rooms_max = config->rooms_max,
			.ntp_offset_us = ntp_offset_us(),
		},
	};
	if (getrandom(&shard.conference.seed, sizeof shard.conference.seed, 0) != sizeof shard.conference.seed) {
		snprintf(error, error_size, "the kernel gave no random bytes: %s", strerror(errno));
		return PL_ERR_CRYPTO;
	}
	const enum pl_err err = pl_shard_create(&sfu->shard, &shard);
	if (err == PL_ERR_SOCKET && errno == EADDRINUSE)
		snprintf(error, error_size,
			"media.port: UDP port %u is in use by another process; stop it, or choose another port with "
			"--set media.port=N",
			(unsigned)config->port);
	else if (err == PL_ERR_CONFIG)
		snprintf(error, error_size, "media.srtp: %s cannot be used: %s", pl_srtp_backend_text(config->srtp),
			pl_srtp_backend_lack(config->srtp));
	else if (err == PL_ERR_SOCKET)
		snprintf(error, error_size, "media.port: UDP port %u cannot be opened: %s", (unsigned)config->port,
			strerror(errno));
	else if (err != PL_ERR_NONE)
		snprintf(error, error_size, "the media thread did not start: %s", pl_err_text(err));
	return err;
}

static enum pl_err list_candidates(
	struct pl_sfu *sfu, const struct pl_sfu_config *config, char *error, size_t error_size)
{
	sfu->candidate_count = config->address_count;
	memcpy(sfu->candidate, config->address, sizeof sfu->candidate);
	if (sfu->candidate_count == 0)
		sfu->candidate_count = pl_interfaces_list(
			pl_shard_has_ipv6(sfu->shard), config->with_loopback, sfu->candidate, PL_SFU_ADDRESSES_MAX);
	for (size_t i = 0; i < sfu->candidate_count; i++)
		sfu->candidate[i].port = pl_shard_port(sfu->shard);
	if (sfu->candidate_count > 0)
		return PL_ERR_NONE;
	snprintf(error, error_size,
		"no interface has an address that clients could reach; name one with --set media.address=ADDRESS");
	return PL_ERR_SOCKET;
}

enum pl_err pl_sfu_create(struct pl_sfu **out, const struct pl_sfu_config *config, char *error, size_t error_size)
{
	PL_ASSERT(config->address_count <= PL_SFU_ADDRESSES_MAX);
	*out = NULL;
	if (config->shards > 1) {
		snprintf(error, error_size, "media.shards: this version runs one media thread; accepted are 0 and 1");
		return PL_ERR_CONFIG;
	}
	struct pl_sfu *sfu = calloc(1, sizeof *sfu);
	if (sfu == NULL) {
		snprintf(error, error_size, "out of memory");
		return PL_ERR_NO_MEMORY;
	}
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
	err = start_shard(sfu, config, error, error_size);
	if (err != PL_ERR_NONE)
		goto fail_shard;
	err = list_candidates(sfu, config, error, error_size);
	if (err != PL_ERR_NONE)
		goto fail_candidates;
	if (pl_shard_receive_bytes(sfu->shard) < PL_UDP_BUFFER_BYTES)
		warn(sfu,
			"the UDP receive buffer is %d bytes instead of %d: bursts may be lost; mend it with: sysctl -w "
			"net.core.rmem_max=%d net.core.wmem_max=%d",
			pl_shard_receive_bytes(sfu->shard), PL_UDP_BUFFER_BYTES, PL_UDP_BUFFER_BYTES,
			PL_UDP_BUFFER_BYTES);
	*out = sfu;
	return PL_ERR_NONE;

fail_candidates:
	pl_shard_destroy(&sfu->shard);
fail_shard:
	pl_dtls_identity_destroy(&sfu->identity);
fail_identity:
	if (sfu->has_libsrtp)
		pl_srtp_fini();
fail_srtp:
	free(sfu);
	return err;
}

void pl_sfu_destroy(struct pl_sfu **owned)
{
	struct pl_sfu *sfu = *owned;
	if (sfu == NULL)
		return;
	*owned = NULL;
	pl_shard_destroy(&sfu->shard);
	pl_dtls_identity_destroy(&sfu->identity);
	if (sfu->has_libsrtp)
		pl_srtp_fini();
	free(sfu);
}

const struct pl_fingerprint *pl_sfu_fingerprint(const struct pl_sfu *sfu)
{
	return pl_dtls_identity_fingerprint(sfu->identity);
}

const char *pl_sfu_srtp_text(const struct pl_sfu *sfu)
{
	return pl_shard_srtp_text(sfu->shard);
}

size_t pl_sfu_candidates(const struct pl_sfu *sfu, struct pl_addr candidate[static PL_SFU_ADDRESSES_MAX])
{
	memcpy(candidate, sfu->candidate, sizeof sfu->candidate);
	return sfu->candidate_count;
}

bool pl_sfu_send(struct pl_sfu *sfu, const struct pl_command *command)
{
	return pl_ring_push(pl_shard_commands(sfu->shard), command);
}

size_t pl_sfu_commands_free(struct pl_sfu *sfu)
{
	return pl_ring_room(pl_shard_commands(sfu->shard));
}

bool pl_sfu_receive(struct pl_sfu *sfu, struct pl_event *event)
{
	struct pl_ring *events = pl_shard_events(sfu->shard);
	if (pl_ring_pop(events, event))
		return true;
	/* Empty: from now on the eventfd tells.  What arrived in between is taken at once. */
	pl_ring_wake_up(events);
	if (pl_ring_prepare_sleep(events))
		return false;
	return pl_ring_pop(events, event);
}

int pl_sfu_event_fd(const struct pl_sfu *sfu)
{
	return pl_shard_events(sfu->shard)->event_fd;
}

const char *pl_sfu_warning(const struct pl_sfu *sfu, size_t index)
{
	return index < sfu->warning_count ? sfu->warning[index] : NULL;
}

void pl_sfu_counters(const struct pl_sfu *sfu, struct pl_sfu_counters *counters)
{
	memset(counters, 0, sizeof *counters);
	pl_shard_add_counters(sfu->shard, counters);
}
