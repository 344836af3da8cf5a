/* sfu/mixing: who takes less than talkers send hears them in a mix that it takes; in virtual time, through real codecs. */
#include "sfu/mixing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <opus/opus.h>

#include "media/opus.h"
#include "tests/sim/asserts.h"
#include "tests/sim/mixed_room.h"

static void take_limits(struct pl_sim_peer *p, uint32_t bitrate_max_bps, uint16_t ptime_max_ms)
{
	struct pl_slot_spec slot[PL_SLOTS_MAX];
	memcpy(slot, p->description.slot, sizeof slot);
	for (uint8_t i = 0; i < p->description.slot_count; i++) {
		slot[i].bitrate_max_bps = bitrate_max_bps;
		slot[i].ptime_max_ms = ptime_max_ms;
	}
	p->hears_mixes = true;
	pl_sim_take_slots(p, slot, p->description.slot_count);
}

static uint32_t bitrate_of(const struct pl_sim_peer *p, int64_t from_ms, int64_t to_ms)
{
	uint64_t bits = 0;
	for (uint8_t slot = 0; slot < p->description.slot_count; slot++) {
		for (size_t i = 0; i < p->slot[slot].count; i++) {
			const struct pl_sim_packet *packet = &p->slot[slot].packet[i];
			if (packet->at_us >= from_ms * 1000 && packet->at_us < to_ms * 1000)
				bits += 8u * packet->size;
		}
	}
	return (uint32_t)(bits * 1000 / (uint64_t)(to_ms - from_ms));
}

/* Who takes fewer bits than talkers have hears them all the same, in a mix that keeps to it, in whatever mode it is; who sits beside
 * it hears talkers as before; and so does it when the next offer says nothing of bits. */
static void test_mixing_for_who_takes_few_bits(void **state)
{
	(void)state;
	static const struct {
		uint32_t bps;
		enum pl_mix_group group;
	} of[] = { { PL_MIX_TALKER_BPS - 1, PL_MIX_ROBUST }, { 20000, PL_MIX_LOW }, { 12000, PL_MIX_LOW },
		{ 6000, PL_MIX_LOWEST } };
	struct pl_sim *sim = make_sim(20, 2);
	struct pl_sim_peer *ann = join(sim, PL_AUDIO_FORWARD, 3, true), *bob = join_at(sim, 1, PL_AUDIO_MIXED, 1, true);
	struct pl_sim_peer *small = join_at(sim, 1, PL_AUDIO_FORWARD, 3, false);
	struct pl_sim_peer *large = join_at(sim, 1, PL_AUDIO_FORWARD, 3, false);
	pl_sim_run(sim, 2500);
	for (size_t i = 0; i < PL_COUNT(of); i++) {
		take_limits(small, of[i].bps, 0);
		const int64_t from_ms = pl_sim_now_ms(sim);
		pl_sim_run(sim, 4000);
		assert_true(small->slots_event.slots.is_mixed);
		assert_int_equal(small->slots_event.slots.group, of[i].group);
		assert_false(large->slots_event.slots.is_mixed);
		pl_sim_assert_hears(small, ann, from_ms + 700, from_ms + 3900, true);
		pl_sim_assert_hears(small, bob, from_ms + 700, from_ms + 3900, true);
		pl_sim_assert_hears(large, ann, from_ms, from_ms + 3900, true);
		assert_in_range(bitrate_of(small, from_ms + 1000, from_ms + 4000), of[i].bps / 3, of[i].bps);
	}
	take_limits(small, PL_MIX_TALKER_BPS, 0);
	const int64_t from_ms = pl_sim_now_ms(sim);
	pl_sim_run(sim, 2000);
	assert_false(small->slots_event.slots.is_mixed);
	pl_sim_assert_hears(small, ann, from_ms + 500, from_ms + 1900, true);
	pl_sim_assert_hears(small, bob, from_ms + 500, from_ms + 1900, true);
	pl_sim_assert_flawless(sim, 0);
	pl_sim_destroy(&sim);
}

static uint8_t packet_ms(const struct pl_sim_packet *packet)
{
	return pl_opus_packet_ms((struct pl_bytes){ packet->payload, packet->size });
}

static void assert_packets_of(const struct pl_sim_peer *p, uint8_t ms_max)
{
	assert_true(p->slot[0].count > 0);
	for (uint8_t slot = 0; slot < p->description.slot_count; slot++) {
		for (size_t i = 0; i < p->slot[slot].count; i++)
			assert_in_range(packet_ms(&p->slot[slot].packet[i]), 1, ms_max);
	}
}

