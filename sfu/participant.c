#include "sfu/participant.h"

#include <string.h>

#include "media/opus.h"

enum {
	/* Of 256, as reports have it.  Bad for so long is lossy, and good for so long is not. */
	LOSS_BAD = 20,
	LOSS_GOOD = 5,
	LOSS_BAD_MS = 5000,
	LOSS_GOOD_MS = 30000,
	COMFORT_NOISE_PAYLOAD_TYPE = 13,
	BITRATE_MISSED = 16, /* a part of a bitrate: by so much encoders do */
	/* A talker that has sent nothing for longer than the longest usual frame has ended its sound itself. */
	PARTING_LATEST_US = 70000,
};

static bool is_used(const struct pl_track *track)
{
	return track->spec.track != 0;
}

static void latch(struct pl_track *track, uint32_t ssrc)
{
	track->ssrc = ssrc;
	track->is_latched = true;
	pl_reception_init(&track->reception, ssrc, track->spec.clock_hz);
}

struct pl_track *pl_participant_track(struct pl_participant *p, uint32_t id)
{
	for (size_t i = 0; i < PL_TRACKS_MAX; i++) {
		if (is_used(&p->track[i]) && p->track[i].spec.track == id)
			return &p->track[i];
	}
	return NULL;
}

struct pl_track *pl_participant_track_by_ssrc(struct pl_participant *p, uint32_t ssrc)
{
	for (size_t i = 0; i < PL_TRACKS_MAX; i++) {
		struct pl_track *track = &p->track[i];
		if (is_used(track) && track->is_latched && track->ssrc == ssrc)
			return track;
	}
	return NULL;
}

static struct pl_track *track_by_mid(struct pl_participant *p, struct pl_bytes mid)
{
	for (size_t i = 0; i < PL_TRACKS_MAX; i++) {
		const struct pl_track_spec *spec = &p->track[i].spec;
		if (is_used(&p->track[i]) && strlen(spec->mid) == mid.size &&
			memcmp(spec->mid, mid.data, mid.size) == 0)
			return &p->track[i];
	}
	return NULL;
}

/* The audio track that may be the one of a packet which says nothing: only when there is no choice. */
static struct pl_track *only_untold_track(struct pl_participant *p, uint8_t payload_type)
{
	struct pl_track *only = NULL;
	for (size_t i = 0; i < PL_TRACKS_MAX; i++) {
		struct pl_track *track = &p->track[i];
		if (!is_used(track) || track->is_latched || track->spec.kind != PL_KIND_AUDIO)
			continue;
		if (only != NULL)
			return NULL;
		only = track;
	}
	return only != NULL && only->spec.payload_type == payload_type ? only : NULL;
}

/* It has a payload type of its own in a stream of G.711, RFC 3389 section 4. */
static bool is_comfort_noise(const struct pl_track *track, uint8_t payload_type)
{
	return track->spec.coding != PL_CODING_OPUS && payload_type == COMFORT_NOISE_PAYLOAD_TYPE;
}

enum pl_coding pl_track_coding(const struct pl_track *track, uint8_t payload_type)
{
	return is_comfort_noise(track, payload_type) ? PL_CODING_COMFORT_NOISE : track->spec.coding;
}

enum pl_drop pl_participant_match(
	struct pl_participant *p, const struct pl_rtp *rtp, const struct pl_rtp_ext *ext, struct pl_track **found)
{
	struct pl_track *by_ssrc = pl_participant_track_by_ssrc(p, rtp->ssrc);
	struct pl_track *track = by_ssrc;
	if (ext->has[PL_RTP_EXT_MID])
		track = track_by_mid(p, ext->mid);
	else if (track == NULL)
		track = only_untold_track(p, rtp->payload_type);
	if (track == NULL || track->spec.kind != PL_KIND_AUDIO)
		return PL_DROP_RTP_UNKNOWN_TRACK;
	if (track->spec.payload_type != rtp->payload_type && !is_comfort_noise(track, rtp->payload_type))
		return PL_DROP_RTP_UNKNOWN_PAYLOAD;

	if (track != by_ssrc) {
		if (by_ssrc != NULL)
			by_ssrc->is_latched = false;
		latch(track, rtp->ssrc);
	}
	*found = track;
	return PL_DROP_NONE;
}

