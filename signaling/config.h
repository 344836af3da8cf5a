/* The configuration: one X-macro line per key gives its field, kind, default, range, unit, what it does and why the
 * default is what it is; so the YAML file, --set, --help and the annotated config/plenum.yaml cannot disagree.
 * YAML is read with libyaml's events, not with libcyaml as first designed: an error has to name file, line, key, value
 * and what is accepted, and libcyaml forgets where a value stood once it is loaded.
 * Thread: main, before all others. */
#ifndef PL_SIGNALING_CONFIG_H
#define PL_SIGNALING_CONFIG_H

#include <stdio.h>

#include "media/addr.h"
#include "media/err.h"

enum {
	PL_CONFIG_TEXT_SIZE = 512,
	PL_CONFIG_ERROR_SIZE = 640,
	PL_CONFIG_ADDRESSES_MAX = 16,
	PL_CONFIG_NETWORKS_MAX = 32,
	PL_CONFIG_ORIGIN_SIZE = 224,
};

/* X(section, name, kind, default, min, max, unit, what, why)
 * TEXT, SECRET, LISTEN, ADDRESSES, NETWORKS: min and max count bytes.  NUMBER: they are the range.  CHOICE: unit lists the words. */
#define PL_CONFIG_LIST(X)                                                                                              \
	X(http, listen, LISTEN, "127.0.0.1:8080", 1, 128, "address:port",                                              \
		"where pages, API and WebSocket are served: 127.0.0.1:8080, [::1]:8080, or :8080 for all addresses; "  \
		"port 0 takes any free one",                                                                           \
		"Loopback, because browsers give the microphone only to https pages and to this machine's own.")       \
	X(http, tls_cert, TEXT, "", 0, 500, "file",                                                                    \
		"certificate chain in PEM; together with http.tls_key it turns HTTPS on",                              \
		"Empty, because certificates belong to names that only you know; --lan makes one for a quick try.")    \
	X(http, tls_key, TEXT, "", 0, 500, "file", "private key of the certificate in PEM, without a pass phrase",     \
		"Empty, as http.tls_cert is.")                                                                         \
	X(http, root, TEXT, "", 0, 500, "folder", "serves the pages from here in place of the embedded ones",          \
		"Empty: the binary has all it needs.  A page's author points it at web-demo/ and reloads.")            \
	X(http, ping_s, NUMBER, "20", 1, 3600, "seconds",                                                              \
		"a WebSocket is pinged after so long without a word, and dropped after twice that and 5 seconds",      \
		"20 is below the idle timeouts of common proxies (HAProxy and nginx: 60) and of mobile NATs (30).")    \
	X(http, trusted_proxies, NETWORKS, "", 0, 500, "IP addresses and networks",                                    \
		"proxies that are believed about X-Forwarded-For, with commas or as a YAML list",                      \
		"Empty: anybody can write that field, so only those you run yourself belong here.")                    \
	X(media, address, ADDRESSES, "", 0, 500, "IP addresses",                                                       \
		"what clients are told to send media to, separated by commas or as a YAML list; empty: the "           \
		"addresses of the interfaces",                                                                         \
		"The interfaces are right on a host of its own; behind NAT or in a container give the public "         \
		"address.")                                                                                            \
	X(media, port, NUMBER, "7882", 0, 65000, "UDP port",                                                           \
		"port of the first media thread, the next ones follow it; 0 takes any free one",                       \
		"One port per thread is all that a firewall or a container has to open; 7882 is free at IANA.")        \
	X(media, shards, NUMBER, "0", 0, 64, "threads",                                                                \
		"media threads; 0: one for each core that the affinity, the cpuset and the CPU quota leave",           \
		"The machine knows its cores and its quota better than a file does; plenum doctor tells the plan.  "   \
		"A small room is on one of them, so each thread's port has to be reachable.")                          \
	X(media, room_spread, NUMBER, "400", 1, 1000000, "participants",                                               \
		"a room's participants on one media thread before it goes on on the next",                             \
		"Every packet of such a room crosses to every thread it is on; 400 listeners are a tenth of a core.")  \
	X(media, coalesce_us, NUMBER, "0", 0, 20000, "microseconds",                                                   \
		"how long a media thread gathers packets before it forwards them together",                            \
		"Fewer and fuller system calls for so much delay; 0 forwards at once.  Handshakes do not wait for "    \
		"it.")                                                                                                 \
	X(media, pool_packets, NUMBER, "2048", 1024, 1048576, "packets",                                               \
		"packet buffers of one media thread, 1.8 KB each, taken at the start",                                 \
		"A packet is held for a turn; handshakes that wait, and other threads, hold up to 1,000 for longer.  " \
		"More than there is memory for is refused at the start.")                                              \
	X(media, srtp, CHOICE, "auto", 0, 0, "auto|ipsec-mb|openssl|libsrtp2",                                         \
		"what encrypts the packets; auto: ipsec-mb where build and CPU have it, else openssl",                 \
		"The fastest that works here; libsrtp2 is the reference, many times slower with many listeners.")      \
	X(media, simd, CHOICE, "auto", 0, 0, "auto|avx2|sse41|neon|plain",                                             \
		"which instructions mix audio; auto: the fastest that this CPU has",                                   \
		"All give the same bits; force one to rule out a processor's fault, plain takes ten times as long.")   \
	X(media, mixing, CHOICE, "on", 0, 0, "on|off", "mixes rooms for those who ask for it, and takes G.711",        \
		"It costs nothing until somebody asks.  Off: forwarding alone, and who asks is told so.")              \
	X(media, codec_workers, NUMBER, "0", 0, 64, "threads",                                                         \
		"threads for mixing and G.711 on each NUMA node; 0: one for each four of its cores, at least one",     \
		"They run when rooms are mixed, behind the media threads; one core mixes some 80 rooms that talk.")    \
	X(media, mix_talkers, NUMBER, "3", 1, 8, "talkers", "talkers in one mix; the loudest are heard",               \
		"More than three at once nobody understands; each one more is one more decoder and encoder "           \
		"per room.")                                                                                           \
	X(limits, participants, NUMBER, "4096", 1, 1000000, "participants", "participants in this process",            \
		"More than a core can serve audio to; their table is allocated at the start.")                         \
	X(limits, rooms, NUMBER, "2048", 1, 1000000, "rooms", "rooms in this process",                                 \
		"Half of the participants: a room that matters has two.")                                              \
	X(limits, room_participants, NUMBER, "1024", 1, 1000000, "participants", "participants in one room",           \
		"Every join and leave is told to the whole room, so a storm of them grows with its square.")           \
	X(limits, connections, NUMBER, "8192", 1, 1000000, "connections",                                              \
		"WebSocket connections; one more is refused with 503",                                                 \
		"Twice the participants: while a network comes back, old connections still linger beside the new "     \
		"ones.")                                                                                               \
	X(limits, joins_per_address, NUMBER, "600", 0, 1000000, "joins",                                               \
		"joins of one address (of IPv6: of one /64), so many at once and then so many a minute; "              \
		"0: no limit",                                                                                         \
		"Ten a second: an office behind one address at nine o'clock, and no more of a flood.  "                \
		"Loopback has no limit.")                                                                              \
	X(limits, joins_per_token, NUMBER, "0", 0, 1000000, "joins",                                                   \
		"joins with one token, so many at once and then so many a minute; 0: no limit",                        \
		"None, because tokens are not checked, and who sends none is not counted.")                            \
	X(drain, deadline_s, NUMBER, "25", 0, 86400, "seconds",                                                        \
		"after SIGTERM calls go on for so long at most, while new joins are refused; 0: not at all",           \
		"Below the 30 s after which Kubernetes kills; give both more where calls are long.")                   \
	X(drain, move_to, TEXT, "", 0, 250, "URL",                                                                     \
		"another server, https://other.example.org, that clients are sent to when this one ends or "           \
		"is in an emergency",                                                                                  \
		"Empty: they are told the deadline, and come back.")                                                   \
	X(pressure, level, CHOICE, "auto", 0, 0, "auto|nominal|elevated|high|critical|emergency",                      \
		"how much is taken away from clients; auto: as much as the load asks for",                             \
		"The server measures itself every 100 ms.  Another word holds that level, whatever the load: nominal " \
		"takes nothing away and refuses nobody.")                                                              \
	X(pressure, root, TEXT, "", 0, 400, "folder",                                                                  \
		"where /proc and /sys are that tell of the load; empty: where they always are",                        \
		"For tests, which put figures of their own there.")                                                    \
	X(canary, interval_s, NUMBER, "10", 0, 3600, "seconds",                                                        \
		"two participants of the server's own join so often, talk for a second, and hear whether calls work",  \
		"One media thread after the other, by loopback; nobody sees them, and they cost 0.2 % of a core.  "    \
		"0: never.")                                                                                           \
	X(canary, deaf_s, NUMBER, "60", 5, 86400, "seconds",                                                           \
		"/live answers 503 when the canary has heard nothing of itself for so long",                           \
		"A supervisor that restarts the server then ends all calls: too late is better than in vain.")         \
	X(admin, token, SECRET, "", 0, 256, "secret",                                                                  \
		"who sends it as Authorization: Bearer may use the admin API, /v1/admin",                              \
		"Empty: there is no admin API.  16 characters at least; \"openssl rand -base64 24\" makes a good "     \
		"one, and a file "                                                                                     \
		"keeps it better than a command line.")                                                                \
	X(log, level, CHOICE, "info", 0, 0, "error|warning|info|debug", "the least level that is written",             \
		"info has a line for each session and none for a packet.")                                             \
	X(log, format, CHOICE, "text", 0, 0, "text|json", "one line per event on stderr, for people or for machines",  \
		"People first.")

