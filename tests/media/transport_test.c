/* A transport and a browser, over a network that loses, delays, doubles and reorders, in virtual time. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "media/transport.h"
#include "tests/sim/network.h"
#include "tests/sim/peer.h"

enum { SECOND_US = 1000000 };

static const struct pl_ice_credentials server_ice = { .ufrag = "server01", .pwd = "serverpasswordserverpass" };
static const struct pl_ice_credentials server_ice_next = { .ufrag = "server02", .pwd = "anotherpasswordanotherpa" };
static const struct pl_ice_credentials browser_ice = { .ufrag = "browser1", .pwd = "browserpasswordbrowserpa" };
static const struct pl_ice_credentials browser_ice_next = { .ufrag = "browser2", .pwd = "browserpasswordbrowserpb" };
static struct pl_dtls_identity *server_identity, *browser_identity;
static struct pl_srtp_engine *server_srtp, *browser_srtp;

static int set_up(void **state)
{
	(void)state;
	return pl_srtp_init() != PL_ERR_NONE || pl_dtls_identity_create(&server_identity) != PL_ERR_NONE ||
	       pl_dtls_identity_create(&browser_identity) != PL_ERR_NONE ||
	       pl_srtp_engine_create(&server_srtp, PL_SRTP_AUTO) != PL_ERR_NONE ||
	       pl_srtp_engine_create(&browser_srtp, PL_SRTP_LIBSRTP2) != PL_ERR_NONE;
}

static int tear_down(void **state)
{
	(void)state;
	pl_dtls_identity_destroy(&server_identity);
	pl_dtls_identity_destroy(&browser_identity);
	pl_srtp_engine_destroy(&server_srtp);
	pl_srtp_engine_destroy(&browser_srtp);
	pl_srtp_fini();
	return 0;
}

struct world {
	struct pl_network *network;
	struct pl_network_link link;
	struct pl_transport server;
	struct pl_peer browser;
	int64_t now_us;
	bool is_browser_dead;       /* killed: neither sends nor hears */
	int64_t lose_dtls_until_us; /* what a connected server says in DTLS */
	uint8_t scratch[PL_DATAGRAM_SIZE_MAX];

	/* what came out */
	int server_heard, server_connected, server_closed, browser_connected, browser_closed;
	enum pl_close close;
	uint16_t server_path_port;
	uint32_t server_rtp, server_rtcp, browser_rtp, browser_rtcp;
	uint32_t drop[PL_DROP_COUNT];
	bool heard[65536]; /* sequence numbers at the server */
	bool is_twice;
	/* every datagram of the browser, for those who keep some */
	void (*tap)(struct pl_bytes datagram);
};

static struct pl_addr server_addr(void)
{
	return pl_addr_ipv4(0xc6336401, 3478);
}

static void world_init(struct world *w, uint64_t seed, const struct pl_network_link *link,
	enum pl_dtls_role browser_role, const struct pl_fingerprint *expected_of_browser)
{
	memset(w, 0, sizeof *w);
	w->network = pl_network_create(seed, 1024);
	w->link = *link;
	const struct pl_transport_config server = {
		.identity = server_identity,
		.srtp = server_srtp,
		.dtls_role = browser_role == PL_DTLS_ACTIVE ? PL_DTLS_PASSIVE : PL_DTLS_ACTIVE,
		.peer_fingerprint = *expected_of_browser,
		.local = server_ice,
		.remote_ufrag = browser_ice.ufrag,
	};
	const struct pl_peer_config browser = {
		.identity = browser_identity,
		.srtp = browser_srtp,
		.dtls_role = browser_role,
		.server_fingerprint = *pl_dtls_identity_fingerprint(server_identity),
		.server = server_ice,
		.local = browser_ice,
		.path = { .local = pl_addr_ipv4(0xc0000201, 40000), .remote = server_addr() },
	};
	assert_int_equal(pl_transport_init(&w->server, 0, &server), PL_ERR_NONE);
	pl_peer_init(&w->browser, 0, &browser);
}

static void world_fini(struct world *w)
{
	pl_transport_fini(&w->server);
	pl_peer_fini(&w->browser);
	pl_network_destroy(&w->network);
}

