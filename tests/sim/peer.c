#include "tests/sim/peer.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stun/usages/ice.h>

enum { CANDIDATE_PRIORITY = 0x7e0000ff }; /* host, RFC 8445 section 5.1.2.1 */

/* The server is lite, so the peer controls and no conflict needs a real draw. */
static const uint64_t tie_breaker = 1;

static const uint16_t known_attributes[] = {
	STUN_ATTRIBUTE_USERNAME,
	STUN_ATTRIBUTE_MESSAGE_INTEGRITY,
	STUN_ATTRIBUTE_ERROR_CODE,
	STUN_ATTRIBUTE_UNKNOWN_ATTRIBUTES,
	STUN_ATTRIBUTE_XOR_MAPPED_ADDRESS,
	STUN_ATTRIBUTE_PRIORITY,
	STUN_ATTRIBUTE_USE_CANDIDATE,
	0,
};

static bool is_drained(const struct pl_peer *p)
{
	return !p->out.has_check && !p->out.has_dtls && !p->out.has_packet && !p->out.has_rtp && !p->out.has_rtcp &&
	       !p->out.has_connected && !p->out.has_closed;
}

static void end(struct pl_peer *p)
{
	if (p->state == PL_PEER_CLOSED)
		return;
	p->state = PL_PEER_CLOSED;
	p->out.has_closed = true;
}

/* A new transaction.  The agent forgets the old one: its answer would say nothing of the path as it is now. */
static void start_check(struct pl_peer *p, int64_t now_us)
{
	char user[PL_ICE_LOCAL_UFRAG_SIZE * 2 + 1];
	const int user_size = snprintf(user, sizeof user, "%s:%s", p->config.server.ufrag, p->config.local.ufrag);
	StunMessage request;

	stun_agent_init(&p->agent, known_attributes, STUN_COMPATIBILITY_RFC5389,
		STUN_AGENT_USAGE_SHORT_TERM_CREDENTIALS | STUN_AGENT_USAGE_USE_FINGERPRINT);
	p->check.size = stun_usage_ice_conncheck_create(&p->agent, &request, p->check.bytes, sizeof p->check.bytes,
		(const uint8_t *)user, (size_t)user_size, (const uint8_t *)p->config.server.pwd,
		strlen(p->config.server.pwd), true, true, CANDIDATE_PRIORITY, tie_breaker, NULL,
		STUN_USAGE_ICE_COMPATIBILITY_RFC5245);
	PL_ASSERT(p->check.size > 0);
	p->check.is_open = true;
	p->check.interval_us = PL_PEER_CHECK_MS_FIRST * INT64_C(1000);
	p->check.due_us = now_us + p->check.interval_us;
	p->out.has_check = true;
	p->checks_sent++;
}

void pl_peer_init(struct pl_peer *p, int64_t now_us, const struct pl_peer_config *config)
{
	*p = (struct pl_peer){ .config = *config, .path = config->path, .answered_us = now_us };
	if (pl_dtls_create(&p->dtls, config->identity, config->dtls_role, &config->server_fingerprint) != PL_ERR_NONE)
		abort();
	start_check(p, now_us);
}

void pl_peer_fini(struct pl_peer *p)
{
	pl_dtls_destroy(&p->dtls);
	pl_srtp_destroy(&p->srtp);
}

static void follow_dtls(struct pl_peer *p)
{
	struct pl_srtp_keys keys;

	p->out.has_dtls = true;
	const enum pl_dtls_state state = pl_dtls_state(p->dtls);
	if (state == PL_DTLS_CLOSED || state == PL_DTLS_FAILED)
		end(p);
	if (state != PL_DTLS_CONNECTED || p->state != PL_PEER_HANDSHAKE)
		return;
	if (!pl_dtls_keys(p->dtls, &keys) || pl_srtp_create(&p->srtp, p->config.srtp, &keys) != PL_ERR_NONE)
		abort();
	pl_srtp_keys_wipe(&keys);
	p->state = PL_PEER_CONNECTED;
	p->out.has_connected = true;
}

