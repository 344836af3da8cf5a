/* A room: who is in it, who of them is heard, and what its listeners are told about that.
 * Pure: no allocation, no clock, no I/O.  Thread: the shard that owns it. */
#ifndef PL_SFU_ROOM_H
#define PL_SFU_ROOM_H

#include "sfu/cross.h"
#include "sfu/participant.h"
#include "sfu/relief.h"

enum { PL_ROOM_SPEAKERS_GAP_MS = 200 }; /* between two speaker lists */

/* Who has events to be taken. */
struct pl_notices {
	struct pl_queue participants, rooms;
};

struct pl_room {
	uint32_t id; /* 0: unused */
	struct pl_table_node by_id;
	struct pl_room *next_free;
	struct pl_participant *first, *last;
	uint32_t member_count;
	uint32_t members_by_slots[PL_SLOTS_MAX + 1]; /* how many hear so many talkers in slots of their own */
	uint32_t members_by_group[PL_MIX_GROUPS];    /* how many hear that mix */
	uint8_t groups;      /* bit i: enum pl_mix_group i has listeners: here, and at home those of replicas, too */
	uint8_t fresh;       /* bit i: enum pl_mix_group i has got a listener, and that is not told yet */
	uint8_t mix_talkers; /* in the mix */
	uint8_t moves;       /* enum pl_relief_auto */
	bool is_moved;       /* home decides: members of PL_AUDIO_AUTO hear the mix */
	uint32_t members_limited; /* how many of them there are (pl_participant_is_limited) */
	struct pl_talk talk;
	uint32_t talk_next_bps; /* when talkers send more, somebody takes them no more: the least of such, or less */
	struct pl_speakers speakers;
	uint32_t fitted; /* the generation that the members' slots are fitted to */
	struct pl_timers *timers;
	struct pl_timer timer; /* the next look at who is talking; not set while nobody is */
	int64_t looked_us;     /* the last one; INT64_MIN before the first */
	struct pl_notices *notices;
	struct pl_queue_node telling; /* in notices->rooms */
	struct pl_queue_node forwarding;
	uint8_t batch,
		batch_last; /* packets on their way to the members: index + 1 in the forwarder's entries; 0: none */

	/* A room over several shards, see sfu/spread.h. */
	uint8_t home;                   /* the shard that chooses who is heard */
	struct pl_queue_node spreading; /* has something to tell that found no place */
	struct pl_remote *remotes;      /* home: tracks of other shards */
	uint64_t replicas;              /* home: bit i: shard i has members */
	uint64_t untold;                /* home: bit i: shard i has not got the ranking of told */
	uint32_t told;                  /* home: the generation that was told last */
	uint8_t replica_slots[PL_SFU_SHARDS_MAX];
	uint8_t replica_groups[PL_SFU_SHARDS_MAX]; /* 0 where there is no replica */
	bool is_open;                              /* replica: home was told of its members, and of slots_told */
	bool is_refused;                 /* replica: ... and has not answered yet, or has no place for the room */
	uint8_t fresh_told;              /* replica: of fresh, what home was told and has not answered */
	uint8_t slots_told, groups_told; /* groups_told: home: what the worker knows of */
	uint32_t opening;                /* replica: the number of what home was told */
	int64_t open_us;                 /* replica: when */
	struct pl_speaker shadow[PL_SPEAKERS_CAPACITY]; /* replica: what speakers.on_air points to */
	uint8_t top_count;                              /* the speaker list as last found */
	uint32_t top[PL_TOP_MAX];
	uint32_t dominant;

	/* Home: what a codec worker does for the room, see sfu/mixing.h. */
	uint8_t worker;      /* its index + 1; 0: none */
	bool is_transcoding; /* there is, or was, a publisher of G.711 */
	uint8_t mixed_count; /* tracks that it mixes */
	uint32_t mixed[PL_MIX_CSRC_MAX];
	uint32_t mixed_for; /* the generation that mixed was looked through for */
};

/* timers, notices: the conference's.  timer_kind: the conference's mark for the room's timer. */
void pl_room_init(
	struct pl_room *room, uint32_t id, struct pl_timers *timers, uint8_t timer_kind, struct pl_notices *notices);

/* How many talkers a member hears at most in slots of their own; 0: all hear the mix, or nothing. */
uint8_t pl_room_slots_max(const struct pl_room *room);

/* Members have other slots, or those of another shard: makes as many places on air as anybody can hear. */
void pl_room_resize(struct pl_room *room);

/* Takes an empty room out of the conference's timers and notices. */
void pl_room_fini(struct pl_room *room);

/* The participant's tracks and slots are applied before the first, and go on air after it. */
void pl_room_add(struct pl_room *room, struct pl_participant *p, int64_t now_us);

/* Takes its tracks off air and its place away, and fits the others' slots. */
void pl_room_remove(struct pl_room *room, struct pl_participant *p, int64_t now_us);

/* A member's tracks and slots change to the description; everybody's slots are fitted. */
void pl_room_apply(struct pl_room *room, struct pl_participant *p, int64_t now_us,
	const struct pl_description *description, struct pl_rng *rng);

/* Takes from its members what relief says, or gives it back; is_moved: that, and members of PL_AUDIO_AUTO hear the mix.  Which slots
 * were emptied by it is in each member's `ended`. */
void pl_room_relieve(struct pl_room *room, int64_t now_us, const struct pl_relief *relief, bool is_moved);

/* Home: two or more talk, and it would relieve the shard if their listeners heard the mix. */
bool pl_room_should_move(const struct pl_room *room);

/* A member that hears a mix begins to: its transport is connected, or it has heard something else before. */
void pl_room_note_fresh(struct pl_room *room, const struct pl_participant *p);

/* What a member hears, talkers or the mix, may have to be another: its mode has changed, or its network. */
void pl_room_rechoose(struct pl_room *room, struct pl_participant *p, int64_t now_us);

/* Takes one packet's level.  Returns true when it may be forwarded. */
bool pl_room_packet(struct pl_room *room, struct pl_speaker *speaker, int64_t now_us, uint8_t level, bool is_voice);

/* A talker's packet is about to be forwarded: when it is longer than any before, or its talker sends more than any was measured to
 * before, whoever takes no such packets, or not so much, hears the mix from now on, until the room ends.  Returns true when
 * that is somebody who has not until now. */
bool pl_room_note_talker(struct pl_room *room, int64_t now_us, const struct pl_packet *packet);

/* Replica: takes the ranking that home has told, and fits everybody's slots. */
void pl_room_rank(struct pl_room *room, int64_t now_us, const struct pl_cross_speaker *speaker, uint8_t count);

/* Fits everybody's slots when the ranking has changed, and has the speaker list looked at soon.  Call after a
 * track was muted or has ended. */
void pl_room_refit(struct pl_room *room, int64_t now_us);

/* The room's timer is due: makes the speaker list, and has it told when it is another. */
void pl_room_look(struct pl_room *room, int64_t now_us);

#endif
