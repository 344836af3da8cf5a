/* What srtp.c hands each call to: libsrtp2 (srtp_libsrtp.c) or ours (srtp_fast.c).  Nobody else includes this, the
 * tests of the inside apart.
 * Thread: as in srtp.h. */
#ifndef PL_MEDIA_SRTP_IMPL_H
#define PL_MEDIA_SRTP_IMPL_H

#include <endian.h>
#include <string.h>

#include "media/srtp.h"
#include "media/srtp_crypto.h"
#include "media/srtp_slabs.h"

/* The contracts are those of the functions of the same name in srtp.h.  A packet to unprotect has
 * all that it must have: header, tag, SRTCP index with the E bit set. */
struct pl_srtp_ops {
	enum pl_err (*create)(struct pl_srtp **, struct pl_srtp_engine *, const struct pl_srtp_keys *);
	void (*destroy)(struct pl_srtp *);
	enum pl_drop (*unprotect_rtp)(struct pl_srtp *, struct pl_bytes, struct pl_span, size_t *);
	enum pl_drop (*unprotect_rtcp)(struct pl_srtp *, struct pl_bytes, struct pl_span, size_t *);
	void (*protect_rtp)(struct pl_srtp_job *, size_t count);
	void (*prefetch_rtp)(
		const struct pl_srtp_engine *, const struct pl_srtp *, size_t ssrcs); /* NULL: nothing to fetch */
	size_t (*protect_rtcp)(struct pl_srtp *, struct pl_bytes, struct pl_span);
};

extern const struct pl_srtp_ops pl_srtp_libsrtp_ops, pl_srtp_fast_ops;

struct pl_srtp_engine {
	const struct pl_srtp_ops *ops;
	enum pl_srtp_backend backend;
	const struct pl_crypto *crypto;   /* NULL with libsrtp2 */
	struct pl_crypto_engine *ciphers; /* NULL with libsrtp2 */
	struct pl_srtp_slabs slabs;       /* sessions, by profile; empty with libsrtp2 */
};

/* The head of every session. */
struct pl_srtp {
	struct pl_srtp_engine *engine;
	enum pl_srtp_profile profile;
};

enum {
	PL_RTP_FIXED_SIZE = 12, /* RFC 3550 section 5.1 */
	PL_RTP_SSRC_AT = 8,
	PL_RTCP_FIXED_SIZE = 8, /* up to the sender's SSRC, RFC 3550 section 6.4.1 */
	PL_RTCP_SSRC_AT = 4,
	PL_SRTCP_INDEX_SIZE = 4, /* with the E bit, RFC 3711 section 3.4 */
};

#define PL_SRTCP_E_BIT UINT32_C(0x80000000)

static inline uint32_t pl_read_u32(const uint8_t *at)
{
	uint32_t value;
	memcpy(&value, at, sizeof value);
	return be32toh(value);
}

static inline void pl_write_u32(uint8_t *at, uint32_t value)
{
	value = htobe32(value);
	memcpy(at, &value, sizeof value);
}

static inline size_t pl_srtp_tag_size(enum pl_srtp_profile profile)
{
	return profile == PL_SRTP_AEAD_AES_128_GCM ? PL_CRYPTO_GCM_TAG_SIZE : PL_CRYPTO_CM_TAG_SIZE;
}

/* The word of a whole SRTCP packet that has the E bit and the index: GCM has it behind the tag, CM before. */
static inline uint32_t pl_srtcp_e_index(struct pl_bytes packet, enum pl_srtp_profile profile)
{
	const size_t behind = profile == PL_SRTP_AEAD_AES_128_GCM ? 0 : PL_CRYPTO_CM_TAG_SIZE;
	return pl_read_u32(packet.data + packet.size - behind - PL_SRTCP_INDEX_SIZE);
}

/* The size of a whole RTP header: fixed part, CSRCs, extension (RFC 3550 section 5.3.1).  0 when packet is shorter. */
size_t pl_srtp_header_size(struct pl_bytes packet);

#endif
