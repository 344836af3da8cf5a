#include "sfu/conference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sfu/speakers.h"
#include "tests/sim/asserts.h"

enum { ROOM = 7, SETTLE_MS = 1000 };

static const uint32_t tone_hz[] = { 400, 610, 830, 1060, 1300, 1570, 1850, 2150 };

static struct pl_sim *make_sim(uint64_t seed)
{
	return pl_sim_create(&(struct pl_sim_config){ .seed = seed });
}

static struct pl_sim_peer *join(struct pl_sim *sim, uint8_t slots, bool is_talking)
{
	return pl_sim_join(sim, &(struct pl_sim_join){ .room = ROOM,
					.hz = tone_hz[sim->peer_count % PL_COUNT(tone_hz)],
					.slots = slots,
					.is_talking = is_talking });
}

static void assert_share(const struct pl_sim_peer *listener, const struct pl_sim_peer *talker, int64_t from_ms,
	int64_t to_ms, double min, double max)
{
	const double share = pl_sim_share(listener, talker, from_ms, to_ms);
	if (share < min || share > max)
		fail_msg("seed %d: %d heard %d for %.2f of %d..%d ms, not %.2f to %.2f",
			(int)listener->sim->config.seed, (int)listener->source, (int)talker->source, share,
			(int)from_ms, (int)to_ms, min, max);
}

/* Everybody hears every other one, all the time, and nobody itself: the call works. */
static void test_conference_three_peers_hear_the_others(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(1);
	for (int i = 0; i < 3; i++)
		join(sim, 3, true);
	pl_sim_run(sim, 3000);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(sim->peer[i]->connected_events, 1);
		for (int k = 0; k < 3; k++)
			assert_share(sim->peer[i], sim->peer[k], SETTLE_MS, 2900, i != k, i != k);
	}
	pl_sim_assert_flawless(sim, 0);
	pl_sim_destroy(&sim);
}

/* Rooms are walls. */
static void test_conference_rooms_do_not_hear_each_other(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(2);
	struct pl_sim_peer *peer[4];
	for (uint32_t i = 0; i < 4; i++)
		peer[i] = pl_sim_join(sim,
			&(struct pl_sim_join){ .room = 1 + i / 2, .hz = tone_hz[i], .slots = 3, .is_talking = true });
	pl_sim_run(sim, 2000);
	for (int i = 0; i < 4; i++) {
		for (int k = 0; k < 4; k++)
			assert_share(
				peer[i], peer[k], SETTLE_MS, 1900, i / 2 == k / 2 && i != k, i / 2 == k / 2 && i != k);
	}
	assert_int_equal(pl_conference_counters(sim->conference).rooms, 2);
	pl_sim_destroy(&sim);
}

static int64_t first_from(const struct pl_sim_peer *listener, const struct pl_sim_peer *talker, int64_t after_us)
{
	int64_t first_us = INT64_MAX;
	for (uint8_t slot = 0; slot < listener->description.slot_count; slot++) {
		for (size_t i = 0; i < listener->slot[slot].count; i++) {
			const struct pl_sim_packet *packet = &listener->slot[slot].packet[i];
			if (packet->csrc == talker->source && packet->at_us >= after_us && packet->at_us < first_us)
				first_us = packet->at_us;
		}
	}
	return first_us;
}

/* More people than slots, and the word goes round: whoever begins to speak is heard from the first syllable on, as soon
 * as a packet needs for the way (frame and two links: 50 ms). */
static void test_conference_talkers_are_heard_from_their_first_syllable(void **state)
{
	(void)state;
	enum { PEERS = 6, WAY_MS = PL_SIM_FRAME_MS + 2 * PL_SIM_LINK_DELAY_MS + 1 };
	struct pl_sim *sim = make_sim(3);
	for (int i = 0; i < PEERS; i++)
		join(sim, 3, false);
	pl_sim_run(sim, SETTLE_MS);
	for (int turn = 0; turn < 2 * PEERS; turn++) {
		struct pl_sim_peer *talker = sim->peer[turn * 5 % PEERS];
		const int64_t from_ms = pl_sim_now_ms(sim);
		pl_sim_talk(talker, true);
		pl_sim_run(sim, 1000);
		pl_sim_talk(talker, false);
		pl_sim_run(sim, 300);
		for (int i = 0; i < PEERS; i++) {
			const bool is_other = sim->peer[i] != talker;
			const int64_t first_us = first_from(sim->peer[i], talker, from_ms * 1000);
			if (is_other && first_us > (from_ms + WAY_MS) * 1000)
				fail_msg("turn %d: peer %d waited too long", turn, i);
			assert_share(sim->peer[i], talker, from_ms + 100, from_ms + 1000, is_other, is_other);
		}
	}
	pl_sim_assert_flawless(sim, 0);
	pl_sim_destroy(&sim);
}

