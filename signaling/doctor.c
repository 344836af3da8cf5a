#include "signaling/doctor.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "sfu/io/interfaces.h"
#include "signaling/doctor_checks.h"
#include "signaling/listener.h"
#include "signaling/server.h"

/* Large enough that the usual limit on locked memory (8 MiB) shows. */
enum { PROBE_BYTES = 16 << 20 };

void pl_doctor_tell(struct pl_doctor *doctor, const char *subject, enum pl_doctor_state state, const char *format, ...)
{
	PL_ASSERT(doctor->count < PL_DOCTOR_FINDINGS_MAX);
	struct pl_doctor_finding *finding = &doctor->finding[doctor->count++];
	finding->subject = subject;
	finding->state = state;
	finding->mend[0] = '\0';
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(finding->found, sizeof finding->found, format, arguments);
	va_end(arguments);
}

void pl_doctor_mend(struct pl_doctor *doctor, const char *format, ...)
{
	PL_ASSERT(doctor->count > 0);
	struct pl_doctor_finding *finding = &doctor->finding[doctor->count - 1];
	va_list arguments;
	va_start(arguments, format);
	const int size = vsnprintf(finding->mend, sizeof finding->mend, format, arguments);
	va_end(arguments);
	/* Half a command could do anything. */
	if (size < 0 || (size_t)size >= sizeof finding->mend)
		finding->mend[0] = '\0';
}

int pl_doctor_status(const struct pl_doctor *doctor)
{
	static const int status_of[] = {
#define X(name, word, status) status,
		PL_DOCTOR_STATE_LIST(X)
#undef X
	};
	int worst = 0;
	for (size_t i = 0; i < doctor->count; i++) {
		if (status_of[doctor->finding[i].state] > worst)
			worst = status_of[doctor->finding[i].state];
	}
	return worst;
}

/* False: a start would not even begin. */
static bool check_config(struct pl_doctor *doctor, const struct pl_config *config)
{
	char error[PL_CONFIG_ERROR_SIZE];
	const bool is_complete = pl_config_check(config, error) == PL_ERR_NONE;
	if (!is_complete)
		pl_doctor_tell(doctor, "configuration", PL_DOCTOR_BROKEN, "%s", error);
	else
		pl_doctor_tell(doctor, "configuration", PL_DOCTOR_OK, "is complete; HTTPS is %s",
			config->http_tls_cert[0] != '\0' ? "on" : "off");
	return is_complete;
}

static void check_memory(struct pl_doctor *doctor, uint16_t node)
{
	struct pl_memory probe;
	const struct pl_memory_config config = { .size_bytes = PROBE_BYTES, .node = node };
	if (pl_memory_init(&probe, &config) != PL_ERR_NONE) {
		pl_doctor_tell(doctor, "memory", PL_DOCTOR_BROKEN, "not even %d MiB are free for a media thread",
			PROBE_BYTES >> 20);
		return;
	}
	pl_doctor_check_memory(doctor, "", &probe);
	pl_memory_fini(&probe);
}

static void check_time(struct pl_doctor *doctor)
{
	struct timex timex = { .modes = 0 };
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	const int state = adjtimex(&timex);
	pl_doctor_check_time(doctor, now.tv_sec, state >= 0 && state != TIME_ERROR && (timex.status & STA_UNSYNC) == 0);
}

static void check_files(struct pl_doctor *doctor, const struct pl_config *config)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		pl_doctor_check_files(doctor, limit.rlim_max, pl_server_files(config), pl_server_files_limit(config));
}

static void check_addresses(struct pl_doctor *doctor, const struct pl_config *config)
{
	struct pl_addr listen, address[PL_CONFIG_ADDRESSES_MAX];
	size_t count;
	PL_ASSERT(pl_config_parse_listen(config->http_listen, &listen));
	PL_ASSERT(pl_config_parse_addresses(config->media_address, address, &count));
	const bool is_local = pl_listener_is_loopback(&listen), is_configured = count > 0;
	if (!is_configured)
		count = pl_interfaces_list(true, true, is_local, address, PL_COUNT(address));
	pl_doctor_check_addresses(doctor, address, count, is_configured, is_local);
}

static void examine(struct pl_doctor *doctor, const struct pl_config *config, pl_doctor_starter starter, void *context)
{
	static struct pl_topology topology;
	static struct pl_topology_plan plan;
	pl_topology_discover(&topology);
	pl_topology_plan(&topology, config->media_shards, &plan);
	/* Before the checks, which take memory and descriptors of their own. */
	struct pl_doctor_start start;
	const bool is_complete = check_config(doctor, config);
	if (is_complete)
		pl_doctor_try_start(&start, starter, context);
	pl_doctor_check_cores(doctor, &topology, &plan);
	pl_doctor_check_simd(doctor, "");
	enum pl_simd simd;
	PL_ASSERT(pl_simd_parse(config->media_simd, &simd));
	pl_doctor_check_mixer(doctor, simd);
	enum pl_srtp_backend srtp;
	PL_ASSERT(pl_srtp_backend_parse(config->media_srtp, &srtp));
	pl_doctor_check_srtp(doctor, srtp);
	pl_doctor_check_libsrtp(doctor, srtp == PL_SRTP_LIBSRTP2);
	struct pl_library_opus opus;
	pl_library_examine_opus(&opus);
	pl_doctor_check_opus(doctor, &opus);
	check_memory(doctor, plan.shard[0].node);
	check_files(doctor, config);
	pl_doctor_check_http(doctor, config);
	pl_doctor_check_media_ports(doctor, config, plan.count);
	check_addresses(doctor, config);
	pl_doctor_check_clock_source(doctor, "");
	check_time(doctor);
	if (is_complete)
		pl_doctor_check_start(doctor, &start, pl_server_files_limit(config));
}

int pl_doctor_run(const struct pl_config *config, bool as_json, pl_doctor_starter starter, void *context)
{
	static struct pl_doctor doctor;
	examine(&doctor, config, starter, context);
	/* https://no-color.org: any value but an empty one. */
	const char *no_colour = getenv("NO_COLOR");
	if (as_json)
		pl_doctor_print_json(&doctor, stdout);
	else
		pl_doctor_print(&doctor, isatty(STDOUT_FILENO) && (no_colour == NULL || *no_colour == '\0'), stdout);
	return pl_doctor_status(&doctor);
}
