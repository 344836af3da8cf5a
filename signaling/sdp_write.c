#include <inttypes.h>

#include "media/g711.h"
#include "media/transcode.h"
#include "signaling/sdp.h"
#include "signaling/text.h"

static const char *direction_name(enum pl_sdp_direction direction)
{
	static const char *const names[] = {
		[PL_SDP_INACTIVE] = "inactive",
		[PL_SDP_SEND] = "sendonly",
		[PL_SDP_RECV] = "recvonly",
		[PL_SDP_SENDRECV] = "sendrecv",
	};
	return names[direction];
}

static enum pl_sdp_direction reversed(enum pl_sdp_direction direction)
{
	return (enum pl_sdp_direction)(
		(direction & PL_SDP_SEND ? PL_SDP_RECV : 0) | (direction & PL_SDP_RECV ? PL_SDP_SEND : 0));
}

/* The first one named has the transport (RFC 9143 section 7.3.1).  An answer has no group that the offer has not. */
static void put_group(struct pl_text *w, const struct pl_sdp_answer *answer)
{
	const struct pl_sdp_offer *offer = answer->offer;
	if (!offer->has_bundle)
		return;
	pl_text_put(w, "a=group:BUNDLE %s", offer->media[offer->tagged].mid);
	for (uint8_t i = 0; i < offer->media_count; i++) {
		if (answer->media[i].is_accepted && i != offer->tagged)
			pl_text_put(w, " %s", offer->media[i].mid);
	}
	pl_text_put(w, "\r\n");
}

static void put_mid(struct pl_text *w, const char *mid)
{
	if (mid[0] != '\0')
		pl_text_put(w, "a=mid:%s\r\n", mid);
}

static void put_session(struct pl_text *w, const struct pl_sdp_answer *answer)
{
	const struct pl_sdp_offer *offer = answer->offer;
	pl_text_put(w, "v=0\r\no=- %" PRIu64 " %" PRIu64 " IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n", answer->session_id,
		answer->session_version);
	put_group(w, answer);
	pl_text_put(w, "a=ice-lite\r\na=msid-semantic:WMS *\r\n");
	if (offer->has_allow_mixed)
		pl_text_put(w, "a=extmap-allow-mixed\r\n");
}

static void put_rejected(struct pl_text *w, const struct pl_sdp_media *media)
{
	pl_text_put(w, "m=%s 0 %s %s\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\n", media->type_name, media->protocol,
		media->formats);
	put_mid(w, media->mid);
}

/* The m= line and its address: those of the default candidate (RFC 8839 section 4.2.1.2). */
static void put_destination(struct pl_text *w, const struct pl_sdp_answer *answer, const struct pl_sdp_media *media)
{
	char ip[PL_ADDR_TEXT_SIZE] = "0.0.0.0";
	bool is_ipv4 = true;
	unsigned port = 9; /* "discard", RFC 8829 section 5.2.1 */
	if (answer->candidate_count > 0) {
		const struct pl_addr *first = &answer->candidates[0];
		pl_addr_format_ip(first, ip);
		is_ipv4 = pl_addr_is_ipv4(first);
		port = first->port;
	}
	pl_text_put(w, "m=audio %u %s %u\r\nc=IN IP%c %s\r\n", port, media->protocol, media->payload_type,
		is_ipv4 ? '4' : '6', ip);
}

static void put_transport(struct pl_text *w, const struct pl_sdp_answer *answer)
{
	static const char *const hash_names[] = {
		[PL_FINGERPRINT_SHA256] = "sha-256",
		[PL_FINGERPRINT_SHA384] = "sha-384",
		[PL_FINGERPRINT_SHA512] = "sha-512",
	};
	char fingerprint[PL_FINGERPRINT_TEXT_SIZE];
	pl_text_put(w, "a=ice-ufrag:%s\r\na=ice-pwd:%s\r\n", answer->ice.ufrag, answer->ice.pwd);
	pl_text_put(w, "a=fingerprint:%s %s\r\n", hash_names[answer->fingerprint->hash],
		pl_fingerprint_format(answer->fingerprint, fingerprint));
	pl_text_put(w, "a=setup:%s\r\n", answer->role == PL_DTLS_ACTIVE ? "active" : "passive");
}

