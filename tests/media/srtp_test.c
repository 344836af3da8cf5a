/* What every backend has to do.  Packets are compared with a second implementation, written here from the RFCs on
 * OpenSSL's AES, GCM and HMAC, which is itself held against the RFCs' vectors. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "media/srtp.h"

enum { HEADER_SIZE = 12, GCM_TAG_SIZE = 16, SHA1_TAG_SIZE = 10 };

/* --- The second implementation --- */

static void aes_ctr(const uint8_t key[16], const uint8_t iv[16], const uint8_t *in, size_t size, uint8_t *out)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n;
	assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_128_ctr(), NULL, key, iv), 1);
	assert_int_equal(EVP_EncryptUpdate(ctx, out, &n, in, (int)size), 1);
	EVP_CIPHER_CTX_free(ctx);
}

/* RFC 3711 section 4.3.1; a GCM salt of 12 bytes has two zeros behind it (RFC 7714 section 11). */
static void derive(const uint8_t key[16], const uint8_t salt[14], uint8_t label, uint8_t *out, size_t size)
{
	static const uint8_t zeros[32];
	uint8_t iv[16] = { 0 };
	memcpy(iv, salt, 14);
	iv[7] ^= label;
	aes_ctr(key, iv, zeros, size, out);
}

struct session_keys {
	uint8_t cipher[16], auth[20], salt[14];
};

static struct session_keys derive_all(
	enum pl_srtp_profile profile, const uint8_t *key, const uint8_t *salt, bool is_rtcp)
{
	struct session_keys keys;
	uint8_t padded[14] = { 0 };
	const uint8_t first = is_rtcp ? 3 : 0;
	memcpy(padded, salt, profile == PL_SRTP_AEAD_AES_128_GCM ? 12 : 14);
	derive(key, padded, first, keys.cipher, sizeof keys.cipher);
	derive(key, padded, (uint8_t)(first + 1), keys.auth, sizeof keys.auth);
	derive(key, padded, (uint8_t)(first + 2), keys.salt, sizeof keys.salt);
	return keys;
}

/* Encrypts packet behind its first clear_size bytes; RFC 7714 section 8.1. */
static size_t gcm(const uint8_t key[16], const uint8_t iv[12], const uint8_t *packet, size_t clear_size, size_t size,
	const uint8_t *more, size_t more_size, uint8_t *out)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n;
	memcpy(out, packet, clear_size);
	assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, key, iv), 1);
	assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &n, packet, (int)clear_size), 1);
	if (more_size > 0)
		assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &n, more, (int)more_size), 1);
	assert_int_equal(
		EVP_EncryptUpdate(ctx, out + clear_size, &n, packet + clear_size, (int)(size - clear_size)), 1);
	assert_int_equal(EVP_EncryptFinal_ex(ctx, out + size, &n), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, GCM_TAG_SIZE, out + size), 1);
	EVP_CIPHER_CTX_free(ctx);
	return size + GCM_TAG_SIZE;
}

static void put_u32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* IV of RFC 3711 section 4.1.1: salt, SSRC and index, each at its place. */
static void cm_iv(const uint8_t salt[14], const uint8_t ssrc[4], uint64_t index, uint8_t iv[16])
{
	memset(iv, 0, 16);
	memcpy(iv, salt, 14);
	for (int i = 0; i < 4; i++)
		iv[4 + i] ^= ssrc[i];
	for (int i = 0; i < 6; i++)
		iv[8 + i] ^= (uint8_t)(index >> (40 - 8 * i));
}

