#include "signaling/front_table.h"

#include <stdlib.h>
#include <string.h>

bool pl_front_table_init(struct pl_front_table *table, size_t nodes_max, uint64_t seed)
{
	size_t count = 8;
	while (count < nodes_max)
		count *= 2;
	*table = (struct pl_front_table){
		.bucket = calloc(count, sizeof table->bucket[0]),
		.mask = count - 1,
		.seed = seed,
	};
	return table->bucket != NULL;
}

void pl_front_table_fini(struct pl_front_table *table)
{
	free(table->bucket);
	*table = (struct pl_front_table){ .bucket = NULL };
}

/* A 64-bit multiply-and-fold: every bit of both reaches every bit of the result. */
static uint64_t fold(uint64_t a, uint64_t b)
{
	const unsigned __int128 product = (unsigned __int128)a * b;
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t pl_front_table_hash(const struct pl_front_table *table, struct pl_bytes key)
{
	/* The digits of pi as odd constants; the seed keeps a stranger from knowing what meets in one bucket. */
	const uint64_t k0 = UINT64_C(0x243f6a8885a308d3), k1 = UINT64_C(0x13198a2e03707345);
	uint64_t hash = table->seed ^ k0;
	size_t at = 0;
	for (; key.size - at >= 8; at += 8) {
		uint64_t word;
		memcpy(&word, key.data + at, sizeof word);
		hash = fold(hash ^ word, table->seed ^ k1);
	}
	uint64_t rest = 0;
	if (key.size > at)
		memcpy(&rest, key.data + at, key.size - at);
	hash = fold(hash ^ rest, table->seed ^ k1);
	return fold(hash ^ key.size, k0);
}

void pl_front_table_insert(struct pl_front_table *table, struct pl_front_node *node, uint64_t hash, void *owner)
{
	PL_ASSERT(node->owner == NULL && owner != NULL);
	struct pl_front_node **head = &table->bucket[hash & table->mask];
	*node = (struct pl_front_node){ .next = *head, .hash = hash, .owner = owner };
	*head = node;
}

void pl_front_table_remove(struct pl_front_table *table, struct pl_front_node *node)
{
	if (node->owner == NULL)
		return;
	struct pl_front_node **link = &table->bucket[node->hash & table->mask];
	while (*link != node)
		link = &(*link)->next;
	*link = node->next;
	*node = (struct pl_front_node){ .next = NULL };
}

static struct pl_front_node *with_hash(struct pl_front_node *node, uint64_t hash)
{
	while (node != NULL && node->hash != hash)
		node = node->next;
	return node;
}

struct pl_front_node *pl_front_table_first(const struct pl_front_table *table, uint64_t hash)
{
	return with_hash(table->bucket[hash & table->mask], hash);
}

struct pl_front_node *pl_front_table_next(const struct pl_front_node *node)
{
	return with_hash(node->next, node->hash);
}

void pl_front_list_init(struct pl_front_link *head)
{
	*head = (struct pl_front_link){ .next = head, .previous = head };
}

void pl_front_list_push(struct pl_front_link *head, struct pl_front_link *link, void *owner)
{
	PL_ASSERT(link->next == NULL && owner != NULL);
	*link = (struct pl_front_link){ .next = head, .previous = head->previous, .owner = owner };
	link->previous->next = link;
	head->previous = link;
}

void pl_front_list_remove(struct pl_front_link *link)
{
	if (link->next == NULL)
		return;
	link->previous->next = link->next;
	link->next->previous = link->previous;
	*link = (struct pl_front_link){ .next = NULL };
}

void *pl_front_list_first(const struct pl_front_link *head)
{
	return head->next->owner;
}
