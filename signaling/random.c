#include "signaling/random.h"

#include <limits.h>
#include <openssl/rand.h>

#include "media/base.h"

void pl_random(void *context, void *data, size_t size)
{
	(void)context;
	PL_ASSERT(size <= INT_MAX && RAND_bytes(data, (int)size) == 1);
}
