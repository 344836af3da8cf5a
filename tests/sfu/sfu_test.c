#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sfu/io/udp.h"
#include "sfu/participant.h"
#include "sfu/sfu.h"
#include "tests/sim/peer.h"

/* The real thing: three shards with their threads, sockets and rings, and clients of the simulator on sockets of their
 * own, two in a room, a room on each shard. */

enum {
	SOURCE_FIRST = 1000,
	PAYLOAD_TYPE = 111,
	LIMIT_US = 20 * 1000000,
	SHARDS = 3,
	CLIENTS_MAX = 2 * SHARDS,
	STORM = 48
};

struct client {
	struct pl_udp *udp;
	struct pl_peer peer;
	struct pl_description description;
	uint32_t source, rtp_got, csrc_last, connected_events, slots_events;
	uint32_t heard; /* bit i: client i was in a packet */
	uint64_t payload_bytes;
	uint8_t shard;
	uint16_t seq;
	uint32_t number; /* of the last numbered payload that came */
	bool is_connected, is_closed;
};

struct call {
	struct pl_sfu *sfu;
	struct pl_dtls_identity *identity; /* of the clients */
	struct pl_srtp_engine *srtp;       /* theirs, too */
	bool has_libsrtp;
	bool is_one_room; /* over all shards, at home on the first */
	bool is_storm;    /* all come to the first shard at once, and what they send is held */
	bool is_patient;  /* nobody sends a flight again, however long the answer takes */
	uint32_t coalesce_us;
	struct client client[STORM];
	uint32_t client_count;
	int64_t until_us;
};

static int64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Payloads that tell when one is missing, comes twice, or was overwritten on its way. */
enum { NUMBERED = 0x79, NUMBERED_SIZE = 60 };

static void write_number(uint8_t payload[static NUMBERED_SIZE], uint32_t number)
{
	payload[0] = NUMBERED;
	for (size_t i = 1; i < NUMBERED_SIZE; i++)
		payload[i] = (uint8_t)(number >> (i % 4 * 8));
}

static void check_number(struct client *c, struct pl_bytes payload)
{
	uint8_t expected[NUMBERED_SIZE];
	if (payload.size != NUMBERED_SIZE || payload.data[0] != NUMBERED)
		return;
	write_number(expected, ++c->number);
	assert_memory_equal(payload.data, expected, sizeof expected);
}

static void push_outputs(struct client *c)
{
	for (struct pl_peer_output out; pl_peer_next(&c->peer, &out);) {
		if (out.kind == PL_PEER_SEND) {
			const struct pl_span room = pl_udp_room(c->udp);
			memcpy(room.data, out.bytes.data, out.bytes.size);
			pl_udp_push(c->udp, &out.path, out.bytes.size);
		} else if (out.kind == PL_PEER_RTP) {
			struct pl_rtp rtp;
			assert_int_equal(pl_rtp_parse(out.bytes, &rtp), PL_DROP_NONE);
			c->rtp_got++;
			c->payload_bytes += rtp.payload.size;
			check_number(c, rtp.payload);
			c->csrc_last = rtp.csrc_count == 1 ? rtp.csrc[0] : 0;
			for (uint8_t i = 0; i < rtp.csrc_count; i++) {
				assert_int_not_equal(rtp.csrc[i], c->source);
				c->heard |= 1u << (rtp.csrc[i] - SOURCE_FIRST);
			}
		}
		c->is_connected |= out.kind == PL_PEER_IS_CONNECTED;
		c->is_closed |= out.kind == PL_PEER_IS_CLOSED;
	}
}

static void drain(struct client *c)
{
	push_outputs(c);
	pl_udp_flush(c->udp);
}

static void take_events(struct call *call)
{
	for (struct pl_event event; pl_sfu_receive(call->sfu, &event);) {
		for (struct client *c = call->client; c < call->client + call->client_count; c++) {
			c->connected_events += event.source == c->source && event.kind == PL_EVENT_CONNECTED;
			c->slots_events += event.source == c->source && event.kind == PL_EVENT_SLOTS;
		}
	}
}

/* One turn of all clients; waits a little for whatever comes first. */
static void turn(struct call *call)
{
	struct pollfd fds[STORM + 1][PL_UDP_FAMILIES] = { { { .fd = pl_sfu_event_fd(call->sfu), .events = POLLIN },
		{ .fd = -1 } } };
	for (uint32_t i = 0; i < call->client_count; i++)
		pl_udp_prepare_poll(call->client[i].udp, fds[1 + i]);
	poll(fds[0], (1 + call->client_count) * PL_UDP_FAMILIES, 5);
	take_events(call);
	for (struct client *c = call->client; c < call->client + call->client_count; c++) {
		pl_udp_take_poll(c->udp, fds[1 + (c - call->client)]);
		const size_t count = pl_udp_receive(c->udp);
		for (size_t i = 0; i < count; i++) {
			pl_peer_feed(&c->peer, now(), c->udp->datagram[i].bytes);
			push_outputs(c);
		}
		if (!call->is_patient && pl_peer_deadline(&c->peer) <= now()) {
			pl_peer_tick(&c->peer, now());
			push_outputs(c);
		}
		if (!call->is_storm)
			pl_udp_flush(c->udp);
	}
	assert_true(now() < call->until_us); /* else something that must happen never does */
}

