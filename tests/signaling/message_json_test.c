/* What is wrong with a message as a whole: no JSON, no request, too much of it, bytes that are no text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/request.h"

struct wrong {
	const char *text; /* with ' for " */
	enum pl_fault fault;
	const char *sentence;
};

static void expect_all(const struct wrong *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char json[1024];
		size_t size = 0;
		assert_true(strlen(cases[i].text) < sizeof json);
		for (const char *at = cases[i].text; *at != '\0'; at++)
			json[size++] = *at == '\'' ? '"' : *at;
		pl_request_expect_fault(json, size, cases[i].fault, cases[i].sentence);
	}
}

/* Numbers that do not fit are refused, never wrapped. */
static void test_message_numbers_out_of_range(void **state)
{
	(void)state;
#define ID_RANGE "it must be an integer from 0 to 2147483647"
#define N_RANGE  "it must be an integer from 0 to 9007199254740991"
#define RESUME   "{'t':'join','v':1,'room':'r','resume':{'session':'s','ticket':'t','n':"
	static const struct wrong cases[] = {
		{ "{'t':'ping','id':2147483647}", PL_FAULT_NONE, "" },
		{ "{'t':'ping','id':-0}", PL_FAULT_NONE, "" },
		{ "{'t':'ping','id':2147483648}", PL_FAULT_BAD_FIELD, "id: 2147483648; " ID_RANGE },
		{ "{'t':'ping','id':4294967296}", PL_FAULT_BAD_FIELD, "id: 4294967296; " ID_RANGE },
		{ "{'t':'ping','id':-1}", PL_FAULT_BAD_FIELD, "id: -1; " ID_RANGE },
		{ "{'t':'ping','id':9223372036854775807}", PL_FAULT_BAD_FIELD, "id: 9223372036854775807; " ID_RANGE },
		{ "{'t':'ping','id':9223372036854775808}", PL_FAULT_BAD_JSON,
			"line 1 column 36: too big integer near '9223372036854775808'" },
		{ "{'t':'ping','id':-9223372036854775809}", PL_FAULT_BAD_JSON,
			"line 1 column 37: too big negative integer near '-9223372036854775809'" },
		{ "{'t':'ping','id':1e999}", PL_FAULT_BAD_JSON, "line 1 column 22: real number overflow near '1e999'" },
		{ "{'t':'ping','id':01}", PL_FAULT_BAD_JSON, "line 1 column 18: invalid token near '0'" },
		{ "{'t':'ping','id':NaN}", PL_FAULT_BAD_JSON, "line 1 column 20: invalid token near 'NaN'" },
		{ RESUME "-1}}", PL_FAULT_BAD_FIELD, "join.resume.n: -1; " N_RANGE },
		{ RESUME "9007199254740992}}", PL_FAULT_BAD_FIELD, "join.resume.n: 9007199254740992; " N_RANGE },
		{ "{'t':'join','v':2}", PL_FAULT_UNSUPPORTED, "join.v: this server speaks version 1" },
		{ "{'t':'join','v':0,'room':'r','sdp':'s'}", PL_FAULT_UNSUPPORTED,
			"join.v: this server speaks version 1" },
		{ "{'t':'join','v':4294967297,'room':'r','sdp':'s'}", PL_FAULT_UNSUPPORTED,
			"join.v: this server speaks version 1" },
	};
	expect_all(cases, PL_COUNT(cases));
}

