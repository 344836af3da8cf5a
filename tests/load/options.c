#include "tests/load/options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tests/load/scenario.h"
#include "tests/load/speech.h"

enum kind { TEXT, NUMBER, DECIMAL, FLAG, CHOICE, PORTS };

/* What each client is, told by its place in its room, has to stay countable in 32 bits. */
enum { CLIENTS_MAX = 1000000 };

struct key {
	const char *name;
	enum kind kind;
	size_t offset;
	const char *default_text;
	double min, max;
	const char *unit; /* of a number; the values of a choice, with | between them */
	const char *help;
};

#define AT(field) offsetof(struct load_options, field)

static const struct key keys[] = {
	{ "url", TEXT, AT(url_text), "http://127.0.0.1:8080", 1, 0, "http(s)://host:port", "the server" },
	{ "api", CHOICE, AT(api), "plenum", 0, 0, "plenum|whip", "Plenum's WebSocket, or WHIP and WHEP" },
	{ "room", TEXT, AT(room), "load", 1, 0, "name", "rooms are called so, with a number behind it" },
	{ "rooms", NUMBER, AT(rooms), "1", 1, 100000, "rooms", "how many" },
	{ "publishers", NUMBER, AT(publishers), "1", 0, 100000, "clients", "in each room, who send" },
	{ "receivers", NUMBER, AT(receivers), "10", 0, 100000, "clients", "in each room, who only receive" },
	{ "slots", NUMBER, AT(slots), "3", 1, 60, "streams", "that each receiver asks for" },
	{ "publishers_listen", FLAG, AT(do_publishers_listen), "false", 0, 0, "",
		"publishers receive too, as in a call (api plenum)" },
	{ "audio", CHOICE, AT(audio), "forward", 0, 0, "forward|mixed|auto",
		"how receivers hear the others (join's audio, or ?audio= of WHEP)" },
	{ "sound", CHOICE, AT(sound), "auto", 0, 0, "auto|stamp|voice|pulse",
		"what publishers send: filler with a time stamp, a voice in Opus, or (the first of each room) a tone "
		"of 100 "
		"ms each second; auto: a voice where receivers hear a mix" },
	{ "payload", NUMBER, AT(payload_bytes), "100", 1, 1200, "bytes", "of a packet; from 17 on with a time stamp" },
	{ "rate", NUMBER, AT(rate_hz), "50", 1, 1000, "packets/s", "of each publisher" },
	{ "spurts", FLAG, AT(has_spurts), "false", 0, 0, "",
		"publishers talk and pause (ITU-T P.59) with sizes that vary, DTX in the pauses" },
	{ "ramp", NUMBER, AT(ramp_hz), "100", 1, 100000, "joins/s", "until all are there" },
	{ "settle", NUMBER, AT(settle_s), "1", 0, 3600, "s", "between the last join and the measurement" },
	{ "duration", NUMBER, AT(duration_s), "10", 1, 86400, "s", "of the measurement" },
	{ "timeout", NUMBER, AT(timeout_s), "15", 1, 600, "s", "for an answer, and then for being connected" },
	{ "retries", NUMBER, AT(retries), "5", 0, 100, "times", "of a join that was refused with a time to wait" },
	{ "refusals", CHOICE, AT(refusals), "fail", 0, 0, "fail|count",
		"count: who is refused as often as it tries is turned away, which is no failure" },
	{ "threads", NUMBER, AT(threads), "1", 1, 64, "threads", "that send and receive media" },
	{ "decrypt_every", NUMBER, AT(decrypt_every), "1", 1, 1000000, "receivers",
		"every Nth decrypts and measures latency; the others count by the clear RTP header" },
	{ "decode_every", NUMBER, AT(decode_every), "0", 0, 1000000, "receivers",
		"every Nth decrypts and decodes its Opus; 0: nobody" },
	{ "drop_media", FLAG, AT(drop_media), "false", 0, 0, "",
		"from the measurement on the kernel drops RTP at the receivers' sockets, but for one in each room" },
	{ "gro", FLAG, AT(has_gro), "true", 0, 0, "", "receivers take a train of datagrams as one (UDP_GRO)" },
	{ "port_range", PORTS, AT(port_first), "any", 0, 0, "first-last",
		"local UDP ports of the receivers that drop_media would silence" },
	{ "whip_path", TEXT, AT(whip_path), "/v1/whip/{room}", 1, 0, "path", "where publishers POST" },
	{ "whep_path", TEXT, AT(whep_path), "/v1/whep/{room}", 1, 0, "path", "where receivers POST" },
	{ "token", TEXT, AT(token), "", 0, 0, "token", "of join, or of Authorization: Bearer" },
	{ "insecure", FLAG, AT(is_insecure), "false", 0, 0, "", "takes any certificate" },
	{ "pid", NUMBER, AT(pid), "0", 0, 4194304, "process",
		"of the server on this machine: measures its CPU and memory" },
	{ "max_loss", DECIMAL, AT(max_loss_percent), "0", 0, 100, "percent", "of loss above which the exit code is 1" },
	{ "json", TEXT, AT(json_path), "", 0, 0, "file",
		"gets the report too; -: the standard output, and the table goes to the standard error" },
	{ "seed", NUMBER, AT(seed), "1", 0, 4294967295.0, "number", "of the talkers' chance" },
};

