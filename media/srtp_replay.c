#include "media/srtp_replay.h"

#include <string.h>

uint64_t pl_srtp_index_of(uint64_t last, uint16_t seq)
{
	enum { HALF = 1 << 15, ROUND = 1 << 16 };
	const uint16_t last_seq = (uint16_t)last;
	const uint64_t same_round = last - last_seq + seq;

	if (last <= HALF)
		return seq;
	if (last_seq < HALF)
		return seq - last_seq > HALF ? same_round - ROUND : same_round;
	return last_seq - HALF > seq ? same_round + ROUND : same_round;
}

static bool has_bit(const uint64_t *seen, size_t window, uint64_t index)
{
	const size_t at = index & (window - 1);
	return (seen[at / 64] >> at % 64 & 1) != 0;
}

bool pl_srtp_replay_is_fresh(const uint64_t *seen, size_t window, uint64_t last, uint64_t index)
{
	if (index > last)
		return true;
	return last - index < window && !has_bit(seen, window, index);
}

uint64_t pl_srtp_replay_add(uint64_t *seen, size_t window, uint64_t last, uint64_t index)
{
	const size_t at = index & (window - 1); /* a division would be the dearest part of it */
	if (index > last && index - last >= window) {
		memset(seen, 0, window / 8);
	} else {
		/* What was jumped over has not been seen; its places still tell of indices one window older. */
		for (uint64_t skipped = last + 1; skipped < index; skipped++)
			seen[(skipped & (window - 1)) / 64] &= ~(UINT64_C(1) << skipped % 64);
	}
	seen[at / 64] |= UINT64_C(1) << at % 64;
	return index > last ? index : last;
}
