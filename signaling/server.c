#include "signaling/server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "signaling/log.h"
#include "signaling/server_internal.h"

enum {
	OWN_FDS = 64, /* of the media plane, the log, libraries */
	ACCEPTS_PER_TURN = 16,
	ACCEPT_PAUSE_US = 100000,
	SAME_END_US = 500000,
	LOG_FLUSH_US = 5000000,
	HTTP_TIMEOUT_S = 10, /* for a request's head, and for a TLS handshake */
	/* Browsers send the cookies of a host to each of its ports: those of a developer's other programs come here. */
	HEAD_SIZE_MAX = 16384,
	/* What one takes, its session included: 8 KB were measured; OpenSSL's part is what its buffers and a session are. */
	CONNECTION_BYTES = 10 << 10,
	CONNECTION_TLS_BYTES = 60 << 10,
};

int64_t pl_server_now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* libwebsockets warns about peers' mistakes as if they were ours; only its errors are worth an operator's eye. */
static void on_library_log(int level, const char *line)
{
	char text[256];
	snprintf(text, sizeof(text), "%.*s", (int)strcspn(line, "\n"), line);
	if ((level & LLL_ERR) != 0)
		pl_log(PL_LOG_WARNING, "libwebsockets", PL_LOG_TEXT("says", text));
	else
		pl_log(PL_LOG_DEBUG, "libwebsockets", PL_LOG_TEXT("says", text));
}

static void end_over(struct pl_server *server)
{
	server->is_over = true;
	pl_loop_stop(server);
}

static void on_end_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	end_over(timer->data);
}

static bool has_websockets(const struct pl_server *server)
{
	return server->ws_free_count < server->ws_max;
}

/* Whoever asks twice does not want to wait for clients that do not answer.  But a supervisor may tell a process and its
 * group of the same end (timeout(1) does): what comes within a moment is the same request. */
static void end_again(struct pl_server *server)
{
	if (pl_server_now_us() - server->ending_us < SAME_END_US)
		return;
	pl_log(PL_LOG_INFO, "ends without waiting any longer",
		PL_LOG_NUMBER("websockets", server->ws_max - server->ws_free_count));
	end_over(server);
}

/* The listener stays open, so that /ready can say 503 while the last goodbyes are on their way. */
static void begin_end(struct pl_server *server)
{
	server->is_ending = true;
	server->ending_us = pl_server_now_us();
	pl_server_before_front(server);
	pl_front_shutdown(server->front, pl_server_now_us());
	pl_server_after_front(server);
	if (has_websockets(server))
		pl_loop_set_timer(
			server, &server->end_timer, pl_server_now_us() + PL_SERVER_END_MS_MAX * INT64_C(1000));
	else
		end_over(server);
}

static void on_log_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	const int64_t next_us = pl_log_flush(pl_server_now_us());
	if (next_us != INT64_MAX)
		pl_loop_set_timer(timer->data, timer, next_us);
}

static void on_left_out(void *context)
{
	struct pl_server *server = context;
	pl_loop_set_timer(server, &server->log_timer, pl_server_now_us() + LOG_FLUSH_US);
}

/* Nobody is left, or the time is over. */
static void on_drain_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct pl_server *server = timer->data;
	if (server->is_ending)
		return;
	pl_log(PL_LOG_INFO, "has drained", PL_LOG_NUMBER("sessions", pl_front_counters(server->front)->sessions));
	begin_end(server);
}

/* The listener stays open: those who are in may resume, and /ready says 503. */
void pl_server_drain(struct pl_server *server, uint32_t seconds)
{
	if (server->is_ending || server->is_drained)
		return;
	const int64_t now_us = pl_server_now_us();
	server->is_draining = true;
	server->drained_us = now_us + seconds * INT64_C(1000000);
	pl_log(PL_LOG_INFO, "drains", PL_LOG_NUMBER("deadline_s", seconds),
		PL_LOG_NUMBER("sessions", pl_front_counters(server->front)->sessions));
	pl_loop_set_timer(server, &server->drain_timer, server->drained_us);
	pl_server_before_front(server);
	pl_front_drain(server->front, now_us, server->drained_us);
	pl_server_after_front(server);
}

/* SIGTERM comes from a supervisor that means all of its calls, SIGINT from somebody at the keyboard who waits; and whoever asks twice
 * does not want to wait.  After a drain that the admin API began, as a container's preStop hook may, SIGTERM is the first request. */
