/* A transport address that is not tied to a socket API: what ICE, the shard and the tests share.
 * IPv4 is held as an IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2), so that there is one form.
 * Pure: no allocation, no clock, no I/O. */
#ifndef PL_MEDIA_ADDR_H
#define PL_MEDIA_ADDR_H

#include "media/base.h"

struct pl_addr {
	uint8_t ip[16];
	uint16_t port; /* host byte order; 0 where only the address matters */
};

/* The two ends of a datagram's way, seen from here.  Replies must leave from the address the request
 * came to (a wildcard socket on a host with several addresses would choose another one). */
struct pl_path {
	struct pl_addr remote, local;
};

/* The addresses whose first bits are those of ip: 104 of them for 10.0.0.0/8, 128 for one address. */
struct pl_addr_range {
	uint8_t ip[16];
	uint8_t bits;
};

enum { PL_ADDR_TEXT_SIZE = 56 }; /* "[ffff:...]:65535" and its NUL */

bool pl_addr_equal(const struct pl_addr *a, const struct pl_addr *b);
bool pl_path_equal(const struct pl_path *a, const struct pl_path *b);

/* Returns a hash for tables; seed is secret and random, so that nobody can aim for one bucket. */
uint64_t pl_addr_hash(const struct pl_addr *addr, uint64_t seed);

bool pl_addr_is_ipv4(const struct pl_addr *addr);

/* Makes an IPv4 address from host byte order, for example 0x7f000001. */
struct pl_addr pl_addr_ipv4(uint32_t ip, uint16_t port);

/* Writes the bare address ("192.0.2.1", "2001:db8::1") and returns text. */
const char *pl_addr_format_ip(const struct pl_addr *addr, char text[static PL_ADDR_TEXT_SIZE]);

/* Writes address and port ("192.0.2.1:5000", "[2001:db8::1]:5000") and returns text. */
const char *pl_addr_format(const struct pl_addr *addr, char text[static PL_ADDR_TEXT_SIZE]);

/* Reads a bare IPv4 or IPv6 literal without brackets, zone or port.  False: addr is untouched. */
PL_MUST_USE bool pl_addr_parse_ip(const char *text, struct pl_addr *addr);

/* Reads "10.0.0.0/8" or "2001:db8::/32" (RFC 4632 section 3.1, RFC 4291 section 2.3); an address alone is a network of one.  What the
 * address has behind those bits says nothing.  False: network is untouched. */
PL_MUST_USE bool pl_addr_range_parse(const char *text, struct pl_addr_range *network);

bool pl_addr_range_has(const struct pl_addr_range *network, const struct pl_addr *addr);

#endif
