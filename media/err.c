#include "media/err.h"

#include "media/base.h"

const char *pl_err_text(enum pl_err err)
{
	static const char *const text_of[] = {
#define X(name, text) text,
		PL_ERR_LIST(X)
#undef X
	};
	PL_ASSERT((size_t)err < PL_COUNT(text_of));
	return text_of[err];
}
