/* WHIP, WHEP and the admin API, the half that touches libwebsockets: reads a request's body within its bounds, gives the
 * whole to the front (signaling/front_http.h, signaling/front_admin.h), and sends the answer. */
#include <stdlib.h>
#include <string.h>

#include "signaling/server_internal.h"

enum { BODY_S_MAX = 10 };

struct pl_whip {
	struct pl_whip *next; /* of those that wait for the front's answer */
	struct pl_server *server;
	struct lws *wsi;
	struct pl_front_http_request http; /* its texts are owned; its body is what is here of it */
	ev_timer timer;                    /* runs while the body comes */
	uint8_t *body;
	bool has_body;

	uint16_t status; /* 0: not answered yet */
	char *head;
	struct pl_static_file answer;
};

/* ---- the request ---- */

static enum pl_front_http_method method_of(struct lws *wsi)
{
	static const struct {
		enum lws_token_indexes token;
		enum pl_front_http_method method;
	} known[] = {
		{ WSI_TOKEN_OPTIONS_URI, PL_FRONT_HTTP_OPTIONS },
		{ WSI_TOKEN_POST_URI, PL_FRONT_HTTP_POST },
		{ WSI_TOKEN_PATCH_URI, PL_FRONT_HTTP_PATCH },
		{ WSI_TOKEN_DELETE_URI, PL_FRONT_HTTP_DELETE },
		{ WSI_TOKEN_GET_URI, PL_FRONT_HTTP_GET },
		{ WSI_TOKEN_HEAD_URI, PL_FRONT_HTTP_GET },
	};
	for (size_t i = 0; i < PL_COUNT(known); i++) {
		if (lws_hdr_total_length(wsi, known[i].token) > 0)
			return known[i].method;
	}
	return PL_FRONT_HTTP_OTHER;
}

/* NULL: the field is not there.  False: no memory. */
static bool copy_field(struct lws *wsi, enum lws_token_indexes token, const char **text)
{
	const int size = lws_hdr_total_length(wsi, token);
	if (size <= 0)
		return true;
	char *copy = malloc((size_t)size + 1);
	if (copy == NULL || lws_hdr_copy(wsi, copy, size + 1, token) < 0) {
		free(copy);
		return false;
	}
	*text = copy;
	return true;
}

/* -1 for what is no number of at most 18 digits, and for a chunked body. */
static int64_t length_of(struct lws *wsi)
{
	char text[20];
	if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0 ||
		lws_hdr_copy(wsi, text, sizeof(text), WSI_TOKEN_HTTP_CONTENT_LENGTH) <= 0)
		return -1;
	const bool is_number = strspn(text, "0123456789") == strlen(text) && strlen(text) <= 18;
	return is_number ? strtoll(text, NULL, 10) : -1;
}

/* libwebsockets cuts the query at "&" and undoes its escapes.  key: "name=". */
static bool copy_argument(struct lws *wsi, const char *key, struct pl_bytes *value)
{
	for (int i = 0;; i++) {
		const int size = lws_hdr_fragment_length(wsi, WSI_TOKEN_HTTP_URI_ARGS, i);
		if (size <= 0)
			return true;
		char *text = malloc((size_t)size + 1);
		if (text == NULL)
			return false;
		const int copied = lws_hdr_copy_fragment(wsi, text, size + 1, WSI_TOKEN_HTTP_URI_ARGS, i);
		if (copied >= (int)strlen(key) && memcmp(text, key, strlen(key)) == 0) {
			*value = (struct pl_bytes){ (uint8_t *)text, (size_t)copied - strlen(key) };
			memmove(text, text + strlen(key), value->size);
			return true;
		}
		free(text);
	}
}

