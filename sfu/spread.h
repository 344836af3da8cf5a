/* Rooms over several shards, as one of them sees it: see sfu/cross.h for what they say to each other.
 *
 * Home: choosing works as in any room, for the tracks of other shards have speakers here, too (struct pl_remote).  What it
 * decides to forward goes to its own members and once to each replica; a shard of another NUMA node copies it and passes it
 * on to the others there.
 * Replica: what its members publish goes home, and is heard when it comes back; its members' slots are fitted to the
 * ranking that home tells.
 *
 * What finds no place in a ring is dropped and counted if it is media, and told later if it is state: state is told anew
 * from what is, never queued.  That a room has members is told until home has answered, for its table may be full.
 * Pure: no allocation, no clock, no I/O.  Thread: the shard that owns the conference. */
#ifndef PL_SFU_SPREAD_H
#define PL_SFU_SPREAD_H

#include "sfu/conference_state.h"

enum { PL_SPREAD_RETRY_US = 1000, PL_SPREAD_ANSWER_US = 100000 };

/* Whether another shard chooses who is heard in the room. */
static inline bool pl_spread_is_replica(const struct pl_conference *c, const struct pl_room *room)
{
	return room->home != c->config.shard;
}

/* Tells the other shards what has changed in the room: after every change of its members, tracks or ranking.  The room is
 * in the conference's table before and after, also when it is empty. */
void pl_spread_tell(struct pl_conference *c, struct pl_room *room, int64_t now_us);

/* Whether another shard still counts on the room, or does not know yet that it is empty. */
bool pl_spread_is_needed(const struct pl_conference *c, const struct pl_room *room);

/* Replica: takes a packet of one of its members home. */
PL_MUST_USE enum pl_drop pl_spread_hear(struct pl_conference *c, struct pl_room *room, struct pl_packet *packet);

/* Home: takes a packet that is heard to the replicas. */
void pl_spread_forward(struct pl_conference *c, const struct pl_room *room, struct pl_packet *packet);

/* Takes one message of shard from.  Its packet is borrowed until the conference is drained. */
PL_MUST_USE enum pl_drop pl_spread_take(
	struct pl_conference *c, int64_t now_us, uint8_t from, const struct pl_cross *message);

/* Tells what found no place before. */
void pl_spread_retry(struct pl_conference *c, int64_t now_us);

#endif
