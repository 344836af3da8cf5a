#include "sfu/io/udp.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <unistd.h>

static bool set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

/* The FORCE variants go over the sysctl's limit, for those who may.  Returns what was granted, in bytes of payload: the
 * kernel doubles the number for its own bookkeeping (socket(7)). */
static int set_buffer(int fd, int option, int option_force, int bytes)
{
	if (!set_int(fd, SOL_SOCKET, option_force, bytes))
		set_int(fd, SOL_SOCKET, option, bytes);
	int granted = 0;
	socklen_t size = sizeof granted;
	getsockopt(fd, SOL_SOCKET, option, &granted, &size);
	return granted / 2;
}

static int open_family(int family)
{
	const int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	/* DF on, and no look at a path MTU that a stranger's ICMP may have lowered: our datagrams fit by construction. */
	bool is_set = set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
	if (family == AF_INET6)
		is_set = is_set && set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0) &&
			 set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) &&
			 set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
	else
		is_set = is_set && set_int(fd, IPPROTO_IP, IP_PKTINFO, 1);
	if (is_set)
		return fd;
	const int error = errno;
	close(fd);
	errno = error;
	return -1;
}

static bool bind_any(int fd, bool is_ipv6, uint16_t port, uint16_t *bound)
{
	struct sockaddr_storage address = { 0 };
	socklen_t size = is_ipv6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	if (is_ipv6)
		*(struct sockaddr_in6 *)&address =
			(struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(port) };
	else
		*(struct sockaddr_in *)&address =
			(struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port) };
	if (bind(fd, (const struct sockaddr *)&address, size) != 0 ||
		getsockname(fd, (struct sockaddr *)&address, &size) != 0)
		return false;
	*bound = ntohs(
		is_ipv6 ? ((struct sockaddr_in6 *)&address)->sin6_port : ((struct sockaddr_in *)&address)->sin_port);
	return true;
}

/* What never changes between batches: where each message's parts lie. */
static void lay_out(struct pl_udp *udp)
{
	for (size_t i = 0; i < PL_UDP_BATCH; i++) {
		udp->in_vector[i] =
			(struct iovec){ .iov_base = udp->in_buffer[i], .iov_len = sizeof udp->in_buffer[i] };
		udp->out_vector[i].iov_base = udp->out_buffer[i];
		udp->in[i].msg_hdr = (struct msghdr){
			.msg_name = &udp->in_from[i],
			.msg_iov = &udp->in_vector[i],
			.msg_iovlen = 1,
			.msg_control = udp->in_control[i],
		};
		udp->out[i].msg_hdr = (struct msghdr){
			.msg_name = &udp->out_to[i],
			.msg_iov = &udp->out_vector[i],
			.msg_iovlen = 1,
			.msg_control = udp->out_control[i],
		};
	}
}

enum pl_err pl_udp_open(struct pl_udp *udp, uint16_t port)
{
	memset(udp, 0, sizeof *udp);
	udp->is_ipv6 = true;
	udp->fd = open_family(AF_INET6);
	if (udp->fd < 0) { /* a host or a container without IPv6 */
		udp->is_ipv6 = false;
		udp->fd = open_family(AF_INET);
	}
	if (udp->fd < 0)
		return PL_ERR_SOCKET;
	if (!bind_any(udp->fd, udp->is_ipv6, port, &udp->port)) {
		const int error = errno;
		close(udp->fd);
		errno = error;
		return PL_ERR_SOCKET;
	}
	udp->receive_bytes = set_buffer(udp->fd, SO_RCVBUF, SO_RCVBUFFORCE, PL_UDP_BUFFER_BYTES);
	udp->send_bytes = set_buffer(udp->fd, SO_SNDBUF, SO_SNDBUFFORCE, PL_UDP_BUFFER_BYTES);
	set_int(udp->fd, SOL_SOCKET, SO_RXQ_OVFL, 1); /* only a counter is lost without it */
	lay_out(udp);
	return PL_ERR_NONE;
}

void pl_udp_close(struct pl_udp *udp)
{
	close(udp->fd);
	udp->fd = -1;
}

static struct pl_addr addr_of(const struct sockaddr_storage *address)
{
	struct pl_addr addr = { 0 };
	if (address->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
		memcpy(addr.ip, &in6->sin6_addr, sizeof addr.ip);
		addr.port = ntohs(in6->sin6_port);
	} else if (address->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)address;
		addr = pl_addr_ipv4(ntohl(in->sin_addr.s_addr), ntohs(in->sin_port));
	}
	return addr;
}

/* The local address out of the packet-info message, and the kernel's drops since the socket was opened. */
static void read_control(struct pl_udp *udp, struct msghdr *message, struct pl_addr *local)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof info);
			memcpy(local->ip, &info.ipi6_addr, sizeof local->ip);
		} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof info);
			*local = pl_addr_ipv4(ntohl(info.ipi_addr.s_addr), local->port);
		} else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
			uint32_t overflow;
			memcpy(&overflow, CMSG_DATA(c), sizeof overflow);
			udp->counters.kernel_drops += overflow - udp->overflow_seen;
			udp->overflow_seen = overflow;
		}
	}
}

