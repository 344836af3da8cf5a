#include "signaling/front.h"

#include <stdlib.h>
#include <string.h>

#include "signaling/front_admin.h"
#include "signaling/front_state.h"

/* ---- small things all parts need ---- */

bool pl_front_may(int64_t *bucket_us, int64_t now_us, int64_t per_s, int64_t burst)
{
	const int64_t price_us = 1000000 / per_s;
	if (*bucket_us < now_us)
		*bucket_us = now_us;
	if (*bucket_us - now_us > price_us * (burst - 1))
		return false;
	*bucket_us += price_us;
	return true;
}

void pl_front_random_text(struct pl_front *front, char *text, size_t characters, bool is_for_ice)
{
	/* RFC 4648 sections 4 and 5; the first is ICE's, too (RFC 8839 section 5.4). */
	static const char base64[65] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	static const char base64url[65] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	front->config.random(front->config.random_context, text, characters);
	for (size_t i = 0; i < characters; i++)
		text[i] = (is_for_ice ? base64 : base64url)[text[i] & 63];
	text[characters] = '\0';
}

uint32_t pl_front_random_id(struct pl_front *front)
{
	uint32_t id;
	do {
		front->config.random(front->config.random_context, &id, sizeof id);
	} while (id == 0);
	return id;
}

void pl_front_begin(struct pl_front *front, int64_t now_us)
{
	PL_ASSERT(pl_front_is_drained(front));
	front->now_us = now_us;
}

/* ---- life ---- */

static bool init_tables(struct pl_front *front)
{
	const struct pl_front_config *config = &front->config;
	const struct {
		struct pl_front_table *table;
		uint32_t nodes_max;
	} tables[] = {
		{ &front->connections, config->connections_max },
		{ &front->sessions_by_id, config->participants_max },
		{ &front->sessions_by_source, config->participants_max },
		{ &front->rooms_by_name, config->rooms_max },
		{ &front->rooms_by_id, config->rooms_max },
	};
	bool is_whole = true;
	for (size_t i = 0; i < PL_COUNT(tables); i++) {
		uint64_t seed;
		config->random(config->random_context, &seed, sizeof seed);
		is_whole = pl_front_table_init(tables[i].table, tables[i].nodes_max, seed) && is_whole;
	}
	return is_whole;
}

enum pl_err pl_front_create(struct pl_front **front, const struct pl_front_config *config)
{
	PL_ASSERT(config->participants_max > 0 && config->rooms_max > 0 && config->room_participants_max > 0);
	PL_ASSERT(config->connections_max > 0 && config->address_count <= PL_FRONT_ADDRESSES_MAX);
	PL_ASSERT(config->admin_token == NULL || config->admin_token[0] == '\0' ||
		  pl_front_admin_is_token(config->admin_token));
	struct pl_front *f = calloc(1, sizeof *f);
	*front = f;
	if (f == NULL)
		return PL_ERR_NO_MEMORY;
	f->config = *config;
	f->pressure.cause = PL_PRESSURE_INPUTS;
	f->ask_next_us = INT64_MAX;
	f->pressure_told_us = INT64_MIN / 2; /* long ago */
	pl_placement_init(&f->placement, &(struct pl_placement_config){
						 .shard_count = config->shard_count,
						 .participants_max = config->participants_max,
						 .rooms_max = config->rooms_max,
						 .room_participants_max = config->room_participants_max,
						 .room_spread = config->room_spread,
					 });
	pl_reserve_init(&f->reserve, 0, config->shard_count);
	pl_front_list_init(&f->all_connections);
	pl_front_list_init(&f->waiting);
	pl_front_list_init(&f->away);
	pl_front_list_init(&f->http);
	pl_front_list_init(&f->quiet);
	pl_front_list_init(&f->asked);
	for (size_t i = 0; i < PL_COUNT(f->unheard); i++)
		pl_front_list_init(&f->unheard[i]);
	if (init_tables(f))
		return PL_ERR_NONE;
	pl_front_destroy(front);
	return PL_ERR_NO_MEMORY;
}