static void destroy(struct pl_whip *whip)
{
	pl_loop_stop_timer(whip->server, &whip->timer);
	for (struct pl_whip **at = &whip->server->whips; *at != NULL; at = &(*at)->next) {
		if (*at == whip) {
			*at = whip->next;
			break;
		}
	}
	free((char *)whip->http.path);
	free((char *)whip->http.content_type);
	free((char *)whip->http.if_match);
	free((char *)whip->http.authorization);
	free((uint8_t *)whip->http.name.data);
	free((uint8_t *)whip->http.audio.data);
	free(whip->body);
	free(whip->head);
	pl_static_fini(&whip->answer);
	free(whip);
}

/* A body that drips in would else hold its connection for hours: libwebsockets' bound begins anew with each byte. */
static void on_slow_body(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct pl_whip *whip = lws_container_of(timer, struct pl_whip, timer);
	lws_set_timeout(whip->wsi, PENDING_TIMEOUT_HTTP_CONTENT, LWS_TO_KILL_SYNC); /* which ends whip, too */
}

static struct pl_whip *create(struct pl_server *server, struct lws *wsi, const char *path)
{
	struct pl_whip *whip = calloc(1, sizeof(*whip));
	if (whip == NULL)
		return NULL;
	whip->server = server;
	whip->wsi = wsi;
	pl_loop_init_timer(server, &whip->timer, on_slow_body);
	whip->http.request = ++server->whip_last;
	whip->http.method = method_of(wsi);
	whip->http.address = pl_http_client(server, wsi);
	whip->http.path = strdup(path);
	whip->http.content_length = length_of(wsi);
	if (whip->http.path == NULL || !copy_argument(wsi, "name=", &whip->http.name) ||
		!copy_argument(wsi, "audio=", &whip->http.audio) ||
		!copy_field(wsi, WSI_TOKEN_HTTP_CONTENT_TYPE, &whip->http.content_type) ||
		!copy_field(wsi, WSI_TOKEN_HTTP_IF_MATCH, &whip->http.if_match) ||
		!copy_field(wsi, WSI_TOKEN_HTTP_AUTHORIZATION, &whip->http.authorization)) {
		destroy(whip);
		return NULL;
	}
	return whip;
}

static bool keep_answer(struct pl_whip *whip, const struct pl_front_output *output)
{
	whip->head = strndup(output->head, output->head_size);
	if (output->text_size > 0) {
		whip->answer.owned = malloc(output->text_size);
		if (whip->answer.owned != NULL)
			memcpy(whip->answer.owned, output->text, output->text_size);
		whip->answer.bytes = (struct pl_bytes){ whip->answer.owned, output->text_size };
	}
	return whip->head != NULL && (output->text_size == 0 || whip->answer.owned != NULL);
}

static void give_answer(struct pl_whip *whip, const struct pl_front_output *output)
{
	if (!keep_answer(whip, output)) {
		lws_set_timeout(whip->wsi, PENDING_TIMEOUT_HTTP_CONTENT, LWS_TO_KILL_ASYNC);
		return;
	}
	whip->status = output->status;
	lws_callback_on_writable(whip->wsi);
}

static void ask_admin(struct pl_whip *whip)
{
	struct pl_front_admin_answer answer;
	pl_loop_stop_timer(whip->server, &whip->timer);
	pl_admin_answer(whip->server, &whip->http, &answer);
	give_answer(whip, &(struct pl_front_output){
				  .status = answer.status,
				  .head = answer.head->data,
				  .head_size = answer.head->size,
				  .text = answer.body->data,
				  .text_size = answer.body->size,
			  });
	pl_front_text_release(answer.head);
	pl_front_text_release(answer.body);
}

/* The answer is sent from the writable callback, whether it is there now or comes later. */
static void ask_front(struct pl_whip *whip)
{
	struct pl_server *server = whip->server;
	if (pl_front_admin_is_path(whip->http.path)) {
		ask_admin(whip);
		return;
	}
	pl_loop_stop_timer(server, &whip->timer);
	whip->next = server->whips;
	server->whips = whip;
	pl_server_before_front(server);
	pl_front_http(server->front, pl_server_now_us(), &whip->http);
	pl_server_after_front(server);
}