static void start(struct world *w, enum pl_dtls_role browser_role)
{
	static const struct pl_network_link perfect = { .delay_us = 10000 };
	world_init(w, 1, &perfect, browser_role, pl_dtls_identity_fingerprint(browser_identity));
}

static void drain_server(struct world *w)
{
	for (struct pl_output out; pl_transport_next(&w->server, &out);)
		switch (out.kind) {
		case PL_OUTPUT_SEND:
			if (pl_protocol_of(out.bytes) == PL_PROTOCOL_DTLS &&
				w->server.state == PL_TRANSPORT_CONNECTED && w->now_us < w->lose_dtls_until_us)
				break;
			pl_network_send(w->network, w->now_us, &w->link, &out.path, out.bytes);
			break;
		case PL_OUTPUT_CONNECTED:
			w->server_connected++;
			break;
		case PL_OUTPUT_RTP: {
			const uint16_t seq = (uint16_t)(out.bytes.data[2] << 8 | out.bytes.data[3]);
			w->is_twice |= w->heard[seq];
			w->heard[seq] = true;
			w->server_rtp++;
			break;
		}
		case PL_OUTPUT_RTCP:
			w->server_rtcp++;
			break;
		case PL_OUTPUT_HEARD:
			w->server_heard++;
			break;
		case PL_OUTPUT_PATH:
			w->server_path_port = out.path.remote.port;
			break;
		case PL_OUTPUT_CLOSED:
			w->server_closed++;
			w->close = out.close;
			break;
		}
}

static void drain_browser(struct world *w)
{
	for (struct pl_peer_output out; pl_peer_next(&w->browser, &out);)
		switch (out.kind) {
		case PL_PEER_SEND:
			if (w->tap != NULL)
				w->tap(out.bytes);
			pl_network_send(w->network, w->now_us, &w->link, &out.path, out.bytes);
			break;
		case PL_PEER_IS_CONNECTED:
			w->browser_connected++;
			break;
		case PL_PEER_RTP:
			w->browser_rtp++;
			break;
		case PL_PEER_RTCP:
			w->browser_rtcp++;
			break;
		case PL_PEER_IS_CLOSED:
			w->browser_closed++;
			break;
		}
}

static int64_t min_i64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void deliver(struct world *w)
{
	struct pl_path path;
	struct pl_bytes datagram;
	const struct pl_addr server = server_addr();

	while (pl_network_receive(w->network, w->now_us, &path, &datagram)) {
		if (pl_addr_equal(&path.local, &server)) {
			w->drop[pl_transport_feed(&w->server, w->now_us, &path, datagram,
				(struct pl_span){ w->scratch, sizeof w->scratch })]++;
			drain_server(w);
		} else if (!w->is_browser_dead && pl_addr_equal(&path.local, &w->browser.path.local)) {
			pl_peer_feed(&w->browser, w->now_us, datagram);
			drain_browser(w);
		}
	}
}

/* Lets the time pass, from event to event. */
static void run_until(struct world *w, int64_t until_us)
{
	drain_server(w);
	drain_browser(w);
	for (;;) {
		deliver(w);
		int64_t next_us = min_i64(pl_network_deadline(w->network), pl_transport_deadline(&w->server));
		if (!w->is_browser_dead)
			next_us = min_i64(next_us, pl_peer_deadline(&w->browser));
		if (next_us > until_us)
			break;
		assert_true(next_us >= w->now_us);
		w->now_us = next_us;
		if (w->now_us >= pl_transport_deadline(&w->server))
			pl_transport_tick(&w->server, w->now_us);
		drain_server(w);
		if (!w->is_browser_dead && w->now_us >= pl_peer_deadline(&w->browser))
			pl_peer_tick(&w->browser, w->now_us);
		drain_browser(w);
	}
	w->now_us = until_us;
}

static void browser_says(struct world *w, uint16_t seq)
{
	const struct pl_rtp rtp = { .ssrc = 0xb0b,
		.seq = seq,
		.ts = seq * 960u,
		.payload_type = 111,
		.payload = { (const uint8_t *)"hello", 5 } };
	assert_true(pl_peer_send_rtp(&w->browser, &rtp, NULL));
	drain_browser(w);
}

