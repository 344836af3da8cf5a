#include "tests/support/sdp_answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void check_error(const uint8_t *text, size_t size, const char *error)
{
	char *end;
	unsigned long lines = 1;
	for (size_t i = 0; i + 1 < size; i++)
		lines += text[i] == '\n';
	assert_int_equal(strncmp(error, "line ", 5), 0);
	const unsigned long line = strtoul(error + 5, &end, 10);
	assert_in_range(line, 1, lines);
	assert_int_equal(strncmp(end, ": ", 2), 0);
	assert_true(strlen(end) > 5);
	for (const char *at = error; *at != '\0'; at++)
		assert_in_range((uint8_t)*at, 0x20, 0x7e);
}

static void check_offer(const struct pl_sdp_offer *offer)
{
	assert_in_range(offer->media_count, 1, PL_SDP_MEDIA_MAX);
	assert_true(offer->tagged < offer->media_count);
	assert_true(pl_sdp_is_wanted(&offer->media[offer->tagged]));
	assert_in_range(strlen(offer->ufrag), 4, PL_ICE_UFRAG_MAX);
	assert_in_range(strlen(offer->pwd), 22, PL_ICE_PWD_MAX);
	assert_true(offer->fingerprint.size >= 32);
	for (uint8_t i = 0; i < offer->media_count; i++) {
		const struct pl_sdp_media *media = &offer->media[i];
		if (pl_sdp_is_wanted(media))
			assert_true(media->has_rtcp_mux &&
				    (!offer->has_bundle || (media->is_bundled && media->mid[0] != '\0')));
	}
}

bool pl_sdp_parse_copy(const void *text, size_t size, struct pl_sdp_offer *offer, char error[static PL_SDP_ERROR_SIZE])
{
	const struct pl_sdp_options options = { .takes_g711 = false };
	return pl_sdp_parse_copy_with(text, size, &options, offer, error);
}

bool pl_sdp_parse_copy_with(const void *text, size_t size, const struct pl_sdp_options *options,
	struct pl_sdp_offer *offer, char error[static PL_SDP_ERROR_SIZE])
{
	uint8_t *copy = malloc(size > 0 ? size : 1);
	assert_non_null(copy);
	if (size > 0)
		memcpy(copy, text, size);
	memset(error, 'x', PL_SDP_ERROR_SIZE);
	const bool is_taken = pl_sdp_parse_offer((struct pl_bytes){ copy, size }, options, offer, error);
	assert_non_null(memchr(error, '\0', PL_SDP_ERROR_SIZE));
	if (is_taken)
		check_offer(offer);
	else
		check_error(copy, size, error);
	free(copy);
	return is_taken;
}

void pl_sdp_expect_taken(const char *text, struct pl_sdp_offer *offer)
{
	char error[PL_SDP_ERROR_SIZE];
	if (!pl_sdp_parse_copy(text, strlen(text), offer, error))
		fail_msg("%s\n%s", text, error);
}

const char *pl_sdp_changed(const char *text, const char *from, const char *to)
{
	static char copy[16384];
	const char *at = strstr(text, from);
	if (at == NULL)
		fail_msg("\"%s\" is not in the text", from);
	const int size = snprintf(copy, sizeof copy, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	assert_true(size > 0 && (size_t)size < sizeof copy);
	return copy;
}

void pl_sdp_accept_all(const struct pl_sdp_offer *offer, struct pl_sdp_answer *answer)
{
	static struct pl_fingerprint fingerprint = { .hash = PL_FINGERPRINT_SHA256, .size = 32 };
	static struct pl_addr candidates[2];
	for (uint8_t i = 0; i < 32; i++)
		fingerprint.bytes[i] = i;
	assert_true(pl_addr_parse_ip("192.0.2.1", &candidates[0]) && pl_addr_parse_ip("2001:db8::1", &candidates[1]));
	candidates[0].port = candidates[1].port = 7882;
	*answer = (struct pl_sdp_answer){
		.offer = offer,
		.session_id = 4611686018427387903,
		.session_version = 3,
		.ice = { .ufrag = "OurU", .pwd = "OurPasswordOf24Character" },
		.fingerprint = &fingerprint,
		.role = offer->setup == PL_SDP_PASSIVE ? PL_DTLS_ACTIVE : PL_DTLS_PASSIVE,
		.cname = "ourCnameIs16Long",
		.candidates = candidates,
		.candidate_count = 2,
	};
	for (uint8_t i = 0; i < offer->media_count; i++) {
		const enum pl_sdp_direction theirs = offer->media[i].direction;
		struct pl_sdp_answer_media *how = &answer->media[i];
		if (!pl_sdp_is_wanted(&offer->media[i]))
			continue;
		how->is_accepted = true;
		how->direction = (enum pl_sdp_direction)(((theirs & PL_SDP_SEND) != 0 ? PL_SDP_RECV : 0) |
							 ((theirs & PL_SDP_RECV) != 0 ? PL_SDP_SEND : 0));
		if ((theirs & PL_SDP_RECV) == 0)
			continue;
		how->ssrc = PL_SDP_TEST_SSRC + i;
		snprintf(how->stream_id, sizeof how->stream_id, "slot-%s", offer->media[i].mid);
		snprintf(how->track_id, sizeof how->track_id, "slot-%s", offer->media[i].mid);
	}
}

void pl_sdp_section(const char *answer, int index, char section[static PL_SDP_SECTION_SIZE])
{
	size_t used = 0;
	int now = -1;
	for (const char *at = answer; *at != '\0';) {
		const char *end = strstr(at, "\r\n");
		assert_non_null(end);
		assert_true(end - at > 2 && at[1] == '=' && strcspn(at, "\r\n") == (size_t)(end - at));
		now += at[0] == 'm';
		const size_t size = (size_t)(end - at);
		if (now == index) {
			assert_true(used + size + 2 < PL_SDP_SECTION_SIZE);
			memcpy(section + used, at, size);
			section[used + size] = '\n';
			used += size + 1;
		}
		at = end + 2;
	}
	section[used] = '\0';
}

size_t pl_sdp_count(const char *section, const char *prefix)
{
	size_t count = 0;
	for (const char *at = section; *at != '\0'; at = strchr(at, '\n') + 1)
		count += strncmp(at, prefix, strlen(prefix)) == 0;
	return count;
}

void pl_sdp_expect_line(const char *section, const char *line)
{
	size_t count = 0;
	for (const char *at = section; *at != '\0'; at = strchr(at, '\n') + 1)
		count += strcspn(at, "\n") == strlen(line) && strncmp(at, line, strlen(line)) == 0;
	if (count != 1)
		fail_msg("%zu times \"%s\" in:\n%s", count, line, section);
}
