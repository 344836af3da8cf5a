/* sfu/handshakes: the queue itself, and what it is for: a storm of joins that a running call does not hear. */
#include "sfu/handshakes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/conference_sim.h"

/* ---- the queue ---- */

enum { POOL_PACKETS = 1024 };

struct fixture {
	struct pl_pool pool;
	void *memory;
	struct pl_handshakes handshakes;
};

static int start(struct fixture *f, uint32_t packets)
{
	f->memory = aligned_alloc(64, pl_pool_bytes(packets));
	if (f->memory == NULL)
		return -1;
	pl_pool_init(&f->pool, (struct pl_span){ f->memory, pl_pool_bytes(packets) }, packets);
	pl_handshakes_init(&f->handshakes, &f->pool);
	return 0;
}

static struct pl_path path_of(uint32_t number)
{
	return (struct pl_path){ .remote = pl_addr_ipv4(0xc6336400u + number, (uint16_t)(4000 + number)),
		.local = pl_addr_ipv4(0xc0000201, 3478) };
}

static enum pl_drop push(struct fixture *f, uint32_t number)
{
	uint8_t bytes[PL_DATAGRAM_SIZE_MAX];
	const struct pl_path path = path_of(number);
	const size_t size = 1 + number % PL_DATAGRAM_SIZE_MAX;
	memset(bytes, (int)(number & 0xff), sizeof bytes);
	struct pl_handshakes_of of = { .count = 0 };
	return pl_handshakes_push(&f->handshakes, &of, 100 + number, &path, (struct pl_bytes){ bytes, size });
}

/* The oldest is that number, as it was pushed. */
static void assert_pops(struct fixture *f, uint32_t number)
{
	struct pl_path path, expected = path_of(number);
	struct pl_packet *packet = pl_handshakes_pop(&f->handshakes, &path);
	assert_non_null(packet);
	assert_true(pl_path_equal(&path, &expected));
	assert_int_equal(packet->source, 100 + number);
	assert_int_equal(packet->payload.size, 1 + number % PL_DATAGRAM_SIZE_MAX);
	for (size_t i = 0; i < packet->payload.size; i++)
		assert_int_equal(packet->payload.data[i], number & 0xff);
	pl_pool_release(&f->pool, packet);
}

static void assert_empty(struct fixture *f)
{
	struct pl_path path;
	assert_null(pl_handshakes_pop(&f->handshakes, &path));
	assert_int_equal(f->handshakes.count, 0);
	assert_int_equal(pl_pool_used(&f->pool), 0);
}

/* A flight whose datagrams change their order costs a round trip; one that goes to another address is lost. */
static void test_handshakes_come_out_as_they_went_in(void **state)
{
	(void)state;
	struct fixture f;
	assert_int_equal(start(&f, POOL_PACKETS), 0);
	assert_empty(&f);
	uint32_t in = 0, out = 0;
	for (uint32_t turn = 0; turn < 300; turn++) {
		for (uint32_t i = 0; i < turn % 7; i++)
			assert_int_equal(push(&f, in++), PL_DROP_NONE);
		for (uint32_t i = 0; i < turn % 5 && out < in; i++)
			assert_pops(&f, out++);
		assert_int_equal(f.handshakes.count, in - out);
		assert_int_equal(pl_pool_used(&f.pool), in - out);
	}
	while (out < in)
		assert_pops(&f, out++);
	assert_empty(&f);
	/* Empty is no end. */
	assert_int_equal(push(&f, 7), PL_DROP_NONE);
	assert_pops(&f, 7);
	assert_empty(&f);
	free(f.memory);
}

/* What finds no place is dropped by name, and takes nothing from those who wait. */
static void test_handshakes_are_bounded(void **state)
{
	(void)state;
	struct fixture f;
	assert_int_equal(start(&f, POOL_PACKETS), 0);
	for (uint32_t i = 0; i < PL_HANDSHAKES_MAX; i++)
		assert_int_equal(push(&f, i), PL_DROP_NONE);
	assert_int_equal(push(&f, 999), PL_DROP_DTLS_BUSY);
	assert_int_equal(pl_pool_used(&f.pool), PL_HANDSHAKES_MAX);
	assert_pops(&f, 0);
	assert_int_equal(push(&f, PL_HANDSHAKES_MAX), PL_DROP_NONE);
	assert_int_equal(push(&f, 999), PL_DROP_DTLS_BUSY);
	for (uint32_t i = 1; i <= PL_HANDSHAKES_MAX; i++)
		assert_pops(&f, i);
	assert_empty(&f);
	free(f.memory);
}

