#include "sfu/io/udp.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stddef.h>
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
		udp->in[i].msg_hdr = (struct msghdr){
			.msg_name = &udp->in_from[i],
			.msg_iov = &udp->in_vector[i],
			.msg_iovlen = 1,
			.msg_control = udp->in_control[i],
		};
	}
	for (size_t i = 0; i < PL_EGRESS_TRAINS_MAX; i++) {
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
	memset(udp, 0, offsetof(struct pl_udp, datagram));
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
	/* Kernels before 4.18 and 5.0 have neither: then each datagram is a message of its own, as ever. */
	int segment = 0;
	socklen_t size = sizeof segment;
	pl_egress_init(&udp->egress, getsockopt(udp->fd, IPPROTO_UDP, UDP_SEGMENT, &segment, &size) == 0);
	set_int(udp->fd, IPPROTO_UDP, UDP_GRO, 1);
	return PL_ERR_NONE;
}

void pl_udp_close(struct pl_udp *udp)
{
	close(udp->fd);
	udp->fd = -1;
}

static struct pl_addr addr_of(const union pl_udp_address *address)
{
	struct pl_addr addr = { 0 };
	if (address->any.sa_family == AF_INET6) {
		memcpy(addr.ip, &address->v6.sin6_addr, sizeof addr.ip);
		addr.port = ntohs(address->v6.sin6_port);
	} else if (address->any.sa_family == AF_INET) {
		addr = pl_addr_ipv4(ntohl(address->v4.sin_addr.s_addr), ntohs(address->v4.sin_port));
	}
	return addr;
}

/* The local address out of the packet-info message, the kernel's drops since the socket was opened, and the size of a
 * train's segments (left alone when it is a single datagram). */
static void read_control(struct pl_udp *udp, struct msghdr *message, struct pl_addr *local, size_t *segment)
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
		} else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
			int size;
			memcpy(&size, CMSG_DATA(c), sizeof size);
			if (size > 0)
				*segment = (size_t)size;
		}
	}
}

/* One message of a receive: a datagram, or a train of them. */
static size_t take_message(struct pl_udp *udp, size_t index, size_t count)
{
	struct msghdr *message = &udp->in[index].msg_hdr;
	struct pl_path path = { .remote = addr_of(&udp->in_from[index]), .local.port = udp->port };
	const size_t size = udp->in[index].msg_len;
	size_t segment = size;
	read_control(udp, message, &path.local, &segment);
	if (segment > PL_DATAGRAM_SIZE_MAX || (message->msg_flags & MSG_TRUNC) != 0) {
		udp->counters.too_large++;
		return count;
	}
	for (size_t at = 0; at == 0 || at < size; at += segment) {
		const size_t left = size - at;
		if (count == PL_UDP_DATAGRAMS_MAX) {
			udp->counters.kernel_drops++;
			continue;
		}
		udp->datagram[count++] = (struct pl_udp_datagram){
			.path = path,
			.bytes = { udp->in_buffer[index] + at, left < segment ? left : segment },
		};
	}
	return count;
}

size_t pl_udp_receive(struct pl_udp *udp)
{
	for (size_t i = 0; i < PL_UDP_BATCH; i++) {
		udp->in[i].msg_hdr.msg_namelen = sizeof udp->in_from[i];
		udp->in[i].msg_hdr.msg_controllen = sizeof udp->in_control[i];
	}
	int got = recvmmsg(udp->fd, udp->in, PL_UDP_BATCH, 0, NULL);
	udp->counters.syscalls++;
	/* An ICMP error about an earlier datagram is told once and says nothing about this socket's queue. */
	for (int errors = 0; got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errors < PL_UDP_BATCH; errors++) {
		got = recvmmsg(udp->fd, udp->in, PL_UDP_BATCH, 0, NULL);
		udp->counters.syscalls++;
	}
	udp->has_more = got == PL_UDP_BATCH;
	size_t count = 0;
	for (int i = 0; i < got; i++)
		count = take_message(udp, (size_t)i, count);
	return count;
}

struct pl_span pl_udp_room(struct pl_udp *udp)
{
	if (pl_egress_is_full(&udp->egress))
		pl_udp_flush(udp);
	return pl_egress_room(&udp->egress);
}

void pl_udp_push(struct pl_udp *udp, const struct pl_path *path, size_t size)
{
	pl_egress_push(&udp->egress, path, size);
}

