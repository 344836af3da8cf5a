/* sfu/spread: a room over several shards sounds like a room on one, and a packet crosses once into each. */
#include "sfu/spread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sfu/membership.h"
#include "tests/sim/asserts.h"

enum { SETTLE_MS = 1200, ROOM = 7 };

static const uint32_t tone_hz[] = { 330, 440, 550, 660, 770, 880, 990, 1210, 1430, 1650, 1870, 2090 };

static struct pl_sim_peer *join(struct pl_sim *sim, uint8_t shard, uint8_t slots, bool is_talking)
{
	return pl_sim_join(sim, &(struct pl_sim_join){ .room = ROOM,
					.hz = tone_hz[sim->peer_count % PL_COUNT(tone_hz)],
					.slots = slots,
					.shard = shard,
					.home = 0,
					.is_talking = is_talking });
}

/* Muted, so that not even its silence is on the way. */
static struct pl_sim_peer *listen_only(struct pl_sim *sim, uint8_t shard)
{
	return pl_sim_join(
		sim, &(struct pl_sim_join){ .room = ROOM, .hz = 2500, .slots = 1, .shard = shard, .is_muted = true });
}

static struct pl_sim *make_sim(uint64_t seed, uint8_t shards)
{
	return pl_sim_create(&(struct pl_sim_config){ .seed = seed, .shards = shards });
}

static struct pl_conference_counters counters(const struct pl_sim *sim, uint8_t shard)
{
	return pl_conference_counters(sim->shard[shard].conference);
}

/* Whoever talks on whichever shard: everybody else hears it from the first packet on, nobody hears itself, and no slot has a
 * gap or a number twice. */
static void test_spread_everybody_hears_everybody(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(1, 3);
	for (uint8_t i = 0; i < 6; i++)
		join(sim, i % 3, 5, true);
	pl_sim_run(sim, 4000);
	for (size_t i = 0; i < 6; i++) {
		for (size_t k = 0; k < 6; k++)
			pl_sim_assert_hears(sim->peer[i], sim->peer[k], SETTLE_MS, 3900, i != k);
	}
	pl_sim_assert_flawless(sim, 0);
	pl_sim_destroy(&sim);
}

/* The choice is one: of ten who talk on three shards, three are heard, and every listener everywhere hears the same. */
static void test_spread_speakers_are_chosen_once(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(2, 3);
	for (uint8_t i = 0; i < 10; i++)
		join(sim, i % 3, 0, true);
	for (uint8_t i = 0; i < 3; i++)
		join(sim, i, 3, false);
	pl_sim_run(sim, 4000);
	for (size_t k = 0; k < 10; k++) {
		const double first = pl_sim_share(sim->peer[10], sim->peer[k], SETTLE_MS, 3900);
		assert_true(first == 0 || first == 1);
		for (size_t i = 11; i < 13; i++)
			assert_true(pl_sim_share(sim->peer[i], sim->peer[k], SETTLE_MS, 3900) == first);
	}
	pl_sim_assert_flawless(sim, 0);
	pl_sim_destroy(&sim);
}

/* A talker far from home loses no syllable: its first packet is heard on every shard. */
static void test_spread_first_packet_is_heard(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(3, 3);
	struct pl_sim_peer *talker = join(sim, 1, 1, false), *listener[3];
	for (uint8_t i = 0; i < 3; i++)
		listener[i] = join(sim, i, 1, false);
	pl_sim_run(sim, 2000);
	const int64_t from_ms = pl_sim_now_ms(sim);
	pl_sim_talk(talker, true);
	pl_sim_run(sim, 1000);
	for (size_t i = 0; i < 3; i++)
		pl_sim_assert_hears(listener[i], talker, from_ms + 100, from_ms + 900, true);
	pl_sim_assert_flawless(sim, 0);
	pl_sim_destroy(&sim);
}

