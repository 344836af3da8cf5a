/* What is left of a DTLS 1.2 association whose handshake is long done: enough to hear that the peer hangs up, and to
 * say so ourselves, in some 130 bytes instead of a library's 50,000.
 * Our goodbye is one record, sealed by the library before it is let go: so nothing of ours is encrypted here, no key of
 * our direction is kept, and no nonce can be used twice.  Of the peer's records alerts alone have a meaning now (media is
 * SRTP, renegotiation was never allowed): those that are shaped like one are authenticated, the others dropped by name.
 * Every cipher suite of media/dtls.c is an AEAD: AES-GCM (RFC 5288) or ChaCha20-Poly1305 (RFC 7905).
 * The keys lie in the struct: pl_dtls_tail_wipe before its memory goes to anybody else.
 * Pure: no clock, no I/O; memory only by OpenSSL, within a call.  Thread: the shard that owns the association. */
#ifndef PL_MEDIA_DTLS_TAIL_H
#define PL_MEDIA_DTLS_TAIL_H

#include "media/base.h"
#include "media/drop.h"

enum {
	PL_DTLS_RECORD_HEADER_SIZE = 13, /* RFC 6347 section 4.1 */
	PL_DTLS_RECORD_TYPE_ALERT = 21,
	PL_DTLS_RECORD_TYPE_HANDSHAKE = 22,
	PL_DTLS_MASTER_SECRET_SIZE = 48, /* RFC 5246 section 8.1 */
	PL_DTLS_RANDOM_SIZE = 32,
	PL_DTLS_KEY_SIZE_MAX = 32,
	PL_DTLS_IV_SIZE_MAX = 12,
	PL_DTLS_TAG_SIZE = 16,
	PL_DTLS_ALERT_SIZE = 2,
	PL_DTLS_GOODBYE_SIZE_MAX = PL_DTLS_RECORD_HEADER_SIZE + 8 + PL_DTLS_ALERT_SIZE + PL_DTLS_TAG_SIZE,
};

/* The ciphers of the suites, with the hash of their key derivation. */
enum pl_dtls_cipher { PL_DTLS_AES_128_GCM_SHA256, PL_DTLS_AES_256_GCM_SHA384, PL_DTLS_CHACHA20_POLY1305_SHA256 };

/* What the handshake came to.  Whoever fills it wipes it. */
struct pl_dtls_secrets {
	enum pl_dtls_cipher cipher;
	bool is_peer_client;
	uint8_t master[PL_DTLS_MASTER_SECRET_SIZE];
	uint8_t client_random[PL_DTLS_RANDOM_SIZE], server_random[PL_DTLS_RANDOM_SIZE];
};

struct pl_dtls_tail {
	uint8_t cipher; /* enum pl_dtls_cipher */
	uint8_t goodbye_size;
	uint8_t key[PL_DTLS_KEY_SIZE_MAX]; /* the peer's */
	uint8_t iv[PL_DTLS_IV_SIZE_MAX];   /* the peer's, the part that is not in the record */
	uint8_t goodbye[PL_DTLS_GOODBYE_SIZE_MAX];
	uint64_t newest; /* of the peer's record numbers in its epoch, as far as they were authenticated here */
	uint64_t seen;   /* bit i: newest - i came; 0 before the first */
};

enum pl_dtls_alert {
	PL_DTLS_ALERT_NONE,  /* or a warning, which changes nothing */
	PL_DTLS_ALERT_CLOSE, /* close_notify: to be answered by ours, RFC 5246 section 7.2.1 */
	PL_DTLS_ALERT_FATAL, /* the association is no more; no answer */
};

/* Derives the peer's keys.  There is no goodbye yet.  False when the library refused; *tail is then wiped. */
PL_MUST_USE bool pl_dtls_tail_init(struct pl_dtls_tail *tail, const struct pl_dtls_secrets *secrets);

/* Keeps the record of our close_notify, at most PL_DTLS_GOODBYE_SIZE_MAX bytes (asserts). */
void pl_dtls_tail_set_goodbye(struct pl_dtls_tail *tail, struct pl_bytes record);

/* One datagram of records.  *alert: what the peer said, if anything; what follows an end is not looked at.  Returns
 * PL_DROP_NONE when a record of it was good, else why the last was not: PL_DROP_DTLS_MALFORMED, _SETTLED (of another
 * kind or epoch than the alerts of now), _AUTH or _REPLAY. */
PL_MUST_USE enum pl_drop pl_dtls_tail_feed(
	struct pl_dtls_tail *tail, struct pl_bytes datagram, enum pl_dtls_alert *alert);

void pl_dtls_tail_wipe(struct pl_dtls_tail *tail);

#endif
