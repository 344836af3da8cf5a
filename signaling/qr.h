/* A QR code in a terminal: two rows of modules per line, by Unicode's half blocks.
 * Thread: main. */
#ifndef PL_SIGNALING_QR_H
#define PL_SIGNALING_QR_H

#include <stdio.h>

#include "media/base.h"

/* Prints text as a QR code.  with_colour: black on white by ANSI escapes, which a camera reads whatever the terminal's
 * colours are; without, light modules are drawn with the foreground, as suits a dark terminal.  False: the text is too
 * long for a code, or memory is out; nothing was printed. */
PL_MUST_USE bool pl_qr_print(FILE *file, const char *text, bool with_colour);

#endif
