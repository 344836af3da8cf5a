#include "sfu/io/udp.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
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

/* -1, errno 0: the host has no such family, or keeps it from us. */
static int open_family(enum pl_udp_family family)
{
	const bool is_ipv6 = family == PL_UDP_IPV6;
	const int fd = socket(is_ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		if (errno == EAFNOSUPPORT || errno == EPROTONOSUPPORT || errno == EPERM || errno == EACCES)
			errno = 0;
		return -1;
	}
	/* DF on, and no look at a path MTU that a stranger's ICMP may have lowered: our datagrams fit by construction. */
	const bool is_set = is_ipv6 ? set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) &&
					      set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) &&
					      set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE)
				    : set_int(fd, IPPROTO_IP, IP_PKTINFO, 1) &&
					      set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
	if (is_set)
		return fd;
	const int error = errno;
	close(fd);
	errno = error;
	return -1;
}

static bool bind_any(int fd, enum pl_udp_family family, uint16_t *port)
{
	union pl_udp_address address = { .v6 = { 0 } };
	socklen_t size = sizeof address.v4;
	if (family == PL_UDP_IPV6) {
		address.v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(*port) };
		size = sizeof address.v6;
	} else {
		address.v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(*port) };
	}
	if (bind(fd, &address.any, size) != 0 || getsockname(fd, &address.any, &size) != 0)
		return false;
	*port = ntohs(family == PL_UDP_IPV6 ? address.v6.sin6_port : address.v4.sin_port);
	return true;
}

static void close_all(struct pl_udp *udp)
{
	const int error = errno;
	for (size_t i = 0; i < PL_UDP_FAMILIES; i++) {
		if (udp->socket[i].fd >= 0)
			close(udp->socket[i].fd);
		udp->socket[i].fd = -1;
	}
	errno = error;
}

/* Both families on one port, or the only one there is.  False: errno tells why, and nothing is open. */
static bool open_all(struct pl_udp *udp, uint16_t port)
{
	udp->port = port;
	for (size_t i = 0; i < PL_UDP_FAMILIES; i++)
		udp->socket[i].fd = -1;
	for (enum pl_udp_family family = 0; family < PL_UDP_FAMILIES; family++) {
		const int fd = udp->socket[family].fd = open_family(family);
		if (fd < 0 && errno == 0)
			continue;
		if (fd < 0 || !bind_any(fd, family, &udp->port)) {
			close_all(udp);
			return false;
		}
	}
	if (pl_udp_has(udp, PL_UDP_IPV4) || pl_udp_has(udp, PL_UDP_IPV6))
		return true;
	errno = EAFNOSUPPORT;
	return false;
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

static void set_up(struct pl_udp *udp, int fd)
{
	const int receive_bytes = set_buffer(fd, SO_RCVBUF, SO_RCVBUFFORCE, PL_UDP_BUFFER_BYTES);
	const int send_bytes = set_buffer(fd, SO_SNDBUF, SO_SNDBUFFORCE, PL_UDP_BUFFER_BYTES);
	if (udp->receive_bytes == 0 || receive_bytes < udp->receive_bytes)
		udp->receive_bytes = receive_bytes;
	if (udp->send_bytes == 0 || send_bytes < udp->send_bytes)
		udp->send_bytes = send_bytes;
	set_int(fd, SOL_SOCKET, SO_RXQ_OVFL, 1); /* only a counter is lost without it */
	/* Kernels before 4.18 and 5.0 have neither: then each datagram is a message of its own, as ever. */
	int segment = 0;
	socklen_t size = sizeof segment;
	pl_egress_init(&udp->egress, getsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &segment, &size) == 0);
	set_int(fd, IPPROTO_UDP, UDP_GRO, 1);
	set_int(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1); /* only an age is lost without it */
}

enum pl_err pl_udp_open(struct pl_udp *udp, uint16_t port)
{
	memset(udp, 0, offsetof(struct pl_udp, datagram));
	/* A port that is free for one family may be taken for the other: then another one is. */
	bool is_open = open_all(udp, port);
	for (int tries = 1; !is_open && errno == EADDRINUSE && port == 0 && tries < PL_UDP_PORT_TRIES; tries++)
		is_open = open_all(udp, port);
	if (!is_open)
		return PL_ERR_SOCKET;
	for (enum pl_udp_family family = 0; family < PL_UDP_FAMILIES; family++) {
		if (pl_udp_has(udp, family))
			set_up(udp, udp->socket[family].fd);
	}
	lay_out(udp);
	return PL_ERR_NONE;
}

void pl_udp_close(struct pl_udp *udp)
{
	close_all(udp);
}

