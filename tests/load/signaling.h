/* Speaks for the clients to the server: Plenum's WebSocket API, or WHIP and WHEP (RFC 9725 and its sibling draft).
 * libwebsockets carries both.  A refusal with a time to retry (503 and Retry-After, Plenum's "refused") is retried after
 * that time, a few times; 307 and 308 are followed.
 * Thread: main. */
#ifndef PL_TESTS_LOAD_SIGNALING_H
#define PL_TESTS_LOAD_SIGNALING_H

#include <libwebsockets.h>

#include "tests/load/client.h"
#include "tests/load/options.h"

enum {
	LOAD_REDIRECTS_MAX = 3,
	LOAD_RETRY_MS_MAX = 10000,
	LOAD_MESSAGE_SIZE_MAX = 1 << 20,
};

struct load_signaling;

enum load_session_state {
	LOAD_SESSION_NEW,
	LOAD_SESSION_ASKING,  /* until the answer is there */
	LOAD_SESSION_WAITING, /* to retry */
	LOAD_SESSION_JOINED,
	LOAD_SESSION_LEAVING,
	LOAD_SESSION_GONE,
	LOAD_SESSION_FAILED,
};

/* One client's. */
struct load_session {
	struct load_client *client;
	struct load_signaling *signaling;
	enum load_session_state state;
	char failure[LOAD_REASON_SIZE]; /* when FAILED */
	bool was_joined;                /* FAILED: the answer had been there */
	bool is_turned_away;            /* FAILED: the server refused it as often as it tried */
	uint32_t retries, redirects;

	struct lws *wsi;                   /* NULL: none, or one that is not listened to any more */
	struct lws_sorted_usec_list timer; /* the answer's deadline, or the next try */
	char url[LOAD_TEXT_SIZE];          /* where the request goes; the resource, once WHIP said where it is */
	char *out;                         /* LWS_PRE bytes, then the request; kept until it is answered */
	size_t out_size;
	bool is_written; /* out; libwebsockets asks again when it had to send in parts */
	char *in;        /* what came so far of a message */
	size_t in_size;
	unsigned status; /* of the HTTP response, 0 before it */
	char location[LOAD_TEXT_SIZE];
	uint32_t retry_after_s; /* 0: not said */
};

struct load_signaling_config {
	const struct load_options *options;
	uint32_t session_count;
	void *user;
	void (*on_answer)(void *user, struct load_session *session, struct pl_bytes sdp);
	void (*on_failed)(void *user, struct load_session *session); /* once; also after on_answer */
};

struct load_signaling {
	struct load_signaling_config config;
	struct lws_context *lws;
	struct lws_protocols protocols[3];
	uint32_t leaving;                 /* sessions that wait for their last answer */
	struct load_histogram refusal_us; /* from the request to the refusal */
	uint64_t refusals_untimed;        /* of them, without a time to retry */
};

/* NULL: libwebsockets could not be started. */
struct load_signaling *load_signaling_create(const struct load_signaling_config *config);
void load_signaling_destroy(struct load_signaling **signaling); /* before the sessions' memory goes */

/* Asks for the client, with this offer (copied). */
void load_session_join(struct load_session *session, const char *sdp);
void load_session_leave(struct load_session *session);

/* Ends what has not ended, for example because it took too long. */
PL_PRINTF(2, 3) void load_session_fail(struct load_session *session, const char *reason, ...);
void load_session_fini(struct load_session *session);

#endif
