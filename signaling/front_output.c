#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signaling/front_state.h"

/* ---- the queue ---- */

bool pl_front_is_drained(const struct pl_front *front)
{
	return front->queue.count == 0;
}

/* Returns array with room for one more than count. */
static void *grow(void *array, size_t count, size_t *capacity, size_t size)
{
	if (count < *capacity)
		return array;
	*capacity = *capacity > 0 ? *capacity * 2 : 16;
	array = realloc(array, *capacity * size);
	PL_ASSERT(array != NULL);
	return array;
}

static void push(struct pl_front *front, const struct pl_front_queued *queued)
{
	front->queue.entry = grow(front->queue.entry, front->queue.count, &front->queue.capacity, sizeof *queued);
	front->queue.entry[front->queue.count++] = *queued;
}

/* ---- what goes out ---- */

void pl_front_send(
	struct pl_front *front, const struct pl_front_connection *connection, struct pl_front_text *text, uint64_t n)
{
	PL_ASSERT(!connection->is_closing);
	push(front, &(struct pl_front_queued){
			    .kind = PL_FRONT_SEND,
			    .connection = connection->number,
			    .n = n,
			    .text = pl_front_text_hold(text),
		    });
}

void pl_front_reply(struct pl_front *front, const struct pl_front_connection *connection, struct pl_front_writer *w)
{
	struct pl_front_text *text = pl_front_write_end(w);
	pl_front_send(front, connection, text, 0);
	pl_front_text_release(text);
}

void pl_front_write_id(struct pl_front_writer *w, const struct pl_request *request)
{
	if (request != NULL && request->has_id)
		pl_front_write_int(w, "id", request->id);
	else
		pl_front_write_string(w, "id", NULL);
}

void pl_front_error(struct pl_front *front, const struct pl_front_connection *connection,
	const struct pl_request *request, enum pl_fault fault, const char *format, ...)
{
	char msg[512];
	va_list args;
	va_start(args, format);
	vsnprintf(msg, sizeof msg, format, args);
	va_end(args);
	front->counters.faults[fault]++;
	struct pl_front_writer w;
	pl_front_write_begin(&w, pl_reply_name(PL_REPLY_ERR));
	pl_front_write_id(&w, request);
	pl_front_write_string(&w, "code", pl_fault_name(fault));
	pl_front_write_string(&w, "msg", msg);
	pl_front_reply(front, connection, &w);
}

void pl_front_close(struct pl_front *front, struct pl_front_connection *connection, uint16_t code)
{
	connection->is_closing = true;
	pl_front_stop_waiting(front, connection);
	push(front, &(struct pl_front_queued){
			    .kind = PL_FRONT_CLOSE, .connection = connection->number, .close_code = code });
}

void pl_front_respond(struct pl_front *front, uint64_t request, uint16_t status, struct pl_front_text *head,
	struct pl_front_text *body)
{
	push(front,
		&(struct pl_front_queued){
			.kind = PL_FRONT_RESPONSE, .request = request, .status = status, .head = head, .text = body });
}

/* They go first: a place that they free may be the one that the next JOIN needs. */
static void flush_leaves(struct pl_front *front)
{
	size_t kept = 0;
	for (size_t i = 0; i < front->leaves.count; i++) {
		const struct pl_command leave = front->leaves.entry[i];
		if (front->commands_free[leave.shard] > 0)
			pl_front_command(front, &leave, NULL);
		else
			front->leaves.entry[kept++] = leave;
	}
	front->leaves.count = kept;
}

bool pl_front_can_command(struct pl_front *front, uint8_t shard)
{
	PL_ASSERT(shard < front->config.shard_count);
	flush_leaves(front);
	return front->commands_free[shard] > 0;
}

void pl_front_command(
	struct pl_front *front, const struct pl_command *command, const struct pl_description *description)
{
	PL_ASSERT(front->commands_free[command->shard] > 0);
	front->commands_free[command->shard]--;
	struct pl_front_queued queued = { .kind = PL_FRONT_COMMAND, .command = *command };
	if (description != NULL) {
		queued.command.description = malloc(sizeof *description);
		PL_ASSERT(queued.command.description != NULL);
		*queued.command.description = *description;
	}
	push(front, &queued);
}

