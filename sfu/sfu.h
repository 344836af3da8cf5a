/* The media plane's one public face: start it, send it commands, take its events.  Signaling sees nothing else.
 * It is made of shards, numbered from 0: threads with a UDP port and memory of their own.  Which room goes to which is
 * the caller's choice (sfu/placement.h), and the command says it.
 * Commands and events go through bounded single-producer rings; after the start nothing here ever waits for a shard.
 * Thread: all calls from the one signaling thread. */
#ifndef PL_SFU_SFU_H
#define PL_SFU_SFU_H

#include "media/addr.h"
#include "sfu/canary_rota.h"
#include "sfu/codec.h"
#include "sfu/conference.h"
#include "sfu/histogram.h"
#include "sfu/load.h"
#include "sfu/phases.h"
#include "sfu/types.h"

enum { PL_SFU_ADDRESSES_MAX = 16 };

struct pl_sfu_config {
	uint16_t port;                                /* of shard 0, the others' follow; 0: any free port for each */
	uint16_t shards;                              /* at most PL_SFU_SHARDS_MAX; 0: as many as fit the machine */
	bool with_loopback;                           /* discovered addresses include 127.0.0.1 and ::1 */
	uint8_t address_count;                        /* 0: discovered from the interfaces */
	struct pl_addr address[PL_SFU_ADDRESSES_MAX]; /* to advertise; the port is ignored */
	enum pl_srtp_backend srtp;                    /* PL_SRTP_AUTO: the fastest there is */
	uint32_t participants_max, rooms_max;         /* of all shards together; each has tables for its share */
	uint32_t room_participants_max;               /* 0: as participants_max */
	uint32_t packets;                             /* buffers of each shard's pool; 0: PL_CONFERENCE_PACKETS */
	uint32_t coalesce_us;                         /* how long a shard gathers packets before it forwards them */
	uint16_t codec_workers;                       /* of each NUMA node that has shards; 0: by its cores */
	uint8_t mix_talkers;                          /* in one mix, at most PL_MIX_CSRC_MAX; 0: PL_MIX_TALKERS */
	bool is_without_codecs;                       /* no codec workers: nothing is mixed, and G.711 not taken */
	enum pl_simd simd;                            /* what mixes: one that this machine has (pl_simd_lack) */
	int64_t canary_us;                            /* the canary sings so often; 0: there is none */
	struct pl_phases *phases;                     /* that the start marks; NULL: nobody asks */
	bool has_pressure_level;                      /* the level is pressure_level, whatever the score */
	uint8_t pressure_level;                       /* enum pl_pressure_level */
	const char *pressure_root;                    /* where the kernel's files are that tell of pressure; NULL: "" */
};

struct pl_sfu;

/* On error *sfu is NULL, and error (of error_size bytes) has a sentence for the operator, with the key and the port. */
PL_MUST_USE enum pl_err pl_sfu_create(
	struct pl_sfu **sfu, const struct pl_sfu_config *config, char *error, size_t error_size);
/* Stops the threads; open sessions get their close_notify. */
void pl_sfu_destroy(struct pl_sfu **sfu);

const struct pl_fingerprint *pl_sfu_fingerprint(const struct pl_sfu *sfu);

/* What protects the packets, for people: "ipsec-mb 1.3.0, AVX512".  Valid as long as sfu. */
const char *pl_sfu_srtp_text(const struct pl_sfu *sfu);

size_t pl_sfu_shard_count(const struct pl_sfu *sfu); /* at least 1 */
uint16_t pl_sfu_port(const struct pl_sfu *sfu, size_t shard);

/* Host candidates to put into the answers of a shard's participants, best first, each with the shard's port. */
size_t pl_sfu_candidates(const struct pl_sfu *sfu, size_t shard, struct pl_addr candidate[static PL_SFU_ADDRESSES_MAX]);

/* To command->shard.  False when its ring is full: the command (and its description) stays the caller's. */
PL_MUST_USE bool pl_sfu_send(struct pl_sfu *sfu, const struct pl_command *command);

/* Takes the next event, of the shards in turn; those of one shard are in order.  False when there is none. */
PL_MUST_USE bool pl_sfu_receive(struct pl_sfu *sfu, struct pl_event *event);

/* The caller stops before pl_sfu_receive was false: the descriptor stays readable. */
void pl_sfu_receive_later(struct pl_sfu *sfu);

/* Readable when events wait; pl_sfu_receive until false clears it. */
int pl_sfu_event_fd(const struct pl_sfu *sfu);

/* How many commands pl_sfu_send takes now for a shard, at least. */
size_t pl_sfu_commands_free(struct pl_sfu *sfu, size_t shard);

/* The sentence number index that the operator should read about this start (a small socket buffer and the command that
 * mends it), NULL behind the last.  Valid as long as sfu. */
const char *pl_sfu_warning(const struct pl_sfu *sfu, size_t index);

enum { PL_SFU_SHARD_TEXT_SIZE = 512 };

/* Writes a line for the log: where a shard's thread and memory are.  False: the machine did not allow all that was wanted
 * (huge pages, locked memory); the line says what. */
bool pl_sfu_describe_shard(const struct pl_sfu *sfu, size_t shard, char text[static PL_SFU_SHARD_TEXT_SIZE]);

