/* SRTP of every backend that can be had here, in step: what one takes the others take, with the same bytes, and what
 * they refuse they refuse for the same reason.  The input is the profile and a list of steps: 0 size data (a forged RTP
 * datagram), 1 size data (a forged SRTCP one), 2 ssrc seq size (the peer sends RTP, into the next of 16 places), 3 ssrc
 * size (the peer sends SRTCP), 4 place (it arrives), 5 place at mask (one byte of it changed), 6 place size (cut), 7
 * ssrc seq size (we send). */
#include <stdlib.h>
#include <string.h>

#include "media/srtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PLACES = 16, ROOM = 1024, SIZE_MAX_SENT = 256, STEPS_MAX = 512 };

static struct pl_srtp_engine *engine[PL_SRTP_BACKEND_COUNT];

struct world {
	const uint8_t *data;
	size_t size;
	struct pl_srtp *us[PL_SRTP_BACKEND_COUNT]; /* NULL where it cannot be had */
	struct pl_srtp *peer;
	struct {
		uint8_t bytes[ROOM];
		size_t size;
		bool is_rtcp;
	} place[PLACES];
	size_t next;
};

static uint8_t take(struct world *w)
{
	if (w->size == 0)
		return 0;
	w->size--;
	return *w->data++;
}

static uint16_t take_u16(struct world *w)
{
	const uint16_t high = take(w);
	return (uint16_t)(high << 8 | take(w));
}

static void world_init(struct world *w)
{
	struct pl_srtp_keys keys = { .local = { "ours", "salt" }, .remote = { "theirs", "salty" } }, mirrored;
	keys.profile = (take(w) & 1) == 0 ? PL_SRTP_AEAD_AES_128_GCM : PL_SRTP_AES128_CM_SHA1_80;
	mirrored = keys;
	memcpy(&mirrored.local, &keys.remote, sizeof keys.remote);
	memcpy(&mirrored.remote, &keys.local, sizeof keys.local);
	if (engine[PL_SRTP_LIBSRTP2] == NULL && pl_srtp_init() != PL_ERR_NONE)
		abort();
	for (enum pl_srtp_backend i = PL_SRTP_IPSEC_MB; i < PL_SRTP_BACKEND_COUNT; i++) {
		if (pl_srtp_backend_lack(i) != NULL)
			continue;
		if ((engine[i] == NULL && pl_srtp_engine_create(&engine[i], i) != PL_ERR_NONE) ||
			pl_srtp_create(&w->us[i], engine[i], &keys) != PL_ERR_NONE)
			abort();
	}
	if (pl_srtp_create(&w->peer, engine[PL_SRTP_OPENSSL], &mirrored) != PL_ERR_NONE)
		abort();
}

/* Every backend gets it in memory of the exact size, apart from the result or as its place. */
static void receive(struct world *w, const uint8_t *data, size_t size, bool is_rtcp)
{
	uint8_t *result[PL_SRTP_BACKEND_COUNT] = { NULL }, *packet = malloc(size > 0 ? size : 1);
	enum pl_drop drop[PL_SRTP_BACKEND_COUNT];
	size_t result_size[PL_SRTP_BACKEND_COUNT];
	memcpy(packet, data, size);
	for (size_t i = PL_SRTP_BACKEND_COUNT; i-- > PL_SRTP_IPSEC_MB;) {
		if (w->us[i] == NULL)
			continue;
		result[i] = malloc(size > 0 ? size : 1);
		memcpy(result[i], data, size);
		const struct pl_bytes in = { w->next % 2 == 0 ? packet : result[i], size };
		const struct pl_span out = { result[i], size };
		drop[i] = is_rtcp ? pl_srtp_unprotect_rtcp(w->us[i], in, out, &result_size[i])
				  : pl_srtp_unprotect_rtp(w->us[i], in, out, &result_size[i]);
		PL_ASSERT(drop[i] == drop[PL_SRTP_LIBSRTP2]);
		if (drop[i] != PL_DROP_NONE)
			continue;
		PL_ASSERT(result_size[i] <= size && result_size[i] == result_size[PL_SRTP_LIBSRTP2]);
		PL_ASSERT(memcmp(result[i], result[PL_SRTP_LIBSRTP2], result_size[i]) == 0);
	}
	PL_ASSERT(memcmp(packet, data, size) == 0);
	for (size_t i = 0; i < PL_SRTP_BACKEND_COUNT; i++)
		free(result[i]);
	free(packet);
}