/* Six talk at once into three slots: three are heard, the same three all the time, and nobody in pieces. */
static void test_conference_crowd_is_heard_without_flapping(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(4);
	for (int i = 0; i < 6; i++)
		join(sim, 3, true);
	pl_sim_run(sim, 4000);
	for (int i = 0; i < 6; i++) {
		double sum = 0;
		for (int k = 0; k < 6; k++) {
			const double share = pl_sim_share(sim->peer[i], sim->peer[k], SETTLE_MS, 3900);
			assert_true(share == 0 || share == 1);
			sum += share;
		}
		assert_true(sum == 3);
	}
	pl_sim_assert_flawless(sim, 0);
	pl_sim_destroy(&sim);
}

/* A slot that goes from one talker to another in mid-word must not crack: the loudest sample of the change stays below
 * twice the voice's own (a decoder that meets another voice's state rings a little). */
static void test_conference_change_of_talker_does_not_click(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(5);
	struct pl_sim_peer *listener = join(sim, 1, false), *soft = join(sim, 1, true), *loud = join(sim, 1, false);
	soft->amplitude = 0.1;
	loud->amplitude = 0.25;
	pl_sim_mute(listener, true);
	pl_sim_run(sim, 2000);
	pl_sim_talk(loud, true);
	pl_sim_run(sim, 2000);
	assert_share(listener, soft, 1000, 2000, 1, 1);
	assert_share(listener, loud, 2600, 3900, 1, 1);
	assert_share(listener, soft, 2600, 3900, 0, 0);
	int16_t *pcm = pl_sim_listen(listener, 0, 1000, 3900);
	int peak = 0;
	for (int i = 0; i < 2900 * PL_SIM_RATE_HZ / 1000; i++)
		peak = abs(pcm[i]) > peak ? abs(pcm[i]) : peak;
	free(pcm);
	assert_in_range(peak, 32767 / 5, 32767 / 2);
	pl_sim_assert_flawless(sim, 0);
	pl_sim_destroy(&sim);
}

/* Two browsers may draw the same SSRC: the listener's numbering must not notice when one follows the other. */
static void test_conference_talkers_of_one_ssrc_keep_numbering(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(6);
	struct pl_sim_peer *listener = join(sim, 1, false);
	struct pl_sim_peer *talker[2];
	for (uint32_t i = 0; i < 2; i++) {
		talker[i] = pl_sim_join(
			sim, &(struct pl_sim_join){ .room = ROOM, .hz = tone_hz[i + 1], .hides_ssrc = true });
		talker[i]->ssrc = 4711;
		talker[i]->seq = (uint16_t)(1000 + 200 * i);
	}
	pl_sim_mute(listener, true);
	for (int turn = 0; turn < 6; turn++) {
		pl_sim_talk(talker[turn % 2], true);
		pl_sim_run(sim, 1000);
		pl_sim_talk(talker[turn % 2], false);
		pl_sim_run(sim, 700);
	}
	assert_true(listener->slot[0].count > 300);
	pl_sim_assert_flawless(sim, 0);
	pl_sim_destroy(&sim);
}

/* A turn's packets go out by listener, not by talker: nobody may hear a difference but in delay. */
static void test_conference_batches_lose_and_mix_up_nothing(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(25);
	for (int i = 0; i < 4; i++)
		join(sim, 3, true);
	pl_sim_run(sim, 1500);
	sim->batch_us = 100000;
	pl_sim_run(sim, 2500);
	for (int i = 0; i < 4; i++) {
		for (int k = 0; k < 4; k++)
			assert_share(sim->peer[i], sim->peer[k], 1800, 3800, i != k, i != k);
	}
	pl_sim_assert_flawless(sim, 0);
	pl_sim_destroy(&sim);
}

/* A pool that runs dry drops what comes too much, by name, and is as before when the burst is over. */
static void test_conference_dry_pool_recovers(void **state)
{
	(void)state;
	struct pl_sim *sim = pl_sim_create(&(struct pl_sim_config){ .seed = 26, .packets = 64 });
	for (int i = 0; i < 8; i++)
		join(sim, 3, true);
	pl_sim_run(sim, 2000);
	assert_int_equal(pl_conference_counters(sim->conference).drop[PL_DROP_POOL_LOW], 0);
	sim->batch_us = 500000;
	pl_sim_run(sim, 1000);
	struct pl_conference_counters counters = pl_conference_counters(sim->conference);
	const uint64_t dropped = counters.drop[PL_DROP_POOL_LOW];
	assert_true(dropped > 50 && counters.pool_low >= 1 && counters.packets_used_max >= 60);
	sim->batch_us = 0;
	pl_sim_run(sim, 2000);
	counters = pl_conference_counters(sim->conference);
	assert_int_equal(counters.drop[PL_DROP_POOL_LOW], dropped);
	assert_true(pl_sim_share(sim->peer[7], sim->peer[0], 3200, 4900) == 1);
	pl_sim_destroy(&sim);
}

