#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sfu/io/udp.h"
#include "sfu/sfu.h"
#include "tests/sim/peer.h"

/* The real thing: the shard's thread, its socket and both rings, with clients of the simulator on sockets of their own. */

enum { PAYLOAD_TYPE = 111, LIMIT_US = 20 * 1000000 };

struct client {
	struct pl_udp *udp;
	struct pl_peer peer;
	struct pl_description description;
	uint32_t source, rtp_got, csrc_last;
	uint16_t seq;
	bool is_connected, is_closed;
};

struct call {
	struct pl_sfu *sfu;
	struct pl_dtls_identity *identity; /* of the clients */
	struct pl_srtp_engine *srtp;       /* theirs, too */
	bool has_libsrtp;
	struct client client[2];
	uint32_t connected_events, slots_events;
	int64_t until_us;
};

static int64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void drain(struct client *c)
{
	for (struct pl_peer_output out; pl_peer_next(&c->peer, &out);) {
		if (out.kind == PL_PEER_SEND) {
			const struct pl_span room = pl_udp_room(c->udp);
			memcpy(room.data, out.bytes.data, out.bytes.size);
			pl_udp_push(c->udp, &out.path, out.bytes.size);
		} else if (out.kind == PL_PEER_RTP) {
			struct pl_rtp rtp;
			assert_int_equal(pl_rtp_parse(out.bytes, &rtp), PL_DROP_NONE);
			c->rtp_got++;
			c->csrc_last = rtp.csrc_count == 1 ? rtp.csrc[0] : 0;
		}
		c->is_connected |= out.kind == PL_PEER_IS_CONNECTED;
		c->is_closed |= out.kind == PL_PEER_IS_CLOSED;
	}
	pl_udp_flush(c->udp);
}

static void take_events(struct call *call)
{
	for (struct pl_event event; pl_sfu_receive(call->sfu, &event);) {
		call->connected_events += event.kind == PL_EVENT_CONNECTED;
		call->slots_events += event.kind == PL_EVENT_SLOTS;
	}
}

/* One turn of both clients; waits a little for whatever comes first. */
static void turn(struct call *call)
{
	struct pollfd fds[] = {
		{ .fd = call->client[0].udp->fd, .events = POLLIN },
		{ .fd = call->client[1].udp->fd, .events = POLLIN },
		{ .fd = pl_sfu_event_fd(call->sfu), .events = POLLIN },
	};
	poll(fds, PL_COUNT(fds), 5);
	take_events(call);
	for (struct client *c = call->client; c < call->client + 2; c++) {
		const size_t count = pl_udp_receive(c->udp);
		for (size_t i = 0; i < count; i++) {
			pl_peer_feed(&c->peer, now(), c->udp->datagram[i].bytes);
			drain(c);
		}
		if (pl_peer_deadline(&c->peer) <= now()) {
			pl_peer_tick(&c->peer, now());
			drain(c);
		}
	}
	assert_true(now() < call->until_us); /* else something that must happen never does */
}

static void describe(struct call *call, struct client *c, uint32_t index)
{
	struct pl_description *d = &c->description;
	*d = (struct pl_description){
		.dtls_role = PL_DTLS_PASSIVE,
		.fingerprint = *pl_dtls_identity_fingerprint(call->identity),
		.ext_ids.id = { [PL_RTP_EXT_MID] = 4, [PL_RTP_EXT_AUDIO_LEVEL] = 1 },
		.cname = "test",
		.track_count = 1,
		.slot_count = 1,
		.track[0] = { .track = 10 + index,
			.mid = "0",
			.ssrc = 100 + index,
			.clock_hz = 48000,
			.payload_type = PAYLOAD_TYPE },
		.slot[0] = { .mid = "1", .ssrc = 200 + index, .clock_hz = 48000, .payload_type = PAYLOAD_TYPE },
	};
	snprintf(d->local.ufrag, sizeof d->local.ufrag, "server%02u", (unsigned)index);
	snprintf(d->local.pwd, sizeof d->local.pwd, "server-password-no-%05u", (unsigned)index);
	snprintf(d->remote_ufrag, sizeof d->remote_ufrag, "client%02u", (unsigned)index);
}

