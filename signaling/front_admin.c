#include "signaling/front_admin.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "signaling/front_state.h"

#define ADMIN_PATH "/v1/admin"
#define MEDIA_PATH ADMIN_PATH "/media"
#define DRAIN_PATH ADMIN_PATH "/drain"
#define JSON_TYPE  "application/json"

enum { BODY_MAX = 1024, HEAD_SIZE = 128 };

/* ---- answers ---- */

static struct pl_front_text *text_of(const char *text)
{
	struct pl_front_writer w;
	pl_front_write_begin_part(&w);
	pl_front_write_bytes(&w, text, strlen(text));
	return pl_front_write_end_part(&w);
}

/* What a client must be told in the head of an error (RFC 9110 sections 11.6.1 and 15.5.6). */
static const char *field_of(enum pl_fault fault)
{
	if (fault == PL_FAULT_UNAUTHORIZED)
		return "WWW-Authenticate: Bearer realm=\"plenum\"\r\n";
	if (fault == PL_FAULT_RATE)
		return "Retry-After: 1\r\n"; /* PL_ADMIN_WRONG_PER_S */
	return fault == PL_FAULT_BAD_METHOD ? "Allow: GET, HEAD, POST\r\n" : "";
}

PL_PRINTF(4, 5)
static bool fail(
	struct pl_front *front, struct pl_front_admin_answer *answer, enum pl_fault fault, const char *format, ...)
{
	char msg[256], head[HEAD_SIZE];
	va_list args;
	va_start(args, format);
	vsnprintf(msg, sizeof msg, format, args);
	va_end(args);
	for (char *at = msg; *at != '\0'; at++) {
		if ((uint8_t)*at < 0x20 || (uint8_t)*at >= 0x7f)
			*at = '?';
	}
	front->counters.faults[fault]++;
	snprintf(head, sizeof head, "Content-Type: " JSON_TYPE "\r\n%s", field_of(fault));
	struct pl_front_writer w;
	pl_front_write_begin_part(&w);
	pl_front_write_open(&w, NULL, '{');
	pl_front_write_string(&w, "code", pl_fault_name(fault));
	pl_front_write_string(&w, "msg", msg);
	if (fault == PL_FAULT_RATE)
		pl_front_write_int(&w, "retry_after_ms", 1000 / PL_ADMIN_WRONG_PER_S);
	pl_front_write_close(&w, '}');
	*answer = (struct pl_front_admin_answer){ pl_fault_status(fault), text_of(head), pl_front_write_end_part(&w) };
	return false;
}

/* ---- who asks ---- */

bool pl_front_admin_is_path(const char *path)
{
	const size_t size = strlen(ADMIN_PATH);
	return strncmp(path, ADMIN_PATH, size) == 0 && (path[size] == '/' || path[size] == '\0');
}

bool pl_front_admin_is_token(const char *token)
{
	const size_t size = strlen(token);
	if (size < PL_ADMIN_TOKEN_MIN || size > PL_ADMIN_TOKEN_MAX)
		return false;
	for (size_t i = 0; i < size; i++) {
		if (token[i] <= ' ' || token[i] > '~')
			return false;
	}
	return true;
}

/* In constant time: how long it takes tells nothing about how much of a guess was right, or how long the token is. */
static bool is_same(const char *token, const char *presented)
{
	char a[PL_ADMIN_TOKEN_MAX] = { 0 }, b[PL_ADMIN_TOKEN_MAX] = { 0 };
	const size_t presented_size = strlen(presented);
	unsigned differs = presented_size > sizeof b;
	memcpy(a, token, strlen(token)); /* at most PL_ADMIN_TOKEN_MAX */
	memcpy(b, presented, differs ? 0 : presented_size);
	for (size_t i = 0; i < sizeof a; i++)
		differs |= (unsigned)(a[i] ^ b[i]);
	explicit_bzero(a, sizeof a);
	return differs == 0;
}

static bool is_granted(const struct pl_front *front, const struct pl_front_http_request *http)
{
	const char *token = pl_front_http_bearer(http->authorization);
	return token != NULL && is_same(front->config.admin_token, token);
}