/* How many RTP packets have ended in the server without a listener, by all the names there are for that. */
static uint64_t ended(const struct pl_conference_counters *counters)
{
	static const enum pl_drop reasons[] = { PL_DROP_RTP_MALFORMED, PL_DROP_RTP_UNKNOWN_TRACK,
		PL_DROP_RTP_UNKNOWN_PAYLOAD, PL_DROP_RTP_MUTED, PL_DROP_RTP_OFF_AIR, PL_DROP_RTP_REPLACED,
		PL_DROP_RTP_UNHEARD, PL_DROP_BEFORE_SWITCH, PL_DROP_SRTP_SPENT, PL_DROP_TOO_LARGE };
	uint64_t sum = 0;
	for (size_t i = 0; i < PL_COUNT(reasons); i++)
		sum += counters->drop[reasons[i]];
	return sum;
}

/* An operator who asks where the packets went gets an answer for each of them: with one listener whatever came in went out
 * once, or ended under a name; also what waited for its turn's end when its talker lost the place. */
static void test_conference_every_packet_has_an_end(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(61);
	struct pl_sim_peer *talker[4];
	for (int i = 0; i < 4; i++)
		talker[i] = join(sim, 0, false);
	pl_sim_run(sim, 1000);
	struct pl_conference_counters counters = pl_conference_counters(sim->conference);
	assert_true(counters.rtp_in > 40);
	assert_int_equal(counters.rtp_out, 0);
	assert_true(counters.drop[PL_DROP_RTP_UNHEARD] > 0); /* nobody is there to listen */
	assert_int_equal(counters.rtp_in, ended(&counters));

	struct pl_sim_peer *listener = join(sim, 1, false);
	pl_sim_run(sim, 1000);
	sim->batch_us = 60000;
	for (int turn = 0; turn < 12; turn++) {
		pl_sim_talk(talker[turn % 4], true);
		pl_sim_run(sim, 900);
		pl_sim_talk(talker[turn % 4], false);
		pl_sim_mute(talker[(turn + 2) % 4], turn % 2 == 0);
	}
	sim->batch_us = 0;
	pl_sim_kill(listener); /* it sends silence, too: what is on the way ends before the count */
	for (int i = 0; i < 4; i++)
		pl_sim_kill(talker[i]);
	pl_sim_run(sim, 200);
	counters = pl_conference_counters(sim->conference);
	assert_true(counters.rtp_out > 500);
	assert_true(counters.drop[PL_DROP_RTP_OFF_AIR] > 0);
	assert_true(counters.drop[PL_DROP_RTP_REPLACED] > 0);
	assert_true(counters.drop[PL_DROP_RTP_MUTED] > 0);
	assert_int_equal(counters.rtp_in, counters.rtp_out + ended(&counters));
	pl_sim_destroy(&sim);
}

/* Muted is muted: not one packet more, whatever the client goes on sending; and the voice is back when it is lifted. */
static void test_conference_mute_silences_at_once(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(7);
	struct pl_sim_peer *listener = join(sim, 3, false), *talker = join(sim, 3, true);
	pl_sim_run(sim, 2000);
	assert_int_equal(listener->slots_event.slots.slot[0].source, talker->source);
	pl_sim_mute(talker, true);
	const uint64_t dropped = pl_conference_counters(sim->conference).drop[PL_DROP_RTP_MUTED];
	pl_sim_run(sim, 1000);
	assert_true(first_from(listener, talker, 2000000 + (PL_SIM_LINK_DELAY_MS + 1) * 1000) == INT64_MAX);
	assert_int_equal(listener->slots_event.slots.slot[0].source, 0);
	assert_in_range(pl_conference_counters(sim->conference).drop[PL_DROP_RTP_MUTED] - dropped, 49, 51);
	pl_sim_mute(talker, false);
	pl_sim_run(sim, 1000);
	assert_share(listener, talker, 3100, 3900, 1, 1);
	assert_int_equal(listener->slots_event.slots.slot[0].source, talker->source);
	assert_int_equal(listener->slots_event.slots.slot[0].track, talker->track);
	pl_sim_assert_flawless(sim, 0);
	pl_sim_destroy(&sim);
}

/* Somebody who joins muted is not heard by a single packet. */
static void test_conference_muted_from_the_start_is_never_heard(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(8);
	struct pl_sim_peer *listener = join(sim, 3, false);
	struct pl_sim_peer *muted = pl_sim_join(sim,
		&(struct pl_sim_join){ .room = ROOM, .hz = 900, .slots = 3, .is_muted = true, .is_talking = true });
	pl_sim_run(sim, 2000);
	assert_true(muted->packets_sent > 50);
	assert_true(first_from(listener, muted, 0) == INT64_MAX);
	pl_sim_destroy(&sim);
}

