/* The ciphers under srtp_fast.c, behind a table: AES-128-GCM and AES-128-CTR with HMAC-SHA1.  srtp_crypto_imb.c has
 * them from intel-ipsec-mb, srtp_crypto_evp.c from OpenSSL.
 * No allocation but in create and key_init.  Thread: an engine belongs to one. */
#ifndef PL_MEDIA_SRTP_CRYPTO_H
#define PL_MEDIA_SRTP_CRYPTO_H

#include "media/srtp.h"

enum {
	PL_CRYPTO_KEY_SIZE = 16,
	PL_CRYPTO_AUTH_SIZE = 20,
	PL_CRYPTO_ALIGN = 64,
	PL_CRYPTO_GCM_IV_SIZE = 12,
	PL_CRYPTO_GCM_TAG_SIZE = 16, /* RFC 7714 section 5.3 */
	PL_CRYPTO_CM_IV_SIZE = 16,
	PL_CRYPTO_CM_TAG_SIZE = 10, /* 80 bits, RFC 3711 section 5.2 */
	PL_CRYPTO_BATCH_MAX = 64,
};

/* How often a key is used: one for RTCP need not keep the tables that make each packet of RTP fast. */
enum pl_crypto_use { PL_CRYPTO_OFTEN, PL_CRYPTO_SELDOM };

/* The session keys of one direction and protocol, RFC 3711 section 4.3. */
struct pl_crypto_secret {
	uint8_t cipher[PL_CRYPTO_KEY_SIZE], auth[PL_CRYPTO_AUTH_SIZE]; /* auth: not for GCM */
};

struct pl_crypto_gcm {
	void *key;
	enum pl_crypto_use use; /* as at key_init */
	uint8_t iv[PL_CRYPTO_GCM_IV_SIZE];
	struct pl_bytes aad;
	const uint8_t *in;
	uint8_t *out; /* in itself, or apart from it */
	size_t size;
};

/* The cipher text is signed together with what stands before and behind it: signed_from may hold out.  Sealing
 * encrypts, then signs; opening checks, then decrypts. */
struct pl_crypto_cm {
	void *key;
	uint8_t iv[PL_CRYPTO_CM_IV_SIZE];
	const uint8_t *in;
	uint8_t *out;
	size_t size;
	const uint8_t *signed_from;
	size_t signed_size;
	uint8_t *tag; /* PL_CRYPTO_CM_TAG_SIZE bytes; written behind everything else, so it may lie in what is signed */
};

struct pl_crypto_engine;

struct pl_crypto {
	/* NULL, or why it cannot be had on this CPU, as the end of a sentence. */
	const char *(*lack)(void);
	enum pl_err (*create)(struct pl_crypto_engine **engine);
	void (*destroy)(struct pl_crypto_engine *engine);
	const char *(*text)(const struct pl_crypto_engine *engine);

	/* A key lives in key_size bytes (a multiple of PL_CRYPTO_ALIGN), so aligned, that the caller owns and wipes. */
	size_t (*key_size)(enum pl_srtp_profile profile, enum pl_crypto_use use);
	/* On an error there is nothing to undo. */
	enum pl_err (*key_init)(struct pl_crypto_engine *engine, void *key, enum pl_srtp_profile profile,
		enum pl_crypto_use use, const struct pl_crypto_secret *secret);
	void (*key_fini)(void *key, enum pl_srtp_profile profile); /* memory of its own; the bytes are the caller's */

	/* A hint that a packet is about to be sealed with this key, of PL_CRYPTO_OFTEN.  It is not read. */
	void (*key_prefetch)(const void *key);

	/* AES-128 in counter mode over zeros: the PRF of RFC 3711 section 4.3.3. */
	enum pl_err (*keystream)(struct pl_crypto_engine *engine, const uint8_t key[static PL_CRYPTO_KEY_SIZE],
		const uint8_t iv[static PL_CRYPTO_CM_IV_SIZE], uint8_t *out, size_t size);

	void (*gcm_seal)(struct pl_crypto_engine *engine, const struct pl_crypto_gcm *job,
		uint8_t tag[static PL_CRYPTO_GCM_TAG_SIZE]);
	bool (*gcm_open)(struct pl_crypto_engine *engine, const struct pl_crypto_gcm *job,
		const uint8_t tag[static PL_CRYPTO_GCM_TAG_SIZE]);
	void (*cm_seal)(struct pl_crypto_engine *engine, const struct pl_crypto_cm *jobs, size_t count);
	bool (*cm_open)(struct pl_crypto_engine *engine, const struct pl_crypto_cm *job);
};

extern const struct pl_crypto pl_crypto_evp;
extern const struct pl_crypto pl_crypto_imb; /* where PLENUM_HAS_IPSEC_MB is 1 */

/* In a time that says nothing about where two tags differ: the empty asm keeps the compiler from leaving early. */
static inline bool pl_crypto_is_equal(const uint8_t *a, const uint8_t *b, size_t size)
{
	uint32_t difference = 0;
	for (size_t i = 0; i < size; i++) {
		difference |= a[i] ^ b[i];
		__asm__("" : "+r"(difference));
	}
	return difference == 0;
}

#endif