/* ---- what is wanted ---- */

static const struct pl_front_admin_wish no_wish = { .worker = PL_SFU_ALL_WORKERS };

static bool is_json(const char *field)
{
	if (field == NULL)
		return false;
	field += strspn(field, " \t");
	const size_t size = strcspn(field, "; \t");
	return size == strlen(JSON_TYPE) && strncasecmp(field, JSON_TYPE, size) == 0;
}

/* The words of this machine: "auto", "avx2" and so on. */
static void list_levels(char *text, size_t size)
{
	size_t used = 0;
	for (int level = 0; level < PL_SIMD_COUNT; level++) {
		if (pl_simd_lack((enum pl_simd)level) != NULL || used >= size)
			continue;
		const int length = snprintf(
			text + used, size - used, "%s\"%s\"", used > 0 ? ", " : "", pl_simd_text((enum pl_simd)level));
		used += (size_t)length;
	}
}

static bool read_simd(struct pl_front *front, const json_t *value, struct pl_front_admin_wish *wish,
	struct pl_front_admin_answer *answer)
{
	char list[96];
	list_levels(list, sizeof list);
	if (!json_is_string(value) || !pl_simd_parse(json_string_value(value), &wish->simd))
		return fail(front, answer, PL_FAULT_BAD_FIELD, "simd: it must be one of %s", list);
	if (pl_simd_lack(wish->simd) != NULL)
		return fail(front, answer, PL_FAULT_UNSUPPORTED, "simd: %s cannot be used: %s; this machine has %s",
			pl_simd_text(wish->simd), pl_simd_lack(wish->simd), list);
	wish->has_simd = true;
	return true;
}

static bool read_load_step(struct pl_front *front, const json_t *value, struct pl_front_admin_wish *wish,
	struct pl_front_admin_answer *answer)
{
	const json_int_t step = json_integer_value(value);
	if (!json_is_integer(value) || step < 0 || step >= PL_MIXER_LOAD_STEPS)
		return fail(front, answer, PL_FAULT_BAD_FIELD,
			"load_step: it must be an integer from 0, the best, to %d, the cheapest",
			PL_MIXER_LOAD_STEPS - 1);
	if (front->config.worker_count == 0)
		return fail(front, answer, PL_FAULT_UNSUPPORTED, "load_step: this server does not mix");
	wish->has_load_step = true;
	wish->load_step = (uint8_t)step;
	return true;
}

static bool read_worker(struct pl_front *front, const json_t *value, struct pl_front_admin_wish *wish,
	struct pl_front_admin_answer *answer)
{
	const json_int_t worker = json_integer_value(value);
	if (front->config.worker_count == 0)
		return fail(front, answer, PL_FAULT_UNSUPPORTED, "worker: this server does not mix");
	if (!json_is_integer(value) || worker < 0 || worker >= front->config.worker_count)
		return fail(front, answer, PL_FAULT_BAD_FIELD,
			"worker: there is no such one; it must be an integer from 0 to %u",
			(unsigned)front->config.worker_count - 1);
	wish->worker = (size_t)worker;
	return true;
}

static const char AUTO[] = "auto";

static bool read_pressure_level(struct pl_front *front, const json_t *value, struct pl_front_admin_wish *wish,
	struct pl_front_admin_answer *answer)
{
	const char *name = json_is_string(value) ? json_string_value(value) : "";
	wish->pressure_level = PL_PRESSURE_LEVELS;
	if (strcmp(name, AUTO) != 0 && !pl_pressure_level_parse(name, &wish->pressure_level))
		return fail(front, answer, PL_FAULT_BAD_FIELD,
			"pressure_level: it must be one of \"auto\", \"nominal\", \"elevated\", \"high\", "
			"\"critical\", \"emergency\"");
	wish->has_pressure_level = true;
	return true;
}

