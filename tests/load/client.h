/* One simulated client: its way to the server (ICE, DTLS, SRTP on one socket), what it publishes and what it receives.
 * Main opens it and speaks for it to the signaling server; from the answer on a worker owns it.  Fields say who writes
 * them; the other reads them only after the worker has ended.
 * Thread: as said. */
#ifndef PL_TESTS_LOAD_CLIENT_H
#define PL_TESTS_LOAD_CLIENT_H

#include "media/dtls.h"
#include "media/srtp.h"
#include "tests/load/check.h"
#include "tests/load/ear.h"
#include "tests/load/histogram.h"
#include "tests/load/sdp.h"
#include "tests/load/socket.h"
#include "tests/load/speech.h"
#include "tests/load/stream.h"
#include "tests/load/talk.h"

enum { LOAD_REASON_SIZE = 160, LOAD_TICK_LATE_MS = 20 };

enum load_client_state {
	LOAD_CLIENT_NEW,
	LOAD_CLIENT_CHECKING,
	LOAD_CLIENT_HANDSHAKE,
	LOAD_CLIENT_CONNECTED,
	LOAD_CLIENT_FAILED
};

struct load_publication {
	uint32_t ssrc, ts, ts_step;
	uint16_t seq;
	struct load_talk talk;
	uint32_t packets, octets; /* as sender reports tell them */
	uint32_t sent;            /* in the measurement */
	int64_t due_us;
	const struct load_loop *loop; /* what is said; NULL: filler with a stamp */
};

struct load_client {
	/* Main's, fixed before the worker gets it. */
	uint32_t index, room;
	uint32_t slots;                 /* asked for; granted, when the answer is there */
	bool is_publisher, is_watched;  /* watched: never silenced by drop_media */
	bool does_decrypt, does_decode; /* who decodes decrypts */
	int fd;
	struct pl_addr local;
	struct pl_ice_credentials ice;
	uint64_t seed;
	int64_t asked_us, answered_us; /* of the request that was answered; 0: not yet */
	struct load_answer *answer;    /* the worker's from start on */

	/* The worker's. */
	enum load_client_state state;
	bool is_in_epoll;
	char failure[LOAD_REASON_SIZE]; /* when FAILED */
	int64_t connected_us, media_us; /* 0: not yet */
	int64_t setup_deadline_us, reports_us, deadline_us;
	struct load_check check;
	struct pl_dtls *dtls;
	struct pl_srtp *srtp;
	struct load_publication publication;
	struct load_stream *stream; /* slots of them */
	uint32_t stream_count;
	struct load_ear *ear;         /* one for each stream of who decrypts, else NULL */
	void *decoders;               /* of the ears, slots of them */
	int64_t room_epoch_us;        /* when frame 0 of the room's first publisher was due */
	uint32_t kernel_drops_before; /* at the socket, when the measurement began */
};

/* What the clients of one worker share. */
struct load_context {
	const struct pl_dtls_identity *identity;
	struct pl_srtp_engine *srtp;
	struct pl_rng rng;
	int64_t now_us;             /* monotonic */
	int64_t realtime_offset_ns; /* CLOCK_REALTIME minus CLOCK_MONOTONIC */
	uint32_t timeout_s;
	int64_t epoch_us; /* when the first frame of all was due */
	bool is_measuring, is_mixed, has_pulses;
	const struct pl_opus_templates *templates; /* for decoders; NULL: nobody decodes */
	struct load_histogram latency_ns;
	struct load_histogram mix_late_ns, mouth_to_ear_ns;
	uint64_t mix_ticks_late;                /* packets that came LOAD_TICK_LATE_MS or more later than due */
	uint64_t mix_ticks_missing;             /* that nothing came for */
	uint64_t decoded, malformed;            /* packets */
	uint64_t samples;                       /* of the decoded */
	double energy;                          /* of the samples */
	uint64_t received, refused, unexpected; /* RTP: taken; not authentic; of more streams than slots */
	uint8_t scratch[LOAD_BATCH_MESSAGE_SIZE];
};

/* Begins to connect, with client->answer.  The client may be FAILED afterwards. */
void load_client_start(struct load_client *client, struct load_context *context);

/* Frees all but the socket. */
void load_client_fini(struct load_client *client);

void load_client_feed(struct load_client *client, struct load_context *context, const struct load_arrival *arrival);
void load_client_tick(struct load_client *client, struct load_context *context); /* at or after deadline_us */

/* reason: printf's. */
PL_PRINTF(2, 3) void load_client_fail(struct load_client *client, const char *reason, ...);

/* Sends the next frame of a connected publisher. */
void load_client_publish(struct load_client *client, struct load_context *context, uint32_t payload_bytes_max);

/* The measurement begins: what came before does not count. */
void load_client_begin(struct load_client *client);

/* What arrived since the measurement began. */
struct load_tally load_client_tally(const struct load_client *client);

#endif
