/* A whole transport with a browser on the other side and an attacker in between.  The input is a list of steps: 0 size
 * data (the attacker's datagram from the browser's address, size in two bytes), 1 size data (from elsewhere), 2 (the
 * browser's next datagram), 3 at mask (the same with one byte changed), 4 at (the same, cut), 5 (time passes to the
 * next deadline), 6 (the browser says a word), 7 (the server does). */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/peer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct pl_ice_credentials server_ice = { .ufrag = "server01", .pwd = "serverpasswordserverpass" };
static const struct pl_ice_credentials browser_ice = { .ufrag = "browser1", .pwd = "browserpasswordbrowserpa" };
static struct pl_dtls_identity *identity;
static struct pl_srtp_engine *server_srtp, *browser_srtp;

struct input {
	const uint8_t *data;
	size_t size;
};

struct world {
	struct pl_transport server;
	struct pl_peer browser;
	struct pl_path path; /* from the browser, as the server sees it */
	int64_t now_us;
	uint16_t seq;
	/* the browser's datagrams on their way; more than fit are lost */
	uint8_t bytes[16][PL_DATAGRAM_SIZE_MAX + PL_SRTP_OVERHEAD_MAX];
	size_t size[16], first, count;
	uint8_t scratch[PL_DATAGRAM_SIZE_MAX];
};

static uint8_t take(struct input *in)
{
	if (in->size == 0)
		return 0;
	in->size--;
	return *in->data++;
}

static size_t take_u16(struct input *in)
{
	const size_t high = take(in);
	return high << 8 | take(in);
}

static void drain_browser(struct world *w)
{
	for (struct pl_peer_output out; pl_peer_next(&w->browser, &out);) {
		if (out.kind != PL_PEER_SEND || w->count == PL_COUNT(w->size))
			continue;
		const size_t at = (w->first + w->count++) % PL_COUNT(w->size);
		memcpy(w->bytes[at], out.bytes.data, out.bytes.size);
		w->size[at] = out.bytes.size;
	}
}

static void drain_server(struct world *w)
{
	for (struct pl_output out; pl_transport_next(&w->server, &out);) {
		if (out.kind != PL_OUTPUT_SEND)
			continue;
		PL_ASSERT(out.bytes.size > 0 && out.bytes.size <= PL_DATAGRAM_SIZE_MAX);
		if (pl_addr_equal(&out.path.remote, &w->browser.path.local))
			pl_peer_feed(&w->browser, w->now_us, out.bytes);
		drain_browser(w);
	}
}

static void feed(struct world *w, const struct pl_path *path, const uint8_t *data, size_t size)
{
	const enum pl_drop drop = pl_transport_feed(&w->server, w->now_us, path, (struct pl_bytes){ data, size },
		(struct pl_span){ w->scratch, sizeof w->scratch });
	PL_ASSERT(drop < PL_DROP_COUNT);
	drain_server(w);
}

static void feed_forged(struct world *w, struct input *in, bool is_from_elsewhere)
{
	struct pl_path path = w->path;
	if (is_from_elsewhere)
		path.remote.port = take(in);
	size_t size = take_u16(in);
	if (size > in->size)
		size = in->size;
	const uint8_t *data = in->data;
	in->data += size;
	in->size -= size;
	feed(w, &path, data, size);
}

static void feed_own(struct world *w, struct input *in, uint8_t kind)
{
	if (w->count == 0)
		return;
	const size_t at = w->first;
	w->first = (w->first + 1) % PL_COUNT(w->size);
	w->count--;
	size_t size = w->size[at];
	if (kind == 3)
		w->bytes[at][take_u16(in) % size] ^= take(in);
	if (kind == 4)
		size = take_u16(in) % size;
	feed(w, &w->path, w->bytes[at], size);
}

static void pass_time(struct world *w)
{
	const int64_t a = pl_transport_deadline(&w->server), b = pl_peer_deadline(&w->browser);
	if (a == INT64_MAX && b == INT64_MAX)
		return;
	w->now_us = a < b ? a : b;
	pl_transport_tick(&w->server, w->now_us);
	drain_server(w);
	pl_peer_tick(&w->browser, w->now_us);
	drain_browser(w);
}

static void browser_says(struct world *w)
{
	const struct pl_rtp rtp = { .ssrc = 1, .seq = w->seq++, .payload_type = 111 };
	const bool is_sent = pl_peer_send_rtp(&w->browser, &rtp, NULL);
	PL_ASSERT(is_sent == (w->browser.state == PL_PEER_CONNECTED));
	drain_browser(w);
}

static void server_says(struct world *w)
{
	uint8_t out[64];
	const uint8_t header[12] = { 0x80, 111, (uint8_t)(w->seq >> 8), (uint8_t)w->seq };
	w->seq++;
	struct pl_srtp *srtp = pl_transport_srtp(&w->server);
	PL_ASSERT((srtp != NULL) == (w->server.state == PL_TRANSPORT_CONNECTED));
	if (srtp == NULL)
		return;
	const size_t size = pl_srtp_protect_rtp(srtp, (struct pl_bytes){ header, sizeof header },
		(struct pl_bytes){ NULL, 0 }, (struct pl_span){ out, sizeof out });
	PL_ASSERT(size == sizeof header + pl_srtp_rtp_overhead(srtp));
}

static void step(struct world *w, struct input *in)
{
	const uint8_t kind = take(in) % 8;
	if (kind <= 1)
		feed_forged(w, in, kind == 1);
	else if (kind <= 4)
		feed_own(w, in, kind);
	else if (kind == 5)
		pass_time(w);
	else if (kind == 6)
		browser_says(w);
	else
		server_says(w);
}

static void world_init(struct world *w)
{
	if (identity == NULL && (pl_srtp_init() != PL_ERR_NONE || pl_dtls_identity_create(&identity) != PL_ERR_NONE ||
					pl_srtp_engine_create(&server_srtp, PL_SRTP_AUTO) != PL_ERR_NONE ||
					pl_srtp_engine_create(&browser_srtp, PL_SRTP_LIBSRTP2) != PL_ERR_NONE))
		abort();
	memset(w, 0, sizeof *w);
	w->path =
		(struct pl_path){ .remote = pl_addr_ipv4(0xc0000201, 40000), .local = pl_addr_ipv4(0xc6336401, 3478) };
	const struct pl_transport_config server = {
		.identity = identity,
		.srtp = server_srtp,
		.dtls_role = PL_DTLS_PASSIVE,
		.peer_fingerprint = *pl_dtls_identity_fingerprint(identity),
		.local = server_ice,
		.remote_ufrag = browser_ice.ufrag,
	};
	const struct pl_peer_config browser = {
		.identity = identity,
		.dtls_role = PL_DTLS_ACTIVE,
		.srtp = browser_srtp,
		.server_fingerprint = *pl_dtls_identity_fingerprint(identity),
		.server = server_ice,
		.local = browser_ice,
		.path = { .local = w->path.remote, .remote = w->path.local },
	};
	if (pl_transport_init(&w->server, 0, &server) != PL_ERR_NONE)
		abort();
	pl_peer_init(&w->browser, 0, &browser);
	drain_browser(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	struct input in = { data, size };

	world_init(&w);
	for (int i = 0; i < 64 && in.size > 0; i++)
		step(&w, &in);
	pl_transport_close(&w.server, w.now_us);
	drain_server(&w);
	pl_transport_fini(&w.server);
	pl_peer_fini(&w.browser);
	return 0;
}
