#include "sfu/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/sim/conference_sim.h"

enum { ROOM = 3, CLOCK_PER_MS = 48 };

static struct pl_sim_peer *join(struct pl_sim *sim, uint8_t slots, bool is_talking)
{
	return pl_sim_join(
		sim, &(struct pl_sim_join){ .room = ROOM, .hz = 500, .slots = slots, .is_talking = is_talking });
}

static struct pl_sim *make_sim(uint64_t seed)
{
	return pl_sim_create(&(struct pl_sim_config){ .seed = seed });
}

/* Lip sync and the statistics page live on sender reports: they come about once a second for each slot that has sent,
 * and say the truth about time, packets and octets. */
static void test_report_sender_reports_tell_the_truth(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(1);
	struct pl_sim_peer *a = join(sim, 3, true), *b = join(sim, 3, true);
	pl_sim_run(sim, 1200);
	assert_in_range(a->reports, 1, 2); /* the first one comes soon */
	pl_sim_run(sim, 18800);
	assert_in_range(a->sender_reports, 15, 27);
	assert_in_range(b->sender_reports, 15, 27);
	assert_true(a->has_cname);

	const int slot = pl_sim_slot_of(a, b);
	assert_true(slot >= 0);
	const struct pl_rtcp_sender *sr = &a->sender[slot];
	assert_int_equal(sr->ssrc, a->description.slot[slot].ssrc);
	const struct pl_sim_slot *heard = &a->slot[slot];
	uint32_t packets = 0, octets = 0;
	const struct pl_sim_packet *last = NULL;
	for (size_t i = 0; i < heard->count && heard->packet[i].at_us <= a->sender_us[slot]; i++) {
		last = &heard->packet[i];
		packets++;
		octets += last->size;
	}
	assert_int_equal(sr->packets, packets);
	assert_int_equal(sr->octets, octets);

	/* The report left one link's delay before it came, and so did the last packet: its timestamp and the report's
	 * are as far apart as the two moments. */
	const int64_t sent_us = a->sender_us[slot] - PL_SIM_LINK_DELAY_MS * 1000;
	const uint64_t ntp_us = (uint64_t)sent_us + UINT64_C(3900000000) * 1000000;
	assert_int_equal(sr->ntp >> 32, ntp_us / 1000000);
	const int64_t fraction_us = (int64_t)((sr->ntp & 0xffffffff) * 1000000 >> 32);
	assert_true(llabs(fraction_us - (int64_t)(ntp_us % 1000000)) <= 1);
	assert_non_null(last);
	const int64_t apart = (a->sender_us[slot] - last->at_us) * CLOCK_PER_MS / 1000;
	assert_true(llabs((int32_t)(sr->ts - last->ts) - apart) <= 1);
	pl_sim_destroy(&sim);
}

/* A publisher learns how its packets arrive: loss and jitter of its own link, measured here. */
static void test_report_publisher_learns_its_loss(void **state)
{
	(void)state;
	for (uint64_t seed = 2; seed < 5; seed++) {
		struct pl_sim *sim = make_sim(seed);
		struct pl_sim_peer *p = join(sim, 3, true);
		pl_sim_run(sim, 2000);
		assert_int_equal(p->block.ssrc, p->ssrc);
		assert_int_equal(p->block.lost, 0);
		assert_int_equal(p->block.jitter, 0);
		p->link = (struct pl_network_link){ .loss_permille = 100, .delay_us = 15000, .jitter_us = 10000 };
		pl_sim_run(sim, 20000);
		if (p->block.lost < 50 || p->block.lost > 150 || p->block.jitter == 0 || p->block.fraction_lost > 128)
			fail_msg("seed %d: lost %d, jitter %u", (int)seed, (int)p->block.lost,
				(unsigned)p->block.jitter);
		pl_sim_destroy(&sim);
	}
}

/* A publisher who hears two others gets a sender report for each slot in one packet, and its own loss in it once: twice
 * would be counted twice by who sums up over an interval. */
static void test_report_tells_a_track_once_per_packet(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(10);
	struct pl_sim_peer *peer[3];
	for (size_t i = 0; i < PL_COUNT(peer); i++)
		peer[i] = join(sim, 3, true);
	pl_sim_run(sim, 3000);
	for (size_t i = 0; i < PL_COUNT(peer); i++) {
		const struct pl_sim_peer *p = peer[i];
		const struct pl_sim_peer *others[] = { peer[(i + 1) % 3], peer[(i + 2) % 3] };
		int64_t at_us[2];
		for (size_t k = 0; k < PL_COUNT(others); k++) {
			const int slot = pl_sim_slot_of(p, others[k]);
			assert_in_range(slot, 0, 2);
			assert_int_equal(p->sender[slot].ssrc, p->description.slot[slot].ssrc);
			at_us[k] = p->sender_us[slot];
		}
		assert_int_equal(at_us[0], at_us[1]); /* both in the last one */
		assert_int_equal(p->blocks, 1);
		assert_int_equal(p->blocks_max, 1);
	}
	pl_sim_destroy(&sim);
}