/* A bad network: 5 % lost each way, 30 ms of jitter that reorders, duplicates.  Everybody is still heard nearly all the
 * time, and what arrives is numbered right. */
static void test_conference_bad_network_is_survived(void **state)
{
	(void)state;
	for (uint64_t seed = 100; seed < 106; seed++) {
		struct pl_sim *sim = make_sim(seed);
		for (int i = 0; i < 3; i++) {
			join(sim, 3, true)->link = (struct pl_network_link){
				.loss_permille = 50, .duplicate_permille = 50, .delay_us = 15000, .jitter_us = 30000
			};
		}
		pl_sim_run(sim, 8000);
		for (int i = 0; i < 3; i++) {
			for (int k = 0; k < 3; k++)
				assert_share(sim->peer[i], sim->peer[k], 3000, 7900, i != k ? 0.9 : 0, i != k);
		}
		pl_sim_assert_flawless(sim, 8000 / PL_SIM_FRAME_MS / 5);
		pl_sim_destroy(&sim);
	}
}

/* A client without header extensions is heard all the same: one microphone, no doubt whose packets these are. */
static void test_conference_client_without_extensions_is_heard(void **state)
{
	(void)state;
	struct pl_sim *sim =
		pl_sim_create(&(struct pl_sim_config){ .seed = 9, .without_levels = true, .without_mids = true });
	struct pl_sim_peer *peer[2];
	for (uint32_t i = 0; i < 2; i++)
		peer[i] = pl_sim_join(sim,
			&(struct pl_sim_join){
				.room = ROOM, .hz = tone_hz[i], .slots = 2, .is_talking = true, .hides_ssrc = i == 1 });
	pl_sim_run(sim, 2000);
	assert_share(peer[0], peer[1], SETTLE_MS, 1900, 1, 1);
	assert_share(peer[1], peer[0], SETTLE_MS, 1900, 1, 1);
	assert_false(peer[0]->slot[0].packet[0].has_level); /* nobody told it */
	pl_sim_destroy(&sim);
}

/* Who draws a meter by what arrives, or mixes by it (RFC 6465), sees the talker's own level and V bit with each packet:
 * every pair of them that RFC 6464 has, and none where none was sent. */
static void test_conference_levels_arrive_as_they_were_sent(void **state)
{
	(void)state;
	enum { LEVELS = 128, PACKETS = 2 * LEVELS + 1 };
	struct pl_sim *sim = make_sim(25);
	struct pl_sim_peer *listener = join(sim, 1, false), *talker = join(sim, 1, true);
	pl_sim_run(sim, SETTLE_MS);
	talker->frame_us = INT64_MAX; /* from here on the test speaks for it */
	pl_sim_run(sim, 3 * PL_SIM_LINK_DELAY_MS);
	const struct pl_sim_slot *heard = &listener->slot[0];
	const size_t before = heard->count;
	assert_true(before > 0);
	for (size_t i = 0; i < PACKETS; i++) {
		static const uint8_t payload[60];
		const struct pl_rtp rtp = { .ssrc = talker->ssrc,
			.ts = talker->ts,
			.seq = talker->seq++,
			.payload_type = PL_SIM_PAYLOAD_TYPE,
			.payload = { payload, sizeof payload } };
		const char *mid = talker->description.track[0].mid;
		const struct pl_rtp_ext ext = {
			.has = { [PL_RTP_EXT_MID] = true, [PL_RTP_EXT_AUDIO_LEVEL] = i < PACKETS - 1 },
			.mid = { (const uint8_t *)mid, strlen(mid) },
			.audio_level = (uint8_t)(i / 2 % LEVELS),
			.is_voice = i % 2 == 1,
		};
		talker->ts += 48 * PL_SIM_FRAME_MS;
		pl_sim_send_rtp(talker, &rtp, &ext);
		pl_sim_run(sim, PL_SIM_FRAME_MS);
	}
	pl_sim_run(sim, 100);
	assert_int_equal(heard->count, before + PACKETS);
	for (size_t i = 0; i < PACKETS - 1; i++) {
		const struct pl_sim_packet *packet = &heard->packet[before + i];
		if (!packet->has_level || packet->level != i / 2 || packet->is_voice != (i % 2 == 1))
			fail_msg("level %d, V %d arrived as %d, %d", (int)(i / 2), (int)(i % 2), packet->level,
				packet->is_voice);
	}
	assert_false(heard->packet[before + PACKETS - 1].has_level);
	pl_sim_destroy(&sim);
}

