/* One listener's slots: which of the room's sources on air flows into which of its streams.  A source stays in its
 * slot while it is heard; one that comes back gets its old slot when that is free; nobody hears itself.  A listener of the
 * mix has that in its first audio slot, and the others are empty.
 * Pure: no allocation, no clock, no I/O.  Thread: the shard that owns the listener. */
#ifndef PL_SFU_SLOTS_H
#define PL_SFU_SLOTS_H

#include "sfu/speakers.h"

struct pl_slots {
	int64_t freed_us[PL_SLOTS_MAX]; /* when it became empty; INT64_MIN before the first use */
	uint32_t last[PL_SLOTS_MAX];    /* who was the last in it: its owner when it comes back; 0 before the first */
	/* From here on what every packet looks at. */
	uint8_t count;                 /* slots of this listener, all kinds, 0-PL_SLOTS_MAX */
	uint8_t mix;                   /* enum pl_mix_group + 1 of what it hears; 0: talkers */
	uint16_t audio_mask;           /* bit i: slot i takes audio; the others are never filled here */
	uint32_t source[PL_SLOTS_MAX]; /* who flows into the slot, 0 for nobody or the mix */
	uint32_t track[PL_SLOTS_MAX];  /* 0 for nothing, PL_MIX_TRACK() for the mix */
};

void pl_slots_init(struct pl_slots *slots, uint8_t count, uint16_t audio_mask);

/* How many of the slots take audio, and which is the first, -1 when none. */
uint8_t pl_slots_audio_count(const struct pl_slots *slots);
int pl_slots_audio_first(const struct pl_slots *slots);

/* How many of the room's talkers flow into slots of their own at most. */
uint8_t pl_slots_talkers_max(const struct pl_slots *slots);

/* Slot to of *slots goes on as slot from of *old did: after a renegotiation that renumbered it. */
void pl_slots_carry(struct pl_slots *slots, uint8_t to, const struct pl_slots *old, uint8_t from);

/* Fits the slots to the room's choice.  self: the listener's own source id.  When there are more sources on air
 * than slots, or than speakers->slots_cap, the best in the ranking are kept.  Returns a mask of the slots that changed. */
uint32_t pl_slots_update(struct pl_slots *slots, const struct pl_speakers *speakers, uint32_t self, int64_t now_us);

/* Returns the slot that a track, not 0, or a mix flows into, or -1. */
int pl_slots_find(const struct pl_slots *slots, uint32_t track);

#endif
