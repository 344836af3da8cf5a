#include "sfu/own_work.h"

enum { WINDOWS = 8 };

void pl_own_work_feed(struct pl_own_work *own, const struct pl_load *load)
{
	own->long_permille = (own->long_permille * (WINDOWS - 1) + pl_load_work_permille(load)) / WINDOWS;
	const uint64_t whole = own->allowed_mcpu > 0 && own->allowed_mcpu < 1000 ? own->allowed_mcpu : 1000;
	own->is_own = load->cpu_permille * 1000 >= PL_OWN_WORK_CPU_PERMILLE * whole ||
		      own->long_permille >= PL_OWN_WORK_LONG_PERMILLE;
}
