/* What the canary has heard, for /metrics.
 * Pure.  Thread: signaling. */
#ifndef PL_SIGNALING_METRICS_CANARY_H
#define PL_SIGNALING_METRICS_CANARY_H

#include "sfu/sfu.h"
#include "signaling/text.h"

/* For each shard a line for joining, and three for each way, of less than 96 bytes. */
enum { PL_METRICS_CANARY_SIZE_MAX = 4096 + PL_SFU_SHARDS_MAX * (1 + 3 * PL_CANARY_WAYS) * 96 };

/* Writes nothing of a shard that it has not been heard on. */
void pl_metrics_put_canary(struct pl_text *w, const struct pl_canary_report *report, size_t shard_count);

#endif
