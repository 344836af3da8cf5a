#include "signaling/front_proxy.h"

#include <string.h>

static bool is_trusted(const struct pl_front_proxies *proxies, const struct pl_addr *address)
{
	for (size_t i = 0; i < proxies->count; i++) {
		if (pl_addr_range_has(&proxies->network[i], address))
			return true;
	}
	return false;
}

/* "192.0.2.1", "2001:db8::1"; some proxies write "[2001:db8::1]", and a port behind it or behind an IPv4 address. */
static bool read_entry(const char *entry, size_t size, struct pl_addr *address)
{
	char text[PL_ADDR_TEXT_SIZE];
	while (size > 0 && (*entry == ' ' || *entry == '\t')) {
		entry++;
		size--;
	}
	while (size > 0 && (entry[size - 1] == ' ' || entry[size - 1] == '\t'))
		size--;
	const char *bracket = size > 0 && *entry == '[' ? memchr(entry, ']', size) : NULL;
	const char *colon = memchr(entry, ':', size);
	if (bracket != NULL) {
		size = (size_t)(bracket - ++entry);
	} else if (colon != NULL && memchr(colon + 1, ':', size - (size_t)(colon + 1 - entry)) == NULL) {
		size = (size_t)(colon - entry);
	}
	if (size == 0 || size >= sizeof text)
		return false;
	memcpy(text, entry, size);
	text[size] = '\0';
	return pl_addr_parse_ip(text, address);
}

struct pl_addr pl_front_client_of(
	const struct pl_front_proxies *proxies, const struct pl_addr *peer, const char *forwarded)
{
	struct pl_addr client = *peer, entry;
	size_t size = forwarded != NULL ? strlen(forwarded) : 0;
	while (size > 0 && is_trusted(proxies, &client)) {
		size_t begin = size;
		while (begin > 0 && forwarded[begin - 1] != ',')
			begin--;
		if (!read_entry(forwarded + begin, size - begin, &entry))
			break;
		client = entry;
		size = begin > 0 ? begin - 1 : 0;
	}
	client.port = 0;
	return client;
}
