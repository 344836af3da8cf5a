#include <endian.h>
#include <string.h>

#include "media/srtp_impl.h"
#include "media/srtp_streams.h"

/* Labels of RFC 3711 section 4.3.2, those of RTP; SRTCP's follow them. */
enum { LABEL_CIPHER, LABEL_AUTH, LABEL_SALT, LABELS };

enum {
	SALT_SIZE = 16,     /* as it is kept: zeros behind the 12 of GCM or the 14 of CM */
	GCM_SALT_SIZE = 12, /* RFC 7714 section 12 */
	CM_SALT_SIZE = 14,  /* RFC 3711 section 8.2 */
	RTCP_WINDOW = 128,
	KEYS = 4, /* RTP and SRTCP, each way */
};

/* One protocol of one direction. */
struct context {
	void *key;                    /* in the memory behind the session */
	uint64_t salt[SALT_SIZE / 8]; /* in the host's order */
};

struct direction {
	struct context rtp, rtcp;
	struct pl_srtp_streams streams;
};

struct session {
	struct pl_srtp head;
	size_t size; /* with the keys behind it */
	uint8_t keys_ready;
	struct direction out, in;
	uint64_t rtcp_seen[PL_SRTP_SSRCS_MAX][RTCP_WINDOW / 64]; /* incoming, by the number of the stream */
};

/* The keys lie behind it, that of outgoing RTP first. */
enum { HEAD_SIZE = (sizeof(struct session) + PL_CRYPTO_ALIGN - 1) / PL_CRYPTO_ALIGN * PL_CRYPTO_ALIGN };

static struct session *session_of(struct pl_srtp *srtp)
{
	return (struct session *)srtp; /* head is its first member */
}

/* ---- keys ---- */

/* RFC 3711 section 4.3.1 with a key derivation rate of 0; RFC 7714 section 11 takes the shorter salt as if zeros
 * followed. */
static enum pl_err derive(struct pl_srtp_engine *engine, const uint8_t *master, const uint8_t salt[static SALT_SIZE],
	uint8_t label, uint8_t *out, size_t size)
{
	uint8_t iv[SALT_SIZE];
	memcpy(iv, salt, sizeof iv);
	iv[7] ^= label;
	return engine->crypto->keystream(engine->ciphers, master, iv, out, size);
}

static enum pl_err derive_context(struct session *session, struct context *context, enum pl_crypto_use use,
	const uint8_t *master, const uint8_t *master_salt)
{
	struct pl_srtp_engine *engine = session->head.engine;
	const bool is_gcm = session->head.profile == PL_SRTP_AEAD_AES_128_GCM;
	const size_t salt_size = is_gcm ? GCM_SALT_SIZE : CM_SALT_SIZE;
	const uint8_t first = use == PL_CRYPTO_OFTEN ? 0 : LABELS;
	uint8_t salt[SALT_SIZE] = { 0 }, session_salt[SALT_SIZE] = { 0 };
	struct pl_crypto_secret secret;

	memcpy(salt, master_salt, salt_size);
	memset(&secret, 0, sizeof secret);
	enum pl_err err = derive(engine, master, salt, first + LABEL_CIPHER, secret.cipher, sizeof secret.cipher);
	if (err == PL_ERR_NONE && !is_gcm)
		err = derive(engine, master, salt, first + LABEL_AUTH, secret.auth, sizeof secret.auth);
	if (err == PL_ERR_NONE)
		err = derive(engine, master, salt, first + LABEL_SALT, session_salt, salt_size);
	if (err == PL_ERR_NONE)
		err = engine->crypto->key_init(engine->ciphers, context->key, session->head.profile, use, &secret);
	if (err == PL_ERR_NONE)
		session->keys_ready++;
	memcpy(context->salt, session_salt, sizeof context->salt);
	for (size_t i = 0; i < PL_COUNT(context->salt); i++)
		context->salt[i] = be64toh(context->salt[i]);
	explicit_bzero(&secret, sizeof secret);
	explicit_bzero(session_salt, sizeof session_salt);
	explicit_bzero(salt, sizeof salt);
	return err;
}

