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

/* A context keeps its key; a packet sets the IV alone. */
struct key {
	EVP_CIPHER_CTX *cipher;
	SHA_CTX inner, outer; /* SHA-1 behind the padded key, RFC 2104 section 4 */
};

struct pl_crypto_engine {
	char text[48];
};

static const char *lack(void)
{
	return NULL;
}

static enum pl_err create(struct pl_crypto_engine **engine)
{
	struct pl_crypto_engine *made = calloc(1, sizeof *made);
	if (made == NULL)
		return PL_ERR_NO_MEMORY;
	const char *name = "openssl ", *version = OpenSSL_version(OPENSSL_VERSION_STRING);
	memcpy(made->text, name, strlen(name));
	strncat(made->text, version, sizeof made->text - strlen(name) - 1);
	*engine = made;
	return PL_ERR_NONE;
}

static void destroy(struct pl_crypto_engine *engine)
{
	free(engine);
}

static const char *text(const struct pl_crypto_engine *engine)
{
	return engine->text;
}

static size_t key_size(enum pl_srtp_profile profile, enum pl_crypto_use use)
{
	(void)profile, (void)use;
	return (sizeof(struct key) + PL_CRYPTO_ALIGN - 1) / PL_CRYPTO_ALIGN * PL_CRYPTO_ALIGN;
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
	(void)engine, (void)use;
	struct key *key = memory;
	const EVP_CIPHER *cipher = profile == PL_SRTP_AEAD_AES_128_GCM ? EVP_aes_128_gcm() : EVP_aes_128_ctr();

	memset(key, 0, sizeof *key);
	key->cipher = EVP_CIPHER_CTX_new();
	if (key->cipher == NULL)
		return PL_ERR_NO_MEMORY;
	if (EVP_EncryptInit_ex(key->cipher, cipher, NULL, secret->cipher, NULL) != 1) {
		EVP_CIPHER_CTX_free(key->cipher);
		ERR_clear_error();
		return PL_ERR_CRYPTO;
	}
	hmac_init(&key->inner, secret->auth, 0x36);
	hmac_init(&key->outer, secret->auth, 0x5c);
	return PL_ERR_NONE;
}

static void key_fini(void *memory, enum pl_srtp_profile profile)
{
	(void)profile;
	struct key *key = memory;
	EVP_CIPHER_CTX_free(key->cipher); /* wipes what it holds */
}

static enum pl_err keystream(struct pl_crypto_engine *engine, const uint8_t key[static PL_CRYPTO_KEY_SIZE],
	const uint8_t iv[static PL_CRYPTO_CM_IV_SIZE], uint8_t *out, size_t size)
{
	(void)engine;
	int n;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	if (ctx == NULL)
		return PL_ERR_NO_MEMORY;
	memset(out, 0, size);
	const bool is_done = EVP_EncryptInit_ex(ctx, EVP_aes_128_ctr(), NULL, key, iv) == 1 &&
			     EVP_EncryptUpdate(ctx, out, &n, out, (int)size) == 1;
	EVP_CIPHER_CTX_free(ctx);
	ERR_clear_error();
	return is_done ? PL_ERR_NONE : PL_ERR_CRYPTO;
}

/* With a key that was accepted and sizes of packets the cipher has no way to fail. */
static void must(int result)
{
	PL_ASSERT(result == 1);
}

static void gcm_seal(
	struct pl_crypto_engine *engine, const struct pl_crypto_gcm *job, uint8_t tag[static PL_CRYPTO_GCM_TAG_SIZE])
{
	(void)engine;
	EVP_CIPHER_CTX *ctx = ((struct key *)job->key)->cipher;
	int n;
	must(EVP_EncryptInit_ex(ctx, NULL, NULL, NULL, job->iv));
	must(EVP_EncryptUpdate(ctx, NULL, &n, job->aad.data, (int)job->aad.size));
	if (job->size > 0)
		must(EVP_EncryptUpdate(ctx, job->out, &n, job->in, (int)job->size));
	must(EVP_EncryptFinal_ex(ctx, tag, &n));
	must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, PL_CRYPTO_GCM_TAG_SIZE, tag));
}

static bool gcm_open(struct pl_crypto_engine *engine, const struct pl_crypto_gcm *job,
	const uint8_t tag[static PL_CRYPTO_GCM_TAG_SIZE])
{
	(void)engine;
	EVP_CIPHER_CTX *ctx = ((struct key *)job->key)->cipher;
	uint8_t expected[PL_CRYPTO_GCM_TAG_SIZE];
	int n;
	memcpy(expected, tag, sizeof expected);
	must(EVP_DecryptInit_ex(ctx, NULL, NULL, NULL, job->iv));
	must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, PL_CRYPTO_GCM_TAG_SIZE, expected));
	must(EVP_DecryptUpdate(ctx, NULL, &n, job->aad.data, (int)job->aad.size));
	if (job->size > 0)
		must(EVP_DecryptUpdate(ctx, job->out, &n, job->in, (int)job->size));
	return EVP_DecryptFinal_ex(ctx, expected, &n) == 1; /* a wrong tag leaves no error in OpenSSL's queue */
}

static void ctr(const struct pl_crypto_cm *job)
{
	EVP_CIPHER_CTX *ctx = ((struct key *)job->key)->cipher;
	int n;
	if (job->size == 0)
		return;
	must(EVP_EncryptInit_ex(ctx, NULL, NULL, NULL, job->iv));
	must(EVP_EncryptUpdate(ctx, job->out, &n, job->in, (int)job->size));
}

static void sign(const struct pl_crypto_cm *job, uint8_t mac[static SHA1_SIZE])
{
	const struct key *key = job->key;
	SHA_CTX state = key->inner;
	must(SHA1_Update(&state, job->signed_from, job->signed_size));
	must(SHA1_Final(mac, &state));
	state = key->outer;
	must(SHA1_Update(&state, mac, SHA1_SIZE));
	must(SHA1_Final(mac, &state));
}

static void cm_seal(struct pl_crypto_engine *engine, const struct pl_crypto_cm *jobs, size_t count)
{
	(void)engine;
	uint8_t mac[SHA1_SIZE];
	for (size_t i = 0; i < count; i++) {
		ctr(&jobs[i]);
		sign(&jobs[i], mac);
		memcpy(jobs[i].tag, mac, PL_CRYPTO_CM_TAG_SIZE);
	}
}

static bool cm_open(struct pl_crypto_engine *engine, const struct pl_crypto_cm *job)
{
	(void)engine;
	uint8_t mac[SHA1_SIZE];
	sign(job, mac);
	if (!pl_crypto_is_equal(mac, job->tag, PL_CRYPTO_CM_TAG_SIZE))
		return false;
	ctr(job);
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
	.keystream = keystream,
	.gcm_seal = gcm_seal,
	.gcm_open = gcm_open,
	.cm_seal = cm_seal,
	.cm_open = cm_open,
};
