/* Which codec an m-line of audio is taken with, and what its receiver says that it can take of it. */
#include "signaling/sdp_read.h"

static const struct {
	const char *name
		[2]; /* as a=rtpmap has it; the number of channels may be left out when it is 1 (RFC 8866 section 6.6) */
	enum pl_coding coding;
} codecs[] = {
	{ { "opus/48000/2", "opus/48000/2" }, PL_CODING_OPUS }, /* RFC 7587 section 7 */
	{ { "PCMU/8000", "PCMU/8000/1" }, PL_CODING_PCMU },     /* RFC 3551 section 4.5.14 */
	{ { "PCMA/8000", "PCMA/8000/1" }, PL_CODING_PCMA },
};

static bool is_taken(const struct pl_sdp_reader *r, enum pl_coding coding)
{
	return coding == PL_CODING_OPUS || r->options.takes_g711;
}

/* False: none that we take. */
static bool find_codec(const struct pl_sdp_reader *r, struct pl_bytes name, enum pl_coding *coding)
{
	for (size_t i = 0; i < PL_COUNT(codecs); i++) {
		*coding = codecs[i].coding;
		if (is_taken(r, *coding) &&
			(pl_sdp_equal_nocase(name, codecs[i].name[0]) || pl_sdp_equal_nocase(name, codecs[i].name[1])))
			return true;
	}
	return false;
}

bool pl_sdp_read_rtpmap(struct pl_sdp_reader *r, struct pl_bytes value)
{
	const struct pl_bytes number = pl_sdp_next_word(&value);
	const struct pl_bytes name = pl_sdp_next_word(&value);
	enum pl_coding coding;
	uint32_t payload_type;
	if (r->media == NULL || r->media->type != PL_SDP_AUDIO)
		return true;
	const bool is_ours = find_codec(r, name, &coding);
	if (!pl_sdp_number(number, PL_SDP_FORMATS - 1, &payload_type)) {
		return !is_ours ||
		       pl_sdp_fail(r, "a=rtpmap: \"%.*s\" is not a payload type from 0 to 127", PL_SDP_QUOTE(number));
	}
	struct pl_sdp_format *format = &r->format[payload_type];
	if (is_ours) {
		format->kind = PL_SDP_FORMAT_OURS;
		format->coding = coding;
	} else if (format->kind == PL_SDP_FORMAT_UNNAMED) {
		format->kind = PL_SDP_FORMAT_OTHER;
	}
	return true;
}

bool pl_sdp_read_fmtp(struct pl_sdp_reader *r, struct pl_bytes value)
{
	uint32_t payload_type;
	if (r->media == NULL || !pl_sdp_number(pl_sdp_next_word(&value), PL_SDP_FORMATS - 1, &payload_type))
		return true;
	if (r->format[payload_type].parameters.size == 0)
		r->format[payload_type].parameters = value;
	return true;
}

/* a=ptime:20, also 0.125 (RFC 8866 sections 6.4 and 6.5): whole milliseconds; nothing of what cannot be meant. */
static void read_ms(struct pl_bytes value, uint16_t *ms)
{
	enum { MS_MAX = 1000 };
	uint32_t number;
	if (pl_sdp_number(pl_sdp_cut(&value, '.'), MS_MAX, &number))
		*ms = (uint16_t)number;
}

bool pl_sdp_read_ptime(struct pl_sdp_reader *r, struct pl_bytes value)
{
	if (r->media != NULL)
		read_ms(value, &r->media->ptime_ms);
	return true;
}

bool pl_sdp_read_maxptime(struct pl_sdp_reader *r, struct pl_bytes value)
{
	if (r->media != NULL)
		read_ms(value, &r->media->ptime_max_ms);
	return true;
}

/* ---- at the end of the m-line ---- */

static struct pl_bytes trimmed(struct pl_bytes text)
{
	while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
		text.data++;
		text.size--;
	}
	while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t'))
		text.size--;
	return text;
}

/* The first number of that name in "minptime=10;useinbandfec=1", at most max; 0 for none. */
static uint32_t find_parameter(struct pl_bytes parameters, const char *name, uint32_t max)
{
	while (parameters.size > 0) {
		struct pl_bytes value = pl_sdp_cut(&parameters, ';');
		uint32_t number;
		if (!pl_sdp_equal_nocase(trimmed(pl_sdp_cut(&value, '=')), name))
			continue;
		if (!pl_sdp_number(trimmed(value), UINT32_MAX, &number))
			return 0;
		return number < max ? number : max;
	}
	return 0;
}

/* What the offerer wants to receive, RFC 7587 section 6.1. */
static void read_opus(struct pl_sdp_media *media, struct pl_bytes parameters)
{
	enum { BPS_MIN = 6000, BPS_MAX = 510000 };
	const uint32_t bps = find_parameter(parameters, "maxaveragebitrate", BPS_MAX);
	media->bitrate_max_bps = bps == 0 || bps >= BPS_MIN ? bps : BPS_MIN;
	media->is_stereo = find_parameter(parameters, "stereo", 2) == 1;
	media->has_fec = find_parameter(parameters, "useinbandfec", 2) == 1;
}

/* Numbers 0 and 8 need no name (RFC 3551 section 6), but may have been given one. */
static bool is_format_taken(const struct pl_sdp_reader *r, uint32_t payload_type, enum pl_coding *coding)
{
	const struct pl_sdp_format *format = &r->format[payload_type];
	*coding = payload_type == 0 ? PL_CODING_PCMU : PL_CODING_PCMA;
	if (format->kind == PL_SDP_FORMAT_UNNAMED)
		return (payload_type == 0 || payload_type == 8) && is_taken(r, *coding);
	*coding = format->coding;
	return format->kind == PL_SDP_FORMAT_OURS;
}

/* Opus before G.711; of the same, the offerer's order of formats is its preference (RFC 8866 section 5.14). */
static bool is_better(const struct pl_sdp_media *media, enum pl_coding coding)
{
	return !media->has_codec || (coding == PL_CODING_OPUS && media->coding != PL_CODING_OPUS);
}

void pl_sdp_choose_codec(struct pl_sdp_reader *r)
{
	struct pl_sdp_media *media = r->media;
	for (struct pl_bytes rest = r->formats; media->type == PL_SDP_AUDIO && rest.size > 0;) {
		enum pl_coding coding;
		uint32_t payload_type;
		if (!pl_sdp_number(pl_sdp_next_word(&rest), PL_SDP_FORMATS - 1, &payload_type) ||
			!is_format_taken(r, payload_type, &coding) || !is_better(media, coding))
			continue;
		media->has_codec = true;
		media->coding = coding;
		media->payload_type = (uint8_t)payload_type;
	}
	if (media->has_codec && media->coding == PL_CODING_OPUS)
		read_opus(media, r->format[media->payload_type].parameters);
}
