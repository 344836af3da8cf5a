/* The way from one thread of the media plane to another, both shards or a shard and a codec worker: a ring of messages
 * (sfu/cross.h), and the packets that they name, held by the writer until the reader is done with them.  The reader says
 * so by advancing in the ring, which the writer reads off it: nothing is sent back, and no reference count is shared.
 * A quarter of the ring is kept free of media for the messages that tell of state.
 * Thread: push and reap belong to the writer, take and done to the reader; create and destroy are done before and after
 * the life of both. */
#ifndef PL_SFU_LINK_H
#define PL_SFU_LINK_H

#include "sfu/cross.h"
#include "sfu/io/ring.h"

enum {
	PL_LINK_CAPACITY = 1024, /* messages: some milliseconds of the largest room */
	PL_LINK_MEDIA_MAX = PL_LINK_CAPACITY / 4 * 3,
};

/* Who has the packets that a writer names: release gives one reference back. */
struct pl_link_owner {
	void (*release)(void *context, struct pl_packet *packet);
	void *context;
};

struct pl_link {
	struct pl_ring ring;
	/* The writer's: messages; the packets of those in between are held for the reader. */
	struct pl_link_owner owner;
	size_t pushed, reaped;
	/* The reader's: messages that are looked at and not given back yet. */
	_Alignas(64) size_t taking;
};

/* reader: the waker of the thread that reads; outlives the link.  The owner is the writer's to set before its first push. */
PL_MUST_USE enum pl_err pl_link_create(struct pl_link **link, struct pl_waker *reader);
void pl_link_destroy(struct pl_link **link);

/* False: there is no place.  Else the caller's reference to the packet, if the message names one, is the link's. */
PL_MUST_USE bool pl_link_push(struct pl_link *link, const struct pl_cross *message);

/* Gives back what the reader is done with. */
void pl_link_reap(struct pl_link *link);

/* The next message, NULL when there is none; it and its packet stay until done. */
const struct pl_cross *pl_link_take(struct pl_link *link);

/* How many of the places for media are taken, as the writer knows, who has reaped. */
static inline size_t pl_link_used(const struct pl_link *link)
{
	return link->pushed - link->reaped;
}

/* The reader is done with all that it has taken. */
void pl_link_done(struct pl_link *link);

#endif