int pl_whip_request(struct pl_server *server, struct lws *wsi, struct pl_session *session, const char *path)
{
	struct pl_whip *whip = create(server, wsi, path);
	if (whip == NULL)
		return -1;
	session->whip = whip;
	if (!pl_front_http_wants_body(&whip->http)) {
		whip->has_body = whip->http.content_length == 0; /* all of it was read */
		ask_front(whip);
		return 0;
	}
	whip->body = malloc((size_t)whip->http.content_length);
	if (whip->body == NULL)
		return -1;
	whip->http.body.data = whip->body;
	pl_loop_set_timer(server, &whip->timer, pl_server_now_us() + BODY_S_MAX * INT64_C(1000000));
	return 0;
}

int pl_whip_body(struct pl_session *session, struct pl_bytes bytes)
{
	struct pl_whip *whip = session == NULL ? NULL : session->whip;
	if (whip == NULL || whip->body == NULL)
		return 0; /* not worth reading; the answer closes */
	const size_t left = (size_t)whip->http.content_length - whip->http.body.size;
	if (bytes.size > left)
		return -1;
	memcpy(whip->body + whip->http.body.size, bytes.data, bytes.size);
	whip->http.body.size += bytes.size;
	return 0;
}

int pl_whip_body_end(struct pl_session *session)
{
	struct pl_whip *whip = session == NULL ? NULL : session->whip;
	if (whip == NULL || whip->body == NULL || whip->has_body)
		return 0;
	if (whip->http.body.size != (size_t)whip->http.content_length)
		return -1;
	whip->has_body = true;
	ask_front(whip);
	return 0;
}

/* ---- the answer ---- */

static const char *text_of_status(uint16_t status)
{
	static const struct {
		uint16_t status;
		const char *text;
	} known[] = {
		{ 200, "200 OK" },
		{ 201, "201 Created" },
		{ 204, "204 No Content" },
		{ 400, "400 Bad Request" },
		{ 401, "401 Unauthorized" },
		{ 404, "404 Not Found" },
		{ 405, "405 Method Not Allowed" },
		{ 411, "411 Length Required" },
		{ 412, "412 Precondition Failed" },
		{ 413, "413 Content Too Large" },
		{ 415, "415 Unsupported Media Type" },
		{ 422, "422 Unprocessable Content" },
		{ 428, "428 Precondition Required" },
		{ 429, "429 Too Many Requests" },
		{ 503, "503 Service Unavailable" },
	};
	for (size_t i = 0; i < PL_COUNT(known); i++) {
		if (known[i].status == status)
			return known[i].text;
	}
	PL_ASSERT(false);
	return NULL;
}

void pl_whip_respond(struct pl_server *server, const struct pl_front_output *output)
{
	struct pl_whip **at = &server->whips;
	while (*at != NULL && (*at)->http.request != output->request)
		at = &(*at)->next;
	struct pl_whip *whip = *at;
	if (whip == NULL)
		return; /* its client is gone: what it asked for ends with its ICE consent */
	*at = whip->next;
	give_answer(whip, output);
}

int pl_whip_writeable(struct pl_session *session)
{
	struct pl_whip *whip = session->whip;
	if (whip->status == 0)
		return 0;
	const struct pl_http_answer answer = {
		.status = text_of_status(whip->status),
		.extra = whip->head,
		.is_bodiless = whip->status == 204,
		.has_read_body = whip->has_body,
	};
	struct pl_static_file file = whip->answer;
	whip->answer = (struct pl_static_file){ .type = NULL };
	/* With the transaction libwebsockets ends the session's memory, too. */
	session->whip = NULL;
	const int result = pl_http_respond(whip->wsi, session, &answer, &file);
	destroy(whip);
	return result;
}

void pl_whip_closed(struct pl_session *session)
{
	if (session->whip == NULL)
		return;
	destroy(session->whip);
	session->whip = NULL;
}