static void join(struct call *call, struct client *c, uint32_t index)
{
	c->udp = aligned_alloc(64, (sizeof *c->udp + 63) / 64 * 64);
	assert_non_null(c->udp);
	assert_int_equal(pl_udp_open(c->udp, 0), PL_ERR_NONE);
	c->source = 1000 + index;
	describe(call, c, index);

	struct pl_command command = { .kind = PL_COMMAND_JOIN, .room = 7, .source = c->source };
	command.description = malloc(sizeof *command.description);
	assert_non_null(command.description);
	*command.description = c->description;
	assert_true(pl_sfu_send(call->sfu, &command));

	struct pl_addr candidate[PL_SFU_ADDRESSES_MAX];
	const size_t count = pl_sfu_candidates(call->sfu, candidate);
	struct pl_peer_config config = {
		.identity = call->identity,
		.srtp = call->srtp,
		.dtls_role = PL_DTLS_ACTIVE,
		.server_fingerprint = *pl_sfu_fingerprint(call->sfu),
		.server = c->description.local,
		.path = { .remote = candidate[count - 1], .local = pl_addr_ipv4(0x7f000001, c->udp->port) },
		.ext_ids = c->description.ext_ids,
	};
	snprintf(config.local.ufrag, sizeof config.local.ufrag, "client%02u", (unsigned)index);
	snprintf(config.local.pwd, sizeof config.local.pwd, "client-password-no-%05u", (unsigned)index);
	pl_peer_init(&c->peer, now(), &config);
	drain(c);
}

/* The prestate is what the server is to encrypt with, NULL: what it likes best. */
static int start(void **state)
{
	const enum pl_srtp_backend *wanted = *state;
	struct call *call = calloc(1, sizeof *call);
	assert_non_null(call);
	call->until_us = now() + LIMIT_US;
	char error[300];
	const struct pl_sfu_config config = {
		.address_count = 1,
		.address = { pl_addr_ipv4(0x7f000001, 0) },
		.srtp = wanted != NULL ? *wanted : PL_SRTP_AUTO,
		.participants_max = 16,
		.rooms_max = 4,
	};
	assert_int_equal(pl_sfu_create(&call->sfu, &config, error, sizeof error), PL_ERR_NONE);
	assert_int_equal(pl_dtls_identity_create(&call->identity), PL_ERR_NONE);
	call->has_libsrtp = wanted == NULL || *wanted != PL_SRTP_LIBSRTP2; /* else it is the server's */
	if (call->has_libsrtp)
		assert_int_equal(pl_srtp_init(), PL_ERR_NONE);
	assert_int_equal(pl_srtp_engine_create(&call->srtp, PL_SRTP_LIBSRTP2), PL_ERR_NONE);
	if (wanted != NULL)
		assert_memory_equal(pl_sfu_srtp_text(call->sfu), pl_srtp_backend_text(*wanted), 7);
	for (uint32_t i = 0; i < 2; i++)
		join(call, &call->client[i], i);
	while (!call->client[0].is_connected || !call->client[1].is_connected || call->connected_events < 2)
		turn(call);
	*state = call;
	return 0;
}

static int stop(void **state)
{
	struct call *call = *state;
	for (struct client *c = call->client; c < call->client + 2; c++)
		pl_peer_fini(&c->peer);
	pl_sfu_destroy(&call->sfu);
	for (struct client *c = call->client; c < call->client + 2; c++) {
		pl_udp_close(c->udp);
		free(c->udp);
	}
	pl_dtls_identity_destroy(&call->identity);
	pl_srtp_engine_destroy(&call->srtp);
	if (call->has_libsrtp)
		pl_srtp_fini();
	free(call);
	return 0;
}

static void talk(struct client *c)
{
	static const uint8_t payload[60] = { 0x78 };
	const struct pl_rtp rtp = {
		.ssrc = c->description.track[0].ssrc,
		.payload_type = PAYLOAD_TYPE,
		.seq = c->seq,
		.ts = (uint32_t)c->seq * 960,
		.payload = { .data = payload, .size = sizeof payload },
	};
	const struct pl_rtp_ext ext = { .has[PL_RTP_EXT_AUDIO_LEVEL] = true, .audio_level = 30, .is_voice = true };
	c->seq++;
	assert_true(pl_peer_send_rtp(&c->peer, &rtp, &ext));
	drain(c);
}

static void test_sfu_two_people_hear_each_other(void **state)
{
	struct call *call = *state;
	struct client *ann = &call->client[0], *bob = &call->client[1];
	while (ann->rtp_got < 50 || bob->rtp_got < 50 || call->slots_events < 2) {
		talk(ann);
		talk(bob);
		turn(call);
	}
	assert_int_equal(ann->csrc_last, bob->source);
	assert_int_equal(bob->csrc_last, ann->source);
}

