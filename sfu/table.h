/* A hash table of nodes that live inside what they find: nothing is allocated after the table itself, and it cannot
 * be full.  It compares hashes only; the owner compares keys.
 * Pure: no allocation, no clock, no I/O.  Thread: the shard that owns it. */
#ifndef PL_SFU_TABLE_H
#define PL_SFU_TABLE_H

#include "media/base.h"

struct pl_table_node {
	struct pl_table_node *next;
	uint64_t hash;
	void *owner; /* NULL: not in a table */
};

struct pl_table {
	struct pl_table_node **bucket;
	uint64_t mask; /* buckets - 1 */
};

/* How many buckets to bring for nodes_max nodes: a power of two. */
size_t pl_table_buckets(size_t nodes_max);

/* bucket: zeroed, bucket_count of pl_table_buckets; stays the caller's. */
void pl_table_init(struct pl_table *table, struct pl_table_node **bucket, size_t bucket_count);

/* The node is not in a table.  owner: not NULL.  The newest node of a hash is found first. */
void pl_table_insert(struct pl_table *table, struct pl_table_node *node, uint64_t hash, void *owner);

/* Nothing happens when the node is not in a table. */
void pl_table_remove(struct pl_table *table, struct pl_table_node *node);

/* Walks the nodes of one hash; NULL at the end. */
struct pl_table_node *pl_table_first(const struct pl_table *table, uint64_t hash);
struct pl_table_node *pl_table_next(const struct pl_table_node *node);

/* Hashes bytes (FNV-1a with a final mix).  seed: secret and random, so that nobody can aim for one bucket. */
uint64_t pl_table_hash(struct pl_bytes bytes, uint64_t seed);

/* The same for a number. */
static inline uint64_t pl_table_hash_id(uint32_t id, uint64_t seed)
{
	return pl_table_hash((struct pl_bytes){ (const uint8_t *)&id, sizeof id }, seed);
}

#endif