/* Who takes packets of 10, 20 or 40 ms hears talkers as long as theirs are no longer, and the mix from the first one on that is; who
 * takes any, or none that a mix has, hears the talkers on.  On either shard, and who comes later, too. */
static void test_mixing_for_who_takes_short_packets(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(21, 2);
	struct pl_sim_peer *ann = join(sim, PL_AUDIO_FORWARD, 0, true), *bob = join(sim, PL_AUDIO_FORWARD, 0, true);
	struct pl_sim_peer *of_20 = join(sim, PL_AUDIO_FORWARD, 2, false);
	struct pl_sim_peer *of_40 = join_at(sim, 1, PL_AUDIO_FORWARD, 2, false);
	struct pl_sim_peer *of_10 = join_at(sim, 1, PL_AUDIO_FORWARD, 2, false);
	struct pl_sim_peer *of_5 = join_at(sim, 1, PL_AUDIO_FORWARD, 2, false); /* not met by anybody, so let be */
	struct pl_sim_peer *any = join_at(sim, 1, PL_AUDIO_FORWARD, 2, false);
	take_limits(of_20, 0, 20);
	take_limits(of_40, 0, 40);
	take_limits(of_10, 0, 10);
	take_limits(of_5, 0, 5);
	for (uint8_t frames = 1; frames <= 3; frames++) {
		ann->frames = frames;
		const int64_t from_ms = pl_sim_now_ms(sim);
		pl_sim_run(sim, 3000);
		assert_int_equal(of_20->slots_event.slots.is_mixed, frames > 1);
		assert_int_equal(of_40->slots_event.slots.is_mixed, frames > 2);
		assert_true(of_10->slots_event.slots.is_mixed);
		assert_int_equal(of_10->slots_event.slots.group, PL_MIX_SHORT);
		assert_false(of_5->slots_event.slots.is_mixed || any->slots_event.slots.is_mixed);
		struct pl_sim_peer *listener[] = { of_10, of_20, of_40, of_5, any };
		for (size_t i = 0; i < PL_COUNT(listener); i++) {
			pl_sim_assert_hears(listener[i], ann, from_ms + 1800, from_ms + 2800, true);
			pl_sim_assert_hears(listener[i], bob, from_ms + 1800, from_ms + 2800, true);
			static const uint8_t ms_max[] = { 10, 20, 40 };
			if (i < PL_COUNT(ms_max))
				assert_packets_of(listener[i], ms_max[i]);
		}
	}
	struct pl_sim_peer *late = join(sim, PL_AUDIO_FORWARD, 2, false);
	take_limits(late, 0, 40);
	pl_sim_run(sim, 2500);
	assert_true(late->slots_event.slots.is_mixed);
	assert_int_equal(packet_ms(last_packet(late)), 20);
	pl_sim_assert_flawless(sim, 0);
	pl_sim_destroy(&sim);
}

/* A talker's encoder has so many bits in each packet from now on. */
static void set_bitrate(struct pl_sim_peer *p, int32_t bps)
{
	opus_encoder_ctl(p->encoder, OPUS_SET_VBR(0));
	opus_encoder_ctl(p->encoder, OPUS_SET_BITRATE(bps));
}

/* Whose limit talkers meet hears them, until one of them has sent more for some seconds, and from then on the mix, as long as the room is
 * there; who takes more, or says nothing, hears talkers on.  Whether the talker or the listener is on home's shard or on another,
 * of this node or not, and who comes later, too. */
