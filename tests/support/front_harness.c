#include "tests/support/front_harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- small things ---- */

static void fill_random(void *context, void *data, size_t size)
{
	uint64_t *seed = context;
	for (uint8_t *at = data; size > 0; size--) {
		*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		*at++ = (uint8_t)(*seed >> 56);
	}
}

static const char *text_of(const json_t *frame, const char *key)
{
	const char *text = json_string_value(json_object_get(frame, key));
	return text != NULL ? text : "";
}

static bool is_one_of(const char *text, const char *const *list)
{
	while (*list != NULL && strcmp(*list, text) != 0)
		list++;
	return *list != NULL;
}

static struct pl_harness_connection *connection_of(struct pl_harness *h, uint64_t number)
{
	assert_true(number > 0 && number <= h->connection_last);
	return &h->connection[number];
}

/* ---- what the front gives out ---- */

/* The client's view of numbering: a welcome says where it begins, each event is one more. */
static void check_numbering(struct pl_harness_connection *c, const json_t *frame)
{
	const json_t *n = json_object_get(frame, "n");
	const char *t = text_of(frame, "t");
	if (n == NULL)
		return;
	assert_true(json_is_integer(n));
	if (strcmp(t, "welcome") == 0) {
		const bool is_replayed = json_is_true(json_object_get(frame, "replayed"));
		c->n = is_replayed ? c->n_claimed : json_integer_value(n);
		return;
	}
	/* Who has not joined has no session whose numbers could go on: only a bye can come. */
	const int64_t last = c->n < 0 ? 0 : c->n;
	const bool is_bye = strcmp(t, "bye") == 0;
	assert_true(is_bye || c->n >= 0);
	assert_int_equal(json_integer_value(n), is_bye ? last : last + 1);
	c->n = json_integer_value(n);
}

static void hear(struct pl_harness *h, const struct pl_front_output *output)
{
	static const char *const answers[] = { "ok", "err", "welcome", "answer", "pong", "refused", NULL };
	struct pl_harness_connection *c = connection_of(h, output->connection);
	assert_true(c->is_open && c->close_code == 0);
	json_error_t error;
	json_t *frame = json_loadb(output->text, output->text_size, 0, &error);
	if (frame == NULL)
		fail_msg("not JSON: %s: %.*s", error.text, (int)output->text_size, output->text);
	c->answers += is_one_of(text_of(frame, "t"), answers);
	check_numbering(c, frame);
	json_array_append_new(c->heard, frame);
}

static size_t find_joined(const struct pl_harness *h, uint32_t source)
{
	size_t i = 0;
	while (i < h->joined_count && h->joined[i].source != source)
		i++;
	return i;
}

static void forget_joined(struct pl_harness *h, uint32_t source)
{
	const size_t i = find_joined(h, source);
	if (i < h->joined_count)
		h->joined[i] = h->joined[--h->joined_count];
}

static void take(struct pl_harness *h, const struct pl_command *command)
{
	const size_t found = find_joined(h, command->source);
	const bool is_known = found < h->joined_count;
	const bool has_description = command->kind == PL_COMMAND_JOIN || command->kind == PL_COMMAND_UPDATE;
	assert_true(command->shard < h->shard_count && h->ring_room[command->shard] > 0);
	if (--h->ring_room[command->shard] < h->commands_free)
		h->commands_free = h->ring_room[command->shard];
	for (size_t i = 0; i < h->joined_count; i++) {
		if (h->joined[i].room == command->room) /* one shard chooses for all of a room */
			assert_int_equal(command->home, h->joined[i].home);
	}
	assert_true(command->home < h->shard_count);
	if (is_known) /* media is where it was, whatever happens */
		assert_int_equal(command->shard, h->joined[found].shard);
	assert_true(command->room != 0 && command->source != 0);
	assert_true((command->description != NULL) == has_description);
	if (command->kind == PL_COMMAND_JOIN && !is_known) {
		assert_true(h->joined_count < PL_COUNT(h->joined));
		h->joined[h->joined_count].is_http = h->request != 0;
		h->joined[h->joined_count].room = command->room;
		h->joined[h->joined_count].shard = command->shard;
		h->joined[h->joined_count].home = command->home;
		h->joined[h->joined_count++].source = command->source;
	} else if (command->kind == PL_COMMAND_LEAVE) {
		forget_joined(h, command->source); /* unknown: it crossed the event of its end */
	} else {
		assert_true(is_known);
	}
	assert_true(h->command_count < PL_HARNESS_COMMANDS_MAX);
	h->command[h->command_count++] = *command;
}

