#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sfu/io/interfaces.h"
#include "sfu/io/udp.h"

/* What a host may do to us, and this one does not: the program is linked with --wrap for these calls. */
static struct {
	int families_missing; /* bit 1 << family */
	int binds_taken;      /* so many binds of IPv6 from now on find the port in use */
	int binds;
	int sends_until_full; /* so many messages of a sendmmsg, or sendmsg calls, are taken before the buffer is full; -1: all */
	bool singles_full;      /* sendmsg finds it full */
	int64_t clock_ahead_us; /* the clock that is set was, since the datagrams came */
} host = { .sends_until_full = -1 };

int __real_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol);
int __real_bind(int fd, const struct sockaddr *address, socklen_t size);
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t size);
int __real_sendmmsg(int fd, struct mmsghdr *message, unsigned count, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *message, unsigned count, int flags);
ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	const int result = __real_clock_gettime(clock, now);
	if (clock == CLOCK_REALTIME) {
		const int64_t us = (int64_t)now->tv_sec * 1000000 + now->tv_nsec / 1000 + host.clock_ahead_us;
		*now = (struct timespec){ .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };
	}
	return result;
}

int __wrap_socket(int family, int type, int protocol)
{
	const enum pl_udp_family which = family == AF_INET6 ? PL_UDP_IPV6 : PL_UDP_IPV4;
	if ((host.families_missing >> which & 1) == 0)
		return __real_socket(family, type, protocol);
	errno = EAFNOSUPPORT;
	return -1;
}

int __wrap_bind(int fd, const struct sockaddr *address, socklen_t size)
{
	host.binds++;
	if (address->sa_family == AF_INET6 && host.binds_taken > 0) {
		host.binds_taken--;
		errno = EADDRINUSE;
		return -1;
	}
	return __real_bind(fd, address, size);
}

int __wrap_sendmmsg(int fd, struct mmsghdr *message, unsigned count, int flags)
{
	if (host.sends_until_full < 0)
		return __real_sendmmsg(fd, message, count, flags);
	if (host.sends_until_full == 0) {
		errno = EAGAIN;
		return -1;
	}
	const unsigned most = count < (unsigned)host.sends_until_full ? count : (unsigned)host.sends_until_full;
	const int sent = __real_sendmmsg(fd, message, most, flags);
	host.sends_until_full -= sent > 0 ? sent : 0;
	return sent;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
	if (!host.singles_full)
		return __real_sendmsg(fd, message, flags);
	errno = ENOBUFS;
	return -1;
}

static struct pl_udp *udp_open(void)
{
	struct pl_udp *udp = aligned_alloc(64, pl_whole_lines(sizeof *udp));
	assert_non_null(udp);
	assert_int_equal(pl_udp_open(udp, 0), PL_ERR_NONE);
	return udp;
}

static void udp_free(struct pl_udp *udp)
{
	pl_udp_close(udp);
	free(udp);
}

static struct pl_addr loopback(uint8_t last, const struct pl_udp *udp)
{
	return pl_addr_ipv4(0x7f000000u + last, udp->port);
}

/* Receives what is there, count datagrams at least wanted; 0 when none comes for a second. */
static size_t receive(struct pl_udp *udp, size_t count)
{
	struct pollfd fds[PL_UDP_FAMILIES];
	assert_true(count <= PL_UDP_BATCH);
	pl_udp_prepare_poll(udp, fds);
	if (poll(fds, PL_COUNT(fds), 1000) < 1)
		return 0;
	assert_true(pl_udp_take_poll(udp, fds));
	return pl_udp_receive(udp);
}

static void send_text(struct pl_udp *udp, const struct pl_path *path, const char *text)
{
	const struct pl_span room = pl_udp_room(udp);
	assert_true(room.size >= strlen(text));
	memcpy(room.data, text, strlen(text));
	pl_udp_push(udp, path, strlen(text));
}

/* A browser takes an answer only from the address it asked: on a host with several, the wrong one means no call. */
static void test_udp_replies_from_the_address_that_was_asked(void **state)
{
	(void)state;
	struct pl_udp *server = udp_open(), *client = udp_open();
	for (uint8_t last = 1; last <= 3; last++) {
		const struct pl_path ask = { .remote = loopback(last, server) };
		send_text(client, &ask, "ask");
		pl_udp_flush(client);
		assert_int_equal(receive(server, 1), 1);
		const struct pl_path path = server->datagram[0].path;
		const struct pl_addr asked = loopback(last, server);
		assert_true(pl_addr_equal(&path.local, &asked));

		send_text(server, &path, "answer");
		pl_udp_flush(server);
		assert_int_equal(receive(client, 1), 1);
		assert_true(pl_addr_equal(&client->datagram[0].path.remote, &asked));
		assert_memory_equal(client->datagram[0].bytes.data, "answer", 6);
	}
	udp_free(client);
	udp_free(server);
}

