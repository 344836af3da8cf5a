/* Fills what a telephone's stream has lost, 8 kHz: the last period of the voice goes on and fades out, and what comes next
 * is blended in (ITU-T G.711 appendix I, without its 3.75 ms of delay).
 * Pure: no allocation, no clock, no I/O.  Thread: the one that owns the stream. */
#ifndef PL_MEDIA_CONCEAL_H
#define PL_MEDIA_CONCEAL_H

#include "media/base.h"

enum {
	PL_CONCEAL_PERIOD_MAX = 120, /* samples: a voice of 66 Hz */
	PL_CONCEAL_PAST = 320,       /* what a period is looked for in */
	PL_CONCEAL_MAX = 480,        /* 60 ms: beyond that there is silence */
};

/* One stream; all zero is the start, after silence. */
struct pl_conceal {
	float past[PL_CONCEAL_PAST];        /* the last that was heard, oldest first */
	float cycle[PL_CONCEAL_PERIOD_MAX]; /* what is repeated */
	float step;                         /* from the last sample heard to the cycle's first, faded out */
	uint16_t period;                    /* of the cycle, valid while made > 0 */
	uint16_t made;                      /* samples since the loss began, saturating; 0: nothing is lost */
};

void pl_conceal_init(struct pl_conceal *c);

/* These samples arrived.  After a loss their first 5 ms are blended with what was made. */
void pl_conceal_heard(struct pl_conceal *c, float *pcm, size_t count);

/* Makes count samples that were lost: at full level for 10 ms, silent after 60. */
void pl_conceal_make(struct pl_conceal *c, float *pcm, size_t count);

#endif
