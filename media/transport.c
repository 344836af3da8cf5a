#include "media/transport.h"

#include <string.h>

#include "media/dtls_tail.h"

static const char *const close_text[] = {
#define X(name, text) [PL_CLOSE_##name] = text,
	PL_CLOSE_LIST(X)
#undef X
};

const char *pl_close_text(enum pl_close close)
{
	PL_ASSERT(close < PL_CLOSE_COUNT);
	return close_text[close];
}

/*         +----------------+
 *         |        [0..3] -+--> STUN
 *         |      [20..63] -+--> DTLS
 *         |    [128..191] -+--> RTP/RTCP           RFC 7983 section 7
 *         +----------------+
 * RTCP is told from RTP by its second byte, 192 to 223: as an RTP packet that would be a payload type of
 * 64 to 95, which offers with rtcp-mux avoid (RFC 5761 section 4). */
enum pl_protocol pl_protocol_of(struct pl_bytes datagram)
{
	if (datagram.size == 0)
		return PL_PROTOCOL_UNKNOWN;
	const uint8_t first = datagram.data[0];
	if (first <= 3)
		return PL_PROTOCOL_STUN;
	if (first >= 20 && first <= 63)
		return PL_PROTOCOL_DTLS;
	if (first < 128 || first > 191)
		return PL_PROTOCOL_UNKNOWN;
	return datagram.size > 1 && datagram.data[1] >= 192 && datagram.data[1] <= 223 ? PL_PROTOCOL_RTCP
										       : PL_PROTOCOL_RTP;
}

static bool is_drained(const struct pl_transport *t)
{
	return t->out.ice_reply_size == 0 && !t->out.has_rtp && !t->out.has_rtcp && !t->out.has_path &&
	       !t->out.has_heard && !t->out.has_dtls && !t->out.has_connected && !t->out.has_closed;
}

enum pl_err pl_transport_init(struct pl_transport *t, int64_t now_us, const struct pl_transport_config *config)
{
	*t = (struct pl_transport){
		.state = PL_TRANSPORT_NEW,
		.srtp_engine = config->srtp,
		.setup_deadline_us = now_us + PL_TRANSPORT_SETUP_MS * INT64_C(1000),
		.settle_us = INT64_MAX,
		.has_peer_finished = config->dtls_role == PL_DTLS_ACTIVE,
	};
	pl_ice_init(&t->ice, now_us, &config->local, config->remote_ufrag);
	return pl_dtls_create(&t->dtls, config->identity, config->dtls_role, &config->peer_fingerprint);
}

void pl_transport_fini(struct pl_transport *t)
{
	pl_dtls_destroy(&t->dtls);
	pl_srtp_destroy(&t->srtp);
	t->state = PL_TRANSPORT_CLOSED;
}

void pl_transport_restart(struct pl_transport *t, const struct pl_ice_credentials *local, const char *remote_ufrag)
{
	pl_ice_restart(&t->ice, local, remote_ufrag);
}

/* What DTLS has to say still goes out: the association is given up when the outputs are drained. */
static void end(struct pl_transport *t, enum pl_close close)
{
	if (t->state == PL_TRANSPORT_CLOSED)
		return;
	t->state = PL_TRANSPORT_CLOSED;
	t->close = close;
	t->out.has_closed = true;
}

/* Media needs both: keys, and a path that the peer chose. */
static void try_connect(struct pl_transport *t, int64_t now_us)
{
	struct pl_srtp_keys keys;

	if (t->state != PL_TRANSPORT_HANDSHAKE || pl_dtls_state(t->dtls) != PL_DTLS_CONNECTED)
		return;
	const bool is_made =
		pl_dtls_keys(t->dtls, &keys) && pl_srtp_create(&t->srtp, t->srtp_engine, &keys) == PL_ERR_NONE;
	pl_srtp_keys_wipe(&keys);
	if (!is_made) {
		end(t, PL_CLOSE_CRYPTO);
		return;
	}
	t->state = PL_TRANSPORT_CONNECTED;
	t->connected_us = now_us;
	t->handshake_us = now_us;
	t->settle_us = now_us + PL_TRANSPORT_SETTLE_MS * INT64_C(1000);
	t->out.has_connected = true;
}

/* Draws the consequences of what DTLS was just given. */
static void follow_dtls(struct pl_transport *t, int64_t now_us)
{
	t->out.has_dtls = true;
	switch (pl_dtls_state(t->dtls)) {
	case PL_DTLS_HANDSHAKE:
		break;
	case PL_DTLS_CONNECTED:
		try_connect(t, now_us);
		break;
	case PL_DTLS_CLOSED:
		end(t, PL_CLOSE_PEER);
		break;
	case PL_DTLS_FAILED:
		end(t, PL_CLOSE_FINGERPRINT);
		break;
	}
}

