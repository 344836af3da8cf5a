/* SRTP and SRTCP of one session (RFC 3711, RFC 7714), behind one small interface.  Protecting is out of place, from a
 * header and a shared payload straight into the egress buffer, so that one plaintext serves every receiver.
 * Two implementations: ours (srtp_fast.c) on the ciphers of intel-ipsec-mb or OpenSSL, and libsrtp2, the reference that
 * every test compares with.  No allocation but at create.
 * Thread: an engine and its sessions belong to one shard. */
#ifndef PL_MEDIA_SRTP_H
#define PL_MEDIA_SRTP_H

#include "media/base.h"
#include "media/drop.h"
#include "media/err.h"

enum pl_srtp_profile { PL_SRTP_AEAD_AES_128_GCM, PL_SRTP_AES128_CM_SHA1_80 };

enum {
	PL_SRTP_KEY_SIZE = 16,
	PL_SRTP_SALT_SIZE_MAX = 14,         /* 12 for GCM */
	PL_SRTP_OVERHEAD_MAX = 16 + 4 + 16, /* what protecting adds at most: tag, SRTCP index, slack */
	PL_SRTP_SSRCS_MAX = 48,             /* SSRCs of one session and direction, RTP and RTCP together */
	/* RTP packets that may be late: 10 s of audio, a quarter of a second of the fastest video.  As bits that is
	 * one cache line. */
	PL_SRTP_REPLAY_WINDOW = 512,
	/* Streams of a direction that take late packets at a time (libsrtp2: all).  A new one is served at the cost of
	 * the one that was quiet longest, which takes packets in order only until another has fallen silent. */
	PL_SRTP_WINDOWS = 8,
};

/* Master keys and salts of both directions. */
struct pl_srtp_keys {
	enum pl_srtp_profile profile;
	struct {
		uint8_t key[PL_SRTP_KEY_SIZE];
		uint8_t salt[PL_SRTP_SALT_SIZE_MAX];
	} local, remote; /* local protects what we send */
};

/* X(name, text): text is the word of the configuration. */
#define PL_SRTP_BACKEND_LIST(X)                                             \
	X(AUTO, "auto")         /* the fastest that works here */           \
	X(IPSEC_MB, "ipsec-mb") /* intel-ipsec-mb: x86-64 with AES alone */ \
	X(OPENSSL, "openssl")                                               \
	X(LIBSRTP2, "libsrtp2") /* needs pl_srtp_init */

enum pl_srtp_backend {
#define X(name, text) PL_SRTP_##name,
	PL_SRTP_BACKEND_LIST(X)
#undef X
		PL_SRTP_BACKEND_COUNT
};
const char *pl_srtp_backend_text(enum pl_srtp_backend backend);
/* False for a word that is not on the list. */
PL_MUST_USE bool pl_srtp_backend_parse(const char *text, enum pl_srtp_backend *backend);

struct pl_srtp_engine; /* the ciphers of one thread: their tables and scratch memory, 0.5 MB with ipsec-mb */
struct pl_srtp;

/* Overwrites the keys in a way that no compiler removes. */
void pl_srtp_keys_wipe(struct pl_srtp_keys *keys);

/* libsrtp2's process-wide state: once per process, before any other thread and before an engine of PL_SRTP_LIBSRTP2.
 * The other backends have none. */
PL_MUST_USE enum pl_err pl_srtp_init(void);
void pl_srtp_fini(void);

/* PL_ERR_CONFIG: this build or this CPU has not what is wanted (never for AUTO, OPENSSL and LIBSRTP2). */
PL_MUST_USE enum pl_err pl_srtp_engine_create(struct pl_srtp_engine **engine, enum pl_srtp_backend wanted);
void pl_srtp_engine_destroy(struct pl_srtp_engine **engine); /* behind its last session */
/* What it is, for people: "ipsec-mb 1.3.0, AVX512".  Valid as long as the engine. */
/* What its sessions hold, those that are over included; libsrtp2 does not tell. */
size_t pl_srtp_engine_bytes(const struct pl_srtp_engine *engine);

const char *pl_srtp_engine_text(const struct pl_srtp_engine *engine);
/* Never AUTO. */
enum pl_srtp_backend pl_srtp_engine_backend(const struct pl_srtp_engine *engine);
/* Why this backend cannot be had here, as the end of a sentence; NULL when it can. */
const char *pl_srtp_backend_lack(enum pl_srtp_backend backend);

PL_MUST_USE enum pl_err pl_srtp_create(
	struct pl_srtp **srtp, struct pl_srtp_engine *engine, const struct pl_srtp_keys *keys);
/* Wipes the session's keys. */
void pl_srtp_destroy(struct pl_srtp **srtp);

/* Decrypts and authenticates packet into out (room for packet.size), *size bytes.  out may be the packet itself, or
 * memory that does not overlap it.  A drop leaves the replay window as it was, and in out nothing that has a meaning. */
PL_MUST_USE enum pl_drop pl_srtp_unprotect_rtp(
	struct pl_srtp *srtp, struct pl_bytes packet, struct pl_span out, size_t *size);
PL_MUST_USE enum pl_drop pl_srtp_unprotect_rtcp(
	struct pl_srtp *srtp, struct pl_bytes packet, struct pl_span out, size_t *size);

/* Writes header and payload, protected, into out, which has room for both and PL_SRTP_OVERHEAD_MAX and overlaps
 * neither.  header is the whole RTP header, with CSRCs and extension (asserts).  Returns the size, or 0 when the
 * sequence number was used before or is too old, the keys are worn out, or more than PL_SRTP_SSRCS_MAX SSRCs were
 * sent. */
PL_MUST_USE size_t pl_srtp_protect_rtp(
	struct pl_srtp *srtp, struct pl_bytes header, struct pl_bytes payload, struct pl_span out);

/* The same for many packets of sessions of one engine, in their order; size is 0 or the result of each.  out
 * needs no more than pl_srtp_rtp_overhead beyond header and payload, and packets may lie end to end.  No out overlaps
 * another.  It is faster than one by one with AES_CM: the packets of several keys are hashed at once. */
struct pl_srtp_job {
	struct pl_srtp *srtp;
	struct pl_bytes header, payload;
	struct pl_span out;
	size_t size;
};
void pl_srtp_protect_rtp_batch(struct pl_srtp_job *jobs, size_t count);

/* A hint that RTP of this session, one of engine's, is about to be protected: what that reads for its first so many SSRCs comes
 * towards the cache. */
void pl_srtp_prefetch_rtp(const struct pl_srtp_engine *engine, const struct pl_srtp *srtp, size_t ssrcs);

/* What protecting adds to an RTP packet of this session: exactly. */
size_t pl_srtp_rtp_overhead(const struct pl_srtp *srtp);

/* The same for one compound RTCP packet. */
PL_MUST_USE size_t pl_srtp_protect_rtcp(struct pl_srtp *srtp, struct pl_bytes packet, struct pl_span out);

#endif
