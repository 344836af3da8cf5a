/* What plenum-load is told to do: keys that are options of the command line and keys of a scenario file alike.
 * Thread: main, before any other; read-only afterwards. */
#ifndef PL_TESTS_LOAD_OPTIONS_H
#define PL_TESTS_LOAD_OPTIONS_H

#include <stdio.h>

#include "media/base.h"

enum { LOAD_TEXT_SIZE = 256, LOAD_ERROR_SIZE = 400, LOAD_KEYS_MAX = 64 };

enum load_api { LOAD_API_PLENUM, LOAD_API_WHIP };

enum load_audio { LOAD_AUDIO_FORWARD, LOAD_AUDIO_MIXED, LOAD_AUDIO_AUTO };

enum load_refusals { LOAD_REFUSALS_FAIL, LOAD_REFUSALS_COUNT };

enum load_sound { LOAD_SOUND_AUTO, LOAD_SOUND_STAMP, LOAD_SOUND_VOICE, LOAD_SOUND_PULSE };

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
	uint32_t audio; /* enum load_audio, of all who receive */

	uint32_t sound; /* enum load_sound; never AUTO once parsed */
	uint32_t payload_bytes, rate_hz;
	bool has_spurts;

	uint32_t ramp_hz, settle_s, duration_s, timeout_s, retries;
	uint32_t refusals;                             /* enum load_refusals */
	uint32_t threads, decrypt_every, decode_every; /* decode_every 0: nobody */
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

/* The number of the key that is written so, LOAD_KEYS_MAX when there is none. */
size_t load_options_index(const char *written);

/* Sets one key.  False: error has a sentence that names the key, the value and what is accepted. */
PL_MUST_USE bool load_options_set(
	struct load_options *options, const char *key, const char *value, char error[static LOAD_ERROR_SIZE]);

/* Defaults, then the scenario files, then the options of the command line.  False: error has a sentence. */
PL_MUST_USE bool load_options_parse(struct load_options *options, int argc, char **argv, enum load_action *action,
	char error[static LOAD_ERROR_SIZE]);

void load_options_print_help(FILE *file);

uint32_t load_options_clients(const struct load_options *options);

/* The word of an enum, as the key has it. */
const char *load_options_audio_name(const struct load_options *options);
const char *load_options_sound_name(const struct load_options *options);

/* Whether receivers get one mix in one stream, instead of talkers. */
bool load_options_is_mixed(const struct load_options *options);

#endif
