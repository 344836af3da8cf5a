#include "sfu/directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/conference_sim.h"

enum { ROOM = 3 };

static struct pl_sim *make_sim(uint64_t seed)
{
	return pl_sim_create(&(struct pl_sim_config){ .seed = seed });
}

static struct pl_sim_peer *join(struct pl_sim *sim, uint32_t hz)
{
	return pl_sim_join(sim, &(struct pl_sim_join){ .room = ROOM, .hz = hz, .slots = 3, .is_talking = true });
}

static uint64_t drops(const struct pl_sim *sim, enum pl_drop drop)
{
	return pl_conference_counters(sim->conference).drop[drop];
}

static void assert_both_hear(struct pl_sim_peer *a, struct pl_sim_peer *b, int64_t from_ms, int64_t to_ms)
{
	if (pl_sim_share(a, b, from_ms, to_ms) < 1 || pl_sim_share(b, a, from_ms, to_ms) < 1)
		fail_msg("a gap between %d and %d ms", (int)from_ms, (int)to_ms);
	for (uint8_t slot = 0; slot < 3; slot++) {
		/* What was on its way to the old address is lost. */
		assert_null(pl_sim_flaw(a, slot, 4));
		assert_null(pl_sim_flaw(b, slot, 4));
	}
}

/* From Wi-Fi to mobile, twice, in mid-word: nobody hears a gap, in either direction. */
static void test_directory_address_change_is_followed_without_a_gap(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(1);
	struct pl_sim_peer *a = join(sim, 500), *b = join(sim, 800);
	pl_sim_run(sim, 2000);
	pl_sim_move(a);
	pl_sim_run(sim, 1000);
	pl_sim_move(a);
	pl_sim_run(sim, 2000);
	assert_both_hear(a, b, 1000, 4900);
	assert_int_equal(drops(sim, PL_DROP_UNKNOWN_ADDRESS), 0);
	pl_sim_destroy(&sim);
}

/* More addresses than a session may have: the oldest are forgotten, the call goes on. */
static void test_directory_many_moves_are_followed(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(2);
	struct pl_sim_peer *a = join(sim, 500), *b = join(sim, 800);
	pl_sim_run(sim, 1000);
	for (int i = 0; i < 3 * PL_ICE_PATHS_MAX; i++) {
		pl_sim_move(a);
		pl_sim_run(sim, 500);
	}
	const int64_t now_ms = pl_sim_now_ms(sim);
	pl_sim_run(sim, 2000);
	assert_true(pl_sim_share(b, a, now_ms, now_ms + 1900) == 1);
	assert_true(pl_sim_share(a, b, now_ms, now_ms + 1900) == 1);
	pl_sim_destroy(&sim);
}

/* New credentials, then a new address: a call survives both. */
static void test_directory_ice_restart_keeps_the_call(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(3);
	struct pl_sim_peer *a = join(sim, 500), *b = join(sim, 800);
	pl_sim_run(sim, 2000);
	for (int i = 0; i < 3; i++) {
		pl_sim_restart_ice(a);
		pl_sim_run(sim, 500);
	}
	pl_sim_move(a);
	pl_sim_run(sim, 1500);
	assert_both_hear(a, b, 1000, 4900);
	assert_int_equal(a->connected_events, 1);
	pl_sim_destroy(&sim);
}

/* A participant that forges another's address, with good credentials of its own, cannot cut the other off. */
static void test_directory_forged_address_takes_nothing(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(4);
	struct pl_sim_peer *a = join(sim, 500), *b = join(sim, 800), *forger = join(sim, 1100);
	pl_sim_run(sim, 2000);
	for (int i = 0; i < 20; i++) {
		pl_peer_move(&forger->peer, sim->now_us, &a->peer.path.local);
		for (struct pl_peer_output out; pl_peer_next(&forger->peer, &out);) {
			if (out.kind == PL_PEER_SEND)
				pl_sim_inject(sim, &out.path.local, out.bytes);
		}
		pl_sim_run(sim, 500);
	}
	assert_true(pl_sim_share(b, a, 1000, 11900) == 1);
	assert_true(pl_sim_share(a, b, 1000, 11900) == 1);
	pl_sim_destroy(&sim);
}

/* A page is reloaded, and its new connection gets the port of the old one, which the server has not missed yet: it must
 * not wait for the 30 s that this takes. */
static void test_directory_reused_port_goes_to_the_living(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(5);
	struct pl_sim_peer *other = join(sim, 800);
	const uint16_t port = sim->next_port;
	struct pl_sim_peer *old = join(sim, 500);
	pl_sim_run(sim, 2000);
	pl_sim_kill(old);
	const uint16_t next_port = sim->next_port;
	sim->next_port = port;
	struct pl_sim_peer *reloaded = join(sim, 600);
	sim->next_port = next_port;
	pl_sim_run(sim, PL_DIRECTORY_STALE_MS + 6000);
	assert_int_equal(old->gone_events, 0);
	assert_int_equal(reloaded->connected_events, 1);
	const int64_t now_ms = pl_sim_now_ms(sim);
	pl_sim_run(sim, 1000);
	assert_true(pl_sim_share(other, reloaded, now_ms, now_ms + 900) == 1);
	assert_true(pl_sim_share(reloaded, other, now_ms, now_ms + 900) == 1);
	pl_sim_destroy(&sim);
}

