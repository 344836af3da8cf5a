#include "tests/load/socket.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "media/base.h"

static socklen_t to_sockaddr(const struct pl_addr *addr, struct sockaddr_storage *storage)
{
	memset(storage, 0, sizeof *storage);
	if (pl_addr_is_ipv4(addr)) {
		struct sockaddr_in *in = (struct sockaddr_in *)storage;
		in->sin_family = AF_INET;
		in->sin_port = htons(addr->port);
		memcpy(&in->sin_addr, addr->ip + 12, sizeof in->sin_addr);
		return sizeof *in;
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)storage;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(addr->port);
	memcpy(&in6->sin6_addr, addr->ip, sizeof in6->sin6_addr);
	return sizeof *in6;
}

static bool set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

static bool connect_to(int fd, const struct pl_addr *remote)
{
	struct sockaddr_storage storage;
	const socklen_t size = to_sockaddr(remote, &storage);
	return connect(fd, (const struct sockaddr *)&storage, size) == 0;
}

static bool read_local(int fd, struct pl_addr *local)
{
	struct sockaddr_storage storage;
	socklen_t size = sizeof storage;
	if (getsockname(fd, (struct sockaddr *)&storage, &size) != 0)
		return false;
	*local = (struct pl_addr){ 0 };
	if (storage.ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)&storage;
		*local = pl_addr_ipv4(ntohl(in->sin_addr.s_addr), ntohs(in->sin_port));
		return true;
	}
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&storage;
	memcpy(local->ip, &in6->sin6_addr, sizeof local->ip);
	local->port = ntohs(in6->sin6_port);
	return true;
}

int load_socket_open(const struct load_socket_config *config, struct pl_addr *local)
{
	const bool is_ipv4 = pl_addr_is_ipv4(&config->toward);
	struct sockaddr_storage any;
	struct pl_addr wildcard = is_ipv4 ? pl_addr_ipv4(0, config->port) : (struct pl_addr){ .port = config->port };
	const socklen_t size = to_sockaddr(&wildcard, &any);
	const int fd = socket(is_ipv4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	/* Connecting binds to the address that leads there; the port of the signaling server serves as well as any. */
	if (bind(fd, (const struct sockaddr *)&any, size) != 0 || !connect_to(fd, &config->toward) ||
		!read_local(fd, local)) {
		const int error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	if (!set(fd, SOL_SOCKET, SO_RCVBUFFORCE, LOAD_SOCKET_BUFFER_BYTES))
		set(fd, SOL_SOCKET, SO_RCVBUF, LOAD_SOCKET_BUFFER_BYTES);
	if (config->has_gro)
		set(fd, IPPROTO_UDP, UDP_GRO, 1);
	if (config->has_stamps)
		set(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
	return fd;
}

bool load_socket_connect(int fd, const struct pl_addr *remote)
{
	return connect_to(fd, remote);
}

bool load_socket_drop_rtp(int fd)
{
	/* The filter sees the UDP header first: the payload begins at 8.  RFC 7983 section 7 gives RTP and RTCP first
	 * bytes from 128 to 191, RFC 5761 section 4 gives RTCP second bytes from 192 to 223. */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 8),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 128, 0, 5),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 191, 4, 0),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 192, 0, 1),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 223, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
	};
	const struct sock_fprog program = { .len = PL_COUNT(code), .filter = code };
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}

uint32_t load_socket_drops(int fd)
{
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	socklen_t size = sizeof info;
	getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &size);
	return info[SK_MEMINFO_DROPS];
}

void load_batch_init(struct load_batch *batch)
{
	batch->count = batch->at = 0;
	for (int i = 0; i < LOAD_BATCH_MESSAGES; i++) {
		batch->vector[i] = (struct iovec){ batch->bytes[i], LOAD_BATCH_MESSAGE_SIZE };
		batch->message[i].msg_hdr = (struct msghdr){
			.msg_iov = &batch->vector[i],
			.msg_iovlen = 1,
			.msg_control = batch->control[i],
			.msg_controllen = LOAD_BATCH_CONTROL_SIZE,
		};
	}
}

/* Turns to message batch->at: one datagram, unless the kernel says that it is a train. */
static void open_message(struct load_batch *batch)
{
	struct msghdr *header = &batch->message[batch->at].msg_hdr;
	batch->offset = 0;
	batch->segment_size = batch->message[batch->at].msg_len;
	batch->stamp_ns = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
			int size;
			memcpy(&size, CMSG_DATA(c), sizeof size);
			if (size > 0)
				batch->segment_size = (size_t)size;
		} else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
			struct timespec t;
			memcpy(&t, CMSG_DATA(c), sizeof t);
			batch->stamp_ns = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
		}
	}
}

int load_batch_receive(struct load_batch *batch, int fd)
{
	for (int i = 0; i < batch->count; i++)
		batch->message[i].msg_hdr.msg_controllen = LOAD_BATCH_CONTROL_SIZE;
	batch->at = batch->count = 0;
	const int count = recvmmsg(fd, batch->message, LOAD_BATCH_MESSAGES, 0, NULL);
	if (count < 0)
		return errno == ECONNREFUSED ? -1 : 0;
	batch->count = count;
	if (count > 0)
		open_message(batch);
	return count;
}

bool load_batch_next(struct load_batch *batch, struct load_arrival *arrival)
{
	while (batch->at < batch->count && batch->offset >= batch->message[batch->at].msg_len) {
		if (++batch->at < batch->count)
			open_message(batch);
	}
	if (batch->at >= batch->count)
		return false;
	const size_t left = batch->message[batch->at].msg_len - batch->offset;
	const size_t size = left < batch->segment_size ? left : batch->segment_size;
	arrival->bytes = (struct pl_bytes){ batch->bytes[batch->at] + batch->offset, size };
	arrival->stamp_ns = batch->stamp_ns;
	batch->offset += size;
	return true;
}