static void take_signal(struct pl_server *server)
{
	struct signalfd_siginfo info;
	if (read(lws_get_socket_fd(server->signals), &info, sizeof(info)) != sizeof(info))
		return;
	if (server->is_ending) {
		end_again(server);
		return;
	}
	const int64_t now_us = pl_server_now_us();
	const bool is_first = server->signal_us == 0;
	if (!is_first && now_us - server->signal_us < SAME_END_US)
		return;
	server->signal_us = now_us;
	pl_log(PL_LOG_INFO, "ends", PL_LOG_NUMBER("signal", info.ssi_signo),
		PL_LOG_NUMBER("websockets", server->ws_max - server->ws_free_count));
	const bool may_drain = is_first && info.ssi_signo == SIGTERM && server->config->drain_deadline_s > 0 &&
			       pl_front_counters(server->front)->sessions > 0;
	if (!may_drain)
		begin_end(server);
	else if (!server->is_draining)
		pl_server_drain(server, server->config->drain_deadline_s);
}

static void on_accept_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct pl_server *server = timer->data;
	if (server->listener != NULL)
		lws_rx_flow_control(server->listener, 1 | LWS_RXFLOW_REASON_FLAG_PROCESS_NOW);
}

/* Without descriptors the listener would be readable for ever: look again a little later. */
static void pause_accepting(struct pl_server *server)
{
	pl_log(PL_LOG_WARNING, "connections cannot be accepted", PL_LOG_TEXT("why", strerror(errno)));
	lws_rx_flow_control(server->listener, 0);
	pl_loop_set_timer(server, &server->accept_timer, pl_server_now_us() + ACCEPT_PAUSE_US);
}

/* ---- connections ---- */

/* What is no WebSocket: a page's, a request's, or nothing's.  A crowd of the last kind must not keep the others out, nor look as if
 * the server had much to do (file descriptors press, too): so they are bounded, and the oldest makes room. */
struct guest {
	lws_dll2_t link; /* of server->guests */
	struct lws *wsi;
};

static void begin_guest(struct pl_server *server, struct lws *wsi)
{
	struct guest *guest = calloc(1, sizeof(*guest));
	if (guest == NULL)
		return; /* and is bounded by its timeout alone */
	guest->wsi = wsi;
	lws_dll2_add_tail(&guest->link, &server->guests);
	lws_set_opaque_user_data(wsi, guest);
}

/* It is a WebSocket now, or goes. */
static void end_guest(struct lws *wsi)
{
	struct guest *guest = lws_get_opaque_user_data(wsi);
	if (guest == NULL)
		return;
	lws_set_opaque_user_data(wsi, NULL);
	lws_dll2_remove(&guest->link);
	free(guest);
}

static void make_room(struct pl_server *server)
{
	const uint32_t most = PL_SERVER_SPARE_CONNECTIONS + server->config->limits_connections / PL_SERVER_GUESTS_PART;
	while (server->guests.count >= most) {
		struct guest *oldest = lws_container_of(server->guests.head, struct guest, link);
		server->displaced++;
		lws_set_timeout(oldest->wsi, PENDING_TIMEOUT_HTTP_CONTENT, LWS_TO_KILL_SYNC);
	}
	pl_silence_bound(server);
}

static void accept_connections(struct pl_server *server)
{
	const int listen_fd = lws_get_socket_fd(server->listener);
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		const int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
				pause_accepting(server);
			return;
		}
		make_room(server);
		if (server->open_count >= server->config->limits_connections + PL_SERVER_SPARE_CONNECTIONS) {
			server->refused++;
			close(fd);
			continue;
		}
		/* A small message must not wait for the acknowledgement of the one before it. */
		const int on = 1;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		struct lws *wsi = lws_adopt_socket_vhost(server->vhost, fd);
		if (wsi != NULL)
			begin_guest(server, wsi);
		else
			pl_log(PL_LOG_DEBUG, "a connection could not be taken");
		pl_loop_client_came(server);
	}
}

static void on_descriptor(struct pl_server *server, struct lws *wsi)
{
	if (wsi == server->listener)
		accept_connections(server);
	else if (wsi == server->events)
		pl_server_take_events(server);
	else if (wsi == server->signals)
		take_signal(server);
}

static void on_descriptor_closed(struct pl_server *server, struct lws *wsi)
{
	struct lws **const own[] = { &server->listener, &server->events, &server->signals };
	for (size_t i = 0; i < PL_COUNT(own); i++) {
		if (*own[i] == wsi)
			*own[i] = NULL;
	}
}

static void on_ws_closed(struct pl_server *server, struct pl_session *session)
{
	pl_ws_closed(server, session);
	if (server->is_ending && !has_websockets(server))
		end_over(server);
}

/* So that what is told of memory adds up: libwebsockets has no number for it. */
static void account(struct pl_server *server)
{
	const uint64_t each = server->config->http_tls_cert[0] != '\0' ? CONNECTION_TLS_BYTES : CONNECTION_BYTES;
	pl_sfu_account(server->sfu, server->open_count * each);
}