static void remove_track(struct pl_track *track, struct pl_speakers *speakers)
{
	pl_speakers_remove(speakers, &track->speaker);
	*track = (struct pl_track){ 0 };
}

bool pl_track_may(struct pl_track *track, int64_t now_us)
{
	enum { PRICE_US = 1000000 / PL_TRACK_PACKETS_PER_S };
	const int64_t full_us = now_us - PL_TRACK_PACKETS_BURST * PRICE_US;
	if (track->spent_us < full_us)
		track->spent_us = full_us;
	if (track->spent_us + PRICE_US > now_us)
		return false;
	track->spent_us += PRICE_US;
	return true;
}

void pl_track_end(struct pl_track *track, struct pl_speakers *speakers)
{
	pl_speakers_remove(speakers, &track->speaker);
	track->is_latched = false;
	if (track->spec.ssrc != 0)
		latch(track, track->spec.ssrc);
}

void pl_track_mute(struct pl_track *track, bool is_muted, struct pl_speakers *speakers)
{
	if (is_muted && !track->is_muted)
		pl_speakers_remove(speakers, &track->speaker);
	track->is_muted = is_muted;
}

static const struct pl_track_spec *spec_of(const struct pl_description *description, const struct pl_track *track)
{
	for (uint8_t i = 0; i < description->track_count; i++) {
		const struct pl_track_spec *spec = &description->track[i];
		if (spec->track == track->spec.track && strcmp(spec->mid, track->spec.mid) == 0)
			return spec;
	}
	return NULL;
}

static void add_track(struct pl_participant *p, const struct pl_track_spec *spec)
{
	size_t place = 0;
	while (is_used(&p->track[place]))
		place++;
	PL_ASSERT(place < PL_TRACKS_MAX && spec->track != 0);
	struct pl_track *track = &p->track[place];
	*track = (struct pl_track){ .spec = *spec, .is_muted = spec->is_muted, .spent_us = INT64_MIN };
	pl_speaker_init(&track->speaker, p->source, spec->track);
	if (spec->ssrc != 0)
		latch(track, spec->ssrc);
}

static void keep_track(struct pl_track *track, const struct pl_track_spec *spec, struct pl_speakers *speakers)
{
	const bool is_restarted = spec->ssrc != 0 && (!track->is_latched || spec->ssrc != track->ssrc);
	track->spec = *spec;
	if (is_restarted)
		latch(track, spec->ssrc);
	pl_track_mute(track, spec->is_muted, speakers);
}

static void apply_tracks(
	struct pl_participant *p, const struct pl_description *description, struct pl_speakers *speakers)
{
	for (size_t i = 0; i < PL_TRACKS_MAX; i++) {
		struct pl_track *track = &p->track[i];
		if (!is_used(track))
			continue;
		const struct pl_track_spec *spec = spec_of(description, track);
		if (spec != NULL)
			keep_track(track, spec, speakers);
		else
			remove_track(track, speakers);
	}
	for (uint8_t i = 0; i < description->track_count; i++) {
		if (pl_participant_track(p, description->track[i].track) == NULL)
			add_track(p, &description->track[i]);
	}
}

static bool is_same_slot(const struct pl_slot_spec *a, const struct pl_slot_spec *b)
{
	return a->ssrc == b->ssrc && strcmp(a->mid, b->mid) == 0;
}

static int find_slot(const struct pl_slot *slot, uint8_t count, const struct pl_slot_spec *spec)
{
	for (uint8_t i = 0; i < count; i++) {
		if (is_same_slot(&slot[i].spec, spec))
			return i;
	}
	return -1;
}

static struct pl_retired *find_retired(struct pl_participant *p, uint32_t ssrc)
{
	for (size_t i = 0; i < PL_COUNT(p->retired); i++) {
		if (p->retired[i].ssrc == ssrc)
			return &p->retired[i];
	}
	return NULL;
}

/* The slot goes.  One that has sent nothing has used no number. */
static void retire(struct pl_participant *p, const struct pl_slot *slot)
{
	if (slot->rewrite.sent_last_us == INT64_MIN)
		return;
	struct pl_retired *place = find_retired(p, 0);
	if (place == NULL) {
		place = &p->retired[p->retired_next];
		p->retired_next = (uint8_t)((p->retired_next + 1) % PL_COUNT(p->retired));
	}
	*place = (struct pl_retired){ slot->spec.ssrc, slot->packets, slot->octets, slot->rewrite.seq_last };
}