/* Host candidates, RFC 8839 section 5.1; priorities by RFC 8445 section 5.1.2.1 (126 for host, 1 component). */
static void put_candidates(struct pl_text *w, const struct pl_addr *candidates, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct pl_addr *addr = &candidates[i];
		const uint32_t priority = 126u << 24 | (uint32_t)(65535 - i) << 8 | 255;
		char ip[PL_ADDR_TEXT_SIZE];
		pl_text_put(w, "a=candidate:%zu 1 udp %" PRIu32 " %s %u typ host\r\n", i + 1, priority,
			pl_addr_format_ip(addr, ip), addr->port);
	}
	pl_text_put(w, "a=end-of-candidates\r\n");
}

/* Only what the server reads or writes itself: agreeing to more would promise it. */
static void put_extensions(struct pl_text *w, const struct pl_sdp_answer *answer, const struct pl_sdp_media *media)
{
	static const enum pl_rtp_ext_kind kinds[] = { PL_RTP_EXT_MID, PL_RTP_EXT_AUDIO_LEVEL };
	for (size_t i = 0; i < PL_COUNT(kinds); i++) {
		const uint8_t id = media->ext_ids.id[kinds[i]];
		const enum pl_sdp_direction direction = media->ext_direction[kinds[i]];
		if (id == 0 || id != answer->offer->ext_ids.id[kinds[i]] || direction == PL_SDP_INACTIVE)
			continue;
		pl_text_put(w, "a=extmap:%u", id);
		if (direction != PL_SDP_SENDRECV)
			pl_text_put(w, "/%s", direction_name(reversed(direction)));
		pl_text_put(w, " %s\r\n", pl_rtp_ext_uri(kinds[i]));
	}
}

/* How we want to receive it: FEC is of use to all who hear it; what transcoding takes, in the length of its frames. */
static void put_codec(struct pl_text *w, const struct pl_sdp_media *media)
{
	enum { PTIME_MS = 20, PTIME_MS_MAX = PL_TRANSCODE_PAYLOAD_MAX * 1000 / PL_G711_CLOCK_HZ };
	const unsigned format = media->payload_type;
	if (media->coding == PL_CODING_OPUS)
		pl_text_put(w, "a=rtpmap:%u opus/48000/2\r\na=fmtp:%u minptime=10;useinbandfec=1\r\n", format, format);
	else
		pl_text_put(w, "a=rtpmap:%u PCM%c/8000\r\na=ptime:%d\r\na=maxptime:%d\r\n", format,
			media->coding == PL_CODING_PCMU ? 'U' : 'A', PTIME_MS, PTIME_MS_MAX);
}

static void put_accepted(struct pl_text *w, const struct pl_sdp_answer *answer, uint8_t index)
{
	const struct pl_sdp_media *media = &answer->offer->media[index];
	const struct pl_sdp_answer_media *how = &answer->media[index];
	put_destination(w, answer, media);
	put_mid(w, media->mid);
	pl_text_put(w, "a=%s\r\na=rtcp-mux\r\n", direction_name(how->direction));
	put_transport(w, answer);
	if (index == answer->offer->tagged)
		put_candidates(w, answer->candidates, answer->candidate_count);
	put_codec(w, media);
	put_extensions(w, answer, media);
	if (how->ssrc != 0)
		pl_text_put(w, "a=msid:%s %s\r\na=ssrc:%" PRIu32 " cname:%s\r\n", how->stream_id, how->track_id,
			how->ssrc, answer->cname);
}

size_t pl_sdp_write_answer(const struct pl_sdp_answer *answer, char *text, size_t text_size)
{
	const struct pl_sdp_offer *offer = answer->offer;
	PL_ASSERT(offer->tagged < offer->media_count && answer->media[offer->tagged].is_accepted);
	struct pl_text w = pl_text_begin(text, text_size);
	put_session(&w, answer);
	for (uint8_t i = 0; i < offer->media_count; i++) {
		if (answer->media[i].is_accepted)
			put_accepted(&w, answer, i);
		else
			put_rejected(&w, &offer->media[i]);
	}
	return pl_text_fits(&w) ? w.used : 0;
}

size_t pl_sdp_write_fragment(const struct pl_sdp_fragment_answer *answer, char text[static PL_SDP_FRAGMENT_SIZE_MAX])
{
	struct pl_text w = pl_text_begin(text, PL_SDP_FRAGMENT_SIZE_MAX);
	pl_text_put(&w, "a=ice-lite\r\nm=audio 9 UDP/TLS/RTP/SAVPF %u\r\n", answer->payload_type);
	put_mid(&w, answer->mid);
	pl_text_put(&w, "a=ice-ufrag:%s\r\na=ice-pwd:%s\r\n", answer->ice.ufrag, answer->ice.pwd);
	put_candidates(&w, answer->candidates, answer->candidate_count);
	PL_ASSERT(pl_text_fits(&w));
	return w.used;
}