/* A browser that resumes with a new peer connection: it and the others go on, and nobody is told that it went. */
static void test_conference_join_again_replaces(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(10);
	struct pl_sim_peer *a = join(sim, 3, true), *b = join(sim, 3, true);
	pl_sim_run(sim, 2000);
	pl_sim_rejoin(a);
	pl_sim_run(sim, 3000);
	assert_share(a, b, 3000, 4900, 1, 1);
	assert_share(b, a, 3000, 4900, 1, 1);
	assert_int_equal(a->gone_events, 0);
	assert_int_equal(a->connected_events, 2);
	assert_int_equal(pl_conference_counters(sim->conference).participants, 2);
	pl_sim_assert_flawless(sim, 0);
	pl_sim_destroy(&sim);
}

/* More slots in the middle of a call: who was heard goes on without a gap, and one more is heard. */
static void test_conference_renegotiation_adds_a_slot(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(11);
	struct pl_sim_peer *listener = join(sim, 1, false), *a = join(sim, 1, true), *b = join(sim, 1, true);
	pl_sim_mute(listener, true);
	pl_sim_run(sim, 2000);
	const double hears_a = pl_sim_share(listener, a, SETTLE_MS, 1900);
	assert_true(hears_a + pl_sim_share(listener, b, SETTLE_MS, 1900) == 1);
	pl_sim_set_slots(listener, 2);
	assert_int_equal(listener->slots_event.slots.count, 2);
	pl_sim_run(sim, 2000);
	assert_share(listener, a, 2200, 3900, 1, 1);
	assert_share(listener, b, 2200, 3900, 1, 1);
	assert_share(listener, hears_a == 1 ? a : b, SETTLE_MS, 3900, 1, 1);
	pl_sim_set_slots(listener, 1);
	pl_sim_run(sim, 1000);
	assert_true(pl_sim_share(listener, a, 4200, 4900) + pl_sim_share(listener, b, 4200, 4900) == 1);
	pl_sim_assert_flawless(sim, 0);
	pl_sim_destroy(&sim);
}

/* SSRCs come round again for those who renegotiate all day: the numbers of each go on, so neither our SRTP nor the peer's
 * libsrtp2 refuses one packet as used, whether few were sent since or thousands. */
static void test_conference_slots_take_old_ssrcs_again(void **state)
{
	(void)state;
	enum { ROUNDS = 60, SSRCS = 4, ROUND_MS = 500 };
	struct pl_sim *sim = make_sim(62);
	struct pl_sim_peer *listener = join(sim, 2, false);
	for (int i = 0; i < 2; i++)
		join(sim, 0, true);
	pl_sim_run(sim, SETTLE_MS);
	struct pl_slot_spec slot[2] = { listener->description.slot[0], listener->description.slot[1] };
	uint16_t last[SSRCS] = { 0 };
	for (int round = 0; round < ROUNDS; round++) {
		const uint32_t rejected = listener->peer.drop[PL_DROP_SRTP_REPLAY];
		const size_t had[2] = { listener->slot[0].count, listener->slot[1].count };
		for (int i = 0; i < 2; i++) {
			slot[i].ssrc = 5000 + (uint32_t)(2 * round + i) % SSRCS;
			snprintf(slot[i].mid, sizeof slot[i].mid, "r%d", (2 * round + i) % 100);
		}
		pl_sim_take_slots(listener, slot, 2);
		pl_sim_run(sim, ROUND_MS);
		assert_int_equal(listener->peer.drop[PL_DROP_SRTP_REPLAY], rejected);
		for (int i = 0; i < 2; i++) {
			const struct pl_sim_slot *got = &listener->slot[i];
			uint16_t *behind = &last[slot[i].ssrc - 5000];
			assert_in_range(got->count - had[i], 22, 26); /* of the 25 that were sent */
			assert_int_equal(got->packet[had[i]].csrc, got->packet[got->count - 1].csrc);
			/* What was on the way when the slot went was of none any more. */
			if (round >= SSRCS / 2)
				assert_in_range((uint16_t)(got->packet[had[i]].seq - *behind), 1, 4);
			*behind = got->packet[got->count - 1].seq;
		}
	}
	assert_int_equal(pl_conference_counters(sim->conference).drop[PL_DROP_SRTP_SPENT], 0);
	pl_sim_destroy(&sim);
}

/* SRTP refuses what it has no place for: no datagram leaves for it, nothing else of the same turn is lost, and it is counted,
 * packet by packet, but not as sent. */