static void server_says(struct world *w, uint16_t seq)
{
	uint8_t out[128];
	const uint8_t header[] = { 0x80, 111, (uint8_t)(seq >> 8), (uint8_t)seq, 0, 0, 0, 0, 0, 0, 0x5e, 0x17 };
	struct pl_srtp *srtp = pl_transport_srtp(&w->server);
	assert_non_null(srtp);
	const size_t size = pl_srtp_protect_rtp(srtp, (struct pl_bytes){ header, sizeof header },
		(struct pl_bytes){ (const uint8_t *)"hi", 2 }, (struct pl_span){ out, sizeof out });
	assert_true(size > 0);
	pl_network_send(w->network, w->now_us, &w->link, pl_transport_path(&w->server), (struct pl_bytes){ out, size });
}

static const uint8_t receiver_report[] = { 0x80, 201, 0, 1, 0, 0, 0x0b, 0x0b };

static void assert_in_call(const struct world *w)
{
	assert_int_equal(w->server.state, PL_TRANSPORT_CONNECTED);
	assert_int_equal(w->browser.state, PL_PEER_CONNECTED);
	assert_int_equal(w->server_heard, 1);
	assert_int_equal(w->server_connected, 1);
	assert_int_equal(w->browser_connected, 1);
}

/* One check, one handshake, then media both ways: with 10 ms each way the call stands within 100 ms. */
static void test_transport_connects_and_carries_media(void **state)
{
	(void)state;
	for (enum pl_dtls_role role = PL_DTLS_PASSIVE; role <= PL_DTLS_ACTIVE; role++) {
		struct world *w = malloc(sizeof *w);
		start(w, role);
		run_until(w, 100000);
		assert_in_call(w);
		assert_int_equal(w->server_path_port, 40000);
		assert_int_equal(w->browser.mapped.port, 40000);

		browser_says(w, 7);
		server_says(w, 9);
		assert_true(
			pl_peer_send_rtcp(&w->browser, (struct pl_bytes){ receiver_report, sizeof receiver_report }));
		drain_browser(w);
		uint8_t out[64];
		const size_t size = pl_transport_protect_rtcp(&w->server,
			(struct pl_bytes){ receiver_report, sizeof receiver_report },
			(struct pl_span){ out, sizeof out });
		pl_network_send(
			w->network, w->now_us, &w->link, pl_transport_path(&w->server), (struct pl_bytes){ out, size });
		run_until(w, 200000);
		assert_true(w->heard[7]);
		assert_int_equal(w->browser_rtp, 1);
		assert_int_equal(w->server_rtcp, 1);
		assert_int_equal(w->browser_rtcp, 1);
		world_fini(w);
		free(w);
	}
}

/* Bad Wi-Fi: up to a fifth of everything lost, a tenth doubled, 40 ms of jitter that reorders.  Every call must
 * come up, and then hear every packet that arrives once, in both roles. */
static void test_transport_connects_over_bad_networks(void **state)
{
	(void)state;
	struct world *w = malloc(sizeof *w);
	for (uint64_t seed = 1; seed <= 60; seed++) {
		const struct pl_network_link link = { .loss_permille = seed % 2 == 0 ? 100 : 200,
			.duplicate_permille = 100,
			.delay_us = 20000,
			.jitter_us = 40000 };
		world_init(w, seed, &link, seed % 4 < 2 ? PL_DTLS_ACTIVE : PL_DTLS_PASSIVE,
			pl_dtls_identity_fingerprint(browser_identity));
		run_until(w, 25 * SECOND_US);
		if (w->server.state != PL_TRANSPORT_CONNECTED || w->browser.state != PL_PEER_CONNECTED)
			print_error("seed %" PRIu64 "\n", seed);
		assert_in_call(w);
		for (uint16_t seq = 65000; seq != 500; seq++) {
			browser_says(w, seq);
			server_says(w, seq);
			run_until(w, w->now_us + 20000);
		}
		run_until(w, w->now_us + SECOND_US);
		if (w->is_twice || w->server_rtp < 700 || w->browser_rtp < 700 || w->drop[PL_DROP_SRTP_AUTH] > 0)
			print_error("seed %" PRIu64 ": heard %u and %u\n", seed, w->server_rtp, w->browser_rtp);
		assert_false(w->is_twice);
		assert_in_range(w->server_rtp, 700, 1036);
		assert_in_range(w->browser_rtp, 700, 1036);
		assert_int_equal(w->drop[PL_DROP_SRTP_AUTH], 0);
		assert_int_equal(w->browser.drop[PL_DROP_SRTP_AUTH], 0);
		assert_int_equal(w->server_closed + w->browser_closed, 0);
		world_fini(w);
	}
	free(w);
}

