#include "media/srtp.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <srtp2/srtp.h>

enum {
	RTP_HEADER_SIZE_MIN = 12,
	RTP_SSRC_AT = 8,
	RTCP_HEADER_SIZE_MIN = 8,
	RTCP_SSRC_AT = 4,
};

struct pl_srtp {
	/* Two libsrtp sessions: in one, a peer that picks an SSRC of ours would be checked with the wrong key. */
	srtp_t incoming, outgoing;
	uint32_t ssrc[PL_SRTP_SSRCS_MAX]; /* authenticated incoming ones; libsrtp holds one stream for each */
	uint8_t ssrc_count;
};

typedef srtp_err_status_t unprotect_fn(srtp_t, void *, int *);

void pl_srtp_keys_wipe(struct pl_srtp_keys *keys)
{
	explicit_bzero(keys, sizeof *keys);
}

enum pl_err pl_srtp_init(void)
{
	return srtp_init() == srtp_err_status_ok ? PL_ERR_NONE : PL_ERR_CRYPTO;
}

void pl_srtp_fini(void)
{
	srtp_shutdown();
}

static enum pl_err create_session(srtp_t *session, enum pl_srtp_profile profile, srtp_ssrc_type_t direction,
	const uint8_t *key, const uint8_t *salt)
{
	const bool is_gcm = profile == PL_SRTP_AEAD_AES_128_GCM;
	const size_t salt_size = is_gcm ? SRTP_AEAD_SALT_LEN : SRTP_SALT_LEN;
	uint8_t master[PL_SRTP_KEY_SIZE + PL_SRTP_SALT_SIZE_MAX];
	srtp_policy_t policy = {
		.ssrc = { .type = direction },
		.key = master,
		.window_size = PL_SRTP_REPLAY_WINDOW,
	};

	memcpy(master, key, PL_SRTP_KEY_SIZE);
	memcpy(master + PL_SRTP_KEY_SIZE, salt, salt_size);
	const srtp_profile_t name = is_gcm ? srtp_profile_aead_aes_128_gcm : srtp_profile_aes128_cm_sha1_80;
	srtp_err_status_t status = srtp_crypto_policy_set_from_profile_for_rtp(&policy.rtp, name);
	if (status == srtp_err_status_ok)
		status = srtp_crypto_policy_set_from_profile_for_rtcp(&policy.rtcp, name);
	if (status == srtp_err_status_ok)
		status = srtp_create(session, &policy);
	explicit_bzero(master, sizeof master);
	if (status == srtp_err_status_alloc_fail)
		return PL_ERR_NO_MEMORY;
	return status == srtp_err_status_ok ? PL_ERR_NONE : PL_ERR_CRYPTO;
}

enum pl_err pl_srtp_create(struct pl_srtp **srtp, const struct pl_srtp_keys *keys)
{
	struct pl_srtp *made = calloc(1, sizeof *made);

	*srtp = NULL;
	if (made == NULL)
		return PL_ERR_NO_MEMORY;
	enum pl_err err =
		create_session(&made->incoming, keys->profile, ssrc_any_inbound, keys->remote.key, keys->remote.salt);
	if (err != PL_ERR_NONE)
		goto fail_incoming;
	err = create_session(&made->outgoing, keys->profile, ssrc_any_outbound, keys->local.key, keys->local.salt);
	if (err != PL_ERR_NONE)
		goto fail_outgoing;
	*srtp = made;
	return PL_ERR_NONE;

fail_outgoing:
	srtp_dealloc(made->incoming);
fail_incoming:
	free(made);
	return err;
}

void pl_srtp_destroy(struct pl_srtp **srtp)
{
	if (*srtp == NULL)
		return;
	srtp_dealloc((*srtp)->incoming);
	srtp_dealloc((*srtp)->outgoing);
	free(*srtp);
	*srtp = NULL;
}

