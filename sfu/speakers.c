#include "sfu/speakers.h"

#include <string.h>

enum {
	/* A V bit below this is noise: browsers that send without DTX set V on every packet. */
	QUIET_LEVEL = 60,
	/* At this level it is a voice whatever the V bit says: some senders never set it. */
	LOUD_LEVEL = 40,
	/* Smoothing over voiced packets of 20 ms: about 80 ms up, 160 ms down. */
	RISE_SHIFT = 2,
	FALL_SHIFT = 3,
	/* A challenge survives the gaps between syllables, but a click now and then is none. */
	CHALLENGE_GAP_MS = 120,
	/* A waiting voice that has not been heard for so long does not keep a free place from others. */
	WAITING_MS = 60,
};

static const int32_t MARGIN_Q8 = PL_SPEAKER_MARGIN_DB * 256;

/* Times may be INT64_MIN for "never", so nothing is subtracted from them. */
static bool is_within_ms(int64_t then_us, int64_t now_us, int64_t ms)
{
	return then_us > now_us - ms * 1000;
}

void pl_speaker_init(struct pl_speaker *speaker, uint32_t source, uint32_t track)
{
	*speaker = (struct pl_speaker){
		.source = source,
		.track = track,
		.voice_us = INT64_MIN,
		.louder_since_us = INT64_MAX,
	};
}

void pl_speakers_init(struct pl_speakers *s, uint8_t capacity)
{
	PL_ASSERT(capacity > 0 && capacity <= PL_SPEAKERS_CAPACITY);
	*s = (struct pl_speakers){ .capacity = capacity };
}

bool pl_speaker_is_talking(const struct pl_speaker *speaker, int64_t now_us)
{
	return is_within_ms(speaker->voice_us, now_us, PL_SPEAKER_VOICE_HANGOVER_MS);
}

bool pl_speaker_is_silent(const struct pl_speaker *speaker)
{
	return speaker->silent_packets >= PL_SPEAKER_SILENT_PACKETS;
}

static void leave_air(struct pl_speaker *speaker)
{
	speaker->is_on_air = false;
	speaker->louder_since_us = INT64_MAX;
}

void pl_speakers_resize(struct pl_speakers *s, uint8_t capacity)
{
	PL_ASSERT(capacity > 0 && capacity <= PL_SPEAKERS_CAPACITY);
	s->capacity = capacity;
	while (s->count > capacity) {
		leave_air(s->on_air[--s->count]);
		s->generation++;
	}
}

static void note_silenced(struct pl_speakers *s, uint32_t track)
{
	if (s->silenced_count < PL_TRACKS_MAX)
		s->silenced[s->silenced_count++] = track;
	else
		s->silenced[PL_TRACKS_MAX - 1] = 0;
}

void pl_speakers_remove(struct pl_speakers *s, struct pl_speaker *speaker)
{
	if (s->notes_silenced)
		note_silenced(s, speaker->track);
	if (s->is_replica)
		return;
	if (s->waiting == speaker)
		s->waiting = NULL;
	if (s->dominant == speaker->source)
		s->dominant = 0;
	for (uint8_t i = 0; i < s->count; i++) {
		if (s->on_air[i] != speaker)
			continue;
		s->count--;
		memmove(&s->on_air[i], &s->on_air[i + 1], (size_t)(s->count - i) * sizeof s->on_air[0]);
		s->generation++;
	}
	pl_speaker_init(speaker, speaker->source, speaker->track);
}

static void note_voice(struct pl_speaker *speaker, int64_t now_us, uint8_t level)
{
	const int32_t level_q8 = (127 - level) * 256;
	if (!pl_speaker_is_talking(speaker, now_us)) {
		speaker->spell_us = now_us;
		speaker->level_q8 = level_q8;
	} else {
		const int32_t up = level_q8 - speaker->level_q8;
		speaker->level_q8 += up / (1 << (up > 0 ? RISE_SHIFT : FALL_SHIFT));
	}
	if (!is_within_ms(speaker->voice_us, now_us, CHALLENGE_GAP_MS))
		speaker->louder_since_us = INT64_MAX;
	speaker->voice_us = now_us;
}

/* Moves voices before silence, keeping the order within both: so the last is the one silent for longest. */
static void rank_voices_first(struct pl_speakers *s, int64_t now_us)
{
	struct pl_speaker *silent[PL_SPEAKERS_CAPACITY];
	uint8_t talking = 0, silent_count = 0;
	bool is_changed = false;
	for (uint8_t i = 0; i < s->count; i++) {
		struct pl_speaker *speaker = s->on_air[i];
		if (pl_speaker_is_talking(speaker, now_us)) {
			is_changed = is_changed || silent_count > 0;
			s->on_air[talking++] = speaker;
		} else {
			silent[silent_count++] = speaker;
		}
	}
	memcpy(&s->on_air[talking], silent, silent_count * sizeof silent[0]);
	if (is_changed)
		s->generation++;
}

static uint8_t rank_of(const struct pl_speakers *s, const struct pl_speaker *speaker)
{
	uint8_t rank = 0;
	while (rank < s->count && s->on_air[rank] != speaker)
		rank++;
	return rank;
}

/* Is the place that is free, or silent, this one's to take?  It belongs to the loudest voice that waits: its next packet
 * is at most a few milliseconds away. */