static void describe(struct call *call, struct client *c, uint32_t index)
{
	struct pl_description *d = &c->description;
	*d = (struct pl_description){
		.dtls_role = PL_DTLS_PASSIVE,
		.fingerprint = *pl_dtls_identity_fingerprint(call->identity),
		.ext_ids.id = { [PL_RTP_EXT_MID] = 4, [PL_RTP_EXT_AUDIO_LEVEL] = 1 },
		.cname = "test",
		.track_count = 1,
		.slot_count = 1,
		.track[0] = { .track = 10 + index,
			.mid = "0",
			.ssrc = 100 + index,
			.clock_hz = 48000,
			.payload_type = PAYLOAD_TYPE },
		.slot[0] = { .mid = "1", .ssrc = 200 + index, .clock_hz = 48000, .payload_type = PAYLOAD_TYPE },
	};
	snprintf(d->local.ufrag, sizeof d->local.ufrag, "server%02u", (unsigned)(index % 100));
	snprintf(d->local.pwd, sizeof d->local.pwd, "server-password-no-%05u", (unsigned)(index % 100));
	snprintf(d->remote_ufrag, sizeof d->remote_ufrag, "client%02u", (unsigned)(index % 100));
}

static void join(struct call *call, struct client *c, uint32_t index)
{
	c->udp = aligned_alloc(64, pl_whole_lines(sizeof *c->udp));
	assert_non_null(c->udp);
	assert_int_equal(pl_udp_open(c->udp, 0), PL_ERR_NONE);
	c->source = SOURCE_FIRST + index;
	c->shard = (uint8_t)(call->is_storm ? 0 : SHARDS - 1 - index / 2);
	describe(call, c, index);

	struct pl_command command = {
		.kind = PL_COMMAND_JOIN,
		.shard = c->shard,
		.home = call->is_one_room ? 0 : c->shard,
		.room = call->is_one_room ? 7 : 7 + index / 2,
		.source = c->source,
	};
	command.description = malloc(sizeof *command.description);
	assert_non_null(command.description);
	*command.description = c->description;
	assert_true(pl_sfu_send(call->sfu, &command));

	struct pl_addr candidate[PL_SFU_ADDRESSES_MAX];
	const size_t count = pl_sfu_candidates(call->sfu, c->shard, candidate);
	struct pl_peer_config config = {
		.identity = call->identity,
		.srtp = call->srtp,
		.dtls_role = PL_DTLS_ACTIVE,
		.server_fingerprint = *pl_sfu_fingerprint(call->sfu),
		.server = c->description.local,
		.path = { .remote = candidate[count - 1], .local = pl_addr_ipv4(0x7f000001, c->udp->port) },
		.ext_ids = c->description.ext_ids,
	};
	snprintf(config.local.ufrag, sizeof config.local.ufrag, "client%02u", (unsigned)(index % 100));
	snprintf(config.local.pwd, sizeof config.local.pwd, "client-password-no-%05u", (unsigned)(index % 100));
	pl_peer_init(&c->peer, now(), &config);
	drain(c);
}

static bool is_everybody_there(const struct call *call)
{
	bool is_there = true;
	for (const struct client *c = call->client; c < call->client + call->client_count; c++)
		is_there = is_there && c->is_connected && c->connected_events > 0;
	return is_there;
}

/* The prestate is what the server is to encrypt with, NULL: what it likes best. */
static int start_clients(void **state, uint32_t count, bool is_one_room, uint32_t coalesce_us)
{
	const enum pl_srtp_backend *wanted = *state;
	struct call *call = calloc(1, sizeof *call);
	assert_non_null(call);
	call->until_us = now() + LIMIT_US;
	call->is_one_room = is_one_room;
	call->coalesce_us = coalesce_us;
	char error[300];
	const struct pl_sfu_config config = {
		.shards = SHARDS,
		.address_count = 1,
		.address = { pl_addr_ipv4(0x7f000001, 0) },
		.srtp = wanted != NULL ? *wanted : PL_SRTP_AUTO,
		.participants_max = STORM,
		.rooms_max = 4,
		.coalesce_us = coalesce_us,
		.has_pressure_level = true, /* whatever else this machine does */
		.pressure_level = PL_PRESSURE_NOMINAL,
		.codec_workers = 2,
	};
	assert_int_equal(pl_sfu_create(&call->sfu, &config, error, sizeof error), PL_ERR_NONE);
	assert_int_equal(pl_dtls_identity_create(&call->identity), PL_ERR_NONE);
	call->has_libsrtp = wanted == NULL || *wanted != PL_SRTP_LIBSRTP2; /* else it is the server's */
	if (call->has_libsrtp)
		assert_int_equal(pl_srtp_init(), PL_ERR_NONE);
	assert_int_equal(pl_srtp_engine_create(&call->srtp, PL_SRTP_LIBSRTP2), PL_ERR_NONE);
	if (wanted != NULL)
		assert_memory_equal(pl_sfu_srtp_text(call->sfu), pl_srtp_backend_text(*wanted), 7);
	call->is_storm = count == STORM;
	for (uint32_t i = 0; i < count; i++) {
		join(call, &call->client[i], i);
		call->client_count++;
	}
	while (!call->is_storm && !is_everybody_there(call))
		turn(call);
	*state = call;
	return 0;
}

static int start(void **state)
{
	return start_clients(state, 2, false, 0);
}

static int start_rooms(void **state)
{
	return start_clients(state, CLIENTS_MAX, false, 0);
}

static int start_one_room(void **state)
{
	return start_clients(state, CLIENTS_MAX, true, 0);
}

static int start_storm(void **state)
{
	return start_clients(state, STORM, true, 20000);
}

static int start_gathering(void **state)
{
	return start_clients(state, 2, false, 20000);
}

static int stop(void **state)
{
	struct call *call = *state;
	for (struct client *c = call->client; c < call->client + call->client_count; c++)
		pl_peer_fini(&c->peer);
	pl_sfu_destroy(&call->sfu);
	for (struct client *c = call->client; c < call->client + call->client_count; c++) {
		pl_udp_close(c->udp);
		free(c->udp);
	}
	pl_dtls_identity_destroy(&call->identity);
	pl_srtp_engine_destroy(&call->srtp);
	if (call->has_libsrtp)
		pl_srtp_fini();
	free(call);
	return 0;
}