static enum pl_drop feed_stun(
	struct pl_transport *t, int64_t now_us, const struct pl_path *path, struct pl_bytes datagram)
{
	struct pl_ice_result result;
	const bool was_heard = t->ice.known_count > 0;
	const enum pl_drop drop = pl_ice_feed(&t->ice, now_us, path, datagram, t->out.ice_reply, &result);

	t->out.has_heard = !was_heard && t->ice.known_count > 0;
	t->out.ice_reply_size = result.reply_size;
	t->out.ice_reply_path = *path;
	t->out.has_path = result.is_selected_new;
	if (result.is_selected_new && t->state == PL_TRANSPORT_NEW) {
		t->state = PL_TRANSPORT_HANDSHAKE;
		pl_dtls_start(t->dtls, now_us);
		follow_dtls(t, now_us);
	}
	return drop;
}

/* A browser may begin DTLS on a path that it has checked but not yet nominated. */
static enum pl_drop feed_dtls(
	struct pl_transport *t, int64_t now_us, const struct pl_path *path, struct pl_bytes datagram)
{
	if (!pl_ice_knows(&t->ice, path))
		return t->ice.known_count == 0 ? PL_DROP_DTLS_EARLY : PL_DROP_UNKNOWN_ADDRESS;
	t->dtls_path = *path;
	if (datagram.data[0] == PL_DTLS_RECORD_TYPE_HANDSHAKE)
		t->handshake_us = now_us;
	const enum pl_drop drop = pl_dtls_feed(t->dtls, now_us, datagram);
	follow_dtls(t, now_us);
	return drop;
}

static enum pl_drop feed_srtp(struct pl_transport *t, const struct pl_path *path, struct pl_bytes datagram,
	enum pl_protocol protocol, struct pl_span out)
{
	PL_ASSERT(out.size >= datagram.size);
	if (!pl_ice_knows(&t->ice, path))
		return PL_DROP_UNKNOWN_ADDRESS;
	if (t->srtp == NULL)
		return PL_DROP_SRTP_EARLY;

	size_t size = 0;
	const bool is_rtp = protocol == PL_PROTOCOL_RTP;
	const enum pl_drop drop = is_rtp ? pl_srtp_unprotect_rtp(t->srtp, datagram, out, &size)
					 : pl_srtp_unprotect_rtcp(t->srtp, datagram, out, &size);
	if (drop != PL_DROP_NONE)
		return drop;
	t->has_peer_finished = true; /* it does not use its keys before */
	t->out.packet = (struct pl_bytes){ out.data, size };
	t->out.has_rtp = is_rtp;
	t->out.has_rtcp = !is_rtp;
	return PL_DROP_NONE;
}

enum pl_drop pl_transport_feed(struct pl_transport *t, int64_t now_us, const struct pl_path *path,
	struct pl_bytes datagram, struct pl_span out)
{
	PL_ASSERT(is_drained(t));
	if (datagram.size == 0)
		return PL_DROP_EMPTY;
	if (datagram.size > PL_DATAGRAM_SIZE_MAX)
		return PL_DROP_TOO_LARGE;
	const enum pl_protocol protocol = pl_protocol_of(datagram);
	if (t->state == PL_TRANSPORT_CLOSED)
		return protocol == PL_PROTOCOL_DTLS ? PL_DROP_DTLS_CLOSED : PL_DROP_UNKNOWN_ADDRESS;

	switch (protocol) {
	case PL_PROTOCOL_STUN:
		return feed_stun(t, now_us, path, datagram);
	case PL_PROTOCOL_DTLS:
		return feed_dtls(t, now_us, path, datagram);
	case PL_PROTOCOL_RTP:
	case PL_PROTOCOL_RTCP:
		return feed_srtp(t, path, datagram, protocol, out);
	case PL_PROTOCOL_UNKNOWN:
		break;
	}
	return PL_DROP_UNKNOWN_PROTOCOL;
}

static void look_at_settling(struct pl_transport *t, int64_t now_us)
{
	const bool is_last = now_us - t->connected_us >= PL_TRANSPORT_SETTLE_MS_MAX * INT64_C(1000);
	const bool is_quiet = now_us - t->handshake_us >= PL_TRANSPORT_SETTLE_MS_UNPROVED * INT64_C(1000);
	const bool is_settled = (t->has_peer_finished || is_quiet || is_last) && pl_dtls_settle(t->dtls);
	/* When the library refuses to the last, its object stays: that costs memory, and nothing else. */
	t->settle_us = is_settled || is_last ? INT64_MAX : now_us + PL_TRANSPORT_SETTLE_MS * INT64_C(1000);
}

