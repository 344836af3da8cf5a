#include "sfu/io/interfaces.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

enum rank { RANK_IPV4, RANK_IPV6, RANK_LOOPBACK, RANK_COUNT };

struct wanted {
	bool ipv4, ipv6, loopback;
};

/* False: nothing that a client could use. */
static bool classify(const struct ifaddrs *entry, struct wanted with, struct pl_addr *addr, enum rank *rank)
{
	if (entry->ifa_addr == NULL || (entry->ifa_flags & IFF_UP) == 0)
		return false;
	const bool is_loopback = (entry->ifa_flags & IFF_LOOPBACK) != 0;
	if (is_loopback && !with.loopback)
		return false;

	if (entry->ifa_addr->sa_family == AF_INET && with.ipv4) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)entry->ifa_addr;
		*addr = pl_addr_ipv4(ntohl(in->sin_addr.s_addr), 0);
		*rank = is_loopback ? RANK_LOOPBACK : RANK_IPV4;
		return true;
	}
	if (entry->ifa_addr->sa_family != AF_INET6 || !with.ipv6)
		return false;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)entry->ifa_addr;
	if (IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr))
		return false;
	*addr = (struct pl_addr){ 0 };
	memcpy(addr->ip, &in6->sin6_addr, sizeof addr->ip);
	*rank = is_loopback ? RANK_LOOPBACK : RANK_IPV6;
	return true;
}

size_t pl_interfaces_list(bool with_ipv4, bool with_ipv6, bool with_loopback, struct pl_addr *addr, size_t max)
{
	const struct wanted with = { with_ipv4, with_ipv6, with_loopback };
	struct ifaddrs *list;
	if (getifaddrs(&list) != 0)
		return 0;
	size_t count = 0;
	for (int wanted = 0; wanted < RANK_COUNT; wanted++) {
		for (const struct ifaddrs *entry = list; entry != NULL && count < max; entry = entry->ifa_next) {
			enum rank rank;
			if (classify(entry, with, &addr[count], &rank) && (int)rank == wanted)
				count++;
		}
	}
	freeifaddrs(list);
	return count;
}
