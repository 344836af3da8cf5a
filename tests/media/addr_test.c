#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "media/addr.h"

/* What is read is written the same; candidates in an answer are made of this. */
static void test_addr_text_round_trip(void **state)
{
	(void)state;
	static const struct {
		const char *in, *ip, *with_port;
		bool is_ipv4;
	} cases[] = {
		{ "192.0.2.1", "192.0.2.1", "192.0.2.1:5000", true },
		{ "::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1:5000", true },
		{ "2001:DB8:0::1", "2001:db8::1", "[2001:db8::1]:5000", false },
		{ "::", "::", "[::]:5000", false },
	};
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		struct pl_addr addr;
		char text[PL_ADDR_TEXT_SIZE];
		assert_true(pl_addr_parse_ip(cases[i].in, &addr));
		assert_int_equal(addr.port, 0);
		assert_string_equal(pl_addr_format_ip(&addr, text), cases[i].ip);
		addr.port = 5000;
		assert_string_equal(pl_addr_format(&addr, text), cases[i].with_port);
		assert_int_equal(pl_addr_is_ipv4(&addr), cases[i].is_ipv4);
	}
}

static void test_addr_refuses_what_is_no_literal(void **state)
{
	(void)state;
	static const char *const wrong[] = { "", "localhost", "1.2.3", "1.2.3.4.5", "256.1.1.1", "[::1]", "::1%eth0",
		"1.2.3.4:5", " 1.2.3.4" };
	for (size_t i = 0; i < PL_COUNT(wrong); i++) {
		struct pl_addr addr = pl_addr_ipv4(1, 1);
		assert_false(pl_addr_parse_ip(wrong[i], &addr));
		assert_int_equal(addr.port, 1);
	}
}

static void test_addr_equality_and_hash_see_every_part(void **state)
{
	(void)state;
	const struct pl_addr a = pl_addr_ipv4(0x7f000001, 5000), same = pl_addr_ipv4(0x7f000001, 5000);
	const struct pl_addr port = pl_addr_ipv4(0x7f000001, 5001), ip = pl_addr_ipv4(0x7f000002, 5000);
	assert_true(pl_addr_equal(&a, &same));
	assert_false(pl_addr_equal(&a, &port));
	assert_false(pl_addr_equal(&a, &ip));
	assert_true(pl_addr_hash(&a, 1) == pl_addr_hash(&same, 1));
	assert_true(pl_addr_hash(&a, 1) != pl_addr_hash(&port, 1));
	assert_true(pl_addr_hash(&a, 1) != pl_addr_hash(&ip, 1));
	assert_true(pl_addr_hash(&a, 1) != pl_addr_hash(&a, 2));
}

/* Clients behind one NAT differ in their port alone: their buckets must not. */
static void test_addr_hash_spreads_ports(void **state)
{
	(void)state;
	enum { BUCKETS = 256, PER_BUCKET = 64 };
	unsigned bucket[BUCKETS] = { 0 };
	for (unsigned port = 1; port <= BUCKETS * PER_BUCKET; port++) {
		const struct pl_addr addr = pl_addr_ipv4(0xcb007101, (uint16_t)port);
		bucket[pl_addr_hash(&addr, 99) % BUCKETS]++;
	}
	for (size_t i = 0; i < BUCKETS; i++)
		assert_in_range(bucket[i], PER_BUCKET / 2, PER_BUCKET * 2);
}

static void test_network_has_its_addresses(void **state)
{
	(void)state;
	static const struct {
		const char *network, *in, *out;
	} c[] = {
		{ "10.0.0.0/8", "10.255.255.255", "11.0.0.0" },
		{ "10.1.2.3/8", "10.0.0.0", "9.255.255.255" },
		{ "192.0.2.128/25", "192.0.2.128", "192.0.2.127" },
		{ "192.0.2.6/31", "192.0.2.7", "192.0.2.8" },
		{ "192.0.2.7/32", "192.0.2.7", "192.0.2.6" },
		{ "192.0.2.7", "192.0.2.7", "192.0.2.6" },
		{ "0.0.0.0/0", "203.0.113.9", "2001:db8::1" },
		{ "2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::" },
		{ "2001:db8::1", "2001:db8::1", "2001:db8::2" },
		{ "::ffff:10.0.0.0/104", "10.0.0.7", "11.0.0.7" },
		{ "fe80::/10", "febf::1", "fec0::" },
	};
	struct pl_addr addr;
	struct pl_addr_range network;
	for (size_t i = 0; i < PL_COUNT(c); i++) {
		assert_true(pl_addr_range_parse(c[i].network, &network));
		assert_true(pl_addr_parse_ip(c[i].in, &addr));
		assert_true(pl_addr_range_has(&network, &addr));
		assert_true(pl_addr_parse_ip(c[i].out, &addr));
		assert_false(pl_addr_range_has(&network, &addr));
	}
	assert_true(pl_addr_range_parse("::/0", &network));
	assert_true(pl_addr_range_has(&network, &addr));
}

static void test_network_refuses_what_is_none(void **state)
{
	(void)state;
	static const char *const wrong[] = { "", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8",
		"10.0.0.0/8 ", "10.0.0.0/8/8", "10.0.0.0/0008", "10/8", "2001:db8::/129", "2001:db8::/x",
		"10.0.0.0/255.0.0.0", "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/1" };
	for (size_t i = 0; i < PL_COUNT(wrong); i++) {
		struct pl_addr_range network = { .bits = 77 };
		assert_false(pl_addr_range_parse(wrong[i], &network));
		assert_int_equal(network.bits, 77);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addr_text_round_trip),
		cmocka_unit_test(test_addr_refuses_what_is_no_literal),
		cmocka_unit_test(test_network_has_its_addresses),
		cmocka_unit_test(test_network_refuses_what_is_none),
		cmocka_unit_test(test_addr_equality_and_hash_see_every_part),
		cmocka_unit_test(test_addr_hash_spreads_ports),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
