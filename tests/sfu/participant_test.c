#include "sfu/participant.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <opus/opus.h>

#include "media/opus.h"

enum { SOURCE = 9, OPUS = 111, CLOCK_HZ = 48000 };

struct fixture {
	struct pl_participant p;
	struct pl_speakers speakers;
	struct pl_rng rng;
	struct pl_description description;
};

static struct pl_track_spec track_spec(uint32_t id, const char *mid, uint32_t ssrc)
{
	struct pl_track_spec spec = { .track = id, .ssrc = ssrc, .clock_hz = CLOCK_HZ, .payload_type = OPUS };
	strncpy(spec.mid, mid, sizeof spec.mid - 1);
	return spec;
}

static struct pl_slot_spec slot_spec(const char *mid, uint32_t ssrc)
{
	struct pl_slot_spec spec = { .ssrc = ssrc, .clock_hz = CLOCK_HZ, .payload_type = OPUS };
	strncpy(spec.mid, mid, sizeof spec.mid - 1);
	return spec;
}

static void apply(struct fixture *f)
{
	pl_participant_apply(&f->p, &f->description, &f->speakers, &f->rng);
}

static void init(struct fixture *f, uint8_t track_count)
{
	*f = (struct fixture){ .p.source = SOURCE, .description.track_count = track_count };
	pl_speakers_init(&f->speakers, 4);
	pl_rng_init(&f->rng, 1);
	f->description.track[0] = track_spec(1, "a", 0);
	f->description.track[1] = track_spec(2, "b", 0);
	apply(f);
}

/* The track's id, or the drop as a negative number. */
static int match(struct fixture *f, uint32_t ssrc, uint8_t payload_type, const char *mid)
{
	const struct pl_rtp rtp = { .ssrc = ssrc, .payload_type = payload_type };
	const struct pl_rtp_ext ext = {
		.has = { [PL_RTP_EXT_MID] = mid != NULL },
		.mid = { (const uint8_t *)mid, mid != NULL ? strlen(mid) : 0 },
	};
	struct pl_track *track = NULL;
	const enum pl_drop drop = pl_participant_match(&f->p, &rtp, &ext, &track);
	return drop != PL_DROP_NONE ? -(int)drop : (int)track->spec.track;
}

/* Browsers send the mid for the first packets only: afterwards the SSRC must do. */
static void test_participant_mid_latches_the_ssrc(void **state)
{
	(void)state;
	struct fixture f;
	init(&f, 2);
	assert_int_equal(match(&f, 70, OPUS, NULL), -PL_DROP_RTP_UNKNOWN_TRACK);
	assert_int_equal(match(&f, 70, OPUS, "b"), 2);
	assert_int_equal(match(&f, 70, OPUS, NULL), 2);
	assert_int_equal(match(&f, 80, OPUS, "c"), -PL_DROP_RTP_UNKNOWN_TRACK); /* of an m-line that was rejected */
	assert_int_equal(match(&f, 90, OPUS, NULL), 1); /* the only one left whose SSRC nobody told */
	assert_int_equal(match(&f, 91, OPUS, NULL), -PL_DROP_RTP_UNKNOWN_TRACK);
}

/* A stream that begins anew under another SSRC is the same track, with reception counted from the start. */
static void test_participant_new_ssrc_of_a_mid_is_a_restart(void **state)
{
	(void)state;
	struct fixture f;
	init(&f, 2);
	assert_int_equal(match(&f, 70, OPUS, "a"), 1);
	pl_reception_packet(&f.p.track[0].reception, 1, 5, 6);
	assert_true(f.p.track[0].reception.is_started);
	const uint32_t bps = pl_bitrate_packet(&f.p.track[0].bitrate, 1, 6, 1000);
	assert_int_equal(match(&f, 71, OPUS, "a"), 1);
	assert_false(f.p.track[0].reception.is_started);
	/* What the talker sends is measured on: else it would begin anew each second, and send what it likes. */
	assert_int_equal(pl_bitrate_packet(&f.p.track[0].bitrate, 1, 6, 1000), 2 * bps);
	assert_int_equal(match(&f, 70, OPUS, NULL), 2); /* the old SSRC is free again */
}

