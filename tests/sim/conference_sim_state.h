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

struct pl_sim_peer *pl_sim_peer_by_addr(const struct pl_sim *sim, const struct pl_addr *addr);
void pl_sim_take_event(struct pl_sim *sim, const struct pl_event *event);

/* conference_sim_server.c */
void pl_sim_server_create(struct pl_sim *sim);
void pl_sim_server_destroy(struct pl_sim *sim);
struct pl_addr pl_sim_server_addr(uint8_t shard);
/* Sends what is to be sent, and has the shards take what they have for each other. */
void pl_sim_server_drain(struct pl_sim *sim);
void pl_sim_server_command(struct pl_sim *sim, const struct pl_command *command);
/* False: not for the server. */
bool pl_sim_server_feed(struct pl_sim *sim, const struct pl_path *path, struct pl_bytes datagram);
int64_t pl_sim_server_deadline(const struct pl_sim *sim);
void pl_sim_server_run(struct pl_sim *sim);

struct OpusEncoder *pl_sim_encoder_create(void);
void pl_sim_encoder_destroy(struct OpusEncoder *encoder);

/* Encodes the peer's next frame, its sine or silence, and measures the level.  Returns the size. */
size_t pl_sim_encode(struct pl_sim_peer *p, uint8_t payload[static PL_SIM_PAYLOAD_SIZE_MAX], uint8_t *level);

#endif
