/* PCMU and PCMA, the codecs of telephones (ITU-T G.711): one byte for each sample of an 8 kHz signal.
 * Pure: no state, no allocation, no clock, no I/O.  Thread: any. */
#ifndef PL_MEDIA_G711_H
#define PL_MEDIA_G711_H

#include "media/base.h"

enum {
	PL_G711_CLOCK_HZ = 8000,
	PL_G711_FRAME = 160, /* samples, and bytes, of 20 ms */
};

enum pl_g711_law { PL_G711_PCMU /* mu-law */, PL_G711_PCMA /* A-law */ };

/* Encodes count samples into as many bytes.  Full scale is -1 to 1 on 16 bits (1.0 is 32,768); what is louder is clipped, and
 * what is not a number becomes full scale.  Samples that are exact 16-bit values give the bytes of the ITU's own
 * software (G.191), those on the edge between two codes among them. */
void pl_g711_encode(enum pl_g711_law law, const float *pcm, size_t count, uint8_t *out);

/* Decodes count bytes into as many samples, of that scale: each is the middle of its code's interval (G.711 tables 1
 * and 2).  Encoding them again gives the same bytes, but for PCMU's negative zero (0x7f), which becomes 0xff. */
void pl_g711_decode(enum pl_g711_law law, const uint8_t *in, size_t count, float *pcm);

#endif
