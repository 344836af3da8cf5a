#include "sfu/codec.h"

#include "media/rng.h"
#include "media/trace.h"
#include "media/transcode.h"
#include "sfu/queue.h"
#include "sfu/table.h"
#include "sfu/timers.h"

enum { TICK_MARGIN = PL_CODEC_BEHIND_TICKS * PL_MIXER_TICK_US };

/* What each step of the load leaves a transcoder. */
static const struct pl_opus_tuning transcoder_tuning[PL_MIXER_LOAD_STEPS] = { { 24000, 9, 0 }, { 24000, 5, 0 },
	{ 24000, 5, 0 }, { 20000, 2, 0 }, { 16000, 0, 0 } };

struct room {
	struct pl_mixer mixer;
	struct pl_table_node by_id;
	struct pl_queue_node active; /* in its phase's queue while it is to be ticked */
	uint32_t id;
	uint8_t home, phase;
};

/* A G.711 publisher.  The struct pl_transcode follows in the same block. */
struct transcoder {
	_Alignas(64) struct pl_table_node by_track;
	struct pl_queue_node pending; /* has frames to be taken */
	struct pl_timer timer;
	int64_t heard_us;
	uint32_t room, track;
	uint8_t home;
	uint8_t step; /* of the load that it is tuned to */
};

struct phase {
	struct pl_queue active; /* of rooms */
	uint32_t room_count;    /* that belong to it */
	uint32_t active_count;
	int64_t ran_us; /* INT64_MIN for never */
};

struct pl_codec {
	struct pl_codec_config config;
	struct pl_mixer_pools pools;
	struct pl_mixer_load load;
	struct pl_rng rng;
	struct pl_pool pool;
	struct pl_blocks rooms, transcoders;
	struct pl_table rooms_by_id, transcoders_by_track;
	struct pl_timers timers; /* of transcoders */
	struct pl_queue pending; /* transcoders with frames */
	struct phase phase[PL_CODEC_PHASES];
	uint32_t active_count;
	int64_t step; /* the next one: due at step * PL_CODEC_STEP_US; has a meaning while rooms are active */

	/* The step that is worked on: */
	struct room *mixing; /* ticked, not drained; NULL for none */
	uint32_t left;       /* rooms of the phase that are still to be ticked */
	uint8_t phase_now;
	uint32_t tick_now;

	struct pl_packet *lost; /* where frames go when there is no buffer */
	struct pl_codec_counters counters;
	struct pl_histogram lateness;
};

/* ---- memory ---- */

static size_t aligned(size_t size)
{
	return (size + PL_BLOCKS_ALIGN - 1) / PL_BLOCKS_ALIGN * PL_BLOCKS_ALIGN;
}

static size_t transcoder_bytes(void)
{
	return sizeof(struct transcoder) + pl_transcode_bytes();
}

static struct pl_transcode *transcode_of(struct transcoder *t)
{
	return (struct pl_transcode *)(void *)(t + 1);
}

static struct pl_span cut(struct pl_span *memory, size_t size)
{
	PL_ASSERT(memory->size >= aligned(size));
	const struct pl_span part = { memory->data, size };
	*memory = (struct pl_span){ memory->data + aligned(size), memory->size - aligned(size) };
	return part;
}

size_t pl_codec_bytes(const struct pl_codec_config *config)
{
	return aligned(sizeof(struct pl_codec)) + PL_PACKET_SIZE + aligned(pl_pool_bytes(config->packets)) +
	       aligned(pl_mixer_pools_bytes(config->voices_max, config->encoders_max)) +
	       aligned(pl_blocks_bytes(sizeof(struct room), config->rooms_max)) +
	       aligned(pl_blocks_bytes(transcoder_bytes(), config->transcoders_max)) +
	       aligned(pl_table_buckets(config->rooms_max) * sizeof(struct pl_table_node *)) +
	       aligned(pl_table_buckets(config->transcoders_max) * sizeof(struct pl_table_node *)) +
	       aligned((config->transcoders_max + 1) * sizeof(struct pl_timer *));
}

static void init_table(struct pl_table *table, struct pl_span *memory, uint32_t nodes_max)
{
	const size_t buckets = pl_table_buckets(nodes_max);
	pl_table_init(table, (void *)cut(memory, buckets * sizeof(struct pl_table_node *)).data, buckets);
}