static size_t reference_rtp(
	const struct pl_srtp_keys *keys, uint32_t roc, const uint8_t *packet, size_t size, uint8_t *out)
{
	const struct session_keys k = derive_all(keys->profile, keys->local.key, keys->local.salt, false);
	uint8_t iv[16], roc_bytes[4];
	put_u32(roc_bytes, roc);
	if (keys->profile == PL_SRTP_AEAD_AES_128_GCM) {
		/* 00 00 SSRC ROC SEQ, RFC 7714 section 8.1 */
		memset(iv, 0, sizeof iv);
		memcpy(iv + 2, packet + 8, 4);
		memcpy(iv + 6, roc_bytes, 4);
		memcpy(iv + 10, packet + 2, 2);
		for (int i = 0; i < 12; i++)
			iv[i] ^= k.salt[i];
		return gcm(k.cipher, iv, packet, HEADER_SIZE, size, NULL, 0, out);
	}
	cm_iv(k.salt, packet + 8, (uint64_t)roc << 16 | (uint64_t)(packet[2] << 8 | packet[3]), iv);
	memcpy(out, packet, HEADER_SIZE);
	aes_ctr(k.cipher, iv, packet + HEADER_SIZE, size - HEADER_SIZE, out + HEADER_SIZE);
	uint8_t signed_bytes[PL_DATAGRAM_SIZE_MAX + 4], mac[20];
	memcpy(signed_bytes, out, size);
	memcpy(signed_bytes + size, roc_bytes, 4);
	HMAC(EVP_sha1(), k.auth, 20, signed_bytes, size + 4, mac, NULL);
	memcpy(out + size, mac, SHA1_TAG_SIZE);
	return size + SHA1_TAG_SIZE;
}

static size_t reference_rtcp(
	const struct pl_srtp_keys *keys, uint32_t index, const uint8_t *packet, size_t size, uint8_t *out)
{
	const struct session_keys k = derive_all(keys->profile, keys->local.key, keys->local.salt, true);
	uint8_t iv[16], e_index[4], index_bytes[4];
	put_u32(e_index, index | 0x80000000);
	put_u32(index_bytes, index);
	if (keys->profile == PL_SRTP_AEAD_AES_128_GCM) {
		/* 00 00 SSRC 00 00 index, RFC 7714 section 9.1 */
		memset(iv, 0, sizeof iv);
		memcpy(iv + 2, packet + 4, 4);
		memcpy(iv + 8, index_bytes, 4);
		for (int i = 0; i < 12; i++)
			iv[i] ^= k.salt[i];
		const size_t end = gcm(k.cipher, iv, packet, 8, size, e_index, 4, out);
		memcpy(out + end, e_index, 4);
		return end + 4;
	}
	cm_iv(k.salt, packet + 4, index, iv);
	memcpy(out, packet, 8);
	aes_ctr(k.cipher, iv, packet + 8, size - 8, out + 8);
	memcpy(out + size, e_index, 4);
	uint8_t mac[20];
	HMAC(EVP_sha1(), k.auth, 20, out, size + 4, mac, NULL);
	memcpy(out + size + 4, mac, SHA1_TAG_SIZE);
	return size + 4 + SHA1_TAG_SIZE;
}

/* --- The tests --- */

static const struct pl_srtp_keys all_keys[] = {
	/* The master key and salt of RFC 3711 appendix B.3 on our side. */
	{ .profile = PL_SRTP_AES128_CM_SHA1_80,
		.local = { { 0xE1, 0xF9, 0x7A, 0x0D, 0x3E, 0x01, 0x8B, 0xE0, 0xD6, 0x4F, 0xA3, 0x2C, 0x06, 0xDE, 0x41,
				   0x39 },
			{ 0x0E, 0xC6, 0x75, 0xAD, 0x49, 0x8A, 0xFE, 0xEB, 0xB6, 0x96, 0x0B, 0x3A, 0xAB, 0xE6 } },
		.remote = { "0123456789abcde", "saltsaltsalts" } },
	{ .profile = PL_SRTP_AEAD_AES_128_GCM,
		.local = { "ABCDEFGHIJKLMNO", "saltysaltys" },
		.remote = { "0123456789abcde", "saltsaltsal" } },
};

/* The tests run once for each. */
static enum pl_srtp_backend backend;
static struct pl_srtp_engine *engine;

struct pair {
	struct pl_srtp *us, *peer;
	struct pl_srtp_keys keys; /* ours */
};

static void pair_init(struct pair *p, size_t which)
{
	p->keys = all_keys[which];
	struct pl_srtp_keys mirrored = p->keys;
	memcpy(&mirrored.local, &p->keys.remote, sizeof mirrored.local);
	memcpy(&mirrored.remote, &p->keys.local, sizeof mirrored.remote);
	assert_int_equal(pl_srtp_create(&p->us, engine, &p->keys), PL_ERR_NONE);
	assert_int_equal(pl_srtp_create(&p->peer, engine, &mirrored), PL_ERR_NONE);
}