static struct pl_addr loopback6(const struct pl_udp *udp)
{
	struct pl_addr v6;
	assert_true(pl_addr_parse_ip("::1", &v6));
	v6.port = udp->port;
	return v6;
}

/* Whether packets get to ::1 here: a host may have the family and no address of it. */
static bool has_ipv6(void)
{
	struct pl_udp *udp = udp_open();
	const struct pl_path path = { .remote = loopback6(udp) };
	send_text(udp, &path, "to me");
	pl_udp_flush(udp);
	const bool has = pl_udp_has(udp, PL_UDP_IPV6) && udp->counters.send_failed == 0;
	udp_free(udp);
	return has;
}

static void test_udp_ipv6_and_ipv4_share_the_port(void **state)
{
	(void)state;
	if (!has_ipv6())
		skip();
	struct pl_udp *server = udp_open(), *client = udp_open();
	const struct pl_addr v6 = loopback6(server);
	struct pl_path ask = { .remote = v6 };
	send_text(client, &ask, "six");
	pl_udp_flush(client);
	assert_int_equal(receive(server, 1), 1);
	assert_true(pl_addr_equal(&server->datagram[0].path.local, &v6));
	ask.remote = loopback(1, server);
	send_text(client, &ask, "four");
	pl_udp_flush(client);
	assert_int_equal(receive(server, 1), 1);
	assert_int_equal(server->datagram[0].bytes.size, 4);
	assert_true(pl_addr_is_ipv4(&server->datagram[0].path.remote));
	assert_true(pl_addr_equal(&server->datagram[0].path.local, &ask.remote));
	udp_free(client);
	udp_free(server);
}

/* A room of both families costs one call for each: what came is taken in one turn, and leaves in one. */
static void test_udp_both_families_go_in_one_turn(void **state)
{
	(void)state;
	if (!has_ipv6())
		skip();
	struct pl_udp *server = udp_open(), *client = udp_open();
	const struct pl_path four = { .remote = loopback(1, client) };
	const struct pl_path six = { .remote = loopback6(client), .local = loopback6(server) };
	static const char *const texts[] = { "a", "bcd", "efghi", "j" };
	for (size_t i = 0; i < PL_COUNT(texts); i++) {
		send_text(server, &four, texts[i]);
		send_text(server, &six, texts[i]);
	}
	pl_udp_flush(server);
	assert_int_equal(server->counters.syscalls, 2);
	assert_int_equal(receive(client, 8), 8);
	assert_int_equal(client->counters.syscalls, 2);
	size_t next[PL_UDP_FAMILIES] = { 0 };
	for (size_t i = 0; i < 8; i++) {
		const struct pl_udp_datagram *datagram = &client->datagram[i];
		const char *text = texts[next[!pl_addr_is_ipv4(&datagram->path.remote)]++];
		assert_int_equal(datagram->bytes.size, strlen(text));
		assert_memory_equal(datagram->bytes.data, text, strlen(text));
	}
	assert_int_equal(pl_udp_receive(client), 0); /* emptied, and not polled since: not asked */
	assert_int_equal(client->counters.syscalls, 2);
	udp_free(client);
	udp_free(server);
}

/* A flood over one family does not keep the other's people waiting. */
static void test_udp_a_flood_of_one_family_leaves_the_other_its_turn(void **state)
{
	(void)state;
	if (!has_ipv6())
		skip();
	for (int flooded = 0; flooded < PL_UDP_FAMILIES; flooded++) {
		struct pl_udp *server = udp_open(), *client = udp_open();
		const struct pl_path path[] = { { .remote = loopback(1, server) }, { .remote = loopback6(server) } };
		client->egress.has_trains = false;
		for (int i = 0; i < 4 * PL_UDP_BATCH; i++)
			send_text(client, &path[flooded], "flood");
		send_text(client, &path[!flooded], "call");
		pl_udp_flush(client);
		bool has_come = false;
		receive(server, 1);
		for (int turn = 0; turn < 2 && !has_come; turn++) {
			for (size_t i = 0; i < PL_UDP_BATCH; i++)
				has_come |=
					pl_addr_is_ipv4(&server->datagram[i].path.remote) != (flooded == PL_UDP_IPV4);
			assert_true(server->has_more);
			if (!has_come)
				pl_udp_receive(server);
		}
		assert_true(has_come);
		udp_free(client);
		udp_free(server);
	}
}

