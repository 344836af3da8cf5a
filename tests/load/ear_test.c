#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/load/ear.h"
#include "tests/load/speech.h"

enum { PAYLOAD_BYTES = 100, MS = 1000000 };

/* Lateness is told beside the packet that came earliest after its due time; timestamps may wrap. */
static void test_ear_lateness_is_beside_the_earliest(void **state)
{
	(void)state;
	static const struct {
		int64_t at_ms;
		uint32_t ts;
		int64_t late_ms;
	} step[] = {
		{ 100, UINT32_MAX - 959, 0 }, { 125, 0, 5 }, { 140, 960, 0 },
		{ 158, 1920, 0 }, /* earlier than all before: it is the measure from now on */
		{ 180, 2880, 2 }, { 250, 3840, 52 }, { 251, 4800, 33 }, /* and the mix is catching up */
		{ 258, 6720, 0 }, { 259, 5760, 21 },                    /* out of order */
	};
	struct load_ear ear;
	load_ear_init(&ear, NULL, NULL);
	for (size_t i = 0; i < PL_COUNT(step); i++) {
		const struct load_arrived arrived = load_ear_arrival(&ear, step[i].at_ms * MS, step[i].ts, false);
		assert_int_equal(arrived.late_ns, step[i].late_ms * MS);
	}
}

/* A mix that pauses says so with the next packet's marker; what else is not there is missing, whatever its numbers say. */
static void test_ear_missing_ticks_are_counted(void **state)
{
	(void)state;
	static const struct {
		uint32_t ts;
		bool has_marker;
		uint32_t missing;
	} step[] = {
		{ 4000000000, true, 0 },
		{ 4000000960, false, 0 },
		{ 4000002880, false, 1 },
		{ 4000012480, false, 9 },
		{ 4000480000, true, 0 },
		{ 4000480960, false, 0 },
		{ 4000480000, false, 0 }, /* late or repeated */
		{ 4000481920, false, 1 },
	};
	struct load_ear ear;
	load_ear_init(&ear, NULL, NULL);
	for (size_t i = 0; i < PL_COUNT(step); i++)
		assert_int_equal(load_ear_arrival(&ear, (int64_t)i * 20 * MS, step[i].ts, step[i].has_marker).missing,
			step[i].missing);
}

struct stage {
	struct load_speech *speech;
	struct load_ear ear;
	void *decoder;
};

static int set_up(void **state)
{
	struct stage *s = calloc(1, sizeof *s);
	assert_non_null(s);
	s->speech = load_speech_create(PAYLOAD_BYTES);
	s->decoder = aligned_alloc(64, pl_opus_decoder_bytes());
	assert_non_null(s->speech);
	assert_non_null(s->decoder);
	load_ear_init(&s->ear, s->decoder, s->speech->templates);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct stage *s = *state;
	load_speech_destroy(&s->speech);
	assert_null(s->speech);
	free(s->decoder);
	free(s);
	return 0;
}

/* A pulse is heard once each second, where its first sample is: 6.5 ms of the encoder's lookahead later. */
static void test_ear_hears_where_pulses_begin(void **state)
{
	struct stage *s = *state;
	uint32_t onsets = 0;
	for (uint64_t frame = 0; frame < 2 * LOAD_SPEECH_FRAMES; frame++) {
		const struct load_heard heard = load_ear_listen(&s->ear, load_loop_frame(&s->speech->pulse, frame));
		assert_int_equal(heard.samples, PL_OPUS_FRAME);
		if (heard.onset < 0)
			continue;
		assert_int_equal(frame % LOAD_PULSE_FRAMES, 0);
		assert_in_range(heard.onset, PL_OPUS_CLOCK_HZ / 200, PL_OPUS_CLOCK_HZ / 100);
		onsets++;
	}
	assert_int_equal(
		onsets, 2 * LOAD_SPEECH_FRAMES / LOAD_PULSE_FRAMES - 1); /* before the first there was nothing */
}

static double level_of(struct stage *s, const struct load_loop *loop, uint64_t *bytes)
{
	double energy = 0;
	for (uint64_t frame = 0; frame < LOAD_SPEECH_FRAMES; frame++) {
		const struct pl_bytes payload = load_loop_frame(loop, frame);
		const struct load_heard heard = load_ear_listen(&s->ear, payload);
		assert_int_equal(heard.samples, PL_OPUS_FRAME);
		energy += heard.energy;
		*bytes += payload.size;
	}
	return energy / LOAD_SPEECH_FRAMES / PL_OPUS_FRAME;
}

/* Voices are heard, are of the size that was asked for, and differ; silence is silent. */
static void test_ear_hears_voices(void **state)
{
	struct stage *s = *state;
	for (int i = 0; i < LOAD_SPEECH_VOICES; i++) {
		uint64_t bytes = 0;
		assert_true(level_of(s, &s->speech->voice[i], &bytes) > 0.001);
		assert_in_range(bytes / LOAD_SPEECH_FRAMES, PAYLOAD_BYTES * 8 / 10, PAYLOAD_BYTES * 12 / 10);
		for (int k = 0; k < i; k++)
			assert_memory_not_equal(&s->speech->voice[k], &s->speech->voice[i], sizeof s->speech->voice[i]);
	}
	uint64_t bytes = 0;
	level_of(s, &s->speech->silence, &bytes); /* the last voice fades */
	assert_true(level_of(s, &s->speech->silence, &bytes) < 1e-9);
}

/* What is no Opus is told, and takes nothing from what follows. */
static void test_ear_tells_what_is_malformed(void **state)
{
	struct stage *s = *state;
	static const uint8_t wrong[] = { 0xff, 0x80 | 0x40 }; /* code 3 with no frames */
	assert_true(load_ear_listen(&s->ear, (struct pl_bytes){ wrong, sizeof wrong }).samples < 0);
	assert_true(load_ear_listen(&s->ear, (struct pl_bytes){ wrong, 0 }).samples < 0);
	assert_int_equal(load_ear_listen(&s->ear, load_loop_frame(&s->speech->pulse, 0)).samples, PL_OPUS_FRAME);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ear_lateness_is_beside_the_earliest),
		cmocka_unit_test(test_ear_missing_ticks_are_counted),
		cmocka_unit_test_setup_teardown(test_ear_hears_where_pulses_begin, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ear_hears_voices, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ear_tells_what_is_malformed, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
