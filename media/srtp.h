/* SRTP and SRTCP of one session (RFC 3711, RFC 7714), behind one small interface: libsrtp2 is the reference
 * implementation and the portable one.  Protecting is out of place, from a header and a shared payload
 * straight into the egress buffer, so that one plaintext serves every receiver.
 * The only file that names libsrtp is srtp.c.  Thread: the shard that owns the session. */
#ifndef PL_MEDIA_SRTP_H
#define PL_MEDIA_SRTP_H

#include "media/base.h"
#include "media/drop.h"
#include "media/err.h"

enum pl_srtp_profile { PL_SRTP_AEAD_AES_128_GCM, PL_SRTP_AES128_CM_SHA1_80 };

enum {
	PL_SRTP_KEY_SIZE = 16,
	PL_SRTP_SALT_SIZE_MAX = 14, /* 12 for GCM */
	PL_SRTP_OVERHEAD_MAX = 16 + 4 + 16, /* what protecting adds at most: tag, SRTCP index, slack */
	PL_SRTP_SSRCS_MAX = 64, /* incoming SSRCs of one session, RTP and RTCP together */
	PL_SRTP_REPLAY_WINDOW = 1024, /* RTP packets that may be late: 20 s of audio, half a second of video */
};

/* Master keys and salts of both directions. */
struct pl_srtp_keys {
	enum pl_srtp_profile profile;
	struct {
		uint8_t key[PL_SRTP_KEY_SIZE];
		uint8_t salt[PL_SRTP_SALT_SIZE_MAX];
	} local, remote; /* local protects what we send */
};

struct pl_srtp;

/* Overwrites the keys in a way that no compiler removes. */
void pl_srtp_keys_wipe(struct pl_srtp_keys *keys);

/* Once per process, before anything else here and before threads. */
PL_MUST_USE enum pl_err pl_srtp_init(void);
void pl_srtp_fini(void);

PL_MUST_USE enum pl_err pl_srtp_create(struct pl_srtp **srtp, const struct pl_srtp_keys *keys);
void pl_srtp_destroy(struct pl_srtp **srtp);

/* Decrypts and authenticates packet into out (room for packet.size), *size bytes.  A drop leaves the replay
 * window as it was. */
PL_MUST_USE enum pl_drop pl_srtp_unprotect_rtp(
	struct pl_srtp *srtp, struct pl_bytes packet, struct pl_span out, size_t *size);
PL_MUST_USE enum pl_drop pl_srtp_unprotect_rtcp(
	struct pl_srtp *srtp, struct pl_bytes packet, struct pl_span out, size_t *size);

/* Writes header and payload, protected, into out, which has room for both and PL_SRTP_OVERHEAD_MAX.  Returns
 * the size, or 0 when the sequence number was used before or the keys are worn out. */
PL_MUST_USE size_t pl_srtp_protect_rtp(
	struct pl_srtp *srtp, struct pl_bytes header, struct pl_bytes payload, struct pl_span out);

/* The same for one compound RTCP packet. */
PL_MUST_USE size_t pl_srtp_protect_rtcp(struct pl_srtp *srtp, struct pl_bytes packet, struct pl_span out);

#endif
