/* A thread that is the media side of some of the clients: sets them up, sends what they publish, takes what arrives.
 *
 * Publishers have their turn spread over one frame, so that the load is even.  A connected client's socket is not waited
 * for: all are swept once in LOAD_WORKER_SWEEP_MS, for a sender over loopback pays for waking whoever waits, and one
 * recvmmsg takes all that has come.  The kernel's time stamps keep that out of the latency.
 * Thread: main creates, hands over and reads the counters; the rest happens on the worker's own. */
#ifndef PL_TESTS_LOAD_WORKER_H
#define PL_TESTS_LOAD_WORKER_H

#include <pthread.h>
#include <stdatomic.h>

#include "tests/load/client.h"
#include "tests/load/options.h"

enum { LOAD_WORKER_SWEEP_MS = 20 };

/* Each begins when main says so, and all clients of all workers are in the same one within a few milliseconds. */
enum load_phase {
	LOAD_PHASE_SETUP,   /* publishers send as soon as they are connected; nothing counts */
	LOAD_PHASE_MEASURE, /* what is sent and what arrives counts */
	LOAD_PHASE_DRAIN,   /* nothing is sent, what arrives still counts */
	LOAD_PHASE_STOP,    /* the thread ends */
};

struct load_worker_config {
	const struct load_options *options;
	const struct pl_dtls_identity *identity;
	const struct load_speech *speech; /* NULL: nobody speaks or decodes */
	struct load_client *clients;      /* all of them; this worker's are index, index + threads, ... */
	uint32_t client_count, index;
	int64_t epoch_us; /* when the first frame begins, the same for all workers */
};

struct load_worker {
	struct load_worker_config config;
	pthread_t thread;
	int epoll, wake; /* wake: an eventfd */
	atomic_int phase;
	atomic_uint connected, failed; /* clients: that were connected, that were not and will not be */
	atomic_uint lost;              /* of the connected */
	atomic_ullong received;        /* RTP packets */

	pthread_mutex_t lock;
	uint32_t *handed; /* clients that main handed over, by index */
	uint32_t handed_count;

	/* The thread's own from here on; main reads after stop. */
	struct load_context context;
	struct load_batch batch;
	struct load_histogram late_ns; /* publishers' turns, how late they were */
	uint32_t *publisher;           /* clients of this worker that publish, in the order of their turns */
	uint32_t publisher_count, publisher_next;
	uint32_t slice;   /* of the sweep, the next one */
	int64_t slice_us; /* when it is due */
	int seen_phase;
};

/* NULL: out of memory or of threads. */
struct load_worker *load_worker_create(const struct load_worker_config *config);

/* The client's answer is there: connect it. */
void load_worker_hand_over(struct load_worker *worker, uint32_t client_index);

void load_worker_set_phase(struct load_worker *worker, enum load_phase phase);

/* Ends the thread; its results stay readable until destroy. */
void load_worker_stop(struct load_worker *worker);
void load_worker_destroy(struct load_worker **worker);

#endif
