/* The certificate that a DTLS association shows and the fingerprint by which its peer knows it (RFC 8122, RFC 8827 section
 * 6.5).  A part of dtls.c; OpenSSL's own declarations stay there.  Thread: any, while the identity is made; a digest: the
 * shard's. */
#ifndef PL_MEDIA_DTLS_CERTIFICATE_H
#define PL_MEDIA_DTLS_CERTIFICATE_H

#include "media/dtls.h"

struct x509_st;
struct evp_pkey_st;

/* A self-signed certificate and its key, ECDSA on P-256; the caller's to free.  False: OpenSSL refused, both are NULL. */
PL_MUST_USE bool pl_dtls_certificate_make(struct x509_st **certificate, struct evp_pkey_st **key);

/* fp->hash is the caller's choice.  False: OpenSSL refused. */
PL_MUST_USE bool pl_dtls_certificate_digest(const struct x509_st *certificate, struct pl_fingerprint *fp);

/* Whether the certificate is the one that was promised.  certificate: NULL for none. */
bool pl_dtls_certificate_is(const struct x509_st *certificate, const struct pl_fingerprint *promised);

#endif
