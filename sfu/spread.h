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

/* Home: takes a packet that is heard to everybody: to this shard's members, to the replicas, into the mix.  The caller's
 * reference stays the caller's. */
PL_MUST_USE enum pl_drop pl_spread_pass(struct pl_conference *c, struct pl_room *room, struct pl_packet *packet);

/* Home: takes a packet to these replicas (bit i: shard i). */
void pl_spread_forward(struct pl_conference *c, uint32_t room, uint64_t replicas, struct pl_packet *packet);

/* Home: the speaker of another shard's track, and the shards where a source publishes (bit i: shard i); NULL, 0: none. */
struct pl_speaker *pl_spread_speaker(const struct pl_conference *c, const struct pl_room *room, uint32_t track);
uint64_t pl_spread_shards_of(const struct pl_room *room, uint32_t source);

/* Our own copy of a packet that is borrowed, with one reference; NULL when there is no buffer. */
struct pl_packet *pl_spread_copy(struct pl_conference *c, const struct pl_packet *packet);

/* Has a message taken by another end of the rings (PL_CROSS_WORKER for codec workers).  False: there is no place for it now. */
bool pl_spread_push(struct pl_conference *c, uint8_t to, const struct pl_cross *message);

/* Takes one message of shard from.  Its packet is borrowed until the conference is drained. */
PL_MUST_USE enum pl_drop pl_spread_take(
	struct pl_conference *c, int64_t now_us, uint8_t from, const struct pl_cross *message);

/* Tells what found no place before. */
void pl_spread_retry(struct pl_conference *c, int64_t now_us);

#endif
