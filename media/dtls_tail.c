#include "media/dtls_tail.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

enum {
	EPOCH = 1, /* of the only handshake there is, RFC 6347 section 4.1 */
	NONCE_SIZE = 12,
	WINDOW = 64,             /* record numbers, RFC 6347 section 4.1.2.6 */
	ALERT_FATAL = 2,         /* level, RFC 5246 section 7.2 */
	ALERT_CLOSE_NOTIFY = 0,  /* description */
	AAD_SIZE = 8 + 1 + 2 + 2 /* RFC 5246 section 6.2.3.3 with the number of RFC 6347 section 4.1.2.1 */
};

/* What the suites differ in.  iv + explicit is the nonce of AES-GCM; ChaCha20's is iv XOR the record's number. */
struct shape {
	const char *hash;
	uint8_t key_size, iv_size, explicit_size;
};

static const struct shape shapes[] = {
	[PL_DTLS_AES_128_GCM_SHA256] = { "SHA2-256", 16, 4, 8 },
	[PL_DTLS_AES_256_GCM_SHA384] = { "SHA2-384", 32, 4, 8 },
	[PL_DTLS_CHACHA20_POLY1305_SHA256] = { "SHA2-256", 32, 12, 0 },
};

static const EVP_CIPHER *cipher_of(uint8_t cipher)
{
	switch (cipher) {
	case PL_DTLS_AES_256_GCM_SHA384:
		return EVP_aes_256_gcm();
	case PL_DTLS_CHACHA20_POLY1305_SHA256:
		return EVP_chacha20_poly1305();
	case PL_DTLS_AES_128_GCM_SHA256:
	default:
		return EVP_aes_128_gcm();
	}
}

/* ---- keys ---- */

/* PRF(master_secret, "key expansion", server_random + client_random), RFC 5246 section 6.3. */
static bool expand(const struct pl_dtls_secrets *secrets, const char *hash, uint8_t *block, size_t size)
{
	static const char label[] = "key expansion";
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
	EVP_KDF_CTX *ctx = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
	/* The library takes them as not const, and does not write. */
	const OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t)hash, 0),
		OSSL_PARAM_construct_octet_string(
			OSSL_KDF_PARAM_SECRET, (void *)(uintptr_t)secrets->master, sizeof secrets->master),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, (void *)(uintptr_t)label, sizeof label - 1),
		OSSL_PARAM_construct_octet_string(
			OSSL_KDF_PARAM_SEED, (void *)(uintptr_t)secrets->server_random, sizeof secrets->server_random),
		OSSL_PARAM_construct_octet_string(
			OSSL_KDF_PARAM_SEED, (void *)(uintptr_t)secrets->client_random, sizeof secrets->client_random),
		OSSL_PARAM_construct_end(),
	};
	const bool is_done = ctx != NULL && EVP_KDF_derive(ctx, block, size, parameters) == 1;
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	ERR_clear_error();
	return is_done;
}

/* An AEAD's key block: client key, server key, client IV, server IV (it has no MAC keys). */
bool pl_dtls_tail_init(struct pl_dtls_tail *tail, const struct pl_dtls_secrets *secrets)
{
	uint8_t block[2 * (PL_DTLS_KEY_SIZE_MAX + PL_DTLS_IV_SIZE_MAX)];
	PL_ASSERT((size_t)secrets->cipher < PL_COUNT(shapes));
	const struct shape *shape = &shapes[secrets->cipher];
	const size_t number = secrets->is_peer_client ? 0 : 1, keys_size = 2 * (size_t)shape->key_size;

	memset(tail, 0, sizeof *tail);
	tail->cipher = (uint8_t)secrets->cipher;
	const bool is_done = expand(secrets, shape->hash, block, keys_size + 2 * (size_t)shape->iv_size);
	if (is_done) {
		memcpy(tail->key, block + number * shape->key_size, shape->key_size);
		memcpy(tail->iv, block + keys_size + number * shape->iv_size, shape->iv_size);
	}
	OPENSSL_cleanse(block, sizeof block);
	return is_done;
}

void pl_dtls_tail_set_goodbye(struct pl_dtls_tail *tail, struct pl_bytes record)
{
	PL_ASSERT(record.size <= sizeof tail->goodbye);
	memcpy(tail->goodbye, record.data, record.size);
	tail->goodbye_size = (uint8_t)record.size;
}

void pl_dtls_tail_wipe(struct pl_dtls_tail *tail)
{
	OPENSSL_cleanse(tail, sizeof *tail);
}

/* ---- records ---- */

static uint64_t read_number(const uint8_t *at, size_t size)
{
	uint64_t number = 0;
	for (size_t i = 0; i < size; i++)
		number = number << 8 | at[i];
	return number;
}

static bool is_fresh(const struct pl_dtls_tail *tail, uint64_t number)
{
	if (tail->seen == 0 || number > tail->newest)
		return true;
	const uint64_t age = tail->newest - number;
	return age < WINDOW && (tail->seen >> age & 1) == 0;
}

