/* The reference here is the standard's own form, tables 1 and 2 of ITU-T G.711: lists of decision values, searched. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "media/g711.h"
#include "media/rng.h"

enum { LAWS = 2, CODES = 128, SAMPLES = 65536 };

/* Decision values, and the shift that puts 16-bit samples on their scale: 14 bits for PCMU, 13 for PCMA. */
struct law {
	const char *name;
	int decision[CODES + 1]; /* code n is from decision[n] to decision[n + 1] */
	int to_16_bits;          /* factor */
};

static struct law laws[LAWS];

static int setup(void **state)
{
	(void)state;
	struct law *pcmu = &laws[PL_G711_PCMU], *pcma = &laws[PL_G711_PCMA];
	pcmu->name = "PCMU";
	pcmu->to_16_bits = 4;
	pcma->name = "PCMA";
	pcma->to_16_bits = 8;
	/* Table 2a: 1, then 15 intervals of 2, then 16 each of 4, 8, ... 256. */
	pcmu->decision[1] = 1;
	for (int n = 2; n <= CODES; n++)
		pcmu->decision[n] = pcmu->decision[n - 1] + (n <= 16 ? 2 : 2 << ((n - 1) / 16));
	/* Table 1a: 32 intervals of 2, then 16 each of 4, 8, ... 128. */
	for (int n = 1; n <= CODES; n++)
		pcma->decision[n] = pcma->decision[n - 1] + (n <= 32 ? 2 : 1 << ((n - 1) / 16));
	return pcmu->decision[CODES] == 8159 && pcma->decision[CODES] == 4096 ? 0 : -1;
}

/* The byte of a code: PCMU is sent inverted; PCMA with its even bits inverted, its sign is 1 above zero. */
static uint8_t byte_of(enum pl_g711_law law, int code, bool is_negative)
{
	if (law == PL_G711_PCMU)
		return (uint8_t) ~(code | (is_negative ? 0x80 : 0));
	return (uint8_t)((code | (is_negative ? 0 : 0x80)) ^ 0x55);
}

static int code_of(const struct law *law, int sample)
{
	const int magnitude = abs(sample);
	int code = 0;
	while (code < CODES - 1) {
		const int next = law->decision[code + 1] * law->to_16_bits;
		if (sample < 0 ? next >= magnitude : next > magnitude)
			break;
		code++;
	}
	return code;
}

static uint8_t encode_one(enum pl_g711_law law, float sample)
{
	uint8_t byte;
	pl_g711_encode(law, &sample, 1, &byte);
	return byte;
}

static float decode_one(enum pl_g711_law law, uint8_t byte)
{
	float sample;
	pl_g711_decode(law, &byte, 1, &sample);
	return sample;
}

/* Each code is the middle of its interval, but PCMU's first one is zero. */
static void test_g711_decodes_every_code(void **state)
{
	(void)state;
	for (int law = 0; law < LAWS; law++) {
		for (int code = 0; code < CODES; code++) {
			const struct law *l = &laws[law];
			const double middle = (l->decision[code] + l->decision[code + 1]) / 2.0;
			const double value = law == PL_G711_PCMU && code == 0 ? 0 : middle * l->to_16_bits / 32768;
			for (int sign = 0; sign < 2; sign++) {
				const uint8_t byte = byte_of((enum pl_g711_law)law, code, sign);
				const double got = decode_one((enum pl_g711_law)law, byte);
				if (got != (sign ? -value : value))
					fail_msg("%s 0x%02x: %g", l->name, byte, got);
			}
		}
	}
}

/* Telephones compare by ear, gateways bit by bit: every 16-bit sample gives the byte of the standard. */
static void test_g711_encodes_every_sample(void **state)
{
	(void)state;
	static float pcm[SAMPLES];
	static uint8_t bytes[SAMPLES];
	for (int i = 0; i < SAMPLES; i++)
		pcm[i] = (float)(i - SAMPLES / 2) / 32768;
	for (int law = 0; law < LAWS; law++) {
		pl_g711_encode((enum pl_g711_law)law, pcm, SAMPLES, bytes);
		for (int i = 0; i < SAMPLES; i++) {
			const int sample = i - SAMPLES / 2;
			const uint8_t byte = byte_of((enum pl_g711_law)law, code_of(&laws[law], sample), sample < 0);
			if (bytes[i] != byte)
				fail_msg("%s of %d: 0x%02x, not 0x%02x", laws[law].name, sample, bytes[i], byte);
		}
	}
}

/* Between the 16-bit values too: a louder sample never becomes a softer one, and what was coded once does not change
 * when it is coded again, through however many gateways it goes. */
