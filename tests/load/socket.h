/* One UDP socket per client, as clients on machines of their own would have; and a batch of buffers that all sockets of
 * a worker receive into: recvmmsg, where each message may be a train of datagrams (UDP_GRO).
 * Thread: main opens, then the worker that owns the client. */
#ifndef PL_TESTS_LOAD_SOCKET_H
#define PL_TESTS_LOAD_SOCKET_H

#include <sys/socket.h>

#include "media/addr.h"

enum {
	LOAD_SOCKET_BUFFER_BYTES = 1 << 20,
	LOAD_BATCH_MESSAGES = 16,
	LOAD_BATCH_MESSAGE_SIZE = 65536, /* a train is at most so long */
	LOAD_BATCH_CONTROL_SIZE = 128,
};

struct load_socket_config {
	struct pl_addr toward; /* tells the family and the local address to use */
	uint16_t port;         /* 0: any */
	bool has_gro;
	bool has_stamps; /* the kernel notes when a datagram arrived */
};

/* Returns a descriptor, with *local what it is bound to, or -1 with errno. */
int load_socket_open(const struct load_socket_config *config, struct pl_addr *local);

/* From now on it speaks with remote alone, and hears of a remote that is gone. */
PL_MUST_USE bool load_socket_connect(int fd, const struct pl_addr *remote);

/* From now on the kernel drops what is RTP at this socket, before it is queued.  RTCP, DTLS and STUN pass. */
PL_MUST_USE bool load_socket_drop_rtp(int fd);

/* Datagrams that the kernel dropped here: for want of room, or by the filter. */
uint32_t load_socket_drops(int fd);

struct load_batch {
	struct mmsghdr message[LOAD_BATCH_MESSAGES];
	struct iovec vector[LOAD_BATCH_MESSAGES];
	_Alignas(16) uint8_t control[LOAD_BATCH_MESSAGES][LOAD_BATCH_CONTROL_SIZE];
	int count, at;               /* messages received; the one being taken apart */
	size_t offset, segment_size; /* in that message */
	int64_t stamp_ns;            /* its arrival by CLOCK_REALTIME; 0: not known */
	uint8_t bytes[LOAD_BATCH_MESSAGES][LOAD_BATCH_MESSAGE_SIZE];
};

struct load_arrival {
	struct pl_bytes bytes; /* valid until the next receive */
	int64_t stamp_ns;      /* CLOCK_REALTIME; 0: not known */
};

void load_batch_init(struct load_batch *batch);

/* Takes what is there.  Returns how many messages, 0 when none, -1 when the remote is gone (ICMP port unreachable). */
int load_batch_receive(struct load_batch *batch, int fd);

/* The next datagram of what was received.  False: that was all. */
bool load_batch_next(struct load_batch *batch, struct load_arrival *arrival);

#endif