static void note(struct pl_dtls_tail *tail, uint64_t number)
{
	if (tail->seen == 0 || number > tail->newest) {
		const uint64_t ahead = number - tail->newest;
		tail->seen = (ahead < WINDOW ? tail->seen << ahead : 0) | 1;
		tail->newest = number;
	} else {
		tail->seen |= UINT64_C(1) << (tail->newest - number);
	}
}

/* Authenticates and decrypts the fragment of an alert of the right length. */
static bool open_alert(const struct pl_dtls_tail *tail, const uint8_t *record, uint8_t alert[static PL_DTLS_ALERT_SIZE])
{
	const struct shape *shape = &shapes[tail->cipher];
	const uint8_t *explicit_nonce = record + PL_DTLS_RECORD_HEADER_SIZE;
	const uint8_t *sealed = explicit_nonce + shape->explicit_size;
	uint8_t nonce[NONCE_SIZE], aad[AAD_SIZE], tag[PL_DTLS_TAG_SIZE];
	int size;

	memcpy(nonce, tail->iv, shape->iv_size);
	memcpy(nonce + shape->iv_size, explicit_nonce, shape->explicit_size);
	for (size_t i = 0; shape->explicit_size == 0 && i < 8; i++)
		nonce[NONCE_SIZE - 8 + i] ^= record[3 + i]; /* epoch and number */
	memcpy(aad, record + 3, 8);
	memcpy(aad + 8, record, 3); /* type, version */
	aad[11] = 0, aad[12] = PL_DTLS_ALERT_SIZE;
	memcpy(tag, sealed + PL_DTLS_ALERT_SIZE, sizeof tag);

	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	const bool is_good = ctx != NULL &&
			     EVP_DecryptInit_ex(ctx, cipher_of(tail->cipher), NULL, tail->key, nonce) == 1 &&
			     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) == 1 &&
			     EVP_DecryptUpdate(ctx, NULL, &size, aad, sizeof aad) == 1 &&
			     EVP_DecryptUpdate(ctx, alert, &size, sealed, PL_DTLS_ALERT_SIZE) == 1 &&
			     EVP_DecryptFinal_ex(ctx, alert + PL_DTLS_ALERT_SIZE, &size) == 1;
	EVP_CIPHER_CTX_free(ctx);
	ERR_clear_error();
	return is_good;
}

/* One whole record.  What no key is needed to refuse costs no cryptography. */
static enum pl_drop take_record(
	struct pl_dtls_tail *tail, const uint8_t *record, size_t fragment_size, enum pl_dtls_alert *alert)
{
	uint8_t said[PL_DTLS_ALERT_SIZE + PL_DTLS_TAG_SIZE]; /* the library may write a block */

	if (record[0] != PL_DTLS_RECORD_TYPE_ALERT || read_number(record + 3, 2) != EPOCH)
		return PL_DROP_DTLS_SETTLED;
	if (fragment_size != (size_t)shapes[tail->cipher].explicit_size + PL_DTLS_ALERT_SIZE + PL_DTLS_TAG_SIZE)
		return PL_DROP_DTLS_MALFORMED;
	const uint64_t number = read_number(record + 5, 6);
	if (!is_fresh(tail, number))
		return PL_DROP_DTLS_REPLAY;
	if (!open_alert(tail, record, said))
		return PL_DROP_DTLS_AUTH;
	note(tail, number);
	if (said[1] == ALERT_CLOSE_NOTIFY)
		*alert = PL_DTLS_ALERT_CLOSE;
	else if (said[0] == ALERT_FATAL)
		*alert = PL_DTLS_ALERT_FATAL;
	return PL_DROP_NONE;
}

/* The records' frame is drawn in media/dtls.c. */
enum pl_drop pl_dtls_tail_feed(struct pl_dtls_tail *tail, struct pl_bytes datagram, enum pl_dtls_alert *alert)
{
	enum pl_drop drop = PL_DROP_DTLS_MALFORMED;
	bool is_any_good = false;

	*alert = PL_DTLS_ALERT_NONE;
	while (datagram.size > 0 && *alert == PL_DTLS_ALERT_NONE) {
		const size_t rest = datagram.size - PL_DTLS_RECORD_HEADER_SIZE;
		const bool has_header = datagram.size >= PL_DTLS_RECORD_HEADER_SIZE;
		const size_t size = has_header ? (size_t)read_number(datagram.data + 11, 2) : 0;
		/* DTLS 1.2 is 254.253; there is no telling where the next begins behind one that is not whole. */
		if (!has_header || datagram.data[1] != 254 || datagram.data[2] != 253 || size > rest) {
			drop = PL_DROP_DTLS_MALFORMED;
			break;
		}
		drop = take_record(tail, datagram.data, size, alert);
		is_any_good |= drop == PL_DROP_NONE;
		datagram.data += PL_DTLS_RECORD_HEADER_SIZE + size;
		datagram.size -= PL_DTLS_RECORD_HEADER_SIZE + size;
	}
	return is_any_good ? PL_DROP_NONE : drop;
}