static struct context *context_of(struct session *session, size_t number)
{
	struct context *all[KEYS] = { &session->out.rtp, &session->out.rtcp, &session->in.rtp, &session->in.rtcp };
	return all[number];
}

static enum pl_crypto_use use_of(size_t number)
{
	return number % 2 == 0 ? PL_CRYPTO_OFTEN : PL_CRYPTO_SELDOM;
}

static void destroy(struct pl_srtp *srtp)
{
	struct session *session = session_of(srtp);
	for (size_t i = 0; i < session->keys_ready; i++)
		srtp->engine->crypto->key_fini(context_of(session, i)->key, session->head.profile);
	struct pl_srtp_slabs *slabs = &srtp->engine->slabs;
	const enum pl_srtp_profile profile = srtp->profile;
	explicit_bzero(session, session->size);
	pl_srtp_slabs_give(slabs, profile, session);
}

static enum pl_err create(struct pl_srtp **srtp, struct pl_srtp_engine *engine, const struct pl_srtp_keys *keys)
{
	const size_t often = engine->crypto->key_size(keys->profile, PL_CRYPTO_OFTEN);
	const size_t seldom = engine->crypto->key_size(keys->profile, PL_CRYPTO_SELDOM);
	const size_t keys_end = HEAD_SIZE + KEYS / 2 * (often + seldom);
	const size_t size = (keys_end + PL_SRTP_SLAB_ALIGN - 1) / PL_SRTP_SLAB_ALIGN * PL_SRTP_SLAB_ALIGN;
	_Static_assert((int)PL_SRTP_SLAB_ALIGN % (int)PL_CRYPTO_ALIGN == 0, "keys are aligned in a slab, too");
	_Static_assert((int)PL_SRTP_AES128_CM_SHA1_80 < (int)PL_SRTP_SLAB_KINDS, "a kind for each profile");
	struct session *made = pl_srtp_slabs_take(&engine->slabs, keys->profile, size);
	if (made == NULL)
		return PL_ERR_NO_MEMORY;
	memset(made, 0, size);
	made->head = (struct pl_srtp){ .engine = engine, .profile = keys->profile };
	made->size = size;

	uint8_t *at = (uint8_t *)made + HEAD_SIZE;
	enum pl_err err = PL_ERR_NONE;
	for (size_t i = 0; i < KEYS && err == PL_ERR_NONE; i++) {
		struct context *context = context_of(made, i);
		context->key = at;
		at += use_of(i) == PL_CRYPTO_OFTEN ? often : seldom;
		err = i < KEYS / 2 ? derive_context(made, context, use_of(i), keys->local.key, keys->local.salt)
				   : derive_context(made, context, use_of(i), keys->remote.key, keys->remote.salt);
	}
	if (err != PL_ERR_NONE) {
		destroy(&made->head);
		return err;
	}
	*srtp = &made->head;
	return PL_ERR_NONE;
}

/* ---- initialisation vectors ---- */

/* SSRC and index, 48 bits, at their places, and the salt over all of it, which is kept in halves for that: written byte
 * by byte they would have the cipher wait for the memory.
 * GCM: 00 00 SSRC index, RFC 7714 section 8.1 (the index is ROC and SEQ) and 9.1 (16 zeros and SRTCP's). */
static void gcm_job(struct pl_crypto_gcm *job, const struct context *context, uint32_t ssrc, uint64_t index)
{
	const uint64_t high = htobe64(context->salt[0] ^ ((uint64_t)ssrc << 16 | index >> 32));
	const uint32_t low = htobe32((uint32_t)(context->salt[1] >> 32 ^ index));
	job->key = context->key;
	memcpy(job->iv, &high, sizeof high);
	memcpy(job->iv + sizeof high, &low, sizeof low);
}

