/* The admin API, the pure half: whether an HTTP request below /v1/admin is granted, what it wants, and what it is answered.
 * Who knows the token of the configuration (admin.token) may see how audio is mixed, and change with which instructions (the
 * kill switch for a processor that computes wrongly), how hard encoders work, and how much is taken away under load.  Without a token there is no admin API.
 * The other half is in signaling/server_admin.c.
 * No socket, no clock, no thread.  Thread: signaling. */
#ifndef PL_SIGNALING_FRONT_ADMIN_H
#define PL_SIGNALING_FRONT_ADMIN_H

#include "media/dsp.h"
#include "sfu/sfu.h"
#include "signaling/front.h"
#include "signaling/front_text.h"

enum {
	PL_ADMIN_TOKEN_MIN = 16, /* characters */
	PL_ADMIN_TOKEN_MAX = 256,
	/* Of all who ask together, each second and at once: more are 429.  The token is compared first, so its owner is answered
	 * whatever others do.  What a guesser is up against is the length of the token; this bounds the noise, and is counted. */
	PL_ADMIN_WRONG_PER_S = 1,
	PL_ADMIN_WRONG_BURST = 10,
};

struct pl_front_admin_answer {
	uint16_t status;
	struct pl_front_text *head, *body; /* the caller's to release; head has whole lines */
};

/* What a granted request wants beyond being told. */
struct pl_front_admin_wish {
	bool is_about_drain; /* else about media; the rest is of either */
	bool has_drain;
	uint32_t drain_s; /* PL_ADMIN_DRAIN_DEFAULT: as the configuration says */
	bool has_simd;
	enum pl_simd simd; /* one that this machine has */
	bool has_load_step;
	uint8_t load_step; /* below PL_MIXER_LOAD_STEPS */
	size_t worker;     /* whose: one that there is, or PL_SFU_ALL_WORKERS */
	bool has_pressure_level;
	uint8_t pressure_level; /* PL_PRESSURE_LEVELS: as the load asks for */
};

enum { PL_ADMIN_DRAIN_S_MAX = 86400, PL_ADMIN_DRAIN_DEFAULT = 86401 };

/* True for paths below /v1/admin. */
bool pl_front_admin_is_path(const char *path);

/* Whether a token can stand in an Authorization header as it is, and is long enough not to be guessed. */
bool pl_front_admin_is_token(const char *token);

/* True: it is granted; answer it with pl_front_admin_show when its wish is done.  False: *answer is filled.  The body was read
 * if pl_front_http_wants_body. */
PL_MUST_USE bool pl_front_admin_read(struct pl_front *front, int64_t now_us, const struct pl_front_http_request *http,
	struct pl_front_admin_wish *wish, struct pl_front_admin_answer *answer);

struct pl_front_admin_worker {
	uint32_t rooms, voices, encoders; /* that it mixes, decodes, encodes now */
	uint32_t load;                    /* thousandths of its time at work */
	uint8_t load_step;                /* of the ladder, that was set last */
	uint64_t steps, late;             /* of 5 ms in which a room was due, and those of them that came too late */
};

struct pl_front_admin_media {
	enum pl_simd simd;      /* that mixes now; never AUTO */
	const char *opus;       /* version of the library */
	uint8_t pressure_level; /* that was set last; PL_PRESSURE_LEVELS: as the load asks for */
	size_t worker_count;
	const struct pl_front_admin_worker *worker;
};

/* How draining stands; deadline_ms: from now, when it drains. */
void pl_front_admin_show_drain(
	const struct pl_front *front, bool is_draining, int64_t deadline_ms, struct pl_front_admin_answer *answer);

void pl_front_admin_show(const struct pl_front_admin_media *media, struct pl_front_admin_answer *answer);

#endif