/* One protocol for all: libwebsockets takes the first for plain HTTP, and for a WebSocket that names no subprotocol. */
static int on_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t size)
{
	struct pl_server *server = lws_context_user(lws_get_context(wsi));
	struct pl_session *session = user;
	switch ((int)reason) {
	case LWS_CALLBACK_WSI_CREATE:
		server->open_count++;
		account(server);
		return 0;
	case LWS_CALLBACK_WSI_DESTROY:
		server->open_count--;
		account(server);
		end_guest(wsi);
		return 0;
	case LWS_CALLBACK_HTTP:
		return pl_http_request(server, wsi, session, in, size);
	case LWS_CALLBACK_HTTP_BODY:
		return pl_whip_body(session, (struct pl_bytes){ in, size });
	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
		return pl_whip_body_end(session);
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return pl_http_writeable(wsi, session);
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
		return pl_http_confirm_upgrade(server, wsi, in);
	case LWS_CALLBACK_RAW_ADOPT: /* after CONNECT: we are no proxy */
		return -1;
	case LWS_CALLBACK_CLOSED_HTTP:
	case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
		if (session != NULL) {
			pl_http_closed(session);
			pl_whip_closed(session);
		}
		return 0;
	case LWS_CALLBACK_ESTABLISHED:
		end_guest(wsi);
		return pl_ws_opened(server, wsi, session);
	case LWS_CALLBACK_RECEIVE:
		return pl_ws_received(server, session, (struct pl_bytes){ in, size });
	case LWS_CALLBACK_RECEIVE_PONG:
		pl_ws_pong(server, session);
		return 0;
	case LWS_CALLBACK_SERVER_WRITEABLE:
		return pl_ws_writeable(session);
	case LWS_CALLBACK_CLOSED:
		on_ws_closed(server, session);
		return 0;
	case LWS_CALLBACK_RAW_RX_FILE:
		on_descriptor(server, wsi);
		return 0;
	case LWS_CALLBACK_RAW_CLOSE_FILE:
		on_descriptor_closed(server, wsi);
		return 0;
	default:
		return 0;
	}
}

static const struct lws_protocols PROTOCOLS[] = {
	{ .name = "plenum.v1",
		.callback = on_callback,
		.per_session_data_size = sizeof(struct pl_session),
		.rx_buffer_size = PL_SERVER_RECEIVE_SIZE,
		.tx_packet_size = PL_SERVER_SEND_SIZE },
	{ .name = NULL },
};

uint64_t pl_server_files(const struct pl_config *config)
{
	return (uint64_t)config->limits_connections + PL_SERVER_SPARE_CONNECTIONS + OWN_FDS;
}

uint64_t pl_server_files_limit(const struct pl_config *config)
{
	return 2 * pl_server_files(config);
}

/* libwebsockets sizes its tables by the limit of descriptors, 16 bytes each, which may be 1,024 or a billion: so not all that is
 * allowed is taken. */
static void fit_descriptor_limit(const struct pl_config *config)
{
	const rlim_t needed = pl_server_files(config), wanted = pl_server_files_limit(config);
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < needed)
		pl_log(PL_LOG_WARNING, "fewer file descriptors than limits.connections needs; raise the hard limit",
			PL_LOG_NUMBER("wanted", wanted), PL_LOG_NUMBER("allowed", limit.rlim_cur));
}

/* No origin is refused: there are no cookies and no ambient authority that a foreign page could borrow; who may join
 * is in the message itself.  No permessage-deflate: it costs each connection some 300 KB for messages of 300 bytes.
 * Plain HTTP on the port of HTTPS is let in to be shown the way (signaling/server_http.c), never served.
 * libwebsockets' timers for silent connections, in a sorted list that each message would walk, are off: signaling/server_silence.c
 * does that. */
static bool create_context(struct pl_server *server)
{
	static const lws_retry_bo_t no_timers = { .secs_since_valid_hangup = 0 };
	const struct pl_config *config = server->config;
	const bool has_tls = config->http_tls_cert[0] != '\0';
	void *loops[] = { server->loop };
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN_SERVER,
		.protocols = PROTOCOLS,
		.user = server,
		.options =
			LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_VALIDATE_UTF8 |
			LWS_SERVER_OPTION_NO_LWS_SYSTEM_STATES | LWS_SERVER_OPTION_LIBEV |
			(has_tls ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_ALLOW_NON_SSL_ON_SSL_PORT |
						LWS_SERVER_OPTION_ALLOW_HTTP_ON_HTTPS_LISTENER
				 : 0),
		.max_http_header_data = HEAD_SIZE_MAX,
		.timeout_secs = HTTP_TIMEOUT_S,
		.timeout_secs_ah_idle = HTTP_TIMEOUT_S,
		.retry_and_idle_policy = &no_timers,
		.foreign_loops = loops,
		.alpn = "http/1.1", /* WebSockets over HTTP/2 bring nothing here */
	};
	if (has_tls) {
		info.ssl_cert_filepath = config->http_tls_cert;
		info.ssl_private_key_filepath = config->http_tls_key;
	}
	server->lws = lws_create_context(&info);
	server->vhost = server->lws == NULL ? NULL : lws_create_vhost(server->lws, &info);
	return server->vhost != NULL;
}

