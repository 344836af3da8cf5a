/* A canary: two participants of the server's own in a room of their own, who come as browsers do and hear whether they hear each
 * other.  Both talk, a signal that is known: the first hears the second forwarded, the second hears the first mixed.  So a run goes the
 * way of every call: command, check, handshake, SRTP, forwarding, decoder, mixer and encoder.
 *
 * One run at a time, of one shard: begin, then bytes and time go in until there is a verdict.
 * Sans-IO: no socket, no clock; memory is the caller's (OpenSSL takes its own for each run).  Thread: the canary's. */
#ifndef PL_SFU_CANARY_H
#define PL_SFU_CANARY_H

#include "media/opus.h"
#include "media/rng.h"
#include "media/tone.h"
#include "sfu/bird.h"
#include "sfu/types.h"

enum {
	PL_CANARY_FRAMES = 50,              /* that each says at most, 20 ms each */
	PL_CANARY_PACKET_MAX = 400,         /* bytes of one, coded */
	PL_CANARY_SKIP = 9600,              /* samples after the first that is heard in which the mix may settle ... */
	PL_CANARY_WINDOW = 19200,           /* ... and those that are looked at */
	PL_CANARY_CONNECT_US = 3000000,     /* for both to connect */
	PL_CANARY_TAIL_US = 300000,         /* after the last word */
	PL_CANARY_LATE_US = 100000,         /* a run that was itself so late says nothing ... */
	PL_CANARY_LATE_SOUND_US = 15000,    /* ... and nothing ill of the sound when it was so late */
	PL_CANARY_SNR_DB_MIN = 6,           /* less is noise */
	PL_CANARY_HEARD_PERMILLE_MIN = 500, /* of the packets in the window; less is nothing */
};

enum pl_canary_way { PL_CANARY_FORWARDED, PL_CANARY_MIXED, PL_CANARY_WAYS };
const char *pl_canary_way_name(enum pl_canary_way way);

/* X(name, label, text): what is wrong. */
#define PL_CANARY_FAULT_LIST(X)                                                       \
	X(NONE, "none", "it hears itself")                                            \
	X(COMMANDS, "commands", "the media thread takes no commands")                 \
	X(CHECKS, "checks", "the media thread answers no connectivity check")         \
	X(HANDSHAKE, "handshake", "the DTLS handshake does not end")                  \
	X(FORWARDED_SILENT, "forwarded_silent", "nothing of what is forwarded comes") \
	X(FORWARDED_BROKEN, "forwarded_broken", "what is forwarded breaks up")        \
	X(FORWARDED_NOISY, "forwarded_noisy", "what is forwarded is noise")           \
	X(MIXED_SILENT, "mixed_silent", "nothing of the mix comes")                   \
	X(MIXED_BROKEN, "mixed_broken", "the mix breaks up")                          \
	X(MIXED_NOISY, "mixed_noisy", "the mix is noise")

enum pl_canary_fault {
#define X(name, label, text) PL_CANARY_FAULT_##name,
	PL_CANARY_FAULT_LIST(X)
#undef X
		PL_CANARY_FAULTS
};
/* Nothing comes through.  Else it comes, but badly; or a handshake does not end, which is so for all who join in a flood of handshakes
 * while calls go on. */
bool pl_canary_is_deaf(enum pl_canary_fault fault);
const char *pl_canary_fault_name(enum pl_canary_fault fault);
const char *pl_canary_fault_text(enum pl_canary_fault fault);

/* What came one way. */
struct pl_canary_heard {
	bool is_there;     /* there is such a way, and somebody listened */
	uint16_t permille; /* of the packets that should have come in the window */
	float snr_db;      /* has a meaning when permille is PL_CANARY_HEARD_PERMILLE_MIN at least */
	int32_t delay_us;  /* from the packet's sending to its coming; of the mix with all that mixing adds */
};

struct pl_canary_verdict {
	uint8_t shard;
	bool is_void; /* the canary itself was late: it says nothing */
	enum pl_canary_fault fault;
	int64_t join_us; /* from the command to both being connected; 0: they were not */
	struct pl_canary_heard heard[PL_CANARY_WAYS];
};

