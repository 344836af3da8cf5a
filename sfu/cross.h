/* What shards tell each other about a room that lives on several of them.  The room's home shard chooses who is heard; the
 * others are its replicas.
 *
 *	replica --OPEN, CLOSE, HEAR, SILENT--> home --OPENED, RANKING, FORWARD--> replicas
 *
 * And what the home shard and the codec worker that mixes and transcodes for the room tell each other:
 *
 *	home --MIX_OPEN, MIX_HEAR, MIX_SILENT, TRANSCODE--> worker --MIX, TRANSCODED--> home
 *
 * A message goes through a bounded ring between two threads, in order.  A packet that it names stays its sender's: the
 * sender holds a reference until the receiver is done with the message, and meanwhile both only read it (but for the
 * sender's count of references).  So a packet crosses once into each shard, by its address.
 * Pure: plain data.  Thread: written by one shard or worker, read by the other. */
#ifndef PL_SFU_CROSS_H
#define PL_SFU_CROSS_H

#include "media/pool.h"

enum pl_cross_kind {
	PL_CROSS_OPEN, /* slots, groups, fresh, opening: the sender has members of the room, who hear at most so many tracks,
	                * and the mix of these groups; again when that changes, and until it is answered */
	PL_CROSS_OPENED, /* opening: the answer to that OPEN; none when home has no place for the room */
	PL_CROSS_CLOSE,  /* it has none any more */
	PL_CROSS_HEAR,   /* packet: of a member that publishes there */
	PL_CROSS_SILENT, /* track: is muted, has ended or is gone; 0: all of the sender's */
	PL_CROSS_RANKING, /* packet: its payload is count of struct pl_cross_speaker, best first: who is heard from now on.
	                   * is_moved: members of PL_AUDIO_AUTO hear the mix */
	PL_CROSS_FORWARD, /* packet: to everybody who hears its track */

	PL_CROSS_MIX_OPEN, /* groups, fresh: there are listeners of these groups now; again when that changes.  0: the mix
	                       * ends, and all that is kept for the room is freed */
	PL_CROSS_MIX_HEAR, /* packet: Opus of a talker who belongs into the mix; groups: as told, for a worker that had no place
	                      * for the room when it was opened */
	PL_CROSS_MIX_SILENT, /* track: belongs there no more, or is gone; 0: all */
	PL_CROSS_TRANSCODE,  /* packet: of a publisher of G.711, heard or not, for its level is needed */
	PL_CROSS_MIX,        /* packet: of the mix, its track is PL_MIX_TRACK(group), its mix says whom it is for */
	PL_CROSS_TRANSCODED, /* packet: Opus, with a level; source, track and mix_group as they were */
};

struct pl_cross_speaker {
	uint32_t source, track;
};

struct pl_cross {
	uint8_t kind; /* enum pl_cross_kind */
	union {
		uint8_t slots;
		bool is_moved; /* RANKING */
	};
	uint8_t groups; /* bit i: of enum pl_mix_group i */
	union {
		uint8_t count; /* RANKING */
		uint8_t fresh; /* OPEN, MIX_OPEN: the groups, of those, that a listener has joined since it was last told */
	};
	uint32_t room;
	union {
		uint32_t track;
		uint32_t opening; /* which OPEN of its sender, so that no answer is taken for a later one's */
		uint64_t relay;   /* FORWARD: bit i: the receiver passes it on to shard i of its node */
	};
	struct pl_packet *packet; /* of all that pl_cross_has_packet says */
};
_Static_assert(sizeof(struct pl_cross) == 24, "a ring of messages is small");

/* What may be lost: a quarter of the ring is kept free of it for the others. */
static inline bool pl_cross_is_media(const struct pl_cross *message)
{
	switch ((enum pl_cross_kind)message->kind) {
	case PL_CROSS_HEAR:
	case PL_CROSS_FORWARD:
	case PL_CROSS_MIX_HEAR:
	case PL_CROSS_TRANSCODE:
	case PL_CROSS_MIX:
	case PL_CROSS_TRANSCODED:
		return true;
	case PL_CROSS_OPEN:
	case PL_CROSS_OPENED:
	case PL_CROSS_CLOSE:
	case PL_CROSS_SILENT:
	case PL_CROSS_RANKING:
	case PL_CROSS_MIX_OPEN:
	case PL_CROSS_MIX_SILENT:
		break;
	}
	return false;
}

static inline bool pl_cross_has_packet(const struct pl_cross *message)
{
	return pl_cross_is_media(message) || message->kind == PL_CROSS_RANKING;
}

enum { PL_WORKERS_MAX = 64 };

/* Both ends of a way are numbered: shards from 0, codec workers from here on. */
#define PL_CROSS_WORKER(index) ((uint8_t)(128 + (index)))

/* A shard's way out to the others and to codec workers.  push: false when there is no place for the message.  Otherwise its
 * packet has a reference more, which the shard gives back with pl_conference_release when the receiver is done.
 * choose_worker: the index of the one for a room that begins to be mixed; NULL where there are none. */
struct pl_cross_port {
	bool (*push)(void *context, uint8_t to, const struct pl_cross *message);
	uint8_t (*choose_worker)(void *context);
	void *context;
};

#endif
