#include "tests/load/signaling.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/load/signaling_internal.h"

enum { FDS_SPARE = 64, LEAVE_MS = 5000 };

static int64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

struct load_signaling *load_signaling_create(const struct load_signaling_config *config)
{
	struct load_signaling *s = calloc(1, sizeof *s);
	if (s == NULL)
		return NULL;
	s->config = *config;
	s->protocols[0] = (struct lws_protocols){ .name = "http", .callback = load_signaling_on_http };
	s->protocols[1] = (struct lws_protocols){ .name = "plenum.v1", .callback = load_signaling_on_ws };
	const struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN,
		.protocols = s->protocols,
		.fd_limit_per_thread = config->session_count + FDS_SPARE,
		.options = config->options->url.has_tls ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0,
	};
	lws_set_log_level(0, NULL); /* what goes wrong is told by reason, once */
	s->lws = lws_create_context(&info);
	if (s->lws == NULL) {
		free(s);
		return NULL;
	}
	return s;
}

void load_signaling_destroy(struct load_signaling **signaling)
{
	if (*signaling == NULL)
		return;
	lws_context_destroy((*signaling)->lws);
	free(*signaling);
	*signaling = NULL;
}

/* ---- a session's connection ---- */

/* Nothing that this connection says counts from now on. */
static void let_go(struct load_session *session)
{
	if (session->wsi != NULL)
		lws_set_timeout(session->wsi, PENDING_TIMEOUT_KILLED_BY_PARENT, LWS_TO_KILL_ASYNC);
	session->wsi = NULL;
}

static void forget_messages(struct load_session *session)
{
	free(session->out);
	free(session->in);
	session->out = session->in = NULL;
	session->out_size = session->in_size = 0;
}

static int tls_flags(const struct load_options *options, bool has_tls)
{
	const int any = LCCSCF_ALLOW_SELFSIGNED | LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK | LCCSCF_ALLOW_EXPIRED |
			LCCSCF_ALLOW_INSECURE;
	return has_tls ? LCCSCF_USE_SSL | (options->is_insecure ? any : 0) : 0;
}

void load_session_connect(struct load_session *session, const char *method)
{
	struct load_signaling *s = session->signaling;
	struct load_url url;
	char error[LOAD_ERROR_SIZE];
	if (!load_url_parse(&url, session->url, error)) {
		load_session_lost(session, error);
		return;
	}
	session->status = 0;
	session->in_size = 0;
	session->is_written = false;
	const struct lws_client_connect_info info = {
		.context = s->lws,
		.address = url.host,
		.port = url.port,
		.path = url.path[0] != '\0' ? url.path : "/",
		.host = url.authority,
		.origin = url.authority,
		.method = method,
		.protocol = method == NULL ? "plenum.v1" : NULL,
		.local_protocol_name = method == NULL ? "plenum.v1" : "http",
		.ssl_connection = tls_flags(s->config.options, url.has_tls) | LCCSCF_HTTP_NO_FOLLOW_REDIRECT,
		.alpn = "http/1.1",
		.userdata = session,
		.pwsi = &session->wsi,
	};
	if (lws_client_connect_via_info(&info) == NULL) {
		session->wsi = NULL;
		load_session_lost(session, "the connection could not be made");
	}
}

bool load_session_keep(struct load_session *session, const char *text, size_t size)
{
	free(session->out);
	session->out = malloc(LWS_PRE + size);
	session->out_size = size;
	session->is_written = false;
	if (session->out == NULL)
		return false;
	memcpy(session->out + LWS_PRE, text, size);
	return true;
}

bool load_session_append(struct load_session *session, const void *bytes, size_t size)
{
	if (size > LOAD_MESSAGE_SIZE_MAX - session->in_size)
		return false;
	char *grown = realloc(session->in, session->in_size + size + 1);
	if (grown == NULL)
		return false;
	memcpy(grown + session->in_size, bytes, size);
	session->in = grown;
	session->in_size += size;
	grown[session->in_size] = '\0';
	return true;
}

/* ---- its way through the states ---- */

static void begin(struct load_session *session)
{
	session->state = LOAD_SESSION_ASKING;
	load_session_connect(session, session->signaling->config.options->api == LOAD_API_PLENUM ? NULL : "POST");
}

