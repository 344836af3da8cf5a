#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sfu/io/interfaces.h"
#include "sfu/io/udp.h"
#include "signaling/doctor_checks.h"
#include "signaling/listener.h"

enum { PORT_MAX = 65535, PORTS_TRIED = 64, ADDRESSES_SHOWN = 4 };

void pl_doctor_check_buffers(struct pl_doctor *doctor, int receive_bytes, int send_bytes)
{
	const int least = receive_bytes < send_bytes ? receive_bytes : send_bytes;
	if (least >= PL_UDP_BUFFER_BYTES) {
		pl_doctor_tell(
			doctor, "UDP buffers", PL_DOCTOR_OK, "%d MiB each way, as wanted", PL_UDP_BUFFER_BYTES >> 20);
		return;
	}
	pl_doctor_tell(doctor, "UDP buffers", PL_DOCTOR_WARNING,
		"%d KiB to receive and %d KiB to send, of %d KiB wanted: bursts of packets will be lost (in a "
		"container: "
		"to be mended on its host)",
		receive_bytes >> 10, send_bytes >> 10, PL_UDP_BUFFER_BYTES >> 10);
	pl_doctor_mend(doctor,
		"printf 'net.core.rmem_max=%d\\nnet.core.wmem_max=%d\\n' | sudo tee /etc/sysctl.d/60-plenum.conf && "
		"sudo sysctl --system",
		PL_UDP_BUFFER_BYTES, PL_UDP_BUFFER_BYTES);
}

/* Whether the shards' ports, all of them, can be opened.  When not, errno says why, and *failed is the port.  first:
 * may be NULL; gets the first socket's state. */
static bool try_media_ports(uint16_t port, size_t shards, struct pl_udp *first, uint32_t *failed)
{
	struct pl_udp *udp = malloc(sizeof *udp);
	bool is_open = udp != NULL;
	for (size_t i = 0; i < shards && is_open; i++) {
		*failed = port == 0 ? 0 : (uint32_t)(port + i);
		if (*failed > PORT_MAX) {
			errno = ERANGE;
			is_open = false;
		} else if (pl_udp_open(udp, (uint16_t)*failed) == PL_ERR_NONE) {
			if (i == 0 && first != NULL)
				*first = *udp;
			pl_udp_close(udp);
		} else {
			is_open = false;
		}
	}
	const int error = errno;
	free(udp);
	errno = error;
	return is_open;
}

/* A socket may be had for a family that no interface speaks: sysctl turns IPv6 off so. */
static const char *families_of(const struct pl_udp *udp)
{
	struct pl_addr addr;
	const bool can_ipv4 = pl_udp_has(udp, PL_UDP_IPV4), can_ipv6 = pl_udp_has(udp, PL_UDP_IPV6);
	const bool has_ipv4 = can_ipv4 && pl_interfaces_list(true, false, true, &addr, 1) > 0;
	const bool has_ipv6 = can_ipv6 && pl_interfaces_list(false, true, true, &addr, 1) > 0;
	if (has_ipv4 && has_ipv6)
		return "IPv6 and IPv4";
	if (has_ipv4)
		return can_ipv6 ? "IPv4 alone (no interface has an IPv6 address)" : "IPv4 alone";
	if (has_ipv6)
		return can_ipv4 ? "IPv6 alone (no interface has an IPv4 address)" : "IPv6 alone";
	return "nobody: no interface has an address";
}

static void tell_media_port(struct pl_doctor *doctor, uint32_t port, int error, size_t shards)
{
	if (error == EADDRINUSE)
		pl_doctor_tell(doctor, "media ports", PL_DOCTOR_BROKEN,
			"UDP port %u is taken by another program, perhaps another Plenum (sudo ss -lunp shows which)",
			port);
	else
		pl_doctor_tell(doctor, "media ports", PL_DOCTOR_BROKEN, "UDP port %u cannot be opened: %s", port,
			strerror(error));
	for (uint32_t other = port + 10; other + shards <= PORT_MAX && other < port + 10 + PORTS_TRIED; other += 2) {
		uint32_t failed;
		if (!try_media_ports((uint16_t)other, shards, NULL, &failed))
			continue;
		pl_doctor_mend(doctor, "plenum --set media.port=%u", other);
		return;
	}
}

void pl_doctor_check_media_ports(struct pl_doctor *doctor, const struct pl_config *config, size_t shards)
{
	const uint32_t port = config->media_port;
	struct pl_udp *first = calloc(1, sizeof *first);
	uint32_t failed = port;
	char range[32];
	PL_ASSERT(first != NULL);
	if (shards == 1)
		snprintf(range, sizeof range, "%u", port);
	else
		snprintf(range, sizeof range, "%u to %zu", port, port + shards - 1);
	if (!try_media_ports((uint16_t)port, shards, first, &failed))
		tell_media_port(doctor, failed, errno, shards);
	else if (port == 0)
		pl_doctor_tell(doctor, "media ports", PL_DOCTOR_OK, "UDP, %zu of any that are free", shards);
	else
		pl_doctor_tell(doctor, "media ports", PL_DOCTOR_OK,
			"UDP %s can be opened, for %s; firewalls have to let %s in", range, families_of(first),
			shards == 1 ? "it" : "them");
	if (first->receive_bytes > 0)
		pl_doctor_check_buffers(doctor, first->receive_bytes, first->send_bytes);
	free(first);
}