static void test_mixing_for_who_takes_less_than_is_sent(void **state)
{
	enum { LIMIT = 64000, SENT = 96000 };
	(void)state;
	for (uint8_t shard = 0; shard < 3; shard++) {
		struct pl_sim *sim = pl_sim_create(
			&(struct pl_sim_config){ .seed = 40u + shard, .shards = 3, .node = { 0, 0, 1 }, .workers = 1 });
		struct pl_sim_peer *loud = join_at(sim, shard, PL_AUDIO_FORWARD, 0, true);
		struct pl_sim_peer *bob = join_at(sim, 1, PL_AUDIO_FORWARD, 0, true);
		struct pl_sim_peer *limited[3], *wide[3], *any[3];
		for (uint8_t i = 0; i < 3; i++) {
			limited[i] = join_at(sim, i, PL_AUDIO_FORWARD, 2, false);
			wide[i] = join_at(sim, i, PL_AUDIO_FORWARD, 2, false);
			any[i] = join_at(sim, i, PL_AUDIO_FORWARD, 2, false);
			take_limits(limited[i], LIMIT, 0);
			take_limits(wide[i], SENT, 0);
		}
		pl_sim_run(sim, 5000);
		for (size_t i = 0; i < 3; i++)
			assert_false(limited[i]->slots_event.slots.is_mixed);

		set_bitrate(loud, SENT);
		pl_sim_run(sim, 1000);
		for (size_t i = 0; i < 3; i++)
			assert_false(limited[i]->slots_event.slots.is_mixed);
		pl_sim_run(sim, 5000);
		const int64_t from_ms = pl_sim_now_ms(sim);
		struct pl_sim_peer *late = join_at(sim, 2 - shard, PL_AUDIO_FORWARD, 2, false);
		take_limits(late, LIMIT, 0);
		pl_sim_run(sim, 6000);
		assert_true(late->slots_event.slots.is_mixed);
		pl_sim_assert_hears(late, loud, from_ms + SETTLE_MS, from_ms + 5900, true);
		for (size_t i = 0; i < 3; i++) {
			struct pl_sim_peer *of[] = { limited[i], wide[i], any[i] };
			for (size_t k = 0; k < 3; k++) {
				assert_int_equal(of[k]->slots_event.slots.is_mixed, k == 0);
				const int64_t heard_ms = k == 0 ? from_ms : 2 * SETTLE_MS;
				pl_sim_assert_hears(of[k], loud, heard_ms, from_ms + 5900, true);
				pl_sim_assert_hears(of[k], bob, heard_ms, from_ms + 5900, true);
			}
			assert_int_equal(limited[i]->slots_event.slots.group, PL_MIX_FULL);
			assert_in_range(bitrate_of(limited[i], from_ms, from_ms + 5900), 10000, LIMIT);
			assert_in_range(bitrate_of(any[i], from_ms, from_ms + 5900), SENT, 2 * SENT);
		}

		/* Who sends less again, and who is gone, leaves it as it is. */
		set_bitrate(loud, 32000);
		pl_sim_run(sim, 20000);
		pl_sim_leave(loud);
		pl_sim_run(sim, 1000);
		for (size_t i = 0; i < 3; i++)
			assert_true(limited[i]->slots_event.slots.is_mixed);
		pl_sim_assert_flawless(sim, 0);
		pl_sim_destroy(&sim);
	}
}

/* Encoders miss the bitrate that they are given by a little, and most are given what listeners take: that moves nobody.  Nor does a
 * telephone, which is sent on with less than anybody takes who is asked, nor a burst of the network. */
static void test_mixing_leaves_who_is_met(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(43, 2);
	struct pl_sim_peer *ann = join(sim, PL_AUDIO_FORWARD, 0, true),
			   *bob = join_at(sim, 1, PL_AUDIO_FORWARD, 0, true);
	struct pl_sim_peer *phone = pl_sim_join(sim, &(struct pl_sim_join){ .room = ROOM,
							     .hz = tone_hz[2],
							     .slots = 1,
							     .coding = PL_CODING_PCMU,
							     .shard = 1,
							     .is_talking = true });
	struct pl_sim_peer *least = join_at(sim, 1, PL_AUDIO_FORWARD, 3, false),
			   *of_64 = join(sim, PL_AUDIO_FORWARD, 3, false);
	take_limits(of_64, 64000, 0);
	set_bitrate(bob, 65200);
	pl_sim_run(sim, 2000);
	bob->link.jitter_us = 300000;
	pl_sim_run(sim, 18000);
	assert_false(of_64->slots_event.slots.is_mixed);
	pl_sim_assert_hears(of_64, phone, 3000, 19900, true);
	pl_sim_leave(bob);
	opus_encoder_ctl(ann->encoder, OPUS_SET_BITRATE(32000)); /* variable, as browsers have it */
	take_limits(least, PL_MIX_TALKER_BPS, 0);
	pl_sim_run(sim, 20000);
	assert_false(least->slots_event.slots.is_mixed);
	pl_sim_assert_hears(least, ann, 21500, 39900, true);
	pl_sim_assert_hears(least, phone, 21500, 39900, true);
	pl_sim_destroy(&sim);
}

/* Whoever takes 10 ms and no more hears the mix as others do: all but itself, without a click when talkers come and go, when it begins to
 * talk and ends, and when it asks for another quality, which it cannot have.  It is there that the stream of 10 ms is copied, left and
 * entered. */
