/* Tells when a telephone is silent.  G.711 has no DTX: a microphone that is open and hears nothing sends 50 packets a second of next to
 * nothing, and they cost as much to make into Opus as a voice does.  After a second of them they are left out, until the first one in
 * which there is something to hear: a word's beginning is in it, and what was left out before it is softer than a line's noise.
 *   - Softer than that is PL_G711_SILENCE_DBOV for each 5 ms: of the last 5 ms of a packet a word is heard, too.
 *   - Comfort noise (RFC 3389) is silence at once, and after the first one it is left out.
 *   - The noise of a room is none: it is left as it is, like that of a microphone that sends Opus.
 * Pure: no allocation, no clock, no I/O.  Thread: the one that owns the track. */
#ifndef PL_MEDIA_G711_SILENCE_H
#define PL_MEDIA_G711_SILENCE_H

#include "media/pool.h"

enum {
	PL_G711_SILENCE_MS = 1000, /* that are still heard */
	PL_G711_SILENCE_DBOV = 66, /* as a level: softer than this.  A voice is louder than 60; PCMA's zero is at 72 */
	PL_G711_SILENCE_SPURT_MAX = 3, /* of pl_packet.spurt */
};

/* One track's; all zero is the start: something is to be heard. */
struct pl_g711_silence {
	uint16_t samples;  /* of silence in a row, as far as PL_G711_SILENCE_MS */
	uint16_t seq_last; /* the newest packet that was left out; valid while is_left_out */
	bool is_left_out;  /* the last packet was */
};

/* Looks at the next packet of PCMU, PCMA or comfort noise.  True: it is to be left out.  False: it is to be heard, and
 * packet->spurt says how it follows what was left out.  A payload that is none is not looked at, and to be refused elsewhere. */
PL_MUST_USE bool pl_g711_silence_leaves_out(struct pl_g711_silence *s, struct pl_packet *packet);

#endif