/* A packet crosses once into each shard; the cost is one message however many listen there. */
static void test_spread_packet_crosses_once(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(4, 3);
	struct pl_sim_peer *talker = join(sim, 0, 0, true);
	for (int i = 0; i < 12; i++)
		listen_only(sim, (uint8_t)(i % 3));
	pl_sim_run(sim, 3000);
	const uint32_t sent = talker->packets_sent;
	const uint64_t before[] = { counters(sim, 0).crossed, counters(sim, 1).crossed, counters(sim, 2).crossed };
	pl_sim_run(sim, 2000);
	const uint32_t more = talker->packets_sent - sent;
	for (uint8_t i = 1; i < 3; i++)
		assert_in_range(counters(sim, i).crossed - before[i], more - 2, more + 2);
	assert_int_equal(counters(sim, 1).copied, 0); /* one node: read where it lies */
	assert_int_equal(counters(sim, 2).copied, 0);
	pl_sim_destroy(&sim);
}

/* On another NUMA node a packet is copied once, and passed on from there. */
static void test_spread_is_copied_once_a_node(void **state)
{
	(void)state;
	struct pl_sim *sim = pl_sim_create(&(struct pl_sim_config){ .seed = 5, .shards = 4, .node = { 0, 0, 1, 1 } });
	struct pl_sim_peer *talker = join(sim, 0, 0, true);
	for (uint8_t i = 0; i < 4; i++)
		listen_only(sim, i);
	pl_sim_run(sim, 5000);
	assert_true(talker->packets_sent > 200);
	for (size_t i = 1; i <= 4; i++)
		pl_sim_assert_hears(sim->peer[i], talker, SETTLE_MS, 4900, true);
	assert_int_equal(counters(sim, 1).copied, 0);
	assert_in_range(
		counters(sim, 2).copied + counters(sim, 3).copied, talker->packets_sent - 60, talker->packets_sent);
	assert_true(counters(sim, 2).copied == 0 || counters(sim, 3).copied == 0);
	pl_sim_assert_flawless(sim, 0);
	pl_sim_destroy(&sim);
}

/* A shard that is alone on its node copies, too: each of its members would read across otherwise. */
static void test_spread_is_copied_for_a_shard_that_is_alone(void **state)
{
	(void)state;
	struct pl_sim *sim = pl_sim_create(&(struct pl_sim_config){ .seed = 19, .shards = 2, .node = { 0, 1 } });
	struct pl_sim_peer *talker = join(sim, 0, 0, true), *far = listen_only(sim, 1);
	pl_sim_run(sim, 5000);
	assert_true(talker->packets_sent > 200);
	pl_sim_assert_hears(far, talker, SETTLE_MS, 4900, true);
	assert_in_range(counters(sim, 1).copied, talker->packets_sent - 60, talker->packets_sent);
	assert_int_equal(counters(sim, 0).copied, 0);
	pl_sim_destroy(&sim);
}

/* A track is of one room and comes from one shard: what says it is of another is dropped by name, and heard by nobody. */
static void test_spread_track_of_another_room_or_shard_is_refused(void **state)
{
	(void)state;
	static struct pl_packet packet;
	struct pl_sim *sim = make_sim(20, 3);
	struct pl_sim_peer *talker = join(sim, 1, 0, true);
	struct pl_sim_peer *beside = pl_sim_join(
		sim, &(struct pl_sim_join){ .room = ROOM + 1, .hz = 2500, .slots = 1, .shard = 1, .is_muted = true });
	struct pl_sim_peer *listener = listen_only(sim, 2);
	pl_sim_run(sim, 2000);
	packet = (struct pl_packet){
		.source = talker->source,
		.track = talker->track,
		.coding = PL_CODING_OPUS,
		.has_level = true,
		.is_voice = true,
		.level = 10,
	};
	packet.payload = (struct pl_bytes){ packet.data, 20 };
	const struct {
		uint32_t room;
		uint8_t from;
	} wrong[] = { { ROOM + 1, 1 }, { ROOM, 2 } };
	const uint64_t copied = counters(sim, 0).copied;
	for (size_t i = 0; i < PL_COUNT(wrong); i++) {
		const struct pl_cross message = { .kind = PL_CROSS_HEAR, .room = wrong[i].room, .packet = &packet };
		const enum pl_drop drop = pl_spread_take(sim->conference, sim->now_us, wrong[i].from, &message);
		assert_int_equal(drop, PL_DROP_RTP_UNKNOWN_TRACK);
	}
	assert_int_equal(counters(sim, 0).copied, copied);
	/* As it really is, it is taken. */
	const struct pl_cross message = { .kind = PL_CROSS_HEAR, .room = ROOM, .packet = &packet };
	assert_int_equal(pl_spread_take(sim->conference, sim->now_us, 1, &message), PL_DROP_NONE);
	pl_sim_run(sim, 1000);
	assert_true(pl_sim_slot_of(beside, talker) < 0);
	pl_sim_assert_hears(listener, talker, 2000 + 200, 2900, true);
	pl_sim_destroy(&sim);
}

