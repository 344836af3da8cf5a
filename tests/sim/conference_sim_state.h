/* What the two halves of the simulated conference share: conference_sim.c (who, when, over which network) and
 * conference_sim_audio.c (what is said, what is heard). */
#ifndef PL_TESTS_SIM_CONFERENCE_SIM_STATE_H
#define PL_TESTS_SIM_CONFERENCE_SIM_STATE_H

#include "tests/sim/conference_sim.h"

enum {
	PL_SIM_CLOCK_HZ = 48000,
	PL_SIM_FRAME_SAMPLES = PL_SIM_CLOCK_HZ / 1000 * PL_SIM_FRAME_MS,
};

/* Zeroed; aborts when out of memory. */
void *pl_sim_allocate(size_t size);

/* NULL when there is none. */
struct pl_sim_peer *pl_sim_peer_by_source(const struct pl_sim *sim, uint32_t source);

struct OpusEncoder *pl_sim_encoder_create(void);
void pl_sim_encoder_destroy(struct OpusEncoder *encoder);

/* Encodes the peer's next frame, its sine or silence, and measures the level.  Returns the size. */
size_t pl_sim_encode(struct pl_sim_peer *p, uint8_t payload[static PL_SIM_PAYLOAD_SIZE_MAX], uint8_t *level);

#endif
