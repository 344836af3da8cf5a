/* Numbers next to zero: a decoder that fades into silence computes with them, and processors take up to a hundred times
 * as long for each.  None can be heard, so codec threads have them taken for 0.
 * Thread: the one that calls; a thread that it starts afterwards may inherit it. */
#ifndef PL_SFU_IO_DENORMALS_H
#define PL_SFU_IO_DENORMALS_H

#include "media/base.h"

/* From now on this thread's float arithmetic reads and gives 0 in place of denormals: FTZ and DAZ of x86-64's MXCSR, FZ
 * of aarch64's FPCR.  False where the processor is neither: then nothing has changed. */
bool pl_dsp_flush_denormals(void);

#endif
