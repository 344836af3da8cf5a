#include "signaling/library.h"

#include <link.h>
#include <string.h>

#include "media/opus.h"

struct search {
	const char *prefix;
	struct pl_library *library;
};

/* An instruction can be met by chance in the middle of another one, but not often. */
enum { SURE = 4 };

/* Compilers end a function that used the upper halves of AVX registers with vzeroupper. */
static bool has_avx_code(const uint8_t *code, size_t size)
{
	static const uint8_t vzeroupper[] = { 0xc5, 0xf8, 0x77 };
	const uint8_t *end = code + size;
	size_t count = 0;
	while (count < SURE && (code = memmem(code, (size_t)(end - code), vzeroupper, sizeof vzeroupper)) != NULL) {
		count++;
		code++;
	}
	return count == SURE;
}

/* Of SSE4.1, those that Opus is written with: pmuldq, pmulld, pmovsx and pmovzx. */
static bool has_sse41_code(const uint8_t *code, size_t size)
{
	static const uint8_t map[] = { 0x0f, 0x38 };
	const uint8_t *end = code + size;
	size_t count = 0;
	while (count < SURE && (code = memmem(code, (size_t)(end - code), map, sizeof map)) != NULL && end - code > 2) {
		const uint8_t op = code[2];
		count += op == 0x28 || op == 0x40 || (op >= 0x20 && op <= 0x25) || (op >= 0x30 && op <= 0x35);
		code++;
	}
	return count == SURE;
}

static void read_needed(struct pl_library *library, const struct dl_phdr_info *info, const ElfW(Phdr) * segment)
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
	const struct search *search = context;
	struct pl_library *library = search->library;
	const char *slash = strrchr(info->dlpi_name, '/');
	const char *name = slash == NULL ? info->dlpi_name : slash + 1;
	if (strncmp(name, search->prefix, strlen(search->prefix)) != 0)
		return 0;
	library->is_loaded = true;
	library->file = info->dlpi_name;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		const uint8_t *code = (const uint8_t *)info->dlpi_addr + segment->p_vaddr;
		if (segment->p_type == PT_DYNAMIC)
			read_needed(library, info, segment);
		if (segment->p_type == PT_LOAD && (segment->p_flags & PF_X) != 0) {
			library->has_avx = library->has_avx || has_avx_code(code, segment->p_memsz);
			library->has_sse41 = library->has_sse41 || has_sse41_code(code, segment->p_memsz);
		}
	}
	return 1;
}

void pl_library_examine(const char *prefix, struct pl_library *library)
{
	*library = (struct pl_library){ .file = "" };
	struct search search = { .prefix = prefix, .library = library };
	dl_iterate_phdr(examine_image, &search);
}

#if defined(__x86_64__)

/* Functions inside of libopus: there only when it is linked in and has code for these instructions.  The program around it
 * has AVX2 code of its own, so that its image does not tell. */
extern const char silk_NSQ_del_dec_avx2[] __attribute__((weak));
extern const char silk_NSQ_del_dec_sse4_1[] __attribute__((weak));

/* libopus asks the processor once for each state that is made, and takes AVX2 where it has FMA, too. */
void pl_library_examine_opus(struct pl_library_opus *opus)
{
	struct pl_library image;
	pl_library_examine("libopus.so", &image);
	const bool has_avx = image.is_loaded ? image.has_avx : silk_NSQ_del_dec_avx2 != NULL;
	const bool has_sse41 = image.is_loaded ? image.has_sse41 : silk_NSQ_del_dec_sse4_1 != NULL;
	const bool is_avx_cpu = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
	const bool is_sse41_cpu = __builtin_cpu_supports("sse4.1");
	*opus = (struct pl_library_opus){
		.version = pl_opus_version(),
		.carried = has_avx     ? "AVX2"
			   : has_sse41 ? "SSE4.1"
				       : "SSE2",
		.used = has_avx && is_avx_cpu       ? "AVX2"
			: has_sse41 && is_sse41_cpu ? "SSE4.1"
						    : "SSE2",
		.decoder_bytes = pl_opus_decoder_bytes(),
		.file = image.file,
		.can_be_faster = !has_avx && is_avx_cpu,
	};
}

#else

void pl_library_examine_opus(struct pl_library_opus *opus)
{
#if defined(__aarch64__)
	const char *simd = "NEON"; /* every such processor has it, and libopus takes it since 1.1 */
#else
	const char *simd = "plain";
#endif
	struct pl_library image;
	pl_library_examine("libopus.so", &image);
	*opus = (struct pl_library_opus){
		.version = pl_opus_version(),
		.carried = simd,
		.used = simd,
		.decoder_bytes = pl_opus_decoder_bytes(),
		.file = image.file,
	};
}

#endif
