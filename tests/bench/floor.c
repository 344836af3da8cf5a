/* The floor of the packet path: a tight loop of what cannot be left out.  A header is written, the payload encrypted with
 * the receiver's own key by the library that the server uses, and sendmmsg hands them to the kernel, DF set, to as many
 * sockets of this machine as the server has receivers.  With --train k, k packets to a receiver are one message
 * (UDP_SEGMENT).  Prints the CPU time of this thread as JSON.
 *
 * usage: plenum-floor [--receivers N] [--train K] [--payload BYTES] [--ports FIRST-LAST] [--socket plain|source|dual] */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "media/rtp_template.h"
#include "media/srtp.h"
#include "media/srtp_impl.h"

enum {
	RECEIVERS_MAX = 10000,
	TRAIN_MAX = 32,
	PAYLOAD_MAX = 1200,
	PACKET_MAX = PL_RTP_TEMPLATE_SIZE_MAX + PAYLOAD_MAX + PL_CRYPTO_GCM_TAG_SIZE,
	ARENA_BYTES = 128 << 10, /* as the server's: it stays in the cache */
	MESSAGES = 64,           /* of a sendmmsg, as the server's */
	CONTROL_SIZE = 96,
	ROUNDS = 31,
	ROUND_PACKETS = 20000, /* at least */
	QUEUE_PACKETS = 100,   /* that the least of receive buffers holds: then they are emptied */
};

struct options {
	uint32_t receivers, train, payload;
	uint32_t pause_us;              /* after each receiver has had its train: as packets come to a server */
	uint16_t port_first, port_last; /* 0: any */
	bool has_source;                /* names its source address, as a server of several addresses has to */
	bool is_dual;                   /* an IPv6 socket that sends to IPv4, as the server's */
};

struct receiver {
	int fd;
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} address;
	socklen_t address_size;
	uint8_t *key;
	uint16_t seq;
	struct pl_rtp_template header;
};

struct floor {
	struct options options;
	int fd;
	struct pl_srtp_engine *engine;
	uint8_t *keys;
	struct receiver *receiver;
	struct mmsghdr message[MESSAGES];
	struct iovec vector[MESSAGES];
	_Alignas(8) uint8_t control[MESSAGES][CONTROL_SIZE];
	uint8_t payload[PAYLOAD_MAX], *arena;
	unsigned count; /* messages that wait */
	size_t used;    /* of the arena */
	uint64_t packets, syscalls;
};

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "plenum-floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double cpu_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void set(int fd, int level, int option, int value, const char *what)
{
	if (setsockopt(fd, level, option, &value, sizeof value) != 0)
		fail(what);
}

/* ---- before the first packet ---- */

static void open_receiver(struct floor *floor, uint32_t index)
{
	const struct options *o = &floor->options;
	struct receiver *receiver = &floor->receiver[index];
	struct sockaddr_in bound = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof bound;
	receiver->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bound.sin_port = o->port_first > 0 ? htons((uint16_t)(o->port_first + index)) : 0;
	if (receiver->fd < 0 || bind(receiver->fd, (const struct sockaddr *)&bound, sizeof bound) != 0 ||
		getsockname(receiver->fd, (struct sockaddr *)&bound, &size) != 0)
		fail("a receiver's socket");
	set(receiver->fd, IPPROTO_UDP, UDP_GRO, 1, "UDP_GRO");
	if (o->is_dual) {
		receiver->address.v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = bound.sin_port };
		inet_pton(AF_INET6, "::ffff:127.0.0.1", &receiver->address.v6.sin6_addr);
		receiver->address_size = sizeof receiver->address.v6;
	} else {
		receiver->address.v4 = bound;
		receiver->address_size = sizeof receiver->address.v4;
	}
}

