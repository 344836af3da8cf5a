#include "tests/load/sdp.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "signaling/text.h"

enum {
	ID_AUDIO_LEVEL = 1,
	ID_MID = 4,
	CANDIDATE_PRIORITY = 0x7effffff, /* host, component 1: RFC 8445 section 5.1.2.1 */
};

static void put_media(struct pl_text *w, const struct load_offer *offer, uint32_t mid, bool is_sending)
{
	char ip[PL_ADDR_TEXT_SIZE], fingerprint[PL_FINGERPRINT_TEXT_SIZE];
	const char *family = pl_addr_is_ipv4(&offer->candidate) ? "IP4" : "IP6";
	pl_addr_format_ip(&offer->candidate, ip);
	pl_text_put(w, "m=audio %u UDP/TLS/RTP/SAVPF %d\r\nc=IN %s %s\r\n", offer->candidate.port,
		LOAD_OPUS_PAYLOAD_TYPE, family, ip);
	pl_text_put(w, "a=mid:%u\r\na=%s\r\na=rtcp-mux\r\n", mid, is_sending ? "sendonly" : "recvonly");
	pl_text_put(w, "a=ice-ufrag:%s\r\na=ice-pwd:%s\r\n", offer->ice.ufrag, offer->ice.pwd);
	pl_text_put(w, "a=fingerprint:sha-256 %s\r\na=setup:actpass\r\n",
		pl_fingerprint_format(offer->fingerprint, fingerprint));
	pl_text_put(w, "a=rtpmap:%d opus/48000/2\r\na=fmtp:%d minptime=10;useinbandfec=1\r\n", LOAD_OPUS_PAYLOAD_TYPE,
		LOAD_OPUS_PAYLOAD_TYPE);
	pl_text_put(w, "a=extmap:%d %s\r\na=extmap:%d %s\r\n", ID_AUDIO_LEVEL, pl_rtp_ext_uri(PL_RTP_EXT_AUDIO_LEVEL),
		ID_MID, pl_rtp_ext_uri(PL_RTP_EXT_MID));
	if (is_sending)
		pl_text_put(w, "a=msid:load microphone\r\na=ssrc:%" PRIu32 " cname:load\r\n", offer->ssrc);
	if (mid == 0) /* the bundle's transport is the first one's, RFC 9143 section 7.2 */
		pl_text_put(w, "a=candidate:1 1 udp %d %s %u typ host\r\na=end-of-candidates\r\n", CANDIDATE_PRIORITY,
			ip, offer->candidate.port);
}

size_t load_sdp_write_offer(const struct load_offer *offer, char *text, size_t text_size)
{
	struct pl_text w = pl_text_begin(text, text_size);
	const uint32_t count = offer->slots + (offer->is_sending ? 1 : 0);
	pl_text_put(
		&w, "v=0\r\no=- %" PRIu64 " 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE", offer->session_id);
	for (uint32_t mid = 0; mid < count; mid++)
		pl_text_put(&w, " %u", mid);
	pl_text_put(&w, "\r\na=ice-options:ice2\r\na=msid-semantic:WMS *\r\n");
	for (uint32_t mid = 0; mid < count; mid++)
		put_media(&w, offer, mid, mid == 0 && offer->is_sending);
	return pl_text_fits(&w) ? w.used : 0;
}

/* ---- the answer ---- */

/* a=candidate:foundation component transport priority address port typ type ..., RFC 8839 section 5.1.  False: not one
 * that UDP to an address reaches. */
static bool read_candidate(struct pl_bytes line, struct pl_addr *addr)
{
	char text[256], transport[8], ip[PL_ADDR_TEXT_SIZE];
	unsigned component, port;
	if (line.size >= sizeof text)
		return false;
	memcpy(text, line.data, line.size);
	text[line.size] = '\0';
	if (sscanf(text, "a=candidate:%*32s %3u %7s %*10s %55s %5u typ", &component, transport, ip, &port) != 4 ||
		component != 1 || strcasecmp(transport, "udp") != 0 || port == 0 || port > 65535)
		return false;
	if (!pl_addr_parse_ip(ip, addr))
		return false;
	addr->port = (uint16_t)port;
	return true;
}

