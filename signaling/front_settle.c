#include <stdio.h>
#include <string.h>

#include "media/g711.h"
#include "media/opus.h"
#include "signaling/front_state.h"

/* ---- the transport ---- */

/* A later offer of one peer connection goes on with its DTLS association, so what that was made with must not change
 * (RFC 8842 section 5.5 would have a new association; here that is a resume with a new peer connection). */
static bool is_same_association(
	const struct pl_sdp_offer *offer, const struct pl_description *old, char error[static PL_SDP_ERROR_SIZE])
{
	const bool is_role_kept = offer->setup == PL_SDP_ACTPASS ||
				  (offer->setup == PL_SDP_ACTIVE) == (old->dtls_role == PL_DTLS_PASSIVE);
	const bool is_print_kept =
		offer->fingerprint.hash == old->fingerprint.hash &&
		memcmp(offer->fingerprint.bytes, old->fingerprint.bytes, sizeof old->fingerprint.bytes) == 0;
	if (is_role_kept && is_print_kept)
		return true;
	snprintf(error, PL_SDP_ERROR_SIZE, "another %s needs a new peer connection: join with resume and sdp",
		is_print_kept ? "a=setup" : "a=fingerprint");
	return false;
}

static void settle_transport(
	struct pl_front *front, const struct pl_front_session *session, bool is_new_transport, struct pl_description *d)
{
	const struct pl_sdp_offer *offer = &front->offer;
	const struct pl_description *old = session != NULL ? &session->settled : NULL;
	const bool goes_on = old != NULL && !is_new_transport;
	/* Other credentials than last time are an ICE restart (RFC 8839 section 4.4.1.1.1). */
	const bool is_ice_kept =
		goes_on && strcmp(offer->ufrag, old->remote_ufrag) == 0 && strcmp(offer->pwd, session->remote_pwd) == 0;
	if (is_ice_kept) {
		d->local = old->local;
	} else {
		pl_front_random_text(front, d->local.ufrag, PL_ICE_LOCAL_UFRAG_SIZE - 1, true);
		pl_front_random_text(front, d->local.pwd, PL_ICE_LOCAL_PWD_SIZE - 1, true);
	}
	memcpy(d->remote_ufrag, offer->ufrag, sizeof d->remote_ufrag);
	if (goes_on)
		d->dtls_role = old->dtls_role;
	else
		d->dtls_role = offer->setup == PL_SDP_PASSIVE ? PL_DTLS_ACTIVE : PL_DTLS_PASSIVE;
	d->fingerprint = offer->fingerprint;
	d->ext_ids = offer->ext_ids;
	if (old != NULL)
		memcpy(d->cname, old->cname, sizeof d->cname);
	else
		pl_front_random_text(front, d->cname, PL_CNAME_SIZE - 1, false);
}

/* ---- tracks and slots ---- */

static const struct pl_track_spec *find_track(const struct pl_description *d, const char *mid)
{
	for (uint8_t i = 0; d != NULL && i < d->track_count; i++) {
		if (strcmp(d->track[i].mid, mid) == 0)
			return &d->track[i];
	}
	return NULL;
}

static const struct pl_slot_spec *find_slot(const struct pl_description *d, const char *mid)
{
	for (uint8_t i = 0; d != NULL && i < d->slot_count; i++) {
		if (strcmp(d->slot[i].mid, mid) == 0)
			return &d->slot[i];
	}
	return NULL;
}

/* RFC 7587 section 4.1, RFC 3551 section 4.5.14. */
static uint32_t clock_of(enum pl_coding coding)
{
	return coding == PL_CODING_OPUS ? PL_OPUS_CLOCK_HZ : PL_G711_CLOCK_HZ;
}

