#include "signaling/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#define FIELDS(...) ((const struct pl_log_field[]){ { NULL, NULL, 0 }, ##__VA_ARGS__, { NULL, NULL, 0 } })

static const int64_t MOMENT_US = INT64_C(1700000000123456); /* 2023-11-14 22:13:20.123 UTC */

static const char *format(bool as_json, const struct pl_log_field *field, uint32_t left_out)
{
	static char line[PL_LOG_LINE_SIZE + 1];
	const size_t size = pl_log_format(line, as_json, MOMENT_US, PL_LOG_INFO, "ready", field, left_out);
	assert_true(size > 0 && size <= PL_LOG_LINE_SIZE);
	line[size] = '\0';
	assert_ptr_equal(strchr(line, '\n'), line + size - 1);
	return line;
}

static void test_log_text_is_one_readable_line(void **state)
{
	(void)state;
	assert_string_equal(format(false, FIELDS(), 0), "2023-11-14T22:13:20.123Z info ready\n");
	assert_string_equal(format(false, FIELDS(PL_LOG_TEXT("http", "[::1]:80"), PL_LOG_NUMBER("udp", -7)), 3),
		"2023-11-14T22:13:20.123Z info ready http=[::1]:80 udp=-7 left_out=3\n");
}

/* A name chosen by a stranger must not forge a line or a field, nor play with the terminal. */
static void test_log_foreign_bytes_are_tamed(void **state)
{
	(void)state;
	static const struct {
		const char *value, *text;
	} c[] = {
		{ "", "\"\"" },
		{ "a b", "\"a b\"" },
		{ "a=b", "\"a=b\"" },
		{ "a\nb", "\"a\\u000ab\"" },
		{ "\033[2J", "\"\\u001b[2J\"" },
		{ "say \"x\\y\"", "\"say \\\"x\\\\y\\\"\"" },
		{ "Z\xc3\xbcrich", "\"Z\xc3\xbcrich\"" },
		{ "\xff\xc0\xaf\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\"" },
		{ "\xf0\x9f\x98", "\"\\ufffd\\ufffd\\ufffd\"" },
	};
	for (size_t i = 0; i < PL_COUNT(c); i++) {
		char expected[256];
		snprintf(expected, sizeof(expected), "2023-11-14T22:13:20.123Z info ready k=%s\n", c[i].text);
		assert_string_equal(format(false, FIELDS(PL_LOG_TEXT("k", c[i].value)), 0), expected);
	}
}

/* A machine can read each line, whatever is in it and however long it is. */
static void test_log_json_is_json(void **state)
{
	(void)state;
	char value[3000];
	for (size_t size = 0; size + 1 < sizeof(value); size += size < 1100 ? 1 : 97) {
		for (size_t i = 0; i < size; i++)
			value[i] = (char)(1 + (i * 7 + size) % 255);
		value[size] = '\0';
		const char *line = format(true, FIELDS(PL_LOG_TEXT("a", value), PL_LOG_TEXT("b", value)), 9);
		json_t *json = json_loads(line, 0, NULL);
		assert_non_null(json);
		assert_string_equal(json_string_value(json_object_get(json, "msg")), "ready");
		assert_string_equal(json_string_value(json_object_get(json, "level")), "info");
		assert_int_equal(json_integer_value(json_object_get(json, "left_out")), 9);
		json_decref(json);
	}
	assert_string_equal(format(true, FIELDS(PL_LOG_TEXT("a", "x"), PL_LOG_NUMBER("b", 1)), 0),
		"{\"time\":\"2023-11-14T22:13:20.123Z\",\"level\":\"info\",\"msg\":\"ready\",\"a\":\"x\",\"b\":1}\n");
}

