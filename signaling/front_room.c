#include <stdlib.h>
#include <string.h>

#include "signaling/front_state.h"

static uint64_t hash_name(const struct pl_front *front, const char *name)
{
	return pl_front_table_hash(&front->rooms_by_name, (struct pl_bytes){ (const uint8_t *)name, strlen(name) });
}

static uint64_t hash_id(const struct pl_front *front, const uint32_t *id)
{
	return pl_front_table_hash(&front->rooms_by_id, (struct pl_bytes){ (const uint8_t *)id, sizeof *id });
}

struct pl_front_room *pl_front_room_by_name(struct pl_front *front, const char *name)
{
	struct pl_front_node *node = pl_front_table_first(&front->rooms_by_name, hash_name(front, name));
	while (node != NULL && strcmp(((struct pl_front_room *)node->owner)->name, name) != 0)
		node = pl_front_table_next(node);
	return node != NULL ? node->owner : NULL;
}

struct pl_front_room *pl_front_room_by_id(struct pl_front *front, uint32_t id)
{
	struct pl_front_node *node = pl_front_table_first(&front->rooms_by_id, hash_id(front, &id));
	while (node != NULL && ((struct pl_front_room *)node->owner)->id != id)
		node = pl_front_table_next(node);
	return node != NULL ? node->owner : NULL;
}

bool pl_front_room_has_place(const struct pl_front *front, const struct pl_front_room *room)
{
	uint8_t shard;
	return room != NULL ? pl_placement_has_place(&front->placement, room->home)
			    : pl_placement_choose(&front->placement, front->now_us, &shard);
}

uint8_t pl_front_room_shard(const struct pl_front *front, const struct pl_front_room *room)
{
	uint8_t shard = 0;
	if (room != NULL)
		return room->home;
	const bool has_place = pl_placement_choose(&front->placement, front->now_us, &shard);
	PL_ASSERT(has_place);
	return shard;
}

struct pl_front_room *pl_front_room_create(struct pl_front *front, const char *name)
{
	struct pl_front_room *room = calloc(1, sizeof *room);
	PL_ASSERT(room != NULL && strlen(name) < sizeof room->name);
	memcpy(room->name, name, strlen(name) + 1);
	pl_front_list_init(&room->members);
	room->home = pl_front_room_shard(front, NULL);
	pl_placement_room_comes(&front->placement, room->home);
	/* Not the id of a room that has just ended: the media plane may still hear of that one. */
	do {
		room->id = ++front->room_last;
	} while (room->id == 0 || pl_front_room_by_id(front, room->id) != NULL);
	pl_front_table_insert(&front->rooms_by_name, &room->by_name, hash_name(front, name), room);
	pl_front_table_insert(&front->rooms_by_id, &room->by_id, hash_id(front, &room->id), room);
	front->counters.rooms++;
	return room;
}

void pl_front_room_destroy(struct pl_front *front, struct pl_front_room *room)
{
	PL_ASSERT(room->member_count == 0);
	pl_front_table_remove(&front->rooms_by_name, &room->by_name);
	pl_front_table_remove(&front->rooms_by_id, &room->by_id);
	pl_placement_room_goes(&front->placement, room->home);
	front->counters.rooms--;
	free(room);
}

struct pl_front_session *pl_front_room_next(const struct pl_front_room *room, const struct pl_front_session *after)
{
	return after == NULL ? room->members.next->owner : after->member.next->owner;
}
