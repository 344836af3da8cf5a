/* A shard's UDP port: unconnected, non-blocking, all addresses of the host.  IPv4 and IPv6 have a socket each, on the same
 * port; a host without one of them has the other alone.  Every datagram comes with the local address it was sent to and
 * leaves from the one its path names.  Batches in (trains too: UDP_GRO) and out (UDP_SEGMENT); what a socket does not take is
 * dropped and counted, never waited for.
 * Thread: the shard that owns it. */
#ifndef PL_SFU_IO_UDP_H
#define PL_SFU_IO_UDP_H

#include <netinet/in.h>
#include <poll.h>
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
	PL_UDP_CONTROL_SIZE = 128,     /* packet-info, overflow, segment size and stamp */
	PL_UDP_PORT_TRIES = 32,        /* for a port that is free for both families */
	PL_UDP_AGE_US_MAX = 1000000,   /* more is a clock that was set */
	/* Destinations that refused a train are remembered in so many places, and get no train for a while: so many that would
	 * have been trains go one by one, twice as many after each further refusal. */
	PL_UDP_REFUSERS = 1024,
	PL_UDP_REFUSED_SKIPS = 64,
	PL_UDP_REFUSED_SKIPS_MAX = 4096,
};

enum pl_udp_family { PL_UDP_IPV4, PL_UDP_IPV6, PL_UDP_FAMILIES };

struct pl_udp_counters {
	uint64_t kernel_drops; /* datagrams the receive queue had no room for (SO_RXQ_OVFL) */
	uint64_t too_large;    /* cut by the kernel, dropped here */
	uint64_t send_full;    /* the send buffer was full */
	uint64_t send_failed;  /* refused for their destination: no route, no permission, too large for the path */
	uint64_t
		trains_cut; /* trains that went out one by one: refused, or for a destination that refused one lately */
	uint64_t trains_refused; /* of these the refused ones, each a system call in vain */
	uint64_t syscalls;
};

struct pl_udp_socket {
	int fd;           /* -1: the host has no such family */
	bool is_readable; /* the last poll said so, and it was not emptied since */
	uint32_t overflow_seen;
};

/* A destination that refused a train.  The newest has the place. */
struct pl_udp_refuser {
	struct pl_addr remote;
	uint16_t skips,
		skips_left; /* trains that go one by one: in this round, and of them still to come; skips 0: a free place */
};

/* What a message of a send is made of. */
struct pl_udp_part {
	uint8_t train;  /* index in egress */
	uint16_t count; /* datagrams */
};

/* One incoming datagram; bytes is valid until the next receive. */
struct pl_udp_datagram {
	struct pl_path path;
	struct pl_bytes bytes;
};

struct pl_udp {
	struct pl_udp_socket socket[PL_UDP_FAMILIES];
	enum pl_udp_family first; /* whose turn it is to be read first */
	uint16_t port;
	bool has_more;                 /* the last receive was full: there may be more */
	unsigned in_count;             /* messages of the last receive */
	int receive_bytes, send_bytes; /* what the kernel granted, each socket at least */
	struct pl_udp_counters counters;
	uint32_t refusers; /* places of refuser that are taken */

	struct mmsghdr in[PL_UDP_BATCH], out[PL_EGRESS_TRAINS_MAX];
	struct iovec in_vector[PL_UDP_BATCH], out_vector[PL_EGRESS_TRAINS_MAX];
	union pl_udp_address {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} in_from[PL_UDP_BATCH], out_to[PL_EGRESS_TRAINS_MAX];
	_Alignas(8) uint8_t in_control[PL_UDP_BATCH][PL_UDP_CONTROL_SIZE];
	_Alignas(8) uint8_t out_control[PL_EGRESS_TRAINS_MAX][PL_UDP_CONTROL_SIZE];
	struct pl_udp_part out_part[PL_EGRESS_TRAINS_MAX];
	unsigned out_count;
	struct pl_udp_refuser refuser[PL_UDP_REFUSERS];

	/* From here on nothing is cleared at open: memory that is never used stays untouched. */
	struct pl_udp_datagram datagram[PL_UDP_DATAGRAMS_MAX];
	struct pl_egress egress;
	uint8_t in_buffer[PL_UDP_BATCH][PL_UDP_TRAIN_BYTES_MAX];
};

/* port: 0 for any that is free for IPv4 and IPv6.  PL_ERR_SOCKET: errno tells why, and there is nothing to undo. */
PL_MUST_USE enum pl_err pl_udp_open(struct pl_udp *udp, uint16_t port);
void pl_udp_close(struct pl_udp *udp);

static inline bool pl_udp_has(const struct pl_udp *udp, enum pl_udp_family family)
{
	return udp->socket[family].fd >= 0;
}

/* Writes what a poll has to wait for.  A family that is not there is an entry that poll(2) passes over. */
void pl_udp_prepare_poll(const struct pl_udp *udp, struct pollfd fds[static PL_UDP_FAMILIES]);

/* Takes what the poll said: the sockets that are to be read.  True when there is one. */
bool pl_udp_take_poll(struct pl_udp *udp, const struct pollfd fds[static PL_UDP_FAMILIES]);

/* Takes what is there in the sockets that are readable, at most PL_UDP_DATAGRAMS_MAX datagrams into udp->datagram, and
 * returns how many. */
size_t pl_udp_receive(struct pl_udp *udp);

/* How long the pick-th message of the last receive, counted round and round, has been here: since the kernel took it from the
 * network (a train: its first datagram).  By the clock that is set, so it is bounded: 0 to PL_UDP_AGE_US_MAX.  -1: the kernel did not
 * say, or nothing was received. */
int64_t pl_udp_age_us(const struct pl_udp *udp, unsigned pick);

/* Where the next datagram to send is to be written, PL_EGRESS_DATAGRAM_MAX bytes.  There is always room: what was pushed
 * is flushed when there is none. */
struct pl_span pl_udp_room(struct pl_udp *udp);

/* The size bytes in that room are a datagram for path. */
void pl_udp_push(struct pl_udp *udp, const struct pl_path *path, size_t size);

/* Sends what was pushed: to each destination in that order, and all of one family with as few calls as can be. */
void pl_udp_flush(struct pl_udp *udp);

#endif