void pl_udp_prepare_poll(const struct pl_udp *udp, struct pollfd fds[static PL_UDP_FAMILIES])
{
	for (size_t i = 0; i < PL_UDP_FAMILIES; i++)
		fds[i] = (struct pollfd){ .fd = udp->socket[i].fd, .events = POLLIN };
}

bool pl_udp_take_poll(struct pl_udp *udp, const struct pollfd fds[static PL_UDP_FAMILIES])
{
	bool has_any = false;
	for (size_t i = 0; i < PL_UDP_FAMILIES; i++) {
		udp->socket[i].is_readable = fds[i].revents != 0;
		has_any |= fds[i].revents != 0;
	}
	return has_any;
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
static void read_control(
	struct pl_udp *udp, struct pl_udp_socket *from, struct msghdr *message, struct pl_addr *local, size_t *segment)
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
			udp->counters.kernel_drops += overflow - from->overflow_seen;
			from->overflow_seen = overflow;
		} else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
			int size;
			memcpy(&size, CMSG_DATA(c), sizeof size);
			if (size > 0)
				*segment = (size_t)size;
		}
	}
}

/* One message of a receive: a datagram, or a train of them. */
static size_t take_message(struct pl_udp *udp, struct pl_udp_socket *from, size_t index, size_t count)
{
	struct msghdr *message = &udp->in[index].msg_hdr;
	struct pl_path path = { .remote = addr_of(&udp->in_from[index]), .local.port = udp->port };
	const size_t size = udp->in[index].msg_len;
	size_t segment = size;
	read_control(udp, from, message, &path.local, &segment);
	if (segment > PL_DATAGRAM_SIZE_MAX || (message->msg_flags & MSG_TRUNC) != 0) {
		udp->counters.too_large++;
		return count;
	}
	/* An empty datagram is one, too. */
	size_t at = 0;
	do {
		const size_t left = size - at;
		if (count < PL_UDP_DATAGRAMS_MAX) {
			udp->datagram[count++] = (struct pl_udp_datagram){
				.path = path,
				.bytes = { udp->in_buffer[index] + at, left < segment ? left : segment },
			};
		} else {
			udp->counters.kernel_drops++;
		}
		at += segment;
	} while (at < size);
	return count;
}

/* Messages of one socket into udp->in from index on.  Returns how many. */
static size_t receive_from(struct pl_udp *udp, struct pl_udp_socket *from, size_t index)
{
	const size_t room = PL_UDP_BATCH - index;
	int got = recvmmsg(from->fd, udp->in + index, (unsigned)room, 0, NULL);
	udp->counters.syscalls++;
	/* An ICMP error about an earlier datagram is told once and says nothing about this socket's queue. */
	for (int errors = 0; got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errors < PL_UDP_BATCH; errors++) {
		got = recvmmsg(from->fd, udp->in + index, (unsigned)room, 0, NULL);
		udp->counters.syscalls++;
	}
	from->is_readable = got == (int)room;
	return got > 0 ? (size_t)got : 0;
}

size_t pl_udp_receive(struct pl_udp *udp)
{
	for (size_t i = 0; i < PL_UDP_BATCH; i++) {
		udp->in[i].msg_hdr.msg_namelen = sizeof udp->in_from[i];
		udp->in[i].msg_hdr.msg_controllen = sizeof udp->in_control[i];
	}
	size_t count = 0, used = 0;
	udp->has_more = false;
	for (size_t i = 0; i < PL_UDP_FAMILIES; i++) {
		struct pl_udp_socket *from = &udp->socket[(udp->first + i) % PL_UDP_FAMILIES];
		if (from->is_readable && used < PL_UDP_BATCH) {
			const size_t got = receive_from(udp, from, used);
			for (const size_t end = used + got; used < end; used++)
				count = take_message(udp, from, used, count);
		}
		udp->has_more |= from->is_readable;
	}
	/* A flood of one family does not keep the other waiting. */
	udp->first = (udp->first + 1) % PL_UDP_FAMILIES;
	udp->in_count = (unsigned)used;
	return count;
}

int64_t pl_udp_age_us(const struct pl_udp *udp, unsigned pick)
{
	if (udp->in_count == 0)
		return -1;
	/* CMSG_NXTHDR reads only, and wants it without const. */
	struct msghdr message = udp->in[pick % udp->in_count].msg_hdr;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		struct timespec then, now;
		memcpy(&then, CMSG_DATA(c), sizeof then);
		clock_gettime(CLOCK_REALTIME, &now);
		const int64_t age_s = (int64_t)now.tv_sec - then.tv_sec;
		if (age_s < -1 || age_s > 1 + PL_UDP_AGE_US_MAX / 1000000)
			return age_s < 0 ? 0 : PL_UDP_AGE_US_MAX;
		const int64_t age_us = age_s * 1000000 + (now.tv_nsec - then.tv_nsec) / 1000;
		return age_us < 0 ? 0 : age_us > PL_UDP_AGE_US_MAX ? PL_UDP_AGE_US_MAX : age_us;
	}
	return -1;
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