/* Muted, gone, closed or killed on a shard far from home: its slots are free everywhere, and another takes them. */
static void test_spread_silence_is_told(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(6, 2);
	struct pl_sim_peer *listener = join(sim, 0, 2, false);
	struct pl_sim_peer *muted = join(sim, 1, 0, true), *left = join(sim, 1, 0, true);
	pl_sim_run(sim, 2000);
	assert_true(pl_sim_slot_of(listener, muted) >= 0 && pl_sim_slot_of(listener, left) >= 0);
	pl_sim_mute(muted, true);
	pl_sim_run(sim, 100);
	assert_true(pl_sim_slot_of(listener, muted) < 0 && pl_sim_slot_of(listener, left) >= 0);
	pl_sim_leave(left);
	pl_sim_run(sim, 100);
	assert_true(pl_sim_slot_of(listener, left) < 0);
	/* As often as it likes: a place at home is given back each time. */
	for (int i = 0; i < 2 * PL_SIM_PEERS_MAX; i++) {
		pl_sim_mute(muted, i % 2 == 0);
		pl_sim_run(sim, 60);
	}
	pl_sim_mute(muted, false);
	pl_sim_run(sim, 1000);
	assert_true(pl_sim_slot_of(listener, muted) >= 0);
	pl_sim_close(muted);
	pl_sim_run(sim, 200);
	assert_true(pl_sim_slot_of(listener, muted) < 0);
	assert_int_equal(counters(sim, 1).rooms, 0);
	pl_sim_destroy(&sim);
}

/* Home may be without members of its own: the room goes on, and ends when the last has left anywhere. */
static void test_spread_home_may_be_empty(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(7, 3);
	struct pl_sim_peer *first = join(sim, 0, 2, false), *ann = join(sim, 1, 2, true), *bob = join(sim, 2, 2, true);
	pl_sim_run(sim, 1000);
	pl_sim_leave(first);
	pl_sim_run(sim, 3000);
	pl_sim_assert_hears(ann, bob, 1500, 3900, true);
	pl_sim_assert_hears(bob, ann, 1500, 3900, true);
	assert_int_equal(counters(sim, 0).rooms, 1);
	pl_sim_leave(ann);
	pl_sim_leave(bob);
	pl_sim_run(sim, 100);
	for (uint8_t i = 0; i < 3; i++)
		assert_int_equal(counters(sim, i).rooms, 0);
	/* And begins anew. */
	ann = join(sim, 1, 2, true), bob = join(sim, 2, 2, true);
	pl_sim_run(sim, 3000);
	pl_sim_assert_hears(ann, bob, 5500, 6900, true);
	pl_sim_destroy(&sim);
}

