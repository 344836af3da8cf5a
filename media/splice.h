/* Makes speech a little shorter or longer without changing its pitch: one period is cut out or said twice, where the
 * sound resembles itself most, and the seam is faded over.
 * Pure: no allocation, no clock, no I/O. */
#ifndef PL_MEDIA_SPLICE_H
#define PL_MEDIA_SPLICE_H

#include "media/base.h"

enum {
	PL_SPLICE_LAG_MIN = 120, /* 2.5 ms, a pitch of 400 Hz */
	PL_SPLICE_LAG_MAX = 600, /* 12.5 ms, 80 Hz */
	PL_SPLICE_WINDOW = 360,  /* compared */
	PL_SPLICE_FADE = 240,    /* 5 ms */
};

/* Finds the lag from PL_SPLICE_LAG_MIN to lag_max by which x resembles itself most.  x: lag_max + PL_SPLICE_WINDOW samples.
 * *likeness: their normalised correlation, -1 to 1; 1 where x is as good as silent (lag_max then). */
size_t pl_splice_find(const float *x, size_t lag_max, float *likeness);

/* Takes lag samples out of the first lag + PL_SPLICE_FADE of x's count; lag fewer remain. */
void pl_splice_shorten(float *x, size_t count, size_t lag);

/* Says the first lag samples of x's count (at least lag + PL_SPLICE_FADE) twice; lag more are there then. */
void pl_splice_lengthen(float *x, size_t count, size_t lag);

#endif