#define X(...) +1
enum { PL_CONFIG_KEY_COUNT = PL_CONFIG_LIST(X) };
#undef X

struct pl_config {
#define PL_CONFIG_FIELD_TEXT(section, name)   char section##_##name[PL_CONFIG_TEXT_SIZE];
#define PL_CONFIG_FIELD_SECRET                PL_CONFIG_FIELD_TEXT
#define PL_CONFIG_FIELD_LISTEN                PL_CONFIG_FIELD_TEXT
#define PL_CONFIG_FIELD_ADDRESSES             PL_CONFIG_FIELD_TEXT
#define PL_CONFIG_FIELD_NETWORKS              PL_CONFIG_FIELD_TEXT
#define PL_CONFIG_FIELD_CHOICE                PL_CONFIG_FIELD_TEXT
#define PL_CONFIG_FIELD_NUMBER(section, name) uint32_t section##_##name;
#define X(section, name, kind, ...)           PL_CONFIG_FIELD_##kind(section, name)
	PL_CONFIG_LIST(X)
#undef X
	/* Who set each key last, in the order of the list, as the beginning of an error: "plenum.yaml:12: ", "--set: ", or
	 * empty for a default. */
	char origin[PL_CONFIG_KEY_COUNT][PL_CONFIG_ORIGIN_SIZE];
};

