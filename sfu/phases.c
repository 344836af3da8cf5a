#include "sfu/phases.h"

#include <string.h>

static void add(struct pl_phases *phases, const char *name, int64_t us)
{
	size_t at = 0;
	while (at < phases->count && strcmp(phases->phase[at].name, name) != 0)
		at++;
	if (at == PL_PHASES_MAX) {
		at--;
	} else if (at == phases->count) {
		phases->phase[at].name = name;
		phases->phase[at].us = 0;
		phases->count++;
	}
	phases->phase[at].us += us;
}

void pl_phases_begin(struct pl_phases *phases, int64_t now_us, const char *before, int64_t before_us)
{
	*phases = (struct pl_phases){ .marked_us = now_us };
	add(phases, before, before_us);
}

void pl_phases_mark(struct pl_phases *phases, const char *name, int64_t now_us)
{
	if (phases == NULL)
		return;
	PL_ASSERT(now_us >= phases->marked_us);
	add(phases, name, now_us - phases->marked_us);
	phases->marked_us = now_us;
}

int64_t pl_phases_sum_us(const struct pl_phases *phases)
{
	int64_t sum_us = 0;
	for (size_t i = 0; i < phases->count; i++)
		sum_us += phases->phase[i].us;
	return sum_us;
}
