/* The thread in which the canary lives: it has sockets for the time of a run, and sleeps until the next.
 * Thread: create to destroy belong to whoever starts the media plane; pl_canary_thread_read to any. */
#ifndef PL_SFU_CANARY_THREAD_H
#define PL_SFU_CANARY_THREAD_H

#include "sfu/canary_rota.h"
#include "sfu/shard.h"

struct pl_canary_thread;

struct pl_canary_thread_config {
	int64_t interval_us;                       /* not 0 */
	const struct pl_dtls_identity *identity;   /* these outlive its thread */
	const struct pl_opus_templates *templates; /* NULL: it makes some for itself, when it first sings */
	struct pl_shard *const *shard;
	uint8_t shard_count;
	enum pl_srtp_backend srtp;
	bool has_mix;
};

/* Begins the thread, which has done nothing yet. */
PL_MUST_USE enum pl_err pl_canary_thread_create(
	struct pl_canary_thread **canary, const struct pl_canary_thread_config *config);

/* Ends a run that is under way.  Before the shards are stopped. */
void pl_canary_thread_destroy(struct pl_canary_thread **canary);

/* What it has heard; when no run has ended for long, that its thread stands still. */
void pl_canary_thread_read(const struct pl_canary_thread *canary, int64_t now_us, struct pl_canary_report *report);

#endif
