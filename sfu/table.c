#include "sfu/table.h"

size_t pl_table_buckets(size_t nodes_max)
{
	size_t count = 8;
	while (count < nodes_max)
		count *= 2;
	return count;
}

void pl_table_init(struct pl_table *table, struct pl_table_node **bucket, size_t bucket_count)
{
	PL_ASSERT(bucket_count > 0 && (bucket_count & (bucket_count - 1)) == 0);
	*table = (struct pl_table){ .bucket = bucket, .mask = bucket_count - 1 };
}

void pl_table_insert(struct pl_table *table, struct pl_table_node *node, uint64_t hash, void *owner)
{
	PL_ASSERT(node->owner == NULL && owner != NULL);
	struct pl_table_node **head = &table->bucket[hash & table->mask];
	*node = (struct pl_table_node){ .next = *head, .hash = hash, .owner = owner };
	*head = node;
}

void pl_table_remove(struct pl_table *table, struct pl_table_node *node)
{
	if (node->owner == NULL)
		return;
	struct pl_table_node **link = &table->bucket[node->hash & table->mask];
	while (*link != node)
		link = &(*link)->next;
	*link = node->next;
	*node = (struct pl_table_node){ 0 };
}

static struct pl_table_node *with_hash(struct pl_table_node *node, uint64_t hash)
{
	while (node != NULL && node->hash != hash)
		node = node->next;
	return node;
}

struct pl_table_node *pl_table_first(const struct pl_table *table, uint64_t hash)
{
	return with_hash(table->bucket[hash & table->mask], hash);
}

struct pl_table_node *pl_table_next(const struct pl_table_node *node)
{
	return with_hash(node->next, node->hash);
}

uint64_t pl_table_hash(struct pl_bytes bytes, uint64_t seed)
{
	uint64_t hash = 0xcbf29ce484222325u ^ seed;
	for (size_t i = 0; i < bytes.size; i++)
		hash = (hash ^ bytes.data[i]) * 0x100000001b3u;
	/* The low bits choose the bucket: let every bit reach them. */
	hash ^= hash >> 32;
	hash *= 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 29;
}