static struct pl_addr from_sockaddr(const struct sockaddr_storage *from)
{
	struct pl_addr addr = { 0 };
	if (from->ss_family == AF_INET) {
		struct sockaddr_in v4;
		memcpy(&v4, from, sizeof v4);
		return pl_addr_ipv4(ntohl(v4.sin_addr.s_addr), ntohs(v4.sin_port));
	}
	struct sockaddr_in6 v6;
	memcpy(&v6, from, sizeof v6);
	memcpy(addr.ip, &v6.sin6_addr, sizeof addr.ip);
	addr.port = ntohs(v6.sin6_port);
	return addr;
}

static enum pl_drop feed_stun(struct pl_peer *p, int64_t now_us, struct pl_bytes datagram)
{
	StunMessage response;
	struct sockaddr_storage mapped;
	socklen_t mapped_size = sizeof mapped;

	if (stun_agent_validate(&p->agent, &response, datagram.data, datagram.size, NULL, NULL) !=
		STUN_VALIDATION_SUCCESS)
		return PL_DROP_STUN_UNAUTHORIZED;
	if (stun_usage_ice_conncheck_process(&response, &mapped, &mapped_size, STUN_USAGE_ICE_COMPATIBILITY_RFC5245) !=
		STUN_USAGE_ICE_RETURN_SUCCESS)
		return PL_DROP_STUN_MALFORMED;

	p->mapped = from_sockaddr(&mapped);
	p->checks_answered++;
	p->answered_us = now_us;
	p->check.is_open = false;
	p->check.due_us = now_us + PL_PEER_CONSENT_MS * INT64_C(1000);
	if (p->state == PL_PEER_CHECKING) {
		p->state = PL_PEER_HANDSHAKE;
		pl_dtls_start(p->dtls, now_us);
		follow_dtls(p);
	}
	return PL_DROP_NONE;
}

static enum pl_drop feed_dtls(struct pl_peer *p, int64_t now_us, struct pl_bytes datagram)
{
	if (p->state == PL_PEER_CHECKING)
		return PL_DROP_DTLS_EARLY;
	const enum pl_drop drop = pl_dtls_feed(p->dtls, now_us, datagram);
	follow_dtls(p);
	return drop;
}

static enum pl_drop feed_srtp(struct pl_peer *p, struct pl_bytes datagram, bool is_rtp)
{
	const struct pl_span room = { p->room, sizeof p->room };

	if (p->srtp == NULL)
		return PL_DROP_SRTP_EARLY;
	const enum pl_drop drop = is_rtp ? pl_srtp_unprotect_rtp(p->srtp, datagram, room, &p->out.size)
					 : pl_srtp_unprotect_rtcp(p->srtp, datagram, room, &p->out.size);
	p->out.has_rtp = drop == PL_DROP_NONE && is_rtp;
	p->out.has_rtcp = drop == PL_DROP_NONE && !is_rtp;
	return drop;
}

void pl_peer_feed(struct pl_peer *p, int64_t now_us, struct pl_bytes datagram)
{
	enum pl_drop drop = PL_DROP_UNKNOWN_PROTOCOL;

	PL_ASSERT(is_drained(p));
	if (p->state == PL_PEER_CLOSED)
		return;
	const enum pl_protocol protocol = pl_protocol_of(datagram);
	if (protocol == PL_PROTOCOL_STUN)
		drop = feed_stun(p, now_us, datagram);
	else if (protocol == PL_PROTOCOL_DTLS)
		drop = feed_dtls(p, now_us, datagram);
	else if (protocol != PL_PROTOCOL_UNKNOWN)
		drop = feed_srtp(p, datagram, protocol == PL_PROTOCOL_RTP);
	p->drop[drop]++;
}

static void tick_check(struct pl_peer *p, int64_t now_us)
{
	if (!p->check.is_open) {
		start_check(p, now_us);
		return;
	}
	if (p->check.interval_us < PL_PEER_CHECK_MS_MAX * INT64_C(1000))
		p->check.interval_us *= 2;
	p->check.due_us = now_us + p->check.interval_us;
	p->out.has_check = true;
	p->checks_sent++;
}

