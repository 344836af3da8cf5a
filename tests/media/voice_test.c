#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <opus/opus.h>

#include "media/rng.h"
#include "tests/sim/voice_sim.h"
#include "tests/support/sound.h"

static const struct pl_voice_sim_config tone = { PL_VOICE_SIM_TONE, PL_VOICE_SIM_CELT, 960, 0 };
static const struct pl_voice_sim_config speech = { PL_VOICE_SIM_SPEECH, PL_VOICE_SIM_CELT, 960, 0 };
static const struct pl_voice_sim_config robust = { PL_VOICE_SIM_SPEECH, PL_VOICE_SIM_VOIP, 960, 20 };

/* A sine stays one: nothing is added to what the codec does. */
static void test_voice_is_as_clean_as_the_codec(void **state)
{
	(void)state;
	for (int is_mixed = 0; is_mixed < 2; is_mixed++) {
		struct pl_voice_sim_config config = tone;
		config.frame = is_mixed ? 0 : 960;
		struct pl_voice_sim *w = pl_voice_sim_create(&config, 3, 8);
		pl_voice_sim_run(w, 8000);
		for (size_t at = (is_mixed ? 4 : 1) * 48000; at + 4800 <= w->heard_count; at += 4800) {
			const double snr = pl_sound_sine_snr_db(w->heard + at, 4800, PL_VOICE_SIM_HZ);
			if (snr < 30)
				fail_msg("mixed %d, at %zu ms: %.1f dB", is_mixed, at / 48, snr);
		}
		pl_voice_sim_destroy(w);
	}
}

/* A packet in ten is lost: the sentence goes on without a hole or a click. */
static void test_voice_loss_is_concealed(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct pl_voice_sim *w = pl_voice_sim_create(&tone, seed, 31);
		w->loss_percent = 10;
		pl_voice_sim_run(w, 30000);
		const struct pl_voice_gauges g = pl_voice_sim_gauges(w);
		assert_true(g.lost >= w->lost - 3 && g.lost <= w->lost);
		assert_in_range(g.concealed, w->lost * 960 * 8 / 10, w->lost * 960);
		unsigned holes = 0; /* where three and more are lost one after the other it may become quiet */
		for (size_t at = 48000; at + 960 <= w->heard_count; at += 480) {
			const double rms = pl_sound_rms(w->heard + at, 960), right = PL_VOICE_SIM_AMPLITUDE / sqrt(2);
			holes += rms < right * 0.4;
			if (rms < right * 0.1 || rms > right * 1.5)
				fail_msg("seed %u, at %zu ms: %.3f", (unsigned)seed, at / 48, rms);
		}
		assert_in_range(holes, 0, 30000 / 10 / 100);
		assert_true(pl_sound_amplitude(w->heard + 48000, w->heard_count - 48000, PL_VOICE_SIM_HZ) >
			    0.8 * PL_VOICE_SIM_AMPLITUDE);
		pl_voice_sim_destroy(w);
	}
}

/* With FEC most of what is lost is heard as it was said, since one packet more is waited for then. */
static void test_voice_uses_fec(void **state)
{
	(void)state;
	double recovered = 0, concealed = 0, possible = 0;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct pl_voice_sim *w = pl_voice_sim_create(&robust, seed, 31);
		w->loss_percent = 10;
		pl_voice_sim_run(w, 5000);
		const struct pl_voice_gauges before = pl_voice_sim_gauges(w);
		pl_voice_sim_run(w, 25000);
		const struct pl_voice_gauges g = pl_voice_sim_gauges(w);
		recovered += (double)(g.recovered - before.recovered);
		concealed += (double)(g.concealed - before.concealed);
		possible = pl_voice_sim_fec_share(&w->loop) * 0.9; /* when the next one is lost, too, there is none */
		assert_in_range(g.delay_us, 0, 35000);
		pl_voice_sim_destroy(w);
	}
	if (possible < 0.5 || recovered < 0.9 * possible * (recovered + concealed))
		fail_msg("%.2f recovered, %.2f could be", recovered / (recovered + concealed), possible);
}

