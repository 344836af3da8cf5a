/* A DTLS association against a peer whose datagrams an attacker holds.  The input is a list of steps, after one byte
 * for the role: 0 size data (his own datagram, size in two bytes), 1 (the peer's next one, untouched), 2 at mask
 * (the same with one byte changed), 3 at (the same, cut), 4 (time passes to the next retransmission). */
#include <stdlib.h>
#include <string.h>

#include "media/dtls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct pl_dtls_identity *identity;

static uint8_t take(const uint8_t **data, size_t *size)
{
	if (*size == 0)
		return 0;
	(*size)--;
	return *(*data)++;
}

static size_t take_u16(const uint8_t **data, size_t *size)
{
	const size_t high = take(data, size);
	return high << 8 | take(data, size);
}

static void feed(struct pl_dtls *to, int64_t now_us, struct pl_bytes datagram)
{
	const enum pl_drop drop = pl_dtls_feed(to, now_us, datagram);
	PL_ASSERT(drop < PL_DROP_COUNT);
}

/* Everything that ours says reaches the peer; what the peer answers waits to be asked for. */
static void answer(struct pl_dtls *ours, struct pl_dtls *peer, int64_t now_us)
{
	struct pl_bytes datagram;
	while (pl_dtls_next(ours, &datagram)) {
		PL_ASSERT(datagram.size > 0 && datagram.size <= PL_DTLS_MTU);
		feed(peer, now_us, datagram);
	}
}

static void step(struct pl_dtls *ours, struct pl_dtls *peer, int64_t *now_us, const uint8_t **data, size_t *size)
{
	uint8_t bytes[PL_DTLS_MTU];
	struct pl_bytes datagram;
	const uint8_t kind = take(data, size) % 5;

	if (kind == 0) {
		size_t length = take_u16(data, size);
		if (length > *size)
			length = *size;
		feed(ours, *now_us, (struct pl_bytes){ *data, length });
		*data += length;
		*size -= length;
	} else if (kind == 4) {
		const int64_t a = pl_dtls_deadline(ours), b = pl_dtls_deadline(peer);
		const int64_t next_us = a < b ? a : b;
		if (next_us == INT64_MAX)
			return;
		*now_us = next_us;
		pl_dtls_tick(ours, next_us);
		pl_dtls_tick(peer, next_us);
	} else if (pl_dtls_next(peer, &datagram)) {
		memcpy(bytes, datagram.data, datagram.size);
		if (kind == 2)
			bytes[take_u16(data, size) % datagram.size] ^= take(data, size);
		if (kind == 3)
			datagram.size = take_u16(data, size) % datagram.size;
		feed(ours, *now_us, (struct pl_bytes){ bytes, datagram.size });
	}
	answer(ours, peer, *now_us);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pl_dtls *ours, *peer;
	int64_t now_us = 0;

	if (identity == NULL && pl_dtls_identity_create(&identity) != PL_ERR_NONE)
		abort();
	const enum pl_dtls_role role = take(&data, &size) % 2 == 0 ? PL_DTLS_PASSIVE : PL_DTLS_ACTIVE;
	const enum pl_dtls_role other = role == PL_DTLS_PASSIVE ? PL_DTLS_ACTIVE : PL_DTLS_PASSIVE;
	const struct pl_fingerprint *fp = pl_dtls_identity_fingerprint(identity);
	if (pl_dtls_create(&ours, identity, role, fp) != PL_ERR_NONE ||
		pl_dtls_create(&peer, identity, other, fp) != PL_ERR_NONE)
		abort();
	pl_dtls_start(ours, 0);
	pl_dtls_start(peer, 0);
	answer(ours, peer, 0);
	for (int i = 0; i < 64 && size > 0; i++)
		step(ours, peer, &now_us, &data, &size);
	pl_dtls_close(ours, now_us);
	answer(ours, peer, now_us);
	pl_dtls_destroy(&ours);
	pl_dtls_destroy(&peer);
	return 0;
}