void pl_peer_tick(struct pl_peer *p, int64_t now_us)
{
	PL_ASSERT(is_drained(p));
	if (p->state == PL_PEER_CLOSED)
		return;
	if (now_us >= p->answered_us + PL_PEER_DEAD_MS * INT64_C(1000)) {
		end(p);
		return;
	}
	if (now_us >= p->check.due_us)
		tick_check(p, now_us);
	if (now_us >= pl_dtls_deadline(p->dtls)) {
		pl_dtls_tick(p->dtls, now_us);
		p->out.has_dtls = true;
	}
}

int64_t pl_peer_deadline(const struct pl_peer *p)
{
	if (p->state == PL_PEER_CLOSED)
		return INT64_MAX;
	int64_t deadline_us = p->answered_us + PL_PEER_DEAD_MS * INT64_C(1000);
	if (p->check.due_us < deadline_us)
		deadline_us = p->check.due_us;
	if (pl_dtls_deadline(p->dtls) < deadline_us)
		deadline_us = pl_dtls_deadline(p->dtls);
	return deadline_us;
}

static bool take_flag(bool *flag)
{
	const bool was = *flag;
	*flag = false;
	return was;
}

bool pl_peer_next(struct pl_peer *p, struct pl_peer_output *output)
{
	*output = (struct pl_peer_output){ .kind = PL_PEER_SEND, .path = p->path };
	if (take_flag(&p->out.has_check)) {
		output->bytes = (struct pl_bytes){ p->check.bytes, p->check.size };
		return true;
	}
	if (p->out.has_dtls && pl_dtls_next(p->dtls, &output->bytes))
		return true;
	p->out.has_dtls = false;
	output->bytes = (struct pl_bytes){ p->room, p->out.size };
	if (take_flag(&p->out.has_packet))
		return true;
	output->kind = PL_PEER_RTP;
	if (take_flag(&p->out.has_rtp))
		return true;
	output->kind = PL_PEER_RTCP;
	if (take_flag(&p->out.has_rtcp))
		return true;
	output->bytes = (struct pl_bytes){ 0 };
	output->kind = PL_PEER_IS_CONNECTED;
	if (take_flag(&p->out.has_connected))
		return true;
	output->kind = PL_PEER_IS_CLOSED;
	return take_flag(&p->out.has_closed);
}

bool pl_peer_send_rtp(struct pl_peer *p, const struct pl_rtp *rtp, const struct pl_rtp_ext *ext)
{
	static const struct pl_rtp_ext none;
	uint8_t header[PL_RTP_HEADER_SIZE_MAX];

	PL_ASSERT(is_drained(p));
	if (p->state != PL_PEER_CONNECTED)
		return false;
	const size_t header_size = pl_rtp_write(
		rtp, ext != NULL ? ext : &none, &p->config.ext_ids, (struct pl_span){ header, sizeof header });
	PL_ASSERT(header_size > 0);
	p->out.size = pl_srtp_protect_rtp(p->srtp, (struct pl_bytes){ header, header_size }, rtp->payload,
		(struct pl_span){ p->room, sizeof p->room });
	p->out.has_packet = p->out.size > 0;
	return p->out.has_packet;
}

bool pl_peer_send_rtcp(struct pl_peer *p, struct pl_bytes packet)
{
	PL_ASSERT(is_drained(p));
	if (p->state != PL_PEER_CONNECTED)
		return false;
	p->out.size = pl_srtp_protect_rtcp(p->srtp, packet, (struct pl_span){ p->room, sizeof p->room });
	p->out.has_packet = p->out.size > 0;
	return p->out.has_packet;
}

void pl_peer_move(struct pl_peer *p, int64_t now_us, const struct pl_addr *local)
{
	PL_ASSERT(is_drained(p));
	p->path.local = *local;
	if (p->state != PL_PEER_CLOSED)
		start_check(p, now_us);
}

void pl_peer_restart(struct pl_peer *p, int64_t now_us, const struct pl_ice_credentials *server,
	const struct pl_ice_credentials *local)
{
	PL_ASSERT(is_drained(p));
	p->config.server = *server;
	p->config.local = *local;
	if (p->state != PL_PEER_CLOSED)
		start_check(p, now_us);
}

void pl_peer_close(struct pl_peer *p, int64_t now_us)
{
	PL_ASSERT(is_drained(p));
	if (p->state == PL_PEER_CLOSED)
		return;
	pl_dtls_close(p->dtls, now_us);
	p->out.has_dtls = true;
	end(p);
}