static void add_track(struct pl_front *front, const struct pl_sdp_media *media, const struct pl_description *old,
	struct pl_description *d)
{
	const struct pl_track_spec *before = find_track(old, media->mid);
	struct pl_track_spec *track = &d->track[d->track_count++];
	*track = (struct pl_track_spec){
		.ssrc = media->ssrc,
		.clock_hz = clock_of(media->coding),
		.payload_type = media->payload_type,
		.coding = media->coding,
		.kind = PL_KIND_AUDIO,
		.is_muted = before != NULL && before->is_muted,
	};
	memcpy(track->mid, media->mid, sizeof track->mid);
	if (before != NULL) {
		track->track = before->track;
		return;
	}
	/* Those from PL_MIX_TRACK on are the mixes'. */
	front->track_last = front->track_last < PL_MIX_TRACK(0) - 1 ? front->track_last + 1 : 1;
	track->track = front->track_last;
}

static bool has_slot_with(const struct pl_description *d, uint32_t ssrc)
{
	for (uint8_t i = 0; i < d->slot_count; i++) {
		if (d->slot[i].ssrc == ssrc)
			return true;
	}
	return false;
}

/* One SSRC is one stream in the whole session (RFC 3550 section 8). */
static bool is_ssrc_taken(const struct pl_sdp_offer *offer, const struct pl_description *d, uint32_t ssrc)
{
	for (uint8_t i = 0; i < offer->media_count; i++) {
		if (offer->media[i].ssrc == ssrc)
			return true;
	}
	return has_slot_with(d, ssrc);
}

static bool had_ssrc(const struct pl_front_session *session, uint32_t ssrc)
{
	for (uint8_t i = 0; i < session->slot_ssrc_count; i++) {
		if (session->slot_ssrc[i] == ssrc)
			return true;
	}
	return false;
}

/* Whether SRTP's places are all taken, also by what is new in this answer. */
static bool has_had_all(const struct pl_front_session *session, const struct pl_description *d)
{
	size_t count = session->slot_ssrc_count;
	for (uint8_t i = 0; i < d->slot_count; i++)
		count += !had_ssrc(session, d->slot[i].ssrc);
	return count >= PL_SLOT_SSRCS_MAX;
}

/* 0 for none: a peer offers ours as its own.  No slot of now has it, for a browser would have one stream in two m-lines
 * while it takes the answer. */
static uint32_t longest_unused(
	const struct pl_front *front, const struct pl_front_session *session, const struct pl_description *d)
{
	for (uint8_t i = 0; i < session->slot_ssrc_count; i++) {
		const uint32_t ssrc = session->slot_ssrc[i];
		if (!has_slot_with(&session->settled, ssrc) && !is_ssrc_taken(&front->offer, d, ssrc))
			return ssrc;
	}
	return 0;
}

/* session: NULL for a new transport, which has used none. */
static uint32_t choose_ssrc(
	struct pl_front *front, const struct pl_front_session *session, const struct pl_description *d)
{
	uint32_t ssrc = session != NULL && has_had_all(session, d) ? longest_unused(front, session, d) : 0;
	while (ssrc == 0 || is_ssrc_taken(&front->offer, d, ssrc))
		ssrc = pl_front_random_id(front);
	return ssrc;
}

static uint32_t add_slot(struct pl_front *front, const struct pl_front_offer *asked,
	const struct pl_front_session *session, const struct pl_sdp_media *media, struct pl_description *d)
{
	const struct pl_slot_spec *before = find_slot(session != NULL ? &session->settled : NULL, media->mid);
	uint32_t ssrc;
	if (before != NULL && !is_ssrc_taken(&front->offer, d, before->ssrc))
		ssrc = before->ssrc;
	else
		ssrc = choose_ssrc(front, asked->is_new_transport ? NULL : session, d);
	struct pl_slot_spec *slot = &d->slot[d->slot_count++];
	*slot = (struct pl_slot_spec){
		.ssrc = ssrc,
		.clock_hz = clock_of(media->coding),
		.payload_type = media->payload_type,
		.kind = PL_KIND_AUDIO,
		.coding = media->coding,
		.bitrate_max_bps = media->bitrate_max_bps,
		.ptime_ms = media->ptime_ms,
		.ptime_max_ms = media->ptime_max_ms,
		.is_stereo = media->is_stereo,
		.has_fec = media->has_fec,
	};
	memcpy(slot->mid, media->mid, sizeof slot->mid);
	return ssrc;
}

