/* Who is in a conference: commands bring participants in, change them and take them out; a transport that ends takes its
 * own out.
 * Pure: no allocation but OpenSSL's and libsrtp's per join, no clock, no I/O.  Thread: the shard that owns it. */
#ifndef PL_SFU_MEMBERSHIP_H
#define PL_SFU_MEMBERSHIP_H

#include "sfu/conference_state.h"

void pl_membership_command(struct pl_conference *c, int64_t now_us, const struct pl_command *command);

/* NULL when there is none. */
struct pl_room *pl_membership_find_room(const struct pl_conference *c, uint32_t id);

/* The room of this id, a new one if need be, whose speakers shard home chooses.  NULL when the table is full. */
struct pl_room *pl_membership_acquire_room(struct pl_conference *c, uint32_t id, uint8_t home);

/* Ends the room if it is empty and no other shard needs it. */
void pl_membership_look(struct pl_conference *c, struct pl_room *room);

/* The participant's transport has ended its association, or is gone. */
void pl_membership_note_settled(struct pl_conference *c, struct pl_participant *p);

/* Everybody leaves. */
void pl_membership_close(struct pl_conference *c, int64_t now_us);

/* The participant's transport has sent its last: a live one is GONE and to be told, a closing one is free. */
void pl_membership_finish(struct pl_conference *c, struct pl_participant *p, int64_t now_us, enum pl_close close);

/* A GONE one's event is taken, or nobody wants it any more: its place is free. */
void pl_membership_forget(struct pl_conference *c, struct pl_participant *p);

#endif