static enum pl_drop drop_of(srtp_err_status_t status)
{
	switch (status) {
	case srtp_err_status_ok:
		return PL_DROP_NONE;
	case srtp_err_status_replay_fail:
	case srtp_err_status_replay_old:
	case srtp_err_status_pkt_idx_old:
	case srtp_err_status_pkt_idx_adv:
		return PL_DROP_SRTP_REPLAY;
	case srtp_err_status_bad_param:
	case srtp_err_status_parse_err:
		return PL_DROP_SRTP_MALFORMED;
	default: /* a wrong GCM tag is auth_fail or cipher_fail, by the library that libsrtp was built on */
		return PL_DROP_SRTP_AUTH;
	}
}

static uint32_t read_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool knows_ssrc(const struct pl_srtp *srtp, uint32_t ssrc)
{
	for (uint8_t i = 0; i < srtp->ssrc_count; i++)
		if (srtp->ssrc[i] == ssrc)
			return true;
	return false;
}

/* The first authentic packet of an SSRC makes libsrtp take memory for it, for the life of the session.  So
 * they are counted here, before it sees a packet of one too many. */
static enum pl_drop unprotect(struct pl_srtp *srtp, unprotect_fn *with, uint32_t ssrc, struct pl_bytes packet,
	struct pl_span out, size_t *size)
{
	const bool is_known = knows_ssrc(srtp, ssrc);
	if (!is_known && srtp->ssrc_count == PL_SRTP_SSRCS_MAX)
		return PL_DROP_SRTP_SSRC_LIMIT;

	PL_ASSERT(out.size >= packet.size && packet.size <= INT_MAX);
	int length = (int)packet.size;
	memcpy(out.data, packet.data, packet.size);
	const srtp_err_status_t status = with(srtp->incoming, out.data, &length);
	if (status != srtp_err_status_ok)
		return drop_of(status);
	if (!is_known)
		srtp->ssrc[srtp->ssrc_count++] = ssrc;
	*size = (size_t)length;
	return PL_DROP_NONE;
}

enum pl_drop pl_srtp_unprotect_rtp(struct pl_srtp *srtp, struct pl_bytes packet, struct pl_span out, size_t *size)
{
	if (packet.size < RTP_HEADER_SIZE_MIN)
		return PL_DROP_SRTP_MALFORMED;
	return unprotect(srtp, srtp_unprotect, read_u32(packet.data + RTP_SSRC_AT), packet, out, size);
}

enum pl_drop pl_srtp_unprotect_rtcp(struct pl_srtp *srtp, struct pl_bytes packet, struct pl_span out, size_t *size)
{
	if (packet.size < RTCP_HEADER_SIZE_MIN)
		return PL_DROP_SRTP_MALFORMED;
	return unprotect(srtp, srtp_unprotect_rtcp, read_u32(packet.data + RTCP_SSRC_AT), packet, out, size);
}

size_t pl_srtp_protect_rtp(struct pl_srtp *srtp, struct pl_bytes header, struct pl_bytes payload, struct pl_span out)
{
	PL_ASSERT(header.size >= RTP_HEADER_SIZE_MIN);
	PL_ASSERT(out.size >= header.size + payload.size + PL_SRTP_OVERHEAD_MAX && out.size <= INT_MAX);
	memcpy(out.data, header.data, header.size);
	if (payload.size > 0)
		memcpy(out.data + header.size, payload.data, payload.size);
	int length = (int)(header.size + payload.size);
	return srtp_protect(srtp->outgoing, out.data, &length) == srtp_err_status_ok ? (size_t)length : 0;
}

size_t pl_srtp_protect_rtcp(struct pl_srtp *srtp, struct pl_bytes packet, struct pl_span out)
{
	PL_ASSERT(packet.size >= RTCP_HEADER_SIZE_MIN);
	PL_ASSERT(out.size >= packet.size + PL_SRTP_OVERHEAD_MAX && out.size <= INT_MAX);
	memcpy(out.data, packet.data, packet.size);
	int length = (int)packet.size;
	return srtp_protect_rtcp(srtp->outgoing, out.data, &length) == srtp_err_status_ok ? (size_t)length : 0;
}