static void hear_response(struct pl_harness *h, const struct pl_front_output *output)
{
	struct pl_harness_response *r = &h->response;
	assert_true(h->request != 0 && output->request == h->request);
	assert_true(output->head_size < sizeof r->head && output->text_size < sizeof r->body);
	assert_true(output->head_size > 2 && memcmp(output->head + output->head_size - 2, "\r\n", 2) == 0);
	r->count++;
	r->status = output->status;
	memcpy(r->head, output->head, output->head_size);
	r->head[output->head_size] = '\0';
	if (output->text_size > 0)
		memcpy(r->body, output->text, output->text_size);
	r->body[output->text_size] = '\0';
}

void pl_harness_drain(struct pl_harness *h)
{
	struct pl_front_output output;
	for (h->output_count = 0; pl_front_next(h->front, &output); h->output_count++) {
		switch (output.kind) {
		case PL_FRONT_SEND:
			hear(h, &output);
			break;
		case PL_FRONT_CLOSE:
			assert_true(connection_of(h, output.connection)->is_open);
			assert_int_equal(connection_of(h, output.connection)->close_code, 0);
			assert_in_range(output.close_code, 1000, 4999);
			connection_of(h, output.connection)->close_code = output.close_code;
			break;
		case PL_FRONT_RESPONSE:
			hear_response(h, &output);
			break;
		case PL_FRONT_COMMAND:
			take(h, &output.command);
			break;
		}
	}
}

/* As the server does before each input. */
void pl_harness_before_input(struct pl_harness *h)
{
	for (uint8_t shard = 0; shard < h->shard_count; shard++) {
		h->ring_room[shard] = h->is_busy[shard] ? 0 : h->commands_free;
		pl_front_set_commands_free(h->front, shard, h->ring_room[shard]);
	}
}

/* ---- start, stop ---- */

void pl_harness_start(struct pl_harness *h, struct pl_harness_limits limits)
{
	static const struct pl_fingerprint fingerprint = { .hash = PL_FINGERPRINT_SHA256, .size = 32 };
	*h = (struct pl_harness){ .now_us = 1000000, .seed = 1, .commands_free = SIZE_MAX };
	h->shard_count = limits.shards > 0 ? limits.shards : 1;
	struct pl_front_config config = {
		.participants_max = limits.participants > 0 ? limits.participants : PL_HARNESS_CONNECTIONS_MAX,
		.rooms_max = limits.rooms > 0 ? limits.rooms : PL_HARNESS_CONNECTIONS_MAX,
		.room_participants_max =
			limits.room_participants > 0 ? limits.room_participants : PL_HARNESS_CONNECTIONS_MAX,
		.connections_max = limits.connections > 0 ? limits.connections : PL_HARNESS_CONNECTIONS_MAX,
		.fingerprint = &fingerprint,
		.address = { pl_addr_ipv4(0x7f000001, 0) },
		.address_count = 1,
		.shard_count = h->shard_count,
		.room_spread = limits.room_spread,
		.mixes = limits.mix_groups != 0,
		.mix_groups = limits.mix_groups,
		.admin_token = limits.admin_token,
		.joins_per_address = limits.joins_per_address,
		.joins_per_token = limits.joins_per_token,
		.move_to = limits.move_to,
		.worker_count = limits.worker_count,
		.takes_g711 = limits.takes_g711,
		.random = fill_random,
		.random_context = &h->seed,
	};
	for (uint32_t shard = 0; shard < h->shard_count; shard++)
		config.port[shard] = (uint16_t)(PL_HARNESS_PORT + shard);
	assert_int_equal(pl_front_create(&h->front, &config), PL_ERR_NONE);
}

/* Who came over HTTP and has not left: no connection tells of its end, the media plane does. */
static void end_http(struct pl_harness *h)
{
	if (h->is_shut_down)
		return;
	while (h->joined_count > 0) {
		assert_true(h->joined[0].is_http);
		const struct pl_event gone = {
			.kind = PL_EVENT_GONE, .room = h->joined[0].room, .source = h->joined[0].source
		};
		pl_harness_event(h, &gone);
	}
}

