/* Who is in a conference: commands bring participants in, change them and take them out; a transport that ends takes its
 * own out.
 * Pure: no allocation but OpenSSL's and libsrtp's per join, no clock, no I/O.  Thread: the shard that owns it. */
#ifndef PL_SFU_MEMBERSHIP_H
#define PL_SFU_MEMBERSHIP_H

#include "sfu/conference_state.h"

void pl_membership_command(struct pl_conference *c, int64_t now_us, const struct pl_command *command);

/* Everybody leaves. */
void pl_membership_close(struct pl_conference *c, int64_t now_us);

/* The participant's transport has sent its last: a live one is GONE and to be told, a closing one is free. */
void pl_membership_finish(struct pl_conference *c, struct pl_participant *p, int64_t now_us, enum pl_close close);

/* A GONE one's event is taken, or nobody wants it any more: its place is free. */
void pl_membership_forget(struct pl_conference *c, struct pl_participant *p);

#endif