static void say(struct client *c, struct pl_bytes payload)
{
	const struct pl_rtp rtp = {
		.ssrc = c->description.track[0].ssrc,
		.payload_type = PAYLOAD_TYPE,
		.seq = c->seq,
		.ts = (uint32_t)c->seq * 960,
		.payload = payload,
	};
	const struct pl_rtp_ext ext = { .has[PL_RTP_EXT_AUDIO_LEVEL] = true, .audio_level = 30, .is_voice = true };
	c->seq++;
	assert_true(pl_peer_send_rtp(&c->peer, &rtp, &ext));
	drain(c);
}

static void talk(struct client *c)
{
	static const uint8_t payload[60] = { 0x78 };
	say(c, (struct pl_bytes){ payload, sizeof payload });
}

static void talk_number(struct client *c, uint32_t number)
{
	uint8_t payload[NUMBERED_SIZE];
	write_number(payload, number);
	say(c, (struct pl_bytes){ payload, sizeof payload });
}

static void test_sfu_two_people_hear_each_other(void **state)
{
	struct call *call = *state;
	struct client *ann = &call->client[0], *bob = &call->client[1];
	while (ann->rtp_got < 50 || bob->rtp_got < 50 || ann->slots_events == 0 || bob->slots_events == 0) {
		talk(ann);
		talk(bob);
		turn(call);
	}
	assert_int_equal(ann->csrc_last, bob->source);
	assert_int_equal(bob->csrc_last, ann->source);
}

static bool is_readable(const struct call *call)
{
	struct pollfd fd = { .fd = pl_sfu_event_fd(call->sfu), .events = POLLIN };
	return poll(&fd, 1, 0) == 1;
}

/* Whoever takes a part of the events only, to look after something else, is called again without another event. */
static void test_sfu_events_left_for_later_are_told_again(void **state)
{
	struct call *call = *state;
	for (int64_t from_us = now(); now() - from_us < 300000;)
		turn(call);
	assert_false(is_readable(call));
	pl_sfu_receive_later(call->sfu);
	assert_true(is_readable(call));
	take_events(call);
	assert_false(is_readable(call));
}

static struct pl_sfu_counters counters_of(const struct call *call, size_t shard)
{
	struct pl_sfu_counters counters;
	pl_sfu_shard_counters(call->sfu, shard, &counters);
	return counters;
}

/* The shortest time between two packets of a talker for ever: with less pl_track_may drops some. */
enum { PACKET_US = 1000000 / PL_TRACK_PACKETS_PER_S };

/* media.coalesce_us is there for the system calls that it saves: however long the packets take to come, the shard does not
 * look for them more than once a window, and all of them are delivered. */
static void test_sfu_gathered_packets_cost_few_calls(void **state)
{
	enum { PACKETS = 400, CALLS_PER_TURN = 8, PUBLISHED_US = 600000 };
	struct call *call = *state;
	struct client *ann = &call->client[0], *bob = &call->client[1];
	while (bob->rtp_got < 20) { /* the handshakes are over, and so is what they leave */
		talk(ann);
		turn(call);
	}
	for (int64_t from_us = now(); now() - from_us < PUBLISHED_US;)
		turn(call);
	const struct pl_sfu_counters before = counters_of(call, ann->shard);
	const int64_t from_us = now();
	const uint32_t got = bob->rtp_got;
	for (int i = 0; i < PACKETS; i++) {
		const struct timespec pause = { .tv_nsec = PACKET_US * 1000 };
		talk(ann);
		nanosleep(&pause, NULL);
	}
	while (bob->rtp_got < got + PACKETS)
		turn(call);
	for (int64_t end_us = now(); now() - end_us < PUBLISHED_US;)
		turn(call);
	const struct pl_sfu_counters after = counters_of(call, ann->shard);
	const uint64_t turns = (uint64_t)((now() - from_us + PUBLISHED_US) / call->coalesce_us) + 1;
	assert_int_equal(after.conference.rtp_out - before.conference.rtp_out, PACKETS);
	assert_in_range(after.syscalls - before.syscalls, 1, turns * CALLS_PER_TURN);
}

/* Who talks must not wait until 48 strangers are let in: of all their first flights, which come at the same moment, one
 * turn takes what fits a millisecond.  No step takes less than 40 us (an ECDSA signature is among them), as long as none is a flight that was
 * sent again. */
static void test_sfu_storm_of_joins_takes_a_little_of_each_turn(void **state)
{
	enum { STEPS_MAX = 1000 / 40, JOINS_MAX = 8 };
	struct call *call = *state;
	for (bool is_ready = false; !is_ready;) {
		turn(call);
		is_ready = true;
		for (uint32_t i = 0; i < STORM; i++)
			is_ready = is_ready && call->client[i].udp->egress.count > 0;
	}
	call->is_storm = false;
	call->is_patient = true;
	for (uint32_t i = 0; i < STORM; i++)
		pl_udp_flush(call->client[i].udp);
	while (!is_everybody_there(call))
		turn(call);
	struct pl_sfu_counters own = counters_of(call, 0);
	while (own.conference.participants < STORM || own.handshakes_turn_max == 0) {
		turn(call);
		own = counters_of(call, 0);
	}
	assert_in_range(own.handshakes_turn_max, 1, STEPS_MAX);
	assert_in_range(own.joins_turn_max, 1, JOINS_MAX);
}

/* A room on each shard, all talking at once: everybody hears their room and nobody else, events of all shards come
 * through one descriptor, and what a shard counts is its own room's. */