static void mend_http(struct pl_doctor *doctor, const struct pl_addr *wanted)
{
	char error[PL_LISTENER_ERROR_SIZE], text[PL_ADDR_TEXT_SIZE];
	struct pl_addr addr = *wanted;
	uint32_t port = wanted->port < 1024 ? 8080 : wanted->port + 1u;
	for (const uint32_t end = port + PORTS_TRIED; port < end && port <= PORT_MAX; port++) {
		int fd;
		addr.port = (uint16_t)port;
		if (pl_listener_open(&fd, &addr, error) != PL_ERR_NONE)
			continue;
		close(fd);
		pl_doctor_mend(doctor, "plenum --set http.listen=%s", pl_addr_format(&addr, text));
		return;
	}
}

void pl_doctor_check_http(struct pl_doctor *doctor, const struct pl_config *config)
{
	char error[PL_LISTENER_ERROR_SIZE], text[PL_ADDR_TEXT_SIZE];
	struct pl_addr wanted, addr;
	int fd;
	PL_ASSERT(pl_config_parse_listen(config->http_listen, &wanted));
	addr = wanted;
	if (pl_listener_open(&fd, &addr, error) != PL_ERR_NONE) {
		pl_doctor_tell(doctor, "http port", PL_DOCTOR_BROKEN, "%s", error);
		mend_http(doctor, &wanted);
		return;
	}
	close(fd);
	pl_doctor_tell(doctor, "http port", PL_DOCTOR_OK, "TCP %s can be opened%s",
		pl_addr_format(wanted.port == 0 ? &wanted : &addr, text),
		pl_listener_is_loopback(&addr) ? ", for this machine alone" : "");
}

/* Addresses that clients of the Internet cannot reach: RFC 1918, RFC 6598 (carriers' NAT), RFC 3927 and RFC 4291
 * section 2.5.6 (link-local), RFC 4193 (unique local), loopback. */
static bool is_private(const struct pl_addr *addr)
{
	const uint8_t *ip = addr->ip;
	if (pl_listener_is_loopback(addr))
		return true;
	if (!pl_addr_is_ipv4(addr))
		return (ip[0] & 0xfe) == 0xfc || (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80);
	ip += 12;
	return ip[0] == 10 || (ip[0] == 172 && (ip[1] & 0xf0) == 16) || (ip[0] == 192 && ip[1] == 168) ||
	       (ip[0] == 100 && (ip[1] & 0xc0) == 64) || (ip[0] == 169 && ip[1] == 254);
}

static void list_addresses(const struct pl_addr *address, size_t count, char *list, size_t size)
{
	size_t used = 0;
	list[0] = '\0';
	for (size_t i = 0; i < count && i < ADDRESSES_SHOWN && used < size; i++) {
		char text[PL_ADDR_TEXT_SIZE];
		used += (size_t)snprintf(
			list + used, size - used, "%s%s", i == 0 ? "" : ", ", pl_addr_format_ip(&address[i], text));
	}
	if (count > ADDRESSES_SHOWN && used < size)
		snprintf(list + used, size - used, " and %zu more", count - ADDRESSES_SHOWN);
}

void pl_doctor_check_addresses(
	struct pl_doctor *doctor, const struct pl_addr *address, size_t count, bool is_configured, bool is_local)
{
	char list[(ADDRESSES_SHOWN + 1) * PL_ADDR_TEXT_SIZE];
	size_t public_count = 0;
	list_addresses(address, count, list, sizeof list);
	for (size_t i = 0; i < count; i++)
		public_count += !is_private(&address[i]);
	const char *from = is_configured ? "media.address" : "the interfaces";
	if (count == 0) {
		pl_doctor_tell(doctor, "addresses", PL_DOCTOR_BROKEN, "no interface has one that clients could reach");
		pl_doctor_mend(doctor, "plenum --set media.address=ADDRESS");
	} else if (public_count > 0) {
		pl_doctor_tell(doctor, "addresses", PL_DOCTOR_OK, "media is offered on %s (%s)", list, from);
	} else if (is_local) {
		pl_doctor_tell(doctor, "addresses", PL_DOCTOR_NOTE,
			"media is offered on %s (%s), all of them private, as the pages are", list, from);
	} else {
		pl_doctor_tell(doctor, "addresses", PL_DOCTOR_WARNING,
			"media is offered on %s (%s): clients outside of this network will not be heard; give the "
			"address "
			"they reach this machine by",
			list, from);
		pl_doctor_mend(doctor, "plenum --set media.address=PUBLIC_ADDRESS");
	}
}
