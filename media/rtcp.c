#include "media/rtcp.h"

#include "media/reader.h"

enum {
	VERSION = 2,
	HEADER_SIZE = 4,
	BLOCK_SIZE = 24,
	TYPE_SR = 200, /* RFC 3550 section 12.1 */
	TYPE_RR = 201,
	TYPE_SDES = 202,
	TYPE_BYE = 203,
	TYPE_RTPFB = 205, /* RFC 4585 section 6.1 */
	FORMAT_NACK = 1,  /* RFC 4585 section 6.2.1 */
	SDES_CNAME = 1,   /* RFC 3550 section 6.5.1 */
	LOST_MAX = 0x7fffff,
	LOST_MIN = -0x800000,
};

static void read_block(struct pl_reader *r, struct pl_rtcp_block *block)
{
	block->ssrc = pl_reader_u32(r);
	block->fraction_lost = pl_reader_u8(r);
	const int32_t lost = (int32_t)pl_reader_uint(r, 3);
	block->lost = lost > LOST_MAX ? lost - 0x1000000 : lost;
	block->seq_highest = pl_reader_u32(r);
	block->jitter = pl_reader_u32(r);
	block->last_sr = pl_reader_u32(r);
	block->delay_since_sr = pl_reader_u32(r);
}

/* RFC 3550 sections 6.4.1 and 6.4.2; profile-specific extensions behind the blocks are passed over. */
static void read_report(struct pl_reader *r, uint8_t count, struct pl_rtcp *rtcp)
{
	rtcp->ssrc = pl_reader_u32(r);
	if (rtcp->kind == PL_RTCP_SR) {
		rtcp->report.ntp = pl_reader_uint(r, 8);
		rtcp->report.ts = pl_reader_u32(r);
		rtcp->report.packets = pl_reader_u32(r);
		rtcp->report.octets = pl_reader_u32(r);
	}
	rtcp->report.block_count = count;
	for (uint8_t i = 0; i < count; i++)
		read_block(r, &rtcp->report.block[i]);
}

/* The CNAME of the first chunk, RFC 3550 section 6.5. */
static void read_sdes(struct pl_reader *r, uint8_t count, struct pl_rtcp *rtcp)
{
	rtcp->ssrc = count > 0 ? pl_reader_u32(r) : 0;
	rtcp->sdes.cname = (struct pl_bytes){ 0 };
	while (count > 0 && pl_reader_left(r) > 0) {
		const uint8_t type = pl_reader_u8(r);
		if (type == 0)
			return;
		const struct pl_bytes text = pl_reader_bytes(r, pl_reader_u8(r));
		if (type == SDES_CNAME)
			rtcp->sdes.cname = text;
	}
}

static void read_bye(struct pl_reader *r, uint8_t count, struct pl_rtcp *rtcp)
{
	rtcp->bye.source_count = count;
	for (uint8_t i = 0; i < count; i++)
		rtcp->bye.source[i] = pl_reader_u32(r);
	rtcp->ssrc = count > 0 ? rtcp->bye.source[0] : 0;
}

static void read_nack(struct pl_reader *r, struct pl_rtcp *rtcp)
{
	rtcp->ssrc = pl_reader_u32(r);
	rtcp->nack.ssrc_media = pl_reader_u32(r);
	rtcp->nack.items = pl_reader_bytes(r, pl_reader_left(r));
}

static enum pl_rtcp_kind kind_of(uint8_t type, uint8_t count)
{
	switch (type) {
	case TYPE_SR:
		return PL_RTCP_SR;
	case TYPE_RR:
		return PL_RTCP_RR;
	case TYPE_SDES:
		return PL_RTCP_SDES;
	case TYPE_BYE:
		return PL_RTCP_BYE;
	case TYPE_RTPFB:
		return count == FORMAT_NACK ? PL_RTCP_NACK : PL_RTCP_OTHER;
	default:
		return PL_RTCP_OTHER;
	}
}

