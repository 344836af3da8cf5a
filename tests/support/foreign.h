/* A DTLS peer that is OpenSSL used as a plain library (what aiortc, GStreamer and many others are).  It trusts any
 * certificate; what it sends is kept until it is forgotten.  Each function asserts that the library does what it is told. */
#ifndef PL_TESTS_SUPPORT_FOREIGN_H
#define PL_TESTS_SUPPORT_FOREIGN_H

#include <openssl/ssl.h>

#include "media/dtls.h"

struct pl_foreign {
	SSL_CTX *ctx;
	SSL *ssl;
	EVP_PKEY *key;
	X509 *certificate;
	BIO_METHOD *method;
	struct pl_bytes sent[64]; /* datagrams, in bytes */
	size_t sent_count, used;
	uint8_t bytes[16384];
};

struct pl_foreign_config {
	bool is_server, has_rsa, has_certificate;
	const char *profiles; /* NULL: no use_srtp */
	size_t extra_size;    /* of a made-up extension, as large as a post-quantum key share */
	int mtu;
	const char *ciphers; /* NULL: the library's own list */
};

/* It must not be moved afterwards. */
void pl_foreign_init(struct pl_foreign *f, const struct pl_foreign_config *config);
void pl_foreign_fini(struct pl_foreign *f);

struct pl_fingerprint pl_foreign_fingerprint(const struct pl_foreign *f, enum pl_fingerprint_hash hash);

/* Runs ours against it, to the end.  is_reversed: its first flight arrives last datagram first (later ones have a
 * ChangeCipherSpec in them, which has no number: out of order it needs a retransmission, and there is no clock here).
 * Returns how many datagrams its first flight had. */
size_t pl_foreign_meet(struct pl_foreign *f, struct pl_dtls *ours, bool is_reversed);

/* Hands it a datagram, without making it look. */
void pl_foreign_receive(struct pl_foreign *f, struct pl_bytes datagram);

/* Forgets what it sent. */
void pl_foreign_forget(struct pl_foreign *f);

#endif