static void test_sfu_rooms_on_their_shards_share_nothing(void **state)
{
	struct call *call = *state;
	bool is_done = false;
	while (!is_done) {
		is_done = true;
		for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
			struct client *c = &call->client[i];
			talk(c);
			is_done = is_done && c->rtp_got >= 50 && c->slots_events > 0 && c->connected_events == 1;
			if (c->rtp_got > 0)
				assert_int_equal(c->csrc_last, call->client[i ^ 1].source);
		}
		turn(call);
	}
	for (size_t shard = 0; shard < SHARDS; shard++) {
		while (counters_of(call, shard).conference.rtp_out < 100)
			turn(call);
		const struct pl_sfu_counters own = counters_of(call, shard);
		assert_int_equal(own.conference.participants, 2);
		assert_int_equal(own.conference.rooms, 1);
		for (size_t other = 0; other < shard; other++)
			assert_int_not_equal(pl_sfu_port(call->sfu, shard), pl_sfu_port(call->sfu, other));
	}
	struct pl_sfu_counters sum;
	pl_sfu_counters(call->sfu, &sum);
	assert_int_equal(sum.conference.participants, CLIENTS_MAX);
	assert_int_equal(sum.conference.rooms, SHARDS);
}

/* A room over all shards, with threads of its own: what one says far from home comes to everybody else once, in order and as it
 * was, crosses once into each shard, and every buffer that was lent comes back. */
static void test_sfu_a_room_over_all_shards_loses_nothing(void **state)
{
	enum { NUMBERS = 1000, AT_ONCE = 20 };
	struct call *call = *state;
	struct client *talker = &call->client[0];
	assert_int_not_equal(talker->shard, 0);
	const int64_t from_us = now();
	for (uint32_t number = 1; number <= NUMBERS; number++) {
		while (now() < from_us + number * PACKET_US - AT_ONCE * PACKET_US)
			turn(call);
		talk_number(talker, number);
		/* Nobody may fall behind by more than the ring between two shards holds. */
		for (uint32_t i = 1; i < CLIENTS_MAX && number % AT_ONCE == 0; i++) {
			while (call->client[i].number < number)
				turn(call);
		}
	}
	for (uint32_t i = 1; i < CLIENTS_MAX; i++) {
		while (call->client[i].number < NUMBERS)
			turn(call);
		assert_int_equal(call->client[i].csrc_last, talker->source);
	}
	assert_int_equal(talker->rtp_got, 0);
	for (size_t shard = 0; shard < SHARDS; shard++) {
		struct pl_sfu_counters own = counters_of(call, shard);
		while (own.conference.crossed < NUMBERS || own.conference.packets_used > 0) {
			turn(call);
			own = counters_of(call, shard);
		}
		assert_int_equal(own.conference.crossed, NUMBERS);
		assert_int_equal(own.conference.drop[PL_DROP_CROSS_FULL], 0);
	}
}

/* ---- mixing ---- */

enum { VOICE_FRAMES = 50 };

/* A second of a sine, in Opus. */
struct voice {
	uint8_t frame[VOICE_FRAMES][PL_OPUS_PACKET_MAX];
	size_t size[VOICE_FRAMES];
};

static void make_voice(struct voice *voice, float step)
{
	const struct pl_span memory = { aligned_alloc(64, pl_opus_templates_bytes()), pl_opus_templates_bytes() };
	struct pl_opus_encoder *encoder = aligned_alloc(64, pl_opus_encoder_bytes());
	struct pl_opus_templates *templates;
	assert_true(memory.data != NULL && encoder != NULL);
	assert_int_equal(pl_opus_templates_init(&templates, memory), PL_ERR_NONE);
	pl_opus_encoder_start(encoder, templates, PL_OPUS_CELT);
	for (size_t i = 0; i < VOICE_FRAMES; i++) {
		float pcm[PL_OPUS_FRAME];
		for (size_t k = 0; k < PL_OPUS_FRAME; k++)
			pcm[k] = 0.25f * sinf(step * (float)(i * PL_OPUS_FRAME + k));
		const struct pl_span out = { voice->frame[i], sizeof voice->frame[i] };
		voice->size[i] = pl_opus_encode(encoder, pcm, false, out);
		assert_true(voice->size[i] > 0);
	}
	free(encoder);
	free(memory.data);
}

static void send_mode(struct call *call, const struct client *c, enum pl_audio_mode mode, enum pl_mix_group wish)
{
	const struct pl_command command = {
		.kind = PL_COMMAND_MODE, .shard = c->shard, .source = c->source, .audio_mode = mode, .mix_wish = wish
	};
	while (!pl_sfu_send(call->sfu, &command))
		turn(call);
}

static void send_mute(struct call *call, const struct client *c, bool is_on)
{
	const struct pl_command command = { .kind = PL_COMMAND_MUTE,
		.shard = c->shard,
		.source = c->source,
		.track = c->description.track[0].track,
		.is_on = is_on };
	while (!pl_sfu_send(call->sfu, &command))
		turn(call);
}

static uint64_t worker_waits(const struct call *call)
{
	uint64_t waits = 0;
	for (size_t i = 0; i < pl_sfu_worker_count(call->sfu); i++) {
		struct pl_sfu_worker_counters counters;
		pl_sfu_worker_counters(call->sfu, i, &counters);
		waits += counters.waits;
	}
	return waits;
}

static void pass(struct call *call, int64_t us)
{
	for (const int64_t end_us = now() + us; now() < end_us;)
		turn(call);
}

static bool has_everybody_heard(const struct call *call, uint32_t talkers)
{
	for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
		const uint32_t others = ((1u << talkers) - 1) & ~(1u << i);
		if ((call->client[i].heard & others) != others)
			return false;
	}
	return true;
}

/* Three talk, everybody changes between talkers and the mix and its qualities, voices come and go, the mixer's instructions
 * change, and the ladder takes slots and gives them back: on threads of their own.  Nobody ever gets a packet with its own voice, all hear all others, and when all are
 * silent the codec workers sleep: not one wake-up. */