/* Media has the pool's last twentieth for itself. */
static void test_handshakes_leave_the_pool_its_reserve(void **state)
{
	(void)state;
	struct fixture f;
	assert_int_equal(start(&f, PL_POOL_PACKETS_MIN), 0);
	uint32_t in = 0;
	while (push(&f, in) == PL_DROP_NONE)
		in++;
	assert_int_equal(push(&f, in), PL_DROP_POOL_LOW);
	assert_in_range(in, PL_POOL_PACKETS_MIN * 9 / 10, PL_POOL_PACKETS_MIN - 1);
	for (uint32_t i = 0; i < in; i++)
		assert_pops(&f, i);
	assert_empty(&f);
	assert_int_equal(push(&f, 3), PL_DROP_NONE);
	assert_pops(&f, 3);
	free(f.memory);
}

/* A flight as OpenSSL sends it: a record each of two handshake messages, epoch 0.  RFC 6347 section 4.1. */
static size_t make_flight(uint8_t bytes[static 64], uint8_t record, uint8_t body)
{
	size_t size = 0;
	for (uint8_t i = 0; i < 2; i++) {
		const uint8_t head[] = { 22, 254, 253, 0, 0, 0, 0, 0, 0, 0, (uint8_t)(record + i), 0, 8 };
		memcpy(bytes + size, head, sizeof head);
		memset(bytes + size + sizeof head, body + i, 8);
		size += sizeof head + 8;
	}
	return size;
}

static enum pl_drop push_flight(
	struct fixture *f, struct pl_handshakes_of *of, uint32_t number, const uint8_t *bytes, size_t size)
{
	const struct pl_path path = path_of(number);
	return pl_handshakes_push(&f->handshakes, of, 100, &path, (struct pl_bytes){ bytes, size });
}

/* A client that waits for a server without time sends its flight again, in records with new numbers: it would fill the queue
 * alone, and each copy would be a step for nothing.  What differs in anything else is another datagram. */
static void test_handshakes_sent_again_take_no_place(void **state)
{
	(void)state;
	struct fixture f;
	struct pl_handshakes_of of = { .count = 0 }, other = { .count = 0 };
	uint8_t first[64], again[64], next[64];
	const size_t size = make_flight(first, 0, 1);
	make_flight(again, 2, 1);
	make_flight(next, 2, 9);
	assert_int_equal(start(&f, POOL_PACKETS), 0);
	assert_int_equal(push_flight(&f, &of, 1, first, size), PL_DROP_NONE);
	assert_int_equal(push_flight(&f, &of, 1, first, size), PL_DROP_DTLS_AGAIN);
	assert_int_equal(push_flight(&f, &of, 1, again, size), PL_DROP_DTLS_AGAIN);
	assert_int_equal(f.handshakes.count, 1);
	/* Others. */
	assert_int_equal(push_flight(&f, &other, 1, again, size), PL_DROP_NONE);
	assert_int_equal(push_flight(&f, &of, 2, again, size), PL_DROP_NONE);
	assert_int_equal(push_flight(&f, &of, 1, next, size), PL_DROP_NONE);
	assert_int_equal(push_flight(&f, &of, 1, again, size - 1), PL_DROP_NONE);
	again[4] = 1; /* an epoch that is encrypted: nobody can tell */
	assert_int_equal(push_flight(&f, &of, 1, again, size), PL_DROP_NONE);
	again[4] = 0;
	again[12] = 80; /* the record is longer than the datagram */
	assert_int_equal(push_flight(&f, &of, 1, again, size), PL_DROP_NONE);
	assert_int_equal(of.count, 6);
	assert_int_equal(f.handshakes.count, 7);
	/* Each may come again when it has had its turn. */
	make_flight(again, 4, 1);
	for (int turn = 0; turn < 2; turn++) {
		struct pl_path path;
		pl_pool_release(&f.pool, pl_handshakes_pop(&f.handshakes, &path));
	}
	of.count--;
	other.count--;
	assert_int_equal(push_flight(&f, &other, 1, again, size), PL_DROP_NONE);
	assert_int_equal(push_flight(&f, &of, 1, again, size), PL_DROP_NONE);
	assert_int_equal(push_flight(&f, &of, 1, first, size), PL_DROP_DTLS_AGAIN);
	assert_int_equal(push_flight(&f, &of, 2, first, size), PL_DROP_DTLS_AGAIN);
	free(f.memory);
}