/* What is no request at all, and requests that this server does not know. */
static void test_message_that_is_none(void **state)
{
	(void)state;
	static const struct wrong cases[] = {
		{ "", PL_FAULT_BAD_JSON, "line 1 column 0: '[' or '{' expected near end of file" },
		{ " \n ", PL_FAULT_BAD_JSON, "line 2 column 1: '[' or '{' expected near end of file" },
		{ "null", PL_FAULT_BAD_JSON, "line 1 column 4: '[' or '{' expected near 'null'" },
		{ "'ping'", PL_FAULT_BAD_JSON, "line 1 column 6: '[' or '{' expected near '\"ping\"'" },
		{ "[]", PL_FAULT_BAD_JSON, "line 1 column 1: a message is an object, not an array" },
		{ "{", PL_FAULT_BAD_JSON, "line 1 column 1: string or '}' expected near end of file" },
		{ "{}", PL_FAULT_BAD_FIELD, "t: missing; it must be a string of 1 to 16 bytes" },
		{ "{'t':'ping'}}", PL_FAULT_BAD_JSON, "line 1 column 13: end of file expected near '}'" },
		{ "{'t':'ping'}{'t':'ping'}", PL_FAULT_BAD_JSON, "line 1 column 13: end of file expected near '{'" },
		{ "{'t':'ping',}", PL_FAULT_BAD_JSON, "line 1 column 13: string or '}' expected near '}'" },
		{ "{t:1}", PL_FAULT_BAD_JSON, "line 1 column 2: string or '}' expected near 't'" },
		{ "{'t':'pi\nng'}", PL_FAULT_BAD_JSON, "line 1 column 8: unexpected newline near '\"pi'" },
		{ "{'t':7}", PL_FAULT_BAD_FIELD, "t: an integer; it must be a string of 1 to 16 bytes" },
		{ "{'t':null}", PL_FAULT_BAD_FIELD, "t: null; it must be a string of 1 to 16 bytes" },
		{ "{'t':''}", PL_FAULT_UNKNOWN, "t: there is no request \"\"" },
		{ "{'t':'Ping'}", PL_FAULT_UNKNOWN, "t: there is no request \"Ping\"" },
		{ "{'t':'welcome'}", PL_FAULT_UNKNOWN, "t: there is no request \"welcome\"" },
		{ "{'t':'pings'}", PL_FAULT_UNKNOWN, "t: there is no request \"pings\"" },
		{ "{'t':'0123456789012345678901234567890123456789'}", PL_FAULT_UNKNOWN,
			"t: there is no request \"01234567890123456789012345678901\"" },
		{ "{'t':'join','v':1,'room':'r','sdp':'s','audio':'loud'}", PL_FAULT_BAD_FIELD,
			"join.audio: \"loud\"; it must be \"forward\", \"mixed\" or \"auto\"" },
		{ "{'t':'mode','audio':'Mixed'}", PL_FAULT_BAD_FIELD,
			"mode.audio: \"Mixed\"; it must be \"forward\", \"mixed\" or \"auto\"" },
		{ "{'t':'mode','audio':''}", PL_FAULT_BAD_FIELD,
			"mode.audio: 0 bytes; it must be a string of 1 to 16 bytes" },
		{ "{'t':'mode','audio':'mixed','quality':'hifi'}", PL_FAULT_BAD_FIELD,
			"mode.quality: \"hifi\"; it must be \"full\", \"robust\" or \"stereo\"" },
		{ "{'t':'mode','audio':'mixed','quality':7}", PL_FAULT_BAD_FIELD,
			"mode.quality: an integer; it must be a string of 1 to 16 bytes" },
		{ "{'t':'mode','quality':'full'}", PL_FAULT_BAD_FIELD,
			"mode.audio: missing; it must be a string of 1 to 16 bytes" },
	};
	expect_all(cases, PL_COUNT(cases));
}

