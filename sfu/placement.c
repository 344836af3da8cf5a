#include "sfu/placement.h"

#include <string.h>

/* Twice the even share, at least `least`, at most all. */
static uint32_t share(uint32_t all, uint32_t shards, uint32_t least)
{
	const uint32_t even = all / shards + (all % shards != 0);
	const uint32_t twice = even > all / 2 ? all : 2 * even;
	const uint32_t wanted = twice > least ? twice : least;
	return wanted < all ? wanted : all;
}

void pl_placement_init(struct pl_placement *placement, const struct pl_placement_config *config)
{
	PL_ASSERT(config->shard_count > 0 && config->shard_count <= PL_SFU_SHARDS_MAX);
	PL_ASSERT(config->participants_max > 0 && config->rooms_max > 0);
	const uint32_t largest_room =
		config->room_participants_max > 0 ? config->room_participants_max : config->participants_max;
	memset(placement, 0, sizeof *placement);
	placement->shard_count = config->shard_count;
	placement->shard_participants_max = share(config->participants_max, config->shard_count, largest_room);
	placement->shard_rooms_max = share(config->rooms_max, config->shard_count, 1);
	placement->room_spread = config->room_spread > 0 ? config->room_spread : UINT32_MAX;
	const uint32_t part = placement->shard_participants_max / PL_PLACEMENT_CONNECTING_SHARE;
	placement->shard_connecting_max = part > PL_PLACEMENT_CONNECTING_MIN ? part : PL_PLACEMENT_CONNECTING_MIN;
}

static const struct pl_placement_load *load_of(const struct pl_placement *placement, uint8_t shard)
{
	PL_ASSERT(shard < placement->shard_count);
	return &placement->load[shard];
}

static bool has_place(const struct pl_placement *placement, uint8_t shard)
{
	return load_of(placement, shard)->participants < placement->shard_participants_max;
}

bool pl_placement_may_connect(const struct pl_placement *placement, uint8_t shard)
{
	return load_of(placement, shard)->connecting < placement->shard_connecting_max;
}

static bool is_better(const struct pl_placement *placement, const struct pl_placement_load *a,
	const struct pl_placement_load *b, int64_t now_us)
{
	const bool a_waits = a->connecting >= placement->shard_connecting_max;
	const bool b_waits = b->connecting >= placement->shard_connecting_max;
	if (a_waits != b_waits)
		return b_waits;
	const bool a_rests = a->resting_until_us > now_us, b_rests = b->resting_until_us > now_us;
	if (a_rests != b_rests)
		return b_rests;
	if (a->participants != b->participants)
		return a->participants < b->participants;
	return a->rooms < b->rooms;
}

bool pl_placement_choose(const struct pl_placement *placement, int64_t now_us, uint8_t *shard)
{
	const struct pl_placement_load *best = NULL;
	for (uint8_t i = 0; i < placement->shard_count; i++) {
		const struct pl_placement_load *load = &placement->load[i];
		const bool is_free = has_place(placement, i) && load->rooms < placement->shard_rooms_max;
		if (is_free && (best == NULL || is_better(placement, load, best, now_us)))
			best = load;
	}
	if (best == NULL)
		return false;
	*shard = (uint8_t)(best - placement->load);
	return true;
}

bool pl_placement_choose_for(const struct pl_placement *placement, int64_t now_us, uint8_t home,
	const uint32_t members[static PL_SFU_SHARDS_MAX], uint8_t *shard)
{
	/* Home first, then where it is already, then elsewhere. */
	if (members[home] < placement->room_spread && has_place(placement, home)) {
		*shard = home;
		return true;
	}
	const struct pl_placement_load *fresh = NULL, *crowded = NULL;
	for (uint8_t i = 0; i < placement->shard_count; i++) {
		const struct pl_placement_load *load = &placement->load[i];
		const bool is_there = members[i] > 0 || i == home;
		if (!has_place(placement, i) || (!is_there && load->rooms >= placement->shard_rooms_max))
			continue;
		if (is_there && members[i] < placement->room_spread) {
			*shard = i;
			return true;
		}
		const struct pl_placement_load **best = is_there ? &crowded : &fresh;
		if (*best == NULL || is_better(placement, load, *best, now_us))
			*best = load;
	}
	if (fresh == NULL && crowded == NULL)
		return false;
	*shard = (uint8_t)((fresh != NULL ? fresh : crowded) - placement->load);
	return true;
}

void pl_placement_room_comes(struct pl_placement *placement, uint8_t shard)
{
	PL_ASSERT(load_of(placement, shard)->rooms < placement->shard_rooms_max);
	placement->load[shard].rooms++;
}

void pl_placement_room_goes(struct pl_placement *placement, uint8_t shard)
{
	PL_ASSERT(load_of(placement, shard)->rooms > 0);
	placement->load[shard].rooms--;
}

void pl_placement_participant_comes(struct pl_placement *placement, uint8_t shard)
{
	PL_ASSERT(has_place(placement, shard));
	placement->load[shard].participants++;
}

void pl_placement_participant_goes(struct pl_placement *placement, uint8_t shard)
{
	PL_ASSERT(load_of(placement, shard)->participants > 0);
	placement->load[shard].participants--;
}

void pl_placement_connecting_begins(struct pl_placement *placement, uint8_t shard)
{
	PL_ASSERT(load_of(placement, shard)->connecting < placement->load[shard].participants);
	placement->load[shard].connecting++;
}

void pl_placement_connecting_ends(struct pl_placement *placement, uint8_t shard)
{
	PL_ASSERT(load_of(placement, shard)->connecting > 0);
	placement->load[shard].connecting--;
}

void pl_placement_refused(struct pl_placement *placement, uint8_t shard, int64_t now_us)
{
	PL_ASSERT(shard < placement->shard_count);
	placement->load[shard].resting_until_us = now_us + PL_PLACEMENT_REST_MS * INT64_C(1000);
}