/* 00 00 00 00 SSRC index 00 00, RFC 3711 section 4.1.1. */
static void cm_job(struct pl_crypto_cm *job, const struct context *context, uint32_t ssrc, uint64_t index)
{
	const uint64_t iv[2] = { htobe64(context->salt[0] ^ ssrc), htobe64(context->salt[1] ^ index << 16) };
	job->key = context->key;
	memcpy(job->iv, iv, sizeof iv);
}

/* ---- protect ---- */

/* The index under which the packet goes out.  False when it must not: the same index again would give the key stream
 * away. */
static bool take_index(struct pl_srtp_streams *streams, struct pl_bytes header, uint32_t ssrc, uint64_t *index)
{
	struct pl_srtp_stream *stream = pl_srtp_streams_find(streams, ssrc);
	if (stream == NULL)
		stream = pl_srtp_streams_add(streams, ssrc);
	const uint16_t seq = (uint16_t)(header.data[2] << 8 | header.data[3]);
	if (stream == NULL || !pl_srtp_streams_index(streams, stream, seq, index))
		return false;
	pl_srtp_streams_note(streams, stream, *index);
	return true;
}

static void seal_gcm(struct session *session, struct pl_srtp_job *job, uint32_t ssrc, uint64_t index)
{
	uint8_t *payload = job->out.data + job->header.size;
	struct pl_crypto_gcm gcm;
	gcm_job(&gcm, &session->out.rtp, ssrc, index);
	memcpy(job->out.data, job->header.data, job->header.size);
	gcm.use = PL_CRYPTO_OFTEN;
	gcm.aad = job->header;
	gcm.in = job->payload.data;
	gcm.out = payload;
	gcm.size = job->payload.size;
	session->head.engine->crypto->gcm_seal(session->head.engine->ciphers, &gcm, payload + gcm.size);
	job->size = job->header.size + job->payload.size + PL_CRYPTO_GCM_TAG_SIZE;
}

/* Everything but the sealing. */
static void prepare_cm(
	struct session *session, struct pl_srtp_job *job, uint32_t ssrc, uint64_t index, struct pl_crypto_cm *cm)
{
	const size_t size = job->header.size + job->payload.size;
	cm_job(cm, &session->out.rtp, ssrc, index);
	memcpy(job->out.data, job->header.data, job->header.size);
	cm->in = job->payload.data;
	cm->out = job->out.data + job->header.size;
	cm->size = job->payload.size;
	/* The ROC is signed but not sent (RFC 3711 section 4.2): the tag comes over it. */
	pl_write_u32(job->out.data + size, (uint32_t)(index >> 16));
	cm->signed_from = job->out.data;
	cm->signed_size = size + 4;
	cm->tag = job->out.data + size;
	job->size = size + PL_CRYPTO_CM_TAG_SIZE;
}

static void protect_rtp(struct pl_srtp_job *jobs, size_t count)
{
	struct pl_srtp_engine *engine = jobs[0].srtp->engine;
	struct pl_crypto_cm cm[PL_CRYPTO_BATCH_MAX];
	size_t waiting = 0;
	for (size_t i = 0; i < count; i++) {
		struct session *session = session_of(jobs[i].srtp);
		const uint32_t ssrc = pl_read_u32(jobs[i].header.data + PL_RTP_SSRC_AT);
		uint64_t index;
		jobs[i].size = 0;
		if (!take_index(&session->out.streams, jobs[i].header, ssrc, &index))
			continue;
		if (session->head.profile == PL_SRTP_AEAD_AES_128_GCM) {
			seal_gcm(session, &jobs[i], ssrc, index);
			continue;
		}
		prepare_cm(session, &jobs[i], ssrc, index, &cm[waiting++]);
		if (waiting == PL_COUNT(cm)) {
			engine->crypto->cm_seal(engine->ciphers, cm, waiting);
			waiting = 0;
		}
	}
	if (waiting > 0)
		engine->crypto->cm_seal(engine->ciphers, cm, waiting);
}

/* The salt, the streams with the windows that they have if they were the first, and the key.  The session is not read: it is far
 * yet.  Of thousands of listeners with one stream each every line that is not needed is one that another waits for. */