void pl_harness_stop(struct pl_harness *h)
{
	h->commands_free = SIZE_MAX;
	for (uint64_t i = 1; i <= h->connection_last; i++) {
		if (h->connection[i].is_open)
			pl_harness_lose(h, i);
	}
	pl_harness_pass(h, PL_FRONT_RESUME_MS);
	const struct pl_front_counters *counters = pl_front_counters(h->front);
	end_http(h);
	assert_int_equal(counters->connections, 0);
	assert_int_equal(counters->sessions, 0);
	assert_int_equal(counters->rooms, 0);
	assert_true(pl_front_deadline(h->front) == INT64_MAX);
	if (!h->is_shut_down) /* the server's end is the media plane's, too: nobody leaves it one by one */
		assert_int_equal(h->joined_count, 0);
	pl_harness_abandon(h);
}

void pl_harness_abandon(struct pl_harness *h)
{
	pl_front_destroy(&h->front);
	for (uint64_t i = 1; i <= h->connection_last; i++)
		json_decref(h->connection[i].heard);
	for (size_t i = 0; i < h->command_count; i++)
		free(h->command[i].description);
}

void pl_harness_shutdown(struct pl_harness *h)
{
	h->is_shut_down = true;
	pl_harness_before_input(h);
	pl_front_shutdown(h->front, h->now_us);
	pl_harness_drain(h);
}

/* ---- the browsers' side ---- */

uint64_t pl_harness_open(struct pl_harness *h)
{
	assert_true(h->connection_last < PL_HARNESS_CONNECTIONS_MAX);
	const uint64_t number = h->connection_last + 1;
	pl_harness_before_input(h);
	if (!pl_front_open(h->front, h->now_us, number, &h->address))
		return 0;
	h->connection_last = number;
	h->connection[number] = (struct pl_harness_connection){ .heard = json_array(), .is_open = true, .n = -1 };
	pl_harness_drain(h);
	return number;
}

void pl_harness_lose(struct pl_harness *h, uint64_t number)
{
	pl_harness_before_input(h);
	pl_front_lost(h->front, h->now_us, number);
	connection_of(h, number)->is_open = false;
	pl_harness_drain(h);
}

void pl_harness_backlog(struct pl_harness *h, uint64_t number, size_t bytes)
{
	pl_harness_before_input(h);
	pl_front_backlog(h->front, h->now_us, number, bytes);
	pl_harness_drain(h);
}

void pl_harness_bad_frame(struct pl_harness *h, uint64_t number, enum pl_fault fault)
{
	pl_harness_before_input(h);
	pl_front_bad_frame(h->front, h->now_us, number, fault);
	pl_harness_drain(h);
}

void pl_harness_say_bytes(struct pl_harness *h, uint64_t number, const void *bytes, size_t size)
{
	struct pl_harness_connection *c = connection_of(h, number);
	const bool is_heard = c->close_code == 0;
	json_t *said = json_loadb(bytes, size, 0, NULL);
	const json_t *n = json_object_get(json_object_get(said, "resume"), "n");
	c->n_claimed = json_integer_value(n);
	json_decref(said);

	for (uint64_t i = 1; i <= h->connection_last; i++)
		h->connection[i].answers = 0;
	pl_harness_before_input(h);
	pl_front_message(h->front, h->now_us, number, (struct pl_bytes){ bytes, size });
	pl_harness_drain(h);
	for (uint64_t i = 1; i <= h->connection_last; i++) {
		/* Who is shown out for talking too much gets a bye instead. */
		const bool is_kicked = i == number && c->close_code == PL_FRONT_CLOSE_POLICY;
		assert_int_equal(h->connection[i].answers, i == number && is_heard && !is_kicked);
	}
}

PL_PRINTF(1, 0)
static char *format_json(const char *format, va_list args)
{
	char *text = malloc(PL_HARNESS_TEXT_SIZE);
	assert_non_null(text);
	const int size = vsnprintf(text, PL_HARNESS_TEXT_SIZE, format, args);
	assert_in_range(size, 0, PL_HARNESS_TEXT_SIZE - 1);
	for (char *at = text; *at != '\0'; at++) {
		if (*at == '\'')
			*at = '"';
	}
	return text;
}

void pl_harness_say(struct pl_harness *h, uint64_t number, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = format_json(format, args);
	va_end(args);
	pl_harness_say_bytes(h, number, text, strlen(text));
	free(text);
}