/* Takes one packet's body out of *rest: header checked, padding cut. */
static bool take_body(struct pl_bytes *rest, uint8_t *type, uint8_t *count, struct pl_reader *body)
{
	struct pl_reader r = pl_reader_init(*rest);
	const uint8_t first = pl_reader_u8(&r);
	*type = pl_reader_u8(&r);
	*count = first & 0x1f;
	struct pl_bytes view = pl_reader_bytes(&r, (size_t)pl_reader_u16(&r) * 4);
	if (r.is_failed || first >> 6 != VERSION)
		return false;

	if (first & 0x20) {
		/* Padding is whole words, and its last byte counts them all (RFC 3550 section 6.4.1). */
		const size_t padding = view.size > 0 ? view.data[view.size - 1] : 0;
		if (padding == 0 || padding % 4 != 0 || padding > view.size)
			return false;
		view.size -= padding;
	}
	*body = pl_reader_init(view);
	*rest = (struct pl_bytes){ .data = r.at, .size = pl_reader_left(&r) };
	return true;
}

enum pl_drop pl_rtcp_parse(struct pl_bytes *rest, struct pl_rtcp *rtcp)
{
	uint8_t type, count;
	struct pl_reader body;
	if (!take_body(rest, &type, &count, &body))
		return PL_DROP_RTCP_MALFORMED;

	rtcp->kind = kind_of(type, count);
	rtcp->ssrc = 0;
	switch (rtcp->kind) {
	case PL_RTCP_SR:
	case PL_RTCP_RR:
		read_report(&body, count, rtcp);
		break;
	case PL_RTCP_SDES:
		read_sdes(&body, count, rtcp);
		break;
	case PL_RTCP_BYE:
		read_bye(&body, count, rtcp);
		break;
	case PL_RTCP_NACK:
		read_nack(&body, rtcp);
		break;
	case PL_RTCP_OTHER:
		break;
	}
	return body.is_failed ? PL_DROP_RTCP_MALFORMED : PL_DROP_NONE;
}

bool pl_rtcp_nack_next(struct pl_bytes *items, uint16_t *pid, uint16_t *blp)
{
	struct pl_reader r = pl_reader_init(*items);
	const uint16_t first = pl_reader_u16(&r);
	const uint16_t mask = pl_reader_u16(&r);
	if (r.is_failed)
		return false;
	*pid = first;
	*blp = mask;
	*items = (struct pl_bytes){ .data = r.at, .size = pl_reader_left(&r) };
	return true;
}

static void write_header(struct pl_writer *w, uint8_t type, size_t count, size_t body_size)
{
	pl_writer_u8(w, (uint8_t)(VERSION << 6 | (unsigned)count));
	pl_writer_u8(w, type);
	pl_writer_u16(w, (uint16_t)(body_size / 4));
}

/* What was written becomes part of *out only when all of it fitted. */
static bool commit(const struct pl_writer *w, struct pl_span *out)
{
	if (w->is_failed)
		return false;
	*out = (struct pl_span){ .data = w->at, .size = (size_t)(w->end - w->at) };
	return true;
}

static void write_blocks(struct pl_writer *w, const struct pl_rtcp_block *blocks, size_t count)
{
	for (const struct pl_rtcp_block *block = blocks; block < blocks + count; block++) {
		const int32_t lost = block->lost > LOST_MAX   ? LOST_MAX
				     : block->lost < LOST_MIN ? LOST_MIN
							      : block->lost;
		pl_writer_u32(w, block->ssrc);
		pl_writer_u8(w, block->fraction_lost);
		pl_writer_uint(w, (uint32_t)lost, 3);
		pl_writer_u32(w, block->seq_highest);
		pl_writer_u32(w, block->jitter);
		pl_writer_u32(w, block->last_sr);
		pl_writer_u32(w, block->delay_since_sr);
	}
}