static bool read_wish(struct pl_front *front, const char *key, const json_t *value, struct pl_front_admin_wish *wish,
	struct pl_front_admin_answer *answer)
{
	if (strcmp(key, "simd") == 0)
		return read_simd(front, value, wish, answer);
	if (strcmp(key, "load_step") == 0)
		return read_load_step(front, value, wish, answer);
	if (strcmp(key, "worker") == 0)
		return read_worker(front, value, wish, answer);
	if (strcmp(key, "pressure_level") == 0)
		return read_pressure_level(front, value, wish, answer);
	return fail(front, answer, PL_FAULT_BAD_FIELD,
		"%.32s: there is no such key; simd, load_step, worker and pressure_level are", key);
}

static bool read_drain(
	struct pl_front *front, json_t *object, struct pl_front_admin_wish *wish, struct pl_front_admin_answer *answer)
{
	const char *key;
	json_t *value;
	wish->drain_s = PL_ADMIN_DRAIN_DEFAULT;
	json_object_foreach(object, key, value)
	{
		const json_int_t seconds = json_integer_value(value);
		if (strcmp(key, "deadline_s") != 0)
			return fail(
				front, answer, PL_FAULT_BAD_FIELD, "%.32s: there is no such key; deadline_s is", key);
		if (!json_is_integer(value) || seconds < 0 || seconds > PL_ADMIN_DRAIN_S_MAX)
			return fail(front, answer, PL_FAULT_BAD_FIELD, "deadline_s: it must be an integer from 0 to %d",
				PL_ADMIN_DRAIN_S_MAX);
		wish->drain_s = (uint32_t)seconds;
	}
	wish->has_drain = true;
	return true;
}

/* All or nothing: a key that is not known, a misspelt one perhaps, changes nothing. */
static bool read_wishes(
	struct pl_front *front, json_t *object, struct pl_front_admin_wish *wish, struct pl_front_admin_answer *answer)
{
	const char *key;
	json_t *value;
	if (!json_is_object(object))
		return fail(front, answer, PL_FAULT_BAD_JSON, "an object is needed, such as {\"simd\": \"plain\"}");
	if (wish->is_about_drain)
		return read_drain(front, object, wish, answer);
	json_object_foreach(object, key, value)
	{
		if (!read_wish(front, key, value, wish, answer))
			return false;
	}
	if (wish->worker != PL_SFU_ALL_WORKERS && !wish->has_load_step)
		return fail(front, answer, PL_FAULT_BAD_FIELD, "load_step: missing; worker says whose it is");
	if (!wish->has_simd && !wish->has_load_step && !wish->has_pressure_level)
		return fail(front, answer, PL_FAULT_BAD_FIELD,
			"simd, load_step or pressure_level: missing; there is nothing to change");
	return true;
}

static bool read_body(struct pl_front *front, const struct pl_front_http_request *http,
	struct pl_front_admin_wish *wish, struct pl_front_admin_answer *answer)
{
	if (!is_json(http->content_type))
		return fail(front, answer, PL_FAULT_BAD_TYPE, "Content-Type: " JSON_TYPE " is needed");
	if (http->content_length < 0)
		return fail(front, answer, PL_FAULT_NO_LENGTH, "Content-Length is needed; a chunked body is not taken");
	if (http->content_length > BODY_MAX)
		return fail(front, answer, PL_FAULT_TOO_LARGE, "a body has at most %d bytes", BODY_MAX);
	json_error_t error;
	json_t *object = json_loadb(http->body.size > 0 ? (const char *)http->body.data : "", http->body.size,
		JSON_REJECT_DUPLICATES, &error);
	if (object == NULL)
		return fail(front, answer, PL_FAULT_BAD_JSON, "line %d column %d: %s", error.line, error.column,
			error.text);
	const bool is_read = read_wishes(front, object, wish, answer);
	json_decref(object);
	if (!is_read)
		*wish = no_wish;
	return is_read;
}

/* Always false: the client has its error.  Only who is wrong is counted and slowed down. */
static bool refuse(struct pl_front *front, int64_t now_us, struct pl_front_admin_answer *answer)
{
	if (!pl_front_may(&front->admin_wrong_us, now_us, PL_ADMIN_WRONG_PER_S, PL_ADMIN_WRONG_BURST))
		return fail(front, answer, PL_FAULT_RATE, "too many wrong tokens; the right one is always taken");
	return fail(front, answer, PL_FAULT_UNAUTHORIZED, "Authorization: Bearer and admin.token is needed");
}