/* A container without IPv6, or a host without IPv4, serves those whom it can reach; others are counted and cost no call. */
static void test_udp_one_family_alone_is_enough(void **state)
{
	(void)state;
	if (!has_ipv6())
		skip();
	for (enum pl_udp_family missing = 0; missing < PL_UDP_FAMILIES; missing++) {
		host.families_missing = 1 << missing;
		struct pl_udp *server = udp_open(), *client = udp_open();
		host.families_missing = 0;
		assert_false(pl_udp_has(server, missing));
		const struct pl_addr to[] = { loopback(1, client), loopback6(client) };
		const struct pl_path there = { .remote = to[!missing] }, nowhere = { .remote = to[missing] };
		send_text(server, &nowhere, "lost");
		send_text(server, &there, "found");
		pl_udp_flush(server);
		assert_int_equal(server->counters.send_failed, 1);
		assert_int_equal(server->counters.syscalls, 1);
		assert_int_equal(receive(client, 1), 1);
		assert_memory_equal(client->datagram[0].bytes.data, "found", 5);
		udp_free(client);
		udp_free(server);
	}
	static struct pl_udp none;
	host.families_missing = 1 << PL_UDP_IPV4 | 1 << PL_UDP_IPV6;
	assert_int_equal(pl_udp_open(&none, 0), PL_ERR_SOCKET);
	host.families_missing = 0;
}

/* A port that the kernel says is free may be taken for the other family: another is tried, and not for ever. */
static void test_udp_any_port_is_one_that_is_free_for_both(void **state)
{
	(void)state;
	host.binds_taken = 3;
	struct pl_udp *udp = udp_open();
	assert_int_equal(host.binds_taken, pl_udp_has(udp, PL_UDP_IPV6) ? 0 : 3);
	struct sockaddr_in6 bound = { .sin6_port = 0 };
	for (int i = 0; i < PL_UDP_FAMILIES; i++) {
		socklen_t size = sizeof bound;
		if (udp->socket[i].fd < 0)
			continue;
		assert_int_equal(getsockname(udp->socket[i].fd, (struct sockaddr *)&bound, &size), 0);
		assert_int_equal(ntohs(bound.sin6_port), udp->port); /* at the same place in both kinds */
	}
	if (pl_udp_has(udp, PL_UDP_IPV6)) {
		static struct pl_udp never;
		const int next_fd = dup(0);
		close(next_fd);
		host.binds = 0;
		host.binds_taken = 1000;
		assert_int_equal(pl_udp_open(&never, 0), PL_ERR_SOCKET);
		assert_int_equal(errno, EADDRINUSE);
		assert_int_equal(host.binds, 2 * PL_UDP_PORT_TRIES);
		assert_int_equal(dup(0), next_fd); /* nothing is left open */
		close(next_fd);
	}
	host.binds_taken = 0;
	udp_free(udp);
}

/* Fragments are what firewalls drop, and a fragment lost is the packet lost: no packet may be cut on its way. */
static void test_udp_packets_are_never_fragmented(void **state)
{
	(void)state;
	struct pl_udp *udp = udp_open();
	int mode = -1;
	socklen_t size = sizeof mode;
	if (pl_udp_has(udp, PL_UDP_IPV4)) {
		assert_int_equal(getsockopt(udp->socket[PL_UDP_IPV4].fd, IPPROTO_IP, IP_MTU_DISCOVER, &mode, &size), 0);
		assert_int_equal(mode, IP_PMTUDISC_PROBE);
	}
	if (pl_udp_has(udp, PL_UDP_IPV6)) {
		assert_int_equal(
			getsockopt(udp->socket[PL_UDP_IPV6].fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &mode, &size), 0);
		assert_int_equal(mode, IPV6_PMTUDISC_PROBE);
	}
	udp_free(udp);
}