void pl_front_command_leave(struct pl_front *front, const struct pl_front_session *session)
{
	const struct pl_command command = pl_front_command_of(session, PL_COMMAND_LEAVE);
	if (pl_front_can_command(front, session->shard)) {
		pl_front_command(front, &command, NULL);
		return;
	}
	front->leaves.entry = grow(front->leaves.entry, front->leaves.count, &front->leaves.capacity, sizeof command);
	front->leaves.entry[front->leaves.count++] = command;
}

int64_t pl_front_deadline_of_leaves(const struct pl_front *front)
{
	/* Nobody says when there is room again: it has to be looked for. */
	return front->leaves.count > 0 ? front->now_us + PL_FRONT_LEAVE_RETRY_MS * INT64_C(1000) : INT64_MAX;
}

void pl_front_set_commands_free(struct pl_front *front, uint8_t shard, size_t commands_free)
{
	PL_ASSERT(shard < front->config.shard_count);
	/* What waits in the queue has its places already. */
	size_t queued = 0;
	for (size_t i = front->queue.taken; i < front->queue.count; i++) {
		const struct pl_front_queued *entry = &front->queue.entry[i];
		queued += entry->kind == PL_FRONT_COMMAND && entry->command.shard == shard;
	}
	front->commands_free[shard] = commands_free > queued ? commands_free - queued : 0;
}

/* ---- taking ---- */

enum { DIGITS_MAX = 20 };

/* At the end of digits; returns how many.  Printing with a format was a tenth of what an event costs. */
static size_t write_digits(char digits[static DIGITS_MAX], uint64_t n)
{
	size_t length = 0;
	do {
		digits[DIGITS_MAX - ++length] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	return length;
}

/* Joins text's parts around the digits of n, in memory that the next call uses again. */
static void fill_gap(struct pl_front *front, const struct pl_front_queued *queued, struct pl_front_output *output)
{
	const struct pl_front_text *text = queued->text;
	char digits[DIGITS_MAX];
	const size_t length = write_digits(digits, queued->n);
	output->text_size = text->size + length;
	if (front->filled_capacity < output->text_size) {
		front->filled_capacity = output->text_size * 2;
		free(front->filled);
		front->filled = malloc(front->filled_capacity);
		PL_ASSERT(front->filled != NULL);
	}
	memcpy(front->filled, text->data, text->gap);
	memcpy(front->filled + text->gap, digits + DIGITS_MAX - length, length);
	memcpy(front->filled + text->gap + length, text->data + text->gap, text->size - text->gap);
	output->text = front->filled;
}

static void show_response(struct pl_front *front, const struct pl_front_queued *queued, struct pl_front_output *output)
{
	front->sent = queued->text;
	front->sent_head = queued->head;
	output->request = queued->request;
	output->status = queued->status;
	output->head = queued->head->data;
	output->head_size = queued->head->size;
	if (queued->text == NULL)
		return;
	output->text = queued->text->data;
	output->text_size = queued->text->size;
}

bool pl_front_next(struct pl_front *front, struct pl_front_output *output)
{
	pl_front_text_release(front->sent);
	pl_front_text_release(front->sent_head);
	front->sent = front->sent_head = NULL;
	if (front->queue.taken == front->queue.count) {
		front->queue.taken = front->queue.count = 0;
		flush_leaves(front);
	}
	if (front->queue.count == 0)
		return false;
	const struct pl_front_queued *queued = &front->queue.entry[front->queue.taken++];
	*output = (struct pl_front_output){
		.kind = queued->kind,
		.connection = queued->connection,
		.close_code = queued->close_code,
		.command = queued->command,
	};
	if (queued->kind == PL_FRONT_RESPONSE)
		show_response(front, queued, output);
	if (queued->kind != PL_FRONT_SEND)
		return true;
	front->counters.messages_out++;
	front->sent = queued->text;
	output->may_wait = queued->text->may_wait;
	if (queued->text->gap > 0) {
		fill_gap(front, queued, output);
	} else {
		output->text = queued->text->data;
		output->text_size = queued->text->size;
	}
	return true;
}
