/* A first-in first-out queue of nodes that live inside what waits: bounded by nature, since each waits once.
 * Pure: no allocation, no clock, no I/O.  Thread: the shard that owns it. */
#ifndef PL_SFU_QUEUE_H
#define PL_SFU_QUEUE_H

#include "media/base.h"

struct pl_queue_node {
	struct pl_queue_node *next, *prev;
	void *owner; /* NULL: not in a queue */
};

struct pl_queue {
	struct pl_queue_node *head, *tail;
};

/* Appends; one that waits already keeps its place. */
void pl_queue_push(struct pl_queue *queue, struct pl_queue_node *node, void *owner);

/* Nothing happens when the node is not in a queue. */
void pl_queue_remove(struct pl_queue *queue, struct pl_queue_node *node);

/* The owner of the first node, which stays; NULL when the queue is empty. */
void *pl_queue_first(const struct pl_queue *queue);

#endif