/* What the operator is told to mend by larger buffers must be what was lost: each datagram that found the queue full. */
static void test_udp_counts_what_the_receive_queue_had_no_room_for(void **state)
{
	(void)state;
	const int families = has_ipv6() ? PL_UDP_FAMILIES : 1;
	struct pl_udp *server = udp_open(), *client = udp_open();
	const struct pl_path to[] = { { .remote = loopback(1, server) }, { .remote = loopback6(server) } };
	uint64_t got = 0, sent = 0;
	client->egress.has_trains = false;
	for (int i = 0; i < families; i++) {
		const int small = 2048;
		assert_int_equal(setsockopt(server->socket[i].fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
	}
	for (int round = 1; round <= 2; round++) { /* the kernel tells the sum since the beginning, for each socket */
		for (int i = 0; i < 100; i++, sent += (uint64_t)families) {
			for (int family = 0; family < families; family++)
				send_text(client, &to[family], "too many");
		}
		pl_udp_flush(client);
		do
			got += receive(server, 1);
		while (server->has_more);
		/* It is told with the next datagram that finds room. */
		for (int family = 0; family < families; family++, sent++)
			send_text(client, &to[family], "and?");
		pl_udp_flush(client);
		got += receive(server, 1);
		assert_true(got < sent);
		assert_int_equal(got + server->counters.kernel_drops, sent);
	}
	udp_free(client);
	udp_free(server);
}

/* A full send buffer is the server's trouble and told as such: every datagram that it cost, those of trains too. */
static void test_udp_counts_what_the_send_buffer_had_no_room_for(void **state)
{
	(void)state;
	struct pl_udp *server = udp_open(), *client = udp_open(), *other = udp_open();
	const struct pl_path path = { .remote = loopback(1, client) }, to_other = { .remote = loopback(1, other) };
	host.sends_until_full = 1;
	send_text(server, &path, "taken");
	send_text(server, &to_other, "full");
	for (int i = 0; i < 5; i++)
		send_text(server, &path, "train");
	pl_udp_flush(server);
	assert_int_equal(server->counters.send_full, 6);
	assert_int_equal(server->counters.send_failed, 0);
	assert_int_equal(server->counters.syscalls, 2);
	host.sends_until_full = -1;
	assert_int_equal(receive(client, 1), 1);

	/* what was dropped does not come later, and the next goes out */
	send_text(server, &path, "next");
	pl_udp_flush(server);
	assert_int_equal(receive(client, 1), 1);
	assert_memory_equal(client->datagram[0].bytes.data, "next", 4);
	assert_int_equal(server->counters.send_full, 6);

	/* full in the middle of a train that is sent one by one: the rest of it, and what is behind */
	const int no_check = 1;
	assert_int_equal(
		setsockopt(server->socket[PL_UDP_IPV4].fd, SOL_SOCKET, SO_NO_CHECK, &no_check, sizeof no_check), 0);
	host.singles_full = true;
	for (int i = 0; i < 5; i++)
		send_text(server, &path, "train");
	send_text(server, &to_other, "behind");
	if (server->egress.count == 2) {
		pl_udp_flush(server);
		assert_int_equal(server->counters.send_full, 6 + 6);
		assert_int_equal(server->counters.trains_refused, 0); /* nobody knows */
	}
	host.singles_full = false;
	udp_free(other);
	udp_free(client);
	udp_free(server);
}

/* One participant behind a dead route must not cost the others of the same batch their packets. */
static void test_udp_one_bad_destination_spares_the_rest(void **state)
{
	(void)state;
	struct pl_udp *server = udp_open(), *client = udp_open();
	const struct pl_path good = { .remote = loopback(1, client) };
	struct pl_path bad = good;
	bad.remote = pl_addr_ipv4(0xffffffffu, 9); /* broadcast needs a permission that the socket does not have */
	send_text(server, &good, "one");
	send_text(server, &bad, "lost");
	send_text(server, &good, "two");
	pl_udp_flush(server);
	assert_int_equal(server->counters.send_failed, 1);
	size_t got = receive(client, 2);
	while (got < 2) {
		const size_t more = receive(client, 1);
		assert_true(more > 0);
		got += more;
	}
	udp_free(client);
	udp_free(server);
}

static void test_udp_datagram_over_the_bound_is_counted_and_dropped(void **state)
{
	(void)state;
	struct pl_udp *server = udp_open();
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);
	const struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(server->port), .sin_addr.s_addr = htonl(0x7f000001)
	};
	static uint8_t large[PL_DATAGRAM_SIZE_MAX + 1];
	assert_int_equal(sendto(fd, large, sizeof large, 0, (const struct sockaddr *)&to, sizeof to), sizeof large);
	assert_int_equal(receive(server, 1), 0);
	assert_int_equal(server->counters.too_large, 1);
	assert_int_equal(sendto(fd, large, PL_DATAGRAM_SIZE_MAX, 0, (const struct sockaddr *)&to, sizeof to),
		PL_DATAGRAM_SIZE_MAX);
	assert_int_equal(receive(server, 1), 1);
	assert_int_equal(server->datagram[0].bytes.size, PL_DATAGRAM_SIZE_MAX);
	close(fd);
	udp_free(server);
}