PL_PRINTF(2, 3) static bool fail(char error[static LOAD_ERROR_SIZE], const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(error, LOAD_ERROR_SIZE, format, args);
	va_end(args);
	return false;
}

/* Options are written with '-', keys of a file with '_'. */
static bool is_named(const char *name, const char *written)
{
	while (*name != '\0' && (*written == *name || (*written == '-' && *name == '_')))
		name++, written++;
	return *name == *written;
}

static const struct key *find(const char *written)
{
	for (const struct key *key = keys; key < keys + PL_COUNT(keys); key++)
		if (is_named(key->name, written))
			return key;
	return NULL;
}

size_t load_options_index(const char *written)
{
	_Static_assert(PL_COUNT(keys) <= LOAD_KEYS_MAX, "each key has a number");
	const struct key *key = find(written);
	return key != NULL ? (size_t)(key - keys) : LOAD_KEYS_MAX;
}

static bool read_decimal(const char *text, double *number)
{
	char *end;
	errno = 0;
	*number = strtod(text, &end);
	return end != text && *end == '\0' && errno == 0 && text[0] >= '0' && text[0] <= '9';
}

static bool set_number(void *field, const struct key *key, const char *value, char error[static LOAD_ERROR_SIZE])
{
	double number;
	const bool is_number = read_decimal(value, &number);
	const bool is_whole = strspn(value, "0123456789") == strlen(value);
	if (!is_number || (key->kind == NUMBER && !is_whole) || number < key->min || number > key->max)
		return fail(error, "%s: \"%.60s\" is not a number from %.0f to %.0f (%s)", key->name, value, key->min,
			key->max, key->unit);
	if (key->kind == DECIMAL)
		*(double *)field = number;
	else
		*(uint32_t *)field = (uint32_t)number;
	return true;
}

static bool set_choice(uint32_t *field, const struct key *key, const char *value, char error[static LOAD_ERROR_SIZE])
{
	uint32_t index = 0;
	for (const char *word = key->unit; word != NULL; index++) {
		const char *bar = strchr(word, '|');
		const size_t size = bar != NULL ? (size_t)(bar - word) : strlen(word);
		if (strlen(value) == size && memcmp(value, word, size) == 0) {
			*field = index;
			return true;
		}
		word = bar != NULL ? bar + 1 : NULL;
	}
	return fail(error, "%s: \"%.60s\" is none of %s", key->name, value, key->unit);
}

static bool set_ports(uint16_t field[2], const struct key *key, const char *value, char error[static LOAD_ERROR_SIZE])
{
	unsigned first = 0, last = 0;
	char rest;
	const bool is_any = strcmp(value, "any") == 0;
	if (!is_any &&
		(sscanf(value, "%5u-%5u%c", &first, &last, &rest) != 2 || first == 0 || first > last || last > 65535))
		return fail(error, "%s: \"%.60s\" is not of the form 20000-20999, nor \"any\"", key->name, value);
	field[0] = (uint16_t)first;
	field[1] = (uint16_t)last;
	return true;
}

static bool set(
	struct load_options *options, const struct key *key, const char *value, char error[static LOAD_ERROR_SIZE])
{
	void *field = (char *)options + key->offset;
	switch (key->kind) {
	case TEXT:
		if (strlen(value) >= LOAD_TEXT_SIZE || strlen(value) < (size_t)key->min)
			return fail(error, "%s: wants %.0f to %d bytes (%s)", key->name, key->min, LOAD_TEXT_SIZE - 1,
				key->unit);
		strcpy(field, value);
		return true;
	case NUMBER:
	case DECIMAL:
		return set_number(field, key, value, error);
	case FLAG:
		if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
			return fail(error, "%s: \"%.60s\" is neither true nor false", key->name, value);
		*(bool *)field = value[0] == 't';
		return true;
	case CHOICE:
		return set_choice(field, key, value, error);
	case PORTS:
		return set_ports(field, key, value, error);
	}
	return false;
}

