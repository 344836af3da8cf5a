/* Anything from anywhere, at a conference of two: datagrams of many addresses, good connectivity checks between
 * them, commands and time.  The conference must keep its promises: only datagrams that fit, to somebody; no
 * crash; and nothing left when all have gone.
 *
 * The input is a list of steps: one byte of kind and address, then what the kind takes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sfu/conference.h"
#include "tests/fuzz/shared.h"
#include "tests/sim/peer.h"
#include "tests/support/egress_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PEERS = 2, ROOM = 1 };
enum { STEP_DATAGRAM, STEP_CHECK, STEP_TIME, STEP_COMMAND };

struct world {
	struct pl_conference *conference;
	int64_t now_us;
	struct pl_description description[PEERS];
	struct pl_bytes input;
};

static uint8_t take(struct world *w)
{
	if (w->input.size == 0)
		return 0;
	w->input.size--;
	return *w->input.data++;
}

static void take_outputs(struct world *w, bool with_events)
{
	static struct pl_egress egress;
	struct pl_event event;
	enum pl_conference_drained drained;
	do {
		pl_egress_init(&egress, true);
		drained = pl_conference_drain(w->conference, w->now_us, &egress, with_events, &event);
		struct pl_egress_walk walk = { 0 };
		struct pl_path path;
		for (struct pl_bytes datagram; pl_egress_walk_next(&walk, &egress, &path, &datagram);)
			PL_ASSERT(datagram.size > 0 && datagram.size <= PL_DATAGRAM_SIZE_MAX && path.remote.port != 0);
	} while (drained != PL_CONFERENCE_DONE);
}

/* With the handshakes that wait for their turn. */
static void drain(struct world *w, bool with_events)
{
	take_outputs(w, with_events);
	while (pl_conference_deadline(w->conference) == INT64_MIN) {
		pl_conference_tick(w->conference, w->now_us);
		take_outputs(w, with_events);
	}
}

static struct pl_path path_of(uint8_t address)
{
	return (struct pl_path){ .remote = pl_addr_ipv4(0xc6336400u + (address & 3), 4000),
		.local = pl_addr_ipv4(0xc0000201, 3478) };
}

static void describe(struct pl_description *d, unsigned number)
{
	*d = (struct pl_description){
		.dtls_role = number % 2 == 0 ? PL_DTLS_PASSIVE : PL_DTLS_ACTIVE,
		.fingerprint = *pl_dtls_identity_fingerprint(pl_fuzz_identity()),
		.remote_ufrag = "peer",
		.cname = "cname",
		.track_count = 1,
		.slot_count = 2,
		.track[0] = { .track = 1 + number, .mid = "0", .clock_hz = 48000, .payload_type = 111 },
		.slot[0] = { .mid = "1", .ssrc = 100 + number, .clock_hz = 48000, .payload_type = 111 },
		.slot[1] = { .mid = "2", .ssrc = 200 + number, .clock_hz = 48000, .payload_type = 111 },
	};
	snprintf(d->local.ufrag, sizeof d->local.ufrag, "ufrag%u", number % 10);
	snprintf(d->local.pwd, sizeof d->local.pwd, "%024u", number);
}

/* The first check of a browser that got this description. */
static void feed_check(struct world *w, const struct pl_description *d, uint8_t address)
{
	const struct pl_path path = path_of(address);
	const struct pl_peer_config config = {
		.identity = pl_fuzz_identity(),
		.srtp = pl_fuzz_srtp(),
		.dtls_role = PL_DTLS_ACTIVE,
		.server_fingerprint = d->fingerprint,
		.server = d->local,
		.local = { .ufrag = "peer", .pwd = "peerpeerpeerpeerpeerpeer" },
		.path = { .remote = path.local, .local = path.remote },
	};
	struct pl_peer peer;
	pl_peer_init(&peer, w->now_us, &config);
	for (struct pl_peer_output o; pl_peer_next(&peer, &o);) {
		if (o.kind != PL_PEER_SEND)
			continue;
		pl_conference_feed(w->conference, w->now_us, &path, o.bytes);
		drain(w, true);
	}
	pl_peer_fini(&peer);
}

static void feed_datagram(struct world *w, uint8_t address)
{
	const struct pl_path path = path_of(address);
	size_t length = take(w);
	if (length > w->input.size)
		length = w->input.size;
	pl_conference_feed(w->conference, w->now_us, &path, (struct pl_bytes){ w->input.data, length });
	w->input.data += length;
	w->input.size -= length;
}

static void command(struct world *w, uint8_t kind, unsigned number, bool is_on)
{
	pl_conference_command(w->conference, w->now_us,
		&(struct pl_command){ .kind = (enum pl_command_kind)(kind % 4),
			.room = ROOM,
			.source = 1 + number,
			.track = 1 + number,
			.is_on = is_on,
			.description = &w->description[number] });
}

static void step(struct world *w)
{
	const uint8_t first = take(w), address = (uint8_t)(first >> 2);
	const unsigned number = first >> 4 & 1;
	switch (first & 3) {
	case STEP_DATAGRAM:
		feed_datagram(w, address);
		break;
	case STEP_CHECK:
		feed_check(w, &w->description[number], address);
		break;
	case STEP_TIME:
		w->now_us += take(w) * INT64_C(100000);
		pl_conference_tick(w->conference, w->now_us);
		break;
	case STEP_COMMAND:
		command(w, address, number, (first & 0x20) != 0);
		break;
	}
	drain(w, (first & 0x80) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = { .now_us = 1000000, .input = { data, size } };
	const struct pl_conference_config config = { .identity = pl_fuzz_identity(),
		.srtp = pl_fuzz_srtp(),
		.participants_max = PEERS,
		.rooms_max = 1,
		.seed = 1 };
	if (pl_conference_create(&w.conference, &config) != PL_ERR_NONE)
		abort();
	for (unsigned i = 0; i < PEERS; i++) {
		describe(&w.description[i], i);
		command(&w, PL_COMMAND_JOIN, i, false);
		drain(&w, true);
	}
	while (w.input.size > 0)
		step(&w);

	pl_conference_close(w.conference, w.now_us);
	drain(&w, true);
	const struct pl_conference_counters counters = pl_conference_counters(w.conference);
	PL_ASSERT(counters.participants == 0 && counters.rooms == 0);
	PL_ASSERT(pl_conference_deadline(w.conference) == INT64_MAX);
	pl_conference_destroy(&w.conference);
	return 0;
}
