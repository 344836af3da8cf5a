#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <intel-ipsec-mb.h>

#include "media/srtp_crypto.h"

/* Two managers, because HMAC-SHA1 has two speeds.  The wide one hashes a packet in each lane of its vectors, 16 with
 * AVX-512, and takes as long for one packet as for all lanes.  The narrow one (the library's SSE code) uses the SHA
 * instructions, two packets at a time.  Measured for 100 bytes: 16 packets and more cost 65-75 ns each wide, 95 narrow;
 * 4 cost 180 wide, 94 narrow; one alone 440 and 160. */
struct pl_crypto_engine {
	IMB_MGR *wide, *narrow;
	size_t wide_from; /* packets in a batch that are worth the wide one */
	char text[48];
	IMB_JOB job[PL_CRYPTO_BATCH_MAX];
	uint8_t mac[PL_CRYPTO_BATCH_MAX][IMB_SHA1_DIGEST_SIZE_IN_BYTES];
};

enum { SHA1_WORDS = IMB_SHA1_DIGEST_SIZE_IN_BYTES / 4 };

/* The tables take the library 100 ns to make and 1 to 1.3 KB to keep: a key that is used seldom keeps none. */
struct gcm_seldom {
	uint8_t cipher[PL_CRYPTO_KEY_SIZE];
};

struct cm_key {
	_Alignas(16) uint32_t round[4 * 11];           /* FIPS 197 section 5.2 */
	uint32_t inner[SHA1_WORDS], outer[SHA1_WORDS]; /* SHA-1 behind the padded key, RFC 2104 section 4 */
};

static const char *lack(void)
{
	__builtin_cpu_init();
	if (!__builtin_cpu_supports("aes") || !__builtin_cpu_supports("pclmul") || !__builtin_cpu_supports("sse4.2"))
		return "this CPU has no AES, PCLMULQDQ or SSE4.2 instructions";
	return NULL;
}

static IMB_MGR *create_manager(bool is_wide)
{
	IMB_MGR *manager = alloc_mb_mgr(0);
	if (manager == NULL)
		return NULL;
	if (is_wide)
		init_mb_mgr_auto(manager, NULL);
	else
		init_mb_mgr_sse(manager);
	if (imb_get_errno(manager) == 0)
		return manager;
	free_mb_mgr(manager);
	return NULL;
}

static void destroy(struct pl_crypto_engine *engine)
{
	if (engine->wide != NULL)
		free_mb_mgr(engine->wide);
	if (engine->narrow != NULL)
		free_mb_mgr(engine->narrow);
	explicit_bzero(engine, sizeof *engine); /* the jobs of the last batch point to keys, and its tags are there */
	free(engine);
}

static const char *level_of(uint32_t arch)
{
	switch (arch) {
	case IMB_ARCH_SSE:
		return "SSE";
	case IMB_ARCH_AVX2:
		return "AVX2";
	case IMB_ARCH_AVX512:
		return "AVX512";
	default: /* AVX in version 1, AVX10 in version 2 */
		return "AVX";
	}
}

static enum pl_err create(struct pl_crypto_engine **engine)
{
	struct pl_crypto_engine *made = calloc(1, sizeof *made);
	if (made == NULL)
		return PL_ERR_NO_MEMORY;
	made->wide = create_manager(true);
	made->narrow = create_manager(false);
	if (made->wide == NULL || made->narrow == NULL) {
		destroy(made);
		return PL_ERR_CRYPTO;
	}
	const bool has_sha = (made->narrow->features & IMB_FEATURE_SHANI) != 0;
	const uint32_t arch = made->wide->used_arch;
	made->wide_from = !has_sha ? 1 : arch == IMB_ARCH_AVX512 ? 12 : SIZE_MAX;
	snprintf(made->text, sizeof made->text, "ipsec-mb %s, %s", imb_get_version_str(), level_of(arch));
	*engine = made;
	return PL_ERR_NONE;
}

static const char *text(const struct pl_crypto_engine *engine)
{
	return engine->text;
}

static size_t key_size(enum pl_srtp_profile profile, enum pl_crypto_use use)
{
	size_t size = sizeof(struct cm_key);
	if (profile == PL_SRTP_AEAD_AES_128_GCM)
		size = use == PL_CRYPTO_OFTEN ? sizeof(struct gcm_key_data) : sizeof(struct gcm_seldom);
	return (size + PL_CRYPTO_ALIGN - 1) / PL_CRYPTO_ALIGN * PL_CRYPTO_ALIGN;
}

