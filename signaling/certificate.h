/* The certificate that --lan makes: self-signed, and kept between runs, because a phone's "continue anyway" is bound to
 * the certificate it saw.
 * Thread: main. */
#ifndef PL_SIGNALING_CERTIFICATE_H
#define PL_SIGNALING_CERTIFICATE_H

#include "media/addr.h"
#include "media/err.h"

enum { PL_CERTIFICATE_DAYS = 365, PL_CERTIFICATE_PATH_SIZE = 512, PL_CERTIFICATE_ERROR_SIZE = 512 };

struct pl_certificate {
	char cert_path[PL_CERTIFICATE_PATH_SIZE], key_path[PL_CERTIFICATE_PATH_SIZE];
};

/* Finds the certificate in folder, or makes it (ECDSA P-256, for localhost, this host's name and the addresses) when there is
 * none, or it ends within a week, or its key does not belong to it.  Makes the folder too, readable by the user alone.
 * On error error has a sentence that names the path. */
PL_MUST_USE enum pl_err pl_certificate_keep(struct pl_certificate *certificate, const char *folder,
	const struct pl_addr *address, size_t address_count, char error[static PL_CERTIFICATE_ERROR_SIZE]);

/* Writes $XDG_STATE_HOME/plenum, or ~/.local/state/plenum.  False: neither variable is set, or it is too long. */
PL_MUST_USE bool pl_certificate_folder(char folder[static PL_CERTIFICATE_PATH_SIZE]);

#endif
