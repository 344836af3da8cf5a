#include "sfu/bird.h"

enum { CHECK_US_FIRST = 100000, CHECK_US_MAX = 800000 };

static void knock(struct pl_bird *bird, int64_t now_us, int64_t interval_us)
{
	bird->check_interval_us = interval_us;
	bird->check_us = now_us + interval_us;
	bird->out.has_check = true;
}

enum pl_err pl_bird_init(struct pl_bird *bird, int64_t now_us, const struct pl_bird_config *config)
{
	*bird = (struct pl_bird){ .state = PL_BIRD_CHECKING, .config = *config };
	const enum pl_err err =
		pl_dtls_create(&bird->dtls, config->identity, PL_DTLS_ACTIVE, config->server_fingerprint);
	if (err != PL_ERR_NONE)
		return err;
	pl_ice_check_write(&bird->check, &config->server, config->ufrag);
	knock(bird, now_us, CHECK_US_FIRST);
	return PL_ERR_NONE;
}

void pl_bird_fini(struct pl_bird *bird)
{
	pl_dtls_destroy(&bird->dtls);
	pl_srtp_destroy(&bird->srtp);
}

static void follow_dtls(struct pl_bird *bird)
{
	bird->out.has_dtls = true;
	const enum pl_dtls_state state = pl_dtls_state(bird->dtls);
	if (state == PL_DTLS_CLOSED || state == PL_DTLS_FAILED)
		bird->state = PL_BIRD_FAILED;
	if (state != PL_DTLS_CONNECTED || bird->state != PL_BIRD_HANDSHAKE)
		return;
	struct pl_srtp_keys keys;
	const bool has_keys =
		pl_dtls_keys(bird->dtls, &keys) && pl_srtp_create(&bird->srtp, bird->config.srtp, &keys) == PL_ERR_NONE;
	pl_srtp_keys_wipe(&keys);
	bird->state = has_keys ? PL_BIRD_CONNECTED : PL_BIRD_FAILED;
}

static void feed_stun(struct pl_bird *bird, int64_t now_us, struct pl_bytes datagram)
{
	if (bird->state != PL_BIRD_CHECKING || !pl_ice_check_is_answered(&bird->check, datagram))
		return;
	bird->state = PL_BIRD_HANDSHAKE;
	bird->check_us = INT64_MAX;
	pl_dtls_start(bird->dtls, now_us);
	follow_dtls(bird);
}

static void feed_dtls(struct pl_bird *bird, int64_t now_us, struct pl_bytes datagram)
{
	if (bird->state == PL_BIRD_CHECKING)
		return;
	(void)!pl_dtls_feed(bird->dtls, now_us, datagram);
	follow_dtls(bird);
}

bool pl_bird_feed(
	struct pl_bird *bird, int64_t now_us, struct pl_bytes datagram, struct pl_span room, struct pl_rtp *rtp)
{
	size_t size;
	if (bird->state == PL_BIRD_FAILED)
		return false;
	switch (pl_protocol_of(datagram)) {
	case PL_PROTOCOL_STUN:
		feed_stun(bird, now_us, datagram);
		return false;
	case PL_PROTOCOL_DTLS:
		feed_dtls(bird, now_us, datagram);
		return false;
	case PL_PROTOCOL_RTP:
		return bird->srtp != NULL && pl_srtp_unprotect_rtp(bird->srtp, datagram, room, &size) == PL_DROP_NONE &&
		       pl_rtp_parse((struct pl_bytes){ room.data, size }, rtp) == PL_DROP_NONE;
	case PL_PROTOCOL_RTCP: /* the server's reports: nothing here depends on them */
	case PL_PROTOCOL_UNKNOWN:
		break;
	}
	return false;
}

void pl_bird_tick(struct pl_bird *bird, int64_t now_us)
{
	if (bird->state == PL_BIRD_CHECKING && now_us >= bird->check_us)
		knock(bird, now_us,
			bird->check_interval_us < CHECK_US_MAX ? 2 * bird->check_interval_us : CHECK_US_MAX);
	if (now_us < pl_dtls_deadline(bird->dtls))
		return;
	pl_dtls_tick(bird->dtls, now_us);
	follow_dtls(bird);
}

int64_t pl_bird_deadline(const struct pl_bird *bird)
{
	if (bird->state == PL_BIRD_FAILED)
		return INT64_MAX;
	const int64_t dtls_us = pl_dtls_deadline(bird->dtls);
	return bird->state == PL_BIRD_CHECKING && bird->check_us < dtls_us ? bird->check_us : dtls_us;
}

bool pl_bird_next(struct pl_bird *bird, struct pl_bytes *datagram)
{
	if (bird->out.has_check) {
		bird->out.has_check = false;
		*datagram = (struct pl_bytes){ bird->check.bytes, bird->check.size };
		return true;
	}
	if (bird->out.has_dtls && pl_dtls_next(bird->dtls, datagram))
		return true;
	bird->out.has_dtls = false;
	return false;
}

size_t pl_bird_write(struct pl_bird *bird, const struct pl_rtp *rtp, const struct pl_rtp_ext *ext,
	const struct pl_rtp_ext_ids *ids, struct pl_span room)
{
	uint8_t header[PL_RTP_HEADER_SIZE_MAX];
	PL_ASSERT(bird->state == PL_BIRD_CONNECTED);
	const size_t size = pl_rtp_write(rtp, ext, ids, (struct pl_span){ header, sizeof header });
	PL_ASSERT(size > 0);
	return pl_srtp_protect_rtp(bird->srtp, (struct pl_bytes){ header, size }, rtp->payload, room);
}
