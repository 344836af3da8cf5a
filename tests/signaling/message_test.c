/* What a client may say: every field of every request, its types and bounds, and the code and the sentence that each
 * mistake is answered with.  What is wrong with the whole is in message_json_test.c. */
#include "signaling/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/request.h"

/* One request that is as small as it may be, with every field that must be there. */
static const char *const smallest[PL_REQUEST_COUNT] = {
	[PL_REQUEST_JOIN] = "{'t':'join','v':1,'room':'r','sdp':'s'}",
	[PL_REQUEST_OFFER] = "{'t':'offer','sdp':'s'}",
	[PL_REQUEST_MUTE] = "{'t':'mute','track':'t1','on':true}",
	[PL_REQUEST_MODE] = "{'t':'mode','audio':'auto'}",
	[PL_REQUEST_META] = "{'t':'meta'}",
	[PL_REQUEST_DATA] = "{'t':'data','topic':'x','body':null}",
	[PL_REQUEST_PING] = "{'t':'ping'}",
	[PL_REQUEST_LEAVE] = "{'t':'leave'}",
};

static const char *const request_names[PL_REQUEST_COUNT] = {
#define X(name, text) text,
	PL_REQUEST_LIST(X)
#undef X
};

/* ---- names ---- */

/* A name that is missing, or there twice, would make two messages one. */
static void test_message_names_are_whole_and_unlike(void **state)
{
	(void)state;
	const char *replies[PL_REPLY_COUNT], *faults[PL_FAULT_COUNT];
	for (int i = 0; i < PL_REPLY_COUNT; i++)
		replies[i] = pl_reply_name((enum pl_reply_kind)i);
	for (int i = 0; i < PL_FAULT_COUNT; i++)
		faults[i] = pl_fault_name((enum pl_fault)i);
	const struct {
		const char *const *name;
		size_t count;
	} lists[] = { { request_names, PL_REQUEST_COUNT }, { replies, PL_REPLY_COUNT }, { faults, PL_FAULT_COUNT } };
	for (size_t list = 0; list < PL_COUNT(lists); list++) {
		for (size_t i = 0; i < lists[list].count; i++) {
			const char *name = lists[list].name[i];
			assert_true(strlen(name) > 0 && strspn(name, "abcdefghijklmnopqrstuvwxyz_") == strlen(name));
			for (size_t j = 0; j < i; j++)
				assert_string_not_equal(name, lists[list].name[j]);
		}
	}
	assert_string_equal(pl_reply_name(PL_REPLY_WELCOME), "welcome");
	assert_string_equal(pl_reply_name(PL_REPLY_BYE), "bye");
	assert_string_equal(pl_fault_name(PL_FAULT_NONE), "none");
	assert_string_equal(pl_fault_name(PL_FAULT_BUSY), "busy");
}

/* ---- what is right ---- */

/* The smallest of each kind is taken, and what it does not say is not there. */
static void test_message_smallest_of_each_kind(void **state)
{
	(void)state;
	for (int kind = 0; kind < PL_REQUEST_COUNT; kind++) {
		json_t *object = pl_request_load(smallest[kind]);
		char *text = json_dumps(object, 0);
		struct pl_request request;
		char said[PL_REQUEST_SENTENCE_SIZE];
		if (pl_request_parse_copy(text, strlen(text), &request, said) != PL_FAULT_NONE)
			fail_msg("%s: %s", text, said);
		assert_int_equal(request.kind, kind);
		assert_false(request.has_id);
		assert_null(request.name);
		assert_null(request.attrs);
		assert_int_equal(request.audio != NULL, kind == PL_REQUEST_MODE);
		assert_null(request.quality);
		assert_null(request.to);
		assert_null(request.resume.session);
		assert_int_equal(request.sdp != NULL, kind == PL_REQUEST_JOIN || kind == PL_REQUEST_OFFER);
		pl_request_fini(&request);
		assert_null(request.json);
		pl_request_fini(&request); /* once more is nothing */
		free(text);
		json_decref(object);
	}
}