/* The mid is the newer word: an SSRC that moves to another m-line leaves the first. */
static void test_participant_ssrc_moves_with_its_mid(void **state)
{
	(void)state;
	struct fixture f;
	init(&f, 2);
	assert_int_equal(match(&f, 70, OPUS, "a"), 1);
	assert_int_equal(match(&f, 70, OPUS, "b"), 2);
	assert_int_equal(match(&f, 70, OPUS, NULL), 2);
	assert_false(f.p.track[0].is_latched);
}

/* A codec that was not negotiated is no audio of ours, and must not take the track's place either. */
static void test_participant_wrong_payload_type_latches_nothing(void **state)
{
	(void)state;
	struct fixture f;
	init(&f, 1);
	assert_int_equal(match(&f, 70, 0, "a"), -PL_DROP_RTP_UNKNOWN_PAYLOAD);
	assert_int_equal(match(&f, 70, 0, NULL), -PL_DROP_RTP_UNKNOWN_TRACK);
	assert_false(f.p.track[0].is_latched);
	assert_int_equal(match(&f, 80, OPUS, NULL), 1);
}

/* A renegotiation keeps what goes on (its reception, its place on air), drops what ended, takes what is new. */
static void test_participant_update_keeps_tracks_by_mid(void **state)
{
	(void)state;
	struct fixture f;
	init(&f, 2);
	assert_int_equal(match(&f, 70, OPUS, "a"), 1);
	assert_int_equal(match(&f, 80, OPUS, "b"), 2);
	struct pl_track *a = pl_participant_track(&f.p, 1), *b = pl_participant_track(&f.p, 2);
	pl_reception_packet(&b->reception, 1, 5, 6);
	assert_true(pl_speakers_packet(&f.speakers, &a->speaker, 1, 30, true));
	assert_true(pl_speakers_packet(&f.speakers, &b->speaker, 1, 30, true));

	f.description.track[0] = track_spec(3, "c", 4711);
	apply(&f);
	assert_null(pl_participant_track(&f.p, 1));
	assert_ptr_equal(pl_participant_track(&f.p, 2), b);
	assert_true(b->speaker.is_on_air && b->reception.is_started);
	assert_int_equal(f.speakers.count, 1);
	assert_int_equal(match(&f, 70, OPUS, NULL), -PL_DROP_RTP_UNKNOWN_TRACK);
	assert_int_equal(match(&f, 4711, OPUS, NULL), 3);

	f.description.track[1] = track_spec(2, "b", 81);
	f.description.track[1].is_muted = true;
	apply(&f);
	assert_int_equal(match(&f, 81, OPUS, NULL), 2);
	assert_false(b->reception.is_started); /* another SSRC is another stream */
	assert_int_equal(f.speakers.count, 0);
}

/* A slot that stays, stays: numbering, who is in it, what was counted; also when it gets another place in the list. */
static void test_participant_update_keeps_slots_by_mid(void **state)
{
	(void)state;
	struct fixture f;
	init(&f, 1);
	f.description.slot_count = 2;
	f.description.slot[0] = slot_spec("x", 10);
	f.description.slot[1] = slot_spec("y", 11);
	apply(&f);
	struct pl_speaker talker[2];
	for (uint32_t i = 0; i < 2; i++) {
		pl_speaker_init(&talker[i], 100 + i, 200 + i);
		pl_speakers_packet(&f.speakers, &talker[i], 1, 30, true);
	}
	assert_true(pl_participant_refit(&f.p, &f.speakers, 1));
	assert_false(pl_participant_refit(&f.p, &f.speakers, 1));
	f.p.slot[1].packets = 5;
	const struct pl_rewrite before = f.p.slot[1].rewrite;

	f.description.slot[0] = slot_spec("y", 11);
	f.description.slot[1] = slot_spec("z", 12);
	apply(&f);
	assert_int_equal(f.p.slot[0].packets, 5);
	assert_int_equal(f.p.slot[0].rewrite.seq_last, before.seq_last);
	assert_int_equal(f.p.slots.source[0], 101);
	assert_int_equal(f.p.slots.source[1], 0);
	assert_int_equal(f.p.slot[1].packets, 0);
	assert_true(pl_participant_refit(&f.p, &f.speakers, 2));
	assert_int_equal(f.p.slots.source[0], 101);
	assert_int_equal(f.p.slots.source[1], 100);
}