static void free_connection(struct pl_front *front, struct pl_front_connection *connection)
{
	pl_front_table_remove(&front->connections, &connection->by_number);
	pl_front_list_remove(&connection->all);
	pl_front_stop_waiting(front, connection);
	front->counters.connections--;
	free(connection);
}

static void destroy_unconnected(struct pl_front *front)
{
	for (struct pl_front_session *s; (s = pl_front_list_first(&front->away)) != NULL;)
		pl_front_session_destroy(front, s, NULL);
	for (struct pl_front_session *s; (s = pl_front_list_first(&front->http)) != NULL;)
		pl_front_session_destroy(front, s, NULL);
}

void pl_front_destroy(struct pl_front **front)
{
	struct pl_front *f = *front;
	*front = NULL;
	if (f == NULL)
		return;
	for (struct pl_front_connection *c; (c = pl_front_list_first(&f->all_connections)) != NULL;) {
		if (c->session != NULL) {
			c->session->connection = NULL;
			pl_front_session_destroy(f, c->session, NULL);
		}
		free_connection(f, c);
	}
	destroy_unconnected(f);
	for (struct pl_front_output output; pl_front_next(f, &output);)
		free(output.command.description);
	pl_front_table_fini(&f->connections);
	pl_front_table_fini(&f->sessions_by_id);
	pl_front_table_fini(&f->sessions_by_source);
	pl_front_table_fini(&f->rooms_by_name);
	pl_front_table_fini(&f->rooms_by_id);
	free(f->queue.entry);
	free(f->leaves.entry);
	free(f->filled);
	free(f);
}

/* ---- connections ---- */

static uint64_t hash_number(const struct pl_front *front, const uint64_t *number)
{
	return pl_front_table_hash(&front->connections, (struct pl_bytes){ (const uint8_t *)number, sizeof *number });
}

static struct pl_front_connection *find_connection(struct pl_front *front, uint64_t number)
{
	struct pl_front_node *node = pl_front_table_first(&front->connections, hash_number(front, &number));
	while (node != NULL && ((struct pl_front_connection *)node->owner)->number != number)
		node = pl_front_table_next(node);
	return node != NULL ? node->owner : NULL;
}

/* NULL for one that is closing: it has had its last words. */
static struct pl_front_connection *find_open_connection(struct pl_front *front, uint64_t number)
{
	struct pl_front_connection *connection = find_connection(front, number);
	return connection != NULL && !connection->is_closing ? connection : NULL;
}

void pl_front_stop_waiting(struct pl_front *front, struct pl_front_connection *connection)
{
	if (connection->waiting.owner == NULL)
		return;
	pl_front_list_remove(&connection->waiting);
	front->counters.waiting--;
}

static uint32_t waiting_max(const struct pl_front *front)
{
	const uint32_t all = front->config.connections_max, half = all / 2 > 0 ? all / 2 : 1;
	const uint32_t most = all / 4 > PL_FRONT_WAITING_MIN ? all / 4 : PL_FRONT_WAITING_MIN;
	return most < half ? most : half;
}

/* Whoever means to join does so within a moment; a crowd that only holds connections must not keep the others out. */
static void displace_oldest(struct pl_front *front)
{
	struct pl_front_connection *oldest = pl_front_list_first(&front->waiting);
	if (front->counters.waiting < waiting_max(front) || oldest == NULL)
		return;
	pl_front_error(front, oldest, NULL, PL_FAULT_NOT_JOINED, "no join yet, and others wait to join");
	pl_front_close(front, oldest, PL_FRONT_CLOSE_POLICY);
	front->counters.waiting_displaced++;
}