/* Each field comes through as it was said; a field from the future is passed over. */
static void test_message_fields_come_through(void **state)
{
	(void)state;
	static const char join[] =
		"{\"later\":[{}],\"t\":\"join\",\"id\":7,\"v\":1,\"room\":\"k\\u00fcche\",\"name\":"
		"\"\\ud83c\\udfa7\\n\",\"attrs\":{\"a\":[1,null]},\"audio\":\"forward\",\"token\":\"\","
		"\"sdp\":\"v=0\\r\\n\",\"resume\":{\"session\":\"s\",\"ticket\":\"t\","
		"\"n\":9007199254740991,\"later\":1}}";
	struct pl_request r;
	char said[PL_REQUEST_SENTENCE_SIZE];
	assert_int_equal(pl_request_parse_copy(join, sizeof join - 1, &r, said), PL_FAULT_NONE);
	assert_true(r.has_id);
	assert_int_equal(r.id, 7);
	assert_string_equal(r.room, "k\xc3\xbc"
				    "che");
	assert_string_equal(r.name, "\xf0\x9f\x8e\xa7\n");
	assert_int_equal(json_array_size(json_object_get(r.attrs, "a")), 2);
	assert_string_equal(r.audio, "forward");
	assert_string_equal(r.sdp, "v=0\r\n");
	assert_string_equal(r.resume.session, "s");
	assert_string_equal(r.resume.ticket, "t");
	assert_int_equal(r.resume.n, INT64_C(9007199254740991));
	pl_request_fini(&r);

	static const char data[] =
		"{\"t\":\"data\",\"id\":0,\"topic\":\"x\",\"body\":[1.5,\"y\"],\"to\":[\"p1\",\"\"]}";
	assert_int_equal(pl_request_parse_copy(data, sizeof data - 1, &r, said), PL_FAULT_NONE);
	assert_true(r.has_id);
	assert_int_equal(r.id, 0);
	assert_string_equal(r.topic, "x");
	assert_int_equal(json_array_size(r.body), 2);
	assert_int_equal(json_array_size(r.to), 2);
	pl_request_fini(&r);

	static const char mute[] = "{\"t\":\"mute\",\"id\":null,\"track\":\"t00000007\",\"on\":true}";
	assert_int_equal(pl_request_parse_copy(mute, sizeof mute - 1, &r, said), PL_FAULT_NONE);
	assert_false(r.has_id);
	assert_string_equal(r.track, "t00000007");
	assert_true(r.is_on);
	pl_request_fini(&r);
}

/* JSON.stringify writes null for what a program does not have: an optional field is absent then. */
static void test_message_null_is_absent(void **state)
{
	(void)state;
	static const char join[] = "{\"t\":\"join\",\"id\":null,\"v\":1,\"room\":\"r\",\"sdp\":\"s\",\"name\":null,"
				   "\"attrs\":null,\"audio\":null,\"token\":null,\"resume\":null}";
	static const char data[] = "{\"t\":\"data\",\"topic\":\"x\",\"body\":null,\"to\":null}";
	struct pl_request r;
	char said[PL_REQUEST_SENTENCE_SIZE];
	assert_int_equal(pl_request_parse_copy(join, sizeof join - 1, &r, said), PL_FAULT_NONE);
	assert_false(r.has_id);
	assert_null(r.name);
	assert_null(r.attrs);
	assert_null(r.audio);
	assert_null(r.resume.session);
	pl_request_fini(&r);
	assert_int_equal(pl_request_parse_copy(data, sizeof data - 1, &r, said), PL_FAULT_NONE);
	assert_null(r.to);
	assert_true(json_is_null(r.body));
	pl_request_fini(&r);
}

/* ---- what is wrong with one field ---- */

#define OBJECT  1u
#define ARRAY   2u
#define STRING  4u
#define INTEGER 8u
#define BOOLEAN 16u
#define ANY     127u