/* One client has its places, and no more. */
static void test_handshakes_of_one_client_are_bounded(void **state)
{
	(void)state;
	struct fixture f;
	struct pl_handshakes_of of = { .count = 0 };
	uint8_t bytes[64];
	assert_int_equal(start(&f, POOL_PACKETS), 0);
	for (uint8_t i = 0; i < PL_HANDSHAKES_EACH_MAX; i++)
		assert_int_equal(push_flight(&f, &of, 1, bytes, make_flight(bytes, 0, (uint8_t)(2 * i))), PL_DROP_NONE);
	assert_int_equal(push_flight(&f, &of, 1, bytes, make_flight(bytes, 0, 99)), PL_DROP_DTLS_BUSY);
	for (uint8_t i = 0; i < PL_HANDSHAKES_EACH_MAX; i++)
		assert_int_equal(
			push_flight(&f, &of, 1, bytes, make_flight(bytes, 7, (uint8_t)(2 * i))), PL_DROP_DTLS_AGAIN);
	assert_int_equal(of.count, PL_HANDSHAKES_EACH_MAX);
	free(f.memory);
}

/* ---- the storm ---- */

enum {
	MS = 1000,
	STORM = 200,
	JUNK_BEFORE = 2, /* of each client; with its flight more than PL_HANDSHAKES_MAX */
	STEP_US = 1000,
	LISTENERS = 4,
	HELLO_MS = 3 * PL_SIM_LINK_DELAY_MS,  /* a check, its answer, and the first flight */
	FLIGHT_MS = 2 * PL_SIM_LINK_DELAY_MS, /* its answer, and the second */
	JUNK_EACH_MS = 20,
};

struct call {
	struct pl_sim *sim;
	struct pl_sim_peer *talker, *listener[LISTENERS], *comes[STORM];
	size_t count[LISTENERS]; /* packets that each had heard before the storm */
};

static void begin_call(struct call *call, uint64_t seed)
{
	*call = (struct call){ .sim = pl_sim_create(&(struct pl_sim_config){ .seed = seed }) };
	call->talker = pl_sim_join(call->sim, &(struct pl_sim_join){ .room = 1, .hz = 440, .is_talking = true });
	for (size_t i = 0; i < LISTENERS; i++)
		call->listener[i] = pl_sim_join(
			call->sim, &(struct pl_sim_join){ .room = 1, .hz = 2500, .slots = 1, .is_muted = true });
	pl_sim_run(call->sim, 2000);
	call->sim->handshake_us = STEP_US;
	for (size_t i = 0; i < LISTENERS; i++)
		call->count[i] = call->listener[i]->slot[0].count;
}

static void join_all(struct call *call)
{
	for (uint32_t i = 0; i < STORM; i++)
		call->comes[i] = pl_sim_join(call->sim,
			&(struct pl_sim_join){ .room = 2 + i / 10, .hz = 2500, .slots = 1, .is_muted = true });
}

static uint32_t waiting(const struct call *call)
{
	return pl_conference_counters(call->sim->conference).packets_used;
}

static uint64_t dropped(const struct call *call, enum pl_drop drop)
{
	return pl_conference_counters(call->sim->conference).drop[drop];
}

static void assert_all_connect(struct call *call, int64_t ms)
{
	uint32_t connected = 0;
	for (int64_t end_us = call->sim->now_us + ms * MS; connected < STORM && call->sim->now_us < end_us;) {
		pl_sim_run(call->sim, 10);
		connected = 0;
		for (size_t i = 0; i < STORM; i++)
			connected += call->comes[i]->peer.state == PL_PEER_CONNECTED;
	}
	assert_int_equal(connected, STORM);
}

/* Nothing was lost, and every packet came as long after its time stamp as those before the storm, or at most late_us longer. */
static void assert_undisturbed(const struct call *call, int64_t late_us)
{
	for (size_t i = 0; i < LISTENERS; i++) {
		const struct pl_sim_slot *slot = &call->listener[i]->slot[0];
		const struct pl_sim_packet *base = &slot->packet[call->count[i] - 1];
		assert_true(slot->count > call->count[i] + 5);
		assert_null(pl_sim_flaw(call->listener[i], 0, 0));
		for (const struct pl_sim_packet *p = base; p < slot->packet + slot->count; p++)
			assert_in_range(p->at_us - base->at_us - (int64_t)(p->ts - base->ts) * MS / 48, 0, late_us);
	}
}

/* 200 at once: while their handshakes wait, one is done at a time, and between two of them everything goes out that has come. */
static void test_storm_is_not_heard(void **state)
{
	(void)state;
	struct call call;
	begin_call(&call, 1);
	join_all(&call);
	pl_sim_run(call.sim, HELLO_MS - 1);
	assert_int_equal(waiting(&call), 0);
	for (uint32_t done = 1; done < FLIGHT_MS; done++) {
		pl_sim_run(call.sim, STEP_US / MS);
		assert_int_equal(waiting(&call), STORM - done);
	}
	assert_all_connect(&call, 3000);
	assert_undisturbed(&call, STEP_US);
	assert_int_equal(waiting(&call), 0);
	assert_int_equal(dropped(&call, PL_DROP_DTLS_BUSY), 0);
	pl_sim_destroy(&call.sim);
}

