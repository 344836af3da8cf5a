#include <stdio.h>
#include <string.h>

#include "signaling/sdp_read.h"

bool pl_sdp_is_wanted(const struct pl_sdp_media *media)
{
	return media->type == PL_SDP_AUDIO && media->has_codec && media->has_dtls_srtp && !media->is_rejected;
}

/* ---- one m-line ---- */

static enum pl_sdp_type type_of(struct pl_bytes name)
{
	if (pl_sdp_equal(name, "audio"))
		return PL_SDP_AUDIO;
	if (pl_sdp_equal(name, "video"))
		return PL_SDP_VIDEO;
	return pl_sdp_equal(name, "application") ? PL_SDP_APPLICATION : PL_SDP_OTHER;
}

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

/* The names that RFC 8829 section 5.1.2 has an answerer take.  Some say what is meant, the others need a fingerprint for
 * it: without one they are plain RTP. */
static bool says_dtls_srtp(const struct pl_sdp_media *media)
{
	static const char *const names[] = { "UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "TCP/DTLS/RTP/SAVPF",
		"TCP/DTLS/RTP/SAVP" };
	return is_one_of(media->protocol, names, PL_COUNT(names));
}

static bool may_mean_dtls_srtp(const struct pl_sdp_media *media)
{
	static const char *const names[] = { "RTP/SAVPF", "RTP/SAVP", "RTP/AVPF", "RTP/AVP" };
	return is_one_of(media->protocol, names, PL_COUNT(names));
}

static void end_media(struct pl_sdp_reader *r)
{
	struct pl_sdp_media *media = r->media;
	if (media == NULL)
		return;
	const bool has_fingerprint = r->transport->fingerprint_line != 0 || r->session.fingerprint_line != 0;
	media->has_dtls_srtp = says_dtls_srtp(media) || (may_mean_dtls_srtp(media) && has_fingerprint);
	media->is_rejected = !r->has_port && !r->is_bundle_only;
	pl_sdp_choose_codec(r);
	r->media = NULL;
}

/* A word of the m= line that an answer repeats. */
static bool read_word(struct pl_sdp_reader *r, const char *what, struct pl_bytes word, char *text, size_t size)
{
	if (word.size == 0 || !pl_sdp_copy(word, text, size))
		return pl_sdp_fail(r, "m=: the %s must have 1 to %zu bytes", what, size - 1);
	return true;
}

static bool check_token(struct pl_sdp_reader *r, const char *what, struct pl_bytes word)
{
	if (!pl_sdp_is_token(word))
		return pl_sdp_fail(
			r, "m=: the %s \"%.*s\" is not a token (RFC 8866 section 9)", what, PL_SDP_QUOTE(word));
	return true;
}

/* Tokens with slashes between. */
static bool check_protocol(struct pl_sdp_reader *r, struct pl_bytes protocol)
{
	bool is_good = protocol.data[protocol.size - 1] != '/';
	for (struct pl_bytes rest = protocol; rest.size > 0;)
		is_good = pl_sdp_is_token(pl_sdp_cut(&rest, '/')) && is_good;
	if (!is_good)
		return pl_sdp_fail(r, "m=: the protocol \"%.*s\" is not made of tokens (RFC 8866 section 9)",
			PL_SDP_QUOTE(protocol));
	return true;
}

static bool check_formats(struct pl_sdp_reader *r, struct pl_bytes formats)
{
	while (formats.size > 0) {
		const struct pl_bytes format = pl_sdp_next_word(&formats);
		if (format.size > 0 && !check_token(r, "format", format))
			return false;
	}
	return true;
}

/* m=audio 9 UDP/TLS/RTP/SAVPF 111 63, RFC 8866 section 5.14. */
static bool begin_media(struct pl_sdp_reader *r, struct pl_bytes value)
{
	struct pl_sdp_offer *offer = r->offer;
	if (offer->media_count == PL_SDP_MEDIA_MAX)
		return pl_sdp_fail(r, "more than %d m-lines", PL_SDP_MEDIA_MAX);
	struct pl_sdp_media *media = &offer->media[offer->media_count];
	const struct pl_bytes type = pl_sdp_next_word(&value);
	const struct pl_bytes port = pl_sdp_next_word(&value);
	const struct pl_bytes protocol = pl_sdp_next_word(&value);
	struct pl_bytes formats = value;
	uint32_t number;

	*media = (struct pl_sdp_media){ .type = type_of(type), .direction = r->session_direction };
	media->line = (uint16_t)r->line;
	if (!read_word(r, "kind of media", type, media->type_name, sizeof media->type_name) ||
		!check_token(r, "kind of media", type))
		return false;
	if (!pl_sdp_number(port, 65535, &number))
		return pl_sdp_fail(r, "m=: \"%.*s\" is not a port", PL_SDP_QUOTE(port));
	if (!read_word(r, "protocol", protocol, media->protocol, sizeof media->protocol) ||
		!check_protocol(r, protocol))
		return false;
	const struct pl_bytes first = pl_sdp_next_word(&formats);
	if (!read_word(r, "first format", first, media->formats, sizeof media->formats) || !check_formats(r, value))
		return false;

	r->media = media;
	r->transport = &r->of_media[offer->media_count++];
	*r->transport = (struct pl_sdp_transport){ .has_setup = false };
	r->formats = value;
	memset(r->format, 0, sizeof r->format);
	r->has_port = number != 0;
	r->is_bundle_only = false;
	return true;
}