void pl_codec_init(struct pl_codec **codec, const struct pl_codec_config *config, struct pl_span memory)
{
	PL_ASSERT((uintptr_t)memory.data % PL_BLOCKS_ALIGN == 0);
	struct pl_codec *c = (void *)cut(&memory, sizeof *c).data;
	*c = (struct pl_codec){ .config = *config };
	c->lost = (void *)cut(&memory, PL_PACKET_SIZE).data;
	pl_pool_init(&c->pool, cut(&memory, pl_pool_bytes(config->packets)), config->packets);
	pl_mixer_pools_init(&c->pools, config->templates, config->dsp,
		cut(&memory, pl_mixer_pools_bytes(config->voices_max, config->encoders_max)), config->voices_max,
		config->encoders_max);
	pl_blocks_init(&c->rooms, cut(&memory, pl_blocks_bytes(sizeof(struct room), config->rooms_max)),
		sizeof(struct room), config->rooms_max);
	pl_blocks_init(&c->transcoders, cut(&memory, pl_blocks_bytes(transcoder_bytes(), config->transcoders_max)),
		transcoder_bytes(), config->transcoders_max);
	init_table(&c->rooms_by_id, &memory, config->rooms_max);
	init_table(&c->transcoders_by_track, &memory, config->transcoders_max);
	pl_timers_init(&c->timers, (void *)cut(&memory, (config->transcoders_max + 1) * sizeof(struct pl_timer *)).data,
		config->transcoders_max);
	pl_rng_init(&c->rng, config->seed);
	for (uint8_t i = 0; i < PL_CODEC_PHASES; i++)
		c->phase[i].ran_us = INT64_MIN;
	*codec = c;
}

static bool is_drained(const struct pl_codec *c)
{
	return c->mixing == NULL && c->left == 0 && pl_queue_first(&c->pending) == NULL;
}

/* ---- rooms ---- */

static uint64_t hash(const struct pl_codec *c, uint32_t id)
{
	return pl_table_hash_id(id, c->config.seed);
}

static struct room *find_room(const struct pl_codec *c, uint32_t id)
{
	struct pl_table_node *node = pl_table_first(&c->rooms_by_id, hash(c, id));
	while (node != NULL && ((struct room *)node->owner)->id != id)
		node = pl_table_next(node);
	return node != NULL ? node->owner : NULL;
}

static struct room *add_room(struct pl_codec *c, uint32_t id)
{
	struct room *room = pl_blocks_acquire(&c->rooms);
	if (room == NULL)
		return NULL;
	*room = (struct room){ .id = id };
	for (uint8_t i = 1; i < PL_CODEC_PHASES; i++) {
		if (c->phase[i].room_count < c->phase[room->phase].room_count)
			room->phase = i;
	}
	c->phase[room->phase].room_count++;
	pl_mixer_init(&room->mixer, &(struct pl_mixer_config){ .pools = &c->pools,
					    .ssrc = (uint32_t)pl_rng_next(&c->rng),
					    .talkers_max = c->config.talkers_max });
	pl_table_insert(&c->rooms_by_id, &room->by_id, hash(c, id), room);
	return room;
}

static void activate(struct pl_codec *c, int64_t now_us, struct room *room)
{
	if (room->active.owner != NULL)
		return;
	/* While nobody talked no step was counted. */
	if (c->active_count == 0)
		c->step = now_us / PL_CODEC_STEP_US + 1;
	pl_queue_push(&c->phase[room->phase].active, &room->active, room);
	c->phase[room->phase].active_count++;
	c->active_count++;
}

static void deactivate(struct pl_codec *c, struct room *room)
{
	if (room->active.owner == NULL)
		return;
	pl_queue_remove(&c->phase[room->phase].active, &room->active);
	c->phase[room->phase].active_count--;
	c->active_count--;
}

static void remove_room(struct pl_codec *c, struct room *room)
{
	pl_mixer_groups(&room->mixer, 0, 0);
	deactivate(c, room);
	c->phase[room->phase].room_count--;
	pl_table_remove(&c->rooms_by_id, &room->by_id);
	pl_blocks_release(&c->rooms, room);
}

/* ---- transcoders ---- */

