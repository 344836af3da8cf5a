#include "media/dtls_certificate.h"

#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

enum {
	CERTIFICATE_DAYS = 3650, /* nobody checks it: the fingerprint is what is trusted */
	BACKDATE_S = 86400,
};

/* The name and the serial number say nothing about us, as browsers do it (RFC 8827 section 6.5). */
static bool fill_certificate(X509 *certificate, EVP_PKEY *key)
{
	uint64_t serial;
	X509_NAME *name = X509_get_subject_name(certificate);

	return RAND_bytes((unsigned char *)&serial, sizeof serial) == 1 &&
	       X509_set_version(certificate, X509_VERSION_3) == 1 &&
	       ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1) == 1 &&
	       X509_gmtime_adj(X509_getm_notBefore(certificate), -BACKDATE_S) != NULL &&
	       X509_time_adj_ex(X509_getm_notAfter(certificate), CERTIFICATE_DAYS, 0, NULL) != NULL &&
	       X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"WebRTC", -1, -1, 0) == 1 &&
	       X509_set_issuer_name(certificate, name) == 1 && X509_set_pubkey(certificate, key) == 1 &&
	       X509_sign(certificate, key, EVP_sha256()) > 0;
}

bool pl_dtls_certificate_make(X509 **certificate, EVP_PKEY **key)
{
	*key = EVP_EC_gen("P-256");
	*certificate = X509_new();
	if (*key != NULL && *certificate != NULL && fill_certificate(*certificate, *key))
		return true;
	X509_free(*certificate);
	EVP_PKEY_free(*key);
	*certificate = NULL;
	*key = NULL;
	return false;
}

static const EVP_MD *hash_function(enum pl_fingerprint_hash hash)
{
	switch (hash) {
	case PL_FINGERPRINT_SHA384:
		return EVP_sha384();
	case PL_FINGERPRINT_SHA512:
		return EVP_sha512();
	case PL_FINGERPRINT_SHA256:
	default:
		return EVP_sha256();
	}
}

bool pl_dtls_certificate_digest(const X509 *certificate, struct pl_fingerprint *fp)
{
	unsigned int size = 0;
	_Static_assert(PL_FINGERPRINT_SIZE_MAX >= EVP_MAX_MD_SIZE, "every digest fits");
	if (X509_digest(certificate, hash_function(fp->hash), fp->bytes, &size) != 1)
		return false;
	fp->size = (uint8_t)size;
	return true;
}

bool pl_dtls_certificate_is(const X509 *certificate, const struct pl_fingerprint *promised)
{
	struct pl_fingerprint seen = { .hash = promised->hash };
	return certificate != NULL && pl_dtls_certificate_digest(certificate, &seen) && seen.size == promised->size &&
	       CRYPTO_memcmp(seen.bytes, promised->bytes, seen.size) == 0;
}

const char *pl_fingerprint_format(const struct pl_fingerprint *fp, char text[static PL_FINGERPRINT_TEXT_SIZE])
{
	static const char digits[] = "0123456789ABCDEF";
	char *at = text;

	for (uint8_t i = 0; i < fp->size; i++) {
		if (i > 0)
			*at++ = ':';
		*at++ = digits[fp->bytes[i] >> 4];
		*at++ = digits[fp->bytes[i] & 15];
	}
	*at = '\0';
	return text;
}