size_t pl_udp_receive(struct pl_udp *udp)
{
	for (size_t i = 0; i < PL_UDP_BATCH; i++) {
		udp->in[i].msg_hdr.msg_namelen = sizeof udp->in_from[i];
		udp->in[i].msg_hdr.msg_controllen = sizeof udp->in_control[i];
	}
	int got = recvmmsg(udp->fd, udp->in, PL_UDP_BATCH, 0, NULL);
	/* An ICMP error about an earlier datagram is told once and says nothing about this socket's queue. */
	for (int errors = 0; got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errors < PL_UDP_BATCH; errors++)
		got = recvmmsg(udp->fd, udp->in, PL_UDP_BATCH, 0, NULL);

	size_t count = 0;
	for (int i = 0; i < got; i++) {
		struct pl_udp_datagram *datagram = &udp->datagram[count];
		datagram->path = (struct pl_path){ .remote = addr_of(&udp->in_from[i]), .local.port = udp->port };
		read_control(udp, &udp->in[i].msg_hdr, &datagram->path.local);
		if (udp->in[i].msg_len > PL_DATAGRAM_SIZE_MAX) {
			udp->counters.too_large++;
			continue;
		}
		datagram->bytes = (struct pl_bytes){ .data = udp->in_buffer[i], .size = udp->in[i].msg_len };
		count++;
	}
	return count;
}

struct pl_span pl_udp_room(struct pl_udp *udp)
{
	if (udp->out_count == PL_UDP_BATCH)
		pl_udp_flush(udp);
	return (struct pl_span){ .data = udp->out_buffer[udp->out_count], .size = PL_UDP_SEND_SIZE_MAX };
}

static socklen_t write_destination(const struct pl_udp *udp, const struct pl_addr *remote, struct sockaddr_storage *to)
{
	if (udp->is_ipv6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)to;
		*in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(remote->port) };
		memcpy(&in6->sin6_addr, remote->ip, sizeof remote->ip);
		return sizeof *in6;
	}
	struct sockaddr_in *in = (struct sockaddr_in *)to;
	*in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(remote->port) };
	memcpy(&in->sin_addr, remote->ip + 12, sizeof in->sin_addr);
	return sizeof *in;
}

/* The source address of the datagram: the one the peer sent its checks to.  A dual-stack socket takes an IPv4-mapped
 * one in the IPv6 form. */
static size_t write_source(const struct pl_udp *udp, const struct pl_addr *local, struct msghdr *message)
{
	static const struct pl_addr unspecified;
	if (memcmp(local->ip, unspecified.ip, sizeof local->ip) == 0)
		return 0;
	message->msg_controllen = PL_UDP_CONTROL_SIZE;
	struct cmsghdr *c = CMSG_FIRSTHDR(message);
	if (udp->is_ipv6) {
		struct in6_pktinfo info = { 0 };
		memcpy(&info.ipi6_addr, local->ip, sizeof local->ip);
		c->cmsg_level = IPPROTO_IPV6;
		c->cmsg_type = IPV6_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof info);
		memcpy(CMSG_DATA(c), &info, sizeof info);
		return CMSG_SPACE(sizeof info);
	}
	struct in_pktinfo info = { 0 };
	memcpy(&info.ipi_spec_dst, local->ip + 12, sizeof info.ipi_spec_dst);
	c->cmsg_level = IPPROTO_IP;
	c->cmsg_type = IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof info);
	memcpy(CMSG_DATA(c), &info, sizeof info);
	return CMSG_SPACE(sizeof info);
}

void pl_udp_push(struct pl_udp *udp, const struct pl_path *path, size_t size)
{
	PL_ASSERT(udp->out_count < PL_UDP_BATCH && size <= PL_UDP_SEND_SIZE_MAX);
	struct msghdr *message = &udp->out[udp->out_count].msg_hdr;
	message->msg_namelen = write_destination(udp, &path->remote, &udp->out_to[udp->out_count]);
	message->msg_controllen = write_source(udp, &path->local, message);
	udp->out_vector[udp->out_count].iov_len = size;
	udp->out_count++;
}

void pl_udp_flush(struct pl_udp *udp)
{
	unsigned done = 0;
	while (done < udp->out_count) {
		const int sent = sendmmsg(udp->fd, udp->out + done, udp->out_count - done, 0);
		if (sent > 0) {
			done += (unsigned)sent;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ENOMEM) {
			udp->counters.send_full += udp->out_count - done;
			break;
		} else if (errno != EINTR) {
			/* One destination's fault (or an ICMP error reported late): the others still get theirs. */
			udp->counters.send_failed++;
			done++;
		}
	}
	udp->out_count = 0;
}
