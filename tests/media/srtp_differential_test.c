/* Every backend of ours beside libsrtp2, step by step over random traffic: the same bytes go out, the same packets come
 * in, and what does not come in is refused for the same reason.  A failure prints the seed of its run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "media/rng.h"
#include "media/srtp.h"

enum { RUNS = 24, STEPS = 1500, PAYLOAD_SIZE_MAX = 1200, ROOM = 2048, KEPT = 256 };

static enum pl_srtp_backend backend;
static unsigned met[PL_DROP_COUNT], refused; /* what came of packets received, and packets not sent */
static struct pl_srtp_engine *engine, *reference;

struct packet {
	uint8_t bytes[ROOM];
	size_t size, header_size;
};

/* Two senders and two receivers that have seen the same. */
struct world {
	struct pl_rng rng;
	struct pl_srtp *out, *in, *reference_out, *reference_in;
	uint16_t seq[64];         /* newest of each SSRC */
	struct packet kept[KEPT]; /* protected, on their way */
	bool is_rtcp[KEPT];
	size_t kept_count;
	bool is_calm;    /* numbers hardly jump, so that windows fill */
	bool is_crowded; /* more streams than windows: ours may refuse what is late */
};

static uint32_t draw(struct world *w, uint32_t below)
{
	return pl_rng_below(&w->rng, below);
}

static void fill(struct world *w, uint8_t *at, size_t size)
{
	for (size_t i = 0; i < size; i++)
		at[i] = (uint8_t)pl_rng_next(&w->rng);
}

static struct pl_srtp *create(struct pl_srtp_engine *with, const struct pl_srtp_keys *keys)
{
	struct pl_srtp *made;
	assert_int_equal(pl_srtp_create(&made, with, keys), PL_ERR_NONE);
	return made;
}

static void world_init(struct world *w, uint64_t seed, enum pl_srtp_profile profile)
{
	struct pl_srtp_keys keys = { .profile = profile }, mirrored = { .profile = profile };
	memset(w, 0, sizeof *w);
	pl_rng_init(&w->rng, seed);
	fill(w, keys.local.key, sizeof keys.local);
	fill(w, keys.remote.key, sizeof keys.remote);
	memcpy(&mirrored.local, &keys.remote, sizeof keys.remote);
	memcpy(&mirrored.remote, &keys.local, sizeof keys.local);
	w->out = create(engine, &keys);
	w->in = create(engine, &mirrored);
	w->reference_out = create(reference, &keys);
	w->reference_in = create(reference, &mirrored);
	for (size_t i = 0; i < PL_COUNT(w->seq); i++)
		w->seq[i] = (uint16_t)pl_rng_next(&w->rng);
}

static void world_fini(struct world *w)
{
	pl_srtp_destroy(&w->out);
	pl_srtp_destroy(&w->in);
	pl_srtp_destroy(&w->reference_out);
	pl_srtp_destroy(&w->reference_in);
}

static uint32_t ssrc_of(uint32_t number)
{
	return number * 0x9e3779b1u;
}

static void write_u32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* CSRCs and an extension or none, and a payload of any size. */
static void build_rtp(struct world *w, struct packet *p, uint32_t ssrc, uint16_t seq)
{
	const uint32_t csrcs = draw(w, 3) == 0 ? draw(w, 16) : 0;
	const bool has_extension = draw(w, 2) == 0;
	const size_t words = draw(w, 8);
	fill(w, p->bytes, sizeof p->bytes);
	p->bytes[0] = (uint8_t)(0x80 | (has_extension ? 0x10 : 0) | csrcs);
	p->bytes[2] = (uint8_t)(seq >> 8);
	p->bytes[3] = (uint8_t)seq;
	write_u32(p->bytes + 8, ssrc);
	p->header_size = 12 + 4 * csrcs;
	if (has_extension) {
		p->bytes[p->header_size + 2] = 0;
		p->bytes[p->header_size + 3] = (uint8_t)words;
		p->header_size += 4 + 4 * words;
	}
	p->size = p->header_size + (draw(w, 4) == 0 ? draw(w, PAYLOAD_SIZE_MAX) : draw(w, 40));
}