static void test_conference_what_srtp_refuses_is_not_sent(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(63);
	struct pl_sim_peer *listener = join(sim, 1, false), *other = join(sim, 1, false), *talker = join(sim, 0, true);
	pl_sim_run(sim, SETTLE_MS);
	struct pl_slot_spec slot = listener->description.slot[0];
	for (uint32_t i = 0; i < PL_SRTP_SSRCS_MAX; i++) {
		slot.ssrc = 7000 + i; /* one more in each offer, which signaling does not do */
		pl_sim_take_slots(listener, &slot, 1);
		pl_sim_run(sim, 100);
	}
	struct pl_conference_counters before = pl_conference_counters(sim->conference);
	const size_t heard = listener->slot[0].count, heard_by_other = other->slot[0].count;
	const uint32_t sent = talker->packets_sent;
	pl_sim_run(sim, 2000);
	const struct pl_conference_counters after = pl_conference_counters(sim->conference);
	const uint32_t more = talker->packets_sent - sent;
	/* And its reports, which have no SSRC to come from. */
	assert_in_range(after.drop[PL_DROP_SRTP_SPENT] - before.drop[PL_DROP_SRTP_SPENT], more - 2, more + 4);
	assert_in_range(after.rtp_out - before.rtp_out, more - 2, more + 2);
	assert_int_equal(listener->slot[0].count, heard);
	assert_in_range(other->slot[0].count - heard_by_other, more - 2, more + 2);
	assert_share(other, talker, SETTLE_MS, pl_sim_now_ms(sim) - 100, 1, 1);
	pl_sim_destroy(&sim);
}

static struct pl_holding holding(const struct pl_sim *sim)
{
	struct pl_holding sum = { 0 };
	pl_conference_add_holding(sim->conference, &sum);
	return sum;
}

/* An association that has settled holds nothing of OpenSSL's any more, and is not said to. */
static void test_conference_settled_handshakes_hold_nothing(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(32);
	for (int i = 0; i < 3; i++)
		join(sim, 3, i == 0);
	assert_int_equal(holding(sim).bytes[PL_HOLDING_HANDSHAKES], 3 * PL_CONFERENCE_ASSOCIATION_BYTES);
	pl_sim_run(sim, 40000);
	assert_int_equal(holding(sim).bytes[PL_HOLDING_HANDSHAKES], 0);
	assert_int_equal(pl_conference_counters(sim->conference).participants, 3);
	pl_sim_destroy(&sim);
}

/* Hanging up: the others' slots are empty at once, nothing is left behind, and nobody is told what it asked for. */
static void test_conference_leave_leaves_nothing_behind(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(12);
	struct pl_sim_peer *peer[3];
	for (int i = 0; i < 3; i++)
		peer[i] = join(sim, 3, true);
	pl_sim_run(sim, 2000);
	const struct pl_holding held = holding(sim);
	assert_true(held.bytes[PL_HOLDING_TABLES] > 0 && held.bytes[PL_HOLDING_KEYS] > 0);
	const uint64_t sent = pl_network_counters(sim->network)->sent;
	pl_sim_leave(peer[0]);
	assert_true(pl_network_counters(sim->network)->sent > sent); /* close_notify */
	for (int i = 1; i < 3; i++) {
		for (int slot = 0; slot < 3; slot++)
			assert_true(peer[i]->slots_event.slots.slot[slot].source != peer[0]->source);
	}
	pl_sim_run(sim, 500);
	pl_sim_leave(peer[1]);
	pl_sim_leave(peer[2]);
	const struct pl_conference_counters counters = pl_conference_counters(sim->conference);
	assert_int_equal(counters.participants, 0);
	assert_int_equal(counters.rooms, 0);
	assert_int_equal(holding(sim).bytes[PL_HOLDING_HANDSHAKES], 0);
	assert_true(pl_conference_deadline(sim->conference) == INT64_MAX);
	for (int i = 0; i < 3; i++)
		assert_int_equal(peer[i]->gone_events, 0);
	pl_sim_destroy(&sim);
}

/* A browser that is killed is missed after 30 s without a check; one that closes its connection is at once. */
static void test_conference_lost_participants_are_told(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(13);
	struct pl_sim_peer *killed = join(sim, 3, true), *closing = join(sim, 3, true), *stays = join(sim, 3, true);
	pl_sim_run(sim, 2000);
	pl_sim_close(closing);
	pl_sim_run(sim, 100);
	assert_int_equal(closing->gone_events, 1);
	assert_int_equal(closing->close, PL_CLOSE_PEER);
	pl_sim_kill(killed);
	pl_sim_run(sim, PL_ICE_CONSENT_MS - PL_PEER_CONSENT_MS - 1000);
	assert_int_equal(killed->gone_events, 0);
	pl_sim_run(sim, PL_PEER_CONSENT_MS + 1500);
	assert_int_equal(killed->gone_events, 1);
	assert_int_equal(killed->close, PL_CLOSE_CONSENT);
	assert_int_equal(stays->gone_events, 0);
	assert_int_equal(pl_conference_counters(sim->conference).participants, 1);
	for (int slot = 0; slot < 3; slot++)
		assert_int_equal(stays->slots_event.slots.slot[slot].source, 0);
	pl_sim_destroy(&sim);
}

