#include "sfu/handshakes.h"

#include <string.h>

/* In the headroom of a packet that waits. */
struct waiting {
	struct pl_path path;
	struct pl_packet *before; /* of the same client; meaningless in its oldest */
};
_Static_assert(sizeof(struct waiting) <= PL_PACKET_HEADROOM, "it fits");

/* type, version, epoch, number, length (RFC 6347 section 4.1) */
enum { RECORD_HEAD_SIZE = 13, NUMBER_AT = 5, LENGTH_AT = 11 };

void pl_handshakes_init(struct pl_handshakes *h, struct pl_pool *pool)
{
	*h = (struct pl_handshakes){ .pool = pool };
}

/* The same but for the records' numbers.  Encrypted ones differ in more. */
static bool is_same(struct pl_bytes a, struct pl_bytes b)
{
	if (a.size != b.size)
		return false;
	size_t at = 0;
	while (a.size - at >= RECORD_HEAD_SIZE) {
		const uint8_t *record = a.data + at, *other = b.data + at;
		const size_t fragment_size = (size_t)(record[LENGTH_AT] << 8 | record[LENGTH_AT + 1]);
		if (fragment_size > a.size - at - RECORD_HEAD_SIZE || memcmp(record, other, NUMBER_AT) != 0 ||
			memcmp(record + LENGTH_AT, other + LENGTH_AT, 2 + fragment_size) != 0)
			break;
		at += RECORD_HEAD_SIZE + fragment_size;
	}
	return memcmp(a.data + at, b.data + at, a.size - at) == 0;
}

static bool waits(const struct pl_handshakes_of *of, const struct pl_path *path, struct pl_bytes datagram)
{
	const struct pl_packet *packet = of->last;
	for (uint8_t i = 0; i < of->count; i++) {
		struct waiting waiting;
		memcpy(&waiting, packet->headroom, sizeof waiting);
		if (pl_path_equal(&waiting.path, path) && is_same(packet->payload, datagram))
			return true;
		packet = waiting.before;
	}
	return false;
}

enum pl_drop pl_handshakes_push(struct pl_handshakes *h, struct pl_handshakes_of *of, uint32_t source,
	const struct pl_path *path, struct pl_bytes datagram)
{
	PL_ASSERT(datagram.size <= PL_DATAGRAM_SIZE_MAX);
	if (waits(of, path, datagram))
		return PL_DROP_DTLS_AGAIN;
	if (h->count == PL_HANDSHAKES_MAX || of->count == PL_HANDSHAKES_EACH_MAX)
		return PL_DROP_DTLS_BUSY;
	struct pl_packet *packet = pl_pool_take(h->pool);
	if (packet == NULL)
		return PL_DROP_POOL_LOW;
	packet->source = source;
	const struct waiting waiting = { .path = *path, .before = of->last };
	memcpy(packet->headroom, &waiting, sizeof waiting);
	memcpy(packet->data, datagram.data, datagram.size);
	packet->payload = (struct pl_bytes){ packet->data, datagram.size };
	if (h->first == NULL)
		h->first = packet;
	else
		h->last->next = packet;
	h->last = packet;
	h->count++;
	of->last = packet;
	of->count++;
	return PL_DROP_NONE;
}

struct pl_packet *pl_handshakes_pop(struct pl_handshakes *h, struct pl_path *path)
{
	struct pl_packet *packet = h->first;
	if (packet == NULL)
		return NULL;
	h->first = packet->next;
	h->count--;
	memcpy(path, packet->headroom, sizeof *path);
	return packet;
}