static void open_sender(struct floor *floor)
{
	const bool is_dual = floor->options.is_dual;
	floor->fd = socket(is_dual ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (floor->fd < 0)
		fail("the sender's socket");
	set(floor->fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE, "IP_MTU_DISCOVER");
	if (!is_dual)
		return;
	const struct sockaddr_in6 any = { .sin6_family = AF_INET6 };
	set(floor->fd, IPPROTO_IPV6, IPV6_V6ONLY, 0, "IPV6_V6ONLY");
	set(floor->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE, "IPV6_MTU_DISCOVER");
	if (bind(floor->fd, (const struct sockaddr *)&any, sizeof any) != 0)
		fail("the sender's socket");
}

/* The header is the one of the server's packets: a CSRC, a mid and a level. */
static void make_receiver(struct floor *floor, uint32_t index, size_t key_size)
{
	static const struct pl_rtp_ext_ids ids = { .id = { [PL_RTP_EXT_MID] = 4, [PL_RTP_EXT_AUDIO_LEVEL] = 1 } };
	struct receiver *receiver = &floor->receiver[index];
	struct pl_crypto_secret secret = { .cipher = { 1 } };
	memcpy(secret.cipher + 4, &index, sizeof index);
	receiver->key = floor->keys + index * key_size;
	if (floor->engine->crypto->key_init(floor->engine->ciphers, receiver->key, PL_SRTP_AEAD_AES_128_GCM,
		    PL_CRYPTO_OFTEN, &secret) != PL_ERR_NONE)
		fail("a key");
	pl_rtp_template_make(&receiver->header, 1000 + index, 111, "0", &ids);
	open_receiver(floor, index);
}

static void start(struct floor *floor)
{
	const struct rlimit files = { floor->options.receivers + 64, floor->options.receivers + 64 };
	struct rlimit now;
	if (getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur < files.rlim_cur &&
		setrlimit(RLIMIT_NOFILE, &files) != 0)
		fail("open files");
	if (pl_srtp_init() != PL_ERR_NONE || pl_srtp_engine_create(&floor->engine, PL_SRTP_AUTO) != PL_ERR_NONE)
		fail("SRTP");
	const size_t key_size = floor->engine->crypto->key_size(PL_SRTP_AEAD_AES_128_GCM, PL_CRYPTO_OFTEN);
	floor->keys = aligned_alloc(PL_CRYPTO_ALIGN, floor->options.receivers * key_size);
	floor->receiver = calloc(floor->options.receivers, sizeof *floor->receiver);
	floor->arena = aligned_alloc(64, ARENA_BYTES);
	if (floor->keys == NULL || floor->receiver == NULL || floor->arena == NULL)
		fail("memory");
	memset(floor->arena, 0, ARENA_BYTES);
	open_sender(floor);
	for (uint32_t i = 0; i < floor->options.receivers; i++)
		make_receiver(floor, i, key_size);
}

/* ---- the loop ---- */

static void flush(struct floor *floor)
{
	for (unsigned done = 0; done < floor->count;) {
		const int sent = sendmmsg(floor->fd, floor->message + done, floor->count - done, 0);
		floor->syscalls++;
		if (sent <= 0 && errno != EINTR)
			fail("sendmmsg");
		done += sent > 0 ? (unsigned)sent : 0;
	}
	floor->count = 0;
	floor->used = 0;
}

static size_t write_packet(struct floor *floor, struct receiver *receiver, uint8_t *out)
{
	const struct pl_rtp_stamp stamp = { .seq = receiver->seq,
		.ts = receiver->seq * 960u,
		.csrc = 7,
		.has_level = true,
		.is_voice = true,
		.level = 20 };
	uint8_t header[PL_RTP_TEMPLATE_SIZE_MAX];
	const size_t header_size = receiver->header.size, size = floor->options.payload;
	pl_rtp_template_write(&receiver->header, &stamp, header);
	memcpy(out, header, header_size);
	const struct pl_crypto_gcm job = { receiver->key, PL_CRYPTO_OFTEN,
		{ (uint8_t)receiver->seq, (uint8_t)(receiver->seq >> 8) }, { out, header_size }, floor->payload,
		out + header_size, size };
	floor->engine->crypto->gcm_seal(floor->engine->ciphers, &job, out + header_size + size);
	receiver->seq++;
	return header_size + size + PL_CRYPTO_GCM_TAG_SIZE;
}

static void put_control(struct msghdr *message, int level, int type, const void *value, size_t size)
{
	struct cmsghdr *c = (struct cmsghdr *)(void *)((uint8_t *)message->msg_control + message->msg_controllen);
	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(c), value, size);
	message->msg_controllen += CMSG_SPACE(size);
}

