/* What conferences and the mixers of rooms say about mixed streams: which there are, and for whom a packet is.
 * Pure: plain data. */
#ifndef PL_MEDIA_MIX_H
#define PL_MEDIA_MIX_H

#include "media/base.h"

/* The qualities of a room's mix: one encode each for all who only listen. */
enum pl_mix_group {
	PL_MIX_FULL,   /* Opus, CELT only, mono */
	PL_MIX_ROBUST, /* Opus, VOIP with in-band FEC, low bitrate: for lossy ways */
	PL_MIX_STEREO, /* Opus, CELT only, stereo */
	PL_MIX_PCMU,   /* G.711, 8 kHz */
	PL_MIX_PCMA,
	PL_MIX_LOW,    /* Opus, VOIP: for who takes less than ROBUST has */
	PL_MIX_LOWEST, /* the same, in the least that Opus has (RFC 7587 section 6.1) */
	PL_MIX_SHORT,  /* as FULL, in packets of half the length: for who takes none of 20 ms */
	PL_MIX_GROUPS
};
_Static_assert(PL_MIX_GROUPS <= 8, "a mask of them is a byte");

enum {
	PL_MIX_TALKERS = 3,     /* in one mix, unless it is configured otherwise */
	PL_MIX_CSRC_MAX = 8,    /* talkers in one mix at most */
	PL_MIX_EXCEPT_MAX = 16, /* streams of their own in one room */
	/* What a talker's own packets may well have: who takes less hears the mix. */
	PL_MIX_TALKER_BPS = 32000,
	/* What a group's stream has at most, as an average. */
	PL_MIX_FULL_BPS = 40000,
	PL_MIX_ROBUST_BPS = 24000,
	PL_MIX_STEREO_BPS = 64000,
	PL_MIX_LOW_BPS = 12000,
	PL_MIX_LOWEST_BPS = 6000,
	PL_MIX_SHORT_BPS = 40000,
	/* How long a group's packets are: all but those of SHORT. */
	PL_MIX_FRAME_MS = 20,
	PL_MIX_SHORT_FRAME_MS = 10,
};

/* Packets that a listener of the group gets for each tick of 20 ms. */
static inline uint8_t pl_mix_packets(enum pl_mix_group group)
{
	return group == PL_MIX_SHORT ? PL_MIX_FRAME_MS / PL_MIX_SHORT_FRAME_MS : 1;
}

/* How a payload is coded.  G.711 has 8,000 samples a second (RFC 3551 section 4.5.14); comfort noise (RFC 3389) comes in
 * its stream, numbered with it, where there is nothing to hear. */
enum pl_coding { PL_CODING_OPUS, PL_CODING_PCMU, PL_CODING_PCMA, PL_CODING_COMFORT_NOISE };

/* The track of a group's packets: above all ids that signaling gives. */
#define PL_MIX_TRACK(group)    (UINT32_C(0xffffff00) + (uint32_t)(group))
#define PL_MIX_IS_TRACK(track) ((track) >= PL_MIX_TRACK(0) && (track) < PL_MIX_TRACK(PL_MIX_GROUPS))

/* Whom a packet of a mix is for, and who is in it.  A talker hears a stream without its own voice, everybody else the
 * group's shared one.  Both are in the packets of each tick, so a listener changes between two ticks and never hears
 * both or none. */
struct pl_mix {
	uint32_t only; /* the source that this packet is for alone; 0: for all of the group but except */
	bool is_start; /* it can be decoded well without those before it */
	uint8_t except_count, csrc_count;
	uint32_t except[PL_MIX_EXCEPT_MAX]; /* sources with a stream of their own; it may have nothing to send */
	uint32_t csrc[PL_MIX_CSRC_MAX];     /* sources of the talkers in the mix */
};

/* Whether the listener of this source gets the packet, when a slot of its has the packet's track.  One in which its own voice
 * is it never gets: in the moment of a change the mixer may not know yet which group the talker listens to. */
static inline bool pl_mix_is_for(const struct pl_mix *mix, uint32_t source)
{
	if (mix->only != 0)
		return mix->only == source;
	for (uint8_t i = 0; i < mix->except_count; i++) {
		if (mix->except[i] == source)
			return false;
	}
	for (uint8_t i = 0; i < mix->csrc_count; i++) {
		if (mix->csrc[i] == source)
			return false;
	}
	return true;
}

#endif
