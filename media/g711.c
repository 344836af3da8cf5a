#include "media/g711.h"

#include <math.h>
#include <string.h>

/* Both laws are a floating-point format of seven bits: three of exponent (the segment), four of mantissa.  So the
 * exponent and the mantissa of an IEEE float are the code, once the sample is on the law's scale (16 bits, with an offset of
 * 132 for PCMU).  No table and no branch: the compiler makes vectors of these loops. */
enum {
	MANTISSA_SHIFT = 19,             /* a float's mantissa has 23 bits, the law's four */
	EXPONENT_FIRST = (127 + 7) << 4, /* of 128.0 to 256.0, the first segment */
	SEGMENT = 16,                    /* codes of one segment */
	CODE_MAX = 127,
	HALF_STEP = 1 << (MANTISSA_SHIFT - 1),
	SIGN = 0x80,
	PCMA_EVEN_BITS = 0x55, /* inverted on the wire, G.711 table 1a note 2 */
};

static const float scale = 32768.0f;
static const float pcmu_offset = 132.0f;
/* PCMA's first segment goes on down to zero in the second one's steps, like denormals: it is the second one with this
 * much added. */
static const float pcma_segment = 256.0f;
/* The least that is not lost when it is added to that: below zero, the next float towards zero must not leave the segment. */
static const float pcma_least = 0x1p-14f;

static inline uint32_t bits_of(float x)
{
	uint32_t bits;
	memcpy(&bits, &x, sizeof bits);
	return bits;
}

static inline float float_of(uint32_t bits)
{
	float x;
	memcpy(&x, &bits, sizeof x);
	return x;
}

static inline uint32_t capped(uint32_t code)
{
	return code < CODE_MAX ? code : CODE_MAX;
}

/* The next float towards zero.  The edge between two codes belongs to the upper one above zero, and to the lower one
 * below zero: G.191 takes the ones' complement there. */
static inline uint32_t edge(uint32_t bits, uint32_t is_negative)
{
	return bits - is_negative;
}

static void encode_pcmu(const float *pcm, size_t count, uint8_t *out)
{
	for (size_t i = 0; i < count; i++) {
		const float x = pcm[i] * scale;
		const uint32_t is_negative = x < 0;
		const uint32_t bits = edge(bits_of(fabsf(x) + pcmu_offset), is_negative);
		const uint32_t code = capped((bits >> MANTISSA_SHIFT) - EXPONENT_FIRST);
		out[i] = (uint8_t) ~(code | is_negative << 7);
	}
}

/* All ones when the magnitude is in PCMA's first segment. */
static inline uint32_t small_mask(bool is_small)
{
	return 0u - (uint32_t)is_small;
}

static void encode_pcma(const float *pcm, size_t count, uint8_t *out)
{
	for (size_t i = 0; i < count; i++) {
		const float x = pcm[i] * scale;
		const uint32_t is_negative = x < 0;
		const uint32_t small = small_mask(fabsf(x) < pcma_segment);
		const float magnitude = fabsf(x) < pcma_least ? pcma_least : fabsf(x);
		const float shifted = magnitude + float_of(bits_of(pcma_segment) & small);
		const uint32_t bits = edge(bits_of(shifted), is_negative);
		const uint32_t code = capped((bits >> MANTISSA_SHIFT) - EXPONENT_FIRST - (SEGMENT & small));
		out[i] = (uint8_t)((code | (is_negative ^ 1) << 7) ^ PCMA_EVEN_BITS);
	}
}

static void decode_pcmu(const uint8_t *in, size_t count, float *pcm)
{
	for (size_t i = 0; i < count; i++) {
		const uint32_t byte = ~(uint32_t)in[i];
		const uint32_t bits = ((byte & CODE_MAX) + EXPONENT_FIRST) << MANTISSA_SHIFT | HALF_STEP;
		const float magnitude = (float_of(bits) - pcmu_offset) / scale;
		pcm[i] = float_of(bits_of(magnitude) | (byte & SIGN) << 24);
	}
}

static void decode_pcma(const uint8_t *in, size_t count, float *pcm)
{
	for (size_t i = 0; i < count; i++) {
		const uint32_t byte = (uint32_t)in[i] ^ PCMA_EVEN_BITS;
		const uint32_t code = byte & CODE_MAX;
		const uint32_t small = small_mask(code < SEGMENT);
		const uint32_t bits = (code + EXPONENT_FIRST + (SEGMENT & small)) << MANTISSA_SHIFT | HALF_STEP;
		const float magnitude = (float_of(bits) - float_of(bits_of(pcma_segment) & small)) / scale;
		pcm[i] = float_of(bits_of(magnitude) | (~byte & SIGN) << 24);
	}
}

void pl_g711_encode(enum pl_g711_law law, const float *pcm, size_t count, uint8_t *out)
{
	if (law == PL_G711_PCMU)
		encode_pcmu(pcm, count, out);
	else
		encode_pcma(pcm, count, out);
}

void pl_g711_decode(enum pl_g711_law law, const uint8_t *in, size_t count, float *pcm)
{
	if (law == PL_G711_PCMU)
		decode_pcmu(in, count, pcm);
	else
		decode_pcma(in, count, pcm);
}
