/* For the tests of what a client may say (signaling/message.h): requests go in as bytes, faults are compared. */
#ifndef PL_TESTS_SUPPORT_REQUEST_H
#define PL_TESTS_SUPPORT_REQUEST_H

#include "signaling/message.h"

enum { PL_REQUEST_SENTENCE_SIZE = 512 };

/* JSON of any kind, with ' for ".  The caller's. */
json_t *pl_request_load(const char *text);

/* Parses an exact copy on the heap: a sanitizer sees one byte too far.  Asserts what holds for any outcome. */
enum pl_fault pl_request_parse_copy(
	const void *bytes, size_t size, struct pl_request *request, char sentence[static PL_REQUEST_SENTENCE_SIZE]);

void pl_request_expect_fault(const void *bytes, size_t size, enum pl_fault fault, const char *sentence);
/* The same for a request that is written from object, which it takes. */
void pl_request_expect_object(json_t *object, enum pl_fault fault, const char *sentence);

#endif