/* The same seed is the same call, to the datagram: a failure can be looked at again. */
static void test_network_replays_from_its_seed(void **state)
{
	(void)state;
	const struct pl_network_link link = {
		.loss_permille = 200, .duplicate_permille = 100, .delay_us = 1000, .jitter_us = 5000
	};
	struct pl_network *n[2] = { pl_network_create(7, 64), pl_network_create(7, 64) };
	const struct pl_path path = { .remote = server_addr() };
	int64_t last_us = -1;
	bool is_reordered = false;
	uint8_t last = 0;
	for (uint8_t i = 0; i < 60; i++)
		for (int k = 0; k < 2; k++)
			pl_network_send(n[k], i * 1000, &link, &path, (struct pl_bytes){ &i, 1 });
	for (;;) {
		struct pl_path to;
		struct pl_bytes a = { 0 }, b = { 0 };
		const int64_t now_us = pl_network_deadline(n[0]);
		assert_int_equal(pl_network_deadline(n[1]), now_us);
		if (now_us == INT64_MAX)
			break;
		assert_true(now_us >= last_us);
		last_us = now_us;
		assert_false(pl_network_receive(n[0], now_us - 1, &to, &a));
		assert_true(pl_network_receive(n[0], now_us, &to, &a) && pl_network_receive(n[1], now_us, &to, &b));
		assert_int_equal(a.data[0], b.data[0]);
		is_reordered |= a.data[0] < last;
		last = a.data[0];
	}
	const struct pl_network_counters *c = pl_network_counters(n[0]);
	assert_int_equal(c->sent, 60);
	assert_true(is_reordered && c->lost > 0 && c->duplicated > 0);
	assert_int_equal(c->delivered, c->sent - c->lost + c->duplicated - c->overflowed);
	pl_network_destroy(&n[0]);
	pl_network_destroy(&n[1]);
}

/* From Wi-Fi to mobile in the middle of a word: not one packet of either side is lost. */
static void test_transport_follows_an_address_change_without_a_gap(void **state)
{
	(void)state;
	struct world *w = malloc(sizeof *w);
	const struct pl_addr mobile = pl_addr_ipv4(0xcb007105, 50000);
	start(w, PL_DTLS_ACTIVE);
	run_until(w, SECOND_US);
	for (uint16_t seq = 0; seq < 100; seq++) {
		if (seq == 50)
			pl_peer_move(&w->browser, w->now_us, &mobile);
		drain_browser(w);
		browser_says(w, seq);
		run_until(w, w->now_us + 20000);
	}
	run_until(w, w->now_us + SECOND_US);
	assert_int_equal(w->server_rtp, 100);
	assert_int_equal(w->server_path_port, 50000);
	assert_true(pl_addr_equal(&w->browser.mapped, &mobile));
	server_says(w, 1);
	run_until(w, w->now_us + SECOND_US);
	assert_int_equal(w->browser_rtp, 1);
	assert_in_call(w);
	world_fini(w);
	free(w);
}

/* A browser that was killed is gone 30 s after its last check; one that lives on stays. */
static void test_transport_closes_when_consent_is_gone(void **state)
{
	(void)state;
	struct world *w = malloc(sizeof *w);
	start(w, PL_DTLS_ACTIVE);
	run_until(w, 120 * SECOND_US);
	assert_in_call(w);
	w->is_browser_dead = true;
	run_until(w, 145 * SECOND_US);
	assert_int_equal(w->server_closed, 0);
	run_until(w, 151 * SECOND_US);
	assert_int_equal(w->server_closed, 1);
	assert_int_equal(w->close, PL_CLOSE_CONSENT);
	assert_int_equal(pl_transport_deadline(&w->server), INT64_MAX);
	world_fini(w);
	free(w);
}

