#include <link.h>
#include <opus/opus.h>
#include <string.h>

#include "signaling/doctor_checks.h"

/* Which of the loaded libraries is asked about, and what its image in memory says. */
struct library {
	const char *prefix; /* of the file's name: "libopus.so" */
	bool is_loaded, has_avx, needs_nss, needs_openssl;
};

/* Compilers end a function that used the upper halves of AVX registers with vzeroupper. */
static bool has_avx_code(const struct dl_phdr_info *info, const ElfW(Phdr) * segment)
{
	static const uint8_t vzeroupper[] = { 0xc5, 0xf8, 0x77 };
	const uint8_t *code = (const uint8_t *)info->dlpi_addr + segment->p_vaddr;
	size_t count = 0, left = segment->p_memsz;
	/* These bytes can be met by chance inside of another instruction, but not often. */
	for (const uint8_t *at; count < 4 && (at = memmem(code, left, vzeroupper, sizeof vzeroupper)) != NULL;
		count++) {
		left -= (size_t)(at + 1 - code);
		code = at + 1;
	}
	return count == 4;
}

static void read_needed(struct library *library, const struct dl_phdr_info *info, const ElfW(Phdr) * segment)
{
	const ElfW(Dyn) *dynamic = (const ElfW(Dyn) *)(info->dlpi_addr + segment->p_vaddr);
	const char *names = NULL;
	for (const ElfW(Dyn) *entry = dynamic; entry->d_tag != DT_NULL; entry++) {
		/* The loader has made an address of it on most machines, not on all. */
		if (entry->d_tag == DT_STRTAB)
			names = (const char *)(entry->d_un.d_ptr +
					       (entry->d_un.d_ptr < info->dlpi_addr ? info->dlpi_addr : 0));
	}
	for (const ElfW(Dyn) *entry = dynamic; names != NULL && entry->d_tag != DT_NULL; entry++) {
		const char *name = entry->d_tag == DT_NEEDED ? names + entry->d_un.d_val : "";
		library->needs_nss = library->needs_nss || strncmp(name, "libnss3.so", 10) == 0;
		library->needs_openssl = library->needs_openssl || strncmp(name, "libcrypto.so", 12) == 0;
	}
}

static int examine_image(struct dl_phdr_info *info, size_t size, void *context)
{
	(void)size;
	struct library *library = context;
	const char *slash = strrchr(info->dlpi_name, '/');
	const char *name = slash == NULL ? info->dlpi_name : slash + 1;
	if (strncmp(name, library->prefix, strlen(library->prefix)) != 0)
		return 0;
	library->is_loaded = true;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		if (segment->p_type == PT_DYNAMIC)
			read_needed(library, info, segment);
		if (segment->p_type == PT_LOAD && (segment->p_flags & PF_X) != 0)
			library->has_avx = library->has_avx || has_avx_code(info, segment);
	}
	return 1;
}

static struct library examine_library(const char *prefix)
{
	struct library library = { .prefix = prefix };
	dl_iterate_phdr(examine_image, &library);
	return library;
}

static void tell_srtp(struct pl_doctor *doctor, enum pl_srtp_backend wanted, const struct pl_srtp_engine *engine)
{
#if defined(__x86_64__)
	const char *lack = pl_srtp_backend_lack(PL_SRTP_IPSEC_MB);
#else
	const char *lack = NULL; /* nobody misses it where it does not exist */
#endif
	if (wanted == PL_SRTP_AUTO && lack != NULL)
		pl_doctor_tell(doctor, "SRTP", PL_DOCTOR_NOTE,
			"%s protects the packets; intel-ipsec-mb would do it in a third of the time: %s",
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
	const struct library srtp = examine_library("libsrtp2.so");
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

void pl_doctor_check_opus(struct pl_doctor *doctor)
{
	const struct library opus = examine_library("libopus.so");
#if defined(__x86_64__)
	const char *simd = opus.has_avx ? "with AVX code" : "with SSE code alone (AVX2 is used from 1.5 on)";
#else
	const char *simd = "built for this processor";
#endif
	pl_doctor_tell(doctor, "Opus", opus.has_avx || !opus.is_loaded ? PL_DOCTOR_OK : PL_DOCTOR_NOTE, "%s, %s",
		opus_get_version_string(), opus.is_loaded ? simd : "linked in");
}