/* Listeners on another shard may have more slots than those at home: as many are on air. */
static void test_spread_slots_count_everywhere(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(8, 2);
	for (uint8_t i = 0; i < 5; i++)
		join(sim, i % 2, 1, true);
	struct pl_sim_peer *wide = join(sim, 1, 5, false);
	pl_sim_run(sim, 4000);
	for (size_t k = 0; k < 5; k++)
		pl_sim_assert_hears(wide, sim->peer[k], SETTLE_MS, 3900, true);
	pl_sim_set_slots(wide, 1);
	pl_sim_run(sim, 2000);
	uint32_t heard = 0;
	for (size_t k = 0; k < 5; k++)
		heard += pl_sim_slot_of(wide, sim->peer[k]) >= 0;
	assert_int_equal(heard, 1);
	pl_sim_destroy(&sim);
}

/* A shard that takes nothing for a while costs the others nothing but its part: no buffer is lost, what was dropped is counted,
 * and when it is back it knows who talks. */
static void test_spread_stuck_shard_recovers(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(9, 3);
	struct pl_sim_peer *talker[4], *listener[3];
	for (uint8_t i = 0; i < 4; i++)
		talker[i] = join(sim, i % 2, 0, true);
	for (uint8_t i = 0; i < 3; i++)
		listener[i] = join(sim, i, 4, false);
	pl_sim_run(sim, 2000);
	sim->shard[2].is_stuck = true;
	pl_sim_mute(talker[3], true);
	pl_sim_run(sim, 3000);
	for (size_t k = 0; k < 3; k++) {
		pl_sim_assert_hears(listener[0], talker[k], 2500, 4900, true);
		pl_sim_assert_hears(listener[1], talker[k], 2500, 4900, true);
	}
	assert_true(counters(sim, 0).drop[PL_DROP_CROSS_FULL] > 100);
	assert_true(pl_sim_slot_of(listener[2], talker[3]) >= 0); /* it does not know yet */
	sim->shard[2].is_stuck = false;
	pl_sim_run(sim, 2000);
	assert_true(pl_sim_slot_of(listener[2], talker[3]) < 0);
	for (size_t k = 0; k < 3; k++)
		pl_sim_assert_hears(listener[2], talker[k], 5500, 6900, true);
	pl_sim_destroy(&sim);
}

/* The same when it is home that is stuck: until it is back nobody far away is heard; then everybody is, and who has left
 * meanwhile is not. */
static void test_spread_stuck_home_recovers(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(10, 2);
	struct pl_sim_peer *listener = join(sim, 0, 3, false), *stays = join(sim, 1, 0, true),
			   *goes = join(sim, 1, 0, true);
	pl_sim_run(sim, 2000);
	sim->shard[0].is_stuck = true;
	pl_sim_run(sim, 5000); /* 500 packets: three quarters of the ring are full, the rest are dropped */
	assert_true(counters(sim, 1).drop[PL_DROP_CROSS_FULL] > 100);
	pl_sim_leave(goes);
	struct pl_sim_peer *comes = join(sim, 1, 2, true);
	pl_sim_run(sim, 1000);
	sim->shard[0].is_stuck = false;
	pl_sim_run(sim, 2000);
	assert_true(pl_sim_slot_of(listener, goes) < 0);
	pl_sim_assert_hears(listener, stays, 8500, 9900, true);
	pl_sim_assert_hears(listener, comes, 8500, 9900, true);
	pl_sim_assert_hears(comes, stays, 8500, 9900, true);
	pl_sim_destroy(&sim);
}

/* Who comes late into a room where nothing changes any more, on a shard that was not part of it, hears at once who talks. */
static void test_spread_late_shard_knows_who_talks(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(11, 2);
	struct pl_sim_peer *talker = join(sim, 0, 0, true);
	listen_only(sim, 0);
	pl_sim_run(sim, 3000);
	struct pl_sim_peer *late = listen_only(sim, 1);
	pl_sim_run(sim, 2000);
	assert_int_equal(pl_sim_slot_of(late, talker), 0);
	pl_sim_assert_hears(late, talker, 3000 + SETTLE_MS, 4900, true);
	/* And once more, when its shard has left and come back. */
	pl_sim_leave(late);
	pl_sim_run(sim, 500);
	late = listen_only(sim, 1);
	pl_sim_run(sim, 2000);
	pl_sim_assert_hears(late, talker, 5500 + SETTLE_MS, 7400, true);
	pl_sim_assert_flawless(sim, 0);
	pl_sim_destroy(&sim);
}