/* Mostly the next number; also late ones, the same again, and jumps, of which two make a new round. */
static uint16_t next_seq(struct world *w, uint32_t number, bool is_in_order)
{
	uint16_t step = 1;
	switch (draw(w, w->is_calm ? 200 : 12)) {
	case 0:
		step = (uint16_t)draw(w, 0x8000);
		break;
	case 1:
		step = (uint16_t)draw(w, 0x10000);
		break;
	case 2:
		step = (uint16_t)-draw(w, 30);
		break;
	case 3:
		step = (uint16_t)-draw(w, 2 * PL_SRTP_REPLAY_WINDOW);
		break;
	case 4:
		step = (uint16_t)draw(w, 4);
		break;
	default:
		break;
	}
	if (is_in_order && (step == 0 || step >= 0x7000))
		step = 1;
	const uint16_t seq = (uint16_t)(w->seq[number] + step);
	if (step < 0x8000)
		w->seq[number] = seq;
	return seq;
}

static size_t protect(struct pl_srtp *srtp, const struct packet *plain, bool is_rtcp, struct packet *secret)
{
	const struct pl_span room = { secret->bytes, plain->size + PL_SRTP_OVERHEAD_MAX };
	memset(secret->bytes, 0x5a, sizeof secret->bytes);
	if (is_rtcp)
		return secret->size = pl_srtp_protect_rtcp(srtp, (struct pl_bytes){ plain->bytes, plain->size }, room);
	const struct pl_bytes payload = { plain->bytes + plain->header_size, plain->size - plain->header_size };
	return secret->size =
		       pl_srtp_protect_rtp(srtp, (struct pl_bytes){ plain->bytes, plain->header_size }, payload, room);
}

static void keep(struct world *w, const struct packet *secret, bool is_rtcp)
{
	const size_t at = w->kept_count < KEPT ? w->kept_count++ : draw(w, KEPT);
	w->kept[at] = *secret;
	w->is_rtcp[at] = is_rtcp;
}

static void send_one(struct world *w, uint32_t ssrcs, bool is_in_order)
{
	static struct packet plain, ours, theirs;
	const uint32_t number = draw(w, ssrcs);
	const bool is_rtcp = draw(w, 5) == 0;
	if (is_rtcp) {
		plain.size = 8 + 4 * draw(w, 40);
		fill(w, plain.bytes, plain.size);
		write_u32(plain.bytes + 4, ssrc_of(number));
	} else {
		build_rtp(w, &plain, ssrc_of(number), next_seq(w, number, is_in_order));
	}
	assert_int_equal(protect(w->out, &plain, is_rtcp, &ours), protect(w->reference_out, &plain, is_rtcp, &theirs));
	assert_memory_equal(ours.bytes, theirs.bytes, ours.size);
	refused += ours.size == 0;
	for (size_t i = plain.size + PL_SRTP_OVERHEAD_MAX; i < ROOM; i++)
		assert_int_equal(ours.bytes[i], 0x5a);
	if (ours.size > 0)
		keep(w, &ours, is_rtcp);
}

/* What the network, or somebody in it, does to a packet. */
static void damage(struct world *w, struct packet *p)
{
	switch (draw(w, 10)) {
	case 0:
		p->bytes[draw(w, (uint32_t)p->size)] ^= (uint8_t)(1 << draw(w, 8));
		break;
	case 1:
		p->size = draw(w, (uint32_t)p->size + 1);
		break;
	case 2:
		p->bytes[draw(w, 16 < p->size ? 16 : (uint32_t)p->size)] = (uint8_t)draw(w, 256);
		break;
	case 3:
		p->size += draw(w, 20);
		break;
	default:
		break;
	}
}

