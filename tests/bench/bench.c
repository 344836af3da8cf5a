/* Measures the packet path in CPU time of this thread, each figure beside its floor: the work that cannot be left out.
 * Prints a table, and writes the same as JSON to the file named by --json.
 *
 * usage: plenum-bench [--json FILE] [--receivers N] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "media/pool.h"
#include "media/rewrite.h"
#include "media/srtp.h"
#include "sfu/conference.h"
#include "sfu/io/ring.h"
#include "tests/bench/bench.h"
#include "tests/sim/peer.h"
#include "tests/support/egress_walk.h"

enum {
	PAYLOAD_SIZE = 100,
	RECEIVERS_DEFAULT = 200,
	RECEIVERS_MAX = 2000,
	ROOM_SIZE = PL_DATAGRAM_SIZE_MAX + PL_SRTP_OVERHEAD_MAX,
	OTHER_BYTES = 8 << 20, /* of other work between the packets: more than a core's second-level cache */
	LINE = 64,
};

struct figure {
	char name[64], floor_name[64];
	const char *unit;
	double value, floor; /* floor 0: none */
	bool is_other;       /* floor is not one, but what another way takes */
};

static struct figure figures[128];
static size_t figure_count;

double pl_bench_cpu_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

void pl_bench_add(const char *name, double value, const char *floor_name, double floor)
{
	if (figure_count == PL_COUNT(figures))
		abort();
	struct figure *figure = &figures[figure_count++];
	*figure = (struct figure){ .unit = "ns", .value = value, .floor = floor };
	snprintf(figure->name, sizeof figure->name, "%s", name);
	snprintf(figure->floor_name, sizeof figure->floor_name, "%s", floor_name != NULL ? floor_name : "");
}

void pl_bench_add_faster(const char *name, double value, const char *other_name, double other)
{
	pl_bench_add(name, value, other_name, other);
	figures[figure_count - 1].is_other = true;
}

void *pl_bench_take(size_t count, size_t size)
{
	void *memory = calloc(count, size);
	if (memory == NULL)
		abort();
	return memory;
}

/* Keeps the compiler from leaving out what nobody looks at. */
static void use(const void *memory)
{
	__asm__ volatile("" : : "r"(memory) : "memory");
}

static void bench_rewrite(void)
{
	struct pl_rewrite rw;
	pl_rewrite_init(&rw, 1, 48, 1, 1);
	const int rounds = 5000000;
	const double start = pl_bench_cpu_ns();
	for (int i = 0; i < rounds; i++) {
		struct pl_rtp rtp = { .ssrc = (uint32_t)i >> 10, .seq = (uint16_t)i, .ts = (uint32_t)i * 960 };
		const enum pl_drop drop = pl_rewrite_forward(&rw, (int64_t)i * 20000, &rtp);
		use(&rtp);
		(void)drop;
	}
	pl_bench_add("rewrite, a packet", (pl_bench_cpu_ns() - start) / rounds, NULL, 0);
}

static const struct pl_rtp_ext_ids ext_ids = { .id = { [PL_RTP_EXT_MID] = 4, [PL_RTP_EXT_AUDIO_LEVEL] = 1 } };

static size_t write_header(uint16_t seq, struct pl_span out)
{
	const struct pl_rtp rtp = { .ssrc = 5, .seq = seq, .payload_type = 111, .csrc_count = 1, .csrc = { 9 } };
	const struct pl_rtp_ext ext = { .has = { [PL_RTP_EXT_MID] = true, [PL_RTP_EXT_AUDIO_LEVEL] = true },
		.mid = { .data = (const uint8_t *)"1", .size = 1 },
		.audio_level = 30 };
	return pl_rtp_write(&rtp, &ext, &ext_ids, out);
}