/* Takes fd over in any case. */
static bool adopt(struct pl_server *server, int fd, struct lws **wsi)
{
	if (fd < 0)
		return false;
	*wsi = lws_adopt_descriptor_vhost(server->vhost, LWS_ADOPT_RAW_FILE_DESC,
		(lws_sock_file_fd_type){ .filefd = fd }, PROTOCOLS[0].name, NULL);
	return *wsi != NULL;
}

static int open_signals(void)
{
	sigset_t both;
	sigemptyset(&both);
	sigaddset(&both, SIGINT);
	sigaddset(&both, SIGTERM);
	return signalfd(-1, &both, SFD_NONBLOCK | SFD_CLOEXEC);
}

static void explain_no_context(const struct pl_server *server, char error[static PL_SERVER_ERROR_SIZE])
{
	const struct pl_config *config = server->config;
	if (server->lws == NULL || config->http_tls_cert[0] == '\0')
		snprintf(error, PL_SERVER_ERROR_SIZE,
			"libwebsockets did not start; is its plugin for libev there (Debian: "
			"libwebsockets-evlib-ev)?");
	else
		snprintf(error, PL_SERVER_ERROR_SIZE,
			"%shttp.tls_cert, http.tls_key: OpenSSL does not take this certificate and key; are they PEM, "
			"and "
			"do they belong together?",
			pl_config_origin(config, "http", "tls_cert"));
}

enum pl_err pl_server_create(
	struct pl_server **out, const struct pl_server_config *config, char error[static PL_SERVER_ERROR_SIZE])
{
	*out = NULL;
	struct pl_server *server = calloc(1, sizeof(*server));
	if (server == NULL) {
		close(config->listen_fd);
		snprintf(error, PL_SERVER_ERROR_SIZE, "out of memory");
		return PL_ERR_NO_MEMORY;
	}
	server->config = config->config;
	server->sfu = config->sfu;
	server->phases = config->phases;
	lws_set_log_level(LLL_ERR | LLL_WARN, on_library_log);
	fit_descriptor_limit(server->config);

	enum pl_err err = PL_ERR_NO_MEMORY;
	snprintf(error, PL_SERVER_ERROR_SIZE, "out of memory for limits.connections = %u",
		server->config->limits_connections);
	if (!pl_loop_init(server) || !pl_ws_table_init(server) || pl_server_front_init(server) != PL_ERR_NONE) {
		close(config->listen_fd);
		goto fail;
	}
	pl_loop_init_timer(server, &server->end_timer, on_end_timer);
	pl_loop_init_timer(server, &server->drain_timer, on_drain_timer);
	pl_loop_init_timer(server, &server->accept_timer, on_accept_timer);
	pl_loop_init_timer(server, &server->log_timer, on_log_timer);
	pl_log_watch(on_left_out, server);
	pl_silence_init(server);
	pl_server_health_init(server);
	if (!create_context(server)) {
		close(config->listen_fd);
		explain_no_context(server, error);
		err = PL_ERR_CONFIG;
		goto fail;
	}
	err = PL_ERR_SOCKET;
	snprintf(error, PL_SERVER_ERROR_SIZE, "the loop took no descriptors: %s", strerror(errno));
	if (adopt(server, config->listen_fd, &server->listener) && adopt(server, open_signals(), &server->signals) &&
		adopt(server, dup(pl_sfu_event_fd(server->sfu)), &server->events)) {
		server->own_count = server->open_count;
		*out = server;
		return PL_ERR_NONE;
	}
fail:
	pl_server_destroy(&server);
	return err;
}

void pl_server_run(struct pl_server *server)
{
	pl_loop_run(server);
}

void pl_server_destroy(struct pl_server **server)
{
	struct pl_server *s = *server;
	if (s == NULL)
		return;
	*server = NULL;
	pl_log_watch(NULL, NULL);
	if (s->lws != NULL)
		lws_context_destroy(s->lws);
	pl_loop_fini(s);
	if (s->front != NULL)
		pl_server_front_fini(s);
	pl_ws_table_fini(s);
	free(s);
}