static enum pl_drop unprotect(
	struct pl_srtp *srtp, const struct packet *secret, bool is_rtcp, bool is_in_place, uint8_t *out, size_t *size)
{
	/* Exactly as large as it must be, for the sanitizer's eyes. */
	uint8_t *copy = malloc(secret->size + 1), *apart = malloc(secret->size + 1);
	memcpy(copy, secret->bytes, secret->size);
	const struct pl_bytes packet = { copy, secret->size };
	const struct pl_span room = { is_in_place ? copy : apart, secret->size };
	const enum pl_drop drop = is_rtcp ? pl_srtp_unprotect_rtcp(srtp, packet, room, size)
					  : pl_srtp_unprotect_rtp(srtp, packet, room, size);
	if (drop == PL_DROP_NONE)
		memcpy(out, room.data, *size);
	free(copy);
	free(apart);
	return drop;
}

static void receive_one(struct world *w)
{
	static uint8_t ours[ROOM], theirs[ROOM];
	if (w->kept_count == 0)
		return;
	/* Mostly the newest, so that the windows move; any other is late or a replay. */
	const size_t at = draw(w, 2) == 0 ? w->kept_count - 1 : draw(w, (uint32_t)w->kept_count);
	struct packet packet = w->kept[at];
	const bool is_rtcp = w->is_rtcp[at] != (draw(w, 50) == 0);
	damage(w, &packet);
	size_t size = 0, reference_size = 0;
	const enum pl_drop drop = unprotect(w->in, &packet, is_rtcp, draw(w, 2) == 0, ours, &size);
	const enum pl_drop expected = unprotect(w->reference_in, &packet, is_rtcp, true, theirs, &reference_size);
	if (!w->is_crowded || is_rtcp || drop != PL_DROP_SRTP_REPLAY)
		assert_int_equal(drop, expected);
	met[drop]++;
	if (drop != PL_DROP_NONE)
		return;
	assert_int_equal(size, reference_size);
	assert_memory_equal(ours, theirs, size);
}

static void run(uint64_t seed, uint32_t ssrcs)
{
	static struct world w;
	for (enum pl_srtp_profile profile = 0; profile <= PL_SRTP_AES128_CM_SHA1_80; profile++) {
		print_message("%s, profile %d, seed %u, %u SSRCs\n", pl_srtp_backend_text(backend), (int)profile,
			(unsigned)seed, (unsigned)ssrcs);
		world_init(&w, seed, profile);
		w.is_crowded = ssrcs > PL_SRTP_WINDOWS;
		w.is_calm = ssrcs == 1;
		for (int i = 0; i < (w.is_calm ? 4 * STEPS : STEPS); i++) {
			if (draw(&w, 2) == 0)
				send_one(&w, ssrcs, w.is_crowded);
			else
				receive_one(&w);
		}
		world_fini(&w);
	}
}

/* A test that meets only the half of it proves half of it. */
static void check_met(bool has_limit)
{
	static const enum pl_drop all[] = { PL_DROP_NONE, PL_DROP_SRTP_REPLAY, PL_DROP_SRTP_AUTH,
		PL_DROP_SRTP_MALFORMED };
	for (size_t i = 0; i < PL_COUNT(all); i++)
		assert_in_range(met[all[i]], RUNS * 30, UINT32_MAX);
	assert_true((met[PL_DROP_SRTP_SSRC_LIMIT] > RUNS) == has_limit);
	assert_in_range(refused, RUNS * 30, UINT32_MAX);
	memset(met, 0, sizeof met);
	refused = 0;
}

/* As many streams as there are windows for late packets, so both have to agree about each of them. */
static void test_srtp_agrees_with_libsrtp(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= RUNS; seed++)
		run(seed, 1 + (uint32_t)seed % PL_SRTP_WINDOWS);
	check_met(false);
}

/* With more streams than windows, and then with more than the table has places: what is in order comes through, what
 * libsrtp would not take is not taken. */
