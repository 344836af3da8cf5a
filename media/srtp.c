#include "media/srtp.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "media/srtp_impl.h"

static const char *const backend_text[] = {
#define X(name, text) [PL_SRTP_##name] = text,
	PL_SRTP_BACKEND_LIST(X)
#undef X
};

const char *pl_srtp_backend_text(enum pl_srtp_backend backend)
{
	PL_ASSERT(backend < PL_SRTP_BACKEND_COUNT);
	return backend_text[backend];
}

bool pl_srtp_backend_parse(const char *text, enum pl_srtp_backend *backend)
{
	for (size_t i = 0; i < PL_COUNT(backend_text); i++) {
		if (strcmp(text, backend_text[i]) != 0)
			continue;
		*backend = (enum pl_srtp_backend)i;
		return true;
	}
	return false;
}

void pl_srtp_keys_wipe(struct pl_srtp_keys *keys)
{
	explicit_bzero(keys, sizeof *keys);
}

/* NULL: libsrtp2 brings its own, or this build has none. */
static const struct pl_crypto *crypto_of(enum pl_srtp_backend backend)
{
	if (backend == PL_SRTP_OPENSSL)
		return &pl_crypto_evp;
#if PLENUM_HAS_IPSEC_MB
	if (backend == PL_SRTP_IPSEC_MB)
		return &pl_crypto_imb;
#endif
	return NULL;
}

const char *pl_srtp_backend_lack(enum pl_srtp_backend backend)
{
	const struct pl_crypto *crypto = crypto_of(backend);
	if (backend == PL_SRTP_AUTO || backend == PL_SRTP_LIBSRTP2)
		return NULL;
	return crypto != NULL ? crypto->lack() : "this program was built without it";
}

enum pl_err pl_srtp_engine_create(struct pl_srtp_engine **engine, enum pl_srtp_backend wanted)
{
	*engine = NULL;
	if (wanted == PL_SRTP_AUTO)
		wanted = pl_srtp_backend_lack(PL_SRTP_IPSEC_MB) == NULL ? PL_SRTP_IPSEC_MB : PL_SRTP_OPENSSL;
	if (pl_srtp_backend_lack(wanted) != NULL)
		return PL_ERR_CONFIG;
	struct pl_srtp_engine *made = calloc(1, sizeof *made);
	if (made == NULL)
		return PL_ERR_NO_MEMORY;
	made->backend = wanted;
	made->crypto = crypto_of(wanted);
	made->ops = made->crypto == NULL ? &pl_srtp_libsrtp_ops : &pl_srtp_fast_ops;
	const enum pl_err err = made->crypto == NULL ? PL_ERR_NONE : made->crypto->create(&made->ciphers);
	if (err != PL_ERR_NONE) {
		free(made);
		return err;
	}
	*engine = made;
	return PL_ERR_NONE;
}

void pl_srtp_engine_destroy(struct pl_srtp_engine **engine)
{
	if (*engine == NULL)
		return;
	if ((*engine)->crypto != NULL)
		(*engine)->crypto->destroy((*engine)->ciphers);
	pl_srtp_slabs_fini(&(*engine)->slabs);
	free(*engine);
	*engine = NULL;
}

size_t pl_srtp_engine_bytes(const struct pl_srtp_engine *engine)
{
	return engine->slabs.bytes;
}

const char *pl_srtp_engine_text(const struct pl_srtp_engine *engine)
{
	return engine->crypto == NULL ? pl_srtp_backend_text(engine->backend) : engine->crypto->text(engine->ciphers);
}

enum pl_srtp_backend pl_srtp_engine_backend(const struct pl_srtp_engine *engine)
{
	return engine->backend;
}

enum pl_err pl_srtp_create(struct pl_srtp **srtp, struct pl_srtp_engine *engine, const struct pl_srtp_keys *keys)
{
	*srtp = NULL;
	const enum pl_err err = engine->ops->create(srtp, engine, keys);
	PL_ASSERT(err != PL_ERR_NONE || ((*srtp)->engine == engine && (*srtp)->profile == keys->profile));
	return err;
}

