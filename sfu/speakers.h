/* Who is heard in a room: the loudest sources by their own level reports (RFC 6464), with hysteresis, so
 * that two talkers of equal voice never flap and a word is never cut.  One decision per room; each listener's
 * slots are filled from it (sfu/slots.h).
 *
 * The choice is a ranking.  A listener with n slots hears the first n others, so rooms of unequal listeners need one
 * decision only, and whoever is on air itself hears one place further down: capacity is one more than the slots.
 *   - A free place goes to the next packet of anybody: in a small room everyone is heard from the first packet on.
 *   - Voices rank before silence, at once: a first syllable is never lost to a place that is silent.
 *   - Between voices a place changes only for one that is louder by a margin, for a while, over somebody who
 *     had the place for a while.
 * Pure: no allocation, no clock, no I/O.  Thread: the shard that owns the room. */
#ifndef PL_SFU_SPEAKERS_H
#define PL_SFU_SPEAKERS_H

#include "media/base.h"
#include "sfu/types.h"

enum {
	PL_SPEAKERS_CAPACITY = 17,          /* on air at most: PL_SLOTS_MAX for a listener, and itself */
	PL_SPEAKER_VOICE_HANGOVER_MS = 600, /* a voice counts as heard this long after its last voiced packet */
	PL_SPEAKER_MARGIN_DB = 6,           /* how much louder a challenger must be than a talking one */
	PL_SPEAKER_HOLD_MS = 300,           /* for how long, and how long a voice keeps a place at least */
	PL_SPEAKER_DOMINANT_MS = 1000,      /* the dominant one is not challenged before */
	PL_SPEAKER_SILENT_LEVEL = 80,       /* -dBov from which on nothing is heard: 20 dB below any voice */
	PL_SPEAKER_SILENT_PACKETS = 50,     /* in a row with such a level are silence: 1 s of usual ones */
};

/* One audio source's state, embedded in its track.  Zero but for source and track: see pl_speaker_init. */
struct pl_speaker {
	uint32_t source, track;
	int32_t level_q8;        /* smoothed loudness of its voice above silence: (127 - level) << 8 */
	int64_t voice_us;        /* last voiced packet; INT64_MIN for never */
	int64_t spell_us;        /* first voiced packet of the present spell: without a pause as long as the hangover */
	int64_t louder_since_us; /* since when it beats the weakest voice above it; INT64_MAX when it does not */
	int64_t placed_us;       /* when it got its present place against somebody; has a meaning only on air */
	bool is_on_air;
	uint8_t silent_packets; /* in a row, as far as PL_SPEAKER_SILENT_PACKETS */
};

/* The room's choice. */
struct pl_speakers {
	uint8_t capacity; /* how many may be on air: 1-PL_SPEAKERS_CAPACITY */
	uint8_t count;
	struct pl_speaker *on_air[PL_SPEAKERS_CAPACITY]; /* best first */
	struct pl_speaker *waiting;                      /* the loudest voice that found no place; NULL for none */
	uint32_t dominant;                               /* source, 0 for none */
	int64_t dominant_us;                             /* since when */
	uint32_t generation;                             /* rises when the ranking changes */
	uint8_t slots_cap; /* how many of these a listener hears at most, whatever slots it has; 0: as many as it has slots */
	bool is_replica; /* another shard chooses (sfu/spread.h): on_air is what it told */
	/* What is removed here is to be told elsewhere: by a replica to its home, by home to a codec worker. */
	bool notes_silenced;
	uint8_t silenced_count;
	uint32_t silenced[PL_TRACKS_MAX]; /* tracks; 0 in the last for more than fit */
};

/* source and track: ids, not 0. */
void pl_speaker_init(struct pl_speaker *speaker, uint32_t source, uint32_t track);

void pl_speakers_init(struct pl_speakers *s, uint8_t capacity);

/* Another number of places, 1-PL_SPEAKERS_CAPACITY: the last ones in the ranking go off air when there are fewer. */
void pl_speakers_resize(struct pl_speakers *s, uint8_t capacity);

/* Takes the level of one packet of one source.  Returns true when the packet's source is on air now, and so
 * may be forwarded.  level: -dBov, 0-127.  is_voice: the V bit; some senders set it always and some never, so
 * it counts only where the level allows a voice, and a loud packet counts without it.  now_us never decreases. */
bool pl_speakers_packet(
	struct pl_speakers *s, struct pl_speaker *speaker, int64_t now_us, uint8_t level, bool is_voice);

/* The source is muted or leaving: its place is free at once. */
void pl_speakers_remove(struct pl_speakers *s, struct pl_speaker *speaker);

/* True when its voice was heard within the hangover. */
bool pl_speaker_is_talking(const struct pl_speaker *speaker, int64_t now_us);

/* True when its packets have had nothing to hear in them for a while.  It may be on air all the same. */
bool pl_speaker_is_silent(const struct pl_speaker *speaker);

/* Lists the sources whose voice is heard now, at most PL_TOP_MAX, loudest first: in the order of the ranking, so that
 * equal voices do not change places with every syllable.  Moves the dominant one when another has earned it.
 * Returns the count. */
size_t pl_speakers_top(struct pl_speakers *s, int64_t now_us, uint32_t top[static PL_TOP_MAX]);

#endif
