/* What the two ways of signaling share.
 * Thread: main. */
#ifndef PL_TESTS_LOAD_SIGNALING_INTERNAL_H
#define PL_TESTS_LOAD_SIGNALING_INTERNAL_H

#include "tests/load/signaling.h"

/* libwebsockets' callbacks; user is the session. */
int load_signaling_on_ws(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t size);
int load_signaling_on_http(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t size);

/* Opens the connection for a request of method ("POST", "DELETE"), or a WebSocket (NULL). */
void load_session_connect(struct load_session *session, const char *method);

/* Keeps a request to be written: size bytes of text. */
PL_MUST_USE bool load_session_keep(struct load_session *session, const char *text, size_t size);

/* Appends to session->in.  False: there is too much of it. */
PL_MUST_USE bool load_session_append(struct load_session *session, const void *bytes, size_t size);

/* The request leaves now. */
void load_session_note_asked(struct load_session *session);

/* The answer is there. */
void load_session_answered(struct load_session *session, struct pl_bytes sdp);

/* The server refuses: tries again after a while, or fails with reason when it was often enough.  after_ms: 0: it has not said. */
void load_session_retry(struct load_session *session, uint32_t after_ms, const char *reason);

/* The server let go of the client that left. */
void load_session_gone(struct load_session *session);

/* What happens to a request that cannot be made, or a connection that ends. */
void load_session_lost(struct load_session *session, const char *why);

/* After a redirect: the same request again, from the event loop. */
void load_session_again(struct load_session *session);

void load_ws_join(struct load_session *session, const char *sdp);
void load_ws_leave(struct load_session *session);
void load_http_join(struct load_session *session, const char *sdp);
void load_http_leave(struct load_session *session);

#endif