static void test_sfu_mixes_while_everything_changes(void **state)
{
	enum { TALKERS = 3, CHANGES = 60, CHANGE_US = 50000 };
	static const enum pl_mix_group wish[] = { PL_MIX_FULL, PL_MIX_ROBUST, PL_MIX_STEREO };
	static struct voice voice;
	struct call *call = *state;
	call->until_us += 2 * LIMIT_US; /* sanitizers take their time */
	assert_int_equal(pl_sfu_worker_count(call->sfu) % 2, 0);
	make_voice(&voice, 0.06f);
	for (uint32_t i = 0; i < CLIENTS_MAX; i++)
		send_mode(call, &call->client[i], PL_AUDIO_MIXED, PL_MIX_FULL);

	int64_t talk_us = now(), change_us = now();
	for (uint32_t frame = 0, change = 0; change < CHANGES || !has_everybody_heard(call, TALKERS);) {
		turn(call);
		for (; talk_us <= now(); talk_us += 20000, frame++) {
			for (uint32_t i = 0; i < TALKERS; i++)
				say(&call->client[i], (struct pl_bytes){ voice.frame[frame % VOICE_FRAMES],
							      voice.size[frame % VOICE_FRAMES] });
		}
		if (now() < change_us)
			continue;
		change_us = now() + CHANGE_US;
		send_mode(call, &call->client[change % CLIENTS_MAX],
			change / CLIENTS_MAX % 3 == 1 ? PL_AUDIO_FORWARD : PL_AUDIO_MIXED,
			wish[change % PL_COUNT(wish)]);
		if (change % 5 == 4)
			send_mute(call, &call->client[change % TALKERS], change % 10 == 4);
		assert_true(pl_sfu_set_simd(call->sfu, change % 2 == 0 ? PL_SIMD_PLAIN : PL_SIMD_AUTO));
		if (change % 7 == 3)
			pl_sfu_force_level(call->sfu, change / 7 % 2 == 0 ? PL_PRESSURE_CRITICAL : PL_PRESSURE_NOMINAL);
		change++;
		/* What counts is what is heard after half of the changes. */
		for (uint32_t i = 0; change == CHANGES / 2 && i < CLIENTS_MAX; i++)
			call->client[i].heard = 0;
	}

	pl_sfu_force_level(call->sfu, PL_PRESSURE_NOMINAL);
	for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
		send_mode(call, &call->client[i], PL_AUDIO_MIXED, PL_MIX_FULL);
		send_mute(call, &call->client[i], true);
	}
	uint64_t before;
	do {
		before = worker_waits(call);
		pass(call, 500000);
	} while (worker_waits(call) != before);
	struct pl_sfu_counters sum;
	pl_sfu_counters(call->sfu, &sum);
	assert_int_equal(sum.conference.drop[PL_DROP_CROSS_REFUSED], 0);
	assert_true(sum.conference.participants == CLIENTS_MAX);
}

static uint64_t load_step_of(const struct call *call, size_t worker)
{
	struct pl_sfu_worker_counters counters;
	pl_sfu_worker_counters(call->sfu, worker, &counters);
	return counters.load_step;
}

/* What a listener's packets have on average, from now on, while one talks. */
static double mean_payload(struct call *call, const struct voice *voice, const struct client *listener)
{
	enum { SETTLE = 20, PACKETS = 100 };
	uint32_t got = listener->rtp_got;
	uint64_t bytes = 0;
	int64_t talk_us = now();
	for (bool is_settled = false; !is_settled || listener->rtp_got < got + PACKETS;) {
		turn(call);
		for (; talk_us <= now(); talk_us += 20000) {
			const size_t i = call->client[0].seq % VOICE_FRAMES;
			say(&call->client[0], (struct pl_bytes){ voice->frame[i], voice->size[i] });
		}
		if (is_settled || listener->rtp_got < got + SETTLE)
			continue;
		is_settled = true;
		got = listener->rtp_got;
		bytes = listener->payload_bytes;
	}
	return (double)(listener->payload_bytes - bytes) / (listener->rtp_got - got);
}

/* Of one worker or of all, at work or not; and only of whom it is set. */
static bool take_pressure(struct pl_sfu *sfu, struct pl_pressure *pressure)
{
	bool has_come = false;
	for (struct pl_event event; pl_sfu_receive(sfu, &event);) {
		if (event.kind != PL_EVENT_PRESSURE)
			continue;
		*pressure = event.pressure;
		has_come = true;
	}
	return has_come;
}

/* An operator's level comes as an event at once, and again each second; the same is there to be read. */
static void test_sfu_tells_how_hard_it_is_pressed(void **state)
{
	struct pl_sfu *sfu = ((struct call *)*state)->sfu;
	struct pollfd fd = { .fd = pl_sfu_event_fd(sfu), .events = POLLIN };
	struct pl_pressure told = { .level = PL_PRESSURE_LEVELS };
	const int64_t forced_us = now();
	assert_int_equal(pl_sfu_forced_level(sfu), PL_PRESSURE_NOMINAL);
	pl_sfu_force_level(sfu, PL_PRESSURE_CRITICAL);
	for (int events = 0; events < 2;) {
		assert_true(now() - forced_us < LIMIT_US);
		poll(&fd, 1, 1000);
		if (take_pressure(sfu, &told) && told.level == PL_PRESSURE_CRITICAL)
			events++;
	}
	assert_true(told.is_forced);
	assert_true(
		now() - forced_us >= PL_PRESSURE_PERIOD_US); /* three samples are two periods, but for their jitter */
	struct pl_sfu_pressure seen;
	pl_sfu_pressure(sfu, &seen);
	assert_int_equal(seen.now.level, PL_PRESSURE_CRITICAL);
	assert_true(seen.samples >= 3 && seen.raised >= 1);
	assert_int_equal(pl_sfu_forced_level(sfu), PL_PRESSURE_CRITICAL);

	pl_sfu_force_level(sfu, PL_PRESSURE_NOMINAL);
	while (told.level != PL_PRESSURE_NOMINAL) {
		assert_true(now() - forced_us < LIMIT_US);
		poll(&fd, 1, 1000);
		take_pressure(sfu, &told);
	}
	assert_true(told.is_forced);
}

