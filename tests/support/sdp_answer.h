/* For the tests of signaling/sdp.h: offers are parsed from exact copies, and answered with everything that is
 * wanted. */
#ifndef PL_TESTS_SUPPORT_SDP_ANSWER_H
#define PL_TESTS_SUPPORT_SDP_ANSWER_H

#include "signaling/sdp.h"

enum { PL_SDP_TEST_SSRC = 5000 }; /* of the slot in m-line 0; the next m-line's is one more */

/* Parses a copy on the heap: a sanitizer sees one byte too far.  Asserts what holds for any outcome: a sentence in
 * ASCII that names a line of the text, or at least one m-line to take and a transport for it. */
bool pl_sdp_parse_copy(const void *text, size_t size, struct pl_sdp_offer *offer, char error[static PL_SDP_ERROR_SIZE]);

/* The same for a server with other options than the default. */
bool pl_sdp_parse_copy_with(const void *text, size_t size, const struct pl_sdp_options *options,
	struct pl_sdp_offer *offer, char error[static PL_SDP_ERROR_SIZE]);

void pl_sdp_expect_taken(const char *text, struct pl_sdp_offer *offer);

/* text with the first from in it replaced; asserts that it is there.  Valid until the next call, and no argument
 * of it. */
const char *pl_sdp_changed(const char *text, const char *from, const char *to);

/* Takes all that is wanted, with a slot on each m-line that receives.  Candidates: 192.0.2.1:7882 and
 * [2001:db8::1]:7882. Borrows offer. */
void pl_sdp_accept_all(const struct pl_sdp_offer *offer, struct pl_sdp_answer *answer);

/* A text of lines, NUL-terminated: the answer, or a part of it. */
enum { PL_SDP_SECTION_SIZE = 4096 };

/* The lines of m-line number index (0: the first; -1: before the first) without their m=, each ended by \n alone;
 * asserts that all lines of the answer end with CRLF and are of the form x=... */
void pl_sdp_section(const char *answer, int index, char section[static PL_SDP_SECTION_SIZE]);

/* How many lines of the section begin with prefix. */
size_t pl_sdp_count(const char *section, const char *prefix);
/* Asserts that the section has exactly this line, once. */
void pl_sdp_expect_line(const char *section, const char *line);

#endif
