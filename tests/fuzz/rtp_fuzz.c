#include <stdlib.h>

#include "media/rewrite.h"
#include "media/rtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Any packet: what parses is written again, reads the same, and is renumbered without complaint. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct pl_rtp_ext_ids forms[] = { { .id = { 4, 1, 2, 3 } }, { .id = { 15, 200, 255, 1 } } };
	struct pl_rtp rtp, again;
	struct pl_rtp_ext ext, ext_again;
	if (pl_rtp_parse((struct pl_bytes){ data, size }, &rtp) != PL_DROP_NONE)
		return 0;
	for (size_t i = 0; i < PL_COUNT(forms); i++) {
		uint8_t buffer[PL_RTP_HEADER_SIZE_MAX];
		pl_rtp_parse_ext(&rtp, &forms[i], &ext);
		const size_t header = pl_rtp_write(&rtp, &ext, &forms[i], (struct pl_span){ buffer, sizeof buffer });
		if (header == 0 || pl_rtp_parse((struct pl_bytes){ buffer, header }, &again) != PL_DROP_NONE)
			abort();
		pl_rtp_parse_ext(&again, &forms[i], &ext_again);
		if (again.ssrc != rtp.ssrc || again.seq != rtp.seq || ext_again.mid.size != ext.mid.size ||
			ext_again.audio_level != ext.audio_level || ext_again.abs_send_time != ext.abs_send_time)
			abort();
	}
	struct pl_rewrite rw;
	pl_rewrite_init(&rw, 1, 48, 65535, 0);
	for (int i = 0; i < 3; i++) {
		struct pl_rtp copy = rtp;
		copy.seq = (uint16_t)(copy.seq * (i + 1));
		const enum pl_drop drop = pl_rewrite_forward(&rw, i * 20000, &copy);
		(void)drop;
	}
	return 0;
}