static void test_log_long_lines_say_that_they_are_cut(void **state)
{
	(void)state;
	char value[2000];
	memset(value, 'a', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	assert_string_equal(
		format(false, FIELDS(PL_LOG_TEXT("k", value)), 0), "2023-11-14T22:13:20.123Z info ready...\n");
}

/* A stranger who causes a line per packet fills no disk, and the operator still learns how many there were. */
static void test_log_floods_are_counted_not_written(void **state)
{
	(void)state;
	struct pl_log_site site = { 0 };
	uint32_t left_out = 0, written = 0;
	int64_t now_us = 5000000;
	for (int i = 0; i < 1000; i++)
		written += pl_log_allow(&site, now_us, &left_out);
	assert_int_equal(written, PL_LOG_BURST);
	now_us += 1000000 / PL_LOG_PER_SECOND;
	assert_true(pl_log_allow(&site, now_us, &left_out));
	assert_int_equal(left_out, 1000 - PL_LOG_BURST);
	assert_false(pl_log_allow(&site, now_us, &left_out));

	now_us += INT64_C(3600000000);
	for (written = 0; pl_log_allow(&site, now_us, &left_out); written++) {
	}
	assert_int_equal(written, PL_LOG_BURST);
}

/* A pipe in the place of stderr. */
struct listener {
	int saved, read_end;
};

static struct listener listen_to_stderr(void)
{
	int end[2];
	assert_int_equal(pipe2(end, O_NONBLOCK), 0);
	assert_int_equal(fcntl(end[1], F_SETFL, 0), 0); /* who writes waits, as it does everywhere */
	struct listener listener = { .saved = dup(STDERR_FILENO), .read_end = end[0] };
	assert_true(listener.saved >= 0 && dup2(end[1], STDERR_FILENO) == STDERR_FILENO);
	close(end[1]);
	return listener;
}

static void stop_listening(struct listener *listener)
{
	dup2(listener->saved, STDERR_FILENO);
	close(listener->saved);
	close(listener->read_end);
}

/* Returns what was written since the last call, of at most size - 1 bytes. */
static char *hear(const struct listener *listener, char *text, size_t size)
{
	const ssize_t got = read(listener->read_end, text, size - 1);
	text[got < 0 ? 0 : got] = '\0';
	return text;
}

static void flood(int lines)
{
	for (int i = 0; i < lines; i++)
		pl_log(PL_LOG_INFO, "someone knocks", PL_LOG_NUMBER("who", i));
}

static void count_call(void *context)
{
	++*(int *)context;
}

/* The operator learns how many lines a flood had, also when no line of that kind ever comes again. */
static void test_log_what_was_left_out_is_told(void **state)
{
	(void)state;
	char text[PL_LOG_BURST * 100];
	int calls = 0;
	struct pl_log_counters before, after;
	pl_log_init("info", "json");
	pl_log_watch(count_call, &calls);
	pl_log_count(&before);
	struct listener listener = listen_to_stderr();
	flood(1000);
	hear(&listener, text, sizeof(text));
	const int64_t wanted_us = pl_log_flush(0);
	assert_string_equal("", hear(&listener, text, 2)); /* not yet: the flood may go on */
	assert_int_equal(pl_log_flush(INT64_MAX), INT64_MAX);
	hear(&listener, text, sizeof(text));
	assert_int_equal(pl_log_flush(INT64_MAX), INT64_MAX);
	char again[2];
	hear(&listener, again, sizeof(again));
	stop_listening(&listener);
	pl_log_count(&after);
	pl_log_watch(NULL, NULL);

	assert_true(wanted_us > 0 && wanted_us < INT64_MAX);
	assert_int_equal(calls, 1);
	json_t *json = json_loads(text, 0, NULL);
	assert_non_null(json);
	assert_string_equal(json_string_value(json_object_get(json, "msg")), "more like this");
	assert_string_equal(json_string_value(json_object_get(json, "level")), "info");
	assert_string_equal(json_string_value(json_object_get(json, "like")), "someone knocks");
	const json_int_t left_out = json_integer_value(json_object_get(json, "left_out"));
	json_decref(json);
	assert_string_equal(again, "");
	/* A slow machine may have been allowed some more lines meanwhile. */
	assert_in_range(left_out, 900, 1000 - PL_LOG_BURST);
	assert_int_equal(after.left_out - before.left_out, left_out);
	assert_int_equal(after.lines[PL_LOG_INFO] - before.lines[PL_LOG_INFO], 1000 - left_out + 1);
	assert_int_equal(after.lost, before.lost);
}

/* Calls go on while the terminal is stopped or the collector hangs: a line that nobody reads is lost, and that is told. */
static void test_log_never_waits_for_its_reader(void **state)
{
	(void)state;
	char text[4 * PL_LOG_LINE_SIZE], filler[PL_LOG_LINE_SIZE] = { 0 };
	struct pl_log_counters before, after;
	pl_log_init("info", "text");
	pl_log_count(&before);
	struct listener listener = listen_to_stderr();
	assert_int_equal(fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK), 0);
	memset(filler, 'x', sizeof(filler));
	while (write(STDERR_FILENO, filler, sizeof(filler)) > 0) {
	}
	assert_int_equal(fcntl(STDERR_FILENO, F_SETFL, 0), 0);
	alarm(20); /* waiting would be for ever */
	for (int i = 0; i < 7; i++)
		pl_log(PL_LOG_INFO, "nobody hears this");
	alarm(0);
	while (read(listener.read_end, filler, sizeof(filler)) > 0) {
	}
	pl_log(PL_LOG_INFO, "heard again");
	hear(&listener, text, sizeof(text));
	stop_listening(&listener);
	pl_log_count(&after);
	assert_int_equal(after.lost - before.lost, 7);
	assert_int_equal(after.lines[PL_LOG_INFO] - before.lines[PL_LOG_INFO], 1);
	assert_non_null(strstr(text, " warning lines of the log were lost: nobody read them lost=7\n"));
	assert_non_null(strstr(text, " info heard again\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log_text_is_one_readable_line),
		cmocka_unit_test(test_log_foreign_bytes_are_tamed),
		cmocka_unit_test(test_log_json_is_json),
		cmocka_unit_test(test_log_long_lines_say_that_they_are_cut),
		cmocka_unit_test(test_log_floods_are_counted_not_written),
		cmocka_unit_test(test_log_what_was_left_out_is_told),
		cmocka_unit_test(test_log_never_waits_for_its_reader),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