static void expand(struct pl_crypto_engine *engine, const uint8_t cipher[static PL_CRYPTO_KEY_SIZE], uint32_t *round)
{
	_Alignas(16) uint32_t for_decryption[4 * 11]; /* counter mode has no use for it */
	IMB_AES_KEYEXP_128(engine->wide, cipher, round, for_decryption);
	explicit_bzero(for_decryption, sizeof for_decryption);
}

static void hmac_init(struct pl_crypto_engine *engine, uint32_t state[static SHA1_WORDS],
	const uint8_t auth[static PL_CRYPTO_AUTH_SIZE], uint8_t pad)
{
	uint8_t block[IMB_SHA1_BLOCK_SIZE];
	memset(block, pad, sizeof block);
	for (size_t i = 0; i < PL_CRYPTO_AUTH_SIZE; i++)
		block[i] ^= auth[i];
	IMB_SHA1_ONE_BLOCK(engine->wide, block, state);
	explicit_bzero(block, sizeof block);
}

static enum pl_err key_init(struct pl_crypto_engine *engine, void *memory, enum pl_srtp_profile profile,
	enum pl_crypto_use use, const struct pl_crypto_secret *secret)
{
	if (profile == PL_SRTP_AES128_CM_SHA1_80) {
		struct cm_key *key = memory;
		expand(engine, secret->cipher, key->round);
		hmac_init(engine, key->inner, secret->auth, 0x36);
		hmac_init(engine, key->outer, secret->auth, 0x5c);
	} else if (use == PL_CRYPTO_OFTEN) {
		IMB_AES128_GCM_PRE(engine->wide, secret->cipher, (struct gcm_key_data *)memory);
	} else {
		struct gcm_seldom *key = memory;
		memcpy(key->cipher, secret->cipher, sizeof key->cipher);
	}
	return PL_ERR_NONE;
}

/* The round keys, and the powers of the hash key that a packet of audio takes: the first of them stand last.  With another
 * instruction set they stand elsewhere, and with AES_CM there is something else: then little is gained, and nothing lost. */
static void key_prefetch(const void *key)
{
	enum { ROUND_KEYS = 11 * 16, POWERS_END = 15 * 16 + 48 * 16, POWERS = 10 * 16 };
	_Static_assert(sizeof(struct gcm_key_data) >= POWERS_END, "they are in it");
	pl_prefetch(key, ROUND_KEYS);
	pl_prefetch((const uint8_t *)key + POWERS_END - POWERS, POWERS);
}

static void key_fini(void *memory, enum pl_srtp_profile profile)
{
	(void)memory, (void)profile;
}

/* Counter mode has no lanes to fill: each manager's code is as fast for one packet as for many. */
static void ctr(struct pl_crypto_engine *engine, const struct pl_crypto_cm *jobs, size_t count)
{
	size_t used = 0;
	for (size_t i = 0; i < count; i++) {
		if (jobs[i].size == 0)
			continue;
		IMB_JOB *job = &engine->job[used++];
		job->enc_keys = ((const struct cm_key *)jobs[i].key)->round;
		job->key_len_in_bytes = PL_CRYPTO_KEY_SIZE;
		job->iv = jobs[i].iv;
		job->iv_len_in_bytes = PL_CRYPTO_CM_IV_SIZE;
		job->src = jobs[i].in;
		job->dst = jobs[i].out;
		job->cipher_start_src_offset_in_bytes = 0;
		job->msg_len_to_cipher_in_bytes = jobs[i].size;
	}
	if (used > 0)
		PL_ASSERT(IMB_SUBMIT_CIPHER_BURST_NOCHECK(engine->wide, engine->job, (uint32_t)used, IMB_CIPHER_CNTR,
				  IMB_DIR_ENCRYPT, IMB_KEY_128_BYTES) == used);
}