/* The round trip that a browser shows comes from its own sender report, mirrored. */
static void test_report_mirrors_the_publishers_sender_report(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(5);
	struct pl_sim_peer *p = join(sim, 1, true);
	pl_sim_run(sim, 1500);
	assert_int_equal(p->block.last_sr, 0);
	uint8_t packet[64];
	struct pl_span out = { packet, sizeof packet };
	const struct pl_rtcp_sender sender = { .ssrc = p->ssrc, .ntp = UINT64_C(0x1122334455667788) };
	assert_true(pl_rtcp_write_sr(&out, &sender, NULL, 0));
	pl_sim_send_rtcp(p, (struct pl_bytes){ packet, sizeof packet - out.size });
	pl_sim_run(sim, 3000);
	assert_int_equal(p->block.last_sr, 0x33445566);
	assert_in_range(p->block.delay_since_sr, 65536 / 2, 65536 * 3);
	pl_sim_destroy(&sim);
}

/* Who ends a stream by BYE is off the others' slots at once, and back with the next packet. */
static void test_report_bye_ends_the_stream(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(6);
	struct pl_sim_peer *listener = join(sim, 1, false), *talker = join(sim, 1, true);
	pl_sim_run(sim, 2000);
	assert_int_equal(pl_sim_slot_of(listener, talker), 0);
	uint8_t packet[64];
	struct pl_span out = { packet, sizeof packet };
	assert_true(pl_rtcp_write_bye(&out, &talker->ssrc, 1));
	talker->frame_us += 500000;
	pl_sim_send_rtcp(talker, (struct pl_bytes){ packet, sizeof packet - out.size });
	pl_sim_run(sim, 100);
	assert_int_equal(pl_sim_slot_of(listener, talker), -1);
	pl_sim_run(sim, 1000);
	assert_int_equal(pl_sim_slot_of(listener, talker), 0);
	pl_sim_destroy(&sim);
}

/* What receivers ask for again is counted. */
static void test_report_nacks_are_counted(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(7);
	struct pl_sim_peer *p = join(sim, 1, true);
	pl_sim_run(sim, 1000);
	uint8_t packet[64];
	struct pl_span out = { packet, sizeof packet };
	assert_true(pl_rtcp_write_nack(&out, 1, 2, (const uint16_t[]){ 5, 6, 9 }, 3));
	pl_sim_send_rtcp(p, (struct pl_bytes){ packet, sizeof packet - out.size });
	pl_sim_run(sim, 50);
	assert_int_equal(pl_conference_counters(sim->conference).nacks_in, 3);
	pl_sim_destroy(&sim);
}

/* Nobody talks, nobody is reported to: a thousand silent rooms cost nothing.  And a room that begins together does not
 * report together. */
static void test_report_silence_costs_nothing_and_starts_are_spread(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(8);
	struct pl_sim_peer *talker = join(sim, 1, true);
	for (int i = 0; i < 12; i++)
		pl_sim_mute(join(sim, 1, false), true);
	for (int i = 1; i <= 12; i++)
		sim->peer[i]->frame_us = INT64_MAX; /* they do not even send */
	pl_sim_run(sim, 5000);
	int64_t at_us[13];
	uint32_t same = 0;
	for (int i = 1; i <= 12; i++) {
		assert_true(sim->peer[i]->sender_reports > 0);
		at_us[i] = sim->peer[i]->sender_us[0];
		for (int k = 1; k < i; k++)
			same += llabs(at_us[k] - at_us[i]) < 1000;
	}
	assert_in_range(same, 0, 3);

	talker->frame_us = INT64_MAX;
	pl_sim_run(sim, 5000);
	uint32_t reports = 0, later = 0;
	for (int i = 0; i <= 12; i++)
		reports += sim->peer[i]->reports;
	pl_sim_run(sim, 5000);
	for (int i = 0; i <= 12; i++)
		later += sim->peer[i]->reports;
	assert_int_equal(later, reports);
	pl_sim_destroy(&sim);
}

/* Broken RTCP under valid keys is dropped by name, and the call goes on. */
static void test_report_malformed_rtcp_is_dropped(void **state)
{
	(void)state;
	struct pl_sim *sim = make_sim(9);
	struct pl_sim_peer *p = join(sim, 1, true);
	pl_sim_run(sim, 1000);
	pl_sim_send_rtcp(p, (struct pl_bytes){ (const uint8_t[]){ 0x81, 200, 0, 9, 1, 2, 3, 4 }, 8 });
	pl_sim_run(sim, 50);
	assert_int_equal(pl_conference_counters(sim->conference).drop[PL_DROP_RTCP_MALFORMED], 1);
	assert_int_equal(p->gone_events, 0);
	pl_sim_destroy(&sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_report_sender_reports_tell_the_truth),
		cmocka_unit_test(test_report_publisher_learns_its_loss),
		cmocka_unit_test(test_report_tells_a_track_once_per_packet),
		cmocka_unit_test(test_report_mirrors_the_publishers_sender_report),
		cmocka_unit_test(test_report_bye_ends_the_stream),
		cmocka_unit_test(test_report_nacks_are_counted),
		cmocka_unit_test(test_report_silence_costs_nothing_and_starts_are_spread),
		cmocka_unit_test(test_report_malformed_rtcp_is_dropped),
	};
	return cmocka_run_group_tests(tests, pl_sim_setup, pl_sim_teardown);
}
