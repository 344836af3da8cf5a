/* Wires the parts together: command line, listener, media plane, server. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "signaling/arguments.h"
#include "signaling/certificate.h"
#include "signaling/doctor.h"
#include "signaling/listener.h"
#include "signaling/log.h"
#include "signaling/qr.h"
#include "signaling/server.h"

enum { EXIT_USAGE = 2, URL_SIZE = 96, ERROR_SIZE = PL_CONFIG_ERROR_SIZE, END_S_MAX = 5 };
_Static_assert((int)ERROR_SIZE >= (int)PL_SERVER_ERROR_SIZE, "either has its sentence in it");

struct app {
	struct pl_arguments arguments;
	struct pl_phases phases; /* of the start */
	struct pl_addr listen;
	int listen_fd; /* -1 once the server owns it */
	struct pl_sfu *sfu;
	struct pl_server *server;
	char error[ERROR_SIZE];
};

static int64_t clock_us(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void mark(struct app *app, const char *phase)
{
	pl_phases_mark(&app->phases, phase, clock_us(CLOCK_MONOTONIC));
}

static bool has_tls(const struct app *app)
{
	return app->arguments.config.http_tls_cert[0] != '\0';
}

static bool listen_on(struct app *app)
{
	mark(app, "configuration");
	PL_ASSERT(pl_config_parse_listen(app->arguments.config.http_listen, &app->listen));
	if (app->arguments.is_lan)
		memset(app->listen.ip, 0, sizeof(app->listen.ip));
	const bool is_open = pl_listener_open(&app->listen_fd, &app->listen, app->error) == PL_ERR_NONE;
	mark(app, "listener");
	return is_open;
}

static bool start_media(struct app *app)
{
	const struct pl_config *config = &app->arguments.config;
	struct pl_sfu_config sfu = {
		.port = (uint16_t)config->media_port,
		.shards = (uint16_t)config->media_shards,
		.with_loopback = pl_listener_is_loopback(&app->listen),
		.participants_max = config->limits_participants,
		.rooms_max = config->limits_rooms,
		.room_participants_max = config->limits_room_participants,
		.packets = config->media_pool_packets,
		.coalesce_us = config->media_coalesce_us,
		.codec_workers = (uint16_t)config->media_codec_workers,
		.mix_talkers = (uint8_t)config->media_mix_talkers,
		.is_without_codecs = strcmp(config->media_mixing, "off") == 0,
		.canary_us = config->canary_interval_s * INT64_C(1000000),
		.phases = &app->phases,
	};
	size_t count;
	PL_ASSERT(pl_srtp_backend_parse(config->media_srtp, &sfu.srtp));
	PL_ASSERT(pl_simd_parse(config->media_simd, &sfu.simd));
	PL_ASSERT(pl_config_parse_addresses(config->media_address, sfu.address, &count));
	sfu.address_count = (uint8_t)count;
	sfu.pressure_root = config->pressure_root;
	sfu.has_pressure_level = pl_pressure_level_parse(config->pressure_level, &sfu.pressure_level);
	return pl_sfu_create(&app->sfu, &sfu, app->error, sizeof(app->error)) == PL_ERR_NONE;
}

/* For the addresses that phones will use: those that media is offered on. */
static bool make_certificate(struct app *app)
{
	struct pl_config *config = &app->arguments.config;
	struct pl_certificate certificate;
	struct pl_addr address[PL_SFU_ADDRESSES_MAX];
	char folder[PL_CERTIFICATE_PATH_SIZE];
	if (!app->arguments.is_lan || has_tls(app))
		return true;
	if (!pl_certificate_folder(folder)) {
		snprintf(app->error, sizeof(app->error),
			"--lan: set HOME or XDG_STATE_HOME, so that the certificate can be kept");
		return false;
	}
	const size_t count = pl_sfu_candidates(app->sfu, 0, address);
	if (pl_certificate_keep(&certificate, folder, address, count, app->error) != PL_ERR_NONE)
		return false;
	_Static_assert(sizeof(config->http_tls_cert) >= sizeof(certificate.cert_path), "a path fits");
	memcpy(config->http_tls_cert, certificate.cert_path, sizeof(certificate.cert_path));
	memcpy(config->http_tls_key, certificate.key_path, sizeof(certificate.key_path));
	return true;
}

static bool start_server(struct app *app)
{
	const struct pl_server_config config = {
		.config = &app->arguments.config,
		.sfu = app->sfu,
		.listen_fd = app->listen_fd,
		.phases = &app->phases,
	};
	mark(app, "certificate");
	app->listen_fd = -1;
	return pl_server_create(&app->server, &config, app->error) == PL_ERR_NONE;
}

/* The address to open; at: one of those that a listener on all of them has, NULL for the listener's own. */
static void write_url(const struct app *app, const struct pl_addr *at, char url[static URL_SIZE])
{
	char text[PL_ADDR_TEXT_SIZE];
	struct pl_addr addr = at == NULL ? app->listen : *at;
	addr.port = app->listen.port;
	const struct pl_addr home = pl_addr_ipv4(0x7f000001, addr.port);
	/* The name is friendlier, and browsers trust it with the microphone as they trust the number. */
	if (pl_listener_is_any(&addr) || pl_addr_equal(&addr, &home))
		snprintf(url, URL_SIZE, "%s://localhost:%u", has_tls(app) ? "https" : "http", addr.port);
	else
		snprintf(url, URL_SIZE, "%s://%s", has_tls(app) ? "https" : "http", pl_addr_format(&addr, text));
}

/* A line for each; who does not debug gets one, of the first that has less than it wanted. */
static void tell_shards(const struct app *app)
{
	bool is_told = false;
	for (size_t i = 0; i < pl_sfu_shard_count(app->sfu); i++) {
		char text[PL_SFU_SHARD_TEXT_SIZE];
		const bool is_whole = pl_sfu_describe_shard(app->sfu, i, text);
		pl_log(is_whole || is_told ? PL_LOG_DEBUG : PL_LOG_INFO, text);
		is_told = is_told || !is_whole;
	}
}

static void tell_phases(const struct app *app)
{
	struct pl_log_field field[PL_PHASES_MAX + 2] = { { NULL, NULL, 0 } };
	char text[PL_PHASES_MAX][16];
	static struct pl_log_site site;
	size_t count = 1;
	for (size_t i = 0; i < app->phases.count; i++, count++) {
		snprintf(text[i], sizeof(text[i]), "%.2f", (double)app->phases.phase[i].us / 1000);
		field[count] = (struct pl_log_field)PL_LOG_TEXT(app->phases.phase[i].name, text[i]);
	}
	pl_log_write(PL_LOG_DEBUG, &site, "start, in ms", field);
}

/* Milliseconds since exec: the phases' sum. */
static void tell_ready(const struct app *app)
{
	struct pl_addr candidate[PL_SFU_ADDRESSES_MAX];
	const size_t count = pl_sfu_candidates(app->sfu, 0, candidate);
	char message[48], url[URL_SIZE], http[PL_ADDR_TEXT_SIZE];
	tell_shards(app);
	tell_phases(app);
	write_url(app, NULL, url);
	snprintf(
		message, sizeof(message), "ready in %lld ms", (long long)(pl_phases_sum_us(&app->phases) + 500) / 1000);
	pl_log(PL_LOG_INFO, message, PL_LOG_TEXT("http", pl_addr_format(&app->listen, http)),
		PL_LOG_NUMBER("udp", pl_sfu_port(app->sfu, 0)), PL_LOG_NUMBER("shards", pl_sfu_shard_count(app->sfu)),
		PL_LOG_NUMBER("codecs", pl_sfu_worker_count(app->sfu)), PL_LOG_TEXT("srtp", pl_sfu_srtp_text(app->sfu)),
		PL_LOG_TEXT("url", url));
	if (pl_sfu_pressure_missing(app->sfu)[0] != '\0')
		pl_log(PL_LOG_INFO, "this machine does not tell all of its load",
			PL_LOG_TEXT("missing", pl_sfu_pressure_missing(app->sfu)));
	for (size_t i = 0; pl_sfu_warning(app->sfu, i) != NULL; i++)
		pl_log(PL_LOG_WARNING, "media", PL_LOG_TEXT("warning", pl_sfu_warning(app->sfu, i)));
	if (count == 0)
		pl_log(PL_LOG_WARNING, "no address was found to offer media on; set media.address");
}

static void print_addresses(const struct app *app)
{
	struct pl_addr candidate[PL_SFU_ADDRESSES_MAX];
	const size_t count = pl_listener_is_any(&app->listen) ? pl_sfu_candidates(app->sfu, 0, candidate) : 0;
	char url[URL_SIZE], best[URL_SIZE];
	write_url(app, NULL, best);
	printf("Plenum is at %s\n", best);
	for (size_t i = 0; i < count; i++) {
		if (pl_listener_is_loopback(&candidate[i]))
			continue;
		write_url(app, &candidate[i], i == 0 ? best : url);
		printf("         and %s\n", i == 0 ? best : url);
	}
	if (app->arguments.has_qr || (app->arguments.is_lan && isatty(STDOUT_FILENO))) {
		if (!pl_qr_print(stdout, best, isatty(STDOUT_FILENO)))
			pl_log(PL_LOG_WARNING, "no QR code could be made");
	}
	if (app->arguments.is_lan)
		printf("The certificate is this machine's own: browsers warn once, and go on when told to.\n");
	fflush(stdout);
}

/* Before any thread: all of them inherit it, and the server alone takes the signals. */
static void set_signals(void)
{
	sigset_t both;
	sigemptyset(&both);
	sigaddset(&both, SIGINT);
	sigaddset(&both, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &both, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* A thread of the media plane that hangs is never joined.  Everybody has been told goodbye: the process ends without it, and says so by
 * its exit code. */
static void on_end_overdue(int number)
{
	static const char text[] = "plenum: a thread of the media plane does not end; the process ends without it\n";
	(void)number;
	(void)!write(STDERR_FILENO, text, sizeof text - 1);
	_exit(EXIT_FAILURE);
}

static void bound_the_end(void)
{
	signal(SIGALRM, on_end_overdue);
	alarm(END_S_MAX);
}

static int run(struct app *app)
{
	const struct pl_config *config = &app->arguments.config;
	pl_log_init(config->log_level, config->log_format);
	set_signals();
	const bool is_started = listen_on(app) && start_media(app) && make_certificate(app) && start_server(app);
	mark(app, "server");
	if (is_started) {
		tell_ready(app);
		print_addresses(app);
		pl_server_run(app->server);
	} else {
		fprintf(stderr, "plenum: %s\n", app->error);
	}
	pl_server_destroy(&app->server);
	if (app->sfu != NULL)
		bound_the_end();
	pl_sfu_destroy(&app->sfu);
	alarm(0);
	if (app->listen_fd >= 0)
		close(app->listen_fd);
	if (is_started)
		pl_log(PL_LOG_INFO, "ended");
	pl_log_flush(INT64_MAX);
	return is_started ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* For plenum doctor: all of a start that the machine may refuse. */
static bool start_for_doctor(void *context, char error[static PL_DOCTOR_ERROR_SIZE])
{
	struct app *app = context;
	const bool is_started = listen_on(app) && start_media(app) && start_server(app);
	if (!is_started)
		snprintf(error, PL_DOCTOR_ERROR_SIZE, "%.*s", PL_DOCTOR_ERROR_SIZE - 1, app->error);
	return is_started;
}

/* Of a supervisor that closed them, the first socket would be standard output, and what is printed would go to a client. */
static void open_standard_files(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	static struct app app = { .listen_fd = -1 };
	/* When exec was is told by /proc in ticks of 10 ms only.  The dynamic linker waits for nothing but the processor, so
	 * what it took is the time that the process has had of it. */
	pl_phases_begin(&app.phases, clock_us(CLOCK_MONOTONIC), "libraries", clock_us(CLOCK_PROCESS_CPUTIME_ID));
	open_standard_files();
	if (pl_arguments_parse(&app.arguments, argc, argv, app.error) != PL_ERR_NONE) {
		fprintf(stderr, "plenum: %s\n", app.error);
		return EXIT_USAGE;
	}
	switch (app.arguments.action) {
	case PL_ARGUMENTS_HELP:
		pl_arguments_print_help(stdout);
		return EXIT_SUCCESS;
	case PL_ARGUMENTS_VERSION:
		printf("plenum %s\n", PLENUM_VERSION);
		return EXIT_SUCCESS;
	case PL_ARGUMENTS_PRINT_CONFIG:
		pl_config_print(&app.arguments.config, true, stdout);
		return EXIT_SUCCESS;
	case PL_ARGUMENTS_DOCTOR:
		return pl_doctor_run(&app.arguments.config, app.arguments.is_json, start_for_doctor, &app);
	case PL_ARGUMENTS_RUN:
		return run(&app);
	}
	return EXIT_FAILURE;
}
