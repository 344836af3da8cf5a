#include "media/drop.h"

#include "media/base.h"
#include "media/trace.h"

const char *pl_drop_name(enum pl_drop drop)
{
	static const char *const name[] = {
#define X(id, text, help) text,
		PL_DROP_LIST(X)
#undef X
	};
	PL_ASSERT((size_t)drop < PL_COUNT(name));
	return name[drop];
}

const char *pl_drop_help(enum pl_drop drop)
{
	static const char *const sentence[] = {
#define X(id, text, help) help,
		PL_DROP_LIST(X)
#undef X
	};
	PL_ASSERT((size_t)drop < PL_COUNT(sentence));
	return sentence[drop];
}

void pl_drop_count(uint64_t drop[static PL_DROP_COUNT], enum pl_drop reason)
{
	drop[reason]++;
	PL_TRACE(packet_dropped, (int)reason, pl_drop_name(reason));
}
