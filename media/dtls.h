/* DTLS 1.2 for SRTP keys (RFC 5764, RFC 8827) with OpenSSL over memory BIOs.
 * Sans-IO: datagrams and monotonic time in, datagrams out.  The last flight is kept and sent again by our
 * clock (RFC 6347 section 4.2.4), never by OpenSSL's, which would read the wall clock.  No cookie exchange:
 * only a path that passed a connectivity check gets here, which proves the same.
 * What stays of an association after its handshake is media/dtls_tail.h's.
 * The only file that names OpenSSL's SSL API is dtls.c; the certificate is dtls_certificate.c's.
 * Thread: the shard that owns the session; an identity may be shared by all threads once it is made. */
#ifndef PL_MEDIA_DTLS_H
#define PL_MEDIA_DTLS_H

#include "media/base.h"
#include "media/drop.h"
#include "media/err.h"
#include "media/srtp.h"

enum {
	PL_DTLS_MTU = 1200,
	PL_DTLS_FLIGHT_SIZE_MAX = 8192,    /* a flight of ours and the copies of it that may be sent again */
	PL_DTLS_RETRANSMIT_MS_FIRST = 250, /* doubles to PL_DTLS_RETRANSMIT_MS_MAX */
	PL_DTLS_RETRANSMIT_MS_MAX = 4000,
	PL_FINGERPRINT_SIZE_MAX = 64,
	PL_FINGERPRINT_TEXT_SIZE = 64 * 3,
};

enum pl_fingerprint_hash { PL_FINGERPRINT_SHA256, PL_FINGERPRINT_SHA384, PL_FINGERPRINT_SHA512 };

/* a=fingerprint of RFC 8122. */
struct pl_fingerprint {
	enum pl_fingerprint_hash hash;
	uint8_t size;
	uint8_t bytes[PL_FINGERPRINT_SIZE_MAX];
};

/* Our end of the handshake, by a=setup of RFC 8842: active sends the ClientHello. */
enum pl_dtls_role { PL_DTLS_PASSIVE, PL_DTLS_ACTIVE };

enum pl_dtls_state { PL_DTLS_HANDSHAKE, PL_DTLS_CONNECTED, PL_DTLS_CLOSED, PL_DTLS_FAILED };

struct pl_dtls_identity; /* a self-signed ECDSA P-256 certificate, its key, and the TLS settings */
struct pl_dtls;

/* Makes a key and a certificate; about a millisecond.  *identity is the caller's, to be destroyed after
 * every association that uses it. */
PL_MUST_USE enum pl_err pl_dtls_identity_create(struct pl_dtls_identity **identity);
void pl_dtls_identity_destroy(struct pl_dtls_identity **identity);

/* The SHA-256 fingerprint to put into SDP. */
const struct pl_fingerprint *pl_dtls_identity_fingerprint(const struct pl_dtls_identity *identity);

/* "AB:CD:..." of the fingerprint's bytes, without the hash name. */
const char *pl_fingerprint_format(const struct pl_fingerprint *fp, char text[static PL_FINGERPRINT_TEXT_SIZE]);

/* peer: pinned, the handshake fails when the peer's certificate has another.  The association keeps a
 * pointer to identity. */
PL_MUST_USE enum pl_err pl_dtls_create(struct pl_dtls **dtls, const struct pl_dtls_identity *identity,
	enum pl_dtls_role role, const struct pl_fingerprint *peer);
void pl_dtls_destroy(struct pl_dtls **dtls);

/* Active: sends the ClientHello.  Passive: nothing.  Call once, when a path exists. */
void pl_dtls_start(struct pl_dtls *dtls, int64_t now_us);

/* One datagram of DTLS records. */
PL_MUST_USE enum pl_drop pl_dtls_feed(struct pl_dtls *dtls, int64_t now_us, struct pl_bytes datagram);

/* Call at or after the deadline. */
void pl_dtls_tick(struct pl_dtls *dtls, int64_t now_us);
int64_t pl_dtls_deadline(const struct pl_dtls *dtls); /* INT64_MAX when idle */

/* Takes the next datagram to send, at most PL_DTLS_MTU bytes: a view that is valid until the next call
 * on this association.  False when drained. */
bool pl_dtls_next(struct pl_dtls *dtls, struct pl_bytes *datagram);

enum pl_dtls_state pl_dtls_state(const struct pl_dtls *dtls);

/* Connected and not settled (asserts): the profile that was agreed on and the keying material of RFC 5764 section 4.2, which the caller
 * wipes with pl_srtp_keys_wipe.  False when the library refused; *keys is then wiped. */
PL_MUST_USE bool pl_dtls_keys(const struct pl_dtls *dtls, struct pl_srtp_keys *keys);

/* Connected and drained, keys taken: lets go of the handshake and of the library's object, some 50 KB, and keeps what it
 * takes to end the association either way (media/dtls_tail.h).  Not before the peer has our last flight: it can not be
 * sent again after this.  Handshake records and application data are dropped from now on, PL_DROP_DTLS_SETTLED.  False
 * when the library refused: then everything stays as it was.  Once settled it is settled: true, and nothing happens. */
PL_MUST_USE bool pl_dtls_settle(struct pl_dtls *dtls);
bool pl_dtls_is_settled(const struct pl_dtls *dtls);

/* Sends close_notify (take it with pl_dtls_next) and enters CLOSED. */
void pl_dtls_close(struct pl_dtls *dtls, int64_t now_us);

#endif