static void bench_header(void)
{
	const int rounds = 3000000;
	uint8_t buffer[PL_RTP_HEADER_SIZE_MAX];
	double start = pl_bench_cpu_ns();
	for (int i = 0; i < rounds; i++) {
		const size_t size = write_header((uint16_t)i, (struct pl_span){ buffer, sizeof buffer });
		use(&size);
	}
	pl_bench_add("header write, a packet", (pl_bench_cpu_ns() - start) / rounds, NULL, 0);

	const size_t size = write_header(1, (struct pl_span){ buffer, sizeof buffer });
	start = pl_bench_cpu_ns();
	for (int i = 0; i < rounds; i++) {
		struct pl_rtp rtp;
		struct pl_rtp_ext ext;
		if (pl_rtp_parse((struct pl_bytes){ buffer, size }, &rtp) == PL_DROP_NONE)
			pl_rtp_parse_ext(&rtp, &ext_ids, &ext);
		use(&ext);
	}
	pl_bench_add("header parse, a packet", (pl_bench_cpu_ns() - start) / rounds, NULL, 0);
}

static void bench_pool(void)
{
	enum { POOL_PACKETS = 2048, HELD = 32 };
	static const int rounds = 200000;
	struct pl_packet *held[HELD];
	struct pl_pool pool;
	const size_t size = pl_pool_bytes(POOL_PACKETS);
	void *memory = aligned_alloc(64, pl_whole_lines(size));
	if (memory == NULL)
		abort();
	pl_pool_init(&pool, (struct pl_span){ memory, size }, POOL_PACKETS);
	const double start = pl_bench_cpu_ns();
	for (int i = 0; i < rounds; i++) {
		for (int k = 0; k < HELD; k++)
			held[k] = pl_pool_take(&pool);
		use(held);
		for (int k = 0; k < HELD; k++)
			pl_pool_release(&pool, held[k]);
	}
	pl_bench_add("pool, a packet taken and given back", (pl_bench_cpu_ns() - start) / rounds / HELD, NULL, 0);
	free(memory);
}

static void bench_ring(void)
{
	struct pl_ring ring;
	struct pl_waker waker;
	if (pl_waker_init(&waker) != PL_ERR_NONE ||
		pl_ring_init(&ring, &waker, 1024, sizeof(struct pl_command)) != PL_ERR_NONE)
		abort();
	const int rounds = 3000000;
	struct pl_command command = { 0 };
	bool is_moved = true;
	pl_waker_wake_up(&waker);
	const double start = pl_bench_cpu_ns();
	for (int i = 0; i < rounds; i++)
		is_moved = pl_ring_push(&ring, &command) && pl_ring_pop(&ring, &command) && is_moved;
	pl_bench_add("ring, a command there and back", (pl_bench_cpu_ns() - start) / rounds, NULL, 0);
	use(&is_moved);
	pl_ring_fini(&ring);
	pl_waker_fini(&waker);
}

/* Header and encryption for as many keys as there are receivers: what no server that encrypts with this SRTP can avoid. */
static double srtp_floor(uint32_t receivers)
{
	struct pl_srtp **srtp = pl_bench_take(receivers, sizeof *srtp);
	struct pl_srtp_engine *engine;
	struct pl_srtp_keys keys = { .profile = PL_SRTP_AEAD_AES_128_GCM };
	if (pl_srtp_engine_create(&engine, PL_SRTP_AUTO) != PL_ERR_NONE)
		abort();
	for (uint32_t i = 0; i < receivers; i++) {
		memset(&keys.local, (int)i + 1, sizeof keys.local);
		if (pl_srtp_create(&srtp[i], engine, &keys) != PL_ERR_NONE)
			abort();
	}
	static const uint8_t payload[PAYLOAD_SIZE];
	uint8_t header[PL_RTP_HEADER_SIZE_MAX], out[ROOM_SIZE];
	const int rounds = 1000;
	const double start = pl_bench_cpu_ns();
	for (int n = 0; n < rounds; n++) {
		for (uint32_t i = 0; i < receivers; i++) {
			const size_t size = write_header((uint16_t)n, (struct pl_span){ header, sizeof header });
			if (pl_srtp_protect_rtp(srtp[i], (struct pl_bytes){ header, size },
				    (struct pl_bytes){ payload, sizeof payload },
				    (struct pl_span){ out, sizeof out }) == 0)
				abort();
		}
	}
	const double ns = (pl_bench_cpu_ns() - start) / ((double)rounds * receivers);
	for (uint32_t i = 0; i < receivers; i++)
		pl_srtp_destroy(&srtp[i]);
	pl_srtp_engine_destroy(&engine);
	free(srtp);
	return ns;
}

