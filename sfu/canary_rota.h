/* When the canary sings, on which shard, and what it means: one shard after the other, and where it was deaf again and again until it
 * hears.  It is believed only after it has heard itself once since the start: where its own packets cannot come through (a firewall
 * on the loopback interface, perhaps) calls may be well, and it is off.
 * Pure: no allocation, no clock, no I/O.  Thread: the canary's. */
#ifndef PL_SFU_CANARY_ROTA_H
#define PL_SFU_CANARY_ROTA_H

#include "sfu/canary.h"

enum {
	PL_CANARY_FIRST_US = 1000000,   /* after the start, or the interval if that is shorter */
	PL_CANARY_RETRY_US = 1000000,   /* after a run that was deaf, or said nothing */
	PL_CANARY_TRIALS = 5,           /* without ever having heard itself: then it is off */
	PL_CANARY_MISSED = 3,           /* intervals after a run should have begun: it does not come any more ... */
	PL_CANARY_MISSED_US = 15000000, /* ... or so long, where that is more: a run takes 4 s at most */
};

/* X(name, text) */
#define PL_CANARY_MODE_LIST(X)                                                               \
	X(OFF, "off") /* nobody wants one */                                                 \
	X(NEW, "new") /* it has not heard itself yet */                                      \
	X(HEARS, "hears")                                                                    \
	X(IMPAIRED, "impaired")     /* it hears itself badly, or nobody can join */          \
	X(DEAF, "deaf")             /* nothing comes through */                              \
	X(UNABLE, "unable")         /* no sockets or no memory to be had: it cannot say */   \
	X(STALLED, "stalled")       /* no run has ended for long: its thread stands still */ \
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
	int64_t deaf_since_us; /* the begin of the first run in a row that found it deaf; INT64_MAX: it is not */
	int64_t deaf_until_us; /* the end of the last of them */
	int64_t missed_us;     /* when no run has ended by then, none will; INT64_MAX: none is due */
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

/* For how long runs have found it deaf; 0: they have not, or nobody would believe it.  Time after the last of them does not count: a run that was
 * void has found nothing. */
int64_t pl_canary_deaf_us(const struct pl_canary_report *report);

/* What a report says that may be old: of a thread that stands still nothing, whatever its last run was. */
void pl_canary_report_at(struct pl_canary_report *report, int64_t now_us);

#endif