static void test_mixing_in_short_packets(void **state)
{
	enum { BOUND = 2 };
	(void)state;
	struct pl_sim *sim = make_sim(44, 2);
	struct pl_sim_peer *ann = join(sim, PL_AUDIO_MIXED, 1, true), *bob = join_at(sim, 1, PL_AUDIO_MIXED, 1, true);
	struct pl_sim_peer *listener[2];
	for (uint8_t i = 0; i < 2; i++) {
		listener[i] = join_at(sim, i, PL_AUDIO_MIXED, 1, false);
		take_limits(listener[i], 0, (uint16_t)(10 + 9 * i));
	}
	take_limits(bob, 0, 10); /* a talker, too */
	pl_sim_run(sim, 3000);
	const double steady = pl_sim_click(listener[0], 0, 1500, 2900), steady_bob = pl_sim_click(bob, 0, 1500, 2900);
	assert_true(steady > 0 && steady_bob > 0);

	const int64_t from_ms = pl_sim_now_ms(sim) - 100;
	for (int i = 0; i < 4; i++) {
		pl_sim_mute(ann, i % 2 == 0);
		pl_sim_mute(join_at(sim, (uint8_t)(i % 2), PL_AUDIO_MIXED, 1, false), true);
		pl_sim_run(sim, 730);
		pl_sim_set_mode(listener[1], PL_AUDIO_MIXED, i % 2 == 0 ? PL_MIX_STEREO : PL_MIX_ROBUST);
	}
	const int64_t talk_ms = pl_sim_now_ms(sim); /* its tone begins and ends with a click, which is to be heard */
	for (int i = 0; i < 4; i++) {
		pl_sim_talk(listener[0], i % 2 == 0);
		pl_sim_run(sim, 1730);
	}
	pl_sim_run(sim, 4000);
	const int64_t to_ms = pl_sim_now_ms(sim) - 100;
	assert_true(codec(sim).mixer.copied > 0 && codec(sim).mixer.returned > 0);
	for (size_t i = 0; i < 2; i++) {
		pl_sim_assert_hears(listener[i], bob, 1500, to_ms, true);
		pl_sim_assert_hears(listener[i], ann, to_ms - 5000, to_ms, true);
		const double click = pl_sim_click(listener[i], 0, from_ms, i == 0 ? to_ms : talk_ms);
		if (click > BOUND * steady)
			fail_msg("listener %zu: %.4f, steady %.4f", i, click, steady);
		assert_packets_of(listener[i], 10);
		assert_int_equal(listener[i]->slots_event.slots.group, PL_MIX_SHORT);
	}
	pl_sim_assert_hears(listener[0], listener[0], SETTLE_MS, to_ms, false);
	pl_sim_assert_hears(bob, bob, SETTLE_MS, to_ms, false);
	assert_packets_of(bob, 10);
	/* It takes a tick's packets, in order, and at its pace. */
	const struct pl_sim_slot *slot = &listener[1]->slot[0];
	for (size_t i = 1; i < slot->count; i++) {
		const struct pl_sim_packet *packet = &slot->packet[i];
		if (packet->at_us > 1500000)
			assert_int_equal(packet->ts - slot->packet[i - 1].ts, 480);
	}
	assert_in_range(bitrate_of(listener[1], 1500, to_ms), 20000, PL_MIX_SHORT_BPS);
	pl_sim_assert_flawless(sim, 0);
	pl_sim_destroy(&sim);
}

/* On a network that loses a tenth and mixes up the rest a voice stays there in packets of 10 ms. */
static void test_mixing_in_short_packets_survives_a_bad_network(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(45, 2);
	struct pl_sim_peer *ann = join(sim, PL_AUDIO_FORWARD, 1, true);
	struct pl_sim_peer *listener = join_at(sim, 1, PL_AUDIO_FORWARD, 1, false);
	take_limits(listener, 0, 10);
	pl_sim_run(sim, 2000);
	listener->link = (struct pl_network_link){ .loss_permille = 100, .delay_us = 15000, .jitter_us = 60000 };
	pl_sim_run(sim, 10000);
	const double share = pl_sim_share(listener, ann, 2000, 11900);
	if (share < 0.95)
		fail_msg("heard for %.2f", share);
	assert_packets_of(listener, 10);
	assert_null(pl_sim_flaw(listener, 0, 300));                        /* of 1,000 */
	assert_int_equal(listener->slots_event.slots.group, PL_MIX_SHORT); /* however much it has lost */
	pl_sim_destroy(&sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mixing_for_who_takes_few_bits),
		cmocka_unit_test(test_mixing_for_who_takes_short_packets),
		cmocka_unit_test(test_mixing_for_who_takes_less_than_is_sent),
		cmocka_unit_test(test_mixing_leaves_who_is_met),
		cmocka_unit_test(test_mixing_in_short_packets),
		cmocka_unit_test(test_mixing_in_short_packets_survives_a_bad_network),
	};
	return cmocka_run_group_tests(tests, pl_sim_setup, pl_sim_teardown);
}