static void settle_media(struct pl_front *front, const struct pl_front_offer *asked,
	const struct pl_front_session *session, const struct pl_sdp_media *media, struct pl_description *d,
	struct pl_sdp_answer_media *how)
{
	*how = (struct pl_sdp_answer_media){ .is_accepted = false };
	if (!pl_sdp_is_wanted(media))
		return;
	unsigned direction = PL_SDP_INACTIVE;
	if ((media->direction & PL_SDP_SEND) != 0 && d->track_count < asked->tracks_max) {
		add_track(front, media, session != NULL ? &session->settled : NULL, d);
		direction |= PL_SDP_RECV;
	}
	if ((media->direction & PL_SDP_RECV) != 0 && d->slot_count < asked->slots_max) {
		how->ssrc = add_slot(front, asked, session, media, d);
		direction |= PL_SDP_SEND;
		/* A stream of its own for each, so that browsers do not wait for one to play the other in step. */
		snprintf(how->stream_id, sizeof how->stream_id, "slot-%s", d->slot[d->slot_count - 1].mid);
		memcpy(how->track_id, how->stream_id, sizeof how->track_id);
	}
	how->direction = (enum pl_sdp_direction)direction;
	/* An m-line over the limits is rejected; one that its offerer holds still is kept. */
	how->is_accepted = direction != PL_SDP_INACTIVE || media->direction == PL_SDP_INACTIVE;
}

/* The tagged m-line gets its place first: the bundle stands on it (RFC 9143 section 7.3.1). */
static void reserve_tagged(const struct pl_sdp_offer *offer, struct pl_sdp_answer *answer)
{
	struct pl_sdp_answer_media *how = &answer->media[offer->tagged];
	if (how->is_accepted)
		return;
	how->is_accepted = true;
	how->direction = PL_SDP_INACTIVE;
}

struct pl_front_offer pl_front_offer_of(const char *sdp, bool is_new_transport)
{
	return (struct pl_front_offer){
		.sdp = { (const uint8_t *)sdp, strlen(sdp) },
		.is_new_transport = is_new_transport,
		.tracks_max = PL_TRACKS_MAX,
		.slots_max = PL_SLOTS_MAX,
	};
}

bool pl_front_settle(struct pl_front *front, const struct pl_front_session *session, const struct pl_front_offer *asked,
	struct pl_description *description, char error[static PL_SDP_ERROR_SIZE])
{
	PL_ASSERT(asked->tracks_max <= PL_TRACKS_MAX && asked->slots_max <= PL_SLOTS_MAX);
	const struct pl_description *old = session != NULL ? &session->settled : NULL;
	struct pl_sdp_offer *offer = &front->offer;
	const struct pl_sdp_options options = { .takes_g711 = front->config.takes_g711 };
	if (!pl_sdp_parse_offer(asked->sdp, &options, offer, error))
		return false;
	if (old != NULL && !asked->is_new_transport && !is_same_association(offer, old, error))
		return false;
	*description = (struct pl_description){
		.audio_mode = old != NULL ? old->audio_mode : asked->mode.audio,
		.mix_wish = old != NULL ? old->mix_wish : asked->mode.wish,
	};
	settle_transport(front, session, asked->is_new_transport, description);
	for (uint8_t i = 0; i < offer->media_count; i++)
		settle_media(front, asked, session, &offer->media[i], description, &front->answer.media[i]);
	reserve_tagged(offer, &front->answer);
	return true;
}

/* ---- after the decision ---- */

