#include "tests/support/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

json_t *pl_request_load(const char *text)
{
	char json[1024];
	assert_true(strlen(text) < sizeof json);
	size_t size = 0;
	for (const char *at = text; *at != '\0'; at++)
		json[size++] = *at == '\'' ? '"' : *at;
	json_error_t error;
	json_t *value = json_loadb(json, size, JSON_DECODE_ANY, &error);
	if (value == NULL)
		fail_msg("the test's own JSON: %s: %s", text, error.text);
	return value;
}

enum pl_fault pl_request_parse_copy(
	const void *bytes, size_t size, struct pl_request *request, char sentence[static PL_REQUEST_SENTENCE_SIZE])
{
	uint8_t *copy = malloc(size > 0 ? size : 1);
	assert_non_null(copy);
	if (size > 0)
		memcpy(copy, bytes, size);
	memset(sentence, 'x', PL_REQUEST_SENTENCE_SIZE);
	const enum pl_fault fault =
		pl_request_parse((struct pl_bytes){ copy, size }, request, sentence, PL_REQUEST_SENTENCE_SIZE);
	free(copy);
	assert_non_null(memchr(sentence, '\0', PL_REQUEST_SENTENCE_SIZE));
	assert_int_equal(fault == PL_FAULT_NONE, sentence[0] == '\0');
	assert_int_equal(fault == PL_FAULT_NONE, request->json != NULL);
	return fault;
}

void pl_request_expect_fault(const void *bytes, size_t size, enum pl_fault fault, const char *sentence)
{
	struct pl_request request;
	char said[PL_REQUEST_SENTENCE_SIZE];
	const enum pl_fault got = pl_request_parse_copy(bytes, size, &request, said);
	if (got != fault || strcmp(said, sentence) != 0)
		fail_msg("%.*s\nanswered:   %s: %s\nnot answered: %s: %s", (int)(size < 200 ? size : 200),
			(const char *)bytes, pl_fault_name(got), said, pl_fault_name(fault), sentence);
	pl_request_fini(&request);
}

void pl_request_expect_object(json_t *object, enum pl_fault fault, const char *sentence)
{
	char *text = json_dumps(object, JSON_COMPACT);
	assert_non_null(text);
	pl_request_expect_fault(text, strlen(text), fault, sentence);
	free(text);
	json_decref(object);
}
