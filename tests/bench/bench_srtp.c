#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "media/rtp.h"
#include "media/srtp.h"
#include "media/srtp_impl.h"
#include "tests/bench/bench.h"

enum { PAYLOAD_SIZE = 100, HEADER_SIZE = 24, ROOM = 256, PACKETS = 24000, BATCH = 32, ROUNDS = 3 };

/* As many sessions as there are listeners, each with keys of its own: the tables of a thousand do not fit the first
 * cache. */
struct bench {
	struct pl_srtp_engine *engine;
	enum pl_srtp_profile profile;
	uint32_t keys;
	uint32_t sent;            /* packets before those of this round */
	struct pl_srtp **session; /* even: ours, odd: its peer */
	uint8_t header[HEADER_SIZE], payload[PAYLOAD_SIZE];
	uint8_t (*room)[ROOM]; /* PACKETS of them */
	size_t *size;
};

static uint16_t seq_of(const struct bench *b, uint32_t packet)
{
	return (uint16_t)((b->sent + packet) / b->keys + 1);
}

/* With a CSRC and an extension of two words, as they leave the server. */
static void write_header(struct bench *b, uint32_t packet, uint8_t header[static HEADER_SIZE])
{
	memcpy(header, b->header, HEADER_SIZE);
	header[2] = (uint8_t)(seq_of(b, packet) >> 8);
	header[3] = (uint8_t)seq_of(b, packet);
}

static void init(struct bench *b, enum pl_srtp_backend backend, enum pl_srtp_profile profile, uint32_t keys)
{
	static const uint8_t header[HEADER_SIZE] = { 0x91, 111, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 9, 0xbe, 0xde, 0,
		1 };
	*b = (struct bench){ .profile = profile, .keys = keys };
	memcpy(b->header, header, sizeof header);
	b->session = pl_bench_take(2 * keys, sizeof *b->session);
	b->room = pl_bench_take(PACKETS, sizeof *b->room);
	memset(b->room, 1, PACKETS * sizeof *b->room); /* the kernel's part is not measured */
	b->size = pl_bench_take(PACKETS, sizeof *b->size);
	if (pl_srtp_engine_create(&b->engine, backend) != PL_ERR_NONE)
		abort();
	for (uint32_t i = 0; i < keys; i++) {
		struct pl_srtp_keys ours = { .profile = profile }, theirs;
		memset(&ours.remote, 0x55, sizeof ours.remote);
		memcpy(ours.local.key, &i, sizeof i);
		theirs = ours;
		memcpy(&theirs.local, &ours.remote, sizeof theirs.local);
		memcpy(&theirs.remote, &ours.local, sizeof theirs.remote);
		if (pl_srtp_create(&b->session[2 * i], b->engine, &ours) != PL_ERR_NONE ||
			pl_srtp_create(&b->session[2 * i + 1], b->engine, &theirs) != PL_ERR_NONE)
			abort();
	}
}

static void fini(struct bench *b)
{
	for (uint32_t i = 0; i < 2 * b->keys; i++)
		pl_srtp_destroy(&b->session[i]);
	pl_srtp_engine_destroy(&b->engine);
	free(b->size);
	free(b->room);
	free(b->session);
}

/* Protects packets from to PACKETS into the rooms, batch of them a call. */
static double protect(struct bench *b, uint32_t batch)
{
	const double start = pl_bench_cpu_ns();
	uint8_t header[BATCH][HEADER_SIZE];
	struct pl_srtp_job jobs[BATCH];
	for (uint32_t i = 0; i < PACKETS; i += batch) {
		for (uint32_t k = 0; k < batch; k++) {
			write_header(b, i + k, header[k]);
			jobs[k] = (struct pl_srtp_job){ b->session[(i + k) % b->keys * 2], { header[k], HEADER_SIZE },
				{ b->payload, PAYLOAD_SIZE }, { b->room[i + k], ROOM }, 0 };
		}
		pl_srtp_protect_rtp_batch(jobs, batch);
		for (uint32_t k = 0; k < batch; k++)
			b->size[i + k] = jobs[k].size;
	}
	const double ns = (pl_bench_cpu_ns() - start) / PACKETS;
	for (uint32_t i = 0; i < PACKETS; i++)
		if (b->size[i] == 0)
			abort();
	/* No number comes twice for a key, whatever place its first packet of a round has. */
	b->sent += (PACKETS + b->keys - 1) / b->keys * b->keys;
	return ns;
}

static double unprotect(struct bench *b)
{
	uint8_t out[ROOM];
	size_t size, opened = 0;
	const double start = pl_bench_cpu_ns();
	for (uint32_t i = 0; i < PACKETS; i++)
		opened += pl_srtp_unprotect_rtp(b->session[i % b->keys * 2 + 1],
				  (struct pl_bytes){ b->room[i], b->size[i] }, (struct pl_span){ out, sizeof out },
				  &size) == PL_DROP_NONE;
	const double ns = (pl_bench_cpu_ns() - start) / PACKETS;
	if (opened != PACKETS)
		abort();
	return ns;
}

