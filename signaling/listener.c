#include "signaling/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 512 };

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

bool pl_listener_is_any(const struct pl_addr *addr)
{
	static const uint8_t zero[16];
	if (pl_addr_is_ipv4(addr))
		return memcmp(addr->ip + 12, zero, 4) == 0;
	return memcmp(addr->ip, zero, sizeof(zero)) == 0;
}

bool pl_listener_is_loopback(const struct pl_addr *addr)
{
	static const uint8_t v6[16] = { [15] = 1 };
	return pl_addr_is_ipv4(addr) ? addr->ip[12] == 127 : memcmp(addr->ip, v6, sizeof(v6)) == 0;
}

static socklen_t to_address(const struct pl_addr *addr, bool is_v4, union address *address)
{
	memset(address, 0, sizeof(*address));
	if (is_v4) {
		address->v4.sin_family = AF_INET;
		address->v4.sin_port = htons(addr->port);
		memcpy(&address->v4.sin_addr, addr->ip + 12, 4);
		return sizeof(address->v4);
	}
	address->v6.sin6_family = AF_INET6;
	address->v6.sin6_port = htons(addr->port);
	memcpy(&address->v6.sin6_addr, addr->ip, 16);
	return sizeof(address->v6);
}

/* Returns a listening socket, or -1 with errno. */
static int open_socket(struct pl_addr *addr, bool is_v4)
{
	const int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	union address address;
	socklen_t size = to_address(addr, is_v4, &address);
	const int on = 1, v6_only = !pl_listener_is_any(addr);
	/* Connections of a server that just ended would else keep the port for a minute. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
		(!is_v4 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof(v6_only)) != 0) ||
		bind(fd, &address.any, size) != 0 || listen(fd, BACKLOG) != 0 ||
		getsockname(fd, &address.any, &size) != 0) {
		const int error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	addr->port = ntohs(is_v4 ? address.v4.sin_port : address.v6.sin6_port);
	return fd;
}

static void explain(const struct pl_addr *addr, int number, char error[static PL_LISTENER_ERROR_SIZE])
{
	char text[PL_ADDR_TEXT_SIZE];
	pl_addr_format(addr, text);
	if (number == EADDRINUSE)
		snprintf(error, PL_LISTENER_ERROR_SIZE,
			"http.listen: %s is taken by another program, perhaps another Plenum; stop that one, or choose "
			"another "
			"port: --set http.listen=127.0.0.1:%u",
			text, addr->port < 65535 ? addr->port + 1u : 8080u);
	else if (number == EACCES)
		snprintf(error, PL_LISTENER_ERROR_SIZE,
			"http.listen: %s: ports below 1024 need a privilege; choose a higher one, or put a proxy "
			"before it",
			text);
	else if (number == EADDRNOTAVAIL)
		snprintf(error, PL_LISTENER_ERROR_SIZE,
			"http.listen: %s is no address of this machine; :%u listens on all that it has", text,
			addr->port);
	else
		snprintf(error, PL_LISTENER_ERROR_SIZE, "http.listen: %s: %s", text, strerror(number));
}

enum pl_err pl_listener_open(int *fd, struct pl_addr *addr, char error[static PL_LISTENER_ERROR_SIZE])
{
	*fd = open_socket(addr, pl_addr_is_ipv4(addr));
	if (*fd < 0 && pl_listener_is_any(addr) && !pl_addr_is_ipv4(addr) && errno != EADDRINUSE && errno != EACCES) {
		*addr = pl_addr_ipv4(0, addr->port);
		*fd = open_socket(addr, true);
	}
	if (*fd >= 0)
		return PL_ERR_NONE;
	explain(addr, errno, error);
	return PL_ERR_SOCKET;
}
