/* The server's half of ICE: ICE-lite (RFC 8445 section 2.5), over libnice's STUN library.  It answers
 * connectivity checks, learns which address the browser nominated, follows it when it changes, and
 * tells when consent is gone (RFC 7675: here, when checks stop coming).
 * Sans-IO: no socket, no clock, no thread, no allocation.  Thread: the shard that owns the session. */
#ifndef PL_MEDIA_ICE_H
#define PL_MEDIA_ICE_H

#include "media/addr.h"
#include "media/base.h"
#include "media/drop.h"

enum {
	PL_ICE_UFRAG_MAX = 256, /* RFC 8839 section 5.4 */
	PL_ICE_PWD_MAX = 256,
	PL_ICE_LOCAL_UFRAG_SIZE = 9, /* what we make: 8 characters and a NUL */
	PL_ICE_LOCAL_PWD_SIZE = 25,  /* 24 characters and a NUL */
	PL_ICE_PATHS_MAX = 8,        /* remote addresses a session may have at a time; the oldest unused one yields */
	PL_ICE_REPLY_SIZE_MAX = 256,
	PL_ICE_CONSENT_MS = 30000, /* RFC 7675 section 5.1 */
};

struct pl_ice_credentials {
	char ufrag[PL_ICE_LOCAL_UFRAG_SIZE];
	char pwd[PL_ICE_LOCAL_PWD_SIZE];
};

struct pl_ice {
	int8_t selected; /* index into known, -1 before the first nomination */
	uint8_t known_count;
	struct {
		struct pl_path path;
		int64_t checked_us; /* last authenticated check */
	} known[PL_ICE_PATHS_MAX];
	struct pl_ice_credentials local;
	struct pl_ice_credentials local_previous;   /* still answered during an ICE restart; empty when none */
	char remote_previous[PL_ICE_UFRAG_MAX + 1]; /* the peer's fragment that belongs to local_previous */
	char remote_ufrag[PL_ICE_UFRAG_MAX + 1];    /* empty: any (the user name's second half is not checked) */
	int64_t consent_us;                         /* last authenticated check on any path */
	/* Token buckets told as times: each reply moves one ahead by its price, and one that is ahead of now is empty. */
	int64_t answered_us; /* replies to authenticated checks */
	int64_t refused_us;  /* replies to others: they may not eat what the real peer needs */
};

/* What one datagram led to. */
struct pl_ice_result {
	size_t reply_size;    /* bytes of reply to send back over the datagram's path; 0 for none */
	bool is_selected_new; /* pl_ice_selected() changed */
};

/* remote_ufrag: as in the offer, at most PL_ICE_UFRAG_MAX. */
void pl_ice_init(struct pl_ice *ice, int64_t now_us, const struct pl_ice_credentials *local, const char *remote_ufrag);

/* ICE restart (RFC 8445 section 2.4): new credentials on both sides; the selected path goes on until a
 * new nomination, checks with the old credentials are answered until then. */
void pl_ice_restart(struct pl_ice *ice, const struct pl_ice_credentials *local, const char *remote_ufrag);

/* Takes one STUN message.  There is no tie-breaker: a lite agent is always the controlled one, so a peer that says
 * ICE-CONTROLLED gets 487 whatever it drew, and takes the other role (RFC 8445 sections 6.1.1 and 7.2.5.1).
 * A binding indication is accepted and means nothing; a response is a drop, for we send no requests.
 * A peer's error (wrong integrity, unknown attribute) may both be a drop and have an error response in reply.
 * now_us: monotonic microseconds, never decreasing. */
PL_MUST_USE enum pl_drop pl_ice_feed(struct pl_ice *ice, int64_t now_us, const struct pl_path *path,
	struct pl_bytes datagram, uint8_t reply[static PL_ICE_REPLY_SIZE_MAX], struct pl_ice_result *result);

/* The path to send media on, NULL before the first nomination. */
const struct pl_path *pl_ice_selected(const struct pl_ice *ice);

/* True when the remote end of the path has passed an authenticated check in this session. */
bool pl_ice_knows(const struct pl_ice *ice, const struct pl_path *path);

/* When consent ends unless another check comes. */
int64_t pl_ice_consent_deadline(const struct pl_ice *ice);

/* Looks into a STUN message, before any session is known, for the local half of USERNAME ("local:remote").
 * PL_DROP_NONE with *ufrag a view into the datagram. */
PL_MUST_USE enum pl_drop pl_ice_peek_ufrag(struct pl_bytes datagram, struct pl_bytes *ufrag);

#endif