static bool may_take_place(const struct pl_speakers *s, const struct pl_speaker *speaker, int64_t now_us)
{
	const struct pl_speaker *waiting = s->waiting;
	return waiting == NULL || waiting == speaker || !is_within_ms(waiting->voice_us, now_us, WAITING_MS) ||
	       (pl_speaker_is_talking(speaker, now_us) && speaker->level_q8 >= waiting->level_q8);
}

static void take_place(struct pl_speakers *s, struct pl_speaker *speaker, uint8_t rank, int64_t now_us)
{
	speaker->is_on_air = true;
	speaker->placed_us = now_us;
	speaker->louder_since_us = INT64_MAX;
	s->on_air[rank] = speaker;
	if (s->waiting == speaker)
		s->waiting = NULL;
	s->generation++;
}

/* Swaps a voice with the weakest voice above it once it has been louder by the margin for the hold time. */
static void challenge(struct pl_speakers *s, struct pl_speaker *speaker, uint8_t rank, int64_t now_us)
{
	uint8_t weakest = 0;
	for (uint8_t i = 1; i < rank; i++) {
		if (s->on_air[i]->level_q8 < s->on_air[weakest]->level_q8)
			weakest = i;
	}
	struct pl_speaker *victim = s->on_air[weakest];
	if (rank == 0 || speaker->level_q8 < victim->level_q8 + MARGIN_Q8) {
		speaker->louder_since_us = INT64_MAX;
		return;
	}
	if (speaker->louder_since_us == INT64_MAX)
		speaker->louder_since_us = now_us;
	if (is_within_ms(speaker->louder_since_us, now_us, PL_SPEAKER_HOLD_MS) ||
		is_within_ms(victim->placed_us, now_us, PL_SPEAKER_HOLD_MS))
		return;

	if (rank < s->count) {
		s->on_air[rank] = victim;
		victim->placed_us = now_us;
	} else {
		leave_air(victim);
	}
	take_place(s, speaker, weakest, now_us);
}

static void note_waiting(struct pl_speakers *s, struct pl_speaker *speaker, int64_t now_us)
{
	if (s->waiting == NULL || !is_within_ms(s->waiting->voice_us, now_us, WAITING_MS) ||
		speaker->level_q8 > s->waiting->level_q8)
		s->waiting = speaker;
}

bool pl_speakers_packet(struct pl_speakers *s, struct pl_speaker *speaker, int64_t now_us, uint8_t level, bool is_voice)
{
	PL_ASSERT(level <= 127);
	const bool is_voiced = level <= LOUD_LEVEL || (is_voice && level <= QUIET_LEVEL);
	if (is_voiced)
		note_voice(speaker, now_us, level);
	if (level < PL_SPEAKER_SILENT_LEVEL)
		speaker->silent_packets = 0;
	else if (!pl_speaker_is_silent(speaker))
		speaker->silent_packets++;

	if (!speaker->is_on_air && s->count < s->capacity && may_take_place(s, speaker, now_us))
		take_place(s, speaker, s->count++, now_us);
	if (!is_voiced)
		return speaker->is_on_air;

	rank_voices_first(s, now_us);
	struct pl_speaker *last = s->count > 0 ? s->on_air[s->count - 1] : NULL;
	if (!speaker->is_on_air && s->count == s->capacity && !pl_speaker_is_talking(last, now_us) &&
		may_take_place(s, speaker, now_us)) {
		leave_air(last);
		take_place(s, speaker, (uint8_t)(s->count - 1), now_us);
		rank_voices_first(s, now_us);
	}
	challenge(s, speaker, rank_of(s, speaker), now_us);
	if (!speaker->is_on_air)
		note_waiting(s, speaker, now_us);
	return speaker->is_on_air;
}

/* Another becomes dominant when the present one fell silent, or when it is clearly louder; a short "mhm" is neither. */
static void move_dominant(struct pl_speakers *s, int64_t now_us, struct pl_speaker *const *talking, size_t count)
{
	const struct pl_speaker *present = NULL, *candidate = NULL;
	for (size_t i = 0; i < count; i++) {
		const bool is_long = talking[i]->voice_us - talking[i]->spell_us >= PL_SPEAKER_HOLD_MS * 1000;
		if (talking[i]->source == s->dominant)
			present = talking[i];
		else if (candidate == NULL && (is_long || s->dominant == 0))
			candidate = talking[i];
	}
	if (candidate == NULL)
		return;
	if (present != NULL && (is_within_ms(s->dominant_us, now_us, PL_SPEAKER_DOMINANT_MS) ||
				       candidate->level_q8 < present->level_q8 + MARGIN_Q8))
		return;
	s->dominant = candidate->source;
	s->dominant_us = now_us;
}

size_t pl_speakers_top(struct pl_speakers *s, int64_t now_us, uint32_t top[static PL_TOP_MAX])
{
	struct pl_speaker *talking[PL_SPEAKERS_CAPACITY];
	size_t count = 0;
	for (uint8_t i = 0; i < s->count; i++) {
		if (pl_speaker_is_talking(s->on_air[i], now_us))
			talking[count++] = s->on_air[i];
	}
	move_dominant(s, now_us, talking, count);

	if (count > PL_TOP_MAX)
		count = PL_TOP_MAX;
	for (size_t i = 0; i < count; i++)
		top[i] = talking[i]->source;
	return count;
}
