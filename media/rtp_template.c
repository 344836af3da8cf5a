#include "media/rtp_template.h"

#include <string.h>

enum { SEQ_AT = 2, TS_AT = 4, CSRC_AT = PL_RTP_HEADER_SIZE, MARKER = 0x80, VOICE = 0x80 };

static void put16(uint8_t *out, uint16_t value)
{
	out[0] = (uint8_t)(value >> 8);
	out[1] = (uint8_t)value;
}

static void put32(uint8_t *out, uint32_t value)
{
	put16(out, (uint16_t)(value >> 16));
	put16(out + 2, (uint16_t)value);
}

/* Where the value of the level stands: the one byte that changes with it. */
static size_t find_level(const uint8_t *silent, const uint8_t *loud, size_t size)
{
	for (size_t i = CSRC_AT; i < size; i++) {
		if (silent[i] != loud[i])
			return i;
	}
	return 0;
}

void pl_rtp_template_make(struct pl_rtp_template *template, uint32_t ssrc, uint8_t payload_type, const char *mid,
	const struct pl_rtp_ext_ids *ids)
{
	const struct pl_rtp rtp = { .ssrc = ssrc, .payload_type = payload_type, .csrc_count = 1 };
	struct pl_rtp_ext ext = {
		.has = { [PL_RTP_EXT_MID] = true, [PL_RTP_EXT_AUDIO_LEVEL] = true },
		.mid = { (const uint8_t *)mid, strlen(mid) },
	};
	uint8_t loud[PL_RTP_TEMPLATE_SIZE_MAX] = { 0 };
	*template = (struct pl_rtp_template){ .size = 0 };
	const size_t size = pl_rtp_write(&rtp, &ext, ids, (struct pl_span){ loud, sizeof loud });
	ext.audio_level = 127;
	const size_t same = pl_rtp_write(&rtp, &ext, ids, (struct pl_span){ template->bytes, sizeof template->bytes });
	PL_ASSERT(size >= CSRC_AT + 4 && size == same);
	template->size = (uint8_t)size;

	const size_t value_at = find_level(template->bytes, loud, size);
	if (value_at == 0)
		return;
	const bool is_long = (template->bytes[CSRC_AT + 4] & 0xf0) == 0x10; /* 0x100x, else 0xBEDE */
	template->level_size = is_long ? 3 : 2;
	template->level_at = (uint8_t)(value_at + 1 - template->level_size);
}

void pl_rtp_template_write(const struct pl_rtp_template *template, const struct pl_rtp_stamp *stamp,
	uint8_t out[static PL_RTP_TEMPLATE_SIZE_MAX])
{
	memcpy(out, template->bytes, PL_RTP_TEMPLATE_SIZE_MAX);
	out[1] = (uint8_t)(out[1] | (stamp->marker ? MARKER : 0));
	put16(out + SEQ_AT, stamp->seq);
	put32(out + TS_AT, stamp->ts);
	put32(out + CSRC_AT, stamp->csrc);
	if (template->level_at == 0)
		return;
	if (stamp->has_level)
		out[template->level_at + template->level_size - 1] =
			(uint8_t)((stamp->is_voice ? VOICE : 0) | (stamp->level & 0x7f));
	else
		memset(out + template->level_at, 0, template->level_size);
}

size_t pl_rtp_template_write_list(const struct pl_rtp_template *template, const struct pl_rtp_stamp *stamp,
	const uint32_t *csrc, uint8_t count, uint8_t out[static PL_RTP_TEMPLATE_LIST_SIZE_MAX])
{
	PL_ASSERT(count <= PL_RTP_TEMPLATE_CSRC_MAX);
	uint8_t one[PL_RTP_TEMPLATE_SIZE_MAX];
	pl_rtp_template_write(template, stamp, one);
	const size_t rest = template->size - (CSRC_AT + 4u), csrcs = count * 4u;
	memcpy(out, one, CSRC_AT);
	out[0] = (uint8_t)((out[0] & 0xf0) | count);
	for (uint8_t i = 0; i < count; i++)
		put32(out + CSRC_AT + i * 4u, csrc[i]);
	memcpy(out + CSRC_AT + csrcs, one + CSRC_AT + 4, rest);
	return CSRC_AT + csrcs + rest;
}
