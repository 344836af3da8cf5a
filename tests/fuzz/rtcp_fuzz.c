#include "media/rtcp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Any compound packet, walked to its end or to its first fault. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pl_bytes rest = { data, size };
	struct pl_rtcp rtcp;
	uint32_t sum = 0;
	while (rest.size > 0 && pl_rtcp_parse(&rest, &rtcp) == PL_DROP_NONE) {
		uint16_t pid, blp;
		if (rtcp.kind == PL_RTCP_NACK)
			while (pl_rtcp_nack_next(&rtcp.nack.items, &pid, &blp))
				sum += pid;
		for (size_t i = 0; rtcp.kind == PL_RTCP_SDES && i < rtcp.sdes.cname.size; i++)
			sum += rtcp.sdes.cname.data[i];
		for (uint8_t i = 0; rtcp.kind == PL_RTCP_SR && i < rtcp.report.block_count; i++)
			sum += rtcp.report.block[i].ssrc;
	}
	/* libFuzzer must not see the reads as dead. */
	return sum == 0x5eed5eed ? -1 : 0;
}