/* A server that stood still finds the first flight of each client, and four times again: they take one place each. */
static void test_storm_sent_again_takes_no_more_places(void **state)
{
	(void)state;
	struct call call;
	begin_call(&call, 4);
	join_all(&call);
	pl_sim_run(call.sim, HELLO_MS - 1);
	call.sim->busy_us = call.sim->now_us + 4000 * MS;
	pl_sim_run(call.sim, 4002);
	assert_in_range(waiting(&call), STORM - 3, STORM);
	assert_in_range(dropped(&call, PL_DROP_DTLS_AGAIN), 4 * STORM - STORM, 5 * STORM);
	assert_int_equal(dropped(&call, PL_DROP_DTLS_BUSY), 0);
	assert_all_connect(&call, 20000);
	pl_sim_destroy(&call.sim);
}

/* Each client has records on the way that lead nowhere, and are not the same. */
static void inject_junk(const struct call *call)
{
	for (uint8_t i = 0; i < JUNK_BEFORE; i++) {
		const uint8_t junk[] = { 22, 254, 253, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1, i };
		for (size_t peer = 0; peer < STORM; peer++)
			pl_sim_inject(
				call->sim, &call->comes[peer]->peer.path.local, (struct pl_bytes){ junk, sizeof junk });
	}
}

/* A server that stood still finds more than may wait: the rest is dropped by name, and its clients connect when they send again. */
static void test_storm_over_the_bound_connects_in_the_end(void **state)
{
	(void)state;
	struct call call;
	begin_call(&call, 2);
	join_all(&call);
	pl_sim_run(call.sim, HELLO_MS - 1);
	inject_junk(&call);
	call.sim->busy_us = call.sim->now_us + 4000 * MS; /* the first flight, and four times again */
	pl_sim_run(call.sim, 4002);
	assert_in_range(waiting(&call), PL_HANDSHAKES_MAX - 3, PL_HANDSHAKES_MAX);
	const uint64_t over = STORM * (JUNK_BEFORE + 1) - PL_HANDSHAKES_MAX;
	assert_in_range(dropped(&call, PL_DROP_DTLS_BUSY), 4 * over, 6 * over);
	assert_all_connect(&call, 20000);
	pl_sim_run(call.sim, 2000);
	assert_int_equal(waiting(&call), 0);
	pl_sim_destroy(&call.sim);
}

/* One who has joined and then sends nothing but records that lead nowhere has a few places: everybody else connects, and nobody hears it. */
static void test_storm_of_one_client_is_its_own(void **state)
{
	(void)state;
	/* A record of an epoch that is none yet, each with another number in it. */
	uint8_t junk[] = { 22, 254, 253, 0, 5, 0, 0, 0, 0, 0, 0, 0, 2, 1, 1 };
	uint16_t number = 0;
	struct call call;
	begin_call(&call, 3);
	struct pl_sim_peer *hostile = pl_sim_join(call.sim, &(struct pl_sim_join){ .room = 9, .hz = 2500 });
	pl_sim_run(call.sim, HELLO_MS - 2);
	pl_sim_kill(hostile);
	join_all(&call);
	for (int ms = 0; ms < 3 * HELLO_MS; ms++) {
		for (size_t i = 0; i < JUNK_EACH_MS; i++) {
			memcpy(junk + sizeof junk - sizeof number, &number, sizeof number);
			number++;
			pl_sim_inject(call.sim, &hostile->peer.path.local, (struct pl_bytes){ junk, sizeof junk });
		}
		assert_in_range(waiting(&call), 0, PL_HANDSHAKES_EACH_MAX + STORM + LISTENERS);
		pl_sim_run(call.sim, 1);
	}
	assert_true(dropped(&call, PL_DROP_DTLS_BUSY) > 3 * HELLO_MS * (JUNK_EACH_MS - 1) - PL_HANDSHAKES_EACH_MAX);
	assert_all_connect(&call, 3000);
	assert_undisturbed(&call, STEP_US);
	assert_int_equal(waiting(&call), 0);
	pl_sim_destroy(&call.sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handshakes_come_out_as_they_went_in),
		cmocka_unit_test(test_handshakes_are_bounded),
		cmocka_unit_test(test_handshakes_leave_the_pool_its_reserve),
		cmocka_unit_test(test_handshakes_sent_again_take_no_place),
		cmocka_unit_test(test_handshakes_of_one_client_are_bounded),
		cmocka_unit_test(test_storm_is_not_heard),
		cmocka_unit_test(test_storm_sent_again_takes_no_more_places),
		cmocka_unit_test(test_storm_over_the_bound_connects_in_the_end),
		cmocka_unit_test(test_storm_of_one_client_is_its_own),
	};
	if (pl_srtp_init() != PL_ERR_NONE)
		return 1;
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);
	pl_srtp_fini();
	return failed;
}
