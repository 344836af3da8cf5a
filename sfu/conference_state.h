/* The inside of a conference, for the files that make it up: conference.c (memory, time, outputs), membership.c (who is
 * in), intake.c (datagrams) and events.c (what signaling is told).  Nobody else includes this.
 * Thread: the shard that owns the conference. */
#ifndef PL_SFU_CONFERENCE_STATE_H
#define PL_SFU_CONFERENCE_STATE_H

#include "sfu/conference.h"
#include "sfu/directory.h"
#include "sfu/forward.h"
#include "sfu/handshakes.h"
#include "sfu/histogram.h"

enum { PL_REFUSED_MAX = 64 };

/* What a timer wakes. */
enum { PL_TIMER_PARTICIPANT, PL_TIMER_ROOM };

/* A track of another shard, in a room that is at home here. */
struct pl_remote {
	struct pl_table_node by_track;
	struct pl_speaker speaker;
	struct pl_room *room;          /* NULL: free */
	struct pl_remote *next, *prev; /* of the room; next: of the free ones */
	uint8_t shard;
};

struct pl_conference {
	struct pl_conference_config config;
	struct pl_conference_counters counters;
	struct pl_rng rng;
	/* One participant more than may be: one that is replaced says goodbye while its successor is set up. */
	struct pl_participant *participants;
	struct pl_participant *free_participants; /* linked by room_next */
	struct pl_room *rooms, *free_rooms;
	/* Places of each table that were ever taken, from its beginning: those behind have never been touched, and the
	 * system gives them no memory.  The lists of the free ones have none of them. */
	uint32_t participants_used, rooms_used, remotes_used;
	uint32_t occupied; /* participants that are LIVE or GONE */
	struct pl_table_node **buckets;
	struct pl_timer **heap;
	struct pl_directory directory;
	struct pl_table rooms_by_id;
	struct pl_timers timers;
	uint32_t associations;     /* participants whose transport is not settled */
	struct pl_histogram joins; /* from JOIN to connected */
	struct pl_queue draining;  /* participants whose transport may have outputs */
	struct pl_queue reporting; /* participants whose report is due */
	struct pl_queue parting;   /* participants with slots that end with silence */
	struct pl_notices notices;
	struct pl_pool pool;
	uint8_t *pool_memory; /* our own, when the caller gave none */
	struct pl_forward forward;
	struct pl_handshakes handshakes;
	struct pl_remote *remotes, *free_remotes;
	struct pl_table remotes_by_track;
	struct pl_queue spreading; /* rooms that have something to tell other shards, or wait for home's answer */
	int64_t spread_retry_us;
	struct pl_relief relief;
	uint32_t relief_left; /* so many of rooms, from the first on, may have another one yet */
	int64_t move_us;      /* when a room may move to the mix */
	uint32_t openings;    /* how many OPENs were told */
	struct {
		uint32_t room, source;
	} refused[PL_REFUSED_MAX];
	uint32_t refused_count;
	uint8_t scratch[PL_DATAGRAM_SIZE_MAX]; /* an incoming RTCP packet is decrypted into it */
};

/* Sets the participant's timer to whatever it has to do next. */
void pl_conference_arm(struct pl_conference *c, struct pl_participant *p);

/* Media came or went: reports are due, soon or from time to time. */
void pl_conference_note_media(struct pl_conference *c, struct pl_participant *p, int64_t now_us);

#endif