/* A conference of one talker and many listeners without a network: datagrams wait in one queue in memory. */
struct datagram {
	struct pl_path path; /* as its receiver sees it */
	bool is_to_server;
	size_t size;
	uint8_t bytes[ROOM_SIZE];
};

enum { QUEUE_CAPACITY = 1 << 14, FIRST_PORT = 1000 };

struct stage {
	struct pl_egress *egress;
	struct pl_conference *conference;
	uint16_t spoken;
	struct pl_dtls_identity *server, *client;
	struct pl_srtp_engine *srtp;
	struct pl_peer *peer;
	uint32_t peers;
	int64_t now_us;
	struct datagram *queue;
	size_t head, tail;
};

static void enqueue(struct stage *stage, bool is_to_server, const struct pl_path *from, const void *bytes, size_t size)
{
	if (stage->tail - stage->head == QUEUE_CAPACITY)
		abort();
	struct datagram *d = &stage->queue[stage->tail++ % QUEUE_CAPACITY];
	d->path = (struct pl_path){ .remote = from->local, .local = from->remote };
	d->is_to_server = is_to_server;
	d->size = size;
	memcpy(d->bytes, bytes, size);
}

static void drain_peer(struct stage *stage, struct pl_peer *peer)
{
	for (struct pl_peer_output out; pl_peer_next(peer, &out);)
		if (out.kind == PL_PEER_SEND)
			enqueue(stage, true, &out.path, out.bytes.data, out.bytes.size);
}

/* As a shard does, but nobody sends: returns how many datagrams there were, and has them delivered if wanted. */
static size_t drain_conference(struct stage *stage, bool is_delivered)
{
	struct pl_event event;
	enum pl_conference_drained drained;
	size_t count = 0;
	do {
		drained = pl_conference_drain(stage->conference, stage->now_us, stage->egress, true, &event);
		for (uint32_t i = 0; i < stage->egress->count; i++)
			count += stage->egress->train[i].count;
		struct pl_egress_walk walk = { 0 };
		struct pl_path path;
		for (struct pl_bytes d; is_delivered && pl_egress_walk_next(&walk, stage->egress, &path, &d);)
			enqueue(stage, false, &path, d.data, d.size);
		pl_egress_clear(stage->egress);
	} while (drained != PL_CONFERENCE_DONE);
	return count;
}

static void settle(struct stage *stage)
{
	drain_conference(stage, true);
	if (pl_conference_deadline(stage->conference) != INT64_MIN)
		return;
	pl_conference_tick(stage->conference, stage->now_us); /* handshakes that wait for their turn */
	drain_conference(stage, true);
}

static void deliver_all(struct stage *stage)
{
	while (stage->head < stage->tail) {
		const struct datagram *d = &stage->queue[stage->head++ % QUEUE_CAPACITY];
		const struct pl_bytes bytes = { d->bytes, d->size };
		if (d->is_to_server) {
			pl_conference_feed(stage->conference, stage->now_us, &d->path, bytes);
			settle(stage);
		} else {
			struct pl_peer *peer = &stage->peer[d->path.local.port - FIRST_PORT];
			pl_peer_feed(peer, stage->now_us, bytes);
			drain_peer(stage, peer);
		}
	}
}

