#include "signaling/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log_text_is_one_readable_line),
		cmocka_unit_test(test_log_foreign_bytes_are_tamed),
		cmocka_unit_test(test_log_json_is_json),
		cmocka_unit_test(test_log_long_lines_say_that_they_are_cut),
		cmocka_unit_test(test_log_floods_are_counted_not_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