/* One who never connects is not kept for ever. */
static void test_conference_setup_that_never_ends_is_given_up(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(14);
	struct pl_sim_peer *p = join(sim, 3, true);
	pl_sim_kill(p);
	pl_sim_run(sim, PL_TRANSPORT_SETUP_MS + 100);
	assert_int_equal(p->gone_events, 1);
	assert_int_equal(p->close, PL_CLOSE_SETUP_TIMEOUT);
	assert_int_equal(pl_conference_counters(sim->conference).rooms, 0);
	pl_sim_destroy(&sim);
}

/* A full server says no, each time, and those who are in notice nothing; a resume is no newcomer. */
static void test_conference_full_tables_refuse(void **state)
{
	(void)state;
	struct pl_sim *sim =
		pl_sim_create(&(struct pl_sim_config){ .seed = 15, .participants_max = 2, .rooms_max = 1 });
	struct pl_sim_peer *a = join(sim, 3, true);
	struct pl_sim_peer *other_room =
		pl_sim_join(sim, &(struct pl_sim_join){ .room = ROOM + 1, .hz = 900, .slots = 3 });
	struct pl_sim_peer *b = join(sim, 3, true), *third = join(sim, 3, true);
	assert_int_equal(other_room->refused_events, 1);
	assert_int_equal(third->refused_events, 1);
	pl_sim_run(sim, 2000);
	assert_int_equal(third->connected_events, 0);
	assert_share(a, b, SETTLE_MS, 1900, 1, 1);
	pl_sim_rejoin(a);
	assert_int_equal(a->refused_events, 0);
	pl_sim_leave(b);
	pl_sim_rejoin(third);
	pl_sim_run(sim, 2000);
	assert_int_equal(third->refused_events, 1);
	assert_share(a, third, 3000, 3900, 1, 1);
	pl_sim_destroy(&sim);
}

/* Signaling is slow and takes no events for a while: afterwards it knows all that matters, each thing once. */
static void test_conference_events_wait_without_loss(void **state)
{
	(void)state;
	struct pl_sim *sim = pl_sim_create(&(struct pl_sim_config){ .seed = 16, .participants_max = 3 });
	struct pl_sim_peer *a = join(sim, 2, false), *b = join(sim, 2, false), *c = join(sim, 2, false);
	sim->with_events = false;
	struct pl_sim_peer *refused = join(sim, 2, false);
	pl_sim_run(sim, 1000);
	for (int turn = 0; turn < 6; turn++) {
		pl_sim_talk(turn % 2 == 0 ? a : b, true);
		pl_sim_run(sim, 1000);
		pl_sim_talk(turn % 2 == 0 ? a : b, false);
		pl_sim_run(sim, 1000);
	}
	pl_sim_close(c);
	pl_sim_talk(b, true);
	pl_sim_run(sim, 1000);
	assert_int_equal(sim->event_count, 0);
	sim->with_events = true;
	pl_sim_run(sim, 1);
	assert_int_equal(refused->refused_events, 1);
	assert_int_equal(a->connected_events, 1);
	assert_int_equal(b->connected_events, 1);
	assert_int_equal(c->gone_events, 1);
	assert_true(pl_sim_slot_of(a, b) >= 0 && pl_sim_slot_of(a, c) < 0);
	assert_in_range(sim->event_count, 6, 7);
	const struct pl_event *last = &sim->event[sim->event_count - 1].event;
	assert_int_equal(last->kind, PL_EVENT_SPEAKERS);
	assert_int_equal(last->speakers.count, 1);
	assert_int_equal(last->speakers.top[0], b->source);
	pl_sim_destroy(&sim);
}

/* A browser that is lost and comes back before anybody was told must not be thrown out by the old news. */
static void test_conference_old_news_do_not_hit_who_came_back(void **state)
{
	(void)state;
	struct pl_sim *sim = pl_sim_create(&(struct pl_sim_config){ .seed = 19, .participants_max = 2 });
	struct pl_sim_peer *a = join(sim, 3, true), *b = join(sim, 3, true);
	pl_sim_run(sim, 1000);
	sim->with_events = false;
	pl_sim_close(a);
	pl_sim_close(b);
	pl_sim_run(sim, 100);
	assert_int_equal(pl_conference_counters(sim->conference).participants, 0);
	pl_sim_rejoin(a);
	pl_sim_leave(b);
	pl_sim_run(sim, 1000);
	sim->with_events = true;
	pl_sim_run(sim, 100);
	assert_int_equal(a->gone_events, 0);
	assert_int_equal(b->gone_events, 0);
	assert_int_equal(a->refused_events, 0);
	assert_int_equal(a->connected_events, 2);
	pl_sim_rejoin(b); /* its place is free again */
	pl_sim_run(sim, 2000);
	assert_share(a, b, 3200, 4100, 1, 1);
	pl_sim_destroy(&sim);
}

