#include "media/drop.h"

#include "media/base.h"

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