/* Half-open sessions do not pile up: whoever never gets through is let go after 30 s, wherever it stopped. */
static void test_transport_gives_up_after_the_setup_time(void **state)
{
	(void)state;
	for (int has_path = 0; has_path < 2; has_path++) {
		struct world *w = malloc(sizeof *w);
		start(w, PL_DTLS_PASSIVE);
		w->is_browser_dead = true; /* its first check is under way: drained before it dies */
		if (has_path)
			drain_browser(w);
		drain_server(w);
		while (pl_peer_next(&w->browser, &(struct pl_peer_output){ 0 }))
			;
		run_until(w, 29999999);
		assert_int_equal(w->server.state, has_path ? PL_TRANSPORT_HANDSHAKE : PL_TRANSPORT_NEW);
		assert_int_equal(w->server_closed, 0);
		run_until(w, 30 * SECOND_US);
		assert_int_equal(w->server_closed, 1);
		assert_int_equal(w->close, PL_CLOSE_SETUP_TIMEOUT);
		world_fini(w);
		free(w);
	}
}

/* Hanging up is heard by the other side within a way, whoever does it, and long after the handshake, too. */
static void test_transport_close_is_told(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++) {
		const int who = i % 2;
		const int64_t at_us = i / 2 % 2 == 0 ? SECOND_US : 100 * SECOND_US;
		struct world *w = malloc(sizeof *w);
		start(w, i < 4 ? PL_DTLS_ACTIVE : PL_DTLS_PASSIVE);
		run_until(w, at_us);
		assert_in_call(w);
		assert_int_equal(pl_dtls_is_settled(w->server.dtls), at_us > SECOND_US);
		if (who == 0)
			pl_transport_close(&w->server, w->now_us);
		else
			pl_peer_close(&w->browser, w->now_us);
		run_until(w, at_us + 11000);
		assert_int_equal(w->server_closed, 1);
		assert_int_equal(w->browser_closed, 1);
		assert_int_equal(w->close, who == 0 ? PL_CLOSE_LOCAL : PL_CLOSE_PEER);
		uint8_t out[128];
		assert_int_equal(pl_transport_protect_rtcp(&w->server, (struct pl_bytes){ receiver_report, 8 },
					 (struct pl_span){ out, sizeof out }),
			0);
		world_fini(w);
		free(w);
	}
}

/* The handshake's memory is let go of as soon as nothing of it can be asked for again, and not before. */
static void test_transport_settles_when_the_peer_has_finished(void **state)
{
	(void)state;
	static const struct {
		enum pl_dtls_role browser_role;
		bool has_media;
		int64_t not_before_ms, by_ms;
	} cases[] = {
		{ PL_DTLS_ACTIVE, false, PL_TRANSPORT_SETTLE_MS_UNPROVED,
			PL_TRANSPORT_SETTLE_MS_UNPROVED + PL_TRANSPORT_SETTLE_MS + 100 },
		{ PL_DTLS_ACTIVE, true, PL_TRANSPORT_SETTLE_MS, PL_TRANSPORT_SETTLE_MS + 100 },
		{ PL_DTLS_PASSIVE, false, PL_TRANSPORT_SETTLE_MS, PL_TRANSPORT_SETTLE_MS + 100 },
		{ PL_DTLS_PASSIVE, true, PL_TRANSPORT_SETTLE_MS, PL_TRANSPORT_SETTLE_MS + 100 },
	};
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		struct world *w = malloc(sizeof *w);
		start(w, cases[i].browser_role);
		run_until(w, 100000);
		assert_in_call(w);
		if (cases[i].has_media)
			browser_says(w, 1);
		run_until(w, cases[i].not_before_ms * INT64_C(1000));
		assert_false(pl_dtls_is_settled(w->server.dtls));
		run_until(w, cases[i].by_ms * INT64_C(1000));
		assert_true(pl_dtls_is_settled(w->server.dtls));

		for (uint16_t seq = 2; seq < 52; seq++) { /* nobody has noticed */
			browser_says(w, seq);
			server_says(w, seq);
			run_until(w, w->now_us + 20000);
		}
		run_until(w, w->now_us + SECOND_US);
		assert_int_equal(w->server_rtp, cases[i].has_media ? 51 : 50);
		assert_int_equal(w->browser_rtp, 50);
		assert_in_call(w);
		world_fini(w);
		free(w);
	}
}

