/* What plenum-load is told to do: keys that are options of the command line and keys of a scenario file alike.
 * Thread: main, before any other; read-only afterwards. */
#ifndef PL_TESTS_LOAD_OPTIONS_H
#define PL_TESTS_LOAD_OPTIONS_H

#include <stdio.h>

#include "media/base.h"

enum { LOAD_TEXT_SIZE = 256, LOAD_ERROR_SIZE = 400 };

enum load_api { LOAD_API_PLENUM, LOAD_API_WHIP };

struct load_url {
	bool has_tls;
	char host[LOAD_TEXT_SIZE];      /* without the brackets of an IPv6 address */
	char authority[LOAD_TEXT_SIZE]; /* host and port as a Host field has them */
	char path[LOAD_TEXT_SIZE];      /* "" or "/..." */
	uint16_t port;
};

/* False: error has a sentence. */
PL_MUST_USE bool load_url_parse(struct load_url *url, const char *text, char error[static LOAD_ERROR_SIZE]);

struct load_options {
	char url_text[LOAD_TEXT_SIZE];
	struct load_url url;
	uint32_t api; /* enum load_api */
	char room[LOAD_TEXT_SIZE];
	uint32_t rooms, publishers, receivers, slots;
	bool do_publishers_listen;

	uint32_t payload_bytes, rate_hz;
	bool has_spurts;

	uint32_t ramp_hz, settle_s, duration_s, timeout_s, retries;
	uint32_t threads, decrypt_every;
	bool drop_media, has_gro;
	uint16_t port_first, port_last; /* for receivers; 0: any */

	char whip_path[LOAD_TEXT_SIZE], whep_path[LOAD_TEXT_SIZE], token[LOAD_TEXT_SIZE];
	bool is_insecure;

	uint32_t pid; /* 0: none */
	double max_loss_percent;
	char json_path[LOAD_TEXT_SIZE];
	uint32_t seed;
};

enum load_action { LOAD_RUN, LOAD_HELP };

void load_options_defaults(struct load_options *options);

/* Sets one key.  False: error has a sentence that names the key, the value and what is accepted. */
PL_MUST_USE bool load_options_set(
	struct load_options *options, const char *key, const char *value, char error[static LOAD_ERROR_SIZE]);

/* Defaults, then the scenario files, then the options of the command line.  False: error has a sentence. */
PL_MUST_USE bool load_options_parse(struct load_options *options, int argc, char **argv, enum load_action *action,
	char error[static LOAD_ERROR_SIZE]);

void load_options_print_help(FILE *file);

uint32_t load_options_clients(const struct load_options *options);

#endif