/* Sends so many packets through the slot; returns the last number. */
static uint16_t send(struct pl_slot *slot, int64_t now_us, uint16_t count)
{
	struct pl_rtp rtp = { .seq = 0 };
	for (uint16_t i = 0; i < count; i++) {
		rtp = (struct pl_rtp){ .ssrc = 77, .seq = (uint16_t)(500 + i), .ts = 960u * i };
		assert_int_equal(pl_rewrite_forward(&slot->rewrite, now_us, &rtp), PL_DROP_NONE);
		slot->packets++;
		slot->octets += 100;
	}
	return rtp.seq;
}

/* Under one key no number may come twice: whatever slots come and go, an SSRC that is given again goes on behind its last
 * number, also over its end, and counts on, as its sender reports have to. */
static void test_participant_ssrc_given_again_goes_on(void **state)
{
	(void)state;
	struct fixture f;
	init(&f, 1);
	uint16_t last[PL_SLOT_SSRCS_MAX] = { 0 };
	uint32_t packets[PL_SLOT_SSRCS_MAX] = { 0 };
	for (uint32_t round = 0; round < 200; round++) {
		f.description.slot_count = PL_SLOTS_MAX;
		for (uint32_t i = 0; i < PL_SLOTS_MAX; i++)
			f.description.slot[i] =
				slot_spec(round % 2 == 0 ? "x" : "y", 1 + (round * 7 + i) % PL_SLOT_SSRCS_MAX);
		apply(&f);
		for (uint32_t i = 0; i < PL_SLOTS_MAX; i++) {
			struct pl_slot *slot = &f.p.slot[i];
			const uint32_t at = slot->spec.ssrc - 1;
			assert_int_equal(slot->packets, packets[at]);
			assert_int_equal(slot->octets, 100 * packets[at]);
			if (packets[at] > 0)
				assert_int_equal((uint16_t)(slot->rewrite.seq_last - last[at]), 0);
			const uint16_t more = (uint16_t)((round * 31 + i * 257) % 2900); /* sometimes none */
			if (more == 0)
				continue;
			last[at] = send(slot, 1000 * round, more);
			packets[at] += more;
		}
	}
}

/* SSRCs may even change places in one step. */
static void test_participant_ssrcs_swap(void **state)
{
	(void)state;
	struct fixture f;
	init(&f, 1);
	f.description.slot_count = 2;
	f.description.slot[0] = slot_spec("x", 10);
	f.description.slot[1] = slot_spec("y", 11);
	apply(&f);
	const uint16_t last[] = { send(&f.p.slot[0], 1, 5), send(&f.p.slot[1], 1, 9) };
	f.description.slot[0] = slot_spec("x", 11);
	f.description.slot[1] = slot_spec("y", 10);
	apply(&f);
	assert_int_equal(f.p.slot[0].rewrite.seq_last, last[1]);
	assert_int_equal(f.p.slot[1].rewrite.seq_last, last[0]);
	assert_int_equal(f.p.slot[0].packets, 9);
}