/* Anybody may send a datagram without a byte in it (RFC 768): it is one datagram, and what comes behind it is heard. */
static void test_udp_an_empty_datagram_is_one(void **state)
{
	(void)state;
	struct pl_udp *server = udp_open();
	const struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(server->port), .sin_addr = { htonl(INADDR_LOOPBACK) }
	};
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	static const size_t sizes[] = { 0, 3, 0, 0, 5 };
	for (size_t i = 0; i < PL_COUNT(sizes); i++)
		assert_int_equal(sendto(fd, "hello", sizes[i], 0, (const struct sockaddr *)&to, sizeof to), sizes[i]);
	alarm(10); /* it once never came back */
	assert_int_equal(receive(server, PL_COUNT(sizes)), PL_COUNT(sizes));
	alarm(0);
	for (size_t i = 0; i < PL_COUNT(sizes); i++)
		assert_int_equal(server->datagram[i].bytes.size, sizes[i]);
	assert_int_equal(server->counters.kernel_drops, 0);
	close(fd);
	udp_free(server);
}

/* More than one batch: pushing flushes by itself, nothing is overwritten. */
static void test_udp_pushes_more_than_a_batch(void **state)
{
	(void)state;
	struct pl_udp *server = udp_open(), *client = udp_open();
	const struct pl_path path = { .remote = loopback(1, client) };
	enum { COUNT = PL_UDP_BATCH * 2 + 5 };
	for (int i = 0; i < COUNT; i++) {
		pl_udp_room(server).data[0] = (uint8_t)i;
		pl_udp_push(server, &path, 1);
	}
	pl_udp_flush(server);
	for (int expected = 0; expected < COUNT;) {
		const size_t got = receive(client, 1);
		assert_true(got > 0);
		for (size_t i = 0; i < got; i++)
			assert_int_equal(client->datagram[i].bytes.data[0], expected++);
	}
	udp_free(client);
	udp_free(server);
}

/* Trains arrive as the datagrams they were made of, from the address that was asked, also beside a peer of their own; and
 * where the kernel takes no trains, the same datagrams arrive. */
static void check_trains(bool has_trains)
{
	struct pl_udp *server = udp_open(), *clients[2] = { udp_open(), udp_open() };
	static const uint8_t sizes[] = { 120, 120, 120, 77, 77, 90 };
	server->egress.has_trains = server->egress.has_trains && has_trains;
	for (int to = 0; to < 2; to++) {
		const struct pl_path path = { .remote = loopback(1, clients[to]), .local = loopback(2, server) };
		for (size_t i = 0; i < PL_COUNT(sizes); i++) {
			memset(pl_udp_room(server).data, (int)i + 10 * to, sizes[i]);
			pl_udp_push(server, &path, sizes[i]);
		}
	}
	pl_udp_flush(server);
	assert_int_equal(server->counters.syscalls, 1);
	const struct pl_addr asked = loopback(2, server);
	for (int to = 0; to < 2; to++) {
		for (size_t seen = 0; seen < PL_COUNT(sizes);) {
			const size_t got = receive(clients[to], 1);
			assert_true(got > 0);
			for (size_t i = 0; i < got; i++, seen++) {
				const struct pl_udp_datagram *datagram = &clients[to]->datagram[i];
				assert_int_equal(datagram->bytes.size, sizes[seen]);
				assert_int_equal(datagram->bytes.data[0], seen + 10 * (size_t)to);
				assert_int_equal(datagram->bytes.data[sizes[seen] - 1], seen + 10 * (size_t)to);
				assert_true(pl_addr_equal(&datagram->path.remote, &asked));
			}
		}
		udp_free(clients[to]);
	}
	udp_free(server);
}

static void test_udp_trains_arrive_as_datagrams(void **state)
{
	(void)state;
	check_trains(true);
	check_trains(false);
}

/* A sender on the same machine chooses how many datagrams a train has, one byte each: they are all received, and never more than
 * there is room for. */
