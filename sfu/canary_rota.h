/* When the canary sings, on which shard, and what it means: one shard after the other, and where it was deaf again and again until it
 * hears.  It is believed only after it has heard itself once since the start: where its own packets cannot come through (a firewall
 * on the loopback interface, perhaps) calls may be well, and it is off.
 * Pure: no allocation, no clock, no I/O.  Thread: the canary's. */
#ifndef PL_SFU_CANARY_ROTA_H
#define PL_SFU_CANARY_ROTA_H

#include "sfu/canary.h"

enum {
	PL_CANARY_FIRST_US = 1000000, /* after the start, or the interval if that is shorter */
	PL_CANARY_RETRY_US = 1000000, /* after a run that was deaf, or said nothing */
	PL_CANARY_TRIALS = 5,         /* without ever having heard itself: then it is off */
};

/* X(name, text) */
#define PL_CANARY_MODE_LIST(X)                                                             \
	X(OFF, "off") /* nobody wants one */                                               \
	X(NEW, "new") /* it has not heard itself yet */                                    \
	X(HEARS, "hears")                                                                  \
	X(IMPAIRED, "impaired")     /* it hears itself badly, or nobody can join */        \
	X(DEAF, "deaf")             /* nothing comes through */                            \
	X(UNABLE, "unable")         /* no sockets or no memory to be had: it cannot say */ \
	X(MISTRUSTED, "mistrusted") /* it never heard itself, and has given up */

enum pl_canary_mode {
#define X(name, text) PL_CANARY_##name,
	PL_CANARY_MODE_LIST(X)
#undef X
		PL_CANARY_MODES
};
const char *pl_canary_mode_name(uint64_t mode);

/* Words of 64 bits alone: see sfu/io/published.h. */
struct pl_canary_report {
	uint64_t mode;
	uint64_t runs;                   /* with a verdict that says something */
	uint64_t void_runs;              /* the canary itself was late */
	uint64_t unable;                 /* runs that could not begin */
	uint64_t deaf[PL_CANARY_FAULTS]; /* runs, by their fault; those of NONE heard */
	uint64_t fault, shard;           /* of the last run that said something */
	uint64_t failed;                 /* runs with a fault since the last without */
	int64_t deaf_since_us;           /* INT64_MAX: it is not */
	struct pl_canary_last {
		uint64_t runs; /* that connected; 0: nothing of the rest has a meaning */
		int64_t join_us;
		struct {
			uint64_t is_there, permille;
			int64_t snr_millibel, delay_us;
		} heard[PL_CANARY_WAYS];
	} last[PL_SFU_SHARDS_MAX];
};

struct pl_canary_rota {
	int64_t interval_us;
	uint8_t shards, shard; /* shard: of the next run */
	int64_t due_us;        /* of the next run; INT64_MAX: never */
	int64_t begun_us;      /* of the last */
	struct pl_canary_report report;
};

/* interval_us 0: off. */
void pl_canary_rota_init(struct pl_canary_rota *rota, int64_t now_us, int64_t interval_us, uint8_t shards);

/* A run of rota->shard begins; what became of it follows. */
void pl_canary_rota_begin(struct pl_canary_rota *rota, int64_t now_us);
void pl_canary_rota_take(struct pl_canary_rota *rota, int64_t now_us, const struct pl_canary_verdict *verdict);
/* There could be none. */
void pl_canary_rota_unable(struct pl_canary_rota *rota, int64_t now_us);

/* The pressure input PL_PRESSURE_CANARY, in thousandths; PL_PRESSURE_ABSENT: it cannot say.  What is lost of its packets; with a fault
 * more for each run in a row: up to an emergency when nothing is forwarded, to the end of new joins when handshakes do not end, and
 * to the end of new rooms else. */
uint16_t pl_canary_pressure(const struct pl_canary_report *report);

/* For how long it has been deaf; 0: it is not, or nobody would believe it. */
int64_t pl_canary_deaf_us(const struct pl_canary_report *report, int64_t now_us);

#endif