bool pl_front_open(struct pl_front *front, int64_t now_us, uint64_t number, const struct pl_addr *address)
{
	PL_ASSERT(number != 0 && find_connection(front, number) == NULL);
	pl_front_begin(front, now_us);
	if (front->is_shut_down || front->counters.connections >= front->config.connections_max)
		return false;
	struct pl_front_connection *connection = calloc(1, sizeof *connection);
	PL_ASSERT(connection != NULL);
	connection->number = number;
	connection->opened_us = now_us;
	connection->address = *address;
	displace_oldest(front);
	pl_front_table_insert(&front->connections, &connection->by_number, hash_number(front, &number), connection);
	pl_front_list_push(&front->all_connections, &connection->all, connection);
	pl_front_list_push(&front->waiting, &connection->waiting, connection);
	front->counters.waiting++;
	front->counters.connections++;
	return true;
}

/* The session, if any, may be resumed. */
static void let_go(struct pl_front *front, struct pl_front_connection *connection, int64_t now_us)
{
	struct pl_front_session *session = connection->session;
	if (session == NULL)
		return;
	connection->session = NULL;
	session->connection = NULL;
	pl_front_session_detach(front, session, now_us);
}

void pl_front_lost(struct pl_front *front, int64_t now_us, uint64_t number)
{
	pl_front_begin(front, now_us);
	struct pl_front_connection *connection = find_connection(front, number);
	if (connection == NULL)
		return;
	let_go(front, connection, now_us);
	free_connection(front, connection);
}

/* ---- messages ---- */

static void close_bad_frame(
	struct pl_front *front, int64_t now_us, struct pl_front_connection *connection, enum pl_fault fault)
{
	const bool is_too_large = fault == PL_FAULT_TOO_LARGE;
	if (is_too_large)
		pl_front_error(front, connection, NULL, fault, "a message has at most %d bytes", PL_MESSAGE_SIZE_MAX);
	else
		pl_front_error(front, connection, NULL, fault, "messages are text frames, not binary ones");
	let_go(front, connection, now_us);
	pl_front_close(front, connection, is_too_large ? PL_FRONT_CLOSE_TOO_LARGE : PL_FRONT_CLOSE_NOT_TEXT);
}

void pl_front_bad_frame(struct pl_front *front, int64_t now_us, uint64_t number, enum pl_fault fault)
{
	PL_ASSERT(fault > PL_FAULT_NONE && fault < PL_FAULT_COUNT);
	pl_front_begin(front, now_us);
	struct pl_front_connection *connection = find_open_connection(front, number);
	if (connection != NULL)
		close_bad_frame(front, now_us, connection, fault);
}

/* One message too many.  Whoever does not stop is shown out: being told costs us as much as being heard. */
static void answer_rate(struct pl_front *front, int64_t now_us, struct pl_front_connection *connection,
	const struct pl_request *request)
{
	if (pl_front_may(&connection->errors_us, now_us, PL_FRONT_MESSAGES_PER_S, PL_FRONT_RATE_ERRORS_BURST)) {
		pl_front_error(front, connection, request, PL_FAULT_RATE, "at most %d messages a second",
			PL_FRONT_MESSAGES_PER_S);
		return;
	}
	struct pl_front_session *session =
		pl_front_bye(front, connection, "rate", "Far too many messages.", false, PL_FRONT_CLOSE_POLICY);
	if (session == NULL)
		return;
	pl_front_command_leave(front, session);
	pl_front_session_destroy(front, session, "kicked");
}

static void answer(struct pl_front *front, int64_t now_us, struct pl_front_connection *connection,
	const struct pl_request *request)
{
	if (request->kind == PL_REQUEST_JOIN) {
		pl_front_join(front, now_us, connection, request);
	} else if (connection->session == NULL) {
		pl_front_error(front, connection, request, PL_FAULT_NOT_JOINED, "the first message must be join");
	} else {
		/* It has its welcome, so it has the new ticket. */
		connection->session->ticket_before[0] = '\0';
		pl_front_request(front, now_us, connection, request);
	}
}

