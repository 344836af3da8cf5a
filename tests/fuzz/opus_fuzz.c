/* One decoder, and packets for it: a size in two bytes, how it is used in one (0 decode, 1 recover, 2 conceal before it),
 * the packet.  What packet_samples takes decodes to just as much, and what it refuses is refused. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "media/opus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct pl_opus_templates *templates;
static struct pl_opus_decoder *decoder;

static void check(int samples, const float *pcm)
{
	for (int i = 0; i < samples; i++)
		PL_ASSERT(isfinite(pcm[i]));
}

static void use(struct pl_bytes packet, uint8_t how)
{
	static float pcm[PL_OPUS_SAMPLES_MAX];
	const int samples = pl_opus_packet_samples(packet);
	PL_ASSERT(samples < 0 || (samples > 0 && samples <= PL_OPUS_SAMPLES_MAX && samples % PL_OPUS_UNIT == 0));
	PL_ASSERT(samples > 0 || !pl_opus_packet_has_fec(packet));
	if (how % 3 == 2)
		check(pl_opus_conceal(decoder, pcm, PL_OPUS_FRAME), pcm);
	if (how % 3 == 1) {
		const size_t wanted = (how / 3 % 48 + 1u) * PL_OPUS_UNIT;
		const int made = pl_opus_recover(decoder, packet, pcm, wanted);
		PL_ASSERT(samples < 0 ? made < 0 : made == (int)wanted);
		check(made, pcm);
		return;
	}
	const int made = pl_opus_decode(decoder, packet, pcm, PL_OPUS_SAMPLES_MAX);
	PL_ASSERT(samples < 0 ? made < 0 : made == samples);
	check(made, pcm);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (templates == NULL) {
		void *memory = aligned_alloc(64, pl_opus_templates_bytes());
		decoder = aligned_alloc(64, pl_opus_decoder_bytes());
		if (memory == NULL || decoder == NULL ||
			pl_opus_templates_init(&templates, (struct pl_span){ memory, pl_opus_templates_bytes() }) !=
				PL_ERR_NONE)
			abort();
	}
	pl_opus_decoder_start(decoder, templates);
	while (size >= 3) {
		size_t length = (size_t)data[0] << 8 | data[1];
		const uint8_t how = data[2];
		data += 3;
		size -= 3;
		if (length > size)
			length = size;
		uint8_t *exact = malloc(length > 0 ? length : 1);
		if (exact == NULL)
			abort();
		memcpy(exact, data, length);
		use((struct pl_bytes){ exact, length }, how);
		free(exact);
		data += length;
		size -= length;
	}
	return 0;
}
