/* What fuzz targets of the media plane make once and use in every run. */
#ifndef PL_TESTS_FUZZ_SHARED_H
#define PL_TESTS_FUZZ_SHARED_H

#include <stdlib.h>

#include "media/dtls.h"
#include "media/srtp.h"

static inline const struct pl_dtls_identity *pl_fuzz_identity(void)
{
	static struct pl_dtls_identity *made;
	if (made == NULL && (pl_srtp_init() != PL_ERR_NONE || pl_dtls_identity_create(&made) != PL_ERR_NONE))
		abort();
	return made;
}

static inline struct pl_srtp_engine *pl_fuzz_srtp(void)
{
	static struct pl_srtp_engine *made;
	if (made == NULL && pl_srtp_engine_create(&made, PL_SRTP_AUTO) != PL_ERR_NONE)
		abort();
	return made;
}

#endif
