/* A shard's conferences: rooms, participants, their transports, tracks and slots, as one sans-IO machine.
 * Datagrams, commands and a monotonic time go in; datagrams and events come out.  So whole conferences run in
 * virtual time in a test, and the thread around it (sfu/shard.h) only moves bytes.
 * No socket, no clock, no lock; memory is taken once, at create (OpenSSL and libsrtp take theirs per join).
 * Thread: the shard that owns it. */
#ifndef PL_SFU_CONFERENCE_H
#define PL_SFU_CONFERENCE_H

#include "media/rng.h"
#include "sfu/cross.h"
#include "sfu/egress.h"
#include "sfu/histogram.h"
#include "sfu/holding.h"
#include "sfu/relief.h"
#include "sfu/types.h"

struct pl_conference;

enum {
	PL_CONFERENCE_PACKETS = 2048,
	PL_CONFERENCE_ASSOCIATION_BYTES = 48 << 10, /* OpenSSL's, of one that is not settled, and what lies between */
};

struct pl_conference_config {
	const struct pl_dtls_identity *identity; /* outlives the conference */
	struct pl_srtp_engine *srtp;             /* of the conference's thread; outlives it, too */
	uint32_t participants_max;
	uint32_t rooms_max;
	uint32_t packets; /* buffers in the pool, PL_POOL_PACKETS_MIN to _MAX; 0: PL_CONFERENCE_PACKETS */
	struct pl_span
		packet_memory; /* pl_pool_bytes(packets), aligned to 64, outlives the conference; or empty: heap */
	/* Of several shards: */
	uint8_t shard;             /* which this one is */
	uint8_t shard_count;       /* 0 as 1: rooms do not spread */
	const uint8_t *shard_node; /* the NUMA node of each, shard_count of them; outlives the conference */
	uint32_t remotes_max;      /* tracks of other shards that rooms which are at home here may have */
	uint8_t worker_count;      /* codec workers; 0: nothing is mixed or transcoded */
	uint8_t mix_talkers;       /* in a mix, at most PL_MIX_CSRC_MAX; 0: PL_MIX_TALKERS */
	struct pl_cross_port port;
	uint64_t seed;         /* for what needs no secrecy, and for the hash tables */
	int64_t ntp_offset_us; /* microseconds since 1900 = now_us + this; for sender reports */
};

/* What went on, counted by the one thread that owns the conference. */
struct pl_conference_counters {
	uint64_t datagrams_in, datagrams_out, bytes_in, bytes_out;
	uint64_t rtp_in, rtp_out;
	uint64_t nacks_in; /* packets that receivers asked for again */
	uint64_t drop[PL_DROP_COUNT];
	uint64_t crossed;                                 /* packets taken from other shards */
	uint64_t copied;                                  /* of them, into this shard's own memory */
	uint64_t pool_low;                                /* times that the packet pool became low */
	uint32_t participants, rooms;                     /* now, without canaries */
	uint32_t rooms_moved;                             /* now: where PL_AUDIO_AUTO is the mix */
	uint32_t packets, packets_used, packets_used_max; /* buffers of the pool: all, now, ever */
};

enum pl_conference_drained {
	PL_CONFERENCE_DONE,  /* nothing is left but events that were not wanted */
	PL_CONFERENCE_FULL,  /* the egress is: send and clear it, and go on */
	PL_CONFERENCE_EVENT, /* there is one; go on */
};

PL_MUST_USE enum pl_err pl_conference_create(
	struct pl_conference **conference, const struct pl_conference_config *config);
void pl_conference_destroy(struct pl_conference **conference);

/* False while so many refusals wait to be taken as events that another JOIN might not be answered: leave the
 * command where it is, and take events first. */
bool pl_conference_accepts(const struct pl_conference *c);

/* Takes the command; its description is copied, and stays the caller's to free.  Drained before (asserts); so that
 * no refusal is lost, ask pl_conference_accepts first. */
void pl_conference_command(struct pl_conference *c, int64_t now_us, const struct pl_command *command);

/* One datagram, which may be gone when this returns.  A packet to be forwarded waits for the drain, and so do others after it:
 * feed a whole batch, and drain when it ends or whenever pl_conference_must_drain (asserts). */
void pl_conference_feed(struct pl_conference *c, int64_t now_us, const struct pl_path *path, struct pl_bytes datagram);

/* One message of another shard, or of a codec worker: from is PL_CROSS_WORKER() of its index.  Its packet is borrowed until the next drain that is complete.  The same rules as for
 * pl_conference_feed. */
void pl_conference_cross(struct pl_conference *c, int64_t now_us, uint8_t from, const struct pl_cross *message);

/* The receiver of a message is done with it: its packet loses the port's reference. */
void pl_conference_release(struct pl_conference *c, struct pl_packet *packet);

/* What is taken from listeners from now on, or given back: by the next ticks, room by room.  What a listener loses ends with a frame of
 * silence.  Rooms are moved to the mix one after the other, so that it shows whether the codec workers have the time for it. */
void pl_conference_relieve(struct pl_conference *c, const struct pl_relief *relief);

/* Something must go out before the next datagram is fed. */
bool pl_conference_must_drain(const struct pl_conference *c);

/* Call at or after the deadline, drained (asserts).  At most one step of one handshake is done in it. */
void pl_conference_tick(struct pl_conference *c, int64_t now_us);
/* Steps of handshakes wait for ticks. */
bool pl_conference_has_handshakes(const struct pl_conference *c);
int64_t pl_conference_deadline(const struct pl_conference *c); /* INT64_MAX when idle, INT64_MIN: now */

/* Has everything that is to be sent written into egress, encrypted, and takes an event.  with_events: false when the caller
 * has no place for an event now: they wait inside, and none is lost (a newer slot map or speaker list replaces an older). */
PL_MUST_USE enum pl_conference_drained pl_conference_drain(
	struct pl_conference *c, int64_t now_us, struct pl_egress *egress, bool with_events, struct pl_event *event);

/* Everybody leaves: drain, and the goodbyes are sent.  No events follow. */
void pl_conference_close(struct pl_conference *c, int64_t now_us);

/* The caller counts what only it can see (PL_DROP_EGRESS_FULL, PL_DROP_TOO_LARGE). */
void pl_conference_count_drop(struct pl_conference *c, enum pl_drop drop);

/* RTP packets that came, and that went, ever. */
uint64_t pl_conference_rtp_in(const struct pl_conference *c);
uint64_t pl_conference_rtp_out(const struct pl_conference *c);

/* How long it took from a JOIN until media could flow. */
const struct pl_histogram *pl_conference_joins(const struct pl_conference *c);

/* With the gauges of now. */
struct pl_conference_counters pl_conference_counters(const struct pl_conference *c);

/* Adds what it holds. */
void pl_conference_add_holding(const struct pl_conference *c, struct pl_holding *sum);

/* The most packet buffers that were in use at a time, of all, since this was asked last. */
unsigned pl_conference_pool_permille(struct pl_conference *c);

#endif