/* NUL ends a string in C and means nothing in a name: it may come in neither escaped nor as a byte, in no field. */
static void test_message_nul_bytes(void **state)
{
	(void)state;
	static const struct wrong cases[] = {
		{ "{'t':'ping\\u0000'}", PL_FAULT_BAD_JSON, "line 1 column 17: \\u0000 in a string" },
		{ "{'t\\u0000':'ping'}", PL_FAULT_BAD_JSON, "line 1 column 10: \\u0000 in a string" },
		{ "{'t':'join','v':1,'room':'a\\u0000b','sdp':'s'}", PL_FAULT_BAD_JSON,
			"line 1 column 35: \\u0000 in a string" },
		{ "{'t':'join','v':1,'room':'r','sdp':'v=0\\u0000'}", PL_FAULT_BAD_JSON,
			"line 1 column 46: \\u0000 in a string" },
		{ "{'t':'data','topic':'x','body':{'deep':['\\u0000']}}", PL_FAULT_BAD_JSON,
			"line 1 column 48: \\u0000 in a string" },
	};
	expect_all(cases, PL_COUNT(cases));
	static const char in_string[] = "{\"t\":\"pi\0ng\"}", behind[] = "{\"t\":\"ping\"}\0";
	pl_request_expect_fault(in_string, sizeof in_string - 1, PL_FAULT_BAD_JSON, "line 1 column 9: a NUL byte");
	pl_request_expect_fault(behind, sizeof behind - 1, PL_FAULT_BAD_JSON, "line 1 column 13: a NUL byte");
	pl_request_expect_fault("\0", 1, PL_FAULT_BAD_JSON, "line 1 column 1: a NUL byte");
}

/* depth brackets around nothing, in the body of a data request: the request itself is one level. */
static size_t nested(char *text, size_t text_size, size_t depth, const char *prefix)
{
	size_t size = (size_t)snprintf(text, text_size, "%s", prefix);
	assert_true(size + 2 * depth + 2 < text_size);
	memset(text + size, '[', depth);
	memset(text + size + depth, ']', depth);
	size += 2 * depth;
	text[size++] = '}';
	return size;
}

/* Nesting is counted before a recursive parser meets it: the deepest that is allowed is taken, and half a message of
 * brackets costs no stack. */
static void test_message_nesting_is_bounded(void **state)
{
	(void)state;
	static const char prefix[] = "{\"t\":\"data\",\"topic\":\"x\",\n\"body\":";
	static char text[PL_MESSAGE_SIZE_MAX];
	pl_request_expect_fault(text, nested(text, sizeof text, 15, prefix), PL_FAULT_NONE, "");
	pl_request_expect_fault(text, nested(text, sizeof text, 16, prefix), PL_FAULT_BAD_JSON,
		"line 2 column 23: nested deeper than 16");
	pl_request_expect_fault(text, nested(text, sizeof text, 30000, prefix), PL_FAULT_BAD_JSON,
		"line 2 column 23: nested deeper than 16");
	/* In a string brackets are letters, also behind a quotation mark that is escaped. */
	static const char in_string[] = "{\"t\":\"data\",\"topic\":\"\\\"[[[[[[[[[[[[[[[[[[[[\\\\\",\"body\":[]}";
	pl_request_expect_fault(in_string, sizeof in_string - 1, PL_FAULT_NONE, "");
	/* Many beside each other are not deep. */
	size_t size = (size_t)snprintf(text, sizeof text, "{\"t\":\"data\",\"topic\":\"x\",\"body\":[[]");
	for (int i = 0; i < 1000; i++)
		size += (size_t)snprintf(text + size, sizeof text - size, ",[]");
	size += (size_t)snprintf(text + size, sizeof text - size, "]}");
	pl_request_expect_fault(text, size, PL_FAULT_NONE, "");
}

static void test_message_size_is_bounded(void **state)
{
	(void)state;
	static char text[PL_MESSAGE_SIZE_MAX + 1];
	const int size = snprintf(text, sizeof text, "{\"t\":\"ping\"}");
	memset(text + size, ' ', sizeof text - (size_t)size);
	pl_request_expect_fault(text, PL_MESSAGE_SIZE_MAX, PL_FAULT_NONE, "");
	pl_request_expect_fault(text, PL_MESSAGE_SIZE_MAX + 1, PL_FAULT_TOO_LARGE, "a message has at most 65536 bytes");
}