/* The rules once more, as docs/signaling.md has them and not as the parser's table has them. */
static const struct rule {
	enum pl_request_kind kind;
	const char *name; /* "resume.n": in the object "resume" */
	bool is_required;
	unsigned takes;
	size_t min, max; /* bytes of a string; max 0: no string */
	const char *must_be;
} rules[] = {
	{ PL_REQUEST_JOIN, "id", false, INTEGER, 0, 0, "an integer from 0 to 2147483647" },
	{ PL_REQUEST_JOIN, "v", true, INTEGER, 0, 0, "1" },
	{ PL_REQUEST_JOIN, "room", true, STRING, 1, 128, "a string of 1 to 128 bytes without control characters" },
	{ PL_REQUEST_JOIN, "name", false, STRING, 0, 128, "a string of 0 to 128 bytes" },
	{ PL_REQUEST_JOIN, "attrs", false, OBJECT, 0, 0, "an object of at most 4096 bytes as JSON" },
	{ PL_REQUEST_JOIN, "audio", false, STRING, 0, 0, "a string of 1 to 16 bytes" },
	{ PL_REQUEST_JOIN, "token", false, STRING, 0, 8192, "a string of 0 to 8192 bytes" },
	{ PL_REQUEST_JOIN, "sdp", true, STRING, 1, 0, "a string of 1 to 65536 bytes" },
	{ PL_REQUEST_JOIN, "resume", false, OBJECT, 0, 0, "an object {session, ticket, n}" },
	{ PL_REQUEST_JOIN, "resume.session", true, STRING, 1, 63, "a string of 1 to 63 bytes" },
	{ PL_REQUEST_JOIN, "resume.ticket", true, STRING, 1, 63, "a string of 1 to 63 bytes" },
	{ PL_REQUEST_JOIN, "resume.n", true, INTEGER, 0, 0, "an integer from 0 to 9007199254740991" },
	{ PL_REQUEST_OFFER, "sdp", true, STRING, 1, 0, "a string of 1 to 65536 bytes" },
	{ PL_REQUEST_MUTE, "track", true, STRING, 1, 63, "a string of 1 to 63 bytes" },
	{ PL_REQUEST_MUTE, "on", true, BOOLEAN, 0, 0, "true or false" },
	{ PL_REQUEST_MODE, "audio", true, STRING, 0, 0, "a string of 1 to 16 bytes" },
	{ PL_REQUEST_META, "name", false, STRING, 0, 128, "a string of 0 to 128 bytes" },
	{ PL_REQUEST_META, "attrs", false, OBJECT, 0, 0, "an object of at most 4096 bytes as JSON" },
	{ PL_REQUEST_DATA, "topic", true, STRING, 1, 64, "a string of 1 to 64 bytes" },
	{ PL_REQUEST_DATA, "body", true, ANY, 0, 0, "any JSON of at most 16384 bytes" },
	{ PL_REQUEST_DATA, "to", false, ARRAY, 0, 0, "an array of at most 64 peer ids" },
	{ PL_REQUEST_PING, "id", false, INTEGER, 0, 0, "an integer from 0 to 2147483647" },
};

/* The smallest request of the rule's kind, with value (taken; NULL: nothing) in the rule's place. */
static json_t *with(const struct rule *rule, json_t *value)
{
	json_t *object = pl_request_load(smallest[rule->kind]), *place = object;
	const char *name = rule->name;
	if (strncmp(name, "resume.", 7) == 0) {
		place = pl_request_load("{'session':'s','ticket':'t','n':0}");
		json_object_set_new(object, "resume", place);
		name += 7;
	}
	if (value != NULL)
		json_object_set_new(place, name, value);
	else
		json_object_del(place, name);
	return object;
}

/* "join.room: an array; it must be a string ..." */
static const char *sentence(const struct rule *rule, const char *found, char text[static PL_REQUEST_SENTENCE_SIZE])
{
	const bool is_id = strcmp(rule->name, "id") == 0;
	snprintf(text, PL_REQUEST_SENTENCE_SIZE, "%s%s%s: %s; it must be %s", is_id ? "" : request_names[rule->kind],
		is_id ? "" : ".", rule->name, found, rule->must_be);
	return text;
}

/* What stands where something else must stand is named, for each field of each request and each type of JSON. */
static void test_message_wrong_types_are_named(void **state)
{
	(void)state;
	static const struct {
		const char *json, *name;
		unsigned type;
	} values[] = {
		{ "{}", "an object", OBJECT },
		{ "[]", "an array", ARRAY },
		{ "'forward'", "a string", STRING },
		{ "1", "an integer", INTEGER },
		{ "1.0", "a number with a fraction or an exponent", 0 },
		{ "1e0", "a number with a fraction or an exponent", 0 },
		{ "true", "true", BOOLEAN },
		{ "false", "false", BOOLEAN },
		{ "null", "null", 0 },
	};
	char text[PL_REQUEST_SENTENCE_SIZE];
	for (size_t i = 0; i < PL_COUNT(rules); i++) {
		for (size_t j = 0; j < PL_COUNT(values); j++) {
			const struct rule *rule = &rules[i];
			const bool is_absent = strcmp(values[j].name, "null") == 0 && !rule->is_required;
			if (is_absent || rule->takes == ANY || (rule->takes & values[j].type) != 0) {
				/* An empty object is one, but no resume. */
				const bool is_empty_resume =
					strcmp(rule->name, "resume") == 0 && values[j].type == OBJECT;
				pl_request_expect_object(with(rule, pl_request_load(values[j].json)),
					is_empty_resume ? PL_FAULT_BAD_FIELD : PL_FAULT_NONE,
					is_empty_resume
						? "join.resume.session: missing; it must be a string of 1 to 63 bytes"
						: "");
				continue;
			}
			/* A join may be without an offer, so null is none; that this one needs it is found later. */
			const bool is_offer = rule->kind == PL_REQUEST_JOIN && strcmp(rule->name, "sdp") == 0;
			const bool is_null = strcmp(values[j].name, "null") == 0;
			pl_request_expect_object(with(rule, pl_request_load(values[j].json)), PL_FAULT_BAD_FIELD,
				sentence(rule, is_offer && is_null ? "missing" : values[j].name, text));
		}
	}
}