static void join(struct stage *stage, uint32_t index)
{
	struct pl_description d = {
		.dtls_role = PL_DTLS_PASSIVE,
		.fingerprint = *pl_dtls_identity_fingerprint(stage->client),
		.ext_ids = ext_ids,
		.cname = "bench",
		.track_count = index == 0,
		.slot_count = 1,
		.track[0] = { .track = 1, .mid = "0", .ssrc = 1, .clock_hz = 48000, .payload_type = 111 },
		.slot[0] = { .mid = "1", .ssrc = 2, .clock_hz = 48000, .payload_type = 111 },
	};
	struct pl_peer_config config = {
		.identity = stage->client,
		.srtp = stage->srtp,
		.dtls_role = PL_DTLS_ACTIVE,
		.server_fingerprint = *pl_dtls_identity_fingerprint(stage->server),
		.path = { .remote = pl_addr_ipv4(0x7f000001, 9),
			.local = pl_addr_ipv4(0x7f000002, (uint16_t)(FIRST_PORT + index)) },
		.ext_ids = ext_ids,
	};
	snprintf(d.local.ufrag, sizeof d.local.ufrag, "s%07u", (unsigned)index % 10000000);
	snprintf(d.local.pwd, sizeof d.local.pwd, "a-password-of-24-letters");
	snprintf(d.remote_ufrag, sizeof d.remote_ufrag, "c%07u", (unsigned)index % 10000000);
	snprintf(config.local.ufrag, sizeof config.local.ufrag, "%.8s", d.remote_ufrag);
	snprintf(config.local.pwd, sizeof config.local.pwd, "%s", d.local.pwd);
	config.server = d.local;
	pl_conference_command(stage->conference, stage->now_us,
		&(struct pl_command){ .kind = PL_COMMAND_JOIN, .room = 1, .source = 100 + index, .description = &d });
	settle(stage);
	pl_peer_init(&stage->peer[index], stage->now_us, &config);
	drain_peer(stage, &stage->peer[index]);
	deliver_all(stage);
	if (stage->peer[index].state != PL_PEER_CONNECTED)
		abort();
}

/* The talker's packets, encrypted beforehand: only the server's work is to be measured. */
static size_t speak(struct stage *stage, uint16_t seq, uint8_t room[static ROOM_SIZE])
{
	static const uint8_t payload[PAYLOAD_SIZE] = { 0x78 };
	const struct pl_rtp rtp = { .ssrc = 1,
		.seq = seq,
		.ts = (uint32_t)seq * 960,
		.payload_type = 111,
		.payload = { payload, sizeof payload } };
	const struct pl_rtp_ext ext = { .has[PL_RTP_EXT_AUDIO_LEVEL] = true, .audio_level = 20, .is_voice = true };
	if (!pl_peer_send_rtp(&stage->peer[0], &rtp, &ext))
		abort();
	size_t size = 0;
	for (struct pl_peer_output out; pl_peer_next(&stage->peer[0], &out);) {
		memcpy(room, out.bytes.data, out.bytes.size);
		size = out.bytes.size;
	}
	return size;
}

/* What the kernel and other threads do to the caches between a talker's packets. */
static void cool(uint8_t *other)
{
	for (size_t i = 0; i < OTHER_BYTES; i += LINE)
		other[i]++;
}

/* other: what is touched between two packets, or NULL. */
static double measure_forwarding(struct stage *stage, uint8_t *other, int64_t until_us)
{
	const struct pl_path path = { .remote = stage->peer[0].path.local, .local = stage->peer[0].path.remote };
	uint8_t in[ROOM_SIZE];
	uint64_t sent = 0;
	double ns = 0;
	while (stage->now_us < until_us) {
		const size_t size = speak(stage, stage->spoken++, in);
		stage->now_us += 20000;
		if (other != NULL)
			cool(other);
		const double start = pl_bench_cpu_ns();
		pl_conference_feed(stage->conference, stage->now_us, &path, (struct pl_bytes){ in, size });
		sent += drain_conference(stage, false);
		ns += pl_bench_cpu_ns() - start;
		/* Reports are part of the work; a deadline is not to be missed because nobody ticks. */
		if (pl_conference_deadline(stage->conference) <= stage->now_us) {
			pl_conference_tick(stage->conference, stage->now_us);
			drain_conference(stage, false);
		}
	}
	return sent > 0 ? ns / (double)sent : 0;
}