/* What a packet says beside its voice crosses with it, copied or not. */
static void test_spread_levels_cross(void **state)
{
	(void)state;
	struct pl_sim *sim = pl_sim_create(&(struct pl_sim_config){ .seed = 12, .shards = 2, .node = { 0, 1 } });
	struct pl_sim_peer *far = join(sim, 1, 0, true), *listener[2];
	for (uint8_t i = 0; i < 2; i++)
		listener[i] = listen_only(sim, i);
	pl_sim_run(sim, 3000);
	for (size_t i = 0; i < 2; i++) {
		const struct pl_sim_slot *slot = &listener[i]->slot[0];
		assert_true(slot->count > 50);
		for (size_t k = 0; k < slot->count; k++) {
			assert_true(slot->packet[k].has_level && slot->packet[k].is_voice);
			assert_in_range(slot->packet[k].level, 10, 30); /* a sine of a quarter of full scale */
			assert_int_equal(slot->packet[k].csrc, far->source);
		}
		assert_true(slot->packet[0].marker); /* the talk begins */
	}
	pl_sim_destroy(&sim);
}

/* The first shard of a far node has nobody any more when packets come that it is to pass on: they are passed on, and no
 * buffer is lost. */
static void test_spread_relay_without_members_passes_on(void **state)
{
	(void)state;
	struct pl_sim *sim = pl_sim_create(&(struct pl_sim_config){ .seed = 13, .shards = 3, .node = { 0, 1, 1 } });
	struct pl_sim_peer *talker = join(sim, 0, 0, true), *first = listen_only(sim, 1), *second = listen_only(sim, 2);
	pl_sim_run(sim, 3000);
	sim->shard[0].is_stuck = true; /* home does not hear that the shard has left */
	pl_sim_leave(first);
	pl_sim_run(sim, 1000);
	sim->shard[0].is_stuck = false;
	pl_sim_run(sim, 2000);
	pl_sim_assert_hears(second, talker, SETTLE_MS, 5900, true);
	pl_sim_assert_flawless(sim, 0);
	for (uint8_t i = 0; i < 3; i++)
		assert_int_equal(counters(sim, i).packets_used, 0);
	pl_sim_destroy(&sim);
}

/* Even what may not be lost finds a full ring when home is stuck for long: it is told when there is a place, and a room that
 * has ended meanwhile ends everywhere. */
static void test_spread_room_ends_behind_a_full_ring(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(14, 2);
	struct pl_sim_peer *listener = listen_only(sim, 0), *talker = join(sim, 1, 0, true),
			   *other = join(sim, 1, 0, true);
	pl_sim_run(sim, 2000);
	sim->shard[0].is_stuck = true;
	for (int i = 0; i < 700; i++)
		pl_sim_mute(talker, i % 2 == 0);
	pl_sim_leave(talker);
	pl_sim_leave(other);
	pl_sim_run(sim, 100);
	assert_int_equal(counters(sim, 1).rooms, 1); /* home has to be told first */
	sim->shard[0].is_stuck = false;
	pl_sim_run(sim, 100);
	assert_int_equal(counters(sim, 1).rooms, 0);
	assert_true(pl_sim_slot_of(listener, talker) < 0 && pl_sim_slot_of(listener, other) < 0);
	pl_sim_leave(listener);
	pl_sim_run(sim, 100);
	assert_int_equal(counters(sim, 0).rooms, 0);
	pl_sim_destroy(&sim);
}

static uint64_t crossing_drops(const struct pl_sim *sim)
{
	uint64_t sum = 0;
	for (uint8_t i = 0; i < sim->shard_count; i++) {
		const struct pl_conference_counters own = counters(sim, i);
		sum += own.drop[PL_DROP_CROSS_FULL] + own.drop[PL_DROP_CROSS_REFUSED] + own.drop[PL_DROP_CROSS_LEFT];
	}
	return sum;
}

