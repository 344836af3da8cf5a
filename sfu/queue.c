#include "sfu/queue.h"

void pl_queue_push(struct pl_queue *queue, struct pl_queue_node *node, void *owner)
{
	PL_ASSERT(owner != NULL);
	if (node->owner != NULL)
		return;
	*node = (struct pl_queue_node){ .prev = queue->tail, .owner = owner };
	if (queue->tail != NULL)
		queue->tail->next = node;
	else
		queue->head = node;
	queue->tail = node;
}

void pl_queue_remove(struct pl_queue *queue, struct pl_queue_node *node)
{
	if (node->owner == NULL)
		return;
	if (node->prev != NULL)
		node->prev->next = node->next;
	else
		queue->head = node->next;
	if (node->next != NULL)
		node->next->prev = node->prev;
	else
		queue->tail = node->prev;
	*node = (struct pl_queue_node){ 0 };
}

void *pl_queue_first(const struct pl_queue *queue)
{
	return queue->head != NULL ? queue->head->owner : NULL;
}
