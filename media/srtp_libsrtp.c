#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <srtp2/srtp.h>

#include "media/srtp_impl.h"

struct session {
	struct pl_srtp head;
	/* Two libsrtp sessions: in one, a peer that picks an SSRC of ours would be checked with the wrong key. */
	srtp_t incoming, outgoing;
	/* libsrtp holds a stream for each: of those that came, the authentic ones */
	struct ssrcs {
		uint32_t ssrc[PL_SRTP_SSRCS_MAX];
		uint8_t count;
	} in, out;
};

typedef srtp_err_status_t unprotect_fn(srtp_t, void *, int *);

enum pl_err pl_srtp_init(void)
{
	return srtp_init() == srtp_err_status_ok ? PL_ERR_NONE : PL_ERR_CRYPTO;
}

void pl_srtp_fini(void)
{
	srtp_shutdown();
}

static struct session *session_of(struct pl_srtp *srtp)
{
	return (struct session *)srtp; /* head is its first member */
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

static enum pl_err create(struct pl_srtp **srtp, struct pl_srtp_engine *engine, const struct pl_srtp_keys *keys)
{
	struct session *made = calloc(1, sizeof *made);

	if (made == NULL)
		return PL_ERR_NO_MEMORY;
	made->head = (struct pl_srtp){ .engine = engine, .profile = keys->profile };
	enum pl_err err =
		create_session(&made->incoming, keys->profile, ssrc_any_inbound, keys->remote.key, keys->remote.salt);
	if (err != PL_ERR_NONE)
		goto fail_incoming;
	err = create_session(&made->outgoing, keys->profile, ssrc_any_outbound, keys->local.key, keys->local.salt);
	if (err != PL_ERR_NONE)
		goto fail_outgoing;
	*srtp = &made->head;
	return PL_ERR_NONE;

fail_outgoing:
	srtp_dealloc(made->incoming);
fail_incoming:
	free(made);
	return err;
}

static void destroy(struct pl_srtp *srtp)
{
	struct session *session = session_of(srtp);
	srtp_dealloc(session->incoming);
	srtp_dealloc(session->outgoing);
	free(session);
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

static bool knows_ssrc(const struct ssrcs *ssrcs, uint32_t ssrc)
{
	for (uint8_t i = 0; i < ssrcs->count; i++)
		if (ssrcs->ssrc[i] == ssrc)
			return true;
	return false;
}

/* False when there is no place for another. */
static bool take_ssrc(struct ssrcs *ssrcs, uint32_t ssrc)
{
	if (knows_ssrc(ssrcs, ssrc))
		return true;
	if (ssrcs->count == PL_SRTP_SSRCS_MAX)
		return false;
	ssrcs->ssrc[ssrcs->count++] = ssrc;
	return true;
}

/* The first authentic packet of an SSRC makes libsrtp take memory for it, for the life of the session.  So
 * they are counted here, before it sees a packet of one too many. */
static enum pl_drop unprotect(struct session *session, unprotect_fn *with, uint32_t ssrc, struct pl_bytes packet,
	struct pl_span out, size_t *size)
{
	if (!knows_ssrc(&session->in, ssrc) && session->in.count == PL_SRTP_SSRCS_MAX)
		return PL_DROP_SRTP_SSRC_LIMIT;

	PL_ASSERT(packet.size <= INT_MAX);
	int length = (int)packet.size;
	if (out.data != packet.data)
		memcpy(out.data, packet.data, packet.size);
	const srtp_err_status_t status = with(session->incoming, out.data, &length);
	if (status != srtp_err_status_ok)
		return drop_of(status);
	PL_ASSERT(take_ssrc(&session->in, ssrc));
	*size = (size_t)length;
	return PL_DROP_NONE;
}

static enum pl_drop unprotect_rtp(struct pl_srtp *srtp, struct pl_bytes packet, struct pl_span out, size_t *size)
{
	return unprotect(
		session_of(srtp), srtp_unprotect, pl_read_u32(packet.data + PL_RTP_SSRC_AT), packet, out, size);
}

static enum pl_drop unprotect_rtcp(struct pl_srtp *srtp, struct pl_bytes packet, struct pl_span out, size_t *size)
{
	return unprotect(
		session_of(srtp), srtp_unprotect_rtcp, pl_read_u32(packet.data + PL_RTCP_SSRC_AT), packet, out, size);
}

static size_t protect_one(struct session *session, const struct pl_srtp_job *job)
{
	if (!take_ssrc(&session->out, pl_read_u32(job->header.data + PL_RTP_SSRC_AT)))
		return 0;
	memcpy(job->out.data, job->header.data, job->header.size);
	if (job->payload.size > 0)
		memcpy(job->out.data + job->header.size, job->payload.data, job->payload.size);
	int length = (int)(job->header.size + job->payload.size);
	return srtp_protect(session->outgoing, job->out.data, &length) == srtp_err_status_ok ? (size_t)length : 0;
}

static void protect_rtp(struct pl_srtp_job *jobs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		jobs[i].size = protect_one(session_of(jobs[i].srtp), &jobs[i]);
}

static size_t protect_rtcp(struct pl_srtp *srtp, struct pl_bytes packet, struct pl_span out)
{
	struct session *session = session_of(srtp);
	if (!take_ssrc(&session->out, pl_read_u32(packet.data + PL_RTCP_SSRC_AT)))
		return 0;
	memcpy(out.data, packet.data, packet.size);
	int length = (int)packet.size;
	return srtp_protect_rtcp(session->outgoing, out.data, &length) == srtp_err_status_ok ? (size_t)length : 0;
}

const struct pl_srtp_ops pl_srtp_libsrtp_ops = {
	.create = create,
	.destroy = destroy,
	.unprotect_rtp = unprotect_rtp,
	.unprotect_rtcp = unprotect_rtcp,
	.protect_rtp = protect_rtp,
	.protect_rtcp = protect_rtcp,
};