static struct transcoder *find_transcoder(const struct pl_codec *c, uint32_t track)
{
	struct pl_table_node *node = pl_table_first(&c->transcoders_by_track, hash(c, track));
	while (node != NULL && ((struct transcoder *)node->owner)->track != track)
		node = pl_table_next(node);
	return node != NULL ? node->owner : NULL;
}

static struct transcoder *add_transcoder(struct pl_codec *c, uint32_t track)
{
	struct transcoder *t = pl_blocks_acquire(&c->transcoders);
	if (t == NULL)
		return NULL;
	*t = (struct transcoder){ .track = track, .timer.owner = t, .step = c->load.step };
	pl_transcode_start(transcode_of(t), &(struct pl_transcode_config){ .templates = c->config.templates,
						    .ssrc = (uint32_t)pl_rng_next(&c->rng),
						    .ts_first = (uint32_t)pl_rng_next(&c->rng),
						    .seq_first = (uint16_t)pl_rng_next(&c->rng) });
	pl_transcode_tune(transcode_of(t), &transcoder_tuning[t->step]);
	pl_table_insert(&c->transcoders_by_track, &t->by_track, hash(c, track), t);
	return t;
}

static void remove_transcoder(struct pl_codec *c, struct transcoder *t)
{
	pl_timers_set(&c->timers, &t->timer, INT64_MAX);
	pl_table_remove(&c->transcoders_by_track, &t->by_track);
	pl_blocks_release(&c->transcoders, t);
}

/* What it waits for, or that it is needed no more. */
static void set_timer(struct pl_codec *c, struct transcoder *t)
{
	const int64_t idle_us = t->heard_us + PL_CODEC_TRANSCODER_IDLE_US;
	const int64_t deadline_us = pl_transcode_deadline(transcode_of(t));
	pl_timers_set(&c->timers, &t->timer, deadline_us < idle_us ? deadline_us : idle_us);
}

static enum pl_drop transcode(
	struct pl_codec *c, int64_t now_us, uint8_t from, uint32_t room, const struct pl_packet *packet)
{
	struct transcoder *t = find_transcoder(c, packet->track);
	if (t == NULL)
		t = add_transcoder(c, packet->track);
	if (t == NULL)
		return PL_DROP_MIX_FULL;
	t->room = room;
	t->home = from;
	t->heard_us = now_us;
	if (t->step != c->load.step) {
		t->step = c->load.step;
		pl_transcode_tune(transcode_of(t), &transcoder_tuning[t->step]);
	}
	const enum pl_drop drop = pl_transcode_feed(transcode_of(t), now_us, packet);
	pl_queue_push(&c->pending, &t->pending, t);
	return drop;
}

/* ---- what comes in ---- */

static void open_room(struct pl_codec *c, uint8_t from, const struct pl_cross *message)
{
	struct room *room = find_room(c, message->room);
	if (message->groups == 0) {
		if (room != NULL)
			remove_room(c, room);
		return;
	}
	if (room == NULL)
		room = add_room(c, message->room);
	if (room == NULL) {
		c->counters.rooms_full += message->kind == PL_CROSS_MIX_OPEN;
		return;
	}
	room->home = from;
	pl_mixer_groups(&room->mixer, message->groups, message->fresh);
}

static enum pl_drop hear(struct pl_codec *c, int64_t now_us, uint8_t from, const struct pl_cross *message)
{
	struct room *room = find_room(c, message->room);
	if (room == NULL) {
		/* There was no place for it when it was opened: it is asked again with each packet. */
		open_room(c, from, message);
		room = find_room(c, message->room);
	}
	if (room == NULL)
		return message->groups != 0 ? PL_DROP_MIX_FULL : PL_DROP_MIX_CLOSED;
	const enum pl_drop drop = pl_mixer_hear(&room->mixer, now_us, message->packet);
	if (!pl_mixer_is_idle(&room->mixer))
		activate(c, now_us, room);
	return drop;
}