/* Bytes that are no UTF-8 are refused wherever they stand, and what is quoted from a client, cut in the middle of a
 * character too, never makes our own answer unreadable. */
static void test_message_utf8(void **state)
{
	(void)state;
	static const char *const bad[] = { "\xff", "\x80", "\xc3", "\xc0\x80", "\xe2\x98", "\xed\xa0\x80",
		"\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xe2\x28\xa1" };
	static const char *const places[] = { "{\"t\":\"%s\"}", "{\"%s\":1,\"t\":\"ping\"}", "{\"t\":\"ping\"%s}", "%s",
		"{\"t\":\"data\",\"topic\":\"x\",\"body\":[{\"a\":\"%s\"}]}" };
	for (size_t i = 0; i < PL_COUNT(bad) * PL_COUNT(places); i++) {
		char text[128], said[PL_REQUEST_SENTENCE_SIZE];
		struct pl_request request;
		/* The place is a table's entry above, not a format from outside. */
		const char *place = places[i / PL_COUNT(bad)], *mark = strstr(place, "%s");
		const int size = snprintf(
			text, sizeof text, "%.*s%s%s", (int)(mark - place), place, bad[i % PL_COUNT(bad)], mark + 2);
		assert_int_equal(pl_request_parse_copy(text, (size_t)size, &request, said), PL_FAULT_BAD_JSON);
		for (const char *at = said; *at != '\0'; at++)
			assert_in_range((uint8_t)*at, 0x20, 0x7e);
	}
	/* A lone surrogate is no character. */
	pl_request_expect_fault("{\"t\":\"\\ud800\"}", 14, PL_FAULT_BAD_JSON,
		"line 1 column 13: invalid Unicode '\\uD800' near '\"\\ud800\"'");
	pl_request_expect_object(
		pl_request_load(
			"{'t':'"
			"\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fcx"
			"\u00fc'}"),
		PL_FAULT_UNKNOWN, "t: there is no request \"??????????????????????????????x?\"");
}

/* Wherever a message is cut off, it is bad JSON and nothing else; a sentence that does not fit is cut. */
static void test_message_every_truncation(void **state)
{
	(void)state;
	static const char join[] =
		"{\"t\":\"join\",\"id\":7,\"v\":1,\"room\":\"k\xc3\xbc\\u00fc\",\"attrs\":{\"a\":[-1.5e3,true,null]},"
		"\"audio\":\"forward\",\"sdp\":\"v=0\\r\\n\",\"resume\":{\"session\":\"s\",\"ticket\":\"t\",\"n\":12}}";
	struct pl_request request;
	char said[PL_REQUEST_SENTENCE_SIZE];
	for (size_t size = 0; size < sizeof join - 1; size++) {
		assert_int_equal(pl_request_parse_copy(join, size, &request, said), PL_FAULT_BAD_JSON);
		assert_true(strncmp(said, "line 1 column ", 14) == 0);
	}
	assert_int_equal(pl_request_parse_copy(join, sizeof join - 1, &request, said), PL_FAULT_NONE);
	pl_request_fini(&request);
	for (size_t room = 1; room < 64; room++) {
		memset(said, 'x', sizeof said);
		assert_int_equal(
			pl_request_parse((struct pl_bytes){ (const uint8_t *)"{\"t\":0}", 7 }, &request, said, room),
			PL_FAULT_BAD_FIELD);
		assert_true(strlen(said) < room);
		assert_int_equal(said[room], 'x');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_message_numbers_out_of_range),
		cmocka_unit_test(test_message_that_is_none),
		cmocka_unit_test(test_message_nul_bytes),
		cmocka_unit_test(test_message_nesting_is_bounded),
		cmocka_unit_test(test_message_size_is_bounded),
		cmocka_unit_test(test_message_utf8),
		cmocka_unit_test(test_message_every_truncation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