static void sign(struct pl_crypto_engine *engine, const struct pl_crypto_cm *jobs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		IMB_JOB *job = &engine->job[i];
		const struct cm_key *key = jobs[i].key;
		job->src = jobs[i].signed_from;
		job->hash_start_src_offset_in_bytes = 0;
		job->msg_len_to_hash_in_bytes = jobs[i].signed_size;
		job->auth_tag_output = engine->mac[i];
		job->auth_tag_output_len_in_bytes = IMB_SHA1_DIGEST_SIZE_IN_BYTES;
		job->u.HMAC._hashed_auth_key_xor_ipad = (const uint8_t *)key->inner;
		job->u.HMAC._hashed_auth_key_xor_opad = (const uint8_t *)key->outer;
	}
	IMB_MGR *manager = count >= engine->wide_from ? engine->wide : engine->narrow;
	PL_ASSERT(IMB_SUBMIT_HASH_BURST_NOCHECK(manager, engine->job, (uint32_t)count, IMB_AUTH_HMAC_SHA_1) == count);
}

static void cm_seal(struct pl_crypto_engine *engine, const struct pl_crypto_cm *jobs, size_t count)
{
	PL_ASSERT(count <= PL_CRYPTO_BATCH_MAX);
	ctr(engine, jobs, count);
	sign(engine, jobs, count);
	for (size_t i = 0; i < count; i++)
		memcpy(jobs[i].tag, engine->mac[i], PL_CRYPTO_CM_TAG_SIZE);
}

static bool cm_open(struct pl_crypto_engine *engine, const struct pl_crypto_cm *job)
{
	sign(engine, job, 1);
	if (!pl_crypto_is_equal(engine->mac[0], job->tag, PL_CRYPTO_CM_TAG_SIZE))
		return false;
	ctr(engine, job, 1);
	return true;
}

static enum pl_err keystream(struct pl_crypto_engine *engine, const uint8_t key[static PL_CRYPTO_KEY_SIZE],
	const uint8_t iv[static PL_CRYPTO_CM_IV_SIZE], uint8_t *out, size_t size)
{
	struct cm_key expanded;
	struct pl_crypto_cm job = { .key = &expanded, .in = out, .out = out, .size = size };
	memcpy(job.iv, iv, sizeof job.iv);
	memset(out, 0, size);
	expand(engine, key, expanded.round);
	ctr(engine, &job, 1);
	explicit_bzero(&expanded, sizeof expanded);
	return PL_ERR_NONE;
}

typedef void gcm_fn(struct pl_crypto_engine *, const struct gcm_key_data *, const struct pl_crypto_gcm *, uint8_t *tag);

static void encrypt(
	struct pl_crypto_engine *engine, const struct gcm_key_data *key, const struct pl_crypto_gcm *job, uint8_t *tag)
{
	struct gcm_context_data context;
	IMB_AES128_GCM_ENC(engine->wide, key, &context, job->out, job->in, job->size, job->iv, job->aad.data,
		job->aad.size, tag, PL_CRYPTO_GCM_TAG_SIZE);
}

static void decrypt(
	struct pl_crypto_engine *engine, const struct gcm_key_data *key, const struct pl_crypto_gcm *job, uint8_t *tag)
{
	struct gcm_context_data context;
	IMB_AES128_GCM_DEC(engine->wide, key, &context, job->out, job->in, job->size, job->iv, job->aad.data,
		job->aad.size, tag, PL_CRYPTO_GCM_TAG_SIZE);
}

static void gcm(struct pl_crypto_engine *engine, gcm_fn *with, const struct pl_crypto_gcm *job, uint8_t *tag)
{
	if (job->use == PL_CRYPTO_OFTEN) {
		with(engine, job->key, job, tag);
		return;
	}
	_Alignas(PL_CRYPTO_ALIGN) struct gcm_key_data expanded;
	IMB_AES128_GCM_PRE(engine->wide, ((const struct gcm_seldom *)job->key)->cipher, &expanded);
	with(engine, &expanded, job, tag);
	explicit_bzero(&expanded, sizeof expanded);
}

static void gcm_seal(
	struct pl_crypto_engine *engine, const struct pl_crypto_gcm *job, uint8_t tag[static PL_CRYPTO_GCM_TAG_SIZE])
{
	gcm(engine, encrypt, job, tag);
}

static bool gcm_open(struct pl_crypto_engine *engine, const struct pl_crypto_gcm *job,
	const uint8_t tag[static PL_CRYPTO_GCM_TAG_SIZE])
{
	uint8_t expected[PL_CRYPTO_GCM_TAG_SIZE];
	gcm(engine, decrypt, job, expected);
	return pl_crypto_is_equal(expected, tag, sizeof expected);
}

const struct pl_crypto pl_crypto_imb = {
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