/* The browser cannot hear the server's last flight for 13 s, and asks for it again and again: it must still get it. */
static void test_transport_does_not_settle_on_a_peer_that_still_asks(void **state)
{
	(void)state;
	struct world *w = malloc(sizeof *w);
	start(w, PL_DTLS_ACTIVE);
	w->lose_dtls_until_us = 13 * SECOND_US;
	run_until(w, 13 * SECOND_US - 1);
	assert_int_equal(w->server.state, PL_TRANSPORT_CONNECTED);
	assert_int_equal(w->browser.state, PL_PEER_HANDSHAKE);
	run_until(w, 20 * SECOND_US);
	assert_in_call(w);
	assert_false(pl_dtls_is_settled(w->server.dtls));
	browser_says(w, 1);
	run_until(w, 23 * SECOND_US);
	assert_true(pl_dtls_is_settled(w->server.dtls));
	assert_true(w->heard[1]);
	world_fini(w);
	free(w);
}

/* Handshake records for ever, the peer's own or forged at its address, hold the memory for a minute, not for the call. */
static void test_transport_settles_under_endless_handshake_records(void **state)
{
	(void)state;
	static const uint8_t forged[13 + 40] = { 22, 254, 253, 0, 1, 0, 0, 0, 0, 0, 99, 0, 40 };
	const struct pl_path browser = { .remote = pl_addr_ipv4(0xc0000201, 40000), .local = server_addr() };
	struct world *w = malloc(sizeof *w);
	start(w, PL_DTLS_ACTIVE);
	run_until(w, SECOND_US);
	for (int second = 2; second <= 65; second++) {
		run_until(w, second * SECOND_US);
		const enum pl_drop drop = pl_transport_feed(&w->server, w->now_us, &browser,
			(struct pl_bytes){ forged, sizeof forged }, (struct pl_span){ 0 });
		drain_server(w);
		assert_int_equal(drop, pl_dtls_is_settled(w->server.dtls) ? PL_DROP_DTLS_SETTLED : PL_DROP_NONE);
		if (second < 60)
			assert_false(pl_dtls_is_settled(w->server.dtls));
	}
	assert_true(pl_dtls_is_settled(w->server.dtls));
	assert_in_call(w);
	world_fini(w);
	free(w);
}

/* A certificate that is not the offer's ends the session at once, with its reason. */
static void test_transport_closes_on_a_wrong_fingerprint(void **state)
{
	(void)state;
	static const struct pl_network_link link = { .delay_us = 1000 };
	struct world *w = malloc(sizeof *w);
	world_init(w, 1, &link, PL_DTLS_ACTIVE, pl_dtls_identity_fingerprint(server_identity));
	run_until(w, SECOND_US);
	assert_int_equal(w->close, PL_CLOSE_FINGERPRINT);
	assert_int_equal(w->server_closed, 1);
	assert_int_equal(w->server_connected, 0);
	assert_int_equal(w->browser_closed, 1);
	world_fini(w);
	free(w);
}

/* An ICE restart (a new offer) is not heard: same keys, no gap. */
static void test_transport_ice_restart_has_no_gap(void **state)
{
	(void)state;
	struct world *w = malloc(sizeof *w);
	start(w, PL_DTLS_ACTIVE);
	run_until(w, SECOND_US);
	for (uint16_t seq = 0; seq < 100; seq++) {
		if (seq == 40)
			pl_transport_restart(&w->server, &server_ice_next, browser_ice_next.ufrag);
		if (seq == 60) {
			const struct pl_addr next = pl_addr_ipv4(0xc0000201, 41000);
			pl_peer_restart(&w->browser, w->now_us, &server_ice_next, &browser_ice_next);
			drain_browser(w);
			pl_peer_move(&w->browser, w->now_us, &next);
		}
		drain_browser(w);
		browser_says(w, seq);
		run_until(w, w->now_us + 20000);
	}
	run_until(w, w->now_us + 60 * SECOND_US);
	assert_int_equal(w->server_rtp, 100);
	assert_int_equal(w->server_path_port, 41000);
	assert_in_call(w);
	assert_int_equal(w->server_closed, 0);
	world_fini(w);
	free(w);
}