bool pl_rtcp_write_sr(struct pl_span *out, const struct pl_rtcp_sender *sender, const struct pl_rtcp_block *blocks,
	size_t block_count)
{
	if (block_count > PL_RTCP_BLOCKS_MAX)
		return false;
	struct pl_writer w = pl_writer_init(*out);
	write_header(&w, TYPE_SR, block_count, 24 + block_count * BLOCK_SIZE);
	pl_writer_u32(&w, sender->ssrc);
	pl_writer_uint(&w, sender->ntp, 8);
	pl_writer_u32(&w, sender->ts);
	pl_writer_u32(&w, sender->packets);
	pl_writer_u32(&w, sender->octets);
	write_blocks(&w, blocks, block_count);
	return commit(&w, out);
}

bool pl_rtcp_write_rr(struct pl_span *out, uint32_t ssrc, const struct pl_rtcp_block *blocks, size_t block_count)
{
	if (block_count > PL_RTCP_BLOCKS_MAX)
		return false;
	struct pl_writer w = pl_writer_init(*out);
	write_header(&w, TYPE_RR, block_count, 4 + block_count * BLOCK_SIZE);
	pl_writer_u32(&w, ssrc);
	write_blocks(&w, blocks, block_count);
	return commit(&w, out);
}

bool pl_rtcp_write_sdes(struct pl_span *out, const uint32_t *ssrcs, size_t ssrc_count, struct pl_bytes cname)
{
	if (ssrc_count > PL_RTCP_BLOCKS_MAX || cname.size > PL_RTCP_CNAME_MAX)
		return false;
	/* A chunk: SSRC, one item, and 1-4 zero bytes that end the list on a word (RFC 3550 section 6.5). */
	const size_t chunk_size = (4 + 2 + cname.size + 4) / 4 * 4;
	struct pl_writer w = pl_writer_init(*out);
	write_header(&w, TYPE_SDES, ssrc_count, ssrc_count * chunk_size);
	for (size_t i = 0; i < ssrc_count; i++) {
		pl_writer_u32(&w, ssrcs[i]);
		pl_writer_u8(&w, SDES_CNAME);
		pl_writer_u8(&w, (uint8_t)cname.size);
		pl_writer_bytes(&w, cname);
		for (size_t size = 4 + 2 + cname.size; size < chunk_size; size++)
			pl_writer_u8(&w, 0);
	}
	return commit(&w, out);
}

bool pl_rtcp_write_bye(struct pl_span *out, const uint32_t *ssrcs, size_t ssrc_count)
{
	if (ssrc_count > PL_RTCP_BLOCKS_MAX)
		return false;
	struct pl_writer w = pl_writer_init(*out);
	write_header(&w, TYPE_BYE, ssrc_count, ssrc_count * 4);
	for (size_t i = 0; i < ssrc_count; i++)
		pl_writer_u32(&w, ssrcs[i]);
	return commit(&w, out);
}

bool pl_rtcp_write_nack(struct pl_span *out, uint32_t ssrc, uint32_t ssrc_media, const uint16_t *seqs, size_t seq_count)
{
	struct pl_writer w = pl_writer_init(*out);
	write_header(&w, TYPE_RTPFB, FORMAT_NACK, 0);
	pl_writer_u32(&w, ssrc);
	pl_writer_u32(&w, ssrc_media);
	/* Numbers in rising order share an item as long as they are within 16 of its first. */
	for (size_t i = 0; i < seq_count;) {
		const uint16_t pid = seqs[i++];
		uint16_t blp = 0;
		for (; i < seq_count; i++) {
			const uint16_t ahead = (uint16_t)(seqs[i] - pid);
			if (ahead == 0 || ahead > 16)
				break;
			blp = (uint16_t)(blp | 1u << (ahead - 1));
		}
		pl_writer_u16(&w, pid);
		pl_writer_u16(&w, blp);
	}
	const size_t words = w.is_failed ? 0 : (pl_writer_size(&w) - HEADER_SIZE) / 4;
	if (w.is_failed || words > UINT16_MAX)
		return false;
	w.start[2] = (uint8_t)(words >> 8);
	w.start[3] = (uint8_t)words;
	return commit(&w, out);
}