static struct pl_slot make_slot(struct pl_participant *p, const struct pl_slot_spec *spec, struct pl_rng *rng)
{
	struct pl_slot slot = { .spec = *spec };
	struct pl_retired *before = find_retired(p, spec->ssrc);
	/* A first number in the lower half keeps the peer's first guess of the rollover counter right even when the first
	 * packets are reordered (RFC 3711 section 3.3.1). */
	uint16_t seq_first = (uint16_t)pl_rng_below(rng, 0x8000);
	if (before != NULL) {
		seq_first = (uint16_t)(before->seq_last + 1);
		slot.packets = before->packets;
		slot.octets = before->octets;
		*before = (struct pl_retired){ .ssrc = 0 };
	}
	pl_rewrite_init(&slot.rewrite, spec->ssrc, spec->clock_hz / 1000, seq_first, (uint32_t)pl_rng_next(rng));
	return slot;
}

static int find_spec(const struct pl_description *description, const struct pl_slot_spec *spec)
{
	for (uint8_t i = 0; i < description->slot_count; i++) {
		if (is_same_slot(&description->slot[i], spec))
			return i;
	}
	return -1;
}

static void apply_slots(struct pl_participant *p, const struct pl_description *description, struct pl_rng *rng)
{
	PL_ASSERT(description->slot_count <= PL_SLOTS_MAX);
	for (uint8_t i = 0; i < p->slots.count; i++) {
		if (find_spec(description, &p->slot[i].spec) < 0)
			retire(p, &p->slot[i]);
	}
	struct pl_slot slot[PL_SLOTS_MAX];
	struct pl_slots slots;
	uint16_t audio_mask = 0;
	for (uint8_t i = 0; i < description->slot_count; i++) {
		if (description->slot[i].kind == PL_KIND_AUDIO)
			audio_mask = (uint16_t)(audio_mask | 1u << i);
	}
	pl_slots_init(&slots, description->slot_count, audio_mask);
	for (uint8_t i = 0; i < description->slot_count; i++) {
		const struct pl_slot_spec *spec = &description->slot[i];
		const int old = find_slot(p->slot, p->slots.count, spec);
		if (old < 0) {
			slot[i] = make_slot(p, spec, rng);
			continue;
		}
		slot[i] = p->slot[old];
		slot[i].spec = *spec;
		pl_slots_carry(&slots, i, &p->slots, (uint8_t)old);
	}
	for (uint8_t i = 0; i < description->slot_count; i++) {
		const struct pl_slot_spec *spec = &slot[i].spec;
		pl_rtp_template_make(&slot[i].header, spec->ssrc, spec->payload_type, spec->mid, &p->ext_ids);
	}
	memcpy(p->slot, slot, description->slot_count * sizeof slot[0]);
	p->slots = slots;
}

/* ---- talkers or the mix ---- */

/* Packets as most have them are too long for it. */
static bool needs_short(const struct pl_participant *p)
{
	return p->frame_max_ms != 0 && p->frame_max_ms < PL_MIX_FRAME_MS;
}

/* The mix is in one slot, but the next offer may have it in another. */
static void note_limits(struct pl_participant *p)
{
	p->bitrate_max_bps = 0;
	p->frame_max_ms = 0;
	for (uint8_t i = 0; i < p->slots.count; i++) {
		const struct pl_slot_spec *spec = &p->slot[i].spec;
		if (spec->kind != PL_KIND_AUDIO || spec->coding != PL_CODING_OPUS)
			continue;
		if (spec->bitrate_max_bps != 0 &&
			(p->bitrate_max_bps == 0 || spec->bitrate_max_bps < p->bitrate_max_bps))
			p->bitrate_max_bps = spec->bitrate_max_bps;
		if (spec->ptime_max_ms < PL_MIX_SHORT_FRAME_MS || spec->ptime_max_ms >= PL_OPUS_PACKET_MS_MAX)
			continue;
		if (p->frame_max_ms == 0 || spec->ptime_max_ms < p->frame_max_ms)
			p->frame_max_ms = (uint8_t)spec->ptime_max_ms;
	}
	/* No mix keeps to both: the bitrate it is. */
	if (needs_short(p) && p->bitrate_max_bps != 0 && p->bitrate_max_bps < PL_MIX_SHORT_BPS)
		p->frame_max_ms = 0;
}