void pl_srtp_destroy(struct pl_srtp **srtp)
{
	if (*srtp == NULL)
		return;
	(*srtp)->engine->ops->destroy(*srtp);
	*srtp = NULL;
}

enum pl_drop pl_srtp_unprotect_rtp(struct pl_srtp *srtp, struct pl_bytes packet, struct pl_span out, size_t *size)
{
	PL_ASSERT(out.size >= packet.size);
	const size_t header_size = pl_srtp_header_size(packet);
	if (header_size == 0 || packet.size - header_size < pl_srtp_tag_size(srtp->profile))
		return PL_DROP_SRTP_MALFORMED;
	return srtp->engine->ops->unprotect_rtp(srtp, packet, out, size);
}

enum pl_drop pl_srtp_unprotect_rtcp(struct pl_srtp *srtp, struct pl_bytes packet, struct pl_span out, size_t *size)
{
	PL_ASSERT(out.size >= packet.size);
	if (packet.size < PL_RTCP_FIXED_SIZE + PL_SRTCP_INDEX_SIZE + pl_srtp_tag_size(srtp->profile))
		return PL_DROP_SRTP_MALFORMED;
	/* In the clear, which no peer was allowed to: the profiles encrypt SRTCP, too (RFC 5764 section 4.1.2). */
	if ((pl_srtcp_e_index(packet, srtp->profile) & PL_SRTCP_E_BIT) == 0)
		return PL_DROP_SRTP_AUTH;
	return srtp->engine->ops->unprotect_rtcp(srtp, packet, out, size);
}

size_t pl_srtp_header_size(struct pl_bytes packet)
{
	if (packet.size < PL_RTP_FIXED_SIZE)
		return 0;
	size_t size = PL_RTP_FIXED_SIZE + 4u * (packet.data[0] & 0x0f);
	if ((packet.data[0] & 0x10) != 0) {
		if (packet.size < size + 4)
			return 0;
		size += 4 + 4 * ((size_t)packet.data[size + 2] << 8 | packet.data[size + 3]);
	}
	return size <= packet.size ? size : 0;
}

static void check_job(const struct pl_srtp_job *job, const struct pl_srtp_engine *engine)
{
	PL_ASSERT(job->srtp->engine == engine);
	PL_ASSERT(job->header.size > 0 && pl_srtp_header_size(job->header) == job->header.size);
	PL_ASSERT(job->out.size <= INT_MAX);
	PL_ASSERT(job->out.size >= job->header.size + job->payload.size + pl_srtp_rtp_overhead(job->srtp));
}

size_t pl_srtp_rtp_overhead(const struct pl_srtp *srtp)
{
	return pl_srtp_tag_size(srtp->profile);
}

void pl_srtp_protect_rtp_batch(struct pl_srtp_job *jobs, size_t count)
{
	if (count == 0)
		return;
	const struct pl_srtp_engine *engine = jobs[0].srtp->engine;
	for (size_t i = 0; i < count; i++)
		check_job(&jobs[i], engine);
	engine->ops->protect_rtp(jobs, count);
}

void pl_srtp_prefetch_rtp(const struct pl_srtp_engine *engine, const struct pl_srtp *srtp, size_t ssrcs)
{
	if (engine->ops->prefetch_rtp != NULL)
		engine->ops->prefetch_rtp(engine, srtp, ssrcs);
}

size_t pl_srtp_protect_rtp(struct pl_srtp *srtp, struct pl_bytes header, struct pl_bytes payload, struct pl_span out)
{
	struct pl_srtp_job job = { .srtp = srtp, .header = header, .payload = payload, .out = out };
	pl_srtp_protect_rtp_batch(&job, 1);
	return job.size;
}

size_t pl_srtp_protect_rtcp(struct pl_srtp *srtp, struct pl_bytes packet, struct pl_span out)
{
	PL_ASSERT(packet.size >= PL_RTCP_FIXED_SIZE);
	PL_ASSERT(out.size >= packet.size + PL_SRTP_OVERHEAD_MAX && out.size <= INT_MAX);
	return srtp->engine->ops->protect_rtcp(srtp, packet, out);
}
