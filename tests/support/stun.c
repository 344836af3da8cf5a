#include "tests/support/stun.h"

#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

enum { HEADER_SIZE = 20, INTEGRITY_SIZE = 20, FINGERPRINT_SIZE = 4, ATTRIBUTE_HEADER_SIZE = 4 };

static void put_u16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

void pl_stun_begin(struct pl_stun *m, uint16_t type)
{
	static const uint8_t cookie_and_id[] = { 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86,
		0xfa, 0x87, 0xdf, 0xae };

	memset(m, 0, sizeof *m);
	put_u16(m->bytes, type);
	memcpy(m->bytes + 4, cookie_and_id, sizeof cookie_and_id);
	m->size = HEADER_SIZE;
}

bool pl_stun_append(struct pl_stun *m, uint16_t type, const void *value, size_t size)
{
	const size_t padded = (size + 3) & ~(size_t)3;
	if (padded + ATTRIBUTE_HEADER_SIZE > sizeof m->bytes - m->size)
		return false;
	uint8_t *at = m->bytes + m->size;
	put_u16(at, type);
	put_u16(at + 2, size);
	memset(at + ATTRIBUTE_HEADER_SIZE, 0, padded);
	if (size > 0)
		memcpy(at + ATTRIBUTE_HEADER_SIZE, value, size);
	m->size += ATTRIBUTE_HEADER_SIZE + padded;
	put_u16(m->bytes + 2, m->size - HEADER_SIZE);
	return true;
}

bool pl_stun_append_integrity(struct pl_stun *m, const char *pwd)
{
	uint8_t mac[INTEGRITY_SIZE];

	/* The length in the header already counts the attribute, RFC 8489 section 14.5. */
	put_u16(m->bytes + 2, m->size + ATTRIBUTE_HEADER_SIZE + INTEGRITY_SIZE - HEADER_SIZE);
	HMAC(EVP_sha1(), pwd, (int)strlen(pwd), m->bytes, m->size, mac, NULL);
	return pl_stun_append(m, STUN_INTEGRITY, mac, sizeof mac);
}

static uint32_t crc32_of(const uint8_t *bytes, size_t size)
{
	uint32_t crc = 0xffffffff;
	for (size_t i = 0; i < size; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320 : 0);
	}
	return ~crc;
}

bool pl_stun_append_fingerprint(struct pl_stun *m)
{
	put_u16(m->bytes + 2, m->size + ATTRIBUTE_HEADER_SIZE + FINGERPRINT_SIZE - HEADER_SIZE);
	const uint32_t crc = crc32_of(m->bytes, m->size) ^ 0x5354554e; /* RFC 8489 section 14.7 */
	const uint8_t value[] = { (uint8_t)(crc >> 24), (uint8_t)(crc >> 16), (uint8_t)(crc >> 8), (uint8_t)crc };
	return pl_stun_append(m, STUN_FINGERPRINT, value, sizeof value);
}

bool pl_stun_finish(struct pl_stun *m, const char *pwd)
{
	return pl_stun_append_integrity(m, pwd) && pl_stun_append_fingerprint(m);
}

void pl_stun_check(struct pl_stun *m, const char *user, const char *pwd, bool is_nominating)
{
	pl_stun_begin(m, STUN_REQUEST_TYPE);
	bool fits = pl_stun_append(m, STUN_USERNAME, user, strlen(user)) &&
		    pl_stun_append(m, STUN_NETWORK_COST, "\0\1\0\12", 4) &&
		    pl_stun_append(m, STUN_CONTROLLING, "\x93\x2f\xf9\xb1\x51\x26\x3b\x36", 8);
	if (is_nominating)
		fits = fits && pl_stun_append(m, STUN_NOMINATE, NULL, 0);
	fits = fits && pl_stun_append(m, STUN_PRIORITY, "\x6e\x00\x01\xff", 4) && pl_stun_finish(m, pwd);
	PL_ASSERT(fits);
}

const uint8_t *pl_stun_find(struct pl_bytes message, uint16_t type, size_t *size)
{
	for (size_t at = HEADER_SIZE; at + ATTRIBUTE_HEADER_SIZE <= message.size;) {
		const uint8_t *attribute = message.data + at;
		*size = (size_t)(attribute[2] << 8 | attribute[3]);
		if ((attribute[0] << 8 | attribute[1]) == type)
			return attribute + ATTRIBUTE_HEADER_SIZE;
		at += ATTRIBUTE_HEADER_SIZE + ((*size + 3) & ~(size_t)3);
	}
	return NULL;
}
