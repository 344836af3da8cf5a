#include "sfu/handshakes.h"

#include <string.h>

_Static_assert(sizeof(struct pl_path) <= PL_PACKET_HEADROOM, "the path waits in the headroom");

void pl_handshakes_init(struct pl_handshakes *h, struct pl_pool *pool)
{
	*h = (struct pl_handshakes){ .pool = pool };
}

enum pl_drop pl_handshakes_push(
	struct pl_handshakes *h, uint32_t source, const struct pl_path *path, struct pl_bytes datagram)
{
	PL_ASSERT(datagram.size <= PL_DATAGRAM_SIZE_MAX);
	if (h->count == PL_HANDSHAKES_MAX)
		return PL_DROP_DTLS_BUSY;
	struct pl_packet *packet = pl_pool_take(h->pool);
	if (packet == NULL)
		return PL_DROP_POOL_LOW;
	packet->source = source;
	memcpy(packet->headroom, path, sizeof *path);
	memcpy(packet->data, datagram.data, datagram.size);
	packet->payload = (struct pl_bytes){ packet->data, datagram.size };
	if (h->first == NULL)
		h->first = packet;
	else
		h->last->next = packet;
	h->last = packet;
	h->count++;
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
