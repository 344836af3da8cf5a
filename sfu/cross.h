/* What shards tell each other about a room that lives on several of them.  The room's home shard chooses who is heard; the
 * others are its replicas.
 *
 *	replica --OPEN, CLOSE, HEAR, SILENT--> home --RANKING, FORWARD--> replicas
 *
 * A message goes through a bounded ring between two shards, in order.  A packet that it names stays its sender's: the
 * sender holds a reference until the receiver is done with the message, and meanwhile both only read it (but for the
 * sender's count of references).  So a packet crosses once into each shard, by its address.
 * Pure: plain data.  Thread: written by one shard, read by the other. */
#ifndef PL_SFU_CROSS_H
#define PL_SFU_CROSS_H

#include "media/pool.h"

enum pl_cross_kind {
	PL_CROSS_OPEN,   /* slots: the sender has members of the room, who have at most so many audio slots; again when
	                   * that changes */
	PL_CROSS_CLOSE,  /* it has none any more */
	PL_CROSS_HEAR,   /* packet: of a member that publishes there */
	PL_CROSS_SILENT, /* track: is muted, has ended or is gone; 0: all of the sender's */
	PL_CROSS_RANKING, /* packet: its payload is count of struct pl_cross_speaker, best first: who is heard from now on */
	PL_CROSS_FORWARD, /* packet: to everybody who hears its track */
};

struct pl_cross_speaker {
	uint32_t source, track;
};

struct pl_cross {
	uint8_t kind; /* enum pl_cross_kind */
	uint8_t slots, count;
	uint32_t room;
	union {
		uint32_t track;
		uint64_t relay; /* FORWARD: bit i: the receiver passes it on to shard i of its node */
	};
	struct pl_packet *packet; /* HEAR, RANKING, FORWARD */
};

static inline bool pl_cross_has_packet(const struct pl_cross *message)
{
	return message->kind == PL_CROSS_HEAR || message->kind == PL_CROSS_RANKING || message->kind == PL_CROSS_FORWARD;
}

/* What may be lost: a quarter of the ring is kept free of it for the others. */
static inline bool pl_cross_is_media(const struct pl_cross *message)
{
	return message->kind == PL_CROSS_HEAR || message->kind == PL_CROSS_FORWARD;
}

/* A shard's way out to the others.  push: false when there is no place for the message.  Otherwise its packet has a
 * reference more, which the shard gives back with pl_conference_release when the receiver is done. */
struct pl_cross_port {
	bool (*push)(void *context, uint8_t shard, const struct pl_cross *message);
	void *context;
};

#endif