static void test_srtp_agrees_with_libsrtp_in_a_crowd(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= RUNS; seed++)
		run(seed, seed % 2 == 0 ? 2 * PL_SRTP_WINDOWS : PL_SRTP_SSRCS_MAX + 12);
	check_met(true);
}

/* A batch of packets for many keys, of both profiles and some of them refused, is the same packets one by one. */
static void test_srtp_batch_is_its_packets(void **state)
{
	(void)state;
	enum { SESSIONS = 40, JOBS_MAX = 200, ROUNDS = 40 };
	static struct packet plain[JOBS_MAX], secret[JOBS_MAX], expected;
	static struct world w;
	struct pl_srtp *ours[SESSIONS], *theirs[SESSIONS];
	struct pl_srtp_job jobs[JOBS_MAX];

	pl_rng_init(&w.rng, 1);
	for (uint32_t i = 0; i < SESSIONS; i++) {
		struct pl_srtp_keys keys = { .profile = i % 3 == 0 ? PL_SRTP_AEAD_AES_128_GCM
								   : PL_SRTP_AES128_CM_SHA1_80 };
		fill(&w, keys.local.key, sizeof keys.local);
		ours[i] = create(engine, &keys);
		theirs[i] = create(reference, &keys);
	}
	for (int round = 0; round < ROUNDS; round++) {
		const size_t count = round == 0 ? JOBS_MAX : draw(&w, JOBS_MAX);
		uint32_t session[JOBS_MAX];
		for (size_t i = 0; i < count; i++) {
			session[i] = draw(&w, SESSIONS);
			build_rtp(&w, &plain[i], ssrc_of(session[i]), next_seq(&w, session[i], false));
			memset(secret[i].bytes, 0x5a, ROOM);
			jobs[i] = (struct pl_srtp_job){
				.srtp = ours[session[i]],
				.header = { plain[i].bytes, plain[i].header_size },
				.payload = { plain[i].bytes + plain[i].header_size,
					plain[i].size - plain[i].header_size },
				.out = { secret[i].bytes, plain[i].size + PL_SRTP_OVERHEAD_MAX },
				.size = 12345,
			};
		}
		pl_srtp_protect_rtp_batch(jobs, count);
		for (size_t i = 0; i < count; i++) {
			assert_int_equal(jobs[i].size, protect(theirs[session[i]], &plain[i], false, &expected));
			assert_memory_equal(secret[i].bytes, expected.bytes, jobs[i].size);
			refused += jobs[i].size == 0;
		}
	}
	assert_in_range(refused, 1, ROUNDS * JOBS_MAX / 2);
	refused = 0;
	for (size_t i = 0; i < SESSIONS; i++) {
		pl_srtp_destroy(&ours[i]);
		pl_srtp_destroy(&theirs[i]);
	}
}

static int set_up(void **state)
{
	(void)state;
	return pl_srtp_init() != PL_ERR_NONE || pl_srtp_engine_create(&engine, backend) != PL_ERR_NONE ||
	       pl_srtp_engine_create(&reference, PL_SRTP_LIBSRTP2) != PL_ERR_NONE;
}

static int tear_down(void **state)
{
	(void)state;
	pl_srtp_engine_destroy(&engine);
	pl_srtp_engine_destroy(&reference);
	pl_srtp_fini();
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_srtp_agrees_with_libsrtp),
		cmocka_unit_test(test_srtp_agrees_with_libsrtp_in_a_crowd),
		cmocka_unit_test(test_srtp_batch_is_its_packets),
	};
	int failed = 0;
	for (backend = PL_SRTP_IPSEC_MB; backend <= PL_SRTP_OPENSSL; backend++) {
		const char *name = pl_srtp_backend_text(backend), *lack = pl_srtp_backend_lack(backend);
		if (lack == NULL)
			failed += cmocka_run_group_tests_name(name, tests, set_up, tear_down);
		else
			printf("%s is left out: %s\n", name, lack);
	}
	return failed;
}