static socklen_t write_destination(const struct pl_addr *remote, enum pl_udp_family family, union pl_udp_address *to)
{
	if (family == PL_UDP_IPV6) {
		to->v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(remote->port) };
		memcpy(&to->v6.sin6_addr, remote->ip, sizeof remote->ip);
		return sizeof to->v6;
	}
	to->v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(remote->port) };
	memcpy(&to->v4.sin_addr, remote->ip + 12, sizeof to->v4.sin_addr);
	return sizeof to->v4;
}

static enum pl_udp_family family_of(const struct pl_addr *addr)
{
	return pl_addr_is_ipv4(addr) ? PL_UDP_IPV4 : PL_UDP_IPV6;
}

/* Appends a control message of one value; msg_controllen is what is used so far. */
static void put_control(struct msghdr *message, int level, int type, const void *value, size_t size)
{
	struct cmsghdr *c = (struct cmsghdr *)(void *)((uint8_t *)message->msg_control + message->msg_controllen);
	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(c), value, size);
	message->msg_controllen += CMSG_SPACE(size);
}

/* The source address of the datagram: the one the peer sent its checks to. */
static void put_source(const struct pl_addr *local, enum pl_udp_family family, struct msghdr *message)
{
	static const struct pl_addr unspecified;
	if (memcmp(local->ip, unspecified.ip, sizeof local->ip) == 0 || family_of(local) != family)
		return;
	if (family == PL_UDP_IPV6) {
		struct in6_pktinfo info = { 0 };
		memcpy(&info.ipi6_addr, local->ip, sizeof local->ip);
		put_control(message, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
	} else {
		struct in_pktinfo info = { 0 };
		memcpy(&info.ipi_spec_dst, local->ip + 12, sizeof info.ipi_spec_dst);
		put_control(message, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
	}
}

/* ---- destinations that refuse trains: a device without checksums, an old driver, a tunnel ---- */

/* Two destinations that share a place cost a call in vain, no more: so the hash needs no secret. */
static struct pl_udp_refuser *refuser_place(struct pl_udp *udp, const struct pl_addr *remote)
{
	return &udp->refuser[pl_addr_hash(remote, 0) % PL_UDP_REFUSERS];
}

static bool is_refuser(const struct pl_udp_refuser *place, const struct pl_addr *remote)
{
	return place->skips > 0 && pl_addr_equal(&place->remote, remote);
}

/* True when the next train to remote is to go one by one; when its time is over one is tried again. */
static bool skip_train(struct pl_udp *udp, const struct pl_addr *remote)
{
	if (udp->refusers == 0)
		return false;
	struct pl_udp_refuser *place = refuser_place(udp, remote);
	if (!is_refuser(place, remote) || place->skips_left == 0)
		return false;
	place->skips_left--;
	return true;
}

static void note_refused(struct pl_udp *udp, const struct pl_addr *remote)
{
	struct pl_udp_refuser *place = refuser_place(udp, remote);
	const bool is_again = is_refuser(place, remote);
	const unsigned skips = is_again ? place->skips * 2u : PL_UDP_REFUSED_SKIPS;
	udp->counters.trains_refused++;
	udp->counters.trains_cut++;
	udp->refusers += place->skips == 0;
	place->remote = *remote;
	place->skips = skips < PL_UDP_REFUSED_SKIPS_MAX ? (uint16_t)skips : PL_UDP_REFUSED_SKIPS_MAX;
	place->skips_left = place->skips;
}

static void note_taken(struct pl_udp *udp, const struct pl_addr *remote)
{
	struct pl_udp_refuser *place = refuser_place(udp, remote);
	if (!is_refuser(place, remote))
		return;
	place->skips = 0;
	udp->refusers--;
}

/* ---- out ---- */

static bool is_full(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS || error == ENOMEM;
}

/* Puts count datagrams of a train, from byte at on, into the next message. */
static void put_message(struct pl_udp *udp, enum pl_udp_family family, unsigned index, uint32_t at, unsigned count)
{
	const struct pl_egress_train *train = &udp->egress.train[index];
	const unsigned out = udp->out_count++;
	struct msghdr *message = &udp->out[out].msg_hdr;
	const uint32_t left = train->size - at;
	udp->out_part[out] = (struct pl_udp_part){ .train = (uint8_t)index, .count = (uint16_t)count };
	udp->out_vector[out] = (struct iovec){
		.iov_base = udp->egress.arena + train->offset + at,
		.iov_len = count > 1 || left < train->segment ? left : train->segment,
	};
	message->msg_namelen = write_destination(&train->path.remote, family, &udp->out_to[out]);
	message->msg_controllen = 0;
	put_source(&train->path.local, family, message);
	if (count > 1)
		put_control(message, IPPROTO_UDP, UDP_SEGMENT, &train->segment, sizeof train->segment);
}

/* A train that the kernel did not take, whose message has this index: its datagrams one by one, in that message's place.
 * False: the socket is full. */
static bool send_cut(struct pl_udp *udp, int fd, unsigned out)
{
	const struct pl_egress_train *train = &udp->egress.train[udp->out_part[out].train];
	struct msghdr *message = &udp->out[out].msg_hdr;
	message->msg_controllen = 0;
	put_source(&train->path.local, family_of(&train->path.remote), message);
	for (uint32_t at = 0, left = train->count; left > 0; at += train->segment, left--) {
		udp->out_vector[out] = (struct iovec){
			.iov_base = udp->egress.arena + train->offset + at,
			.iov_len = left > 1 ? train->segment : train->size - at,
		};
		udp->counters.syscalls++;
		if (sendmsg(fd, message, 0) >= 0) {
			if (at == 0) /* so it was the train that was refused */
				note_refused(udp, &train->path.remote);
			continue;
		}
		if (is_full(errno)) {
			udp->counters.send_full += left;
			return false;
		}
		if (at == 0) { /* so it is the destination, and the others would fare no better */
			udp->counters.send_failed += left;
			return true;
		}
		udp->counters.send_failed++;
	}
	return true;
}

static void note_sent(struct pl_udp *udp, unsigned from, unsigned count)
{
	for (unsigned i = from; i < from + count && udp->refusers > 0; i++) {
		if (udp->out_part[i].count > 1)
			note_taken(udp, &udp->egress.train[udp->out_part[i].train].path.remote);
	}
}

static void count_full(struct pl_udp *udp, unsigned from)
{
	for (unsigned i = from; i < udp->out_count; i++)
		udp->counters.send_full += udp->out_part[i].count;
}

static void send_messages(struct pl_udp *udp, int fd)
{
	for (unsigned done = 0; done < udp->out_count;) {
		const int sent = sendmmsg(fd, udp->out + done, udp->out_count - done, 0);
		udp->counters.syscalls++;
		if (sent > 0) {
			note_sent(udp, done, (unsigned)sent);
			done += (unsigned)sent;
			continue;
		}
		if (errno == EINTR)
			continue;
		bool has_room = !is_full(errno);
		if (has_room && udp->out_part[done].count > 1) {
			has_room = send_cut(udp, fd, done++);
		} else if (has_room) {
			/* One destination's fault (or an ICMP error reported late): the others still get theirs. */
			udp->counters.send_failed++;
			done++;
		}
		if (!has_room) {
			count_full(udp, done);
			break;
		}
	}
	udp->out_count = 0;
}

static void put_train(struct pl_udp *udp, enum pl_udp_family family, unsigned index)
{
	const struct pl_egress_train *train = &udp->egress.train[index];
	const bool is_cut = train->count > 1 && skip_train(udp, &train->path.remote);
	const unsigned step = is_cut ? 1 : train->count;
	udp->counters.trains_cut += is_cut;
	for (unsigned at = 0; at < train->count; at += step) {
		if (udp->out_count == PL_EGRESS_TRAINS_MAX)
			send_messages(udp, udp->socket[family].fd);
		put_message(udp, family, index, at * train->segment, step);
	}
}

/* Sends what goes to one family, and returns how many trains that was. */
static unsigned flush_family(struct pl_udp *udp, enum pl_udp_family family)
{
	unsigned trains = 0;
	for (unsigned i = 0; i < udp->egress.count; i++) {
		const struct pl_egress_train *train = &udp->egress.train[i];
		if (family_of(&train->path.remote) != family)
			continue;
		trains++;
		if (pl_udp_has(udp, family))
			put_train(udp, family, i);
		else
			udp->counters.send_failed += train->count;
	}
	if (udp->out_count > 0)
		send_messages(udp, udp->socket[family].fd);
	return trains;
}

void pl_udp_flush(struct pl_udp *udp)
{
	if (flush_family(udp, PL_UDP_IPV4) < udp->egress.count)
		flush_family(udp, PL_UDP_IPV6);
	pl_egress_clear(&udp->egress);
}