static void test_message_missing_fields_are_named(void **state)
{
	(void)state;
	char text[PL_REQUEST_SENTENCE_SIZE];
	size_t required = 0;
	for (size_t i = 0; i < PL_COUNT(rules); i++) {
		const struct rule *rule = &rules[i];
		required += rule->is_required;
		pl_request_expect_object(with(rule, NULL), rule->is_required ? PL_FAULT_BAD_FIELD : PL_FAULT_NONE,
			rule->is_required ? sentence(rule, "missing", text) : "");
	}
	assert_int_equal(required, 12);
	/* A resume may go on with the peer connection that it has. */
	pl_request_expect_object(
		pl_request_load("{'t':'join','v':1,'room':'r','resume':{'session':'s','ticket':'t','n':0}}"),
		PL_FAULT_NONE, "");
}

/* size bytes of UTF-8: of one byte each, or of two and one more where it does not divide. */
static json_t *string_of(size_t size, bool is_wide)
{
	char *bytes = malloc(size + 1);
	assert_non_null(bytes);
	for (size_t i = 0; i < size; i++)
		bytes[i] = !is_wide || (i + 1 == size && size % 2 == 1) ? 'a' : i % 2 == 0 ? '\xc3' : '\xbc';
	json_t *value = json_stringn(bytes, size);
	assert_non_null(value);
	free(bytes);
	return value;
}

/* Strings are bounded in bytes, whatever their characters are: exactly the bound is taken, one byte more is not. */
static void test_message_strings_are_bounded_in_bytes(void **state)
{
	(void)state;
	char text[PL_REQUEST_SENTENCE_SIZE], found[32];
	for (size_t i = 0; i < PL_COUNT(rules) * 2; i++) {
		const struct rule *rule = &rules[i / 2];
		const bool is_wide = i % 2 == 1;
		if (rule->min > 0)
			pl_request_expect_object(with(rule, string_of(rule->min - 1, false)), PL_FAULT_BAD_FIELD,
				sentence(rule, "0 bytes", text));
		if (rule->max == 0)
			continue;
		pl_request_expect_object(with(rule, string_of(rule->min, false)), PL_FAULT_NONE, "");
		pl_request_expect_object(with(rule, string_of(rule->max, is_wide)), PL_FAULT_NONE, "");
		const size_t over[] = { rule->max + 1, rule->max * 2, 60000 };
		for (size_t j = 0; j < PL_COUNT(over); j++) {
			snprintf(found, sizeof found, "%zu bytes", over[j]);
			pl_request_expect_object(with(rule, string_of(over[j], is_wide)), PL_FAULT_BAD_FIELD,
				sentence(rule, found, text));
		}
	}
}