static void test_sfu_load_step_changes_while_rooms_are_mixed(void **state)
{
	enum { BEST = 0, FIRST = 1, CHEAPEST = PL_MIXER_LOAD_STEPS - 1 };
	static struct voice voice;
	struct call *call = *state;
	call->until_us += 2 * LIMIT_US;
	const size_t count = pl_sfu_worker_count(call->sfu);
	assert_true(count >= 2);
	make_voice(&voice, 0.06f);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(pl_sfu_load_step(call->sfu, i), FIRST);
		while (load_step_of(call, i) != FIRST)
			turn(call);
	}
	for (uint32_t i = 0; i < CLIENTS_MAX; i++)
		send_mode(call, &call->client[i], PL_AUDIO_MIXED, PL_MIX_FULL);
	const struct client *listener = &call->client[CLIENTS_MAX - 1];
	mean_payload(call, &voice, listener);
	size_t mixes = count;
	while (mixes == count) {
		turn(call);
		for (size_t i = 0; i < count; i++) {
			struct pl_sfu_worker_counters counters;
			pl_sfu_worker_counters(call->sfu, i, &counters);
			if (counters.codec.rooms > 0)
				mixes = i;
		}
	}
	const size_t idle = (mixes + 1) % count;

	assert_true(pl_sfu_set_load_step(call->sfu, mixes, BEST));
	assert_true(pl_sfu_set_load_step(call->sfu, idle, CHEAPEST));
	while (load_step_of(call, mixes) != BEST || load_step_of(call, idle) != CHEAPEST)
		turn(call);
	const double best = mean_payload(call, &voice, listener);
	assert_true(pl_sfu_set_load_step(call->sfu, PL_SFU_ALL_WORKERS, CHEAPEST));
	while (load_step_of(call, mixes) != CHEAPEST)
		turn(call);
	const double cheapest = mean_payload(call, &voice, listener);
	assert_true(pl_sfu_set_load_step(call->sfu, PL_SFU_ALL_WORKERS, BEST));
	const double again = mean_payload(call, &voice, listener);
	if (cheapest > 0.8 * best || again < 0.95 * best || again > 1.05 * best)
		fail_msg("bytes in a packet: %.1f at the best step, %.1f at the cheapest, %.1f at the best again", best,
			cheapest, again);

	assert_false(pl_sfu_set_load_step(call->sfu, PL_SFU_ALL_WORKERS, PL_MIXER_LOAD_STEPS));
	assert_false(pl_sfu_set_load_step(call->sfu, count, CHEAPEST));
	for (size_t i = 0; i < count; i++)
		assert_int_equal(pl_sfu_load_step(call->sfu, i), BEST);
	while (load_step_of(call, mixes) != BEST || load_step_of(call, idle) != BEST)
		turn(call);
}

/* One tenth of a second of talk, of which the shard tells how often it looked: whether that was no more than once in each window. */
static bool gathers(struct call *call, int64_t window_us)
{
	/* Packets come ten times as often as it may look, by a clock that waits for no scheduler: on a busy machine, too, some tenth of a
	 * second shows a shard that does not gather. */
	enum { BURST = 16, APART_US = 500, TURNS_MIN = 5 };
	struct client *ann = &call->client[0];
	struct pl_load load;
	do {
		for (int i = 0; i < BURST; i++) {
			const int64_t at_us = now();
			talk(ann);
			pl_udp_flush(ann->udp);
			while (now() - at_us < APART_US) {
			}
		}
		turn(call);
		pl_sfu_shard_load(call->sfu, ann->shard, &load);
	} while (load.age_us >= PL_LOAD_PERIOD_US / 2 || load.turns < TURNS_MIN);
	pass(call, PL_LOAD_PERIOD_US / 2);
	return (load.turns - 1) * (uint64_t)window_us <= load.window_us;
}

/* The ladder has shards gather where the operator does not, and lets them go again. */
static void test_sfu_pressed_shards_gather(void **state)
{
	enum { WINDOWS = 5 };
	struct call *call = *state;
	const int64_t window_us = pl_pressure_ladder(PL_PRESSURE_EMERGENCY)->coalesce_us;
	assert_int_equal(call->coalesce_us, 0);
	for (int round = 0; round < 2; round++) {
		pl_sfu_force_level(call->sfu, PL_PRESSURE_NOMINAL);
		while (gathers(call, window_us)) {
		}
		pl_sfu_force_level(call->sfu, PL_PRESSURE_EMERGENCY);
		for (int good = 0; good < WINDOWS;)
			good = gathers(call, window_us) ? good + 1 : 0;
	}
}

/* A level's rung reaches the threads, and is taken back; what the operator has set counts where it is more. */
static void test_sfu_ladder_reaches_codec_workers(void **state)
{
	struct call *call = *state;
	const uint8_t first = pl_sfu_load_step(call->sfu, 0);
	static const uint8_t level[] = { PL_PRESSURE_CRITICAL, PL_PRESSURE_ELEVATED, PL_PRESSURE_NOMINAL };
	for (size_t i = 0; i < PL_COUNT(level); i++) {
		const uint8_t least = pl_pressure_ladder(level[i])->load_step;
		pl_sfu_force_level(call->sfu, level[i]);
		while (load_step_of(call, 0) != (least > first ? least : first))
			turn(call);
		assert_int_equal(pl_sfu_load_step(call->sfu, 0), first);
	}
	pl_sfu_force_level(call->sfu, PL_PRESSURE_ELEVATED);
	assert_true(pl_sfu_set_load_step(call->sfu, 0, PL_MIXER_LOAD_STEPS - 1));
	while (load_step_of(call, 0) != PL_MIXER_LOAD_STEPS - 1)
		turn(call);
}