void pl_codec_take(struct pl_codec *c, int64_t now_us, uint8_t from, const struct pl_cross *message)
{
	PL_ASSERT(is_drained(c));
	enum pl_drop drop = PL_DROP_NONE;
	struct room *room;
	switch (message->kind) {
	case PL_CROSS_MIX_OPEN:
		open_room(c, from, message);
		break;
	case PL_CROSS_MIX_HEAR:
		drop = hear(c, now_us, from, message);
		c->counters.heard += drop == PL_DROP_NONE;
		break;
	case PL_CROSS_MIX_SILENT:
		room = find_room(c, message->room);
		if (room != NULL)
			pl_mixer_silence(&room->mixer, message->track);
		break;
	case PL_CROSS_TRANSCODE:
		drop = transcode(c, now_us, from, message->room, message->packet);
		c->counters.heard += drop == PL_DROP_NONE;
		break;
	default:
		PL_ASSERT(false); /* of the kinds between shards */
	}
	if (drop != PL_DROP_NONE)
		pl_drop_count(c->counters.drop, drop);
}

/* ---- time ---- */

/* When the next step may be made: in time, or, to make up for a late one, not too soon after the phase's last. */
static int64_t step_deadline(const struct pl_codec *c)
{
	if (c->active_count == 0)
		return INT64_MAX;
	const int64_t due_us = c->step * PL_CODEC_STEP_US, ran_us = c->phase[c->step % PL_CODEC_PHASES].ran_us;
	return ran_us > due_us - PL_CODEC_CATCH_UP_US ? ran_us + PL_CODEC_CATCH_UP_US : due_us;
}

int64_t pl_codec_deadline(const struct pl_codec *c)
{
	const int64_t step_us = step_deadline(c), timers_us = pl_timers_deadline(&c->timers);
	return step_us < timers_us ? step_us : timers_us;
}

/* Whole ticks are left out, so that each phase keeps its turn. */
static void leave_out(struct pl_codec *c, int64_t now_us)
{
	const int64_t behind_us = now_us - c->step * PL_CODEC_STEP_US;
	if (behind_us <= TICK_MARGIN)
		return;
	const int64_t ticks = behind_us / PL_MIXER_TICK_US;
	c->step += ticks * PL_CODEC_PHASES;
	c->counters.left_out += (uint64_t)ticks;
}

static void begin_step(struct pl_codec *c, int64_t now_us)
{
	leave_out(c, now_us);
	const int64_t late_us = now_us - c->step * PL_CODEC_STEP_US;
	struct phase *phase = &c->phase[c->step % PL_CODEC_PHASES];
	c->phase_now = (uint8_t)(c->step % PL_CODEC_PHASES);
	c->tick_now = (uint32_t)(c->step / PL_CODEC_PHASES);
	c->step++;
	phase->ran_us = now_us;
	c->left = phase->active_count;
	if (c->left == 0)
		return;
	c->counters.steps++;
	pl_histogram_note(&c->lateness, late_us);
	if (late_us > PL_CODEC_STEP_US) {
		c->counters.late++;
		PL_TRACE(tick_late, late_us);
	}
	if (late_us > c->counters.late_us_max)
		c->counters.late_us_max = late_us;
}

void pl_codec_tick(struct pl_codec *c, int64_t now_us)
{
	PL_ASSERT(is_drained(c));
	if (now_us >= step_deadline(c))
		begin_step(c, now_us);
	struct pl_timer *timer;
	while ((timer = pl_timers_take(&c->timers, now_us)) != NULL) {
		struct transcoder *t = timer->owner;
		pl_transcode_tick(transcode_of(t), now_us);
		pl_queue_push(&c->pending, &t->pending, t);
	}
}

/* ---- what goes out ---- */

/* A buffer to write into; where none is free, one whose contents nobody gets, for the encoders go on all the same. */
static struct pl_packet *take_buffer(struct pl_codec *c)
{
	struct pl_packet *packet = pl_pool_take_reserve(&c->pool);
	return packet != NULL ? packet : c->lost;
}

static bool hand_out(struct pl_codec *c, struct pl_packet *packet)
{
	if (packet == c->lost)
		pl_drop_count(c->counters.drop, PL_DROP_POOL_LOW);
	else
		c->counters.sent++;
	return packet != c->lost;
}

static void put_back(struct pl_codec *c, struct pl_packet *packet)
{
	if (packet != c->lost)
		pl_pool_release(&c->pool, packet);
}