/* What is not a string is bounded by its size as compact JSON, or by its count. */
static void test_message_objects_are_bounded_as_json(void **state)
{
	(void)state;
	/* Around the string: {"a":""} has 8 bytes, "" has 2. */
	static const struct {
		const char *request, *name;
		size_t around, max;
		const char *must_be;
	} cases[] = {
		{ "{'t':'join','v':1,'room':'r','sdp':'s'}", "attrs", 8, 4096,
			"join.attrs: 4097 bytes as JSON; it must be an object of at most 4096 bytes as JSON" },
		{ "{'t':'meta'}", "attrs", 8, 4096,
			"meta.attrs: 4097 bytes as JSON; it must be an object of at most 4096 bytes as JSON" },
		{ "{'t':'data','topic':'x'}", "body", 2, 16384,
			"data.body: 16385 bytes as JSON; it must be any JSON of at most 16384 bytes" },
	};
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		for (size_t over = 0; over < 2; over++) {
			json_t *object = pl_request_load(cases[i].request);
			json_t *value = string_of(cases[i].max - cases[i].around + over, true);
			if (cases[i].around == 8) {
				json_t *attrs = json_object();
				json_object_set_new(attrs, "a", value);
				value = attrs;
			}
			json_object_set_new(object, cases[i].name, value);
			pl_request_expect_object(object, over == 0 ? PL_FAULT_NONE : PL_FAULT_BAD_FIELD,
				over == 0 ? "" : cases[i].must_be);
		}
	}
	for (size_t count = 64; count <= 65; count++) {
		json_t *object = pl_request_load("{'t':'data','topic':'x','body':1}"), *to = json_array();
		for (size_t i = 0; i < count; i++)
			json_array_append_new(to, json_string("p00000001"));
		json_object_set_new(object, "to", to);
		pl_request_expect_object(object, count == 64 ? PL_FAULT_NONE : PL_FAULT_BAD_FIELD,
			count == 64 ? "" : "data.to: an array of 65; it must be an array of at most 64 peer ids");
	}
	pl_request_expect_object(pl_request_load("{'t':'data','topic':'x','body':1,'to':['p1',7]}"), PL_FAULT_BAD_FIELD,
		"data.to: an integer at place 1; it must be an array of at most 64 peer ids");
}

/* A room's name is shown in one line everywhere, and is in a URL: no controls of ASCII or Latin-1, and their
 * neighbours are welcome. */
static void test_message_room_has_no_controls(void **state)
{
	(void)state;
	static const char must_be[] = "join.room: a string with a control character; it must be a string of 1 to 128 "
				      "bytes without control characters";
	static const struct {
		const char *room;
		bool is_bad;
	} cases[] = {
		{ "a\x1f", true },
		{ "\t", true },
		{ "a\nb", true },
		{ "\x7f", true },
		{ "a\xc2\x80", true },
		{ "\xc2\x9f"
		  "b",
			true },
		{ " ", false },
		{ "\xc2\xa0", false },
		{ "~", false },
		{ "\xc3\x80", false },
		{ "\xe2\x80\xa8", false },
	};
	for (size_t i = 0; i < PL_COUNT(cases); i++) {
		json_t *object = pl_request_load(smallest[PL_REQUEST_JOIN]);
		json_object_set_new(object, "room", json_string(cases[i].room));
		pl_request_expect_object(
			object, cases[i].is_bad ? PL_FAULT_BAD_FIELD : PL_FAULT_NONE, cases[i].is_bad ? must_be : "");
	}
}

/* ---- what an error leaves behind ---- */

/* The answer to a bad request carries its id whenever that can be read, and nothing of the request is left to be used
 * by mistake. */
static void test_message_error_has_the_id(void **state)
{
	(void)state;
	static const char bad_room[] = "{\"t\":\"join\",\"id\":9,\"v\":1,\"room\":7,\"sdp\":\"s\",\"name\":\"n\"}",
			  unknown[] = "{\"id\":10,\"t\":\"dance\"}", no_json[] = "{\"id\":11,\"t\":\"ping\"";
	struct pl_request r;
	char said[PL_REQUEST_SENTENCE_SIZE];
	assert_int_equal(pl_request_parse_copy(bad_room, sizeof bad_room - 1, &r, said), PL_FAULT_BAD_FIELD);
	assert_true(r.has_id);
	assert_int_equal(r.id, 9);
	assert_int_equal(r.kind, PL_REQUEST_JOIN);
	assert_null(r.sdp);
	assert_null(r.name);
	assert_null(r.json);
	assert_int_equal(pl_request_parse_copy(unknown, sizeof unknown - 1, &r, said), PL_FAULT_UNKNOWN);
	assert_true(r.has_id);
	assert_int_equal(r.id, 10);
	assert_int_equal(pl_request_parse_copy(no_json, sizeof no_json - 1, &r, said), PL_FAULT_BAD_JSON);
	assert_false(r.has_id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_message_names_are_whole_and_unlike),
		cmocka_unit_test(test_message_smallest_of_each_kind),
		cmocka_unit_test(test_message_fields_come_through),
		cmocka_unit_test(test_message_null_is_absent),
		cmocka_unit_test(test_message_wrong_types_are_named),
		cmocka_unit_test(test_message_missing_fields_are_named),
		cmocka_unit_test(test_message_strings_are_bounded_in_bytes),
		cmocka_unit_test(test_message_objects_are_bounded_as_json),
		cmocka_unit_test(test_message_room_has_no_controls),
		cmocka_unit_test(test_message_error_has_the_id),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
