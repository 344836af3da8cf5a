#include "sfu/directory.h"

#include <string.h>

static uint64_t hash_source(const struct pl_directory *d, uint32_t source)
{
	return pl_table_hash_id(source, d->seed);
}

static uint64_t hash_path(const struct pl_directory *d, const struct pl_path *path)
{
	/* Not a plain XOR of two equal functions: a path to itself would always be 0. */
	return pl_addr_hash(&path->remote, d->seed) + 3 * pl_addr_hash(&path->local, d->seed);
}

static size_t path_buckets(uint32_t participants_max)
{
	/* Most participants have one path or two. */
	return pl_table_buckets((size_t)participants_max * 2);
}

size_t pl_directory_buckets(uint32_t participants_max)
{
	return 2 * pl_table_buckets(participants_max) + path_buckets(participants_max);
}

void pl_directory_init(struct pl_directory *d, struct pl_table_node **bucket, uint32_t participants_max, uint64_t seed)
{
	const size_t count = pl_table_buckets(participants_max);
	d->seed = seed;
	pl_table_init(&d->by_source, bucket, count);
	pl_table_init(&d->by_ufrag, bucket + count, count);
	pl_table_init(&d->by_path, bucket + 2 * count, path_buckets(participants_max));
}

void pl_directory_add(struct pl_directory *d, struct pl_participant *p)
{
	pl_table_insert(&d->by_source, &p->by_source, hash_source(d, p->source), p);
}

static struct pl_bytes bytes_of(const char *text)
{
	return (struct pl_bytes){ (const uint8_t *)text, strlen(text) };
}

void pl_directory_add_ufrag(struct pl_directory *d, struct pl_participant *p, const char *ufrag)
{
	PL_ASSERT(strlen(ufrag) < sizeof p->by_ufrag[0].ufrag);
	pl_table_remove(&d->by_ufrag, &p->by_ufrag[1].node);
	if (p->by_ufrag[0].node.owner != NULL) {
		const uint64_t hash = p->by_ufrag[0].node.hash;
		pl_table_remove(&d->by_ufrag, &p->by_ufrag[0].node);
		memcpy(p->by_ufrag[1].ufrag, p->by_ufrag[0].ufrag, sizeof p->by_ufrag[1].ufrag);
		pl_table_insert(&d->by_ufrag, &p->by_ufrag[1].node, hash, p);
	}
	memcpy(p->by_ufrag[0].ufrag, ufrag, strlen(ufrag) + 1);
	pl_table_insert(&d->by_ufrag, &p->by_ufrag[0].node, pl_table_hash(bytes_of(ufrag), d->seed), p);
}

static bool ice_knows(const struct pl_ice *ice, const struct pl_path *path)
{
	for (uint8_t i = 0; i < ice->known_count; i++) {
		if (pl_path_equal(&ice->known[i].path, path))
			return true;
	}
	return false;
}

static void learn_path(struct pl_directory *d, struct pl_participant *p, const struct pl_path *path, int64_t now_us)
{
	struct pl_directory_path *held = pl_directory_by_path(d, path);
	if (held != NULL) {
		if (held->node.owner == p || held->heard_us > now_us - PL_DIRECTORY_STALE_MS * 1000)
			return;
		pl_table_remove(&d->by_path, &held->node);
	}
	size_t place = 0;
	while (p->by_path[place].node.owner != NULL)
		place++;
	PL_ASSERT(place < PL_ICE_PATHS_MAX);
	p->by_path[place].path = *path;
	p->by_path[place].heard_us = now_us;
	pl_table_insert(&d->by_path, &p->by_path[place].node, hash_path(d, path), p);
}

void pl_directory_learn_paths(struct pl_directory *d, struct pl_participant *p, int64_t now_us)
{
	const struct pl_ice *ice = &p->transport.ice;
	for (size_t i = 0; i < PL_ICE_PATHS_MAX; i++) {
		if (p->by_path[i].node.owner != NULL && !ice_knows(ice, &p->by_path[i].path))
			pl_table_remove(&d->by_path, &p->by_path[i].node);
	}
	for (uint8_t i = 0; i < ice->known_count; i++)
		learn_path(d, p, &ice->known[i].path, now_us);
}

void pl_directory_close(struct pl_directory *d, struct pl_participant *p)
{
	for (size_t i = 0; i < PL_COUNT(p->by_ufrag); i++)
		pl_table_remove(&d->by_ufrag, &p->by_ufrag[i].node);
	for (size_t i = 0; i < PL_ICE_PATHS_MAX; i++)
		pl_table_remove(&d->by_path, &p->by_path[i].node);
}

void pl_directory_remove(struct pl_directory *d, struct pl_participant *p)
{
	pl_directory_close(d, p);
	pl_table_remove(&d->by_source, &p->by_source);
}

struct pl_participant *pl_directory_by_source(const struct pl_directory *d, uint32_t source)
{
	struct pl_table_node *node = pl_table_first(&d->by_source, hash_source(d, source));
	while (node != NULL && ((struct pl_participant *)node->owner)->source != source)
		node = pl_table_next(node);
	return node != NULL ? node->owner : NULL;
}

static bool has_ufrag(const struct pl_participant *p, struct pl_bytes ufrag)
{
	for (size_t i = 0; i < PL_COUNT(p->by_ufrag); i++) {
		const struct pl_bytes own = bytes_of(p->by_ufrag[i].ufrag);
		if (own.size == ufrag.size && memcmp(own.data, ufrag.data, ufrag.size) == 0)
			return true;
	}
	return false;
}

struct pl_participant *pl_directory_by_ufrag(const struct pl_directory *d, struct pl_bytes ufrag)
{
	if (ufrag.size == 0)
		return NULL;
	struct pl_table_node *node = pl_table_first(&d->by_ufrag, pl_table_hash(ufrag, d->seed));
	while (node != NULL && !has_ufrag(node->owner, ufrag))
		node = pl_table_next(node);
	return node != NULL ? node->owner : NULL;
}

struct pl_directory_path *pl_directory_by_path(const struct pl_directory *d, const struct pl_path *path)
{
	for (struct pl_table_node *node = pl_table_first(&d->by_path, hash_path(d, path)); node != NULL;
		node = pl_table_next(node)) {
		struct pl_directory_path *held =
			(struct pl_directory_path *)((char *)node - offsetof(struct pl_directory_path, node));
		if (pl_path_equal(&held->path, path))
			return held;
	}
	return NULL;
}
