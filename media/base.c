#include "media/base.h"

#include <stdio.h>
#include <stdlib.h>

void pl_assert_failed(const char *condition, const char *file, int line)
{
	fprintf(stderr, "plenum: %s:%d: broken invariant: %s\n", file, line, condition);
	abort();
}
