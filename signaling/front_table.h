/* How the front finds connections, sessions and rooms: hash tables of nodes, and lists of links, that live inside what
 * they find.  Neither can be full; a table compares hashes only, its user compares keys.
 * Pure: the one allocation is a table's buckets, at create.  Thread: signaling. */
#ifndef PL_SIGNALING_FRONT_TABLE_H
#define PL_SIGNALING_FRONT_TABLE_H

#include "media/base.h"

struct pl_front_node {
	struct pl_front_node *next;
	uint64_t hash;
	void *owner; /* NULL: not in a table */
};

struct pl_front_table {
	struct pl_front_node **bucket;
	uint64_t mask, seed;
};

/* seed: secret and random, so that nobody can aim for one bucket.  False: no memory, and nothing to free. */
PL_MUST_USE bool pl_front_table_init(struct pl_front_table *table, size_t nodes_max, uint64_t seed);
void pl_front_table_fini(struct pl_front_table *table);

uint64_t pl_front_table_hash(const struct pl_front_table *table, struct pl_bytes key);
void pl_front_table_insert(struct pl_front_table *table, struct pl_front_node *node, uint64_t hash, void *owner);
/* Nothing happens when the node is not in the table. */
void pl_front_table_remove(struct pl_front_table *table, struct pl_front_node *node);
/* Walks the nodes of one hash; NULL at the end. */
struct pl_front_node *pl_front_table_first(const struct pl_front_table *table, uint64_t hash);
struct pl_front_node *pl_front_table_next(const struct pl_front_node *node);

/* A list's head is a link without owner; a link that is in no list is all zero. */
struct pl_front_link {
	struct pl_front_link *next, *previous;
	void *owner;
};

void pl_front_list_init(struct pl_front_link *head);
/* Appends; the link is in no list. */
void pl_front_list_push(struct pl_front_link *head, struct pl_front_link *link, void *owner);
/* Nothing happens when the link is in no list. */
void pl_front_list_remove(struct pl_front_link *link);
/* The owner of the first link, NULL when the list is empty. */
void *pl_front_list_first(const struct pl_front_link *head);

#endif