/* The list that lights up tiles: soon, only when it changes, at most five a second, and empty when all are silent. */
static void test_conference_speakers_are_told_on_change(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(17);
	struct pl_sim_peer *a = join(sim, 3, false), *b = join(sim, 3, false);
	pl_sim_run(sim, 1000);
	const size_t before = sim->event_count;
	pl_sim_talk(a, true);
	pl_sim_run(sim, 5000);
	pl_sim_talk(a, false);
	pl_sim_run(sim, 3000);
	pl_sim_talk(b, true);
	pl_sim_run(sim, 2000);
	static const struct {
		uint32_t count;
		int peer, dominant;
		int64_t from_ms, to_ms;
	} expected[] = { { 1, 0, 0, 1000, 1060 }, { 0, 0, 0, 6500, 6900 }, { 1, 1, 0, 9000, 9060 },
		{ 1, 1, 1, 9200, 9600 } };
	size_t told = 0;
	for (size_t i = before; i < sim->event_count; i++) {
		const struct pl_event *event = &sim->event[i].event;
		if (event->kind != PL_EVENT_SPEAKERS)
			continue;
		assert_true(told < PL_COUNT(expected));
		assert_in_range(sim->event[i].at_us / 1000, expected[told].from_ms, expected[told].to_ms);
		assert_int_equal(event->room, ROOM);
		assert_int_equal(event->speakers.count, expected[told].count);
		if (event->speakers.count > 0)
			assert_int_equal(event->speakers.top[0], sim->peer[expected[told].peer]->source);
		assert_int_equal(event->speakers.dominant, sim->peer[expected[told].dominant]->source);
		told++;
	}
	assert_int_equal(told, PL_COUNT(expected));
	pl_sim_destroy(&sim);
}

/* A talker whose packets stop in mid-word (its network is gone) is not shown as talking for the 30 s until it is missed. */
static void test_conference_talker_that_breaks_off_is_told_silent(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(18);
	struct pl_sim_peer *talker = join(sim, 3, true);
	join(sim, 3, false);
	pl_sim_run(sim, 2000);
	pl_sim_kill(talker);
	pl_sim_run(sim, PL_SPEAKER_VOICE_HANGOVER_MS + 300);
	const struct pl_event *last = &sim->event[sim->event_count - 1].event;
	assert_int_equal(last->kind, PL_EVENT_SPEAKERS);
	assert_int_equal(last->speakers.count, 0);
	assert_int_equal(last->speakers.dominant, talker->source);
	pl_sim_destroy(&sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conference_three_peers_hear_the_others),
		cmocka_unit_test(test_conference_rooms_do_not_hear_each_other),
		cmocka_unit_test(test_conference_talkers_are_heard_from_their_first_syllable),
		cmocka_unit_test(test_conference_crowd_is_heard_without_flapping),
		cmocka_unit_test(test_conference_change_of_talker_does_not_click),
		cmocka_unit_test(test_conference_talkers_of_one_ssrc_keep_numbering),
		cmocka_unit_test(test_conference_batches_lose_and_mix_up_nothing),
		cmocka_unit_test(test_conference_dry_pool_recovers),
		cmocka_unit_test(test_conference_every_packet_has_an_end),
		cmocka_unit_test(test_conference_mute_silences_at_once),
		cmocka_unit_test(test_conference_muted_from_the_start_is_never_heard),
		cmocka_unit_test(test_conference_bad_network_is_survived),
		cmocka_unit_test(test_conference_client_without_extensions_is_heard),
		cmocka_unit_test(test_conference_levels_arrive_as_they_were_sent),
		cmocka_unit_test(test_conference_join_again_replaces),
		cmocka_unit_test(test_conference_renegotiation_adds_a_slot),
		cmocka_unit_test(test_conference_slots_take_old_ssrcs_again),
		cmocka_unit_test(test_conference_what_srtp_refuses_is_not_sent),
		cmocka_unit_test(test_conference_settled_handshakes_hold_nothing),
		cmocka_unit_test(test_conference_leave_leaves_nothing_behind),
		cmocka_unit_test(test_conference_lost_participants_are_told),
		cmocka_unit_test(test_conference_setup_that_never_ends_is_given_up),
		cmocka_unit_test(test_conference_full_tables_refuse),
		cmocka_unit_test(test_conference_events_wait_without_loss),
		cmocka_unit_test(test_conference_old_news_do_not_hit_who_came_back),
		cmocka_unit_test(test_conference_speakers_are_told_on_change),
		cmocka_unit_test(test_conference_talker_that_breaks_off_is_told_silent),
	};
	return cmocka_run_group_tests(tests, pl_sim_setup, pl_sim_teardown);
}