/* Who works tells of it; who sleeps is idle, and no watchdog barks at it. */
static void test_sfu_threads_tell_of_their_work(void **state)
{
	struct call *call = *state;
	struct client *ann = &call->client[0];
	struct pl_load load = { 0 };
	struct pl_sfu_stall stall;
	struct pl_sfu_times times;
	do {
		talk(ann);
		turn(call);
		pl_sfu_shard_load(call->sfu, ann->shard, &load);
		pl_sfu_shard_times(call->sfu, ann->shard, &times);
		assert_true(load.busy_permille <= 1000 && load.ring_permille <= 1000 && load.pool_permille <= 1000);
	} while (pl_histogram_total(&times.transit) == 0 || pl_histogram_total(&times.join) < call->client_count ||
		 pl_histogram_total(&times.late) < 100 || load.age_us >= PL_LOAD_PERIOD_US);
	assert_true(load.busy_us > 0 && load.cpu_us > 0 && load.window_us >= PL_LOAD_PERIOD_US);
	assert_int_equal(pl_histogram_total(&times.join), call->client_count);
	assert_in_range(pl_histogram_quantile_us(&times.transit, 500), 1, LIMIT_US);
	pass(call, 3 * PL_LOAD_PERIOD_US);
	for (size_t i = 0; i < pl_sfu_worker_count(call->sfu); i++) {
		pl_sfu_worker_load(call->sfu, i, &load);
		assert_int_equal(load.busy_permille, 0);
	}
	assert_false(pl_sfu_stalled(call->sfu, LIMIT_US, &stall));

	/* And of the memory that they hold: nothing of it is free of charge, and what signaling says is added. */
	struct pl_holding holding;
	pl_sfu_account(call->sfu, 12345);
	pl_sfu_holding(call->sfu, &holding);
	assert_int_equal(holding.bytes[PL_HOLDING_CONNECTIONS], 12345);
	for (int part = 0; part < PL_HOLDINGS; part++)
		assert_true(holding.bytes[part] > 0);
	assert_int_equal(holding.bytes[PL_HOLDING_HANDSHAKES] % PL_CONFERENCE_ASSOCIATION_BYTES, 0);
}

/* Junk from anywhere, of any size, is counted and costs a talker nothing. */
static void test_sfu_junk_beside_a_call_is_counted_only(void **state)
{
	struct call *call = *state;
	struct client *ann = &call->client[0], *bob = &call->client[1];
	struct pl_udp *stranger = aligned_alloc(64, pl_whole_lines(sizeof *stranger));
	assert_non_null(stranger);
	assert_int_equal(pl_udp_open(stranger, 0), PL_ERR_NONE);
	const struct pl_path path = { .remote = ann->peer.config.path.remote };
	for (uint32_t n = 0; bob->rtp_got < 50; n++) {
		for (uint32_t i = 0; i < 40; i++) {
			memset(pl_udp_room(stranger).data, (int)(n + i * 7), 100);
			pl_udp_push(stranger, &path, 100);
		}
		pl_udp_flush(stranger);
		const struct sockaddr_in to = { .sin_family = AF_INET,
			.sin_port = htons(path.remote.port),
			.sin_addr = { htonl(INADDR_LOOPBACK) } };
		static const uint8_t junk[1500];
		for (size_t i = 0; i < 8; i++)
			(void)!sendto(stranger->socket[PL_UDP_IPV4].fd, junk,
				(n * 8 + i) % 24 < 12 ? i : (n * 31 + i) % sizeof junk, 0, (const struct sockaddr *)&to,
				sizeof to);
		talk(ann);
		turn(call);
	}
	struct pl_sfu_counters counters;
	do {
		turn(call);
		pl_sfu_counters(call->sfu, &counters);
	} while (counters.conference.drop[PL_DROP_UNKNOWN_ADDRESS] == 0 ||
		 counters.conference.drop[PL_DROP_UNKNOWN_PROTOCOL] == 0);
	assert_int_equal(counters.conference.participants, 2);
	pl_udp_close(stranger);
	free(stranger);
}

/* Who leaves gets close_notify, and the others' tables are as if it had never been there. */
static void test_sfu_leave_closes_the_transport(void **state)
{
	struct call *call = *state;
	const struct pl_command leave = {
		.kind = PL_COMMAND_LEAVE,
		.shard = call->client[0].shard,
		.source = call->client[0].source,
	};
	assert_true(pl_sfu_send(call->sfu, &leave));
	struct pl_sfu_counters counters;
	do {
		turn(call);
		pl_sfu_counters(call->sfu, &counters);
	} while (!call->client[0].is_closed || counters.conference.participants != 1);
	assert_false(call->client[1].is_closed);
}

/* A full ring refuses at once; it neither waits nor loses what it took. */
static void test_sfu_full_command_ring_refuses(void **state)
{
	struct call *call = *state;
	const struct pl_command mute = {
		.kind = PL_COMMAND_MUTE, .shard = 1, .source = 4242, .track = 1, .is_on = true
	};
	size_t taken = 0, free_before = pl_sfu_commands_free(call->sfu, mute.shard);
	for (; taken < 1000000 && pl_sfu_send(call->sfu, &mute); taken++)
		;
	assert_true(taken >= free_before);
	assert_true(pl_sfu_commands_free(call->sfu, 0) > 0); /* another's is another ring */
	while (!pl_sfu_send(call->sfu, &mute))               /* the shard works them off */
		turn(call);
}