static void on_timer(struct lws_sorted_usec_list *timer)
{
	struct load_session *session = lws_container_of(timer, struct load_session, timer);
	const uint32_t timeout_s = session->signaling->config.options->timeout_s;
	if (session->state == LOAD_SESSION_LEAVING) {
		load_session_gone(session);
	} else if (session->state == LOAD_SESSION_WAITING) {
		lws_sul_schedule(session->signaling->lws, 0, timer, on_timer, timeout_s * LWS_US_PER_SEC);
		begin(session);
	} else if (session->state == LOAD_SESSION_ASKING) {
		load_session_fail(session, "no answer to the request within %u s", timeout_s);
	}
}

void load_session_join(struct load_session *session, const char *sdp)
{
	const struct load_options *options = session->signaling->config.options;
	lws_sul_schedule(session->signaling->lws, 0, &session->timer, on_timer, options->timeout_s * LWS_US_PER_SEC);
	if (options->api == LOAD_API_PLENUM)
		load_ws_join(session, sdp);
	else
		load_http_join(session, sdp);
	if (session->state == LOAD_SESSION_NEW)
		begin(session);
}

void load_session_note_asked(struct load_session *session)
{
	session->client->asked_us = now_us();
}

void load_session_answered(struct load_session *session, struct pl_bytes sdp)
{
	struct load_signaling *s = session->signaling;
	session->client->answered_us = now_us();
	session->state = LOAD_SESSION_JOINED;
	session->was_joined = true;
	lws_sul_cancel(&session->timer);
	s->config.on_answer(s->config.user, session, sdp);
	forget_messages(session);
}

void load_session_fail(struct load_session *session, const char *reason, ...)
{
	struct load_signaling *s = session->signaling;
	if (session->state == LOAD_SESSION_FAILED || session->state == LOAD_SESSION_GONE)
		return;
	if (session->state == LOAD_SESSION_LEAVING) {
		load_session_gone(session);
		return;
	}
	va_list args;
	va_start(args, reason);
	vsnprintf(session->failure, sizeof session->failure, reason, args);
	va_end(args);
	session->state = LOAD_SESSION_FAILED;
	lws_sul_cancel(&session->timer);
	let_go(session);
	forget_messages(session);
	s->config.on_failed(s->config.user, session);
}

void load_session_lost(struct load_session *session, const char *why)
{
	if (session->state == LOAD_SESSION_WAITING)
		return; /* the old connection's end, while the next try is due */
	load_session_fail(session, "%s%s", session->state == LOAD_SESSION_JOINED ? "after joining: " : "", why);
}

void load_session_again(struct load_session *session)
{
	session->state = LOAD_SESSION_WAITING;
	let_go(session);
	lws_sul_schedule(session->signaling->lws, 0, &session->timer, on_timer, 1);
}

void load_session_retry(struct load_session *session, uint32_t after_ms, const char *reason)
{
	struct load_signaling *s = session->signaling;
	load_histogram_add(&s->refusal_us, (uint64_t)(now_us() - session->client->asked_us));
	s->refusals_untimed += after_ms == 0;
	if (after_ms == 0 || after_ms > LOAD_RETRY_MS_MAX || session->retries == s->config.options->retries) {
		session->is_turned_away = true;
		load_session_fail(session, "%s", reason);
		return;
	}
	session->retries++;
	load_session_again(session);
	lws_sul_schedule(s->lws, 0, &session->timer, on_timer, after_ms * LWS_US_PER_MS);
}

void load_session_leave(struct load_session *session)
{
	struct load_signaling *s = session->signaling;
	if (session->state != LOAD_SESSION_JOINED)
		return;
	session->state = LOAD_SESSION_LEAVING;
	s->leaving++;
	lws_sul_schedule(s->lws, 0, &session->timer, on_timer, LEAVE_MS * LWS_US_PER_MS);
	if (s->config.options->api == LOAD_API_PLENUM)
		load_ws_leave(session);
	else
		load_http_leave(session);
}

void load_session_gone(struct load_session *session)
{
	if (session->state != LOAD_SESSION_LEAVING)
		return;
	session->state = LOAD_SESSION_GONE;
	session->signaling->leaving--;
	lws_sul_cancel(&session->timer);
	let_go(session);
	forget_messages(session);
}

void load_session_fini(struct load_session *session)
{
	lws_sul_cancel(&session->timer);
	forget_messages(session);
}