/* Who hears talkers and who the mix, and which: by what it wants, by what its slots take, by what the server can. */
static void test_participant_chooses_between_talkers_and_the_mix(void **state)
{
	(void)state;
	enum { NO_MIX = -1, NARROW_BPS = 20000, WIDE_BPS = 40000, TALKER_BPS = PL_MIX_TALKER_BPS };
	static const struct {
		enum pl_audio_mode mode;
		enum pl_mix_group wish;
		uint8_t slots;
		enum pl_coding coding;
		uint32_t bitrate_max_bps;
		bool is_lossy, can_mix;
		int group;
		enum pl_mode_refusal refusal;
	} of[] = {
		{ PL_AUDIO_FORWARD, 0, 3, 0, 0, false, true, NO_MIX, PL_MODE_GRANTED },
		{ PL_AUDIO_FORWARD, 0, 1, 0, 0, false, true, NO_MIX, PL_MODE_GRANTED },
		{ PL_AUDIO_MIXED, 0, 3, 0, 0, false, true, PL_MIX_FULL, PL_MODE_GRANTED },
		{ PL_AUDIO_MIXED, 0, 0, 0, 0, false, true, NO_MIX, PL_MODE_GRANTED },
		{ PL_AUDIO_MIXED, 0, 3, 0, 0, false, false, NO_MIX, PL_MODE_NO_WORKER },
		{ PL_AUDIO_AUTO, 0, 2, 0, 0, false, true, NO_MIX, PL_MODE_GRANTED },
		{ PL_AUDIO_AUTO, 0, 1, 0, 0, false, true, PL_MIX_FULL, PL_MODE_GRANTED },
		{ PL_AUDIO_AUTO, 0, 1, 0, 0, false, false, NO_MIX, PL_MODE_GRANTED },
		{ PL_AUDIO_MIXED, PL_MIX_STEREO, 1, 0, 0, false, true, PL_MIX_STEREO, PL_MODE_GRANTED },
		{ PL_AUDIO_MIXED, PL_MIX_STEREO, 1, 0, 0, true, true, PL_MIX_ROBUST, PL_MODE_GRANTED },
		{ PL_AUDIO_MIXED, PL_MIX_ROBUST, 1, 0, 0, false, true, PL_MIX_ROBUST, PL_MODE_GRANTED },
		{ PL_AUDIO_MIXED, 0, 1, 0, NARROW_BPS, false, true, PL_MIX_LOW, PL_MODE_GRANTED },
		/* Less than a talker has is the mix, in the best quality that it takes. */
		{ PL_AUDIO_FORWARD, 0, 3, 0, TALKER_BPS, false, true, NO_MIX, PL_MODE_GRANTED },
		{ PL_AUDIO_FORWARD, 0, 3, 0, TALKER_BPS - 1, false, true, PL_MIX_ROBUST, PL_MODE_GRANTED },
		{ PL_AUDIO_AUTO, 0, 2, 0, PL_MIX_ROBUST_BPS, false, true, PL_MIX_ROBUST, PL_MODE_GRANTED },
		{ PL_AUDIO_FORWARD, PL_MIX_STEREO, 2, 0, PL_MIX_ROBUST_BPS - 1, false, true, PL_MIX_LOW,
			PL_MODE_GRANTED },
		{ PL_AUDIO_FORWARD, 0, 2, 0, PL_MIX_LOW_BPS, false, true, PL_MIX_LOW, PL_MODE_GRANTED },
		{ PL_AUDIO_FORWARD, 0, 2, 0, PL_MIX_LOW_BPS - 1, false, true, PL_MIX_LOWEST, PL_MODE_GRANTED },
		{ PL_AUDIO_FORWARD, 0, 2, 0, 6000, true, true, PL_MIX_LOWEST, PL_MODE_GRANTED },
		{ PL_AUDIO_FORWARD, 0, 2, 0, NARROW_BPS, false, false, NO_MIX, PL_MODE_GRANTED },
		{ PL_AUDIO_MIXED, 0, 2, 0, WIDE_BPS - 1, false, true, PL_MIX_ROBUST, PL_MODE_GRANTED },
		{ PL_AUDIO_MIXED, PL_MIX_STEREO, 1, 0, PL_MIX_STEREO_BPS, false, true, PL_MIX_STEREO, PL_MODE_GRANTED },
		{ PL_AUDIO_MIXED, PL_MIX_STEREO, 1, 0, PL_MIX_STEREO_BPS - 1, false, true, PL_MIX_FULL,
			PL_MODE_GRANTED },
		{ PL_AUDIO_MIXED, 0, 1, 0, NARROW_BPS, true, true, PL_MIX_LOW, PL_MODE_GRANTED },
		{ PL_AUDIO_MIXED, 0, 1, 0, WIDE_BPS, false, true, PL_MIX_FULL, PL_MODE_GRANTED },
		/* G.711 cannot be forwarded what others send: it hears the mix, or nothing. */
		{ PL_AUDIO_FORWARD, 0, 3, PL_CODING_PCMU, 0, true, true, PL_MIX_PCMU, PL_MODE_GRANTED },
		{ PL_AUDIO_AUTO, PL_MIX_STEREO, 2, PL_CODING_PCMA, 0, false, true, PL_MIX_PCMA, PL_MODE_GRANTED },
		{ PL_AUDIO_FORWARD, 0, 1, PL_CODING_PCMA, 0, false, false, PL_MIX_PCMA, PL_MODE_NO_WORKER },
	};
	for (size_t i = 0; i < PL_COUNT(of); i++) {
		struct fixture f;
		init(&f, 1);
		f.description.slot_count = of[i].slots;
		for (uint8_t k = 0; k < of[i].slots; k++) {
			f.description.slot[k] = slot_spec(k == 0 ? "x" : k == 1 ? "y" : "z", 50u + k);
			f.description.slot[k].coding = of[i].coding;
			f.description.slot[k].bitrate_max_bps = of[i].bitrate_max_bps;
		}
		f.description.audio_mode = of[i].mode;
		f.description.mix_wish = of[i].wish;
		f.p.can_mix = of[i].can_mix;
		f.p.loss.is_lossy = of[i].is_lossy;
		apply(&f);
		if (f.p.slots.mix - 1 != of[i].group || pl_participant_refusal(&f.p) != of[i].refusal)
			fail_msg("case %zu: mix %d, refusal %d", i, f.p.slots.mix - 1, pl_participant_refusal(&f.p));
	}
}

