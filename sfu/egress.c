#include "sfu/egress.h"

void pl_egress_init(struct pl_egress *egress, bool has_trains)
{
	egress->has_trains = has_trains;
	pl_egress_clear(egress);
}

void pl_egress_clear(struct pl_egress *egress)
{
	egress->used = 0;
	egress->count = 0;
}

struct pl_span pl_egress_room(struct pl_egress *egress)
{
	PL_ASSERT(!pl_egress_is_full(egress));
	return (struct pl_span){ egress->arena + egress->used, PL_EGRESS_DATAGRAM_MAX };
}

/* A shorter datagram may end a train; behind it nothing can follow. */
static bool can_extend(const struct pl_egress_train *train, const struct pl_path *path, uint32_t offset, size_t size)
{
	return size <= train->segment && train->size == (uint32_t)train->segment * train->count &&
	       train->offset + train->size == offset && train->count < PL_EGRESS_SEGMENTS_MAX &&
	       train->size + size <= PL_EGRESS_TRAIN_BYTES_MAX && pl_path_equal(&train->path, path);
}

struct pl_span pl_egress_reserve(struct pl_egress *egress, size_t size, uint32_t reserved)
{
	PL_ASSERT(size > 0 && size <= PL_EGRESS_DATAGRAM_MAX && !pl_egress_is_full_with(egress, reserved));
	const struct pl_span room = { egress->arena + egress->used, size };
	egress->used += (uint32_t)size;
	return room;
}

void pl_egress_commit(struct pl_egress *egress, const struct pl_path *path, struct pl_span datagram)
{
	const uint32_t offset = (uint32_t)(datagram.data - egress->arena);
	PL_ASSERT(offset + datagram.size <= egress->used && egress->count < PL_EGRESS_TRAINS_MAX);
	struct pl_egress_train *last = egress->count > 0 ? &egress->train[egress->count - 1] : NULL;
	if (last != NULL && egress->has_trains && can_extend(last, path, offset, datagram.size)) {
		last->size += (uint32_t)datagram.size;
		last->count++;
		return;
	}
	egress->train[egress->count++] = (struct pl_egress_train){
		.path = *path,
		.offset = offset,
		.size = (uint32_t)datagram.size,
		.segment = (uint16_t)datagram.size,
		.count = 1,
	};
}

void pl_egress_push(struct pl_egress *egress, const struct pl_path *path, size_t size)
{
	pl_egress_commit(egress, path, pl_egress_reserve(egress, size, 0));
}