/* Datagrams of strangers, of every kind, meet a named drop and nothing else. */
static void test_directory_strangers_are_dropped(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(6);
	struct pl_sim_peer *a = join(sim, 500), *b = join(sim, 800);
	pl_sim_run(sim, 1000);
	const struct pl_addr stranger = pl_addr_ipv4(0xcb007101, 9);
	static const struct {
		uint8_t bytes[20];
		size_t size;
		enum pl_drop drop;
	} cases[] = {
		{ { 0 }, 0, PL_DROP_EMPTY },
		{ { 70 }, 1, PL_DROP_UNKNOWN_PROTOCOL },
		{ { 0, 1, 0, 0 }, 4, PL_DROP_STUN_MALFORMED },
		{ { 22, 254, 253 }, 13, PL_DROP_UNKNOWN_ADDRESS },
		{ { 0x80, 111 }, 20, PL_DROP_UNKNOWN_ADDRESS },
		{ { 0x80, 200 }, 20, PL_DROP_UNKNOWN_ADDRESS },
	};
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		const uint64_t before = drops(sim, cases[i].drop), sent = pl_network_counters(sim->network)->sent;
		pl_sim_inject(sim, &stranger, (struct pl_bytes){ cases[i].bytes, cases[i].size });
		assert_int_equal(drops(sim, cases[i].drop), before + 1);
		assert_int_equal(pl_network_counters(sim->network)->sent, sent); /* and no reply */
	}
	static const uint8_t large[PL_DATAGRAM_SIZE_MAX + 1] = { 0x80 };
	pl_sim_inject(sim, &stranger, (struct pl_bytes){ large, sizeof large });
	assert_int_equal(drops(sim, PL_DROP_TOO_LARGE), 1);
	pl_sim_run(sim, 1000);
	assert_both_hear(a, b, 1000, 1900);
	pl_sim_destroy(&sim);
}

static void send_hostile(struct pl_sim_peer *p, struct pl_rng *rng)
{
	static const uint8_t payload[1400] = { 1 };
	const struct pl_rtp rtp = {
		.ssrc = pl_rng_below(rng, 2) == 0 ? p->ssrc : 7 + pl_rng_below(rng, 40),
		.seq = p->seq++,
		.ts = (uint32_t)pl_rng_next(rng),
		.payload_type = (uint8_t)(pl_rng_below(rng, 2) == 0 ? PL_SIM_PAYLOAD_TYPE : pl_rng_below(rng, 60)),
		.csrc_count = (uint8_t)pl_rng_below(rng, 15),
		.payload = { payload, pl_rng_below(rng, 1380) },
	};
	const struct pl_rtp_ext ext = {
		.has = { [PL_RTP_EXT_MID] = pl_rng_below(rng, 2) == 0, [PL_RTP_EXT_AUDIO_LEVEL] = true },
		.mid = { (const uint8_t *)"mx", 1 + pl_rng_below(rng, 2) },
		.audio_level = (uint8_t)pl_rng_below(rng, 128),
		.is_voice = true,
	};
	pl_sim_send_rtp(p, &rtp, &ext);
}

/* One client goes mad: unknown streams, wrong payload types, huge packets, noise under its own address.  The others hear
 * each other as before. */
static void test_directory_mad_client_hurts_nobody(void **state)
{
	(void)state;
	for (uint64_t seed = 7; seed < 10; seed++) {
		struct pl_sim *sim = make_sim(seed);
		struct pl_sim_peer *a = join(sim, 500), *b = join(sim, 800), *mad = join(sim, 1100);
		struct pl_rng rng;
		pl_rng_init(&rng, seed);
		pl_sim_run(sim, 1000);
		for (int i = 0; i < 2000; i++) {
			uint8_t noise[200];
			for (size_t k = 0; k < sizeof noise; k++)
				noise[k] = (uint8_t)pl_rng_next(&rng);
			pl_sim_inject(sim, &mad->peer.path.local,
				(struct pl_bytes){ noise, 1 + pl_rng_below(&rng, sizeof noise) });
			send_hostile(mad, &rng);
			pl_sim_run(sim, 2);
		}
		if (pl_sim_share(a, b, 1000, 4900) < 1 || pl_sim_share(b, a, 1000, 4900) < 1)
			fail_msg("seed %d: a gap", (int)seed);
		assert_null(pl_sim_flaw(a, (uint8_t)pl_sim_slot_of(a, b), 0));
		assert_true(drops(sim, PL_DROP_RTP_UNKNOWN_PAYLOAD) > 0);
		assert_true(drops(sim, PL_DROP_RTP_UNKNOWN_TRACK) > 0);
		pl_sim_destroy(&sim);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_directory_address_change_is_followed_without_a_gap),
		cmocka_unit_test(test_directory_many_moves_are_followed),
		cmocka_unit_test(test_directory_ice_restart_keeps_the_call),
		cmocka_unit_test(test_directory_forged_address_takes_nothing),
		cmocka_unit_test(test_directory_reused_port_goes_to_the_living),
		cmocka_unit_test(test_directory_strangers_are_dropped),
		cmocka_unit_test(test_directory_mad_client_hurts_nobody),
	};
	return cmocka_run_group_tests(tests, pl_sim_setup, pl_sim_teardown);
}