/* The best of several rounds is the one that nobody disturbed. */
static double least(double best, double ns)
{
	return best == 0 || ns < best ? ns : best;
}

static void seal(const struct bench *b, uint8_t *memory, size_t key_size, uint32_t batch)
{
	const struct pl_crypto *crypto = b->engine->crypto;
	struct pl_crypto_cm cm[BATCH];
	for (uint32_t i = 0; i < PACKETS; i += batch) {
		for (uint32_t k = 0; k < batch; k++) {
			uint8_t *key = memory + (i + k) % b->keys * key_size, *out = b->room[i + k];
			if (b->profile == PL_SRTP_AEAD_AES_128_GCM) {
				const struct pl_crypto_gcm gcm = { key, PL_CRYPTO_OFTEN,
					{ (uint8_t)i, (uint8_t)(i >> 8) }, { b->header, HEADER_SIZE }, b->payload, out,
					PAYLOAD_SIZE };
				crypto->gcm_seal(b->engine->ciphers, &gcm, out + PAYLOAD_SIZE);
			} else {
				cm[k] = (struct pl_crypto_cm){ key, { (uint8_t)i, (uint8_t)(i >> 8) }, b->payload,
					out + HEADER_SIZE, PAYLOAD_SIZE, out, HEADER_SIZE + PAYLOAD_SIZE + 4,
					out + HEADER_SIZE + PAYLOAD_SIZE };
			}
		}
		if (b->profile != PL_SRTP_AEAD_AES_128_GCM)
			crypto->cm_seal(b->engine->ciphers, cm, batch);
	}
}

/* The ciphers alone, with keys that are there, for as many packets of the same size.  0 for libsrtp2, which has its
 * own. */
static double measure_ciphers(const struct bench *b, uint32_t batch)
{
	const struct pl_crypto *crypto = b->engine->crypto;
	if (crypto == NULL)
		return 0;
	const size_t key_size = crypto->key_size(b->profile, PL_CRYPTO_OFTEN);
	uint8_t *memory = aligned_alloc(PL_CRYPTO_ALIGN, b->keys * key_size);
	if (memory == NULL)
		abort();
	for (uint32_t i = 0; i < b->keys; i++) {
		struct pl_crypto_secret secret = { .cipher = { (uint8_t)i, (uint8_t)(i >> 8) } };
		if (crypto->key_init(b->engine->ciphers, memory + i * key_size, b->profile, PL_CRYPTO_OFTEN, &secret) !=
			PL_ERR_NONE)
			abort();
	}
	double best = 0;
	for (int round = 0; round < ROUNDS; round++) {
		const double start = pl_bench_cpu_ns();
		seal(b, memory, key_size, batch);
		best = least(best, (pl_bench_cpu_ns() - start) / PACKETS);
	}
	for (uint32_t i = 0; i < b->keys; i++)
		crypto->key_fini(memory + i * key_size, b->profile);
	free(memory);
	return best;
}

static void add(const struct bench *b, const char *what, double value, double floor)
{
	static const char *const profile_text[] = { "GCM", "CM+SHA1" };
	char name[64];
	snprintf(name, sizeof name, "%s %s, %u keys: %s", pl_srtp_backend_text(pl_srtp_engine_backend(b->engine)),
		profile_text[b->profile], (unsigned)b->keys, what);
	pl_bench_add(name, value, "the ciphers alone", floor);
}

static void measure(enum pl_srtp_backend backend, enum pl_srtp_profile profile, uint32_t keys)
{
	struct bench b;
	double one = 0, open = 0, batch = 0;
	init(&b, backend, profile, keys);
	const int rounds = backend == PL_SRTP_LIBSRTP2 ? 1 : ROUNDS; /* it takes its time */
	for (int round = 0; round < rounds; round++) {
		one = least(one, protect(&b, 1));
		open = least(open, unprotect(&b));
	}
	const double floor = measure_ciphers(&b, 1);
	add(&b, "protect", one, floor);
	add(&b, "unprotect", open, floor);
	if (profile == PL_SRTP_AES128_CM_SHA1_80 && backend == PL_SRTP_IPSEC_MB) {
		for (int round = 0; round < rounds; round++)
			batch = least(batch, protect(&b, BATCH));
		add(&b, "protect 32 at once", batch, measure_ciphers(&b, BATCH));
	}
	fini(&b);
}

void pl_bench_srtp(void)
{
	static const uint32_t keys[] = { 64, 1000 };
	for (enum pl_srtp_backend backend = PL_SRTP_IPSEC_MB; backend < PL_SRTP_BACKEND_COUNT; backend++) {
		if (pl_srtp_backend_lack(backend) != NULL)
			continue;
		for (enum pl_srtp_profile profile = 0; profile <= PL_SRTP_AES128_CM_SHA1_80; profile++)
			for (size_t i = 0; i < PL_COUNT(keys); i++)
				measure(backend, profile, keys[i]);
	}
}