/* Of slots with unequal limits the tightest counts, wherever it is, and one that says nothing loosens none. */
static void test_participant_keeps_to_its_tightest_slot(void **state)
{
	(void)state;
	static const uint32_t bps[][3] = { { PL_MIX_LOW_BPS, 64000, 0 }, { 64000, PL_MIX_LOW_BPS, 0 },
		{ 0, 64000, PL_MIX_LOW_BPS } };
	for (size_t i = 0; i < PL_COUNT(bps); i++) {
		struct fixture f;
		init(&f, 1);
		f.description.slot_count = 3;
		for (uint8_t k = 0; k < 3; k++) {
			f.description.slot[k] = slot_spec(k == 0 ? "x" : k == 1 ? "y" : "z", 50u + k);
			f.description.slot[k].bitrate_max_bps = bps[i][k];
		}
		f.description.audio_mode = PL_AUDIO_FORWARD;
		f.p.can_mix = true;
		apply(&f);
		assert_int_equal(f.p.slots.mix, PL_MIX_LOW + 1);
	}
}

/* Whoever's limit talkers keep to hears them, and the mix when they send more by a sixteenth; and who takes shorter packets than they
 * send.  A room without anybody of these looks at no packet. */
static void test_participant_hears_talkers_within_its_limits(void **state)
{
	(void)state;
	static const struct {
		uint32_t bitrate_max_bps;
		uint16_t ptime_max_ms;
		struct pl_talk talk;
		bool is_limited, is_mixed;
	} of[] = {
		{ 0, 0, { 510000, 120 }, false, false },
		{ 64000, 0, { 0, 0 }, true, false },
		{ 64000, 0, { 64000, 120 }, true, false },
		{ 64000, 0, { 68000, 20 }, true, false },
		{ 64000, 0, { 68001, 20 }, true, true },
		{ 32000, 0, { 34000, 20 }, true, false },
		{ 32000, 0, { 34001, 20 }, true, true },
		{ 510000, 0, { UINT32_MAX / 4, 20 }, true, true },
		{ PL_MIX_TALKER_BPS - 1, 0, { 0, 0 }, false, true }, /* whatever they send */
		{ 0, 20, { 510000, 20 }, true, false },
		{ 0, 20, { 0, 21 }, true, true },
		{ 0, 60, { 0, 60 }, true, false },
		{ 0, 119, { 0, 120 }, true, true },
		{ 0, 120, { 0, 120 }, false, false },
		{ 64000, 40, { 60000, 60 }, true, true },
		{ 64000, 40, { 96000, 20 }, true, true },
		{ 64000, 40, { 60000, 40 }, true, false },
		/* Shorter than most are: as soon as one comes; and shorter than any mix is: never. */
		{ 0, 10, { 0, 10 }, true, false },
		{ 0, 10, { 0, 20 }, true, true },
		{ 0, 19, { 0, 20 }, true, true },
		{ 0, 9, { 0, 20 }, false, false },
		{ 0, 1, { 0, 120 }, false, false },
		{ PL_MIX_SHORT_BPS, 10, { 0, 20 }, true, true },
		{ PL_MIX_SHORT_BPS - 1, 10, { 0, 20 }, true, false },
	};
	for (size_t i = 0; i < PL_COUNT(of); i++) {
		struct fixture f;
		init(&f, 1);
		f.description.slot_count = 2;
		f.description.slot[0] = slot_spec("x", 50);
		f.description.slot[1] = slot_spec("y", 51);
		f.description.slot[1].bitrate_max_bps = of[i].bitrate_max_bps;
		f.description.slot[1].ptime_max_ms = of[i].ptime_max_ms;
		f.description.audio_mode = PL_AUDIO_FORWARD;
		f.p.can_mix = true;
		f.p.talk = of[i].talk;
		apply(&f);
		if (pl_participant_is_limited(&f.p) != of[i].is_limited || (f.p.slots.mix != 0) != of[i].is_mixed)
			fail_msg("case %zu", i);
	}
}

