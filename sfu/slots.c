#include "sfu/slots.h"

_Static_assert(PL_SLOTS_MAX <= 16, "audio_mask has a bit for each slot");

void pl_slots_init(struct pl_slots *slots, uint8_t count, uint16_t audio_mask)
{
	PL_ASSERT(count <= PL_SLOTS_MAX);
	*slots = (struct pl_slots){ .count = count, .audio_mask = audio_mask };
	for (uint8_t i = 0; i < PL_SLOTS_MAX; i++)
		slots->freed_us[i] = INT64_MIN;
}

void pl_slots_carry(struct pl_slots *slots, uint8_t to, const struct pl_slots *old, uint8_t from)
{
	slots->source[to] = old->source[from];
	slots->track[to] = old->track[from];
	slots->last[to] = old->last[from];
	slots->freed_us[to] = old->freed_us[from];
}

static bool is_audio(const struct pl_slots *slots, uint8_t slot)
{
	return (slots->audio_mask >> slot & 1) != 0;
}

uint8_t pl_slots_audio_count(const struct pl_slots *slots)
{
	uint8_t count = 0;
	for (uint8_t i = 0; i < slots->count; i++)
		count = (uint8_t)(count + is_audio(slots, i));
	return count;
}

int pl_slots_audio_first(const struct pl_slots *slots)
{
	for (uint8_t i = 0; i < slots->count; i++) {
		if (is_audio(slots, i))
			return i;
	}
	return -1;
}

uint8_t pl_slots_talkers_max(const struct pl_slots *slots)
{
	return slots->mix != 0 ? 0 : pl_slots_audio_count(slots);
}

/* Lists whom this listener is to hear. */
static uint8_t choose(const struct pl_slots *slots, const struct pl_speakers *speakers, uint32_t self,
	const struct pl_speaker *wanted[static PL_SLOTS_MAX])
{
	const uint8_t places = pl_slots_talkers_max(slots), cap = speakers->slots_cap;
	const uint8_t room = cap != 0 && cap < places ? cap : places;
	uint8_t count = 0;
	for (uint8_t i = 0; i < speakers->count && count < room; i++) {
		if (speakers->on_air[i]->source != self)
			wanted[count++] = speakers->on_air[i];
	}
	return count;
}

static bool is_wanted(const struct pl_speaker *const *wanted, uint8_t count, uint32_t track)
{
	for (uint8_t i = 0; i < count; i++) {
		if (wanted[i]->track == track)
			return true;
	}
	return false;
}

/* Its old slot when that is free; else the one whose owner is away for longest, so that owners that were here a moment ago
 * find theirs. */
static uint8_t choose_slot(const struct pl_slots *slots, uint32_t source)
{
	uint8_t best = PL_SLOTS_MAX;
	for (uint8_t i = 0; i < slots->count; i++) {
		if (!is_audio(slots, i) || slots->track[i] != 0)
			continue;
		if (slots->last[i] == source)
			return i;
		if (best == PL_SLOTS_MAX || slots->freed_us[i] < slots->freed_us[best])
			best = i;
	}
	PL_ASSERT(best < PL_SLOTS_MAX);
	return best;
}

static void free_slot(struct pl_slots *slots, uint8_t slot, int64_t now_us)
{
	slots->source[slot] = 0;
	slots->track[slot] = 0;
	slots->freed_us[slot] = now_us;
}

/* The mix is in the first audio slot, and nothing anywhere else. */
static uint32_t update_to_mix(struct pl_slots *slots, int64_t now_us)
{
	const int first = pl_slots_audio_first(slots);
	const uint32_t mix = PL_MIX_TRACK(slots->mix - 1);
	uint32_t changed = 0;
	for (uint8_t i = 0; i < slots->count; i++) {
		if (slots->track[i] == (i == first ? mix : 0))
			continue;
		free_slot(slots, i, now_us);
		slots->track[i] = i == first ? mix : 0;
		changed |= 1u << i;
	}
	return changed;
}

uint32_t pl_slots_update(struct pl_slots *slots, const struct pl_speakers *speakers, uint32_t self, int64_t now_us)
{
	if (slots->mix != 0)
		return update_to_mix(slots, now_us);
	const struct pl_speaker *wanted[PL_SLOTS_MAX];
	const uint8_t count = choose(slots, speakers, self, wanted);
	uint32_t changed = 0;

	for (uint8_t i = 0; i < slots->count; i++) {
		if (slots->track[i] == 0 || (is_audio(slots, i) && is_wanted(wanted, count, slots->track[i])))
			continue;
		free_slot(slots, i, now_us);
		changed |= 1u << i;
	}
	for (uint8_t i = 0; i < count; i++) {
		if (pl_slots_find(slots, wanted[i]->track) >= 0)
			continue;
		const uint8_t slot = choose_slot(slots, wanted[i]->source);
		slots->source[slot] = wanted[i]->source;
		slots->track[slot] = wanted[i]->track;
		slots->last[slot] = wanted[i]->source;
		changed |= 1u << slot;
	}
	return changed;
}

int pl_slots_find(const struct pl_slots *slots, uint32_t track)
{
	for (uint8_t i = 0; i < slots->count; i++) {
		if (slots->track[i] == track)
			return i;
	}
	return -1;
}