/* ---- lines ---- */

static bool read_line(struct pl_sdp_reader *r, struct pl_bytes line)
{
	if (line.size > PL_SDP_LINE_MAX)
		return pl_sdp_fail(r, "%zu bytes; a line has at most %d", line.size, PL_SDP_LINE_MAX);
	if (r->line == 1 && !pl_sdp_equal(line, "v=0"))
		return pl_sdp_fail(r, "SDP begins with v=0");
	if (line.size == 0)
		return true;
	if (memchr(line.data, '\0', line.size) != NULL)
		return pl_sdp_fail(r, "a NUL byte");
	/* What is quoted in the answer must not begin a line there (RFC 8866 section 9: byte-string). */
	if (memchr(line.data, '\r', line.size) != NULL)
		return pl_sdp_fail(r, "a carriage return inside of the line");
	if (line.size < 2 || line.data[1] != '=')
		return pl_sdp_fail(r, "\"%.*s\" is not of the form x=...", PL_SDP_QUOTE(line));
	const struct pl_bytes value = { line.data + 2, line.size - 2 };
	switch (line.data[0]) {
	case 'm':
		end_media(r);
		return begin_media(r, value);
	case 'a':
		return pl_sdp_read_attribute(r, value);
	default:
		return true;
	}
}

/* ---- the offer as a whole ---- */

static struct pl_sdp_media *find_mid(struct pl_sdp_offer *offer, struct pl_bytes mid)
{
	for (uint8_t i = 0; i < offer->media_count; i++) {
		if (pl_sdp_equal(mid, offer->media[i].mid))
			return &offer->media[i];
	}
	return NULL;
}

/* Marks the m-lines of the group, and finds the one that has the bundle's transport.  RFC 9143 section 7.3.1 takes
 * the first of the group; should we reject that one, it is the first that we take (section 7.3.2). */
static bool read_bundle(struct pl_sdp_reader *r)
{
	struct pl_sdp_offer *offer = r->offer;
	struct pl_sdp_media *tagged = NULL;
	offer->has_bundle = r->group_line != 0;
	for (struct pl_bytes rest = r->group; rest.size > 0;) {
		const struct pl_bytes mid = pl_sdp_next_word(&rest);
		if (mid.size == 0)
			continue;
		struct pl_sdp_media *media = find_mid(offer, mid);
		r->line = r->group_line;
		if (media == NULL)
			return pl_sdp_fail(r, "a=group:BUNDLE names \"%.*s\", which no a=mid has", PL_SDP_QUOTE(mid));
		media->is_bundled = true;
		if (tagged == NULL && pl_sdp_is_wanted(media))
			tagged = media;
	}
	if (tagged != NULL)
		offer->tagged = (uint8_t)(tagged - offer->media);
	return true;
}

/* None is wanted: says what an m-line lacks that would have been but for its protocol, or what is needed at all. */
static bool fail_without_media(struct pl_sdp_reader *r)
{
	for (uint8_t i = 0; i < r->offer->media_count; i++) {
		struct pl_sdp_media media = r->offer->media[i];
		media.has_dtls_srtp = true;
		if (!pl_sdp_is_wanted(&media))
			continue;
		r->line = media.line;
		if (may_mean_dtls_srtp(&media))
			return pl_sdp_fail(
				r, "m=: %s without a=fingerprint is not taken; DTLS-SRTP is needed", media.protocol);
		return pl_sdp_fail(r, "m=: %s is not taken; UDP/TLS/RTP/SAVPF is needed", media.protocol);
	}
	return pl_sdp_fail(r, "the offer ends without an m-line to take; audio with %s is needed",
		r->options.takes_g711 ? "opus/48000/2, PCMU/8000 or PCMA/8000" : "opus/48000/2");
}

/* What puts it on the one transport of all. */
static bool check_bundled(struct pl_sdp_reader *r, const struct pl_sdp_media *media)
{
	if (media->mid[0] == '\0')
		return pl_sdp_fail(r, "this m-line has no a=mid");
	if (!r->offer->has_bundle)
		return pl_sdp_fail(r, "there is no a=group:BUNDLE; all m-lines must be in one group");
	if (!media->is_bundled)
		return pl_sdp_fail(r, "this m-line is not in the a=group:BUNDLE of line %u; all must be in one group",
			r->group_line);
	return true;
}