/* The next frame of a transcoder. */
static bool next_transcoded(struct pl_codec *c, int64_t now_us, uint8_t *to_shard, struct pl_cross *message)
{
	struct transcoder *t;
	while ((t = pl_queue_first(&c->pending)) != NULL) {
		struct pl_packet *packet = take_buffer(c);
		if (!pl_transcode_next(transcode_of(t), packet)) {
			put_back(c, packet);
			pl_queue_remove(&c->pending, &t->pending);
			if (now_us >= t->heard_us + PL_CODEC_TRANSCODER_IDLE_US)
				remove_transcoder(c, t);
			else
				set_timer(c, t);
		} else if (hand_out(c, packet)) {
			*to_shard = t->home;
			*message = (struct pl_cross){ .kind = PL_CROSS_TRANSCODED, .room = t->room, .packet = packet };
			return true;
		}
	}
	return false;
}

/* The next room of the step is mixed; each that is done goes behind the others, so all get their turn. */
static bool mix_next_room(struct pl_codec *c, int64_t now_us)
{
	if (c->left == 0)
		return false;
	struct pl_queue *active = &c->phase[c->phase_now].active;
	struct room *room = pl_queue_first(active);
	c->left--;
	pl_queue_remove(active, &room->active);
	pl_queue_push(active, &room->active, room);
	pl_mixer_tick(&room->mixer, now_us, c->tick_now, &c->load);
	c->mixing = room;
	return true;
}

static bool next_mixed(struct pl_codec *c, int64_t now_us, uint8_t *to_shard, struct pl_cross *message)
{
	while (c->mixing != NULL || mix_next_room(c, now_us)) {
		struct room *room = c->mixing;
		struct pl_packet *packet = take_buffer(c);
		if (!pl_mixer_next(&room->mixer, packet)) {
			put_back(c, packet);
			c->mixing = NULL;
			if (pl_mixer_is_idle(&room->mixer))
				deactivate(c, room);
		} else if (hand_out(c, packet)) {
			*to_shard = room->home;
			*message = (struct pl_cross){ .kind = PL_CROSS_MIX, .room = room->id, .packet = packet };
			return true;
		}
	}
	return false;
}

bool pl_codec_next(struct pl_codec *c, int64_t now_us, uint8_t *to_shard, struct pl_cross *message)
{
	return next_transcoded(c, now_us, to_shard, message) || next_mixed(c, now_us, to_shard, message);
}

void pl_codec_release(struct pl_codec *c, struct pl_packet *packet)
{
	pl_pool_release(&c->pool, packet);
}

/* ---- the rest ---- */

void pl_codec_set_load(struct pl_codec *c, struct pl_mixer_load load)
{
	PL_ASSERT(load.step < PL_MIXER_LOAD_STEPS);
	c->load = load;
}

void pl_codec_set_dsp(struct pl_codec *c, const struct pl_dsp *dsp)
{
	c->pools.dsp = dsp;
}

void pl_codec_count_drop(struct pl_codec *c, enum pl_drop drop)
{
	pl_drop_count(c->counters.drop, drop);
}

struct pl_codec_counters pl_codec_counters(struct pl_codec *c)
{
	struct pl_codec_counters counters = c->counters;
	c->counters.late_us_max = 0;
	counters.mixer = c->pools.counters;
	counters.rooms = c->rooms.used;
	counters.rooms_active = c->active_count;
	counters.voices = c->pools.voices.used;
	counters.voices_most = c->pools.voices.most;
	counters.encoders = c->pools.encoders.used;
	counters.encoders_most = c->pools.encoders.most;
	counters.transcoders = c->transcoders.used;
	counters.packets_used = pl_pool_used(&c->pool);
	return counters;
}

const struct pl_histogram *pl_codec_lateness(const struct pl_codec *c)
{
	return &c->lateness;
}

unsigned pl_codec_pool_permille(struct pl_codec *c)
{
	return (unsigned)((uint64_t)pl_pool_used_lately(&c->pool) * 1000 / c->pool.capacity);
}

void pl_codec_add_holding(const struct pl_codec *c, struct pl_holding *sum)
{
	sum->bytes[PL_HOLDING_PACKETS] += pl_pool_bytes(c->pool.capacity);
	sum->bytes[PL_HOLDING_CODECS] += sizeof *c +
					 pl_blocks_touched_bytes(&c->pools.voices) +
					 pl_blocks_touched_bytes(&c->pools.encoders) +
					 pl_blocks_touched_bytes(&c->rooms) + pl_blocks_touched_bytes(&c->transcoders);
}