static bool matches(const json_t *pattern, const json_t *value)
{
	if (json_is_string(pattern) && strcmp(json_string_value(pattern), "*") == 0)
		return value != NULL && !json_is_null(value);
	if (json_is_array(pattern)) {
		bool is_same = json_is_array(value) && json_array_size(value) == json_array_size(pattern);
		for (size_t i = 0; is_same && i < json_array_size(pattern); i++)
			is_same = matches(json_array_get(pattern, i), json_array_get(value, i));
		return is_same;
	}
	if (!json_is_object(pattern))
		return json_equal(pattern, value) == 1;
	const char *key;
	json_t *member;
	json_object_foreach((json_t *)pattern, key, member)
	{
		if (!matches(member, json_object_get(value, key)))
			return false;
	}
	return true;
}

json_t *pl_harness_expect(struct pl_harness *h, uint64_t number, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = format_json(format, args);
	va_end(args);
	struct pl_harness_connection *c = connection_of(h, number);
	json_t *frame = json_array_get(c->heard, c->read);
	if (frame == NULL)
		fail_msg("connection %llu heard nothing, not %s", (unsigned long long)number, text);
	c->read++;
	json_t *pattern = json_loads(text, 0, NULL);
	assert_non_null(pattern);
	if (!matches(pattern, frame))
		fail_msg("connection %llu heard %s, not %s", (unsigned long long)number,
			json_dumps(frame, JSON_COMPACT), text);
	json_decref(pattern);
	free(text);
	return frame;
}

size_t pl_harness_unread(const struct pl_harness *h, uint64_t number)
{
	return json_array_size(h->connection[number].heard) - h->connection[number].read;
}

void pl_harness_expect_silence(struct pl_harness *h, uint64_t number)
{
	const struct pl_harness_connection *c = connection_of(h, number);
	if (pl_harness_unread(h, number) > 0)
		fail_msg("connection %llu heard %s", (unsigned long long)number,
			json_dumps(json_array_get(c->heard, c->read), JSON_COMPACT));
}

void pl_harness_expect_close(struct pl_harness *h, uint64_t number, uint16_t code)
{
	pl_harness_expect_silence(h, number);
	assert_int_equal(connection_of(h, number)->close_code, code);
}

void pl_harness_skip_all(struct pl_harness *h)
{
	for (uint64_t i = 1; i <= h->connection_last; i++)
		h->connection[i].read = json_array_size(h->connection[i].heard);
	h->command_read = h->command_count;
}

const char *pl_harness_offer(const char *media, unsigned generation)
{
	static char text[PL_HARNESS_TEXT_SIZE / 2];
	size_t size = (size_t)snprintf(text, sizeof text,
		"v=0\\r\\no=- 1 1 IN IP4 0.0.0.0\\r\\ns=-\\r\\nt=0 0\\r\\na=setup:actpass\\r\\n"
		"a=ice-ufrag:ufrag%u\\r\\na=ice-pwd:%024u\\r\\na=fingerprint:sha-256 ",
		generation, generation);
	for (unsigned i = 0; i < 32; i++)
		size += (size_t)snprintf(text + size, sizeof text - size, i < 31 ? "AB:" : "AB\\r\\na=group:BUNDLE");
	for (const char *at = media; *at != '\0'; at += strcspn(at, " "), at += strspn(at, " "))
		size += (size_t)snprintf(text + size, sizeof text - size, " %.*s", (int)strcspn(at, " ") - 1, at + 1);
	for (const char *at = media; *at != '\0'; at += strcspn(at, " "), at += strspn(at, " ")) {
		const char *direction = *at == 's'   ? "sendonly"
					: *at == 'r' ? "recvonly"
					: *at == 'b' ? "sendrecv"
						     : "inactive";
		const bool is_video = *at == 'x';
		size += (size_t)snprintf(text + size, sizeof text - size,
			"\\r\\nm=%s 9 UDP/TLS/RTP/SAVPF 111\\r\\nc=IN IP4 0.0.0.0\\r\\na=mid:%.*s\\r\\na=rtcp-mux\\r\\n"
			"a=rtpmap:111 %s\\r\\na=%s",
			is_video ? "video" : "audio", (int)strcspn(at, " ") - 1, at + 1,
			is_video ? "VP8/90000" : "opus/48000/2", is_video ? "sendrecv" : direction);
	}
	size += (size_t)snprintf(text + size, sizeof text - size, "\\r\\n");
	assert_true(size < sizeof text);
	return text;
}