/* Slots that stay keep who is in them; with a new transport the media plane begins with empty ones. */
static void carry_slots(struct pl_front_session *session, const struct pl_description *d, bool is_new_transport)
{
	struct pl_front_slot before[PL_SLOTS_MAX];
	memcpy(before, session->slot, sizeof before);
	memset(session->slot, 0, sizeof session->slot);
	for (uint8_t i = 0; i < d->slot_count && !is_new_transport; i++) {
		for (uint8_t j = 0; j < session->settled.slot_count; j++) {
			if (session->settled.slot[j].ssrc == d->slot[i].ssrc)
				session->slot[i] = before[j];
		}
	}
}

/* The SSRCs of the slots become those that were used last; with a new transport they are the only ones. */
static void note_ssrcs(struct pl_front_session *session, const struct pl_description *d, bool is_new_transport)
{
	if (is_new_transport)
		session->slot_ssrc_count = 0;
	for (uint8_t i = 0; i < d->slot_count; i++) {
		uint32_t *all = session->slot_ssrc;
		uint8_t at = 0;
		while (at < session->slot_ssrc_count && all[at] != d->slot[i].ssrc)
			at++;
		if (at == PL_SLOT_SSRCS_MAX)
			at = 0;
		if (at == session->slot_ssrc_count)
			session->slot_ssrc_count++;
		memmove(all + at, all + at + 1, (size_t)(session->slot_ssrc_count - at - 1) * sizeof all[0]);
		all[session->slot_ssrc_count - 1] = d->slot[i].ssrc;
	}
}

void pl_front_settle_commit(struct pl_front *front, struct pl_front_session *session,
	const struct pl_description *description, bool is_new_transport)
{
	carry_slots(session, description, is_new_transport);
	note_ssrcs(session, description, is_new_transport);
	session->settled = *description;
	memcpy(session->remote_pwd, front->offer.pwd, sizeof session->remote_pwd);
	session->sdp_version++;
	pl_front_session_refresh(session);
}

void pl_front_tell_track_changes(
	struct pl_front *front, const struct pl_front_session *session, const struct pl_description *before)
{
	const struct pl_description *now = &session->settled;
	for (uint8_t i = 0; i < before->track_count; i++) {
		const struct pl_track_spec *kept = find_track(now, before->track[i].mid);
		if (kept == NULL)
			pl_front_tell_track(front, session, "remove", &before->track[i], session);
	}
	for (uint8_t i = 0; i < now->track_count; i++) {
		if (find_track(before, now->track[i].mid) == NULL)
			pl_front_tell_track(front, session, "add", &now->track[i], session);
	}
}

size_t pl_front_candidates(const struct pl_front *front, const struct pl_front_session *session,
	struct pl_addr candidate[static PL_FRONT_ADDRESSES_MAX])
{
	memcpy(candidate, front->config.address, sizeof front->config.address);
	for (size_t i = 0; i < front->config.address_count; i++)
		candidate[i].port = front->config.port[session->shard];
	return front->config.address_count;
}

size_t pl_front_make_answer(struct pl_front *front, const struct pl_front_session *session)
{
	struct pl_sdp_answer *answer = &front->answer;
	struct pl_addr candidate[PL_FRONT_ADDRESSES_MAX];
	answer->offer = &front->offer;
	answer->session_id = session->sdp_session;
	answer->session_version = session->sdp_version;
	answer->ice = session->settled.local;
	answer->fingerprint = front->config.fingerprint;
	answer->role = session->settled.dtls_role;
	answer->cname = session->settled.cname;
	answer->candidates = candidate;
	answer->candidate_count = pl_front_candidates(front, session, candidate);
	/* 64 m-lines of less than 800 bytes each, and 16 candidates, fit. */
	const size_t size = pl_sdp_write_answer(answer, front->answer_text, sizeof front->answer_text);
	PL_ASSERT(size > 0);
	return size;
}

void pl_front_write_answer(struct pl_front *front, struct pl_front_writer *w, const struct pl_front_session *session)
{
	(void)pl_front_make_answer(front, session);
	pl_front_write_string(w, "sdp", front->answer_text);
}
