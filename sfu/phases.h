/* What a start spends its time on: marks in the order of time, each ends a phase and names it.
 * Pure.  Thread: the one that starts. */
#ifndef PL_SFU_PHASES_H
#define PL_SFU_PHASES_H

#include "media/base.h"

enum { PL_PHASES_MAX = 16 };

struct pl_phases {
	int64_t marked_us; /* the end of the last phase */
	size_t count;
	struct {
		const char *name; /* constant; a word, for the label of a metric */
		int64_t us;
	} phase[PL_PHASES_MAX];
};

/* The first phase begins.  before_us: what had passed already, a phase by the name of before. */
void pl_phases_begin(struct pl_phases *phases, int64_t now_us, const char *before, int64_t before_us);

/* What passed since the last mark was for this; again under the same name: is added to it.  Phases beyond the last place are
 * the last's.  NULL: nobody asks. */
void pl_phases_mark(struct pl_phases *phases, const char *name, int64_t now_us);

int64_t pl_phases_sum_us(const struct pl_phases *phases);

#endif
