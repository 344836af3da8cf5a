#include "sfu/io/denormals.h"

#if defined(__x86_64__)
#include <xmmintrin.h>

/* Intel SDM volume 1, section 10.2.3. */
enum { MXCSR_DAZ = 1 << 6, MXCSR_FTZ = 1 << 15 };

bool pl_dsp_flush_denormals(void)
{
	_mm_setcsr(_mm_getcsr() | MXCSR_DAZ | MXCSR_FTZ);
	return true;
}
#elif defined(__aarch64__)

/* Arm ARM, "FPCR, Floating-point Control Register". */
#define FPCR_FZ (UINT64_C(1) << 24)

bool pl_dsp_flush_denormals(void)
{
	uint64_t fpcr;
	__asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
	__asm__ volatile("msr fpcr, %0" : : "r"(fpcr | FPCR_FZ));
	return true;
}
#else

bool pl_dsp_flush_denormals(void)
{
	return false;
}
#endif
