/* The low-level SHA-1 is deprecated, and still what is needed here: EVP's HMAC allocates for each packet. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include "media/srtp_crypto.h"

enum { SHA1_BLOCK_SIZE = 64, SHA1_SIZE = 20 };

/* A context keeps its key; a packet sets the IV alone.  That takes 1 KB of OpenSSL's, so a key that is used seldom has
 * none: it is set in the engine's, and out again. */
struct key {
	EVP_CIPHER_CTX *often; /* NULL: seldom */
	uint8_t seldom[PL_CRYPTO_KEY_SIZE];
};

struct cm_key {
	struct key key;
	SHA_CTX inner, outer; /* SHA-1 behind the padded key, RFC 2104 section 4 */
};

struct pl_crypto_engine {
	EVP_CIPHER_CTX *gcm, *ctr; /* for keys that are used seldom; between them without a key */
	char text[48];
};

static const uint8_t no_key[PL_CRYPTO_KEY_SIZE];

static const char *lack(void)
{
	return NULL;
}

static EVP_CIPHER_CTX *create_context(const EVP_CIPHER *cipher, const uint8_t key[static PL_CRYPTO_KEY_SIZE])
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	if (ctx != NULL && EVP_EncryptInit_ex(ctx, cipher, NULL, key, NULL) == 1)
		return ctx;
	EVP_CIPHER_CTX_free(ctx);
	ERR_clear_error();
	return NULL;
}

static void destroy(struct pl_crypto_engine *engine)
{
	EVP_CIPHER_CTX_free(engine->gcm);
	EVP_CIPHER_CTX_free(engine->ctr);
	free(engine);
}

static enum pl_err create(struct pl_crypto_engine **engine)
{
	struct pl_crypto_engine *made = calloc(1, sizeof *made);
	if (made == NULL)
		return PL_ERR_NO_MEMORY;
	made->gcm = create_context(EVP_aes_128_gcm(), no_key);
	made->ctr = create_context(EVP_aes_128_ctr(), no_key);
	if (made->gcm == NULL || made->ctr == NULL) {
		destroy(made);
		return PL_ERR_CRYPTO;
	}
	const char *name = "openssl ", *version = OpenSSL_version(OPENSSL_VERSION_STRING);
	memcpy(made->text, name, strlen(name));
	strncat(made->text, version, sizeof made->text - strlen(name) - 1);
	*engine = made;
	return PL_ERR_NONE;
}

static const char *text(const struct pl_crypto_engine *engine)
{
	return engine->text;
}

static size_t key_size(enum pl_srtp_profile profile, enum pl_crypto_use use)
{
	(void)use;
	const size_t size = profile == PL_SRTP_AEAD_AES_128_GCM ? sizeof(struct key) : sizeof(struct cm_key);
	return (size + PL_CRYPTO_ALIGN - 1) / PL_CRYPTO_ALIGN * PL_CRYPTO_ALIGN;
}

static void hmac_init(SHA_CTX *state, const uint8_t auth[static PL_CRYPTO_AUTH_SIZE], uint8_t pad)
{
	uint8_t block[SHA1_BLOCK_SIZE];
	memset(block, pad, sizeof block);
	for (size_t i = 0; i < PL_CRYPTO_AUTH_SIZE; i++)
		block[i] ^= auth[i];
	SHA1_Init(state);
	SHA1_Update(state, block, sizeof block);
	explicit_bzero(block, sizeof block);
}

static enum pl_err key_init(struct pl_crypto_engine *engine, void *memory, enum pl_srtp_profile profile,
	enum pl_crypto_use use, const struct pl_crypto_secret *secret)
{
	const bool is_gcm = profile == PL_SRTP_AEAD_AES_128_GCM;
	struct key *key = memory;
	memset(memory, 0, key_size(profile, use));
	if (use == PL_CRYPTO_SELDOM) {
		memcpy(key->seldom, secret->cipher, sizeof key->seldom);
	} else {
		/* The engine's cipher has been looked up already, under OpenSSL's locks. */
		const EVP_CIPHER *cipher = EVP_CIPHER_CTX_get0_cipher(is_gcm ? engine->gcm : engine->ctr);
		key->often = create_context(cipher, secret->cipher);
		if (key->often == NULL)
			return PL_ERR_NO_MEMORY;
	}
	if (!is_gcm) {
		struct cm_key *cm = memory;
		hmac_init(&cm->inner, secret->auth, 0x36);
		hmac_init(&cm->outer, secret->auth, 0x5c);
	}
	return PL_ERR_NONE;
}

static void key_prefetch(const void *key)
{
	pl_prefetch(key, sizeof(struct key)); /* where the rest is stands in it */
}

static void key_fini(void *memory, enum pl_srtp_profile profile)
{
	(void)profile;
	struct key *key = memory;
	EVP_CIPHER_CTX_free(key->often); /* wipes what it holds */
}