/* Two ports in a row, of which another process has the second: returns its socket.  port: the first. */
static struct pl_udp *take_second_port(uint16_t *port)
{
	struct pl_udp *first = aligned_alloc(64, pl_whole_lines(sizeof *first));
	struct pl_udp *second = aligned_alloc(64, pl_whole_lines(sizeof *second));
	assert_true(first != NULL && second != NULL);
	for (int tries = 0;; tries++) {
		assert_true(tries < 100);
		assert_int_equal(pl_udp_open(first, 0), PL_ERR_NONE);
		*port = first->port;
		const bool is_taken = *port < 65535 && pl_udp_open(second, (uint16_t)(*port + 1)) == PL_ERR_NONE;
		pl_udp_close(first);
		if (is_taken)
			break;
	}
	free(first);
	return second;
}

/* Somebody else has a port, the first or a later one, or there are not so many: the operator is told which port and key
 * it is about, and what to do. */
static void test_sfu_taken_port_is_told_in_words(void **state)
{
	(void)state;
	uint16_t port;
	struct pl_udp *other = take_second_port(&port);
	const struct {
		uint16_t port, shards;
		enum pl_err err;
		const char *says[4];
	} cases[] = {
		{ (uint16_t)(port + 1), 1, PL_ERR_SOCKET, { "media.port", "in use", "--set media.port" } },
		{ port, 3, PL_ERR_SOCKET, { "media.port", "in use", "thread 2 of 3", "media.shards" } },
		{ 65535, 2, PL_ERR_CONFIG, { "media.port", "2 media threads", "media.shards", "65535" } },
	};
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		char error[300], number[8];
		struct pl_sfu *sfu;
		const struct pl_sfu_config config = {
			.port = cases[i].port,
			.shards = cases[i].shards,
			.participants_max = 1,
			.rooms_max = 1,
			.with_loopback = true,
		};
		assert_int_equal(pl_sfu_create(&sfu, &config, error, sizeof error), cases[i].err);
		assert_null(sfu);
		for (size_t word = 0; word < PL_COUNT(cases[i].says) && cases[i].says[word] != NULL; word++)
			assert_non_null(strstr(error, cases[i].says[word]));
		snprintf(number, sizeof number, "%u", cases[i].err == PL_ERR_SOCKET ? port + 1u : 65535u);
		assert_non_null(strstr(error, number));
	}
	pl_udp_close(other);
	free(other);
}

/* All shards that there may be: each says where it is, and everything of them is given back. */
static void test_sfu_starts_and_ends_with_all_shards(void **state)
{
	(void)state;
	char error[300];
	struct pl_sfu *sfu;
	const struct pl_sfu_config config = {
		.shards = PL_SFU_SHARDS_MAX, .participants_max = 1, .rooms_max = 1, .with_loopback = true
	};
	assert_int_equal(pl_sfu_create(&sfu, &config, error, sizeof error), PL_ERR_NONE);
	assert_int_equal(pl_sfu_shard_count(sfu), PL_SFU_SHARDS_MAX);
	for (size_t i = 0; i < PL_SFU_SHARDS_MAX; i++) {
		char text[PL_SFU_SHARD_TEXT_SIZE], expected[48];
		(void)pl_sfu_describe_shard(sfu, i, text);
		snprintf(expected, sizeof expected, "shard %zu: UDP port %u, on ", i, (unsigned)pl_sfu_port(sfu, i));
		assert_ptr_equal(strstr(text, expected), text);
	}
	assert_true(pl_sfu_warning(sfu, 0) != NULL && strstr(pl_sfu_warning(sfu, 0), "media.shards") != NULL);
	pl_sfu_destroy(&sfu);
	assert_null(sfu);
}

int main(void)
{
	static enum pl_srtp_backend openssl = PL_SRTP_OPENSSL, libsrtp2 = PL_SRTP_LIBSRTP2;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sfu_two_people_hear_each_other, start, stop),
		cmocka_unit_test_prestate_setup_teardown(test_sfu_two_people_hear_each_other, start, stop, &openssl),
		cmocka_unit_test_prestate_setup_teardown(test_sfu_two_people_hear_each_other, start, stop, &libsrtp2),
		cmocka_unit_test_setup_teardown(test_sfu_gathered_packets_cost_few_calls, start_gathering, stop),
		cmocka_unit_test_setup_teardown(test_sfu_rooms_on_their_shards_share_nothing, start_rooms, stop),
		cmocka_unit_test_setup_teardown(test_sfu_storm_of_joins_takes_a_little_of_each_turn, start_storm, stop),
		cmocka_unit_test_setup_teardown(test_sfu_a_room_over_all_shards_loses_nothing, start_one_room, stop),
		cmocka_unit_test_setup_teardown(test_sfu_mixes_while_everything_changes, start_one_room, stop),
		cmocka_unit_test_setup_teardown(test_sfu_tells_how_hard_it_is_pressed, start_one_room, stop),
		cmocka_unit_test_setup_teardown(test_sfu_load_step_changes_while_rooms_are_mixed, start_one_room, stop),
		cmocka_unit_test_setup_teardown(test_sfu_ladder_reaches_codec_workers, start, stop),
		cmocka_unit_test_setup_teardown(test_sfu_pressed_shards_gather, start, stop),
		cmocka_unit_test_setup_teardown(test_sfu_threads_tell_of_their_work, start, stop),
		cmocka_unit_test_setup_teardown(test_sfu_events_left_for_later_are_told_again, start, stop),
		cmocka_unit_test_setup_teardown(test_sfu_junk_beside_a_call_is_counted_only, start, stop),
		cmocka_unit_test_setup_teardown(test_sfu_leave_closes_the_transport, start, stop),
		cmocka_unit_test_setup_teardown(test_sfu_full_command_ring_refuses, start, stop),
		cmocka_unit_test(test_sfu_taken_port_is_told_in_words),
		cmocka_unit_test(test_sfu_starts_and_ends_with_all_shards),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
