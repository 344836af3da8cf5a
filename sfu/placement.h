/* Which shard a new room goes to: the least loaded one by participants; that is its home.  A small room stays whole there.
 * One that has outgrown it (room_spread members), or whose shard is full, goes on on another: each is filled up before the
 * next is begun, because every packet of the room crosses into every shard it is on.
 *
 * Each shard has tables of its own.  They are larger than an even share, because rooms do not grow evenly, and large
 * enough for the largest room that may be; so as long as the process has a place, some shard has a place for a new room.
 *
 * Who has joined and is not connected yet has shown nothing but a WebSocket, and holds a place for as long as a transport may
 * take (PL_TRANSPORT_SETUP_MS).  So each shard lets only a part of its places be held that way.
 *
 * Pure: no allocation, no clock.  Thread: signaling. */
#ifndef PL_SFU_PLACEMENT_H
#define PL_SFU_PLACEMENT_H

#include "sfu/types.h"

enum {
	PL_PLACEMENT_REST_MS = 1000,
	PL_PLACEMENT_CONNECTING_SHARE = 4, /* one place in so many may wait for its media ... */
	PL_PLACEMENT_CONNECTING_MIN = 64,  /* ... and these in any case: a small server's rooms begin together, too */
};

struct pl_placement_config {
	uint32_t shard_count;                 /* 1 to PL_SFU_SHARDS_MAX */
	uint32_t participants_max, rooms_max; /* of all shards together */
	uint32_t room_participants_max;       /* 0: as participants_max */
	uint32_t room_spread; /* members of a room on one shard before it spreads; 0: as many as there is place */
};

struct pl_placement_load {
	uint32_t participants, rooms;
	uint32_t connecting;      /* of the participants */
	int64_t resting_until_us; /* it has refused somebody */
};

struct pl_placement {
	uint32_t shard_count;
	uint32_t shard_participants_max, shard_rooms_max; /* that one shard's tables hold */
	uint32_t room_spread;
	uint32_t shard_connecting_max;
	struct pl_placement_load load[PL_SFU_SHARDS_MAX];
};

/* The same configuration gives the same tables: the media plane makes them, and who places rooms counts on them. */
void pl_placement_init(struct pl_placement *placement, const struct pl_placement_config *config);

/* The shard for a new room and its first participant: the fewest participants, then the fewest rooms, then the lowest
 * index; one where too many are connecting, or that rests, only when all are so.  False: all are full, and *shard is as it
 * was. */
PL_MUST_USE bool pl_placement_choose(const struct pl_placement *placement, int64_t now_us, uint8_t *shard);

/* The shard for one participant more of a room.  members: how many it has on each shard.  False: there is none. */
PL_MUST_USE bool pl_placement_choose_for(const struct pl_placement *placement, int64_t now_us, uint8_t home,
	const uint32_t members[static PL_SFU_SHARDS_MAX], uint8_t *shard);

/* Whether one more may begin to connect there.  Who resumes is not asked: that participant is known. */
PL_MUST_USE bool pl_placement_may_connect(const struct pl_placement *placement, uint8_t shard);

/* A participant that has come waits for its media; it no longer does, or goes. */
void pl_placement_connecting_begins(struct pl_placement *placement, uint8_t shard);
void pl_placement_connecting_ends(struct pl_placement *placement, uint8_t shard);

/* Who comes was let in by choose or choose_for; who goes has come (asserts).  A room comes to its home when it is made, and
 * to another shard with its first participant there. */
void pl_placement_room_comes(struct pl_placement *placement, uint8_t shard);
void pl_placement_room_goes(struct pl_placement *placement, uint8_t shard);
void pl_placement_participant_comes(struct pl_placement *placement, uint8_t shard);
void pl_placement_participant_goes(struct pl_placement *placement, uint8_t shard);

/* The shard had no place for somebody, although it seemed so (out of memory, perhaps): for PL_PLACEMENT_REST_MS new rooms
 * go elsewhere.  The participant goes as any other. */
void pl_placement_refused(struct pl_placement *placement, uint8_t shard, int64_t now_us);

#endif
