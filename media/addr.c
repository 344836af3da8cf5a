#include "media/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IP_BITS = 128, IPV4_PREFIX_BITS = 96 };

static const uint8_t ipv4_prefix[IPV4_PREFIX_BITS / 8] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

bool pl_addr_equal(const struct pl_addr *a, const struct pl_addr *b)
{
	return a->port == b->port && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

bool pl_path_equal(const struct pl_path *a, const struct pl_path *b)
{
	return pl_addr_equal(&a->remote, &b->remote) && pl_addr_equal(&a->local, &b->local);
}

/* Two rounds of a 64-bit multiply-and-fold keyed by the seed: enough that a stranger who does not know the seed
 * cannot choose addresses that meet in one bucket. */
static uint64_t fold(uint64_t a, uint64_t b)
{
	const unsigned __int128 product = (unsigned __int128)a * b;
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t pl_addr_hash(const struct pl_addr *addr, uint64_t seed)
{
	uint64_t half[2];
	memcpy(half, addr->ip, sizeof half);
	const uint64_t inner = fold(half[0] ^ seed ^ UINT64_C(0x9e3779b97f4a7c15), half[1] ^ (seed << 1 | 1));
	return fold(inner ^ addr->port, seed ^ UINT64_C(0xd6e8feb86659fd93));
}

bool pl_addr_is_ipv4(const struct pl_addr *addr)
{
	return memcmp(addr->ip, ipv4_prefix, sizeof ipv4_prefix) == 0;
}

struct pl_addr pl_addr_ipv4(uint32_t ip, uint16_t port)
{
	struct pl_addr addr = { .port = port };
	memcpy(addr.ip, ipv4_prefix, sizeof ipv4_prefix);
	addr.ip[12] = (uint8_t)(ip >> 24);
	addr.ip[13] = (uint8_t)(ip >> 16);
	addr.ip[14] = (uint8_t)(ip >> 8);
	addr.ip[15] = (uint8_t)ip;
	return addr;
}

const char *pl_addr_format_ip(const struct pl_addr *addr, char text[static PL_ADDR_TEXT_SIZE])
{
	const char *done = pl_addr_is_ipv4(addr) ? inet_ntop(AF_INET, addr->ip + 12, text, PL_ADDR_TEXT_SIZE)
						 : inet_ntop(AF_INET6, addr->ip, text, PL_ADDR_TEXT_SIZE);
	PL_ASSERT(done != NULL);
	return text;
}

const char *pl_addr_format(const struct pl_addr *addr, char text[static PL_ADDR_TEXT_SIZE])
{
	char ip[PL_ADDR_TEXT_SIZE];
	pl_addr_format_ip(addr, ip);
	const bool is_ipv4 = pl_addr_is_ipv4(addr);
	snprintf(text, PL_ADDR_TEXT_SIZE, is_ipv4 ? "%.45s:%u" : "[%.45s]:%u", ip, addr->port);
	return text;
}

bool pl_addr_parse_ip(const char *text, struct pl_addr *addr)
{
	struct pl_addr parsed = { .port = 0 };
	if (inet_pton(AF_INET, text, parsed.ip + 12) == 1)
		memcpy(parsed.ip, ipv4_prefix, sizeof ipv4_prefix);
	else if (inet_pton(AF_INET6, text, parsed.ip) != 1)
		return false;
	*addr = parsed;
	return true;
}

bool pl_addr_range_parse(const char *text, struct pl_addr_range *network)
{
	char ip[PL_ADDR_TEXT_SIZE];
	struct pl_addr addr;
	const size_t size = strcspn(text, "/");
	if (size >= sizeof ip)
		return false;
	memcpy(ip, text, size);
	ip[size] = '\0';
	if (!pl_addr_parse_ip(ip, &addr))
		return false;
	const bool is_ipv4 = strchr(ip, ':') == NULL;
	const unsigned before = is_ipv4 ? IPV4_PREFIX_BITS : 0;
	unsigned bits = IP_BITS - before;
	if (text[size] == '/') {
		const char *length = text + size + 1;
		const size_t digits = strlen(length);
		if (digits < 1 || digits > 3 || strspn(length, "0123456789") != digits)
			return false;
		const unsigned long told = strtoul(length, NULL, 10);
		if (told > bits)
			return false;
		bits = (unsigned)told;
	}
	memcpy(network->ip, addr.ip, sizeof network->ip);
	network->bits = (uint8_t)(before + bits);
	return true;
}

bool pl_addr_range_has(const struct pl_addr_range *network, const struct pl_addr *addr)
{
	const size_t whole = network->bits / 8;
	if (memcmp(network->ip, addr->ip, whole) != 0)
		return false;
	const unsigned rest = network->bits % 8;
	return rest == 0 || (network->ip[whole] ^ addr->ip[whole]) >> (8 - rest) == 0;
}