bool pl_participant_is_limited(const struct pl_participant *p)
{
	return p->frame_max_ms != 0 || p->bitrate_max_bps >= PL_MIX_TALKER_BPS;
}

uint32_t pl_participant_talk_max_bps(const struct pl_participant *p)
{
	return p->bitrate_max_bps != 0 ? p->bitrate_max_bps + p->bitrate_max_bps / BITRATE_MISSED : UINT32_MAX;
}

/* What talkers send is more than its slots take, or would be. */
static bool takes_no_talkers(const struct pl_participant *p)
{
	return (p->bitrate_max_bps != 0 && p->bitrate_max_bps < PL_MIX_TALKER_BPS) ||
	       pl_participant_talk_max_bps(p) < p->talk.bps ||
	       (p->frame_max_ms != 0 && p->frame_max_ms < p->talk.frame_ms);
}

/* The best that it takes, from the one that it wants or needs downwards. */
static enum pl_mix_group choose_group(const struct pl_participant *p, const struct pl_slot_spec *spec)
{
	static const struct {
		enum pl_mix_group group;
		uint32_t bps;
	} ladder[] = {
		{ PL_MIX_STEREO, PL_MIX_STEREO_BPS },
		{ PL_MIX_FULL, PL_MIX_FULL_BPS },
		{ PL_MIX_ROBUST, PL_MIX_ROBUST_BPS },
		{ PL_MIX_LOW, PL_MIX_LOW_BPS },
		{ PL_MIX_LOWEST, PL_MIX_LOWEST_BPS },
	};
	if (spec->coding == PL_CODING_PCMU)
		return PL_MIX_PCMU;
	if (spec->coding == PL_CODING_PCMA)
		return PL_MIX_PCMA;
	if (needs_short(p))
		return PL_MIX_SHORT;
	const enum pl_mix_group wish = p->loss.is_lossy ? PL_MIX_ROBUST : p->mix_wish;
	size_t i = 0;
	while (i + 1 < PL_COUNT(ladder) && ladder[i].group != wish)
		i++;
	while (i + 1 < PL_COUNT(ladder) && p->bitrate_max_bps != 0 && ladder[i].bps > p->bitrate_max_bps)
		i++;
	return ladder[i].group;
}

void pl_participant_choose_mix(struct pl_participant *p)
{
	const int first = pl_slots_audio_first(&p->slots);
	p->slots.mix = 0;
	if (first < 0)
		return;
	const struct pl_slot_spec *spec = &p->slot[first].spec;
	const bool is_auto = p->audio_mode == PL_AUDIO_AUTO && (p->is_moved || pl_slots_audio_count(&p->slots) == 1);
	const bool is_mixed = p->audio_mode == PL_AUDIO_MIXED || is_auto || takes_no_talkers(p);
	/* Opus in a slot for G.711 would be noise: without a worker that one is silent. */
	if (spec->coding != PL_CODING_OPUS || (p->can_mix && is_mixed))
		p->slots.mix = (uint8_t)(choose_group(p, spec) + 1);
}

enum pl_mode_refusal pl_participant_refusal(const struct pl_participant *p)
{
	const int first = pl_slots_audio_first(&p->slots);
	const bool needs_mix =
		first >= 0 && (p->audio_mode == PL_AUDIO_MIXED || p->slot[first].spec.coding != PL_CODING_OPUS);
	return needs_mix && !p->can_mix ? PL_MODE_NO_WORKER : PL_MODE_GRANTED;
}

bool pl_loss_note(struct pl_loss *loss, int64_t now_us, uint8_t fraction_lost)
{
	const bool was_lossy = loss->is_lossy;
	if (fraction_lost <= LOSS_BAD)
		loss->bad_since_us = INT64_MAX;
	else if (loss->bad_since_us == INT64_MAX)
		loss->bad_since_us = now_us;
	if (fraction_lost > LOSS_GOOD)
		loss->good_since_us = INT64_MAX;
	else if (loss->good_since_us == INT64_MAX)
		loss->good_since_us = now_us;
	if (loss->bad_since_us <= now_us - LOSS_BAD_MS * INT64_C(1000))
		loss->is_lossy = true;
	else if (loss->good_since_us <= now_us - LOSS_GOOD_MS * INT64_C(1000))
		loss->is_lossy = false;
	return loss->is_lossy != was_lossy;
}

