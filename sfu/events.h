/* What signaling is told, made from the state of now when it is taken: so nothing is queued and nothing is lost, however
 * long nobody asks.
 * Pure: no allocation, no clock, no I/O.  Thread: the shard that owns the conference. */
#ifndef PL_SFU_EVENTS_H
#define PL_SFU_EVENTS_H

#include "sfu/conference_state.h"

/* Fills *event with the next event.  False when there is none. */
bool pl_events_next(struct pl_conference *c, struct pl_event *event);

#endif