/* The worst that is asked for: loss and jitter and reordering at once. */
static void test_voice_survives_loss_and_jitter(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct pl_voice_sim *w = pl_voice_sim_create(&tone, seed, 31);
		w->loss_percent = 10;
		w->jitter_us = 60000;
		pl_voice_sim_run(w, 5000);
		const struct pl_voice_gauges before = pl_voice_sim_gauges(w);
		pl_voice_sim_run(w, 25000);
		const struct pl_voice_gauges g = pl_voice_sim_gauges(w);
		const double concealed_percent =
			(double)(g.concealed - before.concealed) / (25000 * PL_VOICE_SIM_MS) * 100;
		double snr = 0;
		unsigned windows = 0;
		for (size_t at = 5 * 48000; at + 960 <= w->heard_count; at += 960, windows++)
			snr += fmin(pl_sound_sine_snr_db(w->heard + at, 960, PL_VOICE_SIM_HZ), 40);
		if (concealed_percent > 15 || snr / windows < 15 || g.delay_us > 100000)
			fail_msg("seed %u: %.1f %% concealed, %.1f dB, delay %u us", (unsigned)seed, concealed_percent,
				snr / windows, (unsigned)g.delay_us);
		pl_voice_sim_destroy(w);
	}
}

/* The mixer begins to listen in the middle of a sentence (and to stereo): what libopus makes too loud then, because it does
 * not know what came before, is faded in. */
static void test_voice_begins_in_the_middle_of_a_sentence(void **state)
{
	(void)state;
	struct pl_packet *packet = calloc(1, sizeof *packet);
	struct pl_voice *v = aligned_alloc(64, pl_voice_bytes());
	int error;
	double worst_db = -100;
	for (unsigned begins_at = 20; begins_at < 80; begins_at += 3) {
		OpusEncoder *e = opus_encoder_create(48000, 2, OPUS_APPLICATION_RESTRICTED_LOWDELAY, &error);
		OpusDecoder *d = opus_decoder_create(48000, 1, &error);
		opus_encoder_ctl(e, OPUS_SET_COMPLEXITY(1));
		pl_voice_start(v, pl_voice_sim_templates(), 1, 2);
		for (unsigned n = 0; n < begins_at + 3; n++) {
			float mono[960], stereo[1920], right[960], heard[960];
			uint8_t bytes[PL_OPUS_PACKET_MAX];
			pl_sound_voice(mono, 960, n * 960, 0.05);
			for (int i = 0; i < 1920; i++)
				stereo[i] = mono[i / 2];
			const int size = opus_encode_float(e, stereo, 960, bytes, sizeof bytes);
			assert_int_equal(opus_decode_float(d, bytes, size, right, 960, 0), 960);
			if (n < begins_at)
				continue;
			*packet = (struct pl_packet){
				.seq = (uint16_t)n, .ts = n * 960, .payload = { bytes, (size_t)size }
			};
			assert_int_equal(pl_voice_feed(v, n * 20000, packet), PL_DROP_NONE);
			assert_true(pl_voice_pull(v, n * 20000, n, pl_dsp_get(PL_SIMD_AUTO), heard));
			const double db =
				20 * log10((pl_sound_rms(heard, 960) + 1e-6) / (pl_sound_rms(right, 960) + 1e-6));
			worst_db = db > worst_db ? db : worst_db;
		}
		opus_decoder_destroy(d);
		opus_encoder_destroy(e);
	}
	if (worst_db > 8)
		fail_msg("%.1f dB louder than it was said", worst_db);
	free(v);
	free(packet);
}

/* A sine of angular frequency w has second differences of w * w * amplitude; fades and seams may add a little, a click is
 * 50 times as much. */
static void assert_no_click(const struct pl_voice_sim *w, size_t from, double most, const char *what)
{
	const float before[2] = { from > 1 ? w->heard[from - 2] : 0, from > 0 ? w->heard[from - 1] : 0 };
	const double click = pl_sound_click(w->heard + from, w->heard_count - from, before);
	if (click > most)
		fail_msg("%s: a bend of %.4f, allowed %.4f, a sine's %.4f", what, click, most,
			PL_VOICE_SIM_AMPLITUDE * pow(2 * 3.14159265 * PL_VOICE_SIM_HZ / 48000, 2));
}