void pl_participant_apply(struct pl_participant *p, const struct pl_description *description,
	struct pl_speakers *speakers, struct pl_rng *rng)
{
	p->ext_ids = description->ext_ids;
	memcpy(p->cname, description->cname, sizeof p->cname);
	p->cname[sizeof p->cname - 1] = '\0';
	apply_tracks(p, description, speakers);
	apply_slots(p, description, rng);
	p->audio_mode = description->audio_mode;
	p->mix_wish = description->mix_wish;
	note_limits(p);
	pl_participant_choose_mix(p);
}

enum content { NOTHING, TALKER, MIX };

static enum content content_of(const struct pl_slots *slots, uint8_t slot)
{
	if (slots->track[slot] == 0)
		return NOTHING;
	return PL_MIX_IS_TRACK(slots->track[slot]) ? MIX : TALKER;
}

static uint8_t start_wait_of(const struct pl_slots *slots)
{
	const uint8_t packets = slots->mix != 0 ? pl_mix_packets((enum pl_mix_group)(slots->mix - 1)) : 1;
	return (uint8_t)(PL_SLOT_START_WAIT * packets);
}

bool pl_participant_refit(struct pl_participant *p, const struct pl_speakers *speakers, int64_t now_us)
{
	const int first = pl_slots_audio_first(&p->slots);
	const bool was_mixed = first >= 0 && PL_MIX_IS_TRACK(p->slots.track[first]);
	enum content before[PL_SLOTS_MAX];
	for (uint8_t i = 0; i < p->slots.count; i++)
		before[i] = content_of(&p->slots, i);
	const uint32_t changed = pl_slots_update(&p->slots, speakers, p->source, now_us);
	for (uint8_t i = 0; i < p->slots.count; i++) {
		/* Two talkers may have chosen the same SSRC, so the rewriter cannot see every change by itself.  All groups of a
		 * room's mix have one clock: there the stream goes on. */
		if ((changed >> i & 1) == 0)
			continue;
		p->slot[i].start_wait = start_wait_of(&p->slots);
		if (i != first || !was_mixed || !PL_MIX_IS_TRACK(p->slots.track[i]))
			pl_rewrite_reset_source(&p->slot[i].rewrite);
		if (before[i] != NOTHING && before[i] != content_of(&p->slots, i))
			p->ended = (uint16_t)(p->ended | 1u << i);
	}
	return changed != 0;
}

size_t pl_participant_part(struct pl_participant *p, int64_t now_us, uint8_t header[static PL_RTP_TEMPLATE_SIZE_MAX],
	struct pl_bytes *payload)
{
	/* RFC 6716: 20 or 10 ms of CELT in mono, all of it silence. */
	static const uint8_t silence_20[] = { 0xf8, 0xff, 0xfe }, silence_10[] = { 0xf0, 0xff, 0xfe };
	const struct pl_bytes silence = { needs_short(p) ? silence_10 : silence_20, sizeof silence_20 };
	while (p->ended != 0) {
		const int i = __builtin_ctz(p->ended);
		struct pl_slot *slot = &p->slot[i];
		p->ended &= (uint16_t)(p->ended - 1);
		/* Asked like that, because it may be INT64_MIN. */
		if (slot->spec.coding != PL_CODING_OPUS || p->slots.last[i] == 0 ||
			slot->rewrite.sent_last_us < now_us - PARTING_LATEST_US)
			continue;
		struct pl_rtp rtp = { .ssrc = slot->spec.ssrc };
		pl_rewrite_follow(&slot->rewrite, now_us, &rtp);
		pl_rewrite_reset_source(&slot->rewrite);
		slot->packets++;
		slot->octets += (uint32_t)silence.size;
		const struct pl_rtp_stamp stamp = {
			.seq = rtp.seq, .ts = rtp.ts, .csrc = p->slots.last[i], .has_level = true, .level = 127
		};
		pl_rtp_template_write(&slot->header, &stamp, header);
		*payload = silence;
		return slot->header.size;
	}
	return 0;
}

void pl_participant_fall_silent(struct pl_participant *p, struct pl_speakers *speakers)
{
	for (size_t i = 0; i < PL_TRACKS_MAX; i++) {
		if (is_used(&p->track[i]))
			remove_track(&p->track[i], speakers);
	}
}