bool load_options_set(
	struct load_options *options, const char *name, const char *value, char error[static LOAD_ERROR_SIZE])
{
	const struct key *key = find(name);
	if (key == NULL)
		return fail(error, "%.60s: there is no such key; plenum-load --help lists them", name);
	return set(options, key, value, error);
}

void load_options_defaults(struct load_options *options)
{
	char error[LOAD_ERROR_SIZE];
	memset(options, 0, sizeof *options);
	for (const struct key *key = keys; key < keys + PL_COUNT(keys); key++)
		PL_ASSERT(set(options, key, key->default_text, error));
}

/* ---- the command line ---- */

struct option {
	char name[32];
	const char *value;
	bool is_scenario;
};

/* Takes the option at argv[*at]: its value stands behind '=', or is the next word; a flag may have none. */
static bool take_option(struct option *option, int argc, char **argv, int *at, char error[static LOAD_ERROR_SIZE])
{
	const char *word = argv[*at];
	const size_t size = strcspn(word, "=");
	if (strncmp(word, "--", 2) != 0 || size - 2 >= sizeof option->name)
		return fail(error, "\"%.60s\" is not understood; plenum-load --help lists what is", word);
	memcpy(option->name, word + 2, size - 2);
	option->name[size - 2] = '\0';
	option->is_scenario = strcmp(option->name, "scenario") == 0;
	const struct key *key = find(option->name);
	if (key == NULL && !option->is_scenario)
		return fail(error, "--%s: there is no such option; plenum-load --help lists them", option->name);

	option->value = NULL;
	if (word[size] == '=')
		option->value = word + size + 1;
	else if (key != NULL && key->kind == FLAG)
		option->value = "true";
	else if (*at + 1 < argc)
		option->value = argv[++*at];
	return option->value != NULL || fail(error, "--%s wants a value; plenum-load --help tells which", option->name);
}

/* with_files: the scenario files alone, else the other options: those win wherever they stand. */
static bool read_words(
	struct load_options *options, int argc, char **argv, bool with_files, char error[static LOAD_ERROR_SIZE])
{
	for (int i = 1; i < argc; i++) {
		struct option option;
		if (!take_option(&option, argc, argv, &i, error))
			return false;
		if (option.is_scenario != with_files)
			continue;
		if (with_files ? !load_scenario_read(options, option.value, error)
			       : !load_options_set(options, option.name, option.value, error))
			return false;
	}
	return true;
}

/* ---- what only fits together ---- */

bool load_url_parse(struct load_url *url, const char *text, char error[static LOAD_ERROR_SIZE])
{
	const bool has_tls = strncmp(text, "https://", 8) == 0;
	if (strlen(text) >= LOAD_TEXT_SIZE || (!has_tls && strncmp(text, "http://", 7) != 0))
		return fail(error, "\"%.60s\" is not of the form http://host:port", text);
	const char *at = text + (has_tls ? 8 : 7);
	const size_t size = strcspn(at, "/");
	memcpy(url->authority, at, size);
	url->authority[size] = '\0';
	strcpy(url->path, at + size);

	const char *host = url->authority;
	const bool has_brackets = host[0] == '[';
	const size_t host_size = has_brackets ? strcspn(host + 1, "]") : strcspn(host, ":");
	const char *rest = host + host_size + (has_brackets ? 2 : 0);
	if (host_size == 0 || (has_brackets && host[host_size + 1] != ']'))
		return fail(error, "\"%.60s\" has no host", text);
	memcpy(url->host, host + has_brackets, host_size);
	url->host[host_size] = '\0';
	url->has_tls = has_tls;
	unsigned port = has_tls ? 443 : 80;
	char more;
	if (*rest != '\0' && (sscanf(rest, ":%5u%c", &port, &more) != 1 || port == 0 || port > 65535))
		return fail(error, "\"%.60s\" has no port from 1 to 65535 behind its host", text);
	url->port = (uint16_t)port;
	return true;
}