/* A sound that ends while it fades in is not made louder by what is made up for it. */
static void test_voice_nothing_made_up_becomes_louder(void **state)
{
	(void)state;
	enum { STEP = 480 };
	const struct pl_voice_sim_config short_ones = { PL_VOICE_SIM_TONE, PL_VOICE_SIM_CELT, STEP, 0 };
	struct pl_voice_sim *w = pl_voice_sim_create(&short_ones, 9, 3);
	while (w->sent == 0)
		pl_voice_sim_talk_until(w, w->now_us += 1000);
	w->is_talking = false;
	pl_voice_sim_run(w, 400);
	size_t first = 0;
	while (fabsf(w->heard[first]) < 0.001F)
		first++;
	const double said = pl_sound_rms(w->heard + first + STEP / 2, STEP / 2);
	assert_true(said > 0.01);
	for (size_t at = first + STEP; at < first + 10 * STEP; at += STEP / 2)
		assert_true(pl_sound_rms(w->heard + at, STEP / 2) < 1.3 * said);
	pl_voice_sim_destroy(w);
}

/* Spurts begin and end anywhere in the wave; nothing clicks. */
static void test_voice_entries_and_exits_do_not_click(void **state)
{
	(void)state;
	struct pl_voice_sim *w = pl_voice_sim_create(&tone, 5, 60);
	for (int spurt = 0; spurt < 40; spurt++) {
		w->is_talking = true;
		pl_voice_sim_run(w, 400 + 20 * (spurt % 7));
		w->is_talking = false;
		pl_voice_sim_run(w, 60 + 60 * (spurt % 9)); /* shorter and longer than the fade */
	}
	assert_no_click(w, 0, 0.02, "spurts");
	pl_voice_sim_destroy(w);
}

static void test_voice_splices_and_losses_do_not_click(void **state)
{
	(void)state;
	struct pl_voice_sim *w = pl_voice_sim_create(&tone, 6, 80);
	for (int round = 0; round < 3; round++) {
		w->jitter_us = 60000;
		pl_voice_sim_run(w, 5000);
		w->jitter_us = 0;
		pl_voice_sim_run(w, 20000);
	}
	const struct pl_voice_gauges g = pl_voice_sim_gauges(w);
	if (g.lengthened < 1000 || g.shortened < 1000)
		fail_msg("%u put in, %u cut", (unsigned)g.lengthened, (unsigned)g.shortened);
	assert_no_click(w, 0, 0.02, "splices");
	pl_voice_sim_destroy(w);

	w = pl_voice_sim_create(&tone, 7, 31);
	w->loss_percent = 10;
	pl_voice_sim_run(w, 30000);
	assert_no_click(w, 0, 0.02, "losses");
	pl_voice_sim_destroy(w);
}

/* Who says nothing costs nothing: after the comfort tail no sound, no decoding, and the memory of what was said before does not
 * delay the next word. */
static void test_voice_silence_costs_nothing(void **state)
{
	(void)state;
	struct pl_voice_sim *w = pl_voice_sim_create(&speech, 8, 20);
	pl_voice_sim_run(w, 2000);
	w->is_talking = false;
	pl_voice_sim_run(w, 300);
	assert_true(pl_voice_is_silent(w->voice));
	const struct pl_voice_gauges before = pl_voice_sim_gauges(w);
	const uint64_t silent = w->silent_pulls;
	pl_voice_sim_run(w, 5000);
	const struct pl_voice_gauges g = pl_voice_sim_gauges(w);
	assert_int_equal(w->silent_pulls - silent, 250);
	assert_int_equal(g.decoded, before.decoded);
	assert_int_equal(g.concealed, before.concealed);
	assert_true(g.concealed <= 7 * 960);
	assert_int_equal(g.lost, 0); /* a pause is no loss */

	w->is_talking = true;
	int ticks = 1;
	while (!pl_voice_sim_tick(w))
		ticks++;
	assert_in_range(ticks, 1, 2);
	pl_voice_sim_destroy(w);
}

