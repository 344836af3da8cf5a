/* Any bytes as an offer: a sentence that names a line, or an answer to it.  Our answer is an offer too, but for
 * being lite: read once more it must have the same m-lines in the same places, the other way round. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/sdp_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum pl_sdp_direction reversed(enum pl_sdp_direction direction)
{
	if (direction == PL_SDP_SEND)
		return PL_SDP_RECV;
	return direction == PL_SDP_RECV ? PL_SDP_SEND : direction;
}

static void check_media(const struct pl_sdp_media *offered, const struct pl_sdp_media *answered, bool has_bundle)
{
	const bool is_taken = pl_sdp_is_wanted(offered);
	PL_ASSERT(strcmp(offered->type_name, answered->type_name) == 0);
	PL_ASSERT(strcmp(offered->protocol, answered->protocol) == 0);
	PL_ASSERT(strcmp(offered->mid, answered->mid) == 0);
	PL_ASSERT(pl_sdp_is_wanted(answered) == is_taken && answered->is_bundled == (is_taken && has_bundle));
	PL_ASSERT(answered->is_rejected == !is_taken);
	if (!is_taken) {
		PL_ASSERT(strcmp(offered->formats, answered->formats) == 0);
		PL_ASSERT(answered->direction == PL_SDP_INACTIVE);
		return;
	}
	PL_ASSERT(answered->payload_type == offered->payload_type && answered->coding == offered->coding);
	PL_ASSERT(answered->direction == reversed(offered->direction));
	PL_ASSERT((answered->ssrc != 0) == ((offered->direction & PL_SDP_RECV) != 0));
	for (size_t kind = 0; kind < PL_RTP_EXT_COUNT; kind++) {
		const uint8_t id = answered->ext_ids.id[kind];
		PL_ASSERT(id == 0 || id == offered->ext_ids.id[kind]);
		PL_ASSERT(id == 0 || answered->ext_direction[kind] == reversed(offered->ext_direction[kind]));
	}
}

static void check(const uint8_t *data, size_t size, const struct pl_sdp_options *options)
{
	static struct pl_sdp_offer offer, again;
	static struct pl_sdp_answer answer;
	static char text[PL_SDP_ANSWER_SIZE_MAX];
	char error[PL_SDP_ERROR_SIZE];
	if (!pl_sdp_parse_copy_with(data, size, options, &offer, error))
		return;
	pl_sdp_accept_all(&offer, &answer);
	size_t length = pl_sdp_write_answer(&answer, text, sizeof text);
	PL_ASSERT(length > 0 && length == strlen(text));

	static const char lite[] = "a=ice-lite\r\n";
	char *at = strstr(text, lite);
	PL_ASSERT(at != NULL);
	length -= strlen(lite);
	memmove(at, at + strlen(lite), strlen(at) - strlen(lite) + 1);
	PL_ASSERT(pl_sdp_parse_copy_with(text, length, options, &again, error));
	PL_ASSERT(again.media_count == offer.media_count && again.tagged == offer.tagged);
	PL_ASSERT(again.has_bundle == offer.has_bundle && again.has_allow_mixed == offer.has_allow_mixed);
	PL_ASSERT(strcmp(again.ufrag, answer.ice.ufrag) == 0 && strcmp(again.pwd, answer.ice.pwd) == 0);
	PL_ASSERT((again.setup == PL_SDP_ACTIVE) == (offer.setup == PL_SDP_PASSIVE));
	for (uint8_t i = 0; i < offer.media_count; i++)
		check_media(&offer.media[i], &again.media[i], offer.has_bundle);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int takes_g711 = 0; takes_g711 < 2; takes_g711++)
		check(data, size, &(struct pl_sdp_options){ .takes_g711 = takes_g711 });
	return 0;
}
