#include "media/jitter.h"

#include <string.h>

static struct pl_jitter_packet *nth(struct pl_jitter *j, unsigned n)
{
	return &j->packet[(j->first + n) % PL_JITTER_PACKETS];
}

void pl_jitter_clear(struct pl_jitter *j)
{
	j->first = j->count = j->head = j->tail = 0;
}

/* A piece of the ring of bytes.  The head never reaches the tail from behind: equal means empty. */
static bool take_bytes(struct pl_jitter *j, size_t size, uint16_t *at)
{
	if (j->count == 0)
		j->head = j->tail = 0;
	const bool is_wrapped = j->head < j->tail;
	const size_t end = is_wrapped ? j->tail - 1u : PL_JITTER_BYTES;
	if (j->head + size <= end)
		*at = j->head;
	else if (!is_wrapped && size < j->tail)
		*at = 0;
	else
		return false;
	j->head = (uint16_t)(*at + size);
	return true;
}

/* The tail goes to the oldest arrival that still waits: the first one behind it, around the ring. */
static void free_bytes(struct pl_jitter *j, uint16_t at)
{
	if (at != j->tail)
		return;
	unsigned nearest = PL_JITTER_BYTES;
	for (unsigned n = 0; n < j->count; n++) {
		const unsigned behind = (0u + nth(j, n)->at + PL_JITTER_BYTES - at) % PL_JITTER_BYTES;
		if (behind < nearest) {
			nearest = behind;
			j->tail = nth(j, n)->at;
		}
	}
}

enum pl_drop pl_jitter_put(struct pl_jitter *j, uint16_t seq, uint32_t ts, uint16_t samples, struct pl_bytes payload)
{
	PL_ASSERT(payload.size > 0 && payload.size <= PL_DATAGRAM_SIZE_MAX);
	unsigned place = j->count; /* most come in order, so it is looked for from the end */
	while (place > 0 && (int32_t)(ts - nth(j, place - 1)->ts) < 0)
		place--;
	if (place > 0 && nth(j, place - 1)->ts == ts)
		return PL_DROP_VOICE_DUPLICATE;
	uint16_t at;
	if (j->count == PL_JITTER_PACKETS || !take_bytes(j, payload.size, &at))
		return PL_DROP_VOICE_FULL;
	memcpy(&j->bytes[at], payload.data, payload.size);
	for (unsigned n = j->count; n > place; n--)
		*nth(j, n) = *nth(j, n - 1);
	*nth(j, place) = (struct pl_jitter_packet){
		.ts = ts, .seq = seq, .samples = samples, .at = at, .size = (uint16_t)payload.size
	};
	j->count++;
	return PL_DROP_NONE;
}

const struct pl_jitter_packet *pl_jitter_front(const struct pl_jitter *j)
{
	return j->count > 0 ? &j->packet[j->first] : NULL;
}

struct pl_bytes pl_jitter_payload(const struct pl_jitter *j, const struct pl_jitter_packet *packet)
{
	return (struct pl_bytes){ &j->bytes[packet->at], packet->size };
}

void pl_jitter_pop(struct pl_jitter *j)
{
	PL_ASSERT(j->count > 0);
	const uint16_t at = j->packet[j->first].at;
	j->first = (uint16_t)((j->first + 1) % PL_JITTER_PACKETS);
	j->count--;
	free_bytes(j, at);
}

uint32_t pl_jitter_end(const struct pl_jitter *j)
{
	PL_ASSERT(j->count > 0);
	const struct pl_jitter_packet *newest = &j->packet[(j->first + j->count - 1) % PL_JITTER_PACKETS];
	return newest->ts + newest->samples;
}