void pl_front_message(struct pl_front *front, int64_t now_us, uint64_t number, struct pl_bytes text)
{
	pl_front_begin(front, now_us);
	struct pl_front_connection *connection = find_open_connection(front, number);
	if (connection == NULL)
		return;
	front->counters.messages_in++;
	if (text.size > PL_MESSAGE_SIZE_MAX) {
		close_bad_frame(front, now_us, connection, PL_FAULT_TOO_LARGE);
		return;
	}
	struct pl_request request;
	char message[512];
	const enum pl_fault fault = pl_request_parse(text, &request, message, sizeof message);
	if (!pl_front_may(&connection->messages_us, now_us, PL_FRONT_MESSAGES_PER_S, PL_FRONT_MESSAGES_BURST))
		answer_rate(front, now_us, connection, &request);
	else if (fault != PL_FAULT_NONE)
		pl_front_error(front, connection, &request, fault, "%s", message);
	else
		answer(front, now_us, connection, &request);
	pl_request_fini(&request);
}

void pl_front_backlog(struct pl_front *front, int64_t now_us, uint64_t number, size_t bytes)
{
	pl_front_begin(front, now_us);
	struct pl_front_connection *connection = find_open_connection(front, number);
	if (connection == NULL || bytes <= PL_FRONT_CONNECTION_BYTES_MAX)
		return;
	struct pl_front_session *session = pl_front_bye(
		front, connection, "slow", "Events wait faster than you read them.", true, PL_FRONT_CLOSE_POLICY);
	if (session != NULL)
		pl_front_session_detach(front, session, now_us);
}

/* ---- time, end ---- */

static int64_t join_deadline(const struct pl_front_connection *connection)
{
	return connection->opened_us + PL_FRONT_JOIN_MS * INT64_C(1000);
}

static int64_t resume_deadline(const struct pl_front_session *session)
{
	return session->away_us + PL_FRONT_RESUME_MS * INT64_C(1000);
}

void pl_front_tick(struct pl_front *front, int64_t now_us)
{
	pl_front_begin(front, now_us);
	struct pl_front_connection *connection;
	while ((connection = pl_front_list_first(&front->waiting)) != NULL && join_deadline(connection) <= now_us) {
		pl_front_error(front, connection, NULL, PL_FAULT_NOT_JOINED, "no join within %d seconds",
			PL_FRONT_JOIN_MS / 1000);
		pl_front_close(front, connection, PL_FRONT_CLOSE_POLICY);
	}
	struct pl_front_session *session;
	while ((session = pl_front_list_first(&front->away)) != NULL && resume_deadline(session) <= now_us) {
		pl_front_command_leave(front, session);
		pl_front_session_destroy(front, session, "lost");
	}
	pl_front_tick_pressure(front);
	pl_front_tick_asking(front);
}

int64_t pl_front_deadline(const struct pl_front *front)
{
	const struct pl_front_connection *connection = pl_front_list_first(&front->waiting);
	const struct pl_front_session *session = pl_front_list_first(&front->away);
	const int64_t join_us = connection != NULL ? join_deadline(connection) : INT64_MAX;
	const int64_t resume_us = session != NULL ? resume_deadline(session) : INT64_MAX;
	const int64_t times[] = { join_us, resume_us, pl_front_deadline_of_leaves(front),
		pl_front_deadline_of_pressure(front), pl_front_deadline_of_asking(front) };
	int64_t first_us = INT64_MAX;
	for (size_t i = 0; i < PL_COUNT(times); i++)
		first_us = times[i] < first_us ? times[i] : first_us;
	return first_us;
}

void pl_front_shutdown(struct pl_front *front, int64_t now_us)
{
	pl_front_begin(front, now_us);
	front->is_shut_down = true;
	for (struct pl_front_link *at = front->all_connections.next; at->owner != NULL; at = at->next) {
		struct pl_front_connection *connection = at->owner;
		if (connection->is_closing)
			continue;
		struct pl_front_session *session = pl_front_bye(
			front, connection, "shutdown", "The server ends.", false, PL_FRONT_CLOSE_GOING_AWAY);
		if (session != NULL)
			pl_front_session_destroy(front, session, NULL);
	}
	destroy_unconnected(front);
}

const struct pl_front_counters *pl_front_counters(const struct pl_front *front)
{
	return &front->counters;
}