void pl_transport_tick(struct pl_transport *t, int64_t now_us)
{
	PL_ASSERT(is_drained(t));
	if (t->state == PL_TRANSPORT_CLOSED)
		return;
	/* Neither end sends a close_notify: there is no path, or no consent to send on it (RFC 7675 section 5.1). */
	if (t->state != PL_TRANSPORT_CONNECTED && now_us >= t->setup_deadline_us) {
		end(t, PL_CLOSE_SETUP_TIMEOUT);
		return;
	}
	if (pl_ice_selected(&t->ice) != NULL && now_us >= pl_ice_consent_deadline(&t->ice)) {
		end(t, PL_CLOSE_CONSENT);
		return;
	}
	if (now_us >= pl_dtls_deadline(t->dtls)) {
		pl_dtls_tick(t->dtls, now_us);
		t->out.has_dtls = true;
	}
	if (now_us >= t->settle_us)
		look_at_settling(t, now_us);
}

static int64_t min_i64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t pl_transport_deadline(const struct pl_transport *t)
{
	if (t->state == PL_TRANSPORT_CLOSED)
		return INT64_MAX;
	int64_t deadline_us = min_i64(pl_dtls_deadline(t->dtls), t->settle_us);
	if (t->state != PL_TRANSPORT_CONNECTED)
		deadline_us = min_i64(deadline_us, t->setup_deadline_us);
	if (pl_ice_selected(&t->ice) != NULL)
		deadline_us = min_i64(deadline_us, pl_ice_consent_deadline(&t->ice));
	return deadline_us;
}

void pl_transport_close(struct pl_transport *t, int64_t now_us)
{
	PL_ASSERT(is_drained(t));
	if (t->state == PL_TRANSPORT_CLOSED)
		return;
	pl_dtls_close(t->dtls, now_us);
	t->out.has_dtls = true;
	end(t, PL_CLOSE_LOCAL);
}

static bool take_flag(bool *flag)
{
	const bool was = *flag;
	*flag = false;
	return was;
}

static bool next_dtls(struct pl_transport *t, struct pl_output *output)
{
	if (!t->out.has_dtls || !pl_dtls_next(t->dtls, &output->bytes)) {
		t->out.has_dtls = false;
		return false;
	}
	const struct pl_path *selected = pl_ice_selected(&t->ice);
	output->kind = PL_OUTPUT_SEND;
	output->path = selected != NULL ? *selected : t->dtls_path;
	return true;
}

bool pl_transport_next(struct pl_transport *t, struct pl_output *output)
{
	*output = (struct pl_output){ 0 };
	if (t->out.ice_reply_size > 0) {
		output->kind = PL_OUTPUT_SEND;
		output->path = t->out.ice_reply_path;
		output->bytes = (struct pl_bytes){ t->out.ice_reply, t->out.ice_reply_size };
		t->out.ice_reply_size = 0;
		return true;
	}
	if (take_flag(&t->out.has_heard)) {
		output->kind = PL_OUTPUT_HEARD;
		return true;
	}
	if (take_flag(&t->out.has_path)) {
		output->kind = PL_OUTPUT_PATH;
		output->path = *pl_ice_selected(&t->ice);
		return true;
	}
	if (next_dtls(t, output))
		return true;
	if (take_flag(&t->out.has_connected)) {
		output->kind = PL_OUTPUT_CONNECTED;
		return true;
	}
	if (t->out.has_rtp || t->out.has_rtcp) {
		output->kind = t->out.has_rtp ? PL_OUTPUT_RTP : PL_OUTPUT_RTCP;
		output->bytes = t->out.packet;
		t->out.has_rtp = false;
		t->out.has_rtcp = false;
		return true;
	}
	if (take_flag(&t->out.has_closed)) {
		output->kind = PL_OUTPUT_CLOSED;
		output->close = t->close;
		pl_dtls_destroy(&t->dtls);
		pl_srtp_destroy(&t->srtp);
		return true;
	}
	return false;
}

const struct pl_path *pl_transport_path(const struct pl_transport *t)
{
	return pl_ice_selected(&t->ice);
}

struct pl_srtp *pl_transport_srtp(const struct pl_transport *t)
{
	return t->state == PL_TRANSPORT_CONNECTED ? t->srtp : NULL;
}

void pl_transport_prefetch_srtp(const struct pl_transport *t, size_t ssrcs)
{
	if (t->srtp != NULL)
		pl_srtp_prefetch_rtp(t->srtp_engine, t->srtp, ssrcs);
}

size_t pl_transport_protect_rtcp(struct pl_transport *t, struct pl_bytes packet, struct pl_span out)
{
	return t->state == PL_TRANSPORT_CONNECTED ? pl_srtp_protect_rtcp(t->srtp, packet, out) : 0;
}

bool pl_transport_is_settled(const struct pl_transport *t)
{
	return t->dtls == NULL || pl_dtls_is_settled(t->dtls);
}