static void put_message(struct floor *floor, struct receiver *receiver)
{
	const struct options *o = &floor->options;
	if (floor->count == MESSAGES || floor->used + (size_t)o->train * PACKET_MAX > ARENA_BYTES)
		flush(floor);
	uint8_t *begin = floor->arena + floor->used;
	size_t size = 0, segment = 0;
	for (uint32_t i = 0; i < o->train; i++)
		size += segment = write_packet(floor, receiver, begin + size);
	const unsigned index = floor->count++;
	struct msghdr *message = &floor->message[index].msg_hdr;
	floor->vector[index] = (struct iovec){ begin, size };
	*message = (struct msghdr){ .msg_name = &receiver->address,
		.msg_namelen = receiver->address_size,
		.msg_iov = &floor->vector[index],
		.msg_iovlen = 1,
		.msg_control = floor->control[index] };
	if (o->has_source && !o->is_dual)
		put_control(message, IPPROTO_IP, IP_PKTINFO,
			&(struct in_pktinfo){ .ipi_spec_dst = receiver->address.v4.sin_addr },
			sizeof(struct in_pktinfo));
	if (o->has_source && o->is_dual) {
		struct in6_pktinfo info = { .ipi6_addr = receiver->address.v6.sin6_addr };
		put_control(message, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
	}
	if (o->train > 1)
		put_control(message, IPPROTO_UDP, UDP_SEGMENT, &(uint16_t){ (uint16_t)segment }, sizeof(uint16_t));
	floor->used += size;
	floor->packets += o->train;
}

/* What has come is taken between the measurements: receivers that are full would be cheaper than they are. */
static void empty_queues(struct floor *floor)
{
	static uint8_t room[65536];
	for (uint32_t i = 0; i < floor->options.receivers; i++)
		while (recv(floor->receiver[i].fd, room, sizeof room, 0) >= 0)
			;
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* One measurement: nanoseconds of CPU for a packet. */
static double measure_round(struct floor *floor)
{
	const uint64_t before = floor->packets;
	double ns = 0;
	while (floor->packets - before < ROUND_PACKETS) {
		const double begun = cpu_ns();
		for (uint32_t queued = 0;
			queued + floor->options.train <= QUEUE_PACKETS && floor->packets - before < ROUND_PACKETS;
			queued += floor->options.train) {
			for (uint32_t i = 0; i < floor->options.receivers; i++)
				put_message(floor, &floor->receiver[i]);
			flush(floor);
			if (floor->options.pause_us > 0)
				usleep(floor->options.pause_us);
		}
		ns += cpu_ns() - begun;
		empty_queues(floor);
	}
	return ns / (double)(floor->packets - before);
}

static bool read_socket(struct options *o, const char *text)
{
	o->is_dual = strcmp(text, "dual") == 0;
	o->has_source = o->is_dual || strcmp(text, "source") == 0;
	return o->has_source || strcmp(text, "plain") == 0;
}

static bool read_options(struct options *o, int argc, char **argv)
{
	*o = (struct options){ .receivers = 200, .train = 1, .payload = 100 };
	for (int i = 1; i + 1 < argc; i += 2) {
		const uint32_t number = (uint32_t)strtoul(argv[i + 1], NULL, 10);
		unsigned first, last;
		if (strcmp(argv[i], "--receivers") == 0)
			o->receivers = number;
		else if (strcmp(argv[i], "--train") == 0)
			o->train = number;
		else if (strcmp(argv[i], "--payload") == 0)
			o->payload = number;
		else if (strcmp(argv[i], "--pause") == 0)
			o->pause_us = number;
		else if (strcmp(argv[i], "--socket") == 0 && read_socket(o, argv[i + 1]))
			continue;
		else if (strcmp(argv[i], "--ports") == 0 && sscanf(argv[i + 1], "%5u-%5u", &first, &last) == 2)
			o->port_first = (uint16_t)first, o->port_last = (uint16_t)last;
		else
			return false;
	}
	return argc % 2 == 1 && o->receivers >= 1 && o->receivers <= RECEIVERS_MAX && o->train >= 1 &&
	       o->train <= TRAIN_MAX && o->payload >= 1 && o->payload <= PAYLOAD_MAX && o->pause_us <= 20000 &&
	       (o->port_first == 0 || o->port_first + o->receivers - 1 <= o->port_last);
}

int main(int argc, char **argv)
{
	static struct floor floor;
	double ns[ROUNDS];
	if (!read_options(&floor.options, argc, argv)) {
		fprintf(stderr,
			"usage: plenum-floor [--receivers 1-%d] [--train 1-%d] [--payload 1-%d] [--ports FIRST-LAST]\n"
			"                    [--pause US, 0-20000] [--socket plain|source|dual]\n",
			RECEIVERS_MAX, TRAIN_MAX, PAYLOAD_MAX);
		return 2;
	}
	start(&floor);
	(void)measure_round(&floor); /* warms up */
	floor.packets = floor.syscalls = 0;
	for (int i = 0; i < ROUNDS; i++)
		ns[i] = measure_round(&floor);
	qsort(ns, ROUNDS, sizeof ns[0], compare);
	printf("{\"receivers\":%u,\"train\":%u,\"payload\":%u,\"pause_us\":%u,\"socket\":\"%s\",\"crypto\":\"%s\","
	       "\"ns\":%.1f,"
	       "\"ns_min\":%.1f,\"ns_max\":%.1f,\"syscalls_per_packet\":%.5f}\n",
		floor.options.receivers, floor.options.train, floor.options.payload, floor.options.pause_us,
		floor.options.is_dual      ? "dual"
		: floor.options.has_source ? "source"
					   : "plain",
		pl_srtp_engine_text(floor.engine), ns[ROUNDS / 2], ns[0], ns[ROUNDS - 1],
		(double)floor.syscalls / (double)floor.packets);
	return 0;
}
