#include "tests/load/reports.h"

#include <sys/socket.h>

#include "media/rtcp.h"

enum { NTP_UNIX_S = 2208988800u }; /* from 1900 to 1970, RFC 5905 figure 4 */

int64_t load_reports_interval_us(struct pl_rng *rng)
{
	return (LOAD_REPORTS_MS / 2 + (int64_t)pl_rng_below(rng, LOAD_REPORTS_MS)) * 1000;
}

static uint64_t ntp_of(const struct load_context *context)
{
	const int64_t ns = context->now_us * 1000 + context->realtime_offset_ns;
	const uint64_t s = (uint64_t)(ns / 1000000000) + NTP_UNIX_S;
	const uint64_t fraction = ((uint64_t)(ns % 1000000000) << 32) / 1000000000;
	return s << 32 | fraction;
}

void load_reports_send(struct load_client *client, struct load_context *context)
{
	uint8_t plain[PL_DATAGRAM_SIZE_MAX];
	struct pl_span rest = { plain, sizeof plain };
	struct pl_rtcp_block block[PL_RTCP_BLOCKS_MAX];
	const struct load_publication *p = &client->publication;
	static const uint8_t cname[] = "load";
	size_t blocks = 0;
	for (uint32_t i = 0; i < client->stream_count && blocks < PL_RTCP_BLOCKS_MAX; i++)
		blocks += pl_reception_report(&client->stream[i].reception, context->now_us, &block[blocks]);

	const bool is_sender = client->is_publisher && p->packets > 0;
	const struct pl_rtcp_sender sender = {
		.ssrc = p->ssrc, .ntp = ntp_of(context), .ts = p->ts, .packets = p->packets, .octets = p->octets
	};
	const bool is_written = (is_sender ? pl_rtcp_write_sr(&rest, &sender, block, blocks)
					   : pl_rtcp_write_rr(&rest, p->ssrc, block, blocks)) &&
				pl_rtcp_write_sdes(&rest, &p->ssrc, 1, (struct pl_bytes){ cname, sizeof cname - 1 });
	if (!is_written)
		return;
	const size_t size = pl_srtp_protect_rtcp(client->srtp, (struct pl_bytes){ plain, sizeof plain - rest.size },
		(struct pl_span){ context->scratch, sizeof context->scratch });
	if (size > 0)
		send(client->fd, context->scratch, size, MSG_NOSIGNAL);
}

void load_reports_feed(struct load_client *client, struct load_context *context, struct pl_bytes packet)
{
	const struct pl_span scratch = { context->scratch, sizeof context->scratch };
	struct pl_rtcp rtcp;
	size_t size;
	if (pl_srtp_unprotect_rtcp(client->srtp, packet, scratch, &size) != PL_DROP_NONE) {
		context->refused++;
		return;
	}
	struct pl_bytes rest = { context->scratch, size };
	while (rest.size > 0 && pl_rtcp_parse(&rest, &rtcp) == PL_DROP_NONE) {
		if (rtcp.kind != PL_RTCP_SR)
			continue;
		for (uint32_t i = 0; i < client->stream_count; i++)
			if (client->stream[i].reception.ssrc == rtcp.ssrc)
				pl_reception_sr(&client->stream[i].reception, context->now_us, rtcp.report.ntp);
	}
}