/* A counter that rises while all is well is one that nobody looks at when it is not: as people talk, are muted, renegotiate,
 * leave and come back on every shard, none of the crossing's drops does. */
static void test_spread_health_drops_nothing(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(15, 3);
	struct pl_sim_peer *guest[3];
	for (uint8_t i = 0; i < 3; i++) {
		join(sim, i, 3, true);
		guest[i] = join(sim, i, 2, true);
	}
	for (int round = 0; round < 12; round++) {
		const uint8_t i = (uint8_t)(round % 3);
		pl_sim_run(sim, 170);
		pl_sim_mute(sim->peer[0], round % 2 == 0);
		pl_sim_leave(guest[i]);
		pl_sim_run(sim, 90);
		guest[i] = join(sim, i, 2, true);
		pl_sim_set_slots(guest[(i + 1) % 3], (uint8_t)(1 + round % 4));
	}
	/* A shard's last member leaves, and comes back. */
	for (int round = 0; round < 3; round++) {
		pl_sim_leave(sim->peer[2]);
		pl_sim_leave(guest[1]);
		pl_sim_run(sim, 200);
		assert_int_equal(counters(sim, 1).rooms, 0);
		guest[1] = join(sim, 1, 2, true);
		pl_sim_run(sim, 600);
	}
	assert_true(counters(sim, 0).crossed > 100 && counters(sim, 1).crossed > 100);
	assert_int_equal(crossing_drops(sim), 0);
	pl_sim_destroy(&sim);
}

/* What is on the way to a shard whose last member has just left is counted for what it is, one by one. */
static void test_spread_packets_for_who_has_left_are_counted(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(16, 2);
	struct pl_sim_peer *talker = join(sim, 0, 0, true), *listener = listen_only(sim, 1);
	listen_only(sim, 0);
	pl_sim_run(sim, 2000);
	assert_int_equal(crossing_drops(sim), 0);
	sim->shard[0].is_stuck = true;
	pl_sim_leave(listener);
	const uint64_t crossed = counters(sim, 1).crossed;
	const uint32_t sent = talker->packets_sent;
	pl_sim_run(sim, 1000);
	assert_in_range(counters(sim, 1).drop[PL_DROP_CROSS_LEFT], talker->packets_sent - sent - 2,
		talker->packets_sent - sent + 2);
	assert_int_equal(counters(sim, 1).drop[PL_DROP_CROSS_LEFT], counters(sim, 1).crossed - crossed);
	sim->shard[0].is_stuck = false;
	pl_sim_run(sim, 100);
	const uint64_t dropped = crossing_drops(sim);
	pl_sim_run(sim, 1000);
	assert_int_equal(crossing_drops(sim), dropped);
	pl_sim_destroy(&sim);
}

/* Home's table of rooms may be full when a room begins elsewhere: it is told again, and when a place is free the room is
 * whole within moments, without anybody having to join again. */
static void test_spread_room_that_home_refused_comes_up(void **state)
{
	(void)state;
	struct pl_sim *sim = pl_sim_create(&(struct pl_sim_config){ .seed = 17, .shards = 3, .rooms_max = 1 });
	struct pl_sim_peer *other = pl_sim_join(sim, &(struct pl_sim_join){ .room = ROOM + 1, .hz = 2500, .slots = 1 });
	struct pl_sim_peer *ann = join(sim, 1, 1, true), *bob = join(sim, 2, 1, true);
	pl_sim_run(sim, 2000);
	pl_sim_assert_hears(bob, ann, 1000, 1900, false);
	assert_true(counters(sim, 0).drop[PL_DROP_CROSS_REFUSED] > 100);
	/* Asking again is no flood: ten times a second, and what the others say. */
	pl_sim_mute(ann, true);
	pl_sim_mute(bob, true);
	pl_sim_run(sim, 100);
	const uint64_t refused = counters(sim, 0).drop[PL_DROP_CROSS_REFUSED];
	pl_sim_run(sim, 1000);
	assert_in_range(counters(sim, 0).drop[PL_DROP_CROSS_REFUSED] - refused, 10, 30);
	pl_sim_mute(ann, false);
	pl_sim_mute(bob, false);

	pl_sim_leave(other);
	pl_sim_run(sim, 2000);
	pl_sim_assert_hears(bob, ann, 3400, 4900, true);
	pl_sim_assert_hears(ann, bob, 3400, 4900, true);
	const uint64_t settled = counters(sim, 0).drop[PL_DROP_CROSS_REFUSED];
	pl_sim_run(sim, 500);
	assert_int_equal(counters(sim, 0).drop[PL_DROP_CROSS_REFUSED], settled);
	pl_sim_leave(ann);
	pl_sim_leave(bob);
	pl_sim_run(sim, 200);
	for (uint8_t i = 0; i < 3; i++)
		assert_int_equal(counters(sim, i).rooms, 0);
	pl_sim_destroy(&sim);
}

