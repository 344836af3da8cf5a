#include <string.h>

#include "signaling/doctor_checks.h"
#include "signaling/library.h"

static void tell_srtp(struct pl_doctor *doctor, enum pl_srtp_backend wanted, const struct pl_srtp_engine *engine)
{
#if defined(__x86_64__)
	const char *lack = pl_srtp_backend_lack(PL_SRTP_IPSEC_MB);
#else
	const char *lack = NULL; /* nobody misses it where it does not exist */
#endif
	if (wanted == PL_SRTP_AUTO && lack != NULL)
		pl_doctor_tell(doctor, "SRTP", PL_DOCTOR_NOTE,
			"%s protects the packets; intel-ipsec-mb would do it in a quarter of the time: %s",
			pl_srtp_engine_text(engine), lack);
	else
		pl_doctor_tell(doctor, "SRTP", PL_DOCTOR_OK, "%s protects the packets (media.srtp is %s)",
			pl_srtp_engine_text(engine), pl_srtp_backend_text(wanted));
}

void pl_doctor_check_srtp(struct pl_doctor *doctor, enum pl_srtp_backend wanted)
{
	struct pl_srtp_engine *engine;
	const enum pl_err err = pl_srtp_engine_create(&engine, wanted);
	if (err == PL_ERR_CONFIG) {
		pl_doctor_tell(doctor, "SRTP", PL_DOCTOR_BROKEN, "media.srtp is %s, which cannot be used: %s",
			pl_srtp_backend_text(wanted), pl_srtp_backend_lack(wanted));
		pl_doctor_mend(doctor, "plenum --set media.srtp=auto");
	} else if (err != PL_ERR_NONE) {
		pl_doctor_tell(doctor, "SRTP", PL_DOCTOR_BROKEN, "%s does not start: %s", pl_srtp_backend_text(wanted),
			pl_err_text(err));
	} else {
		tell_srtp(doctor, wanted, engine);
		pl_srtp_engine_destroy(&engine);
	}
}

void pl_doctor_check_libsrtp(struct pl_doctor *doctor, bool is_used)
{
	struct pl_library srtp;
	pl_library_examine("libsrtp2.so", &srtp);
	const char *backend = srtp.needs_nss       ? "is built on NSS here"
			      : srtp.needs_openssl ? "is built on OpenSSL"
			      : srtp.is_loaded     ? "has ciphers of its own"
						   : "is linked in";
	if (srtp.needs_nss && is_used)
		pl_doctor_tell(doctor, "libsrtp2", PL_DOCTOR_WARNING,
			"protects the packets and %s: each costs more the more listeners there are", backend);
	else
		pl_doctor_tell(doctor, "libsrtp2", PL_DOCTOR_OK, "%s; %s", backend,
			is_used ? "it protects the packets" : "it is the reference of the tests, and not used");
}

void pl_doctor_check_opus(struct pl_doctor *doctor, const struct pl_library_opus *opus)
{
	enum { DECODER_BYTES_MAX = 64 * 1024 };
	const char *source = opus->file[0] == '\0' ? "linked in" : opus->file;
	if (opus->decoder_bytes > DECODER_BYTES_MAX)
		pl_doctor_tell(doctor, "Opus", PL_DOCTOR_NOTE,
			"%s (%s) uses %s, and has deep PLC: a talker's decoder takes %zu KB instead of some 18, and up "
			"to twice the "
			"time (docs/opus.md)",
			opus->version, source, opus->used, opus->decoder_bytes / 1024);
	else if (strcmp(opus->used, opus->carried) != 0)
		pl_doctor_tell(doctor, "Opus", PL_DOCTOR_OK, "%s (%s) with %s code, of which this processor can use %s",
			opus->version, source, opus->carried, opus->used);
	else
		pl_doctor_tell(doctor, "Opus", opus->can_be_faster ? PL_DOCTOR_NOTE : PL_DOCTOR_OK,
			"%s (%s) with %s code, which is used%s", opus->version, source, opus->carried,
			opus->can_be_faster ? "; 1.5 and later have AVX2 (docs/opus.md)" : "");
}
