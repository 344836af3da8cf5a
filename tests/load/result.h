/* What a run found: gathered from clients and workers when all have ended.
 * Thread: main. */
#ifndef PL_TESTS_LOAD_RESULT_H
#define PL_TESTS_LOAD_RESULT_H

#include "tests/load/process.h"
#include "tests/load/signaling.h"
#include "tests/load/worker.h"

enum { LOAD_REASONS_MAX = 16 };

struct load_result {
	uint32_t clients, joined, connected, failed, retries;
	uint32_t turned_away; /* refused as often as they tried; of the failed only where that counts as a failure */
	struct load_histogram refusal_us;
	uint64_t refusals_untimed; /* refusals without a time to retry */
	struct {
		char text[LOAD_REASON_SIZE];
		uint32_t count;
	} reason[LOAD_REASONS_MAX]; /* the last one takes all others */
	uint32_t reason_count;
	bool is_interrupted; /* by a signal */
	bool is_deserted;    /* ended early, because nobody got in or all were lost */

	double seconds; /* of the measurement; 0: there was none */
	uint64_t sent, delivered, lost, missing;
	int64_t expected;  /* -1: not known: the server chooses among talkers who pause, or others publish */
	bool is_estimated; /* delivered and lost: from the watched receivers to all of their rooms */
	uint64_t refused, unexpected, kernel_drops;
	uint64_t restarts; /* of streams whose numbers jumped */

	uint32_t receivers;          /* whose streams were counted */
	uint32_t receivers_complete; /* with as many streams as they should have */
	uint32_t streams_min, streams_max;

	/* Of those who decrypt, in mixed rooms: how much later than the earliest packets came after their due time; of who
	 * decodes: from a pulse's first sample at the microphone until it is in a packet that has arrived. */
	struct load_histogram mix_late_ns, mouth_to_ear_ns;
	uint64_t mix_ticks_missing;                  /* of the mix's clock, without a packet though somebody talked */
	uint64_t mix_ticks_late, decoded, malformed; /* packets */
	double level_dbfs;                           /* of all that was decoded; has a meaning when decoded > 0 */

	struct load_histogram latency_ns, late_ns, answer_us, connected_us, media_us;
	int64_t load_cpu_ns, server_cpu_ns; /* -1: not known */
	struct load_memory memory_before, memory_after;
	bool has_server_ended; /* the process of --pid, during the run: what it cost is not known */
};

struct load_gathering {
	const struct load_options *options;
	const struct load_client *clients;
	const struct load_session *sessions;
	uint32_t client_count;
	const struct load_signaling *signaling;
	struct load_worker *const *workers;
};

/* Fills what clients and workers know; the rest of *result is the caller's. */
void load_result_gather(struct load_result *result, const struct load_gathering *from);

double load_result_loss_percent(const struct load_result *result);

/* True: all joined, no more was lost than the options allow, and the server is still there. */
bool load_result_is_good(const struct load_result *result, const struct load_options *options);

#endif