uint32_t load_options_clients(const struct load_options *options)
{
	return options->rooms * (options->publishers + options->receivers);
}

bool load_options_is_mixed(const struct load_options *o)
{
	return o->audio == LOAD_AUDIO_MIXED || (o->audio == LOAD_AUDIO_AUTO && o->slots == 1);
}

const char *load_options_audio_name(const struct load_options *o)
{
	static const char *const names[] = { "forward", "mixed", "auto" };
	return names[o->audio];
}

const char *load_options_sound_name(const struct load_options *o)
{
	static const char *const names[] = { "auto", "stamp", "voice", "pulse" };
	return names[o->sound];
}

/* What has to be Opus is encoded in frames of 20 ms. */
static bool check_sound(struct load_options *o, char error[static LOAD_ERROR_SIZE])
{
	if (o->sound == LOAD_SOUND_AUTO)
		o->sound = load_options_is_mixed(o) ? LOAD_SOUND_VOICE : LOAD_SOUND_STAMP;
	if (o->sound == LOAD_SOUND_STAMP)
		return true;
	if (o->rate_hz != LOAD_SPEECH_RATE_HZ)
		return fail(error, "rate: a voice or a pulse has %d packets/s", LOAD_SPEECH_RATE_HZ);
	if (o->payload_bytes < LOAD_SPEECH_BYTES_MIN)
		return fail(error, "payload: a voice or a pulse has at least %d bytes", LOAD_SPEECH_BYTES_MIN);
	return true;
}

static bool check(struct load_options *o, char error[static LOAD_ERROR_SIZE])
{
	const uint64_t clients = (uint64_t)o->rooms * ((uint64_t)o->publishers + o->receivers);
	if (clients == 0 || clients > CLIENTS_MAX)
		return fail(error, "rooms x (publishers + receivers) are %llu clients; 1 to %d can be",
			(unsigned long long)clients, CLIENTS_MAX);
	if (o->do_publishers_listen && o->api == LOAD_API_WHIP)
		return fail(
			error, "publishers_listen: WHIP publishers cannot receive; use receivers, or the api plenum");
	const uint32_t ports = o->port_first > 0 ? (uint32_t)(o->port_last - o->port_first + 1) : 0;
	if (ports > 0 && ports < (uint64_t)o->rooms * o->receivers)
		return fail(error, "port_range: %u ports are too few for %u receivers", ports, o->rooms * o->receivers);
	if (!check_sound(o, error))
		return false;
	char why[LOAD_ERROR_SIZE];
	if (!load_url_parse(&o->url, o->url_text, why))
		return fail(error, "url: %.300s", why);
	for (size_t end = strlen(o->url.path); end > 0 && o->url.path[end - 1] == '/'; end--)
		o->url.path[end - 1] = '\0';
	return true;
}

bool load_options_parse(struct load_options *options, int argc, char **argv, enum load_action *action,
	char error[static LOAD_ERROR_SIZE])
{
	*action = LOAD_RUN;
	load_options_defaults(options);
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			*action = LOAD_HELP;
			return true;
		}
	}
	return read_words(options, argc, argv, true, error) && read_words(options, argc, argv, false, error) &&
	       check(options, error);
}

void load_options_print_help(FILE *file)
{
	fputs("usage: plenum-load [--scenario FILE.yaml] [--KEY VALUE]...\n"
	      "\n"
	      "Fills rooms of a WebRTC server with audio and tells what arrives, how late, and what it costs the "
	      "server.\n"
	      "It speaks WHIP and WHEP to any server, and Plenum's own API.  A scenario file has the same keys, one "
	      "per\n"
	      "line (\"rooms: 20\"); the command line wins.  Flags are turned off by --gro=false.\n"
	      "Exit code: 0; 1 when joins failed, clients were lost, or more packets than --max-loss; 2 for wrong "
	      "options.\n"
	      "\n",
		file);
	for (const struct key *key = keys; key < keys + PL_COUNT(keys); key++) {
		char option[48];
		snprintf(option, sizeof option, "--%s%s%s", key->name, key->kind == FLAG ? "" : " ",
			key->kind == FLAG ? "" : key->unit);
		for (char *c = option; *c != '\0' && *c != ' '; c++)
			*c = *c == '_' ? '-' : *c;
		fprintf(file, "  %-32s %s", option, key->help);
		if (key->default_text[0] != '\0')
			fprintf(file, " [%s]", key->default_text);
		fputc('\n', file);
	}
}
