/* A shard's one UDP socket: unconnected, non-blocking, all addresses of the host, IPv6 and IPv4 on the same port where
 * the host has IPv6.  Every datagram comes with the local address it was sent to and leaves from the one its path
 * names.  Batches in and out; what the socket does not take is dropped and counted, never waited for.
 * Thread: the shard that owns it. */
#ifndef PL_SFU_IO_UDP_H
#define PL_SFU_IO_UDP_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "media/addr.h"
#include "media/err.h"
#include "media/srtp.h"

enum {
	PL_UDP_BATCH = 32,
	PL_UDP_SEND_SIZE_MAX = PL_DATAGRAM_SIZE_MAX + PL_SRTP_OVERHEAD_MAX,
	PL_UDP_BUFFER_BYTES = 4 << 20, /* wanted of the kernel, each way */
	PL_UDP_CONTROL_SIZE = 64,      /* a packet-info and an overflow message */
};

struct pl_udp_counters {
	uint64_t kernel_drops; /* datagrams the receive queue had no room for (SO_RXQ_OVFL) */
	uint64_t too_large;    /* cut by the kernel, dropped here */
	uint64_t send_full;    /* the send buffer was full */
	uint64_t send_failed;  /* refused for their destination: no route, no permission, too large for the path */
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
	int receive_bytes, send_bytes; /* what the kernel granted */
	struct pl_udp_counters counters;
	uint32_t overflow_seen;

	struct pl_udp_datagram datagram[PL_UDP_BATCH];
	struct mmsghdr in[PL_UDP_BATCH], out[PL_UDP_BATCH];
	struct iovec in_vector[PL_UDP_BATCH], out_vector[PL_UDP_BATCH];
	struct sockaddr_storage in_from[PL_UDP_BATCH], out_to[PL_UDP_BATCH];
	_Alignas(8) uint8_t in_control[PL_UDP_BATCH][PL_UDP_CONTROL_SIZE];
	_Alignas(8) uint8_t out_control[PL_UDP_BATCH][PL_UDP_CONTROL_SIZE];
	uint8_t in_buffer[PL_UDP_BATCH][PL_DATAGRAM_SIZE_MAX + 1];
	uint8_t out_buffer[PL_UDP_BATCH][PL_UDP_SEND_SIZE_MAX];
	unsigned out_count;
};

/* port: 0 for any free one.  PL_ERR_SOCKET: errno tells why, and there is nothing to undo. */
PL_MUST_USE enum pl_err pl_udp_open(struct pl_udp *udp, uint16_t port);
void pl_udp_close(struct pl_udp *udp);

/* Takes what is there, at most PL_UDP_BATCH datagrams into udp->datagram, and returns how many. */
size_t pl_udp_receive(struct pl_udp *udp);

/* Where the next datagram to send is to be written, PL_UDP_SEND_SIZE_MAX bytes.  The batch has room: it is flushed when
 * it is full. */
struct pl_span pl_udp_room(struct pl_udp *udp);

/* The size bytes in that room are a datagram for path. */
void pl_udp_push(struct pl_udp *udp, const struct pl_path *path, size_t size);

/* Sends what was pushed. */
void pl_udp_flush(struct pl_udp *udp);

#endif