static void copy_text(char *to, size_t size, const json_t *frame, const char *key)
{
	assert_true((size_t)snprintf(to, size, "%s", text_of(frame, key)) < size);
}

json_t *pl_harness_take_welcome(struct pl_harness *h, uint64_t connection, struct pl_harness_member *member)
{
	json_t *welcome = pl_harness_expect(h, connection,
		"{'t':'welcome','v':1,'session':'*','ticket':'*','ttl_ms':%d,'n':'*','resumed':'*','you':{'peer':'*'}}",
		PL_FRONT_RESUME_MS);
	const json_t *you = json_object_get(welcome, "you");
	member->connection = connection;
	member->source = (uint32_t)json_integer_value(json_object_get(you, "source"));
	copy_text(member->peer, sizeof member->peer, you, "peer");
	copy_text(member->track, sizeof member->track, json_array_get(json_object_get(you, "tracks"), 0), "track");
	copy_text(member->session, sizeof member->session, welcome, "session");
	copy_text(member->ticket, sizeof member->ticket, welcome, "ticket");
	return welcome;
}

struct pl_harness_member pl_harness_join(struct pl_harness *h, const char *room, const char *name)
{
	struct pl_harness_member member = { .connection = pl_harness_open(h) };
	assert_true(member.connection != 0);
	pl_harness_say(h, member.connection, "{'t':'join','id':1,'v':1,'room':'%s','name':'%s','sdp':'%s'}", room, name,
		pl_harness_offer("s0 r1 r2", 1));
	pl_harness_take_welcome(h, member.connection, &member);
	assert_int_equal(pl_harness_take_command(h, PL_COMMAND_JOIN)->source, member.source);
	return member;
}

uint64_t pl_harness_resume(struct pl_harness *h, const struct pl_harness_member *member, const char *room,
	const char *ticket, int64_t n, const char *sdp)
{
	const uint64_t connection = pl_harness_open(h);
	assert_true(connection != 0);
	pl_harness_say(h, connection,
		"{'t':'join','id':2,'v':1,'room':'%s','resume':{'session':'%s','ticket':'%s','n':%lld}%s%s%s}", room,
		member->session, ticket, (long long)n, sdp != NULL ? ",'sdp':'" : "", sdp != NULL ? sdp : "",
		sdp != NULL ? "'" : "");
	return connection;
}

/* ---- the media plane's side ---- */

const struct pl_command *pl_harness_take_command(struct pl_harness *h, enum pl_command_kind kind)
{
	assert_true(h->command_read < h->command_count);
	const struct pl_command *command = &h->command[h->command_read++];
	assert_int_equal(command->kind, kind);
	return command;
}

void pl_harness_expect_no_command(const struct pl_harness *h)
{
	assert_int_equal(h->command_read, h->command_count);
}

void pl_harness_event(struct pl_harness *h, const struct pl_event *event)
{
	const bool is_end = event->kind == PL_EVENT_GONE || event->kind == PL_EVENT_REFUSED;
	const size_t i = find_joined(h, event->source);
	if (is_end && i < h->joined_count && h->joined[i].room == event->room)
		forget_joined(h, event->source);
	pl_harness_before_input(h);
	pl_front_event(h->front, h->now_us, event);
	pl_harness_drain(h);
}

void pl_harness_press(struct pl_harness *h, enum pl_pressure_level level, enum pl_pressure_input cause)
{
	static const uint16_t permille[PL_PRESSURE_LEVELS] = { 100, 750, 850, 930, 1100 };
	struct pl_event event = { .kind = PL_EVENT_PRESSURE };
	event.pressure.level = (uint8_t)level;
	event.pressure.cause = (uint8_t)cause;
	event.pressure.score_permille = permille[level];
	if (cause < PL_PRESSURE_INPUTS)
		event.pressure.input_permille[cause] = permille[level];
	pl_harness_event(h, &event);
}

/* ---- time ---- */

void pl_harness_pass(struct pl_harness *h, int64_t ms)
{
	const int64_t until_us = h->now_us + ms * 1000;
	for (int64_t due_us; (due_us = pl_front_deadline(h->front)) <= until_us;) {
		if (due_us > h->now_us)
			h->now_us = due_us;
		pl_harness_before_input(h);
		pl_front_tick(h->front, h->now_us);
		pl_harness_drain(h);
		assert_true(pl_front_deadline(h->front) > h->now_us); /* a tick that does nothing would spin */
	}
	h->now_us = until_us;
}