static void pair_fini(struct pair *p)
{
	pl_srtp_destroy(&p->us);
	pl_srtp_destroy(&p->peer);
	assert_null(p->us);
}

struct packet {
	uint8_t bytes[PL_DATAGRAM_SIZE_MAX];
	size_t size;
};

static void build_rtp(struct packet *p, uint32_t ssrc, uint16_t seq, size_t payload_size)
{
	memset(p, 0, sizeof *p);
	p->bytes[0] = 0x80;
	p->bytes[1] = 111;
	p->bytes[2] = (uint8_t)(seq >> 8);
	p->bytes[3] = (uint8_t)seq;
	put_u32(p->bytes + 4, seq * 960u);
	put_u32(p->bytes + 8, ssrc);
	for (size_t i = 0; i < payload_size; i++)
		p->bytes[HEADER_SIZE + i] = (uint8_t)(seq + i * 7);
	p->size = HEADER_SIZE + payload_size;
}

static void protect(struct pl_srtp *srtp, const struct packet *plain, struct packet *secret)
{
	secret->size = pl_srtp_protect_rtp(srtp, (struct pl_bytes){ plain->bytes, HEADER_SIZE },
		(struct pl_bytes){ plain->bytes + HEADER_SIZE, plain->size - HEADER_SIZE },
		(struct pl_span){ secret->bytes, sizeof secret->bytes });
}

static enum pl_drop unprotect(struct pl_srtp *srtp, const struct packet *secret, struct packet *plain)
{
	return pl_srtp_unprotect_rtp(srtp, (struct pl_bytes){ secret->bytes, secret->size },
		(struct pl_span){ plain->bytes, sizeof plain->bytes }, &plain->size);
}