static void test_udp_longest_trains_stay_in_bounds(void **state)
{
	(void)state;
	enum { TRAINS = 3 * PL_UDP_BATCH };
	struct pl_udp *server = udp_open();
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);
	const struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(server->port), .sin_addr.s_addr = htonl(0x7f000001)
	};
	const int segment = 1;
	if (setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment) != 0)
		skip(); /* a kernel without trains */
	static const uint8_t bytes[128];
	size_t length = sizeof bytes, sent = 0, got = 0;
	if (sendto(fd, bytes, length, 0, (const struct sockaddr *)&to, sizeof to) < 0)
		length = 64; /* Linux before 6.10 */
	else
		sent = length;
	for (int i = 0; i < TRAINS; i++) {
		if (sendto(fd, bytes, length, 0, (const struct sockaddr *)&to, sizeof to) >= 0)
			sent += length;
	}
	while (got + server->counters.kernel_drops < sent) {
		const size_t count = receive(server, 1);
		assert_true(count > 0 && count <= PL_UDP_DATAGRAMS_MAX);
		assert_true(server->egress.has_trains && server->egress.used == 0 && server->egress.count == 0);
		got += count;
	}
	assert_int_equal(got + server->counters.kernel_drops, sent);
	close(fd);
	udp_free(server);
}

/* A train that the kernel refuses to cut costs nobody a packet. */
static void test_udp_refused_train_goes_one_by_one(void **state)
{
	(void)state;
	struct pl_udp *server = udp_open(), *client = udp_open();
	const struct pl_path path = { .remote = loopback(1, client) };
	for (int i = 0; i < 3; i++)
		send_text(server, &path, "equal");
	if (server->egress.count != 1)
		skip();         /* a kernel without trains */
	const int no_check = 1; /* the kernel cuts no train whose checksums are off */
	assert_int_equal(
		setsockopt(server->socket[PL_UDP_IPV4].fd, SOL_SOCKET, SO_NO_CHECK, &no_check, sizeof no_check), 0);
	pl_udp_flush(server);
	assert_int_equal(server->counters.trains_cut, 1);
	for (size_t seen = 0; seen < 3;) {
		const size_t got = receive(client, 1);
		assert_true(got > 0);
		for (size_t i = 0; i < got; i++, seen++)
			assert_memory_equal(client->datagram[i].bytes.data, "equal", 5);
	}
	udp_free(client);
	udp_free(server);
}

static void set_no_check(const struct pl_udp *udp, int no_check)
{
	const int fd = udp->socket[PL_UDP_IPV4].fd;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_NO_CHECK, &no_check, sizeof no_check), 0);
}

/* Sends a train of three, receives its datagrams, and returns how many calls the sending took. */
static uint64_t send_train(struct pl_udp *server, struct pl_udp *client)
{
	const struct pl_path path = { .remote = loopback(1, client) };
	const uint64_t before = server->counters.syscalls;
	for (int i = 0; i < 3; i++)
		send_text(server, &path, "equal");
	pl_udp_flush(server);
	for (size_t seen = 0; seen < 3;) {
		const size_t got = receive(client, 1);
		assert_true(got > 0);
		for (size_t i = 0; i < got; i++, seen++)
			assert_memory_equal(client->datagram[i].bytes.data, "equal", 5);
	}
	return server->counters.syscalls - before;
}

/* A destination that takes no trains must not cost a call in vain, and one for each datagram, every time: it is tried again
 * ever more seldom; and one that takes them again has them at once. */
static void test_udp_a_refusal_is_remembered_for_a_while(void **state)
{
	(void)state;
	struct pl_udp *server = udp_open(), *client = udp_open(), *other = udp_open();
	if (!server->egress.has_trains)
		skip();
	set_no_check(server, 1);
	uint64_t refused = 0, cut = 0;
	for (int skips = PL_UDP_REFUSED_SKIPS, tries = 0; tries < 9; tries++) {
		assert_int_equal(send_train(server, client), 1 + 3);
		assert_int_equal(server->counters.trains_refused, ++refused);
		assert_int_equal(server->counters.trains_cut, ++cut);
		for (int i = 0; i < skips; i++)
			assert_int_equal(send_train(server, client), 1);
		cut += (uint64_t)skips;
		assert_int_equal(server->counters.trains_cut, cut);
		skips = skips < PL_UDP_REFUSED_SKIPS_MAX ? skips * 2 : skips;
	}
	assert_int_equal(server->refusers, 1);
	set_no_check(server, 0);
	assert_int_equal(send_train(server, other), 1); /* another destination has nothing to do with it */
	assert_int_equal(server->counters.trains_cut, cut);
	assert_int_equal(send_train(server, client), 1);
	assert_int_equal(server->counters.trains_cut, cut);
	assert_int_equal(server->refusers, 0);
	set_no_check(server, 1);
	assert_int_equal(send_train(server, client), 1 + 3);
	for (int i = 0; i < PL_UDP_REFUSED_SKIPS; i++)
		assert_int_equal(send_train(server, client), 1);
	assert_int_equal(send_train(server, client), 1 + 3); /* the first time again, so the shortest while */
	udp_free(other);
	udp_free(client);
	udp_free(server);
}

