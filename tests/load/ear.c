#include "tests/load/ear.h"

#include <math.h>

enum { QUIET_BEFORE_ONSET = PL_OPUS_CLOCK_HZ / 5 };

static const float loud = 0.1f; /* -20 dBFS: half of the way up a pulse, and above what a codec puts before it */

void load_ear_init(struct load_ear *ear, struct pl_opus_decoder *decoder, const struct pl_opus_templates *templates)
{
	*ear = (struct load_ear){ .decoder = decoder };
	if (decoder != NULL)
		pl_opus_decoder_start(decoder, templates);
}

struct load_arrived load_ear_arrival(struct load_ear *ear, int64_t arrived_ns, uint32_t ts, bool has_marker)
{
	const int32_t passed = ear->has_first ? (int32_t)(ts - ear->ts_last) : 0;
	struct load_arrived arrived = { .late_ns = 0 };
	if (passed > PL_OPUS_FRAME && !has_marker)
		arrived.missing = (uint32_t)passed / PL_OPUS_FRAME - 1;
	ear->ts += passed;
	ear->ts_last = ts;
	const int64_t early_ns = arrived_ns - ear->ts * INT64_C(1000000000) / PL_OPUS_CLOCK_HZ;
	if (!ear->has_first || early_ns < ear->early_ns)
		ear->early_ns = early_ns;
	ear->has_first = true;
	arrived.late_ns = early_ns - ear->early_ns;
	return arrived;
}

struct load_heard load_ear_listen(struct load_ear *ear, struct pl_bytes payload)
{
	float pcm[PL_OPUS_SAMPLES_MAX];
	PL_ASSERT(ear->decoder != NULL);
	struct load_heard heard = { .samples = pl_opus_decode(ear->decoder, payload, pcm, PL_COUNT(pcm)), .onset = -1 };
	for (int i = 0; i < heard.samples; i++) {
		heard.energy += (double)pcm[i] * (double)pcm[i];
		const bool is_loud = fabsf(pcm[i]) >= loud;
		if (is_loud && ear->quiet >= QUIET_BEFORE_ONSET && heard.onset < 0)
			heard.onset = i;
		ear->quiet = is_loud ? 0 : ear->quiet + 1;
	}
	return heard;
}
