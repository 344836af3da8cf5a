#include "media/rtp.h"

#include <string.h>

#include "media/reader.h"

enum {
	VERSION = 2,
	EXT_PROFILE_ONE_BYTE = 0xbede, /* RFC 8285 section 4.2 */
	EXT_PROFILE_TWO_BYTE = 0x1000, /* RFC 8285 section 4.3; the low four bits are the application's */
	EXT_PROFILE_TWO_BYTE_MASK = 0xfff0,
	EXT_ID_ONE_BYTE_MAX = 14,
	EXT_ID_ONE_BYTE_STOP = 15, /* "processing MUST be terminated", RFC 8285 section 4.2 */
	EXT_SIZE_ONE_BYTE_MAX = 16,
	LEVEL_VOICE = 0x80, /* V bit, RFC 6464 section 3 */
};

const char *pl_rtp_ext_uri(enum pl_rtp_ext_kind kind)
{
	static const char *const uri[PL_RTP_EXT_COUNT] = {
		[PL_RTP_EXT_MID] = "urn:ietf:params:rtp-hdrext:sdes:mid",
		[PL_RTP_EXT_AUDIO_LEVEL] = "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
		[PL_RTP_EXT_ABS_SEND_TIME] = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
		[PL_RTP_EXT_TRANSPORT_CC] = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
	};
	PL_ASSERT((size_t)kind < PL_COUNT(uri));
	return uri[kind];
}

enum pl_drop pl_rtp_parse(struct pl_bytes packet, struct pl_rtp *rtp)
{
	struct pl_reader r = pl_reader_init(packet);
	const uint8_t first = pl_reader_u8(&r);
	const uint8_t second = pl_reader_u8(&r);
	const bool has_padding = (first & 0x20) != 0;
	const bool has_extension = (first & 0x10) != 0;

	rtp->csrc_count = first & 0x0f;
	rtp->marker = (second & 0x80) != 0;
	rtp->payload_type = second & 0x7f;
	rtp->seq = pl_reader_u16(&r);
	rtp->ts = pl_reader_u32(&r);
	rtp->ssrc = pl_reader_u32(&r);
	for (size_t i = 0; i < rtp->csrc_count; i++)
		rtp->csrc[i] = pl_reader_u32(&r);

	rtp->ext_profile = 0;
	rtp->ext = (struct pl_bytes){ 0 };
	if (has_extension) {
		rtp->ext_profile = pl_reader_u16(&r);
		rtp->ext = pl_reader_bytes(&r, (size_t)pl_reader_u16(&r) * 4);
	}
	if (r.is_failed || first >> 6 != VERSION)
		return PL_DROP_RTP_MALFORMED;

	rtp->payload = (struct pl_bytes){ .data = r.at, .size = pl_reader_left(&r) };
	if (has_padding) {
		/* The last byte counts the padding, itself included (RFC 3550 section 5.1). */
		const size_t padding = rtp->payload.size > 0 ? rtp->payload.data[rtp->payload.size - 1] : 0;
		if (padding == 0 || padding > rtp->payload.size)
			return PL_DROP_RTP_MALFORMED;
		rtp->payload.size -= padding;
	}
	return PL_DROP_NONE;
}

static void read_value(enum pl_rtp_ext_kind kind, struct pl_bytes value, struct pl_rtp_ext *ext)
{
	static const uint8_t size_of[PL_RTP_EXT_COUNT] = {
		[PL_RTP_EXT_AUDIO_LEVEL] = 1,
		[PL_RTP_EXT_ABS_SEND_TIME] = 3,
		[PL_RTP_EXT_TRANSPORT_CC] = 2,
	};
	const bool is_mid = kind == PL_RTP_EXT_MID;
	if (is_mid ? value.size == 0 || value.size > PL_RTP_MID_MAX : value.size != size_of[kind])
		return;

	struct pl_reader r = pl_reader_init(value);
	ext->has[kind] = true;
	switch (kind) {
	case PL_RTP_EXT_MID:
		ext->mid = value;
		break;
	case PL_RTP_EXT_AUDIO_LEVEL:
		ext->is_voice = (value.data[0] & LEVEL_VOICE) != 0;
		ext->audio_level = (uint8_t)(value.data[0] & ~LEVEL_VOICE);
		break;
	case PL_RTP_EXT_ABS_SEND_TIME:
		ext->abs_send_time = (uint32_t)pl_reader_uint(&r, 3);
		break;
	case PL_RTP_EXT_TRANSPORT_CC:
		ext->transport_seq = pl_reader_u16(&r);
		break;
	case PL_RTP_EXT_COUNT:
		break;
	}
}

