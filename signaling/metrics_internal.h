/* What the files of the exposition share.  Nobody else includes this. */
#ifndef PL_SIGNALING_METRICS_INTERNAL_H
#define PL_SIGNALING_METRICS_INTERNAL_H

#include "sfu/histogram.h"
#include "signaling/metrics.h"
#include "signaling/text.h"

/* # HELP and # TYPE. */
void pl_metrics_head(struct pl_text *w, const char *name, const char *type, const char *help);
/* A metric without labels. */
void pl_metrics_whole(struct pl_text *w, const char *name, const char *type, const char *help, uint64_t value);

/* label: as in shard="0".  A bucket for each octave, in seconds. */
void pl_metrics_histogram(struct pl_text *w, const char *name, const char *label, const struct pl_histogram *h);

/* How hard the server is pressed, what its threads are busy with, and what of the capacity will be used. */
void pl_metrics_pressure(struct pl_text *w, const struct pl_metrics *metrics);

#endif