/* Only who passed a check is listened to, and each refusal has its name. */
static void test_transport_names_what_it_drops(void **state)
{
	(void)state;
	static const uint8_t rtp[64] = { 0x80, 111 }, clear_rtcp[64] = { 0x80, 200 },
			     rtcp[64] = { 0x80, 200, [60] = 0x80 /* E, RFC 7714 section 9.3 */ },
			     dtls[64] = { 22, 0xfe, 0xfd };
	static uint8_t zeros[PL_DATAGRAM_SIZE_MAX + 1];
	const struct pl_path stranger = { .remote = pl_addr_ipv4(0x01020304, 5), .local = server_addr() };
	const struct pl_path browser = { .remote = pl_addr_ipv4(0xc0000201, 40000), .local = server_addr() };
	const struct {
		bool is_connected;
		const struct pl_path *path;
		struct pl_bytes datagram;
		enum pl_drop drop;
	} cases[] = {
		{ false, &stranger, { zeros, 0 }, PL_DROP_EMPTY },
		{ false, &stranger, { zeros, sizeof zeros }, PL_DROP_TOO_LARGE },
		{ false, &stranger, { zeros, 20 }, PL_DROP_STUN_MALFORMED },
		{ false, &stranger, { (const uint8_t *)"GET /", 5 }, PL_DROP_UNKNOWN_PROTOCOL },
		{ false, &stranger, { dtls, sizeof dtls }, PL_DROP_DTLS_EARLY },
		{ false, &stranger, { rtp, sizeof rtp }, PL_DROP_UNKNOWN_ADDRESS },
		{ true, &stranger, { dtls, sizeof dtls }, PL_DROP_UNKNOWN_ADDRESS },
		{ true, &stranger, { rtp, sizeof rtp }, PL_DROP_UNKNOWN_ADDRESS },
		{ true, &browser, { dtls, 12 }, PL_DROP_DTLS_MALFORMED },
		{ true, &browser, { rtp, 11 }, PL_DROP_SRTP_MALFORMED },
		{ true, &browser, { rtp, sizeof rtp }, PL_DROP_SRTP_AUTH },
		{ true, &browser, { rtcp, sizeof rtcp }, PL_DROP_SRTP_AUTH },
		{ true, &browser, { clear_rtcp, sizeof clear_rtcp }, PL_DROP_SRTP_AUTH },
	};
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		struct world *w = malloc(sizeof *w);
		start(w, PL_DTLS_ACTIVE);
		if (cases[i].is_connected)
			run_until(w, SECOND_US);
		if (pl_transport_feed(&w->server, w->now_us, cases[i].path, cases[i].datagram,
			    (struct pl_span){ w->scratch, sizeof w->scratch }) != cases[i].drop)
			print_error("case %zu\n", i);
		drain_server(w);
		assert_int_equal(pl_transport_feed(&w->server, w->now_us, cases[i].path, cases[i].datagram,
					 (struct pl_span){ w->scratch, sizeof w->scratch }),
			cases[i].drop);
		drain_server(w);
		run_until(w, w->now_us + SECOND_US);
		assert_in_call(w); /* and the call goes on */
		world_fini(w);
		free(w);
	}
}

/* --- What if any datagram of a call arrives cut? --- */

enum { TAPPED_MAX = 64 };
static struct {
	uint8_t bytes[PL_DATAGRAM_SIZE_MAX];
	size_t size;
} tapped[TAPPED_MAX];
static size_t tapped_count;

static void tap(struct pl_bytes datagram)
{
	assert_true(tapped_count < TAPPED_MAX);
	memcpy(tapped[tapped_count].bytes, datagram.data, datagram.size);
	tapped[tapped_count++].size = datagram.size;
}

/* Every prefix of every kind of datagram, at a transport in the middle of the call (0: soon after the handshake, 1: when
 * that is let go of): nobody notices. */
