/* WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep), the pure half: what an HTTP request to them asks for, and what it is
 * answered with.  A client of either is a participant like any other: a session in the front's tables, without a
 * connection.  It ends by DELETE, by the media plane, or with the server.
 * The other half is signaling/server_whip.c; pl_front_http is in signaling/front.h.
 * No socket, no clock, no thread.  Thread: signaling. */
#ifndef PL_SIGNALING_FRONT_HTTP_H
#define PL_SIGNALING_FRONT_HTTP_H

#include "media/addr.h"

enum { PL_FRONT_HTTP_BODY_MAX = 65536 };

enum pl_front_http_method {
	PL_FRONT_HTTP_OTHER, /* PUT */
	PL_FRONT_HTTP_OPTIONS,
	PL_FRONT_HTTP_POST,
	PL_FRONT_HTTP_PATCH,
	PL_FRONT_HTTP_DELETE,
	PL_FRONT_HTTP_GET, /* and HEAD */
};

struct pl_front_http_request {
	uint64_t request;       /* a number of the server's choice, for its answer */
	struct pl_addr address; /* of the client; all zero: not known */
	enum pl_front_http_method method;
	const char *path;                    /* without escapes: "/v1/whip/kitchen" */
	struct pl_bytes name, audio;         /* of ?name=, ?audio=, without escapes; data NULL: absent */
	const char *content_type, *if_match; /* the fields as they came; NULL: absent */
	const char *authorization;           /* the same */
	int64_t content_length;              /* -1: absent, not a number, or the body is chunked */
	struct pl_bytes body;                /* empty unless pl_front_http_wants_body */
};

/* True for paths below /v1/whip and /v1/whep. */
bool pl_front_http_is_path(const char *path);

/* True when the body is worth reading: it has a length within bounds, and the method one that has a body. */
bool pl_front_http_wants_body(const struct pl_front_http_request *request);

/* The token of an Authorization field (RFC 6750 section 2.1; the name of the scheme in any case, RFC 9110 section 11.1); NULL when it has
 * none.  A view. */
const char *pl_front_http_bearer(const char *authorization);

#endif