static void prefetch_rtp(const struct pl_srtp_engine *engine, const struct pl_srtp *srtp, size_t ssrcs)
{
	const uint8_t *session = (const uint8_t *)srtp;
	const size_t streams = ssrcs < PL_SRTP_SSRCS_MAX ? ssrcs : PL_SRTP_SSRCS_MAX;
	const size_t windows = ssrcs < PL_SRTP_WINDOWS ? ssrcs : PL_SRTP_WINDOWS;
	pl_prefetch(session, offsetof(struct session, out.streams.stream) + streams * sizeof(struct pl_srtp_stream));
	pl_prefetch(session + offsetof(struct session, out.streams.seen), windows * PL_SRTP_REPLAY_WINDOW / 8);
	engine->crypto->key_prefetch(session + HEAD_SIZE);
}

static size_t seal_rtcp_gcm(
	struct session *session, struct pl_bytes packet, uint8_t *out, uint32_t ssrc, uint32_t index)
{
	struct pl_crypto_gcm gcm;
	gcm_job(&gcm, &session->out.rtcp, ssrc, index);
	gcm.use = PL_CRYPTO_SELDOM;
	uint8_t aad[PL_RTCP_FIXED_SIZE + PL_SRTCP_INDEX_SIZE]; /* RFC 7714 section 9.2 */
	memcpy(aad, packet.data, PL_RTCP_FIXED_SIZE);
	pl_write_u32(aad + PL_RTCP_FIXED_SIZE, index | PL_SRTCP_E_BIT);
	gcm.aad = (struct pl_bytes){ aad, sizeof aad };
	gcm.in = packet.data + PL_RTCP_FIXED_SIZE;
	gcm.out = out + PL_RTCP_FIXED_SIZE;
	gcm.size = packet.size - PL_RTCP_FIXED_SIZE;
	session->head.engine->crypto->gcm_seal(session->head.engine->ciphers, &gcm, out + packet.size);
	pl_write_u32(out + packet.size + PL_CRYPTO_GCM_TAG_SIZE, index | PL_SRTCP_E_BIT);
	return packet.size + PL_CRYPTO_GCM_TAG_SIZE + PL_SRTCP_INDEX_SIZE;
}

static size_t seal_rtcp_cm(struct session *session, struct pl_bytes packet, uint8_t *out, uint32_t ssrc, uint32_t index)
{
	struct pl_crypto_cm cm = {
		.in = packet.data + PL_RTCP_FIXED_SIZE,
		.out = out + PL_RTCP_FIXED_SIZE,
		.size = packet.size - PL_RTCP_FIXED_SIZE,
		.signed_from = out,
		.signed_size = packet.size + PL_SRTCP_INDEX_SIZE,
		.tag = out + packet.size + PL_SRTCP_INDEX_SIZE,
	};
	cm_job(&cm, &session->out.rtcp, ssrc, index);
	pl_write_u32(out + packet.size, index | PL_SRTCP_E_BIT);
	session->head.engine->crypto->cm_seal(session->head.engine->ciphers, &cm, 1);
	return packet.size + PL_SRTCP_INDEX_SIZE + PL_CRYPTO_CM_TAG_SIZE;
}

static size_t protect_rtcp(struct pl_srtp *srtp, struct pl_bytes packet, struct pl_span out)
{
	struct session *session = session_of(srtp);
	const uint32_t ssrc = pl_read_u32(packet.data + PL_RTCP_SSRC_AT);
	struct pl_srtp_stream *stream = pl_srtp_streams_find(&session->out.streams, ssrc);
	if (stream == NULL)
		stream = pl_srtp_streams_add(&session->out.streams, ssrc);
	if (stream == NULL || stream->rtcp_last == PL_SRTCP_E_BIT - 1)
		return 0;
	const uint32_t index = ++stream->rtcp_last;
	memcpy(out.data, packet.data, PL_RTCP_FIXED_SIZE);
	return session->head.profile == PL_SRTP_AEAD_AES_128_GCM ? seal_rtcp_gcm(session, packet, out.data, ssrc, index)
								 : seal_rtcp_cm(session, packet, out.data, ssrc, index);
}