static void survive_cut_datagrams(int when)
{
	struct world *w = malloc(sizeof *w);
	const struct pl_path browser = { .remote = pl_addr_ipv4(0xc0000201, 40000), .local = server_addr() };
	start(w, PL_DTLS_ACTIVE);
	tapped_count = 0;
	w->tap = tap;
	run_until(w, SECOND_US);
	browser_says(w, 1);
	assert_true(pl_peer_send_rtcp(&w->browser, (struct pl_bytes){ receiver_report, sizeof receiver_report }));
	drain_browser(w);
	w->tap = NULL;
	run_until(w, 2 * SECOND_US);
	assert_true(tapped_count >= 5); /* a check, two flights, RTP and RTCP */
	run_until(w, when == 0 ? 2 * SECOND_US : 10 * SECOND_US);
	assert_int_equal(pl_dtls_is_settled(w->server.dtls), when == 1);

	for (size_t i = 0; i < tapped_count; i++)
		for (size_t size = 0; size <= tapped[i].size; size++) {
			uint8_t *cut = malloc(size > 0 ? size : 1);
			memcpy(cut, tapped[i].bytes, size);
			w->drop[pl_transport_feed(&w->server, w->now_us, &browser, (struct pl_bytes){ cut, size },
				(struct pl_span){ w->scratch, sizeof w->scratch })]++;
			drain_server(w);
			free(cut);
		}
	assert_int_equal(w->server_rtp, 1); /* the whole ones were replays */
	assert_int_equal(w->server_rtcp, 1);
	browser_says(w, 2);
	run_until(w, w->now_us + SECOND_US);
	assert_int_equal(w->server_rtp, 2);
	assert_in_call(w);
	world_fini(w);
	free(w);
}

static void test_transport_survives_cut_datagrams(void **state)
{
	(void)state;
	for (int when = 0; when < 2; when++)
		survive_cut_datagrams(when);
}

/* RFC 7983 section 7 and RFC 5761 section 4, at their borders. */
static void test_transport_tells_protocols_apart(void **state)
{
	(void)state;
	static const struct {
		uint8_t bytes[2];
		enum pl_protocol protocol;
	} cases[] = {
		{ { 0, 0 }, PL_PROTOCOL_STUN },
		{ { 3, 0 }, PL_PROTOCOL_STUN },
		{ { 4, 0 }, PL_PROTOCOL_UNKNOWN },
		{ { 19, 0 }, PL_PROTOCOL_UNKNOWN },
		{ { 20, 0 }, PL_PROTOCOL_DTLS },
		{ { 63, 0 }, PL_PROTOCOL_DTLS },
		{ { 64, 0 }, PL_PROTOCOL_UNKNOWN },
		{ { 127, 0 }, PL_PROTOCOL_UNKNOWN },
		{ { 128, 111 }, PL_PROTOCOL_RTP },
		{ { 191, 0xff }, PL_PROTOCOL_RTP },
		{ { 192, 0 }, PL_PROTOCOL_UNKNOWN },
		{ { 128, 191 }, PL_PROTOCOL_RTP },
		{ { 128, 192 }, PL_PROTOCOL_RTCP },
		{ { 128, 223 }, PL_PROTOCOL_RTCP },
		{ { 128, 224 }, PL_PROTOCOL_RTP },
	};
	for (size_t i = 0; i < PL_COUNT(cases); i++)
		assert_int_equal(pl_protocol_of((struct pl_bytes){ cases[i].bytes, 2 }), cases[i].protocol);
	assert_int_equal(pl_protocol_of((struct pl_bytes){ NULL, 0 }), PL_PROTOCOL_UNKNOWN);
	assert_int_equal(pl_protocol_of((struct pl_bytes){ (const uint8_t *)"\x80", 1 }), PL_PROTOCOL_RTP);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_transport_tells_protocols_apart),
		cmocka_unit_test(test_network_replays_from_its_seed),
		cmocka_unit_test(test_transport_connects_and_carries_media),
		cmocka_unit_test(test_transport_connects_over_bad_networks),
		cmocka_unit_test(test_transport_follows_an_address_change_without_a_gap),
		cmocka_unit_test(test_transport_ice_restart_has_no_gap),
		cmocka_unit_test(test_transport_closes_when_consent_is_gone),
		cmocka_unit_test(test_transport_gives_up_after_the_setup_time),
		cmocka_unit_test(test_transport_settles_when_the_peer_has_finished),
		cmocka_unit_test(test_transport_does_not_settle_on_a_peer_that_still_asks),
		cmocka_unit_test(test_transport_settles_under_endless_handshake_records),
		cmocka_unit_test(test_transport_closes_on_a_wrong_fingerprint),
		cmocka_unit_test(test_transport_close_is_told),
		cmocka_unit_test(test_transport_names_what_it_drops),
		cmocka_unit_test(test_transport_survives_cut_datagrams),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