/* More datagrams of skipped trains than a call takes, and the order of each destination. */
static void test_udp_skipped_trains_keep_their_order(void **state)
{
	(void)state;
	struct pl_udp *server = udp_open(), *client = udp_open();
	if (!server->egress.has_trains)
		skip();
	set_no_check(server, 1);
	send_train(server, client);
	const struct pl_path path = { .remote = loopback(1, client) };
	enum { COUNT = 3 * PL_EGRESS_SEGMENTS_MAX - 7 };
	const uint64_t before = server->counters.syscalls;
	for (int i = 0; i < COUNT; i++) {
		memset(pl_udp_room(server).data, i, 100);
		pl_udp_push(server, &path, i == COUNT - 1 ? 50 : 100);
	}
	assert_int_equal(server->egress.count, 3);
	pl_udp_flush(server);
	assert_int_equal(server->counters.syscalls - before, 2);
	for (int expected = 0; expected < COUNT;) {
		const size_t got = receive(client, 1);
		assert_true(got > 0);
		for (size_t i = 0; i < got; i++, expected++) {
			assert_int_equal(client->datagram[i].bytes.size, expected == COUNT - 1 ? 50 : 100);
			assert_int_equal(client->datagram[i].bytes.data[0], expected);
		}
	}
	udp_free(client);
	udp_free(server);
}

/* The table is bounded: of two destinations that share a place the newer has it, and the other only costs a call again. */
static void test_udp_refusers_share_places(void **state)
{
	(void)state;
	struct pl_udp *server = udp_open(), *client = udp_open();
	if (!server->egress.has_trains)
		skip();
	struct pl_path one = { .remote = loopback(1, client) }, two = one;
	const uint64_t place = pl_addr_hash(&one.remote, 0) % PL_UDP_REFUSERS;
	for (uint32_t ip = 0x7f000002; pl_addr_hash(&two.remote, 0) % PL_UDP_REFUSERS != place || ip == 0x7f000002;
		ip++)
		two.remote = pl_addr_ipv4(ip, client->port);
	set_no_check(server, 1);
	for (uint64_t refused = 1; refused <= 4; refused++) {
		for (int i = 0; i < 3; i++)
			send_text(server, refused % 2 == 1 ? &one : &two, "equal");
		pl_udp_flush(server);
		assert_int_equal(server->counters.trains_refused, refused);
		assert_int_equal(server->refusers, 1);
	}
	assert_int_equal(server->counters.send_failed, 0);
	udp_free(client);
	udp_free(server);
}

/* A train to where nothing can be sent costs two calls, not one for each datagram, and says nothing about trains. */
static void test_udp_train_to_nowhere_is_no_refusal(void **state)
{
	(void)state;
	struct pl_udp *server = udp_open();
	const struct pl_path bad = { .remote = pl_addr_ipv4(0xffffffffu, 9) };
	for (int i = 0; i < 10; i++)
		send_text(server, &bad, "lost");
	if (server->egress.count != 1)
		skip();
	pl_udp_flush(server);
	assert_int_equal(server->counters.send_failed, 10);
	assert_int_equal(server->counters.trains_refused, 0);
	assert_int_equal(server->counters.syscalls, 2);
	udp_free(server);
}

/* Taken for one family is taken. */
/* What packets wait in the socket is what an operator sees of a thread that is late: each message says since when it is there, and
 * a clock that jumps makes no nonsense of it. */
static void test_udp_says_how_long_a_message_has_waited(void **state)
{
	(void)state;
	static const struct {
		int64_t ahead_us, min_us, max_us;
	} step[] = {
		{ 0, 0, PL_UDP_AGE_US_MAX / 2 },
		{ 500000, 500000, PL_UDP_AGE_US_MAX },
		{ 1500000, PL_UDP_AGE_US_MAX, PL_UDP_AGE_US_MAX },
		{ INT64_C(86400000000), PL_UDP_AGE_US_MAX, PL_UDP_AGE_US_MAX },
		{ INT64_C(-500000), 0, 0 },
		{ INT64_C(-86400000000), 0, 0 },
	};
	struct pl_udp *udp = udp_open();
	assert_int_equal(pl_udp_age_us(udp, 0), -1);
	for (enum pl_udp_family family = 0; family < PL_UDP_FAMILIES; family++) {
		if (!pl_udp_has(udp, family))
			continue;
		const struct pl_addr to = family == PL_UDP_IPV4
						  ? loopback(1, udp)
						  : (struct pl_addr){ .ip = { [15] = 1 }, .port = udp->port };
		const struct pl_path path = { .remote = to };
		/* A train, which has all the control messages that there are; and a single datagram. */
		send_text(udp, &path, "one");
		send_text(udp, &path, "two");
		pl_udp_flush(udp);
		assert_true(receive(udp, 1) > 0);
		for (size_t i = 0; i < PL_COUNT(step); i++) {
			host.clock_ahead_us = step[i].ahead_us;
			for (unsigned pick = 0; pick < 2 * PL_UDP_BATCH; pick++)
				assert_in_range(pl_udp_age_us(udp, pick), step[i].min_us, step[i].max_us);
		}
		host.clock_ahead_us = 0;
		assert_false(udp->in[0].msg_hdr.msg_flags & MSG_CTRUNC);
	}
	udp_free(udp);
}

