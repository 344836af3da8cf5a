/* A shard's one UDP socket: unconnected, non-blocking, all addresses of the host, IPv6 and IPv4 on the same port where
 * the host has IPv6.  Every datagram comes with the local address it was sent to and leaves from the one its path
 * names.  Batches in (trains too: UDP_GRO) and out (UDP_SEGMENT); what the socket does not take is dropped and counted,
 * never waited for.
 * Thread: the shard that owns it. */
#ifndef PL_SFU_IO_UDP_H
#define PL_SFU_IO_UDP_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "media/addr.h"
#include "media/err.h"
#include "media/srtp.h"
#include "sfu/egress.h"

enum {
	PL_UDP_BATCH = 32, /* messages of a receive, each a datagram or a train */
	PL_UDP_TRAIN_BYTES_MAX = 65536,
	/* Of a receive.  A train has 64 at most, since Linux 6.10 128; what is more is dropped as if the queue were full. */
	PL_UDP_DATAGRAMS_MAX = PL_UDP_BATCH * 128,
	PL_UDP_BUFFER_BYTES = 4 << 20, /* wanted of the kernel, each way */
	PL_UDP_CONTROL_SIZE = 96,      /* packet-info, overflow and segment size */
};

struct pl_udp_counters {
	uint64_t kernel_drops; /* datagrams the receive queue had no room for (SO_RXQ_OVFL) */
	uint64_t too_large;    /* cut by the kernel, dropped here */
	uint64_t send_full;    /* the send buffer was full */
	uint64_t send_failed;  /* refused for their destination: no route, no permission, too large for the path */
	uint64_t trains_cut;   /* trains that the kernel refused and that went out one by one */
	uint64_t syscalls;
};

/* One incoming datagram; bytes is valid until the next receive. */
struct pl_udp_datagram {
	struct pl_path path;
	struct pl_bytes bytes;
};

struct pl_udp {
	int fd;
	bool is_ipv6; /* a dual-stack socket */
	uint16_t port;
	bool has_more;                 /* the last receive was full: there may be more */
	int receive_bytes, send_bytes; /* what the kernel granted */
	struct pl_udp_counters counters;
	uint32_t overflow_seen;

	struct mmsghdr in[PL_UDP_BATCH], out[PL_EGRESS_TRAINS_MAX];
	struct iovec in_vector[PL_UDP_BATCH], out_vector[PL_EGRESS_TRAINS_MAX];
	union pl_udp_address {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} in_from[PL_UDP_BATCH], out_to[PL_EGRESS_TRAINS_MAX];
	_Alignas(8) uint8_t in_control[PL_UDP_BATCH][PL_UDP_CONTROL_SIZE];
	_Alignas(8) uint8_t out_control[PL_EGRESS_TRAINS_MAX][PL_UDP_CONTROL_SIZE];

	/* From here on nothing is cleared at open: memory that is never used stays untouched. */
	struct pl_udp_datagram datagram[PL_UDP_DATAGRAMS_MAX];
	struct pl_egress egress;
	uint8_t in_buffer[PL_UDP_BATCH][PL_UDP_TRAIN_BYTES_MAX];
};

/* port: 0 for any free one.  PL_ERR_SOCKET: errno tells why, and there is nothing to undo. */
PL_MUST_USE enum pl_err pl_udp_open(struct pl_udp *udp, uint16_t port);
void pl_udp_close(struct pl_udp *udp);

/* Takes what is there, at most PL_UDP_DATAGRAMS_MAX datagrams into udp->datagram, and returns how many. */
size_t pl_udp_receive(struct pl_udp *udp);

/* Where the next datagram to send is to be written, PL_EGRESS_DATAGRAM_MAX bytes.  There is always room: what was pushed
 * is flushed when there is none. */
struct pl_span pl_udp_room(struct pl_udp *udp);

/* The size bytes in that room are a datagram for path. */
void pl_udp_push(struct pl_udp *udp, const struct pl_path *path, size_t size);

/* Sends what was pushed. */
void pl_udp_flush(struct pl_udp *udp);

#endif
