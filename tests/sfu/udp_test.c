#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sfu/io/interfaces.h"
#include "sfu/io/udp.h"

static struct pl_udp *udp_open(void)
{
	struct pl_udp *udp = aligned_alloc(64, (sizeof *udp + 63) / 64 * 64);
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

/* Receives until count datagrams have come, or none comes for a second. */
static size_t receive(struct pl_udp *udp, size_t count)
{
	struct pollfd fd = { .fd = udp->fd, .events = POLLIN };
	assert_true(count <= PL_UDP_BATCH);
	if (poll(&fd, 1, 1000) != 1)
		return 0;
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

static void test_udp_ipv6_and_ipv4_share_the_port(void **state)
{
	(void)state;
	struct pl_udp *server = udp_open(), *client = udp_open();
	struct pl_addr v6;
	assert_true(pl_addr_parse_ip("::1", &v6));
	v6.port = server->port;
	struct pl_path ask = { .remote = v6 };
	send_text(client, &ask, "six");
	pl_udp_flush(client);
	if (!server->is_ipv6 || client->counters.send_failed > 0)
		skip(); /* a host without IPv6 */
	assert_int_equal(receive(server, 1), 1);
	assert_true(pl_addr_equal(&server->datagram[0].path.local, &v6));
	ask.remote = loopback(1, server);
	send_text(client, &ask, "four");
	pl_udp_flush(client);
	assert_int_equal(receive(server, 1), 1);
	assert_int_equal(server->datagram[0].bytes.size, 4);
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
	assert_int_equal(setsockopt(server->fd, SOL_SOCKET, SO_NO_CHECK, &no_check, sizeof no_check), 0);
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

static void test_udp_taken_port_is_an_error(void **state)
{
	(void)state;
	struct pl_udp *first = udp_open();
	static struct pl_udp second;
	assert_int_equal(pl_udp_open(&second, first->port), PL_ERR_SOCKET);
	udp_free(first);
}

/* The address the page was served on must be among the candidates when that is loopback, and only then. */
static void test_interfaces_loopback_is_asked_for(void **state)
{
	(void)state;
	struct pl_addr addr[16];
	const struct pl_addr lo = pl_addr_ipv4(0x7f000001, 0);
	size_t found = 0;
	const size_t with = pl_interfaces_list(true, true, addr, PL_COUNT(addr));
	for (size_t i = 0; i < with; i++)
		found += pl_addr_equal(&addr[i], &lo);
	assert_int_equal(found, 1);
	const size_t without = pl_interfaces_list(true, false, addr, PL_COUNT(addr));
	for (size_t i = 0; i < without; i++)
		assert_false(pl_addr_equal(&addr[i], &lo));
	assert_int_equal(pl_interfaces_list(true, true, addr, 1), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_udp_replies_from_the_address_that_was_asked),
		cmocka_unit_test(test_udp_ipv6_and_ipv4_share_the_port),
		cmocka_unit_test(test_udp_one_bad_destination_spares_the_rest),
		cmocka_unit_test(test_udp_datagram_over_the_bound_is_counted_and_dropped),
		cmocka_unit_test(test_udp_pushes_more_than_a_batch),
		cmocka_unit_test(test_udp_trains_arrive_as_datagrams),
		cmocka_unit_test(test_udp_longest_trains_stay_in_bounds),
		cmocka_unit_test(test_udp_refused_train_goes_one_by_one),
		cmocka_unit_test(test_udp_taken_port_is_an_error),
		cmocka_unit_test(test_interfaces_loopback_is_asked_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