static bool next_line(struct pl_bytes *rest, struct pl_bytes *line)
{
	if (rest->size == 0)
		return false;
	const uint8_t *end = memchr(rest->data, '\n', rest->size);
	const size_t size = end != NULL ? (size_t)(end - rest->data) : rest->size;
	*line = (struct pl_bytes){ rest->data, size };
	if (size > 0 && line->data[size - 1] == '\r')
		line->size--;
	const size_t taken = end != NULL ? size + 1 : size;
	*rest = (struct pl_bytes){ rest->data + taken, rest->size - taken };
	return true;
}

static bool choose_candidate(struct pl_bytes text, const struct pl_addr *near, struct pl_addr *chosen)
{
	struct pl_bytes line;
	struct pl_addr addr;
	bool has_any = false;
	while (next_line(&text, &line)) {
		if (!read_candidate(line, &addr) || pl_addr_is_ipv4(&addr) != pl_addr_is_ipv4(near))
			continue;
		const bool is_nearest = memcmp(addr.ip, near->ip, sizeof addr.ip) == 0;
		if (!has_any || is_nearest)
			*chosen = addr;
		has_any = true;
		if (is_nearest)
			return true;
	}
	return has_any;
}

static bool fail(char error[static PL_SDP_ERROR_SIZE], const char *sentence)
{
	snprintf(error, PL_SDP_ERROR_SIZE, "%s", sentence);
	return false;
}

/* A server's parser refuses a lite peer, which for us is the best one: that line is left empty, so that the others keep
 * their numbers in errors. */
static struct pl_bytes without_lite(struct pl_bytes text, uint8_t copy[static PL_SDP_SIZE_MAX])
{
	static const char lite[] = "a=ice-lite";
	struct pl_bytes rest = text, line;
	size_t used = 0;
	while (next_line(&rest, &line)) {
		if (line.size != sizeof lite - 1 || memcmp(line.data, lite, line.size) != 0) {
			memcpy(copy + used, line.data, line.size);
			used += line.size;
		}
		if (used < PL_SDP_SIZE_MAX)
			copy[used++] = '\n';
	}
	return (struct pl_bytes){ copy, used };
}

bool load_sdp_read_answer(struct pl_bytes text, const struct pl_addr *near, struct load_answer *answer,
	char error[static PL_SDP_ERROR_SIZE])
{
	uint8_t copy[PL_SDP_SIZE_MAX];
	struct pl_sdp_offer read; /* an answer has the same form */
	const struct pl_sdp_options options = { .takes_g711 = false };
	*answer = (struct load_answer){ .payload_type = LOAD_OPUS_PAYLOAD_TYPE };
	if (text.size > sizeof copy)
		return fail(error, "the answer is longer than SDP may be");
	if (!pl_sdp_parse_offer(without_lite(text, copy), &options, &read, error))
		return false;
	if (!choose_candidate(text, near, &answer->server))
		return fail(error, "the answer has no UDP candidate of the address family of the URL");
	memcpy(answer->ufrag, read.ufrag, sizeof answer->ufrag);
	memcpy(answer->pwd, read.pwd, sizeof answer->pwd);
	answer->fingerprint = read.fingerprint;
	answer->role = read.setup == PL_SDP_ACTIVE ? PL_DTLS_PASSIVE : PL_DTLS_ACTIVE;
	answer->ext_ids = read.ext_ids;
	for (uint8_t i = 0; i < read.media_count; i++) {
		const struct pl_sdp_media *media = &read.media[i];
		if (!pl_sdp_is_wanted(media))
			continue;
		if ((media->direction & PL_SDP_RECV) != 0) {
			answer->is_taken = true;
			answer->payload_type = media->payload_type;
			memcpy(answer->mid, media->mid, sizeof answer->mid);
		}
		answer->slots += (media->direction & PL_SDP_SEND) != 0;
	}
	return true;
}
