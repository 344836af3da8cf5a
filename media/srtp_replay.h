/* Packet indices of SRTP: the 48 bits that a packet's 16 stand for, and the window of those already seen.
 * Pure: no allocation, no clock, no I/O. */
#ifndef PL_MEDIA_SRTP_REPLAY_H
#define PL_MEDIA_SRTP_REPLAY_H

#include "media/base.h"

enum { PL_SRTP_INDEX_BITS = 48 };

/* The index that sequence number seq most likely has when last is the newest so far, 0 before the first: RFC 3711
 * section 3.3.1 and appendix A.  In the first half of the first round there is nothing before it to belong to.
 * It may need more than PL_SRTP_INDEX_BITS bits: then the numbers are used up. */
uint64_t pl_srtp_index_of(uint64_t last, uint16_t seq);

/* seen: a ring of window bits (a power of two, at least 64), all zero at first, in which the bit of index i is i modulo window.
 * last: as above.  Fresh: newer than last, or in the window and not seen. */
bool pl_srtp_replay_is_fresh(const uint64_t *seen, size_t window, uint64_t last, uint64_t index);

/* Notes a fresh index and returns the new last. */
PL_MUST_USE uint64_t pl_srtp_replay_add(uint64_t *seen, size_t window, uint64_t last, uint64_t index);

#endif
