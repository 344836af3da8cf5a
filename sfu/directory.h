/* How a shard finds the participant that a command or a datagram is for: by source id, by the ICE user name of a
 * STUN check, and by the path that the checks have opened for everything else.
 *
 * Whose path is it?  STUN is always routed by its user name, which the message integrity proves, never by where it
 * comes from.  A path is learnt from a check that the participant's ICE has authenticated, and belongs to one
 * participant.  A check for another one from the same address cannot take it while its holder is heard there: source
 * addresses can be forged, and a participant must not cut off another one by a check of its own in that one's
 * name.  When the holder has been silent for longer than the consent checks of a living peer are apart, the
 * newcomer's next check takes the path: that is a reloaded page whose new connection got the port of the old one.
 * Pure: no allocation, no clock, no I/O.  Thread: the shard that owns it. */
#ifndef PL_SFU_DIRECTORY_H
#define PL_SFU_DIRECTORY_H

#include "sfu/participant.h"

enum {
	/* RFC 7675 section 5.1 spaces checks by 4 to 6 s. */
	PL_DIRECTORY_STALE_MS = 7000,
};

struct pl_directory {
	uint64_t seed;
	struct pl_table by_source, by_ufrag, by_path;
};

/* How many buckets the three tables need together. */
size_t pl_directory_buckets(uint32_t participants_max);

/* bucket: zeroed; stays the caller's.  seed: secret and random. */
void pl_directory_init(struct pl_directory *d, struct pl_table_node **bucket, uint32_t participants_max, uint64_t seed);

/* Makes a participant findable by its source id. */
void pl_directory_add(struct pl_directory *d, struct pl_participant *p);

/* Makes it findable by another user name; the last but one goes on being found (ICE restart). */
void pl_directory_add_ufrag(struct pl_directory *d, struct pl_participant *p, const char *ufrag);

/* Follows the participant's ICE: learns the paths it knows, and drops those it has forgotten. */
void pl_directory_learn_paths(struct pl_directory *d, struct pl_participant *p, int64_t now_us);

/* No datagram finds it any more. */
void pl_directory_close(struct pl_directory *d, struct pl_participant *p);

/* Neither does a command. */
void pl_directory_remove(struct pl_directory *d, struct pl_participant *p);

/* NULL when there is none. */
struct pl_participant *pl_directory_by_source(const struct pl_directory *d, uint32_t source);
struct pl_participant *pl_directory_by_ufrag(const struct pl_directory *d, struct pl_bytes ufrag);
struct pl_directory_path *pl_directory_by_path(const struct pl_directory *d, const struct pl_path *path);

#endif