static socklen_t write_destination(const struct pl_udp *udp, const struct pl_addr *remote, union pl_udp_address *to)
{
	if (udp->is_ipv6) {
		to->v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(remote->port) };
		memcpy(&to->v6.sin6_addr, remote->ip, sizeof remote->ip);
		return sizeof to->v6;
	}
	to->v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(remote->port) };
	memcpy(&to->v4.sin_addr, remote->ip + 12, sizeof to->v4.sin_addr);
	return sizeof to->v4;
}

/* Appends a control message of one value; msg_controllen is what is used so far. */
static void put_control(struct msghdr *message, uint8_t *control, int level, int type, const void *value, size_t size)
{
	struct cmsghdr *c = (struct cmsghdr *)(void *)(control + message->msg_controllen);
	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(c), value, size);
	message->msg_controllen += CMSG_SPACE(size);
}

/* The source address of the datagram: the one the peer sent its checks to.  A dual-stack socket takes an IPv4-mapped
 * one in the IPv6 form. */
static void put_source(const struct pl_udp *udp, const struct pl_addr *local, struct msghdr *message, uint8_t *control)
{
	static const struct pl_addr unspecified;
	if (memcmp(local->ip, unspecified.ip, sizeof local->ip) == 0)
		return;
	if (udp->is_ipv6) {
		struct in6_pktinfo info = { 0 };
		memcpy(&info.ipi6_addr, local->ip, sizeof local->ip);
		put_control(message, control, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
	} else {
		struct in_pktinfo info = { 0 };
		memcpy(&info.ipi_spec_dst, local->ip + 12, sizeof info.ipi_spec_dst);
		put_control(message, control, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
	}
}

static void prepare(struct pl_udp *udp, unsigned index)
{
	const struct pl_egress_train *train = &udp->egress.train[index];
	struct msghdr *message = &udp->out[index].msg_hdr;
	message->msg_namelen = write_destination(udp, &train->path.remote, &udp->out_to[index]);
	udp->out_vector[index] =
		(struct iovec){ .iov_base = udp->egress.arena + train->offset, .iov_len = train->size };
	message->msg_controllen = 0;
	put_source(udp, &train->path.local, message, udp->out_control[index]);
	if (train->count > 1)
		put_control(message, udp->out_control[index], IPPROTO_UDP, UDP_SEGMENT, &train->segment,
			sizeof train->segment);
}

static bool is_full(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS || error == ENOMEM;
}

/* A train that the kernel does not cut (a device without checksums, an old driver): its datagrams one by one.  False: the
 * socket is full. */
static bool send_cut(struct pl_udp *udp, unsigned index)
{
	const struct pl_egress_train *train = &udp->egress.train[index];
	struct msghdr *message = &udp->out[index].msg_hdr;
	udp->counters.trains_cut++;
	message->msg_controllen = 0;
	put_source(udp, &train->path.local, message, udp->out_control[index]);
	for (uint32_t at = 0, left = train->count; left > 0; at += train->segment, left--) {
		udp->out_vector[index] = (struct iovec){
			.iov_base = udp->egress.arena + train->offset + at,
			.iov_len = left > 1 ? train->segment : train->size - at,
		};
		udp->counters.syscalls++;
		if (sendmsg(udp->fd, message, 0) >= 0)
			continue;
		if (is_full(errno)) {
			udp->counters.send_full += left;
			return false;
		}
		udp->counters.send_failed++;
	}
	return true;
}

static void count_full(struct pl_udp *udp, unsigned from)
{
	for (unsigned i = from; i < udp->egress.count; i++)
		udp->counters.send_full += udp->egress.train[i].count;
}

void pl_udp_flush(struct pl_udp *udp)
{
	const unsigned count = udp->egress.count;
	for (unsigned i = 0; i < count; i++)
		prepare(udp, i);
	unsigned done = 0;
	while (done < count) {
		const int sent = sendmmsg(udp->fd, udp->out + done, count - done, 0);
		udp->counters.syscalls++;
		if (sent > 0) {
			done += (unsigned)sent;
		} else if (is_full(errno)) {
			count_full(udp, done);
			break;
		} else if (errno != EINTR && udp->egress.train[done].count > 1) {
			if (!send_cut(udp, done++)) {
				count_full(udp, done);
				break;
			}
		} else if (errno != EINTR) {
			/* One destination's fault (or an ICMP error reported late): the others still get theirs. */
			udp->counters.send_failed++;
			done++;
		}
	}
	pl_egress_clear(&udp->egress);
}