/* Whoever takes no packets of 20 ms has those of 10, whatever else it wishes or needs; but for the bitrate, which is a limit, too. */
static void test_participant_hears_short_packets(void **state)
{
	(void)state;
	static const struct {
		uint16_t ptime_max_ms;
		uint32_t bitrate_max_bps;
		enum pl_mix_group wish;
		bool is_lossy;
		enum pl_coding coding;
		enum pl_mix_group group;
	} of[] = {
		{ 10, 0, PL_MIX_FULL, false, PL_CODING_OPUS, PL_MIX_SHORT },
		{ 19, 0, PL_MIX_STEREO, false, PL_CODING_OPUS, PL_MIX_SHORT },
		{ 15, 0, PL_MIX_ROBUST, true, PL_CODING_OPUS, PL_MIX_SHORT },
		{ 10, 510000, PL_MIX_FULL, false, PL_CODING_OPUS, PL_MIX_SHORT },
		{ 10, PL_MIX_SHORT_BPS, PL_MIX_STEREO, false, PL_CODING_OPUS, PL_MIX_SHORT },
		{ 10, PL_MIX_SHORT_BPS - 1, PL_MIX_STEREO, false, PL_CODING_OPUS, PL_MIX_ROBUST },
		{ 10, 6000, PL_MIX_FULL, false, PL_CODING_OPUS, PL_MIX_LOWEST },
		{ 20, 0, PL_MIX_FULL, false, PL_CODING_OPUS, PL_MIX_FULL },
		{ 9, 0, PL_MIX_FULL, false, PL_CODING_OPUS, PL_MIX_FULL },
		{ 10, 0, PL_MIX_FULL, false, PL_CODING_PCMA, PL_MIX_PCMA },
	};
	for (size_t i = 0; i < PL_COUNT(of); i++) {
		struct fixture f;
		init(&f, 1);
		f.description.slot_count = 1;
		f.description.slot[0] = slot_spec("x", 50);
		f.description.slot[0].coding = of[i].coding;
		f.description.slot[0].bitrate_max_bps = of[i].bitrate_max_bps;
		f.description.slot[0].ptime_max_ms = of[i].ptime_max_ms;
		f.description.audio_mode = PL_AUDIO_MIXED;
		f.description.mix_wish = of[i].wish;
		f.p.can_mix = true;
		f.p.loss.is_lossy = of[i].is_lossy;
		apply(&f);
		if (f.p.slots.mix - 1 != (int)of[i].group)
			fail_msg("case %zu: mix %d", i, f.p.slots.mix - 1);
	}
}

/* What ends a talker's stream is no longer than what its listener takes, and is silence. */
static void test_participant_parts_with_what_is_taken(void **state)
{
	(void)state;
	static const uint16_t ptime_max_ms[] = { 0, 20, 10 };
	for (size_t i = 0; i < PL_COUNT(ptime_max_ms); i++) {
		struct fixture f;
		uint8_t header[PL_RTP_TEMPLATE_SIZE_MAX];
		struct pl_bytes payload;
		init(&f, 1);
		f.description.slot_count = 1;
		f.description.slot[0] = slot_spec("x", 50);
		f.description.slot[0].ptime_max_ms = ptime_max_ms[i];
		apply(&f);
		f.p.slots.last[0] = 7;
		f.p.slot[0].rewrite.sent_last_us = 0;
		f.p.ended = 1;
		assert_true(pl_participant_part(&f.p, 1000, header, &payload) > 0);
		assert_int_equal(pl_opus_packet_ms(payload), i == 2 ? 10 : 20);
		int error;
		float pcm[960];
		OpusDecoder *decoder = opus_decoder_create(48000, 1, &error);
		assert_non_null(decoder);
		const int samples = opus_decode_float(decoder, payload.data, (int)payload.size, pcm, 960, 0);
		assert_int_equal(samples, i == 2 ? 480 : 960);
		for (int k = 0; k < samples; k++)
			assert_true(pcm[k] < 1e-4F && pcm[k] > -1e-4F);
		opus_decoder_destroy(decoder);
	}
}