static void test_g711_is_monotonic_and_idempotent(void **state)
{
	(void)state;
	for (int law = 0; law < LAWS; law++) {
		float last = -2;
		for (int i = -36000 * 8; i <= 36000 * 8; i++) {
			const uint8_t byte = encode_one((enum pl_g711_law)law, (float)i / 8 / 32768);
			const float decoded = decode_one((enum pl_g711_law)law, byte);
			if (decoded < last)
				fail_msg("%s of %d/8: %g after %g", laws[law].name, i, (double)decoded, (double)last);
			last = decoded;
		}
		for (int byte = 0; byte < 256; byte++) {
			const uint8_t again =
				encode_one((enum pl_g711_law)law, decode_one((enum pl_g711_law)law, (uint8_t)byte));
			const bool is_negative_zero = law == PL_G711_PCMU && byte == 0x7f;
			assert_int_equal(again, is_negative_zero ? 0xff : byte);
		}
	}
}

/* A mix may be louder than full scale, and a decoder fed by a stranger may say anything: the loudest byte of that sign,
 * never one that wraps into the other. */
static void test_g711_clips_what_is_too_loud(void **state)
{
	(void)state;
	static const float loud[] = { 1.0f, 1.5f, 100.0f, 1e30f, INFINITY };
	for (int law = 0; law < LAWS; law++) {
		for (size_t i = 0; i < PL_COUNT(loud); i++) {
			assert_int_equal(encode_one((enum pl_g711_law)law, loud[i]),
				byte_of((enum pl_g711_law)law, CODES - 1, false));
			assert_int_equal(encode_one((enum pl_g711_law)law, -loud[i]),
				byte_of((enum pl_g711_law)law, CODES - 1, true));
		}
		assert_int_equal(
			encode_one((enum pl_g711_law)law, NAN), byte_of((enum pl_g711_law)law, CODES - 1, false));
		/* What is nearly nothing is nothing, from both sides. */
		for (float tiny = 1e-3f; tiny > 0; tiny /= 3) {
			assert_int_equal(encode_one((enum pl_g711_law)law, tiny / 32768),
				byte_of((enum pl_g711_law)law, 0, false));
			const uint8_t below = encode_one((enum pl_g711_law)law, -tiny / 32768);
			assert_true(below == byte_of((enum pl_g711_law)law, 0, true) || tiny < 1e-30f);
		}
		assert_int_equal(encode_one((enum pl_g711_law)law, -0.0f), byte_of((enum pl_g711_law)law, 0, false));
	}
}

/* Whatever the length and the place, the vectors' ends do the same as one by one, and nothing beyond is touched. */
static void test_g711_of_every_length(void **state)
{
	(void)state;
	enum { LENGTH_MAX = 70, PLACES = 4 };
	struct pl_rng rng;
	float pcm[LENGTH_MAX + PLACES], decoded[LENGTH_MAX + PLACES + 1];
	uint8_t bytes[LENGTH_MAX + PLACES + 1];
	pl_rng_init(&rng, 711);
	for (size_t i = 0; i < PL_COUNT(pcm); i++)
		pcm[i] = (float)pl_rng_below(&rng, 1 << 20) / (1 << 19) - 1;
	for (int law = 0; law < LAWS; law++) {
		for (size_t length = 0; length <= LENGTH_MAX; length++) {
			for (size_t place = 0; place < PLACES; place++) {
				bytes[place + length] = 0x33;
				decoded[place + length] = 7;
				pl_g711_encode((enum pl_g711_law)law, &pcm[place], length, &bytes[place]);
				pl_g711_decode((enum pl_g711_law)law, &bytes[place], length, &decoded[place]);
				assert_int_equal(bytes[place + length], 0x33);
				assert_true(decoded[place + length] == 7);
				for (size_t i = place; i < place + length; i++) {
					assert_int_equal(bytes[i], encode_one((enum pl_g711_law)law, pcm[i]));
					assert_true(decoded[i] == decode_one((enum pl_g711_law)law, bytes[i]));
				}
			}
		}
	}
}

/* What is lost is the standard's quantisation and nothing else: G.712 wants at least 33 dB from -30 to 0 dBm0. */
static void test_g711_keeps_a_sine(void **state)
{
	(void)state;
	for (int law = 0; law < LAWS; law++) {
		for (double db = -3; db >= -33; db -= 3) {
			double signal = 0, noise = 0;
			for (int i = 0; i < 8000; i++) {
				const double x = pow(10, db / 20) * sin(2 * 3.14159265358979 * 1004.3 * i / 8000);
				const float sample = (float)x;
				const double error =
					decode_one((enum pl_g711_law)law, encode_one((enum pl_g711_law)law, sample)) -
					x;
				signal += x * x;
				noise += error * error;
			}
			const double ratio = 10 * log10(signal / noise);
			if (ratio < 33)
				fail_msg("%s at %g dB: %.1f dB", laws[law].name, db, ratio);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_g711_decodes_every_code),
		cmocka_unit_test(test_g711_encodes_every_sample),
		cmocka_unit_test(test_g711_is_monotonic_and_idempotent),
		cmocka_unit_test(test_g711_clips_what_is_too_loud),
		cmocka_unit_test(test_g711_of_every_length),
		cmocka_unit_test(test_g711_keeps_a_sine),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