/* DTX: packets of one byte say "silence", and one real packet comes in 400 ms. */
static void test_voice_dtx_is_silence(void **state)
{
	(void)state;
	struct pl_voice_sim *w = pl_voice_sim_create(&speech, 8, 20);
	pl_voice_sim_run(w, 1000);
	w->is_talking = false;
	pl_voice_sim_run(w, 1000);
	const uint64_t silent = w->silent_pulls;
	struct pl_packet *packet = calloc(1, sizeof *packet);
	const uint8_t dtx = 0x48;
	for (int i = 0; i < 20; i++) {
		*packet = (struct pl_packet){ .ssrc = w->ssrc, .seq = w->seq++, .ts = w->ts, .payload = { &dtx, 1 } };
		pl_voice_sim_run(w, 100);
		assert_int_equal(pl_voice_feed(w->voice, w->now_us, packet), PL_DROP_NONE);
	}
	assert_int_equal(w->silent_pulls - silent, 100);
	free(packet);
	pl_voice_sim_destroy(w);
}

/* A publisher that begins anew (another SSRC, or timestamps and numbers from elsewhere) is heard again at once, and
 * without a click. */
static void test_voice_follows_a_publisher_that_began_anew(void **state)
{
	(void)state;
	static const struct {
		uint32_t ssrc_add, ts_add;
		uint16_t seq_add;
		int64_t within_ms;
	} row[] = {
		{ 1, 0, 0, 60 },
		{ 1, 0x70000000, 20000, 60 },
		{ 0, 0x70000000, 20000, 60 },
		{ 0, 0x90000000, 20000, 60 },
		{ 0, 200000, 0, 60 },
		{ 0, (uint32_t)-200000, 0, 700 },
		{ 0, (uint32_t)-200000, 30000, 60 },
	};
	for (size_t r = 0; r < PL_COUNT(row); r++) {
		struct pl_voice_sim *w = pl_voice_sim_create(&tone, r + 1, 10);
		pl_voice_sim_run(w, 3000);
		w->ssrc += row[r].ssrc_add;
		w->ts += row[r].ts_add;
		w->seq = (uint16_t)(w->seq + row[r].seq_add);
		const uint64_t silent = w->silent_pulls;
		pl_voice_sim_run(w, 3000);
		if ((int64_t)(w->silent_pulls - silent) * 20 > row[r].within_ms ||
			pl_voice_sim_gauges(w).restarted != 1)
			fail_msg("case %zu: %u silent ticks, restarted %u", r, (unsigned)(w->silent_pulls - silent),
				(unsigned)pl_voice_sim_gauges(w).restarted);
		assert_no_click(w, 0, 0.02, "a new beginning");
		assert_true(pl_sound_sine_snr_db(w->heard + w->heard_count - 48000, 48000, PL_VOICE_SIM_HZ) > 30);
		pl_voice_sim_destroy(w);
	}
}

/* Every length of a packet in the middle of a stream, and noise in its place: malformed ones are refused by name and
 * concealed, and the talker is heard afterwards. */
static void test_voice_malformed_packets_are_concealed(void **state)
{
	(void)state;
	struct pl_voice_sim *w = pl_voice_sim_create(&robust, 2, 120);
	struct pl_packet *packet = calloc(1, sizeof *packet);
	uint64_t malformed = 0, taken = 0;
	for (size_t length = 0; length < 260; length++) {
		pl_voice_sim_run(w, 160);
		pl_voice_sim_talk_until(w, w->tick_us);
		uint8_t *bytes = malloc(length > 0 ? length : 1);
		const size_t real = w->loop.size[w->place];
		memcpy(bytes, w->loop.bytes[w->place], length < real ? length : real);
		if (length > 100)
			for (size_t i = 0; i < length; i++)
				bytes[i] = (uint8_t)pl_rng_next(&w->rng);
		*packet = (struct pl_packet){
			.ssrc = w->ssrc, .seq = w->seq++, .ts = w->ts, .payload = { bytes, length }
		};
		w->ts += w->loop.samples[w->place];
		w->media_us += w->loop.samples[w->place] / 0.048;
		w->place = (w->place + 1) % w->loop.count;
		pl_voice_sim_deliver_until(w, w->tick_us);
		const enum pl_drop drop = pl_voice_feed(w->voice, w->tick_us, packet);
		assert_true(drop == PL_DROP_NONE || drop == PL_DROP_VOICE_MALFORMED);
		malformed += drop == PL_DROP_VOICE_MALFORMED;
		taken += drop == PL_DROP_NONE;
		free(bytes);
	}
	assert_int_equal(pl_voice_sim_gauges(w).malformed, malformed);
	assert_true(malformed > 20 && taken > 20);
	pl_voice_sim_run(w, 3000);
	assert_true(pl_sound_rms(w->heard + w->heard_count - 48000, 48000) > 0.02);
	free(packet);
	pl_voice_sim_destroy(w);
}