static size_t count_wanted(const struct pl_sdp_offer *offer)
{
	size_t wanted = 0;
	for (uint8_t i = 0; i < offer->media_count; i++)
		wanted += pl_sdp_is_wanted(&offer->media[i]);
	return wanted;
}

static bool check_media(struct pl_sdp_reader *r)
{
	struct pl_sdp_offer *offer = r->offer;
	const size_t wanted = count_wanted(offer);
	const bool needs_bundle = offer->has_bundle || wanted > 1;
	for (uint8_t i = 0; i < offer->media_count; i++) {
		const struct pl_sdp_media *media = &offer->media[i];
		r->line = media->line;
		if (!pl_sdp_is_wanted(media))
			continue;
		if (needs_bundle && !check_bundled(r, media))
			return false;
		if (!media->has_rtcp_mux)
			return pl_sdp_fail(r, "this m-line has no a=rtcp-mux");
		if (!needs_bundle)
			offer->tagged = i;
	}
	return wanted > 0 || fail_without_media(r);
}

/* RFC 9143 section 9.2: in a bundle a number means the same everywhere, so the first m-line that has it tells. */
static bool number_extensions(struct pl_sdp_reader *r)
{
	struct pl_sdp_offer *offer = r->offer;
	for (uint8_t i = 0; i < offer->media_count; i++) {
		const struct pl_sdp_media *media = &offer->media[i];
		if (!pl_sdp_is_wanted(media))
			continue;
		for (size_t kind = 0; kind < PL_RTP_EXT_COUNT; kind++) {
			const bool is_void = kind == PL_RTP_EXT_MID && media->mid[0] == '\0';
			if (offer->ext_ids.id[kind] == 0 && !is_void)
				offer->ext_ids.id[kind] = media->ext_ids.id[kind];
		}
	}
	for (size_t kind = 0; kind < PL_RTP_EXT_COUNT; kind++) {
		const uint8_t id = offer->ext_ids.id[kind];
		r->line = offer->media[offer->tagged].line;
		if (id != 0 && memchr(offer->ext_ids.id, id, kind) != NULL)
			return pl_sdp_fail(r, "a=extmap:%u has two meanings in the bundle of this m-line", id);
	}
	return true;
}

/* What the m-line does not say for itself, the session says for all. */
static bool inherit(struct pl_sdp_reader *r)
{
	struct pl_sdp_offer *offer = r->offer;
	const struct pl_sdp_transport *own = &r->of_media[offer->tagged], *all = &r->session;
	const struct pl_bytes ufrag = own->ufrag.data != NULL ? own->ufrag : all->ufrag;
	const struct pl_bytes pwd = own->pwd.data != NULL ? own->pwd : all->pwd;
	const struct pl_sdp_transport *print = own->fingerprint_line != 0 ? own : all;
	const struct pl_sdp_transport *setup = own->has_setup ? own : all;

	r->line = offer->media[offer->tagged].line;
	if (ufrag.data == NULL)
		return pl_sdp_fail(r, "neither this m-line nor the session has a=ice-ufrag");
	if (pwd.data == NULL)
		return pl_sdp_fail(r, "neither this m-line nor the session has a=ice-pwd");
	if (print->fingerprint_line == 0)
		return pl_sdp_fail(r, "neither this m-line nor the session has a=fingerprint");
	if (!setup->has_setup)
		return pl_sdp_fail(r, "neither this m-line nor the session has a=setup");
	if (print->fingerprint.size == 0) {
		r->line = print->fingerprint_line;
		return pl_sdp_fail(r, "a=fingerprint: %s is not taken; sha-256, sha-384 or sha-512 is needed",
			print->unknown_hash);
	}
	offer->fingerprint = print->fingerprint;
	offer->setup = setup->setup;
	return pl_sdp_copy(ufrag, offer->ufrag, sizeof offer->ufrag) && pl_sdp_copy(pwd, offer->pwd, sizeof offer->pwd);
}

bool pl_sdp_parse_offer(struct pl_bytes text, const struct pl_sdp_options *options, struct pl_sdp_offer *offer,
	char error[static PL_SDP_ERROR_SIZE])
{
	*offer = (struct pl_sdp_offer){ .media_count = 0 };
	error[0] = '\0';
	struct pl_sdp_reader r = { .options = *options, .at = text.data, .offer = offer, .error = error };
	r.transport = &r.session;
	r.session_direction = PL_SDP_SENDRECV;
	r.line = 1;
	if (text.size > PL_SDP_SIZE_MAX)
		return pl_sdp_fail(&r, "%zu bytes of SDP; at most %d are read", text.size, PL_SDP_SIZE_MAX);
	if (text.size == 0)
		return pl_sdp_fail(&r, "no SDP at all");
	r.end = text.data + text.size;
	r.line = 0;

	struct pl_bytes line;
	while (pl_sdp_next_line(&r, &line)) {
		if (!read_line(&r, line))
			return false;
	}
	end_media(&r);
	return read_bundle(&r) && check_media(&r) && number_extensions(&r) && inherit(&r);
}