/* ---- unprotect ---- */

static bool open_gcm(struct session *session, struct pl_bytes packet, size_t header_size, uint32_t ssrc, uint64_t index,
	uint8_t *out)
{
	struct pl_crypto_gcm gcm;
	gcm_job(&gcm, &session->in.rtp, ssrc, index);
	gcm.use = PL_CRYPTO_OFTEN;
	gcm.aad = (struct pl_bytes){ packet.data, header_size };
	gcm.in = packet.data + header_size;
	gcm.out = out + header_size;
	gcm.size = packet.size - header_size - PL_CRYPTO_GCM_TAG_SIZE;
	if (!session->head.engine->crypto->gcm_open(session->head.engine->ciphers, &gcm, gcm.in + gcm.size))
		return false;
	if (out != packet.data)
		memcpy(out, packet.data, header_size);
	return true;
}

/* The ROC has to stand behind the packet to be signed with it.  In out it may, where the tag was. */
static bool open_cm(struct session *session, struct pl_bytes packet, size_t header_size, uint32_t ssrc, uint64_t index,
	uint8_t *out)
{
	const size_t size = packet.size - PL_CRYPTO_CM_TAG_SIZE;
	uint8_t tag[PL_CRYPTO_CM_TAG_SIZE];
	memcpy(tag, packet.data + size, sizeof tag);
	if (out != packet.data)
		memcpy(out, packet.data, size);
	pl_write_u32(out + size, (uint32_t)(index >> 16));
	struct pl_crypto_cm cm = {
		.in = out + header_size,
		.out = out + header_size,
		.size = size - header_size,
		.signed_from = out,
		.signed_size = size + 4,
		.tag = tag,
	};
	cm_job(&cm, &session->in.rtp, ssrc, index);
	return session->head.engine->crypto->cm_open(session->head.engine->ciphers, &cm);
}

static enum pl_drop unprotect_rtp(struct pl_srtp *srtp, struct pl_bytes packet, struct pl_span out, size_t *size)
{
	struct session *session = session_of(srtp);
	struct pl_srtp_streams *streams = &session->in.streams;
	const bool is_gcm = session->head.profile == PL_SRTP_AEAD_AES_128_GCM;
	const size_t tag_size = pl_srtp_tag_size(session->head.profile);
	const size_t header_size = pl_srtp_header_size(packet);
	const uint32_t ssrc = pl_read_u32(packet.data + PL_RTP_SSRC_AT);
	uint64_t index;

	struct pl_srtp_stream *stream = pl_srtp_streams_find(streams, ssrc);
	if (stream == NULL && streams->count == PL_SRTP_SSRCS_MAX)
		return PL_DROP_SRTP_SSRC_LIMIT;
	if (!pl_srtp_streams_index(streams, stream, (uint16_t)(packet.data[2] << 8 | packet.data[3]), &index))
		return PL_DROP_SRTP_REPLAY;
	if (!(is_gcm ? open_gcm(session, packet, header_size, ssrc, index, out.data)
		     : open_cm(session, packet, header_size, ssrc, index, out.data)))
		return PL_DROP_SRTP_AUTH;
	/* Nobody but the peer makes us remember anything. */
	if (stream == NULL)
		stream = pl_srtp_streams_add(streams, ssrc);
	pl_srtp_streams_note(streams, stream, index);
	*size = packet.size - tag_size;
	return PL_DROP_NONE;
}