/* A listener waits as long for a frame to begin with in packets of either length. */
static void test_participant_waits_for_a_start_in_ticks(void **state)
{
	(void)state;
	for (int is_short = 0; is_short < 2; is_short++) {
		struct fixture f;
		init(&f, 1);
		f.description.slot_count = 1;
		f.description.slot[0] = slot_spec("x", 50);
		f.description.slot[0].ptime_max_ms = is_short ? 10 : 20;
		f.description.audio_mode = PL_AUDIO_MIXED;
		f.p.can_mix = true;
		apply(&f);
		assert_true(pl_participant_refit(&f.p, &f.speakers, 0));
		assert_int_equal(f.p.slot[0].start_wait, PL_SLOT_START_WAIT * (is_short ? 2 : 1));
	}
}

/* One bad report is a bad second; five seconds of them are a bad network, and half a minute of good ones a good one. */
static void test_participant_loss_has_to_last(void **state)
{
	(void)state;
	static const struct {
		int64_t at_s;
		uint8_t lost; /* of 256 */
		bool changes, is_lossy;
	} of[] = {
		{ 1, 255, false, false },
		{ 5, 21, false, false },
		{ 5, 20, false, false }, /* a better one between */
		{ 6, 80, false, false },
		{ 10, 80, false, false },
		{ 11, 80, true, true },
		{ 12, 0, false, true },
		{ 41, 5, false, true },
		{ 41, 6, false, true }, /* not so good */
		{ 42, 0, false, true },
		{ 71, 0, false, true },
		{ 72, 0, true, false },
		{ 300, 0, false, false },
	};
	struct pl_loss loss = { .bad_since_us = INT64_MAX, .good_since_us = INT64_MAX };
	for (size_t i = 0; i < PL_COUNT(of); i++) {
		const bool changes = pl_loss_note(&loss, of[i].at_s * 1000000, of[i].lost);
		if (changes != of[i].changes || loss.is_lossy != of[i].is_lossy)
			fail_msg("report %zu", i);
	}
}

/* From talkers to the mix is a switch, from one quality to another is none: their clock is the same. */
static void test_participant_groups_are_one_stream(void **state)
{
	(void)state;
	struct fixture f;
	init(&f, 1);
	f.description.slot_count = 1;
	f.description.slot[0] = slot_spec("x", 50);
	f.p.can_mix = true;
	apply(&f);
	f.p.slot[0].rewrite.span = 7;
	static const struct {
		enum pl_audio_mode mode;
		enum pl_mix_group wish;
		bool goes_on;
	} of[] = {
		{ PL_AUDIO_MIXED, PL_MIX_FULL, false },
		{ PL_AUDIO_MIXED, PL_MIX_ROBUST, true },
		{ PL_AUDIO_AUTO, PL_MIX_FULL, true },
	};
	for (size_t i = 0; i < PL_COUNT(of); i++) {
		f.p.audio_mode = of[i].mode;
		f.p.mix_wish = of[i].wish;
		f.p.slot[0].start_wait = 0;
		pl_participant_choose_mix(&f.p);
		assert_true(pl_participant_refit(&f.p, &f.speakers, 0));
		assert_int_equal(f.p.slot[0].rewrite.span, of[i].goes_on ? 7 : 0);
		assert_int_equal(f.p.slot[0].start_wait, PL_SLOT_START_WAIT);
		f.p.slot[0].rewrite.span = 7;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_participant_mid_latches_the_ssrc),
		cmocka_unit_test(test_participant_new_ssrc_of_a_mid_is_a_restart),
		cmocka_unit_test(test_participant_ssrc_moves_with_its_mid),
		cmocka_unit_test(test_participant_wrong_payload_type_latches_nothing),
		cmocka_unit_test(test_participant_update_keeps_tracks_by_mid),
		cmocka_unit_test(test_participant_update_keeps_slots_by_mid),
		cmocka_unit_test(test_participant_ssrc_given_again_goes_on),
		cmocka_unit_test(test_participant_ssrcs_swap),
		cmocka_unit_test(test_participant_chooses_between_talkers_and_the_mix),
		cmocka_unit_test(test_participant_keeps_to_its_tightest_slot),
		cmocka_unit_test(test_participant_hears_talkers_within_its_limits),
		cmocka_unit_test(test_participant_hears_short_packets),
		cmocka_unit_test(test_participant_parts_with_what_is_taken),
		cmocka_unit_test(test_participant_waits_for_a_start_in_ticks),
		cmocka_unit_test(test_participant_loss_has_to_last),
		cmocka_unit_test(test_participant_groups_are_one_stream),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