/* Who joined a mix while home had no place for the room is news still when it has: a decoder that begins there needs to be
 * waited for. */
static void test_spread_refused_news_are_told_again(void **state)
{
	(void)state;
	enum { NEWS = 1u << PL_MIX_ROBUST };
	struct pl_sim *sim = pl_sim_create(&(struct pl_sim_config){ .seed = 18, .shards = 2, .rooms_max = 1 });
	struct pl_sim_peer *other = pl_sim_join(sim, &(struct pl_sim_join){ .room = ROOM + 1, .hz = 2500, .slots = 1 });
	join(sim, 1, 1, true);
	pl_sim_run(sim, 1000);
	struct pl_conference *replica = sim->shard[1].conference;
	struct pl_room *room = pl_membership_find_room(replica, ROOM);
	room->fresh = NEWS;
	pl_spread_tell(replica, room, sim->now_us);
	pl_sim_run(sim, 500);
	assert_null(pl_membership_find_room(sim->conference, ROOM));
	pl_sim_leave(other);
	pl_sim_run(sim, 300);
	struct pl_room *home = pl_membership_find_room(sim->conference, ROOM);
	assert_non_null(home);
	assert_int_equal(home->fresh & NEWS, NEWS);
	/* Once it has landed it is no news any more. */
	home->fresh = 0;
	room->slots_told = 0;
	pl_spread_tell(replica, room, sim->now_us);
	pl_sim_run(sim, 300);
	assert_int_equal(home->fresh, 0);
	pl_sim_destroy(&sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spread_everybody_hears_everybody),
		cmocka_unit_test(test_spread_speakers_are_chosen_once),
		cmocka_unit_test(test_spread_first_packet_is_heard),
		cmocka_unit_test(test_spread_packet_crosses_once),
		cmocka_unit_test(test_spread_is_copied_once_a_node),
		cmocka_unit_test(test_spread_is_copied_for_a_shard_that_is_alone),
		cmocka_unit_test(test_spread_track_of_another_room_or_shard_is_refused),
		cmocka_unit_test(test_spread_silence_is_told),
		cmocka_unit_test(test_spread_home_may_be_empty),
		cmocka_unit_test(test_spread_slots_count_everywhere),
		cmocka_unit_test(test_spread_stuck_shard_recovers),
		cmocka_unit_test(test_spread_stuck_home_recovers),
		cmocka_unit_test(test_spread_late_shard_knows_who_talks),
		cmocka_unit_test(test_spread_levels_cross),
		cmocka_unit_test(test_spread_relay_without_members_passes_on),
		cmocka_unit_test(test_spread_room_ends_behind_a_full_ring),
		cmocka_unit_test(test_spread_health_drops_nothing),
		cmocka_unit_test(test_spread_packets_for_who_has_left_are_counted),
		cmocka_unit_test(test_spread_room_that_home_refused_comes_up),
		cmocka_unit_test(test_spread_refused_news_are_told_again),
	};
	if (pl_srtp_init() != PL_ERR_NONE)
		return 1;
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);
	pl_srtp_fini();
	return failed;
}