/* As many SSRCs of RTP as there are windows: there the backends agree about late packets. */
static size_t send_rtp(struct world *w, struct pl_srtp *const *sender, size_t senders, uint8_t *out)
{
	uint8_t header[12] = { 0x80, 111 }, payload[SIZE_MAX_SENT], other[ROOM];
	header[11] = take(w) % PL_SRTP_WINDOWS;
	const uint16_t seq = take_u16(w);
	header[2] = (uint8_t)(seq >> 8);
	header[3] = (uint8_t)seq;
	const size_t size = take(w);
	memset(payload, (int)size, sizeof payload);
	size_t sent = 0;
	for (size_t i = senders; i-- > 0;) {
		if (sender[i] == NULL)
			continue;
		uint8_t *room = i == senders - 1 ? out : other;
		const size_t n = pl_srtp_protect_rtp(sender[i], (struct pl_bytes){ header, sizeof header },
			(struct pl_bytes){ payload, size }, (struct pl_span){ room, ROOM });
		PL_ASSERT(i == senders - 1 || (n == sent && memcmp(room, out, n) == 0));
		sent = n;
	}
	return sent;
}

static size_t send_rtcp(struct world *w, uint8_t *out)
{
	uint8_t packet[8 + SIZE_MAX_SENT] = { 0x80, 201 };
	packet[7] = take(w);
	const size_t size = 8 + (size_t)take(w);
	return pl_srtp_protect_rtcp(w->peer, (struct pl_bytes){ packet, size }, (struct pl_span){ out, ROOM });
}

static void arrive(struct world *w, uint8_t kind)
{
	const size_t at = take(w) % PLACES;
	uint8_t bytes[ROOM];
	size_t size = w->place[at].size;
	if (size == 0)
		return;
	memcpy(bytes, w->place[at].bytes, size);
	if (kind == 5)
		bytes[take(w) % size] ^= take(w);
	if (kind == 6)
		size = take(w) % size;
	receive(w, bytes, size, w->place[at].is_rtcp);
}

static void forge(struct world *w, bool is_rtcp)
{
	size_t size = take_u16(w);
	if (size > w->size)
		size = w->size;
	const uint8_t *data = w->data;
	w->data += size;
	w->size -= size;
	receive(w, data, size, is_rtcp);
}

static void step(struct world *w)
{
	uint8_t out[ROOM];
	const uint8_t kind = take(w) % 8;
	if (kind <= 1) {
		forge(w, kind == 1);
	} else if (kind <= 3) {
		const size_t at = w->next++ % PLACES;
		w->place[at].is_rtcp = kind == 3;
		w->place[at].size =
			kind == 3 ? send_rtcp(w, w->place[at].bytes) : send_rtp(w, &w->peer, 1, w->place[at].bytes);
	} else if (kind <= 6) {
		arrive(w, kind);
	} else {
		PL_ASSERT(send_rtp(w, w->us, PL_COUNT(w->us), out) <= ROOM);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	memset(&w, 0, sizeof w);
	w.data = data;
	w.size = size;
	world_init(&w);
	for (int i = 0; i < STEPS_MAX && w.size > 0; i++)
		step(&w);
	for (size_t i = 0; i < PL_COUNT(w.us); i++)
		pl_srtp_destroy(&w.us[i]);
	pl_srtp_destroy(&w.peer);
	return 0;
}