static enum pl_err keystream(struct pl_crypto_engine *engine, const uint8_t key[static PL_CRYPTO_KEY_SIZE],
	const uint8_t iv[static PL_CRYPTO_CM_IV_SIZE], uint8_t *out, size_t size)
{
	int n;
	memset(out, 0, size);
	const bool is_done = EVP_EncryptInit_ex(engine->ctr, NULL, NULL, key, iv) == 1 &&
			     EVP_EncryptUpdate(engine->ctr, out, &n, out, (int)size) == 1 &&
			     EVP_EncryptInit_ex(engine->ctr, NULL, NULL, no_key, NULL) == 1;
	if (is_done)
		return PL_ERR_NONE;
	ERR_clear_error();
	return PL_ERR_CRYPTO;
}

/* With a key that was accepted and sizes of packets the cipher has no way to fail. */
static void must(int result)
{
	PL_ASSERT(result == 1);
}

static EVP_CIPHER_CTX *start(const struct key *key, EVP_CIPHER_CTX *of_engine, const uint8_t *iv, bool is_seal)
{
	EVP_CIPHER_CTX *ctx = key->often != NULL ? key->often : of_engine;
	must(EVP_CipherInit_ex(ctx, NULL, NULL, key->often != NULL ? NULL : key->seldom, iv, is_seal));
	return ctx;
}

/* A session's key does not outlive it in the engine. */
static void finish(const struct key *key, EVP_CIPHER_CTX *of_engine)
{
	if (key->often == NULL)
		must(EVP_CipherInit_ex(of_engine, NULL, NULL, no_key, NULL, 1));
}

static void gcm_seal(
	struct pl_crypto_engine *engine, const struct pl_crypto_gcm *job, uint8_t tag[static PL_CRYPTO_GCM_TAG_SIZE])
{
	EVP_CIPHER_CTX *ctx = start(job->key, engine->gcm, job->iv, true);
	int n;
	must(EVP_EncryptUpdate(ctx, NULL, &n, job->aad.data, (int)job->aad.size));
	if (job->size > 0)
		must(EVP_EncryptUpdate(ctx, job->out, &n, job->in, (int)job->size));
	must(EVP_EncryptFinal_ex(ctx, tag, &n));
	must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, PL_CRYPTO_GCM_TAG_SIZE, tag));
	finish(job->key, engine->gcm);
}

static bool gcm_open(struct pl_crypto_engine *engine, const struct pl_crypto_gcm *job,
	const uint8_t tag[static PL_CRYPTO_GCM_TAG_SIZE])
{
	EVP_CIPHER_CTX *ctx = start(job->key, engine->gcm, job->iv, false);
	uint8_t expected[PL_CRYPTO_GCM_TAG_SIZE];
	int n;
	memcpy(expected, tag, sizeof expected);
	must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, PL_CRYPTO_GCM_TAG_SIZE, expected));
	must(EVP_DecryptUpdate(ctx, NULL, &n, job->aad.data, (int)job->aad.size));
	if (job->size > 0)
		must(EVP_DecryptUpdate(ctx, job->out, &n, job->in, (int)job->size));
	/* A wrong tag leaves no error in OpenSSL's queue. */
	const bool is_authentic = EVP_DecryptFinal_ex(ctx, expected, &n) == 1;
	finish(job->key, engine->gcm);
	return is_authentic;
}

static void ctr(struct pl_crypto_engine *engine, const struct pl_crypto_cm *job)
{
	int n;
	if (job->size == 0)
		return;
	EVP_CIPHER_CTX *ctx = start(job->key, engine->ctr, job->iv, true);
	must(EVP_EncryptUpdate(ctx, job->out, &n, job->in, (int)job->size));
	finish(job->key, engine->ctr);
}

static void sign(const struct pl_crypto_cm *job, uint8_t mac[static SHA1_SIZE])
{
	const struct cm_key *key = job->key;
	SHA_CTX state = key->inner;
	must(SHA1_Update(&state, job->signed_from, job->signed_size));
	must(SHA1_Final(mac, &state));
	state = key->outer;
	must(SHA1_Update(&state, mac, SHA1_SIZE));
	must(SHA1_Final(mac, &state));
}

static void cm_seal(struct pl_crypto_engine *engine, const struct pl_crypto_cm *jobs, size_t count)
{
	uint8_t mac[SHA1_SIZE];
	for (size_t i = 0; i < count; i++) {
		ctr(engine, &jobs[i]);
		sign(&jobs[i], mac);
		memcpy(jobs[i].tag, mac, PL_CRYPTO_CM_TAG_SIZE);
	}
}

static bool cm_open(struct pl_crypto_engine *engine, const struct pl_crypto_cm *job)
{
	uint8_t mac[SHA1_SIZE];
	sign(job, mac);
	if (!pl_crypto_is_equal(mac, job->tag, PL_CRYPTO_CM_TAG_SIZE))
		return false;
	ctr(engine, job);
	return true;
}

const struct pl_crypto pl_crypto_evp = {
	.lack = lack,
	.create = create,
	.destroy = destroy,
	.text = text,
	.key_size = key_size,
	.key_init = key_init,
	.key_fini = key_fini,
	.key_prefetch = key_prefetch,
	.keystream = keystream,
	.gcm_seal = gcm_seal,
	.gcm_open = gcm_open,
	.cm_seal = cm_seal,
	.cm_open = cm_open,
};
