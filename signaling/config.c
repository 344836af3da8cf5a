#include "signaling/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "media/dsp.h"
#include "signaling/front_admin.h"

static const struct pl_config_key KEYS[] = {
#define X(section, name, kind, default_text, min, max, unit, what, why)               \
	{ #section, #name, PL_CONFIG_##kind, default_text, min, max, unit, what, why, \
		offsetof(struct pl_config, section##_##name) },
	PL_CONFIG_LIST(X)
#undef X
};

/* Every longest name, joined, stays below this. */
enum { NAME_SIZE = 64, EDIT_LENGTH_MAX = 48, SHOWN_MAX = 80 };

size_t pl_config_keys(const struct pl_config_key **keys)
{
	*keys = KEYS;
	return PL_COUNT(KEYS);
}

static void *field_of(struct pl_config *config, const struct pl_config_key *key)
{
	return (char *)config + key->offset;
}

bool pl_config_parse_listen(const char *text, struct pl_addr *addr)
{
	const char *colon = strrchr(text, ':');
	if (colon == NULL || strspn(colon + 1, "0123456789") != strlen(colon + 1))
		return false;
	const size_t digits = strlen(colon + 1);
	const unsigned long port = strtoul(colon + 1, NULL, 10);
	if (digits < 1 || digits > 5 || port > 65535)
		return false;

	char host[PL_ADDR_TEXT_SIZE];
	const size_t host_size = (size_t)(colon - text);
	if (host_size >= sizeof(host))
		return false;
	memcpy(host, text, host_size);
	host[host_size] = '\0';

	struct pl_addr parsed = { .port = 0 };
	if (host_size > 2 && host[0] == '[' && host[host_size - 1] == ']') {
		host[host_size - 1] = '\0';
		if (!pl_addr_parse_ip(host + 1, &parsed))
			return false;
	} else if (strcmp(host, "localhost") == 0) {
		parsed = pl_addr_ipv4(0x7f000001, 0);
	} else if (host_size > 0 && (strchr(host, ':') != NULL || !pl_addr_parse_ip(host, &parsed))) {
		return false;
	}
	parsed.port = (uint16_t)port;
	*addr = parsed;
	return true;
}

/* Takes the next of a list off *text.  False: there is none, or is_good says that the list is none. */
static bool next_item(const char **text, char item[static PL_ADDR_TEXT_SIZE], bool *is_good)
{
	const char *at = *text + strspn(*text, " ");
	*is_good = true;
	if (*at == '\0' && at == *text)
		return false;
	const size_t size = strcspn(at, ", ");
	*is_good = size < PL_ADDR_TEXT_SIZE;
	if (!*is_good)
		return false;
	memcpy(item, at, size);
	item[size] = '\0';
	at += size;
	at += strspn(at, " ");
	if (*at == ',' && *++at == '\0')
		*is_good = false;
	*text = at;
	return *is_good;
}

bool pl_config_parse_addresses(const char *text, struct pl_addr addr[static PL_CONFIG_ADDRESSES_MAX], size_t *count)
{
	char item[PL_ADDR_TEXT_SIZE];
	bool is_good;
	for (*count = 0; next_item(&text, item, &is_good); ++*count) {
		if (*count == PL_CONFIG_ADDRESSES_MAX || !pl_addr_parse_ip(item, &addr[*count]))
			return false;
	}
	return is_good;
}

bool pl_config_parse_networks(
	const char *text, struct pl_addr_range network[static PL_CONFIG_NETWORKS_MAX], size_t *count)
{
	char item[PL_ADDR_TEXT_SIZE];
	bool is_good;
	for (*count = 0; next_item(&text, item, &is_good); ++*count) {
		if (*count == PL_CONFIG_NETWORKS_MAX || !pl_addr_range_parse(item, &network[*count]))
			return false;
	}
	return is_good;
}

static bool is_choice(const char *choices, const char *value)
{
	const size_t size = strlen(value);
	for (const char *word = choices; size > 0; word++) {
		const size_t word_size = strcspn(word, "|");
		if (word_size == size && memcmp(word, value, size) == 0)
			return true;
		word += word_size;
		if (*word == '\0')
			break;
	}
	return false;
}

static bool parse_number(const struct pl_config_key *key, const char *value, uint32_t *number)
{
	const size_t digits = strlen(value);
	if (digits < 1 || digits > 10 || strspn(value, "0123456789") != digits)
		return false;
	const unsigned long long parsed = strtoull(value, NULL, 10);
	if (parsed < key->min || parsed > key->max)
		return false;
	*number = (uint32_t)parsed;
	return true;
}

/* What a value of this key has to be, as the end of "... is not ". */
static void describe_accepted(const struct pl_config_key *key, char *text, size_t size)
{
	switch (key->kind) {
	case PL_CONFIG_TEXT:
	case PL_CONFIG_SECRET:
		snprintf(text, size, "a text of at most %u bytes without control characters", key->max);
		break;
	case PL_CONFIG_LISTEN:
		snprintf(text, size, "an address and a port, such as 127.0.0.1:8080, [::1]:8080 or :8080");
		break;
	case PL_CONFIG_ADDRESSES:
		snprintf(text, size, "a list of at most %d IP addresses, such as 192.0.2.1, 2001:db8::1",
			PL_CONFIG_ADDRESSES_MAX);
		break;
	case PL_CONFIG_NETWORKS:
		snprintf(text, size, "a list of at most %d IP addresses or networks, such as 10.0.0.0/8, 2001:db8::1",
			PL_CONFIG_NETWORKS_MAX);
		break;
	case PL_CONFIG_CHOICE:
		snprintf(text, size, "one of %s", key->unit);
		break;
	case PL_CONFIG_NUMBER:
		snprintf(text, size, "a number from %u to %u", key->min, key->max);
		break;
	}
}

/* Copies what somebody wrote into an error line: cut, and without bytes that would play with a terminal. */
static void show(const char *value, char shown[static SHOWN_MAX + 4])
{
	size_t size = 0;
	for (; value[size] != '\0' && size < SHOWN_MAX; size++)
		shown[size] = value[size];
	for (size_t i = 0; i < size; i++) {
		if ((unsigned char)shown[i] < 0x20 || shown[i] == 0x7f)
			shown[i] = '?';
	}
	memcpy(shown + size, value[size] == '\0' ? "" : "...", value[size] == '\0' ? 1 : 4);
}

/* As much of it as can be the name of a key: what follows may be a secret. */
static void show_name(const char *assignment, char shown[static SHOWN_MAX + 4])
{
	char name[SHOWN_MAX + 1];
	const size_t size = strspn(assignment, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
	snprintf(name, sizeof name, "%.*s", (int)(size < SHOWN_MAX ? size : SHOWN_MAX), assignment);
	show(name, shown);
	if (assignment[size] != '\0')
		strcat(shown, size == 0 || assignment[size] != '=' ? "..." : "=...");
}

static bool is_text(const struct pl_config_key *key, const char *value)
{
	const size_t size = strlen(value);
	for (size_t i = 0; i < size; i++) {
		if ((unsigned char)value[i] < 0x20 || value[i] == 0x7f)
			return false;
	}
	return size >= key->min && size <= key->max;
}

static bool is_accepted(const struct pl_config_key *key, const char *value)
{
	struct pl_addr addr[PL_CONFIG_ADDRESSES_MAX];
	struct pl_addr_range network[PL_CONFIG_NETWORKS_MAX];
	size_t count;
	switch (key->kind) {
	case PL_CONFIG_TEXT:
	case PL_CONFIG_SECRET:
		return is_text(key, value);
	case PL_CONFIG_LISTEN:
		return is_text(key, value) && pl_config_parse_listen(value, addr);
	case PL_CONFIG_ADDRESSES:
		return is_text(key, value) && pl_config_parse_addresses(value, addr, &count);
	case PL_CONFIG_NETWORKS:
		return is_text(key, value) && pl_config_parse_networks(value, network, &count);
	case PL_CONFIG_CHOICE:
		return is_choice(key->unit, value);
	case PL_CONFIG_NUMBER:
		return parse_number(key, value, &(uint32_t){ 0 });
	}
	return false;
}

bool pl_config_assign(struct pl_config *config, const struct pl_config_key *key, const char *value,
	char error[static PL_CONFIG_ERROR_SIZE])
{
	if (!is_accepted(key, value)) {
		char accepted[128], shown[SHOWN_MAX + 4];
		describe_accepted(key, accepted, sizeof(accepted));
		show(value, shown);
		if (key->kind == PL_CONFIG_SECRET)
			snprintf(error, PL_CONFIG_ERROR_SIZE, "what it is set to (it is secret) is not %s", accepted);
		else
			snprintf(error, PL_CONFIG_ERROR_SIZE, "\"%s\" is not %s", shown, accepted);
		return false;
	}
	if (key->kind == PL_CONFIG_NUMBER)
		return parse_number(key, value, field_of(config, key));
	snprintf(field_of(config, key), PL_CONFIG_TEXT_SIZE, "%s", value);
	return true;
}

void pl_config_defaults(struct pl_config *config)
{
	memset(config, 0, sizeof(*config));
	for (size_t i = 0; i < PL_COUNT(KEYS); i++) {
		char error[PL_CONFIG_ERROR_SIZE];
		PL_ASSERT(pl_config_assign(config, &KEYS[i], KEYS[i].default_text, error));
	}
}

void pl_config_set_origin(struct pl_config *config, const struct pl_config_key *key, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(config->origin[key - KEYS], PL_CONFIG_ORIGIN_SIZE, format, args);
	va_end(args);
}

const char *pl_config_origin(const struct pl_config *config, const char *section, const char *name)
{
	char error[PL_CONFIG_ERROR_SIZE];
	const struct pl_config_key *key = pl_config_find(section, name, error);
	PL_ASSERT(key != NULL);
	return config->origin[key - KEYS];
}

static size_t smallest(size_t a, size_t b, size_t c)
{
	const size_t ab = a < b ? a : b;
	return ab < c ? ab : c;
}

/* Letters left out, put in, mistaken or swapped with their neighbour (optimal string alignment), row by row. */
static size_t edit_distance(const char *a, const char *b)
{
	const size_t a_size = strlen(a), b_size = strlen(b);
	size_t rows[3][EDIT_LENGTH_MAX + 1];
	if (a_size > EDIT_LENGTH_MAX || b_size > EDIT_LENGTH_MAX)
		return EDIT_LENGTH_MAX;
	for (size_t j = 0; j <= b_size; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a_size; i++) {
		const size_t *before = rows[(i + 1) % 3], *above = rows[(i - 1) % 3];
		size_t *row = rows[i % 3];
		row[0] = i;
		for (size_t j = 1; j <= b_size; j++) {
			row[j] = smallest(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = smallest(row[j], before[j - 2] + 1, EDIT_LENGTH_MAX);
		}
	}
	return rows[a_size % 3][b_size];
}

static void full_name(const struct pl_config_key *key, bool with_name, char name[static NAME_SIZE])
{
	snprintf(name, NAME_SIZE, "%s%s%s", key->section, with_name ? "." : "", with_name ? key->name : "");
}

/* Fills error with the nearest name, or with all that would have been right. */
static void propose(const char *wrong, const char *section, bool wants_name, char error[static PL_CONFIG_ERROR_SIZE])
{
	const struct pl_config_key *nearest = NULL;
	size_t nearest_distance = strlen(wrong) / 3 + 1;
	char name[NAME_SIZE];
	for (size_t i = 0; i < PL_COUNT(KEYS); i++) {
		full_name(&KEYS[i], wants_name, name);
		const size_t distance = edit_distance(wrong, name);
		if (distance < nearest_distance) {
			nearest = &KEYS[i];
			nearest_distance = distance;
		}
	}
	const char *what = wants_name ? "key" : "section";
	if (nearest != NULL) {
		full_name(nearest, wants_name, name);
		snprintf(error, PL_CONFIG_ERROR_SIZE, "unknown %s; did you mean %s?", what, name);
		return;
	}
	int used = snprintf(error, PL_CONFIG_ERROR_SIZE, "unknown %s; there are", what);
	const char *listed = "";
	for (size_t i = 0; i < PL_COUNT(KEYS) && used > 0 && used < PL_CONFIG_ERROR_SIZE; i++) {
		const bool is_listed = wants_name && section != NULL ? strcmp(KEYS[i].section, section) == 0
								     : strcmp(KEYS[i].section, listed) != 0;
		if (!is_listed)
			continue;
		full_name(&KEYS[i], wants_name && section != NULL, name);
		used += snprintf(error + used, (size_t)(PL_CONFIG_ERROR_SIZE - used), "%s %s%s", *listed ? "," : "",
			name, wants_name && section == NULL ? ".*" : "");
		listed = KEYS[i].section;
	}
}

const struct pl_config_key *pl_config_find(
	const char *section, const char *name, char error[static PL_CONFIG_ERROR_SIZE])
{
	bool has_section = false;
	for (size_t i = 0; i < PL_COUNT(KEYS); i++) {
		if (strcmp(KEYS[i].section, section) != 0)
			continue;
		has_section = true;
		if (name == NULL || strcmp(KEYS[i].name, name) == 0)
			return &KEYS[i];
	}
	char wrong[2 * NAME_SIZE];
	snprintf(wrong, sizeof(wrong), "%s%s%s", section, name == NULL ? "" : ".", name == NULL ? "" : name);
	propose(wrong, has_section ? section : NULL, name != NULL, error);
	return NULL;
}

enum pl_err pl_config_set(struct pl_config *config, const char *assignment, char error[static PL_CONFIG_ERROR_SIZE])
{
	char shown[SHOWN_MAX + 4], why[PL_CONFIG_ERROR_SIZE];
	const char *equals = strchr(assignment, '=');
	if (equals == NULL || equals == assignment) {
		show_name(assignment, shown);
		snprintf(error, PL_CONFIG_ERROR_SIZE, "--set %s: is not key=value, such as media.port=9000", shown);
		return PL_ERR_CONFIG;
	}

	char name[NAME_SIZE];
	snprintf(name, sizeof(name), "%.*s", (int)(equals - assignment), assignment);
	char *dot = strchr(name, '.');
	if (dot != NULL)
		*dot = '\0';
	const struct pl_config_key *key = pl_config_find(name, dot == NULL ? "" : dot + 1, why);
	if (key == NULL || !pl_config_assign(config, key, equals + 1, why)) {
		/* Of a secret, or of what may be one under a misspelt name, the name alone is shown. */
		if (key == NULL || key->kind == PL_CONFIG_SECRET)
			show_name(assignment, shown);
		else
			show(assignment, shown);
		snprintf(error, PL_CONFIG_ERROR_SIZE, "--set %s: %.500s", shown, why);
		return PL_ERR_CONFIG;
	}
	pl_config_set_origin(config, key, "--set: ");
	return PL_ERR_NONE;
}

static bool is_readable(
	const struct pl_config *config, const char *name, const char *path, char error[static PL_CONFIG_ERROR_SIZE])
{
	if (*path == '\0' || access(path, R_OK) == 0)
		return true;
	const int reason = errno;
	char shown[SHOWN_MAX + 4];
	show(path, shown);
	snprintf(error, PL_CONFIG_ERROR_SIZE, "%shttp.%s: \"%s\" cannot be read: %s",
		pl_config_origin(config, "http", name), name, shown, strerror(reason));
	return false;
}

/* "https://other.example.org:8443", as a client can put "/v1/ws" behind it. */
static bool is_server_url(const char *url)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]";
	const size_t scheme = strncmp(url, "https://", 8) == 0 ? 8 : strncmp(url, "http://", 7) == 0 ? 7 : 0;
	return scheme > 0 && url[scheme] != '\0' && strspn(url + scheme, letters) == strlen(url + scheme);
}

enum pl_err pl_config_check(const struct pl_config *config, char error[static PL_CONFIG_ERROR_SIZE])
{
	const bool has_cert = config->http_tls_cert[0] != '\0', has_key = config->http_tls_key[0] != '\0';
	if (has_cert != has_key) {
		const char *set = has_cert ? "tls_cert" : "tls_key", *other = has_cert ? "tls_key" : "tls_cert";
		snprintf(error, PL_CONFIG_ERROR_SIZE,
			"%shttp.%s is set, but http.%s is not: HTTPS needs both, HTTP none",
			pl_config_origin(config, "http", set), set, other);
		return PL_ERR_CONFIG;
	}
	enum pl_simd simd;
	PL_ASSERT(pl_simd_parse(config->media_simd, &simd));
	if (pl_simd_lack(simd) != NULL) {
		snprintf(error, PL_CONFIG_ERROR_SIZE, "%smedia.simd: %s cannot be used: %s",
			pl_config_origin(config, "media", "simd"), pl_simd_text(simd), pl_simd_lack(simd));
		return PL_ERR_CONFIG;
	}
	if (config->admin_token[0] != '\0' && !pl_front_admin_is_token(config->admin_token)) {
		snprintf(error, PL_CONFIG_ERROR_SIZE,
			"%sadmin.token: it must have %d to %d characters of ASCII without spaces, or be empty",
			pl_config_origin(config, "admin", "token"), PL_ADMIN_TOKEN_MIN, PL_ADMIN_TOKEN_MAX);
		return PL_ERR_CONFIG;
	}
	if (config->drain_move_to[0] != '\0' && !is_server_url(config->drain_move_to)) {
		char shown[SHOWN_MAX + 4];
		show(config->drain_move_to, shown);
		snprintf(error, PL_CONFIG_ERROR_SIZE,
			"%sdrain.move_to: \"%s\" is not the address of a server, such as https://other.example.org",
			pl_config_origin(config, "drain", "move_to"), shown);
		return PL_ERR_CONFIG;
	}
	if (!is_readable(config, "tls_cert", config->http_tls_cert, error) ||
		!is_readable(config, "tls_key", config->http_tls_key, error) ||
		!is_readable(config, "root", config->http_root, error))
		return PL_ERR_CONFIG;
	return PL_ERR_NONE;
}