static void test_udp_taken_port_is_an_error(void **state)
{
	(void)state;
	struct pl_udp *first = udp_open();
	static struct pl_udp second;
	assert_int_equal(pl_udp_open(&second, first->port), PL_ERR_SOCKET);
	udp_free(first);
	for (enum pl_udp_family family = 0; family < PL_UDP_FAMILIES; family++) {
		host.families_missing = 1 << !family;
		first = aligned_alloc(64, pl_whole_lines(sizeof *first));
		assert_non_null(first);
		const bool is_open = pl_udp_open(first, 0) == PL_ERR_NONE;
		host.families_missing = 0;
		if (is_open) {
			assert_int_equal(pl_udp_open(&second, first->port), PL_ERR_SOCKET);
			assert_int_equal(errno, EADDRINUSE);
			pl_udp_close(first);
		}
		free(first);
	}
}

/* The address the page was served on must be among the candidates when that is loopback, and only then. */
static void test_interfaces_loopback_is_asked_for(void **state)
{
	(void)state;
	struct pl_addr addr[16];
	const struct pl_addr lo = pl_addr_ipv4(0x7f000001, 0);
	size_t found = 0;
	const size_t with = pl_interfaces_list(true, true, true, addr, PL_COUNT(addr));
	for (size_t i = 0; i < with; i++)
		found += pl_addr_equal(&addr[i], &lo);
	assert_int_equal(found, 1);
	const size_t without = pl_interfaces_list(true, true, false, addr, PL_COUNT(addr));
	for (size_t i = 0; i < without; i++)
		assert_false(pl_addr_equal(&addr[i], &lo));
	assert_int_equal(pl_interfaces_list(true, true, true, addr, 1), 1);
	const size_t six = pl_interfaces_list(false, true, true, addr, PL_COUNT(addr));
	for (size_t i = 0; i < six; i++)
		assert_false(pl_addr_is_ipv4(&addr[i])); /* a host whose IPv4 we have no socket for */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_udp_replies_from_the_address_that_was_asked),
		cmocka_unit_test(test_udp_ipv6_and_ipv4_share_the_port),
		cmocka_unit_test(test_udp_both_families_go_in_one_turn),
		cmocka_unit_test(test_udp_a_flood_of_one_family_leaves_the_other_its_turn),
		cmocka_unit_test(test_udp_one_family_alone_is_enough),
		cmocka_unit_test(test_udp_any_port_is_one_that_is_free_for_both),
		cmocka_unit_test(test_udp_packets_are_never_fragmented),
		cmocka_unit_test(test_udp_counts_what_the_receive_queue_had_no_room_for),
		cmocka_unit_test(test_udp_counts_what_the_send_buffer_had_no_room_for),
		cmocka_unit_test(test_udp_one_bad_destination_spares_the_rest),
		cmocka_unit_test(test_udp_datagram_over_the_bound_is_counted_and_dropped),
		cmocka_unit_test(test_udp_an_empty_datagram_is_one),
		cmocka_unit_test(test_udp_pushes_more_than_a_batch),
		cmocka_unit_test(test_udp_trains_arrive_as_datagrams),
		cmocka_unit_test(test_udp_longest_trains_stay_in_bounds),
		cmocka_unit_test(test_udp_refused_train_goes_one_by_one),
		cmocka_unit_test(test_udp_a_refusal_is_remembered_for_a_while),
		cmocka_unit_test(test_udp_skipped_trains_keep_their_order),
		cmocka_unit_test(test_udp_refusers_share_places),
		cmocka_unit_test(test_udp_train_to_nowhere_is_no_refusal),
		cmocka_unit_test(test_udp_says_how_long_a_message_has_waited),
		cmocka_unit_test(test_udp_taken_port_is_an_error),
		cmocka_unit_test(test_interfaces_loopback_is_asked_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