bool pl_front_admin_read(struct pl_front *front, int64_t now_us, const struct pl_front_http_request *http,
	struct pl_front_admin_wish *wish, struct pl_front_admin_answer *answer)
{
	PL_ASSERT(pl_front_admin_is_path(http->path));
	*wish = no_wish;
	if (front->config.admin_token == NULL || front->config.admin_token[0] == '\0')
		return fail(front, answer, PL_FAULT_NO_ADMIN, "the admin API is off; set admin.token to turn it on");
	if (!is_granted(front, http))
		return refuse(front, now_us, answer);
	wish->is_about_drain = strcmp(http->path, DRAIN_PATH) == 0;
	if (!wish->is_about_drain && strcmp(http->path, MEDIA_PATH) != 0)
		return fail(front, answer, PL_FAULT_NO_PATH, "there are " MEDIA_PATH " and " DRAIN_PATH);
	if (http->method == PL_FRONT_HTTP_GET)
		return true;
	if (http->method == PL_FRONT_HTTP_POST)
		return read_body(front, http, wish, answer);
	return fail(front, answer, PL_FAULT_BAD_METHOD, "GET tells, POST changes");
}

/* ---- what is told ---- */

void pl_front_admin_show_drain(
	const struct pl_front *front, bool is_draining, int64_t deadline_ms, struct pl_front_admin_answer *answer)
{
	struct pl_front_writer w;
	pl_front_write_begin_part(&w);
	pl_front_write_open(&w, NULL, '{');
	pl_front_write_bool(&w, "draining", is_draining);
	if (is_draining)
		pl_front_write_int(&w, "deadline_ms", deadline_ms);
	pl_front_write_int(&w, "sessions", front->counters.sessions);
	pl_front_write_close(&w, '}');
	*answer = (struct pl_front_admin_answer){ 200, text_of("Content-Type: " JSON_TYPE "\r\n"),
		pl_front_write_end_part(&w) };
}

static void write_worker(struct pl_front_writer *w, size_t index, const struct pl_front_admin_worker *worker)
{
	pl_front_write_open(w, NULL, '{');
	pl_front_write_int(w, "worker", (int64_t)index);
	pl_front_write_int(w, "rooms", worker->rooms);
	pl_front_write_int(w, "voices", worker->voices);
	pl_front_write_int(w, "encoders", worker->encoders);
	pl_front_write_int(w, "load_permille", worker->load);
	pl_front_write_int(w, "load_step", worker->load_step);
	pl_front_write_int(w, "steps", (int64_t)worker->steps);
	pl_front_write_int(w, "steps_late", (int64_t)worker->late);
	pl_front_write_close(w, '}');
}

void pl_front_admin_show(const struct pl_front_admin_media *media, struct pl_front_admin_answer *answer)
{
	struct pl_front_writer w;
	pl_front_write_begin_part(&w);
	pl_front_write_open(&w, NULL, '{');
	pl_front_write_string(&w, "simd", pl_simd_text(media->simd));
	pl_front_write_open(&w, "simd_available", '[');
	for (int level = PL_SIMD_AUTO + 1; level < PL_SIMD_COUNT; level++) {
		if (pl_simd_lack((enum pl_simd)level) == NULL)
			pl_front_write_string(&w, NULL, pl_simd_text((enum pl_simd)level));
	}
	pl_front_write_close(&w, ']');
	pl_front_write_string(&w, "opus", media->opus);
	pl_front_write_string(&w, "pressure_level",
		media->pressure_level < PL_PRESSURE_LEVELS ? pl_pressure_level_name(media->pressure_level) : AUTO);
	pl_front_write_open(&w, "workers", '[');
	for (size_t i = 0; i < media->worker_count; i++)
		write_worker(&w, i, &media->worker[i]);
	pl_front_write_close(&w, ']');
	pl_front_write_close(&w, '}');
	*answer = (struct pl_front_admin_answer){ 200, text_of("Content-Type: " JSON_TYPE "\r\n"),
		pl_front_write_end_part(&w) };
}
