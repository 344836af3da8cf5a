/* Who is heard in a room: the loudest sources by their own level reports (RFC 6464), with hysteresis, so
 * that two talkers of equal voice never flap and a word is never cut.  One decision per room; each listener's
 * slots are filled from it (sfu/slots.h).
 * Pure: no allocation, no clock, no I/O.  Thread: the shard that owns the room. */
#ifndef PL_SFU_SPEAKERS_H
#define PL_SFU_SPEAKERS_H

#include "media/base.h"
#include "sfu/types.h"

enum {
	PL_SPEAKERS_CAPACITY = 17,       /* on air at most: PL_SLOTS_MAX for a listener, and itself */
	PL_SPEAKER_VOICE_HANGOVER_MS = 600, /* a voice counts as heard this long after its last voiced packet */
	PL_SPEAKER_MARGIN_DB = 6,        /* how much louder a challenger must be than a talking one */
	PL_SPEAKER_HOLD_MS = 300,        /* and for how long */
};

/* One audio source's state, embedded in its track. */
struct pl_speaker {
	uint32_t source, track;      /* source 0: unused entry */
	int32_t level_q8;            /* smoothed loudness above silence: (127 - level) << 8; 0 is silence */
	int64_t voice_us;            /* last voiced packet; INT64_MIN for never */
	int64_t packet_us;           /* last packet; INT64_MIN for never */
	int64_t louder_since_us;     /* since when it beats the weakest on air; INT64_MAX when it does not */
	int64_t on_air_us;           /* when it came on air */
	bool is_on_air;
};

/* The room's choice. */
struct pl_speakers {
	uint8_t capacity;                                    /* how many may be on air: 1-PL_SPEAKERS_CAPACITY */
	uint8_t count;
	struct pl_speaker *on_air[PL_SPEAKERS_CAPACITY];     /* not sorted; an entry keeps its place while on air */
	uint32_t dominant;                                   /* source */
	int64_t dominant_us;
	uint32_t generation;                                 /* rises when the on-air set changes */
};

void pl_speakers_init(struct pl_speakers *s, uint8_t capacity);

/* Takes the level of one packet of one source.  Returns true when the packet's source is on air now, and so
 * may be forwarded: a voiced packet finds its way at once when there is a free or a silent place.
 * level: -dBov, 0-127.  now_us never decreases. */
bool pl_speakers_packet(struct pl_speakers *s, struct pl_speaker *speaker, int64_t now_us, uint8_t level, bool is_voice);

/* The source is muted or leaving. */
void pl_speakers_remove(struct pl_speakers *s, struct pl_speaker *speaker);

/* Lists the sources whose voice is heard now, loudest first, at most PL_TOP_MAX, and moves the dominant one
 * when another has earned it.  Returns the count. */
size_t pl_speakers_top(struct pl_speakers *s, int64_t now_us, uint32_t top[static PL_TOP_MAX]);

#endif
