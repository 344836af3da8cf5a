#include "sfu/link.h"

#include <stdlib.h>
#include <string.h>

enum pl_err pl_link_create(struct pl_link **out, struct pl_waker *reader)
{
	struct pl_link *link = aligned_alloc(64, sizeof *link);
	if (link == NULL)
		return PL_ERR_NO_MEMORY;
	memset(link, 0, sizeof *link);
	const enum pl_err err = pl_ring_init(&link->ring, reader, PL_LINK_CAPACITY, sizeof(struct pl_cross));
	if (err != PL_ERR_NONE) {
		free(link);
		return err;
	}
	*out = link;
	return PL_ERR_NONE;
}

void pl_link_destroy(struct pl_link **owned)
{
	struct pl_link *link = *owned;
	*owned = NULL;
	if (link == NULL)
		return;
	pl_ring_fini(&link->ring);
	free(link);
}

void pl_link_reap(struct pl_link *link)
{
	for (const size_t taken = pl_ring_taken(&link->ring); link->reaped != taken; link->reaped++) {
		const struct pl_cross *message = pl_ring_at(&link->ring, link->reaped);
		if (pl_cross_has_packet(message))
			link->owner.release(link->owner.context, message->packet);
	}
}

bool pl_link_push(struct pl_link *link, const struct pl_cross *message)
{
	const size_t max = pl_cross_is_media(message) ? PL_LINK_MEDIA_MAX : PL_LINK_CAPACITY;
	if (link->pushed - link->reaped >= max)
		pl_link_reap(link);
	if (link->pushed - link->reaped >= max || !pl_ring_push(&link->ring, message))
		return false;
	link->pushed++;
	return true;
}

const struct pl_cross *pl_link_take(struct pl_link *link)
{
	const struct pl_cross *message = pl_ring_peek(&link->ring, link->taking);
	link->taking += message != NULL;
	return message;
}

void pl_link_done(struct pl_link *link)
{
	if (link->taking > 0)
		pl_ring_take(&link->ring, link->taking);
	link->taking = 0;
}