/* Whatever numbers, timestamps, lengths and times a peer chooses: no assertion, no sound that is none, and each packet ends
 * by a name. */
static void test_voice_takes_anything(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 30; seed++) {
		struct pl_voice_sim_config config = tone;
		config.frame = 0;
		struct pl_voice_sim *w = pl_voice_sim_create(&config, seed, 1);
		struct pl_packet *packet = calloc(1, sizeof *packet);
		float pcm[PL_VOICE_FRAME];
		int64_t now_us = 0;
		uint32_t tick = 0;
		for (int step = 0; step < 4000; step++) {
			const uint32_t kind = pl_rng_below(&w->rng, 100);
			const size_t place = pl_rng_below(&w->rng, (uint32_t)w->loop.count);
			packet->payload = (struct pl_bytes){ w->loop.bytes[place], w->loop.size[place] };
			packet->seq++;
			packet->ts += kind < 50 ? w->loop.samples[place] : pl_rng_below(&w->rng, 3000) - 1000;
			if (kind == 98)
				packet->ts = (uint32_t)pl_rng_next(&w->rng);
			if (kind == 99)
				packet->ssrc = pl_rng_below(&w->rng, 3);
			if (kind == 97)
				packet->seq = (uint16_t)pl_rng_next(&w->rng);
			const enum pl_drop drop = pl_voice_feed(w->voice, now_us, packet);
			assert_true(drop == PL_DROP_NONE || drop == PL_DROP_VOICE_LATE ||
				    drop == PL_DROP_VOICE_DUPLICATE || drop == PL_DROP_VOICE_FULL);
			if (pl_rng_below(&w->rng, 100) < (seed % 3 == 0 ? 5 : 60)) {
				tick = kind == 96 ? (uint32_t)pl_rng_next(&w->rng) : tick + 1 + (kind == 95);
				if (pl_voice_pull(w->voice, now_us, tick, pl_dsp_get(PL_SIMD_AUTO), pcm))
					for (size_t i = 0; i < PL_VOICE_FRAME; i++)
						assert_true(isfinite(pcm[i]) && fabsf(pcm[i]) < 8);
				now_us += pl_rng_below(&w->rng, 100) == 0 ? 3000000 : pl_rng_below(&w->rng, 40000);
			}
			(void)pl_voice_sim_gauges(w);
		}
		free(packet);
		pl_voice_sim_destroy(w);
	}
}

/* What libopus makes of these frames is 100 dB above full scale: it has no bound.  A voice has one, also where something is made up after
 * them, and forgets them with the next word. */