/* The yardstick first: RFC 3711 appendix B.3 and RFC 7714 section 16.1.1. */
static void test_srtp_reference_agrees_with_the_rfcs(void **state)
{
	(void)state;
	static const uint8_t cipher[] = { 0xC6, 0x1E, 0x7A, 0x93, 0x74, 0x4F, 0x39, 0xEE, 0x10, 0x73, 0x4A, 0xFE, 0x3F,
		0xF7, 0xA0, 0x87 };
	static const uint8_t salt[] = { 0x30, 0xCB, 0xBC, 0x08, 0x86, 0x3D, 0x8C, 0x85, 0xD4, 0x9D, 0xB3, 0x4A, 0x9A,
		0xE1 };
	static const uint8_t auth[] = { 0xCE, 0xBE, 0x32, 0x1F, 0x6F, 0xF7, 0x71, 0x6B, 0x6F, 0xD4, 0xAB, 0x49, 0xAF,
		0x25, 0x6A, 0x15, 0x6D, 0x38, 0xBA, 0xA4 };
	const struct session_keys keys =
		derive_all(PL_SRTP_AES128_CM_SHA1_80, all_keys[0].local.key, all_keys[0].local.salt, false);
	assert_memory_equal(keys.cipher, cipher, sizeof cipher);
	assert_memory_equal(keys.salt, salt, sizeof salt);
	assert_memory_equal(keys.auth, auth, sizeof auth);

	static const uint8_t gcm_key[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
	static const uint8_t gcm_iv[] = { 0x51, 0x75, 0x3c, 0x65, 0x80, 0xc2, 0x72, 0x6f, 0x20, 0x71, 0x84, 0x14 };
	static const uint8_t plain[] = { 0x80, 0x40, 0xf1, 0x7b, 0x80, 0x41, 0xf8, 0xd3, 0x55, 0x01, 0xa0, 0xb2, 0x47,
		0x61, 0x6c, 0x6c, 0x69, 0x61, 0x20, 0x65, 0x73, 0x74, 0x20, 0x6f, 0x6d, 0x6e, 0x69, 0x73, 0x20, 0x64,
		0x69, 0x76, 0x69, 0x73, 0x61, 0x20, 0x69, 0x6e, 0x20, 0x70, 0x61, 0x72, 0x74, 0x65, 0x73, 0x20, 0x74,
		0x72, 0x65, 0x73 };
	static const uint8_t secret[] = { 0x80, 0x40, 0xf1, 0x7b, 0x80, 0x41, 0xf8, 0xd3, 0x55, 0x01, 0xa0, 0xb2, 0xf2,
		0x4d, 0xe3, 0xa3, 0xfb, 0x34, 0xde, 0x6c, 0xac, 0xba, 0x86, 0x1c, 0x9d, 0x7e, 0x4b, 0xca, 0xbe, 0x63,
		0x3b, 0xd5, 0x0d, 0x29, 0x4e, 0x6f, 0x42, 0xa5, 0xf4, 0x7a, 0x51, 0xc7, 0xd1, 0x9b, 0x36, 0xde, 0x3a,
		0xdf, 0x88, 0x33, 0x89, 0x9d, 0x7f, 0x27, 0xbe, 0xb1, 0x6a, 0x91, 0x52, 0xcf, 0x76, 0x5e, 0xe4, 0x39,
		0x0c, 0xce };
	uint8_t out[sizeof secret];
	assert_int_equal(gcm(gcm_key, gcm_iv, plain, HEADER_SIZE, sizeof plain, NULL, 0, out), sizeof secret);
	assert_memory_equal(out, secret, sizeof secret);
}

/* What we send is to the byte what the RFCs say, over a wrap of the sequence numbers too: one wrong bit and the
 * listener hears nothing. */
static void test_srtp_sends_what_the_rfcs_say(void **state)
{
	(void)state;
	static const size_t payload_sizes[] = { 0, 1, 15, 16, 17, 100, 160, 1200 };
	for (size_t which = 0; which < PL_COUNT(all_keys); which++) {
		struct pair p;
		struct packet plain, secret;
		uint8_t expected[PL_DATAGRAM_SIZE_MAX];
		pair_init(&p, which);
		for (uint32_t i = 0; i < 64; i++) {
			const uint32_t index = 65536 - 32 + i;
			build_rtp(&plain, 0xdecafbad, (uint16_t)index, payload_sizes[i % PL_COUNT(payload_sizes)]);
			protect(p.us, &plain, &secret);
			assert_int_equal(
				secret.size, reference_rtp(&p.keys, index >> 16, plain.bytes, plain.size, expected));
			assert_memory_equal(secret.bytes, expected, secret.size);
			assert_true(secret.size <= plain.size + PL_SRTP_OVERHEAD_MAX);

			struct packet again;
			assert_int_equal(unprotect(p.peer, &secret, &again), PL_DROP_NONE);
			assert_int_equal(again.size, plain.size);
			assert_memory_equal(again.bytes, plain.bytes, plain.size);
		}
		pair_fini(&p);
	}
}

static void test_srtcp_sends_what_the_rfcs_say(void **state)
{
	(void)state;
	for (size_t which = 0; which < PL_COUNT(all_keys); which++) {
		struct pair p;
		uint8_t plain[52] = { 0x81, 200, 0, 12, 0xca, 0xfe, 0xba, 0xbe }, secret[128], expected[128],
			again[128];
		pair_init(&p, which);
		for (uint32_t index = 1; index < 10; index++) {
			plain[20] = (uint8_t)index;
			const size_t size = pl_srtp_protect_rtcp(p.us, (struct pl_bytes){ plain, sizeof plain },
				(struct pl_span){ secret, sizeof secret });
			assert_int_equal(size, reference_rtcp(&p.keys, index, plain, sizeof plain, expected));
			assert_memory_equal(secret, expected, size);
			size_t again_size;
			assert_int_equal(pl_srtp_unprotect_rtcp(p.peer, (struct pl_bytes){ secret, size },
						 (struct pl_span){ again, sizeof again }, &again_size),
				PL_DROP_NONE);
			assert_int_equal(again_size, sizeof plain);
			assert_memory_equal(again, plain, sizeof plain);
			assert_int_equal(pl_srtp_unprotect_rtcp(p.peer, (struct pl_bytes){ secret, size },
						 (struct pl_span){ again, sizeof again }, &again_size),
				PL_DROP_SRTP_REPLAY);
		}
		pair_fini(&p);
	}
}

/* Packets that other implementations are tested with, too (libsrtp's, and in WebRTC's and Pion's tests). */
static void test_srtp_sends_what_others_send(void **state)
{
	(void)state;
	static const struct {
		struct pl_srtp_keys keys;
		size_t rtp_size, rtcp_size;
		uint8_t rtp[44], rtcp[44];
	} vector[] = {
		{ .keys = { .profile = PL_SRTP_AES128_CM_SHA1_80,
			  .local = { { 0xe1, 0xf9, 0x7a, 0x0d, 0x3e, 0x01, 0x8b, 0xe0, 0xd6, 0x4f, 0xa3, 0x2c, 0x06,
					     0xde, 0x41, 0x39 },
				  { 0x0e, 0xc6, 0x75, 0xad, 0x49, 0x8a, 0xfe, 0xeb, 0xb6, 0x96, 0x0b, 0x3a, 0xab,
					  0xe6 } } },
			.rtp_size = 38,
			.rtp = { 0x80, 0x0f, 0x12, 0x34, 0xde, 0xca, 0xfb, 0xad, 0xca, 0xfe, 0xba, 0xbe, 0x4e, 0x55,
				0xdc, 0x4c, 0xe7, 0x99, 0x78, 0xd8, 0x8c, 0xa4, 0xd2, 0x15, 0x94, 0x9d, 0x24, 0x02,
				0xb7, 0x8d, 0x6a, 0xcc, 0x99, 0xea, 0x17, 0x9b, 0x8d, 0xbb },
			.rtcp_size = 38,
			.rtcp = { 0x81, 0xc8, 0x00, 0x0b, 0xca, 0xfe, 0xba, 0xbe, 0x71, 0x28, 0x03, 0x5b, 0xe4, 0x87,
				0xb9, 0xbd, 0xbe, 0xf8, 0x90, 0x41, 0xf9, 0x77, 0xa5, 0xa8, 0x80, 0x00, 0x00, 0x01,
				0x99, 0x3e, 0x08, 0xcd, 0x54, 0xd6, 0xc1, 0x23, 0x07, 0x98 } },
		{ .keys = { .profile = PL_SRTP_AEAD_AES_128_GCM,
			  .local = { { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
				  { 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab } } },
			.rtp_size = 44,
			.rtp = { 0x80, 0x0f, 0x12, 0x34, 0xde, 0xca, 0xfb, 0xad, 0xca, 0xfe, 0xba, 0xbe, 0xc5, 0x00,
				0x2e, 0xde, 0x04, 0xcf, 0xdd, 0x2e, 0xb9, 0x11, 0x59, 0xe0, 0x88, 0x0a, 0xa0, 0x6e,
				0xd2, 0x97, 0x68, 0x26, 0xf7, 0x96, 0xb2, 0x01, 0xdf, 0x31, 0x31, 0xa1, 0x27, 0xe8,
				0xa3, 0x92 },
			.rtcp_size = 44,
			.rtcp = { 0x81, 0xc8, 0x00, 0x0b, 0xca, 0xfe, 0xba, 0xbe, 0xc9, 0x8b, 0x8b, 0x5d, 0xf0, 0x39,
				0x2a, 0x55, 0x85, 0x2b, 0x6c, 0x21, 0xac, 0x8e, 0x70, 0x25, 0xc5, 0x2c, 0x6f, 0xbe,
				0xa2, 0xb3, 0xb4, 0x46, 0xea, 0x31, 0x12, 0x3b, 0xa8, 0x8c, 0xe6, 0x1e, 0x80, 0x00,
				0x00, 0x01 } },
	};
	for (size_t i = 0; i < PL_COUNT(vector); i++) {
		uint8_t payload[16], rtcp[24], out[64 + PL_SRTP_OVERHEAD_MAX];
		struct pl_srtp *srtp;
		memset(payload, 0xab, sizeof payload);
		memset(rtcp, 0xab, sizeof rtcp);
		memcpy(rtcp, vector[i].rtcp, 8);
		assert_int_equal(pl_srtp_create(&srtp, engine, &vector[i].keys), PL_ERR_NONE);
		assert_int_equal(
			pl_srtp_protect_rtp(srtp, (struct pl_bytes){ vector[i].rtp, HEADER_SIZE },
				(struct pl_bytes){ payload, sizeof payload }, (struct pl_span){ out, sizeof out }),
			vector[i].rtp_size);
		assert_memory_equal(out, vector[i].rtp, vector[i].rtp_size);
		assert_int_equal(pl_srtp_protect_rtcp(srtp, (struct pl_bytes){ rtcp, sizeof rtcp },
					 (struct pl_span){ out, sizeof out }),
			vector[i].rtcp_size);
		assert_memory_equal(out, vector[i].rtcp, vector[i].rtcp_size);
		pl_srtp_destroy(&srtp);
	}
}

/* SRTCP's numbers begin with 0 and end with 2^31 - 1, and none of them is taken twice. */
static void test_srtcp_takes_every_number_once(void **state)
{
	(void)state;
	static const struct {
		uint32_t index;
		enum pl_drop drop;
	} step[] = {
		{ 0, PL_DROP_NONE },
		{ 0, PL_DROP_SRTP_REPLAY },
		{ 1, PL_DROP_NONE },
		{ 127, PL_DROP_NONE },
		{ 0, PL_DROP_SRTP_REPLAY },
		{ 2, PL_DROP_NONE },
		{ 130, PL_DROP_NONE },
		{ 2, PL_DROP_SRTP_REPLAY },
		{ 3, PL_DROP_NONE },
		{ 0x7fffffff, PL_DROP_NONE },
		{ 0x7fffffff, PL_DROP_SRTP_REPLAY },
		{ 0x7fffff80, PL_DROP_NONE },
		{ 0x7fffff7f, PL_DROP_SRTP_REPLAY },
		{ 131, PL_DROP_SRTP_REPLAY },
		{ 0, PL_DROP_SRTP_REPLAY },
	};
	for (size_t which = 0; which < PL_COUNT(all_keys); which++) {
		struct pair p;
		const uint8_t plain[12] = { 0x80, 201, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8 };
		uint8_t secret[64], out[64];
		size_t size;
		pair_init(&p, which);
		for (size_t i = 0; i < PL_COUNT(step); i++) {
			const struct pl_bytes packet = { secret,
				reference_rtcp(&p.keys, step[i].index, plain, sizeof plain, secret) };
			assert_int_equal(
				pl_srtp_unprotect_rtcp(p.peer, packet, (struct pl_span){ out, sizeof out }, &size),
				step[i].drop);
		}
		/* Whole, authentic for all that can be seen, but said to be in the clear. */
		size = reference_rtcp(&p.keys, 5, plain, sizeof plain, secret);
		secret[size - 4 - (which == 0 ? SHA1_TAG_SIZE : 0)] &= 0x7f;
		assert_int_equal(pl_srtp_unprotect_rtcp(p.peer, (struct pl_bytes){ secret, size },
					 (struct pl_span){ out, sizeof out }, &size),
			PL_DROP_SRTP_AUTH);
		pair_fini(&p);
	}
}

/* Late packets are heard, each once; what is older than the window, or seen before, is not. */
static void test_srtp_takes_late_packets_once(void **state)
{
	(void)state;
	for (size_t which = 0; which < PL_COUNT(all_keys); which++) {
		enum { COUNT = 1000 };
		static struct packet secret[COUNT];
		struct pair p;
		struct packet plain;
		pair_init(&p, which);
		for (uint32_t i = 0; i < COUNT; i++) { /* over a wrap */
			build_rtp(&plain, 1, (uint16_t)(65000 + i), 20);
			protect(p.us, &plain, &secret[i]);
		}
		assert_int_equal(unprotect(p.peer, &secret[100], &plain), PL_DROP_NONE);
		assert_int_equal(unprotect(p.peer, &secret[50], &plain), PL_DROP_NONE);
		assert_int_equal(unprotect(p.peer, &secret[50], &plain), PL_DROP_SRTP_REPLAY);
		assert_int_equal(unprotect(p.peer, &secret[COUNT - 1], &plain), PL_DROP_NONE);
		assert_int_equal(unprotect(p.peer, &secret[COUNT - PL_SRTP_REPLAY_WINDOW], &plain), PL_DROP_NONE);
		assert_int_equal(
			unprotect(p.peer, &secret[COUNT - PL_SRTP_REPLAY_WINDOW], &plain), PL_DROP_SRTP_REPLAY);
		assert_int_equal(
			unprotect(p.peer, &secret[COUNT - PL_SRTP_REPLAY_WINDOW - 2], &plain), PL_DROP_SRTP_REPLAY);
		assert_int_equal(unprotect(p.peer, &secret[600], &plain), PL_DROP_NONE); /* on this side of the wrap */
		pair_fini(&p);
	}
}

/* Any changed bit and any cut is refused, and does not spoil the packet that comes whole behind it. */
static void test_srtp_refuses_changed_and_cut_packets(void **state)
{
	(void)state;
	for (size_t which = 0; which < PL_COUNT(all_keys); which++) {
		struct pair p;
		struct packet plain, secret, changed;
		pair_init(&p, which);
		build_rtp(&plain, 1, 1000, 20);
		protect(p.us, &plain, &secret);
		for (size_t at = 0; at < secret.size; at++)
			for (int bit = 0; bit < 8; bit++) {
				changed = secret;
				changed.bytes[at] ^= (uint8_t)(1 << bit);
				assert_int_not_equal(unprotect(p.peer, &changed, &plain), PL_DROP_NONE);
			}
		for (size_t size = 0; size < secret.size; size++) {
			uint8_t *cut = malloc(
				size > 0 ? size
					 : 1); /* of the exact size, so that the sanitizer sees one byte too far */
			memcpy(cut, secret.bytes, size);
			assert_int_not_equal(pl_srtp_unprotect_rtp(p.peer, (struct pl_bytes){ cut, size },
						     (struct pl_span){ plain.bytes, sizeof plain.bytes }, &plain.size),
				PL_DROP_NONE);
			assert_int_not_equal(pl_srtp_unprotect_rtcp(p.peer, (struct pl_bytes){ cut, size },
						     (struct pl_span){ plain.bytes, sizeof plain.bytes }, &plain.size),
				PL_DROP_NONE);
			free(cut);
		}
		assert_int_equal(unprotect(p.peer, &secret, &plain), PL_DROP_NONE);
		pair_fini(&p);
	}
}

/* The same number twice would give the key stream away: it is not sent. */
static void test_srtp_never_uses_a_number_twice(void **state)
{
	(void)state;
	struct pair p;
	struct packet plain, secret;
	pair_init(&p, 1);
	build_rtp(&plain, 1, 1000, 20);
	protect(p.us, &plain, &secret);
	assert_int_not_equal(secret.size, 0);
	build_rtp(&plain, 1, 1000, 21);
	protect(p.us, &plain, &secret);
	assert_int_equal(secret.size, 0);
	build_rtp(&plain, 2, 1000, 20); /* another stream has numbers of its own */
	protect(p.us, &plain, &secret);
	assert_int_not_equal(secret.size, 0);
	pair_fini(&p);
}

/* A peer that sends under ever new SSRCs gets as much memory as it was promised, and its first ones live on.  We keep
 * to the same bound. */
static void test_srtp_bounds_the_streams_of_a_peer(void **state)
{
	(void)state;
	for (size_t which = 0; which < PL_COUNT(all_keys); which++) {
		struct pair p, bold; /* bold.us is p.us beyond the bound */
		struct packet plain, secret;
		pair_init(&p, which);
		pair_init(&bold, which);
		for (uint32_t i = 0; i < PL_SRTP_SSRCS_MAX + 10; i++) {
			const bool is_within = i < PL_SRTP_SSRCS_MAX;
			build_rtp(&plain, 100 + i, 1, 20);
			protect(p.us, &plain, &secret);
			assert_int_equal(secret.size != 0, is_within);
			if (!is_within)
				protect(bold.us, &plain, &secret);
			assert_int_not_equal(secret.size, 0);
			secret.bytes[secret.size - 1] ^= 1; /* not authentic: takes no place */
			assert_int_equal(unprotect(p.peer, &secret, &plain),
				is_within ? PL_DROP_SRTP_AUTH : PL_DROP_SRTP_SSRC_LIMIT);
			secret.bytes[secret.size - 1] ^= 1;
			assert_int_equal(
				unprotect(p.peer, &secret, &plain), is_within ? PL_DROP_NONE : PL_DROP_SRTP_SSRC_LIMIT);
		}
		const uint8_t report[8] = { 0x80, 201, 0, 1, 9, 9, 9, 9 }; /* SRTCP counts, too */
		uint8_t out[64];
		assert_int_equal(pl_srtp_protect_rtcp(p.us, (struct pl_bytes){ report, sizeof report },
					 (struct pl_span){ out, sizeof out }),
			0);
		build_rtp(&plain, 100, 2, 20);
		protect(p.us, &plain, &secret);
		assert_int_equal(unprotect(p.peer, &secret, &plain), PL_DROP_NONE);
		pair_fini(&p);
		pair_fini(&bold);
	}
}

/* Both ends may choose the same SSRC: each direction has its own keys. */
static void test_srtp_directions_do_not_meet(void **state)
{
	(void)state;
	for (size_t which = 0; which < PL_COUNT(all_keys); which++) {
		struct pair p;
		struct packet plain, ours, theirs;
		pair_init(&p, which);
		build_rtp(&plain, 1, 1000, 20);
		protect(p.us, &plain, &ours);
		protect(p.peer, &plain, &theirs);
		assert_memory_not_equal(ours.bytes + HEADER_SIZE, theirs.bytes + HEADER_SIZE, 20);
		assert_int_equal(unprotect(p.us, &ours, &plain), PL_DROP_SRTP_AUTH); /* reflected */
		assert_int_equal(unprotect(p.us, &theirs, &plain), PL_DROP_NONE);
		assert_int_equal(unprotect(p.peer, &ours, &plain), PL_DROP_NONE);
		pair_fini(&p);
	}
}

/* Ten thousand participants are 60 MB of these. */
static void test_srtp_sessions_are_small(void **state)
{
	(void)state;
	enum { COUNT = 100, BYTES_MAX = 6400 };
	struct pair pairs[COUNT / 2];
	for (size_t which = 0; which < PL_COUNT(all_keys); which++) {
		const struct mallinfo2 before = mallinfo2();
		for (size_t i = 0; i < PL_COUNT(pairs); i++)
			pair_init(&pairs[i], which);
		const struct mallinfo2 after = mallinfo2();
		const size_t bytes = (after.uordblks + after.hblkhd - before.uordblks - before.hblkhd) / COUNT;
		print_message("%zu bytes\n", bytes);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* they have a heap of their own */
		if (backend != PL_SRTP_LIBSRTP2)
			assert_in_range(bytes, 1000, BYTES_MAX);
#endif
		for (size_t i = 0; i < PL_COUNT(pairs); i++)
			pair_fini(&pairs[i]);
	}
}

static int set_up(void **state)
{
	(void)state;
	return pl_srtp_init() != PL_ERR_NONE || pl_srtp_engine_create(&engine, backend) != PL_ERR_NONE;
}

static int tear_down(void **state)
{
	(void)state;
	pl_srtp_engine_destroy(&engine);
	pl_srtp_fini();
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_srtp_reference_agrees_with_the_rfcs),
		cmocka_unit_test(test_srtp_sends_what_the_rfcs_say),
		cmocka_unit_test(test_srtcp_sends_what_the_rfcs_say),
		cmocka_unit_test(test_srtp_sends_what_others_send),
		cmocka_unit_test(test_srtcp_takes_every_number_once),
		cmocka_unit_test(test_srtp_takes_late_packets_once),
		cmocka_unit_test(test_srtp_refuses_changed_and_cut_packets),
		cmocka_unit_test(test_srtp_never_uses_a_number_twice),
		cmocka_unit_test(test_srtp_bounds_the_streams_of_a_peer),
		cmocka_unit_test(test_srtp_directions_do_not_meet),
		cmocka_unit_test(test_srtp_sessions_are_small),
	};
	int failed = 0;
	for (backend = PL_SRTP_AUTO; backend < PL_SRTP_BACKEND_COUNT; backend++) {
		const char *name = pl_srtp_backend_text(backend), *lack = pl_srtp_backend_lack(backend);
		if (lack == NULL)
			failed += cmocka_run_group_tests_name(name, tests, set_up, tear_down);
		else
			printf("%s is left out: %s\n", name, lack);
	}
	return failed;
}
