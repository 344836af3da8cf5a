/* The configuration: one X-macro line per key gives the field, its type, range, default, unit and help, and so serves
 * the YAML file, --set, --help and the annotated config/plenum.yaml (a test keeps them equal).
 * Thread: main, before all others. */
#ifndef PL_SIGNALING_CONFIG_H
#define PL_SIGNALING_CONFIG_H

#include "media/base.h"
#include "media/err.h"

enum { PL_CONFIG_TEXT_SIZE = 512, PL_CONFIG_ERROR_SIZE = 512 };

/* X(section, name, kind, default, min, max, help): STRING takes min-max bytes, INT min-max, BOOL true or false. */
#define PL_CONFIG_LIST(X)                                                                                              \
	X(http, listen, STRING, "127.0.0.1:8080", 1, 128,                                                              \
	  "address and port of pages, API and WebSocket: 127.0.0.1:8080, [::1]:8080, :8080 for all addresses; port 0 takes any free one") \
	X(http, tls_cert, STRING, "", 0, 500, "file with the certificate chain (PEM); with http.tls_key it turns HTTPS on") \
	X(http, tls_key, STRING, "", 0, 500, "file with the certificate's private key (PEM)")                          \
	X(http, root, STRING, "", 0, 500, "folder to serve the pages from, in place of the embedded ones")             \
	X(media, address, STRING, "", 0, 500,                                                                          \
	  "addresses that clients reach media at, separated by commas; empty: discovered from the interfaces")         \
	X(media, port, INT, 7882, 0, 65000, "UDP port of the first shard, the next ones follow; 0 takes any free one") \
	X(media, shards, INT, 0, 0, 256, "media threads; 0: as many as the machine has cores for")                     \
	X(limits, participants, INT, 4096, 1, 1000000, "participants in this process")                                 \
	X(limits, rooms, INT, 2048, 1, 1000000, "rooms in this process")                                               \
	X(limits, room_participants, INT, 1024, 1, 1000000, "participants in one room")                                \
	X(limits, connections, INT, 8192, 1, 1000000, "WebSocket connections")                                         \
	X(log, level, STRING, "info", 1, 8, "least level that is written: error, warning, info or debug")

struct pl_config {
#define PL_CONFIG_FIELD_STRING(section, name) char section##_##name[PL_CONFIG_TEXT_SIZE];
#define PL_CONFIG_FIELD_INT(section, name) int64_t section##_##name;
#define PL_CONFIG_FIELD_BOOL(section, name) bool section##_##name;
#define X(section, name, kind, def, min, max, help) PL_CONFIG_FIELD_##kind(section, name)
	PL_CONFIG_LIST(X)
#undef X
};

void pl_config_defaults(struct pl_config *config);

/* Reads a YAML file over what config holds.  On error config may be half changed, and error has one line:
 * "plenum.yaml:12: media.port: "abc" is not a number from 0 to 65000". */
PL_MUST_USE enum pl_err pl_config_load(struct pl_config *config, const char *path, char error[static PL_CONFIG_ERROR_SIZE]);

/* "key=value" of --set. */
PL_MUST_USE enum pl_err pl_config_set(struct pl_config *config, const char *assignment,
                                      char error[static PL_CONFIG_ERROR_SIZE]);

/* What single keys cannot show: a certificate without its key, a listen address that cannot be read. */
PL_MUST_USE enum pl_err pl_config_check(const struct pl_config *config, char error[static PL_CONFIG_ERROR_SIZE]);

/* Calls emit for each key, in order. */
struct pl_config_key {
	const char *section, *name, *kind, *default_text, *help;
	int64_t min, max;
};
size_t pl_config_keys(const struct pl_config_key **keys);

#endif