void pl_rtp_parse_ext(const struct pl_rtp *rtp, const struct pl_rtp_ext_ids *ids, struct pl_rtp_ext *ext)
{
	memset(ext, 0, sizeof *ext);
	const bool is_one_byte = rtp->ext_profile == EXT_PROFILE_ONE_BYTE;
	if (!is_one_byte && (rtp->ext_profile & EXT_PROFILE_TWO_BYTE_MASK) != EXT_PROFILE_TWO_BYTE)
		return;

	struct pl_reader r = pl_reader_init(rtp->ext);
	while (pl_reader_left(&r) > 0) {
		const uint8_t head = pl_reader_u8(&r);
		if (head == 0) /* padding, in both forms */
			continue;
		const uint8_t id = is_one_byte ? head >> 4 : head;
		if (is_one_byte && id == EXT_ID_ONE_BYTE_STOP)
			return;
		const size_t size = is_one_byte ? (head & 0x0fu) + 1u : pl_reader_u8(&r);
		const struct pl_bytes value = pl_reader_bytes(&r, size);
		if (r.is_failed)
			return;
		for (size_t kind = 0; id != 0 && kind < PL_RTP_EXT_COUNT; kind++)
			if (ids->id[kind] == id)
				read_value((enum pl_rtp_ext_kind)kind, value, ext);
	}
}

/* Fills value with the wire form of one extension and returns its size. */
static size_t value_of(enum pl_rtp_ext_kind kind, const struct pl_rtp_ext *ext, uint8_t value[static PL_RTP_MID_MAX])
{
	struct pl_writer w = pl_writer_init((struct pl_span){ .data = value, .size = PL_RTP_MID_MAX });
	switch (kind) {
	case PL_RTP_EXT_MID:
		pl_writer_bytes(&w, ext->mid);
		break;
	case PL_RTP_EXT_AUDIO_LEVEL:
		pl_writer_u8(&w, (uint8_t)((ext->is_voice ? LEVEL_VOICE : 0) | (ext->audio_level & ~LEVEL_VOICE)));
		break;
	case PL_RTP_EXT_ABS_SEND_TIME:
		pl_writer_uint(&w, ext->abs_send_time, 3);
		break;
	case PL_RTP_EXT_TRANSPORT_CC:
		pl_writer_u16(&w, ext->transport_seq);
		break;
	case PL_RTP_EXT_COUNT:
		break;
	}
	return pl_writer_size(&w);
}

static void write_extensions(struct pl_writer *w, const struct pl_rtp_ext *ext, const struct pl_rtp_ext_ids *ids)
{
	bool is_one_byte = true;
	for (size_t kind = 0; kind < PL_RTP_EXT_COUNT; kind++)
		if (ext->has[kind] && ids->id[kind] > EXT_ID_ONE_BYTE_MAX)
			is_one_byte = false;

	pl_writer_u16(w, is_one_byte ? EXT_PROFILE_ONE_BYTE : EXT_PROFILE_TWO_BYTE);
	uint8_t *const length_at = w->at;
	pl_writer_u16(w, 0);
	const size_t start = pl_writer_size(w);
	for (size_t kind = 0; kind < PL_RTP_EXT_COUNT; kind++) {
		if (!ext->has[kind] || ids->id[kind] == 0)
			continue;
		uint8_t value[PL_RTP_MID_MAX];
		const size_t size = value_of((enum pl_rtp_ext_kind)kind, ext, value);
		if (size == 0)
			continue; /* an empty mid has no one-byte form, and says nothing */
		if (is_one_byte) {
			pl_writer_u8(w, (uint8_t)((unsigned)ids->id[kind] << 4 | (unsigned)(size - 1)));
		} else {
			pl_writer_u8(w, ids->id[kind]);
			pl_writer_u8(w, (uint8_t)size);
		}
		pl_writer_bytes(w, (struct pl_bytes){ .data = value, .size = size });
	}
	while (!w->is_failed && (pl_writer_size(w) - start) % 4 != 0)
		pl_writer_u8(w, 0);
	if (!w->is_failed) {
		const size_t words = (pl_writer_size(w) - start) / 4;
		length_at[0] = (uint8_t)(words >> 8);
		length_at[1] = (uint8_t)words;
	}
}

size_t pl_rtp_write(
	const struct pl_rtp *rtp, const struct pl_rtp_ext *ext, const struct pl_rtp_ext_ids *ids, struct pl_span out)
{
	PL_ASSERT(rtp->csrc_count <= PL_RTP_CSRC_MAX);
	PL_ASSERT(rtp->payload_type < 128);
	bool has_extension = false;
	for (size_t kind = 0; kind < PL_RTP_EXT_COUNT; kind++)
		has_extension |= ext->has[kind] && ids->id[kind] != 0;

	struct pl_writer w = pl_writer_init(out);
	pl_writer_u8(&w, (uint8_t)(VERSION << 6 | (has_extension ? 0x10 : 0) | rtp->csrc_count));
	pl_writer_u8(&w, (uint8_t)((rtp->marker ? 0x80 : 0) | rtp->payload_type));
	pl_writer_u16(&w, rtp->seq);
	pl_writer_u32(&w, rtp->ts);
	pl_writer_u32(&w, rtp->ssrc);
	for (size_t i = 0; i < rtp->csrc_count; i++)
		pl_writer_u32(&w, rtp->csrc[i]);
	if (has_extension)
		write_extensions(&w, ext, ids);
	return w.is_failed ? 0 : pl_writer_size(&w);
}