enum pl_config_kind {
	PL_CONFIG_TEXT,
	PL_CONFIG_SECRET, /* a text that is never shown: not printed, not quoted by an error */
	PL_CONFIG_LISTEN,
	PL_CONFIG_ADDRESSES,
	PL_CONFIG_NETWORKS,
	PL_CONFIG_CHOICE,
	PL_CONFIG_NUMBER,
};

struct pl_config_key {
	const char *section, *name;
	enum pl_config_kind kind;
	const char *default_text;
	uint32_t min, max;
	const char *unit, *what, *why;
	size_t offset; /* of its field in struct pl_config */
};

void pl_config_defaults(struct pl_config *config);

/* Reads a YAML file over what config holds.  On error config may be half changed, and error has one line:
 * plenum.yaml:12: media.port: "abc" is not a number from 0 to 65000 */
PL_MUST_USE enum pl_err pl_config_load(
	struct pl_config *config, const char *path, char error[static PL_CONFIG_ERROR_SIZE]);

/* "media.port=9000" of --set. */
PL_MUST_USE enum pl_err pl_config_set(
	struct pl_config *config, const char *assignment, char error[static PL_CONFIG_ERROR_SIZE]);

/* What a single key cannot show: a certificate without its key, files that cannot be read.  error begins with the origin
 * of the key in question. */
PL_MUST_USE enum pl_err pl_config_check(const struct pl_config *config, char error[static PL_CONFIG_ERROR_SIZE]);

/* Writes YAML that pl_config_load reads back to the same; with_comments as in config/plenum.yaml. */
void pl_config_print(const struct pl_config *config, bool with_comments, FILE *file);

/* The keys in the order of PL_CONFIG_LIST; *keys is static. */
size_t pl_config_keys(const struct pl_config_key **keys);

/* Checks value against key and writes it into its field, or says in error what is accepted ("\"x\" is not ...",
 * without file or key). */
PL_MUST_USE bool pl_config_assign(struct pl_config *config, const struct pl_config_key *key, const char *value,
	char error[static PL_CONFIG_ERROR_SIZE]);

/* Notes who set a key: config->origin. */
PL_PRINTF(3, 4)
void pl_config_set_origin(struct pl_config *config, const struct pl_config_key *key, const char *format, ...);

/* The origin of a key that exists. */
const char *pl_config_origin(const struct pl_config *config, const char *section, const char *name);

/* Finds "section" "name", or returns NULL with a sentence in error that proposes the nearest.  name may be NULL: then
 * the section is looked for, and its first key returned. */
const struct pl_config_key *pl_config_find(
	const char *section, const char *name, char error[static PL_CONFIG_ERROR_SIZE]);

/* Reads a value of the kind LISTEN.  ":8080" and "[::]:8080" give the address ::, which stands for IPv4 too. */
PL_MUST_USE bool pl_config_parse_listen(const char *text, struct pl_addr *addr);

/* Reads a value of the kind ADDRESSES; count is 0 for an empty one. */
PL_MUST_USE bool pl_config_parse_addresses(
	const char *text, struct pl_addr addr[static PL_CONFIG_ADDRESSES_MAX], size_t *count);

/* Reads a value of the kind NETWORKS: "10.0.0.0/8, 2001:db8::1"; count is 0 for an empty one. */
PL_MUST_USE bool pl_config_parse_networks(
	const char *text, struct pl_addr_range network[static PL_CONFIG_NETWORKS_MAX], size_t *count);

#endif
