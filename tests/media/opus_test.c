#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <opus/opus.h>

#include "media/opus.h"
#include "media/rng.h"
#include "tests/support/sound.h"

enum { ROOM = PL_OPUS_PACKET_MAX, STEREO = 2 };

static struct pl_opus_templates *templates;

static void *take(size_t size)
{
	assert_int_equal(size % 64, 0);
	void *memory = aligned_alloc(64, size);
	assert_non_null(memory);
	memset(memory, 0xa5, size); /* nobody may count on zeroes */
	return memory;
}

static int setup(void **state)
{
	*state = take(pl_opus_templates_bytes());
	return pl_opus_templates_init(&templates, (struct pl_span){ *state, pl_opus_templates_bytes() }) == PL_ERR_NONE
		       ? 0
		       : -1;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static size_t frame_values(enum pl_opus_profile profile)
{
	if (profile == PL_OPUS_CELT_8K)
		return PL_OPUS_FRAME / 6;
	if (profile == PL_OPUS_CELT_10MS)
		return PL_OPUS_FRAME / 2;
	return PL_OPUS_FRAME * (profile == PL_OPUS_CELT_STEREO ? 2 : 1);
}

/* Frame number n of something to encode, frame_values(profile) values. */
static void sound(enum pl_opus_profile profile, unsigned n, float *pcm)
{
	float mono[PL_OPUS_FRAME];
	pl_sound_voice(mono, PL_OPUS_FRAME, (uint64_t)n * PL_OPUS_FRAME, 0.5);
	if (profile == PL_OPUS_CELT_STEREO) {
		for (size_t i = 0; i < PL_OPUS_FRAME; i++) {
			pcm[2 * i] = mono[i];
			pcm[2 * i + 1] = 0.5f * mono[i];
		}
	} else {
		for (size_t i = 0; i < frame_values(profile); i++)
			pcm[i] = mono[i * PL_OPUS_FRAME / frame_values(profile)];
	}
}

static size_t encode(struct pl_opus_encoder *e, enum pl_opus_profile profile, unsigned n, uint8_t out[static ROOM])
{
	float pcm[PL_OPUS_FRAME * STEREO];
	sound(profile, n, pcm);
	const size_t size = pl_opus_encode(e, pcm, false, (struct pl_span){ out, ROOM });
	assert_true(size > 1);
	return size;
}

/* Both must say the same of the frames from..to-1. */
static void assert_same_packets(
	struct pl_opus_encoder *a, struct pl_opus_encoder *b, enum pl_opus_profile profile, unsigned from, unsigned to)
{
	for (unsigned n = from; n < to; n++) {
		uint8_t packet[2][ROOM];
		const size_t size = encode(a, profile, n, packet[0]);
		assert_int_equal(encode(b, profile, n, packet[1]), size);
		assert_memory_equal(packet[0], packet[1], size);
	}
}

/* An encoder that is a copy of a template is as good as one that libopus has just created and that was set up alike. */
static void test_opus_template_copy_is_a_new_encoder(void **state)
{
	(void)state;
	static const struct {
		enum pl_opus_profile profile;
		int clock_hz, channels, application, signal, fec, bitrate, loss, vbr;
	} row[] = {
		{ PL_OPUS_CELT, 48000, 1, OPUS_APPLICATION_RESTRICTED_LOWDELAY, OPUS_AUTO, 0, 40000, 0, 1 },
		{ PL_OPUS_CELT_STEREO, 48000, 2, OPUS_APPLICATION_RESTRICTED_LOWDELAY, OPUS_AUTO, 0, 64000, 0, 1 },
		{ PL_OPUS_VOIP, 48000, 1, OPUS_APPLICATION_VOIP, OPUS_SIGNAL_VOICE, 1, 24000, 10, 1 },
		{ PL_OPUS_VOIP_LOW, 48000, 1, OPUS_APPLICATION_VOIP, OPUS_SIGNAL_VOICE, 0, 12000, 0, 0 },
		{ PL_OPUS_CELT_8K, 8000, 1, OPUS_APPLICATION_RESTRICTED_LOWDELAY, OPUS_AUTO, 0, 24000, 0, 1 },
		{ PL_OPUS_CELT_10MS, 48000, 1, OPUS_APPLICATION_RESTRICTED_LOWDELAY, OPUS_AUTO, 0, 40000, 0, 1 },
	};
	struct pl_opus_encoder *ours = take(pl_opus_encoder_bytes());
	for (size_t r = 0; r < PL_COUNT(row); r++) {
		int error;
		OpusEncoder *fresh = opus_encoder_create(row[r].clock_hz, row[r].channels, row[r].application, &error);
		assert_non_null(fresh);
		opus_encoder_ctl(fresh, OPUS_SET_SIGNAL(row[r].signal));
		opus_encoder_ctl(fresh, OPUS_SET_INBAND_FEC(row[r].fec));
		opus_encoder_ctl(fresh, OPUS_SET_BITRATE(row[r].bitrate));
		opus_encoder_ctl(fresh, OPUS_SET_COMPLEXITY(5));
		opus_encoder_ctl(fresh, OPUS_SET_PACKET_LOSS_PERC(row[r].loss));
		opus_encoder_ctl(fresh, OPUS_SET_VBR(row[r].vbr));
		pl_opus_encoder_start(ours, templates, row[r].profile);
		for (unsigned n = 0; n < 100; n++) {
			uint8_t packet[ROOM], expected[ROOM];
			float pcm[PL_OPUS_FRAME * STEREO];
			sound(row[r].profile, n, pcm);
			const int samples = (int)frame_values(row[r].profile) / row[r].channels;
			const int size = opus_encode_float(fresh, pcm, samples, expected, ROOM);
			assert_int_equal(encode(ours, row[r].profile, n, packet), size);
			assert_memory_equal(packet, expected, (size_t)size);
		}
		opus_encoder_destroy(fresh);
	}
	free(ours);
}

/* A listener of the shared mix begins to talk: its own stream goes on where the shared one is, to the bit. */
static void test_opus_copy_goes_on_as_the_original(void **state)
{
	(void)state;
	struct pl_opus_encoder *shared = take(pl_opus_encoder_bytes()), *own = take(pl_opus_encoder_bytes());
	for (enum pl_opus_profile profile = 0; profile < PL_OPUS_PROFILES; profile++) {
		pl_opus_encoder_start(shared, templates, profile);
		const struct pl_opus_tuning tuning = { .bitrate_bps = 28000, .complexity = 3, .loss_percent = 5 };
		pl_opus_encoder_tune(shared, &tuning);
		for (unsigned n = 0; n < 37; n++) {
			uint8_t packet[ROOM];
			encode(shared, profile, n, packet);
		}
		memset(own, 0x5a, pl_opus_encoder_bytes());
		pl_opus_encoder_copy(own, shared);
		assert_same_packets(shared, own, profile, 37, 90);
		const struct pl_opus_tuning copied = pl_opus_encoder_tuning(own);
		assert_int_equal(copied.bitrate_bps, 28000);
		assert_int_equal(copied.complexity, 3);
	}
	free(own);
	free(shared);
}

/* The ladder of complexity and bitrate is climbed in the middle of somebody's sentence: sizes follow, and a sine stays
 * one (a glitch would be heard against it). */
static void test_opus_tunes_live_without_a_glitch(void **state)
{
	(void)state;
	static const struct pl_opus_tuning step[] = { { 40000, 9, 0 }, { 40000, 0, 0 }, { 24000, 0, 0 },
		{ 64000, 2, 0 }, { 40000, 5, 0 } };
	enum { FRAMES_PER_STEP = 50, FRAMES = FRAMES_PER_STEP * (int)PL_COUNT(step), HZ = 440 };
	struct pl_opus_encoder *e = take(pl_opus_encoder_bytes());
	struct pl_opus_decoder *d = take(pl_opus_decoder_bytes());
	float *heard = take(sizeof(float) * FRAMES * PL_OPUS_FRAME);
	size_t bytes[PL_COUNT(step)] = { 0 };
	pl_opus_encoder_start(e, templates, PL_OPUS_CELT);
	pl_opus_decoder_start(d, templates);
	for (unsigned n = 0; n < FRAMES; n++) {
		float pcm[PL_OPUS_FRAME];
		uint8_t packet[ROOM];
		if (n % FRAMES_PER_STEP == 0)
			pl_opus_encoder_tune(e, &step[n / FRAMES_PER_STEP]);
		pl_sound_sine(pcm, PL_OPUS_FRAME, (uint64_t)n * PL_OPUS_FRAME, HZ, 0.5);
		const size_t size = pl_opus_encode(e, pcm, false, (struct pl_span){ packet, sizeof packet });
		bytes[n / FRAMES_PER_STEP] += size;
		const int samples =
			pl_opus_decode(d, (struct pl_bytes){ packet, size }, heard + n * PL_OPUS_FRAME, PL_OPUS_FRAME);
		assert_int_equal(samples, PL_OPUS_FRAME);
	}
	assert_true(bytes[2] < bytes[1] * 7 / 10);
	assert_true(bytes[3] > bytes[2] * 2);
	for (unsigned n = 5; n < FRAMES; n++) {
		const double snr = pl_sound_sine_snr_db(heard + n * PL_OPUS_FRAME, PL_OPUS_FRAME, HZ);
		if (snr < 20)
			fail_msg("frame %u: %.1f dB", n, snr);
	}
	free(heard);
	free(d);
	free(e);
}

/* How much louder than right (in dB) the first frames are that somebody hears who comes late into a stream. */
static double late_joiners_burst_db(unsigned joins_at, bool is_independent)
{
	struct pl_opus_encoder *e = take(pl_opus_encoder_bytes());
	struct pl_opus_decoder *there = take(pl_opus_decoder_bytes()), *late = take(pl_opus_decoder_bytes());
	pl_opus_encoder_start(e, templates, PL_OPUS_CELT);
	pl_opus_decoder_start(there, templates);
	pl_opus_decoder_start(late, templates);
	double burst_db = -100;
	for (unsigned n = 0; n < joins_at + 3; n++) {
		float pcm[PL_OPUS_FRAME], right[PL_OPUS_FRAME], heard[PL_OPUS_FRAME];
		uint8_t packet[ROOM];
		pl_sound_voice(pcm, PL_OPUS_FRAME, (uint64_t)n * PL_OPUS_FRAME, 0.05);
		const size_t size = pl_opus_encode(
			e, pcm, is_independent && n == joins_at, (struct pl_span){ packet, sizeof packet });
		const struct pl_bytes bytes = { packet, size };
		assert_int_equal(pl_opus_decode(there, bytes, right, PL_OPUS_FRAME), PL_OPUS_FRAME);
		if (n < joins_at)
			continue;
		assert_int_equal(pl_opus_decode(late, bytes, heard, PL_OPUS_FRAME), PL_OPUS_FRAME);
		const double db = 20 * log10((pl_sound_rms(heard, PL_OPUS_FRAME) + 1e-6) /
					       (pl_sound_rms(right, PL_OPUS_FRAME) + 1e-6));
		if (db > burst_db)
			burst_db = db;
	}
	free(late);
	free(there);
	free(e);
	return burst_db;
}

/* Who joins the shared mix in the middle of a word must not be shouted at: an independent frame begins at its level. */
static void test_opus_independent_frame_spares_the_late_joiner(void **state)
{
	(void)state;
	double worst_plain = -100, worst_independent = -100;
	for (unsigned joins_at = 20; joins_at < 80; joins_at += 3) {
		const double plain = late_joiners_burst_db(joins_at, false);
		const double independent = late_joiners_burst_db(joins_at, true);
		worst_plain = plain > worst_plain ? plain : worst_plain;
		worst_independent = independent > worst_independent ? independent : worst_independent;
	}
	if (worst_plain < 6 || worst_independent > 1)
		fail_msg("without: %.1f dB, with: %.1f dB", worst_plain, worst_independent);
}

/* What packet_samples takes, decode decodes to just that; what it refuses, decode refuses.  Every length of a real
 * packet, and noise; each in memory of its exact size. */
static void assert_consistent(struct pl_opus_decoder *d, const uint8_t *data, size_t size)
{
	static float pcm[PL_OPUS_SAMPLES_MAX];
	uint8_t *exact = malloc(size > 0 ? size : 1);
	assert_non_null(exact);
	memcpy(exact, data, size);
	const struct pl_bytes packet = { exact, size };
	const int samples = pl_opus_packet_samples(packet),
		  decoded = pl_opus_decode(d, packet, pcm, PL_OPUS_SAMPLES_MAX);
	if (samples < 0) {
		assert_true(decoded < 0);
		assert_true(pl_opus_recover(d, packet, pcm, PL_OPUS_FRAME) < 0);
		assert_false(pl_opus_packet_has_fec(packet));
	} else {
		assert_int_equal(decoded, samples);
		assert_int_equal(samples, opus_packet_get_nb_samples(exact, (opus_int32)size, PL_OPUS_CLOCK_HZ));
		for (int i = 0; i < decoded; i++)
			assert_true(isfinite(pcm[i]));
		assert_int_equal(pl_opus_recover(d, packet, pcm, PL_OPUS_FRAME), PL_OPUS_FRAME);
	}
	free(exact);
}

static void test_opus_malformed_packets_are_refused(void **state)
{
	(void)state;
	struct pl_opus_encoder *e = take(pl_opus_encoder_bytes());
	struct pl_opus_decoder *d = take(pl_opus_decoder_bytes());
	uint8_t packet[PL_DATAGRAM_SIZE_MAX + 8];
	pl_opus_decoder_start(d, templates);
	assert_true(pl_opus_packet_samples((struct pl_bytes){ NULL, 0 }) < 0);
	for (enum pl_opus_profile profile = 0; profile < PL_OPUS_PROFILES; profile++) {
		pl_opus_encoder_start(e, templates, profile);
		for (unsigned n = 0; n < 2; n++) {
			const size_t size = encode(e, profile, n, packet);
			for (size_t length = 0; length <= size; length++) {
				assert_consistent(d, packet, length);
				packet[0] |= 3; /* the same as a packet of several frames */
				assert_consistent(d, packet, length);
				packet[0] &= 0xfc;
			}
		}
	}
	struct pl_rng rng;
	pl_rng_init(&rng, 7);
	for (int i = 0; i < 5000; i++) {
		const size_t size = pl_rng_below(&rng, i % 10 == 0 ? (uint32_t)sizeof packet : 40);
		for (size_t k = 0; k < size; k++)
			packet[k] = (uint8_t)pl_rng_below(&rng, 256);
		assert_consistent(d, packet, size);
	}
	memset(packet, 0, sizeof packet);
	assert_true(pl_opus_packet_samples((struct pl_bytes){ packet, PL_OPUS_PACKET_MAX + 1 }) >
		    0); /* exactly as large as may be */
	assert_true(pl_opus_packet_samples((struct pl_bytes){ packet, PL_OPUS_PACKET_MAX + 2 }) < 0);
	free(d);
	free(e);
}

/* A decoder that has no room says so and is as it was; a packet of two frames fits twice the room. */
static void test_opus_too_little_room_changes_nothing(void **state)
{
	(void)state;
	struct pl_opus_encoder *e = take(pl_opus_encoder_bytes());
	struct pl_opus_decoder *a = take(pl_opus_decoder_bytes()), *b = take(pl_opus_decoder_bytes());
	float pcm[2][PL_OPUS_FRAME];
	uint8_t packet[ROOM];
	pl_opus_encoder_start(e, templates, PL_OPUS_CELT);
	pl_opus_decoder_start(a, templates);
	pl_opus_decoder_start(b, templates);
	for (unsigned n = 0; n < 5; n++) {
		const struct pl_bytes bytes = { packet, encode(e, PL_OPUS_CELT, n, packet) };
		assert_true(pl_opus_decode(a, bytes, pcm[0], PL_OPUS_FRAME - PL_OPUS_UNIT) < 0);
		assert_int_equal(pl_opus_decode(a, bytes, pcm[0], PL_OPUS_FRAME), PL_OPUS_FRAME);
		assert_int_equal(pl_opus_decode(b, bytes, pcm[1], PL_OPUS_FRAME), PL_OPUS_FRAME);
		assert_memory_equal(pcm[0], pcm[1], sizeof pcm[0]);
	}
	free(b);
	free(a);
	free(e);
}

/* The first two bytes tell how long a packet is, whatever follows; a packet that is none of that length plays no longer. */
static void test_opus_packet_ms_is_told_by_its_begin(void **state)
{
	(void)state;
	uint8_t packet[200] = { 0 };
	assert_int_equal(pl_opus_packet_ms((struct pl_bytes){ packet, 0 }), 0);
	for (int toc = 0; toc < 256; toc++) {
		for (int count = 0; count < 256; count++) {
			packet[0] = (uint8_t)toc;
			packet[1] = (uint8_t)count;
			const struct pl_bytes whole = { packet, sizeof packet }, bare = { packet, 1 };
			const uint8_t ms = pl_opus_packet_ms(whole);
			const int samples = pl_opus_packet_samples(whole);
			assert_in_range(ms, 0, PL_OPUS_PACKET_MS_MAX);
			if (samples > 0)
				assert_int_equal(ms, (samples + 47) / 48);
			if ((toc & 3) == 3)
				assert_int_equal(pl_opus_packet_ms(bare), 0);
			else
				assert_int_equal(pl_opus_packet_ms(bare), ms);
		}
	}
}

/* What packet_has_fec says is so when the decoder makes something else of the packet than a guess.  (Where the guess is
 * in another mode than the packet, or longer than 20 ms, it differs without FEC, too.) */
static void test_opus_has_fec_as_the_decoder_finds_it(void **state)
{
	(void)state;
	struct pl_opus_decoder *d = take(pl_opus_decoder_bytes()), *copy = take(pl_opus_decoder_bytes());
	static const int frame_ms[] = { 10, 20, 40, 60 };
	unsigned with = 0, without = 0;
	uint8_t toc = 0;
	for (size_t f = 0; f < PL_COUNT(frame_ms); f++) {
		for (int channels = 1; channels <= 2; channels++) {
			int error;
			const int samples = frame_ms[f] * 48;
			OpusEncoder *e = opus_encoder_create(48000, channels, OPUS_APPLICATION_VOIP, &error);
			assert_non_null(e);
			opus_encoder_ctl(e, OPUS_SET_INBAND_FEC(1));
			opus_encoder_ctl(e, OPUS_SET_BITRATE(28000 * channels));
			opus_encoder_ctl(e, OPUS_SET_SIGNAL(OPUS_SIGNAL_VOICE));
			pl_opus_decoder_start(d, templates);
			for (int n = 0; n < 60; n++) {
				static float pcm[2880], interleaved[2880 * 2], fec[2880], plc[2880];
				uint8_t packet[ROOM];
				opus_encoder_ctl(e, OPUS_SET_PACKET_LOSS_PERC(n % 20 < 10 ? 20 : 0));
				pl_sound_voice(pcm, (size_t)samples, (uint64_t)(n * samples), 0.5);
				for (int i = 0; i < samples * channels; i++)
					interleaved[i] = pcm[i / channels];
				const int size = opus_encode_float(e, interleaved, samples, packet, ROOM);
				assert_true(size > 1);
				const struct pl_bytes bytes = { packet, (size_t)size };
				assert_int_equal(pl_opus_packet_samples(bytes), samples);
				memcpy(copy, d, pl_opus_decoder_bytes());
				assert_int_equal(pl_opus_recover(copy, bytes, fec, (size_t)samples), samples);
				memcpy(copy, d, pl_opus_decoder_bytes());
				assert_int_equal(pl_opus_conceal(copy, plc, (size_t)samples), samples);
				const bool is_other = memcmp(fec, plc, (size_t)samples * sizeof *fec) != 0;
				const bool has_fec = pl_opus_packet_has_fec(bytes);
				if (n > 0 && has_fec)
					assert_true(is_other);
				if (n > 0 && !has_fec && packet[0] == toc && samples <= PL_OPUS_FRAME)
					assert_false(is_other);
				with += has_fec;
				without += !has_fec && !is_other;
				toc = packet[0];
				assert_int_equal(pl_opus_decode(d, bytes, pcm, 2880), samples);
			}
			opus_encoder_destroy(e);
		}
	}
	assert_true(with > 100 && without > 100);
	free(copy);
	free(d);
}

/* Of each word the first two packets are lost.  A guess is the silence from before; FEC has the second one, in its
 * rising part quieter than it was said (1.3.1 by 14 dB, 1.5.2, which spends fewer bits on it, by up to 19), but by less than 20 dB, and
 * 34 dB above the guess. */
static void test_opus_recovers_what_was_lost(void **state)
{
	(void)state;
	enum { FRAMES = 400, PERIOD = 20, FROM = 13, KNOWN = FROM + 2 };
	struct pl_opus_encoder *e = take(pl_opus_encoder_bytes());
	struct pl_opus_decoder *lossy = take(pl_opus_decoder_bytes()), *guess = take(pl_opus_decoder_bytes());
	unsigned count = 0;
	double said = 0;
	pl_opus_encoder_start(e, templates, PL_OPUS_VOIP);
	pl_opus_decoder_start(lossy, templates);
	for (unsigned n = 0; n < FRAMES; n++) {
		float pcm[PL_OPUS_FRAME], made[PL_OPUS_FRAME], guessed[PL_OPUS_FRAME];
		uint8_t packet[ROOM];
		const unsigned at = n % PERIOD;
		pl_sound_voice(pcm, PL_OPUS_FRAME, (uint64_t)(n % PERIOD) * PL_OPUS_FRAME, at >= FROM ? 0.5 : 0.0005);
		if (at == FROM + 1)
			said = pl_sound_rms(pcm, PL_OPUS_FRAME);
		const struct pl_bytes bytes = { packet,
			pl_opus_encode(e, pcm, false, (struct pl_span){ packet, sizeof packet }) };
		if (at == FROM || at == FROM + 1)
			continue;
		if (at == KNOWN && pl_opus_packet_has_fec(bytes)) {
			assert_int_equal(pl_opus_conceal(lossy, made, PL_OPUS_FRAME), PL_OPUS_FRAME);
			memcpy(guess, lossy, pl_opus_decoder_bytes());
			assert_int_equal(pl_opus_conceal(guess, guessed, PL_OPUS_FRAME), PL_OPUS_FRAME);
			assert_int_equal(pl_opus_recover(lossy, bytes, made, PL_OPUS_FRAME), PL_OPUS_FRAME);
			const double recovered = pl_sound_rms(made, PL_OPUS_FRAME);
			if (recovered < said / 10 || recovered > said * 2 ||
				pl_sound_rms(guessed, PL_OPUS_FRAME) > recovered / 50)
				fail_msg("frame %u: said %.3f, recovered %.3f, guessed %.4f", n, said, recovered,
					pl_sound_rms(guessed, PL_OPUS_FRAME));
			count++;
		}
		assert_int_equal(pl_opus_decode(lossy, bytes, made, PL_OPUS_FRAME), PL_OPUS_FRAME);
	}
	assert_int_equal(count, FRAMES / PERIOD);
	free(guess);
	free(lossy);
	free(e);
}

static void test_opus_templates_need_all_their_memory(void **state)
{
	(void)state;
	void *memory = take(pl_opus_templates_bytes());
	struct pl_opus_templates *made = NULL;
	assert_int_equal(pl_opus_templates_init(&made, (struct pl_span){ memory, pl_opus_templates_bytes() - 1 }),
		PL_ERR_NO_MEMORY);
	assert_null(made);
	assert_non_null(strstr(pl_opus_version(), "opus"));
	free(memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_opus_template_copy_is_a_new_encoder),
		cmocka_unit_test(test_opus_copy_goes_on_as_the_original),
		cmocka_unit_test(test_opus_tunes_live_without_a_glitch),
		cmocka_unit_test(test_opus_independent_frame_spares_the_late_joiner),
		cmocka_unit_test(test_opus_malformed_packets_are_refused),
		cmocka_unit_test(test_opus_too_little_room_changes_nothing),
		cmocka_unit_test(test_opus_packet_ms_is_told_by_its_begin),
		cmocka_unit_test(test_opus_has_fec_as_the_decoder_finds_it),
		cmocka_unit_test(test_opus_recovers_what_was_lost),
		cmocka_unit_test(test_opus_templates_need_all_their_memory),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
