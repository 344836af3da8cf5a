#include <string.h>

#include "signaling/sdp_read.h"

/* ICE's alphabet, RFC 8839 section 5.4. */
static bool is_ice_text(struct pl_bytes text, size_t min, size_t max)
{
	if (text.size < min || text.size > max)
		return false;
	for (size_t i = 0; i < text.size; i++) {
		const uint8_t c = text.data[i];
		const uint8_t letter = c | 0x20;
		if (!(letter >= 'a' && letter <= 'z') && !(c >= '0' && c <= '9') && c != '+' && c != '/')
			return false;
	}
	return true;
}

static bool read_ufrag(struct pl_sdp_reader *r, struct pl_bytes value)
{
	if (!is_ice_text(value, 4, PL_ICE_UFRAG_MAX))
		return pl_sdp_fail(r, "a=ice-ufrag: 4 to %d letters, digits, + or / are needed", PL_ICE_UFRAG_MAX);
	r->transport->ufrag = value;
	return true;
}

static bool read_pwd(struct pl_sdp_reader *r, struct pl_bytes value)
{
	if (!is_ice_text(value, 22, PL_ICE_PWD_MAX))
		return pl_sdp_fail(r, "a=ice-pwd: 22 to %d letters, digits, + or / are needed", PL_ICE_PWD_MAX);
	r->transport->pwd = value;
	return true;
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "AB:CD:...", exactly size bytes. */
static bool read_hex(struct pl_bytes text, uint8_t *bytes, size_t size)
{
	if (text.size != size * 3 - 1)
		return false;
	for (size_t i = 0; i < size; i++) {
		const uint8_t *at = text.data + i * 3;
		const int high = hex_digit(at[0]), low = hex_digit(at[1]);
		if (high < 0 || low < 0 || (i + 1 < size && at[2] != ':'))
			return false;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* RFC 8122 section 5 allows several: the first of a known hash counts. */
static bool read_fingerprint(struct pl_sdp_reader *r, struct pl_bytes value)
{
	static const struct {
		const char *name;
		enum pl_fingerprint_hash hash;
		uint8_t size;
	} known[] = {
		{ "sha-256", PL_FINGERPRINT_SHA256, 32 },
		{ "sha-384", PL_FINGERPRINT_SHA384, 48 },
		{ "sha-512", PL_FINGERPRINT_SHA512, 64 },
	};
	struct pl_sdp_transport *t = r->transport;
	const struct pl_bytes name = pl_sdp_next_word(&value);
	if (t->fingerprint.size > 0)
		return true;
	t->fingerprint_line = (uint16_t)r->line;
	for (size_t i = 0; i < PL_COUNT(known); i++) {
		if (!pl_sdp_equal_nocase(name, known[i].name))
			continue;
		const struct pl_bytes hex = pl_sdp_next_word(&value);
		if (!read_hex(hex, t->fingerprint.bytes, known[i].size))
			return pl_sdp_fail(r,
				"a=fingerprint: %s needs %u pairs of hexadecimal digits with colons between",
				known[i].name, known[i].size);
		t->fingerprint.hash = known[i].hash;
		t->fingerprint.size = known[i].size;
		return true;
	}
	if (!pl_sdp_copy(name, t->unknown_hash, sizeof t->unknown_hash))
		memcpy(t->unknown_hash, "this hash", sizeof "this hash");
	return true;
}

static bool read_setup(struct pl_sdp_reader *r, struct pl_bytes value)
{
	struct pl_sdp_transport *t = r->transport;
	t->has_setup = true;
	if (pl_sdp_equal(value, "actpass"))
		t->setup = PL_SDP_ACTPASS;
	else if (pl_sdp_equal(value, "active"))
		t->setup = PL_SDP_ACTIVE;
	else if (pl_sdp_equal(value, "passive"))
		t->setup = PL_SDP_PASSIVE;
	else
		return pl_sdp_fail(
			r, "a=setup:%.*s is not taken; actpass, active or passive is needed", PL_SDP_QUOTE(value));
	return true;
}

static bool read_ice_lite(struct pl_sdp_reader *r, struct pl_bytes value)
{
	(void)value;
	return pl_sdp_fail(r, "a=ice-lite: this server is lite too, so nobody would check connectivity (RFC 8445)");
}

static bool read_group(struct pl_sdp_reader *r, struct pl_bytes value)
{
	if (!pl_sdp_equal(pl_sdp_next_word(&value), "BUNDLE") || r->media != NULL)
		return true;
	if (r->group_line != 0)
		return pl_sdp_fail(r,
			"a second a=group:BUNDLE (the first is in line %u); all m-lines must be in one group",
			r->group_line);
	r->group = value;
	r->group_line = r->line;
	return true;
}

static bool read_mid(struct pl_sdp_reader *r, struct pl_bytes value)
{
	struct pl_sdp_media *media = r->media;
	if (media == NULL)
		return true;
	if (!pl_sdp_is_token(value))
		return pl_sdp_fail(r, "a=mid:%.*s is not a token (RFC 8866 section 9)", PL_SDP_QUOTE(value));
	if (!pl_sdp_copy(value, media->mid, sizeof media->mid))
		return pl_sdp_fail(
			r, "a=mid: %zu bytes; at most %d fit into an RTP header extension", value.size, PL_RTP_MID_MAX);
	for (const struct pl_sdp_media *other = r->offer->media; other < media; other++) {
		if (strcmp(other->mid, media->mid) == 0)
			return pl_sdp_fail(
				r, "a=mid:%s is the name of the m-line in line %u already", media->mid, other->line);
	}
	return true;
}

static bool read_rtcp_mux(struct pl_sdp_reader *r, struct pl_bytes value)
{
	(void)value;
	if (r->media != NULL)
		r->media->has_rtcp_mux = true;
	return true;
}

static bool read_bundle_only(struct pl_sdp_reader *r, struct pl_bytes value)
{
	(void)value;
	r->is_bundle_only = true;
	return true;
}

static bool read_allow_mixed(struct pl_sdp_reader *r, struct pl_bytes value)
{
	(void)value;
	r->offer->has_allow_mixed = true;
	return true;
}

static bool find_direction(struct pl_bytes name, enum pl_sdp_direction *direction)
{
	static const char *const names[] = {
		[PL_SDP_INACTIVE] = "inactive",
		[PL_SDP_SEND] = "sendonly",
		[PL_SDP_RECV] = "recvonly",
		[PL_SDP_SENDRECV] = "sendrecv",
	};
	for (size_t i = 0; i < PL_COUNT(names); i++) {
		if (pl_sdp_equal(name, names[i])) {
			*direction = (enum pl_sdp_direction)i;
			return true;
		}
	}
	return false;
}

/* a=extmap:2/recvonly urn:ietf:params:rtp-hdrext:sdes:mid, RFC 8285 section 8. */
static bool read_extmap(struct pl_sdp_reader *r, struct pl_bytes value)
{
	struct pl_bytes where = pl_sdp_next_word(&value);
	const struct pl_bytes uri = pl_sdp_next_word(&value);
	const struct pl_bytes number = pl_sdp_cut(&where, '/');
	enum pl_sdp_direction direction = PL_SDP_SENDRECV;
	uint32_t id;
	if (r->media == NULL)
		return true;
	if (!pl_sdp_number(number, 65535, &id) || id == 0 || (where.size > 0 && !find_direction(where, &direction)))
		return pl_sdp_fail(r, "a=extmap: a number, perhaps with a direction, and a URI are needed");
	for (size_t kind = 0; kind < PL_RTP_EXT_COUNT; kind++) {
		/* Numbers from 4096 are for more extensions than fit (section 6): not for these. */
		if (id > 255 || !pl_sdp_equal(uri, pl_rtp_ext_uri((enum pl_rtp_ext_kind)kind)))
			continue;
		r->media->ext_ids.id[kind] = (uint8_t)id;
		r->media->ext_direction[kind] = direction;
	}
	return true;
}

static bool read_ssrc(struct pl_sdp_reader *r, struct pl_bytes value)
{
	uint32_t ssrc;
	const struct pl_bytes number = pl_sdp_next_word(&value);
	if (!pl_sdp_number(number, UINT32_MAX, &ssrc))
		return pl_sdp_fail(r, "a=ssrc: \"%.*s\" is not a number below 2^32", PL_SDP_QUOTE(number));
	if (r->media != NULL && r->media->ssrc == 0)
		r->media->ssrc = ssrc;
	return true;
}

bool pl_sdp_read_attribute(struct pl_sdp_reader *r, struct pl_bytes attribute)
{
	static const struct {
		const char *name;
		bool (*read)(struct pl_sdp_reader *r, struct pl_bytes value);
	} readers[] = {
		{ "ice-ufrag", read_ufrag },
		{ "ice-pwd", read_pwd },
		{ "ice-lite", read_ice_lite },
		{ "fingerprint", read_fingerprint },
		{ "setup", read_setup },
		{ "group", read_group },
		{ "mid", read_mid },
		{ "rtcp-mux", read_rtcp_mux },
		{ "bundle-only", read_bundle_only },
		{ "extmap-allow-mixed", read_allow_mixed },
		{ "rtpmap", pl_sdp_read_rtpmap },
		{ "fmtp", pl_sdp_read_fmtp },
		{ "ptime", pl_sdp_read_ptime },
		{ "maxptime", pl_sdp_read_maxptime },
		{ "extmap", read_extmap },
		{ "ssrc", read_ssrc },
	};
	const struct pl_bytes name = pl_sdp_cut(&attribute, ':');
	for (size_t i = 0; i < PL_COUNT(readers); i++) {
		if (pl_sdp_equal(name, readers[i].name))
			return readers[i].read(r, attribute);
	}
	(void)find_direction(name, r->media != NULL ? &r->media->direction : &r->session_direction);
	return true;
}