static void test_voice_is_never_far_above_full_scale(void **state)
{
	(void)state;
	static const uint8_t frame[] = { 0xf8, 0x58, 0x1e, 0xa6, 0xbb, 0xe0, 0x5a, 0x83, 0x29, 0xb0, 0xcb, 0x6e, 0x14,
		0xf0, 0x5d, 0x01, 0x47, 0xba, 0x7b, 0xe3, 0x51 };
	struct pl_opus_decoder *decoder = aligned_alloc(64, pl_opus_decoder_bytes());
	struct pl_voice_sim *w = pl_voice_sim_create(&tone, 1, 2);
	struct pl_packet *packet = calloc(1, sizeof *packet);
	const struct pl_dsp *dsp = pl_dsp_get(PL_SIMD_AUTO);
	float pcm[PL_VOICE_FRAME], most = 0, raw = 0;
	pl_opus_decoder_start(decoder, pl_voice_sim_templates());
	packet->payload = (struct pl_bytes){ frame, sizeof frame };
	for (uint32_t i = 0; i < 100; i++) {
		packet->seq = (uint16_t)i;
		packet->ts = i * PL_VOICE_FRAME;
		assert_int_equal(pl_opus_decode(decoder, packet->payload, pcm, PL_VOICE_FRAME), PL_VOICE_FRAME);
		raw = fmaxf(raw, dsp->peak(pcm, PL_VOICE_FRAME));
		if (i % 10 < 7)
			assert_int_equal(pl_voice_feed(w->voice, i * 20000, packet), PL_DROP_NONE);
		if (pl_voice_pull(w->voice, i * 20000, i, dsp, pcm))
			most = fmaxf(most, dsp->peak(pcm, PL_VOICE_FRAME));
	}
	assert_true(raw > 100000);
	assert_true(most > 1 && most <= PL_VOICE_PEAK_MAX);
	free(packet);
	free(decoder);
	pl_voice_sim_destroy(w);
}

/* Of another publisher nothing of the one before may be left: what is heard is bit for bit what a voice makes that has heard
 * no other. */
static void test_voice_forgets_the_publisher_before(void **state)
{
	(void)state;
	enum { COMPARED = 3 * PL_VOICE_FRAME };
	struct pl_voice_sim *only = pl_voice_sim_create(&speech, 1, 5), *second = pl_voice_sim_create(&speech, 1, 5);
	while (!pl_voice_sim_tick(only))
		;
	const float *expected = only->heard + only->heard_count - PL_VOICE_FRAME;
	pl_voice_sim_run(only, 100);

	pl_voice_sim_run(second, 1020); /* its loop is at its beginning again */
	const uint32_t place = (uint32_t)second->place;
	assert_int_equal(place, 0);
	second->ssrc++;
	pl_voice_sim_run(second, 20); /* the first packet, and the fade of what was before */
	const float *heard = second->heard + second->heard_count;
	pl_voice_sim_run(second, 100);
	assert_memory_equal(heard, expected, COMPARED * sizeof *heard);
	pl_voice_sim_destroy(second);
	pl_voice_sim_destroy(only);
}

/* A publisher corrects its clock by 9.5 ms: its next packet overlaps what was heard already.  That part is not heard again
 * (else the delay would grow by it), and the seam is evened out: a step would bend by 0.4. */
static void test_voice_overlap_is_heard_once(void **state)
{
	(void)state;
	struct pl_voice_sim *w = pl_voice_sim_create(&tone, 2, 10);
	for (int round = 0; round < 8; round++) {
		pl_voice_sim_run(w, 1000);
		w->ts -= 456; /* not a whole number of periods */
		pl_voice_sim_run(w, 20);
		w->ts += 456;
	}
	pl_voice_sim_run(w, 500);
	assert_no_click(w, 0, 0.1, "an overlap");
	pl_voice_sim_destroy(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_voice_is_as_clean_as_the_codec),
		cmocka_unit_test(test_voice_loss_is_concealed),
		cmocka_unit_test(test_voice_uses_fec),
		cmocka_unit_test(test_voice_survives_loss_and_jitter),
		cmocka_unit_test(test_voice_begins_in_the_middle_of_a_sentence),
		cmocka_unit_test(test_voice_nothing_made_up_becomes_louder),
		cmocka_unit_test(test_voice_entries_and_exits_do_not_click),
		cmocka_unit_test(test_voice_splices_and_losses_do_not_click),
		cmocka_unit_test(test_voice_silence_costs_nothing),
		cmocka_unit_test(test_voice_dtx_is_silence),
		cmocka_unit_test(test_voice_follows_a_publisher_that_began_anew),
		cmocka_unit_test(test_voice_malformed_packets_are_concealed),
		cmocka_unit_test(test_voice_takes_anything),
		cmocka_unit_test(test_voice_is_never_far_above_full_scale),
		cmocka_unit_test(test_voice_forgets_the_publisher_before),
		cmocka_unit_test(test_voice_overlap_is_heard_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
