/* What a codec worker does for a room, as the room's home shard sees it: see sfu/cross.h for what they say to each other.
 *
 * A room has a worker from the moment that it has a listener of a mix, or a publisher of G.711; it is chosen then, and kept
 * until nobody hears a mix, or, after the second, until the room ends.  The worker is told which groups have listeners, and hears the packets of the first talkers
 * in the ranking, but for those who are silent (pl_speaker_is_silent).  What it encodes comes back as packets of tracks of their own (PL_MIX_TRACK), which say whom they are for:
 * to this shard's members they go as any other, to replicas as copies.  Packets of G.711 go there heard or not (but for
 * silence, which ends in sfu/intake.c), and come back as Opus with a level, as if their publisher had sent it.
 * As with other shards media that finds no place is dropped and counted, and state is told again until it lands.
 * Pure: no allocation, no clock, no I/O.  Thread: the shard that owns the conference. */
#ifndef PL_SFU_MIXING_H
#define PL_SFU_MIXING_H

#include "sfu/conference_state.h"

/* Whether there is somebody to tell anything about this room. */
static inline bool pl_mixing_is_told(const struct pl_conference *c, const struct pl_room *room)
{
	return c->config.worker_count > 0 && (room->groups != 0 || room->worker != 0);
}

/* Home: tells the worker what has changed in the room.  False: some of it found no place. */
PL_MUST_USE bool pl_mixing_tell(struct pl_conference *c, struct pl_room *room);

/* Whether the worker keeps something for the room. */
bool pl_mixing_is_needed(const struct pl_room *room);

/* Home: takes a packet that is heard to the mix, when its talker is among those that are mixed; the caller keeps its
 * reference.  False: it is not for the mix.  One that finds no place is counted. */
bool pl_mixing_hear(struct pl_conference *c, struct pl_room *room, struct pl_packet *packet);

/* Home: has a packet of G.711 made into Opus; the caller keeps its reference. */
PL_MUST_USE enum pl_drop pl_mixing_transcode(struct pl_conference *c, struct pl_room *room, struct pl_packet *packet);

/* Takes one message of a worker.  Its packet is borrowed until the conference is drained. */
PL_MUST_USE enum pl_drop pl_mixing_take(
	struct pl_conference *c, int64_t now_us, uint8_t worker, const struct pl_cross *message);

#endif