/* Junk from anywhere is counted and costs a talker nothing. */
static void test_sfu_junk_beside_a_call_is_counted_only(void **state)
{
	struct call *call = *state;
	struct client *ann = &call->client[0], *bob = &call->client[1];
	struct pl_udp *stranger = aligned_alloc(64, (sizeof *stranger + 63) / 64 * 64);
	assert_non_null(stranger);
	assert_int_equal(pl_udp_open(stranger, 0), PL_ERR_NONE);
	const struct pl_path path = { .remote = ann->peer.config.path.remote };
	for (uint32_t n = 0; bob->rtp_got < 50; n++) {
		for (uint32_t i = 0; i < 40; i++) {
			memset(pl_udp_room(stranger).data, (int)(n + i * 7), 100);
			pl_udp_push(stranger, &path, 100);
		}
		pl_udp_flush(stranger);
		talk(ann);
		turn(call);
	}
	struct pl_sfu_counters counters;
	do {
		turn(call);
		pl_sfu_counters(call->sfu, &counters);
	} while (counters.conference.drop[PL_DROP_UNKNOWN_ADDRESS] == 0 ||
		 counters.conference.drop[PL_DROP_UNKNOWN_PROTOCOL] == 0);
	assert_int_equal(counters.conference.participants, 2);
	pl_udp_close(stranger);
	free(stranger);
}

/* Who leaves gets close_notify, and the others' tables are as if it had never been there. */
static void test_sfu_leave_closes_the_transport(void **state)
{
	struct call *call = *state;
	const struct pl_command leave = { .kind = PL_COMMAND_LEAVE, .source = call->client[0].source };
	assert_true(pl_sfu_send(call->sfu, &leave));
	struct pl_sfu_counters counters;
	do {
		turn(call);
		pl_sfu_counters(call->sfu, &counters);
	} while (!call->client[0].is_closed || counters.conference.participants != 1);
	assert_false(call->client[1].is_closed);
}

/* A full ring refuses at once; it neither waits nor loses what it took. */
static void test_sfu_full_command_ring_refuses(void **state)
{
	struct call *call = *state;
	const struct pl_command mute = { .kind = PL_COMMAND_MUTE, .source = 4242, .track = 1, .is_on = true };
	size_t taken = 0, free_before = pl_sfu_commands_free(call->sfu);
	for (; taken < 1000000 && pl_sfu_send(call->sfu, &mute); taken++)
		;
	assert_true(taken >= free_before);
	while (!pl_sfu_send(call->sfu, &mute)) /* the shard works them off */
		turn(call);
}

/* Somebody else has the port: the operator is told which key it is about, and what to do. */
static void test_sfu_taken_port_is_told_in_words(void **state)
{
	(void)state;
	struct pl_udp *other = aligned_alloc(64, (sizeof *other + 63) / 64 * 64);
	assert_non_null(other);
	assert_int_equal(pl_udp_open(other, 0), PL_ERR_NONE);

	char error[300];
	struct pl_sfu *sfu;
	const struct pl_sfu_config config = {
		.port = other->port, .participants_max = 1, .rooms_max = 1, .with_loopback = true
	};
	assert_int_equal(pl_sfu_create(&sfu, &config, error, sizeof error), PL_ERR_SOCKET);
	assert_null(sfu);
	assert_non_null(strstr(error, "media.port"));
	assert_non_null(strstr(error, "in use"));
	pl_udp_close(other);
	free(other);
}

int main(void)
{
	static enum pl_srtp_backend openssl = PL_SRTP_OPENSSL, libsrtp2 = PL_SRTP_LIBSRTP2;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sfu_two_people_hear_each_other, start, stop),
		cmocka_unit_test_prestate_setup_teardown(test_sfu_two_people_hear_each_other, start, stop, &openssl),
		cmocka_unit_test_prestate_setup_teardown(test_sfu_two_people_hear_each_other, start, stop, &libsrtp2),
		cmocka_unit_test_setup_teardown(test_sfu_junk_beside_a_call_is_counted_only, start, stop),
		cmocka_unit_test_setup_teardown(test_sfu_leave_closes_the_transport, start, stop),
		cmocka_unit_test_setup_teardown(test_sfu_full_command_ring_refuses, start, stop),
		cmocka_unit_test(test_sfu_taken_port_is_told_in_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
