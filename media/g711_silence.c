#include "media/g711_silence.h"

#include "media/g711.h"

enum {
	BLOCK = 5 * PL_G711_CLOCK_HZ / 1000,
	LASTS = PL_G711_SILENCE_MS * PL_G711_CLOCK_HZ / 1000,
};

/* The mean square of PL_G711_SILENCE_DBOV, rounded as a level is: 10 ^ -6.55. */
static const float silence = 2.82e-7F;

static bool is_silent(enum pl_g711_law law, struct pl_bytes payload)
{
	for (size_t at = 0; at < payload.size; at += BLOCK) {
		const size_t count = payload.size - at < BLOCK ? payload.size - at : BLOCK;
		float pcm[BLOCK], sum = 0;
		pl_g711_decode(law, payload.data + at, count, pcm);
		for (size_t i = 0; i < count; i++)
			sum += pcm[i] * pcm[i];
		if (sum > silence * (float)count)
			return false;
	}
	return true;
}

/* Notes what the packet has in it.  True: it and a second before it are silence. */
static bool listen(struct pl_g711_silence *s, const struct pl_packet *packet)
{
	const bool was_silent = s->samples == LASTS;
	if (packet->coding == PL_CODING_COMFORT_NOISE) {
		s->samples = LASTS;
		return was_silent;
	}
	if (!is_silent(packet->coding == PL_CODING_PCMU ? PL_G711_PCMU : PL_G711_PCMA, packet->payload))
		s->samples = 0;
	else
		s->samples = (uint16_t)(packet->payload.size < (size_t)(LASTS - s->samples)
						? s->samples + packet->payload.size
						: LASTS);
	return was_silent && s->samples == LASTS;
}

bool pl_g711_silence_leaves_out(struct pl_g711_silence *s, struct pl_packet *packet)
{
	packet->spurt = 0;
	if (listen(s, packet)) {
		if (!s->is_left_out || (int16_t)(packet->seq - s->seq_last) > 0)
			s->seq_last = packet->seq;
		s->is_left_out = true;
		return true;
	}
	/* One or two before it may have been overtaken.  What is further away was lost, or has other numbers: nothing is waited for. */
	const uint16_t ahead = (uint16_t)(packet->seq - s->seq_last);
	if (s->is_left_out)
		packet->spurt = ahead > 0 && ahead <= PL_G711_SILENCE_SPURT_MAX ? (uint8_t)ahead : 1;
	s->is_left_out = false;
	return false;
}