static void bench_forwarding(uint32_t receivers)
{
	struct stage stage = { .peers = receivers + 1, .now_us = 1000000 };
	stage.peer = pl_bench_take(stage.peers, sizeof *stage.peer);
	stage.queue = pl_bench_take(QUEUE_CAPACITY, sizeof *stage.queue);
	stage.egress = aligned_alloc(_Alignof(struct pl_egress), sizeof *stage.egress);
	if (stage.egress == NULL)
		abort();
	pl_egress_init(stage.egress, true);
	if (pl_dtls_identity_create(&stage.server) != PL_ERR_NONE ||
		pl_dtls_identity_create(&stage.client) != PL_ERR_NONE ||
		pl_srtp_engine_create(&stage.srtp, PL_SRTP_AUTO) != PL_ERR_NONE)
		abort();
	const struct pl_conference_config config = {
		.identity = stage.server, .srtp = stage.srtp, .participants_max = stage.peers, .rooms_max = 1, .seed = 1
	};
	if (pl_conference_create(&stage.conference, &config) != PL_ERR_NONE)
		abort();
	for (uint32_t i = 0; i < stage.peers; i++)
		join(&stage, i);

	char name[64], floor_name[64];
	snprintf(name, sizeof name, "conference, a packet to one of %u", (unsigned)receivers);
	snprintf(floor_name, sizeof floor_name, "header and SRTP, %u keys", (unsigned)receivers);
	const double floor = srtp_floor(receivers);
	uint8_t *other = pl_bench_take(1, OTHER_BYTES);
	pl_bench_add(name, measure_forwarding(&stage, NULL, 10 * 1000000), floor_name, floor);
	snprintf(name, sizeof name, "the same, caches full of other work");
	pl_bench_add(
		name, measure_forwarding(&stage, other, 20 * 1000000), floor_name, floor); /* then consent would end */
	free(other);

	pl_conference_destroy(&stage.conference);
	for (uint32_t i = 0; i < stage.peers; i++)
		pl_peer_fini(&stage.peer[i]);
	pl_dtls_identity_destroy(&stage.client);
	pl_dtls_identity_destroy(&stage.server);
	pl_srtp_engine_destroy(&stage.srtp);
	free(stage.egress);
	free(stage.queue);
	free(stage.peer);
}

static void print_table(void)
{
	printf("%-44s %10s   %s\n", "what", "CPU", "floor");
	for (const struct figure *f = figures; f < figures + figure_count; f++) {
		printf("%-44s %7.0f %s", f->name, f->value, f->unit);
		if (f->is_other)
			printf("   %s takes %.0f %s, %.1f times as long", f->floor_name, f->floor, f->unit,
				f->floor / f->value);
		else if (f->floor > 0)
			printf("   %.0f %s (%s), ratio %.2f", f->floor, f->unit, f->floor_name, f->value / f->floor);
		putchar('\n');
	}
}

static int write_json(const char *path)
{
	FILE *file = fopen(path, "w");
	if (file == NULL) {
		fprintf(stderr, "plenum-bench: %s cannot be written\n", path);
		return 1;
	}
	fputs("[", file);
	for (size_t i = 0; i < figure_count; i++)
		fprintf(file, "%s\n{\"name\":\"%s\",\"unit\":\"%s\",\"value\":%.1f,\"%s\":%.1f}", i > 0 ? "," : "",
			figures[i].name, figures[i].unit, figures[i].value, figures[i].is_other ? "other" : "floor",
			figures[i].floor);
	fputs("\n]\n", file);
	return fclose(file) == 0 ? 0 : 1;
}

static void bench_packets(uint32_t receivers)
{
	bench_rewrite();
	bench_header();
	bench_ring();
	bench_pool();
	pl_bench_dsp();
	pl_bench_voice();
	pl_bench_srtp();
	pl_bench_g711();
	bench_forwarding(receivers);
}

int main(int argc, char **argv)
{
	const char *json = NULL;
	bool is_codec_alone = false;
	long receivers = RECEIVERS_DEFAULT;
	for (int i = 1; i < argc; i++) {
		const bool has_value = i + 1 < argc;
		if (strcmp(argv[i], "--json") == 0 && has_value)
			json = argv[++i];
		else if (strcmp(argv[i], "--only") == 0 && has_value && strcmp(argv[i + 1], "codec") == 0)
			is_codec_alone = i++ > 0;
		else if (strcmp(argv[i], "--receivers") == 0 && has_value)
			receivers = strtol(argv[++i], NULL, 10);
		else
			receivers = 0;
	}
	if (receivers < 1 || receivers > RECEIVERS_MAX) {
		fprintf(stderr, "usage: plenum-bench [--json FILE] [--receivers N, 1-%d] [--only codec]\n",
			RECEIVERS_MAX);
		return 2;
	}
	if (pl_srtp_init() != PL_ERR_NONE)
		return 1;
	if (!is_codec_alone)
		bench_packets((uint32_t)receivers);
	pl_bench_codec();
	print_table();
	return json != NULL ? write_json(json) : 0;
}