static bool open_rtcp_gcm(struct session *session, struct pl_bytes packet, uint32_t ssrc, uint32_t index, uint8_t *out)
{
	struct pl_crypto_gcm gcm;
	gcm_job(&gcm, &session->in.rtcp, ssrc, index);
	gcm.use = PL_CRYPTO_SELDOM;
	uint8_t aad[PL_RTCP_FIXED_SIZE + PL_SRTCP_INDEX_SIZE];
	memcpy(aad, packet.data, PL_RTCP_FIXED_SIZE);
	pl_write_u32(aad + PL_RTCP_FIXED_SIZE, index | PL_SRTCP_E_BIT);
	gcm.aad = (struct pl_bytes){ aad, sizeof aad };
	gcm.in = packet.data + PL_RTCP_FIXED_SIZE;
	gcm.out = out + PL_RTCP_FIXED_SIZE;
	gcm.size = packet.size - PL_RTCP_FIXED_SIZE - PL_CRYPTO_GCM_TAG_SIZE - PL_SRTCP_INDEX_SIZE;
	return session->head.engine->crypto->gcm_open(session->head.engine->ciphers, &gcm, gcm.in + gcm.size);
}

static bool open_rtcp_cm(struct session *session, struct pl_bytes packet, uint32_t ssrc, uint32_t index, uint8_t *out)
{
	uint8_t tag[PL_CRYPTO_CM_TAG_SIZE];
	const size_t signed_size = packet.size - sizeof tag;
	memcpy(tag, packet.data + signed_size, sizeof tag);
	struct pl_crypto_cm cm = {
		.in = packet.data + PL_RTCP_FIXED_SIZE,
		.out = out + PL_RTCP_FIXED_SIZE,
		.size = signed_size - PL_SRTCP_INDEX_SIZE - PL_RTCP_FIXED_SIZE,
		.signed_from = packet.data,
		.signed_size = signed_size,
		.tag = tag,
	};
	cm_job(&cm, &session->in.rtcp, ssrc, index);
	return session->head.engine->crypto->cm_open(session->head.engine->ciphers, &cm);
}

static enum pl_drop unprotect_rtcp(struct pl_srtp *srtp, struct pl_bytes packet, struct pl_span out, size_t *size)
{
	struct session *session = session_of(srtp);
	struct pl_srtp_streams *streams = &session->in.streams;
	const bool is_gcm = session->head.profile == PL_SRTP_AEAD_AES_128_GCM;
	const size_t tag_size = pl_srtp_tag_size(session->head.profile);
	const uint32_t ssrc = pl_read_u32(packet.data + PL_RTCP_SSRC_AT);
	const uint32_t index = pl_srtcp_e_index(packet, session->head.profile) & ~PL_SRTCP_E_BIT;
	struct pl_srtp_stream *stream = pl_srtp_streams_find(streams, ssrc);

	if (stream == NULL && streams->count == PL_SRTP_SSRCS_MAX)
		return PL_DROP_SRTP_SSRC_LIMIT;
	const size_t place = stream == NULL ? 0 : (size_t)(stream - streams->stream);
	if (stream != NULL &&
		!pl_srtp_replay_is_fresh(session->rtcp_seen[place], RTCP_WINDOW, stream->rtcp_last, index))
		return PL_DROP_SRTP_REPLAY;
	if (!(is_gcm ? open_rtcp_gcm(session, packet, ssrc, index, out.data)
		     : open_rtcp_cm(session, packet, ssrc, index, out.data)))
		return PL_DROP_SRTP_AUTH;
	if (out.data != packet.data)
		memcpy(out.data, packet.data, PL_RTCP_FIXED_SIZE);
	if (stream == NULL)
		stream = pl_srtp_streams_add(streams, ssrc);
	stream->rtcp_last = (uint32_t)pl_srtp_replay_add(
		session->rtcp_seen[stream - streams->stream], RTCP_WINDOW, stream->rtcp_last, index);
	*size = packet.size - tag_size - PL_SRTCP_INDEX_SIZE;
	return PL_DROP_NONE;
}

const struct pl_srtp_ops pl_srtp_fast_ops = {
	.create = create,
	.destroy = destroy,
	.unprotect_rtp = unprotect_rtp,
	.unprotect_rtcp = unprotect_rtcp,
	.protect_rtp = protect_rtp,
	.prefetch_rtp = prefetch_rtp,
	.protect_rtcp = protect_rtcp,
};