struct pl_canary_config {
	const struct pl_dtls_identity
		*identity; /* the server's own, whose certificate the birds wear, too; outlives the canary */
	const struct pl_fingerprint *fingerprint;                /* of it */
	struct pl_srtp_engine *srtp;                             /* of the canary's thread; outlives it */
	const struct pl_opus_templates *templates;               /* outlive it */
	bool has_mix;                                            /* there are codec workers */
	void (*random)(void *context, void *bytes, size_t size); /* unpredictable: for passwords */
	void *random_context;
};

/* What one bird hears. */
struct pl_canary_ear {
	struct pl_opus_decoder *decoder;
	bool has_first, has_onset;
	uint32_t ts_first;
	int64_t next;       /* the sample that the next packet begins with, from the first packet on */
	int64_t window;     /* the first sample of the window; has_onset */
	int64_t lag_sum_us; /* of the packets: when they came, less their time in the stream */
	uint32_t packets;   /* all */
	uint32_t in_window;
	float pcm[PL_CANARY_WINDOW];
};

enum pl_canary_state { PL_CANARY_IDLE, PL_CANARY_CONNECTING, PL_CANARY_TALKING };

struct pl_canary {
	struct pl_canary_config config;
	enum pl_canary_state state;
	uint8_t shard;
	struct pl_bird bird[PL_CANARY_WAYS];
	struct pl_canary_ear ear[PL_CANARY_WAYS];
	struct pl_description description[PL_CANARY_WAYS];
	struct {
		uint16_t seq;
		uint32_t ts;
	} voice[PL_CANARY_WAYS];
	int64_t begun_us, connected_us;
	int64_t talk_us;     /* when the first frame is due */
	int64_t sent_lag_us; /* by how much frames were sent late, added up */
	uint32_t said;       /* frames */
	uint8_t bird_says;   /* who has not sent that frame yet */
	int64_t late_us_max; /* of its own ticks */
	uint8_t commands;    /* that wait to be taken: bit 2 * bird for JOIN, the next for LEAVE */
	bool has_verdict;
	struct pl_canary_verdict verdict;
	struct {
		uint16_t size;
		uint8_t bytes[PL_CANARY_PACKET_MAX];
	} frame[PL_CANARY_FRAMES]; /* the same for both: a bird never hears itself */
	uint8_t room[PL_DATAGRAM_SIZE_MAX + PL_SRTP_OVERHEAD_MAX];
};

enum pl_canary_output_kind {
	PL_CANARY_COMMAND, /* to the shard; its description is copied if it is kept */
	PL_CANARY_SEND,    /* datagram, of bird, to the shard's port */
	PL_CANARY_VERDICT, /* the run is over */
};

struct pl_canary_output {
	enum pl_canary_output_kind kind;
	struct pl_command command;
	uint8_t bird;
	struct pl_bytes datagram; /* valid until the next call */
	struct pl_canary_verdict verdict;
};

/* Memory for a canary and its codecs, aligned to 64. */
size_t pl_canary_bytes(void);

/* memory: pl_canary_bytes() of it, its own until the end.  The signal is coded here, which takes some milliseconds. */
void pl_canary_init(struct pl_canary **canary, const struct pl_canary_config *config, struct pl_span memory);

/* Idle (asserts).  PL_ERR_NONE: a verdict follows.  Else there is no run: out of memory, or the library refused. */
PL_MUST_USE enum pl_err pl_canary_begin(struct pl_canary *c, int64_t now_us, uint8_t shard);

/* The caller could not hand over a command: the verdict follows. */
void pl_canary_refused(struct pl_canary *c);

void pl_canary_feed(struct pl_canary *c, int64_t now_us, uint8_t bird, struct pl_bytes datagram);
void pl_canary_tick(struct pl_canary *c, int64_t now_us);
int64_t pl_canary_deadline(const struct pl_canary *c); /* INT64_MAX when idle */
PL_MUST_USE bool pl_canary_next(struct pl_canary *c, int64_t now_us, struct pl_canary_output *output);

/* Ends a run without a verdict; what its birds have goes with it. */
void pl_canary_abandon(struct pl_canary *c);

#endif