struct pl_sfu_counters {
	struct pl_conference_counters conference;
	uint64_t kernel_drops; /* datagrams that a socket's receive queue had no room for */
	uint64_t send_full;    /* datagrams that a socket's send buffer had no room for */
	uint64_t send_failed;  /* datagrams that the kernel refused to send to their destination */
	uint64_t trains_cut;   /* trains of datagrams that went out one by one, because their destination takes none */
	uint64_t trains_refused; /* of these the ones that were tried */
	uint64_t syscalls;       /* to wait for, take and send datagrams */
	uint64_t events_delayed; /* times that a shard's events had to wait for signaling */
	/* The most that one turn of a shard did of what keeps packets waiting. */
	uint64_t handshakes_turn_max; /* steps of handshakes */
	uint64_t joins_turn_max;
};

/* What a codec worker counts. */
struct pl_sfu_worker_counters {
	struct pl_codec_counters codec;
	uint64_t busy_us;   /* at work, in which others may have had the processor */
	uint64_t waits;     /* times that it slept */
	uint64_t load;      /* thousandths of the time at work, lately */
	uint64_t load_step; /* that its encoders have */
	int64_t late_us_max;
};

size_t pl_sfu_worker_count(const struct pl_sfu *sfu); /* 0: nothing is mixed */

/* From now on all mix with these instructions: no listener notices.  False: this machine lacks them, nothing has changed. */
PL_MUST_USE bool pl_sfu_set_simd(struct pl_sfu *sfu, enum pl_simd simd);

enum { PL_SFU_ALL_WORKERS = PL_WORKERS_MAX };

/* From its next 5 ms on a worker's encoders, or those of all, work as hard as this step of the ladder says (struct
 * pl_mixer_load); no listener hears a click.  False: there is no such worker or step, nothing has changed. */
PL_MUST_USE bool pl_sfu_set_load_step(struct pl_sfu *sfu, size_t worker, uint8_t step);
uint8_t pl_sfu_load_step(const struct pl_sfu *sfu, size_t worker); /* that was set last */

/* How hard the server is pressed, at most 100 ms old. */
struct pl_sfu_pressure {
	struct pl_pressure now;
	uint64_t samples, samples_late; /* that were taken; of these more than a period too late */
	uint64_t raised;                /* times that the level rose */
	uint64_t events_delayed;        /* samples that signaling had no room for */
};
void pl_sfu_pressure(const struct pl_sfu *sfu, struct pl_sfu_pressure *now);

/* Which inputs this machine does not have, in words; "" for none.  Valid as long as sfu. */
const char *pl_sfu_pressure_missing(const struct pl_sfu *sfu);

/* The level is this one from now on, and so is what it takes away; PL_PRESSURE_LEVELS: as the score has it. */
void pl_sfu_force_level(struct pl_sfu *sfu, uint8_t level);
uint8_t pl_sfu_forced_level(const struct pl_sfu *sfu);

void pl_sfu_worker_counters(const struct pl_sfu *sfu, size_t worker, struct pl_sfu_worker_counters *counters);

/* How long things took in a shard, ever. */
struct pl_sfu_times {
	struct pl_histogram late; /* how late its turns began (struct pl_load) */
	struct pl_histogram
		transit; /* packets to listeners, of one batch of sixteen: from when the kernel had one of those they came in to the
	                  * end of the call that sent them.  What comes over another shard or a codec worker is not in it */
	struct pl_histogram join; /* from a JOIN to where media can flow */
};
void pl_sfu_shard_times(const struct pl_sfu *sfu, size_t shard, struct pl_sfu_times *times);

/* How late a codec worker's ticks were. */
void pl_sfu_worker_lateness(const struct pl_sfu *sfu, size_t worker, struct pl_histogram *late);

/* What the parts of the server hold of its memory.  Signaling says what its connections do. */
void pl_sfu_holding(const struct pl_sfu *sfu, struct pl_holding *holding);
void pl_sfu_account(struct pl_sfu *sfu, uint64_t connection_bytes);

/* How busy a shard's thread, or a codec worker's, is.  Of the last tenth of a second while it works; nothing while it sleeps; and one
 * that does not come back from its work is as busy as can be.  Any thread. */
void pl_sfu_shard_load(const struct pl_sfu *sfu, size_t shard, struct pl_load *load);
void pl_sfu_worker_load(const struct pl_sfu *sfu, size_t worker, struct pl_load *load);

/* A thread of the media plane that should have begun a turn and has not. */
struct pl_sfu_stall {
	bool is_worker;
	size_t index;   /* of the shard, or worker */
	int64_t for_us; /* so long it has not */
};

/* The worst of those that have not for after_us; false: there is none.  When the whole process was stopped for a while, all of
 * them seem to hang for a moment after: ask again before it is believed. */
PL_MUST_USE bool pl_sfu_stalled(struct pl_sfu *sfu, int64_t after_us, struct pl_sfu_stall *stall);

/* What the canary has heard; of mode PL_CANARY_OFF where there is none.  Times are those of pl_sfu_now_us.  Any thread. */
void pl_sfu_canary(const struct pl_sfu *sfu, struct pl_canary_report *report);
int64_t pl_sfu_now_us(void);

/* The counters of one shard, and of all of them, summed; a tenth of a second old while it works, and half a second at
 * rest.  Any thread. */
void pl_sfu_shard_counters(const struct pl_sfu *sfu, size_t shard, struct pl_sfu_counters *counters);
void pl_sfu_counters(const struct pl_sfu *sfu, struct pl_sfu_counters *counters);

#endif
