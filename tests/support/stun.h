/* STUN messages byte by byte, with OpenSSL's HMAC and a CRC of our own: another pen than the library that reads them. */
#ifndef PL_TESTS_SUPPORT_STUN_H
#define PL_TESTS_SUPPORT_STUN_H

#include "media/base.h"

enum {
	/* Binding, by class: RFC 8489 section 5 */
	STUN_REQUEST_TYPE = 0x0001,
	STUN_INDICATION_TYPE = 0x0011,
	STUN_SUCCESS_TYPE = 0x0101,
	STUN_ERROR_TYPE = 0x0111,

	/* Attributes: RFC 8489 section 18.3, RFC 8445 section 16.1 */
	STUN_USERNAME = 0x0006,
	STUN_INTEGRITY = 0x0008,
	STUN_ERROR_CODE = 0x0009,
	STUN_UNKNOWN = 0x000a,
	STUN_XOR_ADDRESS = 0x0020,
	STUN_PRIORITY = 0x0024,
	STUN_NOMINATE = 0x0025,
	STUN_FINGERPRINT = 0x8028,
	STUN_CONTROLLED = 0x8029,
	STUN_CONTROLLING = 0x802a,
	STUN_NETWORK_COST = 0xc057, /* Chromium's */
};

struct pl_stun {
	uint8_t bytes[PL_DATAGRAM_SIZE_MAX];
	size_t size;
};

/* A header with the transaction id of RFC 5769. */
void pl_stun_begin(struct pl_stun *m, uint16_t type);

/* False when the message would grow over its room. */
bool pl_stun_append(struct pl_stun *m, uint16_t type, const void *value, size_t size);
bool pl_stun_append_integrity(struct pl_stun *m, const char *pwd);
bool pl_stun_append_fingerprint(struct pl_stun *m);
bool pl_stun_finish(struct pl_stun *m, const char *pwd); /* both */

/* A check as browsers send it. */
void pl_stun_check(struct pl_stun *m, const char *user, const char *pwd, bool is_nominating);

/* Returns the value of a message's attribute, NULL when it has none. */
const uint8_t *pl_stun_find(struct pl_bytes message, uint16_t type, size_t *size);

#endif
