/* The harness's clients of WHIP and WHEP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/front_harness.h"

const char *pl_harness_sdp(const char *media, unsigned generation)
{
	static char text[PL_HARNESS_TEXT_SIZE / 2];
	char *to = text;
	for (const char *at = pl_harness_offer(media, generation); *at != '\0'; at++) {
		const bool is_escape = *at == '\\';
		*to++ = is_escape ? (at[1] == 'r' ? '\r' : '\n') : *at;
		at += is_escape;
	}
	*to = '\0';
	return text;
}

static struct pl_bytes bytes_of(const char *text)
{
	return (struct pl_bytes){ (const uint8_t *)text, text != NULL ? strlen(text) : 0 };
}

const struct pl_harness_response *pl_harness_http(struct pl_harness *h, const struct pl_harness_http *http)
{
	struct pl_front_http_request request = {
		.request = h->request = ++h->request_last,
		.method = http->method,
		.path = http->path,
		.address = h->address,
		.authorization = http->authorization,
		.name = bytes_of(http->name),
		.audio = bytes_of(http->audio),
		.content_type = http->type,
		.if_match = http->if_match,
		.content_length = http->content_length,
	};
	if (http->content_length == 0)
		request.content_length = http->body != NULL ? (int64_t)strlen(http->body) : -1;
	if (pl_front_http_wants_body(&request))
		request.body = bytes_of(http->body);
	h->response.count = 0;
	pl_harness_before_input(h);
	pl_front_http(h->front, h->now_us, &request);
	pl_harness_drain(h);
	h->request = 0;
	assert_int_equal(h->response.count, 1);
	return &h->response;
}

const char *pl_harness_field(const struct pl_harness_response *response, const char *name)
{
	static char value[PL_HARNESS_HEAD_SIZE];
	const size_t size = strlen(name);
	value[0] = '\0';
	for (const char *at = response->head; *at != '\0'; at = strstr(at, "\r\n") + 2) {
		if (strncmp(at, name, size) == 0 && strncmp(at + size, ": ", 2) == 0)
			snprintf(value, sizeof value, "%.*s", (int)strcspn(at + size + 2, "\r"), at + size + 2);
	}
	return value;
}

struct pl_harness_whip pl_harness_post(struct pl_harness *h, const char *api, const char *room, const char *media)
{
	struct pl_harness_whip whip;
	char path[PL_HARNESS_HEAD_SIZE];
	snprintf(path, sizeof path, "/v1/%s/%s", api, room);
	const struct pl_harness_response *r =
		pl_harness_http(h, &(struct pl_harness_http){ .method = PL_FRONT_HTTP_POST,
					   .path = path,
					   .name = "Cam",
					   .type = "application/sdp",
					   .body = pl_harness_sdp(media, 1) });
	if (r->status != 201)
		fail_msg("%u %s", r->status, r->body);
	snprintf(whip.location, sizeof whip.location, "%s", pl_harness_field(r, "Location"));
	assert_true(
		(size_t)snprintf(whip.etag, sizeof whip.etag, "%s", pl_harness_field(r, "ETag")) < sizeof whip.etag);
	const struct pl_command *command = pl_harness_take_command(h, PL_COMMAND_JOIN);
	whip.source = command->source;
	whip.room = command->room;
	snprintf(whip.peer, sizeof whip.peer, "p%08x", whip.source);
	return whip;
}
